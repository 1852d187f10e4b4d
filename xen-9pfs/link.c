/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Link: see link.h. */
#include "xen-9pfs/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* #syscalls close
 * send() is in sandbox.c, without an address, and recvmsg(), with the flags that it has here. */

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

/* The descriptor in `header`, of which there is one at most, or -1. */
static int passed_descriptor(struct msghdr *header)
{
    const struct cmsghdr *control = CMSG_FIRSTHDR(header);
    int fd = -1;

    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(control), sizeof(fd));
    return fd;
}

/* As recv(), with a descriptor if there is room for one. */
static ssize_t receive_packet(int fd, LinkMessage *message, int *passed)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec span = {.iov_base = message, .iov_len = sizeof(*message)};
    struct msghdr header = {.msg_iov = &span, .msg_iovlen = 1};
    ssize_t received;

    if (passed) {
        header.msg_control = &control;
        header.msg_controllen = sizeof(control);
    }
    received = recvmsg(fd, &header, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    if (passed)
        *passed = received >= 0 ? passed_descriptor(&header) : -1;
    return received;
}

int link_receive(int fd, LinkMessage *message, int *passed)
{
    ssize_t received = receive_packet(fd, message, passed);

    if (received < 0)
        return errno == ECONNRESET ? 0 : -errno;
    if (received > 0 && is_valid(message, (size_t)received)) {
        clear_unknown(message);
        message->setup.path[sizeof(message->setup.path) - 1] = '\0';
        message->text[sizeof(message->text) - 1] = '\0';
        return 1;
    }
    if (passed && *passed >= 0)
        close(*passed);
    if (passed)
        *passed = -1;
    return received == 0 ? 0 : -EPROTO;
}
