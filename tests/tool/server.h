/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server: stands in for the daemon's control socket in tests of the tool, with answers word for word,
 * and runs the tool on it.
 *
 * The server has a thread of its own; tests have one more. Answers are set before they are asked for.
 */
#ifndef TESTS_TOOL_SERVER_H
#define TESTS_TOOL_SERVER_H

#include <glib.h>
#include <stdbool.h>

typedef struct Server Server;

/* How a conversation goes on behind the answer. */
typedef enum ServerEnd {
    SERVER_CLOSES, /* the connection is closed */
    SERVER_HANGS,  /* nothing comes any more */
} ServerEnd;

/* Listens at the socket "control" in a new folder. */
Server *server_start(void);

/* Hangs up, and removes the folder. */
void server_stop(Server *server);

const char *server_run_dir(const Server *server);

/* What a request, a line without its end, is answered with, byte by byte; replaces an earlier one. A
 * request without an answer is closed at once. */
void server_answer(Server *server, const char *request, const char *answer);
void server_answer_bytes(Server *server, const char *request, const void *bytes, size_t size,
                         ServerEnd end);

/* How often a request was made. */
unsigned server_count(Server *server, const char *request);

/* Three devices: 3.0 web:share, whose worker answers everything; 3.1 web:logs, which is not connected;
 * and, if `busy`, 12.0 db:data, whose worker has said nothing yet. */
void server_add_devices(Server *server, bool busy);

/* A run of the tool. */
typedef struct ToolRun {
    int status; /* its exit status */
    char *output;
    char *errors;
} ToolRun;

/* Runs the tool on the server with `command` behind --run-dir, in a UTF-8 locale, UTC and without a
 * terminal. `command` is split as a shell would. Workers have a minute to answer, unless it has
 * another --timeout: who never answers costs the test that time. */
ToolRun tool_run(const Server *server, const char *command);
ToolRun tool_run_in(const Server *server, const char *locale, const char *command);
void tool_run_clear(ToolRun *run);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ToolRun, tool_run_clear)

/* The file name of the tool's program. The caller frees it. */
char *tool_program(void);

/* The environment that tool_run() gives it. The caller frees it. */
char **tool_environment(const char *locale);

#endif
