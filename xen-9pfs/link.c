/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Link: see link.h. */
#include "xen-9pfs/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* #syscalls recvfrom
 * send() is in sandbox.c, without an address. */

bool link_setup_equal(const LinkSetup *a, const LinkSetup *b)
{
    if (a->domid != b->domid || a->devid != b->devid || a->n_rings != b->n_rings)
        return false;
    for (uint32_t ring = 0; ring < a->n_rings && ring < LINK_MAX_RINGS; ring++) {
        if (a->ring_ref[ring] != b->ring_ref[ring] ||
            a->event_channel[ring] != b->event_channel[ring])
            return false;
    }
    return a->options.model == b->options.model && strcmp(a->path, b->path) == 0;
}

int link_send(int fd, const LinkMessage *message)
{
    ssize_t sent = send(fd, message, sizeof(*message), MSG_NOSIGNAL | MSG_DONTWAIT);

    return sent < 0 ? -errno : 0;
}

/* True when the packet is one that some version sends. */
static bool is_valid(const LinkMessage *message, size_t size)
{
    if (size < LINK_COMMON_SIZE || message->version < LINK_OLDEST)
        return false;
    return message->version != LINK_VERSION || size == sizeof(*message);
}

/* The rest of another version's message would be taken for something else. */
static void clear_unknown(LinkMessage *message)
{
    if (message->version != LINK_VERSION)
        memset((char *)message + LINK_COMMON_SIZE, 0, sizeof(*message) - LINK_COMMON_SIZE);
}

int link_receive(int fd, LinkMessage *message)
{
    ssize_t received = recv(fd, message, sizeof(*message), MSG_DONTWAIT | MSG_TRUNC);

    if (received == 0)
        return 0;
    if (received < 0)
        return errno == ECONNRESET ? 0 : -errno;
    if (!is_valid(message, (size_t)received))
        return -EPROTO;
    clear_unknown(message);
    message->setup.path[sizeof(message->setup.path) - 1] = '\0';
    message->text[sizeof(message->text) - 1] = '\0';
    return 1;
}
