/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The search for leaks at the end of a process, which AddressSanitizer does with a process that
 * traces this one: not where that is forbidden. Workers are searched when they run with
 * --sandbox=off.
 */
#if defined(__SANITIZE_ADDRESS__)

#include <linux/seccomp.h>
#include <sanitizer/lsan_interface.h>
#include <sys/prctl.h>

int __lsan_is_turned_off(void)
{
    return prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER;
}

#endif

/* Keeps the file from being empty. */
extern const int asan_leaks_is_linked;
const int asan_leaks_is_linked = 1;
