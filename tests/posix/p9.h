/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * P9: the driver that plays a Linux guest with a share mounted, on top of a test session.
 *
 * It does what Linux does on its side of a mount with access=client and cache=none: it walks paths
 * name by name and follows symbolic links, checks permissions with the attributes it is told,
 * applies the umask, keeps set-id bits from users, and attaches once for each user. What Linux
 * leaves to the server is left to the server.
 *
 *     p9_path.c     paths, permissions, ACLs
 *     p9_files.c    open files
 *     p9_names.c    making, linking, moving and removing
 *     p9_attr.c     attributes and extended ones
 *     p9_lock.c     locks, and the second process
 *     p9_remote_l.c, p9_remote_u.c   messages of 9P2000.L and of 9P2000.u
 *     p9.c          setting up, and the program posix-9p
 *
 * Functions return 0, or a count, or a negative errno.
 */
#ifndef TESTS_POSIX_P9_H
#define TESTS_POSIX_P9_H

#include "tests/lib/unix_client.h"
#include "tests/posix/suite.h"

enum {
    P9_MSIZE = 512 * 1024,
    P9_MAX_HANDLES = 128,
    P9_MAX_USERS = 8,
};

typedef struct P9 P9;

/* A file that a fid of ours stands for. */
typedef struct P9File {
    uint32_t fid;
    struct stat st;
} P9File;

/* A name in a directory that was found. */
typedef struct P9Last {
    P9File dir;
    char name[NAME_MAX + 1];
    bool slash; /* the path goes on with slashes */
} P9Last;

/* The messages of one dialect. Fids are the caller's; `newfid` did not exist before. */
typedef struct P9Remote {
    int (*attach)(P9 *, uint32_t fid, uid_t uid);
    int (*walk)(P9 *, uint32_t fid, uint32_t newfid, const char *name); /* "" clones */
    int (*getattr)(P9 *, uint32_t fid, struct stat *st);
    int (*setattr)(P9 *, const P9File *file, const FsChange *change);
    int (*readlink)(P9 *, uint32_t fid, char target[PATH_MAX]);
    int (*open)(P9 *, uint32_t fid, int flags);
    /* Makes a file, and the directory's fid stand for it, open. */
    int (*create)(P9 *, uint32_t fid, const char *name, int flags, mode_t mode, gid_t gid);
    int (*mkdir)(P9 *, uint32_t dir, const char *name, mode_t mode, gid_t gid);
    int (*mknod)(P9 *, uint32_t dir, const char *name, mode_t mode, dev_t device, gid_t gid);
    int (*symlink)(P9 *, uint32_t dir, const char *name, const char *target, gid_t gid);
    int (*link)(P9 *, uint32_t dir, const char *name, uint32_t fid);
    int (*rename)(P9 *, const P9Last *old, const P9File *file, const P9Last *new);
    int (*unlink)(P9 *, const P9Last *last, const P9File *file);
    ssize_t (*read)(P9 *, uint32_t fid, void *bytes, size_t size, uint64_t offset);
    ssize_t (*write)(P9 *, uint32_t fid, const void *bytes, size_t size, uint64_t offset);
    int (*fsync)(P9 *, uint32_t fid, bool data_only);
    int (*readdir)(P9 *, uint32_t fid, uint64_t offset, Entry *entries, unsigned max);
    int (*clunk)(P9 *, uint32_t fid);
} P9Remote;

/* An open file. */
typedef struct P9Handle {
    bool used;
    uint32_t fid;
    int flags;
    int64_t position;
    mode_t type;
    uint64_t ino;
    unsigned process; /* 1, or 2 for the peer */
    bool locked;      /* the opening itself has asked for locks */
} P9Handle;

/* A lock that the second process waits for. */
typedef struct P9Waiting {
    int fd;
    LockRange range;
} P9Waiting;

struct P9 {
    Driver base;
    const P9Remote *remote;
    Fs *fs;
    TestSession *ts;
    Client wire;
    bool acls;       /* the server serves ACLs, and so they count here */
    const User *user;
    mode_t umask;
    uint32_t next_fid;
    char *dir; /* below the export */
    struct {
        uid_t uid;
        uint32_t root;
        uint32_t start; /* `dir`, or P9_NOFID */
    } users[P9_MAX_USERS];
    unsigned n_users;
    P9Handle handles[P9_MAX_HANDLES];
    GHashTable *lockers; /* "process:inode" of fcntl() locks */
    P9Waiting waiting;
};

extern const P9Remote p9_remote_l;
extern const P9Remote p9_remote_u;

/* The P9 that a driver is; counts the messages that went over its session so far. */
P9 *p9_of(Driver *d);

/* Where paths start for the present user. */
int p9_start(P9 *p9, uint32_t *fid);

uint32_t p9_new_fid(P9 *p9);
void p9_drop(P9 *p9, const P9File *file);

/* Finds what a path leads to; with `follow` also through a symbolic link at its end. */
int p9_find(P9 *p9, const char *path, bool follow, P9File *file);

/* Finds the directory of a path's last name. The name need not exist. */
int p9_find_last(P9 *p9, const char *path, P9Last *last);

/* As p9_find_last(), but the path starts at a directory, and counts on in *n_links. */
int p9_find_last_from(P9 *p9, const P9File *start, const char *path, unsigned *n_links,
                      P9Last *last);

/* Looks a name up in a directory that may be searched. */
int p9_lookup(P9 *p9, const P9File *dir, const char *name, P9File *file);

bool p9_is_root(const P9 *p9);
bool p9_is_owner(const P9 *p9, const struct stat *st); /* or root */
bool p9_in_group(const P9 *p9, gid_t gid);

/* Whether the present user may do to the file what `mask` says (R_OK, W_OK, X_OK). */
int p9_may(P9 *p9, const P9File *file, int mask);

bool p9_is_dots(const char *name);

/* Whether new files in a directory get their permissions from it, and not from the umask. */
bool p9_has_default_acl(P9 *p9, const P9File *dir);

/* What becomes of a mode and of the group of a new file. */
mode_t p9_new_mode(P9 *p9, const P9File *dir, mode_t mode);
gid_t p9_new_gid(const P9 *p9, const P9File *dir);

/* Adds to a change what takes set-id bits away, as a write or a change of owner does. */
void p9_kill_setid(const P9 *p9, const struct stat *st, bool by_chown, FsChange *change);

/* The open file with this number, or NULL. */
P9Handle *p9_handle(P9 *p9, int fd);
int p9_new_handle(P9 *p9, const P9File *file, int flags);

/* Sends a getxattr or the list for "". */
ssize_t p9_get_xattr(P9 *p9, uint32_t fid, const char *name, void *value, size_t size);

/* Lets go of what a handle has locked, as closing it does. */
void p9_unlock_handle(P9 *p9, const P9Handle *handle);

/* Fill in the operations of a driver. */
void p9_add_files(DriverOps *ops);
void p9_add_names(DriverOps *ops);
void p9_add_attr(DriverOps *ops);
void p9_add_locks(DriverOps *ops);

#endif
