/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: access permissions, as faccessat() with effective ids tells them. */
#include "tests/posix/suite.h"

CASE(of_a_user, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, ALICE_GID, 0640));
    as(&alice);
    IS(0, access, "f", F_OK);
    IS(0, access, "f", R_OK | W_OK);
    IS(-EACCES, access, "f", X_OK);
    as(&bob);
    IS(0, access, "f", F_OK);
    IS(-EACCES, access, "f", R_OK);
    IS(-EACCES, access, "f", W_OK);
}

CASE(of_groups, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &root, STAFF_GID, 0050));
    as(&alice);
    IS(0, access, "f", R_OK | X_OK);
    IS(-EACCES, access, "f", W_OK);
    as(&carol);
    IS(-EACCES, access, "f", R_OK);
}

CASE(of_root, 0)
{
    EQ(0, make_file("f", 0));
    IS(0, access, "f", R_OK | W_OK);
    IS(-EACCES, access, "f", X_OK);
    IS(0, chmod, "f", 0010);
    IS(0, access, "f", X_OK);
    EQ(0, make_dir("d", 0));
    IS(0, access, "d", R_OK | W_OK | X_OK);
}

CASE(follows_symlinks, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, symlink, "none", "dangling");
    IS(0, access, "link", R_OK);
    IS(-ENOENT, access, "dangling", F_OK);
}

CASE(every_directory_on_the_way_counts, REPRESENTATIVE)
{
    EQ(0, make_dir("a", 0755));
    EQ(0, make_dir("a/b", 0755));
    EQ(0, make_dir("a/b/c", 0755));
    EQ(0, make_file("a/b/c/f", 0644));
    as(&alice);
    IS(0, access, "a/b/c/f", R_OK);
    EQ(0, give("a/b", &root, 0, 0700));
    IS(-EACCES, access, "a/b/c/f", R_OK);
    IS(-EACCES, access, "a/b/none", F_OK);
    IS(0, access, "a/b", F_OK);
    EQ(0, give("a/b", &root, 0, 0711));
    IS(0, access, "a/b/c/f", R_OK);
}

CASE(path_errors, 0)
{
    PATH_ERRORS(access, F_OK);
    IS(-ENOENT, access, "none", F_OK);
    IS(-ELOOP, access, "loop", F_OK);
    IS(-ENOTDIR, access, "file/", F_OK);
}
