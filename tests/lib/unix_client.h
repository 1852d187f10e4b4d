/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix client: what client.h is for 9P2000.L, for 9P2000.u and 9P2000.
 *
 * The functions named after messages return 0 (or a count) or the negative errno of an Rerror, and
 * fail the test when anything else comes.
 */
#ifndef TESTS_LIB_UNIX_CLIENT_H
#define TESTS_LIB_UNIX_CLIENT_H

#include "tests/lib/share.h"

/* A client whose dialect is one of these. */
typedef Client UnixClient;

/* A stat record with its texts. */
typedef struct UnixStat {
    uint16_t size, type;
    uint32_t dev;
    Qid qid;
    uint32_t mode, atime, mtime;
    uint64_t length;
    char name[P9_NAME_MAX + 1], uid[64], gid[64], muid[64];
    char extension[4096];
    uint32_t n_uid, n_gid, n_muid;
} UnixStat;

const char *unix_dialect_name(Dialect dialect);

/* Tversion on the share's session and Tattach of its root as fid SHARE_ROOT, user SHARE_UID. */
UnixClient unix_start(Share *share, Dialect dialect);

int unix_attach(UnixClient *u, uint32_t fid, const char *uname, uint32_t n_uname);
int unix_walk(UnixClient *u, uint32_t fid, uint32_t newfid, const char *name); /* one name, or "" */
int unix_open(UnixClient *u, uint32_t fid, unsigned mode);
int unix_create(UnixClient *u, uint32_t fid, const char *name, uint32_t perm, unsigned mode,
                const char *extension);
ssize_t unix_read(UnixClient *u, uint32_t fid, uint64_t offset, uint32_t count, void *data);
ssize_t unix_write(UnixClient *u, uint32_t fid, uint64_t offset, const char *text);
int unix_clunk(UnixClient *u, uint32_t fid);
int unix_remove(UnixClient *u, uint32_t fid);
int unix_stat(UnixClient *u, uint32_t fid, UnixStat *stat);
int unix_wstat(UnixClient *u, uint32_t fid, const UnixStat *stat);

/* A record that changes nothing. */
UnixStat unix_no_change(void);

/* Takes one record from the front of `r`; it must be whole. */
void unix_take_stat(ByteReader *r, Dialect dialect, UnixStat *stat);

/* Walks from the root to `name` as `fid`, replacing nothing. Fails the test when that fails. */
void unix_at(UnixClient *u, uint32_t fid, const char *name);

#endif
