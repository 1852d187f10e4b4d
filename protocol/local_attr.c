/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local: attributes; see local_internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/local_internal.h"

/* #syscalls statx fchownat fchmodat ftruncate utimensat readlinkat fstatfs name_to_handle_at */

int local_getattr(FsNode *node, FsFile *file, FsAttr *attr, Qid *qid)
{
    FsAttr own;
    FsAttr *a = attr ? attr : &own;
    int fd = file ? ((LocalFile *)file)->fd : local_fd(node);
    int error = local_statx(fd, "", false, a);

    if (!error && local_fs(node)->mapping)
        error = local_map_attr((LocalNode *)node, a);
    if (!error && qid)
        local_fill_qid(local_fs(node), a, qid);
    return error;
}

/*
 * Generations
 *
 * The ioctl that tells the generation of an inode needs an open file, and special files must not be
 * opened. A file handle has it too, can be had of every O_PATH descriptor, and costs a tenth.
 */

/* How the file systems whose inode numbers come back lay out their handles. Each holds the inode
 * number as well: a handle is only taken for what it looks like when that is the right one. */
static const struct {
    int type;
    unsigned size, inode, inode_size, generation; /* in bytes, and offsets */
} handle_layouts[] = {
    {0x01, 8, 0, 4, 4},   /* ext4, f2fs, small XFS: 32-bit inode numbers */
    {0x01, 12, 4, 8, 0},  /* tmpfs */
    {0x81, 12, 0, 8, 8},  /* XFS */
    {0x4d, 20, 0, 8, 16}, /* Btrfs */
};

typedef union Handle {
    struct file_handle head;
    char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} Handle;

static bool read_handle(const Handle *handle, uint64_t inode, uint32_t *generation)
{
    const unsigned char *bytes = handle->head.f_handle;

    for (size_t i = 0; i < G_N_ELEMENTS(handle_layouts); i++) {
        uint64_t found = 0; /* little endian, as the file systems' handles on every host of Xen */

        if (handle_layouts[i].type != handle->head.handle_type ||
            handle_layouts[i].size != handle->head.handle_bytes)
            continue;
        memcpy(&found, bytes + handle_layouts[i].inode, handle_layouts[i].inode_size);
        memcpy(generation, bytes + handle_layouts[i].generation, sizeof(*generation));
        return found == inode;
    }
    return false;
}

static bool ask_generation(const LocalNode *node, uint32_t *generation)
{
    Handle handle = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount_id;

    return UNINTERRUPTED(name_to_handle_at(node->fd, "", &handle.head, &mount_id,
                                           AT_EMPTY_PATH)) == 0 &&
           read_handle(&handle, node->inode, generation);
}

/* It never changes, so that a node asks once. Several threads may: all find the same. */
bool local_generation(FsNode *base, uint32_t *generation)
{
    enum { KNOWN = 1, NONE = 2, SHIFT = 32 };
    LocalNode *node = (LocalNode *)base;
    uint64_t noted = node->generation;

    if (noted == 0) {
        bool found = ask_generation(node, generation);

        noted = found ? (uint64_t)KNOWN << SHIFT | *generation : (uint64_t)NONE << SHIFT;
        node->generation = noted;
    }
    *generation = (uint32_t)noted;
    return noted >> SHIFT == KNOWN;
}

/*
 * Changes
 */

static int result_of(int returned)
{
    return returned == 0 ? 0 : -errno;
}

static int change_owner(int fd, const FsChange *change)
{
    uid_t uid = change->valid & P9_SETATTR_UID ? change->uid : (uid_t)-1;
    gid_t gid = change->valid & P9_SETATTR_GID ? change->gid : (gid_t)-1;

    return result_of(UNINTERRUPTED(fchownat(fd, "", uid, gid, AT_EMPTY_PATH)));
}

static int change_mode(LocalFs *fs, int fd, mode_t mode)
{
    ProcName name = local_proc_name(fd);

    return result_of(UNINTERRUPTED(fchmodat(fs->proc_fd, name.text, mode, 0)));
}

/* Moves the ctime and nothing else: a change of owner to the same owner, or, where that would take
 * set-id bits away, of the mode to the same mode. */
static int touch_ctime(LocalFs *fs, int fd)
{
    const FsChange nothing = {0};
    FsAttr attr;
    int error = local_statx(fd, "", false, &attr);

    if (error)
        return error;
    if (S_ISREG(attr.stx_mode) && (attr.stx_mode & (S_ISUID | S_ISGID)))
        return change_mode(fs, fd, attr.stx_mode & 07777);
    return change_owner(fd, &nothing);
}

static bool is_open_for_writing(const FsFile *file)
{
    int flags = file ? fcntl(((const LocalFile *)file)->fd, F_GETFL) : -1;

    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

static int truncate_file(int fd, uint64_t size)
{
    return result_of(UNINTERRUPTED(ftruncate(fd, (off_t)size)));
}

static int change_size(FsNode *node, FsFile *file, uint64_t size)
{
    int error;
    int fd;

    if (S_ISDIR(node->type))
        return -EISDIR;
    if (!S_ISREG(node->type) || size > INT64_MAX)
        return -EINVAL;
    if (is_open_for_writing(file))
        return truncate_file(((LocalFile *)file)->fd, size);
    fd = local_reopen(local_fs(node), local_fd(node), O_WRONLY | O_NONBLOCK);
    if (fd < 0)
        return fd;
    error = truncate_file(fd, size);
    close(fd);
    return error;
}

static struct timespec time_to_set(uint32_t valid, uint32_t bit, uint32_t set_bit,
                                   struct timespec given)
{
    if (!(valid & bit))
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return valid & set_bit ? given : (struct timespec){.tv_nsec = UTIME_NOW};
}

static int change_times(int fd, const FsChange *change)
{
    struct timespec times[2] = {
        time_to_set(change->valid, P9_SETATTR_ATIME, P9_SETATTR_ATIME_SET, change->atime),
        time_to_set(change->valid, P9_SETATTR_MTIME, P9_SETATTR_MTIME_SET, change->mtime),
    };

    return result_of(UNINTERRUPTED(utimensat(fd, "", times, AT_EMPTY_PATH)));
}

static int change_real_access(FsNode *node, const FsChange *change)
{
    int error = 0;

    if (change->valid & (P9_SETATTR_UID | P9_SETATTR_GID))
        error = change_owner(local_fd(node), change);
    if (!error && (change->valid & P9_SETATTR_MODE))
        error = change_mode(local_fs(node), local_fd(node), change->mode);
    return error;
}

static int change_mapped_access(FsNode *node, const FsChange *change)
{
    enum { ACCESS = P9_SETATTR_UID | P9_SETATTR_GID | P9_SETATTR_MODE };

    return change->valid & ACCESS ? local_map_setattr((LocalNode *)node, change) : 0;
}

int local_drop_setid(FsNode *node)
{
    FsAttr attr;
    mode_t mode;
    int error;

    if (!S_ISREG(node->type))
        return 0;
    if (local_fs(node)->mapping)
        return local_map_drop_setid((LocalNode *)node);
    error = local_statx(local_fd(node), "", false, &attr);
    mode = fs_mode_without_setid(attr.stx_mode);
    if (error || mode == attr.stx_mode)
        return error;
    return change_mode(local_fs(node), local_fd(node), mode & 07777);
}

/* The order matters: a change of owner clears set-id bits that the mode brings back, and a change
 * of size moves the times. */
int local_setattr(FsNode *node, FsFile *file, const FsChange *change)
{
    enum { TIMES = P9_SETATTR_ATIME | P9_SETATTR_MTIME };
    int fd = local_fd(node);
    int error;

    if (change->valid == P9_SETATTR_CTIME)
        return touch_ctime(local_fs(node), fd);
    if (local_fs(node)->mapping)
        error = change_mapped_access(node, change);
    else
        error = change_real_access(node, change);
    if (!error && (change->valid & P9_SETATTR_SIZE))
        error = change_size(node, file, change->size);
    if (!error && (change->valid & TIMES))
        error = change_times(fd, change);
    return error;
}

int local_readlink(FsNode *node, char *target, size_t size, size_t *length)
{
    ssize_t got;

    if (((LocalNode *)node)->is_stand_in && S_ISLNK(node->type))
        return local_map_readlink((LocalNode *)node, target, size, length);
    got = UNINTERRUPTED(readlinkat(local_fd(node), "", target, size));
    if (got < 0)
        return errno == ENOENT && !S_ISLNK(node->type) ? -EINVAL : -errno;
    *length = (size_t)got;
    return 0;
}

int local_statfs(FsNode *node, struct statfs *st)
{
    return result_of(UNINTERRUPTED(fstatfs(local_fd(node), st)));
}
