/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control: see control.h. */
#include "xen-9pfs/tool/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "control"

enum {
    MAX_UNANSWERED = 8, /* requests that wait for the beginning of their answers at a time */
    CONNECT_LIMIT_MS = 5000,
    READ_SIZE = 64 * 1024,
    MAX_LINE = 1024 * 1024,
    MAX_ANSWER = 16 * 1024 * 1024,
};

/* A request that has been sent. */
typedef struct Conversation {
    Query *query;
    int fd;         /* -1: over */
    int64_t end_us; /* monotonic; 0: has no end */
    bool answered;  /* the first line has come */
    size_t n_bytes; /* of the records */
    GString *line;  /* its beginning, so far */
} Conversation;

/* All of a call of control_run(). */
typedef struct Run {
    const Tool *tool;
    Query *const *queries;
    size_t n_queries;
    size_t n_started;
    int limit_ms;
    QuerySink sink;
    void *data;
    bool stopped; /* the sink has had enough */
    GPtrArray *conversations;
} Run;

Query *query_new(const char *command, const char *device, const char *const *settings)
{
    Query *query = g_new0(Query, 1);
    GString *request = g_string_new(command);

    if (device != NULL) {
        g_string_append_c(request, ' ');
        record_escape_word(request, device);
    }
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++) {
        g_string_append_c(request, ' ');
        record_escape_word(request, settings[i]);
    }
    g_string_append_c(request, '\n');
    query->request = g_string_free(request, FALSE);
    query->records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    return query;
}

void query_free(Query *query)
{
    if (query == NULL)
        return;
    g_ptr_array_unref(query->records);
    g_free(query->request);
    g_free(query->error);
    g_free(query);
}

const Record *query_find(const Query *query, const char *kind)
{
    for (guint i = 0; i < query->records->len; i++) {
        const Record *record = g_ptr_array_index(query->records, i);

        if (record_is(record, kind))
            return record;
    }
    return NULL;
}

static void G_GNUC_PRINTF(3, 4) query_end(Query *query, QueryStatus status, const char *format, ...)
{
    va_list args;

    query->status = status;
    g_free(query->error);
    va_start(args, format);
    query->error = g_strdup_vprintf(format, args);
    va_end(args);
}

static void fail_to_connect(Query *query, const char *path, int error)
{
    switch (error) {
    case ENOENT:
        query_end(query, QUERY_FAILED,
                  "the daemon does not run, or is too old: there is no %s; start it with "
                  "\"systemctl start xen-9pfsd\"",
                  path);
        break;
    case ECONNREFUSED:
        query_end(query, QUERY_FAILED,
                  "the daemon does not run: nobody listens at %s; start it with "
                  "\"systemctl start xen-9pfsd\"",
                  path);
        break;
    case EACCES:
    case EPERM:
        query_end(query, QUERY_FAILED,
                  "you may not use %s: be root, or a member of the group that the daemon's "
                  "configuration allows",
                  path);
        break;
    case EAGAIN:
        query_end(query, QUERY_FAILED, "the daemon runs, but does not take connections at %s",
                  path);
        break;
    default:
        query_end(query, QUERY_FAILED, "cannot connect to %s: %s", path, g_strerror(error));
    }
}

/* The limit also holds for connecting, which waits while the daemon has a queue of others. */
static void set_limit(int fd, int limit_ms)
{
    struct timeval limit = {.tv_sec = limit_ms / 1000, .tv_usec = limit_ms % 1000 * 1000};

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* Returns the socket, or -1 when the query has failed. */
static int connect_to_daemon(const Tool *tool, Query *query)
{
    g_autofree char *path = g_build_filename(tool->run_dir, SOCKET_NAME, NULL);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
        query_end(query, QUERY_FAILED, "the name of the socket is too long: %s", path);
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        query_end(query, QUERY_FAILED, "cannot make a socket: %s", g_strerror(errno));
        return -1;
    }
    set_limit(fd, CONNECT_LIMIT_MS);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        fail_to_connect(query, path, errno);
        close(fd);
        return -1;
    }
    return fd;
}

/* A daemon that refuses the connection may have closed it before it saw the request: what it has
 * said is then still to be read. */
static bool send_request(int fd, Query *query)
{
    size_t size = strlen(query->request);
    ssize_t sent = send(fd, query->request, size, MSG_NOSIGNAL);

    if (sent == (ssize_t)size || (sent < 0 && (errno == EPIPE || errno == ECONNRESET)))
        return true;
    query_end(query, QUERY_FAILED, "cannot send the request to the daemon: %s",
              sent < 0 ? g_strerror(errno) : "it was cut");
    return false;
}

static void conversation_close(Conversation *conversation)
{
    if (conversation->fd >= 0)
        close(conversation->fd);
    conversation->fd = -1;
}

static void conversation_free(gpointer data)
{
    Conversation *conversation = data;

    conversation_close(conversation);
    g_string_free(conversation->line, TRUE);
    g_free(conversation);
}

static void start(Run *run, Query *query)
{
    Conversation *conversation = g_new0(Conversation, 1);

    query->status = QUERY_PENDING;
    conversation->query = query;
    conversation->line = g_string_new(NULL);
    conversation->fd = connect_to_daemon(run->tool, query);
    if (run->limit_ms >= 0)
        conversation->end_us = g_get_monotonic_time() + (int64_t)run->limit_ms * 1000;
    g_ptr_array_add(run->conversations, conversation);
    if (conversation->fd < 0)
        return;
    if (!send_request(conversation->fd, query))
        conversation_close(conversation);
    else
        fcntl(conversation->fd, F_SETFL, O_NONBLOCK);
}

static void take_first_line(Conversation *conversation, const char *line)
{
    static const char error[] = "error ";
    Query *query = conversation->query;

    conversation->answered = true;
    if (strcmp(line, "ok") == 0)
        return;
    conversation_close(conversation);
    if (g_str_has_prefix(line, error)) {
        g_autofree char *text = record_parse_value(line + sizeof(error) - 1);

        query_end(query, QUERY_REFUSED, "%s", text);
    } else {
        query_end(query, QUERY_FAILED, "what came is no answer");
    }
}

static void take_record(Run *run, Conversation *conversation, const char *line)
{
    Record *record = record_parse(line);

    if (record == NULL)
        return;
    if (run->sink != NULL) {
        run->stopped = !run->sink(conversation->query, record, run->data);
    } else if ((conversation->n_bytes += strlen(line)) <= MAX_ANSWER) {
        g_ptr_array_add(conversation->query->records, record);
    } else {
        record_free(record);
        conversation_close(conversation);
        query_end(conversation->query, QUERY_CUT, "the answer is too long: the rest is left out");
    }
}

static void take_line(Run *run, Conversation *conversation, const char *line)
{
    if (!conversation->answered) {
        take_first_line(conversation, line);
    } else if (strcmp(line, "end") == 0) {
        conversation->query->status = QUERY_COMPLETE;
        conversation_close(conversation);
    } else {
        take_record(run, conversation, line);
    }
}

/* Takes the whole lines of what was read. */
static void take_bytes(Run *run, Conversation *conversation, const char *bytes, size_t size)
{
    const char *newline;

    while (conversation->fd >= 0 && !run->stopped &&
           (newline = memchr(bytes, '\n', size)) != NULL) {
        size_t length = (size_t)(newline - bytes);

        g_string_append_len(conversation->line, bytes, (gssize)length);
        take_line(run, conversation, conversation->line->str);
        g_string_truncate(conversation->line, 0);
        bytes += length + 1;
        size -= length + 1;
    }
    if (conversation->fd < 0 || run->stopped)
        return;
    g_string_append_len(conversation->line, bytes, (gssize)size);
    if (conversation->line->len > MAX_LINE) {
        conversation_close(conversation);
        query_end(conversation->query, conversation->answered ? QUERY_CUT : QUERY_FAILED,
                  "the answer has a line that does not end");
    }
}

static void take_end(Conversation *conversation, int error)
{
    Query *query = conversation->query;

    conversation_close(conversation);
    if (!conversation->answered)
        query_end(query, QUERY_FAILED, "the connection was closed without an answer");
    else if (error != 0)
        query_end(query, QUERY_CUT, "the answer was cut off: %s", g_strerror(error));
    else
        query_end(query, QUERY_CUT, "the answer was cut off");
}

static void receive(Run *run, Conversation *conversation)
{
    char bytes[READ_SIZE];
    ssize_t size = recv(conversation->fd, bytes, sizeof(bytes), 0);

    if (size > 0)
        take_bytes(run, conversation, bytes, (size_t)size);
    else if (size == 0)
        take_end(conversation, 0);
    else if (errno != EAGAIN && errno != EINTR)
        take_end(conversation, errno);
}

static void expire(Run *run, Conversation *conversation)
{
    conversation_close(conversation);
    query_end(conversation->query, QUERY_LATE, "no answer within %.1f s%s", run->limit_ms / 1000.0,
              conversation->answered ? ": it is not complete" : "");
}

static size_t count_unanswered(const Run *run)
{
    size_t n = 0;

    for (guint i = 0; i < run->conversations->len; i++) {
        const Conversation *conversation = g_ptr_array_index(run->conversations, i);

        if (conversation->fd >= 0 && !conversation->answered)
            n++;
    }
    return n;
}

/* Fills `fds`, one for each conversation. Returns how long to wait, as for poll(); 0 when none is
 * open. */
static int prepare_poll(const Run *run, struct pollfd *fds)
{
    int64_t now = g_get_monotonic_time();
    int64_t wait_us = -1;
    bool open = false;

    for (guint i = 0; i < run->conversations->len; i++) {
        const Conversation *conversation = g_ptr_array_index(run->conversations, i);

        fds[i] = (struct pollfd){.fd = conversation->fd, .events = POLLIN};
        if (conversation->fd < 0)
            continue;
        open = true;
        if (conversation->end_us != 0) {
            int64_t left = MAX(conversation->end_us - now, 0);

            wait_us = wait_us < 0 ? left : MIN(wait_us, left);
        }
    }
    return !open ? 0 : wait_us < 0 ? -1 : (int)((wait_us + 999) / 1000);
}

/* Waits until something comes or a time limit passes, and sees to all that has. */
static void turn(Run *run)
{
    g_autofree struct pollfd *fds = g_new0(struct pollfd, run->conversations->len);
    int64_t now;

    if (poll(fds, run->conversations->len, prepare_poll(run, fds)) < 0)
        return;
    now = g_get_monotonic_time();
    for (guint i = 0; i < run->conversations->len && !run->stopped; i++) {
        Conversation *conversation = g_ptr_array_index(run->conversations, i);

        if (conversation->fd >= 0 && fds[i].revents != 0)
            receive(run, conversation);
        if (conversation->fd >= 0 && conversation->end_us != 0 && now >= conversation->end_us)
            expire(run, conversation);
    }
}

static bool is_open(const Run *run)
{
    for (guint i = 0; i < run->conversations->len; i++) {
        const Conversation *conversation = g_ptr_array_index(run->conversations, i);

        if (conversation->fd >= 0)
            return true;
    }
    return false;
}

void control_run(const Tool *tool, Query *const *queries, size_t n_queries, int limit_ms,
                 QuerySink sink, void *data)
{
    Run run = {
        .tool = tool,
        .queries = queries,
        .n_queries = n_queries,
        .limit_ms = limit_ms,
        .sink = sink,
        .data = data,
        .conversations = g_ptr_array_new_with_free_func(conversation_free),
    };

    while (!run.stopped && (run.n_started < n_queries || is_open(&run))) {
        while (run.n_started < n_queries && count_unanswered(&run) < MAX_UNANSWERED)
            start(&run, queries[run.n_started++]);
        turn(&run);
    }
    g_ptr_array_unref(run.conversations);
}

Query *control_ask_daemon(const Tool *tool, const char *command)
{
    g_autoptr(Query) query = query_new(command, NULL, NULL);

    control_run(tool, &query, 1, CONTROL_DAEMON_LIMIT_MS, NULL, NULL);
    if (query->status == QUERY_COMPLETE)
        return g_steal_pointer(&query);
    tool_error("%s", query->error);
    return NULL;
}
