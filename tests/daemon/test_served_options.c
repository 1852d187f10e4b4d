/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the options of exports do for a guest, and that they come to the worker from wherever they can be
 * given: from each kind of group of the configuration file, and from the device's own nodes.
 *
 * No speed is measured. The limits are so low that what they hold up does not come while the test
 * lasts, or else not before a time that is long on any machine.
 */
#include "tests/daemon/fixture.h"
#include "tests/daemon/guest.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_FID = 1, /* "data", open for reading and writing */
    NEW_FID = 2,
    N_REQUESTS = 12,
    BURST = 6,        /* of these, where a burst is given */
    PIECE = 1000,     /* bytes of each */
    HELD_MS = 100,    /* long enough for what is not held up, mostly; if not, nothing fails */
    HOST_USER = 1000, /* and more: the guest's 0 to 9 */
    HOST_GROUP = 2000,
    SQUASHED_USER = 60000, /* the guest's others */
    SQUASHED_GROUP = 60001,
};

static bool may_mount;

/* Where options are given: the head of a group, whose %s is the export's path, or nodes. */
typedef struct Source {
    const char *name;
    const char *group;
} Source;

static const Source sources[] = {
    {"defaults", "[defaults]"},     {"path", "[path %s]"}, {"tag", "[tag share]"},
    {"domain", "[domain guest-1]"}, {"nodes", NULL},
};

static const Source *const from_file = &sources[0];
static const Source *const from_nodes = &sources[G_N_ELEMENTS(sources) - 1];

/*
 * Devices
 */

static void write_config(const Fixture *fixture, const Source *source, const FrontendNode *options)
{
    g_autofree char *file = standin_daemon_config();
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, source->group, fixture->export);
    for (; options->name; options++)
        g_string_append_printf(text, "\n%s=%s", options->name, options->value);
    g_assert_true(g_file_set_contents(file, text->str, -1, NULL));
    g_string_free(text, TRUE);
}

/* The same options under the names that nodes have. The caller unrefs it. */
static GArray *make_nodes(const FrontendNode *options)
{
    GArray *nodes = g_array_new(TRUE, TRUE, sizeof(FrontendNode));

    for (; options->name; options++) {
        char *name = g_strdelimit(g_strdup(options->name), ".", '-');
        FrontendNode node = {g_intern_string(name), options->value};

        g_array_append_val(nodes, node);
        g_free(name);
    }
    return nodes;
}

/* One ring, on which requests are taken in their order. */
static FrontendDevice make_device(const Fixture *fixture)
{
    FrontendDevice device = frontend_linux(1, fixture->export);

    device.n_rings = 1;
    device.order = 4;
    device.msize = 16384;
    return device;
}

/* A guest whose device has these options and no others. */
static Guest *start(const Fixture *fixture, const Source *source, const FrontendNode *options,
                    const char *security_model)
{
    static const FrontendNode none[] = {{NULL, NULL}};
    g_autoptr(GArray) nodes = make_nodes(source->group ? none : options);
    FrontendDevice device = make_device(fixture);
    Guest *guest;

    write_config(fixture, source->group ? source : from_file, source->group ? options : none);
    device.security_model = security_model;
    device.nodes = (const FrontendNode *)nodes->data;
    guest = guest_start(&device);
    guest->device.nodes = NULL;
    return guest;
}

static char *host_path(const Fixture *fixture, const char *name)
{
    return g_build_filename(fixture->export, name, NULL);
}

static struct stat host_stat(const Fixture *fixture, const char *name)
{
    g_autofree char *path = host_path(fixture, name);
    struct stat st;

    g_assert_no_errno(lstat(path, &st));
    return st;
}

static void put_file(const Fixture *fixture, const char *name)
{
    g_autofree char *path = host_path(fixture, name);
    g_autofree char *content = g_strnfill(N_REQUESTS * PIECE, 'x');

    g_assert_true(g_file_set_contents(path, content, -1, NULL));
}

/*
 * Throttling
 */

typedef struct Limit {
    const char *name;
    bool on_reads;
    bool on_writes;
    unsigned at_once; /* how many requests of PIECE bytes go at once without a burst */
    const char *burst;
} Limit;

static const Limit limits[] = {
    {"throttling.bps-total", true, true, 1, "6000"},
    {"throttling.bps-read", true, false, 1, "6000"},
    {"throttling.bps-write", false, true, 1, "6000"},
    {"throttling.iops-total", true, true, 2, "6"},
    {"throttling.iops-read", true, false, 2, "6"},
    {"throttling.iops-write", false, true, 2, "6"},
};

static void send_requests(Guest *guest, bool writes)
{
    static const uint8_t bytes[PIECE];

    for (uint16_t tag = 0; tag < N_REQUESTS; tag++)
        g_assert_true(frontend_send(guest->frontend,
                                    writes ? p9_twrite(tag, FILE_FID, tag * PIECE, PIECE, bytes)
                                           : p9_tread(tag, FILE_FID, tag * PIECE, PIECE)));
}

static void expect_replies(Guest *guest, bool writes, uint16_t n)
{
    for (uint16_t tag = 0; tag < n; tag++) {
        g_autoptr(P9Reply) reply = frontend_wait(guest->frontend, tag, FRONTEND_TIMEOUT_MS);

        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, (writes ? P9_TWRITE : P9_TREAD) + 1);
    }
}

/* So many go at once, and no more than another each second: this is what a limit of one request, or of
 * one byte, per second lets through. */
static void expect_throttled(Guest *guest, bool writes, uint16_t at_once)
{
    gint64 start_time = g_get_monotonic_time();
    g_autoptr(P9Reply) last = NULL;

    send_requests(guest, writes);
    expect_replies(guest, writes, at_once);
    last = frontend_wait(guest->frontend, N_REQUESTS - 1, HELD_MS);
    if (last)
        g_assert_cmpint(g_get_monotonic_time() - start_time, >=,
                        (N_REQUESTS - at_once) * G_TIME_SPAN_SECOND);
}

/* A limit of both kinds is reached by one of them; the requests of the other find it so. */
static void check_limit(const Fixture *fixture, const Source *source, const Limit *limit,
                        bool burst)
{
    g_autofree char *max = g_strconcat(limit->name, "-max", NULL);
    const FrontendNode options[] = {
        {limit->name, "1"},
        {burst ? max : NULL, limit->burst},
        {NULL, NULL},
    };
    uint16_t at_once = burst ? BURST : (uint16_t)limit->at_once;
    bool writes_first = !limit->on_writes;
    Guest *guest = start(fixture, source, options, "none");

    g_assert_cmpint(guest_walk(guest, GUEST_ROOT, FILE_FID, "data"), ==, 0);
    g_assert_cmpint(guest_open(guest, FILE_FID, P9_L_RDWR), ==, 0);
    if (!limit->on_reads || !limit->on_writes) {
        send_requests(guest, writes_first);
        expect_replies(guest, writes_first, N_REQUESTS);
    }
    expect_throttled(guest, !writes_first, at_once);
    guest_end(guest);
}

static void test_throttling(Fixture *fixture, const void *data)
{
    (void)data;
    put_file(fixture, "data");
    for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
        check_limit(fixture, from_file, &limits[i], i % 2 == 0);
        check_limit(fixture, from_nodes, &limits[i], i % 2 == 0);
        check_limit(fixture, i % 2 == 0 ? from_file : from_nodes, &limits[i], i % 2 != 0);
    }
}

static void test_throttling_from_everywhere(Fixture *fixture, const void *data)
{
    (void)data;
    put_file(fixture, "data");
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
        check_limit(fixture, &sources[i], &limits[i], true);
}

/*
 * Users and groups
 */

/* Attaches as this user and makes a directory for this group. */
static void make_directory(Guest *guest, uint32_t user, uint32_t group, const char *name)
{
    Frontend *f = guest->frontend;

    g_assert_cmpint(frontend_call(f, p9_tattach(GUEST_TAG, NEW_FID, P9_NOFID, "", "", user), "*"),
                    ==, 0);
    g_assert_cmpint(frontend_call(f, p9_tmkdir(GUEST_TAG, NEW_FID, name, 0755, group), "*"), ==, 0);
    g_assert_cmpint(guest_clunk(guest, NEW_FID), ==, 0);
}

static void check_owner(const Fixture *fixture, const char *name, uint32_t user, uint32_t group)
{
    struct stat st = host_stat(fixture, name);
    g_autofree char *path = host_path(fixture, name);

    g_assert_cmpuint(st.st_uid, ==, user);
    g_assert_cmpuint(st.st_gid, ==, group);
    g_assert_no_errno(g_rmdir(path));
}

static void check_maps(const Fixture *fixture, Guest *guest)
{
    P9Attr attr;

    make_directory(guest, 5, 6, "mapped");
    make_directory(guest, 500, 600, "squashed");
    check_owner(fixture, "mapped", HOST_USER + 5, HOST_GROUP + 6);
    check_owner(fixture, "squashed", SQUASHED_USER, SQUASHED_GROUP);
    g_assert_cmpint(guest_walk(guest, GUEST_ROOT, FILE_FID, "data"), ==, 0);
    g_assert_cmpint(guest_getattr(guest, FILE_FID, &attr), ==, 0);
    g_assert_cmpuint(attr.uid, ==, 3);
    g_assert_cmpuint(attr.gid, ==, 4);
}

static void test_maps(Fixture *fixture, const void *data)
{
    static const FrontendNode options[] = {
        {"map-users", "0-9:1000;*:60000"},
        {"map-groups", "0-9:2000;*:60001"},
        {NULL, NULL},
    };
    g_autofree char *path = host_path(fixture, "data");

    (void)data;
    if (geteuid() != 0) {
        g_test_skip("files of other users take root");
        return;
    }
    put_file(fixture, "data");
    g_assert_no_errno(chown(path, HOST_USER + 3, HOST_GROUP + 4));
    g_assert_no_errno(g_chmod(fixture->export, 0777));
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        Guest *guest = start(fixture, &sources[i], options, "none");

        check_maps(fixture, guest);
        guest_end(guest);
    }
}

/*
 * Permissions of what mapped models make
 */

static void check_modes(const Fixture *fixture, const Source *source, const FrontendNode *options,
                        uint32_t file_mode, uint32_t directory_mode)
{
    Guest *guest = start(fixture, source, options, "mapped-file");
    Frontend *f = guest->frontend;

    g_assert_cmpint(guest_walk(guest, GUEST_ROOT, NEW_FID, ""), ==, 0);
    g_assert_cmpint(guest_create(guest, NEW_FID, "new", P9_L_RDWR, 0755), ==, 0);
    g_assert_cmpint(frontend_call(f, p9_tmkdir(GUEST_TAG, GUEST_ROOT, "made", 0711, 0), "*"), ==,
                    0);
    g_assert_cmphex(host_stat(fixture, "new").st_mode & 07777, ==, file_mode);
    g_assert_cmphex(host_stat(fixture, "made").st_mode & 07777, ==, directory_mode);
    g_assert_cmpint(frontend_call(f, p9_tunlinkat(GUEST_TAG, GUEST_ROOT, "new", 0), ""), ==, 0);
    g_assert_cmpint(frontend_call(f, p9_tunlinkat(GUEST_TAG, GUEST_ROOT, "made", P9_REMOVEDIR), ""),
                    ==, 0);
    guest_end(guest);
}

static void test_modes(Fixture *fixture, const void *data)
{
    static const FrontendNode none[] = {{NULL, NULL}};
    static const FrontendNode options[] = {{"fmode", "0640"}, {"dmode", "0751"}, {NULL, NULL}};

    (void)data;
    check_modes(fixture, from_nodes, none, 0600, 0700);
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
        check_modes(fixture, &sources[i], options, 0640, 0751);
}

/*
 * Other file systems below
 */

static void expect_remapped(const Fixture *fixture, Guest *guest)
{
    P9Attr attr;

    g_assert_cmpint(guest_walk(guest, GUEST_ROOT, FILE_FID, "mount/data"), ==, 0);
    g_assert_cmpint(guest_getattr(guest, FILE_FID, &attr), ==, 0);
    g_assert_cmpuint(attr.qid.path, !=, host_stat(fixture, "mount/data").st_ino);
}

static void check_multidevs(const Fixture *fixture, const Source *source, const char *value)
{
    const FrontendNode options[] = {{"multidevs", value}, {NULL, NULL}};
    unsigned warnings = count_log(fixture, "(multidevs=warn)");
    Guest *guest = start(fixture, source, options, "none");

    if (g_str_equal(value, "forbid"))
        g_assert_cmpint(guest_walk(guest, GUEST_ROOT, FILE_FID, "mount"), ==, ENODEV);
    else
        expect_remapped(fixture, guest);
    guest_end(guest);
    g_assert_cmpuint(count_log(fixture, "(multidevs=warn)"), ==,
                     warnings + (g_str_equal(value, "warn") ? 1 : 0));
}

static void test_multidevs(Fixture *fixture, const void *data)
{
    g_autofree char *folder = host_path(fixture, "mount");

    (void)data;
    if (!may_mount) {
        g_test_skip("this process may not make mounts");
        return;
    }
    g_assert_no_errno(g_mkdir(folder, 0755));
    g_assert_no_errno(mount("tmpfs", folder, "tmpfs", 0, NULL));
    put_file(fixture, "mount/data");
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
        check_multidevs(fixture, &sources[i], "forbid");
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
        check_multidevs(fixture, &sources[i], "warn");
    check_multidevs(fixture, from_nodes, "remap");
    g_assert_no_errno(umount2(folder, MNT_DETACH));
}

/*
 * All at once
 */

/* Groups and nodes add up, each option by itself. */
static void test_together(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"throttling-iops-read-max", "6"}, {NULL, NULL}};
    static const char text[] = "[defaults]\nthrottling.iops-read=1\nthrottling.iops-read-max=2\n"
                               "[tag share]\nreadonly=on\n";
    g_autofree char *file = standin_daemon_config();
    FrontendDevice device = make_device(fixture);
    Guest *guest;

    (void)data;
    put_file(fixture, "data");
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
    device.nodes = nodes;
    guest = guest_start(&device);
    g_assert_cmpint(
        frontend_call(guest->frontend, p9_tmkdir(GUEST_TAG, GUEST_ROOT, "made", 0755, 0), "*"), ==,
        EROFS);
    g_assert_cmpint(guest_walk(guest, GUEST_ROOT, FILE_FID, "data"), ==, 0);
    g_assert_cmpint(guest_open(guest, FILE_FID, P9_L_RDONLY), ==, 0);
    expect_throttled(guest, false, BURST);
    guest_end(guest);
}

int main(int argc, char **argv)
{
    may_mount = unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/served-options/throttling", test_throttling);
    FIXTURE_TEST("/served-options/throttling-from-everywhere", test_throttling_from_everywhere);
    FIXTURE_TEST("/served-options/maps", test_maps);
    FIXTURE_TEST("/served-options/modes", test_modes);
    FIXTURE_TEST("/served-options/multidevs", test_multidevs);
    FIXTURE_TEST("/served-options/together", test_together);
    return g_test_run();
}
