/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How exports are served: by the configuration file and by the device's own nodes. Whether an
 * option has come to the worker shows in readonly, which is in force when a directory cannot be made.
 */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { ROOT_FID = 1, TAG = 7 };

static void write_config(const char *text)
{
    g_autofree char *file = standin_daemon_config();

    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static Slot *new_slot(uint32_t domid, uint32_t devid, const FrontendNode *nodes)
{
    Slot *slot = slot_new("xen_9pfs", domid, devid);

    slot->device.nodes = nodes;
    return slot;
}

static void connect_slot(Slot *slot)
{
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    slot_set_frontend(slot, XenbusStateConnected);
}

/* Adds a device with these nodes for the export and connects it. */
static Slot *connected_with(const Fixture *fixture, uint32_t domid, const FrontendNode *nodes)
{
    Slot *slot = new_slot(domid, 0, nodes);

    slot_add(slot, fixture->export, "none");
    connect_slot(slot);
    return slot;
}

static bool is_readonly(const Fixture *fixture, Slot *slot)
{
    g_autofree char *path = g_build_filename(fixture->export, "made", NULL);
    int error;

    slot_open_file(slot, "hello");
    slot_read_file(slot, "hello");
    error = frontend_call(slot->frontend, p9_tmkdir(TAG, ROOT_FID, "made", 0755, 0), "*");
    if (error == 0)
        g_assert_no_errno(g_rmdir(path));
    else
        g_assert_cmpint(error, ==, EROFS);
    return error != 0;
}

/* Whether a new device of domain 1 is read-only. */
static bool is_served_readonly(Fixture *fixture, const FrontendNode *nodes)
{
    Slot *slot = connected_with(fixture, 1, nodes);
    bool readonly = is_readonly(fixture, slot);

    finish(fixture, slot);
    return readonly;
}

static void test_groups(Fixture *fixture, const void *data)
{
    g_autofree char *by_path = g_strdup_printf("[path %s]\nreadonly=on\n", fixture->export);
    g_autofree char *below = g_strdup_printf("[path %s/*]\nreadonly=on\n", fixture->export);
    const struct {
        const char *text;
        bool readonly;
    } cases[] = {
        {"", false},
        {"[defaults]\nreadonly=on\n", true},
        {by_path, true},
        {below, false},
        {"[domain guest-1]\nreadonly=on\n", true},
        {"[domain guest-2]\nreadonly=on\n", false},
        {"[tag s?are]\nreadonly=on\n", true},
        {"[tag other]\nreadonly=on\n", false},
        {"[defaults]\nreadonly=on\n[tag share]\nreadonly=off\n", false},
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        write_config(cases[i].text);
        g_assert_cmpint(is_served_readonly(fixture, NULL), ==, cases[i].readonly);
    }
}

/* Nodes count for more than the file. */
static void test_nodes(Fixture *fixture, const void *data)
{
    static const FrontendNode on[] = {{"readonly", "1"}, {NULL, NULL}};
    static const FrontendNode off[] = {{"readonly", "off"}, {NULL, NULL}};
    static const FrontendNode all[] = {
        {"readonly", "on"},
        {"fmode", "0640"},
        {"dmode", "0750"},
        {"multidevs", "forbid"},
        {"map-users", "0-9:0"},
        {"map-groups", "0-9:0;*:1"},
        {"throttling-bps-total", "1T"},
        {"throttling-bps-total-max", "1T"},
        {"throttling-iops-write", "1T"},
        {"throttling-iops-write-max", "1T"},
        {"max-files", "1000"},
        {"max-space", "1000"},
        {"max-open-files", "1000"},
        {"auto-delete", "0"},
        {"something-else", "x"},
        {NULL, NULL},
    };

    (void)data;
    g_assert_true(is_served_readonly(fixture, on));
    g_assert_false(is_served_readonly(fixture, off));
    g_assert_true(is_served_readonly(fixture, all));
    write_config("[defaults]\nreadonly=on\n");
    g_assert_false(is_served_readonly(fixture, off));
}

/* Each closes its device with a line and an error node, and no other device notices. */
static void test_bad_nodes(Fixture *fixture, const void *data)
{
    static const struct {
        const char *name;
        const char *value;
        const char *reason;
    } cases[] = {
        {"readonly", "maybe", "the device's readonly is \"maybe\"; give on or off"},
        {"readonly", "", "the device's readonly is \"\"; give on or off"},
        {"fmode", "rw", "the device's fmode is \"rw\"; give octal permissions from 0 to 0777"},
        {"multidevs", "x\ny", "the device's multidevs is \"x\\x0ay\"; give remap, forbid or warn"},
        {"map-users", "1-0:5", "the device's map-users is \"1-0:5\"; give a list such as"},
        {"max-files", "-1", "the device's max-files is \"-1\"; give a whole number"},
        {"max-space", "99999999999999", "the device's max-space is \"99999999999999\"; give"},
        {"max-open-files", "5G", "the device's max-open-files is \"5G\"; give a whole number"},
        {"auto-delete", "2", "the device's auto-delete is \"2\"; give on or off"},
        {"throttling-bps-read", "fast", "the device's throttling-bps-read is \"fast\"; give"},
        {"throttling-bps-read-max", "5", "give throttling.bps-read, too"},
    };
    Slot *good = connected_slot(fixture, 2, 0);

    (void)data;
    for (uint32_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const FrontendNode nodes[] = {{cases[i].name, cases[i].value}, {NULL, NULL}};
        Slot *slot = new_slot(1, i, nodes);

        slot_add(slot, fixture->export, "none");
        expect_refused(fixture, slot, "1 5 6", cases[i].reason);
        finish(fixture, slot);
    }
    check_serves(good);
    slot_expect_history(good, "1 2 4");
    finish(fixture, good);
}

/* The device that is connected keeps what it has, and gets what the file says now when its frontend
 * begins anew. */
static void test_changed(Fixture *fixture, const void *data)
{
    Slot *slot = connected_with(fixture, 1, NULL);

    (void)data;
    write_config("[defaults]\nreadonly=on\n");
    g_assert_false(is_readonly(fixture, slot));
    slot_set_frontend(slot, XenbusStateClosing);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    slot_set_frontend(slot, XenbusStateInitialising);
    connect_slot(slot);
    g_assert_true(is_readonly(fixture, slot));
    finish(fixture, slot);
}

/* A guest that has changed its tag is served as before. */
static void test_tag_changed(Fixture *fixture, const void *data)
{
    Slot *slot;

    (void)data;
    write_config("[tag share]\nreadonly=on\n");
    slot = connected_with(fixture, 1, NULL);
    g_assert_true(is_readonly(fixture, slot));
    slot_set_frontend(slot, XenbusStateClosing);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    frontend_write(slot->frontend, "tag", "other");
    slot_set_frontend(slot, XenbusStateInitialising);
    connect_slot(slot);
    g_assert_true(is_readonly(fixture, slot));
    finish(fixture, slot);
}

/* A file that was broken meanwhile fails the devices that come, until it is mended. */
static void test_broken_meanwhile(Fixture *fixture, const void *data)
{
    Slot *good = connected_slot(fixture, 2, 0);
    g_autofree char *file = standin_daemon_config();
    Slot *slot;

    (void)data;
    write_config("[tag share]\nreadonly=maybe\n");
    slot = new_slot(1, 0, NULL);
    slot_add(slot, fixture->export, "none");
    expect_refused(fixture, slot, "1 5 6", ": [tag share]: readonly is \"maybe\"; give on or off");
    finish(fixture, slot);
    /* it was named, so that it must be there */
    g_assert_no_errno(g_unlink(file));
    slot = new_slot(1, 1, NULL);
    slot_add(slot, fixture->export, "none");
    expect_refused(fixture, slot, "1 5 6", "xen-9pfs.conf: No such file or directory");
    finish(fixture, slot);
    write_config("[tag share]\nreadonly=on\n");
    g_assert_true(is_served_readonly(fixture, NULL));
    check_serves(good);
    slot_expect_history(good, "1 2 4");
    finish(fixture, good);
}

/* A new supervisor adopts a worker that serves by an older file. */
static void test_adoption(Fixture *fixture, const void *data)
{
    Slot *slot = connected_with(fixture, 1, NULL);

    (void)data;
    write_config("[defaults]\nreadonly=on\n");
    fixture_kill_supervisor(fixture);
    fixture_start_supervisor(fixture);
    expect_log(fixture, "goes on serving");
    g_assert_false(is_readonly(fixture, slot));
    slot_expect_history(slot, "1 2 4");
    finish(fixture, slot);
}

/* Starts a daemon that must end by itself, with status 1 and this line. */
static void expect_no_start(Fixture *fixture, const char *program, const char *file,
                            const char *words)
{
    g_autofree char *run_dir = g_build_filename(standin_dir(), "run", NULL);
    const char *const argv[] = {program,    "--foreground", "--run-dir", run_dir,
                                "--config", file,           NULL};
    siginfo_t info;

    fixture->daemon = standin_daemon_spawn(argv);
    g_assert_no_errno(
        waitid(P_PID, (id_t)standin_daemon_pid(fixture->daemon), &info, WEXITED | WNOWAIT));
    g_assert_cmpint(info.si_code, ==, CLD_EXITED);
    g_assert_cmpint(info.si_status, ==, 1);
    expect_log(fixture, words);
    g_assert_false(fixture_exists(fixture, DAEMON_FOLDER "/state"));
    standin_daemon_kill(fixture->daemon);
}

static void test_start(Fixture *fixture, const void *data)
{
    g_autofree char *program = fixture_program(fixture);
    g_autofree char *file = standin_daemon_config();

    (void)data;
    fixture_end_supervisor(fixture, SIGTERM);
    write_config("[defaults]\nfmode=rw\n");
    expect_no_start(fixture, program, file,
                    "xen-9pfs.conf:2: [defaults]: fmode is \"rw\"; give octal");
    write_config("[something]\n");
    expect_no_start(fixture, program, file, "xen-9pfs.conf:1: there is no group [something]; give");
    expect_no_start(fixture, program, "/nowhere/conf", "cannot open /nowhere/conf: No such file");
    expect_no_start(fixture, program, standin_dir(), "is not a regular file");
    write_config("[defaults]\nreadonly=on\n");
    fixture_start_supervisor(fixture);
    g_assert_true(is_served_readonly(fixture, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/config/groups", test_groups);
    FIXTURE_TEST("/config/nodes", test_nodes);
    FIXTURE_TEST("/config/bad-nodes", test_bad_nodes);
    FIXTURE_TEST("/config/changed", test_changed);
    FIXTURE_TEST("/config/tag-changed", test_tag_changed);
    FIXTURE_TEST("/config/broken-meanwhile", test_broken_meanwhile);
    FIXTURE_TEST("/config/adoption", test_adoption);
    FIXTURE_TEST("/config/start", test_start);
    return g_test_run();
}
