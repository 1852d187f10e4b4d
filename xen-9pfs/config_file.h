/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Config file: the configuration as it is in force.
 *
 * The file is read whenever it comes to anything, so that what it says counts from then on. One that
 * turns out to be bad is an error for whoever needed it. But when an administrator has asked to read
 * it anew and was told that it is bad, what was in force before stays so until the file is changed
 * again.
 *
 * The supervisor's thread only.
 */
#ifndef XEN_9PFS_CONFIG_FILE_H
#define XEN_9PFS_CONFIG_FILE_H

#include "xen-9pfs/config.h"

typedef struct ConfigFile ConfigFile;

/* `name` is borrowed. `needed`: it must exist. */
ConfigFile *config_file_new(const char *name, bool needed);
void config_file_free(ConfigFile *file);

/* What is in force now: valid until the next call of this or the next. NULL with an error as of
 * config_read(). */
const Config *config_file_get(ConfigFile *file, GError **error);

/* Reads it anew. Returns false with an error when it is bad. */
bool config_file_reload(ConfigFile *file, GError **error);

const char *config_file_name(const ConfigFile *file);

#endif
