/* SPDX-License-Identifier: Apache-2.0 */
/* lti_bell: a number that all see, and places that nobody keeps for ever. */
#include "test.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lti_bell.h"

#define NOW apr_time_from_sec(1700000000)
#define SECONDS(n) apr_time_from_sec(n)
#define PLACES 3

static lti_bell_t *make(void *block, int places, apr_pool_t *p)
{
    lti_bell_t *bell = NULL;
    lti_err_t err;

    assert_ok(lti_bell_format(&bell, block, lti_bell_size(places), places, p, &err), err);
    return bell;
}

static lti_bell_t *make_dirty(int places, apr_pool_t *p)
{
    void *block = apr_palloc(p, lti_bell_size(places));

    memset(block, 0xa5, lti_bell_size(places));
    return make(block, places, p);
}

static void test_the_number_is_the_last_that_was_rung(void **state)
{
    lti_bell_t *bell = make_dirty(PLACES, *state);

    assert_int_equal(lti_bell_number(bell), 0);
    lti_bell_ring(bell, APR_INT64_C(5000000000));
    assert_int_equal(lti_bell_number(bell), APR_INT64_C(5000000000));
    lti_bell_ring(bell, 7);
    assert_int_equal(lti_bell_number(bell), 7);
}

static void test_there_are_so_many_places_and_no_more(void **state)
{
    lti_bell_t *bell = make_dirty(PLACES, *state);
    lti_bell_place_t places[PLACES + 1];
    int i;

    for (i = 0; i < PLACES; i++)
        assert_true(lti_bell_take_place(&places[i], bell, NOW, NOW + SECONDS(30)));
    assert_false(lti_bell_take_place(&places[PLACES], bell, NOW + SECONDS(29), NOW + SECONDS(60)));
    lti_bell_leave(bell, &places[1]);
    assert_true(lti_bell_take_place(&places[PLACES], bell, NOW, NOW + SECONDS(30)));
    assert_int_equal(places[PLACES].index, places[1].index);
    assert_false(lti_bell_take_place(&places[1], bell, NOW, NOW + SECONDS(30)));
}

static void test_a_place_that_was_not_given_back_is_free_after_its_time(void **state)
{
    lti_bell_t *bell = make_dirty(1, *state);
    lti_bell_place_t dead, next;

    assert_true(lti_bell_take_place(&dead, bell, NOW, NOW + SECONDS(30)));
    assert_false(lti_bell_take_place(&next, bell, NOW + SECONDS(30), NOW + SECONDS(60)));
    assert_true(lti_bell_take_place(&next, bell, NOW + SECONDS(32), NOW + SECONDS(62)));
    /* Not dead, only late: it does not give away what is another's now. */
    lti_bell_leave(bell, &dead);
    assert_false(lti_bell_take_place(&dead, bell, NOW + SECONDS(33), NOW + SECONDS(63)));
}

/* Two processes at once: no place is given twice. */
static void test_places_are_shared_by_processes(void **state)
{
    enum { MANY = 200 };
    apr_size_t size = lti_bell_size(MANY);
    char *block = mmap(NULL, size + sizeof(atomic_int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    lti_bell_t *bell;
    atomic_int *taken;
    pid_t children[4];
    int i, status;

    assert_ptr_not_equal(block, MAP_FAILED);
    bell = make(block, MANY, *state);
    taken = (atomic_int *)(void *)(block + size);
    for (i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            lti_bell_place_t place;

            while (lti_bell_take_place(&place, bell, NOW, NOW + SECONDS(30)))
                atomic_fetch_add(taken, 1);
            _exit(0);
        }
    }
    for (i = 0; i < 4; i++)
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_int_equal(atomic_load(taken), MANY);
    munmap(block, size + sizeof(atomic_int));
}

static void test_unfit_memory_is_refused(void **state)
{
    apr_pool_t *p = *state;
    char *block = apr_palloc(p, lti_bell_size(PLACES) + 8);
    lti_bell_t *bell = NULL;
    lti_err_t err;

    assert_code(lti_bell_format(&bell, block, lti_bell_size(PLACES) - 1, PLACES, p, &err), err, LTI_E_INTERNAL);
    assert_code(lti_bell_format(&bell, block + 4, lti_bell_size(PLACES), PLACES, p, &err), err, LTI_E_INTERNAL);
    assert_null(bell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_the_number_is_the_last_that_was_rung),
        POOL_TEST(test_there_are_so_many_places_and_no_more),
        POOL_TEST(test_a_place_that_was_not_given_back_is_free_after_its_time),
        POOL_TEST(test_places_are_shared_by_processes),
        POOL_TEST(test_unfit_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
