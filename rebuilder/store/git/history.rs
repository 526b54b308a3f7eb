//! Looks into a repository's history: for the commit that set a version, if a package names no commit and has no tag;
//! and for the last commit that had a file, if a release has it although its own commit does not.

use std::fs::File;

use jiff::Timestamp;
use nix::fcntl::Flock;

use super::checkout::Checkout;
use super::command::{configuration, remove_parts, run};
use super::{CHECK_LIMIT, FETCH_LIMIT, GROWTH_LIMIT, GitError, GitPlace};
use crate::artifact::Sha256;
use crate::artifact::git_source::GitSource;
use crate::ledger::Work;
use crate::store::Fetcher;

/// Maximum number of commits that are examined.
const MOST: usize = 200;

/// A commit, and the file in it that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the commit.
    pub commit: String,
    /// Path of the file.
    pub path: String,
}

/// A commit, and the files in it that a later one removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Name of the commit.
    pub commit: String,
    /// Their paths.
    pub paths: Vec<String>,
}

impl Fetcher {
    /// The oldest commit of any branch that added `text` to a file called `name`, if `fits` accepts that file. The
    /// answer is never pinned; it only helps to find a commit. The history is kept apart from the commits that are
    /// built.
    pub async fn git_origin(
        &self,
        repository: &str,
        name: &str,
        text: &str,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Origin>, GitError> {
        let failed = |reason: String| unlisted(repository, reason);
        let (history, _lock) = self.history(repository).await?;
        let searched = format!("-S{text}");
        let glob = format!(":(glob)**/{name}");
        let log = history.git(&[
            "log",
            "--branches",
            "--no-show-signature",
            "--format=%x00%H",
            "--name-only",
            &searched,
            "--",
            &glob,
        ]);
        let listing = run(log, CHECK_LIMIT, None).await?.map_err(failed)?;
        for (commit, path) in candidates(&String::from_utf8_lossy(&listing)) {
            let show = history.git(&["cat-file", "blob", &format!("{commit}:{path}")]);
            // The commit that removes the text again is in the list too.
            if let Ok(file) = run(show, CHECK_LIMIT, None).await?
                && fits(&file)
            {
                return Ok(Some(Origin { commit, path }));
            }
        }
        Ok(None)
    }

    /// The commit before the one that removed one of these files, in the history of `commit`, and which of them it has.
    /// The first of them that was ever removed decides; `None` if none was. Like any answer from a history, this one
    /// is never pinned.
    pub async fn git_before_removal(
        &self,
        repository: &str,
        commit: &str,
        paths: &[String],
    ) -> Result<Option<Removed>, GitError> {
        let (history, _lock) = self.history(repository).await?;
        for path in paths {
            let literal = format!(":(literal){path}");
            let log = history.git(&[
                "log",
                "-1",
                "--no-show-signature",
                "--no-renames",
                "--diff-filter=D",
                "--format=%P",
                commit,
                "--",
                &literal,
            ]);
            // A commit of no branch has no history here.
            let Ok(parents) = run(log, CHECK_LIMIT, None).await? else {
                return Ok(None);
            };
            let parents = String::from_utf8_lossy(&parents);
            let Some(parent) = parents.split_whitespace().next() else {
                continue;
            };
            let mut there = Vec::new();
            for path in paths {
                let show = history.git(&["cat-file", "-e", &format!("{parent}:{path}")]);
                if run(show, CHECK_LIMIT, None).await?.is_ok() {
                    there.push(path.clone());
                }
            }
            return Ok(Some(Removed {
                commit: parent.to_owned(),
                paths: there,
            }));
        }
        Ok(None)
    }

    /// The last commit before a time that has `commit` in its history; `None` if there is none. Like any answer from a
    /// history, this one is never pinned.
    pub async fn git_last_before(
        &self,
        repository: &str,
        commit: &str,
        time: Timestamp,
    ) -> Result<Option<String>, GitError> {
        let (history, _lock) = self.history(repository).await?;
        let before = format!("--before={time}");
        let log = history.git(&[
            "log",
            "-1",
            "--no-show-signature",
            "--format=%H",
            &before,
            "--ancestry-path",
            "--branches",
            "--not",
            commit,
            "--",
        ]);
        // A commit of no branch has no history here.
        let found = run(log, CHECK_LIMIT, None).await?.unwrap_or_default();
        let found = String::from_utf8_lossy(&found).trim().to_owned();
        Ok((!found.is_empty()).then_some(found))
    }

    /// All branches of a repository, as they are now; while the lock is held, nobody else changes them.
    async fn history(&self, repository: &str) -> Result<(Checkout, Flock<File>), GitError> {
        let failed = |reason: String| unlisted(repository, reason);
        let kept = format!("{repository}#history");
        let source = GitSource {
            repository: repository.to_owned(),
            reference: None,
            commit: None,
        };
        let history = Checkout::new(&source, "", self.store().git(&kept), configuration(self.store())?);
        let lock = format!("git-{}", Sha256::of(&kept));
        let store = self.store().clone();
        let lock = tokio::task::spawn_blocking(move || store.exclusive(&lock)).await;
        let lock = lock.map_err(|error| history.content(&error))??;
        let place = self.git_place(repository).await;
        let place = place.map_err(|refusal| GitError::refused(repository, refusal, failed))?;
        let place = place.ok_or_else(|| failed("the run is offline".to_owned()))?;
        if !history.folder().exists() {
            let mut init = history.git(&["init", "--quiet", "--bare", "--"]);
            init.arg(history.folder());
            run(init, CHECK_LIMIT, None).await?.map_err(failed)?;
        }
        self.fetch_history(&history, &place, repository, failed).await?;
        Ok((history, lock))
    }

    /// Fetches all branches of a repository; leftovers of a failed fetch are removed.
    async fn fetch_history(
        &self,
        history: &Checkout,
        place: &GitPlace,
        repository: &str,
        failed: impl Fn(String) -> GitError,
    ) -> Result<(), GitError> {
        let bar = self
            .progress()
            .stage(format!("fetching the history of {repository}"));
        let fetch = history.git_to(
            place,
            &[
                "fetch",
                "--quiet",
                "--no-tags",
                "--prune",
                "--no-recurse-submodules",
                "--",
                place.url(),
                "+refs/heads/*:refs/heads/*",
            ],
        );
        let entry = self.ledger().begin(Work::Download);
        let fetched = run(fetch, FETCH_LIMIT, Some((history.folder(), GROWTH_LIMIT))).await?;
        drop(entry);
        bar.finish_and_clear();
        if let Err(reason) = fetched {
            remove_parts(history.folder());
            return Err(failed(reason));
        }
        Ok(())
    }
}

fn unlisted(repository: &str, reason: String) -> GitError {
    GitError::Tags {
        repository: repository.to_owned(),
        reason,
    }
}

/// Commits with the paths that they change, the oldest first.
fn candidates(listing: &str) -> Vec<(String, String)> {
    let commits = listing.split('\0').filter(|part| !part.is_empty()).take(MOST);
    let mut found: Vec<_> = commits
        .flat_map(|part| {
            let mut lines = part.lines().filter(|line| !line.is_empty());
            let commit = lines.next().unwrap_or_default().to_owned();
            lines.map(move |path| (commit.clone(), path.to_owned()))
        })
        .collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::progress::Progress;
    use crate::store::Store;

    #[test]
    fn the_oldest_commit_comes_first() {
        let found = candidates("\0bb\n\na/package.json\npackage.json\n\0aa\n\npackage.json\n");
        let found: Vec<_> = found
            .iter()
            .map(|(commit, path)| format!("{commit}:{path}"))
            .collect();
        assert_eq!(found, ["aa:package.json", "bb:package.json", "bb:a/package.json"]);
    }

    #[tokio::test]
    async fn the_last_commit_before_a_time_follows_the_named_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("repository");
        let git = |arguments: &[&str], time: u8| {
            let date = format!("2023-01-0{time}T12:00:00Z");
            let output = Command::new("git")
                .args(["-c", "user.name=A", "-c", "user.email=a@h.example", "-C"])
                .arg(&place)
                .args(arguments)
                .env("GIT_AUTHOR_DATE", &date)
                .env("GIT_COMMITTER_DATE", &date)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        std::fs::create_dir(&place).unwrap();
        git(&["init", "--quiet", "--initial-branch=main"], 1);
        let commit = |time: u8| {
            git(&["commit", "--quiet", "--allow-empty", "-m", "it"], time);
            git(&["rev-parse", "HEAD"], time)
        };
        let commits = [1, 2, 4].map(commit);
        // Another branch, which does not have the second commit.
        git(&["checkout", "--quiet", "-b", "other", &commits[0]], 1);
        let other = commit(3);
        let store = Store::open(Some(folder.path().join("store"))).unwrap();
        let repository = "https://h.example/o/r";
        let mirror = format!("{repository}={}/.git", place.display()).parse().unwrap();
        let fetcher = Fetcher::new(&store, Vec::new(), false, Progress::new(true));
        let fetcher = fetcher.with_git_mirrors(vec![mirror]);
        let unknown = "ab".repeat(20);
        for (from, day, expected) in [
            (&commits[0], 5, Some(&commits[2])),
            (&commits[1], 5, Some(&commits[2])),
            (&commits[1], 3, None),
            (&commits[0], 4, Some(&other)),
            (&commits[2], 5, None),
            (&unknown, 5, None),
        ] {
            let time = format!("2023-01-0{day}T00:00:00Z").parse().unwrap();
            let found = fetcher.git_last_before(repository, from, time).await.unwrap();
            assert_eq!(found.as_ref(), expected, "{from} {day}");
        }
    }
}
