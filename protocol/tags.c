/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tags: see tags.h. The slots are mapped, so that a page exists only once a tag on it was used. */
#include "protocol/tags.h"

#include <glib.h>
#include <sys/mman.h>

#include "protocol/request.h"

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

void tag_table_add(TagTable *table, Request *request)
{
    Request **newest = &table->newest[request->t.tag % TAG_LOCKS];

    request->listed = true;
    request->older = *newest;
    if (request->older)
        request->older->newer = request;
    *newest = request;
}

void tag_table_remove(TagTable *table, Request *request)
{
    if (!request->listed)
        return;
    request->listed = false;
    if (request->newer)
        request->newer->older = request->older;
    else
        table->newest[request->t.tag % TAG_LOCKS] = request->older;
    if (request->older)
        request->older->newer = request->newer;
    request->older = request->newer = NULL;
}
