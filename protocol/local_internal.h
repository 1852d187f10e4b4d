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
 *     local_park.c   descriptors when they are scarce
 *     local_name_cache.c  what names led to lately
 *     local_map*.c   the mapped security models; see local_map.h
 *
 *     local_quota.c        the operations of an export with limits,
 *     local_quota_write.c  writing there
 *     local_count.c        counting what is in the tree
 *     local_reclaim.c      deleting old files to make room
 *
 * Every system call that may wait stands in UNINTERRUPTED(), see interrupt.h: -EINTR leaves these
 * files only when the request was cancelled. An operation of several calls that is cancelled
 * between them leaves what they have done to the file system; only what it holds is let go. The
 * mapped security models do not break off what belongs together, see INTERRUPT_HOLD().
 */
#ifndef PROTOCOL_LOCAL_INTERNAL_H
#define PROTOCOL_LOCAL_INTERNAL_H

#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>

#include "protocol/interrupt.h"
#include "protocol/local.h"
#include "protocol/quota.h"

enum {
    LOCAL_MAX_DEVICES = 64,   /* mounts below one export that are told apart */
    LOCAL_KEPT_ENTRIES = 256, /* open directories whose entries are kept between two reads */
    LOCAL_ATTR_MASK = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID,
};

/* A device (st_dev) seen below the export. */
typedef struct LocalDevice {
    dev_t device;
    uint64_t salt; /* XORed into inode numbers to make qid.path */
    FsClass class;
} LocalDevice;

/* A format in which the guest's owners and modes are kept; see local_map.h. */
typedef struct LocalMapping LocalMapping;
typedef struct LocalKept LocalKept;

/* A name in a directory, or with a NULL name what dir_fd itself stands for. */
typedef struct LocalName {
    int dir_fd;
    const char *name;
} LocalName;
typedef struct LocalQuota LocalQuota;         /* local_quota.h */
typedef struct LocalPark LocalPark;           /* local_park.h */
typedef struct LocalNameCache LocalNameCache; /* local_name_cache.h */
typedef struct LocalAway LocalAway;

typedef struct LocalFs {
    Fs base;
    ExportOptions options;
    const LocalMapping *mapping; /* NULL: owners and modes are the real ones */
    int root_fd;
    int proc_fd;         /* /proc/self/fd: the way from a descriptor to opening it anew */
    bool contained;      /* the export is a mount of our own: ".." cannot leave it */
    bool has_xattrat;    /* the kernel has getxattrat() and its relatives */
    bool sets_owner;     /* threads may take any user's identity to create files */
    bool lacks_nameless; /* do as if the file system had no O_TMPFILE; for tests */
    uint64_t root_inode;
    uint64_t root_mount; /* stx_mnt_id */
    LocalQuota *quota;   /* NULL: no limits, and none of its operations */
    LocalPark *park;
    LocalNameCache *name_cache;  /* NULL where walking to a node is more than opening it */
    gint n_kept_entries;         /* atomic */
    pthread_mutex_t device_lock; /* guards: */
    bool warned;                 /* that there is more than one device */
    unsigned n_devices;          /* devices[0] is the root's, set before other threads exist */
    LocalDevice devices[LOCAL_MAX_DEVICES];
    pthread_mutex_t kept_lock; /* guards: */
    GHashTable *kept;          /* of LocalKept by device and inode; NULL while empty */
} LocalFs;

typedef struct LocalNode LocalNode;
typedef struct LocalFile LocalFile;
struct LocalNode {
    FsNode base;
    int fd; /* O_PATH, or the descriptor it was created with; -1 while it is away */
    dev_t device;
    uint64_t inode;
    uint64_t mount;                 /* stx_mnt_id */
    struct statx_timestamp changed; /* stx_ctime when the node was made */
    _Atomic uint64_t generation;    /* 0: not known yet; see local_attr.c */
    bool is_stand_in;               /* a regular file here that is something else for the guest */
    LocalKept *kept;                /* of the mapping */
    QuotaInode *quota;              /* pinned, where the tree is counted */

    /* Of local_park.c: */
    LocalNode *next; /* in the ring, if it is listed */
    LocalNode *previous;
    LocalAway *away; /* what is remembered of the file, while it is away or on its way */
    LocalFile *open; /* the files of this node that are open */
    bool listed;
    bool moving;
    bool orphan; /* its last reference went while it was moving */
};

struct LocalFile {
    FsFile base;
    int fd;
    LocalFile *next_open; /* of the same node; of local_park.c, */
    LocalFile **open_at;  /* as what points to this one */
    bool borrowed;        /* fd is the node's */
    bool counted;         /* with limits: in that of open files, */
    bool appends;         /* and whether it was opened so */

    /* Directories: what was read ahead. */
    pthread_mutex_t lock; /* guards: */
    char *entries;
    bool keeps_entries; /* until it is closed: one of LOCAL_KEPT_ENTRIES */
    size_t size;        /* bytes of entries */
    size_t used;        /* of these, how many were handed out */
    uint64_t position;  /* offset behind those */
};

/* local.c */
LocalFs *local_fs(const FsNode *node);
int local_fd(const FsNode *node);

/* Makes a node of `fd`, taking it over also on failure; *qid, if not NULL, receives what it is now.
 * `at` is the name that led to it, or NULL when that is not known. With `nowait` a remote file
 * system is not asked, and -EAGAIN is returned where a disk would have to be. */
int local_node_new(LocalFs *fs, int fd, const LocalName *at, bool nowait, FsNode **node, Qid *qid);

/* Makes another node of the same file, in an export with a name_cache. */
int local_node_copy(const LocalNode *node, bool nowait, FsNode **copy);

/* True for a node that is the export's root. */
bool local_is_root(const LocalNode *node);

void local_node_free(FsNode *node);

/* statx() of `name` in `dir_fd`, or of dir_fd itself for "". Never follows a link. */
int local_statx(int dir_fd, const char *name, bool nowait, FsAttr *attr);
void local_fill_qid(LocalFs *fs, const FsAttr *attr, Qid *qid);

/* The device of `attr`; `fd` is any descriptor on it. */
LocalDevice local_device(LocalFs *fs, int fd, dev_t device);
uint8_t local_qid_type(mode_t mode);
dev_t local_attr_device(const FsAttr *attr);

/* openat2(), repeated while it fails for a rename elsewhere. Returns a descriptor. */
int local_openat2(int dir_fd, const char *name, struct open_how *how);

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

/* Finds the directory that holds `node` now and its name there. The caller closes *dir_fd. -ENOENT:
 * it has no name in the export. -EBUSY: it is the root. */
int local_find_name(FsNode *node, int *dir_fd, char name[P9_NAME_MAX + 1]);

/* Opens the directory at `path` below the export's root. */
int local_open_below_root(LocalFs *fs, const char *path);

/* Returns 0 when `name` in `dir_fd` is the file `node`, -ENOENT when it is not, or -EINTR. */
int local_check_name(int dir_fd, const char *name, const LocalNode *node);

/* Gives the node's file a further name. */
int local_link_fd(const LocalNode *node, LocalName to);

/* Operations, see FsOps. */
int local_root(Fs *fs, FsNode **node);
int local_rest(Fs *fs, bool nowait);
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
int local_path(FsNode *node, char *path, size_t size);

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
int local_drop_setid(FsNode *node);
int local_readlink(FsNode *node, char *target, size_t size, size_t *length);
int local_statfs(FsNode *node, struct statfs *st);

/* Whether getxattrat() and its relatives work here; `fd` is any descriptor. */
bool local_has_xattrat(int proc_fd, int fd);

/* Whether the export's file system has user.* attributes. */
bool local_has_user_xattrs(const LocalFs *fs);

/* As getxattr(2) and setxattr(2), on whatever type of file; an error is negative. */
ssize_t local_xattr_get(const LocalFs *fs, LocalName file, const char *name, void *value,
                        size_t size);
int local_xattr_set(const LocalFs *fs, int fd, const char *name, const void *value, size_t size,
                    int flags);

ssize_t local_getxattr(FsNode *node, const char *name, void *value, size_t size, bool nowait);
ssize_t local_listxattr(FsNode *node, char *names, size_t size, bool nowait);
int local_setxattr(FsNode *node, const char *name, const void *value, size_t size, int flags);
int local_removexattr(FsNode *node, const char *name);

int local_lock(FsFile *file, const FsLock *lock);
int local_test_lock(FsFile *file, FsLock *lock);

/*
 * The mapped models; see local_map.c. All but local_map_hides() and local_map_class() are only called
 * when there is a mapping.
 */

/* What is to be made. */
typedef struct LocalNew {
    const char *name;
    mode_t mode; /* the type included */
    FsOwner owner;
    bool is_node; /* by mknod(): `device` counts */
    dev_t device;
    const char *target; /* of a symlink */
    int flags;          /* of a regular file */
} LocalNew;

/* The mapping of a model; NULL when owners and modes are the real ones. */
const LocalMapping *local_mapping(SecurityModel model);

/* Whether guests can neither see nor use `name`. */
bool local_map_hides(const LocalFs *fs, const char *name);

/* What may wait, when looking at a node means to look at what is kept for it. */
FsClass local_map_class(const LocalFs *fs, FsClass class);

/* Replaces the host's values in `attr`, which is the node's, by the guest's. */
int local_map_attr(LocalNode *node, FsAttr *attr);

/* Gives a new node the type that its file has for the guest, in `attr` as well. */
int local_map_node(LocalNode *node, const LocalName *at, FsAttr *attr);
void local_map_node_free(LocalNode *node);

/* The type of an entry that is a regular file on the host. */
mode_t local_map_entry_type(LocalFs *fs, LocalName at);

int local_map_setattr(LocalNode *node, const FsChange *change);

int local_map_drop_setid(LocalNode *node);

/* The target of a symlink that is a stand-in. */
int local_map_readlink(const LocalNode *node, char *target, size_t size, size_t *length);

/* Creates what must not exist. Returns 0 and a descriptor of it, for a regular file opened with the
 * flags; *attr receives what it is for the guest. */
int local_map_make(FsNode *dir, const LocalNew *new, FsAttr *attr, int *fd);

int local_map_link(LocalNode *node, LocalName to);
int local_map_unlink(LocalFs *fs, LocalName at, int flags);
int local_map_rename(LocalFs *fs, LocalName from, LocalName to);

#endif
