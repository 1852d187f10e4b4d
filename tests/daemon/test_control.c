/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: each command, clients that misbehave, workers that cannot answer. */
#include "tests/daemon/control.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect_field(const char *record, const char *name, const char *expected)
{
    g_autofree char *value = control_field(record, name);

    g_assert_cmpstr(value, ==, expected);
}

static void write_config(const char *text)
{
    g_autofree char *file = standin_daemon_config();

    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

/* ---- What the supervisor answers ---- */

static void test_version(Fixture *fixture, const void *data)
{
    g_autofree char *config = standin_daemon_config();
    g_autofree char *record = control_record(fixture, "version", "daemon", NULL, NULL);

    (void)data;
    expect_field(record, "version", VERSION);
    expect_field(record, "backend_kinds", "xen_9pfs");
    expect_field(record, "config", config);
    expect_field(record, "seccomp", "kill");
    g_assert_cmpuint(control_number(record, "pid"), ==,
                     (uint64_t)standin_daemon_pid(fixture->daemon));
    g_assert_cmpuint(control_number(record, "devices"), ==, 0);
    g_assert_cmpint(
        llabs((gint64)control_number(record, "since") - g_get_real_time() / G_USEC_PER_SEC), <,
        3600);
}

static void test_no_devices(Fixture *fixture, const void *data)
{
    g_autofree char *answer = control_ask(fixture, "devices");

    (void)data;
    g_assert_cmpstr(answer, ==, "ok\nend\n");
}

static void test_devices(Fixture *fixture, const void *data)
{
    Slot *waiting = slot_new("xen_9pfs", 2, 7);
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autofree char *record = NULL;
    g_autofree char *other = NULL;
    g_autofree char *version = NULL;

    (void)data;
    slot_add(waiting, fixture->export, "none");
    slot_expect(waiting, XenbusStateInitWait);
    record = control_record(fixture, "devices", "device", "device", "1.0");
    expect_field(record, "kind", "xen_9pfs");
    expect_field(record, "domid", "1");
    expect_field(record, "domain", "guest-1");
    expect_field(record, "devid", "0");
    expect_field(record, "tag", "share");
    expect_field(record, "path", fixture->export);
    expect_field(record, "security_model", "none");
    expect_field(record, "readonly", "0");
    expect_field(record, "state", "connected");
    g_assert_cmpuint(control_number(record, "rings"), ==, slot->device.n_rings);
    expect_field(record, "ring_order", "1");
    expect_field(record, "restarts", "0");
    expect_field(record, "frontend", "/local/domain/1/device/9pfs/0");
    g_assert_cmpuint(control_number(record, "worker"), ==, (uint64_t)last_worker(fixture, slot));
    other = control_record(fixture, "devices", "device", "device", "2.7");
    expect_field(other, "state", "initwait");
    expect_field(other, "worker", NULL);
    version = control_record(fixture, "version", "daemon", NULL, NULL);
    expect_field(version, "devices", "2");
    finish(fixture, waiting);
    finish(fixture, slot);
}

/* What a guest has written cannot pretend to be a field or a record. */
static void test_escaping(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);
    g_autofree char *path = g_build_filename(fixture->export, "a\tb=\n\\\x01\xff", NULL);
    g_autofree char *escaped = g_build_filename(fixture->export, "a\\tb=\\n\\\\\\x01\\xff", NULL);
    g_autofree char *record = NULL;

    (void)data;
    g_assert_no_errno(g_mkdir(path, 0755));
    slot_add(slot, path, "none");
    slot_expect(slot, XenbusStateInitWait);
    record = control_record(fixture, "devices", "device", NULL, NULL);
    expect_field(record, "path", escaped);
    finish(fixture, slot);
}

static void test_reload(Fixture *fixture, const void *data)
{
    g_autofree char *config = standin_daemon_config();
    g_autofree char *good = NULL;
    g_autofree char *where = g_strconcat(config, ":3: [defaults]: readonly is", NULL);
    g_autofree char *where_broken = g_strconcat(config, ":4: ", NULL);
    Slot *slot;
    g_autofree char *record = NULL;

    (void)data;
    write_config("[defaults]\nreadonly=on\n");
    good = control_record(fixture, "reload", "config", NULL, NULL);
    expect_field(good, "config", config);
    write_config("# text\n[defaults]\nreadonly=perhaps\n");
    control_expect_error(fixture, "reload", where);
    write_config("[defaults]\n\n# text\nnonsense\n\n[tag x]\n");
    control_expect_error(fixture, "reload", where_broken);

    /* What was in force before stays so. */
    slot = connected_slot(fixture, 1, 0);
    record = control_record(fixture, "devices", "device", NULL, NULL);
    expect_field(record, "readonly", "1");
    finish(fixture, slot);

    /* What was changed since then nobody has been told about. */
    write_config("[defaults]\nfmode=?\n");
    slot = slot_new("xen_9pfs", 1, 0);
    slot_add(slot, fixture->export, "none");
    expect_refused(fixture, slot, "1 5 6", "xen-9pfs.conf:2: [defaults]: fmode is \"?\"");
    finish(fixture, slot);
}

static const char *const two_kinds[] = {"--backend-kind=xen_9pfs,9pfs", NULL};

/* A record that need not be there yet. */
static char *await_device(const Fixture *fixture, const char *name)
{
    gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    for (;;) {
        g_autofree char *answer = control_ask(fixture, "devices");
        g_auto(GStrv) records = control_records(answer);
        char *record = control_find(records, "device", "device", name);

        if (record)
            return record;
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

/* Writes what is left of a closed device of kind 9pfs in domain 1. */
static void leave_device(const Fixture *fixture, const char *folder, const char *frontend)
{
    g_autofree char *state = g_strconcat(folder, "/state", NULL);
    g_autofree char *link = g_strconcat(folder, "/frontend", NULL);

    fixture_write(fixture, state, "6");
    fixture_write(fixture, link, frontend);
}

/* The kind belongs to the name only where it has to. The devices of the other kind are closed. */
static void test_two_kinds(Fixture *fixture, const void *data)
{
    static const char folder[] = "/local/domain/0/backend/9pfs";
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autofree char *alone = NULL;
    g_autofree char *second = NULL;
    g_autofree char *first = NULL;
    g_autofree char *session = NULL;

    (void)data;
    leave_device(fixture, "/local/domain/0/backend/9pfs/1/1", "/local/domain/1/device/9pfs/1");
    alone = await_device(fixture, "1.1");
    expect_field(alone, "kind", "9pfs");
    expect_field(alone, "state", "closed");
    leave_device(fixture, "/local/domain/0/backend/9pfs/1/0", "/local/domain/1/device/9pfs/9");
    second = await_device(fixture, "9pfs:1.0");
    first = await_device(fixture, "xen_9pfs:1.0");
    expect_field(first, "state", "connected");
    control_expect_error(fixture, "stats 1.0", "there are several devices 1.0; give KIND:1.0");
    control_expect_error(fixture, "stats 9pfs:1.0", "device 9pfs:1.0 is not connected");
    session = control_record(fixture, "stats xen_9pfs:1.0", "session", NULL, NULL);
    fixture_write(fixture, folder, NULL);
    g_free(first);
    first = await_device(fixture, "1.0");
    finish(fixture, slot);
}

static void test_control_group(Fixture *fixture, const void *data)
{
    g_autofree char *socket_name = control_socket(fixture);
    g_autofree char *record = NULL;
    g_autofree char *last_record = NULL;
    struct stat info;

    (void)data;
    if (geteuid() != 0) {
        g_test_skip("only root can give the socket to a group");
        return;
    }
    g_assert_no_errno(stat(socket_name, &info));
    g_assert_cmpuint(info.st_mode & 0777, ==, 0660);
    g_assert_cmpuint(info.st_gid, ==, 0);
    write_config("[daemon]\ncontrol-group = daemon\n");
    record = control_record(fixture, "reload", "config", NULL, NULL);
    g_assert_no_errno(stat(socket_name, &info));
    g_assert_cmpuint(info.st_gid, ==, 1);
    g_assert_no_errno(stat(standin_daemon_run_dir(fixture->daemon), &info));
    g_assert_cmpuint(info.st_mode & 0777, ==, 0710);
    g_assert_cmpuint(info.st_gid, ==, 1);
    write_config("[daemon]\ncontrol-group=no-such-group\n");
    control_expect_error(fixture, "reload", "there is no group \"no-such-group\"");
    write_config("[daemon]\nreadonly=on\n");
    control_expect_error(fixture, "reload", ":2: [daemon]: there is no key \"readonly\"");
    g_assert_no_errno(stat(socket_name, &info));
    g_assert_cmpuint(info.st_gid, ==, 1);
    write_config("");
    last_record = control_record(fixture, "reload", "config", NULL, NULL);
    g_assert_no_errno(stat(socket_name, &info));
    g_assert_cmpuint(info.st_gid, ==, 0);
    g_assert_no_errno(stat(standin_daemon_run_dir(fixture->daemon), &info));
    g_assert_cmpuint(info.st_mode & 0777, ==, 0700);
    g_assert_cmpuint(info.st_gid, ==, 0);
}

static void test_bad_requests(Fixture *fixture, const void *data)
{
    static const struct {
        const char *request;
        const char *error;
    } cases[] = {
        {"", "malformed"},
        {" ", "malformed"},
        {"version ", "malformed"},
        {" version", "malformed"},
        {"version  1", "malformed"},
        {"version \\", "malformed"},
        {"version \\q", "malformed"},
        {"version \\x0", "malformed"},
        {"version \\x00", "malformed"},
        {"version 1", "version: this command has no arguments"},
        {"Version", "there is no command \"Version\""},
        {"x\\n\\xff\x01", "there is no command \"x\\n\\xff\\x01\""},
        {"stats", "stats: of which device?"},
        {"stats 1.1", "there is no device 1.1"},
        {"stats 1.0x", "there is no device 1.0x"},
        {"stats 01.0", "there is no device 01.0"},
        {"stats other:1.0", "there is no device other:1.0"},
        {"stats 1.0 x", "no arguments but the device"},
    };
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        control_expect_error(fixture, cases[i].request, cases[i].error);
    finish(fixture, slot);
    control_expect_error(fixture, "stats 1.0", "there is no device 1.0");
}

/* ---- What workers answer ---- */

static uint64_t operation(const Fixture *fixture, const char *name, const char *field)
{
    g_autofree char *record = control_record(fixture, "stats 1.0", "operation", "name", name);

    return control_number(record, field);
}

static void check_histogram(const Fixture *fixture)
{
    g_autofree char *bounds = control_record(fixture, "stats 1.0", "buckets", NULL, NULL);
    g_autofree char *record = control_record(fixture, "stats 1.0", "operation", "name", "Tread");
    g_autofree char *bounds_text = control_field(bounds, "bounds_us");
    g_autofree char *counts_text = control_field(record, "buckets");
    g_auto(GStrv) all_bounds = g_strsplit(bounds_text, ",", -1);
    g_auto(GStrv) counts = g_strsplit(counts_text, ",", -1);
    uint64_t total = 0;

    g_assert_cmpuint(g_strv_length(all_bounds), ==, g_strv_length(counts));
    for (unsigned i = 0; counts[i]; i++) {
        total += strtoull(counts[i], NULL, 10);
        if (i > 0)
            g_assert_cmpuint(strtoull(all_bounds[i], NULL, 10), >,
                             strtoull(all_bounds[i - 1], NULL, 10));
    }
    g_assert_cmpuint(total, ==, control_number(record, "count"));
}

static uint64_t count_ended(const Fixture *fixture)
{
    g_autofree char *answer = control_ask(fixture, "stats 1.0");
    g_auto(GStrv) records = control_records(answer);
    uint64_t n = 0;

    for (char **record = records; *record; record++) {
        if (g_str_has_prefix(*record, "record=operation\t"))
            n += control_number(*record, "count");
    }
    return n;
}

/* A request is counted when its reply has been published, which may be seen before. */
static void await_ended(const Fixture *fixture, uint64_t n)
{
    gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    while (count_ended(fixture) != n) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

static uint64_t sum_of_rings(const Fixture *fixture, unsigned n_rings, const char *field)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n_rings; i++) {
        g_autofree char *index = g_strdup_printf("%u", i);
        g_autofree char *record = control_record(fixture, "stats 1.0", "ring", "index", index);

        sum += control_number(record, field);
    }
    return sum;
}

static void test_stats(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autofree char *session = NULL;
    g_autofree char *ring = NULL;
    unsigned n_rings = slot->device.n_rings;

    (void)data;
    check_serves(slot);
    g_assert_cmpint(frontend_call(slot->frontend, p9_twalk(7, 1, 9, "missing"), "*"), ==, ENOENT);
    await_ended(fixture, 6);
    session = control_record(fixture, "stats xen_9pfs:1.0", "session", NULL, NULL);
    expect_field(session, "version", "9P2000.L");
    expect_field(session, "msize", "4096");
    expect_field(session, "mounts", "1");
    expect_field(session, "fids", "2");
    expect_field(session, "open_files", "1");
    expect_field(session, "in_flight", "0");
    expect_field(session, "requests", "6");
    expect_field(session, "errors", "1");
    expect_field(session, "cancelled", "0");
    expect_field(session, "quota_scan", "off");
    g_assert_cmpuint(control_number(session, "bytes_in"), >, 100);
    g_assert_cmpuint(control_number(session, "bytes_out"), >, 100);
    g_assert_cmpuint(operation(fixture, "Twalk", "count"), ==, 2);
    g_assert_cmpuint(operation(fixture, "Twalk", "errors"), ==, 1);
    g_assert_cmpuint(operation(fixture, "Tread", "count"), ==, 1);
    g_assert_cmpuint(operation(fixture, "Tread", "bytes_in"), ==, 23);
    g_assert_cmpuint(operation(fixture, "Tread", "bytes_out"), ==, 11 + strlen("hello"));
    check_histogram(fixture);
    ring = control_record(fixture, "stats 1.0", "ring", "index", "0");
    expect_field(ring, "order", "1");
    expect_field(ring, "size", "4096");
    expect_field(ring, "out_used", "0");
    expect_field(ring, "stalls", "0");
    g_assert_cmpuint(sum_of_rings(fixture, n_rings, "requests"), ==, 6);
    g_assert_cmpuint(sum_of_rings(fixture, n_rings, "replies"), ==, 6);
    g_assert_cmpuint(sum_of_rings(fixture, n_rings, "in_high"), >, 0);
    g_assert_cmpuint(sum_of_rings(fixture, n_rings, "notifications"), >, 0);
    g_assert_cmpuint(sum_of_rings(fixture, n_rings, "wakeups"), >, 0);
    finish(fixture, slot);
}

static void test_fids(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autofree char *root = NULL;
    g_autofree char *file = NULL;

    (void)data;
    check_serves(slot);
    root = control_record(fixture, "fids 1.0", "fid", "path", "/");
    expect_field(root, "type", "dir");
    expect_field(root, "open", "-");
    file = control_record(fixture, "fids 1.0", "fid", "path", "/hello");
    expect_field(file, "type", "file");
    expect_field(file, "open", "r");
    expect_field(file, "fid", "2");
    finish(fixture, slot);
}

/* Nothing is in flight: an answer without records. */
static void test_no_requests(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autofree char *answer = NULL;

    (void)data;
    check_serves(slot);
    answer = control_ask(fixture, "requests 1.0");
    g_assert_cmpstr(answer, ==, "ok\nend\n");
    finish(fixture, slot);
}

static void test_not_connected(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)data;
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    control_expect_error(fixture, "stats 1.0", "device 1.0 is not connected");
    finish(fixture, slot);
}

/* A worker that was adopted answers the next supervisor's clients. */
static void test_adopted(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autofree char *record = NULL;
    g_autofree char *session = NULL;

    (void)data;
    check_serves(slot);
    fixture_kill_supervisor(fixture); /* leaves its socket behind */
    fixture_start_supervisor(fixture);
    expect_log(fixture, "goes on serving");
    record = control_record(fixture, "devices", "device", "device", "1.0");
    expect_field(record, "state", "connected");
    expect_field(record, "tag", "share");
    expect_field(record, "ring_order", "1");
    session = control_record(fixture, "stats 1.0", "session", NULL, NULL);
    expect_field(session, "requests", "5");
    finish(fixture, slot);
}

/* The answer of a worker that dies is not complete, and the device goes on in a new one. */
static void test_worker_dies(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    pid_t worker = last_worker(fixture, slot);
    g_autofree char *answer = NULL;
    int fd = control_connect(fixture);

    (void)data;
    g_assert_no_errno(kill(worker, SIGSTOP));
    control_send(fd, "stats 1.0\n", 10);
    g_usleep(10000); /* whether it has the request by now makes no difference */
    g_assert_no_errno(kill(worker, SIGKILL));
    answer = control_read_all(fd);
    close(fd);
    if (!g_str_has_prefix(answer, "error "))
        g_assert_cmpstr(answer, ==, "");
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    control_expect_error(fixture, "stats 1.0", "device 1.0 is not connected");
    finish(fixture, slot);
}

/* A worker that takes nothing any more keeps neither the supervisor nor, for long, its clients. */
static void test_worker_stuck(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    pid_t worker = last_worker(fixture, slot);
    g_autoptr(GArray) clients = g_array_new(FALSE, FALSE, sizeof(int));
    bool refused = false;

    (void)data;
    g_assert_no_errno(kill(worker, SIGSTOP));
    for (unsigned i = 0; i < 1000 && !refused; i++) {
        struct pollfd poll_fd = {.fd = control_connect(fixture), .events = POLLIN};
        g_autofree char *version = NULL;

        control_send(poll_fd.fd, "stats 1.0\n", 10);
        g_array_append_val(clients, poll_fd.fd);
        version = control_record(fixture, "version", "daemon", NULL, NULL);
        refused = poll(&poll_fd, 1, 0) == 1;
        if (refused) {
            g_autofree char *answer = control_read_all(poll_fd.fd);

            g_assert_cmpstr(answer, ==, "error the worker of device 1.0 does not take requests\n");
        }
    }
    g_assert_true(refused);
    g_assert_no_errno(kill(worker, SIGCONT));
    for (unsigned i = 0; i < clients->len; i++) {
        g_autofree char *answer = control_read_all(g_array_index(clients, int, i));

        if (i + 1 < clients->len && answer[0] != '\0')
            g_assert_true(g_str_has_suffix(answer, "\nend\n"));
        close(g_array_index(clients, int, i));
    }
    check_serves(slot);
    finish(fixture, slot);
}

/* ---- Clients that misbehave ---- */

static void expect_alive(const Fixture *fixture)
{
    g_autofree char *record = control_record(fixture, "version", "daemon", NULL, NULL);

    g_assert_cmpuint(control_number(record, "pid"), ==,
                     (uint64_t)standin_daemon_pid(fixture->daemon));
}

static void test_overlong(Fixture *fixture, const void *data)
{
    g_autofree char *longest = g_strnfill(511, 'x');
    g_autofree char *longer = g_strnfill(512, 'x');
    g_autofree char *huge = g_strnfill(1024 * 1024, 'x');

    (void)data;
    control_expect_error(fixture, longest, "there is no command");
    control_expect_error(fixture, longer, "longer than 511 bytes");
    control_expect_error(fixture, huge, "longer than 511 bytes");
    expect_alive(fixture);
}

/* All bytes, in pseudo-random order that is the same each time, with ends of lines in between. */
static void test_garbage(Fixture *fixture, const void *data)
{
    uint32_t state = 1;

    (void)data;
    for (unsigned round = 0; round < 300; round++) {
        char bytes[64];
        g_autofree char *answer = NULL;
        int fd = control_connect(fixture);

        for (size_t i = 0; i < sizeof(bytes); i++) {
            state = state * 1664525 + 1013904223;
            bytes[i] = (char)(state >> 24);
        }
        control_send(fd, bytes, sizeof(bytes));
        control_send(fd, "\n", 1);
        answer = control_read_all(fd);
        g_assert_true(g_str_has_prefix(answer, "error "));
        close(fd);
    }
    expect_alive(fixture);
}

/* Bytes that come one by one, and some behind the request. */
static void test_slow_request(Fixture *fixture, const void *data)
{
    static const char request[] = "version\nstats 1.0\n";
    int fd = control_connect(fixture);
    g_autofree char *answer = NULL;

    (void)data;
    for (size_t i = 0; i < strlen(request); i++) {
        control_send(fd, request + i, 1);
        if (i < 7)
            expect_alive(fixture);
    }
    answer = control_read_all(fd);
    g_assert_true(g_str_has_prefix(answer, "ok\nrecord=daemon\t"));
    g_assert_true(g_str_has_suffix(answer, "\nend\n"));
    close(fd);
}

/* At each step: with nothing sent, in the middle of a request, with the answer on its way. */
static void test_hang_up(Fixture *fixture, const void *data)
{
    static const char *const parts[] = {
        "", "vers", "version\n", "devices\n", "stats 1.0\n", "fids 1.0\n", "stats 9.9\n"};
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    for (unsigned round = 0; round < 50; round++) {
        for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
            int fd = control_connect(fixture);

            control_send(fd, parts[i], strlen(parts[i]));
            if (round % 2)
                shutdown(fd, SHUT_RD);
            close(fd);
        }
    }
    expect_alive(fixture);
    check_serves(slot);
    finish(fixture, slot);
}

/* Who connects and says nothing loses its place to those who do. */
static void test_many_connections(Fixture *fixture, const void *data)
{
    enum { N = 200 };
    int fds[N];
    unsigned n_refused = 0;

    (void)data;
    for (unsigned i = 0; i < N; i++) {
        fds[i] = control_connect(fixture);
        if (i % 50 == 49)
            expect_alive(fixture);
    }
    expect_alive(fixture);
    for (unsigned i = 0; i < N; i++) {
        struct pollfd poll_fd = {.fd = fds[i], .events = POLLIN};

        if (poll(&poll_fd, 1, 0) == 1) {
            g_autofree char *answer = control_read_all(fds[i]);

            g_assert_cmpstr(answer, ==, "error there are too many connections\n");
            n_refused++;
        }
        close(fds[i]);
    }
    g_assert_cmpuint(n_refused, >=, N - 64);
    expect_alive(fixture);
}

/* One that says nothing is hung up on. */
static void test_idle(Fixture *fixture, const void *data)
{
    int fd = control_connect(fixture);
    g_autofree char *answer = NULL;

    (void)data;
    control_send(fd, "vers", 4);
    answer = control_read_all(fd);
    g_assert_cmpstr(answer, ==, "");
    close(fd);
}

/* More fids than the socket's buffer has room for in an answer: of one directory, with a long name. */
static Slot *slot_with_many_fids(const Fixture *fixture)
{
    enum { N_FIDS = 16000, DIRECTORY_FID = 99, NAME_BYTES = 250 };
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autofree char *name = g_strnfill(NAME_BYTES, 'n');
    g_autofree char *path = g_build_filename(fixture->export, name, NULL);

    g_assert_no_errno(g_mkdir(path, 0755));
    slot_open_file(slot, "hello");
    g_assert_cmpint(frontend_call(slot->frontend, p9_twalk(7, 1, DIRECTORY_FID, name), "*"), ==, 0);
    for (uint32_t i = 1; i < N_FIDS; i++)
        g_assert_cmpint(
            frontend_call(slot->frontend, p9_twalk(7, DIRECTORY_FID, DIRECTORY_FID + i, NULL), "*"),
            ==, 0);
    return slot;
}

/* Who reads late gets all of an answer, and nobody waits for that. */
static void test_slow_client(Fixture *fixture, const void *data)
{
    Slot *slot = slot_with_many_fids(fixture);
    int fd = control_connect(fixture);
    g_autofree char *other = NULL;
    g_autofree char *answer = NULL;
    g_auto(GStrv) records = NULL;

    (void)data;
    control_send(fd, "fids 1.0\n", 9);
    other = control_record(fixture, "stats 1.0", "session", NULL, NULL);
    expect_field(other, "fids", "16002");
    slot_read_file(slot, "hello");
    expect_alive(fixture);
    answer = control_read_all(fd);
    records = control_records(answer);
    g_assert_cmpuint(g_strv_length(records), ==, 16002);
    close(fd);
    finish(fixture, slot);
}

/* Who does not read at all is cut off, and can tell. */
static void test_deaf_client(Fixture *fixture, const void *data)
{
    Slot *slot = slot_with_many_fids(fixture);
    struct pollfd poll_fd = {.fd = control_connect(fixture)};
    g_autofree char *answer = NULL;

    (void)data;
    control_send(poll_fd.fd, "fids 1.0\n", 9);
    g_assert_cmpint(poll(&poll_fd, 1, 60000), ==, 1);
    answer = control_read_all(poll_fd.fd);
    g_assert_true(g_str_has_prefix(answer, "ok\nrecord=fid\t"));
    g_assert_false(g_str_has_suffix(answer, "\nend\n"));
    close(poll_fd.fd);
    finish(fixture, slot);
}

#define TOO_MANY "error the worker has too many clients to answer\n"

/* Whether this client has got an error instead of an answer. Nobody is hung up on without a word. */
static bool is_refused(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    g_assert_cmpint(got, !=, 0);
    return got == 1 && byte == 'e';
}

/* True when the worker said that they are too many, rather than the supervisor that the worker has not
 * come to take the last one's request. */
static bool any_refused_by_worker(int fds[], unsigned *n)
{
    for (unsigned i = *n; i-- > 0;) {
        g_autofree char *answer = is_refused(fds[i]) ? control_read_all(fds[i]) : NULL;

        if (!answer)
            continue;
        close(fds[i]);
        fds[i] = fds[--*n];
        if (strcmp(answer, TOO_MANY) == 0)
            return true;
        g_assert_cmpstr(answer, ==, "error the worker of device 1.0 does not take requests\n");
        g_usleep(1000);
    }
    return false;
}

/* A worker answers only so many who do not read; the others are told so, and it goes on. */
static void test_many_deaf_clients(Fixture *fixture, const void *data)
{
    enum { MOST = 500 };
    Slot *slot = slot_with_many_fids(fixture);
    g_autofree char *answer = NULL;
    int fds[MOST];
    unsigned n = 0;

    (void)data;
    do {
        g_assert_cmpuint(n, <, MOST);
        fds[n] = control_connect(fixture);
        control_send(fds[n], "fids 1.0\n", 9);
        n++;
    } while (!any_refused_by_worker(fds, &n));
    g_assert_cmpuint(n, >, 32);
    slot_read_file(slot, "hello");
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
    do { /* it takes a moment until the worker knows that they are gone */
        g_free(answer);
        answer = control_ask(fixture, "stats 1.0");
    } while (g_str_has_prefix(answer, "error the worker"));
    g_assert_nonnull(strstr(answer, "\tfids=16002\t"));
    finish(fixture, slot);
}

/* ---- The socket itself ---- */

static void test_end(Fixture *fixture, const void *data)
{
    g_autofree char *socket_name = control_socket(fixture);

    (void)data;
    g_assert_true(g_file_test(socket_name, G_FILE_TEST_EXISTS));
    fixture_end_supervisor(fixture, SIGTERM);
    g_assert_false(g_file_test(socket_name, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_set_contents(socket_name, "no socket", -1, NULL));
    fixture_start_supervisor(fixture);
    expect_alive(fixture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/control/version", test_version);
    FIXTURE_TEST("/control/no-devices", test_no_devices);
    FIXTURE_TEST("/control/devices", test_devices);
    FIXTURE_TEST("/control/escaping", test_escaping);
    FIXTURE_TEST("/control/reload", test_reload);
    FIXTURE_TEST("/control/group", test_control_group);
    FIXTURE_TEST("/control/bad-requests", test_bad_requests);
    FIXTURE_TEST("/control/stats", test_stats);
    FIXTURE_TEST("/control/fids", test_fids);
    FIXTURE_TEST("/control/no-requests", test_no_requests);
    FIXTURE_TEST("/control/not-connected", test_not_connected);
    FIXTURE_TEST("/control/adopted", test_adopted);
    FIXTURE_TEST("/control/worker-dies", test_worker_dies);
    FIXTURE_TEST("/control/worker-stuck", test_worker_stuck);
    FIXTURE_TEST("/control/overlong", test_overlong);
    FIXTURE_TEST("/control/garbage", test_garbage);
    FIXTURE_TEST("/control/slow-request", test_slow_request);
    FIXTURE_TEST("/control/hang-up", test_hang_up);
    FIXTURE_TEST("/control/many-connections", test_many_connections);
    FIXTURE_TEST("/control/idle", test_idle);
    FIXTURE_TEST("/control/slow-client", test_slow_client);
    FIXTURE_TEST("/control/deaf-client", test_deaf_client);
    FIXTURE_TEST("/control/many-deaf-clients", test_many_deaf_clients);
    FIXTURE_TEST("/control/end", test_end);
    g_test_add("/control/two-kinds", Fixture, two_kinds, fixture_set_up, test_two_kinds,
               fixture_tear_down);
    return g_test_run();
}
