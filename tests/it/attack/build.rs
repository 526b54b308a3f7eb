//! The build itself is hostile: what it calls, what it leaves, what it takes, and whether it ends.

mod processes;

use std::collections::HashMap;
use std::fs;
use std::process::Stdio;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Case;
use super::ground::{Ground, Who, must};
use crate::common;
use processes::{CLEARING, gone, killed, marker, outlives};

const fn case(name: &'static str, run: fn(&Ground) -> Result<(), String>) -> Case {
    Case {
        name,
        builds: true,
        run,
    }
}

/// One line of the probe, which must say that the call was refused.
macro_rules! refused {
    ($name:literal, $line:literal) => {
        case($name, |ground| probed(ground, $line))
    };
}

/// The same, for what only our own sandbox closes; engines have profiles of their own.
macro_rules! refused_by_us {
    ($name:literal, $line:literal) => {
        case($name, |ground| {
            if ground.backend != "embedded" {
                return Ok(());
            }
            probed(ground, $line)
        })
    };
}

pub const CASES: &[Case] = &[
    refused!("make a user namespace", "unshare-user"),
    refused!("make a mount namespace", "unshare-mount"),
    refused!("make a user namespace with clone", "clone-user"),
    refused!("make other namespaces with clone", "clone-mount"),
    refused!("make a user namespace with clone3", "clone3-user"),
    refused!("enter a namespace", "setns"),
    refused!("mount", "mount"),
    refused!("make its inputs writable", "remount"),
    refused!("take its inputs away", "umount"),
    refused!("mount by the new calls", "fsopen"),
    refused!("clone a mount", "open-tree"),
    refused!("change a mount", "mount-setattr"),
    refused!("change the root", "pivot-root"),
    refused!("load a program into the kernel", "bpf"),
    refused!("count what the machine does", "perf"),
    refused!("handle page faults", "userfaultfd"),
    refused!("queue calls in a ring", "io-uring"),
    refused!(
        "take the contexts of asynchronous I/O that all of the machine shares",
        "aio"
    ),
    refused!("make a keyring", "keyring"),
    refused!("add a key", "add-key"),
    refused!("load a module", "module"),
    refused!("load a kernel", "kexec"),
    refused!("read the kernel's log", "kernel-log"),
    refused!("swap", "swap"),
    refused!("open a file by its handle", "file-by-handle"),
    refused!("watch the file system", "fanotify"),
    refused!("set the clock", "clock"),
    refused!("change the host name", "host-name"),
    refused!("use ports", "ports"),
    refused!("run in real time", "real-time"),
    refused!("run before others", "priority"),
    refused_by_us!("execute its data", "execute-data"),
    refused!("see packets", "packet-socket"),
    refused!("talk to the hypervisor", "vsock"),
    refused!("reach the kernel's ciphers", "alg-socket"),
    refused!("name a family of sockets with other high bits", "vsock-high-bits"),
    refused_by_us!("list mounts with a new call", "statmount"),
    refused_by_us!("hide its memory", "secret-memory"),
    refused_by_us!("use a call that nobody knows yet", "unknown-call"),
    refused_by_us!("call the kernel as i386", "i386"),
    refused!("call the kernel as x32", "x32"),
    refused_by_us!("type on a terminal", "terminal-input"),
    refused_by_us!(
        "type on a terminal with other high bits",
        "terminal-input-high-bits"
    ),
    refused!("read a disk", "disk"),
    refused!("read the machine's memory", "memory"),
    refused!("read the kernel's messages", "kmsg"),
    refused!("have a file system in user space", "fuse"),
    refused!("make files that cannot be removed", "immutable"),
    refused_by_us!("take all inotify instances of the user", "inotify"),
    refused!("set the core pattern", "core-pattern"),
    refused!("use the sysrq trigger", "sysrq"),
    refused!("map other ids", "uid-map"),
    refused!("raise the limits of its namespace", "user-limits"),
    refused!("survive when memory runs out", "oom"),
    refused!("gain privileges", "no-new-privileges"),
    refused!("have capabilities over the machine", "capabilities"),
    case("see where its worker keeps things", paths),
    case("learn that it is judged from names", names),
    case("outlive its time limit", |ground| outlives(ground, CLEARING)),
    case("outlive its time limit as a daemon", |ground| {
        outlives(
            ground,
            "trap '' TERM HUP INT; setsid sh -c 'setsid sleep MARKER' & sleep MARKER",
        )
    }),
    case("outlive its end as a daemon", |ground| {
        let marker = marker();
        run(ground, &[], &format!("setsid sleep {marker} & sleep 0.2"), 60);
        gone(&marker)
    }),
    case("outlive its worker", killed),
    case("fill the disk in /out", |ground| {
        fills(
            ground,
            "for i in 1 2 3 4 5; do dd if=/dev/zero of=/out/f$i bs=1M count=60; done; sleep 6; rm /out/f*",
        )
    }),
    case("fill the disk with files that have no name", |ground| {
        fills(
            ground,
            "for i in 3 4 5 6 7; do eval \"exec $i>/tmp/a; rm /tmp/a; dd if=/dev/zero bs=1M count=60 >&$i\"; done; sleep 6",
        )
    }),
    case(
        "fill the disk with a mapping of a file that has no name",
        |ground| {
            fills(
                ground,
                "python3 -c \"import mmap,os,time
for i in range(5):
    f=open('/tmp/m','w+b'); f.truncate(60<<20); m=mmap.mmap(f.fileno(),60<<20); globals()['m%d'%i]=m
    [m.__setitem__(j,1) for j in range(0,60<<20,4096)]
    os.unlink('/tmp/m'); f.close()
time.sleep(6)\"",
            )
        },
    ),
    case("fill the disk with a file that only a thread has", |ground| {
        fills(
            ground,
            "python3 -c \"
import threading, os, ctypes, time
def hold():
    files = []
    for i in range(6):
        f = open('/tmp/t', 'wb'); os.unlink('/tmp/t'); f.write(b'x' * (50 << 20)); f.flush(); files.append(f)
    time.sleep(6)
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60, 0)\"",
        )
    }),
    case(
        "fill the disk with a mapping of a file that is called like memory",
        |ground| fills(ground, &mapping_of("/memfd:0")),
    ),
    case(
        "fill the disk with a mapping of a file whose name is not text",
        |ground| fills(ground, &mapping_of("/tmp/\\xff")),
    ),
    case("fill the disk deeper than any path", |ground| {
        fills(
            ground,
            "perl -e 'chdir q(/tmp); my $n = q(d)x250; for(1..30){mkdir $n; chdir $n} for my $i (1..5){ open F, qq(>f$i); print F qq(\\0)x(1<<20) for 1..60; close F} sleep 6'",
        )
    }),
    case("fill the disk with empty files", |ground| {
        fills(
            ground,
            "perl -e 'chdir q(/tmp); for(1..24000){open F, qq(>f$_); close F} sleep 6'",
        )
    }),
    case("fill the disk with folders", |ground| {
        fills(
            ground,
            "perl -e 'chdir q(/tmp); for(1..24000){mkdir qq(d$_)} sleep 6'",
        )
    }),
    case("leave folders that cannot be removed", deep),
    case("leave a link for an output", |ground| {
        leaves(ground, "ln -s /etc/passwd /out/x")
    }),
    case("leave a pipe for an output", |ground| {
        leaves(ground, "mkfifo /out/x")
    }),
    case("leave a folder for an output", |ground| {
        leaves(ground, "mkdir -p /out/x/y")
    }),
    case("leave a socket for an output", |ground| {
        leaves(
            ground,
            "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/out/x\")'",
        )
    }),
    case("leave a name that is not text", |ground| {
        leaves(ground, "touch \"/out/$(printf '\\377')\"")
    }),
    case("leave more files than anyone compares", |ground| {
        leaves(
            ground,
            "i=0; cd /out; while [ $i -lt 5000 ]; do : > f$i; i=$((i+1)); done",
        )
    }),
    case("put a link where its outputs are taken from", |ground| {
        run(
            ground,
            &[],
            "rm -rf /out 2>/dev/null; mv /out /out2 2>/dev/null; ln -s /etc /out 2>/dev/null; true",
            60,
        );
        must(
            !ground.folder().join("run/rebuilt/passwd").exists(),
            "files of a root came out",
        )
    }),
    case("flood the log", flood),
];

/// What the probe says, asked once for each user and backend.
fn probe(ground: &Ground) -> String {
    static SAID: OnceLock<Mutex<HashMap<(bool, &'static str), String>>> = OnceLock::new();
    let mut said = SAID.get_or_init(Mutex::default).lock().unwrap();
    said.entry((ground.who == Who::Root, ground.backend))
        .or_insert_with(|| {
            let probe = ground.compile("probe", include_str!("probe.c"), &["-static"]);
            let output = ground.container(&[&probe], "cp /inputs/probe /tmp/p && chmod 755 /tmp/p && /tmp/p");
            common::text(&output)
        })
        .clone()
}

fn probed(ground: &Ground, line: &str) -> Result<(), String> {
    let said = probe(ground);
    let refused = said.lines().any(|said| said == format!("{line} refused"));
    must(refused, format!("the probe said: {said}"))
}

/// Runs a script under these limits, without the plan's inputs and setup.
fn run(ground: &Ground, limits: &[(&str, u64)], script: &str, seconds: u64) -> String {
    let mut plan = ground.plan();
    plan["setup"]["steps"] = json!([]);
    plan["inputs"] = json!([]);
    plan["limits"]["seconds"] = json!(seconds);
    for (name, value) in limits {
        plan["limits"][name] = json!(value);
    }
    let _ = fs::remove_dir_all(ground.folder().join("run"));
    common::text(&ground.rebuild(&plan, script))
}

fn paths(ground: &Ground) -> Result<(), String> {
    let output = ground.container(
        &[],
        "cat /proc/self/mountinfo /proc/self/mounts /proc/1/cmdline /proc/1/environ /proc/self/cgroup; ls -l /proc/self/fd /proc/1/",
    );
    let said = common::text(&output);
    let store = ground.store();
    for telling in [store.to_str().unwrap(), "rebuilder", "scratch", "run-"] {
        let line = said.lines().find(|line| line.contains(telling));
        // Engines name their own places, which tell nothing of the worker's.
        must(
            line.is_none() || ground.backend != "embedded",
            format!("{telling}: {line:?}"),
        )?;
    }
    Ok(())
}

fn names(ground: &Ground) -> Result<(), String> {
    let said = run(
        ground,
        &[],
        "hostname > /out/h; env > /out/e; ls -R /inputs > /out/i; cat /out/*; cat /etc/hostname /etc/hosts 2>/dev/null; id",
        60,
    );
    let log = ground.log();
    must(!log.to_lowercase().contains("rebuilder"), format!("{log} {said}"))?;
    // The digest of the released wheel.
    must(
        !log.contains("946d195a0d259cbba61165e88e65941f16e9b36ea6ddb97f00452bae8b1287d3"),
        log,
    )
}

fn fills(ground: &Ground, script: &str) -> Result<(), String> {
    if ground.backend != "embedded" {
        return Ok(());
    }
    let script = format!("exec 2>/dev/null\n{script}\necho x > /out/hello");
    let said = run(ground, &[("disk", 64 << 20)], &script, 60);
    must(said.contains("disk limit"), format!("it was not stopped: {said}"))
}

/// A script that maps files of this name, which have it no more.
fn mapping_of(name: &str) -> String {
    format!(
        "python3 -c \"
import mmap, os, time
name = b'{name}'
kept = []
for i in range(6):
    f = open(name, 'w+b'); f.truncate(50 << 20); m = mmap.mmap(f.fileno(), 50 << 20)
    for at in range(0, 50 << 20, 4096): m[at] = 1
    os.unlink(name); f.close(); kept.append(m)
time.sleep(6)\""
    )
}

fn deep(ground: &Ground) -> Result<(), String> {
    let output = ground.container(
        &[],
        "perl -e 'chdir q(/tmp); for(1..5000){mkdir q(d); chdir q(d)} open F, q(>f)'; mkdir /tmp/closed; mkdir /tmp/closed/x; chmod 0 /tmp/closed; perl -e 'chdir q(/out); for(1..3000){mkdir q(d); chdir q(d)}'",
    );
    let after = ground.container(&[], "echo works");
    must(
        common::text(&after).contains("works"),
        format!("{} {}", common::text(&output), common::text(&after)),
    )?;
    let left = fs::read_dir(ground.store().join("scratch")).unwrap().count();
    must(left < 20, format!("{left} scratch folders are left"))
}

fn leaves(ground: &Ground, script: &str) -> Result<(), String> {
    let said = run(ground, &[], script, 60);
    // Nor is "not-reproduced" the word.
    let praised = said.lines().any(|line| line.starts_with("reproduced  pkg"));
    must(!praised, said.clone())?;
    for folder in ["rebuilt", "outputs"] {
        let Ok(entries) = fs::read_dir(ground.folder().join("run").join(folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            must(
                entry.file_type().unwrap().is_file(),
                format!("{} came out: {said}", entry.path().display()),
            )?;
        }
    }
    Ok(())
}

fn flood(ground: &Ground) -> Result<(), String> {
    run(
        ground,
        &[],
        "yes 0123456789012345678901234567890123456789 | head -c 300000000",
        120,
    );
    let size = fs::metadata(ground.folder().join("run/build.log")).map_or(0, |meta| meta.len());
    must(
        size <= (256 << 20) + (1 << 20),
        format!("{size} bytes of log were kept"),
    )
}
