/* libseccomp's answer to a profile, for the comparison in tests/unit/seccomp_compiler.rs. It reads lines, and writes the filter
 * that libseccomp makes of them as an array of struct sock_filter:
 *
 *   D ACTION                          the default action, as the kernel's number in hexadecimal
 *   A TOKEN                           one more architecture, as AUDIT_ARCH_* in hexadecimal
 *   R ACTION NAME COUNT [ARG OP A B]  a rule: the operator is a number of enum scmp_compare
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

static scmp_filter_ctx filter;

static void must(int rc, const char *what) {
    if (rc < 0 && rc != -EEXIST) {
        fprintf(stderr, "%s: %d\n", what, rc);
        exit(1);
    }
}

int main(void) {
    char kind, name[64];
    unsigned action;
    while (scanf(" %c", &kind) == 1) {
        if (kind == 'D' && scanf("%x", &action) == 1) {
            filter = seccomp_init(action);
        } else if (kind == 'A' && scanf("%x", &action) == 1) {
            must(seccomp_arch_add(filter, action), "seccomp_arch_add");
        } else if (kind == 'R') {
            struct scmp_arg_cmp args[6];
            unsigned count;
            if (scanf("%x %63s %u", &action, name, &count) != 3 || count > 6)
                return 2;
            for (unsigned i = 0; i < count; i++) {
                unsigned op;
                unsigned long long a, b;
                if (scanf("%u %u %llx %llx", &args[i].arg, &op, &a, &b) != 4)
                    return 2;
                args[i].op = op;
                args[i].datum_a = a;
                args[i].datum_b = b;
            }
            int nr = seccomp_syscall_resolve_name(name);
            if (nr == __NR_SCMP_ERROR)
                return 3;
            must(seccomp_rule_add_array(filter, action, nr, count, args), name);
        } else {
            return 2;
        }
    }
    fflush(stdout);
    must(seccomp_export_bpf(filter, 1), "seccomp_export_bpf");
    return 0;
}
