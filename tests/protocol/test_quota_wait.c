/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An export with limits that has not been counted yet: what would grow it waits, nothing else does.
 * The counting thread is held up by the test, which starts it itself, at a gate.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/local_quota.h"
#include "tests/lib/quota_share.h"

enum {
    TAG = 50,
    FILE_FID = 1,
    NEW_FID = 2,
    LONG_MS = 10000,
    QUIET_MS = 50,
};

typedef struct Gate {
    Fs *fs;
    gint open; /* atomic */
} Gate;

static void *count_behind_gate(void *argument)
{
    Gate *gate = argument;

    while (!g_atomic_int_get(&gate->open))
        g_usleep(1000);
    return local_count_run(gate->fs);
}

/* Serves the export, which gets "file" of 4 blocks, open as FILE_FID, behind a gate. */
static void serve_uncounted(Share *s, Gate *gate, QuotaOptions limits)
{
    ExportOptions options = export_default_options;
    g_autofree char *text = g_strnfill(4 * BLOCK, 'x');
    LocalQuota *quota;
    const char *why;

    share_put(s, "file", text);
    options.quota = limits;
    test_session_free(s->ts);
    local_fs_free(s->fs);
    g_assert_cmpint(local_fs_new(s->export, &options, &s->fs, &why), ==, 0);
    quota = ((LocalFs *)s->fs)->quota;
    *gate = (Gate){.fs = s->fs};
    g_assert_cmpint(pthread_create(&quota->thread, NULL, count_behind_gate, gate), ==, 0);
    quota->has_thread = true;
    s->ts = test_session_new_with_options(s->fs, &options, SHARE_CHANNELS, SHARE_MAX_MESSAGE, NULL);
    s->client = (Client){.ts = s->ts, .channel = 0, .tag = 1};
    client_start(&s->client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
    g_assert_cmpint(client_open_path(&s->client, SHARE_ROOT, FILE_FID, "file", P9_L_RDWR), ==, 0);
}

static void send_create(Share *s)
{
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, NEW_FID, "", NULL, NULL), ==, 0);
    client_send(s->ts, TAG, P9_TLCREATE, "dsddd", (unsigned)NEW_FID, "new", (unsigned)P9_L_RDWR,
                0600u, (unsigned)SHARE_GID);
    g_assert_null(test_session_await(s->ts, 0, TAG, QUIET_MS));
}

static void check_reply(Share *s, uint8_t type)
{
    g_autofree TestReply *reply = test_session_await(s->ts, 0, TAG, LONG_MS);

    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->type, ==, type);
}

/* What does not grow the tree goes on meanwhile. */
static void test_only_growth_waits(Share *s, gconstpointer unused)
{
    FsChange change = {.valid = P9_SETATTR_SIZE, .size = 3 * BLOCK};
    Client *c = &s->client;
    char data[16];
    Gate gate;

    (void)unused;
    share_put(s, "other", "x");
    serve_uncounted(s, &gate, (QuotaOptions){.max_files = 2, .max_space = 1 << 20});
    send_create(s);
    g_assert_cmpint(client_read(c, FILE_FID, 0, sizeof(data), data), ==, sizeof(data));
    g_assert_cmpint(share_write_blocks(s, FILE_FID, 0, 4), ==, 4 * BLOCK);
    g_assert_cmpint(client_setattr(c, FILE_FID, &change), ==, 0);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "file", SHARE_ROOT, "moved"), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "other", 0), ==, 0);
    g_assert_cmpint(client_statfs(c, SHARE_ROOT, &(uint32_t){0}, &(uint64_t){0}, &(uint32_t){0}),
                    ==, 0);
    g_assert_null(test_session_await(s->ts, 0, TAG, QUIET_MS));
    g_atomic_int_set(&gate.open, 1);
    check_reply(s, P9_TLCREATE + 1);
    share_check_count(s);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "more", 0700, SHARE_GID), ==, -ENOSPC);
}

/* The count says that there was no room: nothing has been made. */
static void test_growth_is_refused_later(Share *s, gconstpointer unused)
{
    struct stat st;
    Gate gate;

    (void)unused;
    serve_uncounted(s, &gate, (QuotaOptions){.max_files = 1});
    send_create(s);
    g_atomic_int_set(&gate.open, 1);
    check_reply(s, P9_RLERROR);
    g_assert_false(share_stat(s, "new", &st));
}

/* The device goes away meanwhile: nothing waits any more. */
static void test_the_end_ends_the_wait(Share *s, gconstpointer unused)
{
    ExportOptions options = export_default_options;
    struct stat st;
    Gate gate;

    (void)unused;
    serve_uncounted(s, &gate, (QuotaOptions){.max_files = 100});
    send_create(s);
    s->fs->ops->stop(s->fs);
    check_reply(s, P9_RLERROR);
    g_atomic_int_set(&gate.open, 1);
    share_reopen(s, &options);
    g_assert_false(share_stat(s, "new", &st));
}

/* The same in the middle of a count. */
static void test_end_while_counting(Share *s, gconstpointer unused)
{
    enum { FILES = 20000 };
    int fd = open(s->export, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ExportOptions options = export_default_options;
    char name[16];

    (void)unused;
    for (unsigned i = 0; i < FILES; i++) {
        g_snprintf(name, sizeof(name), "f%u", i);
        g_assert_cmpint(mknodat(fd, name, S_IFREG | 0644, 0), ==, 0);
    }
    close(fd);
    options.quota = (QuotaOptions){.max_files = 2 * FILES, .auto_delete = true};
    for (unsigned i = 0; i < 10; i++) {
        g_usleep(i * 300);
        share_reopen(s, &options);
    }
    share_fill(s, "new", 1);
    share_check_count(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/quota-wait/only-growth-waits", test_only_growth_waits);
    share_add_test("/quota-wait/growth-is-refused-later", test_growth_is_refused_later);
    share_add_test("/quota-wait/the-end-ends-the-wait", test_the_end_ends_the_wait);
    share_add_test_on("/quota-wait/end-while-counting", "memory", test_end_while_counting);
    return g_test_run();
}
