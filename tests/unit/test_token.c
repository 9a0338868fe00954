/* SPDX-License-Identifier: Apache-2.0 */
/* The assertion says what platforms demand, answers are believed when they hold, tokens are kept no longer than they live. */
#include "test.h"

#include <jansson.h>
#include "lti_jws.h"
#include "lti_token.h"

#define NOW apr_time_from_sec(1700000000)
#define ANSWER(members) "{\"access_token\":\"abc\"" members "}"

static const lti_platform_t campus = {
    .name = "campus",
    .client_id = "client 1",
    .token_endpoint = "https://lms.example.edu/token",
    .token_audience = "https://api.example.edu/auth/token",
};

static lti_key_t *make_key(apr_pool_t *p)
{
    lti_key_t *key = NULL;
    char *pem;
    lti_err_t err;

    assert_ok(lti_key_generate_pem(&pem, p, &err), err);
    assert_ok(lti_key_from_pem(&key, pem, strlen(pem), p, &err), err);
    return key;
}

static lti_http_response_t answer_of(long status, apr_pool_t *p)
{
    return (lti_http_response_t){.status = status, .headers = apr_table_make(p, 1), .content_type = "text/html"};
}

static apr_status_t put(lti_tokens_t *tokens, long status, const char *body, apr_time_t now, apr_pool_t *p, lti_err_t *err)
{
    lti_http_response_t response = answer_of(status, p);

    return lti_tokens_put(tokens, &campus, "1", LTI_SCOPE_NRPS, &response, body, strlen(body), now, err);
}

static const char *get(const lti_tokens_t *tokens, int seconds)
{
    return lti_tokens_get(tokens, &campus, "1", LTI_SCOPE_NRPS, NOW + apr_time_from_sec(seconds));
}

/* The value of a form field, decoded. */
static char *field(const char *form, const char *name, apr_pool_t *p)
{
    char *copy = apr_pstrdup(p, form), *last, *pair;

    for (pair = apr_strtok(copy, "&", &last); pair != NULL; pair = apr_strtok(NULL, "&", &last)) {
        char *value = strchr(pair, '='), *in, *out;

        assert_non_null(value);
        *value++ = '\0';
        if (strcmp(pair, name) != 0)
            continue;
        for (in = out = value; *in != '\0'; in++) {
            if (*in == '%') {
                char digits[3] = {in[1], in[2], '\0'};

                *out++ = (char)strtol(digits, NULL, 16);
                in += 2;
            } else {
                *out++ = *in;
            }
        }
        *out = '\0';
        return value;
    }
    return NULL;
}

/* SPEC 5.3 */
static void the_request_is_what_platforms_demand(void **state)
{
    apr_pool_t *p = *state;
    lti_key_t *key = make_key(p);
    lti_http_request_t request;
    const char *assertion;
    json_int_t issued;
    lti_jws_t *jws;
    lti_err_t err;

    assert_ok(lti_token_request(&request, &campus, "dep 1", LTI_SCOPE_NRPS, key, NOW, p, &err), err);
    assert_string_equal(request.url, "https://lms.example.edu/token");
    assert_string_equal(request.content_type, "application/x-www-form-urlencoded");
    assert_string_equal(request.accept, "application/json");
    assert_null(request.bearer);
    assert_int_equal(request.any_address, 1);
    assert_int_equal(request.max_body, LTI_TOKEN_ANSWER_MAX);
    assert_string_equal(field(request.body, "grant_type", p), "client_credentials");
    assert_string_equal(field(request.body, "client_assertion_type", p), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_string_equal(field(request.body, "scope", p), LTI_SCOPE_NRPS);

    assertion = field(request.body, "client_assertion", p);
    assert_ok(lti_jws_parse(&jws, assertion, strlen(assertion), p, &err), err);
    assert_ok(lti_jws_verify(jws, key, LTI_ALG_DEFAULT, &err), err);
    assert_string_equal(jws->kid, key->kid);
    assert_string_equal(json_string_value(json_object_get(jws->claims, "iss")), "client 1");
    assert_string_equal(json_string_value(json_object_get(jws->claims, "sub")), "client 1");
    assert_string_equal(json_string_value(json_object_get(jws->claims, "aud")), "https://api.example.edu/auth/token");
    assert_string_equal(json_string_value(json_object_get(jws->claims, "https://purl.imsglobal.org/spec/lti/claim/deployment_id")),
                        "dep 1");
    assert_true(json_is_integer(json_object_get(jws->claims, "iat")));
    issued = json_integer_value(json_object_get(jws->claims, "iat"));
    assert_int_equal(issued, 1700000000 - 5);
    assert_true(json_integer_value(json_object_get(jws->claims, "exp")) - issued <= 300);
    assert_true(json_integer_value(json_object_get(jws->claims, "exp")) > 1700000000 + 60);
}

static void every_assertion_has_an_id_of_its_own(void **state)
{
    apr_pool_t *p = *state;
    lti_key_t *key = make_key(p);
    const char *ids[2];
    lti_err_t err;
    int i;

    for (i = 0; i < 2; i++) {
        lti_http_request_t request;
        const char *assertion;
        lti_jws_t *jws;

        assert_ok(lti_token_request(&request, &campus, "1", LTI_SCOPE_NRPS, key, NOW, p, &err), err);
        assertion = field(request.body, "client_assertion", p);
        assert_ok(lti_jws_parse(&jws, assertion, strlen(assertion), p, &err), err);
        ids[i] = json_string_value(json_object_get(jws->claims, "jti"));
        assert_int_equal(strlen(ids[i]), 22);
    }
    assert_string_not_equal(ids[0], ids[1]);
}

static void an_assertion_that_cannot_be_made_is_an_error(void **state)
{
    lti_http_request_t request;
    lti_err_t err;

    assert_code(lti_token_request(&request, &campus, "\xFF", LTI_SCOPE_NRPS, make_key(*state), NOW, *state, &err), err,
                LTI_E_INTERNAL);
}

/* SPEC T-09, T-01 to T-05; Moodle's content type is text/html. */
static void usable_answers_are_taken(void **state)
{
    static const struct {
        const char *body;
        int good_at, gone_at; /* seconds later */
    } cases[] = {
        {ANSWER(",\"token_type\":\"Bearer\",\"expires_in\":3600,\"scope\":\"" LTI_SCOPE_NRPS "\""), 3539, 3540},
        {ANSWER(",\"token_type\":\"bEARER\",\"expires_in\":\"3600\",\"scope\":\"a " LTI_SCOPE_NRPS " b\""), 3539, 3540},
        {ANSWER(",\"scope\":null,\"refresh_token\":\"x\""), 239, 240},
        {ANSWER(",\"expires_in\":60.5"), 29, 30},
        {ANSWER(",\"expires_in\":120"), 59, 60},
        {ANSWER(",\"expires_in\":0"), 4, 5},
        {ANSWER(",\"expires_in\":-7"), 4, 5},
        {ANSWER(",\"expires_in\":99999999999"), 86339, 86340},
        {ANSWER(",\"expires_in\":1e300"), 86339, 86340},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_tokens_t *tokens = lti_tokens_create(*state);
        lti_err_t err;

        assert_ok(put(tokens, i % 2 == 0 ? 200 : 201, cases[i].body, NOW, *state, &err), err);
        assert_non_null(get(tokens, cases[i].good_at));
        assert_string_equal(get(tokens, cases[i].good_at), "abc");
        assert_null(get(tokens, cases[i].gone_at));
    }
}

/* SPEC T-01, T-02, T-03, T-05, T-10 */
static void unusable_answers_are_refused_with_the_reason(void **state)
{
    static const struct {
        long status;
        const char *body;
        lti_code_t code;
        const char *text;
    } cases[] = {
        {200, "", LTI_E_TOKEN_ANSWER, "nothing"},
        {200, "null", LTI_E_TOKEN_ANSWER, ""},
        {200, "[]", LTI_E_TOKEN_ANSWER, "no object"},
        {200, "<html>log in</html>", LTI_E_TOKEN_ANSWER, ""},
        {200, "{}", LTI_E_TOKEN_ANSWER, "access_token"},
        {200, "{\"access_token\":\"\"}", LTI_E_TOKEN_ANSWER, "access_token"},
        {200, "{\"access_token\":\"a b\"}", LTI_E_TOKEN_ANSWER, "access_token"},
        {200, "{\"access_token\":\"a\\r\\nX: y\"}", LTI_E_TOKEN_ANSWER, "access_token"},
        {200, "{\"access_token\":\"\xC3\xA9\"}", LTI_E_TOKEN_ANSWER, "access_token"},
        {200, "{\"access_token\":7}", LTI_E_TOKEN_ANSWER, "access_token"},
        {200, ANSWER(",\"token_type\":\"mac\""), LTI_E_TOKEN_ANSWER, "mac"},
        {200, ANSWER(",\"expires_in\":\"soon\""), LTI_E_TOKEN_ANSWER, "expires_in"},
        {200, ANSWER(",\"expires_in\":[]"), LTI_E_TOKEN_ANSWER, "expires_in"},
        {200, ANSWER(",\"scope\":[]"), LTI_E_TOKEN_ANSWER, "scope"},
        {200, ANSWER(",\"scope\":\"\""), LTI_E_SCOPE_REFUSED, "without the scope"},
        {200, ANSWER(",\"scope\":\"other " LTI_SCOPE_NRPS "x\""), LTI_E_SCOPE_REFUSED, "other"},
        {200, "{\"error\":\"invalid_scope\"}", LTI_E_SCOPE_REFUSED, ""},
        {302, "", LTI_E_TOKEN_ANSWER, "redirects"},
        {204, "", LTI_E_TOKEN_ANSWER, "no token"},
        {400, "{\"error\":\"invalid_scope\",\"error_description\":\"ask the admin\"}", LTI_E_SCOPE_REFUSED, "ask the admin"},
        {400, "{\"error\":\"invalid_client\"}", LTI_E_TOKEN_REFUSED, "invalid_client"},
        {401, "{\"error\":\"invalid_client\",\"error_description\":\"kid\"}", LTI_E_TOKEN_REFUSED, "invalid_client: kid"},
        {400, "{ \"error\" : \"\"kid\" invalid, unable to lookup correct key\" }", LTI_E_TOKEN_REFUSED, "unable to lookup"},
        {400, "{\"error\":7}", LTI_E_TOKEN_REFUSED, "{\"error\":7}"},
        {400, "", LTI_E_TOKEN_REFUSED, "no reason"},
        {403, " \n<html>", LTI_E_TOKEN_REFUSED, "HTML"},
        {404, "<html>", LTI_E_TOKEN_REFUSED, "key set"},
        {429, "{\"error\":\"slow down\"}", LTI_E_TOKEN_ANSWER, "HTTP 429"},
        {503, "<html>maintenance", LTI_E_TOKEN_ANSWER, "HTTP 503"},
    };
    lti_tokens_t *tokens = lti_tokens_create(*state);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_err_t err;

        assert_code(put(tokens, cases[i].status, cases[i].body, NOW, *state, &err), err, cases[i].code);
        assert_int_equal(err.detail, cases[i].status);
        if (strstr(err.text, cases[i].text) == NULL)
            fail_msg("%s lacks %s", err.text, cases[i].text);
        assert_null(get(tokens, 0));
    }
}

/* SPEC T-02 */
static void a_token_of_16_kib_is_the_longest(void **state)
{
    char *text = apr_pcalloc(*state, 20000), *body;
    lti_tokens_t *tokens = lti_tokens_create(*state);
    lti_err_t err;

    memset(text, 'x', 16 * 1024);
    body = apr_psprintf(*state, "{\"access_token\":\"%s\"}", text);
    assert_ok(put(tokens, 200, body, NOW, *state, &err), err);
    text[16 * 1024] = 'x';
    body = apr_psprintf(*state, "{\"access_token\":\"%s\"}", text);
    assert_code(put(tokens, 200, body, NOW, *state, &err), err, LTI_E_TOKEN_ANSWER);
}

static const char *granted(const lti_tokens_t *tokens)
{
    return lti_tokens_granted(tokens, &campus, "1", LTI_SCOPE_NRPS);
}

static void what_was_granted_is_what_the_platform_said(void **state)
{
    apr_pool_t *p = *state;
    lti_tokens_t *tokens = lti_tokens_create(p);
    lti_err_t err;

    assert_null(granted(tokens));
    assert_ok(put(tokens, 200, ANSWER(",\"scope\":\"a " LTI_SCOPE_NRPS " b\""), NOW, p, &err), err);
    assert_string_equal(granted(tokens), "a " LTI_SCOPE_NRPS " b");
    assert_ok(put(tokens, 200, ANSWER(""), NOW, p, &err), err);
    assert_null(granted(tokens));
    assert_ok(put(tokens, 200, ANSWER(",\"scope\":\"" LTI_SCOPE_NRPS "\""), NOW, p, &err), err);
    assert_ok(lti_tokens_adopt(tokens, &campus, "1", LTI_SCOPE_NRPS, "another's", NOW + apr_time_from_sec(60), NULL, &err), err);
    assert_null(granted(tokens));
}

/* SPEC T-06, T-08 */
static void tokens_belong_to_platform_deployment_and_scope(void **state)
{
    lti_tokens_t *tokens = lti_tokens_create(*state);
    lti_platform_t other = campus;
    lti_err_t err;

    other.client_id = "client 2";
    assert_ok(put(tokens, 200, ANSWER(""), NOW, *state, &err), err);
    assert_null(lti_tokens_get(tokens, &other, "1", LTI_SCOPE_NRPS, NOW));
    assert_null(lti_tokens_get(tokens, &campus, "2", LTI_SCOPE_NRPS, NOW));
    assert_null(lti_tokens_get(tokens, &campus, NULL, LTI_SCOPE_NRPS, NOW));
    assert_null(lti_tokens_get(tokens, &campus, "1", "other", NOW));
    lti_tokens_forget(tokens, &campus, "2", LTI_SCOPE_NRPS);
    assert_non_null(get(tokens, 0));
    lti_tokens_forget(tokens, &campus, "1", LTI_SCOPE_NRPS);
    assert_null(get(tokens, 0));
}

/* SPEC T-06: all nodes know a token by the same name, and no other by it. */
static void a_token_of_another_node_is_as_good_as_our_own(void **state)
{
    char key[LTI_TOKEN_KEY_SIZE], other_key[LTI_TOKEN_KEY_SIZE];
    lti_tokens_t *tokens = lti_tokens_create(*state);
    lti_platform_t other = campus;
    const char *sealed;
    lti_err_t err;

    other.client_id = "client 2";
    assert_int_equal(lti_tokens_key(key, &campus, "1", LTI_SCOPE_NRPS), APR_SUCCESS);
    assert_int_equal(strlen(key), LTI_TOKEN_KEY_SIZE - 1);
    assert_int_equal(lti_tokens_key(other_key, &campus, "1", LTI_SCOPE_NRPS), APR_SUCCESS);
    assert_string_equal(key, other_key);
    assert_int_equal(lti_tokens_key(other_key, &other, "1", LTI_SCOPE_NRPS), APR_SUCCESS);
    assert_string_not_equal(key, other_key);
    assert_int_equal(lti_tokens_key(other_key, &campus, "2", LTI_SCOPE_NRPS), APR_SUCCESS);
    assert_string_not_equal(key, other_key);
    assert_int_equal(lti_tokens_key(other_key, &campus, NULL, LTI_SCOPE_NRPS), APR_SUCCESS);
    assert_string_not_equal(key, other_key);
    assert_int_equal(lti_tokens_key(other_key, &campus, "1", "other"), APR_SUCCESS);
    assert_string_not_equal(key, other_key);

    assert_int_equal(lti_tokens_until(&sealed, tokens, &campus, "1", LTI_SCOPE_NRPS), 0);
    assert_null(sealed);
    assert_ok(lti_tokens_adopt(tokens, &campus, "1", LTI_SCOPE_NRPS, "theirs", NOW + apr_time_from_sec(60), "SEALED", &err), err);
    assert_string_equal(get(tokens, 59), "theirs");
    assert_null(get(tokens, 60));
    assert_int_equal(lti_tokens_until(&sealed, tokens, &campus, "1", LTI_SCOPE_NRPS), NOW + apr_time_from_sec(60));
    assert_string_equal(sealed, "SEALED");
    /* A new one of our own is not in the database yet. */
    assert_ok(put(tokens, 200, ANSWER(""), NOW, *state, &err), err);
    assert_true(lti_tokens_until(&sealed, tokens, &campus, "1", LTI_SCOPE_NRPS) > NOW);
    assert_null(sealed);
}

static void a_new_token_replaces_the_old_and_a_failure_leaves_it(void **state)
{
    lti_tokens_t *tokens = lti_tokens_create(*state);
    lti_err_t err;
    int i;

    for (i = 0; i < 100; i++) {
        const char *body = apr_psprintf(*state, "{\"access_token\":\"t%d\"}", i);

        assert_ok(put(tokens, 200, body, NOW, *state, &err), err);
    }
    assert_string_equal(get(tokens, 0), "t99");
    assert_code(put(tokens, 503, "", NOW, *state, &err), err, LTI_E_TOKEN_ANSWER);
    assert_string_equal(get(tokens, 0), "t99");
    /* Another deployment's token comes after this one has expired. */
    assert_ok(put(tokens, 200, ANSWER(""), NOW + apr_time_from_sec(10000), *state, &err), err);
    assert_string_equal(get(tokens, 10000), "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(the_request_is_what_platforms_demand),           POOL_TEST(every_assertion_has_an_id_of_its_own),
        POOL_TEST(an_assertion_that_cannot_be_made_is_an_error),   POOL_TEST(usable_answers_are_taken),
        POOL_TEST(unusable_answers_are_refused_with_the_reason),   POOL_TEST(a_token_of_16_kib_is_the_longest),
        POOL_TEST(a_token_of_another_node_is_as_good_as_our_own),
        POOL_TEST(what_was_granted_is_what_the_platform_said),
        POOL_TEST(tokens_belong_to_platform_deployment_and_scope), POOL_TEST(a_new_token_replaces_the_old_and_a_failure_leaves_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
