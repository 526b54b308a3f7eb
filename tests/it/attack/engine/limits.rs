//! How much a build in a container may leave, say and use.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::attack::ground::{Ground, must};
use crate::common::{code, text};
use serde_json::{Value, json};

use super::{ask_json, no_engine, running};

pub(super) fn endless_log(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let child = ground
        .rebuilder()
        .args([
            "container",
            "run",
            "bookworm-build",
            "--backend",
            ground.backend,
            "--",
        ])
        .args(["sh", "-c", "head -c 320M /dev/zero | tr '\\0' x; echo; sleep 3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut kept = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(1) && kept.is_empty() {
        for container in running(ground) {
            let id = container["Id"].as_str().unwrap_or_default();
            let about = ask_json(ground, "GET", &format!("/containers/{id}/json"), &Value::Null);
            kept.push(about["HostConfig"]["LogConfig"]["Type"].clone());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    must(
        kept.iter().all(|driver| driver == "none") && !kept.is_empty(),
        format!("the engine keeps it: {kept:?}"),
    )?;
    must(
        output.stdout.len() <= (256 << 20) + 4096,
        format!("{} bytes of it were kept", output.stdout.len()),
    )
}

fn outputs(ground: &Ground, script: &str) -> (i32, String, Vec<(String, u64)>) {
    let out = ground.folder().join("out");
    let _ = fs::remove_dir_all(&out);
    let mut command = ground.rebuilder();
    command.args([
        "container",
        "run",
        "bookworm-build",
        "--backend",
        ground.backend,
        "--out",
    ]);
    let output = command
        .arg(&out)
        .args(["--", "bash", "-c", script])
        .output()
        .unwrap();
    let files = fs::read_dir(&out).into_iter().flatten().flatten();
    let files = files
        .map(|file| {
            let size = file.metadata().map_or(0, |about| about.len());
            (file.file_name().to_string_lossy().into_owned(), size)
        })
        .collect();
    (code(&output), text(&output), files)
}

pub(super) fn too_many_outputs(ground: &Ground) -> Result<(), String> {
    let (code, said, _) = outputs(ground, "cd /out && seq 4097 | xargs touch");
    must(
        code == 4 && said.contains("4096 files"),
        format!("status {code}: {said}"),
    )
}

pub(super) fn too_many_bytes(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let plan = small_plan(ground, "disk", 64 << 20);
    for script in [
        "truncate -s 30M /out/a && ln /out/a /out/b && ln /out/a /out/c",
        "for i in 1 2 3; do truncate -s 30M /out/$i; done",
    ] {
        let output = rebuild(ground, &plan, script);
        must(
            text(&output).contains("more than"),
            format!("{script}: {}", text(&output)),
        )?;
    }
    Ok(())
}

fn rebuild(ground: &Ground, plan: &Value, script: &str) -> std::process::Output {
    let _ = fs::remove_dir_all(ground.folder().join("run"));
    ground.rebuild(plan, script)
}

pub(super) fn strange_outputs(ground: &Ground) -> Result<(), String> {
    for script in [
        "ln -s /etc/passwd /out/x",
        "mkfifo /out/x",
        "mkdir /out/x",
        "touch $'/out/\\xff'",
        "perl -e 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"/out/x\"))'",
    ] {
        let (code, said, files) = outputs(ground, script);
        // Engines leave sockets out of what they hand back, so there is nothing to refuse.
        must(
            files.is_empty() && (code == 4 || script.contains("Socket") && ground.backend == "docker"),
            format!("{script}: status {code}, {files:?}: {said}"),
        )?;
    }
    // A second name of a file is a file, on every backend; so are modes and owners of no account.
    let (code, said, mut files) = outputs(
        ground,
        "echo 12345 > /out/a; ln /out/a /out/b; ln /etc/hostname /out/c || touch /out/c; chmod 6755 /out/b; chown 1:1 /out/a",
    );
    files.sort();
    must(
        code == 0 && files.len() == 3 && files[..2] == [("a".into(), 6), ("b".into(), 6)],
        format!("plain files do not come back: status {code}, {files:?}: {said}"),
    )
}

pub(super) fn disk(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let plan = small_plan(ground, "disk", 64 << 20);
    for (what, script) in [
        (
            "other files",
            "for i in 1 2 3; do head -c 60M /dev/zero > /var/tmp/$i; done",
        ),
        (
            "empty files",
            "mkdir /var/tmp/x; cd /var/tmp/x; seq 70000 | xargs touch",
        ),
        (
            "deep folders",
            "cd /var/tmp; for i in $(seq 300); do mkdir xxxxxxxxxxxxxxxxxxxx && cd xxxxxxxxxxxxxxxxxxxx; done; for i in 1 2 3; do head -c 60M /dev/zero > $i; done",
        ),
    ] {
        let output = rebuild(ground, &plan, script);
        // Empty files are counted where the engine's folders can be read, and only there.
        if what == "empty files" && !ground.is_root() {
            continue;
        }
        must(
            text(&output).contains("more than its disk limit"),
            format!("{what}: {}", text(&output)),
        )?;
    }
    Ok(())
}

/// A plan without setup, with one limit changed.
fn small_plan(ground: &Ground, limit: &str, value: u64) -> Value {
    let output = ground
        .rebuilder()
        .args(["plan", "deb:base-files"])
        .output()
        .unwrap();
    let mut plan: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    plan["limits"][limit] = json!(value);
    plan["setup"]["steps"] = json!([{"name": "nothing", "run": "true"}]);
    plan
}

pub(super) fn closed_log(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let begun = Instant::now();
    let mut command = ground.rebuilder();
    command.args([
        "container",
        "run",
        "bookworm-build",
        "--timeout",
        "4",
        "--backend",
        ground.backend,
        "--",
    ]);
    command.args(["sh", "-c", "exec >&- 2>&- <&-; sleep 1204"]);
    let output = command.output().unwrap();
    must(
        code(&output) != 0 && begun.elapsed() < Duration::from_mins(1) && running(ground).is_empty(),
        format!("it ran for {:?}: {}", begun.elapsed(), text(&output)),
    )
}

pub(super) fn raised_limits(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let script = "ulimit -Hn; ulimit -Sn; ulimit -Hc; ulimit -Hf
        (ulimit -Hn 8192) 2>/dev/null && echo RAISED
        (ulimit -Hc 1) 2>/dev/null && echo RAISED
        (ulimit -Hf unlimited) 2>/dev/null && echo RAISED
        true";
    let mut command = ground.rebuilder();
    command.args([
        "container",
        "run",
        "bookworm-build",
        "--backend",
        ground.backend,
        "--",
    ]);
    let output = command.args(["bash", "-c", script]).output().unwrap();
    let said = text(&output);
    let lines: Vec<_> = said.lines().collect();
    must(
        lines.starts_with(&["4096", "1024", "0"]) && !said.contains("RAISED") && !said.contains("unlimited"),
        said,
    )
}
