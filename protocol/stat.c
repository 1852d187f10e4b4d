/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stat: see stat.h. */
#include "protocol/stat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "protocol/codec.h"
#include "protocol/id_map.h"

/* The bits that say what a file is, and those that no file here can have. */
#define TYPE_BITS                                                                             \
    (P9_DMDIR | P9_DMAPPEND | P9_DMEXCL | P9_DMMOUNT | P9_DMAUTH | P9_DMSYMLINK | P9_DMLINK | \
     P9_DMDEVICE | P9_DMNAMEDPIPE | P9_DMSOCKET)

static const struct {
    uint32_t wire;
    mode_t host;
} permission_map[] = {
    {P9_DMSETUID, S_ISUID},
    {P9_DMSETGID, S_ISGID},
    {P9_DMSETVTX, S_ISVTX},
};

static bool has_extension(Dialect dialect)
{
    return dialect != DIALECT_9P2000;
}

bool parse_number(const char *text, uint32_t *number)
{
    unsigned long value;
    char *end;

    if (!g_ascii_isdigit(text[0]))
        return false;
    errno = 0;
    value = strtoul(text, &end, 10);
    while (g_ascii_isspace(*end))
        end++;
    *number = (uint32_t)value;
    return *end == '\0' && errno == 0 && value <= UINT32_MAX;
}

/*
 * Modes
 */

mode_t stat_permissions(uint32_t perm)
{
    mode_t mode = perm & 0777;

    for (size_t i = 0; i < G_N_ELEMENTS(permission_map); i++) {
        if (perm & permission_map[i].wire)
            mode |= permission_map[i].host;
    }
    return mode;
}

static uint32_t type_bits(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFLNK:
        return P9_DMSYMLINK;
    case S_IFBLK:
    case S_IFCHR:
        return P9_DMDEVICE;
    case S_IFIFO:
        return P9_DMNAMEDPIPE;
    case S_IFSOCK:
        return P9_DMSOCKET;
    default:
        return 0;
    }
}

uint32_t stat_mode(mode_t mode, Dialect dialect)
{
    uint32_t wire = (mode & 0777) | (S_ISDIR(mode) ? P9_DMDIR : 0);

    if (!has_extension(dialect))
        return wire;
    for (size_t i = 0; i < G_N_ELEMENTS(permission_map); i++) {
        if (mode & permission_map[i].host)
            wire |= permission_map[i].wire;
    }
    return wire | type_bits(mode);
}

/*
 * Describing a file
 */

/* The extension, which says what a mode has no room for. */
static int describe_extension(FsNode *node, const FsAttr *attr, char text[PATH_MAX])
{
    size_t length;
    int error;

    text[0] = '\0';
    switch (attr->stx_mode & S_IFMT) {
    case S_IFLNK:
        error = node->fs->ops->readlink(node, text, PATH_MAX, &length);
        if (!error && length >= PATH_MAX)
            error = -ENAMETOOLONG;
        if (!error)
            text[length] = '\0';
        return error;
    case S_IFBLK:
    case S_IFCHR:
        snprintf(text, PATH_MAX, "%c %u %u", S_ISBLK(attr->stx_mode) ? 'b' : 'c',
                 attr->stx_rdev_major, attr->stx_rdev_minor);
        return 0;
    default:
        if (attr->stx_nlink != 1) /* 1 is what a client takes for granted */
            snprintf(text, PATH_MAX, "HARDLINKCOUNT %" PRIu32, (uint32_t)attr->stx_nlink);
        return 0;
    }
}

static uint32_t wire_time(int64_t seconds)
{
    return (uint32_t)CLAMP(seconds, 0, (int64_t)UINT32_MAX);
}

int stat_describe(FsNode *node, FsFile *file, const char *name, Dialect dialect,
                  const ExportOptions *options, StatText *text, StatRecord *record)
{
    bool extended = has_extension(dialect);
    uint32_t uid, gid;
    FsAttr attr;
    Qid qid;
    int error = node->fs->ops->getattr(node, file, &attr, &qid);

    if (!error && extended)
        error = describe_extension(node, &attr, text->extension);
    if (error)
        return error;
    uid = id_map_to_guest(&options->users, attr.stx_uid);
    gid = id_map_to_guest(&options->groups, attr.stx_gid);
    snprintf(text->uid, sizeof(text->uid), "%" PRIu32, uid);
    snprintf(text->gid, sizeof(text->gid), "%" PRIu32, gid);
    *record = (StatRecord){
        .qid = qid,
        .mode = stat_mode(attr.stx_mode, dialect),
        .atime = wire_time(attr.stx_atime.tv_sec),
        .mtime = wire_time(attr.stx_mtime.tv_sec),
        .length = S_ISDIR(attr.stx_mode) && !extended ? 0 : attr.stx_size,
        .name = name,
        .uid = extended ? "" : text->uid,
        .gid = extended ? "" : text->gid,
        .muid = "",
        .extension = text->extension,
        .n_uid = uid,
        .n_gid = gid,
        .n_muid = P9_NOUSER,
    };
    return 0;
}

/*
 * Records in messages
 */

size_t stat_size_min(Dialect dialect)
{
    enum {
        NUMBERS = 2 + 2 + 4 + P9_QID_SIZE + 3 * 4 + 8,
        TEXTS = 4 * 2,
        EXTENSION = 2 + 3 * 4,
    };

    return NUMBERS + TEXTS + (has_extension(dialect) ? EXTENSION : 0);
}

size_t stat_size(const StatRecord *s, Dialect dialect)
{
    size_t texts = strlen(s->name) + strlen(s->uid) + strlen(s->gid) + strlen(s->muid);

    if (has_extension(dialect))
        texts += strlen(s->extension);
    return stat_size_min(dialect) + texts;
}

static void write_text(ByteWriter *w, const char *text)
{
    write_string(w, text, strlen(text));
}

void write_stat(ByteWriter *w, const StatRecord *s, Dialect dialect)
{
    write_u16(w, (uint16_t)(stat_size(s, dialect) - sizeof(uint16_t)));
    write_u16(w, s->type);
    write_u32(w, s->dev);
    write_qid(w, &s->qid);
    write_u32(w, s->mode);
    write_u32(w, s->atime);
    write_u32(w, s->mtime);
    write_u64(w, s->length);
    write_text(w, s->name);
    write_text(w, s->uid);
    write_text(w, s->gid);
    write_text(w, s->muid);
    if (!has_extension(dialect))
        return;
    write_text(w, s->extension);
    write_u32(w, s->n_uid);
    write_u32(w, s->n_gid);
    write_u32(w, s->n_muid);
}

/*
 * Changes
 */

bool stat_asks_change(const StatRecord *s)
{
    bool owner = s->n_uid != P9_NOUSER || s->n_gid != P9_NOUSER || *s->uid || *s->gid;
    bool times = s->atime != UINT32_MAX || s->mtime != UINT32_MAX;

    return *s->name || owner || times || s->mode != UINT32_MAX || s->length != UINT64_MAX;
}

/* An owner or group: by number, or, with no number, by a text that is one. */
static int read_id(uint32_t number, const char *text, uint32_t bit, FsChange *change, uint32_t *id)
{
    if (number == P9_NOUSER && text[0] == '\0')
        return 0;
    if (number == P9_NOUSER && !parse_number(text, &number))
        return -EINVAL;
    *id = number;
    change->valid |= bit;
    return 0;
}

/* A client that knows nothing of special files leaves their type bits out. */
static int read_mode(uint32_t wire, Dialect dialect, const FsAttr *attr, FsChange *change)
{
    uint32_t now = stat_mode(attr->stx_mode, dialect) & TYPE_BITS;

    if (wire == UINT32_MAX)
        return 0;
    if ((wire & TYPE_BITS & ~now) || (now & ~wire & P9_DMDIR))
        return -EIO;
    change->mode = stat_permissions(wire);
    if (!has_extension(dialect) && S_ISDIR(attr->stx_mode))
        change->mode |= attr->stx_mode & 07000; /* which 9P2000 cannot name */
    change->valid |= P9_SETATTR_MODE;
    return 0;
}

static int read_length(uint64_t length, const FsAttr *attr, FsChange *change)
{
    if (length == UINT64_MAX)
        return 0;
    if (S_ISDIR(attr->stx_mode))
        return length == 0 ? 0 : -EISDIR;
    change->size = length;
    change->valid |= P9_SETATTR_SIZE;
    return 0;
}

static void read_time(uint32_t seconds, uint32_t bits, FsChange *change, struct timespec *time)
{
    if (seconds == UINT32_MAX)
        return;
    *time = (struct timespec){.tv_sec = seconds};
    change->valid |= bits;
}

int stat_read_change(const StatRecord *s, Dialect dialect, const FsAttr *attr, FsChange *change)
{
    int error;

    *change = (FsChange){0};
    error = read_id(s->n_uid, s->uid, P9_SETATTR_UID, change, &change->uid);
    if (!error)
        error = read_id(s->n_gid, s->gid, P9_SETATTR_GID, change, &change->gid);
    if (!error)
        error = read_mode(s->mode, dialect, attr, change);
    if (!error)
        error = read_length(s->length, attr, change);
    read_time(s->atime, P9_SETATTR_ATIME | P9_SETATTR_ATIME_SET, change, &change->atime);
    read_time(s->mtime, P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET, change, &change->mtime);
    return error;
}
