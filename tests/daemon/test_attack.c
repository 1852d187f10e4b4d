/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that attack (tests/frontend/attack.h), one of each kind at the same time, beside as many that
 * behave well: these lose no request. How long they wait is what `make check-attack` measures.
 */
#include "tests/daemon/fixture.h"
#include "tests/daemon/guest.h"
#include "tests/frontend/attack.h"

#include <pthread.h>
#include <string.h>

enum {
    N_GOOD = N_ATTACKS,
    FIRST_GOOD = N_ATTACKS + 1, /* domains; those before attack */
    LEAST_ROUNDS = 50,
    FILE_FID = 1,
    OWN_FID = 2,
    BLOCK = 4096,
};

typedef struct Good {
    pthread_t thread;
    uint32_t domid;
    Guest *guest;
    gint *stop;
    gint n; /* atomic: rounds */
} Good;

static void put_files(const Fixture *fixture)
{
    g_autofree char *data = g_build_filename(fixture->export, "data", NULL);
    g_autofree char *content = g_strnfill(4 * BLOCK, 'x');

    g_assert_true(g_file_set_contents(data, content, -1, NULL));
    attack_make_crowd(fixture->export, ATTACK_MAX_FILES);
}

/*
 * Who behaves well
 */

/* Each request is answered, with what is so. */
static void do_round(Good *good)
{
    g_autofree char *name = g_strdup_printf("own-%u", good->domid);
    uint8_t written[BLOCK], read[BLOCK];
    P9Attr attr;
    uint32_t done;

    memset(written, (int)good->n, sizeof(written));
    g_assert_cmpint(guest_getattr(good->guest, FILE_FID, &attr), ==, 0);
    g_assert_cmpuint(attr.size, ==, 4 * BLOCK);
    g_assert_cmpint(guest_walk(good->guest, GUEST_ROOT, OWN_FID, ""), ==, 0);
    g_assert_cmpint(guest_create(good->guest, OWN_FID, name, P9_L_RDWR, 0600), ==, 0);
    g_assert_cmpint(guest_write(good->guest, OWN_FID, 0, written, BLOCK, 0), ==, 0);
    g_assert_cmpint(guest_read(good->guest, OWN_FID, 0, read, BLOCK, 0, &done), ==, 0);
    g_assert_cmpuint(done, ==, BLOCK);
    g_assert_true(memcmp(read, written, BLOCK) == 0);
    g_assert_cmpint(guest_check(good->guest, frontend_call(good->guest->frontend,
                                                           p9_tremove(GUEST_TAG, OWN_FID), "")),
                    ==, 0);
}

static void *behave(void *data)
{
    Good *good = data;

    while (!g_atomic_int_get(good->stop)) {
        do_round(good);
        g_atomic_int_inc(&good->n);
    }
    return NULL;
}

static void good_start(Good *good, const Fixture *fixture, uint32_t domid, gint *stop)
{
    FrontendDevice device = frontend_linux(domid, fixture->export);

    device.order = 4;
    device.msize = 16384;
    *good = (Good){.domid = domid, .guest = guest_start(&device), .stop = stop};
    g_assert_cmpint(guest_walk(good->guest, GUEST_ROOT, FILE_FID, "data"), ==, 0);
    g_assert_cmpint(pthread_create(&good->thread, NULL, behave, good), ==, 0);
}

/*
 * Who attacks
 */

static void *attack(void *attacker)
{
    attack_run(attacker);
    return NULL;
}

/* Each attacker has got to do something, and each of the others a good number of rounds. */
static bool is_enough(const Attacker *attackers, const Good *good)
{
    for (unsigned i = 0; i < N_ATTACKS; i++) {
        if (g_atomic_int_get(&attackers[i].n) == 0)
            return false;
    }
    for (unsigned i = 0; i < N_GOOD; i++) {
        if (g_atomic_int_get(&good[i].n) < LEAST_ROUNDS)
            return false;
    }
    return true;
}

static void test_attack(Fixture *fixture, const void *data)
{
    Attacker attackers[N_ATTACKS];
    pthread_t threads[N_ATTACKS];
    Good good[N_GOOD];
    gint stop_attack = 0, stop = 0;

    (void)data;
    put_files(fixture);
    for (uint32_t domid = 4; domid < FIRST_GOOD + N_GOOD; domid++)
        standin_domain_create(domid);
    for (unsigned i = 0; i < N_GOOD; i++)
        good_start(&good[i], fixture, FIRST_GOOD + i, &stop);
    for (unsigned i = 0; i < N_ATTACKS; i++) {
        attackers[i] = (Attacker){.kind = i, .stop = &stop_attack};
        attackers[i].device = attack_device(i, 1 + i, fixture->export);
        g_assert_cmpint(pthread_create(&threads[i], NULL, attack, &attackers[i]), ==, 0);
    }
    while (!is_enough(attackers, good))
        g_usleep(10000);
    g_atomic_int_set(&stop_attack, 1);
    for (unsigned i = 0; i < N_ATTACKS; i++)
        pthread_join(threads[i], NULL);
    expect_workers(fixture, N_GOOD);
    g_atomic_int_set(&stop, 1);
    for (unsigned i = 0; i < N_GOOD; i++) {
        pthread_join(good[i].thread, NULL);
        guest_end(good[i].guest);
    }
    expect_workers(fixture, 0);
    g_assert_cmpuint(count_log(fixture, "killed by signal"), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/attack/others-lose-nothing", test_attack);
    return g_test_run();
}
