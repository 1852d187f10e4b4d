/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The security model mapped-xattr: its format, byte for byte, in both directions. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/lib/share.h"
#include "tests/lib/xattr_client.h"

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void assert_same(const void *got, ssize_t length, const void *bytes, size_t size)
{
    g_assert_cmpint(length, ==, (ssize_t)size);
    g_assert_true(memcmp(got, bytes, size) == 0);
}

static void put(const Share *s, const char *name, const char *attr, const uint8_t *bytes,
                size_t size)
{
    g_autofree char *path = share_path(s, name);

    g_assert_cmpint(setxattr(path, attr, bytes, size, 0), ==, 0);
}

static void expect(const Share *s, const char *name, const char *attr, const uint8_t *bytes,
                   size_t size)
{
    g_autofree char *path = share_path(s, name);
    uint8_t got[64];
    ssize_t length = getxattr(path, attr, got, sizeof(got));

    assert_same(got, length, bytes, size);
}

/* The host has these attributes of the server's and no others. */
static void expect_names(const Share *s, const char *name, unsigned n)
{
    g_autofree char *path = share_path(s, name);
    char list[512];
    ssize_t size = listxattr(path, list, sizeof(list));
    unsigned found = 0;

    for (ssize_t i = 0; i < size; i += (ssize_t)strlen(list + i) + 1)
        found += g_str_has_prefix(list + i, "user.") ? 1 : 0;
    g_assert_cmpuint(found, ==, n);
}

static void walk(Share *s, uint32_t fid, const char *name)
{
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, fid, name, NULL, NULL), ==, 0);
}

static struct stat see(Share *s, const char *name)
{
    struct stat st;

    g_assert_true(share_see(s, name, &st));
    return st;
}

/* As QEMU leaves it behind. */
static void test_tree_of_qemu(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    char target[4096];
    struct stat st;

    (void)unused;
    share_put(s, "file", "text");
    put(s, "file", "user.virtfs.uid", BYTES(0xe9, 0x03, 0, 0));
    put(s, "file", "user.virtfs.gid", BYTES(0xfe, 0xff, 0xff, 0xff));
    put(s, "file", "user.virtfs.mode", BYTES(0xed, 0x89, 0, 0));
    st = see(s, "file");
    g_assert_cmpuint(st.st_uid, ==, 1001);
    g_assert_cmpuint(st.st_gid, ==, 0xfffffffe);
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 04755);

    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    put(s, "dir", "user.virtfs.mode", BYTES(0xff, 0x43, 0, 0));
    st = see(s, "dir");
    g_assert_cmphex(st.st_mode, ==, S_IFDIR | 01777);
    g_assert_cmpuint(st.st_uid, ==, geteuid()); /* not kept: the host's */

    share_put(s, "dir/link", "../where/to");
    put(s, "dir/link", "user.virtfs.mode", BYTES(0xff, 0xa1, 0, 0));
    walk(s, 1, "dir/link");
    g_assert_cmpint(client_readlink(&s->client, 1, target), ==, 0);
    g_assert_cmpstr(target, ==, "../where/to");

    share_put(s, "disk", "");
    put(s, "disk", "user.virtfs.mode", BYTES(0xb0, 0x61, 0, 0));
    put(s, "disk", "user.virtfs.rdev", BYTES(0x34, 0x12, 0xa0, 0, 0, 0, 0, 0));
    st = see(s, "disk");
    g_assert_cmphex(st.st_mode, ==, S_IFBLK | 0660);
    g_assert_cmpuint(st.st_rdev, ==, 0xa01234);
}

static void test_what_is_written(Share *s, gconstpointer unused)
{
    g_autofree char *text = NULL;
    Client *c = &s->client;
    FsChange change = {.valid = P9_SETATTR_UID | P9_SETATTR_MODE, .uid = 0x01020304, .mode = 01640};

    (void)unused;
    share_create(s, 1, "file", 04755);
    expect(s, "file", "user.virtfs.uid", BYTES(0xe8, 0x03, 0, 0));
    expect(s, "file", "user.virtfs.gid", BYTES(0xd0, 0x07, 0, 0));
    expect(s, "file", "user.virtfs.mode", BYTES(0xed, 0x89, 0, 0));
    expect_names(s, "file", 3);
    g_assert_cmpint(client_setattr(c, 1, &change), ==, 0);
    expect(s, "file", "user.virtfs.uid", BYTES(4, 3, 2, 1));
    expect(s, "file", "user.virtfs.gid", BYTES(0xd0, 0x07, 0, 0));
    expect(s, "file", "user.virtfs.mode", BYTES(0xa0, 0x83, 0, 0));
    expect_names(s, "file", 3);

    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0750, 1), ==, 0);
    expect(s, "dir", "user.virtfs.mode", BYTES(0xe8, 0x41, 0, 0));
    expect_names(s, "dir", 3);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "link", "a/b", 1), ==, 0);
    expect(s, "link", "user.virtfs.mode", BYTES(0xff, 0xa1, 0, 0));
    expect_names(s, "link", 3);
    text = share_get(s, "link");
    g_assert_cmpstr(text, ==, "a/b");
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "dev", S_IFCHR | 0600, 0x123, 0x45678, 1), ==, 0);
    expect(s, "dev", "user.virtfs.mode", BYTES(0x80, 0x21, 0, 0));
    expect(s, "dev", "user.virtfs.rdev", BYTES(0x78, 0x23, 0x61, 0x45, 0, 0, 0, 0));
    expect_names(s, "dev", 4);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "fifo", S_IFIFO | 0600, 0, 0, 1), ==, 0);
    expect(s, "fifo", "user.virtfs.rdev", BYTES(0, 0, 0, 0, 0, 0, 0, 0));
}

/* A change of one field leaves the others as they are, also when they are not kept. */
static void test_field_by_field(Share *s, gconstpointer unused)
{
    FsChange owner = {.valid = P9_SETATTR_GID, .gid = 5};

    (void)unused;
    share_put(s, "host", "");
    walk(s, 1, "host");
    g_assert_cmpint(client_setattr(&s->client, 1, &owner), ==, 0);
    expect(s, "host", "user.virtfs.gid", BYTES(5, 0, 0, 0));
    expect_names(s, "host", 1);
    g_assert_cmpuint(see(s, "host").st_uid, ==, geteuid());
}

/* Set-id bits that only the host knows of do not go to another owner. */
static void test_host_mode_with_set_id(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "host");
    FsChange owner = {.valid = P9_SETATTR_UID, .uid = 5};

    (void)unused;
    share_put(s, "host", "");
    g_assert_cmpint(g_chmod(path, 04755), ==, 0);
    walk(s, 1, "host");
    g_assert_cmphex(see(s, "host").st_mode, ==, S_IFREG | 04755);
    g_assert_cmpint(client_setattr(&s->client, 1, &owner), ==, 0);
    g_assert_cmphex(see(s, "host").st_mode, ==, S_IFREG | 0755);
    expect_names(s, "host", 2);
}

/* What somebody on the host has written is not believed beyond reason. */
static void test_strange_values(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    g_autofree char *fifo = share_path(s, "fifo");

    (void)unused;
    umask(022);
    share_put(s, "a", "");
    umask(0);
    put(s, "a", "user.virtfs.uid", BYTES(1, 0, 0));
    put(s, "a", "user.virtfs.gid", BYTES(1, 0, 0, 0, 0));
    put(s, "a", "user.virtfs.mode", BYTES(0));
    g_assert_cmpuint(see(s, "a").st_uid, ==, geteuid());
    g_assert_cmpuint(see(s, "a").st_gid, ==, getegid());
    g_assert_cmphex(see(s, "a").st_mode, ==, S_IFREG | 0644);
    put(s, "a", "user.virtfs.mode", BYTES(0xed, 0x41, 0, 0)); /* a file is no directory */
    g_assert_cmphex(see(s, "a").st_mode, ==, S_IFREG | 0755);
    put(s, "a", "user.virtfs.mode", BYTES(0xff, 0xff, 0xff, 0xff));
    g_assert_cmphex(see(s, "a").st_mode, ==, S_IFREG | 07777);
    put(s, "a", "user.virtfs.mode", BYTES(0xa4, 0x01, 0, 0)); /* without a type */
    g_assert_cmphex(see(s, "a").st_mode, ==, S_IFREG | 0644);

    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    put(s, "dir", "user.virtfs.mode", BYTES(0xff, 0xa1, 0, 0)); /* a directory is no symlink */
    g_assert_cmphex(see(s, "dir").st_mode, ==, S_IFDIR | 0777);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmphex(see(s, "fifo").st_mode, ==, S_IFIFO | 0600);
}

/* A real symlink of the host is one for the guest, too. */
static void test_real_symlink(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "link");
    char target[4096];

    (void)unused;
    g_assert_cmpint(symlink("../outside/secret", path), ==, 0);
    walk(s, 1, "link");
    g_assert_cmpint(client_readlink(&s->client, 1, target), ==, 0);
    g_assert_cmpstr(target, ==, "../outside/secret");
    g_assert_cmpint(client_open(&s->client, 1, 0), ==, -ELOOP);
}

/* Another program's change shows at once. */
static void test_changed_behind_the_back(Share *s, gconstpointer unused)
{
    (void)unused;
    share_create(s, 1, "file", 0644);
    put(s, "file", "user.virtfs.mode", BYTES(0xed, 0x89, 0, 0));
    g_assert_cmphex(see(s, "file").st_mode, ==, S_IFREG | 04755);
    g_assert_cmpint(client_write(&s->client, 1, 0, "text", 4), ==, 4);
    g_assert_cmphex(see(s, "file").st_mode, ==, S_IFREG | 0755);
}

static const uint8_t acl[] = {
    2, 0, 0,    0,    1,    0,    6,  0, 0xff, 0xff, 0xff, 0xff, 2,    0,    4,
    0, 1, 0,    0,    0,    4,    0,  4, 0,    0xff, 0xff, 0xff, 0xff, 16,   0,
    4, 0, 0xff, 0xff, 0xff, 0xff, 32, 0, 0,    0,    0xff, 0xff, 0xff, 0xff,
};

static void check_acl(Share *s, uint32_t fid, const char *file, const char *name)
{
    g_autofree char *own = g_strconcat("user.virtfs.", name, NULL);
    g_autofree char *path = share_path(s, file);
    Client *c = &s->client;
    char got[256];
    ssize_t size;

    g_assert_cmpint(client_get_xattr(c, fid, name, got, sizeof(got)), ==, -ENODATA);
    g_assert_cmpint(client_remove_xattr(c, fid, name), ==, 0);
    g_assert_cmpint(client_set_xattr(c, fid, name, acl, sizeof(acl), 0), ==, 0);
    expect(s, file, own, acl, sizeof(acl));
    g_assert_cmpint(getxattr(path, name, got, sizeof(got)), ==, -1); /* no ACL here */
    size = client_get_xattr(c, fid, name, got, sizeof(got));
    assert_same(got, size, acl, sizeof(acl));
    size = client_get_xattr(c, fid, "", got, sizeof(got));
    assert_same(got, size, name, strlen(name) + 1);
    g_assert_cmpint(client_remove_xattr(c, fid, name), ==, 0);
    g_assert_cmpint(client_get_xattr(c, fid, "", got, sizeof(got)), ==, 0);
}

static void test_acls(Share *s, gconstpointer unused)
{
    (void)unused;
    share_create(s, 1, "file", 0640);
    g_assert_cmpint(client_mkdir(&s->client, SHARE_ROOT, "dir", 0750, 0), ==, 0);
    walk(s, 2, "dir");
    check_acl(s, 1, "file", "system.posix_acl_access");
    check_acl(s, 2, "dir", "system.posix_acl_access");
    check_acl(s, 2, "dir", "system.posix_acl_default");
}

/* Inheriting them is the client's business. */
static void test_default_acl_is_not_inherited(Share *s, gconstpointer unused)
{
    char got[256];

    (void)unused;
    g_assert_cmpint(
        client_set_xattr(&s->client, SHARE_ROOT, "system.posix_acl_default", acl, sizeof(acl), 0),
        ==, 0);
    share_create(s, 1, "file", 0640);
    g_assert_cmphex(see(s, "file").st_mode, ==, S_IFREG | 0640);
    g_assert_cmpint(client_get_xattr(&s->client, 1, "", got, sizeof(got)), ==, 0);
}

/* An ACL that the host has there is not the guest's. */
static void test_acl_of_the_host(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    char got[256];

    (void)unused;
    share_create(s, 1, "file", 0640);
    if (setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0) != 0) {
        g_test_skip("no ACLs here");
        return;
    }
    g_assert_cmpint(client_get_xattr(&s->client, 1, "", got, sizeof(got)), ==, 0);
    g_assert_cmpint(client_get_xattr(&s->client, 1, "system.posix_acl_access", got, sizeof(got)),
                    ==, -ENODATA);
}

static void test_export_without_attributes(void)
{
    ExportOptions options = export_default_options;
    const char *why = NULL;
    Fs *fs;

    options.model = MODEL_MAPPED_XATTR;
    g_assert_cmpint(local_fs_new("/proc", &options, &fs, &why), ==, -EOPNOTSUPP);
    g_assert_true(strstr(why, "attributes") != NULL);
}

static void add(const char *name, ShareTest *test)
{
    share_add_test_with_model(name, MODEL_MAPPED_XATTR, test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/mapped-xattr/tree-of-qemu", test_tree_of_qemu);
    add("/mapped-xattr/what-is-written", test_what_is_written);
    add("/mapped-xattr/field-by-field", test_field_by_field);
    add("/mapped-xattr/host-mode-with-set-id", test_host_mode_with_set_id);
    add("/mapped-xattr/strange-values", test_strange_values);
    add("/mapped-xattr/real-symlink", test_real_symlink);
    add("/mapped-xattr/changed-behind-the-back", test_changed_behind_the_back);
    add("/mapped-xattr/acls", test_acls);
    add("/mapped-xattr/default-acl-is-not-inherited", test_default_acl_is_not_inherited);
    add("/mapped-xattr/acl-of-the-host", test_acl_of_the_host);
    g_test_add_func("/mapped-xattr/export-without-attributes", test_export_without_attributes);
    return g_test_run();
}
