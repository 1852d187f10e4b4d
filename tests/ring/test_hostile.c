/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile frontends, by chance: each round connects a device in an odd way, does a number of wrong things
 * to its rings and its xenstore nodes while the worker reads them, and goes away in the middle of it.
 *
 * What must hold: a well-behaved device beside it is served all the time, the supervisor lives, no process
 * ends by a signal or with a sanitizer's report, and nothing is left of the device.
 *
 * `--seed` of an earlier run does the same things again, as far as timing lets it.
 */
#include <pthread.h>
#include <string.h>

#include "tests/daemon/fixture.h"
#include "tests/fuzz/fuzz.h"

enum {
    HOSTILE = 1, /* domains */
    GOOD = 2,
    ROUNDS = 40,
    MANY_ROUNDS = 2000, /* with -m slow */
    MAX_STEPS = 60,
    LEFT_MS = 20000,
};

typedef struct Attack {
    Slot *slot;
    pthread_t scribbler;
    gint stop; /* atomic */
} Attack;

static uint32_t chance(uint32_t n)
{
    return (uint32_t)g_test_rand_int_range(0, (gint32)n);
}

static uint32_t any_number(void)
{
    return (uint32_t)g_test_rand_int();
}

static FrontendRing *some_ring(Attack *a)
{
    return &a->slot->frontend->rings[chance(a->slot->frontend->n_rings)];
}

/*
 * Steps. Each is one wrong or right thing to do.
 */

static void put_bytes(FrontendRing *ring, const void *bytes, uint32_t size)
{
    if (size <= ring_out_free(ring))
        ring_write(ring, bytes, size);
}

static void send_message(Attack *a)
{
    g_autoptr(GByteArray) message = g_byte_array_new();
    uint8_t decisions[200];
    FuzzInput input = {decisions, sizeof(decisions)};
    FrontendRing *ring = some_ring(a);

    for (size_t i = 0; i < sizeof(decisions); i++)
        decisions[i] = (uint8_t)any_number();
    fuzz_message(&input, message);
    put_bytes(ring, message->data, message->len);
    ring_publish(ring);
}

static void send_version(Attack *a)
{
    FrontendRing *ring = some_ring(a);
    g_autoptr(GByteArray) message =
        p9_tversion((uint16_t)chance(3), 4096 + chance(70000), chance(4) ? "9P2000.L" : "9P2000.u");

    put_bytes(ring, message->data, message->len);
    ring_publish(ring);
}

/* A header whose size is wrong, and whatever follows. */
static void send_bad_size(Attack *a)
{
    const uint32_t sizes[] = {0, 1, 6, 7, 8, any_number(), 0xffffffff, 0x80000000, 70000, 4097};
    uint32_t header[2] = {sizes[chance(G_N_ELEMENTS(sizes))], any_number()};
    FrontendRing *ring = some_ring(a);

    put_bytes(ring, header, sizeof(header));
    ring_publish(ring);
}

static void send_garbage(Attack *a)
{
    uint8_t bytes[300];
    FrontendRing *ring = some_ring(a);

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)any_number();
    put_bytes(ring, bytes, 1 + chance(sizeof(bytes) - 1));
    ring_publish(ring);
}

/* Publishes less than was written: the rest may come with a later step. */
static void publish_half(Attack *a)
{
    g_autoptr(GByteArray) message = p9_tgetattr((uint16_t)chance(8), chance(4), 0x17ff);
    FrontendRing *ring = some_ring(a);

    put_bytes(ring, message->data, message->len);
    ring_set(&ring->intf->out_prod, ring->out_prod - chance(message->len));
    frontend_notify(a->slot->frontend, ring);
}

static void spoil_index(Attack *a)
{
    FrontendRing *ring = some_ring(a);
    uint32_t *indices[] = {&ring->intf->out_prod, &ring->intf->out_cons, &ring->intf->in_prod,
                           &ring->intf->in_cons};
    uint32_t *index = indices[chance(G_N_ELEMENTS(indices))];

    ring_set(index, chance(2) ? any_number() : ring_get(index) + chance(3 * ring->size) - ring->size);
}

static void spoil_interface(Attack *a)
{
    FrontendRing *ring = some_ring(a);

    ring_set((uint32_t *)&ring->intf->ring_order, any_number());
    ring_set(&ring->intf->ref[chance(4)], any_number());
}

static void flood_events(Attack *a)
{
    for (unsigned i = chance(500); i > 0; i--)
        frontend_notify(a->slot->frontend, some_ring(a));
}

static void consume_replies(Attack *a)
{
    FrontendRing *ring = some_ring(a);

    ring_set(&ring->intf->in_cons, ring_get(&ring->intf->in_prod));
    frontend_notify(a->slot->frontend, ring);
}

static void write_state(Attack *a)
{
    g_autofree char *state = g_strdup_printf("%u", chance(9));

    frontend_write(a->slot->frontend, "state", chance(4) ? state : "not a state \xff");
}

static void spoil_node(Attack *a)
{
    static const char *const names[] = {"num-rings",       "ring-ref0", "ring-ref1", "event-channel-0",
                                        "event-channel-1", "tag",       "version",   "backend-id",
                                        "backend"};
    static const char *const values[] = {NULL, "", "0", "1", "9", "4294967295", "-1", "text", "/local"};

    frontend_write(a->slot->frontend, names[chance(G_N_ELEMENTS(names))],
                   values[chance(G_N_ELEMENTS(values))]);
}

static void pause_a_little(Attack *a)
{
    (void)a;
    g_usleep(chance(3000));
}

typedef void Step(Attack *a);

/* The more often a step is listed, the more often it is taken. */
static Step *const steps[] = {
    send_message,  send_message,    send_message,    send_message, send_version,   send_bad_size, send_garbage,
    publish_half,  consume_replies, consume_replies, spoil_index,  spoil_interface, flood_events, write_state,
    spoil_node,    pause_a_little,  pause_a_little,
};

/*
 * A round
 */

/* Changes what is in the out rings all the time, also while it is read or written: a race on purpose,
 * of which ThreadSanitizer need not know. */
__attribute__((no_sanitize("thread"))) static void *scribble(void *data)
{
    Attack *a = data;
    uint32_t at = 1;

    while (!g_atomic_int_get(&a->stop)) {
        Frontend *frontend = a->slot->frontend;
        FrontendRing *ring = &frontend->rings[at % frontend->n_rings];

        at = at * 1664525 + 1013904223;
        __atomic_store_n(&ring->out[(at >> 8) & (ring->size - 1)], (uint8_t)at, __ATOMIC_RELAXED);
        if (at % 64 == 0)
            g_usleep(1);
    }
    return NULL;
}

/* So that what follows finds a session, and a fid. There may be nobody who answers: a port that was
 * spoilt is somebody else's. */
static void begin_session(Attack *a)
{
    frontend_send(a->slot->frontend, p9_tversion(P9_NOTAG, 4096, "9P2000.L"));
    frontend_send(a->slot->frontend, p9_tattach(0, 0, P9_NOFID, "", "", 0));
    g_free(frontend_wait(a->slot->frontend, 0, 200));
}

/* Mostly as it should be; then the device may have been connected. */
static void connect_somehow(Attack *a)
{
    slot_wait(a->slot, XenbusStateInitWait, LEFT_MS);
    a->slot->frontend->device.order = 1 + chance(3);
    slot_prepare(a->slot);
    while (chance(3) == 0)
        spoil_node(a);
    if (chance(8) == 0)
        spoil_interface(a);
    slot_set_frontend(a->slot, XenbusStateInitialised);
    if (chance(6) == 0 || !slot_wait(a->slot, XenbusStateConnected, 1000))
        return;
    slot_set_frontend(a->slot, XenbusStateConnected);
    if (chance(2) == 0)
        begin_session(a);
}

static void end_somehow(Attack *a, const Fixture *fixture)
{
    switch (chance(3)) {
    case 0:
        slot_ask_remove(a->slot);
        pause_a_little(a);
        break;
    case 1:
        slot_delete_frontend(a->slot);
        pause_a_little(a);
        break;
    default:
        break;
    }
    slot_delete(a->slot);
    slot_free(a->slot);
    expect_workers(fixture, 1);
    g_assert_cmpuint(standin_count_wait(STANDIN_MAPPED_PAGES, HOSTILE, 0), ==, 0);
}

static void attack(const Fixture *fixture, unsigned number)
{
    Attack a = {.slot = slot_new("xen_9pfs", HOSTILE, number)};
    bool scribbles = chance(2) == 0;

    slot_add(a.slot, fixture->export, "none");
    connect_somehow(&a);
    if (scribbles)
        pthread_create(&a.scribbler, NULL, scribble, &a);
    for (unsigned n = chance(MAX_STEPS); n > 0; n--) {
        steps[chance(G_N_ELEMENTS(steps))](&a);
        if (chance(3) == 0)
            frontend_notify(a.slot->frontend, some_ring(&a));
    }
    g_atomic_int_set(&a.stop, 1);
    if (scribbles)
        pthread_join(a.scribbler, NULL);
    end_somehow(&a, fixture);
}

/* A worker may end because its frontend broke the rules, but never so. */
static void expect_no_crash(const Fixture *fixture)
{
    static const char *const words[] = {"killed by signal", "Sanitizer", "runtime error", "Assertion", "CRITICAL"};
    g_autofree char *log = standin_daemon_log(fixture->daemon);

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strstr(log, words[i]))
            g_error("\"%s\" in the log:\n%s", words[i], log);
    }
}

static void test_hostile(Fixture *fixture, const void *data)
{
    Slot *good = connected_slot(fixture, GOOD, 0);

    (void)data;
    slot_open_file(good, "hello");
    for (unsigned i = 0; i < (g_test_slow() ? MANY_ROUNDS : ROUNDS); i++) {
        attack(fixture, i);
        slot_read_file(good, "hello");
        expect_no_crash(fixture);
    }
    slot_expect_history(good, "1 2 4");
    finish(fixture, good);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/hostile/by-chance", test_hostile);
    return g_test_run();
}
