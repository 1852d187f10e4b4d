/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: directories with the set-group-id bit. */
#include "tests/posix/suite.h"

/* Where everybody makes things for group staff. */
static void begin(void)
{
    EQ(0, make_dir("d", 0777));
    IS(0, chown, "d", (uid_t)-1, STAFF_GID);
    IS(0, chmod, "d", 02777);
}

CASE(files_get_the_group, REPRESENTATIVE)
{
    begin();
    as(&carol);
    FD(open, "d/f", O_RDWR | O_CREAT, 0644);
    EQ(STAFF_GID, gid_of("d/f"));
    EQ(CAROL_UID, uid_of("d/f"));
    EQ(0644, mode_of("d/f"));
}

CASE(directories_get_the_group_and_the_bit, REPRESENTATIVE)
{
    begin();
    as(&carol);
    IS(0, mkdir, "d/e", 0755);
    EQ(STAFF_GID, gid_of("d/e"));
    EQ(02755, mode_of("d/e"));
    IS(0, mkdir, "d/e/e", 0700);
    EQ(STAFF_GID, gid_of("d/e/e"));
    EQ(02700, mode_of("d/e/e"));
}

CASE(special_files_get_the_group, 0)
{
    begin();
    as(&carol);
    IS(0, mknod, "d/fifo", S_IFIFO | 0644, 0);
    EQ(STAFF_GID, gid_of("d/fifo"));
    IS(0, mknod, "d/socket", S_IFSOCK | 0644, 0);
    EQ(STAFF_GID, gid_of("d/socket"));
    IS(0, symlink, "x", "d/link");
    EQ(STAFF_GID, gid_of("d/link"));
}

CASE(also_for_root, 0)
{
    begin();
    EQ(0, make_file("d/f", 0644));
    EQ(STAFF_GID, gid_of("d/f"));
    IS(0, mkdir, "d/e", 0755);
    EQ(STAFF_GID, gid_of("d/e"));
    EQ(02755, mode_of("d/e"));
}

CASE(only_members_make_setgid_files, 0)
{
    begin();
    as(&carol);
    FD(open, "d/f", O_RDWR | O_CREAT, 02755);
    EQ(0755, mode_of("d/f"));
    as(&alice);
    FD(open, "d/g", O_RDWR | O_CREAT, 02755);
    EQ(02755, mode_of("d/g"));
    as(&root);
    FD(open, "d/h", O_RDWR | O_CREAT, 02755);
    EQ(02755, mode_of("d/h"));
}

CASE(not_what_is_moved_there, 0)
{
    begin();
    EQ(0, make_file("f", 0644));
    IS(0, rename, "f", "d/f");
    EQ(0, gid_of("d/f"));
    EQ(0, make_dir("e", 0755));
    IS(0, rename, "e", "d/e");
    EQ(0, gid_of("d/e"));
    EQ(0755, mode_of("d/e"));
}

CASE(without_the_bit_the_process_decides, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0777));
    IS(0, chown, "d", (uid_t)-1, STAFF_GID);
    as(&alice);
    FD(open, "d/f", O_RDWR | O_CREAT, 0644);
    EQ(ALICE_GID, gid_of("d/f"));
    IS(0, mkdir, "d/e", 0755);
    EQ(ALICE_GID, gid_of("d/e"));
    EQ(0755, mode_of("d/e"));
}
