/* Makes system calls of one area after the other, for the comparison of `--watch=all` with strace (tests/all/parity/watched.rs).
 * Results do not matter: what is refused is shown as well. The word says which area.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

static char room[4096];

/* The number, whatever the C library's header knows. */
#define CALL(name, ...) syscall(SYS_##name, ##__VA_ARGS__)

/* Newer architectures have no select(2): there the C library makes it of pselect6. */
#ifdef SYS_select
#define SELECT(...) CALL(select, __VA_ARGS__)
#else
#define SELECT(...) select(__VA_ARGS__)
#endif

static void files(void) {
    struct stat stat_of;
    struct statfs statfs_of;
    struct flock lock = {F_RDLCK, SEEK_SET, 0, 10};
    struct timespec times[2] = {{1, 2}, {0, UTIME_OMIT}};
    struct iovec parts[2] = {{room, 5}, {room + 5, 50}};
    uint64_t how[3] = {O_RDONLY | O_CLOEXEC, 0, 8};
    off_t from = 3;
    int at = open("/etc/passwd", O_RDONLY);
    read(at, room, 40);
    pread(at, room, 10, 5);
    readv(at, parts, 2);
    lseek(at, 0, SEEK_SET);
    fstat(at, &stat_of);
    stat("/dev/null", &stat_of);
    lstat("/nosuch", &stat_of);
    CALL(statx, AT_FDCWD, "/etc", AT_SYMLINK_NOFOLLOW, STATX_ALL, room);
    statfs("/proc", &statfs_of);
    flock(at, LOCK_SH | LOCK_NB);
    fcntl(at, F_GETFD);
    fcntl(at, F_SETFD, FD_CLOEXEC);
    fcntl(at, F_GETFL);
    fcntl(at, F_DUPFD_CLOEXEC, 50);
    fcntl(at, F_SETLK, &lock);
    fcntl(at, F_GETLK, &lock);
    dup2(at, 60);
    dup3(at, 61, O_CLOEXEC);
    CALL(openat2, AT_FDCWD, "/etc", how, sizeof how);
    int folder = open("/etc", O_DIRECTORY);
    CALL(getdents64, folder, room, sizeof room);
    int made = open("/tmp/made", O_RDWR | O_CREAT | O_TRUNC, 0640);
    memset(room, 'b', sizeof room - 1);
    write(made, "\0\1\2\"\\\n\t\177\377, and more of it than thirty-two bytes", 50);
    writev(made, parts, 2);
    sendfile(made, at, &from, 4);
    ftruncate(made, 100);
    fallocate(made, FALLOC_FL_KEEP_SIZE, 0, 4096);
    fchmod(made, 0600);
    fchown(made, -1, 0);
    futimens(made, times);
    fsetxattr(made, "user.x", "abc", 3, XATTR_CREATE);
    fgetxattr(made, "user.x", room, 100);
    getxattr("/tmp/made", "user.x", 0, 0);
    rename("/tmp/made", "/tmp/named");
    symlink("named", "/tmp/link");
    readlink("/tmp/link", room, sizeof room);
    unlinkat(AT_FDCWD, "/tmp/link", 0);
    mkdir("/tmp/dir", 0755);
    rmdir("/tmp/dir");
    mknod("/tmp/fifo", S_IFIFO | 0600, 0);
    access("/tmp/fifo", R_OK | W_OK);
    chdir("/tmp");
    getcwd(room, sizeof room);
    umask(027);
    mount("a", "/nosuch", "tmpfs", MS_RDONLY | MS_NOSUID, "size=1k");
    umount2("/nosuch", MNT_DETACH);
    memset(room, 'a', sizeof room - 1);
    open(room, O_RDONLY);
    open((char *)1, O_RDONLY);
    open("/nosuch/\xff\n", O_WRONLY);
}

static void sockets(void) {
    struct sockaddr_un local = {AF_UNIX, "/nosuch"};
    struct sockaddr_in in = {AF_INET, htons(0), {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 in6 = {AF_INET6, htons(9)};
    struct sockaddr_nl netlink = {AF_NETLINK};
    struct linger linger = {1, 5};
    struct ucred peer;
    int pair[2], one = 1;
    socklen_t len = sizeof peer;
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    send(pair[0], "a message of more than thirty-two bytes", 39, MSG_NOSIGNAL);
    recv(pair[1], room, 10, 0);
    recv(pair[1], room, 100, MSG_DONTWAIT);
    recv(pair[1], room, 100, MSG_DONTWAIT);
    getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &len);
    connect(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&local, sizeof local);
    local.sun_path[0] = 0;
    connect(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&local, 10);
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
    bind(tcp, (void *)&in, sizeof in);
    listen(tcp, 5);
    setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    len = sizeof one;
    getsockopt(tcp, SOL_SOCKET, SO_ERROR, &one, &len);
    len = 64;
    getsockopt(tcp, SOL_SOCKET, SO_TYPE, &one, &len);
    accept(tcp, 0, 0);
    len = sizeof in;
    accept4(tcp, (void *)&in, &len, SOCK_CLOEXEC);
    shutdown(tcp, SHUT_WR);
    in6.sin6_addr.s6_addr[15] = 1;
    sendto(socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP), "x", 1, 0, (void *)&in6, sizeof in6);
    bind(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), (void *)&netlink, sizeof netlink);
    struct iovec parts[2] = {{"abc", 3}, {"more than thirty-two bytes of a part", 36}};
    char control[CMSG_SPACE(8)] = {0};
    struct msghdr message = {0, 0, parts, 2, control, sizeof control};
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    *first = (struct cmsghdr){CMSG_LEN(8), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(first), (int[]){1, 2}, 8);
    sendmsg(pair[0], &message, 0);
    struct iovec into = {room, 100};
    struct msghdr received = {room + 200, 100, &into, 1, room + 512, 128};
    recvmsg(pair[1], &received, 0);
    recvmsg(pair[1], &(struct msghdr){0, 0, &into, 1}, MSG_DONTWAIT);
    struct mmsghdr many[2] = {{{0, 0, parts, 2}}, {{0, 0, parts, 1}}};
    sendmmsg(pair[0], many, 2, 0);
}

static void waits(void) {
    int pair[2];
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = 0x500000004}}, events[4];
    struct timespec moment = {0, 1000000};
    struct timeval soon = {0, 1000};
    fd_set in, out;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    write(pair[0], "x", 1);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &event);
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &event);
    epoll_wait(epoll, events, 4, 0);
    epoll_wait(epoll, events, 4, 0);
    epoll_ctl(epoll, EPOLL_CTL_DEL, pair[1], &event);
    struct pollfd fds[2] = {{pair[1], POLLIN | POLLOUT}, {-1, 0}};
    poll(fds, 2, 10);
    fds[0].events = POLLPRI;
    poll(fds, 1, 1);
    CALL(ppoll, fds, 1, &moment, &set, 8);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pair[1], &in);
    FD_SET(pair[0], &out);
    SELECT(pair[1] + 1, &in, &out, 0, 0);
    FD_ZERO(&in);
    FD_SET(epoll, &in);
    SELECT(epoll + 1, &in, 0, 0, &soon);
    moment.tv_nsec = 1000000;
    pselect(epoll + 1, &in, 0, 0, &moment, &set);
    int event_fd = eventfd(5, EFD_NONBLOCK);
    read(event_fd, room, 8);
    read(event_fd, room, 8);
    struct itimerspec timer = {{0, 0}, {100, 2}};
    int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(timer_fd, 0, &timer, &timer);
    signalfd(-1, &set, SFD_CLOEXEC);
    inotify_add_watch(inotify_init1(IN_NONBLOCK), "/tmp", IN_CREATE | IN_DELETE);
    uint32_t futex = 0;
    CALL(futex, &futex, FUTEX_WAKE, 1);
    CALL(futex, &futex, FUTEX_WAIT_PRIVATE, 1, 0);
    moment.tv_nsec = 1000;
    CALL(futex, &futex, FUTEX_WAIT_BITSET, 0, &moment, 0, ~0);
    CALL(futex, &futex, FUTEX_CMP_REQUEUE_PRIVATE, 1, 2, &futex, 0);
    CALL(futex, &futex, FUTEX_WAKE_OP_PRIVATE, 1, 2, &futex, 0x04000001);
    int ends[2];
    pipe2(ends, O_CLOEXEC);
    fcntl(ends[1], F_GETPIPE_SZ);
    ioctl(ends[0], FIONREAD, &futex);
}

static void caught(int number) { (void)number; }

/* Signals come again and again until the next call has met one: a slow machine may be late for the first. */
static void wake(void) { ualarm(200000, 200000); }

static void signals(void) {
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_RESTART};
    sigset_t set, all;
    siginfo_t info = {0};
    struct timespec moment = {0, 1000}, long_time = {5, 0};
    stack_t stack = {room, 0, 4096};
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(SIGUSR1, &action, 0);
    sigaction(SIGUSR1, 0, &action);
    raise(SIGUSR1);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &set);
    sigprocmask(SIG_SETMASK, &set, 0);
    sigaltstack(&stack, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, 0);
    kill(getpid(), SIGUSR2);
    sigpending(&all);
    sigtimedwait(&set, &info, &moment);
    sigtimedwait(&set, &info, &moment);
    action.sa_flags = 0;
    sigaction(SIGALRM, &action, 0);
    wake();
    pause();
    wake();
    CALL(nanosleep, &long_time, &moment);
    wake();
    poll(0, 0, 5000);
    wake();
    read(signalfd(-1, &set, 0), room, 128);
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, 0);
    wake();
    CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &long_time, 0);
    struct itimerval timer = {{0, 0}, {50, 0}};
    setitimer(ITIMER_REAL, &timer, 0);
    alarm(0);
}

static void *thread(void *none) {
    usleep(1000000); // until the other waits in pthread_join
    return none;
}

static void processes(void) {
    int status;
    siginfo_t info = {0};
    struct rusage usage;
    pid_t child = fork();
    if (child == 0)
        _exit(3);
    waitpid(child, &status, 0);
    child = fork();
    if (child == 0)
        raise(SIGKILL);
    wait4(child, &status, 0, &usage);
    child = vfork();
    if (child == 0) {
        execl("/nosuch", "nosuch", "a", NULL);
        _exit(1);
    }
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    waitid(P_ALL, 0, &info, WEXITED);
    wait4(-1, &status, WNOHANG, 0);
    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .exit_signal = SIGCHLD};
    args.pidfd = (uintptr_t)room;
    args.parent_tid = (uintptr_t)(room + 8);
    child = CALL(clone3, &args, sizeof args);
    if (child == 0)
        _exit(0);
    wait4(child, &status, __WALL, 0);
    child = CALL(clone, SIGCHLD | CLONE_PARENT_SETTID, 0, room, 0, 0);
    if (child == 0)
        _exit(0);
    wait4(child, 0, 0, 0);
    int until[2]; // The child goes on until the other end is closed: it makes the same calls at any speed.
    pipe(until);
    child = fork();
    if (child == 0) {
        close(until[1]);
        raise(SIGSTOP);
        read(until[0], room, 1);
        _exit(0);
    }
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
    close(until[1]);
    waitpid(child, &status, 0);
    CALL(pidfd_open, getpid(), 0);
    pthread_t other;
    pthread_create(&other, 0, thread, 0);
    pthread_join(other, 0);
    execve("/nosuch", (char *[]){"a", "b", 0}, (char *[]){"X=1", 0});
    execve("/nosuch", 0, 0);
    execve("/calls", (char *[]){"calls", "nothing", 0}, (char *[]){"X=1", "Y=2", 0});
}

static void rights(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    struct rlimit limit;
    struct utsname name;
    cpu_set_t cpus;
    struct sched_param param = {0};
    struct sock_filter filter[] = {{BPF_RET, 0, 0, SECCOMP_RET_ALLOW}};
    struct sock_fprog program = {1, filter};
    uid_t ids[3];
    gid_t groups[50];
    int number;
    getuid();
    CALL(capget, &header, data);
    CALL(capset, &header, data);
    CALL(getresuid, ids, ids + 1, ids + 2);
    CALL(setresuid, -1, 0, -1);
    CALL(getgroups, 50, groups);
    CALL(setgroups, 2, ((gid_t[]){5, 6}));
    chown("/nosuch", -1, 5);
    prctl(PR_SET_NAME, "a name of more than fifteen bytes");
    prctl(PR_GET_NAME, room);
    prctl(PR_GET_DUMPABLE);
    prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN);
    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_GET_PDEATHSIG, &number);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0);
    prctl(12345, 1, 2, 3, 4);
    CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    CALL(prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    CALL(getrlimit, RLIMIT_CORE, &limit);
    uname(&name);
    sched_getaffinity(0, sizeof cpus, &cpus);
    sched_getscheduler(0);
    sched_setscheduler(0, SCHED_BATCH, &param);
    getpriority(PRIO_PROCESS, 0);
    personality(0xffffffff);
    unshare(CLONE_NEWUTS);
    setns(-1, CLONE_NEWNET);
    sethostname("name", 4);
    char *pages = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mremap(pages, 8192, 16384, MREMAP_MAYMOVE);
    madvise(pages, 4096, MADV_DONTNEED);
    mprotect(pages, 4096, PROT_NONE);
    write(-1, pages, 5);
    mlock(pages + 4096, 4096);
    struct termios settings;
    struct winsize size;
    int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    ioctl(terminal, TCGETS, &settings);
    ioctl(terminal, TIOCGWINSZ, &size);
    ioctl(terminal, 0xdeadbeef, 5);
    int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    msgsnd(queue, &(struct { long kind; char text[8]; }){5, "hello"}, 5, IPC_NOWAIT);
    semop(semget(IPC_PRIVATE, 1, 0600), &(struct sembuf){0, 1, IPC_NOWAIT}, 1);
    syscall(1000, 1, 2, 3, 4, 5, 6);
    CALL(close_range, 200, 300, 0);
}

int main(int count, char **words) {
    struct {
        const char *word;
        void (*calls)(void);
    } areas[] = {{"files", files},     {"sockets", sockets},     {"waits", waits},
                 {"signals", signals}, {"processes", processes}, {"rights", rights}};
    for (unsigned i = 0; count > 1 && i < sizeof areas / sizeof *areas; i++)
        if (strcmp(areas[i].word, words[1]) == 0)
            areas[i].calls();
    _exit(0);
}
