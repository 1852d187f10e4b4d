/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of workers that are not what they should be: the tool says so, ends, and shows nothing that
 * a terminal would act on. */
#include "tests/tool/server.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define REQUEST "record=request\ttag=1\ttype=Tread\tage_us=5\tstate=running\tpath="

static Server *start(void)
{
    Server *server = server_start();

    server_add_devices(server, false);
    return server;
}

/* Whatever is in a value, only printable characters come out. */
static void test_escapes(void)
{
    static const struct {
        const char *sent;
        const char *shown;
    } cases[] = {
        {"a\\x1b[2Jb", "a\\x1b[2Jb"},             /* an escape sequence, escaped as it should be */
        {"a\x1b[2Jb", "a\\x1b[2Jb"},              /* the same as it is */
        {"a\\nb\\tc\\x0d", "a\\x0ab\\x09c\\x0d"}, /* other lines, other columns */
        {"a\xc2\x9b"
         "2Jb",
         "a\\xc2\\x9b2Jb"}, /* a control character of ISO 6429 */
        {"a\xe2\x80\xae"
         "b",
         "a\\xe2\\x80\\xaeb"}, /* turns the direction of writing around */
        {"a\xe2\x80\xa8"
         "b",
         "a\\xe2\\x80\\xa8b"},          /* the separator of lines */
        {"a\\xff\\xfe", "a\\xff\\xfe"}, /* no UTF-8 */
        {"a\\\\x1b", "a\\\\x1b"},       /* a backslash in the name */
        {"a\\x00b", "a\\\\x00b"},       /* no name has a NUL */
        {"a\\x1", "a\\\\x1"},           /* badly escaped */
        {"caf\xc3\xa9", "caf\xc3\xa9"}, /* nothing wrong with that */
    };
    Server *server = start();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *answer = g_strconcat("ok\n" REQUEST, cases[i].sent, "\nend\n", NULL);
        g_autofree char *column = g_strconcat("  ", cases[i].shown, "  -\n", NULL);
        g_auto(ToolRun) run = {0};

        server_answer(server, "requests 3.0", answer);
        run = tool_run(server, "requests");
        g_assert_cmpint(run.status, ==, 0);
        g_assert_true(g_str_has_suffix(run.output, column));
    }
    server_stop(server);
}

/* Without UTF-8 there is ASCII. */
static void test_ascii(void)
{
    Server *server = start();
    g_auto(ToolRun) run = {0};

    server_answer(server, "requests 3.0", "ok\n" REQUEST "caf\xc3\xa9\nend\n");
    run = tool_run_in(server, "C", "requests");
    g_assert_nonnull(strstr(run.output, "  caf\\xc3\\xa9  -\n"));
    server_stop(server);
}

/* Columns stay in line where characters are wide, or take no room. */
static void test_wide(void)
{
    Server *server = start();
    g_auto(ToolRun) run = {0};

    server_answer(server, "fids 3.0",
                  "ok\nrecord=fid\tfid=1\tpath=x\ttype=\xe6\x96\x87\xe4\xbb\xb6\topen=r\tuid=0\n"
                  "record=fid\tfid=2\tpath=x\ttype=e\xcc\x81\topen=r\tuid=0\nend\n");
    run = tool_run(server, "fids");
    g_assert_cmpstr(run.output, ==,
                    "DEVICE  DOMAIN  MOUNT  FID  TYPE  OPEN  UID  PATH\n"
                    "3.0     web     share    1  \xe6\x96\x87\xe4\xbb\xb6  r       0  x\n"
                    "3.0     web     share    2  e\xcc\x81     r       0  x\n");
    server_stop(server);
}

/* JSON escapes what JSON has no need to. */
static void test_json_escapes(void)
{
    Server *server = start();
    g_auto(ToolRun) run = {0};
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonArray *array;

    server_answer(server, "requests 3.0",
                  "ok\n" REQUEST "\\x1b[2J\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81\\xff\\\\\"\nend\n");
    run = tool_run(server, "requests --json");
    for (const char *c = run.output; *c != '\0'; c++)
        g_assert_true((*c >= ' ' && *c < 0x7f) || *c == '\n');
    g_assert_true(json_parser_load_from_data(parser, run.output, -1, NULL));
    array = json_node_get_array(json_parser_get_root(parser));
    g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(array, 0), "path"),
                    ==, "\x1b[2J\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81\\xff\\\"");
    server_stop(server);
}

/* An error of a worker is text like any other. */
static void test_error_text(void)
{
    Server *server = start();
    g_auto(ToolRun) run = {0};

    server_answer(server, "fids 3.0", "error a\\x1b[31mb\\nxen-9pfs: all is well\n");
    run = tool_run(server, "fids 3.0");
    g_assert_cmpstr(run.errors, ==,
                    "xen-9pfs: device 3.0 (web:share): a\\x1b[31mb\\x0axen-9pfs: all is well\n");
    g_assert_cmpint(run.status, ==, 1);
    server_stop(server);
}

/* What has come before the answer ends too early is shown, and that it did. */
static void test_cut(void)
{
    static const struct {
        const char *answer;
        const char *error;
        bool shown;
    } cases[] = {
        {"ok\n" REQUEST "/a\n", "the answer was cut off", true},
        {"ok\n" REQUEST "/a\n" REQUEST "/b", "the answer was cut off", true},
        {"ok\n" REQUEST "/a\nen", "the answer was cut off", true},
        {"ok\n", "the answer was cut off", false},
        {"ok", "the connection was closed without an answer", false},
        {"", "the connection was closed without an answer", false},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "what came is no answer", false},
        {"\n", "what came is no answer", false},
        {"error\n", "what came is no answer", false},
    };
    Server *server = start();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *errors =
            g_strdup_printf("xen-9pfs: device 3.0 (web:share): %s\n", cases[i].error);
        g_auto(ToolRun) run = {0};

        server_answer(server, "requests 3.0", cases[i].answer);
        run = tool_run(server, "requests");
        g_assert_cmpint(run.status, ==, 1);
        g_assert_cmpstr(run.errors, ==, errors);
        g_assert_true((strstr(run.output, "/a") != NULL) == cases[i].shown);
        g_assert_null(strstr(run.output, "/b"));
    }
    server_stop(server);
}

/* Begins well and then says nothing: the time limit holds for the whole of the answer. */
static void test_late(void)
{
    static const char answer[] = "ok\n" REQUEST "/a\n";
    Server *server = start();
    g_auto(ToolRun) run = {0};

    server_answer_bytes(server, "requests 3.0", answer, strlen(answer), SERVER_HANGS);
    run = tool_run(server, "requests --timeout=5");
    g_assert_cmpint(run.status, ==, 1);
    g_assert_nonnull(strstr(run.output, "/a"));
    g_assert_cmpstr(run.errors, ==,
                    "xen-9pfs: device 3.0 (web:share): no answer within 5.0 s: it is not "
                    "complete\n");
    server_stop(server);
}

/* A line without an end takes no memory without an end. */
static void test_endless_line(void)
{
    enum { SIZE = 8 * 1024 * 1024 };
    g_autofree char *bytes = g_malloc(SIZE);
    Server *server = start();
    g_auto(ToolRun) run = {0};

    memset(bytes, 'x', SIZE);
    memcpy(bytes, "ok\n", 3);
    server_answer_bytes(server, "requests 3.0", bytes, SIZE, SERVER_HANGS);
    run = tool_run(server, "requests");
    g_assert_cmpstr(run.errors, ==,
                    "xen-9pfs: device 3.0 (web:share): the answer has a line that does not end\n");
    g_assert_cmpint(run.status, ==, 1);
    server_stop(server);
}

/* Neither do lines without an end. How many are shown is the time's decision or the limit's. */
static void test_endless_answer(void)
{
    GString *answer = g_string_new("ok\n");
    Server *server = start();
    g_auto(ToolRun) run = {0};

    while (answer->len < 20 * 1024 * 1024)
        g_string_append_printf(answer, REQUEST "%1000d\n", 7);
    server_answer(server, "requests 3.0", answer->str);
    run = tool_run(server, "requests --older-than 1");
    g_assert_cmpint(run.status, ==, 1);
    g_assert_cmpstr(run.output, ==, "No request is in flight for longer than 1 s.\n");
    g_assert_true(g_str_has_suffix(run.errors, "the rest is left out\n") ||
                  g_str_has_suffix(run.errors, "it is not complete\n"));
    g_string_free(answer, TRUE);
    server_stop(server);
}

/* Numbers that are none, or too large, are not known; nothing overflows. */
static void test_numbers(void)
{
    Server *server = start();
    g_auto(ToolRun) text = {0};
    g_auto(ToolRun) json = {0};
    g_autoptr(JsonParser) parser = json_parser_new();

    server_answer(
        server, "stats 3.0",
        "ok\n"
        "record=session\tmsize=18446744073709551615\tfids=18446744073709551616\tmounts=-1\t"
        "open_files=0x10\tin_flight= 5\tuptime_us=18446744073709551615\n"
        "record=buckets\tbounds_us=5,4,3\n"
        "record=operation\tname=Tread\tcount=18446744073709551615\t"
        "total_us=18446744073709551615\tmax_us=18446744073709551615\tbuckets=1,2,x\n"
        "record=operation\tname=Twrite\tcount=1\tbuckets=\n"
        "record=ring\tindex=4294967296\tin_used=18446744073709551615\n"
        "end\n");
    text = tool_run(server, "list 3.0");
    g_assert_cmpint(text.status, ==, 0);
    g_assert_nonnull(strstr(text.output, "   16E       -     -     -     -  "));
    json = tool_run(server, "stats --json 3.0");
    g_assert_cmpint(json.status, ==, 0);
    g_assert_true(json_parser_load_from_data(parser, json.output, -1, NULL));
    g_assert_nonnull(strstr(json.output, "\"msize\" : null"));
    server_stop(server);
}

/* A thousand operations are not shown, and do not take long. */
static void test_many_operations(void)
{
    static const char *const commands[] = {"stats", "top --once --interval=0.1", "metrics"};
    GString *answer =
        g_string_new("ok\nrecord=session\tuptime_us=1\nrecord=buckets\tbounds_us=1,2\n");
    Server *server = start();

    for (int i = 0; i < 100000; i++)
        g_string_append_printf(answer, "record=operation\tname=T%d\tcount=1\tbuckets=1,0\n", i);
    g_string_append(answer, "end\n");
    server_answer(server, "stats 3.0", answer->str);
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_auto(ToolRun) run = tool_run(server, commands[i]);

        g_assert_null(strstr(run.output, "T99999"));
        g_assert_cmpuint(strlen(run.output), <, 1000000);
    }
    g_string_free(answer, TRUE);
    server_stop(server);
}

/* A worker cannot speak for another device, nor choose which one it is. */
static void test_spoofing(void)
{
    Server *server = start();
    g_auto(ToolRun) requests = {0};
    g_auto(ToolRun) list = {0};

    server_answer(server, "requests 3.0",
                  "ok\n" REQUEST "/a\tdevice=9.9\tdomain=other\tmount_tag=other\nend\n");
    server_answer(server, "stats 3.0",
                  "ok\nrecord=session\tdevice=9.9\tdomain=other\tstate=closed\tmsize=1\nend\n");
    requests = tool_run(server, "requests");
    g_assert_nonnull(strstr(requests.output, "\n3.0     web     share"));
    list = tool_run(server, "list 3.0");
    g_assert_nonnull(
        strstr(list.output, "\n3.0     web     share  /srv/share  mapped-xattr  connected  "));
    server_stop(server);
}

/* Bytes of every value, at random but the same each time: the tool ends by itself. */
static void test_noise(void)
{
    enum { ROUNDS = 8, MAX_SIZE = 4000 };
    static const char *const commands[] = {"list",        "stats",          "requests",
                                           "fids",        "metrics",        "trace -n 3",
                                           "list --json", "requests --json"};
    static const char *const requests[] = {"stats 3.0", "requests 3.0", "fids 3.0", "trace 3.0"};
    g_autoptr(GRand) random = g_rand_new_with_seed(9);
    Server *server = start();

    for (int round = 0; round < ROUNDS; round++) {
        GString *answer = g_string_new("ok\n");
        gint32 size = g_rand_int_range(random, 0, MAX_SIZE);

        for (gint32 i = 0; i < size; i++)
            g_string_append_c(answer, g_rand_int_range(random, 0, 8) == 0
                                          ? "\n\t=\\"[g_rand_int_range(random, 0, 4)]
                                          : (char)g_rand_int_range(random, 0, 256));
        g_string_append(answer,
                        "\nrecord=request\trecord=trace\t\\\t=\t==\nrecord=trace\nrecord=\nend\n");
        for (size_t i = 0; i < G_N_ELEMENTS(requests); i++)
            server_answer_bytes(server, requests[i], answer->str, answer->len, SERVER_CLOSES);
        for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
            g_auto(ToolRun) run = tool_run(server, commands[i]);

            g_assert_cmpint(run.status, <=, 1);
            g_assert_true(g_utf8_validate(run.output, -1, NULL));
            g_assert_null(strchr(run.output, '\033'));
        }
        g_string_free(answer, TRUE);
    }
    server_stop(server);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tool-hostile/escapes", test_escapes);
    g_test_add_func("/tool-hostile/ascii", test_ascii);
    g_test_add_func("/tool-hostile/wide", test_wide);
    g_test_add_func("/tool-hostile/json-escapes", test_json_escapes);
    g_test_add_func("/tool-hostile/error-text", test_error_text);
    g_test_add_func("/tool-hostile/cut", test_cut);
    g_test_add_func("/tool-hostile/late", test_late);
    g_test_add_func("/tool-hostile/endless-line", test_endless_line);
    g_test_add_func("/tool-hostile/endless-answer", test_endless_answer);
    g_test_add_func("/tool-hostile/numbers", test_numbers);
    g_test_add_func("/tool-hostile/many-operations", test_many_operations);
    g_test_add_func("/tool-hostile/spoofing", test_spoofing);
    g_test_add_func("/tool-hostile/noise", test_noise);
    return g_test_run();
}
