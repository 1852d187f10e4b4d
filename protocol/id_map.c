/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Id map: see id_map.h. */
#include "protocol/id_map.h"

#include <glib.h>

/* Whether the `count` ids from `first` on are ids at all. */
static bool fits(uint32_t first, uint32_t count)
{
    return count > 0 && count <= ID_NONE - first;
}

/* Whether two rows of ids, each of which fits, have one in common. */
static bool overlap(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
    return a < b ? b - a < a_count : a - b < b_count;
}

static bool is_good_range(const IdMap *map, unsigned i)
{
    const IdRange *new = &map->ranges[i];

    if (!fits(new->guest, new->count) || !fits(new->host, new->count))
        return false;
    for (unsigned n = 0; n < i; n++) {
        const IdRange *old = &map->ranges[n];
        if (overlap(old->guest, old->count, new->guest, new->count) ||
            overlap(old->host, old->count, new->host, new->count))
            return false;
    }
    return true;
}

int id_map_validate(const IdMap *map)
{
    if (map->n_ranges > EXPORT_MAX_ID_RANGES)
        return EXPORT_MAX_ID_RANGES;
    for (unsigned i = 0; i < map->n_ranges; i++) {
        if (!is_good_range(map, i))
            return (int)i;
    }
    if (map->n_ranges > 0 &&
        (map->other_host == 0 || map->other_host == ID_NONE || map->other_guest == ID_NONE))
        return (int)map->n_ranges;
    return -1;
}

uint32_t id_map_find_host(const IdMap *map, uint32_t guest)
{
    if (guest == ID_NONE)
        return ID_NONE;
    for (unsigned i = 0; i < map->n_ranges; i++) {
        const IdRange *range = &map->ranges[i];
        if (guest >= range->guest && guest - range->guest < range->count)
            return range->host + (guest - range->guest);
    }
    return map->other_host;
}

/* Finds what the host's id is in a range. */
static bool find_guest(const IdMap *map, uint32_t host, uint32_t *guest)
{
    for (unsigned i = 0; i < map->n_ranges; i++) {
        const IdRange *range = &map->ranges[i];
        if (host >= range->host && host - range->host < range->count) {
            *guest = range->guest + (host - range->host);
            return true;
        }
    }
    return false;
}

uint32_t id_map_find_guest(const IdMap *map, uint32_t host)
{
    uint32_t guest;

    if (host == ID_NONE)
        return ID_NONE;
    return find_guest(map, host, &guest) ? guest : map->other_guest;
}

bool id_map_owns(const IdMap *map, uint32_t host)
{
    uint32_t guest;

    return map->n_ranges == 0 || host == map->other_host || find_guest(map, host, &guest);
}
