/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each sub-command that asks once: what it prints, word for word, and how it ends. */
#include "tests/tool/server.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char requests[] =
    "ok\n"
    "record=request\ttag=8\ttype=Tlock\tage_us=200\tstate=waiting\tfid=9\tpath=/"
    "mail\tring=1\tuid=0\n"
    "record=request\ttag=7\ttype=Tread\tage_us=12345678\tstate=running\tfid=9\tpath=/mail/a b\t"
    "ring=0\tuid=1000\tdetail=offset=0 count=4096\n"
    "end\n";

static const char fids[] = "ok\n"
                           "record=fid\tfid=10\tpath=/mail\ttype=dir\topen=-\tuid=0\n"
                           "record=fid\tfid=9\tpath=/mail/a b\ttype=file\topen=rw\tuid=1000\n"
                           "end\n";

/* Runs `command` on the three devices, and compares. */
static void expect(Server *server, const char *command, int status, const char *output,
                   const char *errors)
{
    g_auto(ToolRun) run = tool_run(server, command);

    g_assert_cmpstr(run.errors, ==, errors);
    g_assert_cmpstr(run.output, ==, output);
    g_assert_cmpint(run.status, ==, status);
}

static void test_list(void)
{
    Server *server = server_start();

    server_add_devices(server, true);
    expect(
        server, "list --timeout=5", 1,
        "DEVICE  DOMAIN  TAG    PATH        MODEL         STATE                            RINGS  "
        "DIALECT   MSIZE  MOUNTS  FIDS  OPEN  BUSY  SINCE\n"
        "3.0     web     share  /srv/share  mapped-xattr  connected                            2  "
        "9P2000.L   512K       1    12     3     2  2023-11-14 22:13:20\n"
        "3.1     web     logs   /srv/logs   none          initwait, read-only                  -  "
        "-             -       -     -     -     -  -\n"
        "12.0    db      data   /srv/data   none          connected, read-only, no answer      1  "
        "-             -       -     -     -     -  2023-11-14 22:15:00\n",
        "xen-9pfs: device 12.0 (db:data): no answer within 5.0 s\n");
    server_stop(server);
}

static void test_no_devices(void)
{
    static const char *const plain[] = {"list", "stats"};
    Server *server = server_start();

    server_answer(server, "devices", "ok\nend\n");
    for (size_t i = 0; i < G_N_ELEMENTS(plain); i++)
        expect(server, plain[i], 0, "No devices.\n", "");
    expect(server, "list --json", 0, "[]\n", "");
    expect(server, "requests", 0, "No request is in flight.\n", "");
    expect(server, "fids", 0, "There are no fids.\n", "");
    expect(server, "trace", 1, "", "xen-9pfs: no device is connected that could be traced\n");
    expect(server, "list web", 1, "", "xen-9pfs: no device is \"web\": there is none at all\n");
    server_stop(server);
}

/* The names of devices in the first column. */
static char *first_column(const char *output)
{
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    GString *column = g_string_new(NULL);

    for (size_t i = 1; lines[i] != NULL && lines[i][0] != '\0'; i++)
        g_string_append_printf(column, "%.*s ", (int)strcspn(lines[i], " "), lines[i]);
    return g_string_free(column, FALSE);
}

static void test_selection(void)
{
    static const struct {
        const char *arguments;
        const char *devices;
    } cases[] = {
        {"", "3.0 3.1 12.0 "},         {"3.0", "3.0 "},
        {"web", "3.0 3.1 "},           {"3", "3.0 3.1 "},
        {"web:logs", "3.1 "},          {"3:logs", "3.1 "},
        {"db web:share", "3.0 12.0 "}, {"3.0 web", "3.0 3.1 "},
    };
    Server *server = server_start();

    server_add_devices(server, true);
    server_answer(server, "stats 12.0", "ok\nend\n");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *command = g_strconcat("list ", cases[i].arguments, NULL);
        g_auto(ToolRun) run = tool_run(server, command);
        g_autofree char *found = first_column(run.output);

        g_assert_cmpstr(found, ==, cases[i].devices);
        g_assert_cmpint(run.status, ==, 0);
    }
    expect(server, "list web:", 1, "",
           "xen-9pfs: no device is \"web:\"; there are: 3.0 (web:share), 3.1 (web:logs), "
           "12.0 (db:data)\n");
    server_stop(server);
}

/* Where two kinds have a device of the same numbers, each has a name of its own; both are asked. */
static void test_kinds(void)
{
    Server *server = server_start();

    server_answer(
        server, "devices",
        "ok\n"
        "record=device\tdevice=9pfs:1.0\tdomid=1\tdevid=0\tstate=connected\tworker=5\n"
        "record=device\tdevice=xen_9pfs:1.0\tdomid=1\tdevid=0\tstate=connected\tworker=6\n"
        "end\n");
    server_answer(server, "stats 9pfs:1.0", "ok\nend\n");
    server_answer(server, "stats xen_9pfs:1.0", "ok\nend\n");
    for (int i = 0; i < 2; i++) {
        g_auto(ToolRun) run = tool_run(server, i == 0 ? "list 1.0" : "list 9pfs:1.0");
        g_autofree char *found = first_column(run.output);

        g_assert_cmpstr(found, ==, i == 0 ? "9pfs:1.0 xen_9pfs:1.0 " : "9pfs:1.0 ");
        g_assert_cmpint(run.status, ==, 0);
    }
    g_assert_cmpuint(server_count(server, "stats 9pfs:1.0"), ==, 2);
    g_assert_cmpuint(server_count(server, "stats xen_9pfs:1.0"), ==, 1);
    server_stop(server);
}

static void test_stats(void)
{
    Server *server = server_start();

    server_add_devices(server, false);
    expect(
        server, "stats", 0,
        "3.0 (web:share) /srv/share\n"
        "  dialect 9P2000.L, msize 512K, mounts 1, up 3d04h, threads 4\n"
        "  fids 12 of 65536, open files 3 of 512, locks 1, attributes 0\n"
        "  in flight 2, at most 64, memory 1.0M\n"
        "  requests 1110, errors 10, cancelled 2, flushes 3, in 1M, out 5G\n"
        "  quota: files 10 of 100, space 4K of 1G, count done\n"
        "OPERATION  COUNT  ERRORS  CANCELLED    IN   OUT   MEAN   P50     P99  P99.9    MAX\n"
        "Tread       1000       0          2   22K    5G  900us  20us  1.00ms  1.00s  3.50s\n"
        "Twalk        110      10          0  3.2K  2.1K   10us  10us    17us   17us   17us\n"
        "RING  ORDER  REQUESTS  REPLIES  OUT-USED  IN-USED  IN-HIGH  STALLS  STALLED  NOTIFIED  "
        "WOKEN\n"
        "   0      9       600      599        23        0       1M       1   1.50ms       640    "
        "500\n"
        "   1      9       510      509         0       11       4K       0        0       520    "
        "400\n"
        "\n"
        "3.1 (web:logs) /srv/logs\n"
        "  is not connected\n"
        "\n",
        "");
    server_stop(server);
}

/* Nothing has happened between two answers that are the same. */
static void test_intervals(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, false);
    run = tool_run(server, "stats --interval 0.01 --count 2 web:share");
    g_assert_cmpstr(run.errors, ==, "");
    g_assert_cmpint(run.status, ==, 0);
    g_assert_cmpuint(server_count(server, "stats 3.0"), ==, 3);
    g_assert_nonnull(strstr(run.output, "  requests 0, errors 0, cancelled 0, flushes 0, in 0, "
                                        "out 0\n"));
    g_assert_nonnull(strstr(run.output, "  in flight 2, at most 64"));
    g_assert_null(strstr(run.output, "Tread"));
    server_stop(server);
}

static void test_requests(void)
{
    Server *server = server_start();

    server_add_devices(server, false);
    server_answer(server, "requests 3.0", requests);
    expect(server, "requests", 0,
           "DEVICE  DOMAIN  MOUNT    AGE  STATE    OPERATION  TAG  RING   UID  FID  PATH       "
           "DETAIL\n"
           "3.0     web     share  12.3s  running  Tread        7     0  1000    9  /mail/a b  "
           "offset=0 count=4096\n"
           "3.0     web     share  200us  waiting  Tlock        8     1     0    9  /mail      -\n",
           "");
    expect(server, "requests --older-than 10 web", 3,
           "DEVICE  DOMAIN  MOUNT    AGE  STATE    OPERATION  TAG  RING   UID  FID  PATH       "
           "DETAIL\n"
           "3.0     web     share  12.3s  running  Tread        7     0  1000    9  /mail/a b  "
           "offset=0 count=4096\n",
           "");
    expect(server, "requests --older-than=12.4", 0,
           "No request is in flight for longer than 12.4 s.\n", "");
    server_stop(server);
}

static void test_fids(void)
{
    Server *server = server_start();

    server_add_devices(server, false);
    server_answer(server, "fids 3.0", fids);
    expect(server, "fids", 0,
           "DEVICE  DOMAIN  MOUNT  FID  TYPE  OPEN   UID  PATH\n"
           "3.0     web     share    9  file  rw    1000  /mail/a b\n"
           "3.0     web     share   10  dir   -        0  /mail\n",
           "");
    expect(server, "fids --open 3.0", 0,
           "DEVICE  DOMAIN  MOUNT  FID  TYPE  OPEN   UID  PATH\n"
           "3.0     web     share    9  file  rw    1000  /mail/a b\n",
           "");
    server_answer(server, "fids 3.0",
                  "ok\nrecord=fid\tfid=1\tpath=/\ttype=dir\topen=-\tuid=0\n"
                  "record=cut\tlisted=1\tfids=70000\nend\n");
    expect(server, "fids 3.0", 0,
           "DEVICE  DOMAIN  MOUNT  FID  TYPE  OPEN  UID  PATH\n"
           "3.0     web     share    1  dir   -       0  /\n",
           "xen-9pfs: device 3.0: only 1 of 70000 fids are listed\n");
    server_stop(server);
}

static void test_version(void)
{
    Server *server = server_start();

    server_add_devices(server, false);
    expect(server, "version", 0,
           "xen-9pfs       " VERSION "\n"
           "xen-9pfsd      0.1.0\n"
           "process        900\n"
           "runs since     2023-11-14 22:13:20\n"
           "devices        3\n"
           "device kinds   xen_9pfs\n"
           "configuration  /etc/xen/xen-9pfs.conf\n"
           "sandbox        full\n"
           "system calls   kill\n",
           "");
    expect(server, "--version", 0, "xen-9pfs " VERSION "\n", "");
    server_stop(server);
}

static void test_reload(void)
{
    Server *server = server_start();

    server_answer(server, "reload",
                  "ok\nrecord=config\tconfig=/etc/xen/xen-9pfs.conf\tgroups=3\nend\n");
    expect(server, "reload", 0,
           "The daemon has read its configuration. It is used for devices that connect from now "
           "on.\n",
           "");
    expect(server, "reload --json", 0, "{\n  \"reloaded\" : true\n}\n", "");
    server_answer(server, "reload", "error /etc/xen/xen-9pfs.conf:3: readonly is \"perhaps\"\n");
    expect(server, "reload", 1, "",
           "xen-9pfs: /etc/xen/xen-9pfs.conf:3: readonly is \"perhaps\"\n");
    server_stop(server);
}

/* Every --json is JSON, and has what the text has. */
static void test_json(void)
{
    static const char *const commands[] = {"list",    "stats",          "requests", "fids",
                                           "version", "list --run-dir", "reload",   "trace -n 1"};
    Server *server = server_start();

    server_add_devices(server, false);
    server_answer(server, "requests 3.0", requests);
    server_answer(server, "fids 3.0", fids);
    server_answer(server, "reload", "ok\nend\n");
    server_answer(server, "trace 3.0", "ok\nrecord=trace\ttime_us=5\tevent=request\ttext=x\n");
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        const char *value = g_str_has_suffix(commands[i], "run-dir") ? server_run_dir(server) : "";
        g_autofree char *command = g_strjoin(" ", "--json", commands[i], value, NULL);
        g_auto(ToolRun) run = tool_run(server, command);
        g_autoptr(JsonParser) parser = json_parser_new();

        g_assert_cmpstr(run.errors, ==, "");
        g_assert_cmpint(run.status, ==, 0);
        g_assert_true(json_parser_load_from_data(parser, run.output, -1, NULL));
    }
    server_stop(server);
}

static void test_json_values(void)
{
    Server *server = server_start();
    g_autoptr(JsonParser) parser = json_parser_new();
    g_auto(ToolRun) run = {0};
    JsonArray *array;
    JsonObject *object;

    server_add_devices(server, true);
    run = tool_run(server, "list --json --timeout=5");
    g_assert_cmpint(run.status, ==, 1);
    g_assert_true(json_parser_load_from_data(parser, run.output, -1, NULL));
    array = json_node_get_array(json_parser_get_root(parser));
    g_assert_cmpuint(json_array_get_length(array), ==, 3);
    object = json_array_get_object_element(array, 0);
    g_assert_cmpstr(json_object_get_string_member(object, "domain"), ==, "web");
    g_assert_cmpint(json_object_get_int_member(object, "msize"), ==, 524288);
    g_assert_false(json_object_get_boolean_member(object, "readonly"));
    g_assert_true(json_object_get_null_member(object, "worker_error"));
    object = json_array_get_object_element(array, 1);
    g_assert_true(json_object_get_boolean_member(object, "readonly"));
    g_assert_true(json_object_get_null_member(object, "msize"));
    object = json_array_get_object_element(array, 2);
    g_assert_cmpstr(json_object_get_string_member(object, "worker_error"), ==,
                    "no answer within 5.0 s");
    server_stop(server);
}

/* One line and status 2. */
static void test_usage(void)
{
    static const struct {
        const char *command;
        const char *reason;
    } cases[] = {
        {"", "a sub-command is missing"},
        {"frobnicate", "there is no sub-command \"frobnicate\""},
        {"--frobnicate", "Unknown option --frobnicate"},
        {"list --frobnicate", "list: Unknown option --frobnicate"},
        {"version 3.0", "version: unexpected argument \"3.0\""},
        {"help", "help: an argument is missing: COMMAND"},
        {"help frobnicate", "there is no sub-command \"frobnicate\""},
        {"completion tcsh", "completion: there is none for \"tcsh\""},
        {"--json metrics", "metrics: it has no --json"},
        {"metrics --json", "metrics: Unknown option --json"},
        {"stats --interval=-1", "stats: --interval is at most a day"},
        {"stats --count=3", "stats: --count needs --interval"},
        {"stats --interval=x", "stats: Cannot parse"},
        {"trace --fid=x", "trace: \"x\" is not the number of a fid"},
        {"trace --ops=", "trace: --ops needs the name of an operation"},
        {"trace --count=-1", "trace: --count is not negative"},
        {"top --sort=luck", "top: nothing can be sorted by \"luck\""},
        {"list --timeout=0", "list: --timeout is 0.001 to 3600"},
        {"top --interval=0", "top: --interval is 0.1 to 86400"},
        {"top", "top: this is no terminal; use --batch or --once"},
    };
    Server *server = server_start();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(ToolRun) run = tool_run(server, cases[i].command);

        g_assert_cmpint(run.status, ==, 2);
        g_assert_cmpstr(run.output, ==, "");
        g_assert_nonnull(strstr(run.errors, cases[i].reason));
        g_assert_true(g_str_has_suffix(run.errors, "; see xen-9pfs --help\n"));
        g_assert_true(strchr(run.errors, '\n') == run.errors + strlen(run.errors) - 1);
    }
    server_stop(server);
}

static void test_help(void)
{
    Server *server = server_start();
    g_auto(ToolRun) all = tool_run(server, "--help");
    g_auto(ToolRun) one = tool_run(server, "requests --help");
    g_auto(ToolRun) same = tool_run(server, "help requests");

    g_assert_nonnull(strstr(all.output, "\n  requests     Show which requests are in flight"));
    g_assert_cmpint(all.status, ==, 0);
    g_assert_nonnull(strstr(one.output, "xen-9pfs requests [OPTION"));
    g_assert_nonnull(strstr(one.output, "--older-than=SECONDS"));
    g_assert_cmpstr(one.output, ==, same.output);
    server_stop(server);
}

/* Nobody has the socket, nobody listens, nobody accepts: each is told apart. */
static void test_no_daemon(void)
{
    Server *server = server_start();
    g_autofree char *empty = g_dir_make_tmp("tool-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(empty, "control", NULL);
    g_autofree char *command = g_strdup_printf("list --run-dir=%s", empty);
    g_autofree char *absent = g_strdup_printf(
        "xen-9pfs: the daemon does not run, or is too old: there is no %s; start it with "
        "\"systemctl start xen-9pfsd\"\n",
        path);
    g_autofree char *deaf =
        g_strdup_printf("xen-9pfs: the daemon does not run: nobody listens at %s; start it with "
                        "\"systemctl start xen-9pfsd\"\n",
                        path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    expect(server, command, 1, "", absent);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_no_errno(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
    expect(server, command, 1, "", deaf);
    close(fd);
    g_assert_no_errno(g_unlink(path));
    g_assert_no_errno(g_rmdir(empty));
    server_stop(server);
}

/* Who may not connect learns who may. Root may always, so that the tool runs as another user. */
static void test_no_permission(void)
{
    Server *server = server_start();
    g_autofree char *program = tool_program();
    g_autofree char *path = g_build_filename(server_run_dir(server), "control", NULL);
    g_autofree char *reason = g_strdup_printf("you may not use %s: be root, or a member", path);
    const char *const argv[] = {"setpriv",   "--reuid=65534",        "--clear-groups", program,
                                "--run-dir", server_run_dir(server), "list",           NULL};
    g_autofree char *errors = NULL;
    int status;

    if (geteuid() != 0) {
        g_test_skip("only root can become somebody else");
        server_stop(server);
        return;
    }
    g_assert_no_errno(g_chmod(server_run_dir(server), 0755));
    g_assert_no_errno(g_chmod(path, 0600));
    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                               &errors, &status, NULL));
    g_assert_nonnull(strstr(errors, reason));
    server_stop(server);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tool/list", test_list);
    g_test_add_func("/tool/no-devices", test_no_devices);
    g_test_add_func("/tool/selection", test_selection);
    g_test_add_func("/tool/kinds", test_kinds);
    g_test_add_func("/tool/stats", test_stats);
    g_test_add_func("/tool/intervals", test_intervals);
    g_test_add_func("/tool/requests", test_requests);
    g_test_add_func("/tool/fids", test_fids);
    g_test_add_func("/tool/version", test_version);
    g_test_add_func("/tool/reload", test_reload);
    g_test_add_func("/tool/json", test_json);
    g_test_add_func("/tool/json-values", test_json_values);
    g_test_add_func("/tool/usage", test_usage);
    g_test_add_func("/tool/help", test_help);
    g_test_add_func("/tool/no-daemon", test_no_daemon);
    g_test_add_func("/tool/no-permission", test_no_permission);
    return g_test_run();
}
