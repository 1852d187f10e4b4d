/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wire: what the stand-in libraries and the broker say to each other.
 *
 * Each handle that a program opens has a connection of its own (a SOCK_SEQPACKET socket), so that
 * what the handle holds goes when the handle is closed or its process ends, however it ends. One
 * request is answered by one reply; a packet is a header and a payload, and may carry one
 * descriptor. Requests and replies without a descriptor are moved with read(2) and write(2)
 * alone, since a process that has locked itself in may have nothing else left.
 */
#ifndef STANDIN_WIRE_H
#define STANDIN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_PAYLOAD_MAX = 128 * 1024,
    WIRE_ARGS = 6,
};

/* The arguments of each request, then those of its reply. */
typedef enum WireOp {
    WIRE_HELLO = 1, /* domid; -> descriptor of the shared state */
    /* Grants */
    WIRE_SHARE,   /* count, domid, writable, notify offset, notify port;
                   * -> first frame, payload: refs, descriptor of the domain's memory */
    WIRE_UNSHARE, /* first frame */
    WIRE_MAP,     /* domid, writable, notify offset, notify port, payload: refs;
                   * -> mapping id, payload: frames, descriptor of the domain's memory */
    WIRE_UNMAP,   /* mapping id */
    /* Event channels */
    WIRE_EVENT_OPEN,       /* descriptor to write to; -> slot */
    WIRE_BIND_UNBOUND,     /* domid; -> port */
    WIRE_BIND_INTERDOMAIN, /* domid, port; -> port, binding, descriptor of the peer */
    WIRE_UNBIND,           /* port */
    WIRE_PEER,             /* port; -> binding, descriptor of the peer */
    /* Domains */
    WIRE_DOMAINS,          /* -> payload: pairs of domid and StandinDomainState */
    WIRE_DOMAIN_CREATE,    /* domid, whether it is a driver domain */
    WIRE_DOMAIN_SET_STATE, /* domid, StandinDomainState */
    WIRE_COUNT,            /* StandinCount, domid; -> count */
    /* Xenstore; args[0] is the transaction, payload: the path and what belongs to it */
    WIRE_XS_OPEN, /* descriptor to write watch events to */
    WIRE_XS_READ,
    WIRE_XS_WRITE, /* payload: path, NUL, value */
    WIRE_XS_MKDIR,
    WIRE_XS_RM,
    WIRE_XS_DIRECTORY,
    WIRE_XS_GET_PERMS,
    WIRE_XS_SET_PERMS, /* payload: path, NUL, pairs of domid and permission bits */
    WIRE_XS_WATCH,     /* payload: path, NUL, token */
    WIRE_XS_UNWATCH,   /* payload: path, NUL, token */
    WIRE_XS_TRANSACTION_START,
    WIRE_XS_TRANSACTION_END, /* transaction, abort */
    WIRE_XS_IS_INTRODUCED,   /* -, domid; -> bool */
} WireOp;

typedef struct WireMessage {
    uint32_t op;
    int32_t error; /* in replies: 0 or an errno */
    uint32_t args[WIRE_ARGS];
    uint32_t size; /* bytes of payload in use */
    char payload[WIRE_PAYLOAD_MAX];
} WireMessage;

/* Empties `message` but for the operation. */
void wire_init(WireMessage *message, WireOp op);

/* Appends to the payload. Returns false when there is no room. */
bool wire_append(WireMessage *message, const void *data, size_t size);

/* True when the reply to `op` may carry a descriptor. */
bool wire_reply_has_fd(WireOp op);

/* Sends one message, with `fd` unless that is -1. Returns 0 or a negative errno. */
int wire_send(int sock, const WireMessage *message, int fd);

/* Receives one message. `fd` receives the descriptor that came with it or -1; when `fd` is NULL,
 * only read(2) is used. Returns 1, 0 at end of file, or a negative errno. */
int wire_receive(int sock, WireMessage *message, int *fd);

#endif
