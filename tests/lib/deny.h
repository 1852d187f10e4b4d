/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deny: threads and processes that cannot be started, as on a system that has no more of them: EAGAIN.
 * Nothing takes that back.
 */
#ifndef TESTS_LIB_DENY_H
#define TESTS_LIB_DENY_H

typedef enum Deny {
    DENY_NOTHING,
    DENY_PROCESSES, /* but for those of posix_spawn() and the next */
    DENY_KEEPERS,   /* processes that share the table of descriptors: protocol/keeper.h */
    DENY_THREADS,
} Deny;

/* For the calling thread, and for what it starts. Returns 0 or a negative errno. May be called between
 * fork() and exec(). */
int deny_starting(Deny what);

#endif
