/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fid table: entering, replacing, taking, limits, references. */
#include <errno.h>

#include "protocol/fid.h"
#include "tests/lib/memory_fs.h"

typedef struct Fixture {
    MemoryFs *fs;
    FsNode *root;
    FidTable *table;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->fs = memory_fs_new(FS_MEMORY);
    g_assert_cmpint(memory_fs_base(f->fs)->ops->root(memory_fs_base(f->fs), &f->root), ==, 0);
    f->table = fid_table_new(20);
}

/* Whatever a test has done: no node is held when the table and the root are gone. */
static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    fid_table_unref(f->table);
    fs_node_unref(f->root);
    g_assert_cmpuint(memory_fs_n_held(f->fs), ==, 0);
    memory_fs_free(f->fs);
}

static int put_new(Fixture *f, uint32_t id, Fid *expected, uint32_t uid)
{
    Fid *fid = fid_new(uid, f->root, NULL, 0);
    int error = fid_table_put(f->table, id, expected, fid);

    fid_unref(fid);
    return error;
}

static void test_put_get_take(Fixture *f, gconstpointer unused)
{
    Fid *fid;

    (void)unused;
    g_assert_null(fid_table_get(f->table, 5));
    g_assert_null(fid_table_take(f->table, 5));
    g_assert_cmpint(put_new(f, 5, NULL, 42), ==, 0);
    g_assert_cmpint(put_new(f, 0, NULL, 43), ==, 0);
    g_assert_cmpint(put_new(f, 0xfffffffe, NULL, 44), ==, 0);
    fid = fid_table_get(f->table, 5);
    g_assert_cmpuint(fid->uid, ==, 42);
    fid_unref(fid);
    fid = fid_table_take(f->table, 5);
    g_assert_cmpuint(fid->uid, ==, 42);
    fid_unref(fid);
    g_assert_null(fid_table_get(f->table, 5));
    g_assert_cmpuint(fid_table_count(f->table), ==, 2);
    fid_unref(NULL);
}

static void test_nofid(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_assert_cmpint(put_new(f, P9_NOFID, NULL, 1), ==, -EINVAL);
    g_assert_cmpuint(fid_table_count(f->table), ==, 0);
}

static void test_replace(Fixture *f, gconstpointer unused)
{
    Fid *old;

    (void)unused;
    g_assert_cmpint(put_new(f, 5, NULL, 1), ==, 0);
    g_assert_cmpint(put_new(f, 5, NULL, 2), ==, -EBADF);
    old = fid_table_get(f->table, 5);
    g_assert_cmpint(put_new(f, 6, old, 2), ==, -EBADF);
    g_assert_cmpint(put_new(f, 5, old, 2), ==, 0);
    g_assert_cmpint(put_new(f, 5, old, 3), ==, -EBADF);
    g_assert_cmpuint(old->uid, ==, 1); /* whoever still has it can use it */
    fid_unref(old);
    old = fid_table_get(f->table, 5);
    g_assert_cmpuint(old->uid, ==, 2);
    fid_unref(old);
    g_assert_cmpuint(fid_table_count(f->table), ==, 1);
}

static void test_limit(Fixture *f, gconstpointer unused)
{
    Fid *fid;

    (void)unused;
    for (uint32_t id = 0; id < 20; id++)
        g_assert_cmpint(put_new(f, id, NULL, 1), ==, 0);
    g_assert_cmpint(put_new(f, 20, NULL, 1), ==, -ENFILE);
    g_assert_cmpuint(fid_table_count(f->table), ==, 20);
    fid = fid_table_get(f->table, 3);
    g_assert_cmpint(put_new(f, 3, fid, 2), ==, 0); /* replacing needs no room */
    fid_unref(fid);
    fid_unref(fid_table_take(f->table, 3));
    g_assert_cmpint(put_new(f, 20, NULL, 1), ==, 0);
}

/* Numbers from 0 on are found in another way than the largest ones, which must make no difference. */
static void test_numbers(Fixture *f, gconstpointer unused)
{
    static const uint32_t numbers[] = {0,       15,      16,      255,     256,        4096,
                                       1048559, 1048575, 1048576, 1048577, 0x7fffffff, 0xfffffffe};
    g_autoptr(GPtrArray) left = NULL;

    (void)unused;
    for (uint32_t i = G_N_ELEMENTS(numbers); i-- > 0;) {
        g_assert_null(fid_table_get(f->table, numbers[i]));
        g_assert_null(fid_table_take(f->table, numbers[i]));
        g_assert_cmpint(put_new(f, numbers[i], NULL, i), ==, 0);
        g_assert_cmpint(put_new(f, numbers[i], NULL, i), ==, -EBADF);
    }
    for (uint32_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        Fid *fid = fid_table_get(f->table, numbers[i]);
        g_assert_cmpuint(fid->uid, ==, i);
        g_assert_cmpint(put_new(f, numbers[i], fid, 100 + i), ==, 0);
        fid_unref(fid);
    }
    for (uint32_t i = 0; i < G_N_ELEMENTS(numbers); i += 2) {
        Fid *fid = fid_table_take(f->table, numbers[i]);
        g_assert_cmpuint(fid->uid, ==, 100 + i);
        g_assert_null(fid_table_get(f->table, numbers[i]));
        fid_unref(fid);
    }
    left = fid_table_take_all(f->table);
    g_assert_cmpuint(left->len, ==, G_N_ELEMENTS(numbers) / 2);
    g_assert_cmpuint(fid_table_count(f->table), ==, 0);
    for (unsigned i = 0; i < left->len; i++)
        fid_unref(g_ptr_array_index(left, i));
    g_assert_cmpint(put_new(f, numbers[1], NULL, 1), ==, 0); /* it can be used again */
}

static void test_table_references(Fixture *f, gconstpointer unused)
{
    FidTable *other = fid_table_ref(f->table);

    (void)unused;
    g_assert_cmpint(put_new(f, 1, NULL, 1), ==, 0);
    fid_table_unref(other);
    g_assert_cmpuint(fid_table_count(f->table), ==, 1);
}

static gpointer churn(gpointer argument)
{
    Fixture *f = argument;

    for (unsigned i = 0; i < 3000; i++) {
        uint32_t id = (uint32_t)g_random_int_range(0, 25);
        Fid *fid = fid_table_get(f->table, id);

        put_new(f, id, fid, i);
        fid_unref(fid);
        if (i % 3 == 0)
            fid_unref(fid_table_take(f->table, id));
    }
    return NULL;
}

static void test_threads(Fixture *f, gconstpointer unused)
{
    GThread *threads[4];
    unsigned n = 0;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("churn", churn, f);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    for (uint32_t id = 0; id < 25; id++) {
        Fid *fid = fid_table_take(f->table, id);
        n += fid ? 1 : 0;
        fid_unref(fid);
    }
    g_assert_cmpuint(n, <=, 20);
    g_assert_cmpuint(fid_table_count(f->table), ==, 0);
}

static void add(const char *name, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(name, Fixture, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/fid/put-get-take", test_put_get_take);
    add("/fid/nofid", test_nofid);
    add("/fid/replace", test_replace);
    add("/fid/limit", test_limit);
    add("/fid/numbers", test_numbers);
    add("/fid/table-references", test_table_references);
    add("/fid/threads", test_threads);
    return g_test_run();
}
