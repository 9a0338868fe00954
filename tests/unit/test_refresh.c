/* SPDX-License-Identifier: Apache-2.0 */
/* The refresh engine against a scripted platform, a clock set by hand and a real database: what it applies, what it refuses, and
 * what it survives. */
#include "test_refresh_world.h"

/* --- what comes whole is applied ---------------------------------------------------------------------------------------------- */

static void the_first_sync_brings_all_pages_into_database_and_memory(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    seen_event_t done;
    lti_course_t *course;

    assert_int_equal(lti_refresh_is_loaded(node->engine), 0);
    lti_refresh_turn(node->engine, 0);
    assert_int_equal(lti_refresh_is_loaded(node->engine), 1);
    launch(node, COURSE, "campus", ROSTER);
    roster_is(world, "ann bob", "cay:instructor", "dan:inactive");
    next_second(node);
    done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(done.pages, 3);
    assert_int_equal(done.members, 4);
    assert_int_equal(done.missing, 0);
    assert_int_equal(done.applied.joined, 4);
    assert_int_equal(done.applied.active, 3);
    assert_string_equal(standing(node, "ann"), "active");
    assert_string_equal(standing(node, "bob"), "active");
    assert_string_equal(standing(node, "cay"), "active");
    assert_string_equal(standing(node, "dan"), "inactive");
    assert_string_equal(standing(node, "eve"), "unknown");
    assert_int_equal(asked(world, TOKEN_URL), 1);
    assert_int_equal(asked(world, ROSTER), 1);
    assert_string_equal(world->bearer, "token-1");
    course = course_of(node, COURSE);
    assert_int_equal(course->state, LTI_ROSTER_CURRENT);
    assert_int_equal(course->succeeded_at, world_clock);
    assert_int_equal(course->active, 3);
    assert_int_equal(course->due_at, done.due_at);
    assert_in_range(done.due_at - world_clock, MINUTES(13), MINUTES(17));
    assert_int_equal(course->stale_at, world_clock + MINUTES(45));
}

/* Any INSERT, UPDATE or DELETE of a person's row fails from now on. */
static void forbid_writing_people(node_t *node)
{
    static const char *const tables[] = {"lti_member", "lti_staging"}, *const verbs[] = {"INSERT", "UPDATE", "DELETE"};
    size_t i, j;

    for (i = 0; i < 2; i++) {
        for (j = 0; j < 3; j++)
            sql(node,
                apr_psprintf(node->world->pool, "CREATE TRIGGER no_%s_%s BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, 'written'); END",
                             tables[i], verbs[j], verbs[j], tables[i]));
    }
}

static void an_unchanged_roster_writes_no_person(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", "cay", NULL);
    apr_int64_t version = course_of(node, COURSE)->version;
    seen_event_t done;

    forbid_writing_people(node);
    world_clock += MINUTES(20);
    settle(node);
    done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(done.applied.joined + done.applied.changed + done.applied.left + done.applied.returned, 0);
    assert_int_equal(done.applied.version, version);
    assert_int_equal(course_of(node, COURSE)->version, version);
    assert_int_equal(course_of(node, COURSE)->succeeded_at, world_clock);
    assert_int_equal(asked(world, ROSTER), 1);
    /* And the forbidding is real. */
    roster_is(world, "ann bob eve", "cay", NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_STORE);
}

/* SPEC N-43 */
static void a_drop_from_a_single_page_is_left_at_once(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob cay", NULL, NULL);
    lti_snapshot_course_t course;
    lti_snapshot_member_t bob;

    roster_is(world, "ann cay", NULL, NULL);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 1);
    assert_int_equal(asked(world, ROSTER), 1);
    assert_string_equal(standing(node, "bob"), "left");
    lti_snapshot_lookup(node->snapshot, COURSE, "bob", &course, &bob);
    assert_int_equal(bob.status_at, world_clock);
    /* And comes back. */
    roster_is(world, "ann bob cay", NULL, NULL);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.returned, 1);
    assert_string_equal(standing(node, "bob"), "active");
}

static void a_changed_role_tells_since_when(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);
    lti_snapshot_course_t course;
    lti_snapshot_member_t ann, bob;
    apr_time_t changed_at;

    roster_is(world, "ann:instructor bob", NULL, NULL);
    update_now(node);
    changed_at = world_clock;
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.changed, 1);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(lti_snapshot_lookup(node->snapshot, COURSE, "ann", &course, &ann), LTI_SNAPSHOT_MEMBER);
    assert_int_equal(lti_snapshot_lookup(node->snapshot, COURSE, "bob", &course, &bob), LTI_SNAPSHOT_MEMBER);
    /* Invariant 3: launches before that moment yield to the roster, later ones do not; who never changed never overrides. */
    assert_int_equal(ann.role, LTI_ROLE_INSTRUCTOR);
    assert_string_equal(ann.roles, INSTRUCTOR);
    assert_int_equal(ann.role_at, changed_at);
    assert_int_equal(bob.role_at, 0);
}

static void the_evidence_is_as_old_as_the_first_roster_request(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    apr_time_t first_request;

    lti_refresh_turn(node->engine, 0);
    world_clock += apr_time_from_sec(1);
    launch(node, COURSE, "campus", ROSTER);
    roster_is(world, "ann", "bob", NULL);
    say(world, (answer_t){.url = TOKEN_URL, .hang = 1});
    lti_refresh_turn(node->engine, 0);
    assert_int_equal(asked(world, TOKEN_URL), 1);
    world_clock += apr_time_from_sec(20);
    world->transfers->answer = answer_for(world, TOKEN_URL);
    world->transfers->answer->hang = 0;
    world->transfers->answer->type = "application/json";
    world->transfers->answer->body = "{\"access_token\":\"late\",\"token_type\":\"Bearer\",\"expires_in\":3600}";
    lti_refresh_turn(node->engine, 0);
    first_request = world_clock;
    assert_int_equal(asked(world, ROSTER), 1);
    world_clock += apr_time_from_sec(20);
    settle(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(course_of(node, COURSE)->succeeded_at, first_request);
}

static void an_empty_course_is_a_good_first_roster(void **state)
{
    node_t *node = begin_with(*state, "", NULL, NULL);

    assert_int_equal(course_of(node, COURSE)->state, LTI_ROSTER_CURRENT);
    assert_int_equal(published_state(node), LTI_ROSTER_CURRENT);
    assert_int_equal(course_of(node, COURSE)->active, 0);
}

static void a_large_page_is_staged_in_batches(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 1203), "u5 u1300", NULL);

    assert_int_equal(course_of(node, COURSE)->active, 1204);
    assert_string_equal(standing(node, "u0"), "active");
    assert_string_equal(standing(node, "u1202"), "active");
    assert_string_equal(standing(node, "u1300"), "active");
}

/* SPEC N-17: the last word counts, also within one batch. */
static void a_person_named_twice_is_as_named_last(void **state)
{
    node_t *node = begin_with(*state, "ann bob ann:inactive", "bob:inactive", NULL);

    assert_string_equal(standing(node, "ann"), "inactive");
    assert_string_equal(standing(node, "bob"), "inactive");
    assert_int_equal(course_of(node, COURSE)->active, 0);
}

/* --- who is missing (Invariant 2)
 * ----------------------------------------------------------------------------------------------- */

/* SPEC N-17, N-31, N-32, N-34, N-35, N-47: taken, and told; nothing is told of a list as it should be, nor of test users. */
static void what_is_odd_about_a_list_is_told(void **state)
{
    static const struct {
        const char *context, *members, *remark;
    } cases[] = {
        {"42", "{\"user_id\":\"bob\"}", ""},
        {"42", "{\"user_id\":\"t\",\"roles\":[\"http://purl.imsglobal.org/vocab/lti/system/person#TestUser\"]}", ""},
        {"elsewhere", "{\"user_id\":\"bob\"}", "the roster names its course \"elsewhere\" instead"},
        {"42", "{\"user_id\":\"ann\"},{\"user_id\":\"ann\"}", "named before: 2, the last counts"},
        {"42", "{\"user_id\":\"bob\",\"status\":\"Deleted\"},{\"user_id\":\"cay\",\"status\":\"Hidden\"}",
         "does not have: 2, taken for inactive or gone"},
        {"42",
         "{\"user_id\":1},{\"user_id\":2},{\"user_id\":3},{\"user_id\":4},{\"user_id\":5},{\"user_id\":6},{\"user_id\":7},{\"user_id\":8},"
         "{\"user_id\":9},{\"name\":\"nobody\"},"
         "{\"user_id\":\"cay\",\"status\":\"Hidden\"}",
         "without a usable user_id: 1, left out"},
    };
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        seen_event_t done;

        hush(world);
        say(world, (answer_t){.url = ROSTER,
                              .body = apr_psprintf(world->pool, "{\"context\":{\"id\":\"%s\"},\"members\":[{\"user_id\":\"ann\"},%s]}",
                                                   cases[i].context, cases[i].members)});
        update_now(node);
        done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
        if (cases[i].remark[0] == '\0')
            assert_string_equal(done.remarks, "");
        else if (strstr(done.remarks, cases[i].remark) == NULL)
            fail_msg("%s: %s", cases[i].members, done.remarks);
        assert_string_equal(standing(node, "ann"), "active");
    }
    assert_string_equal(standing(node, "cay"), "inactive");
    assert_string_equal(standing(node, "bob"), "left");
}

static void who_is_missing_from_one_walk_only_stays(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob cay", "dan eve", NULL);
    seen_event_t done;

    /* ann was dropped while page 1 lay behind us: dan moved from page 2 to page 1. */
    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann bob cay"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "eve fay")});
    say(world, (answer_t){.url = ROSTER, .body = people(world, "bob cay dan"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "eve")});
    update_now(node);
    done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(done.pages, 4);
    assert_int_equal(done.applied.left, 0);
    assert_string_equal(standing(node, "dan"), "active");
    /* Joins are the union; ann, named by the first walk, goes next time. */
    assert_string_equal(standing(node, "fay"), "active");
    assert_string_equal(standing(node, "ann"), "active");
}

static void who_is_missing_from_both_walks_has_left(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob cay", "dan eve", NULL);
    seen_event_t done;

    roster_is(world, "ann bob cay", "eve", NULL);
    update_now(node);
    done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(done.pages, 4);
    assert_int_equal(done.applied.left, 1);
    assert_int_equal(asked(world, ROSTER), 2);
    assert_string_equal(standing(node, "dan"), "left");
}

static void the_second_walk_wins_where_both_name_a_person(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", "cay dan", NULL);

    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann:instructor"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "cay dan")});
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann:inactive"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "cay dan")});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 1);
    assert_string_equal(standing(node, "ann"), "inactive");
    assert_string_equal(standing(node, "bob"), "left");
}

static void a_second_walk_that_fails_removes_nobody_but_joins_count(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob cay", "dan eve", NULL);
    seen_event_t done;

    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann:inactive bob cay"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "eve fay")});
    /* gus and the change of cay stand in a list whose last page never came. */
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann bob cay:inactive gus"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .fault = LTI_E_HTTP_TIMEOUT});
    update_now(node);
    done = only_event(node, LTI_EVENT_RUN_DONE, LTI_E_HTTP_TIMEOUT);
    assert_int_equal(done.missing, 1);
    assert_int_equal(done.applied.left, 0);
    assert_string_equal(standing(node, "dan"), "active");
    assert_string_equal(standing(node, "fay"), "active");
    assert_string_equal(standing(node, "ann"), "inactive");
    assert_string_equal(standing(node, "cay"), "active");
    assert_string_equal(standing(node, "gus"), "unknown");
    assert_int_equal(course_of(node, COURSE)->state, LTI_ROSTER_CURRENT);
}

/* What a second walk brings is kept back until it is complete; where that is too much, a failure ends the whole run. */
static void a_huge_second_walk_that_fails_changes_nothing(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", "bob", NULL);
    const char *many = people(world, crowd(world, 0, 10100));

    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = many, .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "ann:inactive")});
    say(world, (answer_t){.url = PAGE2, .status = 500});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_HTTP_STATUS);
    assert_int_equal(asked(world, ROSTER), 2);
    assert_string_equal(standing(node, "ann"), "active");
    assert_string_equal(standing(node, "bob"), "active");
    assert_string_equal(standing(node, "u0"), "unknown");
    /* When it comes whole, all of it counts. */
    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = many, .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "ann:inactive")});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.joined, 10100);
    assert_string_equal(standing(node, "bob"), "left");
}

static void accept_held(node_t *node)
{
    sql(node, "UPDATE lti_sync SET held_accepted = 1");
}

/* SPEC N-42 */
static void an_empty_list_is_held_until_somebody_accepts(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);
    seen_event_t held;
    int day;

    roster_is(world, "", NULL, NULL);
    for (day = 0; day < 3; day++) {
        update_now(node);
        held = only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_EMPTY);
        assert_int_equal(held.missing, 2);
        assert_string_equal(standing(node, "ann"), "active");
        assert_int_equal(published_state(node), LTI_ROSTER_HELD);
        world_clock += HOURS(30);
    }
    accept_held(node);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 2);
    assert_string_equal(standing(node, "ann"), "left");
    assert_int_equal(published_state(node), LTI_ROSTER_CURRENT);
}

/* More people who left than active ones: shared memory makes room for them as well. */
static void a_course_that_everybody_left_is_published_whole(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 300), NULL, NULL);

    roster_is(world, "new", NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    accept_held(node);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 300);
    assert_string_equal(standing(node, "u0"), "left");
    assert_string_equal(standing(node, "u299"), "left");
    assert_string_equal(standing(node, "new"), "active");
}

/* SPEC N-42 */
static void a_mass_drop_is_held_until_walks_of_a_day_agree(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 12), NULL, NULL);

    roster_is(world, apr_pstrcat(world->pool, crowd(world, 0, 5), "new", NULL), NULL, NULL);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD).missing, 7);
    assert_string_equal(standing(node, "u11"), "active");
    assert_string_equal(standing(node, "new"), "active");
    assert_int_equal(published_state(node), LTI_ROSTER_HELD);
    /* Another one goes: that is no agreement, and the day begins anew. */
    world_clock += HOURS(25);
    roster_is(world, apr_pstrcat(world->pool, crowd(world, 0, 4), "new", NULL), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    world_clock += HOURS(23);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    assert_string_equal(standing(node, "u11"), "active");
    world_clock += HOURS(1);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 8);
    assert_string_equal(standing(node, "u11"), "left");
    assert_string_equal(standing(node, "u0"), "active");
    assert_int_equal(published_state(node), LTI_ROSTER_CURRENT);
}

static void a_mass_drop_goes_through_when_accepted(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 12), NULL, NULL);

    roster_is(world, crowd(world, 0, 5), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    accept_held(node);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 7);
    /* The acceptance was for that once. */
    roster_is(world, "", NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_EMPTY);
}

/* Somebody accepted that seven are missing: not that more are, or all. */
static void an_acceptance_is_not_for_more_than_was_held(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 12), NULL, NULL);
    int i;

    roster_is(world, crowd(world, 0, 5), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    accept_held(node);
    roster_is(world, "", NULL, NULL);
    for (i = 0; i < 2; i++) {
        update_now(node);
        only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_EMPTY);
        assert_string_equal(standing(node, "u0"), "active");
    }
    /* Fewer than that may go. */
    roster_is(world, crowd(world, 0, 4), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    accept_held(node);
    roster_is(world, crowd(world, 0, 5), NULL, NULL);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 7);
}

static void a_mass_drop_that_heals_leaves_no_trace(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 12), NULL, NULL);

    roster_is(world, crowd(world, 0, 5), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    roster_is(world, crowd(world, 0, 12), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(published_state(node), LTI_ROSTER_CURRENT);
    /* Held again much later: the old day does not count. */
    world_clock += HOURS(48);
    roster_is(world, crowd(world, 0, 5), NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
}

static void a_failed_second_walk_does_not_end_a_hold(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 8), crowd(world, 8, 12), NULL);

    roster_is(world, crowd(world, 0, 3), crowd(world, 8, 10), NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    world_clock += HOURS(12);
    say(world, (answer_t){.url = PAGE2, .body = people(world, crowd(world, 8, 10))});
    say(world, (answer_t){.url = PAGE2, .status = 500});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_E_HTTP_STATUS);
    assert_int_equal(published_state(node), LTI_ROSTER_HELD);
    world_clock += HOURS(12);
    roster_is(world, crowd(world, 0, 3), crowd(world, 8, 10), NULL);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 7);
}

/* Invariant 2, SPEC N-32: who is missing may be the one whose entry does not say so. */
static void an_entry_without_an_id_holds_removals_for_a_day(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 12), NULL, NULL);
    const char *list = people(world, crowd(world, 0, 11));
    const char *odd = apr_psprintf(world->pool, "%.*s,{\"roles\":[\"Learner\"]}]}", (int)(strlen(list) - 2), list);

    say(world, (answer_t){.url = ROSTER, .body = odd});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_HELD, LTI_E_ROSTER_HELD);
    assert_string_equal(standing(node, "u11"), "active");
    world_clock += HOURS(25);
    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = odd});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 1);
}

static void the_guard_lets_small_courses_and_half_of_large_ones_go(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, crowd(world, 0, 18), NULL, NULL);

    roster_is(world, crowd(world, 0, 9), NULL, NULL);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 9);
    roster_is(world, "u0", NULL, NULL);
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 8);
}

/* --- failures (Invariant 4)
 * ------------------------------------------------------------------------------------------------------- */

static void failures_keep_the_old_roster_and_say_why(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);
    const char *half =
        "{\"context\":{\"id\":\"42\"},\"members\":[{\"user_id\":\"ann\",\"roles\":[]},{\"user_id\":\"new\",\"roles\":[]},{\"us";
    const char *nameless = "{\"members\":[{\"user_id\":\"ann\",\"roles\":[]},{\"roles\":[]}]}";
    const struct {
        answer_t answer;
        lti_code_t code;
        apr_interval_time_t due_least, due_most;
    } cases[] = {
        {{.body = half}, LTI_E_ROSTER_MALFORMED, 54, 66},
        {{.body = half, .fault = LTI_E_HTTP_ABORTED}, LTI_E_HTTP_ABORTED, 54, 66},
        {{.body = nameless}, LTI_E_ROSTER_MEMBERS, 54, 66},
        {{.body = "<html>Log in", .type = "text/html"}, LTI_E_ROSTER_TYPE, 54, 66},
        {{.fault = LTI_E_HTTP_CONNECT}, LTI_E_HTTP_CONNECT, 54, 66},
        {{.fault = LTI_E_HTTP_ADDRESS}, LTI_E_HTTP_ADDRESS, 54, 66},
        {{.status = 500}, LTI_E_HTTP_STATUS, 54, 66},
        {{.status = 302}, LTI_E_HTTP_REDIRECT, 54, 66},
        {{.status = 429, .retry_after = apr_time_from_sec(1800)}, LTI_E_ROSTER_BUSY, 1800, 1830},
        {{.status = 503}, LTI_E_ROSTER_BUSY, 54, 66},
        {{.status = 404}, LTI_E_ROSTER_GONE, 77760, 95040},
        {{.status = 410}, LTI_E_ROSTER_GONE, 77760, 95040},
        {{.status = 403}, LTI_E_ROSTER_FORBIDDEN, 3240, 3960},
        {{.body = "{\"members\":[]}", .next = ROSTER}, LTI_E_ROSTER_LOOP, 54, 66},
        {{.body = "{\"members\":[]}", .next = "https://evil.example.org/nrps/42?p=2"}, LTI_E_ROSTER_ORIGIN, 54, 66},
        {{.body = "{\"members\":[]}", .next = "http://lms.example.org/nrps/42?p=2"}, LTI_E_ROSTER_ORIGIN, 54, 66},
    };
    apr_int64_t version = course_of(node, COURSE)->version;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer_t answer = cases[i].answer;
        seen_event_t failed;
        lti_course_t *course;

        hush(world);
        answer.url = ROSTER;
        say(world, answer);
        update_now(node);
        failed = only_event(node, LTI_EVENT_RUN_FAILED, cases[i].code);
        assert_in_range(apr_time_sec(failed.due_at - world_clock), cases[i].due_least, cases[i].due_most);
        course = course_of(node, COURSE);
        assert_int_equal(course->failures, 1);
        assert_string_equal(course->error_name, lti_err_info(cases[i].code)->name);
        assert_string_equal(course->error_text, failed.text);
        assert_int_equal(course->due_at, failed.due_at);
        assert_int_equal(course->version, version);
        assert_int_equal(published_state(node), LTI_ROSTER_FAILING);
        assert_string_equal(standing(node, "ann"), "active");
        assert_string_equal(standing(node, "bob"), "active");
        assert_string_equal(standing(node, "new"), "unknown");
        /* A good run wipes it off; what the platform's wish for patience does besides is in test_refresh_pace.c. */
        next_second(node);
        node->events->nelts = 0;
        roster_is(world, "ann bob", NULL, NULL);
        update_now(node);
        only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
        assert_int_equal(course_of(node, COURSE)->failures, 0);
        assert_null(course_of(node, COURSE)->error_name);
        assert_int_equal(published_state(node), LTI_ROSTER_CURRENT);
    }
}

/* SPEC N-41 */
static void a_page_missing_at_the_end_changes_nothing(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", "cay", "dan");

    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann:inactive new"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, crowd(world, 0, 800)), .next = PAGE3});
    say(world, (answer_t){.url = PAGE3, .status = 502});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_HTTP_STATUS);
    assert_string_equal(standing(node, "ann"), "active");
    assert_string_equal(standing(node, "new"), "unknown");
    assert_string_equal(standing(node, "u7"), "unknown");
    assert_string_equal(standing(node, "dan"), "active");
}

/* SPEC N-16: it is not the end. */
static void a_page_without_anybody_in_the_middle_is_legal(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);

    roster_is(world, "ann", "", "bob");
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).pages, 3);
    assert_string_equal(standing(node, "bob"), "active");
}

/* SPEC N-45: a consent may be taken back. */
static void what_the_platform_does_not_send_any_more_is_forgotten(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    lti_member_t *member;
    lti_err_t err = {0};

    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = "{\"members\":[{\"user_id\":\"ann\",\"roles\":[\"Learner\"]}]}"});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.changed, 1);
    assert_ok(lti_db_member_read(&member, node->db, COURSE, "ann", world->pool, &err), err);
    assert_null(member->name);
}

/* SPEC N-14 */
static void a_loop_further_on_is_seen_too(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);

    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "bob"), .next = PAGE3});
    say(world, (answer_t){.url = PAGE3, .body = people(world, "cay"), .next = PAGE2});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_ROSTER_LOOP).pages, 3);
}

/* SPEC N-15 */
static void pages_without_end_come_to_an_end(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    const char *url = ROSTER;
    int i;

    hush(world);
    for (i = 2; i <= LTI_NRPS_PAGES_MAX + 1; i++) {
        const char *next = apr_psprintf(world->pool, ROSTER "?p=%d", i);

        say(world, (answer_t){.url = url, .body = "{\"members\":[]}", .next = next});
        url = next;
    }
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_ROSTER_LIMIT).pages, LTI_NRPS_PAGES_MAX);
}

/* SPEC N-15 */
static void a_run_ends_after_ten_minutes(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    lti_err_t err = {0};
    int second;

    hush(world);
    say(world, (answer_t){.url = ROSTER, .hang = 1});
    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, world->pool, &err), err);
    for (second = 0; second < 600; second += 20) {
        assert_int_equal(lti_refresh_turn(node->engine, 0), second == 0 ? 0 : 1);
        world_clock += apr_time_from_sec(20);
    }
    assert_int_equal(lti_refresh_turn(node->engine, 0), 1);
    world_clock += apr_time_from_sec(20);
    assert_int_equal(lti_refresh_turn(node->engine, 0), 0);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_ROSTER_LIMIT);
    /* The transfer ends when it likes; nobody cares. */
    fake_abort(world);
    assert_int_equal(lti_refresh_turn(node->engine, 0), 0);
}

static void repeated_failures_wait_longer_up_to_an_hour(void **state)
{
    static const int minutes[] = {1, 2, 4, 8, 16, 32, 60, 60};
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    size_t i;

    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 500});
    for (i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        seen_event_t failed;

        world_clock = course_of(node, COURSE)->due_at;
        settle(node);
        failed = only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_HTTP_STATUS);
        assert_in_range(apr_time_sec(failed.due_at - world_clock), minutes[i] * 54, minutes[i] * 66);
        /* Not a moment before it is due. */
        world_clock = failed.due_at - apr_time_from_sec(1);
        settle(node);
        assert_int_equal(node->events->nelts, 0);
    }
    assert_string_equal(standing(node, "ann"), "active");
}

static void a_course_that_is_gone_is_asked_daily_then_weekly_never_not(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    int i;

    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 404});
    for (i = 0; i < 5; i++) {
        apr_time_t wait;

        world_clock = course_of(node, COURSE)->due_at;
        settle(node);
        wait = only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_ROSTER_GONE).due_at - world_clock;
        assert_in_range(wait, i < 3 ? HOURS(21) : HOURS(151), i < 3 ? HOURS(27) : HOURS(185));
    }
    assert_string_equal(standing(node, "ann"), "active");
}

static void quiet_courses_are_asked_less_often(void **state)
{
    static const struct {
        int quiet_hours, least_minutes, most_minutes;
    } cases[] = {{1, 13, 17}, {25, 26, 34}, {49, 53, 67}, {24 * 10, 1290, 1590}, {24 * 121, 9000, 11200}};
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        seen_event_t done;
        lti_course_t *course;

        world_clock = START + apr_time_from_sec(1) + HOURS(cases[i].quiet_hours);
        update_now(node);
        done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
        assert_in_range(done.due_at - world_clock, MINUTES(cases[i].least_minutes), MINUTES(cases[i].most_minutes));
        course = course_of(node, COURSE);
        assert_true(course->stale_at > course->due_at);
    }
}

static void a_registration_that_was_taken_out_is_said_once(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    seen_event_t failed;

    world->platform.name = "another";
    update_now(node);
    failed = only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_CONFIG);
    assert_in_range(failed.due_at - world_clock, HOURS(21), HOURS(27));
    update_now(node);
    assert_int_equal(node->events->nelts, 0);
    assert_int_equal(course_of(node, COURSE)->failures, 2);
    assert_int_equal(asked(world, ROSTER), 0);
}

/* Who may not launch any more is not asked who is in the course either (LTIDeployment). */
static void a_deployment_that_is_not_accepted_has_no_roster_fetched(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    seen_event_t failed;
    lti_err_t err = {0};

    world->platform.deployments = LTI_DEPLOYMENT_LIST;
    update_now(node);
    failed = only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_DEPLOYMENT_UNKNOWN);
    assert_in_range(failed.due_at - world_clock, HOURS(21), HOURS(27));
    world->platform.deployments = LTI_DEPLOYMENT_ASK;
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_DEPLOYMENT_UNKNOWN);
    assert_ok(lti_db_deployment_decide(node->db, "campus", "1", LTI_DEPLOYMENT_WITHDRAWN, world_clock, world->pool, &err), err);
    update_now(node);
    failed = only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_DEPLOYMENT_WITHDRAWN);
    assert_in_range(failed.due_at - world_clock, HOURS(21), HOURS(27));
    assert_int_equal(asked(world, ROSTER), 0);
    assert_ok(lti_db_deployment_decide(node->db, "campus", "1", LTI_DEPLOYMENT_ACCEPTED, world_clock, world->pool, &err), err);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(asked(world, ROSTER), 1);
    /* What the configuration lists needs no row. */
    assert_ok(lti_db_deployment_decide(node->db, "campus", "1", LTI_DEPLOYMENT_WITHDRAWN, world_clock, world->pool, &err), err);
    world->platform.deployment_ids = apr_array_make(world->pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(world->platform.deployment_ids, const char *) = "1";
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
}

static void a_service_address_is_judged_before_anything_is_sent(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", "http://lms.example.org/nrps/42");
    next_second(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_SERVICE_URL);
    assert_int_equal(world->asked->nelts, 0);
    assert_int_equal(course_of(node, COURSE)->state, LTI_ROSTER_PENDING);
    /* Invariant 7: a private address only where the edge says so. */
    launch(node, COURSE, "campus", ORIGIN "/private/nrps");
    say(world, (answer_t){.url = ORIGIN "/private/nrps", .body = people(world, "ann")});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(world->any_address, 1);
    launch(node, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann")});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(world->any_address, 0);
}

/* --- tokens
 * ------------------------------------------------------------------------------------------------------------------------- */

/* SPEC T-08. */
static void a_refused_token_is_renewed_once(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", "bob", NULL);

    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .status = 401});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "bob cay")});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.joined, 1);
    assert_int_equal(asked(world, ROSTER), 1);
    assert_int_equal(asked(world, PAGE2), 2);
    assert_int_equal(asked(world, TOKEN_URL), 1);
    assert_string_equal(world->bearer, "token-2");
    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 401});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_ROSTER_FORBIDDEN);
    assert_int_equal(asked(world, ROSTER), 2);
    assert_int_equal(asked(world, TOKEN_URL), 1);
}

static void token_faults_are_told_apart(void **state)
{
    static const struct {
        answer_t answer;
        lti_code_t code;
    } cases[] = {
        {{.status = 400, .body = "{\"error\":\"invalid_client\"}"}, LTI_E_TOKEN_REFUSED},
        {{.status = 400, .body = "{\"error\":\"invalid_scope\"}"}, LTI_E_SCOPE_REFUSED},
        {{.body = "hello"}, LTI_E_TOKEN_ANSWER},
        {{.status = 503}, LTI_E_TOKEN_ANSWER},
        {{.fault = LTI_E_HTTP_TIMEOUT}, LTI_E_HTTP_TIMEOUT},
    };
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    size_t i;

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer_t answer = cases[i].answer;

        hush(world);
        answer.url = TOKEN_URL;
        answer.type = "application/json";
        say(world, answer);
        update_now(node);
        only_event(node, LTI_EVENT_RUN_FAILED, cases[i].code);
        assert_int_equal(asked(world, TOKEN_URL), 1);
        assert_int_equal(asked(world, ROSTER), 0);
        assert_int_equal(published_state(node), LTI_ROSTER_PENDING);
    }
}

/* SPEC T-01 */
static void an_oversized_token_answer_is_cut_off(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    char *body = apr_palloc(world->pool, LTI_TOKEN_ANSWER_MAX + 2);

    memset(body, ' ', LTI_TOKEN_ANSWER_MAX + 1);
    body[LTI_TOKEN_ANSWER_MAX + 1] = '\0';
    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = TOKEN_URL, .body = body, .type = "application/json"});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_TOKEN_ANSWER);
}

/* SPEC T-04: a token that lives for a moment is good for the page it was fetched for, and fetched again for the next. */
static void tokens_without_a_life_still_serve(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);

    world->token_lifetime = 0;
    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    roster_is(world, "ann", "bob", NULL);
    world_clock += apr_time_from_sec(1);
    while (asked(world, ROSTER) == 0)
        lti_refresh_turn(node->engine, 0);
    world_clock += apr_time_from_sec(10);
    settle(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.joined, 2);
    assert_int_equal(asked(world, TOKEN_URL), 2);
    /* But one that is past before it can be used is not asked for again and again. */
    world_clock += MINUTES(20);
    world_jump = apr_time_from_sec(30);
    settle(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_TOKEN_ANSWER);
    assert_int_equal(asked(world, TOKEN_URL), 3);
}

/* SPEC T-06. */
static void one_token_serves_all_courses_of_a_deployment(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    int i;

    lti_refresh_turn(node->engine, 0);
    for (i = 0; i < 5; i++) {
        const char *url = apr_psprintf(world->pool, ORIGIN "/nrps/course%d", i);

        launch(node, apr_psprintf(world->pool, "course%010d", i), "campus", url);
        say(world, (answer_t){.url = url, .body = people(world, "ann")});
    }
    next_second(node);
    assert_int_equal(node->events->nelts, 5);
    assert_int_equal(asked(world, TOKEN_URL), 1);
}

/* --- several nodes (Invariant 5)
 * ------------------------------------------------------------------------------------------------------ */

static void more_courses_than_places_all_get_their_turn(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    int i, most = 0, turns, going;

    lti_refresh_turn(node->engine, 0);
    for (i = 0; i < 50; i++) {
        const char *url = apr_psprintf(world->pool, ORIGIN "/nrps/course%d", i);

        launch(node, apr_psprintf(world->pool, "course%010d", i), "campus", url);
        say(world, (answer_t){.url = url, .body = people(world, "ann"), .next = apr_pstrcat(world->pool, url, "?p=2", NULL)});
        say(world, (answer_t){.url = apr_pstrcat(world->pool, url, "?p=2", NULL), .body = people(world, "bob")});
    }
    world_clock += apr_time_from_sec(1);
    /* All within this one second: a place that gets free is taken at once. */
    for (turns = 0; turns < 200; turns++) {
        going = lti_refresh_turn(node->engine, 0);
        most = going > most ? going : most;
    }
    assert_int_equal(going, 0);
    assert_int_equal(node->events->nelts, 50);
    assert_int_equal(most, 8);
}

/* SPEC N-48 */
static void two_nodes_never_sync_a_course_at_once(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b = begin_node(world, 1, MEMORY);

    lti_refresh_turn(a->engine, 0);
    lti_refresh_turn(b->engine, 0);
    launch(a, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = ROSTER, .hang = 1});
    world_clock += apr_time_from_sec(1);
    lti_refresh_turn(a->engine, 0);
    lti_refresh_turn(a->engine, 0);
    assert_int_equal(lti_refresh_turn(a->engine, 0), 1);
    assert_int_equal(asked(world, ROSTER), 1);
    /* As long as the first renews its lease, the other has nothing to do. */
    for (int i = 0; i < 10; i++) {
        world_clock += apr_time_from_sec(40);
        assert_int_equal(lti_refresh_turn(a->engine, 0), 1);
        assert_int_equal(lti_refresh_turn(b->engine, 0), 0);
    }
    assert_int_equal(asked(world, ROSTER), 1);
    world->transfers->answer->hang = 0;
    world->transfers->answer->body = people(world, "ann bob");
    settle(a);
    only_event(a, LTI_EVENT_RUN_DONE, LTI_OK);
    next_second(b);
    assert_int_equal(b->events->nelts, 0);
    assert_string_equal(standing(b, "ann"), "active");
    assert_string_equal(standing(a, "ann"), "active");
}

static void what_one_node_learns_the_other_publishes_within_a_second(void **state)
{
    world_t *world = *state;
    node_t *a = begin_with(world, "ann bob", NULL, NULL), *b = begin_node(world, 1, MEMORY);

    lti_refresh_turn(b->engine, 0);
    assert_int_equal(lti_refresh_is_loaded(b->engine), 1);
    assert_string_equal(standing(b, "bob"), "active");
    roster_is(world, "ann:instructor", NULL, NULL);
    update_now(a);
    only_event(a, LTI_EVENT_RUN_DONE, LTI_OK);
    next_second(b);
    assert_string_equal(standing(b, "bob"), "left");
    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 500});
    update_now(a);
    only_event(a, LTI_EVENT_RUN_FAILED, LTI_E_HTTP_STATUS);
    next_second(b);
    assert_int_equal(published_state(b), LTI_ROSTER_FAILING);
    assert_int_equal(b->events->nelts, 0);
}

/* A run that has staged a page and waits for the second for ever. */
static void begin_and_hang(world_t *world, node_t *node)
{
    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = ROSTER, .body = people(world, crowd(world, 0, 700)), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .hang = 1});
    world_clock += apr_time_from_sec(1);
    while (asked(world, PAGE2) == 0)
        lti_refresh_turn(node->engine, 0);
}

static void the_course_of_a_killed_node_is_taken_over(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b;

    begin_and_hang(world, a);
    kill_node(a);
    fake_abort(world);
    b = begin_node(world, 1, MEMORY);
    roster_is(world, "ann bob", NULL, NULL);
    world_clock += apr_time_from_sec(100);
    settle(b);
    assert_int_equal(asked(world, ROSTER), 0);
    world_clock += apr_time_from_sec(21);
    settle(b);
    assert_int_equal(only_event(b, LTI_EVENT_RUN_DONE, LTI_OK).applied.joined, 2);
    assert_string_equal(standing(b, "u5"), "unknown");
}

static void a_node_that_stops_leaves_its_course_to_the_next_at_once(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b;

    begin_and_hang(world, a);
    lti_refresh_stop(a->engine);
    assert_int_equal(a->events->nelts, 0);
    kill_node(a);
    fake_abort(world);
    b = begin_node(world, 1, MEMORY);
    roster_is(world, "ann bob", NULL, NULL);
    world_clock += apr_time_from_sec(2);
    settle(b);
    assert_int_equal(only_event(b, LTI_EVENT_RUN_DONE, LTI_OK).applied.joined, 2);
    assert_string_equal(standing(b, "u5"), "unknown");
}

static apr_status_t count_open(void *baton, const lti_db_run_t *run)
{
    *(int *)baton += run->ended_at == 0;
    return APR_SUCCESS;
}

static int open_runs(node_t *node)
{
    lti_err_t err = {0};
    int count = 0;

    assert_ok(lti_db_runs_each(node->db, COURSE, 10, count_open, &count, node->world->pool, &err), err);
    return count;
}

static void a_node_that_slept_through_its_lease_writes_nothing(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b = begin_node(world, 1, MEMORY);

    lti_refresh_turn(a->engine, 0);
    launch(a, COURSE, "campus", ROSTER);
    say(world, (answer_t){.url = ROSTER, .hang = 1});
    world_clock += apr_time_from_sec(1);
    while (asked(world, ROSTER) == 0)
        lti_refresh_turn(a->engine, 0);
    world_clock += apr_time_from_sec(2);
    lti_refresh_turn(a->engine, 0);
    assert_int_equal(open_runs(a), 1);
    world_clock += MINUTES(3);
    roster_is(world, "ann bob", NULL, NULL);
    settle(b);
    only_event(b, LTI_EVENT_RUN_DONE, LTI_OK);
    world->transfers->answer->hang = 0;
    world->transfers->answer->body = people(world, "zoe");
    settle(a);
    only_event(a, LTI_EVENT_RUN_FAILED, LTI_E_LEASE_LOST);
    assert_int_equal(open_runs(a), 0); /* whoever follows it is told its end */
    assert_string_equal(standing(a, "zoe"), "unknown");
    assert_string_equal(standing(a, "ann"), "active");
    assert_int_equal(course_of(a, COURSE)->state, LTI_ROSTER_CURRENT);
}

/* --- memory, database, stopping (Invariant 6)
 * ------------------------------------------------------------------------------------------ */

static void a_new_process_loads_everything_before_anything_else(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob:inactive cay", NULL, NULL);

    roster_is(world, "ann bob:inactive", NULL, NULL);
    update_now(node);
    kill_node(node);
    node = begin_node(world, 0, MEMORY);
    node->options.enabled = 0;
    create_engine(node);
    lti_refresh_turn(node->engine, 0);
    assert_int_equal(lti_refresh_is_loaded(node->engine), 1);
    assert_string_equal(standing(node, "ann"), "active");
    assert_string_equal(standing(node, "bob"), "inactive");
    assert_string_equal(standing(node, "cay"), "left");
}

static void switched_off_nothing_is_fetched_but_changes_are_published(void **state)
{
    world_t *world = *state;
    node_t *a = begin_with(world, "ann", NULL, NULL), *b = begin_node(world, 1, MEMORY);
    lti_err_t err = {0};

    b->options.enabled = 0;
    create_engine(b);
    lti_refresh_turn(b->engine, 0);
    assert_ok(lti_db_course_request(b->db, COURSE, world_clock, world->pool, &err), err);
    next_second(b);
    assert_int_equal(asked(world, ROSTER), 0);
    roster_is(world, "ann bob", NULL, NULL);
    update_now(a);
    next_second(b);
    assert_string_equal(standing(b, "bob"), "active");
}

static void those_who_wait_hear_of_events_once_they_are_published(void **state)
{
    world_t *world = *state;
    node_t *a = begin_with(world, "ann", NULL, NULL), *b = begin_node(world, 1, MEMORY);
    lti_err_t err = {0};
    lti_bell_t *bell;

    assert_ok(lti_bell_format(&bell, apr_palloc(world->pool, lti_bell_size(1)), lti_bell_size(1), 1, world->pool, &err), err);
    b->options.bell = bell;
    create_engine(b);
    lti_refresh_turn(b->engine, 0);
    assert_int_equal(lti_bell_number(bell), 1);
    roster_is(world, "ann bob", NULL, NULL);
    update_now(a);
    assert_int_equal(lti_bell_number(bell), 1);
    next_second(b);
    assert_int_equal(lti_bell_number(bell), 2);
    assert_string_equal(standing(b, "bob"), "active");
    /* A run that changed nothing is no news. */
    update_now(a);
    next_second(b);
    assert_int_equal(lti_bell_number(bell), 2);
}

static void a_full_memory_is_said_once_and_readers_go_to_the_database(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, LTI_SNAPSHOT_MIN_SIZE);
    lti_snapshot_course_t course;
    int i, full = 0;

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    roster_is(world, "ann", NULL, NULL);
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    roster_is(world, crowd(world, 0, 20000), NULL, NULL);
    update_now(node);
    update_now(node);
    for (i = 0; i < node->events->nelts; i++) {
        seen_event_t event = APR_ARRAY_IDX(node->events, i, seen_event_t);

        if (event.kind == LTI_EVENT_SNAPSHOT_FULL) {
            full++;
            assert_int_equal(event.code, LTI_E_SNAPSHOT_FULL);
        }
    }
    assert_int_equal(full, 1);
    assert_int_equal(node->events->nelts, 3);
    assert_int_equal(course_of(node, COURSE)->active, 20000);
    /* Not the roster of yesterday. */
    assert_int_equal(lti_snapshot_lookup(node->snapshot, COURSE, "ann", &course, NULL), LTI_SNAPSHOT_UNKNOWN);
}

static void a_database_that_is_away_is_said_once_and_said_when_back(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    int i;

    /* At the start it gets five seconds. */
    node->store_away = 1;
    for (i = 0; i < 4; i++)
        next_second(node);
    assert_int_equal(node->events->nelts, 0);
    assert_int_equal(lti_refresh_is_loaded(node->engine), 0);
    for (i = 0; i < 6; i++)
        next_second(node);
    only_event(node, LTI_EVENT_STORE_DOWN, LTI_E_STORE);
    node->store_away = 0;
    next_second(node);
    only_event(node, LTI_EVENT_STORE_UP, LTI_OK);
    assert_int_equal(lti_refresh_is_loaded(node->engine), 1);
    /* Later on two failures are a hiccup. */
    node->store_away = 1;
    next_second(node);
    next_second(node);
    assert_int_equal(node->events->nelts, 0);
    next_second(node);
    next_second(node);
    only_event(node, LTI_EVENT_STORE_DOWN, LTI_E_STORE);
    node->store_away = 0;
    next_second(node);
    only_event(node, LTI_EVENT_STORE_UP, LTI_OK);
}

static void a_run_outlives_a_hiccup_of_the_database(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);
    lti_err_t err = {0};

    hush(world);
    say(world, (answer_t){.url = ROSTER, .hang = 1});
    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, world->pool, &err), err);
    world_clock += apr_time_from_sec(1);
    while (asked(world, ROSTER) == 0)
        lti_refresh_turn(node->engine, 0);
    node->store_away = 1;
    world->transfers->answer->hang = 0;
    world->transfers->answer->body = people(world, "ann");
    assert_int_equal(lti_refresh_turn(node->engine, 0), 1);
    world_clock += apr_time_from_sec(2);
    assert_int_equal(lti_refresh_turn(node->engine, 0), 1);
    node->store_away = 0;
    next_second(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).applied.left, 1);
    assert_string_equal(standing(node, "bob"), "left");
}

static void a_database_away_for_longer_than_the_lease_ends_the_run(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);
    lti_err_t err = {0};
    int i;

    hush(world);
    say(world, (answer_t){.url = ROSTER, .hang = 1});
    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, world->pool, &err), err);
    world_clock += apr_time_from_sec(1);
    while (asked(world, ROSTER) == 0)
        lti_refresh_turn(node->engine, 0);
    node->store_away = 1;
    for (i = 0; i < 13; i++) {
        world_clock += apr_time_from_sec(10);
        lti_refresh_turn(node->engine, 0);
    }
    assert_int_equal(lti_refresh_turn(node->engine, 0), 0);
    assert_int_equal(node->events->nelts, 2); /* the store is down, the run is lost */
    fake_abort(world);
    node->events->nelts = 0;
    node->store_away = 0;
    roster_is(world, "ann", NULL, NULL);
    next_second(node);
    assert_int_equal(APR_ARRAY_IDX(node->events, 0, seen_event_t).kind, LTI_EVENT_STORE_UP);
    assert_string_equal(standing(node, "bob"), "left");
}

/* The lease is given back: the course waits for ten seconds, not for the end of a lease that nobody uses, and does not keep others from running meanwhile. */
static void a_fault_just_after_the_lease_was_taken_costs_seconds(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);

    hush(world);
    roster_is(world, "ann", NULL, NULL);
    sql(node, "ALTER TABLE lti_member RENAME TO lti_elsewhere");
    update_now(node);
    sql(node, "ALTER TABLE lti_elsewhere RENAME TO lti_member");
    assert_int_equal(asked(world, ROSTER), 0);
    next_second(node);
    assert_int_equal(asked(world, ROSTER), 0);
    world_clock += apr_time_from_sec(10);
    settle(node);
    assert_int_equal(asked(world, ROSTER), 1);
    assert_string_equal(standing(node, "bob"), "left");
}

static void a_newer_schema_is_said_at_once(void **state)
{
    world_t *world = *state;
    node_t *a = begin_with(world, "ann", NULL, NULL), *b;

    sql(a, "UPDATE lti_schema SET value = 99 WHERE name = 'version'");
    b = begin_node(world, 1, MEMORY);
    lti_refresh_turn(b->engine, 0);
    only_event(b, LTI_EVENT_STORE_DOWN, LTI_E_SCHEMA_NEWER);
    assert_int_equal(lti_refresh_is_loaded(b->engine), 0);
}

static void a_kick_or_a_clock_set_back_makes_it_look_at_once(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    lti_err_t err = {0};

    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, world->pool, &err), err);
    settle(node);
    assert_int_equal(asked(world, ROSTER), 0);
    node->kicked = 1;
    settle(node);
    assert_int_equal(asked(world, ROSTER), 1);
    world_clock -= HOURS(2);
    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, world->pool, &err), err);
    settle(node);
    assert_int_equal(asked(world, ROSTER), 2);
}

/* Set back by a day while a run goes on, or while its outcome waits for the database. */
static void a_clock_set_back_does_not_make_a_run_last(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);
    lti_err_t err = {0};

    hush(world);
    say(world, (answer_t){.url = ROSTER, .hang = 1});
    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, world->pool, &err), err);
    world_clock += apr_time_from_sec(1);
    while (asked(world, ROSTER) == 0)
        lti_refresh_turn(node->engine, 0);
    world_clock -= HOURS(24);
    lti_refresh_turn(node->engine, 0);
    world_clock += apr_time_from_sec(601);
    lti_refresh_turn(node->engine, 0);
    assert_int_equal(node->events->nelts, 1);
    assert_int_equal(APR_ARRAY_IDX(node->events, 0, seen_event_t).kind, LTI_EVENT_RUN_FAILED);
    node->events->nelts = 0;
    fake_abort(world);
    hush(world);
    say(world, (answer_t){.url = ROSTER, .hang = 1});
    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, world->pool, &err), err);
    world_clock += apr_time_from_sec(1);
    while (asked(world, ROSTER) == 0)
        lti_refresh_turn(node->engine, 0);
    sql(node, "ALTER TABLE lti_staging RENAME TO lti_elsewhere");
    world->transfers->answer->hang = 0;
    world->transfers->answer->status = 500;
    sql(node, "ALTER TABLE lti_sync RENAME TO lti_synced");
    lti_refresh_turn(node->engine, 0);
    sql(node, "ALTER TABLE lti_elsewhere RENAME TO lti_staging");
    sql(node, "ALTER TABLE lti_synced RENAME TO lti_sync");
    world_clock -= HOURS(24);
    lti_refresh_turn(node->engine, 0);
    assert_int_equal(lti_refresh_turn(node->engine, 0), 0);
}

/* Invariant 4: what was written while the clock was a year ahead does not keep a course waiting for that year. */
static void a_clock_that_was_ahead_does_not_make_a_course_forgotten(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);

    world_clock += HOURS(24 * 365);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    world_clock -= HOURS(24 * 365);
    roster_is(world, "ann", NULL, NULL);
    next_second(node);
    next_second(node);
    assert_string_equal(standing(node, "bob"), "left");
}

static void stopping_starts_nothing_and_waits_for_nothing(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);
    lti_err_t err = {0};
    int before;

    hush(world);
    say(world, (answer_t){.url = ROSTER, .hang = 1});
    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, world->pool, &err), err);
    world_clock += apr_time_from_sec(1);
    while (asked(world, ROSTER) == 0)
        lti_refresh_turn(node->engine, 0);
    before = world->asked->nelts;
    node->stopping = 1;
    world->transfers->answer->hang = 0;
    world->transfers->answer->body = people(world, "");
    world_clock += MINUTES(30);
    node->store_away = 1; /* touching it would be told */
    assert_int_equal(lti_refresh_turn(node->engine, apr_time_from_sec(10)), 1);
    assert_int_equal(world->asked->nelts, before);
    assert_int_equal(node->events->nelts, 0);
    /* The network goes first, then the engine: that is harmless too. */
    fake_abort(world);
    assert_int_equal(node->events->nelts, 0);
}

/* SPEC N-43 */
static void housekeeping_forgets_who_left_long_ago(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann bob", NULL, NULL);
    lti_member_t *member;
    lti_err_t err = {0};

    roster_is(world, "ann", NULL, NULL);
    update_now(node);
    world_clock += HOURS(24 * 29);
    settle(node);
    assert_ok(lti_db_member_read(&member, node->db, COURSE, "bob", world->pool, &err), err);
    world_clock += HOURS(25);
    settle(node);
    assert_int_equal(lti_db_member_read(&member, node->db, COURSE, "bob", world->pool, &err), APR_NOTFOUND);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_first_sync_brings_all_pages_into_database_and_memory),
        WORLD_TEST(an_unchanged_roster_writes_no_person),
        WORLD_TEST(a_drop_from_a_single_page_is_left_at_once),
        WORLD_TEST(a_changed_role_tells_since_when),
        WORLD_TEST(the_evidence_is_as_old_as_the_first_roster_request),
        WORLD_TEST(an_empty_course_is_a_good_first_roster),
        WORLD_TEST(a_large_page_is_staged_in_batches),
        WORLD_TEST(a_person_named_twice_is_as_named_last),
        WORLD_TEST(what_is_odd_about_a_list_is_told),
        WORLD_TEST(who_is_missing_from_one_walk_only_stays),
        WORLD_TEST(who_is_missing_from_both_walks_has_left),
        WORLD_TEST(the_second_walk_wins_where_both_name_a_person),
        WORLD_TEST(a_second_walk_that_fails_removes_nobody_but_joins_count),
        WORLD_TEST(an_empty_list_is_held_until_somebody_accepts),
        WORLD_TEST(a_huge_second_walk_that_fails_changes_nothing),
        WORLD_TEST(a_course_that_everybody_left_is_published_whole),
        WORLD_TEST(a_mass_drop_is_held_until_walks_of_a_day_agree),
        WORLD_TEST(a_mass_drop_goes_through_when_accepted),
        WORLD_TEST(an_acceptance_is_not_for_more_than_was_held),
        WORLD_TEST(a_mass_drop_that_heals_leaves_no_trace),
        WORLD_TEST(a_failed_second_walk_does_not_end_a_hold),
        WORLD_TEST(an_entry_without_an_id_holds_removals_for_a_day),
        WORLD_TEST(the_guard_lets_small_courses_and_half_of_large_ones_go),
        WORLD_TEST(failures_keep_the_old_roster_and_say_why),
        WORLD_TEST(a_page_missing_at_the_end_changes_nothing),
        WORLD_TEST(a_page_without_anybody_in_the_middle_is_legal),
        WORLD_TEST(what_the_platform_does_not_send_any_more_is_forgotten),
        WORLD_TEST(a_loop_further_on_is_seen_too),
        WORLD_TEST(pages_without_end_come_to_an_end),
        WORLD_TEST(a_run_ends_after_ten_minutes),
        WORLD_TEST(repeated_failures_wait_longer_up_to_an_hour),
        WORLD_TEST(a_course_that_is_gone_is_asked_daily_then_weekly_never_not),
        WORLD_TEST(quiet_courses_are_asked_less_often),
        WORLD_TEST(a_registration_that_was_taken_out_is_said_once),
        WORLD_TEST(a_deployment_that_is_not_accepted_has_no_roster_fetched),
        WORLD_TEST(a_service_address_is_judged_before_anything_is_sent),
        WORLD_TEST(a_refused_token_is_renewed_once),
        WORLD_TEST(token_faults_are_told_apart),
        WORLD_TEST(an_oversized_token_answer_is_cut_off),
        WORLD_TEST(tokens_without_a_life_still_serve),
        WORLD_TEST(one_token_serves_all_courses_of_a_deployment),
        WORLD_TEST(more_courses_than_places_all_get_their_turn),
        WORLD_TEST(two_nodes_never_sync_a_course_at_once),
        WORLD_TEST(what_one_node_learns_the_other_publishes_within_a_second),
        WORLD_TEST(the_course_of_a_killed_node_is_taken_over),
        WORLD_TEST(a_node_that_stops_leaves_its_course_to_the_next_at_once),
        WORLD_TEST(a_node_that_slept_through_its_lease_writes_nothing),
        WORLD_TEST(a_new_process_loads_everything_before_anything_else),
        WORLD_TEST(switched_off_nothing_is_fetched_but_changes_are_published),
        WORLD_TEST(those_who_wait_hear_of_events_once_they_are_published),
        WORLD_TEST(a_full_memory_is_said_once_and_readers_go_to_the_database),
        WORLD_TEST(a_database_that_is_away_is_said_once_and_said_when_back),
        WORLD_TEST(a_run_outlives_a_hiccup_of_the_database),
        WORLD_TEST(a_database_away_for_longer_than_the_lease_ends_the_run),
        WORLD_TEST(a_fault_just_after_the_lease_was_taken_costs_seconds),
        WORLD_TEST(a_newer_schema_is_said_at_once),
        WORLD_TEST(a_kick_or_a_clock_set_back_makes_it_look_at_once),
        WORLD_TEST(a_clock_set_back_does_not_make_a_run_last),
        WORLD_TEST(a_clock_that_was_ahead_does_not_make_a_course_forgotten),
        WORLD_TEST(stopping_starts_nothing_and_waits_for_nothing),
        WORLD_TEST(housekeeping_forgets_who_left_long_ago),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
