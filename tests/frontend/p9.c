/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P9: see p9.h. */
#include "tests/frontend/p9.h"

#include <stdarg.h>
#include <string.h>

/* ---- Building ---- */

static void put(GByteArray *message, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        g_byte_array_append(message, &byte, 1);
    }
}

static void put_bytes(GByteArray *message, const void *bytes, size_t size)
{
    if (size > 0)
        g_byte_array_append(message, bytes, (guint)size);
}

static void set_size(GByteArray *message)
{
    for (unsigned i = 0; i < 4; i++)
        message->data[i] = (uint8_t)(message->len >> (8 * i));
}

static void put_string(GByteArray *message, const char *string)
{
    put(message, strlen(string), 2);
    put_bytes(message, string, strlen(string));
}

static void put_field(GByteArray *message, char letter, va_list *args)
{
    size_t size;

    switch (letter) {
    case 'b':
        put(message, (unsigned)va_arg(*args, int), 1);
        break;
    case 'w':
        put(message, (unsigned)va_arg(*args, int), 2);
        break;
    case 'd':
        put(message, va_arg(*args, uint32_t), 4);
        break;
    case 'q':
        put(message, va_arg(*args, uint64_t), 8);
        break;
    case 's':
        put_string(message, va_arg(*args, const char *));
        break;
    case 'D':
        size = va_arg(*args, uint32_t);
        put(message, size, 4);
        put_bytes(message, va_arg(*args, const void *), size);
        break;
    case 'R':
        size = va_arg(*args, size_t);
        put_bytes(message, va_arg(*args, const void *), size);
        break;
    default:
        g_error("p9_build: unknown field '%c'", letter);
    }
}

GByteArray *p9_build(uint8_t type, uint16_t tag, const char *format, ...)
{
    GByteArray *message = g_byte_array_new();
    va_list args;

    put(message, 0, 4);
    put(message, type, 1);
    put(message, tag, 2);
    va_start(args, format);
    for (; *format; format++)
        put_field(message, *format, &args);
    va_end(args);
    set_size(message);
    return message;
}

/* ---- Taking apart ---- */

/* Where in a reply one is; `left` becomes negative when it was too short. */
typedef struct Cursor {
    const uint8_t *at;
    int64_t left;
} Cursor;

static const uint8_t *take(Cursor *cursor, uint32_t size)
{
    const uint8_t *at = cursor->at;

    cursor->left -= size;
    if (cursor->left < 0)
        return NULL;
    cursor->at += size;
    return at;
}

static uint64_t take_number(Cursor *cursor, unsigned size)
{
    const uint8_t *bytes = take(cursor, size);
    uint64_t value = 0;

    for (unsigned i = size; bytes && i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static void take_qid(Cursor *cursor, P9Qid *qid)
{
    P9Qid taken = {
        .type = (uint8_t)take_number(cursor, 1),
        .version = (uint32_t)take_number(cursor, 4),
        .path = take_number(cursor, 8),
    };

    if (qid)
        *qid = taken;
}

static void take_string(Cursor *cursor, char **string)
{
    uint32_t size = (uint32_t)take_number(cursor, 2);
    const uint8_t *bytes = take(cursor, size);

    if (string)
        *string = bytes ? g_strndup((const char *)bytes, size) : NULL;
}

static void take_data(Cursor *cursor, uint32_t *size, const uint8_t **data)
{
    uint32_t count = (uint32_t)take_number(cursor, 4);
    const uint8_t *bytes = take(cursor, count);

    if (size)
        *size = count;
    if (data)
        *data = bytes;
}

#define STORE(type, value)                     \
    do {                                       \
        type *pointer = va_arg(*args, type *); \
        type taken = (type)(value);            \
        if (pointer)                           \
            *pointer = taken;                  \
    } while (0)

static void take_field(Cursor *cursor, char letter, va_list *args)
{
    uint32_t *size;

    switch (letter) {
    case 'b':
        STORE(uint8_t, take_number(cursor, 1));
        break;
    case 'w':
        STORE(uint16_t, take_number(cursor, 2));
        break;
    case 'd':
        STORE(uint32_t, take_number(cursor, 4));
        break;
    case 'q':
        STORE(uint64_t, take_number(cursor, 8));
        break;
    case 's':
        take_string(cursor, va_arg(*args, char **));
        break;
    case 'D':
        size = va_arg(*args, uint32_t *);
        take_data(cursor, size, va_arg(*args, const uint8_t **));
        break;
    case 'Q':
        take_qid(cursor, va_arg(*args, P9Qid *));
        break;
    case '*':
        take(cursor, (uint32_t)MAX(cursor->left, 0));
        break;
    default:
        g_error("p9_parse: unknown field '%c'", letter);
    }
}

bool p9_parse_va(const P9Reply *reply, const char *format, va_list args)
{
    Cursor cursor = {.at = reply->bytes + P9_HEADER, .left = (int64_t)reply->size - P9_HEADER};
    va_list copy;

    va_copy(copy, args);
    for (; *format; format++)
        take_field(&cursor, *format, &copy);
    va_end(copy);
    return cursor.left == 0;
}

bool p9_parse(const P9Reply *reply, const char *format, ...)
{
    va_list args;
    bool whole;

    va_start(args, format);
    whole = p9_parse_va(reply, format, args);
    va_end(args);
    return whole;
}

bool p9_parse_attr(const P9Reply *reply, P9Attr *a)
{
    return p9_parse(reply, "qQdddqqqqqqqqqqqqqqq", &a->valid, &a->qid, &a->mode, &a->uid, &a->gid,
                    &a->nlink, &a->rdev, &a->size, &a->blksize, &a->blocks, &a->atime_sec,
                    &a->atime_nsec, &a->mtime_sec, &a->mtime_nsec, &a->ctime_sec, &a->ctime_nsec,
                    &a->btime_sec, &a->btime_nsec, &a->gen, &a->data_version);
}

bool p9_parse_stat(const P9Reply *reply, P9Stat *s)
{
    uint16_t outer, inner;
    bool whole = p9_parse(reply, "wwwdQdddqsssssddd", &outer, &inner, &s->type, &s->dev, &s->qid,
                          &s->mode, &s->atime, &s->mtime, &s->length, &s->name, NULL, NULL, NULL,
                          &s->extension, &s->n_uid, &s->n_gid, NULL);

    return whole && outer == inner + 2 && outer + 2 + P9_HEADER == (int)reply->size;
}

void p9_stat_clear(P9Stat *s)
{
    g_clear_pointer(&s->name, g_free);
    g_clear_pointer(&s->extension, g_free);
}

uint32_t p9_error(const P9Reply *reply)
{
    uint32_t error = 0;

    if (reply->type == P9_RLERROR && p9_parse(reply, "d", &error))
        return error;
    if (reply->type == P9_RERROR && p9_parse(reply, "sd", NULL, &error))
        return error;
    return 0;
}

bool p9_next_entry(const uint8_t *data, uint32_t size, uint32_t *at, P9Qid *qid, uint64_t *offset,
                   uint8_t *type, char **name)
{
    Cursor cursor = {.at = data + *at, .left = (int64_t)size - *at};
    uint64_t next;
    uint8_t kind;

    if (*at >= size)
        return false;
    take_qid(&cursor, qid);
    next = take_number(&cursor, 8);
    kind = (uint8_t)take_number(&cursor, 1);
    take_string(&cursor, name);
    if (cursor.left < 0)
        return false;
    if (offset)
        *offset = next;
    if (type)
        *type = kind;
    *at = (uint32_t)(cursor.at - data);
    return true;
}

/* ---- The messages ---- */

GByteArray *p9_tversion(uint16_t tag, uint32_t msize, const char *version)
{
    return p9_build(P9_TVERSION, tag, "ds", msize, version);
}

GByteArray *p9_tattach(uint16_t tag, uint32_t fid, uint32_t afid, const char *uname,
                       const char *aname, uint32_t n_uname)
{
    return p9_build(P9_TATTACH, tag, "ddssd", fid, afid, uname, aname, n_uname);
}

GByteArray *p9_tflush(uint16_t tag, uint16_t oldtag)
{
    return p9_build(P9_TFLUSH, tag, "w", oldtag);
}

GByteArray *p9_twalk_names(uint16_t tag, uint32_t fid, uint32_t newfid, unsigned n_names,
                           const char *const *names)
{
    GByteArray *message = p9_build(P9_TWALK, tag, "ddw", fid, newfid, (int)n_names);

    for (unsigned i = 0; i < n_names; i++)
        put_string(message, names[i]);
    set_size(message);
    return message;
}

GByteArray *p9_twalk(uint16_t tag, uint32_t fid, uint32_t newfid, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path ? path : "", "/", -1);

    return p9_twalk_names(tag, fid, newfid, g_strv_length(names), (const char *const *)names);
}

GByteArray *p9_tlopen(uint16_t tag, uint32_t fid, uint32_t flags)
{
    return p9_build(P9_TLOPEN, tag, "dd", fid, flags);
}

GByteArray *p9_tlcreate(uint16_t tag, uint32_t fid, const char *name, uint32_t flags, uint32_t mode,
                        uint32_t gid)
{
    return p9_build(P9_TLCREATE, tag, "dsddd", fid, name, flags, mode, gid);
}

GByteArray *p9_topen(uint16_t tag, uint32_t fid, int mode)
{
    return p9_build(P9_TOPEN, tag, "db", fid, mode);
}

GByteArray *p9_tcreate(uint16_t tag, uint32_t fid, const char *name, uint32_t perm, int mode,
                       const char *extension)
{
    return p9_build(P9_TCREATE, tag, "dsdbs", fid, name, perm, mode, extension);
}

GByteArray *p9_tstat(uint16_t tag, uint32_t fid)
{
    return p9_build(P9_TSTAT, tag, "d", fid);
}

GByteArray *p9_tread(uint16_t tag, uint32_t fid, uint64_t offset, uint32_t count)
{
    return p9_build(P9_TREAD, tag, "dqd", fid, offset, count);
}

GByteArray *p9_twrite(uint16_t tag, uint32_t fid, uint64_t offset, uint32_t count, const void *data)
{
    return p9_build(P9_TWRITE, tag, "dqD", fid, offset, count, data);
}

GByteArray *p9_tclunk(uint16_t tag, uint32_t fid)
{
    return p9_build(P9_TCLUNK, tag, "d", fid);
}

GByteArray *p9_tremove(uint16_t tag, uint32_t fid)
{
    return p9_build(P9_TREMOVE, tag, "d", fid);
}

GByteArray *p9_tgetattr(uint16_t tag, uint32_t fid, uint64_t mask)
{
    return p9_build(P9_TGETATTR, tag, "dq", fid, mask);
}

GByteArray *p9_tsetattr(uint16_t tag, uint32_t fid, const P9SetAttr *attr)
{
    return p9_build(P9_TSETATTR, tag, "dddddqqqqq", fid, attr->valid, attr->mode, attr->uid,
                    attr->gid, attr->size, attr->atime_sec, attr->atime_nsec, attr->mtime_sec,
                    attr->mtime_nsec);
}

GByteArray *p9_treaddir(uint16_t tag, uint32_t fid, uint64_t offset, uint32_t count)
{
    return p9_build(P9_TREADDIR, tag, "dqd", fid, offset, count);
}

GByteArray *p9_tmkdir(uint16_t tag, uint32_t dfid, const char *name, uint32_t mode, uint32_t gid)
{
    return p9_build(P9_TMKDIR, tag, "dsdd", dfid, name, mode, gid);
}

GByteArray *p9_tsymlink(uint16_t tag, uint32_t dfid, const char *name, const char *target,
                        uint32_t gid)
{
    return p9_build(P9_TSYMLINK, tag, "dssd", dfid, name, target, gid);
}

GByteArray *p9_treadlink(uint16_t tag, uint32_t fid)
{
    return p9_build(P9_TREADLINK, tag, "d", fid);
}

GByteArray *p9_tlink(uint16_t tag, uint32_t dfid, uint32_t fid, const char *name)
{
    return p9_build(P9_TLINK, tag, "dds", dfid, fid, name);
}

GByteArray *p9_tmknod(uint16_t tag, uint32_t dfid, const char *name, uint32_t mode, uint32_t major,
                      uint32_t minor, uint32_t gid)
{
    return p9_build(P9_TMKNOD, tag, "dsdddd", dfid, name, mode, major, minor, gid);
}

GByteArray *p9_trename(uint16_t tag, uint32_t fid, uint32_t dfid, const char *name)
{
    return p9_build(P9_TRENAME, tag, "dds", fid, dfid, name);
}

GByteArray *p9_trenameat(uint16_t tag, uint32_t olddfid, const char *oldname, uint32_t newdfid,
                         const char *newname)
{
    return p9_build(P9_TRENAMEAT, tag, "dsds", olddfid, oldname, newdfid, newname);
}

GByteArray *p9_tunlinkat(uint16_t tag, uint32_t dfid, const char *name, uint32_t flags)
{
    return p9_build(P9_TUNLINKAT, tag, "dsd", dfid, name, flags);
}

GByteArray *p9_tfsync(uint16_t tag, uint32_t fid, uint32_t datasync)
{
    return p9_build(P9_TFSYNC, tag, "dd", fid, datasync);
}

GByteArray *p9_tstatfs(uint16_t tag, uint32_t fid)
{
    return p9_build(P9_TSTATFS, tag, "d", fid);
}

GByteArray *p9_twstat(uint16_t tag, uint32_t fid, uint32_t mode, uint32_t mtime, uint64_t length,
                      const char *name)
{
    int size = 2 + 4 + 13 + 4 + 4 + 4 + 8 + 5 * 2 + (int)strlen(name) + 3 * 4;

    return p9_build(P9_TWSTAT, tag, "dwwwdbdqdddqsssssddd", fid, size + 2, size, 0xffff, UINT32_MAX,
                    0xff, UINT32_MAX, UINT64_MAX, mode, UINT32_MAX, mtime, length, name, "", "", "",
                    "", UINT32_MAX, UINT32_MAX, UINT32_MAX);
}
