//! The sandbox without a daemon: Linux namespaces through an OCI runtime library.
//!
//! Namespaces must be entered by a single-threaded process, so each task runs in a helper, a re-execution of
//! this binary. It talks over three pipes: one line of JSON on stdin says what to do, stderr carries events,
//! stdout the log. The worker, outside, does what needs its identity: id maps and control groups. The helper
//! dies with the worker, and everything inside dies with the helper.

mod cgroup;
mod helper;
mod idmap;
mod question;
mod runtime;
mod seccomp;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _};
use indicatif::ProgressBar;
use serde::Serialize as _;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{Ended, Job, Keep, Limits, Outcome, Sandbox, SandboxError, output};
use crate::container::{Contents, LayerPlan, UnpackPlan};
use crate::store::{Scratch, Store};
use cgroup::Cgroup;
pub use helper::serve;
use helper::{Event, Task};
pub use idmap::IdMap;
pub use question::Reply;
pub use runtime::CAPABILITIES;

/// First argument that makes this binary a sandbox helper.
pub const HELPER_ARGUMENT: &str = "__sandbox";

/// The backend; made once, used by many jobs.
#[derive(Debug, Clone)]
pub struct Embedded {
    store: Store,
    ids: IdMap,
}

/// How much of a runaway log is kept.
const LOG_LIMIT: u64 = 256 << 20;

impl Embedded {
    /// Checks that the identity part works here, and sweeps what killed runs left.
    pub fn new(store: &Store) -> Result<Self, SandboxError> {
        let backend = Self {
            store: store.clone(),
            ids: IdMap::of_this_user()?,
        };
        backend.sweep()?;
        Ok(backend)
    }

    /// Starts a container on an almost empty root, with the full contract; says what is not enforced.
    pub async fn probe(&self) -> Result<String, SandboxError> {
        let scratch = self.store.scratch()?;
        let root = scratch.path().join("root");
        self.make_folder(&root)?;
        let layers = super::RootLayers {
            folders: vec![root],
            name: crate::artifact::Sha256::of(""),
        };
        let reply = self
            .question(&layers, Vec::new(), "exit 0".into(), &ProgressBar::hidden())
            .await;
        self.remove_now(scratch.path())?;
        // The root is empty, so its shell is what must be missing; everything before that worked.
        let missing = reply?.not_enforced;
        let ids = match self.ids {
            IdMap::Root => "as root, ids of its own".to_owned(),
            IdMap::User { .. } => "as an ordinary user, subordinate ids".to_owned(),
        };
        let limits = if missing.is_empty() {
            "limits on time, memory, disk and processes".to_owned()
        } else {
            format!("limits on time and disk; not on {}", missing.join(" and "))
        };
        Ok(format!("{ids}; {limits}"))
    }

    /// Removes scratch folders and control groups of runs whose process is gone.
    pub fn sweep(&self) -> Result<(), SandboxError> {
        self.store.sweep_temporaries()?;
        for scratch in self.store.stale_scratch()? {
            Cgroup::remove(&scratch.id());
            self.remove_now(scratch.path())?;
        }
        Ok(())
    }

    /// Unpacks packages into the new folder `target`.
    pub async fn unpack(&self, plan: &UnpackPlan, target: &Path) -> Result<(), SandboxError> {
        self.make_folder(target)?;
        self.task(
            Task::Unpack {
                target: target.to_owned(),
                plan: plan.clone(),
            },
            "unpacking packages",
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
        )
        .await
    }

    /// Sets aside what differs from run to run in a made root, and gives the digest of the rest.
    pub async fn normalise(&self, root: &Path, epoch: Option<i64>) -> Result<Contents, SandboxError> {
        self.task(
            Task::Normalise {
                root: root.to_owned(),
                epoch,
            },
            "reading the root",
        )
        .await
    }

    /// Writes the merged layers as one tar file, owners and modes as they are inside.
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
        )
        .await
    }

    /// A folder that the sandbox's root user owns.
    pub fn make_folder(&self, path: &Path) -> Result<(), SandboxError> {
        fs::create_dir_all(path).map_err(SandboxError::io(format!("make {}", path.display())))?;
        self.ids
            .give_to_sandbox_root(path)
            .map_err(SandboxError::io(format!(
                "hand {} to the sandbox",
                path.display()
            )))
    }

    /// Removes a tree whatever ids own it.
    pub fn remove_now(&self, path: &Path) -> Result<(), SandboxError> {
        let error = || SandboxError::io(format!("remove {}", path.display()));
        for _ in 0..20 {
            match fs::remove_dir_all(path) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                // Processes of a killed run may still be ending.
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    self.remove_as_sandbox(path)?;
                }
                Err(other) => return Err(error()(other)),
            }
        }
        fs::remove_dir_all(path).map_err(error())
    }

    /// An ordinary user may not remove what the sandbox's other users own; the sandbox's root may.
    fn remove_as_sandbox(&self, path: &Path) -> Result<(), SandboxError> {
        let (ids, path) = (self.ids.clone(), path.to_owned());
        helper::run_blocking(&ids, &Task::Remove { path })
    }

    async fn task<T: DeserializeOwned>(&self, task: Task, during: &'static str) -> Result<T, SandboxError> {
        let mut helper = Helper::start(&self.ids, &task, Stdio::null(), None).await?;
        loop {
            match helper.event().await? {
                Some(Event::Done { value }) => {
                    return serde_json::from_value(value).map_err(|error| SandboxError::Broken {
                        during,
                        reason: error.to_string(),
                    });
                }
                Some(Event::Failed { reason }) => return Err(SandboxError::Broken { during, reason }),
                Some(_) => {}
                None => {
                    return Err(SandboxError::Broken {
                        during,
                        reason: "the helper process ended early".into(),
                    });
                }
            }
        }
    }

    /// Runs a job on a root that it may change for good; for making roots.
    pub async fn run_in_place(
        &self,
        job: &Job<'_>,
        root: &Path,
        bar: &ProgressBar,
    ) -> Result<Outcome, SandboxError> {
        self.run_job(job, Some(root), bar).await
    }

    async fn run_job(
        &self,
        job: &Job<'_>,
        in_place: Option<&Path>,
        bar: &ProgressBar,
    ) -> Result<Outcome, SandboxError> {
        let scratch = self.store.scratch()?;
        let outcome = self.run_in(job, in_place, bar, &scratch).await;
        let path = scratch.path().to_owned();
        let this = self.clone();
        let cleaned = tokio::task::spawn_blocking(move || this.remove_now(&path)).await;
        Cgroup::remove(&scratch.id());
        let outcome = outcome?;
        cleaned.map_err(|error| SandboxError::Broken {
            during: "cleaning up",
            reason: error.to_string(),
        })??;
        Ok(outcome)
    }

    async fn run_in(
        &self,
        job: &Job<'_>,
        in_place: Option<&Path>,
        bar: &ProgressBar,
        scratch: &Scratch,
    ) -> Result<Outcome, SandboxError> {
        let inside = |name: &str| scratch.path().join(name);
        for folder in ["upper", "work", "out"] {
            self.make_folder(&inside(folder))?;
        }
        fs::create_dir(inside("in")).map_err(SandboxError::io("make the input folder"))?;
        output::stage(&job.inputs, &inside("in")).map_err(SandboxError::io("stage the inputs"))?;

        let cgroup = Cgroup::make(&scratch.id(), &job.limits);
        let task = Task::Run(Box::new(runtime::RunTask {
            id: scratch.id(),
            lowers: job.root.folders.iter().rev().cloned().collect(),
            upper: in_place.map_or_else(|| inside("upper"), Path::to_owned),
            in_place: in_place.is_some(),
            work: inside("work"),
            inputs: inside("in"),
            out: inside("out"),
            script: job.script.clone(),
            env: job
                .env
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
            hostname: job.hostname.clone(),
            umask: job.umask,
            limits: job.limits,
        }));
        let mut helper = Helper::start(&self.ids, &task, Stdio::piped(), Some(&cgroup)).await?;
        let log = tokio::fs::File::options()
            .create(true)
            .append(true)
            .open(job.log)
            .await;
        let mut log = log.map_err(SandboxError::io(format!("write {}", job.log.display())))?;
        let mut stdout = helper.child.stdout.take();
        let copy_log = async {
            if let Some(stdout) = stdout.as_mut() {
                copy_log(stdout, &mut log, bar).await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let ended = tokio::time::timeout(Duration::from_secs(job.limits.seconds), async {
            let (ended, copied) = tokio::join!(helper.until_end(), copy_log);
            copied.map_err(SandboxError::io(format!("write {}", job.log.display())))?;
            ended
        })
        .await;
        let (ended, took) = if let Ok(ended) = ended {
            ended?
        } else {
            helper.kill().await;
            (Ended::TimedOut, Duration::from_secs(job.limits.seconds))
        };
        let mut outcome = Outcome {
            ended,
            took,
            outputs: Vec::new(),
            layer: None,
            not_enforced: cgroup.not_enforced().to_vec(),
        };
        if ended.well() {
            outcome.outputs = output::collect(&inside("out"), job.outputs, job.limits.disk)?;
            if job.keep == Keep::Layer {
                outcome.layer = Some(self.take_layer(&inside("upper"))?);
            }
        }
        Ok(outcome)
    }

    /// Moves the writable layer out of the scratch folder, so that the clean-up leaves it.
    fn take_layer(&self, upper: &Path) -> Result<PathBuf, SandboxError> {
        let error = |source| SandboxError::Io {
            what: "keep the layer".into(),
            source,
        };
        let folder = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(self.store.path().join("layers"))
            .map_err(error)?
            .keep();
        let kept = folder.join("upper");
        fs::rename(upper, &kept).map_err(error)?;
        Ok(kept)
    }
}

impl Sandbox for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn takes_layers(&self) -> bool {
        true
    }

    fn run<'a>(
        &'a self,
        job: &'a Job<'a>,
        bar: &'a ProgressBar,
    ) -> BoxFuture<'a, Result<Outcome, SandboxError>> {
        self.run_job(job, None, bar).boxed()
    }
}

/// Copies the log to its file and its newest line to the screen.
async fn copy_log(
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
        let chunk = &buffer[..count];
        if written < LOG_LIMIT {
            to.write_all(chunk).await?;
            written += count as u64;
        }
        if let Some(line) = last_line(chunk) {
            bar.set_message(line);
        }
    }
}

/// The last whole line of some output, made safe for a terminal.
pub(crate) fn last_line(chunk: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(chunk);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// A running helper process; killed when dropped.
struct Helper {
    child: Child,
    events: BufReader<tokio::process::ChildStderr>,
}

impl Helper {
    async fn start(
        ids: &IdMap,
        task: &Task,
        stdout: Stdio,
        cgroup: Option<&Cgroup>,
    ) -> Result<Self, SandboxError> {
        let starting = SandboxError::io("start the sandbox helper");
        let mut child = helper::command()
            .map(Command::from)
            .and_then(|mut command| {
                command
                    .stdin(Stdio::piped())
                    .stdout(stdout)
                    .stderr(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
            })
            .map_err(starting)?;
        let (Some(stderr), Some(mut stdin)) = (child.stderr.take(), child.stdin.take()) else {
            return Err(SandboxError::Broken {
                during: "starting",
                reason: "the pipes are missing".into(),
            });
        };
        let mut this = Self {
            child,
            events: BufReader::new(stderr),
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
            Some(Event::WantsMap { pid }) => {
                ids.write(pid)?;
                if let Some(cgroup) = cgroup {
                    cgroup.admit(pid);
                }
            }
            Some(Event::Failed { reason }) => return Err(unusable(reason)),
            _ => return Err(unusable("the helper process ended before it began".into())),
        }
        stdin
            .write_all(b"go\n")
            .await
            .map_err(SandboxError::io("talk to the sandbox helper"))?;
        Ok(this)
    }

    async fn event(&mut self) -> Result<Option<Event>, SandboxError> {
        let mut line = String::new();
        let count = self
            .events
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

    /// Waits for the job to end; gives how, and how long it took from its first command on.
    async fn until_end(&mut self) -> Result<(Ended, Duration), SandboxError> {
        let mut started = Instant::now();
        loop {
            match self.event().await? {
                Some(Event::Started) => started = Instant::now(),
                Some(Event::Ended { ended }) => return Ok((ended, started.elapsed())),
                Some(Event::Failed { reason }) => return Err(unusable(reason)),
                Some(Event::WantsMap { .. } | Event::Done { .. }) => {}
                None => return Ok((Ended::Signalled(9), started.elapsed())),
            }
        }
    }

    async fn kill(&mut self) {
        // The helper may have just ended by itself.
        let _ = self.child.kill().await;
    }
}

fn unusable(reason: String) -> SandboxError {
    SandboxError::Unusable {
        backend: "embedded",
        reason,
        help: "run \"rebuilder doctor\"; it says what this machine lacks, and whether --backend docker works"
            .into(),
    }
}

/// Default limits for short internal jobs, such as asking a resolver.
pub fn short_job_limits() -> Limits {
    Limits {
        seconds: 900,
        ..Limits::default()
    }
}
