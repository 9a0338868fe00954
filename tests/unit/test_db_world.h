/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of test_db: a fresh database and connections to it. SQLite in a temporary file, or the server that LTI_TEST_DB names
 * (the driver, a blank, its parameters), whose tables are dropped before each test.
 */
#ifndef LTI_TEST_DB_WORLD_H
#define LTI_TEST_DB_WORLD_H

#include "test.h"
#include <apr_dbd.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <stdio.h>
#include <unistd.h>
#include "lti_db.h"
#include "lti_db_statement.h"

#define SECOND ((apr_time_t)1000000)
#define NOW (1760000000 * SECOND)

/** A connection, as mod_dbd keeps them. */
typedef struct conn_t {
    apr_pool_t *pool;
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    lti_db_t *db;
} conn_t;

typedef struct world_t {
    apr_pool_t *pool;
    const char *driver_name;
    const char *params;
    char dir[32];
    conn_t *a, *b;
    lti_err_t err;
} world_t;

static __attribute__((unused)) int is_kind(const world_t *w, const char *driver)
{
    return strcmp(w->driver_name, driver) == 0;
}

static conn_t *connect_world(const world_t *w, apr_pool_t *parent)
{
    apr_pool_t *pool = NULL;
    conn_t *conn;
    const char *error = NULL;
    lti_err_t err;

    assert_int_equal(apr_pool_create(&pool, parent), APR_SUCCESS);
    conn = apr_pcalloc(pool, sizeof(*conn));
    conn->pool = pool;
    assert_int_equal(apr_dbd_get_driver(pool, w->driver_name, &conn->driver), APR_SUCCESS);
    if (apr_dbd_open_ex(conn->driver, pool, w->params, &conn->handle, &error) != APR_SUCCESS)
        fail_msg("%s", error ? error : "no connection");
    assert_ok(lti_db_wrap(&conn->db, conn->driver, conn->handle, pool, &err), err);
    return conn;
}

static void disconnect(conn_t *conn)
{
    apr_dbd_close(conn->driver, conn->handle);
    apr_pool_destroy(conn->pool);
}

/* One statement past the room; fails the test if the database refuses it. */
static __attribute__((unused)) void raw(conn_t *conn, const char *sql)
{
    int affected, rc = apr_dbd_query(conn->driver, conn->handle, &affected, sql);

    if (rc != 0 && rc != 100)
        fail_msg("%s: %s", sql, apr_dbd_error(conn->driver, conn->handle, rc));
}

/* The first column of the first row; "" if there is none. */
static __attribute__((unused)) const char *ask(conn_t *conn, const char *sql)
{
    const char *name = apr_dbd_name(conn->driver);
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    apr_pool_t *p = NULL;
    const char *answer = "";
    int rc;

    apr_pool_create(&p, conn->pool);
    rc = apr_dbd_select(conn->driver, p, conn->handle, &results, sql, strcmp(name, "pgsql") == 0);
    if (rc != 0)
        fail_msg("%s: %s", sql, apr_dbd_error(conn->driver, conn->handle, rc));
    while (apr_dbd_get_row(conn->driver, p, results, &row, -1) == 0) {
        const char *entry = apr_dbd_get_entry(conn->driver, row, 0);

        if (*answer == '\0' && entry != NULL)
            answer = apr_pstrdup(conn->pool, entry);
    }
    apr_pool_destroy(p);
    return answer;
}

static __attribute__((unused)) long long ask_number(conn_t *conn, const char *sql)
{
    return atoll(ask(conn, sql));
}

static void drop_tables(world_t *w)
{
    static const char *const tables[] = {"schema", "context", "sync", "member", "staging", "nonce", "launch", "test",
                                         "deployment", "revocation", "node", "old_launch", "event", "token", "pace", "run", "platform", "visit", "held"};
    conn_t *conn = connect_world(w, w->pool);
    size_t i;

    for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        raw(conn, apr_pstrcat(conn->pool, "DROP TABLE IF EXISTS lti_", tables[i], NULL));
    disconnect(conn);
}

/* A database without tables. */
static __attribute__((unused)) int empty_world_setup(void **state)
{
    static int dbd_is_ready;
    static apr_pool_t *forever;
    const char *named = getenv("LTI_TEST_DB");
    apr_pool_t *pool = NULL;
    world_t *w;

    apr_initialize();
    if (!dbd_is_ready) {
        apr_pool_create(&forever, NULL);
        apr_dbd_init(forever);
        dbd_is_ready = 1;
    }
    apr_pool_create(&pool, NULL);
    w = apr_pcalloc(pool, sizeof(*w));
    w->pool = pool;
    strcpy(w->dir, "/tmp/lti-db-XXXXXX");
    if (named != NULL && strchr(named, ' ') != NULL) {
        w->driver_name = apr_pstrmemdup(pool, named, (apr_size_t)(strchr(named, ' ') - named));
        w->params = strchr(named, ' ') + 1;
        w->dir[0] = '\0';
        drop_tables(w);
    } else {
        if (mkdtemp(w->dir) == NULL)
            return -1;
        w->driver_name = "sqlite3";
        w->params = apr_pstrcat(pool, w->dir, "/db", NULL);
    }
    w->a = connect_world(w, pool);
    w->b = connect_world(w, pool);
    *state = w;
    return 0;
}

/* A database with our tables. */
static __attribute__((unused)) int world_setup(void **state)
{
    world_t *w;
    int rc = empty_world_setup(state);

    if (rc != 0)
        return rc;
    w = *state;
    assert_ok(lti_schema_ensure(w->a->db, w->pool, &w->err), w->err);
    return 0;
}

static __attribute__((unused)) int world_teardown(void **state)
{
    world_t *w = *state;

    disconnect(w->a);
    disconnect(w->b);
    if (w->dir[0] != '\0') {
        unlink(w->params);
        unlink(apr_pstrcat(w->pool, w->params, "-wal", NULL));
        unlink(apr_pstrcat(w->pool, w->params, "-shm", NULL));
        rmdir(w->dir);
    }
    apr_pool_destroy(w->pool);
    return 0;
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)
#define EMPTY_WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, empty_world_setup, world_teardown)

/* --- threads ------------------------------------------------------------------------------------------------- */

#define RACERS 8

/** One of several at the same thing at once, each with a connection of its own. Threads must not use cmocka's assertions. */
typedef struct racer_t {
    const world_t *world;
    conn_t *conn;
    apr_pool_t *pool;
    int number;
    apr_status_t (*run)(struct racer_t *racer);
    volatile int *start;
    apr_status_t rv;
    lti_err_t err;
} racer_t;

static void *APR_THREAD_FUNC racer_main(apr_thread_t *thread, void *data)
{
    racer_t *racer = data;

    while (!__atomic_load_n(racer->start, __ATOMIC_ACQUIRE))
        ;
    racer->rv = racer->run(racer);
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

/* Runs `run` in all threads at once and leaves what came of it in `racers`. */
static __attribute__((unused)) void race(racer_t racers[RACERS], world_t *w, apr_status_t (*run)(racer_t *racer))
{
    apr_thread_t *threads[RACERS];
    apr_status_t ended;
    volatile int start = 0;
    int i;

    for (i = 0; i < RACERS; i++) {
        apr_pool_t *pool = NULL;
        apr_allocator_t *allocator = NULL;

        apr_allocator_create(&allocator);
        apr_pool_create_ex(&pool, NULL, NULL, allocator);
        apr_allocator_owner_set(allocator, pool);
        racers[i] = (racer_t){.world = w, .pool = pool, .number = i, .run = run, .start = &start};
        racers[i].conn = connect_world(w, pool);
        assert_int_equal(apr_thread_create(&threads[i], NULL, racer_main, &racers[i], pool), APR_SUCCESS);
    }
    __atomic_store_n(&start, 1, __ATOMIC_RELEASE);
    for (i = 0; i < RACERS; i++)
        apr_thread_join(&ended, threads[i]);
    for (i = 0; i < RACERS; i++) {
        disconnect(racers[i].conn);
        apr_pool_destroy(racers[i].pool);
    }
}

/* --- courses and people -------------------------------------------------------------------------------------- */

#define COURSE "aaaabbbbccccdddd"
#define URL "https://lms.example.org/nrps/7"
#define LEARNER "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
#define TEACHER "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"

static __attribute__((unused)) lti_course_t make_course(const char *key, const char *context_id, const char *url)
{
    return (lti_course_t){.key = key,
                          .platform = "campus",
                          .issuer = "https://lms.example.org",
                          .client_id = "tool-77",
                          .deployment_id = "1",
                          .context_id = context_id,
                          .label = "BIO-1",
                          .title = "Biology",
                          .type = "http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering",
                          .nrps_url = url,
                          .launched_at = NOW};
}

static __attribute__((unused)) void launch(world_t *w, const char *key)
{
    lti_course_t course = make_course(key, "7", URL);

    assert_ok(lti_db_course_launched(w->a->db, &course, NOW, w->pool, &w->err), w->err);
}

static __attribute__((unused)) lti_member_t *person(world_t *w, const char *user_id, const char *roles)
{
    lti_member_t *member = apr_pcalloc(w->pool, sizeof(*member));

    member->user_id = user_id;
    member->name = apr_pstrcat(w->pool, "Name of ", user_id, NULL);
    member->email = apr_pstrcat(w->pool, user_id, "@example.org", NULL);
    member->roles = roles;
    member->status = LTI_MEMBER_ACTIVE;
    return member;
}

/* `count` learners with ids that begin with `prefix`. */
static __attribute__((unused)) apr_array_header_t *people(world_t *w, const char *prefix, int count)
{
    apr_array_header_t *members = apr_array_make(w->pool, count, sizeof(lti_member_t *));
    int i;

    for (i = 0; i < count; i++)
        APR_ARRAY_PUSH(members, lti_member_t *) = person(w, apr_psprintf(w->pool, "%s%05d", prefix, i), LEARNER);
    return members;
}

static __attribute__((unused)) apr_array_header_t *ids(world_t *w, int count, ...)
{
    apr_array_header_t *list = apr_array_make(w->pool, count, sizeof(const char *));
    va_list args;

    va_start(args, count);
    while (count-- > 0)
        APR_ARRAY_PUSH(list, const char *) = va_arg(args, const char *);
    va_end(args);
    return list;
}

/* What an engine would ask to have applied after a run whose first request was at `requested_at`. */
static __attribute__((unused)) lti_apply_t make_apply(world_t *w, apr_time_t requested_at, int staged,
                                                      const apr_array_header_t *missing)
{
    lti_course_t *course = NULL;

    assert_ok(lti_db_course_read(&course, w->a->db, COURSE, w->pool, &w->err), w->err);
    return (lti_apply_t){.run_id = "run-1",
                         .course_key = COURSE,
                         .owner = "node-a",
                         .version = course->version,
                         .requested_at = requested_at,
                         .now = requested_at + SECOND,
                         .missing = missing,
                         .staged = staged,
                         .state = LTI_ROSTER_CURRENT,
                         .due_at = requested_at + 900 * SECOND,
                         .stale_at = requested_at + 2700 * SECOND};
}

static __attribute__((unused)) void lease(world_t *w, apr_time_t now)
{
    assert_ok(lti_db_lease_take(w->a->db, COURSE, "node-a", now, now + 60 * SECOND, w->pool, &w->err), w->err);
}

/* A whole run: lease, staging, applying. `members` are those who joined or changed. */
static __attribute__((unused)) lti_applied_t run_roster(world_t *w, apr_time_t requested_at, const apr_array_header_t *members,
                                                        const apr_array_header_t *missing)
{
    lti_applied_t applied = {.joined = -1};
    lti_apply_t apply;

    lease(w, requested_at);
    if (members != NULL)
        assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, members, w->pool, &w->err), w->err);
    apply = make_apply(w, requested_at, members ? members->nelts : 0, missing);
    assert_ok(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err);
    return applied;
}

static __attribute__((unused)) apr_array_header_t *list_of(world_t *w, int count, ...)
{
    apr_array_header_t *members = apr_array_make(w->pool, count, sizeof(lti_member_t *));
    va_list args;

    va_start(args, count);
    while (count-- > 0)
        APR_ARRAY_PUSH(members, lti_member_t *) = va_arg(args, lti_member_t *);
    va_end(args);
    return members;
}

static __attribute__((unused)) lti_member_t *read_member(world_t *w, const char *user_id)
{
    lti_member_t *member = NULL;

    assert_ok(lti_db_member_read(&member, w->a->db, COURSE, user_id, w->pool, &w->err), w->err);
    return member;
}

static __attribute__((unused)) lti_course_t *read_course(world_t *w)
{
    lti_course_t *course = NULL;

    assert_ok(lti_db_course_read(&course, w->a->db, COURSE, w->pool, &w->err), w->err);
    return course;
}

static __attribute__((unused)) apr_int64_t change_number(world_t *w)
{
    apr_int64_t number = -1;

    assert_ok(lti_db_change_number(&number, w->a->db, w->pool, &w->err), w->err);
    return number;
}

#endif
