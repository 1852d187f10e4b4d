/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: directories with the sticky bit. */
#include "tests/posix/suite.h"

/* A sticky directory for all with a file of alice's and a directory of hers. */
static void begin(void)
{
    EQ(0, make_dir("d", 01777));
    EQ(0, make_file("d/f", 0666));
    EQ(0, give("d/f", &alice, ALICE_GID, 0666));
    EQ(0, make_dir("d/e", 0777));
    EQ(0, give("d/e", &alice, ALICE_GID, 0777));
}

CASE(others_cannot_remove, REPRESENTATIVE)
{
    begin();
    as(&bob);
    IS_EITHER(-EPERM, -EACCES, unlink, "d/f");
    IS_EITHER(-EPERM, -EACCES, rmdir, "d/e");
    EQ(1, content_is("d/f", "hello"));
}

CASE(the_owner_can_remove, REPRESENTATIVE)
{
    begin();
    as(&alice);
    IS(0, unlink, "d/f");
    IS(0, rmdir, "d/e");
}

CASE(the_directorys_owner_can_remove, 0)
{
    begin();
    EQ(0, give("d", &bob, BOB_GID, 01777));
    as(&carol);
    IS_EITHER(-EPERM, -EACCES, unlink, "d/f");
    as(&bob);
    IS(0, unlink, "d/f");
    IS(0, rmdir, "d/e");
}

CASE(root_can_remove, 0)
{
    begin();
    IS(0, unlink, "d/f");
    IS(0, rmdir, "d/e");
}

CASE(others_cannot_rename, REPRESENTATIVE)
{
    begin();
    as(&bob);
    IS_EITHER(-EPERM, -EACCES, rename, "d/f", "d/g");
    IS_EITHER(-EPERM, -EACCES, rename, "d/f", "g");
    IS_EITHER(-EPERM, -EACCES, rename, "d/e", "d/h");
    as(&alice);
    IS(0, rename, "d/f", "d/g");
    IS(0, rename, "d/e", "h");
}

CASE(others_cannot_replace, 0)
{
    begin();
    as(&bob);
    EQ(0, make_file("d/b", 0644));
    EQ(0, make_file("b", 0644));
    IS_EITHER(-EPERM, -EACCES, rename, "d/b", "d/f");
    IS_EITHER(-EPERM, -EACCES, rename, "b", "d/f");
    as(&alice);
    IS_EITHER(-EPERM, -EACCES, rename, "d/f", "d/b");
}

CASE(everybody_can_create, 0)
{
    begin();
    as(&bob);
    EQ(0, make_file("d/b", 0644));
    IS(0, mkdir, "d/c", 0755);
    IS(0, link, "d/b", "d/b2");
    IS(0, symlink, "x", "d/l");
    IS(0, rename, "d/b", "d/b3");
    IS(0, unlink, "d/l");
    EQ(BOB_UID, uid_of("d/b3"));
}

CASE(a_group_does_not_help, 0)
{
    begin();
    EQ(0, give("d/f", &alice, STAFF_GID, 0666));
    EQ(0, give("d", &root, STAFF_GID, 01770));
    as(&bob);
    IS_EITHER(-EPERM, -EACCES, unlink, "d/f");
    EQ(2, write_text("d/f", 0, "ok"));
}
