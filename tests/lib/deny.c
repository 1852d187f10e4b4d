/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deny: see deny.h. A filter for system calls tells by the flags of clone() what is being started. */
#include "tests/lib/deny.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "which architecture's system calls are these?"
#endif

#define LOAD(field)      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)
#define FAIL(error)      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

static unsigned flags_of(Deny what)
{
    static const unsigned flags[] = {
        [DENY_PROCESSES] = 0,
        [DENY_KEEPERS] = CLONE_FILES,
        [DENY_THREADS] = CLONE_VM | CLONE_FILES,
    };

    return flags[what];
}

/* The flags of clone3() cannot be looked at; without it the C library uses clone(). */
int deny_starting(Deny what)
{
    struct sock_filter filter[] = {
        LOAD(arch),
        UNLESS(OWN_ARCH, 8),
        LOAD(nr),
        UNLESS(SYS_clone3, 1),
        FAIL(ENOSYS),
        UNLESS(SYS_clone, 4),
        LOAD(args[0]),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, CLONE_VM | CLONE_FILES),
        UNLESS(flags_of(what), 1),
        FAIL(EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {
        .len = sizeof(filter) / sizeof(filter[0]),
        .filter = filter,
    };

    if (what == DENY_NOTHING)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
        return -errno;
    return 0;
}
