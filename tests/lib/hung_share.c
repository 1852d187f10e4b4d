/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hung share: see hung_share.h. */
#include "tests/lib/hung_share.h"

#include <unistd.h>

#include "protocol/local.h"

enum { MSIZE = 64 * 1024, CHANNELS = 2 };

static void prepare_fids(Client *c)
{
    client_start(c, MSIZE, HUNG_ROOT, 0);
    g_assert_cmpint(client_open_path(c, HUNG_ROOT, HUNG_FILE, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_walk(c, HUNG_ROOT, HUNG_DIRECTORY, "directory", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, HUNG_ROOT, HUNG_CLOSED_FILE, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_open_path(c, HUNG_ROOT, HUNG_OPEN_ROOT, "", P9_L_DIRECTORY), ==, 0);
    g_assert_cmpint(client_walk(c, HUNG_ROOT, HUNG_LINK, "link", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, HUNG_ROOT, HUNG_ATTRIBUTE, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(
        client_call(c, NULL, P9_TXATTRCREATE, "dsqd", HUNG_ATTRIBUTE, "user.a", (uint64_t)1, 0u),
        ==, 0);
    g_assert_cmpint(client_write(c, HUNG_ATTRIBUTE, 0, "v", 1), ==, 1);
}

HungShare *hung_share_new(const SessionLimits *limits)
{
    HungShare *h = g_new0(HungShare, 1);
    const char *why;

    h->path = g_dir_make_tmp("9p-hung-XXXXXX", NULL);
    g_assert_nonnull(h->path);
    h->fuse = blocking_fs_new(h->path, &why);
    if (!h->fuse) {
        g_test_skip(why);
        rmdir(h->path);
        g_free(h->path);
        g_free(h);
        return NULL;
    }
    g_assert_cmpint(local_fs_new(h->path, &export_default_options, &h->fs, &why), ==, 0);
    h->ts = test_session_new(h->fs, CHANNELS, MSIZE, limits);
    h->client = (Client){.ts = h->ts, .channel = 0, .tag = HUNG_TAG};
    prepare_fids(&h->client);
    return h;
}

void hung_share_free(HungShare *h)
{
    if (!h)
        return;
    test_session_free(h->ts);
    local_fs_free(h->fs);
    blocking_fs_free(h->fuse);
    rmdir(h->path);
    g_free(h->path);
    g_free(h);
}
