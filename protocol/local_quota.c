/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local: the operations of an export with limits; see quota.h and local_quota.h. */
#include "protocol/local_quota.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MIN_BLOCK = 512,
    MAX_BLOCK = 64 * 1024,
};

/*
 * Measuring
 */

uint64_t local_round_down(const LocalFs *fs, uint64_t bytes)
{
    return bytes & ~(fs->quota->block - 1);
}

uint64_t local_round_up(const LocalFs *fs, uint64_t bytes)
{
    return local_round_down(fs, bytes + fs->quota->block - 1);
}

static uint64_t charge_on(const LocalFs *fs, FsClass class, const FsAttr *attr)
{
    uint64_t allocated = attr->stx_blocks * 512;
    uint64_t size = local_round_up(fs, attr->stx_size);

    if (!S_ISREG(attr->stx_mode))
        return allocated;
    return class == FS_REMOTE ? size : MIN(allocated, size);
}

uint64_t local_quota_charge(LocalFs *fs, int fd, const FsAttr *attr)
{
    return charge_on(fs, local_device(fs, fd, local_attr_device(attr)).class, attr);
}

uint64_t local_quota_mark(const LocalFs *fs)
{
    return fs->quota ? quota_mark(fs->quota->quota) : 0;
}

int local_quota_pin(LocalNode *node, uint64_t mark, bool nowait, FsAttr *attr)
{
    LocalFs *fs = local_fs(&node->base);
    Quota *quota = fs->quota->quota;

    if (!quota_counts(quota))
        return 0;
    for (;;) {
        int error;

        node->quota = quota_pin(quota, node->device, node->inode,
                                charge_on(fs, node->base.class, attr), mark);
        if (node->quota)
            return 0;
        mark = quota_mark(quota);
        error = local_statx(node->fd, "", nowait, attr);
        if (error)
            return error;
    }
}

/* Measures a node. `attr` receives what it is now. */
static int measure(FsNode *node, FsAttr *attr)
{
    uint64_t ticket = quota_begin_measure(quota_of(node), inode_of(node));
    int error = local_statx(local_fd(node), "", false, attr);

    if (!error)
        quota_end_measure(quota_of(node), inode_of(node), ticket,
                          charge_on(local_fs(node), node->class, attr));
    return error;
}

void local_quota_settle(FsNode *node)
{
    FsAttr attr;

    if (quota_counts_space(quota_of(node)))
        measure(node, &attr);
}

/* A directory has one name. */
bool local_quota_settle_removed(FsNode *node)
{
    FsAttr attr;
    int error = measure(node, &attr);
    bool gone = S_ISDIR(node->type) || (!error && attr.stx_nlink == 0);

    if (gone)
        quota_set_gone(quota_of(node), inode_of(node));
    return gone;
}

/*
 * Claims
 */

/* Makes room after a claim did not fit. */
static int make_room(LocalFs *fs, uint64_t files, uint64_t bytes, bool *doubted)
{
    Quota *quota = fs->quota->quota;
    int error;

    if (!quota_can_fit(quota, files, bytes))
        return -ENOSPC;
    if (!*doubted) {
        *doubted = true;
        error = quota_recount(quota, QUOTA_DOUBT);
        if (error != -EALREADY)
            return error;
    }
    if (!quota_options(quota)->auto_delete)
        return -ENOSPC;
    return local_reclaim_make_room(fs, files, bytes);
}

int local_quota_mend_claim(LocalFs *fs, uint64_t files, uint64_t bytes, int error, bool *doubted)
{
    switch (error) {
    case -EAGAIN:
        return quota_wait_counted(fs->quota->quota);
    case -ENOSPC:
        return make_room(fs, files, bytes, doubted);
    default:
        return error;
    }
}

/* Claims, waiting and making room as necessary. */
static int claim(LocalFs *fs, uint64_t files, uint64_t bytes)
{
    bool doubted = false;
    int error;

    while ((error = quota_claim(fs->quota->quota, files, bytes))) {
        error = local_quota_mend_claim(fs, files, bytes, error, &doubted);
        if (error)
            return error;
    }
    return 0;
}

/*
 * Open files
 */

static void note_flags(FsFile *file, int flags, bool counted)
{
    LocalFile *local = (LocalFile *)file;

    local->counted = counted;
    local->appends = flags & O_APPEND;
}

/* Truncating is done in order, and so may wait. */
static int open_in_order(FsNode *node, int flags, bool nowait, FsFile **file)
{
    int error;

    if (!inode_of(node) || !S_ISREG(node->type) || !(flags & O_TRUNC))
        return local_open(node, flags, nowait, file);
    if (nowait)
        return -EAGAIN;
    lock_order(node);
    error = local_open(node, flags, nowait, file);
    local_quota_settle(node);
    unlock_order(node);
    return error;
}

static int quota_open(FsNode *node, int flags, bool nowait, FsFile **file)
{
    Quota *quota = quota_of(node);
    bool counted = S_ISREG(node->type) && !(flags & FS_OPEN_OWN);
    int error = counted ? quota_add_open(quota) : 0;

    if (error)
        return error;
    if (inode_of(node))
        quota_hold(quota, inode_of(node));
    error = open_in_order(node, flags, nowait, file);
    if (!error)
        note_flags(*file, flags, counted);
    if (error && inode_of(node))
        quota_let_go(quota, inode_of(node));
    if (error && counted)
        quota_remove_open(quota);
    return error;
}

static void quota_file_free(FsFile *file)
{
    Quota *quota = quota_of(file->node);
    QuotaInode *inode = inode_of(file->node);
    bool counted = ((LocalFile *)file)->counted;

    local_file_free(file);
    if (inode)
        quota_let_go(quota, inode);
    if (counted)
        quota_remove_open(quota);
}

static void quota_node_free(FsNode *node)
{
    if (inode_of(node))
        quota_unpin(quota_of(node), inode_of(node));
    local_node_free(node);
}

/*
 * Making names
 */

/* What making a name may need, in files and blocks. */
typedef struct Making {
    FsNode *dir;
    const char *name;
    uint64_t files;
    uint64_t bytes;
    bool claimed;
} Making;

static Making making(FsNode *dir, const char *name, uint64_t files, uint64_t blocks)
{
    const LocalFs *fs = local_fs(dir);
    bool space = quota_counts_space(fs->quota->quota);

    return (Making){
        .dir = dir, .name = name, .files = files, .bytes = space ? blocks * fs->quota->block : 0};
}

static bool exists(FsNode *dir, const char *name)
{
    FsAttr attr;

    return local_statx(local_fd(dir), name, false, &attr) == 0;
}

/* Claims what the name needs, unless it is there already, and holds the directory's order when it
 * returns 0. */
static int begin_making(Making *m)
{
    LocalFs *fs = local_fs(m->dir);

    for (;;) {
        int error;

        lock_order(m->dir);
        if (m->claimed || exists(m->dir, m->name))
            return 0;
        unlock_order(m->dir);
        error = claim(fs, m->files, m->bytes);
        if (error)
            return error;
        m->claimed = true;
    }
}

/* Counts what has the name now. */
static void note_name(FsNode *dir, const char *name)
{
    LocalFs *fs = local_fs(dir);
    FsAttr attr;

    if (local_statx(local_fd(dir), name, false, &attr) == 0)
        quota_note(quota_of(dir), local_attr_device(&attr), attr.stx_ino,
                   local_quota_charge(fs, local_fd(dir), &attr));
}

/* Ends what begin_making() has begun; returns `error`. */
static int end_making(Making *m, int error)
{
    if (!error && m->files > 0)
        note_name(m->dir, m->name);
    local_quota_settle(m->dir);
    unlock_order(m->dir);
    if (m->claimed)
        quota_unclaim(quota_of(m->dir), m->files, m->bytes);
    return error;
}

static int quota_mkdir(FsNode *dir, const char *name, mode_t mode, FsOwner owner, Qid *qid)
{
    Making m = making(dir, name, 1, 2);
    int error = begin_making(&m);

    return error ? error : end_making(&m, local_mkdir(dir, name, mode, owner, qid));
}

static int quota_mknod(FsNode *dir, const char *name, mode_t mode, dev_t device, FsOwner owner,
                       Qid *qid)
{
    Making m = making(dir, name, 1, 1);
    int error = begin_making(&m);

    return error ? error : end_making(&m, local_mknod(dir, name, mode, device, owner, qid));
}

static int quota_symlink(FsNode *dir, const char *name, const char *target, FsOwner owner, Qid *qid)
{
    Making m = making(dir, name, 1, 2);
    int error = begin_making(&m);

    return error ? error : end_making(&m, local_symlink(dir, name, target, owner, qid));
}

static int quota_link(FsNode *dir, const char *name, FsNode *node)
{
    Making m = making(dir, name, 0, 1);
    int error;

    if (dir->fs != node->fs)
        return -EXDEV;
    error = begin_making(&m);
    return error ? error : end_making(&m, local_link(dir, name, node));
}

/* What was there already is truncated after it was opened, in order. */
static int create_in_order(Making *m, int flags, mode_t mode, FsOwner owner, FsFile **file)
{
    static const FsChange empty = {.valid = P9_SETATTR_SIZE};
    FsNode *node;
    int error = local_create(m->dir, m->name, flags & ~O_TRUNC, mode, owner, file);

    if (error)
        return error;
    node = (*file)->node;
    if (inode_of(node))
        quota_hold(quota_of(node), inode_of(node));
    if (!m->claimed && (flags & O_TRUNC)) {
        lock_order(node);
        error = local_setattr(node, *file, &empty);
        local_quota_settle(node);
        unlock_order(node);
    }
    if (error)
        fs_file_unref(*file);
    return error;
}

static int create_counted(FsNode *dir, const char *name, int flags, mode_t mode, FsOwner owner,
                          FsFile **file)
{
    Making m = making(dir, name, 1, 1);
    int error = begin_making(&m);

    return error ? error : end_making(&m, create_in_order(&m, flags, mode, owner, file));
}

static int quota_create(FsNode *dir, const char *name, int flags, mode_t mode, FsOwner owner,
                        FsFile **file)
{
    Quota *quota = quota_of(dir);
    int error = quota_add_open(quota);

    if (error)
        return error;
    if (quota_counts(quota))
        error = create_counted(dir, name, flags, mode, owner, file);
    else
        error = local_create(dir, name, flags, mode, owner, file);
    if (error)
        quota_remove_open(quota);
    else
        note_flags(*file, flags, true);
    return error;
}

/*
 * Removing and moving names
 */

/* The node that `name` in `dir` is, pinned, or NULL. */
static FsNode *pin_name(FsNode *dir, const char *name)
{
    LocalName at = {local_fd(dir), name};
    int fd = local_open_name(at.dir_fd, name, false);
    FsNode *node;

    return fd >= 0 && local_node_new(local_fs(dir), fd, &at, false, &node, NULL) == 0 ? node : NULL;
}

static int quota_unlinkat(FsNode *dir, const char *name, bool directory)
{
    FsNode *victim;
    int error;

    lock_order(dir);
    victim = pin_name(dir, name);
    error = local_unlinkat(dir, name, directory);
    if (!error && victim)
        local_quota_settle_removed(victim);
    local_quota_settle(dir);
    unlock_order(dir);
    fs_node_unref(victim);
    return error;
}

/* Two directories' orders, or one's when they are the same. */
static void lock_both(FsNode *a, FsNode *b)
{
    FsNode *first = (uintptr_t)inode_of(a) <= (uintptr_t)inode_of(b) ? a : b;

    lock_order(first);
    if (inode_of(a) != inode_of(b))
        lock_order(first == a ? b : a);
}

static void unlock_both(FsNode *a, FsNode *b)
{
    unlock_order(a);
    if (inode_of(a) != inode_of(b))
        unlock_order(b);
}

/* What is moved while a count goes on may be missed by it: a file is counted by being pinned here,
 * what is below a directory by another walk. */
static int rename_in_order(FsNode *old_dir, const char *old_name, FsNode *new_dir,
                           const char *new_name)
{
    FsNode *moved = pin_name(old_dir, old_name);
    FsNode *victim = pin_name(new_dir, new_name);
    int error = local_renameat(old_dir, old_name, new_dir, new_name);

    if (!error && victim && moved && inode_of(victim) != inode_of(moved))
        local_quota_settle_removed(victim);
    if (!error && moved && S_ISDIR(moved->type))
        quota_disturb(quota_of(old_dir));
    quota_note_change(quota_of(old_dir));
    local_quota_settle(old_dir);
    local_quota_settle(new_dir);
    fs_node_unref(moved);
    fs_node_unref(victim);
    return error;
}

/* A name that moves needs room in its new directory. Within one it does not get refused: who renames
 * to make room, or to replace a file by a smaller one, must be able to. */
static int quota_renameat(FsNode *old_dir, const char *old_name, FsNode *new_dir,
                          const char *new_name)
{
    LocalFs *fs = local_fs(old_dir);
    Quota *quota = fs->quota->quota;
    uint64_t bytes = 0;
    int error;

    if (inode_of(old_dir) != inode_of(new_dir) && quota_counts_space(quota) &&
        !exists(new_dir, new_name))
        bytes = fs->quota->block;
    error = claim(fs, 0, bytes);
    if (error)
        return error;
    lock_both(old_dir, new_dir);
    error = rename_in_order(old_dir, old_name, new_dir, new_name);
    unlock_both(old_dir, new_dir);
    quota_unclaim(quota, 0, bytes);
    return error;
}

/* Finds the directory that holds `node` now, as a node, and its name there. */
static int find_dir(FsNode *node, FsNode **dir, char name[NAME_MAX + 1])
{
    int fd;
    int error = local_find_name(node, &fd, name);

    return error ? error : local_node_new(local_fs(node), fd, NULL, false, dir, NULL);
}

static int quota_remove(FsNode *node)
{
    char name[NAME_MAX + 1];
    FsNode *dir;
    int error = find_dir(node, &dir, name);

    if (error)
        return error;
    error = quota_unlinkat(dir, name, S_ISDIR(node->type));
    fs_node_unref(dir);
    return error;
}

static int quota_rename(FsNode *node, FsNode *new_dir, const char *new_name)
{
    char name[NAME_MAX + 1];
    FsNode *dir;
    int error = find_dir(node, &dir, name);

    if (error)
        return error;
    error = quota_renameat(dir, name, new_dir ? new_dir : dir, new_name);
    fs_node_unref(dir);
    return error;
}

/*
 * Attributes
 */

/* What a change of size can allocate: the new end is a hole, where there are holes. */
static uint64_t growth_of_change(FsNode *node, const FsChange *change)
{
    const LocalFs *fs = local_fs(node);
    uint64_t charge;

    if (node->class != FS_REMOTE || !S_ISREG(node->type) || change->size > INT64_MAX ||
        !quota_counts_space(fs->quota->quota))
        return 0;
    charge = quota_charge(fs->quota->quota, inode_of(node));
    return local_round_up(fs, change->size) - MIN(charge, local_round_up(fs, change->size));
}

static int quota_setattr(FsNode *node, FsFile *file, const FsChange *change)
{
    LocalFs *fs = local_fs(node);
    Quota *quota = fs->quota->quota;
    uint64_t growth;
    int error;

    if (!(change->valid & P9_SETATTR_SIZE))
        return local_setattr(node, file, change);
    quota_hold(quota, inode_of(node));
    growth = growth_of_change(node, change);
    error = claim(fs, 0, growth);
    if (!error) {
        lock_order(node);
        error = local_setattr(node, file, change);
        local_quota_settle(node);
        unlock_order(node);
        quota_unclaim(quota, 0, growth);
    }
    quota_let_go(quota, inode_of(node));
    return error;
}

/* As quotas of directories have it on ext4 and XFS: the limit is the size of the file system. */
static int quota_statfs(FsNode *node, struct statfs *st)
{
    const QuotaOptions *limits = quota_options(quota_of(node));
    QuotaUse use = quota_use(quota_of(node));
    int error = local_statfs(node, st);

    if (error)
        return error;
    if (limits->max_space > 0 && st->f_bsize > 0) {
        uint64_t left = limits->max_space - MIN(limits->max_space, use.bytes);
        uint64_t block = (uint64_t)st->f_bsize;

        st->f_blocks = MIN(st->f_blocks, limits->max_space / block);
        st->f_bfree = MIN(st->f_bfree, left / block);
        st->f_bavail = MIN(st->f_bavail, left / block);
    }
    if (limits->max_files > 0) {
        uint64_t left = limits->max_files - MIN(limits->max_files, use.files);

        st->f_files = limits->max_files;
        st->f_ffree = left;
    }
    return 0;
}

/*
 * The export
 */

/* Starts counting with the first attach: before, the process may still be locking itself in. */
static int quota_root(Fs *base, FsNode **node)
{
    LocalQuota *q = ((LocalFs *)base)->quota;
    int error = 0;

    pthread_mutex_lock(&q->thread_lock);
    if (!q->has_thread) {
        error = pthread_create(&q->thread, NULL, local_count_run, base);
        q->has_thread = error == 0;
    }
    pthread_mutex_unlock(&q->thread_lock);
    if (error)
        log_error("cannot start a thread to count the files of the export: %s", g_strerror(error));
    return error ? -error : local_root(base, node);
}

static void quota_stop_fs(Fs *base)
{
    quota_stop(((LocalFs *)base)->quota->quota);
}

static uint64_t find_block(int fd)
{
    struct statfs st;
    uint64_t block = MIN_BLOCK;

    if (UNINTERRUPTED(fstatfs(fd, &st)) != 0 || st.f_bsize <= 0)
        return 4096;
    while (block < MAX_BLOCK && block < (uint64_t)st.f_bsize)
        block *= 2;
    return block;
}

/* What an export that only limits open files does otherwise, and what the others do. */
static void fill_ops(FsOps *ops, bool counts)
{
    ops->open = quota_open;
    ops->create = quota_create;
    ops->file_free = quota_file_free;
    if (!counts)
        return;
    ops->root = quota_root;
    ops->node_free = quota_node_free;
    ops->mkdir = quota_mkdir;
    ops->mknod = quota_mknod;
    ops->symlink = quota_symlink;
    ops->link = quota_link;
    ops->unlinkat = quota_unlinkat;
    ops->renameat = quota_renameat;
    ops->remove = quota_remove;
    ops->rename = quota_rename;
    ops->write = local_quota_write;
    ops->setattr = quota_setattr;
    ops->statfs = quota_statfs;
    ops->stop = quota_stop_fs;
}

void local_quota_begin(LocalFs *fs)
{
    const QuotaOptions *options = &fs->options.quota;
    LocalQuota *q;

    if (options->max_files == 0 && options->max_space == 0 && options->max_open_files == 0)
        return;
    q = g_new0(LocalQuota, 1);
    q->quota = quota_new(options, fs->devices[0].device, fs->root_inode);
    q->ops = *fs->base.ops;
    fill_ops(&q->ops, quota_counts(q->quota));
    q->block = find_block(fs->root_fd);
    local_reclaim_init(&q->reclaim);
    pthread_mutex_init(&q->thread_lock, NULL);
    fs->quota = q;
    fs->base.ops = &q->ops;
}

void local_quota_end(LocalFs *fs)
{
    LocalQuota *q = fs->quota;

    if (!q)
        return;
    quota_stop(q->quota);
    if (q->has_thread)
        pthread_join(q->thread, NULL);
    local_reclaim_deinit(&q->reclaim);
    pthread_mutex_destroy(&q->thread_lock);
    quota_free(q->quota);
    g_free(q);
}

Quota *local_fs_quota(const Fs *fs)
{
    const LocalQuota *quota = ((const LocalFs *)fs)->quota;

    return quota ? quota->quota : NULL;
}
