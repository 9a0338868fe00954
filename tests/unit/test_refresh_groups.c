/* SPDX-License-Identifier: Apache-2.0 */
/* Names of sections and groups in a run: fetched first, and nothing that goes wrong with them costs a roster, a person, or the names of before. */
#include "test_refresh_world.h"
#include "lti_groups.h"

#define GROUPS ORIGIN "/groups/42"
#define GROUPS2 GROUPS "?p=2"
#define FIRST ROSTER "?groups=true"
#define WITH_RLID ROSTER "?rlid=42&groups=true"
#define BOTH_SCOPES LTI_SCOPE_NRPS " " LTI_SCOPE_GROUPS

static void grant(world_t *world, const char *scope)
{
    say(world,
        (answer_t){.url = TOKEN_URL,
                   .type = "application/json",
                   .body = apr_psprintf(
                       world->pool, "{\"access_token\":\"t-%d\",\"token_type\":\"Bearer\",\"expires_in\":3600,\"scope\":\"%s\"}",
                       ++world->tokens, scope)});
}

/** Ann is in groups g1 and g2, in section A; bob in none. */
static const char *class_of(world_t *world)
{
    return apr_pstrcat(world->pool,
                       "{\"id\":\"" ROSTER "\",\"members\":[{\"user_id\":\"ann\",\"roles\":[\"" LEARNER
                       "\"],\"group_enrollments\":[{\"group_id\":\"g1\"},{\"group_id\":\"g2\"}],"
                       "\"message\":[{\"https://purl.imsglobal.org/spec/lti/claim/"
                       "custom\":{\"sections\":\"A\"}}]},{\"user_id\":\"bob\",\"roles\":[\"" LEARNER "\"]}]}",
                       NULL);
}

static void say_groups(world_t *world)
{
    say(world, (answer_t){.url = GROUPS,
                          .type = LTI_GROUPS_MEDIA_TYPE,
                          .body = "{\"groups\":[{\"id\":\"g1\",\"name\":\"Team\"}]}",
                          .next = GROUPS2});
    say(world, (answer_t){.url = GROUPS2,
                          .type = "application/json",
                          .body = "{\"groups\":[{\"id\":\"g2\",\"name\":\"Watched\",\"hidden\":true}]}"});
}

/** A course that offers groups, not fetched yet. */
static node_t *offered(world_t *world, lti_roster_names_t names)
{
    node_t *node;

    world->platform.roster_names = names;
    world->platform.section_claim = names == LTI_NAMES_RLID ? "sections" : NULL;
    node = begin_node(world, 0, MEMORY);
    lti_refresh_turn(node->engine, 0);
    launch_with_groups(node, COURSE, "campus", ROSTER, GROUPS);
    hush(world);
    grant(world, BOTH_SCOPES);
    return node;
}

static node_t *fetched(world_t *world)
{
    node_t *node = offered(world, LTI_NAMES_ON);

    say_groups(world);
    say(world, (answer_t){.url = FIRST, .body = class_of(world)});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    hush(world);
    grant(world, BOTH_SCOPES);
    say(world, (answer_t){.url = FIRST, .body = class_of(world)});
    return node;
}

static void assert_names(node_t *node, const char *user_id, const char *sections, const char *groups)
{
    lti_member_t *member = NULL;
    lti_err_t err = {0};

    assert_ok(lti_db_member_read(&member, node->db, COURSE, user_id, node->world->pool, &err), err);
    assert_string_equal(member->sections != NULL ? member->sections : "-", sections);
    assert_string_equal(member->groups != NULL ? member->groups : "-", groups);
}

static void assert_unchanged(seen_event_t done)
{
    assert_int_equal(done.applied.joined + done.applied.changed + done.applied.left + done.applied.returned, 0);
}

static void names_of_groups_are_fetched_before_the_roster(void **state)
{
    world_t *world = *state;
    node_t *node = offered(world, LTI_NAMES_ON);
    seen_event_t done;

    say_groups(world);
    say(world, (answer_t){.url = FIRST, .body = class_of(world)});
    next_second(node);
    done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(done.applied.joined, 2);
    assert_int_equal(done.pages, 1);
    assert_string_equal(done.remarks, "");
    assert_names(node, "ann", "-", "[\"Team\"]"); /* g2 is hidden; custom parameters are not looked at without rlid */
    assert_names(node, "bob", "-", "-");
    assert_int_equal(asked(world, TOKEN_URL), 2); /* one for each scope: where one refused scope fails all */
    /* And nothing is written when nothing changed. */
    hush(world);
    say_groups(world);
    say(world, (answer_t){.url = FIRST, .body = class_of(world)});
    sql(node, "CREATE TRIGGER no_list BEFORE UPDATE OF group_list ON lti_context BEGIN SELECT RAISE(ABORT, 'written'); END");
    update_now(node);
    assert_unchanged(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK));
    assert_int_equal(asked(world, TOKEN_URL), 0);
}

/* SPEC N-50 */
static void sections_come_with_rlid(void **state)
{
    world_t *world = *state;
    node_t *node = offered(world, LTI_NAMES_RLID);

    say_groups(world);
    say(world, (answer_t){.url = WITH_RLID, .body = class_of(world)});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_names(node, "ann", "[\"A\"]", "[\"Team\"]");
}

/* SPEC N-52, N-53 */
static void a_refused_rlid_drops_nobody(void **state)
{
    static const long refusals[] = {400, 404};
    world_t *world = *state;
    node_t *node = offered(world, LTI_NAMES_RLID);
    seen_event_t done;

    say_groups(world);
    say(world, (answer_t){.url = WITH_RLID, .body = class_of(world)});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        hush(world);
        say_groups(world);
        say(world, (answer_t){.url = WITH_RLID, .status = refusals[i], .body = "bad rlid"});
        say(world, (answer_t){.url = FIRST, .body = class_of(world)});
        update_now(node);
        done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
        assert_int_equal(done.applied.left, 0);
        assert_non_null(strstr(done.remarks, "rlid"));
        assert_int_equal(asked(world, FIRST), 1);
    }
    /* A course that is gone is gone without rlid too. */
    hush(world);
    say_groups(world);
    say(world, (answer_t){.url = WITH_RLID, .status = 404});
    say(world, (answer_t){.url = FIRST, .status = 404});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_ROSTER_GONE);
}

/* The platform took it a moment ago: a fault of the second walk is no refusal, and takes nobody's names away. */
static void an_rlid_that_was_taken_is_not_refused_by_the_second_walk(void **state)
{
    world_t *world = *state;
    node_t *node = offered(world, LTI_NAMES_RLID);

    say_groups(world);
    say(world, (answer_t){.url = WITH_RLID, .body = class_of(world), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "cyd")});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_names(node, "ann", "[\"A\"]", "[\"Team\"]");
    hush(world);
    say_groups(world);
    say(world, (answer_t){.url = WITH_RLID, .body = class_of(world), .next = PAGE2});
    say(world, (answer_t){.url = WITH_RLID, .status = 404});
    say(world, (answer_t){.url = FIRST, .body = people(world, "ann bob"), .next = PAGE2});
    say(world, (answer_t){.url = PAGE2, .body = people(world, "dan")});
    update_now(node);
    assert_int_equal(only_event(node, LTI_EVENT_RUN_DONE, LTI_E_ROSTER_GONE).applied.joined, 1);
    assert_int_equal(asked(world, FIRST), 0);
    assert_names(node, "ann", "[\"A\"]", "[\"Team\"]");
    assert_string_equal(standing(node, "cyd"), "active");
}

static void a_failing_service_leaves_names_and_roster_alone(void **state)
{
    static const answer_t faults[] = {
        {.url = GROUPS, .status = 503},
        {.url = GROUPS, .status = 404},
        {.url = GROUPS, .status = 302},
        {.url = GROUPS, .type = "text/html", .body = "<html>"},
        {.url = GROUPS, .type = LTI_GROUPS_MEDIA_TYPE, .body = "{\"groups\":[{\"id\":\"g1\",\"na"},
        {.url = GROUPS, .type = LTI_GROUPS_MEDIA_TYPE, .body = "{}"},
        {.url = GROUPS, .type = LTI_GROUPS_MEDIA_TYPE, .body = "{\"groups\":[]}", .next = "https://elsewhere.example.org/groups"},
        {.url = GROUPS, .type = LTI_GROUPS_MEDIA_TYPE, .body = "{\"groups\":[]}", .next = GROUPS},
        {.url = GROUPS, .fault = LTI_E_HTTP_CONNECT},
    };
    world_t *world = *state;
    node_t *node = fetched(world);
    seen_event_t done;

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        hush(world);
        grant(world, BOTH_SCOPES);
        say(world, faults[i]);
        say(world, (answer_t){.url = FIRST, .body = class_of(world)});
        update_now(node);
        done = only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
        assert_unchanged(done);
        assert_non_null(strstr(done.remarks, "names of sections or groups could not be read"));
        assert_names(node, "ann", "-", "[\"Team\"]");
        assert_true(strncmp(world->bearer, "t", 1) == 0);
    }
}

/* SPEC 5.4: who was refused is not asked again for an hour. */
static void a_refusal_is_respected_for_an_hour(void **state)
{
    world_t *world = *state;
    node_t *node = fetched(world);

    hush(world);
    say(world, (answer_t){.url = GROUPS, .status = 403});
    say(world, (answer_t){.url = FIRST, .body = class_of(world)});
    update_now(node);
    assert_unchanged(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK));
    assert_int_equal(asked(world, GROUPS), 1);
    update_now(node);
    assert_unchanged(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK));
    assert_int_equal(asked(world, GROUPS), 1);
    world_clock += MINUTES(61);
    hush(world);
    grant(world, LTI_SCOPE_NRPS); /* and now the scope itself is refused */
    say(world, (answer_t){.url = FIRST, .body = class_of(world)});
    update_now(node);
    assert_unchanged(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK));
    assert_int_equal(asked(world, GROUPS), 0);
    assert_names(node, "ann", "-", "[\"Team\"]");
}

static void without_names_groups_go_by_their_ids(void **state)
{
    world_t *world = *state;
    node_t *node = offered(world, LTI_NAMES_ON);

    say(world, (answer_t){.url = GROUPS, .status = 500});
    say(world, (answer_t){.url = FIRST, .body = class_of(world)});
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_names(node, "ann", "-", "[\"g1\",\"g2\"]");
}

static void an_endless_list_of_groups_ends(void **state)
{
    world_t *world = *state;
    node_t *node = offered(world, LTI_NAMES_ON);

    say(world, (answer_t){.url = GROUPS, .type = LTI_GROUPS_MEDIA_TYPE, .body = "{\"groups\":[]}", .next = GROUPS});
    say(world, (answer_t){.url = FIRST, .body = class_of(world)});
    next_second(node);
    assert_non_null(strstr(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).remarks, "pages of groups"));
    assert_in_range(asked(world, GROUPS), 2, LTI_GROUPS_PAGES_MAX + 1);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(names_of_groups_are_fetched_before_the_roster),
        WORLD_TEST(sections_come_with_rlid),
        WORLD_TEST(a_refused_rlid_drops_nobody),
        WORLD_TEST(an_rlid_that_was_taken_is_not_refused_by_the_second_walk),
        WORLD_TEST(a_failing_service_leaves_names_and_roster_alone),
        WORLD_TEST(a_refusal_is_respected_for_an_hour),
        WORLD_TEST(without_names_groups_go_by_their_ids),
        WORLD_TEST(an_endless_list_of_groups_ends),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
