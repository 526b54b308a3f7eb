//! What the author of an index, a lock file, a provenance, a registry or a redirect may make this machine open.
//!
//! A listener of the test's own counts whoever connects: a refused address gets no connection at all.

mod answers;
mod git;
mod images;
mod index;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, Who, must};

pub const CASES: &[Case] = &[
    case("have a private file read by an index", index::index_names_files),
    case(
        "have a private file taken as attestations",
        index::attestations_are_files,
    ),
    case("hang the program at a pipe", index::pipes),
    case("leave the folder of a mirror", index::paths_out_of_a_mirror),
    case("reach a service of this machine", index::services_by_file),
    case(
        "reach a service by offering attestations",
        index::services_by_attestation,
    ),
    case("reach a service under a public name", index::public_name),
    case("reach another place of a mirror's host", index::beside_the_mirror),
    case("redirect to a service", answers::redirects),
    case("redirect without end", answers::endless_redirects),
    case("have credentials sent or printed", answers::credentials),
    case("have an answer kept that is no index", answers::rubbish_is_kept),
    case("name one file twice", answers::one_name_twice),
    case("answer without end", answers::endless_answer),
    case("keep the program waiting for an answer", answers::silent_server),
    case("send git to a service", git::git_to_a_service),
    case(
        "send git to a service under a public name",
        git::git_by_public_name,
    ),
    case("redirect git to a service", git::git_redirects),
    case("keep git waiting when the program ends", git::silent_git),
    case("name a service as a registry of images", images::image_registry),
    case(
        "name a service as the place of a registry's tokens",
        images::token_place,
    ),
    case("redirect an image's layers to a service", images::image_redirects),
    case("send a manifest without end", images::endless_manifest),
    case("send a plan's inputs to a service", images::plan_inputs),
];

const fn case(name: &'static str, run: fn(&Ground) -> Result<(), String>) -> Case {
    Case {
        name,
        builds: false,
        run,
    }
}

/// A server of this machine that counts its connections and keeps what was asked of it.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
}

type Answer = Box<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// How long an answer may go on being sent.
const ENDLESS: Duration = Duration::from_secs(20);

impl Server {
    /// Answers each path; an empty answer is none at all, and the connection stays open.
    fn new(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            asked: Arc::default(),
        };
        let (connections, asked) = (server.connections.clone(), server.asked.clone());
        let answer: Arc<Answer> = Arc::new(Box::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (asked, answer) = (asked.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &asked, &answer));
            }
        });
        server
    }

    /// A service that nobody may reach.
    fn private() -> Self {
        Self::new(|_| ok(b"internal"))
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn untouched(&self, by: &str) -> Result<(), String> {
        let count = self.connections.load(Ordering::SeqCst);
        must(
            count == 0,
            format!("{count} connections by {by}: {:?}", self.asked.lock().unwrap()),
        )
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>, answer: &Answer) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap().push(request);
    let bytes = answer(&path);
    if bytes.is_empty() {
        // Until the other side goes away.
        let _ = stream.read(&mut byte);
        return;
    }
    let _ = stream.write_all(&bytes);
    // A header that promises more than was given: rubbish without end.
    if bytes.ends_with(b"endless") {
        let begun = Instant::now();
        let more = vec![b' '; 1 << 16];
        while begun.elapsed() < ENDLESS && stream.write_all(&more).is_ok() {}
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "", body)
}

fn redirect(status: u16, to: &str) -> Vec<u8> {
    answer(
        &format!("{status} Elsewhere"),
        &format!("location: {to}\r\n"),
        b"",
    )
}

fn endless() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nendless".to_vec()
}

/// The digest of a file that no store has, so that it must be fetched.
fn unheld(ground: &Ground) -> Sha256 {
    Sha256::of(ground.folder().display().to_string())
}

/// One file of an index of Python packages.
fn file(url: &str, digest: &Sha256, size: usize) -> Value {
    json!({
        "filename": "idna-3.10-py3-none-any.whl", "url": url, "hashes": {"sha256": digest.to_hex()},
        "size": size, "upload-time": "2024-09-15T18:07:37Z"
    })
}

fn page(files: &[Value]) -> Vec<u8> {
    ok(json!({"files": files}).to_string().as_bytes())
}

/// An index that has this one page.
fn index(files: Vec<Value>) -> Server {
    Server::new(move |_| page(&files))
}

/// Looks a package up in an index that the attacker writes.
fn inspect(ground: &Ground, index: &Server, more: &[&str]) -> Output {
    let mut command = ground.rebuilder();
    command
        .arg("--mirror")
        .arg(format!("https://pypi.org/simple=http://{}/simple", index.host()))
        .args(more)
        .args(["inspect", "pypi:idna==3.10"]);
    within(command, Duration::from_secs(30))
}

/// Runs a command that must end by itself.
fn within(mut command: Command, limit: Duration) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > limit {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// Whether the command ended by itself, with an error of its own.
fn refused(output: &Output) -> Result<(), String> {
    let code = common::code(output);
    must(
        [2, 3, 4].contains(&code) && common::text(output).contains("error:"),
        format!("exit code {code}: {}", common::text(output)),
    )
}

fn stored(ground: &Ground, digest: &Sha256) -> bool {
    let hex = digest.to_hex();
    ground
        .store()
        .join("store/sha256")
        .join(&hex[..2])
        .join(&hex)
        .exists()
}

/// A file that the program's user may read, and nobody else is told of.
fn private_file(ground: &Ground, name: &str) -> (String, Vec<u8>, Sha256) {
    let content = format!("private {name} {}\n", ground.folder().display()).into_bytes();
    let path = ground.write(name, &content);
    let digest = Sha256::of(&content);
    (path.display().to_string(), content, digest)
}

fn with_files(server: &Server) -> String {
    format!(
        "https://files.pythonhosted.org/packages=http://{}/packages",
        server.host()
    )
}

/// Ways to write an address of this very machine.
fn own_addresses(port: u16) -> Vec<String> {
    [
        format!("http://127.0.0.1:{port}/x"),
        format!("https://127.0.0.1:{port}/x"),
        format!("https://127.8.8.8:{port}/x"),
        format!("https://2130706433:{port}/x"),
        format!("https://0x7f000001:{port}/x"),
        format!("https://0177.0.0.1:{port}/x"),
        format!("https://127.1:{port}/x"),
        format!("https://0:{port}/x"),
        format!("https://0.0.0.0:{port}/x"),
        format!("https://localhost:{port}/x"),
        format!("https://LOCALHOST.:{port}/x"),
        format!("https://a.localhost:{port}/x"),
        format!("https://[::1]:{port}/x"),
        format!("https://[::ffff:127.0.0.1]:{port}/x"),
        format!("https://[64:ff9b::7f00:1]:{port}/x"),
        format!("https://vm:{port}/x"),
        format!("https://pypi.org@127.0.0.1:{port}/x"),
        format!("https:\\\\127.0.0.1:{port}/x"),
        format!("https://１２７.0.0.1:{port}/x"),
    ]
    .into()
}

/// Runs the program where a public name means this machine; only root can arrange that. None where it cannot be done.
fn where_names_lie(ground: &Ground, mut command: Command) -> Option<Output> {
    if ground.who != Who::Root {
        return None;
    }
    let hosts = ground.write("hosts", "127.0.0.1 localhost public.example.com\n");
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let mut outer = ground.command("unshare");
    outer
        .args(["-m", "sh", "-c", script])
        .arg(hosts)
        .arg(program)
        .args(arguments);
    command = outer;
    Some(within(command, Duration::from_secs(30)))
}

/// Waits until somebody has asked, ends the program as a user does, and gives how long it took to end.
fn ended(mut command: Command, server: &Server) -> Result<(), String> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while server.asked.lock().unwrap().is_empty() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(5) {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err("SIGTERM does not end it".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    must(
        !server.asked.lock().unwrap().is_empty(),
        "the attack was not tried",
    )
}

/// A provenance, unsigned, for a file of this case; and the command that looks at it.
fn provenance(ground: &Ground, repository: &str) -> Command {
    let artifact = ground.write("tool.txt", "released\n");
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "tool.txt", "digest": {"sha256": Sha256::of("released\n").to_hex()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://example.com/build/v1",
                "externalParameters": {"source": format!("git+{repository}@refs/tags/v1")},
                "resolvedDependencies": [{
                    "uri": format!("git+{repository}@refs/tags/v1"),
                    "digest": {"gitCommit": "5995008213440709027a5666064bfdaba715df00"}
                }]
            },
            "runDetails": {"builder": {"id": "https://example.com/builder"}}
        }
    });
    let path = ground.write("provenance.json", statement.to_string());
    let mut command = ground.rebuilder();
    command.arg("inspect").arg(artifact).arg("--provenance").arg(path);
    command
}

/// Follows a plan whose container is an image that the attacker names.
fn image(ground: &Ground, repository: &str, digest: &Sha256, more: &[&str]) -> Output {
    let mut plan = plan();
    plan["container"] = json!({"image": {"repository": repository, "digest": digest.to_hex()}});
    let file = ground.write("plan.json", plan.to_string());
    let out = ground.folder().join("run");
    let _ = fs::remove_dir_all(&out);
    let mut command = ground.rebuilder();
    command
        .args(more)
        .args(["rebuild", "--plan"])
        .arg(file)
        .arg("--out")
        .arg(out);
    within(command, Duration::from_mins(1))
}

/// A plan that needs nothing of the network by itself.
fn plan() -> Value {
    let step = json!({"env": {}, "steps": [{"name": "build", "run": "true"}]});
    json!({
        "version": 1, "subject": "pkg:pypi/tool@1.0", "ecosystem": "pypi", "claims": [],
        "policy": {"policy": "built-in", "checks": []},
        "expected": [{"purl": "pkg:pypi/tool@1.0", "file": {
            "name": "tool-1.0-py3-none-any.whl", "urls": [], "sha256": Sha256::of("released").to_hex(), "size": 8
        }}],
        "not_compared": [],
        "container": {"image": {"repository": "builder.example.com/o/i", "digest": Sha256::of("manifest").to_hex()}},
        "inputs": [], "files": [], "setup": step, "build": step, "hostname": "rebuilder", "umask": 18,
        "limits": {"seconds": 60, "memory": 1 << 30, "disk": 1 << 30, "pids": 64, "cpus": 1},
        "assumptions": []
    })
}

/// The registry that the user's mirror leads to; what it says is the attacker's.
fn registry(ground: &Ground, digest: &Sha256, server: &Server) -> Result<Output, String> {
    let map = format!("docker://builder.example.com/=docker://{}/", server.host());
    let output = image(ground, "builder.example.com/o/i", digest, &["--mirror", &map]);
    must(
        server.connections.load(Ordering::SeqCst) > 0,
        format!("the attack was not tried: {}", common::text(&output)),
    )?;
    Ok(output)
}
