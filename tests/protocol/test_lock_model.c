/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks against a model: one byte of owners and types for each byte of the file. */
#include <string.h>

#include "tests/lib/lock_share.h"

enum { MODEL_BYTES = 24, MODEL_OWNERS = 4, MODEL_STEPS = 3000 };

typedef struct Model {
    uint8_t held[MODEL_OWNERS][MODEL_BYTES]; /* P9_LOCK_ value */
} Model;

static bool model_conflicts(const Model *m, unsigned owner, uint8_t type, unsigned start,
                            unsigned end)
{
    for (unsigned o = 0; o < MODEL_OWNERS; o++) {
        for (unsigned i = start; o != owner && i < end; i++) {
            uint8_t held = m->held[o][i];
            if (held == P9_LOCK_WRITE || (held == P9_LOCK_READ && type == P9_LOCK_WRITE))
                return true;
        }
    }
    return false;
}

static unsigned model_ranges(const Model *m)
{
    unsigned n = 0;

    for (unsigned o = 0; o < MODEL_OWNERS; o++) {
        for (unsigned i = 0; i < MODEL_BYTES; i++) {
            uint8_t before = i == 0 ? P9_LOCK_UNLOCK : m->held[o][i - 1];
            n += m->held[o][i] != P9_LOCK_UNLOCK && m->held[o][i] != before;
        }
    }
    return n;
}

static void model_check(Share *s, const Model *m)
{
    unsigned n_owners, n_ranges;

    lock_table_count(test_session_session(s->ts)->locks, &n_owners, &n_ranges);
    g_assert_cmpuint(n_ranges, ==, model_ranges(m));
}

/* The last byte of the model stands for all behind it, too. */
static void model_step(Share *s, TwoSessions *two, Model *m)
{
    unsigned owner = (unsigned)g_random_int_range(0, MODEL_OWNERS);
    uint8_t type = (uint8_t)g_random_int_range(0, 3);
    unsigned start = (unsigned)g_random_int_range(0, MODEL_BYTES);
    unsigned end = (unsigned)g_random_int_range((int)start + 1, MODEL_BYTES + 1);
    uint64_t length = end == MODEL_BYTES ? 0 : end - start;
    bool conflict = type != P9_LOCK_UNLOCK && model_conflicts(m, owner, type, start, end);
    LockFound found;

    g_assert_cmpint(client_getlock(&s->client, LOCK_FID, type, start, length, owner, &found), ==,
                    0);
    g_assert_cmpint(
        found.type != P9_LOCK_UNLOCK, ==,
        model_conflicts(m, owner, type == P9_LOCK_READ ? type : P9_LOCK_WRITE, start, end));
    g_assert_cmpint(client_lock(&s->client, type, start, length, owner), ==,
                    conflict ? P9_LOCK_BLOCKED : P9_LOCK_SUCCESS);
    if (!conflict)
        memset(m->held[owner] + start, type, end - start);
    model_check(s, m);

    /* What the host's kernel thinks, from outside. */
    start = (unsigned)g_random_int_range(0, MODEL_BYTES);
    g_assert_cmpint(client_getlock(&two->client, LOCK_FID, P9_LOCK_READ, start, 1, 0, &found), ==,
                    0);
    g_assert_cmpint(found.type != P9_LOCK_UNLOCK, ==,
                    model_conflicts(m, MODEL_OWNERS, P9_LOCK_READ, start, start + 1));
    g_assert_cmpint(client_getlock(&two->client, LOCK_FID, P9_LOCK_WRITE, start, 1, 0, &found), ==,
                    0);
    g_assert_cmpint(found.type != P9_LOCK_UNLOCK, ==,
                    model_conflicts(m, MODEL_OWNERS, P9_LOCK_WRITE, start, start + 1));
}

static void test_model(Share *s, gconstpointer unused)
{
    TwoSessions two = share_begin_two(s);
    Model m;

    (void)unused;
    memset(&m, P9_LOCK_UNLOCK, sizeof(m));
    for (unsigned i = 0; i < MODEL_STEPS; i++)
        model_step(s, &two, &m);
    test_session_free(two.ts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/lock-model/random", test_model);
    return g_test_run();
}
