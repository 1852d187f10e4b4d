/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * More fids than descriptors: those that nobody uses are put away and brought back, with whatever
 * happens to their files meanwhile; and what a guest is told where that is not possible.
 *
 * Every test has at most MOST descriptors for its files. After churn() each other fid is away.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "protocol/limits.h"
#include "tests/lib/capture.h"
#include "tests/lib/unix_client.h"

enum {
    MOST = 64,
    OTHERS = 1000, /* fids that churn() uses, from here on */
    N_OTHERS = 150,
    N_FILES = 30, /* that they stand for */
    FID = 1,      /* the tests' own */
    MILLION = 1000 * 1000,
};

static ExportOptions scarce_options(const Share *s)
{
    ExportOptions options = export_default_options;

    options.model = s->model;
    options.limits.max_descriptors = MOST;
    return options;
}

static void put_number(Share *s, const char *folder, unsigned i)
{
    g_autofree char *name = g_strdup_printf("%s/%u", folder, i);
    g_autofree char *text = g_strdup_printf("this is %u", i);

    share_put(s, name, text);
}

static void walk_number(Share *s, uint32_t fid, unsigned i)
{
    g_autofree char *path = g_strdup_printf("others/%u", i % N_FILES);

    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, fid, path, NULL, NULL), ==, 0);
}

/* Serves the export with few descriptors, and many fids. Returns false where this system has no
 * handles for us, and the test is skipped. */
static bool begin(Share *s)
{
    ExportOptions options = scarce_options(s);
    int error = share_reopen_with_keeper(s, &options);

    if (error) {
        g_test_skip(g_strerror(-error));
        return false;
    }
    share_mkdir(s, "others");
    for (unsigned i = 0; i < N_FILES; i++)
        put_number(s, "others", i);
    for (unsigned i = 0; i < N_OTHERS; i++)
        walk_number(s, OTHERS + i, i);
    return true;
}

static uint64_t inode_of(Share *s, const char *name)
{
    struct stat st;

    g_assert_true(share_stat(s, name, &st));
    return st.st_ino;
}

static void check_fid(Share *s, uint32_t fid, const char *name)
{
    ClientAttr attr;

    g_assert_cmpint(client_getattr(&s->client, fid, &attr), ==, 0);
    g_assert_cmpuint(attr.qid.path, ==, inode_of(s, name));
}

/* Uses all other fids: each must be brought back. */
static void churn(Share *s)
{
    for (unsigned i = 0; i < N_OTHERS; i++) {
        g_autofree char *name = g_strdup_printf("others/%u", i % N_FILES);

        check_fid(s, OTHERS + i, name);
    }
}

static void check_content(Share *s, uint32_t fid, const char *content)
{
    char bytes[100] = "";

    g_assert_cmpint(client_open(&s->client, fid, 0), ==, 0);
    g_assert_cmpint(client_read(&s->client, fid, 0, sizeof(bytes) - 1, bytes), >, 0);
    g_assert_cmpstr(bytes, ==, content);
}

static void walk(Share *s, uint32_t fid, const char *path)
{
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, fid, path, NULL, NULL), ==, 0);
}

/* Everything that is done to a node. */
static void test_use(Share *s, gconstpointer unused)
{
    FsChange change = {.valid = P9_SETATTR_MODE, .mode = 0640};
    unsigned before = count_descriptors();
    g_autoptr(GArray) entries = NULL;
    char target[4096];
    ClientAttr attr;

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpuint(count_descriptors(), <, before + MOST + 16);
    share_mkdir(s, "folder");
    share_put(s, "folder/file", "content");
    walk(s, FID, "folder");
    walk(s, FID + 1, "folder/file");
    g_assert_cmpint(client_symlink(&s->client, FID, "link", "where", SHARE_GID), ==, 0);
    walk(s, FID + 2, "folder/link");
    churn(s);
    g_assert_cmpint(client_readlink(&s->client, FID + 2, target), ==, 0);
    g_assert_cmpstr(target, ==, "where");
    g_assert_cmpint(client_setattr(&s->client, FID + 1, &change), ==, 0);
    churn(s);
    g_assert_cmpint(client_getattr(&s->client, FID + 1, &attr), ==, 0);
    g_assert_cmpuint(attr.mode & 07777, ==, 0640);
    churn(s);
    g_assert_cmpint(client_walk(&s->client, FID, 10, "file", NULL, NULL), ==, 0);
    churn(s);
    g_assert_cmpint(client_walk(&s->client, FID, 11, "..", NULL, NULL), ==, 0);
    check_fid(s, 11, ".");
    churn(s);
    g_assert_cmpint(client_link(&s->client, FID, FID + 1, "again"), ==, 0);
    churn(s);
    check_content(s, FID + 1, "content");
    churn(s);
    g_assert_cmpint(client_mkdir(&s->client, FID, "below", 0755, SHARE_GID), ==, 0);
    churn(s);
    g_assert_cmpint(client_open(&s->client, FID, P9_L_DIRECTORY), ==, 0);
    entries = client_list(&s->client, FID, 4096);
    g_assert_cmpuint(entries->len, ==, 6);
    g_assert_cmpuint(count_descriptors(), <, before + MOST + 16);
}

static void rename_here(Share *s, const char *from, const char *to)
{
    g_autofree char *old_path = share_path(s, from);
    g_autofree char *new_path = share_path(s, to);

    g_assert_cmpint(rename(old_path, new_path), ==, 0);
}

/* The host renames the directory of what is away. */
static void test_renamed_parent(Share *s, gconstpointer unused)
{
    struct stat st;

    (void)unused;
    if (!begin(s))
        return;
    share_mkdir(s, "old");
    share_mkdir(s, "old/below");
    share_put(s, "old/below/file", "content");
    walk(s, FID, "old/below");
    walk(s, FID + 1, "old/below/file");
    walk(s, FID + 2, "old/below/file");
    churn(s);
    rename_here(s, "old", "new");
    check_fid(s, FID, "new/below");
    check_fid(s, FID + 1, "new/below/file");
    check_content(s, FID + 1, "content");
    churn(s);
    g_assert_cmpint(client_mkdir(&s->client, FID, "more", 0755, SHARE_GID), ==, 0);
    g_assert_true(share_stat(s, "new/below/more", &st));
    churn(s);
    g_assert_cmpint(client_rename(&s->client, FID + 2, SHARE_ROOT, "moved"), ==, 0);
    g_assert_true(share_stat(s, "moved", &st));
}

/* The guest renames what is away, and then does something that needs its name. */
static void test_renamed(Share *s, gconstpointer unused)
{
    struct stat st;

    (void)unused;
    if (!begin(s))
        return;
    share_mkdir(s, "folder");
    share_put(s, "file", "content");
    share_put(s, "victim", "goes");
    walk(s, FID, "file");
    walk(s, FID + 1, "victim");
    walk(s, FID + 2, "folder");
    churn(s);
    g_assert_cmpint(client_renameat(&s->client, SHARE_ROOT, "file", FID + 2, "renamed"), ==, 0);
    churn(s);
    check_fid(s, FID, "folder/renamed");
    churn(s);
    g_assert_cmpint(client_renameat(&s->client, FID + 2, "renamed", SHARE_ROOT, "victim"), ==, 0);
    churn(s);
    check_content(s, FID + 1, "goes"); /* it has no name any more */
    churn(s);
    g_assert_cmpint(client_remove(&s->client, FID), ==, 0);
    g_assert_false(share_stat(s, "victim", &st));
}

/* The guest removes what is away, of which it has several fids. */
static void test_removed(Share *s, gconstpointer unused)
{
    ClientAttr attr;

    (void)unused;
    if (!begin(s))
        return;
    share_mkdir(s, "folder");
    share_put(s, "file", "content");
    for (uint32_t i = 0; i < 4; i++)
        walk(s, FID + i, "file");
    walk(s, 10, "folder");
    churn(s);
    g_assert_cmpint(client_unlinkat(&s->client, SHARE_ROOT, "file", 0), ==, 0);
    g_assert_cmpint(client_unlinkat(&s->client, SHARE_ROOT, "folder", P9_UNLINK_REMOVEDIR), ==, 0);
    churn(s);
    for (uint32_t i = 0; i < 4; i++) {
        g_assert_cmpint(client_getattr(&s->client, FID + i, &attr), ==, 0);
        g_assert_cmpuint(attr.nlink, ==, 0);
        churn(s);
    }
    check_content(s, FID, "content");
    for (uint32_t i = 0; i < 4; i++)
        g_assert_cmpint(client_clunk(&s->client, FID + i), ==, 0);
    g_assert_cmpint(client_getattr(&s->client, 10, &attr), ==, 0);
    g_assert_cmpint(client_mkdir(&s->client, 10, "name", 0755, SHARE_GID), ==, -ENOENT);
    g_assert_cmpint(client_clunk(&s->client, 10), ==, 0);
}

/* What somebody else removes while it is away is gone, and its fid can be let go of. */
static void test_removed_elsewhere(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    ClientAttr attr;

    (void)unused;
    if (!begin(s))
        return;
    share_put(s, "file", "content");
    walk(s, FID, "file");
    walk(s, FID + 1, "file");
    churn(s);
    g_assert_cmpint(g_unlink(path), ==, 0);
    share_put(s, "file", "another one");
    g_assert_cmpint(client_getattr(&s->client, FID, &attr), ==, -ESTALE);
    g_assert_cmpint(client_open(&s->client, FID, 0), ==, -ESTALE);
    g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
    g_assert_cmpint(client_remove(&s->client, FID + 1), ==, -ESTALE);
    g_assert_false(client_has_fid(&s->client, FID + 1));
    churn(s);
}

/* A name is more than a way to a file: 9P2000.u shows it. */
static void test_names(Share *s, gconstpointer unused)
{
    UnixStat stat;
    UnixClient u;

    (void)unused;
    if (!begin(s))
        return;
    u = unix_start(s, DIALECT_9P2000_U);
    share_mkdir(s, "folder");
    for (unsigned i = 0; i < 10 * MOST; i++) {
        g_autofree char *name = g_strdup_printf("folder/%u", i);

        share_put(s, name, "");
        g_assert_cmpint(unix_walk(&u, SHARE_ROOT, OTHERS + i, "folder"), ==, 0);
        g_assert_cmpint(unix_walk(&u, OTHERS + i, OTHERS + i, strchr(name, '/') + 1), ==, 0);
    }
    for (unsigned i = 0; i < 10 * MOST; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        g_assert_cmpint(unix_stat(&u, OTHERS + i, &stat), ==, 0);
        g_assert_cmpstr(stat.name, ==, name);
    }
    for (unsigned i = 0; i < 10 * MOST; i++)
        g_assert_cmpint(unix_remove(&u, OTHERS + i), ==, 0);
    g_assert_cmpint(unix_walk(&u, SHARE_ROOT, FID, "folder"), ==, 0);
    g_assert_cmpint(unix_remove(&u, FID), ==, 0);
}

/*
 * At the limit
 */

/* Opens the file until that fails. Returns how many fids are open. */
static unsigned open_all(Share *s, int *error)
{
    unsigned n = 0;

    do {
        *error = client_open_path(&s->client, SHARE_ROOT, FID + n, "file", 0);
    } while (*error == 0 && ++n < 10 * MOST);
    client_clunk(&s->client, FID + n); /* walked to and not opened, if there was room for that */
    return n;
}

static void check_limit(Share *s, unsigned least, unsigned most)
{
    unsigned n;
    int error;

    share_put(s, "file", "content");
    n = open_all(s, &error);
    g_assert_cmpint(error, ==, -ENFILE);
    g_assert_cmpuint(n, >=, least);
    g_assert_cmpuint(n, <=, most);
    check_fid(s, FID, "file"); /* those that are open go on */
    g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
    g_assert_cmpint(client_open_path(&s->client, SHARE_ROOT, FID, "file", 0), ==, 0);
    for (unsigned i = 0; i < n; i++)
        g_assert_cmpint(client_clunk(&s->client, FID + i), ==, 0);
    g_assert_cmpuint(open_all(s, &error), ==, n);
}

/* Without a keeper each fid needs a descriptor, and each open one two. */
static void test_limit(Share *s, gconstpointer unused)
{
    ExportOptions options = scarce_options(s);

    (void)unused;
    share_reopen(s, &options);
    check_limit(s, (MOST - 1) / 2 - 1, MOST / 2);
}

/* With one, only open files do. */
static void test_limit_of_open_files(Share *s, gconstpointer unused)
{
    ExportOptions options = scarce_options(s);
    int error = share_reopen_with_keeper(s, &options);

    (void)unused;
    if (error)
        g_test_skip(g_strerror(-error));
    else
        check_limit(s, MOST - 4, MOST);
}

/* The limit is never above the process's own. */
static void test_limit_of_process(Share *s, gconstpointer unused)
{
    ExportOptions options = export_default_options;
    struct rlimit before, few;
    unsigned n;
    int error;

    (void)unused;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    few = before;
    few.rlim_cur = 2 * MOST;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
    options.model = s->model;
    share_reopen(s, &options);
    share_put(s, "file", "content");
    n = open_all(s, &error);
    g_assert_cmpint(error, ==, -ENFILE);
    g_assert_cmpuint(n, >=, MOST / 2 - 2);
    g_assert_cmpuint(n, <=, MOST / 2);
    share_reopen(s, &export_default_options);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
}

/* More removed files than descriptors: the last of them cannot be removed, and nothing is lost. */
static void test_limit_of_removed(Share *s, gconstpointer unused)
{
    ClientAttr attr;
    unsigned n = 0;
    int error = 0;

    (void)unused;
    if (!begin(s))
        return;
    for (unsigned i = 0; i < 2 * MOST; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        share_put(s, name, "content");
        walk(s, FID + i, name);
    }
    while (!error && n < 2 * MOST) {
        g_autofree char *name = g_strdup_printf("%u", n);

        error = client_unlinkat(&s->client, SHARE_ROOT, name, 0);
        n += error == 0;
    }
    g_assert_cmpint(error, ==, -ENFILE);
    g_assert_cmpuint(n, >=, MOST - 4);
    g_assert_cmpuint(n, <=, MOST);
    for (unsigned i = 0; i + 4 < n; i++)
        g_assert_cmpint(client_clunk(&s->client, FID + i), ==, 0);
    for (unsigned i = n - 4; i < n; i++)
        g_assert_cmpint(client_getattr(&s->client, FID + i, &attr), ==, 0);
    for (unsigned i = n; i < 2 * MOST; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        check_fid(s, FID + i, name);
    }
}

/*
 * Many at once
 */

typedef struct Visitor {
    Share *s;
    uint32_t seed;
    unsigned channel;
    uint32_t first; /* of its own fids */
    gint *running;  /* atomic */
    pthread_t thread;
} Visitor;

static uint32_t choose(Visitor *v, uint32_t n)
{
    v->seed = v->seed * 1664525 + 1013904223;
    return (v->seed >> 8) % n;
}

enum { VISITORS = 3, VISITS = 1000, OWN = 8 };

/* One step of a visitor, with a name of its own and fids that others use, too. */
static void visit(Visitor *v, Client *c, unsigned i)
{
    g_autofree char *name = g_strdup_printf("own-%u-%u", v->channel, i % 7);
    uint32_t fid = v->first + choose(v, OWN);
    ClientAttr attr;
    int error;

    g_assert_cmpint(client_getattr(c, OTHERS + choose(v, N_OTHERS), &attr), ==, 0);
    client_clunk(c, fid);
    switch (choose(v, 4)) {
    case 0:
        client_unlinkat(c, SHARE_ROOT, name, 0);
        break;
    case 1:
        client_renameat(c, SHARE_ROOT, name, SHARE_ROOT, "shared");
        break;
    case 2:
        error = client_walk(c, SHARE_ROOT, fid, "shared", NULL, NULL);
        g_assert_true(error == 0 || error == -ENOENT);
        break;
    default:
        g_assert_cmpint(client_walk(c, SHARE_ROOT, fid, "", NULL, NULL), ==, 0);
        error = client_create(c, fid, name, P9_L_RDWR, 0644, SHARE_GID);
        g_assert_cmpint(error, ==, 0);
        break;
    }
    fid = v->first + choose(v, OWN);
    error = client_getattr(c, fid, &attr);
    g_assert_true(error == 0 || error == -ENOENT);
}

static void *run_visitor(void *data)
{
    Visitor *v = data;
    Client c = {.ts = v->s->ts, .channel = v->channel, .tag = (uint16_t)(100 + v->channel)};

    for (unsigned i = 0; i < VISITS; i++)
        visit(v, &c, i);
    g_atomic_int_add(v->running, -1);
    return NULL;
}

/* Nothing that a guest does at once makes a fid fail: no file is removed by anybody else. */
static void test_load(Share *s, gconstpointer unused)
{
    Visitor visitors[VISITORS];
    gint running = VISITORS;

    (void)unused;
    if (!begin(s))
        return;
    for (unsigned i = 0; i < VISITORS; i++) {
        visitors[i] = (Visitor){.s = s,
                                .seed = i,
                                .channel = i + 1,
                                .first = 10 * OTHERS * (i + 1),
                                .running = &running};
        g_assert_cmpint(pthread_create(&visitors[i].thread, NULL, run_visitor, &visitors[i]), ==,
                        0);
    }
    while (g_atomic_int_get(&running) > 0) {
        test_session_step(s->ts);
        test_session_wait(s->ts);
    }
    for (unsigned i = 0; i < VISITORS; i++)
        pthread_join(visitors[i].thread, NULL);
}

/*
 * A keeper that ends when nobody told it to
 */

static bool is_keeper(const char *pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/comm", pid);
    g_autofree char *name = NULL;

    return g_file_get_contents(path, &name, NULL, NULL) && strcmp(name, "9pfs keeper\n") == 0;
}

static void kill_keeper(void)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", (int)getpid());
    g_autofree char *text = NULL;
    g_auto(GStrv) pids = NULL;
    unsigned n = 0;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    pids = g_strsplit(text, " ", -1);
    for (char **pid = pids; *pid; pid++) {
        if (is_keeper(*pid) && kill(atoi(*pid), SIGKILL) == 0)
            n++;
    }
    g_assert_cmpuint(n, >, 0); /* those of earlier tests are zombies */
}

/* How many of the other fids can still be used; the others say EIO. */
static unsigned count_usable(Share *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_OTHERS; i++) {
        ClientAttr attr;
        int error = client_getattr(&s->client, OTHERS + i, &attr);

        g_assert_true(error == 0 || error == -EIO);
        n += error == 0;
    }
    return n;
}

/* Each name can be walked to, renamed over and removed, whatever became of older fids of its file. */
static void check_names_usable(Share *s)
{
    for (unsigned i = 0; i < N_FILES; i++) {
        g_autofree char *path = g_strdup_printf("others/%u", i);
        g_autofree char *text = g_strdup_printf("this is %u", i);

        walk(s, FID, path);
        check_content(s, FID, text);
        g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
    }
    walk(s, FID, "others");
    g_assert_cmpint(client_renameat(&s->client, FID, "1", FID, "2"), ==, 0);
    for (unsigned i = 2; i < N_FILES; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        g_assert_cmpint(client_unlinkat(&s->client, FID, name, 0), ==, 0);
    }
    g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
}

enum { OPEN_FILE = 2, OPEN_DIRECTORY, OPEN_TWICE };

static void open_some(Share *s)
{
    walk(s, OPEN_FILE, "others/3");
    g_assert_cmpint(client_open(&s->client, OPEN_FILE, P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_walk(&s->client, OPEN_FILE, OPEN_TWICE, "", NULL, NULL), ==, 0);
    walk(s, OPEN_DIRECTORY, "others");
    g_assert_cmpint(client_open(&s->client, OPEN_DIRECTORY, P9_L_DIRECTORY), ==, 0);
}

/* What is open can be used in every way, and found through. */
static void check_open(Share *s)
{
    g_autoptr(GArray) entries = NULL;
    char bytes[10] = "";

    g_assert_cmpint(client_read(&s->client, OPEN_FILE, 0, 9, bytes), ==, 9);
    g_assert_cmpstr(bytes, ==, "this is 3");
    g_assert_cmpint(client_write(&s->client, OPEN_FILE, 0, "THIS", 4), ==, 4);
    g_assert_cmpint(client_write(&s->client, OPEN_FILE, 0, "this", 4), ==, 4);
    check_fid(s, OPEN_FILE, "others/3");
    check_fid(s, OPEN_TWICE, "others/3");
    entries = client_list(&s->client, OPEN_DIRECTORY, 8192);
    g_assert_cmpuint(entries->len, ==, N_FILES + 2);
    g_assert_cmpint(client_walk(&s->client, OPEN_DIRECTORY, FID, "4", NULL, NULL), ==, 0);
    g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
}

static void close_some(Share *s)
{
    for (uint32_t fid = OPEN_FILE; fid <= OPEN_TWICE; fid++)
        g_assert_cmpint(client_clunk(&s->client, fid), ==, 0);
}

/* What was put away is lost, unless it is open, which the log says once. Everything else goes on, however often what is
 * lost is asked for, and there are as many descriptors as there may be. */
static void test_keeper_killed(Share *s, gconstpointer unused)
{
    enum { ROUNDS = 20 };
    g_autofree char *log = NULL;
    Capture *capture;
    unsigned usable, n;

    (void)unused;
    if (!begin(s))
        return;
    open_some(s);
    churn(s);
    capture = capture_begin();
    kill_keeper();
    check_open(s);
    usable = count_usable(s);
    g_assert_cmpuint(usable, >, 0);
    g_assert_cmpuint(usable, <=, MOST);
    check_open(s);
    close_some(s);
    for (unsigned i = 0; i < ROUNDS; i++)
        g_assert_cmpuint(count_usable(s), ==, usable);
    for (unsigned i = 0; i < N_OTHERS; i++)
        g_assert_cmpint(client_clunk(&s->client, OTHERS + i), ==, 0);
    for (unsigned i = 0; i < N_FILES; i++)
        walk_number(s, OTHERS + i, i);
    check_names_usable(s);
    for (n = 0; n < 2 * MOST; n++) {
        if (client_walk(&s->client, SHARE_ROOT, 2 * OTHERS + n, "others", NULL, NULL) != 0)
            break;
    }
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, 2 * OTHERS + n, "others", NULL, NULL), ==,
                    -ENFILE);
    log = capture_end(capture);
    capture_expect_once(log, "the keeper has ended");
}

/* A million fids, or as many as a short run has time for, on four thousand descriptors. */
static void test_million(Share *s, gconstpointer unused)
{
    enum { FILES = 2000 };
    unsigned n = g_test_slow() ? MILLION : 10 * 1000;
    struct rlimit before, few;
    ExportOptions options = export_default_options;
    int64_t start;
    int error;

    (void)unused;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    few = before;
    few.rlim_cur = g_test_slow() ? 4096 : 1024;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
    error = share_reopen_with_keeper(s, &options);
    share_mkdir(s, "folder");
    for (unsigned i = 0; !error && i < FILES; i++)
        put_number(s, "folder", i);
    start = g_get_monotonic_time();
    for (unsigned i = 0; !error && i < n; i++) {
        g_autofree char *path = g_strdup_printf("folder/%u", i % FILES);

        walk(s, FID + i, path);
    }
    g_test_message("%u walks in %" G_GINT64_FORMAT " ms", n,
                   (g_get_monotonic_time() - start) / 1000);
    rename_here(s, "folder", "elsewhere");
    start = g_get_monotonic_time();
    for (unsigned i = 0; !error && i < n; i += n / 5000) {
        g_autofree char *path = g_strdup_printf("elsewhere/%u", i % FILES);

        check_fid(s, FID + i, path);
    }
    g_test_message("5000 looks in %" G_GINT64_FORMAT " ms",
                   (g_get_monotonic_time() - start) / 1000);
    if (error)
        g_test_skip(g_strerror(-error));
    else
        check_content(s, FID + 1, "this is 1");
    share_reopen(s, &export_default_options);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test_for_models("/park/use", test_use);
    share_add_test_for_models("/park/renamed-parent", test_renamed_parent);
    share_add_test_for_models("/park/renamed", test_renamed);
    share_add_test_for_models("/park/removed", test_removed);
    share_add_test("/park/removed-elsewhere", test_removed_elsewhere);
    share_add_test_for_models("/park/names", test_names);
    share_add_test("/park/limit", test_limit);
    share_add_test("/park/limit-of-open-files", test_limit_of_open_files);
    share_add_test("/park/limit-of-process", test_limit_of_process);
    share_add_test("/park/limit-of-removed", test_limit_of_removed);
    share_add_test_for_models("/park/load", test_load);
    share_add_test("/park/keeper-killed", test_keeper_killed);
    share_add_test("/park/million", test_million);
    return g_test_run();
}
