/* SPDX-License-Identifier: Apache-2.0 */
/* Courses whose rosters stopped being refreshed. */
#include "lti_db.h"
#include "lti_db_statement.h"

/* The states that can be stale: LTI_ROSTER_CURRENT, _FAILING and _HELD. Written as a list, the index on state and stale_at is used for each. */
#define TURNED "s.state IN (2, 3, 4) AND s.stale_at > %lld AND s.stale_at <= %lld"

apr_status_t lti_db_stale_each(int *count, lti_db_t *db, apr_time_t since, apr_time_t until, int max, lti_db_course_fn *fn,
                               void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char counting[] = "SELECT COUNT(*) FROM lti_sync s WHERE " TURNED;
    static const char listing[] =
        "SELECT s.course_key, c.platform, c.context_id, c.title, s.succeeded_at, s.stale_at, s.failures, s.error_name, "
        "s.error_text "
        "FROM lti_sync s JOIN lti_context c ON c.course_key = s.course_key WHERE " TURNED " ORDER BY s.stale_at LIMIT %lld";
    apr_int64_t after = since, to = until, limit = max;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, counting, LTI_DB_ARGS(&after, &to), ptemp, err);

    if (rv != APR_SUCCESS)
        return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    *count = (int)lti_db_number(&rows, 0);
    if (*count == 0 || max == 0 || fn == NULL)
        return APR_SUCCESS;
    rv = lti_db_select(&rows, db, listing, LTI_DB_ARGS(&after, &to, &limit), ptemp, err);
    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        const lti_course_t course = {
            .key = lti_db_text_copy(&rows, 0, ptemp),
            .platform = lti_db_text_copy(&rows, 1, ptemp),
            .context_id = lti_db_text_copy(&rows, 2, ptemp),
            .title = lti_db_text_copy(&rows, 3, ptemp),
            .succeeded_at = lti_db_number(&rows, 4),
            .stale_at = lti_db_number(&rows, 5),
            .failures = (int)lti_db_number(&rows, 6),
            .error_name = lti_db_text_copy(&rows, 7, ptemp),
            .error_text = lti_db_text_copy(&rows, 8, ptemp),
            .state = LTI_ROSTER_STALE,
        };

        rv = fn(baton, &course, err);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}
