//! The system calls that create, open, rename or change files, and where their arguments are.
//!
//! No other call can create, rename or open a file. Writes through an open file are not traced: it is known who opened
//! it.

use nix::libc;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter};

/// The effect of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Opens a file; the argument with this number has the flags.
    Open(usize),
    /// Opens a file; the flags are the first word of a structure.
    OpenHow(usize),
    /// Makes a file and opens it.
    Create,
    Move,
    Link,
    /// The first path is the target of the link.
    Symlink,
    Remove,
    Times,
    Mode,
    Folder,
    Truncate,
}

/// A path among the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arg {
    /// Relative to the working folder; the argument with this number points to the text.
    Path(usize),
    /// Relative to an open folder: the arguments with its handle and the text. Without a text, the handle itself.
    At(usize, usize),
    /// An open file.
    Handle(usize),
}

/// A system call to trace.
pub(super) struct Call {
    number: libc::c_long,
    pub(super) act: Act,
    pub(super) first: Arg,
    pub(super) second: Option<Arg>,
}

const fn one(number: libc::c_long, act: Act, first: Arg) -> Call {
    Call {
        number,
        act,
        first,
        second: None,
    }
}

const fn two(number: libc::c_long, act: Act, first: Arg, second: Arg) -> Call {
    Call {
        number,
        act,
        first,
        second: Some(second),
    }
}

const CALLS: &[Call] = &[
    one(libc::SYS_openat, Act::Open(2), Arg::At(0, 1)),
    one(libc::SYS_openat2, Act::OpenHow(2), Arg::At(0, 1)),
    two(libc::SYS_renameat, Act::Move, Arg::At(0, 1), Arg::At(2, 3)),
    two(libc::SYS_renameat2, Act::Move, Arg::At(0, 1), Arg::At(2, 3)),
    two(libc::SYS_linkat, Act::Link, Arg::At(0, 1), Arg::At(2, 3)),
    two(libc::SYS_symlinkat, Act::Symlink, Arg::Path(0), Arg::At(1, 2)),
    one(libc::SYS_unlinkat, Act::Remove, Arg::At(0, 1)),
    one(libc::SYS_utimensat, Act::Times, Arg::At(0, 1)),
    one(libc::SYS_fchmodat, Act::Mode, Arg::At(0, 1)),
    one(libc::SYS_fchmodat2, Act::Mode, Arg::At(0, 1)),
    one(libc::SYS_fchmod, Act::Mode, Arg::Handle(0)),
    one(libc::SYS_mkdirat, Act::Folder, Arg::At(0, 1)),
    one(libc::SYS_truncate, Act::Truncate, Arg::Path(0)),
];

/// More calls to trace on older architectures; newer ones never had these.
#[cfg(target_arch = "x86_64")]
const CALLS_HERE: &[Call] = &[
    one(libc::SYS_open, Act::Open(1), Arg::Path(0)),
    one(libc::SYS_creat, Act::Create, Arg::Path(0)),
    two(libc::SYS_rename, Act::Move, Arg::Path(0), Arg::Path(1)),
    two(libc::SYS_link, Act::Link, Arg::Path(0), Arg::Path(1)),
    two(libc::SYS_symlink, Act::Symlink, Arg::Path(0), Arg::Path(1)),
    one(libc::SYS_unlink, Act::Remove, Arg::Path(0)),
    one(libc::SYS_utime, Act::Times, Arg::Path(0)),
    one(libc::SYS_utimes, Act::Times, Arg::Path(0)),
    one(libc::SYS_futimesat, Act::Times, Arg::At(0, 1)),
    one(libc::SYS_chmod, Act::Mode, Arg::Path(0)),
    one(libc::SYS_mkdir, Act::Folder, Arg::Path(0)),
];
#[cfg(not(target_arch = "x86_64"))]
const CALLS_HERE: &[Call] = &[];

impl Call {
    /// The call with this number.
    pub(super) fn find(number: u64) -> Option<&'static Self> {
        let mut calls = CALLS.iter().chain(CALLS_HERE);
        calls.find(|call| u64::try_from(call.number) == Ok(number))
    }
}

/// A filter that stops a process for its tracer at these calls, and allows all others. Refusals of other filters take
/// precedence.
pub(super) fn program() -> Result<BpfProgram, BackendError> {
    let calls = CALLS.iter().chain(CALLS_HERE);
    let rules = calls.map(|call| (call.number, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trace(0), arch)?.try_into()
}
