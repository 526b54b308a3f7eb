//! A PostgreSQL of our own, in a temporary folder and on a socket in it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::is_root;
use crate::common::Need;

pub const POSTGRES: Need = Need {
    what: "PostgreSQL (initdb and postgres)",
    there: || programs().is_some(),
};

/// The folder of its programs; Debian keeps them out of PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let others = std::env::var_os("PATH").unwrap_or_default();
    let others: Vec<_> = std::env::split_paths(&others).collect();
    let mut all = debian.chain(others);
    all.find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// A running server, ended when this is dropped.
pub struct Postgres {
    server: Child,
    folder: tempfile::TempDir,
}

/// A certificate of a server, with its key, in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Postgres {
    pub fn start() -> Self {
        Self::begin(None).0
    }

    /// Starts one that is reached over TLS alone, except on its socket. Returns its port.
    pub fn start_with_tls(identity: &Identity) -> (Self, u16) {
        Self::begin(Some(identity))
    }

    fn begin(identity: Option<&Identity>) -> (Self, u16) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        // It refuses to be root.
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        if is_root() {
            for path in [folder.path(), &data] {
                nix::unistd::chown(path, Some(nobody.uid), Some(nobody.gid)).unwrap();
            }
        }
        let place = folder.path().to_owned();
        let program = |name: &str| {
            let mut command = Command::new(programs().unwrap().join(name));
            if is_root() {
                command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
            }
            command.current_dir(&place).env_clear().env("LC_ALL", "C.UTF-8");
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let mut made = program("initdb");
        made.args([
            "--no-sync",
            "--auth=trust",
            "--username=tests",
            "-E",
            "UTF8",
            "-D",
        ]);
        assert!(made.arg(&data).status().unwrap().success(), "initdb failed");
        let mut postgres = program("postgres");
        postgres.arg("-D").arg(&data);
        postgres.args(["-c", "unix_socket_directories=.."]);
        let mut port = 0;
        if let Some(identity) = identity {
            let hba = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
            for (name, text) in [
                ("pg_hba.conf", hba),
                ("server.crt", identity.certificate.as_str()),
                ("server.key", identity.key.as_str()),
            ] {
                let path = data.join(name);
                std::fs::write(&path, text).unwrap();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(&path, mode).unwrap();
                if is_root() {
                    nix::unistd::chown(&path, Some(nobody.uid), Some(nobody.gid)).unwrap();
                }
            }
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            port = free.local_addr().unwrap().port();
            drop(free);
            postgres.args(["-c", "ssl=on", "-c", "listen_addresses=127.0.0.1", "-p"]);
            postgres.arg(port.to_string());
        } else {
            postgres.args(["-c", "listen_addresses="]);
        }
        let server = postgres.spawn().unwrap();
        let server = Self { server, folder };
        let begun = Instant::now();
        // Its socket is there before it takes connections.
        let ready = || {
            let mut asked = program("pg_isready");
            asked.args(["--quiet", "-h"]).arg(&place);
            if port != 0 {
                asked.args(["-p", &port.to_string()]);
            }
            asked.status().is_ok_and(|status| status.success())
        };
        while !ready() {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "PostgreSQL does not start"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        (server, port)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        let socket = self.folder().display().to_string().replace('/', "%2F");
        format!("postgres://tests@{socket}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Immediate shutdown; its children end with it.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.server.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.server.wait();
    }
}
