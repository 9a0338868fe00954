/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pauses of platforms, a part of lti_refresh: what one node is told to wait for, all wait for (SPEC 6.6). Internal to lti_refresh; watch thread only.
 */
#ifndef LTI_REFRESH_PACE_H
#define LTI_REFRESH_PACE_H

#include "lti_pace.h"
#include "lti_refresh.h"

/** Tells the database what answers said here, and learns what they said on other nodes. */
apr_status_t lti_pauses_exchange(lti_pace_t *pace, lti_db_t *db, const lti_refresh_options_t *options, apr_time_t now,
                                 apr_pool_t *ptemp, lti_err_t *err);

#endif
