//! Asks git about a checkout, without using the checkout's settings.
//!
//! A repository's settings can name programs that git runs: monitors, pagers, signature checkers, helpers that fetch
//! missing objects. They come with the folder, so git is given an empty repository without settings, with the index and
//! the objects of the checkout. The user's own settings still apply.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bounded;

/// The repository that a folder is checked out of.
pub(super) struct Checkout {
    /// The folder that is asked about.
    folder: PathBuf,
    /// The top of the checkout.
    top: PathBuf,
    /// The folder with this checkout's index and HEAD.
    own: PathBuf,
    /// The folder that all checkouts of the repository share: objects and refs.
    shared: PathBuf,
    /// A repository without settings.
    bare: tempfile::TempDir,
}

impl Checkout {
    /// The checkout that a folder is in, if it is in one.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let folder = folder.canonicalize().ok()?;
        let top = folder
            .ancestors()
            .find(|place| place.join(".git").symlink_metadata().is_ok())?;
        let own = repository(top)?;
        let shared = match line(&own.join("commondir")) {
            Some(shared) => own.join(shared),
            None => own.clone(),
        };
        Some(Self {
            top: top.to_owned(),
            own,
            shared,
            bare: bare().ok()?,
            folder,
        })
    }

    /// The files below the folder that git tracks, and those it would track if they were added.
    pub(super) fn files(&self) -> Option<Vec<PathBuf>> {
        let mut words = vec!["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        // What only this repository ignores is a file of it.
        let excluded = self.shared.join("info/exclude");
        let exclude = format!("--exclude-from={}", excluded.display());
        if excluded.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            words.push(&exclude);
        }
        let listed = self.ask(&words)?;
        let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let paths: Vec<_> = names
            .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name)))
            .collect();
        (!paths.is_empty()).then_some(paths)
    }

    /// The time of the checked-out commit, in Unix seconds.
    pub(super) fn time(&self) -> Option<i64> {
        let commit = self.commit()?;
        let text = self.ask(&["cat-file", "commit", &commit])?;
        let text = String::from_utf8_lossy(&text);
        let mut headers = text.lines().take_while(|line| !line.is_empty());
        let committer = headers.find_map(|line| line.strip_prefix("committer "))?;
        let mut words = committer.rsplit(' ');
        words.next()?;
        words.next()?.parse().ok()
    }

    /// The commit that HEAD resolves to.
    fn commit(&self) -> Option<String> {
        let head = line(&self.own.join("HEAD"))?;
        let Some(name) = head.strip_prefix("ref: ") else {
            return is_commit(&head).then_some(head);
        };
        let plain = !name.split('/').any(|part| part.is_empty() || part == "..");
        let name = Some(name).filter(|name| plain && name.starts_with("refs/"))?;
        let loose = line(&self.own.join(name)).or_else(|| line(&self.shared.join(name)));
        let found = loose.or_else(|| {
            let packed = bounded::read_text(&self.shared.join("packed-refs"), bounded::DOCUMENT).ok()?;
            let rows = packed.lines().filter_map(|line| line.split_once(' '));
            let mut own = rows.filter(|(_, row)| *row == name);
            own.next().map(|(commit, _)| commit.to_owned())
        });
        found.filter(|commit| is_commit(commit))
    }

    fn ask(&self, words: &[&str]) -> Option<Vec<u8>> {
        let mut command = Command::new("git");
        command.args(words).current_dir(&self.folder);
        command
            .env("GIT_DIR", self.bare.path())
            .env("GIT_WORK_TREE", &self.top)
            .env("GIT_INDEX_FILE", self.own.join("index"))
            .env("GIT_OBJECT_DIRECTORY", self.shared.join("objects"))
            .env("GIT_OPTIONAL_LOCKS", "0")
            // Nothing that is missing is fetched.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "")
            .stderr(Stdio::null())
            .stdin(Stdio::null());
        let output = command.output().ok()?;
        output.status.success().then_some(output.stdout)
    }
}

/// The repository folder of a checkout. If there are several checkouts, a file names it.
fn repository(top: &Path) -> Option<PathBuf> {
    let place = top.join(".git");
    if place.symlink_metadata().ok()?.is_dir() {
        return Some(place);
    }
    Some(top.join(line(&place)?.strip_prefix("gitdir: ")?))
}

/// The only line of a short file, which must not be a link.
fn line(path: &Path) -> Option<String> {
    let text =
        bounded::read_text_within(path.parent()?, Path::new(path.file_name()?), bounded::SHORT).ok()?;
    Some(text.trim_end().to_owned())
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The minimum of a repository that git accepts.
fn bare() -> io::Result<tempfile::TempDir> {
    let place = tempfile::tempdir()?;
    for folder in ["objects", "refs"] {
        fs::create_dir(place.path().join(folder))?;
    }
    fs::write(place.path().join("HEAD"), "ref: refs/heads/none\n")?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, words: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-C"]);
        command
            .arg(folder)
            .args(words)
            .env("GIT_COMMITTER_DATE", "1700000000 +0100");
        assert!(command.output().unwrap().status.success(), "{words:?}");
    }

    fn project() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        git(place, &["init", "-q", "-b", "main"]);
        fs::create_dir(place.join("inner")).unwrap();
        for (name, text) in [
            ("a", "a"),
            ("inner/b", "b"),
            (".gitignore", "*.o\n"),
            ("c.o", "c"),
            ("new", "n"),
            ("own", "o"),
        ] {
            fs::write(place.join(name), text).unwrap();
        }
        fs::write(place.join(".git/info/exclude"), "own\n").unwrap();
        git(place, &["add", "a", "inner/b", ".gitignore"]);
        git(place, &["commit", "-qm", "x"]);
        folder
    }

    fn names(place: &Path) -> Vec<String> {
        let files = Checkout::of(place).unwrap().files().unwrap();
        let mut names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_git_tracks_or_would_track_is_listed_and_the_commit_has_its_time() {
        let folder = project();
        let place = folder.path();
        assert_eq!(names(place), [".gitignore", "a", "inner/b", "new"]);
        assert_eq!(names(&place.join("inner")), ["b"]);
        assert_eq!(Checkout::of(place).unwrap().time(), Some(1_700_000_000));
        git(place, &["pack-refs", "--all"]);
        assert_eq!(Checkout::of(place).unwrap().time(), Some(1_700_000_000));
        let other = tempfile::tempdir().unwrap();
        let tree = other.path().join("tree");
        git(
            place,
            &["worktree", "add", "-q", "--detach", tree.to_str().unwrap()],
        );
        assert_eq!(names(&tree), [".gitignore", "a", "inner/b"]);
        assert_eq!(Checkout::of(&tree).unwrap().time(), Some(1_700_000_000));
        assert!(Checkout::of(other.path()).is_none());
    }

    #[test]
    fn nothing_that_a_repository_names_is_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = project();
        let place = folder.path();
        let (evil, ran) = (place.join("evil"), place.join("ran"));
        fs::write(&evil, format!("#!/bin/sh\ntouch {}\nexit 1\n", ran.display())).unwrap();
        fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
        let program = evil.to_str().unwrap();
        for (key, value) in [
            ("core.fsmonitor", program),
            ("core.pager", program),
            ("core.hooksPath", place.to_str().unwrap()),
            ("log.showSignature", "true"),
            ("gpg.program", program),
            ("core.repositoryformatversion", "1"),
            ("extensions.partialClone", "origin"),
            ("remote.origin.url", place.to_str().unwrap()),
            ("remote.origin.promisor", "true"),
            ("remote.origin.uploadpack", program),
            ("core.alternateRefsCommand", program),
        ] {
            git(place, &["config", key, value]);
        }
        // A commit that is not there would be fetched.
        for commit in [None, Some("1234567890123456789012345678901234567890\n")] {
            if let Some(commit) = commit {
                fs::write(place.join(".git/HEAD"), commit).unwrap();
            }
            let checkout = Checkout::of(place).unwrap();
            assert!(checkout.files().is_some());
            assert_eq!(checkout.time().is_some(), commit.is_none());
        }
        assert!(!ran.exists());
    }
}
