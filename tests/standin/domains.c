/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains: which there are and how they are; see standin.h for what tests are promised. */
#include "tests/standin/broker.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static GHashTable *domains; /* domid -> Domain */

Domain *domain_find(uint32_t domid)
{
    return g_hash_table_lookup(domains, GUINT_TO_POINTER(domid));
}

Domain *domain_ref(Domain *domain)
{
    domain->references++;
    return domain;
}

void domain_unref(Domain *domain)
{
    if (--domain->references > 0)
        return;
    close(domain->memory_fd);
    g_free(domain->frames);
    g_free(domain);
}

static void destroy_domain(void *domain)
{
    domain_unref(domain);
}

static void domain_add(uint32_t domid)
{
    Domain *domain = g_new0(Domain, 1);

    domain->references = 1;
    domain->domid = domid;
    domain->state = STANDIN_RUNNING;
    domain->frames = g_new0(Frame, DOMAIN_FRAMES);
    domain->memory_fd = memfd_create("domain", MFD_CLOEXEC);
    if (ftruncate(domain->memory_fd, (off_t)DOMAIN_FRAMES * DOMAIN_PAGE_SIZE) != 0)
        g_error("cannot make the memory of domain %u", domid);
    g_hash_table_insert(domains, GUINT_TO_POINTER(domid), domain);
}

/* The nodes of a new domain: it may read its home, and write where toolstacks let it. A driver
 * domain may also write what its backends need. */
static void make_home(uint32_t domid, bool driver)
{
    static const char *const readable[] = {"device", "control"};
    static const char *const writable[] = {"data",  "drivers", "feature", "attr",
                                           "error", "backend", "libxl"};
    unsigned n_writable = G_N_ELEMENTS(writable) - (driver ? 0 : 2);
    g_autofree char *home = g_strdup_printf("/local/domain/%u", domid);
    g_autofree char *domid_path = g_strdup_printf("%s/domid", home);
    g_autofree char *name_path = g_strdup_printf("%s/name", home);
    g_autofree char *domid_text = g_strdup_printf("%u", domid);
    g_autofree char *name = g_strdup_printf(domid ? "guest-%u" : "Domain-%u", domid);

    xenstored_make_node(home, "", 0, domid);
    xenstored_make_node(domid_path, domid_text, 0, domid);
    xenstored_make_node(name_path, name, 0, domid);
    for (unsigned i = 0; i < G_N_ELEMENTS(readable); i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", home, readable[i]);
        xenstored_make_node(path, "", 0, domid);
    }
    for (unsigned i = 0; i < n_writable; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", home, writable[i]);
        xenstored_make_node(path, "", domid, domid);
    }
}

void domains_init(void)
{
    domains = g_hash_table_new_full(NULL, NULL, NULL, destroy_domain);
    domain_add(0);
    make_home(0, true);
}

void domain_check_gone(Domain *domain)
{
    if (domain->state != STANDIN_DYING || domain->mapped_pages > 0 ||
        domain_find(domain->domid) != domain)
        return;
    g_hash_table_remove(domains, GUINT_TO_POINTER(domain->domid));
    xenstored_fire_special("@releaseDomain");
}

int handle_domain_create(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    uint32_t domid = message->args[0];

    (void)client;
    (void)in_fd;
    (void)out_fd;
    if (domain_find(domid))
        return -EEXIST;
    domain_add(domid);
    make_home(domid, message->args[1]);
    xenstored_fire_special("@introduceDomain");
    return 0;
}

int handle_domain_set_state(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    Domain *domain = domain_find(message->args[0]);

    (void)client;
    (void)in_fd;
    (void)out_fd;
    if (!domain)
        return -ESRCH;
    domain->state = message->args[1];
    if (domain->state == STANDIN_DYING) {
        events_close_domain(domain->domid);
        grants_revoke_domain(domain);
    }
    if (domain->state == STANDIN_DYING || domain->state == STANDIN_SHUTDOWN)
        xenstored_fire_special("@releaseDomain");
    domain_check_gone(domain);
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t left = GPOINTER_TO_UINT(a);
    uint32_t right = GPOINTER_TO_UINT(b);

    return (left > right) - (left < right);
}

int handle_domains(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    g_autoptr(GList) ids = g_list_sort(g_hash_table_get_keys(domains), compare_ids);
    uint32_t first = message->args[0];

    (void)client;
    (void)in_fd;
    (void)out_fd;
    message->size = 0;
    for (GList *item = ids; item; item = item->next) {
        Domain *domain = domain_find(GPOINTER_TO_UINT(item->data));
        uint32_t entry[2] = {domain->domid, domain->state};

        if (domain->domid >= first)
            wire_append(message, entry, sizeof(entry));
    }
    return 0;
}
