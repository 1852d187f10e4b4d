/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers: see answer.h. Everything but the queue of new clients belongs to the thread. */
#include "xen-9pfs/answer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/record.h"
#include "xen-9pfs/answer_records.h"

/* #syscalls close poll ppoll read write
 * send() is in sandbox.c, without an address. */

enum {
    MAX_CLIENTS = 32, /* that are being answered, and as many that wait for their turn */
    IDLE_USEC = 10 * 1000 * 1000, /* in which a client must read something */
};

/* One that is being answered. The answer of a tracer has no end. */
typedef struct Client {
    int fd;
    GString *text;
    size_t sent;      /* bytes of it */
    int64_t deadline; /* monotonic microseconds; of a tracer there is none */
    int tracer;       /* its number, or -1 */
} Client;

/* One that has just come. */
typedef struct Caller {
    int fd;
    char *request;
} Caller;

struct Answers {
    AnswerSource source;
    int wake_fd; /* an eventfd, for the thread */
    pthread_t thread;
    bool has_thread;
    Client clients[MAX_CLIENTS];
    unsigned n_clients;

    pthread_mutex_t lock; /* guards: */
    GQueue callers;
    bool ending;
};

static void wake(void *context)
{
    Answers *a = context;
    uint64_t one = 1;
    ssize_t written = write(a->wake_fd, &one, sizeof(one));

    (void)written; /* a counter that is full wakes, too */
}

Answers *answers_new(const AnswerSource *source)
{
    Answers *a = g_new0(Answers, 1);

    a->source = *source;
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&a->lock, NULL);
    g_queue_init(&a->callers);
    tracers_set_ready(&source->session->tracers, wake, a);
    return a;
}

static void free_caller(gpointer data)
{
    Caller *caller = data;

    if (caller->fd >= 0)
        close(caller->fd);
    g_free(caller->request);
    g_free(caller);
}

static void free_client(Answers *a, Client *client)
{
    if (client->tracer >= 0)
        tracers_remove(&a->source.session->tracers, client->tracer);
    close(client->fd);
    g_string_free(client->text, TRUE);
}

static void remove_client(Answers *a, unsigned index)
{
    free_client(a, &a->clients[index]);
    a->clients[index] = a->clients[--a->n_clients];
}

/* Takes what has happened since the last time, when the client has all of before. */
static void refill_text(Answers *a, Client *client)
{
    if (client->tracer < 0 || client->sent < client->text->len)
        return;
    g_string_truncate(client->text, 0);
    client->sent = 0;
    tracers_take(&a->source.session->tracers, client->tracer, client->text);
}

/* Sends as much as the client takes now. Returns false when there is nothing more to do for it. */
static bool push_text(Answers *a, Client *client)
{
    for (;;) {
        ssize_t sent;

        refill_text(a, client);
        if (client->sent == client->text->len)
            return client->tracer >= 0;
        sent = send(client->fd, client->text->str + client->sent, client->text->len - client->sent,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        client->sent += (size_t)sent;
        client->deadline = g_get_monotonic_time() + IDLE_USEC;
    }
}

/* Begins to answer. */
static void add_client(Answers *a, Caller *caller)
{
    Client *client = &a->clients[a->n_clients++];

    *client = (Client){
        .fd = caller->fd,
        .text = g_string_new(NULL),
        .deadline = g_get_monotonic_time() + IDLE_USEC,
        .tracer = -1,
    };
    caller->fd = -1;
    client->tracer = answer_request(&a->source, caller->request, client->text);
    if (!push_text(a, client))
        remove_client(a, a->n_clients - 1);
}

static Caller *next_caller(Answers *a)
{
    Caller *caller = NULL;

    pthread_mutex_lock(&a->lock);
    if (a->n_clients < MAX_CLIENTS)
        caller = g_queue_pop_head(&a->callers);
    pthread_mutex_unlock(&a->lock);
    return caller;
}

static void admit_callers(Answers *a)
{
    Caller *caller;

    while ((caller = next_caller(a))) {
        add_client(a, caller);
        free_caller(caller);
    }
}

/* Serves those whom poll() has something for, and cuts off who does not read. */
static void serve_clients(Answers *a, const struct pollfd fds[])
{
    int64_t now = g_get_monotonic_time();

    for (unsigned i = a->n_clients; i-- > 0;) {
        Client *client = &a->clients[i];
        bool goes_on = client->tracer >= 0 || now < client->deadline;

        if (fds[i].revents & (POLLERR | POLLHUP))
            goes_on = false;
        if (goes_on && (fds[i].revents || client->tracer >= 0))
            goes_on = push_text(a, client);
        if (!goes_on)
            remove_client(a, i);
    }
}

/* In how many milliseconds somebody must be cut off, as poll() takes it. */
static int next_deadline(const Answers *a)
{
    int64_t first = INT64_MAX;

    for (unsigned i = 0; i < a->n_clients; i++) {
        if (a->clients[i].tracer < 0)
            first = MIN(first, a->clients[i].deadline);
    }
    if (first == INT64_MAX)
        return -1;
    return (int)(MAX(first - g_get_monotonic_time(), 0) / 1000) + 1;
}

static void wait_for_clients(Answers *a)
{
    struct pollfd fds[MAX_CLIENTS + 1];
    uint64_t count;

    for (unsigned i = 0; i < a->n_clients; i++) {
        const Client *client = &a->clients[i];
        bool has_text = client->sent < client->text->len;

        fds[i] = (struct pollfd){.fd = client->fd, .events = has_text ? POLLOUT : 0};
    }
    fds[a->n_clients] = (struct pollfd){.fd = a->wake_fd, .events = POLLIN};
    if (poll(fds, a->n_clients + 1, next_deadline(a)) < 0)
        return;
    if (fds[a->n_clients].revents && read(a->wake_fd, &count, sizeof(count)) < 0)
        log_debug("cannot read the wake-up counter: %s", g_strerror(errno));
    serve_clients(a, fds);
}

static bool is_ending(Answers *a)
{
    bool ending;

    pthread_mutex_lock(&a->lock);
    ending = a->ending;
    pthread_mutex_unlock(&a->lock);
    return ending;
}

static void *answer(void *argument)
{
    Answers *a = argument;

    while (!is_ending(a)) {
        admit_callers(a);
        wait_for_clients(a);
    }
    return NULL;
}

static bool start_thread(Answers *a)
{
    if (!a->has_thread)
        a->has_thread = pthread_create(&a->thread, NULL, answer, a) == 0;
    return a->has_thread;
}

/* Says why there is no answer. A connection that is new has room for that. */
static void refuse(int client, const char *why)
{
    g_autoptr(GString) text = g_string_new(NULL);
    ssize_t sent;

    record_error(text, why);
    sent = send(client, text->str, text->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* who has gone meanwhile need not know */
    close(client);
}

/* Returns false when there are too many already. */
static bool push_caller(Answers *a, int client, const char *request)
{
    bool room;

    pthread_mutex_lock(&a->lock);
    room = g_queue_get_length(&a->callers) < MAX_CLIENTS;
    if (room) {
        Caller *caller = g_new0(Caller, 1);

        caller->fd = client;
        caller->request = g_strdup(request);
        g_queue_push_tail(&a->callers, caller);
    }
    pthread_mutex_unlock(&a->lock);
    return room;
}

void answers_take(Answers *a, int client, const char *request)
{
    if (!start_thread(a))
        refuse(client, "the worker cannot start a thread to answer");
    else if (!push_caller(a, client, request))
        refuse(client, "the worker has too many clients to answer");
    else
        wake(a);
}

void answers_free(Answers *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->ending = true;
    pthread_mutex_unlock(&a->lock);
    wake(a);
    if (a->has_thread)
        pthread_join(a->thread, NULL);
    tracers_set_ready(&a->source.session->tracers, NULL, NULL);
    while (a->n_clients > 0) {
        push_text(a, &a->clients[0]); /* a tracer's last lines */
        remove_client(a, 0);
    }
    g_queue_clear_full(&a->callers, free_caller);
    if (a->wake_fd >= 0)
        close(a->wake_fd);
    pthread_mutex_destroy(&a->lock);
    g_free(a);
}
