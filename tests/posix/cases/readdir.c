/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: reading directories, and going back to where one was. */
#include <dirent.h>
#include <stdlib.h>

#include "tests/posix/suite.h"

enum { MAX = 512 };

static Entry entries[MAX];

/* Reads to the end. Returns how many entries came. */
static long read_all(int fd)
{
    long n = 0, got;

    while (n < MAX && (got = CALL(getdents, fd, entries + n, (unsigned)(MAX - n))) > 0)
        n += got;
    return got < 0 ? got : n;
}

static const Entry *find(long n, const char *name)
{
    for (long i = 0; i < n; i++) {
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    }
    return NULL;
}

static long type_in(long n, const char *name)
{
    const Entry *entry = find(n, name);

    return entry ? entry->type : -ENOENT;
}

/* Makes `n` files called f0, f1 ... */
static long make_many(const char *dir, int n)
{
    char path[64];

    for (int i = 0; i < n; i++) {
        long error;

        snprintf(path, sizeof(path), "%s/f%d", dir, i);
        error = CALL(mknod, path, S_IFREG | 0644, 0);
        if (error)
            return error;
    }
    return 0;
}

CASE(lists_each_entry_once, REPRESENTATIVE)
{
    int fd;
    long n;

    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "f", "link");
    fd = FD(open, ".", O_RDONLY | O_DIRECTORY, 0);
    n = read_all(fd);
    EQ(5, n);
    EQ(1, find(n, ".") && find(n, "..") && find(n, "f") && find(n, "d") && find(n, "link"));
    IS(0, getdents, fd, entries, MAX);
}

CASE(tells_types, REPRESENTATIVE)
{
    int fd;
    long n;

    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, symlink, "f", "link");
    IS(0, mknod, "fifo", S_IFIFO | 0644, 0);
    IS(0, mknod, "socket", S_IFSOCK | 0644, 0);
    IS(0, mknod, "device", S_IFCHR | 0644, 0x103);
    fd = FD(open, ".", O_RDONLY | O_DIRECTORY, 0);
    n = read_all(fd);
    EQ(DT_REG, type_in(n, "f"));
    EQ(DT_DIR, type_in(n, "d"));
    EQ(DT_DIR, type_in(n, "."));
    EQ(DT_LNK, type_in(n, "link"));
    EQ(DT_FIFO, type_in(n, "fifo"));
    EQ(DT_SOCK, type_in(n, "socket"));
    EQ(DT_CHR, type_in(n, "device"));
}

CASE(tells_inode_numbers, 0)
{
    struct stat st;
    int fd;
    long n;

    EQ(0, make_file("f", 0644));
    EQ(0, make_dir("d", 0755));
    IS(0, link, "f", "g");
    fd = FD(open, ".", O_RDONLY | O_DIRECTORY, 0);
    n = read_all(fd);
    EQ(5, n);
    IS(0, lstat, "f", &st);
    EQ(1, find(n, "f") && find(n, "f")->ino == st.st_ino);
    EQ(1, find(n, "g") && find(n, "g")->ino == st.st_ino);
    IS(0, lstat, "d", &st);
    EQ(1, find(n, "d") && find(n, "d")->ino == st.st_ino);
    IS(0, lstat, ".", &st);
    EQ(1, find(n, ".") && find(n, ".")->ino == st.st_ino);
}

CASE(rewinds, REPRESENTATIVE)
{
    int fd = FD(open, ".", O_RDONLY | O_DIRECTORY, 0);

    EQ(2, read_all(fd));
    EQ(0, make_file("f", 0644));
    IS(0, lseek, fd, 0, SEEK_SET);
    EQ(3, read_all(fd));
    IS(0, unlink, "f");
    IS(0, lseek, fd, 0, SEEK_SET);
    EQ(2, read_all(fd));
}

CASE(continues_behind_any_entry, REPRESENTATIVE)
{
    char behind[2][256];
    long n_wrong = 0;
    int fd;
    long n;

    EQ(0, make_dir("d", 0755));
    EQ(0, make_many("d", 20));
    fd = FD(open, "d", O_RDONLY | O_DIRECTORY, 0);
    n = read_all(fd);
    EQ(22, n);
    for (long i = 0; i + 1 < n; i += 3) {
        Entry one[16];
        off_t offset = entries[i].next;

        strcpy(behind[0], entries[i + 1].name);
        n_wrong += CALL(lseek, fd, offset, SEEK_SET) != offset;
        n_wrong += CALL(getdents, fd, one, 1) < 1;
        n_wrong += strcmp(one[0].name, behind[0]) != 0;
    }
    EQ(0, n_wrong);
}

CASE(survives_removals_meanwhile, 0)
{
    char path[64];
    Entry first;
    int fd;
    long n;

    EQ(0, make_dir("d", 0755));
    EQ(0, make_many("d", 50));
    fd = FD(open, "d", O_RDONLY | O_DIRECTORY, 0);
    IS(1, getdents, fd, &first, 1);
    for (int i = 0; i < 50; i += 2) {
        snprintf(path, sizeof(path), "d/f%d", i);
        CALL(unlink, path);
    }
    IS(0, lseek, fd, 0, SEEK_SET);
    n = read_all(fd);
    EQ(27, n);
    EQ(27, n_entries("d") + 2);
}

CASE(many_entries, 0)
{
    int fd;
    long n;

    EQ(0, make_dir("d", 0755));
    EQ(0, make_many("d", 400));
    fd = FD(open, "d", O_RDONLY | O_DIRECTORY, 0);
    n = read_all(fd);
    EQ(402, n);
    EQ(400, n_entries("d"));
    EQ(1, find(n, "f0") && find(n, "f399") && find(n, "f200"));
}

CASE(long_names, 0)
{
    char name[256];
    int fd;
    long n;

    for (int i = 0; i < 20; i++) {
        memset(name, 'a' + i, 255);
        name[255] = '\0';
        EQ(0, CALL(mknod, name, S_IFREG | 0644, 0));
    }
    fd = FD(open, ".", O_RDONLY | O_DIRECTORY, 0);
    n = read_all(fd);
    EQ(22, n);
    memset(name, 'c', 255);
    EQ(1, find(n, name) != NULL);
}

CASE(needs_read_permission, REPRESENTATIVE)
{
    EQ(0, make_dir("d", 0711));
    EQ(0, make_file("d/f", 0644));
    as(&alice);
    IS(-EACCES, open, "d", O_RDONLY | O_DIRECTORY, 0);
    EQ(1, content_is("d/f", "hello"));
    EQ(0, give("d", &root, 0, 0744));
    EQ(1, n_entries("d"));
    EQ(-EACCES, content_is("d/f", "hello"));
}

CASE(only_of_directories, REPRESENTATIVE)
{
    int fd;

    EQ(0, make_file("f", 0644));
    fd = FD(open, "f", O_RDONLY, 0);
    IS(-ENOTDIR, getdents, fd, entries, 4);
    IS(0, close, fd);
    IS(-EBADF, getdents, fd, entries, 4);
}

CASE(an_open_directory_follows_renames, 0)
{
    int fd;

    EQ(0, make_dir("d", 0755));
    EQ(0, make_file("d/f", 0644));
    fd = FD(open, "d", O_RDONLY | O_DIRECTORY, 0);
    IS(0, rename, "d", "e");
    EQ(3, read_all(fd));
    IS(0, lseek, fd, 0, SEEK_SET);
    EQ(0, make_file("e/g", 0644));
    EQ(4, read_all(fd));
}

CASE(moves_the_atime, HAS_FINE_TIMES)
{
    EQ(0, make_dir("d", 0755));
    EQ(0, age("d"));
    EQ(0, n_entries("d"));
    EQ(0, moved("d") & (MTIME | CTIME));
}
