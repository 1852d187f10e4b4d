/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: link(). */
#include "tests/posix/suite.h"

CASE(gives_a_file_a_second_name, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    IS(0, link, "f", "g");
    EQ(2, n_links_of("f"));
    EQ(2, n_links_of("g"));
    EQ(1, same_file("f", "g"));
    EQ(5, write_text("g", O_TRUNC, "HELLO"));
    EQ(1, content_is("f", "HELLO"));
    IS(0, chmod, "g", 0600);
    EQ(0600, mode_of("f"));
    IS(0, unlink, "f");
    EQ(1, n_links_of("g"));
    EQ(1, content_is("g", "HELLO"));
}

CASE(into_another_directory, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, link, "f", "d/f");
    IS(0, link, "d/f", "d/g");
    EQ(3, n_links_of("f"));
    EQ(1, same_file("f", "d/g"));
}

CASE(of_special_files, 0)
{
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(0, link, "fifo", "fifo2");
    EQ(S_IFIFO, type_of("fifo2"));
    EQ(2, n_links_of("fifo"));
    IS(0, mknod, "socket", S_IFSOCK | 0644, 0);
    IS(0, link, "socket", "socket2");
    EQ(S_IFSOCK, type_of("socket2"));
    IS(0, mknod, "device", S_IFCHR | 0644, 0x103);
    IS(0, link, "device", "device2");
    EQ(S_IFCHR, type_of("device2"));
}

CASE(of_a_symlink_itself, 0)
{
    IS(0, symlink, "none", "link");
    IS(0, link, "link", "link2");
    EQ(S_IFLNK, type_of("link2"));
    EQ(1, link_is("link2", "none"));
    EQ(1, same_file("link", "link2"));
}

CASE(never_replaces, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_file("g", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "none", "dangling");
    IS(-EEXIST, link, "f", "g");
    IS(-EEXIST, link, "f", "f");
    IS(-EEXIST, link, "f", "d");
    IS(-EEXIST, link, "f", "dangling");
    IS(-EEXIST, link, "f", ".");
    IS(-EEXIST, link, "f", "..");
    EQ(1, n_links_of("f"));
}

CASE(not_of_directories, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0755));
    IS(-EPERM, link, "d", "e");
    as(&alice);
    IS(-EPERM, link, "d", "e");
}

CASE(needs_a_writable_directory, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &alice, ALICE_GID, 0644));
    as(&alice);
    IS(-EACCES, link, "f", "d/f");
    EQ(1, n_links_of("f"));
    EQ(0, give("d", &alice, ALICE_GID, 0300));
    IS(0, link, "f", "d/f");
    EQ(0, give("d", &alice, ALICE_GID, 0200));
    IS(-EACCES, link, "f", "d/g");
}

CASE(of_files_of_others, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &bob, BOB_GID, 0666));
    as(&alice);
    IS(0, link, "f", "g");
    EQ(0, give("f", &bob, BOB_GID, 0600));
    SHOW(link, "f", "h");
    EQ(0, give("f", &bob, BOB_GID, 04777));
    SHOW(link, "f", "i");
}

CASE(to_a_removed_file_is_gone, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, link, "f", "g");
    IS(0, unlink, "f");
    IS(-ENOENT, link, "f", "h");
    IS(0, link, "g", "f");
    EQ(2, n_links_of("f"));
}

CASE(many, 0)
{
    char name[16];

    EQ(0, make_file("f", 0644));
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "link%d", i);
        IS(0, link, "f", name);
    }
    EQ(51, n_links_of("f"));
    EQ(51, n_entries("."));
}

CASE(moves_times, HAS_FINE_TIMES)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    EQ(0, age("f"));
    IS(0, link, "f", "g");
    EQ(CTIME, moved("f"));
    EQ(0, age("d"));
    IS(0, link, "f", "d/f");
    EQ(MTIME | CTIME, moved("d"));
    EQ(0, age("f"));
    IS(0, unlink, "g");
    EQ(CTIME, moved("f"));
    EQ(0, age("d"));
    IS(-EEXIST, link, "f", "d/f");
    EQ(0, moved("d"));
}

CASE(path_errors_of_the_old_name, 0)
{
    PATH_ERRORS(link, "new");
    IS(-ENOENT, link, "none", "new");
    IS(-ENOTDIR, link, "file/", "new");
}

CASE(path_errors_of_the_new_name, 0)
{
    path_errors_begin();
    IS(-ENOENT, link, "file", "none/f");
    IS(-ENOENT, link, "file", "");
    IS(-ENOTDIR, link, "file", "file/f");
    IS(-ENAMETOOLONG, link, "file", long_name());
    IS(-ENAMETOOLONG, link, "file", long_path());
    IS(-ELOOP, link, "file", "loop/f");
    IS(-EEXIST, link, "file", "loop");
    IS(-ENOENT, link, "file", "new/");
    as(&alice);
    IS(-EACCES, link, "file", "closed/f");
}
