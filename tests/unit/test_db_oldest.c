/* SPDX-License-Identifier: Apache-2.0 */
/* The oldest of the rosters that still count as fresh. */
#include "test_db_world.h"

static void put_course(world_t *w, const char *key, lti_roster_state_t state, apr_time_t succeeded_at, apr_time_t stale_at)
{
    raw(w->a, apr_psprintf(
                  w->pool,
                  "INSERT INTO lti_sync (course_key, state, version, change_no, active, succeeded_at, stale_at, due_at, failures, "
                  "lease_since, lease_until, held_since, held_missing, held_accepted) VALUES ('%s', %d, 1, 1, 1, %" APR_TIME_T_FMT
                  ", %" APR_TIME_T_FMT ", 0, 0, 0, 0, 0, 0, 0)",
                  key, (int)state, succeeded_at, stale_at));
}

static apr_time_t oldest(world_t *w)
{
    apr_time_t found = -1;

    assert_ok(lti_db_oldest_roster(&found, w->b->db, NOW, w->pool, &w->err), w->err);
    return found;
}

static void without_a_fresh_roster_there_is_none(void **state)
{
    world_t *w = *state;

    assert_int_equal(oldest(w), 0);
    put_course(w, "pending", LTI_ROSTER_PENDING, 0, 0);
    put_course(w, "none", LTI_ROSTER_NONE, 0, 0);
    put_course(w, "stale", LTI_ROSTER_CURRENT, NOW - 900 * SECOND, NOW);
    put_course(w, "stale-failing", LTI_ROSTER_FAILING, NOW - 800 * SECOND, NOW - 1);
    assert_int_equal(oldest(w), 0);
}

static void of_all_states_that_have_a_roster(void **state)
{
    static const lti_roster_state_t states[] = {LTI_ROSTER_CURRENT, LTI_ROSTER_FAILING, LTI_ROSTER_HELD};
    world_t *w = *state;
    apr_time_t at = NOW - 100 * SECOND;
    int i;

    put_course(w, "fresh", LTI_ROSTER_CURRENT, NOW - 1 * SECOND, NOW + 2000 * SECOND);
    assert_int_equal(oldest(w), NOW - 1 * SECOND);
    for (i = 0; i < 3; i++) {
        at -= 50 * SECOND;
        put_course(w, apr_psprintf(w->pool, "k%d", i), states[i], at, at + 1000 * SECOND);
        assert_int_equal(oldest(w), at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(without_a_fresh_roster_there_is_none),
        WORLD_TEST(of_all_states_that_have_a_roster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
