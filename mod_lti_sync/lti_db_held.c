/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a held run would remove, and an administrator's word that they are gone. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include "lti_json.h"

#define BULK 50 /* rows of a multi-row INSERT */

apr_status_t lti_db_held_write(lti_db_t *db, const char *course_key, const apr_array_header_t *people, apr_pool_t *ptemp,
                               lti_err_t *err)
{
    static const char clear[] = "DELETE FROM lti_held WHERE course_key = %s";
    static const char many[] = "INSERT INTO lti_held (course_key, user_id) VALUES {50*(%s, %s)}";
    static const char one[] = "INSERT INTO lti_held (course_key, user_id) VALUES (%s, %s)";
    int count = people == NULL ? 0 : people->nelts < LTI_DB_HELD_MAX ? people->nelts : LTI_DB_HELD_MAX, done, i, size;
    const void *values[BULK * 2];
    apr_status_t rv = lti_db_run(NULL, db, clear, LTI_DB_ARGS(course_key), ptemp, err);

    for (done = 0; rv == APR_SUCCESS && done < count; done += size) {
        size = count - done >= BULK ? BULK : 1;
        for (i = 0; i < size; i++) {
            values[2 * i] = course_key;
            values[2 * i + 1] = APR_ARRAY_IDX(people, done + i, const char *);
        }
        rv = lti_db_run(NULL, db, size == BULK ? many : one, (lti_db_args_t){values, 2 * size}, ptemp, err);
    }
    return rv;
}

apr_status_t lti_db_held_each(lti_db_t *db, const char *course_key, lti_db_member_fn *fn, void *baton, apr_pool_t *ptemp,
                              lti_err_t *err)
{
    static const char sql[] = "SELECT " LTI_DB_MEMBER_COLUMNS " FROM lti_member WHERE course_key = %s AND user_id IN "
                              "(SELECT h.user_id FROM lti_held h WHERE h.course_key = %s) ORDER BY user_id";
    lti_db_rows_t rows;
    apr_status_t rv;

    if (!lti_json_is_clean(course_key))
        return APR_SUCCESS;
    rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(course_key, course_key), ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_member_t member;

        lti_db_member_from_row(&member, &rows);
        rv = fn(baton, &member, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_hold_accept(lti_db_t *db, const char *course_key, int missing, apr_time_t now, apr_pool_t *ptemp,
                                lti_err_t *err)
{
    static const char find[] = "SELECT held_missing FROM lti_sync WHERE course_key = %s AND held_digest IS NOT NULL";
    /* The run that holds others, or nobody any more, may end at this moment. */
    static const char accept[] = "UPDATE lti_sync SET held_accepted = 1, due_at = %lld, requested_at = %lld "
                                 "WHERE course_key = %s AND held_digest IS NOT NULL AND held_missing = %lld";
    apr_int64_t held;
    lti_db_rows_t rows;
    apr_status_t rv;

    if (!lti_json_is_clean(course_key))
        return APR_NOTFOUND;
    rv = lti_db_select_one(&rows, db, find, LTI_DB_ARGS(course_key), ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    held = lti_db_number(&rows, 0);
    if (missing != 0 && missing != held)
        return APR_NOTFOUND;
    return lti_db_run(NULL, db, accept, LTI_DB_ARGS(&now, &now, course_key, &held), ptemp, err);
}
