/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events: who is at either end of each event channel.
 *
 * Ports are numbered over all domains, so that a program which mixes up its own port with its
 * peer's is found out. Only the broker binds and closes; programs raise and unmask by themselves
 * (shared.h).
 */
#include "tests/standin/broker.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* What the broker alone knows of a port. */
typedef struct Port {
    Client *client; /* who opened it; NULL: free */
    uint32_t remote_domid;
} Port;

static Port ports[SHARED_PORTS];
static Client *slots[SHARED_HANDLES];

static void wake(const Client *client)
{
    uint64_t one = 1;

    if (write(client->event_fd, &one, sizeof(one)) != sizeof(one))
        g_warning("cannot wake process %d", (int)client->pid);
}

static bool is_awake(const Client *client)
{
    struct pollfd fd = {.fd = client->event_fd, .events = POLLIN};

    return poll(&fd, 1, 0) > 0;
}

int handle_event_open(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    (void)out_fd;
    if (in_fd < 0 || client->slot != 0)
        return -EINVAL;
    for (uint32_t slot = 1; slot < SHARED_HANDLES; slot++) {
        if (slots[slot])
            continue;
        slots[slot] = client;
        shared_handle_reset(broker.shared, slot);
        client->slot = slot;
        client->event_fd = dup(in_fd);
        message->args[0] = slot;
        return 0;
    }
    return -ENOSPC;
}

/* Opens the lowest free port. Returns it, or 0. */
static uint32_t port_open(Client *client, uint32_t remote_domid)
{
    for (uint32_t number = 1; number < SHARED_PORTS; number++) {
        SharedPort *shared = &broker.shared->ports[number];

        if (ports[number].client)
            continue;
        ports[number] = (Port){client, remote_domid};
        atomic_store(&shared->flags, 0);
        atomic_store(&shared->peer, 0);
        atomic_store(&shared->handle, client->slot);
        atomic_store(&shared->notified, 0);
        atomic_store(&shared->delivered, 0);
        atomic_store(&shared->wakeups, 0);
        atomic_fetch_add(&shared->binding, 1);
        atomic_store(&shared->state, PORT_UNBOUND);
        return number;
    }
    return 0;
}

static void port_connect(uint32_t number, uint32_t peer)
{
    SharedPort *shared = &broker.shared->ports[number];

    atomic_store(&shared->peer, peer);
    atomic_fetch_add(&shared->binding, 1);
    atomic_store(&shared->state, PORT_INTERDOMAIN);
}

/* The other end has closed: the port waits for another peer of that domain. What the one that
 * closed may have left half done is finished. */
static void port_lose_peer(uint32_t number)
{
    SharedPort *shared = &broker.shared->ports[number];

    atomic_store(&shared->state, PORT_UNBOUND);
    atomic_store(&shared->peer, 0);
    atomic_fetch_add(&shared->binding, 1);
    if (shared_port_repair(broker.shared, number) && !is_awake(ports[number].client))
        wake(ports[number].client);
}

static void port_close(uint32_t number)
{
    SharedPort *shared = &broker.shared->ports[number];
    uint32_t peer = atomic_load(&shared->peer);

    atomic_store(&shared->state, PORT_CLOSED);
    atomic_store(&shared->peer, 0);
    atomic_fetch_add(&shared->binding, 1);
    ports[number] = (Port){0};
    if (peer != 0)
        port_lose_peer(peer);
}

int handle_bind_unbound(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    (void)in_fd;
    (void)out_fd;
    if (client->slot == 0)
        return -EINVAL;
    if (!domain_find(message->args[0]))
        return -ESRCH;
    message->args[0] = port_open(client, message->args[0]);
    return message->args[0] ? 0 : -ENOSPC;
}

/* True when `client` may bind to `number` as a port of domain `domid`. */
static bool may_bind(const Client *client, uint32_t number, uint32_t domid)
{
    const Port *port = &ports[number % SHARED_PORTS];

    return number < SHARED_PORTS && port->client && port->client->domid == domid &&
           port->remote_domid == client->domid &&
           atomic_load(&broker.shared->ports[number].state) == PORT_UNBOUND;
}

int handle_bind_interdomain(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    uint32_t domid = message->args[0];
    uint32_t remote = message->args[1];
    uint32_t local;

    (void)in_fd;
    if (!domain_find(domid))
        return -ESRCH;
    if (client->slot == 0 || !may_bind(client, remote, domid))
        return -EINVAL;
    local = port_open(client, domid);
    if (local == 0)
        return -ENOSPC;
    port_connect(local, remote);
    port_connect(remote, local);
    /* The peer may have notified before anybody was there. */
    if (shared_port_raise(broker.shared, local))
        wake(client);
    message->args[0] = local;
    message->args[1] = atomic_load(&broker.shared->ports[local].binding);
    *out_fd = ports[remote].client->event_fd;
    return 0;
}

int handle_unbind(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    uint32_t number = message->args[0];

    (void)in_fd;
    (void)out_fd;
    if (number >= SHARED_PORTS || ports[number].client != client)
        return -ENOTCONN;
    port_close(number);
    return 0;
}

int handle_peer(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    uint32_t number = message->args[0];
    uint32_t peer;

    (void)in_fd;
    if (number >= SHARED_PORTS || ports[number].client != client)
        return -ENOTCONN;
    peer = atomic_load(&broker.shared->ports[number].peer);
    if (peer == 0)
        return -ENOTCONN;
    message->args[0] = atomic_load(&broker.shared->ports[number].binding);
    *out_fd = ports[peer].client->event_fd;
    return 0;
}

void events_drop_client(Client *client)
{
    if (client->slot == 0)
        return;
    for (uint32_t number = 1; number < SHARED_PORTS; number++) {
        if (ports[number].client == client)
            port_close(number);
    }
    slots[client->slot] = NULL;
    close(client->event_fd);
}

void events_close_domain(uint32_t domid)
{
    for (uint32_t number = 1; number < SHARED_PORTS; number++) {
        if (ports[number].client && ports[number].client->domid == domid)
            port_close(number);
    }
}

unsigned events_count(uint32_t domid)
{
    unsigned count = 0;

    for (uint32_t number = 1; number < SHARED_PORTS; number++)
        count += ports[number].client && ports[number].client->domid == domid;
    return count;
}

void events_notify(uint32_t port)
{
    uint32_t peer = atomic_load(&broker.shared->ports[port].peer);

    if (peer != 0 && shared_port_raise(broker.shared, peer))
        wake(ports[peer].client);
}
