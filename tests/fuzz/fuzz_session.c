/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: a session over a directory of this host. An input is a conversation on two channels: any
 * messages, several in flight, with flushes and new Tversions among them.
 *
 * What must hold: each request gets at most one reply, and exactly one where nothing was flushed and no
 * conversation begun anew; no reply is larger than msize; the session comes to rest; nothing outside
 * the export is touched, whatever symbolic links lead there.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/local.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/client.h"

enum { N_TAGS = 12, N_CHANNELS = 2, FUZZ_MSIZE = 16384, MAX_MESSAGES = 200, REST_SECONDS = 60 };

typedef struct Scratch {
    char *base;
    char *export;
    char *outside;
} Scratch;

typedef struct Talk {
    TestSession *ts;
    unsigned asked[N_TAGS];
    unsigned answered[N_TAGS];
    bool in_flight[N_TAGS];
    bool counts; /* every request gets exactly one reply */
} Talk;

/* Something to find in the export, and ways out of it. Several fail when an earlier input has left a
 * thing in the way, which does not matter. */
static void fill(const Scratch *s)
{
    int dir;

    mkdir(s->export, 0755);
    dir = open(s->export, O_PATH | O_DIRECTORY);
    g_assert_cmpint(dir, >=, 0);
    mkdirat(dir, "dir", 0777);
    mkdirat(dir, "dir/sub", 0777);
    close(openat(dir, "file", O_CREAT | O_WRONLY, 0666));
    close(openat(dir, "dir/b", O_CREAT | O_WRONLY, 0666));
    if (symlinkat("../outside", dir, "away") != 0 || symlinkat(s->outside, dir, "outside") != 0 ||
        symlinkat("file", dir, "link") != 0 || mkfifoat(dir, "pipe", 0666) != 0)
        g_assert_cmpint(errno, ==, EEXIST);
    close(dir);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 64, FTW_DEPTH | FTW_PHYS);
}

static Scratch scratch;

static void remove_scratch(void)
{
    remove_tree(scratch.base);
}

/* Made once; the export anew for each input. */
static void prepare_scratch(void)
{
    g_autofree char *secret = NULL;

    if (scratch.base)
        return;
    scratch.base = g_strdup("/dev/shm/9p-fuzz-XXXXXX");
    g_assert_nonnull(g_mkdtemp(scratch.base));
    scratch.export = g_build_filename(scratch.base, "export", NULL);
    scratch.outside = g_build_filename(scratch.base, "outside", NULL);
    secret = g_build_filename(scratch.outside, "secret", NULL);
    g_assert_cmpint(mkdir(scratch.outside, 0755), ==, 0);
    g_assert_true(g_file_set_contents(secret, "secret", -1, NULL));
    atexit(remove_scratch);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
}

static void check_outside(const Scratch *s)
{
    g_autofree char *secret = g_build_filename(s->outside, "secret", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GDir) dir = g_dir_open(s->outside, 0, NULL);
    struct stat st;

    g_assert_true(g_file_get_contents(secret, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "secret");
    g_assert_cmpstr(g_dir_read_name(dir), ==, "secret");
    g_assert_null(g_dir_read_name(dir));
    g_assert_cmpint(stat(secret, &st), ==, 0);
    g_assert_cmpuint(st.st_nlink, ==, 1);
    g_assert_cmpuint(st.st_uid, ==, getuid());
}

/* Looks at every reply that is there. */
static void take_replies(Talk *talk)
{
    TestReply *reply;

    while ((reply = test_session_take_reply(talk->ts)) != NULL) {
        g_assert_cmpuint(reply->tag, <, N_TAGS);
        g_assert_cmpuint(reply->size, <=, FUZZ_MSIZE);
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
    test_publish(talk->ts, fuzz_pick(input, N_CHANNELS), message->data, message->len);
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

static bool at_rest(Talk *talk)
{
    test_session_step(talk->ts);
    return g_atomic_pointer_get(&test_session_session(talk->ts)->inflight_bytes) == 0;
}

static void come_to_rest(Talk *talk)
{
    gint64 end = g_get_monotonic_time() + REST_SECONDS * G_USEC_PER_SEC;

    while (!at_rest(talk)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        test_session_wait(talk->ts);
    }
    take_replies(talk);
    for (unsigned tag = 0; talk->counts && tag < N_TAGS; tag++)
        g_assert_cmpuint(talk->answered[tag], ==, talk->asked[tag]);
}

static void converse(Talk *talk, FuzzInput *input)
{
    g_autoptr(GByteArray) message = g_byte_array_new();

    begin(talk, input);
    for (unsigned i = 0; i < MAX_MESSAGES && input->left > 0; i++) {
        fuzz_message(input, message);
        publish(talk, input, message);
        if (fuzz_chance(input, 2))
            test_session_step(talk->ts);
        if (fuzz_chance(input, 4))
            test_session_wait(talk->ts);
        take_replies(talk);
    }
    if (!fuzz_chance(input, 8)) /* else it ends in the middle of everything */
        come_to_rest(talk);
}

static void choose_options(FuzzInput *input, ExportOptions *options)
{
    *options = export_default_options;
    options->model = (SecurityModel)fuzz_pick(input, 4);
    options->readonly = fuzz_chance(input, 8);
    if (fuzz_chance(input, 6)) {
        options->quota.max_files = 1 + fuzz_pick(input, 20);
        options->quota.max_space = 4096u * (1 + fuzz_pick(input, 20));
        options->quota.max_open_files = 1 + fuzz_pick(input, 5);
        options->quota.auto_delete = fuzz_chance(input, 2);
    }
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    FuzzInput input = {bytes, size};
    SessionLimits limits = session_default_limits;
    Talk talk = {.counts = true};
    ExportOptions options;
    const char *why;
    Fs *fs;

    prepare_scratch();
    fill(&scratch);
    choose_options(&input, &options);
    limits.max_lock_wait_msec = 5;
    g_assert_cmpint(local_fs_new(scratch.export, &options, &fs, &why), ==, 0);
    talk.ts = test_session_new_with_options(fs, &options, N_CHANNELS, FUZZ_MSIZE, &limits);
    converse(&talk, &input);
    test_session_free(talk.ts);
    local_fs_free(fs);
    check_outside(&scratch);
    remove_tree(scratch.export);
}
