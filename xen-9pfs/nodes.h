/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes: everything one device has in xenstore, read, checked and written.
 *
 *     backend/KIND/DOMID/DEVID         ours and the toolstack's: the configuration, the state
 *     /local/domain/DOMID/device/...   the frontend's folder: hostile, may change at any time
 *     error/backend/KIND/DOMID/DEVID   what went wrong, for the administrator
 *
 * The state node is only ever changed by nodes_move(), which compares before it writes: a state
 * is never written twice, never over somebody else's change, and never into a folder that has
 * been removed. What is wrong with a node comes as a GError of the domain NODES_ERROR whose code
 * is an errno value and whose message says what to do; guest-written text in it is escaped.
 */
#ifndef XEN_9PFS_NODES_H
#define XEN_9PFS_NODES_H

#include <stdbool.h>
#include <stdint.h>
#include <xen/io/xenbus.h>

#include "protocol/export_keys.h"
#include "xen-9pfs/link.h"
#include "xen-9pfs/xenstore.h"

#define NODES_ERROR nodes_error_quark()
GQuark nodes_error_quark(void);

enum { NODES_TAG_MAX = 255 };

/* Names a device. */
typedef struct DeviceKey {
    char kind[16]; /* the backend kind */
    uint32_t domid;
    uint32_t devid;
} DeviceKey;

/* The name of the backend's node for an option. The caller frees it. */
char *nodes_key_name(const ExportKey *key);

/* True for what may be a mount tag: printable text of at most NODES_TAG_MAX bytes. */
bool nodes_tag_is_good(const char *tag);

/* Parses "KIND/DOMID/DEVID", alone or with "/" and more behind it. Returns false for anything
 * that no toolstack would write. */
bool device_key_parse(const char *text, DeviceKey *key);

typedef struct Nodes {
    Xenstore *store;
    char *backend;
    char *error;
    char *frontend; /* NULL until nodes_look() has found it */
} Nodes;

/* One look at what decides about the device. */
typedef struct NodesView {
    bool exists; /* the backend folder is there */
    bool online; /* the toolstack wants the device */
    enum xenbus_state backend;
    enum xenbus_state frontend; /* XenbusStateUnknown: not there, not readable or not a state */
} NodesView;

void nodes_init(Nodes *nodes, Xenstore *store, const DeviceKey *key);
void nodes_deinit(Nodes *nodes);

/* Returns 0, or a negative errno when xenstore does not answer and nothing is known. */
int nodes_look(Nodes *nodes, NodesView *view);

/* Changes our state from `from` to `to`; on the way to InitWait also publishes what the backend
 * offers. Returns 0, -ESTALE when the state was no longer `from`, -ENOENT when the backend folder
 * is gone, or another negative errno. */
int nodes_move(const Nodes *nodes, enum xenbus_state from, enum xenbus_state to);

/* Reads what the toolstack configured into `setup`: path and security_model. The path is an
 * absolute one; nothing has been looked for in the file system. */
bool nodes_read_config(const Nodes *nodes, LinkSetup *setup, GError **error);

/* Reads the options that the device's own nodes have (protocol/export_keys.h; a point in a key is a
 * dash in the node's name). Those that libxl always writes count for nothing when they are 0. */
bool nodes_read_options(const Nodes *nodes, ExportOptions *options, GError **error);

/* The mount tag, or NULL where it is missing or is not printable text. The caller frees it. */
char *nodes_read_tag(const Nodes *nodes);

/* The name of domain `domid`, or NULL where it cannot be read. The caller frees it. */
char *nodes_read_domain_name(const Nodes *nodes, uint32_t domid);

/* Reads what the frontend wrote into `setup`: the number of rings, their references and ports. */
bool nodes_read_frontend(const Nodes *nodes, LinkSetup *setup, GError **error);

/* Removes the backend's folder, in the toolstack's place. Returns 0 or a negative errno. */
int nodes_remove(const Nodes *nodes);

/* Writes "<errno> <message>"; the number is EIO for an error of another domain. */
void nodes_write_error(const Nodes *nodes, const GError *error);
void nodes_clear_error(const Nodes *nodes);

#endif
