/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: levels, devices, limits, long lines, and strings from guests. */
#include "common/log.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `write_lines` with standard error in a file. Returns what was written. */
static char *capture(void (*write_lines)(void))
{
    g_autofree char *path = NULL;
    int file = g_file_open_tmp("log-XXXXXX", &path, NULL);
    int saved = dup(STDERR_FILENO);
    char *text;

    g_assert_cmpint(file, >=, 0);
    g_assert_cmpint(dup2(file, STDERR_FILENO), >=, 0);
    write_lines();
    g_assert_cmpint(dup2(saved, STDERR_FILENO), >=, 0);
    close(saved);
    close(file);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    unlink(path);
    return text;
}

static unsigned count(const char *text, const char *needle)
{
    unsigned n = 0;

    for (; (text = strstr(text, needle)); text++)
        n++;
    return n;
}

static void test_levels(void)
{
    static const struct {
        const char *name;
        int priority;
    } levels[] = {{"error", LOG_ERR},
                  {"warning", LOG_WARNING},
                  {"notice", LOG_NOTICE},
                  {"info", LOG_INFO},
                  {"debug", LOG_DEBUG}};

    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        g_assert_cmpint(log_parse_level(levels[i].name), ==, levels[i].priority);
        g_assert_cmpstr(log_level_name(levels[i].priority), ==, levels[i].name);
    }
    g_assert_cmpint(log_parse_level("verbose"), ==, -1);
    g_assert_cmpint(log_parse_level(""), ==, -1);
    log_init(LOG_TARGET_STDERR, LOG_WARNING);
    g_assert_true(log_enabled(LOG_ERR));
    g_assert_true(log_enabled(LOG_WARNING));
    g_assert_false(log_enabled(LOG_NOTICE));
}

static void write_levels(void)
{
    log_init(LOG_TARGET_STDERR, LOG_NOTICE);
    log_error("one %d", 1);
    log_notice("two");
    log_info("three");
    log_device(LOG_ERR, 7, 3, "four");
    log_device(LOG_DEBUG, 7, 3, "five");
}

static void test_lines(void)
{
    g_autofree char *text = capture(write_levels);

    g_assert_cmpuint(count(text, "\n"), ==, 3);
    g_assert_nonnull(strstr(text, ": error: one 1\n"));
    g_assert_nonnull(strstr(text, ": notice: two\n"));
    g_assert_nonnull(strstr(text, ": error: domain 7 device 3: four\n"));
    g_assert_null(strstr(text, "five"));
}

static void write_limited(void)
{
    static LogLimit limit;

    log_init(LOG_TARGET_STDERR, LOG_INFO);
    for (unsigned i = 0; i < 100; i++)
        log_limited(&limit, LOG_WARNING, "guest line");
    log_limited(&limit, LOG_DEBUG, "guest line"); /* not enabled: costs nothing */
    /* As a minute later. */
    limit.window_start -= LOG_LIMIT_SECONDS + 1;
    log_limited(&limit, LOG_WARNING, "next line");
    log_limited(&limit, LOG_WARNING, "next line");
}

static void test_limit(void)
{
    g_autofree char *text = capture(write_limited);

    g_assert_cmpuint(count(text, "guest line"), ==, LOG_LIMIT_BURST);
    g_assert_cmpuint(count(text, "next line"), ==, 2);
    g_assert_cmpuint(count(text, "95 similar messages were left out"), ==, 1);
    g_assert_true(strstr(text, "left out") < strstr(text, "next line"));
}

static void write_long(void)
{
    g_autofree char *word = g_strnfill(5000, 'x');

    log_init(LOG_TARGET_STDERR, LOG_INFO);
    log_info("%s", word);
    log_device(LOG_INFO, 4294967295u, 4294967295u, "%s", word);
}

/* A line that is too long is cut, and ends as a line. */
static void test_long_lines(void)
{
    g_autofree char *text = capture(write_long);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    g_assert_cmpuint(g_strv_length(lines), ==, 3);
    g_assert_cmpstr(lines[2], ==, "");
    g_assert_cmpuint(strlen(lines[0]), <, 1200);
    g_assert_cmpuint(strlen(lines[0]), >, 900);
    g_assert_nonnull(strstr(lines[1], "domain 4294967295 device 4294967295: xxx"));
}

enum { NO_OWN_MOUNTS = 77 };

/* A system log at /dev/log, for this process alone. Returns its socket, or -1. Ends the process where
 * the root is no mount, as in a plain chroot, which cannot be kept apart. */
static int start_syslog(void)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (unshare(CLONE_NEWNS) != 0)
        return -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        _exit(NO_OWN_MOUNTS);
    if (mount("none", "/dev", "tmpfs", 0, NULL) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return -1;
    return fd;
}

static void keep_line(int priority, const char *line, void *context)
{
    g_snprintf(context, 64, "%d %s", priority, line);
}

/* Returns the line of the source at which something was not as it should be, or 0. */
static int use_socket(LogTarget target)
{
    char got[256] = "", relayed[64] = "";
    int server = start_syslog();
    GRegex *expected = g_regex_new("^<28>[A-Z][a-z]{2} [ 1-3][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} "
                                   "xen-9pfsd\\[4321\\]: one 1$",
                                   0, 0, NULL);

    if (server < 0)
        return __LINE__;
    log_init(target, LOG_INFO);
    log_set_pid(4321);
    log_set_relay(keep_line, relayed);
    log_warning("one %d", 1);
    if (recv(server, got, sizeof(got) - 1, MSG_DONTWAIT) <= 0 ||
        !g_regex_match(expected, got, 0, NULL) || relayed[0] != '\0')
        return __LINE__;
    close(server); /* as when the system log is restarted */
    log_notice("two");
    return strcmp(relayed, "5 two") == 0 ? 0 : __LINE__;
}

/* Runs a check in a process of its own, with a /dev and a /run of its own. It returns 0, or the line
 * that failed. */
static void check_apart(int (*check)(LogTarget target), LogTarget target)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        int line = check(target);

        if (line != 0)
            g_printerr("%s: line %d\n", __FILE__, line);
        _exit(line != 0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_OWN_MOUNTS)
        g_test_skip("the root is no mount here");
    else
        g_assert_cmpint(status, ==, 0);
}

/* To the system log, and when that is gone to whoever was named instead. */
static void test_socket(void)
{
    if (geteuid() != 0) {
        g_test_skip("only root can have a /dev of its own");
        return;
    }
    check_apart(use_socket, LOG_TARGET_SOCKET);
}

/* A line with a new line in it, about a request of a device. */
static void log_request(void)
{
    static LogLimit limit;
    const LogFields fields = {
        .has_device = true, .domid = 7, .devid = 2, .operation = "Twrite", .error = 28};

    log_fields(&limit, LOG_WARNING, &fields, "no space\nPRIORITY=0\x1b[31m");
}

/* Returns the line of the source at which something was not as it should be, or 0. */
static int use_journal(LogTarget target)
{
    static const char request[] =
        "PRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=xen-9pfsd\nSYSLOG_PID=4321\n"
        "XEN_DOMID=7\nXEN_DEVID=2\nP9_OPERATION=Twrite\nERRNO=28\n"
        "MESSAGE=domain 7 device 2: no space?PRIORITY=0?[31m\n";
    static const char plain[] = "PRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=xen-9pfsd\n"
                                "SYSLOG_PID=4321\nMESSAGE=plain\n";
    g_autofree char *word = g_strnfill(5000, 'x');
    const struct sockaddr_un address = {.sun_family = AF_UNIX,
                                        .sun_path = "/run/systemd/journal/socket"};
    char got[4096] = "", relayed[64] = "";
    int syslog_server = start_syslog();
    int server = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (syslog_server < 0 || mount("none", "/run", "tmpfs", 0, NULL) != 0 ||
        g_mkdir_with_parents("/run/systemd/journal", 0755) != 0 ||
        bind(server, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return __LINE__;
    log_init(target, LOG_INFO);
    log_set_pid(4321);
    log_set_relay(keep_line, relayed);
    log_request();
    if (recv(server, got, sizeof(got), MSG_DONTWAIT) != sizeof(request) - 1 ||
        memcmp(got, request, sizeof(request) - 1) != 0)
        return __LINE__;
    log_info("plain");
    if (recv(server, got, sizeof(got), MSG_DONTWAIT) != sizeof(plain) - 1 ||
        memcmp(got, plain, sizeof(plain) - 1) != 0)
        return __LINE__;
    log_info("%s", word);
    ssize_t size = recv(server, got, sizeof(got), MSG_DONTWAIT);
    if (size < 1000 || got[size - 1] != '\n' || got[size - 2] != 'x')
        return __LINE__;
    close(server); /* the journal is gone: another log, or whoever was named, has the lines */
    log_set_device(7, 2);
    log_notice("two");
    if (target == LOG_TARGET_SOCKET)
        return strcmp(relayed, "5 two") == 0 ? 0 : __LINE__;
    size = recv(syslog_server, got, sizeof(got) - 1, MSG_DONTWAIT);
    got[MAX(size, 0)] = '\0';
    return strstr(got, ": domain 7 device 2: two") != NULL ? 0 : __LINE__;
}

static void test_journal(void)
{
    if (geteuid() != 0) {
        g_test_skip("only root can have a /run of its own");
        return;
    }
    check_apart(use_journal, LOG_TARGET_SOCKET);
    check_apart(use_journal, LOG_TARGET_SYSLOG);
}

static void assert_escaped(const char *bytes, size_t size, const char *expected)
{
    g_autofree char *escaped = log_escape(bytes, size);

    g_assert_cmpstr(escaped, ==, expected);
}

static void test_escape(void)
{
    g_autofree char *many = g_strnfill(128, 'a');
    g_autofree char *more = g_strnfill(129, 'a');
    g_autofree char *cut = g_strconcat(many, "...", NULL);

    assert_escaped("", 0, "");
    assert_escaped("plain ~ text", 12, "plain ~ text");
    assert_escaped("a\nb\r\t\x1b[31m", 10, "a\\x0ab\\x0d\\x09\\x1b[31m");
    assert_escaped("a\0b", 3, "a\\x00b");
    assert_escaped("\\x41", 4, "\\x5cx41");
    assert_escaped("\x7f\x80\xff", 3, "\\x7f\\x80\\xff");
    assert_escaped(many, 128, many);
    assert_escaped(more, 129, cut);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/levels", test_levels);
    g_test_add_func("/log/lines", test_lines);
    g_test_add_func("/log/limit", test_limit);
    g_test_add_func("/log/long-lines", test_long_lines);
    g_test_add_func("/log/escape", test_escape);
    g_test_add_func("/log/socket", test_socket);
    g_test_add_func("/log/journal", test_journal);
    return g_test_run();
}
