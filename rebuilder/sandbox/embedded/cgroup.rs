//! Memory and process limits through control groups, of either version, where the worker may make them.
//!
//! The limits are set from outside before the job starts, on groups that the job cannot see. Where that is not
//! possible (an ordinary user without delegation), the outcome says so instead of pretending.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sandbox::Limits;

const TOP: &str = "/sys/fs/cgroup";
const PREFIX: &str = "rebuilder-";

/// The control groups of one run.
#[derive(Debug)]
pub(super) struct Cgroup {
    groups: Vec<PathBuf>,
    not_enforced: Vec<String>,
}

impl Cgroup {
    /// Makes the groups and sets their limits, as far as this machine lets us.
    pub(super) fn make(id: &str, limits: &Limits) -> Self {
        let mut this = Self {
            groups: Vec::new(),
            not_enforced: Vec::new(),
        };
        let (memory, pids) = (limits.memory.to_string(), limits.pids.to_string());
        if Path::new(TOP).join("cgroup.controllers").exists() {
            let settings = [("memory", "memory.max", &memory), ("pids", "pids.max", &pids)];
            this.add(&Path::new(TOP).join(format!("{PREFIX}{id}")), &settings);
        } else {
            for setting in [
                ("memory", "memory.limit_in_bytes", &memory),
                ("pids", "pids.max", &pids),
            ] {
                this.add(
                    &Path::new(TOP).join(setting.0).join(format!("{PREFIX}{id}")),
                    &[setting],
                );
            }
        }
        this
    }

    fn add(&mut self, group: &Path, settings: &[(&str, &str, &String)]) {
        let made = fs::create_dir(group).is_ok();
        for (what, file, value) in settings {
            if !made || fs::write(group.join(file), value.as_str()).is_err() {
                self.not_enforced.push((*what).to_owned());
            }
        }
        if made {
            self.groups.push(group.to_owned());
        }
    }

    /// Limits that this machine does not enforce.
    pub(super) fn not_enforced(&self) -> &[String] {
        &self.not_enforced
    }

    /// Moves a process into the groups; its children follow by themselves.
    pub(super) fn admit(&self, pid: i32) {
        for group in &self.groups {
            // A process that is gone already needs no limit.
            let _ = fs::write(group.join("cgroup.procs"), pid.to_string());
        }
    }

    /// Removes the groups of a run that has ended, however it ended.
    pub(super) fn remove(id: &str) {
        let name = format!("{PREFIX}{id}");
        for folder in [
            Path::new(TOP).to_owned(),
            Path::new(TOP).join("memory"),
            Path::new(TOP).join("pids"),
        ] {
            let group = folder.join(&name);
            for _ in 0..40 {
                // Busy until the kernel has buried the last process.
                if !group.exists() || fs::remove_dir(&group).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
