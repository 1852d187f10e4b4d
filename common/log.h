/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log: one line for each anomaly, to the system log or to standard error.
 *
 * Where systemd's journal is the system log, a line has fields beside its text, by which it can be
 * found: XEN_DOMID, XEN_DEVID, P9_OPERATION and ERRNO, as far as they are known. Control characters
 * in a text become question marks: nothing that is logged can look like another line or field.
 *
 * A worker serves one device and names it once with log_set_device(); every line of that process
 * then begins with the device. The supervisor names the device call by call, with log_device().
 * Any thread may log. Whatever a guest can cause goes through a LogLimit, and guest-supplied
 * strings go through log_escape().
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

typedef enum LogTarget {
    LOG_TARGET_STDERR,
    LOG_TARGET_SYSLOG, /* the journal, or else syslog(3) */
    LOG_TARGET_SOCKET, /* either, through one socket that is opened now and never again */
} LogTarget;

/* A budget of lines for one kind of event: at most LOG_LIMIT_BURST lines in LOG_LIMIT_SECONDS,
 * then one line that says how many were left out. Any thread may use it. A static one needs no
 * log_limit_init(). */
typedef struct LogLimit {
    pthread_mutex_t lock;
    int64_t window_start; /* monotonic seconds; 0: never used */
    unsigned in_window;
    unsigned left_out;
    unsigned burst;   /* other than LOG_LIMIT_BURST, or 0 */
    unsigned seconds; /* other than LOG_LIMIT_SECONDS, or 0 */
} LogLimit;

enum { LOG_LIMIT_BURST = 5, LOG_LIMIT_SECONDS = 60 };

/* Chooses where lines go and drops those above `max_priority` (LOG_ERR ... LOG_DEBUG, syslog(3)).
 * Before the first call lines up to LOG_INFO go to standard error. */
void log_init(LogTarget target, int max_priority);

/* The number that lines bear when it is not getpid()'s. */
void log_set_pid(pid_t pid);

/* What a line is about, beside its text. All zeros: nothing of it is known. */
typedef struct LogFields {
    bool has_device; /* the text then begins with the device */
    unsigned domid, devid;
    const char *operation; /* such as "Twrite", NULL: none */
    int error;             /* an errno, 0: none */
} LogFields;

/* Who gets the lines that LOG_TARGET_SOCKET cannot take, because no system log listens, another one
 * than when the socket was opened, or one that is too slow; without the device at their beginning.
 * Any thread may call `relay`, which may not log. */
void log_set_relay(void (*relay)(int priority, const char *line, void *context), void *context);

/* The priority named `name` ("error", "warning", "notice", "info", "debug"), or -1. */
int log_parse_level(const char *name);

/* The name of `priority`, the reverse of log_parse_level(). */
const char *log_level_name(int priority);

/* True when a line of `priority` would be written: lets a caller skip costly arguments. */
bool log_enabled(int priority);

/* Makes every later line of this process begin with the device's name. */
void log_set_device(unsigned domid, unsigned devid);

void log_line(int priority, const char *format, ...) G_GNUC_PRINTF(2, 3);
void log_device(int priority, unsigned domid, unsigned devid, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
void log_limited(LogLimit *limit, int priority, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* The same with fields; a device in them counts for more than log_set_device()'s. */
void log_fields(LogLimit *limit, int priority, const LogFields *fields, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

void log_limit_init(LogLimit *limit);
void log_limit_deinit(LogLimit *limit);

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)

/* A printable copy of `size` bytes at `bytes`: at most 128 of them, others than printable ASCII
 * written as \xNN. The caller frees it with g_free(). */
char *log_escape(const void *bytes, size_t size);

#endif
