//! The leases that a worker holds, and what each job is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::queue::wire::{Claim, Job, Lease, Resources};

/// What a job is told while it runs; a later order never takes an earlier one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    GoOn,
    /// The worker ends.
    GiveBack,
    /// The operator cancelled it; the server waits for its end.
    Cancel,
    /// Another worker has it now.
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

    /// Tells the jobs that were asked for from those that were not: more than there are slots for, ones that need more than is
    /// free, and ones that are held already. Of the latter nothing is given back, as that would end what runs.
    pub(super) fn fitting(&self, jobs: Vec<Job>, claim: &Claim) -> (Vec<Job>, Vec<Lease>) {
        let mut known: BTreeSet<Lease> = self.jobs().keys().copied().collect();
        let (mut free, mut fit, mut unasked) = (claim.free, Vec::new(), Vec::new());
        for job in jobs {
            // One that was lost may come again before its first attempt has ended here.
            let first = Lease {
                job: job.lease.job,
                attempt: i64::MIN,
            };
            let other = known
                .range(first..)
                .next()
                .is_some_and(|lease| lease.job == job.lease.job);
            if !known.insert(job.lease) {
                continue;
            }
            let left = (!other && fit.len() < claim.slots as usize)
                .then(|| left(free, job.needs))
                .flatten();
            match left {
                Some(left) => {
                    free = left;
                    fit.push(job);
                }
                None => unasked.push(job.lease),
            }
        }
        (fit, unasked)
    }

    /// Removes jobs together, so that the next claim asks for all of their slots at once.
    pub(super) fn remove(&self, leases: impl IntoIterator<Item = Lease>) {
        {
            let mut jobs = self.jobs();
            for lease in leases {
                jobs.remove(&lease);
            }
        }
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

/// What is left once a job has what it needs, if there is so much.
fn left(free: Resources, needs: Resources) -> Option<Resources> {
    let less = |free: i64, needs: i64| {
        (0..=free.max(0))
            .contains(&needs)
            .then(|| free.saturating_sub(needs))
    };
    Some(Resources {
        memory: less(free.memory, needs.memory)?,
        disk: less(free.disk, needs.disk)?,
        cores: less(free.cores, needs.cores)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::wire::Task;

    #[test]
    fn a_worker_takes_what_it_asked_for_and_no_more() {
        let needs = |memory, disk, cores| Resources { memory, disk, cores };
        let (none, all) = (Resources::default(), needs(4, 4, 4));
        for (given, begun, back) in [
            (&[(1, none), (2, none)][..], &[1, 2][..], &[][..]),
            (&[(1, all), (2, none)], &[1, 2], &[]),
            (&[(1, all), (2, needs(0, 0, 1))], &[1], &[2]),
            (&[(1, none), (2, none), (3, none), (4, none)], &[1, 2], &[3, 4]),
            (&[(1, none), (1, none), (2, none)], &[1, 2], &[]),
            (&[(7, none), (1, none)], &[1], &[]),
            (
                &[(1, needs(5, 0, 0)), (2, needs(0, 0, 5)), (3, none)],
                &[3],
                &[1, 2],
            ),
            (&[(1, needs(-1, 0, 0)), (2, needs(0, i64::MIN, 0))], &[], &[1, 2]),
        ] {
            let held = HeldJobs::default();
            let lease = |job| Lease { job, attempt: 1 };
            held.add(lease(7), none);
            let claim = Claim {
                slots: 2,
                wait: 0,
                architecture: String::new(),
                free: all,
                version: String::new(),
            };
            let job = |(job, needs): &(i64, Resources)| Job {
                lease: lease(*job),
                task: Task::Probe {
                    number: 0,
                    milliseconds: 0,
                },
                needs: *needs,
                trace: None,
            };
            let (fit, unasked) = held.fitting(given.iter().map(job).collect(), &claim);
            let fit: Vec<_> = fit.iter().map(|job| job.lease.job).collect();
            let unasked: Vec<_> = unasked.iter().map(|lease| lease.job).collect();
            assert_eq!((fit.as_slice(), unasked.as_slice()), (begun, back), "{given:?}");
        }
    }
}
