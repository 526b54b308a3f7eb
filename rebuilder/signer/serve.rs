//! The socket: who asks, what is answered, and which workers agree.
//!
//! Anything that many could use up is counted: connections in all and of each worker, strangers that are answered, bytes on
//! the disk, and time. Nothing that one worker does is waited for while another's turn is held.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::copies::{Budget, SnapshotFolder};
use super::outcomes::{Handing, Outcomes, Pace, held};
use super::snapshot::OpenedRun;
use super::wire::{request_line, send};
use super::{Admission, Door, Reply, Request, SignerError};
use crate::artifact::Sha256;
use crate::artifact::serialise::{self, SerialiseError};
use crate::attest::log::{Anchor, Event, Log};
use crate::attest::{
    Agreeing, AttestError, Attestor, Extra, Handed, Inventory, Signed, Signer, VerifiedRun, Vouched, Wanted,
    verify_digested,
};
use crate::error::with_causes;
use crate::policy::PolicyFile;
use crate::public_log::Publication;
use crate::run::Page;

/// Requests of one worker that are looked at side by side, and those that wait for their turn.
const AT_ONCE: usize = 2;
const IN_LINE: usize = 16;
/// Strangers that are answered side by side; any others are dropped unheard.
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
    /// Most bytes that the copies of one worker's runs may take.
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
        // Places are each worker's own, so that none can keep the others waiting.
        let places = self.workers.iter().map(|uid| {
            let (turns, line) = (Semaphore::new(AT_ONCE), Semaphore::new(IN_LINE));
            (*uid, (Arc::new(turns), Arc::new(line)))
        });
        let places: BTreeMap<u32, (Arc<Semaphore>, Arc<Semaphore>)> = places.collect();
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
            let Some((turns, line)) = places.get(&uid) else {
                // Who gets no answer because too many ask at once is told nothing that it does not know.
                if let Ok(place) = unheard.clone().try_acquire_owned() {
                    tokio::spawn(async move {
                        let _ = tokio::time::timeout(ASKING, running.turn_away(stream, uid)).await;
                        drop(place);
                    });
                }
                continue;
            };
            // Who hangs up, or finds the line full, can ask again.
            if let Ok(place) = line.clone().try_acquire_owned() {
                let turns = turns.clone();
                tokio::spawn(async move {
                    running.answer(stream, uid, turns).await;
                    drop(place);
                });
            }
        }
    }
}

impl RunningService {
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
        let mut run = String::new();
        let outcome = match asked {
            Err(_) => Err(SignerError::Request("it did not come in time".into())),
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
                            self.in_turn(request, uid, &worker, turns).await
                        }
                        Err(error) => Err(error),
                    }
                }
            },
        };
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error) => self.refuse(run.chars().take(512).collect(), &error, worker).await,
        };
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
                    return Err(wrong("named a worker that has no plain name"));
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

    /// Everything between the question and the key.
    async fn decide(
        self: &Arc<Self>,
        request: Request,
        uid: u32,
        worker: &str,
        turn: &Arc<OwnedSemaphorePermit>,
        until: Instant,
    ) -> Result<Reply, SignerError> {
        let service = &self.service;
        let Request { run, extras, .. } = request;
        let allowed = service.runs.clone();
        let mut opened = apart(turn, move || OpenedRun::open(&run, uid, &allowed, until)).await?;
        service.admission.record(&opened.record)?;
        let released = service
            .admission
            .released(&opened.plan, std::mem::take(&mut opened.documents))
            .await?;
        let released = Arc::new(released);
        let (this, known) = (self.clone(), released.clone());
        let (snapshot, examined) = apart(turn, move || {
            let budget = this.budgets.get(&uid).ok_or(SignerError::Stranger { uid })?;
            let size = |sha256| known.size(sha256);
            let snapshot = opened.outputs(size, this.scratch.path(), budget)?;
            let examined = verify_digested(&snapshot.digested, &snapshot.run(), this.service.page)?;
            Ok((snapshot, examined))
        })
        .await?;
        drop(snapshot);
        let mut vouched = service.admission.vouch(&examined, &released).await?;
        let (place, workers, otherwise) = self.submit(&examined, &vouched, worker).await?;
        if workers.len() < service.needed {
            return Ok(Reply::Waiting {
                agree: workers.len(),
                needed: service.needed,
                otherwise,
            });
        }
        let own = vouched.words(&examined.plan, &examined.record)?;
        let others = workers.iter().filter(|(name, _)| *name != worker);
        vouched.agreement = others
            .map(|(_, other)| Agreeing {
                plan: other.plan,
                differing: other.stated.as_ref().and_then(|other| own.differing(other)),
            })
            .collect();
        let workers = workers.into_keys().collect();
        let this = self.clone();
        let signed = apart(turn, move || {
            this.sign(&examined, vouched, workers, place, extras)
        })
        .await?;
        Ok(Reply::Signed(Box::new(signed)))
    }

    /// Writes a run down that may be signed, and counts it: gives its place in the log, the workers with the same outcome
    /// and what each handed in, and how many had another one.
    async fn submit(
        &self,
        examined: &VerifiedRun,
        vouched: &Vouched,
        worker: &str,
    ) -> Result<(Anchor, BTreeMap<String, Handing>, usize), SignerError> {
        let record = &examined.record;
        let (outcome, stated) = (outcome(examined)?, vouched.words(&examined.plan, record)?);
        self.not_replayed((worker.to_owned(), record.id.clone()), examined.digest)?;
        let listed = stated
            .values
            .iter()
            .flat_map(|(name, value)| [name.len(), value.len(), 8]);
        let length = listed
            .chain([record.subject.len(), 800])
            .fold(0, usize::saturating_add);
        if !self.allows(worker, length) {
            return Err(SignerError::Busy);
        }
        let event = Event::Submitted {
            run: record.id.clone(),
            subject: record.subject.clone(),
            plan: record.plan,
            record: examined.digest,
            outcome,
            worker: worker.to_owned(),
            stated: Some(stated.clone()),
        };
        let place = self.note(event).await?;
        // Counted after it is written down: a run that waits is not forgotten when the signer is ended.
        let handing = Handing {
            plan: record.plan,
            stated: Some(stated),
        };
        let mut outcomes = held(&self.outcomes);
        outcomes.add(&record.subject, outcome, worker, handing);
        let (workers, otherwise) = outcomes.of(&record.subject, outcome);
        Ok((place, workers, otherwise))
    }

    /// A run has one record: who hands in another one under its name tries something. The first one that comes takes the
    /// name.
    fn not_replayed(&self, name: (String, String), record: Sha256) -> Result<(), SignerError> {
        let id = name.1.clone();
        let known = *held(&self.outcomes).records.entry(name).or_insert(record);
        if known == record {
            Ok(())
        } else {
            Err(SignerError::Replayed { id })
        }
    }

    fn sign(
        &self,
        examined: &VerifiedRun,
        vouched: Vouched,
        workers: Vec<String>,
        place: Anchor,
        extras: BTreeSet<Extra>,
    ) -> Result<Signed, SignerError> {
        let service = &self.service;
        // Asked each time, so that a revocation holds from the next request on.
        Inventory::check_signer(&service.inventory, service.signer.as_ref(), Timestamp::now())
            .map_err(AttestError::from)?;
        let office = Attestor {
            signer: service.signer.as_ref(),
            builder_id: service.builder_id.clone(),
            host: service.host.clone(),
            log: &service.log,
            negatives: service.negatives,
            // The statement is what workers wait for; what has no word for it is left out.
            wanted: Wanted {
                extras,
                only_fitting: true,
            },
            again: false,
        };
        let handed = Handed {
            vouched,
            workers,
            place,
        };
        let signed = office.sign_handed(examined, handed)?;
        // The line is in the private log, so what cannot be shown now is shown with the next one.
        if let Some(Err(error)) = service
            .publication
            .as_ref()
            .map(|shown| shown.publish(office.signer))
        {
            (service.trouble)(&format!(
                "cannot publish what was signed: {}",
                with_causes(&error)
            ));
        }
        Ok(signed)
    }
}

/// Does work that waits or computes in a thread of its own, which holds the worker's turn until it is done.
async fn apart<T: Send + 'static>(
    turn: &Arc<OwnedSemaphorePermit>,
    work: impl FnOnce() -> Result<T, SignerError> + Send + 'static,
) -> Result<T, SignerError> {
    let turn = turn.clone();
    let work = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    work.await
        .map_err(|error| SignerError::Request(error.to_string()))?
}

/// What workers must agree on: the verdict, and the digest of every output.
fn outcome(examined: &VerifiedRun) -> Result<Sha256, SerialiseError> {
    let record = &examined.record;
    let mut outputs: Vec<_> = record
        .outputs
        .iter()
        .map(|output| (&output.name, output.rebuilt))
        .collect();
    outputs.sort();
    let all = (&record.subject, record.verdict.to_string(), outputs);
    serialise::canonical("the outcome", &all).map(Sha256::of)
}
