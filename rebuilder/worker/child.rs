//! One job: a child process that rebuilds, and ends before its worker does.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process;
use tokio::sync::watch;

use super::held::Order;
use super::{PAUSES, Worker};
use crate::artifact::Sha256;
use crate::error::with_causes;
use crate::queue::wire::{self, Lease, Outcome, RunFile, Task};
use crate::run::RunFolder;
use crate::run::failure::{Failure, FailureCode};
use crate::telemetry;

/// Makes the command that does a task and leaves its run in a folder. It prints its result as `rebuild --json` does, and ends
/// when its standard input does, which happens even if the worker is killed.
pub type Rebuild = Box<dyn Fn(&Task, &Path) -> Result<std::process::Command, String> + Send + Sync>;

/// Maximum length of a document that a child prints.
const DOCUMENT: u64 = 64 << 20;
/// How long a child may take to end and remove what it left.
const ENDING: Duration = Duration::from_secs(5);
/// How often the log is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What a child prints if it fails.
#[derive(Deserialize)]
struct Printed {
    error: Option<PrintedError>,
}

#[derive(Deserialize)]
struct PrintedError {
    message: String,
    exit_code: u8,
    failure: Option<Failure>,
}

/// A job that a worker does.
pub(super) struct Child<'a> {
    pub(super) lease: Lease,
    pub(super) worker: &'a Worker,
}

/// How a child ended.
enum End {
    /// By itself.
    Exited { code: Option<i32>, printed: Vec<u8> },
    /// Because of an order.
    Ordered(Order),
    /// It did not begin.
    Broken(String),
    /// There was nothing to do.
    Probed,
}

impl Child<'_> {
    /// Does the task; `None` if there is nothing to tell the server.
    pub(super) async fn run(&self, task: &Task, mut orders: watch::Receiver<Order>) -> Option<Outcome> {
        let folder = self
            .worker
            .folder
            .join(format!("job-{}-{}", self.lease.job, self.lease.attempt));
        // One of the same name is of a worker that was killed.
        let _ = std::fs::remove_dir_all(&folder);
        let outcome = match std::fs::create_dir_all(&folder) {
            Err(error) => Some(broken(&format!("cannot make {}: {error}", folder.display()))),
            Ok(()) => match self.rebuild(task, &folder, &mut orders).await {
                End::Broken(reason) => Some(broken(&reason)),
                End::Probed => Some(Outcome::Probed),
                End::Ordered(Order::Cancel) => Some(Outcome::Cancelled),
                End::Ordered(Order::Lost) => {
                    self.note("the lease was lost, and the build is ended");
                    None
                }
                End::Ordered(_) => {
                    self.give_back().await;
                    None
                }
                End::Exited { code, printed } => {
                    let run = RunFolder::new(&folder.join("run"));
                    if run.record().is_file() {
                        self.hand_in(run.path(), &mut orders).await
                    } else {
                        Some(failed(code, &printed))
                    }
                }
            },
        };
        let _ = std::fs::remove_dir_all(&folder);
        outcome
    }

    fn note(&self, text: &str) {
        self.worker
            .progress
            .trouble(&format!("job {}: {text}", self.lease.job));
    }

    async fn give_back(&self) {
        if let Err(error) = self.worker.client.release(&[self.lease]).await {
            self.note(&format!("cannot give it back: {}", with_causes(&error)));
        }
    }

    /// Runs the child until it ends, or is told to.
    async fn rebuild(&self, task: &Task, folder: &Path, orders: &mut watch::Receiver<Order>) -> End {
        if let Task::Probe { milliseconds, .. } = task {
            return tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(*milliseconds)) => End::Probed,
                order = ordered(orders) => End::Ordered(order),
            };
        }
        let mut command = match (self.worker.rebuild)(task, &folder.join("run")) {
            Ok(command) => command,
            Err(reason) => return End::Broken(reason),
        };
        // Its spans are below this one, and below none that this process was started in.
        match telemetry::current() {
            Some(span) => command.env("TRACEPARENT", span.to_string()),
            None => command.env_remove("TRACEPARENT"),
        };
        let spawned = process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => return End::Broken(format!("cannot start the rebuild: {error}")),
        };
        // Open as long as this process lives; the child ends with it.
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take();
        let reading = async {
            let mut printed = Vec::new();
            if let Some(stdout) = &mut stdout {
                // What is cut short is no document, and is told so.
                let _ = stdout.take(DOCUMENT).read_to_end(&mut printed).await;
            }
            printed
        };
        let ended = tokio::select! {
            (printed, status) = async { tokio::join!(reading, child.wait()) } => {
                let code = status.ok().and_then(|status| status.code());
                return End::Exited { code, printed };
            }
            order = ordered(orders) => order,
            () = self.follow_log(folder) => Order::Lost,
        };
        drop(stdin);
        // Its sandbox ends with it, however it ends.
        if tokio::time::timeout(ENDING, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
        End::Ordered(ended)
    }

    /// Sends what the build logs, forever; nothing more once the server says that the log is full.
    async fn follow_log(&self, folder: &Path) {
        let (mut path, mut read, mut sent) = (PathBuf::new(), 0_u64, 0_u64);
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(newest) = newest_log(folder) else {
                continue;
            };
            if newest != path {
                (path, read) = (newest, 0);
            }
            let Ok(bytes) = part(&path, read) else { continue };
            if bytes.is_empty() {
                continue;
            }
            let count = bytes.len() as u64;
            match self.worker.client.log(self.lease, sent, bytes).await {
                Ok(length) if length == sent.saturating_add(count) => {
                    read = read.saturating_add(count);
                    sent = length;
                }
                // A server that was started again begins with nothing.
                Ok(length) => (read, sent) = (0, length),
                Err(super::ClientError::Refused { .. } | super::ClientError::Lost) => {
                    return std::future::pending().await;
                }
                Err(_) => {}
            }
        }
    }

    /// Gives the server all files of the run.
    async fn hand_in(&self, run: &Path, orders: &mut watch::Receiver<Order>) -> Option<Outcome> {
        let sending = async {
            let mut pause = PAUSES.0;
            loop {
                match self.send(run).await {
                    Ok(files) => return Some(Outcome::Run { files }),
                    Err(super::ClientError::Lost) => return None,
                    Err(error) if error.is_answer() => {
                        return Some(broken(&format!(
                            "the run cannot be handed in: {}",
                            with_causes(&error)
                        )));
                    }
                    Err(error) => self.note(&format!("{}; trying again", with_causes(&error))),
                }
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(PAUSES.1);
            }
        };
        tokio::select! {
            outcome = sending => outcome,
            order = ordered(orders) => match order {
                Order::Cancel => Some(Outcome::Cancelled),
                Order::Lost => None,
                Order::GoOn | Order::GiveBack => {
                    self.give_back().await;
                    None
                }
            },
        }
    }

    async fn send(&self, run: &Path) -> Result<Vec<RunFile>, super::ClientError> {
        let folder = run.to_owned();
        let listed = tokio::task::spawn_blocking(move || list(&folder)).await;
        let failed = |source| super::ClientError::File {
            path: run.display().to_string(),
            source,
        };
        let files = listed
            .map_err(|error| failed(std::io::Error::other(error)))?
            .map_err(failed)?;
        for some in files.chunks(wire::BATCH) {
            let missing = self
                .worker
                .client
                .missing(some.iter().map(|file| file.sha256).collect())
                .await?;
            for file in some.iter().filter(|file| missing.contains(&file.sha256)) {
                let path = run.join(&file.path);
                self.worker
                    .client
                    .send(self.lease, file.sha256, file.size, &path)
                    .await?;
            }
        }
        Ok(files)
    }
}

/// Waits for an order.
async fn ordered(orders: &mut watch::Receiver<Order>) -> Order {
    let order = orders.wait_for(|order| *order != Order::GoOn).await;
    order.map_or(Order::Lost, |order| *order)
}

/// The files of a run, by content.
fn list(run: &Path) -> std::io::Result<Vec<RunFile>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(run).sort_by_file_name() {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let (sha256, size) = Sha256::of_reader(std::fs::File::open(entry.path())?)?;
        let path = entry.path().strip_prefix(run).unwrap_or(entry.path());
        let path = path
            .to_str()
            .ok_or_else(|| std::io::Error::other("a file's name is not UTF-8"))?;
        files.push(RunFile {
            path: path.to_owned(),
            sha256,
            size,
        });
    }
    Ok(files)
}

/// The log of the attempt that runs.
fn newest_log(folder: &Path) -> Option<PathBuf> {
    let files = walkdir::WalkDir::new(folder).max_depth(4).into_iter().flatten();
    let logs = files.filter(|entry| entry.file_name() == "build.log");
    let dated = logs.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.into_path())));
    dated.max().map(|(_, path)| path)
}

/// What a file has from `offset` on, up to what one message takes.
fn part(path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(wire::CHUNK as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// This machine could not do it; another one may.
fn broken(reason: &str) -> Outcome {
    Outcome::Failed {
        failure: Some(FailureCode::SandboxFailed),
        message: reason.to_owned(),
    }
}

/// What a child without a run says.
fn failed(code: Option<i32>, printed: &[u8]) -> Outcome {
    let Ok(Printed { error: Some(error) }) = serde_json::from_slice::<Printed>(printed) else {
        return broken(&match code {
            Some(code) => format!("the rebuild ended with exit code {code} and without a run"),
            None => "the rebuild was killed".to_owned(),
        });
    };
    match error.exit_code {
        3 => Outcome::Refused {
            message: error.message,
        },
        // Somebody ended the process; that says nothing about the package.
        130 | 143 => broken(&error.message),
        _ => Outcome::Failed {
            failure: error.failure.map(|failure| failure.code),
            message: error.message,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_says_is_told_apart_from_its_death() {
        let text = |code: u8, kind: &str| {
            format!(r#"{{"error": {{"message": "m", "help": null, "exit_code": {code}{kind}}}}}"#)
        };
        let kind = r#", "failure": {"code": "unreachable", "certainty": "known"}"#;
        for (code, printed, failure) in [
            (Some(4), text(4, kind), Some(FailureCode::Unreachable)),
            (Some(2), text(2, ""), None),
            (Some(143), text(143, ""), Some(FailureCode::SandboxFailed)),
            (None, String::new(), Some(FailureCode::SandboxFailed)),
            (Some(0), String::new(), Some(FailureCode::SandboxFailed)),
        ] {
            match super::failed(code, printed.as_bytes()) {
                Outcome::Failed { failure: found, .. } => assert_eq!(found, failure, "{printed}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(
            super::failed(Some(3), text(3, "").as_bytes()),
            Outcome::Refused { .. }
        ));
    }
}
