/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of the refresh engine's tests: a clock that is set by hand, a transport whose answers are written beforehand per URL,
 * a SQLite file that all nodes share, and per node an engine with its own connection and its own block of "shared" memory.
 */
#ifndef LTI_TEST_REFRESH_WORLD_H
#define LTI_TEST_REFRESH_WORLD_H

#include "test.h"
#include <stdio.h>
#include <unistd.h>
#include <apr_dbd.h>
#include "lti_crypto.h"
#include "lti_nrps.h"
#include "lti_refresh.h"
#include "lti_token.h"

#define COURSE "aaaaaaaaaaaaaaaa"
#define ORIGIN "https://lms.example.org"
#define TOKEN_URL ORIGIN "/token"
#define ROSTER ORIGIN "/nrps/42"
#define PAGE2 ROSTER "?p=2"
#define PAGE3 ROSTER "?p=3"
#define LEARNER "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
#define INSTRUCTOR "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
#define START apr_time_from_sec(1760000000)
#define MINUTES(n) apr_time_from_sec(60 * (n))
#define HOURS(n) apr_time_from_sec(3600 * (n))
#define MEMORY (2 * 1024 * 1024)

/* --- what the platform says ------------------------------------------------------------------------------------------------ */

/** One answer; `next` and `differences` go into Link headers, `fault` ends the transfer instead of answering, `hang` never ends it. */
typedef struct answer_t {
    const char *url;
    long status;
    const char *body;
    const char *next;
    const char *differences;
    const char *type;
    apr_interval_time_t retry_after;
    lti_code_t fault;
    int hang;
    int used;
} answer_t;

typedef struct transfer_t {
    struct transfer_t *next;
    const char *url;
    const char *bearer;
    answer_t *answer;
    lti_http_body_fn *on_body;
    lti_http_done_fn *on_done;
    void *baton;
} transfer_t;

typedef struct seen_event_t {
    lti_event_kind_t kind;
    lti_code_t code;
    char text[240];
    char remarks[240];
    lti_applied_t applied;
    int pages, members, missing;
    apr_time_t due_at;
} seen_event_t;

typedef struct world_t world_t;

typedef struct node_t {
    world_t *world;
    apr_pool_t *pool;
    lti_refresh_t *engine;
    lti_refresh_options_t options;
    lti_db_t *db;
    apr_dbd_t *handle;
    lti_snapshot_t *snapshot;
    void *block;
    apr_array_header_t *events; /* of seen_event_t, but for */
    int stale, stale_unnamed;   /* rosters that turned stale: time passes in many tests */
    char stale_key[32];         /* the last one named */
    int stopping, kicked, store_away;
    int lent; /* connections out: never while the network is waited for */
} node_t;

struct world_t {
    apr_pool_t *pool;
    char path[64];
    const apr_dbd_driver_t *driver;
    apr_array_header_t *platforms;
    lti_platform_t platform;
    apr_array_header_t *answers; /* of answer_t * */
    apr_array_header_t *asked;   /* of const char *: the URLs, in order */
    const char *bearer;          /* of the last request that had one */
    int any_address;             /* of that request */
    int tokens;                  /* given out */
    int token_lifetime;
    transfer_t *transfers;
    node_t nodes[2];
};

static apr_time_t world_clock;
static apr_interval_time_t world_jump; /* the clock leaps by so much after the next token was given */
static int world_dates;                  /* answers have a Date, */
static apr_interval_time_t world_ahead;  /* by a clock that is so much ahead, */
static apr_interval_time_t world_delay;  /* and come after so long */
static lti_toolkeys_t *world_keys;
static apr_pool_t *world_keys_pool;

static apr_time_t world_now(void)
{
    return world_clock;
}

static void say(world_t *world, answer_t answer)
{
    answer_t *kept = apr_pmemdup(world->pool, &answer, sizeof(answer));

    if (kept->status == 0)
        kept->status = 200;
    if (kept->type == NULL)
        kept->type = LTI_NRPS_MEDIA_TYPE;
    APR_ARRAY_PUSH(world->answers, answer_t *) = kept;
}

/** From now on the platform says nothing of what it said before. */
static void hush(world_t *world)
{
    world->answers->nelts = 0;
    world->asked->nelts = 0;
}

static __attribute__((unused)) int asked(const world_t *world, const char *url)
{
    int i, count = 0;

    for (i = 0; i < world->asked->nelts; i++)
        count += strcmp(APR_ARRAY_IDX(world->asked, i, const char *), url) == 0;
    return count;
}

/** A page of people: words "id", "id:instructor", "id:inactive", joined by blanks. */
static const char *people(world_t *world, const char *words)
{
    apr_array_header_t *members = apr_array_make(world->pool, 64, sizeof(const char *));
    char *rest = apr_pstrdup(world->pool, words), *word, *last;

    for (word = apr_strtok(rest, " ", &last); word != NULL; word = apr_strtok(NULL, " ", &last)) {
        char *what = strchr(word, ':');

        if (what != NULL)
            *what++ = '\0';
        APR_ARRAY_PUSH(members, const char *) =
            apr_psprintf(world->pool, "{\"user_id\":\"%s\",\"name\":\"Name of %s\",\"roles\":[\"%s\"],\"status\":\"%s\"}", word,
                         word, what != NULL && strcmp(what, "instructor") == 0 ? INSTRUCTOR : LEARNER,
                         what != NULL && strcmp(what, "inactive") == 0 ? "Inactive" : "Active");
    }
    return apr_pstrcat(world->pool, "{\"id\":\"" ROSTER "\",\"context\":{\"id\":\"42\"},\"members\":[",
                       apr_array_pstrcat(world->pool, members, ','), "]}", NULL);
}

/** "u0 u1 u2 ..." from `first` up to, not including, `end`. */
static __attribute__((unused)) const char *crowd(world_t *world, int first, int end)
{
    char *words = apr_palloc(world->pool, (apr_size_t)(end - first) * 8 + 1), *at = words;
    int i;

    *at = '\0';
    for (i = first; i < end; i++)
        at += sprintf(at, "u%d ", i);
    return words;
}

/** The platform's roster is these pages from now on (NULL: no such page). */
static void roster_is(world_t *world, const char *page1, const char *page2, const char *page3)
{
    hush(world);
    say(world, (answer_t){.url = ROSTER, .body = people(world, page1), .next = page2 != NULL ? PAGE2 : NULL});
    if (page2 != NULL)
        say(world, (answer_t){.url = PAGE2, .body = people(world, page2), .next = page3 != NULL ? PAGE3 : NULL});
    if (page3 != NULL)
        say(world, (answer_t){.url = PAGE3, .body = people(world, page3)});
}

/* --- the transport ---------------------------------------------------------------------------------------------------------- */

static answer_t *answer_for(world_t *world, const char *url)
{
    answer_t *found = NULL;
    int i;

    for (i = 0; i < world->answers->nelts; i++) {
        answer_t *answer = APR_ARRAY_IDX(world->answers, i, answer_t *);

        if (strcmp(answer->url, url) != 0)
            continue;
        found = answer;
        if (!answer->used)
            break;
    }
    if (found == NULL && strcmp(url, TOKEN_URL) == 0) {
        found = apr_pcalloc(world->pool, sizeof(*found));
        found->status = 200;
        found->type = "application/json";
        found->body = apr_psprintf(world->pool,
                                   "{\"access_token\":\"token-%d\",\"token_type\":\"Bearer\",\"expires_in\":%d,\"scope\":\"%s\"}",
                                   ++world->tokens, world->token_lifetime, LTI_SCOPE_NRPS);
    }
    if (found == NULL)
        fail_msg("the engine asks for %s, of which the test says nothing", url);
    found->used = 1;
    return found;
}

static apr_status_t fake_submit(void *baton, const lti_http_request_t *request, lti_http_body_fn *on_body,
                                lti_http_done_fn *on_done, void *transfer_baton, lti_err_t *err)
{
    world_t *world = baton;
    transfer_t *transfer = calloc(1, sizeof(*transfer)), **link = &world->transfers;

    (void)err;
    assert_true(request->stall_seconds > 0);
    assert_true(request->total_seconds > 0 && request->total_seconds <= 601);
    transfer->url = apr_pstrdup(world->pool, request->url);
    transfer->answer = answer_for(world, request->url);
    transfer->on_body = on_body;
    transfer->on_done = on_done;
    transfer->baton = transfer_baton;
    if (request->bearer != NULL) {
        world->bearer = apr_pstrdup(world->pool, request->bearer);
        world->any_address = request->any_address;
    }
    APR_ARRAY_PUSH(world->asked, const char *) = transfer->url;
    while (*link != NULL)
        link = &(*link)->next;
    *link = transfer;
    return APR_SUCCESS;
}

static apr_status_t fake_body(transfer_t *transfer, lti_err_t *err)
{
    const char *body = transfer->answer->body != NULL ? transfer->answer->body : "";
    apr_size_t left = strlen(body), piece;
    apr_status_t rv = APR_SUCCESS;

    for (; left > 0 && rv == APR_SUCCESS; body += piece, left -= piece) {
        piece = left < 997 ? left : 997;
        rv = transfer->on_body(transfer->baton, body, piece, err);
    }
    return rv;
}

static void fake_answer(world_t *world, transfer_t *transfer)
{
    const answer_t *answer = transfer->answer;
    apr_table_t *headers = apr_table_make(world->pool, 2);
    lti_http_response_t response = {
        .status = answer->status, .headers = headers, .content_type = answer->type, .retry_after = answer->retry_after};
    lti_err_t err = {0};
    apr_status_t rv = APR_SUCCESS;

    if (world_dates) {
        char date[APR_RFC822_DATE_LEN];

        apr_rfc822_date(date, world_clock + world_delay / 2 + world_ahead);
        apr_table_set(headers, "Date", date);
        world_clock += world_delay;
    }
    if (answer->next != NULL)
        apr_table_add(headers, "Link", apr_psprintf(world->pool, "<%s>; rel=\"next\"", answer->next));
    if (answer->differences != NULL)
        apr_table_add(headers, "Link", apr_psprintf(world->pool, "<%s>; rel=\"differences\"", answer->differences));
    if (answer->fault != LTI_OK && answer->body == NULL)
        response.status = 0;
    if (answer->status == 200 && answer->body != NULL)
        rv = fake_body(transfer, &err);
    if (rv == APR_SUCCESS && answer->fault != LTI_OK)
        rv = lti_fail(&err, answer->fault, APR_EGENERAL, "the test says so");
    transfer->on_done(transfer->baton, rv, &response, answer->status == 200 ? NULL : answer->body, &err);
    if (strcmp(transfer->url, TOKEN_URL) == 0) {
        world_clock += world_jump;
        world_jump = 0;
    }
}

static int fake_poll(void *baton, apr_interval_time_t timeout)
{
    world_t *world = baton;
    transfer_t *transfer, **link = &world->transfers, *ready = NULL, **last = &ready;
    int going = 0, i;

    (void)timeout;
    for (i = 0; i < 2; i++)
        assert_int_equal(world->nodes[i].lent, 0);
    while ((transfer = *link) != NULL) {
        if (transfer->answer->hang) {
            going++;
            link = &transfer->next;
            continue;
        }
        *link = transfer->next;
        transfer->next = NULL;
        *last = transfer;
        last = &transfer->next;
    }
    while ((transfer = ready) != NULL) {
        ready = transfer->next;
        fake_answer(world, transfer);
        free(transfer);
    }
    return going;
}

/** The network goes away: whoever waits is told. */
static void fake_abort(world_t *world)
{
    lti_http_response_t response = {0};
    lti_err_t err = {0};
    transfer_t *transfer;

    lti_fail(&err, LTI_E_HTTP_ABORTED, APR_ECONNABORTED, "the server is stopping");
    while ((transfer = world->transfers) != NULL) {
        lti_err_t ignored;

        world->transfers = transfer->next;
        transfer->on_body(transfer->baton, "{", 1, &ignored);
        transfer->on_done(transfer->baton, APR_ECONNABORTED, &response, NULL, &err);
        free(transfer);
    }
}

/* --- the rest of the engine's surroundings --------------------------------------------------------------------------------- */

static lti_db_t *store_acquire(void *baton, lti_err_t *err)
{
    node_t *node = baton;

    if (node->store_away) {
        lti_fail(err, LTI_E_STORE, APR_EGENERAL, "away");
        return NULL;
    }
    assert_int_equal(node->lent, 0);
    node->lent++;
    return node->db;
}

static void store_release(void *baton, lti_db_t *db)
{
    node_t *node = baton;

    assert_ptr_equal(db, node->db);
    node->lent--;
}

static int is_stopping(void *baton)
{
    return ((node_t *)baton)->stopping;
}

static int was_kicked(void *baton)
{
    node_t *node = baton;
    int kicked = node->kicked;

    node->kicked = 0;
    return kicked;
}

static int admits_private(void *baton, const lti_platform_t *platform, const char *url)
{
    (void)baton;
    assert_non_null(platform);
    return strstr(url, "private") != NULL;
}

static void on_event(void *baton, const lti_event_t *event)
{
    node_t *node = baton;
    seen_event_t *seen;

    if (event->kind == LTI_EVENT_COURSES_STALE) {
        node->stale_unnamed += event->members;
        return;
    }
    if (event->kind == LTI_EVENT_COURSE_STALE) {
        node->stale++;
        apr_cpystrn(node->stale_key, event->course->key, sizeof(node->stale_key));
        return;
    }
    seen = apr_array_push(node->events);
    memset(seen, 0, sizeof(*seen));
    seen->kind = event->kind;
    if (event->err != NULL) {
        seen->code = event->err->code;
        memcpy(seen->text, event->err->text, sizeof(seen->text));
    }
    if (event->applied != NULL)
        seen->applied = *event->applied;
    if (event->remarks != NULL)
        apr_cpystrn(seen->remarks, event->remarks, sizeof(seen->remarks));
    seen->pages = event->pages;
    seen->members = event->members;
    seen->missing = event->missing;
    seen->due_at = event->due_at;
    assert_true(event->duration >= 0);
    if (event->kind <= LTI_EVENT_RUN_HELD)
        assert_non_null(event->course);
}

static apr_status_t close_database(void *data)
{
    node_t *node = data;

    apr_dbd_close(node->world->driver, node->handle);
    return APR_SUCCESS;
}

static void open_database(node_t *node)
{
    lti_err_t err = {0};
    const char *failed = NULL;

    if (apr_dbd_open_ex(node->world->driver, node->pool, node->world->path, &node->handle, &failed) != APR_SUCCESS)
        fail_msg("%s does not open: %s", node->world->path, failed != NULL ? failed : "?");
    apr_pool_cleanup_register(node->pool, node, close_database, apr_pool_cleanup_null);
    assert_ok(lti_db_wrap(&node->db, node->world->driver, node->handle, node->pool, &err), err);
}

static void create_engine(node_t *node)
{
    lti_err_t err = {0};

    assert_ok(lti_refresh_create(&node->engine, &node->options, node->pool, &err), err);
}

/** A process with its own connection, memory and engine. */
static node_t *begin_node(world_t *world, int number, apr_size_t memory)
{
    node_t *node = &world->nodes[number];
    lti_err_t err = {0};

    node->world = world;
    apr_pool_create(&node->pool, world->pool);
    node->events = apr_array_make(world->pool, 8, sizeof(seen_event_t));
    node->block = malloc(memory);
    assert_ok(lti_snapshot_format(&node->snapshot, node->block, memory, node->pool, &err), err);
    open_database(node);
    node->options = (lti_refresh_options_t){
        .platforms = world->platforms,
        .toolkeys = world_keys,
        .snapshot = node->snapshot,
        .transport = {fake_submit, fake_poll, world},
        .store = {store_acquire, store_release, node},
        .now = world_now,
        .stopping = is_stopping,
        .kicked = was_kicked,
        .on_event = on_event,
        .admits_private = admits_private,
        .baton = node,
        .node = number == 0 ? "node-a" : "node-b",
        .enabled = 1,
        .interval = MINUTES(15),
        .stall = apr_time_from_sec(60),
        .stale_after_min = MINUTES(30),
        .retain = HOURS(24 * 30),
        .dormant_after = HOURS(24 * 120),
        .stale_after_intervals = 3,
        .concurrency = 8,
        .drop_guard_percent = 50,
    };
    create_engine(node);
    return node;
}

/** The process is gone from one instruction to the next. */
static void kill_node(node_t *node)
{
    if (node->pool != NULL)
        apr_pool_destroy(node->pool);
    free(node->block);
    memset(node, 0, sizeof(*node));
}

static int world_setup(void **state)
{
    world_t *world;
    apr_pool_t *pool = NULL;
    int fd;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS)
        return -1;
    world = apr_pcalloc(pool, sizeof(*world));
    world->pool = pool;
    world_clock = START;
    world_jump = world_ahead = world_delay = 0;
    world_dates = 0;
    apr_cpystrn(world->path, "/tmp/lti-refresh-XXXXXX", sizeof(world->path));
    fd = mkstemp(world->path);
    if (fd < 0 || apr_dbd_get_driver(pool, "sqlite3", &world->driver) != APR_SUCCESS)
        return -1;
    close(fd);
    world->token_lifetime = 3600;
    world->answers = apr_array_make(pool, 16, sizeof(answer_t *));
    world->asked = apr_array_make(pool, 16, sizeof(const char *));
    world->platform = (lti_platform_t){
        .name = "campus",
        .issuer = ORIGIN,
        .client_id = "tool-77",
        .authorization_endpoint = ORIGIN "/auth",
        .token_endpoint = TOKEN_URL,
        .token_audience = TOKEN_URL,
        .key_set = ORIGIN "/jwks",
        .algorithms = LTI_ALG_DEFAULT,
        .deployments = LTI_DEPLOYMENT_ANY,
    };
    world->platforms = apr_array_make(pool, 1, sizeof(const lti_platform_t *));
    APR_ARRAY_PUSH(world->platforms, const lti_platform_t *) = &world->platform;
    *state = world;
    return 0;
}

static int world_teardown(void **state)
{
    world_t *world = *state;
    char side[80];

    kill_node(&world->nodes[0]);
    kill_node(&world->nodes[1]);
    fake_abort(world);
    unlink(world->path);
    apr_snprintf(side, sizeof(side), "%s-wal", world->path);
    unlink(side);
    apr_snprintf(side, sizeof(side), "%s-shm", world->path);
    unlink(side);
    apr_pool_destroy(world->pool);
    return 0;
}

static int world_group_setup(void **state)
{
    apr_array_header_t *pems;
    char *pem;

    (void)state;
    apr_initialize();
    apr_pool_create(&world_keys_pool, NULL);
    apr_dbd_init(world_keys_pool);
    pems = apr_array_make(world_keys_pool, 1, sizeof(const char *));
    if (lti_key_generate_pem(&pem, world_keys_pool, NULL) != APR_SUCCESS)
        return -1;
    APR_ARRAY_PUSH(pems, const char *) = pem;
    return lti_toolkeys_create(&world_keys, pems, world_keys_pool, NULL) == APR_SUCCESS ? 0 : -1;
}

static int world_group_teardown(void **state)
{
    (void)state;
    apr_pool_destroy(world_keys_pool);
    return 0;
}

/* --- what tests do and ask
 * ------------------------------------------------------------------------------------------------------ */

/** Somebody launches the course: it exists from now on, and is due. */
static void launch_with_groups(node_t *node, const char *key, const char *platform, const char *nrps_url, const char *groups_url)
{
    lti_course_t course = {
        .key = key,
        .platform = platform,
        .issuer = ORIGIN,
        .client_id = "tool-77",
        .deployment_id = "1",
        .context_id = strcmp(key, COURSE) == 0 ? "42" : apr_pstrcat(node->world->pool, "context of ", key, NULL),
        .label = "BIO 101",
        .title = "Biology",
        .nrps_url = nrps_url,
        .groups_url = groups_url,
        .launched_at = world_clock,
    };
    lti_err_t err = {0};

    assert_ok(lti_db_course_launched(node->db, &course, world_clock, node->world->pool, &err), err);
}

static void launch(node_t *node, const char *key, const char *platform, const char *nrps_url)
{
    launch_with_groups(node, key, platform, nrps_url, NULL);
}

/** Turns until nothing is going on. */
static void settle(node_t *node)
{
    int turns = 0;

    while (lti_refresh_turn(node->engine, 0) > 0) {
        if (++turns > 100000)
            fail_msg("the engine does not come to an end");
    }
}

/** A second later: the engine looks at the database again. */
static void next_second(node_t *node)
{
    world_clock += apr_time_from_sec(1);
    settle(node);
}

/** "Update now", and the engine does it. */
static __attribute__((unused)) void update_now(node_t *node)
{
    lti_err_t err = {0};

    world_clock += apr_time_from_sec(1);
    assert_ok(lti_db_course_request(node->db, COURSE, world_clock, node->world->pool, &err), err);
    node->kicked = 1;
    settle(node);
}

/** A node whose course was fetched for the first time from the three pages given. */
static __attribute__((unused)) node_t *begin_with(world_t *world, const char *page1, const char *page2, const char *page3)
{
    node_t *node = begin_node(world, 0, MEMORY);

    lti_refresh_turn(node->engine, 0);
    launch(node, COURSE, "campus", ROSTER);
    roster_is(world, page1, page2, page3);
    next_second(node);
    assert_int_equal(node->events->nelts, 1);
    assert_int_equal(APR_ARRAY_IDX(node->events, 0, seen_event_t).kind, LTI_EVENT_RUN_DONE);
    node->events->nelts = 0;
    world->asked->nelts = 0;
    return node;
}

/** The one event since the last call. */
static seen_event_t only_event(node_t *node, lti_event_kind_t kind, lti_code_t code)
{
    seen_event_t event;

    if (node->events->nelts != 1)
        fail_msg("%d events instead of one; the last is of kind %d: %s", node->events->nelts,
                 node->events->nelts > 0 ? (int)APR_ARRAY_IDX(node->events, node->events->nelts - 1, seen_event_t).kind : -1,
                 node->events->nelts > 0 ? APR_ARRAY_IDX(node->events, node->events->nelts - 1, seen_event_t).text : "");
    event = APR_ARRAY_IDX(node->events, 0, seen_event_t);
    node->events->nelts = 0;
    if (event.code != code)
        fail_msg("%s (%s) instead of %s", lti_err_info(event.code)->name, event.text, lti_err_info(code)->name);
    assert_int_equal(event.kind, kind);
    return event;
}

static __attribute__((unused)) lti_course_t *course_of(node_t *node, const char *key)
{
    lti_course_t *course = NULL;
    lti_err_t err = {0};

    assert_ok(lti_db_course_read(&course, node->db, key, node->world->pool, &err), err);
    return course;
}

/** "active", "inactive", "left", or "unknown", as shared memory has it; the database must say the same. */
static __attribute__((unused)) const char *standing(node_t *node, const char *user_id)
{
    lti_snapshot_member_t here;
    lti_snapshot_course_t course;
    lti_member_t *there = NULL;
    lti_err_t err = {0};
    lti_snapshot_result_t result = lti_snapshot_lookup(node->snapshot, COURSE, user_id, &course, &here);
    apr_status_t rv = lti_db_member_read(&there, node->db, COURSE, user_id, node->world->pool, &err);

    if (result != LTI_SNAPSHOT_MEMBER) {
        assert_int_equal(result, LTI_SNAPSHOT_NO_MEMBER);
        assert_int_equal(rv, APR_NOTFOUND);
        return "unknown";
    }
    assert_ok(rv, err);
    assert_int_equal(here.status, there->status);
    assert_int_equal(here.status_at, there->status_at);
    assert_int_equal(here.role_at, there->role_at);
    return lti_member_status_word(here.status);
}

static __attribute__((unused)) lti_roster_state_t published_state(node_t *node)
{
    lti_snapshot_course_t course;

    assert_int_not_equal(lti_snapshot_lookup(node->snapshot, COURSE, "nobody", &course, NULL), LTI_SNAPSHOT_UNKNOWN);
    return course.state;
}

static void sql(node_t *node, const char *statement)
{
    int rows = 0;
    int code = apr_dbd_query(node->world->driver, node->handle, &rows, statement);

    if (code != 0)
        fail_msg("%s: %s", statement, apr_dbd_error(node->world->driver, node->handle, code));
}

#endif
