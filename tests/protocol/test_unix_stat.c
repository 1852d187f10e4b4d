/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tstat and Twstat of 9P2000.u and 9P2000. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lib/unix_client.h"

enum { FID = 9, OTHER = 10 };

static const Dialect dialects[] = {DIALECT_9P2000_U, DIALECT_9P2000};

static UnixStat stat_of(UnixClient *u, const char *name)
{
    UnixStat s;

    unix_at(u, FID, name);
    g_assert_cmpint(unix_stat(u, FID, &s), ==, 0);
    g_assert_cmpint(unix_clunk(u, FID), ==, 0);
    return s;
}

static void test_root(Share *s, gconstpointer unused)
{
    struct stat st;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        UnixStat got = stat_of(&u, "");

        g_assert_true(share_stat(s, "", &st));
        g_assert_cmpstr(got.name, ==, "/");
        g_assert_cmphex(got.mode, ==, P9_DMDIR | 0755);
        g_assert_cmphex(got.qid.type, ==, P9_QTDIR);
        g_assert_cmpuint(got.qid.version, !=, 0);
        g_assert_cmpuint(got.mtime, ==, (uint32_t)st.st_mtime);
        g_assert_cmpuint(got.length, ==, i == 0 ? (uint64_t)st.st_size : 0);
    }
}

static void test_file(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    UnixClient u;
    UnixStat got;
    struct stat st;

    (void)unused;
    share_put(s, "file", "12345");
    g_assert_cmpint(chmod(path, 06741), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    u = unix_start(s, DIALECT_9P2000_U);
    got = stat_of(&u, "file");
    g_assert_cmpstr(got.name, ==, "file");
    g_assert_cmphex(got.mode, ==, P9_DMSETUID | P9_DMSETGID | 0741);
    g_assert_cmpuint(got.length, ==, 5);
    g_assert_cmpuint(got.atime, ==, (uint32_t)st.st_atime);
    g_assert_cmpuint(got.mtime, ==, (uint32_t)st.st_mtime);
    g_assert_cmpuint(got.n_uid, ==, st.st_uid);
    g_assert_cmpuint(got.n_gid, ==, st.st_gid);
    g_assert_cmpstr(got.uid, ==, "");
    g_assert_cmpstr(got.extension, ==, "");

    u = unix_start(s, DIALECT_9P2000);
    got = stat_of(&u, "file");
    g_assert_cmphex(got.mode, ==, 0741);
    g_assert_cmpint(atoi(got.uid), ==, (int)st.st_uid);
    g_assert_cmpint(atoi(got.gid), ==, (int)st.st_gid);
    g_assert_cmpstr(got.uid, !=, "");
}

static void test_extensions(Share *s, gconstpointer unused)
{
    g_autofree char *file = share_path(s, "file");
    g_autofree char *second = share_path(s, "second");
    g_autofree char *symbolic = share_path(s, "symlink");
    g_autofree char *fifo = share_path(s, "fifo");
    g_autofree char *fifo2 = share_path(s, "fifo2");
    g_autofree char *dir = share_path(s, "dir");
    g_autofree char *device = share_path(s, "null");
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    UnixStat got;

    (void)unused;
    share_put(s, "file", "");
    g_assert_cmpint(link(file, second), ==, 0);
    g_assert_cmpint(symlink("to nowhere", symbolic), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(mkdir(dir, 01777), ==, 0);
    g_assert_cmpstr(stat_of(&u, "second").extension, ==, "HARDLINKCOUNT 2");
    got = stat_of(&u, "symlink");
    g_assert_cmpstr(got.extension, ==, "to nowhere");
    g_assert_cmphex(got.mode & ~0777u, ==, P9_DMSYMLINK);
    g_assert_cmphex(got.qid.type, ==, P9_QTSYMLINK);
    got = stat_of(&u, "fifo");
    g_assert_cmpstr(got.extension, ==, "");
    g_assert_cmphex(got.mode & ~0777u, ==, P9_DMNAMEDPIPE);
    g_assert_cmpint(link(fifo, fifo2), ==, 0);
    g_assert_cmpstr(stat_of(&u, "fifo").extension, ==, "HARDLINKCOUNT 2");
    if (mknod(device, S_IFCHR | 0600, makedev(1, 3)) == 0) {
        got = stat_of(&u, "null");
        g_assert_cmpstr(got.extension, ==, "c 1 3");
        g_assert_cmphex(got.mode & ~0777u, ==, P9_DMDEVICE);
    }
    u = unix_start(s, DIALECT_9P2000);
    g_assert_cmphex(stat_of(&u, "symlink").mode & ~0777u, ==, 0);
    g_assert_cmphex(stat_of(&u, "fifo").mode & ~0777u, ==, 0);
}

/* The longest name and target there can be fit a client's 8 KiB; the msize may be too small. */
static void test_longest(Share *s, gconstpointer unused)
{
    g_autofree char *target = g_strnfill(4095, 't');
    char name[P9_NAME_MAX + 1];
    g_autofree char *path = NULL;
    char version[32];
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    UnixStat got;
    uint32_t msize;

    (void)unused;
    memset(name, 'n', P9_NAME_MAX);
    name[P9_NAME_MAX] = '\0';
    path = share_path(s, name);
    if (symlink(target, path) != 0) { /* some file systems stop a byte earlier */
        target[4094] = '\0';
        g_assert_cmpint(symlink(target, path), ==, 0);
    }
    got = stat_of(&u, name);
    g_assert_cmpstr(got.extension, ==, target);
    g_assert_cmpstr(got.name, ==, name);
    g_assert_cmpuint(got.size, <, 8192 - 2 - P9_HEADER_SIZE - 2);

    g_assert_cmpint(client_version(&u, 4096, "9P2000.u", &msize, version), ==, 0);
    g_assert_cmpint(unix_attach(&u, SHARE_ROOT, "", 0), ==, 0);
    unix_at(&u, FID, name);
    g_assert_cmpint(unix_stat(&u, FID, &got), ==, -EMSGSIZE);
}

/* The name follows the file, whoever moves it; a removed one keeps what it had. */
static void test_names(Share *s, gconstpointer unused)
{
    g_autofree char *a = share_path(s, "a");
    g_autofree char *b = share_path(s, "b");
    g_autofree char *odd = share_path(s, "odd (deleted)");
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    UnixStat got;

    (void)unused;
    share_put(s, "a", "");
    unix_at(&u, FID, "a");
    g_assert_cmpint(rename(a, b), ==, 0);
    g_assert_cmpint(unix_stat(&u, FID, &got), ==, 0);
    g_assert_cmpstr(got.name, ==, "b");
    g_assert_cmpint(unlink(b), ==, 0);
    g_assert_cmpint(unix_stat(&u, FID, &got), ==, 0);
    g_assert_cmpstr(got.name, ==, "b");
    g_assert_cmpstr(got.extension, ==, "HARDLINKCOUNT 0");
    share_put(s, "odd (deleted)", "");
    unix_at(&u, OTHER, "odd (deleted)");
    g_assert_cmpint(unix_stat(&u, OTHER, &got), ==, 0);
    g_assert_cmpstr(got.name, ==, "odd (deleted)");
    g_assert_cmpint(unlink(odd), ==, 0);
    g_assert_cmpint(unix_stat(&u, OTHER, &got), ==, 0);
    g_assert_cmpstr(got.name, ==, "odd (deleted)");
}

/*
 * Twstat
 */

/* Sends one change of `name`. */
static int change(UnixClient *u, const char *name, const UnixStat *s)
{
    int error;

    unix_at(u, FID, name);
    error = unix_wstat(u, FID, s);
    g_assert_cmpint(unix_clunk(u, FID), ==, 0);
    return error;
}

static void test_mode(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    g_autofree char *fifo = share_path(s, "fifo");
    UnixStat to = unix_no_change();
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    struct stat st;

    (void)unused;
    share_put(s, "file", "");
    g_assert_cmpint(mkdir(dir, 0755), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    to.mode = P9_DMSETUID | P9_DMSETGID | 0750;
    g_assert_cmpint(change(&u, "file", &to), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 06750);
    g_assert_cmpint(change(&u, "dir", &to), ==, -EIO); /* a file it is not */
    g_assert_cmpint(change(&u, "fifo", &to), ==, 0);   /* a client with nodev does that */
    to.mode = P9_DMNAMEDPIPE | 0640;
    g_assert_cmpint(change(&u, "fifo", &to), ==, 0);
    g_assert_true(share_stat(s, "fifo", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFIFO | 0640);
    g_assert_cmpint(change(&u, "file", &to), ==, -EIO);
    to.mode = P9_DMDIR | P9_DMSETVTX | 0777;
    g_assert_cmpint(change(&u, "dir", &to), ==, 0);
    g_assert_true(share_stat(s, "dir", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFDIR | 01777);
    /* what 9P2000 cannot name stays on a directory */
    u = unix_start(s, DIALECT_9P2000);
    to.mode = P9_DMDIR | 0700;
    g_assert_cmpint(change(&u, "dir", &to), ==, 0);
    g_assert_true(share_stat(s, "dir", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFDIR | 01700);
}

static void test_owner(Share *s, gconstpointer unused)
{
    UnixStat to = unix_no_change();
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    struct stat st;

    (void)unused;
    if (geteuid() != 0) {
        g_test_skip("needs root");
        return;
    }
    share_put(s, "file", "");
    to.n_uid = 12;
    g_assert_cmpint(change(&u, "file", &to), ==, 0);
    to.n_uid = UINT32_MAX;
    to.n_gid = 34;
    g_assert_cmpint(change(&u, "file", &to), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpuint(st.st_uid, ==, 12);
    g_assert_cmpuint(st.st_gid, ==, 34);
    to.n_gid = UINT32_MAX;
    strcpy(to.gid, "wheel");
    g_assert_cmpint(change(&u, "file", &to), ==, -EINVAL);
    u = unix_start(s, DIALECT_9P2000);
    strcpy(to.gid, "56");
    strcpy(to.uid, "78");
    g_assert_cmpint(change(&u, "file", &to), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpuint(st.st_uid, ==, 78);
    g_assert_cmpuint(st.st_gid, ==, 56);
}

static void test_length_and_times(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    UnixStat to = unix_no_change();
    struct stat st;

    (void)unused;
    g_assert_cmpint(mkdir(dir, 0755), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);

        share_put(s, "file", "123456789");
        to.length = 4;
        to.mtime = 1000000000; /* stands although the length changes */
        g_assert_cmpint(change(&u, "file", &to), ==, 0);
        g_assert_true(share_stat(s, "file", &st));
        g_assert_cmpint(st.st_size, ==, 4);
        g_assert_cmpint(st.st_mtime, ==, 1000000000);
        g_assert_cmpint(st.st_atime, !=, 1000000000);
        g_assert_cmpint(change(&u, "dir", &to), ==, -EISDIR);
        to = unix_no_change();
        to.atime = 0xfffffffe;
        g_assert_cmpint(change(&u, "file", &to), ==, 0);
        g_assert_true(share_stat(s, "file", &st));
        g_assert_cmpint(st.st_atime, ==, 0xfffffffe);
        g_assert_cmpint(st.st_mtime, ==, 1000000000);
        to = unix_no_change();
    }
}

static void test_length_drops_setid(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    g_autofree char *path = share_path(s, "file");
    UnixStat change = unix_no_change();
    struct stat st;

    (void)unused;
    share_put(s, "file", "hello");
    g_assert_cmpint(chmod(path, 06755), ==, 0);
    unix_at(&u, 1, "file");
    change.length = 2;
    g_assert_cmpint(unix_wstat(&u, 1, &change), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0755);
}

/* An open file that was removed can still be changed; renamed it cannot be. */
static void test_unlinked(Share *s, gconstpointer unused)
{
    UnixStat to = unix_no_change();
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    g_autofree char *path = share_path(s, "file");
    UnixStat got;

    (void)unused;
    share_put(s, "file", "123456789");
    unix_at(&u, FID, "file");
    g_assert_cmpint(unix_open(&u, FID, P9_ORDWR), ==, 0);
    g_assert_cmpint(unlink(path), ==, 0);
    to.length = 3;
    to.mode = 0600;
    g_assert_cmpint(unix_wstat(&u, FID, &to), ==, 0);
    g_assert_cmpint(unix_stat(&u, FID, &got), ==, 0);
    g_assert_cmpuint(got.length, ==, 3);
    strcpy(to.name, "again");
    g_assert_cmpint(unix_wstat(&u, FID, &to), ==, -ENOENT);
}

static void test_rename(Share *s, gconstpointer unused)
{
    UnixStat to = unix_no_change();

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        g_autofree char *text = NULL;
        struct stat st;

        share_put(s, "from", "from");
        share_put(s, "to", "to");
        strcpy(to.name, "to"); /* replaces, as rename(2) does */
        strcpy(to.muid, "nobody");
        unix_at(&u, FID, "from");
        g_assert_cmpint(unix_wstat(&u, FID, &to), ==, 0);
        g_assert_cmpint(unix_wstat(&u, FID, &to), ==, 0);
        g_assert_false(share_stat(s, "from", &st));
        text = share_get(s, "to");
        g_assert_cmpstr(text, ==, "from");
        strcpy(to.name, "a/b");
        g_assert_cmpint(unix_wstat(&u, FID, &to), ==, -ENOENT);
        strcpy(to.name, "..");
        g_assert_cmpint(unix_wstat(&u, FID, &to), ==, -EISDIR);
        strcpy(to.name, "root");
        g_assert_cmpint(unix_wstat(&u, SHARE_ROOT, &to), ==, -EBUSY);
    }
}

/* In a directory below the root. */
static void test_rename_below(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    UnixStat to = unix_no_change();
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    struct stat st;

    (void)unused;
    g_assert_cmpint(mkdir(dir, 0755), ==, 0);
    share_put(s, "dir/file", "");
    unix_at(&u, FID, "dir");
    g_assert_cmpint(unix_walk(&u, FID, OTHER, "file"), ==, 0);
    strcpy(to.name, "new");
    g_assert_cmpint(unix_wstat(&u, OTHER, &to), ==, 0);
    g_assert_true(share_stat(s, "dir/new", &st));
    strcpy(to.name, "directory");
    g_assert_cmpint(unix_wstat(&u, FID, &to), ==, 0);
    g_assert_true(share_stat(s, "directory/new", &st));
}

/* A Twstat of which one part fails leaves nothing changed. */
static void test_all_or_nothing(Share *s, gconstpointer unused)
{
    g_autofree char *full = share_path(s, "full");
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    UnixStat to = unix_no_change();
    struct stat before, after;

    (void)unused;
    g_assert_cmpint(mkdir(full, 0755), ==, 0);
    share_put(s, "full/file", "");
    share_put(s, "file", "12345");
    g_assert_true(share_stat(s, "file", &before));
    to.mode = 0600;
    to.mtime = 1;
    strcpy(to.name, "full"); /* which is a directory */
    g_assert_cmpint(change(&u, "file", &to), ==, -EISDIR);
    g_assert_true(share_stat(s, "file", &after));
    g_assert_cmphex(after.st_mode, ==, before.st_mode);
    g_assert_cmpint(after.st_mtime, ==, before.st_mtime);
    strcpy(to.name, "renamed");
    to.length = 1ULL << 63; /* fails last */
    g_assert_cmpint(change(&u, "file", &to), ==, -EINVAL);
    g_assert_true(share_stat(s, "file", &after));
    g_assert_cmphex(after.st_mode, ==, before.st_mode);
    g_assert_cmpint(after.st_size, ==, before.st_size);
    g_assert_false(share_stat(s, "renamed", &after));
}

/* All ones: the file is on the disk, and nothing else has happened. */
static void test_sync(Share *s, gconstpointer unused)
{
    g_autofree char *fifo = share_path(s, "fifo");
    UnixStat to = unix_no_change();

    (void)unused;
    share_put(s, "file", "text");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        struct stat before, after;

        g_assert_true(share_stat(s, "file", &before));
        g_assert_cmpint(change(&u, "file", &to), ==, 0);
        g_assert_cmpint(change(&u, "fifo", &to), ==, 0);
        g_assert_cmpint(change(&u, "", &to), ==, 0);
        unix_at(&u, FID, "file");
        g_assert_cmpint(unix_open(&u, FID, P9_OWRITE), ==, 0);
        g_assert_cmpint(unix_wstat(&u, FID, &to), ==, 0);
        g_assert_true(share_stat(s, "file", &after));
        g_assert_cmpint(after.st_ctim.tv_nsec, ==, before.st_ctim.tv_nsec);
        g_assert_cmpint(after.st_size, ==, 4);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test_for_models("/unix-stat/root", test_root);
    share_add_test_for_models("/unix-stat/file", test_file);
    share_add_test_for_models("/unix-stat/extensions", test_extensions);
    share_add_test_for_models("/unix-stat/longest", test_longest);
    share_add_test_for_models("/unix-stat/names", test_names);
    share_add_test("/unix-wstat/mode", test_mode);
    share_add_test("/unix-wstat/owner", test_owner);
    share_add_test_for_models("/unix-wstat/length-and-times", test_length_and_times);
    share_add_test("/unix-wstat/length-drops-setid", test_length_drops_setid);
    share_add_test_for_models("/unix-wstat/unlinked", test_unlinked);
    share_add_test_for_models("/unix-wstat/rename", test_rename);
    share_add_test_for_models("/unix-wstat/rename-below", test_rename_below);
    share_add_test_for_models("/unix-wstat/all-or-nothing", test_all_or_nothing);
    share_add_test_for_models("/unix-wstat/sync", test_sync);
    return g_test_run();
}
