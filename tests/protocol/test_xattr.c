/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Extended attributes of a host directory through the server. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "protocol/local_internal.h"
#include "tests/lib/share.h"
#include "tests/lib/xattr_client.h"

enum {
    FILE_FID = 1,
    LIMIT = 1024, /* what QEMU allows */
    LIMIT_VALUE = 8 * 1024,
    MAX_VALUE = 64 * 1024,
    ACL_SIZE = 44,
};

/* Makes "file" and fid FILE_FID for it. Returns false, and skips the test, where the storage has no
 * attributes of users. */
static bool begin(Share *s)
{
    g_autofree char *path = share_path(s, "file");

    share_put(s, "file", "text");
    if (setxattr(path, "user.probe", "", 0, 0) != 0) {
        g_test_skip("no user.* attributes here");
        return false;
    }
    g_assert_cmpint(removexattr(path, "user.probe"), ==, 0);
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, FILE_FID, "file", NULL, NULL), ==, 0);
    return true;
}

static unsigned n_live(Share *s)
{
    return (unsigned)g_atomic_int_get(&test_session_session(s->ts)->xattrs.count);
}

static void expect_nothing_live(Share *s)
{
    g_assert_cmpuint(n_live(s), ==, 0);
    g_assert_cmpuint(test_session_session(s->ts)->xattrs.bytes, ==, 0);
}

/*
 * Values
 */

static void test_set_get_list_remove(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;
    char value[64];
    char list[1024];
    ssize_t size;

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "user.a", value, sizeof(value)), ==, -ENODATA);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "one\0two", 7, 0), ==, 0);
    g_assert_cmpint(getxattr(path, "user.a", value, sizeof(value)), ==, 7);
    g_assert_true(memcmp(value, "one\0two", 7) == 0);
    g_assert_cmpint(setxattr(path, "user.b", "host", 4, 0), ==, 0);
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "user.b", value, sizeof(value)), ==, 4);
    g_assert_true(memcmp(value, "host", 4) == 0);

    size = client_get_xattr(c, FILE_FID, "", list, sizeof(list));
    g_assert_true(xattr_list_has(list, size, "user.a"));
    g_assert_true(xattr_list_has(list, size, "user.b"));
    g_assert_cmpint(client_remove_xattr(c, FILE_FID, "user.a"), ==, 0);
    g_assert_cmpint(getxattr(path, "user.a", value, sizeof(value)), ==, -1);
    g_assert_cmpint(client_remove_xattr(c, FILE_FID, "user.a"), ==, -ENODATA);
    size = client_get_xattr(c, FILE_FID, "", list, sizeof(list));
    g_assert_false(xattr_list_has(list, size, "user.a"));
    expect_nothing_live(s);
}

static void test_empty_value_is_not_removal(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;
    char value[8];

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.e", "", 0, P9_XATTR_CREATE), ==, 0);
    g_assert_cmpint(getxattr(path, "user.e", value, sizeof(value)), ==, 0);
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "user.e", value, sizeof(value)), ==, 0);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.e", "x", 1, 0), ==, 0);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.e", "", 0, 0), ==, 0);
    g_assert_cmpint(getxattr(path, "user.e", value, sizeof(value)), ==, 0);
    g_assert_cmpint(client_remove_xattr(c, FILE_FID, "user.e"), ==, 0);
    g_assert_cmpint(getxattr(path, "user.e", value, sizeof(value)), ==, -1);
}

static void test_create_and_replace(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "1", 1, P9_XATTR_REPLACE), ==,
                    -ENODATA);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "1", 1, P9_XATTR_CREATE), ==, 0);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "2", 1, P9_XATTR_CREATE), ==, -EEXIST);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "2", 1, P9_XATTR_REPLACE), ==, 0);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "2", 1, 4), ==, -EINVAL);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "2", 1, 0x80000000u), ==, -EINVAL);
    g_assert_false(client_has_fid(c, XATTR_FID));
    expect_nothing_live(s);
}

/* The value is set when all of its bytes are there, in whatever order; else Tclunk says so. */
static void test_length_is_checked_at_clunk(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;
    char value[16];

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(client_walk(c, FILE_FID, 3, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create_xattr(c, 3, "user.a", 6, 0), ==, 0);
    g_assert_cmpint(client_write(c, 3, 0, "abc", 3), ==, 3);
    g_assert_cmpint(client_write(c, 3, 0, "abc", 3), ==, 3);
    g_assert_cmpint(client_clunk(c, 3), ==, -EINVAL);
    g_assert_false(client_has_fid(c, 3));
    g_assert_cmpint(getxattr(path, "user.a", value, sizeof(value)), ==, -1);

    g_assert_cmpint(client_walk(c, FILE_FID, 3, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create_xattr(c, 3, "user.a", 6, 0), ==, 0);
    g_assert_cmpint(client_write(c, 3, 3, "defgh", 5), ==, 3);
    g_assert_cmpint(client_write(c, 3, 6, "x", 1), ==, -ENOSPC);
    g_assert_cmpint(client_write(c, 3, UINT64_MAX, "x", 1), ==, -ENOSPC);
    g_assert_cmpint(client_write(c, 3, 6, "", 0), ==, 0);
    g_assert_cmpint(client_write(c, 3, 0, "abc", 3), ==, 3);
    g_assert_cmpint(client_clunk(c, 3), ==, 0);
    g_assert_cmpint(getxattr(path, "user.a", value, sizeof(value)), ==, 6);
    g_assert_true(memcmp(value, "abcdef", 6) == 0);

    g_assert_cmpint(client_walk(c, FILE_FID, 3, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create_xattr(c, 3, "user.a", 1, 0), ==, 0);
    g_assert_cmpint(client_clunk(c, 3), ==, -EINVAL);
    expect_nothing_live(s);
}

/* What Tread reads is what was there when Txattrwalk was. */
static void test_snapshot(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;
    char value[16];

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(setxattr(path, "user.a", "before", 6, 0), ==, 0);
    g_assert_cmpint(client_walk_xattr(c, FILE_FID, 3, "user.a"), ==, 6);
    g_assert_cmpint(setxattr(path, "user.a", "afterwards", 10, 0), ==, 0);
    g_assert_cmpint(client_read(c, 3, 0, 4, value), ==, 4);
    g_assert_true(memcmp(value, "befo", 4) == 0);
    g_assert_cmpint(client_read(c, 3, 4, 4, value), ==, 2);
    g_assert_true(memcmp(value, "re", 2) == 0);
    g_assert_cmpint(client_read(c, 3, 6, 4, value), ==, 0);
    g_assert_cmpint(client_read(c, 3, UINT64_MAX, 4, value), ==, 0);
    g_assert_cmpint(client_read(c, 3, 0, UINT32_MAX, value), ==, 6);
    g_assert_cmpint(client_clunk(c, 3), ==, 0);
}

static void test_large_values(Share *s, gconstpointer unused)
{
    static const ssize_t sizes[] = {511, 512, 513, 4096, 65535, MAX_VALUE};
    g_autofree char *out = g_malloc(MAX_VALUE);
    g_autofree char *in = g_malloc(MAX_VALUE);

    (void)unused;
    if (!begin(s))
        return;
    for (unsigned i = 0; i < MAX_VALUE; i++)
        out[i] = (char)(i * 7 + (i >> 8));
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        int error = client_set_xattr(&s->client, FILE_FID, "user.large", out, (size_t)sizes[i], 0);

        if (error == -ENOSPC || error == -E2BIG)
            break; /* of the disk's file system */
        g_assert_cmpint(error, ==, 0);
        g_assert_cmpint(client_get_xattr(&s->client, FILE_FID, "user.large", in, MAX_VALUE), ==,
                        sizes[i]);
        g_assert_true(memcmp(in, out, (size_t)sizes[i]) == 0);
    }
    g_assert_cmpint(client_set_xattr(&s->client, FILE_FID, "user.large", out, 0, 0), ==, 0);
    g_assert_cmpint(client_walk(&s->client, FILE_FID, 3, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create_xattr(&s->client, 3, "user.x", MAX_VALUE + 1, 0), ==, -E2BIG);
    g_assert_cmpint(client_create_xattr(&s->client, 3, "user.x", UINT64_MAX, 0), ==, -E2BIG);
    g_assert_cmpint(client_create_xattr(&s->client, 3, "user.x", MAX_VALUE, 0), ==, 0);
    g_assert_cmpint(client_clunk(&s->client, 3), ==, -EINVAL);
}

/*
 * Names
 */

static void test_long_and_empty_names(Share *s, gconstpointer unused)
{
    g_autofree char *longest = g_strnfill(255, 'x');
    g_autofree char *too_long = g_strnfill(256, 'x');
    Client *c = &s->client;
    char value[8];

    (void)unused;
    if (!begin(s))
        return;
    memcpy(longest, "user.", 5);
    memcpy(too_long, "user.", 5);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, longest, "v", 1, 0), ==, 0);
    g_assert_cmpint(client_get_xattr(c, FILE_FID, longest, value, sizeof(value)), ==, 1);
    g_assert_cmpint(client_walk_xattr(c, FILE_FID, 3, too_long), ==, -ERANGE);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, too_long, "v", 1, 0), ==, -ERANGE);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "", "v", 1, 0), ==, -ERANGE);
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "nothing", value, sizeof(value)), ==,
                    -EOPNOTSUPP);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "system.nfs4_acl", "v", 1, 0), ==, -EOPNOTSUPP);
    expect_nothing_live(s);
}

/* A long list, of which the first small buffer holds a part only. */
static void test_long_list(Share *s, gconstpointer unused)
{
    g_autofree char *list = g_malloc(MAX_VALUE);
    Client *c = &s->client;
    unsigned found = 0;
    ssize_t size;

    (void)unused;
    if (!begin(s))
        return;
    for (unsigned i = 0; i < 60; i++) {
        g_autofree char *name = g_strdup_printf("user.attribute-number-%u", i);
        g_assert_cmpint(client_set_xattr(c, FILE_FID, name, "", 0, 0), ==, 0);
    }
    size = client_get_xattr(c, FILE_FID, "", list, MAX_VALUE);
    for (unsigned i = 0; i < 60; i++) {
        g_autofree char *name = g_strdup_printf("user.attribute-number-%u", i);
        found += xattr_list_has(list, size, name);
    }
    g_assert_cmpuint(found, ==, 60);
}

/* As listxattr() on a local file: Linux does not take these names out itself. */
static void test_trusted_is_listed_for_root(Share *s, gconstpointer unused)
{
    enum { OTHER_ROOT = 10, ROOT_FID = 11 };
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;
    char list[1024];
    ssize_t size;

    (void)unused;
    if (!begin(s))
        return;
    if (setxattr(path, "trusted.a", "x", 1, 0) != 0) {
        g_test_skip("no trusted.* attributes here");
        return;
    }
    g_assert_cmpint(setxattr(path, "user.b", "x", 1, 0), ==, 0);
    size = client_get_xattr(c, FILE_FID, "", list, sizeof(list));
    g_assert_false(xattr_list_has(list, size, "trusted.a"));
    g_assert_true(xattr_list_has(list, size, "user.b"));
    g_assert_cmpint(client_attach(c, OTHER_ROOT, 0, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, OTHER_ROOT, ROOT_FID, "file", NULL, NULL), ==, 0);
    size = client_get_xattr(c, ROOT_FID, "", list, sizeof(list));
    g_assert_true(xattr_list_has(list, size, "trusted.a"));
    g_assert_true(xattr_list_has(list, size, "user.b"));
}

/* An ACL that is more than a mode, as the kernel writes it. */
static const uint8_t acl[ACL_SIZE] = {
    2,  0, 0, 0,                         /* version */
    1,  0, 7, 0, 0xff, 0xff, 0xff, 0xff, /* user:: */
    2,  0, 7, 0, 1,    0,    0,    0,    /* user:1: */
    4,  0, 5, 0, 0xff, 0xff, 0xff, 0xff, /* group:: */
    16, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, /* mask:: */
    32, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, /* other:: */
};

static bool put_acl(Share *s)
{
    g_autofree char *path = share_path(s, "file");

    if (setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0) == 0)
        return true;
    g_test_skip("no ACLs here");
    return false;
}

static void test_none_has_no_acl(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    char list[1024];
    ssize_t size;

    (void)unused;
    if (!begin(s) || !put_acl(s))
        return;
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "v", 1, 0), ==, 0);
    g_assert_cmpint(client_walk_xattr(c, FILE_FID, 3, "system.posix_acl_access"), ==, -EOPNOTSUPP);
    g_assert_cmpint(client_walk_xattr(c, SHARE_ROOT, 3, "system.posix_acl_default"), ==,
                    -EOPNOTSUPP);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "system.posix_acl_access", acl, sizeof(acl), 0),
                    ==, -EOPNOTSUPP);
    g_assert_cmpint(client_remove_xattr(c, FILE_FID, "system.posix_acl_access"), ==, -EOPNOTSUPP);
    size = client_get_xattr(c, FILE_FID, "", list, sizeof(list));
    g_assert_true(xattr_list_has(list, size, "user.a"));
    g_assert_false(xattr_list_has(list, size, "system.posix_acl_access"));
}

static void test_passthrough_has_acl(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    char value[1024];
    ssize_t size;

    (void)unused;
    if (!begin(s) || !put_acl(s))
        return;
    ((LocalFs *)s->fs)->options.model = MODEL_PASSTHROUGH;
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "system.posix_acl_access", value, sizeof(value)),
                    ==, sizeof(acl));
    g_assert_true(memcmp(value, acl, sizeof(acl)) == 0);
    size = client_get_xattr(c, FILE_FID, "", value, sizeof(value));
    g_assert_true(xattr_list_has(value, size, "system.posix_acl_access"));
    g_assert_cmpint(client_remove_xattr(c, FILE_FID, "system.posix_acl_access"), ==, 0);
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "system.posix_acl_access", value, sizeof(value)),
                    ==, -ENODATA);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "system.posix_acl_access", acl, sizeof(acl), 0),
                    ==, 0);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "system.posix_acl_access", "no", 2, 0), <, 0);
    g_assert_cmpint(
        client_set_xattr(c, SHARE_ROOT, "system.posix_acl_default", acl, sizeof(acl), 0), ==, 0);
    g_assert_cmpint(
        client_get_xattr(c, SHARE_ROOT, "system.posix_acl_default", value, sizeof(value)), ==,
        sizeof(acl));
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "system.other", value, sizeof(value)), ==,
                    -EOPNOTSUPP);
}

/*
 * Files
 */

/* Attributes of every type of file: of the symlink and not of what it leads to, and without ever
 * opening a FIFO. */
static void check_types(Share *s)
{
    static const char *const names[] = {"file", "link", "fifo", "directory", ""};
    Client *c = &s->client;
    char value[16];

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        uint32_t fid = 10 + i;

        g_assert_cmpint(client_walk(c, SHARE_ROOT, fid, names[i], NULL, NULL), ==, 0);
        g_assert_cmpint(client_get_xattr(c, fid, "security.capability", value, sizeof(value)), ==,
                        -ENODATA);
        g_assert_cmpint(client_set_xattr(c, fid, "trusted.name", names[i], strlen(names[i]), 0), ==,
                        0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = share_path(s, names[i]);
        ssize_t length = (ssize_t)strlen(names[i]);

        g_assert_cmpint(lgetxattr(path, "trusted.name", value, sizeof(value)), ==, length);
        g_assert_true(memcmp(value, names[i], (size_t)length) == 0);
        g_assert_cmpint(client_get_xattr(c, 10 + i, "trusted.name", value, sizeof(value)), ==,
                        length);
        g_assert_true(memcmp(value, names[i], (size_t)length) == 0);
        g_assert_cmpint(client_remove_xattr(c, 10 + i, "trusted.name"), ==, 0);
        g_assert_cmpint(client_clunk(c, 10 + i), ==, 0);
    }
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 10, "link", NULL, NULL), ==, 0);
    g_assert_cmpint(client_set_xattr(c, 10, "user.a", "v", 1, 0), ==, -EPERM);
    g_assert_cmpint(client_get_xattr(c, 10, "user.a", value, sizeof(value)), <, 0);
}

static bool make_types(Share *s)
{
    g_autofree char *link = share_path(s, "link");
    g_autofree char *fifo = share_path(s, "fifo");
    g_autofree char *directory = share_path(s, "directory");

    if (geteuid() != 0)
        g_test_skip("trusted.* is root's");
    g_assert_cmpint(symlink("file", link), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(g_mkdir(directory, 0700), ==, 0);
    return geteuid() == 0;
}

static void test_types_of_files(Share *s, gconstpointer unused)
{
    (void)unused;
    if (begin(s) && make_types(s))
        check_types(s);
}

/* The same as on a kernel without getxattrat() and its relatives. */
static void test_old_kernel(Share *s, gconstpointer unused)
{
    LocalFs *fs = (LocalFs *)s->fs;

    (void)unused;
    if (!begin(s) || !make_types(s))
        return;
    fs->has_xattrat = false;
    check_types(s);
}

static void test_renamed_and_unlinked(Share *s, gconstpointer unused)
{
    g_autofree char *moved = share_path(s, "moved");
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;
    char value[16];

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(g_rename(path, moved), ==, 0);
    share_put(s, "file", "another");
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "v", 1, 0), ==, 0);
    g_assert_cmpint(getxattr(moved, "user.a", value, sizeof(value)), ==, 1);
    g_assert_cmpint(getxattr(path, "user.a", value, sizeof(value)), ==, -1);
    g_assert_cmpint(g_unlink(moved), ==, 0);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.b", "w", 1, 0), ==, 0);
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "user.a", value, sizeof(value)), ==, 1);
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "user.b", value, sizeof(value)), ==, 1);
}

/*
 * Fids
 */

static void test_what_an_xattr_fid_is_good_for(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    ClientAttr attr;
    char value[8];

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "v", 1, 0), ==, 0);
    g_assert_cmpint(client_walk_xattr(c, FILE_FID, 3, "user.a"), ==, 1);
    g_assert_cmpint(client_write(c, 3, 0, "w", 1), ==, -EBADF);
    g_assert_cmpint(client_getattr(c, 3, &attr), ==, -EBADF);
    g_assert_cmpint(client_walk(c, 3, 4, "", NULL, NULL), ==, -EBADF);
    g_assert_cmpint(client_open(c, 3, 0), ==, -EBADF);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 3, "name"), ==, -EBADF);
    g_assert_cmpint(client_rename(c, 3, SHARE_ROOT, "name"), ==, -EBADF);
    g_assert_cmpint(client_walk_xattr(c, 3, 4, "user.a"), ==, -EBADF);
    g_assert_cmpint(client_create_xattr(c, 3, "user.b", 1, 0), ==, -EBADF);
    g_assert_cmpint(client_walk_xattr(c, FILE_FID, 3, "user.a"), ==, -EBADF);
    g_assert_cmpint(client_walk_xattr(c, FILE_FID, FILE_FID, "user.a"), ==, -EBADF);
    g_assert_cmpuint(n_live(s), ==, 1);
    g_assert_cmpint(client_remove(c, 3), ==, -EBADF);
    expect_nothing_live(s);

    g_assert_cmpint(client_walk(c, FILE_FID, 3, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create_xattr(c, 3, "user.b", 1, 0), ==, 0);
    g_assert_cmpint(client_read(c, 3, 0, 1, value), ==, -EBADF);
    g_assert_cmpint(client_write(c, 3, 0, "w", 1), ==, 1);
    g_assert_cmpint(client_remove(c, 3), ==, -EBADF); /* the value is not stored */
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "user.b", value, sizeof(value)), ==, -ENODATA);
    g_assert_true(client_has_fid(c, FILE_FID));

    g_assert_cmpint(client_open(c, FILE_FID, P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_create_xattr(c, FILE_FID, "user.b", 1, 0), ==, -EINVAL);
    g_assert_cmpint(client_get_xattr(c, FILE_FID, "user.a", value, sizeof(value)), ==, 1);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.b", "v", 1, 0), ==,
                    0); /* through a clone */
    g_assert_cmpint(client_walk_xattr(c, 99, 3, "user.a"), ==, -ENOENT);
    g_assert_cmpint(client_create_xattr(c, 99, "user.a", 1, 0), ==, -ENOENT);
    expect_nothing_live(s);
}

/* As QEMU's test of that name. */
static void fill(Share *s, unsigned n, uint32_t size)
{
    g_autofree char *value = g_malloc0(size);
    Client *c = &s->client;

    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(client_walk(c, SHARE_ROOT, 100 + i, "file", NULL, NULL), ==, 0);
        g_assert_cmpint(client_create_xattr(c, 100 + i, "user.a", size, 0), ==, 0);
        g_assert_cmpint(client_write(c, 100 + i, 0, value, size), ==, size);
    }
    g_assert_cmpuint(n_live(s), ==, n);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 100 + n, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create_xattr(c, 100 + n, "user.a", size, 0), ==, -ENOSPC);
    g_assert_cmpuint(n_live(s), ==, n);
}

static void test_limit(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    if (!begin(s))
        return;
    fill(s, LIMIT, LIMIT_VALUE);
    g_assert_cmpint(client_walk_xattr(c, FILE_FID, 3, ""), ==, -ENOSPC);
    g_assert_true(client_has_fid(c, 100 + LIMIT));
    for (unsigned i = 0; i < LIMIT; i++) {
        int error = client_clunk(c, 100 + i);
        g_assert_true(error == 0 || error == -ENOSPC); /* the latter of the disk's file system */
    }
    expect_nothing_live(s);
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.b", "v", 1, 0), ==, 0);
}

static void test_limit_of_bytes(Share *s, gconstpointer unused)
{
    (void)unused;
    if (!begin(s))
        return;
    fill(s, 256, MAX_VALUE);
    for (unsigned i = 0; i < 256; i++)
        client_clunk(&s->client, 100 + i);
    expect_nothing_live(s);
}

static void test_reset_drops_all(Share *s, gconstpointer unused)
{
    char value[8];

    (void)unused;
    if (!begin(s))
        return;
    fill(s, LIMIT, 1);
    client_start(&s->client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
    expect_nothing_live(s);
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, FILE_FID, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_get_xattr(&s->client, FILE_FID, "user.a", value, sizeof(value)), ==,
                    -ENODATA);
}

/*
 * Cancellation and malformed messages
 */

/* Either the reply comes and newfid is there, or neither. */
static void test_flush(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    unsigned answered = 0;

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(client_set_xattr(c, FILE_FID, "user.a", "v", 1, 0), ==, 0);
    for (unsigned i = 0; i < 200; i++) {
        g_autofree TestReply *reply = NULL;
        g_autofree TestReply *flushed = NULL;

        client_send(s->ts, 7, P9_TXATTRWALK, "dds", FILE_FID, 3, "user.a");
        client_send_on(s->ts, i % SHARE_CHANNELS, 8, P9_TFLUSH, "w", 7);
        flushed = test_session_await(s->ts, i % SHARE_CHANNELS, 8, 20000);
        g_assert_nonnull(flushed);
        reply = test_session_await(s->ts, 0, 7, 0);
        answered += reply != NULL;
        g_assert_cmpint(client_clunk(c, 3), ==, reply ? 0 : -ENOENT);
        expect_nothing_live(s);
    }
    g_test_message("%u of 200 were answered", answered);
}

static void check_truncated(Share *s, uint8_t type, GByteArray *m)
{
    for (guint length = P9_HEADER_SIZE; length <= m->len + 1; length++) {
        g_autofree uint8_t *bytes = g_malloc0(m->len + 1);
        g_autofree TestReply *reply = NULL;

        if (length == m->len)
            continue;
        memcpy(bytes, m->data, MIN(length, m->len));
        write_header(bytes, length, type, 9);
        test_publish(s->ts, 0, bytes, length);
        reply = test_session_await(s->ts, 0, 9, 20000);
        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, P9_RLERROR);
        g_assert_cmpuint(reply->bytes[P9_HEADER_SIZE], ==, EINVAL);
    }
    g_byte_array_free(m, TRUE);
}

static void test_malformed(Share *s, gconstpointer unused)
{
    GByteArray *m;

    (void)unused;
    if (!begin(s))
        return;
    m = message_new(P9_TXATTRWALK, 9, "dds", FILE_FID, 3, "user.a");
    check_truncated(s, P9_TXATTRWALK, m);
    m = message_new(P9_TXATTRCREATE, 9, "dsqd", FILE_FID, "user.a", (uint64_t)1, 0);
    check_truncated(s, P9_TXATTRCREATE, m);
    m = message_new(P9_TXATTRWALK, 9, "dds", FILE_FID, 3, "user.a");
    m->data[m->len - 1] = '\0'; /* in the name */
    test_publish(s->ts, 0, m->data, m->len);
    g_byte_array_free(m, TRUE);
    g_autofree TestReply *reply = test_session_await(s->ts, 0, 9, 20000);
    g_assert_cmpuint(reply->type, ==, P9_RLERROR);
    g_assert_cmpuint(reply->bytes[P9_HEADER_SIZE], ==, EINVAL);
    expect_nothing_live(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test_for_models("/xattr/set-get-list-remove", test_set_get_list_remove);
    share_add_test_for_models("/xattr/empty-value-is-not-removal", test_empty_value_is_not_removal);
    share_add_test_for_models("/xattr/create-and-replace", test_create_and_replace);
    share_add_test_for_models("/xattr/length-is-checked-at-clunk", test_length_is_checked_at_clunk);
    share_add_test_for_models("/xattr/snapshot", test_snapshot);
    share_add_test_for_models("/xattr/large-values", test_large_values);
    share_add_test_for_models("/xattr/long-and-empty-names", test_long_and_empty_names);
    share_add_test_for_models("/xattr/long-list", test_long_list);
    share_add_test("/xattr/trusted-is-listed-for-root", test_trusted_is_listed_for_root);
    share_add_test("/xattr/none-has-no-acl", test_none_has_no_acl);
    share_add_test("/xattr/passthrough-has-acl", test_passthrough_has_acl);
    share_add_test("/xattr/types-of-files", test_types_of_files);
    share_add_test("/xattr/old-kernel", test_old_kernel);
    share_add_test_for_models("/xattr/renamed-and-unlinked", test_renamed_and_unlinked);
    share_add_test_for_models("/xattr/what-an-xattr-fid-is-good-for",
                              test_what_an_xattr_fid_is_good_for);
    share_add_test_for_models("/xattr/limit", test_limit);
    share_add_test_for_models("/xattr/limit-of-bytes", test_limit_of_bytes);
    share_add_test_for_models("/xattr/reset-drops-all", test_reset_drops_all);
    share_add_test_for_models("/xattr/flush", test_flush);
    share_add_test_for_models("/xattr/malformed", test_malformed);
    return g_test_run();
}
