/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control: conversations with the daemon over its control socket, a request each.
 *
 * A request about a device is answered by that device's worker, which may be hung, gone, or in the
 * hands of its guest. So every request has a time limit and its answer a limited size, several run
 * at the same time, and how each of them ended is told apart.
 */
#ifndef XEN_9PFS_TOOL_CONTROL_H
#define XEN_9PFS_TOOL_CONTROL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "xen-9pfs/tool/record.h"
#include "xen-9pfs/tool/tool.h"

enum {
    CONTROL_LIMIT_MS = 2000, /* what a worker gets to answer, unless --timeout says otherwise */
    CONTROL_DAEMON_LIMIT_MS = 10000, /* what the supervisor gets */
    CONTROL_NO_LIMIT = -1,
};

typedef enum QueryStatus {
    QUERY_PENDING,  /* not ended yet, or ended by the sink */
    QUERY_COMPLETE, /* the whole answer is there */
    QUERY_CUT,      /* the answer ended too early: the records that came are good */
    QUERY_LATE,     /* not in time: likewise */
    QUERY_REFUSED,  /* the daemon or the worker has answered with an error */
    QUERY_FAILED,   /* the daemon cannot be reached, or what came is no answer */
} QueryStatus;

/* A request and what has come of it. */
typedef struct Query {
    char *request; /* the line, with its end */
    void *context; /* the caller's */
    QueryStatus status;
    char *error;        /* one line that says what happened; NULL while all is well */
    GPtrArray *records; /* of Record: what was not given to a sink */
} Query;

/* Gets each record as it comes and owns it from then on. Returns false to end all queries. */
typedef bool (*QuerySink)(Query *query, Record *record, void *data);

/* `device` is the daemon's name of it, or NULL; `settings` are words NAME=VALUE, NULL-terminated, or
 * NULL. Ends with query_free(). */
Query *query_new(const char *command, const char *device, const char *const *settings);
void query_free(Query *query);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Query, query_free)

/* The first record of a kind; NULL when there is none. */
const Record *query_find(const Query *query, const char *kind);

/* Sends the requests and waits for the ends of all of them; each has `limit_ms` from when it was
 * sent. `sink` may be NULL: the records are then kept. */
void control_run(const Tool *tool, Query *const *queries, size_t n_queries, int limit_ms,
                 QuerySink sink, void *data);

/* Asks the supervisor. Returns the query with a complete answer, or NULL after an error that
 * was told. Ends with query_free(). */
Query *control_ask_daemon(const Tool *tool, const char *command);

#endif
