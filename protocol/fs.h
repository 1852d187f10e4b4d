/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fs: what the 9P core asks of a file system. An ops table, so that the same core serves a host
 * directory (local.h) or a tree in memory (tests).
 *
 * A node is a file, whatever its name: it stays usable when it is renamed or unlinked. A file is
 * an open node. Both are reference-counted by the core. Every operation returns 0 (or a count) or
 * a negative errno, and may be called by several threads at once, also on one node or file.
 *
 * An operation marked [nowait] gets a flag: when it is true and the operation would have to wait
 * for a disk or another machine, it returns -EAGAIN having changed nothing, and is called again
 * without the flag on a thread that may wait.
 */
#ifndef PROTOCOL_FS_H
#define PROTOCOL_FS_H

#include <glib.h>
#include <linux/stat.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>

#include "protocol/wire.h"

/* Beside the host's flags of open: not the client opens the file but the server, for a purpose of its
 * own, and no limit of open files counts it. */
#define FS_OPEN_OWN (1 << 30)

typedef struct FsOps FsOps;
typedef struct statx FsAttr;

/* What surely does not wait, by the kind of storage behind the file system. */
typedef enum FsClass {
    FS_MEMORY, /* nothing waits */
    FS_LOCAL,  /* looking at a node that is held does not wait; data and names may */
    FS_MAPPED, /* that may wait too, since what it shows is kept elsewhere; only dropping does not */
    FS_REMOTE, /* anything may wait */
} FsClass;

typedef struct Fs {
    const FsOps *ops;
    FsClass class; /* of the root; other nodes may be on other storage */
} Fs;

typedef struct FsNode {
    Fs *fs;
    gatomicrefcount refs;
    gint holds;    /* atomic: how many work with it; see fs_node_hold() */
    gint recent;   /* atomic: somebody has, since the file system last looked */
    gint settled;  /* atomic: it has been the node of a fid */
    mode_t type;   /* S_IFMT part; never changes */
    FsClass class; /* of the storage that this node is on */
} FsNode;

/* In FsNode.holds: the file system has put away what it takes to work with the node. */
enum { FS_NODE_AWAY = 1 << 30 };

typedef struct FsFile {
    FsNode *node; /* holds a reference */
    gatomicrefcount refs;
} FsFile;

/* The owner of what an operation creates. */
typedef struct FsOwner {
    uint32_t uid;
    uint32_t gid;
} FsOwner;

/* Changes to a node. `valid` holds P9_SETATTR_ bits; a time without its _SET bit is "now". */
typedef struct FsChange {
    uint32_t valid;
    mode_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t size;
    struct timespec atime;
    struct timespec mtime;
} FsChange;

/* A lock on a byte range. */
typedef struct FsLock {
    uint8_t type; /* P9_LOCK_READ, _WRITE or _UNLOCK */
    uint64_t start;
    uint64_t length; /* 0: to the end, however long the file becomes */
    uint32_t pid;    /* in the answer of test_lock: the holder, or 0 when it is not known */
} FsLock;

typedef struct FsEntry {
    Qid qid;
    uint64_t next; /* offset that continues behind this entry */
    uint8_t type;  /* DT_ value */
    const char *name;
} FsEntry;

/* Takes one directory entry. Returns false when it does not fit: it is then offered again. */
typedef bool FsFill(void *context, const FsEntry *entry);

struct FsOps {
    /* The root of the tree. */
    int (*root)(Fs *fs, FsNode **node);

    /* Walks `n` (1 or more) checked names from `from`; ".." at the root stays there. On success, and
     * also when a later name failed, *n_walked counts the names that were walked and `qids` their
     * qids; *node is set only when all were. An error is returned only when the first failed.
     * [nowait] */
    int (*walk)(FsNode *from, unsigned n, char *const names[], bool nowait, FsNode **node,
                Qid qids[], unsigned *n_walked);

    void (*node_free)(FsNode *node);

    /* Brings back what was put away of a node that is held. A file system that puts nothing away has
     * neither of these two. [nowait] */
    int (*recall)(FsNode *node, bool nowait);

    /* Called once, when a fid stands for the node: from now on it can be put away while nobody
     * holds it. */
    void (*settle)(FsNode *node);

    /* Fills in `attr` and `qid`; either may be NULL. `file` is an open file of the node, or NULL. */
    int (*getattr)(FsNode *node, FsFile *file, FsAttr *attr, Qid *qid);
    int (*setattr)(FsNode *node, FsFile *file, const FsChange *change);

    /* The number, of at most 32 bits, that tells the node from earlier ones with the same inode
     * number. Returns false when there is none; a file system without any has no such function. */
    bool (*generation)(FsNode *node, uint32_t *generation);
    /* Takes the set-id bits away that a regular file loses when somebody other than root changes what
     * is in it; see fs_mode_without_setid(). */
    int (*drop_setid)(FsNode *node);
    int (*readlink)(FsNode *node, char *target, size_t size, size_t *length);
    int (*statfs)(FsNode *node, struct statfs *st);

    /* Opens a regular file or directory; `flags` are the host's O_ACCMODE, O_TRUNC, O_APPEND,
     * O_DSYNC, O_SYNC, O_DIRECTORY and O_NOATIME, and FS_OPEN_OWN. Others are -ENXIO, symlinks -ELOOP. [nowait] */
    int (*open)(FsNode *node, int flags, bool nowait, FsFile **file);

    /* Creates and opens a regular file in `dir`; without O_EXCL an existing one is opened. */
    int (*create)(FsNode *dir, const char *name, int flags, mode_t mode, FsOwner owner,
                  FsFile **file);
    void (*file_free)(FsFile *file);

    /* [nowait] */
    ssize_t (*read)(FsFile *file, void *data, size_t size, uint64_t offset, bool nowait);
    ssize_t (*write)(FsFile *file, const void *data, size_t size, uint64_t offset);
    int (*fsync)(FsFile *file, bool data_only);

    /* Offers the entries from `offset` on (0: the first) until `fill` refuses one or none is left.
     * `fill` does not call back into the file system. */
    int (*readdir)(FsFile *dir, uint64_t offset, FsFill *fill, void *context);

    int (*mkdir)(FsNode *dir, const char *name, mode_t mode, FsOwner owner, Qid *qid);
    int (*mknod)(FsNode *dir, const char *name, mode_t mode, dev_t device, FsOwner owner, Qid *qid);
    int (*symlink)(FsNode *dir, const char *name, const char *target, FsOwner owner, Qid *qid);
    int (*link)(FsNode *dir, const char *name, FsNode *node);
    int (*unlinkat)(FsNode *dir, const char *name, bool directory);
    int (*renameat)(FsNode *old_dir, const char *old_name, FsNode *new_dir, const char *new_name);

    /* The same for a node whose present name the file system finds out. A new_dir of NULL is the
     * directory that the node is in. */
    int (*remove)(FsNode *node);
    int (*rename)(FsNode *node, FsNode *new_dir, const char *new_name);

    /* The node's present name, "/" for the root; one it had when it has none. [nowait] */
    int (*name)(FsNode *node, bool nowait, char name[P9_NAME_MAX + 1]);

    /* Where the node is now, for people to read: a path below the root that begins with a slash,
     * terminated, and cut when `size` bytes do not hold it. A file that was removed has a mark behind
     * its path. Never waits, and fails for one that was put away. NULL where nothing like it is known. */
    int (*path)(FsNode *node, char *path, size_t size);

    /* Extended attributes by their full names, as getxattr(2) and its relatives. A file system that
     * has none has none of these four. [nowait] */
    ssize_t (*getxattr)(FsNode *node, const char *name, void *value, size_t size, bool nowait);
    ssize_t (*listxattr)(FsNode *node, char *names, size_t size, bool nowait);
    int (*setxattr)(FsNode *node, const char *name, const void *value, size_t size, int flags);
    int (*removexattr)(FsNode *node, const char *name);

    /* Sets or removes a lock that belongs to this opening of the file: it does not hinder itself,
     * and what it has locked goes with file_free. Does not wait: -EAGAIN when another one's lock is
     * in the way. An exclusive lock on a file that is not open for writing is a shared one to all
     * others than the session, which knows better. test_lock finds such a lock, or sets the type to P9_LOCK_UNLOCK. A file system
     * without locks has neither. */
    int (*lock)(FsFile *file, const FsLock *lock);
    int (*test_lock)(FsFile *file, FsLock *lock);

    /* Lets go of what is only kept to be faster; called when nothing is asked for a while, and every few
     * seconds. NULL where there is nothing. [nowait] */
    int (*rest)(Fs *fs, bool nowait);

    /* The session ends: operations that wait for something else than a file fail now, and all later
     * ones that would. NULL where there are none. */
    void (*stop)(Fs *fs);
};

/* What is left of a file's mode without set-id bits. A set-group-id bit without the right to execute
 * is none. */
mode_t fs_mode_without_setid(mode_t mode);

FsNode *fs_node_ref(FsNode *node);
void fs_node_unref(FsNode *node); /* NULL is allowed */

/* Whoever works with a node that a fid stands for holds it meanwhile. Nodes that a file system has
 * just made need not be held until their fid is in its place: see fs_node_settle(). Returns 0, or a
 * negative errno and nothing is held. [nowait] */
int fs_node_hold(FsNode *node, bool nowait);
void fs_node_let_go(FsNode *node);

/* A fid stands for the node. */
void fs_node_settle(FsNode *node);

FsFile *fs_file_ref(FsFile *file);
void fs_file_unref(FsFile *file); /* NULL is allowed */

/* For implementations: starts a node with one reference. */
void fs_node_init(FsNode *node, Fs *fs, FsClass class, mode_t mode);

/* For implementations: starts a file with one reference, which takes one on `node`. */
void fs_file_init(FsFile *file, FsNode *node);

#endif
