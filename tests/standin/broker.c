/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Broker: its main loop and its clients; see broker.h.
 *
 *     standin-broker DIR    with descriptor 3 listening, and 4 the end of a pipe
 *
 * It ends when the other end of the pipe is closed, that is, with the test that started it. Then
 * it kills whatever is still connected, other than that test, and removes DIR.
 */
#include "tests/standin/broker.h"

#include <errno.h>
#include <ftw.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTEN_FD = 3, LIFELINE_FD = 4 };

Broker broker;

static GMainLoop *main_loop;
static pid_t test_pid;

static gboolean on_client(int fd, GIOCondition condition, void *data);

static void client_free(Client *client)
{
    g_ptr_array_remove_fast(broker.clients, client);
    g_source_remove(client->source);
    xenstored_drop_client(client);
    events_drop_client(client);
    grants_drop_client(client);
    close(client->sock);
    g_free(client);
}

static gboolean on_connect(int fd, GIOCondition condition, void *data)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    Client *client;

    (void)condition;
    (void)data;
    if (sock < 0)
        return G_SOURCE_CONTINUE;
    getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    client = g_new0(Client, 1);
    client->sock = sock;
    client->pid = peer.pid;
    client->event_fd = -1;
    grants_init_client(client);
    client->source = g_unix_fd_add(sock, G_IO_IN | G_IO_HUP, on_client, client);
    g_ptr_array_add(broker.clients, client);
    return G_SOURCE_CONTINUE;
}

static int handle_hello(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    (void)in_fd;
    client->domid = message->args[0];
    client->greeted = true;
    *out_fd = broker.shared_fd;
    return 0;
}

static unsigned count_handles(uint32_t domid)
{
    unsigned count = 0;

    for (unsigned i = 0; i < broker.clients->len; i++)
        count += ((Client *)g_ptr_array_index(broker.clients, i))->domid == domid;
    return count;
}

/* Takes in all that clients have sent, and that they have gone, before something is counted. */
static void catch_up(const Client *asking)
{
    char byte;

    for (unsigned i = broker.clients->len; i-- > 0;) {
        Client *client = g_ptr_array_index(broker.clients, i);

        if (client != asking && recv(client->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
            on_client(client->sock, G_IO_IN, client);
    }
}

static int handle_count(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    static bool catching_up;
    StandinCount what = message->args[0];
    uint32_t domid = message->args[1];
    Domain *domain;

    (void)in_fd;
    (void)out_fd;
    if (!catching_up) {
        catching_up = true;
        catch_up(client);
        catching_up = false;
        wire_init(message, WIRE_COUNT);
    }
    domain = domain_find(domid);
    switch (what) {
    case STANDIN_MAPPED_PAGES:
        message->args[0] = domain ? domain->mapped_pages : 0;
        return 0;
    case STANDIN_SHARED_PAGES:
        message->args[0] = domain ? grants_count_shared(domain) : 0;
        return 0;
    case STANDIN_PORTS:
        message->args[0] = events_count(domid);
        return 0;
    case STANDIN_WATCHES:
        message->args[0] = xenstored_count_watches(domid);
        return 0;
    case STANDIN_TRANSACTIONS:
        message->args[0] = xenstored_count_transactions(domid);
        return 0;
    case STANDIN_HANDLES:
        message->args[0] = count_handles(domid);
        return 0;
    case STANDIN_NODES:
        message->args[0] = xenstored_count_nodes();
        return 0;
    }
    return -EINVAL;
}

typedef int (*Handler)(Client *client, WireMessage *message, int in_fd, int *out_fd);

static Handler find_handler(const Client *client, uint32_t op)
{
    static const Handler handlers[] = {
        [WIRE_HELLO] = handle_hello,
        [WIRE_SHARE] = handle_share,
        [WIRE_UNSHARE] = handle_unshare,
        [WIRE_MAP] = handle_map,
        [WIRE_UNMAP] = handle_unmap,
        [WIRE_EVENT_OPEN] = handle_event_open,
        [WIRE_BIND_UNBOUND] = handle_bind_unbound,
        [WIRE_BIND_INTERDOMAIN] = handle_bind_interdomain,
        [WIRE_UNBIND] = handle_unbind,
        [WIRE_PEER] = handle_peer,
        [WIRE_DOMAINS] = handle_domains,
        [WIRE_DOMAIN_CREATE] = handle_domain_create,
        [WIRE_DOMAIN_SET_STATE] = handle_domain_set_state,
        [WIRE_COUNT] = handle_count,
    };

    if (client->greeted == (op == WIRE_HELLO))
        return NULL;
    if (op >= WIRE_XS_OPEN && op <= WIRE_XS_IS_INTRODUCED)
        return handle_xs;
    return op < G_N_ELEMENTS(handlers) ? handlers[op] : NULL;
}

static void answer(Client *client, WireMessage *message, int in_fd)
{
    Handler handler = find_handler(client, message->op);
    int out_fd = -1;
    int error = handler ? handler(client, message, in_fd, &out_fd) : -ENOSYS;

    message->error = -error;
    if (error != 0) {
        message->size = 0;
        out_fd = -1;
    }
    wire_send(client->sock, message, out_fd);
}

static gboolean on_client(int fd, GIOCondition condition, void *data)
{
    Client *client = data;
    int in_fd = -1;
    int result = wire_receive(fd, &broker.message, &in_fd);

    (void)condition;
    if (result == -EAGAIN)
        return G_SOURCE_CONTINUE; /* catch_up() was faster */
    if (result <= 0) {
        client_free(client);
        return G_SOURCE_CONTINUE; /* the source has been removed */
    }
    answer(client, &broker.message, in_fd);
    if (in_fd >= 0)
        close(in_fd);
    return G_SOURCE_CONTINUE;
}

static gboolean on_lifeline(int fd, GIOCondition condition, void *data)
{
    (void)fd;
    (void)condition;
    (void)data;
    g_main_loop_quit(main_loop);
    return G_SOURCE_REMOVE;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void kill_clients(void)
{
    for (unsigned i = 0; i < broker.clients->len; i++) {
        Client *client = g_ptr_array_index(broker.clients, i);

        if (client->pid > 1 && client->pid != test_pid)
            kill(client->pid, SIGKILL);
    }
}

static void make_shared(void)
{
    broker.shared_fd = memfd_create("shared", MFD_CLOEXEC);
    if (ftruncate(broker.shared_fd, sizeof(Shared)) != 0)
        g_error("cannot make the shared state");
    broker.shared =
        mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, broker.shared_fd, 0);
    if (broker.shared == MAP_FAILED)
        g_error("cannot map the shared state");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: standin-broker DIR (started by the tests)\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the test decides */
    test_pid = getppid();
    main_loop = g_main_loop_new(NULL, FALSE);
    broker.clients = g_ptr_array_new();
    make_shared();
    xenstored_init();
    domains_init();
    g_unix_fd_add(LISTEN_FD, G_IO_IN, on_connect, NULL);
    g_unix_fd_add(LIFELINE_FD, G_IO_IN | G_IO_HUP, on_lifeline, NULL);
    g_main_loop_run(main_loop);
    kill_clients();
    nftw(argv[1], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
