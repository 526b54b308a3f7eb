//! What the author of an index, a lock file, a provenance, a registry or a redirect may make this machine open.
//!
//! A listener of the test's own counts whoever connects: an address that is not followed gives no connection at all.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, Who, must};
use crate::common;

pub const CASES: &[Case] = &[
    case("have a private file read by an index", index_names_files),
    case(
        "have a private file taken as attestations",
        attestations_are_files,
    ),
    case("hang the program at a pipe", pipes),
    case("leave the folder of a mirror", paths_out_of_a_mirror),
    case("reach a service of this machine", services_by_file),
    case(
        "reach a service by offering attestations",
        services_by_attestation,
    ),
    case("reach a service under a public name", public_name),
    case("reach another place of a mirror's host", beside_the_mirror),
    case("redirect to a service", redirects),
    case("redirect without end", endless_redirects),
    case("have credentials sent or printed", credentials),
    case("have an answer kept that is no index", rubbish_is_kept),
    case("name one file twice", one_name_twice),
    case("answer without end", endless_answer),
    case("keep the program waiting for an answer", silent_server),
    case("send git to a service", git_to_a_service),
    case("send git to a service under a public name", git_by_public_name),
    case("redirect git to a service", git_redirects),
    case("keep git waiting when the program ends", silent_git),
    case("name a service as a registry of images", image_registry),
    case("name a service as the place of a registry's tokens", token_place),
    case("redirect an image's layers to a service", image_redirects),
    case("send a manifest without end", endless_manifest),
    case("send a plan's inputs to a service", plan_inputs),
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

fn index_names_files(ground: &Ground) -> Result<(), String> {
    let (path, content, digest) = private_file(ground, "secret");
    for (url, known) in [
        (format!("file://{path}"), true),
        (format!("file://{path}"), false),
        (format!("FILE://localhost{path}"), true),
        (format!("file:{path}"), true),
        (path.clone(), true),
        (format!("/proc/self/root{path}"), true),
    ] {
        let named = if known { digest } else { unheld(ground) };
        let index = index(vec![file(&url, &named, content.len())]);
        let output = inspect(ground, &index, &[]);
        refused(&output)?;
        must(!stored(ground, &digest), format!("{url} lies in the store"))?;
        let told = common::text(&output).contains(&digest.to_hex()) && !known;
        must(!told, format!("the error tells the digest of {url}"))?;
    }
    Ok(())
}

/// Where attestations lie, by an index whose file is all right.
fn attested(url: &str) -> Server {
    let wheel = b"a wheel";
    let mut entry = file(
        "https://files.pythonhosted.org/packages/w.whl",
        &Sha256::of(wheel),
        wheel.len(),
    );
    entry["provenance"] = json!(url);
    Server::new(move |path| {
        if path.starts_with("/packages/") {
            ok(wheel)
        } else {
            page(std::slice::from_ref(&entry))
        }
    })
}

fn with_files(server: &Server) -> String {
    format!(
        "https://files.pythonhosted.org/packages=http://{}/packages",
        server.host()
    )
}

fn attestations_are_files(ground: &Ground) -> Result<(), String> {
    let (path, content, digest) = private_file(ground, "secret");
    for url in [
        format!("file://{path}"),
        format!("file:{path}"),
        format!("File://{path}"),
    ] {
        let server = attested(&url);
        let output = inspect(ground, &server, &["--mirror", &with_files(&server)]);
        must(!stored(ground, &digest), format!("{url} lies in the store"))?;
        let text = common::text(&output);
        let content = String::from_utf8_lossy(&content).into_owned();
        must(
            !text.contains(content.trim()),
            format!("the content is told: {text}"),
        )?;
    }
    Ok(())
}

fn mkfifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
}

fn pipes(ground: &Ground) -> Result<(), String> {
    fs::create_dir_all(ground.folder().join("pool")).unwrap();
    let pipe = ground.folder().join("pool/pipe");
    mkfifo(&pipe);
    let map = format!(
        "https://a.internal/pool=file://{}/pool",
        ground.folder().display()
    );
    for (url, mirror) in [
        (format!("file://{}", pipe.display()), None),
        ("https://a.internal/pool/pipe".to_owned(), Some(&map)),
    ] {
        let server = index(vec![file(&url, &unheld(ground), 1)]);
        let more: Vec<&str> = mirror.iter().flat_map(|map| ["--mirror", map.as_str()]).collect();
        let begun = Instant::now();
        let output = inspect(ground, &server, &more);
        refused(&output).map_err(|gained| format!("{url}: {gained}"))?;
        must(begun.elapsed() < Duration::from_secs(15), format!("{url} hangs"))?;
    }
    Ok(())
}

fn paths_out_of_a_mirror(ground: &Ground) -> Result<(), String> {
    let (path, content, digest) = private_file(ground, "private");
    fs::create_dir_all(ground.folder().join("pool/deep")).unwrap();
    fs::create_dir_all(ground.folder().join("pool-private")).unwrap();
    fs::write(ground.folder().join("pool-private/x"), &content).unwrap();
    std::os::unix::fs::symlink(&path, ground.folder().join("pool/link")).unwrap();
    std::os::unix::fs::symlink(ground.folder(), ground.folder().join("pool/deep/up")).unwrap();
    let map = |prefix: &str| format!("{prefix}=file://{}/pool", ground.folder().display());
    for (prefix, rest) in [
        ("https://a.internal/pool", "/../private"),
        ("https://a.internal/pool", "/%2e%2e/private"),
        ("https://a.internal/pool", "/..%2fprivate"),
        ("https://a.internal/pool", "/..%2Fprivate"),
        ("https://a.internal/pool", "/deep/..%2f..%2fprivate"),
        ("https://a.internal/pool", "/..\\private"),
        ("https://a.internal/pool", "-private/x"),
        ("https://a.internal/pool", "/link"),
        ("https://a.internal/pool", "/deep/up/private"),
        ("https://a.internal/", "-private/x"),
        ("https://a.internal/", "%2e%2e%2fprivate"),
    ] {
        let url = format!("{prefix}{rest}");
        let server = index(vec![file(&url, &digest, content.len())]);
        let output = inspect(ground, &server, &["--mirror", &map(prefix)]);
        refused(&output).map_err(|gained| format!("{url}: {gained}"))?;
        must(!stored(ground, &digest), format!("{url} lies in the store"))?;
    }
    Ok(())
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

fn services_by_file(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    for url in own_addresses(service.port) {
        let index = index(vec![file(&url, &unheld(ground), 8)]);
        let output = inspect(ground, &index, &[]);
        service.untouched(&url)?;
        refused(&output).map_err(|gained| format!("{url}: {gained}"))?;
    }
    Ok(())
}

fn services_by_attestation(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    for url in own_addresses(service.port).into_iter().take(6) {
        let server = attested(&url);
        inspect(ground, &server, &["--mirror", &with_files(&server)]);
        service.untouched(&url)?;
    }
    Ok(())
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

fn public_name(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let url = format!("https://public.example.com:{}/x", service.port);
    let index = index(vec![file(&url, &unheld(ground), 8)]);
    let mut command = ground.rebuilder();
    command
        .arg("--mirror")
        .arg(format!("https://pypi.org/simple=http://{}/simple", index.host()))
        .args(["inspect", "pypi:idna==3.10"]);
    let Some(output) = where_names_lie(ground, command) else {
        return Ok(());
    };
    service.untouched(&url)?;
    refused(&output)?;
    let text = common::text(&output);
    must(text.contains("not a public address"), text)
}

fn beside_the_mirror(ground: &Ground) -> Result<(), String> {
    let server = Server::private();
    for place in [
        "/admin",
        "/simple-private/x",
        "/simple/../admin",
        "/simple/%2e%2e/admin",
    ] {
        let url = format!("http://{}{place}", server.host());
        let index = index(vec![file(&url, &unheld(ground), 8)]);
        let map = format!("https://a.internal/simple=http://{}/simple", server.host());
        let output = inspect(ground, &index, &["--mirror", &map]);
        server.untouched(&url)?;
        refused(&output)?;
    }
    Ok(())
}

fn redirects(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let (path, content, digest) = private_file(ground, "secret");
    let by_http = format!("http://{}/x", service.host());
    let by_https = format!("https://{}/x", service.host());
    let by_name = format!("https://localhost:{}/x", service.port);
    let with_password = format!("http://me:secret@{}/x", service.host());
    let by_file = format!("file://{path}");
    for (status, to) in [
        (301, &by_http),
        (302, &by_https),
        (303, &by_name),
        (307, &by_http),
        (308, &with_password),
        (302, &by_file),
    ] {
        // The page itself, then the file that it names.
        let to = to.clone();
        let elsewhere = to.clone();
        let index = Server::new(move |_| redirect(status, &elsewhere));
        let output = inspect(ground, &index, &[]);
        service.untouched(&to)?;
        refused(&output)?;
        let elsewhere = to.clone();
        let entry = file(
            "https://files.pythonhosted.org/packages/w",
            &digest,
            content.len(),
        );
        let index = Server::new(move |path| {
            if path.starts_with("/packages/") {
                redirect(status, &elsewhere)
            } else {
                page(std::slice::from_ref(&entry))
            }
        });
        let output = inspect(ground, &index, &["--mirror", &with_files(&index)]);
        service.untouched(&to)?;
        refused(&output)?;
        must(!stored(ground, &digest), format!("{to} lies in the store"))?;
    }
    Ok(())
}

fn endless_redirects(ground: &Ground) -> Result<(), String> {
    let index = Server::new(|path| redirect(302, &format!("{path}x")));
    let output = inspect(ground, &index, &[]);
    refused(&output)?;
    let count = index.connections.load(Ordering::SeqCst);
    must(count <= 6, format!("{count} requests"))
}

fn credentials(ground: &Ground) -> Result<(), String> {
    let server = Server::private();
    let allow = server.host();
    for url in [
        format!("https://me:hunter2@{}/x", server.host()),
        format!("http://hunter2@{}/x", server.host()),
        "https://me:hunter2@files.pythonhosted.org/x".to_owned(),
        "ftp://me:hunter2@host.example/x".to_owned(),
        "https://me:hunter2@[bad/x".to_owned(),
    ] {
        let index = index(vec![file(&url, &unheld(ground), 8)]);
        let output = inspect(ground, &index, &["--allow-host", &allow]);
        server.untouched(&url)?;
        refused(&output)?;
        let text = common::text(&output);
        must(!text.contains("hunter2"), format!("printed: {text}"))?;
    }
    // What the user typed is sent, and not printed either.
    let empty = Server::new(|_| answer("404 Not Found", "", b""));
    let mut command = ground.rebuilder();
    command
        .arg("--mirror")
        .arg(format!(
            "https://pypi.org/simple=http://me:hunter2@{}/simple",
            empty.host()
        ))
        .args(["inspect", "pypi:idna==3.10"]);
    let text = common::text(&within(command, Duration::from_secs(30)));
    must(!text.contains("hunter2"), format!("printed: {text}"))
}

fn rubbish_is_kept(ground: &Ground) -> Result<(), String> {
    let rubbish = format!("rubbish of {}", ground.folder().display());
    let digest = Sha256::of(&rubbish);
    let body = rubbish.clone();
    let server = Server::new(move |_| ok(body.as_bytes()));
    for (prefix, subject) in [
        ("https://pypi.org/simple", "pypi:idna==3.10"),
        ("https://index.crates.io", "crate:itoa"),
        ("https://registry.npmjs.org", "npm:ms@2.1.3"),
        ("https://deb.debian.org", "deb:base-files"),
    ] {
        let mut command = ground.rebuilder();
        command
            .arg("--mirror")
            .arg(format!("{prefix}=http://{}", server.host()))
            .args(["inspect", subject]);
        let output = within(command, Duration::from_secs(30));
        refused(&output)?;
        must(
            !stored(ground, &digest),
            format!("the answer for {subject} lies in the store"),
        )?;
    }
    Ok(())
}

fn one_name_twice(ground: &Ground) -> Result<(), String> {
    let one = file("https://files.pythonhosted.org/a", &Sha256::of("a"), 1);
    let two = file("https://files.pythonhosted.org/b", &Sha256::of("b"), 1);
    let index = index(vec![one, two]);
    let output = inspect(ground, &index, &[]);
    refused(&output)?;
    let text = common::text(&output);
    must(text.contains("twice"), text)
}

fn endless_answer(ground: &Ground) -> Result<(), String> {
    let index = Server::new(|_| endless());
    let begun = Instant::now();
    let output = inspect(ground, &index, &[]);
    refused(&output)?;
    must(begun.elapsed() < Duration::from_secs(15), "it was read on and on")?;
    let text = common::text(&output);
    must(text.contains("is larger than"), text)
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

fn silent_server(ground: &Ground) -> Result<(), String> {
    // Nothing at all; and an answer that never ends its header.
    for first in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"] {
        let index = Server::new(move |_| first.to_vec());
        let mut command = ground.rebuilder();
        command
            .arg("--mirror")
            .arg(format!("https://pypi.org/simple=http://{}/simple", index.host()))
            .args(["inspect", "pypi:idna==3.10"]);
        ended(command, &index)?;
    }
    Ok(())
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

fn git_to_a_service(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    for address in own_addresses(service.port) {
        let repository = address.replace("/x", "/o/r");
        within(provenance(ground, &repository), Duration::from_secs(30));
        service.untouched(&repository)?;
    }
    // With the host allowed it is asked, so the attack reaches the code that asks.
    let mut command = provenance(ground, &format!("http://{}/o/r", service.host()));
    command.arg("--allow-host").arg(service.host());
    within(command, Duration::from_secs(30));
    let count = service.connections.load(Ordering::SeqCst);
    must(count > 0, "the attack was not tried")
}

fn git_by_public_name(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let repository = format!("https://public.example.com:{}/o/r", service.port);
    where_names_lie(ground, provenance(ground, &repository));
    service.untouched(&repository)
}

fn git_redirects(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let to = format!("http://{}/o/r", service.host());
    let server = Server::new(move |path| {
        let rest = path.strip_prefix("/o/r").unwrap_or_default();
        redirect(302, &format!("{to}{rest}"))
    });
    let by_mirror = format!("https://github.com/=http://{}/", server.host());
    let by_permission = format!("http://{}/o/r", server.host());
    for (repository, option, value) in [
        ("https://github.com/o/r", "--git-mirror", by_mirror),
        (by_permission.as_str(), "--allow-host", server.host()),
    ] {
        let before = server.connections.load(Ordering::SeqCst);
        let mut command = provenance(ground, repository);
        command.arg(option).arg(value);
        let output = within(command, Duration::from_secs(30));
        service.untouched("a redirect")?;
        let after = server.connections.load(Ordering::SeqCst);
        must(
            after > before,
            format!("the attack was not tried: {}", common::text(&output)),
        )?;
    }
    Ok(())
}

fn silent_git(ground: &Ground) -> Result<(), String> {
    let server = Server::new(|_| Vec::new());
    let mut command = provenance(ground, "https://github.com/o/r");
    command
        .arg("--git-mirror")
        .arg(format!("https://github.com/=http://{}/", server.host()));
    ended(command, &server)?;
    // No helper of git is left that still talks to the server.
    let place = format!("http://{}/", server.host());
    let talks = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .any(|line| String::from_utf8_lossy(&line).contains(&place))
    };
    let begun = Instant::now();
    while talks() && begun.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(50));
    }
    must(!talks(), "git still runs")
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
    within(command, Duration::from_secs(60))
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

fn image_registry(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1"] {
        let repository = format!("{host}:{}/o/i", service.port);
        let output = image(ground, &repository, &unheld(ground), &[]);
        service.untouched(&repository)?;
        refused(&output)?;
    }
    Ok(())
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

fn token_place(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let (path, ..) = private_file(ground, "secret");
    for realm in [
        format!("http://{}/token", service.host()),
        format!("https://localhost:{}/token", service.port),
        format!("https://2130706433:{}/token", service.port),
        format!("file://{path}"),
    ] {
        let header = format!("www-authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
        let server = Server::new(move |_| answer("401 Unauthorized", &header, b""));
        let output = registry(ground, &unheld(ground), &server)?;
        service.untouched(&realm)?;
        refused(&output)?;
    }
    Ok(())
}

fn image_redirects(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": format!("sha256:{}", unheld(ground)), "size": 8
    });
    let config = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": format!("sha256:{}", Sha256::of("{}")), "size": 2
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": [layer]
    })
    .to_string();
    let digest = Sha256::of(&manifest);
    let to = format!("http://{}/layer", service.host());
    let server = Server::new(move |path| {
        if path.contains("/manifests/") {
            ok(manifest.as_bytes())
        } else {
            redirect(307, &to)
        }
    });
    let output = registry(ground, &digest, &server)?;
    service.untouched("a layer")?;
    refused(&output)
}

fn endless_manifest(ground: &Ground) -> Result<(), String> {
    let server = Server::new(|_| endless());
    let begun = Instant::now();
    let output = registry(ground, &unheld(ground), &server)?;
    refused(&output)?;
    must(begun.elapsed() < Duration::from_secs(15), "it was read on and on")
}

fn plan_inputs(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let (path, content, digest) = private_file(ground, "secret");
    for (url, digest, size) in [
        (format!("http://{}/x", service.host()), unheld(ground), 8),
        (format!("https://localhost:{}/x", service.port), unheld(ground), 8),
        (format!("file://{path}"), digest, content.len()),
    ] {
        let mut plan = plan();
        plan["inputs"] = json!([{"role": "source", "place": "source/x", "file": {
            "name": "x", "urls": [url], "sha256": digest.to_hex(), "size": size
        }}]);
        let written = ground.write("plan.json", plan.to_string());
        let mut command = ground.rebuilder();
        command.args(["rebuild", "--plan"]).arg(written);
        let output = within(command, Duration::from_secs(60));
        service.untouched(&url)?;
        refused(&output)?;
        must(!stored(ground, &digest), format!("{url} lies in the store"))?;
    }
    Ok(())
}
