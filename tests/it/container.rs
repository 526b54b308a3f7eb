//! `rebuilder container …`: locks, roots, and the ordinary user.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::common::{self, NETWORK, ROOT, SANDBOX, code, json, needs, rebuilder, rebuilder_in, text};

#[apply(test)]
fn a_lock_gives_the_same_tree_each_time() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // As a home folder often is: closed to the ids that the sandbox runs under.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    common::store_without(folder.path(), "");
    for name in ["bookworm-build", "bookworm-python"] {
        let trees: Vec<_> = (0..2)
            .map(|_| {
                let output = rebuilder_in(folder.path())
                    .args(["--json", "container", "build", "--again", name])
                    .output()
                    .unwrap();
                assert_eq!(code(&output), 0, "{}", text(&output));
                json(&output)["tree"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(trees[0], trees[1], "{name}");
    }
    common::remove_store(folder.path());
}

#[apply(test)]
fn a_lock_is_written_from_the_signed_archive() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let output = rebuilder()
        .args(["container", "lock", "bookworm-python", "--to"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let lock: toml::Table = fs::read_to_string(folder.path().join("bookworm-python.lock"))
        .unwrap()
        .parse()
        .unwrap();
    let packages = lock["packages"].as_array().unwrap();
    let names: Vec<_> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    for name in ["base-files", "python3-pip", "python3-venv", "libc6"] {
        assert!(names.contains(&name), "{name} is missing");
    }
    for package in packages {
        assert_eq!(package["sha256"].as_str().unwrap().len(), 64);
    }
    for release in lock["releases"].as_array().unwrap() {
        assert!(
            release["signers"].as_array().unwrap()[0]
                .as_str()
                .unwrap()
                .contains("Debian"),
            "{release}"
        );
    }
    let last = |archive: &toml::Value| {
        archive["bases"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    for archive in lock["archives"].as_array().unwrap() {
        assert!(
            last(archive).starts_with("https://snapshot.debian.org/archive/"),
            "{archive}"
        );
    }
}

#[apply(test)]
fn a_changed_lock_is_noticed() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("containers");
    let lock = common::containers()
        .unwrap_or(&built_in)
        .join("bookworm-python.lock");
    let lock = fs::read_to_string(lock).unwrap();
    let definition = fs::read(built_in.join("bookworm-python.toml")).unwrap();
    fs::write(folder.path().join("bookworm-python.toml"), definition).unwrap();
    let promised = lock.lines().find(|line| line.starts_with("tree")).unwrap();
    let other = format!("tree = \"{}\"", "0".repeat(64));
    fs::write(
        folder.path().join("bookworm-python.lock"),
        lock.replace(promised, &other),
    )
    .unwrap();
    let build = |name: &str| {
        let mut command = Command::new(common::BIN);
        command
            .arg("--store")
            .arg(common::store())
            .args(["--quiet", "--containers"])
            .arg(folder.path());
        command.args(["container", "build", name]).output().unwrap()
    };
    let output = build("bookworm-python");
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(
        text(&output).contains("does not match the lock"),
        "{}",
        text(&output)
    );

    fs::write(folder.path().join("bookworm-python.lock"), "version = ").unwrap();
    let output = build("bookworm-python");
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(
        text(&output).contains("cannot use bookworm-python.lock"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn an_ordinary_user_can_rebuild() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let user = "rebuilder-test";
    let known = || {
        fs::read_to_string("/etc/subuid")
            .unwrap_or_default()
            .contains(user)
    };
    if !known() {
        let _ = Command::new("useradd").args(["--create-home", user]).status();
    }
    let has_tools = ["newuidmap", "setpriv"]
        .iter()
        .all(|tool| Command::new(tool).arg("--help").output().is_ok());
    if !known() || !has_tools {
        common::skip("a user with subordinate ids, newuidmap and setpriv");
    }
    let home = tempfile::Builder::new()
        .prefix("rebuilder-home-")
        .tempdir_in("/var/tmp")
        .unwrap();
    let (bin, store) = (home.path().join("rebuilder"), home.path().join("store"));
    fs::copy(common::BIN, &bin).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    common::store_without(&store, "");
    assert!(
        Command::new("chown")
            .args(["-R", user])
            .arg(home.path())
            .status()
            .unwrap()
            .success()
    );
    let as_user = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", user, "--regid", user, "--init-groups"])
            .arg(&bin)
            .arg("--store")
            .arg(&store);
        command
            .arg("--quiet")
            .args(arguments)
            .env("HOME", home.path())
            .current_dir("/");
        command.output().unwrap()
    };
    let output = as_user(&["--json", "rebuild", "pypi:idna==3.10"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["verdict"], "reproduced");
    let inside = as_user(&[
        "container",
        "run",
        "bookworm-python",
        "--",
        "sh",
        "-c",
        "id -u; cat /proc/self/uid_map",
    ]);
    assert!(
        String::from_utf8_lossy(&inside.stdout).starts_with("0\n"),
        "{}",
        text(&inside)
    );
}
