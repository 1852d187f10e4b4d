/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen-9pfs check, on a host made of files in a folder: all is well, and then one thing after the
 * other is not. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/daemon/command.h"
#include "tests/daemon/fixture.h"

/* The files of a host on which nothing is wrong. */
static const struct {
    const char *name;
    const char *content;
} host[] = {
    {"proc/xen/capabilities", "control_d\n"},
    {"sys/hypervisor/type", "xen\n"},
    {"sys/hypervisor/version/major", "4\n"},
    {"sys/hypervisor/version/minor", "20\n"},
    {"dev/xen/gntdev", ""},
    {"dev/xen/evtchn", ""},
    {"dev/xen/privcmd", ""},
    {"sys/module/xen_gntdev/parameters/limit", "65536\n"},
    {"proc/sys/fs/nr_open", "1073741816\n"},
    {"proc/sys/fs/file-max", "9223372036854775807\n"},
    {"usr/lib/xen-4.20/bin/xl", ""},
    {"usr/lib/xen-4.20/bin/xen-9pfsd", "XEN_9PFS_LOG_TARGET"},
    {"usr/lib/xen-4.17/bin/xl", ""}, /* another version, which does not run */
};

static char *host_file(const char *name)
{
    return g_build_filename(standin_dir(), "host", name, NULL);
}

/* NULL removes it. */
static void write_file(const char *name, const char *content)
{
    g_autofree char *file = host_file(name);
    g_autofree char *folder = g_path_get_dirname(file);

    if (content == NULL) {
        g_assert_cmpint(g_remove(file), ==, 0);
        return;
    }
    g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
    g_assert_true(g_file_set_contents(file, content, -1, NULL));
    g_assert_cmpint(g_chmod(file, 0755), ==, 0);
}

static void make_host(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(host); i++)
        write_file(host[i].name, host[i].content);
}

static void set_up(Fixture *f, const void *unused)
{
    fixture_set_up(f, unused);
    make_host();
}

static CommandResult *check(void)
{
    g_autofree char *root = g_build_filename(standin_dir(), "host", NULL);
    g_autofree char *config = standin_daemon_config();

    return COMMAND_RUN("check", "--root", root, "--config", config);
}

/* Checks the status, that there is an item with this result whose text begins like that, and that a
 * text about trouble goes on to say how to mend it. */
static void expect_item(int status, const char *item)
{
    g_autoptr(CommandResult) result = check();
    g_auto(GStrv) lines = g_strsplit(result->out, "\n", -1);
    bool found = false;

    for (char **line = lines; *line != NULL && !found; line++) {
        g_auto(GStrv) words = g_regex_split_simple(" +", *line, 0, 0);
        g_autofree char *plain = g_strjoinv(" ", words);

        found = g_str_has_prefix(plain, item);
        if (found && !g_str_has_prefix(item, "ok"))
            g_assert_nonnull(strstr(plain, "; "));
    }
    if (!found || result->status != status)
        g_error("status %d, not %d, or \"%s\" is missing:\n%s%s", result->status, status, item,
                result->out, result->err);
}

/* One file of the host is another for a moment. */
static void try_file(const char *name, const char *content, int status, const char *item)
{
    write_file(name, content);
    expect_item(status, item);
    make_host();
}

static void test_all_well(Fixture *f, const void *unused)
{
    g_autoptr(CommandResult) result = check();

    (void)f;
    (void)unused;
    if (result->status != 0 || strstr(result->out, "error ") != NULL)
        g_error("%d\n%s", result->status, result->out);
    g_assert_null(strchr(result->out, '\033')); /* no colours but on a terminal */
    expect_item(0, "ok Xen version 4.20");
    expect_item(0, "ok xenstore it answers; this is domain 0");
    expect_item(0, "ok device files /dev/xen/gntdev");
    expect_item(0, "ok grants gntdev maps 65536");
    expect_item(0, "ok kernel");
    expect_item(0, "ok descriptors");
    expect_item(0, "ok daemon process");
    expect_item(0, "ok xl's daemon /usr/lib/xen-4.20/bin/xen-9pfsd is this one");
    expect_item(0, "ok QEMU");
    expect_item(0, "ok configuration");
}

static void test_host(Fixture *f, const void *unused)
{
    (void)f;
    (void)unused;
    try_file("sys/hypervisor/version/minor", "17", 0, "warning Xen version 4.17");
    try_file("dev/xen/gntdev", NULL, 3,
             "error device files /dev/xen/gntdev is missing; \"modprobe");
    try_file("dev/xen/evtchn", NULL, 3, "error device files /dev/xen/evtchn is missing");
    try_file("dev/xen/privcmd", NULL, 0, "warning device files /dev/xen/privcmd is missing");
    try_file("sys/module/xen_gntdev/parameters/limit", "511", 3,
             "error grants gntdev maps at most");
    try_file("proc/sys/fs/nr_open", "1024", 0, "warning descriptors a worker can have 1024");
    try_file("proc/sys/fs/file-max", "1024", 0, "warning descriptors all processes can have 1024");
}

static void test_no_xen(Fixture *f, const void *unused)
{
    g_autofree char *folder = host_file("proc/xen");
    g_autofree char *away = host_file("proc/no-xen");

    (void)f;
    (void)unused;
    write_file("sys/hypervisor/type", NULL);
    g_assert_cmpint(g_rename(folder, away), ==, 0);
    expect_item(3, "error Xen this system does not run under Xen");
}

static void test_program(Fixture *f, const void *unused)
{
    (void)f;
    (void)unused;
    try_file("usr/lib/xen-4.20/bin/xen-9pfsd", "Xen's own", 0,
             "warning xl's daemon /usr/lib/xen-4.20"
             "/bin/xen-9pfsd is Xen's own");
    try_file("usr/lib/xen-4.20/bin/xen-9pfsd", NULL, 0,
             "warning xl's daemon xl finds no xen-9pfsd");
    try_file("usr/lib/xen-4.20/bin/xl", NULL, 0, "warning xl's daemon no toolstack");
}

/* The daemon runs, and xenstore does not say so: xl would start another. */
static void test_unclaimed(Fixture *f, const void *unused)
{
    (void)unused;
    fixture_write(f, DAEMON_FOLDER "/state", NULL);
    expect_item(3, "error daemon xenstore does not say that it runs");
    fixture_write(f, DAEMON_FOLDER "/state", "running");
    expect_item(0, "ok daemon");
}

static void test_no_daemon(Fixture *f, const void *unused)
{
    (void)unused;
    fixture_open(f);
    make_host();
    expect_item(0, "warning daemon it does not run");
    fixture_write(f, DAEMON_FOLDER "/state", "running");
    expect_item(3, "error daemon xenstore says that it runs, but it does not");
    fixture_close(f);
}

/* A process whose program is called like that: first Xen's own, then one that hangs. */
static void test_silent_daemon(Fixture *f, const void *unused)
{
    g_autofree char *link = NULL;
    g_autofree char *program = NULL;

    (void)unused;
    fixture_open(f);
    make_host();
    write_file("proc/77/cmdline", "xen-9pfsd");
    link = host_file("proc/77/exe");
    program = host_file("usr/lib/xen-4.20/bin/xen-9pfsd");
    g_assert_cmpint(symlink(program, link), ==, 0);
    expect_item(3, "error daemon process 77 does not answer");
    write_file("usr/lib/xen-4.20/bin/xen-9pfsd", "Xen's own");
    expect_item(3, "error daemon process 77 is Xen's own xen-9pfsd");
    write_file("proc/77/cmdline", "xen-9pfsd --worker"); /* which goes on without it */
    expect_item(0, "warning daemon it does not run");
    fixture_close(f);
}

static void test_qemu(Fixture *f, const void *unused)
{
    (void)unused;
    fixture_write(f, "/local/domain/0/backend/9pfs/1/0/state", "1");
    expect_item(0, "warning QEMU nobody serves the devices of kind 9pfs of domain 1");
    fixture_write(f, "/local/domain/0/device-model/1/state", "running");
    expect_item(0, "ok QEMU");
    fixture_write(f, "/local/domain/0/backend/9pfs", NULL);
}

static void test_configuration(Fixture *f, const void *unused)
{
    g_autofree char *config = standin_daemon_config();
    g_autofree char *good = g_strdup_printf("[path %s]\nreadonly=on\nfmode=0600\n", f->export);

    (void)unused;
    g_assert_true(g_file_set_contents(config, "[defaults]\ncolour=red\n", -1, NULL));
    expect_item(3, "error configuration ");
    g_assert_true(g_file_set_contents(config, good, -1, NULL));
    g_free(good);
    good = g_strdup_printf("ok export [path %s]: %s", f->export, f->export);
    expect_item(0, good);
    g_assert_true(g_file_set_contents(config, "[path /no/such]\nreadonly=on\n", -1, NULL));
    expect_item(3, "error export [path /no/such]: /no/such: No such file or directory");
    g_assert_true(g_file_set_contents(config, "[path /srv/*]\nreadonly=on\n", -1, NULL));
    expect_item(0, "ok configuration");
}

/* Directories of devices: one that has gone since, and one whose file system cannot do what the
 * model takes. */
static void test_exports(Fixture *f, const void *unused)
{
    g_autofree char *folder = g_build_filename(standin_dir(), "folder", NULL);

    (void)f;
    (void)unused;
    g_assert_cmpint(g_mkdir(folder, 0755), ==, 0);
    expect_result(COMMAND_RUN("attach", "1", folder, "-t", "x"), 0, "1.0");
    expect_item(0, "ok export device 1.0: ");
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    expect_item(3, "error export device 1.0: ");
    expect_result(COMMAND_RUN("detach", "1", "x"), 0, "1.0");
    expect_result(COMMAND_RUN("attach", "1", "/proc", "-t", "x", "-m", "mapped-xattr"), 0, "1.0");
    expect_item(3, "error export device 1.0: the file system of /proc has no user.* attributes");
    expect_result(COMMAND_RUN("detach", "1", "x"), 0, "1.0");
}

/* A device that was closed, with what its error node says. */
static void test_closed_device(Fixture *f, const void *unused)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)unused;
    slot_add(slot, "/no/such", "none");
    slot_expect(slot, XenbusStateClosed);
    expect_item(3, "error device device 1.0 was closed: 2 cannot serve the path");
    finish(f, slot);
}

static void test_json(Fixture *f, const void *unused)
{
    g_autofree char *root = g_build_filename(standin_dir(), "host", NULL);

    (void)f;
    (void)unused;
    expect_result(COMMAND_RUN("check", "--json", "--root", root), 0, "\"item\" : \"xenstore\"");
}

#define CHECK_TEST(name, function) \
    g_test_add("/tool-check/" name, Fixture, NULL, set_up, function, fixture_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CHECK_TEST("all-well", test_all_well);
    CHECK_TEST("host", test_host);
    CHECK_TEST("no-xen", test_no_xen);
    CHECK_TEST("program", test_program);
    CHECK_TEST("unclaimed", test_unclaimed);
    g_test_add("/tool-check/no-daemon", Fixture, NULL, NULL, test_no_daemon, NULL);
    g_test_add("/tool-check/silent-daemon", Fixture, NULL, NULL, test_silent_daemon, NULL);
    CHECK_TEST("qemu", test_qemu);
    CHECK_TEST("configuration", test_configuration);
    CHECK_TEST("exports", test_exports);
    CHECK_TEST("closed-device", test_closed_device);
    CHECK_TEST("json", test_json);
    return g_test_run();
}
