/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Id xattr: see id_xattr.h. The formats are those of linux/posix_acl_xattr.h and linux/capability.h. */
#include "protocol/id_xattr.h"

#include <errno.h>
#include <glib.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

#include "common/bytes.h"
#include "protocol/id_map.h"

#define CAPABILITY "security.capability"

/* id_map_to_host() or id_map_to_guest(). */
typedef uint32_t Translate(const IdMap *map, uint32_t id);

static bool is_acl(const char *name)
{
    return strcmp(name, "system.posix_acl_access") == 0 ||
           strcmp(name, "system.posix_acl_default") == 0;
}

bool id_xattr_concerns(const ExportOptions *o, const char *name)
{
    if (o->users.n_ranges == 0 && o->groups.n_ranges == 0)
        return false;
    return is_acl(name) || strcmp(name, CAPABILITY) == 0;
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
    ByteWriter w = byte_writer(bytes, sizeof(value));

    write_u32(&w, value);
}

/*
 * ACLs: a version and entries of tag, permissions and id
 */

/* The map for entries with `tag`, or NULL for those without an id. */
static const IdMap *map_of_tag(const ExportOptions *o, uint16_t tag)
{
    switch (tag) {
    case ACL_USER:
        return &o->users;
    case ACL_GROUP:
        return &o->groups;
    default:
        return NULL;
    }
}

static bool is_tag(uint16_t tag)
{
    switch (tag) {
    case ACL_USER_OBJ:
    case ACL_USER:
    case ACL_GROUP_OBJ:
    case ACL_GROUP:
    case ACL_MASK:
    case ACL_OTHER:
        return true;
    default:
        return false;
    }
}

/* Translates the entry at the front of `r`. */
static int translate_entry(const ExportOptions *o, Translate *translate, ByteReader *r)
{
    uint16_t tag = read_u16(r);
    uint16_t permissions = read_u16(r);
    uint8_t *at_id = read_bytes(r, sizeof(uint32_t));
    const IdMap *map = map_of_tag(o, tag);
    ByteReader id = byte_reader(at_id, sizeof(uint32_t));
    uint32_t number;

    if (r->failed || !is_tag(tag) || (permissions & ~(ACL_READ | ACL_WRITE | ACL_EXECUTE)))
        return -EINVAL;
    number = read_u32(&id);
    if (map && number == ID_NONE)
        return -EINVAL;
    if (map)
        put_u32(at_id, translate(map, number));
    return 0;
}

/* No bytes, or no entries, are no ACL at all: so the system removes one. */
static ssize_t translate_acl(const ExportOptions *o, Translate *translate, void *value, size_t size)
{
    ByteReader r = byte_reader(value, size);
    int error = 0;

    if (size == 0)
        return 0;
    if (read_u32(&r) != POSIX_ACL_XATTR_VERSION)
        return -EINVAL;
    while (!error && r.left > 0)
        error = translate_entry(o, translate, &r);
    return error ? error : (ssize_t)size;
}

/*
 * Capabilities: flags with a revision, two sets, and from revision 3 on the root they are for
 */

/* Reads for whose root the value is: 0 where it does not say. */
static bool read_root(void *value, size_t size, uint32_t *root)
{
    ByteReader r = byte_reader(value, size);
    uint32_t revision = read_u32(&r) & VFS_CAP_REVISION_MASK;

    read_bytes(&r, XATTR_CAPS_SZ_2 - sizeof(uint32_t));
    *root = revision == VFS_CAP_REVISION_3 ? read_u32(&r) : 0;
    return !r.failed && r.left == 0 && *root != ID_NONE &&
           (revision == VFS_CAP_REVISION_2 || revision == VFS_CAP_REVISION_3);
}

/* Makes the value one for `root`, in the form that the system would choose. */
static size_t write_root(uint8_t *value, uint32_t root)
{
    ByteReader r = byte_reader(value, sizeof(uint32_t));
    uint32_t flags = read_u32(&r) & VFS_CAP_FLAGS_MASK;

    put_u32(value, flags | (root == 0 ? VFS_CAP_REVISION_2 : VFS_CAP_REVISION_3));
    if (root == 0)
        return XATTR_CAPS_SZ_2;
    put_u32(value + XATTR_CAPS_SZ_2, root);
    return XATTR_CAPS_SZ_3;
}

G_STATIC_ASSERT(XATTR_CAPS_SZ_3 - XATTR_CAPS_SZ_2 == ID_XATTR_GROWTH);

static ssize_t translate_capability(const ExportOptions *o, Translate *translate, void *value,
                                    size_t size)
{
    uint32_t root;

    if (!read_root(value, size, &root))
        return -EINVAL;
    return (ssize_t)write_root(value, translate(&o->users, root));
}

static ssize_t translate_value(const ExportOptions *o, Translate *translate, const char *name,
                               void *value, size_t size)
{
    return is_acl(name) ? translate_acl(o, translate, value, size)
                        : translate_capability(o, translate, value, size);
}

ssize_t id_xattr_to_host(const ExportOptions *o, const char *name, void *value, size_t size)
{
    return translate_value(o, id_map_to_host, name, value, size);
}

ssize_t id_xattr_to_guest(const ExportOptions *o, const char *name, void *value, size_t size)
{
    return translate_value(o, id_map_to_guest, name, value, size);
}
