/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: truncate(), ftruncate(). */
#include "tests/posix/suite.h"

CASE(shortens_and_extends, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    IS(0, truncate, "f", 2);
    EQ(1, content_is("f", "he"));
    IS(0, truncate, "f", 5);
    EQ(5, size_of("f"));
    fd = FD(open, "f", O_RDONLY, 0);
    EQ(1, bytes_are(fd, 0, "he") == 0);
    IS(0, truncate, "f", 0);
    EQ(0, size_of("f"));
}

CASE(extends_with_zeros, 0)
{
    char bytes[8] = "xxxxxxx";
    int fd;

    EQ(0, make_file("f", 0644));
    IS(0, truncate, "f", 2);
    IS(0, truncate, "f", 6);
    fd = FD(open, "f", O_RDONLY, 0);
    IS(6, pread, fd, bytes, 8, 0);
    EQ(0, memcmp(bytes, "he\0\0\0\0", 6));
}

CASE(through_a_descriptor, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, ftruncate, fd, 3);
    EQ(1, content_is("f", "hel"));
    IS(0, lseek, fd, 0, SEEK_CUR);
    IS(0, unlink, "f");
    IS(0, ftruncate, fd, 1);
    EQ(1, bytes_are(fd, 0, "h"));
    IS(-EINVAL, ftruncate, fd, -1);
    IS(0, close, fd);
    IS(-EBADF, ftruncate, fd, 0);
}

CASE(through_a_descriptor_whose_file_is_not_writable_any_more, 0)
{
    int fd;

    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, ALICE_GID, 0600));
    as(&alice);
    fd = FD(open, "f", O_WRONLY, 0);
    IS(0, chmod, "f", 0);
    IS(0, ftruncate, fd, 1);
    EQ(1, size_of("f"));
    IS(-EACCES, truncate, "f", 0);
}

CASE(needs_a_descriptor_for_writing, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    fd = FD(open, "f", O_RDONLY, 0);
    IS_EITHER(-EINVAL, -EBADF, ftruncate, fd, 0);
    fd = FD(open, "d", O_RDONLY, 0);
    IS_EITHER(-EINVAL, -EBADF, ftruncate, fd, 0);
    EQ(5, size_of("f"));
}

CASE(large_sizes, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, truncate, "f", 5l << 32);
    EQ(5l << 32, size_of("f"));
    IS(0, truncate, "f", 1);
    EQ(1, content_is("f", "h"));
    IS(-EINVAL, truncate, "f", -1);
}

CASE(follows_symlinks, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, truncate, "link", 2);
    EQ(2, size_of("f"));
    IS(0, symlink, "none", "dangling");
    IS(-ENOENT, truncate, "dangling", 2);
}

CASE(only_of_files, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(0, mknod, "socket", S_IFSOCK | 0644, 0);
    IS(-EISDIR, truncate, "d", 0);
    IS(-EINVAL, truncate, "fifo", 0);
    IS(-EINVAL, truncate, "socket", 0);
}

CASE(needs_write_permission, 0)
{
    EQ(0, make_file("f", 0644));
    as(&alice);
    IS(-EACCES, truncate, "f", 0);
    EQ(0, give("f", &alice, ALICE_GID, 0400));
    IS(-EACCES, truncate, "f", 0);
    EQ(0, give("f", &root, STAFF_GID, 0620));
    IS(0, truncate, "f", 1);
    EQ(1, size_of("f"));
}

CASE(moves_times, HAS_FINE_TIMES)
{
    int fd;

    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    IS(0, truncate, "f", 2);
    EQ(MTIME | CTIME, moved("f"));
    fd = FD(open, "f", O_RDWR, 0);
    EQ(0, age("f"));
    IS(0, ftruncate, fd, 8);
    EQ(MTIME | CTIME, moved("f"));
    EQ(0, age("f"));
    IS(0, ftruncate, fd, 8);
    EQ(MTIME | CTIME, moved("f"));
    EQ(0, age("f"));
    IS(-EINVAL, ftruncate, fd, -1);
    EQ(0, moved("f"));
}

CASE(to_the_same_size_moves_the_mtime, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    SHOW(truncate, "f", 5);
    suite_record("mtime moved by truncate() to the same size", moved("f") & MTIME);
}

CASE(path_errors, 0)
{
    PATH_ERRORS(truncate, 0);
    IS(-ENOENT, truncate, "none", 0);
    IS(-ELOOP, truncate, "loop", 0);
    IS(-ENOTDIR, truncate, "file/", 0);
}
