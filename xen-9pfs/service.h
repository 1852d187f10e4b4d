/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Service: what the supervisor tells the service manager that started it: that it is ready, how
 * much it serves, that it is still there, that it ends. Where nobody wants to know, because the
 * toolstack started the daemon or it was built without libsystemd, nothing happens.
 *
 * The supervisor's thread only.
 */
#ifndef XEN_9PFS_SERVICE_H
#define XEN_9PFS_SERVICE_H

/* Says that the supervisor can be relied on, and from then on, out of the main loop, that it has
 * not hung, if the service manager's watchdog asks for that. */
void service_start(void);

/* How many devices are connected; told only when that has changed. */
void service_set_devices(unsigned connected);

/* Says that the supervisor ends. Without a service_start() before nothing is said. */
void service_stop(void);

#endif
