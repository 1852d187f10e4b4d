/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON: see json.h. */
#include "xen-9pfs/tool/json.h"

#include <stdio.h>
#include <string.h>

/* Appends the bytes that are no character as \xHH. */
static char *make_utf8(const char *text)
{
    GString *out = g_string_new(NULL);
    const char *bad;

    while (!g_utf8_validate(text, -1, &bad)) {
        g_string_append_len(out, text, bad - text);
        g_string_append_printf(out, "\\x%02x", (unsigned char)*bad);
        text = bad + 1;
    }
    g_string_append(out, text);
    return g_string_free(out, FALSE);
}

JsonNode *json_text_node(const char *text)
{
    g_autofree char *utf8 = make_utf8(text);

    return json_node_init_string(json_node_alloc(), utf8);
}

void json_object_set_text(JsonObject *object, const char *name, const char *text)
{
    json_object_set_member(object, name, json_text_node(text));
}

JsonNode *json_array_to_node(JsonArray *array)
{
    JsonNode *node = json_node_init_array(json_node_alloc(), array);

    json_array_unref(array);
    return node;
}

JsonNode *json_object_to_node(JsonObject *object)
{
    JsonNode *node = json_node_init_object(json_node_alloc(), object);

    json_object_unref(object);
    return node;
}

static void append_unicode(GString *out, gunichar c)
{
    if (c < 0x10000) {
        g_string_append_printf(out, "\\u%04x", c);
        return;
    }
    c -= 0x10000;
    g_string_append_printf(out, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
}

/* json-glib leaves what is above ASCII as it is; it stands in strings only. */
static char *escape_unprintable(const char *json)
{
    GString *out = g_string_sized_new(strlen(json));

    for (; *json != '\0'; json = g_utf8_next_char(json)) {
        gunichar c = g_utf8_get_char(json);
        GUnicodeType type = g_unichar_type(c);

        if (c >= 0x7f && (!g_unichar_isprint(c) || type == G_UNICODE_LINE_SEPARATOR ||
                          type == G_UNICODE_PARAGRAPH_SEPARATOR))
            append_unicode(out, c);
        else
            g_string_append_len(out, json, g_utf8_next_char(json) - json);
    }
    return g_string_free(out, FALSE);
}

void json_print(JsonNode *node, bool one_line)
{
    g_autofree char *raw = json_to_string(node, !one_line);
    g_autofree char *text = escape_unprintable(raw);

    puts(text);
    json_node_unref(node);
}
