/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads with small stacks; see thread.h. */
#include "common/thread.h"

enum { STACK_BYTES = 128 * 1024 };

int thread_start(pthread_t *thread, void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    error = pthread_create(thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return error;
}
