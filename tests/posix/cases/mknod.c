/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: mknod() and mkfifo(), which is mknod() of a FIFO. */
#include <sys/sysmacros.h>

#include "tests/posix/suite.h"

static long device_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)st.st_rdev;
}

CASE(makes_a_fifo, REPRESENTATIVE)
{
    IS(0, mknod, "fifo", S_IFIFO | 0640, 0);
    EQ(S_IFIFO, type_of("fifo"));
    EQ(0640, mode_of("fifo"));
    EQ(1, n_links_of("fifo"));
    EQ(0, size_of("fifo"));
    IS(-EEXIST, mknod, "fifo", S_IFIFO | 0640, 0);
    IS(0, unlink, "fifo");
}

CASE(makes_a_socket, REPRESENTATIVE)
{
    IS(0, mknod, "socket", S_IFSOCK | 0777, 0);
    EQ(S_IFSOCK, type_of("socket"));
    EQ(0777, mode_of("socket"));
    IS(-ENXIO, open, "socket", O_RDWR, 0);
}

CASE(makes_devices, REPRESENTATIVE)
{
    IS(0, mknod, "char", S_IFCHR | 0600, makedev(1, 3));
    EQ(S_IFCHR, type_of("char"));
    EQ((long)makedev(1, 3), device_of("char"));
    IS(0, mknod, "block", S_IFBLK | 0660, makedev(7, 200));
    EQ(S_IFBLK, type_of("block"));
    EQ((long)makedev(7, 200), device_of("block"));
    EQ(0660, mode_of("block"));
}

CASE(makes_devices_with_large_numbers, 0)
{
    IS(0, mknod, "char", S_IFCHR | 0600, makedev(4000, 70000));
    EQ((long)makedev(4000, 70000), device_of("char"));
    IS(0, mknod, "zero", S_IFCHR | 0600, makedev(0, 0));
    EQ(0, device_of("zero"));
}

CASE(makes_a_file, REPRESENTATIVE)
{
    IS(0, mknod, "f", S_IFREG | 0640, 0);
    EQ(S_IFREG, type_of("f"));
    EQ(0640, mode_of("f"));
    EQ(0, size_of("f"));
    IS(0, mknod, "g", 0604, 0);
    EQ(S_IFREG, type_of("g"));
    EQ(3, write_text("g", 0, "abc"));
}

CASE(users_make_no_devices, REPRESENTATIVE)
{
    as(&alice);
    IS(-EPERM, mknod, "char", S_IFCHR | 0600, makedev(1, 3));
    IS(-EPERM, mknod, "block", S_IFBLK | 0600, makedev(7, 0));
    IS(0, mknod, "fifo", S_IFIFO | 0600, 0);
    IS(0, mknod, "socket", S_IFSOCK | 0600, 0);
    IS(0, mknod, "f", S_IFREG | 0600, 0);
    EQ(ALICE_UID, uid_of("fifo"));
    EQ(ALICE_GID, gid_of("fifo"));
    EQ(ALICE_UID, uid_of("socket"));
    EQ(ALICE_GID, gid_of("f"));
}

CASE(makes_no_directories, 0)
{
    IS(-EPERM, mknod, "d", S_IFDIR | 0755, 0);
    IS(-EINVAL, mknod, "l", S_IFLNK | 0777, 0);
    IS(-ENOENT, access, "d", F_OK);
}

CASE(never_replaces, 0)
{
    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "none", "dangling");
    IS(-EEXIST, mknod, "f", S_IFIFO | 0600, 0);
    IS(-EEXIST, mknod, "d", S_IFIFO | 0600, 0);
    IS(-EEXIST, mknod, "dangling", S_IFIFO | 0600, 0);
    IS(-EEXIST, mknod, ".", S_IFIFO | 0600, 0);
}

CASE(set_id_bits, 0)
{
    IS(0, mknod, "f", S_IFREG | 06755, 0);
    EQ(06755, mode_of("f"));
    IS(0, mknod, "fifo", S_IFIFO | 01777, 0);
    EQ(01777, mode_of("fifo"));
}

CASE(needs_a_writable_directory, 0)
{
    EQ(0, make_dir("d", 0755));
    as(&alice);
    IS(-EACCES, mknod, "d/fifo", S_IFIFO | 0600, 0);
    IS(-EACCES, mknod, "d/f", S_IFREG | 0600, 0);
}

CASE(a_fifo_without_readers, 0)
{
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(-ENXIO, open, "fifo", O_WRONLY | O_NONBLOCK, 0);
    as(&alice);
    IS(-EACCES, open, "fifo", O_WRONLY | O_NONBLOCK, 0);
}

CASE(moves_times_of_the_parent, HAS_FINE_TIMES)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, age("d"));
    IS(0, mknod, "d/fifo", S_IFIFO | 0644, 0);
    EQ(MTIME | CTIME, moved("d"));
}

CASE(path_errors, 0)
{
    PATH_ERRORS(mknod, S_IFIFO | 0644, 0);
    IS(-EEXIST, mknod, "loop", S_IFIFO | 0644, 0);
    IS(-ENOENT, mknod, "fifo/", S_IFIFO | 0644, 0);
}
