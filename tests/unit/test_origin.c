/* SPDX-License-Identifier: Apache-2.0 */
/* What browsers tell of where a request comes from: which requests could be forged, and which are a person's way to a page (Invariant 10). */
#include "test.h"

#include "mod_lti_origin.h"

#define BASE "https://tools.example.edu"

/* A request with these headers, a list of names and values that ends with NULL. */
static request_rec *request(apr_pool_t *p, int method, const char *const *headers)
{
    request_rec *r = apr_pcalloc(p, sizeof(*r));

    r->pool = p;
    r->method_number = method;
    r->headers_in = apr_table_make(p, 8);
    for (; *headers != NULL; headers += 2)
        apr_table_mergen(r->headers_in, headers[0], headers[1]); /* as httpd reads repeated ones */
    return r;
}

static void what_changes_something_is_unsafe(void **state)
{
    static const struct {
        int method, unsafe;
    } rows[] = {
        {M_GET, 0},  {M_OPTIONS, 0}, {M_TRACE, 0}, {M_PROPFIND, 0},  {M_REPORT, 0},      {M_POST, 1},
        {M_PUT, 1},  {M_DELETE, 1},  {M_PATCH, 1}, {M_PROPPATCH, 1}, {M_MKCOL, 1},       {M_COPY, 1},
        {M_LOCK, 1}, {M_CONNECT, 1}, {M_MERGE, 1}, {M_INVALID, 1},   {M_INVALID + 3, 1}, /* a method that another module registered */
    };
    const char *const none[] = {NULL};
    const char *const socket[] = {"upgrade", "WebSocket", NULL};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(mod_lti_origin_is_unsafe(request(*state, rows[i].method, none)), rows[i].unsafe);
    assert_int_equal(mod_lti_origin_is_unsafe(request(*state, M_GET, socket)), 1);
}

static void pages_of_other_sites_are_told_from_ours(void **state)
{
    static const struct {
        int own;
        const char *headers[9];
    } rows[] = {
        {1, {NULL}},
        {1, {"Sec-Fetch-Site", "same-origin", NULL}},
        {1, {"Sec-Fetch-Site", "same-site", NULL}},
        {1, {"Sec-Fetch-Site", "none", NULL}},
        {1,
         {"sec-fetch-site", "same-origin", "Origin", "https://evil.example",
          NULL}}, /* Origin counts only where there is no better word */
        {0, {"Sec-Fetch-Site", "cross-site", NULL}},
        {0, {"Sec-Fetch-Site", "cross-site", "Origin", BASE, NULL}},
        {0, {"Sec-Fetch-Site", "Cross-Site", NULL}},
        {0, {"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site", NULL}},
        {0, {"Sec-Fetch-Site", "same-origin, same-origin", NULL}},
        {0, {"Sec-Fetch-Site", "Same-Origin", NULL}}, /* no browser writes it so */
        {0, {"Sec-Fetch-Site", "something-of-tomorrow", NULL}},
        {0, {"Sec-Fetch-Site", "", NULL}},
        {1, {"Origin", BASE, NULL}},
        {1, {"Origin", "HTTPS://Tools.Example.EDU", NULL}},
        {1, {"Origin", BASE ":443", NULL}},
        {0, {"Origin", "null", NULL}}, /* a sandboxed frame, a file */
        {0, {"Origin", "", NULL}},
        {0, {"Origin", "https://evil.example", NULL}},
        {0, {"Origin", "https://sub.tools.example.edu", NULL}},
        {0, {"Origin", BASE ".evil.example", NULL}},
        {0, {"Origin", BASE "/", NULL}},
        {0, {"Origin", BASE ":8443", NULL}},
        {0, {"Origin", "http://tools.example.edu", NULL}},
        {0, {"Origin", BASE, "Origin", "https://evil.example", NULL}},
        {0, {"Origin", BASE, "Origin", BASE, NULL}},
        {0, {"Origin", "https://tools.example.edu@evil.example", NULL}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lti_err_t err;
        apr_status_t rv = mod_lti_origin_check(request(*state, M_POST, rows[i].headers), BASE, &err);

        print_message("%s: %s\n", rows[i].headers[0] != NULL ? rows[i].headers[0] : "-",
                      rows[i].headers[0] != NULL ? rows[i].headers[1] : "-");
        if (rows[i].own)
            assert_ok(rv, err);
        else
            assert_code(rv, err, LTI_E_CROSS_SITE);
    }
}

static void base_url_may_name_its_port(void **state)
{
    const char *const headers[] = {"Origin", BASE, NULL};
    const char *const address[] = {"Origin", "https://[::1]:8443", NULL};
    lti_err_t err;

    assert_ok(mod_lti_origin_check(request(*state, M_POST, headers), BASE ":443", &err), err);
    assert_code(mod_lti_origin_check(request(*state, M_POST, headers), BASE ":8443", &err), err, LTI_E_CROSS_SITE);
    assert_ok(mod_lti_origin_check(request(*state, M_POST, address), "https://[::1]:8443", &err), err);
}

static void a_person_goes_to_a_page(void **state)
{
    static const struct {
        int method, navigation;
        const char *headers[7];
    } rows[] = {
        {M_GET, 1, {NULL}},
        {M_GET, 1, {"Accept", "*/*", NULL}},
        {M_GET, 1, {"Accept", "text/html,application/xhtml+xml,*/*;q=0.8", NULL}},
        {M_GET, 1, {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", NULL}},
        {M_GET, 0, {"Sec-Fetch-Mode", "cors", "Accept", "text/html", NULL}},
        {M_GET, 0, {"Sec-Fetch-Mode", "no-cors", NULL}},
        {M_GET, 0, {"Sec-Fetch-Mode", "same-origin", NULL}},
        {M_GET, 0, {"Sec-Fetch-Mode", "websocket", NULL}},
        {M_GET, 0, {"X-Requested-With", "XMLHttpRequest", "Accept", "*/*", NULL}},
        {M_GET, 0, {"Accept", "application/json", NULL}},
        {M_GET, 0, {"Upgrade", "websocket", NULL}},
        {M_POST, 0, {"Sec-Fetch-Mode", "navigate", NULL}},
        {M_PUT, 0, {NULL}},
        {M_OPTIONS, 0, {NULL}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(mod_lti_origin_is_navigation(request(*state, rows[i].method, rows[i].headers)), rows[i].navigation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(what_changes_something_is_unsafe),
        POOL_TEST(pages_of_other_sites_are_told_from_ours),
        POOL_TEST(base_url_may_name_its_port),
        POOL_TEST(a_person_goes_to_a_page),
    };
    return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
