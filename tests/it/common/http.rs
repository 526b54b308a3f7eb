//! Loopback servers that answer as a test says, and keep what was asked of them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a server does with a request.
#[derive(Clone)]
pub enum Reply {
    /// Answers with a status, headers and a body.
    Give(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Takes the request, and says nothing.
    Silence,
    /// Sends the head of an answer, and then rubbish without end.
    Endless,
    /// Closes the connection in the middle of its answer.
    Broken,
}

impl Reply {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Give(200, Vec::new(), body.into())
    }

    pub fn status(status: u16) -> Self {
        Self::Give(status, Vec::new(), b"sorry".to_vec())
    }
}

type Answer = dyn Fn(&str) -> Reply + Send + Sync;

/// A server on a port of its own, until the test ends.
pub struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

/// How long rubbish is sent.
const ENDLESS: Duration = Duration::from_secs(20);

impl Server {
    /// Answers each path, with its query.
    pub fn new(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (log, answer) = (
            asked.clone(),
            Arc::<Answer>::from(Box::new(answer) as Box<Answer>),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { port, asked }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// The requests so far, each with its headers.
    pub fn requests(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The paths so far.
    pub fn paths(&self) -> Vec<String> {
        let path = |request: &String| request.split(' ').nth(1).unwrap_or_default().to_owned();
        self.requests().iter().map(path).collect()
    }
}

/// What is sent behind the headers of a request.
fn body_of(request: &str, stream: &mut TcpStream) -> String {
    let lower = request.to_lowercase();
    let mut lengths = lower
        .lines()
        .filter_map(|line| line.strip_prefix("content-length:"));
    let length = lengths.next().and_then(|text| text.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let read = stream.read_exact(&mut body);
    read.map(|()| String::from_utf8_lossy(&body).into_owned())
        .unwrap_or_default()
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>, answer: &Answer) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        request.push(byte[0]);
    }
    let mut request = String::from_utf8_lossy(&request).into_owned();
    request.push_str(&body_of(&request, &mut stream));
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(request);
    let _ = match answer(&path) {
        Reply::Silence => stream.read(&mut byte).map(|_| ()),
        Reply::Broken => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{\"atte")
        }
        Reply::Endless => {
            let begun = Instant::now();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{");
            while begun.elapsed() < ENDLESS && stream.write_all(&[b' '; 1 << 14]).is_ok() {}
            Ok(())
        }
        Reply::Give(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Answer\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!(
                "content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            ));
            stream.write_all(&[head.as_bytes(), &body].concat())
        }
    };
}
