/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hotplug: the toolstack's part in the life of a 9pfs device, for a guest that runs. The nodes are
 * those of libxl, so that `xl destroy` removes them as if it had written them:
 *
 *     /local/domain/BACKEND/backend/KIND/DOMID/DEVID   the backend's; the guest reads them
 *     /local/domain/DOMID/device/9pfs/DEVID            the guest's own; the backend reads them
 *     /libxl/DOMID/device/9pfs/DEVID                   by this libxl finds the other two, and a copy
 *                                                      of what it told the backend
 *
 * Which device belongs where is taken from the last, or from the folders of this domain's own
 * backends: never from what the guest can write, or it could have other guests' devices removed.
 * Errors are those of store.h.
 */
#ifndef XEN_9PFS_TOOL_HOTPLUG_H
#define XEN_9PFS_TOOL_HOTPLUG_H

#include <xen/io/xenbus.h>

#include "protocol/export_keys.h"
#include "xen-9pfs/tool/store.h"

/* A device's place in xenstore. */
typedef struct Hotplug {
    uint32_t domid;
    uint32_t devid;
    uint32_t backend_domid;
    char *kind; /* "xen_9pfs" or "9pfs" */
    char *backend;
    char *frontend;
    char *libxl;
} Hotplug;

/* What is to be attached. The texts are the caller's. */
typedef struct HotplugRequest {
    uint32_t domid;
    uint32_t backend_domid;
    const char *kind;
    const char *path;
    const char *security_model;
    const char *tag;
    const char *const *values; /* of export_keys, in their order; NULL: not given */
    bool has_devid;
    uint32_t devid;
} HotplugRequest;

/* How the device is: both states (Unknown: none) and the backend's complaint, or NULL. */
typedef struct HotplugView {
    enum xenbus_state backend;
    enum xenbus_state frontend;
    char *error;
} HotplugView;

/* Parses the value of the option `name`, --wait; NULL stands for `seconds_else`. */
bool hotplug_parse_wait(const char *name, const char *value, int seconds_else, int *seconds,
                        GError **error);

/* Writes the device's nodes in one transaction, in state Initialising, and fills in `hotplug`.
 * Without a devid in the request it takes the lowest that is free. Nothing has been written when
 * the tag or the devid turns out to be used. */
bool hotplug_add(Store *store, const HotplugRequest *request, Hotplug *hotplug, GError **error);

/* Finds a device of the domain by its mount tag, or else by its devid. */
bool hotplug_find(Store *store, uint32_t domid, const char *text, Hotplug *hotplug, GError **error);

void hotplug_deinit(Hotplug *hotplug);

/* Looks at the device; ends with hotplug_view_deinit(). */
void hotplug_look(Store *store, const Hotplug *hotplug, HotplugView *view);
void hotplug_view_deinit(HotplugView *view);

/* The name of a state, such as "Connected"; "gone" for Unknown. */
const char *hotplug_state_name(enum xenbus_state state);

/* The device's tag as its frontend has it, NULL when there is none. The caller frees it. */
char *hotplug_read_tag(Store *store, const Hotplug *hotplug);

/* Wait for the backend to be Connected, or to have given up; or, with `offered`, to be as far as
 * InitWait. */
bool hotplug_wait_connected(Store *store, const Hotplug *hotplug, bool offered, unsigned seconds);

/* Asks the backend to close: online = 0, state = Closing. One that has closed already is left as it
 * is, and so is one that is not there any more. */
bool hotplug_ask_close(Store *store, const Hotplug *hotplug, GError **error);

/* Waits until the backend has closed or is gone. */
bool hotplug_wait_closed(Store *store, const Hotplug *hotplug, unsigned seconds);

/* Removes all nodes of the device, and folders above them that are left empty. */
bool hotplug_remove(Store *store, const Hotplug *hotplug, GError **error);

#endif
