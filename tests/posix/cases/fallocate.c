/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: posix_fallocate(). */
#include "tests/posix/suite.h"

CASE(extends, REPRESENTATIVE)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    IS(0, posix_fallocate, fd, 0, 10000);
    EQ(10000, size_of("f"));
    IS(0, posix_fallocate, fd, 20000, 1);
    EQ(20001, size_of("f"));
}

CASE(never_shortens_or_changes, 0)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, posix_fallocate, fd, 0, 3);
    EQ(1, content_is("f", "hello"));
    IS(0, posix_fallocate, fd, 3, 2);
    EQ(1, content_is("f", "hello"));
}

CASE(checks_its_arguments, REPRESENTATIVE)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    IS(-EINVAL, posix_fallocate, fd, 0, 0);
    IS(-EINVAL, posix_fallocate, fd, 0, -1);
    IS(-EINVAL, posix_fallocate, fd, -1, 1);
    EQ(0, size_of("f"));
    IS(0, close, fd);
    IS(-EBADF, posix_fallocate, fd, 0, 1);
}

CASE(needs_a_descriptor_for_writing, 0)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDONLY, 0);
    IS(-EBADF, posix_fallocate, fd, 0, 100);
    EQ(5, size_of("f"));
}
