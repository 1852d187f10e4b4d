/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: mkdir(). */
#include "tests/posix/suite.h"

CASE(makes_an_empty_directory, REPRESENTATIVE)
{
    IS(0, mkdir, "d", 0755);
    EQ(S_IFDIR, type_of("d"));
    EQ(0755, mode_of("d"));
    EQ(0, n_entries("d"));
    EQ(1, has_entry("d", "."));
    EQ(1, has_entry("d", ".."));
    EQ(1, has_entry(".", "d"));
}

CASE(counts_links, 0)
{
    EQ(2, n_links_of("."));
    IS(0, mkdir, "d", 0755);
    SHOW(access, "d", F_OK);
    EQ(2, n_links_of("d"));
    EQ(3, n_links_of("."));
    IS(0, mkdir, "d/e", 0755);
    EQ(3, n_links_of("d"));
    IS(0, rmdir, "d/e");
    EQ(2, n_links_of("d"));
}

CASE(modes, 0)
{
    IS(0, mkdir, "a", 0);
    EQ(0, mode_of("a"));
    IS(0, mkdir, "b", 0777);
    EQ(0777, mode_of("b"));
    IS(0, mkdir, "c", 01777);
    EQ(01777, mode_of("c"));
    IS(0, mkdir, "d", 0151);
    EQ(0151, mode_of("d"));
    IS(0, mkdir, "e", 06755); /* Linux takes permissions and the sticky bit only */
    EQ(0755, mode_of("e"));
}

CASE(belongs_to_its_maker, REPRESENTATIVE)
{
    as(&alice);
    IS(0, mkdir, "d", 0700);
    EQ(ALICE_UID, uid_of("d"));
    EQ(ALICE_GID, gid_of("d"));
    EQ(0, make_file("d/f", 0600));
    as(&bob);
    IS(-EACCES, mkdir, "d/e", 0700);
    IS(-EACCES, open, "d/f", O_RDONLY, 0);
    IS(0, mkdir, "e", 0700);
    EQ(BOB_UID, uid_of("e"));
}

CASE(never_replaces, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, mkdir, "d", 0755);
    IS(0, symlink, "none", "dangling");
    IS(-EEXIST, mkdir, "f", 0755);
    IS(-EEXIST, mkdir, "d", 0755);
    IS(-EEXIST, mkdir, "d/", 0755);
    IS(-EEXIST, mkdir, ".", 0755);
    IS(-EEXIST, mkdir, "..", 0755);
    IS(-EEXIST, mkdir, "d/.", 0755);
    IS(-EEXIST, mkdir, "dangling", 0755);
    IS(-ENOENT, open, "none", O_RDONLY, 0);
}

CASE(needs_a_writable_directory, 0)
{
    IS(0, mkdir, "d", 0755);
    as(&alice);
    IS(-EACCES, mkdir, "d/e", 0755);
    EQ(0, give("d", &root, STAFF_GID, 0770));
    IS(0, mkdir, "d/e", 0755);
    as(&carol);
    IS(-EACCES, mkdir, "d/g", 0755);
}

CASE(with_a_slash_at_the_end, 0)
{
    IS(0, mkdir, "d/", 0755);
    EQ(S_IFDIR, type_of("d"));
    IS(0, mkdir, "d//e///", 0755);
    EQ(S_IFDIR, type_of("d/e"));
}

CASE(names_up_to_255_bytes, 0)
{
    IS(0, mkdir, text_of('a', 255), 0755);
    IS(-ENAMETOOLONG, mkdir, text_of('a', 256), 0755);
    IS(0, mkdir, "\xc3\xa4\xff \n*", 0755);
    EQ(1, has_entry(".", "\xc3\xa4\xff \n*"));
    EQ(1, has_entry(".", text_of('a', 255)));
}

CASE(paths_up_to_4095_bytes, 0)
{
    IS(0, mkdir, longest_path("d"), 0755);
    EQ(S_IFDIR, type_of("d"));
    EQ(S_IFDIR, type_of(longest_path("d")));
    IS(-ENAMETOOLONG, mkdir, text_of('/', 4096), 0755);
}

CASE(deep, 0)
{
    char path[1024] = "";

    for (int i = 0; i < 40; i++) {
        strcat(path, i ? "/deeper" : "d");
        IS(0, mkdir, path, 0755);
    }
    strcat(path, "/f");
    EQ(0, make_file(path, 0644));
    EQ(1, content_is(path, "hello"));
}

CASE(moves_times_of_the_parent, HAS_FINE_TIMES)
{
    IS(0, mkdir, "d", 0755);
    EQ(0, age("d"));
    IS(0, mkdir, "d/e", 0755);
    EQ(MTIME | CTIME, moved("d"));
    EQ(0, age("d"));
    IS(-EEXIST, mkdir, "d/e", 0755);
    EQ(0, moved("d"));
}

CASE(path_errors, 0)
{
    PATH_ERRORS(mkdir, 0755);
    IS(-EEXIST, mkdir, "loop", 0755);
    IS(-ENOENT, mkdir, "none/./d", 0755);
}
