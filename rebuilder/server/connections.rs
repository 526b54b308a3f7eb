//! Connections: each has limited time for a request's head. If there are too many, idle ones are closed first.
//!
//! A proxy's connections all come from one address, so addresses do not have a fixed share. The server closes the
//! connection that has been idle for the longest time, of the address with the most connections.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::readers::Peer;

/// How long a connection may take for the head of a request; one without a request ends after this time too.
const HEAD: Duration = Duration::from_secs(30);
/// Maximum length of a head, in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// How long running requests may continue when the server ends.
const GRACE: Duration = Duration::from_secs(10);
/// Maximum number of connections, whatever the limit on open files.
const MOST: u64 = 10_000;

struct Open {
    address: IpAddr,
    /// Requests that are being answered.
    busy: Arc<AtomicUsize>,
    /// When the last one arrived, in milliseconds since the server started.
    last: Arc<AtomicU64>,
    end: CancellationToken,
}

/// The connections that are open.
struct Connections {
    most: usize,
    begun: Instant,
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Open>>,
}

/// Raises the limit on open files as far as this process may. Returns how many connections this allows.
fn room() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    // What may not be raised is enough for fewer connections.
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    let files = if raised { hard } else { soft };
    // The others are for the database, artifacts and logs.
    usize::try_from((files / 4).saturating_mul(3).min(MOST)).unwrap_or(usize::MAX)
}

/// Answers until `stop` is ready, and then finishes the requests that have begun.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let connections = Arc::new(Connections::new(room()));
    let closing = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let router = router.clone();
                    let entry = connections.enter(peer.ip());
                    if let Some((number, end)) = entry {
                        tasks.spawn(connections.clone().answer(number, end, stream, router, closing.clone()));
                    }
                }
                // No handle is free, or the peer is gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
    drop(listener);
    closing.cancel();
    let all = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all).await;
}

impl Connections {
    fn new(most: usize) -> Self {
        Self {
            most,
            begun: Instant::now(),
            next: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A place for a connection, for which another one may be closed; `None` if all are busy.
    fn enter(&self, address: IpAddr) -> Option<(u64, CancellationToken)> {
        let mut open = self.open();
        if open.len() >= self.most {
            let mut crowds: HashMap<IpAddr, usize> = HashMap::new();
            for each in open.values() {
                let crowd = crowds.entry(each.address).or_default();
                *crowd = crowd.saturating_add(1);
            }
            let idle = open.iter().filter(|(_, each)| each.busy.load(Relaxed) == 0);
            let first = idle.max_by_key(|(_, each)| {
                (
                    crowds.get(&each.address),
                    std::cmp::Reverse(each.last.load(Relaxed)),
                )
            });
            let first = *first?.0;
            open.remove(&first)?.end.cancel();
        }
        let number = self.next.fetch_add(1, Relaxed);
        let end = CancellationToken::new();
        let entry = Open {
            address,
            busy: Arc::default(),
            last: Arc::new(AtomicU64::new(self.now())),
            end: end.clone(),
        };
        open.insert(number, entry);
        Some((number, end))
    }

    async fn answer(
        self: Arc<Self>,
        number: u64,
        end: CancellationToken,
        stream: TcpStream,
        router: Router,
        closing: CancellationToken,
    ) {
        let Some((busy, last, address)) = self
            .open()
            .get(&number)
            .map(|entry| (entry.busy.clone(), entry.last.clone(), entry.address))
        else {
            return;
        };
        let _leaving = Leaving(&self, number);
        // Answers are small, and workers wait for them.
        let _ = stream.set_nodelay(true);
        let routes = TowerToHyperService::new(router);
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            let running = Busy::new(busy.clone());
            last.store(self.now(), Relaxed);
            request.extensions_mut().insert(Peer(address));
            let answer = routes.call(request);
            async move {
                let answer = answer.await;
                drop(running);
                answer
            }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let mut is_closing = false;
        loop {
            tokio::select! {
                // How a connection ends is its peer's affair.
                _ = connection.as_mut() => return,
                () = end.cancelled() => return,
                () = closing.cancelled(), if !is_closing => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Counts a request until it is answered or dropped.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn new(busy: Arc<AtomicUsize>) -> Self {
        busy.fetch_add(1, Relaxed);
        Self(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

struct Leaving<'a>(&'a Connections, u64);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.open().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn of_the_largest_crowd_the_one_goes_that_asked_for_nothing_for_the_longest_time() {
        let connections = Connections::new(4);
        let (crowd, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let old = connections.enter(other).unwrap();
        let entered: Vec<_> = (0..3).map(|_| connections.enter(crowd).unwrap()).collect();
        let numbers = || connections.open().keys().copied().collect::<Vec<_>>();
        let set = |number: u64, busy, last| {
            let open = connections.open();
            let entry = open.get(&number).unwrap();
            entry.busy.store(busy, Relaxed);
            entry.last.store(last, Relaxed);
        };
        set(old.0, 0, 0);
        // The first of the crowd is busy, the second asked lately.
        for (number, busy, last) in [(1, 1, 1), (2, 0, 9), (3, 0, 5)] {
            set(number, busy, last);
        }
        connections.enter(other).unwrap();
        assert_eq!(numbers(), [0, 1, 2, 4]);
        assert!(entered[2].1.is_cancelled() && !entered[0].1.is_cancelled());
        for number in numbers() {
            set(number, 1, 0);
        }
        assert!(connections.enter(other).is_none());
    }
}
