/* SPDX-License-Identifier: Apache-2.0 */
/* Where a platform tells what changed, that is asked for (SPEC N-18 to N-22): nobody is missing from a list of changes but those it names as deleted. */
#include "test_refresh_world.h"

#define CHANGES ROSTER "?since=1"
#define CHANGES2 ROSTER "?since=1&p=2"
#define LATER ROSTER "?since=2"
#define DELETED(id) "{\"user_id\":\"" id "\",\"status\":\"Deleted\"}"

/* A list of changes: people, and somebody who was deleted. */
static const char *changes(world_t *world, const char *words, const char *more)
{
    const char *page = people(world, words);
    apr_size_t length = strlen(page) - strlen("]}");

    return apr_pstrcat(world->pool, apr_pstrmemdup(world->pool, page, length), words[0] != '\0' && more[0] != '\0' ? "," : "", more,
                       "]}", NULL);
}

/* A course of three whose platform tells what changes. */
static node_t *begin_with_changes(world_t *world)
{
    node_t *node = begin_node(world, 0, MEMORY);

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann bob cay"), .differences = CHANGES});
    next_second(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.joined, 3);
    hush(world);
    return node;
}

static const char *stored(node_t *node)
{
    lti_differences_t differences;
    lti_err_t err = {0};

    assert_ok(lti_db_differences_read(&differences, node->db, COURSE, node->world->pool, &err), err);
    return differences.url != NULL ? differences.url : "";
}

/* SPEC N-18, N-20 */
static void only_what_changed_is_asked_for(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with_changes(world);
    seen_event_t done;

    assert_string_equal(stored(node), CHANGES);
    say(world, (answer_t){.url = CHANGES, .body = changes(world, "dan bob:instructor", DELETED("ann")), .differences = LATER});
    update_now(node);
    done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(done.applied.joined, 1);
    assert_int_equal(done.applied.changed, 1);
    assert_int_equal(done.applied.left, 1);
    assert_string_equal(done.remarks, "");
    assert_int_equal(asked(world, ROSTER), 0);
    assert_string_equal(standing(node, "ann"), "left");
    assert_string_equal(standing(node, "cay"), "active");
    assert_string_equal(standing(node, "dan"), "active");
    assert_string_equal(stored(node), LATER);
    /* Nothing changed, and no new address: the old one goes on to tell. */
    say(world, (answer_t){.url = LATER, .body = changes(world, "", "")});
    update_now(node);
    done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(done.applied.left + done.applied.joined + done.applied.changed, 0);
    assert_int_equal(done.applied.active, 3);
    assert_string_equal(stored(node), LATER);
    /* Strangers who were deleted are nobody's loss; who is named again after that is there. */
    hush(world);
    say(world,
        (answer_t){.url = LATER,
                   .body = changes(world, "", DELETED("nobody") "," DELETED("dan") ",{\"user_id\":\"dan\"}," DELETED("cay"))});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 1);
    assert_string_equal(standing(node, "dan"), "active");
    assert_string_equal(standing(node, "cay"), "left");
    assert_string_equal(standing(node, "nobody"), "unknown");
}

/* SPEC N-20: all pages or nothing, here too; and the whole list mends what failed. */
static void a_list_of_changes_that_breaks_off_changes_nothing(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with_changes(world);

    say(world, (answer_t){.url = CHANGES, .body = changes(world, "dan", DELETED("ann")), .next = CHANGES2, .differences = LATER});
    say(world, (answer_t){.url = CHANGES2, .status = 500});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_HTTP_STATUS);
    assert_string_equal(standing(node, "ann"), "active");
    assert_string_equal(standing(node, "dan"), "unknown");
    assert_string_equal(stored(node), CHANGES);
    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "bob cay dan"), .differences = LATER});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 1);
    assert_string_equal(stored(node), LATER);
    /* With all its pages it counts, without a second walk: whoever left was named. */
    hush(world);
    say(world, (answer_t){.url = LATER, .body = changes(world, "eve", DELETED("bob")), .next = CHANGES2});
    say(world, (answer_t){.url = CHANGES2, .body = changes(world, "fay", ""), .differences = CHANGES});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.joined, 2);
    assert_int_equal(asked(world, LATER), 1);
    assert_string_equal(standing(node, "bob"), "left");
    assert_string_equal(stored(node), CHANGES);
}

/* SPEC N-19: what changes while later pages are read must not be lost. */
static void the_address_of_the_first_page_counts(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann"), .next = PAGE2, .differences = CHANGES});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "bob"), .differences = LATER});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(stored(node), CHANGES);
}

/* SPEC N-21 */
static void an_address_that_is_not_known_any_more_leads_to_the_whole_list(void **state)
{
    static const int statuses[] = {400, 404, 410, 403};
    world_t *world = *state;
    node_t *node = begin_with_changes(world);
    size_t i;

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        hush(world);
        say(world, (answer_t){.url = CHANGES, .status = statuses[i]});
        say(world,
            (answer_t){.url = ROSTER, .body = people(world, i % 2 == 0 ? "ann bob" : "ann bob cay"), .differences = CHANGES});
        update_now(node);
        only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
        assert_int_equal(asked(world, ROSTER), 1);
        assert_string_equal(standing(node, "cay"), i % 2 == 0 ? "left" : "active");
    }
    hush(world);
    say(world, (answer_t){.url = CHANGES, .body = "{\"context\":{\"id\":\"43\"},\"members\":[" DELETED("ann") "]}"});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_ROSTER_CHANGES);
    assert_string_equal(standing(node, "ann"), "active");
    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann bob cay")});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(stored(node), "");
}

/* Busy is no reason to ask for more. */
static void a_platform_that_is_busy_is_not_asked_for_the_whole_list(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with_changes(world);

    say(world, (answer_t){.url = CHANGES, .status = 429, .retry_after = apr_time_from_sec(60)});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_ROSTER_BUSY);
    assert_string_equal(stored(node), CHANGES);
}

/* SPEC N-22 */
static void the_whole_list_is_read_once_a_day(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with_changes(world);

    say(world, (answer_t){.url = CHANGES, .body = changes(world, "", ""), .differences = CHANGES});
    world_clock += HOURS(12);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    world_clock += HOURS(12);
    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann bob"), .differences = LATER});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 1);
    assert_string_equal(stored(node), LATER);
}

/* SPEC N-22: nor may it be missed because the next run comes too late for it. */
static void a_course_that_is_asked_once_a_day_gives_its_whole_list(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with_changes(world);

    world_clock += HOURS(22);
    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann bob"), .differences = LATER});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 1);
    assert_string_equal(stored(node), LATER);
}

/* Invariant 2: the guard holds here too, and what is held is judged by whole lists. */
static void the_guard_judges_lists_of_changes_too(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    const char *gone =
        DELETED("u0") "," DELETED("u1") "," DELETED("u2") "," DELETED("u3") "," DELETED("u4") "," DELETED("u5") "," DELETED("u6");

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = ROSTER, .body = people(world, crowd(world, 0, 12)), .differences = CHANGES});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    hush(world);
    say(world, (answer_t){.url = CHANGES, .body = changes(world, "new", gone), .differences = LATER});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD).missing, 7);
    assert_string_equal(standing(node, "u0"), "active");
    assert_string_equal(standing(node, "new"), "active");
    assert_string_equal(stored(node), "");
}

/* Invariant 7: the token goes to the service's origin only. */
static void an_address_elsewhere_is_not_kept(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann"), .differences = "https://evil.example.org/changes"});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(stored(node), "");
    /* Nor is one used when the service has moved since. */
    sql(node, "UPDATE lti_sync SET differences_url = 'https://old.example.org/changes'");
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(only_what_changed_is_asked_for),
        WORLD_TEST(a_list_of_changes_that_breaks_off_changes_nothing),
        WORLD_TEST(the_address_of_the_first_page_counts),
        WORLD_TEST(an_address_that_is_not_known_any_more_leads_to_the_whole_list),
        WORLD_TEST(a_platform_that_is_busy_is_not_asked_for_the_whole_list),
        WORLD_TEST(the_whole_list_is_read_once_a_day),
        WORLD_TEST(a_course_that_is_asked_once_a_day_gives_its_whole_list),
        WORLD_TEST(the_guard_judges_lists_of_changes_too),
        WORLD_TEST(an_address_elsewhere_is_not_kept),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
