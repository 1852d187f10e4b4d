/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inode set: see inode_set.h. Slots are found by linear probing and never emptied again. */
#include "protocol/inode_set.h"

#include <glib.h>

enum { FIRST_SLOTS = 64, INODES_IN_SLOT = 64 };

/* The inodes group * 64 ... group * 64 + 63 of one device. An unused slot is all zeros. */
typedef struct Slot {
    uint64_t device;
    uint64_t group;
    uint64_t bits;
} Slot;

struct InodeSet {
    Slot *slots;
    size_t n_slots; /* a power of two */
    size_t n_used;
};

InodeSet *inode_set_new(void)
{
    InodeSet *set = g_new0(InodeSet, 1);

    set->n_slots = FIRST_SLOTS;
    set->slots = g_new0(Slot, set->n_slots);
    return set;
}

void inode_set_free(InodeSet *set)
{
    if (!set)
        return;
    g_free(set->slots);
    g_free(set);
}

/* A group number has six bits less than an inode number; the top one says that there is one. */
static uint64_t group_of(uint64_t inode)
{
    return inode / INODES_IN_SLOT | 1ULL << 63;
}

static uint64_t bit_of(uint64_t inode)
{
    return 1ULL << (inode % INODES_IN_SLOT);
}

/* The slot of a group, or the free one where it belongs. */
static Slot *find_slot(Slot *slots, size_t n_slots, uint64_t device, uint64_t group)
{
    uint64_t hash = (group ^ device * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;
    size_t i = (size_t)(hash ^ hash >> 32) & (n_slots - 1);

    while (slots[i].group != 0 && (slots[i].group != group || slots[i].device != device))
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static void grow(InodeSet *set)
{
    size_t n_slots = set->n_slots * 2;
    Slot *slots = g_new0(Slot, n_slots);

    for (size_t i = 0; i < set->n_slots; i++) {
        const Slot *old = &set->slots[i];
        if (old->group != 0)
            *find_slot(slots, n_slots, old->device, old->group) = *old;
    }
    g_free(set->slots);
    set->slots = slots;
    set->n_slots = n_slots;
}

bool inode_set_add(InodeSet *set, uint64_t device, uint64_t inode)
{
    Slot *slot = find_slot(set->slots, set->n_slots, device, group_of(inode));

    if (slot->group == 0) {
        if ((set->n_used + 1) * 4 > set->n_slots * 3) {
            grow(set);
            slot = find_slot(set->slots, set->n_slots, device, group_of(inode));
        }
        *slot = (Slot){.device = device, .group = group_of(inode)};
        set->n_used++;
    }
    if (slot->bits & bit_of(inode))
        return false;
    slot->bits |= bit_of(inode);
    return true;
}

bool inode_set_remove(InodeSet *set, uint64_t device, uint64_t inode)
{
    Slot *slot = find_slot(set->slots, set->n_slots, device, group_of(inode));

    if (!(slot->bits & bit_of(inode)))
        return false;
    slot->bits &= ~bit_of(inode);
    return true;
}

bool inode_set_has(const InodeSet *set, uint64_t device, uint64_t inode)
{
    return find_slot(set->slots, set->n_slots, device, group_of(inode))->bits & bit_of(inode);
}

size_t inode_set_memory(const InodeSet *set)
{
    return set->n_slots * sizeof(Slot);
}
