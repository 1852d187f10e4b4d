/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The codec: every message there and back, and every way in which one can be wrong. */
#include "protocol/codec.h"

#include <errno.h>

#include "tests/lib/client.h"

/* Decodes a private copy of `m` cut to `size` bytes, with one byte of room as the codec asks for.
 * The copy is exactly as large as that, so that AddressSanitizer sees a byte too far. */
static int decode(Tmessage *t, const GByteArray *m, size_t size, uint8_t **copy)
{
    *copy = g_malloc(size + 1);
    memset(t, 0, sizeof(*t));
    memcpy(*copy, m->data, size);
    (*copy)[size] = 0xaa;
    return tmessage_decode(t, DIALECT_9P2000_L, *copy, size);
}

/* Decodes the whole of a message, which must succeed. */
static uint8_t *decode_whole(Tmessage *t, GByteArray *m, uint8_t type)
{
    uint8_t *copy;

    g_assert_cmpint(decode(t, m, m->len, &copy), ==, 0);
    g_assert_cmpuint(t->type, ==, type);
    g_assert_cmpuint(t->tag, ==, 0x1234);
    g_byte_array_free(m, TRUE);
    return copy;
}

#define DECODE(t, type, ...) \
    g_autofree uint8_t *copy = decode_whole(&(t), message_new(type, 0x1234, __VA_ARGS__), type)

static void test_version(void)
{
    Tmessage t;
    DECODE(t, P9_TVERSION, "ds", 8192, "9P2000.L");

    g_assert_cmpuint(t.version.msize, ==, 8192);
    g_assert_cmpstr(t.version.version, ==, "9P2000.L");
}

static void test_attach(void)
{
    Tmessage t;
    DECODE(t, P9_TATTACH, "ddssd", 1, P9_NOFID, "user", "", 1000);

    g_assert_cmpuint(t.fid, ==, 1);
    g_assert_cmpuint(t.attach.afid, ==, P9_NOFID);
    g_assert_cmpstr(t.attach.uname, ==, "user");
    g_assert_cmpstr(t.attach.aname, ==, "");
    g_assert_cmpuint(t.attach.n_uname, ==, 1000);
}

static void test_flush(void)
{
    Tmessage t;
    DECODE(t, P9_TFLUSH, "w", 0xfedc);

    g_assert_cmpuint(t.flush.oldtag, ==, 0xfedc);
}

static void test_walk(void)
{
    Tmessage t;
    DECODE(t, P9_TWALK, "ddwsss", 1, 2, 3, "a", "", "ccc");

    g_assert_cmpuint(t.fid, ==, 1);
    g_assert_cmpuint(t.walk.newfid, ==, 2);
    g_assert_cmpuint(t.walk.n_names, ==, 3);
    g_assert_cmpstr(t.walk.names[0], ==, "a");
    g_assert_cmpstr(t.walk.names[1], ==, "");
    g_assert_cmpstr(t.walk.names[2], ==, "ccc");
}

static void test_lopen(void)
{
    Tmessage t;
    DECODE(t, P9_TLOPEN, "dd", 1, 0x8000);

    g_assert_cmpuint(t.lopen.flags, ==, 0x8000);
}

static void test_lcreate(void)
{
    Tmessage t;
    DECODE(t, P9_TLCREATE, "dsddd", 1, "name", 2, 3, 4);

    g_assert_cmpuint(t.fid, ==, 1);
    g_assert_cmpstr(t.lcreate.name, ==, "name");
    g_assert_cmpuint(t.lcreate.flags, ==, 2);
    g_assert_cmpuint(t.lcreate.mode, ==, 3);
    g_assert_cmpuint(t.lcreate.gid, ==, 4);
}

static void test_mkdir(void)
{
    Tmessage t;
    DECODE(t, P9_TMKDIR, "dsdd", 1, "name", 3, 4);

    g_assert_cmpstr(t.lcreate.name, ==, "name");
    g_assert_cmpuint(t.lcreate.mode, ==, 3);
    g_assert_cmpuint(t.lcreate.gid, ==, 4);
}

static void test_symlink(void)
{
    Tmessage t;
    DECODE(t, P9_TSYMLINK, "dssd", 1, "name", "target", 4);

    g_assert_cmpstr(t.symlink.name, ==, "name");
    g_assert_cmpstr(t.symlink.target, ==, "target");
    g_assert_cmpuint(t.symlink.gid, ==, 4);
}

static void test_mknod(void)
{
    Tmessage t;
    DECODE(t, P9_TMKNOD, "dsdddd", 1, "name", 2, 3, 4, 5);

    g_assert_cmpstr(t.mknod.name, ==, "name");
    g_assert_cmpuint(t.mknod.mode, ==, 2);
    g_assert_cmpuint(t.mknod.major, ==, 3);
    g_assert_cmpuint(t.mknod.minor, ==, 4);
    g_assert_cmpuint(t.mknod.gid, ==, 5);
}

static void test_rename(void)
{
    Tmessage t;
    DECODE(t, P9_TRENAME, "dds", 1, 2, "name");

    g_assert_cmpuint(t.fid, ==, 1);
    g_assert_cmpuint(t.rename.dfid, ==, 2);
    g_assert_cmpstr(t.rename.name, ==, "name");
}

static void test_link(void)
{
    Tmessage t;
    DECODE(t, P9_TLINK, "dds", 1, 2, "name");

    g_assert_cmpuint(t.fid, ==, 1);
    g_assert_cmpuint(t.link.fid, ==, 2);
    g_assert_cmpstr(t.link.name, ==, "name");
}

static void test_renameat(void)
{
    Tmessage t;
    DECODE(t, P9_TRENAMEAT, "dsds", 1, "old", 2, "new");

    g_assert_cmpuint(t.fid, ==, 1);
    g_assert_cmpstr(t.renameat.old_name, ==, "old");
    g_assert_cmpuint(t.renameat.new_dfid, ==, 2);
    g_assert_cmpstr(t.renameat.new_name, ==, "new");
}

static void test_unlinkat(void)
{
    Tmessage t;
    DECODE(t, P9_TUNLINKAT, "dsd", 1, "name", 0x200);

    g_assert_cmpstr(t.unlinkat.name, ==, "name");
    g_assert_cmpuint(t.unlinkat.flags, ==, 0x200);
}

static void test_xattrwalk(void)
{
    Tmessage t;
    DECODE(t, P9_TXATTRWALK, "dds", 1, 2, "user.name");

    g_assert_cmpuint(t.fid, ==, 1);
    g_assert_cmpuint(t.xattrwalk.newfid, ==, 2);
    g_assert_cmpstr(t.xattrwalk.name, ==, "user.name");
}

static void test_xattrcreate(void)
{
    Tmessage t;
    DECODE(t, P9_TXATTRCREATE, "dsqd", 1, "user.name", (uint64_t)1 << 40, 2);

    g_assert_cmpuint(t.fid, ==, 1);
    g_assert_cmpstr(t.xattrcreate.name, ==, "user.name");
    g_assert_cmpuint(t.xattrcreate.size, ==, (uint64_t)1 << 40);
    g_assert_cmpuint(t.xattrcreate.flags, ==, 2);
}

static void check_lock(const Tmessage *t, uint32_t flags)
{
    g_assert_cmpuint(t->fid, ==, 1);
    g_assert_cmpuint(t->lock.type, ==, 2);
    g_assert_cmpuint(t->lock.flags, ==, flags);
    g_assert_cmpuint(t->lock.start, ==, (uint64_t)1 << 40);
    g_assert_cmpuint(t->lock.length, ==, (uint64_t)1 << 41);
    g_assert_cmpuint(t->lock.proc_id, ==, 4);
    g_assert_cmpstr(t->lock.client_id, ==, "guest");
}

static void test_lock(void)
{
    Tmessage t;
    DECODE(t, P9_TLOCK, "dbdqqds", 1, 2, 3, (uint64_t)1 << 40, (uint64_t)1 << 41, 4, "guest");

    check_lock(&t, 3);
}

static void test_getlock(void)
{
    Tmessage t;
    DECODE(t, P9_TGETLOCK, "dbqqds", 1, 2, (uint64_t)1 << 40, (uint64_t)1 << 41, 4, "guest");

    check_lock(&t, 0);
}

static void test_getattr(void)
{
    Tmessage t;
    DECODE(t, P9_TGETATTR, "dq", 1, (uint64_t)0x123456789abcdef0);

    g_assert_cmpuint(t.getattr.mask, ==, 0x123456789abcdef0);
}

static void test_setattr(void)
{
    Tmessage t;
    DECODE(t, P9_TSETATTR, "dddddqqqqq", 1, 2, 3, 4, 5, (uint64_t)6, (uint64_t)7, (uint64_t)8,
           (uint64_t)9, UINT64_MAX);

    g_assert_cmpuint(t.setattr.valid, ==, 2);
    g_assert_cmpuint(t.setattr.mode, ==, 3);
    g_assert_cmpuint(t.setattr.uid, ==, 4);
    g_assert_cmpuint(t.setattr.gid, ==, 5);
    g_assert_cmpuint(t.setattr.size, ==, 6);
    g_assert_cmpuint(t.setattr.atime_sec, ==, 7);
    g_assert_cmpuint(t.setattr.atime_nsec, ==, 8);
    g_assert_cmpuint(t.setattr.mtime_sec, ==, 9);
    g_assert_cmpuint(t.setattr.mtime_nsec, ==, UINT64_MAX);
}

static void test_read_and_readdir(void)
{
    static const uint8_t types[] = {P9_TREAD, P9_TREADDIR};

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        Tmessage t;
        DECODE(t, types[i], "dqd", 1, (uint64_t)2 << 40, 3);

        g_assert_cmpuint(t.fid, ==, 1);
        g_assert_cmpuint(t.io.offset, ==, (uint64_t)2 << 40);
        g_assert_cmpuint(t.io.count, ==, 3);
    }
}

static void test_write(void)
{
    Tmessage t;
    DECODE(t, P9_TWRITE, "dqD", 1, (uint64_t)2, 4u, "a\0bc");

    g_assert_cmpuint(t.io.offset, ==, 2);
    g_assert_cmpuint(t.io.count, ==, 4);
    g_assert_true(memcmp(t.io.data, "a\0bc", 4) == 0);
    g_assert_true(t.io.data == copy + 23); /* in place */
}

static void test_fsync(void)
{
    Tmessage t;
    DECODE(t, P9_TFSYNC, "dd", 1, 1);

    g_assert_cmpuint(t.fsync.datasync, ==, 1);
}

static void test_fid_only(void)
{
    static const uint8_t types[] = {P9_TCLUNK, P9_TREMOVE, P9_TREADLINK, P9_TSTATFS};

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        Tmessage t;
        DECODE(t, types[i], "d", 0xdeadbeef);

        g_assert_cmpuint(t.fid, ==, 0xdeadbeef);
    }
}

/*
 * Messages that are wrong
 */

/* One valid message of every type that is known. */
static GPtrArray *all_messages(void)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    const uint64_t q = 1;

#define ADD(type, ...) g_ptr_array_add(all, message_new(type, 0x1234, __VA_ARGS__))
    ADD(P9_TVERSION, "ds", 8192, "9P2000.L");
    ADD(P9_TATTACH, "ddssd", 1, 2, "user", "name", 1000);
    ADD(P9_TFLUSH, "w", 1);
    ADD(P9_TWALK, "ddwsss", 1, 2, 3, "a", "b", "ccc");
    ADD(P9_TLOPEN, "dd", 1, 2);
    ADD(P9_TOPEN, "db", 1, 2);
    ADD(P9_TCREATE, "dsdbs", 1, "name", 2, 3, "extension");
    ADD(P9_TSTAT, "d", 1);
    ADD(P9_TWSTAT, "dwwwdbdqdddqsssssddd", 1, 63 + 4, 61 + 4, 1, 2, 3, 4, q, 5, 6, 7, q, "n", "u",
        "g", "", "e", 8, 9, 10);
    ADD(P9_TLCREATE, "dsddd", 1, "name", 2, 3, 4);
    ADD(P9_TMKDIR, "dsdd", 1, "name", 3, 4);
    ADD(P9_TSYMLINK, "dssd", 1, "name", "target", 4);
    ADD(P9_TMKNOD, "dsdddd", 1, "name", 2, 3, 4, 5);
    ADD(P9_TRENAME, "dds", 1, 2, "name");
    ADD(P9_TLINK, "dds", 1, 2, "name");
    ADD(P9_TRENAMEAT, "dsds", 1, "old", 2, "new");
    ADD(P9_TUNLINKAT, "dsd", 1, "name", 0);
    ADD(P9_TXATTRWALK, "dds", 1, 2, "name");
    ADD(P9_TXATTRCREATE, "dsqd", 1, "name", q, 2);
    ADD(P9_TLOCK, "dbdqqds", 1, 2, 3, q, q, 4, "name");
    ADD(P9_TGETLOCK, "dbqqds", 1, 2, q, q, 4, "name");
    ADD(P9_TGETATTR, "dq", 1, q);
    ADD(P9_TSETATTR, "dddddqqqqq", 1, 2, 3, 4, 5, q, q, q, q, q);
    ADD(P9_TREAD, "dqd", 1, q, 3);
    ADD(P9_TREADDIR, "dqd", 1, q, 3);
    ADD(P9_TWRITE, "dqD", 1, q, 4u, "data");
    ADD(P9_TFSYNC, "dd", 1, 1);
    ADD(P9_TCLUNK, "d", 1);
    ADD(P9_TREMOVE, "d", 1);
    ADD(P9_TREADLINK, "d", 1);
    ADD(P9_TSTATFS, "d", 1);
#undef ADD
    return all;
}

static void test_truncated_anywhere(void)
{
    g_autoptr(GPtrArray) all = all_messages();

    for (unsigned i = 0; i < all->len; i++) {
        const GByteArray *m = g_ptr_array_index(all, i);

        for (size_t size = 0; size < m->len; size++) {
            g_autofree uint8_t *copy = NULL;
            Tmessage t;

            g_assert_cmpint(decode(&t, m, size, &copy), ==, -EINVAL);
            g_assert_cmpuint(copy[size], ==, 0xaa);
            g_assert_true(memcmp(copy, m->data, size) == 0); /* untouched */
        }
    }
}

static void test_excess_bytes(void)
{
    g_autoptr(GPtrArray) all = all_messages();

    for (unsigned i = 0; i < all->len; i++) {
        GByteArray *m = g_ptr_array_index(all, i);

        for (unsigned extra = 1; extra < 10; extra++) {
            g_autofree uint8_t *copy = NULL;
            Tmessage t;

            g_byte_array_append(m, (const guint8 *)"", 1);
            g_assert_cmpint(decode(&t, m, m->len, &copy), ==, -EINVAL);
        }
    }
}

/* A NUL in any place of any string. */
static void test_nul_in_strings(void)
{
    static const uint8_t with_strings[] = {
        P9_TVERSION,  P9_TATTACH,    P9_TWALK,        P9_TLCREATE, P9_TMKDIR,
        P9_TSYMLINK,  P9_TMKNOD,     P9_TRENAME,      P9_TLINK,    P9_TRENAMEAT,
        P9_TUNLINKAT, P9_TXATTRWALK, P9_TXATTRCREATE, P9_TLOCK,    P9_TGETLOCK};
    g_autoptr(GPtrArray) all = all_messages();
    unsigned n_rejected = 0;

    for (unsigned i = 0; i < all->len; i++) {
        GByteArray *m = g_ptr_array_index(all, i);

        if (!memchr(with_strings, m->data[4], sizeof(with_strings)))
            continue;
        for (guint at = P9_HEADER_SIZE; at < m->len; at++) {
            g_autofree uint8_t *copy = NULL;
            guint8 saved = m->data[at];
            Tmessage t;

            if (!g_ascii_isalnum(saved) && saved != '.')
                continue;
            m->data[at] = 0;
            g_assert_cmpint(decode(&t, m, m->len, &copy), ==, -EINVAL);
            m->data[at] = saved;
            n_rejected++;
        }
    }
    g_assert_cmpuint(n_rejected, ==, 8 + 8 + 5 + 4 + 4 + 10 + 4 + 4 + 4 + 6 + 4 + 4 * 4);
}

static void test_walk_limits(void)
{
    g_autofree uint8_t *copy = NULL;
    g_autofree uint8_t *second = NULL;
    GByteArray *m = message_new(P9_TWALK, 1, "ddw", 1, 2, 16);
    Tmessage t;

    for (unsigned i = 0; i < 16; i++)
        g_byte_array_append(m, (const guint8 *)"\1\0n", 3);
    g_assert_cmpint(decode(&t, m, m->len, &copy), ==, 0);
    for (unsigned i = 0; i < 16; i++)
        g_assert_cmpstr(t.walk.names[i], ==, "n");
    m->data[15] = 17;
    g_byte_array_append(m, (const guint8 *)"\1\0n", 3);
    g_assert_cmpint(decode(&t, m, m->len, &second), ==, -EINVAL);
    g_byte_array_free(m, TRUE);
}

/* Lengths that lie, up to the largest. */
static void test_lying_lengths(void)
{
    static const uint16_t lengths[] = {3, 5, 6, 0x7fff, 0x8000, 0xffff};

    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        GByteArray *m = message_new(P9_TMKDIR, 1, "dsdd", 1, "name", 0, 0);
        g_autofree uint8_t *copy = NULL;
        Tmessage t;

        m->data[11] = (guint8)lengths[i];
        m->data[12] = (guint8)(lengths[i] >> 8);
        g_assert_cmpint(decode(&t, m, m->len, &copy), ==, -EINVAL);
        g_byte_array_free(m, TRUE);
    }
    for (unsigned i = 0; i < 32; i++) {
        GByteArray *m = message_new(P9_TWRITE, 1, "dqD", 1, (uint64_t)0, 4u, "data");
        g_autofree uint8_t *copy = NULL;
        Tmessage t;

        if (i != 2) {
            m->data[19 + i / 8] ^= (guint8)(1u << (i % 8));
            g_assert_cmpint(decode(&t, m, m->len, &copy), ==, -EINVAL);
        }
        g_byte_array_free(m, TRUE);
    }
}

static bool is_known(const GPtrArray *all, unsigned type)
{
    for (unsigned i = 0; i < all->len; i++) {
        if (((const GByteArray *)g_ptr_array_index(all, i))->data[4] == type)
            return true;
    }
    return false;
}

/* A type that is not known says so, whatever the body, with its type and tag for the answer. */
static void test_every_type(void)
{
    g_autoptr(GPtrArray) all = all_messages();

    for (unsigned type = 0; type < 256; type++) {
        GByteArray *m = message_new((uint8_t)type, 0x1234, "dd", 1, 2);
        g_autofree uint8_t *copy = NULL;
        Tmessage t;
        int error = decode(&t, m, m->len, &copy);

        g_assert_cmpuint(t.type, ==, type);
        g_assert_cmpuint(t.tag, ==, 0x1234);
        if (is_known(all, type))
            g_assert_true(error == 0 || error == -EINVAL);
        else
            g_assert_cmpint(error, ==, -EOPNOTSUPP);
        g_assert_nonnull(tmessage_name((uint8_t)type));
        g_assert_true(tmessage_name((uint8_t)type)[0] == 'T');
        g_byte_array_free(m, TRUE);
    }
    g_assert_cmpstr(tmessage_name(P9_TWALK), ==, "Twalk");
    g_assert_cmpstr(tmessage_name(0), ==, "T<unknown>");
}

/* Random bytes: nothing is read or written outside, and what is accepted has its strings ended. */
static void test_noise(void)
{
    g_autoptr(GPtrArray) all = all_messages();

    for (unsigned i = 0; i < 100000; i++) {
        GByteArray *m = g_ptr_array_index(all, i % all->len);
        size_t size = m->len;
        g_autofree uint8_t *copy = g_malloc(size + 1);
        Tmessage t;

        memcpy(copy, m->data, size);
        for (unsigned n = 0; n < 3; n++)
            copy[(size_t)g_test_rand_int_range(7, (gint32)size)] = (uint8_t)g_test_rand_int();
        if (tmessage_decode(&t, DIALECT_9P2000_L, copy, size) == 0 && t.type == P9_TWALK) {
            for (unsigned n = 0; n < t.walk.n_names; n++)
                g_assert_cmpuint(strlen(t.walk.names[n]), <, size);
        }
    }
}

/*
 * Pieces of replies
 */

static void test_write_pieces(void)
{
    static const uint8_t expected[] = {20, 0, 0, 0, 7, 0x34, 0x12, 3, 0, 'a', 'b', 'c', 0x80,
                                       4,  3, 2, 1, 8, 7,    6,    5, 4, 3,   2,   1};
    const Qid qid = {.type = 0x80, .version = 0x01020304, .path = 0x0102030405060708};
    uint8_t bytes[sizeof(expected)];
    ByteWriter w = byte_writer(bytes, sizeof(bytes));

    write_space(&w, P9_HEADER_SIZE);
    write_string(&w, "abc", 3);
    write_qid(&w, &qid);
    write_header(bytes, 20, 7, 0x1234);
    g_assert_false(w.failed);
    g_assert_cmpuint(w.used, ==, sizeof(expected));
    g_assert_true(memcmp(bytes, expected, sizeof(expected)) == 0);
    write_qid(&w, &qid);
    g_assert_true(w.failed);
}

static void test_write_long_string(void)
{
    g_autofree char *text = g_strnfill(65536, 'x');
    g_autofree uint8_t *bytes = g_malloc(70000);
    ByteWriter w = byte_writer(bytes, 70000);

    write_string(&w, text, 65535);
    g_assert_false(w.failed);
    g_assert_cmpuint(w.used, ==, 65537);
    w = byte_writer(bytes, 70000);
    write_string(&w, text, 65536);
    g_assert_true(w.failed);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/codec/version", test_version);
    g_test_add_func("/codec/attach", test_attach);
    g_test_add_func("/codec/flush", test_flush);
    g_test_add_func("/codec/walk", test_walk);
    g_test_add_func("/codec/lopen", test_lopen);
    g_test_add_func("/codec/lcreate", test_lcreate);
    g_test_add_func("/codec/mkdir", test_mkdir);
    g_test_add_func("/codec/symlink", test_symlink);
    g_test_add_func("/codec/mknod", test_mknod);
    g_test_add_func("/codec/rename", test_rename);
    g_test_add_func("/codec/link", test_link);
    g_test_add_func("/codec/renameat", test_renameat);
    g_test_add_func("/codec/unlinkat", test_unlinkat);
    g_test_add_func("/codec/xattrwalk", test_xattrwalk);
    g_test_add_func("/codec/xattrcreate", test_xattrcreate);
    g_test_add_func("/codec/lock", test_lock);
    g_test_add_func("/codec/getlock", test_getlock);
    g_test_add_func("/codec/getattr", test_getattr);
    g_test_add_func("/codec/setattr", test_setattr);
    g_test_add_func("/codec/read-and-readdir", test_read_and_readdir);
    g_test_add_func("/codec/write", test_write);
    g_test_add_func("/codec/fsync", test_fsync);
    g_test_add_func("/codec/fid-only", test_fid_only);
    g_test_add_func("/codec/truncated-anywhere", test_truncated_anywhere);
    g_test_add_func("/codec/excess-bytes", test_excess_bytes);
    g_test_add_func("/codec/nul-in-strings", test_nul_in_strings);
    g_test_add_func("/codec/walk-limits", test_walk_limits);
    g_test_add_func("/codec/lying-lengths", test_lying_lengths);
    g_test_add_func("/codec/every-type", test_every_type);
    g_test_add_func("/codec/noise", test_noise);
    g_test_add_func("/codec/write-pieces", test_write_pieces);
    g_test_add_func("/codec/write-long-string", test_write_long_string);
    return g_test_run();
}
