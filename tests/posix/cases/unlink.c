/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: unlink(), and what becomes of open files. */
#include "tests/posix/suite.h"

CASE(removes_a_name, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, unlink, "f");
    IS(-ENOENT, unlink, "f");
    IS(-ENOENT, open, "f", O_RDONLY, 0);
    EQ(0, n_entries("."));
}

CASE(removes_every_type, 0)
{
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(0, mknod, "socket", S_IFSOCK | 0644, 0);
    IS(0, mknod, "device", S_IFBLK | 0644, 0x107);
    EQ(0, make_file("f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, unlink, "fifo");
    IS(0, unlink, "socket");
    IS(0, unlink, "device");
    IS(0, unlink, "link");
    EQ(1, content_is("f", "hello"));
    EQ(1, n_entries("."));
}

CASE(not_directories, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    IS_EITHER(-EISDIR, -EPERM, unlink, "d");
    IS_EITHER(-EISDIR, -EPERM, unlink, ".");
    IS_EITHER(-EISDIR, -EPERM, unlink, "..");
    as(&alice);
    IS_EITHER(-EISDIR, -EPERM, unlink, "d");
    EQ(S_IFDIR, type_of("d"));
}

CASE(an_open_file_stays, REPRESENTATIVE)
{
    struct stat st;
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, unlink, "f");
    EQ(1, bytes_are(fd, 0, "hello"));
    IS(3, pwrite, fd, "abc", 3, 5);
    IS(0, fstat, fd, &st);
    EQ(0, (long)st.st_nlink);
    EQ(8, (long)st.st_size);
    IS(0, ftruncate, fd, 2);
    EQ(1, bytes_are(fd, 0, "he"));
    IS(0, fchmod, fd, 0600);
    IS(0, fchown, fd, ALICE_UID, ALICE_GID);
    IS(0, futimens, fd, times(5, 0, 6, 0));
    IS(0, fsync, fd);
    IS(0, fstat, fd, &st);
    EQ(0600, (long)(st.st_mode & 07777));
    EQ(ALICE_UID, (long)st.st_uid);
    EQ(6, (long)st.st_mtim.tv_sec);
    IS(0, close, fd);
}

CASE(a_new_file_of_that_name_is_another, 0)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, unlink, "f");
    EQ(3, write_text("f", O_CREAT | O_EXCL, "new"));
    EQ(1, bytes_are(fd, 0, "hello"));
    IS(5, pwrite, fd, "HELLO", 5, 0);
    IS(0, ftruncate, fd, 1);
    EQ(1, content_is("f", "new"));
    EQ(0644, mode_of("f") & 0644);
}

CASE(created_and_removed_while_open, 0)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT | O_EXCL, 0600);
    struct stat st;

    IS(0, unlink, "f");
    IS(5, write, fd, "hello", 5);
    EQ(1, bytes_are(fd, 0, "hello"));
    IS(0, fstat, fd, &st);
    EQ(0, (long)st.st_nlink);
    EQ(5, (long)st.st_size);
}

CASE(open_twice, 0)
{
    int one, other;

    EQ(0, make_file("f", 0644));
    one = FD(open, "f", O_RDWR, 0);
    other = FD(open, "f", O_RDONLY, 0);
    IS(0, unlink, "f");
    IS(5, pwrite, one, "HELLO", 5, 0);
    EQ(1, bytes_are(other, 0, "HELLO"));
    IS(0, close, one);
    EQ(1, bytes_are(other, 0, "HELLO"));
}

CASE(one_of_two_names, 0)
{
    int fd;

    EQ(0, make_file("f", 0644));
    IS(0, link, "f", "g");
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, unlink, "f");
    IS(5, pwrite, fd, "HELLO", 5, 0);
    EQ(1, content_is("g", "HELLO"));
    EQ(1, n_links_of("g"));
}

CASE(needs_a_writable_directory, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0666));
    EQ(0, give("d/f", &alice, ALICE_GID, 0666));
    as(&alice);
    IS(-EACCES, unlink, "d/f");
    EQ(0, give("d", &root, STAFF_GID, 0730));
    IS(0, unlink, "d/f");
}

CASE(needs_nothing_of_the_file, 0)
{
    EQ(0, make_dir("d", 0777));
    EQ(0, make_file("d/f", 0));
    as(&alice);
    IS(0, unlink, "d/f");
}

CASE(moves_times, HAS_FINE_TIMES)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    IS(0, link, "d/f", "g");
    EQ(0, age("d"));
    IS(0, unlink, "d/f");
    EQ(MTIME | CTIME, moved("d"));
    EQ(0, age("d"));
    IS(-ENOENT, unlink, "d/f");
    EQ(0, moved("d"));
}

CASE(path_errors, 0)
{
    PATH_ERRORS(unlink);
    IS(-ENOENT, unlink, "none");
    IS(-ENOTDIR, unlink, "file/");
    IS(0, unlink, "loop");
}
