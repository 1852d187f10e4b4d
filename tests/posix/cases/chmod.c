/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: chmod(), fchmod(). */
#include "tests/posix/suite.h"

CASE(sets_every_bit, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0600));
    IS(0, chmod, "f", 0);
    EQ(0, mode_of("f"));
    IS(0, chmod, "f", 0777);
    EQ(0777, mode_of("f"));
    IS(0, chmod, "f", 07777);
    EQ(07777, mode_of("f"));
    IS(0, chmod, "f", 0124);
    EQ(0124, mode_of("f"));
    EQ(S_IFREG, type_of("f"));
}

CASE(sets_every_bit_of_a_directory, 0)
{
    EQ(0, make_dir("d", 0755));
    IS(0, chmod, "d", 07777);
    EQ(07777, mode_of("d"));
    IS(0, chmod, "d", 01755);
    EQ(01755, mode_of("d"));
    IS(0, chmod, "d", 02755);
    EQ(02755, mode_of("d"));
    EQ(S_IFDIR, type_of("d"));
}

CASE(works_on_special_files, 0)
{
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(0, chmod, "fifo", 0700);
    EQ(0700, mode_of("fifo"));
    EQ(S_IFIFO, type_of("fifo"));
    IS(0, mknod, "socket", S_IFSOCK | 0644, 0);
    IS(0, chmod, "socket", 0711);
    EQ(0711, mode_of("socket"));
    IS(0, mknod, "null", S_IFCHR | 0644, 0x103);
    IS(0, chmod, "null", 0666);
    EQ(0666, mode_of("null"));
}

CASE(follows_symlinks, 0)
{
    EQ(0, make_file("f", 0600));
    IS(0, symlink, "f", "link");
    IS(0, chmod, "link", 0640);
    EQ(0640, mode_of("f"));
    EQ(S_IFLNK, type_of("link"));
    IS(0, symlink, "none", "dangling");
    IS(-ENOENT, chmod, "dangling", 0640);
}

CASE(through_a_descriptor, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0600));
    fd = FD(open, "f", O_RDONLY, 0);
    IS(0, fchmod, fd, 0751);
    EQ(0751, mode_of("f"));
    IS(0, unlink, "f");
    IS(0, fchmod, fd, 0700);
    IS(0, close, fd);
    IS(-EBADF, fchmod, fd, 0700);
}

CASE(is_for_the_owner_and_root, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, STAFF_GID, 0666));
    as(&alice);
    IS(0, chmod, "f", 0676);
    as(&bob);
    IS(-EPERM, chmod, "f", 0600);
    as(&carol);
    IS(-EPERM, chmod, "f", 0600);
    as(&root);
    EQ(0676, mode_of("f"));
    IS(0, chmod, "f", 0600);
    EQ(0600, mode_of("f"));
}

CASE(needs_ownership_also_through_a_descriptor, 0)
{
    int fd;

    EQ(0, make_file("f", 0666));
    as(&alice);
    fd = FD(open, "f", O_RDWR, 0);
    IS(-EPERM, fchmod, fd, 0777);
    EQ(0666, mode_of("f"));
}

CASE(drops_setgid_for_groups_one_is_not_in, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, OTHER_GID, 0755));
    as(&alice);
    IS(0, chmod, "f", 02755);
    EQ(0755, mode_of("f"));
    EQ(0, give("f", &alice, STAFF_GID, 0755));
    IS(0, chmod, "f", 02755);
    EQ(02755, mode_of("f"));
    EQ(0, give("f", &alice, ALICE_GID, 0755));
    IS(0, chmod, "f", 06755);
    EQ(06755, mode_of("f"));
}

CASE(drops_setgid_of_directories_too, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, give("d", &alice, OTHER_GID, 0755));
    as(&alice);
    IS(0, chmod, "d", 02755);
    EQ(0755, mode_of("d"));
    EQ(0, give("d", &alice, STAFF_GID, 0755));
    IS(0, chmod, "d", 03755);
    EQ(03755, mode_of("d"));
}

CASE(moves_the_ctime, HAS_FINE_TIMES)
{
    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    IS(0, chmod, "f", 0600);
    EQ(CTIME, moved("f"));
    EQ(0, age("f"));
    as(&alice);
    IS(-EPERM, chmod, "f", 0644);
    EQ(0, moved("f"));
}

CASE(moves_no_other_time, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    IS(0, chmod, "f", 0600);
    EQ(0, moved("f") & (ATIME | MTIME));
}

CASE(takes_effect_at_once, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, ALICE_GID, 0600));
    as(&alice);
    IS(0, chmod, "f", 0);
    IS(-EACCES, open, "f", O_RDONLY, 0);
    IS(-EACCES, open, "f", O_WRONLY, 0);
    IS(0, chmod, "f", 0400);
    EQ(1, content_is("f", "hello"));
    IS(-EACCES, open, "f", O_WRONLY, 0);
    IS(0, chmod, "f", 0200);
    EQ(2, write_text("f", 0, "HE"));
    IS(-EACCES, open, "f", O_RDWR, 0);
}

CASE(leaves_open_files_alone, 0)
{
    int fd;

    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, ALICE_GID, 0600));
    as(&alice);
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, chmod, "f", 0);
    IS(2, pwrite, fd, "JE", 2, 0);
    EQ(1, bytes_are(fd, 0, "JEllo"));
    IS(0, ftruncate, fd, 1);
}

CASE(root_passes_modes, 0)
{
    EQ(0, make_file("f", 0));
    EQ(1, content_is("f", "hello"));
    EQ(2, write_text("f", 0, "HE"));
    EQ(0, make_dir("d", 0));
    EQ(0, make_file("d/f", 0));
    EQ(1, n_entries("d"));
}

CASE(the_most_specific_class_counts, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, STAFF_GID, 0077));
    as(&alice);
    IS(-EACCES, open, "f", O_RDONLY, 0);
    EQ(0, give("f", &alice, STAFF_GID, 0707));
    as(&bob);
    IS(-EACCES, open, "f", O_RDONLY, 0);
    as(&carol);
    EQ(1, content_is("f", "hello"));
    EQ(0, give("f", &alice, STAFF_GID, 0040));
    IS(-EACCES, open, "f", O_RDONLY, 0);
    as(&bob);
    EQ(1, content_is("f", "hello"));
}

CASE(path_errors, 0)
{
    PATH_ERRORS(chmod, 0644);
    IS(-ENOENT, chmod, "none", 0644);
    IS(-ELOOP, chmod, "loop", 0644);
    IS(-ENOTDIR, chmod, "file/", 0644);
    IS(0, chmod, "closed/", 0711);
}
