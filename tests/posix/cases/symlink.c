/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: symlink(), readlink(), and how paths follow links. */
#include "tests/posix/suite.h"

CASE(keeps_its_target, REPRESENTATIVE)
{
    char text[8];

    IS(0, symlink, "some/where", "link");
    EQ(S_IFLNK, type_of("link"));
    EQ(0777, mode_of("link"));
    EQ(10, size_of("link"));
    EQ(1, link_is("link", "some/where"));
    IS(4, readlink, "link", text, 4);
    EQ(0, memcmp(text, "some", 4));
}

CASE(any_text_is_a_target, 0)
{
    IS(0, symlink, "/absolute//path/", "a");
    EQ(1, link_is("a", "/absolute//path/"));
    IS(0, symlink, "../../..", "b");
    EQ(1, link_is("b", "../../.."));
    IS(0, symlink, "\xff\xfe *\n", "c");
    EQ(1, link_is("c", "\xff\xfe *\n"));
    IS(-ENOENT, symlink, "", "d");
}

CASE(long_targets, 0)
{
    IS(0, symlink, text_of('t', 1000), "a");
    EQ(1, link_is("a", text_of('t', 1000)));
    EQ(1000, size_of("a"));
    IS(0, symlink, text_of('t', 4000), "b");
    EQ(1, link_is("b", text_of('t', 4000)));
    IS(-ENAMETOOLONG, symlink, text_of('t', 4096), "c");
    IS(-ENAMETOOLONG, symlink, text_of('t', 5000), "c");
}

CASE(the_longest_target, 0)
{
    IS(0, symlink, text_of('t', 4095), "a");
    EQ(4095, size_of("a"));
    EQ(1, link_is("a", text_of('t', 4095)));
}

CASE(belongs_to_its_maker, REPRESENTATIVE)
{
    as(&alice);
    IS(0, symlink, "x", "link");
    EQ(ALICE_UID, uid_of("link"));
    EQ(ALICE_GID, gid_of("link"));
    as(&bob);
    EQ(1, link_is("link", "x"));
}

CASE(never_replaces, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "none", "link");
    IS(-EEXIST, symlink, "x", "f");
    IS(-EEXIST, symlink, "x", "d");
    IS(-EEXIST, symlink, "x", "link");
    IS(-EEXIST, symlink, "x", ".");
    EQ(1, link_is("link", "none"));
}

CASE(needs_a_writable_directory, 0)
{
    EQ(0, make_dir("d", 0755));
    as(&alice);
    IS(-EACCES, symlink, "x", "d/link");
}

CASE(is_followed_on_the_way, REPRESENTATIVE)
{
    struct stat st;

    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    IS(0, symlink, "d", "link");
    EQ(1, content_is("link/f", "hello"));
    EQ(1, same_file("link/f", "d/f"));
    EQ(1, same_file("link/..", "."));
    IS(0, symlink, "link/f", "far");
    EQ(1, content_is("far", "hello"));
    IS(0, symlink, "../d/f", "d/up");
    EQ(1, content_is("link/up", "hello"));
    IS(0, stat, "link", &st);
    EQ(S_IFDIR, (long)(st.st_mode & S_IFMT));
    EQ(S_IFDIR, type_of("link/"));
}

CASE(forty_in_a_row, 0)
{
    char name[16], target[16];
    struct stat st;

    EQ(0, make_file("l0", 0644));
    for (int i = 1; i <= 41; i++) {
        snprintf(target, sizeof(target), "l%d", i - 1);
        snprintf(name, sizeof(name), "l%d", i);
        IS(0, symlink, target, name);
    }
    IS(0, stat, "l40", &st);
    IS(-ELOOP, stat, "l41", &st);
}

CASE(in_a_loop, 0)
{
    struct stat st;

    IS(0, symlink, "b", "a");
    IS(0, symlink, "a", "b");
    IS(-ELOOP, stat, "a", &st);
    IS(-ELOOP, open, "b", O_RDONLY, 0);
    IS(-ELOOP, open, "a/f", O_RDONLY, 0);
    IS(0, lstat, "a", &st);
    IS(0, unlink, "a");
    IS(-ENOENT, stat, "b", &st);
}

CASE(search_permission_counts_on_the_way, 0)
{
    EQ(0, make_dir("d", 0700));
    EQ(0, make_file("d/f", 0644));
    IS(0, symlink, "d/f", "link");
    as(&alice);
    IS(-EACCES, open, "link", O_RDONLY, 0);
    EQ(1, link_is("link", "d/f"));
}

CASE(readlink_is_for_symlinks, REPRESENTATIVE)
{
    char text[16];

    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(-EINVAL, readlink, "f", text, sizeof(text));
    IS(-EINVAL, readlink, "d", text, sizeof(text));
    IS(-EINVAL, readlink, ".", text, sizeof(text));
    IS(-EINVAL, readlink, "fifo", text, sizeof(text));
    IS(-ENOENT, readlink, "none", text, sizeof(text));
}

CASE(moves_times_of_the_parent, HAS_FINE_TIMES)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, age("d"));
    IS(0, symlink, "x", "d/link");
    EQ(MTIME | CTIME, moved("d"));
}

CASE(path_errors, 0)
{
    path_errors_begin();
    IS(-ENOENT, symlink, "x", "none/f");
    IS(-ENOENT, symlink, "x", "");
    IS(-ENOTDIR, symlink, "x", "file/f");
    IS(-ENAMETOOLONG, symlink, "x", long_name());
    IS(-ENAMETOOLONG, symlink, "x", long_path());
    IS(-ELOOP, symlink, "x", "loop/f");
    IS(-ENOENT, symlink, "x", "new/");
    as(&alice);
    IS(-EACCES, symlink, "x", "closed/f");
}

CASE(path_errors_of_readlink, 0)
{
    char text[16];

    PATH_ERRORS(readlink, text, sizeof(text));
    EQ(1, link_is("loop", "loop"));
}
