/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Twalk: how names lead to fids, and what a walk that fails leaves behind. */
#include <errno.h>
#include <string.h>

#include "tests/lib/scene.h"

enum { NEW = 9, LEVELS = 20 };

/* directory/d/d/d ... */
static void make_levels(Scene *s)
{
    Client *c = &s->client;

    g_assert_cmpint(client_walk(c, SCENE_DIRECTORY, 30, "", NULL, NULL), ==, 0);
    for (unsigned i = 0; i < LEVELS; i++) {
        g_assert_cmpint(client_mkdir(c, 30, "d", 0755, 0), ==, 0);
        g_assert_cmpint(client_walk(c, 30, 30, "d", NULL, NULL), ==, 0);
    }
    g_assert_cmpint(client_clunk(c, 30), ==, 0);
}

static char *path_of_levels(unsigned n)
{
    GString *path = g_string_new("d");

    while (--n > 0)
        g_string_append(path, "/d");
    return g_string_free(path, FALSE);
}

static void test_sixteen_names(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    g_autofree char *path = path_of_levels(P9_MAX_WALK);
    Qid qids[16];
    unsigned n;

    make_levels(s);
    g_assert_cmpint(client_walk(&s->client, SCENE_DIRECTORY, NEW, path, qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, P9_MAX_WALK);
    for (unsigned i = 1; i < n; i++)
        g_assert_cmpuint(qids[i].path, !=, qids[i - 1].path);
    g_assert_true(client_has_fid(&s->client, NEW));
}

static void test_seventeen_names(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    g_autofree char *path = path_of_levels(P9_MAX_WALK + 1);

    make_levels(s);
    g_assert_cmpint(client_walk(&s->client, SCENE_DIRECTORY, NEW, path, NULL, NULL), ==, -EINVAL);
    g_assert_false(client_has_fid(&s->client, NEW));
}

static void test_first_name_fails(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;

    g_assert_cmpint(client_walk(c, SCENE_ROOT, NEW, "none", NULL, NULL), ==, -ENOENT);
    g_assert_cmpint(client_walk(c, SCENE_ROOT, NEW, "none/file", NULL, NULL), ==, -ENOENT);
    g_assert_cmpint(client_walk(c, SCENE_FILE, NEW, "none", NULL, NULL), ==, -ENOTDIR);
    g_assert_false(client_has_fid(c, NEW));
}

/* The reply tells how far it went; newfid is as before. */
static void test_later_name_fails(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    Qid qids[16];
    unsigned n;

    make_levels(s);
    g_assert_cmpint(client_walk(c, SCENE_DIRECTORY, NEW, "d/d/none/d", qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, 2);
    g_assert_false(client_has_fid(c, NEW));
    g_assert_cmpint(client_walk(c, SCENE_ROOT, NEW, "file/x", qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, 1);
    g_assert_false(client_has_fid(c, NEW));
}

static void test_partial_walk_does_not_move(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    ClientAttr before, after;
    unsigned n;

    make_levels(s);
    client_getattr(&s->client, SCENE_DIRECTORY, &before);
    g_assert_cmpint(client_walk(&s->client, SCENE_DIRECTORY, SCENE_DIRECTORY, "d/none", NULL, &n),
                    ==, 0);
    g_assert_cmpuint(n, ==, 1);
    client_getattr(&s->client, SCENE_DIRECTORY, &after);
    g_assert_cmpuint(before.qid.path, ==, after.qid.path);
}

static void test_move(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    ClientAttr attr;
    Qid qids[16];
    unsigned n;

    make_levels(s);
    g_assert_cmpint(client_walk(c, SCENE_DIRECTORY, SCENE_DIRECTORY, "d/d", qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, 2);
    g_assert_cmpint(client_getattr(c, SCENE_DIRECTORY, &attr), ==, 0);
    g_assert_cmpuint(attr.qid.path, ==, qids[1].path);
    g_assert_cmpint(client_walk(c, SCENE_DIRECTORY, SCENE_DIRECTORY, "", NULL, NULL), ==, 0);
}

static void test_clone(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    ClientAttr root, clone;
    unsigned n;

    g_assert_cmpint(client_walk(c, SCENE_ROOT, NEW, "", NULL, &n), ==, 0);
    g_assert_cmpuint(n, ==, 0);
    client_getattr(c, SCENE_ROOT, &root);
    client_getattr(c, NEW, &clone);
    g_assert_cmpuint(root.qid.path, ==, clone.qid.path);
    g_assert_cmpint(client_clunk(c, SCENE_ROOT), ==, 0);
    g_assert_true(client_has_fid(c, NEW));
}

/* An open fid can be cloned, into one that is not open; it cannot be moved. */
static void test_open_fid(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;

    g_assert_cmpint(client_walk(c, SCENE_FILE, NEW, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_read(c, NEW, 0, 10, NULL), ==, -EBADF);
    g_assert_cmpint(client_open(c, NEW, 0), ==, 0);
    g_assert_cmpint(client_walk(c, SCENE_FILE, SCENE_FILE, "", NULL, NULL), ==, -EINVAL);
    client_open_path(c, SCENE_ROOT, 10, "directory", 0);
    g_assert_cmpint(client_walk(c, 10, 10, "..", NULL, NULL), ==, -EINVAL);
    g_assert_cmpint(client_read(c, SCENE_FILE, 0, 10, NULL), ==, 10);
}

static void test_newfid_in_use(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    ClientAttr attr;

    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, SCENE_DIRECTORY, "file", NULL, NULL), ==,
                    -EBADF);
    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, SCENE_FILE, "", NULL, NULL), ==, -EBADF);
    g_assert_cmpint(client_getattr(&s->client, SCENE_DIRECTORY, &attr), ==, 0);
    g_assert_cmpuint(attr.qid.type, ==, P9_QTDIR);
}

/* The qid of ".." at the root is the root's, byte for byte. */
static void test_dotdot_from_root(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    TestReply *attach = NULL, *walk = NULL;

    g_assert_cmpint(client_call(c, &attach, P9_TATTACH, "ddssd", 20, P9_NOFID, "", "", 0), ==, 0);
    g_assert_cmpint(client_call(c, &walk, P9_TWALK, "ddws", 20, NEW, 1, ".."), ==, 0);
    g_assert_cmpuint(walk->size, ==, P9_HEADER_SIZE + 2 + P9_QID_SIZE);
    g_assert_true(
        memcmp(attach->bytes + P9_HEADER_SIZE, walk->bytes + P9_HEADER_SIZE + 2, P9_QID_SIZE) == 0);
    g_free(attach);
    g_free(walk);
    g_assert_cmpint(client_walk(c, SCENE_DIRECTORY, 21, "../../../file", NULL, NULL), ==, 0);
}

static void walk_raw_name(Scene *s, const char *name, const char *expected)
{
    client_send(s->ts, 5, P9_TWALK, "ddws", SCENE_ROOT, NEW, 1, name);
    scene_expect(s, expected);
}

static void test_invalid_names(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    char longest[P9_NAME_MAX + 2];
    TestReply *reply = NULL;
    ByteReader r;

    memset(longest, 'n', sizeof(longest));
    longest[P9_NAME_MAX + 1] = '\0';
    walk_raw_name(s, " /", "0:Rlerror(2)/5");
    walk_raw_name(s, "/", "0:Rlerror(2)/5");
    walk_raw_name(s, "/file", "0:Rlerror(2)/5");
    walk_raw_name(s, "directory/..", "0:Rlerror(2)/5");
    walk_raw_name(s, "", "0:Rlerror(2)/5");
    walk_raw_name(s, longest, "0:Rlerror(36)/5");

    g_assert_cmpint(
        client_call(&s->client, &reply, P9_TWALK, "ddwss", SCENE_ROOT, NEW, 2, "directory", "a/b"),
        ==, 0);
    r = byte_reader(reply->bytes + P9_HEADER_SIZE, 2);
    g_assert_cmpuint(read_u16(&r), ==, 1);
    g_free(reply);
    g_assert_false(client_has_fid(&s->client, NEW));
}

static void test_dot(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Qid qids[16];
    ClientAttr attr;
    unsigned n;

    g_assert_cmpint(client_walk(&s->client, SCENE_DIRECTORY, NEW, "./.", qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, 2);
    client_getattr(&s->client, NEW, &attr);
    g_assert_cmpuint(attr.qid.path, ==, qids[0].path);
}

/* The same when the reader finds that it would have to wait. */
static void test_walk_that_waits(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);
    Client *c = &s->client;
    unsigned n;

    make_levels(s);
    memory_fs_set_waits(s->fs, true);
    g_assert_cmpint(client_walk(c, SCENE_DIRECTORY, NEW, "d/d/d", NULL, &n), ==, 0);
    g_assert_cmpuint(n, ==, 3);
    g_assert_cmpint(client_walk(c, SCENE_DIRECTORY, 10, "d/none", NULL, &n), ==, 0);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpint(client_walk(c, SCENE_DIRECTORY, 10, "none", NULL, NULL), ==, -ENOENT);
    g_assert_cmpint(client_walk(c, NEW, NEW, "..", NULL, NULL), ==, 0);
    g_assert_cmpint(client_open_path(c, SCENE_ROOT, 11, "file", 0), ==, 0);
    g_assert_cmpint(client_read(c, 11, 0, 10, NULL), ==, 10);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/walk/sixteen-names", test_sixteen_names);
    g_test_add_func("/walk/seventeen-names", test_seventeen_names);
    g_test_add_func("/walk/first-name-fails", test_first_name_fails);
    g_test_add_func("/walk/later-name-fails", test_later_name_fails);
    g_test_add_func("/walk/partial-does-not-move", test_partial_walk_does_not_move);
    g_test_add_func("/walk/move", test_move);
    g_test_add_func("/walk/clone", test_clone);
    g_test_add_func("/walk/open-fid", test_open_fid);
    g_test_add_func("/walk/newfid-in-use", test_newfid_in_use);
    g_test_add_func("/walk/dotdot-from-root", test_dotdot_from_root);
    g_test_add_func("/walk/invalid-names", test_invalid_names);
    g_test_add_func("/walk/dot", test_dot);
    g_test_add_func("/walk/that-waits", test_walk_that_waits);
    return g_test_run();
}
