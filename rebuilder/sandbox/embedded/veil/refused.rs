//! Calls that would tell a build with another clock the real time, and that builds can do without.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Options that make a socket report when a message arrived (socket(7)), in their older and newer forms.
const STAMPS: [u64; 6] = [29, 35, 37, 63, 64, 65];

/// Requests for the same, `SIOCGSTAMP` and `SIOCGSTAMPNS`.
const LAST_STAMP: [u64; 4] = [0x8906, 0x8907, 0x8010_8906, 0x8010_8907];

/// `ARCH_MAP_VDSO_X32`, `_32` and `_64` (arch_prctl(2)): they map the kernel's shared page again.
const SHARED_PAGE: [u64; 3] = [0x2001, 0x2002, 0x2003];

/// The filter; refused calls fail with `EPERM`.
pub(super) fn filter() -> Result<BpfProgram, BackendError> {
    let is = |argument: u8, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let any_of = |argument: u8, values: &[u64]| -> Result<Vec<SeccompRule>, BackendError> {
        let rules = values
            .iter()
            .map(|value| SeccompRule::new(vec![is(argument, *value)?]));
        rules.collect()
    };
    let level = u64::from(libc::SOL_SOCKET.cast_unsigned());
    let options = STAMPS.iter();
    let stamps = options.map(|option| SeccompRule::new(vec![is(1, level)?, is(2, *option)?]));
    let rules = BTreeMap::from([
        (libc::SYS_adjtimex, Vec::new()),
        (libc::SYS_setsockopt, stamps.collect::<Result<_, _>>()?),
        (libc::SYS_ioctl, any_of(1, &LAST_STAMP)?),
        (libc::SYS_arch_prctl, any_of(0, &SHARED_PAGE)?),
    ]);
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, refused, arch)?.try_into()
}
