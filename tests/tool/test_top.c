/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sub-command top: what it prints without a terminal, and how it treats one. */
#include "tests/tool/server.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#define SCREEN_BEGIN "\033[?1049h"
#define SCREEN_END   "\033[?1049l"

enum { EXPECT_MS = 30000 };

/* The tool on a terminal of its own. */
typedef struct Screen {
    Server *server;
    int master;
    pid_t pid;
    struct termios before;
    GString *output; /* all that came */
    size_t seen;     /* up to here it was looked at */
} Screen;

static void become_tool(const Server *server, const char *const *arguments)
{
    g_autofree char *program = tool_program();
    g_auto(GStrv) environment = tool_environment("C.UTF-8");
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    g_ptr_array_add(argv, program);
    g_ptr_array_add(argv, (gpointer) "--run-dir");
    g_ptr_array_add(argv, (gpointer)server_run_dir(server));
    for (size_t i = 0; arguments[i] != NULL; i++)
        g_ptr_array_add(argv, (gpointer)arguments[i]);
    g_ptr_array_add(argv, NULL);
    execve(program, (char **)argv->pdata, environment);
    _exit(127);
}

/* The tool is the job in the foreground, as a shell has it: otherwise it could not be stopped. */
static void become_job(const Server *server, const char *const *arguments)
{
    setpgid(0, 0);
    tcsetpgrp(STDIN_FILENO, getpid());
    signal(SIGTTOU, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    become_tool(server, arguments);
}

/* Ends as the job does, 128 and its number standing for a signal, and stops when that stops. */
static void become_shell(const Server *server, const char *const *arguments)
{
    pid_t job;
    int status;

    signal(SIGTTOU, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    job = fork();
    if (job == 0)
        become_job(server, arguments);
    while (waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status)) {
        raise(SIGSTOP);
        tcsetpgrp(STDIN_FILENO, job);
        kill(-job, SIGCONT);
    }
    _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* `height` is that of the terminal, which has 120 columns. */
static Screen *screen_start(unsigned short height, const char *const *arguments)
{
    Screen *screen = g_new0(Screen, 1);
    struct winsize size = {.ws_row = height, .ws_col = 120};
    int slave;

    screen->server = server_start();
    server_add_devices(screen->server, false);
    screen->output = g_string_new(NULL);
    g_assert_no_errno(openpty(&screen->master, &slave, NULL, NULL, &size));
    g_assert_no_errno(tcgetattr(slave, &screen->before));
    screen->pid = fork();
    g_assert_no_errno(screen->pid);
    if (screen->pid == 0) {
        close(screen->master);
        login_tty(slave);
        become_shell(screen->server, arguments);
    }
    close(slave);
    return screen;
}

/* Sends the tool a signal. */
static void screen_signal(const Screen *screen, int number)
{
    pid_t job = tcgetpgrp(screen->master);

    g_assert_cmpint(job, >, 1);
    g_assert_no_errno(kill(-job, number));
}

/* Reads what has come. Returns false when the other end is closed, or nothing comes. */
static bool screen_read(Screen *screen, int timeout_ms)
{
    struct pollfd fd = {.fd = screen->master, .events = POLLIN};
    char bytes[4096];
    ssize_t size;

    if (poll(&fd, 1, timeout_ms) <= 0)
        return false;
    size = read(screen->master, bytes, sizeof(bytes));
    if (size <= 0)
        return false;
    g_string_append_len(screen->output, bytes, size);
    return true;
}

/* Waits for a text behind all that was waited for before. */
static void screen_expect(Screen *screen, const char *text)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;
    const char *found;

    while ((found = strstr(screen->output->str + screen->seen, text)) == NULL) {
        if (!screen_read(screen, 100) && g_get_monotonic_time() > end)
            g_error("\"%s\" is not on the screen: %s", text, screen->output->str);
    }
    screen->seen = (size_t)(found - screen->output->str) + strlen(text);
}

static void screen_type(const Screen *screen, const char *keys)
{
    g_assert_cmpint(write(screen->master, keys, strlen(keys)), ==, (ssize_t)strlen(keys));
}

/* Waits for the end, which must come by itself. Returns the exit status, see become_shell(). */
static int screen_wait(Screen *screen)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;
    int status;
    pid_t pid;

    while ((pid = waitpid(screen->pid, &status, WNOHANG)) == 0) {
        screen_read(screen, 20);
        if (g_get_monotonic_time() > end)
            g_error("it does not end");
    }
    g_assert_cmpint(pid, ==, screen->pid);
    while (screen_read(screen, 0))
        ;
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The terminal is as before: its settings, its first screen, its cursor. */
static void screen_check_restored(const Screen *screen)
{
    const char *begin = g_strrstr(screen->output->str, SCREEN_BEGIN);
    const char *end = g_strrstr(screen->output->str, SCREEN_END);
    struct termios now;

    g_assert_nonnull(begin);
    g_assert_nonnull(end);
    g_assert_true(begin < end);
    g_assert_nonnull(strstr(begin, "\033[?25h"));
    g_assert_no_errno(tcgetattr(screen->master, &now));
    g_assert_cmpuint(now.c_lflag, ==, screen->before.c_lflag);
    g_assert_cmpuint(now.c_iflag, ==, screen->before.c_iflag);
}

static void screen_free(Screen *screen)
{
    close(screen->master);
    g_string_free(screen->output, TRUE);
    server_stop(screen->server);
    g_free(screen);
}

static void test_once(void)
{
    static const char head[] =
        "  2 devices, by requests\n"
        "\n"
        "DEVICE  DOMAIN  MOUNT  REQ/S  ERR/S  IN/S  OUT/S  BUSY  P50  P99  "
        "STALLS  MOSTLY\n"
        "3.0     web     share      0      0     0      0     2    -    -       "
        "0  -\n"
        "3.1     web     logs       -      -     -      -     -    -    -       "
        "-  initwait\n";
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, false);
    run = tool_run(server, "top --once --interval 0.1");
    g_assert_cmpstr(run.errors, ==, "");
    g_assert_cmpint(run.status, ==, 0);
    g_assert_cmpstr(run.output + strlen("00:00:00"), ==, head);
    server_stop(server);
}

static void test_batch(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};
    unsigned n = 0;

    server_add_devices(server, true);
    run = tool_run(server, "top --batch --count 2 --interval 0.1 --sort name --timeout=3");
    g_assert_cmpint(run.status, ==, 0);
    for (const char *at = run.output; (at = strstr(at, "  3 devices, by name\n")) != NULL; at++)
        n++;
    g_assert_cmpuint(n, ==, 2);
    g_assert_nonnull(strstr(run.output, "no answer within 3.0 s\n3.0     web     share"));
    g_assert_null(strchr(run.output, '\033'));
    server_stop(server);
}

static void test_no_daemon(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = tool_run(server, "top --once");

    g_assert_cmpint(run.status, ==, 1);
    g_assert_cmpstr(run.errors, ==, "xen-9pfs: the connection was closed without an answer\n");
    server_stop(server);
}

static const char *const fast[] = {"top", "--interval=0.1", NULL};
static const char *const slow[] = {"top", "--interval=3600", NULL};

static void test_keys(void)
{
    Screen *screen = screen_start(24, slow);

    screen_expect(screen, SCREEN_BEGIN);
    screen_expect(screen, "2 devices, by requests");
    screen_expect(screen, "share");
    screen_expect(screen, "q quit   s sort   p pause");
    screen_type(screen, "s");
    screen_expect(screen, "2 devices, by bytes");
    screen_type(screen, "p");
    screen_expect(screen, "by bytes, paused");
    screen_type(screen, "x");
    screen_expect(screen, "by bytes, paused");
    screen_type(screen, "q");
    g_assert_cmpint(screen_wait(screen), ==, 0);
    screen_check_restored(screen);
    screen_free(screen);
}

/* It asks again by itself, and stays when the daemon is gone for a while. */
static void test_goes_on(void)
{
    Screen *screen = screen_start(24, fast);

    screen_expect(screen, "REQ/S");
    server_answer(screen->server, "devices", "error not now\n");
    screen_expect(screen, "not now");
    server_add_devices(screen->server, false);
    screen_expect(screen, "REQ/S");
    screen_type(screen, "q");
    g_assert_cmpint(screen_wait(screen), ==, 0);
    screen_free(screen);
}

static void test_count(void)
{
    static const char *const two[] = {"top", "--interval=0.1", "--count=2", NULL};
    Screen *screen = screen_start(24, two);

    g_assert_cmpint(screen_wait(screen), ==, 0);
    screen_check_restored(screen);
    screen_free(screen);
}

/* No screen has more lines than the terminal, and a new size is used at once. */
static void test_resize(void)
{
    Screen *screen = screen_start(4, slow);
    struct winsize size = {.ws_row = 24, .ws_col = 30};

    screen_expect(screen, "p pause");
    g_assert_null(strstr(screen->output->str, "share"));
    g_assert_no_errno(ioctl(screen->master, TIOCSWINSZ, &size));
    screen_expect(screen, "DEVICE  DOMAIN  MOUNT  REQ/...");
    screen_expect(screen, "share");
    screen_type(screen, "q");
    g_assert_cmpint(screen_wait(screen), ==, 0);
    screen_free(screen);
}

/* Signals end it as they end others, but the terminal comes first. */
static void test_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        Screen *screen = screen_start(24, slow);

        screen_expect(screen, "p pause");
        screen_signal(screen, numbers[i]);
        g_assert_cmpint(screen_wait(screen), ==, 128 + numbers[i]);
        screen_check_restored(screen);
        screen_free(screen);
    }
}

/* Control-C comes through the terminal. */
static void test_interrupt_key(void)
{
    Screen *screen = screen_start(24, slow);

    screen_expect(screen, "p pause");
    screen_type(screen, "\003");
    g_assert_cmpint(screen_wait(screen), ==, 128 + SIGINT);
    screen_check_restored(screen);
    screen_free(screen);
}

/* Stopped, the terminal is the shell's; continued, it is the screen's again. */
static void test_stop(void)
{
    Screen *screen = screen_start(24, slow);
    int status;

    screen_expect(screen, "p pause");
    screen_type(screen, "\032");
    screen_expect(screen, SCREEN_END);
    g_assert_cmpint(waitpid(screen->pid, &status, WUNTRACED), ==, screen->pid);
    g_assert_true(WIFSTOPPED(status));
    screen_check_restored(screen);
    g_assert_no_errno(kill(screen->pid, SIGCONT));
    screen_expect(screen, SCREEN_BEGIN);
    screen_expect(screen, "p pause");
    screen_type(screen, "q");
    g_assert_cmpint(screen_wait(screen), ==, 0);
    screen_check_restored(screen);
    screen_free(screen);
}

/* When the terminal is gone, so is the tool. */
static void test_hang_up(void)
{
    Screen *screen = screen_start(24, slow);
    int status;

    screen_expect(screen, "p pause");
    close(screen->master);
    g_assert_cmpint(waitpid(screen->pid, &status, 0), ==, screen->pid);
    screen->master = -1;
    screen_free(screen);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tool-top/once", test_once);
    g_test_add_func("/tool-top/batch", test_batch);
    g_test_add_func("/tool-top/no-daemon", test_no_daemon);
    g_test_add_func("/tool-top/keys", test_keys);
    g_test_add_func("/tool-top/goes-on", test_goes_on);
    g_test_add_func("/tool-top/count", test_count);
    g_test_add_func("/tool-top/resize", test_resize);
    g_test_add_func("/tool-top/signals", test_signals);
    g_test_add_func("/tool-top/interrupt-key", test_interrupt_key);
    g_test_add_func("/tool-top/stop", test_stop);
    g_test_add_func("/tool-top/hang-up", test_hang_up);
    return g_test_run();
}
