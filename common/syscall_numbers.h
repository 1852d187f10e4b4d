/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System call numbers that are newer than the headers of some systems that this is built on. These
 * are the same on every architecture.
 */
#ifndef COMMON_SYSCALL_NUMBERS_H
#define COMMON_SYSCALL_NUMBERS_H

#include <sys/syscall.h>

/* Linux 6.13 */
#ifndef __NR_setxattrat
#define __NR_setxattrat    463
#define __NR_getxattrat    464
#define __NR_listxattrat   465
#define __NR_removexattrat 466
#endif

#ifndef SYS_setxattrat
#define SYS_setxattrat    __NR_setxattrat
#define SYS_getxattrat    __NR_getxattrat
#define SYS_listxattrat   __NR_listxattrat
#define SYS_removexattrat __NR_removexattrat
#endif

#endif
