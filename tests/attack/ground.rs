//! Where the cases are tried: a user, a backend, a store of that user's, and a folder for what the attacker brings.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use super::common::{self, BIN};

/// Under whose name the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Root,
    User,
}

const USER: &str = "rebuilder-attacked";

/// One case's place.
pub struct Ground {
    pub who: Who,
    pub backend: &'static str,
    folder: tempfile::TempDir,
}

/// The ordinary user that the tests make for themselves; the tests must be root's for that.
pub fn no_ordinary_user() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    let ready = READY.get_or_init(|| {
        if !common::is_root() {
            return false;
        }
        if nix::unistd::User::from_name(USER).ok().flatten().is_none() {
            let _ = Command::new("useradd").args(["--create-home", USER]).status();
        }
        let found = nix::unistd::User::from_name(USER).ok().flatten().is_some();
        found
            && Command::new("newuidmap").output().is_ok()
            && Command::new("setpriv").arg("--version").output().is_ok()
    });
    !ready && common::skip("a user with subordinate ids, newuidmap and setpriv")
}

impl Ground {
    pub fn new(who: Who, backend: &'static str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("attack-")
            .tempdir_in("/var/tmp")
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let ground = Self { who, backend, folder };
        if let Some(user) = ground.user() {
            chown(ground.folder(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        ground
    }

    fn user(&self) -> Option<nix::unistd::User> {
        match self.who {
            Who::Root => None,
            Who::User => nix::unistd::User::from_name(USER).unwrap(),
        }
    }

    /// A folder of this case, which the program's user may write.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The store: shared by the cases of one user, so that roots are made once.
    pub fn store(&self) -> PathBuf {
        match self.who {
            Who::Root => common::store(),
            Who::User => {
                let home = self.user().unwrap().dir;
                let store = home.join("store");
                if !store.exists() {
                    common::store_without(&store, "");
                    let user = self.user().unwrap();
                    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
                    // Files are the user's own copies: hard links into root's store would be root's.
                    for entry in walkdir::WalkDir::new(&store).into_iter().flatten() {
                        if entry.file_type().is_file() {
                            let copy = entry.path().with_extension("copy");
                            fs::copy(entry.path(), &copy).unwrap();
                            fs::rename(&copy, entry.path()).unwrap();
                        }
                        chown(entry.path(), Some(uid), Some(gid)).unwrap();
                    }
                }
                store
            }
        }
    }

    /// A program, run as this case's user with an environment of its own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var_os("PATH").unwrap();
        let mut command;
        if let Some(user) = self.user() {
            command = Command::new("setpriv");
            command
                .arg(format!("--reuid={}", user.uid))
                .arg(format!("--regid={}", user.gid))
                .args(["--init-groups", "--"])
                .arg(program);
            command.env_clear().env("HOME", &user.dir);
        } else {
            command = Command::new(program);
            command.env_clear().env("HOME", common::home());
        }
        command.env("PATH", path).current_dir("/");
        for name in ["DOCKER_HOST", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// The program under attack, with this case's store.
    pub fn rebuilder(&self) -> Command {
        let mut command = self.command(program());
        command.arg("--store").arg(self.store()).arg("--quiet");
        command
    }

    /// Runs `script` in a container of the definition `bookworm-build`, with these files as inputs.
    pub fn container(&self, inputs: &[&Path], script: &str) -> Output {
        let mut command = self.rebuilder();
        command.args(["container", "run", "bookworm-build", "--backend", self.backend]);
        for input in inputs {
            command.arg("--input").arg(input);
        }
        command.args(["--", "sh", "-c", script]).output().unwrap()
    }

    /// Follows `plan` with `script` as its only build step.
    pub fn rebuild(&self, plan: &Value, script: &str) -> Output {
        let mut plan = plan.clone();
        plan["build"]["steps"] = serde_json::json!([{"name": "test", "run": script}]);
        let file = self.write("plan.json", plan.to_string());
        let mut command = self.rebuilder();
        command.args(["rebuild", "--backend", self.backend, "--plan"]);
        command
            .arg(&file)
            .arg("--out")
            .arg(self.folder().join("run"))
            .output()
            .unwrap()
    }

    /// A file of this case, readable by everyone.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        if let Some(user) = self.user() {
            chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        path
    }

    /// A C program, compiled for the attacker.
    pub fn compile(&self, name: &str, source: &str, options: &[&str]) -> PathBuf {
        let code = self.write(&format!("{name}.c"), source);
        let program = self.folder().join(name);
        let output = Command::new("gcc")
            .args(["-O1", "-w", "-o"])
            .arg(&program)
            .arg(&code)
            .args(options)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", common::text(&output));
        program
    }
}

/// The binary at a place that every user reaches.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = PROGRAM.get_or_init(|| {
        let folder = tempfile::Builder::new()
            .prefix("attacked-")
            .tempdir_in("/var/tmp")
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("rebuilder");
        fs::copy(BIN, &path).unwrap();
        (folder, path)
    });
    path
}

/// Nothing gained, or what was.
pub fn must(holds: bool, gained: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(gained.into()) }
}
