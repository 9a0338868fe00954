/* SPDX-License-Identifier: Apache-2.0 */
/* The history of runs in the database. */
#include "test_db_world.h"

#define DAY (86400 * SECOND)

static void write_run(world_t *w, const char *id, apr_time_t at, apr_time_t ended_at, int joined, const char *error)
{
    const lti_db_run_t run = {.course_key = "k", .run_id = id, .node = "n", .started_at = at, .ended_at = ended_at, .pages = 2,
                              .members = 30, .joined = joined, .error_name = error, .error_text = error != NULL ? "why" : NULL};

    assert_ok(lti_db_run_write(w->a->db, &run, w->pool, &w->err), w->err);
}

typedef struct told_t {
    apr_pool_t *pool;
    const char *text;
} told_t;

static apr_status_t tell(void *baton, const lti_db_run_t *run)
{
    told_t *told = baton;

    told->text = apr_psprintf(told->pool, "%s%s:%s:%d:%s ", told->text, run->run_id, run->error_name != NULL ? run->error_name : "ok",
                              (int)run->repeats, run->ended_at != 0 ? "ended" : "runs");
    return APR_SUCCESS;
}

static const char *history(world_t *w)
{
    told_t told = {w->pool, ""};

    assert_ok(lti_db_runs_each(w->b->db, "k", 10, tell, &told, w->pool, &w->err), w->err);
    return told.text;
}

static void runs_that_say_the_same_share_a_row(void **state)
{
    world_t *w = *state;

    write_run(w, "a", NOW, NOW + 1, 5, NULL);
    write_run(w, "b", NOW + 10, NOW + 11, 0, NULL);
    write_run(w, "c", NOW + 20, NOW + 21, 0, NULL);
    write_run(w, "d", NOW + 30, NOW + 31, 0, "http-timeout");
    write_run(w, "e", NOW + 40, NOW + 41, 0, "http-timeout");
    write_run(w, "f", NOW + 50, NOW + 51, 0, "http-connect");
    write_run(w, "g", NOW + 60, NOW + 61, 0, NULL);
    write_run(w, "h", NOW + 70, NOW + 71, 1, NULL);
    assert_string_equal(history(w),
                        "h:ok:0:ended g:ok:0:ended f:http-connect:0:ended d:http-timeout:1:ended b:ok:1:ended a:ok:0:ended ");
    assert_int_equal(ask_number(w->a, "SELECT started_at FROM lti_run WHERE run_id = 'd'"), NOW + 40);
    assert_int_equal(ask_number(w->a, "SELECT ended_at FROM lti_run WHERE run_id = 'd'"), NOW + 41);
}

static void a_run_that_goes_on_has_a_row_that_its_end_takes_over(void **state)
{
    world_t *w = *state;

    write_run(w, "a", NOW, 0, 0, NULL);
    assert_string_equal(history(w), "a:ok:0:runs ");
    write_run(w, "a", NOW, 0, 0, NULL);
    write_run(w, "a", NOW, NOW + 2, 3, NULL);
    assert_string_equal(history(w), "a:ok:0:ended ");
    assert_int_equal(ask_number(w->a, "SELECT joined FROM lti_run"), 3);
    write_run(w, "b", NOW + 10, NOW + 11, 0, NULL);
    write_run(w, "c", NOW + 20, 0, 0, NULL);
    write_run(w, "c", NOW + 20, NOW + 25, 0, NULL);
    assert_string_equal(history(w), "b:ok:1:ended a:ok:0:ended ");
}

static void a_course_keeps_its_newest_fifty(void **state)
{
    world_t *w = *state;
    int i;

    for (i = 0; i < 53; i++)
        write_run(w, apr_psprintf(w->pool, "r%d", i), NOW + i * 10, NOW + i * 10 + 1, 1, NULL);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_run"), 50);
    assert_int_equal(ask_number(w->a, "SELECT MIN(started_at) FROM lti_run"), NOW + 30);
}

static void the_purge_takes_old_runs_and_those_of_dead_nodes(void **state)
{
    world_t *w = *state;

    write_run(w, "old", NOW - 91 * DAY, NOW - 91 * DAY, 1, NULL);
    write_run(w, "kept", NOW - 89 * DAY, NOW - 89 * DAY, 1, NULL);
    write_run(w, "dead", NOW - 3601 * SECOND, 0, 0, NULL);
    write_run(w, "alive", NOW - 3500 * SECOND, 0, 0, NULL);
    assert_ok(lti_db_purge(w->a->db, NOW, NOW, NOW, w->pool, &w->err), w->err);
    assert_string_equal(history(w), "alive:ok:0:runs kept:ok:0:ended ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(runs_that_say_the_same_share_a_row),
        WORLD_TEST(a_run_that_goes_on_has_a_row_that_its_end_takes_over),
        WORLD_TEST(a_course_keeps_its_newest_fifty),
        WORLD_TEST(the_purge_takes_old_runs_and_those_of_dead_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
