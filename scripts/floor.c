// The yardstick of scripts/bench: several programs in one file, all small and static. Each does the kernel work that a
// command cannot do without, its values written down here: no JSON, no recorder, no look at anything else.
//
//   floor run ROOTFS ID [WORD=VALUE..]
//                          the default configuration, and /bin/true inside. More work by words: binds=N directories of
//                          ROOTFS/../data are bound on those of ROOTFS/mnt, both named 0, 1, 2; masks=N directories of
//                          ROOTFS/mnt are masked; rules=N of devices; variables=N; filter=FILE of seccomp's instructions.
//   floor create ROOTFS STATE ID
//                          the same up to the program, which is /bin/pause and waits for `start`. STATE/ID keeps its pid.
//   floor start|state|exec|kill|delete STATE ID
//                          what the command of that name does: opens the gate; reads the pid and what the kernel says of
//                          it; runs /bin/true inside, and first makes its own file one that nothing inside can write to;
//                          sends SIGKILL; removes a container that has ended.
//   floor list STATE       what `state` does, for each.
//   floor names STATE      the ids alone.
//   floor meter [xN] PROGRAM..
//                          runs a program, or N at once with their number in place of %, and prints: wall ns, CPU us,
//                          peak KiB, faults, exit status. The peak of a child begins with its parent's size, so the measuring
//                          program has to be small too.
//   true, pause            under these names it ends at once, or never; it is smaller than any shell's `true`.
//
// Build: cc -O2 -static -o floor floor.c
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <link.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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
#define GROUPS "/sys/fs/cgroup/"
#define OWN (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

// What a run is asked for besides the default.
static struct { int binds, masks, rules, variables; const char *filter; } more;

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

static const char *path(const char *format, const char *folder, const char *id)
{
    static char text[4096];
    snprintf(text, sizeof text, format, folder, id);
    return text;
}

// A program as long as a default list of device rules: look at type and access, then one comparison pair a rule.
static int device_program(void)
{
    int rules = LENGTH(NODES) + more.rules, n = 0;
    struct bpf_insn *code = calloc(4 * rules + 5, sizeof *code);
    for (int reg = 2; reg <= 4; reg++)
        code[n++] = (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = reg, .src_reg = 1, .off = (reg - 2) * 4};
    for (int i = 0; i < rules; i++) {
        int known = i < (int)LENGTH(NODES), major = known ? NODES[i].major : 300, minor = known ? NODES[i].minor : i;
        code[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 3, .off = 3, .imm = major};
        code[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 4, .off = 2, .imm = minor};
        code[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1};
        code[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
    }
    code[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0};
    code[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insns = (uintptr_t)code, .insn_cnt = n, .license = (uintptr_t)""};
    return done(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load), "load the device program");
}

static int make_group(const char *id)
{
    const char *name = path(GROUPS "floor%s%s", "", id);
    done(mkdir(name, 0755), name);
    int group = done(open(name, O_DIRECTORY | O_CLOEXEC), name), program = device_program();
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
    done(chdir("/mnt"), "/mnt");
    for (int i = 0; i < more.masks; i++) {
        char on[16];
        snprintf(on, sizeof on, "%d", i);
        done(mount(path("/proc/%s%s", "", empty), on, NULL, MS_BIND, NULL), on);
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

static void bind_more(const char *rootfs)
{
    char from[512], to[32];
    for (int i = 0; i < more.binds; i++) {
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

static char **variables(void)
{
    char **all = calloc(more.variables + 2, sizeof *all);
    all[0] = "PATH=/bin";
    for (int i = 0; i < more.variables; i++)
        if (asprintf(&all[i + 1], "VARIABLE_%d=the value of variable number %d", i, i) < 0) _exit(125);
    return all;
}

// With a gate: says on `ready` that all is made, and waits until `start` opens the gate's other end.
static void contained(const char *rootfs, int filter, const char *program, int ready, int gate)
{
    char *words[] = {(char *)program, NULL}, **with = variables(), door[32];
    umask(0);
    setsid();
    done(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "propagation");
    done(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), rootfs);
    done(chdir(rootfs), rootfs);
    fill_root();
    bind_more(rootfs);
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
    if (gate >= 0) {
        done(write(ready, "", 1), "ready");
        snprintf(door, sizeof door, "/proc/self/fd/%d", gate);
        done(open(door, O_WRONLY | O_CLOEXEC), "the gate");
    }
    if (filter >= 0) load_filter(filter);
    execve(words[0], words, with);
    done(-1, words[0]);
}

static long begin(int group, unsigned long flags)
{
    struct clone_args how = {.flags = flags | CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = group};
    return done(syscall(SYS_clone3, &how, sizeof how), "clone3");
}

static int ended(long pid)
{
    int status;
    done(waitpid(pid, &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const char *rootfs, const char *id)
{
    int filter = more.filter ? done(open(more.filter, O_RDONLY | O_CLOEXEC), more.filter) : -1;
    long pid = begin(make_group(id), OWN);
    if (pid == 0) contained(rootfs, filter, "/bin/true", -1, -1);
    int status = ended(pid);
    done(rmdir(path(GROUPS "floor%s%s", "", id)), "the cgroup");
    return status;
}

static int create(const char *rootfs, const char *state, const char *id)
{
    int ready[2], gate;
    char byte, pid[16];
    done(mkdir(path("%s/%s", state, id), 0711), "the state");
    done(mkfifo(path("%s/%s/gate", state, id), 0600), "the gate");
    gate = done(open(path("%s/%s/gate", state, id), O_PATH | O_CLOEXEC), "the gate");
    done(pipe2(ready, O_CLOEXEC), "pipe");
    long child = begin(make_group(id), OWN);
    if (child == 0) contained(rootfs, -1, "/bin/pause", ready[1], gate);
    int file = done(open(path("%s/%s/pid", state, id), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "the pid");
    done(write(file, pid, snprintf(pid, sizeof pid, "%ld", child)), "the pid");
    close(ready[1]);
    return read(ready[0], &byte, 1) != 1;
}

static int start(const char *state, const char *id)
{
    done(open(path("%s/%s/gate", state, id), O_RDONLY | O_CLOEXEC), "the gate");
    done(unlink(path("%s/%s/gate", state, id)), "the gate");
    return 0;
}

static long read_file(const char *name, char *text, size_t room)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);
    long got = file < 0 ? -1 : read(file, text, room - 1);
    close(file);
    text[got < 0 ? 0 : got] = 0;
    return got;
}

static int pid_of(const char *state, const char *id)
{
    char text[32];
    done(read_file(path("%s/%s/pid", state, id), text, sizeof text), id);
    return atoi(text);
}

static int look(const char *state, const char *id)
{
    char stat[1024], frozen[8], name[64];
    int pid = pid_of(state, id);
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    read_file(name, stat, sizeof stat);
    read_file(path(GROUPS "floor%s%s/cgroup.freeze", "", id), frozen, sizeof frozen);
    return printf("%s %d %s", id, pid, frozen) < 0;
}

static int name(const char *state, const char *id)
{
    return access(path("%s/%s/pid", state, id), F_OK) == 0 ? puts(id) < 0 : 0;
}

static int list(const char *state, int (*show)(const char *, const char *))
{
    DIR *all = opendir(state);
    for (struct dirent *one; all && (one = readdir(all));)
        if (one->d_name[0] != '.') show(state, one->d_name);
    return !all;
}

// A process inside can reach the file of one that enters (CVE-2019-5736). The cheapest cure: what is mapped from it is mapped
// anew from a read-only mount, which becomes /proc/PID/exe.
static void seal(void)
{
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
    const ElfW(Phdr) *header = (const void *)getauxval(AT_PHDR);
    uint64_t first = UINT64_MAX, last = 0;
    int tree = done(syscall(SYS_open_tree, AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), "open_tree");
    done(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &readonly, sizeof readonly), "mount_setattr");
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", tree);
    int file = done(open(name, O_RDONLY | O_CLOEXEC), name);
    for (const ElfW(Phdr) *end = header + getauxval(AT_PHNUM); header < end; header++) {
        if (header->p_type != PT_LOAD) continue;
        uintptr_t at = header->p_vaddr & -4096ul, size = (header->p_vaddr + header->p_filesz - at + 4095) & -4096ul;
        int prot = (header->p_flags & PF_R ? PROT_READ : 0) | (header->p_flags & PF_X ? PROT_EXEC : 0);
        first = at < first ? at : first;
        last = at + size > last ? at + size : last;
        if (!(header->p_flags & PF_W)) {
            done((long)mmap((void *)at, size, prot, MAP_PRIVATE | MAP_FIXED, file, header->p_offset & -4096ul), "mmap");
            continue;
        }
        void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(copy, (void *)at, size);
        done((long)mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)at), "mremap");
    }
    uint64_t stack = (uintptr_t)&readonly, heap = (uintptr_t)sbrk(0);
    struct prctl_mm_map map = {first, last, first, last, heap, heap, stack, stack, stack, stack, stack, NULL, 0, file};
    done(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0), "prctl");
    close(file);
    close(tree);
}

static int enter(const char *state, const char *id)
{
    seal();
    char *words[] = {"/bin/true", NULL}, *with[] = {"PATH=/bin", NULL};
    const char *name = path(GROUPS "floor%s%s", "", id);
    int group = done(open(name, O_DIRECTORY | O_CLOEXEC), name);
    int init = done(syscall(SYS_pidfd_open, pid_of(state, id), 0), "pidfd_open");
    done(setns(init, OWN), "setns");
    long pid = begin(group, 0);
    if (pid > 0) return ended(pid);
    setsid();
    struct rlimit files = {1024, 1024};
    done(setrlimit(RLIMIT_NOFILE, &files), "rlimit");
    drop_privileges();
    execve(words[0], words, with);
    return done(-1, words[0]);
}

static int end(const char *state, const char *id)
{
    int init = done(syscall(SYS_pidfd_open, pid_of(state, id), 0), "pidfd_open");
    return done(syscall(SYS_pidfd_send_signal, init, SIGKILL, NULL, 0), "kill");
}

static int remove_all(const char *state, const char *id)
{
    if (kill(pid_of(state, id), 0) == 0) return 1; // it lives
    done(rmdir(path(GROUPS "floor%s%s", "", id)), "the cgroup");
    done(unlink(path("%s/%s/pid", state, id)), "the pid");
    return done(rmdir(path("%s/%s", state, id)), "the state");
}

static void execute(char **program, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    for (char **word = program; *word; word++)
        if (!strcmp(*word, "%")) *word = text;
    execv(program[0], program);
    _exit(127);
}

static int meter(char **program)
{
    int at_once = program[0][0] == 'x' ? atoi(*program++ + 1) : 1, worst = 0, status;
    struct timespec from, to;
    struct rusage used;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < at_once; i++) {
        pid_t pid = at_once > 1 ? fork() : vfork();
        if (pid == 0) execute(program, i);
    }
    while (wait(&status) > 0)
        if (status) worst = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    clock_gettime(CLOCK_MONOTONIC, &to);
    getrusage(RUSAGE_CHILDREN, &used);
    long long wall = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
    long long cpu = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    printf("%lld %lld %ld %ld %d\n", wall, cpu, used.ru_maxrss, used.ru_minflt, worst);
    return 0;
}

static int is(const char *command, const char *name)
{
    return !strcmp(command, name);
}

static int ask(const char *word)
{
    const struct { const char *name; int *number; } known[] = {
        {"binds=", &more.binds}, {"masks=", &more.masks}, {"rules=", &more.rules}, {"variables=", &more.variables}};
    for (unsigned i = 0; i < LENGTH(known); i++)
        if (!strncmp(word, known[i].name, strlen(known[i].name))) return *known[i].number = atoi(word + strlen(known[i].name)), 0;
    if (!strncmp(word, "filter=", 7)) return more.filter = word + 7, 0;
    return fprintf(stderr, "floor: no such word: %s\n", word), 2;
}

int main(int count, char **words)
{
    size_t length = strlen(words[0]);
    if (length >= 4 && is(words[0] + length - 4, "true")) return 0;
    if (length >= 5 && is(words[0] + length - 5, "pause")) return pause();
    const char *command = count > 2 ? words[1] : "";
    for (int i = 4; is(command, "run") && i < count; i++)
        if (ask(words[i])) return 2;
    if (is(command, "run") && count > 3) return run(words[2], words[3]);
    if (is(command, "meter")) return meter(words + 2);
    if (is(command, "list")) return list(words[2], look);
    if (is(command, "names")) return list(words[2], name);
    if (is(command, "create") && count > 4) return create(words[2], words[3], words[4]);
    const struct { const char *name; int (*does)(const char *, const char *); } rest[] = {
        {"start", start}, {"state", look}, {"exec", enter}, {"kill", end}, {"delete", remove_all}};
    for (unsigned i = 0; i < LENGTH(rest); i++)
        if (is(command, rest[i].name) && count > 3) return rest[i].does(words[2], words[3]);
    fputs("floor COMMAND WORD..: the beginning of floor.c says which\n", stderr);
    return 2;
}
