/* SPDX-License-Identifier: Apache-2.0 */
/* Who may: deployments, ended sessions, nodes, launches of LTI 1.1: on SQLite, and on the server that LTI_TEST_DB names. */
#include "test_db_world.h"

#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static apr_int64_t number(world_t *w)
{
    apr_int64_t now = -1;

    assert_ok(lti_db_admission_number(&now, w->b->db, w->pool, &w->err), w->err);
    return now;
}

static lti_deployment_status_t seen(world_t *w, const char *deployment, apr_time_t now)
{
    lti_deployment_status_t status = (lti_deployment_status_t)77;

    assert_ok(lti_db_deployment_seen(&status, w->a->db, "campus", deployment, "Biology", now, w->pool, &w->err), w->err);
    return status;
}

static void decide(world_t *w, const char *deployment, lti_deployment_status_t status, apr_time_t now)
{
    assert_ok(lti_db_deployment_decide(w->a->db, "campus", deployment, status, now, w->pool, &w->err), w->err);
}

/* What lti_db_admission_read() says, for a course and a person that nobody ended unless they are named. */
static void assert_read(world_t *w, const char *deployment, const char *course, const char *user, lti_deployment_status_t status,
                        apr_time_t ended_at)
{
    lti_deployment_status_t read = (lti_deployment_status_t)77;
    apr_time_t at = 77;

    assert_ok(lti_db_admission_read(&read, &at, w->b->db, "campus", deployment, course, user, w->pool, &w->err), w->err);
    assert_int_equal(read, status);
    assert_int_equal(at, ended_at);
}

/* --- deployments ----------------------------------------------------------------------------------------------------- */

static void a_new_deployment_waits_until_somebody_decides(void **state)
{
    world_t *w = *state;

    assert_read(w, "1", NULL, NULL, LTI_DEPLOYMENT_UNSEEN, 0);
    assert_int_equal(seen(w, "1", NOW), LTI_DEPLOYMENT_WAITING);
    assert_int_equal(number(w), 1);
    assert_string_equal(ask(w->a, "SELECT context_title FROM lti_deployment"), "Biology");
    assert_read(w, "1", NULL, NULL, LTI_DEPLOYMENT_WAITING, 0);
    /* Seen again: written at most once a minute, and no news to the nodes. */
    assert_int_equal(seen(w, "1", NOW + 59 * SECOND), LTI_DEPLOYMENT_WAITING);
    assert_int_equal(ask_number(w->a, "SELECT seen_at FROM lti_deployment"), NOW);
    assert_int_equal(seen(w, "1", NOW + 60 * SECOND), LTI_DEPLOYMENT_WAITING);
    assert_int_equal(ask_number(w->a, "SELECT seen_at FROM lti_deployment"), NOW + 60 * SECOND);
    assert_int_equal(ask_number(w->a, "SELECT first_seen_at FROM lti_deployment"), NOW);
    /* A clock that was set back. */
    assert_int_equal(seen(w, "1", NOW - 60 * SECOND), LTI_DEPLOYMENT_WAITING);
    assert_int_equal(ask_number(w->a, "SELECT seen_at FROM lti_deployment"), NOW - 60 * SECOND);
    assert_int_equal(number(w), 1);

    decide(w, "1", LTI_DEPLOYMENT_ACCEPTED, NOW + HOUR);
    assert_int_equal(number(w), 2);
    assert_int_equal(seen(w, "1", NOW + HOUR), LTI_DEPLOYMENT_ACCEPTED);
    assert_read(w, "1", "course", "user", LTI_DEPLOYMENT_ACCEPTED, 0);
    decide(w, "1", LTI_DEPLOYMENT_WITHDRAWN, NOW + 2 * HOUR);
    assert_int_equal(number(w), 3);
    assert_int_equal(seen(w, "1", NOW + 2 * HOUR), LTI_DEPLOYMENT_WITHDRAWN);
    assert_read(w, "1", "course", "user", LTI_DEPLOYMENT_WITHDRAWN, NOW + 2 * HOUR);
    /* Accepted again: what was ended stays ended. */
    decide(w, "1", LTI_DEPLOYMENT_ACCEPTED, NOW + 3 * HOUR);
    assert_read(w, "1", "course", "user", LTI_DEPLOYMENT_ACCEPTED, NOW + 2 * HOUR);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_deployment"), 1);
    assert_int_equal(ask_number(w->a, "SELECT first_seen_at FROM lti_deployment"), NOW);
}

static void a_deployment_may_be_decided_about_before_it_is_seen(void **state)
{
    world_t *w = *state;

    decide(w, "new", LTI_DEPLOYMENT_ACCEPTED, NOW);
    decide(w, "bad", LTI_DEPLOYMENT_WITHDRAWN, NOW);
    assert_int_equal(seen(w, "new", NOW), LTI_DEPLOYMENT_ACCEPTED);
    assert_int_equal(seen(w, "bad", NOW), LTI_DEPLOYMENT_WITHDRAWN);
    assert_int_equal(number(w), 2);
    assert_code(lti_db_deployment_decide(w->a->db, "campus", "1", LTI_DEPLOYMENT_WAITING, NOW, w->pool, &w->err), w->err,
                LTI_E_INTERNAL);
    assert_code(lti_db_deployment_decide(w->a->db, "campus", "1", LTI_DEPLOYMENT_UNSEEN, NOW, w->pool, &w->err), w->err,
                LTI_E_INTERNAL);
    assert_int_equal(number(w), 2);
}

/* Two ids that a database may take for one are two deployments, and neither is let in for the other. */
static void deployment_ids_are_compared_byte_by_byte(void **state)
{
    static const char *const others[] = {"A", "a ", "\xc3\xa1", "a%", "_"};
    world_t *w = *state;
    lti_deployment_status_t status;
    apr_size_t i;

    decide(w, "a", LTI_DEPLOYMENT_ACCEPTED, NOW);
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_read(w, others[i], NULL, NULL, LTI_DEPLOYMENT_UNSEEN, 0);
        assert_int_equal(seen(w, others[i], NOW), LTI_DEPLOYMENT_WAITING);
    }
    assert_read(w, "a", NULL, NULL, LTI_DEPLOYMENT_ACCEPTED, 0);
    decide(w, "a ", LTI_DEPLOYMENT_WITHDRAWN, NOW);
    assert_int_equal(seen(w, "a", NOW), LTI_DEPLOYMENT_ACCEPTED);
    /* Nor is another platform's deployment of that id. */
    assert_ok(lti_db_deployment_seen(&status, w->a->db, "school", "a", NULL, NOW, w->pool, &w->err), w->err);
    assert_int_equal(status, LTI_DEPLOYMENT_WAITING);
}

static void at_most_a_hundred_wait(void **state)
{
    world_t *w = *state;
    int i;

    for (i = 0; i < LTI_DB_WAITING_MAX; i++)
        assert_int_equal(seen(w, apr_psprintf(w->pool, "d%03d", i), NOW), LTI_DEPLOYMENT_WAITING);
    assert_int_equal(seen(w, "one too many", NOW), LTI_DEPLOYMENT_UNSEEN);
    assert_int_equal(seen(w, "d000", NOW), LTI_DEPLOYMENT_WAITING);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_deployment"), LTI_DB_WAITING_MAX);
    assert_int_equal(number(w), LTI_DB_WAITING_MAX);
    /* Those that were decided about do not count. */
    decide(w, "d000", LTI_DEPLOYMENT_ACCEPTED, NOW);
    assert_int_equal(seen(w, "one too many", NOW), LTI_DEPLOYMENT_WAITING);
    assert_int_equal(seen(w, "another", NOW), LTI_DEPLOYMENT_UNSEEN);
}

static apr_status_t see_one(racer_t *racer)
{
    lti_deployment_status_t status = (lti_deployment_status_t)77;
    apr_status_t rv = lti_db_deployment_seen(&status, racer->conn->db, "campus", "1", "Biology", NOW, racer->pool, &racer->err);

    return rv == APR_SUCCESS && status != LTI_DEPLOYMENT_WAITING ? APR_EGENERAL : rv;
}

static void first_launches_at_once_make_one_row(void **state)
{
    racer_t racers[RACERS];
    world_t *w = *state;
    int i;

    race(racers, w, see_one);
    for (i = 0; i < RACERS; i++)
        assert_ok(racers[i].rv, racers[i].err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_deployment"), 1);
}

typedef struct listing_t {
    world_t *w;
    int count, stop_at;
    char text[4000];
} listing_t;

static apr_status_t list_deployment(void *baton, const char *platform, const char *deployment_id, lti_deployment_status_t status,
                                    apr_time_t ended_at, apr_time_t first_seen_at, apr_time_t seen_at, const char *context_title,
                                    lti_err_t *err)
{
    listing_t *listing = baton;
    size_t used = strlen(listing->text);

    if (++listing->count == listing->stop_at)
        return lti_fail(err, LTI_E_SNAPSHOT_FULL, APR_ENOSPC, "enough");
    apr_snprintf(listing->text + used, sizeof(listing->text) - used, "%s/%s %d %d %d %d %.40s\n", platform, deployment_id,
                 (int)status, ended_at != 0 ? (int)apr_time_sec(ended_at - NOW) : -1, (int)apr_time_sec(first_seen_at - NOW),
                 (int)apr_time_sec(seen_at - NOW), context_title != NULL ? context_title : "NULL");
    return APR_SUCCESS;
}

static void deployments_come_back_as_they_are(void **state)
{
    world_t *w = *state;
    listing_t listing = {.w = w};
    lti_deployment_status_t status;
    char *title = apr_pcalloc(w->pool, 1500);

    seen(w, "b", NOW);
    seen(w, "b", NOW + HOUR);
    decide(w, "a", LTI_DEPLOYMENT_ACCEPTED, NOW + SECOND);
    decide(w, "c", LTI_DEPLOYMENT_WITHDRAWN, NOW + 2 * SECOND);
    assert_ok(lti_db_deployment_seen(&status, w->a->db, "arts", "z", NULL, NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_deployments_each(w->b->db, list_deployment, &listing, w->pool, &w->err), w->err);
    assert_string_equal(listing.text,
                        "arts/z 0 -1 0 0 NULL\ncampus/a 1 -1 1 1 NULL\ncampus/b 0 -1 0 3600 Biology\ncampus/c 2 2 2 2 NULL\n");
    listing = (listing_t){.w = w, .stop_at = 2};
    assert_code(lti_db_deployments_each(w->b->db, list_deployment, &listing, w->pool, &w->err), w->err, LTI_E_SNAPSHOT_FULL);
    assert_int_equal(listing.count, 2);
    /* A long title is cut at the end of a character. */
    memset(title, 'x', 1023);
    strcpy(title + 1023, "\xc3\xa9tat");
    assert_ok(lti_db_deployment_seen(&status, w->a->db, "campus", "long", title, NOW, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT LENGTH(context_title) FROM lti_deployment WHERE deployment_id = 'long'"), 1023);
}

/* --- ended sessions -------------------------------------------------------------------------------------------------- */

static void end(world_t *w, const char *user, const char *course, const char *deployment, apr_time_t now)
{
    assert_ok(lti_db_sessions_end(w->a->db, "campus", user, course, deployment, now, now + 8 * HOUR, w->pool, &w->err), w->err);
}

static apr_status_t list_ended(void *baton, const char *platform, const char *user_id, const char *course_key,
                               const char *deployment_id, apr_time_t ended_at, lti_err_t *err)
{
    listing_t *listing = baton;
    size_t used = strlen(listing->text);

    if (++listing->count == listing->stop_at)
        return lti_fail(err, LTI_E_SNAPSHOT_FULL, APR_ENOSPC, "enough");
    if (used < sizeof(listing->text) - 100)
        apr_snprintf(listing->text + used, sizeof(listing->text) - used, "%s %s %s %s %d\n", platform, user_id ? user_id : "-",
                     course_key ? course_key : "-", deployment_id ? deployment_id : "-", (int)apr_time_sec(ended_at - NOW));
    return APR_SUCCESS;
}

/* Invariant 11. */
static void sessions_end_of_whom_they_were_ended(void **state)
{
    world_t *w = *state;
    listing_t listing = {.w = w};

    end(w, "anna", NULL, NULL, NOW + 1 * SECOND);
    end(w, "bert", "c1", NULL, NOW + 2 * SECOND);
    end(w, NULL, "c3", NULL, NOW + 3 * SECOND);
    end(w, "", "", "d4", NOW + 4 * SECOND);
    end(w, "anna", NULL, NULL, NOW + 5 * SECOND);
    assert_int_equal(number(w), 5);
    assert_read(w, "d", "c", "anna", LTI_DEPLOYMENT_UNSEEN, NOW + 5 * SECOND);
    assert_read(w, "d", NULL, "anna", LTI_DEPLOYMENT_UNSEEN, NOW + 5 * SECOND);
    assert_read(w, "d", "c1", "bert", LTI_DEPLOYMENT_UNSEEN, NOW + 2 * SECOND);
    assert_read(w, "d", "c9", "bert", LTI_DEPLOYMENT_UNSEEN, 0);
    assert_read(w, "d", NULL, "bert", LTI_DEPLOYMENT_UNSEEN, 0);
    assert_read(w, "d", "c3", "carl", LTI_DEPLOYMENT_UNSEEN, NOW + 3 * SECOND);
    assert_read(w, "d4", "c9", "carl", LTI_DEPLOYMENT_UNSEEN, NOW + 4 * SECOND);
    assert_read(w, "d4", NULL, NULL, LTI_DEPLOYMENT_UNSEEN, NOW + 4 * SECOND);
    assert_read(w, "d", "c9", "carl", LTI_DEPLOYMENT_UNSEEN, 0);
    assert_read(w, "d", "c9", "Anna", LTI_DEPLOYMENT_UNSEEN, 0);
    assert_read(w, "d", "c9", "anna ", LTI_DEPLOYMENT_UNSEEN, 0);
    assert_read(w, NULL, NULL, NULL, LTI_DEPLOYMENT_UNSEEN, 0);
    decide(w, "d4", LTI_DEPLOYMENT_WITHDRAWN, NOW);
    assert_read(w, "d4", "c9", "carl", LTI_DEPLOYMENT_WITHDRAWN, NOW + 4 * SECOND);
    assert_ok(lti_db_ended_each(w->b->db, list_ended, &listing, w->pool, &w->err), w->err);
    assert_string_equal(listing.text,
                        "campus anna - - 5\ncampus - - d4 4\ncampus - c3 - 3\ncampus bert c1 - 2\ncampus anna - - 1\n");
    listing = (listing_t){.w = w, .stop_at = 3};
    assert_code(lti_db_ended_each(w->b->db, list_ended, &listing, w->pool, &w->err), w->err, LTI_E_SNAPSHOT_FULL);
    assert_int_equal(listing.count, 3);
}

static void an_empty_field_ends_nobodys_sessions(void **state)
{
    static const struct {
        const char *user, *course, *deployment;
    } cases[] = {{NULL, NULL, NULL}, {"", "", ""}, {"u", NULL, "d"}, {NULL, "c", "d"}, {"u", "c", "d"}};
    world_t *w = *state;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_code(lti_db_sessions_end(w->a->db, "campus", cases[i].user, cases[i].course, cases[i].deployment, NOW, NOW + HOUR,
                                        w->pool, &w->err),
                    w->err, LTI_E_INTERNAL);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_revocation"), 0);
    assert_int_equal(number(w), 0);
}

/* The statements of docs/database.md, as an administrator types them on each server; the last one counts the number up. */
static void what_is_written_by_hand_counts_as_well(void **state)
{
    world_t *w = *state;
    const char *now = is_kind(w, "sqlite3") ? "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
                      : is_kind(w, "pgsql") ? "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
                                            : "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";
    static const char count[] = "UPDATE lti_schema SET value = value + 1 WHERE name = 'admission'";
    lti_deployment_status_t status;
    apr_time_t at, before = apr_time_now() - SECOND;

    seen(w, "1", NOW);
    raw(w->a, "UPDATE lti_deployment SET status = 1 WHERE platform = 'campus' AND deployment_id = '1'");
    raw(w->a, count);
    assert_int_equal(number(w), 2);
    assert_int_equal(seen(w, "1", NOW), LTI_DEPLOYMENT_ACCEPTED);
    raw(w->a, "INSERT INTO lti_deployment (platform, deployment_id, status) VALUES ('campus', '2', 1)");
    assert_int_equal(seen(w, "2", NOW), LTI_DEPLOYMENT_ACCEPTED);
    raw(w->a,
        apr_psprintf(w->pool,
                     "UPDATE lti_deployment SET status = 2, ended_at = %s WHERE platform = 'campus' AND deployment_id = '1'", now));
    assert_ok(lti_db_admission_read(&status, &at, w->b->db, "campus", "1", NULL, NULL, w->pool, &w->err), w->err);
    assert_int_equal(status, LTI_DEPLOYMENT_WITHDRAWN);
    assert_in_range(at, before, apr_time_now() + SECOND);

    raw(w->a,
        apr_psprintf(
            w->pool,
            "INSERT INTO lti_revocation (platform, user_id, ended_at, expires_at) VALUES ('campus', 'anna', %s, %s + 604800000000)",
            now, now));
    raw(w->a, apr_psprintf(w->pool,
                           "INSERT INTO lti_revocation (platform, course_key, ended_at, expires_at) VALUES ('campus', 'c3', %s, %s "
                           "+ 604800000000)",
                           now, now));
    raw(w->a, apr_psprintf(w->pool,
                           "INSERT INTO lti_revocation (platform, deployment_id, ended_at, expires_at) VALUES ('campus', 'd4', %s, "
                           "%s + 604800000000)",
                           now, now));
    assert_ok(lti_db_admission_read(&status, &at, w->b->db, "campus", "d", "c", "anna", w->pool, &w->err), w->err);
    assert_in_range(at, before, apr_time_now() + SECOND);
    assert_ok(lti_db_admission_read(&status, &at, w->b->db, "campus", "d", "c3", "x", w->pool, &w->err), w->err);
    assert_in_range(at, before, apr_time_now() + SECOND);
    assert_ok(lti_db_admission_read(&status, &at, w->b->db, "campus", "d4", "c", "x", w->pool, &w->err), w->err);
    assert_in_range(at, before, apr_time_now() + SECOND);
    assert_read(w, "d", "c", "x", LTI_DEPLOYMENT_UNSEEN, 0);
    /* Both named: whose session has both. None: the whole platform. */
    raw(w->a, "INSERT INTO lti_revocation (platform, user_id, deployment_id, ended_at, expires_at) VALUES ('campus', 'emil', 'd7', "
              "7, 8)");
    assert_read(w, "d7", NULL, "emil", LTI_DEPLOYMENT_UNSEEN, 7);
    assert_read(w, "d7", NULL, "x", LTI_DEPLOYMENT_UNSEEN, 0);
    assert_read(w, "d", NULL, "emil", LTI_DEPLOYMENT_UNSEEN, 0);
    raw(w->a, "INSERT INTO lti_revocation (platform, ended_at, expires_at) VALUES ('campus', 6, 8)");
    assert_read(w, "d", "c", "x", LTI_DEPLOYMENT_UNSEEN, 6);
    assert_read(w, NULL, NULL, NULL, LTI_DEPLOYMENT_UNSEEN, 6);
}

/* More rows than anybody should have: the newest are told one by one, those before widened to their platforms; none is lost. */
static void older_endings_are_widened_not_lost(void **state)
{
    world_t *w = *state;
    listing_t listing = {.w = w};
    char *values = apr_palloc(w->pool, 100 * 1000), *at;
    int i, j;

    for (i = 0; i < LTI_DB_ENDED_MAX + 1000; i += 1000) {
        at = values;
        for (j = 0; j < 1000; j++)
            at += apr_snprintf(at, 100, "%s('campus', 'u%d', %d, 9)", j > 0 ? ", " : "", i + j, 1000 + i + j);
        raw(w->a,
            apr_pstrcat(w->pool, "INSERT INTO lti_revocation (platform, user_id, ended_at, expires_at) VALUES ", values, NULL));
    }
    raw(w->a, "INSERT INTO lti_revocation (platform, user_id, ended_at, expires_at) VALUES ('school', 'old', 5, 9)");
    assert_ok(lti_db_ended_each(w->b->db, list_ended, &listing, w->pool, &w->err), w->err);
    assert_int_equal(listing.count, LTI_DB_ENDED_MAX + 2);
}

/* --- nodes ----------------------------------------------------------------------------------------------------------- */

static apr_status_t list_node(void *baton, const char *node, const char *jwks, const char *fingerprint, apr_time_t seen_at,
                              lti_err_t *err)
{
    listing_t *listing = baton;
    size_t used = strlen(listing->text);

    (void)err;
    listing->count++;
    apr_snprintf(listing->text + used, sizeof(listing->text) - used, "%s %s %s %d\n", node, jwks, fingerprint,
                 (int)apr_time_sec(seen_at - NOW));
    return APR_SUCCESS;
}

static void tell(world_t *w, const char *node, const char *jwks, const char *fingerprint, apr_time_t now)
{
    assert_ok(lti_db_node_write(w->a->db, node, jwks, fingerprint, now, w->pool, &w->err), w->err);
}

static void a_node_writes_what_differs_at_once_and_that_it_lives_each_minute(void **state)
{
    world_t *w = *state;
    listing_t listing = {.w = w};

    tell(w, "a", "{1}", "f1", NOW);
    assert_int_equal(number(w), 1);
    tell(w, "a", "{1}", "f1", NOW + 59 * SECOND);
    assert_int_equal(ask_number(w->b, "SELECT seen_at FROM lti_node"), NOW);
    tell(w, "a", "{1}", "f1", NOW + 60 * SECOND);
    assert_int_equal(ask_number(w->b, "SELECT seen_at FROM lti_node"), NOW + 60 * SECOND);
    assert_int_equal(number(w), 1);
    tell(w, "a", "{2}", "f1", NOW + 61 * SECOND);
    assert_int_equal(number(w), 2);
    tell(w, "a", "{2}", "f2", NOW + 62 * SECOND);
    assert_int_equal(number(w), 3);
    tell(w, "b", "{3}", "f3", NOW + 90 * SECOND);
    tell(w, "c", "{4}", "f4", NOW + 10 * SECOND);
    assert_ok(lti_db_nodes_each(w->b->db, NOW + 62 * SECOND, list_node, &listing, w->pool, &w->err), w->err);
    assert_string_equal(listing.text, "b {3} f3 90\na {2} f2 62\n");
}

/* --- launches of LTI 1.1 ---------------------------------------------------------------------------------------------- */

static void old(world_t *w, const char *key, const char *instance, const char *product, const char *title, apr_time_t now)
{
    assert_ok(lti_db_old_launch_seen(w->a->db, key, instance, product, title, now, w->pool, &w->err), w->err);
}

static void an_old_launch_is_remembered_once(void **state)
{
    world_t *w = *state;

    old(w, "key", "lms.example.org", "moodle", "Biology", NOW);
    old(w, "key", "lms.example.org", "moodle", "Physics", NOW + 59 * SECOND);
    assert_string_equal(ask(w->a, "SELECT context_title FROM lti_old_launch"), "Biology");
    old(w, "key", "lms.example.org", "canvas", "Physics", NOW + 60 * SECOND);
    assert_string_equal(ask(w->a, "SELECT context_title FROM lti_old_launch"), "Physics");
    assert_string_equal(ask(w->a, "SELECT product FROM lti_old_launch"), "canvas");
    assert_int_equal(ask_number(w->a, "SELECT first_seen_at FROM lti_old_launch"), NOW);
    assert_int_equal(ask_number(w->a, "SELECT seen_at FROM lti_old_launch"), NOW + 60 * SECOND);
    old(w, "key", NULL, NULL, NULL, NOW);
    old(w, NULL, NULL, NULL, NULL, NOW);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_old_launch"), 3);
}

/* Nobody vouches for a word of it: whatever bytes it holds, they are stored or shown as question marks, and nothing fails. */
static void odd_texts_of_old_launches_are_stored_clean(void **state)
{
    static const struct {
        const char *text, *stored;
    } cases[] = {
        {"plain", "plain"},     {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xff\xfe", "??"},     {"a\nb\x7f", "a?b?"},
        {"\xc3", "?"},          {"'; DROP TABLE lti_node; --", "'; DROP TABLE lti_node; --"},
        {"100%s%n", "100%s%n"}, {"\xed\xa0\x80x", "???x"},
        {"\xc2\x85", "??"},
    };
    world_t *w = *state;
    char *long_text = apr_pcalloc(w->pool, 5001);
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        raw(w->a, "DELETE FROM lti_old_launch");
        old(w, cases[i].text, cases[i].text, cases[i].text, cases[i].text, NOW);
        assert_string_equal(ask(w->a, "SELECT consumer_key FROM lti_old_launch"), cases[i].stored);
        assert_string_equal(ask(w->a, "SELECT instance FROM lti_old_launch"), cases[i].stored);
        assert_string_equal(ask(w->a, "SELECT product FROM lti_old_launch"), cases[i].stored);
        assert_string_equal(ask(w->a, "SELECT context_title FROM lti_old_launch"), cases[i].stored);
    }
    memset(long_text, 'x', 5000);
    raw(w->a, "DELETE FROM lti_old_launch");
    old(w, long_text, long_text, long_text, long_text, NOW);
    old(w, long_text, long_text, long_text, long_text, NOW + HOUR);
    assert_int_equal(ask_number(w->a, "SELECT LENGTH(consumer_key) + LENGTH(instance) + LENGTH(product) FROM lti_old_launch"),
                     3 * 255);
    assert_int_equal(ask_number(w->a, "SELECT LENGTH(context_title) FROM lti_old_launch"), 1024);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_node"), 0);
}

/* A flood writes a hundred rows, and then at most as many in an hour. */
static void at_most_a_hundred_old_launches_are_remembered(void **state)
{
    world_t *w = *state;
    int i;

    for (i = 0; i < 130; i++)
        old(w, apr_psprintf(w->pool, "k%03d", i), "x", NULL, NULL, NOW + i * SECOND);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_old_launch"), LTI_DB_OLD_LAUNCHES_MAX);
    assert_string_equal(ask(w->a, "SELECT MAX(consumer_key) FROM lti_old_launch"), "k099");
    old(w, "new", "x", NULL, NULL, NOW + HOUR - SECOND);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_old_launch WHERE consumer_key = 'new'"), 0);
    /* The one that was not seen for longest, an hour at least, makes room. */
    old(w, "k000", "x", NULL, NULL, NOW + HOUR);
    old(w, "new", "x", NULL, NULL, NOW + HOUR + SECOND);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_old_launch WHERE consumer_key = 'new'"), 1);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_old_launch WHERE consumer_key = 'k000'"), 1);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_old_launch WHERE consumer_key = 'k001'"), 0);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_old_launch"), LTI_DB_OLD_LAUNCHES_MAX);
}

/* --- what is past, and faults ------------------------------------------------------------------------------------------ */

static void the_purge_takes_what_is_past_and_nothing_else(void **state)
{
    world_t *w = *state;

    seen(w, "old", NOW - 30 * DAY - SECOND);
    seen(w, "young", NOW - 30 * DAY + SECOND);
    decide(w, "accepted", LTI_DEPLOYMENT_ACCEPTED, NOW - 900 * DAY);
    decide(w, "withdrawn", LTI_DEPLOYMENT_WITHDRAWN, NOW - 900 * DAY);
    end(w, "past", NULL, NULL, NOW - 8 * HOUR - SECOND);
    end(w, "open", NULL, NULL, NOW - 8 * HOUR + SECOND);
    tell(w, "gone", "{}", "f", NOW - 7 * DAY - SECOND);
    tell(w, "there", "{}", "f", NOW - 7 * DAY + SECOND);
    old(w, "past", NULL, NULL, NULL, NOW - 90 * DAY - SECOND);
    old(w, "open", NULL, NULL, NULL, NOW - 90 * DAY + SECOND);
    assert_ok(lti_db_purge(w->a->db, NOW, NOW - HOUR, NOW - 30 * DAY, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_deployment"), 3);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_deployment WHERE deployment_id = 'old'"), 0);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_revocation"), 1);
    assert_string_equal(ask(w->a, "SELECT user_id FROM lti_revocation"), "open");
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_node"), 1);
    assert_string_equal(ask(w->a, "SELECT node FROM lti_node"), "there");
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_old_launch"), 1);
    assert_string_equal(ask(w->a, "SELECT consumer_key FROM lti_old_launch"), "open");
}

/* A database that cannot answer is a fault, never "accepted", "not ended" or "no rows". */
static void a_fault_is_no_answer(void **state)
{
    world_t *w = *state;
    lti_deployment_status_t status = (lti_deployment_status_t)77;
    apr_time_t at = 77;
    listing_t listing = {.w = w};

    raw(w->a, "DROP TABLE lti_deployment");
    assert_code(lti_db_deployment_seen(&status, w->a->db, "campus", "1", NULL, NOW, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_code(lti_db_deployment_decide(w->a->db, "campus", "1", LTI_DEPLOYMENT_ACCEPTED, NOW, w->pool, &w->err), w->err,
                LTI_E_STORE);
    assert_code(lti_db_deployments_each(w->a->db, list_deployment, &listing, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_code(lti_db_admission_read(&status, &at, w->a->db, "campus", "1", "c", "u", w->pool, &w->err), w->err, LTI_E_STORE);
    raw(w->a, "DROP TABLE lti_revocation");
    assert_code(lti_db_sessions_end(w->a->db, "campus", "u", NULL, NULL, NOW, NOW, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_code(lti_db_ended_each(w->a->db, list_ended, &listing, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_code(lti_db_admission_read(&status, &at, w->a->db, "campus", NULL, "c", "u", w->pool, &w->err), w->err, LTI_E_STORE);
    raw(w->a, "DROP TABLE lti_node");
    assert_code(lti_db_node_write(w->a->db, "a", "{}", "f", NOW, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_code(lti_db_nodes_each(w->a->db, 0, list_node, &listing, w->pool, &w->err), w->err, LTI_E_STORE);
    raw(w->a, "DROP TABLE lti_old_launch");
    assert_code(lti_db_old_launch_seen(w->a->db, "k", NULL, NULL, NULL, NOW, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_code(lti_db_purge(w->a->db, NOW, NOW, NOW, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_int_equal(status, 77);
    assert_int_equal(at, 77);
    assert_int_equal(listing.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_new_deployment_waits_until_somebody_decides),
        WORLD_TEST(a_deployment_may_be_decided_about_before_it_is_seen),
        WORLD_TEST(deployment_ids_are_compared_byte_by_byte),
        WORLD_TEST(at_most_a_hundred_wait),
        WORLD_TEST(first_launches_at_once_make_one_row),
        WORLD_TEST(deployments_come_back_as_they_are),
        WORLD_TEST(sessions_end_of_whom_they_were_ended),
        WORLD_TEST(an_empty_field_ends_nobodys_sessions),
        WORLD_TEST(what_is_written_by_hand_counts_as_well),
        WORLD_TEST(older_endings_are_widened_not_lost),
        WORLD_TEST(a_node_writes_what_differs_at_once_and_that_it_lives_each_minute),
        WORLD_TEST(an_old_launch_is_remembered_once),
        WORLD_TEST(odd_texts_of_old_launches_are_stored_clean),
        WORLD_TEST(at_most_a_hundred_old_launches_are_remembered),
        WORLD_TEST(the_purge_takes_what_is_past_and_nothing_else),
        WORLD_TEST(a_fault_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
