/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ids within ACLs and file capabilities: translated both ways, and what is malformed refused. */
#include "protocol/id_xattr.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "common/bytes.h"

enum { NOBODY = 65534, ROOM = 256, ANY_ID = -1 };

static const char *const access_acl = "system.posix_acl_access";
static const char *const default_acl = "system.posix_acl_default";
static const char *const capability = "security.capability";

static const ExportOptions mapped = {
    .users = {.n_ranges = 1,
              .ranges = {{.guest = 0, .host = 100000, .count = 1000}},
              .other_host = NOBODY,
              .other_guest = NOBODY},
    .groups = {.n_ranges = 1,
               .ranges = {{.guest = 0, .host = 200000, .count = 1000}},
               .other_host = NOBODY,
               .other_guest = NOBODY},
};

typedef struct Value {
    uint8_t bytes[ROOM];
    size_t size;
} Value;

static void add(Value *v, uint32_t number, size_t size)
{
    ByteWriter w = byte_writer(v->bytes + v->size, ROOM - v->size);

    write_little_endian(&w, number, size);
    g_assert_false(w.failed);
    v->size += size;
}

static void add_entry(Value *v, uint16_t tag, uint16_t permissions, uint32_t id)
{
    add(v, tag, 2);
    add(v, permissions, 2);
    add(v, id, 4);
}

/* One with every kind of entry. */
static Value new_acl(uint32_t user, uint32_t group)
{
    Value v = {0};

    add(&v, 2, 4);
    add_entry(&v, 0x01, 7, (uint32_t)ANY_ID);
    add_entry(&v, 0x02, 6, user);
    add_entry(&v, 0x04, 5, (uint32_t)ANY_ID);
    add_entry(&v, 0x08, 4, group);
    add_entry(&v, 0x10, 7, (uint32_t)ANY_ID);
    add_entry(&v, 0x20, 0, (uint32_t)ANY_ID);
    return v;
}

/* Revision 2, or 3 with a root, and the effective flag. */
static Value new_capability(unsigned revision, uint32_t root)
{
    Value v = {0};

    add(&v, revision << 24 | 1, 4);
    for (uint32_t i = 1; i <= 4; i++)
        add(&v, 0x11111111u * i, 4);
    if (revision == 3)
        add(&v, root, 4);
    return v;
}

static void assert_equal(const Value *v, const Value *expected)
{
    g_assert_cmpuint(v->size, ==, expected->size);
    g_assert_true(memcmp(v->bytes, expected->bytes, v->size) == 0);
}

static void check_to_host(const char *name, Value guest, Value host)
{
    guest.size = (size_t)id_xattr_to_host(&mapped, name, guest.bytes, guest.size);
    assert_equal(&guest, &host);
}

static void check_to_guest(const char *name, Value host, Value guest)
{
    host.size = (size_t)id_xattr_to_guest(&mapped, name, host.bytes, host.size);
    assert_equal(&host, &guest);
}

static void test_which_are_concerned(void)
{
    ExportOptions groups_only = {.groups = mapped.groups};

    g_assert_true(id_xattr_concerns(&mapped, access_acl));
    g_assert_true(id_xattr_concerns(&mapped, default_acl));
    g_assert_true(id_xattr_concerns(&groups_only, capability));
    g_assert_false(id_xattr_concerns(&mapped, "user.system.posix_acl_access"));
    g_assert_false(id_xattr_concerns(&mapped, "system.posix_acl"));
    g_assert_false(id_xattr_concerns(&mapped, "security.capability2"));
    g_assert_false(id_xattr_concerns(&export_default_options, access_acl));
    g_assert_false(id_xattr_concerns(&export_default_options, capability));
}

static void test_acl(void)
{
    static const char *const names[] = {"system.posix_acl_access", "system.posix_acl_default"};

    for (unsigned i = 0; i < 2; i++) {
        check_to_host(names[i], new_acl(5, 7), new_acl(100005, 200007));
        check_to_host(names[i], new_acl(0, 0), new_acl(100000, 200000));
        check_to_host(names[i], new_acl(1000, 0xfffffffe), new_acl(NOBODY, NOBODY));
        check_to_guest(names[i], new_acl(100005, 200007), new_acl(5, 7));
        check_to_guest(names[i], new_acl(0, 0), new_acl(NOBODY, NOBODY));
    }
}

/* As for the system, no bytes and no entries are valid: they remove the ACL. */
static void test_acl_without_entries(void)
{
    Value v = {0};

    check_to_host(access_acl, v, v);
    add(&v, 2, 4);
    check_to_host(access_acl, v, v);
}

static void test_malformed_acl(void)
{
    Value good = new_acl(5, 7);
    Value v;

    for (size_t size = 1; size < good.size; size++) {
        v = good;
        g_assert_cmpint(id_xattr_to_host(&mapped, access_acl, v.bytes, size), ==,
                        size >= 4 && (size - 4) % 8 == 0 ? (ssize_t)size : -EINVAL);
    }
    v = good;
    v.bytes[0] = 1; /* version */
    g_assert_cmpint(id_xattr_to_host(&mapped, access_acl, v.bytes, v.size), ==, -EINVAL);
    for (unsigned tag = 0; tag < 0x10000; tag++) {
        bool known = tag == 1 || tag == 2 || tag == 4 || tag == 8 || tag == 0x10 || tag == 0x20;

        v = (Value){0};
        add(&v, 2, 4);
        add_entry(&v, (uint16_t)tag, 7, 5);
        g_assert_cmpint(id_xattr_to_host(&mapped, access_acl, v.bytes, v.size), ==,
                        known ? (ssize_t)v.size : -EINVAL);
    }
    v = (Value){0};
    add(&v, 2, 4);
    add_entry(&v, 0x01, 8, 0); /* no such permission */
    g_assert_cmpint(id_xattr_to_host(&mapped, access_acl, v.bytes, v.size), ==, -EINVAL);
    v = new_acl(UINT32_MAX, 7); /* nobody's number */
    g_assert_cmpint(id_xattr_to_host(&mapped, access_acl, v.bytes, v.size), ==, -EINVAL);
    v = new_acl(5, UINT32_MAX);
    g_assert_cmpint(id_xattr_to_host(&mapped, default_acl, v.bytes, v.size), ==, -EINVAL);
}

/* The guest's root is a root of a namespace, for the host. */
static void test_capability(void)
{
    check_to_host(capability, new_capability(2, 0), new_capability(3, 100000));
    check_to_host(capability, new_capability(3, 0), new_capability(3, 100000));
    check_to_host(capability, new_capability(3, 5), new_capability(3, 100005));
    check_to_host(capability, new_capability(3, 5000), new_capability(3, NOBODY));
    check_to_guest(capability, new_capability(3, 100000), new_capability(2, 0));
    check_to_guest(capability, new_capability(3, 100005), new_capability(3, 5));
    check_to_guest(capability, new_capability(2, 0), new_capability(3, NOBODY));
    check_to_guest(capability, new_capability(3, 7), new_capability(3, NOBODY));
}

/* A guest whose root is the host's has the host's capabilities. */
static void test_capability_of_same_root(void)
{
    ExportOptions o = {.users = {.n_ranges = 1,
                                 .ranges = {{.guest = 0, .host = 0, .count = 10}},
                                 .other_host = NOBODY}};
    Value v = new_capability(2, 0), expected = v;

    v.size = (size_t)id_xattr_to_host(&o, capability, v.bytes, v.size);
    assert_equal(&v, &expected);
    v.size = (size_t)id_xattr_to_guest(&o, capability, v.bytes, v.size);
    assert_equal(&v, &expected);
}

static void test_malformed_capability(void)
{
    for (unsigned revision = 0; revision < 256; revision++) {
        Value good = new_capability(revision, 5);

        for (size_t size = 0; size < 30; size++) {
            bool valid = (revision == 2 && size == 20) || (revision == 3 && size == 24);
            Value v = good;

            g_assert_cmpint(id_xattr_to_host(&mapped, capability, v.bytes, size), ==,
                            valid ? 24 : -EINVAL);
        }
    }
    Value none = new_capability(3, UINT32_MAX);
    g_assert_cmpint(id_xattr_to_host(&mapped, capability, none.bytes, none.size), ==, -EINVAL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/id-xattr/which-are-concerned", test_which_are_concerned);
    g_test_add_func("/id-xattr/acl", test_acl);
    g_test_add_func("/id-xattr/acl-without-entries", test_acl_without_entries);
    g_test_add_func("/id-xattr/malformed-acl", test_malformed_acl);
    g_test_add_func("/id-xattr/capability", test_capability);
    g_test_add_func("/id-xattr/capability-of-same-root", test_capability_of_same_root);
    g_test_add_func("/id-xattr/malformed-capability", test_malformed_capability);
    return g_test_run();
}
