// Counts instructions for scripts/bench, and shows scripts/order what they read: runs a program step by step (ptrace(2)), with
// all processes that it makes, up to the execve of each.
//
//   steps FILE PROGRAM..      writes a record of 24 bytes to FILE for each instruction outside the kernel: the process, its
//                             number from 0 on in the order of their birth; where the instruction lies: an address in the
//                             program, or ~0 outside of it (the vDSO); and the stack's pointer.
//   steps -r FILE PROGRAM..   records of 136 bytes: where the instruction lies, and then the registers, numbered as in
//                             instructions: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15.
//
// An instruction with a repeat prefix stops after each repetition, and is written once. Steps are slow: a wait with a time
// limit would end, and the program would do what it does then. So ppoll(2) and futex(2) wait here as long as it takes.
//
// Build: cc -O2 -o steps steps.c
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct process {
    pid_t pid;
    uint64_t last;
};
static struct process all[64];
static size_t count;
static uint64_t begins, ends;
static int registers_too;

static long done(long result, const char *what)
{
    if (result >= 0) return result;
    fprintf(stderr, "steps: %s: %s\n", what, strerror(errno));
    exit(125);
}

static struct process *of(pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].pid == pid) return &all[i];
    if (count == sizeof all / sizeof *all) {
        fprintf(stderr, "steps: more processes than %zu\n", count);
        exit(125);
    }
    all[count].pid = pid;
    return &all[count++];
}

// Where the program lies: its first mapping and its last.
static void find(pid_t pid)
{
    char path[64], line[4096], exe[4096];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    exe[done(readlink(path, exe, sizeof exe - 1), path)] = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    while (maps && fgets(line, sizeof line, maps)) {
        uint64_t from, to;
        if (!strstr(line, exe) || sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
        if (!begins) begins = from;
        ends = to;
    }
    if (maps) fclose(maps);
}

// Whether a string instruction lies there that repeats: a prefix, perhaps one more, and the instruction.
static int repeats(pid_t pid, uint64_t at)
{
    uint64_t word = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
    uint8_t code[8];
    memcpy(code, &word, 8);
    if (code[0] != 0xf3 && code[0] != 0xf2) return 0;
    uint8_t op = (code[1] & 0xf0) == 0x40 ? code[2] : code[1];
    return (op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf);
}

// Takes the limit from a wait that is about to begin.
static void wait_on(pid_t pid, struct user_regs_struct *registers)
{
    if (registers->rax != SYS_ppoll && registers->rax != SYS_futex) return;
    unsigned long long *limit = registers->rax == SYS_ppoll ? &registers->rdx : &registers->r10;
    if (!*limit || (ptrace(PTRACE_PEEKTEXT, pid, registers->rip, 0) & 0xffff) != 0x050f) return;
    // FUTEX_WAKE has no limit there.
    if (registers->rax == SYS_futex && registers->rsi != FUTEX_WAIT) return;
    if (!ptrace(PTRACE_PEEKDATA, pid, *limit, 0) && !ptrace(PTRACE_PEEKDATA, pid, *limit + 8, 0)) return;
    *limit = 0;
    ptrace(PTRACE_SETREGS, pid, 0, registers);
}

static void step(FILE *out, pid_t pid)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, 0, &registers)) return;
    struct process *process = of(pid);
    if (process->last == registers.rip && repeats(pid, registers.rip)) return;
    process->last = registers.rip;
    int inside = registers.rip >= begins && registers.rip < ends;
    struct user_regs_struct *r = &registers;
    uint64_t at = inside ? r->rip : ~0ull, record[] = {process - all, at, r->rsp};
    uint64_t longer[] = {at, r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi, r->r8, r->r9, r->r10, r->r11, r->r12,
        r->r13, r->r14, r->r15};
    if (registers_too) fwrite(longer, sizeof longer, 1, out);
    else fwrite(record, sizeof record, 1, out);
    wait_on(pid, &registers);
}

int main(int argc, char **argv)
{
    registers_too = argc > 1 && !strcmp(argv[1], "-r");
    argc -= registers_too;
    argv += registers_too;
    if (argc < 3) return 125;
    FILE *out = fopen(argv[1], "wb");
    done(out ? 0 : -1, argv[1]);
    pid_t first = done(fork(), "fork");
    if (first == 0) {
        fclose(out);
        done(personality(ADDR_NO_RANDOMIZE), "personality");
        done(ptrace(PTRACE_TRACEME, 0, 0, 0), "ptrace");
        execv(argv[2], argv + 2);
        done(-1, argv[2]);
    }
    int status, end = 125;
    done(waitpid(first, &status, 0), "waitpid");
    done(ptrace(PTRACE_SETOPTIONS, first, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC
        | PTRACE_O_EXITKILL), "ptrace");
    find(first);
    for (pid_t pid = first;;) {
        int stop = WSTOPSIG(status), event = status >> 16;
        if (!WIFSTOPPED(status)) {
            if (pid == first) end = WIFEXITED(status) ? WEXITSTATUS(status) : 125;
        } else if (event == PTRACE_EVENT_EXEC) {
            ptrace(PTRACE_DETACH, pid, 0, 0);
        } else {
            if (stop != SIGTRAP || event == 0) step(out, pid);
            ptrace(PTRACE_SINGLESTEP, pid, 0, stop == SIGTRAP || stop == SIGSTOP ? 0 : stop);
        }
        if ((pid = waitpid(-1, &status, __WALL)) < 0) break;
    }
    done(fclose(out), argv[1]);
    return end;
}
