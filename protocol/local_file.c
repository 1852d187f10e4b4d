/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local: open files and directories; see local_internal.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "protocol/local_park.h"

enum {
    DIRECTORY_BUFFER = 64 * 1024,
    CREATE_ATTEMPTS = 8,
};

/* #syscalls openat2 preadv2 pwrite64 fsync fdatasync lseek getdents64 */

/* An open file of `node`; takes over `fd`, which is claimed, unless it is the node's own. That one
 * stays at hand. */
static FsFile *new_file(FsNode *node, int fd)
{
    LocalFile *file = g_new0(LocalFile, 1);

    fs_file_init(&file->base, node);
    file->fd = fd;
    file->borrowed = fd == local_fd(node);
    if (file->borrowed)
        fs_node_hold(node, true); /* it is new, or held: nothing has to be brought back */
    pthread_mutex_init(&file->lock, NULL);
    local_park_add_open(file);
    return &file->base;
}

void local_file_free(FsFile *base)
{
    LocalFile *file = (LocalFile *)base;

    local_park_remove_open(file);
    if (file->borrowed) {
        fs_node_let_go(base->node);
    } else {
        close(file->fd);
        local_unclaim(local_fs(base->node));
    }
    pthread_mutex_destroy(&file->lock);
    if (file->keeps_entries)
        g_atomic_int_add(&local_fs(base->node)->n_kept_entries, -1);
    g_free(file->entries);
    g_free(file);
}

static int check_type(mode_t type)
{
    if (S_ISREG(type) || S_ISDIR(type))
        return 0;
    return S_ISLNK(type) ? -ELOOP : -ENXIO;
}

/* Opens with O_NONBLOCK, so that a lease held on the file is an error at once. */
int local_open(FsNode *node, int flags, bool nowait, FsFile **file)
{
    LocalFs *fs = local_fs(node);
    int error = check_type(node->type);
    int fd;

    if (error)
        return error;
    if (nowait && (flags & O_TRUNC || fs->mapping) && node->class != FS_MEMORY)
        return -EAGAIN;
    flags &= ~FS_OPEN_OWN;
    error = local_claim(fs, nowait);
    if (error)
        return error;
    if (fs->options.readonly) /* where the mount is not: even reading must change nothing */
        flags |= O_NOATIME;
    fd = local_reopen(fs, local_fd(node), flags | (nowait ? O_NONBLOCK : 0));
    if (fd == -EPERM && (flags & O_NOATIME))
        fd = local_reopen(fs, local_fd(node), flags & ~O_NOATIME);
    if (fd < 0) {
        local_unclaim(fs);
        return fd;
    }
    *file = new_file(node, fd);
    return 0;
}

/* Creates a file that must not exist. Returns its descriptor. */
static int create_new(LocalFs *fs, int dir_fd, const char *name, int flags, mode_t mode,
                      FsOwner owner)
{
    struct open_how how = {
        .flags = (uint64_t)(uint32_t)(flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    int error = local_become(fs, owner);
    int fd;

    if (error)
        return error;
    fd = local_openat2(dir_fd, name, &how);
    if (fd >= 0)
        local_give_away(fs, fd, "", owner);
    return fd;
}

/* The descriptor for the node of the new file `fd`. A file that was made without a name has to be
 * opened by the one that it has now: its first descriptor never learns of it. */
static int node_fd(int fd, LocalName at)
{
    FsAttr ours, named;
    int by_name = local_open_name(at.dir_fd, at.name, false);

    if (by_name < 0)
        return fd;
    if (local_statx(fd, "", false, &ours) == 0 && local_statx(by_name, "", false, &named) == 0 &&
        ours.stx_ino == named.stx_ino && local_attr_device(&ours) == local_attr_device(&named))
        return by_name;
    close(by_name); /* somebody was faster and made it another one's name */
    return fd;
}

/* Makes an open file of what was just created. Takes over `fd`. A descriptor is claimed: it is that
 * of the file if it does not share the node's. */
static int open_created(LocalFs *fs, int fd, LocalName at, FsFile **file)
{
    FsNode *node;
    int of_node = fs->mapping ? node_fd(fd, at) : fd;
    int error;

    if (of_node == fd)
        local_unclaim(fs);
    error = local_node_new(fs, of_node, &at, false, &node, NULL);
    if (error && of_node != fd) {
        close(fd);
        local_unclaim(fs);
    }
    if (error)
        return error;
    *file = new_file(node, fd);
    fs_node_unref(node);
    return 0;
}

/* Creates what create_new() does, in a mapped export. */
static int create_mapped(FsNode *dir, const char *name, int flags, mode_t mode, FsOwner owner)
{
    LocalNew new = {.name = name, .mode = S_IFREG | mode, .owner = owner, .flags = flags};
    FsAttr attr;
    int fd;
    int error = local_map_make(dir, &new, &attr, &fd);

    return error ? error : fd;
}

static int open_existing(LocalFs *fs, int dir_fd, const char *name, int flags, FsFile **file)
{
    LocalName at = {dir_fd, name};
    FsNode *node;
    int fd = local_open_name(dir_fd, name, false);
    int error = fd < 0 ? fd : local_node_new(fs, fd, &at, false, &node, NULL);

    if (error)
        return error;
    error = S_ISDIR(node->type) ? -EISDIR : local_open(node, flags, false, file);
    fs_node_unref(node);
    return error;
}

/* Creates always with O_EXCL, so that no special file is ever opened; a name that exists is then
 * looked at before it is opened. Somebody else may make or remove it in between. A descriptor is
 * claimed, and taken when a file was created. */
static int create_or_open(FsNode *dir, LocalName at, int flags, mode_t mode, FsOwner owner,
                          bool *created, FsFile **file)
{
    LocalFs *fs = local_fs(dir);
    bool exclusive = flags & O_EXCL;
    int error;

    flags &= ~(O_EXCL | O_DIRECTORY);
    for (unsigned attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        int fd = fs->mapping ? create_mapped(dir, at.name, flags, mode, owner)
                             : create_new(fs, at.dir_fd, at.name, flags, mode, owner);

        *created = fd >= 0;
        if (*created)
            return open_created(fs, fd, at, file);
        if (fd != -EEXIST || exclusive)
            return fd;
        error = open_existing(fs, at.dir_fd, at.name, flags, file);
        if (error != -ENOENT)
            return error;
    }
    return -ENOENT;
}

int local_create(FsNode *dir, const char *name, int flags, mode_t mode, FsOwner owner,
                 FsFile **file)
{
    LocalFs *fs = local_fs(dir);
    LocalName at = {local_fd(dir), name};
    bool created;
    int error;

    if (local_map_hides(fs, name))
        return -EINVAL;
    error = local_claim(fs, false);
    if (error)
        return error;
    error = create_or_open(dir, at, flags, mode, owner, &created, file);
    if (!created)
        local_unclaim(fs);
    return error;
}

/* Reads until `size` bytes are there or the file ends: to a client fewer bytes mean the end. So what
 * an interrupted read has got is dropped. */
ssize_t local_read(FsFile *file, void *data, size_t size, uint64_t offset, bool nowait)
{
    bool may_wait = !nowait || file->node->class == FS_MEMORY;
    int fd = ((LocalFile *)file)->fd;
    size_t done = 0;

    if (offset > INT64_MAX - size)
        return -EINVAL;
    while (done < size) {
        struct iovec iov = {.iov_base = (char *)data + done, .iov_len = size - done};
        ssize_t got =
            UNINTERRUPTED(preadv2(fd, &iov, 1, (off_t)(offset + done), may_wait ? 0 : RWF_NOWAIT));

        if (got == 0)
            break;
        if (got > 0)
            done += (size_t)got;
        else if (!may_wait && (errno == EAGAIN || errno == EOPNOTSUPP))
            return -EAGAIN;
        else
            return done > 0 && errno != EINTR ? (ssize_t)done : -errno;
    }
    return (ssize_t)done;
}

/* Bytes that are written count, also when an interruption keeps the others from following. */
ssize_t local_write(FsFile *file, const void *data, size_t size, uint64_t offset)
{
    int fd = ((LocalFile *)file)->fd;
    size_t done = 0;

    if (offset > INT64_MAX - size)
        return -EFBIG;
    do {
        ssize_t put = UNINTERRUPTED(
            pwrite(fd, (const char *)data + done, size - done, (off_t)(offset + done)));

        if (put < 0)
            return done > 0 ? (ssize_t)done : -errno;
        if (put == 0)
            break;
        done += (size_t)put;
    } while (done < size && !interrupt_requested());
    return (ssize_t)done;
}

int local_fsync(FsFile *file, bool data_only)
{
    int fd = ((LocalFile *)file)->fd;

    return UNINTERRUPTED(data_only ? fdatasync(fd) : fsync(fd)) == 0 ? 0 : -errno;
}

/*
 * Directories
 */

/* Makes offset `offset` the next entry. Called with the lock held. */
static int seek_directory(LocalFile *dir, uint64_t offset)
{
    if (offset == dir->position && offset != 0)
        return 0;
    if (offset > INT64_MAX || lseek(dir->fd, (off_t)offset, SEEK_SET) < 0)
        return -EINVAL;
    dir->size = dir->used = 0;
    dir->position = offset;
    return 0;
}

static bool may_keep_entries(LocalFs *fs)
{
    if (g_atomic_int_add(&fs->n_kept_entries, 1) < LOCAL_KEPT_ENTRIES)
        return true;
    g_atomic_int_add(&fs->n_kept_entries, -1);
    return false;
}

static void make_buffer(LocalFile *dir)
{
    dir->entries = g_malloc(DIRECTORY_BUFFER);
    dir->keeps_entries = may_keep_entries(local_fs(dir->base.node));
}

/* A guest can have more directories open than there is memory for all their entries: those of the
 * others are read again. Called with the lock held. */
static void drop_buffer(LocalFile *dir)
{
    if (dir->keeps_entries)
        return;
    g_clear_pointer(&dir->entries, g_free);
    dir->size = dir->used = 0;
    dir->position = 0; /* the next read has to look for its place */
}

/* Reads more entries when all have been handed out. Returns their size in bytes, 0 at the end. */
static ssize_t fill_buffer(LocalFile *dir)
{
    ssize_t got;

    if (dir->used < dir->size)
        return (ssize_t)(dir->size - dir->used);
    if (!dir->entries)
        make_buffer(dir);
    got = UNINTERRUPTED(getdents64(dir->fd, dir->entries, DIRECTORY_BUFFER));
    if (got < 0)
        return -errno;
    dir->size = (size_t)got;
    dir->used = 0;
    return got;
}

/* The export's root is its own parent. */
static uint64_t entry_inode(const LocalNode *dir, const LocalFs *fs, const struct dirent64 *d)
{
    bool is_root = dir->inode == fs->root_inode && dir->device == fs->devices[0].device;

    return is_root && strcmp(d->d_name, "..") == 0 ? fs->root_inode : d->d_ino;
}

/* Above the root of a mount there is another device, of which the mount's own ".." knows nothing. */
static void describe_parent(LocalFile *dir, FsEntry *entry)
{
    LocalFs *fs = local_fs(dir->base.node);
    FsAttr attr;

    if (local_statx(dir->fd, "..", false, &attr) == 0)
        local_fill_qid(fs, &attr, &entry->qid);
}

static void describe_entry(LocalFile *dir, const struct dirent64 *d, FsEntry *entry)
{
    LocalNode *node = (LocalNode *)dir->base.node;
    LocalFs *fs = local_fs(dir->base.node);
    LocalDevice device = local_device(fs, dir->fd, node->device);

    *entry = (FsEntry){
        .qid = {.path = entry_inode(node, fs, d) ^ device.salt,
                .type = local_qid_type(DTTOIF(d->d_type))},
        .next = (uint64_t)d->d_off,
        .type = d->d_type,
        .name = d->d_name,
    };
    if (node->device != fs->devices[0].device && strcmp(d->d_name, "..") == 0)
        describe_parent(dir, entry);
}

static void set_type(FsEntry *entry, mode_t mode)
{
    entry->type = (uint8_t)IFTODT(mode);
    entry->qid.type = local_qid_type(mode);
}

/* Some file systems do not say what an entry is. One that is gone by now has no type. In a mapped
 * export a regular file may stand for something else. */
static int find_type(LocalFile *dir, FsEntry *entry)
{
    LocalFs *fs = local_fs(dir->base.node);
    FsAttr attr;
    int error;

    if (entry->type == DT_UNKNOWN) {
        error = local_statx(dir->fd, entry->name, false, &attr);
        if (error)
            return error == -EINTR ? error : 0;
        set_type(entry, attr.stx_mode);
    }
    if (!fs->mapping || entry->type != DT_REG)
        return 0;
    set_type(entry, local_map_entry_type(fs, (LocalName){dir->fd, entry->name}));
    return interrupt_requested() ? -EINTR : 0; /* the type may be wrong then */
}

/* Hands out buffered entries. Returns 0 when all are, 1 when `fill` refused one, or -EINTR. */
static int hand_out(LocalFile *dir, FsFill *fill, void *context)
{
    while (dir->used < dir->size) {
        const struct dirent64 *d = (const struct dirent64 *)(dir->entries + dir->used);
        bool is_hidden = local_map_hides(local_fs(dir->base.node), d->d_name);
        FsEntry entry;

        describe_entry(dir, d, &entry);
        if (!is_hidden && find_type(dir, &entry) != 0)
            return -EINTR;
        if (!is_hidden && !fill(context, &entry))
            return 1;
        dir->used += d->d_reclen;
        dir->position = entry.next;
    }
    return 0;
}

int local_readdir(FsFile *file, uint64_t offset, FsFill *fill, void *context)
{
    LocalFile *dir = (LocalFile *)file;
    ssize_t got;
    int result = interrupt_lock(&dir->lock);

    if (result)
        return result;
    result = seek_directory(dir, offset);
    while (result == 0 && (got = fill_buffer(dir)) != 0)
        result = got < 0 ? (int)got : hand_out(dir, fill, context);
    drop_buffer(dir);
    pthread_mutex_unlock(&dir->lock);
    return MIN(result, 0);
}
