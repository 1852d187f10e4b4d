/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-in for what is used of libxenctrl: which domains there are and how they are.
 *
 * The library's interface changes with each release of Xen, so functions that came or went are
 * built only when the installed library has them: HAVE_... says so, made from its symbols.
 */
#include "tests/standin/core.h"
#include "tests/standin/standin.h"
#include "xenctrl-symbols.h"

#include <errno.h>
#include <string.h>
#include <xenctrl.h>

struct xc_interface_core {
    CoreHandle *core;
};

typedef struct Domain {
    uint32_t domid;
    uint32_t state; /* StandinDomainState */
} Domain;

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger,
                                unsigned open_flags)
{
    CoreHandle *core = core_open(__func__);
    xc_interface *xch;

    (void)logger;
    (void)dombuild_logger;
    (void)open_flags;
    if (!core)
        return NULL;
    xch = g_new0(xc_interface, 1);
    xch->core = core;
    return xch;
}

int xc_interface_close(xc_interface *xch)
{
    if (!xch)
        return 0;
    core_close(xch->core);
    g_free(xch);
    return 0;
}

/* All domains with at least the id `first`, in order; to be freed. Returns how many, or -1. */
static int list_domains(xc_interface *xch, uint32_t first, Domain **list)
{
    WireMessage *message = core_begin(xch->core, WIRE_DOMAINS);
    int count = -1;

    message->args[0] = first;
    if (core_exchange(xch->core, -1, NULL) == 0) {
        count = (int)(message->size / sizeof(Domain));
        *list = g_memdup2(message->payload, message->size);
    }
    core_end(xch->core);
    return count;
}

static uint32_t domain_flags(const Domain *domain)
{
    switch ((StandinDomainState)domain->state) {
    case STANDIN_PAUSED:
        return XEN_DOMINF_paused;
    case STANDIN_SHUTDOWN:
        return XEN_DOMINF_shutdown;
    case STANDIN_DYING:
        return XEN_DOMINF_dying;
    case STANDIN_RUNNING:
        break;
    }
    return XEN_DOMINF_running;
}

static void fill_info(xc_domaininfo_t *info, const Domain *domain)
{
    memset(info, 0, sizeof(*info));
    info->domain = (domid_t)domain->domid;
    info->flags = domain_flags(domain);
    info->nr_online_vcpus = 1;
}

int xc_domain_getinfolist(xc_interface *xch, uint32_t first_domain, unsigned int max_domains,
                          xc_domaininfo_t *info)
{
    g_autofree Domain *list = NULL;
    int count;

    if (core_fault(xch->core, __func__))
        return -1;
    count = list_domains(xch, first_domain, &list);
    for (int i = 0; i < count && i < (int)max_domains; i++)
        fill_info(&info[i], &list[i]);
    return MIN(count, (int)max_domains);
}

#ifdef HAVE_xc_domain_getinfo_single
int xc_domain_getinfo_single(xc_interface *xch, uint32_t domid, xc_domaininfo_t *info)
{
    g_autofree Domain *list = NULL;
    int count;

    if (core_fault(xch->core, __func__))
        return -1;
    count = list_domains(xch, domid, &list);
    if (count < 1 || list[0].domid != domid) {
        errno = count < 0 ? errno : ESRCH;
        return -1;
    }
    if (info)
        fill_info(info, &list[0]);
    return 0;
}
#endif

#ifdef HAVE_xc_domain_getinfo
int xc_domain_getinfo(xc_interface *xch, uint32_t first_domid, unsigned int max_doms,
                      xc_dominfo_t *info)
{
    g_autofree Domain *list = NULL;
    int count;

    if (core_fault(xch->core, __func__))
        return -1;
    count = list_domains(xch, first_domid, &list);
    for (int i = 0; i < count && i < (int)max_doms; i++) {
        memset(&info[i], 0, sizeof(info[i]));
        info[i].domid = list[i].domid;
        info[i].running = list[i].state == STANDIN_RUNNING;
        info[i].paused = list[i].state == STANDIN_PAUSED;
        info[i].shutdown = list[i].state == STANDIN_SHUTDOWN;
        info[i].dying = list[i].state == STANDIN_DYING;
    }
    if (count == 0) {
        errno = ESRCH;
        return -1;
    }
    return MIN(count, (int)max_doms);
}
#endif
