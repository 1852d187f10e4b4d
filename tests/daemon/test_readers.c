/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frontend that keeps both rings full: the worker lends one of them to a second thread. Whatever
 * thread takes a request, it gets its reply and no other, and what concerns both rings holds.
 *
 * Each burst is so many requests that the worker has several turns in which both rings have some,
 * however slow or fast it is.
 */
#include "tests/daemon/fixture.h"

#include <sched.h>

enum {
    DOMID = 1,
    ROOT = 0, /* fids */
    FILE_FID = 1,
    PER_RING = 512, /* requests in a burst */
    BURST = 2 * PER_RING,
    ROUNDS = 5,
    COUNT = 1000,  /* bytes of a read, */
    MISSING = 300, /* and how many of them the last one does not find */
};

typedef struct Readers {
    Fixture base;
    Slot *slot;
} Readers;

static void make_file(const Readers *r)
{
    g_autofree char *path = g_build_filename(r->base.export, "numbers", NULL);
    g_autofree uint32_t *numbers = g_new(uint32_t, BURST * COUNT / sizeof(uint32_t));

    for (uint32_t i = 0; i < BURST * COUNT / sizeof(uint32_t); i++)
        numbers[i] = i;
    g_assert_true(g_file_set_contents(path, (const char *)numbers, BURST * COUNT - MISSING, NULL));
}

/* Two rings as large as Linux has them. */
static void set_up(Readers *r, const void *data)
{
    (void)data;
    fixture_set_up(&r->base, NULL);
    make_file(r);
    r->slot = slot_new("xen_9pfs", DOMID, 0);
    frontend_free(r->slot->frontend);
    r->slot->device.order = 9;
    r->slot->device.msize = 512 * 1024;
    r->slot->frontend = frontend_new(&r->slot->device);
    slot_add(r->slot, r->base.export, "none");
    slot_expect(r->slot, XenbusStateInitWait);
    slot_offer(r->slot);
    slot_expect(r->slot, XenbusStateConnected);
    slot_set_frontend(r->slot, XenbusStateConnected);
    slot_open_file(r->slot, "numbers"); /* the session begins */
    g_assert_cmpint(frontend_version(r->slot->frontend), ==, 0);
    g_assert_cmpint(frontend_attach(r->slot->frontend, ROOT), ==, 0);
    g_assert_cmpint(frontend_call(r->slot->frontend, p9_twalk(0, ROOT, FILE_FID, "numbers"), NULL),
                    ==, 0);
    g_assert_cmpint(frontend_call(r->slot->frontend, p9_tlopen(0, FILE_FID, P9_L_RDONLY), NULL), ==,
                    0);
}

static void tear_down(Readers *r, const void *data)
{
    finish(&r->base, r->slot);
    fixture_tear_down(&r->base, data);
}

static void tear_down_forced(Readers *r, const void *data)
{
    finish_forced(&r->base, r->slot);
    fixture_tear_down(&r->base, data);
}

static GByteArray *getattr(uint16_t tag)
{
    return p9_tgetattr(tag, FILE_FID, 0x17ff);
}

static GByteArray *read_at_tag(uint16_t tag)
{
    return p9_tread(tag, FILE_FID, (uint64_t)tag * COUNT, COUNT);
}

/* Of the request with the tag before, which is on the other ring. */
static GByteArray *flush_neighbour(uint16_t tag)
{
    return p9_tflush(tag, tag - 1);
}

/* Writes a request for each tag, and publishes none yet: `even` for those of the first ring, `odd` for the
 * others. */
static void write_burst(Readers *r, GByteArray *(*even)(uint16_t tag),
                        GByteArray *(*odd)(uint16_t tag))
{
    for (uint16_t tag = 0; tag < BURST; tag++) {
        g_autoptr(GByteArray) message = tag % 2 ? odd(tag) : even(tag);

        ring_write(frontend_ring(r->slot->frontend, tag), message->data, message->len);
    }
}

static void publish_burst(Readers *r)
{
    Frontend *frontend = r->slot->frontend;

    for (unsigned i = 0; i < 2; i++)
        ring_publish(&frontend->rings[i]);
    for (unsigned i = 0; i < 2; i++)
        frontend_notify(frontend, &frontend->rings[i]);
}

static void send_burst(Readers *r, GByteArray *(*even)(uint16_t tag),
                       GByteArray *(*odd)(uint16_t tag))
{
    write_burst(r, even, odd);
    publish_burst(r);
}

static P9Reply *next_reply(Readers *r)
{
    P9Reply *reply = frontend_wait_any(r->slot->frontend, FRONTEND_TIMEOUT_MS);

    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->tag, <, BURST);
    return reply;
}

static void check_read(const P9Reply *reply)
{
    uint32_t count, first;
    const uint8_t *data;

    g_assert_cmpuint(reply->type, ==, P9_TREAD + 1);
    g_assert_cmpuint(reply->ring, ==, reply->tag % 2);
    g_assert_true(p9_parse(reply, "D", &count, &data));
    g_assert_cmpuint(count, ==, reply->tag == BURST - 1 ? COUNT - MISSING : COUNT);
    memcpy(&first, data, sizeof(first));
    g_assert_cmpuint(first, ==, reply->tag * COUNT / sizeof(uint32_t));
}

static bool has_processors(void)
{
    cpu_set_t set;

    g_assert_no_errno(sched_getaffinity(0, sizeof(set), &set));
    return CPU_COUNT(&set) > 1;
}

/* What all these ask for needs no thread of the pool. */
static void test_second_thread(Readers *r, const void *data)
{
    pid_t worker = last_worker(&r->base, r->slot);
    unsigned before = count_threads(worker);

    (void)data;
    for (unsigned round = 0; round < ROUNDS; round++) {
        send_burst(r, getattr, getattr);
        for (unsigned i = 0; i < BURST; i++) {
            g_autoptr(P9Reply) reply = next_reply(r);

            g_assert_cmpuint(reply->type, ==, P9_TGETATTR + 1);
            g_assert_cmpuint(reply->ring, ==, reply->tag % 2);
        }
    }
    g_assert_cmpuint(count_threads(worker), >=, before + has_processors()); /* TSan has its own */
}

static void test_reads(Readers *r, const void *data)
{
    (void)data;
    for (unsigned round = 0; round < ROUNDS; round++) {
        g_autofree bool *seen = g_new0(bool, BURST);

        send_burst(r, read_at_tag, read_at_tag);
        for (unsigned i = 0; i < BURST; i++) {
            g_autoptr(P9Reply) reply = next_reply(r);

            check_read(reply);
            g_assert_false(seen[reply->tag]);
            seen[reply->tag] = true;
        }
    }
}

/* Takes what has come on the ring of the reads. */
static void drain_reads(Readers *r, bool *answered)
{
    FrontendRing *ring = &r->slot->frontend->rings[0];

    while (ring_has_reply(ring)) {
        g_autoptr(P9Reply) reply = ring_receive(r->slot->frontend, ring, FRONTEND_TIMEOUT_MS);

        check_read(reply);
        g_assert_false(answered[reply->tag]);
        answered[reply->tag] = true;
    }
}

/* Each Tflush is answered, and behind it no reply to the request that it was for. */
static void test_flushes(Readers *r, const void *data)
{
    FrontendRing *flushes = &r->slot->frontend->rings[1];

    (void)data;
    for (unsigned round = 0; round < ROUNDS; round++) {
        g_autofree bool *answered = g_new0(bool, BURST);

        send_burst(r, read_at_tag, flush_neighbour);
        for (unsigned i = 0; i < PER_RING; i++) {
            g_autoptr(P9Reply) reply =
                ring_receive(r->slot->frontend, flushes, FRONTEND_TIMEOUT_MS);

            g_assert_nonnull(reply);
            g_assert_cmpuint(reply->type, ==, P9_TFLUSH + 1);
            drain_reads(r, answered);
            answered[reply->tag - 1] = true; /* or never will be */
        }
        drain_reads(r, answered);
    }
}

/* A conversation that begins anew while requests of the one before are in the hands of both threads. */
static void test_version(Readers *r, const void *data)
{
    Frontend *frontend = r->slot->frontend;

    (void)data;
    for (unsigned round = 0; round < ROUNDS; round++) {
        g_autoptr(P9Reply) reply = NULL;

        send_burst(r, read_at_tag, read_at_tag);
        g_assert_true(
            frontend_send_on(frontend, round % 2, p9_tversion(P9_NOTAG, 512 * 1024, "9P2000.L")));
        reply = frontend_wait(frontend, P9_NOTAG, FRONTEND_TIMEOUT_MS);
        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, P9_TVERSION + 1);
        while (!g_queue_is_empty(&frontend->replies))
            g_free(g_queue_pop_head(&frontend->replies));
        for (unsigned i = 0; i < 2; i++) {
            while (ring_has_reply(&frontend->rings[i]))
                g_free(ring_receive(frontend, &frontend->rings[i], FRONTEND_TIMEOUT_MS));
        }
        g_assert_cmpint(frontend_attach(frontend, ROOT), ==, 0);
        g_assert_cmpint(frontend_call(frontend, p9_twalk(0, ROOT, FILE_FID, "numbers"), NULL), ==,
                        0);
        g_assert_cmpint(frontend_call(frontend, p9_tlopen(0, FILE_FID, P9_L_RDONLY), NULL), ==, 0);
    }
}

static bool is_closing(const Readers *r)
{
    enum xenbus_state state = toolstack_backend_state(&r->slot->device);

    return state == XenbusStateClosing || state == XenbusStateClosed;
}

/* The ring is broken when the second thread has it, and goes on changing. */
static void test_broken(Readers *r, const void *data)
{
    FrontendRing *ring = &r->slot->frontend->rings[1];
    gint64 end = g_get_monotonic_time() + FRONTEND_TIMEOUT_MS * 1000;
    const uint32_t header[2] = {3, 0}; /* a size smaller than a header */

    (void)data;
    write_burst(r, getattr, getattr);
    ring_write(ring, (const uint8_t *)header, sizeof(header));
    publish_burst(r);
    while (!is_closing(r) && g_get_monotonic_time() < end) {
        ring_set(&ring->intf->out_prod, ++ring->out_prod);
        g_usleep(1000);
    }
    g_assert_true(is_closing(r));
    expect_log(&r->base, "ring 1: a message is smaller than its header");
}

#define READERS_TEST(name, function) g_test_add(name, Readers, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    READERS_TEST("/readers/second-thread", test_second_thread);
    READERS_TEST("/readers/reads", test_reads);
    READERS_TEST("/readers/flushes", test_flushes);
    READERS_TEST("/readers/version", test_version);
    g_test_add("/readers/broken", Readers, NULL, set_up, test_broken, tear_down_forced);
    return g_test_run();
}
