/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control client: see control.h. */
#include "tests/daemon/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TIMEOUT_MS = 60000 };

char *control_socket(const Fixture *fixture)
{
    return g_build_filename(standin_daemon_run_dir(fixture->daemon), "control", NULL);
}

int control_connect(const Fixture *fixture)
{
    g_autofree char *path = control_socket(fixture);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(strlen(path), <, sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        g_error("cannot connect to %s: %s", path, g_strerror(errno));
    return fd;
}

void control_send(int fd, const void *bytes, size_t size)
{
    /* Who is refused early need not see all of a request sent. */
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        if (sent < 0)
            return;
        bytes = (const char *)bytes + sent;
        size -= (size_t)sent;
    }
}

/* Reads what is there within the time limit. Returns 0 at the end. */
static size_t read_some(int fd, char *bytes, size_t size, int flags)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    ssize_t got;

    if (poll(&poll_fd, 1, TIMEOUT_MS) != 1)
        g_error("no answer on the control socket");
    got = recv(fd, bytes, size, flags);
    return got > 0 ? (size_t)got : 0;
}

char *control_read_all(int fd)
{
    GString *text = g_string_new(NULL);
    char bytes[4096];
    size_t got;

    while ((got = read_some(fd, bytes, sizeof(bytes), 0)) > 0)
        g_string_append_len(text, bytes, (gssize)got);
    return g_string_free(text, FALSE);
}

char *control_read_line(int fd)
{
    GString *line = g_string_new(NULL);
    char bytes[4096];
    size_t got;

    while ((got = read_some(fd, bytes, sizeof(bytes), MSG_PEEK)) > 0) {
        const char *end = memchr(bytes, '\n', got);
        size_t size = end ? (size_t)(end - bytes) : got;

        g_string_append_len(line, bytes, (gssize)size);
        read_some(fd, bytes, size + (end != NULL), 0);
        if (end)
            return g_string_free(line, FALSE);
    }
    g_string_free(line, TRUE);
    return NULL;
}

char *control_ask(const Fixture *fixture, const char *request)
{
    int fd = control_connect(fixture);
    char *answer;

    control_send(fd, request, strlen(request));
    control_send(fd, "\n", 1);
    answer = control_read_all(fd);
    close(fd);
    return answer;
}

char **control_records(const char *answer)
{
    size_t length = strlen(answer);
    g_autofree char *inside = NULL;

    if (!g_str_has_prefix(answer, "ok\n") || !g_str_has_suffix(answer, "\nend\n"))
        g_error("no complete answer: \"%s\"", answer);
    inside = g_strndup(answer + 3, length - 3 - 4);
    if (inside[0] != '\0')
        inside[strlen(inside) - 1] = '\0';
    return inside[0] ? g_strsplit(inside, "\n", -1) : g_new0(char *, 1);
}

char *control_field(const char *record, const char *name)
{
    g_auto(GStrv) fields = g_strsplit(record, "\t", -1);
    g_autofree char *prefix = g_strconcat(name, "=", NULL);

    for (char **field = fields; *field; field++) {
        if (g_str_has_prefix(*field, prefix))
            return g_strdup(*field + strlen(prefix));
    }
    return NULL;
}

uint64_t control_number(const char *record, const char *name)
{
    g_autofree char *value = control_field(record, name);
    char *end;
    uint64_t number;

    if (!value || value[0] == '\0')
        g_error("no %s in \"%s\"", name, record);
    number = strtoull(value, &end, 10);
    g_assert_cmpint(*end, ==, '\0');
    return number;
}

char *control_find(char **records, const char *kind, const char *name, const char *value)
{
    for (; *records; records++) {
        g_autofree char *own_kind = control_field(*records, "record");
        g_autofree char *own_value = name ? control_field(*records, name) : NULL;

        if (g_strcmp0(own_kind, kind) == 0 && (!name || g_strcmp0(own_value, value) == 0))
            return g_strdup(*records);
    }
    return NULL;
}

char *control_record(const Fixture *fixture, const char *request, const char *kind,
                     const char *name, const char *value)
{
    g_autofree char *answer = control_ask(fixture, request);
    g_auto(GStrv) records = control_records(answer);
    char *record = control_find(records, kind, name, value);

    if (!record)
        g_error("%s: no %s %s=%s in:\n%s", request, kind, name ? name : "", value ? value : "",
                answer);
    return record;
}

void control_expect_error(const Fixture *fixture, const char *request, const char *text)
{
    g_autofree char *answer = control_ask(fixture, request);

    if (!g_str_has_prefix(answer, "error ") || !strstr(answer, text) ||
        strchr(answer, '\n') != answer + strlen(answer) - 1)
        g_error("%s: \"%s\", not an error that says \"%s\"", request, answer, text);
}
