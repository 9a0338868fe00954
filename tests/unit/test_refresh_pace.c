/* SPDX-License-Identifier: Apache-2.0 */
/* The engine beside several platforms and nodes: places, rates, pauses, one token for all; and that no course is ever forgotten (Invariant 4). */
#include "test_refresh_world.h"
#include "lti_groups.h"

#define SECONDS(n) apr_time_from_sec(n)
#define OTHER_TOKEN_URL "https://other.example.org/token"

static lti_platform_t other_platform;

/* A second platform, on another host. */
static void add_other(world_t *world)
{
    other_platform = world->platform;
    other_platform.name = "other";
    other_platform.issuer = "https://other.example.org";
    other_platform.token_endpoint = other_platform.token_audience = OTHER_TOKEN_URL;
    APR_ARRAY_PUSH(world->platforms, const lti_platform_t *) = &other_platform;
}

static void give_other_tokens(world_t *world)
{
    say(world, (answer_t){.url = OTHER_TOKEN_URL,
                          .type = "application/json",
                          .body = "{\"access_token\":\"other\",\"token_type\":\"Bearer\"}"});
}

static const char *course_key(world_t *world, int number)
{
    return apr_psprintf(world->pool, "course%010d", number);
}

static const char *course_url(world_t *world, const char *host, int number)
{
    return apr_psprintf(world->pool, "https://%s.example.org/nrps/course%d", host, number);
}

/* Courses `first` up to, not including, `end` of a platform are launched. */
static void launch_many(node_t *node, const char *platform, const char *host, int first, int end)
{
    int i;

    for (i = first; i < end; i++)
        launch(node, course_key(node->world, i), platform, course_url(node->world, host, i));
}

static int count_asked(const world_t *world, const char *part)
{
    int i, count = 0;

    for (i = 0; i < world->asked->nelts; i++)
        count += strstr(APR_ARRAY_IDX(world->asked, i, const char *), part) != NULL;
    return count;
}

static int count_events(const node_t *node, lti_event_kind_t kind)
{
    int i, count = 0;

    for (i = 0; i < node->events->nelts; i++)
        count += APR_ARRAY_IDX(node->events, i, seen_event_t).kind == kind;
    return count;
}

static void turn_some(node_t *node, int turns)
{
    while (turns-- > 0)
        lti_refresh_turn(node->engine, 0);
}

static void share_tokens(node_t *node)
{
    static const char secret[] = "a secret that all nodes of the test have";
    const lti_bytes_t secrets[] = {{secret, sizeof(secret) - 1}};
    lti_sealer_t *sealer = NULL;
    lti_err_t err = {0};

    assert_ok(lti_sealer_create(&sealer, "token", secrets, 1, node->pool, &err), err);
    node->options.sealer = sealer;
    create_engine(node);
}

static lti_meter_t *measure(node_t *node)
{
    char *block = apr_palloc(node->pool, lti_meter_size(1) + 64);
    lti_meter_t *meter = NULL;
    lti_err_t err = {0};

    block += 63 - ((uintptr_t)block + 63) % 64;
    assert_ok(lti_meter_format(&meter, block, lti_meter_size(1), 1, node->pool, &err), err);
    node->options.meter = meter;
    create_engine(node);
    return meter;
}

/* --- places ------------------------------------------------------------------------------------------------------------- */

static void a_platform_that_hangs_does_not_delay_another(void **state)
{
    world_t *world = *state;
    node_t *node;
    int i;

    add_other(world);
    node = begin_node(world, 0, MEMORY);
    lti_refresh_turn(node->engine, 0);
    give_other_tokens(world);
    launch_many(node, "campus", "lms", 0, 300);
    for (i = 0; i < 300; i++)
        say(world, (answer_t){.url = course_url(world, "lms", i), .hang = 1});
    world_clock += SECONDS(1);
    turn_some(node, 5);
    assert_int_equal(count_asked(world, "lms.example.org/nrps"), 4);
    /* They come due behind 296 others that are due for longer. */
    launch_many(node, "other", "other", 300, 320);
    for (i = 300; i < 320; i++)
        say(world, (answer_t){.url = course_url(world, "other", i), .body = people(world, "ann")});
    world_clock += SECONDS(1);
    turn_some(node, 60);
    assert_int_equal(count_events(node, LTI_EVENT_RUN_DONE), 20);
    assert_int_equal(count_asked(world, "lms.example.org/nrps"), 4);
}

/* --- rates -------------------------------------------------------------------------------------------------------------- */

static void requests_keep_the_rate_of_their_platform(void **state)
{
    world_t *world = *state;
    node_t *node;
    int i, before;

    world->platform.request_interval = SECONDS(1) / 5;
    node = begin_node(world, 0, MEMORY);
    lti_refresh_turn(node->engine, 0);
    launch_many(node, "campus", "lms", 0, 40);
    for (i = 0; i < 40; i++)
        say(world, (answer_t){.url = course_url(world, "lms", i), .body = people(world, "ann")});
    for (i = 0; i < 10; i++) {
        int step;

        before = world->asked->nelts;
        for (step = 0; step < 20; step++) {
            world_clock += apr_time_from_msec(50);
            turn_some(node, 2);
        }
        assert_in_range(world->asked->nelts - before, i < 6 ? 4 : 0, i == 0 ? 10 : 6);
    }
    assert_int_equal(count_events(node, LTI_EVENT_RUN_DONE), 40);
}

/* --- patience (SPEC 6.6) ---------------------------------------------------------------------------------------------------- */

static void a_refusal_pauses_all_courses_of_the_platform_on_all_nodes_and_no_other(void **state)
{
    world_t *world = *state;
    node_t *a, *b;
    apr_time_t from;
    int i, waiting = 0;

    add_other(world);
    a = begin_node(world, 0, MEMORY);
    lti_refresh_turn(a->engine, 0);
    give_other_tokens(world);
    launch_many(a, "campus", "lms", 0, 1);
    say(world, (answer_t){.url = course_url(world, "lms", 0), .status = 429, .retry_after = SECONDS(120)});
    next_second(a);
    from = world_clock;
    assert_int_equal(count_events(a, LTI_EVENT_RUN_FAILED), 1);
    next_second(a);
    assert_int_equal(count_events(a, LTI_EVENT_PLATFORM_PAUSED), 1);
    a->events->nelts = 0;

    b = begin_node(world, 1, MEMORY);
    lti_refresh_turn(b->engine, 0);
    launch_many(a, "campus", "lms", 1, 200);
    launch_many(a, "other", "other", 200, 210);
    for (i = 200; i < 210; i++)
        say(world, (answer_t){.url = course_url(world, "other", i), .body = people(world, "ann")});
    next_second(b);
    next_second(b);
    next_second(a);
    assert_int_equal(count_asked(world, "lms.example.org/nrps"), 1);
    assert_int_equal(count_events(a, LTI_EVENT_RUN_DONE) + count_events(b, LTI_EVENT_RUN_DONE), 10);
    assert_int_equal(count_events(a, LTI_EVENT_RUN_FAILED) + count_events(b, LTI_EVENT_RUN_FAILED), 0);
    for (i = 1; i < 200; i++) {
        lti_course_t *course = course_of(a, course_key(world, i));

        assert_string_equal(course->error_name, "rate-limited");
        assert_non_null(strstr(course->error_text, "429"));
        assert_int_equal(course->failures, 0);
        assert_in_range(course->due_at, from + SECONDS(118), from + SECONDS(242));
        waiting += course->due_at > from + SECONDS(180);
    }
    assert_in_range(waiting, 40, 160); /* spread, not all at its end */

    /* Afterwards all come by themselves. */
    hush(world);
    for (i = 0; i < 200; i++)
        say(world, (answer_t){.url = course_url(world, "lms", i), .body = people(world, "ann")});
    a->events->nelts = b->events->nelts = 0;
    for (i = 0; i < 260; i++)
        next_second(i % 2 ? a : b);
    assert_int_equal(count_asked(world, "lms.example.org/nrps"), 200);
    assert_null(course_of(a, course_key(world, 1))->error_name);
}

static void what_makes_a_pause_and_what_does_not(void **state)
{
    static const struct {
        answer_t answer;
        int pauses, seconds;
    } cases[] = {
        {{.status = 429}, 1, 60},
        {{.status = 429, .retry_after = SECONDS(30)}, 1, 30},
        {{.status = 503, .retry_after = SECONDS(45)}, 1, 45},
        {{.status = 503}, 0, 0},
        {{.status = 500}, 0, 0},
        {{.status = 403, .body = "403 Forbidden (Rate Limit Exceeded)"}, 1, 60},
        {{.status = 404}, 0, 0},
        {{.fault = LTI_E_HTTP_TIMEOUT}, 0, 0},
    };
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer_t answer = cases[i].answer;
        seen_event_t event;

        hush(world);
        answer.url = ROSTER;
        say(world, answer);
        update_now(node);
        next_second(node);
        assert_int_equal(count_events(node, LTI_EVENT_RUN_FAILED), 1);
        assert_int_equal(count_events(node, LTI_EVENT_PLATFORM_PAUSED), cases[i].pauses);
        event = APR_ARRAY_IDX(node->events, node->events->nelts - 1, seen_event_t);
        if (cases[i].pauses)
            assert_in_range(apr_time_sec(event.due_at - world_clock), cases[i].seconds - 2, cases[i].seconds);
        node->events->nelts = 0;
        world_clock += HOURS(2);
        roster_is(world, "ann", NULL, NULL);
        update_now(node);
        only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    }
}

/* The first of them is refused in the middle of its pages; the other stops before its next page. */
static void a_run_that_goes_on_stops_asking_and_has_not_failed(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);

    hush(world);
    launch(node, course_key(world, 1), "campus", course_url(world, "lms", 1));
    say(world, (answer_t){.url = course_url(world, "lms", 1), .status = 429, .retry_after = SECONDS(60)});
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann bob"), .next = PAGE2});
    sql(node, apr_psprintf(world->pool, "UPDATE lti_sync SET due_at = %" APR_TIME_T_FMT, world_clock));
    next_second(node);
    assert_int_equal(asked(world, PAGE2), 0);
    assert_int_equal(count_events(node, LTI_EVENT_RUN_FAILED), 1); /* of the other course */
    assert_string_equal(course_of(node, COURSE)->error_name, "rate-limited");
    assert_int_equal(course_of(node, COURSE)->failures, 0);
    assert_string_equal(standing(node, "bob"), "unknown");
    roster_is(world, "ann bob", NULL, NULL);
    say(world, (answer_t){.url = course_url(world, "lms", 1), .body = people(world, "ann")});
    world_clock += SECONDS(130);
    settle(node);
    assert_string_equal(standing(node, "bob"), "active");
}

/* Each run once by the way in which it ended, one that was put off too; each answer once. */
static void runs_and_what_they_fetch_are_counted(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    lti_meter_t *meter = measure(node);
    lti_meter_histogram_t times;

    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(lti_meter_runs(meter, 0, LTI_OK), 1);
    assert_int_equal(lti_meter_fetches(meter, 0, LTI_METER_TOKEN, 0), 1);
    assert_int_equal(lti_meter_fetches(meter, 0, LTI_METER_PAGE, 0), 1);
    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 500});
    update_now(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_HTTP_STATUS);
    assert_int_equal(lti_meter_runs(meter, 0, LTI_E_HTTP_STATUS), 1);
    assert_int_equal(lti_meter_fetches(meter, 0, LTI_METER_PAGE, 1), 1);
    hush(world);
    say(world, (answer_t){.url = course_url(world, "lms", 1), .status = 429, .retry_after = SECONDS(60)});
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann bob"), .next = PAGE2});
    launch(node, course_key(world, 1), "campus", course_url(world, "lms", 1));
    sql(node, apr_psprintf(world->pool, "UPDATE lti_sync SET due_at = %" APR_TIME_T_FMT, world_clock));
    next_second(node);
    assert_string_equal(course_of(node, COURSE)->error_name, "rate-limited");
    assert_int_equal(lti_meter_runs(meter, 0, LTI_E_RATE_LIMITED), 1);
    assert_int_equal(lti_meter_runs(meter, 0, LTI_E_ROSTER_BUSY), 1);
    assert_int_equal(lti_meter_fetches(meter, 0, LTI_METER_PAGE, 0), 2);
    assert_int_equal(lti_meter_fetches(meter, 0, LTI_METER_PAGE, 1), 2);
    assert_int_equal(lti_meter_fetches(meter, 0, LTI_METER_TOKEN, 1), 0);
    lti_meter_histogram(&times, meter, LTI_METER_RUN_TIME);
    assert_int_equal(times.count, 4);
}

/* SPEC N-48. */
static void update_now_does_not_wait_for_the_end_of_a_pause(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);

    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 429, .retry_after = SECONDS(1800)});
    update_now(node);
    next_second(node);
    assert_int_equal(count_events(node, LTI_EVENT_PLATFORM_PAUSED), 1);
    node->events->nelts = 0;
    roster_is(world, "ann bob", NULL, NULL);
    sql(node, apr_psprintf(world->pool, "UPDATE lti_sync SET due_at = %" APR_TIME_T_FMT, world_clock));
    next_second(node);
    assert_int_equal(asked(world, ROSTER), 0);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(standing(node, "bob"), "active");
    /* That was for once. */
    sql(node, apr_psprintf(world->pool, "UPDATE lti_sync SET due_at = %" APR_TIME_T_FMT, world_clock));
    next_second(node);
    assert_int_equal(asked(world, ROSTER), 1);
}

/* --- one token for all nodes (SPEC T-06, T-08) ------------------------------------------------------------------------------ */

static void two_nodes_ask_for_one_token(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b = begin_node(world, 1, MEMORY);

    share_tokens(a);
    share_tokens(b);
    lti_refresh_turn(a->engine, 0);
    lti_refresh_turn(b->engine, 0);
    launch(a, COURSE, "campus", ROSTER);
    roster_is(world, "ann", NULL, NULL);
    next_second(a);
    only_event(a, LTI_EVENT_RUN_DONE, LTI_OK);
    update_now(b);
    only_event(b, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(world->bearer, "token-1");
    assert_int_equal(asked(world, TOKEN_URL), 1);
    /* A process that comes later has it too. */
    create_engine(a);
    lti_refresh_turn(a->engine, 0);
    update_now(a);
    assert_int_equal(asked(world, TOKEN_URL), 1);
}

static void a_node_waits_for_the_token_that_another_asks_for(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b = begin_node(world, 1, MEMORY);
    answer_t *slow;

    share_tokens(a);
    share_tokens(b);
    lti_refresh_turn(a->engine, 0);
    lti_refresh_turn(b->engine, 0);
    say(world, (answer_t){.url = TOKEN_URL, .hang = 1, .type = "application/json", .body = "{\"access_token\":\"late\"}"});
    slow = APR_ARRAY_IDX(world->answers, 0, answer_t *);
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann")});
    say(world, (answer_t){.url = course_url(world, "lms", 1), .body = people(world, "ann")});
    launch(a, COURSE, "campus", ROSTER);
    world_clock += SECONDS(1);
    turn_some(a, 3);
    launch(b, course_key(world, 1), "campus", course_url(world, "lms", 1));
    world_clock += SECONDS(1);
    turn_some(b, 10);
    assert_int_equal(asked(world, TOKEN_URL), 1);
    slow->hang = 0;
    settle(a);
    only_event(a, LTI_EVENT_RUN_DONE, LTI_OK);
    world_clock += SECONDS(1);
    settle(b);
    only_event(b, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(asked(world, TOKEN_URL), 1);
    assert_string_equal(world->bearer, "late");
}

static void when_the_asking_node_dies_another_asks(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b = begin_node(world, 1, MEMORY);
    int i;

    share_tokens(a);
    share_tokens(b);
    lti_refresh_turn(a->engine, 0);
    lti_refresh_turn(b->engine, 0);
    say(world, (answer_t){.url = TOKEN_URL, .hang = 1});
    say(world, (answer_t){.url = course_url(world, "lms", 1), .body = people(world, "ann")});
    launch(a, COURSE, "campus", ROSTER);
    world_clock += SECONDS(1);
    turn_some(a, 3);
    kill_node(a);
    fake_abort(world);
    world->answers->nelts = 0;
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann")});
    say(world, (answer_t){.url = course_url(world, "lms", 1), .body = people(world, "ann")});
    launch(b, course_key(world, 1), "campus", course_url(world, "lms", 1));
    for (i = 0; i < 80; i++) {
        world_clock += SECONDS(1);
        turn_some(b, 2);
    }
    assert_int_equal(asked(world, TOKEN_URL), 1);
    for (i = 0; i < 15; i++) {
        world_clock += SECONDS(1);
        turn_some(b, 4);
    }
    assert_int_equal(asked(world, TOKEN_URL), 2);
    only_event(b, LTI_EVENT_RUN_DONE, LTI_OK);
}

static void a_refused_token_is_asked_for_anew_once_for_all(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b = begin_node(world, 1, MEMORY);

    share_tokens(a);
    share_tokens(b);
    lti_refresh_turn(a->engine, 0);
    lti_refresh_turn(b->engine, 0);
    launch(a, COURSE, "campus", ROSTER);
    roster_is(world, "ann", NULL, NULL);
    next_second(a);
    update_now(b);
    a->events->nelts = b->events->nelts = 0;
    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 401});
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann")});
    update_now(a);
    only_event(a, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(world->bearer, "token-2");
    /* The other still has the old one in memory; it is refused, and the new one is there. */
    hush(world);
    say(world, (answer_t){.url = ROSTER, .status = 401});
    say(world, (answer_t){.url = ROSTER, .body = people(world, "ann")});
    update_now(b);
    only_event(b, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(world->bearer, "token-2");
    assert_int_equal(asked(world, TOKEN_URL), 0);
}

static void a_token_that_cannot_be_opened_is_not_there(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY);

    share_tokens(a);
    lti_refresh_turn(a->engine, 0);
    launch(a, COURSE, "campus", ROSTER);
    roster_is(world, "ann", NULL, NULL);
    next_second(a);
    sql(a, "UPDATE lti_token SET sealed = 'c2VhbGVkIHdpdGggYW5vdGhlciBzZWNyZXQgYW5kIG5vdCBvcGVuZWQ'");
    create_engine(a);
    lti_refresh_turn(a->engine, 0);
    a->events->nelts = 0;
    update_now(a);
    only_event(a, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_string_equal(world->bearer, "token-2");
    /* The token itself is nowhere in the database. */
    sql(a, "CREATE TABLE found AS SELECT sealed FROM lti_token WHERE sealed LIKE '%token-%'");
    sql(a, "CREATE TRIGGER none BEFORE DELETE ON found BEGIN SELECT RAISE(ABORT, 'a token in the open'); END");
    sql(a, "DELETE FROM found");
}

static void a_token_that_did_not_come_lets_others_try(void **state)
{
    world_t *world = *state;
    node_t *a = begin_node(world, 0, MEMORY), *b = begin_node(world, 1, MEMORY);

    share_tokens(a);
    share_tokens(b);
    lti_refresh_turn(a->engine, 0);
    lti_refresh_turn(b->engine, 0);
    say(world, (answer_t){.url = TOKEN_URL, .status = 500, .type = "text/plain", .body = "no"});
    launch(a, COURSE, "campus", ROSTER);
    next_second(a);
    only_event(a, LTI_EVENT_RUN_FAILED, LTI_E_TOKEN_ANSWER);
    roster_is(world, "ann", NULL, NULL);
    update_now(b);
    only_event(b, LTI_EVENT_RUN_DONE, LTI_OK);
}

/* A token for groups that did not come is not waited for by others while the run that asked for it reads the roster. */
static void a_token_of_another_scope_that_did_not_come_lets_others_try_at_once(void **state)
{
    world_t *world = *state;
    node_t *node = begin_node(world, 0, MEMORY);
    lti_course_t course = {.key = course_key(world, 1),
                           .platform = "campus",
                           .issuer = ORIGIN,
                           .client_id = "tool-77",
                           .deployment_id = "1",
                           .context_id = "43",
                           .nrps_url = course_url(world, "lms", 1),
                           .groups_url = ORIGIN "/groups/43",
                           .launched_at = world_clock};
    char key[LTI_TOKEN_KEY_SIZE];
    lti_err_t err = {0};

    share_tokens(node);
    lti_refresh_turn(node->engine, 0);
    roster_is(world, "ann", NULL, NULL);
    launch(node, COURSE, "campus", ROSTER);
    next_second(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    hush(world);
    say(world, (answer_t){.url = TOKEN_URL, .status = 500, .type = "text/plain", .body = "no"});
    say(world, (answer_t){.url = apr_pstrcat(world->pool, course.nrps_url, "?groups=true", NULL), .hang = 1});
    assert_ok(lti_db_course_launched(node->db, &course, world_clock, world->pool, &err), err);
    world_clock += SECONDS(1);
    turn_some(node, 10);
    assert_int_equal(count_asked(world, course.nrps_url), 1);
    assert_ok(lti_tokens_key(key, &world->platform, "1", LTI_SCOPE_GROUPS), err);
    assert_ok(lti_db_token_lease(node->db, key, "other", world_clock, world_clock + SECONDS(9), world->pool, &err), err);
}

/* A course that people use without launching, or whose roster an application reads, is as active as one that is launched. */
static void a_course_in_use_is_asked_as_often_as_one_that_is_launched(void **state)
{
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);

    world_clock += HOURS(24 * 130);
    update_now(node);
    assert_in_range(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).due_at - world_clock, HOURS(24 * 6), HOURS(24 * 8));
    sql(node, apr_psprintf(world->pool, "UPDATE lti_context SET used_at = %" APR_TIME_T_FMT, world_clock - HOURS(23)));
    update_now(node);
    assert_in_range(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).due_at - world_clock, MINUTES(13), MINUTES(17));
    sql(node, apr_psprintf(world->pool, "UPDATE lti_context SET used_at = %" APR_TIME_T_FMT, world_clock - HOURS(25)));
    update_now(node);
    assert_in_range(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).due_at - world_clock, MINUTES(26), MINUTES(34));
}

/* --- courses named beforehand ---------------------------------------------------------------------------------------------- */

/* A process whose configuration names the one course. */
static node_t *begin_named(world_t *world)
{
    node_t *node = begin_node(world, 0, MEMORY);
    lti_course_t *course = apr_pcalloc(world->pool, sizeof(*course));

    *course = (lti_course_t){.key = COURSE,
                             .platform = "campus",
                             .issuer = ORIGIN,
                             .client_id = "client",
                             .deployment_id = "1",
                             .context_id = "42",
                             .nrps_url = ROSTER,
                             .state = LTI_ROSTER_PENDING};
    node->options.named = apr_hash_make(world->pool);
    apr_hash_set(node->options.named, course->key, APR_HASH_KEY_STRING, course);
    create_engine(node);
    return node;
}

static void a_named_course_is_asked_each_interval_though_nobody_launches(void **state)
{
    world_t *world = *state;
    node_t *node = begin_named(world);

    roster_is(world, "ann", NULL, NULL);
    settle(node);
    assert_in_range(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).due_at - world_clock, MINUTES(13), MINUTES(17));
    world_clock += HOURS(24 * 130);
    settle(node);
    assert_in_range(only_event(node, LTI_EVENT_RUN_DONE, LTI_OK).due_at - world_clock, MINUTES(13), MINUTES(17));
    /* The next process of the same configuration asks nobody. */
    create_engine(node);
    next_second(node);
    assert_int_equal(node->events->nelts, 0);
}

static void a_first_run_that_failed_is_seen_in_shared_memory(void **state)
{
    world_t *world = *state;
    node_t *node = begin_named(world);
    lti_snapshot_course_t course;

    say(world, (answer_t){.url = ROSTER, .status = 500, .type = "text/plain", .body = "no"});
    settle(node);
    only_event(node, LTI_EVENT_RUN_FAILED, LTI_E_HTTP_STATUS);
    assert_int_equal(lti_snapshot_lookup(node->snapshot, COURSE, NULL, &course, NULL), LTI_SNAPSHOT_NO_ROSTER);
    assert_true(course.version == LTI_SNAPSHOT_NEVER_YET);
    assert_int_equal(course.state, LTI_ROSTER_PENDING);
    roster_is(world, "ann", NULL, NULL);
    update_now(node);
    only_event(node, LTI_EVENT_RUN_DONE, LTI_OK);
    assert_int_equal(lti_snapshot_lookup(node->snapshot, COURSE, NULL, &course, NULL), LTI_SNAPSHOT_NO_MEMBER);
    assert_true(course.version > 0);
}

/* --- Invariant 4 ------------------------------------------------------------------------------------------------------------- */

/* Whatever goes wrong for however long, each course has a time at which it is asked again, within a week and its jitter. */
static void a_failing_course_is_never_forgotten(void **state)
{
    static const answer_t faults[] = {
        {.status = 500},
        {.status = 429, .retry_after = SECONDS(3600)},
        {.status = 503},
        {.status = 404},
        {.status = 403},
        {.status = 401},
        {.fault = LTI_E_HTTP_CONNECT},
        {.fault = LTI_E_HTTP_TIMEOUT},
        {.body = "{"},
        {.status = 302},
    };
    world_t *world = *state;
    node_t *node = begin_with(world, "ann", NULL, NULL);
    int i, tries = 0;

    for (i = 0; i < 400; i++) {
        answer_t answer = faults[(i / 7) % (int)(sizeof(faults) / sizeof(faults[0]))];
        lti_course_t *course = course_of(node, COURSE);

        assert_true(course->due_at > 0);
        assert_in_range(course->due_at, 1, world_clock + HOURS(24 * 8));
        if (course->due_at > world_clock)
            world_clock = course->due_at;
        hush(world);
        answer.url = ROSTER;
        say(world, answer);
        settle(node);
        tries += asked(world, ROSTER) > 0;
        node->events->nelts = 0;
    }
    assert_true(tries > 200);
    assert_string_equal(standing(node, "ann"), "active");
    roster_is(world, "ann bob", NULL, NULL);
    world_clock = course_of(node, COURSE)->due_at;
    settle(node);
    next_second(node);
    world_clock += HOURS(2);
    settle(node);
    assert_string_equal(standing(node, "bob"), "active");
    assert_int_equal(course_of(node, COURSE)->failures, 0);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_platform_that_hangs_does_not_delay_another),
        WORLD_TEST(requests_keep_the_rate_of_their_platform),
        WORLD_TEST(a_refusal_pauses_all_courses_of_the_platform_on_all_nodes_and_no_other),
        WORLD_TEST(what_makes_a_pause_and_what_does_not),
        WORLD_TEST(a_run_that_goes_on_stops_asking_and_has_not_failed),
        WORLD_TEST(runs_and_what_they_fetch_are_counted),
        WORLD_TEST(update_now_does_not_wait_for_the_end_of_a_pause),
        WORLD_TEST(two_nodes_ask_for_one_token),
        WORLD_TEST(a_node_waits_for_the_token_that_another_asks_for),
        WORLD_TEST(when_the_asking_node_dies_another_asks),
        WORLD_TEST(a_refused_token_is_asked_for_anew_once_for_all),
        WORLD_TEST(a_token_that_cannot_be_opened_is_not_there),
        WORLD_TEST(a_token_that_did_not_come_lets_others_try),
        WORLD_TEST(a_token_of_another_scope_that_did_not_come_lets_others_try_at_once),
        WORLD_TEST(a_course_in_use_is_asked_as_often_as_one_that_is_launched),
        WORLD_TEST(a_named_course_is_asked_each_interval_though_nobody_launches),
        WORLD_TEST(a_first_run_that_failed_is_seen_in_shared_memory),
        WORLD_TEST(a_failing_course_is_never_forgotten),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
