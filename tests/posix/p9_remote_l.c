/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P9: the messages of 9P2000.L; see p9.h. */
#include <sys/sysmacros.h>

#include "tests/posix/p9.h"

static Client *client(P9 *p9)
{
    return &p9->wire;
}

/* Linux leaves O_TRUNC, O_EXCL and O_CREAT out and does them by other messages. */
static uint32_t wire_flags(int flags)
{
    static const uint32_t access[] = {0, P9_L_WRONLY, P9_L_RDWR, P9_L_RDWR};
    uint32_t wire = access[flags & O_ACCMODE];

    if (flags & O_APPEND)
        wire |= P9_L_APPEND;
    if (flags & O_NOATIME)
        wire |= P9_L_NOATIME;
    if (flags & O_DIRECTORY)
        wire |= P9_L_DIRECTORY;
    if ((flags & O_SYNC) == O_SYNC)
        wire |= P9_L_SYNC | P9_L_DSYNC;
    else if (flags & O_DSYNC)
        wire |= P9_L_DSYNC;
    return wire;
}

static int l_attach(P9 *p9, uint32_t fid, uid_t uid)
{
    return client_attach(client(p9), fid, uid, NULL);
}

static int l_walk(P9 *p9, uint32_t fid, uint32_t newfid, const char *name)
{
    return client_walk(client(p9), fid, newfid, name, NULL, NULL);
}

static int l_getattr(P9 *p9, uint32_t fid, struct stat *st)
{
    ClientAttr attr;
    int error = client_getattr(client(p9), fid, &attr);

    if (error)
        return error;
    *st = (struct stat){
        .st_ino = attr.qid.path,
        .st_mode = attr.mode,
        .st_nlink = attr.nlink,
        .st_uid = attr.uid,
        .st_gid = attr.gid,
        .st_rdev = attr.rdev,
        .st_size = (off_t)attr.size,
        .st_blksize = (blksize_t)attr.blksize,
        .st_blocks = (blkcnt_t)attr.blocks,
        .st_atim = attr.atime,
        .st_mtim = attr.mtime,
        .st_ctim = attr.ctime,
    };
    return 0;
}

static int l_setattr(P9 *p9, const P9File *file, const FsChange *change)
{
    return client_setattr(client(p9), file->fid, change);
}

static int l_readlink(P9 *p9, uint32_t fid, char target[PATH_MAX])
{
    return client_readlink(client(p9), fid, target);
}

static int l_open(P9 *p9, uint32_t fid, int flags)
{
    return client_open(client(p9), fid, wire_flags(flags));
}

static int l_create(P9 *p9, uint32_t fid, const char *name, int flags, mode_t mode, gid_t gid)
{
    uint32_t exclusive = flags & O_EXCL ? P9_L_EXCL : 0;

    return client_create(client(p9), fid, name, wire_flags(flags) | P9_L_CREATE | exclusive, mode,
                         gid);
}

static int l_mkdir(P9 *p9, uint32_t dir, const char *name, mode_t mode, gid_t gid)
{
    return client_mkdir(client(p9), dir, name, mode, gid);
}

static int l_mknod(P9 *p9, uint32_t dir, const char *name, mode_t mode, dev_t device, gid_t gid)
{
    return client_mknod(client(p9), dir, name, mode, major(device), minor(device), gid);
}

static int l_symlink(P9 *p9, uint32_t dir, const char *name, const char *target, gid_t gid)
{
    return client_symlink(client(p9), dir, name, target, gid);
}

static int l_link(P9 *p9, uint32_t dir, const char *name, uint32_t fid)
{
    return client_link(client(p9), dir, fid, name);
}

static int l_rename(P9 *p9, const P9Last *old, const P9File *file, const P9Last *new)
{
    (void)file;
    return client_renameat(client(p9), old->dir.fid, old->name, new->dir.fid, new->name);
}

static int l_unlink(P9 *p9, const P9Last *last, const P9File *file)
{
    return client_unlinkat(client(p9), last->dir.fid, last->name,
                           S_ISDIR(file->st.st_mode) ? P9_UNLINK_REMOVEDIR : 0);
}

static ssize_t l_read(P9 *p9, uint32_t fid, void *bytes, size_t size, uint64_t offset)
{
    return client_read(client(p9), fid, offset, (uint32_t)size, bytes);
}

static ssize_t l_write(P9 *p9, uint32_t fid, const void *bytes, size_t size, uint64_t offset)
{
    return client_write(client(p9), fid, offset, bytes, (uint32_t)size);
}

static int l_fsync(P9 *p9, uint32_t fid, bool data_only)
{
    return client_fsync(client(p9), fid, data_only);
}

static int l_readdir(P9 *p9, uint32_t fid, uint64_t offset, Entry *entries, unsigned max)
{
    enum { COUNT = 8192 };
    g_autoptr(GArray) got = g_array_new(FALSE, FALSE, sizeof(ClientEntry));
    int n = client_readdir(client(p9), fid, offset, COUNT, got);

    for (int i = 0; i < n && i < (int)max; i++) {
        const ClientEntry *e = &g_array_index(got, ClientEntry, i);

        entries[i].ino = e->qid.path;
        entries[i].next = (int64_t)e->offset;
        entries[i].type = e->type;
        strcpy(entries[i].name, e->name);
    }
    return MIN(n, (int)max);
}

static int l_clunk(P9 *p9, uint32_t fid)
{
    return client_clunk(client(p9), fid);
}

const P9Remote p9_remote_l = {
    .attach = l_attach,
    .walk = l_walk,
    .getattr = l_getattr,
    .setattr = l_setattr,
    .readlink = l_readlink,
    .open = l_open,
    .create = l_create,
    .mkdir = l_mkdir,
    .mknod = l_mknod,
    .symlink = l_symlink,
    .link = l_link,
    .rename = l_rename,
    .unlink = l_unlink,
    .read = l_read,
    .write = l_write,
    .fsync = l_fsync,
    .readdir = l_readdir,
    .clunk = l_clunk,
};
