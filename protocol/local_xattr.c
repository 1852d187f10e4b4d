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
 *
 * Of the mapped models' exports guests see user.* and ACLs and nothing else: what remains is what
 * needs no privileges. user.virtfs.* is the server's own. With mapped-xattr ACLs are among that,
 * and of no effect here; with mapped-file they are the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/syscall_numbers.h"
#include "protocol/local_internal.h"

/* The kernel's struct xattr_args. */
typedef struct XattrArgs {
    uint64_t value;
    uint32_t size;
    uint32_t flags;
} XattrArgs;

/* #syscalls getxattrat listxattrat setxattrat removexattrat
 * Before Linux 6.13; enter_proc()'s unshare is in sandbox.c, with its argument:
 * #syscalls getxattr lgetxattr fgetxattr listxattr setxattr removexattr fchdir */

bool local_has_xattrat(int proc_fd, int fd)
{
    ProcName file = local_proc_name(fd);
    long result = UNINTERRUPTED(syscall(SYS_listxattrat, proc_fd, file.text, 0, NULL, (size_t)0));

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

#define OWN_PREFIX "user.virtfs."
#define ACL_PREFIX "system.posix_acl_"

enum { NAME_LIMIT = 255 };

/*
 * The host's attributes
 */

/* A file's name relative to proc_fd. */
typedef struct FileName {
    char text[sizeof(ProcName) + 1 + NAME_LIMIT + 1];
} FileName;

static FileName file_name(LocalName file)
{
    ProcName dir = local_proc_name(file.dir_fd);
    FileName name;

    snprintf(name.text, sizeof(name.text), "%s%s%s", dir.text, file.name ? "/" : "",
             file.name ? file.name : "");
    return name;
}

/* What every call needs first. */
static int prepare(const LocalFs *fs)
{
    return fs->has_xattrat ? 0 : enter_proc(fs);
}

ssize_t local_xattr_get(const LocalFs *fs, LocalName file, const char *name, void *value,
                        size_t size)
{
    XattrArgs args = {.value = (uintptr_t)value, .size = (uint32_t)size};
    unsigned flags = file.name ? AT_SYMLINK_NOFOLLOW : 0;
    FileName path = file_name(file);
    int error = prepare(fs);
    ssize_t got;

    if (error)
        return error;
    if (fs->has_xattrat)
        got = UNINTERRUPTED(
            syscall(SYS_getxattrat, fs->proc_fd, path.text, flags, name, &args, sizeof(args)));
    else
        got = file.name ? UNINTERRUPTED(lgetxattr(path.text, name, value, size))
                        : UNINTERRUPTED(getxattr(path.text, name, value, size));
    return got < 0 ? -errno : got;
}

int local_xattr_set(const LocalFs *fs, int fd, const char *name, const void *value, size_t size,
                    int flags)
{
    XattrArgs args = {.value = (uintptr_t)value, .size = (uint32_t)size, .flags = (uint32_t)flags};
    ProcName file = local_proc_name(fd);
    int error = prepare(fs);
    long result;

    if (error)
        return error;
    if (fs->has_xattrat)
        result = UNINTERRUPTED(
            syscall(SYS_setxattrat, fs->proc_fd, file.text, 0, name, &args, sizeof(args)));
    else
        result = UNINTERRUPTED(setxattr(file.text, name, value, size, flags));
    return result < 0 ? -errno : 0;
}

static ssize_t list(const LocalFs *fs, int fd, char *names, size_t size)
{
    ProcName file = local_proc_name(fd);
    int error = prepare(fs);
    ssize_t got;

    if (error)
        return error;
    if (fs->has_xattrat)
        got = UNINTERRUPTED(syscall(SYS_listxattrat, fs->proc_fd, file.text, 0, names, size));
    else
        got = UNINTERRUPTED(listxattr(file.text, names, size));
    return got < 0 ? -errno : got;
}

static int remove_attribute(const LocalFs *fs, int fd, const char *name)
{
    ProcName file = local_proc_name(fd);
    int error = prepare(fs);
    long result;

    if (error)
        return error;
    if (fs->has_xattrat)
        result = UNINTERRUPTED(syscall(SYS_removexattrat, fs->proc_fd, file.text, 0, name));
    else
        result = UNINTERRUPTED(removexattr(file.text, name));
    return result < 0 ? -errno : 0;
}

bool local_has_user_xattrs(const LocalFs *fs)
{
    int fd = UNINTERRUPTED(openat(fs->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    bool has;

    if (fd < 0)
        return true; /* what is wrong is not this */
    has = fgetxattr(fd, OWN_PREFIX "mode", NULL, 0) >= 0 || errno != EOPNOTSUPP;
    close(fd);
    return has;
}

/*
 * What guests see of them
 */

/* Whether guests see attribute `name` at all. ACLs are real only where owners are: with model none
 * they are not offered, as in QEMU. Other names of "system." belong to this host's file system. */
static bool is_served(const LocalFs *fs, const char *name)
{
    if (has_prefix(name, ACL_PREFIX))
        return fs->options.model != MODEL_NONE;
    if (has_prefix(name, "user."))
        return !fs->mapping || !has_prefix(name, OWN_PREFIX);
    return !fs->mapping && (has_prefix(name, "security.") || has_prefix(name, "trusted."));
}

static bool maps_acls(const LocalFs *fs)
{
    return fs->options.model == MODEL_MAPPED_XATTR;
}

/* A stand-in must not have more attributes than what it stands for. */
static int check_stand_in(const LocalNode *node, const char *name, int error)
{
    if (!node->is_stand_in)
        return 0;
    if (has_prefix(name, "user."))
        return error;
    return S_ISLNK(node->base.type) ? -EOPNOTSUPP : 0;
}

/* The host's name of attribute `name`. `hidden` and `barred` are the errors for what is the server's
 * own, and for what a file of this type cannot have. */
static int host_name(const FsNode *node, const char *name, int hidden, int barred,
                     char real[NAME_LIMIT + 1])
{
    const LocalFs *fs = local_fs(node);
    const char *prefix = maps_acls(fs) && has_prefix(name, ACL_PREFIX) ? OWN_PREFIX : "";

    if (fs->mapping && has_prefix(name, OWN_PREFIX))
        return hidden;
    if (!is_served(fs, name))
        return -EOPNOTSUPP;
    if (snprintf(real, NAME_LIMIT + 1, "%s%s", prefix, name) > NAME_LIMIT)
        return -ERANGE;
    return check_stand_in((const LocalNode *)node, name, barred);
}

/* Local disks may have to be read for attributes, also of a file that is held. */
static bool would_wait(const FsNode *node, bool nowait)
{
    return nowait && node->class != FS_MEMORY;
}

ssize_t local_getxattr(FsNode *node, const char *name, void *value, size_t size, bool nowait)
{
    LocalName file = {.dir_fd = local_fd(node)};
    char real[NAME_LIMIT + 1];
    int error = host_name(node, name, -ENODATA, -ENODATA, real);

    if (error)
        return error;
    if (would_wait(node, nowait))
        return -EAGAIN;
    return local_xattr_get(local_fs(node), file, real, value, size);
}

/* The guest's name for the host's `name`, or NULL when it has none. */
static const char *guest_name(const LocalNode *node, const char *name)
{
    const LocalFs *fs = local_fs(&node->base);

    if (maps_acls(fs)) {
        if (has_prefix(name, ACL_PREFIX))
            return NULL; /* the host's own: the guest would get another one's value */
        if (has_prefix(name, OWN_PREFIX ACL_PREFIX))
            name += strlen(OWN_PREFIX);
    }
    return is_served(fs, name) && check_stand_in(node, name, -EPERM) == 0 ? name : NULL;
}

/* Makes a list of the host's names one of the guest's. Returns its new size. */
static size_t translate(const LocalNode *node, char *names, size_t size)
{
    size_t kept = 0;
    size_t step;

    for (size_t i = 0; i < size; i += step) {
        const char *name = guest_name(node, names + i);
        size_t length;

        step = strlen(names + i) + 1;
        if (!name)
            continue;
        length = strlen(name) + 1;
        memmove(names + kept, name, length);
        kept += length;
    }
    return kept;
}

ssize_t local_listxattr(FsNode *node, char *names, size_t size, bool nowait)
{
    ssize_t got;

    if (would_wait(node, nowait))
        return -EAGAIN;
    got = list(local_fs(node), local_fd(node), names, size);
    return got < 0 ? got : (ssize_t)translate((LocalNode *)node, names, (size_t)got);
}

int local_setxattr(FsNode *node, const char *name, const void *value, size_t size, int flags)
{
    char real[NAME_LIMIT + 1];
    int error = host_name(node, name, -EACCES, -EPERM, real);

    return error ? error
                 : local_xattr_set(local_fs(node), local_fd(node), real, value, size, flags);
}

int local_removexattr(FsNode *node, const char *name)
{
    char real[NAME_LIMIT + 1];
    int error = host_name(node, name, -EACCES, -EPERM, real);

    if (error)
        return error;
    error = remove_attribute(local_fs(node), local_fd(node), real);
    if (error == -ENODATA && has_prefix(name, ACL_PREFIX))
        error = 0; /* as for ACLs that are not mapped: without one is without one */
    return error;
}
