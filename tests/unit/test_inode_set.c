/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The set of inodes: against a plain hash table, and its memory. */
#include <glib.h>

#include "protocol/inode_set.h"

static void test_adding_and_removing(void)
{
    InodeSet *set = inode_set_new();

    g_assert_false(inode_set_has(set, 1, 0));
    g_assert_false(inode_set_remove(set, 1, 0));
    g_assert_true(inode_set_add(set, 1, 0));
    g_assert_false(inode_set_add(set, 1, 0));
    g_assert_true(inode_set_has(set, 1, 0));
    g_assert_false(inode_set_has(set, 0, 0));
    g_assert_false(inode_set_has(set, 1, 64));
    g_assert_true(inode_set_add(set, 1, UINT64_MAX));
    g_assert_true(inode_set_add(set, UINT64_MAX, UINT64_MAX));
    g_assert_true(inode_set_remove(set, 1, 0));
    g_assert_false(inode_set_has(set, 1, 0));
    g_assert_true(inode_set_has(set, 1, UINT64_MAX));
    g_assert_true(inode_set_has(set, UINT64_MAX, UINT64_MAX));
    inode_set_free(set);
    inode_set_free(NULL);
}

/* Random operations on numbers that are dense, sparse and on several devices. */
static void test_like_a_hash_table(void)
{
    GHashTable *plain = g_hash_table_new(NULL, NULL);
    InodeSet *set = inode_set_new();

    for (unsigned i = 0; i < 300000; i++) {
        uint64_t device = (uint64_t)g_test_rand_int_range(0, 3);
        uint64_t inode = (uint64_t)g_test_rand_int_range(0, 20000);
        gpointer key;

        if (device == 2)
            inode *= 1000003;
        key = (gpointer)(gsize)(inode << 2 | device);
        if (g_test_rand_int_range(0, 3) == 0)
            g_assert_true(inode_set_remove(set, device, inode) == g_hash_table_remove(plain, key));
        else
            g_assert_true(inode_set_add(set, device, inode) == g_hash_table_add(plain, key));
        g_assert_true(inode_set_has(set, device, inode) == g_hash_table_contains(plain, key));
    }
    g_hash_table_unref(plain);
    inode_set_free(set);
}

static void test_memory(void)
{
    InodeSet *dense = inode_set_new();
    InodeSet *sparse = inode_set_new();

    for (uint64_t i = 0; i < 1000 * 1000; i++) {
        inode_set_add(dense, 1, 5000000 + i);
        if (i < 100 * 1000)
            inode_set_add(sparse, 1, i * 0x9e3779b97f4a7c15ULL);
    }
    g_assert_cmpuint(inode_set_memory(dense), <, 1024 * 1024);
    g_assert_cmpuint(inode_set_memory(sparse), <=, 100 * 1000 * 64);
    inode_set_free(dense);
    inode_set_free(sparse);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/inode-set/adding-and-removing", test_adding_and_removing);
    g_test_add_func("/inode-set/like-a-hash-table", test_like_a_hash_table);
    g_test_add_func("/inode-set/memory", test_memory);
    return g_test_run();
}
