//! Reads one commit: its objects, its files and its submodules.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::GitError;
use super::mirror::GitPlace;
use super::objects::{Objects, TreeEntry, tree};
use crate::artifact::git_source;
use crate::artifact::git_source::GitSource;

/// Maximum number of bytes of a single file that is read into memory.
pub(super) const FILE_LIMIT: u64 = 64 << 20;
/// Maximum number of bytes that git may print about one commit: enough for two million files with long paths.
const OUTPUT_LIMIT: u64 = 256 << 20;
/// Kinds of objects.
const COMMIT: &str = "commit";
const TREE: &str = "tree";
pub(super) const BLOB: &str = "blob";
/// Modes of entries in trees.
const TREE_MODE: &str = "40000";
pub(super) const LINK_MODE: &str = "120000";
pub(super) const SUBMODULE_MODE: &str = "160000";

/// A commit in the store, checked.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// The repository that it is from; the source's commit is set.
    pub source: GitSource,
    /// Name of the commit.
    pub commit: String,
    folder: PathBuf,
    config: PathBuf,
    /// The folder of objects of a mirror that has only a part of the commit.
    pub(super) parts: Option<PathBuf>,
}

impl Checkout {
    pub(super) fn new(source: &GitSource, commit: &str, folder: PathBuf, config: PathBuf) -> Self {
        Self {
            source: source.clone(),
            commit: commit.to_owned(),
            folder,
            config,
            parts: None,
        }
    }

    /// The same commit, together with the objects of a mirror's folder.
    pub(super) fn with_parts(self, objects: PathBuf) -> Self {
        Self {
            parts: Some(objects),
            ..self
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A git command on this repository; its environment has nothing of the user's.
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
            .envs(
                self.parts
                    .iter()
                    .map(|parts| ("GIT_ALTERNATE_OBJECT_DIRECTORIES", parts)),
            )
            .current_dir("/")
            .args(arguments);
        command
    }

    /// A git command that may connect to `place`: only by that place's scheme, and only to its addresses.
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

    /// Whether the commit is in the repository; an error if the name is that of another kind of object.
    pub(super) fn is_kept(&self) -> Result<bool, GitError> {
        let commit = self.objects()?.read(&self.commit, COMMIT, FILE_LIMIT);
        Ok(commit.map_err(|error| self.unread(&error))?.is_some())
    }

    /// The error for an object that could not be read.
    pub(super) fn unread(&self, error: &io::Error) -> GitError {
        match error.kind() {
            io::ErrorKind::InvalidData => self.damaged(&error.to_string()),
            _ => self.content(error),
        }
    }

    fn objects(&self) -> Result<Objects, GitError> {
        Objects::open(self).map_err(GitError::Missing)
    }

    /// Reads an object that must be in the repository.
    fn read(&self, objects: &mut Objects, name: &str, kind: &str, limit: u64) -> Result<Vec<u8>, GitError> {
        let found = objects
            .read(name, kind, limit)
            .map_err(|error| self.unread(&error))?;
        found.ok_or_else(|| self.damaged(&format!("the {kind} {name} is missing")))
    }

    /// The raw commit.
    pub fn commit_object(&self) -> Result<Vec<u8>, GitError> {
        self.read(&mut self.objects()?, &self.commit, COMMIT, FILE_LIMIT)
    }

    /// The name of the commit's tree.
    fn top(&self, objects: &mut Objects) -> Result<String, GitError> {
        let commit = self.read(objects, &self.commit, COMMIT, FILE_LIMIT)?;
        let tree = field(&commit, "tree").map(str::to_owned);
        tree.ok_or_else(|| self.content(&"it names no tree"))
    }

    /// The raw tag object, if the source names an annotated tag, and whether it points to the commit.
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
        let commit = self.commit_object()?;
        // The name and the address of the committer come first, then the time, then the zone.
        let time = field(&commit, "committer").and_then(|text| text.rsplit(' ').nth(1)?.parse().ok());
        time.ok_or_else(|| self.content(&"its time cannot be read"))
    }

    /// A file of the commit; `None` if it has no such file.
    pub fn file(&self, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let mut objects = self.objects()?;
        let mut id = self.top(&mut objects)?;
        let mut kind = TREE;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if kind != TREE {
                return Ok(None);
            }
            let bytes = self.read(&mut objects, &id, TREE, OUTPUT_LIMIT)?;
            let entries = tree(&bytes, &id).map_err(|error| self.content(&error))?;
            let Some(entry) = entries.into_iter().find(|entry| entry.path == part.as_bytes()) else {
                return Ok(None);
            };
            kind = match entry.mode.as_str() {
                TREE_MODE => TREE,
                SUBMODULE_MODE => return Ok(None),
                _ => BLOB,
            };
            id = entry.id;
        }
        if kind != BLOB {
            return Ok(None);
        }
        self.read(&mut objects, &id, BLOB, FILE_LIMIT).map(Some)
    }

    /// The paths of all files of the commit; paths that are not UTF-8 are left out.
    pub fn paths(&self) -> Result<Vec<String>, GitError> {
        let entries = self.entries()?.into_iter();
        Ok(entries
            .filter_map(|entry| String::from_utf8(entry.path).ok())
            .collect())
    }

    /// The files, links and submodules of the commit, in git's order, each with its path from the top.
    pub(super) fn entries(&self) -> Result<Vec<TreeEntry>, GitError> {
        let objects = &mut self.objects()?;
        let top = TreeEntry {
            mode: TREE_MODE.to_owned(),
            id: self.top(objects)?,
            path: Vec::new(),
        };
        let (mut open, mut found) = (vec![top], Vec::new());
        // A few trees that name each other many times can make any number of files.
        let mut left = OUTPUT_LIMIT;
        while let Some(entry) = open.pop() {
            if entry.mode != TREE_MODE {
                found.push(entry);
                continue;
            }
            let bytes = self.read(objects, &entry.id, TREE, OUTPUT_LIMIT)?;
            let mut children = tree(&bytes, &entry.id).map_err(|error| self.content(&error))?;
            let paths = children
                .len()
                .saturating_mul(entry.path.len())
                .saturating_add(bytes.len());
            left = left.checked_sub(paths as u64).ok_or_else(|| {
                self.content(&format!(
                    "the list of its files has more than {OUTPUT_LIMIT} bytes"
                ))
            })?;
            if !entry.path.is_empty() {
                for child in &mut children {
                    child.path = [entry.path.as_slice(), b"/", &child.path].concat();
                }
            }
            open.extend(children.into_iter().rev());
        }
        Ok(found)
    }

    /// The path and the source of each submodule, at the commit that the tree names.
    pub(super) fn submodules(&self) -> Result<Vec<(Vec<u8>, GitSource)>, GitError> {
        let links: Vec<_> = self
            .entries()?
            .into_iter()
            .filter(|entry| entry.mode == SUBMODULE_MODE)
            .collect();
        if links.is_empty() {
            return Ok(Vec::new());
        }
        // This compares the file with its object name; git reads the same bytes afterwards.
        self.file(".gitmodules")?;
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
}

/// The value of the first line of a commit with this field.
fn field<'a>(commit: &'a [u8], name: &str) -> Option<&'a str> {
    let head = commit
        .split(|byte| *byte == b'\n')
        .take_while(|line| !line.is_empty());
    let mut values = head.filter_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b" "));
    std::str::from_utf8(values.next()?).ok()
}

/// The line in which git gives its reason, unescaped: a server may have written it.
pub(super) fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let filled = || text.lines().rev().filter(|line| !line.trim().is_empty());
    // The lines after the reason are advice.
    let line = filled()
        .find(|line| line.starts_with("fatal:"))
        .or_else(|| filled().next());
    let line = line.unwrap_or("git gave no reason");
    line.chars().take(300).collect()
}
