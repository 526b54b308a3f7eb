//! Values that no document of a release declares: the user names them, another rebuilder's definition has them, or an
//! earlier plan produced other bytes and suggests them.
//!
//! Hints only steer planners. Each becomes an assumption of the plan with its origin, so that a reader of the
//! attestation sees what was guessed, and from what.

use std::collections::BTreeMap;

use crate::artifact::git_source::GitSource;
use crate::plan::{Origin, Plan};
use crate::run::{Record, Verdict};

/// A version of a tool, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The version.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where the source is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHint {
    /// The repository and commit; `None` for the one that the release's own metadata leads to.
    pub git: Option<GitSource>,
    /// Folder of the package below the repository's top.
    pub folder: Option<String>,
    /// Where the hint comes from.
    pub origin: Origin,
}

/// Which scripts of an npm package run, instead of those that npm runs when it publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NpmScripts {
    /// None.
    None,
    /// Only the build script.
    Build,
}

/// Changes to how the build runs, each with its reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Debian: an ordinary user builds, on a terminal, instead of root.
    pub ordinary_user: Option<Origin>,
    /// Debian: the package's tests run.
    pub tests: Option<Origin>,
    /// Debian: the state of the archive that build dependencies are taken from.
    pub archive: Option<(ArchiveState, Origin)>,
    /// Wheels: files without content that the source distribution lacks although its setup names them.
    pub markers: Option<Origin>,
    /// Wheels: what the source distribution lacks is taken from the commit.
    pub completed: Option<Origin>,
    /// Wheels: requirements and extras are in the order of the source distribution's own list.
    pub order: Option<Origin>,
    /// Wheels: the description is that of the source distribution's metadata, not the one that its setup composes.
    pub description: Option<Origin>,
    /// Wheels: packages without files, which the list of the source distribution names, are empty folders.
    pub empty: Option<Origin>,
    /// Wheels: the setup script finds the word on its command line that it looks for, counted from zero.
    pub flag: Option<(usize, Origin)>,
    /// Wheels: what the source requires when it is used is installed for the build, since the setup imports it.
    pub installed: Option<Origin>,
    /// Wheels: build requirements may be somewhat younger than the release.
    pub later: Option<Origin>,
    /// Crates: the last commit before the publication, instead of the one that was found by the version.
    pub last_commit: Option<Origin>,
    /// npm: the scripts that run before it is packed.
    pub scripts: Option<(NpmScripts, Origin)>,
    /// npm: the build goes on after a script that fails, since a failed check or a wrong type may not matter for files.
    pub going_on: Option<Origin>,
    /// npm: if no lock file names dependencies, the oldest versions that `package.json` allows instead of the newest.
    pub oldest: Option<Origin>,
    /// npm: a commit around that of the tag, if it has more of the released files.
    pub fitting: Option<Origin>,
    /// npm: Node.js programs see the time of the release.
    pub clock: Option<Origin>,
    /// npm: text files of the source have the line ends that git gives them on Windows.
    pub line_ends: Option<Origin>,
    /// npm: files of the source have the permissions of the released ones, where these are unusual.
    pub modes: Option<Origin>,
    /// npm: the group may write what is unpacked and made, as with an umask of 002.
    pub group_writes: Option<Origin>,
}

/// A state of Debian's archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveState {
    /// As it is now, with the newest versions, whatever versions a released package names.
    Newest,
    /// The point release alone, without the security and other updates since.
    PointRelease,
    /// As it was the day after the release's changelog was written.
    OfTheDay,
}

/// All hints for a planner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// Versions of build tools. npm: `node`, `npm`; crates: `cargo`, `zlib`, `Cargo.lock`; wheels: `python`, and names
    /// of projects on PyPI, with a version or a specifier of PEP 440; Debian: binary or source packages.
    pub tools: BTreeMap<String, Hint>,
    /// How the build runs.
    pub settings: Settings,
    /// A git repository instead of the archive that was released beside the package.
    pub source: Option<SourceHint>,
}

impl Hints {
    /// The same hints, with another version of one tool.
    #[must_use]
    pub fn with_tool(&self, name: &str, version: &str, origin: Origin) -> Self {
        let mut changed = self.clone();
        let hint = Hint {
            value: version.to_owned(),
            origin,
        };
        changed.tools.insert(name.to_owned(), hint);
        changed
    }

    /// The commit to build from and its origin, if a hint names one.
    pub fn commit(&self) -> Option<(GitSource, Origin)> {
        let hint = self.source.as_ref()?;
        let git = hint.git.clone().filter(|git| git.commit.is_some())?;
        Some((git, hint.origin.clone()))
    }

    /// The folder of the package in its repository, if a hint names one.
    pub fn folder(&self) -> Option<&str> {
        self.source.as_ref()?.folder.as_deref()
    }

    /// The same hints, with the source from the repository that the release's metadata leads to.
    #[must_use]
    pub fn with_git(&self, origin: Origin) -> Self {
        Self {
            source: Some(SourceHint {
                git: None,
                folder: None,
                origin,
            }),
            ..self.clone()
        }
    }
}

/// A run that did not reproduce the release.
pub enum EndedRun<'a> {
    /// It was built and compared, or the build failed.
    Built(&'a Plan, &'a Record),
    /// No plan could be made, for this reason.
    Unplanned(&'a str),
}

impl EndedRun<'_> {
    /// Why the plan did not reproduce the release, in a few words.
    pub fn reason(&self) -> String {
        match self {
            Self::Unplanned(reason) => (*reason).to_owned(),
            Self::Built(_, record) => {
                if let Verdict::Inconclusive { stage, .. } = &record.verdict {
                    return format!("the {stage} failed");
                }
                let causes = record.comparisons().flat_map(|comparison| &comparison.causes);
                let mut words: Vec<_> = causes.map(|cause| cause.cause.name()).collect();
                words.dedup();
                format!("what differs is {}", words.join(", "))
            }
        }
    }
}

/// A further plan that is worth a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// What to plan with.
    pub hints: Hints,
    /// What is tried, and which difference suggests it.
    pub because: String,
}
