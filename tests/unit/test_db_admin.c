/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator is shown: launches, facts of platforms, whom a run holds, names to sort by. */
#include "test_db_world.h"

#include "lti_groups.h"
#include "lti_token.h"

#define MINUTE (60 * SECOND)
#define DAY (86400 * SECOND)
#define OTHER "ddddccccbbbbaaaa"

static apr_pool_t *test_pool; /* of what callbacks write down */

/* --- launches --------------------------------------------------------------------------------------------------- */

static apr_status_t write_visit(world_t *w, const char *course_key, const char *platform, const char *user_id, apr_time_t at)
{
    apr_array_header_t *list = apr_array_make(w->pool, 1, sizeof(lti_db_visit_t));

    APR_ARRAY_PUSH(list, lti_db_visit_t) =
        (lti_db_visit_t){.course_key = course_key, .platform = platform, .user_id = user_id, .launched_at = at};
    return lti_db_visits_write(w->a->db, list, w->pool, &w->err);
}

static void visit(world_t *w, const char *user_id, apr_time_t at)
{
    assert_ok(write_visit(w, COURSE, "campus", user_id, at), w->err);
}

static apr_int64_t column_of(world_t *w, const char *column, const char *user_id)
{
    return ask_number(w->a, apr_psprintf(w->pool, "SELECT %s FROM lti_visit WHERE course_key = '%s' AND user_id = '%s'", column,
                                         COURSE, user_id));
}

static void a_launch_is_remembered_to_ten_minutes(void **state)
{
    world_t *w = *state;

    visit(w, "ada", NOW);
    assert_true(column_of(w, "first_at", "ada") == NOW && column_of(w, "launched_at", "ada") == NOW);
    visit(w, "ada", NOW + 10 * MINUTE);
    assert_true(column_of(w, "launched_at", "ada") == NOW);
    visit(w, "ada", NOW + 10 * MINUTE + 1);
    assert_true(column_of(w, "first_at", "ada") == NOW && column_of(w, "launched_at", "ada") == NOW + 10 * MINUTE + 1);
    visit(w, "ada", NOW + 5 * MINUTE);
    assert_true(column_of(w, "launched_at", "ada") == NOW + 10 * MINUTE + 1);
}

static void a_platform_is_remembered_to_a_minute(void **state)
{
    static const char launched[] = "SELECT launched_at FROM lti_platform WHERE platform = 'campus'";
    world_t *w = *state;

    visit(w, "ada", NOW);
    assert_true(ask_number(w->a, launched) == NOW);
    visit(w, "bob", NOW + MINUTE);
    assert_true(ask_number(w->a, launched) == NOW);
    assert_ok(write_visit(w, "", "campus", "", NOW + MINUTE + 1), w->err);
    assert_true(ask_number(w->a, launched) == NOW + MINUTE + 1);
}

static void launches_without_a_course_or_a_person_tell_of_the_platform_only(void **state)
{
    world_t *w = *state;

    assert_ok(write_visit(w, "", "campus", "ada", NOW), w->err);
    assert_ok(write_visit(w, COURSE, "campus", "", NOW + 1), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_visit"), 0);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_platform"), 1);
}

/* More than a statement holds, some of them twice. */
static void many_launches_are_written_at_once(void **state)
{
    world_t *w = *state;
    apr_array_header_t *list = apr_array_make(w->pool, 300, sizeof(lti_db_visit_t));
    lti_db_visitors_t visitors;
    int i;

    for (i = 0; i < 260; i++) {
        APR_ARRAY_PUSH(list, lti_db_visit_t) = (lti_db_visit_t){.course_key = i % 2 ? COURSE : OTHER,
                                                                .platform = i % 3 ? "campus" : "other",
                                                                .user_id = apr_psprintf(w->pool, "u%d", i / 4),
                                                                .launched_at = NOW + i};
    }
    assert_ok(lti_db_visits_write(w->a->db, list, w->pool, &w->err), w->err);
    assert_ok(lti_db_visits_count(&visitors, w->a->db, COURSE, NOW + 200, w->pool, &w->err), w->err);
    assert_int_equal(visitors.people, 65);
    assert_int_equal(visitors.recent, 15);
    assert_true(column_of(w, "launched_at", "u10") == NOW + 43);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_platform"), 2);
}

static apr_status_t race_visits(racer_t *racer)
{
    apr_array_header_t *list = apr_array_make(racer->pool, 60, sizeof(lti_db_visit_t));
    int i;

    for (i = 0; i < 60; i++) {
        APR_ARRAY_PUSH(list, lti_db_visit_t) =
            (lti_db_visit_t){.course_key = COURSE,
                             .platform = "campus",
                             .user_id = apr_psprintf(racer->pool, "u%d", (i + racer->number) % 60),
                             .launched_at = NOW + racer->number};
    }
    return lti_db_visits_write(racer->conn->db, list, racer->pool, &racer->err);
}

static void several_nodes_write_the_same_people(void **state)
{
    world_t *w = *state;
    racer_t racers[RACERS];
    int i;

    race(racers, w, race_visits);
    for (i = 0; i < RACERS; i++)
        assert_ok(racers[i].rv, racers[i].err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_visit"), 60);
}

static void ids_that_are_nearly_the_same_are_two_people(void **state)
{
    world_t *w = *state;

    visit(w, "ada", NOW);
    visit(w, "Ada", NOW);
    visit(w, "ada ", NOW);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_visit"), 3);
}

static void launches_are_forgotten_after_400_days(void **state)
{
    world_t *w = *state;

    visit(w, "ada", NOW);
    visit(w, "bob", NOW + DAY);
    assert_ok(lti_db_purge(w->a->db, NOW + 400 * DAY + 1, NOW, NOW, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_visit WHERE user_id = 'ada'"), 0);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_visit"), 1);
}

/* --- held against the roster ---------------------------------------------------------------------------------------- */

static lti_db_match_t match_at(world_t *w, apr_time_t since, apr_time_t before)
{
    lti_db_match_t match = {.launched = -1};

    assert_ok(lti_db_visits_match(&match, w->a->db, COURSE, since, before, w->pool, &w->err), w->err);
    return match;
}

static void outsiders_are_who_launched_and_was_never_named(void **state)
{
    world_t *w = *state;
    lti_db_match_t match;

    launch(w, COURSE);
    run_roster(w, NOW + MINUTE, list_of(w, 3, person(w, "ada", LEARNER), person(w, "bob", LEARNER), person(w, "gone", LEARNER)),
               NULL);
    run_roster(w, NOW + 2 * MINUTE, NULL, ids(w, 1, "gone"));
    match = match_at(w, 0, NOW + 2 * MINUTE);
    assert_int_equal(match.launched, 0);
    assert_int_equal(match.outsiders, 0);
    visit(w, "ada", NOW);
    visit(w, "gone", NOW);
    visit(w, "eve", NOW);
    visit(w, "new", NOW + 3 * MINUTE); /* since the list was read */
    assert_ok(write_visit(w, OTHER, "campus", "mia", NOW), w->err);
    match = match_at(w, 0, NOW + 2 * MINUTE);
    assert_int_equal(match.launched, 1);
    assert_int_equal(match.outsiders, 1);
    assert_int_equal(match.suspect, 0);
    assert_int_equal(match_at(w, NOW + 1, NOW + 2 * MINUTE).outsiders, 0);
    assert_int_equal(lti_db_visits_match(&match, w->a->db, OTHER, 0, NOW, w->pool, &w->err), APR_NOTFOUND);
}

static void a_suspicion_is_kept(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    assert_ok(lti_db_suspect_write(w->a->db, COURSE, 1, w->pool, &w->err), w->err);
    assert_int_equal(match_at(w, 0, NOW).suspect, 1);
    assert_ok(lti_db_suspect_write(w->a->db, COURSE, 0, w->pool, &w->err), w->err);
    assert_int_equal(match_at(w, 0, NOW).suspect, 0);
}

static apr_status_t add_person(void *baton, const lti_member_t *member, apr_time_t launched_at, lti_err_t *err)
{
    const char **text = baton;

    (void)err;
    *text = apr_psprintf(test_pool, "%s%s/%s/%" APR_TIME_T_FMT " ", *text, member->user_id, lti_member_status_word(member->status),
                         launched_at == 0 ? 0 : launched_at - NOW);
    return APR_SUCCESS;
}

static const char *page_of(world_t *w, const char *after, int max)
{
    const char *text = "";

    test_pool = w->pool;
    assert_ok(lti_db_people_each(w->a->db, COURSE, after, max, add_person, &text, w->pool, &w->err), w->err);
    return text;
}

static void people_come_with_their_last_launch(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 3, person(w, "ada", LEARNER), person(w, "bob", LEARNER), person(w, "cyd", LEARNER)), NULL);
    run_roster(w, NOW + MINUTE, NULL, ids(w, 1, "bob"));
    visit(w, "bob", NOW + 5);
    visit(w, "cyd", NOW + 7);
    visit(w, "eve", NOW + 9);
    assert_string_equal(page_of(w, "", 2), "ada/active/0 bob/left/5 ");
    assert_string_equal(page_of(w, "bob", 2), "cyd/active/7 ");
    assert_string_equal(page_of(w, "\xff", 2), "");
}

/* --- platforms ------------------------------------------------------------------------------------------------------ */

#define A_SCOPE LTI_SCOPE_NRPS
#define B_SCOPE LTI_SCOPE_GROUPS

static lti_db_platform_t facts_of(world_t *w)
{
    lti_db_platform_t facts;

    assert_ok(lti_db_platform_read(&facts, w->a->db, "campus", w->pool, &w->err), w->err);
    return facts;
}

static void token(world_t *w, const char *scope, const char *granted, apr_time_t now)
{
    assert_ok(lti_db_platform_token(w->a->db, "campus", scope, granted, now, w->pool, &w->err), w->err);
}

static void refusal(world_t *w, const char *scope, const char *name, const char *text, apr_time_t now)
{
    assert_ok(lti_db_platform_refused(w->a->db, "campus", scope, name, text, now, w->pool, &w->err), w->err);
}

static void nothing_is_known_of_a_new_platform(void **state)
{
    lti_db_platform_t facts = facts_of(*state);

    assert_string_equal(facts.platform, "campus");
    assert_null(facts.scopes);
    assert_null(facts.error_name);
    assert_true(facts.launched_at == 0 && facts.token_at == 0 && facts.error_at == 0 && facts.clock_at == 0);
}

static void a_token_is_remembered_to_ten_minutes(void **state)
{
    world_t *w = *state;

    token(w, A_SCOPE, NULL, NOW);
    assert_true(facts_of(w).token_at == NOW);
    assert_string_equal(facts_of(w).scopes, A_SCOPE);
    token(w, A_SCOPE, A_SCOPE, NOW + 10 * MINUTE);
    assert_true(facts_of(w).token_at == NOW);
    token(w, A_SCOPE, A_SCOPE, NOW + 11 * MINUTE);
    assert_true(facts_of(w).token_at == NOW + 11 * MINUTE);
    /* The clock was ahead. */
    token(w, A_SCOPE, A_SCOPE, NOW);
    assert_true(facts_of(w).token_at == NOW);
}

static void scopes_of_several_tokens_are_one_list(void **state)
{
    world_t *w = *state;

    token(w, A_SCOPE, A_SCOPE, NOW);
    token(w, B_SCOPE, B_SCOPE "  openid " B_SCOPE, NOW + 1);
    assert_string_equal(facts_of(w).scopes, A_SCOPE " " B_SCOPE " openid");
    refusal(w, B_SCOPE, NULL, NULL, NOW + 2);
    assert_string_equal(facts_of(w).scopes, A_SCOPE " openid");
    assert_null(facts_of(w).error_name);
    assert_true(facts_of(w).error_at == 0);
}

static void a_refusal_is_remembered_until_a_token_is_given(void **state)
{
    world_t *w = *state;

    token(w, A_SCOPE, A_SCOPE, NOW);
    refusal(w, NULL, "token-refused", "HTTP 400, invalid_client\xff", NOW + MINUTE);
    assert_string_equal(facts_of(w).error_name, "token-refused");
    assert_string_equal(facts_of(w).error_text, "HTTP 400, invalid_client?");
    assert_true(facts_of(w).error_at == NOW + MINUTE && facts_of(w).token_at == NOW);
    assert_string_equal(facts_of(w).scopes, A_SCOPE);
    refusal(w, NULL, "token-refused", "HTTP 400, invalid_client\xff", NOW + 2 * MINUTE);
    assert_true(facts_of(w).error_at == NOW + MINUTE);
    refusal(w, A_SCOPE, "scope-refused", "HTTP 400", NOW + 3 * MINUTE);
    assert_string_equal(facts_of(w).error_name, "scope-refused");
    assert_null(facts_of(w).scopes);
    refusal(w, B_SCOPE, NULL, NULL, NOW + 4 * MINUTE);
    assert_string_equal(facts_of(w).error_name, "scope-refused");
    token(w, A_SCOPE, A_SCOPE, NOW + 5 * MINUTE);
    assert_null(facts_of(w).error_name);
    assert_null(facts_of(w).error_text);
    assert_true(facts_of(w).error_at == 0 && facts_of(w).token_at == NOW + 5 * MINUTE);
}

static void a_clock_is_written_when_it_moves(void **state)
{
    world_t *w = *state;

    assert_ok(lti_db_platform_clock(w->a->db, "campus", 0, NOW, w->pool, &w->err), w->err);
    assert_true(facts_of(w).clock_at == NOW && facts_of(w).clock_offset == 0);
    assert_ok(lti_db_platform_clock(w->a->db, "campus", -SECOND, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_true(facts_of(w).clock_at == NOW);
    assert_ok(lti_db_platform_clock(w->a->db, "campus", -40 * SECOND, NOW + MINUTE, w->pool, &w->err), w->err);
    assert_true(facts_of(w).clock_at == NOW + MINUTE && facts_of(w).clock_offset == -40 * SECOND);
    assert_ok(lti_db_platform_clock(w->a->db, "campus", -40 * SECOND, NOW + 12 * MINUTE, w->pool, &w->err), w->err);
    assert_true(facts_of(w).clock_at == NOW + 12 * MINUTE);
}

static apr_status_t add_platform(void *baton, const lti_db_platform_t *facts, lti_err_t *err)
{
    const char **text = baton;

    (void)err;
    *text = apr_pstrcat(test_pool, *text, facts->platform, facts->error_name != NULL ? "! " : " ", NULL);
    return APR_SUCCESS;
}

static void platforms_come_in_order_of_their_names(void **state)
{
    world_t *w = *state;
    const char *text = "";

    test_pool = w->pool;
    assert_ok(write_visit(w, "", "zoo", "", NOW), w->err);
    assert_ok(write_visit(w, "", "Zoo", "", NOW), w->err);
    refusal(w, NULL, "token-refused", NULL, NOW);
    assert_ok(lti_db_platforms_each(w->a->db, add_platform, &text, w->pool, &w->err), w->err);
    assert_string_equal(text, "Zoo campus! zoo ");
}

/* --- whom a run holds ------------------------------------------------------------------------------------------------ */

static const unsigned char first_digest[LTI_DIGEST_SIZE] = {1, 2, 3}, second_digest[LTI_DIGEST_SIZE] = {4, 5, 6};

static void hold(world_t *w, apr_time_t requested_at, const unsigned char *digest, const apr_array_header_t *held)
{
    lti_applied_t applied;
    lti_apply_t apply;

    lease(w, requested_at);
    apply = make_apply(w, requested_at, 0, NULL);
    apply.state = LTI_ROSTER_HELD;
    apply.held_digest = digest;
    apply.held_missing = held != NULL ? held->nelts : 2;
    apply.held_people = held;
    assert_ok(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err);
}

static apr_status_t add_held(void *baton, const lti_member_t *member, lti_err_t *err)
{
    const char **text = baton;

    (void)err;
    *text = apr_pstrcat(test_pool, *text, member->user_id, ":", member->name, " ", NULL);
    return APR_SUCCESS;
}

static const char *held_of(world_t *w)
{
    const char *text = "";

    test_pool = w->pool;
    assert_ok(lti_db_held_each(w->a->db, COURSE, add_held, &text, w->pool, &w->err), w->err);
    return text;
}

static void three_people(world_t *w)
{
    launch(w, COURSE);
    run_roster(w, NOW, list_of(w, 3, person(w, "ada", LEARNER), person(w, "bob", LEARNER), person(w, "cyd", LEARNER)), NULL);
}

static void whom_a_run_holds_is_known_while_it_holds(void **state)
{
    world_t *w = *state;

    three_people(w);
    assert_string_equal(held_of(w), "");
    hold(w, NOW + MINUTE, first_digest, ids(w, 2, "cyd", "bob"));
    assert_string_equal(held_of(w), "bob:Name of bob cyd:Name of cyd ");
    /* The same people: a run whose second walk failed does not name them again. */
    hold(w, NOW + 2 * MINUTE, first_digest, NULL);
    assert_string_equal(held_of(w), "bob:Name of bob cyd:Name of cyd ");
    hold(w, NOW + 3 * MINUTE, second_digest, ids(w, 1, "ada"));
    assert_string_equal(held_of(w), "ada:Name of ada ");
    run_roster(w, NOW + 4 * MINUTE, NULL, ids(w, 1, "ada"));
    assert_string_equal(held_of(w), "");
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_held"), 0);
}

static void more_than_a_thousand_are_only_counted(void **state)
{
    world_t *w = *state;
    apr_array_header_t *everybody = people(w, "u", 1030), *list = apr_array_make(w->pool, 1030, sizeof(const char *));
    lti_hold_t held;
    int i;

    launch(w, COURSE);
    run_roster(w, NOW, everybody, NULL);
    for (i = 0; i < everybody->nelts; i++)
        APR_ARRAY_PUSH(list, const char *) = APR_ARRAY_IDX(everybody, i, lti_member_t *)->user_id;
    hold(w, NOW + MINUTE, first_digest, list);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_held"), LTI_DB_HELD_MAX);
    assert_ok(lti_db_hold_read(&held, w->a->db, COURSE, w->pool, &w->err), w->err);
    assert_int_equal(held.missing, 1030);
}

static void an_acceptance_makes_the_course_due(void **state)
{
    world_t *w = *state;
    lti_hold_t held;

    three_people(w);
    assert_int_equal(lti_db_hold_accept(w->a->db, COURSE, 0, NOW, w->pool, &w->err), APR_NOTFOUND);
    assert_int_equal(lti_db_hold_accept(w->a->db, OTHER, 0, NOW, w->pool, &w->err), APR_NOTFOUND);
    assert_int_equal(lti_db_hold_accept(w->a->db, "\xff", 0, NOW, w->pool, &w->err), APR_NOTFOUND);
    hold(w, NOW + MINUTE, first_digest, ids(w, 2, "cyd", "bob"));
    assert_true(read_course(w)->due_at == NOW + 900 * SECOND);
    /* Others than were shown. */
    assert_int_equal(lti_db_hold_accept(w->a->db, COURSE, 1, NOW + 2 * MINUTE, w->pool, &w->err), APR_NOTFOUND);
    assert_ok(lti_db_hold_read(&held, w->a->db, COURSE, w->pool, &w->err), w->err);
    assert_int_equal(held.accepted, 0);
    assert_ok(lti_db_hold_accept(w->a->db, COURSE, 2, NOW + 2 * MINUTE, w->pool, &w->err), w->err);
    assert_ok(lti_db_hold_read(&held, w->a->db, COURSE, w->pool, &w->err), w->err);
    assert_int_equal(held.accepted, 1);
    assert_true(read_course(w)->due_at == NOW + 2 * MINUTE);
}

/* --- names to sort by ------------------------------------------------------------------------------------------------ */

static const char *sort_name(world_t *w)
{
    return ask(w->a, "SELECT sort_name FROM lti_context WHERE course_key = '" COURSE "'");
}

static void course_says(world_t *w, const char *title, const char *label, apr_time_t at)
{
    lti_course_t course = make_course(COURSE, "Ctx-7", URL);

    course.title = title;
    course.label = label;
    course.launched_at = at;
    assert_ok(lti_db_course_launched(w->a->db, &course, at, w->pool, &w->err), w->err);
}

static void the_name_to_sort_by_follows_the_launches(void **state)
{
    world_t *w = *state;

    course_says(w, NULL, NULL, NOW);
    assert_string_equal(sort_name(w), "ctx-7");
    course_says(w, NULL, "BIO-1", NOW + 1);
    assert_string_equal(sort_name(w), "bio-1");
    course_says(w, "Biology ONE", NULL, NOW + 2);
    assert_string_equal(sort_name(w), "biology one");
    course_says(w, NULL, NULL, NOW + 3 * MINUTE);
    assert_string_equal(sort_name(w), "biology one");
}

static void the_name_to_sort_by_is_cut_at_a_character(void **state)
{
    world_t *w = *state;
    char title[3 * 120 + 1];
    int i;

    for (i = 0; i < 120; i++)
        memcpy(title + 3 * i, "\xe8\xaa\x9e", 3);
    title[3 * 120] = '\0';
    course_says(w, title, NULL, NOW);
    title[3 * 100] = '\0';
    assert_string_equal(sort_name(w), title);
}

static void a_named_course_has_a_name_to_sort_by(void **state)
{
    world_t *w = *state;
    lti_course_t course = make_course(COURSE, "Ctx-7", URL);

    course.title = course.label = NULL;
    course.launched_at = 0;
    assert_ok(lti_db_course_named(w->a->db, &course, NOW, w->pool, &w->err), w->err);
    assert_string_equal(sort_name(w), "ctx-7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_launch_is_remembered_to_ten_minutes),
        WORLD_TEST(a_platform_is_remembered_to_a_minute),
        WORLD_TEST(launches_without_a_course_or_a_person_tell_of_the_platform_only),
        WORLD_TEST(many_launches_are_written_at_once),
        WORLD_TEST(several_nodes_write_the_same_people),
        WORLD_TEST(ids_that_are_nearly_the_same_are_two_people),
        WORLD_TEST(launches_are_forgotten_after_400_days),
        WORLD_TEST(outsiders_are_who_launched_and_was_never_named),
        WORLD_TEST(a_suspicion_is_kept),
        WORLD_TEST(people_come_with_their_last_launch),
        WORLD_TEST(nothing_is_known_of_a_new_platform),
        WORLD_TEST(a_token_is_remembered_to_ten_minutes),
        WORLD_TEST(scopes_of_several_tokens_are_one_list),
        WORLD_TEST(a_refusal_is_remembered_until_a_token_is_given),
        WORLD_TEST(a_clock_is_written_when_it_moves),
        WORLD_TEST(platforms_come_in_order_of_their_names),
        WORLD_TEST(whom_a_run_holds_is_known_while_it_holds),
        WORLD_TEST(more_than_a_thousand_are_only_counted),
        WORLD_TEST(an_acceptance_makes_the_course_due),
        WORLD_TEST(the_name_to_sort_by_follows_the_launches),
        WORLD_TEST(the_name_to_sort_by_is_cut_at_a_character),
        WORLD_TEST(a_named_course_has_a_name_to_sort_by),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
