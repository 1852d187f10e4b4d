/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control: the supervisor's socket for those who look after it, docs/control-protocol.md.
 *
 * A connection carries one request, a line, and its answer. Who may connect, the socket's owner,
 * group and mode decide. No client can keep the supervisor waiting: there are so many connections
 * and no more, each for a limited time.
 *
 * The supervisor's thread only.
 */
#ifndef XEN_9PFS_CONTROL_H
#define XEN_9PFS_CONTROL_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#define CONTROL_SOCKET "control" /* its name in the run folder */

typedef struct Control Control;

/* A request, while it is being answered. */
typedef struct ControlCall {
    char **words;     /* of the request, without escapes; at least one */
    const char *line; /* all of it, as it came */
    int client;       /* the connection, for somebody else who answers */
    GString *answer;  /* receives the whole answer, unless */
    bool passed;      /* somebody else answers, and has the connection */
} ControlCall;

typedef void (*ControlAnswer)(ControlCall *call, void *data);

/* Listens in the run folder, in the place of a predecessor that did not clean up. Only this user can
 * connect until control_set_group(). `answer` is called from the main loop. Returns NULL with an
 * error when there can be no socket. */
Control *control_new(const char *run_dir, ControlAnswer answer, void *data, GError **error);

/* Hangs up on all clients and removes the socket. NULL is allowed. */
void control_free(Control *control);

/* Lets the members of the group called `name` connect; NULL is the group of root. */
bool control_set_group(Control *control, const char *name, GError **error);

#endif
