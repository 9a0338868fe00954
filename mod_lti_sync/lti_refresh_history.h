/* SPDX-License-Identifier: Apache-2.0 */
/* What the database is told of runs, for whoever asked for one. Internal to lti_refresh. Failing to write it is nobody's failure. */
#ifndef LTI_REFRESH_HISTORY_H
#define LTI_REFRESH_HISTORY_H

#include "lti_refresh_run.h"

/** Is it time to say how far a run has come that takes long? */
int lti_history_is_due(const lti_run_t *run, apr_time_t now);
void lti_history_progress(lti_run_t *run, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp);

/** Its end: `applied` is NULL if nothing was, `why` NULL (or LTI_OK) if all went well. */
void lti_history_end(const lti_run_t *run, lti_db_t *db, const lti_applied_t *applied, const lti_err_t *why, apr_time_t now,
                     apr_pool_t *ptemp);

#endif
