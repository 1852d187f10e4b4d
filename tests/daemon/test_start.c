/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the daemon starts and ends: its options, its node, its lock, and where it runs. */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>

static void test_stale_node(void)
{
    Fixture fixture;

    fixture_open(&fixture);
    fixture_write(&fixture, DAEMON_FOLDER "/state", "running");
    fixture_write(&fixture, DAEMON_FOLDER "/pid", "1");
    fixture_start_supervisor(&fixture);
    expect_log(&fixture, "took over the xenstore node");
    fixture_tear_down(&fixture, NULL);
}

/* Runs the daemon's program to its end. `output` receives both of its streams. */
static int run_program(const Fixture *fixture, const char *const *options, char **output)
{
    g_autofree char *program = fixture_program(fixture);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *errors = NULL;
    g_autofree char *text = NULL;
    int status = -1;

    g_ptr_array_add(argv, program);
    for (size_t i = 0; options[i] != NULL; i++)
        g_ptr_array_add(argv, (gpointer)options[i]);
    g_ptr_array_add(argv, NULL);
    g_assert_true(g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &text,
                               &errors, &status, NULL));
    g_assert_true(WIFEXITED(status));
    *output = g_strconcat(text, errors, NULL);
    return WEXITSTATUS(status);
}

/* As the toolstack would start it once more: the one that runs goes on. */
static void test_second_instance(Fixture *fixture, const void *data)
{
    const char *run_dir = standin_daemon_run_dir(fixture->daemon);
    const char *const options[] = {"--foreground", "--run-dir", run_dir, NULL};
    g_autofree char *output = NULL;

    (void)data;
    g_assert_cmpint(run_program(fixture, options, &output), ==, 0);
    g_assert_cmpstr(output, ==, "");
    g_assert_true(fixture_exists(fixture, DAEMON_FOLDER "/state"));
    g_assert_no_errno(kill(standin_daemon_pid(fixture->daemon), 0));
}

/* One clear line and status 2. */
static void test_bad_options(Fixture *fixture, const void *data)
{
    static const struct {
        const char *option;
        const char *reason;
    } cases[] = {
        {"--log-level=loud", "unknown log level \"loud\""},
        {"--backend-kind=vbd", "\"vbd\" is not a list of xen_9pfs and 9pfs"},
        {"--backend-kind=9pfs,9pfs", "\"9pfs,9pfs\" is not a list"},
        {"--backend-kind=", "\"\" is not a list"},
        {"--run-dir=", "--run-dir needs the name of a folder"},
        {"--config=", "--config needs the name of a file"},
        {"--sandbox=half", "--sandbox is full, no-namespaces or off, not \"half\""},
        {"--seccomp=off", "--seccomp is kill or log, not \"off\""},
        {"--no-such-option", "Unknown option --no-such-option"},
        {"argument", "unexpected argument \"argument\""},
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *const options[] = {cases[i].option, NULL};
        g_autofree char *output = NULL;

        g_assert_cmpint(run_program(fixture, options, &output), ==, 2);
        g_assert_nonnull(strstr(output, cases[i].reason));
        g_assert_true(strchr(output, '\n') == output + strlen(output) - 1);
    }
}

static void test_information(Fixture *fixture, const void *data)
{
    static const char *const version[] = {"--version", NULL};
    static const char *const help[] = {"--help", NULL};
    g_autofree char *version_text = NULL;
    g_autofree char *help_text = NULL;

    (void)data;
    g_assert_cmpint(run_program(fixture, version, &version_text), ==, 0);
    g_assert_true(g_str_has_prefix(version_text, "xen-9pfsd "));
    g_assert_cmpint(run_program(fixture, help, &help_text), ==, 0);
    g_assert_nonnull(strstr(help_text, "--backend-kind=KIND[,KIND]"));
    g_assert_nonnull(strstr(help_text, "--config=FILE"));
    g_assert_nonnull(strstr(help_text, "  readonly  "));
    g_assert_null(strstr(help_text, "--worker"));
}

static void expect_link(pid_t pid, const char *name, const char *target)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, name);
    g_autofree char *found = g_file_read_link(path, NULL);

    g_assert_cmpstr(found, ==, target);
}

/* Without --foreground it holds on to nothing that its parent lent it. */
static void test_quiet(Fixture *fixture, const void *data)
{
    g_autofree char *program = fixture_program(fixture);
    g_autofree char *run_dir = g_strdup(standin_daemon_run_dir(fixture->daemon));
    const char *const argv[] = {program, "--run-dir", run_dir, NULL};
    pid_t pid;

    (void)data;
    fixture_end_supervisor(fixture, SIGTERM);
    fixture->daemon = standin_daemon_spawn(argv);
    pid = standin_daemon_pid(fixture->daemon);
    for (int i = 0; i < 1000 && !fixture_exists(fixture, DAEMON_FOLDER "/state"); i++)
        g_usleep(5000);
    expect_link(pid, "cwd", "/");
    expect_link(pid, "fd/0", "/dev/null");
    expect_link(pid, "fd/1", "/dev/null");
    expect_link(pid, "fd/2", "/dev/null");
}

/* Without xenstore it ends and says so; the workers go on for the next. */
static void test_xenstore_lost(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    siginfo_t info;

    (void)data;
    standin_fail("xs_check_watch", 1, 1, EBADF);
    slot_set_frontend(slot, XenbusStateConnected);
    expect_log(fixture, "the connection to xenstore is lost");
    g_assert_no_errno(
        waitid(P_PID, (id_t)standin_daemon_pid(fixture->daemon), &info, WEXITED | WNOWAIT));
    g_assert_cmpint(info.si_code, ==, CLD_EXITED);
    g_assert_cmpint(info.si_status, ==, 1);
    fixture_kill_supervisor(fixture);
    fixture_start_supervisor(fixture);
    check_serves(slot);
    slot_expect_history(slot, "1 2 4");
    finish(fixture, slot);
}

/* In a driver domain, where all paths are that domain's own. */
/* For two devices of one guest the toolstack starts two daemons at once. The one without the lock
 * must not end before the other says that it runs, and takes over when that one goes. */
static void test_started_twice(Fixture *fixture, const void *data)
{
    g_autofree char *program = fixture_program(fixture);
    g_autofree char *run_dir = g_build_filename(standin_dir(), "twice", NULL);
    g_autofree char *lock = g_build_filename(run_dir, "xen-9pfsd.lock", NULL);
    const char *const argv[] = {program, "--foreground", "--run-dir", run_dir, NULL};
    int fd;

    (void)data;
    fixture_end_supervisor(fixture, SIGTERM);
    g_assert_no_errno(g_mkdir(run_dir, 0700));
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    g_assert_no_errno(flock(fd, LOCK_EX));
    fixture->daemon = standin_daemon_spawn(argv);
    g_assert_false(standin_daemon_wait_log(fixture->daemon, "is ready", 500));
    g_assert_cmpint(waitpid(standin_daemon_pid(fixture->daemon), NULL, WNOHANG), ==, 0);
    close(fd);
    expect_log(fixture, "is ready");
    g_assert_true(fixture_exists(fixture, DAEMON_FOLDER "/state"));
    fixture_end_supervisor(fixture, SIGTERM);
    fixture_start_supervisor(fixture);
}

static void test_driver_domain(Fixture *fixture, const void *data)
{
    enum { DRIVER = 4 };
    g_autofree char *program = fixture_program(fixture);
    g_autofree char *run_dir = g_build_filename(standin_dir(), "driver-run", NULL);
    const char *const argv[] = {program, "--foreground", "--run-dir", run_dir, NULL};
    FrontendDevice device = frontend_minios(1, fixture->export);
    Frontend *frontend;

    (void)data;
    fixture_end_supervisor(fixture, SIGTERM);
    device.backend_domid = DRIVER;
    standin_domain_create_driver(DRIVER);
    g_setenv(STANDIN_ENV_DOMID, "4", TRUE);
    fixture->daemon = standin_daemon_spawn(argv);
    g_unsetenv(STANDIN_ENV_DOMID);
    expect_log(fixture, "is ready");
    g_assert_true(fixture_exists(fixture, "/local/domain/4/libxl/xen-9pfs/state"));
    g_assert_true(toolstack_add_wait(&device));
    frontend = frontend_new(&device);
    g_assert_true(frontend_connect(frontend));
    g_assert_true(frontend_disconnect(frontend));
    frontend_free(frontend);
    g_assert_true(toolstack_remove(&device));
    fixture_end_supervisor(fixture, SIGTERM);
    g_assert_false(fixture_exists(fixture, "/local/domain/4/libxl/xen-9pfs"));
    fixture_start_supervisor(fixture);
}

static void test_end_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        Fixture fixture;

        fixture_set_up(&fixture, NULL);
        fixture_write(&fixture, DAEMON_FOLDER "/pid", "1");
        fixture_end_supervisor(&fixture, signals[i]);
        g_assert_false(fixture_exists(&fixture, DAEMON_FOLDER));
        fixture_start_supervisor(&fixture);
        fixture_tear_down(&fixture, NULL);
    }
}

static void test_both_kinds(void)
{
    static const char *const options[] = {"--backend-kind=xen_9pfs,9pfs", NULL};
    Fixture fixture;
    Slot *slot;

    fixture_set_up(&fixture, options);
    slot = slot_new("9pfs", 1, 0);
    slot_add(slot, fixture.export, "passthrough");
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    check_serves(slot);
    finish(&fixture, slot);
    fixture_tear_down(&fixture, NULL);
}

/* By default QEMU's devices are left to QEMU. */
static void test_other_kind(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("9pfs", 1, 0);

    (void)data;
    slot_add(slot, fixture->export, "none");
    g_assert_false(slot_wait(slot, XenbusStateInitWait, 500));
    slot_delete(slot);
    slot_free(slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/start/stale-node", test_stale_node);
    FIXTURE_TEST("/start/second-instance", test_second_instance);
    g_test_add_func("/start/end-signals", test_end_signals);
    g_test_add_func("/start/both-kinds", test_both_kinds);
    FIXTURE_TEST("/start/other-kind", test_other_kind);
    FIXTURE_TEST("/start/bad-options", test_bad_options);
    FIXTURE_TEST("/start/information", test_information);
    FIXTURE_TEST("/start/quiet", test_quiet);
    FIXTURE_TEST("/start/xenstore-lost", test_xenstore_lost);
    FIXTURE_TEST("/start/driver-domain", test_driver_domain);
    FIXTURE_TEST("/start/started-twice", test_started_twice);
    return g_test_run();
}
