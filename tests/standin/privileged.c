/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-ins for libxenforeignmemory and libxendevicemodel, which QEMU opens when it starts for Xen and
 * does not use for a 9pfs device: they open, and nothing else. Linked into both libraries.
 */
#include <stdlib.h>

#include <xentoollog.h>

#include <xendevicemodel.h>
#include <xenforeignmemory.h>

/* What a handle points to. */
static char nothing;

xenforeignmemory_handle *xenforeignmemory_open(xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    return (xenforeignmemory_handle *)(void *)&nothing;
}

int xenforeignmemory_close(xenforeignmemory_handle *fmem)
{
    (void)fmem;
    return 0;
}

xendevicemodel_handle *xendevicemodel_open(xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    return (xendevicemodel_handle *)(void *)&nothing;
}

int xendevicemodel_close(xendevicemodel_handle *dmod)
{
    (void)dmod;
    return 0;
}
