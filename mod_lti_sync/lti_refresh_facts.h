/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs find out for an administrator, a part of lti_refresh: whether platforms give tokens and for what, how far their clocks
 * are off, and whether a roster is smaller than its launches. Answers of platforms are noted in memory and written at the next look,
 * when they are news. Internal to lti_refresh; watch thread only.
 */
#ifndef LTI_REFRESH_FACTS_H
#define LTI_REFRESH_FACTS_H

#include "lti_refresh_run.h"

/** Lives in `p`. */
lti_facts_t *lti_facts_create(apr_pool_t *p);

/** What an answer, or none, to a run's request says; `why` is LTI_OK if it was good. */
void lti_facts_note(lti_facts_t *facts, const lti_run_t *run, int is_token, const lti_http_response_t *response,
                    const lti_err_t *why, apr_time_t now);

/** Tells the database what is news. What fails is told at the next look. */
apr_status_t lti_facts_write(lti_facts_t *facts, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** A run was applied: holds the roster against the launches. Failing to is nobody's failure. */
void lti_facts_judge_roster(const lti_run_t *run, lti_db_t *db, const lti_applied_t *applied, apr_pool_t *ptemp);

#endif
