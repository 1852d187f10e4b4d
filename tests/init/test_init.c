/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scripts for sysvinit and OpenRC, for real: the daemon that is installed in this system is
 * started, reloaded, restarted and stopped by its script while a guest uses it, on the hypervisor
 * stand-in.
 *
 *     test_init [OPTION OF GLIB'S...] DEFAULTS COMMAND [ARGUMENT...]
 *
 * Behind COMMAND comes what the script is asked to do. DEFAULTS is the file with the service's
 * options, which is written anew: init systems hand no other environment down. All of this is to
 * happen in a system of its own: tests/package/init.
 *
 * The tests are one story, told in this order.
 */
#include <glib/gstdio.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/daemon/slot.h"
#include "tests/standin/standin.h"

#define PROGRAM  "/usr/sbin/xen-9pfsd"
#define PID_FILE "/run/xen-9pfsd.pid"
#define CONTROL  "/run/xen-9pfs/control"
#define CONFIG   "/etc/xen/xen-9pfs.conf"
#define STATE    "/local/domain/0/libxl/xen-9pfs/state"

enum { GUEST = 1, WAIT_MS = 20000, POLL_US = 20000 };

static const char *const *script; /* the command and its arguments */
static Slot *guest;
static pid_t worker;

/* What the script was told and has said: shown when a test fails. */
static int ask(const char *what)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *output = NULL;
    g_autofree char *errors = NULL;
    int status = -1;

    for (size_t i = 0; script[i] != NULL; i++)
        g_ptr_array_add(argv, (gpointer)script[i]);
    g_ptr_array_add(argv, (gpointer)what);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync("/", (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, &errors,
                 &status, &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    g_test_message("%s: status %d\n%s%s", what, WEXITSTATUS(status), output, errors);
    return WEXITSTATUS(status);
}

static bool is_claimed(void)
{
    g_autofree char *state = standin_read(STATE);

    return g_strcmp0(state, "running") == 0;
}

/* The process that the script has noted, if it runs this program; else 0. */
static pid_t supervisor(void)
{
    g_autofree char *text = NULL;
    g_autofree char *link = NULL;
    g_autofree char *program = NULL;

    if (!g_file_get_contents(PID_FILE, &text, NULL, NULL))
        return 0;
    link = g_strdup_printf("/proc/%d/exe", atoi(text));
    program = g_file_read_link(link, NULL);
    return g_strcmp0(program, PROGRAM) == 0 ? atoi(text) : 0;
}

static gid_t control_group(void)
{
    struct stat info;

    g_assert_no_errno(stat(CONTROL, &info));
    return info.st_gid;
}

static void write_config(const char *text)
{
    g_assert_no_errno(g_mkdir_with_parents("/etc/xen", 0755));
    g_assert_true(g_file_set_contents(CONFIG, text, -1, NULL));
}

/* The process that the kernel names as the worker of the guest's device. */
static pid_t find_worker(void)
{
    g_autoptr(GDir) processes = g_dir_open("/proc", 0, NULL);
    const char *name;

    g_assert_nonnull(processes);
    while ((name = g_dir_read_name(processes)) != NULL) {
        g_autofree char *file = g_build_filename("/proc", name, "comm", NULL);
        g_autofree char *title = NULL;

        if (g_ascii_isdigit(name[0]) && g_file_get_contents(file, &title, NULL, NULL) &&
            strcmp(title, "9pfs 1.0\n") == 0)
            return atoi(name);
    }
    return 0;
}

/* The same worker goes on with the file that the guest has had open all the time. */
static void check_guest(void)
{
    g_assert_cmpint(find_worker(), ==, worker);
    slot_read_file(guest, "hello");
}

static void test_not_running(void)
{
    g_assert_cmpint(ask("status"), !=, 0);
    g_assert_cmpint(supervisor(), ==, 0);
}

/* The script returns when others can rely on the daemon. */
static void test_start(void)
{
    g_assert_cmpint(ask("start"), ==, 0);
    g_assert_true(is_claimed());
    g_assert_cmpint(supervisor(), >, 0);
    g_assert_cmpint(ask("status"), ==, 0);
}

static void test_serve(void)
{
    g_autofree char *folder = g_build_filename(standin_dir(), "export", NULL);
    g_autofree char *file = g_build_filename(folder, "hello", NULL);

    g_assert_no_errno(g_mkdir(folder, 0755));
    g_assert_true(g_file_set_contents(file, "hello", -1, NULL));
    standin_domain_create(GUEST);
    guest = slot_new("xen_9pfs", GUEST, 0);
    slot_add(guest, folder, "none");
    slot_expect(guest, XenbusStateInitWait);
    slot_offer(guest);
    slot_expect(guest, XenbusStateConnected);
    slot_set_frontend(guest, XenbusStateConnected);
    slot_open_file(guest, "hello");
    worker = find_worker();
    g_assert_cmpint(worker, >, 0);
    check_guest();
}

static void test_start_again(void)
{
    pid_t first = supervisor();

    g_assert_cmpint(ask("start"), ==, 0);
    g_assert_cmpint(supervisor(), ==, first);
}

static void test_reload(void)
{
    const struct group *games = getgrnam("games");
    pid_t first = supervisor();

    g_assert_nonnull(games);
    g_assert_cmpuint(control_group(), ==, 0);
    write_config("[daemon]\ncontrol-group=games\n");
    g_assert_cmpint(ask("reload"), ==, 0);
    g_assert_cmpuint(control_group(), ==, games->gr_gid);
    write_config("[daemon]\nno-such-key=games\n");
    g_assert_cmpint(ask("reload"), !=, 0);
    write_config("");
    g_assert_cmpint(ask("reload"), ==, 0);
    g_assert_cmpint(supervisor(), ==, first);
    check_guest();
}

static void test_restart(void)
{
    pid_t first = supervisor();

    g_assert_cmpint(ask("restart"), ==, 0);
    g_assert_cmpint(supervisor(), >, 0);
    g_assert_cmpint(supervisor(), !=, first);
    g_assert_true(is_claimed());
    g_assert_cmpint(ask("status"), ==, 0);
    check_guest();
}

/* A supervisor that was killed is no reason not to start another. */
static void test_killed(void)
{
    gint64 end = g_get_monotonic_time() + WAIT_MS * 1000;
    pid_t first = supervisor();

    g_assert_no_errno(kill(first, SIGKILL));
    while (kill(first, 0) == 0) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(POLL_US);
    }
    g_assert_cmpint(ask("status"), !=, 0);
    check_guest();
    g_assert_cmpint(ask("restart"), ==, 0);
    g_assert_cmpint(supervisor(), >, 0);
    g_assert_cmpint(ask("status"), ==, 0);
    check_guest();
}

static void test_stop(void)
{
    g_assert_cmpint(ask("stop"), ==, 0);
    g_assert_cmpint(supervisor(), ==, 0);
    g_assert_false(is_claimed());
    g_assert_cmpint(ask("status"), !=, 0);
    check_guest();
}

/* The next one knows the guest, and that it leaves. */
static void test_adopt(void)
{
    g_assert_cmpint(ask("start"), ==, 0);
    check_guest();
    slot_ask_remove(guest);
    slot_set_frontend(guest, XenbusStateClosed);
    slot_expect(guest, XenbusStateClosed);
    slot_delete(guest);
    g_assert_cmpuint(standin_count_wait(STANDIN_MAPPED_PAGES, GUEST, 0), ==, 0);
    slot_free(guest);
    g_assert_cmpint(ask("stop"), ==, 0);
    g_assert_false(is_claimed());
}

/* With all that the daemon and its tool have to find. */
static void write_defaults(const char *file)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(program);
    g_autofree char *text =
        g_strdup_printf("export LD_LIBRARY_PATH=%s/../standin\nexport " STANDIN_ENV_SOCKET "=%s\n"
                        "XEN_9PFSD_OPTIONS=--log-level=debug\n",
                        folder, g_getenv(STANDIN_ENV_SOCKET));

    g_autofree char *parent = g_path_get_dirname(file);

    g_assert_no_errno(g_mkdir_with_parents(parent, 0755));
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    if (argc < 3) {
        g_printerr("usage: test_init DEFAULTS COMMAND [ARGUMENT...]\n");
        return 2;
    }
    script = (const char *const *)argv + 2;
    standin_start();
    prctl(PR_SET_CHILD_SUBREAPER, 0); /* daemons are the init system's, which sees them end */
    write_defaults(argv[1]);
    g_test_add_func("/init/not-running", test_not_running);
    g_test_add_func("/init/start", test_start);
    g_test_add_func("/init/serve", test_serve);
    g_test_add_func("/init/start-again", test_start_again);
    g_test_add_func("/init/reload", test_reload);
    g_test_add_func("/init/restart", test_restart);
    g_test_add_func("/init/killed", test_killed);
    g_test_add_func("/init/stop", test_stop);
    g_test_add_func("/init/adopt", test_adopt);
    status = g_test_run();
    standin_stop();
    return status;
}
