/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: rmdir(). */
#include "tests/posix/suite.h"

CASE(removes_an_empty_directory, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    IS(0, rmdir, "d");
    IS(-ENOENT, rmdir, "d");
    EQ(0, n_entries("."));
    EQ(2, n_links_of("."));
}

CASE(not_a_full_one, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    IS_EITHER(-ENOTEMPTY, -EEXIST, rmdir, "d");
    IS(0, unlink, "d/f");
    EQ(0, make_dir("d/e", 0755));
    IS_EITHER(-ENOTEMPTY, -EEXIST, rmdir, "d");
    IS(0, rmdir, "d/e");
    IS(0, rmdir, "d");
}

CASE(only_directories, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "d", "link");
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(-ENOTDIR, rmdir, "f");
    IS(-ENOTDIR, rmdir, "link");
    IS(-ENOTDIR, rmdir, "link/");
    IS(-ENOTDIR, rmdir, "fifo");
    IS(0, rmdir, "d/");
}

CASE(not_dots, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_dir("d/e", 0755));
    IS(-EINVAL, rmdir, "d/.");
    IS(-EINVAL, rmdir, ".");
    IS_EITHER(-ENOTEMPTY, -EINVAL, rmdir, "d/e/..");
    IS_EITHER(-ENOTEMPTY, -EINVAL, rmdir, "..");
}

CASE(needs_a_writable_parent, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_dir("d/e", 0777));
    as(&alice);
    IS(-EACCES, rmdir, "d/e");
    EQ(0, give("d", &alice, ALICE_GID, 0700));
    IS(0, rmdir, "d/e");
}

CASE(an_open_directory_stays, 0)
{
    Entry entries[4];
    struct stat st;
    int fd;

    EQ(0, make_dir("d", 0755));
    fd = FD(open, "d", O_RDONLY | O_DIRECTORY, 0);
    IS(0, rmdir, "d");
    IS(0, fstat, fd, &st);
    EQ(0, (long)st.st_nlink);
    IS(0, fchmod, fd, 0700);
    SHOW(getdents, fd, entries, 4);
    IS(0, close, fd);
}

CASE(moves_times_of_the_parent, HAS_FINE_TIMES)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_dir("d/e", 0755));
    EQ(0, age("d"));
    IS(0, rmdir, "d/e");
    EQ(MTIME | CTIME, moved("d"));
}

CASE(path_errors, 0)
{
    PATH_ERRORS(rmdir);
    IS(-ENOENT, rmdir, "none");
    IS(-ENOTDIR, rmdir, "loop");
    IS(-ENOTDIR, rmdir, "file/");
}
