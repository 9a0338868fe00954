/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases that are owed back, a part of lti_refresh: a fault of the database just after a lease was taken leaves a course with a lease and no run.
 * Such a course is kept out of the way for some seconds, so that one that always fails does not stop the others, and is then given back, as soon as the database takes it.
 * Internal to lti_refresh; watch thread only.
 */
#ifndef LTI_REFRESH_LEASE_H
#define LTI_REFRESH_LEASE_H

#include "lti_refresh.h"

typedef struct lti_owed_t lti_owed_t;

/** Lives in `p`. */
lti_owed_t *lti_owed_create(apr_pool_t *p);

/** The lease of a course was taken, and nothing runs under it. */
void lti_owed_add(lti_owed_t *owed, const char *course_key, apr_time_t now);

/** Gives back to `db` what is owed for long enough; what fails is owed on. `node` is the leases' owner. */
apr_status_t lti_owed_settle(lti_owed_t *owed, lti_db_t *db, const char *node, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

#endif
