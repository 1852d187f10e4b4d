/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: the xenbus life of one device, from the toolstack's first node to the last.
 *
 * Whatever happens, a watch, a timer, a word of the worker or its end, only marks the device.
 * device_advance() then looks at how things are now and takes the steps that follow from that,
 * so it makes no difference how many events came, in which order, or whether they meant anything.
 * A failure ends in this device's Closing and Closed and touches no other.
 *
 * The supervisor's thread only.
 */
#ifndef XEN_9PFS_DEVICE_H
#define XEN_9PFS_DEVICE_H

#include <stdbool.h>

#include "xen-9pfs/config_file.h"
#include "xen-9pfs/nodes.h"
#include "xen-9pfs/process.h"

typedef struct Device Device;

/* What all devices of one supervisor share; it outlives them. */
typedef struct DeviceHost {
    ProcessHost process;
    Xenstore *store;
    ConfigFile *config;
    void (*wake)(void *data); /* some device has been marked */
    void *data;
} DeviceHost;

/* A new device is marked; it need not exist in xenstore. */
Device *device_new(const DeviceHost *host, const DeviceKey *key);

/* Forgets the device. A worker that lives goes on living, see process_free(). */
void device_free(Device *device);

/* Takes over the worker that an earlier supervisor left behind for this device, if it lives;
 * only for a device that has never been advanced. Returns false when there is none. */
bool device_adopt_worker(Device *device);

/* Says that something about the device may have changed. */
void device_mark(Device *device);
bool device_is_marked(const Device *device);

/* A worker serves it. */
bool device_is_connected(const Device *device);

/* Tells, once and for all, that the frontend's domain is dying or gone. */
void device_set_domain_dead(Device *device);

/* Clears the mark and brings the device up to date. Returns false when nothing of it is left and
 * it may be freed. */
bool device_advance(Device *device);

/* "KIND/DOMID/DEVID": also the token of the device's watch. */
const char *device_name(const Device *device);
uint32_t device_domid(const Device *device);
const DeviceKey *device_key(const Device *device);

/* Whether it was in xenstore at the last look. */
bool device_exists(const Device *device);

/* Appends the device's record, docs/control-protocol.md. `with_kind`: its name has its kind, since
 * there is another one with these numbers. */
void device_report(const Device *device, bool with_kind, GString *out);

/* Has the worker answer a client, see process_pass_client(). */
int device_pass_client(const Device *device, int client, const char *request);

#endif
