/* SPDX-License-Identifier: Apache-2.0 */
/* A roster that stops is told of once by each process, whatever keeps it from being refreshed (Invariant 4). */
#include "test_refresh_world.h"

/* A course of three, refreshed a moment ago; nothing comes any more. */
static node_t *begin_and_fail(world_t *world)
{
    node_t *node = begin_with(world, "ann bob cay", NULL, NULL);

    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 500, .body = "no"});
    return node;
}

static void later(node_t *node, apr_interval_time_t time)
{
    world_clock += time;
    next_second(node);
    node->events->nelts = 0;
}

static void it_is_told_once_when_its_time_has_come(void **state)
{
    node_t *node = begin_and_fail(*state);

    later(node, MINUTES(10));
    assert_int_equal(node->stale, 0);
    later(node, HOURS(2));
    assert_int_equal(node->stale, 1);
    assert_string_equal(node->stale_key, COURSE);
    assert_int_equal(node->stale_unnamed, 0);
    later(node, MINUTES(10));
    later(node, HOURS(30));
    assert_int_equal(node->stale, 1);
}

static void after_a_good_run_it_may_be_told_again(void **state)
{
    node_t *node = begin_and_fail(*state);

    later(node, HOURS(2));
    assert_int_equal(node->stale, 1);
    hush(node->world);
    roster_is(node->world, "ann bob cay", NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    hush(node->world);
    say(node->world, (answer_t){.url = ROSTER, .status = 500, .body = "no"});
    later(node, HOURS(2));
    later(node, MINUTES(2));
    assert_int_equal(node->stale, 2);
}

static void no_run_is_needed_to_notice(void **state)
{
    node_t *node = begin_and_fail(*state);

    sql(node, "UPDATE lti_sync SET due_at = 9000000000000000");
    later(node, HOURS(3));
    assert_int_equal(node->stale, 1);
    assert_int_equal(asked(node->world, ROSTER), 0);
}

static void thousands_at_once_are_counted(void **state)
{
    node_t *node = begin_and_fail(*state);
    int i;

    for (i = 0; i < 30; i++)
        launch(node, apr_psprintf(node->world->pool, "course%d", i), "campus", NULL);
    sql(node, "UPDATE lti_sync SET state = 2, succeeded_at = 1, due_at = 9000000000000000, stale_at = (SELECT MAX(stale_at) FROM "
              "lti_sync)");
    later(node, HOURS(3));
    assert_int_equal(node->stale, 20);
    assert_int_equal(node->stale_unnamed, 11);
    later(node, HOURS(1));
    assert_int_equal(node->stale + node->stale_unnamed, 31);
}

static void what_was_stale_before_the_start_is_counted(void **state)
{
    world_t *world = *state;
    node_t *node = begin_and_fail(world);

    later(node, HOURS(3));
    kill_node(node);
    node = begin_node(world, 0, MEMORY);
    later(node, 0);
    assert_int_equal(node->stale_unnamed, 0); /* there is time to refresh it first */
    later(node, MINUTES(2));
    assert_int_equal(node->stale_unnamed, 1);
    assert_int_equal(node->stale, 0);
    later(node, HOURS(2));
    assert_int_equal(node->stale_unnamed, 1);
}

static void a_clock_that_is_set_back_tells_nothing_twice(void **state)
{
    node_t *node = begin_and_fail(*state);

    later(node, HOURS(3));
    assert_int_equal(node->stale, 1);
    world_clock -= HOURS(1);
    later(node, 0);
    later(node, MINUTES(30));
    later(node, HOURS(2));
    assert_int_equal(node->stale, 1);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(it_is_told_once_when_its_time_has_come),
        WORLD_TEST(after_a_good_run_it_may_be_told_again),
        WORLD_TEST(no_run_is_needed_to_notice),
        WORLD_TEST(thousands_at_once_are_counted),
        WORLD_TEST(what_was_stale_before_the_start_is_counted),
        WORLD_TEST(a_clock_that_is_set_back_tells_nothing_twice),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
