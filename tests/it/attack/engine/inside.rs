//! What a build in a container may call and see.

use crate::attack::ground::{Ground, must};
use crate::common::text;

use super::no_engine;

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

pub(super) fn calls(ground: &Ground) -> Result<(), String> {
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

pub(super) fn places(ground: &Ground) -> Result<(), String> {
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
