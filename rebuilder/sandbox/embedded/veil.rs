//! Answers some system calls of a build in the kernel's place, as a [`MachineView`] says.
//!
//! The build's first process has itself traced (ptrace(2)) before it becomes the build's program, and all that it
//! starts is traced with it. A filter stops only the few calls that have other answers. Where the kernel leaves an
//! answer in the memory of the process, it is changed on the way out; calls that ask for the wall clock are not made at
//! all. The kernel's shared page, which tells the time without a call, is taken out of what each new program is told,
//! so that static programs ask as well.
//!
//! Times of files: what was written since the start of the build has the time of the view's clock. A time that a
//! program sets itself is stored [`SHIFT`] seconds later, where no real file is, and shown as it was set.

use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::sys::ptrace;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter};

use super::super::{Clock, Kernel, Listing, MachineView};

/// The calls that are stopped.
const STOPPED: &[libc::c_long] = &[
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_time,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_utimensat,
    libc::SYS_getdents64,
    libc::SYS_uname,
];

/// Seconds between a time that a program sets and what is stored: 136 years, which file systems of today can store.
const SHIFT: i64 = 1 << 32;
/// Most bytes of one listing that are put in order.
const LISTING: usize = 1 << 20;
/// Most bytes of arguments and environment that lie before what a program is told of its machine.
const STACK: usize = 8 << 20;
/// Bytes below the stack pointer that belong to a process (x86-64 ABI).
const RED_ZONE: u64 = 128;
/// Longest field of uname(2), with the zero at its end.
const FIELD: usize = 65;

/// What a stopped call waits for at its end.
enum Pending {
    /// Where times of the answer are: the address of each second.
    Times(Vec<u64>),
    Listing(u64),
    Name(u64),
    /// The third argument as it was.
    Restore(u64),
}

/// The view, and the processes that have it.
pub(super) struct Veil {
    view: MachineView,
    /// Seconds: files with later times were written by the build.
    begun: i64,
    /// Seconds from the real clock to a running one.
    ahead: i64,
    pending: HashMap<Pid, Pending>,
}

/// The filter that stops processes at these calls.
pub(super) fn filter() -> Result<BpfProgram, BackendError> {
    let rules = STOPPED.iter().map(|call| (*call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trace(0), arch)?.try_into()
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

impl Veil {
    /// From now on.
    pub(super) fn new(view: &MachineView) -> Self {
        let begun = seconds(now());
        Self {
            ahead: match view.clock {
                Some(Clock::From(start)) => start.saturating_sub(begun),
                _ => 0,
            },
            view: view.clone(),
            begun,
            pending: HashMap::new(),
        }
    }

    /// At a call: whether its end has to be seen as well. What fails because a process was killed needs no answer.
    pub(super) fn entered(&mut self, pid: Pid) -> bool {
        self.enter(pid).unwrap_or(false)
    }

    /// At the end of a call.
    pub(super) fn left(&mut self, pid: Pid) {
        if let Some(pending) = self.pending.remove(&pid) {
            let _ = self.leave(pid, &pending);
        }
    }

    /// A process has become another program.
    pub(super) fn executed(&self, pid: Pid) {
        if self.view.clock.is_some() {
            let _ = hide_shared_page(pid);
        }
    }

    /// A process has ended.
    pub(super) fn gone(&mut self, pid: Pid) {
        self.pending.remove(&pid);
    }

    /// Whether the end of the call has to be seen as well.
    fn enter(&mut self, pid: Pid) -> nix::Result<bool> {
        let mut regs = ptrace::getregs(pid)?;
        let call = i64::try_from(regs.orig_rax).unwrap_or(-1);
        let pending = match call {
            libc::SYS_clock_gettime => {
                let wall = matches!(
                    i32::try_from(regs.rdi).unwrap_or(-1),
                    libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI
                );
                return self.tell(pid, &mut regs, wall, |regs| (regs.rsi, 1));
            }
            libc::SYS_gettimeofday => return self.tell(pid, &mut regs, true, |regs| (regs.rdi, 1000)),
            libc::SYS_time => return self.tell(pid, &mut regs, true, |regs| (regs.rdi, 0)),
            libc::SYS_stat | libc::SYS_lstat | libc::SYS_fstat if self.view.clock.is_some() => {
                Pending::Times(in_stat(regs.rsi))
            }
            libc::SYS_newfstatat if self.view.clock.is_some() => Pending::Times(in_stat(regs.rdx)),
            libc::SYS_statx if self.view.clock.is_some() => Pending::Times(in_statx(regs.r8)),
            libc::SYS_utimensat if self.view.clock.is_some() && regs.rdx != 0 => {
                return self.set_times(pid, &mut regs);
            }
            libc::SYS_getdents64 if self.view.listing.is_some() => Pending::Listing(regs.rsi),
            libc::SYS_uname if self.view.kernel.is_some() => Pending::Name(regs.rdi),
            _ => return Ok(false),
        };
        self.pending.insert(pid, pending);
        Ok(true)
    }

    /// Answers a question for the time without asking the kernel; `to` gives an address and in how many nanoseconds the
    /// fraction is counted, 0 for a call that gives seconds alone.
    fn tell(
        &self,
        pid: Pid,
        regs: &mut libc::user_regs_struct,
        wall: bool,
        to: impl Fn(&libc::user_regs_struct) -> (u64, u32),
    ) -> nix::Result<bool> {
        let time = match self.view.clock {
            Some(Clock::Held(time)) => (time, 0),
            Some(Clock::From(_)) => {
                let now = now();
                (seconds(now).saturating_add(self.ahead), now.subsec_nanos())
            }
            None => return Ok(false),
        };
        if !wall {
            return Ok(false);
        }
        let (address, unit) = to(regs);
        let mut bytes = time.0.to_ne_bytes().to_vec();
        if unit > 0 {
            bytes.extend(i64::from(time.1.checked_div(unit).unwrap_or(0)).to_ne_bytes());
        }
        let written = address == 0 || write(pid, address, &bytes).is_ok();
        let answer = if unit == 0 { time.0 } else { 0 };
        // A call with this number is not made.
        regs.orig_rax = u64::MAX;
        regs.rax = if written {
            answer.cast_unsigned()
        } else {
            i64::from(-libc::EFAULT).cast_unsigned()
        };
        ptrace::setregs(pid, *regs)?;
        Ok(false)
    }

    /// Stores times that a program sets apart from those that the kernel sets.
    fn set_times(&mut self, pid: Pid, regs: &mut libc::user_regs_struct) -> nix::Result<bool> {
        let mut times = [0; 32];
        read(pid, regs.rdx, &mut times)?;
        for half in times.chunks_exact_mut(16) {
            let (second, fraction) = half.split_at_mut(8);
            let fraction = number(fraction);
            if fraction != libc::UTIME_NOW && fraction != libc::UTIME_OMIT {
                second.copy_from_slice(&number(second).saturating_add(SHIFT).to_ne_bytes());
            }
        }
        let place = (regs.rsp.saturating_sub(RED_ZONE).saturating_sub(64)) & !15;
        write(pid, place, &times)?;
        self.pending.insert(pid, Pending::Restore(regs.rdx));
        regs.rdx = place;
        ptrace::setregs(pid, *regs)?;
        Ok(true)
    }

    fn leave(&self, pid: Pid, pending: &Pending) -> nix::Result<()> {
        let mut regs = ptrace::getregs(pid)?;
        let answer = regs.rax.cast_signed();
        match pending {
            Pending::Restore(argument) => {
                regs.rdx = *argument;
                ptrace::setregs(pid, regs)
            }
            Pending::Times(places) if answer == 0 => {
                places.iter().try_for_each(|place| self.show_time(pid, *place))
            }
            Pending::Name(place) if answer == 0 => match &self.view.kernel {
                Some(kernel) => show_kernel(pid, *place, kernel),
                None => Ok(()),
            },
            Pending::Listing(place) if answer > 0 => {
                let length = usize::try_from(answer).unwrap_or(0);
                if length > LISTING {
                    return Ok(());
                }
                let mut bytes = vec![0; length];
                read(pid, *place, &mut bytes)?;
                let backwards = self.view.listing == Some(Listing::Backwards);
                match in_order(&bytes, backwards) {
                    Some(ordered) => write(pid, *place, &ordered),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Changes a time of an answer: seconds, and nanoseconds in the four bytes behind them.
    fn show_time(&self, pid: Pid, place: u64) -> nix::Result<()> {
        let mut bytes = [0; 12];
        read(pid, place, &mut bytes)?;
        let (second, fraction) = bytes.split_at_mut(8);
        let stored = number(second);
        let shown = if stored >= SHIFT.saturating_sub(SHIFT / 8) {
            stored.saturating_sub(SHIFT)
        } else if stored < self.begun {
            return Ok(());
        } else if let Some(Clock::Held(time)) = self.view.clock {
            fraction.fill(0);
            time
        } else {
            stored.saturating_add(self.ahead)
        };
        second.copy_from_slice(&shown.to_ne_bytes());
        write(pid, place, &bytes)
    }
}

/// Seconds of the three times of `struct stat` on x86-64; nanoseconds follow each in eight bytes.
fn in_stat(place: u64) -> Vec<u64> {
    [72, 88, 104].map(|offset| place.saturating_add(offset)).to_vec()
}

/// Seconds of the four times of `struct statx`; nanoseconds follow each in four bytes.
fn in_statx(place: u64) -> Vec<u64> {
    [0x40, 0x50, 0x60, 0x70]
        .map(|offset| place.saturating_add(offset))
        .to_vec()
}

fn number(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_ne_bytes)
}

fn read(pid: Pid, place: u64, to: &mut [u8]) -> nix::Result<()> {
    let (base, len) = (usize::try_from(place).map_err(|_| nix::Error::EFAULT)?, to.len());
    let count = process_vm_readv(pid, &mut [IoSliceMut::new(to)], &[RemoteIoVec { base, len }])?;
    if count == len {
        Ok(())
    } else {
        Err(nix::Error::EFAULT)
    }
}

fn write(pid: Pid, place: u64, bytes: &[u8]) -> nix::Result<()> {
    let (base, len) = (
        usize::try_from(place).map_err(|_| nix::Error::EFAULT)?,
        bytes.len(),
    );
    let count = process_vm_writev(pid, &[IoSlice::new(bytes)], &[RemoteIoVec { base, len }])?;
    if count == len {
        Ok(())
    } else {
        Err(nix::Error::EFAULT)
    }
}

/// `struct utsname`: six fields of 65 bytes; the third is the release, the fourth the version.
fn show_kernel(pid: Pid, place: u64, kernel: &Kernel) -> nix::Result<()> {
    for (index, text) in [(2, &kernel.release), (3, &kernel.version)] {
        let mut field = [0; FIELD];
        for (to, from) in field.iter_mut().take(FIELD - 1).zip(text.bytes()) {
            *to = from;
        }
        let offset = FIELD.saturating_mul(index) as u64;
        write(pid, place.saturating_add(offset), &field)?;
    }
    Ok(())
}

/// The entries of a listing (getdents64(2)) in the order of their names. Each keeps its own number; the places from
/// which a listing can go on stay where they are.
fn in_order(bytes: &[u8], backwards: bool) -> Option<Vec<u8>> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        // Inode and place, eight bytes each, then the length of the entry in two, a byte for its kind, and its name.
        let length = usize::from(u16::from_ne_bytes(rest.get(16..18)?.try_into().ok()?));
        let (entry, after) = rest.split_at_checked(length.max(20))?;
        let name = entry.get(19..)?.split(|byte| *byte == 0).next()?;
        entries.push((name, entry));
        rest = after;
    }
    let places: Vec<_> = entries.iter().map(|(_, entry)| entry.get(8..16)).collect();
    entries.sort_by(|a, b| if backwards { b.0.cmp(a.0) } else { a.0.cmp(b.0) });
    let mut ordered = Vec::with_capacity(bytes.len());
    for ((_, entry), place) in entries.iter().zip(places) {
        ordered.extend_from_slice(entry.get(..8)?);
        ordered.extend_from_slice(place?);
        ordered.extend_from_slice(entry.get(16..)?);
    }
    Some(ordered)
}

/// Takes the kernel's shared page out of what a new program is told of its machine (getauxval(3)).
fn hide_shared_page(pid: Pid) -> nix::Result<()> {
    let stack = ptrace::getregs(pid)?.rsp;
    let word = |index: usize| -> nix::Result<u64> {
        let mut bytes = [0; 8];
        let offset = index.saturating_mul(8) as u64;
        read(pid, stack.saturating_add(offset), &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    };
    // The number of arguments, the arguments and a zero, the environment and a zero, then pairs.
    let arguments = usize::try_from(word(0)?).unwrap_or(usize::MAX);
    let mut index = arguments.saturating_add(2);
    while index < STACK / 8 && word(index)? != 0 {
        index = index.saturating_add(1);
    }
    index = index.saturating_add(1);
    while index < STACK / 8 {
        match word(index)? {
            0 => return Ok(()),
            libc::AT_SYSINFO_EHDR => {
                let offset = index.saturating_mul(8) as u64;
                // AT_IGNORE
                return write(pid, stack.saturating_add(offset), &1_u64.to_ne_bytes());
            }
            _ => index = index.saturating_add(2),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(inode: u64, place: i64, name: &str) -> Vec<u8> {
        let length = (19 + name.len() + 1).next_multiple_of(8);
        let mut entry = [
            &inode.to_ne_bytes()[..],
            &place.to_ne_bytes(),
            &u16::try_from(length).unwrap().to_ne_bytes(),
            &[8],
        ]
        .concat();
        entry.extend(name.bytes());
        entry.resize(length, 0);
        entry
    }

    #[test]
    fn listings_are_put_in_order_and_their_places_stay() {
        let listed = [entry(7, 1, "b"), entry(8, 2, "a-longer-name"), entry(9, 3, "c")].concat();
        let by_name = [entry(8, 1, "a-longer-name"), entry(7, 2, "b"), entry(9, 3, "c")].concat();
        let backwards = [entry(9, 1, "c"), entry(7, 2, "b"), entry(8, 3, "a-longer-name")].concat();
        assert_eq!(in_order(&listed, false).unwrap(), by_name);
        assert_eq!(in_order(&listed, true).unwrap(), backwards);
        assert_eq!(in_order(&listed[..30], false), None);
        assert_eq!(in_order(&[0; 24], false), None);
    }
}
