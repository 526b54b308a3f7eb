//! What workers send at a time: each has places of its own, must not be too slow, and ends with its lease.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::api::ApiError;
use crate::queue::wire::Lease;

/// Artifacts that one worker may send in parallel, and how long others of it wait.
const UPLOADS: usize = 4;
const WAIT: Duration = Duration::from_mins(1);
/// Maximum number of requests of one worker that are answered at the same time.
const QUESTIONS: usize = 128;

/// Places that each worker has for itself.
pub(super) struct Places {
    each: usize,
    workers: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Places {
    pub(super) fn for_uploads() -> Self {
        Self::new(UPLOADS)
    }

    pub(super) fn for_questions() -> Self {
        Self::new(QUESTIONS)
    }

    fn new(each: usize) -> Self {
        Self {
            each,
            workers: Mutex::default(),
        }
    }

    /// Only holders of tokens have places, so strangers fill nothing.
    fn of(&self, worker: &str) -> Arc<Semaphore> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let places = workers.entry(worker.to_owned());
        places
            .or_insert_with(|| Arc::new(Semaphore::new(self.each)))
            .clone()
    }

    /// A place at once.
    pub(super) fn take(&self, worker: &str) -> Result<OwnedSemaphorePermit, ApiError> {
        self.of(worker).try_acquire_owned().map_err(|_| ApiError::Busy)
    }

    /// A place, after a while.
    pub(super) async fn wait(&self, worker: &str) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = timeout(WAIT, self.of(worker).acquire_owned()).await;
        place.map_err(|_| ApiError::Busy)?.map_err(|_| ApiError::Busy)
    }
}

/// Leases for which something is being sent.
#[derive(Default)]
pub(super) struct Sending(Mutex<BTreeMap<Lease, CancellationToken>>);

impl Sending {
    fn leases(&self) -> MutexGuard<'_, BTreeMap<Lease, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when the lease has ended.
    pub(super) fn end_of(&self, lease: Lease) -> CancellationToken {
        self.leases().entry(lease).or_default().clone()
    }

    pub(super) fn known(&self) -> BTreeSet<Lease> {
        self.leases().keys().copied().collect()
    }

    pub(super) fn end(&self, lease: Lease) {
        if let Some(end) = self.leases().remove(&lease) {
            end.cancel();
        }
    }
}
