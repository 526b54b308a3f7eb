//! Short jobs that answer a question, such as what a resolver would install: a few small files in `/out`, and nothing
//! is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Embedded, short_job_limits};
use crate::bounded;
use crate::progress::ProgressBar;
use crate::sandbox::MachineView;
use crate::sandbox::{Bound, ExitReason, Input, Job, KeepMode, RootLayers, Sandbox as _, SandboxError};

/// The result of a question; its files are removed when this is dropped.
pub struct QueryOutput {
    /// How the job ended.
    pub ended: ExitReason,
    /// The limits of the contract that this machine cannot enforce.
    pub not_enforced: Vec<Bound>,
    /// How long its commands ran.
    pub took: Duration,
    folder: tempfile::TempDir,
}

impl QueryOutput {
    fn outputs(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// A file that the job left in `/out`; `None` if it does not exist or is too large for an answer.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        bounded::read(&self.outputs().join(name), bounded::ANSWER).ok()
    }

    /// The same as text; empty if there is no such file.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.file(name).unwrap_or_default()).into_owned()
    }

    /// The end of the job's log.
    pub fn log(&self) -> String {
        bounded::tail(&self.folder.path().join("log"), bounded::SHORT).unwrap_or_default()
    }
}

impl Embedded {
    /// Runs `script` on `root`, and returns what it left in `/out`.
    pub async fn query(
        &self,
        root: &RootLayers,
        inputs: Vec<Input>,
        script: String,
        bar: &ProgressBar,
    ) -> Result<QueryOutput, SandboxError> {
        let folder = self.store.temporary_folder()?;
        let (outputs, log) = (folder.path().join("out"), folder.path().join("log"));
        fs::create_dir(&outputs).map_err(SandboxError::io("make a folder"))?;
        let env = [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("HOME", "/nonexistent"),
        ];
        let job = Job {
            root,
            inputs,
            script,
            env: BTreeMap::from(env.map(|(key, value)| (key.to_owned(), value.to_owned()))),
            hostname: "localhost".into(),
            umask: 0o022,
            limits: short_job_limits(),
            view: MachineView::default(),
            keep: KeepMode::Answer,
            outputs: &outputs,
            log: &log,
        };
        let outcome = self.run(&job, bar).await?;
        Ok(QueryOutput {
            ended: outcome.ended,
            not_enforced: outcome.not_enforced,
            took: outcome.took,
            folder,
        })
    }
}
