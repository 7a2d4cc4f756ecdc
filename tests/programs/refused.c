/* Calls that a container refuses, or by which a program ends: one a name. The cases of tests/all/refused and tests/all/ended say what
   the container is like. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define IS(word) else if (!strcmp(name, word))

static int unix_socket(const char *path, int bound) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return bound ? bind(fd, (void *)&at, sizeof at) : connect(fd, (void *)&at, sizeof at);
}

static void bind_inet6(const char *address) {
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(8080)};
    inet_pton(AF_INET6, address, &at.sin6_addr);
    bind(socket(AF_INET6, SOCK_STREAM, 0), (void *)&at, sizeof at);
}

/* A program of a type, as short as the verifier takes it. */
static void load_bpf(int type) {
    struct bpf_insn program[2] = {{.code = 0xb7}, {.code = 0x95}};
    union bpf_attr attr = {.prog_type = type, .insn_cnt = 2, .insns = (long)program, .license = (long)"GPL"};
    syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
}

static void mount_proc_as_another_root(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID))
        return;
    if (!fork())
        _exit(mount("proc", "/tmp", "proc", 0, 0) != 0);
    wait(0);
}

static int deep(int n) {
    volatile char room[4096];
    room[0] = n;
    return n ? deep(n + 1) + room[0] : 0;
}

static void page_that_is_not_there(const char *path) {
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    page[0] = 1;
}

int main(int count, char **words) {
    const char *name = words[1], *path = count > 2 ? words[2] : "";
    if (count < 2)
        return 2;
    IS("futimens") futimens(open(path, O_RDONLY), 0);
    IS("flags") { int flags = 0x10; ioctl(open(path, O_RDONLY), FS_IOC_SETFLAGS, &flags); }
    IS("unix-bind") unix_socket(path, 1);
    IS("unix-connect") unix_socket(path, 0);
    IS("link") link(path, words[3]);
    IS("access") access(path, X_OK);
    IS("chmod") chmod(path, 0777);
    IS("hostname") sethostname("x", 1);
    IS("dropped") { setresuid(1000, 1000, 1000); sethostname("x", 1); }
    IS("bpf") load_bpf(atoi(path));
    IS("proc") mount_proc_as_another_root();
    IS("mount") mount("none", "/tmp", path, 0, 0);
    IS("inotify") while (inotify_init1(0) >= 0) continue;
    IS("mq") { struct mq_attr size = {.mq_maxmsg = 10, .mq_msgsize = 8192}; mq_open("/x", O_CREAT | O_RDWR, 0600, &size); }
    IS("shm-lock") { int id = shmget(IPC_PRIVATE, 1 << 20, 0600); shmctl(id, SHM_LOCK, 0); shmctl(id, IPC_RMID, 0); }
    IS("bind6") bind_inet6(path);
    IS("interface") { struct ifreq of = {0}; strcpy(of.ifr_name, path); ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFADDR, &of); }
    IS("stack") return deep(1);
    IS("bus") page_that_is_not_there(path);
    IS("pipe") { int ends[2]; pipe(ends); close(ends[0]); signal(SIGPIPE, SIG_DFL); write(ends[1], "x", 1); }
    IS("abort") abort();
    IS("alarm") { ualarm(1000, 0); pause(); }
    return 0;
}
