/* SPDX-License-Identifier: Apache-2.0 */
/* What launches write and what everybody reads: nonces, launches, courses, members, the change number. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <apr_strings.h>
#include <string.h>
#include "lti_json.h"

#define LAUNCHED_STEP apr_time_from_sec(60) /* launched_at is not written more often */

/* --- nonces and launches ------------------------------------------------------------------------------------- */

apr_status_t lti_db_nonce_redeem(lti_db_t *db, const char *nonce_key, apr_time_t expires_at, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char insert[] = "INSERT INTO lti_nonce (nonce_key, expires_at) VALUES (%s, %lld)";
    static const char find[] = "SELECT expires_at FROM lti_nonce WHERE nonce_key = %s";
    lti_err_t why = {.code = LTI_OK};
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_run(NULL, db, insert, LTI_DB_ARGS(nonce_key, &expires_at), ptemp, &why);

    if (rv == APR_SUCCESS)
        return APR_SUCCESS;
    /* Drivers do not tell a duplicate from other faults. Who finds the row now was not the one who inserted it. */
    if (lti_db_select_one(&rows, db, find, LTI_DB_ARGS(nonce_key), ptemp, NULL) == APR_SUCCESS)
        return lti_fail(err, LTI_E_NONCE_USED, APR_EEXIST, "the nonce was redeemed before (SPEC C-10, S-02)");
    if (err != NULL)
        *err = why;
    return rv;
}

apr_status_t lti_db_launch_write(lti_db_t *db, const char *launch_id, const char *course_key, const char *user_id,
                                 const char *surplus, apr_time_t expires_at, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "INSERT INTO lti_launch (launch_id, course_key, user_id, surplus, expires_at) "
                              "VALUES (%s, %s, %s, %s, %lld) {upsert launch_id} "
                              "surplus = {new surplus}, expires_at = {new expires_at}";

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(launch_id, course_key, user_id, surplus, &expires_at), ptemp, err);
}

apr_status_t lti_db_launch_read(const char **surplus, lti_db_t *db, const char *launch_id, apr_pool_t *p, lti_err_t *err)
{
    static const char sql[] = "SELECT surplus FROM lti_launch WHERE launch_id = %s";
    lti_db_rows_t rows;
    apr_status_t rv;

    if (!lti_json_is_clean(launch_id))
        return APR_NOTFOUND;
    rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(launch_id), p, err);
    if (rv == APR_SUCCESS)
        *surplus = apr_pstrdup(p, lti_db_text(&rows, 0));
    return rv;
}

/* --- courses ------------------------------------------------------------------------------------------------- */

const char *lti_db_text_copy(const lti_db_rows_t *rows, int column, apr_pool_t *p)
{
    const char *text = lti_db_text(rows, column);

    return text ? apr_pstrdup(p, text) : NULL;
}

void lti_db_course_from_row(lti_course_t *course, const lti_db_rows_t *rows, apr_pool_t *p)
{
    *course = (lti_course_t){
        .key = lti_db_text_copy(rows, 0, p),
        .platform = lti_db_text_copy(rows, 1, p),
        .issuer = lti_db_text_copy(rows, 2, p),
        .client_id = lti_db_text_copy(rows, 3, p),
        .deployment_id = lti_db_text_copy(rows, 4, p),
        .context_id = lti_db_text_copy(rows, 5, p),
        .label = lti_db_text_copy(rows, 6, p),
        .title = lti_db_text_copy(rows, 7, p),
        .type = lti_db_text_copy(rows, 8, p),
        .nrps_url = lti_db_text_copy(rows, 9, p),
        .launched_at = lti_db_number(rows, 10),
        .version = lti_db_number(rows, 11),
        .state = (lti_roster_state_t)lti_db_number(rows, 12),
        .succeeded_at = lti_db_number(rows, 13),
        .stale_at = lti_db_number(rows, 14),
        .due_at = lti_db_number(rows, 15),
        .active = (int)lti_db_number(rows, 16),
        .failures = (int)lti_db_number(rows, 17),
        .error_name = lti_db_text_copy(rows, 18, p),
        .error_text = lti_db_text_copy(rows, 19, p),
        .groups_url = lti_db_text_copy(rows, 21, p),
        .used_at = lti_db_number(rows, 22),
    };
}

static apr_status_t read_course(lti_course_t *course, apr_int64_t *change_no, lti_db_t *db, const char *course_key, apr_pool_t *p,
                                lti_err_t *err)
{
    static const char sql[] =
        "SELECT " LTI_DB_COURSE_COLUMNS " FROM lti_context c JOIN lti_sync s ON s.course_key = c.course_key WHERE c.course_key = %s";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(course_key), p, err);

    if (rv != APR_SUCCESS)
        return rv;
    lti_db_course_from_row(course, &rows, p);
    *change_no = lti_db_number(&rows, LTI_DB_COURSE_CHANGE_NO);
    return APR_SUCCESS;
}

apr_status_t lti_db_course_read(lti_course_t **course, lti_db_t *db, const char *course_key, apr_pool_t *p, lti_err_t *err)
{
    apr_int64_t change_no;
    lti_course_t *read;
    apr_status_t rv;

    /* A key from a request's query is whatever somebody typed; PostgreSQL answers to broken UTF-8 with an error. */
    if (!lti_json_is_clean(course_key))
        return APR_NOTFOUND;
    read = apr_pcalloc(p, sizeof(*read));
    rv = read_course(read, &change_no, db, course_key, p, err);
    if (rv == APR_SUCCESS)
        *course = read;
    return rv;
}

apr_status_t lti_db_courses_by_context(apr_array_header_t **keys, lti_db_t *db, const char *context_id, apr_pool_t *p,
                                       lti_err_t *err)
{
    static const char sql[] = "SELECT course_key FROM lti_context WHERE context_id = %s ORDER BY course_key";
    apr_array_header_t *found = apr_array_make(p, 2, sizeof(const char *));
    lti_db_rows_t rows;
    apr_status_t rv;

    *keys = found;
    if (!lti_json_is_clean(context_id))
        return APR_SUCCESS;
    rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(context_id), p, err);
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS)
        APR_ARRAY_PUSH(found, const char *) = lti_db_text_copy(&rows, 0, p);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* --- a launch tells of a course ------------------------------------------------------------------------------ */

/** What the row of a course would become, and what of it differs. */
typedef struct course_update_t {
    const lti_course_t *said; /* by the launch, or by the configuration */
    int named;                /* by the configuration: a launch knows better */
    apr_time_t wanted_due_at;
    lti_course_t next;
    int context_differs; /* what stands in lti_context, launched_at aside */
    int launched_differs;
    int due_differs;
    int state_differs;
} course_update_t;

const char *lti_db_cut(const char *text, apr_size_t max, apr_pool_t *p)
{
    apr_size_t length = strlen(text);

    if (length <= max)
        return text;
    length = max;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    return apr_pstrmemdup(p, text, length);
}

/* What the launch said, else what is stored: silence takes nothing back. */
static const char *said_or_stored(const char *said, const char *stored, int *differs, apr_pool_t *p)
{
    if (said == NULL)
        return stored;
    said = lti_db_cut(said, LTI_DB_TITLE_MAX, p);
    if (stored != NULL && strcmp(said, stored) == 0)
        return stored;
    *differs = 1;
    return said;
}

static void compare_course(course_update_t *update, const lti_course_t *stored, apr_pool_t *p)
{
    const lti_course_t *said = update->said;
    lti_course_t *next = &update->next;
    int moves;

    *next = *stored;
    update->context_differs = 0;
    next->platform = said_or_stored(said->platform, stored->platform, &update->context_differs, p);
    next->label = said_or_stored(said->label, stored->label, &update->context_differs, p);
    next->title = said_or_stored(said->title, stored->title, &update->context_differs, p);
    next->type = said_or_stored(said->type, stored->type, &update->context_differs, p);
    moves = said->nrps_url != NULL && (stored->nrps_url == NULL || strcmp(said->nrps_url, stored->nrps_url) != 0);
    if (update->named && stored->nrps_url != NULL && stored->launched_at != 0)
        moves = 0;
    if (moves) {
        next->nrps_url = said->nrps_url;
        update->context_differs = 1;
    }
    if (said->groups_url != NULL && (stored->groups_url == NULL || strcmp(said->groups_url, stored->groups_url) != 0)) {
        next->groups_url = said->groups_url;
        update->context_differs = 1;
    }
    update->launched_differs = said->launched_at > stored->launched_at + LAUNCHED_STEP;
    if (update->launched_differs)
        next->launched_at = said->launched_at;
    update->state_differs = stored->state == LTI_ROSTER_NONE && next->nrps_url != NULL;
    if (update->state_differs)
        next->state = LTI_ROSTER_PENDING;
    update->due_differs = next->nrps_url != NULL && (update->state_differs || stored->due_at > update->wanted_due_at);
    /* Each process names its courses anew: that is no wish for their rosters. */
    if (update->named && !update->state_differs && !moves)
        update->due_differs = 0;
    if (update->due_differs)
        next->due_at = update->wanted_due_at;
}

static int anything_differs(const course_update_t *update)
{
    return update->context_differs || update->launched_differs || update->due_differs || update->state_differs;
}

/* Both rows of a course, empty but for its name; several nodes may be at it at once. */
static apr_status_t create_course(lti_db_t *db, const lti_course_t *course, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char insert_context[] =
        "INSERT INTO lti_context (course_key, platform, issuer, client_id, deployment_id, context_id, launched_at, sort_name) "
        "VALUES (%s, %s, %s, %s, %s, %s, 0, LOWER(SUBSTR(%s, 1, 100))) {keep course_key}";
    static const char insert_sync[] = "INSERT INTO lti_sync (course_key, state, version, change_no, active, succeeded_at, "
                                      "stale_at, due_at, failures, lease_since, "
                                      "lease_until, held_since, held_missing, held_accepted) VALUES (%s, 0, 0, 0, 0, 0, 0, 0, 0, "
                                      "0, 0, 0, 0, 0) {keep course_key}";
    apr_status_t rv = lti_db_run(
        NULL, db, insert_context,
        LTI_DB_ARGS(course->key, course->platform, course->issuer, course->client_id, course->deployment_id, course->context_id,
                    course->context_id),
        ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    return lti_db_run(NULL, db, insert_sync, LTI_DB_ARGS(course->key), ptemp, err);
}

static apr_status_t write_course(lti_db_t *db, const course_update_t *update, int created, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char update_context[] = "UPDATE lti_context SET platform = %s, label = %s, title = %s, type = %s, nrps_url = %s, "
                                         "groups_url = %s, launched_at = %lld, sort_name = LOWER(SUBSTR(COALESCE(%s, %s, context_id), 1, 100)) "
                                         "WHERE course_key = %s";
    static const char update_due[] = "UPDATE lti_sync SET due_at = %lld WHERE course_key = %s";
    static const char update_state[] = "UPDATE lti_sync SET state = %lld, change_no = %lld WHERE course_key = %s";
    const lti_course_t *next = &update->next;
    apr_int64_t state = next->state, number = 0;
    apr_status_t rv = APR_SUCCESS;

    if (update->context_differs || update->launched_differs)
        rv = lti_db_run(
            NULL, db, update_context,
            LTI_DB_ARGS(next->platform, next->label, next->title, next->type, next->nrps_url, next->groups_url, &next->launched_at,
                        next->title, next->label, next->key),
            ptemp, err);
    if (rv == APR_SUCCESS && update->due_differs)
        rv = lti_db_run(NULL, db, update_due, LTI_DB_ARGS(&next->due_at, next->key), ptemp, err);
    /* When it was launched and when it is due is nobody's business but the engine's, which asks. */
    if (rv != APR_SUCCESS || !(created || update->context_differs || update->state_differs))
        return rv;
    rv = lti_db_count_change(&number, db, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    return lti_db_run(NULL, db, update_state, LTI_DB_ARGS(&state, &number, next->key), ptemp, err);
}

static apr_status_t course_launched(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char lock[] = "SELECT change_no FROM lti_sync WHERE course_key = %s {for_update}";
    course_update_t *update = baton;
    lti_course_t stored;
    apr_int64_t change_no = 0;
    lti_db_rows_t rows;
    apr_status_t rv = create_course(db, update->said, ptemp, err);

    if (rv == APR_SUCCESS)
        rv = lti_db_select_one(&rows, db, lock, LTI_DB_ARGS(update->said->key), ptemp, err);
    if (rv == APR_SUCCESS)
        rv = read_course(&stored, &change_no, db, update->said->key, ptemp, err);
    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_STORE, APR_EGENERAL, "the course %s is not there after it was created", update->said->key);
    if (rv != APR_SUCCESS)
        return rv;
    compare_course(update, &stored, ptemp);
    return write_course(db, update, change_no == 0, ptemp, err);
}

apr_status_t lti_db_course_launched_known(lti_db_t *db, const lti_course_t *course, const lti_course_t *known, apr_time_t due_at,
                                          apr_pool_t *ptemp, lti_err_t *err)
{
    course_update_t update = {.said = course, .wanted_due_at = due_at};

    /* Most launches tell nothing new: no lock. */
    if (known != NULL) {
        compare_course(&update, known, ptemp);
        if (!anything_differs(&update))
            return APR_SUCCESS;
    }
    return lti_db_transaction(db, course_launched, &update, ptemp, err);
}

apr_status_t lti_db_course_launched(lti_db_t *db, const lti_course_t *course, apr_time_t due_at, apr_pool_t *ptemp, lti_err_t *err)
{
    lti_course_t stored;
    apr_int64_t change_no;
    apr_status_t rv = read_course(&stored, &change_no, db, course->key, ptemp, err);

    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return rv;
    return lti_db_course_launched_known(db, course, rv == APR_SUCCESS ? &stored : NULL, due_at, ptemp, err);
}

apr_status_t lti_db_course_named(lti_db_t *db, const lti_course_t *course, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    course_update_t update = {.said = course, .named = 1, .wanted_due_at = now};
    lti_course_t stored;
    apr_int64_t change_no;
    apr_status_t rv = read_course(&stored, &change_no, db, course->key, ptemp, err);

    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return rv;
    if (rv == APR_SUCCESS) {
        compare_course(&update, &stored, ptemp);
        if (!anything_differs(&update))
            return APR_SUCCESS;
    }
    return lti_db_transaction(db, course_launched, &update, ptemp, err);
}

/* --- members ------------------------------------------------------------------------------------------------- */

void lti_db_member_from_row(lti_member_t *member, const lti_db_rows_t *rows)
{
    *member = (lti_member_t){
        .user_id = lti_db_text(rows, 0),
        .name = lti_db_text(rows, 1),
        .given_name = lti_db_text(rows, 2),
        .family_name = lti_db_text(rows, 3),
        .email = lti_db_text(rows, 4),
        .sourcedid = lti_db_text(rows, 5),
        .roles = lti_db_text(rows, 6),
        .status = (lti_member_status_t)lti_db_number(rows, 7),
        .joined_at = lti_db_number(rows, 8),
        .status_at = lti_db_number(rows, 9),
        .role_at = lti_db_number(rows, 10),
        .sections = lti_db_text(rows, 11),
        .groups = lti_db_text(rows, 12),
    };
}

apr_status_t lti_db_member_read(lti_member_t **member, lti_db_t *db, const char *course_key, const char *user_id, apr_pool_t *p,
                                lti_err_t *err)
{
    static const char sql[] = "SELECT " LTI_DB_MEMBER_COLUMNS " FROM lti_member WHERE course_key = %s AND user_id = %s";
    lti_db_rows_t rows;
    lti_member_t *read;
    apr_status_t rv;

    if (!lti_json_is_clean(course_key) || !lti_json_is_clean(user_id))
        return APR_NOTFOUND;
    rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(course_key, user_id), p, err);
    if (rv != APR_SUCCESS)
        return rv;
    read = apr_pcalloc(p, sizeof(*read));
    lti_db_member_from_row(read, &rows);
    /* Whatever collation somebody gave the column: what is nearly the same may be two people. */
    if (strcmp(read->user_id, user_id) != 0)
        return APR_NOTFOUND;
    *member = read;
    return APR_SUCCESS;
}

/** A reading of members. */
typedef struct reading_t {
    lti_db_t *db;
    const char *course_key;
    int active_only;
    lti_db_member_fn *fn;
    void *baton;
    char after[LTI_DB_AFTER_SIZE]; /* user id of the last one */
} reading_t;

/* The next page, of at most `limit` members; `*count` receives how many there were. */
static apr_status_t read_page(int *count, reading_t *reading, apr_int64_t limit, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char all[] =
        "SELECT " LTI_DB_MEMBER_COLUMNS " FROM lti_member WHERE course_key = %s AND user_id > %s ORDER BY user_id LIMIT %lld";
    static const char present[] =
        "SELECT " LTI_DB_MEMBER_COLUMNS
        " FROM lti_member WHERE course_key = %s AND user_id > %s AND status <> 3 ORDER BY user_id LIMIT %lld";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, reading->db, reading->active_only ? present : all,
                                    LTI_DB_ARGS(reading->course_key, apr_pstrdup(ptemp, reading->after), &limit), ptemp, err);

    *count = 0;
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_member_t member;

        lti_db_member_from_row(&member, &rows);
        apr_cpystrn(reading->after, member.user_id, sizeof(reading->after));
        (*count)++;
        rv = reading->fn(reading->baton, &member, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

static apr_status_t read_pages(reading_t *reading, int max, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_pool_t *page = NULL;
    int left = max, count = 0;
    apr_int64_t limit;
    apr_status_t rv = apr_pool_create(&page, ptemp);

    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for a page");
    do {
        apr_pool_clear(page);
        limit = max > 0 && left < LTI_DB_PAGE ? left : LTI_DB_PAGE;
        rv = read_page(&count, reading, limit, page, err);
        left -= count;
    } while (rv == APR_SUCCESS && count == limit && (max == 0 || left > 0));
    apr_pool_destroy(page);
    return rv;
}

apr_status_t lti_db_members_each(lti_db_t *db, const char *course_key, const char *after, int max, int active_only,
                                 lti_db_member_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    reading_t reading = {.db = db, .course_key = course_key, .active_only = active_only, .fn = fn, .baton = baton};
    apr_status_t rv;

    if (!lti_json_is_clean(course_key) || !lti_json_is_clean(after))
        return APR_SUCCESS;
    apr_cpystrn(reading.after, after, sizeof(reading.after));
    if (max > 0 && max <= LTI_DB_PAGE)
        return read_pages(&reading, max, ptemp, err);
    /* Several pages must be of the same moment, or a run that is applied in between would tear the roster. */
    rv = lti_db_begin_reading(db, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    return lti_db_end_reading(db, read_pages(&reading, max, ptemp, err));
}

/* --- changes ------------------------------------------------------------------------------------------------- */

apr_status_t lti_db_change_number(apr_int64_t *number, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT value FROM lti_schema WHERE name = 'change'";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_NO_ARGS, ptemp, err);

    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_STORE, APR_EGENERAL, "table lti_schema has no row 'change'");
    if (rv == APR_SUCCESS)
        *number = lti_db_number(&rows, 0);
    return rv;
}

apr_status_t lti_db_numbers(lti_numbers_t *numbers, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT name, value FROM lti_schema WHERE name IN ('change', 'admission', 'event')";
    int change = 0, admission = 0, event = 0;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_NO_ARGS, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        if (strcmp(lti_db_text(&rows, 0), "change") == 0) {
            numbers->change = lti_db_number(&rows, 1);
            change = 1;
        } else if (strcmp(lti_db_text(&rows, 0), "event") == 0) {
            numbers->event = lti_db_number(&rows, 1);
            event = 1;
        } else {
            numbers->admission = lti_db_number(&rows, 1);
            admission = 1;
        }
    }
    if (rv == APR_EOF && !(change && admission && event))
        return lti_fail(err, LTI_E_STORE, APR_EGENERAL, "table lti_schema has no row '%s'",
                        !change      ? "change"
                        : !admission ? "admission"
                                     : "event");
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_count_change(apr_int64_t *number, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_schema SET value = value + 1 WHERE name = 'change'";
    apr_status_t rv = lti_db_run(NULL, db, sql, LTI_DB_NO_ARGS, ptemp, err);

    return rv == APR_SUCCESS ? lti_db_change_number(number, db, ptemp, err) : rv;
}

/* The next page of changed courses; `*since` moves on to the last one's number. */
static apr_status_t read_changed(int *count, apr_int64_t *since, lti_db_t *db, lti_db_course_fn *fn, void *baton, apr_pool_t *ptemp,
                                 lti_err_t *err)
{
    static const char sql[] = "SELECT " LTI_DB_COURSE_COLUMNS " FROM lti_context c JOIN lti_sync s ON s.course_key = c.course_key "
                              "WHERE s.change_no > %lld ORDER BY s.change_no LIMIT %lld";
    apr_int64_t after = *since, limit = LTI_DB_PAGE;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(&after, &limit), ptemp, err);
    apr_array_header_t *courses = apr_array_make(ptemp, 16, sizeof(lti_course_t));
    int i;

    *count = 0;
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_db_course_from_row(apr_array_push(courses), &rows, ptemp);
        *since = lti_db_number(&rows, LTI_DB_COURSE_CHANGE_NO);
    }
    if (rv != APR_EOF)
        return rv;
    /* Only now, with the result read to its end: `fn` may use the connection. */
    *count = courses->nelts;
    for (i = 0; i < courses->nelts; i++) {
        rv = fn(baton, &APR_ARRAY_IDX(courses, i, lti_course_t), err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return APR_SUCCESS;
}

apr_status_t lti_db_courses_changed(lti_db_t *db, apr_int64_t since, lti_db_course_fn *fn, void *baton, apr_pool_t *ptemp,
                                    lti_err_t *err)
{
    apr_pool_t *page = NULL;
    int count = 0;
    apr_status_t rv = apr_pool_create(&page, ptemp);

    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for a page");
    do {
        apr_pool_clear(page);
        rv = read_changed(&count, &since, db, fn, baton, page, err);
    } while (rv == APR_SUCCESS && count == LTI_DB_PAGE);
    apr_pool_destroy(page);
    return rv;
}

/* The next page of all courses from behind the key `*after`, which moves on. */
static apr_status_t read_courses(int *count, const char **after, lti_db_t *db, apr_int64_t limit, lti_db_course_fn *fn, void *baton,
                                 apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT " LTI_DB_COURSE_COLUMNS " FROM lti_context c JOIN lti_sync s ON s.course_key = c.course_key "
                              "WHERE c.course_key > %s ORDER BY c.course_key LIMIT %lld";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(*after, &limit), ptemp, err);

    *count = 0;
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_course_t course;

        lti_db_course_from_row(&course, &rows, ptemp);
        *after = course.key;
        (*count)++;
        rv = fn(baton, &course, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_courses_each(lti_db_t *db, const char *after, int max, lti_db_course_fn *fn, void *baton, apr_pool_t *ptemp,
                                 lti_err_t *err)
{
    apr_int64_t limit;
    int count = 0;
    apr_status_t rv;

    if (!lti_json_is_clean(after))
        return APR_SUCCESS;
    do {
        limit = max < LTI_DB_PAGE ? max : LTI_DB_PAGE;
        rv = read_courses(&count, &after, db, limit, fn, baton, ptemp, err);
        max -= count;
    } while (rv == APR_SUCCESS && count == limit && max > 0);
    return rv;
}
