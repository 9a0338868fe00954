/* SPDX-License-Identifier: Apache-2.0 */
/* What the refresh engine writes: leases, staging, applying (Invariants 2 and 3), failing, holding, purging. */
#include "test_db_world.h"

/* --- due courses --------------------------------------------------------------------------------------------- */

static apr_array_header_t *due(world_t *w, apr_time_t now, int max)
{
    apr_array_header_t *keys = NULL;

    assert_ok(lti_db_due_each(&keys, w->a->db, now, NULL, NULL, max, w->pool, &w->err), w->err);
    return keys;
}

static void set_due(world_t *w, const char *key, apr_time_t due_at)
{
    raw(w->a, apr_psprintf(w->pool, "UPDATE lti_sync SET due_at = %" APR_INT64_T_FMT " WHERE course_key = '%s'", due_at, key));
}

static void the_longest_due_course_comes_first(void **state)
{
    world_t *w = *state;
    apr_array_header_t *keys;

    launch(w, "aaaaaaaaaaaaaaaa");
    launch(w, "bbbbbbbbbbbbbbbb");
    launch(w, "cccccccccccccccc");
    set_due(w, "aaaaaaaaaaaaaaaa", NOW + 3);
    set_due(w, "bbbbbbbbbbbbbbbb", NOW + 1);
    set_due(w, "cccccccccccccccc", NOW + 2);
    assert_int_equal(due(w, NOW, 10)->nelts, 0);
    keys = due(w, NOW + 2, 10);
    assert_int_equal(keys->nelts, 2);
    assert_string_equal(APR_ARRAY_IDX(keys, 0, lti_db_due_t).course_key, "bbbbbbbbbbbbbbbb");
    assert_string_equal(APR_ARRAY_IDX(keys, 1, lti_db_due_t).course_key, "cccccccccccccccc");
    keys = due(w, NOW + 3, 1);
    assert_int_equal(keys->nelts, 1);
    assert_string_equal(APR_ARRAY_IDX(keys, 0, lti_db_due_t).course_key, "bbbbbbbbbbbbbbbb");
}

static void a_leased_course_is_not_due_until_the_lease_ends(void **state)
{
    world_t *w = *state;

    launch(w, COURSE);
    lease(w, NOW);
    assert_int_equal(due(w, NOW + 59 * SECOND, 10)->nelts, 0);
    assert_int_equal(due(w, NOW + 60 * SECOND, 10)->nelts, 1);
}

static void update_now_makes_a_course_due_whatever_the_backoff(void **state)
{
    world_t *w = *state;
    lti_course_t quiet = make_course("qqqqqqqqqqqqqqqq", "9", NULL);

    launch(w, COURSE);
    set_due(w, COURSE, NOW + 86400 * SECOND);
    assert_int_equal(lti_db_course_request(w->a->db, "zzzzzzzzzzzzzzzz", NOW, w->pool, &w->err), APR_NOTFOUND);
    assert_int_equal(lti_db_course_request(w->a->db, "\xFF", NOW, w->pool, &w->err), APR_NOTFOUND);
    assert_ok(lti_db_course_request(w->a->db, COURSE, NOW, w->pool, &w->err), w->err);
    assert_int_equal(due(w, NOW, 10)->nelts, 1);
    assert_ok(lti_db_course_launched(w->a->db, &quiet, NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_course_request(w->a->db, "qqqqqqqqqqqqqqqq", NOW, w->pool, &w->err), w->err);
    assert_int_equal(due(w, NOW, 10)->nelts, 1);
}

static void update_now_during_a_run_asks_for_another_one(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;
    lti_apply_t apply;

    launch(w, COURSE);
    lease(w, NOW);
    apply = make_apply(w, NOW, 0, NULL);
    assert_ok(lti_db_course_request(w->b->db, COURSE, NOW + 5 * SECOND, w->pool, &w->err), w->err);
    assert_ok(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err);
    assert_int_equal(read_course(w)->due_at, NOW + 5 * SECOND);
    /* The one that follows has nothing left to do. */
    lease(w, NOW + 6 * SECOND);
    assert_ok(
        lti_db_run_failed(w->a->db, COURSE, "run-2", "node-a", "http-timeout", "late", NOW + 99 * SECOND, NOW, w->pool, &w->err),
        w->err);
    assert_int_equal(read_course(w)->due_at, NOW + 99 * SECOND);
}

/* --- leases -------------------------------------------------------------------------------------------------- */

static apr_status_t take(world_t *w, const char *owner, apr_time_t now)
{
    return lti_db_lease_take(w->b->db, COURSE, owner, now, now + 60 * SECOND, w->pool, &w->err);
}

static void a_lease_has_one_owner_until_it_ends(void **state)
{
    world_t *w = *state;

    assert_int_equal(take(w, "node-a", NOW), APR_NOTFOUND);
    launch(w, COURSE);
    assert_ok(take(w, "node-a", NOW), w->err);
    assert_ok(take(w, "node-a", NOW), w->err);
    assert_int_equal(take(w, "node-b", NOW + 59 * SECOND), APR_EBUSY);
    assert_ok(take(w, "node-b", NOW + 60 * SECOND), w->err);
    assert_int_equal(take(w, "node-a", NOW + 61 * SECOND), APR_EBUSY);
}

static void a_lease_is_renewed_by_its_owner_only(void **state)
{
    world_t *w = *state;

    assert_code(lti_db_lease_renew(w->a->db, COURSE, "node-a", NOW, w->pool, &w->err), w->err, LTI_E_LEASE_LOST);
    launch(w, COURSE);
    assert_code(lti_db_lease_renew(w->a->db, COURSE, "node-a", NOW, w->pool, &w->err), w->err, LTI_E_LEASE_LOST);
    lease(w, NOW);
    assert_ok(lti_db_lease_renew(w->a->db, COURSE, "node-a", NOW + 90 * SECOND, w->pool, &w->err), w->err);
    assert_ok(lti_db_lease_renew(w->a->db, COURSE, "node-a", NOW + 90 * SECOND, w->pool, &w->err), w->err);
    assert_int_equal(take(w, "node-b", NOW + 89 * SECOND), APR_EBUSY);
    assert_ok(take(w, "node-b", NOW + 90 * SECOND), w->err);
    assert_code(lti_db_lease_renew(w->a->db, COURSE, "node-a", NOW + 99 * SECOND, w->pool, &w->err), w->err, LTI_E_LEASE_LOST);
}

static apr_status_t take_lease(racer_t *racer)
{
    const char *owner = apr_psprintf(racer->pool, "node-%d", racer->number);

    return lti_db_lease_take(racer->conn->db, COURSE, owner, NOW, NOW + SECOND, racer->pool, &racer->err);
}

static void of_eight_nodes_one_takes_the_lease(void **state)
{
    racer_t racers[RACERS];
    world_t *w = *state;
    int i, won = 0;

    launch(w, COURSE);
    race(racers, w, take_lease);
    for (i = 0; i < RACERS; i++) {
        won += racers[i].rv == APR_SUCCESS;
        if (racers[i].rv != APR_SUCCESS)
            assert_int_equal(racers[i].rv, APR_EBUSY);
    }
    assert_int_equal(won, 1);
}

/* --- applying ------------------------------------------------------------------------------------------------ */

static void assert_applied(lti_applied_t applied, int joined, int changed, int left, int returned, int active)
{
    assert_int_equal(applied.joined, joined);
    assert_int_equal(applied.changed, changed);
    assert_int_equal(applied.left, left);
    assert_int_equal(applied.returned, returned);
    assert_int_equal(applied.active, active);
}

static void a_first_roster_is_applied_whole(void **state)
{
    world_t *w = *state;
    apr_array_header_t *members = people(w, "s", 123);
    lti_course_t *course;

    launch(w, COURSE);
    APR_ARRAY_IDX(members, 7, lti_member_t *)->status = LTI_MEMBER_INACTIVE;
    assert_applied(run_roster(w, NOW, members, NULL), 123, 0, 0, 0, 122);
    course = read_course(w);
    assert_int_equal(course->version, 2);
    assert_int_equal(change_number(w), 2);
    assert_int_equal(course->state, LTI_ROSTER_CURRENT);
    assert_int_equal(course->active, 122);
    assert_int_equal(course->succeeded_at, NOW);
    assert_int_equal(course->due_at, NOW + 900 * SECOND);
    assert_int_equal(course->stale_at, NOW + 2700 * SECOND);
    assert_int_equal(read_member(w, "s00122")->joined_at, NOW);
    assert_int_equal(read_member(w, "s00122")->status_at, NOW);
    assert_int_equal(read_member(w, "s00122")->role_at, 0);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 0);
    assert_string_equal(ask(w->b, "SELECT lease_owner FROM lti_sync"), "");
    assert_ok(take(w, "node-b", NOW + SECOND), w->err);
}

/* Counts, on SQLite, each row of lti_member that is written from now on. */
static void count_member_writes(world_t *w)
{
    if (!is_kind(w, "sqlite3"))
        return;
    raw(w->a, "CREATE TABLE lti_test (writes INT)");
    raw(w->a, "CREATE TRIGGER count_i AFTER INSERT ON lti_member BEGIN INSERT INTO lti_test VALUES (1); END");
    raw(w->a, "CREATE TRIGGER count_u AFTER UPDATE ON lti_member BEGIN INSERT INTO lti_test VALUES (1); END");
    raw(w->a, "CREATE TRIGGER count_d AFTER DELETE ON lti_member BEGIN INSERT INTO lti_test VALUES (1); END");
}

static void assert_member_writes(world_t *w, int wanted)
{
    if (is_kind(w, "sqlite3"))
        assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_test"), wanted);
}

static void an_unchanged_roster_writes_no_member(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "s", 123), NULL);
    count_member_writes(w);
    applied = run_roster(w, NOW + 900 * SECOND, NULL, NULL);
    assert_applied(applied, 0, 0, 0, 0, 123);
    assert_member_writes(w, 0);
    /* The version stays, but all nodes learn when it was last checked. */
    assert_int_equal(applied.version, 2);
    assert_int_equal(read_course(w)->version, 2);
    assert_int_equal(read_course(w)->succeeded_at, NOW + 900 * SECOND);
    assert_int_equal(read_course(w)->due_at, NOW + 1800 * SECOND);
    assert_int_equal(change_number(w), 3);
    /* And the count does count. */
    assert_applied(run_roster(w, NOW + 901 * SECOND, list_of(w, 1, person(w, "new", LEARNER)), ids(w, 1, "s00001")), 1, 0, 1, 0,
                   123);
    assert_member_writes(w, 2);
}

static void times_tell_what_changed(void **state)
{
    world_t *w = *state;
    lti_member_t *renamed = person(w, "renamed", LEARNER), *promoted = person(w, "promoted", LEARNER);
    lti_member_t *paused = person(w, "paused", LEARNER), *read;
    apr_array_header_t *all = list_of(w, 3, renamed, promoted, paused);

    launch(w, COURSE);
    run_roster(w, NOW, all, NULL);
    renamed->name = "Another Name";
    promoted->roles = TEACHER;
    paused->status = LTI_MEMBER_INACTIVE;
    assert_applied(run_roster(w, NOW + SECOND, all, NULL), 0, 3, 0, 0, 2);
    read = read_member(w, "renamed");
    assert_string_equal(read->name, "Another Name");
    assert_int_equal(read->status_at, NOW);
    assert_int_equal(read->role_at, 0);
    read = read_member(w, "promoted");
    assert_string_equal(read->roles, TEACHER);
    assert_int_equal(read->joined_at, NOW);
    assert_int_equal(read->status_at, NOW);
    assert_int_equal(read->role_at, NOW + SECOND);
    read = read_member(w, "paused");
    assert_int_equal(read->status, LTI_MEMBER_INACTIVE);
    assert_int_equal(read->status_at, NOW + SECOND);
    assert_int_equal(read->role_at, 0);
    /* Once more the same change: the times stay. */
    assert_applied(run_roster(w, NOW + 2 * SECOND, all, NULL), 0, 3, 0, 0, 2);
    assert_int_equal(read_member(w, "promoted")->role_at, NOW + SECOND);
    assert_int_equal(read_member(w, "paused")->status_at, NOW + SECOND);
}

static void who_left_is_marked_once_and_may_return(void **state)
{
    world_t *w = *state;
    apr_array_header_t *members = people(w, "s", 130), *missing = apr_array_make(w->pool, 120, sizeof(const char *));
    int i;

    launch(w, COURSE);
    run_roster(w, NOW, members, NULL);
    for (i = 0; i < 120; i++)
        APR_ARRAY_PUSH(missing, const char *) = APR_ARRAY_IDX(members, i, lti_member_t *)->user_id;
    assert_applied(run_roster(w, NOW + SECOND, NULL, missing), 0, 0, 120, 0, 10);
    assert_int_equal(read_member(w, "s00119")->status, LTI_MEMBER_LEFT);
    assert_int_equal(read_member(w, "s00119")->status_at, NOW + SECOND);
    assert_int_equal(read_course(w)->version, 3);
    /* Missing again: nothing is written, the time of leaving stays. */
    assert_applied(run_roster(w, NOW + 2 * SECOND, NULL, ids(w, 2, "s00119", "never-was")), 0, 0, 0, 0, 10);
    assert_int_equal(read_member(w, "s00119")->status_at, NOW + SECOND);
    assert_int_equal(read_course(w)->version, 3);
    /* Back, as a teacher. */
    assert_applied(run_roster(w, NOW + 3 * SECOND, list_of(w, 2, person(w, "s00119", TEACHER), person(w, "s00000", LEARNER)), NULL),
                   0, 0, 0, 2, 12);
    assert_int_equal(read_member(w, "s00119")->joined_at, NOW);
    assert_int_equal(read_member(w, "s00119")->status_at, NOW + 3 * SECOND);
    assert_int_equal(read_member(w, "s00119")->role_at, NOW + 3 * SECOND);
    assert_int_equal(read_member(w, "s00000")->role_at, 0);
}

static void rosters_of_other_courses_are_left_alone(void **state)
{
    world_t *w = *state;
    apr_int64_t before;

    launch(w, COURSE);
    launch(w, "bbbbbbbbbbbbbbbb");
    run_roster(w, NOW, people(w, "s", 3), NULL);
    raw(w->a, "UPDATE lti_member SET course_key = 'bbbbbbbbbbbbbbbb'");
    before = ask_number(w->a, "SELECT change_no FROM lti_sync WHERE course_key = 'bbbbbbbbbbbbbbbb'");
    assert_applied(run_roster(w, NOW + SECOND, people(w, "s", 2), ids(w, 1, "s00002")), 2, 0, 0, 0, 2);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_member WHERE course_key = 'bbbbbbbbbbbbbbbb' AND status = 1"), 3);
    assert_int_equal(ask_number(w->a, "SELECT change_no FROM lti_sync WHERE course_key = 'bbbbbbbbbbbbbbbb'"), before);
}

static apr_status_t whole_run(racer_t *racer)
{
    const char *key = apr_psprintf(racer->pool, "racer-----------%d", racer->number) + 1;
    const char *run_id = apr_psprintf(racer->pool, "run-%d", racer->number);
    lti_course_t course = make_course(key, "7", URL);
    apr_array_header_t *members = apr_array_make(racer->pool, 333, sizeof(lti_member_t *));
    lti_apply_t apply = {.run_id = run_id,
                         .course_key = key,
                         .owner = run_id,
                         .requested_at = NOW,
                         .now = NOW,
                         .staged = 333,
                         .state = LTI_ROSTER_CURRENT,
                         .due_at = NOW + SECOND,
                         .stale_at = NOW + SECOND};
    lti_applied_t applied;
    apr_status_t rv = lti_db_course_launched(racer->conn->db, &course, NOW, racer->pool, &racer->err);
    int i;

    for (i = 0; i < 333; i++) {
        lti_member_t *member = apr_pcalloc(racer->pool, sizeof(*member));

        member->user_id = apr_psprintf(racer->pool, "u%d", i);
        member->roles = LEARNER;
        member->status = LTI_MEMBER_ACTIVE;
        APR_ARRAY_PUSH(members, lti_member_t *) = member;
    }
    if (rv == APR_SUCCESS)
        rv = lti_db_lease_take(racer->conn->db, key, run_id, NOW, NOW + SECOND, racer->pool, &racer->err);
    if (rv == APR_SUCCESS)
        rv = lti_db_stage(racer->conn->db, run_id, key, members, racer->pool, &racer->err);
    if (rv == APR_SUCCESS)
        rv = lti_db_apply(&applied, racer->conn->db, &apply, racer->pool, &racer->err);
    if (rv == APR_SUCCESS && (applied.joined != 333 || applied.active != 333))
        rv = lti_fail(&racer->err, LTI_E_INTERNAL, APR_EGENERAL, "%d joined, %d active", applied.joined, applied.active);
    return rv;
}

static void courses_applied_at_once_get_numbers_of_their_own(void **state)
{
    racer_t racers[RACERS];
    world_t *w = *state;
    int i;

    race(racers, w, whole_run);
    for (i = 0; i < RACERS; i++)
        assert_ok(racers[i].rv, racers[i].err);
    assert_int_equal(change_number(w), 2 * RACERS);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(DISTINCT version) FROM lti_sync"), RACERS);
    assert_int_equal(ask_number(w->a, "SELECT MAX(change_no) FROM lti_sync"), 2 * RACERS);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_member"), RACERS * 333);
    assert_int_equal(ask_number(w->a, "SELECT COUNT(*) FROM lti_staging"), 0);
}

/* --- applying what must not be applied ----------------------------------------------------------------------- */

/* Everything that an apply could have touched. */
static const char *fingerprint(world_t *w)
{
    return apr_psprintf(w->pool, "%s %s %s %s %s", ask(w->b, "SELECT value FROM lti_schema WHERE name = 'change'"),
                        ask(w->b, "SELECT COUNT(*) FROM lti_member"), ask(w->b, "SELECT SUM(status) FROM lti_member"),
                        ask(w->b, "SELECT SUM(due_at + succeeded_at + version + change_no) FROM lti_sync"),
                        ask(w->b, "SELECT MAX(lease_owner) FROM lti_sync"));
}

static void applying_without_the_lease_writes_nothing(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;
    lti_apply_t apply;
    const char *before;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "s", 20), NULL);
    lease(w, NOW + SECOND);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, people(w, "t", 20), w->pool, &w->err), w->err);
    apply = make_apply(w, NOW + SECOND, 20, ids(w, 1, "s00000"));
    /* Another node waited for the end of the lease. */
    assert_ok(take(w, "node-b", NOW + 61 * SECOND), w->err);
    before = fingerprint(w);
    assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_LEASE_LOST);
    assert_string_equal(fingerprint(w), before);
    /* It applied something and is gone again: the lease could be had, but the digests that were read are old. */
    raw(w->b, "UPDATE lti_sync SET version = version + 1");
    assert_ok(take(w, "node-a", NOW + 999 * SECOND), w->err);
    apply.now = NOW + 999 * SECOND;
    before = fingerprint(w);
    assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_LEASE_LOST);
    assert_string_equal(fingerprint(w), before);
}

static void applying_after_the_lease_ended_writes_nothing(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;
    lti_apply_t apply;
    const char *before;

    launch(w, COURSE);
    lease(w, NOW);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, people(w, "t", 20), w->pool, &w->err), w->err);
    apply = make_apply(w, NOW, 20, NULL);
    apply.now = NOW + 60 * SECOND;
    before = fingerprint(w);
    assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_LEASE_LOST);
    assert_string_equal(fingerprint(w), before);
    apply.course_key = "zzzzzzzzzzzzzzzz";
    assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_LEASE_LOST);
}

static void a_run_whose_staged_rows_are_gone_is_not_applied(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;
    lti_apply_t apply;
    const char *before;

    launch(w, COURSE);
    lease(w, NOW);
    apply = make_apply(w, NOW, 5, NULL);
    before = fingerprint(w);
    assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_string_equal(fingerprint(w), before);
}

/* SPEC N-41 */
static void a_fault_in_the_middle_of_applying_leaves_nothing(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;
    lti_apply_t apply;

    launch(w, COURSE);
    lease(w, NOW);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, people(w, "t", 20), w->pool, &w->err), w->err);
    apply = make_apply(w, NOW, 20, NULL);
    raw(w->a, "DELETE FROM lti_schema WHERE name = 'change'");
    assert_code(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err, LTI_E_STORE);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_member"), 0);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 20);
    assert_int_equal(ask_number(w->b, "SELECT succeeded_at FROM lti_sync"), 0);
}

/* --- staging and digests ------------------------------------------------------------------------------------- */

static void the_last_word_on_a_person_is_staged(void **state)
{
    world_t *w = *state;
    lti_member_t *second = person(w, "u1", TEACHER);
    lti_apply_t apply;
    lti_applied_t applied;

    launch(w, COURSE);
    lease(w, NOW);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, list_of(w, 0), w->pool, &w->err), w->err);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, list_of(w, 3, person(w, "u1", LEARNER), person(w, "u2", LEARNER), second),
                           w->pool, &w->err),
              w->err);
    assert_ok(lti_db_stage(w->a->db, "run-2", COURSE, people(w, "other", 70), w->pool, &w->err), w->err);
    second = person(w, "u2", TEACHER);
    second->email = NULL;
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, list_of(w, 1, second), w->pool, &w->err), w->err);
    apply = make_apply(w, NOW, 2, NULL);
    assert_ok(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err);
    assert_applied(applied, 2, 0, 0, 0, 2);
    assert_string_equal(read_member(w, "u1")->roles, TEACHER);
    assert_string_equal(read_member(w, "u2")->roles, TEACHER);
    assert_null(read_member(w, "u2")->email);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 70);
}

typedef struct digests_t {
    world_t *w;
    int count, left, stop_at;
    char last[64];
} digests_t;

static apr_status_t see_digest(void *baton, const char *user_id, const unsigned char digest[LTI_DIGEST_SIZE],
                               lti_member_status_t status)
{
    digests_t *digests = baton;
    unsigned char wanted[LTI_DIGEST_SIZE];

    assert_true(strcmp(user_id, digests->last) > 0);
    apr_cpystrn(digests->last, user_id, sizeof(digests->last));
    lti_member_digest(wanted, person(digests->w, user_id, LEARNER));
    assert_memory_equal(digest, wanted, LTI_DIGEST_SIZE);
    digests->left += status == LTI_MEMBER_LEFT;
    return ++digests->count == digests->stop_at ? APR_ENOSPC : APR_SUCCESS;
}

static void digests_of_all_are_read_also_of_those_who_left(void **state)
{
    world_t *w = *state;
    digests_t digests = {.w = w};

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "s", 2010), NULL);
    run_roster(w, NOW + SECOND, NULL, ids(w, 2, "s00005", "s02009"));
    assert_ok(lti_db_digests_each(w->a->db, COURSE, see_digest, &digests, w->pool, &w->err), w->err);
    assert_int_equal(digests.count, 2010);
    assert_int_equal(digests.left, 2);
    digests = (digests_t){.w = w, .stop_at = 5};
    assert_int_equal(lti_db_digests_each(w->a->db, COURSE, see_digest, &digests, w->pool, &w->err), APR_ENOSPC);
}

static void digests_are_kept_as_text(void **state)
{
    unsigned char digest[LTI_DIGEST_SIZE], again[LTI_DIGEST_SIZE];
    char text[LTI_DB_DIGEST_TEXT];
    int i;

    (void)state;
    for (i = 0; i < LTI_DIGEST_SIZE; i++)
        digest[i] = (unsigned char)(i * 17);
    lti_db_digest_text(text, digest);
    assert_string_equal(text, "00112233445566778899aabbccddeeff");
    assert_int_equal(lti_db_digest_parse(again, text), APR_SUCCESS);
    assert_memory_equal(digest, again, LTI_DIGEST_SIZE);
    assert_int_equal(lti_db_digest_parse(again, NULL), APR_EINVAL);
    assert_int_equal(lti_db_digest_parse(again, "0011"), APR_EINVAL);
    assert_int_equal(lti_db_digest_parse(again, "00112233445566778899aabbccddeefg"), APR_EINVAL);
    assert_int_equal(again[1], 0);
}

/* --- holds --------------------------------------------------------------------------------------------------- */

static lti_hold_t read_hold(world_t *w)
{
    lti_hold_t hold = {.held = -1};

    assert_ok(lti_db_hold_read(&hold, w->a->db, COURSE, w->pool, &w->err), w->err);
    return hold;
}

static void hold(world_t *w, apr_time_t requested_at, const unsigned char *digest)
{
    lti_applied_t applied;
    lti_apply_t apply;

    lease(w, requested_at);
    apply = make_apply(w, requested_at, 0, NULL);
    apply.state = digest ? LTI_ROSTER_HELD : LTI_ROSTER_CURRENT;
    apply.held_digest = digest;
    apply.held_missing = 42;
    assert_ok(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err);
}

/* A server that crashed and came back may have lost the last of what it took. */
static void a_run_some_of_whose_staged_rows_are_gone_is_not_applied(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;
    lti_apply_t apply;

    launch(w, COURSE);
    lease(w, NOW);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, people(w, "p", 3), w->pool, &w->err), w->err);
    raw(w->b, "DELETE FROM lti_staging WHERE user_id = 'p00001'");
    apply = make_apply(w, NOW, 3, NULL);
    assert_int_not_equal(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), APR_SUCCESS);
    assert_int_equal(w->err.code, LTI_E_STORE);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_member"), 0);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_event"), 0);
    assert_int_equal(read_course(w)->succeeded_at, 0);
}

static void held_removals_are_remembered_since_they_agree(void **state)
{
    static const unsigned char one[LTI_DIGEST_SIZE] = "one", two[LTI_DIGEST_SIZE] = "two";
    world_t *w = *state;
    lti_hold_t read;

    assert_int_equal(lti_db_hold_read(&read, w->a->db, COURSE, w->pool, &w->err), APR_NOTFOUND);
    launch(w, COURSE);
    assert_int_equal(read_hold(w).held, 0);
    hold(w, NOW, one);
    hold(w, NOW + SECOND, one);
    read = read_hold(w);
    assert_int_equal(read.held, 1);
    assert_memory_equal(read.digest, one, LTI_DIGEST_SIZE);
    assert_int_equal(read.since, NOW);
    assert_int_equal(read.accepted, 0);
    assert_int_equal(read_course(w)->state, LTI_ROSTER_HELD);
    assert_int_equal(ask_number(w->a, "SELECT held_missing FROM lti_sync"), 42);
    hold(w, NOW + 2 * SECOND, two);
    read = read_hold(w);
    assert_memory_equal(read.digest, two, LTI_DIGEST_SIZE);
    assert_int_equal(read.since, NOW + 2 * SECOND);
}

static void an_acceptance_stands_until_nothing_is_held(void **state)
{
    static const unsigned char one[LTI_DIGEST_SIZE] = "one";
    world_t *w = *state;

    launch(w, COURSE);
    hold(w, NOW, one);
    /* The statement of docs/database.md. */
    raw(w->b, "UPDATE lti_sync SET held_accepted = 1, due_at = 1 WHERE course_key = '" COURSE "' AND held_digest IS NOT NULL");
    assert_int_equal(due(w, NOW, 1)->nelts, 1);
    assert_int_equal(read_hold(w).accepted, 1);
    hold(w, NOW + SECOND, one);
    assert_int_equal(read_hold(w).accepted, 1);
    hold(w, NOW + 2 * SECOND, NULL);
    assert_int_equal(read_hold(w).accepted, 0);
    assert_int_equal(read_hold(w).held, 0);
    assert_int_equal(read_hold(w).since, 0);
    assert_int_equal(read_course(w)->state, LTI_ROSTER_CURRENT);
}

/* --- failures ------------------------------------------------------------------------------------------------ */

static void run_fails(world_t *w, apr_time_t now, const char *text)
{
    lease(w, now);
    assert_ok(lti_db_stage(w->a->db, "run-9", COURSE, people(w, "t", 60), w->pool, &w->err), w->err);
    assert_ok(lti_db_run_failed(w->a->db, COURSE, "run-9", "node-a", "roster-gone", text, now + 60 * SECOND, now, w->pool, &w->err),
              w->err);
}

static void a_failed_run_keeps_its_reason_and_the_roster(void **state)
{
    world_t *w = *state;
    lti_course_t *course;

    launch(w, COURSE);
    run_fails(w, NOW, "404");
    course = read_course(w);
    assert_int_equal(course->state, LTI_ROSTER_PENDING);
    assert_int_equal(course->failures, 1);
    assert_string_equal(course->error_name, "roster-gone");
    assert_string_equal(course->error_text, "404");
    assert_int_equal(course->due_at, NOW + 60 * SECOND);
    assert_int_equal(change_number(w), 2);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 0);
    assert_ok(take(w, "node-b", NOW), w->err);
    raw(w->b, "UPDATE lti_sync SET lease_owner = NULL");

    run_roster(w, NOW + SECOND, people(w, "s", 3), NULL);
    assert_int_equal(read_course(w)->failures, 0);
    assert_null(read_course(w)->error_name);
    assert_null(read_course(w)->error_text);
    run_fails(w, NOW + 2 * SECOND, NULL);
    run_fails(w, NOW + 3 * SECOND, "404");
    course = read_course(w);
    assert_int_equal(course->state, LTI_ROSTER_FAILING);
    assert_int_equal(course->failures, 2);
    assert_int_equal(course->active, 3);
    assert_int_equal(course->succeeded_at, NOW + SECOND);
    assert_int_equal(read_member(w, "s00002")->status, LTI_MEMBER_ACTIVE);
}

static void a_reason_from_outside_is_made_presentable(void **state)
{
    world_t *w = *state;
    char large[400];

    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    launch(w, COURSE);
    run_fails(w, NOW, "bad \xFF\xC3 bytes\r\n");
    assert_string_equal(read_course(w)->error_text, "bad ?? bytes??");
    run_fails(w, NOW + SECOND, "fine \xC3\xA9");
    assert_string_equal(read_course(w)->error_text, "fine \xC3\xA9");
    run_fails(w, NOW + 2 * SECOND, large);
    assert_int_equal(strlen(read_course(w)->error_text), 255);
}

static void who_lost_the_lease_cannot_report_a_failure(void **state)
{
    world_t *w = *state;
    const char *before;

    launch(w, COURSE);
    lease(w, NOW);
    assert_ok(lti_db_stage(w->a->db, "run-9", COURSE, people(w, "t", 60), w->pool, &w->err), w->err);
    assert_ok(take(w, "node-b", NOW + 61 * SECOND), w->err);
    before = fingerprint(w);
    assert_code(lti_db_run_failed(w->a->db, COURSE, "run-9", "node-a", "store", "x", NOW, NOW, w->pool, &w->err), w->err,
                LTI_E_LEASE_LOST);
    assert_string_equal(fingerprint(w), before);
    assert_int_equal(read_course(w)->failures, 0);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 0);
}

/* --- purging ------------------------------------------------------------------------------------------------- */

static void what_is_past_is_removed(void **state)
{
    world_t *w = *state;
    const char *surplus;

    launch(w, COURSE);
    run_roster(w, NOW, people(w, "s", 4), NULL);
    run_roster(w, NOW + SECOND, NULL, ids(w, 1, "s00001"));
    run_roster(w, NOW + 9 * SECOND, NULL, ids(w, 1, "s00002"));
    assert_ok(lti_db_nonce_redeem(w->a->db, "old", NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_nonce_redeem(w->a->db, "new", NOW + 9 * SECOND, w->pool, &w->err), w->err);
    assert_ok(lti_db_launch_write(w->a->db, "old", NULL, NULL, "x", NOW, w->pool, &w->err), w->err);
    assert_ok(lti_db_launch_write(w->a->db, "new", NULL, NULL, "x", NOW + 9 * SECOND, w->pool, &w->err), w->err);
    assert_ok(lti_db_purge(w->a->db, NOW + 5 * SECOND, NOW, NOW + 5 * SECOND, w->pool, &w->err), w->err);
    assert_ok(lti_db_nonce_redeem(w->a->db, "old", NOW, w->pool, &w->err), w->err);
    assert_code(lti_db_nonce_redeem(w->a->db, "new", NOW, w->pool, &w->err), w->err, LTI_E_NONCE_USED);
    assert_int_equal(lti_db_launch_read(&surplus, w->a->db, "old", w->pool, &w->err), APR_NOTFOUND);
    assert_ok(lti_db_launch_read(&surplus, w->a->db, "new", w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_member"), 3);
    assert_int_equal(read_member(w, "s00002")->status, LTI_MEMBER_LEFT);
    assert_int_equal(read_member(w, "s00000")->status, LTI_MEMBER_ACTIVE);
}

static void staged_rows_are_purged_when_nobody_will_apply_them(void **state)
{
    world_t *w = *state;
    apr_array_header_t *members = people(w, "t", 70);

    launch(w, COURSE);
    lease(w, NOW);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, members, w->pool, &w->err), w->err);
    /* However old the run is: its lease holds. */
    assert_ok(lti_db_purge(w->a->db, NOW + 59 * SECOND, NOW + 30 * SECOND, 0, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 70);
    /* Its process died; the course's next run has staged already. */
    assert_ok(take(w, "node-b", NOW + 61 * SECOND), w->err);
    assert_ok(lti_db_stage(w->b->db, "run-2", COURSE, members, w->pool, &w->err), w->err);
    assert_ok(lti_db_purge(w->a->db, NOW + 62 * SECOND, NOW, 0, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 140);
    assert_ok(lti_db_purge(w->a->db, NOW + 62 * SECOND, NOW + 62 * SECOND, 0, w->pool, &w->err), w->err);
    assert_string_equal(ask(w->b, "SELECT MIN(run_id) FROM lti_staging"), "run-2");
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 70);
}

static apr_status_t count_member(void *baton, const lti_member_t *member, lti_err_t *err)
{
    (void)member;
    (void)err;
    ++*(int *)baton;
    return APR_SUCCESS;
}

/* Or it reads page after page of a fresh roster as if the table were small, each by looking at all of it. */
static void postgresql_plans_with_a_large_roster_at_once(void **state)
{
    world_t *w = *state;
    apr_time_t began;
    int seen = 0;

    if (!is_kind(w, "pgsql"))
        skip();
    launch(w, COURSE);
    run_roster(w, NOW, people(w, "t", 20000), NULL);
    assert_int_equal(
        ask_number(w->b,
                   "SELECT reltuples FROM pg_class WHERE relname = 'lti_member' AND relnamespace = current_schema()::regnamespace"),
        20000);
    began = apr_time_now();
    assert_ok(lti_db_members_each(w->b->db, COURSE, "", 0, 0, count_member, &seen, w->pool, &w->err), w->err);
    assert_int_equal(seen, 20000);
    assert_true(apr_time_now() - began < 5 * SECOND);
}

static void a_large_purge_goes_step_by_step_to_the_end(void **state)
{
    world_t *w = *state;
    lti_applied_t applied;
    lti_apply_t apply;

    launch(w, COURSE);
    lease(w, NOW);
    assert_ok(lti_db_stage(w->a->db, "run-1", COURSE, people(w, "t", 11000), w->pool, &w->err), w->err);
    apply = make_apply(w, NOW, 11000, NULL);
    assert_ok(lti_db_apply(&applied, w->a->db, &apply, w->pool, &w->err), w->err);
    assert_applied(applied, 11000, 0, 0, 0, 11000);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_staging"), 0);
    raw(w->a, "UPDATE lti_member SET status = 3");
    raw(w->a, "INSERT INTO lti_nonce SELECT user_id, 17 FROM lti_member");
    assert_ok(lti_db_purge(w->a->db, NOW + SECOND, 0, NOW + SECOND, w->pool, &w->err), w->err);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_member"), 0);
    assert_int_equal(ask_number(w->b, "SELECT COUNT(*) FROM lti_nonce"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_longest_due_course_comes_first),
        WORLD_TEST(a_leased_course_is_not_due_until_the_lease_ends),
        WORLD_TEST(update_now_makes_a_course_due_whatever_the_backoff),
        WORLD_TEST(update_now_during_a_run_asks_for_another_one),
        WORLD_TEST(a_lease_has_one_owner_until_it_ends),
        WORLD_TEST(a_lease_is_renewed_by_its_owner_only),
        WORLD_TEST(of_eight_nodes_one_takes_the_lease),
        WORLD_TEST(a_first_roster_is_applied_whole),
        WORLD_TEST(an_unchanged_roster_writes_no_member),
        WORLD_TEST(times_tell_what_changed),
        WORLD_TEST(who_left_is_marked_once_and_may_return),
        WORLD_TEST(rosters_of_other_courses_are_left_alone),
        WORLD_TEST(courses_applied_at_once_get_numbers_of_their_own),
        WORLD_TEST(applying_without_the_lease_writes_nothing),
        WORLD_TEST(applying_after_the_lease_ended_writes_nothing),
        WORLD_TEST(a_run_whose_staged_rows_are_gone_is_not_applied),
        WORLD_TEST(a_fault_in_the_middle_of_applying_leaves_nothing),
        WORLD_TEST(the_last_word_on_a_person_is_staged),
        WORLD_TEST(digests_of_all_are_read_also_of_those_who_left),
        cmocka_unit_test(digests_are_kept_as_text),
        WORLD_TEST(a_run_some_of_whose_staged_rows_are_gone_is_not_applied),
        WORLD_TEST(held_removals_are_remembered_since_they_agree),
        WORLD_TEST(an_acceptance_stands_until_nothing_is_held),
        WORLD_TEST(a_failed_run_keeps_its_reason_and_the_roster),
        WORLD_TEST(a_reason_from_outside_is_made_presentable),
        WORLD_TEST(who_lost_the_lease_cannot_report_a_failure),
        WORLD_TEST(what_is_past_is_removed),
        WORLD_TEST(staged_rows_are_purged_when_nobody_will_apply_them),
        WORLD_TEST(postgresql_plans_with_a_large_roster_at_once),
        WORLD_TEST(a_large_purge_goes_step_by_step_to_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
