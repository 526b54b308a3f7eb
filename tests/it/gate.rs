//! `rebuilder gate`: packages before they are installed, with files, and with real apt, pip, npm and cargo.

mod apt;
mod cargo;
mod files;
mod npm;
mod packages;
mod pip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::party::{self, Party};
use crate::common::{self, BIN, Need};

/// A program that tells its version.
macro_rules! program {
    ($name:literal) => {
        Need {
            what: $name,
            there: || runs($name),
        }
    };
}

const PIP: Need = program!("pip");
const NPM: Need = program!("npm");
const CARGO: Need = program!("cargo");
const DPKG_DEB: Need = program!("dpkg-deb");
const APT: Need = program!("apt-get");
const SCANPACKAGES: Need = program!("dpkg-scanpackages");

fn runs(name: &str) -> bool {
    let output = Command::new(name).arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// Two parties of which both are needed, a folder with what they say, and a policy.
struct Scene {
    folder: tempfile::TempDir,
    alice: Party,
    bob: Party,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
            alice: Party::new("alice"),
            bob: Party::new("bob"),
        };
        fs::create_dir(scene.path("said")).unwrap();
        let source = "[[discover]]\nname = \"friends\"\nkind = \"folder\"\nfolder = \"said\"\n";
        let policy = party::policy(&[&scene.alice, &scene.bob], 2, source);
        fs::write(scene.path("policy.toml"), policy).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A party states that these bytes came out under this name.
    fn say(&self, party: &Party, file: &str, bytes: &[u8]) {
        let name = format!("said/{}-{file}.sigstore.json", party.name);
        fs::write(self.path(&name), party.rebuilt(file, bytes).to_string()).unwrap();
    }

    /// Both state the same of a file.
    fn vouch(&self, file: &Path) {
        let bytes = fs::read(file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        self.say(&self.alice, name, &bytes);
        self.say(&self.bob, name, &bytes);
    }

    /// Nobody has said anything.
    fn forget(&self) {
        fs::remove_dir_all(self.path("said")).unwrap();
        fs::create_dir(self.path("said")).unwrap();
    }

    /// The gate with this policy; the options come before what is installed.
    fn gate(&self, which: &str) -> Command {
        let mut command = Command::new(BIN);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .args(["gate", which, "--policy"])
            .arg(self.path("policy.toml"))
            .arg("--store")
            .arg(self.path("store"));
        fs::create_dir_all(self.path("home")).unwrap();
        command
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", common::text(&output));
    output
}
