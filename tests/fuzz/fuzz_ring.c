/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: a worker and its rings. An input is one life of a hostile frontend: which rings it offers,
 * what it then does to them, step by step, while the worker reads them, and how it goes away.
 *
 * The worker is the daemon's own, worker_main() with rings, session and link, in a thread; for each life
 * it starts from nothing. What is not the daemon's own here is what it stands on: Xen is xen.c, its file
 * system is in memory (fuzz_session.c has the real one), and it is not locked in.
 *
 * What must hold: a worker says that it is ready or what is wrong, it ends when it is told to, and then
 * nothing is mapped or bound any more.
 */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <xengnttab.h>
#include <xen/io/9pfs.h>

#include "protocol/local.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/xen.h"
#include "tests/lib/memory_fs.h"
#include "xen-9pfs/link.h"
#include "xen-9pfs/worker.h"

enum {
    MAX_RINGS = 3,
    MAX_ORDER = 3,
    PAGES_PER_RING = 1 + (1 << MAX_ORDER),
    MAX_STEPS = 100,
    ROOT_FID = 0,
    REPLY_USEC = 2000,
    LIFE_SECONDS = 60,
    MAX_LINKS = 5, /* fewer than may wait for a worker that has ended */
};

typedef struct xen_9pfs_data_intf Interface;

typedef struct GuestRing {
    Interface *interface;
    uint8_t *out;
    uint32_t size; /* of each half */
    uint32_t port;
    uint32_t out_prod; /* behind what was written, published or not */
    uint32_t last;     /* where the last message begins */
} GuestRing;

typedef struct Guest {
    FuzzInput *input;
    GByteArray *message;
    GuestRing rings[MAX_RINGS];
    unsigned n_rings;
    int link; /* to the worker, as the supervisor has it; -1: it has hung up */
    unsigned n_links; /* there have been */
    bool gone;
} Guest;

static struct {
    pthread_t thread;
    sem_t begin, ended;
    int first_fd; /* descriptors from here on are the worker's */
    struct sockaddr_un address;
    socklen_t address_size;
} worker;

static FsClass export_class;

static struct {
    unsigned long lives, served, steps;
} statistics;

/*
 * What the worker stands on
 */

int local_fs_new(const char *path, const ExportOptions *options, Fs **fs, const char **why)
{
    MemoryFs *memory;

    (void)options;
    *why = "it is not there";
    if (*path == '\0')
        return -ENOENT;
    memory = memory_fs_new(export_class);
    memory_fs_add_directory(memory, "dir");
    memory_fs_add_file(memory, "file", 5000);
    memory_fs_add_file(memory, "a", 0);
    *fs = memory_fs_base(memory);
    return 0;
}

void local_fs_free(Fs *fs)
{
    memory_fs_free((MemoryFs *)fs); /* which begins with its base */
}

int local_fs_start_keeper(Fs *fs)
{
    (void)fs;
    return 0;
}

Quota *local_fs_quota(const Fs *fs)
{
    (void)fs;
    return NULL;
}

int local_fs_root(const Fs *fs)
{
    (void)fs;
    return -1;
}

int sandbox_limit_process(Sandbox *sandbox, int last_fd)
{
    (void)sandbox;
    (void)last_fd;
    return 0;
}

int sandbox_leave_namespaces(Sandbox *sandbox)
{
    (void)sandbox;
    return 0;
}

int sandbox_enter_root(Sandbox *sandbox, int root_fd)
{
    (void)sandbox;
    (void)root_fd;
    return 0;
}

int sandbox_drop_capabilities(Sandbox *sandbox, SecurityModel model)
{
    (void)sandbox;
    (void)model;
    return 0;
}

void sandbox_warm_up(void)
{
}

int sandbox_forbid_calls(Sandbox *sandbox)
{
    (void)sandbox;
    return 0;
}

/*
 * Lives of the worker. Its process would end with it; here only the descriptors that it leaves open go.
 */

static void *live(void *unused)
{
    const Sandbox sandbox = {.level = SANDBOX_OFF};

    (void)unused;
    for (;;) {
        sem_wait(&worker.begin);
        g_assert_cmpint(worker_main(&sandbox), ==, EXIT_SUCCESS);
        sem_post(&worker.ended);
    }
    return NULL;
}

static void print_statistics(void)
{
    fprintf(stderr, "# %lu lives, %lu of them served, %lu steps\n", statistics.lives, statistics.served,
            statistics.steps);
}

/* The worker's listening socket has a fixed number, which nobody else shall get. */
__attribute__((constructor)) static void reserve_listen_fd(void)
{
    dup2(STDERR_FILENO, LINK_LISTEN_FD);
}

/* Once. */
static void prepare_worker(void)
{
    if (worker.first_fd)
        return;
    xen_guest_pages();
    g_setenv("XEN_9PFS_LOG_TARGET", "stderr", true);
    g_setenv("XEN_9PFS_LOG_LEVEL", "error", true);
    sem_init(&worker.begin, 0, 0);
    sem_init(&worker.ended, 0, 0);
    pthread_create(&worker.thread, NULL, live, NULL);
    worker.first_fd = dup(STDERR_FILENO);
    close(worker.first_fd);
    g_assert_cmpint(worker.first_fd, >, LINK_LISTEN_FD);
    atexit(print_statistics);
}

static void listen_for_link(void)
{
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    g_assert_cmpint(dup2(fd, LINK_LISTEN_FD), ==, LINK_LISTEN_FD);
    close(fd);
    worker.address_size = sizeof(worker.address);
    g_assert_cmpint(bind(LINK_LISTEN_FD, (const struct sockaddr *)&any, sizeof(any.sun_family)), ==, 0);
    g_assert_cmpint(
        getsockname(LINK_LISTEN_FD, (struct sockaddr *)&worker.address, &worker.address_size), ==, 0);
    g_assert_cmpint(listen(LINK_LISTEN_FD, 8), ==, 0);
}

static void await_end(void)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += LIFE_SECONDS;
    while (sem_timedwait(&worker.ended, &end) != 0)
        g_assert_cmpint(errno, ==, EINTR);
    syscall(SYS_close_range, worker.first_fd, FUZZ_FIRST_FD - 1, 0);
}

/*
 * The supervisor's part
 */

static void connect_link(Guest *g)
{
    if (g->link >= 0)
        return;
    g->n_links++;
    g->link = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    g_assert_cmpint(TEMP_FAILURE_RETRY(connect(g->link, (const struct sockaddr *)&worker.address,
                                               worker.address_size)),
                    ==, 0);
}

static void hang_up(Guest *g)
{
    if (g->link >= 0)
        close(g->link);
    g->link = -1;
}

/* The worker's next word, or 0 when it has hung up. */
static LinkType await_word(const Guest *g)
{
    LinkMessage message;
    ssize_t size = TEMP_FAILURE_RETRY(recv(g->link, &message, sizeof(message), 0));

    if (size <= 0)
        return 0;
    g_assert_cmpint(size, ==, sizeof(message));
    return (LinkType)message.type;
}

static void tell(const Guest *g, LinkType type, const LinkSetup *setup)
{
    LinkMessage message = {.version = LINK_VERSION, .type = type};

    if (setup)
        message.setup = *setup;
    link_send(g->link, &message); /* a worker that is gone need not be told */
}

/* Mostly what fits the rings. */
static void make_setup(const Guest *g, LinkSetup *setup)
{
    FuzzInput *input = g->input;

    *setup = (LinkSetup){.domid = 1, .n_rings = g->n_rings, .options = export_default_options};
    g_strlcpy(setup->path, fuzz_chance(input, 64) ? "" : "/export", sizeof(setup->path));
    for (unsigned i = 0; i < g->n_rings; i++) {
        setup->ring_ref[i] = i * PAGES_PER_RING;
        setup->event_channel[i] = g->rings[i].port;
    }
    if (fuzz_chance(input, 32))
        setup->n_rings = fuzz_pick(input, 12);
    if (fuzz_chance(input, 32))
        setup->ring_ref[fuzz_pick(input, LINK_MAX_RINGS)] = fuzz_pick(input, XEN_N_PAGES + 2);
    if (fuzz_chance(input, 32))
        setup->event_channel[fuzz_pick(input, LINK_MAX_RINGS)] = fuzz_pick(input, XEN_N_PORTS + 1);
}

/*
 * The guest's part: rings
 */

static uint32_t get(const uint32_t *index)
{
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void set(uint32_t *index, uint32_t value)
{
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

/* Indices begin at 0, or just below where they wrap. */
static void offer_ring(Guest *g, unsigned i)
{
    GuestRing *ring = &g->rings[i];
    unsigned order = 1 + fuzz_pick(g->input, MAX_ORDER);
    uint8_t *page = xen_guest_pages() + (size_t)i * PAGES_PER_RING * XEN_PAGE;
    uint32_t start = fuzz_chance(g->input, 4) ? UINT32_MAX - fuzz_pick(g->input, 256) : 0;

    memset(page, 0, XEN_PAGE * (1 + ((size_t)1 << order)));
    ring->interface = (Interface *)page;
    ring->size = XEN_PAGE << (order - 1);
    ring->out = page + XEN_PAGE + ring->size;
    ring->port = i;
    ring->out_prod = ring->last = start;
    ring->interface->out_cons = ring->interface->out_prod = start;
    ring->interface->in_cons = ring->interface->in_prod = start;
    ring->interface->ring_order = order;
    for (unsigned n = 0; n < 1u << order; n++)
        ring->interface->ref[n] = i * PAGES_PER_RING + 1 + n;
}

static GuestRing *some_ring(Guest *g)
{
    return &g->rings[fuzz_pick(g->input, g->n_rings)];
}

static void put_byte(const GuestRing *ring, uint32_t position, uint8_t byte)
{
    __atomic_store_n(&ring->out[position & (ring->size - 1)], byte, __ATOMIC_RELAXED);
}

/* Writes what there is room for; nothing is published. */
static void write_bytes_out(GuestRing *ring, const uint8_t *bytes, uint32_t size)
{
    uint32_t used = ring->out_prod - get(&ring->interface->out_cons);

    if (used > ring->size || size > ring->size - used)
        return;
    ring->last = ring->out_prod;
    for (uint32_t i = 0; i < size; i++)
        put_byte(ring, ring->out_prod + i, bytes[i]);
    ring->out_prod += size;
}

static void publish(const GuestRing *ring, uint32_t prod)
{
    set(&ring->interface->out_prod, prod);
    xen_guest_notify(ring->port);
}

static void send_bytes(GuestRing *ring, const uint8_t *bytes, uint32_t size)
{
    write_bytes_out(ring, bytes, size);
    publish(ring, ring->out_prod);
}

/*
 * Steps. Each is one right or wrong thing to do.
 */

static void send_message(Guest *g)
{
    fuzz_message(g->input, g->message);
    send_bytes(some_ring(g), g->message->data, g->message->len);
}

/* Several at once: one event for all. */
static void send_messages(Guest *g)
{
    GuestRing *ring = some_ring(g);

    for (unsigned n = fuzz_pick(g->input, 8); n > 0; n--) {
        fuzz_message(g->input, g->message);
        write_bytes_out(ring, g->message->data, g->message->len);
    }
    publish(ring, ring->out_prod);
}

/* Publishes a part; the rest may come with a later step. */
static void send_half(Guest *g)
{
    GuestRing *ring = some_ring(g);

    fuzz_message(g->input, g->message);
    write_bytes_out(ring, g->message->data, g->message->len);
    publish(ring, ring->out_prod - 1 - fuzz_pick(g->input, MIN(g->message->len, 256)));
}

static void begin_session(Guest *g)
{
    static const uint8_t version[] = {21, 0, 0, 0, P9_TVERSION, 0xff, 0xff, 0, 16, 0, 0, 8, 0,
                                      '9', 'P', '2', '0', '0', '0', '.', 'L'};
    static const uint8_t attach[] = {23, 0, 0, 0, P9_TATTACH, 1, 0, ROOT_FID, 0, 0, 0,
                                     0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};
    GuestRing *ring = some_ring(g);

    write_bytes_out(ring, version, sizeof(version));
    send_bytes(ring, attach, sizeof(attach));
    xen_guest_wait(REPLY_USEC);
}

/* A header whose size is wrong, and whatever follows. */
static void send_bad_size(Guest *g)
{
    static const uint32_t sizes[] = {0, 1, 6, 7, 8, 4096, 4097, 16384, 65536, 0x7fffffff, 0x80000000, UINT32_MAX};
    uint32_t size = sizes[fuzz_pick(g->input, G_N_ELEMENTS(sizes))];
    uint8_t header[P9_HEADER_SIZE + 1];

    memcpy(header, &size, sizeof(size));
    for (unsigned i = sizeof(size); i < sizeof(header); i++)
        header[i] = (uint8_t)fuzz_number(g->input, 1);
    send_bytes(some_ring(g), header, sizeof(header));
}

static void send_garbage(Guest *g)
{
    uint8_t bytes[64];
    unsigned n = 1 + fuzz_pick(g->input, sizeof(bytes));

    for (unsigned i = 0; i < n; i++)
        bytes[i] = (uint8_t)fuzz_number(g->input, 1);
    send_bytes(some_ring(g), bytes, n);
}

static void spoil_index(Guest *g)
{
    GuestRing *ring = some_ring(g);
    Interface *i = ring->interface;
    uint32_t *indices[] = {&i->out_prod, &i->out_cons, &i->in_prod, &i->in_cons};
    uint32_t *index = indices[fuzz_pick(g->input, G_N_ELEMENTS(indices))];
    uint32_t value = (uint32_t)fuzz_number(g->input, 4);

    set(index, fuzz_chance(g->input, 2) ? value : get(index) + value % (3 * ring->size) - ring->size);
    xen_guest_notify(ring->port);
}

static void spoil_interface(Guest *g)
{
    Interface *i = some_ring(g)->interface;

    set(&i->ring_order, (uint32_t)fuzz_number(g->input, 4));
    set(&i->ref[fuzz_pick(g->input, 8)], fuzz_pick(g->input, XEN_N_PAGES));
}

/* Changes the size of the last message, its type or its tag, to and fro, while it is read. */
static void rewrite_header(Guest *g)
{
    const GuestRing *ring = some_ring(g);
    unsigned at = fuzz_pick(g->input, P9_HEADER_SIZE);
    uint8_t byte = (uint8_t)fuzz_number(g->input, 1);
    uint8_t was = ring->out[(ring->last + at) & (ring->size - 1)];

    xen_guest_notify(ring->port);
    for (unsigned n = fuzz_pick(g->input, 256); n > 0; n--)
        put_byte(ring, ring->last + at, n % 2 ? byte : was);
}

/* Changes bytes anywhere behind where the last message begins. */
static void rewrite_payload(Guest *g)
{
    const GuestRing *ring = some_ring(g);
    uint32_t random = (uint32_t)fuzz_number(g->input, 4);

    xen_guest_notify(ring->port);
    for (unsigned n = fuzz_pick(g->input, 256); n > 0; n--) {
        random = random * 1664525 + 1013904223;
        put_byte(ring, ring->last + (random >> 24), (uint8_t)(random >> 16));
    }
}

/* The same for an index that is read at the same time. */
static void rewrite_index(Guest *g)
{
    const GuestRing *ring = some_ring(g);
    uint32_t *index = fuzz_chance(g->input, 2) ? &ring->interface->in_cons : &ring->interface->out_prod;
    uint32_t was = get(index);
    uint32_t other = was + (uint32_t)fuzz_number(g->input, 2) % (2 * ring->size);

    xen_guest_notify(ring->port);
    for (unsigned n = fuzz_pick(g->input, 256); n > 0; n--)
        set(index, n % 2 ? other : was);
}

static void flood_events(Guest *g)
{
    for (unsigned n = fuzz_pick(g->input, 256); n > 0; n--)
        xen_guest_notify(fuzz_chance(g->input, 8) ? fuzz_pick(g->input, XEN_N_PORTS) : g->rings[0].port);
}

static void consume_replies(Guest *g)
{
    const GuestRing *ring = some_ring(g);

    set(&ring->interface->in_cons, get(&ring->interface->in_prod));
    xen_guest_notify(ring->port);
}

static void await_reply(Guest *g)
{
    (void)g;
    xen_guest_wait(REPLY_USEC);
}

/* As when the supervisor has been restarted, which guests can provoke no more than others. */
static void change_supervisor(Guest *g)
{
    if (!fuzz_chance(g->input, 8) || g->n_links == MAX_LINKS)
        return;
    hang_up(g);
    connect_link(g);
}

static void go_away(Guest *g)
{
    g->gone = true;
}

typedef void Step(Guest *g);

/* The more often a step is listed, the more often it is taken. */
static Step *const steps[] = {
    send_message,   send_message,    send_message,    send_message,    send_messages,   send_messages,
    begin_session,  send_half,       send_half,       send_bad_size,   send_garbage,    spoil_index,
    spoil_interface, rewrite_header, rewrite_header,  rewrite_payload, rewrite_payload, rewrite_index,
    flood_events,   consume_replies, consume_replies, await_reply,     await_reply,     change_supervisor,
    go_away,
};

static void attack(Guest *g)
{
    if (!fuzz_chance(g->input, 4))
        begin_session(g);
    for (unsigned n = 0; n < MAX_STEPS && g->input->left > 0 && !g->gone; n++) {
        steps[fuzz_pick(g->input, G_N_ELEMENTS(steps))](g);
        statistics.steps++;
    }
}

/*
 * A life
 */

/* Returns true when the worker serves. */
static bool set_up(Guest *g)
{
    LinkSetup setup;
    LinkType word;

    connect_link(g);
    if (fuzz_chance(g->input, 64))
        return false; /* gone before it began */
    g_assert_cmpint(await_word(g), ==, LINK_HELLO);
    make_setup(g, &setup);
    if (fuzz_chance(g->input, 32))
        spoil_interface(g);
    tell(g, LINK_SETUP, &setup);
    word = await_word(g);
    g_assert_true(word == LINK_READY || word == LINK_FAILED);
    return word == LINK_READY;
}

static void offer_rings(Guest *g)
{
    g->n_rings = 1 + fuzz_pick(g->input, MAX_RINGS);
    for (unsigned i = 0; i < g->n_rings; i++)
        offer_ring(g, i);
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    FuzzInput input = {bytes, size};
    g_autoptr(GByteArray) message = g_byte_array_new();
    Guest g = {.input = &input, .message = message, .link = -1};

    prepare_worker();
    listen_for_link();
    xen_begin(fuzz_chance(&input, 32) ? (int)fuzz_pick(&input, 8) : XEN_NO_FAULT);
    export_class = fuzz_chance(&input, 8) ? FS_REMOTE : FS_MEMORY;
    offer_rings(&g);
    sem_post(&worker.begin);
    statistics.lives++;
    if (set_up(&g)) {
        statistics.served++;
        attack(&g);
    }
    connect_link(&g);
    tell(&g, LINK_STOP, NULL);
    await_end();
    xen_begin(XEN_NO_FAULT);
}
