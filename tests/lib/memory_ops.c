/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory fs: the operations; see memory_fs.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/lib/memory_internal.h"

enum {
    BLOCK_SIZE = 4096,
    OFFSET_DOT = 1,
    OFFSET_DOTDOT = 2,
    MAX_FILE_SIZE = 1 << 20,
    MODE_BITS = 07777,
};

static MemoryFs *fs_of(const FsNode *node)
{
    return (MemoryFs *)node->fs;
}

static Inode *inode_of(const FsNode *node)
{
    return ((const MemoryNode *)node)->inode;
}

/* The index of `name` in `dir`, or -1. */
static int find_entry(Inode *dir, const char *name)
{
    for (unsigned i = 0; i < dir->entries->len; i++) {
        if (strcmp(memory_entry_at(dir, i)->name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* Finds a name of `inode`. Returns false when it has none. */
static bool find_name(MemoryFs *fs, const Inode *inode, Inode **dir, unsigned *index)
{
    for (unsigned d = 0; d < fs->directories->len; d++) {
        *dir = g_ptr_array_index(fs->directories, d);
        for (*index = 0; *index < (*dir)->entries->len; ++*index) {
            if (memory_entry_at(*dir, *index)->inode == inode)
                return true;
        }
    }
    return false;
}

static bool is_removed(const MemoryFs *fs, const Inode *dir)
{
    return dir != fs->root && dir->n_links == 0;
}

/* Whether `dir` is `inode` or somewhere below it. */
static bool is_within(const MemoryFs *fs, const Inode *dir, const Inode *inode)
{
    while (dir != inode && dir != fs->root)
        dir = dir->parent;
    return dir == inode;
}

static uint8_t qid_type(mode_t mode)
{
    if (S_ISDIR(mode))
        return P9_QTDIR;
    return S_ISLNK(mode) ? P9_QTSYMLINK : P9_QTFILE;
}

static Qid qid_of(const Inode *inode)
{
    return (Qid){.type = qid_type(inode->mode), .version = inode->version, .path = inode->number};
}

static FsNode *node_new(MemoryFs *fs, Inode *inode)
{
    MemoryNode *node = g_new0(MemoryNode, 1);

    fs_node_init(&node->base, &fs->base, fs->base.class, inode->mode);
    node->inode = inode;
    inode->n_nodes++;
    g_atomic_int_inc(&fs->n_held);
    return &node->base;
}

static FsFile *file_new(MemoryFs *fs, FsNode *node, int flags)
{
    MemoryFile *file = g_new0(MemoryFile, 1);

    fs_file_init(&file->base, node);
    file->flags = flags;
    g_atomic_int_inc(&fs->n_held);
    return &file->base;
}

/*
 * Operations
 */

static int memory_root(Fs *base, FsNode **node)
{
    MemoryFs *fs = (MemoryFs *)base;

    g_mutex_lock(&fs->lock);
    *node = node_new(fs, fs->root);
    g_mutex_unlock(&fs->lock);
    return 0;
}

static void memory_node_free(FsNode *node)
{
    MemoryFs *fs = fs_of(node);
    Inode *inode = inode_of(node);

    g_mutex_lock(&fs->lock);
    inode->n_nodes--;
    memory_inode_free_unused(inode);
    g_mutex_unlock(&fs->lock);
    g_free(node);
    g_atomic_int_add(&fs->n_held, -1);
}

static void memory_file_free(FsFile *file)
{
    g_atomic_int_add(&fs_of(file->node)->n_held, -1);
    g_free(file);
}

static int step(MemoryFs *fs, Inode **at, const char *name)
{
    int i;

    if (!S_ISDIR((*at)->mode))
        return -ENOTDIR;
    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        *at = *at == fs->root ? fs->root : (*at)->parent;
        return 0;
    }
    i = find_entry(*at, name);
    if (i < 0)
        return -ENOENT;
    *at = memory_entry_at(*at, (unsigned)i)->inode;
    return 0;
}

/* Passes the gate before each step, so that a test can stop a walk on its way. */
static int memory_walk(FsNode *from, unsigned n, char *const names[], bool nowait, FsNode **node,
                       Qid qids[], unsigned *n_walked)
{
    MemoryFs *fs = fs_of(from);
    FsNode *at = fs_node_ref(from);
    int error = 0;
    unsigned i;

    for (i = 0; i < n; i++) {
        Inode *inode = inode_of(at);

        error = memory_gate_nowait(fs, MEMORY_WALK, nowait);
        if (error)
            break;
        g_mutex_lock(&fs->lock);
        error = step(fs, &inode, names[i]);
        FsNode *next = error ? NULL : node_new(fs, inode);
        if (next)
            qids[i] = qid_of(inode);
        g_mutex_unlock(&fs->lock);
        if (error)
            break;
        fs_node_unref(at);
        at = next;
    }
    *n_walked = i;
    *node = error ? NULL : at;
    if (error)
        fs_node_unref(at);
    return i == 0 || error == -EAGAIN || error == -EINTR ? error : 0;
}

static struct statx_timestamp timestamp(struct timespec t)
{
    return (struct statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec};
}

static void fill_attr(const Inode *inode, FsAttr *attr)
{
    *attr = (FsAttr){
        .stx_mask = STATX_BASIC_STATS,
        .stx_mode = (uint16_t)inode->mode,
        .stx_uid = inode->owner.uid,
        .stx_gid = inode->owner.gid,
        .stx_nlink = inode->n_links,
        .stx_ino = inode->number,
        .stx_size = inode->data ? inode->data->len : BLOCK_SIZE,
        .stx_blksize = BLOCK_SIZE,
        .stx_rdev_major = major(inode->device),
        .stx_rdev_minor = minor(inode->device),
        .stx_atime = timestamp(inode->times[0]),
        .stx_mtime = timestamp(inode->times[1]),
        .stx_ctime = timestamp(inode->times[2]),
    };
    attr->stx_blocks = (attr->stx_size + 511) / 512;
}

static int memory_getattr(FsNode *node, FsFile *file, FsAttr *attr, Qid *qid)
{
    MemoryFs *fs = fs_of(node);
    int error = memory_gate(fs, MEMORY_GETATTR);

    (void)file;
    if (error)
        return error;
    g_mutex_lock(&fs->lock);
    if (attr)
        fill_attr(inode_of(node), attr);
    if (qid)
        *qid = qid_of(inode_of(node));
    g_mutex_unlock(&fs->lock);
    return 0;
}

static void set_time(Inode *inode, const FsChange *change, unsigned which, uint32_t bit,
                     uint32_t set_bit, struct timespec given)
{
    if (!(change->valid & bit))
        return;
    if (change->valid & set_bit)
        inode->times[which] = given;
    else
        clock_gettime(CLOCK_REALTIME, &inode->times[which]);
}

static int apply_change(Inode *inode, const FsChange *change)
{
    if ((change->valid & P9_SETATTR_SIZE) && S_ISDIR(inode->mode))
        return -EISDIR;
    if ((change->valid & P9_SETATTR_SIZE) && change->size > MAX_FILE_SIZE)
        return -EFBIG;
    if (change->valid & P9_SETATTR_UID)
        inode->owner.uid = change->uid;
    if (change->valid & P9_SETATTR_GID)
        inode->owner.gid = change->gid;
    if (change->valid & P9_SETATTR_MODE)
        inode->mode = (inode->mode & S_IFMT) | (change->mode & MODE_BITS);
    if (change->valid & P9_SETATTR_SIZE) {
        size_t old = inode->data->len;
        g_byte_array_set_size(inode->data, (guint)change->size);
        if (change->size > old)
            memset(inode->data->data + old, 0, change->size - old);
    }
    memory_touch(inode, change->valid & P9_SETATTR_SIZE);
    set_time(inode, change, 0, P9_SETATTR_ATIME, P9_SETATTR_ATIME_SET, change->atime);
    set_time(inode, change, 1, P9_SETATTR_MTIME, P9_SETATTR_MTIME_SET, change->mtime);
    return 0;
}

static int memory_setattr(FsNode *node, FsFile *file, const FsChange *change)
{
    MemoryFs *fs = fs_of(node);
    int error = memory_gate(fs, MEMORY_SETATTR);

    (void)file;
    if (error)
        return error;
    g_mutex_lock(&fs->lock);
    error = apply_change(inode_of(node), change);
    g_mutex_unlock(&fs->lock);
    return error;
}

static int memory_drop_setid(FsNode *node)
{
    MemoryFs *fs = fs_of(node);

    g_mutex_lock(&fs->lock);
    if (S_ISREG(node->type))
        inode_of(node)->mode = fs_mode_without_setid(inode_of(node)->mode);
    g_mutex_unlock(&fs->lock);
    return 0;
}

static int memory_readlink(FsNode *node, char *target, size_t size, size_t *length)
{
    int error = memory_gate(fs_of(node), MEMORY_READLINK);

    if (error)
        return error;
    if (!S_ISLNK(node->type))
        return -EINVAL;
    *length = MIN(size, inode_of(node)->data->len);
    if (*length > 0)
        memcpy(target, inode_of(node)->data->data, *length);
    return 0;
}

static int memory_statfs(FsNode *node, struct statfs *st)
{
    *st = (struct statfs){
        .f_type = 0x01021997, .f_bsize = BLOCK_SIZE, .f_blocks = 1000, .f_namelen = P9_NAME_MAX};
    return memory_gate(fs_of(node), MEMORY_STATFS);
}

static int open_inode(MemoryFs *fs, FsNode *node, int flags, FsFile **file)
{
    Inode *inode = inode_of(node);

    if (!S_ISREG(node->type) && !S_ISDIR(node->type))
        return S_ISLNK(node->type) ? -ELOOP : -ENXIO;
    if (S_ISDIR(node->type) && (flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    if ((flags & O_TRUNC) && S_ISREG(node->type)) {
        g_byte_array_set_size(inode->data, 0);
        memory_touch(inode, true);
    }
    *file = file_new(fs, node, flags);
    return 0;
}

static int memory_open(FsNode *node, int flags, bool nowait, FsFile **file)
{
    MemoryFs *fs = fs_of(node);
    int error = memory_gate_nowait(fs, MEMORY_OPEN, nowait);

    if (error)
        return error;
    g_mutex_lock(&fs->lock);
    error = open_inode(fs, node, flags, file);
    g_mutex_unlock(&fs->lock);
    return error;
}

/* Makes `name` in `dir`. Called with the lock held. */
static int make(MemoryFs *fs, FsNode *dir, const char *name, mode_t mode, FsOwner owner,
                Inode **made)
{
    if (!S_ISDIR(dir->type))
        return -ENOTDIR;
    if (is_removed(fs, inode_of(dir)))
        return -ENOENT;
    if (find_entry(inode_of(dir), name) >= 0)
        return -EEXIST;
    *made = memory_inode_new(fs, mode, owner);
    memory_add_entry(fs, inode_of(dir), name, *made);
    return 0;
}

static int memory_create(FsNode *dir, const char *name, int flags, mode_t mode, FsOwner owner,
                         FsFile **file)
{
    MemoryFs *fs = fs_of(dir);
    Inode *inode = NULL;
    FsNode *node = NULL;
    int error = memory_gate(fs, MEMORY_CREATE);

    if (error)
        return error;
    g_mutex_lock(&fs->lock);
    error = make(fs, dir, name, S_IFREG | (mode & MODE_BITS), owner, &inode);
    if (error == -EEXIST && !(flags & O_EXCL)) {
        inode = memory_entry_at(inode_of(dir), (unsigned)find_entry(inode_of(dir), name))->inode;
        error = 0;
    }
    if (!error) {
        node = node_new(fs, inode);
        error = open_inode(fs, node, flags, file);
    }
    g_mutex_unlock(&fs->lock);
    fs_node_unref(node);
    return error;
}

static ssize_t memory_read(FsFile *file, void *data, size_t size, uint64_t offset, bool nowait)
{
    MemoryFs *fs = fs_of(file->node);
    Inode *inode = inode_of(file->node);
    int error = memory_gate_nowait(fs, MEMORY_READ, nowait);

    if (error)
        return error;
    if (!inode->data)
        return -EISDIR;
    g_mutex_lock(&fs->lock);
    size = offset < inode->data->len ? MIN(size, inode->data->len - offset) : 0;
    if (size > 0)
        memcpy(data, inode->data->data + offset, size);
    g_mutex_unlock(&fs->lock);
    return (ssize_t)size;
}

static ssize_t memory_write(FsFile *file, const void *data, size_t size, uint64_t offset)
{
    MemoryFs *fs = fs_of(file->node);
    Inode *inode = inode_of(file->node);
    int error = memory_gate(fs, MEMORY_WRITE);

    if (error)
        return error;
    if ((((MemoryFile *)file)->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (offset > MAX_FILE_SIZE)
        return -EFBIG;
    g_mutex_lock(&fs->lock);
    if (inode->data->len < offset + size) {
        size_t old = inode->data->len;
        g_byte_array_set_size(inode->data, (guint)(offset + size));
        memset(inode->data->data + old, 0, offset + size - old);
    }
    if (size > 0)
        memcpy(inode->data->data + offset, data, size);
    memory_touch(inode, true);
    g_mutex_unlock(&fs->lock);
    return (ssize_t)size;
}

static int memory_fsync(FsFile *file, bool data_only)
{
    (void)data_only;
    return memory_gate(fs_of(file->node), MEMORY_FSYNC);
}

static bool offer(FsFill *fill, void *context, const Inode *inode, uint64_t next, const char *name)
{
    FsEntry entry = {
        .qid = qid_of(inode), .next = next, .type = (uint8_t)IFTODT(inode->mode), .name = name};

    return fill(context, &entry);
}

/* Called with the lock held. */
static void list(MemoryFs *fs, Inode *dir, uint64_t offset, FsFill *fill, void *context)
{
    const Inode *parent = dir == fs->root ? dir : dir->parent;

    if (offset < OFFSET_DOT && !offer(fill, context, dir, OFFSET_DOT, "."))
        return;
    if (offset < OFFSET_DOTDOT && !offer(fill, context, parent, OFFSET_DOTDOT, ".."))
        return;
    for (unsigned i = 0; i < dir->entries->len; i++) {
        const Entry *e = memory_entry_at(dir, i);

        if (e->offset > offset && !offer(fill, context, e->inode, e->offset, e->name))
            return;
    }
}

static int memory_readdir(FsFile *file, uint64_t offset, FsFill *fill, void *context)
{
    MemoryFs *fs = fs_of(file->node);
    int error = memory_gate(fs, MEMORY_READDIR);

    if (error)
        return error;
    g_mutex_lock(&fs->lock);
    list(fs, inode_of(file->node), offset, fill, context);
    g_mutex_unlock(&fs->lock);
    return 0;
}

/* Makes something that is not opened; `data` is a symlink's target or NULL. */
static int make_any(FsNode *dir, MemoryOp op, const char *name, mode_t mode, dev_t device,
                    const char *data, FsOwner owner, Qid *qid)
{
    MemoryFs *fs = fs_of(dir);
    Inode *inode;
    int error = memory_gate(fs, op);

    if (error)
        return error;
    g_mutex_lock(&fs->lock);
    error = make(fs, dir, name, mode, owner, &inode);
    if (!error) {
        inode->device = device;
        if (data)
            g_byte_array_append(inode->data, (const guint8 *)data, (guint)strlen(data));
        *qid = qid_of(inode);
    }
    g_mutex_unlock(&fs->lock);
    return error;
}

static int memory_mkdir(FsNode *dir, const char *name, mode_t mode, FsOwner owner, Qid *qid)
{
    return make_any(dir, MEMORY_MKDIR, name, S_IFDIR | (mode & MODE_BITS), 0, NULL, owner, qid);
}

static int memory_mknod(FsNode *dir, const char *name, mode_t mode, dev_t device, FsOwner owner,
                        Qid *qid)
{
    if ((mode & S_IFMT) == 0)
        mode |= S_IFREG;
    return make_any(dir, MEMORY_MKNOD, name, mode, device, NULL, owner, qid);
}

static int memory_symlink(FsNode *dir, const char *name, const char *target, FsOwner owner,
                          Qid *qid)
{
    return make_any(dir, MEMORY_SYMLINK, name, S_IFLNK | 0777, 0, target, owner, qid);
}

static int memory_link(FsNode *dir, const char *name, FsNode *node)
{
    MemoryFs *fs = fs_of(dir);
    int error = memory_gate(fs, MEMORY_LINK);

    if (error)
        return error;
    if (S_ISDIR(node->type))
        return -EPERM;
    if (!S_ISDIR(dir->type))
        return -ENOTDIR;
    g_mutex_lock(&fs->lock);
    if (find_entry(inode_of(dir), name) >= 0)
        error = -EEXIST;
    else if (inode_of(node)->n_links == 0 || is_removed(fs, inode_of(dir)))
        error = -ENOENT;
    else
        memory_add_entry(fs, inode_of(dir), name, inode_of(node));
    g_mutex_unlock(&fs->lock);
    return error;
}

/* Called with the lock held. */
static int unlink_entry(MemoryFs *fs, Inode *dir, int i, bool directory)
{
    Inode *inode;

    if (i < 0)
        return -ENOENT;
    inode = memory_entry_at(dir, (unsigned)i)->inode;
    if (S_ISDIR(inode->mode) != directory)
        return directory ? -ENOTDIR : -EISDIR;
    if (directory && inode->entries->len > 0)
        return -ENOTEMPTY;
    memory_delete_entry(fs, dir, (unsigned)i);
    return 0;
}

static int memory_unlinkat(FsNode *dir, const char *name, bool directory)
{
    MemoryFs *fs = fs_of(dir);
    int error = memory_gate(fs, MEMORY_UNLINKAT);

    if (error)
        return error;
    if (!S_ISDIR(dir->type))
        return -ENOTDIR;
    g_mutex_lock(&fs->lock);
    error = unlink_entry(fs, inode_of(dir), find_entry(inode_of(dir), name), directory);
    g_mutex_unlock(&fs->lock);
    return error;
}

/* Gives what is called `from` in `old` the name `to` in `new`. Called with the lock held. */
static int move(MemoryFs *fs, Inode *old, int from, Inode *new, const char *to)
{
    int replaced = find_entry(new, to);
    Inode *inode;
    int error = 0;

    if (from < 0 || is_removed(fs, new))
        return -ENOENT;
    inode = memory_entry_at(old, (unsigned)from)->inode;
    if (is_within(fs, new, inode))
        return -EINVAL;
    if (replaced >= 0 && memory_entry_at(new, (unsigned)replaced)->inode == inode)
        return 0;
    if (replaced >= 0)
        error = unlink_entry(fs, new, replaced, S_ISDIR(inode->mode));
    if (error)
        return error;
    inode->n_nodes++; /* keeps it while it has no name */
    for (unsigned i = 0; i < old->entries->len; i++) {
        if (memory_entry_at(old, i)->inode == inode) {
            memory_delete_entry(fs, old, i);
            break;
        }
    }
    memory_add_entry(fs, new, to, inode);
    inode->n_nodes--;
    return 0;
}

static int memory_renameat(FsNode *old_dir, const char *old_name, FsNode *new_dir,
                           const char *new_name)
{
    MemoryFs *fs = fs_of(old_dir);
    int error = memory_gate(fs, MEMORY_RENAMEAT);

    if (error)
        return error;
    if (!S_ISDIR(old_dir->type) || !S_ISDIR(new_dir->type))
        return -ENOTDIR;
    g_mutex_lock(&fs->lock);
    error = move(fs, inode_of(old_dir), find_entry(inode_of(old_dir), old_name), inode_of(new_dir),
                 new_name);
    g_mutex_unlock(&fs->lock);
    return error;
}

static int memory_remove(FsNode *node)
{
    MemoryFs *fs = fs_of(node);
    int error = memory_gate(fs, MEMORY_REMOVE);
    unsigned i;
    Inode *dir;

    if (error)
        return error;
    g_mutex_lock(&fs->lock);
    if (inode_of(node) == fs->root)
        error = -EBUSY;
    else if (!find_name(fs, inode_of(node), &dir, &i))
        error = -ENOENT;
    else
        error = unlink_entry(fs, dir, (int)i, S_ISDIR(node->type));
    g_mutex_unlock(&fs->lock);
    return error;
}

static int memory_rename(FsNode *node, FsNode *new_dir, const char *new_name)
{
    MemoryFs *fs = fs_of(node);
    int error = memory_gate(fs, MEMORY_RENAME);
    unsigned i;
    Inode *dir;

    if (error)
        return error;
    if (new_dir && !S_ISDIR(new_dir->type))
        return -ENOTDIR;
    g_mutex_lock(&fs->lock);
    if (!find_name(fs, inode_of(node), &dir, &i))
        error = -ENOENT;
    else
        error = move(fs, dir, (int)i, new_dir ? inode_of(new_dir) : dir, new_name);
    g_mutex_unlock(&fs->lock);
    return error;
}

static int memory_name(FsNode *node, bool nowait, char name[P9_NAME_MAX + 1])
{
    MemoryFs *fs = fs_of(node);
    unsigned i;
    Inode *dir;

    (void)nowait;
    g_mutex_lock(&fs->lock);
    if (inode_of(node) == fs->root)
        g_strlcpy(name, "/", P9_NAME_MAX + 1);
    else if (find_name(fs, inode_of(node), &dir, &i))
        g_strlcpy(name, memory_entry_at(dir, i)->name, P9_NAME_MAX + 1);
    else
        name[0] = '\0';
    g_mutex_unlock(&fs->lock);
    return 0;
}

const FsOps memory_ops = {
    .root = memory_root,
    .walk = memory_walk,
    .node_free = memory_node_free,
    .getattr = memory_getattr,
    .setattr = memory_setattr,
    .drop_setid = memory_drop_setid,
    .readlink = memory_readlink,
    .statfs = memory_statfs,
    .open = memory_open,
    .create = memory_create,
    .file_free = memory_file_free,
    .read = memory_read,
    .write = memory_write,
    .fsync = memory_fsync,
    .readdir = memory_readdir,
    .mkdir = memory_mkdir,
    .mknod = memory_mknod,
    .symlink = memory_symlink,
    .link = memory_link,
    .unlinkat = memory_unlinkat,
    .renameat = memory_renameat,
    .remove = memory_remove,
    .rename = memory_rename,
    .name = memory_name,
};
