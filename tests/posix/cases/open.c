/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: open(). */
#include "tests/posix/suite.h"

CASE(creates, REPRESENTATIVE)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0640);

    EQ(0640, mode_of("f"));
    EQ(S_IFREG, type_of("f"));
    EQ(0, size_of("f"));
    EQ(1, n_links_of("f"));
    IS(3, write, fd, "abc", 3);
    EQ(1, bytes_are(fd, 0, "abc"));
    IS(0, close, fd);
    EQ(1, content_is("f", "abc"));
}

CASE(creates_for_its_user, REPRESENTATIVE)
{
    as(&alice);
    FD(open, "f", O_WRONLY | O_CREAT, 0600);
    EQ(ALICE_UID, uid_of("f"));
    EQ(ALICE_GID, gid_of("f"));
    as(&bob);
    FD(open, "g", O_WRONLY | O_CREAT | O_EXCL, 0600);
    EQ(BOB_UID, uid_of("g"));
    EQ(BOB_GID, gid_of("g"));
    IS(-EACCES, open, "f", O_RDONLY, 0);
    IS(-EACCES, open, "f", O_RDONLY | O_CREAT, 0666);
}

CASE(creates_with_modes, 0)
{
    FD(open, "a", O_WRONLY | O_CREAT, 0);
    EQ(0, mode_of("a"));
    FD(open, "b", O_WRONLY | O_CREAT, 0777);
    EQ(0777, mode_of("b"));
    FD(open, "c", O_RDONLY | O_CREAT, 04751);
    EQ(04751, mode_of("c"));
    FD(open, "d", O_RDWR | O_CREAT, 01644);
    EQ(01644, mode_of("d"));
}

CASE(a_mode_counts_from_the_next_open_on, 0)
{
    int fd;

    as(&alice);
    fd = FD(open, "f", O_RDWR | O_CREAT, 0);
    IS(5, write, fd, "hello", 5);
    EQ(1, bytes_are(fd, 0, "hello"));
    IS(-EACCES, open, "f", O_RDONLY, 0);
    fd = FD(open, "g", O_WRONLY | O_CREAT | O_EXCL, 0444);
    IS(1, write, fd, "x", 1);
    IS(-EACCES, open, "g", O_WRONLY, 0);
}

CASE(without_o_creat_does_not_create, 0)
{
    IS(-ENOENT, open, "f", O_RDWR, 0);
    IS(-ENOENT, open, "f", O_RDONLY | O_TRUNC, 0);
    EQ(0, n_entries("."));
}

CASE(o_creat_opens_what_exists, 0)
{
    EQ(0, make_file("f", 0644));
    FD(open, "f", O_RDWR | O_CREAT, 0777);
    EQ(0644, mode_of("f"));
    EQ(1, content_is("f", "hello"));
}

CASE(o_excl, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "f", "link");
    IS(0, symlink, "none", "dangling");
    IS(-EEXIST, open, "f", O_RDWR | O_CREAT | O_EXCL, 0644);
    IS(-EEXIST, open, "d", O_RDWR | O_CREAT | O_EXCL, 0644);
    IS(-EEXIST, open, "link", O_RDWR | O_CREAT | O_EXCL, 0644);
    IS(-EEXIST, open, "dangling", O_RDWR | O_CREAT | O_EXCL, 0644);
    IS(-ENOENT, access, "none", F_OK);
    FD(open, "g", O_RDWR | O_CREAT | O_EXCL, 0644);
}

CASE(o_trunc, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    FD(open, "f", O_WRONLY | O_TRUNC, 0);
    EQ(0, size_of("f"));
    EQ(2, write_text("f", O_CREAT | O_TRUNC, "ab"));
    EQ(1, content_is("f", "ab"));
    IS(-EEXIST, open, "f", O_WRONLY | O_TRUNC | O_CREAT | O_EXCL, 0644);
    EQ(1, content_is("f", "ab"));
}

CASE(o_trunc_needs_write_permission, 0)
{
    EQ(0, make_file("f", 0444));
    as(&alice);
    IS(-EACCES, open, "f", O_WRONLY | O_TRUNC, 0);
    IS(-EACCES, open, "f", O_RDONLY | O_TRUNC, 0);
    EQ(5, size_of("f"));
}

CASE(o_append_writes_at_the_end, REPRESENTATIVE)
{
    int one, other;

    EQ(0, make_file("f", 0644));
    one = FD(open, "f", O_WRONLY | O_APPEND, 0);
    other = FD(open, "f", O_WRONLY, 0);
    IS(1, write, one, "1", 1);
    IS(2, pwrite, other, "23", 2, 6);
    IS(1, write, one, "4", 1);
    EQ(1, content_is("f", "hello1234"));
    IS(0, lseek, one, 0, SEEK_SET);
    IS(1, write, one, "5", 1);
    EQ(1, content_is("f", "hello12345"));
    IS(0, ftruncate, other, 2);
    IS(1, write, one, "6", 1);
    EQ(1, content_is("f", "he6"));
}

CASE(o_append_of_two, 0)
{
    int one = FD(open, "f", O_WRONLY | O_APPEND | O_CREAT, 0644);
    int other = FD(open, "f", O_RDWR | O_APPEND, 0);

    IS(2, write, one, "aa", 2);
    IS(2, write, other, "bb", 2);
    IS(2, write, one, "cc", 2);
    IS(2, write, other, "dd", 2);
    EQ(1, content_is("f", "aabbccdd"));
    IS(0, lseek, other, 0, SEEK_SET);
    EQ(1, bytes_are(other, 0, "aabbccdd"));
}

CASE(o_directory, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "d", "link");
    IS(-ENOTDIR, open, "f", O_RDONLY | O_DIRECTORY, 0);
    FD(open, "d", O_RDONLY | O_DIRECTORY, 0);
    FD(open, "link", O_RDONLY | O_DIRECTORY, 0);
    IS(-ENOENT, open, "none", O_RDONLY | O_DIRECTORY, 0);
}

CASE(o_nofollow, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, symlink, "d", "dirlink");
    IS(-ELOOP, open, "link", O_RDONLY | O_NOFOLLOW, 0);
    IS(-ELOOP, open, "link", O_RDWR | O_NOFOLLOW | O_CREAT, 0644);
    FD(open, "f", O_RDONLY | O_NOFOLLOW, 0);
    FD(open, "dirlink/f", O_RDONLY | O_NOFOLLOW, 0);
}

CASE(directories_cannot_be_written, REPRESENTATIVE)
{
    int fd;
    char byte;

    EQ(0, make_dir("d", 0777));
    IS(-EISDIR, open, "d", O_WRONLY, 0);
    IS(-EISDIR, open, "d", O_RDWR, 0);
    IS(-EISDIR, open, "d", O_RDONLY | O_TRUNC, 0);
    IS(-EISDIR, open, "d", O_RDONLY | O_CREAT, 0755);
    IS(-EISDIR, open, ".", O_WRONLY, 0);
    fd = FD(open, "d", O_RDONLY, 0);
    IS(-EISDIR, read, fd, &byte, 1);
    IS(-EBADF, write, fd, "x", 1);
}

CASE(through_symlinks, 0)
{
    EQ(0, make_file("f", 0644));
    IS(0, symlink, "f", "link");
    IS(0, symlink, "link", "link2");
    EQ(1, content_is("link2", "hello"));
    IS(0, symlink, "new", "dangling");
    IS(-ENOENT, open, "dangling", O_RDONLY, 0);
    EQ(2, write_text("dangling", O_CREAT, "hi"));
    EQ(1, content_is("new", "hi"));
    EQ(S_IFLNK, type_of("dangling"));
}

CASE(through_symlinks_elsewhere, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_dir("d/e", 0755));
    IS(0, symlink, "../g", "d/link");
    EQ(2, write_text("d/link", O_CREAT, "hi"));
    EQ(1, content_is("g", "hi"));
    IS(0, symlink, "d/e/new", "far");
    EQ(2, write_text("far", O_CREAT, "ho"));
    EQ(1, content_is("d/e/new", "ho"));
}

CASE(permissions_of_the_file, REPRESENTATIVE)
{
    EQ(0, make_file("f", 0644));
    as(&alice);
    FD(open, "f", O_RDONLY, 0);
    IS(-EACCES, open, "f", O_WRONLY, 0);
    IS(-EACCES, open, "f", O_RDWR, 0);
    IS(-EACCES, open, "f", O_RDWR | O_APPEND, 0);
    as(&root);
    IS(0, chmod, "f", 0622);
    as(&alice);
    IS(-EACCES, open, "f", O_RDONLY, 0);
    FD(open, "f", O_WRONLY, 0);
    IS(-EACCES, open, "f", O_RDWR, 0);
}

CASE(permissions_of_the_group, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, give("f", &root, STAFF_GID, 0060));
    as(&alice);
    FD(open, "f", O_RDWR, 0);
    as(&bob);
    FD(open, "f", O_RDWR, 0);
    as(&carol);
    IS(-EACCES, open, "f", O_RDONLY, 0);
    EQ(0, give("f", &root, BOB_GID, 0040));
    as(&bob);
    FD(open, "f", O_RDONLY, 0);
    as(&alice);
    IS(-EACCES, open, "f", O_RDONLY, 0);
}

CASE(permissions_of_directories, 0)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    EQ(0, make_dir("d/e", 0711));
    EQ(0, make_file("d/e/f", 0644));
    as(&alice);
    IS(-EACCES, open, "d/new", O_WRONLY | O_CREAT, 0644);
    IS(-EACCES, open, "d/new", O_WRONLY | O_CREAT | O_EXCL, 0644);
    FD(open, "d/f", O_RDONLY | O_CREAT, 0644);
    IS(-EACCES, open, "d/e", O_RDONLY, 0);
    EQ(1, content_is("d/e/f", "hello"));
    EQ(0, give("d", &root, 0, 0744));
    IS(-EACCES, open, "d/f", O_RDONLY, 0);
    IS(-EACCES, open, "d/none", O_RDONLY, 0);
    EQ(0, give("d", &alice, ALICE_GID, 0200));
    IS(-EACCES, open, "d/new", O_WRONLY | O_CREAT, 0644);
}

CASE(o_noatime_is_for_the_owner, 0)
{
    EQ(0, make_file("f", 0644));
    FD(open, "f", O_RDONLY | O_NOATIME, 0);
    as(&alice);
    IS(-EPERM, open, "f", O_RDONLY | O_NOATIME, 0);
    EQ(0, give("f", &alice, ALICE_GID, 0644));
    FD(open, "f", O_RDONLY | O_NOATIME, 0);
}

CASE(o_sync_and_friends, 0)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT | O_SYNC, 0644);

    IS(2, write, fd, "ab", 2);
    fd = FD(open, "f", O_RDWR | O_DSYNC, 0);
    IS(2, pwrite, fd, "cd", 2, 2);
    fd = FD(open, "f", O_RDWR | O_NONBLOCK | O_NOCTTY, 0);
    EQ(1, bytes_are(fd, 0, "abcd"));
}

CASE(reading_and_writing_follow_the_mode, REPRESENTATIVE)
{
    char byte;
    int fd;

    EQ(0, make_file("f", 0666));
    fd = FD(open, "f", O_RDONLY, 0);
    IS(-EBADF, write, fd, "x", 1);
    IS(-EBADF, pwrite, fd, "x", 1, 0);
    IS(-EINVAL, ftruncate, fd, 0);
    fd = FD(open, "f", O_WRONLY, 0);
    IS(-EBADF, read, fd, &byte, 1);
    IS(-EBADF, pread, fd, &byte, 1, 0);
    IS(0, close, fd);
    IS(-EBADF, read, fd, &byte, 1);
    IS(-EBADF, close, fd);
}

CASE(descriptors_have_own_positions, 0)
{
    char bytes[8];
    int one, other;

    EQ(0, make_file("f", 0644));
    one = FD(open, "f", O_RDWR, 0);
    other = FD(open, "f", O_RDONLY, 0);
    IS(2, read, one, bytes, 2);
    IS(5, read, other, bytes, 8);
    IS(0, read, other, bytes, 8);
    IS(3, read, one, bytes, 8);
    IS(0, lseek, one, 0, SEEK_SET);
    IS(2, write, one, "HE", 2);
    IS(2, lseek, one, 0, SEEK_CUR);
}

CASE(slashes_at_the_end, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(-ENOTDIR, open, "f/", O_RDONLY, 0);
    FD(open, "d/", O_RDONLY, 0);
    IS(-EISDIR, open, "new/", O_RDWR | O_CREAT, 0644);
    IS(-EISDIR, open, "d/", O_RDWR | O_CREAT, 0644);
    IS(-ENOENT, open, "new/", O_RDONLY, 0);
}

CASE(moves_times, HAS_FINE_TIMES)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, age("d"));
    FD(open, "d/f", O_RDWR | O_CREAT, 0644);
    EQ(MTIME | CTIME, moved("d"));
    EQ(0, age("d"));
    FD(open, "d/f", O_RDWR | O_CREAT, 0644);
    EQ(0, moved("d") & (MTIME | CTIME));
    EQ(2, write_text("d/f", 0, "ab"));
    EQ(0, age("d/f"));
    FD(open, "d/f", O_WRONLY | O_TRUNC, 0);
    EQ(MTIME | CTIME, moved("d/f"));
}

CASE(path_errors, 0)
{
    PATH_ERRORS(open, O_RDONLY, 0);
    IS(-ENOENT, open, "none", O_RDONLY, 0);
    IS(-ELOOP, open, "loop", O_RDONLY, 0);
}

CASE(path_errors_of_creating, 0)
{
    PATH_ERRORS(open, O_RDWR | O_CREAT, 0644);
    IS(-ELOOP, open, "loop", O_RDWR | O_CREAT, 0644);
    IS(-EEXIST, open, "loop", O_RDWR | O_CREAT | O_EXCL, 0644);
}
