//! A worker: takes jobs from a server, rebuilds each in a separate process, and hands the runs in.
//!
//! ```text
//!  claim ──▶ child process: plan, fetch, build, compare ──▶ files by content ──▶ result ──▶ claim …
//!    └─ heartbeat ──▶ held? go on · called off, or lost? end the child first
//! ```
//!
//! It needs the server's address and a token, and nothing else of it. A server that does not answer is asked again for as
//! long as it takes; what a lost lease was building is ended before the next claim. `docs/service.md` has the operator's side.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod child;
mod client;
mod held;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

pub use child::Rebuild;
pub use client::{Client, ClientError};

use crate::error::with_causes;
use crate::progress::Progress;
use crate::queue::wire::{self, Claim, Claimed, Ended, Job, Lease, Outcome, Resources, Results, Task};
use crate::telemetry::{self, TraceParent};
use crate::text::{plural, redacted};
use child::Child;
use held::{HeldJobs, Order};

/// How long a claim waits at the server.
const WAIT: Duration = Duration::from_secs(20);
/// Pauses before a server that does not answer is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Shortest and longest lease, whatever the server says.
const LEASES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_hours(24));
/// After so many leases without an answer from the server, what is held is taken for lost.
const SILENT_LEASES: u32 = 10;

/// A worker that waits for jobs.
pub struct Worker {
    pub client: Client,
    /// Jobs at the same time.
    pub slots: u32,
    /// What all jobs together may need.
    pub offer: Resources,
    /// Where runs are until the server has them.
    pub folder: PathBuf,
    /// How long running jobs may go on once the worker is told to end.
    pub drain: Duration,
    /// How a job is done.
    pub rebuild: Rebuild,
    pub progress: Progress,
}

/// A worker that runs.
struct Running {
    worker: Worker,
    held: HeldJobs,
    results: mpsc::UnboundedSender<Ended>,
}

/// How a worker is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    No,
    /// It takes no more jobs; running ones continue for a while.
    Drain,
    /// At once; running jobs are given back.
    Now,
}

impl Worker {
    /// Works until `stop` says otherwise, or the server no longer knows the token.
    pub async fn work(self, mut stop: watch::Receiver<Stop>) -> Result<(), ClientError> {
        let (results, ended) = mpsc::unbounded_channel();
        let running = Arc::new(Running {
            worker: self,
            held: HeldJobs::default(),
            results,
        });
        let beating = tokio::spawn(running.clone().beat());
        let mut sending = tokio::spawn(running.clone().send(ended));
        let claimed = running.claim_until(&mut stop).await;
        if claimed.is_ok() {
            running.drain(&mut stop).await;
        }
        running.held.order_all(Order::GiveBack);
        // Their results, or that they are given back, may be on their way.
        let _ = tokio::time::timeout(Duration::from_secs(10), running.held.empty()).await;
        beating.abort();
        sending.abort();
        let _ = (&mut sending).await;
        claimed
    }
}

impl Running {
    /// Claims jobs and begins them until it is told to stop, or until the server no longer knows the token.
    async fn claim_until(self: &Arc<Self>, stop: &mut watch::Receiver<Stop>) -> Result<(), ClientError> {
        let mut pause = PAUSES.0;
        while *stop.borrow() == Stop::No {
            let Some(claim) = self.next_claim() else {
                tokio::select! {
                    () = self.held.changed() => {}
                    _ = stop.changed() => {}
                }
                continue;
            };
            let claimed = tokio::select! {
                claimed = self.worker.client.claim(&claim) => claimed,
                _ = stop.changed() => continue,
            };
            let as_asked = match claimed {
                Ok(claimed) => self.begin_all(claimed, &claim).await,
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    self.worker
                        .progress
                        .trouble(&format!("{}; trying again", with_causes(&error)));
                    false
                }
            };
            if as_asked {
                pause = PAUSES.0;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = stop.changed() => {}
                }
                pause = pause.saturating_mul(2).min(PAUSES.1);
            }
        }
        Ok(())
    }

    /// A claim for what is free; `None` if every slot is taken.
    fn next_claim(&self) -> Option<Claim> {
        let (count, needs) = self.held.needs();
        let slots = self.worker.slots.saturating_sub(count);
        let offer = self.worker.offer;
        (slots > 0).then(|| Claim {
            slots,
            wait: u64::try_from(WAIT.as_millis()).unwrap_or(0),
            architecture: std::env::consts::ARCH.to_owned(),
            free: Resources {
                memory: offer.memory.saturating_sub(needs.memory),
                disk: offer.disk.saturating_sub(needs.disk),
                cores: offer.cores.saturating_sub(needs.cores),
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// Begins the jobs that were claimed, and gives back those that were not asked for. Returns whether all were asked for.
    async fn begin_all(self: &Arc<Self>, claimed: Claimed, claim: &Claim) -> bool {
        let lease = Duration::from_millis(claimed.lease);
        self.held.lease_is(lease.clamp(LEASES.0, LEASES.1));
        let (fit, unasked) = self.held.fitting(claimed.jobs, claim);
        for job in fit {
            self.begin(job);
        }
        if unasked.is_empty() {
            return true;
        }
        self.give_back(&unasked).await;
        false
    }

    /// Gives back what was not asked for.
    async fn give_back(&self, unasked: &[Lease]) {
        let note = format!(
            "the server gave {} that this worker did not ask for; giving back",
            plural(unasked.len(), "job")
        );
        self.worker.progress.trouble(&note);
        // What a lawful server gave too much is far less than that.
        let some = unasked.get(..wire::BATCH).unwrap_or(unasked);
        if let Err(error) = self.worker.client.release(some).await {
            self.worker
                .progress
                .trouble(&format!("cannot give jobs back: {}", with_causes(&error)));
        }
    }

    /// Waits for what runs, as long as it may.
    async fn drain(&self, stop: &mut watch::Receiver<Stop>) {
        let until = Instant::now().checked_add(self.worker.drain);
        let late = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.held.empty() => {}
            () = late => {}
            _ = stop.wait_for(|stop| *stop == Stop::Now) => {}
        }
    }

    fn begin(self: &Arc<Self>, job: Job) {
        let lease = job.lease;
        let orders = self.held.add(lease, job.needs);
        if let Task::Probe { milliseconds: 0, .. } = job.task {
            self.end(lease, Outcome::Probed);
            return;
        }
        let running = self.clone();
        let span = attempt(&job);
        let work = async move {
            tracing::info!("began");
            let child = Child {
                lease,
                worker: &running.worker,
            };
            match child.run(&job.task, orders).await {
                Some(outcome) => {
                    tracing::Span::current().record("outcome", outcome.word());
                    tracing::info!("ended");
                    running.end(lease, outcome);
                }
                None => running.held.remove([lease]),
            }
        };
        tokio::spawn(work.instrument(span));
    }

    fn end(&self, lease: Lease, outcome: Outcome) {
        // It is held, and its lease renewed, until the server has the result.
        let trace = telemetry::current().map(|span| span.to_string());
        let _ = self.results.send(Ended {
            lease,
            outcome,
            trace,
        });
    }

    /// Hands results in, for as long as it takes. Their leases are renewed until then.
    async fn send(self: Arc<Self>, mut ended: mpsc::UnboundedReceiver<Ended>) {
        let mut results = Vec::new();
        while ended.recv_many(&mut results, wire::BATCH).await > 0 {
            let sent = Results {
                results: std::mem::take(&mut results),
            };
            let mut pause = PAUSES.0;
            let taken = loop {
                match self.worker.client.results(&sent).await {
                    Ok(taken) => break Some(taken),
                    Err(error) if error.is_final() => break None,
                    Err(error) => {
                        self.worker
                            .progress
                            .trouble(&format!("{}; trying again", with_causes(&error)));
                        tokio::time::sleep(pause).await;
                        pause = pause.saturating_mul(2).min(PAUSES.1);
                    }
                }
            };
            self.held.remove(sent.results.iter().map(|result| result.lease));
            let Some(taken) = taken else { continue };
            for result in &sent.results {
                let lease = result.lease;
                if let Some((_, reason)) = taken.refused.iter().find(|(refused, _)| *refused == lease) {
                    let note = format!("job {}: the server does not take the result: {reason}", lease.job);
                    self.worker.progress.trouble(&note);
                } else if !taken.taken.contains(&lease) {
                    let note = format!("job {}: the lease was lost before the result came", lease.job);
                    self.worker.progress.trouble(&note);
                }
            }
        }
    }

    /// Renews what is held, forever, and tells the jobs that are called off or lost.
    async fn beat(self: Arc<Self>) {
        let mut answered = Instant::now();
        loop {
            let lease = self.held.lease();
            tokio::time::sleep(lease.div_f64(3.0)).await;
            let mine = self.held.leases();
            if mine.is_empty() {
                answered = Instant::now();
                continue;
            }
            let mut silent = false;
            for some in mine.chunks(wire::BATCH) {
                match self.worker.client.heartbeat(some).await {
                    Ok(beats) => {
                        for held in some {
                            match beats.held.iter().find(|beat| beat.lease == *held) {
                                None => self.held.order(*held, Order::Lost),
                                Some(beat) if beat.cancel => self.held.order(*held, Order::Cancel),
                                Some(_) => {}
                            }
                        }
                    }
                    Err(_) => silent = true,
                }
            }
            if !silent {
                answered = Instant::now();
            } else if answered.elapsed() > lease.saturating_mul(SILENT_LEASES) {
                self.held.order_all(Order::Lost);
            }
        }
    }
}

/// The span of an attempt; none for a probe, of which there may be thousands in a second.
fn attempt(job: &Job) -> tracing::Span {
    let Task::Rebuild { subject, .. } = &job.task else {
        return tracing::Span::none();
    };
    let Lease { job: number, attempt } = job.lease;
    let subject = redacted(subject);
    let span = tracing::info_span!(parent: None, "attempt", job = number, attempt, subject, outcome = Empty);
    telemetry::adopt(&span, job.trace.as_deref().and_then(TraceParent::parse));
    span
}
