/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Share: see share.h. */
#include "tests/bench/share.h"

#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/pattern.h"

static void make_folder(const char *share, const char *name)
{
    g_autofree char *path = g_build_filename(share, name, NULL);

    if (g_mkdir_with_parents(path, 0755) != 0)
        g_error("cannot make %s", path);
}

static void make_file(const char *share, const char *name, uint64_t size)
{
    g_autofree char *path = g_build_filename(share, name, NULL);
    g_autofree uint8_t *block = g_malloc(1024 * 1024);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    for (uint64_t at = 0; fd >= 0 && at < size; at += 1024 * 1024) {
        pattern_fill(block, 1024 * 1024, at);
        if (write(fd, block, MIN(size - at, 1024 * 1024)) < 0)
            g_error("cannot write %s", path);
    }
    if (fd < 0 || close(fd) != 0)
        g_error("cannot make %s", path);
}

/* BENCH_DIR, or shared memory if there is room for it, or the folder for temporary files. */
static char *make_root(void)
{
    const char *dir = g_getenv("BENCH_DIR");
    g_autofree char *template = NULL;
    char *made;

    if (!dir)
        dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : g_get_tmp_dir();
    template = g_build_filename(dir, "xen-9pfs-bench-XXXXXX", NULL);
    made = g_mkdtemp_full(template, 0755);
    if (!made)
        g_error("cannot make a folder in %s", dir);
    return g_steal_pointer(&template);
}

char *share_new(void)
{
    char *share = make_root();

    make_folder(share, "a/b/c");
    make_folder(share, SHARE_CREATE);
    make_folder(share, SHARE_LIST);
    make_file(share, SHARE_DEEP, SHARE_BLOCK);
    make_file(share, SHARE_LEASED, SHARE_BLOCK);
    make_file(share, SHARE_FILE, SHARE_FILE_SIZE);
    make_file(share, SHARE_OUTPUT, SHARE_FILE_SIZE);
    for (unsigned i = 0; i < SHARE_ENTRIES; i++) {
        char name[64];

        g_snprintf(name, sizeof(name), SHARE_LIST "/entry-%05u", i);
        make_file(share, name, 0);
    }
    return share;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void share_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
