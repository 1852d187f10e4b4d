/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Id xattr: users and groups within the values of extended attributes.
 *
 * POSIX ACLs name users and groups. A file's capabilities (security.capability) are meant for a system
 * whose root is a certain user: without saying more for this host's own, and in version 3 of the format
 * for containers whose root has an id here. To a guest with a map its root's capabilities look like
 * the former, and are the latter on the host, where they mean nothing: as a user namespace has it.
 */
#ifndef PROTOCOL_ID_XATTR_H
#define PROTOCOL_ID_XATTR_H

#include <stddef.h>
#include <sys/types.h>

#include "protocol/export_options.h"

enum { ID_XATTR_GROWTH = 4 }; /* bytes by which a value may become longer */

/* Whether the value of attribute `name` is different for guest and host. */
bool id_xattr_concerns(const ExportOptions *options, const char *name);

/* Translate the value of such an attribute where it is; ID_XATTR_GROWTH bytes behind it are free.
 * Return its new size, or -EINVAL for a value that is not well-formed. */
ssize_t id_xattr_to_host(const ExportOptions *options, const char *name, void *value, size_t size);
ssize_t id_xattr_to_guest(const ExportOptions *options, const char *name, void *value, size_t size);

#endif
