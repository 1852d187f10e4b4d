/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Config file: see config_file.h. */
#include "xen-9pfs/config_file.h"

#include <sys/stat.h>

/* What tells one version of a file from the next. */
typedef struct Stamp {
    bool exists;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
} Stamp;

struct ConfigFile {
    const char *name;
    bool needed;
    Config *good; /* the last one that was; NULL: none yet */
    bool has_refused;
    Stamp refused; /* that an administrator was told to be bad */
};

static Stamp stamp_of(const char *name)
{
    struct stat info;

    if (stat(name, &info) != 0)
        return (Stamp){.exists = false};
    return (Stamp){
        .exists = true,
        .device = info.st_dev,
        .inode = info.st_ino,
        .size = info.st_size,
        .modified = info.st_mtim,
        .changed = info.st_ctim,
    };
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const Stamp *a, const Stamp *b)
{
    return a->exists == b->exists && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && same_time(a->modified, b->modified) &&
           same_time(a->changed, b->changed);
}

ConfigFile *config_file_new(const char *name, bool needed)
{
    ConfigFile *file = g_new0(ConfigFile, 1);

    file->name = name;
    file->needed = needed;
    return file;
}

void config_file_free(ConfigFile *file)
{
    g_clear_pointer(&file->good, config_free);
    g_free(file);
}

/* Reads the file. What was in force stays so when that fails. */
static bool read_file(ConfigFile *file, GError **error)
{
    Config *config = config_read(file->name, file->needed, error);

    if (!config)
        return false;
    g_clear_pointer(&file->good, config_free);
    file->good = config;
    file->has_refused = false;
    return true;
}

const Config *config_file_get(ConfigFile *file, GError **error)
{
    if (file->has_refused) {
        Stamp now = stamp_of(file->name);

        if (file->good && same_stamp(&now, &file->refused))
            return file->good;
    }
    return read_file(file, error) ? file->good : NULL;
}

bool config_file_reload(ConfigFile *file, GError **error)
{
    Stamp stamp = stamp_of(file->name);

    if (read_file(file, error))
        return true;
    file->refused = stamp;
    file->has_refused = true;
    return false;
}

const char *config_file_name(const ConfigFile *file)
{
    return file->name;
}
