//! The socket: who asks, what is answered, and which workers agree.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};

use super::snapshot::Snapshot;
use super::{Questioner, REQUEST, Reply, Request, SignerError};
use crate::artifact::Sha256;
use crate::attest::log::{Event, Log};
use crate::attest::{AttestError, Examined, Inventory, Office, Signer, examine};
use crate::policy::PolicyFile;
use crate::report::with_causes;

/// Requests of one worker that are looked at side by side.
const AT_ONCE: usize = 2;
/// Strangers that are remembered.
const MOST_STRANGERS: usize = 1000;
/// How long one may take, and how long a client may take to ask.
const LONGEST: Duration = Duration::from_secs(1800);
const ASKING: Duration = Duration::from_secs(10);

/// A signer that waits for workers.
pub struct Service {
    /// The key.
    pub signer: Box<dyn Signer>,
    /// `builder.id`.
    pub builder_id: Option<String>,
    /// The machine that builds, where it is to be told.
    pub host: Option<String>,
    /// Where everything is written down.
    pub log: PathBuf,
    /// Which keys may sign.
    pub inventory: PathBuf,
    /// Users that may ask.
    pub workers: BTreeSet<u32>,
    /// Folders in which runs may lie.
    pub runs: Vec<PathBuf>,
    /// Where copies are made.
    pub scratch: PathBuf,
    /// How many workers must have had the same outcome.
    pub needed: usize,
    /// What is asked of each run.
    pub questioner: Questioner,
}

/// A service that runs, and what it knows of earlier requests.
struct Running {
    service: Service,
    outcomes: Mutex<Outcomes>,
    /// When each stranger was last written down.
    strangers: Mutex<BTreeMap<u32, Instant>>,
}

/// For each subject, the outcomes and the workers that had them; and the record of each
/// worker's runs.
#[derive(Default)]
struct Outcomes {
    by_subject: BTreeMap<String, BTreeMap<Sha256, BTreeSet<String>>>,
    records: BTreeMap<(String, String), Sha256>,
}

impl Outcomes {
    /// What the log says of earlier requests.
    fn read(log: &Path) -> Result<Self, SignerError> {
        let mut outcomes = Self::default();
        if log.exists() {
            Log::each(log, |line| match line.event {
                Event::Submitted {
                    run,
                    subject,
                    record,
                    outcome,
                    worker,
                    ..
                } => {
                    outcomes.add(&subject, outcome, &worker);
                    outcomes.records.insert((worker, run), record);
                }
                Event::Signed { .. } | Event::Refused { .. } | Event::Started { .. } => {}
            })?;
        }
        Ok(outcomes)
    }

    fn add(&mut self, subject: &str, outcome: Sha256, worker: &str) {
        let outcomes = self.by_subject.entry(subject.to_owned()).or_default();
        outcomes.entry(outcome).or_default().insert(worker.to_owned());
    }

    /// Workers with this outcome, and how many had another one.
    fn of(&self, subject: &str, outcome: Sha256) -> (Vec<String>, usize) {
        let Some(outcomes) = self.by_subject.get(subject) else {
            return (Vec::new(), 0);
        };
        let same = outcomes.get(&outcome).into_iter().flatten().cloned().collect();
        let others = outcomes.iter().filter(|(other, _)| **other != outcome);
        (same, others.map(|(_, workers)| workers.len()).sum())
    }
}

impl Service {
    /// Waits for workers on `socket` until it is dropped; calls `ready` once it listens.
    pub async fn serve(self, socket: &Path, ready: impl FnOnce()) -> Result<(), SignerError> {
        let at = |source| SignerError::Socket {
            path: socket.to_owned(),
            source,
        };
        let outcomes = Outcomes::read(&self.log)?;
        let policy = self.questioner.case.policy.file().map(PolicyFile::digest);
        let key = self.signer.name();
        Log::open(&self.log)?.append(Event::Started { key, policy }, Timestamp::now())?;
        // A socket may be left behind by a killed service; a living one holds its lock.
        let lock = std::fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(socket.with_extension("lock"))
            .map_err(at)?;
        let _held = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| at(error.into()))?;
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        let listener = UnixListener::bind(socket).map_err(at)?;
        // Anyone may knock: who it is decides, and that the kernel tells.
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666)).map_err(at)?;
        ready();
        // Places are each worker's own, so that none can keep the others waiting.
        let places = self
            .workers
            .iter()
            .map(|uid| (*uid, Arc::new(Semaphore::new(AT_ONCE))));
        let places: BTreeMap<u32, Arc<Semaphore>> = places.collect();
        let running = Arc::new(Running {
            service: self,
            outcomes: Mutex::new(outcomes),
            strangers: Mutex::new(BTreeMap::new()),
        });
        loop {
            let (stream, _) = listener.accept().await.map_err(at)?;
            let Ok(uid) = stream.peer_cred().map(|who| who.uid()) else {
                continue;
            };
            let running = running.clone();
            match places.get(&uid).map(|places| places.clone().try_acquire_owned()) {
                // Who gets no answer, because all places are taken or the client hangs up, can ask again.
                Some(Err(_)) => {}
                Some(Ok(place)) => drop(tokio::spawn(async move {
                    let _ = tokio::time::timeout(LONGEST, running.answer(stream, uid)).await;
                    drop(place);
                })),
                None => drop(tokio::spawn(async move {
                    let _ = tokio::time::timeout(ASKING, running.turn_away(stream, uid)).await;
                })),
            }
        }
    }
}

impl Running {
    /// Refuses someone who is no worker; written down once a minute, so that nobody can fill the log.
    async fn turn_away(&self, mut stream: UnixStream, uid: u32) -> std::io::Result<()> {
        const AGAIN: Duration = Duration::from_secs(60);
        // What was sent and not read would make the kernel take the answer back.
        question(&mut stream).await?;
        let mut strangers = self.strangers.lock().await;
        let silent = strangers.get(&uid).is_some_and(|last| last.elapsed() < AGAIN);
        let error = SignerError::Stranger { uid };
        let reply = if silent || strangers.len() > MOST_STRANGERS {
            Reply::Refused {
                reason: error.to_string(),
            }
        } else {
            strangers.insert(uid, Instant::now());
            self.refuse(String::new(), &error, format!("uid {uid}"))
        };
        drop(strangers);
        send(&mut stream, &reply).await
    }

    /// Writes a refusal down.
    fn refuse(&self, run: String, error: &SignerError, worker: String) -> Reply {
        let reason = with_causes(error);
        let event = Event::Refused {
            run,
            reason: reason.clone(),
            worker,
        };
        let noted = Log::open(&self.service.log).and_then(|mut log| log.append(event, Timestamp::now()));
        match noted {
            Ok(()) => Reply::Refused { reason },
            Err(error) => Reply::Refused {
                reason: with_causes(&SignerError::Log(error)),
            },
        }
    }

    async fn answer(&self, mut stream: UnixStream, uid: u32) -> std::io::Result<()> {
        let worker = format!("uid {uid}");
        let asked = tokio::time::timeout(ASKING, question(&mut stream)).await;
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
                    self.decide(&request.run, uid, &worker).await
                }
            },
        };
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error) => self.refuse(run.chars().take(512).collect(), &error, worker),
        };
        send(&mut stream, &reply).await
    }

    /// Everything between the question and the key.
    async fn decide(&self, run: &Path, uid: u32, worker: &str) -> Result<Reply, SignerError> {
        let service = &self.service;
        let (path, allowed, scratch) = (run.to_owned(), service.runs.clone(), service.scratch.clone());
        let examined = tokio::task::spawn_blocking(move || {
            let copy = Snapshot::take(&path, uid, &allowed, &scratch)?;
            let examined = examine(&copy.run())?;
            Ok::<_, SignerError>((copy, examined))
        });
        let (copy, examined) = examined
            .await
            .map_err(|error| SignerError::Request(error.to_string()))??;
        service.questioner.ask(&examined, &copy.run()).await?;
        drop(copy);
        let record = &examined.record;
        let outcome = outcome(&examined);
        // From here on one after the other: two requests must not both be the last that was missing.
        let mut outcomes = self.outcomes.lock().await;
        let name = (worker.to_owned(), record.id.clone());
        match outcomes.records.get(&name) {
            Some(known) if *known != examined.digest => return Err(SignerError::Replayed { id: name.1 }),
            _ => {}
        }
        let event = Event::Submitted {
            run: record.id.clone(),
            subject: record.subject.clone(),
            plan: record.plan,
            record: examined.digest,
            outcome,
            worker: worker.to_owned(),
        };
        Log::open(&service.log)?.append(event, Timestamp::now())?;
        outcomes.records.insert(name, examined.digest);
        outcomes.add(&record.subject, outcome, worker);
        let (workers, otherwise) = outcomes.of(&record.subject, outcome);
        if workers.len() < service.needed {
            return Ok(Reply::Waiting {
                agree: workers.len(),
                needed: service.needed,
                otherwise,
            });
        }
        self.sign(&examined, &workers)
            .map(|signed| Reply::Signed(Box::new(signed)))
    }

    fn sign(&self, examined: &Examined, workers: &[String]) -> Result<crate::attest::Signed, SignerError> {
        let service = &self.service;
        // Asked each time, so that a revocation holds from the next request on.
        Inventory::check_signer(&service.inventory, service.signer.as_ref(), Timestamp::now())
            .map_err(AttestError::from)?;
        let office = Office {
            signer: service.signer.as_ref(),
            builder_id: service.builder_id.clone(),
            host: service.host.clone(),
            log: &service.log,
        };
        Ok(tokio::task::block_in_place(|| office.sign(examined, workers))?)
    }
}

/// One line, of bounded length.
async fn question(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream.take(REQUEST))
        .read_until(b'\n', &mut line)
        .await?;
    Ok(line)
}

async fn send(stream: &mut UnixStream, reply: &Reply) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(reply).unwrap_or_default();
    text.push(b'\n');
    stream.write_all(&text).await?;
    stream.shutdown().await
}

/// What workers must agree on: the verdict, and the digest of everything that came out.
fn outcome(examined: &Examined) -> Sha256 {
    let record = &examined.record;
    let mut outputs: Vec<_> = record
        .outputs
        .iter()
        .map(|output| (&output.name, output.rebuilt))
        .collect();
    outputs.sort();
    let all = (&record.subject, record.verdict.to_string(), outputs);
    Sha256::of(serde_jcs::to_vec(&all).unwrap_or_default())
}

/// Asks a signer about a run.
pub async fn ask(socket: &Path, run: &Path) -> Result<Reply, SignerError> {
    let at = |source| SignerError::Socket {
        path: socket.to_owned(),
        source,
    };
    let run = run.canonicalize().map_err(at)?;
    let mut stream = UnixStream::connect(socket).await.map_err(at)?;
    let mut text = serde_json::to_vec(&Request { version: 1, run }).unwrap_or_default();
    text.push(b'\n');
    stream.write_all(&text).await.map_err(at)?;
    let mut reply = Vec::new();
    stream
        .take(crate::evidence::json::SIZE_LIMIT)
        .read_to_end(&mut reply)
        .await
        .map_err(at)?;
    serde_json::from_slice(&reply)
        .map_err(|error| SignerError::Request(format!("the answer is none: {error}")))
}
