/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host directory through the server: large and changing directories, and many clients at once. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/share.h"

enum {
    DIRECTORY_FID = 1,
    N_MANY = 100 * 1000,
    N_DISK = 4000,
    N_CLIENTS = 6,
    N_ROUNDS = 60,
};

static void make_entries(const Share *s, const char *directory, unsigned n)
{
    g_autofree char *path = share_path(s, directory);
    int dir_fd;

    g_assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
    dir_fd = open(path, O_RDONLY | O_DIRECTORY);
    g_assert_cmpint(dir_fd, >=, 0);
    for (unsigned i = 0; i < n; i++) {
        char name[32];
        g_snprintf(name, sizeof(name), "file-%u", i);
        int fd = openat(dir_fd, name, O_CREAT | O_WRONLY, 0644);
        g_assert_cmpint(fd, >=, 0);
        close(fd);
    }
    close(dir_fd);
}

static void open_directory(Share *s, uint32_t fid, const char *name)
{
    g_assert_cmpint(client_open_path(&s->client, SHARE_ROOT, fid, name, P9_L_DIRECTORY), ==, 0);
}

static GHashTable *names_of(const GArray *entries)
{
    GHashTable *names = g_hash_table_new(g_str_hash, g_str_equal);

    for (unsigned i = 0; i < entries->len; i++)
        g_assert_true(g_hash_table_add(names, g_array_index(entries, ClientEntry, i).name));
    return names;
}

/* Lists `directory` and checks that it is complete and that no name comes twice. Returns the time
 * that it took. */
static gint64 list_completely(Share *s, const char *directory, unsigned n)
{
    gint64 begin = g_get_monotonic_time();
    GHashTable *names;
    GArray *entries;
    gint64 end;

    open_directory(s, DIRECTORY_FID, directory);
    entries = client_list(&s->client, DIRECTORY_FID, 64 * 1024);
    end = g_get_monotonic_time();
    client_clunk(&s->client, DIRECTORY_FID);
    names = names_of(entries);
    g_assert_cmpuint(entries->len, ==, n + 2);
    g_assert_true(g_hash_table_contains(names, "."));
    g_assert_true(g_hash_table_contains(names, ".."));
    for (unsigned i = 0; i < n; i += 997) {
        g_autofree char *name = g_strdup_printf("file-%u", i);
        g_assert_true(g_hash_table_contains(names, name));
    }
    g_hash_table_unref(names);
    g_array_free(entries, TRUE);
    return end - begin;
}

/* Ten times as many entries take about ten times as long, not a hundred times. */
static void test_large_directory(Share *s, gconstpointer unused)
{
    bool on_disk = g_str_has_suffix(g_test_get_path(), "/disk");
    unsigned n = on_disk ? N_DISK : N_MANY;
    gint64 few, many;

    (void)unused;
    make_entries(s, "few", n / 10);
    make_entries(s, "many", n);
    few = list_completely(s, "few", n / 10);
    many = list_completely(s, "many", n);
    g_test_message("%u entries in %" G_GINT64_FORMAT " us", n, many);
    g_assert_cmpint(many, <, MAX(few, 10000) * 40);
}

/* The offset of every entry continues behind it, on this fid and on a fresh one. */
static void test_resume_anywhere(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    GArray *all;

    (void)unused;
    make_entries(s, "dir", 120);
    open_directory(s, DIRECTORY_FID, "dir");
    open_directory(s, 2, "dir");
    all = client_list(c, DIRECTORY_FID, 8192);
    for (unsigned i = 0; i < all->len; i++) {
        uint64_t offset = g_array_index(all, ClientEntry, i).offset;
        GArray *rest = g_array_new(FALSE, FALSE, sizeof(ClientEntry));
        uint32_t fid = i % 2 ? DIRECTORY_FID : 2;
        int n = client_readdir(c, fid, offset, 100, rest);

        g_assert_cmpuint(offset, <, 1ULL << 63);
        g_assert_cmpint(n, ==, (int)MIN(all->len - i - 1, (unsigned)n));
        g_assert_true(n > 0 || i == all->len - 1);
        for (int j = 0; j < n; j++)
            g_assert_cmpstr(g_array_index(rest, ClientEntry, j).name, ==,
                            g_array_index(all, ClientEntry, i + 1 + (unsigned)j).name);
        g_array_free(rest, TRUE);
    }
    g_array_free(all, TRUE);
}

static void test_split_at_every_size(Share *s, gconstpointer unused)
{
    (void)unused;
    make_entries(s, "dir", 30);
    open_directory(s, DIRECTORY_FID, "dir");
    for (uint32_t count = P9_DIRENT_OVERHEAD + 7; count < 400; count += 3) {
        GArray *entries = client_list(&s->client, DIRECTORY_FID, count);
        g_assert_cmpuint(entries->len, ==, 32);
        g_array_free(entries, TRUE);
    }
}

static void test_entry_that_cannot_fit(Share *s, gconstpointer unused)
{
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(ClientEntry));

    (void)unused;
    make_entries(s, "dir", 1);
    open_directory(s, DIRECTORY_FID, "dir");
    g_assert_cmpint(client_readdir(&s->client, DIRECTORY_FID, 0, 0, entries), ==, -EINVAL);
    g_assert_cmpint(client_readdir(&s->client, DIRECTORY_FID, 0, P9_DIRENT_OVERHEAD, entries), ==,
                    -EINVAL);
    g_assert_cmpint(client_readdir(&s->client, DIRECTORY_FID, 1ULL << 63, 1000, entries), ==,
                    -EINVAL);
    g_array_free(entries, TRUE);
}

/* Entries come and go while a directory is listed: those that stay are listed, once each. */
static void test_changes_while_listing(Share *s, gconstpointer unused)
{
    enum { N = 1500 };
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(ClientEntry));
    g_autofree char *path = share_path(s, "dir");
    unsigned n_stayed = 0;
    uint64_t offset = 0;
    GHashTable *names;

    (void)unused;
    make_entries(s, "dir", N);
    open_directory(s, DIRECTORY_FID, "dir");
    for (unsigned round = 0; client_readdir(&s->client, DIRECTORY_FID, offset, 2000, entries) > 0;
         round++) {
        g_autofree char *gone = g_strdup_printf("%s/file-%u", path, 2 * (round * 7 % (N / 2)));
        g_autofree char *new = g_strdup_printf("dir/new-%u", round);

        offset = g_array_index(entries, ClientEntry, entries->len - 1).offset;
        unlink(gone);
        share_put(s, new, "");
    }
    names = names_of(entries);
    for (unsigned i = 1; i < N; i += 2) {
        g_autofree char *name = g_strdup_printf("file-%u", i);
        n_stayed += g_hash_table_contains(names, name) ? 1 : 0;
    }
    g_assert_cmpuint(n_stayed, ==, N / 2);
    g_hash_table_unref(names);
    g_array_free(entries, TRUE);
}

/*
 * Many clients
 */

typedef struct Worker {
    Share *share;
    unsigned number;
    gint *n_running; /* atomic */
} Worker;

static void work_on_file(Client *c, uint32_t fid, uint32_t dir_fid, unsigned number, unsigned round)
{
    g_autofree char *name = g_strdup_printf("file-%u-%u", number, round % 5);
    g_autofree char *to = g_strdup_printf("moved-%u-%u", number, round % 3);
    uint64_t text = number * 1000000ULL + round, back = 0;

    g_assert_cmpint(client_walk(c, dir_fid, fid, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(c, fid, name, P9_L_RDWR | P9_L_TRUNC, 0644, 0), ==, 0);
    g_assert_cmpint(client_write(c, fid, 4096, &text, sizeof(text)), ==, sizeof(text));
    g_assert_cmpint(client_renameat(c, dir_fid, name, dir_fid, to), ==, 0);
    g_assert_cmpint(client_read(c, fid, 4096, sizeof(back), &back), ==, sizeof(back));
    g_assert_cmpuint(back, ==, text);
    if (round % 2)
        g_assert_cmpint(client_unlinkat(c, dir_fid, to, 0), ==, 0);
    g_assert_cmpint(client_read(c, fid, 4096, sizeof(back), &back), ==, sizeof(back));
    g_assert_cmpuint(back, ==, text);
    g_assert_cmpint(client_clunk(c, fid), ==, 0);
}

/* A directory of its own, and one that all share. */
static gpointer work(gpointer argument)
{
    Worker *w = argument;
    Client c = {.ts = w->share->ts,
                .channel = w->number % SHARE_CHANNELS,
                .tag = (uint16_t)(100 + w->number)};
    g_autofree char *own = g_strdup_printf("own-%u", w->number);
    uint32_t fid = 1000 * (w->number + 1);

    g_assert_cmpint(client_mkdir(&c, SHARE_ROOT, own, 0755, 0), ==, 0);
    g_assert_cmpint(client_walk(&c, SHARE_ROOT, fid, own, NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(&c, SHARE_ROOT, fid + 1, "shared", NULL, NULL), ==, 0);
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        work_on_file(&c, fid + 2, fid, w->number, round);
        work_on_file(&c, fid + 2, fid + 1, w->number, round);
    }
    g_assert_cmpint(client_clunk(&c, fid), ==, 0);
    g_assert_cmpint(client_clunk(&c, fid + 1), ==, 0);
    g_atomic_int_add(w->n_running, -1);
    return NULL;
}

static void test_many_clients(Share *s, gconstpointer unused)
{
    gint n_running = N_CLIENTS;
    GThread *threads[N_CLIENTS];
    Worker workers[N_CLIENTS];

    (void)unused;
    client_mkdir(&s->client, SHARE_ROOT, "shared", 0777, 0);
    for (unsigned i = 0; i < N_CLIENTS; i++) {
        workers[i] = (Worker){.share = s, .number = i, .n_running = &n_running};
        threads[i] = g_thread_new("client", work, &workers[i]);
    }
    while (g_atomic_int_get(&n_running) > 0) {
        test_session_step(s->ts);
        test_session_wait(s->ts);
    }
    for (unsigned i = 0; i < N_CLIENTS; i++)
        g_thread_join(threads[i]);
    g_assert_cmpuint(fid_table_count(test_session_session(s->ts)->state.fids), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    share_add_test("/local-load/large-directory", test_large_directory);
    share_add_test("/local-load/resume-anywhere", test_resume_anywhere);
    share_add_test("/local-load/split-at-every-size", test_split_at_every_size);
    share_add_test("/local-load/entry-that-cannot-fit", test_entry_that_cannot_fit);
    share_add_test("/local-load/changes-while-listing", test_changes_while_listing);
    share_add_test("/local-load/many-clients", test_many_clients);
    return g_test_run();
}
