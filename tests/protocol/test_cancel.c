/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tflush of requests that hang in real system calls, on a file system that blocks on demand. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/hung_share.h"

enum { TAG = 5, FLUSH_TAG = 6, AGAIN_TAG = 7, OTHER_TAG = 8 };

/* A message that makes an operation of the file system hang. */
typedef struct Case {
    const char *name;
    enum fuse_opcode opcode;
    GByteArray *(*message)(uint16_t tag);
    const char *reply;       /* to the message */
    const char *again;       /* to the same one, sent after the first was cancelled */
    bool completes;          /* an interruption makes it complete early, and not fail */
} Case;

static GByteArray *read_file(uint16_t tag)
{
    return message_new(P9_TREAD, tag, "dqd", HUNG_FILE, (uint64_t)0, 100u);
}

static GByteArray *write_file(uint16_t tag)
{
    return message_new(P9_TWRITE, tag, "dqD", HUNG_FILE, (uint64_t)0, 3u, "abc");
}

static GByteArray *open_file(uint16_t tag)
{
    return message_new(P9_TLOPEN, tag, "dd", HUNG_CLOSED_FILE, P9_L_RDWR);
}

static GByteArray *create(uint16_t tag)
{
    return message_new(P9_TLCREATE, tag, "dsddd", HUNG_DIRECTORY, "new", P9_L_RDWR | P9_L_EXCL,
                       0644u, 0u);
}

static GByteArray *fsync_file(uint16_t tag)
{
    return message_new(P9_TFSYNC, tag, "dd", HUNG_FILE, 0u);
}

static GByteArray *lock(uint16_t tag)
{
    return message_new(P9_TLOCK, tag, "dbdqqds", HUNG_FILE, P9_LOCK_WRITE, 0u, (uint64_t)0,
                       (uint64_t)0, 1u, "client");
}

static GByteArray *lock_and_wait(uint16_t tag)
{
    return message_new(P9_TLOCK, tag, "dbdqqds", HUNG_FILE, P9_LOCK_WRITE,
                       (unsigned)P9_LOCK_FLAGS_BLOCK, (uint64_t)0, (uint64_t)0, 1u, "client");
}

static GByteArray *get_lock(uint16_t tag)
{
    return message_new(P9_TGETLOCK, tag, "dbqqds", HUNG_FILE, P9_LOCK_WRITE, (uint64_t)0,
                       (uint64_t)0, 1u, "client");
}

static GByteArray *walk(uint16_t tag)
{
    return message_new(P9_TWALK, tag, "ddws", HUNG_ROOT, HUNG_FREE_FID, 1u, "file");
}

static GByteArray *walk_from_directory(uint16_t tag)
{
    return message_new(P9_TWALK, tag, "ddwss", HUNG_DIRECTORY, HUNG_DIRECTORY, 2u, "..", "file");
}

static GByteArray *list(uint16_t tag)
{
    return message_new(P9_TREADDIR, tag, "dqd", HUNG_OPEN_ROOT, (uint64_t)0, 1000u);
}

static GByteArray *get_attributes(uint16_t tag)
{
    return message_new(P9_TGETATTR, tag, "dq", HUNG_FILE, (uint64_t)0x7ff);
}

static GByteArray *set_attributes(uint16_t tag)
{
    return message_new(P9_TSETATTR, tag, "dddddqqqqq", HUNG_FILE, P9_SETATTR_MODE, 0600u, 0u, 0u,
                       (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
}

static GByteArray *truncate_file(uint16_t tag)
{
    return message_new(P9_TSETATTR, tag, "dddddqqqqq", HUNG_CLOSED_FILE, P9_SETATTR_SIZE, 0u, 0u,
                       0u, (uint64_t)10, (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
}

static GByteArray *read_link(uint16_t tag)
{
    return message_new(P9_TREADLINK, tag, "d", HUNG_LINK);
}

static GByteArray *get_statfs(uint16_t tag)
{
    return message_new(P9_TSTATFS, tag, "d", HUNG_ROOT);
}

static GByteArray *walk_xattr(uint16_t tag)
{
    return message_new(P9_TXATTRWALK, tag, "dds", HUNG_FILE, HUNG_FREE_FID, "user.a");
}

static GByteArray *list_xattrs(uint16_t tag)
{
    return message_new(P9_TXATTRWALK, tag, "dds", HUNG_FILE, HUNG_FREE_FID, "");
}

static GByteArray *clunk_xattr_fid(uint16_t tag)
{
    return message_new(P9_TCLUNK, tag, "d", HUNG_ATTRIBUTE);
}

static GByteArray *clunk_file(uint16_t tag)
{
    return message_new(P9_TCLUNK, tag, "d", HUNG_FILE);
}

static GByteArray *make_directory(uint16_t tag)
{
    return message_new(P9_TMKDIR, tag, "dsdd", HUNG_ROOT, "made", 0755u, 0u);
}

static GByteArray *unlink_file(uint16_t tag)
{
    return message_new(P9_TUNLINKAT, tag, "dsd", HUNG_ROOT, "file", 0u);
}

static GByteArray *rename_file(uint16_t tag)
{
    return message_new(P9_TRENAMEAT, tag, "dsds", HUNG_ROOT, "file", HUNG_ROOT, "renamed");
}

static GByteArray *remove_file(uint16_t tag)
{
    return message_new(P9_TREMOVE, tag, "d", HUNG_CLOSED_FILE);
}

static GByteArray *attach(uint16_t tag)
{
    return message_new(P9_TATTACH, tag, "ddssd", HUNG_FREE_FID, P9_NOFID, "root", "", 0u);
}

static const Case cases[] = {
    {"read", FUSE_READ, read_file, "Rread", "Rread", false},
    {"write", FUSE_WRITE, write_file, "Rwrite", "Rwrite", false},
    {"open", FUSE_OPEN, open_file, "Rlopen", "Rlopen", false},
    {"create", FUSE_CREATE, create, "Rlcreate", "Rlcreate", false},
    {"fsync", FUSE_FSYNC, fsync_file, "Rfsync", "Rfsync", false},
    {"lock", FUSE_SETLK, lock, "Rlock", "Rlock", false},
    {"lock-wait", FUSE_SETLK, lock_and_wait, "Rlock", "Rlock", false},
    {"lock-open", FUSE_OPEN, lock, "Rlock", "Rlock", false},
    {"getlock", FUSE_GETLK, get_lock, "Rgetlock", "Rgetlock", false},
    {"walk", FUSE_LOOKUP, walk, "Rwalk", "Rwalk", false},
    {"walk-moves", FUSE_LOOKUP, walk_from_directory, "Rwalk", "Rwalk", false},
    {"readdir", FUSE_READDIR, list, "Rreaddir", "Rreaddir", false},
    {"readdir-types", FUSE_LOOKUP, list, "Rreaddir", "Rreaddir", false},
    {"getattr", FUSE_GETATTR, get_attributes, "Rgetattr", "Rgetattr", false},
    {"setattr", FUSE_SETATTR, set_attributes, "Rsetattr", "Rsetattr", false},
    {"truncate", FUSE_OPEN, truncate_file, "Rsetattr", "Rsetattr", false},
    {"readlink", FUSE_READLINK, read_link, "Rreadlink", "Rreadlink", false},
    {"statfs", FUSE_STATFS, get_statfs, "Rstatfs", "Rstatfs", false},
    {"xattrwalk", FUSE_GETXATTR, walk_xattr, "Rxattrwalk", "Rxattrwalk", false},
    {"xattrlist", FUSE_LISTXATTR, list_xattrs, "Rxattrwalk", "Rxattrwalk", false},
    {"mkdir", FUSE_MKDIR, make_directory, "Rmkdir", "Rmkdir", false},
    {"unlinkat", FUSE_UNLINK, unlink_file, "Runlinkat", "Runlinkat", false},
    {"renameat", FUSE_RENAME, rename_file, "Rrenameat", "Rrenameat", false},
    {"attach", FUSE_GETATTR, attach, "Rattach", "Rattach", false},
    /* These take their fid away whatever becomes of them. */
    {"remove", FUSE_UNLINK, remove_file, "Rremove", "Rlerror(2)", false},
    {"clunk-xattr", FUSE_SETXATTR, clunk_xattr_fid, "Rclunk", "Rlerror(2)", false},
    {"clunk-file", FUSE_FLUSH, clunk_file, "Rclunk", "Rlerror(2)", true},
};

static void send_message(HungShare *h, const Case *c, uint16_t tag)
{
    g_autoptr(GByteArray) m = c->message(tag);

    test_publish(h->ts, 0, m->data, m->len);
    test_session_step(h->ts);
}

static void send_flush(HungShare *h, unsigned channel, uint16_t tag, uint16_t oldtag)
{
    client_send_on(h->ts, channel, tag, P9_TFLUSH, "w", oldtag);
    test_session_step(h->ts);
}

/* Sends a case's message; it hangs when this returns. */
static void hang(HungShare *h, const Case *c, BlockingMode mode)
{
    blocking_fs_hang(h->fuse, c->opcode, mode, 0);
    send_message(h, c, TAG);
    blocking_fs_await(h->fuse, c->opcode, 1);
}

static void expect_reply(HungShare *h, const char *reply, uint16_t tag)
{
    g_autofree char *transcript = g_strdup_printf("0:%s/%u", reply, tag);

    test_session_expect(h->ts, transcript);
}

/* The target ends with nothing but the Rflush; afterwards the fids are what they were, and the same
 * message does what it says. */
static void expect_cancelled(HungShare *h, const Case *c, unsigned channel)
{
    g_autofree char *transcript =
        c->completes ? g_strdup_printf("0:%s/%u %u:Rflush/%u", c->reply, TAG, channel, FLUSH_TAG)
                     : g_strdup_printf("%u:Rflush/%u", channel, FLUSH_TAG);

    send_flush(h, channel, FLUSH_TAG, TAG);
    test_session_expect(h->ts, transcript);
    blocking_fs_release(h->fuse, c->opcode, 0);
    test_session_expect(h->ts, "");
    send_message(h, c, AGAIN_TAG);
    expect_reply(h, c->again, AGAIN_TAG);
}

static void test_interrupted(gconstpointer data)
{
    const Case *c = data;

    for (unsigned channel = 0; channel < 2; channel++) {
        g_autoptr(HungShare) h = hung_share_new(NULL);

        if (!h)
            return;
        hang(h, c, BLOCKING_POLITE);
        expect_cancelled(h, c, channel);
    }
}

/* One in flight, cancelled, of that message. */
static void expect_in_list(HungShare *h, const Case *c)
{
    g_autoptr(GArray) requests = session_list_requests(test_session_session(h->ts));
    const RequestInfo *r = &g_array_index(requests, RequestInfo, 0);

    g_assert_cmpuint(requests->len, ==, 2); /* and the Tflush */
    g_assert_cmpuint(r->tag, ==, TAG);
    g_assert_cmpstr(r->op + 1, ==, c->reply + 1);
    g_assert_cmpint(r->state, ==, REQUEST_RUNNING);
    g_assert_true(r->cancelled);
    g_assert_cmpint(r->age_usec, >, 0);
}

/* The call does not end: the Rflush waits and other requests do not. It is answered at last. */
static void test_deaf(gconstpointer data)
{
    const Case *c = data;
    g_autofree char *transcript =
        g_strdup_printf("0:%s/%u 1:Rflush/%u", c->reply, TAG, FLUSH_TAG);
    g_autoptr(HungShare) h = hung_share_new(NULL);
    uint32_t type;
    uint64_t blocks;
    uint32_t name_max;

    if (!h)
        return;
    hang(h, c, BLOCKING_DEAF);
    send_flush(h, 1, FLUSH_TAG, TAG);
    while (blocking_fs_n_interrupted(h->fuse) == 0)
        test_session_wait(h->ts);
    expect_in_list(h, c);
    if (c->opcode != FUSE_STATFS)
        g_assert_cmpint(client_statfs(&h->client, HUNG_LINK, &type, &blocks, &name_max), ==, 0);
    test_session_expect(h->ts, "");
    blocking_fs_release(h->fuse, c->opcode, 0);
    test_session_expect(h->ts, transcript);
}

/* The operation fails by itself after the Tflush: that is an answer. */
static void test_fails_after_flush(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    hang(h, &cases[0], BLOCKING_DEAF);
    send_flush(h, 1, FLUSH_TAG, TAG);
    test_session_expect(h->ts, "");
    blocking_fs_release(h->fuse, FUSE_READ, EIO);
    test_session_expect(h->ts, "0:Rlerror(5)/5 1:Rflush/6");
}

/* The file system says EINTR and nobody has asked for it: what is repeated is the call. */
static void test_unasked_interruption(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    hang(h, &cases[0], BLOCKING_DEAF);
    blocking_fs_release(h->fuse, FUSE_READ, EINTR);
    test_session_expect(h->ts, "0:Rread/5");
}

/* After one piece was written the second hangs: what was written is answered. */
static void test_partial_write(void)
{
    static const char data[2 * BLOCKING_PIECE];
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_WRITE, BLOCKING_POLITE, 1);
    client_send(h->ts, TAG, P9_TWRITE, "dqD", HUNG_FILE, (uint64_t)0, (unsigned)sizeof(data), data);
    test_session_step(h->ts);
    blocking_fs_await(h->fuse, FUSE_WRITE, 1);
    send_flush(h, 0, FLUSH_TAG, TAG);
    test_session_await_count(h->ts, 1);
    g_autofree TestReply *reply = test_session_take_reply(h->ts);
    ByteReader r = byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
    g_assert_cmpuint(reply->type, ==, P9_TWRITE + 1);
    g_assert_cmpuint(reply->tag, ==, TAG);
    g_assert_cmpuint(read_u32(&r), ==, BLOCKING_PIECE);
    test_session_expect(h->ts, "0:Rflush/6");
}

/* After one piece was read the second hangs: fewer bytes would mean the end of the file. */
static void test_partial_read(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_READ, BLOCKING_POLITE, 1);
    client_send(h->ts, TAG, P9_TREAD, "dqd", HUNG_FILE, (uint64_t)0, 4u * BLOCKING_PIECE);
    test_session_step(h->ts);
    blocking_fs_await(h->fuse, FUSE_READ, 1);
    send_flush(h, 0, FLUSH_TAG, TAG);
    test_session_expect(h->ts, "0:Rflush/6");
}

/* And when nobody cancels it, an interrupted read is completed. */
static void test_partial_read_goes_on(void)
{
    enum { COUNT = 4 * BLOCKING_PIECE };
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_READ, BLOCKING_DEAF, 1);
    client_send(h->ts, TAG, P9_TREAD, "dqd", HUNG_FILE, (uint64_t)0, (unsigned)COUNT);
    test_session_step(h->ts);
    blocking_fs_await(h->fuse, FUSE_READ, 1);
    blocking_fs_release(h->fuse, FUSE_READ, EINTR);
    test_session_await_count(h->ts, 1);
    g_autofree TestReply *reply = test_session_take_reply(h->ts);
    g_assert_cmpuint(reply->type, ==, P9_TREAD + 1);
    g_assert_cmpuint(reply->size, ==, P9_RREAD_OVERHEAD + COUNT);
}

/* A Tsetattr of several steps: the first is done and stays, the second hangs and is cancelled. */
static void test_setattr_between_steps(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);
    ClientAttr attr;

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_SETATTR, BLOCKING_POLITE, 1);
    client_send(h->ts, TAG, P9_TSETATTR, "dddddqqqqq", HUNG_FILE,
                P9_SETATTR_MODE | P9_SETATTR_SIZE, 0600u, 0u, 0u, (uint64_t)10, (uint64_t)0,
                (uint64_t)0, (uint64_t)0, (uint64_t)0);
    test_session_step(h->ts);
    blocking_fs_await(h->fuse, FUSE_SETATTR, 1);
    send_flush(h, 0, FLUSH_TAG, TAG);
    test_session_expect(h->ts, "0:Rflush/6");
    g_assert_cmpint(client_getattr(&h->client, HUNG_FILE, &attr), ==, 0);
    g_assert_cmpuint(attr.mode & 07777, ==, 0600);
    g_assert_cmpuint(attr.size, ==, BLOCKING_FILE_SIZE);
}

/* The file is there, the fid is not open: as after a reply that was lost. */
static void test_create_between_steps(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_GETATTR, BLOCKING_NOT, 0);
    client_send(h->ts, TAG, P9_TLCREATE, "dsddd", HUNG_DIRECTORY, "new", P9_L_RDWR, 0644u, 0u);
    blocking_fs_hang(h->fuse, FUSE_GETATTR, BLOCKING_POLITE, 0);
    test_session_step(h->ts);
    blocking_fs_await(h->fuse, FUSE_GETATTR, 1);
    send_flush(h, 0, FLUSH_TAG, TAG);
    test_session_expect(h->ts, "0:Rflush/6");
    blocking_fs_release(h->fuse, FUSE_GETATTR, 0);
    g_assert_cmpuint(blocking_fs_n_done(h->fuse, FUSE_CREATE), ==, 1);
    g_assert_cmpint(client_walk(&h->client, HUNG_DIRECTORY, HUNG_FREE_FID, "new", NULL, NULL), ==,
                    0);
    g_assert_cmpint(client_open(&h->client, HUNG_DIRECTORY, P9_L_DIRECTORY), ==, 0);
}

/* Two Treaddirs of one fid: the second waits for the first one's hold of it, and can be cancelled. */
static void test_waits_for_another_request(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_READDIR, BLOCKING_DEAF, 0);
    client_send(h->ts, OTHER_TAG, P9_TREADDIR, "dqd", HUNG_OPEN_ROOT, (uint64_t)0, 1000u);
    test_session_step(h->ts);
    blocking_fs_await(h->fuse, FUSE_READDIR, 1);
    client_send(h->ts, TAG, P9_TREADDIR, "dqd", HUNG_OPEN_ROOT, (uint64_t)0, 1000u);
    test_session_expect(h->ts, "");
    send_flush(h, 0, FLUSH_TAG, TAG);
    test_session_expect(h->ts, "0:Rflush/6");
    blocking_fs_release(h->fuse, FUSE_READDIR, 0);
    expect_reply(h, "Rreaddir", OTHER_TAG);
}

/* Many at once, all cancelled while the others go on. */
static void test_many(void)
{
    enum { N = 12 };
    g_autoptr(HungShare) h = hung_share_new(NULL);
    g_autofree char *seen = NULL;

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_READ, BLOCKING_POLITE, 0);
    for (uint16_t i = 0; i < N; i++)
        client_send(h->ts, 100 + i, P9_TREAD, "dqd", HUNG_FILE, (uint64_t)0, 100u);
    test_session_step(h->ts);
    blocking_fs_await(h->fuse, FUSE_READ, N);
    for (uint16_t i = 0; i < N; i += 2)
        send_flush(h, i % 4 / 2, 200 + i, 100 + i);
    test_session_await_count(h->ts, N / 2);
    seen = test_session_transcript(h->ts);
    g_assert_null(strstr(seen, "Rread"));
    blocking_fs_release(h->fuse, FUSE_READ, 0);
    test_session_await_count(h->ts, N / 2);
    g_free(seen);
    seen = test_session_transcript(h->ts);
    g_assert_null(strstr(seen, "Rflush"));
    for (uint16_t i = 1; i < N; i += 2) {
        g_autofree char *reply = g_strdup_printf("0:Rread/%u", 100 + i);
        g_assert_nonnull(strstr(seen, reply));
    }
}

/* All threads hang where nothing can interrupt them: spare ones serve the others. */
static void test_threads_that_are_stuck(void)
{
    enum { THREADS = 2, SPARE = 3 };
    SessionLimits limits = session_default_limits;
    g_autoptr(HungShare) h = NULL;

    limits.device.max_threads = THREADS;
    limits.device.max_spare_threads = SPARE;
    h = hung_share_new(&limits);
    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_READ, BLOCKING_DEAF, 0);
    for (uint16_t i = 0; i < THREADS + SPARE - 1; i++) {
        client_send(h->ts, 100 + i, P9_TREAD, "dqd", HUNG_FILE, (uint64_t)0, 100u);
        test_session_step(h->ts);
        blocking_fs_await(h->fuse, FUSE_READ, i + 1u); /* on a spare one, later */
        send_flush(h, 1, 200 + i, 100 + i);
    }
    client_send(h->ts, OTHER_TAG, P9_TFSYNC, "dd", HUNG_FILE, 0u);
    expect_reply(h, "Rfsync", OTHER_TAG);
    blocking_fs_release(h->fuse, FUSE_READ, 0);
    test_session_await_count(h->ts, 2 * (THREADS + SPARE - 1));
}

/* The client gives up and uses both tags again (Linux 6.12): what hung is interrupted all the same,
 * and neither tag is answered for it. */
static void test_tags_used_again(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    hang(h, &cases[0], BLOCKING_DEAF);
    send_flush(h, 1, FLUSH_TAG, TAG);
    test_session_expect(h->ts, "");
    client_send_on(h->ts, 0, TAG, P9_TSTATFS, "d", HUNG_ROOT);
    test_session_expect(h->ts, "0:Rstatfs/5");
    client_send_on(h->ts, 1, FLUSH_TAG, P9_TSTATFS, "d", HUNG_ROOT);
    test_session_expect(h->ts, "1:Rstatfs/6");
    blocking_fs_release(h->fuse, FUSE_READ, 0);
    test_session_expect(h->ts, "");
}

static void test_reuse_interrupts(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    hang(h, &cases[0], BLOCKING_POLITE);
    client_send(h->ts, TAG, P9_TSTATFS, "d", HUNG_ROOT);
    test_session_expect(h->ts, "0:Rstatfs/5");
    while (blocking_fs_n_interrupted(h->fuse) == 0)
        test_session_wait(h->ts);
    blocking_fs_release(h->fuse, FUSE_READ, 0);
    test_session_expect(h->ts, "");
}

/* Tversion is answered at once, whatever hangs, and although files that hang must be closed. */
static void check_version(BlockingMode mode)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_FLUSH, mode, 0);
    hang(h, &cases[0], mode);
    send_flush(h, 1, FLUSH_TAG, TAG);
    client_send(h->ts, P9_NOTAG, P9_TVERSION, "ds", 8192u, "9P2000.L");
    test_session_await_count(h->ts, 1);
    g_autofree char *seen = test_session_transcript(h->ts);
    /* A polite one may have ended before the Tversion was taken. */
    g_assert_true(g_str_has_suffix(seen, "0:Rversion/65535"));
    g_assert_null(strstr(seen, "Rread"));
    test_session_expect(h->ts, "");
    blocking_fs_release(h->fuse, FUSE_READ, 0);
    blocking_fs_release(h->fuse, FUSE_FLUSH, 0);
    test_session_expect(h->ts, "");
}

static void test_version(void)
{
    check_version(BLOCKING_POLITE);
}

static void test_version_while_deaf(void)
{
    check_version(BLOCKING_DEAF);
}

/* The session's end interrupts what runs, and does not wait for it any longer. */
static void test_stop(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    blocking_fs_hang(h->fuse, FUSE_WRITE, BLOCKING_POLITE, 0);
    hang(h, &cases[0], BLOCKING_POLITE);
    send_message(h, &cases[1], AGAIN_TAG);
    send_flush(h, 1, FLUSH_TAG, TAG);
}

/* A client that sends a Tflush for any signal, as Linux did before 4.15, and then the request again:
 * it never sees an EINTR. */
static void test_restarting_client(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    for (unsigned i = 0; i < 20; i++) {
        const Case *c = &cases[i % 2];

        hang(h, c, BLOCKING_POLITE);
        if (i % 3 == 0)
            g_usleep(1000);
        send_flush(h, i % 2, FLUSH_TAG, TAG);
        test_session_expect(h->ts, i % 2 ? "1:Rflush/6" : "0:Rflush/6");
        blocking_fs_release(h->fuse, c->opcode, 0);
        send_message(h, c, TAG);
        expect_reply(h, c->reply, TAG);
    }
}

/* As before, with the Tflush at any time around the call: whatever comes first, no EINTR is seen. */
static void test_restarting_client_at_any_time(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);

    if (!h)
        return;
    for (unsigned i = 0; i < 300; i++) {
        g_autofree char *seen = NULL;

        client_send(h->ts, TAG, P9_TREAD, "dqd", HUNG_FILE, (uint64_t)0, 16u * BLOCKING_PIECE);
        test_session_step(h->ts);
        g_usleep((gulong)g_test_rand_int_range(0, 2000));
        send_flush(h, 1, FLUSH_TAG, TAG);
        while (!seen || !strstr(seen, "Rflush")) {
            g_autofree char *more = NULL;
            char *all;

            test_session_wait(h->ts);
            test_session_step(h->ts);
            more = test_session_transcript(h->ts);
            all = g_strdup_printf("%s%s", seen ? seen : "", more);
            g_free(seen);
            seen = all;
        }
        g_assert_true(g_str_equal(seen, "1:Rflush/6") ||
                      g_str_equal(seen, "0:Rread/5 1:Rflush/6") ||
                      g_str_equal(seen, "0:Rread/51:Rflush/6"));
    }
}

/* Signals from anywhere hit threads in every call; no request notices. */
static gpointer send_signals(gpointer stop)
{
    while (!g_atomic_int_get((gint *)stop)) {
        kill(getpid(), SIGURG);
        g_usleep(50);
    }
    return NULL;
}

static void work_through(Client *c, unsigned i)
{
    enum { COUNT = 4 * BLOCKING_PIECE };
    static uint8_t data[COUNT];
    g_autofree char *name = g_strdup_printf("new%u", i);
    ClientAttr attr;

    g_assert_cmpint(client_read(c, HUNG_FILE, 0, COUNT, data), ==, COUNT);
    g_assert_cmpuint(data[COUNT - 1], ==, (COUNT - 1) % 251);
    g_assert_cmpint(client_write(c, HUNG_FILE, 0, data, COUNT), ==, COUNT);
    g_assert_cmpint(client_getattr(c, HUNG_FILE, &attr), ==, 0);
    g_assert_cmpint(client_walk(c, HUNG_DIRECTORY, HUNG_FREE_FID, "", NULL, NULL), ==, 0);
    g_assert_cmpint(
        client_create(c, HUNG_FREE_FID, name, P9_L_RDWR | P9_L_EXCL, 0644, 0), ==, 0);
    g_assert_cmpint(client_fsync(c, HUNG_FREE_FID, false), ==, 0);
    g_assert_cmpint(client_clunk(c, HUNG_FREE_FID), ==, 0);
    g_array_free(client_list(c, HUNG_OPEN_ROOT, 1000), TRUE);
    g_assert_cmpint(client_unlinkat(c, HUNG_DIRECTORY, name, 0), ==, 0);
}

static void test_signals_of_others(void)
{
    g_autoptr(HungShare) h = hung_share_new(NULL);
    gint stop = false;
    GThread *sender;

    if (!h)
        return;
    sender = g_thread_new("signals", send_signals, &stop);
    for (unsigned i = 0; i < 50; i++)
        work_through(&h->client, i);
    g_atomic_int_set(&stop, true);
    g_thread_join(sender);
}

static void add_cases(const char *group, GTestDataFunc test)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/cancel/%s/%s", group, cases[i].name);
        g_test_add_data_func(path, &cases[i], test);
    }
}

int main(int argc, char **argv)
{
    blocking_fs_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    add_cases("interrupted", test_interrupted);
    add_cases("deaf", test_deaf);
    g_test_add_func("/cancel/fails-after-flush", test_fails_after_flush);
    g_test_add_func("/cancel/unasked", test_unasked_interruption);
    g_test_add_func("/cancel/partial-write", test_partial_write);
    g_test_add_func("/cancel/partial-read", test_partial_read);
    g_test_add_func("/cancel/partial-read-goes-on", test_partial_read_goes_on);
    g_test_add_func("/cancel/setattr-between-steps", test_setattr_between_steps);
    g_test_add_func("/cancel/create-between-steps", test_create_between_steps);
    g_test_add_func("/cancel/waits-for-another", test_waits_for_another_request);
    g_test_add_func("/cancel/many", test_many);
    g_test_add_func("/cancel/stuck-threads", test_threads_that_are_stuck);
    g_test_add_func("/cancel/tags-used-again", test_tags_used_again);
    g_test_add_func("/cancel/reuse-interrupts", test_reuse_interrupts);
    g_test_add_func("/cancel/signals-of-others", test_signals_of_others);
    g_test_add_func("/cancel/version", test_version);
    g_test_add_func("/cancel/version-while-deaf", test_version_while_deaf);
    g_test_add_func("/cancel/stop", test_stop);
    g_test_add_func("/cancel/restarting-client", test_restarting_client);
    g_test_add_func("/cancel/restarting-client-any-time", test_restarting_client_at_any_time);
    return g_test_run();
}
