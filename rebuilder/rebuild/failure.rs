//! What kind of failure it is, from the typed error or the way the build ended; from its log only if neither says.

use std::io::ErrorKind;
use std::path::Path;

use super::RebuildError;
use super::search::AttemptError;
use crate::apt::AptError;
use crate::bounded;
use crate::container::ContainerError;
use crate::ecosystem::{PlanError, RegistryError};
use crate::execute::ExecuteError;
use crate::run::Stage;
use crate::run::failure::{Certainty, Failure, FailureCode, log};
use crate::sandbox::{ExitReason, SandboxError};
use crate::store::{FetchError, GitError, StoreError};

use FailureCode as Code;

/// How many bytes at the end of a log are read.
const TAIL: u64 = 64 << 10;

/// Why the jobs of a plan failed; `path` is the log, from which credentials were taken out.
pub(super) fn of_end(stage: Stage, ended: ExitReason, path: &Path) -> Failure {
    let tail = bounded::tail(path, TAIL).unwrap_or_default();
    let with_log = |failure: Failure| Failure {
        last_lines: log::last_lines(&tail),
        ..failure
    };
    match ended {
        ExitReason::TimedOut => with_log(Failure::known(Code::TimedOut)),
        ExitReason::DiskFull => with_log(Failure::known(Code::DiskFull)),
        // The kernel does not say why it killed something.
        ExitReason::Signalled(9) => Failure {
            certainty: Certainty::Probable,
            ..with_log(Failure::known(Code::OutOfMemory))
        },
        ExitReason::Exited(_) | ExitReason::Signalled(_) => log::read(&tail, otherwise(stage)),
    }
}

/// Why nothing was run.
pub fn of_attempt(error: &AttemptError) -> Failure {
    match error {
        AttemptError::Plan(error) => of_plan(error),
        AttemptError::Rebuild(error) => of_rebuild(error),
        AttemptError::Store(error) => Failure::known(of_store(error)),
        AttemptError::None(_) => Failure::known(Code::UnsupportedPackage),
    }
}

fn otherwise(stage: Stage) -> Code {
    match stage {
        Stage::Setup => Code::SetupFailed,
        Stage::Build => Code::BuildFailed,
        Stage::Comparison => Code::TimedOut,
    }
}

/// Why a run broke before it could conclude anything.
pub fn of_rebuild(error: &RebuildError) -> Failure {
    match error {
        RebuildError::Execute(error) => of_execute(error),
        RebuildError::Store(error) => Failure::known(of_store(error)),
        _ => Failure::known(Code::BuildFailed),
    }
}

fn of_execute(error: &ExecuteError) -> Failure {
    match error {
        ExecuteError::Question { stage, last, .. } => log::read(&lines(last), otherwise(*stage)),
        ExecuteError::Refused(_) => Failure::known(Code::UnsupportedPackage),
        // What a plan pins is a source or a dependency; only the address tells which.
        ExecuteError::Fetch(error) => Failure::known(of_fetch(error, Code::DependencyGone)),
        ExecuteError::Git(error) => of_git(error),
        ExecuteError::Container(error) => Failure::known(of_container(error)),
        ExecuteError::Sandbox(error) => Failure::known(of_sandbox(error)),
        ExecuteError::Store(error) => Failure::known(of_store(error)),
        ExecuteError::Serialise(_) => Failure::known(Code::BuildFailed),
    }
}

/// Why no plan can be made.
pub fn of_plan(error: &PlanError) -> Failure {
    let known = Failure::known;
    match error {
        PlanError::Unknown { .. } => known(Code::UnknownPackage),
        PlanError::Lacking { code, .. } => known(*code),
        PlanError::Git(error) => of_git(error),
        PlanError::Document { .. }
        | PlanError::Recipe(_)
        | PlanError::Registry(RegistryError::Answer { .. }) => known(Code::UnreadableDocument),
        PlanError::Registry(RegistryError::Fetch(error)) | PlanError::Fetch(error) => {
            known(of_fetch(error, Code::DependencyGone))
        }
        PlanError::Container(error) => known(of_container(error)),
        PlanError::Apt(error) => known(of_apt(error)),
        PlanError::Sandbox(error) => known(of_sandbox(error)),
        PlanError::Store(error) => known(of_store(error)),
        PlanError::Resolve(_) => known(Code::DependencyGone),
        // Many reasons repeat what a tool said, as that of pip, or of a backend that was asked.
        PlanError::NotRebuildable { reason, .. } => Failure {
            last_lines: Vec::new(),
            ..log::read(&lines(reason), unable(reason))
        },
        PlanError::Refused(_) | PlanError::Contradiction { .. } => known(Code::UnsupportedPackage),
    }
}

/// What it means that there is no plan, if no line of the reason says more.
fn unable(reason: &str) -> Code {
    // A backend that fails when it is asked is one that would fail to build.
    if reason.contains("did not name its requirements") {
        Code::BuildFailed
    } else {
        Code::UnsupportedPackage
    }
}

/// The lines of a tool's output that a message has in one line.
fn lines(text: &str) -> String {
    text.replace(" / ", "\n").replace(" ERROR:", "\nERROR:")
}

fn of_fetch(error: &FetchError, gone: Code) -> Code {
    match error {
        error if error.is_gone() => gone,
        FetchError::Store(error) => of_store(error),
        FetchError::Unreadable { .. } => Code::UnreadableDocument,
        _ => Code::Unreachable,
    }
}

fn of_git(error: &GitError) -> Failure {
    match error {
        GitError::Missing(_) => Failure::known(Code::MissingTool),
        GitError::Fetch { reason, .. } | GitError::Tags { reason, .. } => of_git_output(reason),
        GitError::Store(error) => Failure::known(of_store(error)),
        GitError::NoCommit { .. } => Failure::known(Code::SourceUnknown),
        GitError::Content { .. } => Failure::known(Code::UnreadableDocument),
        // Another archive of the same commit is another source.
        GitError::Differs { .. } => Failure::known(Code::SourceGone),
        _ => Failure::known(Code::Unreachable),
    }
}

/// What git itself says, which has no codes.
fn of_git_output(reason: &str) -> Failure {
    let gone = [
        "not our ref",
        "Repository not found",
        "repository not found",
        "does not appear to be a git repository",
        "could not read Username",
        "couldn't find remote ref",
        "not found",
    ];
    let code = if gone.iter().any(|text| reason.contains(text)) {
        Code::SourceGone
    } else if reason.contains("fsck") || reason.contains("index-pack") {
        Code::UnreadableDocument
    } else {
        Code::Unreachable
    };
    Failure {
        certainty: Certainty::Probable,
        line: Some(reason.chars().take(300).collect()),
        ..Failure::known(code)
    }
}

fn of_apt(error: &AptError) -> Code {
    match error {
        AptError::Fetch(error) => of_fetch(error, Code::DependencyGone),
        AptError::Store(error) => of_store(error),
        AptError::Release(_) | AptError::Read { .. } | AptError::Index(_) => Code::UnreadableDocument,
    }
}

fn of_container(error: &ContainerError) -> Code {
    match error {
        ContainerError::Gone { source, .. } => of_fetch(source, Code::DependencyGone),
        ContainerError::Fetch(error) => of_fetch(error, Code::DependencyGone),
        ContainerError::Apt(error) => of_apt(error),
        ContainerError::Store(error) => of_store(error),
        ContainerError::Sandbox(error) => of_sandbox(error),
        ContainerError::Io { source, .. } if source.kind() == ErrorKind::StorageFull => Code::DiskFull,
        _ => Code::SandboxFailed,
    }
}

fn of_sandbox(error: &SandboxError) -> Code {
    match error {
        SandboxError::Store(error) => of_store(error),
        SandboxError::Io { source, .. } if source.kind() == ErrorKind::StorageFull => Code::DiskFull,
        _ => Code::SandboxFailed,
    }
}

fn of_store(error: &StoreError) -> Code {
    match error {
        StoreError::Full { .. } => Code::DiskFull,
        StoreError::Io { source, .. } if source.kind() == ErrorKind::StorageFull => Code::DiskFull,
        _ => Code::SandboxFailed,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_ended_a_build_is_known_before_its_log_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build.log");
        std::fs::write(&path, "begin\nsh: 1: cmake: not found\n").unwrap();
        for (ended, code, certainty) in [
            (ExitReason::TimedOut, Code::TimedOut, Certainty::Known),
            (ExitReason::DiskFull, Code::DiskFull, Certainty::Known),
            (ExitReason::Signalled(9), Code::OutOfMemory, Certainty::Probable),
            (ExitReason::Exited(127), Code::MissingTool, Certainty::Probable),
        ] {
            let failure = of_end(Stage::Build, ended, &path);
            assert_eq!((failure.code, failure.certainty), (code, certainty));
            assert_eq!(failure.last_lines, ["begin", "sh: 1: cmake: not found"]);
        }
        let none = of_end(Stage::Setup, ExitReason::Exited(1), &folder.path().join("no.log"));
        assert_eq!((none.code, none.last_lines.len()), (Code::SetupFailed, 0));
    }

    // Long, as it is one table.
    #[test]
    fn typed_errors_have_their_codes() {
        let io = |kind: ErrorKind| std::io::Error::from(kind);
        let full = || StoreError::io("write", Path::new("/x"))(io(ErrorKind::StorageFull));
        let git = |reason: &str| {
            PlanError::Git(GitError::Fetch {
                repository: "https://github.com/o/r".into(),
                commit: "0".repeat(40),
                reason: reason.into(),
            })
        };
        let not_found = FetchError::NotFound {
            name: "a".into(),
            url: "https://h/a".into(),
            status: 404,
        };
        let away = FetchError::Unavailable {
            name: "a".into(),
            attempts: Vec::new(),
        };
        let broken = SandboxError::Broken {
            during: "starting",
            reason: "no".into(),
        };
        let unable = |reason: &str| PlanError::NotRebuildable {
            subject: "a".into(),
            reason: reason.into(),
            help: "b".into(),
        };
        // Texts of git 2.39, to GitHub and to a folder.
        for (error, title) in [
            (
                PlanError::Git(GitError::Missing(io(ErrorKind::NotFound))),
                "missing-tool",
            ),
            (
                git("fatal: remote error: upload-pack: not our ref 0000"),
                "probably source-gone",
            ),
            (git("remote: Repository not found."), "probably source-gone"),
            (
                git("fatal: Could not resolve host: github.com"),
                "probably unreachable",
            ),
            (
                git("fatal: fsck error in packed object"),
                "probably unreadable-document",
            ),
            (
                unable("pip finds no build requirements: ERROR: No matching distribution found for a==9"),
                "probably dependency-gone",
            ),
            (
                unable(
                    "pip finds no build requirements: no wheel of a that was there and runs on Python 3.11.2 meets a==9 (the newest is 8)",
                ),
                "probably dependency-gone",
            ),
            (
                unable(
                    "pip finds no build requirements: no wheel of a that was there and runs on Python 3.11.2 meets a<8 and a>8 (the newest is 9)",
                ),
                "probably dependency-conflict",
            ),
            (
                unable(
                    "the backend x did not name its requirements: x / ModuleNotFoundError: No module named 'hatchling'",
                ),
                "probably unknown-backend",
            ),
            (
                unable(
                    "the backend x did not name its requirements: x / FileNotFoundError: [Errno 2] No such file or directory: 'requirements.txt'",
                ),
                "probably source-incomplete",
            ),
            (
                unable("the backend x did not name its requirements: x / ValueError: no"),
                "build-failed",
            ),
            (unable("it has no source"), "unsupported-package"),
            (PlanError::Fetch(not_found), "dependency-gone"),
            (PlanError::Fetch(away), "unreachable"),
            (PlanError::Store(full()), "disk-full"),
            (PlanError::Sandbox(broken), "sandbox-failed"),
            (PlanError::Sandbox(SandboxError::Store(full())), "disk-full"),
        ] {
            assert_eq!(of_attempt(&error.into()).title(), title);
        }
    }
}
