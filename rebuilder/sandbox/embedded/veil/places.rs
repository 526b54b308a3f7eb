//! Where times are in the structures that calls leave in the memory of a process.

use nix::libc;

/// The 32 bits that the kernel reads of such an argument.
pub(super) fn low(value: u64) -> i32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0).cast_signed()
}

/// Addresses of the seconds in the answers about System V objects (`struct msqid64_ds`, `shmid64_ds` and `semid64_ds`
/// of x86-64); `None` for requests that return no times.
pub(super) fn in_ipc(call: libc::c_long, regs: &libc::user_regs_struct) -> Option<Vec<u64>> {
    // Each by an identifier, by an index, and by an index without permission.
    let (requests, given, place, offsets): ([i32; 3], _, _, &[u64]) = match call {
        libc::SYS_msgctl => ([2, 11, 13], regs.rsi, regs.rdx, &[48, 56, 64]),
        libc::SYS_shmctl => ([2, 13, 15], regs.rsi, regs.rdx, &[56, 64, 72]),
        _ => ([2, 18, 20], regs.rdx, regs.r10, &[48, 64]),
    };
    let places = offsets.iter().map(|offset| place.saturating_add(*offset));
    requests.contains(&low(given)).then(|| places.collect())
}

/// Addresses of the seconds of the three times of `struct stat` on x86-64; nanoseconds follow each in eight bytes.
pub(super) fn in_stat(place: u64) -> Vec<u64> {
    [72, 88, 104].map(|offset| place.saturating_add(offset)).to_vec()
}

/// Addresses of the seconds of the four times of `struct statx`; nanoseconds follow each in four bytes.
pub(super) fn in_statx(place: u64) -> Vec<u64> {
    [0x40, 0x50, 0x60, 0x70]
        .map(|offset| place.saturating_add(offset))
        .to_vec()
}
