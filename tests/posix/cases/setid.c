/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: what takes the set-id bits of a file away, besides chown(). */
#include "tests/posix/suite.h"

CASE(writing_by_others_does, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0666));
    EQ(0, give("f", &alice, STAFF_GID, 06777));
    as(&bob);
    EQ(1, write_text("f", 0, "x"));
    EQ(0777, mode_of("f"));
    EQ(0, give("f", &alice, STAFF_GID, 04777));
    EQ(1, write_text("f", O_APPEND, "x"));
    EQ(0777, mode_of("f"));
    EQ(0, give("f", &alice, STAFF_GID, 02777));
    EQ(1, write_text("f", 0, "x"));
    EQ(0777, mode_of("f"));
}

CASE(writing_by_the_owner_does, 0)
{
    int fd;

    EQ(0, make_file("f", 0666));
    EQ(0, give("f", &alice, ALICE_GID, 06755));
    as(&alice);
    fd = FD(open, "f", O_RDWR, 0);
    EQ(06755, mode_of("f"));
    IS(1, pwrite, fd, "x", 1, 3);
    EQ(0755, mode_of("f"));
    IS(0, fchmod, fd, 06755);
    EQ(06755, mode_of("f"));
    IS(1, write, fd, "y", 1);
    EQ(0755, mode_of("f"));
}

CASE(writing_nothing_does_not, 0)
{
    int fd;

    EQ(0, make_file("f", 0666));
    EQ(0, give("f", &alice, ALICE_GID, 06755));
    as(&alice);
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, write, fd, "", 0);
    EQ(06755, mode_of("f"));
    EQ(1, bytes_are(fd, 0, "hello"));
    EQ(06755, mode_of("f"));
}

CASE(writing_by_root_does_not, 0)
{
    EQ(0, make_file("f", 06755));
    EQ(1, write_text("f", 0, "x"));
    EQ(06755, mode_of("f"));
}

CASE(truncating_does, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0666));
    EQ(0, give("f", &alice, ALICE_GID, 06755));
    as(&alice);
    IS(0, truncate, "f", 2);
    EQ(0755, mode_of("f"));
    EQ(0, give("f", &alice, ALICE_GID, 06755));
    fd = FD(open, "f", O_RDWR, 0);
    IS(0, ftruncate, fd, 1);
    EQ(0755, mode_of("f"));
    EQ(0, give("f", &alice, ALICE_GID, 06755));
    FD(open, "f", O_WRONLY | O_TRUNC, 0);
    EQ(0755, mode_of("f"));
}

CASE(truncating_by_root_does_not, 0)
{
    EQ(0, make_file("f", 06755));
    IS(0, truncate, "f", 2);
    EQ(06755, mode_of("f"));
}

CASE(a_group_bit_without_execution_stays, 0)
{
    EQ(0, make_file("f", 0666));
    EQ(0, give("f", &alice, ALICE_GID, 02666));
    as(&alice);
    EQ(1, write_text("f", 0, "x"));
    EQ(02666, mode_of("f"));
}

CASE(reading_linking_and_renaming_do_not, 0)
{
    EQ(0, make_file("f", 0666));
    EQ(0, give("f", &alice, ALICE_GID, 06755));
    as(&alice);
    EQ(1, content_is("f", "hello"));
    IS(0, link, "f", "g");
    IS(0, rename, "f", "h");
    IS(0, utimens, "h", NULL);
    EQ(06755, mode_of("h"));
}

CASE(the_sticky_bit_stays, 0)
{
    EQ(0, make_file("f", 0666));
    EQ(0, give("f", &alice, ALICE_GID, 07755));
    as(&alice);
    EQ(1, write_text("f", 0, "x"));
    EQ(01755, mode_of("f"));
}
