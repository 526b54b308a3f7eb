//! What becomes of containers, its own and others'.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::attack::ground::{Ground, must};
use crate::common::text;
use serde_json::{Value, json};

use super::{ask, ask_json, image, no_engine, remove, running};

/// A container of someone else's with these labels.
fn foreign_container(ground: &Ground, labels: &Value) -> String {
    let body = json!({
        "Image": image(ground, "idle"), "Cmd": ["/bin/sh"], "Labels": labels, "Entrypoint": [],
        "HostConfig": {"NetworkMode": "none", "Ulimits": [{"Name": "nproc", "Soft": 100, "Hard": 100}]},
    });
    let made = ask_json(ground, "POST", "/containers/create", &body);
    made["Id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

fn exists(ground: &Ground, id: &str) -> bool {
    assert!(!id.is_empty(), "the run did not start");
    ask(
        ground,
        "GET",
        &format!("/containers/{id}/json"),
        b"",
        "application/json",
    )
    .0 == 200
}

/// Starts a run that sleeps, and gives its container once it is there.
fn sleeping(ground: &Ground, seconds: u32) -> (Child, String) {
    let marker = format!("sleep {seconds}.{}", std::process::id());
    let mut command = ground.rebuilder();
    command.args([
        "container",
        "run",
        "bookworm-build",
        "--backend",
        ground.backend,
        "--",
    ]);
    command.args(["sh", "-c", &format!("{marker} & wait")]);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let found = (0..1200).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        running(ground).iter().find_map(|container| {
            let id = container["Id"].as_str()?;
            let about = ask_json(ground, "GET", &format!("/containers/{id}/json"), &Value::Null);
            about["Args"].to_string().contains(&marker).then(|| id.to_owned())
        })
    });
    (child, found.unwrap_or_default())
}

fn is_gone(ground: &Ground, id: &str, seconds: u64) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        if !exists(ground, id) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

fn doctor(ground: &Ground) -> String {
    text(&ground.rebuilder().arg("doctor").output().unwrap())
}

pub(super) fn sweep_from_another_namespace(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let (mut child, id) = sleeping(ground, 1201);
    // The same store, but none of its processes are in sight; and another store beside it.
    let mut unseen = ground.command("unshare");
    unseen.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]);
    if ground.is_root() {
        unseen = ground.command("unshare");
        unseen.args(["--pid", "--fork", "--mount-proc"]);
    }
    unseen.arg(ground.program()).arg("--store").arg(ground.store());
    let from_namespace = text(&unseen.arg("doctor").output().unwrap());
    let mut other = ground.command(ground.program());
    other.arg("--store").arg(ground.folder().join("other-store"));
    let from_store = text(&other.arg("doctor").output().unwrap());
    let lives = exists(ground, &id);
    let _ = child.kill();
    let _ = child.wait();
    is_gone(ground, &id, 30);
    must(
        lives,
        format!("a running build was removed\n{from_namespace}{from_store}"),
    )
}

pub(super) fn sweep_of_foreign_containers(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    doctor(ground);
    let ours = fs::read_to_string(ground.store().join("locks/engine-owner")).unwrap();
    let (nobody, other) = ("0".repeat(32), "f".repeat(32));
    let containers = [
        json!({"rebuilder.owner": "999999@1"}),
        json!({"rebuilder.store": other, "rebuilder.place": "x", "rebuilder.run": nobody, "rebuilder.seconds": "0"}),
        json!({"rebuilder.store": ours, "rebuilder.place": "other-boot/1/2", "rebuilder.run": nobody, "rebuilder.seconds": "3600"}),
        json!({"rebuilder.store": ours}),
    ]
    .map(|labels| foreign_container(ground, &labels));
    doctor(ground);
    let gone = containers.iter().filter(|id| !exists(ground, id)).count();
    for id in &containers {
        remove(ground, id);
    }
    must(gone == 0, format!("{gone} containers of others were removed"))
}

pub(super) fn labels_as_paths(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    doctor(ground);
    let store = ground.store();
    let ours = fs::read_to_string(store.join("locks/engine-owner")).unwrap();
    let victim = store.join("container-victim");
    fs::write(&victim, "precious").unwrap();
    let containers = ["x/../../container-victim", "/etc/passwd", "", "..", "\u{1b}]0;title\u{7}"]
        .map(|run| {
            let labels = json!({"rebuilder.store": ours, "rebuilder.run": run, "rebuilder.seconds": "0", "rebuilder.place": "x"});
            foreign_container(ground, &labels)
        });
    let said = doctor(ground);
    let whole = victim.exists();
    let _ = fs::remove_file(&victim);
    for id in &containers {
        remove(ground, id);
    }
    must(
        whole && !said.contains('\u{1b}'),
        format!("a file was removed, or: {said:?}"),
    )
}

pub(super) fn killed_worker(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let (mut child, id) = sleeping(ground, 1202);
    // SIGKILL, and nobody starts a rebuilder afterwards.
    let _ = child.kill();
    let _ = child.wait();
    must(is_gone(ground, &id, 30), "its container runs on")
}

pub(super) fn interrupted_worker(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let (mut child, id) = sleeping(ground, 1203);
    let _ = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    );
    let _ = child.wait();
    must(is_gone(ground, &id, 30), "its container runs on")
}
