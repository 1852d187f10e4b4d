/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the stand-in that run in the test's process share; no business of tests. */
#ifndef STANDIN_PROCESS_H
#define STANDIN_PROCESS_H

#include <sys/types.h>

/* The path of `name` beside the stand-in's own library; to be freed with g_free(). */
char *standin_build_path(const char *name);

pid_t standin_broker_pid(void);

#endif
