/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client: a small 9P client over one channel of a test session. The functions named after messages
 * speak 9P2000.L; unix_client.h has those of the other dialects.
 *
 * Two layers: client_send() and client_send_on() publish any message and leave the replies to the
 * test; the functions named after messages send one, wait for its reply and parse it. These return
 * 0 or the negative errno of an error, and fail the test when anything else comes, or nothing for
 * twenty seconds. A Client is one thread's; several may share a session.
 */
#ifndef TESTS_LIB_CLIENT_H
#define TESTS_LIB_CLIENT_H

#include <stdarg.h>

#include "tests/lib/test_channel.h"

typedef struct Client {
    TestSession *ts;
    unsigned channel;
    uint16_t tag;    /* of the calls that wait */
    Dialect dialect; /* in which errors come; DIALECT_NONE is 9P2000.L */
} Client;

/* Rgetattr. */
typedef struct ClientAttr {
    uint64_t valid;
    Qid qid;
    uint32_t mode, uid, gid;
    uint64_t nlink, rdev, size, blksize, blocks, gen, data_version;
    struct timespec atime, mtime, ctime, btime;
} ClientAttr;

/* One entry of Rreaddir. */
typedef struct ClientEntry {
    Qid qid;
    uint64_t offset;
    uint8_t type;
    char name[P9_NAME_MAX + 1];
} ClientEntry;

/*
 * Builds a message; `format` says what its body is made of, in order:
 *     b w d q   an integer of 1, 2, 4 or 8 bytes (uint64_t for q, int or unsigned for the others)
 *     s         a string, NULL-terminated
 *     D         a count (unsigned) and that many bytes at a pointer, with count[4] in front
 */
GByteArray *message_new(uint8_t type, uint16_t tag, const char *format, ...);
GByteArray *message_new_va(uint8_t type, uint16_t tag, const char *format, va_list args);

/* Publishes a message on channel 0, or on `channel`, without waiting. */
void client_send(TestSession *ts, uint16_t tag, uint8_t type, const char *format, ...);
void client_send_on(TestSession *ts, unsigned channel, uint16_t tag, uint8_t type,
                    const char *format, ...);

/* Publishes a message and waits for its reply. Returns 0 and the reply, or its negative errno, which
 * in 9P2000 is found by its text. */
int client_call(Client *c, TestReply **reply, uint8_t type, const char *format, ...);
int client_call_va(Client *c, TestReply **reply, uint8_t type, const char *format, va_list args);

/* Tversion with `msize` and Tattach of fid `fid` as user `uid`. */
void client_start(Client *c, uint32_t msize, uint32_t fid, uint32_t uid);

int client_version(Client *c, uint32_t msize, const char *version, uint32_t *msize_got,
                   char version_got[32]);
int client_attach(Client *c, uint32_t fid, uint32_t uid, Qid *qid);

/* Walks `path`, names separated by slashes, "" for none. `qids` and `n` may be NULL. Returns
 * -ENOENT also for a walk that did not come to its end, unless `n` is given. */
int client_walk(Client *c, uint32_t fid, uint32_t newfid, const char *path, Qid qids[16],
                unsigned *n);
int client_open(Client *c, uint32_t fid, uint32_t flags);
int client_create(Client *c, uint32_t fid, const char *name, uint32_t flags, uint32_t mode,
                  uint32_t gid);
ssize_t client_read(Client *c, uint32_t fid, uint64_t offset, uint32_t count, void *data);
ssize_t client_write(Client *c, uint32_t fid, uint64_t offset, const void *data, uint32_t count);
int client_clunk(Client *c, uint32_t fid);
int client_remove(Client *c, uint32_t fid);
int client_getattr(Client *c, uint32_t fid, ClientAttr *attr);
int client_setattr(Client *c, uint32_t fid, const FsChange *change);
int client_mkdir(Client *c, uint32_t fid, const char *name, uint32_t mode, uint32_t gid);
int client_mknod(Client *c, uint32_t fid, const char *name, uint32_t mode, unsigned major,
                 unsigned minor, uint32_t gid);
int client_symlink(Client *c, uint32_t fid, const char *name, const char *target, uint32_t gid);
int client_readlink(Client *c, uint32_t fid, char target[4096]);
int client_link(Client *c, uint32_t dfid, uint32_t fid, const char *name);
int client_rename(Client *c, uint32_t fid, uint32_t dfid, const char *name);
int client_renameat(Client *c, uint32_t old_dfid, const char *old_name, uint32_t new_dfid,
                    const char *new_name);
int client_unlinkat(Client *c, uint32_t dfid, const char *name, uint32_t flags);
int client_fsync(Client *c, uint32_t fid, bool datasync);
int client_statfs(Client *c, uint32_t fid, uint32_t *type, uint64_t *blocks, uint32_t *name_max);

/* One Treaddir. Appends to `entries`, an array of ClientEntry. Returns how many came. */
int client_readdir(Client *c, uint32_t fid, uint64_t offset, uint32_t count, GArray *entries);

/* Lists the open directory `fid` to its end with Treaddirs of `count` bytes. */
GArray *client_list(Client *c, uint32_t fid, uint32_t count);

/* Makes `newfid` stand for `path` below `fid` and opens it. */
int client_open_path(Client *c, uint32_t fid, uint32_t newfid, const char *path, uint32_t flags);

/* Whether `fid` exists: Tgetattr does not say ENOENT. */
bool client_has_fid(Client *c, uint32_t fid);

#endif
