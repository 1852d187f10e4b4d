/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records: escapes there and back, fields, requests. */
#include "common/record.h"

#include <string.h>

static void expect_escaped(const char *bytes, size_t size, const char *expected)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GString) back = g_string_new(NULL);

    record_escape(out, bytes, size);
    g_assert_cmpstr(out->str, ==, expected);
    if (memchr(bytes, '\0', size))
        return;
    g_assert_true(record_unescape(back, out->str, out->len));
    g_assert_cmpuint(back->len, ==, size);
    g_assert_true(memcmp(back->str, bytes, size) == 0);
}

static void test_escapes(void)
{
    static const struct {
        const char *bytes;
        const char *expected;
    } cases[] = {
        {"", ""},
        {"plain text = \"1\"", "plain text = \"1\""},
        {"\\", "\\\\"},
        {"\t\n\r", "\\t\\n\\x0d"},
        {"\x1b[2J\x7f", "\\x1b[2J\\x7f"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7"},
        {"\xc3", "\\xc3"},                            /* cut */
        {"\xc3(", "\\xc3("},                          /* broken */
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* longer than it has to be */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* half of a pair of UTF-16 */
        {"\xc2\x85", "\\xc2\\x85"},                   /* a control character */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},          /* turns the direction round */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        expect_escaped(cases[i].bytes, strlen(cases[i].bytes), cases[i].expected);
    expect_escaped("a\0b", 3, "a\\x00b");
}

/* Whatever the bytes are, what comes out is a single field. */
static void test_all_bytes(void)
{
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            const char bytes[] = {(char)first, (char)second};
            g_autoptr(GString) out = g_string_new(NULL);

            record_escape(out, bytes, sizeof(bytes));
            g_assert_true(g_utf8_validate(out->str, (gssize)out->len, NULL));
            g_assert_null(strpbrk(out->str, "\t\n"));
        }
    }
}

static void test_bad_escapes(void)
{
    static const char *const cases[] = {"\\",   "a\\",   "\\q",   "\\x",
                                        "\\x1", "\\x1g", "\\x00", "\\X41"};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) out = g_string_new(NULL);

        g_assert_false(record_unescape(out, cases[i], strlen(cases[i])));
    }
}

static void test_fields(void)
{
    g_autoptr(GString) out = g_string_new(NULL);

    record_begin(out, "thing");
    record_text(out, "name", "a\tb");
    record_text(out, "missing", NULL);
    record_text(out, "empty", "");
    record_number(out, "number", UINT64_MAX);
    record_bool(out, "yes", true);
    record_format(out, "both", "%d\n", 1);
    record_end(out);
    g_assert_cmpstr(out->str, ==,
                    "record=thing\tname=a\\tb\tempty=\tnumber=18446744073709551615\tyes=1\t"
                    "both=1\\n\n");
    g_string_truncate(out, 0);
    record_error(out, "two\nlines");
    g_assert_cmpstr(out->str, ==, "error two\\nlines\n");
}

static void test_requests(void)
{
    g_auto(GStrv) words = record_split_request("trace 1.0 path=/a\\x20b\\\\ errors=1");

    g_assert_nonnull(words);
    g_assert_cmpuint(g_strv_length(words), ==, 4);
    g_assert_cmpstr(words[2], ==, "path=/a b\\");
    g_assert_null(record_split_request(""));
    g_assert_null(record_split_request(" a"));
    g_assert_null(record_split_request("a "));
    g_assert_null(record_split_request("a  b"));
    g_assert_null(record_split_request("a \\"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/record/escapes", test_escapes);
    g_test_add_func("/record/all-bytes", test_all_bytes);
    g_test_add_func("/record/bad-escapes", test_bad_escapes);
    g_test_add_func("/record/fields", test_fields);
    g_test_add_func("/record/requests", test_requests);
    return g_test_run();
}
