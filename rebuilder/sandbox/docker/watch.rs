//! Watches a running container: its end, and how much it writes.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use bollard::errors::Error as EngineError;
use bollard::query_parameters::WaitContainerOptionsBuilder;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};

use super::{Docker, blocking, engine_error};
use crate::sandbox::{ExitReason, Job, SandboxError};

/// How often a running container is checked.
const GLANCE: Duration = Duration::from_millis(250);

/// How long an engine may fail to report how much a container has written.
const BLIND: Duration = Duration::from_mins(1);

/// How long an engine may take to describe a container that has ended.
const SETTLED: Duration = Duration::from_secs(20);

/// A build may make one file for each so many bytes of its disk limit.
const BYTES_PER_FILE: u64 = 4096;

/// The number of files that a build may make under any disk limit.
const FEWEST_FILES: u64 = 65_536;

impl Docker {
    /// Waits for the end of a container, and checks meanwhile how much it has written.
    pub(super) async fn watch(&self, job: &Job<'_>, id: &str) -> Result<ExitReason, SandboxError> {
        let mut exit = pin!(self.exit(id));
        let mut pause = GLANCE;
        let mut seen = Instant::now();
        loop {
            if let Either::Left((ended, _)) = select(exit.as_mut(), pin!(tokio::time::sleep(pause))).await {
                // A build that ends between two checks must not exceed its limit either.
                return Ok(match self.disk_at_end(job, id).await {
                    Disk::Within => ended?,
                    Disk::Beyond | Disk::Unknown => ExitReason::DiskFull,
                });
            }
            let begun = Instant::now();
            match self.disk(job, id).await {
                Disk::Within => seen = Instant::now(),
                Disk::Beyond => return Ok(ExitReason::DiskFull),
                Disk::Unknown if seen.elapsed() > BLIND => return Ok(ExitReason::DiskFull),
                Disk::Unknown => {}
            }
            // Measuring reads folders of any size; it must not take most of the time.
            pause = GLANCE.max(begun.elapsed().saturating_mul(4));
        }
    }

    async fn exit(&self, id: &str) -> Result<ExitReason, SandboxError> {
        let options = WaitContainerOptionsBuilder::default()
            .condition("not-running")
            .build();
        loop {
            let mut answers = self.engine.wait_container(id, Some(options.clone()));
            let code = match answers.next().await {
                Some(Ok(answer)) => answer.status_code,
                Some(Err(EngineError::DockerContainerWaitError { code, .. })) => code,
                // The HTTP client's time limit is shorter than a build may take.
                None | Some(Err(EngineError::RequestTimeoutError)) => {
                    tokio::time::sleep(GLANCE).await;
                    continue;
                }
                Some(Err(other)) => return Err(engine_error("tell how the container ended")(other)),
            };
            return Ok(ExitReason::from_status(i32::try_from(code).unwrap_or(-1)));
        }
    }

    /// Waits until the engine can describe a container that has ended: engines need a moment to clean up before.
    async fn disk_at_end(&self, job: &Job<'_>, id: &str) -> Disk {
        let begun = Instant::now();
        loop {
            match self.disk(job, id).await {
                Disk::Unknown if begun.elapsed() < SETTLED => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                known => return known,
            }
        }
    }

    /// How much a container has written, according to its engine.
    async fn disk(&self, job: &Job<'_>, id: &str) -> Disk {
        let Ok(about) = self.inspect(id, true).await else {
            return Disk::Unknown;
        };
        let Some(bytes) = about.size_rw.and_then(|size| u64::try_from(size).ok()) else {
            return Disk::Unknown;
        };
        if bytes > job.limits.disk {
            return Disk::Beyond;
        }
        // Empty files and folders have no bytes; they can be counted only if the engine's folders are readable here.
        let upper = about
            .graph_driver
            .and_then(|mut driver| driver.data.remove("UpperDir"))
            .map(PathBuf::from)
            .filter(|folder| self.about.is_here() && folder.is_dir());
        let most = (job.limits.disk / BYTES_PER_FILE).max(FEWEST_FILES);
        let counted = match upper {
            Some(folder) => blocking("counting files", move || Ok(count(&folder, most))).await,
            None => Ok(Some(0)),
        };
        match counted {
            Ok(Some(count)) if count <= most => Disk::Within,
            Ok(Some(_)) => Disk::Beyond,
            Ok(None) | Err(_) => Disk::Unknown,
        }
    }
}

/// How much a container has written.
enum Disk {
    Within,
    Beyond,
    Unknown,
}

/// The number of entries below a folder, at most one more than `most`; `None` if some are at paths that are too long,
/// which the engine does not see either. An unreadable entry counts as one: it may be gone by now.
fn count(folder: &Path, most: u64) -> Option<u64> {
    let mut count = 0_u64;
    for entry in walkdir::WalkDir::new(folder) {
        let too_deep = |error: &walkdir::Error| {
            error.io_error().and_then(std::io::Error::raw_os_error) == Some(nix::libc::ENAMETOOLONG)
        };
        if entry.as_ref().err().is_some_and(too_deep) {
            return None;
        }
        count = count.saturating_add(1);
        if count > most {
            break;
        }
    }
    Some(count)
}
