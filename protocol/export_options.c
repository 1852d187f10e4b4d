/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Export options; see export_options.h. */
#include "protocol/export_options.h"

#include <glib.h>
#include <string.h>

const ExportOptions export_default_options = {
    .model = MODEL_NONE,
    .fmode = EXPORT_DEFAULT_FMODE,
    .dmode = EXPORT_DEFAULT_DMODE,
};

static const char *const model_names[] = {
    [MODEL_NONE] = "none",
    [MODEL_PASSTHROUGH] = "passthrough",
};

bool security_model_parse(const char *name, SecurityModel *model)
{
    for (size_t i = 0; i < G_N_ELEMENTS(model_names); i++) {
        if (strcmp(name, model_names[i]) == 0) {
            *model = (SecurityModel)i;
            return true;
        }
    }
    return false;
}

const char *security_model_name(SecurityModel model)
{
    return model_names[model];
}
