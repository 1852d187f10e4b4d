/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: the file mode creation mask. */
#include "tests/posix/suite.h"

CASE(limits_every_creation, REPRESENTATIVE)
{
    with_umask(027);
    FD(open, "f", O_RDWR | O_CREAT, 0666);
    EQ(0640, mode_of("f"));
    IS(0, mkdir, "d", 0777);
    EQ(0750, mode_of("d"));
    IS(0, mknod, "fifo", S_IFIFO | 0666, 0);
    EQ(0640, mode_of("fifo"));
    IS(0, mknod, "socket", S_IFSOCK | 0777, 0);
    EQ(0750, mode_of("socket"));
    IS(0, symlink, "x", "link");
    EQ(0777, mode_of("link"));
}

CASE(all_and_nothing, 0)
{
    with_umask(0777);
    FD(open, "f", O_RDWR | O_CREAT, 0777);
    EQ(0, mode_of("f"));
    IS(0, mkdir, "d", 0777);
    EQ(0, mode_of("d"));
    with_umask(0);
    FD(open, "g", O_RDWR | O_CREAT, 0777);
    EQ(0777, mode_of("g"));
}

CASE(is_about_permissions_only, 0)
{
    with_umask(022);
    FD(open, "f", O_RDWR | O_CREAT, 04777);
    EQ(04755, mode_of("f"));
    IS(0, mkdir, "d", 01777);
    EQ(01755, mode_of("d"));
}

CASE(does_not_limit_chmod, 0)
{
    with_umask(077);
    EQ(0, make_file("f", 0666));
    EQ(0666, mode_of("f"));
    FD(open, "f", O_RDWR | O_CREAT, 0600);
    EQ(0666, mode_of("f"));
}
