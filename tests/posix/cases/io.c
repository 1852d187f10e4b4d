/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: read(), write(), pread(), pwrite(), lseek(), fsync(). */
#include <stdlib.h>

#include "tests/posix/suite.h"

CASE(positions, REPRESENTATIVE)
{
    char bytes[16];
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    IS(10, write, fd, "0123456789", 10);
    IS(10, lseek, fd, 0, SEEK_CUR);
    IS(2, lseek, fd, 2, SEEK_SET);
    IS(3, read, fd, bytes, 3);
    EQ(0, memcmp(bytes, "234", 3));
    IS(5, lseek, fd, 0, SEEK_CUR);
    IS(8, lseek, fd, -2, SEEK_END);
    IS(2, read, fd, bytes, 16);
    IS(0, read, fd, bytes, 16);
    IS(-EINVAL, lseek, fd, -1, SEEK_SET);
    IS(-EINVAL, lseek, fd, 0, 99);
    IS(12, lseek, fd, 2, SEEK_END);
    IS(0, read, fd, bytes, 16);
}

CASE(at_offsets, REPRESENTATIVE)
{
    char bytes[16];
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDWR, 0);
    IS(2, pwrite, fd, "XY", 2, 1);
    EQ(1, content_is("f", "hXYlo"));
    IS(4, pread, fd, bytes, 16, 1);
    IS(0, pread, fd, bytes, 16, 5);
    IS(0, pread, fd, bytes, 16, 5000);
    IS(-EINVAL, pread, fd, bytes, 1, -1);
    IS(-EINVAL, pwrite, fd, bytes, 1, -1);
    IS(0, lseek, fd, 0, SEEK_CUR);
}

CASE(holes_read_as_zeros, 0)
{
    char bytes[4] = "xxx";
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    IS(1, pwrite, fd, "x", 1, 1000000);
    EQ(1000001, size_of("f"));
    IS(3, pread, fd, bytes, 3, 500000);
    EQ(0, bytes[0] | bytes[1] | bytes[2]);
    IS(2, lseek, fd, 2, SEEK_SET);
    IS(1, write, fd, "y", 1);
    EQ(1000001, size_of("f"));
}

CASE(large_transfers, REPRESENTATIVE)
{
    enum { SIZE = 3 << 20 };
    char *out = malloc(SIZE), *in = malloc(SIZE);
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);
    long done = 0, got;

    for (int i = 0; i < SIZE; i++)
        out[i] = (char)(i * 31 + (i >> 12));
    IS(SIZE, write, fd, out, SIZE);
    EQ(SIZE, size_of("f"));
    while (done < SIZE && (got = CALL(pread, fd, in + done, (size_t)(SIZE - done), done)) > 0)
        done += got;
    EQ(SIZE, done);
    EQ(0, memcmp(in, out, SIZE));
    free(out);
    free(in);
}

CASE(far_offsets, 0)
{
    char byte;
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    IS(1, pwrite, fd, "x", 1, 5l << 32);
    EQ((5l << 32) + 1, size_of("f"));
    IS(1, pread, fd, &byte, 1, 5l << 32);
    EQ('x', byte);
    IS(-EINVAL, pwrite, fd, "x", 1, 0x7fffffffffffffff);
    SHOW(pwrite, fd, "x", 1, 0x7ffffffffffffff0);
}

CASE(syncs, REPRESENTATIVE)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    IS(3, write, fd, "abc", 3);
    IS(0, fsync, fd);
    IS(0, fdatasync, fd);
    IS(0, close, fd);
    fd = FD(open, "f", O_RDONLY, 0);
    IS(0, fsync, fd);
    fd = FD(open, ".", O_RDONLY | O_DIRECTORY, 0);
    IS(0, fsync, fd);
    IS(-EBADF, fsync, 200);
}

CASE(two_descriptors_see_the_same, 0)
{
    int one = FD(open, "f", O_RDWR | O_CREAT, 0644);
    int other = FD(open, "f", O_RDWR, 0);

    IS(5, pwrite, one, "abcde", 5, 0);
    EQ(1, bytes_are(other, 0, "abcde"));
    IS(1, pwrite, other, "X", 1, 4);
    EQ(1, bytes_are(one, 0, "abcdX"));
    IS(0, ftruncate, other, 2);
    EQ(1, bytes_are(one, 0, "ab"));
}

CASE(overwrites_in_place, 0)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    IS(8192, write, fd, text_of('a', 8192), 8192);
    IS(100, pwrite, fd, text_of('b', 100), 100, 4046);
    EQ(8192, size_of("f"));
    EQ(1, bytes_are(fd, 4146, text_of('a', 4046)) == 1);
}
