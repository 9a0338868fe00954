/* SPDX-License-Identifier: Apache-2.0 */
/* What a page for an administrator lists and counts. Each order has an index of its own, so that the first page costs the same with any number of courses. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_json.h"

/* As LTI_ROSTER_STATE has it: a roster that exists, and whose time is over. */
#define IS_STALE "(s.state IN (2, 3, 4) AND s.stale_at > 0 AND s.stale_at <= %lld)"

#define STANDING_COLUMNS "SELECT " LTI_DB_COURSE_COLUMNS ", s.suspect, s.held_missing, s.held_since, s.held_accepted FROM "
#define SELECT_STANDING STANDING_COLUMNS "lti_context c JOIN lti_sync s ON s.course_key = c.course_key "

/* A page of all courses: those before it are passed over in an index alone. */
#define PAGE_BY(table, order, order_of_join)                                                                             \
    STANDING_COLUMNS "(SELECT course_key FROM " table " ORDER BY " order " LIMIT %lld OFFSET %lld) o "                   \
                     "JOIN lti_context c ON c.course_key = o.course_key JOIN lti_sync s ON s.course_key = o.course_key " \
                     "ORDER BY " order_of_join

/* A page of those that are asked for. */
#define ASKED_BY(order) SELECT_STANDING WHERE_ASKED "ORDER BY " order " LIMIT %lld OFFSET %lld"

/* Courses of all platforms (1), or of these: LTI_DB_SHOWN_MAX of them. Within an OR no database looks for them in an index, which would cost the order. */
#define SHOWN "(%lld = 1 OR c.platform IN (%s, %s, %s, %s, %s, %s, %s, %s)) "
#define SHOWN_WIDTH (1 + LTI_DB_SHOWN_MAX)

/* Its parameters: asked_t below. A search for nothing finds everything. */
#define WHERE_ASKED                                                                                              \
    "WHERE (%s = '' OR LOWER(c.title) LIKE LOWER(%s) ESCAPE '!' OR LOWER(c.label) LIKE LOWER(%s) ESCAPE '!' OR " \
    "LOWER(c.context_id) "                                                                                       \
    "LIKE LOWER(%s) ESCAPE '!' OR c.course_key = %s) AND " SHOWN "AND (%lld < 0 OR (%lld = 5 AND " IS_STALE      \
    ") OR (s.state = %lld AND NOT " IS_STALE ")) "

/* --- counting --------------------------------------------------------------------------------------------------------- */

static apr_status_t count_one(apr_int64_t *number, lti_db_t *db, const char *sql, lti_db_args_t args, apr_pool_t *ptemp,
                              lti_err_t *err)
{
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, args, ptemp, err);

    *number = rv == APR_SUCCESS ? lti_db_number(&rows, 0) : 0;
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* Of most courses there is nothing to say: those are counted by what they are not. */
static apr_status_t count_states(lti_db_tally_t *tally, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char others[] = "SELECT state, COUNT(*) FROM lti_sync WHERE state IN (0, 1, 3, 4) GROUP BY state";
    static const char stale[] = "SELECT s.state, COUNT(*) FROM lti_sync s WHERE " IS_STALE " GROUP BY s.state";
    lti_db_rows_t rows;
    apr_int64_t time = now;
    int state;
    apr_status_t rv = lti_db_select(&rows, db, others, LTI_DB_NO_ARGS, ptemp, err);

    tally->states[LTI_ROSTER_CURRENT] = tally->courses;
    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        state = (int)lti_db_number(&rows, 0);
        tally->states[state] = lti_db_number(&rows, 1);
        tally->states[LTI_ROSTER_CURRENT] -= tally->states[state];
    }
    if (rv == APR_EOF)
        rv = lti_db_select(&rows, db, stale, LTI_DB_ARGS(&time), ptemp, err);
    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        tally->states[lti_db_number(&rows, 0)] -= lti_db_number(&rows, 1);
        tally->states[LTI_ROSTER_STALE] += lti_db_number(&rows, 1);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* All its numbers are of the same moment. */
static apr_status_t tally_up(lti_db_tally_t *tally, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char all[] = "SELECT COUNT(*), SUM(active) FROM lti_sync";
    static const char due[] = "SELECT COUNT(*) FROM lti_sync WHERE due_at <= %lld AND state <> 0";
    static const char waiting[] = "SELECT COUNT(*) FROM lti_deployment WHERE status = 0";
    static const char suspects[] = "SELECT COUNT(*) FROM lti_sync WHERE suspect = 1";
    apr_int64_t time = now;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, all, LTI_DB_NO_ARGS, ptemp, err);

    if (rv == APR_SUCCESS) {
        tally->courses = lti_db_number(&rows, 0);
        tally->people = lti_db_number(&rows, 1);
        rv = count_states(tally, db, now, ptemp, err);
    }
    if (rv == APR_SUCCESS)
        rv = count_one(&tally->due, db, due, LTI_DB_ARGS(&time), ptemp, err);
    if (rv == APR_SUCCESS)
        rv = count_one(&tally->waiting, db, waiting, LTI_DB_NO_ARGS, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = count_one(&tally->suspects, db, suspects, LTI_DB_NO_ARGS, ptemp, err);
    return rv;
}

apr_status_t lti_db_tally(lti_db_tally_t *tally, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_status_t rv = lti_db_begin_reading(db, ptemp, err);

    memset(tally, 0, sizeof(*tally));
    return rv == APR_SUCCESS ? lti_db_end_reading(db, tally_up(tally, db, now, ptemp, err)) : rv;
}

/* The platform of all courses; NULL: they have several, or there are none. Two looks at an index. */
static apr_status_t only_platform(const char **platform, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT (SELECT MIN(platform) FROM lti_context), (SELECT MAX(platform) FROM lti_context)";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_NO_ARGS, ptemp, err);
    const char *first = rv == APR_SUCCESS ? lti_db_text(&rows, 0) : NULL, *last = rv == APR_SUCCESS ? lti_db_text(&rows, 1) : NULL;

    *platform = first != NULL && last != NULL && strcmp(first, last) == 0 ? apr_pstrdup(ptemp, first) : NULL;
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

static apr_status_t count_courses(apr_int64_t *count, lti_db_t *db, const apr_int64_t *known, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT COUNT(*) FROM lti_context";

    if (known != NULL && *known >= 0) {
        *count = *known;
        return APR_SUCCESS;
    }
    return count_one(count, db, sql, LTI_DB_NO_ARGS, ptemp, err);
}

apr_status_t lti_db_waiting_each(lti_db_t *db, lti_db_waiting_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT platform, COUNT(*) FROM lti_deployment WHERE status = 0 GROUP BY platform";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_NO_ARGS, ptemp, err);

    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS)
        fn(baton, lti_db_text(&rows, 0), lti_db_number(&rows, 1));
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_platform_courses(apr_int64_t *count, lti_db_t *db, const char *platform, const apr_int64_t *known,
                                     apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT COUNT(*) FROM lti_context WHERE platform = %s";
    const char *only;
    apr_status_t rv = only_platform(&only, db, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    if (only != NULL && strcmp(only, platform) == 0)
        return count_courses(count, db, known, ptemp, err);
    return count_one(count, db, sql, LTI_DB_ARGS(platform), ptemp, err);
}

apr_status_t lti_db_roles_each(lti_db_t *db, const char *course_key, lti_db_roles_fn *fn, void *baton, apr_pool_t *ptemp,
                               lti_err_t *err)
{
    static const char sql[] = "SELECT roles, COUNT(*) FROM lti_member WHERE course_key = %s AND status = 1 GROUP BY roles";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(course_key), ptemp, err);

    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS)
        fn(baton, lti_db_text(&rows, 0), lti_db_number(&rows, 1));
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* --- listing ---------------------------------------------------------------------------------------------------------- */

static void standing_from_row(lti_db_standing_t *standing, const lti_db_rows_t *rows, apr_pool_t *p)
{
    lti_db_course_from_row(&standing->course, rows, p);
    standing->suspect = (int)lti_db_number(rows, LTI_DB_COURSE_WIDTH);
    standing->held_missing = (int)lti_db_number(rows, LTI_DB_COURSE_WIDTH + 1);
    standing->held_since = lti_db_number(rows, LTI_DB_COURSE_WIDTH + 2);
    standing->held_accepted = lti_db_number(rows, LTI_DB_COURSE_WIDTH + 3) != 0;
}

/* All of them, so that the connection is free again when they are looked at. */
static apr_status_t read_standings(apr_array_header_t *standings, lti_db_t *db, const char *sql, lti_db_args_t args, apr_pool_t *p,
                                   lti_err_t *err)
{
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, args, p, err);

    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS)
        standing_from_row(apr_array_push(standings), &rows, p);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_standing_read(lti_db_standing_t **standing, lti_db_t *db, const char *course_key, apr_pool_t *p, lti_err_t *err)
{
    static const char sql[] = SELECT_STANDING "WHERE c.course_key = %s";
    apr_array_header_t *found = apr_array_make(p, 1, sizeof(lti_db_standing_t));
    apr_status_t rv;

    *standing = NULL;
    if (!lti_json_is_clean(course_key))
        return APR_NOTFOUND;
    rv = read_standings(found, db, sql, LTI_DB_ARGS(course_key), p, err);
    if (rv == APR_SUCCESS && found->nelts == 0)
        return APR_NOTFOUND;
    if (rv == APR_SUCCESS)
        *standing = &APR_ARRAY_IDX(found, 0, lti_db_standing_t);
    return rv;
}

/* Courses of platforms that are not shown must not take the places of those that are: many are stale once a platform was taken out of the configuration. */
apr_status_t lti_db_troubled(apr_array_header_t **standings, lti_db_t *db, lti_db_trouble_t trouble,
                             const apr_array_header_t *shown, apr_time_t now, int max, apr_pool_t *p, lti_err_t *err)
{
#define TROUBLED(condition) SELECT_STANDING "WHERE " condition " AND " SHOWN
    static const char *const statements[] = {
        [LTI_DB_TROUBLE_STALE] =
            TROUBLED("s.state IN (2, 3, 4) AND s.stale_at > 0 AND s.stale_at <= %lld") "ORDER BY s.stale_at LIMIT %lld",
        [LTI_DB_TROUBLE_FAILING] = TROUBLED("s.failures > 0") "ORDER BY s.failures DESC, s.course_key DESC LIMIT %lld",
        [LTI_DB_TROUBLE_HELD] = TROUBLED("s.state = 4") "LIMIT %lld",
        [LTI_DB_TROUBLE_WITHOUT] = TROUBLED("s.state = 0") "LIMIT %lld",
        [LTI_DB_TROUBLE_SUSPECT] = TROUBLED("s.suspect = 1") "ORDER BY s.suspect, s.course_key LIMIT %lld",
        [LTI_DB_TROUBLE_EMPTY] = TROUBLED("s.active = 0 AND s.state = 2") "LIMIT %lld",
    };
#undef TROUBLED
    apr_int64_t time = now, limit = max, all = shown == NULL || shown->nelts > LTI_DB_SHOWN_MAX;
    const void *values[1 + SHOWN_WIDTH + 1], **value = values;
    int i;

    *standings = apr_array_make(p, 8, sizeof(lti_db_standing_t));
    if (trouble == LTI_DB_TROUBLE_STALE)
        *value++ = &time;
    *value++ = &all;
    for (i = 0; i < LTI_DB_SHOWN_MAX; i++)
        *value++ = !all && i < shown->nelts ? APR_ARRAY_IDX(shown, i, const char *) : "";
    *value++ = &limit;
    return read_standings(*standings, db, statements[trouble], (lti_db_args_t){values, (int)(value - values)}, p, err);
}

/* A part of a text as a pattern for LIKE. */
static const char *pattern_of(const char *search, apr_pool_t *p)
{
    char *pattern = apr_palloc(p, 2 * strlen(search) + 3), *out = pattern;

    *out++ = '%';
    for (; *search != '\0'; search++) {
        if (*search == '%' || *search == '_' || *search == '!')
            *out++ = '!';
        *out++ = *search;
    }
    *out++ = '%';
    *out = '\0';
    return pattern;
}

#define SHOWN_AT 5
#define ASKED (SHOWN_AT + SHOWN_WIDTH + 5)

/* The parameters of WHERE_ASKED, with room for those of LIMIT and OFFSET. */
typedef struct asked_t {
    const char *text, *pattern;
    apr_int64_t all, state, time;
    const void *values[ASKED + 2];
} asked_t;

static int is_shown(const lti_db_search_t *search, const char *platform)
{
    int i;

    if (search->platform != NULL || search->shown == NULL)
        return search->platform == NULL || strcmp(search->platform, platform) == 0;
    for (i = 0; i < search->shown->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(search->shown, i, const char *), platform) == 0)
            return 1;
    }
    return 0;
}

/* 0: nothing can be found. */
static int ask(asked_t *asked, const lti_db_search_t *search, apr_pool_t *p)
{
    const apr_array_header_t *shown = search->shown;
    const void **value = asked->values;
    int i;

    asked->text = search->search != NULL ? search->search : "";
    asked->pattern = pattern_of(asked->text, p);
    asked->all = search->platform == NULL && (shown == NULL || shown->nelts > LTI_DB_SHOWN_MAX);
    if (!lti_json_is_clean(asked->text) || (search->platform != NULL && !lti_json_is_clean(search->platform)))
        return 0;
    *value++ = asked->text;
    for (i = 0; i < 3; i++)
        *value++ = asked->pattern;
    *value++ = asked->text;
    *value++ = &asked->all;
    for (i = 0; i < LTI_DB_SHOWN_MAX; i++)
        *value++ = search->platform != NULL          ? search->platform
                   : !asked->all && i < shown->nelts ? APR_ARRAY_IDX(shown, i, const char *)
                                                     : "";
    *value++ = &asked->state;
    *value++ = &asked->state;
    *value++ = &asked->time;
    *value++ = &asked->state;
    *value++ = &asked->time;
    return 1;
}

/* Forth and back. */
static const char *const all_by[][2] = {
    [LTI_DB_BY_NAME] = {PAGE_BY("lti_context", "sort_name, course_key", "c.sort_name, c.course_key"),
                        PAGE_BY("lti_context", "sort_name DESC, course_key DESC", "c.sort_name DESC, c.course_key DESC")},
    [LTI_DB_BY_PEOPLE] = {PAGE_BY("lti_sync", "active DESC, course_key DESC", "s.active DESC, s.course_key DESC"),
                          PAGE_BY("lti_sync", "active, course_key", "s.active, s.course_key")},
    [LTI_DB_BY_SUCCESS] = {PAGE_BY("lti_sync", "succeeded_at, course_key", "s.succeeded_at, s.course_key"),
                           PAGE_BY("lti_sync", "succeeded_at DESC, course_key DESC", "s.succeeded_at DESC, s.course_key DESC")},
    [LTI_DB_BY_NEXT] = {PAGE_BY("lti_sync", "due_at, course_key", "s.due_at, s.course_key"),
                        PAGE_BY("lti_sync", "due_at DESC, course_key DESC", "s.due_at DESC, s.course_key DESC")},
    [LTI_DB_BY_FAILURES] = {PAGE_BY("lti_sync", "failures DESC, course_key DESC", "s.failures DESC, s.course_key DESC"),
                            PAGE_BY("lti_sync", "failures, course_key", "s.failures, s.course_key")},
};
static const char *const asked_by[][2] = {
    [LTI_DB_BY_NAME] = {ASKED_BY("c.sort_name, c.course_key"), ASKED_BY("c.sort_name DESC, c.course_key DESC")},
    [LTI_DB_BY_PEOPLE] = {ASKED_BY("s.active DESC, s.course_key DESC"), ASKED_BY("s.active, s.course_key")},
    [LTI_DB_BY_SUCCESS] = {ASKED_BY("s.succeeded_at, s.course_key"), ASKED_BY("s.succeeded_at DESC, s.course_key DESC")},
    [LTI_DB_BY_NEXT] = {ASKED_BY("s.due_at, s.course_key"), ASKED_BY("s.due_at DESC, s.course_key DESC")},
    [LTI_DB_BY_FAILURES] = {ASKED_BY("s.failures DESC, s.course_key DESC"), ASKED_BY("s.failures, s.course_key")},
};

apr_status_t lti_db_courses_find(apr_array_header_t **standings, apr_int64_t *total, lti_db_t *db, const lti_db_search_t *search,
                                 apr_time_t now, apr_pool_t *p, lti_err_t *err)
{
    static const char count[] = "SELECT COUNT(*) FROM lti_context c JOIN lti_sync s ON s.course_key = c.course_key " WHERE_ASKED;
    static const char count_shown[] = "SELECT COUNT(*) FROM lti_context c WHERE " SHOWN;
    asked_t asked = {.state = search->state, .time = now};
    apr_int64_t limit = search->limit, offset = search->offset;
    const char *only;
    lti_db_args_t args;
    apr_status_t rv;

    *standings = apr_array_make(p, search->limit, sizeof(lti_db_standing_t));
    *total = 0;
    if (!ask(&asked, search, p))
        return APR_SUCCESS;
    rv = only_platform(&only, db, p, err);
    asked.all |= only != NULL && is_shown(search, only);
    args = (lti_db_args_t){asked.values, ASKED};
    if (rv == APR_SUCCESS && (asked.text[0] != '\0' || search->state >= 0))
        rv = count_one(total, db, count, args, p, err);
    else if (rv == APR_SUCCESS && asked.all)
        rv = count_courses(total, db, search->known, p, err);
    else if (rv == APR_SUCCESS)
        rv = count_one(total, db, count_shown, (lti_db_args_t){asked.values + SHOWN_AT, SHOWN_WIDTH}, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (asked.all && asked.text[0] == '\0' && search->state < 0)
        return read_standings(*standings, db, all_by[search->order][search->backwards != 0], LTI_DB_ARGS(&limit, &offset), p, err);
    asked.values[ASKED] = &limit;
    asked.values[ASKED + 1] = &offset;
    args.count += 2;
    return read_standings(*standings, db, asked_by[search->order][search->backwards != 0], args, p, err);
}

apr_status_t lti_db_events_newest(apr_array_header_t **events, lti_db_t *db, const char *course_key, int max, apr_pool_t *p,
                                  lti_err_t *err)
{
    static const char sql[] =
        "SELECT number, kind, user_id, status, happened_at FROM lti_event WHERE course_key = %s ORDER BY number DESC LIMIT %lld";
    apr_int64_t limit = max;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(course_key, &limit), p, err);

    *events = apr_array_make(p, 16, sizeof(lti_db_event_t));
    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_db_event_t *event = apr_array_push(*events);

        memset(event, 0, sizeof(*event));
        event->number = lti_db_number(&rows, 0);
        event->kind = (lti_db_event_kind_t)lti_db_number(&rows, 1);
        event->user_id = lti_db_text_copy(&rows, 2, p);
        event->status = (lti_member_status_t)lti_db_number(&rows, 3);
        event->happened_at = lti_db_number(&rows, 4);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_old_launches(apr_array_header_t **launches, lti_db_t *db, apr_pool_t *p, lti_err_t *err)
{
    static const char sql[] =
        "SELECT consumer_key, instance, product, context_title, seen_at FROM lti_old_launch ORDER BY seen_at DESC";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_NO_ARGS, p, err);

    *launches = apr_array_make(p, 4, sizeof(lti_db_old_launch_t));
    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_db_old_launch_t *launch = apr_array_push(*launches);

        launch->consumer_key = lti_db_text_copy(&rows, 0, p);
        launch->instance = lti_db_text_copy(&rows, 1, p);
        launch->product = lti_db_text_copy(&rows, 2, p);
        launch->context_title = lti_db_text_copy(&rows, 3, p);
        launch->seen_at = lti_db_number(&rows, 4);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}
