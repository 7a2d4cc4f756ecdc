// The yardstick of scripts/bench: three programs in one file, all small and static.
//
//   floor run ROOTFS [BINDS [FILTER]]
//                          the kernel work that the default configuration cannot do without, its values written down
//                          here: no JSON, no state, no recorder, no look at anything. /bin/true runs inside.
//                          BINDS directories of ROOTFS/../data are bound on those of ROOTFS/mnt, both named 0, 1, 2;
//                          FILTER is a file of seccomp's instructions.
//   floor meter PROGRAM..  runs a program and prints: wall ns, CPU us, peak KiB, exit status. The peak of a child
//                          begins with its parent's size, so the measuring program has to be small too.
//   true                   under this name it ends at once, and is smaller than any shell's `true`.
//
// Build: cc -O2 -static -o floor floor.c
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LENGTH(list) (sizeof(list) / sizeof *(list))
#define GROUP "/sys/fs/cgroup/floor"

static long done(long result, const char *what)
{
    if (result >= 0) return result;
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    _exit(125);
}

static const struct mounted {
    const char *on, *type, *source, *data;
    unsigned long flags;
} TABLE[] = {
    {"proc", "proc", "proc", NULL, 0},
    {"dev", "tmpfs", "tmpfs", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME},
    {"dev/pts", "devpts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC},
    {"dev/shm", "tmpfs", "shm", "mode=1777,size=65536k", MS_NOSUID | MS_NOEXEC | MS_NODEV},
    {"dev/mqueue", "mqueue", "mqueue", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
    {"sys", "sysfs", "sysfs", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY},
    {"sys/fs/cgroup", "cgroup2", "cgroup", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME | MS_RDONLY},
};
static const struct { const char *name; int major, minor; } NODES[] = {
    {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7}, {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
};
static const struct { const char *name, *to; } LINKS[] = {
    {"dev/fd", "/proc/self/fd"}, {"dev/stdin", "/proc/self/fd/0"}, {"dev/stdout", "/proc/self/fd/1"},
    {"dev/stderr", "/proc/self/fd/2"}, {"dev/ptmx", "pts/ptmx"},
};
static const char *const MASKED[] = {"acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "timer_stats",
                                     "sched_debug", "scsi", "../sys/firmware"};
static const char *const READONLY[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};

// A program as long as a default list of device rules: look at type and access, then one comparison pair a rule.
static int device_program(void)
{
    struct bpf_insn code[80];
    int n = 0;
    for (int reg = 2; reg <= 4; reg++)
        code[n++] = (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = reg, .src_reg = 1, .off = (reg - 2) * 4};
    for (unsigned i = 0; i < LENGTH(NODES); i++) {
        code[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 3, .off = 3, .imm = NODES[i].major};
        code[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 4, .off = 2, .imm = NODES[i].minor};
        code[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1};
        code[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
    }
    code[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0};
    code[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insns = (uintptr_t)code, .insn_cnt = n, .license = (uintptr_t)""};
    return done(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load), "load the device program");
}

static int make_group(void)
{
    done(mkdir(GROUP, 0755), GROUP);
    int group = done(open(GROUP, O_DIRECTORY | O_CLOEXEC), GROUP), program = device_program();
    union bpf_attr attach = {.attach_type = BPF_CGROUP_DEVICE, .target_fd = group, .attach_bpf_fd = program, .attach_flags = BPF_F_ALLOW_MULTI};
    done(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach), "attach the device program");
    close(program);
    return group;
}

static void fill_root(void)
{
    for (const struct mounted *m = TABLE; m < TABLE + LENGTH(TABLE); m++) {
        if (!strncmp(m->on, "dev/", 4)) done(mkdir(m->on, 0755), m->on);
        done(mount(m->source, m->on, m->type, m->flags, m->data), m->on);
    }
    for (unsigned i = 0; i < LENGTH(NODES); i++) done(mknod(NODES[i].name, S_IFCHR | 0666, makedev(NODES[i].major, NODES[i].minor)), NODES[i].name);
    for (unsigned i = 0; i < LENGTH(LINKS); i++) done(symlink(LINKS[i].to, LINKS[i].name), LINKS[i].name);
}

static void close_paths(void)
{
    const char *empty = NULL;
    done(chdir("/proc"), "/proc");
    for (unsigned i = 0; i < LENGTH(MASKED); i++) {
        struct stat is;
        if (stat(MASKED[i], &is)) continue; // this kernel has none
        if (!S_ISDIR(is.st_mode)) done(mount("/dev/null", MASKED[i], NULL, MS_BIND, NULL), MASKED[i]);
        else if (empty) done(mount(empty, MASKED[i], NULL, MS_BIND, NULL), MASKED[i]);
        else done(mount("tmpfs", empty = MASKED[i], "tmpfs", MS_RDONLY, "nr_inodes=2"), MASKED[i]);
    }
    for (unsigned i = 0; i < LENGTH(READONLY); i++) {
        if (mount(READONLY[i], READONLY[i], NULL, MS_BIND | MS_REC, NULL)) continue;
        done(mount(NULL, READONLY[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), READONLY[i]);
    }
    done(chdir("/"), "/");
    done(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "read-only root");
}

static void drop_privileges(void)
{
    uint32_t keep = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_AUDIT_WRITE;
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
        if (cap > 31 || !(keep & 1u << cap)) done(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "bounding set");
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{keep, keep, 0}, {0, 0, 0}};
    done(syscall(SYS_capset, &head, sets), "capset");
    done(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

static void bind_more(const char *rootfs, int binds)
{
    char from[512], to[32];
    for (int i = 0; i < binds; i++) {
        snprintf(from, sizeof from, "%s/../data/%d", rootfs, i);
        snprintf(to, sizeof to, "mnt/%d", i);
        done(mount(from, to, NULL, MS_BIND | MS_REC, NULL), to);
    }
}

static void load_filter(int file)
{
    static struct sock_filter code[BPF_MAXINSNS];
    struct sock_fprog filter = {done(read(file, code, sizeof code), "read the filter") / sizeof *code, code};
    done(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "seccomp");
}

static void contained(const char *rootfs, int binds, int filter)
{
    char *words[] = {"/bin/true", NULL}, *variables[] = {"PATH=/bin", NULL};
    umask(0);
    setsid();
    done(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "propagation");
    done(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), rootfs);
    done(chdir(rootfs), rootfs);
    fill_root();
    bind_more(rootfs, binds);
    done(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    done(umount2(".", MNT_DETACH), "the old root");
    close_paths();
    done(sethostname("floor", 5), "sethostname");
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int control = done(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    done(ioctl(control, SIOCSIFFLAGS, &up), "lo");
    struct rlimit files = {1024, 1024};
    done(setrlimit(RLIMIT_NOFILE, &files), "rlimit");
    umask(022);
    drop_privileges();
    if (filter >= 0) load_filter(filter);
    execve(words[0], words, variables);
    done(-1, words[0]);
}

static int run(const char *rootfs, int binds, const char *file)
{
    int filter = file ? done(open(file, O_RDONLY | O_CLOEXEC), file) : -1;
    int group = make_group(), status;
    struct clone_args how = {.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_INTO_CGROUP,
                             .exit_signal = SIGCHLD, .cgroup = group};
    long pid = done(syscall(SYS_clone3, &how, sizeof how), "clone3");
    if (pid == 0) contained(rootfs, binds, filter);
    done(waitpid(pid, &status, 0), "waitpid");
    done(rmdir(GROUP), "rmdir " GROUP);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int meter(char **program)
{
    struct timespec from, to;
    struct rusage used;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &from);
    pid_t pid = vfork();
    if (pid == 0) {
        execv(program[0], program);
        _exit(127);
    }
    done(wait4(pid, &status, 0, &used), "wait4");
    clock_gettime(CLOCK_MONOTONIC, &to);
    long long wall = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
    long long cpu = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    printf("%lld %lld %ld %d\n", wall, cpu, used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}

int main(int count, char **words)
{
    size_t length = strlen(words[0]);
    if (length >= 4 && !strcmp(words[0] + length - 4, "true")) return 0;
    if (count > 2 && !strcmp(words[1], "run")) return run(words[2], count > 3 ? atoi(words[3]) : 0, count > 4 ? words[4] : NULL);
    if (count > 2 && !strcmp(words[1], "meter")) return meter(words + 2);
    fputs("floor run ROOTFS [BINDS [FILTER]] | floor meter PROGRAM [WORD..]\n", stderr);
    return 2;
}
