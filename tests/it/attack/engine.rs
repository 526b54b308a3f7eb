//! What others who may use the same engine, and builds in its containers, try there; see `main.rs`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, must};
use crate::common::{code, text};

pub const CASES: &[Case] = &[
    Case {
        name: "put an image of its own under a root's name",
        builds: true,
        run: foreign_image,
    },
    Case {
        name: "remove the container of a rebuilder in another process namespace",
        builds: true,
        run: sweep_from_another_namespace,
    },
    Case {
        name: "remove the containers of another store, machine or boot",
        builds: true,
        run: sweep_of_foreign_containers,
    },
    Case {
        name: "make a rebuilder touch files through the labels of a container",
        builds: true,
        run: labels_as_paths,
    },
    Case {
        name: "let a container run on after its worker was killed",
        builds: true,
        run: killed_worker,
    },
    Case {
        name: "let a container run on after an interrupt",
        builds: true,
        run: interrupted_worker,
    },
    Case {
        name: "fill the engine's disk with a log",
        builds: true,
        run: endless_log,
    },
    Case {
        name: "hand out more files than are allowed",
        builds: true,
        run: too_many_outputs,
    },
    Case {
        name: "hand out more bytes than are allowed, by second names and holes",
        builds: true,
        run: too_many_bytes,
    },
    Case {
        name: "hand out what is not a file",
        builds: true,
        run: strange_outputs,
    },
    Case {
        name: "write beyond the disk limit unseen",
        builds: true,
        run: disk,
    },
    Case {
        name: "run on by closing its log",
        builds: true,
        run: closed_log,
    },
    Case {
        name: "reach the machine by a socket or a call that older engines allow",
        builds: true,
        run: calls,
    },
    Case {
        name: "see or change the engine's own files and the machine's devices",
        builds: true,
        run: places,
    },
    Case {
        name: "raise the limits of its processes",
        builds: true,
        run: raised_limits,
    },
];

/// Cases about an engine say nothing about namespaces without one.
fn no_engine(ground: &Ground) -> bool {
    ground.backend != "docker"
}

/// A request to the engine, as any other of its users may make it; the status and the answer.
fn ask(ground: &Ground, method: &str, path: &str, body: &[u8], kind: &str) -> (u16, Vec<u8>) {
    let host = ground.engine();
    let mut socket = UnixStream::connect(host.strip_prefix("unix://").unwrap()).unwrap();
    let head = format!(
        "{method} /v1.41{path} HTTP/1.0\r\nHost: engine\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // An engine that refuses may answer before it has read everything.
    let _ = socket
        .write_all(head.as_bytes())
        .and_then(|()| socket.write_all(body));
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer[..split]);
    let status = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, answer.split_off(split + 4))
}

fn ask_json(ground: &Ground, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let (_, answer) = ask(ground, method, path, body.as_bytes(), "application/json");
    serde_json::from_slice(&answer).unwrap_or_default()
}

/// An image that prints a line, whatever it is asked to do; the attacker's program is its only file.
fn image(ground: &Ground, says: &str) -> String {
    let program = ground.compile(
        "shell",
        &format!("#include <stdio.h>\nint main() {{ puts(\"{says}\"); return 0; }}"),
        &["-static"],
    );
    let mut tar = tar::Builder::new(Vec::new());
    for folder in ["bin", "out", "inputs", "tmp"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, folder, std::io::empty()).unwrap();
    }
    tar.append_path_with_name(program, "bin/sh").unwrap();
    let tar = tar.into_inner().unwrap();
    let (_, answer) = ask(
        ground,
        "POST",
        "/images/create?fromSrc=-",
        &tar,
        "application/x-tar",
    );
    let answer = String::from_utf8(answer).unwrap();
    let at = answer.rfind("sha256:").unwrap() + "sha256:".len();
    answer[at..at + 64].to_owned()
}

/// The names of this store's roots on the engine.
fn roots(ground: &Ground) -> Vec<String> {
    let images = ask_json(ground, "GET", "/images/json", &Value::Null);
    let tags = images.as_array().unwrap().iter();
    let tags = tags.flat_map(|image| image["RepoTags"].as_array().cloned().unwrap_or_default());
    let tags = tags.filter_map(|tag| Some(tag.as_str()?.split_once("rebuilder/root:")?.1.to_owned()));
    tags.collect()
}

fn foreign_image(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    // The root is there, as it should be.
    let output = ground.container(&[], "echo honest");
    must(text(&output).contains("honest"), text(&output))?;
    let tags = roots(ground);
    must(!tags.is_empty(), "no root has a name on the engine")?;
    let id = image(ground, "foreign");
    for tag in &tags {
        ask_json(
            ground,
            "POST",
            &format!("/images/{id}/tag?repo=rebuilder/root&tag={tag}"),
            &Value::Null,
        );
    }
    let output = ground.container(&[], "echo honest");
    must(
        !text(&output).contains("foreign") && text(&output).contains("honest"),
        format!("its image was run: {}", text(&output)),
    )
}

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

fn remove(ground: &Ground, id: &str) {
    ask(
        ground,
        "DELETE",
        &format!("/containers/{id}?force=1"),
        b"",
        "application/json",
    );
}

/// This store's containers that run.
fn running(ground: &Ground) -> Vec<Value> {
    let name = fs::read_to_string(ground.store().join("locks/engine-owner")).unwrap_or_default();
    let all = ask_json(ground, "GET", "/containers/json", &Value::Null);
    let all = all.as_array().cloned().unwrap_or_default();
    all.into_iter()
        .filter(|container| !name.is_empty() && container["Labels"]["rebuilder.store"] == name)
        .collect()
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

fn sweep_from_another_namespace(ground: &Ground) -> Result<(), String> {
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

fn sweep_of_foreign_containers(ground: &Ground) -> Result<(), String> {
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

fn labels_as_paths(ground: &Ground) -> Result<(), String> {
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

fn killed_worker(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let (mut child, id) = sleeping(ground, 1202);
    // SIGKILL, and nobody starts a rebuilder afterwards.
    let _ = child.kill();
    let _ = child.wait();
    must(is_gone(ground, &id, 30), "its container runs on")
}

fn interrupted_worker(ground: &Ground) -> Result<(), String> {
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

fn endless_log(ground: &Ground) -> Result<(), String> {
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
    while begun.elapsed() < Duration::from_secs(60) && kept.is_empty() {
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

fn too_many_outputs(ground: &Ground) -> Result<(), String> {
    let (code, said, _) = outputs(ground, "cd /out && seq 4097 | xargs touch");
    must(
        code == 4 && said.contains("4096 files"),
        format!("status {code}: {said}"),
    )
}

fn too_many_bytes(ground: &Ground) -> Result<(), String> {
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

fn strange_outputs(ground: &Ground) -> Result<(), String> {
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

fn disk(ground: &Ground) -> Result<(), String> {
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

fn closed_log(ground: &Ground) -> Result<(), String> {
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
        code(&output) != 0 && begun.elapsed() < Duration::from_secs(60) && running(ground).is_empty(),
        format!("it ran for {:?}: {}", begun.elapsed(), text(&output)),
    )
}

const CALLS: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <errno.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sched.h>
static void call(const char *name, long result) { printf("%s %s\n", name, result < 0 ? "refused" : "DONE"); }
int main() {
    call("vsock", socket(40, SOCK_STREAM, 0));
    call("alg", socket(38, SOCK_SEQPACKET, 0));
    call("packet", socket(17, SOCK_RAW, 0));
    call("bluetooth", socket(31, SOCK_RAW, 0));
    call("can", socket(29, SOCK_RAW, 1));
    call("tipc", socket(30, SOCK_RDM, 0));
    call("io_uring", syscall(425, 1, (char[256]){0}));
    call("bpf", syscall(321, 0, (char[128]){0}, 128));
    call("keyctl", syscall(250, 0, -3, 1));
    call("add_key", syscall(248, "user", "x", "y", 1, -3));
    call("userfaultfd", syscall(323, 1));
    call("perf", syscall(298, (char[128]){0}, 0, -1, -1, 0));
    call("fsopen", syscall(430, "tmpfs", 0));
    call("open_tree", syscall(428, -100, "/", 1));
    call("name_to_handle", syscall(303, -100, "/", (char[200]){128}, (int[1]){0}, 0));
    call("memfd_secret", syscall(447, 0));
    call("unshare", unshare(CLONE_NEWUSER));
    call("clone", syscall(56, 0x10000000 | 17, 0, 0, 0, 0));
    call("clone3", syscall(435, (char[88]){0}, 88));
    call("setns", setns(0, 0));
    call("syslog", syscall(103, 10, 0, 0));
    return 0;
}
"#;

fn calls(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let program = ground.compile("calls", CALLS, &["-static"]);
    let output = ground.container(
        &[&program],
        "cp /inputs/calls /tmp/p && chmod +x /tmp/p && /tmp/p",
    );
    let said = text(&output);
    must(
        said.matches("refused").count() >= 21,
        format!("not all were tried: {said}"),
    )?;
    must(!said.contains("DONE"), said)
}

fn places(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    let script = "
        ls /sys | wc -l | sed 's/^/sys /'
        for file in /etc/hostname /etc/hosts /run/.containerenv; do
            mount | grep -q \" $file \" || continue
            (echo written > $file) 2>/dev/null && grep -q written $file && echo WROTE $file
        done
        (echo x > /proc/sys/kernel/hostname) 2>/dev/null && echo WROTE sysctl
        (echo c > /proc/sysrq-trigger) 2>/dev/null && echo WROTE sysrq
        (echo x > /sbin/docker-init) 2>/dev/null && test -s /sbin/docker-init && mount | grep -q docker-init && echo WROTE init
        head -c 1 /proc/kcore 2>/dev/null | wc -c | sed 's/^/kcore /'
        head -c 1 /proc/timer_list 2>/dev/null | wc -c | sed 's/^/timers /'
        for kind in 'b 8 0' 'b 254 0' 'c 1 1' 'c 10 229'; do rm -f /tmp/d; mknod /tmp/d $kind 2>/dev/null && echo MADE $kind; done
        ls /dev/kmsg /dev/mem /dev/vda /dev/sda /dev/kvm /dev/fuse /var/run/docker.sock /run/podman 2>/dev/null | sed 's/^/SEES /'
        tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sed 's/^/net /'
        df -k /dev/shm | tail -1 | awk '{print \"shm\", $2}'
        true";
    let output = ground.container(&[], script);
    let said = text(&output);
    let bad = ["WROTE", "MADE", "SEES"].iter().any(|word| said.contains(word));
    must(
        !bad && ["sys 0", "kcore 0", "timers 0", "net lo", "shm 65536"]
            .iter()
            .all(|line| said.contains(line))
            && said.matches("net ").count() == 1,
        said,
    )
}

fn raised_limits(ground: &Ground) -> Result<(), String> {
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
