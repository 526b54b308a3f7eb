//! The server for workers on other hosts. Only the server uses the database, the artifacts and the signer.
//!
//! ```text
//!  worker ──▶ token ──▶ claim ─────▶ lease
//!                   ──▶ heartbeat ─▶ held, cancelled or lost
//!                   ──▶ log, artifacts by content ──▶ results ──▶ verdict ──▶ signer
//! ```
//!
//! Finished jobs are published as rows ([`crate::queue::published`]), which readers request with or without a token.
//!
//! A worker's messages are bounded, and trusted no further than by the signer. The queue shows the verdict of a
//! worker's record, but only the signer signs, after it has checked everything again. `docs/service.md` is the
//! operator's page.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod access;
mod answer;
mod api;
mod artifacts;
mod cached;
mod connections;
mod ends;
mod health;
mod judgement;
mod logs;
mod overall;
mod publication;
mod quota;
mod readers;
mod rebuilderd;
mod results;
mod signing;
mod site;
mod uploads;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};

pub use artifacts::{Artifacts, ArtifactsError};
pub use signing::Handing;

use crate::queue::{Queue, QueueError};
use access::{Doors, Presence};
use logs::Logs;
use overall::Overall;
use quota::Quota;
use readers::Readers;
use uploads::{Places, Sending};

/// How often the server looks for new jobs, and after how many looks it takes lost ones back.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 25;
/// Time until a server that cannot listen to the database tries again.
const LISTEN: Duration = Duration::from_secs(5);
/// After how many looks it is seen which leases ended elsewhere, and which artifacts nobody names.
const ENDS: u32 = 100;
const UNNAMED: u32 = 500;
/// Artifacts that are stored in parallel, once they are here.
const STORING: usize = 16;
/// Logs that are followed at a time.
const WATCHING: usize = 256;

/// The settings of a server.
pub struct Server {
    pub queue: Queue,
    pub artifacts: Artifacts,
    /// How long a lease is valid after each heartbeat.
    pub lease: Duration,
    /// Where artifacts and logs are while they arrive.
    pub scratch: PathBuf,
    /// The signer, if there is one.
    pub handing: Option<Handing>,
    /// Who may read what came of it.
    pub reading: Reading,
    pub bounds: Bounds,
}

/// What holds workers within bounds.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Maximum number of bytes of artifacts and logs that one worker may send in a day.
    pub daily: u64,
    /// How long an artifact is kept that no verdict names.
    pub unnamed: Duration,
}

/// The settings for readers.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Whether everyone may read results and the queue; else a token with the scope `read` is needed.
    pub public: bool,
    /// Whether everyone who may read results may follow logs of builds that run; else a token is needed.
    pub live_logs: bool,
    /// Requests of one reader in a second, on average; `None` for any number. Holders of tokens are not counted.
    pub rate: Option<NonZeroU32>,
    /// Where proxies are, besides this machine, whose `X-Forwarded-For` says who asks.
    pub proxies: Vec<IpNet>,
    /// Public keys of links, in PEM as in-toto reads them; clients use the first.
    pub keys: Vec<String>,
}

/// An error that ends the server.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ServerError {
    #[error("cannot serve on {address}")]
    #[diagnostic(help("check whether another server uses it, or name another address with --listen"))]
    Listen { address: String, source: std::io::Error },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Artifacts(#[from] ArtifactsError),
}

/// A running server.
struct Running {
    queue: Queue,
    artifacts: Artifacts,
    lease: Duration,
    doors: Doors,
    logs: Logs,
    questions: Places,
    uploads: Places,
    storing: Semaphore,
    sending: Sending,
    quota: Quota,
    bounds: Bounds,
    /// Jobs may have become ready.
    news: Notify,
    /// A run may have become due.
    due: Notify,
    handing: Option<Handing>,
    reading: Reading,
    readers: Readers,
    overall: Overall,
    /// Readers who follow a log.
    watching: Arc<Semaphore>,
    presence: Presence,
    /// Whether the server is to end.
    ending: watch::Receiver<bool>,
    counters: health::Counters,
}

impl Server {
    /// Serves until `stop` is ready, and calls `ready` once it listens. What workers are doing then goes on, and is handed in
    /// to the next server.
    pub async fn serve(
        self,
        listener: TcpListener,
        ready: impl FnOnce(std::net::SocketAddr),
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let failed = |source| ServerError::Listen {
            address: "the given address".into(),
            source,
        };
        let address = listener.local_addr().map_err(failed)?;
        let (end, ending) = watch::channel(false);
        // Leases that ran out while no server was there could not be renewed.
        self.queue.renew_all(self.lease).await?;
        let running = Arc::new(Running {
            logs: Logs::below(&self.scratch)?,
            queue: self.queue,
            artifacts: self.artifacts,
            lease: self.lease,
            doors: Doors::default(),
            questions: Places::for_questions(),
            uploads: Places::for_uploads(),
            storing: Semaphore::new(STORING),
            sending: Sending::default(),
            quota: Quota::default(),
            bounds: self.bounds,
            news: Notify::new(),
            due: Notify::new(),
            handing: self.handing,
            readers: Readers::new(self.reading.rate, self.reading.proxies.clone()),
            reading: self.reading,
            overall: Overall::default(),
            watching: Arc::new(Semaphore::new(WATCHING)),
            presence: Presence::default(),
            ending,
            counters: health::Counters::default(),
        });
        let ticking = tokio::spawn(running.clone().tick());
        let listening = tokio::spawn(running.clone().listen());
        let signing = tokio::spawn(running.clone().hand_in());
        let publishing = tokio::spawn(running.clone().publish());
        let warming = tokio::spawn(running.clone().warm());
        ready(address);
        let stopping = async move {
            stop.await;
            // Claims that wait are answered at once.
            let _ = end.send(true);
        };
        connections::serve(listener, api::router(running), stopping).await;
        ticking.abort();
        listening.abort();
        signing.abort();
        publishing.abort();
        warming.abort();
        Ok(())
    }
}

impl Running {
    /// Wakes waiting claims as soon as the database announces jobs, forever. `tick` finds what is not heard of.
    async fn listen(self: Arc<Self>) {
        loop {
            match self.queue.listen().await {
                Ok(Some(mut listener)) => {
                    while listener.heard().await.is_ok() {
                        self.news.notify_waiters();
                    }
                }
                Ok(None) => return,
                Err(_) => {}
            }
            tokio::time::sleep(LISTEN).await;
        }
    }

    /// Takes lost jobs back, and wakes waiting claims if a job is ready, forever.
    async fn tick(self: Arc<Self>) {
        let (mut blind, mut newest, mut tick) = (false, 0, 0_u32);
        loop {
            tokio::time::sleep(LOOK).await;
            // Jobs that a command of the operator adds come without a message.
            let found = self.queue.newest().await.unwrap_or(newest);
            if found != newest {
                newest = found;
                self.news.notify_waiters();
            }
            tick = tick.wrapping_add(1);
            if tick.is_multiple_of(ENDS) {
                self.end_leases().await;
            }
            if tick.is_multiple_of(UNNAMED) {
                self.remove_unnamed().await;
            }
            if !tick.is_multiple_of(LOOKS) {
                continue;
            }
            // While the database could not be reached, nobody could renew a lease in it.
            let reaped = if blind {
                self.queue.renew_all(self.lease).await.map(|_| 0)
            } else {
                self.queue.reap().await
            };
            blind = reaped.is_err();
            self.counters.database(!blind);
            if reaped.is_ok_and(|ready| ready > 0) {
                self.news.notify_waiters();
            }
        }
    }
}
