/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * P9: setting up, and the program posix-9p; see p9.h.
 *
 * Without further arguments the program runs the representative cases over what `make check` tests;
 * with a dialect, a model and a directory it runs what the options say there.
 */
#include <stdlib.h>
#include <unistd.h>

#include "protocol/local.h"
#include "tests/posix/p9.h"

enum { CHANNELS = 1 };

/*
 * Users and where paths start
 */

P9 *p9_of(Driver *d)
{
    P9 *p9 = (P9 *)d;

    d->n_operations = test_session_session(p9->ts)->last_id;
    return p9;
}

static void p9_become(Driver *d, const User *user)
{
    ((P9 *)d)->user = user;
}

static void p9_set_umask(Driver *d, mode_t mask)
{
    ((P9 *)d)->umask = mask;
}

/* Makes `start` stand for p9->dir, which is walked without asking who may. */
static int walk_to_dir(P9 *p9, uint32_t from, uint32_t start)
{
    g_auto(GStrv) names = g_strsplit(p9->dir, "/", -1);
    int error = p9->remote->walk(p9, from, start, "");

    for (unsigned i = 0; !error && names[i]; i++) {
        error = p9->remote->walk(p9, start, start, names[i]);
        if (error)
            g_assert_cmpint(p9->remote->clunk(p9, start), ==, 0);
    }
    return error;
}

/* The present user's entry; makes the attach that access=client makes for each. */
static unsigned attach_user(P9 *p9)
{
    unsigned i = 0;

    while (i < p9->n_users && p9->users[i].uid != p9->user->uid)
        i++;
    if (i == p9->n_users) {
        g_assert_cmpuint(p9->n_users++, <, P9_MAX_USERS);
        p9->users[i].uid = p9->user->uid;
        p9->users[i].root = p9_new_fid(p9);
        p9->users[i].start = P9_NOFID;
        g_assert_cmpint(p9->remote->attach(p9, p9->users[i].root, p9->user->uid), ==, 0);
    }
    return i;
}

int p9_start(P9 *p9, uint32_t *fid)
{
    unsigned i = attach_user(p9);
    uint32_t start;
    int error;

    if (p9->users[i].start == P9_NOFID) {
        start = p9_new_fid(p9);
        error = walk_to_dir(p9, p9->users[i].root, start);
        if (error)
            return error;
        p9->users[i].start = start;
    }
    *fid = p9->users[i].start;
    return 0;
}

static long p9_enter(Driver *d, const char *dir)
{
    P9 *p9 = p9_of(d);
    uint32_t unused;

    for (unsigned i = 0; i < p9->n_users; i++) {
        if (p9->users[i].start != P9_NOFID)
            p9->remote->clunk(p9, p9->users[i].start);
        p9->users[i].start = P9_NOFID;
    }
    g_free(p9->dir);
    p9->dir = g_strdup(dir);
    return p9_start(p9, &unused);
}

/*
 * A share
 */

static DriverOps p9_ops = {
    .become = p9_become,
    .set_umask = p9_set_umask,
    .enter = p9_enter,
};

static void fill_ops(void)
{
    p9_add_files(&p9_ops);
    p9_add_names(&p9_ops);
    p9_add_attr(&p9_ops);
    p9_add_locks(&p9_ops);
}

static void start_session(P9 *p9, Dialect dialect)
{
    const char *wanted = dialect == DIALECT_9P2000_L ? "9P2000.L" : "9P2000.u";
    char version[32];
    uint32_t msize;

    p9->wire = (Client){.ts = p9->ts, .tag = 1, .dialect = dialect};
    g_assert_cmpint(client_version(&p9->wire, P9_MSIZE, wanted, &msize, version), ==, 0);
    g_assert_cmpstr(version, ==, wanted);
    g_assert_cmpuint(msize, ==, P9_MSIZE);
}

/* What the share has: all of it in 9P2000.L, ACLs with the one model where they are real. */
static void find_features(P9 *p9, const char *export, SecurityModel model, Dialect dialect)
{
    struct statvfs room;
    uint32_t fid;

    if (statvfs(export, &room) == 0 && room.f_bfree <= LITTLE_ROOM / room.f_bsize)
        p9->base.has = HAS_LITTLE_ROOM;
    if (dialect != DIALECT_9P2000_L)
        return;
    p9->base.has |= HAS_XATTRS | HAS_LOCKS | HAS_FINE_TIMES | HAS_STATVFS;
    g_assert_cmpint(p9_start(p9, &fid), ==, 0);
    p9->acls = model == MODEL_PASSTHROUGH &&
               p9_get_xattr(p9, fid, "system.posix_acl_access", NULL, 0) == -ENODATA;
    if (p9->acls)
        p9->base.has |= HAS_ACLS;
}

static P9 *p9_new(const char *export, SecurityModel model, Dialect dialect)
{
    ExportOptions options = export_default_options;
    P9 *p9 = g_new0(P9, 1);
    const char *why;

    options.model = model;
    g_assert_cmpint(local_fs_new(export, &options, &p9->fs, &why), ==, 0);
    p9->ts = test_session_new_with_options(p9->fs, &options, CHANNELS, P9_MSIZE, NULL);
    p9->base.ops = &p9_ops;
    p9->remote = dialect == DIALECT_9P2000_L ? &p9_remote_l : &p9_remote_u;
    p9->user = &root;
    p9->dir = g_strdup("");
    p9->lockers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    start_session(p9, dialect);
    find_features(p9, export, model, dialect);
    return p9;
}

static void p9_free(P9 *p9)
{
    test_session_free(p9->ts);
    local_fs_free(p9->fs);
    g_hash_table_unref(p9->lockers);
    g_free(p9->dir);
    g_free(p9);
}

/*
 * The program
 */

/* One way of serving one directory. */
typedef struct Run {
    const char *dialect; /* "L" or "u" */
    const char *model;
    const char *parent; /* where the export is made */
} Run;

/* What `make check` tests. */
static const Run representative[] = {
    {"L", "passthrough", "/dev/shm"},
    {"L", "none", "/var/tmp"},
    {"L", "mapped-xattr", "/var/tmp"},
    {"u", "none", "/dev/shm"},
};

static int usage(const char *program)
{
    fprintf(stderr, "Usage: %s [OPTION...] [L|u MODEL DIRECTORY]\n\n%s", program, suite_usage);
    return 2;
}

static int run_one(const Run *run, SuiteOptions options)
{
    Dialect dialect = *run->dialect == 'L' ? DIALECT_9P2000_L : DIALECT_9P2000_U;
    g_autofree char *export = g_strdup_printf("%s/posix-9p-XXXXXX", run->parent);
    g_autofree char *tags = g_strdup_printf("%s,%s,9p", run->dialect, run->model);
    g_autofree char *label = g_strdup_printf("%s %s %s ", run->dialect, run->model, run->parent);
    SecurityModel model;
    int status;
    P9 *p9;

    if (!security_model_parse(run->model, &model) || !g_mkdtemp_full(export, 0755)) {
        fprintf(stderr, "%s: no such model, or no directory can be made there\n", label);
        return 2;
    }
    p9 = p9_new(export, model, dialect);
    options.label = label;
    options.tags = tags;
    status = suite_run(&p9->base, &options);
    p9_free(p9);
    if (rmdir(export) != 0)
        perror(export);
    return status;
}

int main(int argc, char **argv)
{
    SuiteOptions options;
    int at = suite_parse_options(argc, argv, &options);
    int status = 0;

    if (at < 0 || (at != argc && at != argc - 3))
        return usage(argv[0]);
    if (geteuid() != 0) {
        printf("1..0 # SKIP needs root\n");
        return 0;
    }
    if (!options.differences)
        options.differences = "tests/posix/differences";
    fill_ops();
    if (at < argc) {
        status = run_one(&(Run){argv[at], argv[at + 1], argv[at + 2]}, options);
    } else {
        options.representative = options.possible = true;
        for (size_t i = 0; i < G_N_ELEMENTS(representative); i++)
            status |= run_one(&representative[i], options);
    }
    suite_finish(&options);
    return status;
}
