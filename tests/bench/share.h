/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Share: the directory that all backends of a benchmark serve, one after the other. */
#ifndef BENCH_SHARE_H
#define BENCH_SHARE_H

#include <stdint.h>

enum {
    SHARE_BLOCK = 4096,
    SHARE_BULK = 508 * 1024, /* what Linux asks for with an msize of 512 KiB, in whole pages */
    SHARE_ENTRIES = 10000,
};

#define SHARE_FILE_SIZE (UINT64_C(256) * 1024 * 1024)

#define SHARE_FILE   "file"    /* SHARE_FILE_SIZE bytes of the pattern (pattern.h) */
#define SHARE_OUTPUT "output"  /* as large, to be written to */
#define SHARE_CREATE "create"  /* an empty folder */
#define SHARE_DEEP   "a/b/c/f" /* a small file below three folders */
#define SHARE_LIST   "list"    /* a folder of SHARE_ENTRIES files */
#define SHARE_LEASED "leased"  /* a file that nobody has open */

/* Makes the share in a new folder, in memory where that is possible. The path is to be freed. */
char *share_new(void);

/* Removes it. */
void share_remove(const char *path);

#endif
