/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Record: see record.h. */
#include "common/record.h"

#include <stdarg.h>
#include <string.h>

void record_begin(GString *out, const char *kind)
{
    g_string_append_printf(out, "record=%s", kind);
}

void record_end(GString *out)
{
    g_string_append_c(out, '\n');
}

/* The length of the printable character at `at`, or 0 when there is none. */
static size_t printable_size(const char *at, size_t left)
{
    gunichar c = g_utf8_get_char_validated(at, (gssize)left);

    if (c >= (gunichar)-2 || !g_unichar_isprint(c))
        return 0;
    return (size_t)g_unichar_to_utf8(c, NULL);
}

static void escape_byte(GString *out, char byte)
{
    switch (byte) {
    case '\\':
        g_string_append(out, "\\\\");
        break;
    case '\t':
        g_string_append(out, "\\t");
        break;
    case '\n':
        g_string_append(out, "\\n");
        break;
    default:
        g_string_append_printf(out, "\\x%02x", (unsigned char)byte);
        break;
    }
}

void record_escape(GString *out, const void *bytes, size_t size)
{
    const char *at = bytes;
    const char *end = at + size;

    while (at < end) {
        size_t length = *at == '\\' ? 0 : printable_size(at, (size_t)(end - at));

        if (length > 0)
            g_string_append_len(out, at, (gssize)length);
        else
            escape_byte(out, *at);
        at += MAX(length, 1);
    }
}

void record_bytes(GString *out, const char *name, const void *value, size_t size)
{
    g_string_append_printf(out, "\t%s=", name);
    record_escape(out, value, size);
}

void record_text(GString *out, const char *name, const char *value)
{
    if (value)
        record_bytes(out, name, value, strlen(value));
}

void record_number(GString *out, const char *name, uint64_t value)
{
    g_string_append_printf(out, "\t%s=%" G_GUINT64_FORMAT, name, value);
}

void record_bool(GString *out, const char *name, bool value)
{
    record_number(out, name, value);
}

void record_format(GString *out, const char *name, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    record_text(out, name, text);
}

void record_error(GString *out, const char *text)
{
    g_string_append(out, "error ");
    record_escape(out, text, strlen(text));
    g_string_append_c(out, '\n');
}

/* The byte that the escape behind a backslash stands for. Returns its length, or 0 for none. */
static size_t unescape_one(const char *at, size_t left, char *byte)
{
    if (left >= 3 && at[0] == 'x' && g_ascii_isxdigit(at[1]) && g_ascii_isxdigit(at[2])) {
        *byte = (char)(g_ascii_xdigit_value(at[1]) << 4 | g_ascii_xdigit_value(at[2]));
        return *byte ? 3 : 0;
    }
    if (left == 0 || !strchr("\\tn", at[0]) || at[0] == '\0')
        return 0;
    *byte = (char)(at[0] == 't' ? '\t' : at[0] == 'n' ? '\n' : '\\');
    return 1;
}

bool record_unescape(GString *out, const char *text, size_t size)
{
    const char *end = text + size;

    while (text < end) {
        char byte = *text++;

        if (byte == '\\') {
            size_t length = unescape_one(text, (size_t)(end - text), &byte);

            if (length == 0)
                return false;
            text += length;
        }
        if (byte == '\0')
            return false;
        g_string_append_c(out, byte);
    }
    return true;
}

/* A new string, or NULL. */
static char *unescape_word(const char *word)
{
    GString *out = g_string_new(NULL);
    bool good = *word != '\0' && record_unescape(out, word, strlen(word));

    return g_string_free(out, !good);
}

char **record_split_request(const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);

    for (char **word = words; *word; word++) {
        char *plain = unescape_word(*word);

        if (!plain)
            return NULL;
        g_free(*word);
        *word = plain;
    }
    return *words ? g_steal_pointer(&words) : NULL;
}
