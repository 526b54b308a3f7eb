//! What the worker and its helper say to each other.

use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::runtime::RunTask;
use crate::artifact::Sha256;
use crate::error::with_causes;
use crate::rootfs::{LayerPlan, RootfsError, Times, TreeContents, UnpackPlan};
use crate::sandbox::ExitReason;

/// What a helper is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Run a script in a container.
    Run(Box<RunTask>),
    /// Unpack packages into a folder.
    Unpack { target: PathBuf, plan: UnpackPlan },
    /// Unpack image layers into a folder.
    UnpackLayers { target: PathBuf, plan: LayerPlan },
    /// Normalise a root and give its digest.
    Normalise { root: PathBuf, times: Times },
    /// Digest a kept tree as it is, and its seal.
    Digest { root: PathBuf },
    /// Give the seal of a kept tree, which changes with any change of the tree.
    Seal { root: PathBuf },
    /// Write layers, lowest first, as a tar file.
    Export { layers: Vec<PathBuf>, file: PathBuf },
    /// Remove what is in a folder.
    Remove { path: PathBuf },
}

/// What a helper says, one JSON line each, on its stderr.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum HelperEvent {
    /// It is in its user namespace and waits for the id maps.
    WantsMap {
        /// The helper, as the worker sees it.
        pid: i32,
        /// Whether the run cannot have ids of its own, and takes those that all kept trees have.
        shared_ids: bool,
    },
    /// The job's first command begins.
    Started,
    /// The job is over.
    Ended { ended: ExitReason },
    /// Another task is over.
    Done { answer: TaskAnswer },
    /// It could not do what it was asked.
    Failed(Failure),
}

/// Why a helper could not do what it was asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// Whether the disk was full.
    #[serde(default)]
    pub(super) no_space: bool,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self {
            reason,
            no_space: false,
        }
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

impl From<RootfsError> for Failure {
    fn from(error: RootfsError) -> Self {
        Self {
            reason: with_causes(&error),
            no_space: error.is_no_space(),
        }
    }
}

/// What comes of a task other than a run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TaskAnswer {
    /// Nothing but that it is done.
    Done,
    /// What a tree holds.
    Tree(TreeContents),
    /// The seal of a tree.
    Seal(Sha256),
}

impl TaskAnswer {
    pub(super) fn done(self) -> Option<()> {
        matches!(self, Self::Done).then_some(())
    }

    pub(super) fn tree(self) -> Option<TreeContents> {
        match self {
            Self::Tree(contents) => Some(contents),
            _ => None,
        }
    }

    pub(super) fn seal(self) -> Option<Sha256> {
        match self {
            Self::Seal(seal) => Some(seal),
            _ => None,
        }
    }
}

impl HelperEvent {
    pub(super) fn send(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            // A worker that is gone reads nothing; the kernel ends us anyway.
            let _ = io::stderr().write_all(&line);
        }
    }
}
