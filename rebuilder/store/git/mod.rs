//! Sources from git: one commit at a time, by its name, as a tar archive whose bytes depend on the commit alone.
//!
//! The git command fetches and checks (it names every object by its hash when it takes it in, and `fsck` does so
//! again before each reading); nothing of the user's configuration, credentials or hooks is in its reach.

mod checkout;

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use super::{Blob, Fetcher, Store, StoreError};
use crate::artifact::Sha256;
use crate::evidence::git_source::GitSource;
use crate::ledger::Work;
pub use checkout::Checkout;
use checkout::{last_line, write_archive};

/// Longest that one fetch may take.
const FETCH_LIMIT: Duration = Duration::from_secs(1800);
/// Longest that listing tags may take.
const LISTING_LIMIT: Duration = Duration::from_secs(60);
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

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name, without `refs/tags/`.
    pub name: String,
    /// The commit that it leads to, through a tag object where there is one.
    pub commit: String,
}

/// The tags in what `git ls-remote` prints; `^{}` marks the commit behind a tag object.
fn tags(listing: &str) -> Vec<Tag> {
    let mut found = std::collections::BTreeMap::new();
    for line in listing.lines() {
        let Some((commit, name)) = line.split_once("\trefs/tags/") else {
            continue;
        };
        if let Some(name) = name.strip_suffix("^{}") {
            found.insert(name.to_owned(), commit.to_owned());
        } else {
            found.entry(name.to_owned()).or_insert_with(|| commit.to_owned());
        }
    }
    let tag = |(name, commit)| Tag { name, commit };
    found.into_iter().map(tag).collect()
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
    #[error("cannot list the tags of {repository}: {reason}")]
    #[diagnostic(help(
        "check the network, or name a mirror of the repository: --git-mirror https://HOST/PATH=FOLDER"
    ))]
    Tags { repository: String, reason: String },
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

impl Fetcher {
    /// Brings the commit that `source` names into the store, or finds it there; and the tag, where it names one.
    pub async fn git(&self, source: &GitSource) -> Result<Checkout, GitError> {
        let commit = source.commit.clone().ok_or_else(|| GitError::NoCommit {
            repository: source.repository.clone(),
        })?;
        let folder = self.store().git(&source.repository);
        let checkout = Checkout::new(source, &commit, folder, configuration(self.store())?);
        let name = format!("git-{}", Sha256::of(&source.repository));
        let store = self.store().clone();
        let lock = tokio::task::spawn_blocking(move || store.exclusive(&name)).await;
        let _lock = lock.map_err(|error| checkout.content(&error))??;
        if !checkout.folder().exists() {
            let initialised = checkout
                .git(&["init", "--quiet", "--bare", "--"])
                .arg(checkout.folder())
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

    /// The tags that a repository has now, each with the commit that it leads to; never pinned, so only to find a commit.
    pub async fn git_tags(&self, repository: &str) -> Result<Vec<Tag>, GitError> {
        let failed = |reason: String| GitError::Tags {
            repository: repository.to_owned(),
            reason,
        };
        let place = self.git_place(repository);
        let place = place.ok_or_else(|| failed("the run is offline".to_owned()))?;
        let folder = self.store().git(repository);
        let source = GitSource {
            repository: repository.to_owned(),
            reference: None,
            commit: None,
        };
        let asking = Checkout::new(&source, "", folder, configuration(self.store())?);
        let mut command = asking.git(&["ls-remote", "--quiet", "--tags", "--", &place]);
        // There may be no kept copy yet.
        command.env_remove("GIT_DIR");
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let bar = self.progress().stage(format!("asking {repository} for its tags"));
        let entry = self.ledger().begin(Work::Download);
        let output = tokio::time::timeout(LISTING_LIMIT, command.output()).await;
        drop(entry);
        bar.finish_and_clear();
        let output = output
            .map_err(|_| failed("it took too long".to_owned()))?
            .map_err(GitError::Missing)?;
        if !output.status.success() {
            return Err(failed(last_line(&output.stderr)));
        }
        Ok(tags(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Where a repository is to be had: its own address, or the mirror that has it; none where the run is offline.
    fn git_place(&self, repository: &str) -> Option<String> {
        let mirrored = self
            .git_mirrors()
            .iter()
            .find_map(|mirror| mirror.place(repository));
        // A mirror on this machine is no network.
        let is_local = mirrored
            .as_deref()
            .is_some_and(|place| place.starts_with("file://"));
        let reachable = is_local || !self.is_offline();
        reachable.then(|| mirrored.unwrap_or_else(|| repository.to_owned()))
    }

    async fn git_fetch(&self, checkout: &Checkout) -> Result<(), GitError> {
        let repository = &checkout.source.repository;
        let place = self.git_place(repository);
        let url = place.ok_or_else(|| GitError::Offline {
            repository: repository.clone(),
            commit: checkout.commit.clone(),
        })?;
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
            let _entry = self.ledger().begin(Work::Download);
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
