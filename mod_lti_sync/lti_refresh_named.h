/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Courses named beforehand, a part of lti_refresh: the configuration knows them before anybody launched. Internal to lti_refresh; watch thread only.
 */
#ifndef LTI_REFRESH_NAMED_H
#define LTI_REFRESH_NAMED_H

#include "lti_refresh.h"

/** Tells the database of them: when a process begins, and when the tables are made anew. `p` is scratch. */
apr_status_t lti_named_write(const lti_refresh_options_t *options, lti_db_t *db, apr_time_t now, apr_pool_t *p, lti_err_t *err);

#endif
