//! Sources from git: one commit at a time, by its name, as a tar archive whose bytes depend on the commit alone.
//!
//! The git command fetches and checks every object when it takes it in; each object is compared with its name again
//! when it is read. Git cannot reach the user's configuration, credentials or hooks.

mod archive;
mod checkout;
mod command;
mod error;
mod history;
mod lacking;
mod mirror;
mod named;
mod objects;
mod reach;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::Flock;
use url::Url;

use super::address::{AddressTrust, Barred};
use super::download::{Ask, RequestFailure};
use super::public::{self, NotPublic};
use super::{Blob, Fetcher};
use crate::artifact::Sha256;
use crate::artifact::git_source;
use crate::artifact::git_source::GitSource;
use crate::ledger::Work;
use archive::{Part, write_archive};
pub use checkout::Checkout;
use command::{configuration, remove_parts, run};
pub use error::GitError;
pub use history::Wanted;
pub use lacking::Lacking;
pub use mirror::GitMirror;
use mirror::GitPlace;

/// Maximum duration of one fetch.
const FETCH_LIMIT: Duration = Duration::from_mins(30);
/// Maximum duration of listing tags.
const LISTING_LIMIT: Duration = Duration::from_mins(1);
/// Maximum duration of a git command that works on a kept repository alone.
const CHECK_LIMIT: Duration = Duration::from_mins(15);
/// Maximum number of bytes that one fetch may add to a kept repository.
const GROWTH_LIMIT: u64 = 4 << 30;
/// Maximum depth of nested submodules, and maximum number of submodules in all.
const DEPTH: usize = 4;
const MOST_SUBMODULES: usize = 256;

/// Digests of archives, by repository, commit, and whether submodules are included.
pub(super) type GitArchives = HashMap<(String, String, bool), Sha256>;

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name, without `refs/tags/`.
    pub name: String,
    /// The commit that the tag leads to, through a tag object if there is one.
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

/// For fuzzing: reads the bytes of a tree object.
pub(super) fn read_tree(bytes: &[u8]) {
    drop(objects::tree(bytes, &"0".repeat(40)));
}

impl Fetcher {
    /// Returns the commit that `source` names, from the store or fetched; and the tag, if `source` names one.
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
            let mut init = checkout.git(&["init", "--quiet", "--bare", "--"]);
            init.arg(checkout.folder());
            let done = run(init, CHECK_LIMIT, None).await?;
            done.map_err(|reason| checkout.damaged(&reason))?;
        }
        if !checkout.is_kept()? {
            self.git_fetch(&checkout).await?;
            // The name may be that of a tag object.
            if !checkout.is_kept()? {
                return Err(checkout.content(&"the name is not that of a commit"));
            }
        }
        Ok(checkout)
    }

    /// Does the same, but falls back to the part of the commit that a mirror on this machine has.
    /// [`Checkout::lacking`] lists the missing files.
    pub async fn git_or_parts(&self, source: &GitSource) -> Result<Checkout, GitError> {
        let failed = match self.git(source).await {
            Err(error @ GitError::Fetch { .. }) => error,
            other => return other,
        };
        let (Ok(Some(GitPlace::Local(url))), Some(commit)) =
            (self.git_place(&source.repository).await, source.commit.as_deref())
        else {
            return Err(failed);
        };
        let Some(objects) = objects_at(&url) else {
            return Err(failed);
        };
        let folder = self.store().git(&source.repository);
        let checkout =
            Checkout::new(source, commit, folder, configuration(self.store())?).with_parts(objects);
        if checkout.is_kept()? {
            Ok(checkout)
        } else {
            Err(failed)
        }
    }

    /// The tags that a repository has now. The answer is never pinned; it only helps to find a commit.
    pub async fn git_tags(&self, repository: &str) -> Result<Vec<Tag>, GitError> {
        let place = self.place_of(repository).await?;
        let folder = self.store().git(repository);
        let source = GitSource {
            repository: repository.to_owned(),
            reference: None,
            commit: None,
        };
        let asking = Checkout::new(&source, "", folder, configuration(self.store())?);
        let mut command = asking.git_to(&place, &["ls-remote", "--quiet", "--tags", "--", place.url()]);
        // There may be no kept repository yet.
        command.env_remove("GIT_DIR");
        let bar = self.progress().stage(format!("asking {repository} for its tags"));
        let entry = self.ledger().begin(Work::Download);
        let output = run(command, LISTING_LIMIT, None).await;
        drop(entry);
        bar.finish_and_clear();
        let listing = output?.map_err(|reason| unlisted(repository, reason))?;
        Ok(tags(&String::from_utf8_lossy(&listing)))
    }

    /// A repository that is kept for one purpose, apart from the commits that are built; while the lock is held, nobody else
    /// changes it.
    async fn kept_apart(&self, repository: &str, purpose: &str) -> Result<(Checkout, Flock<File>), GitError> {
        let kept = format!("{repository}#{purpose}");
        let source = GitSource {
            repository: repository.to_owned(),
            reference: None,
            commit: None,
        };
        let apart = Checkout::new(&source, "", self.store().git(&kept), configuration(self.store())?);
        let lock = format!("git-{}", Sha256::of(&kept));
        let store = self.store().clone();
        let lock = tokio::task::spawn_blocking(move || store.exclusive(&lock)).await;
        let lock = lock.map_err(|error| apart.content(&error))??;
        if !apart.folder().exists() {
            let mut init = apart.git(&["init", "--quiet", "--bare", "--"]);
            init.arg(apart.folder());
            let made = run(init, CHECK_LIMIT, None).await?;
            made.map_err(|reason| unlisted(repository, reason))?;
        }
        Ok((apart, lock))
    }

    /// The place to fetch a repository from; an error if that needs the network and the run is offline.
    async fn place_of(&self, repository: &str) -> Result<GitPlace, GitError> {
        let failed = |reason: String| unlisted(repository, reason);
        let place = self.git_place(repository).await;
        let place = place.map_err(|refusal| GitError::refused(repository, refusal, failed))?;
        place.ok_or_else(|| failed("the run is offline".to_owned()))
    }

    /// The place to fetch a repository from: its own address, or the mirror that has it; `None` if that needs the
    /// network and the run is offline.
    async fn git_place(&self, repository: &str) -> Result<Option<GitPlace>, RequestFailure> {
        // A saved plan may spell the address in any way; mirrors are matched with the canonical spelling.
        let usual = git_source::address(repository);
        let usual =
            usual.map_err(|error| RequestFailure::Barred(Barred::new(repository, error.to_string())))?;
        let repository = usual.as_str();
        let mirrored = self
            .git_mirrors()
            .iter()
            .find_map(|mirror| mirror.place(repository));
        match mirrored.transpose().map_err(RequestFailure::Barred)? {
            // A mirror on this machine needs no network.
            Some(place @ GitPlace::Local(_)) => Ok(Some(place)),
            _ if self.is_offline() => Ok(None),
            Some(place) => Ok(Some(place)),
            None => self.git_host(repository).await.map(Some),
        }
    }

    /// The address of a repository that no mirror has. Git itself does not check hosts and would follow any redirect,
    /// so redirects and names are resolved here, and git is told the result.
    async fn git_host(&self, repository: &str) -> Result<GitPlace, RequestFailure> {
        let url = Url::parse(repository);
        let url = url.map_err(|_| RequestFailure::Barred(Barred::new(repository, "it is not an address")))?;
        let trust = self.word().admit(&url).map_err(RequestFailure::Barred)?;
        let question = "/info/refs?service=git-upload-pack";
        let asked = Url::parse(&format!("{}{question}", repository.trim_end_matches('/')));
        let asked =
            asked.map_err(|_| RequestFailure::Barred(Barred::new(repository, "it is not an address")))?;
        let answer = self.request(&asked, trust, Ask::default()).await?;
        let found = answer.url().as_str().strip_suffix(question);
        // If the target is not a repository, git reports that itself.
        let url = found.and_then(|text| Url::parse(text).ok()).unwrap_or(url);
        let trust = self
            .word()
            .redirect(&asked, trust, &url)
            .map_err(RequestFailure::Barred)?;
        let pinned = match (trust, url.host_str(), url.port_or_known_default()) {
            (AddressTrust::Outside, Some(host), Some(port)) => match public::resolve(host, port).await {
                Ok(addresses) => Some(pin(host, port, &addresses)),
                Err(error) => {
                    let not_public = error
                        .get_ref()
                        .and_then(|error| error.downcast_ref::<NotPublic>());
                    if let Some(not_public) = not_public {
                        return Err(RequestFailure::Barred(Barred::new(
                            url.as_str(),
                            not_public.to_string(),
                        )));
                    }
                    // A proxy may resolve names that this machine cannot.
                    if public::proxies().is_empty() {
                        return Err(RequestFailure::Trouble(error.to_string()));
                    }
                    None
                }
            },
            _ => None,
        };
        Ok(GitPlace::Http {
            url: url.into(),
            pinned,
        })
    }

    async fn git_fetch(&self, checkout: &Checkout) -> Result<(), GitError> {
        let repository = &checkout.source.repository;
        let failed = |reason: String| GitError::Fetch {
            repository: repository.clone(),
            commit: checkout.commit.clone(),
            reason,
        };
        let place = self.git_place(repository).await;
        let place = place.map_err(|refusal| GitError::refused(repository, refusal, failed))?;
        let place = place.ok_or_else(|| GitError::Offline {
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
        // The tag is fetched for its signature; a mirror without it may still have the commit.
        for tag in [tag.as_deref(), None] {
            let mut arguments = vec![
                "fetch",
                "--quiet",
                "--depth=1",
                "--no-tags",
                "--no-recurse-submodules",
                "--",
                place.url(),
                &keep,
            ];
            arguments.extend(tag);
            let command = checkout.git_to(&place, &arguments);
            let _entry = self.ledger().begin(Work::Download);
            let growing = Some((checkout.folder(), GROWTH_LIMIT));
            result = run(command, FETCH_LIMIT, growing).await?.map(drop);
            if result.is_ok() || tag.is_none() {
                break;
            }
        }
        bar.finish_and_clear();
        if result.is_err() {
            remove_parts(checkout.folder());
        }
        result.map_err(failed)
    }

    /// The commit's files as a tar archive in the store, with those of its submodules if they are wanted.
    ///
    /// Every plan of a process asks for the archive again, so it is made only once.
    pub async fn git_archive(&self, checkout: &Checkout, submodules: bool) -> Result<Blob, GitError> {
        let name = (
            checkout.source.repository.clone(),
            checkout.commit.clone(),
            submodules,
        );
        let made = self.git_archives().get(&name).copied();
        if let Some(made) = made
            && let Some(blob) = self.store().get(made)?
        {
            return Ok(blob);
        }
        let blob = self.make_git_archive(checkout, submodules).await?;
        self.git_archives().insert(name, blob.sha256);
        Ok(blob)
    }

    async fn make_git_archive(&self, checkout: &Checkout, submodules: bool) -> Result<Blob, GitError> {
        let part = |prefix: Vec<u8>, checkout: Checkout| Part {
            prefix,
            checkout,
            without: Vec::new(),
        };
        let mut parts = vec![part(Vec::new(), checkout.clone())];
        if submodules {
            let (mut from, mut depth) = (0, 0);
            while from < parts.len() {
                let mut found = Vec::new();
                for Part {
                    prefix,
                    checkout: parent,
                    ..
                } in parts.iter().skip(from)
                {
                    for (path, source) in parent.submodules()? {
                        if depth == DEPTH {
                            return Err(parent.content(&"its submodules are nested too deep"));
                        }
                        if parts.len().saturating_add(found.len()) > MOST_SUBMODULES {
                            return Err(parent.content(&"it has more submodules than any real source"));
                        }
                        let place = [prefix.as_slice(), &path, b"/"].concat();
                        found.push(part(place, self.git(&source).await?));
                    }
                }
                from = parts.len();
                depth = usize::saturating_add(depth, 1);
                parts.extend(found);
            }
        }
        self.archive_of(parts, checkout).await
    }

    /// The commit's files, except those with these paths, as a tar archive in the store.
    pub async fn git_archive_without(
        &self,
        checkout: &Checkout,
        without: &[String],
    ) -> Result<Blob, GitError> {
        let part = Part {
            prefix: Vec::new(),
            checkout: checkout.clone(),
            without: without.to_vec(),
        };
        self.archive_of(vec![part], checkout).await
    }

    async fn archive_of(&self, parts: Vec<Part>, checkout: &Checkout) -> Result<Blob, GitError> {
        let store = self.store().clone();
        let whole = checkout.clone();
        let wanted = StopOnDrop::default();
        let flag = wanted.0.clone();
        let written = tokio::task::spawn_blocking(move || {
            let (mut reader, writer) = io::pipe().map_err(|error| whole.content(&error))?;
            std::thread::scope(|scope| {
                let producer = scope.spawn(move || write_archive(&parts, writer, &flag));
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

/// The error if a repository does not tell its branches and tags.
fn unlisted(repository: &str, reason: String) -> GitError {
    GitError::Tags {
        repository: repository.to_owned(),
        reason,
    }
}

/// The folder of objects of a repository on this machine.
fn objects_at(url: &str) -> Option<PathBuf> {
    let folder = Url::parse(url).ok().and_then(|url| url.to_file_path().ok())?;
    let mut objects = [folder.join("objects"), folder.join(".git/objects")].into_iter();
    // Git splits the variable that names the folder at colons, and removes quotes.
    objects.find(|path| path.is_dir() && !path.to_string_lossy().contains([':', '"']))
}

/// Whether an archive is still wanted: if its future is dropped, the thread that writes it must end.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The addresses of a host, as git's `http.curloptResolve` wants them.
fn pin(host: &str, port: u16, addresses: &[SocketAddr]) -> String {
    let addresses: Vec<_> = addresses
        .iter()
        .map(|address| match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        })
        .collect();
    format!("{host}:{port}:{}", addresses.join(","))
}
