/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dir stream: see dir_stream.h.
 *
 * A read has two halves: the file system hands out names until as many as can fit are there, then
 * each is looked at and described. One that is gone by then is left out, and so is one that the
 * export's options keep from being served.
 */
#include "protocol/dir_stream.h"

#include <errno.h>
#include <pthread.h>

#include "protocol/interrupt.h"

enum { NAMES_AT_ONCE = 4096 };

typedef struct Position {
    uint64_t bytes; /* of the records before */
    uint64_t entry; /* the file system's offset of the next one */
} Position;

struct DirStream {
    FsFile *dir; /* borrowed from the fid */
    bool is_top;
    Dialect dialect;
    const ExportOptions *options;
    pthread_mutex_t lock; /* guards: */
    Position last;        /* where the last read began */
    Position now;         /* and where it ended */
};

/* A name that the file system has handed out. */
typedef struct Name {
    uint64_t next; /* offset behind it */
    char text[];
} Name;

/* A step through the directory, of at most `limit` bytes of records. */
typedef struct Step {
    DirStream *stream;
    size_t limit;
    ByteWriter *w; /* NULL to pass over the records */
    GPtrArray *names;
    size_t names_size; /* bytes of records, theirs included, at least */
} Step;

DirStream *dir_stream_new(FsFile *dir, bool is_top, Dialect dialect, const ExportOptions *options)
{
    DirStream *stream = g_new0(DirStream, 1);

    stream->dir = dir;
    stream->is_top = is_top;
    stream->dialect = dialect;
    stream->options = options;
    pthread_mutex_init(&stream->lock, NULL);
    return stream;
}

void dir_stream_free(DirStream *stream)
{
    if (!stream)
        return;
    pthread_mutex_destroy(&stream->lock);
    g_free(stream);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Takes names while their records might fit, and one more. */
static bool take_name(void *context, const FsEntry *entry)
{
    Step *step = context;
    size_t length = strlen(entry->name);
    Name *name;

    if (step->names_size > step->limit || step->names->len == NAMES_AT_ONCE)
        return false;
    name = g_malloc(sizeof(Name) + length + 1);
    name->next = entry->next;
    memcpy(name->text, entry->name, length + 1);
    g_ptr_array_add(step->names, name);
    step->names_size += stat_size_min(step->stream->dialect) + length;
    return true;
}

/* The node called `name`; the caller unrefs it. */
static int find_node(const DirStream *stream, char *name, FsNode **node)
{
    FsNode *dir = stream->dir->node;
    unsigned n_walked;
    Qid qid;

    if (strcmp(name, ".") == 0 || (stream->is_top && strcmp(name, "..") == 0)) {
        *node = fs_node_ref(dir);
        return 0;
    }
    return dir->fs->ops->walk(dir, 1, &name, false, node, &qid, &n_walked);
}

/* Appends the record of `name`, or passes over it, and moves `at` on. Returns 1 when it does not
 * fit. */
static int add_record(Step *step, Name *name, Position *at, size_t *done)
{
    DirStream *stream = step->stream;
    FsNode *node;
    StatRecord record;
    StatText text;
    size_t size;
    int error = find_node(stream, name->text, &node);

    if (error)
        return error;
    error = stat_describe(node, NULL, name->text, stream->dialect, stream->options, &text, &record);
    fs_node_unref(node);
    if (error)
        return error;
    size = stat_size(&record, stream->dialect);
    if (size > step->limit - *done)
        return 1;
    if (step->w)
        write_stat(step->w, &record, stream->dialect);
    *done += size;
    at->bytes += size;
    return 0;
}

/* Adds the records of all names that were taken. Returns 1 when one did not fit; an error only when
 * there was no record before it. */
static int add_records(Step *step, Position *at, size_t *done)
{
    for (unsigned i = 0; i < step->names->len; i++) {
        Name *name = g_ptr_array_index(step->names, i);
        bool left_out = step->stream->dialect == DIALECT_9P2000 && is_dots(name->text);
        int result = left_out ? 0 : add_record(step, name, at, done);

        if (result < 0 && result != -ENOENT && result != -ENODEV) /* gone, or not served */
            return *done > 0 ? 1 : result;
        if (result > 0)
            return 1;
        at->entry = name->next;
    }
    return 0;
}

/* Goes on from `at` by whole records, at most `limit` bytes; they are appended to `w` if that is
 * not NULL. Returns 0 at the directory's end, 1 when it goes on there, or a negative errno. */
static int advance(DirStream *stream, size_t limit, ByteWriter *w, Position *at)
{
    FsFile *dir = stream->dir;
    size_t done = 0;
    int result = 0;
    bool end = false;

    while (result == 0 && !end) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        Step step = {.stream = stream, .limit = limit, .w = w, .names = names, .names_size = done};

        result = dir->node->fs->ops->readdir(dir, at->entry, take_name, &step);
        if (result == 0)
            result = add_records(&step, at, &done);
        end = names->len == 0;
    }
    return result;
}

/* Finds the position at `offset`. */
static int seek(DirStream *stream, uint64_t offset, Position *at)
{
    int result;

    *at = (Position){0};
    if (offset == stream->now.bytes)
        *at = stream->now;
    else if (offset == stream->last.bytes)
        *at = stream->last;
    if (offset == 0)
        *at = (Position){0};
    if (offset == at->bytes)
        return 0;
    result = advance(stream, offset, NULL, at);
    if (result < 0)
        return result;
    return at->bytes == offset ? 0 : -EINVAL;
}

int dir_stream_read(DirStream *stream, uint64_t offset, uint32_t count, ByteWriter *w)
{
    size_t start = w->used;
    Position begin, at;
    int result;

    if (interrupt_lock(&stream->lock) != 0)
        return -EINTR;
    result = seek(stream, offset, &begin);
    at = begin;
    if (result == 0)
        result = advance(stream, count, w, &at);
    if (result > 0)
        result = w->used == start ? -EINVAL : 0;
    if (result == 0) {
        stream->last = begin;
        stream->now = at;
    }
    pthread_mutex_unlock(&stream->lock);
    return result;
}
