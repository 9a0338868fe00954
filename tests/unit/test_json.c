/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside is one object within limits or an error with the caller's code; clean text is what may stand in a header. */
#include "test.h"
#include "lti_json.h"
#include "lti_json_read.h"

static void one_object_is_parsed(void **state)
{
    lti_err_t err;
    json_t *json = NULL;
    const char *text = " {\"a\":\"x\",\"b\":null,\"c\":1,\"d\":\"\\u00e9{[\\\"\\\\\"}\n";

    assert_ok(lti_json_object(&json, text, strlen(text), LTI_E_TOKEN_MALFORMED, *state, &err), err);
    assert_string_equal(lti_json_string(json, "a"), "x");
    assert_null(lti_json_string(json, "b"));
    assert_null(lti_json_string(json, "c"));
    assert_null(lti_json_string(json, "absent"));
    assert_string_equal(lti_json_string(json, "d"), "\xC3\xA9{[\"\\");
}

/* Our own reader takes what platforms send, and gives what jansson gives. */
static void usual_texts_need_no_jansson(void **state)
{
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ } ",
        "{\"a\":[],\"b\":{},\"c\":[[],[{}]]}",
        "{\"a\" : [ 1 , -2 , 0 , -0 , 999999999999999999 , -999999999999999999 ] }",
        "{\"a\":[1.5,-0.25,1e3,2E-2,0.0,-0.0,123456789.123456789]}",
        "{\"a\":[true,false,null]}",
        "{\"a\":\"\",\"\":\"b\"}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
        "{\"a\":\"https:\\/\\/lms.example.org\\/x\",\"b\\/c\":\"d\"}",
        "{\"a\":\"\\u0001\\u007f\\u0080\\u07FF\\u0800\\uffff\\ud83e\\udD89\"}",
        "{\"a\":\"\xC3\xA9\xE5\xB0\x8F\xF0\x9F\xA6\x89\x7F\"}",
        "{\"\xC3\xA9\":\"x\xC3\xA9\"}",
        "{\"z\":1,\"a\":2,\"m\":3}",
    };
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *ours = lti_json_own(lti_json_read(texts[i], strlen(texts[i]), *state), *state);
        json_t *theirs = lti_json_own(json_loads(texts[i], JSON_REJECT_DUPLICATES, NULL), *state);

        if (ours == NULL || theirs == NULL)
            fail_msg("not taken: %s", texts[i]);
        assert_true(json_equal(ours, theirs));
        assert_string_equal(lti_json_text(ours, *state), lti_json_text(theirs, *state));
    }
}

static void odd_texts_are_left_to_jansson(void **state)
{
    static const char *const texts[] = {
        "", " ", "{", "[]", "1", "{}x", "{} {}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":1 \"b\":2}", "{a:1}", "{'a':1}",
        "{\"a\":[1,]}", "{\"a\":[1 2]}", "{\"a\":[}", "{\"a\":1,\"a\":1}", "{\"a\":{\"b\":1,\"b\":2}}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":-}",
        "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":1e999}", "{\"a\":0x10}", "{\"a\":1234567890123456789}", "{\"a\":tru}", "{\"a\":TRUE}", "{\"a\":nul",
        "{\"a\":\"", "{\"a\":\"\\\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800x\"}",
        "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\n\"}", "{\"a\":\"\x01\"}", "{\"a\":\"\xFF\"}", "{\"a\":\"\xC0\x80\"}", "{\"a\":\"\xED\xA0\x80\"}",
        "{\"a\":\"\xF4\x90\x80\x80\"}", "\xEF\xBB\xBF{}", "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
    };
    size_t i, length;
    const char *good = "{\"a\":[1,\"\\u00e9\xC3\xA9\",{\"b\":1.5}],\"c\":null}";

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (lti_json_read(texts[i], strlen(texts[i]), *state) != NULL)
            fail_msg("taken: %s", texts[i]);
    }
    /* Cut anywhere: a block of exactly that size, so that a sanitizer sees a step beyond it. */
    for (length = 0; length < strlen(good); length++) {
        char *part = malloc(length + (length == 0));

        memcpy(part, good, length);
        assert_null(lti_json_read(part, length, *state));
        free(part);
    }
}

static void what_is_not_one_object_is_refused(void **state)
{
    /* SPEC J-02, S-14 */
    static const struct {
        const char *text;
        apr_size_t size; /* 0: strlen */
    } cases[] = {
        {"[]", 0},
        {"\"text\"", 0},
        {"1", 0},
        {"null", 0},
        {"{", 0},
        {"}", 0},
        {"{]", 0},
        {" ", 0},
        {"{} {}", 0},
        {"{}x", 0},
        {"{}\0", 3},
        {"{\"a\":\"b\0c\"}", 11},
        {"{\"a\":\"\\u0000\"}", 0},
        {"{\"\\u0000\":1}", 0},
        {"{\"a\":1,\"a\":2}", 0},
        {"{\"b\":{\"a\":1,\"a\":1}}", 0},
        {"{\"a\":\"\xC3\"}", 0},
        {"{\"a\":\"\xC0\x80\"}", 0},
        {"{\"a\":\"\xED\xA0\x80\"}", 0},
        {"{\"a\":\"\\ud800\"}", 0},
        {"{\"a\":\"\n\"}", 0},
        {"{\"a\":NaN}", 0},
        {"{\"a\":1e999}", 0},
        {"{\"a\":99999999999999999999}", 0},
        {"{\"a\":01}", 0},
        {"{\"a\":1,}", 0},
        {"{'a':1}", 0},
        {"{\"a\":\"unfinished", 0},
        {"{\"a\":\"unfinished\\", 0},
        {"\xEF\xBB\xBF{}", 0},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_size_t size = cases[i].size != 0 ? cases[i].size : strlen(cases[i].text);
        json_t *json = (json_t *)1;
        lti_err_t err = {.code = LTI_OK};
        apr_status_t rv = lti_json_object(&json, cases[i].text, size, LTI_E_ROSTER_MALFORMED, *state, &err);

        if (rv == APR_SUCCESS)
            fail_msg("taken: %s", cases[i].text);
        assert_code(rv, err, LTI_E_ROSTER_MALFORMED);
        assert_null(json);
        assert_true(strlen(err.text) > 10);
    }
}

/* Numbers that programs read differently; each alone in an object. */
static void numbers_that_trap(void **state) /* SPEC S-15 */
{
    static const struct {
        const char *number;
        int taken;
    } cases[] = {
        {"1e400", 0},
        {"-1e400", 0},
        {"1e99999999999999999999", 0},
        {"1E308", 1},
        {"1e-400", 1}, /* 0, or next to it: harmless */
        {"9223372036854775807", 1},
        {"-9223372036854775808", 1},
        {"9223372036854775808", 0}, /* 2^63 */
        {"-9223372036854775809", 0},
        {"18446744073709551616", 0},
        {"100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
         0},
        {"-0", 1},
        {"-0.0", 1},
        {"0.1", 1},
        {"NaN", 0},
        {"nan", 0},
        {"-NaN", 0},
        {"Infinity", 0},
        {"-Infinity", 0},
        {"inf", 0},
        {"0x10", 0},
        {"010", 0},
        {"-01", 0},
        {"+1", 0},
        {".5", 0},
        {"1.", 0},
        {"1e", 0},
        {"1e+", 0},
        {"--1", 0},
        {"- 1", 0},
        {"1 2", 0},
        {"1_000", 0},
        {"1,5", 0},
        {"1760000300L", 0},
        {"\xEF\xBC\x91", 0}, /* a digit of full width */
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = apr_psprintf(*state, "{\"exp\":%s}", cases[i].number);
        json_t *json = NULL;
        lti_err_t err;

        if ((lti_json_object(&json, text, strlen(text), LTI_E_TOKEN_MALFORMED, *state, &err) == APR_SUCCESS) != cases[i].taken)
            fail_msg("%s", cases[i].number);
        if (cases[i].taken)
            assert_true(json_is_number(json_object_get(json, "exp")));
    }
}

static void texts_that_parsers_read_differently(void **state) /* SPEC S-14 */
{
    static const struct {
        const char *text;
        int taken;
    } cases[] = {
        /* duplicate names, however they are spelt and wherever they stand */
        {"{\"sub\":1,\"\\u0073ub\":2}", 0},
        {"{\"a\":[{\"b\":1,\"b\":1}]}", 0},
        {"{\"\":1,\"\":2}", 0},
        {"{\"a\":null,\"a\":null}", 0},
        {"{\"a\":1,\"A\":2}", 1},
        {"{\"a\":{\"a\":{\"a\":1}}}", 1},
        /* NUL, escaped or not, in names and values */
        {"{\"a\":\"x\\u0000y\"}", 0},
        {"{\"a\\u0000\":1}", 0},
        {"{\"a\":[[\"\\u0000\"]]}", 0},
        /* surrogates without their other half, in wrong order, as bytes */
        {"{\"a\":\"\\ud800\"}", 0},
        {"{\"a\":\"\\udc00\"}", 0},
        {"{\"a\":\"\\udfff\"}", 0},
        {"{\"a\":\"\\ud800x\"}", 0},
        {"{\"a\":\"\\ud800\\n\"}", 0},
        {"{\"a\":\"\\ud800\\ud800\"}", 0},
        {"{\"a\":\"\\udc00\\ud800\"}", 0},
        {"{\"\\udead\":1}", 0},
        {"{\"a\":\"\xED\xA0\xBD\xED\xB8\x80\"}", 0},
        {"{\"a\":\"\\ud83d\\ude00\"}", 1},
        /* trailing and leading matter */
        {"{}{}", 0},
        {"{},", 0},
        {"{}]", 0},
        {"{}//", 0},
        {"{} /* */", 0},
        {"{}\f", 0},
        {"\f{}", 0},
        {"\xEF\xBB\xBF{}", 0},
        {"\xFE\xFF", 0},
        {"{}\xC2\xA0", 0},
        {"\r\n\t {} \t\r\n", 1},
        /* JSON of other dialects */
        {"{a:1}", 0},
        {"{\"a\":undefined}", 0},
        {"{\"a\":True}", 0},
        {"{\"a\":1;}", 0},
        {"{\"a\":\"\\x41\"}", 0},
        {"{\"a\":\"\\u00g0\"}", 0},
        {"{\"a\":\"\\'\"}", 0},
        {"{\"a\":\"\t\"}", 0},
        {"{\"a\"}", 0},
        {"{\"a\":}", 0},
        {"{,}", 0},
        {"{1:2}", 0},
        {"{null:2}", 0},
        {"{\"a\":[1,]}", 0},
        {"{\"a\" \"b\"}", 0},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *json = NULL;
        lti_err_t err;

        if ((lti_json_object(&json, cases[i].text, strlen(cases[i].text), LTI_E_TOKEN_MALFORMED, *state, &err) == APR_SUCCESS) !=
            cases[i].taken)
            fail_msg("%s", cases[i].text);
    }
}

static void nothing_is_no_object(void **state)
{
    json_t *json;
    lti_err_t err;

    assert_code(lti_json_object(&json, "", 0, LTI_E_TOKEN_MALFORMED, *state, &err), err, LTI_E_TOKEN_MALFORMED);
}

/* {"a":{"a":...[]...}} of `depth` levels in all, the innermost an array. */
static char *nested(int depth, apr_pool_t *p)
{
    char *text = apr_pstrdup(p, ""), *end = apr_pstrdup(p, "");
    int i;

    for (i = 1; i < depth; i++) {
        text = apr_pstrcat(p, text, "{\"a\":", NULL);
        end = apr_pstrcat(p, end, "}", NULL);
    }
    return apr_pstrcat(p, text, "[]", end, NULL);
}

static void depth_ends_at_sixteen(void **state)
{
    /* SPEC J-02 */
    json_t *json;
    lti_err_t err;
    char *text = nested(LTI_JSON_DEPTH, *state);

    assert_ok(lti_json_object(&json, text, strlen(text), LTI_E_TOKEN_MALFORMED, *state, &err), err);
    text = nested(LTI_JSON_DEPTH + 1, *state);
    assert_code(lti_json_object(&json, text, strlen(text), LTI_E_TOKEN_MALFORMED, *state, &err), err, LTI_E_TOKEN_MALFORMED);
    assert_non_null(strstr(err.text, "deeper"));
}

static void a_million_brackets_are_no_recursion(void **state)
{
    apr_size_t size = 1000000;
    char *text = apr_palloc(*state, size);
    json_t *json;
    lti_err_t err;

    memset(text, '[', size);
    assert_code(lti_json_object(&json, text, size, LTI_E_TOKEN_MALFORMED, *state, &err), err, LTI_E_TOKEN_MALFORMED);
    assert_non_null(strstr(err.text, "deeper"));
}

static void brackets_in_strings_do_not_count(void **state)
{
    json_t *json;
    lti_err_t err;
    const char *text = "{\"a\":\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[\\\\\",\"[{[{[{[{[{[{[{[{[{\":1}";

    assert_ok(lti_json_object(&json, text, strlen(text), LTI_E_TOKEN_MALFORMED, *state, &err), err);
}

static void errors_do_not_quote_what_was_sent(void **state)
{
    /* SPEC S-22: a roster's text is people's names. */
    json_t *json;
    lti_err_t err;
    const char *damaged = "{\"name\":\"Ada\" Lovelace}", *twice = "{\"Lovelace\":1,\"Lovelace\":1}";

    assert_code(lti_json_object(&json, damaged, strlen(damaged), LTI_E_ROSTER_MALFORMED, *state, &err), err,
                LTI_E_ROSTER_MALFORMED);
    assert_null(strstr(err.text, "Lovelace"));
    assert_code(lti_json_object(&json, twice, strlen(twice), LTI_E_ROSTER_MALFORMED, *state, &err), err, LTI_E_ROSTER_MALFORMED);
    assert_null(strstr(err.text, "Lovelace"));
    assert_non_null(strstr(err.text, "twice"));
}

static void owned_values_go_with_the_pool(void **state)
{
    apr_pool_t *pool;
    json_t *json = json_object();

    assert_null(lti_json_own(NULL, *state));
    assert_int_equal(apr_pool_create(&pool, *state), APR_SUCCESS);
    assert_ptr_equal(lti_json_own(json_incref(json), pool), json);
    assert_int_equal(json->refcount, 2);
    apr_pool_destroy(pool);
    assert_int_equal(json->refcount, 1);
    json_decref(json);
}

static void text_is_compact_and_in_order(void **state)
{
    json_t *json = lti_json_own(json_pack("{sssiso}", "z", "\xC3\xA9", "a", 1, "m", json_pack("[b]", 1)), *state);

    assert_string_equal(lti_json_text(json, *state), "{\"z\":\"\xC3\xA9\",\"a\":1,\"m\":[true]}");
    assert_null(lti_json_text(NULL, *state));
}

static void clean_text_is_utf8_without_controls(void **state)
{
    static const struct {
        const char *text;
        int clean;
    } cases[] = {
        {"", 1},
        {"plain ~", 1},
        {"\xC3\xA9\xE6\x9D\x8E\xF0\x9F\x98\x80", 1},
        {"\xC2\xA0", 1},         /* the first after C1 */
        {"\xEF\xBF\xBF", 1},     /* U+FFFF */
        {"\xF4\x8F\xBF\xBF", 1}, /* U+10FFFF */
        {"\xED\x9F\xBF", 1},     /* the last before the surrogates */
        {"a\nb", 0},
        {"a\tb", 0},
        {"a\x7F", 0},
        {"\x1B[31m", 0},
        {"\xC2\x80", 0},
        {"\xC2\x85", 0},
        {"\xC2\x9F", 0},
        {"\x80", 0},
        {"\xC1\xBF", 0},         /* overlong */
        {"\xE0\x9F\xBF", 0},     /* overlong */
        {"\xF0\x8F\xBF\xBF", 0}, /* overlong */
        {"\xED\xA0\x80", 0},     /* surrogate */
        {"\xF4\x90\x80\x80", 0}, /* beyond U+10FFFF */
        {"\xF5\x80\x80\x80", 0},
        {"\xC3", 0},
        {"\xE6\x9D", 0},
        {"\xF0\x9F\x98", 0},
        {"\xC3(", 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (lti_json_is_clean(cases[i].text) != cases[i].clean)
            fail_msg("case %d", (int)i);
    }
    assert_int_equal(lti_json_is_clean(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(one_object_is_parsed),
        POOL_TEST(usual_texts_need_no_jansson),
        POOL_TEST(odd_texts_are_left_to_jansson),
        POOL_TEST(what_is_not_one_object_is_refused),
        POOL_TEST(numbers_that_trap),
        POOL_TEST(texts_that_parsers_read_differently),
        POOL_TEST(nothing_is_no_object),
        POOL_TEST(depth_ends_at_sixteen),
        POOL_TEST(a_million_brackets_are_no_recursion),
        POOL_TEST(brackets_in_strings_do_not_count),
        POOL_TEST(errors_do_not_quote_what_was_sent),
        POOL_TEST(owned_values_go_with_the_pool),
        POOL_TEST(text_is_compact_and_in_order),
        POOL_TEST(clean_text_is_utf8_without_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
