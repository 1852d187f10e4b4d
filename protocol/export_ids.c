/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Export ids: the maps of user and group ids as text; see export_keys.h. */
#include <glib.h>
#include <string.h>

#include "protocol/export_keys.h"
#include "protocol/id_map.h"

enum { NOBODY = 65534 };

#define MAX_ID (UINT32_MAX - 1) /* the last number is no id: system calls take it for "none" */

/* Takes an id from the front of *text. */
static bool take_id(const char **text, uint32_t *id)
{
    char *end;
    guint64 value;

    if (!g_ascii_isdigit(**text))
        return false;
    value = g_ascii_strtoull(*text, &end, 10);
    if (value > MAX_ID)
        return false;
    *id = (uint32_t)value;
    *text = end;
    return true;
}

static bool take_char(const char **text, char c)
{
    if (**text != c)
        return false;
    ++*text;
    return true;
}

/* "FIRST[-LAST]:HOST" */
static bool parse_range(const char *text, IdRange *range)
{
    uint32_t last;

    if (!take_id(&text, &range->guest))
        return false;
    last = range->guest;
    if (take_char(&text, '-') && !take_id(&text, &last))
        return false;
    if (!take_char(&text, ':') || !take_id(&text, &range->host) || *text || last < range->guest)
        return false;
    range->count = last - range->guest + 1;
    return range->host <= MAX_ID - (range->count - 1);
}

/* "*:HOST" or "GUEST:*". Each may be there once; `given` says which were. */
static bool parse_other(const char *text, IdMap *map, bool given[2])
{
    bool of_guest = *text == '*';
    uint32_t *id = of_guest ? &map->other_host : &map->other_guest;

    if (given[of_guest])
        return false;
    given[of_guest] = true;
    if (of_guest)
        return ++text, take_char(&text, ':') && take_id(&text, id) && !*text;
    return take_id(&text, id) && strcmp(text, ":*") == 0;
}

static bool add_range(IdMap *map, const char *item, char **right)
{
    uint32_t number = map->n_ranges;

    if (number == EXPORT_MAX_ID_RANGES) {
        *right = g_strdup_printf("give at most %d ranges", EXPORT_MAX_ID_RANGES);
        return false;
    }
    if (!parse_range(item, &map->ranges[number]))
        return false;
    map->n_ranges++;
    if (id_map_validate(map) == (int)number)
        *right = g_strdup("give ranges that overlap neither in the guest nor here");
    return !*right;
}

bool export_ids_parse(const char *text, IdMap *map, char **right)
{
    IdMap new = {.other_host = NOBODY, .other_guest = NOBODY};
    g_auto(GStrv) items = g_strsplit(text, ";", -1);
    bool given[2] = {false, false};
    bool good = true;

    *right = NULL;
    for (char **item = items; good && *item; item++) {
        if (*g_strstrip(*item) == '\0')
            continue;
        good = strchr(*item, '*') ? parse_other(*item, &new, given) : add_range(&new, *item, right);
    }
    if (good && new.n_ranges == 0 && (given[0] || given[1])) {
        *right = g_strdup("give a range, too: without any every id is itself");
        good = false;
    }
    if (good && id_map_validate(&new) >= 0) {
        *right = g_strdup("give the guest's other ids one here that is not root's");
        good = false;
    }
    if (!good && !*right)
        *right = g_strdup("give a list such as 0-65535:100000;*:65534, guest first");
    if (good)
        *map = new.n_ranges > 0 ? new : (IdMap){0};
    return good;
}

static void format_range(GString *text, const IdRange *range)
{
    g_string_append_printf(text, "%u", range->guest);
    if (range->count > 1)
        g_string_append_printf(text, "-%u", range->guest + (range->count - 1));
    g_string_append_printf(text, ":%u;", range->host);
}

char *export_ids_format(const IdMap *map)
{
    GString *text = g_string_new(NULL);

    for (uint32_t i = 0; i < map->n_ranges; i++)
        format_range(text, &map->ranges[i]);
    if (map->n_ranges > 0)
        g_string_append_printf(text, "*:%u;%u:*", map->other_host, map->other_guest);
    return g_string_free(text, FALSE);
}
