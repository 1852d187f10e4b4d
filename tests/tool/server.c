/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Server: see server.h. */
#include "tests/tool/server.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL_TIMEOUT 60

enum { BACKLOG = 64, MAX_REQUEST = 4096 };

typedef struct Answer {
    char *request;
    GBytes *bytes;
    ServerEnd end;
    unsigned count; /* how often it was asked for */
} Answer;

/* A connection whose answer is being sent. */
typedef struct Client {
    int fd;
    GString *request; /* as far as it has come; NULL: the whole of it has */
    GBytes *bytes;    /* NULL: not known yet */
    size_t sent;
    ServerEnd end;
} Client;

struct Server {
    char *run_dir;
    char *socket;
    int listener;
    int stop[2]; /* a pipe: readable when the thread is to end */
    pthread_t thread;
    pthread_mutex_t lock; /* of the answers */
    GPtrArray *answers;
    GPtrArray *replaced; /* GBytes that live on: ThreadSanitizer does not see GLib's references */
    GPtrArray *clients; /* the thread's */
};

static void answer_free(gpointer data)
{
    Answer *answer = data;

    g_free(answer->request);
    g_bytes_unref(answer->bytes);
    g_free(answer);
}

static void client_free(gpointer data)
{
    Client *client = data;

    close(client->fd);
    if (client->request != NULL)
        g_string_free(client->request, TRUE);
    g_clear_pointer(&client->bytes, g_bytes_unref);
    g_free(client);
}

static Answer *find_answer(const Server *server, const char *request)
{
    for (guint i = 0; i < server->answers->len; i++) {
        Answer *answer = g_ptr_array_index(server->answers, i);

        if (strcmp(answer->request, request) == 0)
            return answer;
    }
    return NULL;
}

static void choose_answer(Server *server, Client *client)
{
    Answer *answer;

    pthread_mutex_lock(&server->lock);
    answer = find_answer(server, client->request->str);
    if (answer != NULL) {
        answer->count++;
        client->bytes = g_bytes_ref(answer->bytes);
        client->end = answer->end;
    } else {
        client->bytes = g_bytes_new(NULL, 0);
    }
    pthread_mutex_unlock(&server->lock);
    g_string_free(client->request, TRUE);
    client->request = NULL;
}

/* Returns false when the client has gone. */
static bool read_request(Server *server, Client *client)
{
    char bytes[MAX_REQUEST];
    ssize_t size = recv(client->fd, bytes, sizeof(bytes), 0);
    char *newline;

    if (size <= 0 || client->request == NULL)
        return size > 0;
    g_string_append_len(client->request, bytes, size);
    newline = strchr(client->request->str, '\n');
    if (newline != NULL) {
        g_string_truncate(client->request, (gsize)(newline - client->request->str));
        choose_answer(server, client);
    }
    return true;
}

/* Returns false when the conversation is over. */
static bool write_answer(Client *client)
{
    size_t size = 0;
    const char *bytes = g_bytes_get_data(client->bytes, &size);
    ssize_t sent;

    if (client->sent == size)
        return client->end == SERVER_HANGS;
    sent = send(client->fd, bytes + client->sent, size - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    client->sent += (size_t)sent;
    return client->sent < size || client->end == SERVER_HANGS;
}

static bool has_more(const Client *client)
{
    return client->bytes != NULL &&
           (client->sent < g_bytes_get_size(client->bytes) || client->end == SERVER_CLOSES);
}

static void serve_clients(Server *server, const struct pollfd *fds)
{
    for (guint i = server->clients->len; i > 0; i--) {
        Client *client = g_ptr_array_index(server->clients, i - 1);
        bool open = true;

        if ((fds[i - 1].revents & (POLLIN | POLLHUP)) != 0)
            open = read_request(server, client);
        if (open && has_more(client))
            open = write_answer(client);
        if (!open)
            g_ptr_array_remove_index(server->clients, i - 1);
    }
}

static void accept_client(Server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    Client *client;

    if (fd < 0)
        return;
    client = g_new0(Client, 1);
    client->fd = fd;
    client->request = g_string_new(NULL);
    g_ptr_array_add(server->clients, client);
}

static void *serve(void *data)
{
    Server *server = data;

    for (;;) {
        guint n = server->clients->len;
        g_autofree struct pollfd *fds = g_new0(struct pollfd, n + 2);

        for (guint i = 0; i < n; i++) {
            const Client *client = g_ptr_array_index(server->clients, i);

            fds[i].fd = client->fd;
            fds[i].events = has_more(client) ? POLLIN | POLLOUT : POLLIN;
        }
        fds[n] = (struct pollfd){.fd = server->listener, .events = POLLIN};
        fds[n + 1] = (struct pollfd){.fd = server->stop[0], .events = POLLIN};
        if (poll(fds, n + 2, -1) < 0)
            continue;
        if (fds[n + 1].revents != 0)
            return NULL;
        serve_clients(server, fds);
        if (fds[n].revents != 0)
            accept_client(server);
    }
}

Server *server_start(void)
{
    Server *server = g_new0(Server, 1);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    server->run_dir = g_dir_make_tmp("tool-XXXXXX", NULL);
    g_assert_nonnull(server->run_dir);
    server->socket = g_build_filename(server->run_dir, "control", NULL);
    g_strlcpy(address.sun_path, server->socket, sizeof(address.sun_path));
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_no_errno(bind(server->listener, (const struct sockaddr *)&address, sizeof(address)));
    g_assert_no_errno(listen(server->listener, BACKLOG));
    g_assert_no_errno(pipe(server->stop));
    pthread_mutex_init(&server->lock, NULL);
    server->answers = g_ptr_array_new_with_free_func(answer_free);
    server->replaced = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    server->clients = g_ptr_array_new_with_free_func(client_free);
    g_assert_cmpint(pthread_create(&server->thread, NULL, serve, server), ==, 0);
    return server;
}

void server_stop(Server *server)
{
    g_assert_cmpint(write(server->stop[1], "", 1), ==, 1);
    pthread_join(server->thread, NULL);
    g_ptr_array_unref(server->clients);
    g_ptr_array_unref(server->answers);
    g_ptr_array_unref(server->replaced);
    pthread_mutex_destroy(&server->lock);
    close(server->listener);
    close(server->stop[0]);
    close(server->stop[1]);
    g_unlink(server->socket);
    g_assert_no_errno(g_rmdir(server->run_dir));
    g_free(server->socket);
    g_free(server->run_dir);
    g_free(server);
}

const char *server_run_dir(const Server *server)
{
    return server->run_dir;
}

void server_answer_bytes(Server *server, const char *request, const void *bytes, size_t size,
                         ServerEnd end)
{
    Answer *answer;

    pthread_mutex_lock(&server->lock);
    answer = find_answer(server, request);
    if (answer == NULL) {
        answer = g_new0(Answer, 1);
        answer->request = g_strdup(request);
        g_ptr_array_add(server->answers, answer);
    } else {
        g_ptr_array_add(server->replaced, answer->bytes);
    }
    answer->bytes = g_bytes_new(bytes, size);
    answer->end = end;
    pthread_mutex_unlock(&server->lock);
}

void server_answer(Server *server, const char *request, const char *text)
{
    server_answer_bytes(server, request, text, strlen(text), SERVER_CLOSES);
}

unsigned server_count(Server *server, const char *request)
{
    const Answer *answer;
    unsigned count;

    pthread_mutex_lock(&server->lock);
    answer = find_answer(server, request);
    count = answer != NULL ? answer->count : 0;
    pthread_mutex_unlock(&server->lock);
    return count;
}

void server_add_devices(Server *server, bool busy)
{
    static const char first[] =
        "record=device\tdevice=3.0\tkind=xen_9pfs\tdomid=3\tdomain=web\tdevid=0\ttag=share\t"
        "path=/srv/share\tsecurity_model=mapped-xattr\treadonly=0\tstate=connected\tworker=4711\t"
        "rings=2\tring_order=9\tsince=1700000000\tfrontend=/local/domain/3/device/xen_9pfs/0\t"
        "backend=/local/domain/0/backend/xen_9pfs/3/0\trestarts=1\n"
        "record=device\tdevice=3.1\tkind=xen_9pfs\tdomid=3\tdomain=web\tdevid=1\ttag=logs\t"
        "path=/srv/logs\tsecurity_model=none\treadonly=1\tstate=initwait\trestarts=0\n";
    static const char second[] =
        "record=device\tdevice=12.0\tkind=xen_9pfs\tdomid=12\tdomain=db\tdevid=0\ttag=data\t"
        "path=/srv/data\tsecurity_model=none\treadonly=1\tstate=connected\tworker=4712\trings=1\t"
        "ring_order=5\tsince=1700000100\trestarts=0\n";
    static const char stats[] =
        "ok\n"
        "record=session\tversion=9P2000.L\tmsize=524288\tmounts=1\tfids=12\tfids_max=65536\t"
        "open_files=3\topen_files_max=512\txattr_bytes=0\tlocks=1\tin_flight=2\tin_flight_max=64\t"
        "in_flight_bytes=1048598\tthreads=4\tcancelled=2\tflushes=3\trequests=1110\terrors=10\t"
        "bytes_in=1048576\tbytes_out=5368709120\tquota_files=10\tquota_files_max=100\t"
        "quota_bytes=4096\tquota_bytes_max=1073741824\tquota_scan=done\tuptime_us=273840000000\n"
        "record=buckets\tbounds_us=10,20,50,100,1000,1000000,4000000\n"
        "record=operation\tname=Twalk\tcount=110\terrors=10\tcancelled=0\tbytes_in=3300\t"
        "bytes_out=2200\ttotal_us=1100\tmax_us=17\tbuckets=100,10,0,0,0,0,0\n"
        "record=operation\tname=Tread\tcount=1000\terrors=0\tcancelled=2\tbytes_in=23000\t"
        "bytes_out=5368709120\ttotal_us=900000\tmax_us=3500000\tbuckets=0,500,400,80,15,4,1\n"
        "record=operation\tname=Tremove\tcount=0\terrors=0\tcancelled=0\tbytes_in=0\tbytes_out=0\t"
        "total_us=0\tmax_us=0\tbuckets=0,0,0,0,0,0,0\n"
        "record=ring\tindex=0\torder=9\trequests=600\treplies=599\tin_used=0\tout_used=23\t"
        "in_high=1048576\tstalls=1\tstalled_us=1500\tnotifications=640\twakeups=500\n"
        "record=ring\tindex=1\torder=9\trequests=510\treplies=509\tin_used=11\tout_used=0\t"
        "in_high=4096\tstalls=0\tstalled_us=0\tnotifications=520\twakeups=400\n"
        "end\n";
    g_autofree char *devices = g_strconcat("ok\n", busy ? second : "", first, "end\n", NULL);

    server_answer(server, "devices", devices);
    server_answer(server, "stats 3.0", stats);
    server_answer_bytes(server, "stats 12.0", "", 0, SERVER_HANGS);
    server_answer(server, "version",
                  "ok\nrecord=daemon\tversion=0.1.0\tpid=900\tsince=1700000000\tdevices=3\t"
                  "backend_kinds=xen_9pfs\tconfig=/etc/xen/xen-9pfs.conf\tsandbox=full\t"
                  "seccomp=kill\nend\n");
}

/* The test is in $(BUILD)/tests/tool/, the tool in $(BUILD)/bin/. */
char *tool_program(void)
{
    g_autofree char *test = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(test);

    return g_build_filename(folder, "..", "..", "bin", "xen-9pfs", NULL);
}

char **tool_environment(const char *locale)
{
    char **environment = g_get_environ();

    environment = g_environ_setenv(environment, "LC_ALL", locale, TRUE);
    environment = g_environ_setenv(environment, "TZ", "UTC", TRUE);
    environment = g_environ_setenv(environment, "TERM", "xterm", TRUE);
    environment = g_environ_unsetenv(environment, "CHARSET");
    return g_environ_unsetenv(environment, "NO_COLOR");
}

ToolRun tool_run_in(const Server *server, const char *locale, const char *command)
{
    g_autofree char *program = tool_program();
    g_auto(GStrv) environment = tool_environment(locale);
    g_auto(GStrv) words = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    ToolRun run = {0};
    int status;

    g_ptr_array_add(argv, program);
    g_ptr_array_add(argv, (gpointer) "--run-dir");
    g_ptr_array_add(argv, server->run_dir);
    g_ptr_array_add(argv, (gpointer) "--timeout=" G_STRINGIFY(TOOL_TIMEOUT));
    if (command[0] != '\0')
        g_assert_true(g_shell_parse_argv(command, NULL, &words, NULL));
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        g_ptr_array_add(argv, words[i]);
    g_ptr_array_add(argv, NULL);
    g_assert_true(g_spawn_sync(NULL, (char **)argv->pdata, environment, G_SPAWN_DEFAULT, NULL, NULL,
                               &run.output, &run.errors, &status, NULL));
    g_assert_true(WIFEXITED(status));
    run.status = WEXITSTATUS(status);
    return run;
}

ToolRun tool_run(const Server *server, const char *command)
{
    return tool_run_in(server, "C.UTF-8", command);
}

void tool_run_clear(ToolRun *run)
{
    g_free(run->output);
    g_free(run->errors);
}
