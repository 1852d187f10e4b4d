/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xattr client: see xattr_client.h. */
#include "tests/lib/xattr_client.h"

#include <string.h>

/* Txattrwalk. Returns the size, or the error. */
ssize_t client_walk_xattr(Client *c, uint32_t fid, uint32_t newfid, const char *name)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TXATTRWALK, "dds", fid, newfid, name);
    ByteReader r;
    uint64_t size;

    if (error)
        return error;
    r = byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
    size = read_u64(&r);
    g_assert_false(r.failed);
    g_assert_cmpuint(r.left, ==, 0);
    return (ssize_t)size;
}

int client_create_xattr(Client *c, uint32_t fid, const char *name, uint64_t size, uint32_t flags)
{
    return client_call(c, NULL, P9_TXATTRCREATE, "dsqd", fid, name, size, flags);
}

/* Reads an attribute, or the list for "", as Linux does. Returns its size, or the error. */
ssize_t client_get_xattr(Client *c, uint32_t fid, const char *name, void *value, size_t room)
{
    ssize_t size = client_walk_xattr(c, fid, XATTR_FID, name);
    ssize_t done = 0;
    ssize_t got;

    if (size < 0)
        return size;
    g_assert_cmpuint((size_t)size, <=, room);
    while ((got = client_read(c, XATTR_FID, (uint64_t)done, (uint32_t)(room - (size_t)done),
                              (char *)value + done)) > 0)
        done += got;
    g_assert_cmpint(got, ==, 0);
    g_assert_cmpint(done, ==, size);
    g_assert_cmpint(client_clunk(c, XATTR_FID), ==, 0);
    return size;
}

/* Sets an attribute as Linux does. */
int client_set_xattr(Client *c, uint32_t fid, const char *name, const void *value, size_t size,
                     uint32_t flags)
{
    size_t done = 0;
    int error;

    g_assert_cmpint(client_walk(c, fid, XATTR_FID, "", NULL, NULL), ==, 0);
    error = client_create_xattr(c, XATTR_FID, name, size, flags);
    if (error) {
        g_assert_cmpint(client_clunk(c, XATTR_FID), ==, 0);
        return error;
    }
    while (done < size) {
        ssize_t put = client_write(c, XATTR_FID, done, (const char *)value + done,
                                   (uint32_t)MIN(size - done, 10000));
        g_assert_cmpint(put, >, 0);
        done += (size_t)put;
    }
    return client_clunk(c, XATTR_FID);
}

int client_remove_xattr(Client *c, uint32_t fid, const char *name)
{
    return client_set_xattr(c, fid, name, NULL, 0, P9_XATTR_REPLACE);
}

bool xattr_list_has(const char *list, ssize_t size, const char *name)
{
    for (ssize_t i = 0; i < size; i += (ssize_t)strlen(list + i) + 1) {
        if (g_str_equal(list + i, name))
            return true;
    }
    return false;
}
