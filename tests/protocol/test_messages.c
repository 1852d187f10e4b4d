/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other messages, over a tree in memory: each one's reply, and its errors. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/lib/scene.h"

enum { NEW = 9 };

static void test_open(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    TestReply *reply = NULL;
    ByteReader r;

    client_walk(c, SCENE_ROOT, NEW, "file", NULL, NULL);
    g_assert_cmpint(client_call(c, &reply, P9_TLOPEN, "dd", NEW, P9_L_RDWR), ==, 0);
    r = byte_reader(reply->bytes + P9_HEADER_SIZE + P9_QID_SIZE, 4);
    g_assert_cmpuint(read_u32(&r), <=, SCENE_MSIZE - P9_IO_OVERHEAD);
    g_free(reply);
    g_assert_cmpint(client_open(c, NEW, 0), ==, -EINVAL);
    g_assert_cmpint(client_open(c, SCENE_DIRECTORY, P9_L_RDWR), ==, -EISDIR);
    g_assert_cmpint(client_call(c, &reply, P9_TLOPEN, "dd", SCENE_DIRECTORY, 0), ==, 0);
    r = byte_reader(reply->bytes + P9_HEADER_SIZE + P9_QID_SIZE, 4);
    g_assert_cmpuint(read_u32(&r), ==, 0);
    g_free(reply);
    g_assert_cmpint(client_create(c, SCENE_DIRECTORY, "new", P9_L_RDWR, 0644, 0), ==, -EINVAL);
}

static void test_create(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    ClientAttr attr;

    g_assert_cmpint(client_create(c, SCENE_DIRECTORY, "", P9_L_RDWR, 0644, 0), ==, -ENOENT);
    g_assert_cmpint(client_create(c, SCENE_DIRECTORY, "a/b", P9_L_RDWR, 0644, 0), ==, -ENOENT);
    g_assert_cmpint(client_create(c, SCENE_DIRECTORY, ".", P9_L_RDWR, 0644, 0), ==, -EEXIST);
    g_assert_cmpint(client_create(c, SCENE_DIRECTORY, "new", P9_L_RDWR, 0644, 55), ==, 0);
    g_assert_cmpint(client_write(c, SCENE_DIRECTORY, 0, "text", 4), ==, 4);
    g_assert_cmpint(client_getattr(c, SCENE_DIRECTORY, &attr), ==, 0);
    g_assert_cmpuint(attr.mode, ==, S_IFREG | 0644);
    g_assert_cmpuint(attr.gid, ==, 55);
    g_assert_cmpint(client_walk(c, SCENE_ROOT, NEW, "directory/new", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(c, NEW, "below", P9_L_RDWR, 0644, 0), ==, -ENOTDIR);
}

static void test_read_and_write(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    uint8_t data[200];

    g_assert_cmpint(client_read(c, SCENE_FILE, 0, sizeof(data), data), ==, 100);
    for (unsigned i = 0; i < 100; i++)
        g_assert_cmpuint(data[i], ==, i);
    g_assert_cmpint(client_read(c, SCENE_FILE, 90, sizeof(data), data), ==, 10);
    g_assert_cmpint(client_read(c, SCENE_FILE, 100, sizeof(data), data), ==, 0);
    g_assert_cmpint(client_write(c, SCENE_FILE, 98, "abcd", 4), ==, 4);
    g_assert_cmpint(client_read(c, SCENE_FILE, 97, sizeof(data), data), ==, 5);
    g_assert_true(memcmp(data,
                         "\x61"
                         "abcd",
                         5) == 0);
    g_assert_cmpint(client_read(c, SCENE_DIRECTORY, 0, 10, NULL), ==, -EBADF);
    client_open(c, SCENE_DIRECTORY, 0);
    g_assert_cmpint(client_read(c, SCENE_DIRECTORY, 0, 10, NULL), ==, -EISDIR);
    g_assert_cmpint(client_fsync(c, SCENE_FILE, true), ==, 0);
}

static void fill_directory(Scene *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("ReadDirFile%u", i);
        g_assert_cmpint(client_mknod(&s->client, SCENE_DIRECTORY, name, S_IFREG | 0644, 0, 0, 0),
                        ==, 0);
    }
}

/* Each count that holds the longest entry lists all, each smaller one is an error at that entry. */
static void test_readdir_split(void)
{
    enum { N = 100, LONGEST = 24 + 13 };
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    GArray *entries;

    fill_directory(s, N);
    client_open(c, SCENE_DIRECTORY, P9_L_DIRECTORY);
    for (uint32_t count = LONGEST; count < 600; count++) {
        entries = client_list(c, SCENE_DIRECTORY, count);
        g_assert_cmpuint(entries->len, ==, N + 2);
        g_array_free(entries, TRUE);
    }
    entries = g_array_new(FALSE, FALSE, sizeof(ClientEntry));
    for (uint32_t count = 0; count < 25; count++)
        g_assert_cmpint(client_readdir(c, SCENE_DIRECTORY, 0, count, entries), ==, -EINVAL);
    g_assert_cmpint(client_readdir(c, SCENE_DIRECTORY, 0, 25, entries), ==, 1);
    g_assert_cmpint(client_readdir(c, SCENE_DIRECTORY, 0, UINT32_MAX, entries), ==, N + 2);
    g_array_free(entries, TRUE);
}

static void test_readdir_resume(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    GArray *all;

    fill_directory(s, 20);
    client_open(c, SCENE_DIRECTORY, P9_L_DIRECTORY);
    all = client_list(c, SCENE_DIRECTORY, 4000);
    for (unsigned i = all->len; i-- > 0;) {
        GArray *rest = g_array_new(FALSE, FALSE, sizeof(ClientEntry));
        uint64_t offset = g_array_index(all, ClientEntry, i).offset;

        g_assert_cmpint(client_readdir(c, SCENE_DIRECTORY, offset, 4000, rest), ==,
                        (int)(all->len - i - 1));
        g_array_free(rest, TRUE);
    }
    g_array_free(all, TRUE);
}

static void test_readdir_errors(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(ClientEntry));

    g_assert_cmpint(client_readdir(&s->client, SCENE_DIRECTORY, 0, 1000, entries), ==, -EBADF);
    g_assert_cmpint(client_readdir(&s->client, SCENE_FILE, 0, 1000, entries), ==, -ENOTDIR);
    g_array_free(entries, TRUE);
}

static void test_getattr_and_setattr(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    FsChange change = {.valid = P9_SETATTR_MODE | P9_SETATTR_UID | P9_SETATTR_GID |
                                P9_SETATTR_SIZE | P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET,
                       .mode = 0604,
                       .uid = 5,
                       .gid = 6,
                       .size = 50,
                       .mtime = {.tv_sec = 7, .tv_nsec = 8}};
    Client *c = &s->client;
    ClientAttr attr;

    g_assert_cmpint(client_setattr(c, SCENE_FILE, &change), ==, 0);
    g_assert_cmpint(client_getattr(c, SCENE_FILE, &attr), ==, 0);
    g_assert_cmpuint(attr.mode, ==, S_IFREG | 0604);
    g_assert_cmpuint(attr.uid, ==, 5);
    g_assert_cmpuint(attr.gid, ==, 6);
    g_assert_cmpuint(attr.size, ==, 50);
    g_assert_cmpint(attr.mtime.tv_sec, ==, 7);
    g_assert_cmpint(attr.mtime.tv_nsec, ==, 8);
    g_assert_cmpuint(attr.valid, ==, P9_GETATTR_BASIC); /* of all that was asked for */
    change = (FsChange){.valid = 1u << 31};
    g_assert_cmpint(client_setattr(c, SCENE_FILE, &change), ==, -EINVAL);
    change =
        (FsChange){.valid = P9_SETATTR_ATIME | P9_SETATTR_ATIME_SET, .atime.tv_nsec = 1000000000};
    g_assert_cmpint(client_setattr(c, SCENE_FILE, &change), ==, -EINVAL);
}

static void test_special_nodes(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    ClientAttr attr;
    char target[4096];

    g_assert_cmpint(client_mknod(c, SCENE_ROOT, "dev", S_IFCHR | 0600, 5, 300, 7), ==, 0);
    client_walk(c, SCENE_ROOT, NEW, "dev", NULL, NULL);
    client_getattr(c, NEW, &attr);
    g_assert_cmpuint(attr.rdev, ==, makedev(5, 300));
    g_assert_cmpuint(attr.gid, ==, 7);
    g_assert_cmpint(client_open(c, NEW, 0), ==, -ENXIO);
    g_assert_cmpint(client_symlink(c, SCENE_ROOT, "link", "the/target", 0), ==, 0);
    client_walk(c, SCENE_ROOT, 10, "link", NULL, NULL);
    g_assert_cmpint(client_readlink(c, 10, target), ==, 0);
    g_assert_cmpstr(target, ==, "the/target");
    g_assert_cmpint(client_open(c, 10, 0), ==, -ELOOP);
    g_assert_cmpint(client_readlink(c, SCENE_FILE, target), ==, -EINVAL);
}

static void test_names(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    ClientAttr attr;

    g_assert_cmpint(client_link(c, SCENE_DIRECTORY, SCENE_FILE, "again"), ==, 0);
    client_getattr(c, SCENE_FILE, &attr);
    g_assert_cmpuint(attr.nlink, ==, 2);
    g_assert_cmpint(client_link(c, SCENE_DIRECTORY, SCENE_FILE, "a/b"), ==, -ENOENT);
    g_assert_cmpint(client_link(c, SCENE_DIRECTORY, SCENE_FILE, ".."), ==, -EEXIST);
    g_assert_cmpint(client_renameat(c, SCENE_DIRECTORY, "again", SCENE_ROOT, "up"), ==, 0);
    g_assert_cmpint(client_renameat(c, SCENE_ROOT, ".", SCENE_ROOT, "x"), ==, -EISDIR);
    g_assert_cmpint(client_renameat(c, SCENE_ROOT, "up", SCENE_ROOT, ".."), ==, -EISDIR);
    g_assert_cmpint(client_rename(c, SCENE_DIRECTORY, SCENE_ROOT, "moved"), ==, 0);
    g_assert_cmpint(client_walk(c, SCENE_ROOT, NEW, "moved", NULL, NULL), ==, 0);
    g_assert_cmpint(client_rename(c, NEW, SCENE_ROOT, "."), ==, -EISDIR);
    g_assert_cmpint(client_unlinkat(c, SCENE_ROOT, "moved", 0), ==, -EISDIR);
    g_assert_cmpint(client_unlinkat(c, SCENE_ROOT, "moved", 0x400), ==, -EINVAL);
    g_assert_cmpint(client_unlinkat(c, SCENE_ROOT, ".", P9_UNLINK_REMOVEDIR), ==, -EINVAL);
    g_assert_cmpint(client_unlinkat(c, SCENE_ROOT, "..", P9_UNLINK_REMOVEDIR), ==, -ENOTEMPTY);
    g_assert_cmpint(client_unlinkat(c, SCENE_ROOT, "moved", P9_UNLINK_REMOVEDIR), ==, 0);
    g_assert_true(client_has_fid(c, SCENE_DIRECTORY)); /* a fid of the victim stays */
    g_assert_cmpint(client_unlinkat(c, SCENE_ROOT, "up", 0), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SCENE_ROOT, "file", 0), ==, 0);
    g_assert_cmpint(client_read(c, SCENE_FILE, 0, 10, NULL), ==, 10);
}

/* Tremove clunks, whether or not it removes. */
static void test_remove(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;

    g_assert_cmpint(client_mkdir(c, SCENE_DIRECTORY, "sub", 0755, 0), ==, 0);
    client_walk(c, SCENE_ROOT, NEW, "directory", NULL, NULL);
    g_assert_cmpint(client_remove(c, NEW), ==, -ENOTEMPTY);
    g_assert_false(client_has_fid(c, NEW));
    g_assert_cmpint(client_remove(c, SCENE_FILE), ==, 0);
    g_assert_false(client_has_fid(c, SCENE_FILE));
    g_assert_cmpint(client_walk(c, SCENE_ROOT, NEW, "file", NULL, NULL), ==, -ENOENT);
    memory_fs_fail(s->fs, MEMORY_REMOVE, -EIO, 1);
    g_assert_cmpint(client_remove(c, SCENE_DIRECTORY), ==, -EIO);
    g_assert_false(client_has_fid(c, SCENE_DIRECTORY));
}

static void test_clunk(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    g_assert_cmpint(client_clunk(&s->client, SCENE_FILE), ==, 0);
    g_assert_cmpint(client_clunk(&s->client, SCENE_FILE), ==, -ENOENT);
    g_assert_cmpint(client_clunk(&s->client, SCENE_DIRECTORY), ==, 0);
    g_assert_cmpint(client_clunk(&s->client, SCENE_ROOT), ==, 0);
    g_assert_cmpuint(memory_fs_n_held(s->fs), ==, 0);
}

/* A fid that is clunked while a request works on it stays usable for that request alone. */
static void test_clunk_under_a_request(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_block_write(s, 0, 5, 1);
    client_send(s->ts, 6, P9_TCLUNK, "d", SCENE_FILE);
    scene_expect(s, "0:Rclunk/6");
    scene_send_write(s, 0, 7);
    scene_expect(s, "0:Rlerror(2)/7");
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    scene_expect(s, "0:Rwrite/5");
}

/* Two Tlopen of one fid at once: one opens it, the other changes nothing. */
static void test_two_opens_of_one_fid(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 4);
    g_autofree char *seen = NULL;

    client_walk(&s->client, SCENE_ROOT, NEW, "file", NULL, NULL);
    memory_fs_close_gate(s->fs, MEMORY_OPEN);
    client_send(s->ts, 5, P9_TLOPEN, "dd", NEW, 0);
    client_send(s->ts, 6, P9_TLOPEN, "dd", NEW, 0);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_OPEN, 2);
    memory_fs_open_gate(s->fs, MEMORY_OPEN);
    test_session_await_count(s->ts, 2);
    seen = test_session_transcript(s->ts);
    g_assert_nonnull(strstr(seen, "Rlopen"));
    g_assert_nonnull(strstr(seen, "Rlerror(9)"));
    g_assert_cmpint(client_read(&s->client, NEW, 0, 10, NULL), ==, 10);
}

static void test_statfs(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    uint32_t type, name_max;
    uint64_t blocks;

    g_assert_cmpint(client_statfs(&s->client, SCENE_ROOT, &type, &blocks, &name_max), ==, 0);
    g_assert_cmpuint(blocks, ==, 1000);
    g_assert_cmpuint(name_max, ==, P9_NAME_MAX);
}

/* An error of the file system goes to the client as it is, from whatever operation. */
static void test_errors_pass_through(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);
    Client *c = &s->client;
    ClientAttr attr;

    for (MemoryOp op = 0; op < MEMORY_N_OPS; op++)
        memory_fs_fail(s->fs, op, -ESTALE, 100);
    g_assert_cmpint(client_walk(c, SCENE_ROOT, NEW, "file", NULL, NULL), ==, -ESTALE);
    g_assert_cmpint(client_getattr(c, SCENE_FILE, &attr), ==, -ESTALE);
    g_assert_cmpint(client_open(c, SCENE_DIRECTORY, 0), ==, -ESTALE);
    g_assert_cmpint(client_create(c, SCENE_DIRECTORY, "x", 0, 0, 0), ==, -ESTALE);
    g_assert_cmpint(client_read(c, SCENE_FILE, 0, 10, NULL), ==, -ESTALE);
    g_assert_cmpint(client_write(c, SCENE_FILE, 0, "x", 1), ==, -ESTALE);
    g_assert_cmpint(client_fsync(c, SCENE_FILE, false), ==, -ESTALE);
    g_assert_cmpint(client_mkdir(c, SCENE_ROOT, "x", 0, 0), ==, -ESTALE);
    g_assert_cmpint(client_attach(c, NEW, 0, NULL), ==, -ESTALE);
    g_assert_cmpint(client_unlinkat(c, SCENE_ROOT, "file", 0), ==, -ESTALE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/messages/open", test_open);
    g_test_add_func("/messages/create", test_create);
    g_test_add_func("/messages/read-and-write", test_read_and_write);
    g_test_add_func("/messages/readdir/split", test_readdir_split);
    g_test_add_func("/messages/readdir/resume", test_readdir_resume);
    g_test_add_func("/messages/readdir/errors", test_readdir_errors);
    g_test_add_func("/messages/getattr-and-setattr", test_getattr_and_setattr);
    g_test_add_func("/messages/special-nodes", test_special_nodes);
    g_test_add_func("/messages/names", test_names);
    g_test_add_func("/messages/remove", test_remove);
    g_test_add_func("/messages/clunk", test_clunk);
    g_test_add_func("/messages/clunk-under-a-request", test_clunk_under_a_request);
    g_test_add_func("/messages/two-opens", test_two_opens_of_one_fid);
    g_test_add_func("/messages/statfs", test_statfs);
    g_test_add_func("/messages/errors", test_errors_pass_through);
    return g_test_run();
}
