//! Why a run came to no conclusion, in a word that a program can act on, and what a person can do about it.
//!
//! [`FailureCode`] is the list, and [`FailureCode::about`] its one table, which `docs/failures.md` repeats. A code comes from
//! a typed error, and then it is known; or [`log`] finds it in the last lines of a build, and then it is only
//! probable and shown as such. What our own machine or container lacks is never said of the package.

mod fault;
pub mod log;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use fault::Fault;

/// What ended a run, or kept it from beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    UnknownPackage,
    SourceUnknown,
    SourceGone,
    SourceIncomplete,
    DependencyGone,
    Unreachable,
    UnreadableDocument,
    UnsupportedPackage,
    UnsupportedPython,
    UnsupportedNode,
    UnsupportedRust,
    UnknownBackend,
    DependencyConflict,
    MissingTool,
    NeedsNetwork,
    TestsFailed,
    OutOfMemory,
    DiskFull,
    TimedOut,
    SandboxFailed,
    SetupFailed,
    BuildFailed,
}

/// What is known of a kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The code, as programs see it.
    pub name: &'static str,
    /// What happened, as the end of a sentence about the run.
    pub meaning: &'static str,
    /// What to do.
    pub help: &'static str,
}

impl FailureCode {
    /// Every code, in the order of a run.
    pub const ALL: [Self; 22] = [
        Self::UnknownPackage,
        Self::SourceUnknown,
        Self::SourceGone,
        Self::SourceIncomplete,
        Self::DependencyGone,
        Self::Unreachable,
        Self::UnreadableDocument,
        Self::UnsupportedPackage,
        Self::UnsupportedPython,
        Self::UnsupportedNode,
        Self::UnsupportedRust,
        Self::UnknownBackend,
        Self::DependencyConflict,
        Self::MissingTool,
        Self::NeedsNetwork,
        Self::TestsFailed,
        Self::OutOfMemory,
        Self::DiskFull,
        Self::TimedOut,
        Self::SandboxFailed,
        Self::SetupFailed,
        Self::BuildFailed,
    ];

    /// Name, meaning and advice, in one table.
    pub const fn about(self) -> About {
        let (name, meaning, help) = match self {
            Self::UnknownPackage => (
                "unknown-package",
                "the registry does not list this package or version",
                "check the name and the version",
            ),
            Self::SourceUnknown => (
                "source-unknown",
                "no document says from which source the release was made",
                "name the repository and the commit with --source https://HOST/PATH@COMMIT",
            ),
            Self::SourceGone => (
                "source-gone",
                "the source is not at the place that the release names",
                "name a mirror that still has it with --git-mirror, or the new place with --source https://HOST/PATH@COMMIT",
            ),
            Self::SourceIncomplete => (
                "source-incomplete",
                "the source lacks a file that its build reads",
                "name a source that has it with --source https://HOST/PATH@COMMIT",
            ),
            Self::DependencyGone => (
                "dependency-gone",
                "a dependency of the build is no longer available",
                "name a mirror that still has it with --mirror, or another version with --tool NAME=VERSION",
            ),
            Self::Unreachable => (
                "unreachable",
                "a registry, mirror or git host did not answer, or --offline was given and the store lacks a file; this says nothing about the package",
                "check the network, or map the address with --mirror or --git-mirror",
            ),
            Self::UnreadableDocument => (
                "unreadable-document",
                "a document of the package or the registry cannot be read",
                "see the message for its name; another mirror may have an intact copy",
            ),
            Self::UnsupportedPackage => (
                "unsupported-package",
                "this tool cannot plan a build for this kind of package; this says nothing about the package",
                "describe the build in a recipe, and name it with --recipe",
            ),
            Self::UnsupportedPython => (
                "unsupported-python",
                "the build needs a version of Python that the container does not have",
                "add a container with that version, and a recipe that names it, with --containers and \
                --recipe",
            ),
            Self::UnsupportedNode => (
                "unsupported-node",
                "the build needs a version of node that is not in the plan",
                "name it with --tool node=VERSION",
            ),
            Self::UnsupportedRust => (
                "unsupported-rust",
                "the build needs a version of Rust that is not in the plan",
                "name it with --tool cargo=VERSION",
            ),
            Self::UnknownBackend => (
                "unknown-backend",
                "the build backend was not installed for the build",
                "name its version with --tool NAME=VERSION",
            ),
            Self::DependencyConflict => (
                "dependency-conflict",
                "no set of versions satisfies all requirements of the build",
                "name compatible versions with --tool NAME=VERSION",
            ),
            Self::MissingTool => (
                "missing-tool",
                "this machine, or the container of this tool, lacks a program, header or library; this says \
                nothing about the package",
                "add it to a container that a recipe names (--containers and --recipe); \"rebuilder \
                doctor\" checks this machine",
            ),
            Self::NeedsNetwork => (
                "needs-network",
                "the build tries to use the network, but builds do not have one",
                "pin the files that it fetches as inputs of a recipe",
            ),
            Self::TestsFailed => (
                "tests-failed",
                "the package's tests failed here",
                "use a recipe without the tests, if the outputs do not depend on them",
            ),
            Self::OutOfMemory => (
                "out-of-memory",
                "there was not enough memory; this says nothing about the package",
                "raise the limit in the plan, or use a machine with more memory",
            ),
            Self::DiskFull => (
                "disk-full",
                "there was not enough disk space; this says nothing about the package",
                "free some space, or raise the limit in the plan",
            ),
            Self::TimedOut => (
                "timed-out",
                "the time limit was reached; this says nothing about the package",
                "raise the limit in the plan, or use a faster machine",
            ),
            Self::SandboxFailed => (
                "sandbox-failed",
                "the sandbox or its container failed; this says nothing about the package",
                "run \"rebuilder doctor\"",
            ),
            Self::SetupFailed => (
                "setup-failed",
                "the dependencies of the build could not be installed",
                "see build.log for the full output",
            ),
            Self::BuildFailed => (
                "build-failed",
                "the build failed, for a reason that is not known",
                "see build.log for the full output",
            ),
        };
        About { name, meaning, help }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.about().name)
    }
}

/// How sure the code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// This tool saw it happen.
    Known,
    /// A line of a log looks like it.
    Probable,
}

/// Why there is no conclusion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub code: FailureCode,
    /// Whether it is known, or follows from what a log looks like.
    pub certainty: Certainty,
    /// The line of the log that it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The last lines of the log; empty if nothing was run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

impl Failure {
    /// One that was seen to happen, without a log.
    pub fn known(code: FailureCode) -> Self {
        Self {
            code,
            certainty: Certainty::Known,
            line: None,
            last_lines: Vec::new(),
        }
    }

    /// The code, with the word for what is only probable.
    pub fn title(&self) -> String {
        match self.certainty {
            Certainty::Known => self.code.to_string(),
            Certainty::Probable => format!("probably {}", self.code),
        }
    }

    /// What happened, with the same word.
    pub fn sentence(&self) -> String {
        let (title, about) = (self.title(), self.code.about());
        format!("{title}: {}", about.meaning)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PAGE: &str = include_str!("../../../docs/failures.md");

    #[test]
    fn the_page_has_every_code_with_what_it_means() {
        for code in FailureCode::ALL {
            let About { name, meaning, help } = code.about();
            assert_eq!(serde_json::to_value(code).unwrap(), name);
            let row = format!("| `{name}` | {meaning} |");
            assert!(PAGE.contains(&row), "docs/failures.md lacks: {row}");
            assert!(PAGE.contains(help), "docs/failures.md lacks: {help}");
        }
    }

    /// What we lack is not said of the package.
    #[test]
    fn nothing_of_ours_is_blamed_on_the_package() {
        use FailureCode as Code;
        for ours in [
            Code::MissingTool,
            Code::OutOfMemory,
            Code::DiskFull,
            Code::TimedOut,
            Code::SandboxFailed,
            Code::Unreachable,
            Code::UnsupportedPackage,
        ] {
            let meaning = ours.about().meaning;
            assert!(
                meaning.ends_with("says nothing about the package"),
                "{ours}: {meaning}"
            );
        }
    }

    #[test]
    fn records_of_earlier_versions_have_none() {
        let known = serde_json::to_value(Failure::known(FailureCode::DiskFull)).unwrap();
        assert_eq!(
            known,
            serde_json::json!({"code": "disk-full", "certainty": "known"})
        );
    }
}
