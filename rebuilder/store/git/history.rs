//! Looks into a repository's history: for the commit that set a version, if a package names no commit and has no tag;
//! and for the commit around that of a tag whose files fit a release best.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;

use jiff::Timestamp;
use nix::fcntl::Flock;

use super::checkout::Checkout;
use super::command::{configuration, remove_parts, run};
use super::{CHECK_LIMIT, FETCH_LIMIT, GROWTH_LIMIT, GitError, GitPlace, objects_at, unlisted};
use crate::artifact::git_source::GitSource;
use crate::ledger::Work;
use crate::store::Fetcher;

/// Maximum number of commits that are examined.
const MOST: usize = 200;
/// Maximum number of commits that are compared with a release if its version has no tag.
const NEWEST: usize = 1500;
/// Maximum number of commits on either side of a tag that are compared with a release.
const AROUND: usize = 60;

/// A commit, and the file in it that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the commit.
    pub commit: String,
    /// Path of the file.
    pub path: String,
}

/// A commit whose files fit a release, and how many of them are the released ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitting {
    /// Name of the commit.
    pub commit: String,
    /// Number of files that are the released ones.
    pub same: usize,
    /// That number for the commit around which others were looked for.
    pub at_first: usize,
}

/// What a commit should have.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// A folder of the source; empty for the top.
    pub folder: &'a str,
    /// Paths below it, with the name that git has for each file's content.
    pub files: &'a BTreeMap<String, String>,
    /// The file below it that tells the version.
    pub manifest: &'a str,
}

impl Fetcher {
    /// The newest commit of any branch with most of the wanted files, of those that have no other file in the place of
    /// one, except for the manifest, which `fits`; `None` if none has any. Commits in the history of those in `before`,
    /// and these themselves, are left out. Like any answer from a history, this one is never pinned.
    pub async fn git_without_others(
        &self,
        repository: &str,
        wanted: Wanted<'_>,
        before: &BTreeSet<String>,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Fitting>, GitError> {
        let (history, _lock) = self.history(repository).await?;
        let most = format!("--max-count={NEWEST}");
        let mut arguments = vec!["rev-list", "--branches", &most, "--ignore-missing", "--not"];
        arguments.extend(before.iter().map(String::as_str));
        let list = history.git(&arguments);
        let Ok(commits) = run(list, CHECK_LIMIT, None).await? else {
            return Ok(None);
        };
        let mut best: Option<Fitting> = None;
        for commit in String::from_utf8_lossy(&commits).lines() {
            let Some(tree) = tree_of(&history, commit, wanted.folder).await? else {
                continue;
            };
            let Agreement {
                same,
                others,
                manifest,
            } = agreement(&tree, wanted);
            let better = others == 0 && same > best.as_ref().map_or(0, |best| best.same);
            let Some(manifest) = manifest.filter(|_| better) else {
                continue;
            };
            let show = history.git(&["cat-file", "blob", manifest]);
            if run(show, CHECK_LIMIT, None).await?.is_ok_and(|text| fits(&text)) {
                let commit = commit.to_owned();
                best = Some(Fitting {
                    commit,
                    same,
                    at_first: 0,
                });
            }
        }
        Ok(best)
    }

    /// Of the commits around `commit` on any branch, the one that has most of the wanted files; the oldest, if several
    /// have as many, since those after it changed nothing that was released. Only commits count whose manifest `fits`.
    /// `None` if none has more of them than `commit` itself.
    /// Like any answer from a history, this one is never pinned.
    pub async fn git_fitting(
        &self,
        repository: &str,
        commit: &str,
        wanted: Wanted<'_>,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Fitting>, GitError> {
        let (history, _lock) = self.history(repository).await?;
        let (most, before) = (format!("--max-count={}", AROUND + 1), format!("^{commit}"));
        let earlier = history.git(&["rev-list", &most, commit]);
        let later = history.git(&["rev-list", "--branches", "--ancestry-path", "--reverse", &before]);
        // A commit of no branch has no history here.
        let (Ok(earlier), Ok(later)) = (
            run(earlier, CHECK_LIMIT, None).await?,
            run(later, CHECK_LIMIT, None).await?,
        ) else {
            return Ok(None);
        };
        let (earlier, later) = (String::from_utf8_lossy(&earlier), String::from_utf8_lossy(&later));
        let around = oldest_first(&earlier, &later);
        let mut fitting = HashMap::new();
        let mut best: Option<Fitting> = None;
        for commit in around {
            let Some(tree) = tree_of(&history, commit, wanted.folder).await? else {
                continue;
            };
            let Agreement { same, manifest, .. } = agreement(&tree, wanted);
            let at_first = best.as_ref().map_or(same, |best| best.at_first);
            let found = Fitting {
                commit: commit.to_owned(),
                same,
                at_first,
            };
            let Some(before) = &best else {
                best = Some(found);
                continue;
            };
            let Some(manifest) = manifest.filter(|_| same > before.same) else {
                continue;
            };
            let is_it = if let Some(known) = fitting.get(manifest) {
                *known
            } else {
                let show = history.git(&["cat-file", "blob", manifest]);
                let text = run(show, CHECK_LIMIT, None).await?;
                let is_it = text.is_ok_and(|text| fits(&text));
                fitting.insert(manifest.to_owned(), is_it);
                is_it
            };
            if is_it {
                best = Some(found);
            }
        }
        Ok(best.filter(|best| best.same > best.at_first))
    }

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
        let (history, lock) = self.kept_apart(repository, "history").await?;
        let place = self.place_of(repository).await?;
        let fetched = self.fetch_history(&history, &place, repository, failed).await;
        let Err(error) = fetched else {
            return Ok((history, lock));
        };
        // A mirror that lacks some objects cannot be fetched from, but it can be read.
        let GitPlace::Local(url) = &place else {
            return Err(error);
        };
        match self.history_in_parts(repository, &place, url).await? {
            Some(parts) => Ok((parts, lock)),
            None => Err(error),
        }
    }

    /// The branches of a mirror on this machine, with their objects left where they are.
    async fn history_in_parts(
        &self,
        repository: &str,
        place: &GitPlace,
        url: &str,
    ) -> Result<Option<Checkout>, GitError> {
        let failed = |reason: String| unlisted(repository, reason);
        let Some(objects) = objects_at(url) else {
            return Ok(None);
        };
        let source = GitSource {
            repository: repository.to_owned(),
            reference: None,
            commit: None,
        };
        let folder = self.store().git(&format!("{repository}#parts"));
        let parts = Checkout::new(&source, "", folder, configuration(self.store())?).with_parts(objects);
        if !parts.folder().exists() {
            let mut init = parts.git(&["init", "--quiet", "--bare", "--"]);
            init.arg(parts.folder());
            run(init, CHECK_LIMIT, None).await?.map_err(failed)?;
        }
        let list = parts.git_to(place, &["ls-remote", "--quiet", "--heads", "--", place.url()]);
        let listing = run(list, CHECK_LIMIT, None).await?.map_err(failed)?;
        for line in String::from_utf8_lossy(&listing).lines().take(MOST) {
            if let Some((commit, branch)) = line.split_once('\t') {
                // A branch whose last commit is missing is left out.
                let _ = run(parts.git(&["update-ref", branch, commit]), CHECK_LIMIT, None).await?;
            }
        }
        Ok(Some(parts))
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

/// The commit itself, then those around it, the oldest first: `earlier` begins with the commit and has those before it,
/// `later` has those after it, each with the nearest first.
fn oldest_first<'a>(earlier: &'a str, later: &'a str) -> Vec<&'a str> {
    let mut before = earlier.lines();
    let itself = before.next();
    let (before, after) = (before.rev(), later.lines().take(AROUND));
    itself.into_iter().chain(before).chain(after).collect()
}

/// The files of a commit in a folder, as `git ls-tree` prints them.
async fn tree_of(history: &Checkout, commit: &str, folder: &str) -> Result<Option<String>, GitError> {
    let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", commit];
    arguments.extend((!folder.is_empty()).then_some(folder));
    let listing = run(history.git(&arguments), CHECK_LIMIT, None).await?;
    let listing = listing.ok();
    Ok(listing.map(|listing| String::from_utf8_lossy(&listing).into_owned()))
}

/// How far a tree agrees with what is wanted.
#[derive(Debug, PartialEq, Eq)]
struct Agreement<'a> {
    /// Number of wanted files that it has.
    same: usize,
    /// Number of other files in the places of wanted ones, without the manifest.
    others: usize,
    /// The name of its manifest's content.
    manifest: Option<&'a str>,
}

/// Compares a tree, as `git ls-tree -r -z` prints it.
fn agreement<'a>(tree: &'a str, wanted: Wanted<'_>) -> Agreement<'a> {
    let (mut same, mut others, mut manifest) = (0_usize, 0_usize, None);
    for entry in tree.split('\0') {
        let Some((head, path)) = entry.split_once('\t') else {
            continue;
        };
        let id = head.rsplit(' ').next().unwrap_or_default();
        let below = if wanted.folder.is_empty() {
            Some(path)
        } else {
            path.strip_prefix(wanted.folder)
                .and_then(|rest| rest.strip_prefix('/'))
        };
        let Some(below) = below else { continue };
        if below == wanted.manifest {
            manifest = Some(id);
        }
        match wanted.files.get(below) {
            Some(file) if file == id => same = same.saturating_add(1),
            Some(_) if below != wanted.manifest => others = others.saturating_add(1),
            _ => {}
        }
    }
    Agreement {
        same,
        others,
        manifest,
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

    #[test]
    fn the_commit_itself_comes_first_and_then_the_oldest() {
        for (earlier, later, expected) in [
            ("c\nb\na\n", "d\ne\nf\n", "c a b d e f"),
            ("c\n", "d\n", "c d"),
            ("c\nb\n", "", "c b"),
            ("", "", ""),
        ] {
            assert_eq!(oldest_first(earlier, later).join(" "), expected);
        }
    }

    #[test]
    fn a_file_agrees_only_at_its_own_path() {
        let tree = "100644 blob aa\tindex.js\x00100644 blob bb\tlib/index.js\x00100644 blob cc\tpackage.json\0\
                    100644 blob dd\tlib/package.json\0";
        let files = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = all
                .iter()
                .map(|(path, id)| ((*path).to_owned(), (*id).to_owned()));
            owned.collect()
        };
        for (folder, all, expected) in [
            (
                "",
                &[("index.js", "aa"), ("lib/index.js", "bb")][..],
                (2, 0, Some("cc")),
            ),
            ("", &[("index.js", "bb"), ("none", "bb")], (0, 1, Some("cc"))),
            (
                "lib",
                &[("index.js", "bb"), ("package.json", "cc")],
                (1, 0, Some("dd")),
            ),
            ("li", &[("b/index.js", "bb")], (0, 0, None)),
        ] {
            let files = files(all);
            let wanted = Wanted {
                folder,
                files: &files,
                manifest: "package.json",
            };
            let Agreement {
                same,
                others,
                manifest,
            } = agreement(tree, wanted);
            assert_eq!((same, others, manifest), expected, "{folder} {all:?}");
        }
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
