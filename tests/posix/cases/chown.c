/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: chown(), lchown(), fchown(). */
#include "tests/posix/suite.h"

#define SAME ((uid_t)-1)

CASE(root_sets_both, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, chown, "f", ALICE_UID, BOB_GID);
    EQ(ALICE_UID, uid_of("f"));
    EQ(BOB_GID, gid_of("f"));
    EQ(0644, mode_of("f"));
    IS(0, chown, "f", SAME, STAFF_GID);
    EQ(ALICE_UID, uid_of("f"));
    EQ(STAFF_GID, gid_of("f"));
    IS(0, chown, "f", BOB_UID, SAME);
    EQ(BOB_UID, uid_of("f"));
    EQ(STAFF_GID, gid_of("f"));
}

CASE(works_on_every_type, 0)
{
    EQ(0, make_dir("d", 0755));
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(0, mknod, "socket", S_IFSOCK | 0644, 0);
    IS(0, mknod, "device", S_IFBLK | 0644, 0x107);
    IS(0, chown, "d", ALICE_UID, ALICE_GID);
    IS(0, chown, "fifo", ALICE_UID, ALICE_GID);
    IS(0, chown, "socket", ALICE_UID, ALICE_GID);
    IS(0, chown, "device", ALICE_UID, ALICE_GID);
    EQ(ALICE_UID, uid_of("d"));
    EQ(ALICE_GID, gid_of("fifo"));
    EQ(ALICE_UID, uid_of("socket"));
    EQ(ALICE_GID, gid_of("device"));
}

CASE(takes_large_ids, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, chown, "f", 4294967294u, 4294967294u);
    EQ(4294967294l, uid_of("f"));
    EQ(4294967294l, gid_of("f"));
    IS(0, chown, "f", 65535, 65536);
    EQ(65535, uid_of("f"));
    EQ(65536, gid_of("f"));
}

CASE(follows_symlinks, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, chown, "link", ALICE_UID, ALICE_GID);
    EQ(ALICE_UID, uid_of("f"));
    EQ(0, uid_of("link"));
    IS(0, symlink, "none", "dangling");
    IS(-ENOENT, chown, "dangling", ALICE_UID, ALICE_GID);
}

CASE(of_a_symlink_itself, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, lchown, "link", ALICE_UID, BOB_GID);
    EQ(0, uid_of("f"));
    EQ(ALICE_UID, uid_of("link"));
    EQ(BOB_GID, gid_of("link"));
    IS(0, symlink, "none", "dangling");
    IS(0, lchown, "dangling", BOB_UID, BOB_GID);
    EQ(BOB_UID, uid_of("dangling"));
}

CASE(through_a_descriptor, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDONLY, 0);
    IS(0, fchown, fd, ALICE_UID, ALICE_GID);
    EQ(ALICE_UID, uid_of("f"));
    IS(0, unlink, "f");
    IS(0, fchown, fd, BOB_UID, BOB_GID);
    IS(0, close, fd);
    IS(-EBADF, fchown, fd, 0, 0);
}

CASE(users_cannot_give_files_away, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, ALICE_GID, 0666));
    as(&alice);
    IS(-EPERM, chown, "f", BOB_UID, SAME);
    IS(-EPERM, chown, "f", 0, SAME);
    IS(-EPERM, chown, "f", BOB_UID, STAFF_GID);
    EQ(ALICE_UID, uid_of("f"));
    EQ(ALICE_GID, gid_of("f"));
    IS(0, chown, "f", ALICE_UID, SAME);
}

CASE(owners_choose_among_their_groups, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, OTHER_GID, 0644));
    as(&alice);
    IS(0, chown, "f", SAME, OTHER_GID);
    IS(0, chown, "f", SAME, STAFF_GID);
    EQ(STAFF_GID, gid_of("f"));
    IS(0, chown, "f", ALICE_UID, ALICE_GID);
    EQ(ALICE_GID, gid_of("f"));
    IS(-EPERM, chown, "f", SAME, OTHER_GID);
    IS(-EPERM, chown, "f", SAME, 0);
}

CASE(is_for_the_owner_and_root, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, STAFF_GID, 0666));
    as(&bob);
    IS(-EPERM, chown, "f", BOB_UID, BOB_GID);
    IS(-EPERM, chown, "f", SAME, BOB_GID);
    IS(-EPERM, chown, "f", SAME, STAFF_GID);
    IS(-EPERM, chown, "f", ALICE_UID, SAME);
    SHOW(chown, "f", SAME, SAME);
    EQ(ALICE_UID, uid_of("f"));
    EQ(STAFF_GID, gid_of("f"));
}

CASE(clears_set_id_bits, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, ALICE_GID, 06755));
    as(&alice);
    IS(0, chown, "f", SAME, STAFF_GID);
    EQ(0755, mode_of("f"));
    EQ(0, give("f", &alice, STAFF_GID, 06710));
    IS(0, chown, "f", ALICE_UID, STAFF_GID);
    EQ(0710, mode_of("f"));
    EQ(0, give("f", &alice, STAFF_GID, 04700));
    IS(0, chown, "f", SAME, ALICE_GID);
    EQ(0700, mode_of("f"));
}

CASE(clears_set_id_bits_also_for_root, 0)
{
    EQ(0, make_file("f", 06755));
    IS(0, chown, "f", ALICE_UID, ALICE_GID);
    EQ(0755, mode_of("f"));
    IS(0, chmod, "f", 06755);
    IS(0, chown, "f", SAME, SAME);
    EQ(0755, mode_of("f"));
    IS(0, chmod, "f", 02644); /* not executable for the group: the bit is not a set-id bit */
    IS(0, chown, "f", BOB_UID, BOB_GID);
    EQ(02644, mode_of("f"));
}

CASE(leaves_the_bits_of_directories, 0)
{
    EQ(0, make_dir("d", 07775));
    IS(0, chown, "d", ALICE_UID, STAFF_GID);
    EQ(07775, mode_of("d"));
    as(&alice);
    IS(0, chown, "d", SAME, ALICE_GID);
    EQ(07775, mode_of("d"));
}

CASE(moves_the_ctime, HAS_FINE_TIMES)
{
    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    IS(0, chown, "f", ALICE_UID, SAME);
    EQ(CTIME, moved("f"));
    EQ(0, age("f"));
    as(&bob);
    IS(-EPERM, chown, "f", BOB_UID, SAME);
    EQ(0, moved("f"));
}

CASE(takes_effect_at_once, 0)
{
    EQ(0, make_file("f", 0600));
    as(&alice);
    IS(-EACCES, open, "f", O_RDONLY, 0);
    as(&root);
    IS(0, chown, "f", ALICE_UID, ALICE_GID);
    as(&alice);
    EQ(1, content_is("f", "hello"));
}

CASE(path_errors, 0)
{
    PATH_ERRORS(chown, 0, 0);
    IS(-ENOENT, chown, "none", 0, 0);
    IS(-ELOOP, chown, "loop", 0, 0);
    IS(-ENOTDIR, chown, "file/", 0, 0);
}

CASE(path_errors_of_lchown, 0)
{
    PATH_ERRORS(lchown, 0, 0);
    IS(-ENOENT, lchown, "none", 0, 0);
    IS(0, lchown, "loop", 0, 0);
}
