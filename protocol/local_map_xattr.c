/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The format "mapped-xattr": user.virtfs.uid, .gid and .mode hold 32 bits, user.virtfs.rdev holds
 * 64, all little endian; see local_map.h.
 *
 * What is kept belongs to the inode, as it should: names may change as they like.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "protocol/local_map.h"

#define ATTR_UID  "user.virtfs.uid"
#define ATTR_GID  "user.virtfs.gid"
#define ATTR_MODE "user.virtfs.mode"
#define ATTR_RDEV "user.virtfs.rdev"

/* A value of another size is none. So is one that this process may not read, since the host's values
 * can still be shown then. */
static bool is_absent(ssize_t got)
{
    return got >= 0 || got == -ENODATA || got == -ERANGE || got == -EOPNOTSUPP || got == -EACCES;
}

/* Returns the bit when the attribute is there, 0 when not, or a negative errno. */
static int load_field(const LocalFs *fs, LocalName file, const char *attr, unsigned bit,
                      uint64_t *value)
{
    size_t size = bit == MAP_RDEV ? sizeof(uint64_t) : sizeof(uint32_t);
    uint8_t bytes[sizeof(uint64_t)];
    ssize_t got = local_xattr_get(fs, file, attr, bytes, size);
    ByteReader r = byte_reader(bytes, size);

    if (got != (ssize_t)size)
        return is_absent(got) ? 0 : (int)got;
    *value = bit == MAP_RDEV ? read_u64(&r) : read_u32(&r);
    return (int)bit;
}

static int load_u32(const LocalFs *fs, LocalName file, const char *attr, unsigned bit,
                    MapMeta *meta, uint32_t *field)
{
    uint64_t value;
    int found = load_field(fs, file, attr, bit, &value);

    if (found <= 0)
        return found;
    *field = (uint32_t)value;
    meta->has |= bit;
    return 0;
}

/* Only a device has a device number that matters. */
static int load_rdev(const LocalFs *fs, LocalName file, MapMeta *meta)
{
    int found;

    if (!S_ISCHR(meta->mode) && !S_ISBLK(meta->mode))
        return 0;
    found = load_field(fs, file, ATTR_RDEV, MAP_RDEV, &meta->rdev);
    if (found > 0)
        meta->has |= MAP_RDEV;
    return MIN(found, 0);
}

static int load_meta(const LocalFs *fs, LocalName file, unsigned wanted, MapMeta *meta)
{
    int error = 0;

    *meta = (MapMeta){0};
    if (wanted & (MAP_MODE | MAP_RDEV))
        error = load_u32(fs, file, ATTR_MODE, MAP_MODE, meta, &meta->mode);
    if (!error && (wanted & MAP_UID))
        error = load_u32(fs, file, ATTR_UID, MAP_UID, meta, &meta->uid);
    if (!error && (wanted & MAP_GID))
        error = load_u32(fs, file, ATTR_GID, MAP_GID, meta, &meta->gid);
    if (!error && (wanted & MAP_RDEV))
        error = load_rdev(fs, file, meta);
    return error;
}

static LocalName file_of(const LocalNode *node)
{
    return (LocalName){.dir_fd = node->fd};
}

static int xattr_load(LocalNode *node, const LocalName *at, unsigned wanted, MapMeta *meta)
{
    (void)at;
    return load_meta(local_fs(&node->base), file_of(node), wanted, meta);
}

static int store_u32(const LocalFs *fs, int fd, const char *attr, uint32_t value)
{
    uint8_t bytes[sizeof(uint32_t)];
    ByteWriter w = byte_writer(bytes, sizeof(bytes));

    write_u32(&w, value);
    return local_xattr_set(fs, fd, attr, bytes, sizeof(bytes), 0);
}

static int store_u64(const LocalFs *fs, int fd, const char *attr, uint64_t value)
{
    uint8_t bytes[sizeof(uint64_t)];
    ByteWriter w = byte_writer(bytes, sizeof(bytes));

    write_u64(&w, value);
    return local_xattr_set(fs, fd, attr, bytes, sizeof(bytes), 0);
}

/* The mode goes first: set-id bits are gone before there is another owner. */
static int xattr_dress(LocalFs *fs, int fd, const MapMeta *meta)
{
    int error = 0;

    if (meta->has & MAP_MODE)
        error = store_u32(fs, fd, ATTR_MODE, meta->mode);
    if (!error && (meta->has & MAP_UID))
        error = store_u32(fs, fd, ATTR_UID, meta->uid);
    if (!error && (meta->has & MAP_GID))
        error = store_u32(fs, fd, ATTR_GID, meta->gid);
    if (!error && (meta->has & MAP_RDEV))
        error = store_u64(fs, fd, ATTR_RDEV, meta->rdev);
    return error;
}

/* Keeps the changes of one inode apart, within this process. */
static pthread_mutex_t *lock_of(const LocalNode *node)
{
    static pthread_mutex_t locks[] = {
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
        PTHREAD_MUTEX_INITIALIZER,
    };

    return &locks[node->inode % G_N_ELEMENTS(locks)];
}

/* What the change needs to know, and then what is different. */
static int store_locked(LocalNode *node, const MapChange *change)
{
    LocalFs *fs = local_fs(&node->base);
    unsigned needed = change->drops_privileges ? MAP_MODE : 0;
    MapMeta meta;
    unsigned before;
    uint32_t mode;
    int error = load_meta(fs, file_of(node), needed, &meta);

    if (error)
        return error;
    before = meta.has;
    mode = meta.mode;
    if (!map_apply(change, &meta))
        return 0;
    if ((before & MAP_MODE) && meta.mode == mode && !(change->to.has & MAP_MODE))
        meta.has &= ~(unsigned)MAP_MODE; /* as it was */
    return xattr_dress(fs, node->fd, &meta);
}

static int xattr_store(LocalNode *node, const MapChange *change)
{
    pthread_mutex_t *lock = lock_of(node);
    int error;

    pthread_mutex_lock(lock);
    error = store_locked(node, change);
    pthread_mutex_unlock(lock);
    return error;
}

static bool xattr_has_privileges(LocalNode *node)
{
    MapMeta meta;

    return load_meta(local_fs(&node->base), file_of(node), MAP_MODE, &meta) == 0 &&
           map_is_privileged(meta.mode);
}

static uint32_t xattr_entry_mode(LocalFs *fs, LocalName at)
{
    MapMeta meta;

    return load_meta(fs, at, MAP_MODE, &meta) == 0 ? meta.mode : 0;
}

const LocalMapping map_xattr = {
    .load = xattr_load,
    .store = xattr_store,
    .has_privileges = xattr_has_privileges,
    .entry_mode = xattr_entry_mode,
    .dress = xattr_dress,
};
