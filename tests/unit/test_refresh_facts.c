/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine finds out for an administrator: tokens, clocks, whom a run holds, rosters smaller than their launches. */
#include "test_refresh_world.h"

#include "lti_groups.h"

#define SECONDS(n) apr_time_from_sec(n)
#define GROUPS ORIGIN "/groups/42"

static lti_db_platform_t facts_of(node_t *node)
{
    lti_db_platform_t facts;
    lti_err_t err = {0};

    assert_ok(lti_db_platform_read(&facts, node->db, "campus", node->world->pool, &err), err);
    return facts;
}

static void refuse_tokens(world_t *world, const char *body)
{
    hush(world);
    say(world, (answer_t){.url = TOKEN_URL, .status = 400, .type = "application/json", .body = body});
}

/* A course that is due, of which nothing was fetched yet. */
static node_t *begin(world_t *world)
{
    node_t *node = begin_node(world, 0, MEMORY);

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    return node;
}

/* --- tokens ------------------------------------------------------------------------------------------------------------- */

static void a_token_that_was_given_is_told_of(void **state)
{
    node_t *node = begin_with(*state, "ada bob", NULL, NULL);

    assert_true(facts_of(node).token_at == 0);
    next_second(node);
    assert_true(facts_of(node).token_at == START + SECONDS(1));
    assert_string_equal(facts_of(node).scopes, LTI_SCOPE_NRPS);
    assert_null(facts_of(node).error_name);
}

static void scopes_are_those_that_the_platform_says(void **state)
{
    world_t *world = *state;
    node_t *node = begin(world);

    roster_is(world, "ada", NULL, NULL);
    say(world, (answer_t){.url = TOKEN_URL,
                          .type = "application/json",
                          .body = "{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"scope\":\"openid " LTI_SCOPE_NRPS "\"}"});
    next_second(node);
    next_second(node);
    assert_string_equal(facts_of(node).scopes, "openid " LTI_SCOPE_NRPS);
}

static void a_refusal_is_told_of_until_a_token_is_given(void **state)
{
    world_t *world = *state;
    node_t *node = begin(world);

    refuse_tokens(world, "{\"error\":\"invalid_client\",\"error_description\":\"no such key\"}");
    next_second(node);
    next_second(node);
    assert_string_equal(facts_of(node).error_name, "token-refused");
    assert_non_null(strstr(facts_of(node).error_text, "no such key"));
    assert_true(facts_of(node).error_at == START + SECONDS(1));
    assert_true(facts_of(node).token_at == 0);
    roster_is(world, "ada", NULL, NULL);
    update_now(node);
    next_second(node);
    assert_null(facts_of(node).error_name);
    assert_true(facts_of(node).error_at == 0);
    assert_true(facts_of(node).token_at != 0);
}

static void a_scope_that_is_not_granted_any_more_goes(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ada", NULL, NULL);

    next_second(node);
    refuse_tokens(world, "{\"error\":\"invalid_scope\"}");
    world_clock += HOURS(2);
    update_now(node);
    next_second(node);
    assert_string_equal(facts_of(node).error_name, "scope-refused");
    assert_null(facts_of(node).scopes);
}

/* Rosters come: nothing is wrong with the platform. */
static void a_refusal_of_groups_is_no_error(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);

    lti_refresh_turn(node->engine, 0);
    launch_with_groups(node, COURSE, "campus", ROSTER, GROUPS);
    roster_is(world, "ada", NULL, NULL);
    say(world, (answer_t){.url = ROSTER "?groups=true", .body = people(world, "ada")});
    say(world, (answer_t){.url = TOKEN_URL, .status = 400, .type = "application/json", .body = "{\"error\":\"invalid_scope\"}"});
    say(world,
        (answer_t){.url = TOKEN_URL, .type = "application/json", .body = "{\"access_token\":\"t\",\"token_type\":\"Bearer\"}"});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    next_second(node);
    assert_null(facts_of(node).error_name);
    assert_string_equal(facts_of(node).scopes, LTI_SCOPE_NRPS);
}

static void a_transfer_that_we_ended_says_nothing_of_the_platform(void **state)
{
    world_t *world = *state;
    node_t *node = begin(world);

    hush(world);
    say(world, (answer_t){.url = TOKEN_URL, .fault = LTI_E_HTTP_ABORTED});
    next_second(node);
    next_second(node);
    assert_null(facts_of(node).error_name);
    hush(world);
    say(world, (answer_t){.url = TOKEN_URL, .fault = LTI_E_HTTP_CONNECT});
    update_now(node);
    next_second(node);
    assert_string_equal(facts_of(node).error_name, "http-connect");
}

static void what_a_silent_database_is_not_told_it_is_told_later(void **state)
{
    node_t *node = begin_with(*state, "ada bob", NULL, NULL);

    node->store_away = 1;
    next_second(node);
    node->store_away = 0;
    assert_true(facts_of(node).token_at == 0);
    next_second(node);
    assert_true(facts_of(node).token_at == START + SECONDS(1));
}

/* --- clocks ------------------------------------------------------------------------------------------------------------- */

static void run_with_clock(node_t *node, apr_interval_time_t ahead, apr_interval_time_t delay)
{
    world_dates = 1;
    world_ahead = ahead;
    world_delay = delay;
    update_now(node);
    world_delay = 0;
    next_second(node);
}

static void assert_offset(node_t *node, apr_interval_time_t expected)
{
    apr_interval_time_t offset = facts_of(node).clock_offset;

    if (offset < expected - SECONDS(1) || offset > expected + SECONDS(1))
        fail_msg("%" APR_TIME_T_FMT " us, not %" APR_TIME_T_FMT, offset, expected);
}

static void the_clock_of_a_platform_is_seen_in_its_answers(void **state)
{
    static const int offsets[] = {0, 90, -90, 86400, -3, 0};
    node_t *node = begin_with(*state, "ada", NULL, NULL);
    size_t i;

    next_second(node);
    assert_true(facts_of(node).clock_at == 0);
    for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        run_with_clock(node, SECONDS(offsets[i]), 0);
        assert_offset(node, SECONDS(offsets[i]));
        assert_true(facts_of(node).clock_at != 0);
    }
    assert_true(facts_of(node).clock_offset == 0);
}

static void what_the_request_itself_took_is_no_offset(void **state)
{
    node_t *node = begin_with(*state, "ada", NULL, NULL);

    run_with_clock(node, SECONDS(2), SECONDS(6));
    assert_true(facts_of(node).clock_at != 0);
    assert_true(facts_of(node).clock_offset == 0);
    run_with_clock(node, SECONDS(60), SECONDS(6));
    assert_offset(node, SECONDS(60));
    /* Of so slow an answer a Date says nothing. */
    run_with_clock(node, SECONDS(600), SECONDS(20));
    assert_offset(node, SECONDS(60));
}

static void a_clock_is_told_of_every_ten_minutes(void **state)
{
    node_t *node = begin_with(*state, "ada", NULL, NULL);
    apr_time_t at;

    run_with_clock(node, SECONDS(40), 0);
    at = facts_of(node).clock_at;
    sql(node, "UPDATE lti_platform SET clock_offset = 7");
    run_with_clock(node, SECONDS(40), 0);
    world_clock += MINUTES(9);
    run_with_clock(node, SECONDS(40), 0);
    assert_true(facts_of(node).clock_at == at && facts_of(node).clock_offset == 7);
    world_clock += MINUTES(2);
    run_with_clock(node, SECONDS(40), 0);
    assert_true(facts_of(node).clock_at > at + MINUTES(10));
    assert_offset(node, SECONDS(40));
}

/* --- whom a run holds ------------------------------------------------------------------------------------------------------ */

static apr_status_t add_held(void *baton, const lti_member_t *member, lti_err_t *err)
{
    apr_array_header_t *held = baton;

    (void)err;
    APR_ARRAY_PUSH(held, const char *) = apr_pstrdup(held->pool, member->user_id);
    return APR_SUCCESS;
}

static const char *held_by(node_t *node)
{
    apr_array_header_t *held = apr_array_make(node->world->pool, 8, sizeof(const char *));
    lti_err_t err = {0};

    assert_ok(lti_db_held_each(node->db, COURSE, add_held, held, node->world->pool, &err), err);
    return apr_array_pstrcat(node->world->pool, held, ' ');
}

static void whom_a_run_holds_is_written_down(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 12), NULL, NULL);
    lti_err_t err = {0};

    roster_is(world, crowd(world, 0, 4), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    assert_string_equal(held_by(node), "u10 u11 u4 u5 u6 u7 u8 u9");
    roster_is(world, crowd(world, 0, 5), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    assert_string_equal(held_by(node), "u10 u11 u5 u6 u7 u8 u9");
    world_clock += SECONDS(1);
    assert_ok(lti_db_hold_accept(node->db, COURSE, 7, world_clock, world->pool, &err), err);
    next_second(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 7);
    assert_string_equal(held_by(node), "");
}

static void nobody_is_held_when_they_come_back(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ada bob", NULL, NULL);

    roster_is(world, "", NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_EMPTY);
    assert_string_equal(held_by(node), "ada bob");
    roster_is(world, "ada bob", NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(held_by(node), "");
}

/* --- rosters and launches --------------------------------------------------------------------------------------------------- */

static void visit(node_t *node, const char *words)
{
    apr_pool_t *p = node->world->pool;
    apr_array_header_t *list = apr_array_make(p, 8, sizeof(lti_db_visit_t));
    char *rest = apr_pstrdup(p, words), *word, *last;
    lti_err_t err = {0};

    for (word = apr_strtok(rest, " ", &last); word != NULL; word = apr_strtok(NULL, " ", &last))
        APR_ARRAY_PUSH(list, lti_db_visit_t) =
            (lti_db_visit_t){.course_key = COURSE, .platform = "campus", .user_id = word, .launched_at = world_clock};
    assert_ok(lti_db_visits_write(node->db, list, p, &err), err);
}

static int is_suspect(node_t *node)
{
    lti_db_match_t match = {.suspect = -1};
    lti_err_t err = {0};

    assert_ok(lti_db_visits_match(&match, node->db, COURSE, 0, world_clock, node->world->pool, &err), err);
    return match.suspect;
}

static void people_who_launch_and_are_on_no_roster_make_it_suspect(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ada bob", NULL, NULL);

    visit(node, "ada eve1 eve2");
    update_now(node);
    assert_int_equal(is_suspect(node), 0);
    visit(node, "eve3");
    assert_int_equal(is_suspect(node), 0);
    update_now(node);
    assert_int_equal(is_suspect(node), 1);
    roster_is(world, "ada bob eve1 eve2 eve3", NULL, NULL);
    update_now(node);
    assert_int_equal(is_suspect(node), 0);
}

static void a_few_guests_of_a_large_course_are_no_suspicion(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 30), NULL, NULL);

    visit(node, "eve1 eve2 eve3");
    update_now(node);
    assert_int_equal(is_suspect(node), 0);
    visit(node, "eve4");
    update_now(node);
    assert_int_equal(is_suspect(node), 1);
}

/* They were people of the course once, or launched long ago. */
static void people_who_left_are_no_outsiders(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ada bob cyd dan", NULL, NULL);

    visit(node, "ada bob cyd eve1 eve2");
    roster_is(world, "dan", NULL, NULL);
    update_now(node);
    assert_int_equal(is_suspect(node), 0);
    world_clock += HOURS(24 * 31);
    update_now(node);
    next_second(node);
    visit(node, "eve3");
    update_now(node);
    assert_int_equal(is_suspect(node), 0);
}

static void a_brightspace_list_of_only_those_who_launched_is_suspect(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ada bob cyd", NULL, NULL);

    visit(node, "ada bob cyd");
    update_now(node);
    assert_int_equal(is_suspect(node), 0);
    world->platform.family = LTI_FAMILY_BRIGHTSPACE;
    update_now(node);
    assert_int_equal(is_suspect(node), 1);
    roster_is(world, "ada bob cyd dan", NULL, NULL);
    update_now(node);
    assert_int_equal(is_suspect(node), 0);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_token_that_was_given_is_told_of),
        WORLD_TEST(scopes_are_those_that_the_platform_says),
        WORLD_TEST(a_refusal_is_told_of_until_a_token_is_given),
        WORLD_TEST(a_scope_that_is_not_granted_any_more_goes),
        WORLD_TEST(a_refusal_of_groups_is_no_error),
        WORLD_TEST(a_transfer_that_we_ended_says_nothing_of_the_platform),
        WORLD_TEST(what_a_silent_database_is_not_told_it_is_told_later),
        WORLD_TEST(the_clock_of_a_platform_is_seen_in_its_answers),
        WORLD_TEST(what_the_request_itself_took_is_no_offset),
        WORLD_TEST(a_clock_is_told_of_every_ten_minutes),
        WORLD_TEST(whom_a_run_holds_is_written_down),
        WORLD_TEST(nobody_is_held_when_they_come_back),
        WORLD_TEST(people_who_launch_and_are_on_no_roster_make_it_suspect),
        WORLD_TEST(a_few_guests_of_a_large_course_are_no_suspicion),
        WORLD_TEST(people_who_left_are_no_outsiders),
        WORLD_TEST(a_brightspace_list_of_only_those_who_launched_is_suspect),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
