//! rebuilderd's own daemon and worker, unmodified from their registry, beside a server of ours: as a second rebuilder for those
//! who ask two, and with this program as the worker's backend.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::ask;
use super::clients::{Clients, clients};
use super::seed::server;
use crate::common::http::{Reply, Server};
use crate::common::{self, BIN};
use crate::queue::service::wait_until;

const COOKIE: &str = "a cookie of the administrator";

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon of rebuilderd with one worker.
pub struct Rebuilderd {
    folder: tempfile::TempDir,
    port: u16,
    _processes: [Process; 2],
}

impl Rebuilderd {
    /// Whether these programs are in the folder, too.
    pub fn is_in(programs: &Path) -> bool {
        ["rebuilderd", "rebuilderd-worker"]
            .iter()
            .all(|name| programs.join("bin").join(name).exists())
    }

    /// `backend` is what the worker runs for Debian packages.
    pub fn start(programs: &Path, backend: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        fs::write(place("cookie"), COOKIE).unwrap();
        fs::write(
            place("daemon.conf"),
            format!("[http]\nbind_addr = \"127.0.0.1:{port}\"\n[worker]\nsignup_secret = \"secret\"\n"),
        )
        .unwrap();
        fs::write(
            place("worker.conf"),
            format!(
                "endpoint = \"http://127.0.0.1:{port}\"\nsignup_secret = \"secret\"\nsupported_architectures = [\"amd64\"]\n\
                idle_delay = 1\n[backend.\"debian\"]\npath = \"{}\"\n",
                backend.display()
            ),
        )
        .unwrap();
        // The worker's backend finds this program by its name.
        fs::create_dir(place("bin")).unwrap();
        std::os::unix::fs::symlink(BIN, place("bin/rebuilder")).unwrap();
        let path = format!("{}:{}", place("bin").display(), std::env::var("PATH").unwrap());
        let run = |program: &str, arguments: &[&str]| {
            fs::create_dir_all(place(program)).unwrap();
            let log = File::create(place(&format!("{program}.log"))).unwrap();
            let mut command = Command::new(programs.join("bin").join(program));
            command
                .args(arguments)
                .current_dir(place(program))
                .env_clear()
                .env("PATH", &path)
                .env("HOME", folder.path())
                .env("REBUILDERD_COOKIE_PATH", place("cookie"))
                .env("REBUILDER_STORE", common::store());
            if let Some(containers) = common::containers() {
                command.env("REBUILDER_CONTAINERS", containers);
            }
            command
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log);
            Process(command.spawn().unwrap())
        };
        let config = |name: &str| place(name).to_str().unwrap().to_owned();
        let daemon = run("rebuilderd", &["--config", &config("daemon.conf")]);
        wait_until("the daemon listens", Duration::from_secs(30), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let worker = run(
            "rebuilderd-worker",
            &["--config", &config("worker.conf"), "connect"],
        );
        Self {
            folder,
            port,
            _processes: [daemon, worker],
        }
    }

    /// By a name of its own, for clients that count one vote for each.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    fn curl(&self, path: &str, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--fail",
            "--globoff",
            "--max-time",
            "20",
        ]);
        command.args(arguments).arg(format!("{}{path}", self.url()));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{path}: {output:?}");
        output.stdout
    }

    pub fn get(&self, path: &str) -> Value {
        serde_json::from_slice(&self.curl(path, &[])).unwrap()
    }

    /// Has one package rebuilt that is at this address, and returns what the daemon then says of it.
    pub fn rebuilds(&self, name: &str, version: &str, arch: &str, url: &str, limit: Duration) -> Value {
        let package =
            json!({"name": name, "version": version, "component": "main", "architecture": arch, "url": url});
        let report = json!({"distribution": "debian", "release": "bookworm", "architecture": "amd64",
            "packages": [{"name": name, "version": version, "url": url, "artifacts": [package]}]});
        let cookie = format!("X-Auth-Cookie: {COOKIE}");
        self.curl(
            "/api/v1/packages",
            &[
                "--header",
                &cookie,
                "--header",
                "Content-Type: application/json",
                "--data-binary",
                &report.to_string(),
            ],
        );
        let record = || self.get(&format!("/api/v1/packages/binary?name={name}"))["records"][0].clone();
        wait_until("rebuilderd's worker has built it", limit, || {
            record()["status"].is_string() || record()["build_id"].is_number()
        });
        record()
    }

    /// The file with the key of its attestations.
    pub fn key(&self) -> PathBuf {
        let keys = self.get("/api/v1/meta/public-keys");
        let file = self.folder.path().join("theirs.pem");
        fs::write(&file, keys["current"][0].as_str().unwrap()).unwrap();
        file
    }

    /// What the worker said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("rebuilderd-worker.log")).unwrap()
    }

    /// The log of a build, as the daemon has it.
    pub fn build_log(&self, build: &Value) -> String {
        String::from_utf8_lossy(&self.curl(&format!("/api/v1/builds/{build}/log"), &[])).into_owned()
    }
}

/// The script that an operator of rebuilderd uses.
pub fn backend() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rebuilderd/backend.sh")
}

/// A package that is nothing but its name.
pub fn package(folder: &Path, name: &str, version: &str) -> Vec<u8> {
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\nDescription: nothing\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let deb = folder.join("package.deb");
    let built = Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .args([&tree, &deb])
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    fs::read(deb).unwrap()
}

/// A rebuilder that copies what was released is one voice, and this server does not lend it another.
#[apply(test)]
fn a_package_that_this_server_calls_bad_does_not_reach_a_threshold_of_two() {
    let programs = clients();
    if !Rebuilderd::is_in(&programs) {
        crate::harness::skip_by_hand("rebuilderd and rebuilderd-worker in REBUILDER_CLIENTS");
    }
    let (name, version) = ("tar", "4.3-2+deb12u1");
    let service = server(&["--public"]);
    let found = ask(&service, &format!("/api/v1/packages/binary?name={name}"), &[]).json();
    assert_eq!(found["records"][0]["status"], "BAD", "{found}");

    let home = tempfile::tempdir().unwrap();
    let bytes = package(home.path(), name, version);
    let released = Server::new({
        let bytes = bytes.clone();
        move |_| Reply::ok(bytes.clone())
    });
    let copies = home.path().join("copies.sh");
    fs::write(
        &copies,
        "#!/bin/sh\ncp \"$(dirname \"$1\")\"/*.deb \"$REBUILDERD_OUTDIR\"\n",
    )
    .unwrap();
    fs::set_permissions(&copies, fs::Permissions::from_mode(0o755)).unwrap();
    let file = format!("{name}_{version}_amd64.deb");
    let theirs = Rebuilderd::start(&programs, &copies);
    let url = format!("{}/{file}", released.url());
    let record = theirs.rebuilds(name, version, "amd64", &url, Duration::from_mins(1));
    assert_eq!(record["status"], "GOOD", "{record}\n{}", theirs.log());

    let deb = home.path().join(file);
    fs::write(&deb, bytes).unwrap();
    let clients = Clients {
        programs,
        service: &service,
        home: home.path(),
    };
    let ours = clients.key();
    let verify = |threshold: &str| {
        clients.verifies(
            &deb,
            &[&service.url(), &theirs.url()],
            &[&ours, &theirs.key()],
            threshold,
        )
    };
    let one = verify("1");
    assert_eq!(one.0, 0, "{}", one.1);
    let two = verify("2");
    assert!(two.0 != 0 && two.1.contains("only 1/2"), "{}", two.1);
}
