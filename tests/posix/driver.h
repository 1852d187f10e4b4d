/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driver: what the cases of the POSIX suite are run against.
 *
 * A driver plays the processes of one machine that uses one file system: it has a user, a umask, a
 * directory that paths are relative to, and open files. Every operation is named after the system
 * call that it is or stands for, and returns what that returns, or a negative errno. This header
 * needs nothing but the C library, so that the suite can be linked for a guest without any.
 */
#ifndef TESTS_POSIX_DRIVER_H
#define TESTS_POSIX_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <time.h>

/* Somebody. `groups` are the supplementary ones. */
typedef struct User {
    const char *name;
    uid_t uid;
    gid_t gid;
    unsigned n_groups;
    gid_t groups[2];
} User;

/* One entry of a directory. */
typedef struct Entry {
    uint64_t ino;
    int64_t next; /* what lseek() takes to continue behind it */
    unsigned char type;
    char name[256];
} Entry;

typedef enum LockKind {
    LOCK_POSIX,      /* fcntl(F_SETLK): the process owns it */
    LOCK_OPENING,    /* fcntl(F_OFD_SETLK): the open file owns it */
    LOCK_WHOLE_FILE, /* flock(): likewise */
} LockKind;

/* A lock on `length` bytes (0: all) from `start`; `type` is F_RDLCK, F_WRLCK or F_UNLCK. */
typedef struct LockRange {
    LockKind kind;
    short type;
    off_t start;
    off_t length;
} LockRange;

/* What not every file system has, or not every way of reaching one. */
enum {
    HAS_XATTRS = 1,
    HAS_ACLS = 2,
    HAS_LOCKS = 4,
    HAS_FINE_TIMES = 8, /* below a second, and a ctime of its own */
    HAS_STATVFS = 16,
    HAS_LITTLE_ROOM = 32, /* LITTLE_ROOM at most, so that it can be filled up */
};

enum {
    LITTLE_ROOM = 8 << 20, /* bytes */
};

typedef struct Driver Driver;

typedef struct DriverOps {
    /* Whose the following operations are. */
    void (*become)(Driver *, const User *);
    void (*set_umask)(Driver *, mode_t);

    /* Makes paths relative to `dir`, which is relative to the base; "" is the base itself. Done as
     * root, whatever the user. */
    long (*enter)(Driver *, const char *dir);

    /* Closes what is open, in all processes. */
    void (*close_all)(Driver *);

    long (*open)(Driver *, const char *path, int flags, mode_t mode);
    long (*close)(Driver *, int fd);
    long (*read)(Driver *, int fd, void *bytes, size_t size);
    long (*write)(Driver *, int fd, const void *bytes, size_t size);
    long (*pread)(Driver *, int fd, void *bytes, size_t size, off_t offset);
    long (*pwrite)(Driver *, int fd, const void *bytes, size_t size, off_t offset);
    long (*lseek)(Driver *, int fd, off_t offset, int whence);
    long (*fsync)(Driver *, int fd);
    long (*fdatasync)(Driver *, int fd);
    long (*truncate)(Driver *, const char *path, off_t size);
    long (*ftruncate)(Driver *, int fd, off_t size);
    long (*posix_fallocate)(Driver *, int fd, off_t offset, off_t size);
    long (*getdents)(Driver *, int fd, Entry *entries, unsigned max); /* returns how many */

    long (*stat)(Driver *, const char *path, struct stat *st);
    long (*lstat)(Driver *, const char *path, struct stat *st);
    long (*fstat)(Driver *, int fd, struct stat *st);
    long (*statvfs)(Driver *, const char *path, struct statvfs *st);
    long (*access)(Driver *, const char *path, int mode); /* as faccessat(AT_EACCESS) */
    long (*chmod)(Driver *, const char *path, mode_t mode);
    long (*fchmod)(Driver *, int fd, mode_t mode);
    long (*chown)(Driver *, const char *path, uid_t uid, gid_t gid);
    long (*lchown)(Driver *, const char *path, uid_t uid, gid_t gid);
    long (*fchown)(Driver *, int fd, uid_t uid, gid_t gid);
    long (*utimens)(Driver *, const char *path, const struct timespec times[2]); /* or NULL */
    long (*lutimens)(Driver *, const char *path, const struct timespec times[2]);
    long (*futimens)(Driver *, int fd, const struct timespec times[2]);

    long (*mkdir)(Driver *, const char *path, mode_t mode);
    long (*mknod)(Driver *, const char *path, mode_t mode, dev_t device);
    long (*symlink)(Driver *, const char *target, const char *path);
    long (*readlink)(Driver *, const char *path, char *target, size_t size);
    long (*link)(Driver *, const char *old_path, const char *new_path);
    long (*unlink)(Driver *, const char *path);
    long (*rmdir)(Driver *, const char *path);
    long (*rename)(Driver *, const char *old_path, const char *new_path);
    long (*renameat2)(Driver *, const char *old_path, const char *new_path, unsigned flags);

    long (*getxattr)(Driver *, const char *path, const char *name, void *value, size_t size);
    long (*lgetxattr)(Driver *, const char *path, const char *name, void *value, size_t size);
    long (*fgetxattr)(Driver *, int fd, const char *name, void *value, size_t size);
    long (*setxattr)(Driver *, const char *path, const char *name, const void *value, size_t size,
                     int flags);
    long (*lsetxattr)(Driver *, const char *path, const char *name, const void *value, size_t size,
                      int flags);
    long (*fsetxattr)(Driver *, int fd, const char *name, const void *value, size_t size,
                      int flags);
    long (*listxattr)(Driver *, const char *path, char *names, size_t size);
    long (*removexattr)(Driver *, const char *path, const char *name);

    /* Locks without waiting. test_lock returns the type of a lock in the way, or F_UNLCK. */
    long (*lock)(Driver *, int fd, LockRange range);
    long (*test_lock)(Driver *, int fd, LockRange range);

    /* The same in a second process, which is root and has open files of its own. peer_start asks
     * for a lock and waits for it; peer_finish returns what came of that, or -EINPROGRESS when it
     * still waits after `milliseconds`. */
    long (*peer_open)(Driver *, const char *path, int flags);
    long (*peer_close)(Driver *, int fd);
    long (*peer_lock)(Driver *, int fd, LockRange range);
    long (*peer_test_lock)(Driver *, int fd, LockRange range);
    long (*peer_start)(Driver *, int fd, LockRange range);
    long (*peer_finish)(Driver *, unsigned milliseconds);
} DriverOps;

struct Driver {
    const DriverOps *ops;
    unsigned has;               /* HAS_ bits */
    unsigned long n_operations; /* so far: calls, or messages where there are any */
};

#endif
