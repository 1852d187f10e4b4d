/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wire: see wire.h. */
#include "tests/standin/wire.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEADER_SIZE = offsetof(WireMessage, payload) };

void wire_init(WireMessage *message, WireOp op)
{
    memset(message, 0, HEADER_SIZE);
    message->op = op;
}

bool wire_append(WireMessage *message, const void *data, size_t size)
{
    if (size > sizeof(message->payload) - message->size)
        return false;
    if (size > 0)
        memcpy(message->payload + message->size, data, size);
    message->size += (uint32_t)size;
    return true;
}

bool wire_reply_has_fd(WireOp op)
{
    switch (op) {
    case WIRE_HELLO:
    case WIRE_SHARE:
    case WIRE_MAP:
    case WIRE_BIND_INTERDOMAIN:
    case WIRE_PEER:
        return true;
    default:
        return false;
    }
}

/* A buffer for one descriptor, aligned as a control message must be. */
typedef union FdControl {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
} FdControl;

static int send_with_fd(int sock, const WireMessage *message, size_t size, int fd)
{
    FdControl control = {0};
    struct iovec iov = {.iov_base = (void *)message, .iov_len = size};
    struct msghdr header = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);

    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(item), &fd, sizeof(int));
    return sendmsg(sock, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int wire_send(int sock, const WireMessage *message, int fd)
{
    size_t size = HEADER_SIZE + message->size;
    ssize_t sent;

    if (fd >= 0)
        return send_with_fd(sock, message, size, fd);
    do {
        sent = write(sock, message, size);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static ssize_t receive_with_fd(int sock, WireMessage *message, int *fd)
{
    FdControl control = {0};
    struct iovec iov = {.iov_base = message, .iov_len = sizeof(*message)};
    struct msghdr header = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t received = recvmsg(sock, &header, MSG_CMSG_CLOEXEC);
    struct cmsghdr *item;

    if (received < 0)
        return received;
    item = CMSG_FIRSTHDR(&header);
    if (item && item->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(item), sizeof(int));
    return received;
}

int wire_receive(int sock, WireMessage *message, int *fd)
{
    ssize_t received;

    if (fd)
        *fd = -1;
    do {
        received = fd ? receive_with_fd(sock, message, fd) : read(sock, message, sizeof(*message));
    } while (received < 0 && errno == EINTR);
    if (received < 0)
        return errno == ECONNRESET ? 0 : -errno;
    if (received == 0)
        return 0;
    if (received < HEADER_SIZE || (size_t)received != HEADER_SIZE + (size_t)message->size)
        return -EPROTO;
    return 1;
}
