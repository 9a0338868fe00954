/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed: what a run changes becomes events in the transaction that changes it; they are read by number, and purged from
 * the front. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <apr_strings.h>
#include <string.h>
#include "lti_json.h"

#define BULK 50           /* ids of a list in SQL */
#define REMOVE_ABOUT 5000 /* rows that one transaction removes */

const char *lti_db_event_word(lti_db_event_kind_t kind)
{
    switch (kind) {
    case LTI_DB_EVENT_JOINED:
        return "joined";
    case LTI_DB_EVENT_ROLE:
        return "role changed";
    case LTI_DB_EVENT_DETAILS:
        return "details changed";
    case LTI_DB_EVENT_LEFT:
        return "left";
    case LTI_DB_EVENT_RETURNED:
        return "returned";
    }
    return "unknown";
}

/* --- writing ------------------------------------------------------------------------------------------------- */

apr_status_t lti_db_events_begin(lti_db_numbering_t *numbering, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char lock[] = "SELECT value FROM lti_schema WHERE name = 'event' {for_update}";
    static const char find[] = "SELECT MAX(number) FROM lti_event";
    apr_int64_t highest;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, lock, LTI_DB_NO_ARGS, ptemp, err);

    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_STORE, APR_EGENERAL, "table lti_schema has no row 'event'");
    if (rv != APR_SUCCESS)
        return rv;
    numbering->last = lti_db_number(&rows, 0);
    numbering->written = 0;
    /* Whoever restored some of the tables only must not be left with numbers that are taken. */
    rv = lti_db_select_one(&rows, db, find, LTI_DB_NO_ARGS, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    highest = lti_db_number(&rows, 0);
    if (highest > numbering->last)
        numbering->last = highest;
    return APR_SUCCESS;
}

/* By the statuses that are: 1 active, 2 inactive, 3 left. Whoever was inactive from the start joins when they become active. */
#define CROSSINGS                                                                                                      \
    "SELECT s.course_key, s.user_id, CASE WHEN s.status <> 1 THEN 4 WHEN m.user_id IS NULL THEN 1 "                    \
    "WHEN m.status = 2 AND m.status_at = m.joined_at THEN 1 ELSE 5 END AS kind, s.status, s.roles FROM lti_staging s " \
    "LEFT JOIN lti_member m ON m.course_key = s.course_key AND m.user_id = s.user_id WHERE s.run_id = %s "             \
    "AND ((s.status = 1 AND (m.user_id IS NULL OR m.status <> 1)) OR (s.status <> 1 AND m.status = 1))"
#define AMONG_THE_ACTIVE(KIND)                                                                        \
    "SELECT s.course_key, s.user_id, " KIND " AS kind, s.status, s.roles FROM lti_staging s "         \
    "JOIN lti_member m ON m.course_key = s.course_key AND m.user_id = s.user_id WHERE s.run_id = %s " \
    "AND s.status = 1 AND m.status = 1 AND "
#define OTHER_ROLES "s.roles <> m.roles"
#define OTHER_DETAILS                                                                                                  \
    "(COALESCE(s.name, '') <> COALESCE(m.name, '') OR COALESCE(s.given_name, '') <> COALESCE(m.given_name, '') "       \
    "OR COALESCE(s.family_name, '') <> COALESCE(m.family_name, '') OR COALESCE(s.email, '') <> COALESCE(m.email, '') " \
    "OR COALESCE(s.sourcedid, '') <> COALESCE(m.sourcedid, '') "                                                       \
    "OR COALESCE(s.section_names, '') <> COALESCE(m.section_names, '') "                                               \
    "OR COALESCE(s.group_names, '') <> COALESCE(m.group_names, ''))"

apr_status_t lti_db_events_staged(lti_db_numbering_t *numbering, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp,
                                  lti_err_t *err)
{
    static const char sql[] =
        "INSERT INTO lti_event (number, course_key, user_id, kind, status, roles, happened_at) "
        "SELECT %lld + ROW_NUMBER() OVER (ORDER BY e.user_id, e.kind), e.course_key, e.user_id, e.kind, e.status, e.roles, %lld "
        "FROM (" CROSSINGS " UNION ALL " AMONG_THE_ACTIVE("2") OTHER_ROLES " UNION ALL " AMONG_THE_ACTIVE("3") OTHER_DETAILS ") e";
    apr_int64_t base = numbering->last;
    int affected = 0;
    apr_status_t rv = lti_db_run(&affected, db, sql,
                                 LTI_DB_ARGS(&base, &apply->requested_at, apply->run_id, apply->run_id, apply->run_id), ptemp, err);

    numbering->last += affected;
    numbering->written += affected;
    return rv;
}

apr_status_t lti_db_events_missing(lti_db_numbering_t *numbering, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp,
                                   lti_err_t *err)
{
#define LEAVE                                                                                                     \
    "INSERT INTO lti_event (number, course_key, user_id, kind, status, roles, happened_at) "                      \
    "SELECT %lld + ROW_NUMBER() OVER (ORDER BY user_id), course_key, user_id, 4, 3, roles, %lld FROM lti_member " \
    "WHERE course_key = %s AND status = 1 AND user_id IN "
    static const char many[] = LEAVE "({50*%s})";
    static const char one[] = LEAVE "(%s)";
#undef LEAVE
    apr_int64_t base;
    const void *values[3 + BULK] = {&base, &apply->requested_at, apply->course_key};
    apr_status_t rv = APR_SUCCESS;
    int done, i, size;

    for (done = 0; rv == APR_SUCCESS && done < apply->missing->nelts; done += size) {
        int affected = 0;

        size = apply->missing->nelts - done >= BULK ? BULK : 1;
        for (i = 0; i < size; i++)
            values[3 + i] = APR_ARRAY_IDX(apply->missing, done + i, const char *);
        base = numbering->last;
        rv = lti_db_run(&affected, db, size == BULK ? many : one, (lti_db_args_t){values, 3 + size}, ptemp, err);
        numbering->last += affected;
        numbering->written += affected;
    }
    return rv;
}

apr_status_t lti_db_events_end(const lti_db_numbering_t *numbering, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_schema SET value = %lld WHERE name = 'event'";

    return numbering->written > 0 ? lti_db_run(NULL, db, sql, LTI_DB_ARGS(&numbering->last), ptemp, err) : APR_SUCCESS;
}

/* --- reading ------------------------------------------------------------------------------------------------- */

apr_status_t lti_db_event_bounds(lti_db_event_bounds_t *bounds, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT name, value FROM lti_schema WHERE name IN ('event', 'event_floor')";
    lti_db_rows_t rows;
    int found = 0;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_NO_ARGS, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        if (strcmp(lti_db_text(&rows, 0), "event") == 0)
            bounds->newest = lti_db_number(&rows, 1);
        else
            bounds->floor = lti_db_number(&rows, 1);
        found++;
    }
    if (rv == APR_EOF && found != 2)
        return lti_fail(err, LTI_E_STORE, APR_EGENERAL, "table lti_schema has no row 'event' or 'event_floor'");
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

#define EVENT_COLUMNS                                                                                   \
    "e.number, e.kind, e.course_key, e.user_id, e.status, e.roles, e.happened_at, c.platform, m.name, " \
    "m.given_name, m.family_name, m.email, m.sourcedid FROM lti_event e "                               \
    "LEFT JOIN lti_context c ON c.course_key = e.course_key "                                           \
    "LEFT JOIN lti_member m ON m.course_key = e.course_key AND m.user_id = e.user_id "

static void event_from_row(lti_db_event_t *event, const lti_db_rows_t *rows)
{
    *event = (lti_db_event_t){
        .number = lti_db_number(rows, 0),
        .kind = (lti_db_event_kind_t)lti_db_number(rows, 1),
        .course_key = lti_db_text(rows, 2),
        .user_id = lti_db_text(rows, 3),
        .status = (lti_member_status_t)lti_db_number(rows, 4),
        .roles = lti_db_text(rows, 5),
        .happened_at = lti_db_number(rows, 6),
        .platform = lti_db_text(rows, 7),
        .name = lti_db_text(rows, 8),
        .given_name = lti_db_text(rows, 9),
        .family_name = lti_db_text(rows, 10),
        .email = lti_db_text(rows, 11),
        .sourcedid = lti_db_text(rows, 12),
    };
}

/* The next page, of at most `limit` events; `*since` moves on to the last one's number. */
static apr_status_t read_events(int *count, apr_int64_t *since, lti_db_t *db, const char *course_key, apr_int64_t limit,
                                lti_db_event_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char all[] = "SELECT " EVENT_COLUMNS "WHERE e.number > %lld ORDER BY e.number LIMIT %lld";
    static const char of_one[] = "SELECT " EVENT_COLUMNS "WHERE e.course_key = %s AND e.number > %lld ORDER BY e.number LIMIT %lld";
    apr_int64_t after = *since;
    lti_db_rows_t rows;
    apr_status_t rv = course_key != NULL ? lti_db_select(&rows, db, of_one, LTI_DB_ARGS(course_key, &after, &limit), ptemp, err)
                                         : lti_db_select(&rows, db, all, LTI_DB_ARGS(&after, &limit), ptemp, err);

    *count = 0;
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_db_event_t event;

        event_from_row(&event, &rows);
        *since = event.number;
        (*count)++;
        rv = fn(baton, &event, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

static apr_status_t read_pages(lti_db_t *db, apr_int64_t since, const char *course_key, int max, lti_db_event_fn *fn, void *baton,
                               apr_pool_t *ptemp, lti_err_t *err)
{
    apr_pool_t *page = NULL;
    int left = max, count = 0;
    apr_int64_t limit;
    apr_status_t rv = apr_pool_create(&page, ptemp);

    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for a page");
    do {
        apr_pool_clear(page);
        limit = left < LTI_DB_PAGE ? left : LTI_DB_PAGE;
        rv = read_events(&count, &since, db, course_key, limit, fn, baton, page, err);
        left -= count;
    } while (rv == APR_SUCCESS && count == limit && left > 0);
    apr_pool_destroy(page);
    return rv;
}

apr_status_t lti_db_events_each(lti_db_event_bounds_t *bounds, lti_db_t *db, apr_int64_t since, const char *course_key, int max,
                                lti_db_event_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    /* Of the same moment: whatever has a number up to bounds->newest is there, unless it was purged. */
    apr_status_t rv = lti_db_begin_reading(db, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_event_bounds(bounds, db, ptemp, err);
    if (rv == APR_SUCCESS && since >= bounds->floor && since < bounds->newest &&
        (course_key == NULL || lti_json_is_clean(course_key)))
        rv = read_pages(db, since, course_key, max, fn, baton, ptemp, err);
    return lti_db_end_reading(db, rv);
}

/* --- purging ------------------------------------------------------------------------------------------------- */

typedef struct purge_t {
    apr_time_t before;
    int more;
} purge_t;

/* Up to the first event that is young enough, in the order of numbers: what is kept has no gap. */
static apr_status_t purge_some(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char look[] = "SELECT COUNT(*), MIN(number), MAX(number), MIN(CASE WHEN happened_at >= %lld THEN number END) FROM "
                               "(SELECT number, happened_at FROM lti_event ORDER BY number LIMIT %lld) oldest";
    static const char raise[] = "UPDATE lti_schema SET value = %lld WHERE name = 'event_floor' AND value < %lld";
    static const char remove[] = "DELETE FROM lti_event WHERE number <= %lld";
    purge_t *purge = baton;
    apr_int64_t limit = REMOVE_ABOUT, through, young;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, look, LTI_DB_ARGS(&purge->before, &limit), ptemp, err);

    purge->more = 0;
    if (rv != APR_SUCCESS || lti_db_number(&rows, 0) == 0)
        return rv;
    young = lti_db_number(&rows, 3);
    through = young != 0 ? young - 1 : lti_db_number(&rows, 2);
    if (through < lti_db_number(&rows, 1))
        return APR_SUCCESS;
    purge->more = young == 0 && lti_db_number(&rows, 0) == limit;
    rv = lti_db_run(NULL, db, raise, LTI_DB_ARGS(&through, &through), ptemp, err);
    return rv == APR_SUCCESS ? lti_db_run(NULL, db, remove, LTI_DB_ARGS(&through), ptemp, err) : rv;
}

apr_status_t lti_db_purge_events(lti_db_t *db, apr_time_t before, apr_pool_t *ptemp, lti_err_t *err)
{
    purge_t purge = {.before = before};
    apr_status_t rv;

    do {
        rv = lti_db_transaction(db, purge_some, &purge, ptemp, err);
    } while (rv == APR_SUCCESS && purge.more);
    return rv;
}
