/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may, a part of lti_refresh: keeps the table of deployments and ended sessions in shared memory a copy of the database, tells the other
 * nodes of this one, and gathers what they publish. Internal to lti_refresh; watch thread only.
 */
#ifndef LTI_REFRESH_ADMISSION_H
#define LTI_REFRESH_ADMISSION_H

#include "lti_refresh.h"

typedef struct lti_admitter_t lti_admitter_t;

/** No database work. `options` lives as long as `p`. */
lti_admitter_t *lti_admitter_create(const lti_refresh_options_t *options, apr_pool_t *p);

/**
 * Brings shared memory up to `number`, the database's of just now (lti_numbers_t.admission); when it did not move this is a comparison. Once a minute it also tells of
 * this node. Fails for the database only. `p` is scratch.
 */
apr_status_t lti_admitter_follow(lti_admitter_t *admitter, lti_db_t *db, apr_int64_t number, apr_pool_t *p, lti_err_t *err);

/** 0 until the other nodes have had time to serve our keys too: a platform that saw a key before that would not find it everywhere. */
int lti_admitter_is_known(const lti_admitter_t *admitter);

#endif
