//! The sandbox without a daemon: Linux namespaces, through an OCI runtime library.
//!
//! Namespaces must be entered by a single-threaded process, so each task runs in a helper process of this program. It
//! talks over three pipes: one line of JSON on stdin names the task, stderr carries events, stdout the log. The
//! worker, outside, does what needs its identity: id maps and control groups. The helper dies with the worker, and
//! everything inside dies with the helper.

mod cgroup;
mod folders;
mod helper;
mod idmap;
mod mounts;
mod payload;
mod process;
mod processors;
mod protocol;
mod query;
mod runtime;
mod sealed;
mod seccomp;
mod shown;
mod spec;
mod syscalls;
mod tasks;
mod trace;
mod usage;
#[cfg(target_arch = "x86_64")]
mod veil;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_veil.rs"]
mod veil;
mod wait;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::process::Child;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Bound, CommandResult, ExitReason, Job, KeepMode, Sandbox, SandboxError, output};
use crate::plan::Limits;
use crate::progress::ProgressBar;
use crate::rootfs::{Times, removal};
use crate::store::{Scratch, Store, StoreError};
use cgroup::Cgroup;
use helper::Purpose;
pub use helper::serve;
pub use idmap::IdMap;
use process::{Helper, asked_by_doctor, copy_log};
pub(crate) use process::{LOG_LIMIT, last_line};
use protocol::Task;
pub use query::QueryOutput;
pub use spec::CAPABILITIES;
pub use tasks::Intact;

/// First argument that makes this binary a sandbox helper.
pub const HELPER_ARGUMENT: &str = "__sandbox";

/// The backend; it is made once and used by many jobs.
#[derive(Debug, Clone)]
pub struct Embedded {
    store: Store,
    ids: IdMap,
    /// Kept trees that this process has found unchanged.
    intact: Arc<Mutex<HashSet<PathBuf>>>,
    /// A helper that waits for the next run.
    spare: Arc<Mutex<Option<Child>>>,
    /// The file that records what the processes of a run do to files, if they are traced.
    trace: Option<PathBuf>,
    /// A permit for each build at the same time, if their number is limited.
    places: Option<Arc<Semaphore>>,
    /// A permit for each removal of an ended run's scratch folder at the same time.
    removals: Arc<Semaphore>,
}

/// Maximum number of scratch folders that are being removed while other work goes on.
const REMOVALS: usize = 4;

impl Embedded {
    /// Checks that this user can map ids here, and sweeps what killed runs left.
    pub fn new(store: &Store) -> Result<Self, SandboxError> {
        let backend = Self {
            store: store.clone(),
            ids: IdMap::of_this_user()?,
            intact: Arc::default(),
            spare: Arc::default(),
            trace: None,
            places: None,
            removals: Arc::new(Semaphore::new(REMOVALS)),
        };
        sealed::prepare();
        backend.sweep()?;
        Ok(backend)
    }

    /// The same backend with places for this many builds at the same time; see [`Self::place`].
    #[must_use]
    pub fn limited_to(&self, builds: usize) -> Self {
        Self {
            places: Some(Arc::new(Semaphore::new(builds))),
            ..self.clone()
        }
    }

    /// Waits for a place among the builds that run at the same time. Whoever runs a build holds it until the end.
    pub async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes the semaphore.
        self.places.as_ref()?.acquire().await.ok()
    }

    /// The same backend, but it records what the processes of a run do to files in `events`: one
    /// [`crate::trace::Event`] as JSON on each line. For one run at a time.
    #[must_use]
    pub fn traced(&self, events: &Path) -> Self {
        Self {
            trace: Some(events.to_owned()),
            ..self.clone()
        }
    }

    /// Starts the helper of the next run, unless one is waiting, so that its start overlaps with the work before the
    /// run.
    fn expect_run(&self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.is_none() {
            // If this fails, the run's own attempt reports the reason.
            *spare = process::spawn(Purpose::Run).ok();
        }
    }

    /// The waiting helper, or a new one.
    fn take_helper(&self) -> Result<Child, SandboxError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The waiting helper may have ended meanwhile.
        match spare.map(|mut child| (child.try_wait(), child)) {
            Some((Ok(None), child)) => Ok(child),
            _ => process::spawn(Purpose::Run),
        }
    }

    /// Starts a container on an almost empty root, with the full contract; describes what is not enforced.
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
        // The root is empty, so only the missing shell may make the job fail; everything before that worked.
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

    /// Removes scratch folders and control groups of runs whose process has ended.
    pub fn sweep(&self) -> Result<(), SandboxError> {
        for path in self.store.stale_temporaries() {
            // A leftover does no harm, so failing to remove it is not an error; the next start tries again.
            let _ = self.remove_now(&path);
        }
        for scratch in self.store.stale_scratch()? {
            Cgroup::remove(&self.store, &scratch.id());
            self.remove_now(scratch.path())?;
        }
        Cgroup::sweep(&self.store);
        Ok(())
    }

    /// A folder that the sandbox's root user owns.
    pub fn make_folder(&self, path: &Path) -> Result<(), SandboxError> {
        // The worker's own file mode mask must not matter: a build sees the mode of some of these folders as that of
        // its root.
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

    /// Removes a tree, whatever ids own it, and whatever its shape is.
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

    /// Runs a job on a root that it may change permanently; for building roots.
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
        let permit = self.removals.clone().acquire_owned().await;
        let this = self.clone();
        // A source tree has thousands of files, and what follows the run does not need to wait until they are gone. At
        // its end, the process waits for this thread.
        tokio::task::spawn_blocking(move || {
            drop(cgroup);
            // A leftover does no harm, so failing to remove it is not an error; the next start tries again.
            let _ = this.remove_now(scratch.path());
            drop((scratch, permit));
        });
        outcome
    }

    /// Fills the scratch folder of a run, and returns the task for its helper.
    fn prepare(
        &self,
        job: &Job<'_>,
        in_place: Option<&Path>,
        scratch: &Scratch,
        cgroup: &Cgroup,
        own_ids: Option<u32>,
    ) -> Result<Task, SandboxError> {
        let writable = writable(scratch);
        self.make_folder(&writable)?;
        for folder in runtime::WRITABLE {
            self.make_folder(&writable.join(folder))?;
        }
        let inputs = scratch.path().join("in");
        let opened = fs::Permissions::from_mode(0o755);
        fs::create_dir(&inputs)
            .and_then(|()| fs::set_permissions(&inputs, opened))
            .map_err(StoreError::io("make the input folder", &inputs))?;
        output::stage(&job.inputs, &inputs).map_err(StoreError::io("stage the inputs in", &inputs))?;
        let env = job.env.iter();
        Ok(Task::Run(Box::new(runtime::RunTask {
            id: scratch.id(),
            lowers: job.root.folders.iter().rev().cloned().collect(),
            writable,
            in_place: in_place.map(Path::to_owned),
            inputs,
            own_ids,
            limit_by_user: cgroup.not_enforced().contains(&Bound::Pids),
            script: job.script.clone(),
            env: env.map(|(key, value)| format!("{key}={value}")).collect(),
            hostname: job.hostname.clone(),
            umask: job.umask,
            limits: job.limits,
            groups: cgroup.entered().to_vec(),
            view: job.view.clone(),
            traced: self.trace.is_some(),
        })))
    }

    /// Runs a job in its scratch folder and control groups, which the caller removes.
    async fn run_in(
        &self,
        job: &Job<'_>,
        in_place: Option<&Path>,
        bar: &ProgressBar,
        scratch: &Scratch,
        cgroup: &Cgroup,
    ) -> Result<CommandResult, SandboxError> {
        let child = self.take_helper()?;
        // The kernel makes the process that moves another one wait; meanwhile the helper starts, and the folders are
        // made.
        let admission = child.id().map(|pid| cgroup.admission(pid));
        let admission = admission.filter(|admission| !admission.is_empty());
        let admitted = admission.map(|admission| tokio::task::spawn_blocking(move || admission.carry_out()));
        let own_ids = self.ids.own();
        let first_id = own_ids.as_ref().map(|ids| ids.first);
        let task = self.prepare(job, in_place, scratch, cgroup, first_id)?;
        let log = tokio::fs::File::options()
            .create(true)
            .append(true)
            .open(job.log)
            .await;
        let mut log = log.map_err(SandboxError::io(format!("write {}", job.log.display())))?;
        let mut helper = Helper::start(child, &self.ids, &task, admitted, own_ids.as_ref()).await?;
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
        // The output of the job is read only when none of its processes runs any more.
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
        let outcome = CommandResult {
            ended,
            took,
            outputs: Vec::new(),
            layer: None,
            not_enforced,
        };
        self.collect(job, scratch, outcome).await
    }

    /// Takes out of the scratch folder what the job left: the trace, and the outputs and the layer if it succeeded.
    async fn collect(
        &self,
        job: &Job<'_>,
        scratch: &Scratch,
        mut outcome: CommandResult,
    ) -> Result<CommandResult, SandboxError> {
        if let Some(to) = &self.trace {
            let events = writable(scratch).join(trace::EVENTS);
            fs::copy(&events, to).map_err(SandboxError::io(format!("keep the trace in {}", to.display())))?;
        }
        if outcome.ended.succeeded() {
            outcome.outputs =
                output::collect(&writable(scratch).join("out"), job.outputs, job.most_output())?;
            if job.keep == KeepMode::Layer {
                outcome.layer = Some(self.take_layer(&writable(scratch).join("upper")).await?);
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

/// The folder that a run writes into, in its scratch folder.
fn writable(scratch: &Scratch) -> PathBuf {
    scratch.path().join("writable")
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

/// Default limits for short internal jobs, such as asking a resolver.
pub fn short_job_limits() -> Limits {
    Limits {
        seconds: 900,
        ..Limits::default()
    }
}
