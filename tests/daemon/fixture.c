/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fixture: see fixture.h. */
#include "tests/daemon/fixture.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { EXPECT_MS = 20000, POLL_US = 5000, N_DOMAINS = 3 };

static void put_hello(const char *path)
{
    g_autofree char *file = g_build_filename(path, "hello", NULL);

    g_assert_true(g_file_set_contents(file, "hello", -1, NULL));
}

void fixture_open(Fixture *fixture)
{
    standin_start();
    fixture->xs = xs_open(0);
    g_assert_nonnull(fixture->xs);
    fixture->export = g_build_filename(standin_dir(), "export", NULL);
    g_assert_no_errno(g_mkdir(fixture->export, 0755));
    put_hello(fixture->export);
    for (uint32_t domid = 1; domid <= N_DOMAINS; domid++)
        standin_domain_create(domid);
}

void fixture_close(Fixture *fixture)
{
    g_free(fixture->export);
    xs_close(fixture->xs);
    standin_stop();
}

void fixture_set_up(Fixture *fixture, const void *options)
{
    fixture_open(fixture);
    fixture->daemon = standin_daemon_start(options);
}

void fixture_tear_down(Fixture *fixture, const void *options)
{
    (void)options;
    g_assert_cmpint(standin_daemon_stop(fixture->daemon), ==, 0);
    g_assert_false(fixture_exists(fixture, DAEMON_FOLDER));
    fixture_close(fixture);
}

char *fixture_program(const Fixture *fixture)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/exe", (int)standin_daemon_pid(fixture->daemon));

    return g_file_read_link(path, NULL);
}

void fixture_write(const Fixture *fixture, const char *path, const char *value)
{
    if (value == NULL)
        xs_rm(fixture->xs, XBT_NULL, path);
    else
        g_assert_true(xs_write(fixture->xs, XBT_NULL, path, value, (unsigned)strlen(value)));
}

bool fixture_exists(const Fixture *fixture, const char *path)
{
    char *value = xs_read(fixture->xs, XBT_NULL, path, NULL);
    bool exists = value != NULL;

    free(value);
    return exists;
}

void fixture_end_supervisor(Fixture *fixture, int number)
{
    pid_t pid = standin_daemon_pid(fixture->daemon);
    siginfo_t info;

    g_assert_no_errno(kill(pid, number));
    g_assert_no_errno(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    g_assert_cmpint(info.si_code, ==, CLD_EXITED);
    g_assert_cmpint(info.si_status, ==, 0);
    standin_daemon_kill(fixture->daemon);
}

void fixture_kill_supervisor(Fixture *fixture)
{
    standin_daemon_kill(fixture->daemon);
    fixture_write(fixture, DAEMON_FOLDER "/state", NULL);
}

void fixture_start_supervisor(Fixture *fixture)
{
    fixture->daemon = standin_daemon_start(NULL);
}

void expect_workers(const Fixture *fixture, unsigned expected)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;
    unsigned found;

    while ((found = standin_daemon_children(fixture->daemon)) != expected) {
        if (g_get_monotonic_time() > end)
            g_error("%u workers, not %u", found, expected);
        g_usleep(POLL_US);
    }
}

/* How many entries a folder of the process has in /proc; none for one that has ended. */
static unsigned count_in_proc(pid_t pid, const char *folder)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, folder);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    while (dir && g_dir_read_name(dir))
        n++;
    return n;
}

unsigned count_descriptors(pid_t pid)
{
    return count_in_proc(pid, "fd");
}

unsigned count_threads(pid_t pid)
{
    return count_in_proc(pid, "task");
}

GArray *list_processes(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", (int)pid, (int)pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;
    GArray *pids = g_array_new(FALSE, FALSE, sizeof(pid_t));

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return pids;
    words = g_strsplit(text, " ", -1);
    for (char **word = words; *word; word++) {
        pid_t child = atoi(*word);

        if (child > 0)
            g_array_append_val(pids, child);
    }
    return pids;
}

Footprint fixture_look(const Fixture *fixture)
{
    pid_t pid = standin_daemon_pid(fixture->daemon);
    g_autoptr(GArray) processes = list_processes(pid);

    return (Footprint){
        .descriptors = count_descriptors(pid),
        .processes = processes->len,
        .handles = standin_count(STANDIN_HANDLES, 0),
        .ports = standin_count(STANDIN_PORTS, 0),
        .watches = standin_count(STANDIN_WATCHES, 0),
        .transactions = standin_count(STANDIN_TRANSACTIONS, 0),
        .nodes = standin_count(STANDIN_NODES, 0),
    };
}

/* Says what is in xenstore, to see which node is too many. */
static void print_nodes(const Fixture *fixture, const char *path)
{
    unsigned n = 0;
    char **names = xs_directory(fixture->xs, XBT_NULL, path, &n);

    g_printerr("# %s\n", path);
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *below =
            g_strconcat(g_str_equal(path, "/") ? "" : path, "/", names[i], NULL);
        print_nodes(fixture, below);
    }
    free(names);
}

void expect_footprint(const Fixture *fixture, const Footprint *expected)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;
    Footprint found = fixture_look(fixture);

    while (memcmp(&found, expected, sizeof(found)) != 0) {
        if (g_get_monotonic_time() > end) {
            print_nodes(fixture, "/");
            g_error(
                "%u descriptors, %u processes, %u handles, %u ports, %u watches, %u transactions, "
                "%u nodes, not %u, %u, %u, %u, %u, %u, %u",
                found.descriptors, found.processes, found.handles, found.ports, found.watches,
                found.transactions, found.nodes, expected->descriptors, expected->processes,
                expected->handles, expected->ports, expected->watches, expected->transactions,
                expected->nodes);
        }
        g_usleep(POLL_US);
        found = fixture_look(fixture);
    }
}

void expect_log(const Fixture *fixture, const char *text)
{
    g_autofree char *log = NULL;

    if (standin_daemon_wait_log(fixture->daemon, text, EXPECT_MS))
        return;
    log = standin_daemon_log(fixture->daemon);
    g_error("not in the log: %s\n%s", text, log);
}

unsigned count_log(const Fixture *fixture, const char *text)
{
    g_autofree char *log = standin_daemon_log(fixture->daemon);
    unsigned count = 0;

    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* Of one that has ended, waited for or not, this cannot be read. */
static bool is_running(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/exe", (int)pid);
    g_autofree char *program = g_file_read_link(path, NULL);

    return program != NULL;
}

static pid_t find_last_number(const Fixture *fixture, const char *before)
{
    g_autofree char *log = standin_daemon_log(fixture->daemon);

    return atoi(g_strrstr(log, before) + strlen(before));
}

/* A device is connected before the log says so: an earlier worker's line may be the last for a moment. */
pid_t last_worker(const Fixture *fixture, const Slot *slot)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;
    g_autofree char *before = g_strdup_printf("domain %u device %u: connected: worker ",
                                              slot->device.domid, slot->device.devid);
    pid_t pid;

    expect_log(fixture, before);
    while (!is_running(pid = find_last_number(fixture, before)) && g_get_monotonic_time() < end)
        g_usleep(POLL_US);
    return pid;
}

char *other_export(void)
{
    char *path = g_build_filename(standin_dir(), "other", NULL);

    g_assert_no_errno(g_mkdir(path, 0755));
    put_hello(path);
    return path;
}

char *disk_export(void)
{
    char *path = g_strdup("/var/tmp/9p-test-XXXXXX");

    g_assert_nonnull(g_mkdtemp(path));
    g_assert_no_errno(g_chmod(path, 0755));
    put_hello(path);
    return path;
}

Slot *connected_slot(const Fixture *fixture, uint32_t domid, uint32_t devid)
{
    return connected_to(fixture->export, domid, devid, NULL);
}

Slot *connected_to(const char *path, uint32_t domid, uint32_t devid, const FrontendNode *nodes)
{
    Slot *slot = slot_new("xen_9pfs", domid, devid);

    slot->device.nodes = nodes;
    slot_add(slot, path, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    slot_set_frontend(slot, XenbusStateConnected);
    return slot;
}

void check_serves(Slot *slot)
{
    slot_open_file(slot, "hello");
    slot_read_file(slot, "hello");
}

void expect_refused(const Fixture *fixture, Slot *slot, const char *history, const char *reason)
{
    g_autofree char *line =
        g_strdup_printf("error: domain %u device %u: ", slot->device.domid, slot->device.devid);
    char *error;

    slot_expect(slot, XenbusStateClosed);
    slot_expect_history(slot, history);
    expect_log(fixture, reason);
    g_assert_cmpuint(count_log(fixture, line), ==, 1);
    error = toolstack_read_error(&slot->device);
    g_assert_nonnull(error);
    g_assert_cmpint(atoi(error), >, 0);
    g_assert_nonnull(strstr(error, reason));
    free(error);
}

static void expect_removed(const Fixture *fixture, const char *path)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;

    while (fixture_exists(fixture, path)) {
        if (g_get_monotonic_time() > end)
            g_error("%s is still there", path);
        g_usleep(POLL_US);
    }
}

/* The toolstack has deleted the device: now it is the daemon's turn. */
static void expect_nothing_left(const Fixture *fixture, Slot *slot)
{
    g_assert_cmpuint(standin_count_wait(STANDIN_MAPPED_PAGES, slot->device.domid, 0), ==, 0);
    expect_removed(fixture, "/local/domain/0/error/backend");
    g_assert_cmpint(slot_state(slot), ==, XenbusStateUnknown);
    slot_free(slot);
}

void finish(const Fixture *fixture, Slot *slot)
{
    char *state = toolstack_read_frontend(&slot->device, "state");

    slot_ask_remove(slot);
    if (state != NULL)
        slot_set_frontend(slot, XenbusStateClosed);
    free(state);
    slot_expect(slot, XenbusStateClosed);
    slot_delete(slot);
    expect_nothing_left(fixture, slot);
}

void finish_forced(const Fixture *fixture, Slot *slot)
{
    slot_delete(slot);
    expect_nothing_left(fixture, slot);
}

/* The folders stay; for all else the daemon may take a moment. */
Footprint fixture_footprint(const Fixture *fixture)
{
    Footprint before = fixture_look(fixture);

    finish(fixture, connected_slot(fixture, 1, 99));
    before.nodes = standin_count(STANDIN_NODES, 0);
    expect_footprint(fixture, &before);
    return before;
}
