/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P9: attributes and extended attributes; see p9.h. */
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/posix/p9.h"

enum { NAME_LIMIT = 255, VALUE_LIMIT = 65536 };

/* Something done to a file that was found or is open. */
typedef int Action(P9 *p9, const P9File *file, const void *argument);

static int with_path(P9 *p9, const char *path, bool follow, Action *action, const void *argument)
{
    P9File file;
    int error = p9_find(p9, path, follow, &file);

    if (error)
        return error;
    error = action(p9, &file, argument);
    p9_drop(p9, &file);
    return error;
}

static int with_handle(P9 *p9, int fd, Action *action, const void *argument)
{
    P9Handle *h = p9_handle(p9, fd);
    P9File file;
    int error;

    if (!h)
        return -EBADF;
    file.fid = h->fid;
    error = p9->remote->getattr(p9, h->fid, &file.st);
    return error ? error : action(p9, &file, argument);
}

/*
 * Looking
 */

static long p9_stat(Driver *d, const char *path, struct stat *st)
{
    P9 *p9 = p9_of(d);
    P9File file;
    int error = p9_find(p9, path, true, &file);

    if (error)
        return error;
    *st = file.st;
    p9_drop(p9, &file);
    return 0;
}

static long p9_lstat(Driver *d, const char *path, struct stat *st)
{
    P9 *p9 = p9_of(d);
    P9File file;
    int error = p9_find(p9, path, false, &file);

    if (error)
        return error;
    *st = file.st;
    p9_drop(p9, &file);
    return 0;
}

static long p9_fstat(Driver *d, int fd, struct stat *st)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);

    return h ? p9->remote->getattr(p9, h->fid, st) : -EBADF;
}

static long p9_statvfs(Driver *d, const char *path, struct statvfs *st)
{
    P9 *p9 = p9_of(d);
    uint32_t type, name_max;
    uint64_t blocks;
    P9File file;
    int error = p9_find(p9, path, true, &file);

    if (error)
        return error;
    error = client_statfs(&p9->wire, file.fid, &type, &blocks, &name_max);
    p9_drop(p9, &file);
    *st = (struct statvfs){.f_bsize = 1, .f_blocks = blocks, .f_namemax = name_max};
    return error;
}

static int check_access(P9 *p9, const P9File *file, const void *mask)
{
    return p9_may(p9, file, *(const int *)mask);
}

static long p9_access(Driver *d, const char *path, int mask)
{
    return with_path(p9_of(d), path, true, check_access, &mask);
}

/*
 * Changing
 */

static int set_mode(P9 *p9, const P9File *file, const void *mode)
{
    FsChange change = {
        .valid = P9_SETATTR_MODE | P9_SETATTR_CTIME,
        .mode = *(const mode_t *)mode & 07777,
    };

    if (!p9_is_owner(p9, &file->st))
        return -EPERM;
    if (!p9_is_root(p9) && !p9_in_group(p9, file->st.st_gid))
        change.mode &= ~(mode_t)S_ISGID;
    return p9->remote->setattr(p9, file, &change);
}

static long p9_chmod(Driver *d, const char *path, mode_t mode)
{
    return with_path(p9_of(d), path, true, set_mode, &mode);
}

static long p9_fchmod(Driver *d, int fd, mode_t mode)
{
    return with_handle(p9_of(d), fd, set_mode, &mode);
}

static bool may_give(const P9 *p9, const struct stat *st, const FsChange *change)
{
    bool owner = st->st_uid == p9->user->uid;

    if (p9_is_root(p9))
        return true;
    if ((change->valid & P9_SETATTR_UID) && (!owner || change->uid != st->st_uid))
        return false;
    return !(change->valid & P9_SETATTR_GID) ||
           (owner && (change->gid == st->st_gid || p9_in_group(p9, change->gid)));
}

static int set_owner(P9 *p9, const P9File *file, const void *owner)
{
    const FsOwner *to = owner;
    FsChange change = {.valid = P9_SETATTR_CTIME, .uid = to->uid, .gid = to->gid};

    if (to->uid != (uid_t)-1)
        change.valid |= P9_SETATTR_UID;
    if (to->gid != (gid_t)-1)
        change.valid |= P9_SETATTR_GID;
    if (!may_give(p9, &file->st, &change))
        return -EPERM;
    p9_kill_setid(p9, &file->st, true, &change);
    return p9->remote->setattr(p9, file, &change);
}

static long p9_chown(Driver *d, const char *path, uid_t uid, gid_t gid)
{
    return with_path(p9_of(d), path, true, set_owner, &(FsOwner){uid, gid});
}

static long p9_lchown(Driver *d, const char *path, uid_t uid, gid_t gid)
{
    return with_path(p9_of(d), path, false, set_owner, &(FsOwner){uid, gid});
}

static long p9_fchown(Driver *d, int fd, uid_t uid, gid_t gid)
{
    return with_handle(p9_of(d), fd, set_owner, &(FsOwner){uid, gid});
}

/* What one of the two times asks for. */
static void read_time(const struct timespec *time, uint32_t bit, uint32_t set_bit, FsChange *change,
                      struct timespec *to)
{
    if (!time || time->tv_nsec == UTIME_NOW) {
        change->valid |= bit;
    } else if (time->tv_nsec != UTIME_OMIT) {
        change->valid |= bit | set_bit;
        *to = *time;
    }
}

static int set_times(P9 *p9, const P9File *file, const void *argument)
{
    const struct timespec *t = argument;
    FsChange change = {.valid = P9_SETATTR_CTIME};

    if (t && t[0].tv_nsec == UTIME_NOW && t[1].tv_nsec == UTIME_NOW)
        t = NULL;
    if (!p9_is_owner(p9, &file->st)) {
        if (t)
            return -EPERM;
        if (p9_may(p9, file, W_OK) != 0)
            return -EACCES;
    }
    read_time(t ? &t[0] : NULL, P9_SETATTR_ATIME, P9_SETATTR_ATIME_SET, &change, &change.atime);
    read_time(t ? &t[1] : NULL, P9_SETATTR_MTIME, P9_SETATTR_MTIME_SET, &change, &change.mtime);
    return p9->remote->setattr(p9, file, &change);
}

/* Returns 1 when there is nothing to do. */
static int check_times(const struct timespec times[2])
{
    unsigned n_omitted = 0;

    for (int i = 0; times && i < 2; i++) {
        long nsec = times[i].tv_nsec;

        if (nsec == UTIME_OMIT)
            n_omitted++;
        else if (nsec != UTIME_NOW && (nsec < 0 || nsec >= 1000000000))
            return -EINVAL;
    }
    return n_omitted == 2;
}

static long set_times_of_path(P9 *p9, const char *path, bool follow, const struct timespec t[2])
{
    int checked = check_times(t);

    if (checked != 0)
        return MIN(checked, 0);
    return with_path(p9, path, follow, set_times, t);
}

static long p9_utimens(Driver *d, const char *path, const struct timespec t[2])
{
    return set_times_of_path(p9_of(d), path, true, t);
}

static long p9_lutimens(Driver *d, const char *path, const struct timespec t[2])
{
    return set_times_of_path(p9_of(d), path, false, t);
}

static long p9_futimens(Driver *d, int fd, const struct timespec t[2])
{
    int checked = check_times(t);

    return checked != 0 ? MIN(checked, 0) : with_handle(p9_of(d), fd, set_times, t);
}

/*
 * Extended attributes
 */

ssize_t p9_get_xattr(P9 *p9, uint32_t fid, const char *name, void *value, size_t size)
{
    Client *c = &p9->wire;
    uint32_t snapshot = p9_new_fid(p9);
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TXATTRWALK, "dds", fid, snapshot, name);
    size_t done = 0;
    ByteReader r;
    size_t total;

    if (error)
        return error;
    r = byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
    total = read_u64(&r);
    while (value && total <= size && done < total) {
        ssize_t got =
            client_read(c, snapshot, done, (uint32_t)(total - done), (char *)value + done);
        g_assert_cmpint(got, >, 0);
        done += (size_t)got;
    }
    g_assert_cmpint(client_clunk(c, snapshot), ==, 0);
    return value && size > 0 && total > size ? -ERANGE : (ssize_t)total;
}

static int store_xattr(P9 *p9, uint32_t fid, const char *name, const void *value, size_t size,
                       int flags)
{
    Client *c = &p9->wire;
    uint32_t store = p9_new_fid(p9);
    int error = client_walk(c, fid, store, "", NULL, NULL);

    if (error)
        return error;
    error =
        client_call(c, NULL, P9_TXATTRCREATE, "dsqd", store, name, (uint64_t)size, (unsigned)flags);
    if (!error && size > 0)
        g_assert_cmpint(client_write(c, store, 0, value, (uint32_t)size), ==, (ssize_t)size);
    return error ? (client_clunk(c, store), error) : client_clunk(c, store);
}

static int check_name(const char *name)
{
    static const char *const known[] = {"user.", "trusted.", "security."};

    if (name[0] == '\0' || strlen(name) > NAME_LIMIT)
        return -ERANGE;
    if (strncmp(name, "system.posix_acl_", 17) == 0)
        return 0;
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (g_str_has_prefix(name, known[i]))
            return name[strlen(known[i])] ? 0 : -EINVAL;
    }
    return -EOPNOTSUPP;
}

/* What Linux lets users do before it asks the file system. */
static int check_user_xattr(P9 *p9, const P9File *file, bool writes)
{
    mode_t mode = file->st.st_mode;

    if (!S_ISREG(mode) && !S_ISDIR(mode))
        return writes ? -EPERM : -ENODATA;
    if (writes && S_ISDIR(mode) && (mode & S_ISVTX) && !p9_is_owner(p9, &file->st))
        return -EPERM;
    return p9_may(p9, file, writes ? W_OK : R_OK);
}

static int check_xattr(P9 *p9, const P9File *file, const char *name, bool writes)
{
    int error = check_name(name);

    if (error)
        return error;
    if (strncmp(name, "system.", 7) == 0) {
        if (S_ISLNK(file->st.st_mode))
            return -EOPNOTSUPP;
        return writes && !p9_is_owner(p9, &file->st) ? -EPERM : 0;
    }
    if (name[0] == 't' && !p9_is_root(p9))
        return writes ? -EPERM : -ENODATA;
    if (name[0] == 's' && writes && !p9_is_root(p9))
        return -EPERM;
    return name[0] == 'u' ? check_user_xattr(p9, file, writes) : 0;
}

typedef struct XattrCall {
    const char *name;
    void *value;
    const void *new_value;
    size_t size;
    int flags;
    bool removes;
} XattrCall;

static int get_xattr(P9 *p9, const P9File *file, const void *argument)
{
    const XattrCall *call = argument;
    int error = check_xattr(p9, file, call->name, false);

    return error ? error : (int)p9_get_xattr(p9, file->fid, call->name, call->value, call->size);
}

static int change_xattr(P9 *p9, const P9File *file, const void *argument)
{
    const XattrCall *call = argument;
    int error = check_xattr(p9, file, call->name, true);

    if (error)
        return error;
    if (call->removes)
        return store_xattr(p9, file->fid, call->name, "", 0, P9_XATTR_REPLACE);
    return store_xattr(p9, file->fid, call->name, call->new_value, call->size, call->flags);
}

static int list_xattrs(P9 *p9, const P9File *file, const void *argument)
{
    const XattrCall *call = argument;

    return (int)p9_get_xattr(p9, file->fid, "", call->value, call->size);
}

static int check_set(const char *name, size_t size, int flags)
{
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    if (name[0] == '\0' || strlen(name) > NAME_LIMIT)
        return -ERANGE;
    return size > VALUE_LIMIT ? -E2BIG : 0;
}

static long p9_getxattr(Driver *d, const char *path, const char *name, void *value, size_t size)
{
    XattrCall call = {.name = name, .value = value, .size = size};

    return with_path(p9_of(d), path, true, get_xattr, &call);
}

static long p9_lgetxattr(Driver *d, const char *path, const char *name, void *value, size_t size)
{
    XattrCall call = {.name = name, .value = value, .size = size};

    return with_path(p9_of(d), path, false, get_xattr, &call);
}

static long p9_fgetxattr(Driver *d, int fd, const char *name, void *value, size_t size)
{
    XattrCall call = {.name = name, .value = value, .size = size};

    return with_handle(p9_of(d), fd, get_xattr, &call);
}

static long p9_setxattr(Driver *d, const char *path, const char *name, const void *value,
                        size_t size, int flags)
{
    XattrCall call = {.name = name, .new_value = value, .size = size, .flags = flags};
    int error = check_set(name, size, flags);

    return error ? error : with_path(p9_of(d), path, true, change_xattr, &call);
}

static long p9_lsetxattr(Driver *d, const char *path, const char *name, const void *value,
                         size_t size, int flags)
{
    XattrCall call = {.name = name, .new_value = value, .size = size, .flags = flags};
    int error = check_set(name, size, flags);

    return error ? error : with_path(p9_of(d), path, false, change_xattr, &call);
}

static long p9_fsetxattr(Driver *d, int fd, const char *name, const void *value, size_t size,
                         int flags)
{
    XattrCall call = {.name = name, .new_value = value, .size = size, .flags = flags};
    int error = check_set(name, size, flags);

    return error ? error : with_handle(p9_of(d), fd, change_xattr, &call);
}

static long p9_listxattr(Driver *d, const char *path, char *names, size_t size)
{
    XattrCall call = {.value = names, .size = size};

    return with_path(p9_of(d), path, true, list_xattrs, &call);
}

static long p9_removexattr(Driver *d, const char *path, const char *name)
{
    XattrCall call = {.name = name, .removes = true};

    return with_path(p9_of(d), path, true, change_xattr, &call);
}

void p9_add_attr(DriverOps *ops)
{
    ops->stat = p9_stat;
    ops->lstat = p9_lstat;
    ops->fstat = p9_fstat;
    ops->statvfs = p9_statvfs;
    ops->access = p9_access;
    ops->chmod = p9_chmod;
    ops->fchmod = p9_fchmod;
    ops->chown = p9_chown;
    ops->lchown = p9_lchown;
    ops->fchown = p9_fchown;
    ops->utimens = p9_utimens;
    ops->lutimens = p9_lutimens;
    ops->futimens = p9_futimens;
    ops->getxattr = p9_getxattr;
    ops->lgetxattr = p9_lgetxattr;
    ops->fgetxattr = p9_fgetxattr;
    ops->setxattr = p9_setxattr;
    ops->lsetxattr = p9_lsetxattr;
    ops->fsetxattr = p9_fsetxattr;
    ops->listxattr = p9_listxattr;
    ops->removexattr = p9_removexattr;
}
