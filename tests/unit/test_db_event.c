/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed: each change of a roster is one event, in the order of commits, until it is purged: on SQLite, and on the server
 * that LTI_TEST_DB names. */
#include "test_db_world.h"

#define OTHER "ddddccccbbbbaaaa"

/* --- reading them ------------------------------------------------------------------------------------------------ */

typedef struct reading_t {
    world_t *w;
    apr_array_header_t *parts; /* const char * */
    apr_int64_t last;
    int stop_after;
} reading_t;

/* "1 joined ada", and what else is asked for. */
static apr_status_t take_event(void *baton, const lti_db_event_t *event, lti_err_t *err)
{
    reading_t *reading = baton;

    (void)err;
    assert_true(event->number > reading->last);
    assert_string_equal(event->platform, "campus");
    reading->last = event->number;
    APR_ARRAY_PUSH(reading->parts, const char *) =
        apr_psprintf(reading->w->pool, "%" APR_INT64_T_FMT " %s %s", event->number, lti_db_event_word(event->kind), event->user_id);
    return reading->parts->nelts == reading->stop_after ? APR_EOF : APR_SUCCESS;
}

static const char *events(world_t *w, apr_int64_t since, const char *course, int max)
{
    reading_t reading = {.w = w, .parts = apr_array_make(w->pool, 8, sizeof(const char *)), .last = since};
    lti_db_event_bounds_t bounds;

    assert_ok(lti_db_events_each(&bounds, w->b->db, since, course, max, take_event, &reading, w->pool, &w->err), w->err);
    return apr_array_pstrcat(w->pool, reading.parts, ',');
}

static lti_db_event_bounds_t bounds_of(world_t *w)
{
    lti_db_event_bounds_t bounds = {-1, -1};

    assert_ok(lti_db_event_bounds(&bounds, w->b->db, w->pool, &w->err), w->err);
    return bounds;
}

static apr_status_t keep_event(void *baton, const lti_db_event_t *event, lti_err_t *err)
{
    world_t *w = ((reading_t *)baton)->w;
    lti_db_event_t *kept = apr_palloc(w->pool, sizeof(*kept));

    (void)err;
    *kept = *event;
    kept->roles = apr_pstrdup(w->pool, event->roles);
    kept->name = event->name ? apr_pstrdup(w->pool, event->name) : NULL;
    kept->email = event->email ? apr_pstrdup(w->pool, event->email) : NULL;
    kept->sourcedid = event->sourcedid ? apr_pstrdup(w->pool, event->sourcedid) : NULL;
    kept->course_key = apr_pstrdup(w->pool, event->course_key);
    APR_ARRAY_PUSH(((reading_t *)baton)->parts, lti_db_event_t *) = kept;
    return APR_SUCCESS;
}

static const lti_db_event_t *event_of(world_t *w, apr_int64_t number)
{
    reading_t reading = {.w = w, .parts = apr_array_make(w->pool, 8, sizeof(const char *))};
    lti_db_event_bounds_t bounds;

    assert_ok(lti_db_events_each(&bounds, w->b->db, number - 1, NULL, 1, keep_event, &reading, w->pool, &w->err), w->err);
    assert_int_equal(reading.parts->nelts, 1);
    return APR_ARRAY_IDX(reading.parts, 0, lti_db_event_t *);
}

static lti_member_t *inactive(world_t *w, const char *user_id)
{
    lti_member_t *member = person(w, user_id, LEARNER);

    member->status = LTI_MEMBER_INACTIVE;
    return member;
}

static lti_member_t *renamed(world_t *w, const char *user_id, const char *roles)
{
    lti_member_t *member = person(w, user_id, roles);

    member->name = "Another Name";
    return member;
}

/* --- kinds ------------------------------------------------------------------------------------------------------- */

static void each_change_is_one_event(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 3, person(w, "zoe", LEARNER), person(w, "ada", TEACHER), person(w, "bob", LEARNER)), NULL);
    assert_string_equal(events(w, 0, COURSE, 100), "1 joined ada,2 joined bob,3 joined zoe");
    run_roster(w, NOW + 10 * SECOND, list_of(w, 1, person(w, "bob", TEACHER)), NULL);
    assert_string_equal(events(w, 3, COURSE, 100), "4 role changed bob");
    run_roster(w, NOW + 20 * SECOND, list_of(w, 1, renamed(w, "bob", TEACHER)), NULL);
    assert_string_equal(events(w, 4, COURSE, 100), "5 details changed bob");
    run_roster(w, NOW + 30 * SECOND, NULL, ids(w, 1, "bob"));
    assert_string_equal(events(w, 5, COURSE, 100), "6 left bob");
    run_roster(w, NOW + 40 * SECOND, list_of(w, 1, person(w, "bob", LEARNER)), NULL);
    assert_string_equal(events(w, 6, COURSE, 100), "7 returned bob");
    assert_int_equal(bounds_of(w).newest, 7);
    assert_int_equal(bounds_of(w).floor, 0);
}

/* A list of changes may name a person more than once (SPEC N-20). */
static void who_comes_and_goes_in_one_list_is_told_to_have_left_once(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 2, person(w, "ada", LEARNER), person(w, "cyd", LEARNER)), NULL);
    run_roster(w, NOW + 10 * SECOND, list_of(w, 3, person(w, "eve", LEARNER), renamed(w, "ada", LEARNER), inactive(w, "cyd")),
               ids(w, 3, "eve", "ada", "cyd"));
    assert_string_equal(events(w, 2, COURSE, 100), "3 details changed ada,4 left cyd,5 joined eve,6 left eve,7 left ada");
    assert_int_equal(read_member(w, "eve")->status, LTI_MEMBER_LEFT);
    assert_int_equal(read_member(w, "cyd")->status, LTI_MEMBER_LEFT);
}

static void a_role_and_a_name_at_once_are_two_events(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 2, person(w, "ada", LEARNER), person(w, "bob", LEARNER)), NULL);
    run_roster(w, NOW + 10 * SECOND,
               list_of(w, 3, renamed(w, "bob", TEACHER), person(w, "cyd", LEARNER), renamed(w, "ada", LEARNER)), NULL);
    assert_string_equal(events(w, 2, COURSE, 100), "3 details changed ada,4 role changed bob,5 details changed bob,6 joined cyd");
}

static void each_detail_counts(void **state)
{
    world_t *w = *state;
    lti_member_t *member = person(w, "ada", LEARNER);
    const char **fields[] = {&member->name, &member->given_name, &member->family_name, &member->email, &member->sourcedid};
    apr_time_t now = NOW;
    size_t i;

    launch(w, COURSE);
    run_roster(w, now, list_of(w, 1, member), NULL);
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i] = "something else";
        run_roster(w, now += 10 * SECOND, list_of(w, 1, member), NULL);
        assert_string_equal(events(w, (apr_int64_t)i + 1, COURSE, 9), apr_psprintf(w->pool, "%d details changed ada", (int)i + 2));
    }
    *fields[3] = NULL;
    run_roster(w, now += 10 * SECOND, list_of(w, 1, member), NULL);
    assert_string_equal(events(w, 6, COURSE, 9), "7 details changed ada");
}

static void status_tells_who_is_in_the_course(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 2, person(w, "ada", LEARNER), inactive(w, "ina")), NULL);
    assert_string_equal(events(w, 0, COURSE, 100), "1 joined ada");
    run_roster(w, NOW + 10 * SECOND, list_of(w, 2, inactive(w, "ada"), person(w, "ina", LEARNER)), NULL);
    assert_string_equal(events(w, 1, COURSE, 100), "2 left ada,3 joined ina");
    assert_int_equal(event_of(w, 2)->status, LTI_MEMBER_INACTIVE);
    run_roster(w, NOW + 20 * SECOND, list_of(w, 1, renamed(w, "ada", LEARNER)), NULL);
    assert_string_equal(events(w, 3, COURSE, 100), "4 returned ada");
    /* From inactive to gone, and other words about somebody inactive: nothing happens to the course. */
    run_roster(w, NOW + 30 * SECOND, list_of(w, 1, inactive(w, "ina")), NULL);
    assert_string_equal(events(w, 4, COURSE, 100), "5 left ina");
    run_roster(w, NOW + 40 * SECOND, NULL, ids(w, 1, "ina"));
    assert_string_equal(events(w, 5, COURSE, 100), "");
    run_roster(w, NOW + 50 * SECOND, list_of(w, 1, inactive(w, "ina")), NULL);
    assert_string_equal(events(w, 5, COURSE, 100), "");
    run_roster(w, NOW + 60 * SECOND, list_of(w, 1, person(w, "ina", TEACHER)), NULL);
    assert_string_equal(events(w, 5, COURSE, 100), "6 returned ina");
}

static void who_left_already_does_not_leave_again(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 2, person(w, "ada", LEARNER), person(w, "bob", LEARNER)), NULL);
    run_roster(w, NOW + 10 * SECOND, NULL, ids(w, 1, "bob"));
    run_roster(w, NOW + 20 * SECOND, NULL, ids(w, 3, "bob", "nobody", "ada"));
    assert_string_equal(events(w, 2, COURSE, 100), "3 left bob,4 left ada");
}

static void an_event_tells_what_was_then_and_who_it_is_now(void **state)
{
    world_t *w = *state;
    const lti_db_event_t *event;

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 1, person(w, "ada", LEARNER)), NULL);
    run_roster(w, NOW + 10 * SECOND, list_of(w, 1, renamed(w, "ada", TEACHER)), NULL);
    run_roster(w, NOW + 20 * SECOND, NULL, ids(w, 1, "ada"));
    event = event_of(w, 1);
    assert_string_equal(event->course_key, COURSE);
    assert_string_equal(event->roles, LEARNER);
    assert_int_equal(event->status, LTI_MEMBER_ACTIVE);
    assert_int_equal(event->happened_at, NOW);
    assert_string_equal(event->name, "Another Name");
    assert_string_equal(event->email, "ada@example.org");
    assert_null(event->sourcedid);
    event = event_of(w, 4);
    assert_int_equal(event->kind, LTI_DB_EVENT_LEFT);
    assert_int_equal(event->status, LTI_MEMBER_LEFT);
    assert_string_equal(event->roles, TEACHER);
    assert_int_equal(event->happened_at, NOW + 20 * SECOND);
    raw(w->a, "DELETE FROM lti_member");
    assert_null(event_of(w, 4)->name);
}

static void each_kind_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(lti_db_event_word((lti_db_event_kind_t)99), "unknown");
}

/* --- never written, never lost ----------------------------------------------------------------------------------- */

static void an_unchanged_roster_writes_no_event(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "u", 60), NULL);
    run_roster(w, NOW + 10 * SECOND, NULL, NULL);
    /* Staged again, as when a second walk says the same. */
    run_roster(w, NOW + 20 * SECOND, people(w, "u", 60), ids(w, 1, "nobody"));
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_event"), 60);
    assert_int_equal(bounds_of(w).newest, 60);
}

static void a_run_that_is_not_applied_leaves_no_event(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;
    lti_apply_t apply;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "u", 3), NULL);
    lease(w, NOW + 10 * SECOND);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, people(w, "v", 3), w->pool, &w->err), w->err);
    apply = make_apply(w, NOW + 10 * SECOND, 3, ids(w, 1, "u00000"));
    apply.version++;
    assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_LEASE_LOST);
    /* In the midst of it: the last thing that it needs is not there. */
    apply.version--;
    raw(w->b, "UPDATE lti_schema SET name = 'gone' WHERE name = 'change'");
    assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_STORE);
    raw(w->b, "UPDATE lti_schema SET name = 'change' WHERE name = 'gone'");
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_event"), 3);
    assert_int_equal(bounds_of(w).newest, 3);
    assert_ok(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err);
    assert_string_equal(events(w, 3, COURSE, 100), "4 joined v00000,5 joined v00001,6 joined v00002,7 left u00000");
}

static void many_who_leave_and_come(void **state)
{
    world_t *w = *state;
    apr_array_header_t *members, *leavers = apr_array_make(w->pool, 130, sizeof(const char *));
    int i;

    launch(w, COURSE);
    members = people(w, "u", 2345);
    run_roster(w, NOW, members, NULL);
    for (i = 0; i < 130; i++)
        APR_ARRAY_PUSH(leavers, const char *) = APR_ARRAY_IDX(members, i * 3, lti_member_t *)->user_id;
    run_roster(w, NOW + 10 * SECOND, people(w, "v", 101), leavers);
    assert_int_equal(bounds_of(w).newest, 2345 + 101 + 130);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_event"), 2345 + 101 + 130);
    assert_int_equal(ask_number(w->b, "SELECT MAX(number) FROM lti_event"), 2345 + 101 + 130);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_event WHERE kind = 4"), 130);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_event e JOIN lti_member m ON m.user_id = e.user_id "
                                      "WHERE e.kind = 4 AND m.status = 3"),
                     130);
}

static void numbers_go_on_where_the_counter_was_lost(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "u", 3), NULL);
    raw(w->a, "UPDATE lti_schema SET value = 0 WHERE name = 'event'");
    run_roster(w, NOW + 10 * SECOND, people(w, "v", 1), NULL);
    assert_string_equal(events(w, 3, COURSE, 100), "4 joined v00000");
    raw(w->a, "DELETE FROM lti_schema WHERE name = 'event'");
    lease(w, NOW + 20 * SECOND);
    {
        lti_apply_t apply = make_apply(w, NOW + 20 * SECOND, 0, ids(w, 1, "v00000"));
        lti_numbers_t numbers;
        lti_db_event_bounds_t bounds;
        lti_applied_t applied;

        assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_STORE);
        assert_code(lti_db_event_bounds(&bounds, w->a->db, w->pool, &w->err), w->err, LTI_E_STORE);
        assert_code(lti_db_numbers(&numbers, w->a->db, w->pool, &w->err), w->err, LTI_E_STORE);
    }
}

static void the_numbers_of_each_second_tell_of_events(void **state)
{
    world_t *w = *state;
    lti_numbers_t numbers;

    launch(w, COURSE);
    assert_ok(lti_db_numbers(&numbers, w->b->db, w->pool, &w->err), w->err);
    assert_int_equal(numbers.event, 0);
    run_roster(w, NOW, people(w, "u", 3), NULL);
    assert_ok(lti_db_numbers(&numbers, w->b->db, w->pool, &w->err), w->err);
    assert_int_equal(numbers.event, 3);
}

/* --- order ------------------------------------------------------------------------------------------------------- */

#define RUNS 12

/* Several nodes, each with a course of its own. */
static apr_status_t run_often(racer_t *racer)
{
    const char *key = apr_psprintf(racer->pool, "racer%011d", racer->number);
    lti_db_t *db = racer->conn->db;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < RUNS; i++) {
        apr_time_t now = NOW + i * SECOND;
        lti_member_t member = {.user_id = apr_psprintf(racer->pool, "u%d", i), .roles = LEARNER, .status = LTI_MEMBER_ACTIVE};
        apr_array_header_t *members = apr_array_make(racer->pool, 1, sizeof(lti_member_t *));
        lti_course_t *course = NULL;
        lti_applied_t applied;

        APR_ARRAY_PUSH(members, lti_member_t *) = &member;
        rv = lti_db_course_read(&course, db, key, racer->pool, &racer->err);
        if (rv == APR_SUCCESS)
            rv = lti_db_lease_take(db, key, key, now, now + 60 * SECOND, racer->pool, &racer->err);
        if (rv == APR_SUCCESS)
            rv = lti_db_stage(db, key, key, members, racer->pool, &racer->err);
        if (rv == APR_SUCCESS) {
            lti_apply_t apply = {.run_id = key,
                                 .course_key = key,
                                 .owner = key,
                                 .version = course->version,
                                 .requested_at = now,
                                 .now = now,
                                 .staged = 1,
                                 .state = LTI_ROSTER_CURRENT,
                                 .due_at = now,
                                 .stale_at = now};

            rv = lti_db_apply(&applied, db, &apply, racer->pool, &racer->err);
        }
    }
    return rv;
}

static apr_status_t count_event(void *baton, const lti_db_event_t *event, lti_err_t *err)
{
    apr_int64_t *last = baton;

    (void)err;
    /* What is seen has no gap: nothing can appear behind the reader. */
    if (event->number != *last + 1)
        return APR_EGENERAL;
    *last = event->number;
    return APR_SUCCESS;
}

/* One of the racers does nothing but follow. */
static apr_status_t run_or_follow(racer_t *racer)
{
    apr_int64_t last = 0;
    lti_db_event_bounds_t bounds;
    apr_time_t until = apr_time_now() + 30 * SECOND;

    if (racer->number != 0)
        return run_often(racer);
    while (last < RUNS * (RACERS - 1) && apr_time_now() < until) {
        apr_status_t rv = lti_db_events_each(&bounds, racer->conn->db, last, NULL, 5, count_event, &last, racer->pool, &racer->err);

        if (rv != APR_SUCCESS)
            return rv;
    }
    return last == RUNS * (RACERS - 1) ? APR_SUCCESS : APR_TIMEUP;
}

static void a_follower_misses_nothing_while_many_write(void **state)
{
    world_t *w = *state;
    racer_t racers[RACERS];
    int i;

    for (i = 1; i < RACERS; i++)
        launch(w, apr_psprintf(w->pool, "racer%011d", i));
    race(racers, w, run_or_follow);
    for (i = 0; i < RACERS; i++) {
        /* On SQLite a launch may have to give way for five seconds; here nobody waits so long. */
        assert_int_equal(racers[i].rv, APR_SUCCESS);
    }
    assert_int_equal(bounds_of(w).newest, RUNS * (RACERS - 1));
    assert_int_equal(ask_number(w->a, "SELECT COUNT(DISTINCT number) FROM lti_event"), RUNS * (RACERS - 1));
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static void pages_and_courses(void **state)
{
    world_t *w = *state;
    reading_t reading = {.w = w, .stop_after = 2};
    lti_db_event_bounds_t bounds;

    launch(w, COURSE);
    launch(w, OTHER);
    run_roster(w, NOW, list_of(w, 2, person(w, "ada", LEARNER), person(w, "bob", LEARNER)), NULL);
    raw(w->a, "INSERT INTO lti_event (number, course_key, user_id, kind, status, roles, happened_at) VALUES (3, '" OTHER
              "', 'eve', 1, 1, '', 5)");
    raw(w->a, "UPDATE lti_schema SET value = 3 WHERE name = 'event'");
    run_roster(w, NOW + 10 * SECOND, list_of(w, 1, person(w, "cyd", LEARNER)), NULL);
    assert_string_equal(events(w, 0, NULL, 100), "1 joined ada,2 joined bob,3 joined eve,4 joined cyd");
    assert_string_equal(events(w, 0, COURSE, 100), "1 joined ada,2 joined bob,4 joined cyd");
    assert_string_equal(events(w, 0, OTHER, 100), "3 joined eve");
    assert_string_equal(events(w, 1, NULL, 2), "2 joined bob,3 joined eve");
    assert_string_equal(events(w, 4, NULL, 2), "");
    assert_string_equal(events(w, 99, NULL, 2), "");
    assert_string_equal(events(w, -1, NULL, 2), "");
    assert_string_equal(events(w, 0, "nobody's", 2), "");
    assert_string_equal(events(w, 0, "\xFF", 2), "");
    reading.parts = apr_array_make(w->pool, 8, sizeof(const char *));
    assert_int_equal(lti_db_events_each(&bounds, w->b->db, 0, NULL, 100, take_event, &reading, w->pool, &w->err), APR_EOF);
    assert_int_equal(reading.last, 2);
    assert_string_equal(events(w, 3, NULL, 100), "4 joined cyd");
}

static void more_than_a_page_at_once(void **state)
{
    world_t *w = *state;
    lti_db_event_bounds_t bounds;
    apr_int64_t last = 0;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "u", 2 * LTI_DB_PAGE + 7), NULL);
    assert_ok(lti_db_events_each(&bounds, w->b->db, 0, COURSE, LTI_DB_PAGE + 3, count_event, &last, w->pool, &w->err), w->err);
    assert_int_equal(last, LTI_DB_PAGE + 3);
    assert_ok(lti_db_events_each(&bounds, w->b->db, last, NULL, 10 * LTI_DB_PAGE, count_event, &last, w->pool, &w->err), w->err);
    assert_int_equal(last, 2 * LTI_DB_PAGE + 7);
}

/* Or each page of a course's events is found by looking at all that there are. */
static void postgresql_plans_with_many_events_at_once(void **state)
{
    world_t *w = *state;

    if (!is_kind(w, "pgsql"))
        skip();
    launch(w, COURSE);
    run_roster(w, NOW, people(w, "u", 8000), NULL);
    assert_int_equal(
        ask_number(w->b,
                   "SELECT reltuples FROM pg_class WHERE relname = 'lti_event' AND relnamespace = current_schema()::regnamespace"),
        8000);
}

/* --- purging ----------------------------------------------------------------------------------------------------- */

static void purge(world_t *w, apr_time_t before)
{
    assert_ok(lti_db_purge(w->a->db, before, before, before, w->pool, &w->err), w->err);
}

static void what_is_purged_is_told_by_the_floor(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    purge(w, NOW);
    assert_int_equal(bounds_of(w).floor, 0);
    run_roster(w, NOW, people(w, "u", 3), NULL);
    run_roster(w, NOW + 100 * SECOND, people(w, "v", 2), NULL);
    run_roster(w, NOW + 200 * SECOND, people(w, "x", 1), NULL);
    purge(w, NOW);
    assert_int_equal(bounds_of(w).floor, 0);
    purge(w, NOW + 100 * SECOND);
    assert_int_equal(bounds_of(w).floor, 3);
    assert_string_equal(events(w, 2, COURSE, 100), "");
    assert_string_equal(events(w, 3, COURSE, 100), "4 joined v00000,5 joined v00001,6 joined x00000");
    assert_int_equal(ask_number(w->b, "SELECT MIN(number) FROM lti_event"), 4);
    purge(w, NOW + 300 * SECOND);
    assert_int_equal(bounds_of(w).floor, 6);
    assert_int_equal(bounds_of(w).newest, 6);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_event"), 0);
    run_roster(w, NOW + 300 * SECOND, people(w, "y", 1), NULL);
    assert_string_equal(events(w, 6, COURSE, 100), "7 joined y00000");
}

/* A run that took long is committed behind younger ones: what is kept has no gap. */
static void an_old_event_behind_a_young_one_stays(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "u", 1), NULL);
    run_roster(w, NOW + 100 * SECOND, people(w, "v", 1), NULL);
    run_roster(w, NOW + 10 * SECOND, people(w, "x", 1), NULL);
    purge(w, NOW + 50 * SECOND);
    assert_int_equal(bounds_of(w).floor, 1);
    assert_string_equal(events(w, 1, COURSE, 100), "2 joined v00000,3 joined x00000");
}

static void a_purge_of_many_goes_in_steps(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "u", 10001), NULL);
    run_roster(w, NOW + 100 * SECOND, people(w, "v", 2), NULL);
    purge(w, NOW + 100 * SECOND);
    assert_int_equal(bounds_of(w).floor, 10001);
    assert_string_equal(events(w, 10001, COURSE, 100), "10002 joined v00000,10003 joined v00001");
}

/* --- courses ----------------------------------------------------------------------------------------------------- */

static apr_status_t take_course(void *baton, const lti_course_t *course, lti_err_t *err)
{
    reading_t *reading = baton;

    (void)err;
    APR_ARRAY_PUSH(reading->parts, const char *) = apr_pstrdup(reading->w->pool, course->key);
    return reading->parts->nelts == reading->stop_after ? APR_EOF : APR_SUCCESS;
}

static const char *courses(world_t *w, const char *after, int max)
{
    reading_t reading = {.w = w, .parts = apr_array_make(w->pool, 8, sizeof(const char *))};

    assert_ok(lti_db_courses_each(w->b->db, after, max, take_course, &reading, w->pool, &w->err), w->err);
    return apr_array_pstrcat(w->pool, reading.parts, ',');
}

static void courses_are_listed_by_key(void **state)
{
    world_t *w = *state;
    reading_t reading = {.w = w, .stop_after = 1, .parts = apr_array_make(w->pool, 8, sizeof(const char *))};

    launch(w, "bbbbbbbbbbbbbbbb");
    launch(w, "aaaaaaaaaaaaaaaa");
    launch(w, "cccccccccccccccc");
    assert_string_equal(courses(w, "", 10), "aaaaaaaaaaaaaaaa,bbbbbbbbbbbbbbbb,cccccccccccccccc");
    assert_string_equal(courses(w, "", 2), "aaaaaaaaaaaaaaaa,bbbbbbbbbbbbbbbb");
    assert_string_equal(courses(w, "bbbbbbbbbbbbbbbb", 2), "cccccccccccccccc");
    assert_string_equal(courses(w, "cccccccccccccccc", 2), "");
    assert_string_equal(courses(w, "\xFF", 2), "");
    assert_int_equal(lti_db_courses_each(w->b->db, "", 10, take_course, &reading, w->pool, &w->err), APR_EOF);
    assert_int_equal(reading.parts->nelts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(each_change_is_one_event),
        WORLD_TEST(who_comes_and_goes_in_one_list_is_told_to_have_left_once),
        WORLD_TEST(a_role_and_a_name_at_once_are_two_events),
        WORLD_TEST(each_detail_counts),
        WORLD_TEST(status_tells_who_is_in_the_course),
        WORLD_TEST(who_left_already_does_not_leave_again),
        WORLD_TEST(an_event_tells_what_was_then_and_who_it_is_now),
        cmocka_unit_test(each_kind_has_a_word),
        WORLD_TEST(an_unchanged_roster_writes_no_event),
        WORLD_TEST(a_run_that_is_not_applied_leaves_no_event),
        WORLD_TEST(many_who_leave_and_come),
        WORLD_TEST(numbers_go_on_where_the_counter_was_lost),
        WORLD_TEST(the_numbers_of_each_second_tell_of_events),
        WORLD_TEST(a_follower_misses_nothing_while_many_write),
        WORLD_TEST(pages_and_courses),
        WORLD_TEST(more_than_a_page_at_once),
        WORLD_TEST(postgresql_plans_with_many_events_at_once),
        WORLD_TEST(what_is_purged_is_told_by_the_floor),
        WORLD_TEST(an_old_event_behind_a_young_one_stays),
        WORLD_TEST(a_purge_of_many_goes_in_steps),
        WORLD_TEST(courses_are_listed_by_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
