/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hung share: a session with two channels over a blocking fs (blocking_fs.h), with these fids:
 *
 *     0   the root                    4   the root, open as a directory
 *     1   "file", open for both       5   "link"
 *     2   "directory", not open       6   an attribute of "file" that is written and not stored
 *     3   "file", not open
 */
#ifndef TESTS_LIB_HUNG_SHARE_H
#define TESTS_LIB_HUNG_SHARE_H

#include "tests/lib/blocking_fs.h"
#include "tests/lib/client.h"

typedef struct HungShare {
    char *path;
    BlockingFs *fuse;
    Fs *fs;
    TestSession *ts;
    Client client; /* on channel 0 */
} HungShare;

enum {
    HUNG_ROOT,
    HUNG_FILE,
    HUNG_DIRECTORY,
    HUNG_CLOSED_FILE,
    HUNG_OPEN_ROOT,
    HUNG_LINK,
    HUNG_ATTRIBUTE,
    HUNG_FREE_FID = 9,
    HUNG_TAG = 60000, /* of the client */
};

/* With `limits`, or NULL for the usual ones. Returns NULL where FUSE cannot be mounted, and then has
 * marked the test as skipped. */
HungShare *hung_share_new(const SessionLimits *limits);

/* Ends the session, within the patience of a test, and unmounts. Operations that are deaf must have
 * been released. */
void hung_share_free(HungShare *h);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(HungShare, hung_share_free)

#endif
