/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The format "mapped-file": which side file belongs to which file; see local_map.h.
 *
 * A side file belongs to a name, a node to an inode. So a node's name is looked up for every use,
 * and looked at again under the lock of the folder. What was last read or written is remembered for
 * the inode, in this process: that is what an open file is left with whose name somebody removed.
 * All nodes of one inode share it.
 *
 * Names change together with their side files under the locks of the folders. These are taken in
 * the order of their directories' inodes, and rmdir() holds only one at a time.
 *
 * A hard link's side file is a hard link too, so that all names show the same. Where it is not one,
 * because the tree was copied so, a change is seen under the name that it was made through.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/local_map.h"
#include "protocol/local_park.h"

enum { ATTEMPTS = 16 }; /* somebody else renames at the same time */

/* No guest can give an entry this name: here a side file waits for its entry to be renamed. */
#define MOVING SIDE_ROOT

/*
 * What is remembered
 */

struct LocalKept {
    dev_t device; /* device and inode are the key */
    uint64_t inode;
    unsigned refs; /* nodes; under the lock, as are: */
    bool is_known;
    MapMeta meta;
    int side_fd; /* an O_PATH one of the side file of a name that is gone, if others are left */
};

static guint hash_kept(gconstpointer key)
{
    const LocalKept *kept = key;

    return (guint)(kept->inode ^ kept->inode >> 32);
}

static gboolean is_same_kept(gconstpointer a, gconstpointer b)
{
    const LocalKept *x = a, *y = b;

    return x->inode == y->inode && x->device == y->device;
}

/* Called with the lock held. */
static LocalKept *find_kept(LocalFs *fs, dev_t device, uint64_t inode)
{
    LocalKept key = {.device = device, .inode = inode};

    return fs->kept ? g_hash_table_lookup(fs->kept, &key) : NULL;
}

/* Called with the lock held. */
static LocalKept *add_kept(LocalFs *fs, const LocalNode *node)
{
    LocalKept *kept = g_new0(LocalKept, 1);

    if (!fs->kept)
        fs->kept = g_hash_table_new(hash_kept, is_same_kept);
    kept->device = node->device;
    kept->inode = node->inode;
    kept->side_fd = -1;
    g_hash_table_add(fs->kept, kept);
    return kept;
}

static void join_kept(LocalNode *node)
{
    LocalFs *fs = local_fs(&node->base);
    LocalKept *kept;

    if (node->kept)
        return;
    pthread_mutex_lock(&fs->kept_lock);
    kept = find_kept(fs, node->device, node->inode);
    if (!kept)
        kept = add_kept(fs, node);
    kept->refs++;
    node->kept = kept;
    pthread_mutex_unlock(&fs->kept_lock);
}

/* Closes what open_side() has opened, or nothing. */
static void close_side(LocalFs *fs, int fd)
{
    if (fd < 0)
        return;
    close(fd);
    local_unclaim(fs);
}

static void file_node_free(LocalNode *node)
{
    LocalFs *fs = local_fs(&node->base);
    LocalKept *kept = node->kept;

    if (!kept)
        return;
    pthread_mutex_lock(&fs->kept_lock);
    if (--kept->refs == 0) {
        g_hash_table_remove(fs->kept, kept);
        close_side(fs, kept->side_fd);
        g_free(kept);
    }
    if (g_hash_table_size(fs->kept) == 0)
        g_clear_pointer(&fs->kept, g_hash_table_unref);
    pthread_mutex_unlock(&fs->kept_lock);
}

static void remember(LocalNode *node, const MapMeta *meta)
{
    LocalFs *fs = local_fs(&node->base);

    pthread_mutex_lock(&fs->kept_lock);
    node->kept->meta = *meta;
    node->kept->is_known = true;
    pthread_mutex_unlock(&fs->kept_lock);
}

/* Returns whether anything was remembered yet; if not, nothing is kept. */
static bool recall(LocalNode *node, MapMeta *meta)
{
    LocalFs *fs = local_fs(&node->base);
    bool is_known;

    pthread_mutex_lock(&fs->kept_lock);
    *meta = node->kept->meta;
    is_known = node->kept->is_known;
    pthread_mutex_unlock(&fs->kept_lock);
    return is_known;
}

/* Remembers the side file of the entry `at`, for a file that has further names. Takes over `fd`. */
static void keep_side(LocalFs *fs, const FsAttr *attr, const MapMeta *meta, int fd)
{
    LocalKept *kept;

    pthread_mutex_lock(&fs->kept_lock);
    kept = find_kept(fs, local_attr_device(attr), attr->stx_ino);
    if (kept) {
        kept->meta = *meta;
        kept->is_known = true;
        if (kept->side_fd < 0) {
            kept->side_fd = fd;
            fd = -1;
        }
    }
    pthread_mutex_unlock(&fs->kept_lock);
    close_side(fs, fd);
}

/* Opens the side file of an entry, to be kept; -1 when there is none, or no descriptor for it. */
static int open_side(LocalFs *fs, const SideDir *sides, const char *name)
{
    int fd;

    if (local_claim(fs, true) != 0)
        return -1;
    fd = UNINTERRUPTED(openat(sides->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0)
        local_unclaim(fs);
    return fd;
}

/* Remembers once more what is about to lose its name, if somebody holds it. */
static void remember_entry(LocalFs *fs, const SideDir *sides, LocalName at)
{
    MapMeta meta;
    FsAttr attr;
    bool is_held;
    int fd = -1;

    if (local_statx(at.dir_fd, at.name, false, &attr) != 0)
        return;
    pthread_mutex_lock(&fs->kept_lock);
    is_held = find_kept(fs, local_attr_device(&attr), attr.stx_ino) != NULL;
    pthread_mutex_unlock(&fs->kept_lock);
    if (!is_held || side_load(sides->fd, at.name, &meta) != 0)
        return;
    if (attr.stx_nlink > 1 && !S_ISDIR(attr.stx_mode))
        fd = open_side(fs, sides, at.name);
    keep_side(fs, &attr, &meta, fd);
}

/* Opens the side file that a former name had. */
static int open_former_side(LocalNode *node)
{
    LocalFs *fs = local_fs(&node->base);
    struct stat st;
    int fd;

    pthread_mutex_lock(&fs->kept_lock);
    fd = node->kept->side_fd;
    pthread_mutex_unlock(&fs->kept_lock);
    if (fd < 0 || UNINTERRUPTED(fstat(fd, &st)) != 0 || !S_ISREG(st.st_mode) || st.st_nlink == 0)
        return -ENOENT;
    return local_reopen(fs, fd, O_RDWR | O_NONBLOCK);
}

/*
 * Where a node's side file is
 */

typedef struct Place {
    int dir_fd; /* of the entry */
    bool owns_dir_fd;
    char name[NAME_MAX + 1];
    bool is_root;
    SideDir sides;
} Place;

/* The root has no name below the root: its side file lies in itself. */
static int find_entry(LocalNode *node, const LocalName *at, Place *place)
{
    LocalFs *fs = local_fs(&node->base);
    int error;

    *place = (Place){.dir_fd = fs->root_fd, .sides.fd = -1};
    place->is_root = local_is_root(node);
    if (place->is_root)
        return 0;
    if (at) {
        place->dir_fd = at->dir_fd;
        g_strlcpy(place->name, at->name, sizeof(place->name));
        return 0;
    }
    error = local_find_name(&node->base, &place->dir_fd, place->name);
    place->owns_dir_fd = !error;
    return error;
}

static void leave_place(Place *place)
{
    side_dir_close(&place->sides);
    if (place->owns_dir_fd)
        close(place->dir_fd);
}

static bool is_still_there(const LocalNode *node, const Place *place)
{
    return place->is_root || local_check_name(place->dir_fd, place->name, node) == 0;
}

/* Finds the entry of `node` and locks its side folder, which is absent only when reading. An error
 * that local_find_name() gives says that there is no name to be found. */
static int enter_place(LocalNode *node, const LocalName *at, SideUse use, Place *place)
{
    int error;

    for (unsigned i = 0; i < ATTEMPTS; i++) {
        error = find_entry(node, at, place);
        if (error)
            return error;
        error = side_dir_open(place->dir_fd, use, &place->sides);
        if (use == SIDE_READ && side_is_absent(error))
            error = 0;
        if (!error && is_still_there(node, place))
            return 0;
        leave_place(place);
        if (error)
            return error == -ENOENT ? -ESTALE : error; /* the directory itself is gone */
        at = NULL;
    }
    return -ESTALE;
}

/* Whether an error of enter_place() is about the name: the file has none, or none that can be found
 * by its path. */
static bool has_no_name(int error)
{
    return error == -ENOENT || error == -ESTALE || error == -ENAMETOOLONG;
}

static int load_side(const Place *place, MapMeta *meta)
{
    *meta = (MapMeta){0};
    if (place->is_root)
        return side_load(place->dir_fd, SIDE_ROOT, meta);
    return place->sides.fd < 0 ? 0 : side_load(place->sides.fd, place->name, meta);
}

static int store_side(const Place *place, const MapMeta *meta)
{
    if (place->is_root)
        return side_store(&place->sides, place->dir_fd, SIDE_ROOT, meta);
    return side_store(&place->sides, place->sides.fd, place->name, meta);
}

/* A file without a name of its own has what is remembered, or what its other names have. One that
 * was just found and is not known went before it was looked at. */
static int load_nameless(LocalNode *node, bool was_found, MapMeta *meta)
{
    int fd = open_former_side(node);
    int error;

    if (fd < 0)
        return !recall(node, meta) && was_found ? -ENOENT : 0;
    error = side_load_fd(fd, meta);
    close(fd);
    return error;
}

static int file_load(LocalNode *node, const LocalName *at, unsigned wanted, MapMeta *meta)
{
    Place place;
    int error;

    (void)wanted;
    join_kept(node);
    error = enter_place(node, at, SIDE_READ, &place);
    if (has_no_name(error))
        return load_nameless(node, at != NULL, meta);
    if (error)
        return error;
    error = load_side(&place, meta);
    if (!error)
        remember(node, meta);
    leave_place(&place);
    return error;
}

/* The change of a file that has no name any more is seen by all who hold it, and under the names
 * that are left. */
static int store_nameless(LocalNode *node, const MapChange *change)
{
    int fd = open_former_side(node);
    MapMeta meta;
    int error = 0;

    recall(node, &meta);
    if (fd >= 0)
        error = side_load_fd(fd, &meta);
    if (!error && map_apply(change, &meta)) {
        remember(node, &meta);
        if (fd >= 0)
            error = side_store_fd(fd, &meta);
    }
    if (fd >= 0)
        close(fd);
    return error;
}

/* The kernel does not know that the file was changed, so its ctime is moved by hand. */
static void touch_ctime(const LocalNode *node)
{
    int result = UNINTERRUPTED(fchownat(node->fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH));

    (void)result; /* a file of somebody else's: what is kept was changed all the same */
}

static int file_store(LocalNode *node, const MapChange *change)
{
    MapMeta meta;
    Place place;
    int error = enter_place(node, NULL, SIDE_MAKE, &place);

    if (error == -ENAMETOOLONG)
        return error; /* it has one, where it cannot be reached */
    if (has_no_name(error))
        return store_nameless(node, change);
    if (error)
        return error;
    error = load_side(&place, &meta);
    if (!error && map_apply(change, &meta))
        error = store_side(&place, &meta);
    if (!error)
        remember(node, &meta);
    leave_place(&place);
    if (!error)
        touch_ctime(node);
    return error;
}

/* From memory, so that a write costs no more: a mode that another process changes counts when it
 * has been looked at. */
static bool file_has_privileges(LocalNode *node)
{
    MapMeta meta;

    return recall(node, &meta) && map_is_privileged(meta.mode);
}

static uint32_t file_entry_mode(LocalFs *fs, LocalName at)
{
    g_autofree char *path = g_strconcat(SIDE_DIR "/", at.name, NULL);
    MapMeta meta;

    (void)fs;
    return side_load(at.dir_fd, path, &meta) == 0 ? meta.mode : 0;
}

/*
 * Making
 */

static bool exists(LocalName at)
{
    FsAttr attr;

    return local_statx(at.dir_fd, at.name, false, &attr) == 0;
}

/* The side file comes first: nobody sees the name without it. */
static int file_prepare(LocalFs *fs, MapBirth *birth)
{
    SideDir sides;
    int error = side_dir_open(birth->at.dir_fd, SIDE_MAKE, &sides);

    (void)fs;
    if (error)
        return error;
    error =
        exists(birth->at) ? -EEXIST : side_store(&sides, sides.fd, birth->at.name, &birth->meta);
    if (error)
        side_dir_close(&sides);
    else
        birth->sides = sides;
    return error;
}

static void file_finish(LocalFs *fs, MapBirth *birth, int error)
{
    (void)fs;
    if (error && !exists(birth->at))
        UNINTERRUPTED(unlinkat(birth->sides.fd, birth->at.name, 0));
    side_dir_close(&birth->sides);
}

/*
 * Names
 */

static int result_of(int returned)
{
    return returned == 0 ? 0 : -errno;
}

static bool is_same_file(const FsAttr *a, const FsAttr *b)
{
    return a->stx_ino == b->stx_ino && local_attr_device(a) == local_attr_device(b);
}

static bool comes_before(const FsAttr *a, const FsAttr *b)
{
    dev_t x = local_attr_device(a), y = local_attr_device(b);

    return x < y || (x == y && a->stx_ino < b->stx_ino);
}

/* The locked side folders of two directories, which may be one. */
typedef struct SidePair {
    SideDir first, second; /* in the order of locking */
    const SideDir *from;
    const SideDir *to;
} SidePair;

static void close_pair(SidePair *pair)
{
    side_dir_close(&pair->second);
    side_dir_close(&pair->first);
}

static int open_pair(int from_fd, int to_fd, SidePair *pair)
{
    FsAttr from, to;
    bool in_order;
    int error = local_statx(from_fd, "", false, &from);

    *pair = (SidePair){.first.fd = -1, .second.fd = -1};
    if (!error)
        error = local_statx(to_fd, "", false, &to);
    if (error)
        return error;
    in_order = !comes_before(&to, &from);
    error = side_dir_open(in_order ? from_fd : to_fd, SIDE_MAKE, &pair->first);
    if (!error && !is_same_file(&from, &to))
        error = side_dir_open(in_order ? to_fd : from_fd, SIDE_MAKE, &pair->second);
    if (error)
        close_pair(pair);
    pair->from = in_order ? &pair->first : &pair->second;
    pair->to = in_order && pair->second.fd >= 0 ? &pair->second : &pair->first;
    return error;
}

/* Gives `to` the side file of `place`, as a hard link if that can be had. */
static int link_side(const Place *place, const SidePair *pair, LocalName to)
{
    MapMeta meta;
    int error;

    if (UNINTERRUPTED(unlinkat(pair->to->fd, to.name, 0)) != 0 && errno != ENOENT)
        return -errno;
    error = result_of(UNINTERRUPTED(linkat(pair->from->fd, place->name, pair->to->fd, to.name, 0)));
    if (error == 0 || error == -ENOENT)
        return 0;
    error = side_load(pair->from->fd, place->name, &meta);
    return error ? error : side_store(pair->to, pair->to->fd, to.name, &meta);
}

/* Links with both folders locked. -ESTALE: `place` is not the node's any more. */
static int link_locked(LocalNode *node, const Place *place, const SidePair *pair, LocalName to)
{
    int error;

    if (exists(to))
        return -EEXIST;
    if (!is_still_there(node, place))
        return -ESTALE;
    error = link_side(place, pair, to);
    if (!error)
        error = local_link_fd(node, to);
    if (error)
        UNINTERRUPTED(unlinkat(pair->to->fd, to.name, 0));
    return error;
}

/* A node whose own name is gone still has others, or cannot be linked. */
static int link_nameless(LocalNode *node, LocalName to)
{
    MapBirth birth = {.at = to};
    LocalFs *fs = local_fs(&node->base);
    int error;

    recall(node, &birth.meta);
    error = file_prepare(fs, &birth);
    if (error)
        return error;
    error = local_link_fd(node, to);
    file_finish(fs, &birth, error);
    return error;
}

static int file_link(LocalNode *node, LocalName to)
{
    int error = -ESTALE;

    for (unsigned i = 0; error == -ESTALE && i < ATTEMPTS; i++) {
        SidePair pair;
        Place place;

        error = find_entry(node, NULL, &place);
        if (has_no_name(error))
            return link_nameless(node, to);
        if (!error && place.is_root)
            error = -EPERM;
        if (!error)
            error = open_pair(place.dir_fd, to.dir_fd, &pair);
        if (!error) {
            error = link_locked(node, &place, &pair, to);
            close_pair(&pair);
        }
        leave_place(&place);
    }
    return error;
}

static int unlink_locked(LocalFs *fs, const SideDir *sides, LocalName at, int flags)
{
    int error;

    if (sides->fd >= 0)
        remember_entry(fs, sides, at);
    error = result_of(UNINTERRUPTED(unlinkat(at.dir_fd, at.name, flags)));
    if (!error && sides->fd >= 0)
        UNINTERRUPTED(unlinkat(sides->fd, at.name, 0));
    return error;
}

static bool is_not_empty(int error)
{
    return error == -ENOTEMPTY || error == -EEXIST;
}

/* A directory that holds a side folder and nothing else is empty for guests. */
static int file_unlink(LocalFs *fs, LocalName at, int flags)
{
    int error = -ENOTEMPTY;

    for (unsigned i = 0; i < ATTEMPTS; i++) {
        SideDir sides;

        error = side_dir_open(at.dir_fd, SIDE_WRITE, &sides);
        if (error && !side_is_absent(error))
            return error;
        error = unlink_locked(fs, &sides, at, flags);
        side_dir_close(&sides);
        if (!(flags & AT_REMOVEDIR) || !is_not_empty(error) || side_dir_clear(at) != 0)
            break;
    }
    return error;
}

/* With a name in between, the side file is never lost and never belongs to what was there. */
static int rename_locked(LocalFs *fs, const SidePair *pair, LocalName from, LocalName to)
{
    bool moves = UNINTERRUPTED(renameat(pair->from->fd, from.name, pair->to->fd, MOVING)) == 0;
    int error;

    if (!moves && errno != ENOENT)
        return -errno;
    remember_entry(fs, pair->to, to);
    error = result_of(UNINTERRUPTED(renameat(from.dir_fd, from.name, to.dir_fd, to.name)));
    if (error && moves)
        UNINTERRUPTED(renameat(pair->to->fd, MOVING, pair->from->fd, from.name));
    else if (!error && moves)
        error = result_of(UNINTERRUPTED(renameat(pair->to->fd, MOVING, pair->to->fd, to.name)));
    else if (!error)
        UNINTERRUPTED(unlinkat(pair->to->fd, to.name, 0));
    return error;
}

/* Two names of one file: rename() leaves both as they are. */
static bool names_same_file(LocalName a, LocalName b)
{
    FsAttr x, y;

    return local_statx(a.dir_fd, a.name, false, &x) == 0 &&
           local_statx(b.dir_fd, b.name, false, &y) == 0 && is_same_file(&x, &y);
}

static int file_rename(LocalFs *fs, LocalName from, LocalName to)
{
    int error = -ENOTEMPTY;

    for (unsigned i = 0; i < ATTEMPTS; i++) {
        SidePair pair;

        error = open_pair(from.dir_fd, to.dir_fd, &pair);
        if (error)
            return error;
        if (!names_same_file(from, to))
            error = rename_locked(fs, &pair, from, to);
        close_pair(&pair);
        if (!is_not_empty(error) || side_dir_clear(to) != 0)
            break;
    }
    return error;
}

/* The side folder is no subdirectory that a guest could find. Where directories do not count
 * theirs, the number of links is 1. */
static void correct_directory(LocalNode *node, FsAttr *attr)
{
    FsAttr folder;

    if (attr->stx_nlink > 2 && local_statx(node->fd, SIDE_DIR, false, &folder) == 0 &&
        S_ISDIR(folder.stx_mode))
        attr->stx_nlink--;
}

static bool file_hides(const char *name)
{
    return strcmp(name, SIDE_DIR) == 0 || strcmp(name, SIDE_ROOT) == 0;
}

const LocalMapping map_file = {
    .load = file_load,
    .store = file_store,
    .has_privileges = file_has_privileges,
    .entry_mode = file_entry_mode,
    .prepare = file_prepare,
    .finish = file_finish,
    .link = file_link,
    .unlink = file_unlink,
    .rename = file_rename,
    .correct_directory = correct_directory,
    .hides = file_hides,
    .node_free = file_node_free,
};
