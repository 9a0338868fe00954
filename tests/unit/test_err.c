/* SPDX-License-Identifier: Apache-2.0 */
/* The table of error codes is complete, and texts are cut at whole characters. */
#include "test.h"

static void every_code_has_a_row_of_its_own(void **state)
{
    int code;

    (void)state;
    for (code = 0; code < LTI_E_COUNT; code++) {
        const lti_err_info_t *info = lti_err_info((lti_code_t)code);

        assert_non_null(info->name);
        assert_int_equal(lti_err_by_name(info->name), code);
        assert_true(strlen(info->person) > 10);
        assert_true(strlen(info->admin) > 10);
        assert_true(info->http >= 200 && info->http < 600);
        if (code != LTI_OK)
            assert_int_not_equal(info->kind, LTI_ERR_NONE);
    }
}

static void names_are_lower_case_words(void **state)
{
    int code;

    (void)state;
    for (code = 0; code < LTI_E_COUNT; code++) {
        const char *name = lti_err_info((lti_code_t)code)->name;

        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
    }
}

static void unknown_codes_and_names_are_no_trap(void **state)
{
    (void)state;
    assert_string_equal(lti_err_info((lti_code_t)9999)->name, "internal");
    assert_int_equal(lti_err_by_name("no-such-code"), LTI_E_COUNT);
}

static void long_texts_are_cut_at_a_character(void **state)
{
    lti_err_t err;
    char text[400];
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        size_t pad;

        for (pad = 0; pad < i; pad++)
            text[pad] = 'x';
        for (; pad + 3 < sizeof(text); pad += 3)
            memcpy(text + pad, "\xE6\x9D\x8E", 3);
        text[pad] = '\0';
        assert_int_equal(lti_fail(&err, LTI_E_STORE, APR_EGENERAL, "%s", text), APR_EGENERAL);
        assert_int_equal((strlen(err.text) - i) % 3, 0);
        assert_true(strlen(err.text) > 200);
    }
}

static void failing_without_a_record_gives_the_status(void **state)
{
    (void)state;
    assert_int_equal(lti_fail(NULL, LTI_E_STORE, APR_EBUSY, "text"), APR_EBUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_row_of_its_own),           cmocka_unit_test(names_are_lower_case_words),
        cmocka_unit_test(unknown_codes_and_names_are_no_trap),       cmocka_unit_test(long_texts_are_cut_at_a_character),
        cmocka_unit_test(failing_without_a_record_gives_the_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
