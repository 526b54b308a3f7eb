//! A PostgreSQL of our own: an ordinary user's, in a temporary folder, on a socket that nobody else sees.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where Debian and others keep its programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path));
    let has_all = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_isready"]
            .iter()
            .all(|program| folder.join(program).exists())
    };
    found.into_iter().rev().find(has_all)
}

pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    server: Option<Child>,
}

impl Postgres {
    /// A new one; the test that asks is skipped if this machine has none.
    pub fn start() -> Self {
        let Some(programs) = programs() else {
            common::skip("PostgreSQL (postgres, initdb)")
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        if nix::unistd::geteuid().is_root() {
            let Some(user) = common::ordinary_user() else {
                common::skip(common::ORDINARY_USER.what)
            };
            chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        let mut postgres = Self {
            folder,
            programs,
            server: None,
        };
        let made = postgres
            .command("initdb")
            .args([
                "--no-locale",
                "--encoding=UTF8",
                "--auth=trust",
                "--username=rebuilder",
                "-D",
            ])
            .arg(postgres.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", common::text(&made));
        postgres.up();
        postgres
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/").stdin(Stdio::null());
        if nix::unistd::geteuid().is_root()
            && let Some(user) = common::ordinary_user()
        {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    /// Starts it, and waits until it answers.
    pub fn up(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let server = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=50"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(server);
        let begun = Instant::now();
        while !self.answers() {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "PostgreSQL does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let mut command = self.command("pg_isready");
        let asked = command
            .arg("-h")
            .arg(self.folder.path())
            .args(["-U", "rebuilder"])
            .output();
        asked.unwrap().status.success()
    }

    /// Ends it; `at_once` as a power cut would.
    pub fn down(&mut self, at_once: bool) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let signal = if at_once { Signal::SIGQUIT } else { Signal::SIGINT };
        let _ = kill(Pid::from_raw(server.id().try_into().unwrap()), signal);
        let _ = server.wait();
    }

    pub fn url(&self) -> String {
        format!(
            "postgres://rebuilder@localhost/postgres?host={}",
            path(self.folder.path())
        )
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.down(true);
    }
}
