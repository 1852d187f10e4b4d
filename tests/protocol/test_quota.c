/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An export with limits: max-files, max-space, max-open-files. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/local_internal.h"
#include "tests/lib/quota_share.h"

static int create(Share *s, uint32_t fid, const char *name, uint32_t flags)
{
    Client *c = &s->client;
    int error = client_walk(c, SHARE_ROOT, fid, "", NULL, NULL);

    g_assert_cmpint(error, ==, 0);
    error = client_create(c, fid, name, flags, 0600, SHARE_GID);
    if (error)
        g_assert_cmpint(client_clunk(c, fid), ==, 0);
    return error;
}

static int truncate_fid(Share *s, uint32_t fid, uint64_t size)
{
    FsChange change = {.valid = P9_SETATTR_SIZE, .size = size};

    return client_setattr(&s->client, fid, &change);
}

/*
 * max-files
 */

static void test_files_are_limited(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = 4});
    share_fill(s, "file", 1);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0700, SHARE_GID), ==, 0);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "link", "target", SHARE_GID), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "fifo", S_IFIFO | 0600, 0, 0, SHARE_GID), ==, 0);

    g_assert_cmpint(create(s, 1, "more", P9_L_RDWR), ==, -ENOSPC);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "more", 0700, SHARE_GID), ==, -ENOSPC);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "more", "x", SHARE_GID), ==, -ENOSPC);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "more", S_IFIFO, 0, 0, SHARE_GID), ==, -ENOSPC);
    g_assert_false(share_stat(s, "more", &(struct stat){0}));
    share_check_count(s);

    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "dir", P9_UNLINK_REMOVEDIR), ==, 0);
    share_fill(s, "more", 0);
    g_assert_cmpint(create(s, 1, "again", P9_L_RDWR), ==, -ENOSPC);
    share_check_count(s);
}

/* What exists is opened, or in the way, with no regard to the limit. */
static void test_existing_names_at_the_limit(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    struct stat st;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = 1});
    share_fill(s, "file", 2);
    g_assert_cmpint(create(s, 1, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(create(s, 2, "file", P9_L_RDWR | P9_L_EXCL), ==, -EEXIST);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "file", 0700, SHARE_GID), ==, -EEXIST);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "file", "x", SHARE_GID), ==, -EEXIST);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "file", S_IFIFO, 0, 0, SHARE_GID), ==, -EEXIST);
    g_assert_cmpint(create(s, 2, "file", P9_L_WRONLY | P9_L_TRUNC), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_size, ==, 0);
    share_check_count(s);
}

static void test_hard_links_count_once(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = 1, .max_space = 1 << 20});
    share_fill(s, "file", 3);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "second"), ==, 0);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "third"), ==, 0);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "third"), ==, -EEXIST);
    g_assert_cmpint(client_clunk(c, 1), ==, 0);
    share_check_count(s);

    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 0), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "third", 0), ==, 0);
    g_assert_cmpint(create(s, 1, "more", P9_L_RDWR), ==, -ENOSPC);
    share_check_count(s);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "second", 0), ==, 0);
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 0);
    g_assert_cmpint(create(s, 1, "more", P9_L_RDWR), ==, 0);
    share_check_count(s);
}

/* Each way in which a name can go. */
static void test_removing_gives_room(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = 3, .max_space = 1 << 20});
    share_fill(s, "a", 2);
    share_fill(s, "b", 3);
    share_fill(s, "c", 4);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "a", SHARE_ROOT, "b"), ==, 0);
    share_check_count(s);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, "b", NULL, NULL), ==, 0);
    g_assert_cmpint(client_rename(c, 1, SHARE_ROOT, "c"), ==, 0);
    share_check_count(s);
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 1);
    g_assert_cmpint(client_remove(c, 1), ==, 0);
    share_check_count(s);
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "c", 0), ==, -ENOENT);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "d", 0700, SHARE_GID), ==, 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "e", 0700, SHARE_GID), ==, 0);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "d", SHARE_ROOT, "e"), ==, 0);
    share_check_count(s);
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 1);
}

/* Renaming one name of a file to another of its names does nothing. */
static void test_rename_to_own_link(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = 5});
    share_fill(s, "a", 1);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, "a", NULL, NULL), ==, 0);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "b"), ==, 0);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "a", SHARE_ROOT, "b"), ==, 0);
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 1);
    share_check_count(s);
}

/*
 * What is there at the start
 */

static void test_existing_content_counts(Share *s, gconstpointer unused)
{
    g_autofree char *first = share_path(s, "dir/first");
    g_autofree char *second = share_path(s, "second");
    g_autofree char *big = g_strnfill(5 * BLOCK, 'x');
    g_autofree char *dir = share_path(s, "dir");

    (void)unused;
    g_assert_cmpint(g_mkdir(dir, 0755), ==, 0);
    share_put(s, "dir/first", big);
    g_assert_cmpint(link(first, second), ==, 0);
    share_put(s, "third", "x");
    share_limit(s, (QuotaOptions){.max_files = 4, .max_space = 1 << 20});
    share_check_count(s);
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 3);
    share_fill(s, "fourth", 1);
    g_assert_cmpint(create(s, 1, "fifth", P9_L_RDWR), ==, -ENOSPC);

    share_limit(s, (QuotaOptions){.max_files = 4, .max_space = 1 << 20});
    share_check_count(s);
    g_assert_cmpint(create(s, 1, "fifth", P9_L_RDWR), ==, -ENOSPC);
}

/* A limit that is below what is there: nothing grows, everything else works. */
static void test_over_the_limit_from_the_start(Share *s, gconstpointer unused)
{
    g_autofree char *big = g_strnfill(64 * BLOCK, 'x');
    Client *c = &s->client;

    (void)unused;
    share_put(s, "a", big);
    share_put(s, "b", "x");
    share_limit(s, (QuotaOptions){.max_files = 1, .max_space = 32 * BLOCK});
    g_assert_cmpint(create(s, 1, "c", P9_L_RDWR), ==, -ENOSPC);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "a", P9_L_RDWR), ==, 0);
    g_assert_cmpint(share_write_blocks(s, 1, 10, 3), ==, 3 * BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 64, 1), ==, -ENOSPC);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "b", SHARE_ROOT, "c"), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "c", 0), ==, 0);
    g_assert_cmpint(truncate_fid(s, 1, 10 * BLOCK), ==, 0);
    g_assert_cmpint(share_write_blocks(s, 1, 10, 1), ==, BLOCK);
    share_check_count(s);
}

/* A tree that is deeper than any path can be long, most of it reachable by descriptors only. */
static void test_deep_trees_are_counted(Share *s, gconstpointer unused)
{
    enum { DEPTH = 60 };
    g_autofree char *name = g_strnfill(200, 'd');
    int fd = open(s->export, O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)unused;
    for (unsigned i = 0; i < DEPTH; i++) {
        int next;

        g_assert_cmpint(mkdirat(fd, name, 0755), ==, 0);
        g_assert_cmpint(mknodat(fd, "file", S_IFREG | 0644, 0), ==, 0);
        next = openat(fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(next, >=, 0);
        close(fd);
        fd = next;
    }
    close(fd);
    share_limit(s, (QuotaOptions){.max_files = 2 * DEPTH + 1, .auto_delete = true});
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 2 * DEPTH);
    share_fill(s, "one-more", 0);
}

/*
 * max-space
 */

static void test_space_is_limited(Share *s, gconstpointer unused)
{
    (void)unused;
    share_limit_blocks(s, 20, false);
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(share_write_blocks(s, 1, 0, 16), ==, 16 * BLOCK);
    /* As on a full disk: as much as fits, and then nothing. */
    g_assert_cmpint(share_write_blocks(s, 1, 16, 16), ==, 4 * BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 20, 16), ==, -ENOSPC);
    g_assert_cmpint(client_write(&s->client, 1, 20 * BLOCK, "x", 1), ==, -ENOSPC);
    share_check_count(s);
    g_assert_cmpint(share_write_blocks(s, 1, 3, 10), ==, 10 * BLOCK);
    g_assert_cmpint(create(s, 2, "other", P9_L_RDWR), ==, -ENOSPC);
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "other", 0700, SHARE_GID), ==, -ENOSPC);
    g_assert_cmpint(truncate_fid(s, 1, 18 * BLOCK), ==, 0);
    share_fill(s, "other", 1);
    share_check_count(s);
    g_assert_cmpint(share_write_blocks(s, 1, 18, 4), ==, BLOCK);
    share_check_count(s);
}

/* The last block may be filled up, at any offset within it. */
static void test_last_block_is_filled(Share *s, gconstpointer unused)
{
    g_autofree char *data = g_strnfill(3 * BLOCK, 'x');
    Client *c = &s->client;

    (void)unused;
    share_limit_blocks(s, 2, false);
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(client_write(c, 1, 0, data, BLOCK + 100), ==, BLOCK + 100);
    g_assert_cmpint(client_write(c, 1, BLOCK + 100, data, 50), ==, 50);
    g_assert_cmpint(client_write(c, 1, BLOCK + 150, data, 3 * BLOCK), ==, BLOCK - 150);
    g_assert_cmpint(client_write(c, 1, 2 * BLOCK, data, 1), ==, -ENOSPC);
    g_assert_cmpint(client_write(c, 1, 100, data, 2 * BLOCK), ==, 2 * BLOCK - 100);
    share_check_count(s);
}

static void test_appending(Share *s, gconstpointer unused)
{
    g_autofree char *data = g_strnfill(4 * BLOCK, 'x');
    Client *c = &s->client;
    struct stat st;

    (void)unused;
    share_limit_blocks(s, 3, false);
    g_assert_cmpint(create(s, 1, "file", P9_L_WRONLY | P9_L_APPEND), ==, 0);
    g_assert_cmpint(client_write(c, 1, 0, data, BLOCK + 1), ==, BLOCK + 1);
    g_assert_cmpint(client_write(c, 1, 0, data, 10), ==, 10);
    g_assert_cmpint(client_write(c, 1, 0, data, 4 * BLOCK), ==, 2 * BLOCK - 11);
    g_assert_cmpint(client_write(c, 1, 0, data, 1), ==, -ENOSPC);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_size, ==, 3 * BLOCK);
    share_check_count(s);
}

/* Holes cost nothing until they are filled, which is growth however large the file is. */
static void test_sparse_files(Share *s, gconstpointer unused)
{
    (void)unused;
    share_limit_blocks(s, 8, false);
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(truncate_fid(s, 1, 1ULL << 36), ==, 0);
    share_check_count(s);
    g_assert_cmpint(share_write_blocks(s, 1, 1000000, 4), ==, 4 * BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 2000000, 2), ==, 2 * BLOCK);
    share_check_count(s);
    /* Two blocks are left for a range of which four are there already. */
    g_assert_cmpint(share_write_blocks(s, 1, 999999, 8), ==, 6 * BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 500, 1), ==, -ENOSPC);
    g_assert_cmpint(truncate_fid(s, 1, 1ULL << 37), ==, 0);
    share_check_count(s);
    g_assert_cmpint(truncate_fid(s, 1, 0), ==, 0);
    g_assert_cmpint(share_write_blocks(s, 1, 7, 8), ==, 8 * BLOCK);
    share_check_count(s);
}

static void test_truncating_opens(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_limit_blocks(s, 8, false);
    share_fill(s, "file", 8);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "file", P9_L_RDWR | P9_L_TRUNC), ==, 0);
    share_check_count(s);
    g_assert_cmpint(share_write_blocks(s, 1, 0, 8), ==, 8 * BLOCK);
    g_assert_cmpint(create(s, 2, "file", P9_L_WRONLY | P9_L_TRUNC), ==, 0);
    share_check_count(s);
    g_assert_cmpint(share_write_blocks(s, 2, 0, 8), ==, 8 * BLOCK);
    g_assert_cmpint(create(s, 3, "file", P9_L_TRUNC), ==, 0);
    share_check_count(s);
}

/* A file without a name takes space until nothing refers to it, but is no file any more. */
static void test_unlinked_while_open(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = 2, .max_space = 16 * BLOCK});
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(share_write_blocks(s, 1, 0, 4), ==, 4 * BLOCK);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 0), ==, 0);
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 0);
    g_assert_cmpuint(quota_use(share_quota(s)).bytes, >=, 4 * BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 4, 2), ==, 2 * BLOCK);
    g_assert_cmpuint(quota_use(share_quota(s)).bytes, >=, 6 * BLOCK);
    g_assert_cmpint(client_walk(c, 1, 2, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_clunk(c, 1), ==, 0);
    g_assert_cmpuint(quota_use(share_quota(s)).bytes, >=, 6 * BLOCK);
    g_assert_cmpint(client_clunk(c, 2), ==, 0);
    share_check_count(s);
}

/* The names themselves take space, in their directories. */
static void test_names_take_space(Share *s, gconstpointer unused)
{
    char name[P9_NAME_MAX + 1];
    unsigned n;

    (void)unused;
    share_limit_blocks(s, 20, false);
    share_fill(s, "file", 0);
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, 1, "file", NULL, NULL), ==, 0);
    for (n = 0; n < 2000; n++) {
        g_snprintf(name, sizeof(name), "%0200u", n);
        if (client_link(&s->client, SHARE_ROOT, 1, name) != 0)
            break;
    }
    g_assert_cmpuint(n, <, 2000);
    share_check_count(s);
}

static void test_statfs_shows_the_limits(Share *s, gconstpointer unused)
{
    QuotaOptions limits = {.max_files = 10, .max_space = 64 * BLOCK};
    struct statfs st;
    FsNode *root;

    (void)unused;
    share_limit(s, limits);
    share_fill(s, "file", 9);
    g_assert_cmpint(s->fs->ops->root(s->fs, &root), ==, 0);
    g_assert_cmpint(s->fs->ops->statfs(root, &st), ==, 0);
    fs_node_unref(root);
    g_assert_cmpuint(st.f_blocks * (uint64_t)st.f_bsize, ==, limits.max_space);
    g_assert_cmpuint(st.f_bfree * (uint64_t)st.f_bsize, ==,
                     limits.max_space - share_measure(s).bytes);
    g_assert_cmpuint(st.f_bavail, ==, st.f_bfree);
    g_assert_cmpuint(st.f_files, ==, 10);
    g_assert_cmpuint(st.f_ffree, ==, 9);
}

/*
 * Where allocated blocks may show late
 */

/* Serves the export, which is empty, as if it were on another machine. */
static void serve_remote(Share *s, QuotaOptions limits)
{
    ExportOptions options = export_default_options;
    const char *why;
    LocalFs *fs;

    options.quota = limits;
    test_session_free(s->ts);
    local_fs_free(s->fs);
    g_assert_cmpint(local_fs_new(s->export, &options, &s->fs, &why), ==, 0);
    fs = (LocalFs *)s->fs;
    fs->base.class = fs->devices[0].class = FS_REMOTE;
    s->ts = test_session_new_with_options(s->fs, &options, SHARE_CHANNELS, SHARE_MAX_MESSAGE, NULL);
    s->client = (Client){.ts = s->ts, .channel = 0, .tag = 1};
    client_start(&s->client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
}

/* A regular file counts as its size, holes included. */
static void test_sizes_count_elsewhere(Share *s, gconstpointer unused)
{
    uint64_t empty = share_measure(s).bytes;
    Client *c = &s->client;

    (void)unused;
    serve_remote(s, (QuotaOptions){.max_space = empty + 20 * BLOCK});
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(share_write_blocks(s, 1, 8, 8), ==, 8 * BLOCK);
    g_assert_cmpuint(quota_use(share_quota(s)).bytes, ==, empty + 16 * BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 0, 16), ==, 16 * BLOCK);
    g_assert_cmpint(truncate_fid(s, 1, 20 * BLOCK + 1), ==, -ENOSPC);
    g_assert_cmpint(truncate_fid(s, 1, 17 * BLOCK + 1), ==, 0);
    g_assert_cmpuint(quota_use(share_quota(s)).bytes, ==, empty + 18 * BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 16, 16), ==, 4 * BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 20, 1), ==, -ENOSPC);
    g_assert_cmpint(share_write_blocks(s, 1, 100, 1), ==, -ENOSPC);
    g_assert_cmpint(share_write_blocks(s, 1, 3, 1), ==, BLOCK);
    g_assert_cmpint(truncate_fid(s, 1, 18 * BLOCK), ==, 0);
    g_assert_cmpint(create(s, 2, "log", P9_L_WRONLY | P9_L_APPEND), ==, 0);
    g_assert_cmpint(client_write(c, 2, 0, "text", 4), ==, 4);
    g_assert_cmpint(share_write_blocks(s, 2, 0, 3), ==, 2 * BLOCK - 4);
    g_assert_cmpint(share_write_blocks(s, 2, 0, 1), ==, -ENOSPC);
    g_assert_cmpuint(quota_use(share_quota(s)).bytes, ==, empty + 20 * BLOCK);
    g_assert_cmpint(client_remove(c, 1), ==, 0);
    g_assert_cmpuint(quota_use(share_quota(s)).bytes, ==, empty + 2 * BLOCK);
}

/*
 * max-open-files
 */

static void test_open_files_are_limited(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_put(s, "file", "text");
    share_limit(s, (QuotaOptions){.max_open_files = 3});
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "file", 0), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "file", 0), ==, 0);
    g_assert_cmpint(create(s, 3, "new", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 4, "file", 0), ==, -EMFILE);
    g_assert_cmpint(create(s, 5, "more", P9_L_RDWR), ==, -EMFILE);
    g_assert_false(share_stat(s, "more", &(struct stat){0}));
    /* Nothing of these is an open file. */
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 6, "", P9_L_DIRECTORY), ==, 0);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 7, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0700, SHARE_GID), ==, 0);

    g_assert_cmpint(client_clunk(c, 2), ==, 0);
    g_assert_cmpint(client_open(c, 4, 0), ==, 0);
    g_assert_cmpint(client_open(c, 7, 0), ==, -EMFILE);
    g_assert_cmpint(client_remove(c, 4), ==, 0);
    g_assert_cmpint(client_open(c, 7, 0), ==, 0);
}

/* What fails to be opened is not open. */
static void test_failed_opens_do_not_count(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_open_files = 1, .max_files = 2});
    share_fill(s, "file", 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0700, SHARE_GID), ==, 0);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmpint(create(s, 1, "file", P9_L_RDWR | P9_L_EXCL), ==, -EEXIST);
        g_assert_cmpint(create(s, 1, "dir", P9_L_RDWR), ==, -EISDIR);
        g_assert_cmpint(create(s, 1, "more", P9_L_RDWR), ==, -ENOSPC);
        g_assert_cmpint(client_walk(c, SHARE_ROOT, 2, "file", NULL, NULL), ==, 0);
        g_assert_cmpint(client_open(c, 2, P9_L_DIRECTORY), ==, -ENOTDIR);
        g_assert_cmpint(client_clunk(c, 2), ==, 0);
    }
    g_assert_cmpint(create(s, 1, "file", P9_L_RDWR), ==, 0);
}

/* A lock has an opening of its own, which is the server's. */
static void test_locks_are_no_open_files(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    TestReply *reply;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_open_files = 1});
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(client_call(c, &reply, P9_TLOCK, "dbdqqds", 1u, P9_LOCK_WRITE, 0u, (uint64_t)0,
                                (uint64_t)0, 7u, "client"),
                    ==, 0);
    g_assert_cmpint(reply->bytes[P9_HEADER_SIZE], ==, P9_LOCK_SUCCESS);
    g_free(reply);
    g_assert_cmpint(client_clunk(c, 1), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "file", 0), ==, 0);
}

/*
 * Somebody else's changes
 */

/* What dom0 removed is noticed before something is refused. */
static void test_foreign_removals(Share *s, gconstpointer unused)
{
    g_autofree char *big = share_path(s, "big");

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = 2, .max_space = 16 * BLOCK});
    share_fill(s, "big", 12);
    share_fill(s, "other", 0);
    g_assert_cmpint(unlink(big), ==, 0);
    g_assert_cmpint(create(s, 1, "more", P9_L_RDWR), ==, -ENOSPC); /* counted a moment ago */
    quota_set_recount_age(share_quota(s), 0, 20);
    while (create(s, 1, "more", P9_L_RDWR) != 0)
        g_usleep(1000);
    g_assert_cmpint(share_write_blocks(s, 1, 0, 8), ==, 8 * BLOCK);
    share_check_count(s);
}

/* What dom0 made counts as soon as the guest touches it, so that removing it gains nothing. */
static void test_foreign_files(Share *s, gconstpointer unused)
{
    g_autofree char *big = g_strnfill(8 * BLOCK, 'x');
    Client *c = &s->client;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = 3, .max_space = 1 << 20});
    share_fill(s, "own", 4);
    share_put(s, "foreign", big);
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, 1);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "foreign", P9_L_RDWR), ==, 0);
    share_check_count(s);
    g_assert_cmpint(client_remove(c, 1), ==, 0);
    share_check_count(s);
    share_put(s, "foreign", big);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "foreign", 0), ==, 0);
    share_check_count(s);
}

/*
 * Cost
 */

/* What is done after the first count looks at nothing but what it is done to. */
static void test_cost_does_not_depend_on_the_tree(Share *s, gconstpointer unused)
{
    enum { DIRS = 100, FILES = 1000 };
    uint64_t looked_at;

    (void)unused;
    for (unsigned i = 0; i < DIRS; i++) {
        g_autofree char *dir = g_strdup_printf("%s/dir%u", s->export, i);
        int fd;

        g_assert_cmpint(g_mkdir(dir, 0755), ==, 0);
        fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (unsigned j = 0; j < FILES; j++) {
            char name[16];

            g_snprintf(name, sizeof(name), "f%u", j);
            g_assert_cmpint(mknodat(fd, name, S_IFREG | 0644, 0), ==, 0);
        }
        close(fd);
    }
    share_limit(s, (QuotaOptions){.max_files = DIRS * FILES + DIRS + 2, .max_space = 1 << 20});
    g_assert_cmpuint(quota_use(share_quota(s)).files, ==, DIRS * FILES + DIRS);
    looked_at = quota_n_looked_at(share_quota(s));
    g_assert_cmpuint(looked_at, ==, DIRS * FILES + DIRS + 1);
    for (unsigned i = 0; i < 50; i++) {
        share_fill(s, "a", 3);
        share_fill(s, "b", 1);
        g_assert_cmpint(create(s, 1, "c", P9_L_RDWR), ==, -ENOSPC);
        g_assert_cmpint(client_renameat(&s->client, SHARE_ROOT, "a", SHARE_ROOT, "b"), ==, 0);
        g_assert_cmpint(client_unlinkat(&s->client, SHARE_ROOT, "b", 0), ==, 0);
    }
    g_assert_cmpuint(quota_n_looked_at(share_quota(s)), ==, looked_at);
    share_check_count(s);
}

/* An export without limits has the plain operations. */
static void test_no_limits_no_cost(Share *s, gconstpointer unused)
{
    const FsOps *plain = s->fs->ops;
    ExportOptions options = export_default_options;

    (void)unused;
    options.quota.auto_delete = true;
    share_reopen(s, &options);
    g_assert_true(s->fs->ops == plain);
    share_limit(s, (QuotaOptions){.max_open_files = 5});
    g_assert_true(s->fs->ops->write == plain->write);
    g_assert_true(s->fs->ops->unlinkat == plain->unlinkat);
    g_assert_true(s->fs->ops->node_free == plain->node_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/quota/files-are-limited", test_files_are_limited);
    share_add_test("/quota/existing-names-at-the-limit", test_existing_names_at_the_limit);
    share_add_test("/quota/hard-links-count-once", test_hard_links_count_once);
    share_add_test("/quota/removing-gives-room", test_removing_gives_room);
    share_add_test("/quota/rename-to-own-link", test_rename_to_own_link);
    share_add_test("/quota/existing-content-counts", test_existing_content_counts);
    share_add_test("/quota/over-the-limit-from-the-start", test_over_the_limit_from_the_start);
    share_add_test("/quota/deep-trees-are-counted", test_deep_trees_are_counted);
    share_add_test("/quota/space-is-limited", test_space_is_limited);
    share_add_test("/quota/last-block-is-filled", test_last_block_is_filled);
    share_add_test("/quota/appending", test_appending);
    share_add_test("/quota/sparse-files", test_sparse_files);
    share_add_test("/quota/truncating-opens", test_truncating_opens);
    share_add_test("/quota/unlinked-while-open", test_unlinked_while_open);
    share_add_test_on("/quota/names-take-space", "disk", test_names_take_space);
    share_add_test("/quota/sizes-count-elsewhere", test_sizes_count_elsewhere);
    share_add_test("/quota/statfs-shows-the-limits", test_statfs_shows_the_limits);
    share_add_test("/quota/open-files-are-limited", test_open_files_are_limited);
    share_add_test("/quota/failed-opens-do-not-count", test_failed_opens_do_not_count);
    share_add_test("/quota/locks-are-no-open-files", test_locks_are_no_open_files);
    share_add_test("/quota/foreign-removals", test_foreign_removals);
    share_add_test("/quota/foreign-files", test_foreign_files);
    share_add_test_on("/quota/cost-does-not-depend-on-the-tree", "memory",
                      test_cost_does_not_depend_on_the_tree);
    share_add_test("/quota/no-limits-no-cost", test_no_limits_no_cost);
    return g_test_run();
}
