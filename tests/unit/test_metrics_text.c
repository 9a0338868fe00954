/* SPDX-License-Identifier: Apache-2.0 */
/* The text of metrics: letter by letter what OpenMetrics 1.0 asks for, whatever stands in a label. */
#include "test.h"

#include "mod_lti_admin_metrics_text.h"

static const mod_lti_admin_family_t counter = {"lti_things", "counter", NULL, "Things."};
static const mod_lti_admin_family_t gauge = {"lti_age_seconds", "gauge", "seconds", "An age."};

static const char *end(mod_lti_admin_text_t *text)
{
    mod_lti_admin_text_end(text);
    return apr_pstrmemdup(text->pool, text->text, text->size);
}

static void test_families_and_samples(void **state)
{
    const mod_lti_admin_label_t labels[] = {{"platform", "campus"}, {"what", "keys"}, {NULL, NULL}};
    mod_lti_admin_text_t text;

    mod_lti_admin_text_begin(&text, *state);
    mod_lti_admin_text_family(&text, &counter);
    mod_lti_admin_text_count(&text, labels, APR_UINT64_C(18446744073709551615));
    mod_lti_admin_text_family(&text, &gauge);
    mod_lti_admin_text_gauge(&text, NULL, -1.25);
    assert_string_equal(end(&text), "# TYPE lti_things counter\n# HELP lti_things Things.\n"
                                    "lti_things_total{platform=\"campus\",what=\"keys\"} 18446744073709551615\n"
                                    "# TYPE lti_age_seconds gauge\n# UNIT lti_age_seconds seconds\n# HELP lti_age_seconds An age.\n"
                                    "lti_age_seconds -1.25\n# EOF\n");
}

static void test_numbers_have_a_point_and_no_idle_digits(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0.0"}, {1, "1.0"}, {600, "600.0"}, {0.005, "0.005"}, {1234567890.25, "1234567890.25"}, {-3, "-3.0"}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mod_lti_admin_text_t text;

        mod_lti_admin_text_begin(&text, *state);
        mod_lti_admin_text_family(&text, &gauge);
        text.size = 0;
        mod_lti_admin_text_gauge(&text, NULL, cases[i].value);
        assert_string_equal(end(&text), apr_pstrcat(*state, "lti_age_seconds ", cases[i].text, "\n# EOF\n", NULL));
    }
}

static void test_a_label_cannot_end_its_line(void **state)
{
    const mod_lti_admin_label_t labels[] = {{"name", "a\"} 1\nlti_other 2\\"}, {"none", NULL}, {NULL, NULL}};
    mod_lti_admin_text_t text;

    mod_lti_admin_text_begin(&text, *state);
    mod_lti_admin_text_family(&text, &counter);
    text.size = 0;
    mod_lti_admin_text_count(&text, labels, 1);
    assert_string_equal(end(&text), "lti_things_total{name=\"a\\\"} 1\\nlti_other 2\\\\\",none=\"\"} 1\n# EOF\n");
}

static void test_buckets_add_up(void **state)
{
    static const mod_lti_admin_family_t family = {"lti_run_seconds", "histogram", "seconds", "Runs."};
    lti_meter_histogram_t histogram = {.seconds = 7.5};
    mod_lti_admin_text_t text;
    const char *told;
    int i;

    for (i = 0; i < LTI_METER_BUCKETS; i++)
        histogram.buckets[i] = 2;
    mod_lti_admin_text_begin(&text, *state);
    mod_lti_admin_text_family(&text, &family);
    mod_lti_admin_text_histogram(&text, &histogram);
    told = end(&text);
    assert_non_null(strstr(told, "\nlti_run_seconds_bucket{le=\"0.005\"} 2\nlti_run_seconds_bucket{le=\"0.02\"} 4\n"));
    assert_non_null(strstr(told, "\nlti_run_seconds_bucket{le=\"600.0\"} 22\nlti_run_seconds_bucket{le=\"+Inf\"} 24\n"
                                 "lti_run_seconds_count 24\nlti_run_seconds_sum 7.5\n# EOF\n"));
}

/* More than there was room for at first. */
static void test_it_grows(void **state)
{
    mod_lti_admin_text_t text;
    int i;

    mod_lti_admin_text_begin(&text, *state);
    mod_lti_admin_text_family(&text, &counter);
    text.size = 0;
    for (i = 0; i < 5000; i++)
        mod_lti_admin_text_count(&text, NULL, 7);
    assert_int_equal(text.size, 5000 * strlen("lti_things_total 7\n"));
    for (i = 0; i < 5000; i++)
        assert_memory_equal(text.text + (size_t)i * 19, "lti_things_total 7\n", 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_families_and_samples),
        POOL_TEST(test_numbers_have_a_point_and_no_idle_digits),
        POOL_TEST(test_a_label_cannot_end_its_line),
        POOL_TEST(test_buckets_add_up),
        POOL_TEST(test_it_grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
