/* SPDX-License-Identifier: Apache-2.0 */
/* What the groups service of a course said last: kept for the runs in which it does not answer. */
#include "lti_db.h"
#include "lti_db_statement.h"

apr_status_t lti_db_groups_read(const char **map, lti_db_t *db, const char *course_key, apr_pool_t *p, lti_err_t *err)
{
    static const char sql[] = "SELECT group_list FROM lti_context WHERE course_key = %s";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(course_key), p, err);

    *map = rv == APR_SUCCESS ? lti_db_text_copy(&rows, 0, p) : NULL;
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

apr_status_t lti_db_groups_write(lti_db_t *db, const char *course_key, const char *map, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_context SET group_list = %s WHERE course_key = %s";

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(map, course_key), ptemp, err);
}
