/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stand-in's event channels behave as Xen's and Linux's evtchn device do. */
#include "tests/standin/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenevtchn.h>

enum { GUEST = 3 };

/* Two ends: the guest's, which waits, and domain 0's, which binds to it. */
typedef struct Pair {
    xenevtchn_handle *guest;
    xenevtchn_handle *dom0;
    evtchn_port_t guest_port;
    evtchn_port_t dom0_port;
} Pair;

static xenevtchn_handle *open_as(uint32_t domid)
{
    xenevtchn_handle *xce;

    standin_set_domid(domid);
    xce = xenevtchn_open(NULL, 0);
    standin_set_domid(0);
    g_assert_nonnull(xce);
    return xce;
}

static evtchn_port_t checked(xenevtchn_port_or_error_t port)
{
    g_assert_cmpint(port, >, 0);
    return (evtchn_port_t)port;
}

static bool readable(xenevtchn_handle *xce)
{
    struct pollfd fd = {.fd = xenevtchn_fd(xce), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* Nothing can be read, and the descriptor says so. */
static void assert_quiet(xenevtchn_handle *xce)
{
    g_assert_false(readable(xce));
}

static void assert_pending(xenevtchn_handle *xce, evtchn_port_t port)
{
    g_assert_true(readable(xce));
    g_assert_cmpuint(checked(xenevtchn_pending(xce)), ==, port);
}

static void bind_dom0(Pair *pair)
{
    pair->dom0_port = checked(xenevtchn_bind_interdomain(pair->dom0, GUEST, pair->guest_port));
    assert_pending(pair->dom0, pair->dom0_port); /* the binder's own port is set pending */
    xenevtchn_unmask(pair->dom0, pair->dom0_port);
    assert_quiet(pair->dom0);
}

static Pair pair_open(void)
{
    Pair pair;

    standin_start();
    standin_domain_create(GUEST);
    pair.guest = open_as(GUEST);
    pair.dom0 = open_as(0);
    pair.guest_port = checked(xenevtchn_bind_unbound_port(pair.guest, 0));
    bind_dom0(&pair);
    return pair;
}

static void pair_close(Pair *pair)
{
    xenevtchn_close(pair->guest);
    xenevtchn_close(pair->dom0);
    g_assert_cmpuint(standin_count(STANDIN_PORTS, 0), ==, 0);
    g_assert_cmpuint(standin_count(STANDIN_PORTS, GUEST), ==, 0);
    standin_stop();
}

static void test_notify(void)
{
    Pair pair = pair_open();

    assert_quiet(pair.guest);
    g_assert_cmpint(xenevtchn_notify(pair.dom0, pair.dom0_port), ==, 0);
    assert_pending(pair.guest, pair.guest_port);
    xenevtchn_unmask(pair.guest, pair.guest_port);
    assert_quiet(pair.guest);
    g_assert_cmpint(xenevtchn_notify(pair.guest, pair.guest_port), ==, 0);
    assert_pending(pair.dom0, pair.dom0_port);
    pair_close(&pair);
}

static void test_masked_until_unmasked(void)
{
    Pair pair = pair_open();
    StandinPortCounters counters;

    xenevtchn_notify(pair.dom0, pair.dom0_port);
    assert_pending(pair.guest, pair.guest_port);
    for (int i = 0; i < 100; i++)
        xenevtchn_notify(pair.dom0, pair.dom0_port);
    assert_quiet(pair.guest);
    xenevtchn_unmask(pair.guest, pair.guest_port);
    assert_pending(pair.guest, pair.guest_port); /* once for all hundred */
    xenevtchn_unmask(pair.guest, pair.guest_port);
    xenevtchn_unmask(pair.guest, pair.guest_port);
    assert_quiet(pair.guest);

    counters = standin_port_counters(pair.dom0_port);
    g_assert_cmpuint(counters.notified, ==, 101);
    counters = standin_port_counters(pair.guest_port);
    g_assert_cmpuint(counters.delivered, ==, 2);
    g_assert_cmpuint(counters.wakeups, ==, 2);
    pair_close(&pair);
}

static void test_unread_is_merged(void)
{
    Pair pair = pair_open();

    for (int i = 0; i < 3; i++)
        xenevtchn_notify(pair.dom0, pair.dom0_port);
    assert_pending(pair.guest, pair.guest_port);
    assert_quiet(pair.guest);
    xenevtchn_unmask(pair.guest, pair.guest_port);
    /* The second and third came while it was delivered and masked. */
    assert_pending(pair.guest, pair.guest_port);
    pair_close(&pair);
}

static void test_nonblocking(void)
{
    Pair pair = pair_open();
    int flags = fcntl(xenevtchn_fd(pair.guest), F_GETFL);

    fcntl(xenevtchn_fd(pair.guest), F_SETFL, flags | O_NONBLOCK);
    g_assert_cmpint(xenevtchn_pending(pair.guest), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
    pair_close(&pair);
}

static void test_many_ports(void)
{
    enum { COUNT = 200 };
    Pair pair = pair_open();
    evtchn_port_t remote[COUNT];
    bool seen[4096] = {false};

    for (int i = 0; i < COUNT; i++) {
        evtchn_port_t local = checked(xenevtchn_bind_unbound_port(pair.guest, 0));
        remote[i] = checked(xenevtchn_bind_interdomain(pair.dom0, GUEST, local));
    }
    for (int i = 0; i < COUNT; i++)
        xenevtchn_notify(pair.dom0, remote[i]);
    for (int i = 0; i < COUNT; i++) {
        g_assert_true(readable(pair.guest));
        seen[checked(xenevtchn_pending(pair.guest))] = true;
    }
    assert_quiet(pair.guest);
    for (int i = 0; i < COUNT; i++)
        g_assert_true(seen[standin_port_peer(remote[i])]);
    pair_close(&pair);
}

/* A port that is always busy does not keep others from being seen. */
static void test_fairness(void)
{
    Pair pair = pair_open();
    evtchn_port_t other = checked(xenevtchn_bind_unbound_port(pair.guest, 0));
    evtchn_port_t remote = checked(xenevtchn_bind_interdomain(pair.dom0, GUEST, other));

    xenevtchn_notify(pair.dom0, pair.dom0_port);
    xenevtchn_notify(pair.dom0, remote);
    assert_pending(pair.guest, pair.guest_port);
    xenevtchn_unmask(pair.guest, pair.guest_port);
    xenevtchn_notify(pair.dom0, pair.dom0_port);
    assert_pending(pair.guest, other);
    pair_close(&pair);
}

static void test_unbind_and_rebind(void)
{
    Pair pair = pair_open();

    g_assert_cmpint(xenevtchn_unbind(pair.dom0, pair.dom0_port), ==, 0);
    g_assert_cmpint(xenevtchn_notify(pair.dom0, pair.dom0_port), ==, -1);
    g_assert_cmpint(errno, ==, ENOTCONN);
    g_assert_cmpint(xenevtchn_unbind(pair.dom0, pair.dom0_port), ==, -1);
    /* The guest's port waits again: a notification is lost, and anybody of domain 0 may bind. */
    g_assert_cmpint(xenevtchn_notify(pair.guest, pair.guest_port), ==, 0);
    g_assert_cmpuint(standin_port_peer(pair.guest_port), ==, 0);
    bind_dom0(&pair);
    xenevtchn_notify(pair.guest, pair.guest_port);
    assert_pending(pair.dom0, pair.dom0_port);
    pair_close(&pair);
}

static void test_bad_binds(void)
{
    Pair pair = pair_open();

    g_assert_cmpint(xenevtchn_bind_interdomain(pair.dom0, GUEST, pair.guest_port), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL); /* bound already */
    g_assert_cmpint(xenevtchn_bind_interdomain(pair.dom0, GUEST, 4000), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL);
    g_assert_cmpint(xenevtchn_bind_interdomain(pair.dom0, GUEST, UINT32_MAX), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL);
    g_assert_cmpint(xenevtchn_bind_interdomain(pair.dom0, 77, 1), ==, -1);
    g_assert_cmpint(errno, ==, ESRCH);
    g_assert_cmpint(xenevtchn_bind_unbound_port(pair.dom0, 77), ==, -1);
    g_assert_cmpint(errno, ==, ESRCH);
    g_assert_cmpint(xenevtchn_restrict(pair.dom0, 0), ==, 0);
    g_assert_cmpint(xenevtchn_bind_interdomain(pair.dom0, GUEST, 1), ==, -1);
    g_assert_cmpint(errno, ==, EACCES);
    pair_close(&pair);
}

/* The process at one end is killed: its ports close, and the next process may bind. */
static void test_rebind_after_death(void)
{
    Pair pair = pair_open();
    int ready[2];
    char byte;
    pid_t pid;

    g_assert_cmpint(xenevtchn_unbind(pair.dom0, pair.dom0_port), ==, 0);
    g_assert_cmpint(pipe(ready), ==, 0);
    pid = fork();
    if (pid == 0) {
        xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
        int port = xenevtchn_bind_interdomain(xce, GUEST, pair.guest_port);
        xenevtchn_notify(xce, (evtchn_port_t)port);
        if (port < 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    assert_pending(pair.guest, pair.guest_port); /* across processes */
    xenevtchn_unmask(pair.guest, pair.guest_port);
    g_assert_cmpuint(standin_port_peer(pair.guest_port), !=, 0);

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    g_assert_cmpuint(standin_count(STANDIN_PORTS, 0), ==, 0);
    g_assert_cmpuint(standin_port_peer(pair.guest_port), ==, 0);
    bind_dom0(&pair);
    xenevtchn_notify(pair.dom0, pair.dom0_port);
    assert_pending(pair.guest, pair.guest_port);
    pair_close(&pair);
}

/* Waits as a program with other things to do does: with poll(), not in the device. */
static evtchn_port_t wait_polled(xenevtchn_handle *xce)
{
    struct pollfd fd = {.fd = xenevtchn_fd(xce), .events = POLLIN};
    xenevtchn_port_or_error_t port;

    do {
        g_assert_cmpint(poll(&fd, 1, 10000), ==, 1);
        port = xenevtchn_pending(xce);
    } while (port < 0 && errno == EAGAIN);
    return checked(port);
}

/* In a child: binds to the guest's port and notifies without end. */
static _Noreturn void flood(evtchn_port_t guest_port)
{
    xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
    int port = xenevtchn_bind_interdomain(xce, GUEST, guest_port);

    if (port < 0)
        _exit(1);
    for (;;)
        xenevtchn_notify(xce, (evtchn_port_t)port);
}

/* Wherever in a notification a process is killed, the next one that binds is heard. */
static void test_killed_while_notifying(void)
{
    Pair pair = pair_open();
    StandinPortCounters counters;

    g_assert_cmpint(xenevtchn_unbind(pair.dom0, pair.dom0_port), ==, 0);
    for (int i = 0; i < 100; i++) {
        pid_t pid = fork();
        if (pid == 0)
            flood(pair.guest_port);
        for (int n = 0; n < 5 + i; n++)
            xenevtchn_unmask(pair.guest, wait_polled(pair.guest));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        g_assert_cmpuint(standin_count(STANDIN_PORTS, 0), ==, 0);
    }
    while (readable(pair.guest)) {
        int port = xenevtchn_pending(pair.guest);
        if (port > 0)
            xenevtchn_unmask(pair.guest, (evtchn_port_t)port);
    }
    bind_dom0(&pair);
    xenevtchn_notify(pair.dom0, pair.dom0_port);
    assert_pending(pair.guest, pair.guest_port);
    assert_quiet(pair.guest);
    counters = standin_port_counters(pair.guest_port);
    g_assert_cmpuint(counters.wakeups, <=, counters.delivered);
    pair_close(&pair);
}

static void test_domain_death(void)
{
    Pair pair = pair_open();

    standin_domain_set_state(GUEST, STANDIN_DYING);
    g_assert_cmpuint(standin_count(STANDIN_PORTS, GUEST), ==, 0);
    g_assert_cmpint(xenevtchn_notify(pair.dom0, pair.dom0_port), ==, 0);
    pair_close(&pair);
}

enum { PINGS = 20000 };

static gpointer answer_pings(gpointer data)
{
    Pair *pair = data;

    fcntl(xenevtchn_fd(pair->dom0), F_SETFL, O_NONBLOCK);
    for (int i = 0; i < PINGS; i++) {
        evtchn_port_t port = wait_polled(pair->dom0);
        xenevtchn_unmask(pair->dom0, port);
        xenevtchn_notify(pair->dom0, port);
    }
    return NULL;
}

/* Two threads notify each other as fast as they can, one blocking in the device and one in
 * poll(), and no event is lost. */
static void test_ping_pong(void)
{
    Pair pair = pair_open();
    GThread *thread = g_thread_new("dom0", answer_pings, &pair);

    for (int i = 0; i < PINGS; i++) {
        xenevtchn_notify(pair.guest, pair.guest_port);
        g_assert_cmpuint(checked(xenevtchn_pending(pair.guest)), ==, pair.guest_port);
        xenevtchn_unmask(pair.guest, pair.guest_port);
    }
    g_thread_join(thread);
    pair_close(&pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/standin/evtchn/notify", test_notify);
    g_test_add_func("/standin/evtchn/masked-until-unmasked", test_masked_until_unmasked);
    g_test_add_func("/standin/evtchn/unread-is-merged", test_unread_is_merged);
    g_test_add_func("/standin/evtchn/nonblocking", test_nonblocking);
    g_test_add_func("/standin/evtchn/many-ports", test_many_ports);
    g_test_add_func("/standin/evtchn/fairness", test_fairness);
    g_test_add_func("/standin/evtchn/unbind-and-rebind", test_unbind_and_rebind);
    g_test_add_func("/standin/evtchn/bad-binds", test_bad_binds);
    g_test_add_func("/standin/evtchn/rebind-after-death", test_rebind_after_death);
    g_test_add_func("/standin/evtchn/killed-while-notifying", test_killed_while_notifying);
    g_test_add_func("/standin/evtchn/domain-death", test_domain_death);
    g_test_add_func("/standin/evtchn/ping-pong", test_ping_pong);
    return g_test_run();
}
