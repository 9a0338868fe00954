/* SPDX-License-Identifier: Apache-2.0 */
/* lti_meter: what many threads of many processes count is all there, in its place, and is taken over at a reload. */
#include "test.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lti_meter.h"

#define PLATFORMS 3
#define SECONDS(n) apr_time_from_msec((apr_int64_t)((n)*1000))

static void *get_block(int platforms, apr_pool_t *p)
{
    apr_size_t size = lti_meter_size(platforms);
    char *block = apr_palloc(p, size + 64);

    block += 63 - ((uintptr_t)block + 63) % 64;
    memset(block, 0xa5, size);
    return block;
}

static lti_meter_t *make(void *block, int platforms, apr_pool_t *p)
{
    lti_meter_t *meter = NULL;
    lti_err_t err;

    assert_ok(lti_meter_format(&meter, block, lti_meter_size(platforms), platforms, p, &err), err);
    return meter;
}

static lti_meter_t *make_dirty(int platforms, apr_pool_t *p)
{
    return make(get_block(platforms, p), platforms, p);
}

/* Each count has a place of its own: no two calls move the same one. */
static void test_each_thing_is_counted_by_itself(void **state)
{
    lti_meter_t *meter = make_dirty(PLATFORMS, *state);
    int i, k;

    for (i = 0; i < LTI_METER_LOOKUPS; i++) {
        assert_int_equal(lti_meter_lookups(meter, (lti_meter_lookup_t)i), 0);
        for (k = 0; k <= i; k++)
            lti_meter_lookup(meter, (lti_meter_lookup_t)i);
    }
    for (i = 0; i < LTI_E_COUNT; i++) {
        assert_int_equal(lti_meter_launches(meter, (lti_code_t)i), 0);
        for (k = 0; k <= i; k++)
            lti_meter_launch(meter, (lti_code_t)i);
        for (k = 0; k < PLATFORMS; k++) {
            assert_int_equal(lti_meter_runs(meter, k, (lti_code_t)i), 0);
            if (k != 1)
                lti_meter_run(meter, k, (lti_code_t)i);
        }
    }
    for (i = 0; i < LTI_METER_FETCHES; i++) {
        assert_int_equal(lti_meter_fetches(meter, 2, (lti_meter_fetch_t)i, 0), 0);
        lti_meter_fetch(meter, 2, (lti_meter_fetch_t)i, 0);
        lti_meter_fetch(meter, 2, (lti_meter_fetch_t)i, 1);
        lti_meter_fetch(meter, 2, (lti_meter_fetch_t)i, 7);
    }
    for (i = 0; i < LTI_METER_LOOKUPS; i++)
        assert_int_equal(lti_meter_lookups(meter, (lti_meter_lookup_t)i), i + 1);
    for (i = 0; i < LTI_E_COUNT; i++) {
        assert_int_equal(lti_meter_launches(meter, (lti_code_t)i), i + 1);
        for (k = 0; k < PLATFORMS; k++)
            assert_int_equal(lti_meter_runs(meter, k, (lti_code_t)i), k != 1);
    }
    for (i = 0; i < LTI_METER_FETCHES; i++) {
        assert_int_equal(lti_meter_fetches(meter, 2, (lti_meter_fetch_t)i, 0), 1);
        assert_int_equal(lti_meter_fetches(meter, 2, (lti_meter_fetch_t)i, 1), 2);
        assert_int_equal(lti_meter_fetches(meter, 1, (lti_meter_fetch_t)i, 1), 0);
    }
}

static void test_a_time_falls_into_the_bucket_whose_bound_it_does_not_pass(void **state)
{
    lti_meter_t *meter = make_dirty(0, *state);
    lti_meter_histogram_t histogram;
    double sum = 0;
    int i;

    for (i = 0; i < LTI_METER_BUCKETS - 1; i++) {
        assert_true(i == 0 || lti_meter_bounds[i] > lti_meter_bounds[i - 1]);
        lti_meter_time(meter, LTI_METER_RUN_TIME, SECONDS(lti_meter_bounds[i]));     /* just in */
        lti_meter_time(meter, LTI_METER_RUN_TIME, SECONDS(lti_meter_bounds[i]) + 1); /* in the next */
        sum += 2 * lti_meter_bounds[i];
    }
    lti_meter_time(meter, LTI_METER_RUN_TIME, 0);
    lti_meter_time(meter, LTI_METER_RUN_TIME, -SECONDS(5)); /* the clock was set back: no time at all */
    lti_meter_histogram(&histogram, meter, LTI_METER_RUN_TIME);
    assert_int_equal(histogram.buckets[0], 3);
    for (i = 1; i < LTI_METER_BUCKETS - 1; i++)
        assert_int_equal(histogram.buckets[i], 2);
    assert_int_equal(histogram.buckets[LTI_METER_BUCKETS - 1], 1);
    assert_int_equal(histogram.count, 2 * (LTI_METER_BUCKETS - 1) + 2);
    assert_true(histogram.seconds > sum && histogram.seconds < sum + 0.001);
    lti_meter_histogram(&histogram, meter, LTI_METER_LAUNCH_TIME);
    assert_int_equal(histogram.count, 0);
    assert_true(histogram.seconds == 0);
}

/* What has no place goes nowhere, and a code that nobody knows is a fault of ours. */
static void test_what_is_out_of_bounds_harms_nothing(void **state)
{
    apr_pool_t *p = *state;
    lti_meter_t *meter = make_dirty(PLATFORMS, p);
    lti_meter_histogram_t histogram;
    int i;

    lti_meter_launch(meter, LTI_E_COUNT);
    lti_meter_launch(meter, (lti_code_t)-1);
    assert_int_equal(lti_meter_launches(meter, LTI_E_INTERNAL), 2);
    lti_meter_run(meter, 0, LTI_E_COUNT);
    assert_int_equal(lti_meter_runs(meter, 0, LTI_E_INTERNAL), 1);
    lti_meter_run(meter, -1, LTI_OK);
    lti_meter_run(meter, PLATFORMS, LTI_OK);
    lti_meter_fetch(meter, -1, LTI_METER_KEYS, 0);
    lti_meter_fetch(meter, PLATFORMS, LTI_METER_KEYS, 0);
    lti_meter_fetch(meter, 0, LTI_METER_FETCHES, 0);
    lti_meter_lookup(meter, LTI_METER_LOOKUPS);
    lti_meter_time(meter, LTI_METER_TIMES, SECONDS(1));
    assert_int_equal(lti_meter_runs(meter, -1, LTI_OK) + lti_meter_runs(meter, PLATFORMS, LTI_OK), 0);
    assert_int_equal(lti_meter_fetches(meter, PLATFORMS, LTI_METER_KEYS, 0), 0);
    for (i = 0; i < PLATFORMS; i++)
        assert_int_equal(lti_meter_runs(meter, i, LTI_OK), 0);
    for (i = 0; i < LTI_METER_LOOKUPS; i++)
        assert_int_equal(lti_meter_lookups(meter, (lti_meter_lookup_t)i), 0);
    for (i = 0; i < LTI_METER_TIMES; i++) {
        lti_meter_histogram(&histogram, meter, (lti_meter_time_t)i);
        assert_int_equal(histogram.count, 0);
    }
}

static void test_without_a_meter_nothing_is_counted(void **state)
{
    (void)state;
    lti_meter_lookup(NULL, LTI_METER_MEMORY);
    lti_meter_launch(NULL, LTI_OK);
    lti_meter_run(NULL, 0, LTI_OK);
    lti_meter_time(NULL, LTI_METER_RUN_TIME, 1);
    lti_meter_fetch(NULL, 0, LTI_METER_KEYS, 0);
}

/* --- at once ---------------------------------------------------------------------------------------------------------------- */

enum { PROCESSES = 4, THREADS = 4, TIMES = 2000 };

static void *count(void *data)
{
    lti_meter_t *meter = data;
    int i;

    for (i = 0; i < TIMES; i++) {
        lti_meter_lookup(meter, LTI_METER_MEMORY);
        lti_meter_launch(meter, LTI_OK);
        lti_meter_run(meter, 1, LTI_E_ROSTER_BUSY);
        lti_meter_time(meter, LTI_METER_LAUNCH_TIME, SECONDS(0.01));
        lti_meter_fetch(meter, 0, LTI_METER_PAGE, 1);
    }
    return NULL;
}

static void count_in_threads(lti_meter_t *meter)
{
    pthread_t threads[THREADS];
    int i;

    for (i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count, meter);
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Returns after all of them have counted. */
static void count_in_processes(lti_meter_t *meter)
{
    pid_t children[PROCESSES];
    int i, status;

    for (i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            count_in_threads(meter);
            _exit(0);
        }
    }
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

static void *share(int platforms)
{
    void *block = mmap(NULL, lti_meter_size(platforms), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(block, MAP_FAILED);
    return block;
}

static void assert_all_counted(const lti_meter_t *meter, int rounds)
{
    const apr_uint64_t all = (apr_uint64_t)rounds * PROCESSES * THREADS * TIMES;
    lti_meter_histogram_t histogram;

    assert_int_equal(lti_meter_lookups(meter, LTI_METER_MEMORY), all);
    assert_int_equal(lti_meter_lookups(meter, LTI_METER_DATABASE), 0);
    assert_int_equal(lti_meter_launches(meter, LTI_OK), all);
    assert_int_equal(lti_meter_runs(meter, 1, LTI_E_ROSTER_BUSY), all);
    assert_int_equal(lti_meter_fetches(meter, 0, LTI_METER_PAGE, 1), all);
    lti_meter_histogram(&histogram, meter, LTI_METER_LAUNCH_TIME);
    assert_int_equal(histogram.count, all);
    assert_int_equal(histogram.buckets[1], all);
    assert_true(histogram.seconds > (double)all * 0.00999 && histogram.seconds < (double)all * 0.01001);
}

static void test_nothing_is_lost_when_many_count_at_once(void **state)
{
    void *block = share(PLATFORMS);
    lti_meter_t *meter = make(block, PLATFORMS, *state);

    count_in_processes(meter);
    assert_all_counted(meter, 1);
    munmap(block, lti_meter_size(PLATFORMS));
}

/* --- a reload --------------------------------------------------------------------------------------------------------------- */

static void test_counts_go_on_where_they_were(void **state)
{
    void *old_block = share(PLATFORMS), *new_block = share(PLATFORMS);
    lti_meter_t *old = make(old_block, PLATFORMS, *state), *fresh;
    apr_time_t since = lti_meter_since(old);

    count_in_processes(old);
    apr_sleep(1000);
    fresh = make(new_block, PLATFORMS, *state);
    assert_true(lti_meter_since(fresh) > since);
    lti_meter_copy(fresh, old);
    assert_all_counted(fresh, 1);
    assert_int_equal(lti_meter_since(fresh), since);
    count_in_processes(fresh);
    assert_all_counted(fresh, 2);
    assert_all_counted(old, 1);
    munmap(old_block, lti_meter_size(PLATFORMS));
    munmap(new_block, lti_meter_size(PLATFORMS));
}

/* The processes of the generation before count on: what is taken over is some state of it, never more, and nothing of it tears. */
static void test_the_old_generation_may_go_on_counting(void **state)
{
    void *block = share(PLATFORMS);
    lti_meter_t *old = make(block, PLATFORMS, *state), *fresh = make_dirty(PLATFORMS, *state);
    pid_t child = fork();
    apr_uint64_t runs, fetches;
    int status;

    if (child == 0) {
        count_in_threads(old);
        _exit(0);
    }
    while (lti_meter_lookups(old, LTI_METER_MEMORY) == 0)
        apr_sleep(100);
    lti_meter_copy(fresh, old);
    runs = lti_meter_runs(fresh, 1, LTI_E_ROSTER_BUSY);
    fetches = lti_meter_fetches(fresh, 0, LTI_METER_PAGE, 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(lti_meter_lookups(fresh, LTI_METER_MEMORY) >= 1);
    assert_true(lti_meter_lookups(fresh, LTI_METER_MEMORY) <= lti_meter_lookups(old, LTI_METER_MEMORY));
    assert_true(runs <= THREADS * TIMES && fetches <= THREADS * TIMES);
    munmap(block, lti_meter_size(PLATFORMS));
}

static void test_unfit_memory_is_refused(void **state)
{
    char *block = get_block(PLATFORMS + 1, *state);
    lti_meter_t *meter = NULL;
    lti_err_t err;

    assert_code(lti_meter_format(&meter, block, lti_meter_size(PLATFORMS) - 1, PLATFORMS, *state, &err), err, LTI_E_INTERNAL);
    assert_code(lti_meter_format(&meter, block + 8, lti_meter_size(PLATFORMS), PLATFORMS, *state, &err), err, LTI_E_INTERNAL);
    assert_code(lti_meter_format(&meter, block, lti_meter_size(PLATFORMS), -1, *state, &err), err, LTI_E_INTERNAL);
    assert_null(meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_each_thing_is_counted_by_itself),
        POOL_TEST(test_a_time_falls_into_the_bucket_whose_bound_it_does_not_pass),
        POOL_TEST(test_what_is_out_of_bounds_harms_nothing),
        POOL_TEST(test_without_a_meter_nothing_is_counted),
        POOL_TEST(test_nothing_is_lost_when_many_count_at_once),
        POOL_TEST(test_counts_go_on_where_they_were),
        POOL_TEST(test_the_old_generation_may_go_on_counting),
        POOL_TEST(test_unfit_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
