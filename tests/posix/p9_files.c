/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P9: open files; see p9.h. */
#include <unistd.h>

#include "tests/posix/p9.h"

enum { FIRST_FD = 3, BLOCK = 4096 };

P9Handle *p9_handle(P9 *p9, int fd)
{
    int i = fd - FIRST_FD;

    return i >= 0 && i < P9_MAX_HANDLES && p9->handles[i].used ? &p9->handles[i] : NULL;
}

int p9_new_handle(P9 *p9, const P9File *file, int flags)
{
    int i = 0;

    while (i < P9_MAX_HANDLES && p9->handles[i].used)
        i++;
    g_assert_cmpint(i, <, P9_MAX_HANDLES);
    p9->handles[i] = (P9Handle){
        .used = true,
        .fid = file->fid,
        .flags = flags,
        .type = file->st.st_mode & S_IFMT,
        .ino = file->st.st_ino,
        .process = 1,
    };
    return i + FIRST_FD;
}

static bool can_read(const P9Handle *h)
{
    return (h->flags & O_ACCMODE) != O_WRONLY;
}

static bool can_write(const P9Handle *h)
{
    return (h->flags & O_ACCMODE) != O_RDONLY;
}

/*
 * Opening
 */

static int wanted_access(int flags)
{
    static const int wanted[] = {R_OK, W_OK, R_OK | W_OK, R_OK | W_OK};

    return wanted[flags & O_ACCMODE] | (flags & O_TRUNC ? W_OK : 0);
}

static int check_open(P9 *p9, const P9File *file, int flags)
{
    mode_t mode = file->st.st_mode;
    int wanted = wanted_access(flags);
    int error;

    if (S_ISDIR(mode) && (flags & O_CREAT))
        return -EISDIR;
    if (!S_ISDIR(mode) && (flags & O_DIRECTORY))
        return -ENOTDIR;
    if (S_ISLNK(mode))
        return -ELOOP;
    if (S_ISDIR(mode) && (wanted & W_OK))
        return -EISDIR;
    error = p9_may(p9, file, wanted);
    if (error)
        return error;
    if (!S_ISDIR(mode) && !S_ISREG(mode))
        return -ENXIO; /* a pipe without readers, a socket */
    return (flags & O_NOATIME) && !p9_is_owner(p9, &file->st) ? -EPERM : 0;
}

static int set_size(P9 *p9, const P9File *file, uint64_t size)
{
    FsChange change = {
        .valid = P9_SETATTR_SIZE | P9_SETATTR_MTIME | P9_SETATTR_CTIME,
        .size = size,
    };

    p9_kill_setid(p9, &file->st, false, &change);
    return p9->remote->setattr(p9, file, &change);
}

/* Opens what was found; takes it over. */
static int open_found(P9 *p9, const P9File *file, int flags)
{
    int error = check_open(p9, file, flags);

    if (!error)
        error = p9->remote->open(p9, file->fid, flags);
    if (!error && (flags & O_TRUNC))
        error = set_size(p9, file, 0);
    if (error) {
        p9_drop(p9, file);
        return error;
    }
    return p9_new_handle(p9, file, flags);
}

/* Makes the file of that name; takes the directory over. */
static int create(P9 *p9, const P9Last *last, int flags, mode_t mode)
{
    P9File file = {.fid = last->dir.fid};
    int error = p9_may(p9, &last->dir, W_OK | X_OK);

    mode = p9_new_mode(p9, &last->dir, S_IFREG | (mode & 07777)) & 07777;
    if (!error)
        error =
            p9->remote->create(p9, file.fid, last->name, flags, mode, p9_new_gid(p9, &last->dir));
    if (!error)
        error = p9->remote->getattr(p9, file.fid, &file.st);
    if (error) {
        p9_drop(p9, &file);
        return error;
    }
    return p9_new_handle(p9, &file, flags);
}

static int open_last(P9 *p9, P9Last *last, int flags, mode_t mode, unsigned *n_links);

/* Goes on with the target of a symbolic link, from the directory that it is in. */
static int open_through(P9 *p9, const P9File *link, P9Last *last, int flags, mode_t mode,
                        unsigned *n_links)
{
    char target[PATH_MAX];
    P9Last next;
    int error = ++*n_links > 40 ? -ELOOP : p9->remote->readlink(p9, link->fid, target);

    p9_drop(p9, link);
    if (!error)
        error = p9_find_last_from(p9, &last->dir, target, n_links, &next);
    p9_drop(p9, &last->dir);
    return error ? error : open_last(p9, &next, flags, mode, n_links);
}

/* Opens or creates a name; takes its directory over. */
static int open_last(P9 *p9, P9Last *last, int flags, mode_t mode, unsigned *n_links)
{
    P9File file;
    int error = last->slash ? -EISDIR : p9_lookup(p9, &last->dir, last->name, &file);

    if (error == -ENOENT)
        return create(p9, last, flags, mode);
    if (!error && !(flags & (O_EXCL | O_NOFOLLOW)) && S_ISLNK(file.st.st_mode))
        return open_through(p9, &file, last, flags, mode, n_links);
    if (!error && (flags & O_EXCL)) {
        p9_drop(p9, &file);
        error = -EEXIST;
    }
    p9_drop(p9, &last->dir);
    return error ? error : open_found(p9, &file, flags);
}

static long p9_open(Driver *d, const char *path, int flags, mode_t mode)
{
    P9 *p9 = p9_of(d);
    unsigned n_links = 0;
    P9File file, start;
    P9Last last;
    int error;

    if (!(flags & O_CREAT)) {
        error = p9_find(p9, path, !(flags & O_NOFOLLOW), &file);
        return error ? error : open_found(p9, &file, flags);
    }
    error = p9_start(p9, &start.fid);
    if (!error)
        error = p9_find_last_from(p9, &start, path, &n_links, &last);
    return error ? error : open_last(p9, &last, flags, mode, &n_links);
}

static long p9_close(Driver *d, int fd)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);
    int error;

    if (!h)
        return -EBADF;
    p9_unlock_handle(p9, h);
    error = p9->remote->clunk(p9, h->fid);
    h->used = false;
    return error;
}

static void p9_close_all(Driver *d)
{
    for (int fd = FIRST_FD; fd < FIRST_FD + P9_MAX_HANDLES; fd++)
        p9_close(d, fd);
}

/*
 * Data
 */

static int check_io(const P9Handle *h, bool writes, size_t size, off_t offset)
{
    if (!h || !(writes ? can_write(h) : can_read(h)))
        return -EBADF;
    if (S_ISDIR(h->type))
        return -EISDIR;
    return offset < 0 || offset > (off_t)(INT64_MAX - size) ? -EINVAL : 0;
}

static long p9_pread(Driver *d, int fd, void *bytes, size_t size, off_t offset)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);
    int error = check_io(h, false, size, offset);
    size_t done = 0;

    while (!error && done < size) {
        ssize_t got =
            p9->remote->read(p9, h->fid, (char *)bytes + done,
                             MIN(size - done, P9_MSIZE - P9_IO_OVERHEAD), (uint64_t)offset + done);

        if (got < 0)
            return done > 0 ? (long)done : got;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return error ? error : (long)done;
}

static long p9_pwrite(Driver *d, int fd, const void *bytes, size_t size, off_t offset)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);
    int error = check_io(h, true, size, offset);
    size_t done = 0;

    while (!error && done < size) {
        ssize_t put =
            p9->remote->write(p9, h->fid, (const char *)bytes + done,
                              MIN(size - done, P9_MSIZE - P9_IO_OVERHEAD), (uint64_t)offset + done);

        if (put < 0)
            return done > 0 ? (long)done : put;
        done += (size_t)put;
    }
    return error ? error : (long)done;
}

static long p9_read(Driver *d, int fd, void *bytes, size_t size)
{
    P9Handle *h = p9_handle((P9 *)d, fd);
    long got = p9_pread(d, fd, bytes, size, h ? h->position : 0);

    if (got > 0)
        h->position += got;
    return got;
}

static int64_t size_of_handle(P9 *p9, const P9Handle *h)
{
    struct stat st;
    int error = p9->remote->getattr(p9, h->fid, &st);

    return error ? error : st.st_size;
}

static long p9_write(Driver *d, int fd, const void *bytes, size_t size)
{
    P9 *p9 = (P9 *)d;
    P9Handle *h = p9_handle(p9, fd);
    long put;

    if (h && (h->flags & O_APPEND) && size > 0)
        h->position = size_of_handle(p9, h);
    put = p9_pwrite(d, fd, bytes, size, h ? h->position : 0);
    if (put > 0)
        h->position += put;
    return put;
}

static long p9_lseek(Driver *d, int fd, off_t offset, int whence)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);

    if (!h)
        return -EBADF;
    if (whence == SEEK_CUR)
        offset += h->position;
    else if (whence == SEEK_END)
        offset += size_of_handle(p9, h);
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (offset < 0)
        return -EINVAL;
    return h->position = offset;
}

static long p9_fsync(Driver *d, int fd)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);

    return h ? p9->remote->fsync(p9, h->fid, false) : -EBADF;
}

static long p9_fdatasync(Driver *d, int fd)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);

    return h ? p9->remote->fsync(p9, h->fid, true) : -EBADF;
}

/*
 * Sizes
 */

static long p9_truncate(Driver *d, const char *path, off_t size)
{
    P9 *p9 = p9_of(d);
    P9File file;
    int error = size < 0 ? -EINVAL : p9_find(p9, path, true, &file);

    if (error)
        return error;
    if (S_ISDIR(file.st.st_mode))
        error = -EISDIR;
    else if (!S_ISREG(file.st.st_mode))
        error = -EINVAL;
    if (!error)
        error = p9_may(p9, &file, W_OK);
    if (!error)
        error = set_size(p9, &file, (uint64_t)size);
    p9_drop(p9, &file);
    return error;
}

static long p9_ftruncate(Driver *d, int fd, off_t size)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);
    P9File file;
    int error;

    if (size < 0)
        return -EINVAL;
    if (!h)
        return -EBADF;
    if (!S_ISREG(h->type) || !can_write(h))
        return -EINVAL;
    file.fid = h->fid;
    error = p9->remote->getattr(p9, h->fid, &file.st);
    return error ? error : set_size(p9, &file, (uint64_t)size);
}

/* As the C library does it where the file system cannot: it touches a byte of each block. */
static long p9_posix_fallocate(Driver *d, int fd, off_t offset, off_t size)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);
    int64_t now, end = offset + size;

    if (!h)
        return -EBADF;
    if (offset < 0 || size <= 0)
        return -EINVAL;
    if (!can_write(h))
        return -EBADF;
    now = size_of_handle(p9, h);
    for (int64_t at = offset + (size - 1) % BLOCK; at < end; at += BLOCK) {
        char byte = '\0';
        long done = at < now ? p9_pread(d, fd, &byte, 1, at) : 1;

        if (done == 1 && byte == '\0')
            done = p9_pwrite(d, fd, &byte, 1, at);
        if (done < 0)
            return done;
    }
    return 0;
}

static long p9_getdents(Driver *d, int fd, Entry *entries, unsigned max)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);
    int n;

    if (!h)
        return -EBADF;
    if (!S_ISDIR(h->type))
        return -ENOTDIR;
    n = p9->remote->readdir(p9, h->fid, (uint64_t)h->position, entries, max);
    if (n > 0)
        h->position = entries[n - 1].next;
    return n;
}

void p9_add_files(DriverOps *ops)
{
    ops->open = p9_open;
    ops->close = p9_close;
    ops->close_all = p9_close_all;
    ops->read = p9_read;
    ops->write = p9_write;
    ops->pread = p9_pread;
    ops->pwrite = p9_pwrite;
    ops->lseek = p9_lseek;
    ops->fsync = p9_fsync;
    ops->fdatasync = p9_fdatasync;
    ops->truncate = p9_truncate;
    ops->ftruncate = p9_ftruncate;
    ops->posix_fallocate = p9_posix_fallocate;
    ops->getdents = p9_getdents;
}
