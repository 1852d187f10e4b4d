/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Table: see table.h. */
#include "xen-9pfs/tool/table.h"

#include <stdlib.h>
#include <string.h>

#include "xen-9pfs/tool/json.h"

#define GAP "  "

static char *describe_number(const Column *column, uint64_t value)
{
    switch (column->kind) {
    case COLUMN_BYTES:
        return text_size(value);
    case COLUMN_DURATION:
        return text_duration(value);
    case COLUMN_TIME:
        return text_time(value);
    case COLUMN_FLAG:
        return value != 0 ? g_ascii_strdown(column->title, -1) : g_strdup("-");
    default:
        return g_strdup_printf("%" G_GUINT64_FORMAT, value);
    }
}

static char *describe_rate(const char *value)
{
    double rate = g_ascii_strtod(value, NULL);

    return g_strdup_printf(rate < 9.995 && rate > 0 ? "%.2f" : "%.0f", rate);
}

char *column_text(const Column *column, const Record *record)
{
    const char *value = record_get(record, column->field);
    uint64_t number;

    if (value == NULL || value[0] == '\0')
        return g_strdup("-");
    if (column->kind == COLUMN_TEXT)
        return text_escape(value);
    if (column->kind == COLUMN_WORDS)
        return text_escape_words(value);
    if (column->kind == COLUMN_RATE)
        return describe_rate(value);
    return text_parse_number(value, &number) ? describe_number(column, number) : g_strdup("-");
}

static bool is_in_text(const Column *column)
{
    return column->use != COLUMN_JSON_ONLY;
}

static bool is_text(const Column *column)
{
    return column->kind == COLUMN_TEXT || column->kind == COLUMN_WORDS;
}

static bool is_aligned_right(const Column *column)
{
    return !is_text(column) && column->kind != COLUMN_TIME && column->kind != COLUMN_FLAG;
}

static void append_blanks(GString *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g_string_append_c(out, ' ');
}

static void append_cell(GString *line, const Column *column, const char *text, size_t width)
{
    size_t blanks = width - text_width(text);

    if (is_aligned_right(column))
        append_blanks(line, blanks);
    g_string_append(line, text);
    if (!is_aligned_right(column))
        append_blanks(line, blanks);
}

/* One line of cells: those of a record, or the headings when it is NULL. */
static char *make_line(const Column *columns, const size_t *widths, char *const *cells)
{
    GString *line = g_string_new(NULL);
    bool first = true;

    for (size_t i = 0; columns[i].field != NULL; i++) {
        if (!is_in_text(&columns[i]))
            continue;
        if (!first)
            g_string_append(line, GAP);
        append_cell(line, &columns[i], cells[i], widths[i]);
        first = false;
    }
    return g_strchomp(g_string_free(line, FALSE));
}

static void append_line(GString *out, bool colours, TextStyle style, const Column *columns,
                        const size_t *widths, char *const *cells)
{
    g_autofree char *line = make_line(columns, widths, cells);

    text_append_styled(out, colours, style, line);
    g_string_append_c(out, '\n');
}

static GStrv make_headings(const Column *columns)
{
    GPtrArray *cells = g_ptr_array_new();

    for (size_t i = 0; columns[i].field != NULL; i++)
        g_ptr_array_add(cells, g_strdup(columns[i].title));
    g_ptr_array_add(cells, NULL);
    return (GStrv)g_ptr_array_free(cells, FALSE);
}

static GStrv make_cells(const Column *columns, const Record *record)
{
    GPtrArray *cells = g_ptr_array_new();

    for (size_t i = 0; columns[i].field != NULL; i++)
        g_ptr_array_add(cells, column_text(&columns[i], record));
    g_ptr_array_add(cells, NULL);
    return (GStrv)g_ptr_array_free(cells, FALSE);
}

static TextStyle style_of(const Record *record)
{
    return (TextStyle)MIN(record_get_number(record, "style"), TEXT_ALERT);
}

static void widen(size_t *widths, char *const *cells)
{
    for (size_t i = 0; cells[i] != NULL; i++)
        widths[i] = MAX(widths[i], text_width(cells[i]));
}

void table_append(GString *out, bool colours, const Column *columns, const GPtrArray *records)
{
    g_auto(GStrv) headings = make_headings(columns);
    g_autofree size_t *widths = g_new0(size_t, g_strv_length(headings) + 1);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);

    widen(widths, headings);
    for (guint i = 0; i < records->len; i++) {
        GStrv cells = make_cells(columns, g_ptr_array_index(records, i));

        widen(widths, cells);
        g_ptr_array_add(lines, cells);
    }
    append_line(out, colours, TEXT_HEAD, columns, widths, headings);
    for (guint i = 0; i < lines->len; i++)
        append_line(out, colours, style_of(g_ptr_array_index(records, i)), columns, widths,
                    g_ptr_array_index(lines, i));
}

void table_print(const Column *columns, const GPtrArray *records)
{
    GString *out = g_string_new(NULL);

    table_append(out, text_has_colours(stdout), columns, records);
    fputs(out->str, stdout);
    g_string_free(out, TRUE);
}

/* NULL when the value makes no sense. */
static JsonNode *number_to_json(const Column *column, const char *value)
{
    uint64_t number;

    if (column->kind == COLUMN_RATE)
        return json_node_init_double(json_node_alloc(), g_ascii_strtod(value, NULL));
    if (!text_parse_number(value, &number) || number > G_MAXINT64)
        return NULL;
    if (column->kind == COLUMN_FLAG)
        return json_node_init_boolean(json_node_alloc(), number != 0);
    return json_node_init_int(json_node_alloc(), (gint64)number);
}

static JsonNode *value_to_json(const Column *column, const char *value)
{
    if (value == NULL)
        return NULL;
    return is_text(column) ? json_text_node(value) : number_to_json(column, value);
}

JsonObject *table_record_to_json(const Column *columns, const Record *record)
{
    JsonObject *object = json_object_new();

    for (const Column *column = columns; column->field != NULL; column++) {
        JsonNode *node;

        if (column->use == COLUMN_TEXT_ONLY)
            continue;
        node = value_to_json(column, record_get(record, column->field));
        json_object_set_member(object, column->field,
                               node != NULL ? node : json_node_init_null(json_node_alloc()));
    }
    return object;
}

JsonNode *table_to_json(const Column *columns, const GPtrArray *records)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < records->len; i++)
        json_array_add_object_element(array,
                                      table_record_to_json(columns, g_ptr_array_index(records, i)));
    return json_array_to_node(array);
}
