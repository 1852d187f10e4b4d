/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Describe: see describe.h. */
#include "protocol/describe.h"

#include <string.h>

#include "common/record.h"

typedef struct FlagName {
    uint64_t bit;
    const char *name;
} FlagName;

static const FlagName open_flags[] = {
    {P9_L_CREATE, "O_CREAT"},        {P9_L_EXCL, "O_EXCL"},
    {P9_L_TRUNC, "O_TRUNC"},         {P9_L_APPEND, "O_APPEND"},
    {P9_L_NONBLOCK, "O_NONBLOCK"},   {P9_L_DSYNC, "O_DSYNC"},
    {P9_L_DIRECTORY, "O_DIRECTORY"}, {P9_L_NOATIME, "O_NOATIME"},
    {P9_L_SYNC, "O_SYNC"},           {0, NULL},
};

static const FlagName open_modes[] = {
    {P9_OTRUNC, "OTRUNC"},
    {P9_OCEXEC, "OCEXEC"},
    {P9_ORCLOSE, "ORCLOSE"},
    {P9_OAPPEND, "OAPPEND"},
    {0, NULL},
};

static const FlagName setattr_bits[] = {
    {P9_SETATTR_MODE, "mode"},
    {P9_SETATTR_UID, "uid"},
    {P9_SETATTR_GID, "gid"},
    {P9_SETATTR_SIZE, "size"},
    {P9_SETATTR_ATIME, "atime"},
    {P9_SETATTR_MTIME, "mtime"},
    {P9_SETATTR_CTIME, "ctime"},
    {P9_SETATTR_ATIME_SET, "atime_set"},
    {P9_SETATTR_MTIME_SET, "mtime_set"},
    {0, NULL},
};

static const FlagName unlink_flags[] = {{P9_UNLINK_REMOVEDIR, "AT_REMOVEDIR"}, {0, NULL}};
static const FlagName lock_flags[] = {
    {P9_LOCK_FLAGS_BLOCK, "BLOCK"}, {P9_LOCK_FLAGS_RECLAIM, "RECLAIM"}, {0, NULL}};
static const FlagName xattr_flags[] = {
    {P9_XATTR_CREATE, "XATTR_CREATE"}, {P9_XATTR_REPLACE, "XATTR_REPLACE"}, {0, NULL}};

/*
 * Pieces
 */

void describe_quoted(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (;;) {
        size_t length = strcspn(text, "\"");

        record_escape(out, text, length);
        if (text[length] == '\0')
            break;
        g_string_append(out, "\\\"");
        text += length + 1;
    }
    g_string_append_c(out, '"');
}

void describe_error(GString *out, int error)
{
    const char *name = strerrorname_np(error);

    if (name)
        g_string_append(out, name);
    else
        g_string_append_printf(out, "errno %d", error);
}

/* Begins a field. */
static void name_field(GString *out, const char *name)
{
    if (out->len > 0 && out->str[out->len - 1] != ' ')
        g_string_append_c(out, ' ');
    g_string_append_printf(out, "%s=", name);
}

static void add_number(GString *out, const char *name, uint64_t value)
{
    name_field(out, name);
    g_string_append_printf(out, "%" G_GUINT64_FORMAT, value);
}

static void add_octal(GString *out, const char *name, uint32_t value)
{
    name_field(out, name);
    g_string_append_printf(out, "%#o", value);
}

static void add_text(GString *out, const char *name, const char *text)
{
    name_field(out, name);
    describe_quoted(out, text);
}

/* A number of 32 bits of which all ones mean "none". */
static void add_id(GString *out, const char *name, uint32_t id)
{
    name_field(out, name);
    if (id == UINT32_MAX)
        g_string_append(out, "none");
    else
        g_string_append_printf(out, "%u", id);
}

/* Appends the names of bits, behind `first` if that is not NULL. */
static void append_flags(GString *out, const char *first, const FlagName names[], uint64_t flags)
{
    const char *between = first ? "|" : "";

    if (first)
        g_string_append(out, first);
    for (; names->name; names++) {
        if (!(flags & names->bit))
            continue;
        g_string_append_printf(out, "%s%s", between, names->name);
        flags &= ~names->bit;
        between = "|";
    }
    if (flags || *between == '\0')
        g_string_append_printf(out, "%s%#" G_GINT64_MODIFIER "x", between, flags);
}

static void add_flags(GString *out, const char *name, const FlagName names[], uint64_t flags)
{
    name_field(out, name);
    append_flags(out, NULL, names, flags);
}

static void add_open_flags(GString *out, uint32_t flags)
{
    static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

    name_field(out, "flags");
    append_flags(out, modes[flags & P9_L_ACCMODE], open_flags, flags & ~(uint32_t)P9_L_ACCMODE);
}

static void add_open_mode(GString *out, uint8_t mode)
{
    static const char *const modes[] = {"OREAD", "OWRITE", "ORDWR", "OEXEC"};

    name_field(out, "mode");
    append_flags(out, modes[mode & P9_OACCMODE], open_modes, mode & ~(unsigned)P9_OACCMODE);
}

static void add_names(GString *out, const Tmessage *t)
{
    name_field(out, "names");
    for (unsigned i = 0; i < t->walk.n_names; i++) {
        if (i > 0)
            g_string_append_c(out, '/');
        describe_quoted(out, t->walk.names[i]);
    }
    if (t->walk.n_names == 0)
        g_string_append(out, "none");
}

/*
 * Requests
 */

static void describe_attach(GString *out, const Tmessage *t, Dialect dialect)
{
    add_text(out, "aname", t->attach.aname);
    add_text(out, "uname", t->attach.uname);
    if (dialect != DIALECT_9P2000)
        add_id(out, "n_uname", t->attach.n_uname);
}

static void describe_setattr(GString *out, const Tmessage *t)
{
    uint32_t valid = t->setattr.valid;

    add_flags(out, "valid", setattr_bits, valid);
    if (valid & P9_SETATTR_MODE)
        add_octal(out, "mode", t->setattr.mode);
    if (valid & P9_SETATTR_UID)
        add_id(out, "uid", t->setattr.uid);
    if (valid & P9_SETATTR_GID)
        add_id(out, "gid", t->setattr.gid);
    if (valid & P9_SETATTR_SIZE)
        add_number(out, "size", t->setattr.size);
}

static void describe_lock(GString *out, const Tmessage *t)
{
    static const char *const types[] = {"read", "write", "unlock"};

    name_field(out, "type");
    if (t->lock.type < G_N_ELEMENTS(types))
        g_string_append(out, types[t->lock.type]);
    else
        g_string_append_printf(out, "%u", t->lock.type);
    if (t->type == P9_TLOCK)
        add_flags(out, "flags", lock_flags, t->lock.flags);
    add_number(out, "start", t->lock.start);
    add_number(out, "length", t->lock.length);
    add_number(out, "proc_id", t->lock.proc_id);
    add_text(out, "client_id", t->lock.client_id);
}

/* Of a record only what is to be changed is said. */
static void describe_wstat(GString *out, const Tmessage *t, Dialect dialect)
{
    const StatRecord *s = &t->wstat;

    if (s->name[0])
        add_text(out, "name", s->name);
    if (s->mode != UINT32_MAX)
        add_octal(out, "mode", s->mode);
    if (s->length != UINT64_MAX)
        add_number(out, "length", s->length);
    if (s->mtime != UINT32_MAX)
        add_number(out, "mtime", s->mtime);
    if (s->gid[0])
        add_text(out, "gid", s->gid);
    if (dialect == DIALECT_9P2000_U && s->n_gid != UINT32_MAX)
        add_id(out, "n_gid", s->n_gid);
}

static void describe_mknod(GString *out, const Tmessage *t)
{
    add_text(out, "name", t->mknod.name);
    add_octal(out, "mode", t->mknod.mode);
    add_number(out, "major", t->mknod.major);
    add_number(out, "minor", t->mknod.minor);
    add_id(out, "gid", t->mknod.gid);
}

static void describe_create(GString *out, const Tmessage *t)
{
    add_text(out, "name", t->create.name);
    add_octal(out, "perm", t->create.perm);
    add_open_mode(out, t->create.mode);
    if (t->create.extension[0])
        add_text(out, "extension", t->create.extension);
}

static void describe_lcreate(GString *out, const Tmessage *t)
{
    add_text(out, "name", t->lcreate.name);
    if (t->type == P9_TLCREATE)
        add_open_flags(out, t->lcreate.flags);
    add_octal(out, "mode", t->lcreate.mode);
    add_id(out, "gid", t->lcreate.gid);
}

/* Messages that name one file. */
static void describe_named(GString *out, const Tmessage *t)
{
    switch (t->type) {
    case P9_TSYMLINK:
        add_text(out, "name", t->symlink.name);
        add_text(out, "target", t->symlink.target);
        add_id(out, "gid", t->symlink.gid);
        break;
    case P9_TRENAME:
        add_id(out, "dfid", t->rename.dfid);
        add_text(out, "name", t->rename.name);
        break;
    case P9_TLINK:
        add_id(out, "file", t->link.fid);
        add_text(out, "name", t->link.name);
        break;
    case P9_TRENAMEAT:
        add_text(out, "old_name", t->renameat.old_name);
        add_id(out, "new_dfid", t->renameat.new_dfid);
        add_text(out, "new_name", t->renameat.new_name);
        break;
    default:
        add_text(out, "name", t->unlinkat.name);
        add_flags(out, "flags", unlink_flags, t->unlinkat.flags);
        break;
    }
}

static void describe_xattr(GString *out, const Tmessage *t)
{
    if (t->type == P9_TXATTRWALK) {
        add_id(out, "newfid", t->xattrwalk.newfid);
        add_text(out, "name", t->xattrwalk.name);
        return;
    }
    add_text(out, "name", t->xattrcreate.name);
    add_number(out, "size", t->xattrcreate.size);
    add_flags(out, "flags", xattr_flags, t->xattrcreate.flags);
}

static void describe_io(GString *out, const Tmessage *t)
{
    add_number(out, "offset", t->io.offset);
    add_number(out, "count", t->io.count);
}

/* What remains, each with one or two fields. */
static void describe_simple(GString *out, const Tmessage *t)
{
    switch (t->type) {
    case P9_TVERSION:
        add_number(out, "msize", t->version.msize);
        add_text(out, "version", t->version.version);
        break;
    case P9_TFLUSH:
        add_number(out, "oldtag", t->flush.oldtag);
        break;
    case P9_TWALK:
        add_id(out, "newfid", t->walk.newfid);
        add_names(out, t);
        break;
    case P9_TLOPEN:
        add_open_flags(out, t->lopen.flags);
        break;
    case P9_TOPEN:
        add_open_mode(out, t->open.mode);
        break;
    case P9_TGETATTR:
        name_field(out, "mask");
        g_string_append_printf(out, "%#" G_GINT64_MODIFIER "x", t->getattr.mask);
        break;
    case P9_TFSYNC:
        add_number(out, "datasync", t->fsync.datasync);
        break;
    default:
        break;
    }
}

void describe_request(GString *out, const Tmessage *t, Dialect dialect)
{
    switch (t->type) {
    case P9_TATTACH:
        describe_attach(out, t, dialect);
        break;
    case P9_TSETATTR:
        describe_setattr(out, t);
        break;
    case P9_TWSTAT:
        describe_wstat(out, t, dialect);
        break;
    case P9_TLOCK:
    case P9_TGETLOCK:
        describe_lock(out, t);
        break;
    case P9_TMKNOD:
        describe_mknod(out, t);
        break;
    case P9_TCREATE:
        describe_create(out, t);
        break;
    case P9_TLCREATE:
    case P9_TMKDIR:
        describe_lcreate(out, t);
        break;
    case P9_TSYMLINK:
    case P9_TRENAME:
    case P9_TLINK:
    case P9_TRENAMEAT:
    case P9_TUNLINKAT:
        describe_named(out, t);
        break;
    case P9_TXATTRWALK:
    case P9_TXATTRCREATE:
        describe_xattr(out, t);
        break;
    case P9_TREAD:
    case P9_TWRITE:
    case P9_TREADDIR:
        describe_io(out, t);
        break;
    default:
        describe_simple(out, t);
        break;
    }
}

/*
 * Replies
 */

static void add_qid(GString *out, ByteReader *r)
{
    uint8_t type = read_u8(r);
    uint32_t version = read_u32(r);
    uint64_t path = read_u64(r);

    name_field(out, "qid");
    g_string_append_printf(out, "%02x.%08x.%" G_GINT64_MODIFIER "x", type, version, path);
}

static void add_qids(GString *out, ByteReader *r)
{
    unsigned n = read_u16(r);

    add_number(out, "n_qids", n);
    while (n-- > 0 && r->left >= P9_QID_SIZE)
        add_qid(out, r);
}

static void add_string(GString *out, const char *name, ByteReader *r)
{
    uint16_t size = read_u16(r);
    const uint8_t *bytes = read_bytes(r, size);
    g_autofree char *text = bytes ? g_strndup((const char *)bytes, size) : NULL;

    if (text)
        add_text(out, name, text);
}

static void describe_attributes(GString *out, ByteReader *r)
{
    name_field(out, "valid");
    g_string_append_printf(out, "%#" G_GINT64_MODIFIER "x", read_u64(r));
    add_qid(out, r);
    add_octal(out, "mode", read_u32(r));
    add_id(out, "uid", read_u32(r));
    add_id(out, "gid", read_u32(r));
    add_number(out, "nlink", read_u64(r));
    read_u64(r); /* rdev */
    add_number(out, "size", read_u64(r));
}

void describe_reply(GString *out, uint8_t type, uint8_t *bytes, size_t size)
{
    ByteReader r = byte_reader(bytes, size);

    read_bytes(&r, P9_HEADER_SIZE);
    switch (type) {
    case P9_TVERSION:
        add_number(out, "msize", read_u32(&r));
        add_string(out, "version", &r);
        break;
    case P9_TWALK:
        add_qids(out, &r);
        break;
    case P9_TLOPEN:
    case P9_TLCREATE:
    case P9_TOPEN:
    case P9_TCREATE:
        add_qid(out, &r);
        add_number(out, "iounit", read_u32(&r));
        break;
    case P9_TATTACH:
    case P9_TMKDIR:
    case P9_TMKNOD:
    case P9_TSYMLINK:
        add_qid(out, &r);
        break;
    case P9_TREAD:
    case P9_TWRITE:
    case P9_TREADDIR:
        add_number(out, "count", read_u32(&r));
        break;
    case P9_TXATTRWALK:
        add_number(out, "size", read_u64(&r));
        break;
    case P9_TLOCK:
        add_number(out, "status", read_u8(&r));
        break;
    case P9_TREADLINK:
        add_string(out, "target", &r);
        break;
    case P9_TGETATTR:
        describe_attributes(out, &r);
        break;
    default:
        break;
    }
}
