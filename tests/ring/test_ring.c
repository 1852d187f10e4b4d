/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of the ring transport, each with a test that fails when the rule is broken. The
 * unmodified daemon runs in the hypervisor stand-in; the frontend library plays guests.
 *
 * Where a request has to stay unanswered for a while, it is a Tlopen of a file on which this
 * process holds a lease: the kernel lets the daemon wait until the lease is given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/frontend/frontend.h"
#include "tests/standin/standin.h"

enum {
    DOMID = 1,
    OTHER_DOMID = 2,
    ROOT = 0,       /* fid of the attached root */
    QUIET_MS = 200, /* how long to look for something that must not come */
};

typedef struct Fixture {
    StandinDaemon *daemon;
    char *export;
    FrontendDevice device;
    Frontend *frontend;
} Fixture;

static char *export_file(const Fixture *f, const char *name)
{
    return g_build_filename(f->export, name, NULL);
}

static void make_file(const Fixture *f, const char *name, const char *content, gssize size)
{
    g_autofree char *path = export_file(f, name);

    g_assert_true(g_file_set_contents(path, content, size, NULL));
}

static void set_up_base(Fixture *f)
{
    standin_start();
    f->export = g_build_filename(standin_dir(), "export", NULL);
    g_assert_cmpint(g_mkdir(f->export, 0755), ==, 0);
    make_file(f, "hello", "hello, world", -1);
    standin_domain_create(DOMID);
    standin_domain_create(OTHER_DOMID);
    f->daemon = standin_daemon_start(NULL);
}

static Frontend *connect_device(const FrontendDevice *device)
{
    Frontend *frontend;

    g_assert_true(toolstack_add_wait(device));
    frontend = frontend_new(device);
    g_assert_true(frontend_connect(frontend));
    g_assert_cmpint(frontend_version(frontend), ==, 0);
    g_assert_cmpint(frontend_attach(frontend, ROOT), ==, 0);
    return frontend;
}

/* Connects as Linux does, or as `data` says. */
static void set_up(Fixture *f, const void *data)
{
    const FrontendDevice *like = data;

    set_up_base(f);
    f->device = frontend_linux(DOMID, f->export);
    if (like) {
        f->device = *like;
        f->device.path = f->export;
    }
    f->frontend = connect_device(&f->device);
}

static void tear_down(Fixture *f, const void *data)
{
    (void)data;
    frontend_remove(f->frontend);
    frontend_free(f->frontend);
    g_assert_cmpint(standin_daemon_stop(f->daemon), ==, 0);
    g_assert_cmpuint(standin_count_wait(STANDIN_MAPPED_PAGES, DOMID, 0), ==, 0);
    g_free(f->export);
    standin_stop();
}

static void expect_alive(Frontend *frontend)
{
    g_assert_cmpint(frontend_call(frontend, p9_tgetattr(30, ROOT, P9_GETATTR_BASIC), "*"), ==, 0);
}

static void expect_log(const Fixture *f, const char *text)
{
    g_autofree char *log = NULL;

    if (standin_daemon_wait_log(f->daemon, text, FRONTEND_TIMEOUT_MS))
        return;
    log = standin_daemon_log(f->daemon);
    g_error("not in the log: %s\n%s", text, log);
}

/* A file that cannot be opened for as long as this process wants. */
static int hold_lease(const Fixture *f, const char *name)
{
    g_autofree char *path = export_file(f, name);
    int fd = open(path, O_RDWR | O_CREAT, 0644);

    g_assert_cmpint(fd, >=, 0);
    signal(SIGIO, SIG_IGN);
    g_assert_cmpint(fcntl(fd, F_SETLEASE, F_WRLCK), ==, 0);
    return fd;
}

/* True when somebody waits in open() for a lease of this process: in /proc/locks a line of the same
 * number as the lease's own then follows it, marked by an arrow. */
static bool lease_is_awaited(void)
{
    g_autofree char *locks = NULL;
    g_autofree char *pattern =
        g_strdup_printf("^(\\d+): LEASE +BREAKING +\\w+ +%d .*\n\\1: ->", (int)getpid());

    g_assert_true(g_file_get_contents("/proc/locks", &locks, NULL, NULL));
    return g_regex_match_simple(pattern, locks, G_REGEX_MULTILINE, 0);
}

static void wait_for_blocked_open(void)
{
    for (int i = 0; i < 10000 && !lease_is_awaited(); i++)
        g_usleep(1000);
    g_assert_true(lease_is_awaited());
}

static void walk(Frontend *frontend, uint32_t newfid, const char *name)
{
    g_assert_cmpint(frontend_call(frontend, p9_twalk(31, ROOT, newfid, name), "*"), ==, 0);
}

static void expect_reply(Frontend *frontend, uint16_t tag, uint8_t type)
{
    g_autoptr(P9Reply) reply = frontend_wait(frontend, tag, FRONTEND_TIMEOUT_MS);

    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->type, ==, type);
}

static void expect_no_reply(Frontend *frontend, uint16_t tag)
{
    g_assert_null(frontend_wait(frontend, tag, QUIET_MS));
}

static void expect_bytes(const void *got, size_t n_got, const void *expected, size_t n_expected)
{
    g_assert_cmpuint(n_got, ==, n_expected);
    g_assert_true(memcmp(got, expected, n_expected) == 0);
}

/* Rule: half-published requests wait for their rest, and nothing else waits for them. */
static void test_half_published(Fixture *f, const void *data)
{
    FrontendRing *ring = &f->frontend->rings[0];
    g_autoptr(GByteArray) request = p9_tgetattr(4, ROOT, P9_GETATTR_BASIC);
    const unsigned parts[] = {3, 7, 12, 18, request->len};
    unsigned sent = 0;

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_assert_null(frontend_wait(f->frontend, 4, 20));
        ring_write(ring, request->data + sent, parts[i] - sent);
        ring_publish(ring);
        frontend_notify(f->frontend, ring);
        sent = parts[i];
        /* the other ring, on which odd tags go */
        g_assert_cmpint(frontend_call(f->frontend, p9_tgetattr(5, ROOT, 1), "*"), ==, 0);
    }
    expect_reply(f->frontend, 4, P9_TGETATTR + 1);
    expect_alive(f->frontend);
}

/* Rule: out-ring space is free as soon as a request is taken, long before its reply. */
static void test_space_released_before_reply(Fixture *f, const void *data)
{
    FrontendRing *ring = &f->frontend->rings[0];
    int lease = hold_lease(f, "leased");

    (void)data;
    walk(f->frontend, 1, "leased");
    frontend_send(f->frontend, p9_tlopen(2, 1, 0));
    for (int i = 0; i < FRONTEND_TIMEOUT_MS && ring_out_free(ring) < ring->size; i++)
        g_usleep(1000);
    g_assert_cmpuint(ring_out_free(ring), ==, ring->size);
    /* requests on the same ring are not held up */
    for (int i = 0; i < 20; i++)
        expect_alive(f->frontend);
    expect_no_reply(f->frontend, 2);
    close(lease);
    expect_reply(f->frontend, 2, P9_TLOPEN + 1);
}

/* Rule: a frontend that may be waiting for space is told that there is some, without a reply. */
static void test_space_is_announced(Fixture *f, const void *data)
{
    FrontendRing *ring = &f->frontend->rings[0];
    int lease = hold_lease(f, "leased");
    unsigned events;

    (void)data;
    walk(f->frontend, 1, "leased");
    frontend_take_events(f->frontend);
    events = ring->events;
    frontend_send(f->frontend, p9_tlopen(2, 1, 0));
    while (ring->events == events && frontend_wait_event(f->frontend, FRONTEND_TIMEOUT_MS))
        continue;
    g_assert_cmpuint(ring->events, >, events);
    g_assert_cmpuint(ring_in_used(ring), ==, 0);
    close(lease);
    expect_reply(f->frontend, 2, P9_TLOPEN + 1);
}

/* Rule: messages as large as the half ring go both ways; full is not empty. */
static void test_full_ring(Fixture *f, const void *data)
{
    uint32_t ring_size = f->frontend->rings[0].size;
    uint32_t write_size = ring_size - 23;
    uint32_t read_size = ring_size - 11;
    g_autofree uint8_t *bytes = g_malloc(ring_size);
    const uint8_t *got;
    uint32_t n;

    (void)data;
    g_assert_cmpuint(f->frontend->msize, ==, ring_size);
    for (uint32_t i = 0; i < ring_size; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    walk(f->frontend, 1, NULL);
    g_assert_cmpint(frontend_call(f->frontend, p9_tlcreate(2, 1, "big", 2, 0644, 0), "*"), ==, 0);
    for (int round = 0; round < 5; round++) {
        g_assert_cmpint(frontend_call(f->frontend, p9_twrite(2, 1, 0, write_size, bytes), "d", &n),
                        ==, 0);
        g_assert_cmpuint(n, ==, write_size);
        g_assert_cmpint(frontend_call(f->frontend, p9_twrite(2, 1, write_size, 12, bytes), "d", &n),
                        ==, 0);
        g_assert_cmpint(frontend_call(f->frontend, p9_tread(2, 1, 0, read_size), "D", &n, &got), ==,
                        0);
        g_assert_cmpuint(n, ==, read_size);
        expect_bytes(got, write_size, bytes, write_size);
    }
}

static GByteArray *mixed_request(unsigned i, uint16_t tag)
{
    switch (i % 4) {
    case 0:
        return p9_tgetattr(tag, ROOT, P9_GETATTR_BASIC);
    case 1:
        return p9_treaddir(tag, 2, 0, 2000);
    case 2:
        return p9_tread(tag, 1, 0, 3000);
    default:
        return p9_twalk(tag, ROOT, 100 + tag, "hello");
    }
}

/* Rule: replies wait for room, each on its ring, however many; nothing is lost or torn, and the
 * other ring goes on. */
static void test_replies_wait_for_room(Fixture *f, const void *data)
{
    enum { N = 120 };
    static const uint8_t types[] = {P9_TGETATTR, P9_TREADDIR, P9_TREAD, P9_TWALK};
    FrontendRing *ring = &f->frontend->rings[0];
    g_autofree char *content = g_strnfill(3000, 'x');

    (void)data;
    make_file(f, "big", content, 3000);
    walk(f->frontend, 1, "big");
    walk(f->frontend, 2, NULL);
    g_assert_cmpint(frontend_call(f->frontend, p9_tlopen(1, 1, 0), "*"), ==, 0);
    g_assert_cmpint(frontend_call(f->frontend, p9_tlopen(1, 2, 0), "*"), ==, 0);
    for (unsigned i = 0; i < N; i++)
        g_assert_true(frontend_send_on(f->frontend, 0, mixed_request(i, (uint16_t)(2 * i))));
    for (unsigned i = 0; i < FRONTEND_TIMEOUT_MS && ring_in_used(ring) <= ring->size / 2; i++)
        g_usleep(1000);
    /* more was asked for than the ring holds, and nobody has looked yet */
    g_assert_cmpuint(ring_in_used(ring), <=, ring->size);
    g_assert_cmpuint(ring_in_used(ring), >, ring->size / 2);
    for (unsigned i = 0; i < N; i++) {
        g_autoptr(P9Reply) reply =
            frontend_wait(f->frontend, (uint16_t)(2 * i), FRONTEND_TIMEOUT_MS);
        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->ring, ==, 0);
        g_assert_cmpuint(reply->type, ==, types[i % 4] + 1);
        if (reply->type == P9_TREAD + 1)
            expect_bytes(reply->bytes + 11, 3000, content, 3000);
    }
    g_assert_cmpuint(ring->partial, ==, 0);
    expect_alive(f->frontend);
}

/* Rule: a ring whose replies nobody takes does not stop the other one. */
static void test_stalled_ring_stops_no_other(Fixture *f, const void *data)
{
    FrontendRing *other = &f->frontend->rings[1];

    (void)data;
    walk(f->frontend, 1, NULL);
    g_assert_cmpint(frontend_call(f->frontend, p9_tlopen(1, 1, 0), "*"), ==, 0);
    for (uint16_t i = 0; i < 200; i++)
        g_assert_true(frontend_send_on(f->frontend, 0, p9_treaddir((uint16_t)(2 * i), 1, 0, 2000)));
    for (uint16_t i = 0; i < 50; i++) {
        g_autoptr(P9Reply) reply = NULL;
        g_autoptr(GByteArray) request = p9_tgetattr(1001, ROOT, P9_GETATTR_BASIC);
        g_assert_true(ring_send(f->frontend, other, request, FRONTEND_TIMEOUT_MS));
        reply = ring_receive(f->frontend, other, FRONTEND_TIMEOUT_MS);
        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->tag, ==, 1001);
    }
    for (uint16_t i = 0; i < 200; i++)
        expect_reply(f->frontend, (uint16_t)(2 * i), P9_TREADDIR + 1);
}

/* Rule: requests for much data, which wait in the ring for room for their replies, are taken all the same when
 * the frontend makes none, and what is behind them with them. */
static void test_large_reads_do_not_wait_for_ever(Fixture *f, const void *data)
{
    enum { N = 12, SIZE = 500 * 1024, STEP = 4099 };
    FrontendRing *ring = &f->frontend->rings[0];
    g_autofree char *content = g_malloc(SIZE + N * STEP);

    (void)data;
    for (int i = 0; i < SIZE + N * STEP; i++)
        content[i] = (char)(i * 7 + i / 251);
    make_file(f, "big", content, SIZE + N * STEP);
    walk(f->frontend, 1, "big");
    g_assert_cmpint(frontend_call(f->frontend, p9_tlopen(1, 1, 0), "*"), ==, 0);
    for (uint16_t i = 0; i < N; i++)
        g_assert_true(
            frontend_send_on(f->frontend, 0, p9_tread((uint16_t)(2 * i), 1, i * STEP, SIZE)));
    g_assert_true(frontend_send_on(f->frontend, 0, p9_tgetattr(2 * N, ROOT, P9_GETATTR_BASIC)));
    for (int i = 0; i < FRONTEND_TIMEOUT_MS && ring_out_free(ring) < ring->size; i++)
        g_usleep(1000);
    g_assert_cmpuint(ring_out_free(ring), ==, ring->size);
    for (uint16_t i = 0; i < N; i++) {
        g_autoptr(P9Reply) reply =
            frontend_wait(f->frontend, (uint16_t)(2 * i), FRONTEND_TIMEOUT_MS);
        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, P9_TREAD + 1);
        expect_bytes(reply->bytes + 11, SIZE, (uint8_t *)content + i * STEP, SIZE);
    }
    expect_reply(f->frontend, 2 * N, P9_TGETATTR + 1);
    g_assert_cmpuint(ring->partial, ==, 0);
}

/* Rule: a reply goes back on the ring that its request came on, whatever its tag. */
static void test_ring_of_arrival(Fixture *f, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 40; i++) {
        unsigned ring = (i / 3) % f->frontend->n_rings;
        uint16_t tag = (uint16_t)(i * 1021);
        g_autoptr(P9Reply) reply = NULL;

        g_assert_true(frontend_send_on(f->frontend, ring, p9_tgetattr(tag, ROOT, 1)));
        reply = frontend_wait(f->frontend, tag, FRONTEND_TIMEOUT_MS);
        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->ring, ==, ring);
    }
}

/* Rule: indices wrap at 2^32 and messages wrap at the ring's end. */
static void test_wrap_around(Fixture *f, const void *data)
{
    g_autofree uint8_t *bytes = g_malloc0(3000);
    const uint8_t *got;
    uint32_t n;

    (void)data;
    walk(f->frontend, 1, NULL);
    g_assert_cmpint(frontend_call(f->frontend, p9_tlcreate(2, 1, "wrap", 2, 0644, 0), "*"), ==, 0);
    for (unsigned i = 0; i < 200; i++) {
        uint32_t size = 1 + i * 13;
        memset(bytes, (int)i, size);
        g_assert_cmpint(
            frontend_call(f->frontend, p9_twrite((uint16_t)i, 1, 0, size, bytes), "d", &n), ==, 0);
        g_assert_cmpint(
            frontend_call(f->frontend, p9_tread((uint16_t)i, 1, 0, size), "D", &n, &got), ==, 0);
        expect_bytes(got, n, bytes, size);
    }
    g_assert_cmpuint(ring_get(&f->frontend->rings[0].intf->out_prod), <, 1u << 31);
}

/* A second guest, to see that it is not disturbed. */
static Frontend *connect_other(const Fixture *f, FrontendDevice *device)
{
    *device = frontend_linux(OTHER_DOMID, f->export);
    return connect_device(device);
}

static void break_out_prod(FrontendRing *ring)
{
    ring_set(&ring->intf->out_prod, ring->out_prod + ring->size + 1);
}

static void break_in_cons(FrontendRing *ring)
{
    g_autoptr(GByteArray) request = p9_tgetattr(6, ROOT, 1);

    ring_set(&ring->intf->in_cons, ring->in_cons + 5);
    ring_write(ring, request->data, request->len);
    ring_publish(ring);
}

static void write_size_field(FrontendRing *ring, uint32_t size)
{
    uint8_t message[7] = {(uint8_t)size,
                          (uint8_t)(size >> 8),
                          (uint8_t)(size >> 16),
                          (uint8_t)(size >> 24),
                          P9_TGETATTR,
                          1,
                          0};

    ring_write(ring, message, sizeof(message));
    ring_publish(ring);
}

static void break_size_zero(FrontendRing *ring)
{
    write_size_field(ring, 0);
}

static void break_size_six(FrontendRing *ring)
{
    write_size_field(ring, 6);
}

static void break_size_large(FrontendRing *ring)
{
    write_size_field(ring, ring->size + 1);
}

static void break_size_huge(FrontendRing *ring)
{
    write_size_field(ring, UINT32_MAX);
}

static const struct {
    const char *name;
    void (*harm)(FrontendRing *ring);
    const char *log;
} breakages[] = {
    {"out-prod", break_out_prod, "out_prod is further ahead"},
    {"in-cons", break_in_cons, "in_cons is not within"},
    {"size-zero", break_size_zero, "smaller than its header"},
    {"size-six", break_size_six, "smaller than its header"},
    {"size-large", break_size_large, "larger than the ring"},
    {"size-huge", break_size_huge, "larger than the ring"},
};

/* Rule: a broken protocol closes that device and nothing else. */
static void test_broken_protocol(gconstpointer data)
{
    unsigned which = GPOINTER_TO_UINT(data);
    FrontendDevice other_device;
    Fixture f = {0};
    Frontend *other;

    set_up(&f, NULL);
    other = connect_other(&f, &other_device);
    breakages[which].harm(&f.frontend->rings[0]);
    frontend_notify(f.frontend, &f.frontend->rings[0]);
    g_assert_true(toolstack_wait_state(&f.device, XenbusStateClosing, FRONTEND_TIMEOUT_MS) ||
                  toolstack_backend_state(&f.device) == XenbusStateClosed);
    expect_log(&f, breakages[which].log);
    expect_alive(other);
    g_assert_true(frontend_remove(other));
    frontend_free(other);
    tear_down(&f, NULL);
}

/* Rule: a message larger than msize, but not than the ring, is refused and skipped. */
static void test_larger_than_msize(Fixture *f, const void *data)
{
    uint32_t size = f->frontend->msize;
    g_autofree uint8_t *bytes = g_malloc0(size);

    (void)data;
    g_assert_cmpint(frontend_call(f->frontend, p9_twrite(2, ROOT, 0, size, bytes), "*"), ==,
                    EMSGSIZE);
    expect_alive(f->frontend);
}

/* Rule: events without requests cost the daemon little and lose nothing. */
static void test_event_storm(Fixture *f, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 20000; i++) {
        frontend_notify(f->frontend, &f->frontend->rings[i % 2]);
        if (i % 1000 == 0)
            expect_alive(f->frontend);
    }
    expect_alive(f->frontend);
}

/* Rule: many requests are in flight on each ring at once, and each gets its own reply. */
static void test_many_in_flight(Fixture *f, const void *data)
{
    enum { N = 1000, AT_ONCE = 100 };

    (void)data;
    for (unsigned start = 0; start < N; start += AT_ONCE) {
        for (unsigned i = 0; i < AT_ONCE; i++) {
            uint16_t tag = (uint16_t)(start + i);
            const char *name = i % 3 == 0 ? "missing" : "hello";
            g_assert_true(frontend_send(f->frontend, p9_twalk(tag, ROOT, 1000u + tag, name)));
        }
        for (unsigned i = 0; i < AT_ONCE; i++)
            expect_reply(f->frontend, (uint16_t)(start + i),
                         i % 3 == 0 ? P9_RLERROR : P9_TWALK + 1);
    }
}

/* Tflush on another ring than its target, which hangs in a system call: that is interrupted, the
 * target gets no reply, and its fid is what it was. */
static void test_flush_across_rings(Fixture *f, const void *data)
{
    int lease = hold_lease(f, "leased");

    (void)data;
    walk(f->frontend, 1, "leased");
    frontend_send_on(f->frontend, 0, p9_tlopen(2, 1, 0));
    wait_for_blocked_open();
    frontend_send_on(f->frontend, 1, p9_tflush(3, 2));
    expect_reply(f->frontend, 3, P9_TFLUSH + 1);
    close(lease);
    expect_no_reply(f->frontend, 2);
    frontend_send_on(f->frontend, 0, p9_tlopen(2, 1, 0));
    expect_reply(f->frontend, 2, P9_TLOPEN + 1);
}

/* Linux rings of the smallest order: every message may find the ring full. */
static FrontendDevice smallest = {
    .domid = DOMID,
    .kind = "xen_9pfs",
    .security_model = "none",
    .tag = "small",
    .n_rings = 2,
    .order = 1,
    .msize = 4096,
    .dialect = "9P2000.L",
};

int main(int argc, char **argv)
{
    FrontendDevice unikraft = frontend_unikraft(DOMID, NULL);
    FrontendDevice near_wrap = smallest;
    FrontendDevice eight_rings = smallest;

    g_test_init(&argc, &argv, NULL);
    near_wrap.first_index = UINT32_MAX - 5000;
    eight_rings.n_rings = 8;
    eight_rings.order = 3;
    eight_rings.msize = 16384;

#define ADD(name, device, function) \
    g_test_add("/ring/" name, Fixture, device, set_up, function, tear_down)
    ADD("half-published", NULL, test_half_published);
    ADD("space-released-before-reply", NULL, test_space_released_before_reply);
    ADD("space-is-announced", &smallest, test_space_is_announced);
    ADD("full/unikraft", &unikraft, test_full_ring);
    ADD("full/smallest", &smallest, test_full_ring);
    ADD("replies-wait/smallest", &smallest, test_replies_wait_for_room);
    ADD("replies-wait/near-wrap", &near_wrap, test_replies_wait_for_room);
    ADD("stalled-ring-stops-no-other", &smallest, test_stalled_ring_stops_no_other);
    ADD("large-reads-do-not-wait-for-ever", NULL, test_large_reads_do_not_wait_for_ever);
    ADD("ring-of-arrival/2", NULL, test_ring_of_arrival);
    ADD("ring-of-arrival/8", &eight_rings, test_ring_of_arrival);
    ADD("wrap-around", &near_wrap, test_wrap_around);
    ADD("larger-than-msize", NULL, test_larger_than_msize);
    ADD("event-storm", NULL, test_event_storm);
    ADD("many-in-flight/linux", NULL, test_many_in_flight);
    ADD("many-in-flight/smallest", &smallest, test_many_in_flight);
    ADD("flush-across-rings", NULL, test_flush_across_rings);
#undef ADD
    for (unsigned i = 0; i < G_N_ELEMENTS(breakages); i++) {
        g_autofree char *path = g_strdup_printf("/ring/broken/%s", breakages[i].name);
        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_broken_protocol);
    }
    return g_test_run();
}
