/* SPDX-License-Identifier: Apache-2.0 */
/* When a course is due again (Invariant 4). Internal to lti_refresh; watch thread only. */
#ifndef LTI_REFRESH_WHEN_H
#define LTI_REFRESH_WHEN_H

#include "lti_refresh_run.h"

#define SECOND apr_time_from_sec(1)
#define MINUTE apr_time_from_sec(60)
#define HOUR apr_time_from_sec(3600)
#define DAY apr_time_from_sec(24 * 3600)
#define WEEK (7 * DAY)

/** After a run that was applied. */
apr_time_t lti_run_next_due(const lti_run_t *run, apr_time_t now);

/** From when the roster that this run brought is stale. */
apr_time_t lti_run_stale_from(const lti_run_t *run, apr_time_t now);

/** After a run that failed, for run->err. */
apr_time_t lti_run_next_try(const lti_run_t *run, apr_time_t now);

#endif
