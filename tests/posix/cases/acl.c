/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: POSIX ACLs, by the attributes that hold them (acl(5), and linux/posix_acl_xattr.h). */
#include <endian.h>

#include "tests/posix/suite.h"

#define ACCESS_ACL  "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"

enum {
    TAG_USER_OBJ = 0x01,
    TAG_USER = 0x02,
    TAG_GROUP_OBJ = 0x04,
    TAG_GROUP = 0x08,
    TAG_MASK = 0x10,
    TAG_OTHER = 0x20,
    MAX_ENTRIES = 8,
};

typedef struct AclEntry {
    uint16_t tag, permissions;
    uint32_t id;
} AclEntry;

typedef struct Acl {
    uint32_t version;
    AclEntry entries[MAX_ENTRIES];
} Acl;

#define NOBODY (~0u)

static void add(Acl *acl, unsigned *n, unsigned tag, unsigned permissions, unsigned id)
{
    acl->entries[(*n)++] =
        (AclEntry){htole16((uint16_t)tag), htole16((uint16_t)permissions), htole32(id)};
}

/* Sets an ACL with these entries and, unless it is 0, one for user or group `id`. */
static long set_acl(const char *path, const char *which, unsigned user, unsigned group,
                    unsigned other, unsigned tag, unsigned id, unsigned permissions, unsigned mask)
{
    Acl acl = {.version = htole32(2)};
    unsigned n = 0;

    add(&acl, &n, TAG_USER_OBJ, user, NOBODY);
    if (tag == TAG_USER)
        add(&acl, &n, tag, permissions, id);
    add(&acl, &n, TAG_GROUP_OBJ, group, NOBODY);
    if (tag == TAG_GROUP)
        add(&acl, &n, tag, permissions, id);
    if (tag)
        add(&acl, &n, TAG_MASK, mask, NOBODY);
    add(&acl, &n, TAG_OTHER, other, NOBODY);
    return CALL(setxattr, path, which, &acl, 4 + n * sizeof(AclEntry), 0);
}

static long grant_user(const char *path, unsigned id, unsigned permissions, unsigned mask)
{
    return set_acl(path, ACCESS_ACL, 6, 0, 0, TAG_USER, id, permissions, mask);
}

static long grant_group(const char *path, unsigned id, unsigned permissions, unsigned mask)
{
    return set_acl(path, ACCESS_ACL, 6, 0, 0, TAG_GROUP, id, permissions, mask);
}

/* How many bytes the ACL has. */
static long acl_size(const char *path, const char *which)
{
    char value[256];

    return CALL(getxattr, path, which, value, sizeof(value));
}

CASE(a_named_user, HAS_ACLS | REPRESENTATIVE)
{
    EQ(0, make_file("f", 0600));
    EQ(0, grant_user("f", ALICE_UID, 6, 7));
    EQ(44, acl_size("f", ACCESS_ACL));
    as(&alice);
    EQ(1, content_is("f", "hello"));
    EQ(2, write_text("f", 0, "HE"));
    as(&bob);
    IS(-EACCES, open, "f", O_RDONLY, 0);
}

CASE(a_named_group, HAS_ACLS)
{
    EQ(0, make_file("f", 0600));
    EQ(0, grant_group("f", STAFF_GID, 4, 7));
    as(&bob);
    EQ(1, content_is("f", "hello"));
    IS(-EACCES, open, "f", O_WRONLY, 0);
    as(&carol);
    IS(-EACCES, open, "f", O_RDONLY, 0);
}

CASE(the_mask_limits, HAS_ACLS | REPRESENTATIVE)
{
    EQ(0, make_file("f", 0600));
    EQ(0, grant_user("f", ALICE_UID, 6, 4));
    as(&alice);
    EQ(1, content_is("f", "hello"));
    IS(-EACCES, open, "f", O_RDWR, 0);
    as(&root);
    EQ(0, grant_user("f", ALICE_UID, 6, 0));
    as(&alice);
    IS(-EACCES, open, "f", O_RDONLY, 0);
}

CASE(the_mask_is_the_modes_group, HAS_ACLS)
{
    EQ(0, make_file("f", 0600));
    EQ(0, grant_user("f", ALICE_UID, 6, 6));
    EQ(0660, mode_of("f"));
    IS(0, chmod, "f", 0640);
    as(&alice);
    EQ(1, content_is("f", "hello"));
    IS(-EACCES, open, "f", O_RDWR, 0);
    as(&root);
    IS(0, chmod, "f", 0614); /* with no bit of the group's Linux would not look at the ACL */
    as(&alice);
    IS(-EACCES, open, "f", O_RDONLY, 0);
    as(&bob);
    EQ(1, content_is("f", "hello"));
}

CASE(a_minimal_one_is_a_mode, HAS_ACLS | REPRESENTATIVE)
{
    EQ(0, make_file("f", 0600));
    EQ(0, set_acl("f", ACCESS_ACL, 7, 5, 1, 0, 0, 0, 0));
    EQ(0751, mode_of("f"));
    EQ(-ENODATA, acl_size("f", ACCESS_ACL));
}

CASE(is_removed, HAS_ACLS)
{
    EQ(0, make_file("f", 0600));
    EQ(0, grant_user("f", ALICE_UID, 6, 6));
    IS(0, removexattr, "f", ACCESS_ACL);
    EQ(-ENODATA, acl_size("f", ACCESS_ACL));
    EQ(0660, mode_of("f"));
    as(&alice);
    IS(-EACCES, open, "f", O_RDONLY, 0);
}

CASE(is_for_the_owner, HAS_ACLS)
{
    EQ(0, make_file("f", 0666));
    as(&alice);
    EQ(-EPERM, grant_user("f", ALICE_UID, 6, 7));
    EQ(0, give("f", &alice, ALICE_GID, 0600));
    EQ(0, grant_user("f", BOB_UID, 4, 4));
    as(&bob);
    EQ(1, content_is("f", "hello"));
}

CASE(must_make_sense, HAS_ACLS)
{
    EQ(0, make_file("f", 0600));
    IS(-EINVAL, setxattr, "f", ACCESS_ACL, "\2\0\0\0xxxx", 8, 0);
    IS(-EINVAL, setxattr, "f", ACCESS_ACL, "\2\0\0\0\1\0\7\0\377\377\377\377", 12, 0);
    EQ(0600, mode_of("f"));
    EQ(-EACCES, set_acl("f", DEFAULT_ACL, 7, 5, 5, 0, 0, 0, 0));
}

CASE(a_default_one_is_inherited_by_files, HAS_ACLS | REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0777));
    EQ(0, set_acl("d", DEFAULT_ACL, 7, 5, 0, TAG_USER, ALICE_UID, 6, 7));
    EQ(44, acl_size("d", DEFAULT_ACL));
    with_umask(077);
    FD(open, "d/f", O_RDWR | O_CREAT, 0666);
    EQ(0660, mode_of("d/f"));
    EQ(44, acl_size("d/f", ACCESS_ACL));
    EQ(-ENODATA, acl_size("d/f", DEFAULT_ACL));
    as(&alice);
    FD(open, "d/f", O_RDWR, 0);
    as(&bob);
    IS(-EACCES, open, "d/f", O_RDONLY, 0);
}

CASE(a_default_one_is_inherited_by_directories, HAS_ACLS)
{
    EQ(0, make_dir("d", 0777));
    EQ(0, set_acl("d", DEFAULT_ACL, 7, 5, 0, TAG_GROUP, STAFF_GID, 7, 7));
    IS(0, mkdir, "d/e", 0777);
    EQ(0770, mode_of("d/e"));
    EQ(44, acl_size("d/e", ACCESS_ACL));
    EQ(44, acl_size("d/e", DEFAULT_ACL));
    as(&bob);
    EQ(0, make_file("d/e/f", 0600));
    as(&carol);
    IS(-EACCES, open, "d/e", O_RDONLY, 0);
}

CASE(a_minimal_default_one_takes_the_place_of_the_umask, HAS_ACLS)
{
    EQ(0, make_dir("d", 0777));
    EQ(0, set_acl("d", DEFAULT_ACL, 7, 5, 1, 0, 0, 0, 0));
    with_umask(077);
    FD(open, "d/f", O_RDWR | O_CREAT, 0666);
    EQ(0640, mode_of("d/f"));
    IS(0, mkdir, "d/e", 0777);
    EQ(0751, mode_of("d/e"));
    IS(0, mknod, "d/fifo", S_IFIFO | 0666, 0);
    EQ(0640, mode_of("d/fifo"));
    EQ(-ENODATA, acl_size("d/f", ACCESS_ACL));
}

CASE(without_default_one_the_umask_counts, HAS_ACLS)
{
    EQ(0, make_dir("d", 0777));
    EQ(0, set_acl("d", ACCESS_ACL, 7, 7, 7, TAG_USER, ALICE_UID, 7, 7));
    with_umask(027);
    FD(open, "d/f", O_RDWR | O_CREAT, 0666);
    EQ(0640, mode_of("d/f"));
}

CASE(of_directories, HAS_ACLS)
{
    EQ(0, make_dir("d", 0700));
    EQ(0, make_file("d/f", 0644));
    EQ(0, set_acl("d", ACCESS_ACL, 7, 0, 0, TAG_USER, ALICE_UID, 1, 7));
    as(&alice);
    EQ(1, content_is("d/f", "hello"));
    IS(-EACCES, open, "d", O_RDONLY, 0);
    IS(-EACCES, open, "d/g", O_WRONLY | O_CREAT, 0644);
    as(&bob);
    IS(-EACCES, open, "d/f", O_RDONLY, 0);
}

CASE(not_of_symlinks, HAS_ACLS)
{
    IS(0, symlink, "x", "link");
    IS(-EOPNOTSUPP, lsetxattr, "link", ACCESS_ACL, "\2\0\0\0", 4, 0);
}
