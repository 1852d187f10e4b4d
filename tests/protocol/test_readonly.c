/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A read-only export: what every message is answered in every dialect, and that the export is
 * afterwards as it was before, times of last access included.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "protocol/ops.h"
#include "tests/lib/unix_client.h"

enum { FILE_FID = 1, DIRECTORY_FID = 2, LINK_FID = 3, FID = 9, OTHER = 10, OLD_SECONDS = 1000000 };

static const Dialect unix_dialects[] = {DIALECT_9P2000_U, DIALECT_9P2000};

static void age(const Share *s, const char *name)
{
    const struct timespec old[2] = {{.tv_sec = OLD_SECONDS}, {.tv_sec = 2 * OLD_SECONDS}};
    g_autofree char *path = share_path(s, name);

    g_assert_cmpint(utimensat(AT_FDCWD, path, old, AT_SYMLINK_NOFOLLOW), ==, 0);
}

/* "file" with an attribute, "directory" with "directory/file", and a symbolic link. Everything was
 * read before it was written, so that a look at it would move the time of last access. */
static void make_tree(const Share *s)
{
    static const char *const names[] = {"directory/file", "directory", "file", "link", "."};
    g_autofree char *directory = share_path(s, "directory");
    g_autofree char *file = share_path(s, "file");
    g_autofree char *link = share_path(s, "link");

    g_assert_cmpint(mkdir(directory, 0755), ==, 0);
    share_put(s, "directory/file", "below");
    share_put(s, "file", "text");
    g_assert_cmpint(symlink("file", link), ==, 0);
    g_assert_cmpint(setxattr(file, "user.name", "value", 5, 0), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
        age(s, names[i]);
}

static void describe(const Share *s, const char *name, GString *text)
{
    g_autofree char *content = NULL;
    g_autofree char *path = share_path(s, name);
    char names[256];
    struct stat st;
    ssize_t size;

    g_assert_true(share_stat(s, name, &st));
    g_string_append_printf(text, "%s: %o %u:%u links %lu size %ld times %ld %ld %ld.%09ld", name,
                           st.st_mode, st.st_uid, st.st_gid, (unsigned long)st.st_nlink,
                           (long)st.st_size, (long)st.st_atim.tv_sec, (long)st.st_mtim.tv_sec,
                           (long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    size = llistxattr(path, names, sizeof(names));
    g_string_append_printf(text, " xattrs %zd\n", size);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names below `directory` with what stat(2) says of them. Opens with O_NOATIME: looking changes
 * nothing here either. */
static void describe_below(const Share *s, const char *directory, GString *text)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = share_path(s, directory);
    DIR *dir = fdopendir(open(path, O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC));
    const struct dirent *entry;

    g_assert_nonnull(dir);
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, "..") != 0)
            g_ptr_array_add(names, g_build_filename(directory, entry->d_name, NULL));
    }
    closedir(dir);
    g_ptr_array_sort(names, compare_names);
    for (unsigned i = 0; i < names->len; i++)
        describe(s, g_ptr_array_index(names, i), text);
}

static char *describe_tree(const Share *s)
{
    GString *text = g_string_new(NULL);

    describe_below(s, ".", text);
    describe_below(s, "directory", text);
    return g_string_free(text, FALSE);
}

/* Makes the tree and serves it read-only. Returns its description. */
static char *begin(Share *s)
{
    ExportOptions options = export_default_options;

    make_tree(s);
    options.readonly = true;
    share_reopen(s, &options);
    return describe_tree(s);
}

/* Takes `before`. */
static void end(Share *s, char *before)
{
    g_autofree char *after = describe_tree(s);
    g_autofree char *file = NULL;

    g_assert_cmpstr(after, ==, before);
    g_free(before);
    file = share_get(s, "file");
    g_assert_cmpstr(file, ==, "text");
}

static void walk_all(Client *c)
{
    g_assert_cmpint(client_walk(c, SHARE_ROOT, FILE_FID, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, DIRECTORY_FID, "directory", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, LINK_FID, "link", NULL, NULL), ==, 0);
}

/*
 * 9P2000.L
 */

static void test_refused_names(Share *s, gconstpointer unused)
{
    char *before = begin(s);
    Client *c = &s->client;

    (void)unused;
    walk_all(c);
    g_assert_cmpint(client_create(c, DIRECTORY_FID, "new", P9_L_RDWR, 0644, 0), ==, -EROFS);
    g_assert_cmpint(client_create(c, DIRECTORY_FID, "file", 0, 0644, 0), ==, -EROFS);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "new", 0755, 0), ==, -EROFS);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "new", S_IFIFO | 0644, 0, 0, 0), ==, -EROFS);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "new", "file", 0), ==, -EROFS);
    g_assert_cmpint(client_link(c, SHARE_ROOT, FILE_FID, "new"), ==, -EROFS);
    g_assert_cmpint(client_rename(c, FILE_FID, SHARE_ROOT, "new"), ==, -EROFS);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "file", SHARE_ROOT, "new"), ==, -EROFS);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 0), ==, -EROFS);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "directory", P9_UNLINK_REMOVEDIR), ==, -EROFS);
    /* its fid is gone all the same */
    g_assert_cmpint(client_remove(c, FILE_FID), ==, -EROFS);
    g_assert_false(client_has_fid(c, FILE_FID));
    /* and what is wrong with a message otherwise is told first */
    g_assert_cmpint(client_mkdir(c, 77, "new", 0755, 0), ==, -ENOENT);
    end(s, before);
}

static void test_refused_attributes(Share *s, gconstpointer unused)
{
    char *before = begin(s);
    Client *c = &s->client;

    (void)unused;
    walk_all(c);
    for (unsigned bit = 0; 1u << bit <= P9_SETATTR_ALL; bit++) {
        FsChange change = {.valid = 1u << bit, .mode = 0600, .uid = 1, .gid = 1, .size = 1};

        g_assert_cmpint(client_setattr(c, FILE_FID, &change), ==, -EROFS);
    }
    g_assert_cmpint(
        client_call(c, NULL, P9_TXATTRCREATE, "dsqd", FILE_FID, "user.new", (uint64_t)1, 0), ==,
        -EROFS);
    g_assert_cmpint(client_call(c, NULL, P9_TXATTRCREATE, "dsqd", FILE_FID, "user.name",
                                (uint64_t)0, P9_XATTR_REPLACE),
                    ==, -EROFS);
    g_assert_cmpint(client_open(c, FILE_FID, 0), ==, 0);
    g_assert_cmpint(client_write(c, FILE_FID, 0, "new", 3), ==, -EROFS);
    end(s, before);
}

static void test_open_flags(Share *s, gconstpointer unused)
{
    static const struct {
        uint32_t flags;
        int error;
    } cases[] = {
        {0, 0},
        {P9_L_NOATIME, 0},
        {P9_L_CREATE | P9_L_EXCL, 0}, /* Tlopen creates nothing */
        {P9_L_APPEND, 0},
        {P9_L_SYNC | P9_L_DSYNC | P9_L_NONBLOCK, 0},
        {0x8000, 0}, /* O_LARGEFILE */
        {0x4000, 0}, /* O_DIRECT, and O_DIRECTORY of another architecture */
        {P9_L_TRUNC, -EROFS},
        {P9_L_WRONLY, -EROFS},
        {P9_L_RDWR, -EROFS},
        {P9_L_ACCMODE, -EROFS},
        {P9_L_WRONLY | P9_L_TRUNC, -EROFS},
        {P9_L_RDWR | P9_L_APPEND | P9_L_CREATE, -EROFS},
    };
    char *before = begin(s);
    Client *c = &s->client;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        int error = client_open_path(c, SHARE_ROOT, FID, "file", cases[i].flags);

        g_assert_cmpint(error, ==, cases[i].error);
        if (!error)
            g_assert_cmpint(client_write(c, FID, 0, "new", 3), ==, -EROFS);
        g_assert_cmpint(client_clunk(c, FID), ==, 0);
    }
    end(s, before);
}

static uint8_t lock(Client *c, uint8_t type, uint32_t proc_id)
{
    g_autofree TestReply *reply = NULL;

    g_assert_cmpint(client_call(c, &reply, P9_TLOCK, "dbdqqds", FILE_FID, type, 0, (uint64_t)0,
                                (uint64_t)0, proc_id, "guest"),
                    ==, 0);
    return reply->bytes[P9_HEADER_SIZE];
}

static uint8_t getlock(Client *c, uint8_t type, uint32_t proc_id)
{
    g_autofree TestReply *reply = NULL;

    g_assert_cmpint(client_call(c, &reply, P9_TGETLOCK, "dbqqds", FILE_FID, type, (uint64_t)0,
                                (uint64_t)0, proc_id, "guest"),
                    ==, 0);
    return reply->bytes[P9_HEADER_SIZE];
}

/* Also exclusive ones, which flock() takes on files that are open for reading. */
static void test_locks(Share *s, gconstpointer unused)
{
    char *before = begin(s);
    Client *c = &s->client;

    (void)unused;
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, FILE_FID, "file", 0), ==, 0);
    g_assert_cmpuint(lock(c, P9_LOCK_READ, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpuint(lock(c, P9_LOCK_WRITE, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpuint(lock(c, P9_LOCK_WRITE, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpuint(lock(c, P9_LOCK_READ, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpuint(getlock(c, P9_LOCK_READ, 2), ==, P9_LOCK_WRITE);
    g_assert_cmpuint(lock(c, P9_LOCK_UNLOCK, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpuint(getlock(c, P9_LOCK_WRITE, 2), ==, P9_LOCK_UNLOCK);
    g_assert_cmpuint(lock(c, P9_LOCK_WRITE, 2), ==, P9_LOCK_SUCCESS);
    end(s, before);
}

/* Against the host's processes such a lock is a shared one: they may read, and not write. */
static void test_locks_of_the_host(Share *s, gconstpointer unused)
{
    struct flock shared = {.l_type = F_RDLCK}, exclusive = {.l_type = F_WRLCK};
    char *before = begin(s);
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    (void)unused;
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, FILE_FID, "file", 0), ==, 0);
    g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &exclusive), ==, 0);
    g_assert_cmpuint(lock(c, P9_LOCK_WRITE, 1), ==, P9_LOCK_BLOCKED);
    exclusive.l_type = F_UNLCK;
    g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &exclusive), ==, 0);
    g_assert_cmpuint(lock(c, P9_LOCK_WRITE, 1), ==, P9_LOCK_SUCCESS);
    exclusive.l_type = F_WRLCK;
    g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &exclusive), <, 0);
    g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &shared), ==, 0);
    close(fd);
    end(s, before);
}

static void read_xattr_of(Client *c, const char *name, unsigned size)
{
    g_autofree TestReply *reply = NULL;
    char value[64];

    g_assert_cmpint(client_call(c, &reply, P9_TXATTRWALK, "dds", FILE_FID, FID, name), ==, 0);
    g_assert_cmpint(client_read(c, FID, 0, sizeof(value), value), ==, size);
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
}

static void test_allowed(Share *s, gconstpointer unused)
{
    g_autoptr(GArray) entries = NULL;
    char *before = begin(s);
    Client *c = &s->client;
    char target[4096], text[16];
    ClientAttr attr;
    uint64_t blocks;
    uint32_t type, name_max;

    (void)unused;
    walk_all(c);
    g_assert_cmpint(client_attach(c, FID, SHARE_UID, NULL), ==, 0);
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
    g_assert_cmpint(client_getattr(c, FILE_FID, &attr), ==, 0);
    g_assert_cmpint(client_statfs(c, FILE_FID, &type, &blocks, &name_max), ==, 0);
    g_assert_cmpint(client_readlink(c, LINK_FID, target), ==, 0);
    read_xattr_of(c, "user.name", 5);
    g_assert_cmpint(client_open(c, DIRECTORY_FID, P9_L_DIRECTORY), ==, 0);
    entries = client_list(c, DIRECTORY_FID, 4096);
    g_assert_cmpuint(entries->len, ==, 3);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, OTHER, "file", 0), ==, 0);
    g_assert_cmpint(client_read(c, OTHER, 0, sizeof(text), text), ==, 4);
    g_assert_cmpint(client_fsync(c, OTHER, false), ==, 0);
    g_assert_cmpint(client_fsync(c, OTHER, true), ==, 0);
    g_assert_cmpint(client_call(c, NULL, P9_TFLUSH, "w", 999), ==, 0);
    end(s, before);
}

/*
 * The dialects with Topen, Tcreate and Twstat
 */

static void check_opens(UnixClient *u)
{
    static const struct {
        unsigned mode;
        int error;
    } cases[] = {
        {P9_OREAD, 0},
        {P9_OEXEC, 0},
        {P9_OREAD | P9_OCEXEC, 0},
        {P9_OREAD | P9_OAPPEND, 0},
        {P9_OWRITE, -EROFS},
        {P9_ORDWR, -EROFS},
        {P9_OREAD | P9_OTRUNC, -EROFS},
        {P9_OEXEC | P9_OTRUNC, -EROFS},
        {P9_OREAD | P9_ORCLOSE, -EROFS},
        {P9_OWRITE | P9_OAPPEND, -EROFS},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        unix_at(u, FID, "file");
        g_assert_cmpint(unix_open(u, FID, cases[i].mode), ==, cases[i].error);
        if (cases[i].error == 0)
            g_assert_cmpint(unix_write(u, FID, 0, "new"), ==, -EROFS);
        g_assert_cmpint(unix_clunk(u, FID), ==, 0);
    }
}

static void check_creates(UnixClient *u)
{
    static const struct {
        uint32_t perm;
        const char *extension;
    } cases[] = {
        {0644, ""},
        {P9_DMDIR | 0755, ""},
        {P9_DMSYMLINK | 0777, "file"},
        {P9_DMLINK, "0"},
        {P9_DMDEVICE | 0644, "c 1 3"},
        {P9_DMNAMEDPIPE | 0644, ""},
        {P9_DMSOCKET | 0644, ""},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        unix_at(u, FID, "directory");
        g_assert_cmpint(unix_create(u, FID, "new", cases[i].perm, P9_OREAD, cases[i].extension), ==,
                        -EROFS);
        g_assert_cmpint(unix_clunk(u, FID), ==, 0);
    }
}

static void check_wstats(UnixClient *u)
{
    enum { MODE, LENGTH, ATIME, MTIME, NAME, GROUP, OWNER, N_CHANGES };
    UnixStat changes[N_CHANGES], nothing = unix_no_change();
    unsigned n = u->dialect == DIALECT_9P2000 ? OWNER : N_CHANGES; /* 9P2000 has no numbers */

    for (unsigned i = 0; i < N_CHANGES; i++)
        changes[i] = nothing;
    changes[MODE].mode = 0600;
    changes[LENGTH].length = 0;
    changes[ATIME].atime = 0;
    changes[MTIME].mtime = 0;
    g_strlcpy(changes[NAME].name, "new", sizeof(nothing.name));
    g_strlcpy(changes[GROUP].gid, "0", sizeof(nothing.gid));
    changes[OWNER].n_uid = 0;
    unix_at(u, FID, "file");
    g_assert_cmpint(unix_wstat(u, FID, &nothing), ==, 0); /* which is fsync */
    for (unsigned i = 0; i < n; i++)
        g_assert_cmpint(unix_wstat(u, FID, &changes[i]), ==, -EROFS);
    /* Tremove clunks */
    g_assert_cmpint(unix_remove(u, FID), ==, -EROFS);
    g_assert_cmpint(unix_clunk(u, FID), ==, -ENOENT);
}

static void check_reads(UnixClient *u)
{
    UnixStat record;
    char bytes[4096];

    g_assert_cmpint(unix_stat(u, SHARE_ROOT, &record), ==, 0);
    unix_at(u, FID, "link");
    g_assert_cmpint(unix_stat(u, FID, &record), ==, 0);
    g_assert_cmpint(unix_clunk(u, FID), ==, 0);
    unix_at(u, FID, "directory");
    g_assert_cmpint(unix_open(u, FID, P9_OREAD), ==, 0);
    g_assert_cmpint(unix_read(u, FID, 0, sizeof(bytes), bytes), >, 0);
    g_assert_cmpint(unix_clunk(u, FID), ==, 0);
    unix_at(u, FID, "file");
    g_assert_cmpint(unix_open(u, FID, P9_OREAD), ==, 0);
    g_assert_cmpint(unix_read(u, FID, 0, sizeof(bytes), bytes), ==, 4);
    g_assert_cmpint(unix_clunk(u, FID), ==, 0);
}

static void test_unix(Share *s, gconstpointer unused)
{
    char *before = begin(s);

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(unix_dialects); i++) {
        UnixClient u = unix_start(s, unix_dialects[i]);

        check_opens(&u);
        check_creates(&u);
        check_wstats(&u);
        check_reads(&u);
    }
    end(s, before);
}

/* The messages of the other dialect, which 9P2000.L and 9P2000.u both have. */
static void test_other_dialect(Share *s, gconstpointer unused)
{
    char *before = begin(s);
    Client *c = &s->client;
    UnixClient u;

    (void)unused;
    walk_all(c);
    g_assert_cmpint(client_call(c, NULL, P9_TOPEN, "db", FILE_FID, P9_OREAD | P9_OTRUNC), ==,
                    -EROFS);
    g_assert_cmpint(client_call(c, NULL, P9_TOPEN, "db", FILE_FID, P9_OREAD | P9_ORCLOSE), ==,
                    -EROFS);
    g_assert_cmpint(
        client_call(c, NULL, P9_TCREATE, "dsdbs", DIRECTORY_FID, "new", 0644, P9_OREAD, ""), ==,
        -EROFS);
    u = unix_start(s, DIALECT_9P2000_U);
    unix_at(&u, FILE_FID, "file");
    g_assert_cmpint(client_call(&u, NULL, P9_TLOPEN, "dd", FILE_FID, P9_L_TRUNC), ==, -EROFS);
    g_assert_cmpint(client_call(&u, NULL, P9_TMKDIR, "dsdd", SHARE_ROOT, "new", 0755, 0), ==, -EROFS);
    end(s, before);
}

/*
 * The table, and what is below it
 */

/* Every message is either known to change nothing, or says when it does. */
static void test_table(void)
{
    static const uint8_t harmless[] = {
        P9_TSTATFS, P9_TREADLINK, P9_TGETATTR, P9_TXATTRWALK, P9_TREADDIR,
        P9_TFSYNC,  P9_TLOCK,     P9_TGETLOCK, P9_TVERSION,   P9_TATTACH,
        P9_TFLUSH,  P9_TWALK,     P9_TREAD,    P9_TCLUNK,     P9_TSTAT,
    };

    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        const Op *op = op_for_type((uint8_t)type);

        if (op)
            g_assert_cmpint(op->changes == NULL, ==,
                            memchr(harmless, (int)type, sizeof(harmless)) != NULL);
    }
}

/* What the session might miss, the export's own mount refuses. */
static void test_mount(Share *s, gconstpointer unused)
{
    char *before = begin(s);
    FsNode *root;
    Qid qid;
    struct statfs st;

    (void)unused;
    g_assert_cmpint(s->fs->ops->root(s->fs, &root), ==, 0);
    g_assert_cmpint(s->fs->ops->statfs(root, &st), ==, 0);
    if (st.f_flags & ST_RDONLY) {
        g_assert_cmpint(root->fs->ops->mkdir(root, "new", 0755, (FsOwner){0}, &qid), ==, -EROFS);
        g_assert_cmpint(root->fs->ops->unlinkat(root, "file", false), ==, -EROFS);
    } else {
        g_test_skip("this process may not make mounts");
    }
    fs_node_unref(root);
    end(s, before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    share_add_test("/readonly/refused-names", test_refused_names);
    share_add_test("/readonly/refused-attributes", test_refused_attributes);
    share_add_test("/readonly/open-flags", test_open_flags);
    share_add_test("/readonly/locks", test_locks);
    share_add_test("/readonly/locks-of-the-host", test_locks_of_the_host);
    share_add_test("/readonly/allowed", test_allowed);
    share_add_test("/readonly/unix", test_unix);
    share_add_test("/readonly/other-dialect", test_other_dialect);
    g_test_add_func("/readonly/table", test_table);
    share_add_test("/readonly/mount", test_mount);
    return g_test_run();
}
