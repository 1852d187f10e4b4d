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

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { LINE_MAX_BYTES = 1024, FIELDS_MAX_BYTES = 256, ESCAPE_MAX_BYTES = 128 };

static struct {
    LogTarget target;
    int max_priority;
    LogFields fields; /* of every line */
    pid_t pid;        /* 0: getpid()'s */
    int socket;       /* to the journal or, for LOG_TARGET_SOCKET only, to another log; or -1 */
    bool is_journal;  /* the socket's */
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

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

void log_init(LogTarget target, int max_priority)
{
    logger.target = target;
    logger.max_priority = max_priority;
    if (logger.socket >= 0)
        close(logger.socket);
    logger.socket = target == LOG_TARGET_STDERR ? -1 : connect_to(JOURNAL_SOCKET);
    logger.is_journal = logger.socket >= 0;
    if (target == LOG_TARGET_SOCKET && logger.socket < 0)
        logger.socket = connect_to(_PATH_LOG);
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
    logger.fields = (LogFields){.has_device = true, .domid = domid, .devid = devid};
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

static bool send_line(const char *line, size_t size, int flags)
{
    return send(logger.socket, line, size, MSG_NOSIGNAL | flags) >= 0;
}

/* Appends to a text in a buffer of `size` bytes, cut to that. */
static void append(char *text, size_t size, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

/* Sends a line and its fields as systemd's JOURNAL_NATIVE_PROTOCOL.md has it; that takes no library,
 * nor calls that a worker may not make. A worker does not wait for a journal that is slow. */
static bool write_journal(int priority, const char *text, const LogFields *fields)
{
    char entry[LINE_MAX_BYTES + FIELDS_MAX_BYTES] = "";

    append(entry, sizeof(entry),
           "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=xen-9pfsd\nSYSLOG_PID=%d\n", priority,
           LOG_DAEMON >> 3, shown_pid());
    if (fields->has_device)
        append(entry, sizeof(entry), "XEN_DOMID=%u\nXEN_DEVID=%u\n", fields->domid, fields->devid);
    if (fields->operation)
        append(entry, sizeof(entry), "P9_OPERATION=%s\n", fields->operation);
    if (fields->error != 0)
        append(entry, sizeof(entry), "ERRNO=%d\n", fields->error);
    append(entry, sizeof(entry), "MESSAGE=%s", text);
    entry[MIN(strlen(entry), sizeof(entry) - 2)] = '\n'; /* its terminator is not sent */
    return send_line(entry, strnlen(entry, sizeof(entry)),
                     logger.target == LOG_TARGET_SOCKET ? MSG_DONTWAIT : 0);
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
    return send_line(line, MIN((size_t)length, sizeof(line) - 1), MSG_DONTWAIT);
}

/* True when the journal, or the log behind the socket, has taken the line. */
static bool write_log(int priority, const char *text, const LogFields *fields)
{
    if (logger.is_journal)
        return write_journal(priority, text, fields);
    return logger.target == LOG_TARGET_SOCKET && write_socket(priority, text);
}

static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (g_ascii_iscntrl(*text))
            *text = '?';
    }
}

static void write_line(int priority, const LogFields *fields, const char *format, va_list args)
{
    char text[LINE_MAX_BYTES] = "";
    size_t used;

    if (fields->has_device)
        append(text, sizeof(text), "domain %u device %u: ", fields->domid, fields->devid);
    used = strlen(text);
    vsnprintf(text + used, sizeof(text) - used, format, args);
    make_printable(text);
    if (logger.target == LOG_TARGET_STDERR)
        write_stderr(priority, text);
    else if (write_log(priority, text, fields))
        return;
    else if (logger.target == LOG_TARGET_SYSLOG)
        syslog(priority, "%s", text);
    else if (logger.relay)
        logger.relay(priority, text + used, logger.relay_context);
}

void log_line(int priority, const char *format, ...)
{
    va_list args;

    if (!log_enabled(priority))
        return;
    va_start(args, format);
    write_line(priority, &logger.fields, format, args);
    va_end(args);
}

void log_device(int priority, unsigned domid, unsigned devid, const char *format, ...)
{
    const LogFields fields = {.has_device = true, .domid = domid, .devid = devid};
    va_list args;

    if (!log_enabled(priority))
        return;
    va_start(args, format);
    write_line(priority, &fields, format, args);
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
    int64_t seconds = limit->seconds ? limit->seconds : LOG_LIMIT_SECONDS;
    unsigned burst = limit->burst ? limit->burst : LOG_LIMIT_BURST;
    bool allowed;

    pthread_mutex_lock(&limit->lock);
    *left_out = 0;
    if (limit->window_start == 0 || now - limit->window_start >= seconds) {
        *left_out = limit->left_out;
        limit->window_start = now;
        limit->in_window = 0;
        limit->left_out = 0;
    }
    allowed = limit->in_window < burst;
    if (allowed)
        limit->in_window++;
    else
        limit->left_out++;
    pthread_mutex_unlock(&limit->lock);
    return allowed;
}

/* Returns true when a line may be written; says first how many were not. */
static bool is_granted(LogLimit *limit, int priority, const LogFields *fields)
{
    unsigned left_out;

    if (!log_enabled(priority) || !log_limit_take(limit, &left_out))
        return false;
    if (left_out > 0 && fields->has_device)
        log_device(priority, fields->domid, fields->devid, "%u similar messages were left out",
                   left_out);
    else if (left_out > 0)
        log_line(priority, "%u similar messages were left out", left_out);
    return true;
}

void log_limited(LogLimit *limit, int priority, const char *format, ...)
{
    va_list args;

    if (!is_granted(limit, priority, &logger.fields))
        return;
    va_start(args, format);
    write_line(priority, &logger.fields, format, args);
    va_end(args);
}

void log_fields(LogLimit *limit, int priority, const LogFields *fields, const char *format, ...)
{
    LogFields all = *fields;
    va_list args;

    if (!all.has_device) {
        all.has_device = logger.fields.has_device;
        all.domid = logger.fields.domid;
        all.devid = logger.fields.devid;
    }
    if (!is_granted(limit, priority, &all))
        return;
    va_start(args, format);
    write_line(priority, &all, format, args);
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
