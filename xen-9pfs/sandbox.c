/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sandbox: see sandbox.h. Each phase says what it should do and what it must not.
 *
 * What is not here, on purpose: PR_SET_PDEATHSIG. Workers outlive the supervisor, and the next one
 * adopts them.
 *
 * The system calls that a worker may make are named in comments beside the code that makes them,
 * behind the word #syscalls. collect-syscalls makes the list out of them when the daemon is built.
 * Those that are only allowed with certain arguments are in a table below.
 */
#include "xen-9pfs/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/securebits.h>
#include <locale.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xen/xen.h>

#include <xen/sys/evtchn.h> /* these two rely on the one before */
#include <xen/sys/gntdev.h>

#include "common/syscall_numbers.h"

static const char *const level_names[] = {
    [SANDBOX_FULL] = "full",
    [SANDBOX_NO_NAMESPACES] = "no-namespaces",
    [SANDBOX_OFF] = "off",
};

static const char *const calls_names[] = {
    [SANDBOX_CALLS_KILL] = "kill",
    [SANDBOX_CALLS_LOG] = "log",
};

static bool find_name(const char *const names[], size_t n, const char *name, unsigned *found)
{
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            *found = i;
            return true;
        }
    }
    return false;
}

bool sandbox_parse_level(const char *name, SandboxLevel *level)
{
    return find_name(level_names, G_N_ELEMENTS(level_names), name, level);
}

bool sandbox_parse_calls(const char *name, SandboxCalls *calls)
{
    return find_name(calls_names, G_N_ELEMENTS(calls_names), name, calls);
}

const char *sandbox_level_name(SandboxLevel level)
{
    return level_names[level];
}

const char *sandbox_calls_name(SandboxCalls calls)
{
    return calls_names[calls];
}

/* The phase has failed with errno. */
static int failed(Sandbox *sandbox, const char *why)
{
    sandbox->why = why;
    return -errno;
}

/*
 * The pid namespace
 *
 * Should: put the worker into a pid namespace in which there is nobody else, so that it can name
 * no other process, whatever it is made to do. A process enters one by being forked, so this is
 * the supervisor's part. For the supervisor nothing changes: the process id that fork() returns,
 * the pidfd and the credentials of the link's peer are those of its own namespace. The worker is
 * number 1, whom signals without a handler do not reach but from outside SIGKILL and SIGSTOP: see
 * worker.c.
 *
 * Must not: stay in force for what else the supervisor starts, threads included, which could not
 * be started at all.
 */

int sandbox_begin_spawn(void)
{
    int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    int error;

    if (own < 0)
        return -errno;
    if (unshare(CLONE_NEWPID) == 0)
        return own;
    error = -errno;
    close(own);
    return error;
}

void sandbox_end_spawn(int spawn)
{
    /* Going back to the own namespace needs nothing that leaving it did not need. */
    if (setns(spawn, CLONE_NEWPID) != 0)
        g_error("cannot return to the own pid namespace: %s", g_strerror(errno));
    close(spawn);
}

/*
 * The limits of the process
 *
 * Should: keep nothing that came from the supervisor but the link and the standard streams; leave
 * no core dump with a guest's data, and no access for other processes of the same user; raise the
 * limit of descriptors as far as the system lets us, for a guest holds one with each fid.
 *
 * Must not: limit the number of processes. That counts all processes of the user, and does not
 * hold for root; the system calls that make processes are forbidden instead.
 */

/* The most that the system grants anybody. */
static rlim_t most_descriptors(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/sys/fs/nr_open", &text, NULL, NULL))
        return 0;
    return (rlim_t)g_ascii_strtoull(text, NULL, 10);
}

void sandbox_raise_descriptors(void)
{
    rlim_t most = most_descriptors();
    struct rlimit all = {most, most};
    struct rlimit files;

    if (most > 0 && setrlimit(RLIMIT_NOFILE, &all) == 0)
        return;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int sandbox_limit_process(Sandbox *sandbox, int last_fd)
{
    const struct rlimit none = {0, 0};

    if (close_range((unsigned)last_fd + 1, ~0U, 0) != 0)
        return failed(sandbox, "cannot close inherited descriptors");
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return failed(sandbox, "cannot forbid core dumps");
    sandbox_raise_descriptors();
    if (sandbox->level != SANDBOX_OFF && prctl(PR_SET_DUMPABLE, 0) != 0)
        return failed(sandbox, "cannot forbid core dumps");
    return 0;
}

/*
 * The namespaces
 *
 * Should: leave the worker without network, System V IPC and abstract sockets, which a network
 * namespace has of its own; and give it mounts of its own, from which the next phase makes those
 * that it keeps. Mounts are slaves of the system's: what is unmounted there is unmounted here too,
 * so that a worker never keeps a disk busy that the administrator has let go.
 *
 * Must not: break what is open. The link, the log, the grant and event devices are descriptors,
 * and the link's socket is found by its path, which no namespace but the supervisor's concerns.
 */
int sandbox_leave_namespaces(Sandbox *sandbox)
{
    if (sandbox->level != SANDBOX_FULL)
        return 0;
    if (getpid() != 1) {
        errno = ESRCH;
        return failed(sandbox, "the worker is not alone in its pid namespace");
    }
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
        return failed(sandbox, "cannot make namespaces for the worker");
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        return failed(sandbox, "cannot separate the worker's mounts from the system's");
    return 0;
}

/*
 * The root
 *
 * Should: make the export's mount the root of the only mount namespace that the worker sees, with
 * the mounts below it and nothing else. There is no /proc: the file system keeps a descriptor of
 * /proc/self/fd, mounted alone, to open descriptors anew (protocol/local.c). No program of the
 * export can be executed, no device opened, no symbolic link followed, on any of its mounts.
 *
 * Must not: touch the mounts of the system, hence no propagation to it; and must not add anything
 * to the export that a guest could see, such as a /proc.
 */

/* Where the system runs from its initial ramdisk the root cannot be exchanged. Then the new root
 * covers it, and nothing that is kept leads below the cover. */
static int exchange_root(Sandbox *sandbox)
{
    int old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = 0;

    if (old_root < 0)
        return failed(sandbox, "cannot open the old root");
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        if (fchdir(old_root) != 0 || umount2(".", MNT_DETACH) != 0)
            error = failed(sandbox, "cannot leave the old root");
    } else if (errno != EINVAL) {
        error = failed(sandbox, "cannot make the export the root");
    }
    close(old_root);
    return error;
}

int sandbox_enter_root(Sandbox *sandbox, int root_fd)
{
    struct mount_attr attr = {
        .attr_set =
            MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW,
    };
    int error;

    if (sandbox->level != SANDBOX_FULL)
        return 0;
    if (syscall(SYS_mount_setattr, root_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
                sizeof(attr)) != 0)
        return failed(sandbox, "cannot restrict the export's mount");
    if (syscall(SYS_move_mount, root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
        fchdir(root_fd) != 0)
        return failed(sandbox, "cannot mount the export");
    error = exchange_root(sandbox);
    if (error)
        return error;
    if (fchdir(root_fd) != 0 || chroot(".") != 0 || chdir("/") != 0)
        return failed(sandbox, "cannot enter the export");
    return 0;
}

/*
 * Capabilities
 *
 * Should: keep what it takes to do to the export's files what the guest's kernel asks for on
 * behalf of any of its users, and nothing that is about the system. Under the mapped models all
 * files belong to the user that the daemon runs as, so that nothing is kept. No way leads to more:
 * not a set-id program, not root's user id, not an ambient set.
 *
 * Must not: use libcap-ng, which looks for its process in /proc. That is not there any more, or
 * rather: whatever a guest has put into a folder of that name. Must not give up
 * SECBIT_NO_SETUID_FIXUP, by which threads keep their capabilities while they create files for
 * other users (protocol/local.c).
 *
 * trusted.* attributes, and those of security.* but file capabilities, take CAP_SYS_ADMIN, with
 * which a process can do almost anything that the list of system calls does not forbid. Guests are
 * refused them unless the administrator wants it otherwise.
 */

#define CAP(name) (UINT64_C(1) << CAP_##name)

static const uint64_t owner_capabilities = CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH) |
                                           CAP(FOWNER) | CAP(FSETID) | CAP(SETGID) | CAP(SETUID) |
                                           CAP(MKNOD) | CAP(SETFCAP);

uint64_t sandbox_capabilities(const Sandbox *sandbox, SecurityModel model)
{
    if (model != MODEL_NONE && model != MODEL_PASSTHROUGH)
        return 0;
    return owner_capabilities | (sandbox->trusted_xattr ? CAP(SYS_ADMIN) : 0);
}

/* The permitted set of this thread. */
static int get_capabilities(uint64_t *set)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) != 0)
        return -errno;
    *set = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return 0;
}

static int set_capabilities(uint64_t set)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)set, .permitted = (uint32_t)set},
        {.effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32)},
    };

    return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

/* What no program that this process could execute would get. */
static int bound_capabilities(uint64_t set)
{
    enum { KEPT = SECBIT_NO_SETUID_FIXUP | SECBIT_NOROOT | SECBIT_NO_CAP_AMBIENT_RAISE };

    for (unsigned i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++) {
        if (!(set >> i & 1) && prctl(PR_CAPBSET_DROP, i) != 0)
            return -errno;
    }
    if (prctl(PR_SET_SECUREBITS, KEPT | SECURE_ALL_LOCKS) != 0)
        return -errno;
    return 0;
}

int sandbox_drop_capabilities(Sandbox *sandbox, SecurityModel model)
{
    uint64_t kept = sandbox_capabilities(sandbox, model);
    uint64_t permitted = 0;
    int error;

    if (sandbox->level == SANDBOX_OFF)
        return 0;
    sandbox->why = "cannot drop capabilities";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    error = get_capabilities(&permitted);
    if (!error && (permitted & CAP(SETPCAP)))
        error = bound_capabilities(kept);
    return error ? error : set_capabilities(kept & permitted);
}

/*
 * Warm-up
 *
 * Should: have the libraries read now what they read when they first need it. A file that they open
 * by name later is a file of the export, and a guest may have written it.
 *
 * Must not: rely on locales or character sets that are read from files: all text is of the locale C
 * from here on.
 */
void sandbox_warm_up(void)
{
    const char *text;

    setlocale(LC_ALL, "C");
    tzset();
    text = g_strerror(EIO);
    (void)text;
}

/*
 * System calls
 *
 * Should: end the worker when it makes a call that serving does not take. Of the calls that can do
 * much the arguments are checked: no memory becomes executable, no process comes into being, no
 * grant is mapped and no event channel bound beyond those of the device, no signal leaves the
 * process.
 *
 * Must not: be the only wall. The filter does not see what pointers lead to, so it cannot tell one
 * path from another: that is what the root is for.
 *
 * What the C library and GLib need, whoever calls them:
 * #syscalls brk munmap mremap madvise futex getrandom getpid gettid sched_yield sched_getaffinity
 * Time, where the clock cannot be read without a system call, as in a dom0 of type PV:
 * #syscalls clock_gettime gettimeofday time clock_nanosleep nanosleep restart_syscall
 * Threads that begin and end, signals to them, the end of the process:
 * #syscalls set_robust_list rseq rt_sigprocmask rt_sigaction rt_sigreturn exit exit_group
 * The sanitizers:
 * #syscalls:address sigaltstack
 * #syscalls:thread sigaltstack
 */

#ifndef __NR_clone3
#define __NR_clone3 435
#endif

enum {
    NAMESPACE_FLAGS = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                      CLONE_NEWPID | CLONE_NEWNET,
    THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD
};

/* Arguments of these types are the lower half of a register; the upper one may be anything. */
#define INT_BITS UINT32_MAX

/* A call that is allowed when these bits of one argument have this value. */
typedef struct CallRule {
    int number;
    unsigned argument;
    uint64_t bits;
    uint64_t value;
} CallRule;

static const CallRule call_rules[] = {
    {__NR_mmap, 2, PROT_EXEC, 0},
    {__NR_mprotect, 2, PROT_EXEC, 0},
    {__NR_clone, 0, THREAD_FLAGS | NAMESPACE_FLAGS, THREAD_FLAGS},
    {__NR_unshare, 0, INT_BITS, CLONE_FS}, /* protocol/local_xattr.c */
    {__NR_sendto, 4, UINT64_MAX, 0},       /* only to whom the log and the link are connected */
    {__NR_recvmsg, 2, INT_BITS, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC}, /* xen-9pfs/link.c */
    {__NR_prctl, 0, INT_BITS, PR_SET_NAME},
#ifdef __SANITIZE_ADDRESS__
    {__NR_prctl, 0, INT_BITS, PR_GET_SECCOMP}, /* tests/lib/asan_leaks.c */
#endif
    /* Nothing that sends signals (F_SETOWN) or lends to others (F_SETLEASE, F_NOTIFY). */
    {__NR_fcntl, 1, INT_BITS, F_GETFD},
    {__NR_fcntl, 1, INT_BITS, F_SETFD},
    {__NR_fcntl, 1, INT_BITS, F_GETFL},
    {__NR_fcntl, 1, INT_BITS, F_SETFL},
    {__NR_fcntl, 1, INT_BITS, F_DUPFD_CLOEXEC},
    {__NR_fcntl, 1, INT_BITS, F_OFD_SETLK},
    {__NR_fcntl, 1, INT_BITS, F_OFD_GETLK},
    /* libxenevtchn and libxengnttab: tell the other end, and let go. */
    {__NR_ioctl, 1, INT_BITS, IOCTL_EVTCHN_NOTIFY},
    {__NR_ioctl, 1, INT_BITS, IOCTL_EVTCHN_UNBIND},
    {__NR_ioctl, 1, INT_BITS, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR},
    {__NR_ioctl, 1, INT_BITS, IOCTL_GNTDEV_UNMAP_GRANT_REF},
};

static const int listed_calls[] = {
#define CALL(name) __NR_##name,
#include "xen-9pfs/syscalls.h"
#undef CALL
};

static int allow_listed(scmp_filter_ctx filter)
{
    int error = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(listed_calls) && !error; i++)
        error = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, listed_calls[i], 0);
    return error;
}

static int allow_with_argument(scmp_filter_ctx filter, const CallRule *rule)
{
    const struct scmp_arg_cmp compare = {
        .arg = rule->argument,
        .op = SCMP_CMP_MASKED_EQ,
        .datum_a = rule->bits,
        .datum_b = rule->value,
    };

    return seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, rule->number, 1, &compare);
}

/* A thread may send signals to the others: to those of this process. The flags of clone3() are
 * behind a pointer; without it the C library uses clone(). */
static int allow_rest(scmp_filter_ctx filter)
{
    const CallRule own_threads = {__NR_tgkill, 0, INT_BITS, (uint64_t)getpid()};
    int error = allow_with_argument(filter, &own_threads);

    for (size_t i = 0; i < G_N_ELEMENTS(call_rules) && !error; i++)
        error = allow_with_argument(filter, &call_rules[i]);
    if (!error)
        error = seccomp_rule_add_exact(filter, SCMP_ACT_ERRNO(ENOSYS), __NR_clone3, 0);
    return error;
}

/* The filter as a binary tree (2), for all threads, also for calls of another architecture. */
static int set_attributes(scmp_filter_ctx filter, uint32_t action)
{
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, action);

    if (!error)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!error)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return error;
}

int sandbox_forbid_calls(Sandbox *sandbox)
{
    uint32_t action = sandbox->calls == SANDBOX_CALLS_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_LOG;
    scmp_filter_ctx filter;
    int error;

    if (sandbox->level == SANDBOX_OFF)
        return 0;
    filter = seccomp_init(action);
    sandbox->why = "cannot limit the system calls";
    if (!filter)
        return -ENOMEM;
    error = set_attributes(filter, action);
    if (!error)
        error = allow_listed(filter);
    if (!error)
        error = allow_rest(filter);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}
