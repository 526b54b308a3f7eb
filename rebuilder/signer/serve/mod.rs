//! The socket: who asks, and what is answered.
//!
//! Anything that many could use up is counted: connections in all and of each worker, strangers that are answered, bytes on
//! the disk, and time. Nothing that one worker does is waited for while another's turn is held.

mod decide;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::copies::{Budget, SnapshotFolder};
use super::outcomes::{Outcomes, Pace, held};
use super::wire::{request_line, send};
use super::{Admission, Door, Reply, Request, SignerError};
use crate::attest::Signer;
use crate::attest::log::{Anchor, Event, Log};
use crate::error::with_causes;
use crate::policy::PolicyFile;
use crate::public_log::Publication;
use crate::run::Page;
use crate::telemetry::{self, TraceParent};

/// Requests of one worker that are looked at in parallel, and those that wait for their turn.
const AT_ONCE: usize = 2;
const IN_LINE: usize = 16;
/// Strangers that are answered in parallel; any others are dropped unheard.
const STRANGERS: usize = 8;
/// Strangers that are remembered.
const MOST_STRANGERS: usize = 1000;
/// How long one may take, how long a client may take to ask, and how long to take its answer.
const LONGEST: Duration = Duration::from_mins(30);
const ASKING: Duration = Duration::from_secs(10);
const ANSWERING: Duration = Duration::from_secs(10);
/// How long no one is let in after the machine had no handle, or no memory, for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// A signer that waits for workers.
pub struct Service {
    /// The key.
    pub signer: Box<dyn Signer>,
    /// `builder.id`.
    pub builder_id: Option<String>,
    /// The machine that builds, if it is to be told.
    pub host: Option<String>,
    /// Where everything is written down.
    pub log: PathBuf,
    /// Makes the page of a run again.
    pub page: Page,
    /// Which keys may sign.
    pub inventory: PathBuf,
    /// Users that may ask.
    pub workers: BTreeSet<u32>,
    /// Those of them that hand in the runs of others, and name the worker of each.
    pub relays: BTreeSet<u32>,
    /// Folders in which runs may be.
    pub runs: Vec<PathBuf>,
    /// Where copies are made.
    pub scratch: PathBuf,
    /// Who may open the socket.
    pub door: Door,
    /// Maximum number of bytes that the copies of one worker's runs may take.
    pub disk: u64,
    /// How many workers must have had the same outcome.
    pub needed: usize,
    /// What is asked of each run.
    pub admission: Admission,
    /// Whether runs that found no build are signed as what they are.
    pub negatives: bool,
    /// Where everything that is signed is shown to everyone, if it is.
    pub publication: Option<Publication>,
    /// Told what did not work and will be tried again.
    pub trouble: fn(&str),
}

/// A service that runs, and what it knows of earlier requests.
struct RunningService {
    service: Service,
    scratch: SnapshotFolder,
    budgets: BTreeMap<u32, Budget>,
    outcomes: Mutex<Outcomes>,
    /// When each stranger was last written down.
    strangers: Mutex<BTreeMap<u32, Instant>>,
    /// How much each worker has put into the log of late.
    paces: Mutex<BTreeMap<String, Pace>>,
}

/// One worker's own place, so that none can keep the others waiting.
struct Place {
    /// Requests that are looked at.
    turns: Arc<Semaphore>,
    /// Requests that wait, or are looked at.
    line: Arc<Semaphore>,
}

impl Place {
    fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            line: Arc::new(Semaphore::new(IN_LINE)),
        }
    }
}

impl Service {
    /// Waits for workers on `socket` until it is dropped; calls `ready` once it listens.
    pub async fn serve(self, socket: &Path, ready: impl FnOnce()) -> Result<(), SignerError> {
        // A log that a crash left with half a line is made whole before anyone reads it.
        let policy = self.admission.case.policy.file().map(PolicyFile::digest);
        let key = self.signer.name();
        Log::open(&self.log)?.append(Event::Started { key, policy }, Timestamp::now())?;
        // What a killed service signed and did not show is shown now, and a log that cannot be written is found out.
        if let Some(publication) = &self.publication {
            tokio::task::block_in_place(|| publication.publish(self.signer.as_ref()))?;
        }
        let outcomes = Outcomes::read(&self.log)?;
        let scratch = SnapshotFolder::below(&self.scratch)?;
        let (listener, _held) = self.listen(socket)?;
        ready();
        let places: BTreeMap<u32, Place> = self.workers.iter().map(|uid| (*uid, Place::new())).collect();
        let unheard = Arc::new(Semaphore::new(STRANGERS));
        let budgets = self.workers.iter().map(|uid| (*uid, Budget::new(self.disk)));
        let running = Arc::new(RunningService {
            budgets: budgets.collect(),
            service: self,
            scratch,
            outcomes: Mutex::new(outcomes),
            strangers: Mutex::new(BTreeMap::new()),
            paces: Mutex::new(BTreeMap::new()),
        });
        loop {
            // Out of handles or memory, or a client that has gone: neither ends the service.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let Ok(uid) = stream.peer_cred().map(|who| who.uid()) else {
                continue;
            };
            let running = running.clone();
            if let Some(place) = places.get(&uid) {
                running.let_in(stream, uid, place);
            } else if let Ok(place) = unheard.clone().try_acquire_owned() {
                // Who gets no answer because too many ask at once is told nothing that it does not know.
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(ASKING, running.turn_away(stream, uid)).await;
                    drop(place);
                });
            }
        }
    }
}

impl RunningService {
    /// Answers a worker, if its line is not full; who finds it full, or hangs up, can ask again.
    fn let_in(self: Arc<Self>, stream: UnixStream, uid: u32, place: &Place) {
        let Ok(waiting) = place.line.clone().try_acquire_owned() else {
            return;
        };
        let turns = place.turns.clone();
        tokio::spawn(async move {
            self.answer(stream, uid, turns).await;
            drop(waiting);
        });
    }

    /// Refuses a user who is not a worker; written down once a minute, so that no one can fill the log.
    async fn turn_away(&self, mut stream: UnixStream, uid: u32) -> std::io::Result<()> {
        const AGAIN: Duration = Duration::from_mins(1);
        // What was sent and not read would make the kernel take the answer back.
        request_line(&mut stream).await?;
        let error = SignerError::Stranger { uid };
        let silent = {
            let mut strangers = held(&self.strangers);
            let silent = strangers.get(&uid).is_some_and(|last| last.elapsed() < AGAIN)
                || strangers.len() > MOST_STRANGERS;
            if !silent {
                strangers.insert(uid, Instant::now());
            }
            silent
        };
        let reply = if silent {
            Reply::Refused {
                reason: error.to_string(),
            }
        } else {
            self.refuse(String::new(), &error, format!("uid {uid}")).await
        };
        send(&mut stream, &reply).await
    }

    /// Writes something down; the log may be in use, and the disk slow.
    async fn note(&self, event: Event) -> Result<Anchor, SignerError> {
        let log = self.service.log.clone();
        let noted = tokio::task::spawn_blocking(move || {
            let mut log = Log::open(&log)?;
            let place = log.anchor();
            log.append(event, Timestamp::now())?;
            Ok::<_, SignerError>(place)
        });
        noted
            .await
            .map_err(|error| SignerError::Request(error.to_string()))?
    }

    /// Whether a worker may put another line of about so many bytes into the log.
    fn allows(&self, worker: &str, bytes: usize) -> bool {
        let mut paces = held(&self.paces);
        let pace = paces.entry(worker.to_owned()).or_insert_with(Pace::new);
        pace.allows(bytes)
    }

    /// Writes a refusal down.
    async fn refuse(&self, run: String, error: &SignerError, worker: String) -> Reply {
        let reason = with_causes(error);
        let length = run
            .len()
            .saturating_add(reason.len().min(4096))
            .saturating_add(300);
        if !self.allows(&worker, length) {
            return Reply::Refused { reason };
        }
        let event = Event::Refused {
            run,
            reason: reason.clone(),
            worker,
        };
        match self.note(event).await {
            Ok(_) => Reply::Refused { reason },
            Err(error) => Reply::Refused {
                reason: with_causes(&error),
            },
        }
    }

    async fn answer(self: Arc<Self>, mut stream: UnixStream, uid: u32, turns: Arc<Semaphore>) {
        let mut worker = format!("uid {uid}");
        let asked = tokio::time::timeout(ASKING, request_line(&mut stream)).await;
        let (mut run, mut span) = (String::new(), tracing::Span::none());
        let outcome = match asked {
            Err(_) => Err(SignerError::Request("it did not arrive in time".into())),
            Ok(Err(error)) => Err(SignerError::Request(error.to_string())),
            Ok(Ok(line)) => match serde_json::from_slice::<Request>(&line) {
                Err(error) => Err(SignerError::Request(error.to_string())),
                Ok(request) if request.version != 1 => Err(SignerError::Request(format!(
                    "its version is {}",
                    request.version
                ))),
                Ok(request) => {
                    run = request.run.display().to_string();
                    match self.worker_of(&request, uid) {
                        Ok(name) => {
                            worker = name;
                            let trace = request.trace.as_deref().and_then(TraceParent::parse);
                            span = tracing::info_span!(parent: None, "sign", worker, run, said = Empty);
                            telemetry::adopt(&span, trace);
                            let answered = self.in_turn(request, uid, &worker, turns);
                            answered.instrument(span.clone()).await
                        }
                        Err(error) => Err(error),
                    }
                }
            },
        };
        if let Err(error) = &outcome {
            let reason = with_causes(error);
            span.in_scope(|| tracing::warn!(reason, "refused a run"));
        }
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error) => self.refuse(run.chars().take(512).collect(), &error, worker).await,
        };
        span.record("said", reply.word());
        span.in_scope(|| tracing::info!("answered"));
        // A client that does not take its answer can ask again.
        let _ = tokio::time::timeout(ANSWERING, send(&mut stream, &reply)).await;
    }

    /// Whose run it is: the user's who asks, or that of the worker whom a relay names. A user who is not a relay speaks for
    /// nobody else, and a relay builds nothing itself.
    fn worker_of(&self, request: &Request, uid: u32) -> Result<String, SignerError> {
        let wrong = |wrong| SignerError::Relay { uid, wrong };
        match (&request.worker, self.service.relays.contains(&uid)) {
            (None, false) => Ok(format!("uid {uid}")),
            (None, true) => Err(wrong("relays runs of workers, but did not name the worker")),
            (Some(_), false) => Err(wrong("may not hand in the runs of other workers")),
            (Some(name), true) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                    return Err(wrong("named a worker whose name is not plain"));
                }
                Ok(format!("uid {uid} for {name}"))
            }
        }
    }

    /// Looks at a run when it is the worker's turn. The turn ends with the work and not with the patience: what goes on
    /// in a thread still counts.
    async fn in_turn(
        self: &Arc<Self>,
        request: Request,
        uid: u32,
        worker: &str,
        turns: Arc<Semaphore>,
    ) -> Result<Reply, SignerError> {
        let late = || SignerError::Request(format!("it took longer than {} seconds", LONGEST.as_secs()));
        let closed = |error: tokio::sync::AcquireError| SignerError::Request(error.to_string());
        let until = Instant::now().checked_add(LONGEST).ok_or_else(late)?;
        let turn = tokio::time::timeout(LONGEST, turns.acquire_owned()).await;
        let turn = Arc::new(turn.map_err(|_| late())?.map_err(closed)?);
        let decided =
            tokio::time::timeout_at(until.into(), self.decide(request, uid, worker, &turn, until)).await;
        decided.map_err(|_| late())?
    }
}
