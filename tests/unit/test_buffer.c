/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buffers: sizes, reuse, what is kept, and several threads at once. */
#include "common/buffer.h"

#include <glib.h>
#include <stdint.h>
#include <string.h>

static void test_sizes(void)
{
    static const struct {
        size_t asked, actual;
    } cases[] = {
        {0, BUFFER_MIN},          {1, BUFFER_MIN},
        {BUFFER_MIN, BUFFER_MIN}, {BUFFER_MIN + 1, 2 * BUFFER_MIN},
        {65536, 65536},           {65537, 131072},
        {BUFFER_MAX, BUFFER_MAX},
    };
    BufferPool *pool = buffer_pool_new(0);

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t actual;
        void *buffer = buffer_pool_get(pool, cases[i].asked, &actual);

        g_assert_nonnull(buffer);
        g_assert_cmpuint(actual, ==, cases[i].actual);
        memset(buffer, 0x5a, actual);
        buffer_pool_put(pool, buffer, actual);
    }
    buffer_pool_free(pool);
}

static void test_reuse(void)
{
    BufferPool *pool = buffer_pool_new(1 << 20);
    size_t actual;
    void *first = buffer_pool_get(pool, 5000, &actual);

    buffer_pool_put(pool, first, actual);
    g_assert_true(buffer_pool_get(pool, 8000, &actual) == first);
    buffer_pool_put(pool, first, actual);
    buffer_pool_put(pool, NULL, 0);
    buffer_pool_trim(pool);
    buffer_pool_trim(pool);
    buffer_pool_free(pool);
}

/* What goes beyond `keep` is returned to the system: AddressSanitizer sees what would leak. */
static void test_keep(void)
{
    BufferPool *pool = buffer_pool_new(3 * BUFFER_MIN);
    void *buffers[10];
    size_t actual;

    for (unsigned i = 0; i < G_N_ELEMENTS(buffers); i++)
        buffers[i] = buffer_pool_get(pool, 1, &actual);
    for (unsigned i = 0; i < G_N_ELEMENTS(buffers); i++)
        buffer_pool_put(pool, buffers[i], actual);
    buffer_pool_free(pool);
}

static gpointer exchange(gpointer pool)
{
    for (unsigned i = 0; i < 2000; i++) {
        size_t actual;
        size_t size = (size_t)g_random_int_range(1, 20000);
        uint8_t *buffer = buffer_pool_get(pool, size, &actual);

        buffer[0] = buffer[size - 1] = (uint8_t)i;
        if (i % 500 == 0)
            buffer_pool_trim(pool);
        g_assert_cmpuint(buffer[size - 1], ==, (uint8_t)i);
        buffer_pool_put(pool, buffer, actual);
    }
    return NULL;
}

static void test_threads(void)
{
    BufferPool *pool = buffer_pool_new(100000);
    GThread *threads[4];

    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("exchange", exchange, pool);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    buffer_pool_free(pool);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/buffer/sizes", test_sizes);
    g_test_add_func("/buffer/reuse", test_reuse);
    g_test_add_func("/buffer/keep", test_keep);
    g_test_add_func("/buffer/threads", test_threads);
    return g_test_run();
}
