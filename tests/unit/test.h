/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test needs: cmocka in its order, APR started once, a pool per test. */
#ifndef LTI_TEST_H
#define LTI_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include "lti_err.h"

/** cmocka setup and teardown: *state is an apr_pool_t of this test. */
static int __attribute__((unused)) test_pool_setup(void **state)
{
    apr_pool_t *pool = NULL;
    apr_initialize();
    if (apr_pool_create(&pool, NULL) != APR_SUCCESS)
        return -1;
    *state = pool;
    return 0;
}

static int __attribute__((unused)) test_pool_teardown(void **state)
{
    apr_pool_destroy(*state);
    return 0;
}

/** One entry of the test array: a test with a pool of its own. */
#define POOL_TEST(fn) cmocka_unit_test_setup_teardown(fn, test_pool_setup, test_pool_teardown)

/** Fails the test with the code's name and text when `rv` is no success. */
#define assert_ok(rv, err)                                                                                                       \
    do {                                                                                                                         \
        apr_status_t assert_ok_rv = (rv);                                                                                        \
        if (assert_ok_rv != APR_SUCCESS)                                                                                         \
            fail_msg("status %d, %s: %s", assert_ok_rv, lti_err_info((err).code)->name, (err).text);                             \
    } while (0)

/** The call failed with this very code. */
#define assert_code(rv, err, wanted)                                                                                             \
    do {                                                                                                                         \
        apr_status_t assert_code_rv = (rv);                                                                                      \
        assert_int_not_equal(assert_code_rv, APR_SUCCESS);                                                                       \
        assert_string_equal(lti_err_info((err).code)->name, lti_err_info(wanted)->name);                                         \
    } while (0)

#endif
