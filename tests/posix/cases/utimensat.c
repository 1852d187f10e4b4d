/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: utimensat(), futimens(). */
#include "tests/posix/suite.h"

CASE(sets_both, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, utimens, "f", times(1234567890, 0, 1000000001, 0));
    EQ(1234567890, atime_of("f"));
    EQ(1000000001, mtime_of("f"));
}

CASE(sets_nanoseconds, HAS_FINE_TIMES | REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, utimens, "f", times(1, 123456789, 2, 999999999));
    EQ(1, atime_of("f"));
    EQ(123456789, atime_nsec_of("f"));
    EQ(2, mtime_of("f"));
    EQ(999999999, mtime_nsec_of("f"));
}

CASE(omits, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, utimens, "f", times(100, 0, 200, 0));
    IS(0, utimens, "f", times(300, 0, 0, UTIME_OMIT));
    EQ(300, atime_of("f"));
    EQ(200, mtime_of("f"));
    IS(0, utimens, "f", times(0, UTIME_OMIT, 400, 0));
    EQ(300, atime_of("f"));
    EQ(400, mtime_of("f"));
    IS(0, utimens, "f", times(0, UTIME_OMIT, 0, UTIME_OMIT));
    EQ(300, atime_of("f"));
    EQ(400, mtime_of("f"));
}

CASE(sets_now, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    IS(0, utimens, "f", times(0, UTIME_NOW, 0, UTIME_OMIT));
    EQ(ATIME, moved("f") & (ATIME | MTIME));
    EQ(0, age("f"));
    IS(0, utimens, "f", times(0, UTIME_OMIT, 0, UTIME_NOW));
    EQ(MTIME, moved("f") & (ATIME | MTIME));
    EQ(0, age("f"));
    IS(0, utimens, "f", NULL);
    EQ(ATIME | MTIME, moved("f") & (ATIME | MTIME));
    EQ(0, age("f"));
    IS(0, utimens, "f", times(5, 0, 0, UTIME_NOW));
    EQ(5, atime_of("f"));
    EQ(MTIME, moved("f") & MTIME);
}

CASE(of_a_symlink_itself, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, utimens, "f", times(10, 0, 11, 0));
    IS(0, lutimens, "link", times(20, 0, 21, 0));
    EQ(21, mtime_of("link"));
    EQ(11, mtime_of("f"));
    IS(0, utimens, "link", times(30, 0, 31, 0));
    EQ(21, mtime_of("link"));
    EQ(31, mtime_of("f"));
}

CASE(of_every_type, 0)
{
    EQ(0, make_dir("d", 0755));
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(0, mknod, "socket", S_IFSOCK | 0644, 0);
    IS(0, utimens, "d", times(10, 0, 11, 0));
    IS(0, utimens, "fifo", times(10, 0, 12, 0));
    IS(0, utimens, "socket", times(10, 0, 13, 0));
    EQ(11, mtime_of("d"));
    EQ(12, mtime_of("fifo"));
    EQ(13, mtime_of("socket"));
}

CASE(through_a_descriptor, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDONLY, 0);
    IS(0, futimens, fd, times(10, 0, 11, 0));
    EQ(10, atime_of("f"));
    EQ(11, mtime_of("f"));
    IS(0, futimens, fd, NULL);
    EQ(1, mtime_of("f") > 11);
    IS(0, close, fd);
    IS(-EBADF, futimens, fd, NULL);
}

CASE(given_times_are_for_the_owner, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0666));
    as(&alice);
    IS(-EPERM, utimens, "f", times(10, 0, 11, 0));
    IS(-EPERM, utimens, "f", times(0, UTIME_NOW, 0, UTIME_OMIT));
    IS(-EPERM, utimens, "f", times(0, UTIME_OMIT, 11, 0));
    IS(0, utimens, "f", times(0, UTIME_NOW, 0, UTIME_NOW));
    IS(0, utimens, "f", NULL);
    IS(0, utimens, "f", times(0, UTIME_OMIT, 0, UTIME_OMIT));
    EQ(0, give("f", &alice, ALICE_GID, 0));
    IS(0, utimens, "f", times(10, 0, 11, 0));
    IS(0, utimens, "f", NULL);
}

CASE(now_needs_write_permission, 0)
{
    EQ(0, make_file("f", 0644));
    as(&alice);
    IS(-EACCES, utimens, "f", NULL);
    IS(-EACCES, utimens, "f", times(0, UTIME_NOW, 0, UTIME_NOW));
    EQ(0, give("f", &root, STAFF_GID, 0664));
    IS(0, utimens, "f", NULL);
    as(&carol);
    IS(-EACCES, utimens, "f", NULL);
}

CASE(nanoseconds_have_a_range, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, utimens, "f", times(10, 0, 11, 0));
    IS(-EINVAL, utimens, "f", times(1, 1000000000, 1, 0));
    IS(-EINVAL, utimens, "f", times(1, 0, 1, 1000000000));
    IS(-EINVAL, utimens, "f", times(1, -1, 1, 0));
    EQ(10, atime_of("f"));
    EQ(11, mtime_of("f"));
}

CASE(times_before_1970, HAS_FINE_TIMES)
{
    EQ(0, make_file("f", 0644));
    IS(0, utimens, "f", times(-10, 0, -2000000, 500));
    EQ(-10, atime_of("f"));
    EQ(-2000000, mtime_of("f"));
    EQ(500, mtime_nsec_of("f"));
}

CASE(times_after_2038, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, utimens, "f", times(3000000000, 0, 4000000000, 0));
    EQ(3000000000, atime_of("f"));
    EQ(4000000000, mtime_of("f"));
}

CASE(times_after_2106, HAS_FINE_TIMES)
{
    EQ(0, make_file("f", 0644));
    IS(0, utimens, "f", times(5000000000, 0, 6000000000, 0));
    EQ(5000000000, atime_of("f"));
    EQ(6000000000, mtime_of("f"));
}

CASE(moves_the_ctime, HAS_FINE_TIMES)
{
    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    IS(0, utimens, "f", times(0, UTIME_OMIT, 0, UTIME_OMIT));
    EQ(0, moved("f"));
    IS(0, utimens, "f", times(0, UTIME_OMIT, 5, 0));
    EQ(MTIME | CTIME, moved("f"));
}

CASE(path_errors, 0)
{
    PATH_ERRORS(utimens, NULL);
    IS(-ENOENT, utimens, "none", NULL);
    IS(-ELOOP, utimens, "loop", NULL);
    IS(-ENOTDIR, utimens, "file/", NULL);
}
