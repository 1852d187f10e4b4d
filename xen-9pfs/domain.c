/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domain: see domain.h. */
#include "xen-9pfs/domain.h"

#include <errno.h>
#include <glib.h>
#include <xenctrl.h>

#include "common/log.h"

struct DomainQuery {
    xc_interface *handle; /* NULL: no access */
};

DomainQuery *domain_query_new(void)
{
    DomainQuery *query = g_new0(DomainQuery, 1);

    query->handle = xc_interface_open(NULL, NULL, 0);
    if (query->handle == NULL)
        log_notice("no access to the hypervisor's list of domains (%s): xenstore alone will tell "
                   "when a guest is gone",
                   g_strerror(errno));
    return query;
}

void domain_query_free(DomainQuery *query)
{
    if (query->handle != NULL)
        xc_interface_close(query->handle);
    g_free(query);
}

/* The hypervisor answers with the first domain from `domid` on: any other than `domid` itself,
 * and none at all, mean that it is gone. */
DomainLife domain_query_life(const DomainQuery *query, uint32_t domid)
{
    xc_domaininfo_t info;
    int found;

    if (query->handle == NULL)
        return DOMAIN_UNKNOWN;
    found = xc_domain_getinfolist(query->handle, domid, 1, &info);
    if (found < 0)
        return DOMAIN_UNKNOWN;
    if (found == 0 || info.domain != domid || (info.flags & XEN_DOMINF_dying) != 0)
        return DOMAIN_DEAD;
    return DOMAIN_ALIVE;
}
