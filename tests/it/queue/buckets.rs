//! Artifacts in a bucket that fails: one of our own, which speaks S3 and breaks in every way that a network has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::hostile::Peer;
use super::service::{Service, end, wait_until};
use crate::common::{self, NETWORK, SANDBOX, needs};
use crate::reading::seed;

/// What a bucket does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    None,
    /// Answers with this status, and does nothing.
    Status(u16),
    /// Reads a part of the request, and closes the connection.
    CutRequest,
    /// Does what is asked, and closes the connection before it says so.
    CutAnswer,
    /// Sends a part of what is asked for, and closes the connection.
    HalfAnswer,
    /// Takes the request, and says nothing for longer than anyone waits.
    Stall,
}

#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    /// Parts of uploads that are not complete.
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    next: u64,
    seen: BTreeMap<Fault, usize>,
}

type Chooses = dyn Fn() -> Fault + Send + Sync;

/// A bucket.
struct Bucket {
    port: u16,
    kept: Arc<Mutex<Kept>>,
    fault: Arc<Mutex<Box<Chooses>>>,
}

/// A request: method, path, query, headers in lower case, and the body.
struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    head: String,
    body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    }
}

impl Bucket {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let bucket = Self {
            port,
            kept: Arc::default(),
            fault: Arc::new(Mutex::new(Box::new(|| Fault::None))),
        };
        let (kept, fault) = (bucket.kept.clone(), bucket.fault.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, fault) = (kept.clone(), fault.clone());
                std::thread::spawn(move || while serve(&stream, &kept, &fault).is_some() {});
            }
        });
        bucket
    }

    fn breaks(&self, how: impl Fn() -> Fault + Send + Sync + 'static) {
        *self.fault.lock().unwrap() = Box::new(how);
    }

    fn server(&self, lease: &'static str) -> Service {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let variables = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "tests"),
            ("AWS_SECRET_ACCESS_KEY", "tests-secret"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ALLOW_HTTP", "true"),
            // Of the client; a test does not wait for half a minute.
            ("AWS_TIMEOUT", "2s"),
        ];
        Service::start_in(&variables, lease, &["--artifacts", "s3://artifacts/prefix"])
    }

    /// What is wrong with what is kept: an object that is not what its name says, or parts that nobody joins.
    fn wrong(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let mut wrong: Vec<String> = Vec::new();
        for (name, bytes) in &kept.objects {
            if !name.ends_with(&Sha256::of(bytes).to_hex()) {
                wrong.push(format!("{name} has {} other bytes", bytes.len()));
            }
        }
        wrong
    }
}

/// One request of a connection; `None` if the connection is at its end.
fn serve(stream: &TcpStream, kept: &Mutex<Kept>, fault: &Mutex<Box<Chooses>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let begun = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[begun..].trim().is_empty() {
            break;
        }
    }
    let line = head.lines().next()?.to_owned();
    let lower = head.to_lowercase();
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut asked = Asked {
        method,
        path: path.to_owned(),
        query: pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        head: lower,
        body: Vec::new(),
    };
    let length: usize = asked
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let fault = fault.lock().unwrap()();
    *kept.lock().unwrap().seen.entry(fault).or_default() += 1;
    if fault == Fault::CutRequest {
        let mut half = vec![0; length / 2];
        let _ = reader.read_exact(&mut half);
        return None;
    }
    asked.body = vec![0; length];
    reader.read_exact(&mut asked.body).ok()?;
    let (status, headers, body) = match fault {
        Fault::Stall => {
            std::thread::sleep(Duration::from_secs(4));
            return None;
        }
        Fault::Status(status) => (
            status,
            Vec::new(),
            b"<Error><Code>SlowDown</Code></Error>".to_vec(),
        ),
        _ => answer(&asked, &mut kept.lock().unwrap()),
    };
    if fault == Fault::CutAnswer {
        return None;
    }
    let mut answer = format!("HTTP/1.1 {status} Answer\r\n");
    for (name, value) in headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    if asked.method != "HEAD" {
        answer.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    answer.push_str("\r\n");
    let mut to = stream;
    to.write_all(answer.as_bytes()).ok()?;
    if asked.method == "HEAD" {
        return Some(());
    }
    if fault == Fault::HalfAnswer {
        let _ = to.write_all(&body[..body.len() / 2]);
        return None;
    }
    to.write_all(&body).ok()
}

type Said = (u16, Vec<(&'static str, String)>, Vec<u8>);

fn etag(bytes: &[u8]) -> (&'static str, String) {
    ("etag", format!("\"{}\"", Sha256::of(bytes).to_hex()))
}

/// What S3 says, as far as it is asked here.
fn answer(asked: &Asked, kept: &mut Kept) -> Said {
    const DATE: (&str, &str) = ("last-modified", "Thu, 26 Nov 2026 12:00:00 GMT");
    let date = || (DATE.0, DATE.1.to_owned());
    let gone = || (404, Vec::new(), b"<Error><Code>NoSuchKey</Code></Error>".to_vec());
    let upload = asked.query.get("uploadId").cloned();
    match (asked.method.as_str(), upload) {
        ("HEAD" | "GET", _) => {
            let Some(bytes) = kept.objects.get(&asked.path) else {
                return gone();
            };
            let whole = bytes.len();
            let range = asked
                .header("range")
                .and_then(|range| range.strip_prefix("bytes="));
            let from: usize = range
                .and_then(|range| range.split('-').next()?.parse().ok())
                .unwrap_or(0);
            let mut headers = vec![etag(bytes), date()];
            if asked.method == "HEAD" {
                headers.push(("content-length", whole.to_string()));
                return (200, headers, Vec::new());
            }
            if range.is_some() {
                headers.push(("content-range", format!("bytes {from}-{}/{whole}", whole - 1)));
                return (206, headers, bytes[from..].to_vec());
            }
            (200, headers, bytes.clone())
        }
        ("POST", None) if asked.query.contains_key("uploads") => {
            kept.next += 1;
            let id = format!("upload-{}", kept.next);
            kept.uploads.insert(id.clone(), BTreeMap::new());
            let said = format!(
                "<InitiateMultipartUploadResult><Bucket>artifacts</Bucket><Key>k</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            (200, Vec::new(), said.into_bytes())
        }
        ("PUT", Some(id)) => {
            let Some(parts) = kept.uploads.get_mut(&id) else {
                return gone();
            };
            parts.insert(asked.query["partNumber"].parse().unwrap(), asked.body.clone());
            (200, vec![etag(&asked.body)], Vec::new())
        }
        ("POST", Some(id)) => {
            let Some(parts) = kept.uploads.remove(&id) else {
                return gone();
            };
            let bytes: Vec<u8> = parts.into_values().flatten().collect();
            let tag = etag(&bytes).1;
            kept.objects.insert(asked.path.clone(), bytes);
            let said = format!(
                "<CompleteMultipartUploadResult><Location>l</Location><Bucket>artifacts</Bucket><Key>k</Key><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
            );
            (200, Vec::new(), said.into_bytes())
        }
        ("DELETE", Some(id)) => {
            kept.uploads.remove(&id);
            (204, Vec::new(), Vec::new())
        }
        ("PUT", None) => {
            if asked.header("if-none-match") == Some("*") && kept.objects.contains_key(&asked.path) {
                return (
                    412,
                    Vec::new(),
                    b"<Error><Code>PreconditionFailed</Code></Error>".to_vec(),
                );
            }
            kept.objects.insert(asked.path.clone(), asked.body.clone());
            (200, vec![etag(&asked.body)], Vec::new())
        }
        other => panic!("a bucket was asked for {} {other:?}", asked.path),
    }
}

const FAULTS: [Fault; 6] = [
    Fault::Status(500),
    Fault::Status(503),
    Fault::CutRequest,
    Fault::CutAnswer,
    Fault::HalfAnswer,
    Fault::Stall,
];

/// A run whose largest file does not fit into one request: paths and bytes.
fn run(number: u8) -> Vec<(String, Vec<u8>)> {
    let (name, version) = (format!("p{number}"), "1-1");
    let told = seed::Told {
        name: &name,
        version,
        files: &[(&name, "amd64", true)],
        declared: true,
        failed: None,
    };
    let plan = seed::plan(&told);
    let record = seed::record(&told, &plan);
    let large: Vec<u8> = (0..20_u32 << 20)
        .map(|at| (at >> 4).to_le_bytes()[0] ^ number)
        .collect();
    vec![
        ("plan.json".into(), serde_json::to_vec(&plan).unwrap()),
        ("record.json".into(), serde_json::to_vec(&record).unwrap()),
        ("build.log".into(), seed::LOG.repeat(20).into_bytes()),
        ("rebuilt/large".into(), large),
    ]
}

/// Hands a run in as a worker does: what is not taken is sent again, for as long as it takes.
fn hand_in(service: &Service, peer: &Peer<'_>, lease: &Value, path: &str, files: &[(String, Vec<u8>)]) {
    let begun = Instant::now();
    let limit = Duration::from_mins(4);
    let held = json!({"held": [lease]});
    for (_, bytes) in files {
        while peer.put(path, bytes) != 200 {
            assert!(
                begun.elapsed() < limit,
                "an artifact is not taken: {}",
                service.server_log()
            );
            peer.ask("heartbeat", &held);
        }
        peer.ask("heartbeat", &held);
    }
    let list: Vec<Value> = files
        .iter()
        .map(|(path, bytes)| json!({"path": path, "sha256": Sha256::of(bytes), "size": bytes.len()}))
        .collect();
    let outcome = json!({"ended": "run", "files": list});
    let result = json!({"job": lease["job"], "attempt": lease["attempt"], "outcome": outcome});
    loop {
        let (status, said) = peer.ask("results", &json!({"results": [result]}));
        if status == 200 {
            assert_eq!(said["taken"], json!([lease]), "{said}");
            return;
        }
        assert!(begun.elapsed() < limit, "a result is not taken: {status} {said}");
        peer.ask("heartbeat", &held);
    }
}

#[apply(test)]
fn a_bucket_that_fails_loses_no_run_and_keeps_no_half_of_one() {
    let bucket = Bucket::start();
    let mut service = bucket.server("60");
    let jobs: Vec<u8> = (0..4).collect();
    for number in &jobs {
        service.operator(&["queue", "add", &format!("deb:p{number}=1-1")]);
    }
    let random = Mutex::new(fastrand::Rng::with_seed(7));
    bucket.breaks(move || {
        let mut random = random.lock().unwrap();
        if random.u8(0..100) < 55 {
            Fault::None
        } else {
            random.choice(FAULTS).unwrap()
        }
    });
    let peer = Peer::new(&service, "one");
    for number in &jobs {
        let (lease, path) = peer.claim();
        hand_in(&service, &peer, &lease, &path, &run(*number));
        assert_eq!(bucket.wrong(), [] as [String; 0]);
    }
    let seen = bucket.kept.lock().unwrap().seen.clone();
    println!("{seen:?}");
    let all: BTreeSet<Fault> = FAULTS.into_iter().chain([Fault::None]).collect();
    assert!(seen.keys().copied().collect::<BTreeSet<_>>() == all, "{seen:?}");
    let status = service.operator(&["queue", "status"]);
    assert_eq!(status["jobs"], json!({"done": 4}));
    assert_eq!(status["verdicts"], json!({"reproduced": 4}));

    // Every file of every run is there, whole.
    bucket.breaks(|| Fault::None);
    let kept = bucket.kept.lock().unwrap().objects.clone();
    for (path, bytes) in jobs.iter().flat_map(|number| run(*number)) {
        let hex = Sha256::of(&bytes).to_hex();
        let found = kept.iter().find(|(name, _)| name.ends_with(&hex));
        assert!(found.is_some_and(|(_, kept)| *kept == bytes), "{path}");
    }
    assert_eq!(service.get("/health/ready", None).0, 200);
    // While nothing works, that is what it says, in time for a proxy.
    for fault in [Fault::Status(503), Fault::Stall] {
        bucket.breaks(move || fault);
        let begun = Instant::now();
        let (status, said) = service.get("/health/ready", None);
        assert_eq!((status, said.as_str()), (503, "artifacts cannot be stored\n"));
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    }
    bucket.breaks(|| Fault::None);
    service.end(Signal::SIGTERM);
    let log = service.server_log();
    assert!(!log.contains("tests-secret"), "{log}");
}

/// A worker keeps its run, and its lease, until the bucket works again.
#[apply(test)]
fn a_worker_hands_in_once_the_bucket_is_there() {
    needs(&[NETWORK, SANDBOX]);
    let bucket = Bucket::start();
    let service = bucket.server("5");
    bucket.breaks(|| Fault::Status(503));
    service.operator(&["queue", "add", "pypi:idna==3.10"]);
    let worker = service.worker("one", Some(&common::store()), &[]);
    wait_until("the run cannot be stored", Duration::from_mins(4), || {
        service.server_log().contains("cannot")
    });
    assert_eq!(service.jobs("running"), 1);
    bucket.breaks(|| Fault::None);
    assert!(service.drained(Duration::from_mins(2)));
    let status = service.operator(&["queue", "status"]);
    assert_eq!(
        (&status["jobs"], &status["verdicts"]),
        (&json!({"done": 1}), &json!({"reproduced": 1}))
    );
    let listed = service.operator(&["queue", "list"]);
    assert_eq!(
        (&listed["jobs"][0]["attempt"], &listed["jobs"][0]["lost"]),
        (&1.into(), &0.into())
    );
    assert_eq!(bucket.wrong(), [] as [String; 0]);
    end(worker, Signal::SIGTERM);
}
