//! The messages between the worker and its helper.

use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::runtime::RunTask;
use crate::artifact::Sha256;
use crate::error::with_causes;
use crate::rootfs::{LayerPlan, RootfsError, Times, TreeContents, UnpackPlan};
use crate::sandbox::ExitReason;

/// A task for a helper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Run a script in a container.
    Run(Box<RunTask>),
    /// Unpack packages into a folder.
    Unpack { target: PathBuf, plan: UnpackPlan },
    /// Unpack image layers into a folder.
    UnpackLayers { target: PathBuf, plan: LayerPlan },
    /// Normalise a root, and return its digest.
    Normalise { root: PathBuf, times: Times },
    /// Return the digest of a kept tree as it is.
    Digest { root: PathBuf },
    /// Return the seal of a kept tree, which changes with any change of the tree.
    Seal { root: PathBuf },
    /// Write layers, lowest first, as a tar file.
    Export { layers: Vec<PathBuf>, file: PathBuf },
    /// Remove everything in a folder.
    Remove { path: PathBuf },
}

/// Events of a helper, one line of JSON each, on its stderr.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum HelperEvent {
    /// The helper is in its user namespace and waits for the id maps.
    WantsMap {
        /// The helper's process id, as the worker sees it.
        pid: i32,
        /// Whether the run cannot have its own ids, and uses those of all kept trees.
        shared_ids: bool,
    },
    /// The job's first command begins.
    Started,
    /// The job is over.
    Ended { ended: ExitReason },
    /// A task other than a run is over.
    Done { answer: TaskAnswer },
    /// The helper could not do its task.
    Failed(Failure),
}

/// Why a helper could not do its task.
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

/// The result of a task other than a run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TaskAnswer {
    /// The task is done, without a result.
    Done,
    /// The contents of a tree.
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
            // If the worker has ended, nobody reads this; the kernel ends this process anyway.
            let _ = io::stderr().write_all(&line);
        }
    }
}
