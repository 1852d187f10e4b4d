/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon says to the service manager, and what it asks of it: this process plays the
 * socket for notifications, and a message bus on which systemd is.
 */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD

#include <systemd/sd-bus.h>

enum { EXPECT_MS = 20000, STEP_US = 10000 };

/* A socket of this type at `path`, bound. */
static int bind_unix(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_no_errno(bind(fd, (struct sockaddr *)&address, sizeof(address)));
    return fd;
}

/* ---- Notifications ---- */

/* The next word to the service manager; fails when none comes. The caller frees it. */
static char *next_notification(int fd)
{
    struct timeval limit = {.tv_sec = EXPECT_MS / 1000};
    char text[512];
    ssize_t size;

    g_assert_no_errno(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    size = recv(fd, text, sizeof(text) - 1, 0);
    g_assert_cmpint(size, >, 0);
    text[size] = '\0';
    return g_strdup(text);
}

/* Passes over others until one contains `text`. */
static void expect_notification(int fd, const char *text)
{
    bool found = false;

    while (!found) {
        g_autofree char *said = next_notification(fd);

        found = strstr(said, text) != NULL;
    }
}

/* Starts a daemon that thinks that it is a service with a watchdog. Returns the socket. */
static int start_service(Fixture *fixture)
{
    g_autofree char *path = NULL;
    int fd;

    fixture_open(fixture);
    path = g_build_filename(standin_dir(), "notify", NULL);
    fd = bind_unix(path, SOCK_DGRAM);
    setenv("NOTIFY_SOCKET", path, 1);
    setenv("WATCHDOG_USEC", "100000", 1);
    fixture_start_supervisor(fixture);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    return fd;
}

static void test_notify(void)
{
    g_autofree char *first = NULL;
    Fixture fixture;
    Slot *slot;
    int fd = start_service(&fixture);

    first = next_notification(fd);
    g_assert_cmpstr(first, ==, "READY=1\nSTATUS=0 connected devices");
    g_assert_true(fixture_exists(&fixture, DAEMON_FOLDER "/state"));
    slot = connected_slot(&fixture, 1, 0);
    expect_notification(fd, "STATUS=1 connected device");
    expect_notification(fd, "WATCHDOG=1");
    finish(&fixture, slot);
    expect_notification(fd, "STATUS=0 connected devices");
    fixture_tear_down(&fixture, NULL);
    expect_notification(fd, "STOPPING=1");
    close(fd);
}

/* A worker has no way to pretend to be the supervisor. */
static void test_worker_environment(void)
{
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    Fixture fixture;
    gsize size = 0;
    int fd = start_service(&fixture);
    Slot *slot = connected_slot(&fixture, 1, 0);

    path = g_strdup_printf("/proc/%d/environ", (int)last_worker(&fixture, slot));
    g_assert_true(g_file_get_contents(path, &text, &size, NULL));
    g_assert_cmpuint(size, >, 0);
    g_assert_null(memmem(text, size, "NOTIFY_SOCKET", strlen("NOTIFY_SOCKET")));
    g_assert_null(memmem(text, size, "WATCHDOG_", strlen("WATCHDOG_")));
    finish(&fixture, slot);
    fixture_tear_down(&fixture, NULL);
    close(fd);
}

/* ---- Control groups ---- */

/* A bus with systemd on it. The fields below the lock are for both threads. */
typedef struct Bus {
    int listener;
    bool refuse;
    pthread_t thread;
    pthread_mutex_t lock;
    bool ending;
    unsigned n_units;
    char *unit; /* the last one that was asked for */
    char *slice;
    uint32_t pid;
} Bus;

static int read_pid(sd_bus_message *call, uint32_t *pid)
{
    const void *pids = NULL;
    size_t size = 0;
    int result = sd_bus_message_enter_container(call, 'v', "au");

    if (result > 0)
        result = sd_bus_message_read_array(call, 'u', &pids, &size);
    if (result >= 0 && size >= sizeof(*pid))
        memcpy(pid, pids, sizeof(*pid));
    return result < 0 ? result : sd_bus_message_exit_container(call);
}

static int read_property(Bus *bus, sd_bus_message *call)
{
    const char *name = NULL;
    const char *value = NULL;
    int result = sd_bus_message_read(call, "s", &name);

    if (result < 0)
        return result;
    if (strcmp(name, "PIDs") == 0)
        return read_pid(call, &bus->pid);
    result = sd_bus_message_read(call, "v", "s", &value);
    if (result >= 0 && strcmp(name, "Slice") == 0) {
        g_free(bus->slice);
        bus->slice = g_strdup(value);
    }
    return result;
}

static int read_properties(Bus *bus, sd_bus_message *call)
{
    int result = sd_bus_message_enter_container(call, 'a', "(sv)");

    while (result >= 0 && (result = sd_bus_message_enter_container(call, 'r', "sv")) > 0) {
        result = read_property(bus, call);
        if (result >= 0)
            result = sd_bus_message_exit_container(call);
    }
    return result;
}

static int start_unit(Bus *bus, sd_bus_message *call)
{
    const char *name = NULL;
    const char *mode = NULL;

    if (bus->refuse)
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_ACCESS_DENIED, "not for you");
    g_assert_cmpint(sd_bus_message_read(call, "ss", &name, &mode), >=, 0);
    pthread_mutex_lock(&bus->lock);
    g_free(bus->unit);
    bus->unit = g_strdup(name);
    g_assert_cmpint(read_properties(bus, call), >=, 0);
    bus->n_units++;
    pthread_mutex_unlock(&bus->lock);
    return sd_bus_reply_method_return(call, "o", "/org/freedesktop/systemd1/job/1");
}

static int on_message(sd_bus_message *message, void *data, sd_bus_error *error)
{
    (void)error;
    if (sd_bus_message_is_method_call(message, "org.freedesktop.DBus", "Hello"))
        return sd_bus_reply_method_return(message, "s", ":1.1");
    if (sd_bus_message_is_method_call(message, "org.freedesktop.systemd1.Manager",
                                      "StartTransientUnit"))
        return start_unit(data, message);
    return 0;
}

static bool is_ending(Bus *bus)
{
    bool ending;

    pthread_mutex_lock(&bus->lock);
    ending = bus->ending;
    pthread_mutex_unlock(&bus->lock);
    return ending;
}

/* Talks with one client until it hangs up. */
static void serve_client(Bus *bus, int fd)
{
    sd_id128_t id = {.bytes = {1}};
    sd_bus *client = NULL;
    int result = 0;

    g_assert_cmpint(sd_bus_new(&client), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(client, fd, fd), >=, 0);
    g_assert_cmpint(sd_bus_set_server(client, 1, id), >=, 0);
    g_assert_cmpint(sd_bus_add_filter(client, NULL, on_message, bus), >=, 0);
    g_assert_cmpint(sd_bus_start(client), >=, 0);
    while (result >= 0 && !is_ending(bus)) {
        result = sd_bus_process(client, NULL);
        if (result == 0)
            sd_bus_wait(client, STEP_US);
    }
    sd_bus_close_unref(client);
}

static void *run_bus(void *data)
{
    Bus *bus = data;
    int fd;

    while ((fd = accept(bus->listener, NULL, NULL)) >= 0)
        serve_client(bus, fd);
    return NULL;
}

/* The stand-in leads the daemon to this place. */
static void bus_init(Bus *bus, bool refuse)
{
    g_autofree char *path = g_build_filename(standin_dir(), "bus", NULL);

    memset(bus, 0, sizeof(*bus));
    bus->refuse = refuse;
    pthread_mutex_init(&bus->lock, NULL);
    bus->listener = bind_unix(path, SOCK_STREAM);
    g_assert_no_errno(listen(bus->listener, 4));
    g_assert_cmpint(pthread_create(&bus->thread, NULL, run_bus, bus), ==, 0);
}

static void bus_deinit(Bus *bus)
{
    pthread_mutex_lock(&bus->lock);
    bus->ending = true;
    pthread_mutex_unlock(&bus->lock);
    shutdown(bus->listener, SHUT_RDWR);
    pthread_join(bus->thread, NULL);
    close(bus->listener);
    pthread_mutex_destroy(&bus->lock);
    g_free(bus->unit);
    g_free(bus->slice);
}

/* The last of `expected` units is that of this worker. */
static void expect_unit(Bus *bus, unsigned expected, pid_t worker)
{
    g_autofree char *unit = g_strdup_printf("xen-9pfs-worker-xen_9pfs-1-0-%d.scope", (int)worker);
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;
    unsigned n_units = 0;

    while (n_units < expected) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(STEP_US);
        pthread_mutex_lock(&bus->lock);
        n_units = bus->n_units;
        pthread_mutex_unlock(&bus->lock);
    }
    g_assert_cmpuint(n_units, ==, expected);
    g_assert_cmpstr(bus->unit, ==, unit);
    g_assert_cmpstr(bus->slice, ==, "xen-9pfs.slice");
    g_assert_cmpuint(bus->pid, ==, (uint32_t)worker);
}

/* Each worker, and once more when a new supervisor finds it. */
static void test_scope(void)
{
    Fixture fixture;
    Slot *slot;
    pid_t worker;
    Bus bus;

    fixture_open(&fixture);
    bus_init(&bus, false);
    fixture_start_supervisor(&fixture);
    slot = connected_slot(&fixture, 1, 0);
    worker = last_worker(&fixture, slot);
    expect_unit(&bus, 1, worker);
    fixture_end_supervisor(&fixture, SIGTERM);
    fixture_start_supervisor(&fixture);
    expect_log(&fixture, "goes on serving");
    expect_unit(&bus, 2, worker);
    check_serves(slot);
    finish(&fixture, slot);
    fixture_tear_down(&fixture, NULL);
    bus_deinit(&bus);
}

/* Guests are served all the same. */
static void test_scope_refused(void)
{
    Fixture fixture;
    Slot *slot;
    Bus bus;

    fixture_open(&fixture);
    bus_init(&bus, true);
    fixture_start_supervisor(&fixture);
    slot = connected_slot(&fixture, 1, 0);
    expect_log(&fixture, "warning: a worker has no control group of its own: not for you");
    check_serves(slot);
    finish(&fixture, slot);
    fixture_tear_down(&fixture, NULL);
    bus_deinit(&bus);
}

/* The bus goes away and comes back. */
static void test_bus_restarts(void)
{
    g_autofree char *path = NULL;
    Fixture fixture;
    Slot *slot;
    Bus bus;

    fixture_open(&fixture);
    path = g_build_filename(standin_dir(), "bus", NULL);
    bus_init(&bus, false);
    fixture_start_supervisor(&fixture);
    slot = connected_slot(&fixture, 1, 0);
    expect_unit(&bus, 1, last_worker(&fixture, slot));
    finish(&fixture, slot);
    bus_deinit(&bus);
    g_assert_no_errno(unlink(path));
    expect_log(&fixture, "the connection to the message bus is lost");
    slot = connected_slot(&fixture, 1, 0);
    expect_log(&fixture, "no message bus");
    finish(&fixture, slot);
    bus_init(&bus, false);
    slot = connected_slot(&fixture, 1, 0);
    expect_unit(&bus, 1, last_worker(&fixture, slot));
    finish(&fixture, slot);
    fixture_tear_down(&fixture, NULL);
    bus_deinit(&bus);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/service/notify", test_notify);
    g_test_add_func("/service/worker-environment", test_worker_environment);
    g_test_add_func("/service/scope", test_scope);
    g_test_add_func("/service/scope-refused", test_scope_refused);
    g_test_add_func("/service/bus-restarts", test_bus_restarts);
    return g_test_run();
}

#else

int main(void)
{
    g_print("1..0 # SKIP built without systemd's library\n");
    return 0;
}

#endif
