/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Id map: which users and groups of this host those of the guest are.
 *
 * The number of all ones is no id: it says "none" or "as it is" in messages and to the system alike,
 * and stays what it is.
 */
#ifndef PROTOCOL_ID_MAP_H
#define PROTOCOL_ID_MAP_H

#include "protocol/export_options.h"

#define ID_NONE UINT32_MAX

/* Returns -1 when the map can be used, or the number of the first range that is wrong: it is empty,
 * reaches beyond the last id, or has an id of the guest or of the host in common with one before it.
 * map->n_ranges stands for the other ids, when one of them is none or other_host is root, which
 * nobody means; and EXPORT_MAX_ID_RANGES for too many ranges. */
int id_map_validate(const IdMap *map);

/* As id_map_to_host() and id_map_to_guest(), for a map that has ranges. */
uint32_t id_map_find_host(const IdMap *map, uint32_t guest);
uint32_t id_map_find_guest(const IdMap *map, uint32_t host);

/* What the guest's id `guest` is on the host. */
static inline uint32_t id_map_to_host(const IdMap *map, uint32_t guest)
{
    return map->n_ranges == 0 ? guest : id_map_find_host(map, guest);
}

/* What the host's id `host` is for the guest. */
static inline uint32_t id_map_to_guest(const IdMap *map, uint32_t host)
{
    return map->n_ranges == 0 ? host : id_map_find_guest(map, host);
}

/* Whether some id of the guest is `host` on the host. */
bool id_map_owns(const IdMap *map, uint32_t host);

#endif
