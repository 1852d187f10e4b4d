/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeper: see keeper.h.
 *
 * The child is made by clone() with CLONE_FILES and without CLONE_VM, so that its memory is its own. It
 * runs nothing but keep_files(): no memory is allocated, no lock is taken, and the C library's
 * functions that could do so are not called. Once it serves, it makes five system calls.
 */
#include "protocol/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"

/* #syscalls poll read write close */

enum { HANDLE_BYTES = 48 }; /* ext4 takes 8, tmpfs and XFS 12, Btrfs 20 and up to 40 */

typedef enum KeeperOp {
    KEEPER_KEEP = 1,
    KEEPER_FETCH,
    KEEPER_END,
} KeeperOp;

typedef struct KeeperRequest {
    uint32_t op;
    uint32_t slot;
    int32_t fd;
} KeeperRequest;

typedef struct KeeperReply {
    int32_t result;
} KeeperReply;

struct Keeper {
    pthread_mutex_t lock; /* held from a request to its reply */
    int fd;               /* this end of a pair of sockets */
    int other_fd;         /* the keeper's, which is in the same table */
    int pidfd;            /* -1 while it does not run */
    bool gone;            /* it has ended by itself; guarded by the lock */
};

/*
 * The keeper's process
 */

typedef union Slot {
    struct file_handle head;
    char room[sizeof(struct file_handle) + HANDLE_BYTES];
} Slot;

typedef struct Child {
    int fd;
    int dir_fd;
    uint32_t n_slots;
    Slot *slots;
    int mount; /* the number of the mount that it opens files on */
} Child;

static long handle_of(int fd, Slot *slot, int *mount)
{
    slot->head.handle_bytes = HANDLE_BYTES;
    if (syscall(SYS_name_to_handle_at, fd, "", &slot->head, mount, AT_EMPTY_PATH) == 0)
        return 0;
    return errno == EOVERFLOW ? -EOPNOTSUPP : -errno;
}

/* The handle and its mount come from one look at the descriptor. */
static int keep(Child *c, const KeeperRequest *request)
{
    Slot *slot;
    long error;
    int mount;

    if (request->slot >= c->n_slots)
        return -EINVAL;
    slot = &c->slots[request->slot];
    error = handle_of(request->fd, slot, &mount);
    if (!error && mount != c->mount)
        error = -EXDEV;
    if (error)
        slot->head.handle_bytes = 0;
    return (int)error;
}

static int fetch(Child *c, const KeeperRequest *request)
{
    const Slot *slot;
    long fd;

    if (request->slot >= c->n_slots || c->slots[request->slot].head.handle_bytes == 0)
        return -EINVAL;
    slot = &c->slots[request->slot];
    fd = syscall(SYS_open_by_handle_at, AT_FDCWD, &slot->head, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

/* Leaves the right to open by handle, and none to get more. */
static int drop_rights(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[2] = {
        {.effective = 1U << CAP_DAC_READ_SEARCH, .permitted = 1U << CAP_DAC_READ_SEARCH},
    };

    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        syscall(SYS_capset, &header, data) != 0)
        return -errno;
    return 0;
}

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "which architecture's system calls may the keeper make?"
#endif

#define ALLOW(call)                                        \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int forbid_calls(void)
{
    static const struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read),
        ALLOW(write),
        ALLOW(name_to_handle_at),
        ALLOW(open_by_handle_at),
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog program = {
        .len = G_N_ELEMENTS(filter),
        .filter = (struct sock_filter *)filter,
    };

    return syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? 0
                                                                                        : -errno;
}

/* What ends a daemon must not end the keeper before the process that it works for: every signal but
 * SIGKILL waits for ever. */
static void block_signals(void)
{
    const uint64_t all = UINT64_MAX;

    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

/* Gets ready to serve, and tries what it will be asked for. */
static int prepare(Child *c)
{
    int error;
    long fd;

    block_signals();
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    syscall(SYS_prctl, PR_SET_NAME, "9pfs keeper", 0, 0, 0);
    if (syscall(SYS_fchdir, c->dir_fd) != 0)
        return -errno;
    error = (int)handle_of(AT_FDCWD, &c->slots[0], &c->mount);
    if (!error)
        error = drop_rights();
    if (!error)
        error = forbid_calls();
    if (error)
        return error;
    fd = fetch(c, &(KeeperRequest){.slot = 0});
    return (int)fd;
}

static int answer(Child *c, const KeeperRequest *request)
{
    switch (request->op) {
    case KEEPER_KEEP:
        return keep(c, request);
    case KEEPER_FETCH:
        return fetch(c, request);
    default:
        return -EINVAL;
    }
}

/* Never returns. The first reply says whether it can serve. */
static void keep_files(Child *c) G_GNUC_NORETURN;
static void keep_files(Child *c)
{
    KeeperReply reply = {.result = prepare(c)};
    KeeperRequest request = {.op = KEEPER_KEEP};

    while (request.op != KEEPER_END &&
           syscall(SYS_write, c->fd, &reply, sizeof(reply)) == sizeof(reply) &&
           syscall(SYS_read, c->fd, &request, sizeof(request)) == sizeof(request))
        reply.result = answer(c, &request);
    for (;;)
        syscall(SYS_exit_group, 0);
}

/*
 * This process
 */

/* Whoever has killed it, such as the kernel for want of memory, has not told us. There cannot be another
 * one: who could start it might open any file of the file system. */
static int lose_keeper(Keeper *k)
{
    k->gone = true;
    log_error(
        "the keeper has ended: files that it had put away are lost to their fids (EIO) unless "
        "they are open, and from now on max-descriptors is how many files the guest can use, "
        "until its device is connected anew");
    return -EIO;
}

/* Waits for a reply, or for the keeper's end: -ENOTCONN. Nothing interrupts it: what is asked for is done by
 * then, and the reply must not be taken for the next one's. */
static int await_reply(Keeper *k)
{
    struct pollfd fds[] = {
        {.fd = k->fd, .events = POLLIN},
        {.fd = k->pidfd, .events = POLLIN},
    };
    KeeperReply reply;

    while (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
        if (errno != EINTR)
            return -ENOTCONN;
    }
    if (!(fds[0].revents & POLLIN) || read(k->fd, &reply, sizeof(reply)) != sizeof(reply))
        return -ENOTCONN;
    return reply.result;
}

/* -ENOTCONN: it is gone. Its end of the channel is open in this process too, so that one must not
 * write to it for ever. */
static int exchange(Keeper *k, const KeeperRequest *request)
{
    if (write(k->fd, request, sizeof(*request)) != sizeof(*request))
        return -ENOTCONN;
    return await_reply(k);
}

static int ask(Keeper *k, const KeeperRequest *request)
{
    int result = -EIO;

    pthread_mutex_lock(&k->lock);
    if (!k->gone)
        result = exchange(k, request);
    if (result == -ENOTCONN)
        result = lose_keeper(k);
    pthread_mutex_unlock(&k->lock);
    return result;
}

bool keeper_is_gone(Keeper *k)
{
    bool gone;

    pthread_mutex_lock(&k->lock);
    gone = k->gone;
    pthread_mutex_unlock(&k->lock);
    return gone;
}

int keeper_keep(Keeper *k, uint32_t slot, int fd)
{
    return ask(k, &(KeeperRequest){.op = KEEPER_KEEP, .slot = slot, .fd = fd});
}

int keeper_fetch(Keeper *k, uint32_t slot)
{
    return ask(k, &(KeeperRequest){.op = KEEPER_FETCH, .slot = slot});
}

static int start(Keeper *k, Child *child)
{
    long pid = syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, 0, &k->pidfd, 0, 0);

    if (pid == 0)
        keep_files(child);
    return pid < 0 ? -errno : 0;
}

/* Memory that only the keeper ever touches. */
static Slot *map_slots(uint32_t n_slots)
{
    void *slots = mmap(NULL, n_slots * sizeof(Slot), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return slots == MAP_FAILED ? NULL : slots;
}

static int open_channel(Keeper *k)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return -errno;
    k->fd = fds[0];
    k->other_fd = fds[1];
    return 0;
}

/* Starts it, and has it say whether it can serve: by a descriptor of its directory. */
static int start_and_check(Keeper *k, int dir_fd, uint32_t n_slots)
{
    Child child = {.fd = k->other_fd, .dir_fd = dir_fd, .n_slots = n_slots};
    int result;

    child.slots = map_slots(n_slots);
    if (!child.slots)
        return -ENOMEM;
    result = start(k, &child);
    munmap(child.slots, n_slots * sizeof(Slot));
    if (!result)
        result = await_reply(k);
    if (result < 0)
        return result;
    close(result);
    return 0;
}

int keeper_new(int dir_fd, uint32_t n_slots, Keeper **keeper)
{
    Keeper *k = g_new0(Keeper, 1);
    int error;

    k->fd = k->other_fd = k->pidfd = -1;
    pthread_mutex_init(&k->lock, NULL);
    error = open_channel(k);
    if (!error)
        error = start_and_check(k, dir_fd, n_slots);
    if (error) {
        keeper_free(k);
        return error;
    }
    *keeper = k;
    return 0;
}

/* Waits until its descriptors are closed. It stays a zombie: a worker that has locked itself in has no
 * call to take it away, and ends soon. */
static void await_end(const Keeper *k)
{
    struct pollfd end = {.fd = k->pidfd, .events = POLLIN};

    while (poll(&end, 1, -1) < 0 && errno == EINTR)
        continue;
}

void keeper_free(Keeper *k)
{
    const KeeperRequest end = {.op = KEEPER_END};
    const int fds[] = {k->fd, k->other_fd, k->pidfd};

    if (k->pidfd >= 0 && !k->gone && write(k->fd, &end, sizeof(end)) == sizeof(end))
        await_end(k);
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    pthread_mutex_destroy(&k->lock);
    g_free(k);
}
