/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Export keys: the options of an export by name, with their values as text. One table says which
 * there are; the configuration file, the device's nodes in xenstore and `--help` go by it, and a
 * test compares the manual page with it.
 */
#ifndef PROTOCOL_EXPORT_KEYS_H
#define PROTOCOL_EXPORT_KEYS_H

#include <stddef.h>

#include "protocol/export_options.h"

/* How a value is written, and the type of the field that takes it. */
typedef enum ExportKeyKind {
    EXPORT_KEY_SWITCH,    /* bool: on or off */
    EXPORT_KEY_MODE,      /* uint16_t: octal permissions */
    EXPORT_KEY_MULTIDEVS, /* Multidevs: its name */
    EXPORT_KEY_IDS,       /* IdMap: see export_ids_parse() */
    EXPORT_KEY_RATE,      /* ThrottleRate: the rate, as a number with or without K, M, G or T */
    EXPORT_KEY_BURST,     /* ThrottleRate: the burst, likewise; only where there is a rate */
    EXPORT_KEY_NUMBER,    /* uint64_t */
    EXPORT_KEY_NUMBER_32, /* uint32_t */
    EXPORT_KEY_MEBIBYTES, /* uint64_t: in bytes */
    EXPORT_KEY_LIMIT,     /* uint32_t: from `least` to `most` */
    EXPORT_KEY_LIMIT_MEBIBYTES, /* uint64_t: in bytes; likewise */
} ExportKeyKind;

typedef struct ExportKey {
    const char *name;
    ExportKeyKind kind;
    size_t field;           /* its offset in ExportOptions */
    bool zero_says_nothing; /* in xenstore, where libxl writes it for want of anything else */
    const char *help;
    uint32_t least, most; /* of a limit, in its unit */
} ExportKey;

/* All there are. A rate comes before its burst, and whoever sets several keeps to this order. The
 * last has no name. */
extern const ExportKey export_keys[];

/* The key called `name`, or NULL. */
const ExportKey *export_key_find(const char *name);

/* Sets an option. A rate takes the burst away that was there. Returns false, having changed nothing,
 * when that is no value for it: *right then is a new string that says what would be. */
bool export_key_set(const ExportKey *key, const char *text, ExportOptions *options, char **right);

/* The value that an option has, as export_key_set() takes it: setting it, after its rate for a
 * burst, gives the same. The caller frees it. */
char *export_key_format(const ExportKey *key, const ExportOptions *options);

/*
 * Parses a map of user or group ids. It is a list of items with semicolons between them:
 *
 *     0-65535:100000   the guest's ids 0 to 65535 are the host's 100000 to 165535
 *     1000:500         one id
 *     *:65534          every other id of the guest is this one on the host
 *     65534:*          every other id of the host is this one for the guest
 *
 * Ranges must not overlap on either side. Without its item, "other" is 65534. No item at all means
 * that every id is itself. Returns as export_key_set().
 */
bool export_ids_parse(const char *text, IdMap *map, char **right);

/* The map as export_ids_parse() takes it, "" for the one that changes nothing. The caller frees it. */
char *export_ids_format(const IdMap *map);

#endif
