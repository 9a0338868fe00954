/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine does about who may: what one node decides all know within a second, and the nodes know of each other's keys and secrets. */
#include "test_refresh_world.h"

#define DEPLOYMENTS 6
#define ENDED 8
#define SECONDS(n) apr_time_from_sec(n)
#define X1 "uZZ8cLZfOVxUT6rOeBVqCdgkq1V6Xg6dYzPm6yrjlkU"
#define Y1 "zfXvPw5E44IlihjpMjewva_XlRxGKI95eRm7-66gWLo"
#define OTHER_KEYS "{\"keys\":[{\"kid\":\"theirs\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X1 "\",\"y\":\"" Y1 "\"}]}"

/** A node that has what httpd gives it: the table, the key cache, a name and a secret. */
static node_t *begin_full_node(world_t *world, int number, const char *fingerprint)
{
    node_t *node = begin_node(world, number, MEMORY);
    apr_size_t size = lti_admission_size(1, DEPLOYMENTS, ENDED), key_size = lti_keycache_size(1);
    lti_err_t err = {0};

    assert_ok(
        lti_admission_format(&node->options.admission, apr_palloc(node->pool, size), size, 1, DEPLOYMENTS, ENDED, node->pool, &err),
        err);
    assert_ok(lti_keycache_create(&node->options.keycache, apr_palloc(node->pool, key_size), key_size, 1, node->pool, &err), err);
    node->options.node_name = number == 0 ? "host-a:1" : "host-b:2";
    node->options.fingerprint = fingerprint;
    create_engine(node);
    return node;
}

/* -2: ask the database; else the status that the node's shared memory knows. */
static int status_of(node_t *node, const char *deployment)
{
    lti_admission_question_t question = {&node->world->platform, deployment, "course", "user"};
    lti_admission_answer_t answer;

    return lti_admission_ask(&answer, node->options.admission, &question) ? (int)answer.status : -2;
}

static apr_time_t ended_of(node_t *node, const char *deployment, const char *course, const char *user)
{
    lti_admission_question_t question = {&node->world->platform, deployment, course, user};
    lti_admission_answer_t answer;

    assert_int_equal(lti_admission_ask(&answer, node->options.admission, &question), 1);
    return answer.ended_at;
}

static void decide(node_t *node, const char *deployment, lti_deployment_status_t status)
{
    lti_err_t err = {0};

    assert_ok(lti_db_deployment_decide(node->db, "campus", deployment, status, world_clock, node->world->pool, &err), err);
}

static void end_sessions(node_t *node, const char *user, const char *course, apr_time_t at)
{
    lti_err_t err = {0};

    assert_ok(lti_db_sessions_end(node->db, "campus", user, course, NULL, at, at + HOURS(8), node->world->pool, &err), err);
}

static int serves(node_t *node, const char *text)
{
    return strstr(lti_toolkeys_union(node->options.keycache, world_keys, node->world->pool), text) != NULL;
}

/* --- who may ----------------------------------------------------------------------------------------------------------------- */

/* Invariant 11, and `LTIDeployment ask`: in force on all nodes within two seconds. */
static void what_is_decided_on_one_node_all_know_within_a_second(void **state)
{
    world_t *world = *state;
    node_t *a = begin_full_node(world, 0, "one"), *b = begin_full_node(world, 1, "one");

    assert_int_equal(status_of(a, "1"), -2);
    next_second(a);
    next_second(b);
    assert_int_equal(status_of(a, "1"), LTI_DEPLOYMENT_UNSEEN);
    decide(a, "1", LTI_DEPLOYMENT_ACCEPTED);
    next_second(b);
    assert_int_equal(status_of(b, "1"), LTI_DEPLOYMENT_ACCEPTED);
    assert_int_equal(ended_of(b, "1", "c", "anna"), 0);
    decide(a, "1", LTI_DEPLOYMENT_WITHDRAWN);
    end_sessions(a, "anna", NULL, world_clock + 5);
    next_second(b);
    assert_int_equal(status_of(b, "1"), LTI_DEPLOYMENT_WITHDRAWN);
    assert_int_equal(ended_of(b, "1", "c", "anna"), world_clock - SECONDS(1) + 5);
    assert_int_equal(ended_of(b, "1", "c", "bert"), world_clock - SECONDS(1));
    next_second(a);
    assert_int_equal(status_of(a, "1"), LTI_DEPLOYMENT_WITHDRAWN);
    assert_int_equal(a->events->nelts, 0);
    assert_int_equal(b->events->nelts, 0);
}

static void it_holds_where_rosters_are_not_fetched_at_all(void **state)
{
    world_t *world = *state;
    node_t *node = begin_full_node(world, 0, "one");

    node->options.enabled = 0;
    create_engine(node);
    next_second(node);
    decide(node, "1", LTI_DEPLOYMENT_ACCEPTED);
    end_sessions(node, NULL, "c", world_clock);
    next_second(node);
    assert_int_equal(status_of(node, "1"), LTI_DEPLOYMENT_ACCEPTED);
    assert_int_equal(ended_of(node, "1", "c", "bert"), world_clock - SECONDS(1));
}

/* Two statements, typed by an administrator; without the second one it takes ten minutes. */
static void what_is_written_by_hand_is_read_as_well(void **state)
{
    world_t *world = *state;
    node_t *node = begin_full_node(world, 0, "one");

    next_second(node);
    sql(node, "INSERT INTO lti_deployment (platform, deployment_id, status) VALUES ('campus', '1', 1)");
    sql(node, "UPDATE lti_schema SET value = value + 1 WHERE name = 'admission'");
    next_second(node);
    assert_int_equal(status_of(node, "1"), LTI_DEPLOYMENT_ACCEPTED);
    sql(node, "UPDATE lti_deployment SET status = 2");
    next_second(node);
    assert_int_equal(status_of(node, "1"), LTI_DEPLOYMENT_ACCEPTED);
    world_clock += MINUTES(10);
    next_second(node);
    assert_int_equal(status_of(node, "1"), LTI_DEPLOYMENT_WITHDRAWN);
    /* A clock that was set back does not put it off. */
    sql(node, "UPDATE lti_deployment SET status = 1");
    world_clock -= HOURS(5);
    next_second(node);
    assert_int_equal(status_of(node, "1"), LTI_DEPLOYMENT_ACCEPTED);
}

static void a_database_that_is_away_leaves_everything_as_it_was(void **state)
{
    world_t *world = *state;
    node_t *node = begin_full_node(world, 0, "one");

    decide((lti_refresh_turn(node->engine, 0), node), "1", LTI_DEPLOYMENT_ACCEPTED);
    next_second(node);
    node->store_away = 1;
    next_second(node);
    assert_int_equal(status_of(node, "1"), LTI_DEPLOYMENT_ACCEPTED);
    /* Half a reading changes nothing either: the second table is not there. */
    node->store_away = 0;
    sql(node, "ALTER TABLE lti_revocation RENAME TO elsewhere");
    decide(node, "1", LTI_DEPLOYMENT_WITHDRAWN);
    next_second(node);
    assert_int_equal(status_of(node, "1"), LTI_DEPLOYMENT_ACCEPTED);
    sql(node, "ALTER TABLE elsewhere RENAME TO lti_revocation");
    next_second(node);
    next_second(node);
    assert_int_equal(status_of(node, "1"), LTI_DEPLOYMENT_WITHDRAWN);
}

static void what_does_not_fit_is_said_once(void **state)
{
    world_t *world = *state;
    node_t *node = begin_full_node(world, 0, "one");
    seen_event_t event;
    int i;

    next_second(node);
    for (i = 0; i < DEPLOYMENTS + 2; i++)
        decide(node, apr_psprintf(world->pool, "d%d", i), LTI_DEPLOYMENT_ACCEPTED);
    for (i = 0; i < ENDED + 1; i++)
        end_sessions(node, apr_psprintf(world->pool, "u%d", i), "course", world_clock + i);
    next_second(node);
    event = only_event(node, LTI_EVENT_ADMISSION_FULL, LTI_E_SNAPSHOT_FULL);
    assert_string_equal(event.text, "5 of 8 deployments and 9 ended sessions");
    assert_int_equal(status_of(node, "another"), -2);
    assert_int_equal(ended_of(node, NULL, "course", "u8"), world_clock - SECONDS(1) + 8); /* the newest are exact */
    assert_int_equal(ended_of(node, NULL, "course", "somebody"), world_clock - SECONDS(1) + 2);
    decide(node, "d0", LTI_DEPLOYMENT_WITHDRAWN);
    next_second(node);
    assert_int_equal(node->events->nelts, 0);
    sql(node, "DELETE FROM lti_deployment WHERE deployment_id > 'd3'");
    sql(node, "DELETE FROM lti_revocation");
    decide(node, "d0", LTI_DEPLOYMENT_ACCEPTED);
    next_second(node);
    assert_int_equal(node->events->nelts, 0);
    assert_int_equal(status_of(node, "another"), LTI_DEPLOYMENT_UNSEEN);
    for (i = 0; i < DEPLOYMENTS + 2; i++)
        decide(node, apr_psprintf(world->pool, "d%d", i), LTI_DEPLOYMENT_ACCEPTED);
    next_second(node);
    only_event(node, LTI_EVENT_ADMISSION_FULL, LTI_E_SNAPSHOT_FULL);
}

/* The clock moves on by itself while rosters are published; somewhere in between something is decided. */
static node_t *ticking_node, *deciding_node;
static int ticks, decided_at_tick, known_at_tick, loaded_at_known;

static apr_time_t ticking_clock(void)
{
    world_clock += apr_time_from_msec(300);
    ticks++;
    if (decided_at_tick == 0 && ticking_node->engine != NULL && status_of(ticking_node, "1") == LTI_DEPLOYMENT_UNSEEN) {
        decided_at_tick = ticks;
        decide(deciding_node, "1", LTI_DEPLOYMENT_ACCEPTED);
    }
    if (known_at_tick == 0 && decided_at_tick != 0 && status_of(ticking_node, "1") == LTI_DEPLOYMENT_ACCEPTED) {
        known_at_tick = ticks;
        loaded_at_known = lti_refresh_is_loaded(ticking_node->engine);
    }
    return world_clock;
}

static void nobody_waits_until_all_rosters_are_published(void **state)
{
    world_t *world = *state;
    node_t *a = begin_full_node(world, 0, "one"), *b;
    int i;

    lti_refresh_turn(a->engine, 0);
    for (i = 0; i < 40; i++) {
        const char *key = apr_psprintf(world->pool, "course%010d", i);

        launch(a, key, "campus", ROSTER);
        roster_is(world, "ann bob", NULL, NULL);
        next_second(a);
    }
    a->events->nelts = 0;
    b = begin_full_node(world, 1, "one");
    ticking_node = b;
    deciding_node = a;
    ticks = decided_at_tick = known_at_tick = 0;
    loaded_at_known = -1;
    b->options.now = ticking_clock;
    create_engine(b);
    lti_refresh_turn(b->engine, 0);
    assert_int_equal(lti_refresh_is_loaded(b->engine), 1);
    assert_true(ticks > 40);
    assert_true(decided_at_tick > 0);
    assert_true(known_at_tick > decided_at_tick);
    assert_in_range(known_at_tick - decided_at_tick, 1, 6); /* 300 ms each */
    assert_int_equal(loaded_at_known, 0);
}

/* --- nodes -------------------------------------------------------------------------------------------------------------------- */

static long seen_at(node_t *node, const char *name)
{
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    apr_time_t at = 0;

    assert_int_equal(apr_dbd_select(node->world->driver, node->world->pool, node->handle, &results,
                                    apr_psprintf(node->world->pool, "SELECT seen_at FROM lti_node WHERE node = '%s'", name), 0),
                     0);
    while (apr_dbd_get_row(node->world->driver, node->world->pool, results, &row, -1) == 0)
        at = apr_atoi64(apr_dbd_get_entry(node->world->driver, row, 0));
    return at == 0 ? -1 : (long)apr_time_sec(at - START);
}

static void a_node_tells_of_itself_at_its_start_and_each_minute(void **state)
{
    world_t *world = *state;
    node_t *node = begin_full_node(world, 0, "one");
    int i;

    next_second(node);
    assert_int_equal(seen_at(node, "host-a:1"), 1);
    for (i = 0; i < 59; i++)
        next_second(node);
    assert_int_equal(seen_at(node, "host-a:1"), 1);
    next_second(node);
    assert_int_equal(seen_at(node, "host-a:1"), 61);
    /* Whoever took its row away does not silence it for long. */
    sql(node, "DELETE FROM lti_node");
    for (i = 0; i < 60; i++)
        next_second(node);
    assert_int_equal(seen_at(node, "host-a:1"), 121);
}

static void keys_of_all_nodes_are_served_within_a_second(void **state)
{
    world_t *world = *state;
    node_t *a = begin_full_node(world, 0, "one"), *b;
    const char *own = APR_ARRAY_IDX(world_keys->keys, 0, lti_key_t *)->kid;
    lti_err_t err = {0};

    assert_string_equal(lti_toolkeys_union(a->options.keycache, world_keys, world->pool), world_keys->jwks);
    next_second(a);
    assert_string_equal(lti_toolkeys_union(a->options.keycache, world_keys, world->pool), world_keys->jwks);
    b = begin_full_node(world, 1, "one");
    assert_ok(lti_db_node_write(b->db, "host-c:3", OTHER_KEYS, "one", world_clock, world->pool, &err), err);
    next_second(a);
    assert_true(serves(a, "\"theirs\""));
    assert_true(serves(a, own));
    next_second(b);
    assert_true(serves(b, "\"theirs\""));
    /* Nothing usable, nothing served; and nobody stumbles over it. */
    assert_ok(lti_db_node_write(b->db, "host-c:3", "{\"keys\":[", "one", world_clock, world->pool, &err), err);
    next_second(a);
    assert_string_equal(lti_toolkeys_union(a->options.keycache, world_keys, world->pool), world_keys->jwks);
    assert_ok(lti_db_node_write(b->db, "host-c:3", OTHER_KEYS, "one", world_clock, world->pool, &err), err);
    next_second(a);
    assert_true(serves(a, "\"theirs\""));
    /* It was not seen for seven days. */
    world_clock += HOURS(24 * 7) - MINUTES(1);
    next_second(a);
    assert_true(serves(a, "\"theirs\""));
    world_clock += MINUTES(2);
    next_second(a);
    assert_false(serves(a, "\"theirs\""));
    assert_true(serves(a, own));
    assert_int_equal(a->events->nelts, 0);
}

static void a_node_with_another_secret_is_named_once(void **state)
{
    world_t *world = *state;
    node_t *node = begin_full_node(world, 0, "one old");
    static const struct {
        const char *theirs;
        int agree;
    } cases[] = {{"one old", 1}, {"one", 1}, {"old one", 1}, {"new old one", 0}, {"old", 0},    {"two", 0},
                 {"one two", 1}, {"on", 0},  {"", 0},        {"oneold", 0},      {"old two", 0}};
    lti_err_t err = {0};
    apr_size_t i;

    next_second(node);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int agree = node->events->nelts;

        assert_ok(lti_db_node_write(node->db, "host-b:2", "{}", cases[i].theirs, world_clock, world->pool, &err), err);
        next_second(node);
        agree = node->events->nelts == agree;
        if (agree != cases[i].agree)
            fail_msg("%s", cases[i].theirs);
        if (!agree) {
            assert_string_equal(only_event(node, LTI_EVENT_SECRET_DIFFERS, LTI_E_CONFIG).text, "node host-b:2");
            next_second(node);
            assert_int_equal(node->events->nelts, 0);
            assert_ok(lti_db_node_write(node->db, "host-b:2", "{}", "one", world_clock, world->pool, &err), err);
            next_second(node);
        }
        assert_int_equal(node->events->nelts, 0);
    }
    /* One that has not been seen for ten minutes does not serve. */
    assert_ok(lti_db_node_write(node->db, "host-b:2", "{}", "two", world_clock - MINUTES(10), world->pool, &err), err);
    next_second(node);
    assert_int_equal(node->events->nelts, 0);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(what_is_decided_on_one_node_all_know_within_a_second),
        WORLD_TEST(it_holds_where_rosters_are_not_fetched_at_all),
        WORLD_TEST(what_is_written_by_hand_is_read_as_well),
        WORLD_TEST(a_database_that_is_away_leaves_everything_as_it_was),
        WORLD_TEST(what_does_not_fit_is_said_once),
        WORLD_TEST(nobody_waits_until_all_rosters_are_published),
        WORLD_TEST(a_node_tells_of_itself_at_its_start_and_each_minute),
        WORLD_TEST(keys_of_all_nodes_are_served_within_a_second),
        WORLD_TEST(a_node_with_another_secret_is_named_once),
    };

    return cmocka_run_group_tests(tests, world_group_setup, world_group_teardown);
}
