//! The sandbox without a daemon: Linux namespaces through an OCI runtime library.
//!
//! Namespaces must be entered by a single-threaded process, so each task runs in a helper, a re-execution of
//! a sealed copy of this binary. It talks over three pipes: one line of JSON on stdin says what to do, stderr
//! carries events, stdout the log. The worker, outside, does what needs its identity: id maps and control groups.
//! The helper dies with the worker, and everything inside dies with the helper.

mod cgroup;
mod folders;
mod helper;
mod idmap;
mod payload;
mod query;
mod runtime;
mod seccomp;
mod usage;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _};
use serde::Serialize as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{Bound, CommandResult, ExitReason, Job, KeepMode, Sandbox, SandboxError, output};
use crate::artifact::Sha256;
use crate::plan::Limits;
use crate::progress::ProgressBar;
use crate::rootfs::removal;
use crate::rootfs::{LayerPlan, Times, TreeContents, UnpackPlan};
use crate::store::{Scratch, Store, StoreError};
use cgroup::Cgroup;
pub use helper::serve;
use helper::{HelperEvent, Task, TaskAnswer};
pub use idmap::IdMap;
use idmap::OwnIds;
pub use query::QueryOutput;
pub use runtime::CAPABILITIES;

/// First argument that makes this binary a sandbox helper.
pub const HELPER_ARGUMENT: &str = "__sandbox";

/// The backend; made once, used by many jobs.
#[derive(Debug, Clone)]
pub struct Embedded {
    store: Store,
    ids: IdMap,
    /// Kept trees that this process has found to be as they were made.
    intact: Arc<Mutex<HashSet<PathBuf>>>,
}

/// How much of a runaway log is kept.
pub(crate) const LOG_LIMIT: u64 = 256 << 20;

impl Embedded {
    /// Checks that the identity part works here, and sweeps what killed runs left.
    pub fn new(store: &Store) -> Result<Self, SandboxError> {
        let backend = Self {
            store: store.clone(),
            ids: IdMap::of_this_user()?,
            intact: Arc::default(),
        };
        helper::prepare();
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
            .query(&layers, Vec::new(), "exit 0".into(), &ProgressBar::hidden())
            .await;
        self.remove_now(scratch.path())?;
        // The root is empty, so its shell is what must be missing; everything before that worked.
        let missing = reply.map_err(asked_by_doctor)?.not_enforced;
        let ids = match self.ids {
            IdMap::Root => "as root, ids of its own".to_owned(),
            IdMap::User { .. } => "as an ordinary user, subordinate ids".to_owned(),
        };
        let limits = if missing.is_empty() {
            "limits on time, memory, disk and processes".to_owned()
        } else {
            let missing: Vec<_> = missing.into_iter().map(Bound::as_str).collect();
            format!("limits on time and disk; not on {}", missing.join(" and "))
        };
        Ok(format!("{ids}; {limits}"))
    }

    /// Removes scratch folders and control groups of runs whose process is gone.
    pub fn sweep(&self) -> Result<(), SandboxError> {
        for path in self.store.stale_temporaries() {
            // What is in the way of nothing stops nobody; the next start tries again.
            let _ = self.remove_now(&path);
        }
        for scratch in self.store.stale_scratch()? {
            Cgroup::remove(&self.store, &scratch.id());
            self.remove_now(scratch.path())?;
        }
        Cgroup::sweep(&self.store);
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

    /// Sets aside what differs from run to run in a made tree, and gives the digest of the rest.
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

    /// The seal of a kept tree: it differs after any change of the tree, and takes no reading of files.
    pub async fn seal(&self, root: &Path) -> Result<Sha256, SandboxError> {
        let root = root.to_owned();
        self.task(Task::Seal { root }, "looking at the root", TaskAnswer::seal)
            .await
    }

    /// Whether a kept tree still is what was made; once found so, it is not looked at again by this process.
    ///
    /// Where the seal differs (a restored backup, say), the whole tree is read again; gives the new seal.
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
            TaskAnswer::done,
        )
        .await
    }

    /// A folder that the sandbox's root user owns.
    pub fn make_folder(&self, path: &Path) -> Result<(), SandboxError> {
        // Whatever the worker's own mask is: the mode of some of these is what a build sees of its root.
        fs::create_dir_all(path)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
            .map_err(StoreError::io("make the folder", path))?;
        self.ids
            .give_to_sandbox_root(path)
            .map_err(SandboxError::io(format!(
                "hand {} to the sandbox",
                path.display()
            )))
    }

    /// Removes a tree whatever ids own it, and whatever its shape.
    pub fn remove_now(&self, path: &Path) -> Result<(), SandboxError> {
        let error = |source| SandboxError::Io {
            what: format!("remove {}", path.display()),
            source,
        };
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return fs::remove_file(path).map_err(error),
            Err(absent) if absent.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(other) => return Err(error(other)),
        }
        for _ in 0..20 {
            let emptied = removal::empty(path).and_then(|()| fs::remove_dir(path));
            match emptied.map_err(|error| (error.kind(), error)) {
                Ok(()) | Err((std::io::ErrorKind::NotFound, _)) => return Ok(()),
                // Processes of a killed run may still be ending.
                Err((std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::ResourceBusy, _)) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err((std::io::ErrorKind::PermissionDenied, _)) => self.remove_as_sandbox(path)?,
                Err((_, other)) => return Err(error(other)),
            }
        }
        fs::remove_dir(path).map_err(error)
    }

    /// An ordinary user may not remove what the sandbox's other users own; the sandbox's root may.
    fn remove_as_sandbox(&self, path: &Path) -> Result<(), SandboxError> {
        let (ids, path) = (self.ids.clone(), path.to_owned());
        helper::run_blocking(&ids, &Task::Remove { path })
    }

    /// Does a task in a helper; `wanted` takes what this kind of task answers.
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
        let mut helper = Helper::start(&self.ids, &task, Stdio::null(), None, None).await?;
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

    /// Runs a job on a root that it may change for good; for making roots.
    pub async fn run_in_place(
        &self,
        job: &Job<'_>,
        root: &Path,
        bar: &ProgressBar,
    ) -> Result<CommandResult, SandboxError> {
        self.run_job(job, Some(root), bar).await
    }

    async fn run_job(
        &self,
        job: &Job<'_>,
        in_place: Option<&Path>,
        bar: &ProgressBar,
    ) -> Result<CommandResult, SandboxError> {
        let scratch = self.store.scratch()?;
        let cgroup = Cgroup::make(&self.store, &scratch.id(), &job.limits);
        let outcome = self.run_in(job, in_place, bar, &scratch, &cgroup).await;
        let path = scratch.path().to_owned();
        let this = self.clone();
        let cleaned = tokio::task::spawn_blocking(move || {
            drop(cgroup);
            this.remove_now(&path)
        })
        .await;
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
        cgroup: &Cgroup,
    ) -> Result<CommandResult, SandboxError> {
        let inside = |name: &str| scratch.path().join(name);
        let writable = inside("writable");
        self.make_folder(&writable)?;
        for folder in runtime::WRITABLE {
            self.make_folder(&writable.join(folder))?;
        }
        let opened = fs::Permissions::from_mode(0o755);
        fs::create_dir(inside("in"))
            .and_then(|()| fs::set_permissions(inside("in"), opened))
            .map_err(StoreError::io("make the input folder", &inside("in")))?;
        output::stage(&job.inputs, &inside("in"))
            .map_err(StoreError::io("stage the inputs in", &inside("in")))?;

        let own_ids = self.ids.own();
        let task = Task::Run(Box::new(runtime::RunTask {
            id: scratch.id(),
            lowers: job.root.folders.iter().rev().cloned().collect(),
            writable: writable.clone(),
            in_place: in_place.map(Path::to_owned),
            inputs: inside("in"),
            own_ids: own_ids.as_ref().map(|ids| ids.first),
            limit_by_user: cgroup.not_enforced().contains(&Bound::Pids),
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
        let log = tokio::fs::File::options()
            .create(true)
            .append(true)
            .open(job.log)
            .await;
        let mut log = log.map_err(SandboxError::io(format!("write {}", job.log.display())))?;
        let mut helper =
            Helper::start(&self.ids, &task, Stdio::piped(), Some(cgroup), own_ids.as_ref()).await?;
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
        let shared_ids = helper.shared_ids && matches!(self.ids, IdMap::Root);
        // What the job has written is read only once nothing of it runs any more.
        helper.kill().await;
        cgroup.kill();
        let (ended, took) = match ended {
            Ok(ended) => ended?,
            Err(_) => (ExitReason::TimedOut, Duration::from_secs(job.limits.seconds)),
        };
        let mut not_enforced = cgroup.not_enforced().to_vec();
        if shared_ids {
            not_enforced.push(Bound::Ids);
        }
        let mut outcome = CommandResult {
            ended,
            took,
            outputs: Vec::new(),
            layer: None,
            not_enforced,
        };
        if ended.succeeded() {
            outcome.outputs = output::collect(&writable.join("out"), job.outputs, job.most_output())?;
            if job.keep == KeepMode::Layer {
                outcome.layer = Some(self.take_layer(&writable.join("upper")).await?);
            }
        }
        Ok(outcome)
    }

    /// Moves the writable layer out of the scratch folder, so that the clean-up leaves it.
    async fn take_layer(&self, upper: &Path) -> Result<PathBuf, SandboxError> {
        self.normalise(upper, Times::AsTheyAre).await?;
        let error = |source| SandboxError::Io {
            what: "keep the layer".into(),
            source,
        };
        let kept = self.store.new_layer()?.join("upper");
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
    ) -> BoxFuture<'a, Result<CommandResult, SandboxError>> {
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

/// The last whole line of some output, as it is.
pub(crate) fn last_line(chunk: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(chunk);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.chars().take(200).collect())
}

/// What was found of a kept tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intact {
    /// It is as it was made.
    Yes,
    /// The same, but its seal has changed to this one.
    SealedAnew(Sha256),
    /// It was changed.
    No,
}

/// A running helper process; killed when dropped.
struct Helper {
    child: Child,
    events: BufReader<tokio::process::ChildStderr>,
    shared_ids: bool,
}

impl Helper {
    async fn start(
        ids: &IdMap,
        task: &Task,
        stdout: Stdio,
        cgroup: Option<&Cgroup>,
        own_ids: Option<&OwnIds>,
    ) -> Result<Self, SandboxError> {
        let starting = SandboxError::io("start the sandbox helper");
        let mut child = helper::command(task)
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
                if let Some(cgroup) = cgroup {
                    cgroup.admit(pid);
                }
            }
            Some(HelperEvent::Failed(failure)) => return Err(unusable(failure.reason)),
            _ => return Err(unusable("the helper process ended before it began".into())),
        }
        stdin
            .write_all(b"go\n")
            .await
            .map_err(SandboxError::io("talk to the sandbox helper"))?;
        Ok(this)
    }

    async fn event(&mut self) -> Result<Option<HelperEvent>, SandboxError> {
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

    /// Waits for the job to end; gives how, and how long it took from its first command on.
    async fn until_end(&mut self) -> Result<(ExitReason, Duration), SandboxError> {
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

    async fn kill(&mut self) {
        // The helper may have just ended by itself.
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

/// The doctor itself does not send people to the doctor.
fn asked_by_doctor(mut error: SandboxError) -> SandboxError {
    if let SandboxError::Unusable { help, .. } = &mut error
        && help == ASK_DOCTOR
    {
        "docs/sandbox.md says what the kernel must allow".clone_into(help);
    }
    error
}

/// Default limits for short internal jobs, such as asking a resolver.
pub fn short_job_limits() -> Limits {
    Limits {
        seconds: 900,
        ..Limits::default()
    }
}
