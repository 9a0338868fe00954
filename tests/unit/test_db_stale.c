/* SPDX-License-Identifier: Apache-2.0 */
/* Which courses turned stale in a time, and with which course a platform is examined. */
#include "test_db_world.h"

static void stale(world_t *w, const char *key, int state, apr_time_t stale_at)
{
    launch(w, key);
    raw(w->a, apr_psprintf(w->pool,
                           "UPDATE lti_sync SET state = %d, succeeded_at = %" APR_INT64_T_FMT ", stale_at = %" APR_INT64_T_FMT
                           ", failures = 2, error_name = 'http-connect', error_text = 'why' WHERE course_key = '%s'",
                           state, (apr_int64_t)NOW, (apr_int64_t)stale_at, key));
}

typedef struct told_t {
    apr_pool_t *pool;
    const char *keys;
} told_t;

static apr_status_t tell(void *baton, const lti_course_t *course, lti_err_t *err)
{
    told_t *told = baton;

    (void)err;
    assert_string_equal(course->error_name, "http-connect");
    assert_string_equal(course->error_text, "why");
    assert_int_equal(course->failures, 2);
    assert_int_equal(course->succeeded_at, NOW);
    assert_non_null(course->platform);
    assert_non_null(course->context_id);
    told->keys = apr_pstrcat(told->pool, told->keys, course->key, " ", NULL);
    return APR_SUCCESS;
}

static const char *between(int *count, world_t *w, apr_time_t since, apr_time_t until, int max)
{
    told_t told = {w->pool, ""};

    *count = -1;
    assert_ok(lti_db_stale_each(count, w->b->db, since, until, max, tell, &told, w->pool, &w->err), w->err);
    return told.keys;
}

static void each_is_found_in_the_time_in_which_it_turned(void **state)
{
    world_t *w = *state;
    int count;

    stale(w, "current", LTI_ROSTER_CURRENT, NOW + 10);
    stale(w, "failing", LTI_ROSTER_FAILING, NOW + 20);
    stale(w, "held", LTI_ROSTER_HELD, NOW + 15);
    stale(w, "later", LTI_ROSTER_CURRENT, NOW + 31);
    stale(w, "none", LTI_ROSTER_NONE, NOW + 20);
    stale(w, "pending", LTI_ROSTER_PENDING, NOW + 20);
    stale(w, "never", LTI_ROSTER_CURRENT, 0);
    assert_string_equal(between(&count, w, NOW, NOW + 30, 10), "current held failing ");
    assert_int_equal(count, 3);
    assert_string_equal(between(&count, w, NOW + 10, NOW + 15, 10), "held ");
    assert_string_equal(between(&count, w, NOW + 30, NOW + 31, 10), "later ");
    assert_string_equal(between(&count, w, NOW + 31, NOW + 99, 10), "");
    assert_int_equal(count, 0);
}

static void the_first_are_named_and_all_are_counted(void **state)
{
    world_t *w = *state;
    int count;

    stale(w, "a", LTI_ROSTER_CURRENT, NOW + 2);
    stale(w, "b", LTI_ROSTER_CURRENT, NOW + 1);
    stale(w, "c", LTI_ROSTER_CURRENT, NOW + 3);
    assert_string_equal(between(&count, w, 0, NOW + 9, 2), "b a ");
    assert_int_equal(count, 3);
    assert_ok(lti_db_stale_each(&count, w->b->db, 0, NOW + 9, 0, NULL, NULL, w->pool, &w->err), w->err);
    assert_int_equal(count, 3);
}

static void the_course_launched_last_stands_for_its_platform(void **state)
{
    world_t *w = *state;
    lti_course_t *course = NULL;

    assert_int_equal(lti_db_course_launched_last(&course, w->a->db, "moodle", w->pool, &w->err), APR_NOTFOUND);
    launch(w, "a");
    launch(w, "b");
    launch(w, "c");
    raw(w->a, "UPDATE lti_context SET platform = 'moodle', launched_at = 0");
    assert_ok(lti_db_course_launched_last(&course, w->a->db, "moodle", w->pool, &w->err), w->err);
    assert_string_equal(course->key, "a"); /* none was launched: the first that was named */
    raw(w->a, "UPDATE lti_context SET launched_at = 5 WHERE course_key = 'b'");
    raw(w->a, "UPDATE lti_context SET launched_at = 9, platform = 'other' WHERE course_key = 'c'");
    assert_ok(lti_db_course_launched_last(&course, w->a->db, "moodle", w->pool, &w->err), w->err);
    assert_string_equal(course->key, "b");
    assert_string_equal(course->platform, "moodle");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(each_is_found_in_the_time_in_which_it_turned),
        WORLD_TEST(the_first_are_named_and_all_are_counted),
        WORLD_TEST(the_course_launched_last_stands_for_its_platform),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
