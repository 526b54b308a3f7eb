//! The leases that a worker holds, and what each job is told.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::queue::wire::{Lease, Resources};

/// What a job is told while it runs; a later order never takes an earlier one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    GoOn,
    /// The worker ends.
    GiveBack,
    /// The operator called it off; the server wants to hear that it ended.
    Cancel,
    /// It is somebody else's now.
    Lost,
}

struct HeldJob {
    orders: watch::Sender<Order>,
    needs: Resources,
}

/// Everything that is held.
pub(super) struct HeldJobs {
    jobs: Mutex<BTreeMap<Lease, HeldJob>>,
    lease: Mutex<Duration>,
    changed: Notify,
}

impl Default for HeldJobs {
    fn default() -> Self {
        Self {
            jobs: Mutex::default(),
            // Until the server says how long it is.
            lease: Mutex::new(Duration::from_secs(3)),
            changed: Notify::new(),
        }
    }
}

impl HeldJobs {
    fn jobs(&self) -> MutexGuard<'_, BTreeMap<Lease, HeldJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, lease: Lease, needs: Resources) -> watch::Receiver<Order> {
        let (orders, receiver) = watch::channel(Order::GoOn);
        self.jobs().insert(lease, HeldJob { orders, needs });
        receiver
    }

    pub(super) fn remove(&self, lease: Lease) {
        self.jobs().remove(&lease);
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    pub(super) fn leases(&self) -> Vec<Lease> {
        self.jobs().keys().copied().collect()
    }

    /// How many jobs are held, and what they need together.
    pub(super) fn needs(&self) -> (u32, Resources) {
        let jobs = self.jobs();
        let mut sum = Resources::default();
        for job in jobs.values() {
            sum.memory = sum.memory.saturating_add(job.needs.memory);
            sum.disk = sum.disk.saturating_add(job.needs.disk);
            sum.cores = sum.cores.saturating_add(job.needs.cores);
        }
        (u32::try_from(jobs.len()).unwrap_or(u32::MAX), sum)
    }

    pub(super) fn order(&self, lease: Lease, order: Order) {
        if let Some(job) = self.jobs().get(&lease) {
            tell(job, order);
        }
    }

    pub(super) fn order_all(&self, order: Order) {
        for job in self.jobs().values() {
            tell(job, order);
        }
    }

    pub(super) fn lease(&self) -> Duration {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lease_is(&self, lease: Duration) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    /// Waits until a job was removed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until nothing is held.
    pub(super) async fn empty(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.jobs().is_empty() {
                return;
            }
            changed.await;
        }
    }
}

fn tell(job: &HeldJob, order: Order) {
    job.orders.send_if_modified(|before| {
        let first = *before == Order::GoOn;
        if first {
            *before = order;
        }
        first
    });
}
