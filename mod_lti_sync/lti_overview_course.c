/* SPDX-License-Identifier: Apache-2.0 */
/* lti_overview: the list of courses, one course, its people. */
#include "lti_overview_parts.h"

#include <string.h>
#include "lti_json.h"

#define OFFSET_MAX 100000
#define RUNS_MAX 50
#define EVENTS_MAX 50
#define RECENT apr_time_from_sec(8 * 3600)

/* --- the list --------------------------------------------------------------------------------------------------------- */

/* -1: all; an unknown word is a state that no course has. */
static int state_by_word(const char *word)
{
    int state;

    if (word == NULL || *word == '\0')
        return -1;
    for (state = LTI_ROSTER_NONE; state <= LTI_ROSTER_STALE; state++) {
        if (strcmp(lti_roster_state_word((lti_roster_state_t)state), word) == 0)
            return state;
    }
    return LTI_ROSTER_UNAVAILABLE;
}

static int within(int number, int low, int high)
{
    return number < low ? low : number > high ? high : number;
}

apr_status_t lti_overview_courses(json_t **courses, const lti_overview_t *overview, const lti_overview_query_t *query,
                                  apr_pool_t *p, lti_err_t *err)
{
    const lti_db_search_t search = {
        .search = query->search,
        .platform = query->platform,
        .shown = lti_overview_shown(overview, p),
        .state = state_by_word(query->state),
        .order = query->order == LTI_OVERVIEW_BY_PEOPLE     ? LTI_DB_BY_PEOPLE
                 : query->order == LTI_OVERVIEW_BY_SUCCESS  ? LTI_DB_BY_SUCCESS
                 : query->order == LTI_OVERVIEW_BY_NEXT     ? LTI_DB_BY_NEXT
                 : query->order == LTI_OVERVIEW_BY_FAILURES ? LTI_DB_BY_FAILURES
                                                            : LTI_DB_BY_NAME,
        .backwards = query->backwards,
        .offset = within(query->offset, 0, OFFSET_MAX),
        .limit = within(query->limit, 1, LTI_OVERVIEW_PAGE_MAX),
        .known = overview->known,
    };
    json_t *rows = json_array();
    apr_array_header_t *standings = NULL;
    lti_overview_answer_t answer;
    apr_int64_t total = 0;
    apr_status_t rv;
    int i;

    *courses = lti_json_own(json_object(), p);
    json_object_set_new(*courses, "rows", rows);
    rv = lti_overview_begin(&answer, overview, p, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_courses_find(&standings, &total, overview->db, &search, overview->now, p, err);
    for (i = 0; rv == APR_SUCCESS && i < standings->nelts; i++) {
        const lti_db_standing_t *standing = &APR_ARRAY_IDX(standings, i, lti_db_standing_t);

        if (lti_overview_platform_of(&answer, standing->course.platform) != NULL)
            json_array_append_new(rows, lti_overview_standing(&answer, standing));
    }
    json_object_set_new(*courses, "total", json_integer(total));
    json_object_set_new(*courses, "offset", json_integer(search.offset));
    return rv;
}

/* --- one course ------------------------------------------------------------------------------------------------------- */

/** Runs as they are read. */
typedef struct runs_t {
    const lti_overview_t *overview;
    json_t *list;
    json_t *listed;     /* people whom the last whole list named */
    apr_time_t full_at; /* when that was asked for, where runs since may have read lists of changes; 0: all runs read whole lists */
} runs_t;

/* Was a list read to its end? A list of changes names only those who changed. */
static int has_count(const runs_t *runs, const lti_db_run_t *run)
{
    lti_code_t code = run->error_name != NULL ? lti_err_by_name(run->error_name) : LTI_OK;

    if (runs->full_at != 0 && run->started_at > runs->full_at)
        return 0;
    return run->ended_at != 0 && (code == LTI_OK || code == LTI_E_ROSTER_HELD || code == LTI_E_ROSTER_EMPTY);
}

json_t *lti_overview_run(const lti_db_run_t *run)
{
    json_t *object = json_object();

    lti_json_set_time(object, "started_at", run->started_at);
    lti_json_set_time(object, "ended_at", run->ended_at);
    json_object_set_new(object, "pages", json_integer(run->pages));
    json_object_set_new(object, "members", json_integer(run->members));
    json_object_set_new(object, "joined", json_integer(run->joined));
    json_object_set_new(object, "changed", json_integer(run->changed));
    json_object_set_new(object, "left", json_integer(run->departed));
    json_object_set_new(object, "returned", json_integer(run->returned));
    json_object_set_new(object, "missing", json_integer(run->missing));
    lti_overview_set(object, "error", run->error_name);
    lti_overview_set(object, "error_text", run->error_text);
    lti_overview_set(object, "advice", run->error_name != NULL ? lti_err_advice(run->error_name) : NULL);
    return object;
}

static apr_status_t take_run(void *baton, const lti_db_run_t *run)
{
    runs_t *runs = baton;
    apr_time_t until = run->ended_at != 0 ? run->ended_at : runs->overview->now;
    json_t *object = lti_overview_run(run);

    lti_overview_set(object, "run", run->run_id);
    lti_overview_set(object, "node", run->node);
    json_object_set_new(object, "seconds", json_real((double)(until - run->started_at) / APR_USEC_PER_SEC));
    json_object_set_new(object, "repeats", json_integer(run->repeats));
    json_array_append_new(runs->list, object);
    if (runs->listed == NULL && has_count(runs, run))
        runs->listed = json_integer(run->members);
    return APR_SUCCESS;
}

static void add_roles(void *baton, const char *roles, apr_int64_t count)
{
    json_t *object = baton;
    const char *word = lti_role_word(lti_role_primary(roles != NULL ? roles : "", NULL));

    json_object_set_new(object, word, json_integer(json_integer_value(json_object_get(object, word)) + count));
}

/* Of one course that is not in shared memory the database tells. */
static apr_status_t count_roles(json_t *course, const lti_overview_t *overview, const char *course_key, apr_pool_t *p,
                                lti_err_t *err)
{
    json_t *roles = json_object();

    json_object_set_new(course, "roles", roles);
    return lti_db_roles_each(overview->db, course_key, add_roles, roles, p, err);
}

static json_t *held_object(const lti_db_standing_t *standing)
{
    json_t *object;

    if (standing->course.state != LTI_ROSTER_HELD || standing->held_since == 0)
        return json_null();
    object = json_object();
    json_object_set_new(object, "missing", json_integer(standing->held_missing));
    lti_json_set_time(object, "since", standing->held_since);
    json_object_set_new(object, "accepted", json_boolean(standing->held_accepted));
    return object;
}

static apr_status_t add_events(json_t *course, const lti_overview_t *overview, const char *course_key, apr_pool_t *p,
                               lti_err_t *err)
{
    json_t *list = json_array();
    apr_array_header_t *events;
    apr_status_t rv = lti_db_events_newest(&events, overview->db, course_key, EVENTS_MAX, p, err);
    int i;

    json_object_set_new(course, "events", list);
    for (i = 0; rv == APR_SUCCESS && i < events->nelts; i++) {
        const lti_db_event_t *event = &APR_ARRAY_IDX(events, i, lti_db_event_t);
        json_t *object = json_object();

        json_object_set_new(object, "number", json_integer(event->number));
        lti_overview_set(object, "event", lti_db_event_word(event->kind));
        lti_overview_set(object, "user_id", event->user_id);
        lti_json_set_time(object, "happened_at", event->happened_at);
        json_array_append_new(list, object);
    }
    return rv;
}

/* APR_NOTFOUND where this page does not show it. */
static apr_status_t find(lti_db_standing_t **standing, lti_overview_answer_t *answer, const lti_overview_t *overview,
                         const char *course_key, apr_pool_t *p, lti_err_t *err)
{
    apr_status_t rv = lti_overview_begin(answer, overview, p, err);

    if (rv == APR_SUCCESS)
        rv = lti_db_standing_read(standing, overview->db, course_key, p, err);
    if (rv == APR_SUCCESS && lti_overview_platform_of(answer, (*standing)->course.platform) == NULL)
        rv = APR_NOTFOUND;
    return rv;
}

apr_status_t lti_overview_course(json_t **course, const lti_overview_t *overview, const char *course_key, apr_pool_t *p,
                                 lti_err_t *err)
{
    runs_t runs = {.overview = overview};
    lti_db_visitors_t visitors = {0};
    lti_differences_t differences = {0};
    lti_overview_answer_t answer;
    lti_db_standing_t *standing;
    json_t *object;
    apr_status_t rv = find(&standing, &answer, overview, course_key, p, err);

    if (rv != APR_SUCCESS)
        return rv;
    object = lti_json_own(lti_overview_standing(&answer, standing), p);
    *course = object;
    runs.list = json_array();
    json_object_set_new(object, "runs", runs.list);
    if (standing->course.succeeded_at != 0 && json_is_null(json_object_get(object, "roles")))
        rv = count_roles(object, overview, course_key, p, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_differences_read(&differences, overview->db, course_key, p, err);
    runs.full_at = differences.url != NULL ? differences.full_at : 0;
    if (rv == APR_SUCCESS)
        rv = lti_db_runs_each(overview->db, course_key, RUNS_MAX, take_run, &runs, p, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_visits_count(&visitors, overview->db, course_key, overview->now - RECENT, p, err);
    json_object_set_new(object, "listed", runs.listed != NULL ? runs.listed : json_null());
    json_object_set_new(object, "visitors", json_integer(visitors.people));
    json_object_set_new(object, "visitors_recent", json_integer(visitors.recent));
    json_object_set_new(object, "held", held_object(standing));
    return rv == APR_SUCCESS ? add_events(object, overview, course_key, p, err) : rv;
}

/* --- people ----------------------------------------------------------------------------------------------------------- */

/** People as they are read. */
typedef struct people_t {
    json_t *rows;
    int limit;
    int more;
} people_t;

static apr_status_t take_person(void *baton, const lti_member_t *member, apr_time_t launched_at, lti_err_t *err)
{
    people_t *people = baton;
    json_t *object;

    (void)err;
    if ((int)json_array_size(people->rows) == people->limit) {
        people->more = 1;
        return APR_SUCCESS;
    }
    object = json_object();
    lti_overview_set(object, "user_id", member->user_id);
    lti_overview_set(object, "name", member->name);
    lti_overview_set(object, "email", member->email);
    lti_overview_set(object, "sourcedid", member->sourcedid);
    lti_overview_set(object, "role", lti_role_word(lti_role_primary(member->roles, NULL)));
    lti_overview_set(object, "roles", member->roles);
    lti_overview_set(object, "status", lti_member_status_word(member->status));
    lti_json_set_time(object, "joined_at", member->joined_at);
    lti_json_set_time(object, "status_at", member->status_at);
    lti_json_set_time(object, "launched_at", launched_at);
    json_array_append_new(people->rows, object);
    return APR_SUCCESS;
}

apr_status_t lti_overview_people(json_t **people, const lti_overview_t *overview, const char *course_key, const char *after,
                                 int limit, apr_pool_t *p, lti_err_t *err)
{
    people_t reading = {.limit = within(limit, 1, LTI_OVERVIEW_PAGE_MAX)};
    lti_overview_answer_t answer;
    lti_db_standing_t *standing;
    const json_t *last;
    apr_status_t rv = find(&standing, &answer, overview, course_key, p, err);

    if (rv != APR_SUCCESS)
        return rv;
    *people = lti_json_own(json_object(), p);
    reading.rows = json_array();
    json_object_set_new(*people, "rows", reading.rows);
    rv = lti_db_people_each(overview->db, course_key, after != NULL ? after : "", reading.limit + 1, take_person, &reading, p, err);
    last = json_array_size(reading.rows) > 0 ? json_array_get(reading.rows, json_array_size(reading.rows) - 1) : NULL;
    lti_overview_set(*people, "next", reading.more && last != NULL ? lti_json_string(last, "user_id") : NULL);
    return rv;
}

static apr_status_t take_held(void *baton, const lti_member_t *member, lti_err_t *err)
{
    json_t *object = json_object();

    (void)err;
    lti_overview_set(object, "user_id", member->user_id);
    lti_overview_set(object, "name", member->name);
    json_array_append_new(baton, object);
    return APR_SUCCESS;
}

apr_status_t lti_overview_held(json_t **held, const lti_overview_t *overview, const char *course_key, apr_pool_t *p, lti_err_t *err)
{
    lti_overview_answer_t answer;
    lti_db_standing_t *standing;
    apr_status_t rv = find(&standing, &answer, overview, course_key, p, err);

    if (rv != APR_SUCCESS)
        return rv;
    *held = lti_json_own(json_array(), p);
    return lti_db_held_each(overview->db, course_key, take_held, *held, p, err);
}
