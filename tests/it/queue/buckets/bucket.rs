//! A bucket that speaks S3, as far as it is asked here, and fails as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rebuilder::artifact::Sha256;

use crate::queue::service::Service;

/// What a bucket does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
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
pub(super) struct Kept {
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    /// Parts of uploads that are not complete.
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    next: u64,
    pub(super) seen: BTreeMap<Fault, usize>,
}

type Chooses = dyn Fn() -> Fault + Send + Sync;

/// A bucket.
pub(super) struct Bucket {
    port: u16,
    pub(super) kept: Arc<Mutex<Kept>>,
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
    pub(super) fn start() -> Self {
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

    pub(super) fn breaks(&self, how: impl Fn() -> Fault + Send + Sync + 'static) {
        *self.fault.lock().unwrap() = Box::new(how);
    }

    pub(super) fn server(&self, lease: &'static str) -> Service {
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
    pub(super) fn wrong(&self) -> Vec<String> {
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
