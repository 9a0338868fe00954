/* SPDX-License-Identifier: Apache-2.0 */
/* Where a launch may land, and the tricks that must not lead it elsewhere (SPEC K-08, S-05). */
#include "test.h"

#include "mod_lti_launch_parts.h"

#define BASE "https://tools.example.edu"

static const struct {
    const char *target, *destination; /* NULL: refused */
} cases[] = {
    /* The door: the bare origin and our own end points. */
    {BASE, BASE "/app/"},
    {BASE "/", BASE "/app/"},
    {BASE "/lti/launch", BASE "/app/"},
    {BASE "/lti/launch?x=1", BASE "/app/"},
    {BASE "/lti", BASE "/app/"},
    {"https://TOOLS.example.edu:443/", BASE "/app/"},
    /* Below a prefix. */
    {BASE "/app/", BASE "/app/"},
    {BASE "/app", BASE "/app"},
    {BASE "/app/page?q=https%3A%2F%2Fevil.example&r=/../x", BASE "/app/page?q=https%3A%2F%2Fevil.example&r=/../x"},
    {BASE "/app/page#/route/2", BASE "/app/page#/route/2"},
    {BASE "/other/deep/er", BASE "/other/deep/er"},
    {BASE "/app/a%20b", BASE "/app/a%20b"},
    {BASE "/app/caf\xc3\xa9", BASE "/app/caf%C3%A9"},
    {BASE "/app/...", BASE "/app/..."},
    {"https://tools.example.edu:443/app/x", BASE "/app/x"},
    /* Not below one. */
    {BASE "/apple", NULL},
    {BASE "/ltix", NULL},
    {BASE "/elsewhere/", NULL},
    {BASE "/APP/", NULL},
    {BASE "/%61pp/", NULL},
    {BASE "?x", NULL},
    /* Another origin. */
    {"https://evil.example/app/", NULL},
    {"http://tools.example.edu/app/", NULL},
    {"https://tools.example.edu:444/app/", NULL},
    {"https://tools.example.edu.evil.example/app/", NULL},
    {"https://tools.example.edu@evil.example/app/", NULL},
    {"https://evil.example#@tools.example.edu/app/", NULL},
    {"https://user@tools.example.edu/app/", NULL},
    {"https://tools.example.edu\\@evil.example/app/", NULL},
    {"//tools.example.edu/app/", NULL},
    {"/app/", NULL},
    {"javascript:alert(1)", NULL},
    {"https:/tools.example.edu/app/", NULL},
    {"", NULL},
    /* Paths that programs read differently. */
    {BASE "/app/../secret", NULL},
    {BASE "/app/..", NULL},
    {BASE "/app/./x", NULL},
    {BASE "/app/..;x/secret", NULL},
    {BASE "/app/%2e%2e/secret", NULL},
    {BASE "/app/%2E./secret", NULL},
    {BASE "/app%2fx", NULL},
    {BASE "/app/%5c..%5csecret", NULL},
    {BASE "/app\\..\\secret", NULL},
    {BASE "//app/", NULL},
    {BASE "/app//x", NULL},
    {BASE "//evil.example/app/", NULL},
    {BASE "/app/%00", NULL},
    {BASE "/app/%0d%0aSet-Cookie:%20x=1", NULL},
    {BASE "/app/%7f", NULL},
    {BASE "/app/%", NULL},
    {BASE "/app/%zz", NULL},
    {BASE "/app/x\r\nSet-Cookie: a=b", NULL},
    {BASE "/app/#x\r\nSet-Cookie: a=b", NULL},
    {BASE "/app/#\"><script>", NULL},
    {BASE "/app/\t", NULL},
    {BASE "/app/\xff", NULL},
};

static lti_server_config_t conf_of(apr_pool_t *p)
{
    lti_server_config_t conf;

    memset(&conf, 0, sizeof(conf));
    conf.path = "/lti";
    conf.applications = apr_array_make(p, 2, sizeof(const char *));
    APR_ARRAY_PUSH(conf.applications, const char *) = "/app/";
    APR_ARRAY_PUSH(conf.applications, const char *) = "/other/deep";
    return conf;
}

static void test_targets(void **state)
{
    const lti_server_config_t conf = conf_of(*state);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *destination = "untouched";
        lti_err_t err;
        apr_status_t rv = mod_lti_launch_target(&destination, &conf, BASE, cases[i].target, *state, &err);

        print_message("%s\n", cases[i].target);
        if (cases[i].destination == NULL) {
            assert_code(rv, err, LTI_E_TARGET_NOT_ALLOWED);
            assert_null(destination);
        } else {
            assert_ok(rv, err);
            assert_string_equal(destination, cases[i].destination);
        }
    }
}

static void test_target_length(void **state)
{
    const lti_server_config_t conf = conf_of(*state);
    char *target = apr_pcalloc(*state, 4098);
    const char *destination;
    lti_err_t err;

    memset(target, 'a', 4097);
    memcpy(target, BASE "/app/#", sizeof(BASE "/app/#") - 1);
    assert_code(mod_lti_launch_target(&destination, &conf, BASE, target, *state, &err), err, LTI_E_TARGET_NOT_ALLOWED);
    target[4096] = '\0';
    assert_ok(mod_lti_launch_target(&destination, &conf, BASE, target, *state, &err), err);
}

/* An application at the root takes every path but ours; trials run on plain http. */
static void test_root_application(void **state)
{
    lti_server_config_t conf = conf_of(*state);
    const char *destination;
    lti_err_t err;

    APR_ARRAY_IDX(conf.applications, 0, const char *) = "/";
    assert_ok(mod_lti_launch_target(&destination, &conf, "http://localhost:8080", "http://localhost:8080/any/page", *state, &err),
              err);
    assert_string_equal(destination, "http://localhost:8080/any/page");
    assert_ok(mod_lti_launch_target(&destination, &conf, "http://localhost:8080", "http://localhost:8080?x", *state, &err), err);
    assert_string_equal(destination, "http://localhost:8080/?x");
    assert_ok(mod_lti_launch_target(&destination, &conf, "http://localhost:8080", "http://localhost:8080/lti/login", *state, &err),
              err);
    assert_string_equal(destination, "http://localhost:8080/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_targets),
        POOL_TEST(test_target_length),
        POOL_TEST(test_root_application),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
