/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host directory through the server: data, open files, special files. */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lib/share.h"

static void test_create_write_read(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    g_autofree char *text = NULL;
    char back[32];

    (void)unused;
    share_create(s, 1, "file", 0640);
    g_assert_cmpint(client_write(c, 1, 0, "hello world", 11), ==, 11);
    g_assert_cmpint(client_write(c, 1, 6, "there", 5), ==, 5);
    g_assert_cmpint(client_read(c, 1, 0, sizeof(back), back), ==, 11);
    g_assert_true(memcmp(back, "hello there", 11) == 0);
    g_assert_cmpint(client_read(c, 1, 6, 3, back), ==, 3);
    g_assert_true(memcmp(back, "the", 3) == 0);
    g_assert_cmpint(client_read(c, 1, 11, 10, back), ==, 0);
    g_assert_cmpint(client_read(c, 1, 1000000, 10, back), ==, 0);
    g_assert_cmpint(client_read(c, 1, 0, 0, back), ==, 0);
    g_assert_cmpint(client_write(c, 1, 3, "", 0), ==, 0);
    g_assert_cmpint(client_fsync(c, 1, false), ==, 0);
    g_assert_cmpint(client_fsync(c, 1, true), ==, 0);
    text = share_get(s, "file");
    g_assert_cmpstr(text, ==, "hello there");
}

/* Up to the largest transfer that one message carries, at odd offsets, with a hole before it. */
static void test_large_transfers(Share *s, gconstpointer unused)
{
    static const uint32_t sizes[] = {1, 4095, 4097, 65535, 65536, 65537, SHARE_MSIZE - 24};
    g_autofree uint8_t *out = g_malloc(SHARE_MSIZE);
    g_autofree uint8_t *in = g_malloc(SHARE_MSIZE);

    (void)unused;
    for (unsigned i = 0; i < SHARE_MSIZE; i++)
        out[i] = (uint8_t)(i * 7 + (i >> 8));
    share_create(s, 1, "file", 0600);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        uint64_t offset = 3 + (uint64_t)i * 3 * 1024 * 1024;

        g_assert_cmpint(client_write(&s->client, 1, offset, out, sizes[i]), ==, sizes[i]);
        g_assert_cmpint(client_read(&s->client, 1, offset, sizes[i], in), ==, sizes[i]);
        g_assert_true(memcmp(in, out, sizes[i]) == 0);
    }
    g_assert_cmpint(client_read(&s->client, 1, 1024 * 1024, 8, in), ==, 8);
    g_assert_true(memcmp(in, "\0\0\0\0\0\0\0\0", 8) == 0);
}

/* A read that asks for more than a message holds gets what fits. */
static void test_read_is_cut_to_msize(Share *s, gconstpointer unused)
{
    g_autofree char *data = g_malloc0(SHARE_MSIZE);

    (void)unused;
    share_create(s, 1, "file", 0600);
    for (unsigned i = 0; i < 3; i++)
        client_write(&s->client, 1, (uint64_t)i * 400000, data, 400000);
    g_assert_cmpint(client_read(&s->client, 1, 0, 0xffffffff, NULL), ==,
                    SHARE_MSIZE - P9_RREAD_OVERHEAD);
}

static void test_offsets_beyond_the_end_of_the_world(Share *s, gconstpointer unused)
{
    FsChange size = {.valid = P9_SETATTR_SIZE, .size = 1ULL << 63};
    Client *c = &s->client;

    (void)unused;
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(client_read(c, 1, UINT64_MAX, 10, NULL), ==, -EINVAL);
    g_assert_cmpint(client_read(c, 1, 1ULL << 63, 10, NULL), ==, -EINVAL);
    g_assert_cmpint(client_write(c, 1, UINT64_MAX - 1, "x", 1), ==, -EFBIG);
    g_assert_cmpint(client_write(c, 1, 1ULL << 63, "x", 1), ==, -EFBIG);
    g_assert_cmpint(client_setattr(c, 1, &size), ==, -EINVAL);
    size.size = UINT64_MAX;
    g_assert_cmpint(client_setattr(c, 1, &size), ==, -EINVAL);
}

static void test_access_modes(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_put(s, "file", "text");
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "file", 0), ==, 0);
    g_assert_cmpint(client_write(c, 1, 0, "x", 1), ==, -EBADF);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "file", P9_L_WRONLY), ==, 0);
    g_assert_cmpint(client_read(c, 2, 0, 1, NULL), ==, -EBADF);
    g_assert_cmpint(client_open(c, 2, 0), ==, -EINVAL);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 3, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_read(c, 3, 0, 1, NULL), ==, -EBADF);
    g_assert_cmpint(client_fsync(c, 3, false), ==, -EBADF);
    g_assert_cmpint(client_open(c, 3, P9_L_DIRECTORY), ==, -ENOTDIR);
    g_assert_cmpint(client_open(c, SHARE_ROOT, P9_L_RDWR), ==, -EISDIR);
}

static void test_truncate_and_append(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    g_autofree char *text = NULL;
    g_autofree char *empty = NULL;

    (void)unused;
    share_put(s, "file", "long text");
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "file", P9_L_WRONLY | P9_L_TRUNC), ==, 0);
    empty = share_get(s, "file");
    g_assert_cmpstr(empty, ==, "");
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "file", P9_L_WRONLY | P9_L_APPEND), ==, 0);
    g_assert_cmpint(client_write(c, 1, 0, "one", 3), ==, 3);
    g_assert_cmpint(client_write(c, 2, 0, "two", 3), ==, 3);
    text = share_get(s, "file");
    g_assert_cmpstr(text, ==, "onetwo");
}

static void test_create_existing(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    g_autofree char *text = NULL;
    char back[16];

    (void)unused;
    share_put(s, "file", "text");
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0755, 0), ==, 0);
    client_walk(c, SHARE_ROOT, 1, "", NULL, NULL);
    g_assert_cmpint(client_create(c, 1, "file", P9_L_RDWR | P9_L_EXCL, 0600, 0), ==, -EEXIST);
    g_assert_cmpint(client_create(c, 1, "dir", P9_L_RDWR, 0600, 0), ==, -EISDIR);
    g_assert_cmpint(client_create(c, 1, "..", P9_L_RDWR, 0600, 0), ==, -EEXIST);
    g_assert_cmpint(client_create(c, 1, "file", P9_L_RDWR, 0600, 0), ==, 0);
    g_assert_cmpint(client_read(c, 1, 0, 10, back), ==, 4);
    client_walk(c, SHARE_ROOT, 2, "", NULL, NULL);
    g_assert_cmpint(client_create(c, 2, "file", P9_L_RDWR | P9_L_TRUNC, 0600, 0), ==, 0);
    text = share_get(s, "file");
    g_assert_cmpstr(text, ==, "");
}

/* A fid that failed to create stays the directory that it was. */
static void test_failed_create_keeps_directory(Share *s, gconstpointer unused)
{
    ClientAttr attr;

    (void)unused;
    share_put(s, "file", "text");
    client_walk(&s->client, SHARE_ROOT, 1, "", NULL, NULL);
    g_assert_cmpint(client_create(&s->client, 1, "file", P9_L_EXCL, 0600, 0), ==, -EEXIST);
    g_assert_cmpint(client_getattr(&s->client, 1, &attr), ==, 0);
    g_assert_true(S_ISDIR(attr.mode));
    g_assert_cmpint(client_mkdir(&s->client, 1, "dir", 0755, 0), ==, 0);
}

/* An unlinked file lives on in its fids, open or not. */
static void test_unlinked(Share *s, gconstpointer unused)
{
    FsChange change = {.valid = P9_SETATTR_SIZE | P9_SETATTR_MODE | P9_SETATTR_UID,
                       .size = 2001,
                       .mode = 0604,
                       .uid = 7};
    Client *c = &s->client;
    ClientAttr attr;

    (void)unused;
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 2, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 0), ==, 0);
    g_assert_cmpint(client_write(c, 1, 0, "text", 4), ==, 4);
    g_assert_cmpint(client_getattr(c, 1, &attr), ==, 0);
    g_assert_cmpuint(attr.nlink, ==, 0);
    g_assert_cmpuint(attr.size, ==, 4);
    g_assert_cmpint(client_setattr(c, 1, &change), ==, 0);
    g_assert_cmpint(client_getattr(c, 2, &attr), ==, 0);
    g_assert_cmpuint(attr.size, ==, 2001);
    g_assert_cmpuint(attr.mode, ==, S_IFREG | 0604);
    g_assert_cmpuint(attr.uid, ==, 7);
    change.size = 10;
    g_assert_cmpint(client_setattr(c, 2, &change), ==, 0);
    g_assert_cmpint(client_walk(c, 2, 3, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_open(c, 3, P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_read(c, 3, 0, 100, NULL), ==, 10);
    g_assert_cmpint(client_remove(c, 2), ==, -ENOENT);
    g_assert_cmpint(client_fsync(c, 1, false), ==, 0);
}

static void test_unlinked_behind_the_back(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;
    char back[8];

    (void)unused;
    share_create(s, 1, "file", 0600);
    g_assert_cmpint(unlink(path), ==, 0);
    share_put(s, "file", "other");
    g_assert_cmpint(client_write(c, 1, 0, "mine", 4), ==, 4);
    g_assert_cmpint(client_read(c, 1, 0, 8, back), ==, 4);
    g_assert_true(memcmp(back, "mine", 4) == 0);
    g_assert_cmpint(client_remove(c, 1), ==, -ENOENT);
    g_autofree char *text = share_get(s, "file");
    g_assert_cmpstr(text, ==, "other");
}

/* Shrinking and growing, with fids open in every way. */
static void test_truncate_by_setattr(Share *s, gconstpointer unused)
{
    FsChange change = {.valid = P9_SETATTR_SIZE, .size = 3};
    Client *c = &s->client;
    struct stat st;

    (void)unused;
    share_put(s, "file", "some text");
    client_walk(c, SHARE_ROOT, 1, "file", NULL, NULL);
    g_assert_cmpint(client_setattr(c, 1, &change), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_size, ==, 3);
    client_open(c, 1, 0);
    change.size = 100;
    g_assert_cmpint(client_setattr(c, 1, &change), ==, 0);
    client_open_path(c, SHARE_ROOT, 2, "file", P9_L_RDWR);
    change.size = 1;
    g_assert_cmpint(client_setattr(c, 2, &change), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_size, ==, 1);
    g_assert_cmpint(client_setattr(c, SHARE_ROOT, &change), ==, -EISDIR);
}

static void check_special(Share *s, const char *name, uint32_t type, dev_t device)
{
    FsChange size = {.valid = P9_SETATTR_SIZE};
    FsChange mode = {.valid = P9_SETATTR_MODE, .mode = 0604};
    Client *c = &s->client;
    ClientAttr attr;
    struct stat st;

    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, name, NULL, NULL), ==, 0);
    g_assert_cmpint(client_getattr(c, 1, &attr), ==, 0);
    g_assert_cmpuint(attr.mode, ==, type | 0666);
    g_assert_cmpuint(attr.rdev, ==, device);
    g_assert_cmpint(client_open(c, 1, 0), ==, -ENXIO);
    g_assert_cmpint(client_open(c, 1, P9_L_WRONLY), ==, -ENXIO);
    g_assert_cmpint(client_open(c, 1, P9_L_RDWR | P9_L_NONBLOCK), ==, -ENXIO);
    client_walk(c, SHARE_ROOT, 2, "", NULL, NULL);
    g_assert_cmpint(client_create(c, 2, name, P9_L_WRONLY, 0600, 0), ==, -ENXIO);
    client_clunk(c, 2);
    g_assert_cmpint(client_setattr(c, 1, &size), ==, -EINVAL);
    g_assert_cmpint(client_setattr(c, 1, &mode), ==, 0);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, name, SHARE_ROOT, "moved"), ==, 0);
    g_assert_true(share_see(s, "moved", &st));
    g_assert_cmpuint(st.st_mode, ==, type | 0604);
    g_assert_cmpuint(st.st_uid, ==, SHARE_UID);
    g_assert_cmpint(client_remove(c, 1), ==, 0);
    g_assert_false(share_see(s, "moved", &st));
}

/* They can be made and looked at, and never opened: an open could block or reach a device. */
static void test_special_files(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    if (geteuid() != 0) {
        g_test_skip("needs root");
        return;
    }
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "fifo", S_IFIFO | 0666, 0, 0, 0), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "socket", S_IFSOCK | 0666, 0, 0, 0), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "null", S_IFCHR | 0666, 1, 3, 0), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "disk", S_IFBLK | 0666, 7, 300, 0), ==, 0);
    check_special(s, "fifo", S_IFIFO, 0);
    check_special(s, "socket", S_IFSOCK, 0);
    check_special(s, "null", S_IFCHR, makedev(1, 3));
    check_special(s, "disk", S_IFBLK, makedev(7, 300));
}

static void test_mknod_of_a_regular_file(Share *s, gconstpointer unused)
{
    struct stat st;

    (void)unused;
    g_assert_cmpint(client_mknod(&s->client, SHARE_ROOT, "a", S_IFREG | 0640, 0, 0, 0), ==, 0);
    g_assert_true(share_see(s, "a", &st));
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0640);
    g_assert_cmpint(client_open_path(&s->client, SHARE_ROOT, 1, "a", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_mknod(&s->client, SHARE_ROOT, "b", S_IFDIR | 0755, 0, 0, 0), <, 0);
    g_assert_cmpint(client_mknod(&s->client, SHARE_ROOT, "c", S_IFLNK | 0755, 0, 0, 0), <, 0);
}

/* A FIFO that takes a file's place between two messages does not stop the server either. */
static void test_swapped_for_a_fifo(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;

    (void)unused;
    share_put(s, "file", "text");
    client_walk(c, SHARE_ROOT, 1, "file", NULL, NULL);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(mkfifo(path, 0666), ==, 0);
    g_assert_cmpint(client_open(c, 1, P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_read(c, 1, 0, 10, NULL), ==, 4);
    client_walk(c, SHARE_ROOT, 2, "", NULL, NULL);
    g_assert_cmpint(client_create(c, 2, "file", P9_L_RDWR, 0600, 0), ==, -ENXIO);
}

static void test_bad_exports(void)
{
    const char *why = NULL;
    Fs *fs;

    g_assert_cmpint(local_fs_new("/does/not/exist", &export_default_options, &fs, &why), ==, -ENOENT);
    g_assert_nonnull(why);
    g_assert_cmpint(local_fs_new("/etc/passwd", &export_default_options, &fs, &why), ==, -ENOTDIR);
    g_assert_nonnull(why);
}

static void test_models(void)
{
    SecurityModel model;

    g_assert_true(security_model_parse("none", &model) && model == MODEL_NONE);
    g_assert_true(security_model_parse("passthrough", &model) && model == MODEL_PASSTHROUGH);
    g_assert_true(security_model_parse("mapped-xattr", &model) && model == MODEL_MAPPED_XATTR);
    g_assert_true(security_model_parse("mapped", &model) && model == MODEL_MAPPED_XATTR);
    g_assert_true(security_model_parse("mapped-file", &model) && model == MODEL_MAPPED_FILE);
    g_assert_cmpstr(security_model_name(MODEL_NONE), ==, "none");
    g_assert_cmpstr(security_model_name(MODEL_MAPPED_XATTR), ==, "mapped-xattr");
    g_assert_cmpstr(security_model_name(MODEL_MAPPED_FILE), ==, "mapped-file");
    g_assert_false(security_model_parse("", &model));
    g_assert_false(security_model_parse("None", &model));
    g_assert_false(security_model_parse("none ", &model));
    g_assert_false(security_model_parse("mapped-", &model));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    share_add_test_for_models("/local-files/create-write-read", test_create_write_read);
    share_add_test_for_models("/local-files/large-transfers", test_large_transfers);
    share_add_test_for_models("/local-files/read-is-cut-to-msize", test_read_is_cut_to_msize);
    share_add_test_for_models("/local-files/offsets", test_offsets_beyond_the_end_of_the_world);
    share_add_test_for_models("/local-files/access-modes", test_access_modes);
    share_add_test_for_models("/local-files/truncate-and-append", test_truncate_and_append);
    share_add_test_for_models("/local-files/create-existing", test_create_existing);
    share_add_test_for_models("/local-files/failed-create", test_failed_create_keeps_directory);
    share_add_test_for_models("/local-files/unlinked", test_unlinked);
    share_add_test_for_models("/local-files/unlinked-behind-the-back", test_unlinked_behind_the_back);
    share_add_test_for_models("/local-files/truncate-by-setattr", test_truncate_by_setattr);
    share_add_test_for_models("/local-files/special", test_special_files);
    share_add_test_for_models("/local-files/mknod-regular", test_mknod_of_a_regular_file);
    share_add_test_for_models("/local-files/swapped-for-a-fifo", test_swapped_for_a_fifo);
    g_test_add_func("/local-files/bad-exports", test_bad_exports);
    g_test_add_func("/local-files/models", test_models);
    return g_test_run();
}
