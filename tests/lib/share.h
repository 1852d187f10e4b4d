/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Share: a scratch directory of this host, served through the local file system.
 *
 * Below a new directory there are "export", which is served with its root as fid 0, and "outside",
 * which no client may ever reach; it holds the file "secret". The test itself changes things behind
 * the server's back through their real paths.
 */
#ifndef TESTS_LIB_SHARE_H
#define TESTS_LIB_SHARE_H

#include <sys/stat.h>

#include "protocol/local.h"
#include "tests/lib/client.h"

typedef struct Share {
    char *base;
    char *export;
    char *outside;
    SecurityModel model;
    Fs *fs;
    TestSession *ts;
    Client client;
} Share;

enum {
    SHARE_ROOT = 0,
    SHARE_CHANNELS = 4,
    SHARE_MAX_MESSAGE = 512 * 1024,
    SHARE_MSIZE = SHARE_MAX_MESSAGE,
    SHARE_UID = 1000, /* the user of fid 0 */
    SHARE_GID = 2000, /* what tests pass as gid */
    SHARE_NOBODY = 65534,
    SHARE_SEE_FID = 0xfff0, /* used by share_see() */
};

typedef void ShareTest(Share *share, gconstpointer unused);

/* Registers `test` as NAME/memory, on tmpfs, and as NAME/disk. */
void share_add_test(const char *name, ShareTest *test);

/* Registers it for one of them only: "memory" or "disk". */
void share_add_test_on(const char *name, const char *storage, ShareTest *test);

/* Registers `test` as NAME/memory/MODEL and NAME/disk/MODEL. Where the storage cannot have the model
 * it is skipped. */
void share_add_test_with_model(const char *name, SecurityModel model, ShareTest *test);

/* Registers it for all models that need no privileges: none and the mapped ones. */
void share_add_test_for_models(const char *name, ShareTest *test);

/* Serves the export anew with `options`: a new session, in which fid 0 is the root again. */
void share_reopen(Share *share, const ExportOptions *options);

/* The same with a keeper, see local_park.h. Returns 0, or the error for which there is none. */
int share_reopen_with_keeper(Share *share, const ExportOptions *options);

/* Registers it for one model, as NAME/memory/MODEL/unprivileged and so on: run in a process of its
 * own that is another user's and has no capabilities. Needs root, to become that. */
void share_add_unprivileged_test(const char *name, SecurityModel model, ShareTest *test);

/* The real path of `name` in the export. The caller frees it. */
char *share_path(const Share *share, const char *name);

/* Makes a file with content `text` in the export, directly. */
void share_put(const Share *share, const char *name, const char *text);

/* Makes a directory in the export, directly. */
void share_mkdir(const Share *share, const char *name);

/* The content of a file in the export, or NULL. The caller frees it. */
char *share_get(const Share *share, const char *name);

/* lstat(2) of `name` in the export. Returns false when it does not exist. */
bool share_stat(const Share *share, const char *name, struct stat *st);

/* What the client is to see of `name`: as share_stat() where owners and modes are real, and else
 * what the server says. Only mode, owner, group and device are filled in then. */
bool share_see(Share *share, const char *name, struct stat *st);

/* Creates the file `name` in the root through the server and makes `fid` stand for it, open. */
void share_create(Share *share, uint32_t fid, const char *name, uint32_t mode);

/* How many descriptors this process has. */
unsigned count_descriptors(void);

#endif
