/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Side files of the format "mapped-file": see local_map.h.
 *
 * The directory D with an entry NAME has the side file D/.virtfs_metadata/NAME, which holds lines as
 *
 *     virtfs.uid=1000
 *
 * for uid, gid, mode and rdev, each a decimal number of 32 bits that may be written with or without
 * a sign. Other lines mean nothing. Whatever else somebody on the host puts there is not followed,
 * waited for or believed.
 *
 * The folder is locked with flock() while it is used, so that neither threads nor other workers on
 * the same export see a name without its side file or the other way round. Where the file system
 * knows no such locks a mutex keeps at least the threads of this process apart.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/local_map.h"

/* #syscalls flock fstat newfstatat fchmod pread64 */

/* No guest can give an entry this name, so its side file is nobody's. */
#define TEMPORARY SIDE_DIR

enum {
    MAX_TEXT = 4096, /* bytes of a side file that are looked at */
    ATTEMPTS = 16,   /* somebody else removes the folder at the same time */
};

static pthread_mutex_t without_locks = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static int open_beneath(int dir_fd, const char *name, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(uint32_t)(flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };

    return local_openat2(dir_fd, name, &how);
}

/*
 * Folders
 */

/* Returns -EINTR, or 0 with the lock held. */
static int lock_folder(SideDir *sides, SideUse use)
{
    if (flock(sides->fd, use == SIDE_READ ? LOCK_SH : LOCK_EX) == 0)
        return 0;
    if (errno == EINTR)
        return -EINTR;
    pthread_mutex_lock(&without_locks);
    sides->by_mutex = true;
    return 0;
}

static bool is_removed(int fd)
{
    struct stat st;

    return UNINTERRUPTED(fstat(fd, &st)) == 0 && st.st_nlink == 0;
}

/* A default ACL of the directory must not say who may read what is in the folder. */
static int make_folder(int dir_fd)
{
    int fd;

    if (UNINTERRUPTED(mkdirat(dir_fd, SIDE_DIR, 0700)) != 0)
        return errno == EEXIST ? 0 : -errno;
    fd = open_beneath(dir_fd, SIDE_DIR, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return 0; /* what is wrong is seen when it is opened for use */
    UNINTERRUPTED(fchmod(fd, 0700));
    close(fd);
    return 0;
}

static int open_folder(int dir_fd, SideUse use, SideDir *sides)
{
    int error;

    sides->fd = open_beneath(dir_fd, SIDE_DIR, O_RDONLY | O_DIRECTORY, 0);
    if (sides->fd == -ENOENT && use == SIDE_MAKE) {
        error = make_folder(dir_fd);
        if (error)
            return error;
        sides->fd = open_beneath(dir_fd, SIDE_DIR, O_RDONLY | O_DIRECTORY, 0);
    }
    return sides->fd < 0 ? sides->fd : lock_folder(sides, use);
}

int side_dir_open(int dir_fd, SideUse use, SideDir *sides)
{
    int error = -ENOENT;

    for (unsigned i = 0; i < ATTEMPTS; i++) {
        *sides = (SideDir){.fd = -1};
        error = open_folder(dir_fd, use, sides);
        if (error == 0 && !is_removed(sides->fd))
            return 0;
        side_dir_close(sides);
        if (error != 0 && !(error == -ENOENT && use == SIDE_MAKE))
            break;
        error = -ENOENT;
    }
    return error;
}

void side_dir_close(SideDir *sides)
{
    if (sides->fd >= 0)
        close(sides->fd);
    if (sides->by_mutex)
        pthread_mutex_unlock(&without_locks);
    *sides = (SideDir){.fd = -1};
}

bool side_is_absent(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool is_visible(const char *name)
{
    return !is_dots(name) && strcmp(name, SIDE_DIR) != 0 && strcmp(name, SIDE_ROOT) != 0;
}

/* Goes through the directory `fd`. With `remove` every entry is unlinked; without, a visible one is
 * -ENOTEMPTY. */
static int visit(int fd, bool remove)
{
    int own = UNINTERRUPTED(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *stream = own < 0 ? NULL : fdopendir(own);
    const struct dirent *entry;
    int error = 0;

    if (!stream) {
        error = -errno;
        if (own >= 0)
            close(own);
        return error;
    }
    while (!error && (entry = readdir(stream))) {
        if (!remove && is_visible(entry->d_name))
            error = -ENOTEMPTY;
        else if (remove && !is_dots(entry->d_name) &&
                 UNINTERRUPTED(unlinkat(fd, entry->d_name, 0)) != 0)
            error = -ENOTEMPTY;
    }
    closedir(stream);
    return error;
}

static int clear_folder(int dir_fd)
{
    SideDir sides;
    int error = side_dir_open(dir_fd, SIDE_WRITE, &sides);

    if (error)
        return side_is_absent(error) ? 0 : error;
    error = visit(dir_fd, false);
    if (!error)
        error = visit(sides.fd, true);
    if (!error && UNINTERRUPTED(unlinkat(dir_fd, SIDE_DIR, AT_REMOVEDIR)) != 0)
        error = -ENOTEMPTY;
    side_dir_close(&sides);
    return error;
}

int side_dir_clear(LocalName at)
{
    int fd = open_beneath(at.dir_fd, at.name, O_RDONLY | O_DIRECTORY, 0);
    int error;

    if (fd < 0)
        return fd;
    error = visit(fd, false);
    if (!error)
        error = clear_folder(fd);
    if (!error && UNINTERRUPTED(unlinkat(fd, SIDE_ROOT, 0)) != 0 && errno != ENOENT)
        error = -ENOTEMPTY;
    close(fd);
    return error;
}

/*
 * Reading
 */

/* A number of 32 bits, signed or not, and nothing behind it. */
static bool parse_number(const char *text, uint32_t *number)
{
    char *end;
    long long value;

    if (!g_ascii_isdigit(text[0]) && text[0] != '-')
        return false;
    errno = 0;
    value = strtoll(text, &end, 10);
    while (g_ascii_isspace(*end))
        end++;
    *number = (uint32_t)value;
    return *end == '\0' && errno == 0 && value >= INT32_MIN && value <= UINT32_MAX;
}

/* An owner of -1 is none, and a mode has 16 bits. */
static void take_field(const char *key, uint32_t value, MapMeta *meta)
{
    if (strcmp(key, "virtfs.uid") == 0 && value != UINT32_MAX) {
        meta->uid = value;
        meta->has |= MAP_UID;
    } else if (strcmp(key, "virtfs.gid") == 0 && value != UINT32_MAX) {
        meta->gid = value;
        meta->has |= MAP_GID;
    } else if (strcmp(key, "virtfs.mode") == 0 && value <= UINT16_MAX) {
        meta->mode = value;
        meta->has |= MAP_MODE;
    } else if (strcmp(key, "virtfs.rdev") == 0) {
        meta->rdev = value;
        meta->has |= MAP_RDEV;
    }
}

static void parse(char *text, MapMeta *meta)
{
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, '=');
        uint32_t number;

        if (!value)
            continue;
        *value++ = '\0';
        if (parse_number(value, &number))
            take_field(line, number, meta);
    }
}

static ssize_t read_text(int fd, char text[MAX_TEXT + 1])
{
    struct stat st;
    ssize_t got;

    if (UNINTERRUPTED(fstat(fd, &st)) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return 0;
    if (st.st_nlink > 1 && flock(fd, LOCK_SH) != 0 && errno == EINTR)
        return -EINTR;
    got = UNINTERRUPTED(pread(fd, text, MAX_TEXT, 0));
    return got < 0 ? -errno : got;
}

int side_load_fd(int fd, MapMeta *meta)
{
    char text[MAX_TEXT + 1];
    ssize_t size = read_text(fd, text);

    *meta = (MapMeta){0};
    if (size < 0)
        return (int)size;
    text[size] = '\0';
    parse(text, meta);
    return 0;
}

int side_load(int at_fd, const char *name, MapMeta *meta)
{
    int fd = open_beneath(at_fd, name, O_RDONLY, 0);
    int error;

    *meta = (MapMeta){0};
    if (fd < 0)
        return side_is_absent(fd) || fd == -ENXIO ? 0 : fd;
    error = side_load_fd(fd, meta);
    close(fd);
    return error;
}

/*
 * Writing
 */

static size_t format(const MapMeta *meta, char text[MAX_TEXT])
{
    size_t used = 0;

    if (meta->has & MAP_UID)
        used += (size_t)sprintf(text + used, "virtfs.uid=%" PRId32 "\n", (int32_t)meta->uid);
    if (meta->has & MAP_GID)
        used += (size_t)sprintf(text + used, "virtfs.gid=%" PRId32 "\n", (int32_t)meta->gid);
    if (meta->has & MAP_MODE)
        used += (size_t)sprintf(text + used, "virtfs.mode=%" PRId32 "\n", (int32_t)meta->mode);
    if (meta->has & MAP_RDEV)
        used += (size_t)sprintf(text + used, "virtfs.rdev=%" PRId32 "\n", (int32_t)meta->rdev);
    return used;
}

static int write_text(int fd, const char *text, size_t size)
{
    ssize_t put = UNINTERRUPTED(pwrite(fd, text, size, 0));

    if (put < 0)
        return -errno;
    return (size_t)put == size ? 0 : -ENOSPC;
}

/* The side file, if it has several names and so must be written in place; or -ENOENT. */
static int open_shared(int at_fd, const char *name)
{
    int fd = open_beneath(at_fd, name, O_WRONLY, 0);
    struct stat st;

    if (fd < 0)
        return -ENOENT;
    if (UNINTERRUPTED(fstat(fd, &st)) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1)
        return fd;
    close(fd);
    return -ENOENT;
}

static int write_in_place(int fd, const char *text, size_t size)
{
    int error;

    if (flock(fd, LOCK_EX) != 0 && errno == EINTR)
        return -EINTR;
    error = write_text(fd, text, size);
    if (!error && UNINTERRUPTED(ftruncate(fd, (off_t)size)) != 0)
        error = -errno;
    return error;
}

static int replace(const SideDir *sides, int at_fd, const char *name, const char *text, size_t size)
{
    int error;
    int fd;

    if (UNINTERRUPTED(unlinkat(sides->fd, TEMPORARY, 0)) != 0 && errno != ENOENT)
        return -errno;
    fd = open_beneath(sides->fd, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fd;
    error = UNINTERRUPTED(fchmod(fd, 0600)) == 0 ? write_text(fd, text, size) : -errno;
    close(fd);
    if (!error && UNINTERRUPTED(renameat(sides->fd, TEMPORARY, at_fd, name)) != 0)
        error = -errno;
    if (error)
        UNINTERRUPTED(unlinkat(sides->fd, TEMPORARY, 0));
    return error;
}

int side_store_fd(int fd, const MapMeta *meta)
{
    char text[MAX_TEXT];

    return write_in_place(fd, text, format(meta, text));
}

int side_store(const SideDir *sides, int at_fd, const char *name, const MapMeta *meta)
{
    char text[MAX_TEXT];
    int fd = open_shared(at_fd, name);
    int error;

    if (fd < 0)
        return replace(sides, at_fd, name, text, format(meta, text));
    error = side_store_fd(fd, meta);
    close(fd);
    return error;
}
