//! Clients of rebuilderd, unmodified from their registry, read a server that holds a package which was really rebuilt; and
//! rebuilderd itself rebuilds it with this program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use rebuilder::artifact::Sha256;
use serde_json::Value;

use super::ask;
use super::beside::{self, Rebuilderd};
use crate::common::http::{Reply, Server};
use crate::common::{self, NETWORK, SANDBOX, code, needs, skip_part, text};
use crate::harness::skip_by_hand;
use crate::queue::agreement::{Signer, own};
use crate::queue::service::{Service, end, wait_until};

/// The folder with the clients' programs: `cargo install --locked debian-repro-status@0.4.0 repro-threshold@0.1.2
/// rebuildctl@0.28.0 rebuilderd@0.28.0 rebuilderd-worker@0.28.0 --root FOLDER`. The last two may be missing.
pub fn clients() -> PathBuf {
    let folder = std::env::var_os("REBUILDER_CLIENTS").map(PathBuf::from);
    folder.unwrap_or_else(|| {
        skip_by_hand(
            "REBUILDER_CLIENTS, a folder with bin/ of debian-repro-status, repro-threshold and rebuildctl",
        )
    })
}

pub struct Clients<'a> {
    pub programs: PathBuf,
    pub service: &'a Service,
    pub home: &'a Path,
}

impl Clients<'_> {
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join("bin").join(program));
        command
            .env_clear()
            .env("HOME", self.home)
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.args(arguments).output().unwrap()
    }

    fn prints(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        assert_eq!(code(&output), 0, "{program} {arguments:?}: {}", text(&output));
        text(&output)
    }

    fn control(&self, arguments: &[&str]) -> String {
        let url = self.service.url();
        self.prints(
            "rebuildctl",
            &[&["--endpoint", url.as_str()][..], arguments].concat(),
        )
    }

    /// The file with the key of this server's signer, or with another one if it has none.
    pub fn key(&self) -> PathBuf {
        let file = self.home.join("ours.pem");
        let keys = ask(self.service, "/api/v1/meta/public-keys", &[]).json();
        let other = || {
            let pem = self.home.join("other.pem");
            let mut command = common::rebuilder();
            command.env("XDG_CONFIG_HOME", self.home);
            let made = command
                .args(["key", "generate", "--to"])
                .arg(&pem)
                .output()
                .unwrap();
            assert_eq!(code(&made), 0, "{}", text(&made));
            let mut command = common::rebuilder();
            let shown = command
                .args(["key", "public", "--in-toto", "--key"])
                .arg(&pem)
                .output();
            String::from_utf8(shown.unwrap().stdout).unwrap()
        };
        let key = keys["current"][0].as_str().map_or_else(other, str::to_owned);
        fs::write(&file, key).unwrap();
        file
    }

    /// Whether so many of these rebuilders attest the file: the exit code, and what was printed.
    pub fn verifies(
        &self,
        file: &Path,
        rebuilders: &[&str],
        keys: &[&Path],
        threshold: &str,
    ) -> (i32, String) {
        let mut arguments = vec!["plumbing", "verify", "-t", threshold];
        arguments.extend(rebuilders.iter().flat_map(|url| ["-R", url]));
        arguments.extend(keys.iter().flat_map(|key| ["-S", key.to_str().unwrap()]));
        arguments.push(file.to_str().unwrap());
        let output = self.run("repro-threshold", &arguments);
        (code(&output), text(&output))
    }
}

#[apply(test)]
fn stock_clients_count_this_server_as_a_rebuilder() {
    needs(&[NETWORK, SANDBOX]);
    let programs = clients();
    let signer = Signer::start(&["--agree", "1", "--relay", &own()]);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (socket, runs) = (path(&signer.place("socket")), path(&signer.place("runs")));
    let key = path(&signer.place("keys/key.pem.pub"));
    let options = [
        "--signer",
        socket.as_str(),
        "--runs",
        runs.as_str(),
        "--links",
        "--public",
        "--public-key",
        key.as_str(),
    ];
    let service = Service::start_with_lease(None, "60", &options);
    let worker = service.worker("one", Some(&common::store()), &[]);
    service.operator(&["queue", "add", "deb:base-files"]);
    wait_until("the run is signed", Duration::from_mins(8), || {
        let status = service.operator(&["queue", "status"]);
        assert_eq!(
            status["signing"].get("refused"),
            None,
            "{}",
            service.operator(&["queue", "list"])
        );
        status["signing"]["signed"] == 1
    });
    wait_until("the link is served", Duration::from_secs(30), || {
        ask(&service, "/api/v0/builds/1/attestation", &[]).status == 200
    });
    let home = tempfile::tempdir().unwrap();
    let clients = Clients {
        programs,
        service: &service,
        home: home.path(),
    };
    let all = ask(&service, "/api/v1/packages/binary?name=base-files", &[]).json();
    let record = &all["records"][0];
    let (version, arch) = (
        record["version"].as_str().unwrap(),
        record["architecture"].as_str().unwrap(),
    );

    // What Debian's users see of their machine.
    let installed = home.path().join("dpkg");
    fs::write(
        &installed,
        format!("installed base-files {arch} {version}\ninstalled tar amd64 1.34+dfsg-1.2\n"),
    )
    .unwrap();
    let url = service.url();
    let status = [
        "-H",
        url.as_str(),
        "--dpkg-query-output",
        installed.to_str().unwrap(),
    ];
    let printed = text(&clients.run("debian-repro-status", &status));
    assert!(
        printed.contains(&format!("base-files {arch} {version} GOOD")),
        "{printed}"
    );
    assert!(printed.contains("tar amd64 1.34+dfsg-1.2 UNKWN"), "{printed}");

    // What apt asks before it installs: the file as it was released, and the same with a byte more.
    let link = ask(&service, "/api/v0/builds/1/attestation", &[]).json();
    let (name, digests) = link["signed"]["products"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    let hex = digests["sha256"].as_str().unwrap();
    let rebuilt = service.store().join("artifacts/sha256").join(&hex[..2]).join(hex);
    let bytes = fs::read(rebuilt).unwrap();
    assert_eq!(Sha256::of(&bytes).to_hex(), hex);
    let deb = home.path().join(name);
    fs::write(&deb, &bytes).unwrap();
    let ours = clients.key();
    let verify = |threshold: &str| clients.verifies(&deb, &[&url], &[&ours], threshold);
    let accepted = verify("1");
    assert_eq!(accepted.0, 0, "{}", accepted.1);
    // One rebuilder is not two.
    assert_ne!(verify("2").0, 0);
    fs::write(&deb, [bytes.as_slice(), b"x"].concat()).unwrap();
    assert_ne!(verify("1").0, 0);
    fs::write(&deb, &bytes).unwrap();

    let listed = clients.control(&["pkgs", "ls"]);
    assert!(
        listed.contains("base-files") && listed.contains(version),
        "{listed}"
    );
    let attested = clients.control(&["pkgs", "attestation", "--name", "base-files"]);
    assert!(attested.contains(hex), "{attested}");
    let log = clients.control(&["pkgs", "log", "--name", "base-files"]);
    assert!(log.contains("dpkg"), "{log}");
    clients.control(&["queue", "ls"]);
    end(worker, Signal::SIGTERM);
    if Rebuilderd::is_in(&clients.programs) {
        another_rebuilder_agrees(&clients, &deb, record);
    } else {
        skip_part("rebuilderd and rebuilderd-worker in REBUILDER_CLIENTS");
    }
}

/// rebuilderd's worker builds the same package with this program, its daemon shows the result, and apt's transport finds the two
/// that it was told to ask for.
fn another_rebuilder_agrees(clients: &Clients<'_>, deb: &Path, record: &Value) {
    let theirs = Rebuilderd::start(&clients.programs, &beside::backend());
    let of = |field: &str| record[field].as_str().unwrap();
    let (name, version, arch) = (of("name"), of("version"), of("architecture"));
    let limit = Duration::from_mins(8);
    let found = theirs.rebuilds(name, version, arch, of("url"), limit);
    assert_eq!(found["status"], "GOOD", "{found}\n{}", theirs.log());
    let log = theirs.build_log(&found["build_id"]);
    assert!(log.contains("dpkg") && log.contains("reproduced"), "{log}");
    let (ours, key) = (clients.key(), theirs.key());
    let both = (clients.service.url(), theirs.url());
    let verify = |rebuilders: &[&str]| clients.verifies(deb, rebuilders, &[&ours, &key], "2");
    let accepted = verify(&[&both.0, &both.1]);
    assert_eq!(accepted.0, 0, "{}", accepted.1);
    for one in [&both.0, &both.1] {
        let refused = verify(&[one]);
        assert!(refused.1.contains("only 1/2"), "{}", refused.1);
    }
    // A package that cannot be rebuilt is one about which nothing is known, and not a bad one.
    let unknown = beside::package(clients.home, "not-in-the-archive", "1.0");
    let released = Server::new(move |_| Reply::ok(unknown.clone()));
    let url = format!("{}/not-in-the-archive_1.0_amd64.deb", released.url());
    let missing = theirs.rebuilds("not-in-the-archive", "1.0", "amd64", &url, limit);
    assert_ne!(missing["status"], "BAD", "{missing}");
    let build = &missing["build_id"];
    assert_eq!(
        theirs.get(&format!("/api/v1/builds/{build}"))["status"],
        "FAIL",
        "{missing}"
    );
}
