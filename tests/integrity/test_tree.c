/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Four devices of three guests, each with a worker of its own, and the host do random operations in
 * one tree, all at once. Every answer has to be one that a local file system could have given.
 * At the end every guest sees the tree that the host sees: names, types, modes, owners, link
 * counts, sizes, content; and no file has content that was written for another.
 *
 * A file's content follows from its number, which is in its first bytes, so that writers that come
 * across a file know what belongs there. The same --seed makes the same choices, not the same
 * order. With -m slow each client does forty times as much; else it stops after a few seconds.
 */
#include "tests/daemon/fixture.h"
#include "tests/daemon/guest.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    N_GUESTS = 4,
    QUICK_OPERATIONS = 1500,
    QUICK_USEC = 4000000,
    SLOW_OPERATIONS = 60000,
    N_HOST_OPERATIONS = 4,
    MAX_TRIES = 100000,
    MAX_DEPTH = 3, /* of the paths that operations use; renames make the tree deeper */
    MAX_FILE = 20000,
    TAG = GUEST_TAG,
    DIR_FID = 10, /* the operation's directory, its second one and its file */
    OTHER_FID = 11,
    FILE_FID = 12,
    LIST_FID = 100, /* and above: for the comparison at the end */
};

static const char *const names[] = {"a", "b", "c", "d", "e"};

/* One of those who work in the tree. */
typedef struct Client {
    unsigned number;
    Guest *guest;       /* NULL for the host */
    const char *export; /* for the host */
    GRand *random;
    uint32_t last_file;
    unsigned n_operations;
    unsigned n_done;
    unsigned *n_successes; /* for each operation */
} Client;

/*
 * Content
 */

enum { HEADER = 8 };

static const char magic[4] = {'f', 'i', 'l', 'e'};

static uint8_t content_at(uint32_t file, uint64_t offset)
{
    if (offset < sizeof(magic))
        return (uint8_t)magic[offset];
    if (offset < HEADER)
        return (uint8_t)(file >> (8 * (offset - sizeof(magic))));
    return (uint8_t)((file * 2654435761U + (uint32_t)offset * 40503U) >> 16 | 1);
}

static void fill(uint8_t *bytes, uint32_t file, uint64_t offset, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = content_at(file, offset + i);
}

/* The file's number, 0 when its header is not written yet. */
static uint32_t file_number(const uint8_t *bytes, gsize size)
{
    if (size < HEADER || memcmp(bytes, magic, sizeof(magic)) != 0)
        return 0;
    return (uint32_t)bytes[4] | (uint32_t)bytes[5] << 8 | (uint32_t)bytes[6] << 16 |
           (uint32_t)bytes[7] << 24;
}

/* Every byte is the file's own, or was never written. */
static void check_content(const char *path, const uint8_t *bytes, gsize size)
{
    uint32_t file = file_number(bytes, size);

    if (file == 0)
        g_error("%s: no header in %" G_GSIZE_FORMAT " bytes", path, size);
    for (gsize i = HEADER; i < size; i++) {
        if (bytes[i] != 0 && bytes[i] != content_at(file, i))
            g_error("%s: byte %" G_GSIZE_FORMAT " is not of file %08x", path, i, file);
    }
}

/*
 * Choices
 */

static uint32_t below(Client *c, uint32_t limit)
{
    return (uint32_t)g_rand_int_range(c->random, 0, (gint32)limit);
}

static const char *choose_name(Client *c)
{
    return names[below(c, G_N_ELEMENTS(names))];
}

/* A path of `depth` names; the caller frees it. */
static char *choose_path(Client *c, unsigned depth)
{
    GString *path = g_string_new("");

    for (unsigned i = 0; i < depth; i++)
        g_string_append_printf(path, "%s%s", i > 0 ? "/" : "", choose_name(c));
    return g_string_free(path, FALSE);
}

static uint32_t choose_mode(Client *c)
{
    static const uint32_t modes[] = {0644, 0600, 0755, 0777, 0400, 01777, 02775, 04711};

    return modes[below(c, G_N_ELEMENTS(modes))];
}

/*
 * The operations of guests. Each returns 0 or the errno that it was answered with; what it leaves
 * in the three fids is clunked by the caller.
 */

static int call(Client *c, GByteArray *request)
{
    return guest_check(c->guest, frontend_call(c->guest->frontend, request, "*"));
}

static int walk_directory(Client *c, uint32_t fid)
{
    g_autofree char *path = choose_path(c, below(c, MAX_DEPTH));

    return guest_walk(c->guest, GUEST_ROOT, fid, path);
}

static int walk_any(Client *c, uint32_t fid)
{
    g_autofree char *path = choose_path(c, 1 + below(c, MAX_DEPTH));

    return guest_walk(c->guest, GUEST_ROOT, fid, path);
}

static int write_content(Client *c, uint32_t fid, uint32_t file, uint32_t offset, uint32_t size)
{
    uint8_t bytes[MAX_FILE];

    fill(bytes, file, offset, size);
    return guest_write(c->guest, fid, offset, bytes, size, 0);
}

static int do_create(Client *c)
{
    uint32_t file = (c->number + 1) << 24 | ++c->last_file;
    int error = walk_directory(c, DIR_FID);

    if (error == 0)
        error =
            guest_create(c->guest, DIR_FID, choose_name(c), P9_L_RDWR | P9_L_EXCL, choose_mode(c));
    if (error == 0)
        error = write_content(c, DIR_FID, file, 0, HEADER + below(c, MAX_FILE - HEADER));
    return error;
}

static int do_write(Client *c)
{
    uint32_t offset = HEADER + below(c, MAX_FILE - HEADER);
    uint8_t header[HEADER];
    uint32_t done = 0;
    int error = walk_any(c, FILE_FID);

    if (error == 0)
        error = guest_open(c->guest, FILE_FID, P9_L_RDWR);
    if (error == 0)
        error = guest_read(c->guest, FILE_FID, 0, header, HEADER, 0, &done);
    if (error == 0 && file_number(header, done) != 0)
        error = write_content(c, FILE_FID, file_number(header, done), offset,
                              below(c, MAX_FILE - offset));
    return error;
}

static int do_read(Client *c)
{
    uint8_t bytes[MAX_FILE];
    uint32_t done = 0;
    int error = walk_any(c, FILE_FID);

    if (error == 0)
        error = guest_open(c->guest, FILE_FID, P9_L_RDONLY);
    if (error == 0)
        error = guest_read(c->guest, FILE_FID, 0, bytes, MAX_FILE, 0, &done);
    if (error == 0 && file_number(bytes, done) != 0)
        check_content("read in between", bytes, done);
    return error;
}

static int do_mkdir(Client *c)
{
    int error = walk_directory(c, DIR_FID);

    return error ? error
                 : call(c, p9_tmkdir(TAG, DIR_FID, choose_name(c), choose_mode(c) | 0700, 0));
}

static int do_symlink(Client *c)
{
    g_autofree char *target = choose_path(c, 1 + below(c, MAX_DEPTH));
    int error = walk_directory(c, DIR_FID);

    return error ? error : call(c, p9_tsymlink(TAG, DIR_FID, choose_name(c), target, 0));
}

static int do_mknod(Client *c)
{
    uint32_t type = below(c, 2) ? S_IFIFO : S_IFSOCK;
    int error = walk_directory(c, DIR_FID);

    return error ? error
                 : call(c, p9_tmknod(TAG, DIR_FID, choose_name(c), type | choose_mode(c), 0, 0, 0));
}

static int do_link(Client *c)
{
    int error = walk_any(c, FILE_FID);

    if (error == 0)
        error = walk_directory(c, DIR_FID);
    return error ? error : call(c, p9_tlink(TAG, DIR_FID, FILE_FID, choose_name(c)));
}

static int do_rename(Client *c)
{
    int error = walk_directory(c, DIR_FID);

    if (error == 0)
        error = walk_directory(c, OTHER_FID);
    return error ? error
                 : call(c, p9_trenameat(TAG, DIR_FID, choose_name(c), OTHER_FID, choose_name(c)));
}

static int do_rename_fid(Client *c)
{
    int error = walk_any(c, FILE_FID);

    if (error == 0)
        error = walk_directory(c, OTHER_FID);
    return error ? error : call(c, p9_trename(TAG, FILE_FID, OTHER_FID, choose_name(c)));
}

static int do_unlink(Client *c)
{
    int error = walk_directory(c, DIR_FID);

    return error ? error : call(c, p9_tunlinkat(TAG, DIR_FID, choose_name(c), 0));
}

static int do_rmdir(Client *c)
{
    int error = walk_directory(c, DIR_FID);

    return error ? error : call(c, p9_tunlinkat(TAG, DIR_FID, choose_name(c), P9_REMOVEDIR));
}

/* Mode, owner or times of anything. */
static int do_setattr(Client *c)
{
    P9SetAttr attr = {.mode = choose_mode(c),
                      .uid = 1000 + below(c, 3),
                      .gid = 2000 + below(c, 3),
                      .mtime_sec = below(c, 1U << 30),
                      .mtime_nsec = below(c, 1000000000)};
    static const uint32_t choices[] = {
        P9_SET_MODE,
        P9_SET_UID,
        P9_SET_GID,
        P9_SET_UID | P9_SET_GID | P9_SET_MODE,
        P9_SET_MTIME | P9_SET_MTIME_SET,
        P9_SET_ATIME,
    };
    int error = walk_any(c, FILE_FID);

    attr.valid = choices[below(c, G_N_ELEMENTS(choices))];
    return error ? error : call(c, p9_tsetattr(TAG, FILE_FID, &attr));
}

/* A file keeps its header. */
static int do_truncate(Client *c)
{
    P9SetAttr attr = {.valid = P9_SET_SIZE, .size = HEADER + below(c, MAX_FILE - HEADER)};
    int error = walk_any(c, FILE_FID);

    return error ? error : call(c, p9_tsetattr(TAG, FILE_FID, &attr));
}

static int do_readdir(Client *c)
{
    g_autoptr(GPtrArray) list = NULL;
    int error = walk_directory(c, DIR_FID);

    if (error == 0)
        error = guest_open(c->guest, DIR_FID, P9_L_DIRECTORY);
    if (error == 0)
        error = guest_list(c->guest, DIR_FID, 200, &list);
    if (error != 0)
        return error;
    g_assert_cmpuint(list->len, >=, 2);
    for (guint i = 0; i < list->len; i++) {
        const char *name = list->pdata[i];

        g_assert_true(strspn(name, ".abcde") == strlen(name) && strlen(name) <= 2);
    }
    return 0;
}

static int do_readlink(Client *c)
{
    g_autofree char *target = NULL;
    int error = walk_any(c, FILE_FID);

    if (error == 0)
        error = guest_readlink(c->guest, FILE_FID, &target);
    if (error == 0)
        g_assert_true(target[0] >= 'a' && target[0] <= 'e');
    return error;
}

/* What each may be answered with besides ENOENT and ENOTDIR, which any path can lead to. An open
 * symbolic link, FIFO or socket does not exist. */
static const struct {
    unsigned weight;
    int (*run)(Client *c);
    int allowed[4];
} operations[] = {
    {10, do_create, {EEXIST}},
    {10, do_write, {EISDIR, ELOOP, ENXIO}},
    {6, do_read, {EISDIR, ELOOP, ENXIO}},
    {12, do_mkdir, {EEXIST}},
    {3, do_symlink, {EEXIST}},
    {3, do_mknod, {EEXIST}},
    {6, do_link, {EEXIST, EPERM}},
    {8, do_rename, {EISDIR, ENOTEMPTY, EEXIST, EINVAL}},
    {4, do_rename_fid, {EISDIR, ENOTEMPTY, EEXIST, EINVAL}},
    {5, do_unlink, {EISDIR}},
    {5, do_rmdir, {ENOTEMPTY}},
    {6, do_setattr, {EOPNOTSUPP}},
    {5, do_truncate, {EISDIR, EINVAL, ELOOP}},
    {4, do_readdir, {ELOOP, ENXIO}},
    {3, do_readlink, {EINVAL}},
};

enum { N_OPERATIONS = G_N_ELEMENTS(operations) };

static unsigned choose_operation(Client *c)
{
    unsigned total = 0, at;

    for (unsigned i = 0; i < N_OPERATIONS; i++)
        total += operations[i].weight;
    at = below(c, total);
    for (unsigned i = 0; i < N_OPERATIONS; i++) {
        if (at < operations[i].weight)
            return i;
        at -= operations[i].weight;
    }
    g_assert_not_reached();
}

static bool is_allowed(unsigned operation, int error)
{
    if (error == 0 || error == ENOENT || error == ENOTDIR)
        return true;
    for (unsigned i = 0; i < G_N_ELEMENTS(operations[0].allowed); i++) {
        if (operations[operation].allowed[i] == error)
            return true;
    }
    return false;
}

/* A clunk of a fid that the operation did not get as far as making is refused. */
static void clunk_all(Client *c)
{
    for (uint32_t fid = DIR_FID; fid <= FILE_FID; fid++)
        guest_clunk(c->guest, fid);
}

static bool goes_on(const Client *c, int64_t start)
{
    return c->n_done < c->n_operations &&
           (g_test_slow() || g_get_monotonic_time() - start < QUICK_USEC);
}

static void run_operation(Client *c, unsigned operation)
{
    int error = operations[operation].run(c);

    if (!is_allowed(operation, error))
        g_error("client %u, operation %u: answered with %d (%s)", c->number, operation, error,
                g_strerror(error));
    clunk_all(c);
    c->n_successes[operation] += error == 0;
}

static void *run_guest(void *data)
{
    int64_t start = g_get_monotonic_time();
    Client *c = data;

    for (; goes_on(c, start); c->n_done++)
        run_operation(c, choose_operation(c));
    return NULL;
}

/* The host goes between, by path, and any of its operations may fail. */
static void run_host_operation(Client *c, unsigned operation)
{
    g_autofree char *from = choose_path(c, 1 + below(c, MAX_DEPTH));
    g_autofree char *to = choose_path(c, 1 + below(c, MAX_DEPTH));
    g_autofree char *from_path = g_build_filename(c->export, from, NULL);
    g_autofree char *to_path = g_build_filename(c->export, to, NULL);
    int result = -1;

    switch (operation) {
    case 0:
        result = rename(from_path, to_path);
        break;
    case 1:
        result = link(from_path, to_path);
        break;
    case 2:
        result = mkdir(to_path, 0755);
        break;
    case 3:
        result = remove(from_path);
        break;
    }
    c->n_successes[operation] += result == 0;
}

static void *run_host(void *data)
{
    int64_t start = g_get_monotonic_time();
    Client *c = data;

    for (; goes_on(c, start); c->n_done++) {
        run_host_operation(c, below(c, N_HOST_OPERATIONS));
        g_usleep(below(c, 200));
    }
    return NULL;
}

/*
 * The comparison
 */

static void add_line(GPtrArray *lines, const char *path, const struct stat *st, const char *content)
{
    g_ptr_array_add(lines, g_strdup_printf("%s mode=%o owner=%u:%u links=%lu size=%lld device=%lx"
                                           " mtime=%lld.%09ld %s",
                                           path, st->st_mode, st->st_uid, st->st_gid,
                                           (unsigned long)st->st_nlink,
                                           S_ISDIR(st->st_mode) ? 0LL : (long long)st->st_size,
                                           (unsigned long)st->st_rdev, (long long)st->st_mtime,
                                           st->st_mtim.tv_nsec, content));
}

static int compare_lines(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One text of all lines, which are freed. */
static char *join_lines(GPtrArray *lines)
{
    char *text;

    g_ptr_array_sort(lines, compare_lines);
    g_ptr_array_add(lines, NULL);
    text = g_strjoinv("\n", (char **)lines->pdata);
    g_ptr_array_unref(lines);
    return text;
}

static char *host_content(const char *path, const struct stat *st)
{
    g_autofree char *bytes = NULL;
    gsize size;

    if (S_ISLNK(st->st_mode))
        return g_file_read_link(path, NULL);
    if (!S_ISREG(st->st_mode))
        return g_strdup("");
    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    check_content(path, (const uint8_t *)bytes, size);
    return g_compute_checksum_for_data(G_CHECKSUM_SHA1, (const guchar *)bytes, size);
}

/* Adds what is below the host's directory `root`/`below_root`. */
static void list_host(GPtrArray *lines, const char *root, const char *below_root)
{
    g_autofree char *folder = g_build_filename(root, below_root, NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *relative = g_build_filename(below_root, name, NULL);
        g_autofree char *path = g_build_filename(root, relative, NULL);
        g_autofree char *content = NULL;
        struct stat st;

        g_assert_no_errno(lstat(path, &st));
        content = host_content(path, &st);
        add_line(lines, relative, &st, content);
        if (S_ISDIR(st.st_mode))
            list_host(lines, root, relative);
    }
}

static struct stat guest_stat(Guest *g, uint32_t fid)
{
    P9Attr attr;

    g_assert_cmpint(guest_getattr(g, fid, &attr), ==, 0);
    return (struct stat){
        .st_mode = attr.mode,
        .st_uid = attr.uid,
        .st_gid = attr.gid,
        .st_nlink = attr.nlink,
        .st_size = (off_t)attr.size,
        .st_rdev = attr.rdev,
        .st_mtim = {.tv_sec = (time_t)attr.mtime_sec, .tv_nsec = (long)attr.mtime_nsec},
    };
}

static char *guest_content(Guest *g, uint32_t fid, const struct stat *st)
{
    uint8_t bytes[MAX_FILE + 1];
    char *target = NULL;
    uint32_t done;

    if (S_ISLNK(st->st_mode)) {
        g_assert_cmpint(guest_readlink(g, fid, &target), ==, 0);
        return target;
    }
    if (!S_ISREG(st->st_mode))
        return g_strdup("");
    g_assert_cmpint(guest_open(g, fid, P9_L_RDONLY), ==, 0);
    g_assert_cmpint(guest_read(g, fid, 0, bytes, sizeof(bytes), 0, &done), ==, 0);
    g_assert_cmpuint(done, <=, MAX_FILE);
    return g_compute_checksum_for_data(G_CHECKSUM_SHA1, bytes, done);
}

/* Adds what is below the directory `dir`. Each level has two fids. */
static void list_guest(GPtrArray *lines, Guest *g, uint32_t dir, uint32_t fid,
                       const char *below_root)
{
    g_autoptr(GPtrArray) entries = NULL;

    g_assert_cmpint(guest_walk(g, dir, fid, ""), ==, 0);
    g_assert_cmpint(guest_open(g, fid, P9_L_RDONLY), ==, 0);
    g_assert_cmpint(guest_list(g, fid, 4000, &entries), ==, 0);
    for (guint i = 0; i < entries->len; i++) {
        const char *name = entries->pdata[i];
        g_autofree char *relative = g_build_filename(below_root, name, NULL);
        g_autofree char *content = NULL;
        struct stat st;

        if (name[0] == '.')
            continue;
        g_assert_cmpint(guest_walk(g, dir, fid + 1, name), ==, 0);
        st = guest_stat(g, fid + 1);
        content = guest_content(g, fid + 1, &st);
        add_line(lines, relative, &st, content);
        if (S_ISDIR(st.st_mode))
            list_guest(lines, g, fid + 1, fid + 2, relative);
        g_assert_cmpint(guest_clunk(g, fid + 1), ==, 0);
    }
    g_assert_cmpint(guest_clunk(g, fid), ==, 0);
}

static void check_same_tree(const char *export, Client *clients)
{
    GPtrArray *host_lines = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *host = NULL;

    list_host(host_lines, export, "");
    g_test_message("%u files at the end", host_lines->len);
    host = join_lines(host_lines);
    for (unsigned i = 0; i < N_GUESTS; i++) {
        GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *seen = NULL;

        list_guest(lines, clients[i].guest, GUEST_ROOT, LIST_FID, "");
        seen = join_lines(lines);
        g_assert_cmpstr(seen, ==, host);
    }
}

/*
 * A run
 */

static void start_client(Client *c, unsigned number, const Fixture *fixture, const char *model)
{
    FrontendDevice device = frontend_linux(1 + number % 3, fixture->export);

    *c = (Client){.number = number,
                  .export = fixture->export,
                  .random = g_rand_new_with_seed((guint32)g_test_rand_int()),
                  .n_operations = g_test_slow() ? SLOW_OPERATIONS : QUICK_OPERATIONS,
                  .n_successes = g_new0(unsigned, N_OPERATIONS)};
    if (number >= N_GUESTS)
        return;
    device.devid = number / 3;
    device.order = 2 + number;
    device.msize = number == 0 ? 8192 : 16384;
    device.security_model = model;
    c->guest = guest_start(&device);
}

static void end_client(Client *c)
{
    if (c->guest)
        guest_end(c->guest);
    g_rand_free(c->random);
    g_free(c->n_successes);
}

static bool has_succeeded(const Client *clients, unsigned operation)
{
    for (unsigned i = 0; i < N_GUESTS; i++) {
        if (clients[i].n_successes[operation] > 0)
            return true;
    }
    return false;
}

/* What chance has left out is tried on until it works: most operations need a file that is there,
 * and those that make them are among them. */
static void run_left_out(Client *clients)
{
    Client *host = &clients[N_GUESTS];

    for (unsigned i = 0; i < N_OPERATIONS; i++) {
        for (unsigned tries = 0; !has_succeeded(clients, i); tries++) {
            g_assert_cmpuint(tries, <, MAX_TRIES);
            run_operation(&clients[0], i);
            run_operation(&clients[0], choose_operation(&clients[0]));
        }
    }
    for (unsigned i = 0; i < N_HOST_OPERATIONS; i++) {
        for (unsigned tries = 0; host->n_successes[i] == 0; tries++) {
            g_assert_cmpuint(tries, <, MAX_TRIES);
            run_host_operation(host, i);
            run_operation(&clients[0], choose_operation(&clients[0]));
        }
    }
}

static void test_tree(Fixture *fixture, const void *data)
{
    const char *model = data;
    Client clients[N_GUESTS + 1];
    pthread_t threads[N_GUESTS + 1];
    g_autofree char *hello = g_build_filename(fixture->export, "hello", NULL);

    g_assert_no_errno(unlink(hello));
    for (unsigned i = 0; i <= N_GUESTS; i++)
        start_client(&clients[i], i, fixture, model);
    for (unsigned i = 0; i <= N_GUESTS; i++)
        g_assert_cmpint(
            pthread_create(&threads[i], NULL, i < N_GUESTS ? run_guest : run_host, &clients[i]), ==,
            0);
    for (unsigned i = 0; i <= N_GUESTS; i++)
        pthread_join(threads[i], NULL);
    run_left_out(clients);
    check_same_tree(fixture->export, clients);
    for (unsigned i = 0; i <= N_GUESTS; i++)
        end_client(&clients[i]);
}

static void set_up(Fixture *fixture, const void *data)
{
    (void)data;
    umask(022);
    fixture_set_up(fixture, NULL);
}

int main(int argc, char **argv)
{
    static const char *const models[] = {"none", "passthrough"};

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        g_autofree char *name = g_strdup_printf("/tree/%s", models[i]);

        g_test_add(name, Fixture, models[i], set_up, test_tree, fixture_tear_down);
    }
    return g_test_run();
}
