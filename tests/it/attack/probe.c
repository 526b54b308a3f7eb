/* Tries what a build has no business doing, one line each: "name granted" or "name refused". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static void say(const char *name, long granted) { printf("%s %s\n", name, granted ? "granted" : "refused"); fflush(stdout); }
static long call(long n, long a, long b, long c, long d, long e) { errno = 0; return syscall(n, a, b, c, d, e); }
#define TRY(name, n, a, b, c, d, e) say(name, call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e)) >= 0)

/* Whether a child that does this ends well. */
static int child(int (*what)(void)) {
  pid_t pid = fork();
  if (pid == 0) _exit(what() ? 0 : 1);
  int status; waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
static int writes(const char *path, const char *text) {
  int f = open(path, O_WRONLY); if (f < 0) return 0;
  int n = write(f, text, strlen(text)); close(f); return n > 0;
}
static int i386(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
  return result > 0; /* getpid of the other table */
}
static int x32(void) { return syscall(0x40000000L | 39) > 0; }
static int terminal(unsigned long request) {
  int master = posix_openpt(O_RDWR | O_NOCTTY); if (master < 0) return 0;
  grantpt(master); unlockpt(master);
  setsid();
  int slave = open(ptsname(master), O_RDWR); if (slave < 0) return 0;
  ioctl(slave, TIOCSCTTY, 0);
  char c[2] = {'x', 0};
  return ioctl(slave, request, c) == 0;
}
static int sti(void) { return terminal(TIOCSTI); }
static int sti_high(void) { return terminal(TIOCSTI | (1UL << 40)); }
static int namespace_by(unsigned long flag) {
  long pid = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  if (pid > 0) waitpid(pid, 0, 0);
  return pid > 0;
}
static int newuser(void) { return namespace_by(CLONE_NEWUSER); }
static int newns(void) { return namespace_by(CLONE_NEWNS | CLONE_NEWPID); }
static int clone3_user(void) {
  uint64_t args[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, 0};
  long pid = syscall(435, args, sizeof args);
  if (pid == 0) _exit(0);
  return pid > 0;
}
static int watches(void) {
  int n = 0; while (n < 120 && inotify_init1(0) >= 0) n++;
  return n > 40;
}
static int immutable(void) {
  int f = open("/tmp/immutable", O_CREAT | O_RDWR, 0600), flags = FS_IMMUTABLE_FL | FS_APPEND_FL;
  return ioctl(f, FS_IOC_SETFLAGS, &flags) == 0;
}
static int device(const char *name, mode_t kind, int major_, int minor_) {
  unlink(name);
  return mknod(name, kind | 0666, makedev(major_, minor_)) == 0 && open(name, O_RDONLY) >= 0;
}
static int disk(void) { return device("/tmp/disk", S_IFBLK, 254, 0) || device("/tmp/disk2", S_IFBLK, 8, 0); }
static int memory(void) { return device("/tmp/mem", S_IFCHR, 1, 1) || open("/dev/mem", O_RDONLY) >= 0; }
static int kmsg(void) { return device("/tmp/kmsg", S_IFCHR, 1, 11) || open("/dev/kmsg", O_RDONLY) >= 0; }
static int fuse(void) { return device("/tmp/fuse", S_IFCHR, 10, 229) || open("/dev/fuse", O_RDONLY) >= 0; }

int main(void) {
  struct timespec now = {1000, 0};
  struct sched_param fifo = {10};
  TRY("unshare-user", SYS_unshare, CLONE_NEWUSER, 0, 0, 0, 0);
  TRY("unshare-mount", SYS_unshare, CLONE_NEWNS, 0, 0, 0, 0);
  say("clone-user", child(newuser));
  say("clone-mount", child(newns));
  say("clone3-user", child(clone3_user));
  TRY("setns", SYS_setns, open("/proc/1/ns/net", O_RDONLY), 0, 0, 0, 0);
  TRY("mount", SYS_mount, "none", "/mnt", "tmpfs", 0, 0);
  TRY("remount", SYS_mount, "none", "/inputs", 0, MS_REMOUNT | MS_BIND, 0);
  TRY("umount", SYS_umount2, "/inputs", MNT_DETACH, 0, 0, 0);
  TRY("fsopen", 430, "tmpfs", 0, 0, 0, 0);
  TRY("open-tree", 428, AT_FDCWD, "/", 1, 0, 0);
  TRY("mount-setattr", 442, AT_FDCWD, "/", 0, 0, 0);
  TRY("pivot-root", SYS_pivot_root, "/", "/mnt", 0, 0, 0);
  TRY("bpf", SYS_bpf, 0, 0, 0, 0, 0);
  TRY("perf", SYS_perf_event_open, 0, 0, -1, -1, 0);
  TRY("userfaultfd", SYS_userfaultfd, 0, 0, 0, 0, 0);
  TRY("io-uring", 425, 1, 0, 0, 0, 0);
  unsigned long context = 0;
  TRY("aio", SYS_io_setup, 64, &context, 0, 0, 0);
  TRY("keyring", SYS_keyctl, 0, -3, 1, 0, 0);
  TRY("add-key", SYS_add_key, "user", "name", "x", 1, -3);
  TRY("module", SYS_init_module, "", 0, "", 0, 0);
  TRY("kexec", SYS_kexec_load, 0, 0, 0, 0, 0);
  TRY("kernel-log", SYS_syslog, 3, "", 0, 0, 0);
  TRY("swap", SYS_swapon, "/tmp", 0, 0, 0, 0);
  TRY("file-by-handle", SYS_open_by_handle_at, AT_FDCWD, "", 0, 0, 0);
  TRY("fanotify", SYS_fanotify_init, 0, 0, 0, 0, 0);
  TRY("clock", SYS_clock_settime, CLOCK_REALTIME, &now, 0, 0, 0);
  TRY("host-name", SYS_sethostname, "evil", 4, 0, 0, 0);
  TRY("ports", SYS_iopl, 3, 0, 0, 0, 0);
  TRY("real-time", SYS_sched_setscheduler, 0, SCHED_FIFO, &fifo, 0, 0);
  TRY("priority", SYS_setpriority, PRIO_PROCESS, 0, -20, 0, 0);
  TRY("execute-data", SYS_personality, 0x0400000, 0, 0, 0, 0);
  TRY("packet-socket", SYS_socket, 17, SOCK_RAW, 0, 0, 0);
  TRY("vsock", SYS_socket, 40, SOCK_STREAM, 0, 0, 0);
  TRY("alg-socket", SYS_socket, 38, SOCK_SEQPACKET, 0, 0, 0);
  TRY("vsock-high-bits", SYS_socket, 40 | (1L << 35), SOCK_STREAM, 0, 0, 0);
  TRY("statmount", 457, 0, 0, 0, 0, 0);
  TRY("secret-memory", 447, 0, 0, 0, 0, 0);
  errno = 0; say("unknown-call", !(syscall(900) == -1 && errno == ENOSYS));
  say("i386", child(i386));
  say("x32", child(x32));
  say("terminal-input", child(sti));
  say("terminal-input-high-bits", child(sti_high));
  say("disk", child(disk));
  say("memory", child(memory));
  say("kmsg", child(kmsg));
  say("fuse", child(fuse));
  say("immutable", child(immutable));
  say("inotify", child(watches));
  say("core-pattern", writes("/proc/sys/kernel/core_pattern", "|/x"));
  say("sysrq", writes("/proc/sysrq-trigger", "h"));
  say("uid-map", writes("/proc/self/uid_map", "0 0 1\n"));
  say("user-limits", writes("/proc/sys/user/max_inotify_instances", "100000"));
  say("oom", writes("/proc/self/oom_score_adj", "-1000"));
  say("no-new-privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1);
  say("capabilities", prctl(PR_CAPBSET_READ, 21, 0, 0, 0) == 1 || prctl(PR_CAPBSET_READ, 19, 0, 0, 0) == 1);
  return 0;
}
