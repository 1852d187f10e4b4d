/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quota share: a Share (share.h) with limits, and a look at what it counts.
 *
 * share_check_count() walks the export by itself and compares: whatever a test has done through the
 * server, the count must be what du(1) would find.
 */
#ifndef TESTS_LIB_QUOTA_SHARE_H
#define TESTS_LIB_QUOTA_SHARE_H

#include "protocol/quota.h"
#include "tests/lib/share.h"

enum { BLOCK = 4096 };

/* Serves the export anew with these limits and waits until it is counted. */
void share_limit(Share *share, QuotaOptions limits);

/* The same, with room for `blocks` more than what the export holds. */
void share_limit_blocks(Share *share, unsigned blocks, bool auto_delete);

Quota *share_quota(const Share *share);

/* What the export holds, the way it is to be counted. */
QuotaUse share_measure(const Share *share);

/* Checks that the count is right, when nothing is open that has no name. */
void share_check_count(const Share *share);

/* Writes `n` blocks from block `at` on, in one message. Returns how many bytes were written, or the
 * error. */
ssize_t share_write_blocks(Share *share, uint32_t fid, unsigned at, unsigned n);

/* Creates a file of `n` blocks through the server, and leaves no fid of it. */
void share_fill(Share *share, const char *name, unsigned n);

/* Changes the modification time of a file in the export, directly. */
void share_set_mtime(const Share *share, const char *name, time_t seconds);

#endif
