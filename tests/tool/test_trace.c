/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sub-command trace: its lines, its filters, and how it ends. */
#include "tests/tool/server.h"

#include <json-glib/json-glib.h>
#include <string.h>

static const char lines[] =
    "ok\n"
    "record=trace\ttime_us=1700000000000005\tevent=request\ttag=5\ttype=Tlopen\tfid=9\t"
    "text=Tlopen tag=5 fid=9 \"a\\\\x1b\" flags=O_RDONLY\n"
    "record=trace\ttime_us=1700000000250000\tevent=rerror\ttag=5\ttype=Tlopen\tfid=9\t"
    "path=/mail\\x1b[2J\terror=EACCES\n"
    "record=lost\tcount=17\n"
    "record=other\ttext=what a later version adds\n"
    "record=trace\ttime_us=x\tevent=state\ttext=closed\n";

static void test_lines(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, false);
    server_answer(server, "trace 3.0", lines);
    run = tool_run(server, "trace");
    g_assert_cmpstr(run.output, ==,
                    "22:13:20.000005 Tlopen tag=5 fid=9 \"a\\x1b\" flags=O_RDONLY\n"
                    "22:13:20.250000 event=rerror type=Tlopen tag=5 fid=9 path=/mail\\x1b[2J "
                    "error=EACCES\n"
                    "-------- (17 lines were lost: this program reads too slowly)\n"
                    "00:00:00.000000 closed\n");
    g_assert_cmpstr(run.errors, ==, "xen-9pfs: device 3.0 (web:share): its worker has ended\n");
    g_assert_cmpint(run.status, ==, 1);
    server_stop(server);
}

static void test_count(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, false);
    server_answer_bytes(server, "trace 3.0", lines, strlen(lines), SERVER_HANGS);
    run = tool_run(server, "trace --count=2 web:share");
    g_assert_cmpstr(run.errors, ==, "");
    g_assert_cmpint(run.status, ==, 0);
    g_assert_true(g_str_has_suffix(run.output, "error=EACCES\n"));
    server_stop(server);
}

/* Lines of several devices say which one they are of. */
static void test_several(void)
{
    static const char first[] = "ok\nrecord=trace\ttime_us=1\tevent=request\ttext=one\n";
    static const char second[] = "ok\nrecord=trace\ttime_us=1\tevent=request\ttext=two\n";
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, true);
    server_answer_bytes(server, "trace 3.0", first, strlen(first), SERVER_HANGS);
    server_answer_bytes(server, "trace 12.0", second, strlen(second), SERVER_HANGS);
    run = tool_run(server, "trace --count=2");
    g_assert_nonnull(strstr(run.output, "00:00:00.000001 3.0 (web:share) one\n"));
    g_assert_nonnull(strstr(run.output, "00:00:00.000001 12.0 (db:data) two\n"));
    g_assert_cmpint(run.status, ==, 0);
    server_stop(server);
}

/* What the worker is asked for, word for word. */
static void test_filters(void)
{
    static const struct {
        const char *options;
        const char *request;
    } cases[] = {
        {"--ops=Tlopen,read", "trace 3.0 ops=Tlopen,Tread"},
        {"--fid=9 --errors", "trace 3.0 fid=9 errors=1"},
        {"--path='/a b/*'", "trace 3.0 path=/a\\x20b/*"},
        {"--ops=walk --fid=1 --path=/x -e", "trace 3.0 ops=Twalk fid=1 path=/x errors=1"},
    };
    Server *server = server_start();

    server_add_devices(server, false);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *command = g_strdup_printf("trace -n 1 %s 3.0", cases[i].options);
        g_auto(ToolRun) run = {0};

        server_answer(server, cases[i].request,
                      "ok\nrecord=trace\ttime_us=0\tevent=x\ttext=found\n");
        run = tool_run(server, command);
        g_assert_cmpstr(run.output, ==, "00:00:00.000000 found\n");
        g_assert_cmpuint(server_count(server, cases[i].request), ==, 1);
    }
    server_stop(server);
}

static void test_refused(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, false);
    server_answer(server, "trace 3.0", "error four programs trace it already\n");
    run = tool_run(server, "trace 3.0");
    g_assert_cmpstr(run.errors, ==,
                    "xen-9pfs: device 3.0 (web:share): four programs trace it already\n");
    g_assert_cmpint(run.status, ==, 1);
    server_stop(server);
}

/* One object in a line. */
static void test_json(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};
    g_auto(GStrv) objects = NULL;

    server_add_devices(server, false);
    server_answer_bytes(server, "trace 3.0", lines, strlen(lines), SERVER_HANGS);
    run = tool_run(server, "trace --json --count=3");
    objects = g_strsplit(run.output, "\n", -1);
    g_assert_cmpuint(g_strv_length(objects), ==, 4);
    for (size_t i = 0; i < 3; i++) {
        g_autoptr(JsonParser) parser = json_parser_new();
        JsonObject *object;

        g_assert_true(json_parser_load_from_data(parser, objects[i], -1, NULL));
        object = json_node_get_object(json_parser_get_root(parser));
        g_assert_cmpstr(json_object_get_string_member(object, "device"), ==, "3.0");
        g_assert_true(json_object_get_null_member(object, "lost") == (i < 2));
    }
    g_assert_cmpstr(objects[3], ==, "");
    server_stop(server);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tool-trace/lines", test_lines);
    g_test_add_func("/tool-trace/count", test_count);
    g_test_add_func("/tool-trace/several", test_several);
    g_test_add_func("/tool-trace/filters", test_filters);
    g_test_add_func("/tool-trace/refused", test_refused);
    g_test_add_func("/tool-trace/json", test_json);
    return g_test_run();
}
