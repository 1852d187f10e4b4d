/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An export with limits under many threads, which call the local file system as pool threads do.
 * Whatever they do at the same time, no limit is passed, and the count is right at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "tests/lib/quota_share.h"

enum {
    THREADS = 8,
    DIRS = 3,
    STEPS = 1500, /* of each thread that does this and that */
};

typedef struct Worker {
    Share *share;
    unsigned id;
    pthread_t thread;
    uint64_t done; /* what it made, in whatever the test counts */
    FsFile *file;  /* one that all share, or NULL */
    gint *running; /* atomic: how many have not ended */
    gint *ready;   /* atomic: how many have what they need to begin */
} Worker;

static const FsOwner owner = {.uid = SHARE_UID, .gid = SHARE_GID};

static FsNode *root_of(Share *s)
{
    FsNode *root;

    g_assert_cmpint(s->fs->ops->root(s->fs, &root), ==, 0);
    return root;
}

/* Runs `run` on all threads, and `meanwhile`, if there is one, again and again until they end. */
static uint64_t run_all(Share *s, FsFile *file, void *(*run)(void *), void (*meanwhile)(Share *s))
{
    Worker workers[THREADS];
    gint running = THREADS;
    gint ready = 0;
    uint64_t done = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] =
            (Worker){.share = s, .id = i, .file = file, .running = &running, .ready = &ready};
        g_assert_cmpint(pthread_create(&workers[i].thread, NULL, run, &workers[i]), ==, 0);
    }
    while (meanwhile && g_atomic_int_get(&running) > 0)
        meanwhile(s);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
    }
    return done;
}

static void *end(Worker *w)
{
    g_atomic_int_add(w->running, -1);
    return NULL;
}

static uint64_t max_space;

static void check_space(Share *s)
{
    g_assert_cmpuint(share_measure(s).bytes, <=, max_space);
    g_usleep(1000);
}

/* Writes a file of its own until nothing fits any more. */
static void *fill_own_file(void *argument)
{
    static const char data[7 * BLOCK];
    Worker *w = argument;
    const FsOps *ops = w->share->fs->ops;
    FsNode *root = root_of(w->share);
    FsFile *file;
    char name[16];
    ssize_t put;

    g_snprintf(name, sizeof(name), "file%u", w->id);
    g_assert_cmpint(ops->create(root, name, O_RDWR, 0600, owner, &file), ==, 0);
    g_atomic_int_add(w->ready, 1);
    while (g_atomic_int_get(w->ready) < THREADS)
        g_thread_yield();
    while ((put = ops->write(file, data, (w->id + 1) * 1000, w->done)) > 0)
        w->done += (uint64_t)put;
    g_assert_cmpint(put, ==, -ENOSPC);
    fs_file_unref(file);
    fs_node_unref(root);
    return end(w);
}

static void test_writers_share_the_space(Share *s, gconstpointer unused)
{
    uint64_t used;

    (void)unused;
    share_limit_blocks(s, 600, false);
    max_space = quota_options(share_quota(s))->max_space;
    run_all(s, NULL, fill_own_file, check_space);
    used = share_measure(s).bytes;
    g_assert_cmpuint(used, <=, max_space);
    g_assert_cmpuint(used, ==, max_space); /* nor is anything left unused */
    share_check_count(s);
}

/* Fills blocks of one file, each of which some other thread may be filling too. */
static void *fill_shared_file(void *argument)
{
    static const char data[4 * BLOCK];
    Worker *w = argument;
    const FsOps *ops = w->share->fs->ops;
    GRand *rand = g_rand_new_with_seed(w->id + 1);

    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t at = (uint64_t)g_rand_int_range(rand, 0, 2000) * BLOCK / 2;
        size_t size = (size_t)g_rand_int_range(rand, 1, sizeof(data));
        FsChange change = {.valid = P9_SETATTR_SIZE, .size = at};
        ssize_t put;

        if (g_rand_int_range(rand, 0, 40) == 0) {
            g_assert_cmpint(ops->setattr(w->file->node, w->file, &change), ==, 0);
            continue;
        }
        put = ops->write(w->file, data, size, at);
        g_assert_true(put > 0 || put == -ENOSPC);
    }
    g_rand_free(rand);
    return end(w);
}

static void test_writers_share_a_file(Share *s, gconstpointer unused)
{
    FsNode *root;
    FsFile *file;

    (void)unused;
    share_limit_blocks(s, 300, false);
    max_space = quota_options(share_quota(s))->max_space;
    root = root_of(s);
    g_assert_cmpint(s->fs->ops->create(root, "file", O_RDWR, 0600, owner, &file), ==, 0);
    run_all(s, file, fill_shared_file, check_space);
    share_check_count(s);
    g_assert_cmpuint(share_measure(s).bytes, <=, max_space);
    fs_file_unref(file);
    fs_node_unref(root);
    share_check_count(s);
}

static void *make_files(void *argument)
{
    Worker *w = argument;
    const FsOps *ops = w->share->fs->ops;
    FsNode *root = root_of(w->share);
    char name[32];
    int error;
    Qid qid;

    for (;;) {
        g_snprintf(name, sizeof(name), "%u.%u", w->id, (unsigned)w->done);
        error = ops->mknod(root, name, S_IFREG | 0600, 0, owner, &qid);
        if (error)
            break;
        w->done++;
    }
    g_assert_cmpint(error, ==, -ENOSPC);
    fs_node_unref(root);
    return end(w);
}

static void test_makers_share_the_files(Share *s, gconstpointer unused)
{
    enum { FILES = 3000 };

    (void)unused;
    share_limit(s, (QuotaOptions){.max_files = FILES});
    g_assert_cmpuint(run_all(s, NULL, make_files, NULL), ==, FILES);
    g_assert_cmpuint(share_measure(s).files, ==, FILES);
    share_check_count(s);
}

static void *open_and_close(void *argument)
{
    Worker *w = argument;
    const FsOps *ops = w->share->fs->ops;

    for (unsigned i = 0; i < STEPS; i++) {
        FsFile *file;
        int error = ops->open(w->file->node, O_RDONLY, false, &file);

        g_assert_true(error == 0 || error == -EMFILE);
        if (!error)
            fs_file_unref(file);
    }
    return end(w);
}

static void test_openers_share_the_files(Share *s, gconstpointer unused)
{
    FsFile *files[3];
    FsNode *root;

    (void)unused;
    share_limit(s, (QuotaOptions){.max_open_files = 3});
    root = root_of(s);
    g_assert_cmpint(s->fs->ops->create(root, "file", O_RDWR, 0600, owner, &files[0]), ==, 0);
    run_all(s, files[0], open_and_close, NULL);
    for (unsigned i = 1; i < 3; i++)
        g_assert_cmpint(s->fs->ops->open(files[0]->node, O_RDONLY, false, &files[i]), ==, 0);
    g_assert_cmpint(s->fs->ops->open(files[0]->node, O_RDONLY, false, &files[1]), ==, -EMFILE);
    for (unsigned i = 0; i < 3; i++)
        fs_file_unref(files[i]);
    fs_node_unref(root);
}

/*
 * This and that, in a few directories that all share and that themselves move
 */

typedef struct Place {
    FsNode *dir; /* a reference, or NULL */
    char name[16];
} Place;

static Place random_place(FsNode *root, GRand *rand)
{
    char name[8];
    char *names[] = {name};
    Place place;
    Qid qid[1];
    unsigned n;

    g_snprintf(name, sizeof(name), "dir%d", g_rand_int_range(rand, 0, DIRS + 1));
    g_snprintf(place.name, sizeof(place.name), "name%d", g_rand_int_range(rand, 0, 12));
    if (root->fs->ops->walk(root, 1, names, false, &place.dir, qid, &n) != 0 || !place.dir ||
        !S_ISDIR(place.dir->type)) {
        fs_node_unref(place.dir);
        place.dir = fs_node_ref(root);
    }
    return place;
}

static FsNode *node_at(const Place *place)
{
    char *names[] = {(char *)place->name};
    FsNode *node = NULL;
    Qid qid[1];
    unsigned n;

    return place->dir->fs->ops->walk(place->dir, 1, names, false, &node, qid, &n) == 0 ? node
                                                                                       : NULL;
}

static void write_something(const Place *place, GRand *rand, int flags)
{
    static const char data[6 * BLOCK];
    const FsOps *ops = place->dir->fs->ops;
    FsFile *file;

    if (ops->create(place->dir, place->name, O_RDWR | flags, 0600, owner, &file) != 0)
        return;
    ops->write(file, data, (size_t)g_rand_int_range(rand, 1, sizeof(data)),
               (uint64_t)g_rand_int_range(rand, 0, 20 * BLOCK));
    fs_file_unref(file);
}

static void change_node(const Place *place, const Place *other, GRand *rand)
{
    FsChange change = {.valid = P9_SETATTR_SIZE, .size = g_rand_int(rand) % (20 * BLOCK)};
    const FsOps *ops = place->dir->fs->ops;
    FsNode *node = node_at(place);

    if (!node)
        return;
    switch (g_rand_int_range(rand, 0, 4)) {
    case 0:
        ops->setattr(node, NULL, &change);
        break;
    case 1:
        ops->link(other->dir, other->name, node);
        break;
    case 2:
        ops->remove(node);
        break;
    default:
        ops->rename(node, other->dir, other->name);
        break;
    }
    fs_node_unref(node);
}

static void swap_directories(FsNode *root, GRand *rand)
{
    char from[8], to[8];

    g_snprintf(from, sizeof(from), "dir%d", g_rand_int_range(rand, 0, DIRS + 1));
    g_snprintf(to, sizeof(to), "dir%d", g_rand_int_range(rand, 0, DIRS + 1));
    root->fs->ops->renameat(root, from, root, to);
}

static void do_something(FsNode *root, GRand *rand)
{
    const FsOps *ops = root->fs->ops;
    Place a = random_place(root, rand);
    Place b = random_place(root, rand);
    Qid qid;

    switch (g_rand_int_range(rand, 0, 10)) {
    case 0:
    case 1:
    case 2:
        write_something(&a, rand, g_rand_boolean(rand) ? O_TRUNC : 0);
        break;
    case 3:
        ops->unlinkat(a.dir, a.name, g_rand_boolean(rand));
        break;
    case 4:
        ops->mkdir(a.dir, a.name, 0700, owner, &qid);
        break;
    case 5:
        ops->symlink(a.dir, a.name, "target", owner, &qid);
        break;
    case 6:
        ops->renameat(a.dir, a.name, b.dir, b.name);
        break;
    case 7:
        swap_directories(root, rand);
        break;
    default:
        change_node(&a, &b, rand);
        break;
    }
    fs_node_unref(a.dir);
    fs_node_unref(b.dir);
}

static void *do_this_and_that(void *argument)
{
    Worker *w = argument;
    FsNode *root = root_of(w->share);
    GRand *rand = g_rand_new_with_seed(w->id + 1);

    for (unsigned i = 0; i < STEPS; i++)
        do_something(root, rand);
    g_rand_free(rand);
    fs_node_unref(root);
    return end(w);
}

static void count_again(Share *s)
{
    int error = quota_recount(share_quota(s), QUOTA_DOUBT);

    g_assert_true(error == 0 || error == -EALREADY);
}

static void do_everything(Share *s, QuotaOptions limits)
{
    for (unsigned i = 0; i < DIRS; i++) {
        g_autofree char *path = g_strdup_printf("%s/dir%u", s->export, i);

        g_assert_cmpint(mkdir(path, 0777), ==, 0);
    }
    share_limit(s, limits);
    quota_set_recount_age(share_quota(s), 0, 0);
    run_all(s, NULL, do_this_and_that, count_again);
    share_check_count(s);
    count_again(s);
    share_check_count(s);
}

static void test_counting_beside_changes(Share *s, gconstpointer unused)
{
    (void)unused;
    do_everything(s, (QuotaOptions){.max_files = 1000000, .max_space = 1 << 30});
}

static void test_limits_beside_changes(Share *s, gconstpointer unused)
{
    (void)unused;
    do_everything(s, (QuotaOptions){.max_files = 60, .max_space = 100 * BLOCK});
    g_assert_cmpuint(share_measure(s).files, <=, 60);
}

static void test_deleting_beside_changes(Share *s, gconstpointer unused)
{
    (void)unused;
    do_everything(s,
                  (QuotaOptions){.max_files = 30, .max_space = 100 * BLOCK, .auto_delete = true});
    g_assert_cmpuint(share_measure(s).files, <=, 30);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/quota-load/writers-share-the-space", test_writers_share_the_space);
    share_add_test("/quota-load/writers-share-a-file", test_writers_share_a_file);
    share_add_test("/quota-load/makers-share-the-files", test_makers_share_the_files);
    share_add_test("/quota-load/openers-share-the-files", test_openers_share_the_files);
    share_add_test("/quota-load/counting-beside-changes", test_counting_beside_changes);
    share_add_test("/quota-load/limits-beside-changes", test_limits_beside_changes);
    share_add_test("/quota-load/deleting-beside-changes", test_deleting_beside_changes);
    return g_test_run();
}
