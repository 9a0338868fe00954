/* SPDX-License-Identifier: Apache-2.0 */
/* Who launched: written by the watch thread, held against the roster. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <stdlib.h>
#include <string.h>
#include <apr_hash.h>
#include <apr_strings.h>
#include "lti_json.h"

#define BULK 50                             /* rows of a multi-row INSERT */
#define PERSON_STEP apr_time_from_sec(600)  /* a person's last launch is not written more often */
#define PLATFORM_STEP apr_time_from_sec(60) /* nor a platform's */

/* --- writing -------------------------------------------------------------------------------------------------- */

/** What is news, each person of a course and each platform once. */
typedef struct news_t {
    apr_array_header_t *people;    /* of lti_db_visit_t * */
    apr_array_header_t *platforms; /* the same; only platform and time count */
} news_t;

static int tells_of_person(const lti_db_visit_t *visit)
{
    return visit->course_key[0] != '\0' && visit->user_id[0] != '\0';
}

/* The latest visit under each key; they are found in `list`. */
static void keep_latest(apr_hash_t *latest, apr_array_header_t *list, const char *key, const lti_db_visit_t *visit)
{
    lti_db_visit_t *before = apr_hash_get(latest, key, APR_HASH_KEY_STRING);

    if (before == NULL) {
        before = apr_pmemdup(list->pool, visit, sizeof(*visit));
        APR_ARRAY_PUSH(list, lti_db_visit_t *) = before;
        apr_hash_set(latest, key, APR_HASH_KEY_STRING, before);
    } else if (visit->launched_at > before->launched_at) {
        before->launched_at = visit->launched_at;
    }
}

static int compare(const void *a, const void *b)
{
    const lti_db_visit_t *one = *(const lti_db_visit_t *const *)a, *other = *(const lti_db_visit_t *const *)b;
    int course = strcmp(one->course_key, other->course_key), user = strcmp(one->user_id, other->user_id);

    return course != 0 ? course : user != 0 ? user : strcmp(one->platform, other->platform);
}

static int compare_platforms(const void *a, const void *b)
{
    return strcmp((*(const lti_db_visit_t *const *)a)->platform, (*(const lti_db_visit_t *const *)b)->platform);
}

static void gather(news_t *all, const apr_array_header_t *visits, apr_pool_t *p)
{
    apr_hash_t *people = apr_hash_make(p), *platforms = apr_hash_make(p);
    int i;

    all->people = apr_array_make(p, visits->nelts, sizeof(lti_db_visit_t *));
    all->platforms = apr_array_make(p, 4, sizeof(lti_db_visit_t *));
    for (i = 0; i < visits->nelts; i++) {
        const lti_db_visit_t *visit = &APR_ARRAY_IDX(visits, i, lti_db_visit_t);

        keep_latest(platforms, all->platforms, visit->platform, visit);
        if (tells_of_person(visit))
            keep_latest(people, all->people, apr_pstrcat(p, visit->course_key, " ", visit->user_id, NULL), visit);
    }
    /* Nodes that write the same rows take them in the same order: two that had each what the other wants would wait for ever. */
    qsort(all->people->elts, (size_t)all->people->nelts, sizeof(lti_db_visit_t *), compare);
    qsort(all->platforms->elts, (size_t)all->platforms->nelts, sizeof(lti_db_visit_t *), compare_platforms);
}

/* Leaves in `list` those whose time is news, by what `sql` finds for each. */
static apr_status_t drop_known(apr_array_header_t *list, lti_db_t *db, const char *sql, int of_person, apr_interval_time_t step,
                               apr_pool_t *ptemp, lti_err_t *err)
{
    int i, kept = 0;

    for (i = 0; i < list->nelts; i++) {
        lti_db_visit_t *visit = APR_ARRAY_IDX(list, i, lti_db_visit_t *);
        lti_db_rows_t rows;
        apr_status_t rv = lti_db_select_one(
            &rows, db, sql, of_person ? LTI_DB_ARGS(visit->course_key, visit->user_id) : LTI_DB_ARGS(visit->platform), ptemp, err);

        if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
            return rv;
        if (rv == APR_NOTFOUND || visit->launched_at > lti_db_number(&rows, 0) + step)
            APR_ARRAY_IDX(list, kept++, lti_db_visit_t *) = visit;
    }
    list->nelts = kept;
    return APR_SUCCESS;
}

static apr_status_t write_people(lti_db_t *db, const apr_array_header_t *people, apr_pool_t *ptemp, lti_err_t *err)
{
#define HEAD "INSERT INTO lti_visit (course_key, user_id, first_at, launched_at) VALUES "
#define ROW "(%s, %s, %lld, %lld)"
#define TAIL                                                                                                \
    " {upsert course_key, user_id} launched_at = CASE WHEN {new launched_at} > lti_visit.launched_at THEN " \
    "{new launched_at} ELSE lti_visit.launched_at END"
    static const char many[] = HEAD "{50*" ROW "}" TAIL;
    static const char one[] = HEAD ROW TAIL;
#undef HEAD
#undef ROW
#undef TAIL
    const void *values[BULK * 4];
    int done, i, size;

    for (done = 0; done < people->nelts; done += size) {
        apr_status_t rv;

        size = people->nelts - done >= BULK ? BULK : 1;
        for (i = 0; i < size; i++) {
            const lti_db_visit_t *visit = APR_ARRAY_IDX(people, done + i, const lti_db_visit_t *);

            values[4 * i] = visit->course_key;
            values[4 * i + 1] = visit->user_id;
            values[4 * i + 2] = values[4 * i + 3] = &visit->launched_at;
        }
        rv = lti_db_run(NULL, db, size == BULK ? many : one, (lti_db_args_t){values, 4 * size}, ptemp, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return APR_SUCCESS;
}

static apr_status_t write_news(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "INSERT INTO lti_platform (platform, launched_at) VALUES (%s, %lld) {upsert platform} launched_at = CASE WHEN "
        "{new launched_at} > lti_platform.launched_at THEN {new launched_at} ELSE lti_platform.launched_at END";
    const news_t *news = baton;
    apr_status_t rv = write_people(db, news->people, ptemp, err);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < news->platforms->nelts; i++) {
        const lti_db_visit_t *visit = APR_ARRAY_IDX(news->platforms, i, const lti_db_visit_t *);

        rv = lti_db_run(NULL, db, sql, LTI_DB_ARGS(visit->platform, &visit->launched_at), ptemp, err);
    }
    return rv;
}

apr_status_t lti_db_visits_write(lti_db_t *db, const apr_array_header_t *visits, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char person[] = "SELECT launched_at FROM lti_visit WHERE course_key = %s AND user_id = %s";
    static const char platform[] = "SELECT launched_at FROM lti_platform WHERE platform = %s";
    news_t news;
    apr_status_t rv;

    gather(&news, visits, ptemp);
    /* Looked at first: most launches are no news, and whoever writes keeps others from writing. */
    rv = drop_known(news.people, db, person, 1, PERSON_STEP, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = drop_known(news.platforms, db, platform, 0, PLATFORM_STEP, ptemp, err);
    if (rv != APR_SUCCESS || (news.people->nelts == 0 && news.platforms->nelts == 0))
        return rv;
    return lti_db_transaction(db, write_news, &news, ptemp, err);
}

/* --- reading -------------------------------------------------------------------------------------------------- */

apr_status_t lti_db_visits_count(lti_db_visitors_t *visitors, lti_db_t *db, const char *course_key, apr_time_t since,
                                 apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT COUNT(*), SUM(CASE WHEN launched_at >= %lld THEN 1 ELSE 0 END) FROM lti_visit "
                              "WHERE course_key = %s";
    lti_db_rows_t rows;
    apr_status_t rv;

    *visitors = (lti_db_visitors_t){.people = 0};
    if (!lti_json_is_clean(course_key))
        return APR_SUCCESS;
    rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(&since, course_key), ptemp, err);
    if (rv == APR_SUCCESS)
        *visitors = (lti_db_visitors_t){.people = (int)lti_db_number(&rows, 0), .recent = (int)lti_db_number(&rows, 1)};
    return rv;
}

apr_status_t lti_db_visits_match(lti_db_match_t *match, lti_db_t *db, const char *course_key, apr_time_t since, apr_time_t before,
                                 apr_pool_t *ptemp, lti_err_t *err)
{
    static const char standing[] = "SELECT suspect FROM lti_sync WHERE course_key = %s";
    static const char held_against[] =
        "SELECT SUM(CASE WHEN m.status = 1 THEN 1 ELSE 0 END), "
        "SUM(CASE WHEN m.user_id IS NULL AND v.first_at < %lld AND v.launched_at >= %lld THEN 1 ELSE 0 END) "
        "FROM lti_visit v LEFT JOIN lti_member m ON m.course_key = v.course_key AND m.user_id = v.user_id WHERE v.course_key = %s";
    lti_db_rows_t rows;
    apr_status_t rv;

    if (!lti_json_is_clean(course_key))
        return APR_NOTFOUND;
    rv = lti_db_select_one(&rows, db, standing, LTI_DB_ARGS(course_key), ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    match->suspect = lti_db_number(&rows, 0) != 0;
    rv = lti_db_select_one(&rows, db, held_against, LTI_DB_ARGS(&before, &since, course_key), ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    match->launched = (int)lti_db_number(&rows, 0);
    match->outsiders = (int)lti_db_number(&rows, 1);
    return APR_SUCCESS;
}

apr_status_t lti_db_suspect_write(lti_db_t *db, const char *course_key, int suspect, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_sync SET suspect = %lld WHERE course_key = %s";
    apr_int64_t value = suspect != 0;

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(&value, course_key), ptemp, err);
}

apr_status_t lti_db_people_each(lti_db_t *db, const char *course_key, const char *after, int max, lti_db_person_fn *fn, void *baton,
                                apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "SELECT " LTI_DB_MEMBER_COLUMNS ", (SELECT v.launched_at FROM lti_visit v WHERE v.course_key = lti_member.course_key "
        "AND v.user_id = lti_member.user_id) FROM lti_member WHERE course_key = %s AND user_id > %s ORDER BY user_id LIMIT %lld";
    apr_int64_t limit = max < LTI_DB_PAGE ? max : LTI_DB_PAGE;
    lti_db_rows_t rows;
    apr_status_t rv;

    if (!lti_json_is_clean(course_key) || !lti_json_is_clean(after))
        return APR_SUCCESS;
    rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(course_key, after, &limit), ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_member_t member;

        lti_db_member_from_row(&member, &rows);
        rv = fn(baton, &member, lti_db_number(&rows, LTI_DB_MEMBER_WIDTH), err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}
