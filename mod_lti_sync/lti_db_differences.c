/* SPDX-License-Identifier: Apache-2.0 */
/* Where a platform tells what changed since a course's last roster. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <apr_strings.h>

apr_status_t lti_db_differences_read(lti_differences_t *differences, lti_db_t *db, const char *course_key, apr_pool_t *p,
                                     lti_err_t *err)
{
    static const char sql[] = "SELECT differences_url, full_at FROM lti_sync WHERE course_key = %s";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(course_key), p, err);

    *differences = (lti_differences_t){.url = NULL};
    if (rv == APR_NOTFOUND)
        return APR_SUCCESS;
    if (rv == APR_SUCCESS) {
        differences->url = apr_pstrdup(p, lti_db_text(&rows, 0));
        differences->full_at = lti_db_number(&rows, 1);
    }
    return rv;
}

apr_status_t lti_db_differences_write(lti_db_t *db, const char *course_key, const lti_differences_t *differences, apr_pool_t *ptemp,
                                      lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_sync SET differences_url = %s, full_at = %lld WHERE course_key = %s";

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(differences->url, &differences->full_at, course_key), ptemp, err);
}
