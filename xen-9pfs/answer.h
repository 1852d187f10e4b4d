/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers: what a worker says to clients of the control socket, docs/control-protocol.md.
 *
 * The supervisor has passed their connections. A thread of its own puts the answers together and
 * writes them. It waits for nothing but the clients, and for those only all at once: not for a file
 * system, nor for a thread that does. So it answers while everything else in the worker hangs. It
 * is started by the first client.
 *
 * What a client does not read is kept up to a limit, for a time; then it is cut off.
 */
#ifndef XEN_9PFS_ANSWER_H
#define XEN_9PFS_ANSWER_H

#include "protocol/session.h"
#include "xen-9pfs/ring.h"

typedef struct Answers Answers;

/* What is asked about; all of it is borrowed. */
typedef struct AnswerSource {
    Session *session;
    const Fs *fs; /* of local.h */
    Ring *const *rings;
    unsigned n_rings;
} AnswerSource;

Answers *answers_new(const AnswerSource *source);

/* Answers `request` to `client`, a connection, which is taken over; with an error when too many others
 * are being answered. Never waits. */
void answers_take(Answers *answers, int client, const char *request);

/* Cuts off all clients and ends the thread. NULL is allowed. */
void answers_free(Answers *answers);

#endif
