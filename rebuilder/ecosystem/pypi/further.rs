//! Files that a wheel has although its source lacks them, and the commit that they are taken from.
//!
//! Many publishers build in the folder in which they work. It holds the files of the commit, and what was made in it: a
//! source distribution has only a part of the first, a commit nothing of the second. The folder may also hold what an
//! earlier build left behind, from which setuptools makes the next wheel too.

use super::source::{Place, Source, pin};
use super::{alternatives, backend};
use crate::artifact::git_source::GitSource;
use crate::ecosystem::PlanError;
use crate::plan::{Origin, PinnedGit, assume, places};
use crate::store::Fetcher;

/// Where packages are, below the folder of a project.
const ABOVE: [&str; 3] = ["", "src/", "lib/"];

/// Files of a commit that are put beside those of the source.
pub(super) struct Further {
    pub pinned: PinnedGit,
    pub files: FurtherFiles,
}

/// Which files.
pub(super) enum FurtherFiles {
    /// All that the source distribution lacks, of the package in this folder.
    Lacking(String),
    /// What an earlier build left behind: the name in the wheel and the path in the commit.
    Leftovers(Vec<(String, String)>),
}

impl Source {
    /// The source distribution, with what it lacks of the commit that `whole` is.
    pub(super) fn completed_from(mut self, whole: Self, origin: &Origin) -> Self {
        let (Place::Sdist(sdist), Place::Git { pinned, folder }) = (&self.place, whole.place) else {
            return self;
        };
        let commit = pinned.source.commit.as_deref().unwrap_or_default();
        let value = format!(
            "{}, and what it lacks of {} at {commit}, folder /{folder}",
            sdist.file.name, pinned.source.repository
        );
        self.assumptions = vec![assume("source", value, origin.clone())];
        self.assumptions.extend(whole.assumptions.into_iter().skip(1));
        self.further = Some(Further {
            pinned: elsewhere(pinned),
            files: FurtherFiles::Lacking(folder),
        });
        self
    }

    /// The commit, and the files of these names that an earlier build may have left behind, as the repository had them
    /// last.
    pub(super) async fn with_leftovers(
        mut self,
        fetcher: &Fetcher,
        generator: &str,
        names: &[String],
        origin: &Origin,
    ) -> Result<Self, PlanError> {
        let Place::Git { pinned, folder } = &self.place else {
            return Ok(self);
        };
        let Some(commit) = pinned
            .source
            .commit
            .as_deref()
            .filter(|_| backend::by_setuptools(generator))
        else {
            return Ok(self);
        };
        let places: Vec<_> = names
            .iter()
            .filter(|name| alternatives::is_inside(name))
            .flat_map(|name| in_source(folder, name).map(|path| (name.clone(), path)))
            .collect();
        let paths: Vec<_> = places.iter().map(|(_, path)| path.clone()).collect();
        let repository = &pinned.source.repository;
        let Some(removed) = fetcher.git_before_removal(repository, commit, &paths).await? else {
            return Ok(self);
        };
        let files: Vec<_> = places
            .into_iter()
            .filter(|(_, path)| removed.paths.contains(path))
            .collect();
        let named: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        let value = format!("{}, as of {repository} at {}", named.join(", "), removed.commit);
        let earlier = GitSource {
            reference: None,
            commit: Some(removed.commit),
            ..pinned.source.clone()
        };
        let checkout = fetcher.git_or_parts(&earlier).await?;
        let (earlier, lacking) = pin(fetcher, &checkout).await?;
        self.assumptions.push(assume(
            "files that an earlier build left behind",
            value,
            origin.clone(),
        ));
        self.assumptions.extend(lacking);
        self.further = Some(Further {
            pinned: elsewhere(earlier),
            files: FurtherFiles::Leftovers(files),
        });
        Ok(self)
    }
}

/// The same commit, where it does not stand for the source.
fn elsewhere(pinned: PinnedGit) -> PinnedGit {
    PinnedGit {
        place: places::FURTHER.into(),
        ..pinned
    }
}

/// The paths in a repository that a file of the wheel may have had.
fn in_source(folder: &str, name: &str) -> [String; 3] {
    let folder = folder.trim_matches('/');
    ABOVE.map(|above| {
        let path = format!("{folder}/{above}{name}");
        path.trim_start_matches('/').to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_wheel_is_looked_for_where_packages_are() {
        for (folder, expected) in [
            ("", ["a/b.py", "src/a/b.py", "lib/a/b.py"]),
            (
                "/python/",
                ["python/a/b.py", "python/src/a/b.py", "python/lib/a/b.py"],
            ),
        ] {
            assert_eq!(in_source(folder, "a/b.py"), expected, "{folder}");
        }
    }
}
