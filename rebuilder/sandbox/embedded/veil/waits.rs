//! Calls that wait until a moment of the wall clock, at most or at least: locks and semaphores with a time limit,
//! sleep and message queues. The kernel knows only the machine's clock, so it is given the same moment by that clock.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::Register;
use super::places::low;

/// The clocks that show wall time and can be waited for.
const CLOCKS: [libc::clockid_t; 3] = [libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_ALARM, libc::CLOCK_TAI];

/// Whether a clock shows wall time.
pub(super) fn is_wall(clock: u64) -> bool {
    CLOCKS.contains(&low(clock)) || low(clock) == libc::CLOCK_REALTIME_COARSE
}

/// The calls as rules of a filter; calls that name no time are left out.
pub(super) fn rules() -> Result<BTreeMap<libc::c_long, Vec<SeccompRule>>, BackendError> {
    let word = |argument: u8, how: SeccompCmpOp, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value)
    };
    let given = |argument: u8| SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0);
    let flag = |argument: u8, flag: libc::c_int| {
        let flag = u64::from(flag.cast_unsigned());
        word(argument, SeccompCmpOp::MaskedEq(flag), flag)
    };
    // This operation has a wall-clock time even without the flag.
    let (command, lock) = (
        libc::FUTEX_CMD_MASK.cast_unsigned(),
        libc::FUTEX_LOCK_PI.cast_unsigned(),
    );
    let futex = [
        vec![given(3)?, flag(1, libc::FUTEX_CLOCK_REALTIME)?],
        vec![
            given(3)?,
            word(1, SeccompCmpOp::MaskedEq(command.into()), lock.into())?,
        ],
    ];
    let sleeps = CLOCKS.iter().map(|clock| {
        let clock = u64::from(clock.cast_unsigned());
        Ok(vec![
            word(0, SeccompCmpOp::Eq, clock)?,
            flag(1, libc::TIMER_ABSTIME)?,
        ])
    });
    let sleeps = sleeps.collect::<Result<Vec<_>, BackendError>>()?;
    let each = |rules: Vec<Vec<SeccompCondition>>| {
        rules
            .into_iter()
            .map(SeccompRule::new)
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(BTreeMap::from([
        (libc::SYS_futex, each(futex.into())?),
        (libc::SYS_clock_nanosleep, each(sleeps)?),
        (libc::SYS_mq_timedsend, each(vec![vec![given(4)?]])?),
        (libc::SYS_mq_timedreceive, each(vec![vec![given(4)?]])?),
        (libc::SYS_futex_waitv, each(vec![vec![given(3)?]])?),
    ]))
}

/// The argument of a stopped call that points to the moment.
pub(super) fn moment(call: libc::c_long, regs: &libc::user_regs_struct) -> Option<Register> {
    match call {
        libc::SYS_futex => Some(|regs| &mut regs.r10),
        libc::SYS_futex_waitv if is_wall(regs.r8) => Some(|regs| &mut regs.r10),
        libc::SYS_clock_nanosleep => Some(|regs| &mut regs.rdx),
        libc::SYS_mq_timedsend | libc::SYS_mq_timedreceive => Some(|regs| &mut regs.r8),
        _ => None,
    }
}
