/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes: cursors over little-endian messages in private memory.
 *
 * A cursor remembers its first error and does nothing after it: a reader then returns zeros, a
 * writer drops what it is given. So a decoder or encoder is straight-line code, checked once at
 * its end. Nothing here reads or writes outside the span it was given.
 */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct ByteReader {
    uint8_t *next;
    size_t left;
    bool failed; /* something did not fit */
} ByteReader;

typedef struct ByteWriter {
    uint8_t *start;
    size_t used;
    size_t size;
    bool failed; /* something did not fit */
} ByteWriter;

static inline ByteReader byte_reader(void *bytes, size_t size)
{
    return (ByteReader){.next = bytes, .left = size};
}

/* Takes `size` bytes. Returns where they start, or NULL when fewer are left. */
static inline uint8_t *read_bytes(ByteReader *r, size_t size)
{
    uint8_t *bytes = r->next;

    if (r->failed || size > r->left) {
        r->failed = true;
        return NULL;
    }
    r->next += size;
    r->left -= size;
    return bytes;
}

static inline uint64_t read_little_endian(ByteReader *r, size_t size)
{
    const uint8_t *bytes = read_bytes(r, size);
    uint64_t value = 0;

    for (size_t i = 0; bytes && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static inline uint8_t read_u8(ByteReader *r)
{
    return (uint8_t)read_little_endian(r, 1);
}

static inline uint16_t read_u16(ByteReader *r)
{
    return (uint16_t)read_little_endian(r, 2);
}

static inline uint32_t read_u32(ByteReader *r)
{
    return (uint32_t)read_little_endian(r, 4);
}

static inline uint64_t read_u64(ByteReader *r)
{
    return read_little_endian(r, 8);
}

static inline ByteWriter byte_writer(void *bytes, size_t size)
{
    return (ByteWriter){.start = bytes, .size = size};
}

/* Reserves `size` bytes. Returns where they start, or NULL when they do not fit. */
static inline uint8_t *write_space(ByteWriter *w, size_t size)
{
    uint8_t *space = w->start + w->used;

    if (w->failed || size > w->size - w->used) {
        w->failed = true;
        return NULL;
    }
    w->used += size;
    return space;
}

static inline void write_bytes(ByteWriter *w, const void *bytes, size_t size)
{
    uint8_t *space = write_space(w, size);

    if (space && size > 0)
        memcpy(space, bytes, size);
}

static inline void write_little_endian(ByteWriter *w, uint64_t value, size_t size)
{
    uint8_t *space = write_space(w, size);

    for (size_t i = 0; space && i < size; i++)
        space[i] = (uint8_t)(value >> (8 * i));
}

static inline void write_u8(ByteWriter *w, uint8_t value)
{
    write_little_endian(w, value, 1);
}

static inline void write_u16(ByteWriter *w, uint16_t value)
{
    write_little_endian(w, value, 2);
}

static inline void write_u32(ByteWriter *w, uint32_t value)
{
    write_little_endian(w, value, 4);
}

static inline void write_u64(ByteWriter *w, uint64_t value)
{
    write_little_endian(w, value, 8);
}

#endif
