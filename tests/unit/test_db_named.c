/* SPDX-License-Identifier: Apache-2.0 */
/* Courses that the configuration names before anybody launched them. */
#include "test_db_world.h"

#define OTHER_URL "https://lms.example.org/other/7"
#define HOUR (3600 * SECOND)

static lti_course_t named_course(const char *url)
{
    lti_course_t course = make_course(COURSE, "7", url);

    course.label = course.title = course.type = NULL;
    course.launched_at = 0;
    course.state = LTI_ROSTER_PENDING;
    return course;
}

static void name_at(world_t *w, const char *url, apr_time_t now)
{
    lti_course_t course = named_course(url);

    assert_ok(lti_db_course_named(w->a->db, &course, now, w->pool, &w->err), w->err);
}

static void set_due(world_t *w, apr_time_t due_at)
{
    raw(w->a, apr_psprintf(w->pool, "UPDATE lti_sync SET due_at = %" APR_TIME_T_FMT, due_at));
}

static void a_named_course_is_due_at_once(void **state)
{
    world_t *w = *state;
    apr_array_header_t *keys;
    lti_course_t *course;

    name_at(w, URL, NOW);
    course = read_course(w);
    assert_string_equal(course->platform, "campus");
    assert_string_equal(course->issuer, "https://lms.example.org");
    assert_string_equal(course->client_id, "tool-77");
    assert_string_equal(course->deployment_id, "1");
    assert_string_equal(course->context_id, "7");
    assert_string_equal(course->nrps_url, URL);
    assert_null(course->title);
    assert_true(course->launched_at == 0);
    assert_int_equal(course->state, LTI_ROSTER_PENDING);
    assert_true(course->due_at == NOW);
    assert_ok(lti_db_due_each(&keys, w->a->db, NOW, NULL, NULL, 10, w->pool, &w->err), w->err);
    assert_int_equal(keys->nelts, 1);
    assert_true(change_number(w) > 0);
}

/* Each process does it, those of other nodes too. */
static void naming_it_again_writes_nothing(void **state)
{
    world_t *w = *state;
    apr_int64_t number;

    name_at(w, URL, NOW);
    set_due(w, NOW + HOUR);
    number = change_number(w);
    name_at(w, URL, NOW + 60 * SECOND);
    assert_true(read_course(w)->due_at == NOW + HOUR);
    assert_true(change_number(w) == number);
}

static void another_address_is_written_and_makes_it_due(void **state)
{
    world_t *w = *state;

    name_at(w, URL, NOW);
    set_due(w, NOW + HOUR);
    name_at(w, OTHER_URL, NOW + SECOND);
    assert_string_equal(read_course(w)->nrps_url, OTHER_URL);
    assert_true(read_course(w)->due_at == NOW + SECOND);
}

static void what_a_launch_told_stays(void **state)
{
    world_t *w = *state;
    apr_int64_t number;

    launch(w, COURSE);
    set_due(w, NOW + HOUR);
    number = change_number(w);
    name_at(w, OTHER_URL, NOW + SECOND);
    assert_string_equal(read_course(w)->nrps_url, URL);
    assert_string_equal(read_course(w)->title, "Biology");
    assert_true(read_course(w)->launched_at == NOW);
    assert_true(read_course(w)->due_at == NOW + HOUR);
    assert_true(change_number(w) == number);
}

static void a_launch_joins_the_course_that_was_named(void **state)
{
    world_t *w = *state;

    name_at(w, OTHER_URL, NOW - SECOND);
    launch(w, COURSE);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_context"), 1);
    assert_string_equal(read_course(w)->nrps_url, URL);
    assert_string_equal(read_course(w)->label, "BIO-1");
    assert_true(read_course(w)->launched_at == NOW);
    name_at(w, OTHER_URL, NOW + SECOND);
    assert_string_equal(read_course(w)->nrps_url, URL);
}

static void a_course_that_was_launched_without_a_roster_service_gets_its_address(void **state)
{
    world_t *w = *state;
    lti_course_t course = make_course(COURSE, "7", NULL);

    assert_ok(lti_db_course_launched(w->a->db, &course, NOW, w->pool, &w->err), w->err);
    assert_int_equal(read_course(w)->state, LTI_ROSTER_NONE);
    name_at(w, URL, NOW + SECOND);
    assert_int_equal(read_course(w)->state, LTI_ROSTER_PENDING);
    assert_string_equal(read_course(w)->nrps_url, URL);
    assert_true(read_course(w)->due_at == NOW + SECOND);
    assert_true(read_course(w)->launched_at == NOW);
}

static apr_status_t name_it(racer_t *racer)
{
    lti_course_t course = named_course(URL);

    return lti_db_course_named(racer->conn->db, &course, NOW + racer->number, racer->pool, &racer->err);
}

static void several_nodes_name_it_at_once(void **state)
{
    world_t *w = *state;
    racer_t racers[RACERS];
    int i;

    race(racers, w, name_it);
    for (i = 0; i < RACERS; i++)
        assert_ok(racers[i].rv, racers[i].err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_context"), 1);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_sync"), 1);
    assert_int_equal(change_number(w), 1);
}

static void without_tables_it_says_so(void **state)
{
    world_t *w = *state;
    lti_course_t course = named_course(URL);

    assert_code(lti_db_course_named(w->a->db, &course, NOW, w->pool, &w->err), w->err, LTI_E_STORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_named_course_is_due_at_once),
        WORLD_TEST(naming_it_again_writes_nothing),
        WORLD_TEST(another_address_is_written_and_makes_it_due),
        WORLD_TEST(what_a_launch_told_stays),
        WORLD_TEST(a_launch_joins_the_course_that_was_named),
        WORLD_TEST(a_course_that_was_launched_without_a_roster_service_gets_its_address),
        WORLD_TEST(several_nodes_name_it_at_once),
        EMPTY_WORLD_TEST(without_tables_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
