//! What goes with a lease when it ends, and what goes because no verdict names it.

use std::collections::BTreeSet;

use super::Running;
use super::api::ApiError;
use crate::error::with_causes;
use crate::progress::Progress;
use crate::queue::wire::Lease;

/// Artifacts that are removed in one transaction, and in one pass: the queue waits meanwhile.
const SOME: i64 = 5;
const PASSES: usize = 20;

impl Running {
    /// Counts bytes that are about to be sent for a lease.
    pub(super) async fn may_send(&self, worker: &str, bytes: u64) -> Result<(), ApiError> {
        if self.queue.may_send(worker, bytes, self.bounds.daily).await? {
            Ok(())
        } else {
            Err(ApiError::Request(format!(
                "the daily limit of {} bytes for this worker is reached",
                self.bounds.daily
            )))
        }
    }

    /// Leases have ended, however: what they sent so far goes, and so does what is on its way.
    pub(super) fn leases_ended<'a>(&self, leases: impl IntoIterator<Item = &'a Lease>) {
        for lease in leases {
            self.sending.end(*lease);
            self.logs.remove(*lease);
            self.quota.end(*lease);
        }
    }

    /// Finds leases that ran out, or that another server or a command of the operator has ended.
    pub(super) async fn end_leases(&self) {
        let mut known: BTreeSet<Lease> = self.logs.known();
        known.extend(self.quota.known());
        known.extend(self.sending.known());
        if known.is_empty() {
            return;
        }
        // Without a database nobody knows, and everything stays.
        if let Ok(held) = self.queue.held_of(&known).await {
            self.leases_ended(known.difference(&held));
        }
    }

    /// Removes artifacts that no verdict names and no worker has used for a while.
    pub(super) async fn remove_unnamed(&self) {
        for _ in 0..PASSES {
            match self.remove_some().await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    let note = format!("cannot remove unused artifacts yet: {}", with_causes(&error));
                    return Progress::new(false).trouble(&note);
                }
            }
        }
    }

    async fn remove_some(&self) -> Result<usize, ApiError> {
        let unnamed = self.queue.forget_unnamed(self.bounds.unnamed, SOME).await?;
        for sha256 in &unnamed.artifacts {
            self.artifacts.remove(*sha256).await?;
        }
        let count = unnamed.artifacts.len();
        unnamed.commit().await?;
        Ok(count)
    }
}
