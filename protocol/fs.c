/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fs: reference counts of nodes and files, see fs.h. */
#include "protocol/fs.h"

#include <sys/stat.h>

void fs_node_init(FsNode *node, Fs *fs, FsClass class, mode_t mode)
{
    node->fs = fs;
    node->class = class;
    node->type = mode & S_IFMT;
    g_atomic_ref_count_init(&node->refs);
}

mode_t fs_mode_without_setid(mode_t mode)
{
    if (mode & S_IXGRP)
        mode &= ~(mode_t)S_ISGID;
    return mode & ~(mode_t)S_ISUID;
}

FsNode *fs_node_ref(FsNode *node)
{
    g_atomic_ref_count_inc(&node->refs);
    return node;
}

void fs_node_unref(FsNode *node)
{
    if (node && g_atomic_ref_count_dec(&node->refs))
        node->fs->ops->node_free(node);
}

int fs_node_hold(FsNode *node, bool nowait)
{
    int error;

    if (!g_atomic_int_get(&node->recent))
        g_atomic_int_set(&node->recent, 1);
    if (!(g_atomic_int_add(&node->holds, 1) & FS_NODE_AWAY))
        return 0;
    error = node->fs->ops->recall(node, nowait);
    if (error)
        fs_node_let_go(node);
    return error;
}

void fs_node_let_go(FsNode *node)
{
    g_atomic_int_add(&node->holds, -1);
}

void fs_node_settle(FsNode *node)
{
    if (node->fs->ops->settle && !g_atomic_int_get(&node->settled))
        node->fs->ops->settle(node);
}

void fs_file_init(FsFile *file, FsNode *node)
{
    file->node = fs_node_ref(node);
    g_atomic_ref_count_init(&file->refs);
}

FsFile *fs_file_ref(FsFile *file)
{
    g_atomic_ref_count_inc(&file->refs);
    return file;
}

void fs_file_unref(FsFile *file)
{
    FsNode *node;

    if (!file || !g_atomic_ref_count_dec(&file->refs))
        return;
    node = file->node;
    node->fs->ops->file_free(file);
    fs_node_unref(node);
}
