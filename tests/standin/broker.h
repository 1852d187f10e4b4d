/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Broker: the process that stands for the hypervisor and for xenstored.
 *
 * One thread, one main loop. A Client is one open handle of some program; when its connection
 * ends, whatever it held goes: pages it mapped or shared, ports, watches, transactions.
 *
 * A handler is given a request and makes the reply of the same message; it returns 0 or a
 * negative errno. `in_fd` is the descriptor that came with the request or -1, closed afterwards.
 * `out_fd` is one to send with the reply, which stays the broker's.
 */
#ifndef STANDIN_BROKER_H
#define STANDIN_BROKER_H

#include "tests/standin/shared.h"
#include "tests/standin/standin.h"
#include "tests/standin/store.h"
#include "tests/standin/wire.h"

#include <glib.h>
#include <sys/types.h>

typedef struct Client {
    int sock;
    unsigned source; /* in the main loop */
    bool greeted;
    uint32_t domid;
    pid_t pid;
    GHashTable *shares;      /* first frame -> Share (grants.c) */
    GHashTable *mappings;    /* id -> Mapping (grants.c) */
    uint32_t slot;           /* of the event channel handle, 0 for others (events.c) */
    int event_fd;            /* written to when a port of it is delivered, or -1 */
    struct XsConnection *xs; /* NULL for others (xenstored.c) */
} Client;

typedef struct Broker {
    Shared *shared;
    int shared_fd;
    GPtrArray *clients;
    WireMessage message; /* the request that is being answered */
} Broker;

extern Broker broker;

/* domains.c: domains, with the memory of each. References are counted: what was mapped outlives
 * the domain. */
typedef struct Frame {
    uint32_t to_domid;
    uint32_t mapped; /* by how many mappings */
    bool used;
    bool writable;
    bool revoked; /* no longer shared: free once it is no longer mapped */
} Frame;

enum { DOMAIN_FRAMES = 262139, DOMAIN_PAGE_SIZE = 4096 }; /* a prime, see grants.c */

typedef struct Domain {
    unsigned references;
    uint32_t domid;
    StandinDomainState state;
    int memory_fd;
    Frame *frames;
    uint32_t next_frame;
    uint32_t mapped_pages;
} Domain;

void domains_init(void);
Domain *domain_find(uint32_t domid);
Domain *domain_ref(Domain *domain);
void domain_unref(Domain *domain);

/* Lets a dying domain go if nothing of it is mapped any more. */
void domain_check_gone(Domain *domain);

int handle_domains(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_domain_create(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_domain_set_state(Client *client, WireMessage *message, int in_fd, int *out_fd);

/* grants.c */
int handle_share(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_unshare(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_map(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_unmap(Client *client, WireMessage *message, int in_fd, int *out_fd);
void grants_init_client(Client *client);
void grants_drop_client(Client *client);
void grants_revoke_domain(Domain *domain);
unsigned grants_count_shared(const Domain *domain);

/* events.c */
int handle_event_open(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_bind_unbound(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_bind_interdomain(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_unbind(Client *client, WireMessage *message, int in_fd, int *out_fd);
int handle_peer(Client *client, WireMessage *message, int in_fd, int *out_fd);
void events_drop_client(Client *client);
void events_close_domain(uint32_t domid);
unsigned events_count(uint32_t domid);

/* Raises the peer of `port`, as if the port's owner had notified. */
void events_notify(uint32_t port);

/* xenstored.c */
int handle_xs(Client *client, WireMessage *message, int in_fd, int *out_fd);
void xenstored_init(void);
void xenstored_drop_client(Client *client);
void xenstored_fire_special(const char *path);
unsigned xenstored_count_watches(uint32_t domid);
unsigned xenstored_count_transactions(uint32_t domid);
unsigned xenstored_count_nodes(void);

/* Writes a node as domain 0 does, owned by `owner` and readable by `reader`. */
void xenstored_make_node(const char *path, const char *value, uint32_t owner, uint32_t reader);

#endif
