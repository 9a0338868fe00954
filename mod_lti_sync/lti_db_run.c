/* SPDX-License-Identifier: Apache-2.0 */
/* The history of runs: what became of each, with those that follow each other and say the same in one row. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <string.h>

#define KEPT 50 /* rows of a course */
#define KEPT_FOR apr_time_from_sec(90 * 24 * 3600)
#define ABANDONED_AFTER apr_time_from_sec(3600) /* longer than any run lives */

#define COLUMNS                                                                                                      \
    "run_id, node, started_at, ended_at, pages, members, joined, changed, departed, returned, missing, error_name, " \
    "error_text, repeats"

static int is_eventful(const lti_db_run_t *run)
{
    return run->joined + run->changed + run->departed + run->returned > 0;
}

static lti_db_run_t from_row(const lti_db_rows_t *rows, apr_pool_t *p)
{
    return (lti_db_run_t){
        .run_id = lti_db_text_copy(rows, 0, p),
        .node = lti_db_text_copy(rows, 1, p),
        .started_at = lti_db_number(rows, 2),
        .ended_at = lti_db_number(rows, 3),
        .pages = lti_db_number(rows, 4),
        .members = lti_db_number(rows, 5),
        .joined = lti_db_number(rows, 6),
        .changed = lti_db_number(rows, 7),
        .departed = lti_db_number(rows, 8),
        .returned = lti_db_number(rows, 9),
        .missing = lti_db_number(rows, 10),
        .error_name = lti_db_text_copy(rows, 11, p),
        .error_text = lti_db_text_copy(rows, 12, p),
        .repeats = lti_db_number(rows, 13),
    };
}

/* Do both end in the same uneventful way? */
static int says_the_same(const lti_db_run_t *a, const lti_db_run_t *b)
{
    if (is_eventful(a) || is_eventful(b))
        return 0;
    if (a->error_name == NULL || b->error_name == NULL)
        return a->error_name == b->error_name;
    return strcmp(a->error_name, b->error_name) == 0;
}

/* APR_NOTFOUND: the run before ended differently, or there is none. */
static apr_status_t find_same(const char **run_id, lti_db_t *db, const lti_db_run_t *run, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT " COLUMNS " FROM lti_run WHERE course_key = %s AND run_id <> %s AND ended_at > 0 "
                              "ORDER BY started_at DESC LIMIT 1";
    lti_db_run_t before;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(run->course_key, run->run_id), ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    before = from_row(&rows, ptemp);
    *run_id = before.run_id;
    return says_the_same(&before, run) ? APR_SUCCESS : APR_NOTFOUND;
}

static apr_status_t add_to(lti_db_t *db, const char *run_id, const lti_db_run_t *run, const char *text, apr_pool_t *ptemp,
                           lti_err_t *err)
{
    static const char add[] = "UPDATE lti_run SET node = %s, started_at = %lld, ended_at = %lld, pages = %lld, members = %lld, "
                              "missing = %lld, error_text = %s, repeats = repeats + 1 WHERE course_key = %s AND run_id = %s";
    static const char drop[] = "DELETE FROM lti_run WHERE course_key = %s AND run_id = %s";
    apr_status_t rv = lti_db_run(NULL, db, add,
                                 LTI_DB_ARGS(run->node, &run->started_at, &run->ended_at, &run->pages, &run->members, &run->missing,
                                             text, run->course_key, run_id),
                                 ptemp, err);

    return rv == APR_SUCCESS ? lti_db_run(NULL, db, drop, LTI_DB_ARGS(run->course_key, run->run_id), ptemp, err) : rv;
}

static apr_status_t put(lti_db_t *db, const lti_db_run_t *run, const char *text, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "INSERT INTO lti_run (course_key, " COLUMNS ") VALUES (%s, %s, %s, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, "
        "%s, %s, 0) {upsert course_key, run_id} ended_at = {new ended_at}, pages = {new pages}, members = {new members}, "
        "joined = {new joined}, changed = {new changed}, departed = {new departed}, returned = {new returned}, "
        "missing = {new missing}, error_name = {new error_name}, error_text = {new error_text}";

    return lti_db_run(NULL, db, sql,
                      LTI_DB_ARGS(run->course_key, run->run_id, run->node, &run->started_at, &run->ended_at, &run->pages,
                                  &run->members, &run->joined, &run->changed, &run->departed, &run->returned, &run->missing,
                                  run->error_name, text),
                      ptemp, err);
}

static apr_status_t keep_newest(lti_db_t *db, const char *course_key, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char find[] = "SELECT started_at FROM lti_run WHERE course_key = %s ORDER BY started_at DESC LIMIT 1 OFFSET %lld";
    static const char drop[] = "DELETE FROM lti_run WHERE course_key = %s AND started_at < %lld";
    apr_int64_t offset = KEPT - 1, border;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, find, LTI_DB_ARGS(course_key, &offset), ptemp, err);

    if (rv != APR_SUCCESS)
        return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    border = lti_db_number(&rows, 0);
    return lti_db_run(NULL, db, drop, LTI_DB_ARGS(course_key, &border), ptemp, err);
}

static apr_status_t write_run(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    const lti_db_run_t *run = baton;
    const char *text = run->error_text != NULL ? lti_db_presentable(run->error_text, ptemp) : NULL, *before = NULL;
    apr_status_t rv = APR_NOTFOUND;

    if (run->ended_at != 0 && !is_eventful(run))
        rv = find_same(&before, db, run, ptemp, err);
    if (rv == APR_SUCCESS)
        return add_to(db, before, run, text, ptemp, err);
    if (rv != APR_NOTFOUND)
        return rv;
    rv = put(db, run, text, ptemp, err);
    return rv == APR_SUCCESS && run->ended_at != 0 ? keep_newest(db, run->course_key, ptemp, err) : rv;
}

apr_status_t lti_db_run_write(lti_db_t *db, const lti_db_run_t *run, apr_pool_t *ptemp, lti_err_t *err)
{
    lti_db_run_t copy = *run;

    return lti_db_transaction(db, write_run, &copy, ptemp, err);
}

apr_status_t lti_db_runs_each(lti_db_t *db, const char *course_key, int max, lti_db_run_fn *fn, void *baton, apr_pool_t *p,
                              lti_err_t *err)
{
    static const char sql[] = "SELECT " COLUMNS " FROM lti_run WHERE course_key = %s ORDER BY started_at DESC LIMIT %lld";
    apr_int64_t limit = max;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(course_key, &limit), p, err);

    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_db_run_t run = from_row(&rows, p);

        run.course_key = course_key;
        rv = fn(baton, &run);
        if (rv != APR_SUCCESS)
            return lti_fail(err, LTI_E_INTERNAL, rv, "the runs of %s were not wanted to the end", course_key);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_purge_runs(lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char past[] = "DELETE FROM lti_run WHERE ended_at > 0 AND ended_at < %lld";
    static const char abandoned[] = "DELETE FROM lti_run WHERE ended_at = 0 AND started_at < %lld";
    apr_time_t before = now - KEPT_FOR, begun = now - ABANDONED_AFTER;
    apr_status_t rv = lti_db_run(NULL, db, past, LTI_DB_ARGS(&before), ptemp, err);

    return rv == APR_SUCCESS ? lti_db_run(NULL, db, abandoned, LTI_DB_ARGS(&begun), ptemp, err) : rv;
}
