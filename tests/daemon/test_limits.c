/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The limits of xl.cfg(5) and those of what a device may take, as nodes of a device: they are in force
 * over rings, in each of the device's lives, and for that device alone. */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum { ROOT_FID = 1, TAG = 7 };

static Slot *connected_at(const Fixture *fixture, uint32_t domid, const FrontendNode *nodes)
{
    Slot *slot = slot_new("xen_9pfs", domid, 0);

    slot->device.nodes = nodes;
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    slot_set_frontend(slot, XenbusStateConnected);
    return slot;
}

static Slot *connected_with(const Fixture *fixture, const FrontendNode *nodes)
{
    return connected_at(fixture, 1, nodes);
}

static int make_directory(Slot *slot, const char *name)
{
    return frontend_call(slot->frontend, p9_tmkdir(TAG, ROOT_FID, name, 0755, 0), "*");
}

static bool has(const Fixture *fixture, const char *name)
{
    g_autofree char *path = g_build_filename(fixture->export, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* There is one file from the start. What a device has made counts when it is connected again. */
static void test_max_files(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {
        {"max-files", "3"},   {"max-space", "0"}, {"max-open-files", "0"},
        {"auto-delete", "0"}, {NULL, NULL},
    };
    Slot *slot = connected_with(fixture, nodes);

    (void)data;
    check_serves(slot);
    g_assert_cmpint(make_directory(slot, "a"), ==, 0);
    g_assert_cmpint(make_directory(slot, "b"), ==, 0);
    g_assert_cmpint(make_directory(slot, "c"), ==, ENOSPC);
    finish(fixture, slot);
    slot = connected_with(fixture, nodes);
    check_serves(slot);
    g_assert_cmpint(make_directory(slot, "c"), ==, ENOSPC);
    g_assert_cmpint(frontend_call(slot->frontend, p9_tunlinkat(TAG, ROOT_FID, "a", 0x200), ""), ==,
                    0);
    g_assert_cmpint(make_directory(slot, "c"), ==, 0);
    finish(fixture, slot);
}

static void test_auto_delete(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"max-files", "1"}, {"auto-delete", "1"}, {NULL, NULL}};
    Slot *slot = connected_with(fixture, nodes);

    (void)data;
    slot_open_file(slot, "hello");
    g_assert_cmpint(make_directory(slot, "a"), ==, ENOSPC);
    g_assert_true(has(fixture, "hello"));
    finish(fixture, slot);
    slot = connected_with(fixture, nodes);
    slot_open_file(slot, ".");
    g_assert_cmpint(make_directory(slot, "a"), ==, 0);
    g_assert_false(has(fixture, "hello"));
    expect_log(fixture, "deleted the oldest file that is not open, hello");
    finish(fixture, slot);
}

/*
 * What a device may take
 */

enum { FID = 100, MANY_FILES = 300, CALLS = 100 };

static int call(Slot *slot, GByteArray *message)
{
    return frontend_call(slot->frontend, message, "*");
}

static int walk(Slot *slot, uint32_t fid, const char *path)
{
    return call(slot, p9_twalk(TAG, ROOT_FID, fid, path));
}

static int lock(Slot *slot, uint32_t fid, unsigned owner, unsigned start)
{
    return call(slot, p9_build(P9_TLOCK, TAG, "dbdqqds", fid, P9_LOCK_READ, 0, (uint64_t)start,
                               UINT64_C(1), owner, "guest"));
}

/* Runs into the limits of fids, open files, attributes and locks, each a hundred times. */
static void run_into_limits(Slot *slot)
{
    unsigned n = 0;

    g_assert_cmpint(walk(slot, FID, "hello"), ==, 0);
    g_assert_cmpint(call(slot, p9_tlopen(TAG, FID, 0)), ==, 0);
    for (unsigned i = 0; i < CALLS; i++)
        n += lock(slot, FID, 1, 2 * i) == ENOLCK;
    g_assert_cmpuint(n, ==, CALLS - 3);
    for (unsigned i = 2; i < CALLS; i++)
        g_assert_cmpint(lock(slot, FID, i, 0), ==, ENOLCK);
    for (unsigned i = 0; i < CALLS; i++) {
        g_assert_cmpint(walk(slot, FID + 1 + i, "hello"), ==, 0);
        n = (unsigned)call(
            slot, p9_build(P9_TXATTRCREATE, TAG, "dsqd", FID + 1 + i, "user.a", UINT64_C(1), 0));
        g_assert_cmpuint(n, ==, i < 2 ? 0 : ENOSPC);
    }
    for (unsigned i = CALLS + 1; i < 190; i++)
        g_assert_cmpint(walk(slot, FID + i, "hello"), ==, 0);
    for (unsigned i = 190; i < 2 * CALLS; i++)
        g_assert_cmpint(walk(slot, FID + 1000 + i, "hello"), ==, i < 198 ? 0 : ENFILE);
}

/* A device that is at all its limits harms no other, and says once which they are. */
static void test_own_limits(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {
        {"max-fids", "200"},      {"max-xattrs", "2"}, {"max-locks", "4"},
        {"max-lock-owners", "1"}, {NULL, NULL},
    };
    static const char *const keys[] = {"max-fids=200", "max-xattrs=2", "max-locks=4",
                                       "max-lock-owners=1"};
    Slot *slot = connected_with(fixture, nodes);
    Slot *other = connected_at(fixture, 2, NULL);

    (void)data;
    check_serves(slot);
    check_serves(other);
    run_into_limits(slot);
    for (unsigned i = 0; i < 2 * CALLS; i++)
        g_assert_cmpint(walk(other, FID + i, "hello"), ==, 0);
    g_assert_cmpint(call(other, p9_tlopen(TAG, FID, 0)), ==, 0);
    for (unsigned i = 0; i < CALLS; i++)
        g_assert_cmpint(lock(other, FID, i, 2 * i), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *line =
            g_strdup_printf("domain 1 device 0: the limit %s is reached", keys[i]);

        expect_log(fixture, line);
        g_assert_cmpuint(count_log(fixture, line), ==, 1);
    }
    g_assert_cmpuint(count_log(fixture, "domain 2 device 0: the limit"), ==, 0);
    finish(fixture, slot);
    finish(fixture, other);
}

/* A worker that has locked itself in puts descriptors away: more files than it may hold can be used. */
static void test_descriptors(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"max-descriptors", "64"}, {NULL, NULL}};
    Slot *slot = connected_with(fixture, nodes);

    (void)data;
    check_serves(slot);
    if (count_log(fixture, "descriptors cannot be put away here") > 0) {
        g_test_skip("no handles, or no right to open them");
        finish(fixture, slot);
        return;
    }
    for (unsigned i = 0; i < MANY_FILES; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        g_assert_cmpint(make_directory(slot, name), ==, 0);
        g_assert_cmpint(walk(slot, FID + i, name), ==, 0);
    }
    g_assert_cmpuint(count_descriptors(last_worker(fixture, slot)), <, 64 + 40);
    for (unsigned i = 0; i < MANY_FILES; i++) {
        g_autofree char *name = g_strdup_printf("%u/below", i);

        g_assert_cmpint(call(slot, p9_tmkdir(TAG, FID + i, "below", 0755, 0)), ==, 0);
        g_assert_true(has(fixture, name));
    }
    g_assert_cmpuint(count_log(fixture, "is reached"), ==, 0);
    finish(fixture, slot);
}

/* The soft and the hard limit of open files of a process. */
static void check_raised(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/limits", (int)pid);
    g_autofree char *text = NULL;
    const char *line;
    guint64 soft, hard;
    char *end;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    line = strstr(text, "Max open files");
    g_assert_nonnull(line);
    soft = g_ascii_strtoull(line + strlen("Max open files"), &end, 10);
    hard = g_ascii_strtoull(end, NULL, 10);
    g_assert_cmpuint(soft, >, 0);
    g_assert_cmpuint(soft, ==, hard);
}

/* The supervisor and its workers raise their limit, whatever it was when the daemon was started. */
static void test_raised(Fixture *fixture, const void *data)
{
    struct rlimit before, low;
    Slot *slot;

    (void)data;
    fixture_end_supervisor(fixture, SIGTERM);
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    low = (struct rlimit){.rlim_cur = MIN(before.rlim_max, 256), .rlim_max = before.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    fixture_start_supervisor(fixture);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    slot = connected_with(fixture, NULL);
    check_serves(slot);
    check_raised(standin_daemon_pid(fixture->daemon));
    check_raised(last_worker(fixture, slot));
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/limits/max-files", test_max_files);
    FIXTURE_TEST("/limits/auto-delete", test_auto_delete);
    FIXTURE_TEST("/limits/raised", test_raised);
    FIXTURE_TEST("/limits/own", test_own_limits);
    FIXTURE_TEST("/limits/descriptors", test_descriptors);
    return g_test_run();
}
