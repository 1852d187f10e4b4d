/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frontend: a 9pfs frontend, and the toolstack's part, for tests; good, old, slow or hostile.
 *
 * Nothing but the Xen libraries' own interface is used, and standin_set_domid() to say for which
 * domain. The toolstack_...() functions act as domain 0, a Frontend as the domain of its device.
 * A Frontend belongs to one thread. Functions that wait take milliseconds and return false or
 * NULL when the time is up.
 *
 * The usual way: fill a FrontendDevice (frontend_linux() and others do), toolstack_add(),
 * frontend_new(), frontend_connect(), frontend_call() and so on, frontend_free(),
 * toolstack_remove(). What a test wants to do wrong it does in smaller steps: everything between
 * the steps, the rings' shared pages included, is open to it.
 */
#ifndef FRONTEND_FRONTEND_H
#define FRONTEND_FRONTEND_H

#include "tests/frontend/p9.h"

#include <xen/io/9pfs.h>
#include <xen/io/xenbus.h>
#include <xen/xen.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

enum {
    FRONTEND_MAX_RINGS = 64, /* more than any backend offers */
    FRONTEND_TIMEOUT_MS = 20000,
};

typedef struct FrontendNode {
    const char *name;
    const char *value;
} FrontendNode;

/* A device, and how its frontend behaves. */
typedef struct FrontendDevice {
    uint32_t domid;
    uint32_t devid;
    uint32_t backend_domid;
    const char *kind;           /* "xen_9pfs" or "9pfs" */
    const char *path;           /* the export, in the backend's domain */
    const char *security_model; /* "none" */
    const char *tag;
    const FrontendNode *nodes; /* more of the backend's, up to one without a name; or NULL */
    unsigned n_rings;
    unsigned order;
    uint32_t msize;       /* proposed in Tversion */
    const char *dialect;  /* "9P2000.L" */
    bool close_handshake; /* says Closing and waits for the backend's, as Mini-OS does */
    uint32_t first_index; /* what all ring indices start at */
} FrontendDevice;

/* As Linux: 2 rings of order 9, msize 512 KiB, 9P2000.L. */
FrontendDevice frontend_linux(uint32_t domid, const char *path);

/* As Unikraft: 2 rings of order 6, msize the whole of a half ring, 9P2000.L. */
FrontendDevice frontend_unikraft(uint32_t domid, const char *path);

/* As Mini-OS: 1 ring of order 4, msize half of a half ring, 9P2000.u, exact states. */
FrontendDevice frontend_minios(uint32_t domid, const char *path);

/* ---- The toolstack (toolstack.c) ---- */

/* Makes the nodes of both ends in state Initialising. The domain's home must be there. */
void toolstack_add(const FrontendDevice *device);

/* Adds the device and waits for the backend to offer itself (InitWait). */
bool toolstack_add_wait(const FrontendDevice *device);

/* Asks for removal (online 0, state Closing), waits for Closed, and deletes the nodes of both
 * ends, whether or not it came. Returns whether it came. A backend that has a connection may first
 * wait for its frontend: frontend_remove(). */
bool toolstack_remove(const FrontendDevice *device);

/* The two halves of it. */
void toolstack_ask_remove(const FrontendDevice *device);
bool toolstack_finish_remove(const FrontendDevice *device);

/* Deletes the nodes of both ends at once. */
void toolstack_delete(const FrontendDevice *device);

/* Deletes all that xenstore has of a domain, but not what backends have of it. */
void toolstack_delete_domain(uint32_t domid);

/* Waits for the backend to be in `state`. */
bool toolstack_wait_state(const FrontendDevice *device, enum xenbus_state state, int timeout_ms);

/* The backend's state; XenbusStateUnknown when there is none. */
enum xenbus_state toolstack_backend_state(const FrontendDevice *device);

/* A node of the backend's or frontend's directory, or NULL; to be freed with free(). */
char *toolstack_read_backend(const FrontendDevice *device, const char *name);
char *toolstack_read_frontend(const FrontendDevice *device, const char *name);

/* Writes a node in the backend's directory; NULL removes it. */
void toolstack_write_backend(const FrontendDevice *device, const char *name, const char *value);

/* The node in which the backend puts an error message, or NULL; to be freed with free(). */
char *toolstack_read_error(const FrontendDevice *device);

/* ---- Connecting (frontend.c) ---- */

typedef struct FrontendRing {
    unsigned number;
    unsigned order;
    struct xen_9pfs_data_intf *intf; /* the shared page; tests may write to it */
    uint8_t *in;                     /* backend to frontend */
    uint8_t *out;                    /* frontend to backend */
    uint32_t size;                   /* of each of them */
    uint32_t intf_ref;
    evtchn_port_t port;
    uint32_t out_prod; /* up to here written; published by ring_publish() */
    uint32_t in_cons;  /* up to here consumed */
    unsigned events;   /* notifications received */
    unsigned partial;  /* times that part of a reply was seen published */
} FrontendRing;

typedef struct Frontend {
    FrontendDevice device;
    char *dir; /* of the frontend, in xenstore */
    struct xs_handle *xs;
    xenevtchn_handle *evtchn;
    xengntshr_handle *gntshr;
    unsigned n_rings;
    FrontendRing rings[FRONTEND_MAX_RINGS];
    GQueue replies;      /* of P9Reply: received but not asked for yet */
    P9Reply *last_reply; /* of frontend_call() */
    bool quiet;          /* sends no notification by itself */
    uint32_t msize;      /* agreed by frontend_version() */
} Frontend;

/* Opens the Xen libraries as the device's domain. */
Frontend *frontend_new(const FrontendDevice *device);

/* Gives everything back as the end of the guest's process does: nothing is said in xenstore. */
void frontend_free(Frontend *frontend);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Frontend, frontend_free)

/* All steps: waits for InitWait, share, publish, Initialised, waits for Connected, Connected. */
bool frontend_connect(Frontend *frontend);

/* The steps. Shares the rings' pages and opens their ports; */
void frontend_share(Frontend *frontend);
/* writes version, num-rings, ring-ref and event-channel nodes in one transaction; */
void frontend_publish(Frontend *frontend);
/* writes one node of the frontend's directory, or with NULL removes it; */
void frontend_write(Frontend *frontend, const char *name, const char *value);
/* changes the frontend's state. */
void frontend_set_state(Frontend *frontend, enum xenbus_state state);
/* The backend's state, as the frontend sees it; XenbusStateUnknown when there is none. */
enum xenbus_state frontend_backend_state(const Frontend *frontend);
bool frontend_wait_backend(Frontend *frontend, enum xenbus_state state, int timeout_ms);

/* Ends the connection from the frontend's side, and takes the rings down once the backend has
 * let go. The frontend may then connect again. */
bool frontend_disconnect(Frontend *frontend);

/* Does what a frontend does when the backend is asked to go: waits for it to be Closing, takes the
 * rings down and is Closed. */
bool frontend_follow_close(Frontend *frontend);

/* Removes the device as toolstack_remove() does, its frontend playing along. */
bool frontend_remove(Frontend *frontend);

/* Unshares the rings' pages and closes their ports. */
void frontend_unshare(Frontend *frontend);

/* ---- Rings (ring.c) ---- */

/* The indices as they are in the shared page. */
uint32_t ring_get(const uint32_t *index);
void ring_set(uint32_t *index, uint32_t value);

/* Bytes of the out ring that are free, and of the in ring that are published. */
uint32_t ring_out_free(const FrontendRing *ring);
uint32_t ring_in_used(const FrontendRing *ring);

/* Copies into the out ring behind what was written before, and publishes nothing. There must be
 * room. */
void ring_write(FrontendRing *ring, const void *bytes, uint32_t size);

/* Publishes what was written. */
void ring_publish(FrontendRing *ring);

void frontend_notify(Frontend *frontend, const FrontendRing *ring);

/* Sends a whole message: waits for room, writes, publishes, notifies. */
bool ring_send(Frontend *frontend, FrontendRing *ring, const GByteArray *message, int timeout_ms);

/* Takes the notifications that have come. Returns how many. */
unsigned frontend_take_events(Frontend *frontend);

/* Waits for a notification on any ring, and takes it. */
bool frontend_wait_event(Frontend *frontend, int timeout_ms);

/* True when a whole message is in the in ring. */
bool ring_has_reply(FrontendRing *ring);

/* Consumes one message from this ring; says so when the ring is then empty. */
P9Reply *ring_receive(Frontend *frontend, FrontendRing *ring, int timeout_ms);

/* ---- Requests (client.c); each takes the request's bytes and frees them ---- */

/* The ring on which this frontend sends requests with this tag. */
FrontendRing *frontend_ring(Frontend *frontend, uint16_t tag);

/* Sends a request and returns at once. */
bool frontend_send(Frontend *frontend, GByteArray *request);
bool frontend_send_on(Frontend *frontend, unsigned ring, GByteArray *request);

/* The first reply with this tag, on any ring. Others are kept until they are asked for. */
P9Reply *frontend_wait(Frontend *frontend, uint16_t tag, int timeout_ms);

/* The next reply, whatever its tag. */
P9Reply *frontend_wait_any(Frontend *frontend, int timeout_ms);

/* Sends a request and returns its reply. */
P9Reply *frontend_transact(Frontend *frontend, GByteArray *request);

/* Sends a request and takes its reply apart; `format` is p9_parse()'s, NULL takes no part. Pointers
 * into the reply ("D") are valid until the next call. Returns 0, the errno of an error reply,
 * -ETIMEDOUT when no reply came, or -EPROTO for a reply that does not belong to the request. */
int frontend_call(Frontend *frontend, GByteArray *request, const char *format, ...);

/* Tversion with what the device proposes; returns as frontend_call(), -EPROTO when the dialect is
 * refused. Then Tattach of the root as `fid`. */
int frontend_version(Frontend *frontend);
int frontend_attach(Frontend *frontend, uint32_t fid);

#endif
