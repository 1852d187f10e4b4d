/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unix client: see unix_client.h. */
#include "tests/lib/unix_client.h"

const char *unix_dialect_name(Dialect dialect)
{
    return dialect == DIALECT_9P2000 ? "9P2000" : "9P2000.u";
}

static ByteReader body(const TestReply *reply)
{
    return byte_reader((uint8_t *)reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
}

static void assert_complete(const ByteReader *r)
{
    g_assert_false(r->failed);
    g_assert_cmpuint(r->left, ==, 0);
}

static void take_text(ByteReader *r, char *text, size_t size)
{
    uint16_t length = read_u16(r);
    const uint8_t *bytes = read_bytes(r, length);

    g_assert_nonnull(bytes);
    g_assert_cmpuint(length, <, size);
    memcpy(text, bytes, length);
    text[length] = '\0';
}

/* Ends a call whose reply has a body of `size` bytes that nobody looks at. */
static int finish(int error, TestReply *reply, size_t size)
{
    if (error)
        return error;
    g_assert_cmpuint(reply->size, ==, P9_HEADER_SIZE + size);
    g_free(reply);
    return 0;
}

UnixClient unix_start(Share *share, Dialect dialect)
{
    UnixClient u = share->client;
    char version[32];
    uint32_t msize;

    u.dialect = dialect;
    g_assert_cmpint(client_version(&u, SHARE_MSIZE, unix_dialect_name(dialect), &msize, version),
                    ==, 0);
    g_assert_cmpstr(version, ==, unix_dialect_name(dialect));
    g_assert_cmpint(unix_attach(&u, SHARE_ROOT, G_STRINGIFY(1000), SHARE_UID), ==, 0);
    return u;
}

int unix_attach(UnixClient *u, uint32_t fid, const char *uname, uint32_t n_uname)
{
    TestReply *reply = NULL;
    int error;

    if (u->dialect == DIALECT_9P2000)
        error = client_call(u, &reply, P9_TATTACH, "ddss", fid, P9_NOFID, uname, "");
    else
        error = client_call(u, &reply, P9_TATTACH, "ddssd", fid, P9_NOFID, uname, "", n_uname);
    return finish(error, reply, P9_QID_SIZE);
}

int unix_walk(UnixClient *u, uint32_t fid, uint32_t newfid, const char *name)
{
    TestReply *reply = NULL;
    int error;

    if (name[0] == '\0') {
        error = client_call(u, &reply, P9_TWALK, "ddw", fid, newfid, 0);
        return finish(error, reply, 2);
    }
    error = client_call(u, &reply, P9_TWALK, "ddws", fid, newfid, 1, name);
    return finish(error, reply, 2 + P9_QID_SIZE);
}

void unix_at(UnixClient *u, uint32_t fid, const char *name)
{
    g_assert_cmpint(unix_walk(u, SHARE_ROOT, fid, name), ==, 0);
}

int unix_open(UnixClient *u, uint32_t fid, unsigned mode)
{
    TestReply *reply = NULL;
    int error = client_call(u, &reply, P9_TOPEN, "db", fid, mode);

    return finish(error, reply, P9_QID_SIZE + 4);
}

int unix_create(UnixClient *u, uint32_t fid, const char *name, uint32_t perm, unsigned mode,
                const char *extension)
{
    TestReply *reply = NULL;
    int error;

    if (u->dialect == DIALECT_9P2000)
        error = client_call(u, &reply, P9_TCREATE, "dsdb", fid, name, perm, mode);
    else
        error = client_call(u, &reply, P9_TCREATE, "dsdbs", fid, name, perm, mode, extension);
    return finish(error, reply, P9_QID_SIZE + 4);
}

ssize_t unix_read(UnixClient *u, uint32_t fid, uint64_t offset, uint32_t count, void *data)
{
    return client_read(u, fid, offset, count, data);
}

ssize_t unix_write(UnixClient *u, uint32_t fid, uint64_t offset, const char *text)
{
    return client_write(u, fid, offset, text, (uint32_t)strlen(text));
}

int unix_clunk(UnixClient *u, uint32_t fid)
{
    return client_clunk(u, fid);
}

int unix_remove(UnixClient *u, uint32_t fid)
{
    return client_remove(u, fid);
}

void unix_take_stat(ByteReader *r, Dialect dialect, UnixStat *s)
{
    size_t left;

    memset(s, 0, sizeof(*s));
    s->size = read_u16(r);
    left = r->left;
    s->type = read_u16(r);
    s->dev = read_u32(r);
    s->qid.type = read_u8(r);
    s->qid.version = read_u32(r);
    s->qid.path = read_u64(r);
    s->mode = read_u32(r);
    s->atime = read_u32(r);
    s->mtime = read_u32(r);
    s->length = read_u64(r);
    take_text(r, s->name, sizeof(s->name));
    take_text(r, s->uid, sizeof(s->uid));
    take_text(r, s->gid, sizeof(s->gid));
    take_text(r, s->muid, sizeof(s->muid));
    if (dialect != DIALECT_9P2000) {
        take_text(r, s->extension, sizeof(s->extension));
        s->n_uid = read_u32(r);
        s->n_gid = read_u32(r);
        s->n_muid = read_u32(r);
    }
    g_assert_false(r->failed);
    g_assert_cmpuint(left - r->left, ==, s->size);
}

int unix_stat(UnixClient *u, uint32_t fid, UnixStat *s)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(u, &reply, P9_TSTAT, "d", fid);
    ByteReader r;

    if (error)
        return error;
    r = body(reply);
    g_assert_cmpuint(read_u16(&r), ==, r.left);
    unix_take_stat(&r, u->dialect, s);
    assert_complete(&r);
    return 0;
}

int unix_wstat(UnixClient *u, uint32_t fid, const UnixStat *s)
{
    unsigned size =
        47 + (unsigned)(strlen(s->name) + strlen(s->uid) + strlen(s->gid) + strlen(s->muid));
    TestReply *reply = NULL;
    int error;

    if (u->dialect == DIALECT_9P2000) {
        error = client_call(u, &reply, P9_TWSTAT, "dwwwdbdqdddqssss", fid, size + 2, size, s->type,
                            s->dev, s->qid.type, s->qid.version, s->qid.path, s->mode, s->atime,
                            s->mtime, s->length, s->name, s->uid, s->gid, s->muid);
        return finish(error, reply, 0);
    }
    size += 14 + (unsigned)strlen(s->extension);
    error = client_call(u, &reply, P9_TWSTAT, "dwwwdbdqdddqsssssddd", fid, size + 2, size, s->type,
                        s->dev, s->qid.type, s->qid.version, s->qid.path, s->mode, s->atime,
                        s->mtime, s->length, s->name, s->uid, s->gid, s->muid, s->extension,
                        s->n_uid, s->n_gid, s->n_muid);
    return finish(error, reply, 0);
}

UnixStat unix_no_change(void)
{
    UnixStat s;

    memset(&s, 0xff, sizeof(s));
    s.name[0] = s.uid[0] = s.gid[0] = s.muid[0] = s.extension[0] = '\0';
    return s;
}
