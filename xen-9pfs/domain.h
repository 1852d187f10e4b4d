/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Domain: asks the hypervisor whether a domain still lives.
 *
 * A driver domain may not ask; then every answer is DOMAIN_UNKNOWN and xenstore alone tells when
 * a device ends. The supervisor's thread only.
 */
#ifndef XEN_9PFS_DOMAIN_H
#define XEN_9PFS_DOMAIN_H

#include <stdint.h>

typedef struct DomainQuery DomainQuery;

typedef enum DomainLife {
    DOMAIN_UNKNOWN, /* the hypervisor does not say */
    DOMAIN_ALIVE,
    DOMAIN_DEAD, /* dying, or gone already */
} DomainLife;

/* Never fails: without access to the hypervisor the query answers DOMAIN_UNKNOWN. */
DomainQuery *domain_query_new(void);
void domain_query_free(DomainQuery *query);

DomainLife domain_query_life(const DomainQuery *query, uint32_t domid);

#endif
