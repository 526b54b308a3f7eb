//! Where the cases are tried: a user, a backend, a store of that user's, and a folder for what the attacker brings.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};

use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use crate::common::{self, BIN};

/// Under whose name the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Root,
    User,
}

/// One case's place.
pub struct Ground {
    pub who: Who,
    pub backend: &'static str,
    /// The engine's address, where the backend uses one.
    engine: Option<String>,
    folder: tempfile::TempDir,
    /// Whether the store is this case's alone.
    apart: bool,
}

impl Ground {
    pub fn new(who: Who, backend: &'static str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("attack-")
            .tempdir_in("/var/tmp")
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        honest();
        let ground = Self {
            who,
            backend,
            engine: None,
            folder,
            apart: false,
        };
        if let Some(user) = ground.user() {
            chown(ground.folder(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        ground
    }

    /// The same place, with another engine than `DOCKER_HOST` names.
    pub fn on(mut self, engine: Option<&str>) -> Self {
        self.engine = engine.map(str::to_owned);
        self
    }

    /// The address of the engine.
    pub fn engine(&self) -> String {
        let named = self.engine.clone().or_else(|| std::env::var("DOCKER_HOST").ok());
        named.unwrap_or_else(|| "unix:///var/run/docker.sock".into())
    }

    pub fn is_root(&self) -> bool {
        self.who == Who::Root
    }

    fn user(&self) -> Option<nix::unistd::User> {
        match self.who {
            Who::Root => None,
            Who::User => common::ordinary_user(),
        }
    }

    /// A folder of this case, which the program's user may write.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same with a store of its own, for cases that spoil theirs.
    pub fn apart(&self) -> Self {
        let apart = Self::new(self.who, self.backend);
        Self {
            apart: true,
            engine: self.engine.clone(),
            ..apart
        }
    }

    /// The store: shared by the cases of one user, so that roots are made once.
    pub fn store(&self) -> PathBuf {
        if self.apart {
            return self.folder().join("data");
        }
        match self.who {
            Who::Root => common::store(),
            Who::User => {
                // The suites of this user on two backends begin at the same time.
                static MADE: Mutex<()> = Mutex::new(());
                let _made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
                let home = self.user().unwrap().dir;
                let store = home.join("store");
                if !store.exists() {
                    let new = home.join("store.new");
                    let _ = fs::remove_dir_all(&new);
                    common::store_without(&new, "");
                    self.own(&new);
                    fs::rename(&new, &store).unwrap();
                }
                store
            }
        }
    }

    /// A program, run as this case's user with an environment of its own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut path = std::env::var_os("PATH").unwrap();
        let mut command;
        if let Some(user) = self.user() {
            command = Command::new("setpriv");
            command
                .arg(format!("--reuid={}", user.uid))
                .arg(format!("--regid={}", user.gid))
                .args(["--init-groups", "--"])
                .arg(program);
            command.env_clear().env("HOME", &user.dir);
            // What root has installed for itself is not there for others.
            path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into();
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
        if let Some(engine) = &self.engine {
            command.env("DOCKER_HOST", engine);
        }
        command
    }

    /// The program under attack, with this case's store.
    pub fn rebuilder(&self) -> Command {
        let mut command = self.command(self.program());
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

    /// A real plan, made once, to be changed by cases.
    pub fn plan(&self) -> Value {
        static PLAN: OnceLock<Value> = OnceLock::new();
        PLAN.get_or_init(|| common::plan("pypi:idna==3.10")).clone()
    }

    /// Follows a plan whose only step is `script`, on a root made of these layers: what an image would bring.
    pub fn on_image(&self, layers: &[Vec<u8>], script: &str) -> Output {
        self.on_image_in(layers, script, None)
    }

    /// The same, with these variables instead of the plan's.
    pub fn on_image_in(&self, layers: &[Vec<u8>], script: &str, env: Option<Value>) -> Output {
        let image = self.image(layers);
        let mut plan = self.plan();
        if let Some(env) = env {
            plan["build"]["env"] = env;
        }
        plan["container"] = json!({ "image": image });
        plan["setup"]["steps"] = json!([]);
        plan["inputs"] = json!([]);
        self.rebuild(&plan, script)
    }

    /// The log of the last build in this case.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder().join("run/build.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Puts an image into the store, as a pull would have; gives what pins it.
    fn image(&self, layers: &[Vec<u8>]) -> Value {
        let mut listed = Vec::new();
        let mut diffs = Vec::new();
        for layer in layers {
            diffs.push(format!("sha256:{}", Sha256::of(layer)));
            let digest = self.blob(layer);
            let kind = if layer.starts_with(&[0x1f, 0x8b]) {
                "tar+gzip"
            } else {
                "tar"
            };
            listed.push(
                json!({"mediaType": format!("application/vnd.oci.image.layer.v1.{kind}"),
                               "digest": format!("sha256:{digest}"), "size": layer.len()}),
            );
        }
        let config = json!({"architecture": "amd64", "os": "linux", "config": {},
                            "rootfs": {"type": "layers", "diff_ids": diffs}})
        .to_string();
        let digest = self.blob(config.as_bytes());
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                       "digest": format!("sha256:{digest}"), "size": config.len()},
            "layers": listed})
        .to_string();
        json!({"repository": "docker.io/library/evil", "digest": self.blob(manifest.as_bytes()).to_hex()})
    }

    /// Puts bytes into the store, under their digest.
    pub fn blob(&self, bytes: &[u8]) -> Sha256 {
        let digest = Sha256::of(bytes);
        let hex = digest.to_hex();
        let folder = self.store().join("store/sha256").join(&hex[..2]);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(&hex);
        if !path.exists() {
            let new = folder.join(format!(".{hex}.{:?}", std::thread::current().id()));
            fs::write(&new, bytes).unwrap();
            if let Some(user) = self.user() {
                let above = folder.ancestors().take_while(|path| *path != self.folder());
                for path in above.take(4).chain([new.as_path()]) {
                    let mine = path.starts_with(self.store()).then_some(());
                    if mine.is_some() {
                        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
                    }
                }
            }
            fs::rename(&new, &path).unwrap();
        }
        digest
    }

    /// A program of the user's, which an attacker would like to change, and what it must still say afterwards.
    pub fn victim(&self) -> PathBuf {
        let path = self.write("victim", "#!/bin/sh\necho untouched\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The program under attack, at a place that every user reaches.
    pub fn program(&self) -> PathBuf {
        program(self.user())
    }

    /// Hands a tree to this case's user; its files become copies, since hard links would change their owner elsewhere.
    pub fn own(&self, tree: &Path) {
        let Some(user) = self.user() else { return };
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        for entry in walkdir::WalkDir::new(tree).into_iter().flatten() {
            if entry.file_type().is_file() {
                let copy = entry.path().with_extension("copy");
                fs::copy(entry.path(), &copy).unwrap();
                fs::rename(&copy, entry.path()).unwrap();
            }
            chown(entry.path(), Some(uid), Some(gid)).unwrap();
        }
    }

    /// Whether the victim and the program under attack are what they were.
    pub fn untouched(&self) -> Result<(), String> {
        let victim = fs::read_to_string(self.folder().join("victim")).unwrap_or_default();
        must(
            victim == "#!/bin/sh\necho untouched\n",
            format!("the victim was changed: {victim:?}"),
        )?;
        let program = fs::File::open(self.program()).unwrap();
        let same = Sha256::of_reader(program).unwrap().0 == honest();
        must(same, "the program itself was changed")
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

/// The binary, at a place that the user reaches; the user's own copy, which an attacker would like to change.
fn program(user: Option<nix::unistd::User>) -> PathBuf {
    static COPIED: OnceLock<PathBuf> = OnceLock::new();
    let Some(user) = user else { return BIN.into() };
    COPIED
        .get_or_init(|| {
            let (new, path) = (user.dir.join("rebuilder.new"), user.dir.join("rebuilder"));
            fs::copy(BIN, &new).unwrap();
            chown(&new, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
            fs::rename(&new, &path).unwrap();
            path
        })
        .clone()
}

/// What the binary was when the tests began.
fn honest() -> Sha256 {
    static HONEST: OnceLock<Sha256> = OnceLock::new();
    *HONEST.get_or_init(|| Sha256::of_reader(fs::File::open(BIN).unwrap()).unwrap().0)
}

/// Nothing gained, or what was.
pub fn must(holds: bool, gained: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(gained.into()) }
}

/// Entries of a tar archive, with names and targets as an attacker writes them.
#[derive(Default)]
pub struct Layer(Vec<u8>);

impl Layer {
    fn add(mut self, kind: tar::EntryType, name: &str, mode: u32, target: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(1_600_000_000);
        header.set_uid(0);
        header.set_gid(0);
        // Straight into the fields: the library refuses what an attacker would write.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn folder(self, name: &str, mode: u32) -> Self {
        self.add(tar::EntryType::Directory, name, mode, "", b"")
    }

    pub fn file(self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.add(tar::EntryType::Regular, name, mode, "", content)
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.add(tar::EntryType::Symlink, name, 0o777, target, b"")
    }

    pub fn hard(self, name: &str, target: &str) -> Self {
        self.add(tar::EntryType::Link, name, 0o644, target, b"")
    }

    pub fn special(self, kind: tar::EntryType, name: &str) -> Self {
        self.add(kind, name, 0o666, "", b"")
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}
