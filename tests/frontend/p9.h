/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * P9: 9P messages for tests, written out by hand so that nothing of the server is trusted.
 *
 * A request is built by p9_build() from a format, one letter for each field:
 *
 *     b w d q   an unsigned number of 1, 2, 4, 8 bytes (int, int, uint32_t, uint64_t)
 *     s         a string, with its length in 2 bytes (const char *)
 *     D         data, with its length in 4 bytes (uint32_t, const void *)
 *     R         raw bytes (size_t, const void *)
 *
 * and a reply is taken apart by p9_parse() with the same letters and pointers: uint8_t *,
 * uint16_t *, uint32_t *, uint64_t *; for s a char ** that the caller frees with g_free(); for D a
 * uint32_t * and a const uint8_t **, which points into the reply; and
 *
 *     Q         a qid (P9Qid *)
 *     *         whatever follows
 *
 * Any pointer may be NULL. A p9_tNAME() function is a p9_build() for that message of 9P2000.L, or of
 * 9P2000.u where only that has it.
 */
#ifndef FRONTEND_P9_H
#define FRONTEND_P9_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { P9_HEADER = 7, P9_NOTAG = 0xffff };
#define P9_NOFID UINT32_MAX

enum {
    P9_RLERROR = 7,
    P9_TSTATFS = 8,
    P9_TLOPEN = 12,
    P9_TLCREATE = 14,
    P9_TSYMLINK = 16,
    P9_TMKNOD = 18,
    P9_TRENAME = 20,
    P9_TREADLINK = 22,
    P9_TGETATTR = 24,
    P9_TSETATTR = 26,
    P9_TXATTRWALK = 30,
    P9_TXATTRCREATE = 32,
    P9_TREADDIR = 40,
    P9_TFSYNC = 50,
    P9_TLOCK = 52,
    P9_TGETLOCK = 54,
    P9_TLINK = 70,
    P9_TMKDIR = 72,
    P9_TRENAMEAT = 74,
    P9_TUNLINKAT = 76,
    P9_TVERSION = 100,
    P9_TAUTH = 102,
    P9_TATTACH = 104,
    P9_RERROR = 107,
    P9_TFLUSH = 108,
    P9_TWALK = 110,
    P9_TOPEN = 112,
    P9_TCREATE = 114,
    P9_TREAD = 116,
    P9_TWRITE = 118,
    P9_TCLUNK = 120,
    P9_TREMOVE = 122,
    P9_TSTAT = 124,
    P9_TWSTAT = 126,
};

typedef struct P9Qid {
    uint8_t type;
    uint32_t version;
    uint64_t path;
} P9Qid;

/* The body of an Rgetattr. */
typedef struct P9Attr {
    uint64_t valid;
    P9Qid qid;
    uint32_t mode, uid, gid;
    uint64_t nlink, rdev, size, blksize, blocks;
    uint64_t atime_sec, atime_nsec, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec;
    uint64_t btime_sec, btime_nsec, gen, data_version;
} P9Attr;

/* The stat record of 9P2000.u in an Rstat, without its own size. The texts are the caller's. */
typedef struct P9Stat {
    uint16_t type;
    uint32_t dev;
    P9Qid qid;
    uint32_t mode, atime, mtime;
    uint64_t length;
    char *name, *extension;
    uint32_t n_uid, n_gid;
} P9Stat;

/* What a Tsetattr carries; `valid` has the P9_SET bits of the fields that count. */
typedef struct P9SetAttr {
    uint32_t valid;
    uint32_t mode, uid, gid;
    uint64_t size, atime_sec, atime_nsec, mtime_sec, mtime_nsec;
} P9SetAttr;

enum {
    P9_SET_MODE = 1 << 0,
    P9_SET_UID = 1 << 1,
    P9_SET_GID = 1 << 2,
    P9_SET_SIZE = 1 << 3,
    P9_SET_ATIME = 1 << 4,
    P9_SET_MTIME = 1 << 5,
    P9_SET_CTIME = 1 << 6,
    P9_SET_ATIME_SET = 1 << 7,
    P9_SET_MTIME_SET = 1 << 8,
};

/* Flags of Tlopen and Tlcreate. */
enum {
    P9_L_RDONLY = 0,
    P9_L_WRONLY = 1,
    P9_L_RDWR = 2,
    P9_L_EXCL = 0200,
    P9_L_TRUNC = 01000,
    P9_L_APPEND = 02000,
    P9_L_DIRECTORY = 0200000,
};

/* Flags of Topen; the access modes are those of Tlopen. */
enum {
    P9_OTRUNC = 0x10,
    P9_OAPPEND = 0x80,
};

enum { P9_REMOVEDIR = 0x200 }; /* of Tunlinkat */

/* Of Tlock and Tgetlock: types, flags, and the status in an Rlock. */
enum { P9_LOCK_READ = 0, P9_LOCK_WRITE = 1, P9_LOCK_NONE = 2 };
enum { P9_LOCK_WAIT = 1 };
enum { P9_LOCK_GRANTED = 0, P9_LOCK_BLOCKED = 1 };

#define P9_GETATTR_BASIC UINT64_C(0x7ff)
#define P9_GETATTR_ALL   UINT64_C(0x3fff)

/* One message that came back. */
typedef struct P9Reply {
    unsigned ring; /* the ring it came on */
    uint8_t type;
    uint16_t tag;
    uint32_t size; /* of the whole message */
    uint8_t bytes[];
} P9Reply;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(P9Reply, g_free)

/* Builds a message; its size field is right. */
GByteArray *p9_build(uint8_t type, uint16_t tag, const char *format, ...);

/* Takes a reply's body apart. Returns false unless the format and the body end together. */
bool p9_parse(const P9Reply *reply, const char *format, ...);
bool p9_parse_va(const P9Reply *reply, const char *format, va_list args);

/* The format of an Rgetattr, with p9_parse_attr() to take one apart. */
bool p9_parse_attr(const P9Reply *reply, P9Attr *attr);

/* The same for an Rstat of 9P2000.u. The two sizes in it must be right. */
bool p9_parse_stat(const P9Reply *reply, P9Stat *stat);
void p9_stat_clear(P9Stat *stat);

/* The errno of an Rlerror, or of a 9P2000.u Rerror; 0 for any other reply. */
uint32_t p9_error(const P9Reply *reply);

/* One entry of an Rreaddir's data. `*at` is where to begin, and where the next one begins. Returns
 * false at the end, or when an entry is cut off. */
bool p9_next_entry(const uint8_t *data, uint32_t size, uint32_t *at, P9Qid *qid, uint64_t *offset,
                   uint8_t *type, char **name);

GByteArray *p9_tversion(uint16_t tag, uint32_t msize, const char *version);
GByteArray *p9_tattach(uint16_t tag, uint32_t fid, uint32_t afid, const char *uname,
                       const char *aname, uint32_t n_uname);
GByteArray *p9_tflush(uint16_t tag, uint16_t oldtag);
/* `path` is split at its slashes; NULL or "" walks nowhere. */
GByteArray *p9_twalk(uint16_t tag, uint32_t fid, uint32_t newfid, const char *path);
/* The same with the names one by one, so that they may be anything. */
GByteArray *p9_twalk_names(uint16_t tag, uint32_t fid, uint32_t newfid, unsigned n_names,
                           const char *const *names);
GByteArray *p9_tlopen(uint16_t tag, uint32_t fid, uint32_t flags);
GByteArray *p9_tlcreate(uint16_t tag, uint32_t fid, const char *name, uint32_t flags, uint32_t mode,
                        uint32_t gid);
GByteArray *p9_topen(uint16_t tag, uint32_t fid, int mode);
GByteArray *p9_tcreate(uint16_t tag, uint32_t fid, const char *name, uint32_t perm, int mode,
                       const char *extension);
GByteArray *p9_tstat(uint16_t tag, uint32_t fid);
GByteArray *p9_tread(uint16_t tag, uint32_t fid, uint64_t offset, uint32_t count);
GByteArray *p9_twrite(uint16_t tag, uint32_t fid, uint64_t offset, uint32_t count,
                      const void *data);
GByteArray *p9_tclunk(uint16_t tag, uint32_t fid);
GByteArray *p9_tremove(uint16_t tag, uint32_t fid);
GByteArray *p9_tgetattr(uint16_t tag, uint32_t fid, uint64_t mask);
GByteArray *p9_tsetattr(uint16_t tag, uint32_t fid, const P9SetAttr *attr);
GByteArray *p9_treaddir(uint16_t tag, uint32_t fid, uint64_t offset, uint32_t count);
GByteArray *p9_tmkdir(uint16_t tag, uint32_t dfid, const char *name, uint32_t mode, uint32_t gid);
GByteArray *p9_tsymlink(uint16_t tag, uint32_t dfid, const char *name, const char *target,
                        uint32_t gid);
GByteArray *p9_treadlink(uint16_t tag, uint32_t fid);
GByteArray *p9_tlink(uint16_t tag, uint32_t dfid, uint32_t fid, const char *name);
GByteArray *p9_tmknod(uint16_t tag, uint32_t dfid, const char *name, uint32_t mode, uint32_t major,
                      uint32_t minor, uint32_t gid);
GByteArray *p9_trename(uint16_t tag, uint32_t fid, uint32_t dfid, const char *name);
GByteArray *p9_trenameat(uint16_t tag, uint32_t olddfid, const char *oldname, uint32_t newdfid,
                         const char *newname);
GByteArray *p9_tunlinkat(uint16_t tag, uint32_t dfid, const char *name, uint32_t flags);
GByteArray *p9_tfsync(uint16_t tag, uint32_t fid, uint32_t datasync);
GByteArray *p9_tstatfs(uint16_t tag, uint32_t fid);

/* Twstat of 9P2000.u; what is all ones, or "", is to stay. */
GByteArray *p9_twstat(uint16_t tag, uint32_t fid, uint32_t mode, uint32_t mtime, uint64_t length,
                      const char *name);

#endif
