/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters that stopped: a look at the database each minute finds those that turned stale since the last one, so that each is told of once by this node, whatever keeps it from being refreshed. */
#ifndef LTI_REFRESH_STALE_H
#define LTI_REFRESH_STALE_H

#include "lti_refresh.h"

typedef struct lti_staleness_t {
    apr_time_t looked_at; /* or when the engine began; 0: it just begins */
    int older_told;       /* how many have been stale since before that */
} lti_staleness_t;

apr_status_t lti_stale_look(lti_staleness_t *staleness, const lti_refresh_options_t *options, lti_db_t *db, apr_time_t now,
                            apr_pool_t *ptemp, lti_err_t *err);

#endif
