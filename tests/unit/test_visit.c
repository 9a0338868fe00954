/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of launches: what goes in comes out once, many at once, a full ring, writers that die or are held up. */
#include "test.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lti_visit.h"

#define COURSE "aaaabbbbccccdddd"
#define NOW ((apr_time_t)1760000000 * APR_USEC_PER_SEC)
#define SECONDS(n) apr_time_from_sec(n)

typedef struct world_t {
    lti_visit_ring_t *ring;
    void *block;
    apr_pool_t *pool;
    lti_err_t err;
} world_t;

static int setup(void **state)
{
    world_t *w;
    apr_pool_t *pool = NULL;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    w = apr_pcalloc(pool, sizeof(*w));
    w->pool = pool;
    w->block = aligned_alloc(64, lti_visit_ring_size());
    if (lti_visit_ring_format(&w->ring, w->block, lti_visit_ring_size(), pool, &w->err) != APR_SUCCESS)
        return -1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_t *w = *state;

    free(w->block);
    apr_pool_destroy(w->pool);
    return 0;
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static void what_is_put_in_is_taken_once(void **state)
{
    static lti_visit_t taken[LTI_VISIT_PLACES];
    world_t *w = *state;

    assert_int_equal(lti_visit_take(taken, LTI_VISIT_PLACES, w->ring), 0);
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "ada", NOW), 1);
    assert_int_equal(lti_visit_put(w->ring, "", "campus", NULL, NOW + 1), 1);
    assert_int_equal(lti_visit_take(taken, LTI_VISIT_PLACES, w->ring), 2);
    assert_string_equal(taken[0].course_key, COURSE);
    assert_string_equal(taken[0].platform, "campus");
    assert_string_equal(taken[0].user_id, "ada");
    assert_true(taken[0].launched_at == NOW);
    assert_string_equal(taken[1].course_key, "");
    assert_string_equal(taken[1].user_id, "");
    assert_int_equal(lti_visit_take(taken, LTI_VISIT_PLACES, w->ring), 0);
}

static void what_does_not_fit_is_not_cut(void **state)
{
    char id[LTI_ID_MAX + 2];
    lti_visit_t taken;
    world_t *w = *state;

    memset(id, 'x', sizeof(id));
    id[LTI_ID_MAX + 1] = '\0';
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", id, NOW), 0);
    assert_int_equal(lti_visit_put(w->ring, COURSE "e", "campus", "ada", NOW), 0);
    assert_int_equal(lti_visit_take(&taken, 1, w->ring), 0);
    id[LTI_ID_MAX] = '\0';
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", id, NOW), 1);
    assert_int_equal(lti_visit_take(&taken, 1, w->ring), 1);
    assert_string_equal(taken.user_id, id);
}

static void a_full_ring_drops_and_has_room_again(void **state)
{
    static lti_visit_t taken[LTI_VISIT_PLACES];
    world_t *w = *state;
    char id[16];
    int i, round;

    for (round = 0; round < 3; round++) {
        for (i = 0; i < LTI_VISIT_PLACES; i++) {
            snprintf(id, sizeof(id), "u%d", i);
            assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", id, NOW + i), 1);
        }
        for (i = 0; i < 10; i++)
            assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "late", NOW), 0);
        assert_int_equal(lti_visit_take(taken, 100, w->ring), 100);
        assert_int_equal(lti_visit_take(taken + 100, LTI_VISIT_PLACES, w->ring), LTI_VISIT_PLACES - 100);
        for (i = 0; i < LTI_VISIT_PLACES; i++)
            assert_string_not_equal(taken[i].user_id, "late");
    }
}

/* --- writers that die or are held up -------------------------------------------------------------------------------------- */

/* The layout as lti_visit.c has it: the tests play a writer that stops half way. */
typedef struct raw_place_t {
    uint64_t state;
    uint64_t digest;
    lti_visit_t visit;
} raw_place_t;

typedef struct raw_layout_t {
    uint32_t next;
    raw_place_t places[LTI_VISIT_PLACES];
} raw_layout_t;

static void a_writer_that_died_half_way_holds_one_place_for_some_seconds(void **state)
{
    static lti_visit_t taken[LTI_VISIT_PLACES];
    world_t *w = *state;
    raw_layout_t *raw = w->block;
    int i;

    raw->places[0].state = (uint64_t)NOW;
    strcpy(raw->places[0].visit.user_id, "half");
    for (i = 1; i < LTI_VISIT_PLACES; i++)
        assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "ada", NOW + SECONDS(1)), 1);
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "ada", NOW + SECONDS(1)), 0);
    assert_int_equal(lti_visit_take(taken, LTI_VISIT_PLACES, w->ring), LTI_VISIT_PLACES - 1);
    for (i = 0; i < LTI_VISIT_PLACES; i++)
        assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "bob", NOW + SECONDS(6)), 1);
    assert_int_equal(lti_visit_take(taken, LTI_VISIT_PLACES, w->ring), LTI_VISIT_PLACES);
    for (i = 0; i < LTI_VISIT_PLACES; i++)
        assert_string_equal(taken[i].user_id, "bob");
}

static void a_claim_from_before_the_clock_was_set_back_does_not_count(void **state)
{
    lti_visit_t taken;
    world_t *w = *state;
    raw_layout_t *raw = w->block;

    raw->places[0].state = (uint64_t)(NOW + SECONDS(3600));
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "ada", NOW), 1);
    assert_true(raw->places[0].state == 1);
    assert_int_equal(lti_visit_take(&taken, 1, w->ring), 1);
}

static void who_was_written_over_by_somebody_held_up_is_nobody(void **state)
{
    lti_visit_t taken[2];
    world_t *w = *state;
    raw_layout_t *raw = w->block;

    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "ada", NOW), 1);
    strcpy(raw->places[0].visit.user_id, "eve");
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "bob", NOW), 1);
    memset(raw->places[1].visit.user_id, 'x', sizeof(raw->places[1].visit.user_id));
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "cyd", NOW), 1);
    assert_int_equal(lti_visit_take(taken, 2, w->ring), 1);
    assert_string_equal(taken[0].user_id, "cyd");
    assert_true(raw->places[0].state == 0 && raw->places[1].state == 0);
}

/* --- a reload --------------------------------------------------------------------------------------------------------------- */

static void the_next_generation_gets_what_nobody_took(void **state)
{
    lti_visit_t taken[8];
    world_t *w = *state;
    void *block = aligned_alloc(64, lti_visit_ring_size());
    lti_visit_ring_t *next;

    assert_ok(lti_visit_ring_format(&next, block, lti_visit_ring_size(), w->pool, &w->err), w->err);
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "gone", NOW), 1);
    assert_int_equal(lti_visit_take(taken, 8, w->ring), 1);
    assert_int_equal(lti_visit_put(w->ring, COURSE, "campus", "ada", NOW + 7), 1);
    lti_visit_ring_copy(next, w->ring);
    assert_int_equal(lti_visit_take(taken, 8, next), 1);
    assert_string_equal(taken[0].user_id, "ada");
    assert_true(taken[0].launched_at == NOW + 7);
    free(block);
}

static void a_block_that_does_not_fit_is_refused(void **state)
{
    world_t *w = *state;
    lti_visit_ring_t *ring;

    assert_code(lti_visit_ring_format(&ring, w->block, 1000, w->pool, &w->err), w->err, LTI_E_INTERNAL);
    assert_code(lti_visit_ring_format(&ring, (char *)w->block + 4, lti_visit_ring_size(), w->pool, &w->err), w->err,
                LTI_E_INTERNAL);
}

/* --- many at once --------------------------------------------------------------------------------------------------------- */

#define WRITERS 8
#define EACH 20000

typedef struct writer_t {
    pthread_t thread;
    lti_visit_ring_t *ring;
    int number;
    int put;
} writer_t;

static volatile int writers_left;

/* User id, course and time of a visit all say the same number. */
static void *write_many(void *data)
{
    writer_t *writer = data;
    char id[LTI_ID_MAX + 1], course[17];
    int i;

    for (i = 0; i < EACH; i++) {
        int number = writer->number * EACH + i;

        memset(id, 'a' + writer->number, 200);
        snprintf(id + number % 200, 16, "%d", number);
        snprintf(course, sizeof(course), "%d", number);
        writer->put += lti_visit_put(writer->ring, course, "campus", id, NOW + number);
    }
    __atomic_sub_fetch(&writers_left, 1, __ATOMIC_RELEASE);
    return NULL;
}

static int is_consistent(const lti_visit_t *visit)
{
    int number = atoi(visit->course_key), i;

    if (visit->launched_at != NOW + number || strcmp(visit->platform, "campus") != 0)
        return 0;
    for (i = 0; i < number % 200; i++) {
        if (visit->user_id[i] != 'a' + number / EACH)
            return 0;
    }
    return atoi(visit->user_id + i) == number;
}

static void many_writers_at_once_lose_and_mix_nothing(void **state)
{
    static lti_visit_t taken[LTI_VISIT_PLACES];
    static unsigned char seen[WRITERS * EACH];
    writer_t writers[WRITERS];
    world_t *w = *state;
    int i, count, all = 0, put = 0, last = 0;

    memset(seen, 0, sizeof(seen));
    writers_left = WRITERS;
    for (i = 0; i < WRITERS; i++) {
        writers[i] = (writer_t){.ring = w->ring, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    while (!last) {
        last = __atomic_load_n(&writers_left, __ATOMIC_ACQUIRE) == 0;
        count = lti_visit_take(taken, LTI_VISIT_PLACES, w->ring);
        for (i = 0; i < count; i++) {
            assert_true(is_consistent(&taken[i]));
            assert_int_equal(seen[atoi(taken[i].course_key)]++, 0);
        }
        all += count;
    }
    for (i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        put += writers[i].put;
    }
    assert_int_equal(all, put);
    assert_true(all >= LTI_VISIT_PLACES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(what_is_put_in_is_taken_once),
        WORLD_TEST(what_does_not_fit_is_not_cut),
        WORLD_TEST(a_full_ring_drops_and_has_room_again),
        WORLD_TEST(a_writer_that_died_half_way_holds_one_place_for_some_seconds),
        WORLD_TEST(a_claim_from_before_the_clock_was_set_back_does_not_count),
        WORLD_TEST(who_was_written_over_by_somebody_held_up_is_nobody),
        WORLD_TEST(the_next_generation_gets_what_nobody_took),
        WORLD_TEST(a_block_that_does_not_fit_is_refused),
        WORLD_TEST(many_writers_at_once_lose_and_mix_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
