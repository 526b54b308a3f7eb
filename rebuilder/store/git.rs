//! Sources from git: one commit at a time, by its name, as a tar archive whose bytes depend on the commit alone.
//!
//! The git command fetches and checks (it names every object by its hash when it takes it in, and `fsck` does so
//! again before each reading); nothing of the user's configuration, credentials or hooks is in its reach.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Blob, Fetcher, Store, StoreError};
use crate::artifact::Sha256;
use crate::evidence::git_source::{self, GitSource};

/// Longest that one fetch may take.
const FETCH_LIMIT: Duration = Duration::from_secs(1800);
/// Most bytes of a single file that is read into memory.
const FILE_LIMIT: u64 = 64 << 20;
/// Submodules within submodules.
const DEPTH: usize = 4;

/// `PREFIX=PLACE`: repositories whose address begins with the prefix are fetched from a folder or URL instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitMirror {
    prefix: String,
    place: String,
}

impl std::str::FromStr for GitMirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((prefix, place)) if prefix.contains("://") && !place.is_empty() => Ok(Self {
                prefix: prefix.to_owned(),
                place: place.to_owned(),
            }),
            _ => Err("write it as https://host/path=FOLDER, or =URL".to_owned()),
        }
    }
}

impl GitMirror {
    /// Where a repository is, if this mirror has it.
    fn place(&self, repository: &str) -> Option<String> {
        let rest = repository.strip_prefix(&self.prefix)?;
        let whole = rest.is_empty() || rest.starts_with('/') || self.prefix.ends_with('/');
        if !whole {
            return None;
        }
        if self.place.contains("://") {
            return Some(format!("{}{rest}", self.place));
        }
        let plain = PathBuf::from(format!("{}{rest}", self.place));
        let bare = PathBuf::from(format!("{}{rest}.git", self.place));
        let found = if !plain.exists() && bare.exists() {
            bare
        } else {
            plain
        };
        let found = std::path::absolute(&found).unwrap_or(found);
        url::Url::from_file_path(found).ok().map(|url| url.to_string())
    }
}

/// A source that cannot be had from git.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum GitError {
    #[error("the git command does not start")]
    #[diagnostic(help("install git (Debian package git)"))]
    Missing(#[source] io::Error),
    #[error("cannot fetch commit {commit} of {repository}: {reason}")]
    #[diagnostic(help(
        "check the network, or name a mirror of the repository: --git-mirror https://HOST/PATH=FOLDER"
    ))]
    Fetch {
        repository: String,
        commit: String,
        reason: String,
    },
    #[error("commit {commit} of {repository} is not in the store and the run is offline")]
    #[diagnostic(help(
        "run once without --offline, or name a mirror of the repository: --git-mirror https://HOST/PATH=FOLDER"
    ))]
    Offline { repository: String, commit: String },
    #[error("{repository} names no commit to build from")]
    #[diagnostic(help("a branch or a tag can mean any commit; the evidence must name one"))]
    NoCommit { repository: String },
    #[error("the kept copy of {repository} is damaged: {reason}")]
    #[diagnostic(help("remove it, and run again: {}", path.display()))]
    Damaged {
        repository: String,
        path: PathBuf,
        reason: String,
    },
    #[error(
        "the archive of {repository} at {commit} is another one than the plan pins: expected {expected}, found {found}"
    )]
    Differs {
        repository: String,
        commit: String,
        expected: Sha256,
        found: Sha256,
    },
    #[error("{repository} at {commit}: {reason}")]
    Content {
        repository: String,
        commit: String,
        reason: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

/// A commit that lies in the store, checked.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Where it is from; its commit is known.
    pub source: GitSource,
    /// Name of the commit.
    pub commit: String,
    folder: PathBuf,
    config: PathBuf,
}

/// One entry of a commit's tree.
struct Entry {
    mode: String,
    id: String,
    path: Vec<u8>,
}

impl Fetcher {
    /// Brings the commit that `source` names into the store, or finds it there; and the tag, where it names one.
    pub async fn git(&self, source: &GitSource) -> Result<Checkout, GitError> {
        let commit = source.commit.clone().ok_or_else(|| GitError::NoCommit {
            repository: source.repository.clone(),
        })?;
        let folder = self.store().git(&source.repository);
        let checkout = Checkout {
            source: source.clone(),
            commit: commit.clone(),
            config: configuration(self.store())?,
            folder,
        };
        let name = format!("git-{}", Sha256::of(&source.repository));
        let store = self.store().clone();
        let lock = tokio::task::spawn_blocking(move || store.exclusive(&name)).await;
        let _lock = lock.map_err(|error| checkout.content(&error))??;
        if !checkout.folder.exists() {
            let initialised = checkout
                .git(&["init", "--quiet", "--bare", "--"])
                .arg(&checkout.folder)
                .output();
            let output = initialised.map_err(GitError::Missing)?;
            if !output.status.success() {
                return Err(checkout.damaged(&last_line(&output.stderr)));
            }
        }
        if !checkout.has_commit() {
            self.git_fetch(&checkout).await?;
        }
        checkout.check()?;
        Ok(checkout)
    }

    async fn git_fetch(&self, checkout: &Checkout) -> Result<(), GitError> {
        let repository = &checkout.source.repository;
        let mirrored = self
            .git_mirrors()
            .iter()
            .find_map(|mirror| mirror.place(repository));
        // A mirror on this machine is no network.
        let is_local = mirrored
            .as_deref()
            .is_some_and(|place| place.starts_with("file://"));
        if self.is_offline() && !is_local {
            return Err(GitError::Offline {
                repository: repository.clone(),
                commit: checkout.commit.clone(),
            });
        }
        let url = mirrored.unwrap_or_else(|| repository.clone());
        let bar = self.progress().stage(format!("fetching {repository}"));
        let commit = checkout.commit.clone();
        let tag = checkout
            .source
            .tag()
            .map(|tag| format!("+refs/tags/{tag}:refs/tags/{tag}"));
        let keep = format!("+{commit}:refs/kept/{commit}");
        let mut result = Err(String::new());
        // The tag is worth having for its signature; a mirror without it still has the commit.
        for tag in [tag.as_deref(), None] {
            let mut arguments = vec![
                "fetch",
                "--quiet",
                "--depth=1",
                "--no-tags",
                "--no-recurse-submodules",
                "--",
                &url,
                &keep,
            ];
            arguments.extend(tag);
            let mut command = tokio::process::Command::from(checkout.git(&arguments));
            command.stdin(Stdio::null()).kill_on_drop(true);
            let output = tokio::time::timeout(FETCH_LIMIT, command.output()).await;
            result = match output {
                Err(_) => Err("it took too long".to_owned()),
                Ok(Err(error)) => return Err(GitError::Missing(error)),
                Ok(Ok(output)) if output.status.success() => Ok(()),
                Ok(Ok(output)) => Err(last_line(&output.stderr)),
            };
            if result.is_ok() || tag.is_none() {
                break;
            }
        }
        bar.finish_and_clear();
        result.map_err(|reason| GitError::Fetch {
            repository: repository.clone(),
            commit: checkout.commit.clone(),
            reason,
        })
    }

    /// The commit's files as a tar archive in the store, and those of its submodules where they are wanted.
    pub async fn git_archive(&self, checkout: &Checkout, submodules: bool) -> Result<Blob, GitError> {
        let mut parts = vec![(Vec::new(), checkout.clone())];
        if submodules {
            let (mut from, mut depth) = (0, 0);
            while from < parts.len() {
                let mut found = Vec::new();
                for (prefix, parent) in &parts[from..] {
                    for (path, source) in parent.submodules()? {
                        if depth == DEPTH {
                            return Err(parent.content(&"its submodules are nested too deep"));
                        }
                        let place = [prefix.as_slice(), &path, b"/"].concat();
                        found.push((place, self.git(&source).await?));
                    }
                }
                from = parts.len();
                depth += 1;
                parts.extend(found);
            }
        }
        let store = self.store().clone();
        let whole = checkout.clone();
        let written = tokio::task::spawn_blocking(move || {
            let (mut reader, writer) = io::pipe().map_err(|error| whole.content(&error))?;
            std::thread::scope(|scope| {
                let producer = scope.spawn(move || write_archive(&parts, writer));
                let blob = store.keep(&mut reader);
                drop(reader);
                let produced = producer
                    .join()
                    .unwrap_or_else(|_| Err(whole.content(&"the archive writer ended early")));
                produced?;
                Ok(blob?)
            })
        });
        written.await.map_err(|error| checkout.content(&error))?
    }
}

/// Writes the files of several commits, each below its prefix, in git's order.
fn write_archive(parts: &[(Vec<u8>, Checkout)], out: impl io::Write) -> Result<(), GitError> {
    let mut tar = tar::Builder::new(io::BufWriter::with_capacity(1 << 18, out));
    let Some((_, first)) = parts.first() else {
        return Ok(());
    };
    let time = first.time()?;
    for (prefix, checkout) in parts {
        checkout
            .append_to(&mut tar, prefix, time)
            .map_err(|error| checkout.content(&error))?;
    }
    tar.into_inner()
        .and_then(|mut out| out.flush())
        .map_err(|error| first.content(&error))
}

impl Checkout {
    /// A git command on this repository, with an environment that holds nothing of the user's.
    fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        for name in [
            "PATH",
            "https_proxy",
            "HTTPS_PROXY",
            "http_proxy",
            "no_proxy",
            "NO_PROXY",
            "SSL_CERT_FILE",
        ] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", &self.config)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_DIR", &self.folder)
            .current_dir("/")
            .args(arguments);
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let output = self
            .git(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(GitError::Missing)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.content(&last_line(&output.stderr)))
    }

    fn content(&self, reason: &dyn std::fmt::Display) -> GitError {
        GitError::Content {
            repository: self.source.repository.clone(),
            commit: self.commit.clone(),
            reason: reason.to_string(),
        }
    }

    fn damaged(&self, reason: &str) -> GitError {
        GitError::Damaged {
            repository: self.source.repository.clone(),
            path: self.folder.clone(),
            reason: reason.to_owned(),
        }
    }

    fn has_commit(&self) -> bool {
        let object = format!("{}^{{commit}}", self.commit);
        self.output(&["cat-file", "-e", &object]).is_ok()
    }

    /// Reads every object again, and makes sure that the name is a commit's own and no tag's or abbreviation's.
    fn check(&self) -> Result<(), GitError> {
        let kept = format!("refs/kept/{}", self.commit);
        let output = self
            .git(&["fsck", "--no-dangling", "--no-progress", "--no-reflogs", &kept])
            .output();
        let output = output.map_err(GitError::Missing)?;
        if !output.status.success() {
            return Err(self.damaged(&last_line(&output.stderr)));
        }
        let object = format!("{}^{{commit}}", self.commit);
        let named = self.output(&["rev-parse", "--verify", "--end-of-options", &object])?;
        if named.trim_ascii() != self.commit.as_bytes() {
            return Err(self.content(&"the name is not that of a commit"));
        }
        Ok(())
    }

    /// The raw commit.
    pub fn commit_object(&self) -> Result<Vec<u8>, GitError> {
        self.output(&["cat-file", "commit", &self.commit])
    }

    /// The raw tag that the source names, where it is an annotated one; and whether it points to the commit.
    pub fn tag_object(&self) -> Option<(Vec<u8>, bool)> {
        let reference = format!("refs/tags/{}", self.source.tag()?);
        let target = self
            .output(&[
                "rev-parse",
                "--verify",
                "--end-of-options",
                &format!("{reference}^{{commit}}"),
            ])
            .ok()?;
        let object = self.output(&["cat-file", "tag", &reference]).ok()?;
        Some((object, target.trim_ascii() == self.commit.as_bytes()))
    }

    /// When the commit was made, in Unix seconds.
    pub fn time(&self) -> Result<u64, GitError> {
        let text = self.output(&[
            "show",
            "--no-patch",
            "--no-show-signature",
            "--format=%ct",
            &self.commit,
            "--",
        ])?;
        let text = String::from_utf8_lossy(&text);
        text.trim()
            .parse()
            .map_err(|_| self.content(&"its time cannot be read"))
    }

    /// A file of the commit; none where it has no such file.
    pub fn file(&self, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let object = format!("{}:{path}", self.commit);
        let Ok(size) = self.output(&["cat-file", "-s", &object]) else {
            return Ok(None);
        };
        let size: u64 = String::from_utf8_lossy(&size).trim().parse().unwrap_or(u64::MAX);
        if size > FILE_LIMIT {
            return Err(self.content(&format!("{path} is too large to read")));
        }
        Ok(self.output(&["cat-file", "blob", &object]).ok())
    }

    fn entries(&self) -> Result<Vec<Entry>, GitError> {
        let list = self.output(&["ls-tree", "-r", "-z", "--full-tree", &self.commit])?;
        let entry = |line: &[u8]| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let head = std::str::from_utf8(&line[..tab]).ok()?;
            let mut words = head.split(' ');
            let (mode, _, id) = (words.next()?, words.next()?, words.next()?);
            Some(Entry {
                mode: mode.to_owned(),
                id: id.to_owned(),
                path: line[tab + 1..].to_vec(),
            })
        };
        let lines = list.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        lines
            .map(|line| entry(line).ok_or_else(|| self.content(&"its tree cannot be read")))
            .collect()
    }

    /// Path and source of each submodule, at the commit that the tree names.
    fn submodules(&self) -> Result<Vec<(Vec<u8>, GitSource)>, GitError> {
        let links: Vec<_> = self
            .entries()?
            .into_iter()
            .filter(|entry| entry.mode == "160000")
            .collect();
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let blob = format!("{}:.gitmodules", self.commit);
        let list = self.output(&["config", "--blob", &blob, "--null", "--list"])?;
        let mut modules: std::collections::BTreeMap<String, (String, String)> =
            std::collections::BTreeMap::new();
        for pair in String::from_utf8_lossy(&list).split('\0') {
            let Some((key, value)) = pair.split_once('\n') else {
                continue;
            };
            let Some((name, field)) = key
                .strip_prefix("submodule.")
                .and_then(|rest| rest.rsplit_once('.'))
            else {
                continue;
            };
            let module = modules.entry(name.to_owned()).or_default();
            match field {
                "path" => value.clone_into(&mut module.0),
                "url" => value.clone_into(&mut module.1),
                _ => {}
            }
        }
        let source = |link: Entry| {
            let module = modules.values().find(|(path, _)| path.as_bytes() == link.path);
            let url = module.map(|(_, url)| url.as_str()).unwrap_or_default();
            let url = if url.starts_with("./") || url.starts_with("../") {
                let base = url::Url::parse(&format!("{}/", self.source.repository)).ok();
                base.and_then(|base| base.join(url).ok())
                    .map(String::from)
                    .unwrap_or_default()
            } else {
                url.to_owned()
            };
            let source = GitSource::new(&url, None, Some(&link.id));
            let source = source.map_err(|error: git_source::SourceError| {
                self.content(&format!(
                    "its submodule {}: {error}",
                    String::from_utf8_lossy(&link.path)
                ))
            })?;
            Ok((link.path, source))
        };
        links.into_iter().map(source).collect()
    }

    fn append_to(
        &self,
        tar: &mut tar::Builder<impl io::Write>,
        prefix: &[u8],
        time: u64,
    ) -> Result<(), io::Error> {
        use std::os::unix::ffi::OsStrExt as _;
        let entries = self.entries().map_err(io::Error::other)?;
        let mut child = self
            .git(&["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(mut ask), Some(answer)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("git has no pipes"));
        };
        let mut answer = BufReader::with_capacity(1 << 18, answer);
        for entry in entries.iter().filter(|entry| entry.mode != "160000") {
            writeln!(ask, "{}", entry.id)?;
            ask.flush()?;
            let mut line = String::new();
            answer.read_line(&mut line)?;
            let size = line
                .trim_end()
                .rsplit(' ')
                .next()
                .and_then(|text| text.parse::<u64>().ok());
            let size = size.ok_or_else(|| io::Error::other(format!("git answered {line:?}")))?;
            let path = [prefix, &entry.path].concat();
            let path = Path::new(std::ffi::OsStr::from_bytes(&path));
            let mut header = tar::Header::new_gnu();
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            let mut content = (&mut answer).take(size);
            if entry.mode == "120000" {
                let mut target = Vec::new();
                content.read_to_end(&mut target)?;
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, path, Path::new(std::ffi::OsStr::from_bytes(&target)))?;
            } else {
                header.set_mode(if entry.mode == "100755" { 0o755 } else { 0o644 });
                header.set_size(size);
                tar.append_data(&mut header, path, &mut content)?;
            }
            // Each content ends with a line feed of its own.
            answer.read_exact(&mut [0])?;
        }
        drop(ask);
        child.wait().map(drop)
    }
}

/// Git's only configuration: no helpers, no hooks, checks on, and repositories of other users may be read.
fn configuration(store: &Store) -> Result<PathBuf, StoreError> {
    let path = store.path().join("git/config");
    let text = "[core]\n\thooksPath = /dev/null\n[transfer]\n\tfsckObjects = true\n[fetch]\n\trecurseSubmodules = false\n\
                [protocol]\n\tallow = never\n\tversion = 2\n[protocol \"https\"]\n\tallow = always\n[protocol \"http\"]\n\tallow = always\n\
                [protocol \"file\"]\n\tallow = always\n[credential]\n\thelper =\n[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n";
    if std::fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(path);
    }
    super::write_atomically(&path, text.as_bytes())?;
    Ok(path)
}

/// What git said last, without what could steer a terminal.
fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("git gave no reason");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_stands_for_whole_path_parts_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("o/r.git")).unwrap();
        let mirror =
            |prefix: &str| -> GitMirror { format!("{prefix}={}/", folder.path().display()).parse().unwrap() };
        let place = mirror("https://github.com/")
            .place("https://github.com/o/r")
            .unwrap();
        assert!(
            place.starts_with("file://") && place.ends_with("/o/r.git"),
            "{place}"
        );
        assert_eq!(
            mirror("https://github.com/o/r").place("https://github.com/o/r2"),
            None
        );
        assert!("github.com=/srv".parse::<GitMirror>().is_err());
    }
}
