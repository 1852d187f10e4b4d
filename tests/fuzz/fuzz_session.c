/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: a session. An input is a conversation on two channels: Tversion, Tattach, then any
 * messages, several in flight, with flushes and new Tversions among them. The first bytes choose what
 * is served and how: a directory of this host, with any security model and with or without limits, or a
 * tree in memory, whose operations run on the reader or all on other threads.
 *
 * What must hold: each request gets at most one reply, and exactly one where nothing was flushed and no
 * conversation begun anew; no reply is larger than msize; the session comes to rest; nothing outside
 * the export is touched or shown, whatever symbolic links lead there.
 *
 * To open an export, which mounts it, and to make a session with its threads costs more than most
 * conversations. So those over a directory follow each other in one session per way of serving it, as a
 * client's would that begins anew with Tversion; what is in the directory is made anew for each. After
 * TALKS_PER_STAGE of them, or when one ends in the middle of everything, that session ends too.
 * Conversations with limits have their own export and session, those over a tree in memory their own
 * tree and session.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "protocol/local.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/client.h"
#include "tests/lib/memory_fs.h"

enum {
    N_TAGS = 12,
    N_CHANNELS = 2,
    FUZZ_MSIZE = 16384,
    MAX_MESSAGES = 200,
    REST_SECONDS = 60,
    N_MODELS = MODEL_MAPPED_FILE + 1,
    TALKS_PER_STAGE = 64,
    MAX_THREADS = 3,
};

/* Written to the file outside, and by no message. */
#define SECRET "9b0d-outside"

typedef struct Scratch {
    char *base;
    char *export_path;
    char *outside_path;
    int export;
    int outside;
    struct stat outside_was, secret_was;
} Scratch;

/* What is served, and by which session. */
typedef struct Stage {
    Fs *fs;
    MemoryFs *memory; /* the same, or NULL */
    TestSession *ts;
    unsigned n_talks;
    bool kept;       /* for the next conversation */
    bool own_export; /* ends with it */
} Stage;

typedef struct Talk {
    TestSession *ts;
    unsigned asked[N_TAGS];
    unsigned answered[N_TAGS];
    bool in_flight[N_TAGS];
    bool counts; /* every request gets exactly one reply */
} Talk;

static Scratch scratch;
static Stage kept_stages[N_MODELS][2]; /* by model, and whether it is read-only */
static Fs *kept_exports[N_MODELS][2];

static struct {
    unsigned long on_directory, in_memory, messages;
} statistics;

/*
 * The directory
 */

/* Something to find in the export, and ways out of it. */
static void fill(void)
{
    int dir = scratch.export;

    g_assert_cmpint(mkdirat(dir, "dir", 0777), ==, 0);
    g_assert_cmpint(mkdirat(dir, "dir/sub", 0777), ==, 0);
    close(openat(dir, "file", O_CREAT | O_WRONLY, 0666));
    close(openat(dir, "dir/b", O_CREAT | O_WRONLY, 0666));
    g_assert_cmpint(symlinkat("../outside", dir, "away"), ==, 0);
    g_assert_cmpint(symlinkat(scratch.outside_path, dir, "outside"), ==, 0);
    g_assert_cmpint(symlinkat("file", dir, "link"), ==, 0);
    g_assert_cmpint(mkfifoat(dir, "pipe", 0666), ==, 0);
}

/* Takes over `fd`. Conversations make no tree that is deeper than a process has descriptors. */
static void remove_entries(int fd)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;

    g_assert_nonnull(dir);
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || unlinkat(dirfd(dir), name, 0) == 0)
            continue;
        remove_entries(openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        g_assert_cmpint(unlinkat(dirfd(dir), name, AT_REMOVEDIR), ==, 0);
    }
    closedir(dir);
}

static void remove_attributes(int fd)
{
    char names[4096];
    ssize_t size = flistxattr(fd, names, sizeof(names));

    for (const char *name = names; size > 0 && name < names + size; name += strlen(name) + 1)
        fremovexattr(fd, name);
}

/* As it was in the beginning. */
static void reset_export(void)
{
    remove_entries(dup(scratch.export));
    remove_attributes(scratch.export);
    g_assert_cmpint(fchown(scratch.export, getuid(), getgid()), ==, 0);
    g_assert_cmpint(fchmod(scratch.export, 0755), ==, 0);
    fill();
}

static void look_outside(struct stat *outside, struct stat *secret)
{
    g_assert_cmpint(fstat(scratch.outside, outside), ==, 0);
    g_assert_cmpint(fstatat(scratch.outside, "secret", secret, AT_SYMLINK_NOFOLLOW), ==, 0);
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Every change of a file or directory changes its ctime. */
static void check_outside(void)
{
    struct stat outside, secret;

    look_outside(&outside, &secret);
    g_assert_true(same_time(outside.st_ctim, scratch.outside_was.st_ctim));
    g_assert_true(same_time(secret.st_ctim, scratch.secret_was.st_ctim));
    g_assert_cmpuint(secret.st_nlink, ==, 1);
}

static void end_kept_stages(void);

static void clean_up(void)
{
    end_kept_stages();
    remove_entries(dup(scratch.export));
    remove_entries(dup(scratch.outside));
    rmdir(scratch.export_path);
    rmdir(scratch.outside_path);
    rmdir(scratch.base);
    fprintf(stderr, "# %lu conversations over a directory, %lu over a tree in memory, %lu messages\n",
            statistics.on_directory, statistics.in_memory, statistics.messages);
}

static int make_directory(const char *name, char **path)
{
    *path = g_build_filename(scratch.base, name, NULL);
    g_assert_cmpint(mkdir(*path, 0755), ==, 0);
    return open(*path, O_RDONLY | O_DIRECTORY);
}

/* Made once. */
static void prepare_scratch(void)
{
    g_autofree char *secret = NULL;

    if (scratch.base)
        return;
    umask(0);
    scratch.base = g_strdup("/dev/shm/9p-fuzz-XXXXXX");
    g_assert_nonnull(g_mkdtemp(scratch.base));
    scratch.export = make_directory("export", &scratch.export_path);
    scratch.outside = make_directory("outside", &scratch.outside_path);
    secret = g_build_filename(scratch.outside_path, "secret", NULL);
    g_assert_true(g_file_set_contents(secret, SECRET, -1, NULL));
    look_outside(&scratch.outside_was, &scratch.secret_was);
    atexit(clean_up);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
}

/*
 * Stages
 */

static void open_export(const ExportOptions *options, Fs **fs)
{
    const char *why;

    g_assert_cmpint(local_fs_new(scratch.export_path, options, fs, &why), ==, 0);
}

static void begin_stage(Stage *stage, const ExportOptions *options, const SessionLimits *limits)
{
    stage->ts =
        test_session_new_with_options(stage->fs, options, N_CHANNELS, FUZZ_MSIZE, limits);
}

static void end_stage(Stage *stage)
{
    if (!stage->ts)
        return;
    test_session_free(stage->ts);
    if (stage->memory)
        memory_fs_free(stage->memory);
    else if (stage->own_export)
        local_fs_free(stage->fs);
    *stage = (Stage){0};
}

static void end_kept_stages(void)
{
    for (unsigned model = 0; model < N_MODELS; model++) {
        for (unsigned readonly = 0; readonly < 2; readonly++) {
            end_stage(&kept_stages[model][readonly]);
            if (kept_exports[model][readonly])
                local_fs_free(kept_exports[model][readonly]);
        }
    }
}

/* A small tree with the names that messages know. */
static void begin_memory_stage(Stage *stage, FsClass class, const SessionLimits *limits)
{
    stage->memory = memory_fs_new(class);
    stage->fs = memory_fs_base(stage->memory);
    memory_fs_add_directory(stage->memory, "dir");
    memory_fs_add_file(stage->memory, "file", 100);
    memory_fs_add_file(stage->memory, "a", 0);
    begin_stage(stage, &export_default_options, limits);
}

/* Little of everything. */
static void choose_limits(FuzzInput *input, DeviceLimits *limits)
{
    limits->max_fids = 1 + fuzz_pick(input, 8);
    limits->max_descriptors = 4 + fuzz_pick(input, 8);
    limits->max_xattrs = 1 + fuzz_pick(input, 2);
    limits->max_xattr_bytes = 1 + fuzz_pick(input, 256);
    limits->max_lock_owners = 1 + fuzz_pick(input, 3);
    limits->max_lock_ranges = 1 + fuzz_pick(input, 4);
    limits->max_lock_waits = fuzz_pick(input, 2);
    limits->max_inflight = 65536 * (1 + fuzz_pick(input, 3));
    limits->max_threads = 1 + fuzz_pick(input, MAX_THREADS);
}

static void choose_quota(FuzzInput *input, QuotaOptions *quota)
{
    quota->max_files = 1 + fuzz_pick(input, 20);
    quota->max_space = 4096u * (1 + fuzz_pick(input, 20));
    quota->max_open_files = 1 + fuzz_pick(input, 5);
    quota->auto_delete = fuzz_chance(input, 2);
}

/* An export of its own, since what is in it is counted. */
static Stage *begin_limited_stage(FuzzInput *input, Stage *own, ExportOptions *options, SessionLimits *limits)
{
    choose_quota(input, &options->quota);
    choose_limits(input, &limits->device);
    options->limits = limits->device;
    open_export(options, &own->fs);
    own->own_export = true;
    begin_stage(own, options, limits);
    return own;
}

static Stage *choose_directory(FuzzInput *input, Stage *own, SessionLimits *limits)
{
    ExportOptions options = export_default_options;
    Stage *stage;
    Fs **fs;

    statistics.on_directory++;
    reset_export();
    options.model = (SecurityModel)fuzz_pick(input, N_MODELS);
    options.readonly = fuzz_chance(input, 8);
    if (fuzz_chance(input, 16))
        return begin_limited_stage(input, own, &options, limits);
    stage = &kept_stages[options.model][options.readonly];
    fs = &kept_exports[options.model][options.readonly];
    if (!*fs)
        open_export(&options, fs);
    stage->fs = *fs;
    if (!stage->ts)
        begin_stage(stage, &options, limits);
    stage->kept = ++stage->n_talks < TALKS_PER_STAGE;
    return stage;
}

/* Where the conversation will be; *own if it is not kept for later ones. */
static Stage *choose_stage(FuzzInput *input, Stage *own)
{
    SessionLimits limits = session_default_limits;

    limits.max_lock_wait_msec = 5;
    limits.device.max_threads = MAX_THREADS;
    switch (fuzz_pick(input, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        return choose_directory(input, own, &limits);
    case 4:
        begin_memory_stage(own, FS_REMOTE, &limits);
        break;
    case 5:
        choose_limits(input, &limits.device);
        G_GNUC_FALLTHROUGH;
    default:
        begin_memory_stage(own, FS_MEMORY, &limits);
        break;
    }
    statistics.in_memory++;
    return own;
}

/*
 * Conversations
 */

/* Looks at every reply that is there. */
static void take_replies(Talk *talk)
{
    TestReply *reply;

    while ((reply = test_session_take_reply(talk->ts)) != NULL) {
        g_assert_cmpuint(reply->tag, <, N_TAGS);
        g_assert_cmpuint(reply->size, <=, FUZZ_MSIZE);
        g_assert_null(memmem(reply->bytes, reply->size, SECRET, strlen(SECRET)));
        talk->answered[reply->tag]++;
        talk->in_flight[reply->tag] = false;
        g_assert_cmpuint(talk->answered[reply->tag], <=, talk->asked[reply->tag]);
        g_free(reply);
    }
}

/* A tag is not used again before its reply, as long as its client counts on one. */
static void publish(Talk *talk, FuzzInput *input, GByteArray *message)
{
    unsigned tag = message->data[5];

    if (talk->in_flight[tag] && talk->counts)
        return;
    if (message->data[4] == P9_TFLUSH || message->data[4] == P9_TVERSION)
        talk->counts = false;
    talk->asked[tag]++;
    talk->in_flight[tag] = true;
    statistics.messages++;
    test_publish(talk->ts, fuzz_pick(input, N_CHANNELS), message->data, message->len);
}

static bool in_flight(const Talk *talk)
{
    return g_atomic_pointer_get(&test_session_session(talk->ts)->inflight_bytes) != 0;
}

static void begin(Talk *talk, FuzzInput *input)
{
    static const char *const dialects[] = {"9P2000.L", "9P2000.L", "9P2000.u", "9P2000"};
    const char *dialect = dialects[fuzz_pick(input, G_N_ELEMENTS(dialects))];
    bool plain = strcmp(dialect, "9P2000") == 0;
    GByteArray *version = message_new(P9_TVERSION, 0, "ds", FUZZ_MSIZE, dialect);
    GByteArray *attach = message_new(P9_TATTACH, 1, plain ? "ddss" : "ddssd", 0, P9_NOFID, "0", "", 0);

    test_publish(talk->ts, 0, version->data, version->len);
    test_publish(talk->ts, 0, attach->data, attach->len);
    test_session_await_count(talk->ts, 2);
    talk->asked[0] = talk->asked[1] = 1;
    take_replies(talk);
    g_byte_array_unref(version);
    g_byte_array_unref(attach);
}

static void come_to_rest(Talk *talk)
{
    gint64 end = g_get_monotonic_time() + REST_SECONDS * G_USEC_PER_SEC;

    test_session_step(talk->ts);
    while (in_flight(talk)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        test_session_wait(talk->ts);
        test_session_step(talk->ts);
    }
    take_replies(talk);
    for (unsigned tag = 0; talk->counts && tag < N_TAGS; tag++)
        g_assert_cmpuint(talk->answered[tag], ==, talk->asked[tag]);
}

/* Returns whether the session is at rest: some conversations end in the middle of everything. */
static bool converse(Talk *talk, FuzzInput *input)
{
    g_autoptr(GByteArray) message = g_byte_array_new();

    begin(talk, input);
    for (unsigned i = 0; i < MAX_MESSAGES && input->left > 0; i++) {
        fuzz_message(input, message);
        publish(talk, input, message);
        if (fuzz_chance(input, 2))
            test_session_step(talk->ts);
        if (fuzz_chance(input, 4) && in_flight(talk))
            test_session_wait(talk->ts);
        take_replies(talk);
    }
    if (fuzz_chance(input, 16))
        return false;
    come_to_rest(talk);
    return true;
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    FuzzInput input = {bytes, size};
    Talk talk = {.counts = true};
    Stage own = {0};
    Stage *stage;
    bool rests;

    prepare_scratch();
    stage = choose_stage(&input, &own);
    talk.ts = stage->ts;
    rests = converse(&talk, &input);
    if (!stage->kept || !rests)
        end_stage(stage);
    check_outside();
}
