/* What goes wrong under a careless tracer, one word of the command line each. It prints what is wrong, and "done". */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

static int wrong;
static void is(const char *what, long right) { if (!right) { printf("wrong: %s\n", what); wrong = 1; } }
static void near_now(const char *what, long time_, long most) { long d = time_ - time(0); is(what, d <= most && d >= -most); }
static void *waits(void *a) { for (;;) pause(); return a; }

static void *locks(void *m) { pthread_mutex_lock(m); return 0; }

static void cancel(void) { pthread_t t; pthread_create(&t, 0, waits, 0); usleep(10000); pthread_cancel(t); is("cancel", !pthread_join(t, 0)); }
static void ids(void) { pthread_t t; pthread_create(&t, 0, waits, 0); usleep(10000); is("setgid", !setgid(getgid())); }
static int got; static void handler(int s, siginfo_t *i, void *c) { (void)c; if (s == SIGRTMIN + 3 && i->si_value.sival_int == 42) got++; }
static void realtime(void) {
  int s; pid_t p = fork();
  if (!p) { raise(SIGRTMIN + 3); _exit(0); }
  waitpid(p, &s, 0); is("the end by a real-time signal", WIFSIGNALED(s) && WTERMSIG(s) == SIGRTMIN + 3);
  struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO}; sigaction(SIGRTMIN + 3, &a, 0);
  union sigval v = {.sival_int = 42}; for (int i = 0; i < 100; i++) sigqueue(getpid(), SIGRTMIN + 3, v);
  is("a queue of real-time signals", got == 100);
}
static void early(void) { /* processes are killed while they fork */
  for (int i = 0; i < 150; i++) {
    pid_t p = fork();
    if (!p) for (;;) { pid_t q = fork(); if (!q) _exit(0); while (waitpid(-1, 0, WNOHANG) > 0); }
    usleep(2000 + (i * 37) % 900); kill(p, SIGKILL); waitpid(p, 0, 0);
  }
  sleep(1);
  DIR *d = opendir("/proc"); struct dirent *e; int stuck = 0;
  while ((e = readdir(d))) {
    if (*e->d_name < '1' || *e->d_name > '9') continue;
    char p[300], b[4096]; snprintf(p, 300, "/proc/%s/status", e->d_name);
    int f = open(p, O_RDONLY); if (f < 0) continue;
    int k = read(f, b, 4095); close(f); b[k < 0 ? 0 : k] = 0;
    char *s = strstr(b, "State:"); if (s && s[7] == 't') stuck++;
  }
  closedir(d); printf("%d stuck\n", stuck); is("early", !stuck);
}
static void untraced(void) {
  long p = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0); if (!p) _exit(0); is("clone(CLONE_UNTRACED)", p < 0);
  p = syscall(SYS_clone, CLONE_UNTRACED | (1L << 40) | SIGCHLD, 0, 0, 0, 0); if (!p) _exit(0); is("the same with high bits", p < 0);
}
static void listener(void) {
  struct sock_filter f[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}; struct sock_fprog program = {1, f};
  for (unsigned long flags = 8; flags < 64; flags += 16)
    is("a listener", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | (flags & 16 ? 1L << 40 : 0), &program) < 0);
  is("a filter", !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}
static void tracer(void) {
  is("traceme", ptrace(PTRACE_TRACEME, 0, 0, 0) < 0);
  pid_t p = fork(); if (!p) { pause(); _exit(0); }
  is("seize", ptrace(PTRACE_SEIZE, p, 0, 0) < 0 && ptrace(PTRACE_ATTACH, p, 0, 0) < 0); kill(p, SIGKILL); waitpid(p, 0, 0);
}
static long number(const char *path, const char *key) {
  FILE *f = fopen(path, "r"); char line[9999]; long n = -1;
  while (f && fgets(line, sizeof line, f)) if (!strncmp(line, key, strlen(key))) { n = atol(line + strlen(key)); break; }
  if (f) fclose(f); return n;
}
static void set(const char *how, long done) {
  struct stat s; stat("u", &s); is(how, done == 0 && s.st_mtime == 2000000000);
  struct timespec then[2] = {{1, 0}, {1, 0}}; utimensat(AT_FDCWD, "u", then, 0);
}
static void set_at_the_end_of_the_stack(struct timespec *times) {
  char line[9999]; unsigned long end = 0; FILE *f = fopen("/proc/self/maps", "r");
  while (f && fgets(line, sizeof line, f)) if (strstr(line, "[stack]")) end = strtoul(line, 0, 16);
  if (f) fclose(f);
  long done = SYS_utimensat; register long flags asm("r10") = 0;
  asm volatile("mov %%rsp, %%r12; mov %[stack], %%rsp; syscall; mov %%r12, %%rsp"
               : "+a"(done) : "D"((long)AT_FDCWD), "S"("u"), "d"(times), "r"(flags), [stack] "r"(end + 64) : "rcx", "r11", "r12", "memory");
  set("utimensat where the stack ends", done);
}
static struct timespec begun;
static struct timespec *soon(void) { static struct timespec t; t.tv_sec = time(0) + 1; clock_gettime(CLOCK_MONOTONIC, &begun); return &t; }
static void waited(const char *how, long right) {
  struct timespec end; clock_gettime(CLOCK_MONOTONIC, &end); double took = end.tv_sec - begun.tv_sec + (end.tv_nsec - begun.tv_nsec) / 1e9;
  is(how, right); if (took > 3) { printf("%s: %f s\n", how, took); wrong = 1; }
}
static void waits_for_a_moment(void) {
  sem_t s; sem_init(&s, 0, 0); waited("sem_timedwait", sem_timedwait(&s, soon()) < 0 && errno == ETIMEDOUT);
  pthread_mutexattr_t a; pthread_mutexattr_init(&a); pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
  pthread_mutex_t m; pthread_mutex_init(&m, 0); pthread_mutex_lock(&m); waited("pthread_mutex_timedlock", pthread_mutex_timedlock(&m, soon()) == ETIMEDOUT);
  pthread_t t; pthread_mutex_init(&m, &a); pthread_create(&t, 0, locks, &m); pthread_join(t, 0);
  waited("a lock with priorities", pthread_mutex_timedlock(&m, soon()) == ETIMEDOUT);
  waited("clock_nanosleep", !clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, soon(), 0));
  struct mq_attr size = {.mq_maxmsg = 1, .mq_msgsize = 8}; char b[8]; mqd_t q = mq_open("/q", O_CREAT | O_RDWR, 0600, &size);
  waited("mq_timedreceive", q >= 0 && mq_timedreceive(q, b, 8, 0, soon()) < 0 && errno == ETIMEDOUT); mq_unlink("/q");
  waited("a moment nowhere", syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, 8L, 0L) < 0 && errno == EFAULT);
}
static void clocks(void) {
  struct timespec ts; struct timex tx = {0};
  is("a second clock", !syscall(SYS_clock_gettime, 8, &ts)); near_now("CLOCK_REALTIME_ALARM", ts.tv_sec, 2);
  syscall(SYS_clock_gettime, 1L << 32, &ts); near_now("a clock with high bits", ts.tv_sec, 2);
  if (syscall(SYS_adjtimex, &tx) >= 0) near_now("adjtimex", tx.time.tv_sec, 2);
  int q = msgget(IPC_PRIVATE, 0600); struct msqid_ds m; msgctl(q, IPC_STAT, &m); near_now("msgctl", m.msg_ctime, 2); msgctl(q, IPC_RMID, 0);
  q = shmget(IPC_PRIVATE, 4096, 0600); struct shmid_ds h; shmctl(q, IPC_STAT, &h); near_now("shmctl", h.shm_ctime, 2); shmctl(q, IPC_RMID, 0);
  q = semget(IPC_PRIVATE, 1, 0600); struct semid_ds e; semctl(q, 0, IPC_STAT, &e); near_now("semctl", e.sem_ctime, 2); semctl(q, 0, IPC_RMID);
  q = msgget(IPC_PRIVATE, 0600); is("/proc/sysvipc", access("/proc/sysvipc/msg", F_OK)); msgctl(q, IPC_RMID, 0);
  int pair[2], one = 1; socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
  is("SO_TIMESTAMP", setsockopt(pair[1], SOL_SOCKET, SO_TIMESTAMP, &one, sizeof one) < 0);
  near_now("/proc/stat", number("/proc/stat", "btime ") + number("/proc/uptime", ""), 3600);
  is("meminfo", number("/proc/meminfo", "MemFree:") == number("/proc/meminfo", "MemTotal:"));
  is("boot_id", number("/proc/sys/kernel/random/boot_id", "00000000-0000-") == 4000);
  close(open("u", O_CREAT | O_WRONLY, 0666));
  struct utimbuf seconds = {2000000000, 2000000000}; set("utime", syscall(SYS_utime, "u", &seconds));
  struct timeval micro[2] = {{2000000000, 5}, {2000000000, 5}}; set("utimes", syscall(SYS_utimes, "u", micro));
  set("futimesat", syscall(SYS_futimesat, AT_FDCWD, "u", micro));
  struct timespec nano[2] = {{2000000000, 5}, {2000000000, 5}}; set("utimensat", utimensat(AT_FDCWD, "u", nano, 0));
  set_at_the_end_of_the_stack(nano);
  is("a pointer to nowhere", syscall(SYS_utimes, "u", 8L) < 0 && errno == EFAULT); unlink("u");
  long now = time(0); prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); struct timeval tv; syscall(SYS_gettimeofday, &tv, 0);
  is("a process that nobody may look into", tv.tv_sec - now <= 2 && now - tv.tv_sec <= 2); prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  mkdir("listed", 0777); for (const char *n = "qbzamc"; *n; n++) { char p[20]; snprintf(p, 20, "listed/%c", *n); close(open(p, O_CREAT | O_WRONLY, 0666)); }
  char old[4096], new[4096], a[300] = "", b[300] = "";
  int f = open("listed", O_RDONLY); long n = syscall(SYS_getdents, f, old, sizeof old);
  for (long i = 0; i < n; i += *(unsigned short *)(old + i + 16)) strncat(a, old + i + 18, 9);
  lseek(f, 0, SEEK_SET); n = syscall(SYS_getdents64, f, new, sizeof new);
  for (long i = 0; i < n; i += *(unsigned short *)(new + i + 16)) strncat(b, new + i + 19, 9);
  is("getdents", strlen(a) > 5 && !strcmp(a, b)); system("rm -r listed");
}

int main(int count, char **words) {
  setvbuf(stdout, 0, _IONBF, 0);
  static const struct { const char *name; void (*run)(void); } all[] = {
      {"cancel", cancel}, {"ids", ids}, {"realtime", realtime}, {"early", early}, {"untraced", untraced},
      {"tracer", tracer}, {"clocks", clocks}, {"waits", waits_for_a_moment}, {"listener", listener}};
  for (int i = 1; i < count; i++)
    for (unsigned j = 0; j < sizeof all / sizeof *all; j++) if (!strcmp(all[j].name, words[i])) all[j].run();
  if (!wrong) puts("done");
  return wrong;
}
