/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: a file system without room, for data and for files. */
#include "tests/posix/suite.h"

enum { PIECE = 256 * 1024, MAX_PIECES = 2 * LITTLE_ROOM / PIECE };

/* Writes until nothing fits any more. Returns the error that ends it. */
static long fill(int fd)
{
    const char *piece = text_of('x', PIECE);
    size_t size = PIECE;
    long put = 0;

    for (int i = 0; i < MAX_PIECES && size > 0; i++) {
        put = CALL(write, fd, piece, size);
        if (put == -ENOSPC)
            size /= 2;
        else if (put < 0)
            return put;
    }
    return put;
}

/* Makes files until no more can be made. Returns the error that ends it. */
static long fill_names(void)
{
    char name[16];
    long error = 0;

    for (int i = 0; i < 1000 && !error; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        error = CALL(mknod, name, S_IFREG | 0644, 0);
    }
    return error;
}

CASE(writing, HAS_LITTLE_ROOM)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);
    long size;

    EQ(-ENOSPC, fill(fd));
    size = size_of("f");
    EQ(1, size > 0);
    IS(-ENOSPC, pwrite, fd, "x", 1, size + 1000000);
    EQ(size, size_of("f"));
    IS(1, pwrite, fd, "y", 1, 0);
    IS(0, ftruncate, fd, 0);
    IS(5, pwrite, fd, "hello", 5, 0);
    EQ(1, content_is("f", "hello"));
}

CASE(writing_partly, HAS_LITTLE_ROOM)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);
    int other = FD(open, "g", O_RDWR | O_CREAT, 0644);

    EQ(-ENOSPC, fill(fd));
    IS(0, ftruncate, fd, size_of("f") - 10000);
    EQ(1, CALL(write, other, text_of('y', PIECE), PIECE) < PIECE);
    EQ(1, size_of("g") < PIECE);
}

CASE(an_open_file_keeps_its_room, HAS_LITTLE_ROOM)
{
    int fd = FD(open, "f", O_RDWR | O_CREAT, 0644);

    EQ(-ENOSPC, fill(fd));
    IS(0, unlink, "f");
    IS(-ENOSPC, posix_fallocate, FD(open, "g", O_RDWR | O_CREAT, 0644), 0, PIECE);
    IS(0, close, fd);
    EQ(5, write_text("h", O_CREAT, "hello"));
}

CASE(making_names, HAS_LITTLE_ROOM)
{
    EQ(-ENOSPC, fill_names());
    IS(-ENOSPC, open, "g", O_RDWR | O_CREAT, 0644);
    IS(-ENOSPC, mkdir, "d", 0755);
    IS(-ENOSPC, symlink, "f0", "l");
    IS(-ENOSPC, mknod, "p", S_IFIFO | 0644, 0);
    IS(-ENOENT, access, "g", F_OK);
    IS(0, rename, "f0", "r");
    IS(0, unlink, "f1");
    IS(0, mkdir, "d", 0755);
}
