//! What a test may need of the machine; without it, the test is skipped.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::{BIN, is_root, json, rebuilder, store};
pub use crate::harness::{skip, skip_part};

/// Something that is there or not, and that is looked for once.
pub struct Need {
    pub what: &'static str,
    pub there: fn() -> bool,
}

pub const NETWORK: Need = Need {
    what: "the network (deb.debian.org, pypi.org)",
    there: online,
};
pub const SANDBOX: Need = Need {
    what: "the embedded sandbox (see rebuilder doctor)",
    there: sandboxed,
};
pub const DOCKER: Need = Need {
    what: "a Docker engine (DOCKER_HOST)",
    there: docker,
};
pub const GIT: Need = Need {
    what: "git",
    there: || Command::new("git").arg("--version").output().is_ok(),
};
pub const ROOT: Need = Need {
    what: "root",
    there: is_root,
};
pub const ORDINARY_USER: Need = Need {
    what: "root, to be a user with subordinate ids, newuidmap and setpriv",
    there: || ordinary_user().is_some(),
};

/// A kernel that runs as a program, for what this machine's own kernel has not.
pub const USER_MODE_LINUX: Need = Need {
    what: "a user-mode kernel with overlayfs (linux.uml), and a static /bin/busybox",
    there: || overlay_module().is_some() && Path::new("/bin/busybox").exists(),
};

/// The module of overlayfs for the user-mode kernel.
pub fn overlay_module() -> Option<PathBuf> {
    let kernels = std::fs::read_dir("/usr/lib/uml/modules").ok()?.flatten();
    let mut modules = kernels.map(|kernel| kernel.path().join("kernel/fs/overlayfs/overlay.ko"));
    modules.find(|module| module.exists())
}

/// Skips the test that calls it if something of this is missing.
pub fn needs(all: &[Need]) {
    for need in all {
        if !(need.there)() {
            skip(need.what);
        }
    }
}

/// Whether a part of a test can run; says so if it cannot.
pub fn part_needs(need: &Need) -> bool {
    let there = (need.there)();
    if !there {
        skip_part(need.what);
    }
    there
}

pub fn online() -> bool {
    static ONLINE: OnceLock<bool> = OnceLock::new();
    *ONLINE.get_or_init(|| {
        ["deb.debian.org:443", "pypi.org:443"].iter().all(|host| {
            let mut addresses = host.to_socket_addrs().into_iter().flatten();
            addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok())
        })
    })
}

fn sandboxed() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let mut doctor = Command::new(BIN);
        doctor.arg("--store").arg(store()).arg("doctor");
        doctor.output().unwrap().status.success()
    })
}

fn docker() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let output = rebuilder().args(["--json", "doctor"]).output().unwrap();
        json(&output)["docker"][0] == true
    })
}

const USER: &str = "rebuilder-attacked";

/// The ordinary user that the tests make for themselves; the tests must be root's for that.
pub fn ordinary_user() -> Option<nix::unistd::User> {
    static READY: OnceLock<bool> = OnceLock::new();
    let user = || nix::unistd::User::from_name(USER).ok().flatten();
    let ready = READY.get_or_init(|| {
        if !is_root() {
            return false;
        }
        if user().is_none() {
            let _ = Command::new("useradd").args(["--create-home", USER]).status();
        }
        user().is_some()
            && Command::new("newuidmap").output().is_ok()
            && Command::new("setpriv").arg("--version").output().is_ok()
    });
    ready.then(user).flatten()
}

/// The address of Podman's socket that this variable names, where something must answer.
pub fn podman(variable: &str) -> String {
    let host = std::env::var(variable).ok().filter(|host| {
        let path = host.strip_prefix("unix://").unwrap_or_default();
        UnixStream::connect(path).is_ok()
    });
    host.unwrap_or_else(|| skip(&format!("Podman's socket ({variable})")))
}

/// The folder of real signed files.
pub fn vectors() -> PathBuf {
    let folder = std::env::var_os("REBUILDER_VECTORS").map(PathBuf::from);
    folder.unwrap_or_else(|| skip("REBUILDER_VECTORS, a folder with real signed bundles"))
}

/// The backends that work here; the embedded one always, or the test has been skipped before.
pub fn backends() -> Vec<&'static str> {
    let only = std::env::var("REBUILDER_TEST_BACKENDS").ok();
    let mut backends = vec!["embedded"];
    if part_needs(&DOCKER) {
        backends.push("docker");
    }
    backends.retain(|backend| only.as_deref().is_none_or(|only| only == *backend));
    backends
}

/// The strangers' verifiers, as commands that take a bundle and a public key.
pub fn verifiers() -> Vec<Command> {
    let Some(folder) = third_party("@sigstore/verify and securesystemslib") else {
        return Vec::new();
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party");
    let mut node = Command::new("node");
    node.arg(scripts.join("verify.mjs"))
        .env("REBUILDER_THIRD_PARTY", &folder);
    let mut python = Command::new(folder.join("venv/bin/python"));
    python.arg(scripts.join("verify.py"));
    vec![node, python]
}

/// Python with the libraries of the strangers' formats.
pub fn third_party_python() -> Option<PathBuf> {
    third_party("Python libraries for SBOMs").map(|folder| folder.join("venv/bin/python"))
}

/// Node.js with `browser.mjs`, which drives a browser.
pub fn browser() -> Option<Command> {
    let chromium = std::env::var_os("REBUILDER_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    if !Path::new(&chromium).exists() {
        skip_part("Chromium (/usr/bin/chromium, or REBUILDER_CHROMIUM)");
        return None;
    }
    let folder = third_party("playwright-core and axe-core")?;
    let mut node = Command::new("node");
    node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party/browser.mjs"))
        .env("REBUILDER_THIRD_PARTY", &folder)
        .env("REBUILDER_CHROMIUM", chromium);
    Some(node)
}

fn third_party(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("REBUILDER_THIRD_PARTY").map(PathBuf::from);
    if folder.is_none() {
        skip_part(&format!(
            "REBUILDER_THIRD_PARTY, a folder with {what} (see .ci/run)"
        ));
    }
    folder
}
