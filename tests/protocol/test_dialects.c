/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every message in every dialect, once: it is answered and does what it says, or the dialect does not
 * have it and it is refused. docs/messages.md tells where each message is tested in depth.
 *
 * 9P2000.L and 9P2000.u have all messages, 9P2000 has only its own. Tauth is refused everywhere.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/unix_client.h"

enum { FILE_FID = 1, OPEN_FID = 2, FOLDER_FID = 3, LIST_FID = 4, NEW_FID = 5 };

static const struct {
    Dialect dialect;
    const char *name;
} dialects[] = {
    {DIALECT_9P2000_L, "9P2000.L"},
    {DIALECT_9P2000_U, "9P2000.u"},
    {DIALECT_9P2000, "9P2000"},
};

/* A session in one dialect. In the export there are the file "file" with "content", the folder
 * "folder" and the symbolic link "link"; the fids above stand for the file, the file open for
 * reading and writing, the folder, and the folder open for reading. */
typedef struct Talk {
    Share *share;
    unsigned number; /* of the dialect */
    Client client;
    TestReply *reply; /* the last, until the next; NULL after an error */
} Talk;

static int call_va(Talk *t, uint8_t type, const char *format, va_list args)
{
    g_clear_pointer(&t->reply, g_free);
    return client_call_va(&t->client, &t->reply, type, format, args);
}

static void must(Talk *t, uint8_t type, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_assert_cmpint(call_va(t, type, format, args), ==, 0);
    va_end(args);
}

/* Sends a message that succeeds, and returns true; or, when the dialect does not have it, checks
 * that it is refused, and returns false. */
static bool answered(Talk *t, uint8_t type, const char *format, ...)
{
    bool has = type >= P9_TVERSION || t->client.dialect != DIALECT_9P2000;
    va_list args;

    va_start(args, format);
    g_assert_cmpint(call_va(t, type, format, args), ==, has ? 0 : -EOPNOTSUPP);
    va_end(args);
    return has;
}

static void attach(Talk *t, uint32_t fid)
{
    if (t->client.dialect == DIALECT_9P2000)
        must(t, P9_TATTACH, "ddss", fid, P9_NOFID, "", "");
    else
        must(t, P9_TATTACH, "ddssd", fid, P9_NOFID, "", "", 0);
}

static void open_fid(Talk *t, uint32_t fid, unsigned access)
{
    if (t->client.dialect == DIALECT_9P2000_L)
        must(t, P9_TLOPEN, "dd", fid, access);
    else
        must(t, P9_TOPEN, "db", fid, access);
}

static void empty_export(const Share *s)
{
    g_autofree char *command = g_strdup_printf("rm -rf -- '%s'/*", s->export);

    g_assert_cmpint(system(command), ==, 0);
}

static void start(Talk *t)
{
    g_autofree char *folder = share_path(t->share, "folder");
    g_autofree char *link = share_path(t->share, "link");

    t->client.dialect = dialects[t->number].dialect;
    empty_export(t->share);
    share_put(t->share, "file", "content");
    g_assert_no_errno(mkdir(folder, 0755));
    g_assert_no_errno(symlink("file", link));
    must(t, P9_TVERSION, "ds", 8192, dialects[t->number].name);
    attach(t, SHARE_ROOT);
    must(t, P9_TWALK, "ddws", SHARE_ROOT, FILE_FID, 1, "file");
    must(t, P9_TWALK, "ddws", SHARE_ROOT, OPEN_FID, 1, "file");
    must(t, P9_TWALK, "ddws", SHARE_ROOT, FOLDER_FID, 1, "folder");
    must(t, P9_TWALK, "ddws", SHARE_ROOT, LIST_FID, 1, "folder");
    open_fid(t, OPEN_FID, 2);
    open_fid(t, LIST_FID, 0);
}

static Talk first_talk(Share *s)
{
    return (Talk){.share = s, .client = s->client};
}

/* Begins a session in the dialect that is due; returns false after the last one. */
static bool begin(Talk *t)
{
    if (t->number == G_N_ELEMENTS(dialects)) {
        g_clear_pointer(&t->reply, g_free);
        return false;
    }
    start(t);
    return true;
}

static bool has_type(const Share *s, const char *name, mode_t type)
{
    struct stat st;

    return share_stat(s, name, &st) && (st.st_mode & S_IFMT) == type;
}

static bool exists(const Share *s, const char *name)
{
    struct stat st;

    return share_stat(s, name, &st);
}

static bool content_is(const Share *s, const char *name, const char *content)
{
    g_autofree char *text = share_get(s, name);

    return g_strcmp0(text, content) == 0;
}

/* Whether `bytes` of the reply's body, from `at` on, are `text`. */
static bool body_has(const Talk *t, size_t at, const char *text)
{
    size_t start = P9_HEADER_SIZE + at;

    return t->reply->size >= start + strlen(text) &&
           memcmp(t->reply->bytes + start, text, strlen(text)) == 0;
}

/*
 * What all dialects have
 */

static void test_version(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        answered(&t, P9_TVERSION, "ds", 8192, dialects[t.number].name);
        g_assert_true(body_has(&t, 6, dialects[t.number].name));
    }
}

static void test_auth(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        Client *c = &t.client;
        int error = c->dialect == DIALECT_9P2000
                        ? client_call(c, NULL, P9_TAUTH, "dss", NEW_FID, "user", "")
                        : client_call(c, NULL, P9_TAUTH, "dssd", NEW_FID, "user", "", 0);

        g_assert_cmpint(error, ==, -EOPNOTSUPP);
    }
}

static void test_attach(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        attach(&t, NEW_FID);
        g_assert_cmpuint(t.reply->bytes[P9_HEADER_SIZE], ==, P9_QTDIR);
        must(&t, P9_TWALK, "ddws", NEW_FID, NEW_FID, 1, "file");
    }
}

static void test_flush(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++)
        answered(&t, P9_TFLUSH, "w", 99);
}

static void test_walk(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        answered(&t, P9_TWALK, "ddwss", FOLDER_FID, NEW_FID, 2, "..", "file");
        g_assert_cmpuint(t.reply->size, ==, P9_HEADER_SIZE + 2 + 2 * P9_QID_SIZE);
    }
}

/* 9P2000.L sessions have this message too. */
static void test_open(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        answered(&t, P9_TOPEN, "db", FILE_FID, P9_ORDWR | P9_OTRUNC);
        g_assert_true(content_is(s, "file", ""));
        must(&t, P9_TWRITE, "dqD", FILE_FID, (uint64_t)0, 3u, "new");
        g_assert_true(content_is(s, "file", "new"));
    }
}

static void test_create(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (t.client.dialect == DIALECT_9P2000)
            answered(&t, P9_TCREATE, "dsdb", FOLDER_FID, "new", 0644, P9_OWRITE);
        else
            answered(&t, P9_TCREATE, "dsdbs", FOLDER_FID, "new", 0644, P9_OWRITE, "");
        must(&t, P9_TWRITE, "dqD", FOLDER_FID, (uint64_t)0, 4u, "text");
        g_assert_true(content_is(s, "folder/new", "text"));
    }
}

static void test_read(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        answered(&t, P9_TREAD, "dqd", OPEN_FID, (uint64_t)3, 100);
        g_assert_true(body_has(&t, 0, "\4"));
        g_assert_true(body_has(&t, 4, "tent"));
    }
}

static void test_write(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        answered(&t, P9_TWRITE, "dqD", OPEN_FID, (uint64_t)3, 2u, "XY");
        g_assert_true(content_is(s, "file", "conXYnt"));
    }
}

static void test_clunk(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        answered(&t, P9_TCLUNK, "d", FILE_FID);
        must(&t, P9_TWALK, "ddw", SHARE_ROOT, FILE_FID, 0);
    }
}

static void test_remove(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        answered(&t, P9_TREMOVE, "d", FILE_FID);
        g_assert_false(exists(s, "file"));
        must(&t, P9_TWALK, "ddw", SHARE_ROOT, FILE_FID, 0);
    }
}

static void test_stat(Share *s, gconstpointer unused)
{
    enum { NAME_AT = 2 + 2 + 2 + 4 + P9_QID_SIZE + 4 + 4 + 4 + 8 + 2 };

    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        answered(&t, P9_TSTAT, "d", FILE_FID);
        g_assert_true(body_has(&t, NAME_AT, "file"));
    }
}

static void test_wstat(Share *s, gconstpointer unused)
{
    const uint64_t keep = UINT64_MAX, size = 3;
    const uint32_t all = UINT32_MAX;

    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (t.client.dialect == DIALECT_9P2000)
            answered(&t, P9_TWSTAT, "dwwwdbdqdddqssss", FILE_FID, 53, 51, 0xffff, all, 0xff, all,
                     keep, all, all, all, size, "long", "", "", "");
        else
            answered(&t, P9_TWSTAT, "dwwwdbdqdddqsssssddd", FILE_FID, 67, 65, 0xffff, all, 0xff,
                     all, keep, all, all, all, size, "long", "", "", "", "", all, all, all);
        g_assert_true(content_is(s, "long", "con"));
        g_assert_false(exists(s, "file"));
    }
}

/*
 * What 9P2000 does not have
 */

static void test_statfs(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (answered(&t, P9_TSTATFS, "d", FILE_FID))
            g_assert_cmpuint(t.reply->size, ==, P9_HEADER_SIZE + 4 + 4 + 6 * 8 + 4);
    }
}

static void test_lopen(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (answered(&t, P9_TLOPEN, "dd", FILE_FID, P9_L_RDWR | P9_L_TRUNC))
            g_assert_true(content_is(s, "file", ""));
    }
}

static void test_lcreate(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TLCREATE, "dsddd", FOLDER_FID, "new", P9_L_RDWR, 0640, 0);

        g_assert_cmpint(has_type(s, "folder/new", S_IFREG), ==, has);
    }
}

static void test_symlink(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TSYMLINK, "dssd", FOLDER_FID, "new", "target", 0);

        g_assert_cmpint(has_type(s, "folder/new", S_IFLNK), ==, has);
    }
}

static void test_mknod(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TMKNOD, "dsdddd", FOLDER_FID, "new", S_IFIFO | 0644, 0, 0, 0);

        g_assert_cmpint(has_type(s, "folder/new", S_IFIFO), ==, has);
    }
}

static void test_rename(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TRENAME, "dds", FILE_FID, FOLDER_FID, "new");

        g_assert_cmpint(has_type(s, "folder/new", S_IFREG), ==, has);
        g_assert_cmpint(exists(s, "file"), ==, !has);
    }
}

static void test_readlink(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        must(&t, P9_TWALK, "ddws", SHARE_ROOT, NEW_FID, 1, "link");
        if (answered(&t, P9_TREADLINK, "d", NEW_FID))
            g_assert_true(body_has(&t, 2, "file"));
    }
}

static void test_getattr(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (answered(&t, P9_TGETATTR, "dq", FILE_FID, (uint64_t)P9_GETATTR_BASIC))
            g_assert_cmpuint(t.reply->size, ==, P9_HEADER_SIZE + 8 + P9_QID_SIZE + 3 * 4 + 15 * 8);
    }
}

static void test_setattr(Share *s, gconstpointer unused)
{
    const uint64_t none = 0, size = 3;

    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TSETATTR, "dddddqqqqq", FILE_FID, P9_SETATTR_SIZE, 0, 0, 0, size,
                            none, none, none, none);

        g_assert_true(content_is(s, "file", has ? "con" : "content"));
    }
}

/* A value is written by one and read by the other. */
static void test_xattrcreate(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        must(&t, P9_TWALK, "ddw", FILE_FID, NEW_FID, 0);
        if (!answered(&t, P9_TXATTRCREATE, "dsqd", NEW_FID, "user.test", (uint64_t)5, 0))
            continue;
        must(&t, P9_TWRITE, "dqD", NEW_FID, (uint64_t)0, 5u, "value");
        must(&t, P9_TCLUNK, "d", NEW_FID);
        must(&t, P9_TXATTRWALK, "dds", FILE_FID, NEW_FID, "user.test");
        must(&t, P9_TREAD, "dqd", NEW_FID, (uint64_t)0, 100);
        g_assert_true(body_has(&t, 4, "value"));
    }
}

static void test_xattrwalk(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (answered(&t, P9_TXATTRWALK, "dds", FILE_FID, NEW_FID, ""))
            must(&t, P9_TREAD, "dqd", NEW_FID, (uint64_t)0, 100);
    }
}

static void test_readdir(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (answered(&t, P9_TREADDIR, "dqd", LIST_FID, (uint64_t)0, 1000))
            g_assert_cmpuint(t.reply->size, ==, P9_RREAD_OVERHEAD + 2 * P9_DIRENT_OVERHEAD + 3);
    }
}

static void test_fsync(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++)
        answered(&t, P9_TFSYNC, "dd", OPEN_FID, 0);
}

static void test_lock(Share *s, gconstpointer unused)
{
    const uint64_t none = 0;

    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (answered(&t, P9_TLOCK, "dbdqqds", OPEN_FID, P9_LOCK_WRITE, 0, none, none, 1, "client"))
            g_assert_cmpuint(t.reply->bytes[P9_HEADER_SIZE], ==, P9_LOCK_SUCCESS);
    }
}

/* The one process's lock is in the other's way. */
static void test_getlock(Share *s, gconstpointer unused)
{
    const uint64_t none = 0;

    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        if (t.client.dialect != DIALECT_9P2000)
            must(&t, P9_TLOCK, "dbdqqds", OPEN_FID, P9_LOCK_WRITE, 0, none, none, 1, "client");
        if (answered(&t, P9_TGETLOCK, "dbqqds", OPEN_FID, P9_LOCK_READ, none, none, 2, "client"))
            g_assert_cmpuint(t.reply->bytes[P9_HEADER_SIZE], ==, P9_LOCK_WRITE);
    }
}

static void test_link(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TLINK, "dds", FOLDER_FID, FILE_FID, "new");

        g_assert_cmpint(content_is(s, "folder/new", "content"), ==, has);
        g_assert_true(exists(s, "file"));
    }
}

static void test_mkdir(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TMKDIR, "dsdd", FOLDER_FID, "new", 0755, 0);

        g_assert_cmpint(has_type(s, "folder/new", S_IFDIR), ==, has);
    }
}

static void test_renameat(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TRENAMEAT, "dsds", SHARE_ROOT, "file", FOLDER_FID, "new");

        g_assert_cmpint(exists(s, "folder/new"), ==, has);
        g_assert_cmpint(exists(s, "file"), ==, !has);
    }
}

static void test_unlinkat(Share *s, gconstpointer unused)
{
    (void)unused;
    for (Talk t = first_talk(s); begin(&t); t.number++) {
        bool has = answered(&t, P9_TUNLINKAT, "dsd", SHARE_ROOT, "folder", P9_UNLINK_REMOVEDIR);

        g_assert_cmpint(exists(s, "folder"), ==, !has);
    }
}

#define ADD(message, test) share_add_test_on("/dialects/" message, "memory", test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("Tversion", test_version);
    ADD("Tauth", test_auth);
    ADD("Tattach", test_attach);
    ADD("Tflush", test_flush);
    ADD("Twalk", test_walk);
    ADD("Topen", test_open);
    ADD("Tcreate", test_create);
    ADD("Tread", test_read);
    ADD("Twrite", test_write);
    ADD("Tclunk", test_clunk);
    ADD("Tremove", test_remove);
    ADD("Tstat", test_stat);
    ADD("Twstat", test_wstat);
    ADD("Tstatfs", test_statfs);
    ADD("Tlopen", test_lopen);
    ADD("Tlcreate", test_lcreate);
    ADD("Tsymlink", test_symlink);
    ADD("Tmknod", test_mknod);
    ADD("Trename", test_rename);
    ADD("Treadlink", test_readlink);
    ADD("Tgetattr", test_getattr);
    ADD("Tsetattr", test_setattr);
    /* tmpfs has user.* only since Linux 6.6 */
    share_add_test_on("/dialects/Txattrwalk", "disk", test_xattrwalk);
    share_add_test_on("/dialects/Txattrcreate", "disk", test_xattrcreate);
    ADD("Treaddir", test_readdir);
    ADD("Tfsync", test_fsync);
    ADD("Tlock", test_lock);
    ADD("Tgetlock", test_getlock);
    ADD("Tlink", test_link);
    ADD("Tmkdir", test_mkdir);
    ADD("Trenameat", test_renameat);
    ADD("Tunlinkat", test_unlinkat);
    return g_test_run();
}
