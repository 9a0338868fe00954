/* SPDX-License-Identifier: Apache-2.0 */
/* lti_pace: places, requests in a time, pauses. */
#include "test.h"
#include "lti_pace.h"

#define SECOND apr_time_from_sec(1)
#define MINUTE apr_time_from_sec(60)
#define START (1760000000 * SECOND)

/* As many runs of `platform` as may begin. */
static int fill(lti_pace_t *pace, const char *platform)
{
    int count = 0;

    while (lti_pace_has_place(pace, platform)) {
        lti_pace_begin(pace, platform);
        count++;
    }
    return count;
}

static void a_platform_gets_half_of_what_the_others_leave(void **state)
{
    apr_pool_t *pool = *state;
    static const struct {
        int places, first, second, third;
    } cases[] = {{8, 4, 2, 1}, {1, 1, 0, 0}, {2, 1, 1, 0}, {3, 2, 1, 0}, {16, 8, 4, 2}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_pace_t *pace = lti_pace_create(cases[i].places, 1, pool);

        assert_int_equal(fill(pace, "hangs"), cases[i].first);
        assert_int_equal(fill(pace, "hangs too"), cases[i].second);
        assert_int_equal(fill(pace, "third"), cases[i].third);
    }
}

static void an_only_platform_may_have_all_places(void **state)
{
    apr_pool_t *pool = *state;
    lti_pace_t *pace = lti_pace_create(8, 0, pool);

    assert_int_equal(fill(pace, "campus"), 8);
    assert_true(lti_pace_is_full(pace));
    lti_pace_end(pace, "campus");
    assert_false(lti_pace_is_full(pace));
    assert_int_equal(fill(pace, "campus"), 1);
}

static void a_platform_that_is_silent_has_one_place_until_it_answers(void **state)
{
    apr_pool_t *pool = *state;
    lti_pace_t *pace = lti_pace_create(8, 1, pool);

    lti_pace_silent(pace, "hangs");
    assert_int_equal(fill(pace, "hangs"), 1);
    assert_int_equal(fill(pace, "works"), 4);
    lti_pace_answered(pace, "hangs", 0);
    assert_int_equal(fill(pace, "hangs"), 1); /* half of the four that are left, one of which it has */
    lti_pace_silent(pace, "hangs");
    lti_pace_end(pace, "hangs");
    assert_int_equal(fill(pace, "hangs"), 0);
}

/* Requests that are let through when somebody tries each millisecond. */
static int count_requests(lti_pace_t *pace, const char *platform, apr_interval_time_t interval, apr_time_t from,
                          apr_interval_time_t span)
{
    apr_time_t now;
    int count = 0;

    for (now = from; now < from + span; now += apr_time_from_msec(1))
        count += lti_pace_take(pace, platform, interval, now) == 0;
    return count;
}

static void the_rate_is_kept_and_a_second_s_requests_may_come_at_once(void **state)
{
    apr_pool_t *pool = *state;
    static const struct {
        apr_interval_time_t interval;
        int at_once, in_ten_seconds_more;
    } cases[] = {{SECOND / 10, 10, 100}, {SECOND, 1, 10}, {SECOND / 3, 3, 30}, {2 * SECOND, 1, 5}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_pace_t *pace = lti_pace_create(8, 1, pool);

        assert_int_equal(count_requests(pace, "campus", cases[i].interval, START, apr_time_from_msec(50)), cases[i].at_once);
        assert_in_range(count_requests(pace, "campus", cases[i].interval, START + apr_time_from_msec(50), 10 * SECOND),
                        cases[i].in_ten_seconds_more - 1, cases[i].in_ten_seconds_more + 1);
        /* Nor may a long rest be used up at once. */
        assert_int_equal(count_requests(pace, "campus", cases[i].interval, START + MINUTE, apr_time_from_msec(50)),
                         cases[i].at_once);
    }
}

static void how_long_to_wait_is_told(void **state)
{
    apr_pool_t *pool = *state;
    lti_pace_t *pace = lti_pace_create(8, 1, pool);

    assert_int_equal(lti_pace_take(pace, "campus", MINUTE, START), 0);
    assert_int_equal(lti_pace_take(pace, "campus", MINUTE, START + SECOND), MINUTE - SECOND);
    assert_int_equal(lti_pace_take(pace, "campus", MINUTE, START + MINUTE), 0);
    assert_int_equal(lti_pace_take(pace, "other", MINUTE, START + MINUTE), 0);
    assert_int_equal(lti_pace_take(pace, "free", -1, START), 0);
    assert_int_equal(lti_pace_take(pace, "free", 0, START), 0);
    /* A clock that was set back by a day does not stop the requests for a day. */
    assert_in_range(lti_pace_take(pace, "campus", MINUTE, START - 1440 * MINUTE), 0, MINUTE);
}

static void a_refusal_pauses_one_platform_for_as_long_as_it_says(void **state)
{
    apr_pool_t *pool = *state;
    lti_pace_t *pace = lti_pace_create(8, 1, pool);
    lti_pause_t pause;

    lti_pace_refused(pace, "campus", 30 * SECOND, "rate-limited", "HTTP 429", START);
    assert_true(lti_pace_is_paused(&pause, pace, "campus", START + 29 * SECOND));
    assert_int_equal(pause.until, START + 30 * SECOND);
    assert_string_equal(pause.error_name, "rate-limited");
    assert_string_equal(pause.error_text, "HTTP 429");
    assert_false(lti_pace_is_paused(NULL, pace, "campus", START + 30 * SECOND));
    assert_false(lti_pace_is_paused(NULL, pace, "other", START));
    /* A shorter one does not end it, nor does a clock that was set back make it longer. */
    lti_pace_refused(pace, "campus", 10 * SECOND, "rate-limited", "HTTP 429", START);
    assert_true(lti_pace_is_paused(NULL, pace, "campus", START + 29 * SECOND));
    assert_false(lti_pace_is_paused(NULL, pace, "campus", START - 600 * MINUTE));
}

static void refusals_without_a_time_double_up_to_an_hour_and_one_good_answer_ends_that(void **state)
{
    apr_pool_t *pool = *state;
    static const int minutes[] = {1, 2, 4, 8, 16, 32, 60, 60};
    lti_pace_t *pace = lti_pace_create(8, 1, pool);
    apr_time_t now = START;
    lti_pause_t pause;
    size_t i;

    for (i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        lti_pace_refused(pace, "campus", 0, "rate-limited", "HTTP 429", now);
        lti_pace_refused(pace, "campus", 0, "rate-limited", "HTTP 429, of another run", now); /* at once: still one */
        assert_true(lti_pace_is_paused(&pause, pace, "campus", now));
        assert_int_equal(pause.until - now, minutes[i] * MINUTE);
        now = pause.until;
        lti_pace_answered(pace, "campus", 0); /* an answer of another fault says nothing of patience */
    }
    lti_pace_answered(pace, "campus", 1);
    lti_pace_refused(pace, "campus", 0, "rate-limited", "HTTP 429", now);
    assert_true(lti_pace_is_paused(&pause, pace, "campus", now));
    assert_int_equal(pause.until - now, MINUTE);
}

static void a_clock_that_was_set_back_does_not_make_a_platform_s_refusals_unheard(void **state)
{
    apr_pool_t *pool = *state;
    lti_pace_t *pace = lti_pace_create(8, 1, pool);
    const apr_time_t back = START - 600 * MINUTE;

    lti_pace_refused(pace, "campus", 30 * SECOND, "rate-limited", "HTTP 429", START);
    lti_pace_news_told(pace, "campus");
    lti_pace_refused(pace, "campus", 30 * SECOND, "rate-limited", "HTTP 429", back);
    assert_true(lti_pace_is_paused(NULL, pace, "campus", back + 29 * SECOND));
    assert_false(lti_pace_is_paused(NULL, pace, "campus", back + 30 * SECOND));
}

static void news_is_told_once_and_what_others_tell_holds_until_they_do_not(void **state)
{
    apr_pool_t *pool = *state;
    lti_pace_t *pace = lti_pace_create(8, 1, pool);
    lti_pause_t pause, theirs = {.until = START + MINUTE, .error_name = "rate-limited", .error_text = "HTTP 503"};

    assert_null(lti_pace_next_news(&pause, pace));
    lti_pace_refused(pace, "ours", 30 * SECOND, "rate-limited", "HTTP 429", START);
    lti_pace_told(pace, "theirs", &theirs);
    assert_string_equal(lti_pace_next_news(&pause, pace), "ours");
    assert_int_equal(pause.until, START + 30 * SECOND);
    /* Not told to anybody yet: it stays although the database does not have it. */
    lti_pace_forget_told(pace);
    assert_true(lti_pace_is_paused(NULL, pace, "ours", START));
    assert_false(lti_pace_is_paused(NULL, pace, "theirs", START));
    lti_pace_news_told(pace, "ours");
    assert_null(lti_pace_next_news(&pause, pace));
    lti_pace_forget_told(pace);
    lti_pace_told(pace, "theirs", &theirs);
    assert_false(lti_pace_is_paused(NULL, pace, "ours", START));
    assert_true(lti_pace_is_paused(&pause, pace, "theirs", START));
    assert_string_equal(pause.error_text, "HTTP 503");
}

static void two_hundred_courses_do_not_come_back_in_the_same_second(void **state)
{
    const lti_pause_t pause = {.until = START + MINUTE};
    int in_second[61] = {0}, i, most = 0;

    (void)state;
    for (i = 0; i < 200; i++) {
        apr_time_t due = lti_pace_resumption(&pause, START);

        assert_in_range(due, pause.until, pause.until + MINUTE);
        in_second[apr_time_sec(due - pause.until)]++;
    }
    for (i = 0; i < 60; i++)
        most = in_second[i] > most ? in_second[i] : most;
    assert_in_range(most, 4, 20); /* evenly they are 3.3 */
    /* A pause that is nearly over is spread too, and one of an hour not for an hour. */
    assert_in_range(lti_pace_resumption(&pause, pause.until), pause.until, pause.until + 10 * SECOND);
    assert_in_range(lti_pace_resumption(&pause, START - 60 * MINUTE), pause.until, pause.until + 5 * MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(a_platform_gets_half_of_what_the_others_leave),
        POOL_TEST(an_only_platform_may_have_all_places),
        POOL_TEST(a_platform_that_is_silent_has_one_place_until_it_answers),
        POOL_TEST(the_rate_is_kept_and_a_second_s_requests_may_come_at_once),
        POOL_TEST(how_long_to_wait_is_told),
        POOL_TEST(a_refusal_pauses_one_platform_for_as_long_as_it_says),
        POOL_TEST(refusals_without_a_time_double_up_to_an_hour_and_one_good_answer_ends_that),
        POOL_TEST(a_clock_that_was_set_back_does_not_make_a_platform_s_refusals_unheard),
        POOL_TEST(news_is_told_once_and_what_others_tell_holds_until_they_do_not),
        POOL_TEST(two_hundred_courses_do_not_come_back_in_the_same_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
