/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P9: the messages of 9P2000.u; see p9.h. */
#include <sys/sysmacros.h>

#include "protocol/stat.h"
#include "tests/posix/p9.h"

static uint8_t wire_mode(int flags)
{
    static const uint8_t access[] = {P9_OREAD, P9_OWRITE, P9_ORDWR, P9_ORDWR};

    return (uint8_t)(access[flags & O_ACCMODE] | (flags & O_APPEND ? P9_OAPPEND : 0));
}

static int u_attach(P9 *p9, uint32_t fid, uid_t uid)
{
    return unix_attach(&p9->wire, fid, "", uid);
}

static int u_walk(P9 *p9, uint32_t fid, uint32_t newfid, const char *name)
{
    return unix_walk(&p9->wire, fid, newfid, name);
}

/*
 * Stat records
 */

static mode_t type_of_record(const UnixStat *s)
{
    if (s->mode & P9_DMDIR)
        return S_IFDIR;
    if (s->mode & P9_DMSYMLINK)
        return S_IFLNK;
    if (s->mode & P9_DMNAMEDPIPE)
        return S_IFIFO;
    if (s->mode & P9_DMSOCKET)
        return S_IFSOCK;
    if (s->mode & P9_DMDEVICE)
        return s->extension[0] == 'b' ? S_IFBLK : S_IFCHR;
    return S_IFREG;
}

static void read_extension(const UnixStat *s, struct stat *st)
{
    unsigned number, other;
    char type;

    if (sscanf(s->extension, "HARDLINKCOUNT %u", &number) == 1)
        st->st_nlink = number;
    if ((s->mode & P9_DMDEVICE) && sscanf(s->extension, "%c %u %u", &type, &number, &other) == 3)
        st->st_rdev = makedev(number, other);
}

static int u_getattr(P9 *p9, uint32_t fid, struct stat *st)
{
    UnixStat s;
    int error = unix_stat(&p9->wire, fid, &s);

    if (error)
        return error;
    *st = (struct stat){
        .st_ino = s.qid.path,
        .st_mode = type_of_record(&s) | stat_permissions(s.mode),
        .st_nlink = 1,
        .st_uid = s.n_uid,
        .st_gid = s.n_gid,
        .st_size = (off_t)s.length,
        .st_blksize = P9_MSIZE - P9_IO_OVERHEAD,
        .st_blocks = ((blkcnt_t)s.length + 511) / 512,
        .st_atim.tv_sec = s.atime,
        .st_mtim.tv_sec = s.mtime,
        .st_ctim.tv_sec = s.mtime,
    };
    read_extension(&s, st);
    return 0;
}

/* "Now" is the client's. */
static uint32_t wire_time(uint32_t valid, uint32_t bit, uint32_t set_bit,
                          const struct timespec *given)
{
    if (!(valid & bit))
        return UINT32_MAX;
    return valid & set_bit ? (uint32_t)given->tv_sec : (uint32_t)time(NULL);
}

static int u_setattr(P9 *p9, const P9File *file, const FsChange *c)
{
    UnixStat s = unix_no_change();

    if (c->valid & P9_SETATTR_MODE)
        s.mode = stat_mode((file->st.st_mode & S_IFMT) | c->mode, DIALECT_9P2000_U);
    if (c->valid & P9_SETATTR_UID)
        s.n_uid = c->uid;
    if (c->valid & P9_SETATTR_GID)
        s.n_gid = c->gid;
    if (c->valid & P9_SETATTR_SIZE)
        s.length = c->size;
    s.atime = wire_time(c->valid, P9_SETATTR_ATIME, P9_SETATTR_ATIME_SET, &c->atime);
    s.mtime = wire_time(c->valid, P9_SETATTR_MTIME, P9_SETATTR_MTIME_SET, &c->mtime);
    return unix_wstat(&p9->wire, file->fid, &s);
}

static int u_readlink(P9 *p9, uint32_t fid, char target[PATH_MAX])
{
    UnixStat s;
    int error = unix_stat(&p9->wire, fid, &s);

    if (!error)
        strcpy(target, s.extension);
    return error;
}

/*
 * Files and names
 */

static int u_clunk(P9 *p9, uint32_t fid)
{
    return unix_clunk(&p9->wire, fid);
}

static int u_open(P9 *p9, uint32_t fid, int flags)
{
    return unix_open(&p9->wire, fid, wire_mode(flags));
}

static int u_create(P9 *p9, uint32_t fid, const char *name, int flags, mode_t mode, gid_t gid)
{
    (void)gid; /* there is no field for it */
    return unix_create(&p9->wire, fid, name, stat_mode(mode, DIALECT_9P2000_U), wire_mode(flags),
                       "");
}

/* Makes something that is not left open. */
static int make(P9 *p9, uint32_t dir, const char *name, uint32_t perm, const char *extension)
{
    uint32_t fid = p9_new_fid(p9);
    int error = u_walk(p9, dir, fid, "");

    if (error)
        return error;
    error = unix_create(&p9->wire, fid, name, perm, P9_OREAD, extension);
    g_assert_cmpint(u_clunk(p9, fid), ==, 0);
    return error;
}

static int u_mkdir(P9 *p9, uint32_t dir, const char *name, mode_t mode, gid_t gid)
{
    (void)gid;
    return make(p9, dir, name, stat_mode(S_IFDIR | mode, DIALECT_9P2000_U), "");
}

static int u_mknod(P9 *p9, uint32_t dir, const char *name, mode_t mode, dev_t device, gid_t gid)
{
    char extension[48] = "";

    (void)gid;
    if (S_ISCHR(mode) || S_ISBLK(mode))
        snprintf(extension, sizeof(extension), "%c %u %u", S_ISBLK(mode) ? 'b' : 'c', major(device),
                 minor(device));
    return make(p9, dir, name, stat_mode(mode, DIALECT_9P2000_U), extension);
}

static int u_symlink(P9 *p9, uint32_t dir, const char *name, const char *target, gid_t gid)
{
    (void)gid;
    return make(p9, dir, name, P9_DMSYMLINK | 0777, target);
}

static int u_link(P9 *p9, uint32_t dir, const char *name, uint32_t fid)
{
    char number[16];

    snprintf(number, sizeof(number), "%u\n", fid);
    return make(p9, dir, name, P9_DMLINK, number);
}

/* A Twstat knows no other directory. */
static int u_rename(P9 *p9, const P9Last *old, const P9File *file, const P9Last *new)
{
    UnixStat s = unix_no_change();

    if (old->dir.st.st_ino != new->dir.st.st_ino)
        return -EXDEV;
    strcpy(s.name, new->name);
    return unix_wstat(&p9->wire, file->fid, &s);
}

static int u_unlink(P9 *p9, const P9Last *last, const P9File *file)
{
    uint32_t fid = p9_new_fid(p9);
    int error = u_walk(p9, file->fid, fid, "");

    (void)last;
    return error ? error : unix_remove(&p9->wire, fid);
}

/*
 * Data and entries
 */

static ssize_t u_read(P9 *p9, uint32_t fid, void *bytes, size_t size, uint64_t offset)
{
    return unix_read(&p9->wire, fid, offset, (uint32_t)size, bytes);
}

static ssize_t u_write(P9 *p9, uint32_t fid, const void *bytes, size_t size, uint64_t offset)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(&p9->wire, &reply, P9_TWRITE, "dqD", fid, offset, (unsigned)size, bytes);
    ByteReader r;

    if (error)
        return error;
    r = byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
    return (ssize_t)read_u32(&r);
}

static int u_fsync(P9 *p9, uint32_t fid, bool data_only)
{
    UnixStat s = unix_no_change();

    (void)data_only;
    return unix_wstat(&p9->wire, fid, &s);
}

/* What Linux makes of the mode: other types than these three it does not tell apart here. */
static unsigned char entry_type(const UnixStat *s)
{
    return (unsigned char)IFTODT(s->mode & P9_DMDIR       ? S_IFDIR
                                 : s->mode & P9_DMSYMLINK ? S_IFLNK
                                                          : S_IFREG);
}

static int u_readdir(P9 *p9, uint32_t fid, uint64_t offset, Entry *entries, unsigned max)
{
    uint8_t bytes[8192];
    ssize_t got = unix_read(&p9->wire, fid, offset, sizeof(bytes), bytes);
    ByteReader r = byte_reader(bytes, got > 0 ? (size_t)got : 0);
    unsigned n = 0;

    for (; r.left > 0 && n < max; n++) {
        UnixStat s;

        unix_take_stat(&r, DIALECT_9P2000_U, &s);
        offset += sizeof(uint16_t) + s.size;
        entries[n].ino = s.qid.path;
        entries[n].next = (int64_t)offset;
        entries[n].type = entry_type(&s);
        strcpy(entries[n].name, s.name);
    }
    return got < 0 ? (int)got : (int)n;
}

const P9Remote p9_remote_u = {
    .attach = u_attach,
    .walk = u_walk,
    .getattr = u_getattr,
    .setattr = u_setattr,
    .readlink = u_readlink,
    .open = u_open,
    .create = u_create,
    .mkdir = u_mkdir,
    .mknod = u_mknod,
    .symlink = u_symlink,
    .link = u_link,
    .rename = u_rename,
    .unlink = u_unlink,
    .read = u_read,
    .write = u_write,
    .fsync = u_fsync,
    .readdir = u_readdir,
    .clunk = u_clunk,
};
