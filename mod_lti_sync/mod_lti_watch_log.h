/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_watch_log: the engine's events as lines of the log. What goes on and on is said loudly once, when it begins or changes, and quietly (info) from then on; its end is said
 * once, at notice. What was said before is read off the course as the run found it, so a restart or another node does not repeat it. Watch thread only.
 */
#ifndef MOD_LTI_WATCH_LOG_H
#define MOD_LTI_WATCH_LOG_H

#include "lti_refresh.h"
#include "mod_lti_config.h"

void mod_lti_watch_log(const lti_runtime_t *runtime, const lti_event_t *event);

#endif
