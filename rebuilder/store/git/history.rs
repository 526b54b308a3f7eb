//! Looks into a repository's history: for the commit that set a version, if a package names no commit and has no tag;
//! and for the last commit that had a file, if a release has it although its own commit does not.

use std::fs::File;

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
    use super::*;

    #[test]
    fn the_oldest_commit_comes_first() {
        let found = candidates("\0bb\n\na/package.json\npackage.json\n\0aa\n\npackage.json\n");
        let found: Vec<_> = found
            .iter()
            .map(|(commit, path)| format!("{commit}:{path}"))
            .collect();
        assert_eq!(found, ["aa:package.json", "bb:package.json", "bb:a/package.json"]);
    }
}
