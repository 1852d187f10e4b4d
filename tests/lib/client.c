/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client: see client.h. */
#include "tests/lib/client.h"

#include <errno.h>
#include <string.h>

enum { PATIENCE_MS = 20 * 1000 };

/*
 * Messages
 */

static void append_integer(GByteArray *m, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        guint8 byte = (guint8)(value >> (8 * i));
        g_byte_array_append(m, &byte, 1);
    }
}

static void append_string(GByteArray *m, const char *string)
{
    append_integer(m, strlen(string), 2);
    g_byte_array_append(m, (const guint8 *)string, (guint)strlen(string));
}

static void append_field(GByteArray *m, char kind, va_list *args)
{
    unsigned count;

    switch (kind) {
    case 'b':
        append_integer(m, va_arg(*args, unsigned), 1);
        break;
    case 'w':
        append_integer(m, va_arg(*args, unsigned), 2);
        break;
    case 'd':
        append_integer(m, va_arg(*args, unsigned), 4);
        break;
    case 'q':
        append_integer(m, va_arg(*args, uint64_t), 8);
        break;
    case 's':
        append_string(m, va_arg(*args, const char *));
        break;
    case 'D':
        count = va_arg(*args, unsigned);
        append_integer(m, count, 4);
        g_byte_array_append(m, va_arg(*args, const guint8 *), count);
        break;
    default:
        g_assert_not_reached();
    }
}

GByteArray *message_new_va(uint8_t type, uint16_t tag, const char *format, va_list args)
{
    GByteArray *m = g_byte_array_new();
    va_list fields;

    append_integer(m, 0, P9_HEADER_SIZE);
    va_copy(fields, args);
    for (const char *kind = format; *kind; kind++)
        append_field(m, *kind, &fields);
    va_end(fields);
    write_header(m->data, m->len, type, tag);
    return m;
}

GByteArray *message_new(uint8_t type, uint16_t tag, const char *format, ...)
{
    va_list args;
    GByteArray *m;

    va_start(args, format);
    m = message_new_va(type, tag, format, args);
    va_end(args);
    return m;
}

static void publish(TestSession *ts, unsigned channel, GByteArray *m)
{
    test_publish(ts, channel, m->data, m->len);
    g_byte_array_free(m, TRUE);
}

void client_send(TestSession *ts, uint16_t tag, uint8_t type, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    publish(ts, 0, message_new_va(type, tag, format, args));
    va_end(args);
}

void client_send_on(TestSession *ts, unsigned channel, uint16_t tag, uint8_t type,
                    const char *format, ...)
{
    va_list args;

    va_start(args, format);
    publish(ts, channel, message_new_va(type, tag, format, args));
    va_end(args);
}

static ByteReader body(TestReply *reply)
{
    return byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
}

static void assert_complete(const ByteReader *r)
{
    g_assert_false(r->failed);
    g_assert_cmpuint(r->left, ==, 0);
}

static Qid get_qid(ByteReader *r)
{
    Qid qid;

    qid.type = read_u8(r);
    qid.version = read_u32(r);
    qid.path = read_u64(r);
    return qid;
}

static void get_string(ByteReader *r, char *string, size_t size)
{
    uint16_t length = read_u16(r);
    const uint8_t *bytes = read_bytes(r, length);

    g_assert_nonnull(bytes);
    g_assert_cmpuint(length, <, size);
    memcpy(string, bytes, length);
    string[length] = '\0';
}

/* The number of the error that the C library describes so. */
static int error_of_text(const char *text)
{
    for (int error = 1; error < 200; error++) {
        const char *description = strerrordesc_np(error);
        if (description && strcmp(description, text) == 0)
            return error;
    }
    g_error("no errno is described as \"%s\"", text);
}

static bool is_error(const Client *c, const TestReply *reply)
{
    bool numbers_only = c->dialect == DIALECT_NONE || c->dialect == DIALECT_9P2000_L;

    return reply->type == (numbers_only ? P9_RLERROR : P9_RERROR);
}

/* 9P2000.L tells a number, 9P2000 a text, 9P2000.u both. */
static int take_error(const Client *c, TestReply *reply)
{
    char text[P9_ENAME_MAX + 1];
    ByteReader r = body(reply);
    int described = 0, number = 0;

    if (reply->type == P9_RERROR) {
        get_string(&r, text, sizeof(text));
        described = error_of_text(text);
    }
    if (c->dialect == DIALECT_9P2000)
        number = described;
    else
        number = (int)read_u32(&r);
    assert_complete(&r);
    g_assert_cmpint(number, >, 0);
    g_assert_true(described == 0 || described == number);
    return -number;
}

/* Waits for the reply to the message of type `type` that was just published. */
static int await_reply(Client *c, uint8_t type, TestReply **reply)
{
    g_autofree TestReply *got = test_session_await(c->ts, c->channel, c->tag, PATIENCE_MS);

    g_assert_nonnull(got);
    if (is_error(c, got))
        return take_error(c, got);
    g_assert_cmpuint(got->type, ==, type + 1u);
    if (reply)
        *reply = g_steal_pointer(&got);
    return 0;
}

int client_call_va(Client *c, TestReply **reply, uint8_t type, const char *format, va_list args)
{
    publish(c->ts, c->channel, message_new_va(type, c->tag, format, args));
    return await_reply(c, type, reply);
}

int client_call(Client *c, TestReply **reply, uint8_t type, const char *format, ...)
{
    va_list args;
    int error;

    va_start(args, format);
    error = client_call_va(c, reply, type, format, args);
    va_end(args);
    return error;
}

/* Ends a call whose reply is a qid. */
static int finish_qid(int error, TestReply *reply, Qid *qid)
{
    g_autofree TestReply *owned = error ? NULL : reply;
    ByteReader r;
    Qid got;

    if (error)
        return error;
    r = body(owned);
    got = get_qid(&r);
    assert_complete(&r);
    if (qid)
        *qid = got;
    return 0;
}

/* Ends a call whose reply has no body. */
static int finish_empty(int error, TestReply *reply)
{
    if (error)
        return error;
    g_assert_cmpuint(reply->size, ==, P9_HEADER_SIZE);
    g_free(reply);
    return 0;
}

/*
 * Calls
 */

int client_version(Client *c, uint32_t msize, const char *version, uint32_t *msize_got,
                   char version_got[32])
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TVERSION, "ds", msize, version);
    ByteReader r;

    if (error)
        return error;
    r = body(reply);
    *msize_got = read_u32(&r);
    get_string(&r, version_got, 32);
    assert_complete(&r);
    return 0;
}

int client_attach(Client *c, uint32_t fid, uint32_t uid, Qid *qid)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TATTACH, "ddssd", fid, P9_NOFID, "nobody", "", uid);

    return finish_qid(error, reply, qid);
}

void client_start(Client *c, uint32_t msize, uint32_t fid, uint32_t uid)
{
    char version[32];
    uint32_t got;

    g_assert_cmpint(client_version(c, msize, "9P2000.L", &got, version), ==, 0);
    g_assert_cmpstr(version, ==, "9P2000.L");
    g_assert_cmpint(client_attach(c, fid, uid, NULL), ==, 0);
}

static GByteArray *build_walk(uint16_t tag, uint32_t fid, uint32_t newfid, const char *path,
                              unsigned *n_names)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1); /* "" has none */
    GByteArray *m;

    *n_names = g_strv_length(names);
    m = message_new(P9_TWALK, tag, "ddw", fid, newfid, *n_names);
    for (unsigned i = 0; names[i]; i++)
        append_string(m, names[i]);
    write_header(m->data, m->len, P9_TWALK, tag);
    return m;
}

int client_walk(Client *c, uint32_t fid, uint32_t newfid, const char *path, Qid qids[16],
                unsigned *n)
{
    g_autofree TestReply *reply = NULL;
    unsigned n_names, n_got;
    ByteReader r;
    Qid unused;
    int error;

    publish(c->ts, c->channel, build_walk(c->tag, fid, newfid, path, &n_names));
    error = await_reply(c, P9_TWALK, &reply);
    if (error)
        return error;
    r = body(reply);
    n_got = read_u16(&r);
    g_assert_cmpuint(n_got, <=, n_names);
    for (unsigned i = 0; i < n_got; i++)
        *(qids ? &qids[i] : &unused) = get_qid(&r);
    assert_complete(&r);
    if (n)
        *n = n_got;
    return n || n_got == n_names ? 0 : -ENOENT;
}

int client_open(Client *c, uint32_t fid, uint32_t flags)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TLOPEN, "dd", fid, flags);

    if (!error)
        g_assert_cmpuint(reply->size, ==, P9_HEADER_SIZE + P9_QID_SIZE + 4);
    return error;
}

int client_create(Client *c, uint32_t fid, const char *name, uint32_t flags, uint32_t mode,
                  uint32_t gid)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TLCREATE, "dsddd", fid, name, flags, mode, gid);

    if (!error)
        g_assert_cmpuint(reply->size, ==, P9_HEADER_SIZE + P9_QID_SIZE + 4);
    return error;
}

ssize_t client_read(Client *c, uint32_t fid, uint64_t offset, uint32_t count, void *data)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TREAD, "dqd", fid, offset, count);
    ByteReader r;
    uint32_t got;

    if (error)
        return error;
    r = body(reply);
    got = read_u32(&r);
    g_assert_cmpuint(got, <=, count);
    g_assert_cmpuint(got, ==, r.left);
    if (data && got > 0)
        memcpy(data, r.next, got);
    return (ssize_t)got;
}

ssize_t client_write(Client *c, uint32_t fid, uint64_t offset, const void *data, uint32_t count)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TWRITE, "dqD", fid, offset, count, data);
    ByteReader r;
    uint32_t put;

    if (error)
        return error;
    r = body(reply);
    put = read_u32(&r);
    assert_complete(&r);
    g_assert_cmpuint(put, <=, count);
    return (ssize_t)put;
}

int client_clunk(Client *c, uint32_t fid)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TCLUNK, "d", fid);

    return finish_empty(error, reply);
}

int client_remove(Client *c, uint32_t fid)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TREMOVE, "d", fid);

    return finish_empty(error, reply);
}

static struct timespec get_time(ByteReader *r)
{
    struct timespec t;

    t.tv_sec = (time_t)read_u64(r);
    t.tv_nsec = (long)read_u64(r);
    return t;
}

int client_getattr(Client *c, uint32_t fid, ClientAttr *a)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TGETATTR, "dq", fid, (uint64_t)0x3fff);
    ByteReader r;

    if (error)
        return error;
    r = body(reply);
    a->valid = read_u64(&r);
    a->qid = get_qid(&r);
    a->mode = read_u32(&r);
    a->uid = read_u32(&r);
    a->gid = read_u32(&r);
    a->nlink = read_u64(&r);
    a->rdev = read_u64(&r);
    a->size = read_u64(&r);
    a->blksize = read_u64(&r);
    a->blocks = read_u64(&r);
    a->atime = get_time(&r);
    a->mtime = get_time(&r);
    a->ctime = get_time(&r);
    a->btime = get_time(&r);
    a->gen = read_u64(&r);
    a->data_version = read_u64(&r);
    assert_complete(&r);
    return 0;
}

int client_setattr(Client *c, uint32_t fid, const FsChange *change)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TSETATTR, "dddddqqqqq", fid, change->valid,
                            (unsigned)change->mode, change->uid, change->gid, change->size,
                            (uint64_t)change->atime.tv_sec, (uint64_t)change->atime.tv_nsec,
                            (uint64_t)change->mtime.tv_sec, (uint64_t)change->mtime.tv_nsec);

    return finish_empty(error, reply);
}

int client_mkdir(Client *c, uint32_t fid, const char *name, uint32_t mode, uint32_t gid)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TMKDIR, "dsdd", fid, name, mode, gid);

    return finish_qid(error, reply, NULL);
}

int client_mknod(Client *c, uint32_t fid, const char *name, uint32_t mode, unsigned major,
                 unsigned minor, uint32_t gid)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TMKNOD, "dsdddd", fid, name, mode, major, minor, gid);

    return finish_qid(error, reply, NULL);
}

int client_symlink(Client *c, uint32_t fid, const char *name, const char *target, uint32_t gid)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TSYMLINK, "dssd", fid, name, target, gid);

    return finish_qid(error, reply, NULL);
}

int client_readlink(Client *c, uint32_t fid, char target[4096])
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TREADLINK, "d", fid);
    ByteReader r;

    if (error)
        return error;
    r = body(reply);
    get_string(&r, target, 4096);
    assert_complete(&r);
    return 0;
}

int client_link(Client *c, uint32_t dfid, uint32_t fid, const char *name)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TLINK, "dds", dfid, fid, name);

    return finish_empty(error, reply);
}

int client_rename(Client *c, uint32_t fid, uint32_t dfid, const char *name)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TRENAME, "dds", fid, dfid, name);

    return finish_empty(error, reply);
}

int client_renameat(Client *c, uint32_t old_dfid, const char *old_name, uint32_t new_dfid,
                    const char *new_name)
{
    TestReply *reply = NULL;
    int error =
        client_call(c, &reply, P9_TRENAMEAT, "dsds", old_dfid, old_name, new_dfid, new_name);

    return finish_empty(error, reply);
}

int client_unlinkat(Client *c, uint32_t dfid, const char *name, uint32_t flags)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TUNLINKAT, "dsd", dfid, name, flags);

    return finish_empty(error, reply);
}

int client_fsync(Client *c, uint32_t fid, bool datasync)
{
    TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TFSYNC, "dd", fid, (unsigned)datasync);

    return finish_empty(error, reply);
}

int client_statfs(Client *c, uint32_t fid, uint32_t *type, uint64_t *blocks, uint32_t *name_max)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TSTATFS, "d", fid);
    ByteReader r;

    if (error)
        return error;
    r = body(reply);
    *type = read_u32(&r);
    read_u32(&r); /* bsize */
    *blocks = read_u64(&r);
    read_bytes(&r, 5 * sizeof(uint64_t));
    *name_max = read_u32(&r);
    assert_complete(&r);
    return 0;
}

int client_readdir(Client *c, uint32_t fid, uint64_t offset, uint32_t count, GArray *entries)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TREADDIR, "dqd", fid, offset, count);
    ByteReader r;
    int n = 0;

    if (error)
        return error;
    r = body(reply);
    g_assert_cmpuint(read_u32(&r), ==, r.left);
    g_assert_cmpuint(r.left, <=, count);
    for (; r.left > 0; n++) {
        ClientEntry e;

        e.qid = get_qid(&r);
        e.offset = read_u64(&r);
        e.type = read_u8(&r);
        get_string(&r, e.name, sizeof(e.name));
        g_array_append_val(entries, e);
    }
    assert_complete(&r);
    return n;
}

GArray *client_list(Client *c, uint32_t fid, uint32_t count)
{
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(ClientEntry));
    uint64_t offset = 0;
    int n;

    while ((n = client_readdir(c, fid, offset, count, entries)) > 0)
        offset = g_array_index(entries, ClientEntry, entries->len - 1).offset;
    g_assert_cmpint(n, ==, 0);
    return entries;
}

int client_open_path(Client *c, uint32_t fid, uint32_t newfid, const char *path, uint32_t flags)
{
    int error = client_walk(c, fid, newfid, path, NULL, NULL);

    if (!error)
        error = client_open(c, newfid, flags);
    return error;
}

bool client_has_fid(Client *c, uint32_t fid)
{
    ClientAttr attr;
    int error = client_getattr(c, fid, &attr);

    g_assert_true(error == 0 || error == -ENOENT);
    return error == 0;
}
