/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: which operations move which times; those of names are with the operations. */
#include "tests/posix/suite.h"

CASE(of_a_new_file_are_now, REPRESENTATIVE)
{
    struct stat st, dir;

    EQ(0, make_dir("d", 0755));
    IS(0, lstat, "d", &dir);
    FD(open, "f", O_RDWR | O_CREAT, 0644);
    IS(0, lstat, "f", &st);
    EQ(1, st.st_mtim.tv_sec >= dir.st_mtim.tv_sec);
    EQ(1, st.st_mtim.tv_sec - dir.st_mtim.tv_sec < 60);
    EQ(0, (long)(st.st_atim.tv_sec - st.st_mtim.tv_sec));
}

CASE(writing_moves_two, HAS_FINE_TIMES | REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    EQ(0, age("f"));
    IS(1, pwrite, fd, "x", 1, 0);
    EQ(MTIME | CTIME, moved("f"));
    EQ(0, age("f"));
    IS(1, pwrite, fd, "x", 1, 100);
    EQ(MTIME | CTIME, moved("f"));
    EQ(0, age("f"));
    IS(0, pwrite, fd, "", 0, 0);
    EQ(0, moved("f"));
}

CASE(writing_moves_the_mtime, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    EQ(1, write_text("f", 0, "x"));
    EQ(MTIME, moved("f") & (ATIME | MTIME));
}

CASE(reading_moves_the_atime, REPRESENTATIVE)
{
    char bytes[8];
    int fd;

    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    fd = FD(open, "f", O_RDONLY, 0);
    EQ(0, moved("f"));
    IS(5, read, fd, bytes, 8);
    suite_record("moved by read()", moved("f"));
    EQ(0, moved("f") & (MTIME | CTIME));
}

CASE(reading_with_o_noatime_moves_none, 0)
{
    char bytes[8];
    int fd;

    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    fd = FD(open, "f", O_RDONLY | O_NOATIME, 0);
    IS(5, read, fd, bytes, 8);
    EQ(0, moved("f"));
}

CASE(looking_moves_none, HAS_FINE_TIMES)
{
    struct stat st;

    EQ(0, make_file("f", 0644));
    EQ(0, age("f"));
    IS(0, stat, "f", &st);
    IS(0, access, "f", R_OK);
    FD(open, "f", O_RDWR, 0);
    EQ(0, moved("f"));
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    EQ(0, age("d"));
    IS(0, stat, "d/f", &st);
    EQ(0, moved("d"));
}

CASE(of_a_file_do_not_follow_its_directory, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    EQ(0, age("d/f"));
    EQ(0, make_file("d/g", 0644));
    IS(0, chmod, "d", 0700);
    EQ(0, moved("d/f"));
    EQ(0, age("d"));
    EQ(1, write_text("d/f", 0, "x"));
    EQ(0, moved("d"));
}

CASE(are_kept_by_a_rename, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, utimens, "f", times(100, 0, 200, 0));
    IS(0, rename, "f", "g");
    EQ(100, atime_of("g"));
    EQ(200, mtime_of("g"));
}
