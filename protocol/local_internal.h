/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local, inside: what the files local*.c share.
 *
 *     local.c        the export, nodes, qids, owners
 *     local_names.c  names: walking, making, moving, removing
 *     local_file.c   open files and directories
 *     local_attr.c   attributes
 *     local_xattr.c  extended attributes
 *     local_lock.c   locks on byte ranges
 */
#ifndef PROTOCOL_LOCAL_INTERNAL_H
#define PROTOCOL_LOCAL_INTERNAL_H

#include <pthread.h>

#include "protocol/local.h"

enum {
    LOCAL_MAX_DEVICES = 64, /* mounts below one export that are told apart */
    LOCAL_ATTR_MASK = STATX_BASIC_STATS | STATX_BTIME,
};

/* A device (st_dev) seen below the export. */
typedef struct LocalDevice {
    dev_t device;
    uint64_t salt; /* XORed into inode numbers to make qid.path */
    FsClass class;
} LocalDevice;

typedef struct LocalFs {
    Fs base;
    ExportOptions options;
    int root_fd;
    int proc_fd;     /* /proc/self/fd: the way from a descriptor to opening it anew */
    bool contained;  /* the export is a mount of our own: ".." cannot leave it */
    bool has_xattrat; /* the kernel has getxattrat() and its relatives */
    bool sets_owner; /* threads may take any user's identity to create files */
    uint64_t root_inode;
    pthread_mutex_t device_lock; /* guards: */
    bool warned;                 /* that there is more than one device */
    unsigned n_devices;          /* devices[0] is the root's, set before other threads exist */
    LocalDevice devices[LOCAL_MAX_DEVICES];
} LocalFs;

typedef struct LocalNode {
    FsNode base;
    int fd; /* O_PATH, or the descriptor it was created with */
    dev_t device;
    uint64_t inode;
    _Atomic uint64_t generation; /* 0: not known yet; see local_attr.c */
} LocalNode;

typedef struct LocalFile {
    FsFile base;
    int fd;
    bool borrowed; /* fd is the node's */

    /* Directories: what was read ahead. */
    pthread_mutex_t lock; /* guards: */
    char *entries;
    size_t size;       /* bytes of entries */
    size_t used;       /* of these, how many were handed out */
    uint64_t position; /* offset behind those */
} LocalFile;

/* local.c */
LocalFs *local_fs(const FsNode *node);
int local_fd(const FsNode *node);

/* Makes a node of `fd`, taking it over also on failure; *attr, if not NULL, and *qid, if not NULL,
 * receive what it is now. With `nowait` a remote file system is not asked. */
int local_node_new(LocalFs *fs, int fd, bool nowait, FsNode **node, Qid *qid);

/* statx() of `name` in `dir_fd`, or of dir_fd itself for "". Never follows a link. */
int local_statx(int dir_fd, const char *name, bool nowait, FsAttr *attr);
void local_fill_qid(LocalFs *fs, const FsAttr *attr, Qid *qid);

/* The device of `attr`; `fd` is any descriptor on it. */
LocalDevice local_device(LocalFs *fs, int fd, dev_t device);
uint8_t local_qid_type(mode_t mode);
dev_t local_attr_device(const FsAttr *attr);

/* Opens `name` below `dir_fd` as O_PATH; names no other component and follows no link. */
int local_open_name(int dir_fd, const char *name, bool nowait);

/* Opens anew, with `flags`, what `fd` stands for. */
int local_reopen(LocalFs *fs, int fd, int flags);

/* "17" for descriptor 17, to be used below proc_fd. */
typedef struct ProcName {
    char text[12];
} ProcName;
ProcName local_proc_name(int fd);

/* Makes this thread create files as `owner` from now on. Returns 0 or, when the model insists, a
 * negative errno. */
int local_become(LocalFs *fs, FsOwner owner);

/* After a creation that could not be done as its owner. */
void local_give_away(LocalFs *fs, int dir_fd, const char *name, FsOwner owner);

/* Operations, see FsOps. */
int local_walk(FsNode *from, unsigned n, char *const names[], bool nowait, FsNode **node,
               Qid qids[], unsigned *n_walked);
int local_mkdir(FsNode *dir, const char *name, mode_t mode, FsOwner owner, Qid *qid);
int local_mknod(FsNode *dir, const char *name, mode_t mode, dev_t device, FsOwner owner, Qid *qid);
int local_symlink(FsNode *dir, const char *name, const char *target, FsOwner owner, Qid *qid);
int local_link(FsNode *dir, const char *name, FsNode *node);
int local_unlinkat(FsNode *dir, const char *name, bool directory);
int local_renameat(FsNode *old_dir, const char *old_name, FsNode *new_dir, const char *new_name);
int local_remove(FsNode *node);
int local_rename(FsNode *node, FsNode *new_dir, const char *new_name);
int local_name(FsNode *node, bool nowait, char name[P9_NAME_MAX + 1]);

int local_open(FsNode *node, int flags, bool nowait, FsFile **file);
int local_create(FsNode *dir, const char *name, int flags, mode_t mode, FsOwner owner,
                 FsFile **file);
void local_file_free(FsFile *file);
ssize_t local_read(FsFile *file, void *data, size_t size, uint64_t offset, bool nowait);
ssize_t local_write(FsFile *file, const void *data, size_t size, uint64_t offset);
int local_fsync(FsFile *file, bool data_only);
int local_readdir(FsFile *dir, uint64_t offset, FsFill *fill, void *context);

int local_getattr(FsNode *node, FsFile *file, FsAttr *attr, Qid *qid);
bool local_generation(FsNode *node, uint32_t *generation);
int local_setattr(FsNode *node, FsFile *file, const FsChange *change);
int local_readlink(FsNode *node, char *target, size_t size, size_t *length);
int local_statfs(FsNode *node, struct statfs *st);

/* Whether getxattrat() and its relatives work here; `fd` is any descriptor. */
bool local_has_xattrat(int proc_fd, int fd);
ssize_t local_getxattr(FsNode *node, const char *name, void *value, size_t size, bool nowait);
ssize_t local_listxattr(FsNode *node, char *names, size_t size, bool nowait);
int local_setxattr(FsNode *node, const char *name, const void *value, size_t size, int flags);
int local_removexattr(FsNode *node, const char *name);

int local_lock(FsFile *file, const FsLock *lock);
int local_test_lock(FsFile *file, FsLock *lock);

#endif
