/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-in for libxenstore: each call is one exchange with the broker.
 *
 * Watch events come through a socket of their own, one packet (path, NUL, token, NUL) for each,
 * which is the descriptor that xs_fileno() gives out: it is readable exactly while events wait.
 */
#include "tests/standin/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenstore.h>

enum { EVENT_SIZE_MAX = XENSTORE_ABS_PATH_MAX + 2 * XENSTORE_PAYLOAD_MAX };

struct xs_handle {
    CoreHandle *core;
    int event_fd;  /* events are read from here */
    int filter_fd; /* the other end, to put events back; -1 without XS_UNWATCH_FILTER */
};

/* Makes the pair of sockets and hands the writing end to the broker. */
static int handle_register(struct xs_handle *h, bool filter)
{
    int pair[2];
    int result;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    h->event_fd = pair[0];
    core_begin(h->core, WIRE_XS_OPEN);
    result = core_exchange(h->core, pair[1], NULL);
    core_end(h->core);
    if (filter)
        h->filter_fd = pair[1];
    else
        close(pair[1]);
    return result;
}

struct xs_handle *xs_open(unsigned long flags)
{
    CoreHandle *core = core_open(__func__);
    struct xs_handle *h;

    if (!core)
        return NULL;
    h = g_new0(struct xs_handle, 1);
    h->core = core;
    h->event_fd = h->filter_fd = -1;
    if (handle_register(h, flags & XS_UNWATCH_FILTER) != 0) {
        int error = errno;
        xs_close(h);
        errno = error;
        return NULL;
    }
    return h;
}

void xs_close(struct xs_handle *xsh)
{
    if (!xsh)
        return;
    core_close(xsh->core);
    if (xsh->event_fd >= 0)
        close(xsh->event_fd);
    if (xsh->filter_fd >= 0)
        close(xsh->filter_fd);
    g_free(xsh);
}

struct xs_handle *xs_daemon_open(void)
{
    return xs_open(0);
}

struct xs_handle *xs_domain_open(void)
{
    return xs_open(0);
}

struct xs_handle *xs_daemon_open_readonly(void)
{
    return xs_open(0);
}

void xs_daemon_close(struct xs_handle *h)
{
    xs_close(h);
}

void xs_daemon_destroy_postfork(struct xs_handle *h)
{
    xs_close(h);
}

/* Sends `op` for `path` with `size` bytes of `data` behind its end. The caller then holds the
 * reply and must call core_end(). Returns 0, or -1 with errno set. */
static int path_request(struct xs_handle *h, WireOp op, xs_transaction_t t, const char *path,
                        const void *data, size_t size)
{
    WireMessage *message = core_begin(h->core, op);

    message->args[0] = t;
    if (!wire_append(message, path, strlen(path) + 1) || !wire_append(message, data, size)) {
        errno = E2BIG;
        return -1;
    }
    return core_exchange(h->core, -1, NULL);
}

/* A request that has no result but success. */
static bool path_call(struct xs_handle *h, WireOp op, xs_transaction_t t, const char *path,
                      const void *data, size_t size)
{
    int result = path_request(h, op, t, path, data, size);

    core_end(h->core);
    return result == 0;
}

/* A request whose result is bytes: a copy of them with a NUL behind, or NULL. */
static void *path_fetch(struct xs_handle *h, WireOp op, xs_transaction_t t, const char *path,
                        uint32_t *size)
{
    char *copy = NULL;

    if (path_request(h, op, t, path, NULL, 0) == 0) {
        *size = h->core->message->size;
        copy = malloc((size_t)*size + 1);
        if (copy) {
            memcpy(copy, h->core->message->payload, *size);
            copy[*size] = '\0';
        }
    }
    core_end(h->core);
    return copy;
}

/* An array of `count` strings, and the strings, in one block. */
static char **string_array(const char *strings, size_t size, unsigned count)
{
    char **array = malloc(count * sizeof(char *) + size + 1);
    char *next;

    if (!array)
        return NULL;
    next = memcpy((char *)(array + count), strings, size);
    for (unsigned i = 0; i < count; i++) {
        array[i] = next;
        next += strlen(next) + 1;
    }
    return array;
}

static unsigned count_strings(const char *strings, size_t size)
{
    unsigned count = 0;

    for (size_t i = 0; i < size; i++)
        count += strings[i] == '\0';
    return count;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
    uint32_t size;
    char *names;
    char **array;

    if (core_fault(h->core, __func__))
        return NULL;
    names = path_fetch(h, WIRE_XS_DIRECTORY, t, path, &size);
    if (!names)
        return NULL;
    *num = count_strings(names, size);
    array = string_array(names, size, *num);
    free(names);
    return array;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
    unsigned int size;

    if (core_fault(h->core, __func__))
        return NULL;
    return path_fetch(h, WIRE_XS_READ, t, path, len ? len : &size);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
              unsigned int len)
{
    return !core_fault(h->core, __func__) && path_call(h, WIRE_XS_WRITE, t, path, data, len);
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
    return !core_fault(h->core, __func__) && path_call(h, WIRE_XS_MKDIR, t, path, NULL, 0);
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
    return !core_fault(h->core, __func__) && path_call(h, WIRE_XS_RM, t, path, NULL, 0);
}

bool xs_restrict(struct xs_handle *h, unsigned domid)
{
    (void)h;
    (void)domid;
    return false;
}

struct xs_permissions *xs_get_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
                                          unsigned int *num)
{
    uint32_t size;
    void *perms;

    if (core_fault(h->core, __func__))
        return NULL;
    perms = path_fetch(h, WIRE_XS_GET_PERMS, t, path, &size);
    if (perms)
        *num = size / (uint32_t)sizeof(struct xs_permissions);
    return perms;
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
                        struct xs_permissions *perms, unsigned int num_perms)
{
    return !core_fault(h->core, __func__) &&
           path_call(h, WIRE_XS_SET_PERMS, t, path, perms, num_perms * sizeof(*perms));
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
    return !core_fault(h->core, __func__) &&
           path_call(h, WIRE_XS_WATCH, 0, path, token, strlen(token) + 1);
}

int xs_fileno(struct xs_handle *h)
{
    return h->event_fd;
}

static char **receive_event(struct xs_handle *h, int flags)
{
    char event[EVENT_SIZE_MAX];
    ssize_t size;

    do {
        size = recv(h->event_fd, event, sizeof(event), flags);
    } while (size < 0 && errno == EINTR);
    if (size <= 0) {
        errno = size == 0 ? EBADF : errno;
        return NULL;
    }
    return string_array(event, (size_t)size, 2);
}

char **xs_check_watch(struct xs_handle *h)
{
    return core_fault(h->core, __func__) ? NULL : receive_event(h, MSG_DONTWAIT);
}

char **xs_read_watch(struct xs_handle *h, unsigned int *num)
{
    char **event = core_fault(h->core, __func__) ? NULL : receive_event(h, 0);

    if (event)
        *num = 2;
    return event;
}

/* Drops waiting events with `token` for `path` or below; the others are put back. */
static void filter_events(struct xs_handle *h, const char *path, const char *token)
{
    GPtrArray *kept = g_ptr_array_new_with_free_func(free);
    char **event;

    while ((event = receive_event(h, MSG_DONTWAIT))) {
        if (strcmp(event[1], token) == 0 && xs_path_is_subpath(path, event[0]))
            free(event);
        else
            g_ptr_array_add(kept, event);
    }
    for (unsigned i = 0; i < kept->len; i++) {
        char **put_back = g_ptr_array_index(kept, i);
        size_t size = (size_t)(put_back[1] - put_back[0]) + strlen(put_back[1]) + 1;
        send(h->filter_fd, put_back[0], size, MSG_NOSIGNAL);
    }
    g_ptr_array_free(kept, TRUE);
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
    if (core_fault(h->core, __func__) ||
        !path_call(h, WIRE_XS_UNWATCH, 0, path, token, strlen(token) + 1))
        return false;
    if (h->filter_fd >= 0)
        filter_events(h, path, token);
    return true;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    uint32_t id;

    if (core_fault(h->core, __func__))
        return XBT_NULL;
    return core_call(h->core, WIRE_XS_TRANSACTION_START, 0, 0, &id) == 0 ? id : XBT_NULL;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort_it)
{
    if (core_fault(h->core, __func__)) {
        int error = errno;
        core_call(h->core, WIRE_XS_TRANSACTION_END, t, true, NULL);
        errno = error;
        return false;
    }
    return core_call(h->core, WIRE_XS_TRANSACTION_END, t, abort_it, NULL) == 0;
}

char *xs_get_domain_path(struct xs_handle *h, unsigned int domid)
{
    char *path;

    if (core_fault(h->core, __func__) || asprintf(&path, "/local/domain/%u", domid) < 0)
        return NULL;
    return path;
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
    uint32_t introduced;

    if (core_fault(h->core, __func__) ||
        core_call(h->core, WIRE_XS_IS_INTRODUCED, 0, domid, &introduced) != 0)
        return false;
    return introduced != 0;
}

bool xs_path_is_subpath(const char *parent, const char *child)
{
    size_t length = strlen(parent);

    return strcmp(parent, "/") == 0 ||
           (strncmp(parent, child, length) == 0 && (child[length] == '/' || child[length] == '\0'));
}
