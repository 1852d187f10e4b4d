/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker: see worker.h.
 *
 * The main thread is the session's first reader. It alternates between taking what the rings hold and
 * sleeping until an event channel, the supervisor or another thread has something for it. While there
 * is more than it can do it lends all rings but the first to threads of their own.
 */
#include "xen-9pfs/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "protocol/events.h"
#include "protocol/local.h"
#include "protocol/session.h"
#include "xen-9pfs/answer.h"
#include "xen-9pfs/link.h"
#include "xen-9pfs/ring_thread.h"
#include "xen-9pfs/sandbox.h"
#include "xen-9pfs/spin.h"
#include "xen-9pfs/turns.h"

/* #syscalls accept4 close poll ppoll read write
 * malloc_trim(), xengnttab_unmap() and others give memory back:
 * #syscalls munmap madvise */

enum {
    PASSES_PER_POLL = 64, /* busy passes before the descriptors are looked at */
    ALONE_MSEC = 10000,   /* how long a worker without a task waits for a supervisor */
    REST_MSEC = 2000,     /* idle time after which free memory is given back; see also rest_in_time() */

    /* While something waits that no event announces; doubled while nothing comes of it. */
    TEND_MSEC = 1,
    MAX_TEND_MSEC = 16,

    /* In which at most STORM_EVENTS may come that bring nothing; doubled while a storm lasts. */
    STORM_SLICE_USEC = 10000,
    MAX_STORM_SLICE_USEC = 160000,
    STORM_EVENTS = 64,
};

typedef struct Worker {
    Sandbox sandbox;
    int listen_fd;
    pthread_mutex_t link_lock; /* other threads log through the link */
    int link_fd;               /* -1 without a supervisor; changed by the main thread only */
    int wake_fd;               /* an eventfd that other threads write to */
    LinkState state;
    LinkSetup setup;
    char failure[LINK_TEXT_SIZE];
    bool stopping;

    xengnttab_handle *gnttab;
    xenevtchn_handle *evtchn;
    Fs *fs;
    Session *session;
    Answers *answers;
    Ring *rings[LINK_MAX_RINGS];
    unsigned n_rings;
    RingThread *threads[LINK_MAX_RINGS]; /* whom each is lent to at times; NULL for the first */
    bool masked[LINK_MAX_RINGS];         /* an event came and the port was not unmasked yet */

    Spin spin;
    bool trimmed;          /* nothing is left to be given back, nor will be without a request */
    int64_t rested_at;     /* monotonic microseconds, as the next two */
    unsigned empty_events; /* events since a request was taken, or since: */
    int64_t storm_start;
    int64_t storm_slice;
    bool in_storm;         /* since storm_start */
    int tend_msec;
    uint32_t published; /* by all rings, when something last waited */
} Worker;

/*
 * The supervisor
 */

/* Talks to another supervisor from now on, or to none (-1). */
static void change_link(Worker *w, int fd)
{
    pthread_mutex_lock(&w->link_lock);
    if (w->link_fd >= 0)
        close(w->link_fd);
    w->link_fd = fd;
    pthread_mutex_unlock(&w->link_lock);
}

static uint32_t largest_ring_order(const Worker *w)
{
    uint32_t order = 0;

    for (unsigned i = 0; i < w->n_rings; i++)
        order = MAX(order, ring_order(w->rings[i]));
    return order;
}

static void send_message(Worker *w, LinkType type)
{
    LinkMessage message = {
        .version = LINK_VERSION,
        .type = type,
        .state = w->state,
        .setup = w->setup,
        .ring_order = largest_ring_order(w),
    };

    if (w->link_fd < 0)
        return;
    g_strlcpy(message.text, w->failure, sizeof(message.text));
    if (link_send(w->link_fd, &message) < 0)
        change_link(w, -1);
}

/* Has the supervisor log a line that could not be logged here. Any thread. */
static void send_line(int priority, const char *line, void *context)
{
    Worker *w = context;
    LinkMessage message = {.version = LINK_VERSION, .type = LINK_LOG, .priority = priority};

    g_strlcpy(message.text, line, sizeof(message.text));
    pthread_mutex_lock(&w->link_lock);
    if (w->link_fd >= 0)
        link_send(w->link_fd, &message); /* a supervisor that is gone cannot be told */
    pthread_mutex_unlock(&w->link_lock);
}

/* Says to the supervisor why this process is about to end. Any thread. */
static void send_last_word(Worker *w, const char *text)
{
    LinkMessage message = {.version = LINK_VERSION, .type = LINK_FAILED};

    g_strlcpy(message.text, text, sizeof(message.text));
    pthread_mutex_lock(&w->link_lock);
    if (w->link_fd >= 0)
        link_send(w->link_fd, &message);
    pthread_mutex_unlock(&w->link_lock);
}

static const char *state_name(const Worker *w)
{
    static const char *const names[] = {
        [LINK_STATE_EMPTY] = "empty",
        [LINK_STATE_READY] = "connected",
        [LINK_STATE_FAILED] = "failed",
    };

    return w->stopping ? "closing" : names[w->state];
}

/* Tells those who watch that the state is not `old` any more. */
static void trace_state(const Worker *w, const char *old)
{
    char device[24];

    g_snprintf(device, sizeof(device), "%u/%u", w->setup.domid, w->setup.devid);
    if (w->session)
        event_state(w->session, device, old, state_name(w));
}

/* Takes all rings back for good. */
static void end_ring_threads(Worker *w)
{
    for (unsigned i = 0; i < w->n_rings; i++) {
        ring_thread_free(w->threads[i]);
        w->threads[i] = NULL;
    }
}

/* The device cannot go on; the supervisor closes it and ends this process. */
static void fail(Worker *w, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void fail(Worker *w, const char *format, ...)
{
    const char *old = state_name(w);
    va_list args;

    if (w->state == LINK_STATE_FAILED)
        return;
    va_start(args, format);
    g_vsnprintf(w->failure, sizeof(w->failure), format, args);
    va_end(args);
    w->state = LINK_STATE_FAILED;
    end_ring_threads(w);
    trace_state(w, old);
    send_message(w, LINK_FAILED);
}

/* The newest supervisor is the one that counts. */
static void accept_supervisor(Worker *w)
{
    int fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    change_link(w, fd);
    send_message(w, LINK_HELLO);
}

static void start_serving(Worker *w, const LinkSetup *setup);

/* A client of the control socket asks for something. One whom nobody can answer is hung up on. */
static void take_client(Worker *w, const LinkMessage *message, int client)
{
    if (w->answers && client >= 0)
        answers_take(w->answers, client, message->text);
    else if (client >= 0)
        close(client);
}

/* `passed` is a descriptor that came with it, or -1. */
static void handle_message(Worker *w, const LinkMessage *message, int passed)
{
    if (message->type == LINK_QUERY) {
        take_client(w, message, passed);
        return;
    }
    if (passed >= 0)
        close(passed);
    switch (message->type) {
    case LINK_SETUP:
        if (w->state == LINK_STATE_EMPTY && message->version == LINK_VERSION)
            start_serving(w, &message->setup);
        break;
    case LINK_STOP:
        w->stopping = true;
        break;
    default:
        if (message->version == LINK_VERSION)
            log_warning("unexpected message %u from the supervisor", message->type);
        break;
    }
}

static void receive_messages(Worker *w)
{
    LinkMessage message;
    int result, passed;

    while (w->link_fd >= 0 && (result = link_receive(w->link_fd, &message, &passed)) != -EAGAIN) {
        if (result == 1) {
            handle_message(w, &message, passed);
            continue;
        }
        change_link(w, -1);
        if (w->state != LINK_STATE_READY)
            w->stopping = true; /* there is nothing that a later supervisor could adopt */
    }
}

/*
 * Setting up
 */

static void wake(void *context)
{
    Worker *w = context;
    uint64_t one = 1;
    ssize_t written = write(w->wake_fd, &one, sizeof(one));

    (void)written; /* when the counter is full the reader is woken anyway */
}

static bool open_xen(Worker *w)
{
    w->gnttab = xengnttab_open(NULL, 0);
    if (!w->gnttab) {
        fail(w, "cannot open the grant device (is the module xen-gntdev loaded?): %s",
             g_strerror(errno));
        return false;
    }
    w->evtchn = xenevtchn_open(NULL, 0);
    if (!w->evtchn) {
        fail(w, "cannot open the event channel device (is the module xen-evtchn loaded?): %s",
             g_strerror(errno));
        return false;
    }
    fcntl(xenevtchn_fd(w->evtchn), F_SETFL, O_NONBLOCK);
    return true;
}

static bool map_rings(Worker *w)
{
    for (unsigned i = 0; i < w->setup.n_rings; i++) {
        RingPeer peer = {
            .gnttab = w->gnttab,
            .evtchn = w->evtchn,
            .domid = w->setup.domid,
            .ref = w->setup.ring_ref[i],
            .port = w->setup.event_channel[i],
        };
        g_autofree char *why = NULL;
        Ring *ring = ring_new(&peer, &why);

        if (!ring) {
            fail(w, "ring %u: %s", i, why);
            return false;
        }
        w->rings[w->n_rings++] = ring;
    }
    return true;
}

static bool open_export(Worker *w)
{
    const char *why;
    int error = local_fs_new(w->setup.path, &w->setup.options, &w->fs, &why);

    if (error)
        fail(w, "%s: %s: %s", w->setup.path, why, g_strerror(-error));
    return error == 0;
}

/* Reports how a phase of the sandbox went. */
static bool check_phase(Worker *w, int error)
{
    if (error)
        fail(w, "%s (%s); xen-9pfsd(8) tells of --sandbox", w->sandbox.why, g_strerror(-error));
    return error == 0;
}

/* The keeper must not outlive this process: only in a pid namespace is that sure. */
static void start_keeper(Worker *w)
{
    int error = -ESRCH;

    if (w->sandbox.level == SANDBOX_FULL)
        error = local_fs_start_keeper(w->fs);
    if (error)
        log_info("descriptors cannot be put away here (%s): max-descriptors is how many files "
                 "the guest can use",
                 g_strerror(-error));
}

/* Opens the export and locks this process in with it. */
static bool enter_export(Worker *w)
{
    SecurityModel model = w->setup.options.model;

    if (!check_phase(w, sandbox_leave_namespaces(&w->sandbox)) || !open_export(w) ||
        !check_phase(w, sandbox_enter_root(&w->sandbox, local_fs_root(w->fs))))
        return false;
    start_keeper(w);
    return check_phase(w, sandbox_drop_capabilities(&w->sandbox, model));
}

static void open_session(Worker *w)
{
    SessionLimits limits = session_default_limits;

    limits.device = w->setup.options.limits;
    w->session = session_new(w->fs, &w->setup.options, &limits, wake, w);
    for (unsigned i = 0; i < w->n_rings; i++)
        session_add_channel(w->session, ring_channel(w->rings[i]));
    for (unsigned i = 1; i < w->n_rings; i++)
        w->threads[i] = ring_thread_new(w->session, w->rings[i], wake, w);
}

static void open_answers(Worker *w)
{
    AnswerSource source = {
        .session = w->session,
        .fs = w->fs,
        .rings = w->rings,
        .n_rings = w->n_rings,
    };

    w->answers = answers_new(&source);
}

static void start_serving(Worker *w, const LinkSetup *setup)
{
    char title[16]; /* as much as the kernel keeps */

    w->setup = *setup;
    if (w->setup.n_rings < 1 || w->setup.n_rings > LINK_MAX_RINGS) {
        fail(w, "%u rings", w->setup.n_rings);
        return;
    }
    log_set_device(setup->domid, setup->devid);
    g_snprintf(title, sizeof(title), "9pfs %u.%u", setup->domid, setup->devid);
    prctl(PR_SET_NAME, title);
    if (!open_xen(w) || !map_rings(w) || !enter_export(w))
        return;
    open_session(w);
    open_answers(w);
    sandbox_warm_up();
    if (!check_phase(w, sandbox_forbid_calls(&w->sandbox)))
        return;
    w->state = LINK_STATE_READY;
    trace_state(w, "empty");
    send_message(w, LINK_READY);
    log_info("serving %s over %u rings, security_model=%s%s", setup->path, setup->n_rings,
             security_model_name(setup->options.model),
             setup->options.readonly ? ", read-only" : "");
}

/* Lets go of everything, in the reverse order. */
static void stop_serving(Worker *w)
{
    trace_state(w, w->state == LINK_STATE_READY ? "connected" : "failed");
    answers_free(w->answers);
    end_ring_threads(w);
    if (w->session)
        session_stop(w->session);
    for (unsigned i = 0; i < w->n_rings; i++)
        ring_free(w->rings[i]);
    if (w->session)
        session_free(w->session);
    if (w->fs)
        local_fs_free(w->fs);
    if (w->evtchn)
        xenevtchn_close(w->evtchn);
    if (w->gnttab)
        xengnttab_close(w->gnttab);
}

/*
 * Serving
 */

/* Work has come: what was done to save work is over. */
static void calm_down(Worker *w)
{
    w->empty_events = 0;
    w->storm_slice = STORM_SLICE_USEC;
    w->tend_msec = TEND_MSEC;
}

static bool is_lent(const Worker *w, unsigned i)
{
    return w->threads[i] && ring_thread_has_ring(w->threads[i]);
}

static bool any_lent(const Worker *w)
{
    for (unsigned i = 0; i < w->n_rings; i++) {
        if (is_lent(w, i))
            return true;
    }
    return false;
}

/* What a turn of all rings that are not lent has done. */
typedef struct Turn {
    bool is_mine[LINK_MAX_RINGS];
    bool is_busy[LINK_MAX_RINGS]; /* the ring had requests */
    unsigned n_busy;
    bool waiting; /* something may happen without an event */
} Turn;

static void take_turn(Worker *w, Turn *turn)
{
    for (unsigned i = 0; i < w->n_rings; i++) {
        bool stalled = false;

        turn->is_mine[i] = !is_lent(w, i);
        if (!turn->is_mine[i])
            continue;
        turn->is_busy[i] = ring_take(w->rings[i], RING_TAKE_BUDGET, &stalled) > 0;
        turn->n_busy += turn->is_busy[i];
        turn->waiting = ring_pump(w->rings[i]) || stalled || turn->waiting;
    }
    turn->waiting = session_tend(w->session) || turn->waiting;
}

/* One turn of every ring that is not lent. Returns true when it did something. */
static bool serve_rings(Worker *w, bool *waiting)
{
    Turn turn = {0};

    session_lock(w->session);
    take_turn(w, &turn);
    session_unlock(w->session);
    for (unsigned i = 0; i < w->n_rings; i++) {
        if (turn.is_mine[i])
            ring_notify(w->rings[i]);
        if (ring_broken(w->rings[i]))
            fail(w, "ring %u: %s", i, ring_broken(w->rings[i]));
    }
    for (unsigned i = 0; i < w->n_rings; i++) {
        if (turn.is_mine[i] && w->threads[i])
            ring_thread_note_turn(w->threads[i], turn.is_busy[i] && turn.n_busy > 1);
    }
    if (turn.n_busy > 0)
        calm_down(w);
    *waiting = turn.waiting;
    return turn.n_busy > 0;
}

static bool any_work(void *context)
{
    Worker *w = context;

    for (unsigned i = 0; i < w->n_rings; i++) {
        if (!is_lent(w, i) && ring_has_work(w->rings[i]))
            return true;
    }
    return false;
}

/* Notes which port has fired: it is masked now. One at a time; poll() tells of the next. */
static void collect_event(Worker *w)
{
    int port = xenevtchn_pending(w->evtchn);

    for (unsigned i = 0; port >= 0 && i < w->n_rings; i++) {
        if (ring_port(w->rings[i]) != (evtchn_port_t)port)
            continue;
        w->masked[i] = true;
        ring_count_wakeup(w->rings[i]);
    }
    w->empty_events++;
}

/* How many milliseconds to leave ports masked, since events without requests come too often; -1
 * when they do not. */
static int storm_delay(Worker *w)
{
    int64_t now;

    if (w->empty_events < STORM_EVENTS)
        return -1;
    now = g_get_monotonic_time();
    if (now - w->storm_start < w->storm_slice) {
        w->in_storm = true;
        return (int)((w->storm_start + w->storm_slice - now) / 1000) + 1;
    }
    w->storm_slice = w->in_storm ? MIN(2 * w->storm_slice, MAX_STORM_SLICE_USEC) : STORM_SLICE_USEC;
    w->in_storm = false;
    w->storm_start = now;
    w->empty_events = 0;
    return -1;
}

/* How many milliseconds to sleep while something waits that no event need announce: room in a ring,
 * mostly. The longer nothing comes of looking, the longer. */
static int tend_delay(Worker *w)
{
    uint32_t published = 0;
    int delay;

    for (unsigned i = 0; i < w->n_rings; i++) {
        Channel *channel = ring_channel(w->rings[i]);

        published += channel->ops->in_published(channel);
    }
    if (published != w->published)
        w->tend_msec = TEND_MSEC;
    w->published = published;
    delay = w->tend_msec;
    w->tend_msec = MIN(2 * delay, MAX_TEND_MSEC);
    return delay;
}

/* Nobody need be told of what comes on a ring that is lent. */
static void unmask_ports(Worker *w)
{
    for (unsigned i = 0; i < w->n_rings; i++) {
        if (is_lent(w, i))
            continue;
        if (w->masked[i])
            xenevtchn_unmask(w->evtchn, ring_port(w->rings[i]));
        w->masked[i] = false;
    }
}

/* Sleeps until a descriptor is ready or `timeout` milliseconds have passed (-1: for ever), and
 * handles what came. Returns poll()'s result. */
static int wait_for_events(Worker *w, int timeout)
{
    struct pollfd fds[] = {
        {.fd = w->listen_fd, .events = POLLIN},
        {.fd = w->link_fd, .events = POLLIN},
        {.fd = w->wake_fd, .events = POLLIN},
        {.fd = w->state == LINK_STATE_READY ? xenevtchn_fd(w->evtchn) : -1, .events = POLLIN},
    };
    int ready = poll(fds, G_N_ELEMENTS(fds), timeout);
    uint64_t count;

    if (ready <= 0)
        return ready;
    if (fds[2].revents && read(w->wake_fd, &count, sizeof(count)) < 0)
        log_debug("cannot read the wake-up counter: %s", g_strerror(errno));
    if (fds[3].revents)
        collect_event(w);
    if (fds[1].revents)
        receive_messages(w);
    if (fds[0].revents)
        accept_supervisor(w);
    return ready;
}

/* Has the session let go of files that nobody uses, every REST_MSEC. */
static void rest_in_time(Worker *w)
{
    int64_t now = g_get_monotonic_time();

    if (now - w->rested_at < REST_MSEC * 1000)
        return;
    w->rested_at = now;
    session_rest(w->session);
}

/* Sleeps until there is something to do. `waiting` tells that something may happen without an
 * event. */
static void sleep_until_event(Worker *w, bool waiting)
{
    int timeout = storm_delay(w);
    bool others_work = any_lent(w);
    int throttled;

    session_lock(w->session);
    throttled = session_timeout(w->session);
    session_unlock(w->session);
    if (timeout < 0)
        unmask_ports(w);
    if (waiting)
        timeout = tend_delay(w);
    else if (timeout < 0 && (!w->trimmed || others_work))
        timeout = REST_MSEC;
    if (others_work)
        w->trimmed = false;
    if (throttled >= 0 && (timeout < 0 || throttled < timeout))
        timeout = throttled;
    rest_in_time(w);
    spin_before_sleep(&w->spin);
    if (wait_for_events(w, timeout) > 0) {
        spin_after_sleep(&w->spin);
    } else if (timeout == REST_MSEC && !others_work) {
        session_rest(w->session);
        buffer_pool_trim(w->session->buffers);
        w->trimmed = session_is_idle(w->session);
    }
}

/* Waits for the supervisor's next word. One that died before it connected has none. */
static void wait_for_setup(Worker *w)
{
    bool alone = w->link_fd < 0 && w->state == LINK_STATE_EMPTY;

    if (wait_for_events(w, alone ? ALONE_MSEC : -1) == 0)
        w->stopping = true;
}

static void serve(Worker *w)
{
    unsigned passes = 0;

    while (!w->stopping) {
        bool waiting;

        if (w->state != LINK_STATE_READY) {
            wait_for_setup(w);
        } else if (serve_rings(w, &waiting) || spin_for_work(&w->spin, any_work, w)) {
            w->trimmed = false;
            if (++passes % PASSES_PER_POLL == 0) {
                rest_in_time(w);
                wait_for_events(w, 0);
            }
        } else {
            sleep_until_event(w, waiting);
        }
    }
}

/*
 * The process
 */

/* In a pid namespace of its own this process does not know the number that others know it by; the
 * system's /proc does. */
static pid_t outer_pid(void)
{
    g_autofree char *number = g_file_read_link("/proc/self", NULL);

    return number ? atoi(number) : getpid();
}

/* What GLib has to say. Mostly that there is no memory, after which it would end this process in its own
 * way: with system calls that the sandbox takes for an attack. Nothing is allocated here. */
static void take_glib_message(const char *domain, GLogLevelFlags level, const char *text,
                              void *context)
{
    const char *memory = text ? strstr(text, "failed to allocate") : "failed to allocate a message";
    char line[LINK_TEXT_SIZE];

    (void)domain;
    if (!(level & G_LOG_LEVEL_ERROR)) {
        log_warning("%s", text);
        return;
    }
    g_snprintf(line, sizeof(line), "%s%s", memory ? "there is no more memory: it " : "",
               memory ? memory : text);
    log_error("cannot go on: %s", line);
    send_last_word(context, line);
    _exit(EXIT_FAILURE);
}

static void start_log(Worker *w)
{
    const char *target = g_getenv("XEN_9PFS_LOG_TARGET");
    const char *level = g_getenv("XEN_9PFS_LOG_LEVEL");
    int priority = level ? log_parse_level(level) : -1;

    log_init(target && strcmp(target, "syslog") == 0 ? LOG_TARGET_SOCKET : LOG_TARGET_STDERR,
             priority >= 0 ? priority : LOG_INFO);
    log_set_pid(outer_pid());
    log_set_relay(send_line, w);
    g_log_set_default_handler(take_glib_message, w);
}

static void end_on_signal(int number)
{
    _exit(128 + number);
}

/* The first process of a pid namespace is spared the default effect of signals: those that end a
 * daemon need a handler to end this one, lest it holds up the system's shutdown. */
static void handle_signals(void)
{
    static const int end_signals[] = {SIGTERM, SIGINT, SIGHUP};

    for (size_t i = 0; i < G_N_ELEMENTS(end_signals); i++)
        signal(end_signals[i], end_on_signal);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int worker_main(const Sandbox *sandbox)
{
    Worker w = {
        .sandbox = *sandbox,
        .listen_fd = LINK_LISTEN_FD,
        .link_lock = PTHREAD_MUTEX_INITIALIZER,
        .link_fd = -1,
        .wake_fd = -1,
        .state = LINK_STATE_EMPTY,
        .storm_slice = STORM_SLICE_USEC,
        .tend_msec = TEND_MSEC,
    };
    int error = sandbox_limit_process(&w.sandbox, LINK_LISTEN_FD);

    handle_signals();
    start_log(&w);
    if (error) {
        log_error("a worker cannot start: %s: %s", w.sandbox.why, g_strerror(-error));
        return EXIT_FAILURE;
    }
    error = turns_shorten();
    if (error)
        log_debug("turns stay as long as they are: %s", g_strerror(-error));
    w.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w.wake_fd < 0 || fcntl(w.listen_fd, F_SETFL, O_NONBLOCK) != 0) {
        log_error("a worker cannot start: %s", g_strerror(errno));
        return EXIT_FAILURE;
    }
    serve(&w);
    stop_serving(&w);
    log_debug("worker ends");
    return EXIT_SUCCESS;
}
