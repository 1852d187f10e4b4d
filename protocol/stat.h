/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stat: the record by which 9P2000 and 9P2000.u describe a file. Rstat and Twstat carry one, a
 * directory is read as a row of them.
 *
 * A record that describes a file borrows its texts from a StatText, which lives as long. In a
 * record that asks for changes (Twstat) each number of all ones and each empty text means "leave
 * that as it is"; n_muid and muid mean nothing.
 */
#ifndef PROTOCOL_STAT_H
#define PROTOCOL_STAT_H

#include <limits.h>
#include <sys/types.h>

#include "common/bytes.h"
#include "protocol/export_options.h"
#include "protocol/fs.h"

typedef struct StatRecord {
    uint16_t type;
    uint32_t dev;
    Qid qid;
    uint32_t mode;
    uint32_t atime, mtime; /* seconds */
    uint64_t length;
    const char *name, *uid, *gid, *muid;
    const char *extension; /* from here on: not in 9P2000 */
    uint32_t n_uid, n_gid, n_muid;
} StatRecord;

typedef struct StatText {
    char extension[PATH_MAX];
    char uid[12], gid[12];
} StatText;

/* Describes the node in `dialect`, to the guest of an export served with `options`. `file` is an open file of it, or NULL; `name` its name. Returns
 * 0 or a negative errno. May wait when the node is a symbolic link. */
int stat_describe(FsNode *node, FsFile *file, const char *name, Dialect dialect,
                  const ExportOptions *options, StatText *text, StatRecord *record);

/* Bytes that write_stat() needs, its size[2] included; and at least, for one with empty texts. */
size_t stat_size_min(Dialect dialect);
size_t stat_size(const StatRecord *record, Dialect dialect);
void write_stat(ByteWriter *w, const StatRecord *record, Dialect dialect);

/* The permissions, set-id and sticky bits that `perm` (or a record's mode) asks for. */
mode_t stat_permissions(uint32_t perm);

/* What the record of a file of mode `mode` says in its place, file type included. */
uint32_t stat_mode(mode_t mode, Dialect dialect);

/* Whether `record`, of a Twstat, asks for any change at all. */
bool stat_asks_change(const StatRecord *record);

/* What `record`, of a Twstat, asks to change in a file that now is as `attr` says, name excepted:
 * change->valid is 0 when that is nothing. The ids are as in the record. Returns 0 or the error to answer: -EIO for another file
 * type, -EINVAL for a user or group without a number, -EISDIR for the length of a directory. */
int stat_read_change(const StatRecord *record, Dialect dialect, const FsAttr *attr,
                     FsChange *change);

/* The decimal number that makes up `text`, apart from white space behind it. Returns false when it
 * is none, or does not fit. */
bool parse_number(const char *text, uint32_t *number);

#endif
