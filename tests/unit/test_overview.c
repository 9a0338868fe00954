/* SPDX-License-Identifier: Apache-2.0 */
/* The room lti_overview, and the queries under it: health, what is wrong first, the list of courses, one course, people, platforms. */
#include "test_db_world.h"
#include "lti_json.h"
#include "lti_overview.h"

#define HOUR (3600 * SECOND)
#define SEARCH(...) courses(&s, (lti_overview_query_t){__VA_ARGS__}) /* without a limit: 50 */

typedef struct scene_t {
    world_t *w;
    lti_overview_t overview;
    lti_platform_t campus, other;
    json_t *answer;
} scene_t;

static scene_t prepare(void **state)
{
    scene_t s = {
        .w = *state,
        .campus = {.name = "campus", .family = LTI_FAMILY_MOODLE, .issuer = "https://lms.example.org", .client_id = "tool-77"},
        .other = {.name = "other",
                  .family = LTI_FAMILY_CANVAS,
                  .issuer = "https://canvas.example.org",
                  .client_id = "9",
                  .deployments = LTI_DEPLOYMENT_ASK}};

    s.overview = (lti_overview_t){.db = s.w->a->db,
                                  .base_url = "https://tool.example.org/lti",
                                  .fingerprint = "aabbccdd",
                                  .node_name = "node-a",
                                  .dormant_after = 120 * 24 * HOUR,
                                  .now = NOW + HOUR};
    return s;
}

/* For as long as the caller's scene lives. */
static void show(scene_t *s, int both)
{
    apr_array_header_t *platforms = apr_array_make(s->w->pool, 2, sizeof(const lti_platform_t *));

    APR_ARRAY_PUSH(platforms, const lti_platform_t *) = &s->campus;
    if (both)
        APR_ARRAY_PUSH(platforms, const lti_platform_t *) = &s->other;
    s->overview.platforms = platforms;
}

static const char *key_of(scene_t *s, int number)
{
    return apr_psprintf(s->w->pool, "course%010d", number);
}

/* A course in whatever standing; `set` are assignments in lti_sync. */
static void add(scene_t *s, int number, const char *platform, const char *title, const char *set)
{
    lti_course_t course = make_course(key_of(s, number), apr_itoa(s->w->pool, 7000 + number), URL);

    course.platform = platform;
    course.title = title;
    course.label = apr_psprintf(s->w->pool, "L%d", number);
    assert_ok(lti_db_course_launched(s->w->a->db, &course, NOW, s->w->pool, &s->w->err), s->w->err);
    raw(s->w->a, apr_psprintf(s->w->pool, "UPDATE lti_sync SET %s WHERE course_key = '%s'", set, course.key));
}

#define GOOD "state = 2, succeeded_at = 1760000000000000, stale_at = 1761000000000000, active = 20"
#define FAILS "state = 3, succeeded_at = 1760000000000000, stale_at = 1761000000000000, active = 20, failures = 3, "

static const json_t *courses(scene_t *s, lti_overview_query_t query)
{
    if (query.limit == 0)
        query.limit = 50;
    assert_ok(lti_overview_courses(&s->answer, &s->overview, &query, s->w->pool, &s->w->err), s->w->err);
    return s->answer;
}

static const char *text_at(const json_t *list, size_t place, const char *member)
{
    const char *text = json_string_value(json_object_get(json_array_get(list, place), member));

    return text != NULL ? text : "(none)";
}

static long long number_of(const json_t *object, const char *member)
{
    assert_true(json_is_integer(json_object_get(object, member)));
    return json_integer_value(json_object_get(object, member));
}

/* The titles of the rows, separated by bars. */
static const char *titles(scene_t *s, const json_t *answer)
{
    const json_t *rows = json_object_get(answer, "rows");
    const char *all = "";
    size_t i;

    for (i = 0; i < json_array_size(rows); i++)
        all = apr_pstrcat(s->w->pool, all, i > 0 ? "|" : "", text_at(rows, i, "title"), NULL);
    return all;
}

/* --- the list ------------------------------------------------------------------------------------------------------------ */

static void courses_are_found_by_part_of_their_names(void **state)
{
    scene_t s = prepare(state);

    show(&s, 1);
    add(&s, 1, "campus", "Biology I: Cells & Tissues", GOOD);
    add(&s, 2, "campus", "Biology II", GOOD);
    add(&s, 3, "other", "100% of x_y!", GOOD);
    add(&s, 4, "other", "<b>'; DROP TABLE lti_context; --</b>", GOOD);
    assert_string_equal(titles(&s, SEARCH(.search = "bioLOGY")), "Biology I: Cells & Tissues|Biology II");
    assert_string_equal(titles(&s, SEARCH(.search = "y I:")), "Biology I: Cells & Tissues");
    assert_string_equal(titles(&s, SEARCH(.search = "l3")), "100% of x_y!");
    assert_string_equal(titles(&s, SEARCH(.search = "7002")), "Biology II");
    assert_string_equal(titles(&s, SEARCH(.search = key_of(&s, 2))), "Biology II");
    /* What is special in a pattern, or in SQL, is a letter like others. */
    assert_string_equal(titles(&s, SEARCH(.search = "0%")), "100% of x_y!");
    assert_string_equal(titles(&s, SEARCH(.search = "0% ")), "100% of x_y!");
    assert_string_equal(titles(&s, SEARCH(.search = "x_y")), "100% of x_y!");
    assert_string_equal(titles(&s, SEARCH(.search = "i_l")), "");
    assert_string_equal(titles(&s, SEARCH(.search = "y!")), "100% of x_y!");
    assert_string_equal(titles(&s, SEARCH(.search = "'; drop")), "<b>'; DROP TABLE lti_context; --</b>");
    assert_string_equal(titles(&s, SEARCH(.search = "\\")), "");
    assert_string_equal(titles(&s, SEARCH(.search = "\xFF")), "");
    assert_string_equal(titles(&s, SEARCH(.platform = "other")), "100% of x_y!|<b>'; DROP TABLE lti_context; --</b>");
    assert_string_equal(titles(&s, SEARCH(.platform = "none")), "");
    assert_string_equal(titles(&s, SEARCH(.search = "biology", .platform = "other")), "");
    assert_int_equal(number_of(s.answer, "total"), 0);
    assert_int_equal(number_of(SEARCH(.search = "biology", .limit = 1), "total"), 2);
}

static void courses_come_in_each_order_and_page(void **state)
{
    static const struct {
        lti_overview_order_t order;
        const char *forth, *back;
    } orders[] = {{LTI_OVERVIEW_BY_NAME, "alpha|Beta|gamma", "gamma|Beta|alpha"},
                  {LTI_OVERVIEW_BY_PEOPLE, "gamma|alpha|Beta", "Beta|alpha|gamma"},
                  {LTI_OVERVIEW_BY_SUCCESS, "Beta|gamma|alpha", "alpha|gamma|Beta"},
                  {LTI_OVERVIEW_BY_NEXT, "gamma|Beta|alpha", "alpha|Beta|gamma"},
                  {LTI_OVERVIEW_BY_FAILURES, "alpha|gamma|Beta", "Beta|gamma|alpha"}};
    scene_t s = prepare(state);
    size_t i;
    int both;

    show(&s, 0);
    add(&s, 1, "campus", "alpha",
        "state = 3, active = 10, succeeded_at = 1760000000000003, due_at = 1760000000000009, failures = 7");
    add(&s, 2, "campus", "Beta", "state = 2, active = 5, succeeded_at = 1760000000000001, due_at = 1760000000000008, failures = 0");
    add(&s, 3, "campus", "gamma",
        "state = 3, active = 50, succeeded_at = 1760000000000002, due_at = 1760000000000007, failures = 1");
    /* All that there are; then those of this page among others. */
    for (both = 0; both < 2; both++) {
        for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
            assert_string_equal(titles(&s, SEARCH(.order = orders[i].order)), orders[i].forth);
            assert_int_equal(number_of(s.answer, "total"), 3);
            assert_string_equal(titles(&s, SEARCH(.order = orders[i].order, .backwards = 1)), orders[i].back);
            assert_string_equal(titles(&s, SEARCH(.order = orders[i].order, .limit = 1, .offset = 2)),
                                strrchr(orders[i].forth, '|') + 1);
        }
        if (!both)
            add(&s, 4, "other", "hidden", GOOD);
    }
    assert_string_equal(titles(&s, SEARCH(.limit = 1, .offset = 1)), "Beta");
    assert_int_equal(number_of(s.answer, "total"), 3);
    assert_int_equal(number_of(s.answer, "offset"), 1);
    assert_string_equal(titles(&s, SEARCH(.offset = 3)), "");
    assert_string_equal(titles(&s, SEARCH(.offset = -5, .limit = -7)), "alpha");
    assert_int_equal(number_of(SEARCH(.offset = 2000000), "offset"), 100000);
    assert_string_equal(titles(&s, SEARCH(.search = "hidden")), "");
    assert_string_equal(titles(&s, SEARCH(.platform = "other")), "");
}

static void courses_are_filtered_by_the_state_that_is_shown(void **state)
{
    scene_t s = prepare(state);

    show(&s, 0);
    add(&s, 1, "campus", "current", GOOD);
    add(&s, 2, "campus", "failing", FAILS "error_name = 'http-status'");
    add(&s, 3, "campus", "failing and stale", FAILS "error_name = 'http-status'");
    raw(s.w->a, "UPDATE lti_sync SET stale_at = 1760000000000001 WHERE course_key = 'course0000000003'");
    add(&s, 4, "campus", "held",
        "state = 4, succeeded_at = 1760000000000000, stale_at = 1761000000000000, active = 20, held_since = 1760000000000000, "
        "held_missing = 12");
    add(&s, 5, "campus", "pending", "state = 1");
    add(&s, 6, "campus", "none", "state = 0");
    assert_string_equal(titles(&s, SEARCH(.state = "current")), "current");
    assert_string_equal(titles(&s, SEARCH(.state = "failing")), "failing");
    assert_string_equal(titles(&s, SEARCH(.state = "stale")), "failing and stale");
    assert_string_equal(titles(&s, SEARCH(.state = "held")), "held");
    assert_string_equal(titles(&s, SEARCH(.state = "pending")), "pending");
    assert_string_equal(titles(&s, SEARCH(.state = "none")), "none");
    assert_string_equal(titles(&s, SEARCH(.state = "odd")), "");
    assert_string_equal(titles(&s, SEARCH(.state = "")), "current|failing|failing and stale|held|none|pending");
}

static void a_row_says_how_a_course_stands(void **state)
{
    scene_t s = prepare(state);
    const json_t *row, *diagnosis;

    show(&s, 0);
    add(&s, 1, "campus", "Biology",
        FAILS "error_name = 'scope-refused', error_text = 'HTTP 400, invalid_scope', due_at = 1760003660000000");
    row = json_array_get(json_object_get(SEARCH(.search = NULL), "rows"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "course")), key_of(&s, 1));
    assert_string_equal(json_string_value(json_object_get(row, "context_id")), "7001");
    assert_string_equal(json_string_value(json_object_get(row, "deployment")), "1");
    assert_string_equal(json_string_value(json_object_get(row, "state")), "failing");
    assert_string_equal(json_string_value(json_object_get(row, "succeeded_at")), "2025-10-09T08:53:20Z");
    assert_int_equal(number_of(row, "age"), 3600);
    assert_int_equal(number_of(row, "due_in"), 60);
    assert_int_equal(number_of(row, "failures"), 3);
    assert_true(json_is_false(json_object_get(row, "dormant")));
    assert_true(json_is_null(json_object_get(row, "roles")));
    diagnosis = json_object_get(row, "diagnosis");
    assert_string_equal(json_string_value(json_object_get(diagnosis, "state")), "scope-not-granted");
    assert_int_equal(number_of(diagnosis, "severity"), 3);
    assert_int_equal(json_array_size(json_object_get(diagnosis, "remedy")), 2);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(diagnosis, "remedy"), 0)), "In Moodle"));
    s.overview.now = NOW + 130 * 24 * HOUR;
    row = json_array_get(json_object_get(SEARCH(.search = NULL), "rows"), 0);
    assert_true(json_is_true(json_object_get(row, "dormant")));
    assert_string_equal(json_string_value(json_object_get(row, "state")), "stale");
}

static void roles_come_from_shared_memory(void **state)
{
    scene_t s = prepare(state);
    apr_size_t size = LTI_SNAPSHOT_MIN_SIZE;
    lti_snapshot_writer_t *writer;
    lti_snapshot_t *snapshot;
    lti_course_t course;
    const json_t *roles;

    show(&s, 0);
    launch(s.w, COURSE);
    run_roster(s.w, NOW, list_of(s.w, 3, person(s.w, "u1", TEACHER), person(s.w, "u2", LEARNER), person(s.w, "u3", LEARNER)), NULL);
    /* Not there yet: the list does not know, the page of the course asks the database. */
    assert_ok(lti_overview_course(&s.answer, &s.overview, COURSE, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(number_of(json_object_get(s.answer, "roles"), "learner"), 2);
    assert_ok(lti_snapshot_format(&snapshot, apr_palloc(s.w->pool, size), size, s.w->pool, &s.w->err), s.w->err);
    assert_ok(lti_snapshot_writer_create(&writer, snapshot, s.w->pool, &s.w->err), s.w->err);
    s.overview.snapshot = snapshot;
    assert_true(json_is_null(json_object_get(json_array_get(json_object_get(SEARCH(.search = NULL), "rows"), 0), "roles")));
    course = *read_course(s.w);
    assert_ok(lti_snapshot_begin(writer, &course, 1, &s.w->err), s.w->err);
    assert_ok(lti_snapshot_add(writer, person(s.w, "u1", TEACHER), &s.w->err), s.w->err);
    assert_ok(lti_snapshot_commit(writer, &s.w->err), s.w->err);
    roles = json_object_get(json_array_get(json_object_get(SEARCH(.search = NULL), "rows"), 0), "roles");
    assert_int_equal(json_object_size(roles), 1);
    assert_int_equal(number_of(roles, "instructor"), 1);
}

/* --- what is wrong, and health ------------------------------------------------------------------------------------------ */

static void what_is_worst_stands_first(void **state)
{
    scene_t s = prepare(state);
    json_t *problems;
    int i;

    show(&s, 0);
    add(&s, 1, "campus", "fine", GOOD);
    add(&s, 2, "campus", "held",
        "state = 4, succeeded_at = 1760000000000000, stale_at = 1761000000000000, active = 20, held_since = 1760000000000000, "
        "held_missing = 12");
    add(&s, 3, "campus", "refused", FAILS "error_name = 'scope-refused'");
    add(&s, 4, "campus", "patient", FAILS "error_name = 'roster-busy'");
    add(&s, 5, "campus", "suspect", GOOD ", suspect = 1");
    add(&s, 6, "campus", "empty", "state = 2, succeeded_at = 1760000000000000, stale_at = 1761000000000000, active = 0");
    add(&s, 7, "campus", "stopped", "state = 2, succeeded_at = 1760000000000000, stale_at = 1760000000000001, active = 20");
    add(&s, 8, "other", "hidden", FAILS "error_name = 'scope-refused'");
    raw(s.w->a, "UPDATE lti_context SET launched_at = launched_at + 60000000 WHERE course_key = 'course0000000007'");
    assert_ok(lti_overview_problems(&problems, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(json_array_size(problems), 7);
    assert_string_equal(text_at(problems, 0, "title"), "stopped");
    for (i = 0; i < 6; i++)
        assert_true(number_of(json_object_get(json_array_get(problems, (size_t)i), "diagnosis"), "severity") >=
                    number_of(json_object_get(json_array_get(problems, (size_t)i + 1), "diagnosis"), "severity"));
    /* The platform itself has not been launched, as far as is remembered: a note, before the patient course. */
    assert_string_equal(text_at(problems, 5, "kind"), "platform");
    assert_string_equal(text_at(problems, 6, "title"), "patient");
    assert_string_equal(text_at(problems, 6, "course"), key_of(&s, 4));
}

static void problems_have_an_end(void **state)
{
    scene_t s = prepare(state);
    json_t *problems, *health;
    int i;

    show(&s, 0);
    for (i = 0; i < LTI_OVERVIEW_PROBLEMS_MAX + 10; i++)
        add(&s, i, "campus", "refused", FAILS "error_name = 'scope-refused'");
    assert_ok(lti_overview_problems(&problems, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(json_array_size(problems), LTI_OVERVIEW_PROBLEMS_MAX);
    assert_ok(lti_overview_health(&health, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_string_equal(json_string_value(json_object_get(health, "sentence")), "60 of 60 courses need a look.");
}

/* Of a platform that was taken out of the configuration everything turns stale, and stays so. */
static void what_is_not_shown_takes_no_place(void **state)
{
    static const char *const standings[] = {"state = 3, succeeded_at = 1, stale_at = 1, failures = 3, suspect = 1",
                                            "state = 4, held_missing = 3, failures = 9", "state = 0", "state = 2, active = 0"};
    scene_t s = prepare(state);
    json_t *problems, *health;
    size_t kind;
    int i;

    show(&s, 0);
    for (kind = 0; kind < sizeof(standings) / sizeof(standings[0]); kind++) {
        for (i = 0; i < LTI_OVERVIEW_PROBLEMS_MAX; i++)
            add(&s, (int)kind * 100 + i, "other", "gone", standings[kind]);
        add(&s, (int)kind * 100 + 90, "campus", "ours", standings[kind]);
    }
    assert_ok(lti_overview_problems(&problems, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(json_array_size(problems), 5); /* the platform, which nobody has launched from, and a course of each kind */
    assert_ok(lti_overview_health(&health, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_string_equal(json_string_value(json_object_get(health, "state")), "error");
}

/* Counting is what grows with the courses, so that one page does it once. */
static void courses_are_counted_once_for_a_page(void **state)
{
    static const lti_overview_query_t first = {.limit = 10};
    scene_t s = prepare(state);
    apr_int64_t known = -1;
    json_t *health, *platforms, *courses;

    show(&s, 0);
    add(&s, 1, "campus", "one", GOOD);
    add(&s, 2, "campus", "two", GOOD);
    s.overview.known = &known;
    assert_ok(lti_overview_courses(&courses, &s.overview, &first, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(number_of(courses, "total"), 2); /* nobody has counted yet */
    assert_ok(lti_overview_health(&health, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(known, 2);
    known = 7;
    assert_ok(lti_overview_courses(&courses, &s.overview, &first, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(number_of(courses, "total"), 7);
    assert_ok(lti_overview_platforms(&platforms, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(number_of(json_array_get(platforms, 0), "courses"), 7);
}

static void health_counts_everything(void **state)
{
    scene_t s = prepare(state);
    const json_t *node;
    json_t *health;

    show(&s, 1);
    assert_ok(lti_overview_health(&health, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_string_equal(json_string_value(json_object_get(health, "state")), "note");
    assert_string_equal(json_string_value(json_object_get(health, "sentence")), "Nobody has opened the tool from a course yet.");
    raw(s.w->a,
        "INSERT INTO lti_platform (platform, launched_at) VALUES ('campus', 1760000000000000), ('other', 1760000000000000)");
    add(&s, 1, "campus", "one", GOOD ", due_at = 1760000000000000");
    add(&s, 2, "campus", "two", GOOD ", due_at = 1770000000000000");
    assert_ok(lti_db_node_write(s.w->a->db, "node-a", "{}", "aabbccdd", NOW, s.w->pool, &s.w->err), s.w->err);
    assert_ok(lti_overview_health(&health, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_string_equal(json_string_value(json_object_get(health, "state")), "well");
    assert_string_equal(json_string_value(json_object_get(health, "sentence")), "All is well: 2 courses, 40 people.");
    assert_int_equal(number_of(health, "due"), 1);
    assert_int_equal(number_of(json_object_get(health, "states"), "current"), 2);
    node = json_array_get(json_object_get(health, "nodes"), 0);
    assert_true(json_is_true(json_object_get(node, "here")) && json_is_true(json_object_get(node, "secret_agrees")));
    assert_int_equal(number_of(node, "age"), 3600);
    /* A node that has another secret breaks sessions, whatever the courses say. */
    assert_ok(lti_db_node_write(s.w->a->db, "node-b", "{}", "11223344", NOW, s.w->pool, &s.w->err), s.w->err);
    assert_ok(lti_overview_health(&health, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_string_equal(json_string_value(json_object_get(health, "state")), "error");
    assert_non_null(strstr(json_string_value(json_object_get(health, "sentence")), "LTISecretFile"));
    raw(s.w->a, "DELETE FROM lti_node WHERE node = 'node-b'");
    add(&s, 3, "campus", "three", FAILS "error_name = 'scope-refused'");
    raw(s.w->a, "INSERT INTO lti_deployment (platform, deployment_id, status) VALUES ('other', 'd1', 0)");
    assert_ok(lti_overview_health(&health, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_string_equal(json_string_value(json_object_get(health, "state")), "error");
    assert_string_equal(json_string_value(json_object_get(health, "sentence")),
                        "1 of 3 courses needs a look. One deployment waits to be accepted.");
    assert_int_equal(number_of(health, "deployments_waiting"), 1);
}

/* --- platforms ------------------------------------------------------------------------------------------------------------ */

static void platforms_tell_what_was_seen(void **state)
{
    scene_t s = prepare(state);
    const json_t *campus, *other;
    json_t *platforms;

    show(&s, 1);
    add(&s, 1, "campus", "one", GOOD);
    raw(s.w->a, "INSERT INTO lti_platform (platform, launched_at, token_at, scopes, clock_offset, clock_at) VALUES ('campus', "
                "1760000000000000, "
                "1760000000000000, 'https://a/x https://a/y', -3000000, 1760000000000000)");
    raw(s.w->a, "INSERT INTO lti_pace (platform, paused_until) VALUES ('campus', 1760007200000000)");
    raw(s.w->a, "INSERT INTO lti_deployment (platform, deployment_id, status, first_seen_at, seen_at, context_title) VALUES "
                "('other', 'd1', 0, "
                "1760000000000000, 1760000000000000, '<i>')");
    assert_ok(lti_db_old_launch_seen(s.w->a->db, "key", "abc", "canvas", "Old course", NOW, s.w->pool, &s.w->err), s.w->err);
    assert_ok(lti_overview_platforms(&platforms, &s.overview, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(json_array_size(platforms), 2);
    campus = json_array_get(platforms, 0);
    other = json_array_get(platforms, 1);
    assert_string_equal(json_string_value(json_object_get(campus, "family")), "moodle");
    assert_string_equal(json_string_value(json_object_get(json_object_get(campus, "urls"), "jwks")),
                        "https://tool.example.org/lti/jwks");
    assert_int_equal(json_array_size(json_object_get(json_object_get(campus, "token"), "scopes")), 2);
    assert_int_equal(number_of(campus, "clock_offset"), -3);
    assert_int_equal(number_of(campus, "courses"), 1);
    assert_string_equal(json_string_value(json_object_get(campus, "paused_until")), "2025-10-09T10:53:20Z");
    assert_string_equal(json_string_value(json_object_get(json_object_get(campus, "diagnosis"), "state")), "rate-limited");
    assert_string_equal(json_string_value(json_object_get(campus, "deployment_rule")), "any");
    assert_int_equal(json_array_size(json_object_get(campus, "old_launches")), 0);
    assert_true(json_is_null(json_object_get(other, "clock_offset")));
    assert_string_equal(json_string_value(json_object_get(other, "deployment_rule")), "ask");
    assert_string_equal(text_at(json_object_get(other, "deployments"), 0, "status"), "waiting");
    assert_string_equal(text_at(json_object_get(other, "deployments"), 0, "context_title"), "<i>");
    assert_string_equal(text_at(json_object_get(other, "old_launches"), 0, "context_title"), "Old course");
    assert_string_equal(json_string_value(json_object_get(json_object_get(other, "diagnosis"), "state")), "deployment");
}

/* --- one course, its people ----------------------------------------------------------------------------------------------- */

static void a_course_has_runs_events_and_holds(void **state)
{
    scene_t s = prepare(state);
    lti_db_run_t run = {.course_key = COURSE,
                        .run_id = "r1",
                        .node = "node-a",
                        .started_at = NOW,
                        .ended_at = NOW + 3 * SECOND / 2,
                        .pages = 2,
                        .members = 3,
                        .joined = 3};
    json_t *course = NULL, *held;

    show(&s, 0);
    assert_int_equal(lti_overview_course(&course, &s.overview, "nosuchcourse0000", s.w->pool, &s.w->err), APR_NOTFOUND);
    assert_int_equal(lti_overview_course(&course, &s.overview, "\xFF", s.w->pool, &s.w->err), APR_NOTFOUND);
    launch(s.w, COURSE);
    run_roster(s.w, NOW, list_of(s.w, 3, person(s.w, "u1", TEACHER), person(s.w, "u2", LEARNER), person(s.w, "u3", LEARNER)), NULL);
    assert_ok(lti_db_run_write(s.w->a->db, &run, s.w->pool, &s.w->err), s.w->err);
    run = (lti_db_run_t){.course_key = COURSE,
                         .run_id = "r2",
                         .node = "node-a",
                         .started_at = NOW + HOUR,
                         .ended_at = NOW + HOUR + SECOND,
                         .pages = 1,
                         .missing = 2,
                         .error_name = "http-status",
                         .error_text = "HTTP 500"};
    assert_ok(lti_db_run_write(s.w->a->db, &run, s.w->pool, &s.w->err), s.w->err);
    raw(s.w->a, "INSERT INTO lti_visit (course_key, user_id, first_at, launched_at) VALUES ('" COURSE
                "', 'u2', 1, 1760000000000000), ('" COURSE "', 'u9', 1, 2)");
    assert_ok(lti_overview_course(&course, &s.overview, COURSE, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(number_of(course, "active"), 3);
    assert_int_equal(number_of(course, "listed"), 3);
    assert_int_equal(number_of(course, "visitors"), 2);
    assert_int_equal(number_of(course, "visitors_recent"), 1);
    assert_true(json_is_null(json_object_get(course, "held")));
    assert_int_equal(json_array_size(json_object_get(course, "runs")), 2);
    assert_string_equal(text_at(json_object_get(course, "runs"), 0, "error"), "http-status");
    assert_non_null(json_string_value(json_object_get(json_array_get(json_object_get(course, "runs"), 0), "advice")));
    assert_int_equal(number_of(json_array_get(json_object_get(course, "runs"), 1), "joined"), 3);
    assert_int_equal(json_array_size(json_object_get(course, "events")), 3);
    assert_string_equal(text_at(json_object_get(course, "events"), 0, "event"), "joined");
    assert_int_equal(number_of(json_array_get(json_object_get(course, "events"), 0), "number"), 3);

    raw(s.w->a, "UPDATE lti_sync SET state = 4, held_since = 1760000000000000, held_missing = 2, held_accepted = 1");
    raw(s.w->a, "INSERT INTO lti_held (course_key, user_id) VALUES ('" COURSE "', 'u2'), ('" COURSE "', 'u3')");
    assert_ok(lti_overview_course(&course, &s.overview, COURSE, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(number_of(json_object_get(course, "held"), "missing"), 2);
    assert_true(json_is_true(json_object_get(json_object_get(course, "held"), "accepted")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(course, "diagnosis"), "state")), "held");
    assert_ok(lti_overview_held(&held, &s.overview, COURSE, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(json_array_size(held), 2);
    assert_string_equal(text_at(held, 0, "name"), "Name of u2");
    /* Of a platform that this page does not show. */
    raw(s.w->a, "UPDATE lti_context SET platform = 'other'");
    assert_int_equal(lti_overview_course(&course, &s.overview, COURSE, s.w->pool, &s.w->err), APR_NOTFOUND);
    assert_int_equal(lti_overview_held(&held, &s.overview, COURSE, s.w->pool, &s.w->err), APR_NOTFOUND);
}

/* A run that reads only what changed names few, and is no count of the platform's list. */
static void a_list_of_changes_is_no_count(void **state)
{
    scene_t s = prepare(state);
    lti_db_run_t whole = {
        .course_key = COURSE, .run_id = "r1", .node = "a", .started_at = NOW, .ended_at = NOW + SECOND, .members = 3, .joined = 3};
    lti_db_run_t changes = {.course_key = COURSE,
                            .run_id = "r2",
                            .node = "a",
                            .started_at = NOW + HOUR,
                            .ended_at = NOW + HOUR + SECOND,
                            .members = 1,
                            .changed = 1};
    json_t *course;

    show(&s, 0);
    launch(s.w, COURSE);
    run_roster(s.w, NOW, list_of(s.w, 1, person(s.w, "u1", TEACHER)), NULL);
    assert_ok(lti_db_run_write(s.w->a->db, &whole, s.w->pool, &s.w->err), s.w->err);
    assert_ok(lti_db_run_write(s.w->a->db, &changes, s.w->pool, &s.w->err), s.w->err);
    raw(s.w->a, apr_psprintf(s.w->pool,
                             "UPDATE lti_sync SET differences_url = 'https://lms.example.org/changes', full_at = %" APR_INT64_T_FMT,
                             NOW + SECOND));
    assert_ok(lti_overview_course(&course, &s.overview, COURSE, s.w->pool, &s.w->err), s.w->err);
    assert_int_equal(number_of(course, "listed"), 3);
}

static void people_come_in_pages(void **state)
{
    scene_t s = prepare(state);
    const char *after = "", *all = "";
    json_t *people;
    int pages = 0;

    show(&s, 0);
    launch(s.w, COURSE);
    run_roster(s.w, NOW,
               list_of(s.w, 5, person(s.w, "u1", TEACHER), person(s.w, "u2", LEARNER), person(s.w, "u3", LEARNER),
                       person(s.w, "u4", ""), person(s.w, "u5", LEARNER)),
               NULL);
    run_roster(s.w, NOW + HOUR, NULL, ids(s.w, 1, "u5"));
    raw(s.w->a,
        "INSERT INTO lti_visit (course_key, user_id, first_at, launched_at) VALUES ('" COURSE "', 'u2', 1, 1760000000000000)");
    while (after != NULL) {
        const json_t *rows;
        size_t i;

        assert_ok(lti_overview_people(&people, &s.overview, COURSE, after, 2, s.w->pool, &s.w->err), s.w->err);
        rows = json_object_get(people, "rows");
        for (i = 0; i < json_array_size(rows); i++)
            all = apr_pstrcat(s.w->pool, all, text_at(rows, i, "user_id"), " ", text_at(rows, i, "role"), " ",
                              text_at(rows, i, "status"), " ", text_at(rows, i, "launched_at"), "|", NULL);
        after = json_string_value(json_object_get(people, "next"));
        pages++;
    }
    assert_int_equal(pages, 3);
    assert_string_equal(all, "u1 instructor active (none)|u2 learner active 2025-10-09T08:53:20Z|u3 learner active (none)|u4 none "
                             "active (none)|u5 learner left (none)|");
    assert_int_equal(lti_overview_people(&people, &s.overview, "nosuchcourse0000", "", 2, s.w->pool, &s.w->err), APR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(courses_are_found_by_part_of_their_names),
        WORLD_TEST(courses_come_in_each_order_and_page),
        WORLD_TEST(courses_are_filtered_by_the_state_that_is_shown),
        WORLD_TEST(a_row_says_how_a_course_stands),
        WORLD_TEST(roles_come_from_shared_memory),
        WORLD_TEST(what_is_worst_stands_first),
        WORLD_TEST(problems_have_an_end),
        WORLD_TEST(what_is_not_shown_takes_no_place),
        WORLD_TEST(courses_are_counted_once_for_a_page),
        WORLD_TEST(health_counts_everything),
        WORLD_TEST(platforms_tell_what_was_seen),
        WORLD_TEST(a_course_has_runs_events_and_holds),
        WORLD_TEST(a_list_of_changes_is_no_count),
        WORLD_TEST(people_come_in_pages),
    };

    return cmocka_run_group_tests_name("overview", tests, NULL, NULL);
}
