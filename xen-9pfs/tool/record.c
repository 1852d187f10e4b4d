/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Record: see record.h. */
#include "xen-9pfs/tool/record.h"

#include <string.h>

#include "xen-9pfs/tool/text.h"

struct Record {
    char *kind;
    GHashTable *fields; /* name -> value, both owned */
};

static const char kind_prefix[] = "record=";

Record *record_new(const char *kind)
{
    Record *record = g_new0(Record, 1);

    record->kind = g_strdup(kind);
    record->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return record;
}

void record_free(Record *record)
{
    if (record == NULL)
        return;
    g_hash_table_unref(record->fields);
    g_free(record->kind);
    g_free(record);
}

/* The byte that "\xHH" at `text` stands for; -1 when it is none, or NUL. */
static int parse_hex(const char *text)
{
    int high;
    int low;

    if (text[0] != '\\' || text[1] != 'x')
        return -1;
    high = g_ascii_xdigit_value(text[2]);
    low = high < 0 ? -1 : g_ascii_xdigit_value(text[3]);
    if (low < 0 || (high == 0 && low == 0))
        return -1;
    return high * 16 + low;
}

/* What a backslash and a letter at `text` stand for; NUL when there is no such pair. */
static char parse_letter(const char *text)
{
    if (text[0] != '\\')
        return '\0';
    switch (text[1]) {
    case '\\':
        return '\\';
    case 't':
        return '\t';
    case 'n':
        return '\n';
    default:
        return '\0';
    }
}

char *record_parse_value(const char *text)
{
    GString *out = g_string_sized_new(strlen(text));

    while (*text != '\0') {
        char letter = parse_letter(text);
        int hex = parse_hex(text);

        if (letter != '\0')
            g_string_append_c(out, letter);
        else
            g_string_append_c(out, hex >= 0 ? (char)hex : *text);
        text += letter != '\0' ? 2 : hex >= 0 ? 4 : 1;
    }
    return g_string_free(out, FALSE);
}

/* Takes a field of a line; what is no field is left out. */
static void parse_field(Record *record, const char *field)
{
    const char *equals = strchr(field, '=');

    if (equals == NULL || equals == field)
        return;
    g_hash_table_replace(record->fields, g_strndup(field, (size_t)(equals - field)),
                         record_parse_value(equals + 1));
}

Record *record_parse(const char *line)
{
    g_auto(GStrv) fields = NULL;
    Record *record;

    if (!g_str_has_prefix(line, kind_prefix))
        return NULL;
    fields = g_strsplit(line, "\t", -1);
    record = record_new(fields[0] + sizeof(kind_prefix) - 1);
    for (size_t i = 1; fields[i] != NULL; i++)
        parse_field(record, fields[i]);
    return record;
}

bool record_is(const Record *record, const char *kind)
{
    return strcmp(record->kind, kind) == 0;
}

const char *record_get(const Record *record, const char *name)
{
    return g_hash_table_lookup(record->fields, name);
}

const char *record_get_text(const Record *record, const char *name)
{
    const char *value = record_get(record, name);

    return value != NULL ? value : "";
}

uint64_t record_get_number(const Record *record, const char *name)
{
    uint64_t value = 0;

    text_parse_number(record_get(record, name), &value);
    return value;
}

void record_set(Record *record, const char *name, const char *value)
{
    if (value != NULL)
        g_hash_table_replace(record->fields, g_strdup(name), g_strdup(value));
    else
        g_hash_table_remove(record->fields, name);
}

void record_set_number(Record *record, const char *name, uint64_t value)
{
    g_hash_table_replace(record->fields, g_strdup(name),
                         g_strdup_printf("%" G_GUINT64_FORMAT, value));
}

void record_merge(Record *record, const Record *from)
{
    GHashTableIter iter;
    gpointer name;
    gpointer value;

    g_hash_table_iter_init(&iter, from->fields);
    while (g_hash_table_iter_next(&iter, &name, &value))
        record_set(record, name, value);
}

/* Appends a character of `size` bytes. A blank would end the word. */
static void escape_character(GString *out, const char *text, size_t size)
{
    gunichar c = size > 1 ? g_utf8_get_char(text) : (gunichar)(unsigned char)*text;

    if (c == '\\')
        g_string_append(out, "\\\\");
    else if (c == '\t')
        g_string_append(out, "\\t");
    else if (c == '\n')
        g_string_append(out, "\\n");
    else if (size > 1 || (c > ' ' && c < 0x7f))
        g_string_append_len(out, text, (gssize)size);
    else
        g_string_append_printf(out, "\\x%02x", (unsigned)c);
}

void record_escape_word(GString *out, const char *word)
{
    while (*word != '\0') {
        gunichar c = g_utf8_get_char_validated(word, -1);
        size_t size = 1;

        if (c != (gunichar)-1 && c != (gunichar)-2)
            size = (size_t)(g_utf8_next_char(word) - word);
        escape_character(out, word, size);
        word += size;
    }
}
