/* SPDX-License-Identifier: Apache-2.0 */
/* The segment that names the course (LTICoursePaths): taken off paths, put back into what answers say, and nowhere else. */
#include "test.h"

#include "mod_lti_paths_parts.h"

#define KEY "abcdefghijklmnop"
#define OTHER "zyxwvutsrqponml2"
#define SEGMENT "/~" KEY
#define BASE "https://tools.example.edu"

static apr_array_header_t *applications(apr_pool_t *p)
{
    static const lti_course_path_t all[] = {
        {"/app", 4, 1}, {"/app/plain", 10, 0}, {"/app/deep", 9, 1}, {"/off", 4, 0}, {"/two", 4, 1}};
    apr_array_header_t *array = apr_array_make(p, 5, sizeof(lti_course_path_t));
    apr_size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        APR_ARRAY_PUSH(array, lti_course_path_t) = all[i];
    return array;
}

static apr_array_header_t *whole_site(apr_pool_t *p)
{
    apr_array_header_t *array = apr_array_make(p, 1, sizeof(lti_course_path_t));

    APR_ARRAY_PUSH(array, lti_course_path_t) = (lti_course_path_t){"", 0, 1};
    return array;
}

static void test_the_longest_application_counts(void **state)
{
    const apr_array_header_t *all = applications(*state);
    static const struct {
        const char *path, *prefix;
    } cases[] = {{"/app", "/app"},
                 {"/app/", "/app"},
                 {"/app/x", "/app"},
                 {"/apple", NULL},
                 {"/ap", NULL},
                 {"/app/plain", NULL},
                 {"/app/plain/x", NULL},
                 {"/off/x", NULL},
                 {"/app/plainer", "/app"},
                 {"/", NULL},
                 {"/app/deep/x", "/app/deep"},
                 {"/two", "/two"},
                 {"", NULL}};
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const lti_course_path_t *found = mod_lti_config_course_path(all, cases[i].path);

        if (cases[i].prefix == NULL ? found != NULL : found == NULL || strcmp(found->prefix, cases[i].prefix) != 0)
            fail_msg("%s is of %s", cases[i].path, found != NULL ? found->prefix : "none");
    }
    assert_null(mod_lti_config_course_path(NULL, "/app/"));
    assert_non_null(mod_lti_config_course_path(whole_site(*state), "/"));
}

static void test_one_segment_is_taken_off_directly_behind_the_prefix(void **state)
{
    const apr_array_header_t *all = applications(*state);
    static const struct {
        const char *path, *rest; /* NULL: no segment */
    } cases[] = {
        {"/app" SEGMENT "/page", "/app/page"},
        {"/app" SEGMENT "/", "/app/"},
        {"/app" SEGMENT, "/app"},
        {"/two" SEGMENT "/x", "/two/x"},
        {"/app/deep" SEGMENT "/x", "/app/deep/x"},
        {"/app" SEGMENT "/deep/x", "/app/deep/x"},
        {"/app" SEGMENT "/plain/x", "/app/plain/x"},
        /* What follows is the application's own. */
        {"/app" SEGMENT "/~" OTHER "/x", "/app/~" OTHER "/x"},
        {"/app" SEGMENT SEGMENT "/x", "/app" SEGMENT "/x"},
        {"/app" SEGMENT "//x", "/app//x"},
        {"/app/x" SEGMENT "/y", NULL},
        {"/app", NULL},
        {"/app/", NULL},
        {"/app/~", NULL},
        {"/app/~/x", NULL},
        {"/app/~abcdefghijklmno/x", NULL},
        {"/app/~abcdefghijklmnopq/x", NULL},
        {"/app/~abcdefghijklmno1/x", NULL},
        {"/app/~ABCDEFGHIJKLMNOP/x", NULL},
        {"/app" SEGMENT "%2Fx", NULL},
        {"/app" SEGMENT ";x/y", NULL},
        {"/app" SEGMENT ".", NULL},
        {"/app~" KEY "/x", NULL},
        {"/app/" KEY "/x", NULL},
        {"/off" SEGMENT "/x", NULL},
        {"/apple" SEGMENT "/x", NULL},
        {SEGMENT "/x", NULL},
        {"", NULL},
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *key = NULL, *rest = NULL;
        const lti_course_path_t *found = mod_lti_paths_split(&key, &rest, all, cases[i].path, *state);

        if ((found != NULL) != (cases[i].rest != NULL))
            fail_msg("%s has %s segment", cases[i].path, found != NULL ? "a" : "no");
        if (found != NULL) {
            assert_string_equal(rest, cases[i].rest);
            assert_string_equal(key, KEY);
        }
    }
}

static void test_whole_site_as_an_application(void **state)
{
    const apr_array_header_t *all = whole_site(*state);
    const char *key, *rest;

    assert_non_null(mod_lti_paths_split(&key, &rest, all, SEGMENT "/x", *state));
    assert_string_equal(rest, "/x");
    assert_non_null(mod_lti_paths_split(&key, &rest, all, SEGMENT, *state));
    assert_string_equal(rest, "/");
    assert_string_equal(mod_lti_paths_join(mod_lti_config_course_path(all, "/x"), KEY, "/x", *state), SEGMENT "/x");
    assert_string_equal(mod_lti_paths_join(mod_lti_config_course_path(all, "/"), KEY, "/", *state), SEGMENT "/");
}

/* An address without a segment that is led to one must never be led again. */
static void test_what_was_joined_is_split_again(void **state)
{
    static const char *const paths[] = {"/app",      "/app/",   "/app/x", "/app/~" OTHER "/x", "/app" SEGMENT "%2Fx",
                                        "/app/deep", "/app//x", "/two/~/"};
    const apr_array_header_t *all = applications(*state);
    apr_size_t i;

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const char *key, *rest, *joined = mod_lti_paths_join(mod_lti_config_course_path(all, paths[i]), KEY, paths[i], *state);

        assert_non_null(mod_lti_paths_split(&key, &rest, all, joined, *state));
        assert_string_equal(key, KEY);
        assert_string_equal(rest, paths[i]);
    }
}

static void test_dot_segments_are_resolved_as_browsers_do(void **state)
{
    static const struct {
        const char *path, *resolved;
    } cases[] = {{"/a/b", "/a/b"},
                 {"/a/./b", "/a/b"},
                 {"/a/../b", "/b"},
                 {"/a/..", "/"},
                 {"/a/.", "/a/"},
                 {"/../../a", "/a"},
                 {"/a//b", "/a//b"},
                 {"/a//../b", "/a/b"},
                 {"/%2e%2E/a", "/a"},
                 {"/a/.%2e/b", "/b"},
                 {"/a/.../b", "/a/.../b"},
                 {"/a/..x", "/a/..x"},
                 {"/", "/"},
                 {"/a/%2e", "/a/"},
                 {"/..", "/"},
                 {"/a/b/../../..", "/"},
                 {"", ""}};
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(mod_lti_paths_resolve(cases[i].path, *state), cases[i].resolved);
}

static mod_lti_paths_return_t way_back(apr_pool_t *p)
{
    mod_lti_paths_return_t back = {.all = applications(p),
                                   .key = KEY,
                                   .asked = "/app/dir/page",
                                   .origins = {"https://tools.example.edu:443", "http://tools.example.edu:8080"},
                                   .cookie_name = "lti"};

    back.application = mod_lti_config_course_path(back.all, "/app/");
    return back;
}

static void test_locations_get_the_segment_back(void **state)
{
    const mod_lti_paths_return_t back = way_back(*state);
    static const struct {
        const char *url, *answer; /* NULL: stays */
    } cases[] = {
        {"/app/", "/app" SEGMENT "/"},
        {"/app", "/app" SEGMENT},
        {"/app/x?next=/app/y#z", "/app" SEGMENT "/x?next=/app/y#z"},
        {"/app?x", "/app" SEGMENT "?x"},
        {"/app/deep/x", "/app/deep" SEGMENT "/x"},
        {"/two/x", "/two" SEGMENT "/x"},
        {BASE "/app/x", BASE "/app" SEGMENT "/x"},
        {"HTTPS://Tools.Example.EDU:443/app/x", "HTTPS://Tools.Example.EDU:443/app" SEGMENT "/x"},
        {"http://tools.example.edu:8080/app/x", "http://tools.example.edu:8080/app" SEGMENT "/x"},
        {"//tools.example.edu/app/x", "//tools.example.edu/app" SEGMENT "/x"},
        {"/app/../app/./x", "/app" SEGMENT "/x"},
        /* Relative ones count from the address that the application saw. */
        {"next", "/app" SEGMENT "/dir/next"},
        {"./next?x", "/app" SEGMENT "/dir/next?x"},
        {"../next", "/app" SEGMENT "/next"},
        {"../../two/x", "/two" SEGMENT "/x"},
        /* Written by an application that knows of it. */
        {"/app" SEGMENT "/x", NULL},
        {"/app" SEGMENT, NULL},
        {BASE "/app" SEGMENT "/x", NULL},
        {"/app/%7E" KEY "/x/%41?~", "/app" SEGMENT "/x/%41?~"},
        {BASE "/app/%7e" KEY, BASE "/app" SEGMENT},
        {"/app/%7E" OTHER "/x", "/app" SEGMENT "/%7E" OTHER "/x"},
        {"/app/x%7E" KEY, "/app" SEGMENT "/x%7E" KEY},
        /* Looks like one and is not this course's: a folder of the application. */
        {"/app/~" OTHER "/x", "/app" SEGMENT "/~" OTHER "/x"},
        /* Elsewhere. */
        {"/", NULL},
        {"/apple", NULL},
        {"/off/x", NULL},
        {"/app/plain/x", NULL},
        {"/app/../x", NULL},
        {"/app/%2e%2e/x", NULL},
        {BASE, NULL},
        {BASE "/", NULL},
        {BASE "?/app/x", NULL},
        {"http://tools.example.edu/app/x", NULL},
        {"https://evil.example/app/x", NULL},
        {"https://tools.example.edu.evil.example/app/x", NULL},
        {"https://tools.example.edu@evil.example/app/x", NULL},
        {"//evil.example/app/x", NULL},
        {"ftp://tools.example.edu/app/x", NULL},
        {"mailto:app/x@example.edu", NULL},
        {"javascript:/app/x", NULL},
        {"?x", NULL},
        {"#x", NULL},
        {"", NULL},
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(mod_lti_paths_put_back(&back, cases[i].url, *state),
                            cases[i].answer != NULL ? cases[i].answer : cases[i].url);
    /* Outside the application: whatever a browser makes of it, it must be what the application meant. */
    assert_string_equal(mod_lti_paths_put_back(&back, "../../x", *state), "/app/dir/../../x");
}

static void test_refresh_gets_the_segment_back(void **state)
{
    const mod_lti_paths_return_t back = way_back(*state);
    static const struct {
        const char *value, *answer;
    } cases[] = {
        {"5; url=/app/x", "5; url=/app" SEGMENT "/x"},
        {"0;URL='/app/x'", "0;URL='/app" SEGMENT "/x'"},
        {"1, url = \"/app/x\"; more", "1, url = \"/app" SEGMENT "/x\"; more"},
        {"0;/app/x", "0;/app" SEGMENT "/x"},
        {"5", "5"},
        {"5; url=", "5; url="},
        {"5; url=https://evil.example/app/x", "5; url=https://evil.example/app/x"},
        {"5; url='/app/x", "5; url='/app" SEGMENT "/x"},
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(mod_lti_paths_put_back_refresh(&back, cases[i].value, *state), cases[i].answer);
}

static void test_cookies_of_the_application_are_of_one_course(void **state)
{
    const mod_lti_paths_return_t back = way_back(*state);
    static const struct {
        const char *line, *answer; /* NULL: stays */
    } cases[] = {
        {"sid=1; Path=/app/; HttpOnly", "sid=1; Path=/app" SEGMENT "/; HttpOnly"},
        {"sid=1; path=/app", "sid=1; path=/app" SEGMENT},
        {"sid=1;PATH=/app/dir ;Secure", "sid=1;PATH=/app" SEGMENT "/dir ;Secure"},
        {"sid=1; Path = /app/x", "sid=1; Path = /app" SEGMENT "/x"},
        {"sid=1; Path=/two/x", "sid=1; Path=/two" SEGMENT "/x"},
        /* Above the application: of all courses, if it were left so. */
        {"sid=1; Path=/", "sid=1; Path=/app" SEGMENT},
        {"sid=; Path=/; Max-Age=0", "sid=; Path=/app" SEGMENT "; Max-Age=0"},
        {"sid=1; Path=/; Path=/app/", "sid=1; Path=/app" SEGMENT "; Path=/app" SEGMENT "/"},
        /* Browsers take the folder of the address, which has the segment. */
        {"sid=1", NULL},
        {"sid=1; Path=", NULL},
        {"sid=1; Path", NULL},
        {"sid=1; Path=app", NULL},
        {"sid=1; HttpOnly; Secure", NULL},
        {"sid=path=/", NULL},
        /* Elsewhere, or done already. */
        {"sid=1; Path=/off/", NULL},
        {"sid=1; Path=/apple", NULL},
        {"sid=1; Path=/app" SEGMENT "/", NULL},
        {"sid=1; Path=/app/%7E" KEY "/", "sid=1; Path=/app" SEGMENT "/"},
        /* For all courses, and those that may have no other path. */
        {"lti_" KEY "=1.x; Path=/; Secure", NULL},
        {"__Host-sid=1; Path=/; Secure", NULL},
        {"__host-sid=1; Path=/; Secure", NULL},
        {"ltisid=1; Path=/", "ltisid=1; Path=/app" SEGMENT},
        {"", NULL},
        {";", NULL},
        {"=; Path=/;", "=; Path=/app" SEGMENT ";"},
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(mod_lti_paths_put_back_cookie(&back, cases[i].line, *state),
                            cases[i].answer != NULL ? cases[i].answer : cases[i].line);
}

/* What a browser would send to all courses, or, since its path is of the other application, never. */
static void test_cookies_of_applications_in_one_another(void **state)
{
    static const struct {
        const char *asked, *line, *answer; /* NULL: stays */
    } cases[] = {
        {"/app/deep/x", "sid=1; Path=/", "sid=1; Path=/app/deep" SEGMENT},
        {"/app/deep/x", "sid=1; Path=/app", "sid=1; Path=/app/deep" SEGMENT},
        {"/app/deep/x", "sid=1; Path=/app/", "sid=1; Path=/app/deep" SEGMENT},
        {"/app/deep/x", "sid=1; Path=/app/deep/", "sid=1; Path=/app/deep" SEGMENT "/"},
        {"/app/deep/x", "sid=1; Path=/app/dee", "sid=1; Path=/app" SEGMENT "/dee"},
        {"/app/deep/x", "sid=1; Path=/app/deeper", "sid=1; Path=/app" SEGMENT "/deeper"},
        {"/app/deep/x", "sid=1; Path=/two", "sid=1; Path=/two" SEGMENT},
        {"/app/deep/", "sid=1", NULL},
        /* Nothing behind the segment: its folder is that of all courses. */
        {"/app/deep", "sid=1", "sid=1; Path=/app/deep" SEGMENT},
        {"/app/deep", "sid=1; Secure; Path=", "sid=1; Secure; Path=; Path=/app/deep" SEGMENT},
        {"/app/deep", "sid=1; Path=/; HttpOnly", "sid=1; Path=/app/deep" SEGMENT "; HttpOnly"},
        {"/app/deep", "sid=1; Path=/off", NULL},
        {"/app/deep", "lti_" KEY "=1.x; Path=/; Secure", NULL},
        {"/app/deep", "", NULL},
    };
    mod_lti_paths_return_t back = way_back(*state);
    apr_size_t i;

    back.application = mod_lti_config_course_path(back.all, "/app/deep");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        back.asked = cases[i].asked;
        assert_string_equal(mod_lti_paths_put_back_cookie(&back, cases[i].line, *state),
                            cases[i].answer != NULL ? cases[i].answer : cases[i].line);
    }
    back.all = whole_site(*state);
    back.application = mod_lti_config_course_path(back.all, "/");
    back.asked = "/";
    assert_string_equal(mod_lti_paths_put_back_cookie(&back, "sid=1", *state), "sid=1; Path=" SEGMENT);
    assert_string_equal(mod_lti_paths_put_back_cookie(&back, "sid=1; Path=/", *state), "sid=1; Path=" SEGMENT);
    back.asked = "/page";
    assert_string_equal(mod_lti_paths_put_back_cookie(&back, "sid=1; Path=/", *state), "sid=1; Path=" SEGMENT);
    assert_string_equal(mod_lti_paths_put_back_cookie(&back, "sid=1", *state), "sid=1");
}

static void test_only_our_own_origin_is_ours(void **state)
{
    static const char *const one[2] = {"https://tools.example.edu:443", NULL}, *const none[2] = {NULL, NULL};
    apr_size_t length = 0;

    assert_string_equal(mod_lti_paths_own(&length, BASE "/app/x?y", one, *state), "/app/x?y");
    assert_int_equal(length, strlen(BASE));
    assert_string_equal(mod_lti_paths_own(&length, BASE, one, *state), "");
    assert_null(mod_lti_paths_own(&length, "http://tools.example.edu/app/x", one, *state));
    assert_null(mod_lti_paths_own(&length, "/app/x", one, *state));
    assert_null(mod_lti_paths_own(&length, "about:blank", one, *state));
    assert_null(mod_lti_paths_own(&length, "https:/tools.example.edu/app/x", one, *state));
    assert_null(mod_lti_paths_own(&length, BASE "/app/x", none, *state));
}

static void test_pages_of_end_points_name_the_session(void **state)
{
    static const char *const named[] = {"session=" KEY, "a=b&session=" KEY, "session=" KEY "&since=4", "xsession=1&session=" KEY "&session=" OTHER};
    static const char *const not_named[] = {"",       "session=", "session=" KEY "a", "Session=" KEY,     "a=session=" KEY, "session=%61" KEY,
                                            "course=" KEY, "sessions=" KEY, "session",         "&&&", "session=0" KEY};
    apr_size_t i;

    for (i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        assert_string_equal(mod_lti_paths_named_session(named[i], *state), KEY);
    for (i = 0; i < sizeof(not_named) / sizeof(not_named[0]); i++)
        assert_null(mod_lti_paths_named_session(not_named[i], *state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_the_longest_application_counts),
        POOL_TEST(test_one_segment_is_taken_off_directly_behind_the_prefix),
        POOL_TEST(test_whole_site_as_an_application),
        POOL_TEST(test_what_was_joined_is_split_again),
        POOL_TEST(test_dot_segments_are_resolved_as_browsers_do),
        POOL_TEST(test_locations_get_the_segment_back),
        POOL_TEST(test_refresh_gets_the_segment_back),
        POOL_TEST(test_cookies_of_the_application_are_of_one_course),
        POOL_TEST(test_cookies_of_applications_in_one_another),
        POOL_TEST(test_only_our_own_origin_is_ours),
        POOL_TEST(test_pages_of_end_points_name_the_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
