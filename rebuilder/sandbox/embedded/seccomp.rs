//! The system calls that a build may use; every other one does not exist for it.
//!
//! The list is what builds need, with the default profile of container engines as the control: ordinary builds,
//! tracing (`ptrace`) and debuggers included, work under it. The namespaces and dropped capabilities already forbid
//! most of the rest; the filter takes the code behind it out of reach as well, and that of calls which the kernel
//! will only get. Asynchronous I/O is not on it, as all of the machine shares one number of its contexts. Calls of other ABIs (i386, x32) end the process or do not exist.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::syscalls::{ALLOWED, ALLOWED_HERE, FORBIDDEN};

/// Socket families that a build may use inside its own, empty network.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

const NEW_NAMESPACES: libc::c_int = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

/// Execution domains (personality(2)) that builds use: the usual one, 32 bits, an old version's name, no address
/// randomisation, and the question which one it is.
const DOMAINS: [u32; 7] = [0, 0x8, 0x2_0000, 0x2_0008, 0x4_0000, 0x4_0008, u32::MAX];

/// Requests to a terminal that put words into the mouth of who sits before it (ioctl_tty(2)).
const TERMINAL: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

type SyscallRules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filter as programs for the kernel, to be applied in this order: where two forbid a call, the later one's
/// answer counts.
pub(super) fn programs() -> Result<Vec<BpfProgram>, BackendError> {
    let mut allowed: SyscallRules = ALLOWED
        .iter()
        .chain(ALLOWED_HERE)
        .map(|call| (*call, Vec::new()))
        .collect();
    for call in [
        libc::SYS_clone,
        libc::SYS_ioctl,
        libc::SYS_personality,
        libc::SYS_socket,
        libc::SYS_socketpair,
    ] {
        allowed.insert(call, Vec::new());
    }

    let mut forbidden: SyscallRules = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    // `clone` may start processes, not namespaces. Each flag is a rule of its own: any one of them is enough.
    let flags = (0..32)
        .map(|bit| 1_u64 << bit)
        .filter(|flag| flag & u64::from(NEW_NAMESPACES.cast_unsigned()) != 0);
    let clone_rules = flags
        .map(|flag| {
            let set = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?;
            SeccompRule::new(vec![set])
        })
        .collect::<Result<Vec<_>, _>>()?;
    forbidden.insert(libc::SYS_clone, clone_rules);
    let families = FAMILIES.map(|family| u64::from(family.cast_unsigned()));
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        forbidden.insert(call, vec![none_of(0, &families)?]);
    }
    forbidden.insert(libc::SYS_personality, vec![none_of(0, &DOMAINS.map(u64::from))?]);
    let requests = TERMINAL
        .map(|request| SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request))
        .into_iter()
        .map(|condition| SeccompRule::new(vec![condition?]))
        .collect::<Result<Vec<_>, _>>()?;
    forbidden.insert(libc::SYS_ioctl, requests);

    // `clone3` is not among the allowed: its flags are in memory, where a filter cannot look; without it the C library
    // uses `clone`.
    let (allow, refuse) = (SeccompAction::Allow, |errno: libc::c_int| {
        SeccompAction::Errno(errno.cast_unsigned())
    });
    Ok(vec![
        program(allowed, refuse(libc::ENOSYS), allow.clone())?,
        program(forbidden, allow, refuse(libc::EPERM))?,
    ])
}

/// What a build may not do while a tracer watches it, so that it stays watched.
///
/// A process that `clone` starts with `CLONE_UNTRACED` has no tracer. A listener's answer to "continue" counts for more
/// than a stop for the tracer (seccomp(2)); every other answer that does so keeps the call from being made. A tracer
/// of the build's own could answer stops in the tracer's place.
pub(super) fn watched() -> Result<BpfProgram, BackendError> {
    let flag = |argument: u8, flag: u64| -> Result<Vec<SeccompRule>, BackendError> {
        let set = SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(flag),
            flag,
        )?;
        Ok(vec![SeccompRule::new(vec![set])?])
    };
    let untraced = u64::from(libc::CLONE_UNTRACED.cast_unsigned());
    let forbidden = SyscallRules::from([
        (libc::SYS_clone, flag(0, untraced)?),
        (
            libc::SYS_seccomp,
            flag(1, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?,
        ),
        (libc::SYS_ptrace, Vec::new()),
    ]);
    program(
        forbidden,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
    )
}

/// The argument is none of these.
fn none_of(argument: u8, values: &[u64]) -> Result<SeccompRule, BackendError> {
    let conditions = values
        .iter()
        .map(|value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *value))
        .collect::<Result<Vec<_>, _>>()?;
    SeccompRule::new(conditions)
}

fn program(
    rules: SyscallRules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
}
