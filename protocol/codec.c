/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Codec: see codec.h.
 *
 * Strings are terminated only when the whole message has been decoded: the terminating NUL falls
 * on the byte behind the string, which by then has been read.
 */
#include "protocol/codec.h"

#include <errno.h>

enum { MAX_STRINGS = P9_MAX_WALK };

/* A reader that notes where each string ends. */
typedef struct Decoder {
    ByteReader in;
    bool extended; /* the fields that 9P2000 does not have are there */
    unsigned n_strings;
    uint8_t *ends[MAX_STRINGS];
} Decoder;

static uint32_t u32(Decoder *d)
{
    return read_u32(&d->in);
}

static uint64_t u64(Decoder *d)
{
    return read_u64(&d->in);
}

static char *string(Decoder *d)
{
    size_t length = read_u16(&d->in);
    uint8_t *bytes = read_bytes(&d->in, length);

    if (!bytes || memchr(bytes, '\0', length)) {
        d->in.failed = true;
        return NULL;
    }
    d->ends[d->n_strings++] = bytes + length;
    return (char *)bytes;
}

static void decode_walk(Decoder *d, Tmessage *t)
{
    t->fid = u32(d);
    t->walk.newfid = u32(d);
    t->walk.n_names = read_u16(&d->in);
    if (t->walk.n_names > P9_MAX_WALK) {
        d->in.failed = true;
        return;
    }
    for (unsigned i = 0; i < t->walk.n_names; i++)
        t->walk.names[i] = string(d);
}

static void decode_setattr(Decoder *d, Tmessage *t)
{
    t->fid = u32(d);
    t->setattr.valid = u32(d);
    t->setattr.mode = u32(d);
    t->setattr.uid = u32(d);
    t->setattr.gid = u32(d);
    t->setattr.size = u64(d);
    t->setattr.atime_sec = u64(d);
    t->setattr.atime_nsec = u64(d);
    t->setattr.mtime_sec = u64(d);
    t->setattr.mtime_nsec = u64(d);
}

static void decode_io(Decoder *d, Tmessage *t)
{
    t->fid = u32(d);
    t->io.offset = u64(d);
    t->io.count = u32(d);
    if (t->type == P9_TWRITE)
        t->io.data = read_bytes(&d->in, t->io.count);
}

static void decode_attach(Decoder *d, Tmessage *t)
{
    t->fid = u32(d);
    t->attach.afid = u32(d);
    t->attach.uname = string(d);
    t->attach.aname = string(d);
    t->attach.n_uname = d->extended ? u32(d) : P9_NOUSER;
}

static void decode_create(Decoder *d, Tmessage *t)
{
    static char none[] = "";

    t->fid = u32(d);
    t->create.name = string(d);
    t->create.perm = u32(d);
    t->create.mode = read_u8(&d->in);
    t->create.extension = d->extended ? string(d) : none;
}

static void decode_stat(Decoder *d, StatRecord *s)
{
    s->type = read_u16(&d->in);
    s->dev = u32(d);
    s->qid.type = read_u8(&d->in);
    s->qid.version = u32(d);
    s->qid.path = u64(d);
    s->mode = u32(d);
    s->atime = u32(d);
    s->mtime = u32(d);
    s->length = u64(d);
    s->name = string(d);
    s->uid = string(d);
    s->gid = string(d);
    s->muid = string(d);
    s->extension = d->extended ? string(d) : "";
    s->n_uid = d->extended ? u32(d) : P9_NOUSER;
    s->n_gid = d->extended ? u32(d) : P9_NOUSER;
    s->n_muid = d->extended ? u32(d) : P9_NOUSER;
}

/* The record comes behind its size, which comes once more inside. */
static void decode_wstat(Decoder *d, Tmessage *t)
{
    t->fid = u32(d);
    if (read_u16(&d->in) != d->in.left || read_u16(&d->in) != d->in.left)
        d->in.failed = true;
    else
        decode_stat(d, &t->wstat);
}

static void decode_mknod(Decoder *d, Tmessage *t)
{
    t->fid = u32(d);
    t->mknod.name = string(d);
    t->mknod.mode = u32(d);
    t->mknod.major = u32(d);
    t->mknod.minor = u32(d);
    t->mknod.gid = u32(d);
}

static void decode_lock(Decoder *d, Tmessage *t)
{
    t->fid = u32(d);
    t->lock.type = read_u8(&d->in);
    t->lock.flags = t->type == P9_TLOCK ? u32(d) : 0;
    t->lock.start = u64(d);
    t->lock.length = u64(d);
    t->lock.proc_id = u32(d);
    t->lock.client_id = string(d);
}

static int decode_body(Decoder *d, Tmessage *t)
{
    switch (t->type) {
    case P9_TVERSION:
        t->version.msize = u32(d);
        t->version.version = string(d);
        break;
    case P9_TATTACH:
        decode_attach(d, t);
        break;
    case P9_TFLUSH:
        t->flush.oldtag = read_u16(&d->in);
        break;
    case P9_TWALK:
        decode_walk(d, t);
        break;
    case P9_TLOPEN:
        t->fid = u32(d);
        t->lopen.flags = u32(d);
        break;
    case P9_TOPEN:
        t->fid = u32(d);
        t->open.mode = read_u8(&d->in);
        break;
    case P9_TCREATE:
        decode_create(d, t);
        break;
    case P9_TWSTAT:
        decode_wstat(d, t);
        break;
    case P9_TLCREATE:
        t->fid = u32(d);
        t->lcreate.name = string(d);
        t->lcreate.flags = u32(d);
        t->lcreate.mode = u32(d);
        t->lcreate.gid = u32(d);
        break;
    case P9_TMKDIR:
        t->fid = u32(d);
        t->lcreate.name = string(d);
        t->lcreate.mode = u32(d);
        t->lcreate.gid = u32(d);
        break;
    case P9_TSYMLINK:
        t->fid = u32(d);
        t->symlink.name = string(d);
        t->symlink.target = string(d);
        t->symlink.gid = u32(d);
        break;
    case P9_TMKNOD:
        decode_mknod(d, t);
        break;
    case P9_TRENAME:
        t->fid = u32(d);
        t->rename.dfid = u32(d);
        t->rename.name = string(d);
        break;
    case P9_TLINK:
        t->fid = u32(d);
        t->link.fid = u32(d);
        t->link.name = string(d);
        break;
    case P9_TRENAMEAT:
        t->fid = u32(d);
        t->renameat.old_name = string(d);
        t->renameat.new_dfid = u32(d);
        t->renameat.new_name = string(d);
        break;
    case P9_TUNLINKAT:
        t->fid = u32(d);
        t->unlinkat.name = string(d);
        t->unlinkat.flags = u32(d);
        break;
    case P9_TGETATTR:
        t->fid = u32(d);
        t->getattr.mask = u64(d);
        break;
    case P9_TSETATTR:
        decode_setattr(d, t);
        break;
    case P9_TXATTRWALK:
        t->fid = u32(d);
        t->xattrwalk.newfid = u32(d);
        t->xattrwalk.name = string(d);
        break;
    case P9_TXATTRCREATE:
        t->fid = u32(d);
        t->xattrcreate.name = string(d);
        t->xattrcreate.size = u64(d);
        t->xattrcreate.flags = u32(d);
        break;
    case P9_TLOCK:
    case P9_TGETLOCK:
        decode_lock(d, t);
        break;
    case P9_TREAD:
    case P9_TWRITE:
    case P9_TREADDIR:
        decode_io(d, t);
        break;
    case P9_TFSYNC:
        t->fid = u32(d);
        t->fsync.datasync = u32(d);
        break;
    case P9_TCLUNK:
    case P9_TREMOVE:
    case P9_TSTAT:
    case P9_TREADLINK:
    case P9_TSTATFS:
        t->fid = u32(d);
        break;
    default:
        return -EOPNOTSUPP;
    }
    return d->in.failed || d->in.left > 0 ? -EINVAL : 0;
}

int tmessage_decode(Tmessage *t, Dialect dialect, uint8_t *bytes, size_t size)
{
    Decoder d = {.in = byte_reader(bytes, size), .extended = dialect != DIALECT_9P2000};
    int error;

    read_u32(&d.in); /* the size, which the transport has checked */
    t->type = read_u8(&d.in);
    t->tag = read_u16(&d.in);
    if (d.in.failed)
        return -EINVAL;
    error = decode_body(&d, t);
    if (error)
        return error;
    for (unsigned i = 0; i < d.n_strings; i++)
        *d.ends[i] = '\0';
    return 0;
}

const char *dialect_name(Dialect dialect)
{
    static const char *const names[] = {
        [DIALECT_NONE] = "unknown",
        [DIALECT_9P2000] = "9P2000",
        [DIALECT_9P2000_U] = "9P2000.u",
        [DIALECT_9P2000_L] = "9P2000.L",
    };

    return names[dialect];
}

const char *tmessage_name(uint8_t type)
{
    switch (type) {
#define NAME(constant, name) \
    case constant:           \
        return name
        NAME(P9_TSTATFS, "Tstatfs");
        NAME(P9_TLOPEN, "Tlopen");
        NAME(P9_TLCREATE, "Tlcreate");
        NAME(P9_TSYMLINK, "Tsymlink");
        NAME(P9_TMKNOD, "Tmknod");
        NAME(P9_TRENAME, "Trename");
        NAME(P9_TREADLINK, "Treadlink");
        NAME(P9_TGETATTR, "Tgetattr");
        NAME(P9_TSETATTR, "Tsetattr");
        NAME(P9_TXATTRWALK, "Txattrwalk");
        NAME(P9_TXATTRCREATE, "Txattrcreate");
        NAME(P9_TREADDIR, "Treaddir");
        NAME(P9_TFSYNC, "Tfsync");
        NAME(P9_TLOCK, "Tlock");
        NAME(P9_TGETLOCK, "Tgetlock");
        NAME(P9_TLINK, "Tlink");
        NAME(P9_TMKDIR, "Tmkdir");
        NAME(P9_TRENAMEAT, "Trenameat");
        NAME(P9_TUNLINKAT, "Tunlinkat");
        NAME(P9_TVERSION, "Tversion");
        NAME(P9_TAUTH, "Tauth");
        NAME(P9_TATTACH, "Tattach");
        NAME(P9_TFLUSH, "Tflush");
        NAME(P9_TWALK, "Twalk");
        NAME(P9_TOPEN, "Topen");
        NAME(P9_TCREATE, "Tcreate");
        NAME(P9_TREAD, "Tread");
        NAME(P9_TWRITE, "Twrite");
        NAME(P9_TCLUNK, "Tclunk");
        NAME(P9_TREMOVE, "Tremove");
        NAME(P9_TSTAT, "Tstat");
        NAME(P9_TWSTAT, "Twstat");
#undef NAME
    default:
        return "T<unknown>";
    }
}

void write_string(ByteWriter *w, const char *text, size_t length)
{
    if (length > UINT16_MAX) {
        w->failed = true;
        return;
    }
    write_u16(w, (uint16_t)length);
    write_bytes(w, text, length);
}

void write_qid(ByteWriter *w, const Qid *qid)
{
    write_u8(w, qid->type);
    write_u32(w, qid->version);
    write_u64(w, qid->path);
}

void write_header(uint8_t *bytes, uint32_t size, uint8_t type, uint16_t tag)
{
    ByteWriter w = byte_writer(bytes, P9_HEADER_SIZE);

    write_u32(&w, size);
    write_u8(&w, type);
    write_u16(&w, tag);
}
