//! Clients of rebuilderd, unmodified from their registry, read a server that holds a package which was really rebuilt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use rebuilder::artifact::Sha256;

use super::ask;
use crate::common::{self, NETWORK, SANDBOX, code, needs, text};
use crate::harness::skip_by_hand;
use crate::queue::agreement::{Signer, own};
use crate::queue::service::{Service, end, wait_until};

/// The folder with the clients' programs: `cargo install --locked debian-repro-status@0.4.0 repro-threshold@0.1.2
/// rebuildctl@0.28.0 --root FOLDER`.
fn clients() -> PathBuf {
    let folder = std::env::var_os("REBUILDER_CLIENTS").map(PathBuf::from);
    folder.unwrap_or_else(|| {
        skip_by_hand(
            "REBUILDER_CLIENTS, a folder with bin/ of debian-repro-status, repro-threshold and rebuildctl",
        )
    })
}

struct Clients<'a> {
    programs: PathBuf,
    service: &'a Service,
    home: &'a Path,
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
    let keys = ask(&service, "/api/v1/meta/public-keys", &[]).json();
    let ours = home.path().join("ours.pem");
    fs::write(&ours, keys["current"][0].as_str().unwrap()).unwrap();
    let verify = |file: &Path, threshold: &str| {
        let (file, url, ours) = (file.to_str().unwrap(), service.url(), ours.to_str().unwrap());
        let output = clients.run(
            "repro-threshold",
            &[
                "plumbing", "verify", "-R", &url, "-S", ours, "-t", threshold, file,
            ],
        );
        (code(&output), text(&output))
    };
    let accepted = verify(&deb, "1");
    assert_eq!(accepted.0, 0, "{}", accepted.1);
    // One rebuilder is not two.
    assert_ne!(verify(&deb, "2").0, 0);
    fs::write(&deb, [bytes.as_slice(), b"x"].concat()).unwrap();
    assert_ne!(verify(&deb, "1").0, 0);

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
}
