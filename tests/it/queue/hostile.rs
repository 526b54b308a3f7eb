//! Workers and strangers that want the server for themselves, and a server that wants too much of a worker.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::service::{Service, end, wait_until};

/// A worker that speaks HTTP by hand.
pub(super) struct Peer<'a> {
    service: &'a Service,
    token: String,
}

impl<'a> Peer<'a> {
    pub(super) fn new(service: &'a Service, name: &str) -> Self {
        let token = std::fs::read_to_string(service.token(name)).unwrap();
        let token = token.trim().to_owned();
        Self { service, token }
    }

    /// Sends a head that announces `length` bytes, and what there is of them.
    fn begin(&self, method: &str, path: &str, length: u64, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.service.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!(
            "{method} /api/worker/v1/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
            self.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        // Of a body that it does not want the server reads no more.
        let _ = stream.write_all(body);
        stream
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        answer(self.begin(method, path, body.len() as u64, body))
    }

    pub(super) fn ask(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, body.to_string().as_bytes())
    }

    pub(super) fn claim(&self) -> (Value, String) {
        let free = json!({"memory": 1_000_000, "disk": 1_000_000, "cores": 64});
        let claim = json!({"slots": 1, "wait": 5000, "architecture": "x86_64", "free": free});
        let (_, claimed) = self.ask("claim", &claim);
        let job = &claimed["jobs"][0];
        let lease = json!({"job": job["job"], "attempt": job["attempt"]});
        let path = format!("jobs/{}/{}", lease["job"], lease["attempt"]);
        (lease, path)
    }

    pub(super) fn put(&self, path: &str, bytes: &[u8]) -> u16 {
        let address = format!("{path}/artifacts/{}", Sha256::of(bytes));
        self.send("PUT", &address, bytes).0
    }

    fn result(&self, lease: &Value, outcome: &Value) -> Value {
        let result = json!({"job": lease["job"], "attempt": lease["attempt"], "outcome": outcome});
        self.ask("results", &json!({"results": [result]})).1
    }
}

fn answer(mut stream: TcpStream) -> (u16, Value) {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (
        status.unwrap_or(0),
        serde_json::from_str(body).unwrap_or(Value::Null),
    )
}

/// Names of files below a folder of the server's store that end so.
fn files(service: &Service, folder: &str, ending: &str) -> Vec<String> {
    let all = walkdir::WalkDir::new(service.store().join(folder))
        .into_iter()
        .flatten();
    let files = all.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| entry.path().display().to_string())
        .filter(|path| path.ends_with(ending))
        .collect()
}

fn logs(service: &Service) -> usize {
    files(service, "", ".log")
        .iter()
        .filter(|path| path.contains("/serve-"))
        .count()
}

#[apply(test)]
fn what_a_lease_sent_ends_with_it() {
    let mut service = Service::start_with_lease(None, "3", &["--unnamed", "1"]);
    service.operator(&["queue", "add", "pypi:idna==3.10"]);
    let artifact = Sha256::of("an artifact").to_hex();
    for how in ["released", "lost"] {
        let evil = Peer::new(&service, "evil");
        let (lease, path) = evil.claim();
        assert_eq!(evil.send("POST", &format!("{path}/log?offset=0"), b"line").0, 200);
        assert_eq!(evil.put(&path, b"an artifact"), 200);
        assert_eq!((logs(&service), files(&service, "", &artifact).len()), (1, 1));
        if how == "released" {
            // Another worker ends nothing of it.
            let other = Peer::new(&service, "other");
            let taken = other.result(&lease, &json!({"ended": "cancelled"}));
            assert_eq!(taken["taken"], json!([]));
            evil.result(&lease, &json!({"ended": "cancelled"}));
            assert_eq!(logs(&service), 1, "the lease is held on");
            assert_eq!(evil.ask("release", &json!({"held": [lease]})).0, 200);
            assert_eq!(logs(&service), 0);
        } else {
            wait_until("the log goes", Duration::from_secs(20), || logs(&service) == 0);
        }
        wait_until("the artifact goes", Duration::from_secs(40), || {
            files(&service, "", &artifact).is_empty()
        });
    }
    let evil = Peer::new(&service, "evil");
    let (_, path) = evil.claim();
    assert_eq!(evil.send("POST", &format!("{path}/log?offset=0"), b"line").0, 200);
    service.end(Signal::SIGKILL);
    assert_eq!(logs(&service), 1);
    service.up();
    assert_eq!(logs(&service), 0, "what a killed server left is swept");
}

#[apply(test)]
fn a_worker_sends_so_much_in_a_day_and_no_more() {
    let service = Service::start(None, &["--daily", "1"]);
    service.operator(&["queue", "add", "pypi:idna==3.10", "pypi:idna==3.4"]);
    let evil = Peer::new(&service, "evil");
    let half = vec![7; 600_000];
    let (lease, path) = evil.claim();
    assert_eq!(evil.put(&path, &half), 200);
    assert_ne!(evil.put(&path, &half), 200);
    // Neither a result that is not taken nor another lease gives it more.
    evil.result(&lease, &json!({"ended": "cancelled"}));
    assert_ne!(evil.put(&path, &half), 200);
    evil.ask("release", &json!({"held": [lease]}));
    let (_, path) = evil.claim();
    assert_ne!(evil.put(&path, &half), 200);
    assert_eq!(evil.send("POST", &format!("{path}/log?offset=0"), &half).0, 400);
    let good = Peer::new(&service, "good");
    let (_, path) = good.claim();
    assert_eq!(good.put(&path, &half), 200);
}

#[apply(test)]
fn stalled_uploads_keep_nobody_else_out_and_end_with_their_lease() {
    let service = Service::start_with_lease(None, "60", &[]);
    service.operator(&["queue", "add", "pypi:idna==3.10", "pypi:idna==3.4"]);
    let (evil, good) = (Peer::new(&service, "evil"), Peer::new(&service, "good"));
    let ((lease, path), (_, other)) = (evil.claim(), good.claim());
    let stall = |number: u8| {
        let address = format!("{path}/artifacts/{number:064x}");
        evil.begin("PUT", &address, 5, b"x")
    };
    let stalled: Vec<_> = (0..16).map(stall).collect();
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    assert_eq!(good.put(&other, b"hello"), 200);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(evil.ask("release", &json!({"held": [lease]})).0, 200);
    for stream in stalled {
        assert_eq!(answer(stream).0, 410);
    }
}

#[apply(test)]
fn lists_that_cannot_be_laid_out_are_refused() {
    let service = Service::start_with_lease(None, "60", &[]);
    service.operator(&["queue", "add", "pypi:idna==3.10"]);
    let evil = Peer::new(&service, "evil");
    let (lease, path) = evil.claim();
    assert_eq!(evil.put(&path, b"{}"), 200);
    let file = |path: &str| json!({"path": path, "sha256": Sha256::of("{}").to_hex(), "size": 2});
    let long = "n".repeat(256);
    for (paths, reason) in [
        (["x", "x"], "twice"),
        (["a", "a/b"], "in a folder that is a file"),
        (["x", long.as_str()], "can be called"),
        (["x", "a/../../b"], "can be called"),
        (["x", "y"], "invalid record"),
    ] {
        let files: Vec<_> = ["record.json", "plan.json"]
            .iter()
            .chain(&paths)
            .map(|path| file(path))
            .collect();
        let taken = evil.result(&lease, &json!({"ended": "run", "files": files}));
        let said = taken["refused"][0][1].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{paths:?}: {taken}");
    }
}

#[apply(test)]
fn strangers_with_half_a_request_lock_nobody_out() {
    // As many files as a shell commonly gives, and no more: the limit cannot be raised.
    let service = Service::start_within(128);
    let half = || {
        let mut stream = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
        stream.write_all(b"GET /health/live HTTP/1.1\r\nX: ").unwrap();
        stream
    };
    let _strangers: Vec<_> = (0..200).map(|_| half()).collect();
    for _ in 0..3 {
        assert_eq!(service.get("/health/live", None).0, 200);
    }
}

#[apply(test)]
fn a_full_log_says_so() {
    let service = Service::start_with_lease(None, "60", &[]);
    service.operator(&["queue", "add", "pypi:idna==3.10"]);
    let worker = Peer::new(&service, "one");
    let (_, path) = worker.claim();
    let part = vec![b'x'; 1 << 20];
    for offset in 0..256_u64 {
        let address = format!("{path}/log?offset={}", offset << 20);
        assert_eq!(worker.send("POST", &address, &part).0, 200, "{offset}");
    }
    for _ in 0..2 {
        let (status, said) = worker.send("POST", &format!("{path}/log?offset={}", 256 << 20), b"more");
        assert_eq!(status, 413);
        assert!(
            said["error"].as_str().unwrap().contains("the log is full"),
            "{said}"
        );
    }
}

/// A server that gives each claim twelve probes of ten minutes, two of them the same lease, and says what is given back.
fn greedy(listener: &std::net::TcpListener) -> usize {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut bytes = Vec::new();
        let mut some = [0; 4096];
        let body = loop {
            let count = stream.read(&mut some).unwrap();
            bytes.extend_from_slice(&some[..count]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head.to_lowercase();
            let length = length.split_once("content-length: ").unwrap().1;
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                break text;
            }
        };
        let (head, body) = body.split_once("\r\n\r\n").unwrap();
        if head.contains("/release") {
            let held: Value = serde_json::from_str(body).unwrap();
            return held["held"].as_array().unwrap().len();
        }
        let job = |number: u64| json!({"job": number.max(1), "attempt": 1, "task": {"do": "probe", "number": number, "milliseconds": 600_000}});
        let jobs: Vec<_> = (0..12).map(job).collect();
        let answer = json!({"lease": 60_000, "jobs": jobs}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all((head + &answer).as_bytes()).unwrap();
    }
    0
}

#[apply(test)]
fn a_server_that_gives_too_much_gets_the_rest_back() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut service = Service::start(None, &[]);
    service.token("one");
    service.port = listener.local_addr().unwrap().port();
    let worker = service.worker("one", None, &["--jobs", "1"]);
    let given_back = greedy(&listener);
    end(worker, Signal::SIGKILL);
    // Eleven jobs, of which one is held.
    assert_eq!(given_back, 10);
}
