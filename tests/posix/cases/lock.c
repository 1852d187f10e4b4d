/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: fcntl() locks of processes and of open files, flock(). */
#include "tests/posix/suite.h"

enum { PATIENCE_MS = 30000, WHILE_MS = 30 };

CASE(processes_exclude_each_other, HAS_LOCKS | REPRESENTATIVE)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, posix_lock(F_WRLCK, 0, 10));
    IS_EITHER(-EAGAIN, -EACCES, peer_lock, peer, posix_lock(F_WRLCK, 5, 1));
    IS_EITHER(-EAGAIN, -EACCES, peer_lock, peer, posix_lock(F_RDLCK, 9, 100));
    IS(0, peer_lock, peer, posix_lock(F_WRLCK, 10, 5));
    IS_EITHER(-EAGAIN, -EACCES, lock, fd, posix_lock(F_RDLCK, 12, 1));
    IS(0, lock, fd, posix_lock(F_UNLCK, 0, 10));
    IS(0, peer_lock, peer, posix_lock(F_WRLCK, 0, 0));
}

CASE(readers_share, HAS_LOCKS)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, posix_lock(F_RDLCK, 0, 0));
    IS(0, peer_lock, peer, posix_lock(F_RDLCK, 0, 0));
    IS_EITHER(-EAGAIN, -EACCES, lock, fd, posix_lock(F_WRLCK, 0, 1));
    IS(0, peer_lock, peer, posix_lock(F_UNLCK, 0, 0));
    IS(0, lock, fd, posix_lock(F_WRLCK, 0, 1));
}

CASE(ranges_split_and_join, HAS_LOCKS)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, posix_lock(F_WRLCK, 0, 100));
    IS(0, lock, fd, posix_lock(F_UNLCK, 40, 20));
    IS(0, peer_lock, peer, posix_lock(F_WRLCK, 40, 20));
    IS_EITHER(-EAGAIN, -EACCES, peer_lock, peer, posix_lock(F_WRLCK, 39, 1));
    IS_EITHER(-EAGAIN, -EACCES, peer_lock, peer, posix_lock(F_WRLCK, 60, 1));
    IS(0, peer_lock, peer, posix_lock(F_UNLCK, 0, 0));
    IS(0, lock, fd, posix_lock(F_RDLCK, 30, 40));
    IS(0, peer_lock, peer, posix_lock(F_RDLCK, 30, 40));
    IS_EITHER(-EAGAIN, -EACCES, peer_lock, peer, posix_lock(F_RDLCK, 29, 1));
    IS(0, peer_lock, peer, posix_lock(F_WRLCK, 100, 0));
}

CASE(a_process_does_not_hinder_itself, HAS_LOCKS)
{
    int one, other;

    EQ(0, make_file("f", 0644));
    one = FD(open, "f", O_RDWR, 0);
    other = FD(open, "f", O_RDWR, 0);
    IS(0, lock, one, posix_lock(F_WRLCK, 0, 0));
    IS(0, lock, other, posix_lock(F_WRLCK, 0, 0));
    IS(0, lock, other, posix_lock(F_RDLCK, 0, 0));
    IS(F_UNLCK, test_lock, one, posix_lock(F_WRLCK, 0, 0));
}

CASE(are_found, HAS_LOCKS | REPRESENTATIVE)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(F_UNLCK, peer_test_lock, peer, posix_lock(F_WRLCK, 0, 0));
    IS(0, lock, fd, posix_lock(F_WRLCK, 10, 10));
    IS(F_WRLCK, peer_test_lock, peer, posix_lock(F_WRLCK, 0, 0));
    IS(F_WRLCK, peer_test_lock, peer, posix_lock(F_RDLCK, 19, 1));
    IS(F_UNLCK, peer_test_lock, peer, posix_lock(F_RDLCK, 20, 1));
    IS(0, lock, fd, posix_lock(F_RDLCK, 10, 10));
    IS(F_RDLCK, peer_test_lock, peer, posix_lock(F_WRLCK, 0, 0));
    IS(F_UNLCK, test_lock, fd, posix_lock(F_WRLCK, 0, 0));
}

CASE(a_reader_finds_no_reader, HAS_LOCKS)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, posix_lock(F_RDLCK, 0, 10));
    IS(F_UNLCK, peer_test_lock, peer, posix_lock(F_RDLCK, 0, 10));
}

CASE(go_with_any_close_of_the_process, HAS_LOCKS | REPRESENTATIVE)
{
    int one, other, peer;

    EQ(0, make_file("f", 0644));
    one = FD(open, "f", O_RDWR, 0);
    other = FD(open, "f", O_RDONLY, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, one, posix_lock(F_WRLCK, 0, 0));
    IS_EITHER(-EAGAIN, -EACCES, peer_lock, peer, posix_lock(F_WRLCK, 0, 0));
    IS(0, close, other);
    IS(0, peer_lock, peer, posix_lock(F_WRLCK, 0, 0));
    IS(0, peer_close, peer);
    IS(0, lock, one, posix_lock(F_WRLCK, 0, 0));
}

CASE(waiting_ends_with_the_lock, HAS_LOCKS | REPRESENTATIVE)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, posix_lock(F_WRLCK, 0, 10));
    IS(0, peer_start, peer, posix_lock(F_WRLCK, 0, 0));
    IS(-EINPROGRESS, peer_finish, WHILE_MS);
    IS(0, lock, fd, posix_lock(F_UNLCK, 0, 0));
    IS(0, peer_finish, PATIENCE_MS);
    IS_EITHER(-EAGAIN, -EACCES, lock, fd, posix_lock(F_RDLCK, 0, 1));
}

CASE(waiting_ends_with_a_close, HAS_LOCKS)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, posix_lock(F_WRLCK, 0, 0));
    IS(0, peer_start, peer, posix_lock(F_RDLCK, 100, 1));
    IS(-EINPROGRESS, peer_finish, WHILE_MS);
    IS(0, close, fd);
    IS(0, peer_finish, PATIENCE_MS);
}

CASE(stay_with_a_removed_file, HAS_LOCKS)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, posix_lock(F_WRLCK, 0, 0));
    IS(0, unlink, "f");
    IS_EITHER(-EAGAIN, -EACCES, peer_lock, peer, posix_lock(F_WRLCK, 0, 0));
    EQ(0, make_file("f", 0644));
    IS(0, peer_close, peer);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, peer_lock, peer, posix_lock(F_WRLCK, 0, 0));
}

CASE(need_the_mode, HAS_LOCKS)
{
    int reader, writer;

    EQ(0, make_file("f", 0644));
    reader = FD(open, "f", O_RDONLY, 0);
    writer = FD(open, "f", O_WRONLY, 0);
    IS(-EBADF, lock, reader, posix_lock(F_WRLCK, 0, 0));
    IS(-EBADF, lock, writer, posix_lock(F_RDLCK, 0, 0));
    IS(0, lock, reader, posix_lock(F_RDLCK, 0, 0));
    IS(0, lock, writer, posix_lock(F_WRLCK, 0, 0));
}

CASE(have_a_range, HAS_LOCKS)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    IS(-EINVAL, lock, fd, posix_lock(F_WRLCK, -1, 0));
    IS(0, lock, fd, posix_lock(F_WRLCK, 0x7fffffffffffffff, 1));
    IS(-EOVERFLOW, lock, fd, posix_lock(F_WRLCK, 0x7fffffffffffffff, 2));
    IS(0, lock, fd, posix_lock(F_WRLCK, 10, -10));
    IS(-EINVAL, lock, fd, posix_lock(F_WRLCK, 10, -11));
}

CASE(of_open_files, HAS_LOCKS | REPRESENTATIVE)
{
    int one, other;

    EQ(0, make_file("f", 0644));
    one = FD(open, "f", O_RDWR, 0);
    other = FD(open, "f", O_RDWR, 0);
    IS(0, lock, one, opening_lock(F_WRLCK, 0, 10));
    IS(-EAGAIN, lock, other, opening_lock(F_RDLCK, 0, 10));
    IS(0, lock, other, opening_lock(F_RDLCK, 10, 10));
    IS(F_WRLCK, test_lock, other, opening_lock(F_WRLCK, 0, 5));
    IS(0, close, one);
    IS(0, lock, other, opening_lock(F_WRLCK, 0, 0));
}

CASE(of_open_files_and_of_processes_exclude_each_other, HAS_LOCKS)
{
    int one, other;

    EQ(0, make_file("f", 0644));
    one = FD(open, "f", O_RDWR, 0);
    other = FD(open, "f", O_RDWR, 0);
    IS(0, lock, one, opening_lock(F_WRLCK, 0, 0));
    IS(-EAGAIN, lock, other, posix_lock(F_WRLCK, 0, 0));
    IS(0, lock, one, opening_lock(F_UNLCK, 0, 0));
    IS(0, lock, other, posix_lock(F_WRLCK, 0, 0));
    IS(-EAGAIN, lock, one, opening_lock(F_RDLCK, 0, 0));
}

CASE(of_whole_files, HAS_LOCKS | REPRESENTATIVE)
{
    int one, other, peer;

    EQ(0, make_file("f", 0644));
    one = FD(open, "f", O_RDONLY, 0);
    other = FD(open, "f", O_RDONLY, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, one, whole_lock(F_WRLCK));
    IS(-EAGAIN, lock, other, whole_lock(F_WRLCK));
    IS(-EAGAIN, peer_lock, peer, whole_lock(F_RDLCK));
    IS(0, lock, one, whole_lock(F_RDLCK));
    IS(0, peer_lock, peer, whole_lock(F_RDLCK));
    IS(-EAGAIN, lock, one, whole_lock(F_WRLCK));
    IS(0, close, one);
    IS(0, peer_lock, peer, whole_lock(F_UNLCK));
    IS(0, lock, other, whole_lock(F_WRLCK));
}

CASE(of_whole_files_wait, HAS_LOCKS)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, whole_lock(F_WRLCK));
    IS(0, peer_start, peer, whole_lock(F_WRLCK));
    IS(-EINPROGRESS, peer_finish, WHILE_MS);
    IS(0, lock, fd, whole_lock(F_UNLCK));
    IS(0, peer_finish, PATIENCE_MS);
}

CASE(of_whole_files_and_of_processes_do_not_meet, HAS_LOCKS)
{
    int fd, peer;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    peer = FD(peer_open, "f", O_RDWR);
    IS(0, lock, fd, whole_lock(F_WRLCK));
    IS(0, peer_lock, peer, posix_lock(F_WRLCK, 0, 0));
}
