/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, the statements and their loss, nonces, launches, courses and the reading of members: on SQLite, and on the server
 * that LTI_TEST_DB names. */
#include "test_db_world.h"

/* --- schema -------------------------------------------------------------------------------------------------- */

static void tables_are_created_once(void **state)
{
    world_t *w = *state;

    assert_ok(lti_schema_ensure(w->a->db, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT value FROM lti_schema WHERE name = 'version'"), 8);
    launch(w, COURSE);
    assert_ok(lti_schema_ensure(w->a->db, w->pool, &w->err), w->err);
    assert_ok(lti_schema_ensure(w->b->db, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_context"), 1);
    assert_int_equal(change_number(w), 1);
}

static apr_status_t ensure_schema(racer_t *racer)
{
    return lti_schema_ensure(racer->conn->db, racer->pool, &racer->err);
}

static void nodes_may_create_the_tables_at_once(void **state)
{
    racer_t racers[RACERS];
    world_t *w = *state;
    int i;

    race(racers, w, ensure_schema);
    for (i = 0; i < RACERS; i++)
        assert_ok(racers[i].rv, racers[i].err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_schema"), 5);
    launch(w, COURSE);
}

static void an_upgrade_that_was_cut_short_is_taken_again(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    raw(w->a, "UPDATE lti_schema SET value = 0 WHERE name = 'version'");
    assert_ok(lti_schema_ensure(w->a->db, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT value FROM lti_schema WHERE name = 'version'"), 8);
    assert_string_equal(read_course(w)->title, "Biology");
}

/* As the first release left them. */
static void go_back_to_version_1(conn_t *conn)
{
    static const char *const tables[] = {"lti_deployment", "lti_revocation", "lti_node", "lti_old_launch"};
    size_t i;

    for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        raw(conn, apr_pstrcat(conn->pool, "DROP TABLE ", tables[i], NULL));
    raw(conn, "DELETE FROM lti_schema WHERE name = 'admission'");
    raw(conn, "UPDATE lti_schema SET value = 1 WHERE name = 'version'");
}

static void tables_of_version_1_are_upgraded_with_what_they_hold(void **state)
{
    world_t *w = *state;
    lti_numbers_t numbers = {0};
    racer_t racers[RACERS];
    int i;

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 2, person(w, "ann", LEARNER), person(w, "bob", TEACHER)), NULL);
    assert_ok(lti_db_nonce_redeem(w->a->db, "nonce", NOW + 60 * SECOND, w->pool, &w->err), w->err);
    go_back_to_version_1(w->a);
    race(racers, w, ensure_schema);
    for (i = 0; i < RACERS; i++)
        assert_ok(racers[i].rv, racers[i].err);
    assert_string_equal(read_course(w)->title, "Biology");
    assert_int_equal(ask_number(w->a, "SELECT value FROM lti_schema WHERE name = 'version'"), 8);
    assert_string_equal(read_member(w, "bob")->roles, TEACHER);
    assert_code(lti_db_nonce_redeem(w->a->db, "nonce", NOW + 60 * SECOND, w->pool, &w->err), w->err, LTI_E_NONCE_USED);
    assert_ok(lti_db_numbers(&numbers, w->a->db, w->pool, &w->err), w->err);
    assert_int_equal(numbers.change, change_number(w));
    assert_int_equal(numbers.admission, 0);
    assert_ok(lti_db_deployment_decide(w->b->db, "campus", "1", LTI_DEPLOYMENT_ACCEPTED, NOW, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_deployment"), 1);
    /* And again, as a node of this release does that was cut short in the midst of the step. */
    raw(w->a, "UPDATE lti_schema SET value = 1 WHERE name = 'version'");
    assert_ok(lti_schema_ensure(w->b->db, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_deployment"), 1);
    assert_int_equal(ask_number(w->a, "SELECT value FROM lti_schema WHERE name = 'admission'"), 1);
}

static void newer_tables_are_refused(void **state)
{
    world_t *w = *state;

    raw(w->a, "UPDATE lti_schema SET value = 99 WHERE name = 'version'");
    assert_code(lti_schema_ensure(w->a->db, w->pool, &w->err), w->err, LTI_E_SCHEMA_NEWER);
    assert_non_null(strstr(w->err.text, "99"));
    assert_int_not_equal(lti_schema_ensure(w->a->db, w->pool, NULL), APR_SUCCESS);
}

static void sqlite_writes_ahead(void **state)
{
    world_t *w = *state;

    if (!is_kind(w, "sqlite3"))
        skip();
    assert_string_equal(ask(w->b, "PRAGMA journal_mode"), "wal");
    assert_string_equal(ask(w->a, "PRAGMA synchronous"), "1");
}

/* --- the connection and its statements ----------------------------------------------------------------------- */

static void a_connection_is_wrapped_once(void **state)
{
    const struct {
        const char *name;
    } stranger = {"oracle"};
    world_t *w = *state;
    lti_db_t *again = NULL;

    assert_ok(lti_db_wrap(&again, w->a->driver, w->a->handle, w->a->pool, &w->err), w->err);
    assert_ptr_equal(again, w->a->db);
    assert_ptr_not_equal(w->b->db, w->a->db);
    assert_code(lti_db_wrap(&again, (const apr_dbd_driver_t *)(const void *)&stranger, w->a->handle, w->pool, &w->err), w->err,
                LTI_E_CONFIG);
    assert_non_null(strstr(w->err.text, "oracle"));
}

static void malformed_statements_are_faults_of_ours(void **state)
{
    static const char fine[] = "SELECT value FROM lti_schema WHERE name = %s";
    static const char no_word[] = "SELECT {nonsense} FROM lti_schema";
    static const char no_end[] = "SELECT 1 {for_update";
    static const char per_cent[] = "SELECT COUNT(*) FROM lti_schema WHERE name LIKE '%%n%%' OR name = %s";
    world_t *w = *state;
    lti_db_rows_t rows;

    assert_code(lti_db_select(&rows, w->a->db, fine, LTI_DB_NO_ARGS, w->pool, &w->err), w->err, LTI_E_INTERNAL);
    assert_code(lti_db_select(&rows, w->a->db, no_word, LTI_DB_NO_ARGS, w->pool, &w->err), w->err, LTI_E_INTERNAL);
    assert_code(lti_db_run_text(w->a->db, no_end, w->pool, &w->err), w->err, LTI_E_INTERNAL);
    assert_ok(lti_db_select_one(&rows, w->a->db, per_cent, LTI_DB_ARGS("change"), w->pool, &w->err), w->err);
    assert_int_equal(lti_db_number(&rows, 0), 5);
}

static void a_failing_statement_tells_the_drivers_words(void **state)
{
    world_t *w = *state;
    lti_course_t *course;

    raw(w->a, "DROP TABLE lti_context");
    assert_code(lti_db_course_read(&course, w->a->db, COURSE, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_non_null(strstr(w->err.text, "lti_context"));
    assert_null(strchr(w->err.text, '\n'));
}

static void statements_outlive_a_change_of_the_schema(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    assert_ok(lti_db_nonce_redeem(w->a->db, "n1", NOW, w->pool, &w->err), w->err);
    raw(w->b, "CREATE TABLE lti_test (x INT)");
    read_course(w);
    assert_ok(lti_db_nonce_redeem(w->a->db, "n2", NOW, w->pool, &w->err), w->err);
    run_roster(w, NOW, people(w, "s", 60), NULL);
    raw(w->b, "DROP TABLE lti_test");
    run_roster(w, NOW + SECOND, people(w, "t", 60), NULL);
    assert_int_equal(read_course(w)->active, 120);
}

/* Ends the session of `victim` on the server; 0 where there is no server. */
static int end_session(conn_t *victim, conn_t *by)
{
    const char *name = apr_dbd_name(victim->driver);

    if (strcmp(name, "pgsql") == 0)
        ask(by, apr_pstrcat(by->pool, "SELECT pg_terminate_backend(", ask(victim, "SELECT pg_backend_pid()"), ")", NULL));
    else if (strcmp(name, "mysql") == 0)
        raw(by, apr_pstrcat(by->pool, "KILL ", ask(victim, "SELECT CONNECTION_ID()"), NULL));
    else
        return 0;
    apr_sleep(50000);
    return 1;
}

static void statements_outlive_a_lost_connection(void **state)
{
    world_t *w = *state;
    const char *smile = "\xF0\x9F\x98\x80";

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 1, person(w, "u1", LEARNER)), NULL);
    if (!end_session(w->a, w->b))
        skip();
    read_course(w);
    end_session(w->a, w->b);
    assert_ok(lti_db_nonce_redeem(w->a->db, "n1", NOW, w->pool, &w->err), w->err);
    end_session(w->a, w->b);
    assert_int_equal(run_roster(w, NOW + SECOND, list_of(w, 2, person(w, "u1", TEACHER), person(w, smile, LEARNER)), NULL).changed,
                     1);
    assert_string_equal(read_member(w, smile)->user_id, smile);
}

typedef struct torn_t {
    world_t *w;
    int lose;  /* the connection, in the middle */
    int fresh; /* go on with a statement that was not prepared before */
    int calls;
} torn_t;

static apr_status_t write_and_lose(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char first[] = "UPDATE lti_sync SET failures = failures + 1 WHERE course_key = %s";
    static const char fresh[] = "UPDATE lti_sync SET active = active + 1 WHERE course_key = %s";
    torn_t *torn = baton;
    apr_status_t rv = lti_db_run(NULL, db, first, LTI_DB_ARGS(COURSE), ptemp, err);

    torn->calls++;
    if (rv == APR_SUCCESS && torn->lose)
        end_session(torn->w->a, torn->w->b);
    return rv == APR_SUCCESS ? lti_db_run(NULL, db, torn->fresh ? fresh : first, LTI_DB_ARGS(COURSE), ptemp, err) : rv;
}

static void a_transaction_that_lost_its_connection_leaves_nothing(void **state)
{
    world_t *w = *state;
    torn_t torn = {.w = w, .lose = 1};

    launch(w, COURSE);
    if (is_kind(w, "sqlite3"))
        skip();
    for (torn.fresh = 0; torn.fresh < 2; torn.fresh++) {
        torn.calls = 0;
        assert_code(lti_db_transaction(w->a->db, write_and_lose, &torn, w->pool, &w->err), w->err, LTI_E_STORE);
        assert_int_equal(torn.calls, 1);
        assert_int_equal(read_course(w)->failures, 0);
        assert_int_equal(read_course(w)->active, 0);
    }
    torn.fresh = torn.lose = 0;
    assert_ok(lti_db_transaction(w->a->db, write_and_lose, &torn, w->pool, &w->err), w->err);
    assert_int_equal(read_course(w)->failures, 2);
}

static void a_connection_given_back_inside_a_transaction_is_cleaned(void **state)
{
    world_t *w = *state;

    if (!is_kind(w, "sqlite3"))
        skip();
    raw(w->a, "BEGIN IMMEDIATE");
    raw(w->a, "INSERT INTO lti_nonce (nonce_key, expires_at) VALUES ('left over', 1)");
    launch(w, COURSE);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_nonce"), 0);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_context"), 1);
}

static void *APR_THREAD_FUNC commit_soon(apr_thread_t *thread, void *data)
{
    apr_sleep(300000);
    raw(data, "COMMIT");
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

static void a_busy_database_is_waited_for(void **state)
{
    world_t *w = *state;
    apr_thread_t *thread;
    apr_status_t ended;

    if (!is_kind(w, "sqlite3"))
        skip();
    raw(w->b, "BEGIN IMMEDIATE");
    assert_int_equal(apr_thread_create(&thread, NULL, commit_soon, w->b, w->b->pool), APR_SUCCESS);
    assert_ok(lti_db_nonce_redeem(w->a->db, "n1", NOW, w->pool, &w->err), w->err);
    apr_thread_join(&ended, thread);
    launch(w, COURSE);
}

static void a_busy_database_ends_a_transaction_at_once(void **state)
{
    static const char write[] = "UPDATE lti_schema SET value = value WHERE name = 'change'";
    world_t *w = *state;

    if (!is_kind(w, "sqlite3"))
        skip();
    raw(w->b, "BEGIN IMMEDIATE");
    assert_ok(lti_db_begin_reading(w->a->db, w->pool, &w->err), w->err);
    assert_code(lti_db_run(NULL, w->a->db, write, LTI_DB_NO_ARGS, w->pool, &w->err), w->err, LTI_E_STORE_BUSY);
    lti_db_end_reading(w->a->db, APR_SUCCESS);
    raw(w->b, "ROLLBACK");
}

/* --- nonces and launches ------------------------------------------------------------------------------------- */

static void a_nonce_is_redeemed_once(void **state)
{
    world_t *w = *state;

    assert_ok(lti_db_nonce_redeem(w->a->db, "n1", NOW, w->pool, &w->err), w->err);
    assert_code(lti_db_nonce_redeem(w->a->db, "n1", NOW, w->pool, &w->err), w->err, LTI_E_NONCE_USED);
    assert_code(lti_db_nonce_redeem(w->b->db, "n1", NOW + SECOND, w->pool, &w->err), w->err, LTI_E_NONCE_USED);
    assert_ok(lti_db_nonce_redeem(w->b->db, "N1", NOW, w->pool, &w->err), w->err);
}

static void a_store_fault_is_no_replay(void **state)
{
    world_t *w = *state;

    raw(w->a, "DROP TABLE lti_nonce");
    assert_code(lti_db_nonce_redeem(w->a->db, "n1", NOW, w->pool, &w->err), w->err, LTI_E_STORE);
}

static apr_status_t redeem(racer_t *racer)
{
    return lti_db_nonce_redeem(racer->conn->db, "contested", NOW, racer->pool, &racer->err);
}

static void of_eight_threads_one_redeems_a_nonce(void **state)
{
    racer_t racers[RACERS];
    world_t *w = *state;
    int i, won = 0;

    race(racers, w, redeem);
    for (i = 0; i < RACERS; i++) {
        if (racers[i].rv == APR_SUCCESS)
            won++;
        else
            assert_code(racers[i].rv, racers[i].err, LTI_E_NONCE_USED);
    }
    assert_int_equal(won, 1);
}

static void a_launch_keeps_its_surplus(void **state)
{
    world_t *w = *state;
    const char *surplus = NULL;
    char *large = apr_palloc(w->pool, 100001);

    memset(large, 'x', 100000);
    large[100000] = '\0';
    assert_int_equal(lti_db_launch_read(&surplus, w->a->db, "l1", w->pool, &w->err), APR_NOTFOUND);
    assert_ok(lti_db_launch_write(w->a->db, "l1", COURSE, "u1", "{\"a\":\"%d\"}", NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_launch_read(&surplus, w->b->db, "l1", w->pool, &w->err), w->err);
    assert_string_equal(surplus, "{\"a\":\"%d\"}");
    assert_ok(lti_db_launch_write(w->b->db, "l1", COURSE, "u1", large, NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_launch_write(w->b->db, "l2", NULL, NULL, "", NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_launch_read(&surplus, w->a->db, "l1", w->pool, &w->err), w->err);
    assert_string_equal(surplus, large);
    assert_int_equal(lti_db_launch_read(&surplus, w->a->db, "\xFF\xFE", w->pool, &w->err), APR_NOTFOUND);
}

/* --- courses ------------------------------------------------------------------------------------------------- */

static void a_first_launch_creates_the_course(void **state)
{
    world_t *w = *state;
    lti_course_t *course = NULL;

    assert_int_equal(lti_db_course_read(&course, w->a->db, COURSE, w->pool, &w->err), APR_NOTFOUND);
    launch(w, COURSE);
    course = read_course(w);
    assert_string_equal(course->key, COURSE);
    assert_string_equal(course->platform, "campus");
    assert_string_equal(course->issuer, "https://lms.example.org");
    assert_string_equal(course->client_id, "tool-77");
    assert_string_equal(course->deployment_id, "1");
    assert_string_equal(course->context_id, "7");
    assert_string_equal(course->label, "BIO-1");
    assert_string_equal(course->nrps_url, URL);
    assert_int_equal(course->state, LTI_ROSTER_PENDING);
    assert_int_equal(course->launched_at, NOW);
    assert_int_equal(course->due_at, NOW);
    assert_int_equal(course->version, 0);
    assert_int_equal(course->succeeded_at, 0);
    assert_null(course->error_name);
    assert_int_equal(change_number(w), 1);
}

/* Rows written by connection a so far; -1 where nobody counts them. */
static long long rows_written(world_t *w)
{
    return is_kind(w, "sqlite3") ? ask_number(w->a, "SELECT total_changes()") : -1;
}

static void a_launch_that_tells_nothing_new_writes_nothing(void **state)
{
    world_t *w = *state;
    lti_course_t course = make_course(COURSE, "7", URL);
    long long before;

    launch(w, COURSE);
    before = rows_written(w);
    course.launched_at += 60 * SECOND;
    assert_ok(lti_db_course_launched(w->a->db, &course, NOW + SECOND, w->pool, &w->err), w->err);
    assert_int_equal(rows_written(w), before);
    assert_int_equal(read_course(w)->launched_at, NOW);
    /* Silence takes nothing back. */
    course.label = course.title = course.type = course.nrps_url = NULL;
    assert_ok(lti_db_course_launched(w->a->db, &course, NOW, w->pool, &w->err), w->err);
    assert_int_equal(rows_written(w), before);
    assert_string_equal(read_course(w)->title, "Biology");
    assert_string_equal(read_course(w)->nrps_url, URL);
    /* More than a minute later it is worth a row, but nobody else needs to know. */
    course.launched_at += SECOND;
    assert_ok(lti_db_course_launched(w->a->db, &course, NOW, w->pool, &w->err), w->err);
    assert_int_equal(read_course(w)->launched_at, NOW + 61 * SECOND);
    assert_int_equal(change_number(w), 1);
}

/* SPEC N-03 */
static void a_launch_updates_what_changed(void **state)
{
    world_t *w = *state;
    lti_course_t course = make_course(COURSE, "7", URL);
    const char *title = apr_pstrcat(w->pool, "", NULL);
    int i;

    launch(w, COURSE);
    for (i = 0; i < 400; i++)
        title = apr_pstrcat(w->pool, title, "\xE6\x9D\x8E", NULL);
    course.label = "";
    course.title = title;
    course.nrps_url = "https://lms.example.org/nrps/8";
    course.platform = "renamed";
    assert_ok(lti_db_course_launched(w->a->db, &course, NOW + SECOND, w->pool, &w->err), w->err);
    assert_string_equal(read_course(w)->label, "");
    assert_string_equal(read_course(w)->nrps_url, "https://lms.example.org/nrps/8");
    assert_string_equal(read_course(w)->platform, "renamed");
    assert_int_equal(strlen(read_course(w)->title), 1023); /* at a character's end */
    assert_int_equal(change_number(w), 2);
    assert_ok(lti_db_course_launched(w->a->db, &course, NOW + SECOND, w->pool, &w->err), w->err);
    assert_int_equal(change_number(w), 2);
}

static void a_course_without_roster_service_is_never_due(void **state)
{
    world_t *w = *state;
    lti_course_t course = make_course(COURSE, "7", NULL);
    apr_array_header_t *keys = NULL;

    assert_ok(lti_db_course_launched(w->a->db, &course, NOW, w->pool, &w->err), w->err);
    assert_int_equal(read_course(w)->state, LTI_ROSTER_NONE);
    assert_int_equal(read_course(w)->due_at, 0);
    assert_ok(lti_db_due_each(&keys, w->a->db, NOW + SECOND, NULL, NULL, 10, w->pool, &w->err), w->err);
    assert_int_equal(keys->nelts, 0);
    course.nrps_url = URL;
    assert_ok(lti_db_course_launched(w->a->db, &course, NOW, w->pool, &w->err), w->err);
    assert_int_equal(read_course(w)->state, LTI_ROSTER_PENDING);
    assert_ok(lti_db_due_each(&keys, w->a->db, NOW + SECOND, NULL, NULL, 10, w->pool, &w->err), w->err);
    assert_int_equal(keys->nelts, 1);
}

static void a_launch_makes_due_what_is_due_later(void **state)
{
    world_t *w = *state;
    lti_course_t course = make_course(COURSE, "7", URL);

    launch(w, COURSE);
    assert_ok(lti_db_course_launched(w->a->db, &course, NOW + SECOND, w->pool, &w->err), w->err);
    assert_int_equal(read_course(w)->due_at, NOW);
    raw(w->a, apr_psprintf(w->pool, "UPDATE lti_sync SET due_at = %" APR_INT64_T_FMT, NOW + 900 * SECOND));
    assert_ok(lti_db_course_launched(w->a->db, &course, NOW + 20 * SECOND, w->pool, &w->err), w->err);
    assert_int_equal(read_course(w)->due_at, NOW + 20 * SECOND);
    assert_int_equal(change_number(w), 1);
}

static apr_status_t launch_course(racer_t *racer)
{
    lti_course_t course = make_course(COURSE, "7", URL);

    return lti_db_course_launched(racer->conn->db, &course, NOW, racer->pool, &racer->err);
}

static void first_launches_at_once_create_one_course(void **state)
{
    racer_t racers[RACERS];
    world_t *w = *state;
    int i;

    race(racers, w, launch_course);
    for (i = 0; i < RACERS; i++)
        assert_ok(racers[i].rv, racers[i].err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_context"), 1);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_sync"), 1);
    assert_int_equal(change_number(w), 1);
}

static void a_context_id_may_be_several_courses(void **state)
{
    world_t *w = *state;
    lti_course_t other = make_course("bbbbbbbbbbbbbbbb", "8", URL);
    apr_array_header_t *keys = NULL;

    launch(w, COURSE);
    launch(w, "cccccccccccccccc");
    assert_ok(lti_db_course_launched(w->a->db, &other, NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_courses_by_context(&keys, w->a->db, "7", w->pool, &w->err), w->err);
    assert_int_equal(keys->nelts, 2);
    assert_string_equal(APR_ARRAY_IDX(keys, 0, const char *), COURSE);
    assert_ok(lti_db_courses_by_context(&keys, w->a->db, "9", w->pool, &w->err), w->err);
    assert_int_equal(keys->nelts, 0);
    assert_ok(lti_db_courses_by_context(&keys, w->a->db, "7\xFF", w->pool, &w->err), w->err);
    assert_int_equal(keys->nelts, 0);
}

/* --- members ------------------------------------------------------------------------------------------------- */

static void members_come_back_as_they_were_given(void **state)
{
    world_t *w = *state;
    lti_member_t *given = person(w, "u1", LEARNER " " TEACHER), *read;

    launch(w, COURSE);
    given->name = "Zo\xC3\xAB \xF0\x9F\x98\x80 'x' %s \\ ?";
    given->given_name = "";
    given->family_name = NULL;
    given->sourcedid = "4711";
    given->status = LTI_MEMBER_INACTIVE;
    run_roster(w, NOW, list_of(w, 2, given, person(w, "plain", "")), NULL);
    read = read_member(w, "u1");
    assert_string_equal(read->name, given->name);
    assert_string_equal(read->given_name, "");
    assert_null(read->family_name);
    assert_string_equal(read->email, "u1@example.org");
    assert_string_equal(read->sourcedid, "4711");
    assert_string_equal(read->roles, given->roles);
    assert_int_equal(read->status, LTI_MEMBER_INACTIVE);
    assert_string_equal(read_member(w, "plain")->roles, "");
}

static void user_ids_are_compared_byte_by_byte(void **state)
{
    world_t *w = *state;
    lti_member_t *member;

    launch(w, COURSE);
    run_roster(w, NOW,
               list_of(w, 4, person(w, "anna", LEARNER), person(w, "Anna", TEACHER), person(w, "\xC3\xA4nna", LEARNER),
                       person(w, "anna ", TEACHER)),
               NULL);
    assert_string_equal(read_member(w, "Anna")->roles, TEACHER);
    assert_string_equal(read_member(w, "anna")->roles, LEARNER);
    assert_string_equal(read_member(w, "anna ")->roles, TEACHER);
    assert_int_equal(read_course(w)->active, 4);
    assert_int_equal(lti_db_member_read(&member, w->a->db, COURSE, "ANNA", w->pool, &w->err), APR_NOTFOUND);
    assert_int_equal(lti_db_member_read(&member, w->a->db, COURSE, "anna  ", w->pool, &w->err), APR_NOTFOUND);
    assert_int_equal(lti_db_member_read(&member, w->a->db, COURSE, "anna\xFF", w->pool, &w->err), APR_NOTFOUND);
    assert_int_equal(lti_db_member_read(&member, w->a->db, "bbbbbbbbbbbbbbbb", "anna", w->pool, &w->err), APR_NOTFOUND);
}

/** What a reading saw. */
typedef struct seen_t {
    world_t *w;
    int count, stop_at;
    char last[64];
    void (*at_first)(world_t *w);
} seen_t;

static apr_status_t see_member(void *baton, const lti_member_t *member, lti_err_t *err)
{
    seen_t *seen = baton;

    assert_true(strcmp(member->user_id, seen->last) > 0);
    apr_cpystrn(seen->last, member->user_id, sizeof(seen->last));
    if (++seen->count == seen->stop_at)
        return lti_fail(err, LTI_E_SNAPSHOT_FULL, APR_ENOSPC, "enough");
    if (seen->count == 1 && seen->at_first != NULL)
        seen->at_first(seen->w);
    return APR_SUCCESS;
}

static int see_members(world_t *w, const char *after, int max, int active_only)
{
    seen_t seen = {.w = w};

    apr_cpystrn(seen.last, after, sizeof(seen.last));
    assert_ok(lti_db_members_each(w->a->db, COURSE, after, max, active_only, see_member, &seen, w->pool, &w->err), w->err);
    return seen.count;
}

static void members_are_read_in_pages_and_in_order(void **state)
{
    world_t *w = *state;
    seen_t seen = {.w = w, .stop_at = 1500};

    launch(w, COURSE);
    assert_int_equal(see_members(w, "", 0, 0), 0);
    run_roster(w, NOW, people(w, "s", 2500), NULL);
    run_roster(w, NOW + SECOND, list_of(w, 3, person(w, "Z", LEARNER), person(w, "b", LEARNER), person(w, "\xC3\xA9", LEARNER)),
               ids(w, 2, "s00001", "b"));
    assert_int_equal(see_members(w, "", 0, 0), 2503);
    assert_int_equal(see_members(w, "", 0, 1), 2501);
    assert_int_equal(see_members(w, "", 1, 0), 1);
    assert_int_equal(see_members(w, "", 1000, 0), 1000);
    assert_int_equal(see_members(w, "", 1700, 0), 1700);
    assert_int_equal(see_members(w, "s02489", 0, 0), 11);
    assert_int_equal(see_members(w, "s02489", 5, 1), 5);
    assert_int_equal(see_members(w, "\xC3\xA9", 0, 0), 0);
    assert_code(lti_db_members_each(w->a->db, COURSE, "", 0, 0, see_member, &seen, w->pool, &w->err), w->err, LTI_E_SNAPSHOT_FULL);
    assert_int_equal(seen.count, 1500);
    /* A reading that was given up leaves the connection usable. */
    assert_int_equal(see_members(w, "", 0, 0), 2503);
}

static void remove_everybody(world_t *w)
{
    raw(w->b, "DELETE FROM lti_member");
}

static void a_change_does_not_tear_a_reading(void **state)
{
    world_t *w = *state;
    seen_t seen = {.w = w, .at_first = remove_everybody};

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "s", 2100), NULL);
    assert_ok(lti_db_members_each(w->a->db, COURSE, "", 0, 0, see_member, &seen, w->pool, &w->err), w->err);
    assert_int_equal(seen.count, 2100);
    assert_int_equal(see_members(w, "", 0, 0), 0);
}

static void lose_connection(world_t *w)
{
    end_session(w->a, w->b);
}

static void a_reading_that_breaks_is_an_error_not_a_short_list(void **state)
{
    world_t *w = *state;
    seen_t seen = {.w = w, .at_first = lose_connection};

    if (is_kind(w, "sqlite3"))
        skip();
    launch(w, COURSE);
    run_roster(w, NOW, people(w, "s", 2100), NULL);
    assert_code(lti_db_members_each(w->a->db, COURSE, "", 0, 0, see_member, &seen, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_int_equal(seen.count, 1000);
    assert_int_equal(see_members(w, "", 0, 0), 2100);
}

/* --- changes ------------------------------------------------------------------------------------------------- */

typedef struct changed_t {
    world_t *w;
    int count, stop_at;
    char last[17];
} changed_t;

static apr_status_t see_course(void *baton, const lti_course_t *course, lti_err_t *err)
{
    changed_t *changed = baton;

    apr_cpystrn(changed->last, course->key, sizeof(changed->last));
    /* The engine reads the roster right here. */
    if (changed->count == 0)
        see_members(changed->w, "", 0, 0);
    if (++changed->count == changed->stop_at)
        return lti_fail(err, LTI_E_SNAPSHOT_FULL, APR_ENOSPC, "enough");
    return APR_SUCCESS;
}

static void changed_courses_come_in_order_of_their_numbers(void **state)
{
    world_t *w = *state;
    changed_t changed = {.w = w};
    int i;

    launch(w, COURSE);
    for (i = 0; i < 1100; i++)
        launch(w, apr_psprintf(w->pool, "course%010d", i));
    run_roster(w, NOW, list_of(w, 1, person(w, "u1", LEARNER)), NULL);
    assert_int_equal(change_number(w), 1102);
    assert_ok(lti_db_courses_changed(w->a->db, 0, see_course, &changed, w->pool, &w->err), w->err);
    assert_int_equal(changed.count, 1101);
    assert_string_equal(changed.last, COURSE);
    changed = (changed_t){.w = w};
    assert_ok(lti_db_courses_changed(w->a->db, 1100, see_course, &changed, w->pool, &w->err), w->err);
    assert_int_equal(changed.count, 2);
    changed = (changed_t){.w = w};
    assert_ok(lti_db_courses_changed(w->a->db, 1102, see_course, &changed, w->pool, &w->err), w->err);
    assert_int_equal(changed.count, 0);
    changed.stop_at = 3;
    assert_code(lti_db_courses_changed(w->a->db, 0, see_course, &changed, w->pool, &w->err), w->err, LTI_E_SNAPSHOT_FULL);
    assert_int_equal(changed.count, 3);
}

static void a_lost_counter_is_a_fault_not_a_zero(void **state)
{
    world_t *w = *state;
    lti_course_t course = make_course(COURSE, "7", URL);
    apr_int64_t number;

    raw(w->a, "DELETE FROM lti_schema WHERE name = 'admission'");
    assert_code(lti_db_admission_number(&number, w->a->db, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_non_null(strstr(w->err.text, "admission"));
    raw(w->a, "DELETE FROM lti_schema WHERE name = 'change'");
    assert_code(lti_db_change_number(&number, w->a->db, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_code(lti_db_course_launched(w->a->db, &course, NOW, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_context"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(tables_are_created_once),
        EMPTY_WORLD_TEST(nodes_may_create_the_tables_at_once),
        WORLD_TEST(an_upgrade_that_was_cut_short_is_taken_again),
        WORLD_TEST(tables_of_version_1_are_upgraded_with_what_they_hold),
        WORLD_TEST(newer_tables_are_refused),
        WORLD_TEST(sqlite_writes_ahead),
        WORLD_TEST(a_connection_is_wrapped_once),
        WORLD_TEST(malformed_statements_are_faults_of_ours),
        WORLD_TEST(a_failing_statement_tells_the_drivers_words),
        WORLD_TEST(statements_outlive_a_change_of_the_schema),
        WORLD_TEST(statements_outlive_a_lost_connection),
        WORLD_TEST(a_transaction_that_lost_its_connection_leaves_nothing),
        WORLD_TEST(a_connection_given_back_inside_a_transaction_is_cleaned),
        WORLD_TEST(a_busy_database_is_waited_for),
        WORLD_TEST(a_busy_database_ends_a_transaction_at_once),
        WORLD_TEST(a_nonce_is_redeemed_once),
        WORLD_TEST(a_store_fault_is_no_replay),
        WORLD_TEST(of_eight_threads_one_redeems_a_nonce),
        WORLD_TEST(a_launch_keeps_its_surplus),
        WORLD_TEST(a_first_launch_creates_the_course),
        WORLD_TEST(a_launch_that_tells_nothing_new_writes_nothing),
        WORLD_TEST(a_launch_updates_what_changed),
        WORLD_TEST(a_course_without_roster_service_is_never_due),
        WORLD_TEST(a_launch_makes_due_what_is_due_later),
        WORLD_TEST(first_launches_at_once_create_one_course),
        WORLD_TEST(a_context_id_may_be_several_courses),
        WORLD_TEST(members_come_back_as_they_were_given),
        WORLD_TEST(user_ids_are_compared_byte_by_byte),
        WORLD_TEST(members_are_read_in_pages_and_in_order),
        WORLD_TEST(a_change_does_not_tear_a_reading),
        WORLD_TEST(a_reading_that_breaks_is_an_error_not_a_short_list),
        WORLD_TEST(changed_courses_come_in_order_of_their_numbers),
        WORLD_TEST(a_lost_counter_is_a_fault_not_a_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
