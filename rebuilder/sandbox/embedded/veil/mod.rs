//! Answers some system calls of a build instead of the kernel, as a [`MachineView`] says.
//!
//! The build's first process is traced (ptrace(2)) before it executes the build's program, and so is everything that
//! it starts. A filter stops only the few calls whose answers differ. If the kernel leaves an answer in the memory of
//! the process, it is changed at the exit of the call; calls that ask for the wall clock are not made at all. The
//! kernel's shared page, which tells the time without a call, is hidden from each new program, so that static programs
//! make calls as well.
//!
//! Times of files: files that were written since the start of the build show the time of the view's clock. A time that
//! a program sets itself is stored [`SHIFT`] seconds later, where no real file is, and shown as it was set.

mod listing;
mod places;
mod process;
mod refused;
mod waits;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter};

use super::super::{Clock, Listing, MachineView};
use listing::in_order;
use places::{in_ipc, in_stat, in_statx};
use process::{hide_shared_page, number, read, show_kernel, write, write_on_stack};

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
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_msgctl,
    libc::SYS_shmctl,
    libc::SYS_semctl,
    libc::SYS_getdents64,
    libc::SYS_getdents,
    libc::SYS_uname,
];

/// Seconds between a time that a program sets and the stored one: 136 years; current file systems can store that.
const SHIFT: i64 = 1 << 32;
/// The earliest shifted time: programs also set times before 1970.
const SHIFTED: i64 = SHIFT - SHIFT / 8;
/// Maximum number of bytes of a listing that are sorted.
const LISTING: usize = 1 << 20;
/// Bytes below the stack pointer that belong to a process (x86-64 ABI).
const RED_ZONE: u64 = 128;

/// A register that holds an argument of a call.
type Register = fn(&mut libc::user_regs_struct) -> &mut u64;

/// What must be done at the exit of a stopped call.
enum Pending {
    /// Change times in the answer: the addresses of the seconds, which nanoseconds follow.
    Times(Vec<u64>),
    /// Change times without nanoseconds.
    Seconds(Vec<u64>),
    /// Sort a listing: its address, and the offset of the names in its entries.
    Listing(u64, usize),
    Name(u64),
    /// Restore an argument.
    Restore(Register, u64),
}

/// The view, and the state of the processes that see it.
pub(super) struct Veil {
    view: MachineView,
    /// Unix seconds; files with later times were written by the build.
    begun: i64,
    /// Seconds from the real clock to a running clock of the view.
    ahead: i64,
    pending: HashMap<Pid, Pending>,
}

/// The filters for a build with this view: one that stops processes at these calls, and one that refuses calls whose
/// answers would tell the real time.
pub(super) fn filters(view: &MachineView) -> Result<Vec<BpfProgram>, BackendError> {
    let mut rules: BTreeMap<_, _> = STOPPED.iter().map(|call| (*call, Vec::new())).collect();
    if view.clock.is_some() {
        rules.extend(waits::rules()?);
    }
    let arch = std::env::consts::ARCH.try_into()?;
    let stops = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trace(0), arch)?.try_into()?;
    let refused = view.clock.map(|_| refused::filter()).transpose()?;
    Ok([stops].into_iter().chain(refused).collect())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

impl Veil {
    /// A view whose clock begins now.
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

    /// At the entry of a call: returns whether its exit must be seen as well. A request that fails because the process
    /// was killed needs no answer.
    pub(super) fn entered(&mut self, pid: Pid) -> bool {
        match self.enter(pid) {
            Ok(waits) => waits,
            // The kernel must not read memory that cannot be read now: it might be readable by then.
            Err(nix::Error::EFAULT) => {
                or_end(pid, refuse(pid, libc::EFAULT));
                false
            }
            Err(error) => {
                or_end(pid, Err(error));
                false
            }
        }
    }

    /// At the exit of a call.
    pub(super) fn left(&mut self, pid: Pid) {
        if let Some(pending) = self.pending.remove(&pid) {
            or_end(pid, self.leave(pid, &pending));
        }
    }

    /// A process has executed another program.
    pub(super) fn executed(&mut self, pid: Pid) {
        self.pending.remove(&pid);
        if self.view.clock.is_some() {
            or_end(pid, hide_shared_page(pid));
        }
    }

    /// A process has ended.
    pub(super) fn gone(&mut self, pid: Pid) {
        self.pending.remove(&pid);
    }

    /// Returns whether the exit of the call must be seen as well.
    fn enter(&mut self, pid: Pid) -> nix::Result<bool> {
        let mut regs = ptrace::getregs(pid)?;
        let call = i64::try_from(regs.orig_rax).unwrap_or(-1);
        let pending = match call {
            libc::SYS_clock_gettime => {
                let wall = waits::is_wall(regs.rdi);
                return self.tell(pid, &mut regs, wall, |regs| (regs.rsi, 1));
            }
            libc::SYS_gettimeofday => return self.tell(pid, &mut regs, true, |regs| (regs.rdi, 1000)),
            libc::SYS_time => return self.tell(pid, &mut regs, true, |regs| (regs.rdi, 0)),
            libc::SYS_stat | libc::SYS_lstat | libc::SYS_fstat if self.view.clock.is_some() => {
                Pending::Times(in_stat(regs.rsi))
            }
            libc::SYS_newfstatat if self.view.clock.is_some() => Pending::Times(in_stat(regs.rdx)),
            libc::SYS_statx if self.view.clock.is_some() => Pending::Times(in_statx(regs.r8)),
            libc::SYS_utimensat | libc::SYS_futimesat if self.view.clock.is_some() => {
                return self.set_times(pid, &mut regs, |regs| &mut regs.rdx, call);
            }
            libc::SYS_utime | libc::SYS_utimes if self.view.clock.is_some() => {
                return self.set_times(pid, &mut regs, |regs| &mut regs.rsi, call);
            }
            libc::SYS_msgctl | libc::SYS_shmctl | libc::SYS_semctl if self.view.clock.is_some() => {
                match in_ipc(call, &regs) {
                    Some(places) => Pending::Seconds(places),
                    None => return Ok(false),
                }
            }
            libc::SYS_getdents64 if self.view.listing.is_some() => Pending::Listing(regs.rsi, listing::LONG),
            libc::SYS_getdents if self.view.listing.is_some() => Pending::Listing(regs.rsi, listing::SHORT),
            libc::SYS_uname if self.view.kernel.is_some() => Pending::Name(regs.rdi),
            _ => match waits::moment(call, &regs) {
                Some(argument) => return self.wait_until(pid, &mut regs, argument),
                None => return Ok(false),
            },
        };
        self.pending.insert(pid, pending);
        Ok(true)
    }

    /// Answers a request for the time without the kernel; `to` has an address, and the nanoseconds of a unit of the
    /// fraction, or 0 for a call that returns only seconds.
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

    /// Stores times that a program sets in a range apart from those that the kernel sets.
    fn set_times(
        &mut self,
        pid: Pid,
        regs: &mut libc::user_regs_struct,
        argument: Register,
        call: libc::c_long,
    ) -> nix::Result<bool> {
        let given = *argument(regs);
        if given == 0 {
            return Ok(false);
        }
        // Either two plain seconds, or each followed by a fraction.
        let (length, each) = if call == libc::SYS_utime {
            (16, 8)
        } else {
            (32, 16)
        };
        let mut times = vec![0; length];
        read(pid, given, &mut times)?;
        for half in times.chunks_exact_mut(each) {
            let (second, fraction) = half.split_at_mut(8);
            let fraction = if call == libc::SYS_utimensat {
                number(fraction)
            } else {
                0
            };
            if fraction != libc::UTIME_NOW && fraction != libc::UTIME_OMIT {
                second.copy_from_slice(&number(second).saturating_add(SHIFT).to_ne_bytes());
            }
        }
        self.give(pid, regs, argument, &times)
    }

    /// Changes the moment that a call waits for to the same moment by the machine's clock.
    fn wait_until(
        &mut self,
        pid: Pid,
        regs: &mut libc::user_regs_struct,
        argument: Register,
    ) -> nix::Result<bool> {
        let mut time = [0; 16];
        read(pid, *argument(regs), &mut time)?;
        let (second, _) = time.split_at_mut(8);
        let ahead = match self.view.clock {
            Some(Clock::Held(held)) => held.saturating_sub(seconds(now())),
            _ => self.ahead,
        };
        let moment = number(second);
        // A negative moment is over in any case; the kernel refuses moments that are out of range.
        let real = if moment < 0 {
            moment
        } else {
            moment.saturating_sub(ahead).max(0)
        };
        second.copy_from_slice(&real.to_ne_bytes());
        self.give(pid, regs, argument, &time)
    }

    /// Makes a call read these bytes for the argument, until it ends.
    fn give(
        &mut self,
        pid: Pid,
        regs: &mut libc::user_regs_struct,
        argument: Register,
        bytes: &[u8],
    ) -> nix::Result<bool> {
        let place = (regs.rsp.saturating_sub(RED_ZONE).saturating_sub(64)) & !15;
        write_on_stack(pid, place, bytes)?;
        let given = std::mem::replace(argument(regs), place);
        self.pending.insert(pid, Pending::Restore(argument, given));
        ptrace::setregs(pid, *regs)?;
        Ok(true)
    }

    fn leave(&self, pid: Pid, pending: &Pending) -> nix::Result<()> {
        let mut regs = ptrace::getregs(pid)?;
        let answer = regs.rax.cast_signed();
        match pending {
            Pending::Restore(argument, given) => {
                *argument(&mut regs) = *given;
                ptrace::setregs(pid, regs)
            }
            Pending::Times(places) if answer == 0 => {
                places.iter().try_for_each(|place| self.show_time(pid, *place))
            }
            Pending::Seconds(places) if answer >= 0 => {
                places.iter().try_for_each(|place| self.show_seconds(pid, *place))
            }
            Pending::Name(place) if answer == 0 => match &self.view.kernel {
                Some(kernel) => show_kernel(pid, *place, kernel),
                None => Ok(()),
            },
            Pending::Listing(place, name) if answer > 0 => {
                let length = usize::try_from(answer).unwrap_or(0);
                if length > LISTING {
                    return Ok(());
                }
                let mut bytes = vec![0; length];
                read(pid, *place, &mut bytes)?;
                let backwards = self.view.listing == Some(Listing::Backwards);
                match in_order(&bytes, *name, backwards) {
                    Some(ordered) => write(pid, *place, &ordered),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Changes a time of an answer: seconds, followed by nanoseconds in four bytes.
    fn show_time(&self, pid: Pid, place: u64) -> nix::Result<()> {
        let mut bytes = [0; 12];
        read(pid, place, &mut bytes)?;
        let (second, fraction) = bytes.split_at_mut(8);
        let stored = number(second);
        let Some(shown) = self.shown(stored) else {
            return Ok(());
        };
        if stored < SHIFTED && matches!(self.view.clock, Some(Clock::Held(_))) {
            fraction.fill(0);
        }
        second.copy_from_slice(&shown.to_ne_bytes());
        write(pid, place, &bytes)
    }

    fn show_seconds(&self, pid: Pid, place: u64) -> nix::Result<()> {
        let mut bytes = [0; 8];
        read(pid, place, &mut bytes)?;
        match self.shown(number(&bytes)) {
            Some(shown) => write(pid, place, &shown.to_ne_bytes()),
            None => Ok(()),
        }
    }

    /// The time to show for a stored one; `None` if that is the stored time.
    fn shown(&self, stored: i64) -> Option<i64> {
        if stored >= SHIFTED {
            return Some(stored.saturating_sub(SHIFT));
        }
        if stored < self.begun {
            return None;
        }
        Some(match self.view.clock {
            Some(Clock::Held(time)) => time,
            _ => stored.saturating_add(self.ahead),
        })
    }
}

/// Ends a process that would otherwise learn what it must not; one that has already ended is fine.
fn or_end(pid: Pid, done: nix::Result<()>) {
    if done.is_err_and(|error| error != nix::Error::ESRCH) {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Makes a call fail with this error, without being made.
fn refuse(pid: Pid, error: libc::c_int) -> nix::Result<()> {
    let mut regs = ptrace::getregs(pid)?;
    regs.orig_rax = u64::MAX;
    regs.rax = i64::from(error).saturating_neg().cast_unsigned();
    ptrace::setregs(pid, regs)
}
