//! Reading one commit: its objects, its files, its submodules, and all of it as an archive.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::GitError;
use super::mirror::GitPlace;
use crate::artifact::git_source;
use crate::artifact::git_source::GitSource;

/// Most bytes of a single file that is read into memory.
const FILE_LIMIT: u64 = 64 << 20;
/// Most bytes that git may print about one commit: two million files, each with a long path.
const OUTPUT_LIMIT: u64 = 256 << 20;
/// Most bytes of all files of an archive; a few objects that name each other many times make any number of files.
const ARCHIVE_LIMIT: u64 = 16 << 30;
/// Longest target of a symbolic link (`PATH_MAX`).
const LINK_LIMIT: u64 = 4096;

/// A commit in the store, checked.
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
struct TreeEntry {
    mode: String,
    id: String,
    path: Vec<u8>,
}

/// Writes the files of several commits, each below its prefix, in git's order.
///
/// It ends early, with an error, once `unwanted` is set.
pub(super) fn write_archive(
    parts: &[(Vec<u8>, Checkout)],
    out: impl io::Write,
    unwanted: &AtomicBool,
) -> Result<(), GitError> {
    let out = Until { out, unwanted };
    let mut left = ARCHIVE_LIMIT;
    let mut tar = tar::Builder::new(io::BufWriter::with_capacity(1 << 18, out));
    let Some((_, first)) = parts.first() else {
        return Ok(());
    };
    let time = first.time()?;
    for (prefix, checkout) in parts {
        checkout
            .append_to(&mut tar, prefix, time, &mut left)
            .map_err(|error| checkout.content(&error))?;
    }
    tar.into_inner()
        .and_then(|mut out| out.flush())
        .map_err(|error| first.content(&error))
}

/// Writes until it is no longer wanted.
struct Until<'a, W> {
    out: W,
    unwanted: &'a AtomicBool,
}

impl<W: io::Write> io::Write for Until<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unwanted.load(Ordering::Relaxed) {
            return Err(io::Error::other("the archive is no longer wanted"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Checkout {
    pub(super) fn new(source: &GitSource, commit: &str, folder: PathBuf, config: PathBuf) -> Self {
        Self {
            source: source.clone(),
            commit: commit.to_owned(),
            folder,
            config,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A git command on this repository, with an environment that holds nothing of the user's.
    pub(super) fn git(&self, arguments: &[&str]) -> Command {
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

    /// The same for a command that goes to another place: by the scheme of that place, and to its addresses only.
    pub(super) fn git_to(&self, place: &GitPlace, arguments: &[&str]) -> Command {
        let mut words = Vec::new();
        let pinned;
        let scheme = match place {
            GitPlace::Local(_) => "file",
            GitPlace::Http { url, pinned: pin } => {
                if let Some(pin) = pin {
                    pinned = format!("http.curloptResolve={pin}");
                    words.extend(["-c", pinned.as_str()]);
                }
                url.split(':').next().unwrap_or_default()
            }
        };
        words.extend(arguments);
        let mut command = self.git(&words);
        command.env("GIT_ALLOW_PROTOCOL", scheme);
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let child = self
            .git(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(GitError::Missing)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read = |pipe: Option<&mut dyn Read>, most: u64| {
            let mut bytes = Vec::new();
            pipe.map_or(Ok(0), |pipe| pipe.take(most).read_to_end(&mut bytes))?;
            Ok::<_, io::Error>(bytes)
        };
        let (stdout, stderr) = std::thread::scope(|scope| {
            let mut stderr = stderr;
            let said = scope.spawn(move || read(stderr.as_mut().map(|pipe| pipe as _), FILE_LIMIT));
            let mut stdout = stdout;
            let printed = read(stdout.as_mut().map(|pipe| pipe as _), OUTPUT_LIMIT + 1);
            drop(stdout);
            (printed, said.join().unwrap_or_else(|_| Ok(Vec::new())))
        });
        let status = child.wait().map_err(GitError::Missing)?;
        let (stdout, stderr) = (stdout.map_err(GitError::Missing)?, stderr.unwrap_or_default());
        if stdout.len() as u64 > OUTPUT_LIMIT {
            return Err(self.content(&format!("git prints more than {OUTPUT_LIMIT} bytes about it")));
        }
        if status.success() {
            return Ok(stdout);
        }
        Err(self.content(&last_line(&stderr)))
    }

    pub(super) fn content(&self, reason: &dyn std::fmt::Display) -> GitError {
        GitError::Content {
            repository: self.source.repository.clone(),
            commit: self.commit.clone(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn damaged(&self, reason: &str) -> GitError {
        GitError::Damaged {
            repository: self.source.repository.clone(),
            path: self.folder.clone(),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn has_commit(&self) -> bool {
        let object = format!("{}^{{commit}}", self.commit);
        self.output(&["cat-file", "-e", &object]).is_ok()
    }

    /// The command that reads every object of the commit again.
    pub(super) fn fsck(&self) -> Command {
        let kept = format!("refs/kept/{}", self.commit);
        self.git(&["fsck", "--no-dangling", "--no-progress", "--no-reflogs", &kept])
    }

    /// Makes sure that the name is a commit's own and no tag's or abbreviation's.
    pub(super) fn check(&self) -> Result<(), GitError> {
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

    /// A file of the commit; `None` if it has no such file.
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

    /// The paths of all files of the commit; those that are not UTF-8 are left out.
    pub fn paths(&self) -> Result<Vec<String>, GitError> {
        let entries = self.entries()?.into_iter();
        Ok(entries
            .filter_map(|entry| String::from_utf8(entry.path).ok())
            .collect())
    }

    fn entries(&self) -> Result<Vec<TreeEntry>, GitError> {
        let list = self.output(&["ls-tree", "-r", "-z", "--full-tree", &self.commit])?;
        let entry = |line: &[u8]| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let (head, path) = line.split_at_checked(tab)?;
            let head = std::str::from_utf8(head).ok()?;
            let mut words = head.split(' ');
            let (mode, _, id) = (words.next()?, words.next()?, words.next()?);
            Some(TreeEntry {
                mode: mode.to_owned(),
                id: id.to_owned(),
                path: path.strip_prefix(b"\t")?.to_vec(),
            })
        };
        let lines = list.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        lines
            .map(|line| entry(line).ok_or_else(|| self.content(&"its tree cannot be read")))
            .collect()
    }

    /// Path and source of each submodule, at the commit that the tree names.
    pub(super) fn submodules(&self) -> Result<Vec<(Vec<u8>, GitSource)>, GitError> {
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
        let source = |link: TreeEntry| {
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
        left: &mut u64,
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
            // A header takes a block, whatever the size.
            *left = left
                .checked_sub(size.saturating_add(512))
                .ok_or_else(|| io::Error::other(format!("its files have more than {ARCHIVE_LIMIT} bytes")))?;
            let path = [prefix, &entry.path].concat();
            let path = Path::new(std::ffi::OsStr::from_bytes(&path));
            let mut header = tar::Header::new_gnu();
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            let mut content = (&mut answer).take(size);
            if entry.mode == "120000" {
                if size > LINK_LIMIT {
                    return Err(io::Error::other("one of its links is longer than any path"));
                }
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

/// What git said last, as it is: a server may have put it there.
pub(super) fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let filled = || text.lines().rev().filter(|line| !line.trim().is_empty());
    // What follows the reason is advice.
    let line = filled()
        .find(|line| line.starts_with("fatal:"))
        .or_else(|| filled().next());
    let line = line.unwrap_or("git gave no reason");
    line.chars().take(300).collect()
}
