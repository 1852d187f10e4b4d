/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tags: see tags.h. The slots are mapped, so that a page exists only once a tag on it was used. */
#include "protocol/tags.h"

#include <glib.h>
#include <sys/mman.h>

void tag_table_init(TagTable *table)
{
    void *slots = mmap(NULL, TAG_COUNT * sizeof(Request *), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (slots == MAP_FAILED)
        g_error("no memory for the tag table");
    table->slots = slots;
    for (unsigned i = 0; i < TAG_LOCKS; i++)
        pthread_mutex_init(&table->locks[i], NULL);
}

void tag_table_deinit(TagTable *table)
{
    for (unsigned i = 0; i < TAG_LOCKS; i++)
        pthread_mutex_destroy(&table->locks[i]);
    munmap(table->slots, TAG_COUNT * sizeof(Request *));
}
