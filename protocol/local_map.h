/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local, the mapped models: owners, modes and devices of the guest that are kept beside files which
 * all belong to this process. See local_internal.h for the rest of the local file system.
 *
 *     local_map.c        what both formats share: overlaying, making, changing
 *     local_map_xattr.c  the format "mapped-xattr": user.virtfs.* of the file
 *     local_map_file.c   the format "mapped-file": which side file belongs to which name
 *     local_map_side.c   one side file and the folder that holds it
 *
 * Both formats are QEMU's. Each field is kept or not by itself; where one is not, the guest sees
 * the host's value. A symlink, device, FIFO or socket of the guest is a regular file here: a
 * stand-in, whose kept mode says what it stands for. Nothing else is believed about types: what is
 * a directory here is one for the guest, and nothing else is.
 */
#ifndef PROTOCOL_LOCAL_MAP_H
#define PROTOCOL_LOCAL_MAP_H

#include "protocol/local_internal.h"

/* The fields that can be kept. */
enum {
    MAP_UID = 1 << 0,
    MAP_GID = 1 << 1,
    MAP_MODE = 1 << 2,
    MAP_RDEV = 1 << 3,
    MAP_ALL = MAP_UID | MAP_GID | MAP_MODE | MAP_RDEV,
};

/* What is kept for one file. */
typedef struct MapMeta {
    unsigned has; /* MAP_ bits: the fields that are kept; the others are 0 */
    uint32_t uid;
    uint32_t gid;
    uint32_t mode; /* the type included */
    uint64_t rdev; /* a dev_t */
} MapMeta;

/* A change of what is kept. */
typedef struct MapChange {
    MapMeta to;            /* the fields that it has are set */
    bool drops_privileges; /* and set-id bits go from a mode that is not set */
    mode_t host_mode;      /* what counts while no mode is kept */
} MapChange;

/* The side folder of a directory, locked. */
typedef struct SideDir {
    int fd; /* -1: there is none */
    bool by_mutex;
} SideDir;

/* A name that is being given to a new file. */
typedef struct MapBirth {
    LocalName at;
    MapMeta meta;
    const char *target; /* of a symlink: its stand-in's content */
    int flags;          /* how the file is to be opened */
    SideDir sides;      /* of the format, from prepare to finish */
} MapBirth;

/* A format. All but load, store and has_privileges may be NULL: nothing to do, or what the host
 * does. Every function may be called by several threads at once, and may wait. */
struct LocalMapping {
    /* Reads the fields of `wanted`, and perhaps more. `at` is the name under which the node was just
     * found, or NULL. */
    int (*load)(LocalNode *node, const LocalName *at, unsigned wanted, MapMeta *meta);

    /* Changes what is kept, as one step for everybody who does the same. */
    int (*store)(LocalNode *node, const MapChange *change);

    /* Whether the node's kept mode has set-id bits that a write takes away. Called for each. */
    bool (*has_privileges)(LocalNode *node);

    /* The kept mode of an entry which the host says is a regular file; 0 when none is kept. */
    uint32_t (*entry_mode)(LocalFs *fs, LocalName at);

    /* A new file: prepare comes before it can be seen, -EEXIST when the name is taken; dress when it
     * exists as `fd`, if possible before it has its name; finish at the end if prepare succeeded. */
    int (*prepare)(LocalFs *fs, MapBirth *birth);
    int (*dress)(LocalFs *fs, int fd, const MapMeta *meta);
    void (*finish)(LocalFs *fs, MapBirth *birth, int error);

    int (*link)(LocalNode *node, LocalName to);
    int (*unlink)(LocalFs *fs, LocalName at, int flags);
    int (*rename)(LocalFs *fs, LocalName from, LocalName to);

    /* Corrects `attr` of a directory for what the format put there. */
    void (*correct_directory)(LocalNode *node, FsAttr *attr);

    /* Whether guests can neither see nor use `name`. */
    bool (*hides)(const char *name);

    void (*node_free)(LocalNode *node);
};

extern const LocalMapping map_xattr;
extern const LocalMapping map_file;

/* The mode that a guest sees of a file with the host's `host` and the kept mode `kept`. */
mode_t map_mode(mode_t host, uint32_t kept);

/* True for bits that make a program run as somebody else. */
bool map_is_privileged(uint32_t mode);

/* Changes `meta` as `change` says. Returns false when nothing is different. */
bool map_apply(const MapChange *change, MapMeta *meta);

/*
 * One side file; see local_map_side.c.
 */
#define SIDE_DIR  ".virtfs_metadata"
#define SIDE_ROOT ".virtfs_metadata_root"

typedef enum SideUse {
    SIDE_READ,  /* with others that read */
    SIDE_WRITE, /* alone */
    SIDE_MAKE,  /* alone, and it is made where there is none */
} SideUse;

/* Opens and locks the side folder of the directory `dir_fd`. -ENOENT: there is none. -EINTR: this
 * thread was interrupted while it waited for the lock. */
int side_dir_open(int dir_fd, SideUse use, SideDir *sides);
void side_dir_close(SideDir *sides); /* also one that has fd -1 */

/* Whether an error of side_dir_open() says that nothing is kept there: there is no folder, or what
 * has its name is none. */
bool side_is_absent(int error);

/* Removes side folder and side files of the directory `at` when it holds nothing else. Returns
 * -ENOTEMPTY when it does. */
int side_dir_clear(LocalName at);

/* Reads the side file `name` in `at_fd`. Without one, and from what is none, nothing is kept. */
int side_load(int at_fd, const char *name, MapMeta *meta);

/* Writes it, through the temporary file of `sides`, which is locked for writing. A side file with
 * several names is written in place, since its other names must show the same. */
int side_store(const SideDir *sides, int at_fd, const char *name, const MapMeta *meta);

/* The same with a descriptor of it, always in place. */
int side_load_fd(int fd, MapMeta *meta);
int side_store_fd(int fd, const MapMeta *meta);

#endif
