//! A queue under a rule, and what is put into it.

use std::collections::BTreeMap;
use std::time::Duration;

use rebuilder::queue::wire::{Lease, Resources, Task};
use rebuilder::queue::{Claimant, Ending, NewJob, Queue};

pub(super) fn probe(number: u64, ecosystem: &str, audit: &str) -> NewJob {
    let task = Task::Probe {
        number,
        milliseconds: 0,
    };
    NewJob::new(task, ecosystem, audit)
}

pub(super) fn claimant(worker: &str) -> Claimant {
    Claimant {
        worker: worker.into(),
        architecture: "x86_64".into(),
        free: Resources {
            memory: 4096,
            disk: 10_000,
            cores: 4,
        },
    }
}

pub(super) fn verdict(word: &str) -> Ending {
    Ending::Verdict {
        verdict: word.into(),
        reason: None,
        run: None,
        sign: false,
    }
}

/// What a test of the rules works with: a queue without jobs.
pub(super) struct Desk(pub(super) Queue);

impl Desk {
    pub(super) async fn claim(&self, worker: &str, slots: i64) -> Vec<(u64, Lease)> {
        self.claim_for(worker, slots, LEASE).await
    }

    pub(super) async fn claim_for(&self, worker: &str, slots: i64, lease: Duration) -> Vec<(u64, Lease)> {
        self.claim_as(&claimant(worker), slots, lease).await
    }

    pub(super) async fn claim_as(&self, who: &Claimant, slots: i64, lease: Duration) -> Vec<(u64, Lease)> {
        let jobs = self.0.claim(who, slots, lease).await.unwrap();
        let number = |task: &Task| match task {
            Task::Probe { number, .. } => *number,
            Task::Rebuild { .. } => 0,
        };
        jobs.iter().map(|job| (number(&job.task), job.lease)).collect()
    }

    pub(super) async fn end(&self, worker: &str, lease: Lease, ending: Ending) -> bool {
        let taken = self
            .0
            .finish(worker, &BTreeMap::from([(lease, ending)]))
            .await
            .unwrap();
        taken.contains(&lease)
    }

    /// Takes back what is lost, once a lease that is over is older than a tick of the clock.
    pub(super) async fn reap(&self) -> u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.0.reap().await.unwrap()
    }

    pub(super) async fn verdict_of(&self, lease: Lease) -> (String, Option<String>) {
        let jobs = self.0.list(None, Some(lease.job + 1), 1).await.unwrap();
        (jobs[0].state.clone(), jobs[0].verdict.clone())
    }

    /// Claims one job at a time and ends each; gives the numbers in that order.
    pub(super) async fn order(&self, worker: &str) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some((number, lease)) = self.claim(worker, 1).await.pop() {
            assert!(self.end(worker, lease, verdict("probed")).await);
            order.push(number);
        }
        order
    }
}

pub(super) const LEASE: Duration = Duration::from_mins(1);
