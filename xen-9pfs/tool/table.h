/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Table: records as aligned columns for people, or as JSON objects for programs.
 *
 * A Column says once which field of a record it shows, under which heading, and what kind of value
 * that is; the text, its alignment and the JSON type follow from it.
 */
#ifndef XEN_9PFS_TOOL_TABLE_H
#define XEN_9PFS_TOOL_TABLE_H

#include <json-glib/json-glib.h>

#include "xen-9pfs/tool/record.h"
#include "xen-9pfs/tool/text.h"
#include "xen-9pfs/tool/tool.h"

typedef enum ColumnKind {
    COLUMN_TEXT,     /* a name; JSON: a string */
    COLUMN_WORDS,    /* the same for what a program has written, see text_escape_words() */
    COLUMN_NUMBER,   /* all others are numbers in JSON, whole ones ... */
    COLUMN_BYTES,    /* text: 12M */
    COLUMN_DURATION, /* microseconds; text: 1.25ms */
    COLUMN_TIME,     /* seconds of the epoch; text: date and time */
    COLUMN_RATE,     /* ... but for this: something per second, with decimals */
    COLUMN_FLAG,     /* 0 or 1; text: "-" or the heading in lower case; JSON: false or true */
} ColumnKind;

/* Where a column is shown; everywhere unless said otherwise. */
typedef enum ColumnUse {
    COLUMN_EVERYWHERE,
    COLUMN_TEXT_ONLY,
    COLUMN_JSON_ONLY,
} ColumnUse;

typedef struct Column {
    const char
        *field; /* of the record, and name of the member in JSON; NULL ends a table of them */
    const char *title;
    ColumnKind kind;
    ColumnUse use;
} Column;

/* What the text of a record's field is in a column: escaped, "-" when there is none or it makes no
 * sense. The caller frees it. */
char *column_text(const Column *column, const Record *record);

/* Appends a heading, and a line for each of the records (Record), whose field "style", if there is
 * one, is the TextStyle of the line. Trailing blanks are left out. */
void table_append(GString *out, bool colours, const Column *columns, const GPtrArray *records);

/* Prints that to standard output. */
void table_print(const Column *columns, const GPtrArray *records);

/* The records as a JSON array of objects, or one as an object. Fields that a record lacks, or that
 * make no sense, are null. */
JsonNode *table_to_json(const Column *columns, const GPtrArray *records);
JsonObject *table_record_to_json(const Column *columns, const Record *record);

#endif
