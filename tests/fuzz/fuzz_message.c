/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages made by chance; see fuzz.h. */
#include <string.h>

#include "protocol/wire.h"
#include "tests/fuzz/fuzz.h"

uint64_t fuzz_number(FuzzInput *input, unsigned n_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n_bytes && input->left > 0; i++, input->left--)
        value |= (uint64_t)*input->next++ << (8 * i);
    return value;
}

unsigned fuzz_pick(FuzzInput *input, unsigned n)
{
    return (unsigned)fuzz_number(input, n > 256 ? 2 : 1) % n;
}

bool fuzz_chance(FuzzInput *input, unsigned n)
{
    return fuzz_pick(input, n) == n - 1;
}

/*
 * What a body is made of, a letter each:
 *     f   a fid                       n   a name of one component
 *     b w d q   1, 2, 4, 8 bytes      p   a text that may have slashes
 *     m   a file mode                 o   an offset or a small count
 *     u   a user or group             W   names to walk
 *     D   data behind its count       S   a stat record behind its size
 *     v   a dialect                   a   the name of an attribute
 */
typedef struct Shape {
    uint8_t type;
    const char *body;
} Shape;

static const Shape shapes[] = {
    {P9_TSTATFS, "f"},         {P9_TLOPEN, "fd"},       {P9_TLCREATE, "fndmu"},
    {P9_TSYMLINK, "fnpu"},     {P9_TMKNOD, "fnmddu"},   {P9_TRENAME, "ffn"},
    {P9_TREADLINK, "f"},       {P9_TGETATTR, "fq"},     {P9_TSETATTR, "fdmuuooooo"},
    {P9_TXATTRWALK, "ffa"},    {P9_TXATTRCREATE, "faod"}, {P9_TREADDIR, "fol"},
    {P9_TFSYNC, "fd"},         {P9_TLOCK, "fbdoodp"},   {P9_TGETLOCK, "fboodp"},
    {P9_TLINK, "ffn"},         {P9_TMKDIR, "fnmu"},     {P9_TRENAMEAT, "fnfn"},
    {P9_TUNLINKAT, "fnd"},     {P9_TVERSION, "dv"},     {P9_TAUTH, "fppu"},
    {P9_TATTACH, "ffppu"},     {P9_TFLUSH, "w"},        {P9_TWALK, "ffW"},
    {P9_TOPEN, "fb"},          {P9_TCREATE, "fndbp"},   {P9_TREAD, "fol"},
    {P9_TWRITE, "foD"},        {P9_TCLUNK, "f"},        {P9_TREMOVE, "f"},
    {P9_TSTAT, "f"},           {P9_TWSTAT, "fS"},       {P9_RLERROR, "d"},
};

static void put_number(GByteArray *message, uint64_t value, unsigned n_bytes)
{
    uint8_t bytes[sizeof(value)];

    for (unsigned i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    g_byte_array_append(message, bytes, n_bytes);
}

static void put_string(GByteArray *message, const char *text)
{
    put_number(message, strlen(text), 2);
    g_byte_array_append(message, (const uint8_t *)text, (guint)strlen(text));
}

static void put_one_of(FuzzInput *input, GByteArray *message, const char *const texts[], unsigned n)
{
    static char long_name[301];

    if (fuzz_chance(input, 60)) {
        memset(long_name, 'l', sizeof(long_name) - 1 - fuzz_pick(input, 60));
        put_string(message, long_name);
    } else {
        put_string(message, texts[fuzz_pick(input, n)]);
    }
}

static void put_name(FuzzInput *input, GByteArray *message)
{
    static const char *const names[] = {
        "a", "b",  "c", "dir", "dir",  "file", "link", "away", "outside", "new",
        "",  "..", ".", "x/y", "/etc", "\xff\x01", ".virtfs_metadata", ".virtfs_metadata_root",
    };

    put_one_of(input, message, names, G_N_ELEMENTS(names));
}

static void put_text(FuzzInput *input, GByteArray *message)
{
    static const char *const texts[] = {
        "", "root", "/", "dir", "../outside", "/etc/passwd", "a/../../outside", "c 1 3", "b 7 0", "3", "1000", "client",
    };

    put_one_of(input, message, texts, G_N_ELEMENTS(texts));
}

static void put_attribute(FuzzInput *input, GByteArray *message)
{
    static const char *const names[] = {
        "", "user.a", "user.b", "user.virtfs.uid", "user.virtfs.mode", "security.capability", "trusted.a",
        "system.posix_acl_access", "system.posix_acl_default", "unknown", "user.",
    };

    put_one_of(input, message, names, G_N_ELEMENTS(names));
}

static void put_dialect(FuzzInput *input, GByteArray *message)
{
    static const char *const dialects[] = {"9P2000.L", "9P2000.L", "9P2000.u", "9P2000.u", "9P2000", "9P", ""};

    put_string(message, dialects[fuzz_pick(input, G_N_ELEMENTS(dialects))]);
}

static uint32_t some_mode(FuzzInput *input)
{
    static const uint32_t types[] = {0, 0100000, 0040000, 0010000, 0140000, 0020000, 0060000, 0120000};

    return types[fuzz_pick(input, G_N_ELEMENTS(types))] | (uint32_t)(fuzz_number(input, 2) & 07777);
}

static uint64_t some_offset(FuzzInput *input)
{
    switch (fuzz_pick(input, 8)) {
    case 0:
        return fuzz_number(input, 8);
    case 1:
        return UINT64_MAX - fuzz_pick(input, 4);
    case 2:
        return INT64_MAX - fuzz_pick(input, 4);
    default:
        return fuzz_number(input, 2);
    }
}

static uint32_t some_fid(FuzzInput *input)
{
    unsigned pick = fuzz_pick(input, 12);

    return pick < 10 ? pick : pick == 10 ? P9_NOFID : (uint32_t)fuzz_number(input, 4);
}

static void put_names(FuzzInput *input, GByteArray *message)
{
    unsigned n = fuzz_pick(input, fuzz_chance(input, 16) ? 18 : 4);

    put_number(message, n, 2);
    for (unsigned i = 0; i < n; i++)
        put_name(input, message);
}

static void put_data(FuzzInput *input, GByteArray *message)
{
    unsigned n = fuzz_chance(input, 8) ? fuzz_pick(input, 9000) : fuzz_pick(input, 40);
    guint start;

    put_number(message, n, 4);
    start = message->len;
    g_byte_array_set_size(message, start + n);
    if (n > 0)
        memset(message->data + start, (int)n, n);
}

static void set_number(GByteArray *message, unsigned at, unsigned n_bytes, size_t size)
{
    for (unsigned i = 0; i < n_bytes; i++)
        message->data[at + i] = (uint8_t)(size >> (8 * i));
}

/* Either "leave it" or a value, as Twstat has it. */
static void put_wish(FuzzInput *input, GByteArray *message, unsigned n_bytes)
{
    put_number(message, fuzz_chance(input, 3) ? fuzz_number(input, n_bytes) : UINT64_MAX, n_bytes);
}

static void put_stat(FuzzInput *input, GByteArray *message)
{
    static const uint8_t lengths[] = {2, 4, 1, 4, 8, 4, 4, 4, 8}; /* type ... length */
    guint start = message->len;

    put_number(message, 0, 4);
    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++)
        put_wish(input, message, lengths[i]);
    for (unsigned i = 0; i < 4; i++) { /* name uid gid muid */
        if (fuzz_chance(input, 3))
            put_name(input, message);
        else
            put_number(message, 0, 2);
    }
    if (!fuzz_chance(input, 4)) { /* what 9P2000.u has more */
        put_text(input, message);
        for (unsigned i = 0; i < 3; i++)
            put_wish(input, message, 4);
    }
    set_number(message, start, 2, message->len - start - 2);
    set_number(message, start + 2, 2, message->len - start - 4);
}

static void put_field(FuzzInput *input, GByteArray *message, char kind)
{
    switch (kind) {
    case 'f':
        return put_number(message, some_fid(input), 4);
    case 'b':
        return put_number(message, fuzz_number(input, 1), 1);
    case 'w':
        return put_number(message, fuzz_pick(input, 12), 2);
    case 'd':
        return put_number(message, fuzz_number(input, fuzz_chance(input, 3) ? 4 : 1), 4);
    case 'l':
        return put_number(message, fuzz_number(input, fuzz_chance(input, 8) ? 4 : 2), 4);
    case 'q':
        return put_number(message, fuzz_number(input, 8), 8);
    case 'm':
        return put_number(message, some_mode(input), 4);
    case 'u':
        return put_number(message, fuzz_chance(input, 3) ? fuzz_number(input, 4) : 1000, 4);
    case 'o':
        return put_number(message, some_offset(input), 8);
    case 'n':
        return put_name(input, message);
    case 'p':
        return put_text(input, message);
    case 'a':
        return put_attribute(input, message);
    case 'v':
        return put_dialect(input, message);
    case 'W':
        return put_names(input, message);
    case 'D':
        return put_data(input, message);
    case 'S':
        return put_stat(input, message);
    default:
        g_assert_not_reached();
    }
}

/* Changes a few bytes of the body, or its length. */
static void spoil(FuzzInput *input, GByteArray *message)
{
    guint body = message->len - P9_HEADER_SIZE;

    if (body == 0 || fuzz_chance(input, 3)) {
        for (unsigned n = fuzz_pick(input, 8); n > 0; n--)
            put_number(message, fuzz_number(input, 1), 1);
    } else if (fuzz_chance(input, 3)) {
        g_byte_array_set_size(message, P9_HEADER_SIZE + fuzz_pick(input, body));
    } else {
        for (unsigned n = 1 + fuzz_pick(input, 4); n > 0; n--)
            message->data[P9_HEADER_SIZE + fuzz_pick(input, body)] = (uint8_t)fuzz_number(input, 1);
    }
}

void fuzz_message(FuzzInput *input, GByteArray *message)
{
    const Shape *shape = &shapes[fuzz_pick(input, G_N_ELEMENTS(shapes))];
    uint8_t type = fuzz_chance(input, 100) ? (uint8_t)fuzz_number(input, 1) : shape->type;

    g_byte_array_set_size(message, P9_HEADER_SIZE);
    for (const char *kind = shape->body; *kind; kind++)
        put_field(input, message, *kind);
    if (fuzz_chance(input, 20))
        spoil(input, message);
    set_number(message, 0, 4, message->len);
    message->data[4] = type;
    set_number(message, 5, 2, fuzz_pick(input, 12));
}
