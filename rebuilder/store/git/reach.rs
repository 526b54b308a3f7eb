//! Whether a commit belongs to a repository: whether it is in the history of one of its branches or tags.
//!
//! Git hosts keep the commits of forks and of pull requests with those of the repository itself, and serve them under
//! its address. So anyone can have such a commit there, and that a repository serves a commit says nothing about who
//! accepted it.

use std::collections::BTreeSet;

use super::checkout::Checkout;
use super::command::{remove_parts, run};
use super::{
    CHECK_LIMIT, FETCH_LIMIT, GROWTH_LIMIT, GitError, GitPlace, LISTING_LIMIT, objects_at, unlisted,
};
use crate::ledger::Work;
use crate::store::{Fetcher, write_atomically};

/// What the kept repository is for that has commits without their files.
const COMMITS: &str = "commits";
/// Maximum number of branches and tags whose histories are searched.
const MOST_REFERENCES: usize = 20_000;

impl Fetcher {
    /// Whether a branch or a tag of the repository has the commit in its history now. Once it has, the store remembers
    /// it.
    pub async fn git_is_reachable(&self, repository: &str, commit: &str) -> Result<bool, GitError> {
        let failed = |reason: String| unlisted(repository, reason);
        let (commits, _lock) = self.kept_apart(repository, COMMITS).await?;
        let known = commits.folder().join("reachable");
        if std::fs::read_to_string(&known).is_ok_and(|known| known.lines().any(|line| line == commit)) {
            return Ok(true);
        }
        let place = self.place_of(repository).await?;
        let ends = self.ends(&commits, &place).await?.map_err(failed)?;
        if !ends.contains(commit) && !self.have(commits, &place, &ends, commit).await? {
            return Ok(false);
        }
        let mut found = std::fs::read_to_string(&known).unwrap_or_default();
        found.push_str(commit);
        found.push('\n');
        write_atomically(&known, found.as_bytes())?;
        Ok(true)
    }

    /// Whether one of these commits of the repository is this one, or has it in its history.
    pub async fn git_is_before(
        &self,
        repository: &str,
        commit: &str,
        ends: &BTreeSet<String>,
    ) -> Result<bool, GitError> {
        if ends.is_empty() || ends.contains(commit) {
            return Ok(!ends.is_empty());
        }
        let (commits, _lock) = self.kept_apart(repository, COMMITS).await?;
        let place = self.place_of(repository).await?;
        self.have(commits, &place, ends, commit).await
    }

    /// Whether the history of these commits has this one.
    async fn have(
        &self,
        commits: Checkout,
        place: &GitPlace,
        ends: &BTreeSet<String>,
        commit: &str,
    ) -> Result<bool, GitError> {
        let repository = commits.source.repository.clone();
        let commits = self.with_commits(commits, place).await?;
        let mut arguments = vec!["rev-list", "--ignore-missing"];
        arguments.extend(ends.iter().map(String::as_str));
        let all = run(commits.git(&arguments), CHECK_LIMIT, None).await?;
        let all = all.map_err(|reason| unlisted(&repository, reason))?;
        Ok(all
            .split(|byte| *byte == b'\n')
            .any(|line| line == commit.as_bytes()))
    }

    /// The commits at which branches and tags end.
    async fn ends(
        &self,
        commits: &Checkout,
        place: &GitPlace,
    ) -> Result<Result<BTreeSet<String>, String>, GitError> {
        let list = commits.git_to(
            place,
            &["ls-remote", "--quiet", "--heads", "--tags", "--", place.url()],
        );
        let _entry = self.ledger().begin(Work::Download);
        let listing = run(list, LISTING_LIMIT, None).await?;
        Ok(listing.map(|listing| {
            let listing = String::from_utf8_lossy(&listing);
            let names = listing.lines().filter_map(|line| line.split_once('\t'));
            let names = names.map(|(name, _)| name.to_owned());
            names.take(MOST_REFERENCES).collect()
        }))
    }

    /// The repository with the commits of all branches and tags, without their files: those of a mirror on this machine
    /// are left where they are.
    async fn with_commits(&self, commits: Checkout, place: &GitPlace) -> Result<Checkout, GitError> {
        if let GitPlace::Local(url) = place
            && let Some(objects) = objects_at(url)
        {
            return Ok(commits.with_parts(objects));
        }
        let repository = &commits.source.repository;
        let bar = self
            .progress()
            .stage(format!("fetching the list of commits of {repository}"));
        let entry = self.ledger().begin(Work::Download);
        let heads = "+refs/heads/*:refs/heads/*";
        let mut fetched = Err(String::new());
        // A tag of something else than a commit cannot be fetched in this way.
        for tags in [Some("+refs/tags/*:refs/tags/*"), None] {
            // Only names are read from these commits, so old faults in their form do not matter.
            let mut arguments = vec!["-c", "transfer.fsckObjects=false", "fetch", "--quiet"];
            arguments.extend([
                "--filter=tree:0",
                "--no-tags",
                "--prune",
                "--no-recurse-submodules",
            ]);
            arguments.extend(["--", place.url(), heads]);
            arguments.extend(tags);
            let fetch = commits.git_to(place, &arguments);
            fetched = run(fetch, FETCH_LIMIT, Some((commits.folder(), GROWTH_LIMIT))).await?;
            if fetched.is_ok() {
                break;
            }
        }
        drop(entry);
        bar.finish_and_clear();
        if let Err(reason) = fetched {
            remove_parts(commits.folder());
            return Err(unlisted(repository, reason));
        }
        Ok(commits)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::progress::Progress;
    use crate::store::Store;

    #[tokio::test]
    async fn only_a_commit_of_a_branch_or_a_tag_belongs_to_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("repository");
        std::fs::create_dir(&place).unwrap();
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .args(["-c", "user.name=A", "-c", "user.email=a@h.example", "-C"])
                .arg(&place)
                .args(arguments)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet", "--initial-branch=main"]);
        let commit = |message: &str| {
            git(&["commit", "--quiet", "--allow-empty", "-m", message]);
            git(&["rev-parse", "HEAD"])
        };
        let first = commit("first");
        let last = commit("last");
        git(&["checkout", "--quiet", "--detach", &first]);
        let under = commit("under the tag");
        let tagged = commit("tagged");
        git(&["tag", "-a", "-m", "it", "v1"]);
        git(&["checkout", "--quiet", "--detach", &first]);
        let foreign = commit("of a pull request");
        git(&["update-ref", "refs/pull/1/head", &foreign]);
        git(&["checkout", "--quiet", "main"]);
        let repository = "https://h.example/o/r";
        // Objects in a folder with a colon in its name cannot be read in place.
        let copy = folder.path().join("a:copy");
        git(&["clone", "--quiet", "--mirror", ".", copy.to_str().unwrap()]);
        for (place, name) in [(place.join(".git"), "read"), (copy, "fetched")] {
            let mirror = format!("{repository}={}", place.display());
            let store = Store::open(Some(folder.path().join(name))).unwrap();
            let fetcher = Fetcher::new(&store, Vec::new(), false, Progress::new(true));
            let fetcher = fetcher.with_git_mirrors(vec![mirror.parse().unwrap()]);
            for (commit, expected) in [
                (&first, true),
                (&last, true),
                (&under, true),
                (&tagged, true),
                (&foreign, false),
                (&"ab".repeat(20), false),
                // What the store remembers is the commit that was asked for.
                (&first, true),
                (&foreign, false),
            ] {
                let found = fetcher.git_is_reachable(repository, commit).await.unwrap();
                assert_eq!(found, expected, "{name}: {commit}");
            }
            for (commit, end, expected) in [
                (&first, &last, true),
                (&last, &last, true),
                (&last, &first, false),
                (&under, &last, false),
                (&under, &tagged, true),
            ] {
                let ends = std::iter::once(end.clone()).collect();
                let found = fetcher.git_is_before(repository, commit, &ends).await.unwrap();
                assert_eq!(found, expected, "{name}: {commit} before {end}");
            }
        }
    }
}
