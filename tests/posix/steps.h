/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps: what suite.c and steps.c have with each other. */
#ifndef TESTS_POSIX_STEPS_H
#define TESTS_POSIX_STEPS_H

#include "tests/posix/suite.h"

/* Makes a directory for a case and enters it; leaves and removes it. */
void steps_begin(const char *name);
void steps_end(const char *name);

/* Whose the steps are now. */
const User *suite_user(void);

#endif
