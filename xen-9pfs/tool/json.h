/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON: what --json prints, made with json-glib.
 *
 * Strings are UTF-8; what is not, as names of files may be, has its bytes as \xHH. Nothing that a
 * terminal would act on stands in the output as it is.
 */
#ifndef XEN_9PFS_TOOL_JSON_H
#define XEN_9PFS_TOOL_JSON_H

#include <json-glib/json-glib.h>
#include <stdbool.h>

/* A string made of any bytes. */
JsonNode *json_text_node(const char *text);
void json_object_set_text(JsonObject *object, const char *name, const char *text);

/* Nodes that own what they hold. */
JsonNode *json_array_to_node(JsonArray *array);
JsonNode *json_object_to_node(JsonObject *object);

/* Prints the node to standard output, in one line or in many, with an end of line, and frees it. */
void json_print(JsonNode *node, bool one_line);

#endif
