/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: extended attributes. */
#include <stdlib.h>
#include <sys/xattr.h>

#include "tests/posix/suite.h"

enum { LARGEST = 65536 };

static char buffer[LARGEST + 1];

static long value_is(const char *path, const char *name, const char *value)
{
    long got = CALL(getxattr, path, name, buffer, LARGEST);

    return got < 0 ? got : got == (long)strlen(value) && memcmp(buffer, value, (size_t)got) == 0;
}

/* Whether the list has a name; names of the system are nobody's business here. */
static long lists(const char *path, const char *name)
{
    long size = CALL(listxattr, path, buffer, LARGEST);

    for (long i = 0; i < size; i += (long)strlen(buffer + i) + 1) {
        if (strcmp(buffer + i, name) == 0)
            return 1;
    }
    return size < 0 ? size : 0;
}

CASE(set_get_list_remove, HAS_XATTRS | REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(-ENODATA, getxattr, "f", "user.a", buffer, 10);
    IS(0, setxattr, "f", "user.a", "one", 3, 0);
    EQ(1, value_is("f", "user.a", "one"));
    IS(0, setxattr, "f", "user.a", "three", 5, 0);
    EQ(1, value_is("f", "user.a", "three"));
    IS(0, setxattr, "f", "user.b", "2", 1, 0);
    EQ(1, lists("f", "user.a"));
    EQ(1, lists("f", "user.b"));
    IS(0, removexattr, "f", "user.a");
    EQ(0, lists("f", "user.a"));
    IS(-ENODATA, removexattr, "f", "user.a");
    IS(-ENODATA, getxattr, "f", "user.a", buffer, 10);
    EQ(1, value_is("f", "user.b", "2"));
}

CASE(sizes, HAS_XATTRS | REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, setxattr, "f", "user.a", "12345", 5, 0);
    IS(5, getxattr, "f", "user.a", NULL, 0);
    IS(5, getxattr, "f", "user.a", buffer, 5);
    IS(-ERANGE, getxattr, "f", "user.a", buffer, 4);
    IS(-ERANGE, listxattr, "f", buffer, 3);
    EQ(1, CALL(listxattr, "f", NULL, 0) >= 7);
}

CASE(an_empty_value_is_a_value, HAS_XATTRS | REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, setxattr, "f", "user.a", "", 0, 0);
    IS(0, getxattr, "f", "user.a", buffer, 10);
    EQ(1, lists("f", "user.a"));
    IS(0, setxattr, "f", "user.b", "", 0, XATTR_CREATE);
    IS(0, getxattr, "f", "user.b", NULL, 0);
}

CASE(an_empty_value_replaces, HAS_XATTRS)
{
    EQ(0, make_file("f", 0644));
    IS(0, setxattr, "f", "user.a", "x", 1, 0);
    IS(0, setxattr, "f", "user.a", "", 0, XATTR_REPLACE);
    IS(0, getxattr, "f", "user.a", buffer, 10);
}

CASE(create_and_replace, HAS_XATTRS)
{
    EQ(0, make_file("f", 0644));
    IS(-ENODATA, setxattr, "f", "user.a", "1", 1, XATTR_REPLACE);
    IS(0, setxattr, "f", "user.a", "1", 1, XATTR_CREATE);
    IS(-EEXIST, setxattr, "f", "user.a", "2", 1, XATTR_CREATE);
    EQ(1, value_is("f", "user.a", "1"));
    IS(0, setxattr, "f", "user.a", "3", 1, XATTR_REPLACE);
    EQ(1, value_is("f", "user.a", "3"));
    IS(-EINVAL, setxattr, "f", "user.a", "4", 1, 4);
}

CASE(values_hold_any_bytes, HAS_XATTRS)
{
    EQ(0, make_file("f", 0644));
    IS(0, setxattr, "f", "user.a", "\0\xff\n\0", 4, 0);
    IS(4, getxattr, "f", "user.a", buffer, 10);
    EQ(0, memcmp(buffer, "\0\xff\n\0", 4));
}

CASE(values_of_some_size, HAS_XATTRS)
{
    const char *value = text_of('v', 3000);

    EQ(0, make_file("f", 0644));
    IS(0, setxattr, "f", "user.large", value, 3000, 0);
    EQ(1, value_is("f", "user.large", value));
}

CASE(values_of_the_greatest_size, HAS_XATTRS)
{
    EQ(0, make_file("f", 0644));
    IS(-E2BIG, setxattr, "f", "user.large", text_of('v', LARGEST + 1), LARGEST + 1, 0);
    SHOW(setxattr, "f", "user.large", text_of('v', LARGEST), LARGEST, 0);
    SHOW(getxattr, "f", "user.large", buffer, LARGEST);
}

CASE(many, HAS_XATTRS)
{
    char name[32];

    EQ(0, make_file("f", 0644));
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "user.attribute%d", i);
        IS(0, setxattr, "f", name, name, 15, 0);
    }
    EQ(1, lists("f", "user.attribute0"));
    EQ(1, lists("f", "user.attribute39"));
    IS(15, getxattr, "f", "user.attribute20", buffer, 100);
}

CASE(names, HAS_XATTRS)
{
    char name[300];

    EQ(0, make_file("f", 0644));
    snprintf(name, sizeof(name), "user.%s", text_of('n', 250));
    IS(0, setxattr, "f", name, "x", 1, 0);
    EQ(1, value_is("f", name, "x"));
    snprintf(name, sizeof(name), "user.%s", text_of('n', 251));
    IS(-ERANGE, setxattr, "f", name, "x", 1, 0);
    IS(-ERANGE, getxattr, "f", name, buffer, 1);
    IS(-ERANGE, setxattr, "f", "", "x", 1, 0);
    IS(-EINVAL, setxattr, "f", "user.", "x", 1, 0);
    IS(-EOPNOTSUPP, setxattr, "f", "other.a", "x", 1, 0);
    IS(-EOPNOTSUPP, getxattr, "f", "other.a", buffer, 1);
    IS(-EOPNOTSUPP, setxattr, "f", "a", "x", 1, 0);
}

CASE(of_directories, HAS_XATTRS | REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    IS(0, setxattr, "d", "user.a", "x", 1, 0);
    EQ(1, value_is("d", "user.a", "x"));
    IS(0, rename, "d", "e");
    EQ(1, value_is("e", "user.a", "x"));
}

CASE(users_attributes_are_for_files_and_directories, HAS_XATTRS)
{
    IS(0, mknod, "fifo", S_IFIFO | 0666, 0);
    IS(0, symlink, "none", "link");
    IS(-EPERM, setxattr, "fifo", "user.a", "x", 1, 0);
    IS(-ENODATA, getxattr, "fifo", "user.a", buffer, 1);
    IS(-EPERM, lsetxattr, "link", "user.a", "x", 1, 0);
    IS(-ENODATA, lgetxattr, "link", "user.a", buffer, 1);
}

CASE(of_special_files_and_symlinks, HAS_XATTRS | REPRESENTATIVE)
{
    IS(0, mknod, "fifo", S_IFIFO | 0666, 0);
    IS(0, symlink, "fifo", "link");
    IS(0, setxattr, "fifo", "trusted.a", "x", 1, 0);
    EQ(1, value_is("fifo", "trusted.a", "x"));
    IS(0, lsetxattr, "link", "trusted.b", "y", 1, 0);
    IS(1, lgetxattr, "link", "trusted.b", buffer, 10);
    IS(-ENODATA, getxattr, "link", "trusted.b", buffer, 10);
}

CASE(permissions, HAS_XATTRS | REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, setxattr, "f", "user.a", "x", 1, 0);
    as(&alice);
    EQ(1, value_is("f", "user.a", "x"));
    IS(-EACCES, setxattr, "f", "user.a", "y", 1, 0);
    IS(-EACCES, removexattr, "f", "user.a");
    EQ(0, give("f", &root, STAFF_GID, 0620));
    IS(0, setxattr, "f", "user.a", "y", 1, 0);
    IS(-EACCES, getxattr, "f", "user.a", buffer, 10);
}

CASE(trusted_is_for_root, HAS_XATTRS)
{
    EQ(0, make_file("f", 0666));
    IS(0, setxattr, "f", "trusted.a", "x", 1, 0);
    EQ(1, value_is("f", "trusted.a", "x"));
    as(&alice);
    IS(-ENODATA, getxattr, "f", "trusted.a", buffer, 10);
    IS(-EPERM, setxattr, "f", "trusted.a", "y", 1, 0);
    IS(-EPERM, removexattr, "f", "trusted.a");
    EQ(0, lists("f", "trusted.a"));
}

CASE(capabilities_are_lost_by_writing, HAS_XATTRS)
{
    /* VFS_CAP_REVISION_2, effective; CAP_NET_RAW permitted */
    static const unsigned char capability[20] = {1, 0, 0, 2, 0, 0x20};

    EQ(0, make_file("f", 0755));
    IS(0, setxattr, "f", "security.capability", capability, 20, 0);
    IS(20, getxattr, "f", "security.capability", buffer, 100);
    EQ(2, write_text("f", 0, "xx"));
    IS(-ENODATA, getxattr, "f", "security.capability", buffer, 100);
    IS(0, setxattr, "f", "security.capability", capability, 20, 0);
    IS(0, chown, "f", ALICE_UID, ALICE_GID);
    IS(-ENODATA, getxattr, "f", "security.capability", buffer, 100);
    as(&alice);
    IS(-EPERM, setxattr, "f", "security.capability", capability, 20, 0);
}

CASE(through_a_descriptor, HAS_XATTRS | REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, fsetxattr, fd, "user.a", "x", 1, 0);
    EQ(1, value_is("f", "user.a", "x"));
    IS(0, unlink, "f");
    IS(1, fgetxattr, fd, "user.a", buffer, 10);
    IS(0, fsetxattr, fd, "user.b", "yy", 2, 0);
    IS(2, fgetxattr, fd, "user.b", buffer, 10);
}

CASE(of_all_names_of_a_file, HAS_XATTRS)
{
    EQ(0, make_file("f", 0644));
    IS(0, link, "f", "g");
    IS(0, setxattr, "f", "user.a", "x", 1, 0);
    EQ(1, value_is("g", "user.a", "x"));
    IS(0, symlink, "g", "link");
    EQ(1, value_is("link", "user.a", "x"));
}

CASE(sticky_directories_keep_theirs, HAS_XATTRS)
{
    EQ(0, make_dir("d", 01777));
    as(&alice);
    IS(-EPERM, setxattr, "d", "user.a", "x", 1, 0);
    as(&root);
    IS(0, setxattr, "d", "user.a", "x", 1, 0);
}

CASE(moves_the_ctime, HAS_XATTRS | HAS_FINE_TIMES)
{
    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    IS(0, setxattr, "f", "user.a", "x", 1, 0);
    EQ(CTIME, moved("f"));
    EQ(0, age("f"));
    IS(0, removexattr, "f", "user.a");
    EQ(CTIME, moved("f"));
    EQ(0, age("f"));
    IS(-ENODATA, removexattr, "f", "user.a");
    EQ(0, moved("f"));
}

CASE(path_errors, HAS_XATTRS)
{
    PATH_ERRORS(getxattr, "user.a", buffer, 10);
    IS(-ENOENT, setxattr, "none", "user.a", "x", 1, 0);
    IS(-ENOTDIR, setxattr, "file/f", "user.a", "x", 1, 0);
    IS(-ELOOP, listxattr, "loop", buffer, 10);
}
