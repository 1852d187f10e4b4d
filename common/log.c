/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log: see log.h. A line is put together in one buffer and written with one call, so that lines
 * of several threads and processes never mix.
 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* #syscalls write getpid
 * send() is in sandbox.c, without an address. */

enum { LINE_MAX_BYTES = 1024, ESCAPE_MAX_BYTES = 128 };

static struct {
    LogTarget target;
    int max_priority;
    char device[48]; /* "domain 3 device 0: ", or empty */
    pid_t pid;       /* 0: getpid()'s */
    int socket;      /* LOG_TARGET_SOCKET: to the system log, or -1 */
    void (*relay)(int priority, const char *line, void *context);
    void *relay_context;
} logger = {.target = LOG_TARGET_STDERR, .max_priority = LOG_INFO, .socket = -1};

static const struct {
    const char *name;
    int priority;
} levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
    {"info", LOG_INFO}, {"debug", LOG_DEBUG},
};

static int connect_syslog(void)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

void log_init(LogTarget target, int max_priority)
{
    logger.target = target;
    logger.max_priority = max_priority;
    if (target == LOG_TARGET_SOCKET)
        logger.socket = connect_syslog();
    if (target == LOG_TARGET_SYSLOG)
        openlog("xen-9pfsd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_set_pid(pid_t pid)
{
    logger.pid = pid;
}

void log_set_relay(void (*relay)(int priority, const char *line, void *context), void *context)
{
    logger.relay = relay;
    logger.relay_context = context;
}

static int shown_pid(void)
{
    return (int)(logger.pid ? logger.pid : getpid());
}

int log_parse_level(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (strcmp(name, levels[i].name) == 0)
            return levels[i].priority;
    }
    return -1;
}

const char *log_level_name(int priority)
{
    for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (priority == levels[i].priority)
            return levels[i].name;
    }
    return "critical";
}

bool log_enabled(int priority)
{
    return priority <= logger.max_priority;
}

void log_set_device(unsigned domid, unsigned devid)
{
    snprintf(logger.device, sizeof(logger.device), "domain %u device %u: ", domid, devid);
}

/* Writes to standard error; what cannot be written there has nowhere else to go. */
static void write_stderr(int priority, const char *text)
{
    char line[LINE_MAX_BYTES + 64];
    int length = snprintf(line, sizeof(line), "xen-9pfsd[%d]: %s: %s\n", shown_pid(),
                          log_level_name(priority), text);
    size_t size = MIN((size_t)length, sizeof(line) - 1);

    line[size - 1] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written;
}

/* Sends a line as syslog(3) does. The C library's function is of no use to a process that has
 * locked itself in: when the system log was restarted, it opens another socket. Does not wait for a
 * system log that is slow. */
static bool write_socket(int priority, const char *text)
{
    char line[LINE_MAX_BYTES + 64];
    char date[32];
    time_t now = time(NULL);
    struct tm local;
    int length;

    localtime_r(&now, &local);
    strftime(date, sizeof(date), "%h %e %T", &local);
    length = snprintf(line, sizeof(line), "<%d>%s xen-9pfsd[%d]: %s", LOG_DAEMON | priority, date,
                      shown_pid(), text);
    return send(logger.socket, line, MIN((size_t)length, sizeof(line) - 1),
                MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void write_line(int priority, const char *device, const char *format, va_list args)
{
    char text[LINE_MAX_BYTES];
    size_t used = g_strlcpy(text, device, sizeof(text));

    vsnprintf(text + used, sizeof(text) - used, format, args);
    if (logger.target == LOG_TARGET_SYSLOG)
        syslog(priority, "%s", text);
    else if (logger.target == LOG_TARGET_STDERR)
        write_stderr(priority, text);
    else if (!write_socket(priority, text) && logger.relay)
        logger.relay(priority, text, logger.relay_context);
}

void log_line(int priority, const char *format, ...)
{
    va_list args;

    if (!log_enabled(priority))
        return;
    va_start(args, format);
    write_line(priority, logger.device, format, args);
    va_end(args);
}

void log_device(int priority, unsigned domid, unsigned devid, const char *format, ...)
{
    char device[sizeof(logger.device)];
    va_list args;

    if (!log_enabled(priority))
        return;
    snprintf(device, sizeof(device), "domain %u device %u: ", domid, devid);
    va_start(args, format);
    write_line(priority, device, format, args);
    va_end(args);
}

void log_limit_init(LogLimit *limit)
{
    *limit = (LogLimit){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void log_limit_deinit(LogLimit *limit)
{
    pthread_mutex_destroy(&limit->lock);
}

/* Takes one line from the budget. Returns true when it may be written; `left_out` receives how
 * many were dropped since the last one that was. */
static bool log_limit_take(LogLimit *limit, unsigned *left_out)
{
    int64_t now = g_get_monotonic_time() / G_USEC_PER_SEC;
    bool allowed;

    pthread_mutex_lock(&limit->lock);
    *left_out = 0;
    if (limit->window_start == 0 || now - limit->window_start >= LOG_LIMIT_SECONDS) {
        *left_out = limit->left_out;
        limit->window_start = now;
        limit->in_window = 0;
        limit->left_out = 0;
    }
    allowed = limit->in_window < LOG_LIMIT_BURST;
    if (allowed)
        limit->in_window++;
    else
        limit->left_out++;
    pthread_mutex_unlock(&limit->lock);
    return allowed;
}

void log_limited(LogLimit *limit, int priority, const char *format, ...)
{
    unsigned left_out;
    va_list args;

    if (!log_enabled(priority) || !log_limit_take(limit, &left_out))
        return;
    if (left_out > 0)
        log_line(priority, "%u similar messages were left out", left_out);
    va_start(args, format);
    write_line(priority, logger.device, format, args);
    va_end(args);
}

char *log_escape(const void *bytes, size_t size)
{
    const unsigned char *in = bytes;
    GString *out = g_string_sized_new(MIN(size, ESCAPE_MAX_BYTES) + 1);

    for (size_t i = 0; i < MIN(size, ESCAPE_MAX_BYTES); i++) {
        if (in[i] >= 0x20 && in[i] < 0x7f && in[i] != '\\')
            g_string_append_c(out, (char)in[i]);
        else
            g_string_append_printf(out, "\\x%02x", in[i]);
    }
    if (size > ESCAPE_MAX_BYTES)
        g_string_append(out, "...");
    return g_string_free(out, FALSE);
}
