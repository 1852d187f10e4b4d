/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log: see log.h. A line is put together in one buffer and written with one call, so that lines
 * of several threads and processes never mix.
 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024, ESCAPE_MAX_BYTES = 128 };

static struct {
    LogTarget target;
    int max_priority;
    char device[48]; /* "domain 3 device 0: ", or empty */
} logger = {.target = LOG_TARGET_STDERR, .max_priority = LOG_INFO};

static const struct {
    const char *name;
    int priority;
} levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
    {"info", LOG_INFO}, {"debug", LOG_DEBUG},
};

void log_init(LogTarget target, int max_priority)
{
    logger.target = target;
    logger.max_priority = max_priority;
    if (target == LOG_TARGET_SYSLOG)
        openlog("xen-9pfsd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
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
    int length = snprintf(line, sizeof(line), "xen-9pfsd[%d]: %s: %s\n", (int)getpid(),
                          log_level_name(priority), text);
    size_t size = MIN((size_t)length, sizeof(line) - 1);

    line[size - 1] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written;
}

static void write_line(int priority, const char *device, const char *format, va_list args)
{
    char text[LINE_MAX_BYTES];
    size_t used = g_strlcpy(text, device, sizeof(text));

    vsnprintf(text + used, sizeof(text) - used, format, args);
    if (logger.target == LOG_TARGET_SYSLOG)
        syslog(priority, "%s", text);
    else
        write_stderr(priority, text);
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
