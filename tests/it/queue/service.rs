//! A server and its workers as processes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{self, code, json, rebuilder_in, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A database, a server and tokens for workers.
pub struct Service {
    pub folder: tempfile::TempDir,
    url: Option<String>,
    pub port: u16,
    lease: &'static str,
    more: Vec<String>,
    /// Most open files of the server, if not as many as it may have.
    files: Option<u32>,
    /// Variables of the server and the workers.
    variables: Vec<(String, String)>,
    server: Option<Child>,
}

pub fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

pub fn wait_until(what: &str, limit: Duration, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < limit, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Service {
    /// Starts a server on this database, or on a file of SQLite, with these options more.
    pub fn start(url: Option<String>, more: &[&str]) -> Self {
        Self::start_with_lease(url, "1.5", more)
    }

    /// Starts a server with these variables, which its workers have too.
    pub fn start_in(variables: &[(&str, &str)], lease: &'static str, more: &[&str]) -> Self {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self::begin_in(variables.collect(), None, lease, more, None)
    }

    /// Starts a server that may open so many files.
    pub fn start_within(files: u32) -> Self {
        Self::begin(None, "1.5", &[], Some(files))
    }

    pub fn start_with_lease(url: Option<String>, lease: &'static str, more: &[&str]) -> Self {
        Self::begin(url, lease, more, None)
    }

    fn begin(url: Option<String>, lease: &'static str, more: &[&str], files: Option<u32>) -> Self {
        Self::begin_in(Vec::new(), url, lease, more, files)
    }

    fn begin_in(
        variables: Vec<(String, String)>,
        url: Option<String>,
        lease: &'static str,
        more: &[&str],
        files: Option<u32>,
    ) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut service = Self {
            folder: tempfile::tempdir().unwrap(),
            url,
            port,
            lease,
            more: more.iter().map(ToString::to_string).collect(),
            files,
            variables,
            server: None,
        };
        service.up();
        service
    }

    /// The address of its database.
    pub fn database(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Where the server answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn command(&self, store: &Path) -> Command {
        let mut command = rebuilder_in(store);
        if let Some(url) = &self.url {
            command.env("REBUILDER_MEMORY", url);
        }
        command
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// Starts the server, and waits until it listens.
    pub fn up(&mut self) {
        let mut command = self.command(&self.store());
        command.envs(self.variables.clone());
        if let Some(files) = self.files {
            // A shell that gives its place to the program.
            let plain = command;
            command = Command::new("sh");
            command
                .args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"])
                .arg(plain.get_program())
                .args(plain.get_args());
            for (name, value) in plain.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
        }
        let address = format!("127.0.0.1:{}", self.port);
        command
            .args(["--json", "serve", "--listen", &address, "--lease", self.lease])
            .args(&self.more);
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.folder.path().join("server.log"));
        let mut server = command
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("listening"), "{line}{}", self.server_log());
        self.server = Some(server);
    }

    pub fn server_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    pub fn end(&mut self, with: Signal) {
        let mut server = self.server.take().unwrap();
        signal(&server, with);
        let ended = server.wait().unwrap();
        assert!(
            with == Signal::SIGKILL || ended.success(),
            "{ended} {}",
            self.server_log()
        );
    }

    /// A command of the operator, and what it prints.
    pub fn operator(&self, arguments: &[&str]) -> Value {
        let output = self
            .command(&self.store())
            .arg("--json")
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            [0, 4].contains(&code(&output)),
            "{arguments:?}: {}",
            text(&output)
        );
        if output.stdout.is_empty() {
            Value::Null
        } else {
            json(&output)
        }
    }

    pub fn token(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(format!("token-{name}"));
        if !path.exists() {
            let made = self.operator(&["serve", "token", "add", name]);
            std::fs::write(&path, made["token"].as_str().unwrap()).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        path
    }

    /// Starts a worker with a store of its own, or the one that tests share.
    pub fn worker(&self, name: &str, store: Option<&Path>, arguments: &[&str]) -> Child {
        let own = self.folder.path().join(format!("worker-{name}"));
        let mut command = rebuilder_in(store.unwrap_or(&own));
        command.envs(self.variables.clone());
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.folder.path().join(format!("worker-{name}.log")))
            .unwrap();
        command
            .args([
                "worker",
                "--server",
                &format!("http://127.0.0.1:{}", self.port),
                "--token-file",
            ])
            .arg(self.token(name))
            .args(arguments)
            .stderr(log)
            .stdout(Stdio::null());
        command.spawn().unwrap()
    }

    pub fn jobs(&self, state: &str) -> i64 {
        self.operator(&["queue", "status"])["jobs"][state]
            .as_i64()
            .unwrap_or(0)
    }

    /// Waits until no job waits or runs.
    pub fn drained(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            let status = self.operator(&["queue", "status"]);
            let open = ["ready", "later", "running"]
                .iter()
                .map(|state| status["jobs"][state].as_i64().unwrap_or(0));
            if open.sum::<i64>() == 0 {
                return true;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    }

    pub fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["--silent", "--max-time", "10", "--write-out", "\n%{http_code}"]);
        if let Some(token) = token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        let output = command
            .arg(format!("http://127.0.0.1:{}{path}", self.port))
            .output()
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        let (body, status) = answer.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

pub fn end(mut worker: Child, with: Signal) {
    signal(&worker, with);
    let _ = worker.wait();
}

#[apply(test)]
fn jobs_find_workers_and_a_stranger_finds_nothing() {
    let service = Service::start(None, &[]);
    let worker = service.worker("one", None, &["--jobs", "4"]);
    service.operator(&["queue", "probe", "--count", "20"]);
    assert!(service.drained(Duration::from_secs(30)));
    let status = service.operator(&["queue", "status"]);
    assert_eq!(
        (&status["jobs"]["done"], &status["verdicts"]["probed"]),
        (&20.into(), &20.into())
    );

    let token = std::fs::read_to_string(service.token("one")).unwrap();
    let metrics = service.operator(&["serve", "token", "add", "prometheus", "--scope", "metrics"]);
    for (path, token, expected) in [
        ("/health/live", None, 200),
        ("/health/ready", None, 200),
        ("/metrics", None, 401),
        ("/metrics", Some("rbw_00"), 401),
        ("/metrics", Some(token.as_str()), 403),
        ("/metrics", metrics["token"].as_str(), 200),
        ("/api/worker/v1/nothing", Some(token.as_str()), 404),
    ] {
        assert_eq!(service.get(path, token).0, expected, "{path}");
    }
    let (_, page) = service.get("/metrics", metrics["token"].as_str());
    assert!(page.contains("rebuilder_jobs{state=\"done\"} 20\n"), "{page}");
    assert!(page.contains("rebuilder_jobs_ended_total 20\n"), "{page}");

    // A revoked token ends its worker.
    service.operator(&["serve", "token", "revoke", "one"]);
    let mut worker = worker;
    wait_until("the worker ends", Duration::from_secs(40), || {
        worker.try_wait().unwrap().is_some()
    });
    assert_eq!(worker.wait().unwrap().code(), Some(2));
    let log = std::fs::read_to_string(service.folder.path().join("worker-one.log")).unwrap();
    assert!(log.contains("the server does not accept the token"), "{log}");
}

#[apply(test)]
fn a_worker_that_drains_ends_what_it_has_begun() {
    let service = Service::start(None, &[]);
    service.operator(&["queue", "probe", "--count", "6", "--lasting", "1500"]);
    let mut worker = service.worker("one", None, &["--jobs", "2"]);
    wait_until("two jobs run", Duration::from_secs(20), || {
        service.jobs("running") == 2
    });
    signal(&worker, Signal::SIGTERM);
    assert!(worker.wait().unwrap().success());
    assert_eq!((service.jobs("done"), service.jobs("ready")), (2, 4));

    // With a second signal it gives back what runs, at once and without a lost attempt.
    let mut worker = service.worker("one", None, &["--jobs", "2"]);
    wait_until("two jobs run", Duration::from_secs(20), || {
        service.jobs("running") == 2
    });
    for _ in 0..2 {
        signal(&worker, Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(worker.wait().unwrap().success());
    assert_eq!((service.jobs("done"), service.jobs("ready")), (2, 4));
    let listed = service.operator(&["queue", "list"]);
    assert!(
        listed["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|job| job["lost"] == 0),
        "{listed}"
    );
}

#[apply(test)]
fn a_running_job_is_called_off() {
    let service = Service::start(None, &[]);
    service.operator(&["queue", "probe", "--count", "1", "--lasting", "600000"]);
    let worker = service.worker("one", None, &[]);
    wait_until("it runs", Duration::from_secs(20), || {
        service.jobs("running") == 1
    });
    let job = service.operator(&["queue", "list"])["jobs"][0]["id"].to_string();
    let begun = Instant::now();
    service.operator(&["queue", "cancel", &job]);
    wait_until("it ends", Duration::from_secs(10), || {
        service.jobs("cancelled") == 1
    });
    println!("cancelled after {:?}", begun.elapsed());
    // The worker is free for the next one.
    service.operator(&["queue", "probe", "--count", "3"]);
    assert!(service.drained(Duration::from_secs(20)));
    end(worker, Signal::SIGTERM);
}

#[apply(test)]
fn a_worker_tells_at_once_what_it_cannot_use() {
    let service = Service::start(None, &[]);
    let token = service.token("one");
    let open = service.folder.path().join("open");
    std::fs::write(&open, "rbw_x").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = |server: &str, token: &Path, more: &[&str]| {
        let mut command = rebuilder_in(&common::store());
        command
            .args(["worker", "--server", server, "--token-file"])
            .arg(token)
            .args(more);
        let output = command.output().unwrap();
        (code(&output), text(&output))
    };
    for (server, token, more, expected) in [
        (
            "http://192.0.2.1",
            &token,
            &[][..],
            "others on the network could read it",
        ),
        ("ftp://localhost", &token, &[], "as the address of a server"),
        ("http://localhost:1", &open, &[], "every user can read it"),
        (
            "http://localhost:1",
            &token,
            &["--", "--no-such-option"],
            "--no-such-option",
        ),
        ("http://localhost:1", &token, &["--", "--out", "x"], "--out"),
    ] {
        let (code, text) = run(server, token, more);
        assert!(code == 2 && text.contains(expected), "{code} {text}");
    }
}
