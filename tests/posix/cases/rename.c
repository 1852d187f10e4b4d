/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: rename(). */
#include "tests/posix/suite.h"

CASE(gives_a_file_another_name, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0640));
    IS(0, rename, "f", "g");
    IS(-ENOENT, access, "f", F_OK);
    EQ(1, content_is("g", "hello"));
    EQ(0640, mode_of("g"));
    EQ(1, n_links_of("g"));
}

CASE(into_another_directory, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    EQ(0, make_dir("e", 0755));
    IS(0, rename, "f", "d/g");
    EQ(1, content_is("d/g", "hello"));
    IS(0, rename, "d/g", "e/h");
    EQ(0, n_entries("d"));
    EQ(1, content_is("e/h", "hello"));
}

CASE(replaces_a_file, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    EQ(3, write_text("g", O_CREAT, "old"));
    fd = FD(open, "g", O_RDONLY, 0);
    IS(0, rename, "f", "g");
    EQ(1, content_is("g", "hello"));
    EQ(1, bytes_are(fd, 0, "old"));
    EQ(1, n_entries("."));
}

CASE(replaces_across_types, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(0, symlink, "none", "link");
    IS(0, rename, "fifo", "f");
    EQ(S_IFIFO, type_of("f"));
    IS(0, rename, "link", "f");
    EQ(S_IFLNK, type_of("f"));
    EQ(0, make_file("g", 0644));
    IS(0, rename, "g", "f");
    EQ(S_IFREG, type_of("f"));
    EQ(1, n_entries("."));
}

CASE(of_a_directory, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    EQ(0, make_dir("e", 0755));
    IS(0, rename, "d", "e/d");
    EQ(1, content_is("e/d/f", "hello"));
    EQ(1, same_file("e", "e/d/.."));
    EQ(3, n_links_of("."));
    EQ(3, n_links_of("e"));
    IS(0, rename, "e/d", "d");
    EQ(1, same_file(".", "d/.."));
}

CASE(replaces_an_empty_directory, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    EQ(0, make_dir("e", 0755));
    IS(0, rename, "d", "e");
    EQ(1, content_is("e/f", "hello"));
    IS(-ENOENT, access, "d", F_OK);
    EQ(0, make_dir("d", 0755));
    IS_EITHER(-ENOTEMPTY, -EEXIST, rename, "d", "e");
    EQ(1, content_is("e/f", "hello"));
}

CASE(not_between_files_and_directories, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "d", "link");
    IS(-EISDIR, rename, "f", "d");
    IS(-ENOTDIR, rename, "d", "f");
    IS(-ENOTDIR, rename, "d", "link");
    EQ(S_IFREG, type_of("f"));
    EQ(S_IFDIR, type_of("d"));
}

CASE(not_into_itself, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_dir("d/e", 0755));
    IS(-EINVAL, rename, "d", "d/x");
    IS(-EINVAL, rename, "d", "d/e");
    IS(-EINVAL, rename, "d", "d/e/x");
    IS(-ENOTEMPTY, rename, "d/e", "d");
    EQ(S_IFDIR, type_of("d/e"));
}

CASE(not_of_dots, 0)
{
    EQ(0, make_dir("d", 0755));
    IS_EITHER(-EBUSY, -EINVAL, rename, ".", "x");
    IS_EITHER(-EBUSY, -EINVAL, rename, "d/.", "x");
    IS_EITHER(-EBUSY, -EINVAL, rename, "d/..", "x");
    IS_EITHER(-EBUSY, -EINVAL, rename, "d", ".");
    IS_EITHER(-EBUSY, -EINVAL, rename, "d", "..");
}

CASE(to_itself_does_nothing, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, rename, "f", "f");
    EQ(1, content_is("f", "hello"));
    EQ(0, make_dir("d", 0755));
    IS(0, rename, "d", "d");
    EQ(S_IFDIR, type_of("d"));
}

CASE(between_names_of_one_file_does_nothing, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, link, "f", "g");
    IS(0, rename, "f", "g");
    EQ(2, n_links_of("f"));
    EQ(2, n_entries("."));
}

CASE(of_a_symlink_itself, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, rename, "link", "link2");
    EQ(1, link_is("link2", "f"));
    EQ(1, content_is("f", "hello"));
    EQ(0, make_file("g", 0644));
    IS(0, rename, "g", "link2");
    EQ(S_IFREG, type_of("link2"));
    EQ(1, content_is("f", "hello"));
}

CASE(open_files_follow, REPRESENTATIVE)
{
    int fd, dir;

    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    fd = FD(open, "d/f", O_RDWR, 0);
    dir = FD(open, "d", O_RDONLY | O_DIRECTORY, 0);
    IS(0, rename, "d/f", "g");
    IS(2, pwrite, fd, "HE", 2, 0);
    EQ(1, content_is("g", "HEllo"));
    EQ(0, make_dir("e", 0755));
    IS(0, rename, "g", "d/g");
    IS(0, rename, "d", "e/d");
    IS(2, pwrite, fd, "he", 2, 0);
    IS(0, fchmod, fd, 0600);
    IS(0, fchmod, dir, 0700);
    EQ(0600, mode_of("e/d/g"));
    EQ(0700, mode_of("e/d"));
    EQ(1, content_is("e/d/g", "hello"));
}

CASE(a_replaced_open_file_has_no_links, 0)
{
    struct stat st;
    int fd;

    EQ(0, make_file("f", 0644));
    EQ(0, make_file("g", 0644));
    fd = FD(open, "g", O_RDWR, 0);
    IS(0, rename, "f", "g");
    IS(0, fstat, fd, &st);
    EQ(0, (long)st.st_nlink);
    IS(5, pwrite, fd, "HELLO", 5, 0);
    IS(0, fchmod, fd, 0600);
    EQ(1, content_is("g", "hello"));
    EQ(0644, mode_of("g"));
}

CASE(keeps_the_file, 0)
{
    struct stat before, after;

    EQ(0, make_file("f", 0644));
    IS(0, lstat, "f", &before);
    IS(0, rename, "f", "g");
    IS(0, lstat, "g", &after);
    EQ(1, before.st_ino == after.st_ino);
    IS(0, chmod, "g", 0600);
    IS(0, truncate, "g", 0);
    IS(0, lstat, "g", &after);
    EQ(1, before.st_ino == after.st_ino);
}

CASE(back_and_forth, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    for (int i = 0; i < 20; i++) {
        IS(0, rename, "d", "e");
        IS(0, rename, "e/f", "f");
        IS(0, rename, "e", "d");
        IS(0, rename, "f", "d/f");
    }
    EQ(1, content_is("d/f", "hello"));
    EQ(1, n_entries("."));
}

CASE(needs_both_directories, 0)
{
    EQ(0, make_dir("d", 0777));
    EQ(0, make_dir("e", 0755));
    EQ(0, make_file("d/f", 0644));
    EQ(0, make_file("e/f", 0644));
    as(&alice);
    IS(-EACCES, rename, "d/f", "e/g");
    IS(-EACCES, rename, "e/f", "d/g");
    IS(-EACCES, rename, "e/f", "e/g");
    IS(-EACCES, rename, "d/f", "e/f");
    IS(0, rename, "d/f", "d/g");
    IS(0, rename, "d/g", "g");
}

CASE(of_a_directory_needs_write_permission_on_it, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_dir("e", 0777));
    as(&alice);
    IS(-EACCES, rename, "d", "e/d");
    IS(0, rename, "d", "dd");
    EQ(0, give("dd", &alice, ALICE_GID, 0500));
    IS(-EACCES, rename, "dd", "e/d");
    EQ(0, give("dd", &alice, ALICE_GID, 0700));
    IS(0, rename, "dd", "e/d");
}

CASE(flags, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(3, write_text("g", O_CREAT, "bye"));
    IS(-EEXIST, renameat2, "f", "g", RENAME_NOREPLACE);
    IS(0, renameat2, "f", "h", RENAME_NOREPLACE);
    IS(0, renameat2, "g", "h", RENAME_EXCHANGE);
    EQ(1, content_is("g", "hello"));
    IS(-EINVAL, renameat2, "g", "h", RENAME_EXCHANGE | RENAME_NOREPLACE);
}

CASE(moves_times, HAS_FINE_TIMES)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_dir("e", 0755));
    EQ(0, make_file("d/f", 0644));
    EQ(0, age("d"));
    IS(0, rename, "d/f", "e/f");
    EQ(MTIME | CTIME, moved("d"));
    EQ(0, age("e"));
    IS(0, rename, "e/f", "d/f");
    EQ(MTIME | CTIME, moved("e"));
    EQ(0, age("d"));
    IS(-ENOENT, rename, "d/none", "e/f");
    EQ(0, moved("d"));
    EQ(0, age("d/f"));
    IS(0, rename, "d/f", "d/g");
    EQ(0, moved("d/g") & (ATIME | MTIME));
}

CASE(slashes_at_the_end, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, rename, "d/", "e/");
    IS(-ENOTDIR, rename, "f/", "g");
    IS(-ENOTDIR, rename, "f", "g/");
    IS(0, rename, "e", "d/");
    EQ(S_IFDIR, type_of("d"));
}

CASE(path_errors_of_the_old_name, 0)
{
    PATH_ERRORS(rename, "new");
    IS(-ENOENT, rename, "none", "new");
    IS(0, rename, "loop", "new");
}

CASE(path_errors_of_the_new_name, 0)
{
    path_errors_begin();
    IS(-ENOENT, rename, "file", "none/f");
    IS(-ENOENT, rename, "file", "");
    IS(-ENOTDIR, rename, "file", "file/f");
    IS(-ENAMETOOLONG, rename, "file", long_name());
    IS(-ENAMETOOLONG, rename, "file", long_path());
    IS(-ELOOP, rename, "file", "loop/f");
    as(&alice);
    IS(-EACCES, rename, "file", "closed/f");
    EQ(S_IFREG, type_of("file"));
}
