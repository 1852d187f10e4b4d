/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control: see control.h. */
#include "xen-9pfs/control.h"

#include <errno.h>
#include <glib-unix.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/record.h"
#include "xen-9pfs/link.h"

enum {
    MAX_CLIENTS = 64,
    MAX_LINE = LINK_TEXT_SIZE - 1, /* bytes of a request, which may have to go to a worker */
    PATIENCE_SECONDS = 10,         /* for a request to come, and for an answer to be read */
    PAUSE_SECONDS = 1,             /* while no connection can be accepted */
    LISTEN_BACKLOG = 64,
    ANSWER_BYTES = 1024 * 1024, /* of an answer, that the system is asked to keep */
};

typedef struct Client {
    Control *control;
    GList link; /* in its control's queue */
    int fd;
    guint source;
    guint timer;
    GString *line;   /* what came of the request */
    GString *answer; /* NULL: none yet */
    size_t sent;     /* bytes of it */
} Client;

struct Control {
    char *run_dir;
    char *path;
    int listener;
    guint source; /* accepts; 0: it pauses */
    guint pause;
    GQueue clients; /* oldest first */
    ControlAnswer answer;
    void *data;
    LogLimit failures;
};

static void clear_source(guint *source)
{
    if (*source != 0)
        g_source_remove(*source);
    *source = 0;
}

/*
 * Clients
 */

static void drop_client(Client *client)
{
    clear_source(&client->source);
    clear_source(&client->timer);
    g_queue_unlink(&client->control->clients, &client->link);
    close(client->fd);
    g_string_free(client->line, TRUE);
    if (client->answer)
        g_string_free(client->answer, TRUE);
    g_free(client);
}

static gboolean on_impatient(gpointer data)
{
    Client *client = data;

    client->timer = 0;
    drop_client(client);
    return G_SOURCE_REMOVE;
}

static void restart_timer(Client *client)
{
    clear_source(&client->timer);
    client->timer = g_timeout_add_seconds(PATIENCE_SECONDS, on_impatient, client);
}

/* Sends what the client takes now. Returns true when some is left. */
static bool send_answer(Client *client)
{
    while (client->sent < client->answer->len) {
        ssize_t sent = send(client->fd, client->answer->str + client->sent,
                            client->answer->len - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        client->sent += (size_t)sent;
        restart_timer(client);
    }
    return false;
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data)
{
    Client *client = data;

    (void)fd;
    (void)condition;
    if (send_answer(client))
        return G_SOURCE_CONTINUE;
    client->source = 0;
    drop_client(client);
    return G_SOURCE_REMOVE;
}

/* Answers with what is in client->answer. It may be gone afterwards. */
static void begin_answer(Client *client)
{
    clear_source(&client->source);
    if (send_answer(client))
        client->source = g_unix_fd_add(client->fd, G_IO_OUT, on_writable, client);
    else
        drop_client(client);
}

static void refuse(Client *client, const char *text)
{
    client->answer = g_string_new(NULL);
    record_error(client->answer, text);
    begin_answer(client);
}

/* The request is there. The client may be gone afterwards. */
static void run_request(Client *client)
{
    g_auto(GStrv) words = record_split_request(client->line->str);
    ControlCall call = {.words = words, .line = client->line->str, .client = client->fd};

    if (!words) {
        refuse(client, "the request is malformed");
        return;
    }
    call.answer = client->answer = g_string_new(NULL);
    client->control->answer(&call, client->control->data);
    if (call.passed)
        drop_client(client);
    else
        begin_answer(client);
}

/* Takes `size` bytes. Returns false when the client may be gone. What comes behind a request counts
 * for nothing. */
static bool take_bytes(Client *client, const char *bytes, size_t size)
{
    const char *end = memchr(bytes, '\n', size);

    g_string_append_len(client->line, bytes, end ? end - bytes : (gssize)size);
    if (client->line->len > MAX_LINE)
        refuse(client, "the request is longer than 511 bytes");
    else if (strlen(client->line->str) < client->line->len)
        refuse(client, "the request is malformed");
    else if (end)
        run_request(client);
    else
        return true;
    return false;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    Client *client = data;
    char bytes[MAX_LINE + 1];
    ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    (void)condition;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (got <= 0)
        drop_client(client);
    else
        take_bytes(client, bytes, (size_t)got);
    return G_SOURCE_CONTINUE; /* of a source that may have been removed by now */
}

/* Who came first and still says nothing, or does not read, makes room. */
static void make_room(Control *control)
{
    Client *oldest = g_queue_peek_head(&control->clients);

    if (!oldest->answer)
        refuse(oldest, "there are too many connections");
    if (g_queue_peek_head(&control->clients) == oldest)
        drop_client(oldest);
}

/* The answer of a worker, which does not wait for the client, had best fit. */
static void enlarge_buffer(int fd)
{
    int size = ANSWER_BYTES;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void add_client(Control *control, int fd)
{
    Client *client = g_new0(Client, 1);

    if (control->clients.length == MAX_CLIENTS)
        make_room(control);
    client->control = control;
    client->fd = fd;
    client->line = g_string_new(NULL);
    client->link.data = client;
    client->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, client);
    restart_timer(client);
    enlarge_buffer(fd);
    g_queue_push_tail_link(&control->clients, &client->link);
}

/*
 * The socket
 */

static gboolean on_connection(gint fd, GIOCondition condition, gpointer data);

static void start_accepting(Control *control)
{
    control->source = g_unix_fd_add(control->listener, G_IO_IN, on_connection, control);
}

static gboolean on_pause_over(gpointer data)
{
    Control *control = data;

    control->pause = 0;
    start_accepting(control);
    return G_SOURCE_REMOVE;
}

/* A connection that cannot be accepted stays: to try again at once would go round for ever. */
static gboolean on_connection(gint fd, GIOCondition condition, gpointer data)
{
    Control *control = data;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)condition;
    if (client >= 0)
        add_client(control, client);
    if (client >= 0 || errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return G_SOURCE_CONTINUE;
    log_limited(&control->failures, LOG_WARNING, "cannot accept a control connection: %s",
                g_strerror(errno));
    control->source = 0;
    control->pause = g_timeout_add_seconds(PAUSE_SECONDS, on_pause_over, control);
    return G_SOURCE_REMOVE;
}

static bool set_errno_error(GError **error, const char *what, const char *path)
{
    g_set_error(error, G_FILE_ERROR, errno, "cannot %s %s: %s", what, path, g_strerror(errno));
    return false;
}

/* Nobody can connect before listen(), so that nobody gets in by the mode that bind() gives. */
static bool listen_at(Control *control, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(control->path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return set_errno_error(error, "create", control->path);
    }
    memcpy(address.sun_path, control->path, strlen(control->path) + 1);
    unlink(control->path);
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->listener < 0 ||
        bind(control->listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(control->path, 0600) != 0 || listen(control->listener, LISTEN_BACKLOG) != 0)
        return set_errno_error(error, "listen at", control->path);
    return true;
}

Control *control_new(const char *run_dir, ControlAnswer answer, void *data, GError **error)
{
    Control *control = g_new0(Control, 1);

    control->run_dir = g_strdup(run_dir);
    control->path = g_build_filename(run_dir, CONTROL_SOCKET, NULL);
    control->listener = -1;
    control->answer = answer;
    control->data = data;
    g_queue_init(&control->clients);
    log_limit_init(&control->failures);
    if (!listen_at(control, error)) {
        control_free(control);
        return NULL;
    }
    start_accepting(control);
    return control;
}

void control_free(Control *control)
{
    if (!control)
        return;
    while (control->clients.length > 0)
        drop_client(g_queue_peek_head(&control->clients));
    clear_source(&control->source);
    clear_source(&control->pause);
    if (control->listener >= 0) {
        unlink(control->path);
        close(control->listener);
    }
    log_limit_deinit(&control->failures);
    g_free(control->path);
    g_free(control->run_dir);
    g_free(control);
}

static bool find_group(const char *name, gid_t *gid, GError **error)
{
    const struct group *group;

    errno = 0;
    group = getgrnam(name);
    if (!group) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "control-group: there is no group \"%s\"", name);
        return false;
    }
    *gid = group->gr_gid;
    return true;
}

/* Members of another group than root's must be able to enter the run folder. They cannot list it, and
 * the other sockets in it are for this user only. Without such a group it is closed again. */
static bool admit_to_run_dir(const Control *control, gid_t gid, GError **error)
{
    struct stat info;

    if (stat(control->run_dir, &info) != 0)
        return set_errno_error(error, "look at the run folder", control->run_dir);
    if (gid == 0 && info.st_gid == 0)
        return true;
    if (chown(control->run_dir, (uid_t)-1, gid) != 0 ||
        chmod(control->run_dir, gid == 0 ? 0700 : 0710) != 0)
        return set_errno_error(error, "open the run folder", control->run_dir);
    return true;
}

bool control_set_group(Control *control, const char *name, GError **error)
{
    gid_t gid = 0;

    if (name && !find_group(name, &gid, error))
        return false;
    if (chown(control->path, (uid_t)-1, gid) != 0)
        return !name && errno == EPERM ? true
                                       : set_errno_error(error, "set the group of", control->path);
    if (!admit_to_run_dir(control, gid, error))
        return false;
    if (chmod(control->path, 0660) != 0)
        return set_errno_error(error, "set the mode of", control->path);
    return true;
}
