/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Export options; see export_options.h. */
#include "protocol/export_options.h"

#include <glib.h>
#include <string.h>

const ExportOptions export_default_options = {
    .model = MODEL_NONE,
    .fmode = EXPORT_DEFAULT_FMODE,
    .dmode = EXPORT_DEFAULT_DMODE,
    .limits = DEVICE_DEFAULT_LIMITS,
};

/* The first name of a model is the one that it is called by. */
static const struct {
    const char *name;
    SecurityModel model;
} models[] = {
    {"none", MODEL_NONE},
    {"passthrough", MODEL_PASSTHROUGH},
    {"mapped-xattr", MODEL_MAPPED_XATTR},
    {"mapped", MODEL_MAPPED_XATTR},
    {"mapped-file", MODEL_MAPPED_FILE},
};

bool security_model_parse(const char *name, SecurityModel *model)
{
    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        if (strcmp(name, models[i].name) == 0) {
            *model = models[i].model;
            return true;
        }
    }
    return false;
}

const char *security_model_name(SecurityModel model)
{
    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        if (models[i].model == model)
            return models[i].name;
    }
    return "unknown";
}
