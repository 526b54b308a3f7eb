//! Unified control groups, in a kernel of its own: this machine may have the older ones, which a test cannot change.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::attack::ground::{Ground, Who};
use crate::common::{
    NETWORK, ORDINARY_USER, ROOT, USER_MODE_LINUX, needs, ordinary_user, overlay_module, text,
};
use crate::harness::skip_by_hand;

/// A kernel that runs as a program (Debian: user-mode-linux).
const KERNEL: &str = "linux.uml";

/// A layer with a shell.
fn shell() -> Vec<u8> {
    let busybox = fs::read("/bin/busybox").unwrap();
    let mut layer = tar::Builder::new(Vec::new());
    let header = |kind, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header
    };
    let mut program = header(tar::EntryType::Regular, busybox.len());
    layer
        .append_data(&mut program, "bin/busybox", &busybox[..])
        .unwrap();
    for name in ["sh", "sleep", "dd", "cat", "wc", "env", "mkdir"] {
        let mut link = header(tar::EntryType::Symlink, 0);
        layer
            .append_link(&mut link, format!("bin/{name}"), "busybox")
            .unwrap();
    }
    layer.into_inner().unwrap()
}

/// What a build does, the limits that it gets, and what its log must say.
const BUILDS: [(&str, &str, &str); 2] = [
    (
        "processes",
        "i=0; while [ $i -lt 60 ] && sleep 60 & do i=$((i+1)); done; echo started $i",
        "can't fork",
    ),
    (
        "memory",
        "dd if=/dev/zero of=/dev/null bs=200M count=1",
        "Memory cgroup out of memory",
    ),
];

#[apply(test)]
fn a_delegated_group_limits_the_builds_of_an_ordinary_user() {
    needs(&[ROOT, ORDINARY_USER, USER_MODE_LINUX, NETWORK]);
    let ground = Ground::new(Who::User, "embedded").apart();
    // On this machine, so that root and released file are in the store.
    let output = ground.on_image(&[shell()], "true");
    let plan: Value =
        serde_json::from_slice(&fs::read(ground.folder().join("plan.json")).unwrap_or_default())
            .unwrap_or_else(|_| panic!("{}", text(&output)));
    let mut runs = String::new();
    for (name, script, _) in BUILDS {
        let mut plan = plan.clone();
        plan["build"]["steps"] = json!([{"name": "test", "run": script}]);
        plan["limits"]["pids"] = json!(30);
        plan["limits"]["memory"] = json!(100 << 20);
        let file = ground.write(&format!("{name}.json"), plan.to_string());
        runs += &format!(
            "$R --json rebuild --plan {} --out /var/tmp/{name} >/var/tmp/{name}.json\n\
             echo '{name}: '; cat /var/tmp/{name}/build.log; \
             grep -o '\"not_enforced\":[^]]*]' /var/tmp/{name}.json\n",
            file.display()
        );
    }
    let (folder, user) = (ground.folder().display(), ordinary_user().unwrap());
    let inside = ground.write(
        "inside.sh",
        format!(
            "R='{} --store /var/tmp/data --offline --quiet'\n$R doctor\n{runs}",
            ground.program().display()
        ),
    );
    // What a kernel needs, a group of the user's, and the user's work in it. `/var/tmp` is hidden behind a file system
    // that can be the upper layer of an overlay; the way to the host's files is kept.
    let first = ground.write(
        "first.sh",
        format!(
            "#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n\
             mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t cgroup2 none /sys/fs/cgroup\n\
             mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /mnt; mkdir /mnt/host; mount --bind {folder} /mnt/host\n\
             mount -t tmpfs -o mode=1777,size=1g tmpfs /var/tmp\n\
             mkdir -p {folder}; mount --bind /mnt/host {folder}\n\
             cp -a {folder}/data /var/tmp/data\n\
             busybox insmod {}; busybox ip link set lo up\n\
             G=/sys/fs/cgroup/delegated; echo '+memory +pids' >/sys/fs/cgroup/cgroup.subtree_control\n\
             mkdir -p $G/scope; echo '+memory +pids' >$G/cgroup.subtree_control; chown -R {user}: $G/scope\n\
             sh -c 'echo $$ >'$G/scope/cgroup.procs'; exec setpriv --reuid={uid} --regid={gid} --init-groups \
             env -i PATH='$PATH' sh {inside}'\n\
             find $G/scope -mindepth 1 -type d | grep -c run-; echo the end\n\
             echo o >/proc/sysrq-trigger; sleep 9\n",
            overlay_module().unwrap().display(),
            user = user.name,
            uid = user.uid,
            gid = user.gid,
            inside = inside.display(),
        ),
    );
    fs::set_permissions(&first, fs::Permissions::from_mode(0o755)).unwrap();
    let mut kernel = Command::new("timeout");
    kernel
        .args([
            "240",
            KERNEL,
            "mem=2G",
            "rootfstype=hostfs",
            "rootflags=/",
            "rw",
            "con=null",
        ])
        .args(["con0=null,fd:1", "quiet"])
        .arg(format!("init={}", first.display()))
        .env("TMPDIR", "/dev/shm");
    let said = text(&kernel.output().unwrap());
    // No installation helps on a processor with more registers than that kernel can save, such as one with AMX.
    if said.contains("ptrace set fp regs failed") {
        skip_by_hand("a processor on which user-mode-linux runs");
    }
    assert!(
        said.contains("limits on time, memory, disk and processes"),
        "{said}"
    );
    for (name, _, expected) in BUILDS {
        assert!(said.contains(expected), "{name}: {said}");
    }
    assert_eq!(
        said.matches("\"not_enforced\":[]").count(),
        BUILDS.len(),
        "{said}"
    );
    assert!(
        said.contains("\n0\r\nthe end") || said.contains("\n0\nthe end"),
        "a group is left: {said}"
    );
}
