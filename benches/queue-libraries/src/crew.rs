//! The worker processes: this program again.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum as _};

use crate::library::Library;

#[derive(Args)]
pub struct Work {
    #[arg(long)]
    pub library: Library,
    #[arg(long)]
    pub database: String,
    #[arg(long)]
    pub journal: PathBuf,
    #[arg(long)]
    pub name: String,
    #[command(flatten)]
    pub settings: Settings,
}

#[derive(Args, Clone, Copy)]
pub struct Settings {
    /// Jobs that a worker takes at a time.
    #[arg(long)]
    pub batch: usize,
    /// Seconds of silence after which a worker is taken for dead.
    #[arg(long)]
    pub lease: u32,
}

/// Heartbeats in a lease.
pub const HEARTBEATS: u32 = 3;

impl Settings {
    pub fn lease(self) -> Duration {
        Duration::from_secs(self.lease.into())
    }

    pub fn heartbeat(self) -> Duration {
        self.lease() / HEARTBEATS
    }
}

/// Workers by their places; they end when this is dropped, and when this process does.
pub struct Crew {
    library: Library,
    database: String,
    journal: PathBuf,
    workers: Vec<Child>,
    restarts: u32,
    settings: Settings,
}

impl Crew {
    pub fn start(
        library: Library,
        database: &str,
        journal: &Path,
        number: usize,
        settings: Settings,
    ) -> Result<Self> {
        let mut crew = Self {
            library,
            database: database.to_owned(),
            journal: journal.to_owned(),
            workers: Vec::new(),
            restarts: 0,
            settings,
        };
        for place in 0..number {
            let worker = crew.worker(&format!("worker-{place}"))?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    fn worker(&self, name: &str) -> Result<Child> {
        let library = self.library.to_possible_value().context("a hidden library")?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["work", "--library", library.get_name()])
            .args(["--batch", &self.settings.batch.to_string()])
            .args(["--lease", &self.settings.lease.to_string()])
            .args(["--database", &self.database, "--name", name, "--journal"])
            .arg(&self.journal)
            // Closed when this process ends in any way.
            .stdin(Stdio::piped());
        command.spawn().context("a worker does not start")
    }

    /// Ends a worker with SIGKILL.
    pub fn kill(&mut self, place: usize) {
        if let Some(worker) = self.workers.get_mut(place) {
            end(worker);
        }
    }

    /// Starts it again, under the same name or a new one.
    pub fn back(&mut self, place: usize, new_name: bool) -> Result<()> {
        self.restarts += 1;
        let name = if new_name {
            format!("worker-{place}-{}", self.restarts)
        } else {
            format!("worker-{place}")
        };
        let worker = self.worker(&name)?;
        if let Some(old) = self.workers.get_mut(place) {
            *old = worker;
        }
        Ok(())
    }

    /// Ends all; what workers that were there no more would have done is not hidden.
    pub fn end(mut self) {
        for (place, worker) in self.workers.iter_mut().enumerate() {
            if let Ok(Some(status)) = worker.try_wait() {
                println!("    worker {place} had ended by itself: {status}");
            }
        }
    }
}

fn end(worker: &mut Child) {
    // It may have ended by itself.
    let _ = worker.kill();
    let _ = worker.wait();
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.workers.iter_mut().for_each(end);
    }
}

/// Ends this process when the one that started it is gone.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let mut nothing = [0];
        let _ = std::io::stdin().read(&mut nothing);
        std::process::exit(1);
    });
}
