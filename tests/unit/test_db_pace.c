/* SPDX-License-Identifier: Apache-2.0 */
/* What all nodes know of a platform, in the database: due courses by platform, pauses, access tokens. */
#include "test_db_world.h"

#define MINUTE (60 * SECOND)

/* A course of `platform` that is due at `due_at`. */
static void add_course(world_t *w, const char *key, const char *platform, apr_time_t due_at)
{
    raw(w->a,
        apr_psprintf(
            w->pool,
            "INSERT INTO lti_context (course_key, platform, issuer, client_id, deployment_id, context_id, launched_at) VALUES "
            "('%s', '%s', 'i', 'c', '1', '%s', 1)",
            key, platform, key));
    raw(w->a, apr_psprintf(
                  w->pool,
                  "INSERT INTO lti_sync (course_key, state, version, change_no, active, succeeded_at, stale_at, due_at, failures, "
                  "lease_since, lease_until, held_since, held_missing, held_accepted) VALUES ('%s', 1, 0, 0, 0, 0, 0, "
                  "%" APR_TIME_T_FMT ", 0, 0, 0, 0, 0, 0)",
                  key, due_at));
}

/* The keys of a due list, joined by blanks. */
static const char *due_keys(world_t *w, apr_time_t now, const lti_db_due_t *after, const apr_array_header_t *skip, int max)
{
    apr_array_header_t *due = NULL, *keys = apr_array_make(w->pool, 8, sizeof(const char *));
    int i;

    assert_ok(lti_db_due_each(&due, w->a->db, now, after, skip, max, w->pool, &w->err), w->err);
    for (i = 0; i < due->nelts; i++)
        APR_ARRAY_PUSH(keys, const char *) = APR_ARRAY_IDX(due, i, lti_db_due_t).course_key;
    return apr_array_pstrcat(w->pool, keys, ' ');
}

static void courses_that_are_due_come_with_their_platform_page_by_page(void **state)
{
    world_t *w = *state;
    apr_array_header_t *skip = apr_array_make(w->pool, 8, sizeof(const char *)), *due = NULL;
    lti_db_due_t after;

    add_course(w, "c", "slow", NOW - 3 * SECOND);
    add_course(w, "b", "slow", NOW - 2 * SECOND);
    add_course(w, "a", "fast", NOW - 2 * SECOND);
    add_course(w, "d", "fast", NOW);
    add_course(w, "later", "fast", NOW + 1);
    add_course(w, "never", "fast", 0);
    add_course(w, "leased", "fast", NOW - SECOND);
    assert_ok(lti_db_lease_take(w->b->db, "leased", "other", NOW, NOW + MINUTE, w->pool, &w->err), w->err);

    assert_string_equal(due_keys(w, NOW, NULL, NULL, 10), "c a b d");
    assert_string_equal(due_keys(w, NOW, NULL, NULL, 2), "c a");
    assert_ok(lti_db_due_each(&due, w->a->db, NOW, NULL, NULL, 2, w->pool, &w->err), w->err);
    after = APR_ARRAY_IDX(due, 1, lti_db_due_t);
    assert_string_equal(after.platform, "fast");
    assert_int_equal(after.due_at, NOW - 2 * SECOND);
    assert_string_equal(due_keys(w, NOW, &after, NULL, 2), "b d");
    APR_ARRAY_PUSH(skip, const char *) = "slow";
    assert_string_equal(due_keys(w, NOW, NULL, skip, 10), "a d");
    APR_ARRAY_PUSH(skip, const char *) = "fast";
    assert_string_equal(due_keys(w, NOW, NULL, skip, 10), "");
    assert_string_equal(due_keys(w, NOW + 2 * MINUTE, NULL, NULL, 10), "c a b leased d later");
}

/* 1 if some column of some row of the plan has `word`. */
static int plan_says(world_t *w, const char *sql, const char *word)
{
    const char *explain = is_kind(w, "sqlite3") ? "EXPLAIN QUERY PLAN " : "EXPLAIN ";
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    int found = 0, rows = 0, i;
    int rc = apr_dbd_select(w->a->driver, w->pool, w->a->handle, &results, apr_pstrcat(w->pool, explain, sql, NULL),
                            is_kind(w, "pgsql"));

    if (rc != 0)
        fail_msg("%s: %s", sql, apr_dbd_error(w->a->driver, w->a->handle, rc));
    while (apr_dbd_get_row(w->a->driver, w->pool, results, &row, -1) == 0) {
        rows++;
        for (i = 0; i < apr_dbd_num_cols(w->a->driver, results); i++) {
            const char *entry = apr_dbd_get_entry(w->a->driver, row, i);

            found |= entry != NULL && strstr(entry, word) != NULL;
        }
    }
    assert_int_not_equal(rows, 0);
    return found;
}

/* The cost grows with the courses that are due: they are found by an index, and their platforms by the primary key. */
static void the_due_list_is_found_by_an_index(void **state)
{
    world_t *w = *state;
    const char *sql =
        apr_psprintf(w->pool,
                     "SELECT s.due_at, s.course_key, c.platform FROM lti_sync s JOIN lti_context c ON c.course_key = s.course_key "
                     "WHERE s.due_at >= 1 AND s.due_at <= %" APR_TIME_T_FMT " AND s.state <> 0 AND (s.lease_owner IS NULL OR "
                     "s.lease_until <= 5) AND NOT (s.due_at = 1 AND s.course_key <= '') AND c.platform NOT IN ('', '') "
                     "ORDER BY s.due_at, s.course_key LIMIT 50",
                     NOW);
    int i;

    raw(w->a, "BEGIN");
    for (i = 0; i < 2000; i++)
        add_course(w, apr_psprintf(w->pool, "course%08d", i), "campus", i % 100 == 0 ? NOW - i : NOW + MINUTE + i);
    /* So small a table is read whole by PostgreSQL, and rightly. */
    for (i = 0; i < 9 && is_kind(w, "pgsql"); i++) {
        raw(w->a,
            apr_psprintf(
                w->pool,
                "INSERT INTO lti_context (course_key, platform, issuer, client_id, deployment_id, context_id, launched_at) SELECT "
                "course_key || '-%d', platform, issuer, client_id, deployment_id, context_id, launched_at FROM lti_context WHERE "
                "course_key NOT LIKE '%%-%%'",
                i));
        raw(w->a,
            apr_psprintf(
                w->pool,
                "INSERT INTO lti_sync (course_key, state, version, change_no, active, succeeded_at, stale_at, due_at, failures, "
                "lease_since, lease_until, held_since, held_missing, held_accepted) SELECT course_key || '-%d', 1, 0, 0, 0, 0, 0, "
                "due_at + 864000000000, 0, 0, 0, 0, 0, 0 FROM lti_sync WHERE course_key NOT LIKE '%%-%%'",
                i));
    }
    raw(w->a, "COMMIT");
    if (!is_kind(w, "mysql"))
        raw(w->a, "ANALYZE");
    assert_true(plan_says(w, sql, "lti_sync_by_due"));
    assert_false(plan_says(w, sql, "Seq Scan"));
    assert_false(plan_says(w, sql, "SCAN s"));
    assert_false(plan_says(w, sql, "MULTI-INDEX"));
    assert_int_equal(strlen(due_keys(w, NOW, NULL, NULL, 50)), 20 * 15 - 1);
}

/* SPEC N-48: whoever presses "update now" while a course is put off is heard. */
static void putting_off_does_not_undo_what_was_asked_for_meanwhile(void **state)
{
    world_t *w = *state;
    const char *due_at = "SELECT due_at FROM lti_sync WHERE course_key = 'a'";

    add_course(w, "a", "campus", NOW - MINUTE);
    assert_ok(lti_db_course_request(w->b->db, "a", NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_course_put_off(w->a->db, "a", "rate-limited", "HTTP 429", NOW + 9 * MINUTE, NOW, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, due_at), NOW);
    assert_ok(lti_db_lease_take(w->a->db, "a", "we", NOW + 1, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_course_request(w->b->db, "a", NOW + SECOND, w->pool, &w->err), w->err);
    assert_ok(lti_db_run_put_off(w->a->db, "a", "run", "we", "rate-limited", "HTTP 429", NOW + 9 * MINUTE, w->pool, &w->err),
              w->err);
    assert_int_equal(ask_number(w->a, due_at), NOW + SECOND);
    assert_string_equal(due_keys(w, NOW + SECOND, NULL, NULL, 9), "a");
    /* Else it is put off. */
    assert_ok(lti_db_lease_take(w->a->db, "a", "we", NOW + 2 * SECOND, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_run_put_off(w->a->db, "a", "run", "we", "rate-limited", "HTTP 429", NOW + 9 * MINUTE, w->pool, &w->err),
              w->err);
    assert_int_equal(ask_number(w->a, due_at), NOW + 9 * MINUTE);
}

/* SPEC N-48. */
static void a_course_that_was_asked_for_says_so_until_its_run_begins(void **state)
{
    world_t *w = *state;
    apr_array_header_t *due = NULL;
    int i;

    add_course(w, "a", "campus", NOW);
    assert_ok(lti_db_lease_take(w->a->db, "a", "we", NOW, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_lease_release(w->a->db, "a", "run", "we", w->pool, &w->err), w->err);
    for (i = 0; i < 2; i++) {
        assert_ok(lti_db_due_each(&due, w->a->db, NOW + SECOND, NULL, NULL, 5, w->pool, &w->err), w->err);
        assert_int_equal(due->nelts, 1);
        assert_int_equal(APR_ARRAY_IDX(due, 0, lti_db_due_t).requested, i);
        assert_ok(lti_db_course_request(w->b->db, "a", NOW + SECOND, w->pool, &w->err), w->err);
    }
    assert_ok(lti_db_lease_take(w->a->db, "a", "we", NOW + 2 * SECOND, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_lease_release(w->a->db, "a", "run", "we", w->pool, &w->err), w->err);
    assert_ok(lti_db_due_each(&due, w->a->db, NOW + 3 * SECOND, NULL, NULL, 5, w->pool, &w->err), w->err);
    assert_int_equal(APR_ARRAY_IDX(due, 0, lti_db_due_t).requested, 0);
}

static void a_course_that_is_put_off_says_why_and_has_not_failed(void **state)
{
    world_t *w = *state;

    add_course(w, "a", "campus", NOW);
    assert_ok(lti_db_course_put_off(w->a->db, "a", "rate-limited", "HTTP 429", NOW + MINUTE, NOW, w->pool, &w->err), w->err);
    assert_string_equal(due_keys(w, NOW, NULL, NULL, 10), "");
    assert_string_equal(due_keys(w, NOW + MINUTE, NULL, NULL, 10), "a");
    assert_string_equal(ask(w->a, "SELECT error_name FROM lti_sync"), "rate-limited");
    assert_string_equal(ask(w->a, "SELECT error_text FROM lti_sync"), "HTTP 429");
    assert_int_equal(ask_number(w->a, "SELECT failures FROM lti_sync"), 0);
    assert_int_equal(ask_number(w->a, "SELECT state FROM lti_sync"), 1);
    /* Not while another node runs it. */
    assert_ok(lti_db_lease_take(w->b->db, "a", "other", NOW, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_course_put_off(w->a->db, "a", "other", "other", NOW + 9 * MINUTE, NOW, w->pool, &w->err), w->err);
    assert_string_equal(ask(w->a, "SELECT error_name FROM lti_sync"), "rate-limited");
}

static void a_run_that_is_put_off_gives_its_lease_back(void **state)
{
    world_t *w = *state;

    add_course(w, "a", "campus", NOW);
    assert_ok(lti_db_lease_take(w->a->db, "a", "we", NOW, NOW + MINUTE, w->pool, &w->err), w->err);
    /* Who does not hold it changes nothing. */
    assert_ok(lti_db_run_put_off(w->b->db, "a", "run", "other", "rate-limited", "x", NOW + 5, w->pool, &w->err), w->err);
    assert_string_equal(ask(w->a, "SELECT lease_owner FROM lti_sync"), "we");
    assert_ok(lti_db_run_put_off(w->a->db, "a", "run", "we", "rate-limited", "bad \xff text", NOW + SECOND, w->pool, &w->err),
              w->err);
    assert_string_equal(due_keys(w, NOW + SECOND, NULL, NULL, 10), "a");
    assert_string_equal(ask(w->a, "SELECT error_text FROM lti_sync"), "bad ? text");
    assert_int_equal(ask_number(w->a, "SELECT failures FROM lti_sync"), 0);
}

static apr_status_t note_pause(void *baton, const char *platform, apr_time_t until, const char *error_name, const char *error_text)
{
    world_t *w = baton;

    snprintf(w->err.text, sizeof(w->err.text), "%s %" APR_TIME_T_FMT " %s %s", platform, (until - NOW) / SECOND, error_name,
             error_text);
    return APR_SUCCESS;
}

static const char *pauses(world_t *w, conn_t *conn, apr_time_t now)
{
    lti_err_t err = {0};

    w->err.text[0] = '\0';
    assert_ok(lti_db_pauses_each(conn->db, now, note_pause, w, w->pool, &err), err);
    return w->err.text;
}

static void a_pause_holds_on_all_nodes_until_its_end(void **state)
{
    world_t *w = *state;

    assert_string_equal(pauses(w, w->b, NOW), "");
    assert_ok(lti_db_pause_write(w->a->db, "campus", NOW + MINUTE, "rate-limited", "HTTP 429", w->pool, &w->err), w->err);
    assert_string_equal(pauses(w, w->b, NOW), "campus 60 rate-limited HTTP 429");
    /* A longer one counts, a shorter does not. */
    assert_ok(lti_db_pause_write(w->b->db, "campus", NOW + 2 * MINUTE, "rate-limited", "HTTP 503", w->pool, &w->err), w->err);
    assert_ok(lti_db_pause_write(w->a->db, "campus", NOW + 30 * SECOND, "rate-limited", "HTTP 429", w->pool, &w->err), w->err);
    assert_string_equal(pauses(w, w->a, NOW), "campus 120 rate-limited HTTP 503");
    assert_string_equal(pauses(w, w->a, NOW + 2 * MINUTE), "");
    assert_ok(lti_db_purge(w->a->db, NOW + 3 * MINUTE, 0, 0, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_pace"), 1);
    assert_ok(lti_db_purge(w->a->db, NOW + 1500 * MINUTE, 0, 0, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_pace"), 0);
}

static lti_db_token_t token_of(world_t *w, conn_t *conn, const char *owner, apr_time_t now)
{
    lti_db_token_t token;

    assert_ok(lti_db_token_read(&token, conn->db, "key", owner, now, w->pool, &w->err), w->err);
    return token;
}

/* SPEC T-06: single flight. */
static void one_node_asks_for_a_token_and_the_others_read_it(void **state)
{
    world_t *w = *state;
    lti_db_token_t token = token_of(w, w->a, "a", NOW);

    assert_null(token.sealed);
    assert_int_equal(token.leased, 0);
    assert_ok(lti_db_token_lease(w->a->db, "key", "a", NOW, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_token_lease(w->a->db, "key", "a", NOW, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_int_equal(lti_db_token_lease(w->b->db, "key", "b", NOW, NOW + MINUTE, w->pool, &w->err), APR_EBUSY);
    assert_int_equal(token_of(w, w->b, "b", NOW).leased, 1);
    assert_int_equal(token_of(w, w->a, "a", NOW).leased, 0);
    assert_ok(lti_db_token_write(w->a->db, "key", "SEALED", NOW + MINUTE, w->pool, &w->err), w->err);
    token = token_of(w, w->b, "b", NOW);
    assert_string_equal(token.sealed, "SEALED");
    assert_int_equal(token.expires_at, NOW + MINUTE);
    assert_int_equal(token.leased, 0);
    /* Expired: nothing is there, and somebody may ask. */
    assert_null(token_of(w, w->b, "b", NOW + MINUTE).sealed);
    assert_ok(lti_db_token_lease(w->b->db, "key", "b", NOW + MINUTE, NOW + 2 * MINUTE, w->pool, &w->err), w->err);
}

static void the_lease_of_a_node_that_died_ends_by_time(void **state)
{
    world_t *w = *state;

    assert_ok(lti_db_token_lease(w->a->db, "key", "a", NOW, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_int_equal(lti_db_token_lease(w->b->db, "key", "b", NOW + MINUTE - 1, NOW + 2 * MINUTE, w->pool, &w->err), APR_EBUSY);
    assert_ok(lti_db_token_lease(w->b->db, "key", "b", NOW + MINUTE, NOW + 2 * MINUTE, w->pool, &w->err), w->err);
    /* The dead one's release, should it wake, is not that of the living. */
    assert_ok(lti_db_token_release(w->a->db, "key", "a", w->pool, &w->err), w->err);
    assert_int_equal(token_of(w, w->a, "a", NOW + MINUTE).leased, 1);
    assert_ok(lti_db_token_release(w->b->db, "key", "b", w->pool, &w->err), w->err);
    assert_int_equal(token_of(w, w->a, "a", NOW + MINUTE).leased, 0);
}

/* SPEC T-08. */
static void a_refused_token_is_forgotten_and_a_newer_one_is_not(void **state)
{
    world_t *w = *state;

    assert_ok(lti_db_token_write(w->a->db, "key", "OLD", NOW + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_token_write(w->a->db, "key", "NEW", NOW + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_token_forget(w->b->db, "key", "OLD", w->pool, &w->err), w->err);
    assert_string_equal(token_of(w, w->b, "b", NOW).sealed, "NEW");
    assert_ok(lti_db_token_forget(w->b->db, "key", "NEW", w->pool, &w->err), w->err);
    assert_null(token_of(w, w->b, "b", NOW).sealed);
    assert_ok(lti_db_purge(w->a->db, NOW, 0, 0, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_token"), 0);
}

static apr_status_t take_lease(racer_t *racer)
{
    apr_status_t rv = lti_db_token_lease(racer->conn->db, "key", apr_psprintf(racer->pool, "node-%d", racer->number), NOW,
                                         NOW + MINUTE, racer->pool, &racer->err);

    return rv;
}

static void of_nodes_that_want_it_at_once_one_gets_the_lease(void **state)
{
    world_t *w = *state;
    racer_t racers[RACERS];
    int i, winners = 0;

    race(racers, w, take_lease);
    for (i = 0; i < RACERS; i++) {
        if (racers[i].rv != APR_SUCCESS && !APR_STATUS_IS_EBUSY(racers[i].rv))
            fail_msg("%s", racers[i].err.text);
        winners += racers[i].rv == APR_SUCCESS;
    }
    assert_int_equal(winners, 1);
}

static apr_status_t count_pause(void *baton, const char *platform, apr_time_t until, const char *error_name, const char *error_text)
{
    (void)platform;
    (void)error_name;
    (void)error_text;
    *(apr_time_t *)baton = until;
    return APR_SUCCESS;
}

/* A node whose clock was a year ahead, and was set right: neither courses nor tokens nor pauses wait for that year. */
static void what_a_clock_ahead_has_left_does_not_last(void **state)
{
    const apr_time_t ahead = NOW + 365 * 24 * 60 * MINUTE;
    world_t *w = *state;
    lti_db_token_t token;
    apr_time_t until = 0;

    add_course(w, "due", "campus", ahead);
    add_course(w, "far", "campus", NOW + 20 * 24 * 60 * MINUTE); /* as an interval may be */
    add_course(w, "leased", "campus", NOW);
    assert_ok(lti_db_lease_take(w->a->db, "leased", "dead", ahead, ahead + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_token_lease(w->a->db, "key", "dead", ahead, ahead + MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_pause_write(w->a->db, "campus", ahead, "rate-limited", "HTTP 429", w->pool, &w->err), w->err);
    /* At once: a refusal of today counts, not that of next year. */
    assert_ok(lti_db_pause_write(w->a->db, "campus", NOW + MINUTE, "rate-limited", "HTTP 429", w->pool, &w->err), w->err);
    assert_ok(lti_db_pauses_each(w->a->db, NOW, count_pause, &until, w->pool, &w->err), w->err);
    assert_int_equal(until, NOW + MINUTE);
    assert_ok(lti_db_recall(w->a->db, NOW, NOW + 30 * 24 * 60 * MINUTE, w->pool, &w->err), w->err);
    assert_string_equal(due_keys(w, NOW, NULL, NULL, 9), "due leased");
    assert_ok(lti_db_token_read(&token, w->a->db, "key", "we", NOW, w->pool, &w->err), w->err);
    assert_int_equal(token.leased, 0);
    assert_int_equal(ask_number(w->a, "SELECT due_at FROM lti_sync WHERE course_key = 'far'"), NOW + 20 * 24 * 60 * MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(courses_that_are_due_come_with_their_platform_page_by_page),
        WORLD_TEST(the_due_list_is_found_by_an_index),
        WORLD_TEST(putting_off_does_not_undo_what_was_asked_for_meanwhile),
        WORLD_TEST(what_a_clock_ahead_has_left_does_not_last),
        WORLD_TEST(a_course_that_was_asked_for_says_so_until_its_run_begins),
        WORLD_TEST(a_course_that_is_put_off_says_why_and_has_not_failed),
        WORLD_TEST(a_run_that_is_put_off_gives_its_lease_back),
        WORLD_TEST(a_pause_holds_on_all_nodes_until_its_end),
        WORLD_TEST(one_node_asks_for_a_token_and_the_others_read_it),
        WORLD_TEST(the_lease_of_a_node_that_died_ends_by_time),
        WORLD_TEST(a_refused_token_is_forgotten_and_a_newer_one_is_not),
        WORLD_TEST(of_nodes_that_want_it_at_once_one_gets_the_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
