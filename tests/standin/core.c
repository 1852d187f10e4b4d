/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Core: see core.h. */
#include "tests/standin/core.h"
#include "tests/standin/standin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static __thread struct {
    bool set;
    uint32_t domid;
} thread_domain;

void standin_set_domid(uint32_t domid)
{
    thread_domain.set = true;
    thread_domain.domid = domid;
}

uint32_t standin_domid(void)
{
    const char *text;

    if (thread_domain.set)
        return thread_domain.domid;
    text = getenv(STANDIN_ENV_DOMID);
    return text ? (uint32_t)strtoul(text, NULL, 0) : 0;
}

static int connect_to_broker(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv(STANDIN_ENV_SOCKET);
    int sock;

    if (!path || strlen(path) >= sizeof(address.sun_path)) {
        errno = ENOENT;
        return -1;
    }
    strcpy(address.sun_path, path);
    sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock >= 0 && connect(sock, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;
        close(sock);
        errno = error;
        sock = -1;
    }
    return sock;
}

/* Says hello and maps the shared state. */
static int handle_greet(CoreHandle *handle)
{
    int fd = -1;
    int result;
    void *address;

    core_begin(handle, WIRE_HELLO)->args[0] = handle->domid;
    result = core_exchange(handle, -1, &fd);
    core_end(handle);
    if (result != 0)
        return -1;
    address = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (address == MAP_FAILED)
        return -1;
    handle->shared = address;
    return 0;
}

CoreHandle *core_open(const char *function)
{
    CoreHandle *handle;
    int sock = connect_to_broker();

    if (sock < 0)
        return NULL;
    handle = g_new0(CoreHandle, 1);
    handle->sock = sock;
    handle->domid = standin_domid();
    handle->message = g_new(WireMessage, 1);
    g_mutex_init(&handle->lock);
    if (handle_greet(handle) != 0 || core_fault(handle, function)) {
        int error = errno;
        core_close(handle);
        errno = error;
        return NULL;
    }
    return handle;
}

void core_close(CoreHandle *handle)
{
    close(handle->sock);
    if (handle->shared)
        munmap(handle->shared, sizeof(Shared));
    g_mutex_clear(&handle->lock);
    g_free(handle->message);
    g_free(handle);
}

WireMessage *core_begin(CoreHandle *handle, WireOp op)
{
    g_mutex_lock(&handle->lock);
    wire_init(handle->message, op);
    return handle->message;
}

void core_end(CoreHandle *handle)
{
    int error = errno;

    g_mutex_unlock(&handle->lock);
    errno = error;
}

int core_exchange(CoreHandle *handle, int send_fd, int *fd)
{
    WireMessage *message = handle->message;
    int result = wire_send(handle->sock, message, send_fd);

    if (result == 0)
        result = wire_receive(handle->sock, message, fd);
    if (result == 1 && message->error == 0)
        return 0;
    errno = result == 1 ? message->error : result == 0 ? EPIPE : -result;
    return -1;
}

int core_call(CoreHandle *handle, WireOp op, uint32_t arg0, uint32_t arg1, uint32_t *result)
{
    WireMessage *message = core_begin(handle, op);
    int error;

    message->args[0] = arg0;
    message->args[1] = arg1;
    error = core_exchange(handle, -1, NULL);
    if (error == 0 && result)
        *result = message->args[0];
    core_end(handle);
    return error;
}

bool core_fault(CoreHandle *handle, const char *function)
{
    int error;

    if (!shared_fault_take(handle->shared, function, &error))
        return false;
    errno = error;
    return true;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void core_charge_notify(void)
{
    static _Atomic int64_t charge_ns = -1;
    int64_t charge = atomic_load_explicit(&charge_ns, memory_order_relaxed);

    if (charge < 0) {
        const char *text = getenv(STANDIN_ENV_NOTIFY_US);
        charge = text ? (int64_t)(g_ascii_strtod(text, NULL) * 1000) : 0;
        atomic_store_explicit(&charge_ns, charge, memory_order_relaxed);
    }
    if (charge > 0) {
        int64_t end = now_ns() + charge;
        while (now_ns() < end)
            ;
    }
}

_Noreturn void core_unsupported(const char *function)
{
    fprintf(stderr, "xen-standin: %s() has no stand-in\n", function);
    abort();
}
