//! Which subjects of an audit are rebuilt now, and why the others are not: decided from what is remembered,
//! without effects.

use serde::Serialize;

use crate::memory::{Outcome, Run};
use crate::run::failure::Fault;

/// Whether a subject is rebuilt now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It is rebuilt.
    Now,
    /// It is not, as it has a verdict.
    HasVerdict,
    /// It is not, as it failed in a way that would repeat itself.
    SameFailure,
    /// The next try is due at this time, in milliseconds since 1970.
    At(i64),
}

/// Whether this run rebuilds the subject with this newest result.
pub(super) fn due(newest: Option<&Outcome>, run: &Run, now: i64) -> Due {
    let Some(newest) = newest else { return Due::Now };
    let before = |time: Option<i64>| time.is_some_and(|time| newest.finished < time);
    if before(run.redo_before) {
        return Due::Now;
    }
    let Some(fault) = newest.fault else {
        return Due::HasVerdict;
    };
    if before(run.retry_before) {
        return Due::Now;
    }
    match (fault, newest.again_at) {
        (Fault::Build, _) | (_, None) => Due::SameFailure,
        (_, Some(at)) if at <= now => Due::Now,
        (_, Some(at)) => Due::At(at),
    }
}

/// The subjects that were not rebuilt, counted by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NotDone {
    /// Subjects that have a verdict.
    pub has_verdict: usize,
    /// Subjects whose build would fail in the same way.
    pub same_failure: usize,
    /// Subjects whose next try is not due yet.
    pub later: usize,
    /// When the first of these next tries is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<jiff::Timestamp>,
}

impl NotDone {
    pub(super) fn add(&mut self, due: Due) {
        let count = match due {
            Due::Now => return,
            Due::HasVerdict => &mut self.has_verdict,
            Due::SameFailure => &mut self.same_failure,
            Due::At(at) => {
                let at = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::MAX);
                self.next = Some(self.next.map_or(at, |next| next.min(at)));
                &mut self.later
            }
        };
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(fault: Option<Fault>, again_at: Option<i64>) -> Outcome {
        Outcome {
            text: "a".into(),
            version: None,
            verdict: crate::run::VerdictName::Mismatch,
            failure: None,
            fault,
            tries: 1,
            again_at,
            finished: 1000,
            run: 1,
            folder: None,
            document: String::new(),
        }
    }

    #[test]
    fn verdicts_stay_failures_are_tried_when_they_are_due_and_the_user_has_the_last_word() {
        use Fault::{Build, Infrastructure, Inputs};
        // Whose fault the failure is and when the next try is due; the times before which a result is not
        // good enough; the time now; the answer.
        for (fault, again_at, redo, retry, now, expected) in [
            (None, None, None, None, 5000, Due::HasVerdict),
            (None, None, Some(1000), None, 5000, Due::HasVerdict),
            (None, None, Some(1001), None, 5000, Due::Now),
            (None, None, None, Some(5000), 5000, Due::HasVerdict),
            (Some(Infrastructure), Some(2000), None, None, 1999, Due::At(2000)),
            (Some(Infrastructure), Some(2000), None, None, 2000, Due::Now),
            (Some(Inputs), Some(9000), None, Some(5000), 5000, Due::Now),
            (Some(Inputs), Some(9000), Some(5000), None, 5000, Due::Now),
            (Some(Build), None, None, None, i64::MAX, Due::SameFailure),
            (Some(Build), None, None, Some(5000), 5000, Due::Now),
        ] {
            let run = Run {
                id: 1,
                number: 1,
                started: 0,
                ended: None,
                redo_before: redo,
                retry_before: retry,
            };
            let found = due(Some(&outcome(fault, again_at)), &run, now);
            assert_eq!(found, expected, "{fault:?} {again_at:?} {redo:?} {retry:?} {now}");
            assert_eq!(due(None, &run, now), Due::Now);
        }
    }
}
