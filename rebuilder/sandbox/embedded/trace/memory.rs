//! Looks into a stopped process: its registers, the texts that its arguments point to, and where its paths lead.

use std::ffi::OsStr;
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::Mode;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::calls::Arg;
use crate::trace::UNKNOWN;

/// Number and arguments of a system call.
pub(super) struct Registers {
    pub(super) number: u64,
    pub(super) arguments: [u64; 6],
}

#[cfg(target_arch = "x86_64")]
pub(super) fn registers(pid: Pid) -> nix::Result<Registers> {
    let found = nix::sys::ptrace::getregs(pid)?;
    Ok(Registers {
        number: found.orig_rax,
        arguments: [found.rdi, found.rsi, found.rdx, found.r10, found.r8, found.r9],
    })
}

/// The return value of a system call; negative values are errors.
#[cfg(target_arch = "x86_64")]
pub(super) fn result(pid: Pid) -> nix::Result<i64> {
    Ok(nix::sys::ptrace::getregs(pid)?.rax.cast_signed())
}

#[cfg(target_arch = "aarch64")]
pub(super) fn registers(pid: Pid) -> nix::Result<Registers> {
    let found = nix::sys::ptrace::getregs(pid)?;
    let [a, b, c, d, e, f, ..] = found.regs;
    Ok(Registers {
        number: found.regs.get(8).copied().unwrap_or(u64::MAX),
        arguments: [a, b, c, d, e, f],
    })
}

/// The return value of a system call; negative values are errors.
#[cfg(target_arch = "aarch64")]
pub(super) fn result(pid: Pid) -> nix::Result<i64> {
    let [first, ..] = nix::sys::ptrace::getregs(pid)?.regs;
    Ok(first.cast_signed())
}

/// Other processors are not traced; the worker reports that before it starts anything.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn registers(_: Pid) -> nix::Result<Registers> {
    Err(nix::Error::ENOSYS)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn result(_: Pid) -> nix::Result<i64> {
    Err(nix::Error::ENOSYS)
}

const PAGE: usize = 4096;

/// The text at an address, up to its terminating zero or the longest path that the kernel accepts.
pub(super) fn text(pid: Pid, address: u64) -> Option<Vec<u8>> {
    let base = usize::try_from(address).ok().filter(|base| *base != 0)?;
    let mut buffer = vec![0; PAGE];
    // The next page may not exist; the part on the first page is still read.
    let first = PAGE.saturating_sub(base % PAGE);
    let pieces = [
        RemoteIoVec { base, len: first },
        RemoteIoVec {
            base: base.saturating_add(first),
            len: PAGE.saturating_sub(first),
        },
    ];
    let count = process_vm_readv(pid, &mut [IoSliceMut::new(&mut buffer)], &pieces).ok()?;
    buffer.truncate(count);
    let end = buffer.iter().position(|byte| *byte == 0)?;
    buffer.truncate(end);
    Some(buffer)
}

/// The first word of a structure.
pub(super) fn word(pid: Pid, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let base = usize::try_from(address).ok()?;
    let count = process_vm_readv(
        pid,
        &mut [IoSliceMut::new(&mut bytes)],
        &[RemoteIoVec { base, len: 8 }],
    );
    (count == Ok(8)).then(|| u64::from_ne_bytes(bytes))
}

/// The process and the parent process of a task, from `/proc` (proc_pid_status(5)).
pub(super) struct Family {
    pub(super) process: i32,
    pub(super) parent: i32,
}

/// A process in `/proc` of the tracer's namespace.
pub(super) struct Seen<'a> {
    pub(super) processes: &'a Path,
    pub(super) pid: Pid,
}

impl Seen<'_> {
    fn place(&self, name: &str) -> PathBuf {
        self.processes.join(self.pid.to_string()).join(name)
    }

    /// The file of an open handle, by its path in the build; `None` for pipes and the like.
    pub(super) fn handle(&self, number: u64) -> Option<PathBuf> {
        let number = i32::try_from(number).ok()?;
        self.leads_to(&format!("fd/{number}"))
    }

    pub(super) fn cwd(&self) -> Option<PathBuf> {
        self.leads_to("cwd")
    }

    fn leads_to(&self, name: &str) -> Option<PathBuf> {
        match fs::read_link(self.place(name)) {
            Ok(path) => path.is_absolute().then_some(path),
            // The kernel does not tell paths of more than a page.
            Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => Some(PathBuf::from(UNKNOWN)),
            Err(_) => None,
        }
    }

    /// Its command line, up to `limit` bytes.
    pub(super) fn command_line(&self, limit: usize) -> Vec<String> {
        let mut bytes = fs::read(self.place("cmdline")).unwrap_or_default();
        bytes.truncate(limit);
        let text = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        text.split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }

    /// The process that this task is part of, and that process's parent; `None` if it has ended.
    pub(super) fn family(&self) -> Option<Family> {
        let status = fs::read_to_string(self.place("status")).ok()?;
        let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        if value("State:")?.trim().starts_with(['Z', 'X']) {
            return None;
        }
        Some(Family {
            process: value("Tgid:")?.trim().parse().ok()?,
            parent: value("PPid:")?.trim().parse().ok()?,
        })
    }

    /// The path of an argument, made absolute; links are not followed.
    pub(super) fn path(&self, registers: &Registers, arg: Arg) -> Option<PathBuf> {
        let get = |index: usize| registers.arguments.get(index).copied();
        let (folder, place) = match arg {
            Arg::Handle(handle) => return self.handle(get(handle)?),
            Arg::Path(text) => (None, get(text)?),
            Arg::At(handle, text) => (Some(get(handle)?), get(text)?),
        };
        let text = if place == 0 {
            Vec::new()
        } else {
            text(self.pid, place)?
        };
        let relative = Path::new(OsStr::from_bytes(&text));
        if relative.is_absolute() {
            return Some(relative.to_owned());
        }
        let base = match folder {
            // The kernel reads only 32 bits of the handle.
            Some(handle) if low(handle) != libc::AT_FDCWD => {
                self.handle(u64::from(low(handle).cast_unsigned()))?
            }
            _ => self.cwd()?,
        };
        Some(if text.is_empty() || base == Path::new(UNKNOWN) {
            base
        } else {
            base.join(relative)
        })
    }

    /// The same, but links of the folders on the way are followed, except that of the last component.
    pub(super) fn place_of(&self, path: &Path) -> PathBuf {
        let plain = lexical(path);
        let (Some(parent), Some(name)) = (plain.parent(), plain.file_name()) else {
            return plain;
        };
        match self.folder(parent) {
            Some(parent) => parent.join(name),
            None => plain,
        }
    }

    fn folder(&self, path: &Path) -> Option<PathBuf> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root: OwnedFd = nix::fcntl::open(&self.place("root"), flags, Mode::empty()).ok()?;
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let folder = openat2(&root, path, how).ok()?;
        fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).ok()
    }
}

fn low(value: u64) -> i32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0).cast_signed()
}

/// The path without `.` and `..`.
pub(super) fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
