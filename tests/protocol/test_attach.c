/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tattach: which directory an aname means, and that it is the root for whoever attached there. */
#include <errno.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/scene.h"
#include "tests/lib/unix_client.h"

enum { HOME = 1, OTHER = 2, FID = 9 };

static const Dialect unix_dialects[] = {DIALECT_9P2000_U, DIALECT_9P2000};

static int attach(Client *c, uint32_t fid, const char *aname, Qid *qid)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TATTACH, "ddssd", fid, P9_NOFID, "", aname, 0);
    ByteReader r;

    if (error)
        return error;
    g_assert_cmpuint(reply->size, ==, P9_HEADER_SIZE + P9_QID_SIZE);
    r = byte_reader(reply->bytes + P9_HEADER_SIZE, P9_QID_SIZE);
    if (qid) {
        qid->type = read_u8(&r);
        qid->version = read_u32(&r);
        qid->path = read_u64(&r);
    }
    return 0;
}

static int attach_unix(UnixClient *u, uint32_t fid, const char *aname)
{
    g_autofree TestReply *reply = NULL;

    if (u->dialect == DIALECT_9P2000)
        return client_call(u, &reply, P9_TATTACH, "ddss", fid, P9_NOFID, "0", aname);
    return client_call(u, &reply, P9_TATTACH, "ddssd", fid, P9_NOFID, "", aname, 0);
}

/* home/user, home/user/file, other, file, and a link that leads into home. */
static void make_tree(const Share *s)
{
    static const char *const directories[] = {"home", "home/user", "home/user/deep", "other"};
    g_autofree char *link = share_path(s, "link");

    for (unsigned i = 0; i < G_N_ELEMENTS(directories); i++) {
        g_autofree char *path = share_path(s, directories[i]);

        g_assert_cmpint(g_mkdir(path, 0755), ==, 0);
    }
    g_assert_cmpint(symlink("home", link), ==, 0);
    share_put(s, "file", "at the root");
    share_put(s, "home/user/file", "at home");
}

static uint64_t path_of(Client *c, uint32_t fid)
{
    ClientAttr attr;

    g_assert_cmpint(client_getattr(c, fid, &attr), ==, 0);
    return attr.qid.path;
}

/* The qid.path of what is found at `path` from `fid` on. */
static uint64_t path_at(Client *c, uint32_t fid, const char *path)
{
    uint64_t found;

    g_assert_cmpint(client_walk(c, fid, FID, path, NULL, NULL), ==, 0);
    found = path_of(c, FID);
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
    return found;
}

static void test_root(Share *s, gconstpointer unused)
{
    static const char *const names[] = {"", "/", "root", "//", "/.", "..", "/../.."};
    Client *c = &s->client;
    Qid qid;

    (void)unused;
    make_tree(s);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_cmpint(attach(c, HOME, names[i], &qid), ==, 0);
        g_assert_cmpuint(qid.path, ==, path_of(c, SHARE_ROOT));
        g_assert_cmpuint(path_at(c, HOME, ".."), ==, qid.path);
        g_assert_cmpuint(path_at(c, HOME, "home/.."), ==, qid.path);
        g_assert_cmpint(client_clunk(c, HOME), ==, 0);
    }
}

static void test_directory(Share *s, gconstpointer unused)
{
    static const char *const names[] = {
        "home/user",     "/home/user",         "home//user/",       "/home/./user",
        "../home/user/", "other/../home/user", "home/user/deep/..",
    };
    Client *c = &s->client;
    char text[16];
    Qid qid;

    (void)unused;
    make_tree(s);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_cmpint(attach(c, HOME, names[i], &qid), ==, 0);
        g_assert_cmpuint(qid.type, ==, P9_QTDIR);
        g_assert_cmpuint(qid.path, ==, path_at(c, SHARE_ROOT, "home/user"));
        g_assert_cmpint(client_open_path(c, HOME, OTHER, "file", 0), ==, 0);
        g_assert_cmpint(client_read(c, OTHER, 0, sizeof(text), text), ==, 7);
        g_assert_cmpint(client_clunk(c, OTHER), ==, 0);
        g_assert_cmpint(client_clunk(c, HOME), ==, 0);
    }
}

/* A slash tells a directory of that name from the word that means nothing. */
static void test_directory_called_root(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    Qid qid;

    (void)unused;
    g_assert_cmpint(attach(c, HOME, "/root", NULL), ==, -ENOENT);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "root", 0755, 0), ==, 0);
    g_assert_cmpint(attach(c, HOME, "/root", &qid), ==, 0);
    g_assert_cmpuint(qid.path, ==, path_at(c, SHARE_ROOT, "root"));
    g_assert_cmpint(attach(c, OTHER, "root", &qid), ==, 0);
    g_assert_cmpuint(qid.path, ==, path_of(c, SHARE_ROOT));
}

static void test_refused(Share *s, gconstpointer unused)
{
    static const struct {
        const char *aname;
        int error;
    } cases[] = {
        {"none", -ENOENT},       {"home/none", -ENOENT},
        {"none/..", -ENOENT},    {"file", -ENOTDIR},
        {"file/x", -ENOTDIR},    {"file/", -ENOTDIR},
        {"link", -ENOTDIR},      {"link/user", -ENOTDIR},
        {"../outside", -ENOENT}, {"home/../../outside", -ENOENT},
    };
    Client *c = &s->client;
    g_autofree char *escape = share_path(s, "escape");
    char longest[PATH_MAX + 1];

    (void)unused;
    make_tree(s);
    g_assert_cmpint(symlink(s->outside, escape), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(attach(c, HOME, cases[i].aname, NULL), ==, cases[i].error);
        g_assert_false(client_has_fid(c, HOME));
    }
    g_assert_cmpint(attach(c, HOME, "escape", NULL), ==, -ENOTDIR);
    g_assert_cmpint(attach(c, HOME, s->export, NULL), ==, -ENOENT);
    memset(longest, '/', sizeof(longest));
    longest[PATH_MAX - 1] = '\0';
    g_assert_cmpint(attach(c, HOME, longest, NULL), ==, 0);
    memset(longest, '/', sizeof(longest));
    longest[PATH_MAX] = '\0';
    g_assert_cmpint(attach(c, FID, longest, NULL), ==, -ENAMETOOLONG);
    memset(longest, 'n', P9_NAME_MAX + 1);
    longest[P9_NAME_MAX + 1] = '\0';
    g_assert_cmpint(attach(c, FID, longest, NULL), ==, -ENAMETOOLONG);
    g_assert_cmpint(attach(c, SHARE_ROOT, "home", NULL), ==, -EBADF);
}

/* However a client goes up, it comes no higher than where it has attached. */
static void test_dotdot_stops(Share *s, gconstpointer unused)
{
    static const char *const ways[] = {
        "..", "../..", "./..", "deep/../..", "deep/../../..", ".././../..", "deep/./../.."};
    Client *c = &s->client;
    Qid qids[16];
    uint64_t top;
    unsigned n;

    (void)unused;
    make_tree(s);
    g_assert_cmpint(attach(c, HOME, "home/user", NULL), ==, 0);
    top = path_of(c, HOME);
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++)
        g_assert_cmpuint(path_at(c, HOME, ways[i]), ==, top);
    /* one step at a time, and from a fid that was made on the way */
    g_assert_cmpint(client_walk(c, HOME, OTHER, "deep", NULL, NULL), ==, 0);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(client_walk(c, OTHER, OTHER, "..", qids, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        g_assert_cmpuint(qids[0].path, ==, top);
    }
    /* a later name that fails tells how far it came */
    g_assert_cmpint(client_walk(c, HOME, FID, "../deep/none", qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, 2);
    g_assert_cmpuint(qids[0].path, ==, top);
    g_assert_cmpint(client_walk(c, HOME, FID, "../../other", qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, 2);
    g_assert_cmpint(client_walk(c, HOME, FID, "../file/..", qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, 2);
    g_assert_false(client_has_fid(c, FID));
}

static const ClientEntry *find_entry(const GArray *entries, const char *name)
{
    for (unsigned i = 0; i < entries->len; i++) {
        const ClientEntry *entry = &g_array_index(entries, ClientEntry, i);

        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    g_error("no entry \"%s\"", name);
}

static void test_listing(Share *s, gconstpointer unused)
{
    g_autoptr(GArray) entries = NULL;
    Client *c = &s->client;

    (void)unused;
    make_tree(s);
    g_assert_cmpint(attach(c, HOME, "home/user", NULL), ==, 0);
    g_assert_cmpint(client_open_path(c, HOME, OTHER, "", P9_L_DIRECTORY), ==, 0);
    entries = client_list(c, OTHER, 4096);
    g_assert_cmpuint(entries->len, ==, 4);
    g_assert_cmpuint(find_entry(entries, ".")->qid.path, ==, path_of(c, HOME));
    g_assert_cmpuint(find_entry(entries, "..")->qid.path, ==, path_of(c, HOME));
    g_assert_cmpuint(find_entry(entries, "deep")->qid.path, ==, path_at(c, HOME, "deep"));
}

/* Like the root of the export, the root of a mount has neither a name to change nor one to lose.
 * For others it is a directory as any. */
static void test_top_stays(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    struct stat st;

    (void)unused;
    make_tree(s);
    g_assert_cmpint(attach(c, HOME, "other", NULL), ==, 0);
    g_assert_cmpint(client_walk(c, HOME, OTHER, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_rename(c, HOME, SHARE_ROOT, "new"), ==, -EBUSY);
    g_assert_cmpint(client_remove(c, OTHER), ==, -EBUSY);
    g_assert_cmpint(client_mkdir(c, HOME, "sub", 0755, 0), ==, 0);
    g_assert_cmpint(client_walk(c, HOME, OTHER, "sub/..", NULL, NULL), ==, 0);
    g_assert_cmpint(client_remove(c, OTHER), ==, -EBUSY);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "other", SHARE_ROOT, "new"), ==, 0);
    g_assert_cmpuint(path_at(c, HOME, ".."), ==, path_of(c, HOME));
    g_assert_cmpint(client_unlinkat(c, HOME, "sub", P9_UNLINK_REMOVEDIR), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "new", P9_UNLINK_REMOVEDIR), ==, 0);
    g_assert_false(share_stat(s, "new", &st));
    g_assert_cmpint(client_mkdir(c, HOME, "sub", 0755, 0), ==, -ENOENT);
}

/* Several mounts of one device live side by side in one session. */
static void test_independent(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    struct stat st;

    (void)unused;
    make_tree(s);
    g_assert_cmpint(attach(c, HOME, "home/user", NULL), ==, 0);
    g_assert_cmpint(attach(c, OTHER, "other", NULL), ==, 0);
    g_assert_cmpint(client_mkdir(c, OTHER, "made", 0755, 0), ==, 0);
    g_assert_true(share_stat(s, "other/made", &st));
    g_assert_cmpint(client_renameat(c, HOME, "file", OTHER, "moved"), ==, 0);
    g_assert_true(share_stat(s, "other/moved", &st));
    g_assert_cmpint(client_clunk(c, HOME), ==, 0);
    g_assert_cmpuint(path_at(c, OTHER, "made/../.."), ==, path_of(c, OTHER));
    /* and in the root's mount the same directory has a parent */
    g_assert_cmpuint(path_at(c, SHARE_ROOT, "other/.."), ==, path_of(c, SHARE_ROOT));
}

/* Whatever a fid was made from, its root is that of the attach. */
static void test_fids_made_on_the_way(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    uint64_t top;

    (void)unused;
    make_tree(s);
    g_assert_cmpint(attach(c, HOME, "home", NULL), ==, 0);
    top = path_of(c, HOME);
    g_assert_cmpint(client_open_path(c, HOME, OTHER, "user", P9_L_DIRECTORY), ==, 0);
    g_assert_cmpint(client_walk(c, OTHER, 3, "", NULL, NULL), ==, 0);
    g_assert_cmpuint(path_at(c, 3, "../.."), ==, top);
    g_assert_cmpint(client_walk(c, 3, 4, "deep", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, 4, 4, "../..", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, 4, 4, "..", NULL, NULL), ==, 0);
    g_assert_cmpuint(path_of(c, 4), ==, top);
}

static void test_unix(Share *s, gconstpointer unused)
{
    (void)unused;
    make_tree(s);
    for (unsigned i = 0; i < G_N_ELEMENTS(unix_dialects); i++) {
        UnixClient u = unix_start(s, unix_dialects[i]);
        UnixStat root, top, up;

        g_assert_cmpint(unix_stat(&u, SHARE_ROOT, &root), ==, 0);
        g_assert_cmpint(attach_unix(&u, HOME, "root"), ==, 0);
        g_assert_cmpint(unix_stat(&u, HOME, &top), ==, 0);
        g_assert_cmpuint(top.qid.path, ==, root.qid.path);
        g_assert_cmpint(unix_clunk(&u, HOME), ==, 0);

        g_assert_cmpint(attach_unix(&u, HOME, "home/user"), ==, 0);
        g_assert_cmpint(unix_stat(&u, HOME, &top), ==, 0);
        g_assert_cmpuint(top.qid.path, !=, root.qid.path);
        g_assert_cmpstr(top.name, ==, "/");
        g_assert_cmpint(unix_walk(&u, HOME, FID, ".."), ==, 0);
        g_assert_cmpint(unix_stat(&u, FID, &up), ==, 0);
        g_assert_cmpuint(up.qid.path, ==, top.qid.path);
        g_assert_cmpstr(up.name, ==, "/");

        g_assert_cmpint(attach_unix(&u, OTHER, "none"), ==, -ENOENT);
        g_assert_cmpint(attach_unix(&u, OTHER, "file"), ==, -ENOTDIR);
        g_assert_cmpint(attach_unix(&u, OTHER, "link"), ==, -ENOTDIR);
    }
}

/* A stat record of ".." in the top is the top's, and it keeps its name. */
static void test_unix_directory(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    UnixStat change = unix_no_change();
    uint8_t bytes[4096];
    unsigned n_dots = 0;
    UnixStat top, entry;
    ByteReader r;
    ssize_t got;

    (void)unused;
    make_tree(s);
    g_assert_cmpint(attach_unix(&u, HOME, "home/user"), ==, 0);
    g_assert_cmpint(unix_stat(&u, HOME, &top), ==, 0);
    g_assert_cmpint(unix_walk(&u, HOME, FID, ""), ==, 0);
    g_assert_cmpint(unix_open(&u, FID, P9_OREAD), ==, 0);
    got = unix_read(&u, FID, 0, sizeof(bytes), bytes);
    g_assert_cmpint(got, >, 0);
    r = byte_reader(bytes, (size_t)got);
    while (r.left > 0) {
        unix_take_stat(&r, u.dialect, &entry);
        if (entry.name[0] != '.')
            continue;
        g_assert_cmpuint(entry.qid.path, ==, top.qid.path);
        n_dots++;
    }
    g_assert_cmpuint(n_dots, ==, 2);
    g_strlcpy(change.name, "new", sizeof(change.name));
    g_assert_cmpint(unix_wstat(&u, HOME, &change), ==, -EBUSY);
    g_assert_cmpint(unix_remove(&u, HOME), ==, -EBUSY);
    g_assert_cmpint(attach_unix(&u, HOME, "other"), ==, 0);
    g_assert_cmpint(unix_open(&u, HOME, P9_OREAD | P9_ORCLOSE), ==, 0);
    g_assert_cmpint(unix_clunk(&u, HOME), ==, -EBUSY);
}

/* A path is looked up where waiting holds nobody up; a walk that would wait is begun again there. */
static void test_that_waits(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);
    Client *c = &s->client;

    g_assert_cmpint(client_mkdir(c, SCENE_DIRECTORY, "d", 0755, 0), ==, 0);
    memory_fs_set_waits(s->fs, true);
    g_assert_cmpint(attach(c, 20, "directory", NULL), ==, 0);
    g_assert_cmpuint(path_at(c, 20, "d/../.."), ==, path_of(c, 20));

    memory_fs_close_gate(s->fs, MEMORY_WALK);
    client_send(s->ts, 5, P9_TATTACH, "ddssd", 21, P9_NOFID, "", "directory/d", 0);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WALK, 1);
    g_assert_cmpint(attach(c, 22, "", NULL), ==, 0);
    memory_fs_open_gate(s->fs, MEMORY_WALK);
    scene_expect(s, "0:Rattach/5");
    g_assert_true(client_has_fid(c, 21));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    share_add_test("/attach/root", test_root);
    share_add_test("/attach/directory", test_directory);
    share_add_test("/attach/directory-called-root", test_directory_called_root);
    share_add_test("/attach/refused", test_refused);
    share_add_test("/attach/dotdot-stops", test_dotdot_stops);
    share_add_test("/attach/listing", test_listing);
    share_add_test("/attach/top-stays", test_top_stays);
    share_add_test("/attach/independent", test_independent);
    share_add_test("/attach/fids-made-on-the-way", test_fids_made_on_the_way);
    share_add_test("/attach/unix", test_unix);
    share_add_test("/attach/unix-directory", test_unix_directory);
    g_test_add_func("/attach/that-waits", test_that_waits);
    return g_test_run();
}
