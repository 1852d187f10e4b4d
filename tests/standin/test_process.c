/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stand-in starts the process under test, knows what that starts, and leaves nothing behind. */
#include "tests/standin/standin.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

static StandinDaemon *spawn_shell(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};

    return standin_daemon_spawn(argv);
}

static void test_log_and_status(void)
{
    StandinDaemon *daemon;

    standin_start();
    daemon = spawn_shell("echo one; echo two >&2; trap 'exit 0' TERM; echo ready; "
                         "while :; do sleep 0.01; done");
    g_assert_true(standin_daemon_wait_log(daemon, "ready", 5000));
    g_assert_true(standin_daemon_wait_log(daemon, "one\ntwo\n", 0));
    g_assert_false(standin_daemon_wait_log(daemon, "three", 10));
    g_assert_cmpint(standin_daemon_stop(daemon), ==, 0);
    standin_stop();
}

static void test_environment(void)
{
    g_autofree char *socket = NULL;
    StandinDaemon *daemon;

    standin_start();
    socket = g_strdup_printf("socket=%s/", standin_dir());
    daemon = spawn_shell("trap 'exit 0' TERM; echo socket=$XEN_STANDIN; "
                         "ls $LD_LIBRARY_PATH/libxenstore.so.4; while :; do sleep 0.01; done");
    g_assert_true(standin_daemon_wait_log(daemon, "/libxenstore.so.4\n", 5000));
    g_assert_true(standin_daemon_wait_log(daemon, socket, 0));
    g_assert_cmpint(standin_daemon_stop(daemon), ==, 0);
    standin_stop();
}

static void test_children_are_killed(void)
{
    StandinDaemon *daemon;

    standin_start();
    daemon = spawn_shell("sleep 1000 & sleep 1000 & trap 'exit 0' TERM; echo ready; "
                         "while :; do read x; done </dev/null");
    g_assert_true(standin_daemon_wait_log(daemon, "ready", 5000));
    g_assert_cmpuint(standin_daemon_children_wait(daemon, 2), ==, 2);
    g_assert_cmpint(standin_daemon_stop(daemon), ==, 0);
    standin_stop();
}

/* What a killed daemon leaves behind is still known to its successor, and stopped with it. */
static void test_orphans(void)
{
    StandinDaemon *daemon;

    standin_start();
    daemon = spawn_shell("sleep 1000 & echo ready; while :; do read x; done </dev/null");
    g_assert_true(standin_daemon_wait_log(daemon, "ready", 5000));
    g_assert_cmpuint(standin_daemon_children_wait(daemon, 1), ==, 1);
    standin_daemon_kill(daemon);
    daemon = spawn_shell("trap 'exit 0' TERM; echo ready; while :; do read x; done </dev/null");
    g_assert_true(standin_daemon_wait_log(daemon, "ready", 5000));
    g_assert_cmpuint(standin_daemon_children_wait(daemon, 1), ==, 1);
    g_assert_cmpint(standin_daemon_stop(daemon), ==, 0);
    standin_stop();
}

/* In a child, which then is killed: starts everything, and says where. */
static _Noreturn void start_and_wait(int out)
{
    const char *dir;

    standin_start();
    dir = standin_dir();
    spawn_shell("while :; do sleep 0.1; done");
    if (write(out, dir, strlen(dir) + 1) < 0)
        _exit(1);
    for (;;)
        pause();
}

static void test_killed_test(void)
{
    char dir[256] = "";
    int pipe_fds[2];
    pid_t pid;

    g_assert_cmpint(pipe(pipe_fds), ==, 0);
    pid = fork();
    if (pid == 0)
        start_and_wait(pipe_fds[1]);
    g_assert_cmpint(read(pipe_fds[0], dir, sizeof(dir)), >, 1);
    g_assert_true(g_file_test(dir, G_FILE_TEST_IS_DIR));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < 1000 && g_file_test(dir, G_FILE_TEST_EXISTS); i++)
        g_usleep(2000);
    g_assert_false(g_file_test(dir, G_FILE_TEST_EXISTS));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* A program that was told nothing else belongs to the domain that the environment names. */
static void test_domid_from_environment(void)
{
    int status;
    pid_t pid;

    standin_start();
    standin_domain_create(5);
    pid = fork();
    if (pid == 0) {
        g_autofree char *domid = NULL;
        struct xs_handle *xs;

        g_setenv(STANDIN_ENV_DOMID, "5", true);
        xs = xs_open(0);
        domid = xs_read(xs, XBT_NULL, "domid", NULL);
        _exit(g_strcmp0(domid, "5") == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    g_assert_cmpint(status, ==, 0);
    standin_stop();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* First, while this thread has not said which domain it is. */
    g_test_add_func("/standin/process/domid-from-environment", test_domid_from_environment);
    g_test_add_func("/standin/process/log-and-status", test_log_and_status);
    g_test_add_func("/standin/process/environment", test_environment);
    g_test_add_func("/standin/process/children-are-killed", test_children_are_killed);
    g_test_add_func("/standin/process/orphans", test_orphans);
    g_test_add_func("/standin/process/killed-test", test_killed_test);
    return g_test_run();
}
