/* SPDX-License-Identifier: Apache-2.0 */
/* What all nodes know of a platform: which of its courses are due, until when it is not to be asked, and its access tokens. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <apr_strings.h>
#include <string.h>

#define LONGEST_PAUSE apr_time_from_sec(2 * 3600) /* none is; what is later was written by a clock that was ahead */
#define LONGEST_LEASE apr_time_from_sec(3600)
#define PAST_PAUSES_KEPT apr_time_from_sec(24 * 3600) /* for whoever wonders what was last night */

/* --- courses that are due ---------------------------------------------------------------------------------------- */

apr_status_t lti_db_due_each(apr_array_header_t **due, lti_db_t *db, apr_time_t now, const lti_db_due_t *after,
                             const apr_array_header_t *skip, int max, apr_pool_t *p, lti_err_t *err)
{
    /* due_at is 0 for a course without a roster service. The index on due_at bounds the cost by the courses that are due. */
    static const char sql[] =
        "SELECT s.due_at, s.course_key, c.platform, s.requested_at, s.lease_since FROM lti_sync s JOIN lti_context c ON "
        "c.course_key = s.course_key "
        "WHERE s.due_at >= %lld AND s.due_at <= %lld AND s.state <> 0 AND (s.lease_owner IS NULL OR s.lease_until <= %lld) "
        "AND NOT (s.due_at = %lld AND s.course_key <= %s) AND c.platform NOT IN (%s, %s, %s, %s, %s, %s, %s, %s) "
        "ORDER BY s.due_at, s.course_key LIMIT %lld";
    apr_array_header_t *found = apr_array_make(p, max, sizeof(lti_db_due_t));
    apr_int64_t from = after != NULL ? after->due_at : 1, limit = max;
    const char *key = after != NULL ? after->course_key : "", *names[LTI_DB_SKIP_MAX];
    lti_db_rows_t rows;
    apr_status_t rv;
    int i;

    *due = found;
    for (i = 0; i < LTI_DB_SKIP_MAX; i++)
        names[i] = skip != NULL && i < skip->nelts ? APR_ARRAY_IDX(skip, i, const char *) : "";
    rv = lti_db_select(&rows, db, sql,
                       LTI_DB_ARGS(&from, &now, &now, &from, key, names[0], names[1], names[2], names[3], names[4], names[5],
                                   names[6], names[7], &limit),
                       p, err);
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_db_due_t *row = apr_array_push(found);
        apr_time_t requested_at = lti_db_number(&rows, 3);

        *row = (lti_db_due_t){.due_at = lti_db_number(&rows, 0),
                              .course_key = lti_db_text_copy(&rows, 1, p),
                              .platform = lti_db_text_copy(&rows, 2, p),
                              .requested = requested_at > lti_db_number(&rows, 4)};
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_course_put_off(lti_db_t *db, const char *course_key, const char *error_name, const char *error_text,
                                   apr_time_t due_at, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    /* Not if somebody pressed "update now" since the course was looked at. */
    static const char sql[] = "UPDATE lti_sync SET due_at = %lld, error_name = %s, error_text = %s WHERE course_key = %s "
                              "AND requested_at <= lease_since AND (lease_owner IS NULL OR lease_until <= %lld)";
    const char *text = lti_db_presentable(error_text, ptemp);

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(&due_at, error_name, text, course_key, &now), ptemp, err);
}

apr_status_t lti_db_run_put_off(lti_db_t *db, const char *course_key, const char *run_id, const char *owner, const char *error_name,
                                const char *error_text, apr_time_t due_at, apr_pool_t *ptemp, lti_err_t *err)
{
    /* As lti_db_due_after(): it may have been asked for anew while the run went on. */
    static const char sql[] =
        "UPDATE lti_sync SET due_at = CASE WHEN due_at > lease_since AND due_at < %lld THEN due_at ELSE %lld END, error_name = %s, "
        "error_text = %s, lease_owner = NULL, lease_until = 0 WHERE course_key = %s AND lease_owner = %s";
    const char *text = lti_db_presentable(error_text, ptemp);
    apr_status_t rv = lti_db_run(NULL, db, sql, LTI_DB_ARGS(&due_at, &due_at, error_name, text, course_key, owner), ptemp, err);

    return rv == APR_SUCCESS ? lti_db_unstage(db, run_id, ptemp, err) : rv;
}

/* --- pauses ------------------------------------------------------------------------------------------------------------ */

apr_status_t lti_db_pause_write(lti_db_t *db, const char *platform, apr_time_t until, const char *error_name,
                                const char *error_text, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char make[] = "INSERT INTO lti_pace (platform, paused_until, error_name, error_text) VALUES (%s, %lld, %s, %s) "
                               "{keep platform}";
    static const char extend[] = "UPDATE lti_pace SET paused_until = %lld, error_name = %s, error_text = %s "
                                 "WHERE platform = %s AND (paused_until < %lld OR paused_until > %lld)";
    apr_time_t absurd = until + LONGEST_PAUSE;
    const char *text = lti_db_presentable(error_text, ptemp);
    apr_status_t rv = lti_db_run(NULL, db, make, LTI_DB_ARGS(platform, &until, error_name, text), ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    return lti_db_run(NULL, db, extend, LTI_DB_ARGS(&until, error_name, text, platform, &until, &absurd), ptemp, err);
}

apr_status_t lti_db_pauses_each(lti_db_t *db, apr_time_t now, lti_db_pause_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT platform, paused_until, error_name, error_text FROM lti_pace WHERE paused_until > %lld";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(&now), ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        const char *platform = lti_db_text_copy(&rows, 0, ptemp), *name = lti_db_text_copy(&rows, 2, ptemp);

        rv = fn(baton, platform, lti_db_number(&rows, 1), name, lti_db_text(&rows, 3));
        if (rv != APR_SUCCESS)
            return lti_fail(err, LTI_E_INTERNAL, rv, "the pauses were not wanted to the end");
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* --- tokens ------------------------------------------------------------------------------------------------------------- */

apr_status_t lti_db_token_read(lti_db_token_t *token, lti_db_t *db, const char *token_key, const char *owner, apr_time_t now,
                               apr_pool_t *p, lti_err_t *err)
{
    static const char sql[] = "SELECT sealed, expires_at, lease_owner, lease_until FROM lti_token WHERE token_key = %s";
    lti_db_rows_t rows;
    const char *holder;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(token_key), p, err);

    *token = (lti_db_token_t){.sealed = NULL};
    if (rv != APR_SUCCESS)
        return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    token->expires_at = lti_db_number(&rows, 1);
    if (token->expires_at > now)
        token->sealed = lti_db_text_copy(&rows, 0, p);
    holder = lti_db_text(&rows, 2);
    token->leased = holder != NULL && strcmp(holder, owner) != 0 && lti_db_number(&rows, 3) > now;
    return APR_SUCCESS;
}

apr_status_t lti_db_token_lease(lti_db_t *db, const char *token_key, const char *owner, apr_time_t now, apr_time_t until,
                                apr_pool_t *ptemp, lti_err_t *err)
{
    static const char make[] = "INSERT INTO lti_token (token_key, sealed, expires_at, lease_owner, lease_until) "
                               "VALUES (%s, NULL, 0, %s, %lld) {keep token_key}";
    static const char take[] = "UPDATE lti_token SET lease_owner = %s, lease_until = %lld "
                               "WHERE token_key = %s AND (lease_owner IS NULL OR lease_owner = %s OR lease_until <= %lld)";
    static const char find[] = "SELECT lease_owner FROM lti_token WHERE token_key = %s";
    lti_db_rows_t rows;
    const char *holder;
    apr_status_t rv = lti_db_run(NULL, db, make, LTI_DB_ARGS(token_key, owner, &until), ptemp, err);

    if (rv == APR_SUCCESS)
        rv = lti_db_run(NULL, db, take, LTI_DB_ARGS(owner, &until, token_key, owner, &now), ptemp, err);
    /* A driver's count of affected rows does not tell on MariaDB. */
    if (rv == APR_SUCCESS)
        rv = lti_db_select_one(&rows, db, find, LTI_DB_ARGS(token_key), ptemp, err);
    if (rv != APR_SUCCESS)
        return rv == APR_NOTFOUND ? APR_EBUSY : rv;
    holder = lti_db_text(&rows, 0);
    return holder != NULL && strcmp(holder, owner) == 0 ? APR_SUCCESS : APR_EBUSY;
}

apr_status_t lti_db_token_write(lti_db_t *db, const char *token_key, const char *sealed, apr_time_t expires_at, apr_pool_t *ptemp,
                                lti_err_t *err)
{
    static const char sql[] = "INSERT INTO lti_token (token_key, sealed, expires_at, lease_owner, lease_until) "
                              "VALUES (%s, %s, %lld, NULL, 0) {upsert token_key} sealed = {new sealed}, "
                              "expires_at = {new expires_at}, lease_owner = NULL, lease_until = 0";

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(token_key, sealed, &expires_at), ptemp, err);
}

apr_status_t lti_db_token_release(lti_db_t *db, const char *token_key, const char *owner, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_token SET lease_owner = NULL, lease_until = 0 WHERE token_key = %s AND lease_owner = %s";

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(token_key, owner), ptemp, err);
}

apr_status_t lti_db_token_forget(lti_db_t *db, const char *token_key, const char *sealed, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_token SET sealed = NULL, expires_at = 0 WHERE token_key = %s AND sealed = %s";

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(token_key, sealed), ptemp, err);
}

/* --- the past ------------------------------------------------------------------------------------------------------------ */

apr_status_t lti_db_purge_pace(lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char pauses[] = "DELETE FROM lti_pace WHERE paused_until < %lld OR paused_until > %lld";
    static const char tokens[] = "DELETE FROM lti_token WHERE expires_at < %lld AND lease_until < %lld";
    apr_time_t before = now - PAST_PAUSES_KEPT, absurd = now + LONGEST_PAUSE;
    apr_status_t rv = lti_db_run(NULL, db, pauses, LTI_DB_ARGS(&before, &absurd), ptemp, err);

    return rv == APR_SUCCESS ? lti_db_run(NULL, db, tokens, LTI_DB_ARGS(&now, &now), ptemp, err) : rv;
}

apr_status_t lti_db_recall(lti_db_t *db, apr_time_t now, apr_time_t latest, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char due[] = "UPDATE lti_sync SET due_at = %lld WHERE due_at > %lld";
    static const char leases[] = "UPDATE lti_sync SET lease_owner = NULL, lease_until = 0 WHERE lease_until > %lld";
    static const char tokens[] = "UPDATE lti_token SET lease_owner = NULL, lease_until = 0 WHERE lease_until > %lld";
    apr_time_t absurd = now + LONGEST_LEASE;
    apr_status_t rv = lti_db_run(NULL, db, due, LTI_DB_ARGS(&now, &latest), ptemp, err);

    if (rv == APR_SUCCESS)
        rv = lti_db_run(NULL, db, leases, LTI_DB_ARGS(&absurd), ptemp, err);
    return rv == APR_SUCCESS ? lti_db_run(NULL, db, tokens, LTI_DB_ARGS(&absurd), ptemp, err) : rv;
}
