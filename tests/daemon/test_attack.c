/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that attack (tests/frontend/attack.h), one of each kind at the same time, beside as many that
 * behave well: these lose no request. How long they wait is what `make check-attack` measures. And what
 * the daemon does so that a guest that gives it no work does not cost much either.
 */
#include "tests/daemon/fixture.h"
#include "tests/daemon/guest.h"
#include "tests/frontend/attack.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    N_GOOD = N_ATTACKS,
    FIRST_GOOD = N_ATTACKS + 1, /* domains; those before attack */
    LEAST_ROUNDS = 50,
    FILE_FID = 1,
    OWN_FID = 2,
    BLOCK = 4096,
    WATCH_MS = 1000, /* how long to look at what costs little */
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

/*
 * What costs little
 */

/* A slot whose worker has served it, and its process. */
static Slot *served_slot(const Fixture *fixture, pid_t *worker)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    check_serves(slot);
    *worker = last_worker(fixture, slot);
    return slot;
}

/* Of events that bring nothing a worker takes 6,400 a second at first, and soon a tenth of that. */
static void test_storm(Fixture *fixture, const void *data)
{
    pid_t worker;
    Slot *slot = served_slot(fixture, &worker);
    FrontendRing *ring = &slot->frontend->rings[0];
    uint32_t port = standin_port_peer(ring->port);
    uint64_t before = standin_port_counters(port).delivered;
    uint64_t delivered;
    gint64 start = g_get_monotonic_time();
    gint64 elapsed_ms;

    (void)data;
    do {
        frontend_notify(slot->frontend, ring);
        elapsed_ms = (g_get_monotonic_time() - start) / 1000;
    } while (elapsed_ms < WATCH_MS);
    delivered = standin_port_counters(port).delivered - before;
    g_test_message("%u events in %u ms", (unsigned)delivered, (unsigned)elapsed_ms);
    g_assert_cmpuint(delivered, <, (uint64_t)elapsed_ms * 64 / 10 / 3);
    slot_read_file(slot, "hello");
    finish(fixture, slot);
}

/* How often the process has gone to sleep. */
static unsigned count_sleeps(pid_t pid)
{
    static const char key[] = "\nvoluntary_ctxt_switches:";
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, key));
    return (unsigned)strtoul(strstr(text, key) + strlen(key), NULL, 10);
}

/* Replies wait for room in a ring that nobody empties. The worker looks, but less and less often. */
static void test_full_ring(Fixture *fixture, const void *data)
{
    enum { N = 8, SIZE = 1000 };
    g_autofree char *path = g_build_filename(fixture->export, "large", NULL);
    g_autofree char *content = g_strnfill(SIZE, 'x');
    pid_t worker;
    Slot *slot = served_slot(fixture, &worker);
    FrontendRing *ring = &slot->frontend->rings[0];
    gint64 start;
    unsigned before;

    (void)data;
    g_assert_true(g_file_set_contents(path, content, SIZE, NULL));
    slot_open_file(slot, "large");
    for (uint16_t i = 0; i < N; i++)
        g_assert_true(frontend_send_on(slot->frontend, 0, p9_tread(i, 2, 0, SIZE)));
    while (ring_in_used(ring) + SIZE <= ring->size)
        g_usleep(1000);
    before = count_sleeps(worker);
    start = g_get_monotonic_time();
    g_usleep(WATCH_MS * 1000);
    g_assert_cmpint(count_sleeps(worker) - before, <, (g_get_monotonic_time() - start) / 1000 / 5);
    for (uint16_t i = 0; i < N; i++) {
        g_autoptr(P9Reply) reply = frontend_wait(slot->frontend, i, FRONTEND_TIMEOUT_MS);

        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, P9_TREAD + 1);
    }
    finish(fixture, slot);
}

/* struct sched_attr as far as this needs it. */
typedef struct Attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
} Attributes;

static Attributes scheduling_of(pid_t pid)
{
    Attributes attributes = {.size = sizeof(attributes)};

    g_assert_no_errno((int)syscall(SYS_sched_getattr, pid, &attributes, sizeof(attributes), 0));
    return attributes;
}

/* Workers ask for shorter turns than others have, and for nothing else. */
static void test_turns(Fixture *fixture, const void *data)
{
    Attributes own = scheduling_of(0), attributes;
    pid_t worker;
    Slot *slot = served_slot(fixture, &worker);

    (void)data;
    attributes = scheduling_of(worker);
    g_assert_cmpuint(attributes.policy, ==, own.policy);
    g_assert_cmpint(attributes.nice, ==, own.nice);
    if (own.runtime == 0) /* before Linux 6.12 it is not told */
        g_test_skip("this kernel has no turns of different lengths");
    else
        g_assert_cmpuint(attributes.runtime, <, own.runtime);
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/attack/others-lose-nothing", test_attack);
    FIXTURE_TEST("/attack/storm", test_storm);
    FIXTURE_TEST("/attack/full-ring", test_full_ring);
    FIXTURE_TEST("/attack/turns", test_turns);
    return g_test_run();
}
