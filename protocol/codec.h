/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Codec: T-messages from bytes to structures, and the pieces of R-messages back.
 *
 * Decoding works on a private copy of the message and changes it: strings stay where they are and
 * get a terminating NUL, so the copy needs one byte of room behind the message.
 */
#ifndef PROTOCOL_CODEC_H
#define PROTOCOL_CODEC_H

#include "common/bytes.h"
#include "protocol/stat.h"
#include "protocol/wire.h"

/* A decoded T-message. Strings point into the message that was decoded, are terminated and hold
 * no NUL inside. `fid` is the message's first fid field, whatever the specification calls it. */
typedef struct Tmessage {
    uint8_t type;
    uint16_t tag;
    uint32_t fid;
    union {
        struct {
            uint32_t msize;
            char *version;
        } version;
        struct {
            uint32_t afid;
            char *uname;
            char *aname;
            uint32_t n_uname;
        } attach;
        struct {
            uint16_t oldtag;
        } flush;
        struct {
            uint32_t newfid;
            uint16_t n_names;
            char *names[P9_MAX_WALK];
        } walk;
        struct {
            uint32_t flags;
        } lopen;
        struct {
            uint8_t mode;
        } open;
        struct {
            char *name;
            uint32_t perm;
            uint8_t mode;
            char *extension; /* "" in 9P2000 */
        } create;
        StatRecord wstat;
        struct {
            char *name;
            uint32_t flags;
            uint32_t mode;
            uint32_t gid;
        } lcreate; /* also Tmkdir, without flags */
        struct {
            char *name;
            char *target;
            uint32_t gid;
        } symlink;
        struct {
            char *name;
            uint32_t mode;
            uint32_t major;
            uint32_t minor;
            uint32_t gid;
        } mknod;
        struct {
            uint32_t dfid;
            char *name;
        } rename;
        struct {
            uint32_t fid; /* the file; Tmessage.fid is the directory */
            char *name;
        } link;
        struct {
            char *old_name;
            uint32_t new_dfid;
            char *new_name;
        } renameat;
        struct {
            char *name;
            uint32_t flags;
        } unlinkat;
        struct {
            uint32_t newfid;
            char *name;
        } xattrwalk;
        struct {
            char *name;
            uint64_t size;
            uint32_t flags;
        } xattrcreate;
        struct {
            uint8_t type;
            uint32_t flags; /* Tlock only */
            uint64_t start;
            uint64_t length;
            uint32_t proc_id;
            char *client_id;
        } lock; /* also Tgetlock */
        struct {
            uint64_t mask;
        } getattr;
        struct {
            uint32_t valid;
            uint32_t mode;
            uint32_t uid;
            uint32_t gid;
            uint64_t size;
            uint64_t atime_sec;
            uint64_t atime_nsec;
            uint64_t mtime_sec;
            uint64_t mtime_nsec;
        } setattr;
        struct {
            uint64_t offset;
            uint32_t count;
            uint8_t *data; /* Twrite only */
        } io;              /* Tread, Twrite, Treaddir */
        struct {
            uint32_t datasync;
        } fsync;
    };
} Tmessage;

/* Decodes the message of `size` bytes (header included) at `bytes`; bytes[size] must be writable.
 * Tattach, Tcreate and Twstat are shorter in 9P2000 than in the other dialects; what 9P2000 leaves
 * out is set to what stands for nothing. Returns 0, -EOPNOTSUPP for a type it does not know (type
 * and tag are then set), or -EINVAL when the body is truncated, too long, holds a string with a
 * NUL, a walk of more than P9_MAX_WALK names, or a stat record whose sizes contradict each other. */
int tmessage_decode(Tmessage *t, Dialect dialect, uint8_t *bytes, size_t size);

/* As Tversion names it; "unknown" for none. */
const char *dialect_name(Dialect dialect);

/* "Twalk" for P9_TWALK, and so on; "T<unknown>" for others. */
const char *tmessage_name(uint8_t type);

/* Appends string[s]: a two-byte length and that many bytes. */
void write_string(ByteWriter *w, const char *string, size_t length);
void write_qid(ByteWriter *w, const Qid *qid);

/* Writes size[4] type[1] tag[2] at the start of `bytes`. */
void write_header(uint8_t *bytes, uint32_t size, uint8_t type, uint16_t tag);

#endif
