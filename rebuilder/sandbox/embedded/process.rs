//! A helper process as the worker sees it: its start, its events, its log and its end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::IdMap;
use super::helper::{self, Purpose};
use super::idmap::OwnIds;
use super::protocol::{HelperEvent, Task};
use crate::progress::ProgressBar;
use crate::sandbox::{ExitReason, SandboxError};

/// Maximum number of bytes of a log that are kept.
pub(crate) const LOG_LIMIT: u64 = 256 << 20;

/// A running helper process; it is killed when this value is dropped.
pub(super) struct Helper {
    pub(super) child: Child,
    events: BufReader<tokio::process::ChildStderr>,
    /// Whether the run cannot have its own ids.
    pub(super) shared_ids: bool,
}

/// Starts a helper, which waits for its task. The helper ends with the thread that starts it, so that must be a thread
/// of the runtime.
pub(super) fn spawn(purpose: Purpose) -> Result<Child, SandboxError> {
    let stdout = match purpose {
        Purpose::Run => Stdio::piped(),
        Purpose::Files => Stdio::null(),
    };
    helper::command(purpose)
        .map(Command::from)
        .and_then(|mut command| {
            command
                .stdin(Stdio::piped())
                .stdout(stdout)
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
        })
        .map_err(SandboxError::io("start the sandbox helper"))
}

impl Helper {
    /// Gives `task` to a process that was spawned for this purpose.
    pub(super) async fn start(
        mut child: Child,
        ids: &IdMap,
        task: &Task,
        admitted: Option<JoinHandle<()>>,
        own_ids: Option<&OwnIds>,
    ) -> Result<Self, SandboxError> {
        let (Some(stderr), Some(mut stdin)) = (child.stderr.take(), child.stdin.take()) else {
            return Err(SandboxError::Broken {
                during: "starting",
                reason: "the pipes are missing".into(),
            });
        };
        let mut this = Self {
            child,
            events: BufReader::new(stderr),
            shared_ids: false,
        };
        let mut line = Vec::new();
        task.serialize(&mut serde_json::Serializer::new(&mut line))
            .map_err(|error| SandboxError::Broken {
                during: "starting",
                reason: error.to_string(),
            })?;
        line.push(b'\n');
        let talk = SandboxError::io("talk to the sandbox helper");
        stdin.write_all(&line).await.map_err(talk)?;
        match this.event().await? {
            Some(HelperEvent::WantsMap { pid, shared_ids }) => {
                this.shared_ids = shared_ids;
                ids.write(pid, own_ids.filter(|_| !shared_ids))?;
            }
            Some(HelperEvent::Failed(failure)) => return Err(unusable(failure.reason)),
            _ => return Err(unusable("the helper process ended before it began".into())),
        }
        // Processes that the helper starts from here on are in its groups from their birth.
        if let Some(admitted) = admitted {
            admitted.await.map_err(|error| SandboxError::Broken {
                during: "starting",
                reason: error.to_string(),
            })?;
        }
        stdin
            .write_all(b"go\n")
            .await
            .map_err(SandboxError::io("talk to the sandbox helper"))?;
        Ok(this)
    }

    pub(super) async fn event(&mut self) -> Result<Option<HelperEvent>, SandboxError> {
        let mut line = String::new();
        let count = (&mut self.events)
            .take(helper::LINE_LIMIT)
            .read_line(&mut line)
            .await
            .map_err(SandboxError::io("talk to the sandbox helper"))?;
        if count == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line)
            .map(Some)
            .map_err(|_| SandboxError::Broken {
                during: "talking to its helper",
                reason: line.trim().to_owned(),
            })
    }

    /// Waits for the job to end; returns how it ended, and how long it took from its first command on.
    pub(super) async fn until_end(&mut self) -> Result<(ExitReason, Duration), SandboxError> {
        let mut started = Instant::now();
        loop {
            match self.event().await? {
                Some(HelperEvent::Started) => started = Instant::now(),
                Some(HelperEvent::Ended { ended }) => return Ok((ended, started.elapsed())),
                Some(HelperEvent::Failed(failure)) => return Err(unusable(failure.reason)),
                Some(HelperEvent::WantsMap { .. } | HelperEvent::Done { .. }) => {}
                None => return Ok((ExitReason::Signalled(9), started.elapsed())),
            }
        }
    }

    pub(super) async fn kill(&mut self) {
        // The helper may have just ended.
        let _ = self.child.kill().await;
    }
}

const ASK_DOCTOR: &str =
    "run \"rebuilder doctor\"; it says what this machine lacks, and whether --backend docker works";

fn unusable(reason: String) -> SandboxError {
    SandboxError::Unusable {
        backend: "embedded",
        reason,
        help: ASK_DOCTOR.into(),
    }
}

/// Removes the advice to run the doctor from an error that the doctor itself reports.
pub(super) fn asked_by_doctor(mut error: SandboxError) -> SandboxError {
    if let SandboxError::Unusable { help, .. } = &mut error
        && help == ASK_DOCTOR
    {
        "docs/sandbox.md says what the kernel must allow".clone_into(help);
    }
    error
}

/// Copies the log to its file and its newest line to the screen.
pub(super) async fn copy_log(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut tokio::fs::File,
    bar: &ProgressBar,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    let mut written = 0_u64;
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.flush().await;
        }
        let chunk = buffer.get(..count).unwrap_or_default();
        if written < LOG_LIMIT {
            to.write_all(chunk).await?;
            written = written.saturating_add(count as u64);
        }
        if let Some(line) = last_line(chunk) {
            bar.set_message(line);
        }
    }
}

/// The last complete line of some output, unescaped.
pub(crate) fn last_line(chunk: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(chunk);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.chars().take(200).collect())
}
