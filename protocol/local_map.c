/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local, the mapped models: what both formats share; see local_map.h.
 *
 * A new file is made without a name where the file system can do that (O_TMPFILE), given all that is
 * kept for it, and only then its name: so it is there as a whole or not at all. A directory, which
 * cannot be made so, gets its attributes under its name, before the client hears of it; until then
 * others see the host's owner and a mode that lets nobody else in.
 *
 * Groups of set-group-id directories are inherited here, as the host does in the other models.
 * Default ACLs are not: a Linux guest that mounts with ACLs applies them itself.
 */
#include "protocol/local_map.h"

/* #syscalls pread64 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
    NEEDED_FOR_FILES = 0600, /* what this process needs to use what it makes */
    NEEDED_FOR_DIRECTORIES = 0700,
    MAX_MAJOR = (1 << 12) - 1, /* of mknod(2) */
    MAX_MINOR = (1 << 20) - 1,
    ATTEMPTS = 16,
};

const LocalMapping *local_mapping(SecurityModel model)
{
    switch (model) {
    case MODEL_MAPPED_XATTR:
        return &map_xattr;
    case MODEL_MAPPED_FILE:
        return &map_file;
    default:
        return NULL;
    }
}

bool local_map_hides(const LocalFs *fs, const char *name)
{
    return fs->mapping && fs->mapping->hides && fs->mapping->hides(name);
}

/* Side files are locked, which may wait for somebody even in memory. */
FsClass local_map_class(const LocalFs *fs, FsClass class)
{
    if (!fs->mapping || (class == FS_MEMORY && fs->mapping != &map_file))
        return class;
    return MAX(class, FS_MAPPED);
}

/*
 * Seeing
 */

mode_t map_mode(mode_t host, uint32_t kept)
{
    mode_t type = host & S_IFMT;

    if (S_ISREG(host) &&
        (S_ISLNK(kept) || S_ISCHR(kept) || S_ISBLK(kept) || S_ISFIFO(kept) || S_ISSOCK(kept)))
        type = kept & S_IFMT;
    return type | (kept & 07777);
}

bool map_is_privileged(uint32_t mode)
{
    return fs_mode_without_setid(mode) != mode;
}

static void overlay_mode(const MapMeta *meta, FsAttr *attr)
{
    if (meta->has & MAP_MODE)
        attr->stx_mode = (uint16_t)map_mode(attr->stx_mode, meta->mode);
}

static void overlay(const MapMeta *meta, FsAttr *attr)
{
    overlay_mode(meta, attr);
    if (meta->has & MAP_UID)
        attr->stx_uid = meta->uid;
    if (meta->has & MAP_GID)
        attr->stx_gid = meta->gid;
    if ((meta->has & MAP_RDEV) && (S_ISCHR(attr->stx_mode) || S_ISBLK(attr->stx_mode))) {
        attr->stx_rdev_major = major(meta->rdev);
        attr->stx_rdev_minor = minor(meta->rdev);
    }
}

int local_map_attr(LocalNode *node, FsAttr *attr)
{
    const LocalMapping *mapping = local_fs(&node->base)->mapping;
    MapMeta meta;
    int error = mapping->load(node, NULL, MAP_ALL, &meta);

    if (error)
        return error;
    overlay(&meta, attr);
    if (S_ISDIR(attr->stx_mode) && mapping->correct_directory)
        mapping->correct_directory(node, attr);
    return 0;
}

/* The type alone decides how a node can be used, and only a regular file's can be another. A mapping
 * that has something to free wants to see every node. */
int local_map_node(LocalNode *node, const LocalName *at, FsAttr *attr)
{
    const LocalMapping *mapping = local_fs(&node->base)->mapping;
    bool is_regular = S_ISREG(attr->stx_mode);
    MapMeta meta;
    int error;

    if (!is_regular && !mapping->node_free)
        return 0;
    error = mapping->load(node, at, MAP_MODE, &meta);
    if (error)
        return error;
    overlay_mode(&meta, attr);
    node->base.type = attr->stx_mode & S_IFMT;
    node->is_stand_in = is_regular && !S_ISREG(attr->stx_mode);
    return 0;
}

void local_map_node_free(LocalNode *node)
{
    const LocalMapping *mapping = local_fs(&node->base)->mapping;

    if (mapping->node_free)
        mapping->node_free(node);
}

mode_t local_map_entry_type(LocalFs *fs, LocalName at)
{
    return map_mode(S_IFREG, fs->mapping->entry_mode(fs, at)) & S_IFMT;
}

int local_map_readlink(const LocalNode *node, char *target, size_t size, size_t *length)
{
    int fd = local_reopen(local_fs(&node->base), node->fd, O_RDONLY | O_NONBLOCK);
    ssize_t got;

    if (fd < 0)
        return fd;
    got = UNINTERRUPTED(pread(fd, target, size, 0));
    close(fd);
    if (got < 0)
        return -errno;
    *length = (size_t)got;
    return 0;
}

/*
 * Changing
 */

/* The mode that `meta` has after the change. */
static uint32_t mode_after(const MapChange *change, const MapMeta *meta)
{
    uint32_t mode = meta->has & MAP_MODE ? meta->mode : change->host_mode;

    if (change->to.has & MAP_MODE)
        mode = change->to.mode;
    else if (change->drops_privileges && map_is_privileged(mode))
        mode = fs_mode_without_setid(mode);
    else
        mode = meta->mode;
    return mode;
}

bool map_apply(const MapChange *change, MapMeta *meta)
{
    MapMeta old = *meta;

    meta->mode = mode_after(change, meta);
    if (meta->mode != old.mode)
        meta->has |= MAP_MODE;
    if (change->to.has & MAP_UID)
        meta->uid = change->to.uid;
    if (change->to.has & MAP_GID)
        meta->gid = change->to.gid;
    if (change->to.has & MAP_RDEV)
        meta->rdev = change->to.rdev;
    meta->has |= change->to.has;
    return meta->has != old.has || meta->uid != old.uid || meta->gid != old.gid ||
           meta->mode != old.mode || meta->rdev != old.rdev;
}

/* The type stays what it is: only the permissions of a mode can be changed. */
int local_map_setattr(LocalNode *node, const FsChange *change)
{
    INTERRUPT_HOLD();
    bool changes_owner = change->valid & (P9_SETATTR_UID | P9_SETATTR_GID);
    MapChange map = {
        .to = {.uid = change->uid, .gid = change->gid, .mode = node->base.type | change->mode},
        .drops_privileges = changes_owner && !S_ISDIR(node->base.type),
    };
    FsAttr attr;
    int error;

    if (change->valid & P9_SETATTR_UID)
        map.to.has |= MAP_UID;
    if (change->valid & P9_SETATTR_GID)
        map.to.has |= MAP_GID;
    if (change->valid & P9_SETATTR_MODE)
        map.to.has |= MAP_MODE;
    error = local_statx(node->fd, "", false, &attr);
    if (error)
        return error;
    map.host_mode = attr.stx_mode;
    return local_fs(&node->base)->mapping->store(node, &map);
}

int local_map_drop_setid(LocalNode *node)
{
    INTERRUPT_HOLD();
    static const MapChange change = {.drops_privileges = true};
    const LocalMapping *mapping = local_fs(&node->base)->mapping;

    return mapping->has_privileges(node) ? mapping->store(node, &change) : 0;
}

/*
 * Making
 */

static int prepare(LocalFs *fs, MapBirth *birth)
{
    return fs->mapping->prepare ? fs->mapping->prepare(fs, birth) : 0;
}

static int dress(LocalFs *fs, int fd, const MapBirth *birth)
{
    return fs->mapping->dress ? fs->mapping->dress(fs, fd, &birth->meta) : 0;
}

static int finish(LocalFs *fs, MapBirth *birth, int error)
{
    if (fs->mapping->finish)
        fs->mapping->finish(fs, birth, error);
    return error;
}

/* To be filled, a file must be open for writing. */
static int flags_to_fill(const MapBirth *birth)
{
    if ((birth->flags & O_ACCMODE) == O_RDONLY)
        return birth->flags | O_RDWR;
    return birth->flags;
}

static int write_target(int fd, const char *target)
{
    size_t size = strlen(target);
    ssize_t put = UNINTERRUPTED(pwrite(fd, target, size, 0));

    if (put < 0)
        return -errno;
    return (size_t)put == size ? 0 : -ENOSPC;
}

/* Puts into the new file *fd what it holds and what is kept for it, and opens it as it was asked
 * for. */
static int fill_file(LocalFs *fs, int *fd, const MapBirth *birth)
{
    int error = birth->target ? write_target(*fd, birth->target) : 0;
    int reopened;

    if (!error)
        error = dress(fs, *fd, birth);
    if (error || (birth->flags & O_ACCMODE) != O_RDONLY)
        return error;
    reopened = local_reopen(fs, *fd, birth->flags);
    if (reopened < 0)
        return reopened;
    close(*fd);
    *fd = reopened;
    return 0;
}

/* Whether an error says that the file system knows no files without a name. */
static bool is_unsupported(int error)
{
    return error == -EOPNOTSUPP || error == -EINVAL || error == -EISDIR;
}

static bool is_removed(int dir_fd)
{
    FsAttr attr;

    return local_statx(dir_fd, "", false, &attr) == 0 && attr.stx_nlink == 0;
}

/* Some file systems have an error of their own for what is made in a directory that was removed. */
static int explain(int error, const MapBirth *birth)
{
    return error == -EPERM && is_removed(birth->at.dir_fd) ? -ENOENT : error;
}

static int open_nameless(LocalFs *fs, const MapBirth *birth)
{
    mode_t mode = fs->options.fmode | NEEDED_FOR_FILES;
    int fd;

    if (fs->lacks_nameless)
        return -EOPNOTSUPP;
    fd = UNINTERRUPTED(
        openat(birth->at.dir_fd, ".", flags_to_fill(birth) | O_TMPFILE | O_CLOEXEC, mode));
    return fd < 0 ? explain(-errno, birth) : fd;
}

static int name_file(LocalFs *fs, int fd, MapBirth *birth)
{
    LocalNode nameless = {.base.fs = &fs->base, .fd = fd};
    int error = prepare(fs, birth);

    return error ? error : finish(fs, birth, local_link_fd(&nameless, birth->at));
}

static int open_named(LocalFs *fs, const MapBirth *birth)
{
    int flags = flags_to_fill(birth) | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
    mode_t mode = fs->options.fmode | NEEDED_FOR_FILES;
    int fd = UNINTERRUPTED(openat(birth->at.dir_fd, birth->at.name, flags, mode));

    return fd < 0 ? -errno : fd;
}

/* The second best way: the file is there before it is complete. */
static int make_named_file(LocalFs *fs, MapBirth *birth, int *fd)
{
    int error = prepare(fs, birth);

    if (error)
        return error;
    *fd = open_named(fs, birth);
    if (*fd < 0)
        return finish(fs, birth, *fd);
    error = fill_file(fs, fd, birth);
    if (error) {
        UNINTERRUPTED(unlinkat(birth->at.dir_fd, birth->at.name, 0));
        close(*fd);
    }
    return finish(fs, birth, error);
}

static int make_file(LocalFs *fs, MapBirth *birth, int *fd)
{
    int error;

    *fd = open_nameless(fs, birth);
    if (is_unsupported(*fd))
        return make_named_file(fs, birth, fd);
    if (*fd < 0)
        return *fd;
    error = fill_file(fs, fd, birth);
    if (!error)
        error = name_file(fs, *fd, birth);
    if (error)
        close(*fd);
    return error;
}

/* -ENOENT: somebody has removed it before it was complete. */
static int make_named_directory(LocalFs *fs, const MapBirth *birth, int *fd)
{
    LocalName at = birth->at;
    int error;

    if (UNINTERRUPTED(mkdirat(at.dir_fd, at.name, fs->options.dmode | NEEDED_FOR_DIRECTORIES)) != 0)
        return -errno;
    *fd = local_open_name(at.dir_fd, at.name, false);
    error = *fd < 0 ? *fd : dress(fs, *fd, birth);
    if (error && error != -ENOENT)
        UNINTERRUPTED(unlinkat(at.dir_fd, at.name, AT_REMOVEDIR));
    if (error && *fd >= 0)
        close(*fd);
    return error;
}

static int make_directory(LocalFs *fs, MapBirth *birth, int *fd)
{
    int error = prepare(fs, birth);

    if (error)
        return error;
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        error = make_named_directory(fs, birth, fd);
        if (error != -ENOENT || is_removed(birth->at.dir_fd))
            break;
    }
    return finish(fs, birth, error);
}

/* As the host would for its own files: the group of a set-group-id directory goes to what is made
 * in it, and the bit to directories. */
static int inherit(FsNode *dir, MapMeta *meta)
{
    FsAttr attr;
    int error = local_getattr(dir, NULL, &attr, NULL);

    if (error || !(attr.stx_mode & S_ISGID))
        return error;
    meta->gid = attr.stx_gid;
    if (S_ISDIR(meta->mode))
        meta->mode |= S_ISGID;
    return 0;
}

/* Refuses what mknod(2) and symlink(2) refuse. */
static int check_new(const LocalNew *new)
{
    if (new->target &&new->target[0] == '\0')
        return -ENOENT;
    if (new->target && strlen(new->target) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (new->is_node && S_ISDIR(new->mode))
        return -EPERM;
    if (new->is_node && S_ISLNK(new->mode))
        return -EINVAL;
    return major(new->device) > MAX_MAJOR || minor(new->device) > MAX_MINOR ? -EINVAL : 0;
}

int local_map_make(FsNode *dir, const LocalNew *new, FsAttr *attr, int *fd)
{
    INTERRUPT_HOLD();
    LocalFs *fs = local_fs(dir);
    MapBirth birth = {
        .at = {local_fd(dir), new->name},
        .meta = {.has = MAP_UID | MAP_GID | MAP_MODE,
                 .uid = new->owner.uid,
                 .gid = new->owner.gid,
                 .mode = new->mode,
                 .rdev = new->device},
        .target = new->target,
        .flags = new->flags & ~(O_TRUNC | O_EXCL | O_DIRECTORY),
    };
    int error = check_new(new);

    if (new->is_node)
        birth.meta.has |= MAP_RDEV;
    if (!error)
        error = inherit(dir, &birth.meta);
    if (!error)
        error = S_ISDIR(new->mode) ? make_directory(fs, &birth, fd) : make_file(fs, &birth, fd);
    if (error)
        return error;
    error = local_statx(*fd, "", false, attr);
    if (error)
        close(*fd);
    else
        overlay(&birth.meta, attr);
    return error;
}

/*
 * Names
 */

int local_map_link(LocalNode *node, LocalName to)
{
    INTERRUPT_HOLD();
    const LocalMapping *mapping = local_fs(&node->base)->mapping;

    return mapping->link ? mapping->link(node, to) : local_link_fd(node, to);
}

int local_map_unlink(LocalFs *fs, LocalName at, int flags)
{
    INTERRUPT_HOLD();
    if (fs->mapping->unlink)
        return fs->mapping->unlink(fs, at, flags);
    return UNINTERRUPTED(unlinkat(at.dir_fd, at.name, flags)) == 0 ? 0 : -errno;
}

int local_map_rename(LocalFs *fs, LocalName from, LocalName to)
{
    INTERRUPT_HOLD();
    if (fs->mapping->rename)
        return fs->mapping->rename(fs, from, to);
    return UNINTERRUPTED(renameat(from.dir_fd, from.name, to.dir_fd, to.name)) == 0 ? 0 : -errno;
}
