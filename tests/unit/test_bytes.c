/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cursors: what they read and write, and what they do at and after the end. */
#include "common/bytes.h"

#include <glib.h>

static void test_read(void)
{
    uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff, 0xfe};
    ByteReader r = byte_reader(bytes, sizeof(bytes));

    g_assert_cmpuint(read_u8(&r), ==, 1);
    g_assert_cmpuint(read_u16(&r), ==, 0x0302);
    g_assert_cmpuint(read_u32(&r), ==, 0x07060504);
    g_assert_cmpuint(read_u64(&r), ==, 0xff0e0d0c0b0a0908ULL);
    g_assert_cmpuint(r.left, ==, 1);
    g_assert_true(read_bytes(&r, 1) == &bytes[15]);
    g_assert_false(r.failed);
    g_assert_cmpuint(r.left, ==, 0);
    g_assert_nonnull(read_bytes(&r, 0));
    g_assert_false(r.failed);
}

/* After the first failure nothing is read any more, not even what would fit. */
static void test_read_past_the_end(void)
{
    uint8_t bytes[3] = {1, 2, 3};
    ByteReader r = byte_reader(bytes, sizeof(bytes));

    g_assert_cmpuint(read_u32(&r), ==, 0);
    g_assert_true(r.failed);
    g_assert_cmpuint(r.left, ==, 3);
    g_assert_cmpuint(read_u8(&r), ==, 0);
    g_assert_null(read_bytes(&r, 0));
    g_assert_true(r.failed);
    r = byte_reader(bytes, sizeof(bytes));
    g_assert_null(read_bytes(&r, SIZE_MAX));
}

static void test_write(void)
{
    static const uint8_t expected[] = {1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8, 'a', 'b'};
    uint8_t bytes[sizeof(expected)];
    ByteWriter w = byte_writer(bytes, sizeof(bytes));

    write_u8(&w, 1);
    write_u16(&w, 0x0203);
    write_u32(&w, 0x04050607);
    write_u64(&w, 0x08090a0b0c0d0e0fULL);
    write_bytes(&w, "ab", 2);
    write_bytes(&w, NULL, 0);
    g_assert_false(w.failed);
    g_assert_cmpuint(w.used, ==, sizeof(expected));
    g_assert_true(memcmp(bytes, expected, sizeof(expected)) == 0);
}

static void test_write_past_the_end(void)
{
    uint8_t bytes[5] = {0, 0, 0, 0, 0xaa};
    ByteWriter w = byte_writer(bytes, 4);

    write_u8(&w, 1);
    write_u32(&w, UINT32_MAX);
    g_assert_true(w.failed);
    g_assert_cmpuint(w.used, ==, 1);
    write_u8(&w, 2);
    g_assert_cmpuint(w.used, ==, 1);
    g_assert_null(write_space(&w, SIZE_MAX));
    g_assert_cmpuint(bytes[1], ==, 0);
    g_assert_cmpuint(bytes[4], ==, 0xaa);
}

static void test_round_trip(void)
{
    uint8_t bytes[15];

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t value = (uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();
        ByteWriter w = byte_writer(bytes, sizeof(bytes));
        ByteReader r = byte_reader(bytes, sizeof(bytes));

        write_u64(&w, value);
        write_u32(&w, (uint32_t)value);
        write_u16(&w, (uint16_t)value);
        write_u8(&w, (uint8_t)value);
        g_assert_cmpuint(read_u64(&r), ==, value);
        g_assert_cmpuint(read_u32(&r), ==, (uint32_t)value);
        g_assert_cmpuint(read_u16(&r), ==, (uint16_t)value);
        g_assert_cmpuint(read_u8(&r), ==, (uint8_t)value);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bytes/read", test_read);
    g_test_add_func("/bytes/read-past-the-end", test_read_past_the_end);
    g_test_add_func("/bytes/write", test_write);
    g_test_add_func("/bytes/write-past-the-end", test_write_past_the_end);
    g_test_add_func("/bytes/round-trip", test_round_trip);
    return g_test_run();
}
