/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quota share: see quota_share.h. */
#include "tests/lib/quota_share.h"

#include <fcntl.h>
#include <ftw.h>

#include "protocol/local_quota.h"

enum {
    FILL_FID = 900,
    RECOUNT_MSEC = 3600 * 1000, /* tests that want another count say so */
    RECOUNT_FACTOR = 20,
};

Quota *share_quota(const Share *s)
{
    return ((LocalFs *)s->fs)->quota->quota;
}

void share_limit(Share *s, QuotaOptions limits)
{
    ExportOptions options = export_default_options;

    options.model = s->model;
    options.quota = limits;
    share_reopen(s, &options);
    quota_set_recount_age(share_quota(s), RECOUNT_MSEC, RECOUNT_FACTOR);
    if (quota_counts(share_quota(s)))
        g_assert_cmpint(quota_wait_counted(share_quota(s)), ==, 0);
}

void share_limit_blocks(Share *s, unsigned blocks, bool auto_delete)
{
    QuotaOptions limits = {.auto_delete = auto_delete};

    limits.max_space = share_measure(s).bytes + (uint64_t)blocks * BLOCK;
    share_limit(s, limits);
}

/* nftw() has no argument for its function. */
static QuotaUse measured;
static GHashTable *seen;

static int measure_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
    uint64_t allocated = (uint64_t)st->st_blocks * 512;
    uint64_t size = ((uint64_t)st->st_size + BLOCK - 1) / BLOCK * BLOCK;

    (void)path, (void)type;
    if (st->st_nlink > 1 && !S_ISDIR(st->st_mode) &&
        !g_hash_table_add(seen, GSIZE_TO_POINTER(st->st_ino)))
        return 0;
    measured.files += where->level > 0 ? 1 : 0;
    measured.bytes += S_ISREG(st->st_mode) ? MIN(allocated, size) : allocated;
    return 0;
}

QuotaUse share_measure(const Share *s)
{
    measured = (QuotaUse){0};
    seen = g_hash_table_new(NULL, NULL);
    g_assert_cmpint(nftw(s->export, measure_file, 64, FTW_PHYS), ==, 0);
    g_hash_table_unref(seen);
    return measured;
}

void share_check_count(const Share *s)
{
    QuotaUse real = share_measure(s);
    QuotaUse counted = quota_use(share_quota(s));

    g_assert_cmpuint(counted.files, ==, real.files);
    if (quota_counts_space(share_quota(s)))
        g_assert_cmpuint(counted.bytes, ==, real.bytes);
}

ssize_t share_write_blocks(Share *s, uint32_t fid, unsigned at, unsigned n)
{
    g_autofree char *data = g_malloc((size_t)n * BLOCK);

    memset(data, 'x', (size_t)n * BLOCK);
    return client_write(&s->client, fid, (uint64_t)at * BLOCK, data, n * BLOCK);
}

void share_fill(Share *s, const char *name, unsigned n)
{
    share_create(s, FILL_FID, name, 0600);
    if (n > 0)
        g_assert_cmpint(share_write_blocks(s, FILL_FID, 0, n), ==, n * BLOCK);
    g_assert_cmpint(client_clunk(&s->client, FILL_FID), ==, 0);
}

void share_set_mtime(const Share *s, const char *name, time_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    g_autofree char *path = share_path(s, name);

    g_assert_cmpint(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), ==, 0);
}
