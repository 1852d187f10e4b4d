/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Export check: finds out whether a path is a directory, without ever waiting for it.
 *
 * The path may lie on a file server that does not answer, and the one process that looks after
 * all devices must not hang with it: the look is done by a thread of its own. Everything else
 * here belongs to the supervisor's thread.
 */
#ifndef XEN_9PFS_EXPORT_H
#define XEN_9PFS_EXPORT_H

#include <stdbool.h>

typedef struct ExportCheck ExportCheck;

/* Starts a check; `done` is called from the main loop when the answer is there, unless the check
 * was freed before. Never fails: what goes wrong is the answer. */
ExportCheck *export_check_new(const char *path, void (*done)(void *data), void *data);

/* Frees the check, also one whose thread still waits. NULL is allowed. */
void export_check_free(ExportCheck *check);

/* Returns true when the answer is there: `*error` is then 0 for a directory, or an errno value. */
bool export_check_result(const ExportCheck *check, int *error);

#endif
