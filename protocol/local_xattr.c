/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local: extended attributes; see local_internal.h.
 *
 * A node's descriptor is an O_PATH one, which none of these calls takes, and which cannot be opened
 * for anything better when the file is a symlink or a special file. What does work for every type
 * of file is its name below /proc/self/fd: following that leads to the file itself and no further,
 * not even from a symlink. The name must be relative to the descriptor that is held of that
 * directory, since a worker that has locked itself in has no path to it.
 *
 * Linux 6.13 has calls that take such a descriptor. Before, there is only the working directory:
 * each thread then gets one of its own, which nothing else in the process can change under it.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "protocol/local_internal.h"

/* The numbers are the same on every architecture. */
#ifndef SYS_setxattrat
#define SYS_setxattrat    463
#define SYS_getxattrat    464
#define SYS_listxattrat   465
#define SYS_removexattrat 466
#endif

/* The kernel's struct xattr_args. */
typedef struct XattrArgs {
    uint64_t value;
    uint32_t size;
    uint32_t flags;
} XattrArgs;

bool local_has_xattrat(int proc_fd, int fd)
{
    ProcName file = local_proc_name(fd);
    long result = syscall(SYS_listxattrat, proc_fd, file.text, 0, NULL, (size_t)0);

    return result >= 0 || (errno != ENOSYS && errno != EPERM); /* EPERM: a filter of system calls */
}

/* Makes /proc/self/fd the working directory of this thread. */
static int enter_proc(const LocalFs *fs)
{
    static __thread bool is_there;

    if (!is_there && (unshare(CLONE_FS) != 0 || fchdir(fs->proc_fd) != 0))
        return -EOPNOTSUPP;
    is_there = true;
    return 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Whether guests see attribute `name` at all. ACLs are real only where owners are: with model none
 * they are not offered, as in QEMU. Other names of "system." belong to this host's file system. */
static bool is_served(const LocalFs *fs, const char *name)
{
    if (has_prefix(name, "system.posix_acl_"))
        return fs->options.model == MODEL_PASSTHROUGH;
    return has_prefix(name, "user.") || has_prefix(name, "security.") ||
           has_prefix(name, "trusted.");
}

/* What every call needs first. Returns 0 or why there is nothing to call. */
static int prepare(const LocalFs *fs, const char *name)
{
    if (name && !is_served(fs, name))
        return -EOPNOTSUPP;
    return fs->has_xattrat ? 0 : enter_proc(fs);
}

/* Local disks may have to be read for attributes, also of a file that is held. */
static bool would_wait(const FsNode *node, bool nowait)
{
    return nowait && node->class != FS_MEMORY;
}

ssize_t local_getxattr(FsNode *node, const char *name, void *value, size_t size, bool nowait)
{
    const LocalFs *fs = local_fs(node);
    ProcName file = local_proc_name(local_fd(node));
    XattrArgs args = {.value = (uintptr_t)value, .size = (uint32_t)size};
    int error = prepare(fs, name);
    ssize_t got;

    if (error)
        return error;
    if (would_wait(node, nowait))
        return -EAGAIN;
    if (fs->has_xattrat)
        got = syscall(SYS_getxattrat, fs->proc_fd, file.text, 0, name, &args, sizeof(args));
    else
        got = getxattr(file.text, name, value, size);
    return got < 0 ? -errno : got;
}

/* Takes the names that are not served out of a list. Returns its new size. */
static size_t filter(const LocalFs *fs, char *names, size_t size)
{
    size_t kept = 0;
    size_t length;

    for (size_t i = 0; i < size; i += length) {
        length = strlen(names + i) + 1;
        if (!is_served(fs, names + i))
            continue;
        memmove(names + kept, names + i, length);
        kept += length;
    }
    return kept;
}

ssize_t local_listxattr(FsNode *node, char *names, size_t size, bool nowait)
{
    const LocalFs *fs = local_fs(node);
    ProcName file = local_proc_name(local_fd(node));
    int error = prepare(fs, NULL);
    ssize_t got;

    if (error)
        return error;
    if (would_wait(node, nowait))
        return -EAGAIN;
    if (fs->has_xattrat)
        got = syscall(SYS_listxattrat, fs->proc_fd, file.text, 0, names, size);
    else
        got = listxattr(file.text, names, size);
    return got < 0 ? -errno : (ssize_t)filter(fs, names, (size_t)got);
}

int local_setxattr(FsNode *node, const char *name, const void *value, size_t size, int flags)
{
    const LocalFs *fs = local_fs(node);
    ProcName file = local_proc_name(local_fd(node));
    XattrArgs args = {.value = (uintptr_t)value, .size = (uint32_t)size, .flags = (uint32_t)flags};
    int error = prepare(fs, name);
    long result;

    if (error)
        return error;
    if (fs->has_xattrat)
        result = syscall(SYS_setxattrat, fs->proc_fd, file.text, 0, name, &args, sizeof(args));
    else
        result = setxattr(file.text, name, value, size, flags);
    return result < 0 ? -errno : 0;
}

int local_removexattr(FsNode *node, const char *name)
{
    const LocalFs *fs = local_fs(node);
    ProcName file = local_proc_name(local_fd(node));
    int error = prepare(fs, name);
    long result;

    if (error)
        return error;
    if (fs->has_xattrat)
        result = syscall(SYS_removexattrat, fs->proc_fd, file.text, 0, name);
    else
        result = removexattr(file.text, name);
    return result < 0 ? -errno : 0;
}
