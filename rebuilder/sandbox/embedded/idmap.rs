//! The mapping of the ids 0…65535 inside the sandbox to ids of this machine.
//!
//! Root gives each run ids that nothing on disk and no other run has, so a process that escaped would own nothing.
//! Kept trees belong to other ids, which no process has if the kernel can show the trees to a run with the run's own
//! ids (`folders`). An ordinary user is root inside, and the other ids come from `/etc/subuid` and `/etc/subgid`
//! through `newuidmap`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Gid, Uid};

use crate::sandbox::SandboxError;

/// First of the ids that own what root keeps: roots, layers, and the output of running builds.
pub(super) const ROOT_BASE: u32 = 0x6000_0000;
/// Number of ids in a sandbox.
pub(super) const COUNT: u32 = 65_536;
/// First of the ids that root gives to single runs, and how many ranges of [`COUNT`] ids follow.
const RUN_BASE: u32 = 0x6100_0000;
const RUNS: u32 = 3840;
/// Programs that write the id maps of an ordinary user's processes.
const MAPPERS: [&str; 2] = ["newuidmap", "newgidmap"];
/// Where these programs are looked for.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const INSTALL: &str = "install newuidmap and newgidmap (Debian package uidmap), or run as root";
/// Folder of the locks that mark ranges as taken, for all stores of the machine.
const TAKEN: &str = "/run/rebuilder/ids";

/// A range of ids that belongs to one run while this value lives.
#[derive(Debug)]
pub(super) struct OwnIds {
    /// First of the host's ids.
    pub(super) first: u32,
    _lock: Flock<File>,
}

impl OwnIds {
    /// Takes a free range.
    fn take() -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(TAKEN)?;
        for number in 0..RUNS {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(Path::new(TAKEN).join(number.to_string()))?;
            if let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                let first = number.saturating_mul(COUNT).saturating_add(RUN_BASE);
                return Ok(Self { first, _lock: lock });
            }
        }
        Err(io::Error::other("too many runs at once"))
    }
}

/// Id ranges for one user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdMap {
    /// The worker is root.
    Root,
    /// The worker is an ordinary user with subordinate ids.
    User {
        /// First subordinate user id, and how many follow.
        uids: (u32, u32),
        /// First subordinate group id, and how many follow.
        gids: (u32, u32),
    },
}

impl IdMap {
    /// Finds out which ids this user may map.
    pub fn of_this_user() -> Result<Self, SandboxError> {
        check_kernel()?;
        if Uid::effective().is_root() {
            let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            if covers(&map, ROOT_BASE, RUN_BASE - ROOT_BASE + RUNS * COUNT) {
                return Ok(Self::Root);
            }
            return Err(SandboxError::Unusable {
                backend: "embedded",
                reason: format!(
                    "this root is itself inside a user namespace that lacks the ids from {ROOT_BASE} on"
                ),
                help: "run as an ordinary user with subordinate ids, or as the machine's own root".into(),
            });
        }
        let user = nix::unistd::User::from_uid(Uid::effective())
            .ok()
            .flatten()
            .map(|user| user.name);
        let uid = Uid::effective().as_raw().to_string();
        let range = |path: &'static str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            find_range(&text, user.as_deref(), &uid).ok_or_else(|| SandboxError::Unusable {
                backend: "embedded",
                reason: format!("{path} gives this user no range of subordinate ids"),
                help: format!(
                    "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {}",
                    user.as_deref().unwrap_or(&uid)
                ),
            })
        };
        let map = Self::User {
            uids: range("/etc/subuid")?,
            gids: range("/etc/subgid")?,
        };
        // Reported here rather than when the first job starts, which is in the middle of planning.
        match MAPPERS.iter().find(|tool| !is_in_path(tool, PATH)) {
            Some(tool) => Err(SandboxError::Unusable {
                backend: "embedded",
                reason: format!("{tool} is not installed"),
                help: INSTALL.into(),
            }),
            None => Ok(map),
        }
    }

    /// Ids for one run alone, if this user can assign any.
    pub(super) fn own(&self) -> Option<OwnIds> {
        match self {
            // Without them the run uses the ids of the kept trees, and the outcome reports that.
            Self::Root => OwnIds::take().ok(),
            Self::User { .. } => None,
        }
    }

    /// Writes the maps of the process `pid`, which has just entered its own user namespace.
    pub(super) fn write(&self, pid: i32, own: Option<&OwnIds>) -> Result<(), SandboxError> {
        match self {
            Self::Root => {
                let first = own.map_or(ROOT_BASE, |own| own.first);
                for file in ["uid_map", "gid_map"] {
                    let path = format!("/proc/{pid}/{file}");
                    fs::write(&path, format!("0 {first} {COUNT}\n"))
                        .map_err(SandboxError::io(format!("write {path}")))?;
                }
                Ok(())
            }
            Self::User { uids, gids } => {
                map_with(MAPPERS[0], pid, Uid::effective().as_raw(), *uids)?;
                map_with(MAPPERS[1], pid, Gid::effective().as_raw(), *gids)
            }
        }
    }

    /// Makes the sandbox's root the owner of a folder.
    pub(super) fn give_to_sandbox_root(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Root => std::os::unix::fs::chown(path, Some(ROOT_BASE), Some(ROOT_BASE)),
            Self::User { .. } => Ok(()),
        }
    }
}

/// Checks for kernel settings that forbid user namespaces; the error names the setting that an administrator can
/// change.
fn check_kernel() -> Result<(), SandboxError> {
    let root = Uid::effective().is_root();
    for (setting, forbidding, for_root) in [
        ("/proc/sys/user/max_user_namespaces", "0", true),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", false),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            false,
        ),
    ] {
        let value = fs::read_to_string(setting).unwrap_or_default();
        if value.trim() == forbidding && (for_root || !root) {
            return Err(SandboxError::Unusable {
                backend: "embedded",
                reason: format!("the kernel forbids user namespaces ({setting} is {forbidding})"),
                help: "as the machine's administrator, change that setting with sysctl".into(),
            });
        }
    }
    Ok(())
}

/// Whether an id map, as in `/proc/PID/uid_map`, maps all of `count` inner ids from `first` on.
fn covers(map: &str, first: u32, count: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [inner, _, length] = numbers[..] else {
            return false;
        };
        let (first, count) = (u64::from(first), u64::from(count));
        inner <= first && first.saturating_add(count) <= inner.saturating_add(length)
    })
}

fn map_with(tool: &str, pid: i32, own: u32, (first, count): (u32, u32)) -> Result<(), SandboxError> {
    let numbers = [
        pid.to_string(),
        "0".into(),
        own.to_string(),
        "1".into(),
        "1".into(),
        first.to_string(),
        count.to_string(),
    ];
    let output = Command::new(tool)
        .args(numbers)
        .env_clear()
        .env("PATH", PATH)
        .output();
    let (reason, help) = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => (
            format!("{tool}: {}", String::from_utf8_lossy(&output.stderr).trim()),
            format!(
                "in /etc/subuid and /etc/subgid the ids from {first} on must be this user's, and the group of this \
                 process must be the user's primary one (see id -g)"
            ),
        ),
        Err(error) => (format!("{tool}: {error}"), INSTALL.to_owned()),
    };
    Err(SandboxError::Unusable {
        backend: "embedded",
        reason,
        help,
    })
}

/// Whether one of the folders of `path`, which has the form of the variable `PATH`, has this program.
fn is_in_path(program: &str, path: &str) -> bool {
    path.split(':')
        .any(|folder| Path::new(folder).join(program).exists())
}

/// Finds `name:first:count` in the form of subuid(5); returns at most as many ids as a sandbox needs.
fn find_range(text: &str, name: Option<&str>, uid: &str) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        if Some(owner) != name && owner != uid {
            return None;
        }
        let first = fields.next()?.trim().parse().ok()?;
        let count: u32 = fields.next()?.trim().parse().ok()?;
        (count >= 1000).then(|| (first, count.min(COUNT - 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_which_ids_are_mapped() {
        assert!(covers("         0          0 4294967295\n", ROOT_BASE, COUNT));
        assert!(!covers("0 1000 1\n1 100000 65536\n", ROOT_BASE, COUNT));
        assert!(!covers("", ROOT_BASE, COUNT));
    }

    #[test]
    fn a_program_that_is_not_installed_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = format!("/nonexistent:{}", folder.path().display());
        assert!(!is_in_path("newuidmap", &path));
        fs::write(folder.path().join("newuidmap"), "").unwrap();
        assert!(is_in_path("newuidmap", &path));
    }

    #[test]
    fn reads_subordinate_ranges() {
        let text = "daemon:1:10\nworker:100000:65536\n1007:300000:70000\n";
        assert_eq!(find_range(text, Some("worker"), "1001"), Some((100_000, 65_535)));
        assert_eq!(find_range(text, Some("other"), "1007"), Some((300_000, 65_535)));
        assert_eq!(find_range(text, Some("daemon"), "2"), None, "too few ids");
        assert_eq!(find_range(text, None, "1"), None);
    }
}
