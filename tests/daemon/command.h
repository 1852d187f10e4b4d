/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command: runs the control tool in the stand-in, for tests, and looks at what it says.
 */
#ifndef TESTS_DAEMON_COMMAND_H
#define TESTS_DAEMON_COMMAND_H

#include <glib.h>
#include <stdbool.h>

/* A run of the tool. */
typedef struct Command Command;

/* What has become of one. */
typedef struct CommandResult {
    int status; /* its exit status */
    char *out;
    char *err;
} CommandResult;

/* Starts the tool with these words, up to a NULL, and the daemon's run folder; command_finish()
 * waits for its end. */
Command *command_start(const char *const *arguments);
CommandResult *command_finish(Command *command);

/* Both at once. */
CommandResult *command_run(const char *const *arguments);
#define COMMAND_RUN(...) command_run((const char *const[]){__VA_ARGS__, NULL})

void command_result_free(CommandResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CommandResult, command_result_free)

/* Fails the test unless the run ended with this status, and said `words`: on standard output if the
 * status is 0, on standard error if not. Frees the result. */
void expect_result(CommandResult *result, int status, const char *words);

#endif
