/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wire: the constants of 9P2000, 9P2000.u and 9P2000.L as they appear in messages.
 *
 * A message is size[4] type[1] tag[2] and a body, little endian; size counts itself.
 */
#ifndef PROTOCOL_WIRE_H
#define PROTOCOL_WIRE_H

#include <stdint.h>

/* What a Tversion has chosen. 9P2000.L and 9P2000.u build on 9P2000. */
typedef enum Dialect {
    DIALECT_NONE, /* nothing yet */
    DIALECT_9P2000,
    DIALECT_9P2000_U,
    DIALECT_9P2000_L,
} Dialect;

typedef enum MessageType {
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
} MessageType;

#define P9_NOTAG  ((uint16_t)0xffff)
#define P9_NOFID  ((uint32_t)0xffffffff)
#define P9_NOUSER ((uint32_t)0xffffffff) /* n_uname: no number given */

enum {
    P9_HEADER_SIZE = 7,
    P9_QID_SIZE = 13,
    P9_IO_OVERHEAD = 24, /* what clients subtract from msize for the payload of Tread and Twrite */
    P9_RREAD_OVERHEAD = 11,  /* header and count[4] of Rread and Rreaddir */
    P9_DIRENT_OVERHEAD = 24, /* a Rreaddir entry without its name */
    P9_MAX_WALK = 16,
    P9_MSIZE_MIN = 4096,
    P9_NAME_MAX = 255,
    P9_ENAME_MAX = 126, /* bytes of text in an Rerror that clients have room for */
};

/* qid.type */
enum {
    P9_QTDIR = 0x80,
    P9_QTSYMLINK = 0x02,
    P9_QTFILE = 0x00,
};

/* Tlopen and Tlcreate flags, 9P2000.L. Their values are fixed here, whatever the host's are. */
enum {
    P9_L_ACCMODE = 03,
    P9_L_WRONLY = 01,
    P9_L_RDWR = 02,
    P9_L_CREATE = 0100,
    P9_L_EXCL = 0200,
    P9_L_TRUNC = 01000,
    P9_L_APPEND = 02000,
    P9_L_NONBLOCK = 04000,
    P9_L_DSYNC = 010000,
    P9_L_DIRECTORY = 0200000,
    P9_L_NOATIME = 01000000,
    P9_L_SYNC = 04000000,
};

/* Topen and Tcreate mode, 9P2000 and 9P2000.u */
enum {
    P9_OREAD = 0,
    P9_OWRITE = 1,
    P9_ORDWR = 2,
    P9_OEXEC = 3,
    P9_OACCMODE = 3,
    P9_OTRUNC = 0x10,
    P9_OCEXEC = 0x20,
    P9_ORCLOSE = 0x40, /* remove when the fid is clunked */
    P9_OAPPEND = 0x80, /* 9P2000.u */
};

/* Tcreate perm and the mode of a stat record; those below DMTMP are of 9P2000.u */
#define P9_DMDIR       0x80000000u
#define P9_DMAPPEND    0x40000000u
#define P9_DMEXCL      0x20000000u
#define P9_DMMOUNT     0x10000000u
#define P9_DMAUTH      0x08000000u
#define P9_DMTMP       0x04000000u
#define P9_DMSYMLINK   0x02000000u
#define P9_DMLINK      0x01000000u
#define P9_DMDEVICE    0x00800000u
#define P9_DMNAMEDPIPE 0x00200000u
#define P9_DMSOCKET    0x00100000u
#define P9_DMSETUID    0x00080000u
#define P9_DMSETGID    0x00040000u
#define P9_DMSETVTX    0x00010000u

/* Tgetattr request_mask and Rgetattr valid */
#define P9_GETATTR_BASIC        0x000007ffULL
#define P9_GETATTR_BTIME        0x00000800ULL
#define P9_GETATTR_GEN          0x00001000ULL
#define P9_GETATTR_DATA_VERSION 0x00002000ULL /* never valid here */

/* Tsetattr valid */
enum {
    P9_SETATTR_MODE = 0x001,
    P9_SETATTR_UID = 0x002,
    P9_SETATTR_GID = 0x004,
    P9_SETATTR_SIZE = 0x008,
    P9_SETATTR_ATIME = 0x010,
    P9_SETATTR_MTIME = 0x020,
    P9_SETATTR_CTIME = 0x040,
    P9_SETATTR_ATIME_SET = 0x080,
    P9_SETATTR_MTIME_SET = 0x100,
    P9_SETATTR_ALL = 0x1ff,
};

/* Tunlinkat flags */
enum { P9_UNLINK_REMOVEDIR = 0x200 };

/* Txattrcreate flags */
enum {
    P9_XATTR_CREATE = 1,
    P9_XATTR_REPLACE = 2,
};

/* Tlock and Tgetlock type */
enum {
    P9_LOCK_READ = 0,
    P9_LOCK_WRITE = 1,
    P9_LOCK_UNLOCK = 2,
};

/* Tlock flags */
enum {
    P9_LOCK_FLAGS_BLOCK = 1,
    P9_LOCK_FLAGS_RECLAIM = 2,
};

/* Rlock status */
enum {
    P9_LOCK_SUCCESS = 0,
    P9_LOCK_BLOCKED = 1,
    P9_LOCK_ERROR = 2,
    P9_LOCK_GRACE = 3,
};

typedef struct Qid {
    uint8_t type;
    uint32_t version;
    uint64_t path;
} Qid;

#endif
