//! Runs are handed in to the signer, and those that wait are handed in again once others agree.
//!
//! The signer's answers are in the database, so a server continues where it stopped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;
use tracing::field::Empty;

use super::artifacts::ArtifactsError;
use super::{Running, publication};
use crate::artifact::Sha256;
use crate::attest::{Extra, Format};
use crate::error::with_causes;
use crate::progress::Progress;
use crate::queue::wire::{Lease, RunFile};
use crate::queue::{DueRun, QueueError, files};
use crate::run::RunFolder;
use crate::signer::{self, Reply};
use crate::store::FileClock;
use crate::telemetry;
use crate::text;

/// How runs are handed in.
pub struct Handing {
    /// The signer's socket.
    pub socket: PathBuf,
    /// The folder from which the signer reads runs.
    pub runs: PathBuf,
    /// What is to be signed besides the statement.
    pub extras: BTreeSet<Extra>,
    /// Whether a run that found no build is signed too.
    pub negatives: bool,
}

/// How long to wait before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// Longest wait of a run that the signer did not answer for.
const SOON: Duration = Duration::from_mins(1);
/// Runs that are looked up at a time.
const RUNS: i64 = 20;

/// What the folders are called that are being filled, and how old one is that a killed server left.
const NEW: &str = ".new-";
const LEFT: Duration = Duration::from_hours(1);

/// The name of a run's folder. Numbers of jobs begin again with another database, so its files are in the name.
fn name_of(due: &DueRun) -> String {
    let files = Sha256::of(text::json(&due.files));
    format!("job-{}-{}-{files}", due.lease.job, due.lease.attempt)
}

/// Removes the folders that killed servers were filling.
fn sweep(runs: &Path) {
    let Ok(clock) = FileClock::of(runs) else { return };
    for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
        let is_new = entry.file_name().to_string_lossy().starts_with(NEW);
        let is_old = clock.age(&entry.path()).is_ok_and(|age| age > LEFT);
        if is_new && is_old {
            // What cannot be removed is tried again at the next start.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Why a run could not be handed in.
#[derive(Debug, thiserror::Error)]
enum HandInError {
    #[error("cannot write the run to {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot read the signed statement from {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("cannot ask the signer")]
    Signer(#[from] signer::SignerError),
    #[error("cannot store the attestation")]
    Keep(#[from] crate::attest::AttestError),
    #[error("cannot arrange the run's files: {0}")]
    Unfit(String),
}

impl HandInError {
    /// Whether a retry is useless.
    fn is_lasting(&self) -> bool {
        use std::io::ErrorKind::{AlreadyExists, InvalidFilename, IsADirectory, NotADirectory};
        match self {
            Self::Unfit(_) => true,
            Self::Io { source, .. } | Self::Artifacts(ArtifactsError::Io { source, .. }) => matches!(
                source.kind(),
                AlreadyExists | InvalidFilename | IsADirectory | NotADirectory
            ),
            Self::Artifacts(error) => error.is_lasting(),
            _ => false,
        }
    }
}

impl Running {
    /// Hands in runs that are due, forever.
    pub(super) async fn hand_in(self: Arc<Self>) {
        let Some(handing) = &self.handing else { return };
        sweep(&handing.runs);
        loop {
            let due = self.queue.due_runs(RUNS).await.unwrap_or_default();
            let mut failed = false;
            for run in &due {
                let Lease { job, attempt } = run.lease;
                let span = tracing::info_span!(parent: None, "hand-in", job, attempt, worker = run.worker, said = Empty);
                telemetry::adopt(&span, run.traced.root());
                if let Err(error) = self.hand_in_one(handing, run).instrument(span).await {
                    Progress::new(false).trouble(&format!(
                        "cannot sign run {} yet: {}",
                        run.lease.job,
                        with_causes(&error)
                    ));
                    // It goes behind the others. If this fails, the database is away.
                    failed |= self.put_off(run, &error).await.is_err();
                }
            }
            if failed {
                tokio::time::sleep(PAUSE).await;
            } else if due.is_empty() {
                // Another server may have taken a result.
                let _ = tokio::time::timeout(PAUSE, self.due.notified()).await;
            }
        }
    }

    /// What can never be laid out is refused for good, and anything else is tried again: soon if it is the signer, which may
    /// have been away, and later and later otherwise.
    async fn put_off(&self, run: &DueRun, error: &HandInError) -> Result<(), QueueError> {
        let job = run.lease.job;
        if error.is_lasting() {
            let reason = with_causes(error);
            return self.queue.signer_said(job, "refused", Some(&reason)).await;
        }
        let after = publication::later(run.tries);
        let after = match error {
            HandInError::Signer(_) => after.min(SOON),
            _ => after,
        };
        self.queue.sign_later(job, after).await
    }

    async fn hand_in_one(&self, handing: &Handing, due: &DueRun) -> Result<(), HandInError> {
        let place = handing.runs.join(name_of(due));
        self.lay_out(due, &place).await?;
        let run = RunFolder::new(&place);
        let reply = signer::ask_for(
            &handing.socket,
            run.path(),
            handing.extras.clone(),
            Some(&due.worker),
        )
        .await?;
        let job = due.lease.job;
        tracing::Span::current().record("said", reply.word());
        tracing::info!("the signer answered");
        match reply {
            Reply::Signed(signed) => {
                signed.write(&run, Format::Bundle)?;
                let files = self.keep_signed(&run).await?;
                self.queue.keep_signed(job, &files).await?;
                self.queue
                    .signer_said(job, "signed", Some(&place.display().to_string()))
                    .await?;
            }
            Reply::Waiting { .. } => self.queue.signer_said(job, "waits", None).await?,
            Reply::Refused { reason } => self.queue.signer_said(job, "refused", Some(&reason)).await?,
        }
        Ok(())
    }

    /// Keeps what was signed among the artifacts, so that any server of this database can show it.
    async fn keep_signed(&self, run: &RunFolder) -> Result<Vec<RunFile>, HandInError> {
        let mut paths = run.attestations();
        paths.extend([run.result()].into_iter().filter(|path| path.exists()));
        let links = std::fs::read_dir(run.links()).into_iter().flatten().flatten();
        paths.extend(links.map(|entry| entry.path()));
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            let io = |source| HandInError::Read {
                path: path.clone(),
                source,
            };
            let bytes = crate::bounded::read(&path, crate::bounded::PLAN).map_err(io)?;
            let name = path.strip_prefix(run.path()).unwrap_or(&path);
            let name = name.to_string_lossy().into_owned();
            files.push(self.keep_own::<HandInError>(name, bytes).await?);
        }
        Ok(files)
    }

    /// Writes the files of a run into a folder, which is there only when it is whole.
    async fn lay_out(&self, due: &DueRun, place: &Path) -> Result<(), HandInError> {
        if place.exists() {
            return Ok(());
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| HandInError::Io { path, source }
        };
        // An earlier version took lists that cannot be laid out.
        if let Some(reason) = files::unfit(&due.files) {
            return Err(HandInError::Unfit(reason));
        }
        std::fs::create_dir_all(self.handing_folder()).map_err(io(place))?;
        let new = tempfile::Builder::new()
            .prefix(NEW)
            .tempdir_in(self.handing_folder())
            .map_err(io(place))?;
        for file in &due.files {
            let path = new.path().join(&file.path);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(io(folder))?;
            }
            self.artifacts.write_to(file, &path).await?;
        }
        std::fs::rename(new.path(), place).map_err(io(place))?;
        // There is nothing more at its first place.
        let _ = new.keep();
        Ok(())
    }

    fn handing_folder(&self) -> PathBuf {
        self.handing
            .as_ref()
            .map(|handing| handing.runs.clone())
            .unwrap_or_default()
    }
}
