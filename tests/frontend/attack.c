/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attack: see attack.h. */
#include "tests/frontend/attack.h"

#include <glib/gstdio.h>
#include <sys/stat.h>

enum {
    SLICE_MS = 20, /* how long an attacker waits before it looks whether it should stop */
    POLL_US = 5000,
    LOOK_US = 100 * 1000, /* how often it looks whether it was closed */
    ROOT_FID = 0,
    FILE_FID = 1,
    FIRST_FID = 10,
    MANY_FIDS = 1100 * 1000,
    TAGS = 60000,
    READ_SIZE = 8000,
    BURST = 64, /* messages between two looks */
    GARBAGE_SIZE = 300,
};

static const FrontendNode quota_nodes[] = {
    {"max-files", "1000"}, /* ATTACK_MAX_FILES */
    {NULL, NULL},
};

static bool is_stopped(const Attacker *a)
{
    return g_atomic_int_get(a->stop);
}

/*
 * Connecting
 */

/* Waits for the backend to be in `state`. One that is closing does not become connected. */
static bool wait_state(const Attacker *a, enum xenbus_state state)
{
    while (!is_stopped(a)) {
        enum xenbus_state now = frontend_backend_state(a->frontend);

        if (now == state)
            return true;
        if (state == XenbusStateConnected && now > state)
            return false;
        g_usleep(POLL_US);
    }
    return false;
}

static bool connect_device(Attacker *a)
{
    if (!wait_state(a, XenbusStateInitWait))
        return false;
    frontend_share(a->frontend);
    frontend_publish(a->frontend);
    frontend_set_state(a->frontend, XenbusStateInitialised);
    if (!wait_state(a, XenbusStateConnected))
        return false;
    frontend_set_state(a->frontend, XenbusStateConnected);
    return true;
}

/* From whatever state to the one in which it may connect. */
static void disconnect_device(Attacker *a)
{
    frontend_set_state(a->frontend, XenbusStateClosed);
    wait_state(a, XenbusStateClosed);
    frontend_unshare(a->frontend);
    frontend_set_state(a->frontend, XenbusStateInitialising);
}

/*
 * Rings
 */

/* Takes no look at what has come, and says that all of it was consumed. */
static void drop_replies(Attacker *a)
{
    for (unsigned i = 0; i < a->frontend->n_rings; i++) {
        FrontendRing *ring = &a->frontend->rings[i];

        ring->in_cons = ring_get(&ring->intf->in_prod);
        ring_set(&ring->intf->in_cons, ring->in_cons);
    }
}

/* Publishes the request if there is room for it in its ring, and frees it. */
static bool push(Attacker *a, GByteArray *request)
{
    FrontendRing *ring = frontend_ring(a->frontend, (uint16_t)(request->data[5]));
    bool fits = ring_out_free(ring) >= request->len;

    if (fits) {
        ring_write(ring, request->data, request->len);
        ring_publish(ring);
        g_atomic_int_inc(&a->n);
    }
    g_byte_array_unref(request);
    return fits;
}

static void notify_all(Attacker *a)
{
    for (unsigned i = 0; i < a->frontend->n_rings; i++)
        frontend_notify(a->frontend, &a->frontend->rings[i]);
}

/* Pushes what `make` makes until a ring is full; then waits for the backend. */
static void push_burst(Attacker *a, GByteArray *(*make)(Attacker *a))
{
    bool fits = true;

    for (unsigned i = 0; i < BURST && fits; i++)
        fits = push(a, make(a));
    notify_all(a);
    if (!fits)
        frontend_wait_event(a->frontend, 1);
}

static void expect_something(Attacker *a, GByteArray *request)
{
    uint16_t tag = (uint16_t)(request->data[5] | request->data[6] << 8);
    bool answered = false;

    if (!frontend_send(a->frontend, request))
        return;
    while (!answered && !is_stopped(a)) {
        g_autoptr(P9Reply) reply = frontend_wait(a->frontend, tag, SLICE_MS);

        answered = reply != NULL;
    }
    g_queue_clear_full(&a->frontend->replies, g_free);
}

/* With the file open. */
static void begin_session(Attacker *a)
{
    expect_something(a, p9_tversion(P9_NOTAG, a->device.msize, "9P2000.L"));
    expect_something(a, p9_tattach(0, ROOT_FID, P9_NOFID, "", "", 0));
    expect_something(a, p9_twalk(0, ROOT_FID, FILE_FID, "data"));
    expect_something(a, p9_tlopen(0, FILE_FID, P9_L_RDONLY));
}

static uint16_t next_tag(Attacker *a)
{
    a->next_tag = (uint16_t)((a->next_tag + 1) % TAGS);
    return a->next_tag;
}

/*
 * The attacks: each does some of it. Returns false when it may not be connected any more
 */

static bool attack_events(Attacker *a)
{
    for (unsigned i = 0; i < BURST; i++)
        notify_all(a);
    g_atomic_int_add(&a->n, BURST);
    return true;
}

static bool attack_garbage(Attacker *a)
{
    FrontendRing *ring = &a->frontend->rings[0];
    uint8_t bytes[GARBAGE_SIZE];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(31 + i * 7);
    ring_write(ring, bytes, sizeof(bytes));
    ring_publish(ring);
    notify_all(a);
    g_atomic_int_inc(&a->n);
    while (!is_stopped(a) && frontend_backend_state(a->frontend) == XenbusStateConnected)
        g_usleep(POLL_US);
    return false;
}

static GByteArray *make_read(Attacker *a)
{
    return p9_tread(next_tag(a), FILE_FID, 0, READ_SIZE);
}

/* When nothing goes in any more it is left so. */
static bool attack_full(Attacker *a)
{
    push_burst(a, make_read);
    return true;
}

static bool attack_churn(Attacker *a)
{
    disconnect_device(a);
    if (connect_device(a))
        g_atomic_int_inc(&a->n);
    return false;
}

static bool attack_flight(Attacker *a)
{
    push_burst(a, make_read);
    drop_replies(a);
    return true;
}

static GByteArray *make_walk(Attacker *a)
{
    return p9_twalk(next_tag(a), ROOT_FID, a->next_fid++, "");
}

static bool attack_fids(Attacker *a)
{
    push_burst(a, make_walk);
    drop_replies(a);
    if (a->next_fid < MANY_FIDS)
        return true;
    a->next_fid = FIRST_FID;
    begin_session(a);
    return true;
}

/* A read, and then a flush of it. */
static GByteArray *make_flushed(Attacker *a)
{
    uint16_t tag = next_tag(a);

    return tag % 2 == 0 ? p9_tread(tag, FILE_FID, 0, READ_SIZE)
                        : p9_tflush(tag, (uint16_t)(tag - 1));
}

static bool attack_flush(Attacker *a)
{
    push_burst(a, make_flushed);
    drop_replies(a);
    return true;
}

static GByteArray *make_directory(Attacker *a)
{
    return p9_tmkdir(next_tag(a), ROOT_FID, "more", 0755, 0);
}

static bool attack_quota(Attacker *a)
{
    push_burst(a, make_directory);
    drop_replies(a);
    return true;
}

static const struct {
    const char *name;
    bool (*step)(Attacker *a);
} attacks[N_ATTACKS] = {
    [ATTACK_EVENTS] = {"events", attack_events}, [ATTACK_GARBAGE] = {"garbage", attack_garbage},
    [ATTACK_FULL] = {"full", attack_full},       [ATTACK_CHURN] = {"churn", attack_churn},
    [ATTACK_FLIGHT] = {"flight", attack_flight}, [ATTACK_FIDS] = {"fids", attack_fids},
    [ATTACK_FLUSH] = {"flush", attack_flush},    [ATTACK_QUOTA] = {"quota", attack_quota},
};

const char *attack_name(AttackKind kind)
{
    return attacks[kind].name;
}

void attack_make_crowd(const char *path, unsigned n_files)
{
    g_autofree char *folder = g_build_filename(path, "crowd", NULL);

    g_assert_no_errno(g_mkdir(folder, 0755));
    for (unsigned i = 0; i < n_files; i++) {
        g_autofree char *name = g_strdup_printf("%s/%u", folder, i);

        g_assert_no_errno(mknod(name, S_IFREG | 0644, 0));
    }
}

FrontendDevice attack_device(AttackKind kind, uint32_t domid, const char *path)
{
    FrontendDevice device = frontend_linux(domid, path);

    device.order = 4;
    device.msize = 16384;
    if (kind == ATTACK_QUOTA)
        device.nodes = quota_nodes;
    return device;
}

/* One connection, until it is closed. */
static void attack_once(Attacker *a)
{
    if (!connect_device(a))
        return;
    begin_session(a);
    while (!is_stopped(a) && frontend_backend_state(a->frontend) == XenbusStateConnected) {
        gint64 end = g_get_monotonic_time() + LOOK_US;

        while (attacks[a->kind].step(a) && !is_stopped(a) && g_get_monotonic_time() < end)
            continue;
    }
}

void attack_run(Attacker *a)
{
    a->next_fid = FIRST_FID;
    toolstack_add(&a->device);
    a->frontend = frontend_new(&a->device);
    while (!is_stopped(a)) {
        attack_once(a);
        if (!is_stopped(a))
            disconnect_device(a);
    }
    toolstack_delete(&a->device);
    frontend_free(a->frontend);
}
