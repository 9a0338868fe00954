/* SPDX-License-Identifier: Apache-2.0 */
/* Who may frame a page: origins as sources of a policy, and the policies of applications with their word about frames replaced (SPEC S-25). */
#include "test.h"
#include "lti_csp.h"

static void origins_become_sources(void **state)
{
    static const struct {
        const char *url, *source;
    } rows[] = {
        {"https://lms.example.edu", "https://lms.example.edu"},
        {"https://LMS.Example.edu/moodle?a=b", "https://lms.example.edu"},
        {"https://lms.example.edu:443/x", "https://lms.example.edu"},
        {"https://lms.example.edu:8443/x", "https://lms.example.edu:8443"},
        {"https://lms.example.edu:80/x", "https://lms.example.edu:80"},
        {"http://localhost:80/", "http://localhost"},
        {"http://localhost:8080/", "http://localhost:8080"},
        {"http://127.0.0.1:8080/", "http://127.0.0.1:8080"},
        {"https://[2001:db8::1]/", NULL},
        {"https://a;script-src *", NULL},
        {"https://a,b/", NULL},
        {"https://a'b/", NULL},
        {"https://*/", NULL},
        {"https://user@lms.example.edu/", NULL},
        {"https://lms.example.edu:/", NULL},
        {"https://lms.example.edu:8443x/", NULL},
        {"https://lms.example.edu\\@evil.example/", NULL},
        {"https:///", NULL},
        {"ftp://lms.example.edu/", NULL},
        {"/course/1", NULL},
        {"", NULL},
        {NULL, NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *source = lti_csp_source(rows[i].url, *state);

        if (rows[i].source == NULL)
            assert_null(source);
        else
            assert_string_equal(source, rows[i].source);
    }
}

static void sources_are_found_whole(void **state)
{
    static const struct {
        const char *sources, *source;
        int has;
    } rows[] = {
        {"'self' https://a.example", "https://a.example", 1}, {"https://a.example 'self'", "https://a.example", 1},
        {"https://a.example", "https://a.example", 1},        {"https://a.example:8443 https://a.example", "https://a.example", 1},
        {"https://a.example:8443", "https://a.example", 0},   {"xhttps://a.example", "https://a.example", 0},
        {"https://a.example.org", "https://a.example", 0},    {"", "https://a.example", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(lti_csp_has_source(rows[i].sources, rows[i].source, strlen(rows[i].source)), rows[i].has);
}

static void sources_are_added_once(void **state)
{
    const char *directive = "frame-ancestors 'self'";

    directive = lti_csp_add_source(directive, "https://LMS.example.edu/course/1", *state);
    directive = lti_csp_add_source(directive, "https://lms.example.edu:443/return", *state);
    directive = lti_csp_add_source(directive, "https://lms.example.edu", *state);
    directive = lti_csp_add_source(directive, "https://sso.example.edu:8443/auth", *state);
    directive = lti_csp_add_source(directive, "https://evil;script-src *", *state);
    directive = lti_csp_add_source(directive, NULL, *state);
    assert_string_equal(directive, "frame-ancestors 'self' https://lms.example.edu https://sso.example.edu:8443");
}

#define OURS "frame-ancestors 'self' https://lms.example.edu"

static void word_about_frames_is_replaced(void **state) /* SPEC S-25 */
{
    static const struct {
        const char *policies, *replaced; /* NULL: they do not speak of frames */
    } rows[] = {
        {"frame-ancestors 'none'", OURS},
        {"frame-ancestors", OURS},
        {"FRAME-Ancestors 'none';", OURS ";"},
        {"default-src 'self'; frame-ancestors 'none'", "default-src 'self'; " OURS},
        {"default-src 'self';frame-ancestors 'none';img-src *", "default-src 'self';" OURS ";img-src *"},
        {"default-src 'self';\t frame-ancestors\thttps://a.example ; img-src *", "default-src 'self';" OURS "; img-src *"},
        {"frame-ancestors 'none'; frame-ancestors *", OURS "; " OURS},
        {"default-src 'self'; frame-ancestors 'none', frame-ancestors https://x.example; img-src *",
         "default-src 'self'; " OURS ", " OURS "; img-src *"},
        {"default-src 'self'", NULL},
        {"frame-src 'none'; report-uri /frame-ancestors", NULL},
        {"frame-ancestors-of-tomorrow 'none'", NULL},
        {"x-frame-ancestors 'none'", NULL},
        {"", NULL},
        {";,;", NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(lti_csp_speaks_of_frames(rows[i].policies), rows[i].replaced != NULL);
        assert_string_equal(lti_csp_replace(rows[i].policies, OURS, *state),
                            rows[i].replaced != NULL ? rows[i].replaced : rows[i].policies);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(origins_become_sources),
        POOL_TEST(sources_are_found_whole),
        POOL_TEST(sources_are_added_once),
        POOL_TEST(word_about_frames_is_replaced),
    };
    return cmocka_run_group_tests_name("csp", tests, NULL, NULL);
}
