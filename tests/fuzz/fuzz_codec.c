/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: the codec. Half of the inputs are messages as they are, half are built by chance. What
 * was decoded must lie inside the message.
 */
#include <errno.h>
#include <string.h>

#include "protocol/codec.h"
#include "tests/fuzz/fuzz.h"

/* Strings are terminated and part of the copy; reading them makes AddressSanitizer look. */
static void check_string(const char *string, const uint8_t *copy, size_t size)
{
    g_assert_true((const uint8_t *)string >= copy);
    g_assert_true((const uint8_t *)string + strlen(string) <= copy + size);
}

static void check_decoded(const Tmessage *t, const uint8_t *copy, size_t size)
{
    switch (t->type) {
    case P9_TWALK:
        g_assert_cmpuint(t->walk.n_names, <=, P9_MAX_WALK);
        for (unsigned i = 0; i < t->walk.n_names; i++)
            check_string(t->walk.names[i], copy, size);
        break;
    case P9_TWRITE:
        g_assert_true(t->io.data >= copy && t->io.data + t->io.count <= copy + size);
        break;
    case P9_TATTACH:
        check_string(t->attach.uname, copy, size);
        check_string(t->attach.aname, copy, size);
        break;
    case P9_TRENAMEAT:
        check_string(t->renameat.old_name, copy, size);
        check_string(t->renameat.new_name, copy, size);
        break;
    case P9_TSYMLINK:
        check_string(t->symlink.name, copy, size);
        check_string(t->symlink.target, copy, size);
        break;
    case P9_TLOCK:
    case P9_TGETLOCK:
        check_string(t->lock.client_id, copy, size);
        break;
    default:
        break;
    }
}

static void decode(Dialect dialect, const uint8_t *bytes, size_t size)
{
    g_autofree uint8_t *copy = g_malloc(size + 1);
    Tmessage t = {0};
    int error;

    if (size < P9_HEADER_SIZE)
        return;
    memcpy(copy, bytes, size);
    copy[size] = 0xff;
    error = tmessage_decode(&t, dialect, copy, size);
    g_assert_true(error == 0 || error == -EINVAL || error == -EOPNOTSUPP);
    g_assert_cmpuint(t.type, ==, bytes[4]);
    g_assert_nonnull(tmessage_name(t.type));
    if (!error)
        check_decoded(&t, copy, size);
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    FuzzInput input = {bytes, size};
    Dialect dialect = (Dialect)fuzz_pick(&input, DIALECT_9P2000_L + 1);
    g_autoptr(GByteArray) message = g_byte_array_new();

    if (fuzz_chance(&input, 2)) {
        decode(dialect, input.next, input.left);
        return;
    }
    while (input.left > 0) {
        fuzz_message(&input, message);
        decode(dialect, message->data, message->len);
    }
}
