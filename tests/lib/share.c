/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Share: see share.h. */
#include "tests/lib/share.h"

#include <dirent.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What a test runs on. */
typedef struct Ground {
    const char *storage;
    const char *parent;
    SecurityModel model;
} Ground;

static const Ground grounds[] = {
    {"memory", "/dev/shm", MODEL_NONE},         {"disk", "/var/tmp", MODEL_NONE},
    {"memory", "/dev/shm", MODEL_MAPPED_XATTR}, {"disk", "/var/tmp", MODEL_MAPPED_XATTR},
    {"memory", "/dev/shm", MODEL_MAPPED_FILE},  {"disk", "/var/tmp", MODEL_MAPPED_FILE},
};

static void open_export(Share *s, const ExportOptions *options)
{
    const char *why;

    s->model = options->model;
    g_assert_cmpint(local_fs_new(s->export, options, &s->fs, &why), ==, 0);
}

static void begin_session(Share *s, const ExportOptions *options)
{
    SessionLimits limits = session_default_limits;

    limits.device = options->limits;
    s->ts =
        test_session_new_with_options(s->fs, options, SHARE_CHANNELS, SHARE_MAX_MESSAGE, &limits);
    s->client = (Client){.ts = s->ts, .channel = 0, .tag = 1};
    client_start(&s->client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
}

static void serve(Share *s, const ExportOptions *options)
{
    open_export(s, options);
    begin_session(s, options);
}

static void set_up(Share *s, gconstpointer data)
{
    const Ground *ground = data;
    ExportOptions options = export_default_options;
    g_autofree char *pattern = g_strdup_printf("%s/9p-test-XXXXXX", ground->parent);
    g_autofree char *secret = NULL;

    umask(022);
    s->base = g_strdup(g_mkdtemp(pattern));
    g_assert_nonnull(s->base);
    s->export = g_build_filename(s->base, "export", NULL);
    s->outside = g_build_filename(s->base, "outside", NULL);
    secret = g_build_filename(s->outside, "secret", NULL);
    g_assert_cmpint(g_mkdir(s->export, 0777), ==, 0);
    g_assert_cmpint(g_mkdir(s->outside, 0777), ==, 0);
    g_assert_true(
        g_file_set_contents_full(secret, "secret", -1, G_FILE_SET_CONTENTS_NONE, 0666, NULL));
    options.model = ground->model;
    serve(s, &options);
}

static void end_service(Share *s)
{
    test_session_free(s->ts);
    local_fs_free(s->fs);
}

void share_reopen(Share *s, const ExportOptions *options)
{
    end_service(s);
    serve(s, options);
}

int share_reopen_with_keeper(Share *s, const ExportOptions *options)
{
    int error;

    end_service(s);
    open_export(s, options);
    error = local_fs_start_keeper(s->fs);
    begin_session(s, options);
    return error;
}

static void remove_tree(char *path)
{
    char *command[] = {(char *)"rm", (char *)"-rf", (char *)"--", path, NULL};

    g_spawn_sync(NULL, command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}

static void tear_down(Share *s, gconstpointer ground)
{
    (void)ground;
    end_service(s);
    remove_tree(s->base);
    g_free(s->base);
    g_free(s->export);
    g_free(s->outside);
}

static bool is_possible(const Ground *ground)
{
    return ground->model != MODEL_MAPPED_XATTR ||
           getxattr(ground->parent, "user.virtfs.mode", NULL, 0) >= 0 || errno != EOPNOTSUPP;
}

static void skip(gconstpointer unused)
{
    (void)unused;
    g_test_skip("no user.* attributes on this storage");
}

static void add_on(const char *path, const Ground *ground, ShareTest *test)
{
    if (is_possible(ground))
        g_test_add(path, Share, ground, set_up, test, tear_down);
    else
        g_test_add_data_func(path, NULL, skip);
}

void share_add_test_on(const char *name, const char *storage, ShareTest *test)
{
    g_autofree char *path = g_strdup_printf("%s/%s", name, storage);

    add_on(path, &grounds[g_str_equal(storage, "memory") ? 0 : 1], test);
}

void share_add_test(const char *name, ShareTest *test)
{
    share_add_test_on(name, "memory", test);
    share_add_test_on(name, "disk", test);
}

void share_add_test_with_model(const char *name, SecurityModel model, ShareTest *test)
{
    for (size_t i = 0; i < G_N_ELEMENTS(grounds); i++) {
        const Ground *ground = &grounds[i];
        g_autofree char *path =
            g_strdup_printf("%s/%s/%s", name, ground->storage, security_model_name(model));

        if (ground->model == model)
            add_on(path, ground, test);
    }
}

/* A test that runs as nobody. */
typedef struct Unprivileged {
    const Ground *ground;
    ShareTest *test;
} Unprivileged;

static void run_unprivileged(gconstpointer data)
{
    const Unprivileged *case_ = data;
    Share s = {0};

    if (geteuid() != 0) {
        g_test_skip("needs root, to become nobody");
        return;
    }
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
        g_test_trap_assert_passed();
        return;
    }
    g_assert_cmpint(setgroups(0, NULL), ==, 0);
    g_assert_cmpint(setresgid(SHARE_NOBODY, SHARE_NOBODY, SHARE_NOBODY), ==, 0);
    g_assert_cmpint(setresuid(SHARE_NOBODY, SHARE_NOBODY, SHARE_NOBODY), ==, 0);
    set_up(&s, case_->ground);
    case_->test(&s, NULL);
    tear_down(&s, NULL);
}

void share_add_unprivileged_test(const char *name, SecurityModel model, ShareTest *test)
{
    for (size_t i = 0; i < G_N_ELEMENTS(grounds); i++) {
        const Ground *ground = &grounds[i];
        g_autofree char *path = g_strdup_printf("%s/%s/%s/unprivileged", name, ground->storage,
                                                security_model_name(model));
        Unprivileged *case_;

        if (ground->model != model)
            continue;
        case_ = g_new(Unprivileged, 1);
        *case_ = (Unprivileged){ground, test};
        if (is_possible(ground))
            g_test_add_data_func_full(path, case_, run_unprivileged, g_free);
        else
            g_test_add_data_func_full(path, case_, skip, g_free);
    }
}

void share_add_test_for_models(const char *name, ShareTest *test)
{
    share_add_test(name, test);
    share_add_test_with_model(name, MODEL_MAPPED_XATTR, test);
    share_add_test_with_model(name, MODEL_MAPPED_FILE, test);
}

char *share_path(const Share *s, const char *name)
{
    return g_build_filename(s->export, name, NULL);
}

void share_put(const Share *s, const char *name, const char *text)
{
    g_autofree char *path = share_path(s, name);

    FILE *file = fopen(path, "w");

    g_assert_nonnull(file);
    g_assert_cmpint(fputs(text, file), >=, 0);
    g_assert_cmpint(fclose(file), ==, 0);
}

void share_mkdir(const Share *s, const char *name)
{
    g_autofree char *path = share_path(s, name);

    g_assert_cmpint(g_mkdir(path, 0777), ==, 0);
}

char *share_get(const Share *s, const char *name)
{
    g_autofree char *path = share_path(s, name);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

bool share_stat(const Share *s, const char *name, struct stat *st)
{
    g_autofree char *path = share_path(s, name);

    return lstat(path, st) == 0;
}

bool share_see(Share *s, const char *name, struct stat *st)
{
    ClientAttr attr;

    if (s->model == MODEL_NONE)
        return share_stat(s, name, st);
    if (client_walk(&s->client, SHARE_ROOT, SHARE_SEE_FID, name, NULL, NULL) != 0)
        return false;
    g_assert_cmpint(client_getattr(&s->client, SHARE_SEE_FID, &attr), ==, 0);
    g_assert_cmpint(client_clunk(&s->client, SHARE_SEE_FID), ==, 0);
    *st = (struct stat){
        .st_mode = attr.mode, .st_uid = attr.uid, .st_gid = attr.gid, .st_rdev = attr.rdev};
    return true;
}

void share_create(Share *s, uint32_t fid, const char *name, uint32_t mode)
{
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, fid, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(&s->client, fid, name, P9_L_RDWR | P9_L_EXCL, mode, SHARE_GID),
                    ==, 0);
}

unsigned count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    g_assert_nonnull(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}
