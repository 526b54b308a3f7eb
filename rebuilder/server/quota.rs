//! How much each lease may send: no worker fills the place where artifacts are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::api::ApiError;
use crate::queue::wire::{self, Lease};

/// Bytes of artifacts that came with each lease that runs. They are counted when they are announced.
#[derive(Default)]
pub(super) struct Quota(Mutex<BTreeMap<Lease, u64>>);

impl Quota {
    fn sent(&self) -> MutexGuard<'_, BTreeMap<Lease, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self, lease: Lease, bytes: u64) -> Result<(), ApiError> {
        let mut sent = self.sent();
        let before = sent.entry(lease).or_default();
        *before = before.saturating_add(bytes);
        if *before > wire::RUN {
            return Err(ApiError::Request(format!(
                "the files of a run have at most {} bytes",
                wire::RUN
            )));
        }
        Ok(())
    }

    pub(super) fn known(&self) -> BTreeSet<Lease> {
        self.sent().keys().copied().collect()
    }

    /// The lease has ended.
    pub(super) fn end(&self, lease: Lease) {
        self.sent().remove(&lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_sends_so_much_and_no_more() {
        let quota = Quota::default();
        let (one, two) = (Lease { job: 1, attempt: 1 }, Lease { job: 2, attempt: 1 });
        assert!(quota.take(one, wire::RUN).is_ok());
        assert!(quota.take(two, 1).is_ok());
        assert!(quota.take(one, 1).is_err() && quota.take(one, u64::MAX).is_err());
        quota.end(one);
        assert!(quota.take(one, 1).is_ok());
    }
}
