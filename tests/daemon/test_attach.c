/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen-9pfs attach and detach: the nodes, the guest that connects, the guest that has it mounted, all
 * that is refused; and that nothing is left of any of it. */
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/daemon/command.h"
#include "tests/daemon/fixture.h"

enum { DRIVER_DOMAIN = 7, POLL_US = 2000, EXPECT_MS = 20000 };

/* What is there as long as domain 1 has a device. */
static const char *const folders[] = {
    "/local/domain/0/backend/xen_9pfs/1",
    "/local/domain/7/backend",
    "/local/domain/1/device/9pfs",
    "/libxl/1",
};

static void set_up(Fixture *f, const void *unused)
{
    fixture_set_up(f, unused);
    fixture_write(f, "/local/domain/1/name", "web");
}

/* Nothing of any device of domain 1 is in xenstore. */
static void expect_no_nodes(const Fixture *f)
{
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        if (fixture_exists(f, folders[i]))
            g_error("%s is left", folders[i]);
    }
    for (int i = 0; i < EXPECT_MS * 1000 / POLL_US; i++) {
        if (!fixture_exists(f, "/local/domain/0/error/backend"))
            return;
        g_usleep(POLL_US);
    }
    g_error("an error node is left");
}

static void expect_nothing_left(const Fixture *f)
{
    expect_no_nodes(f);
    expect_workers(f, 0);
}

static void expect_node(const char *path, const char *value)
{
    g_autofree char *found = standin_read(path);

    if (g_strcmp0(found, value) != 0)
        g_error("%s is \"%s\", not \"%s\"", path, found, value);
}

static void wait_node(const char *path, const char *value)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;

    for (;;) {
        g_autofree char *found = standin_read(path);

        if (g_strcmp0(found, value) == 0)
            return;
        if (g_get_monotonic_time() > end)
            g_error("%s is \"%s\", not \"%s\"", path, found, value);
        g_usleep(POLL_US);
    }
}

/*
 * The nodes
 */

/* The name, the permissions and the value of a node, as a line. */
static char *describe_node(const Fixture *f, const char *path, const char *name)
{
    g_autofree char *value = standin_read(path);
    unsigned n_permissions = 0;
    struct xs_permissions *permissions = xs_get_permissions(f->xs, XBT_NULL, path, &n_permissions);
    GString *line = g_string_new(name);

    for (unsigned i = 0; i < n_permissions; i++)
        g_string_append_printf(line, " %u:%u", permissions[i].id, permissions[i].perms);
    g_string_append_printf(line, " = %s\n", value);
    free(permissions);
    return g_string_free(line, FALSE);
}

/* Adds a line for a folder itself and for each of its nodes. */
static void describe_folder(const Fixture *f, const char *folder, GPtrArray *lines)
{
    unsigned n_names = 0;
    char **names = xs_directory(f->xs, XBT_NULL, folder, &n_names);

    g_ptr_array_add(lines, describe_node(f, folder, "."));
    for (unsigned i = 0; i < n_names; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", folder, names[i]);

        g_ptr_array_add(lines, describe_node(f, path, names[i]));
    }
    free(names);
}

static int compare_lines(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *join_sorted(GPtrArray *lines)
{
    g_ptr_array_sort(lines, compare_lines);
    g_ptr_array_add(lines, NULL);
    return g_strjoinv(NULL, (char **)lines->pdata);
}

/* What there is of device 0 of a domain, whose number is left out. */
static char *describe_device(const Fixture *f, uint32_t domid)
{
    g_autofree char *back = g_strdup_printf("/local/domain/0/backend/xen_9pfs/%u/0", domid);
    g_autofree char *front = g_strdup_printf("/local/domain/%u/device/9pfs/0", domid);
    g_autofree char *number = g_strdup_printf("%u", domid);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *all = NULL;
    GString *text;

    describe_folder(f, back, lines);
    describe_folder(f, front, lines);
    all = join_sorted(lines);
    text = g_string_new(all);
    g_string_replace(text, number, "DOMID", 0);
    return g_string_free(text, FALSE);
}

/* The same device, once made by the toolstack of the tests, which is libxl's double, and once by
 * the tool, side by side in two domains. */
static void test_same_nodes_as_libxl(Fixture *f, const void *unused)
{
    Slot *slot;
    g_autofree char *theirs = NULL;
    g_autofree char *ours = NULL;

    (void)unused;
    standin_domain_create(7001);
    standin_domain_create(7002);
    slot = slot_new("xen_9pfs", 7001, 0);
    slot->device.tag = "share";
    slot_add(slot, f->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    theirs = describe_device(f, 7001);
    expect_result(COMMAND_RUN("attach", "7002", f->export, "--tag", "share"), 0, "Device 7002.0");
    ours = describe_device(f, 7002);
    g_assert_cmpstr(ours, ==, theirs);
    expect_result(COMMAND_RUN("detach", "7002", "share"), 0, "Device 7002.0");
    finish(f, slot);
    expect_nothing_left(f);
}

/* By this libxl finds a device when it destroys the guest. */
static void test_libxl_nodes(Fixture *f, const void *unused)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *found = NULL;
    g_autofree char *expected =
        g_strdup_printf(". 0:0 = \n"
                        "auto-delete 0:0 = 0\n"
                        "backend 0:0 = /local/domain/0/backend/xen_9pfs/1/0\n"
                        "frontend 0:0 = /local/domain/1/device/9pfs/0\n"
                        "frontend-id 0:0 = 1\n"
                        "max-files 0:0 = 0\n"
                        "max-open-files 0:0 = 0\n"
                        "max-space 0:0 = 0\n"
                        "online 0:0 = 1\n"
                        "path 0:0 = %s\n"
                        "security_model 0:0 = mapped-file\n"
                        "state 0:0 = 1\n",
                        f->export);
    struct xs_permissions nobody = {.id = 0, .perms = XS_PERM_NONE};

    (void)unused;
    g_assert_true(xs_mkdir(f->xs, XBT_NULL, "/libxl"));
    g_assert_true(xs_set_permissions(f->xs, XBT_NULL, "/libxl", &nobody, 1));
    expect_result(COMMAND_RUN("attach", "web", f->export, "-t", "share", "-m", "mapped-file"), 0,
                  "Device 1.0: domain web (1)");
    describe_folder(f, "/libxl/1/device/9pfs/0", lines);
    found = join_sorted(lines);
    g_assert_cmpstr(found, ==, expected);
    expect_result(COMMAND_RUN("detach", "web", "0"), 0, "Device 1.0: domain web (1)");
    expect_nothing_left(f);
}

#define BACK "/local/domain/0/backend/xen_9pfs/1/0/"

static void test_options(Fixture *f, const void *unused)
{
    (void)unused;
    expect_result(COMMAND_RUN("attach", "1", f->export, "--tag=t", "--readonly", "--max-files", "7",
                              "--max-space=3", "--auto-delete=yes", "--fmode=0640",
                              "--throttling.bps-read-max=2M", "--throttling.bps-read=1M",
                              "--map-users=0-9:100;*:7", "--multidevs=forbid"),
                  0, "Device 1.0");
    expect_node(BACK "readonly", "1");
    expect_node(BACK "max-files", "7");
    expect_node(BACK "max-space", "3");
    expect_node(BACK "max-open-files", "0");
    expect_node(BACK "auto-delete", "1");
    expect_node(BACK "fmode", "0640");
    expect_node(BACK "throttling-bps-read", "1M");
    expect_node(BACK "throttling-bps-read-max", "2M");
    expect_node(BACK "map-users", "0-9:100;*:7");
    expect_node(BACK "multidevs", "forbid");
    expect_node(BACK "dmode", NULL);
    expect_node("/libxl/1/device/9pfs/0/readonly", "1");
    expect_node(BACK "state", "2"); /* the daemon has taken all of them */
    expect_result(COMMAND_RUN("detach", "1", "t"), 0, "Device 1.0");
    expect_nothing_left(f);
}

/* The lowest number that is free; and the one that is asked for. */
static void test_devids(Fixture *f, const void *unused)
{
    (void)unused;
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "a"), 0, "Device 1.0");
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "b"), 0, "Device 1.1");
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "c"), 0, "Device 1.2");
    expect_result(COMMAND_RUN("detach", "1", "b"), 0, "Device 1.1");
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "d"), 0, "Device 1.1");
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "e", "--devid=9"), 0, "Device 1.9");
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "f", "--devid=9"), 1,
                  "has a device 9 already");
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "e"), 1,
                  "a device with the tag \"e\" already, 1.9");
    expect_result(COMMAND_RUN("detach", "1", "f"), 1, "no 9pfs device \"f\"");
    for (const char *const *tag = (const char *const[]){"a", "c", "d", "e", NULL}; *tag; tag++)
        expect_result(COMMAND_RUN("detach", "1", *tag), 0, "has it no more");
    expect_nothing_left(f);
}

/* A tag that is another device's number means the device with the tag. */
static void test_number_as_tag(Fixture *f, const void *unused)
{
    (void)unused;
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "1"), 0, "Device 1.0");
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "0"), 0, "Device 1.1");
    expect_result(COMMAND_RUN("detach", "1", "0"), 0, "Device 1.1");
    expect_result(COMMAND_RUN("detach", "1", "0"), 0, "Device 1.0");
    expect_nothing_left(f);
}

/*
 * Guests that connect
 */

/* Attaches a device for which `slot` plays the frontend, with `tag` and one option. */
static void attach_slot(const Fixture *f, Slot *slot)
{
    g_autofree char *domain = g_strdup_printf("%u", slot->device.domid);
    Command *command = command_start(
        (const char *const[]){"attach", domain, f->export, "--tag", "share", "--wait", NULL});

    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    slot_set_frontend(slot, XenbusStateConnected);
    expect_result(command_finish(command), 0, "connected");
}

/* The frontend lets go when it is told to, as Linux's does at once. */
static void detach_slot(Slot *slot, const char *const *arguments, const char *words)
{
    Command *command = command_start(arguments);

    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_result(command_finish(command), 0, words);
    g_assert_cmpuint(standin_count_wait(STANDIN_MAPPED_PAGES, slot->device.domid, 0), ==, 0);
}

/* Tversion ends a session with all its fids. */
static void unmount_slot(Slot *slot)
{
    g_assert_cmpint(frontend_version(slot->frontend), ==, 0);
}

static void test_mounted(Fixture *f, const void *unused)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)unused;
    attach_slot(f, slot);
    check_serves(slot);
    expect_result(COMMAND_RUN("detach", "1", "share"), 1, "domain web (1) has it mounted");
    expect_result(COMMAND_RUN("detach", "1", "share", "--wait=1"), 1, "has it mounted");
    slot_read_file(slot, "hello"); /* nothing has been begun */
    slot_expect(slot, XenbusStateConnected);
    unmount_slot(slot);
    detach_slot(slot, (const char *const[]){"detach", "web", "share", NULL}, "has it no more.");
    expect_nothing_left(f);
    slot_free(slot);
}

static void test_wait_for_unmount(Fixture *f, const void *unused)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);
    Command *command;

    (void)unused;
    attach_slot(f, slot);
    check_serves(slot);
    command = command_start((const char *const[]){"detach", "web", "share", "--wait=100", NULL});
    unmount_slot(slot);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_result(command_finish(command), 0, "has it no more.");
    expect_nothing_left(f);
    slot_free(slot);
}

static void test_force(Fixture *f, const void *unused)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)unused;
    attach_slot(f, slot);
    check_serves(slot);
    detach_slot(slot, (const char *const[]){"detach", "1", "share", "--force", NULL},
                "it was mounted and has been cut off");
    expect_nothing_left(f);
    slot_free(slot);
}

/* A frontend that does not even look. */
static void test_force_deaf(Fixture *f, const void *unused)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)unused;
    attach_slot(f, slot);
    check_serves(slot);
    expect_result(COMMAND_RUN("detach", "1", "share", "--force"), 0, "has been cut off");
    expect_nothing_left(f);
    slot_free(slot);
}

/* Once detached, it can be attached again, with the same frontend's driver. */
static void test_again(Fixture *f, const void *unused)
{
    (void)unused;
    for (int round = 0; round < 3; round++) {
        Slot *slot = slot_new("xen_9pfs", 1, 0);

        attach_slot(f, slot);
        check_serves(slot);
        unmount_slot(slot);
        detach_slot(slot, (const char *const[]){"detach", "1", "0", NULL}, "has it no more");
        expect_nothing_left(f);
        slot_free(slot);
    }
}

static void test_never_connects(Fixture *f, const void *unused)
{
    (void)unused;
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "x", "--wait=1"), 1,
                  "stays Initialising");
    expect_nothing_left(f);
}

/* The worker finds that it cannot serve this: there are no user.* attributes in /proc. */
static void test_refused_by_worker(Fixture *f, const void *unused)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);
    Command *command = command_start((const char *const[]){"attach", "1", "/proc", "-t", "x", "-m",
                                                           "mapped-xattr", "--wait", NULL});

    (void)unused;
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    expect_result(command_finish(command), 1, "the daemon refuses it: ");
    expect_nothing_left(f);
    slot_free(slot);
}

static void test_json(Fixture *f, const void *unused)
{
    g_autofree char *path = g_strdup_printf("\"path\" : \"%s\"", f->export);

    (void)unused;
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "x", "--json"), 0, path);
    expect_result(COMMAND_RUN("detach", "1", "x", "--json"), 0, "\"device\" : \"1.0\"");
    expect_nothing_left(f);
}

/*
 * What is refused
 */

typedef struct Refusal {
    const char *arguments[6]; /* behind "attach"; "DIR" is the export */
    int status;
    const char *words;
} Refusal;

static const Refusal refusals[] = {
    {{"nobody", "DIR", "--tag=t"}, 1, "no domain called \"nobody\""},
    {{"99", "DIR", "--tag=t"}, 1, "domain 99 does not run"},
    {{"32752", "DIR", "--tag=t"}, 1, "domain 32752 does not run"},
    {{"2", "DIR", "--tag=t"}, 1, "domain 2 does not run, or is being destroyed"},
    {{"1", "DIR"}, 2, "--tag is missing"},
    {{"1", "DIR", "--tag="}, 2, "not printable text of 1 to 255 bytes"},
    {{"1", "DIR", "--tag=a\nb"}, 2, "not printable text"},
    {{"1", "srv", "--tag=t"}, 2, "\"srv\" is not absolute"},
    {{"1", "/no/such/folder", "--tag=t"}, 1, "/no/such/folder: No such file or directory"},
    {{"1", "/proc/version", "--tag=t"}, 1, "/proc/version: Not a directory"},
    {{"1", "DIR", "--tag=t", "-m", "best"}, 2, "no security model \"best\""},
    {{"1", "DIR", "--tag=t", "--devid=x"}, 2, "--devid is \"x\""},
    {{"1", "DIR", "--tag=t", "--max-files=many"},
     2,
     "--max-files is \"many\"; give a whole number"},
    {{"1", "DIR", "--tag=t", "--readonly=maybe"}, 2, "--readonly is \"maybe\"; give on or off"},
    {{"1", "DIR", "--tag=t", "--throttling.bps-read-max=1"}, 2, "give throttling.bps-read, too"},
    {{"1", "DIR", "--tag=t", "--wait=never"}, 2, "give seconds"},
    {{"1", "DIR", "--tag=t", "--backend=nobody"}, 1, "no domain called \"nobody\""},
    {{"1", "DIR", "--tag=t", "--backend=3"},
     1,
     "no xen-9pfsd runs in the backend domain guest-3 (3)"},
    {{"1", "DIR", "--tag=t", "--colour=red"}, 2, "--colour"},
    {{"1"}, 2, "an argument is missing"},
};

static void try_refused(const Fixture *f, const Refusal *refusal)
{
    const char *argv[8] = {"attach"};
    unsigned nodes = standin_count(STANDIN_NODES, 0);

    for (size_t i = 0; i < G_N_ELEMENTS(refusal->arguments) && refusal->arguments[i]; i++)
        argv[i + 1] = strcmp(refusal->arguments[i], "DIR") == 0 ? f->export : refusal->arguments[i];
    expect_result(command_run(argv), refusal->status, refusal->words);
    g_assert_cmpuint(standin_count(STANDIN_NODES, 0), ==, nodes);
}

static void test_refusals(Fixture *f, const void *unused)
{
    g_autofree char *long_tag = g_strnfill(256, 'x');
    const Refusal too_long = {{"1", "DIR", "-t", long_tag}, 2, "1 to 255 bytes"};

    (void)unused;
    standin_domain_set_state(2, STANDIN_DYING);
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++)
        try_refused(f, &refusals[i]);
    try_refused(f, &too_long);
    expect_nothing_left(f);
}

/* What the daemon would stumble over when the device is there. */
static void test_broken_configuration(Fixture *f, const void *unused)
{
    g_autofree char *config = standin_daemon_config();
    const Refusal refusal = {{"1", "DIR", "-t", "x"}, 1, "there is no key \"colour\""};
    const Refusal burst = {
        {"1", "DIR", "-t", "x", "--throttling.bps-total-max=9"}, 2, "give throttling.bps-total"};

    (void)unused;
    g_assert_true(g_file_set_contents(config, "[defaults]\ncolour=red\n", -1, NULL));
    try_refused(f, &refusal);
    g_assert_true(g_file_set_contents(config, "", 0, NULL));
    try_refused(f, &burst);
    g_assert_true(g_file_set_contents(config, "[tag x]\nthrottling.bps-total=5\n", -1, NULL));
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "x", "--throttling.bps-total-max=9"),
                  0, "1.0");
    expect_result(COMMAND_RUN("detach", "1", "x"), 0, "1.0");
    expect_nothing_left(f);
}

/* A daemon that has ended, and one that was killed. */
static void test_no_daemon(Fixture *f, const void *unused)
{
    const Refusal stopped = {{"1", "DIR", "-t", "x"}, 1, "systemctl start xen-9pfsd"};
    const Refusal stale = {{"1", "DIR", "-t", "x"}, 1, "xenstore says that an xen-9pfsd runs, but"};

    (void)unused;
    fixture_open(f);
    try_refused(f, &stopped);
    fixture_write(f, DAEMON_FOLDER "/state", "running");
    try_refused(f, &stale);
    fixture_close(f);
}

/* Whether a device of a daemon that does not answer is mounted cannot be known. */
static void test_detach_without_daemon(Fixture *f, const void *unused)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);
    g_autofree char *run_dir = NULL;

    (void)unused;
    attach_slot(f, slot);
    fixture_kill_supervisor(f);
    run_dir = g_strdup_printf("%s/run/control", standin_dir());
    g_remove(run_dir);
    expect_result(COMMAND_RUN("detach", "1", "share"), 1, "--force detaches it in any case");
    expect_result(COMMAND_RUN("detach", "1", "share", "--force"), 0, "has it no more");
    expect_no_nodes(f);
    fixture_start_supervisor(f); /* finds a worker without a device */
    expect_nothing_left(f);
    slot_free(slot);
}

/*
 * Devices of others
 */

/* The guest can make its own folder say anything: what it names is none of its device's. */
static void test_lying_guest(Fixture *f, const void *unused)
{
    Slot *other = connected_slot(f, 3, 0);
    struct xs_handle *guest;

    (void)unused;
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "x"), 0, "1.0");
    standin_set_domid(1);
    guest = xs_open(0);
    standin_set_domid(0);
    g_assert_true(xs_write(guest, XBT_NULL, "/local/domain/1/device/9pfs/0/backend",
                           "/local/domain/0/backend/xen_9pfs/3/0", 36));
    fixture_write(f, "/libxl/1", NULL); /* nor does libxl know it */
    expect_result(COMMAND_RUN("detach", "1", "x"), 0, "1.0");
    g_assert_false(fixture_exists(f, "/local/domain/0/backend/xen_9pfs/1/0"));
    slot_expect(other, XenbusStateConnected);
    check_serves(other);
    xs_close(guest);
    finish(f, other);
    expect_nothing_left(f);
}

/* What is left of a domain that is gone. */
static void test_dead_domain(Fixture *f, const void *unused)
{
    (void)unused;
    expect_result(COMMAND_RUN("attach", "2", f->export, "-t", "x"), 0, "2.0");
    standin_domain_set_state(2, STANDIN_DYING);
    fixture_write(f, "/local/domain/2", NULL);
    expect_result(COMMAND_RUN("detach", "2", "0"), 0, "2.0");
    g_assert_false(fixture_exists(f, "/local/domain/0/backend/xen_9pfs/2"));
    g_assert_false(fixture_exists(f, "/libxl/2"));
    expect_result(COMMAND_RUN("detach", "2", "0"), 1, "domain 2 has no 9pfs device \"0\"");
    expect_nothing_left(f);
}

/* libxl of Xen 4.17 does not know the kind and removes all but the backend's folder: the daemon does
 * that, when it is clear that nobody else will. */
static void test_old_toolstack(Fixture *f, const void *unused)
{
    gint64 end = g_get_monotonic_time() + 3 * EXPECT_MS * 1000;

    (void)unused;
    expect_result(COMMAND_RUN("attach", "2", f->export, "-t", "x"), 0, "2.0");
    fixture_write(f, "/libxl/2", NULL);
    fixture_write(f, "/local/domain/2", NULL);
    standin_domain_set_state(2, STANDIN_DYING);
    while (fixture_exists(f, "/local/domain/0/backend/xen_9pfs")) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(POLL_US);
    }
    expect_log(f, "domain 2 device 0: its domain is gone and nobody removed it: removed");
    expect_nothing_left(f);
}

/* The backend in a driver domain, whose daemon the test plays. */
static void test_driver_domain(Fixture *f, const void *unused)
{
    const char *back = "/local/domain/7/backend/xen_9pfs/1/0";
    const char *state = "/local/domain/7/backend/xen_9pfs/1/0/state";
    unsigned n_permissions = 0;
    struct xs_permissions *permissions;
    Command *command;

    (void)unused;
    standin_domain_create_driver(DRIVER_DOMAIN);
    fixture_write(f, "/local/domain/7/libxl/xen-9pfs/state", "running");
    command = command_start(
        (const char *const[]){"attach", "1", "/only/there", "-t", "x", "--backend=7", NULL});
    wait_node(state, "1");
    permissions = xs_get_permissions(f->xs, XBT_NULL, back, &n_permissions);
    g_assert_cmpuint(n_permissions, ==, 2);
    g_assert_cmpuint(permissions[0].id, ==, DRIVER_DOMAIN);
    g_assert_cmpuint(permissions[1].id, ==, 1);
    free(permissions);
    expect_node("/local/domain/1/device/9pfs/0/backend-id", "7");
    expect_node("/libxl/1/device/9pfs/0/backend", back);
    fixture_write(f, state, "2");
    expect_result(command_finish(command), 0, "Device 1.0");
    fixture_write(f, state, "4");
    expect_result(COMMAND_RUN("detach", "1", "x"), 1, "served by domain 7");
    command = command_start((const char *const[]){"detach", "1", "x", "--force", NULL});
    wait_node(state, "5");
    expect_node("/local/domain/7/backend/xen_9pfs/1/0/online", "0");
    fixture_write(f, state, "6");
    expect_result(command_finish(command), 0, "has it no more");
    g_assert_false(fixture_exists(f, "/local/domain/7/backend/xen_9pfs"));
    expect_nothing_left(f);
}

#define ATTACH_TEST(name, function) \
    g_test_add("/attach/" name, Fixture, NULL, set_up, function, fixture_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ATTACH_TEST("same-nodes-as-libxl", test_same_nodes_as_libxl);
    ATTACH_TEST("libxl-nodes", test_libxl_nodes);
    ATTACH_TEST("options", test_options);
    ATTACH_TEST("devids", test_devids);
    ATTACH_TEST("number-as-tag", test_number_as_tag);
    ATTACH_TEST("mounted", test_mounted);
    ATTACH_TEST("wait-for-unmount", test_wait_for_unmount);
    ATTACH_TEST("force", test_force);
    ATTACH_TEST("force-deaf", test_force_deaf);
    ATTACH_TEST("again", test_again);
    ATTACH_TEST("never-connects", test_never_connects);
    ATTACH_TEST("refused-by-worker", test_refused_by_worker);
    ATTACH_TEST("json", test_json);
    ATTACH_TEST("refusals", test_refusals);
    ATTACH_TEST("broken-configuration", test_broken_configuration);
    g_test_add("/attach/no-daemon", Fixture, NULL, NULL, test_no_daemon, NULL);
    ATTACH_TEST("detach-without-daemon", test_detach_without_daemon);
    ATTACH_TEST("lying-guest", test_lying_guest);
    ATTACH_TEST("dead-domain", test_dead_domain);
    ATTACH_TEST("old-toolstack", test_old_toolstack);
    ATTACH_TEST("driver-domain", test_driver_domain);
    return g_test_run();
}
