//! The system calls that a build may use; every other call behaves as if the kernel did not have it.
//!
//! The list contains what builds need; it was checked against the default profile of container engines. Ordinary
//! builds, tracing (`ptrace`) and debuggers work under it. Namespaces and dropped capabilities already forbid most
//! other calls; the filter also keeps the kernel code behind them out of reach, and that of future calls. Asynchronous
//! I/O is not on the list, as the whole machine shares one limit for its contexts. Calls of other ABIs (i386, x32) end
//! the process or do not exist.

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

/// Execution domains (personality(2)) that builds use: the default, 32 bits, an old version's name, no address
/// randomisation, and the query of the current one.
const DOMAINS: [u32; 7] = [0, 0x8, 0x2_0000, 0x2_0008, 0x4_0000, 0x4_0008, u32::MAX];

/// Requests to a terminal that insert input in the name of its user (ioctl_tty(2)).
const TERMINAL: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

type SyscallRules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filter as programs for the kernel, to be installed in this order: if two forbid a call, the later one's answer
/// counts.
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
    // `clone` may start processes, but not create namespaces. Each flag has its own rule: any one of them is enough to
    // refuse.
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

    // `clone3` is not allowed: its flags are in memory, where a filter cannot look. If it does not exist, the C
    // library uses `clone`.
    let (allow, refuse) = (SeccompAction::Allow, |errno: libc::c_int| {
        SeccompAction::Errno(errno.cast_unsigned())
    });
    Ok(vec![
        program(allowed, refuse(libc::ENOSYS), allow.clone())?,
        program(forbidden, allow, refuse(libc::EPERM))?,
    ])
}

/// What a traced build may not do, so that it stays traced.
///
/// A process that `clone` starts with `CLONE_UNTRACED` has no tracer. A seccomp listener's answer "continue" takes
/// precedence over a stop for the tracer (seccomp(2)); all other answers that take precedence prevent the call. A
/// tracer of the build's own could answer stops in our tracer's place.
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

/// A rule: the argument is none of these values.
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
