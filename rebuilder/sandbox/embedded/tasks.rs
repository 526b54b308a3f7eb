//! The work of helpers besides running jobs: unpacking, reading and packing trees.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use super::helper::Purpose;
use super::process::{self, Helper};
use super::protocol::{HelperEvent, Task, TaskAnswer};
use super::{Embedded, IdMap, short_job_limits};
use crate::artifact::Sha256;
use crate::error::with_causes;
use crate::rootfs::{self, LayerPlan, Times, TreeContents, UnpackPlan};
use crate::sandbox::SandboxError;

/// Whether a kept tree is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intact {
    /// It is as it was made.
    Yes,
    /// It is as it was made, but its seal has changed to this one.
    SealedAnew(Sha256),
    /// It was changed.
    No,
}

impl Embedded {
    /// Unpacks packages into the new folder `target`.
    pub async fn unpack(&self, plan: &UnpackPlan, target: &Path) -> Result<(), SandboxError> {
        self.make_folder(target)?;
        self.task(
            Task::Unpack {
                target: target.to_owned(),
                plan: plan.clone(),
            },
            "unpacking packages",
            TaskAnswer::done,
        )
        .await
    }

    /// Unpacks image layers into the new folder `target`.
    pub async fn unpack_layers(&self, plan: &LayerPlan, target: &Path) -> Result<(), SandboxError> {
        self.make_folder(target)?;
        self.task(
            Task::UnpackLayers {
                target: target.to_owned(),
                plan: plan.clone(),
            },
            "unpacking layers",
            TaskAnswer::done,
        )
        .await
    }

    /// Removes what differs from run to run from a tree, and returns the digest of the rest.
    pub async fn normalise(&self, root: &Path, times: Times) -> Result<TreeContents, SandboxError> {
        let root = root.to_owned();
        self.task(
            Task::Normalise { root, times },
            "reading the root",
            TaskAnswer::tree,
        )
        .await
    }

    /// The digest of a kept tree, as it is.
    pub async fn digest(&self, root: &Path) -> Result<TreeContents, SandboxError> {
        let root = root.to_owned();
        self.task(Task::Digest { root }, "reading the root", TaskAnswer::tree)
            .await
    }

    /// The seal of a kept tree: it differs after any change of the tree, and needs no reading of files.
    pub async fn seal(&self, root: &Path) -> Result<Sha256, SandboxError> {
        let root = root.to_owned();
        match self.ids {
            // Root can read all metadata itself, without a helper.
            IdMap::Root => {
                let broken = |reason: String| SandboxError::Broken {
                    during: "looking at the root",
                    reason,
                };
                tokio::task::spawn_blocking(move || rootfs::seal(&root))
                    .await
                    .map_err(|error| broken(error.to_string()))?
                    .map_err(|error| broken(with_causes(&error)))
            }
            IdMap::User { .. } => {
                self.task(Task::Seal { root }, "looking at the root", TaskAnswer::seal)
                    .await
            }
        }
    }

    /// Whether a kept tree is unchanged; if it was once, this process does not check it again.
    ///
    /// If the seal differs (after restoring a backup, for example), the whole tree is read again, and the new seal is
    /// returned.
    pub async fn intact(
        &self,
        root: &Path,
        contents: Sha256,
        seal: Option<Sha256>,
    ) -> Result<Intact, SandboxError> {
        let known = || self.intact.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(root) {
            return Ok(Intact::Yes);
        }
        self.expect_run();
        let found = self.seal(root).await?;
        let answer = if seal == Some(found) {
            Intact::Yes
        } else {
            if self.digest(root).await?.digest != contents {
                return Ok(Intact::No);
            }
            Intact::SealedAnew(found)
        };
        known().insert(root.to_owned());
        Ok(answer)
    }

    /// Writes the merged layers as one tar file, with the owners and modes that the sandbox sees.
    pub async fn export(&self, layers: &[PathBuf], file: &Path) -> Result<(), SandboxError> {
        let writable =
            fs::File::create(file).map_err(SandboxError::io(format!("write {}", file.display())))?;
        drop(writable);
        self.task(
            Task::Export {
                layers: layers.to_vec(),
                file: file.to_owned(),
            },
            "writing the image",
            TaskAnswer::done,
        )
        .await
    }

    /// Does a task in a helper; `wanted` extracts the result of this kind of task.
    async fn task<T>(
        &self,
        task: Task,
        during: &'static str,
        wanted: fn(TaskAnswer) -> Option<T>,
    ) -> Result<T, SandboxError> {
        let limit = Duration::from_secs(short_job_limits().seconds);
        let broken = |reason: String| SandboxError::Broken { during, reason };
        let answer = tokio::time::timeout(limit, self.task_to_its_end(task, during))
            .await
            .map_err(|_| broken(format!("it took longer than {} s", limit.as_secs())))??;
        wanted(answer).ok_or_else(|| broken("the helper process gave another task's answer".to_owned()))
    }

    async fn task_to_its_end(&self, task: Task, during: &'static str) -> Result<TaskAnswer, SandboxError> {
        let broken = |reason: String| SandboxError::Broken { during, reason };
        let child = process::spawn(Purpose::of(&task))?;
        let mut helper = Helper::start(child, &self.ids, &task, None, None).await?;
        loop {
            match helper.event().await? {
                Some(HelperEvent::Done { answer }) => return Ok(answer),
                Some(HelperEvent::Failed(failure)) if failure.no_space => {
                    return Err(self.store.full().into());
                }
                Some(HelperEvent::Failed(failure)) => return Err(broken(failure.reason)),
                Some(_) => {}
                None => return Err(broken("the helper process ended early".to_owned())),
            }
        }
    }
}
