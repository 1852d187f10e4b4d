/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices: which ones there are, which of them the command line means, and what their workers say.
 */
#ifndef XEN_9PFS_TOOL_DEVICES_H
#define XEN_9PFS_TOOL_DEVICES_H

#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/table.h"

/* The devices that `arguments` name, NULL-terminated: DOMID.DEVID, or DOMAIN or DOMAIN:TAG with a
 * domain's name or id. All when there are none. Returns their records as the supervisor gives them,
 * or NULL after an error that was told. The caller unrefs the array. */
GPtrArray *devices_select(const Tool *tool, char **arguments);

/* The same, without telling of an error: the caller frees `*error`. */
GPtrArray *devices_find(const Tool *tool, char **arguments, char **error);

/* True when the device has a worker, which can be asked. */
bool device_is_served(const Record *device);

/* Asks the workers of `devices` the same, each within the tool's timeout. Returns their queries in the
 * same order, whatever has come of them; a device without a worker has a complete answer without
 * records. The context of each is its device, which must live as long. The caller unrefs the
 * array. */
GPtrArray *devices_ask(const Tool *tool, const GPtrArray *devices, const char *command);

/* "3.0 web:share": how messages name a device. The caller frees it. */
char *device_describe(const Record *device);

/* Tells of the answers that are not complete. Returns TOOL_FAILED if there is one, or TOOL_OK. */
int devices_report(const GPtrArray *queries);

/* The records of a kind from all answers, each with the fields that device_label() sets. The caller
 * unrefs the array. */
GPtrArray *devices_collect(const GPtrArray *queries, const char *kind);

/* Keeps the records of an array for which `keep` is true and frees the others. */
void devices_filter(GPtrArray *records, bool (*keep)(const Record *record));

/* Sets the fields device, domain, domid and mount_tag, the last because requests have tags too. */
void device_label(Record *record, const Record *device);

#endif
