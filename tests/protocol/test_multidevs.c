/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An export that spans several devices: what multidevs= makes of it. And what else tells files
 * apart: their generations.
 *
 * The mounts are made in a mount namespace of this process; without the right to make one, the
 * tests that need them are skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/fs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/lib/unix_client.h"

enum { FID = 9, OTHER = 10, REUSE_ATTEMPTS = 300 };

static const char *const mount_names[] = {"one", "two"};
static bool may_mount;

/* Two devices whose files have the same inode numbers: ONE/file and TWO/file. */
static void make_mounts(const Share *s)
{
    share_put(s, "file", "here");
    for (unsigned i = 0; i < G_N_ELEMENTS(mount_names); i++) {
        g_autofree char *path = share_path(s, mount_names[i]);
        g_autofree char *file = g_build_filename(mount_names[i], "file", NULL);

        g_assert_cmpint(g_mkdir(path, 0755), ==, 0);
        g_assert_cmpint(mount("tmpfs", path, "tmpfs", 0, NULL), ==, 0);
        share_put(s, file, "there");
    }
}

static void drop_mounts(const Share *s)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(mount_names); i++) {
        g_autofree char *path = share_path(s, mount_names[i]);

        g_assert_cmpint(umount2(path, MNT_DETACH), ==, 0);
    }
}

static void reopen(Share *s, Multidevs multidevs)
{
    ExportOptions options = export_default_options;

    options.multidevs = multidevs;
    share_reopen(s, &options);
}

/* Returns false, having marked the test as skipped, where nothing can be mounted. */
static bool begin(Share *s, Multidevs multidevs)
{
    if (!may_mount) {
        g_test_skip("this process may not make mounts");
        return false;
    }
    make_mounts(s);
    reopen(s, multidevs);
    return true;
}

static uint64_t path_at(Client *c, const char *path)
{
    ClientAttr attr;

    g_assert_cmpint(client_walk(c, SHARE_ROOT, FID, path, NULL, NULL), ==, 0);
    g_assert_cmpint(client_getattr(c, FID, &attr), ==, 0);
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
    return attr.qid.path;
}

static uint64_t inode_at(const Share *s, const char *path)
{
    struct stat st;

    g_assert_true(share_stat(s, path, &st));
    return st.st_ino;
}

/* The qid.path that the listing of `directory` gives for `name`, or 0 when it is not there. */
static uint64_t listed_path(Client *c, const char *directory, const char *name)
{
    g_autoptr(GArray) entries = NULL;
    uint64_t found = 0;

    g_assert_cmpint(client_open_path(c, SHARE_ROOT, FID, directory, P9_L_DIRECTORY), ==, 0);
    entries = client_list(c, FID, 4096);
    for (unsigned i = 0; i < entries->len; i++) {
        const ClientEntry *entry = &g_array_index(entries, ClientEntry, i);
        if (strcmp(entry->name, name) == 0)
            found = entry->qid.path;
    }
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
    return found;
}

static void test_remap(Share *s, gconstpointer unused)
{
    static const char *const paths[] = {"", "file", "one", "two", "one/file", "two/file"};
    uint64_t found[G_N_ELEMENTS(paths)];
    Client *c = &s->client;

    (void)unused;
    if (!begin(s, MULTIDEVS_REMAP))
        return;
    g_assert_cmpuint(inode_at(s, "one/file"), ==, inode_at(s, "two/file"));
    for (unsigned i = 0; i < G_N_ELEMENTS(paths); i++) {
        found[i] = path_at(c, paths[i]);
        for (unsigned j = 0; j < i; j++)
            g_assert_cmpuint(found[i], !=, found[j]);
    }
    g_assert_cmpuint(found[0], ==, inode_at(s, ""));
    g_assert_cmpuint(found[1], ==, inode_at(s, "file"));
    g_assert_cmpuint(listed_path(c, "one", "file"), ==, found[4]);
    g_assert_cmpuint(listed_path(c, "one", "."), ==, found[2]);
    g_assert_cmpuint(listed_path(c, "one", ".."), ==, found[0]);
    g_assert_cmpuint(path_at(c, "one/.."), ==, found[0]);
    /* after a restart, in whatever order they are met */
    reopen(s, MULTIDEVS_REMAP);
    for (unsigned i = G_N_ELEMENTS(paths); i-- > 0;)
        g_assert_cmpuint(path_at(c, paths[i]), ==, found[i]);
    drop_mounts(s);
}

static void test_forbid(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    unsigned n;

    (void)unused;
    if (!begin(s, MULTIDEVS_FORBID))
        return;
    g_assert_cmpint(client_walk(c, SHARE_ROOT, FID, "one", NULL, NULL), ==, -ENODEV);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, FID, "one/file", NULL, NULL), ==, -ENODEV);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, FID, "./one/file", NULL, &n), ==, 0);
    g_assert_cmpuint(n, ==, 1);
    g_assert_false(client_has_fid(c, FID));
    g_assert_cmpint(client_call(c, NULL, P9_TATTACH, "ddssd", FID, P9_NOFID, "", "one", 0), ==,
                    -ENODEV);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "one", 0755, 0), ==, -EEXIST);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "one", P9_UNLINK_REMOVEDIR), ==, -EBUSY);
    g_assert_cmpuint(path_at(c, "file"), ==, inode_at(s, "file"));
    /* the name is there, with the number of what the mount covers */
    g_assert_cmpuint(listed_path(c, "", "one"), !=, 0);
    g_assert_cmpuint(listed_path(c, "", "one"), !=, inode_at(s, "one"));
    g_assert_cmpuint(listed_path(c, "", "file"), ==, inode_at(s, "file"));
    drop_mounts(s);
}

/* Where each name comes with its attributes, what cannot be reached has none and is left out. */
static void test_forbid_unix(Share *s, gconstpointer unused)
{
    uint8_t bytes[4096];
    UnixStat entry;
    unsigned n = 0;
    ByteReader r;
    UnixClient u;
    ssize_t got;

    (void)unused;
    if (!begin(s, MULTIDEVS_FORBID))
        return;
    u = unix_start(s, DIALECT_9P2000_U);
    g_assert_cmpint(unix_walk(&u, SHARE_ROOT, FID, "two"), ==, -ENODEV);
    g_assert_cmpint(unix_walk(&u, SHARE_ROOT, FID, ""), ==, 0);
    g_assert_cmpint(unix_open(&u, FID, P9_OREAD), ==, 0);
    got = unix_read(&u, FID, 0, sizeof(bytes), bytes);
    g_assert_cmpint(got, >, 0);
    r = byte_reader(bytes, (size_t)got);
    for (; r.left > 0; n++) {
        unix_take_stat(&r, u.dialect, &entry);
        g_assert_true(entry.name[0] == '.' || strcmp(entry.name, "file") == 0);
    }
    g_assert_cmpuint(n, ==, 3);
    drop_mounts(s);
}

/* Runs `work` with standard error going to a file. Returns what came there. */
static char *capture_log(void (*work)(Share *), Share *s)
{
    g_autofree char *path = g_build_filename(s->base, "log", NULL);
    int kept = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char *text = NULL;

    g_assert_cmpint(fd, >=, 0);
    log_init(LOG_TARGET_STDERR, LOG_WARNING);
    dup2(fd, STDERR_FILENO);
    work(s);
    dup2(kept, STDERR_FILENO);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    close(kept);
    close(fd);
    return text;
}

static void walk_both(Share *s)
{
    Client *c = &s->client;

    g_assert_cmpuint(path_at(c, "one/file"), !=, path_at(c, "two/file"));
    g_assert_cmpuint(path_at(c, "one"), !=, path_at(c, "two"));
}

static void test_warn(Share *s, gconstpointer unused)
{
    g_autofree char *log = NULL;
    g_auto(GStrv) parts = NULL;

    (void)unused;
    if (!begin(s, MULTIDEVS_WARN))
        return;
    log = capture_log(walk_both, s);
    parts = g_strsplit(log, "the export reaches from device ", -1);
    g_assert_cmpuint(g_strv_length(parts), ==, 2); /* one line says so */
    drop_mounts(s);
}

/*
 * Generations and times
 */

static ClientAttr attr_of(Client *c, const char *name)
{
    ClientAttr attr;

    g_assert_cmpint(client_walk(c, SHARE_ROOT, FID, name, NULL, NULL), ==, 0);
    g_assert_cmpint(client_getattr(c, FID, &attr), ==, 0);
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
    return attr;
}

/* What the kernel says to whoever may open the file. Returns false where it says nothing. */
static bool kernel_generation(const Share *s, const char *name, uint32_t *generation)
{
    g_autofree char *path = share_path(s, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int version = 0;
    bool known;

    g_assert_cmpint(fd, >=, 0);
    known = ioctl(fd, FS_IOC_GETVERSION, &version) == 0;
    *generation = (uint32_t)version;
    close(fd);
    return known;
}

static void test_generation(Share *s, gconstpointer unused)
{
    static const char *const names[] = {"file", "directory", "link", "fifo"};
    Client *c = &s->client;
    ClientAttr attr, again;
    uint32_t generation;

    (void)unused;
    share_put(s, "file", "text");
    client_mkdir(c, SHARE_ROOT, "directory", 0755, 0);
    client_symlink(c, SHARE_ROOT, "link", "file", 0);
    client_mknod(c, SHARE_ROOT, "fifo", S_IFIFO | 0644, 0, 0, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        attr = attr_of(c, names[i]);
        if (!(attr.valid & P9_GETATTR_GEN)) {
            g_test_skip("this file system has no generations");
            return;
        }
        g_assert_cmpuint(attr.gen, <=, UINT32_MAX);
        if (i < 2 && kernel_generation(s, names[i], &generation))
            g_assert_cmpuint(attr.gen, ==, generation);
        again = attr_of(c, names[i]);
        g_assert_cmpuint(again.gen, ==, attr.gen);
    }
    attr = attr_of(c, "file");
    share_reopen(s, &export_default_options);
    again = attr_of(c, "file");
    g_assert_cmpuint(again.valid, ==, attr.valid);
    g_assert_cmpuint(again.gen, ==, attr.gen);
}

/* A name for a new file with an old inode number: it must not be taken for the old file. */
static void test_inode_reuse(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    ClientAttr old, new;

    (void)unused;
    share_put(s, "file", "old");
    old = attr_of(c, "file");
    for (unsigned i = 0; i < REUSE_ATTEMPTS; i++) {
        g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 0), ==, 0);
        share_put(s, "file", "new");
        new = attr_of(c, "file");
        if (new.qid.path == old.qid.path) {
            g_assert_true((new.valid &P9_GETATTR_GEN) == 0 || new.gen != old.gen);
            g_assert_cmpuint(new.qid.version, !=, old.qid.version);
            return;
        }
    }
    g_test_skip("no inode number came twice");
}

static void test_what_is_asked_for(Share *s, gconstpointer unused)
{
    static const uint64_t masks[] = {
        P9_GETATTR_BASIC,
        P9_GETATTR_BASIC | P9_GETATTR_GEN,
        P9_GETATTR_BASIC | P9_GETATTR_BTIME,
        0x3fff,
    };
    Client *c = &s->client;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(masks); i++) {
        g_autofree TestReply *reply = NULL;
        uint64_t valid;
        ByteReader r;

        g_assert_cmpint(client_call(c, &reply, P9_TGETATTR, "dq", SHARE_ROOT, masks[i]), ==, 0);
        r = byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
        valid = read_u64(&r);
        g_assert_cmpuint(valid & ~masks[i], ==, 0);
        g_assert_cmpuint(valid & P9_GETATTR_BASIC, ==, P9_GETATTR_BASIC);
        g_assert_cmpuint(valid & P9_GETATTR_DATA_VERSION, ==, 0);
        read_bytes(&r, reply->size - P9_HEADER_SIZE - sizeof(valid) - 2 * sizeof(uint64_t));
        if (!(masks[i] & P9_GETATTR_GEN))
            g_assert_cmpuint(read_u64(&r), ==, 0);
    }
}

static void test_birth(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    ClientAttr attr;
    struct statx stx;

    (void)unused;
    share_put(s, "file", "text");
    g_assert_cmpint(statx(AT_FDCWD, path, 0, STATX_BTIME, &stx), ==, 0);
    attr = attr_of(&s->client, "file");
    g_assert_cmpint((attr.valid & P9_GETATTR_BTIME) != 0, ==, (stx.stx_mask & STATX_BTIME) != 0);
    if (stx.stx_mask & STATX_BTIME) {
        g_assert_cmpint(attr.btime.tv_sec, ==, stx.stx_btime.tv_sec);
        g_assert_cmpint(attr.btime.tv_nsec, ==, stx.stx_btime.tv_nsec);
    }
    g_assert_cmpuint(attr.data_version, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    may_mount = unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    share_add_test("/multidevs/remap", test_remap);
    share_add_test("/multidevs/forbid", test_forbid);
    share_add_test("/multidevs/forbid-unix", test_forbid_unix);
    share_add_test("/multidevs/warn", test_warn);
    share_add_test("/generation/of-files", test_generation);
    share_add_test_on("/generation/inode-reuse", "disk", test_inode_reuse);
    share_add_test("/generation/what-is-asked-for", test_what_is_asked_for);
    share_add_test("/generation/birth", test_birth);
    return g_test_run();
}
