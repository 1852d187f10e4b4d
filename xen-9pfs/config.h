/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Config: the configuration file, xen-9pfs.conf(5), which says how exports are served.
 *
 *     [daemon]            about the daemon itself
 *     [defaults]          what holds for every export
 *     [domain web*]       for the exports of domains with such a name
 *     [tag build-?]       for those that have such a mount tag
 *     [path /srv/?]       for those with such a path
 *
 * Of those about exports a later kind of group takes precedence over an earlier one; of two groups of one kind, the one
 * that comes later in the file. A file is checked as a whole when it is read: what is wrong
 * anywhere in it is an error, whether or not anything would come to it, and applying it cannot fail.
 */
#ifndef XEN_9PFS_CONFIG_H
#define XEN_9PFS_CONFIG_H

#include <glib.h>

#include "protocol/export_keys.h"

typedef struct Config Config;

/* What groups are matched with. NULL is not known, and no group matches it. */
typedef struct ConfigTarget {
    const char *path; /* absolute */
    const char *tag;
    const char *domain;
} ConfigTarget;

/* Reads and checks `file`. One that does not exist is an empty one, unless it is `needed`. Returns
 * NULL with an error whose message names the file, and the line, the group and the key where it is
 * about one, and says what would be right. */
Config *config_read(const char *file, bool needed, GError **error);
void config_free(Config *config);

/* The group whose members may use the control socket; NULL: it says nothing about it. */
const char *config_control_group(const Config *config);

/* How many groups of lines the file has. */
unsigned config_n_groups(const Config *config);

/* Sets the options that the file has for `target`. */
void config_apply(const Config *config, const ConfigTarget *target, ExportOptions *options);

/* A value as it stands in the file; the texts live until `seen` returns. */
typedef struct ConfigItem {
    const char *group; /* without the brackets */
    const ExportKey *key;
    const char *value;
    unsigned line; /* counted from 1 */
} ConfigItem;

typedef void (*ConfigSeen)(const ConfigItem *item, void *data);

/* Calls `seen` for every value that config_apply() sets for `target`, in this order: of several for
 * one key, the last one holds. A target of NULL: for all that stand in the file, whomever they are
 * for, group by group. */
void config_list(const Config *config, const ConfigTarget *target, ConfigSeen seen, void *data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

#endif
