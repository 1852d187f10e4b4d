/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: stat(), lstat(), fstat(), statvfs(). */
#include "tests/posix/suite.h"

CASE(of_a_file, REPRESENTATIVE)
{
    struct stat by_name, by_fd;
    int fd;

    EQ(0, make_file("f", 0640));
    fd = FD(open, "f", O_RDONLY, 0);
    IS(0, stat, "f", &by_name);
    IS(0, fstat, fd, &by_fd);
    EQ(5, (long)by_name.st_size);
    EQ(0100640, (long)by_name.st_mode);
    EQ(1, (long)by_name.st_nlink);
    EQ(1, by_name.st_blksize >= 512);
    EQ(1, by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev);
    EQ(0, memcmp(&by_name.st_mtim, &by_fd.st_mtim, sizeof(by_fd.st_mtim)));
    IS(0, close, fd);
    IS(-EBADF, fstat, fd, &by_fd);
}

CASE(of_links, REPRESENTATIVE)
{
    struct stat st;

    EQ(0, make_file("f", 0640));
    IS(0, symlink, "f", "link");
    IS(0, stat, "link", &st);
    EQ(S_IFREG, (long)(st.st_mode & S_IFMT));
    IS(0, lstat, "link", &st);
    EQ(S_IFLNK, (long)(st.st_mode & S_IFMT));
    IS(0, symlink, "none", "dangling");
    IS(-ENOENT, stat, "dangling", &st);
    IS(0, lstat, "dangling", &st);
}

CASE(needs_no_permission_of_the_file, 0)
{
    struct stat st;

    EQ(0, make_file("f", 0));
    as(&alice);
    IS(0, stat, "f", &st);
    EQ(0, mode_of("f"));
}

CASE(counts_blocks, 0)
{
    struct stat st;

    EQ(0, make_file("f", 0644));
    IS(0, truncate, "f", 1 << 20);
    IS(0, stat, "f", &st);
    EQ(1, st.st_blocks * 512 < 1 << 20);
}

CASE(sees_each_change_at_once, 0)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    for (int i = 1; i <= 5; i++) {
        IS(100, write, fd, text_of('x', 100), 100);
        EQ(100 * i, size_of("f"));
    }
    IS(0, link, "f", "g");
    EQ(2, n_links_of("f"));
    IS(0, chmod, "g", 0600);
    EQ(0600, mode_of("f"));
}

CASE(of_the_file_system, HAS_STATVFS | REPRESENTATIVE)
{
    struct statvfs st;

    IS(0, statvfs, ".", &st);
    EQ(255, (long)st.f_namemax);
    EQ(1, st.f_blocks > 0 && st.f_bfree <= st.f_blocks && st.f_bsize > 0);
}

CASE(path_errors, 0)
{
    struct stat st;

    PATH_ERRORS(stat, &st);
    IS(-ENOENT, stat, "none", &st);
    IS(-ELOOP, stat, "loop", &st);
    IS(-ENOTDIR, stat, "file/", &st);
    IS(-ENOTDIR, stat, "file/.", &st);
}

CASE(path_errors_of_lstat, 0)
{
    struct stat st;

    PATH_ERRORS(lstat, &st);
    IS(-ENOENT, lstat, "none", &st);
    IS(0, lstat, "loop", &st);
    IS(-ELOOP, lstat, "loop/", &st);
}

CASE(path_errors_of_statvfs, HAS_STATVFS)
{
    struct statvfs st;

    PATH_ERRORS(statvfs, &st);
}
