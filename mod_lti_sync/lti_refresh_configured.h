/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How platforms are configured, a part of lti_refresh: whoever mends a token endpoint and reloads does not wait an hour for the next try. Internal to lti_refresh; watch thread only.
 */
#ifndef LTI_REFRESH_CONFIGURED_H
#define LTI_REFRESH_CONFIGURED_H

#include "lti_refresh.h"

/** Tells the database how the platforms are configured: when a process begins, and when the tables are made anew. Courses that another configuration concerns are due. `p` is scratch. */
apr_status_t lti_configured_write(const lti_refresh_options_t *options, lti_db_t *db, apr_time_t now, apr_pool_t *p, lti_err_t *err);

#endif
