/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The limits of xl.cfg(5), as nodes of a device: they are in force over rings, and in each of the
 * device's lives. */
#include "tests/daemon/fixture.h"

#include <errno.h>

enum { ROOT_FID = 1, TAG = 7 };

static Slot *connected_with(const Fixture *fixture, const FrontendNode *nodes)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    slot->device.nodes = nodes;
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    slot_set_frontend(slot, XenbusStateConnected);
    return slot;
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/limits/max-files", test_max_files);
    FIXTURE_TEST("/limits/auto-delete", test_auto_delete);
    return g_test_run();
}
