/* SPDX-License-Identifier: Apache-2.0 */
/* What the form parser takes, what it refuses, and how a parameter is asked for (SPEC L-12, L-14). */
#include "test.h"

#include "mod_lti_form.h"

static const struct {
    const char *name, *text, *parameter, *value;
} good[] = {
    {"plain", "iss=https%3A%2F%2Flms.example&x=1", "iss", "https://lms.example"},
    {"plus is a blank", "a=b+c%2Bd", "a", "b c+d"},
    {"empty value", "a=&b=1", "a", ""},
    {"no equals sign", "a&b=1", "a", ""},
    {"equals sign in the value", "a=b=c", "a", "b=c"},
    {"empty pairs", "&&a=1&&", "a", "1"},
    {"UTF-8", "a=%C3%A4%E2%82%AC", "a", "\xc3\xa4\xe2\x82\xac"},
    {"JSON, as Moodle sends it", "h=%7B%22cmid%22%3A4%7D", "h", "{\"cmid\":4}"},
    {"lower case hex", "a=%c3%a4", "a", "\xc3\xa4"},
    {"name encoded", "st%61te=1", "state", "1"},
    {"nothing", "", "a", NULL},
    {"another case is another name", "State=1", "state", NULL},
};

static void test_takes(void **state)
{
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        mod_lti_form_t *form;
        lti_err_t err;
        apr_status_t rv = mod_lti_form_parse(&form, good[i].text, strlen(good[i].text), *state, &err);
        const char *value;

        print_message("%s\n", good[i].name);
        assert_ok(rv, err);
        value = mod_lti_form_get(form, good[i].parameter, &rv, &err);
        assert_ok(rv, err);
        if (good[i].value == NULL)
            assert_null(value);
        else
            assert_string_equal(value, good[i].value);
    }
}

static const struct {
    const char *name, *text;
    lti_code_t code;
} bad[] = {
    {"percent at the end", "a=1%", LTI_E_FORM_INVALID},
    {"one hex digit", "a=%4", LTI_E_FORM_INVALID},
    {"no hex digits", "a=%zz", LTI_E_FORM_INVALID},
    {"bad percent in a name", "%4=1", LTI_E_FORM_INVALID},
    {"NUL", "a=1%002", LTI_E_PARAMETER_INVALID},
    {"line feed", "a=1%0A2", LTI_E_PARAMETER_INVALID},
    {"raw tab", "a=1\t2", LTI_E_PARAMETER_INVALID},
    {"DEL", "a=%7F", LTI_E_PARAMETER_INVALID},
    {"C1", "a=%C2%85", LTI_E_PARAMETER_INVALID},
    {"lone continuation byte", "a=%80", LTI_E_PARAMETER_INVALID},
    {"overlong slash", "a=%C0%AF", LTI_E_PARAMETER_INVALID},
    {"surrogate", "a=%ED%A0%80", LTI_E_PARAMETER_INVALID},
    {"control character in an unknown parameter", "A%01=1", LTI_E_PARAMETER_INVALID},
};

static void test_refuses(void **state)
{
    mod_lti_form_t *form;
    lti_err_t err;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        print_message("%s\n", bad[i].name);
        assert_code(mod_lti_form_parse(&form, bad[i].text, strlen(bad[i].text), *state, &err), err, bad[i].code);
    }
    assert_code(mod_lti_form_parse(&form, "a=1\0b", 5, *state, &err), err, LTI_E_PARAMETER_INVALID);
}

/* What a form was can be told although something in it is at fault: launches of LTI 1.1 have line breaks in descriptions. */
static void test_keeps_what_is_sound_beside_a_fault(void **state)
{
    static const char text[] = "a=1&description=one%0D%0Atwo&bad=%zz&b=2";
    mod_lti_form_t *form = NULL;
    lti_err_t err;

    assert_code(mod_lti_form_parse(&form, text, sizeof(text) - 1, *state, &err), err, LTI_E_PARAMETER_INVALID);
    assert_string_equal(apr_table_get(form->values, "a"), "1");
    assert_string_equal(apr_table_get(form->values, "b"), "2");
    assert_null(apr_table_get(form->values, "description"));
    assert_null(apr_table_get(form->values, "bad"));
}

static void test_limits_the_number_of_parameters(void **state)
{
    char *text = apr_palloc(*state, (MOD_LTI_FORM_PAIRS_MAX + 1) * 2 + 1);
    mod_lti_form_t *form;
    lti_err_t err;
    int i;

    for (i = 0; i <= MOD_LTI_FORM_PAIRS_MAX; i++)
        memcpy(text + 2 * i, "a&", 3);
    assert_ok(mod_lti_form_parse(&form, text, MOD_LTI_FORM_PAIRS_MAX * 2, *state, &err), err);
    assert_code(mod_lti_form_parse(&form, text, strlen(text), *state, &err), err, LTI_E_FORM_INVALID);
}

/* SPEC L-12: twice is a fault, even with the same value, but only for whom it matters to. */
static void test_tells_of_repeated_parameters(void **state)
{
    mod_lti_form_t *form;
    lti_err_t err;
    apr_status_t rv = mod_lti_form_parse(&form, "x=1&state=1&state=1&y=2", 23, *state, &err);

    assert_ok(rv, err);
    assert_string_equal(mod_lti_form_get(form, "x", &rv, &err), "1");
    assert_int_equal(rv, APR_SUCCESS);
    assert_null(mod_lti_form_get(form, "state", &rv, &err));
    assert_code(rv, err, LTI_E_PARAMETER_REPEATED);
    /* The first fault stands. */
    assert_null(mod_lti_form_get(form, "y", &rv, &err));
    assert_code(rv, err, LTI_E_PARAMETER_REPEATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_takes),
        POOL_TEST(test_refuses),
        POOL_TEST(test_keeps_what_is_sound_beside_a_fault),
        POOL_TEST(test_limits_the_number_of_parameters),
        POOL_TEST(test_tells_of_repeated_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
