//! Reads and changes the memory of a stopped process.

use std::io::{IoSlice, IoSliceMut};

use nix::libc;
use nix::sys::ptrace;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use super::super::super::Kernel;

/// Maximum number of bytes of arguments and environment before the auxiliary vector of a program.
const STACK: usize = 8 << 20;
/// Length of the longest field of uname(2), with the terminating zero.
const FIELD: usize = 65;

pub(super) fn number(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_ne_bytes)
}

pub(super) fn read(pid: Pid, place: u64, to: &mut [u8]) -> nix::Result<()> {
    let (base, len) = (usize::try_from(place).map_err(|_| nix::Error::EFAULT)?, to.len());
    let count = process_vm_readv(pid, &mut [IoSliceMut::new(to)], &[RemoteIoVec { base, len }])?;
    if count == len {
        Ok(())
    } else {
        Err(nix::Error::EFAULT)
    }
}

pub(super) fn write(pid: Pid, place: u64, bytes: &[u8]) -> nix::Result<()> {
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

/// Writes below the end of a stack, where no page may exist yet: the kernel extends a stack for a write by ptrace, but
/// not for [`process_vm_writev`].
pub(super) fn write_on_stack(pid: Pid, place: u64, bytes: &[u8]) -> nix::Result<()> {
    match write(pid, place, bytes) {
        Err(nix::Error::EFAULT) => {
            let base = usize::try_from(place).map_err(|_| nix::Error::EFAULT)?;
            // Whether this succeeds or not, the second attempt shows if there is room now.
            let _ = ptrace::write(pid, std::ptr::without_provenance_mut(base), 0);
            write(pid, place, bytes)
        }
        done => done,
    }
}

/// Changes a `struct utsname`: six fields of 65 bytes; the third is the release, the fourth the version.
pub(super) fn show_kernel(pid: Pid, place: u64, kernel: &Kernel) -> nix::Result<()> {
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

/// Hides the kernel's shared page (vDSO) in the auxiliary vector of a new program (getauxval(3)).
pub(super) fn hide_shared_page(pid: Pid) -> nix::Result<()> {
    let stack = ptrace::getregs(pid)?.rsp;
    let word = |index: usize| -> nix::Result<u64> {
        let mut bytes = [0; 8];
        let offset = index.saturating_mul(8) as u64;
        read(pid, stack.saturating_add(offset), &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    };
    // The number of arguments, the arguments and a zero, the environment and a zero, then the pairs of the vector.
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
    Err(nix::Error::EFAULT)
}
