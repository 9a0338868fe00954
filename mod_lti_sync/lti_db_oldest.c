/* SPDX-License-Identifier: Apache-2.0 */
/* How old the oldest roster is that counts as fresh. */
#include "lti_db.h"
#include "lti_db_statement.h"

apr_status_t lti_db_oldest_roster(apr_time_t *succeeded_at, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    /* The first in the index of the state: who turns stale next is who succeeded longest ago, but for courses whose own interval is longer. */
    static const char sql[] = "SELECT succeeded_at FROM lti_sync WHERE state = %lld AND stale_at > %lld ORDER BY stale_at LIMIT 1";
    static const lti_roster_state_t states[] = {LTI_ROSTER_CURRENT, LTI_ROSTER_FAILING, LTI_ROSTER_HELD};
    apr_size_t i;

    *succeeded_at = 0;
    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        apr_int64_t state = states[i], found;
        lti_db_rows_t rows;
        apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(&state, &now), ptemp, err);

        if (rv == APR_NOTFOUND)
            continue;
        if (rv != APR_SUCCESS)
            return rv;
        found = lti_db_number(&rows, 0);
        if (*succeeded_at == 0 || found < *succeeded_at)
            *succeeded_at = found;
    }
    return APR_SUCCESS;
}
