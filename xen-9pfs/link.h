/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Link: the conversation between the supervisor and one worker.
 *
 * A worker inherits a listening Unix socket (SOCK_SEQPACKET) as descriptor LINK_LISTEN_FD. The
 * supervisor that started the worker connects to that socket, and so does a later supervisor that
 * adopts it: both learn everything from the worker's LINK_HELLO. Each message is one packet of
 * exactly sizeof(LinkMessage) bytes. The newest connection is the one that counts; a worker whose
 * supervisor hangs up goes on serving and listens for the next.
 *
 *     supervisor                          worker
 *         connect ------------------------>
 *         <------------------------------- HELLO (state, and the setup if it has one)
 *         SETUP (what to serve) ---------->       only after HELLO with LINK_STATE_EMPTY
 *         <------------------------------- READY | FAILED (text)
 *         QUERY (a request, a client) ---->       the worker answers the client itself
 *         STOP --------------------------->       the worker lets go of everything and exits
 *         <------------------------------- FAILED (text) at any time: the device must be closed
 *         <------------------------------- LOG (text) at any time: for the log, to which the worker
 *                                          has no way any more
 *         <------------------------------- end of file: the worker is gone
 *
 * With QUERY the connection of a client of the control socket is passed, whose request only the
 * worker can answer; the supervisor never sees what it says. In other messages nothing is passed.
 *
 * A package is upgraded while guests work, so a supervisor may meet workers of an older version, or
 * after going back of a newer one. LINK_VERSION changes when a message does. The beginning of every
 * message, LINK_COMMON_SIZE bytes, is the same in all versions from LINK_OLDEST on, and is all that
 * is taken from another version's: it says what the worker serves and how it is, and it makes a
 * worker stop. Whoever does not know a type of another version ignores it. Only a worker of the
 * same build, which is the supervisor's own, gets a SETUP. Workers of versions before LINK_OLDEST
 * are stopped.
 */
#ifndef XEN_9PFS_LINK_H
#define XEN_9PFS_LINK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/export_options.h"

enum {
    LINK_VERSION = 5,
    LINK_OLDEST = 5,
    LINK_LISTEN_FD = 3,
    LINK_MAX_RINGS = 8,
    LINK_MAX_ORDER = 9,
    LINK_TEXT_SIZE = 512,
};

/* What a worker serves: validated by the supervisor, never changed during a worker's life. */
typedef struct LinkSetup {
    uint32_t domid; /* the frontend's domain */
    uint32_t devid;
    uint32_t n_rings;                       /* 1 ... LINK_MAX_RINGS */
    uint32_t ring_ref[LINK_MAX_RINGS];      /* grant reference of each ring's interface page */
    uint32_t event_channel[LINK_MAX_RINGS]; /* the frontend's port of each ring */
    char path[PATH_MAX];                    /* the export, an absolute path */
    int64_t since;                          /* when the worker was started: seconds of the epoch */
    ExportOptions options; /* how to serve it; only `model` is known of another version's */
} LinkSetup;

typedef enum LinkType {
    LINK_HELLO = 1,
    LINK_SETUP,
    LINK_READY,
    LINK_FAILED,
    LINK_STOP,
    LINK_LOG,
    LINK_QUERY,
} LinkType;

typedef enum LinkState {
    LINK_STATE_EMPTY = 1, /* waits for a setup */
    LINK_STATE_READY,     /* serves the rings */
    LINK_STATE_FAILED,    /* serves nothing any more and waits for STOP */
} LinkState;

typedef struct LinkMessage {
    uint32_t version;          /* LINK_VERSION */
    uint32_t type;             /* LinkType */
    uint32_t state;            /* LinkState, in HELLO */
    int32_t priority;          /* of the text, in LOG: a syslog(3) priority */
    uint32_t ring_order;       /* of the largest ring, in READY and HELLO; 0: not known */
    char text[LINK_TEXT_SIZE]; /* what went wrong, in FAILED, and in HELLO with LINK_STATE_FAILED;
                                * in LOG a line, cut to this size; in QUERY the request */
    LinkSetup setup;           /* in SETUP, and in HELLO unless LINK_STATE_EMPTY */
} LinkMessage;

/* What never changes: all up to the security model, the first of the options. New fields go behind. */
enum { LINK_COMMON_SIZE = offsetof(LinkMessage, setup.options) + sizeof(SecurityModel) };

_Static_assert(LINK_COMMON_SIZE == 4724 && offsetof(ExportOptions, model) == 0,
               "workers of other versions cannot be adopted any more");

/* True when both describe the same export to the same frontend over the same rings. Other options
 * than the security model, and the time, may differ: those that a worker started with stay in force. */
bool link_setup_equal(const LinkSetup *a, const LinkSetup *b);

/* Sends one message. Returns 0 or a negative errno; never blocks (-EAGAIN when the peer does not
 * read). */
int link_send(int fd, const LinkMessage *message);

/* Receives one message. Returns 1 for a message, 0 at end of file, or a negative errno: -EAGAIN
 * when none is waiting, -EPROTO for a packet that no version from LINK_OLDEST on sends. All strings
 * in it are terminated; what is not known of another version's is zero. *passed becomes the
 * descriptor that came with it, the caller's, or -1; with a NULL none is taken. */
int link_receive(int fd, LinkMessage *message, int *passed);

#endif
