//! Sources from git: one commit at a time, by its name, as a tar archive whose bytes depend on the commit alone.
//!
//! The git command fetches and checks (it names every object by its hash when it takes it in, and `fsck` does so
//! again before each reading); nothing of the user's configuration, credentials or hooks is in its reach.

mod checkout;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use url::Url;

use super::address::{self, AddressTrust, Barred, NotPublic};
use super::fetch::{Ask, RequestFailure};
use super::{Blob, Fetcher, Store, StoreError};
use crate::artifact::Sha256;
use crate::artifact::git_source;
use crate::artifact::git_source::GitSource;
use crate::ledger::Work;
pub use checkout::Checkout;
use checkout::{last_line, write_archive};

/// Longest that one fetch may take.
const FETCH_LIMIT: Duration = Duration::from_secs(1800);
/// Longest that listing tags may take.
const LISTING_LIMIT: Duration = Duration::from_secs(60);
/// Longest that reading a commit's objects again may take.
const CHECK_LIMIT: Duration = Duration::from_secs(900);
/// Most bytes that one fetch may add to a kept repository.
const GROWTH_LIMIT: u64 = 4 << 30;
/// How often the size of a growing repository is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Most bytes that git may print.
const OUTPUT_LIMIT: u64 = 64 << 20;
/// Submodules within submodules, and all of them together.
const DEPTH: usize = 4;
const MOST_SUBMODULES: usize = 256;

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
    fn place(&self, repository: &str) -> Option<Result<GitPlace, Barred>> {
        let rest = address::below(repository, &self.prefix)?;
        let folder = match Url::parse(&self.place) {
            Ok(url) if url.scheme() == "file" => url.to_file_path().ok(),
            Ok(_) if self.place.contains("://") => None,
            _ => Some(PathBuf::from(&self.place)),
        };
        Some(match folder {
            Some(folder) => local(&folder, rest, repository),
            None => remote(&self.place, rest, repository),
        })
    }
}

/// Where git is sent for a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
enum GitPlace {
    /// A folder of this machine, as a URL.
    Local(String),
    /// A host; its name means these addresses only (`HOST:PORT:ADDRESS,…`), if there are any.
    Http { url: String, pinned: Option<String> },
}

impl GitPlace {
    fn url(&self) -> &str {
        match self {
            Self::Local(url) | Self::Http { url, .. } => url,
        }
    }
}

/// A repository in a folder that the user named; a link must not lead out of that folder.
fn local(folder: &Path, rest: &str, repository: &str) -> Result<GitPlace, Barred> {
    let top = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let plain = match rest.trim_matches('/') {
        "" => top.clone(),
        rest => top.join(rest),
    };
    let bare = PathBuf::from(format!("{}.git", plain.display()));
    let found = if !plain.exists() && bare.exists() {
        bare
    } else {
        plain
    };
    let out = || Barred::new(repository, "it leads out of the folder of its mirror");
    if let (Ok(real), Ok(real_top)) = (found.canonicalize(), top.canonicalize())
        && found != top
        && !real.starts_with(&real_top)
        // The folder itself may lack the ending that the repository has.
        && real.as_os_str() != format!("{}.git", real_top.display()).as_str()
    {
        return Err(out());
    }
    let url = Url::from_file_path(found).map_err(|()| out())?;
    Ok(GitPlace::Local(url.into()))
}

/// A repository of a host that the user named.
fn remote(place: &str, rest: &str, repository: &str) -> Result<GitPlace, Barred> {
    let barred = |reason: &str| Barred::new(repository, reason);
    let top = Url::parse(place).map_err(|_| barred("its mirror is not an address"))?;
    if !["http", "https"].contains(&top.scheme()) {
        return Err(barred(
            "its mirror is neither a folder nor an address of http or https",
        ));
    }
    let url = Url::parse(&address::joined(place, rest));
    let url = url.map_err(|_| barred("its address below the mirror is not valid"))?;
    if url.origin() != top.origin() {
        return Err(barred("it leads out of its mirror"));
    }
    Ok(GitPlace::Http {
        url: url.into(),
        pinned: None,
    })
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
    #[error("cannot fetch {repository}: the address {address} is not followed: {reason}")]
    #[diagnostic(help(
        "addresses in evidence and packages may lead to public https hosts only; if you trust this one, give \
         --allow-host HOST[:PORT], or name a mirror of the repository: --git-mirror https://HOST/PATH=PLACE"
    ))]
    Barred {
        repository: String,
        address: String,
        reason: String,
    },
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
            let mut init = checkout.git(&["init", "--quiet", "--bare", "--"]);
            init.arg(checkout.folder());
            let done = run(init, CHECK_LIMIT, None).await?;
            done.map_err(|reason| checkout.damaged(&reason))?;
        }
        if !checkout.has_commit() {
            self.git_fetch(&checkout).await?;
        }
        let fsck = run(checkout.fsck(), CHECK_LIMIT, None).await?;
        fsck.map_err(|reason| checkout.damaged(&reason))?;
        checkout.check()?;
        Ok(checkout)
    }

    /// The tags that a repository has now, each with the commit that it leads to; never pinned, so only to find a commit.
    pub async fn git_tags(&self, repository: &str) -> Result<Vec<Tag>, GitError> {
        let failed = |reason: String| GitError::Tags {
            repository: repository.to_owned(),
            reason,
        };
        let place = self.git_place(repository).await;
        let place = place.map_err(|refusal| GitError::refused(repository, refusal, failed))?;
        let place = place.ok_or_else(|| failed("the run is offline".to_owned()))?;
        let folder = self.store().git(repository);
        let source = GitSource {
            repository: repository.to_owned(),
            reference: None,
            commit: None,
        };
        let asking = Checkout::new(&source, "", folder, configuration(self.store())?);
        let mut command = asking.git_to(&place, &["ls-remote", "--quiet", "--tags", "--", place.url()]);
        // There may be no kept copy yet.
        command.env_remove("GIT_DIR");
        let bar = self.progress().stage(format!("asking {repository} for its tags"));
        let entry = self.ledger().begin(Work::Download);
        let output = run(command, LISTING_LIMIT, None).await;
        drop(entry);
        bar.finish_and_clear();
        let listing = output?.map_err(failed)?;
        Ok(tags(&String::from_utf8_lossy(&listing)))
    }

    /// Where a repository is to be had: its own address, or the mirror that has it; none where the run is offline.
    async fn git_place(&self, repository: &str) -> Result<Option<GitPlace>, RequestFailure> {
        // A saved plan may spell it in any way; mirrors are looked for by the one spelling.
        let usual = git_source::address(repository);
        let usual =
            usual.map_err(|error| RequestFailure::Barred(Barred::new(repository, error.to_string())))?;
        let repository = usual.as_str();
        let mirrored = self
            .git_mirrors()
            .iter()
            .find_map(|mirror| mirror.place(repository));
        match mirrored.transpose().map_err(RequestFailure::Barred)? {
            // A mirror on this machine is no network.
            Some(place @ GitPlace::Local(_)) => Ok(Some(place)),
            _ if self.is_offline() => Ok(None),
            Some(place) => Ok(Some(place)),
            None => self.git_host(repository).await.map(Some),
        }
    }

    /// The address of a repository that no mirror has. Git itself checks no host and would follow a redirect anywhere,
    /// so redirects are followed and names are resolved here, and git is told where to go.
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
        // What answers elsewhere is no repository; git says so itself.
        let url = found.and_then(|text| Url::parse(text).ok()).unwrap_or(url);
        let trust = self
            .word()
            .redirect(&asked, trust, &url)
            .map_err(RequestFailure::Barred)?;
        let pinned = match (trust, url.host_str(), url.port_or_known_default()) {
            (AddressTrust::Outside, Some(host), Some(port)) => match address::resolve(host, port).await {
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
                    // A proxy may know names that this machine does not.
                    if address::proxies().is_empty() {
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
        // The tag is worth having for its signature; a mirror without it still has the commit.
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

    /// The commit's files as a tar archive in the store, and those of its submodules where they are wanted.
    pub async fn git_archive(&self, checkout: &Checkout, submodules: bool) -> Result<Blob, GitError> {
        let mut parts = vec![(Vec::new(), checkout.clone())];
        if submodules {
            let (mut from, mut depth) = (0, 0);
            while from < parts.len() {
                let mut found = Vec::new();
                for (prefix, parent) in parts.iter().skip(from) {
                    for (path, source) in parent.submodules()? {
                        if depth == DEPTH {
                            return Err(parent.content(&"its submodules are nested too deep"));
                        }
                        if parts.len().saturating_add(found.len()) > MOST_SUBMODULES {
                            return Err(parent.content(&"it has more submodules than any real source"));
                        }
                        let place = [prefix.as_slice(), &path, b"/"].concat();
                        found.push((place, self.git(&source).await?));
                    }
                }
                from = parts.len();
                depth = usize::saturating_add(depth, 1);
                parts.extend(found);
            }
        }
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

/// Whether an archive is still wanted; when its future is dropped, the thread that writes it must end.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl GitError {
    /// Whether an address was not followed, rather than something being out of reach.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Barred { .. })
    }

    fn refused(repository: &str, refusal: RequestFailure, failed: impl Fn(String) -> Self) -> Self {
        match refusal {
            RequestFailure::Barred(Barred { address, reason }) => Self::Barred {
                repository: crate::text::redacted(repository),
                address,
                reason,
            },
            RequestFailure::Store(error) => Self::Store(error),
            RequestFailure::Status(status) => failed(format!("HTTP status {status}")),
            RequestFailure::Trouble(reason) => failed(reason),
            RequestFailure::TooLarge => failed("it is too large".to_owned()),
        }
    }
}

/// What a name means for git, in curl's form.
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

/// Git and the helpers that it started, ended together.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Runs a git command, and gives what it printed or why it failed. It ends, with its helpers, when it takes longer than
/// `limit`, prints too much, makes a folder grow beyond its bound, or is no longer waited for.
async fn run(
    command: Command,
    limit: Duration,
    growing: Option<(&Path, u64)>,
) -> Result<Result<Vec<u8>, String>, GitError> {
    let mut command = tokio::process::Command::from(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(GitError::Missing)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = ProcessGroup(pid.map(Pid::from_raw));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (stdout, stderr) = tokio::join!(bounded(stdout), bounded(stderr));
        (stdout, stderr, child.wait().await)
    };
    let watch = async {
        let Some((folder, most)) = growing else {
            return std::future::pending().await;
        };
        let before = size(folder);
        loop {
            tokio::time::sleep(LOOK).await;
            if size(folder).saturating_sub(before) > most {
                return format!("it has more than {most} bytes");
            }
        }
    };
    let (stdout, stderr, status) = tokio::select! {
        done = work => done,
        reason = watch => return Ok(Err(reason)),
        () = tokio::time::sleep(limit) => return Ok(Err("it took too long".to_owned())),
    };
    group.0 = None;
    let status = status.map_err(GitError::Missing)?;
    Ok(match (stdout, stderr) {
        (Some(stdout), Some(_)) if status.success() => Ok(stdout),
        (Some(_), Some(stderr)) => Err(last_line(&stderr)),
        _ => Err(format!("git prints more than {OUTPUT_LIMIT} bytes")),
    })
}

/// All that a pipe gives; nothing where that is too much, and then the writer finds the pipe closed.
async fn bounded(pipe: Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let read = pipe.take(OUTPUT_LIMIT + 1).read_to_end(&mut bytes).await;
        read.ok().filter(|_| bytes.len() as u64 <= OUTPUT_LIMIT)?;
    }
    Some(bytes)
}

/// Bytes of the files in a folder.
fn size(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = files.filter(|entry| entry.file_type().is_file());
    files
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}

/// Removes what a fetch left that was ended; the caller has the repository to itself.
fn remove_parts(folder: &Path) {
    let files = walkdir::WalkDir::new(folder.join("objects"))
        .into_iter()
        .flatten();
    for file in files.filter(|entry| entry.file_type().is_file()) {
        if file.file_name().to_string_lossy().starts_with("tmp_") {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Git's only configuration: no helpers, no hooks, checks on, and repositories of other users may be read.
fn configuration(store: &Store) -> Result<PathBuf, StoreError> {
    let path = store.git_config();
    let text = "[core]\n\thooksPath = /dev/null\n[transfer]\n\tfsckObjects = true\n[fetch]\n\trecurseSubmodules = false\n\
                [protocol]\n\tallow = never\n\tversion = 2\n[protocol \"https\"]\n\tallow = always\n[protocol \"http\"]\n\tallow = always\n\
                [protocol \"file\"]\n\tallow = always\n\
                [http]\n\tfollowRedirects = false\n\tlowSpeedLimit = 1024\n\tlowSpeedTime = 60\n[credential]\n\thelper =\n[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n";
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
            .unwrap()
            .unwrap();
        let expected = Url::from_file_path(folder.path().join("o/r.git")).unwrap();
        assert_eq!(place, GitPlace::Local(expected.into()));
        assert_eq!(
            mirror("https://github.com/o/r").place("https://github.com/o/r2"),
            None
        );
        assert!("github.com=/srv".parse::<GitMirror>().is_err());
        for (mirror, repository, expected) in [
            (
                "https://h.example/=http://127.0.0.1:3000",
                "https://h.example/o/r",
                Some("http://127.0.0.1:3000/o/r"),
            ),
            (
                "https://h.example=http://127.0.0.1",
                "https://h.example/1/r",
                Some("http://127.0.0.1/1/r"),
            ),
            (
                "https://h.example=http://127.0.0.1",
                "https://h.example.evil.example/r",
                None,
            ),
            (
                "https://h.example/o=http://127.0.0.1/o",
                "https://h.example/other/r",
                None,
            ),
        ] {
            let place = mirror.parse::<GitMirror>().unwrap().place(repository);
            assert_eq!(
                place.map(|place| place.unwrap().url().to_owned()).as_deref(),
                expected,
                "{repository}"
            );
        }
        let remote = |place: &str| {
            format!("https://h.example/={place}")
                .parse::<GitMirror>()
                .unwrap()
        };
        assert!(
            remote("ssh://h.example/")
                .place("https://h.example/o/r")
                .unwrap()
                .is_err()
        );
    }

    #[test]
    fn a_link_leads_out_of_no_mirror() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("mirror"), folder.path().join("private"));
        std::fs::create_dir_all(inside.join("o/r")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("o/out")).unwrap();
        std::os::unix::fs::symlink("r", inside.join("o/alias")).unwrap();
        let mirror: GitMirror = format!("https://h.example/={}", inside.display())
            .parse()
            .unwrap();
        for (name, good) in [("o/r", true), ("o/alias", true), ("o/out", false)] {
            let place = mirror.place(&format!("https://h.example/{name}")).unwrap();
            assert_eq!(place.is_ok(), good, "{name}");
        }
    }

    #[tokio::test]
    async fn a_fetch_that_grows_prints_or_lasts_too_much_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let sh = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).current_dir(folder.path());
            command
        };
        let growing = Some((folder.path(), 1 << 20));
        let long = Duration::from_secs(60);
        // A helper of the command, not the command itself, writes.
        let reason = run(
            sh("(head -c 1G /dev/zero > grows; sleep 61) & wait"),
            long,
            growing,
        )
        .await;
        assert!(reason.unwrap().unwrap_err().contains("more than 1048576 bytes"));
        let reason = run(sh("yes"), long, None).await;
        assert!(reason.unwrap().unwrap_err().contains("prints more"));
        let reason = run(
            sh("sleep 61 & echo $! > pid; wait"),
            Duration::from_millis(300),
            None,
        )
        .await;
        assert!(reason.unwrap().unwrap_err().contains("too long"));
        let pid: i32 = std::fs::read_to_string(folder.path().join("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        for _ in 0..50 {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the helper still runs");
    }
}
