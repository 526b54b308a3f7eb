//! Finds the commit of a repository's history that set a version, for packages that name no commit and have no tag.

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
        let failed = |reason: String| GitError::Tags {
            repository: repository.to_owned(),
            reason,
        };
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
        let _lock = lock.map_err(|error| history.content(&error))??;
        let place = self.git_place(repository).await;
        let place = place.map_err(|refusal| GitError::refused(repository, refusal, failed))?;
        let place = place.ok_or_else(|| failed("the run is offline".to_owned()))?;
        if !history.folder().exists() {
            let mut init = history.git(&["init", "--quiet", "--bare", "--"]);
            init.arg(history.folder());
            run(init, CHECK_LIMIT, None).await?.map_err(failed)?;
        }
        self.fetch_history(&history, &place, repository, failed).await?;
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
