/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An export with auto-delete: at a limit the oldest file that is not open makes room. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/quota_share.h"

static bool exists(const Share *s, const char *name)
{
    struct stat st;

    return share_stat(s, name, &st);
}

/* Makes a file of `blocks` blocks, directly, that was modified at `mtime`. */
static void put_old(const Share *s, const char *name, unsigned blocks, time_t mtime)
{
    g_autofree char *text = g_strnfill((gsize)blocks * BLOCK, 'x');

    share_put(s, name, text);
    share_set_mtime(s, name, mtime);
}

/* The files "f1" to "f5", the higher the younger, though not in the order in which they were made;
 * "f3" is in a directory. */
static void put_five(const Share *s, unsigned blocks)
{
    g_autofree char *dir = share_path(s, "dir");

    g_assert_cmpint(g_mkdir(dir, 0777), ==, 0);
    put_old(s, "f4", blocks, 4000);
    put_old(s, "f1", blocks, 1000);
    put_old(s, "f5", blocks, 5000);
    put_old(s, "dir/f3", blocks, 3000);
    put_old(s, "f2", blocks, 2000);
    share_set_mtime(s, "dir", 10);
}

static void check_five(const Share *s, bool f1, bool f2, bool f3, bool f4, bool f5)
{
    g_assert_cmpint(exists(s, "f1"), ==, f1);
    g_assert_cmpint(exists(s, "f2"), ==, f2);
    g_assert_cmpint(exists(s, "dir/f3"), ==, f3);
    g_assert_cmpint(exists(s, "f4"), ==, f4);
    g_assert_cmpint(exists(s, "f5"), ==, f5);
    g_assert_true(exists(s, "dir"));
}

static void test_oldest_goes_first_for_files(Share *s, gconstpointer unused)
{
    (void)unused;
    put_five(s, 1);
    share_limit(s, (QuotaOptions){.max_files = 6, .auto_delete = true});
    share_fill(s, "a", 1);
    check_five(s, false, true, true, true, true);
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "b", 0700, SHARE_GID), ==, 0);
    check_five(s, false, false, true, true, true);
    g_assert_cmpint(client_symlink(&s->client, SHARE_ROOT, "c", "x", SHARE_GID), ==, 0);
    check_five(s, false, false, false, true, true);
    share_check_count(s);
}

static void test_oldest_goes_first_for_space(Share *s, gconstpointer unused)
{
    (void)unused;
    put_five(s, 8);
    share_limit_blocks(s, 2, true);
    share_create(s, 1, "new", 0600);
    g_assert_cmpint(share_write_blocks(s, 1, 0, 2), ==, 2 * BLOCK);
    check_five(s, true, true, true, true, true);
    g_assert_cmpint(share_write_blocks(s, 1, 2, 8), ==, 8 * BLOCK);
    check_five(s, false, true, true, true, true);
    /* One message that needs two of them. */
    g_assert_cmpint(share_write_blocks(s, 1, 10, 12), ==, 12 * BLOCK);
    check_five(s, false, false, false, true, true);
    share_check_count(s);
}

/* What the guest has open stays, and so does what it is just writing. */
static void test_open_files_stay(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    put_five(s, 8);
    share_limit_blocks(s, 1, true);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "f1", 0), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 3, "dir/f3", P9_L_WRONLY), ==, 0);
    share_create(s, 9, "new", 0600);
    g_assert_cmpint(share_write_blocks(s, 9, 0, 16), ==, 16 * BLOCK);
    check_five(s, true, false, true, false, true);
    g_assert_cmpint(share_write_blocks(s, 9, 16, 8), ==, 8 * BLOCK);
    check_five(s, true, false, true, false, false);
    /* There is nothing else: what fits, and then the end. */
    g_assert_cmpint(share_write_blocks(s, 9, 24, 8), ==, BLOCK);
    g_assert_cmpint(share_write_blocks(s, 9, 25, 8), ==, -ENOSPC);
    check_five(s, true, false, true, false, false);
    /* A fid more for the same file: it is still open when one of them goes. */
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "f1", 0), ==, 0);
    g_assert_cmpint(client_clunk(c, 1), ==, 0);
    g_assert_cmpint(share_write_blocks(s, 9, 25, 8), ==, -ENOSPC);
    g_assert_cmpint(client_clunk(c, 2), ==, 0);
    g_assert_cmpint(share_write_blocks(s, 9, 25, 8), ==, 8 * BLOCK);
    check_five(s, false, false, true, false, false);
    share_check_count(s);
}

/* A fid that is not open keeps a file allocated, but does not protect it: deleting gains its space
 * all the same, so that no other file has to go for it. */
static void test_walked_fids_do_not_hold_space(Share *s, gconstpointer unused)
{
    (void)unused;
    put_five(s, 8);
    share_limit_blocks(s, 1, true);
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, 1, "f1", NULL, NULL), ==, 0);
    share_create(s, 9, "new", 0600);
    g_assert_cmpint(share_write_blocks(s, 9, 0, 8), ==, 8 * BLOCK);
    check_five(s, false, true, true, true, true);
    g_assert_cmpint(client_open(&s->client, 1, 0), ==, 0);
    g_assert_cmpint(client_clunk(&s->client, 1), ==, 0);
    share_check_count(s);
}

/* A file that was written to meanwhile is not the oldest any more; a moved one still is. */
static void test_changes_since_the_count(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    put_five(s, 8);
    share_limit_blocks(s, 1, true);
    quota_set_recount_age(share_quota(s), 60 * 1000, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "f1", P9_L_RDWR), ==, 0);
    g_assert_cmpint(share_write_blocks(s, 1, 0, 1), ==, BLOCK);
    g_assert_cmpint(client_clunk(c, 1), ==, 0);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, "dir", NULL, NULL), ==, 0);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "f2", 1, "moved"), ==, 0);
    share_create(s, 9, "new", 0600);
    g_assert_cmpint(share_write_blocks(s, 9, 0, 8), ==, 8 * BLOCK);
    g_assert_false(exists(s, "dir/moved"));
    g_assert_true(exists(s, "dir/f3"));
    g_assert_cmpint(share_write_blocks(s, 9, 8, 24), ==, 24 * BLOCK);
    g_assert_false(exists(s, "f5"));
    g_assert_true(exists(s, "f1"));
    g_assert_cmpint(share_write_blocks(s, 9, 32, 8), ==, 8 * BLOCK);
    g_assert_false(exists(s, "f1"));
    share_check_count(s);
}

/* A file that moves all the time is not searched for each time: others go before it. */
static void test_moved_again_and_again(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    uint64_t looked_at;

    (void)unused;
    put_five(s, 8);
    share_limit_blocks(s, 1, true);
    quota_set_recount_age(share_quota(s), 60 * 1000, 1000 * 1000);
    looked_at = quota_n_looked_at(share_quota(s));
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "f1", SHARE_ROOT, "moved"), ==, 0);
    share_create(s, 9, "new", 0600);
    g_assert_cmpint(share_write_blocks(s, 9, 0, 8), ==, 8 * BLOCK);
    g_assert_false(exists(s, "f2"));
    g_assert_true(exists(s, "moved"));
    g_assert_cmpuint(quota_n_looked_at(share_quota(s)), ==, looked_at);
    share_check_count(s);
}

/* The guest's own files go too, as soon as they are the oldest: a log that rotates by itself. */
static void test_endless_writing(Share *s, gconstpointer unused)
{
    char name[32];

    (void)unused;
    share_limit_blocks(s, 40, true);
    for (unsigned i = 0; i < 60; i++) {
        g_snprintf(name, sizeof(name), "log.%03u", i);
        share_fill(s, name, 8);
        share_set_mtime(s, name, 1000 + i);
    }
    share_check_count(s);
    g_assert_true(exists(s, "log.059"));
    g_assert_true(exists(s, "log.058"));
    g_assert_false(exists(s, "log.050"));
}

/* Another name of the same file keeps it, so that more than one has to go. */
static void test_hard_links(Share *s, gconstpointer unused)
{
    g_autofree char *f1 = share_path(s, "f1");
    g_autofree char *second = share_path(s, "dir/second");

    (void)unused;
    put_five(s, 8);
    g_assert_cmpint(link(f1, second), ==, 0);
    share_limit_blocks(s, 1, true);
    share_create(s, 9, "new", 0600);
    g_assert_cmpint(share_write_blocks(s, 9, 0, 8), ==, 8 * BLOCK);
    g_assert_false(exists(s, "f1"));
    g_assert_false(exists(s, "dir/second"));
    g_assert_true(exists(s, "f2"));
    share_check_count(s);
}

/* Only regular files, and only below the export. */
static void test_nothing_else_is_deleted(Share *s, gconstpointer unused)
{
    g_autofree char *secret = g_build_filename(s->outside, "secret", NULL);
    g_autofree char *link_path = share_path(s, "link");
    g_autofree char *outside = share_path(s, "outside");
    g_autofree char *fifo = share_path(s, "fifo");
    g_autofree char *dir = share_path(s, "dir");

    (void)unused;
    g_assert_cmpint(symlink(secret, link_path), ==, 0);
    g_assert_cmpint(symlink(s->outside, outside), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0666), ==, 0);
    g_assert_cmpint(g_mkdir(dir, 0777), ==, 0);
    share_set_mtime(s, "link", 1);
    share_set_mtime(s, "fifo", 2);
    share_set_mtime(s, "dir", 3);
    put_old(s, "file", 1, 4);
    share_limit(s, (QuotaOptions){.max_files = 5, .auto_delete = true});
    share_fill(s, "a", 1);
    g_assert_false(exists(s, "file"));
    share_set_mtime(s, "a", 5);
    share_fill(s, "b", 1);
    g_assert_false(exists(s, "a"));
    g_assert_cmpint(client_unlinkat(&s->client, SHARE_ROOT, "b", 0), ==, 0);
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "c", 0700, SHARE_GID), ==, 0);
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "d", 0700, SHARE_GID), ==, -ENOSPC);
    g_assert_true(exists(s, "link"));
    g_assert_true(exists(s, "outside"));
    g_assert_true(exists(s, "fifo"));
    g_assert_true(exists(s, "dir"));
    g_assert_true(g_file_test(secret, G_FILE_TEST_IS_REGULAR));
}

/* What the mapped models keep in regular files, but is something else to the guest, stays; nobody looks
 * for room again and again where there is none. */
static void test_mapped_links_stay(Share *s, gconstpointer unused)
{
    char target[4096];

    (void)unused;
    g_assert_cmpint(client_symlink(&s->client, SHARE_ROOT, "a", "x", SHARE_GID), ==, 0);
    g_assert_cmpint(client_mknod(&s->client, SHARE_ROOT, "b", S_IFIFO | 0644, 0, 0, SHARE_GID), ==, 0);
    share_limit(s, (QuotaOptions){.max_files = 2, .auto_delete = true});
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "c", 0700, SHARE_GID), ==, -ENOSPC);
    g_assert_cmpint(client_symlink(&s->client, SHARE_ROOT, "d", "y", SHARE_GID), ==, -ENOSPC);
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, 1, "a", NULL, NULL), ==, 0);
    g_assert_cmpint(client_readlink(&s->client, 1, target), ==, 0);
    g_assert_cmpstr(target, ==, "x");
    g_assert_true(exists(s, "b"));
}

/* More of them than are remembered, and older than all else: to count again would bring the same. */
static void test_many_mapped_links_stay(Share *s, gconstpointer unused)
{
    enum { LINKS = 4100 };

    (void)unused;
    for (unsigned i = 0; i < LINKS; i++) {
        g_autofree char *name = g_strdup_printf("link%u", i);

        g_assert_cmpint(client_symlink(&s->client, SHARE_ROOT, name, "x", SHARE_GID), ==, 0);
    }
    share_limit(s, (QuotaOptions){.max_files = LINKS, .auto_delete = true});
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "d", 0700, SHARE_GID), ==, -ENOSPC);
    g_assert_true(exists(s, "link0"));
}

/* Deleting takes a descriptor. A guest that holds all that it may have is refused, and not left waiting
 * while the tree is counted again and again. */
static void test_no_descriptor_left(Share *s, gconstpointer unused)
{
    enum { DIRECTORIES = 8 };
    ExportOptions options = export_default_options;
    uint32_t fid = 1;
    int error = 0;

    (void)unused;
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        g_autofree char *name = g_strdup_printf("d%u", i);
        g_autofree char *path = share_path(s, name);
        g_assert_cmpint(g_mkdir(path, 0777), ==, 0);
    }
    put_old(s, "d0/old", 1, 1000);
    options.quota = (QuotaOptions){.max_files = DIRECTORIES + 1, .auto_delete = true};
    options.limits.max_descriptors = DIRECTORIES - 2;
    share_reopen(s, &options);
    g_assert_cmpint(quota_wait_counted(share_quota(s)), ==, 0);
    for (; !error && fid < DIRECTORIES; fid++) {
        g_autofree char *name = g_strdup_printf("d%u", fid);
        error = client_walk(&s->client, SHARE_ROOT, fid, name, NULL, NULL);
    }
    g_assert_cmpint(error, ==, -ENFILE);
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "new", 0700, SHARE_GID), ==, -ENOSPC);
    g_assert_true(exists(s, "d0/old"));
    g_assert_cmpint(client_clunk(&s->client, 1), ==, 0);
    g_assert_cmpint(client_clunk(&s->client, 2), ==, 0);
    share_put(s, "d0/other", ""); /* something has changed, so that looking is worth while */
    g_assert_cmpint(client_unlinkat(&s->client, SHARE_ROOT, "d7", 0x200), ==, 0);
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "new", 0700, SHARE_GID), ==, 0);
}

/* A directory on the way was replaced by a link that leads out: the file there is another one. Once
 * that is counted, there is room. */
static void test_replaced_directory(Share *s, gconstpointer unused)
{
    g_autofree char *secret = g_build_filename(s->outside, "secret", NULL);
    g_autofree char *moved = g_build_filename(s->outside, "moved", NULL);
    g_autofree char *dir = share_path(s, "dir");
    g_autofree char *file = share_path(s, "dir/secret");

    (void)unused;
    g_assert_cmpint(g_mkdir(dir, 0777), ==, 0);
    put_old(s, "dir/secret", 1, 1000);
    put_old(s, "young", 1, 2000);
    put_old(s, "younger", 1, 3000);
    share_limit(s, (QuotaOptions){.max_files = 4, .auto_delete = true});
    quota_set_recount_age(share_quota(s), 60 * 1000, 1000 * 1000); /* never */
    g_assert_cmpint(rename(dir, moved), ==, 0);
    g_assert_cmpint(symlink(moved, dir), ==, 0);
    share_fill(s, "a", 1);
    g_assert_false(exists(s, "young"));
    quota_set_recount_age(share_quota(s), 0, 0);
    share_fill(s, "b", 1);
    g_assert_true(exists(s, "younger"));
    g_assert_true(g_file_test(file, G_FILE_TEST_IS_REGULAR));
    g_assert_true(g_file_test(secret, G_FILE_TEST_IS_REGULAR));
}

/* What could never fit costs no file. */
static void test_impossible_claims_delete_nothing(Share *s, gconstpointer unused)
{
    (void)unused;
    put_five(s, 1);
    share_limit(s, (QuotaOptions){.max_space = BLOCK / 2, .auto_delete = true});
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "d", 0700, SHARE_GID), ==, -ENOSPC);
    check_five(s, true, true, true, true, true);
}

/* A write that is larger than all that the export may hold is cut, as on a full disk. */
static void test_larger_than_the_limit(Share *s, gconstpointer unused)
{
    (void)unused;
    share_limit_blocks(s, 1, true);
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(share_write_blocks(s, 1, 0, 8), ==, BLOCK);
    g_assert_cmpint(share_write_blocks(s, 1, 1, 8), ==, -ENOSPC);
    share_check_count(s);
}

/* More files than a count remembers: they all go, in their order. */
static void test_more_files_than_are_remembered(Share *s, gconstpointer unused)
{
    enum { FILES = 10000, DIRS = 9500 };
    struct timespec times[2] = {0};
    int fd = open(s->export, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[32];

    (void)unused;
    for (unsigned i = 0; i < FILES; i++) {
        unsigned shuffled = i * 7919 % FILES;

        g_snprintf(name, sizeof(name), "f%u", shuffled);
        g_assert_cmpint(mknodat(fd, name, S_IFREG | 0644, 0), ==, 0);
        times[0].tv_sec = times[1].tv_sec = 1000 + shuffled;
        g_assert_cmpint(utimensat(fd, name, times, 0), ==, 0);
    }
    close(fd);
    share_limit(s, (QuotaOptions){.max_files = FILES, .auto_delete = true});
    for (unsigned i = 0; i < DIRS; i++) {
        g_snprintf(name, sizeof(name), "d%u", i);
        g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, name, 0700, SHARE_GID), ==, 0);
        g_snprintf(name, sizeof(name), "f%u", i);
        g_assert_false(exists(s, name));
        g_snprintf(name, sizeof(name), "f%u", i + 1);
        g_assert_true(exists(s, name));
    }
    g_assert_cmpuint(quota_n_looked_at(share_quota(s)), <=, 4 * (FILES + 1));
    share_check_count(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/quota-delete/oldest-goes-first/files", test_oldest_goes_first_for_files);
    share_add_test("/quota-delete/oldest-goes-first/space", test_oldest_goes_first_for_space);
    share_add_test("/quota-delete/open-files-stay", test_open_files_stay);
    share_add_test("/quota-delete/walked-fids-do-not-hold-space",
                   test_walked_fids_do_not_hold_space);
    share_add_test("/quota-delete/changes-since-the-count", test_changes_since_the_count);
    share_add_test("/quota-delete/moved-again-and-again", test_moved_again_and_again);
    share_add_test("/quota-delete/endless-writing", test_endless_writing);
    share_add_test("/quota-delete/hard-links", test_hard_links);
    share_add_test("/quota-delete/nothing-else", test_nothing_else_is_deleted);
    share_add_test_with_model("/quota-delete/mapped-links-stay", MODEL_MAPPED_XATTR,
                              test_mapped_links_stay);
    share_add_test_with_model("/quota-delete/mapped-links-stay", MODEL_MAPPED_FILE,
                              test_mapped_links_stay);
    share_add_test_with_model("/quota-delete/many-mapped-links-stay", MODEL_MAPPED_XATTR,
                              test_many_mapped_links_stay);
    share_add_test("/quota-delete/no-descriptor-left", test_no_descriptor_left);
    share_add_test("/quota-delete/replaced-directory", test_replaced_directory);
    share_add_test("/quota-delete/impossible-claims", test_impossible_claims_delete_nothing);
    share_add_test("/quota-delete/larger-than-the-limit", test_larger_than_the_limit);
    share_add_test_on("/quota-delete/more-than-remembered", "memory",
                      test_more_files_than_are_remembered);
    return g_test_run();
}
