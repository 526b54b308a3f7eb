//! What breaks, and how.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::World;
use crate::chaos::below;
use crate::common::text;

/// What happens in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    WorkerKilledPlanning,
    WorkerKilledBuilding,
    WorkerKilledHandingIn,
    ServerKilled,
    DatabaseKilled,
    DatabaseRestarted,
    WorkerCutOff,
    ArtifactsFull,
    ArtifactsReadOnly,
    WorkerDiskFull,
    /// By so much that the signer does not believe when the build was.
    ClockAhead,
    ClockBehind,
    EverybodyKilled,
}

impl Fault {
    /// In an order in which a few rounds show something of each kind.
    pub(super) const ALL: [Self; 13] = [
        Self::WorkerKilledBuilding,
        Self::DatabaseKilled,
        Self::WorkerCutOff,
        Self::ArtifactsReadOnly,
        Self::WorkerKilledHandingIn,
        Self::ServerKilled,
        Self::ClockAhead,
        Self::ArtifactsFull,
        Self::WorkerKilledPlanning,
        Self::DatabaseRestarted,
        Self::ClockBehind,
        Self::EverybodyKilled,
        Self::WorkerDiskFull,
    ];
}

/// A small file system in memory.
pub(super) struct Mount {
    pub(super) path: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output().unwrap();
    if !output.status.success() {
        println!("{program} {arguments:?}: {}", text(&output));
    }
    output.status.success()
}

impl Mount {
    pub(super) fn new(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        let size = format!("size={size},mode=755");
        let place = path.to_str().unwrap();
        assert!(run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", place]));
        Self {
            path: path.to_owned(),
        }
    }

    /// Whether a line of `mountinfo` is about a mount of this file system at another place.
    pub(super) fn is_shown_elsewhere(&self, line: &str) -> bool {
        let device = fs::metadata(&self.path).unwrap().dev();
        let device = format!(
            "{}:{}",
            nix::sys::stat::major(device),
            nix::sys::stat::minor(device)
        );
        let mut fields = line.split(' ').skip(2);
        fields.next() == Some(&device) && fields.nth(1) != self.path.to_str()
    }

    /// Makes it read-only, or writable again. A file that is being written delays the first.
    fn writable(&self, writable: bool) -> bool {
        let how = if writable { "remount,rw" } else { "remount,ro" };
        let begun = Instant::now();
        let place = self.path.to_str().unwrap();
        while !run("mount", &["-o", how, place]) {
            if begun.elapsed() > Duration::from_secs(5) {
                return false;
            }
            pause(50);
        }
        true
    }

    /// Takes all the space that there is.
    fn fill(&self) -> PathBuf {
        let path = self.path.join("full");
        let mut file = fs::File::create(&path).unwrap();
        let block = vec![0; 1 << 20];
        while file.write_all(&block).is_ok() {}
        let _ = file.write_all(&block[..4096]);
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.path.to_str().unwrap()]);
    }
}

/// A way to the server that can be cut: connections stay open, and nothing goes through any more.
pub(super) struct Way {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Way {
    pub(super) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            port: listener.local_addr().unwrap().port(),
            cut: Arc::default(),
        };
        let cut = way.cut.clone();
        std::thread::spawn(move || {
            for here in listener.incoming().flatten() {
                let Ok(there) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                for (from, to) in [(&here, &there), (&there, &here)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let cut = cut.clone();
                    std::thread::spawn(move || pass(from, to, &cut));
                }
            }
        });
        way
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut buffer = [0; 1 << 14];
    while let Ok(length) = from.read(&mut buffer) {
        while cut.load(Ordering::Relaxed) {
            pause(10);
        }
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// What a worker is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Planning,
    Building,
    HandingIn,
}

impl World {
    /// Waits until a worker is at this stage; gives which one.
    fn caught(&self, stage: Stage) -> Option<usize> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(90) {
            if let Some(at) = self
                .hands
                .iter()
                .position(|hand| self.is_at(hand.child.id(), stage))
            {
                return Some(at);
            }
            pause(10);
        }
        None
    }

    fn is_at(&self, worker: u32, stage: Stage) -> bool {
        if stage == Stage::HandingIn {
            // The folder of a worker says nothing of whose it is, so it is the one that has no child any more.
            let runs = fs::read_dir(self.store.path.join("runs"))
                .into_iter()
                .flatten()
                .flatten();
            let jobs = runs.flat_map(|run| fs::read_dir(run.path()).into_iter().flatten().flatten());
            let done = jobs
                .filter(|job| job.path().join("run/record.json").exists())
                .count()
                > 0;
            return done && below(worker.try_into().unwrap()).is_empty();
        }
        let children = below(worker.try_into().unwrap());
        let planning = children.iter().any(|process| process.words.contains("--tied"));
        // Python inside the sandbox.
        let building = children
            .iter()
            .any(|process| process.words.contains("/build/venv"));
        match stage {
            Stage::Planning => planning && !building,
            _ => building,
        }
    }

    /// Lets it happen; gives whether it met what it was meant for.
    pub(super) fn strike(&mut self, fault: Fault, round: usize) -> bool {
        let victim = round % self.hands.len();
        match fault {
            Fault::WorkerKilledPlanning => self.kill_at(Stage::Planning),
            Fault::WorkerKilledBuilding => self.kill_at(Stage::Building),
            Fault::WorkerKilledHandingIn => self.kill_at(Stage::HandingIn),
            Fault::ServerKilled => {
                let met = self.caught(Stage::Building).is_some();
                self.service.end(Signal::SIGKILL);
                pause(500);
                self.service.up();
                met
            }
            Fault::DatabaseKilled | Fault::DatabaseRestarted => {
                let met = self.caught(Stage::Building).is_some();
                self.postgres.down(fault == Fault::DatabaseKilled);
                pause(1000);
                self.postgres.up();
                met
            }
            // For longer than its lease.
            Fault::WorkerCutOff => {
                let at = self.caught(Stage::Building);
                let cut = self.hands[at.unwrap_or(victim)].way.cut.clone();
                cut.store(true, Ordering::Relaxed);
                pause(6000);
                cut.store(false, Ordering::Relaxed);
                at.is_some()
            }
            Fault::ArtifactsFull => {
                let met = self.caught(Stage::Building).is_some();
                let full = self.artifacts.fill();
                pause(8000);
                fs::remove_file(full).unwrap();
                met
            }
            Fault::ArtifactsReadOnly => {
                let met = self.caught(Stage::Building).is_some() && self.artifacts.writable(false);
                pause(8000);
                assert!(self.artifacts.writable(true));
                met
            }
            // It takes a few seconds until it is full, and a build that is quicker does not notice.
            Fault::WorkerDiskFull => {
                let met = self.caught(Stage::Planning).is_some();
                let full = self.store.fill();
                pause(5000);
                fs::remove_file(full).unwrap();
                met
            }
            Fault::ClockAhead | Fault::ClockBehind => {
                let clock = if fault == Fault::ClockAhead { "+3d" } else { "-1h" };
                let name = self.stop(victim, Signal::SIGTERM);
                self.start(name, Some(clock));
                true
            }
            Fault::EverybodyKilled => {
                let met = self.caught(Stage::Building).is_some();
                let names: Vec<_> = (0..self.hands.len())
                    .map(|_| self.stop(0, Signal::SIGKILL))
                    .collect();
                self.service.end(Signal::SIGKILL);
                self.postgres.down(true);
                self.postgres.up();
                self.service.up();
                for name in names {
                    self.start(name, None);
                }
                met
            }
        }
    }

    fn kill_at(&mut self, stage: Stage) -> bool {
        let at = self.caught(stage);
        let name = self.stop(at.unwrap_or(0), Signal::SIGKILL);
        self.start(name, None);
        at.is_some()
    }
}
