/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_watch: the timer. mod_watchdog runs the refresh engine in one child of each generation; this room makes the engine there at the first tick, drives it, logs its
 * events, and sees to it that the callback has left before the child's pools go (mod_watchdog does not tell a child to stop).
 *
 * setup: parent, post_config. child_init, child_stopping: each child. All else: the watch thread.
 */
#ifndef MOD_LTI_WATCH_H
#define MOD_LTI_WATCH_H

#include "mod_lti_config.h"

/** post_config, before mod_watchdog's own. LTI_E_CONFIG if mod_watchdog is not there. */
apr_status_t mod_lti_watch_setup(lti_runtime_t *runtime, const apr_array_header_t *platforms, apr_pool_t *pconf, lti_err_t *err);

void mod_lti_watch_child_init(apr_pool_t *pchild);

/** May run inside a signal handler: stores flags. A callback that does not leave then (the database is silent) is waited for 2.5 seconds, at a graceful end 10;
 * after that the process ends at once. */
void mod_lti_watch_child_stopping(int graceful);

#endif
