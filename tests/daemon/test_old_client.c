/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process on a client that is older than Linux 4.15, with handlers that ask for SA_RESTART.
 *
 * There any signal ends the wait for a reply. The client sends a Tflush and waits for the Rflush, which
 * nothing interrupts. If the reply has come by then, it is the result of the system call, whatever it
 * says; an Rlerror of EINTR, too, which no SA_RESTART helps against. If not, the system call begins
 * anew. So a server that answers a request with EINTR because it was flushed makes programs fail that
 * are not prepared for it.
 *
 * What is played here: system calls on a file system that hangs on demand, and signals, which are
 * nothing but waits that end early.
 */
#include "tests/daemon/fixture.h"
#include "tests/daemon/guest.h"
#include "tests/lib/blocking_fs.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

enum {
    FILE_FID = 1,   /* "file", open */
    CLOSED_FID = 2, /* "file", not open, of each call */
    NEW_FID = 3,    /* where a walk leads, of each call */
    SIZE = 3 * BLOCKING_PIECE,
    N_SIGNALS = 5,
    ROUNDS = 60,
    N_TAGS = 1000,
};

typedef struct Hung {
    Fixture fixture;
    char *path;
    BlockingFs *fuse;
    Guest *guest;
    uint16_t tag; /* of the next request */
} Hung;

/* One kind of system call: the message that it sends, and where that hangs. */
typedef struct Call {
    const char *name;
    enum fuse_opcode opcode;
    GByteArray *(*message)(uint16_t tag);
} Call;

static GByteArray *make_read(uint16_t tag)
{
    return p9_tread(tag, FILE_FID, 0, SIZE);
}

static GByteArray *make_write(uint16_t tag)
{
    static const uint8_t data[100];

    return p9_twrite(tag, FILE_FID, 0, sizeof(data), data);
}

static GByteArray *make_fsync(uint16_t tag)
{
    return p9_tfsync(tag, FILE_FID, 0);
}

static GByteArray *make_open(uint16_t tag)
{
    return p9_tlopen(tag, CLOSED_FID, P9_L_RDONLY);
}

static GByteArray *make_walk(uint16_t tag)
{
    return p9_twalk(tag, GUEST_ROOT, NEW_FID, "file");
}

static GByteArray *make_getattr(uint16_t tag)
{
    return p9_tgetattr(tag, FILE_FID, P9_GETATTR_BASIC);
}

static const Call calls[] = {
    {"read", FUSE_READ, make_read},    {"write", FUSE_WRITE, make_write},
    {"fsync", FUSE_FSYNC, make_fsync}, {"open", FUSE_OPEN, make_open},
    {"walk", FUSE_LOOKUP, make_walk},  {"getattr", FUSE_GETATTR, make_getattr},
};

/*
 * The client
 */

/* The reply to `tag` among those that have been taken from the rings, or NULL. */
static P9Reply *take_arrived(Hung *h, uint16_t tag)
{
    GQueue *replies = &h->guest->frontend->replies;

    for (GList *item = replies->head; item; item = item->next) {
        P9Reply *reply = item->data;

        if (reply->tag == tag) {
            g_queue_delete_link(replies, item);
            return reply;
        }
    }
    return NULL;
}

/* What a signal makes the client do. Returns the reply that has come all the same, or NULL. */
static P9Reply *flush(Hung *h, uint16_t tag)
{
    uint16_t flush_tag = (uint16_t)(tag + 1); /* on the other ring */
    g_autoptr(P9Reply) flushed = NULL;

    g_assert_true(frontend_send(h->guest->frontend, p9_tflush(flush_tag, tag)));
    flushed = frontend_wait(h->guest->frontend, flush_tag, FRONTEND_TIMEOUT_MS);
    g_assert_nonnull(flushed);
    g_assert_cmpuint(flushed->type, ==, P9_TFLUSH + 1);
    return take_arrived(h, tag);
}

static uint16_t send_call(Hung *h, const Call *call)
{
    uint16_t tag = h->tag;

    h->tag = (uint16_t)((tag + 3) % N_TAGS); /* on each of the rings in turn */
    g_assert_true(frontend_send(h->guest->frontend, call->message(tag)));
    return tag;
}

/* The process gets nothing but what the call is for. */
static void check_result(const Call *call, const P9Reply *reply)
{
    g_autoptr(GByteArray) message = call->message(0);
    uint8_t expected = (uint8_t)(message->data[4] + 1);

    g_assert_nonnull(reply);
    if (reply->type != expected)
        g_error("%s: a reply of type %u, error %u", call->name, reply->type, p9_error(reply));
    if (expected == P9_TREAD + 1) {
        const uint8_t *data;
        uint32_t size;

        g_assert_true(p9_parse(reply, "D", &size, &data));
        g_assert_cmpuint(size, ==, SIZE);
        for (uint32_t i = 100; i < size; i++) /* some of it was written to */
            g_assert_cmpuint(data[i], ==, i % 251);
    }
}

/* What the call starts from, and what it leaves behind. */
static void before_call(Hung *h)
{
    g_assert_cmpint(guest_walk(h->guest, GUEST_ROOT, CLOSED_FID, "file"), ==, 0);
}

static void after_call(Hung *h, const Call *call)
{
    g_assert_cmpint(guest_clunk(h->guest, CLOSED_FID), ==, 0);
    if (call->message == make_walk)
        g_assert_cmpint(guest_clunk(h->guest, NEW_FID), ==, 0);
    g_assert_true(g_queue_is_empty(&h->guest->frontend->replies));
}

/*
 * Tests
 */

/* The signals come while the call hangs: each makes it begin anew, and nobody learns of it. */
static void test_while_it_hangs(Hung *h, gconstpointer data)
{
    const Call *call = data;
    g_autoptr(P9Reply) reply = NULL;
    uint16_t tag;

    if (!h->fuse)
        return;
    before_call(h);
    blocking_fs_hang(h->fuse, call->opcode, BLOCKING_POLITE, 0);
    for (unsigned i = 0; i < N_SIGNALS; i++) {
        tag = send_call(h, call);
        blocking_fs_await(h->fuse, call->opcode, 1);
        g_assert_null(flush(h, tag));
    }
    tag = send_call(h, call);
    blocking_fs_await(h->fuse, call->opcode, 1);
    blocking_fs_release(h->fuse, call->opcode, 0);
    reply = frontend_wait(h->guest->frontend, tag, FRONTEND_TIMEOUT_MS);
    check_result(call, reply);
    after_call(h, call);
}

/* They come at any time, also before the request was taken and after it was done. */
static void test_at_any_time(Hung *h, gconstpointer data)
{
    const Call *call = data;
    unsigned n_restarts = 0;

    if (!h->fuse)
        return;
    for (unsigned round = 0; round < ROUNDS; round++) {
        g_autoptr(P9Reply) reply = NULL;

        before_call(h);
        for (unsigned n = 0; n < N_SIGNALS && !reply; n++) {
            uint16_t tag = send_call(h, call);

            g_usleep(round % 20 * 10);
            reply = flush(h, tag);
            n_restarts += reply == NULL;
        }
        if (!reply)
            reply = frontend_wait(h->guest->frontend, send_call(h, call), FRONTEND_TIMEOUT_MS);
        check_result(call, reply);
        after_call(h, call);
    }
    g_test_message("%s began anew %u times", call->name, n_restarts);
}

/*
 * Set-up
 */

static void set_up(Hung *h, gconstpointer unused)
{
    FrontendDevice device;
    const char *why;

    (void)unused;
    h->path = g_dir_make_tmp("9p-old-XXXXXX", NULL);
    g_assert_nonnull(h->path);
    h->fuse = blocking_fs_new(h->path, &why);
    if (!h->fuse) {
        g_test_skip(why);
        return;
    }
    fixture_set_up(&h->fixture, NULL);
    device = frontend_linux(1, h->path);
    device.order = 4;
    device.msize = 16384;
    h->guest = guest_start(&device);
    g_assert_cmpint(guest_walk(h->guest, GUEST_ROOT, FILE_FID, "file"), ==, 0);
    g_assert_cmpint(guest_open(h->guest, FILE_FID, P9_L_RDWR), ==, 0);
}

static void tear_down(Hung *h, gconstpointer unused)
{
    (void)unused;
    if (h->fuse) {
        guest_end(h->guest);
        fixture_tear_down(&h->fixture, NULL);
        blocking_fs_free(h->fuse);
    }
    g_assert_no_errno(g_rmdir(h->path));
    g_free(h->path);
}

static void add_test(const char *name, const Call *call, void (*test)(Hung *, gconstpointer))
{
    g_autofree char *path = g_strdup_printf("/old-client/%s/%s", name, call->name);

    g_test_add(path, Hung, call, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    blocking_fs_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
        add_test("while-it-hangs", &calls[i], test_while_it_hangs);
        add_test("at-any-time", &calls[i], test_at_any_time);
    }
    return g_test_run();
}
