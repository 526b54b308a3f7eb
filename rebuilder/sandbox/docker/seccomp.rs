//! The system calls that a build may make in an engine's container: a list of allowed calls, in the form that engines
//! read.
//!
//! An engine's own filter depends on its version: older ones let a container connect to the machine's hypervisor, or
//! use `io_uring`. This filter is the same on every engine. It allows what the embedded backend's filter allows, and
//! refuses calls that are newer than the list. Calls of other architectures end the process.

use serde_json::{Value, json};

/// Allowed, whatever the arguments.
const ALLOWED: &str = "
    accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown chroot
    clock_getres clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2
    dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2
    execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat
    fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr
    fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat
    get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid
    getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
    getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid
    getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
    ioctl ioprio_get ioprio_set kill
    landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen
    listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lsm_get_self_attr lsm_list_modules
    lstat madvise map_shadow_stack mbind membarrier memfd_create mincore mkdir mkdirat mknod mknodat
    mlock mlock2 mlockall mmap modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
    mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
    nanosleep newfstatat open openat openat2 pause personality pidfd_open pidfd_send_signal pipe pipe2
    pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64
    process_vm_readv process_vm_writev pselect6 ptrace pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr removexattrat rename
    renameat renameat2 restart_syscall riscv_flush_icache riscv_hwprobe rmdir rseq rt_sigaction
    rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
    sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop sendfile
    sendmmsg sendmsg sendto set_mempolicy set_mempolicy_home_node set_robust_list set_thread_area
    set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid
    setresuid setreuid setrlimit setsid setsockopt setuid setxattr setxattrat shmat shmctl shmdt shmget
    shutdown sigaltstack signalfd signalfd4 socketpair splice stat statfs statx symlink symlinkat sync
    sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time timer_create timer_delete
    timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times
    tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice wait4 waitid write
    writev
";

/// Socket families that a build may use inside its own, empty network: unix, IPv4, IPv6, netlink.
const FAMILIES: [u32; 4] = [1, 2, 10, 16];

/// Flags of `clone` that create namespaces.
const NEW_NAMESPACES: u32 = 0x7E02_0000;

const NO_SUCH_CALL: u32 = 38;

/// The filter, as engines read it.
pub(super) fn profile() -> String {
    let allow =
        |names: Vec<&str>, args: Value| json!({"names": names, "action": "SCMP_ACT_ALLOW", "args": args});
    let mut calls = vec![
        allow(ALLOWED.split_whitespace().collect(), json!([])),
        // `clone` may start processes, but not create namespaces.
        allow(
            vec!["clone"],
            json!([{"index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]),
        ),
        // The flags of `clone3` are in memory, where a filter cannot look; if it does not exist, the C library uses
        // `clone`.
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": NO_SUCH_CALL, "args": []}),
    ];
    calls.extend(FAMILIES.map(|family| {
        allow(
            vec!["socket"],
            json!([{"index": 0, "value": family, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]),
        )
    }));
    json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": calls}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_reaches_the_machine_is_allowed() {
        let allowed: Vec<_> = ALLOWED.split_whitespace().collect();
        for call in [
            "add_key",
            "bpf",
            "clone",
            "clone3",
            "fsopen",
            "init_module",
            "io_uring_setup",
            "kexec_load",
            "keyctl",
            "mount",
            "open_by_handle_at",
            "perf_event_open",
            "pivot_root",
            "reboot",
            "setns",
            "socket",
            "unshare",
            "userfaultfd",
        ] {
            assert!(!allowed.contains(&call), "{call}");
        }
        assert!(allowed.contains(&"execve") && allowed.contains(&"ptrace"));
        let profile: Value = serde_json::from_str(&profile()).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    }
}
