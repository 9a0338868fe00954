/* SPDX-License-Identifier: Apache-2.0 */
/* Which course a platform is examined with. */
#include "lti_db.h"
#include "lti_db_statement.h"

apr_status_t lti_db_course_launched_last(lti_course_t **course, lti_db_t *db, const char *platform, apr_pool_t *p, lti_err_t *err)
{
    static const char sql[] =
        "SELECT course_key FROM lti_context WHERE platform = %s ORDER BY launched_at DESC, course_key LIMIT 1";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(platform), p, err);

    if (rv != APR_SUCCESS)
        return rv;
    return lti_db_course_read(course, db, lti_db_text_copy(&rows, 0, p), p, err);
}
