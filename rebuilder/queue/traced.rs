//! The trace of a job. Every process computes the same one, so it is not stored, and all attempts of a job belong to it.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::artifact::Sha256;
use crate::telemetry::{self, Attribute, TraceParent};

/// A job, as the span that everything about it is below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    root: Option<TraceParent>,
    job: i64,
    /// When it was queued, in milliseconds since 1970.
    created: i64,
    subject: String,
}

impl Traced {
    /// Numbers of jobs begin again with another database; together with the time they do not.
    pub(super) fn new(job: i64, created: i64, subject: String) -> Self {
        let digest = Sha256::of(format!("job of rebuilder\n{job}\n{created}\n{subject}"));
        let digest = digest.as_bytes();
        let ids = digest.first_chunk().zip(digest.last_chunk());
        Self {
            root: ids.and_then(|(trace, span)| TraceParent::new(*trace, *span)),
            job,
            created,
            subject,
        }
    }

    /// From these columns and the two after them: the job, when it was queued, and its subject.
    pub(super) fn of(row: &AnyRow, job: i64, first: usize) -> Result<Self, sqlx::Error> {
        let (created, subject) = (row.try_get(first)?, row.try_get(first.saturating_add(1))?);
        Ok(Self::new(job, created, subject))
    }

    /// The span of the job itself.
    pub fn root(&self) -> Option<TraceParent> {
        self.root
    }

    /// A span that a worker names, if it is in this trace; else that of the job.
    pub fn or_root(&self, named: Option<&str>) -> Option<TraceParent> {
        let named = named.and_then(TraceParent::parse);
        let is_in = |named: &TraceParent| self.root.is_some_and(|root| root.trace_id() == named.trace_id());
        named.filter(is_in).or(self.root)
    }

    /// Exports the span of the job, which has ended.
    pub fn close(&self, attempt: i64, verdict: &str) {
        let attributes: Vec<Attribute> = vec![
            ("job", self.job.to_string()),
            ("attempts", attempt.to_string()),
            ("subject", crate::text::redacted(&self.subject)),
            ("verdict", verdict.to_owned()),
        ];
        if let Some(root) = self.root {
            telemetry::closed_span("job", root, self.created, attributes);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn all_processes_know_the_trace_of_a_job_and_no_two_jobs_share_one() {
        let traced = |job, created| Traced::new(job, created, "pkg:pypi/x@1".into());
        assert_eq!(traced(1, 5), traced(1, 5));
        let others = [
            traced(2, 5),
            traced(1, 6),
            Traced::new(1, 5, "pkg:pypi/y@1".into()),
        ];
        let own = traced(1, 5).root().unwrap();
        assert!(
            others
                .iter()
                .all(|other| other.root().unwrap().trace_id() != own.trace_id())
        );
        // A worker may name a span of this trace, and of no other.
        let below = own
            .to_string()
            .replace(&own.to_string()[36..52], "00f067aa0ba902b7");
        assert_eq!(traced(1, 5).or_root(Some(&below)).unwrap().to_string(), below);
        let foreign = others[0].root().unwrap().to_string();
        for named in [Some(foreign.as_str()), Some("nonsense"), None] {
            assert_eq!(traced(1, 5).or_root(named), Some(own));
        }
    }
}
