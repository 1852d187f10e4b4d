/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads with small stacks: an idle worker has several, and a device may have many at work. */
#ifndef COMMON_THREAD_H
#define COMMON_THREAD_H

#include <pthread.h>

/* Starts `run` with `argument` on a stack of 128 KiB. Returns 0 or, as pthread_create(3), an errno. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
