//! The sandbox contract, attacked from inside, on every backend that works here.

mod killed;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{
    self, DOCKER, NETWORK, ROOT, SANDBOX, backends, code, needs, part_needs, rebuilder, text,
};

/// What is tried, and what the attempt must print.
const ATTACKS: &[(&str, &str, &str)] = &[
    (
        "reach an outside host",
        "(exec 3<>/dev/tcp/1.1.1.1/53) 2>/dev/null && echo reached || echo nothing",
        "nothing",
    ),
    (
        "resolve a name",
        "getent hosts deb.debian.org > /dev/null && echo resolved || echo nothing",
        "nothing",
    ),
    (
        "see another interface",
        "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | grep -v '^lo$' || echo nothing",
        "nothing",
    ),
    ("read the host's environment", "env | grep -c SECRET || true", "0"),
    (
        "find the environment in /proc",
        "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c REBUILDER_TEST_SECRET || true",
        "0",
    ),
    (
        "read the host's home",
        "ls -A /root /home 2>/dev/null | grep -c secret-of-the-host || true",
        "0",
    ),
    (
        "see the host's processes",
        "ls -d /proc/[0-9]* | wc -l | awk '{print ($1 < 12) ? \"few\" : \"many\"}'",
        "few",
    ),
    (
        "mount",
        "mount -t tmpfs none /mnt 2>/dev/null && echo mounted || echo nothing",
        "nothing",
    ),
    (
        "make a namespace",
        "unshare --user true 2>/dev/null && echo made || echo nothing",
        "nothing",
    ),
    (
        "make a device",
        "mknod /tmp/disk b 8 0 2>/dev/null && cat /tmp/disk > /dev/null 2>&1 && echo read || echo nothing",
        "nothing",
    ),
    (
        "set the clock",
        "date -s '2001-01-01' >/dev/null 2>&1 && echo set || echo nothing",
        "nothing",
    ),
    (
        "change the kernel's settings",
        "echo 1 2>/dev/null > /proc/sys/kernel/sysrq && echo set || echo nothing",
        "nothing",
    ),
    (
        "gain privileges",
        "grep NoNewPrivs /proc/self/status | tr -d '[:space:]'",
        "NoNewPrivs:1",
    ),
    (
        "run without a filter",
        "grep '^Seccomp:' /proc/self/status | tr -d '[:space:]'",
        "Seccomp:2",
    ),
    (
        "use a capability over the host",
        "grep CapEff /proc/self/status | tr -d '[:space:]'",
        "CapEff:00000000800400fb",
    ),
    (
        "reach the engine or the helper",
        "ls /var/run/docker.sock /run/docker.sock 2>/dev/null | wc -l",
        "0",
    ),
    (
        "use loopback",
        "(exec 3<>/dev/tcp/127.0.0.1/9) 2>&1 | grep -o 'Connection refused'",
        "Connection refused",
    ),
];

#[apply(test)]
fn attacks_get_nothing() {
    needs(&[NETWORK, SANDBOX]);
    let host_file = Path::new("/root/secret-of-the-host");
    let planted = common::is_root() && fs::write(host_file, "secret").is_ok();
    let mut script = String::new();
    for (what, attempt, _) in ATTACKS {
        script.push_str(&format!("echo \"{what}: $( {attempt} )\"\n"));
    }
    for backend in backends() {
        let mut command = rebuilder();
        command
            .env("REBUILDER_TEST_SECRET", "host secret")
            .args(["container", "run", "bookworm-build"]);
        command
            .arg("--input")
            .arg(common::BIN)
            .args(["--backend", backend, "--", "bash", "-c", &script]);
        let output = command.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        for (what, _, expected) in ATTACKS {
            let line = format!("{what}: {expected}");
            assert!(
                printed.lines().any(|printed| printed == line),
                "{backend}: wanted {line:?} in\n{printed}{}",
                text(&output)
            );
        }
    }
    if planted {
        fs::remove_file(host_file).unwrap();
    }
}

#[apply(test)]
fn what_a_build_does_to_its_inputs_stays_inside() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::write(&input, "as it was").unwrap();
    let script =
        "chmod 666 /inputs/input; echo changed > /inputs/input; rm -f /inputs/input; touch /inputs/new; true";
    for backend in backends() {
        let mut command = rebuilder();
        command
            .args([
                "container",
                "run",
                "bookworm-build",
                "--backend",
                backend,
                "--input",
            ])
            .arg(&input);
        let output = command.args(["--", "sh", "-c", script]).output().unwrap();
        assert_eq!(code(&output), 0, "{backend}: {}", text(&output));
        assert_eq!(fs::read_to_string(&input).unwrap(), "as it was", "{backend}");
        // The embedded backend shows the very files of the store, so there nothing may be changed at all.
        if backend == "embedded" {
            let refused = text(&output).matches("Read-only file system").count();
            assert_eq!(refused, 4, "{}", text(&output));
        }
    }
}

#[apply(test)]
fn only_plain_files_leave_through_the_output_folder() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::write(&outside, "untouched").unwrap();
    let attempts = [
        "ln -s /etc/passwd /out/link".to_owned(),
        format!("ln -s {} /out/link", outside.display()),
        "mkfifo /out/pipe".to_owned(),
        "mkdir /out/folder && touch /out/folder/file".to_owned(),
    ];
    for backend in backends() {
        for (index, attempt) in attempts.iter().enumerate() {
            let out = folder.path().join(format!("{backend}-{index}"));
            let output = rebuilder()
                .args([
                    "container",
                    "run",
                    "bookworm-build",
                    "--backend",
                    backend,
                    "--out",
                ])
                .arg(&out)
                .args(["--", "sh", "-c", attempt])
                .output()
                .unwrap();
            assert_eq!(code(&output), 4, "{backend}: {attempt}: {}", text(&output));
            assert!(
                text(&output).contains("not a regular file"),
                "{backend}: {attempt}: {}",
                text(&output)
            );
            assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{backend}: {attempt}");
        }
        let out = folder.path().join(format!("{backend}-plain"));
        let script = "echo inside > /out/file; echo gone > /etc/changed; echo gone > /tmp/file";
        let output = rebuilder()
            .args([
                "container",
                "run",
                "bookworm-build",
                "--backend",
                backend,
                "--out",
            ])
            .arg(&out)
            .args(["--", "sh", "-c", script])
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{backend}: {}", text(&output));
        assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "inside\n");
        let again = rebuilder()
            .args([
                "container",
                "run",
                "bookworm-build",
                "--backend",
                backend,
                "--",
                "ls",
                "/etc/changed",
            ])
            .output()
            .unwrap();
        assert_ne!(
            code(&again),
            0,
            "{backend}: what one run wrote, the next one sees"
        );
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
}

#[apply(test)]
fn limits_hold() {
    needs(&[NETWORK, SANDBOX]);
    let plan = common::plan("deb:base-files");
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("memory", 256_u64 << 20, "tail /dev/zero", "was killed"),
        (
            "pids",
            40,
            "i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done; wait",
            "exited with status",
        ),
    ];
    for backend in backends() {
        for (limit, value, script, reason) in cases {
            if backend == "embedded" && !common::is_root() {
                common::skip_part("root, to enforce limits of memory and processes");
                continue;
            }
            let mut plan = plan.clone();
            plan["limits"][limit] = serde_json::json!(value);
            let output = common::run_script(
                &plan,
                script,
                backend,
                &folder.path().join(format!("{limit}-{backend}")),
            );
            assert_eq!(code(&output), 4, "{backend} {limit}: {}", text(&output));
            assert!(
                text(&output).contains(reason),
                "{backend} {limit}: {}",
                text(&output)
            );
        }
    }
    let mut plan = plan.clone();
    plan["limits"]["disk"] = serde_json::json!(64 << 20);
    let script = "for i in $(seq 100); do dd if=/dev/zero of=/tmp/$i bs=1M count=16 2>/dev/null; sleep 0.2; done; sleep 20";
    for backend in backends() {
        let run = folder.path().join(format!("disk-{backend}"));
        let output = common::run_script(&plan, script, backend, &run);
        assert_eq!(code(&output), 4, "{backend}: {}", text(&output));
        assert!(
            text(&output).contains("wrote more than its disk limit"),
            "{backend}: {}",
            text(&output)
        );
    }
}

/// The tests of this module once more, with another engine behind the docker backend.
fn once_more_on(engine: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .env("DOCKER_HOST", engine)
        .env("REBUILDER_TEST_BACKENDS", "docker");
    command.args(["sandbox::", "--skip", "podman"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[apply(test)]
fn the_contract_holds_on_podman() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    once_more_on(&common::podman("REBUILDER_TEST_PODMAN_HOST"));
}

#[apply(test)]
fn a_podman_that_cannot_be_given_the_filter_is_refused() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let engine = common::podman("REBUILDER_TEST_USERS_PODMAN_HOST");
    let output = rebuilder()
        .env("DOCKER_HOST", engine)
        .args([
            "container",
            "run",
            "bookworm-build",
            "--backend",
            "docker",
            "--",
            "true",
        ])
        .output()
        .unwrap();
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("filter of system calls"),
        "{}",
        text(&output)
    );
}
