/* SPDX-License-Identifier: Apache-2.0 */
/* Pages give the same members however their bytes are split, damage is never taken for the end, answers are judged by what they mean. */
#include "test.h"

#include <malloc.h>
#include "lti_nrps.h"

#define LEARNER "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
#define INSTRUCTOR "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
#define TEST_USER "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"

/* --- a page and what it gave -------------------------------------------------------------------------------------- */

typedef struct result_t {
    char text[8192]; /* a line for each member */
    apr_size_t size;
    int refuse_at; /* the receiver refuses this member; 0: none */
    int silent;    /* and gives no reason */
    int taken;
    apr_status_t rv;
    lti_err_t err;
    lti_nrps_summary_t summary;
} result_t;

static const char *shown(const char *text)
{
    return text == NULL ? "-" : text;
}

static apr_status_t take(void *baton, const lti_member_t *member, lti_err_t *err)
{
    result_t *result = baton;

    if (++result->taken == result->refuse_at)
        return result->silent ? APR_ENOSPC : lti_fail(err, LTI_E_STORE, APR_ENOSPC, "no room");
    assert_int_equal(member->joined_at, 0);
    assert_int_equal(member->status_at, 0);
    assert_int_equal(member->role_at, 0);
    result->size +=
        (apr_size_t)apr_snprintf(result->text + result->size, sizeof(result->text) - result->size, "%s|%s|%s|%s|%s|%s|%s|%d\n",
                                 member->user_id, shown(member->name), shown(member->given_name), shown(member->family_name),
                                 shown(member->email), shown(member->sourcedid), member->roles, (int)member->status);
    return APR_SUCCESS;
}

/* The page in two parts split at `split`, the second in pieces of `step` bytes. */
static void parse_split(result_t *result, const char *page, apr_size_t size, apr_size_t split, apr_size_t step)
{
    apr_pool_t *pool = NULL;
    lti_nrps_page_t *parser;
    apr_size_t at;

    apr_pool_create(&pool, NULL);
    parser = lti_nrps_page_create(0, take, result, pool);
    result->rv = lti_nrps_page_feed(parser, page, split, &result->err);
    for (at = split; at < size && result->rv == APR_SUCCESS; at += step)
        result->rv = lti_nrps_page_feed(parser, page + at, step < size - at ? step : size - at, &result->err);
    if (result->rv == APR_SUCCESS)
        result->rv = lti_nrps_page_end(parser, &result->summary, &result->err);
    if (result->summary.context_id != NULL)
        result->size += (apr_size_t)apr_snprintf(result->text + result->size, sizeof(result->text) - result->size, "context %s\n",
                                                 result->summary.context_id);
    apr_pool_destroy(pool);
}

static result_t *parse(result_t *result, const char *page)
{
    memset(result, 0, sizeof(*result));
    parse_split(result, page, strlen(page), strlen(page), 1);
    return result;
}

/* A page with these members. */
static result_t *parse_members(result_t *result, const char *members, apr_pool_t *p)
{
    return parse(result, apr_pstrcat(p, "{\"id\":\"https://h/m\",\"context\":{\"id\":\"7\"},\"members\":[", members, "]}", NULL));
}

static const char sample[] =
    " \r\n{\"id\":\"https:\\/\\/h\\/m\",\"x\":{\"members\":[{\"user_id\":\"no\"}],\"q\":\"\\\\\\\"members\\\":[\"},\n"
    "\"context\":{\"id\":\"7\",\"label\":\"C\",\"title\":\"members\"},\"list\":[1,[\"members\",{\"members\":[]}]],\"members\" : [ "
    "\n"
    "{\"status\":\"Active\",\"roles\":[\"Learner\"],\"user_id\":\"30\\u003559\",\"name\":\"M\\u00fcller "
    "\\\"}]{[\\\\\",\"x\":{\"y\":[{},[]]}},\n"
    "\t{\"user_id\":\"2\",\"name\":\"\xE6\x9D\x8E\",\"given_name\":\"g\",\"family_name\":\"f\",\"email\":\"e@x\","
    "\"lis_person_sourcedid\":\"s\",\"roles\":[\"Instructor\"]}, {\"user_id\":3} ] , \"after\":\"members\",\"z\":null}\n ";
static const char sample_result[] = "30559|M\xC3\xBCller \"}]{[\\|-|-|-|-|" LEARNER "|1\n"
                                    "2|\xE6\x9D\x8E|g|f|e@x|s|" INSTRUCTOR "|1\n"
                                    "3|-|-|-|-|-||1\n"
                                    "context 7\n";

static void a_page_gives_the_same_members_at_every_split(void **state)
{
    apr_size_t size = sizeof(sample) - 1, split;
    result_t result;

    (void)state;
    for (split = 0; split <= size; split++) {
        memset(&result, 0, sizeof(result));
        parse_split(&result, sample, size, split, size);
        assert_ok(result.rv, result.err);
        assert_string_equal(result.text, sample_result);
        assert_int_equal(result.summary.members, 3);
        assert_int_equal(result.summary.dropped, 0);
        memset(&result, 0, sizeof(result));
        parse_split(&result, sample, size, split, split % 7 + 1);
        assert_ok(result.rv, result.err);
        assert_string_equal(result.text, sample_result);
    }
}

/* SPEC N-30: a cut body that still looks like an answer must never become a shorter roster. */
static void a_page_that_is_cut_anywhere_is_malformed(void **state)
{
    const char *begin = strchr(sample, '{'), *last = strrchr(sample, '}');
    const char *c;

    (void)state;
    for (c = begin + 1; c <= last; c++) {
        result_t result = {.taken = 0};

        parse_split(&result, sample, (apr_size_t)(c - sample), (apr_size_t)(c - sample), 1);
        assert_code(result.rv, result.err, LTI_E_ROSTER_MALFORMED);
    }
}

static void a_damaged_page_fails_alike_at_every_split(void **state)
{
    apr_size_t size = sizeof(sample) - 1, hit;

    (void)state;
    /* Each structural byte of the sample is replaced by one that breaks it. */
    for (hit = 0; hit < size; hit++) {
        char page[sizeof(sample)];
        result_t whole = {.taken = 0}, bytes = {.taken = 0};

        if (strchr("{}[],:\"", sample[hit]) == NULL)
            continue;
        memcpy(page, sample, sizeof(sample));
        page[hit] = '\x01';
        parse_split(&whole, page, size, size, 1);
        parse_split(&bytes, page, size, 0, 1);
        assert_code(whole.rv, whole.err, LTI_E_ROSTER_MALFORMED);
        assert_code(bytes.rv, bytes.err, LTI_E_ROSTER_MALFORMED);
        assert_string_equal(whole.text, bytes.text);
        assert_string_equal(whole.err.text, bytes.err.text);
    }
}

/* SPEC N-30 */
static void what_is_no_container_is_malformed(void **state)
{
    static const char *const pages[] = {
        "null",
        "[]",
        "{}",
        "<html>",
        "x",
        "{\"id\":\"x\"}",
        "{\"members\":null}",
        "{\"members\":{}}",
        "{\"members\":\"[]\"}",
        "{\"members\":1[]}",
        "{\"members\" []}",
        "{\"members\":[]} x",
        "{\"members\":[]}{}",
        "{\"members\":[]}{\"members\":[]}",
        "{\"members\":[],\"members\":[]}",
        "{\"members\":[],\"members\":null}",
        "{\"members\":[{\"user_id\":\"1\"},]}",
        "{\"members\":[,{\"user_id\":\"1\"}]}",
        "{\"members\":[{\"user_id\":\"1\"}{\"user_id\":\"2\"}]}",
        "{\"members\":[{\"user_id\":\"1\"};{\"user_id\":\"2\"}]}",
        "{\"members\":[null]}",
        "{\"members\":[\"1\"]}",
        "{\"members\":[[{\"user_id\":\"1\"}]]}",
        "{\"members\":[{\"user_id\":\"1\",\"user_id\":\"2\"}]}",
        "{\"members\":[{\"user_id\":\"1\\u0000\"}]}",
        "{\"members\":[{\"user_id\":\"\xFF\"}]}",
        "{\"members\":[{\"user_id\":\"1\"]]}",
        "{\"members\":[{\"user_id\":\"1\"}}}",
        "{\"members\":[{\"user_id\":[}]}",
        "{\"members\":[]]",
        "{\"x\":[},\"members\":[]}",
        "{members:[]}",
        "{'members':[]}",
        /* A key spelled with escapes is the same key to JSON, but not found: no silent loss. */
        "{\"m\\u0065mbers\":[{\"user_id\":\"1\"}]}",
        "{\"m\\u0065mbers\":[]}",
        "{\"members\":[],\"m\\u0065mbers\":[{\"user_id\":\"1\"}]}",
        /* The array of another object is not the container's. */
        "{\"x\":{\"members\":[{\"user_id\":\"1\"}]}}",
        "[{\"members\":[{\"user_id\":\"1\"}]}]",
        /* The JSON-LD form of NRPS 1. */
        "{\"pageOf\":{\"membershipSubject\":{\"membership\":[]}}}",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        result_t result;

        parse(&result, pages[i]);
        if (result.rv == APR_SUCCESS)
            fail_msg("%s was taken", pages[i]);
        assert_code(result.rv, result.err, LTI_E_ROSTER_MALFORMED);
    }
}

static void nothing_goes_on_after_a_failure(void **state)
{
    lti_nrps_summary_t summary;
    result_t result = {.taken = 0};
    lti_nrps_page_t *page = lti_nrps_page_create(0, take, &result, *state);
    lti_err_t err;

    assert_code(lti_nrps_page_feed(page, "]", 1, &err), err, LTI_E_ROSTER_MALFORMED);
    assert_code(lti_nrps_page_feed(page, sample, sizeof(sample) - 1, &err), err, LTI_E_ROSTER_MALFORMED);
    assert_code(lti_nrps_page_end(page, &summary, &err), err, LTI_E_ROSTER_MALFORMED);
    assert_int_equal(result.taken, 0);
}

static void a_receiver_that_refuses_ends_the_page(void **state)
{
    result_t result = {.refuse_at = 2};

    (void)state;
    parse_split(&result, sample, sizeof(sample) - 1, sizeof(sample) - 1, 1);
    assert_code(result.rv, result.err, LTI_E_STORE);
    assert_int_equal(result.taken, 2);
    result = (result_t){.refuse_at = 1, .silent = 1};
    parse_split(&result, sample, sizeof(sample) - 1, sizeof(sample) - 1, 1);
    assert_code(result.rv, result.err, LTI_E_INTERNAL);
}

/* SPEC N-39 */
static void an_empty_body_is_an_empty_list(void **state)
{
    static const char *const pages[] = {"", " \r\n\t", "{\"members\":[]}", "{\"members\":[ ]}"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        result_t result;

        parse(&result, pages[i]);
        assert_ok(result.rv, result.err);
        assert_int_equal(result.summary.members, 0);
        assert_null(result.summary.context_id);
    }
}

/* --- members ------------------------------------------------------------------------------------------------------ */

static void members_are_read_by_the_rules(void **state)
{
    static const struct {
        const char *rule, *member, *result;
        int odd;
    } cases[] = {
        {"N-32 integer", "{\"user_id\":12345678901}", "12345678901|-|-|-|-|-||1\n", 0},
        {"N-33 no roles", "{\"user_id\":\"a\",\"roles\":[]}", "a|-|-|-|-|-||1\n", 0},
        {"N-33 null", "{\"user_id\":\"a\",\"roles\":null}", "a|-|-|-|-|-||1\n", 0},
        {"N-33 text", "{\"user_id\":\"a\",\"roles\":\"Learner\"}", "a|-|-|-|-|-|" LEARNER "|1\n", 0},
        {"N-33 mixed", "{\"user_id\":\"a\",\"roles\":[\"Learner\",7,null,\"" INSTRUCTOR "\",\"Learner\"]}",
         "a|-|-|-|-|-|" INSTRUCTOR " " LEARNER "|1\n", 0},
        {"N-34 case", "{\"user_id\":\"a\",\"status\":\"ACTIVE\"}", "a|-|-|-|-|-||1\n", 0},
        {"N-34 null", "{\"user_id\":\"a\",\"status\":null}", "a|-|-|-|-|-||1\n", 0},
        {"N-34 inactive", "{\"user_id\":\"a\",\"status\":\"Inactive\"}", "a|-|-|-|-|-||2\n", 0},
        {"N-34 unknown", "{\"user_id\":\"a\",\"status\":\"Suspended\"}", "a|-|-|-|-|-||2\n", 1},
        {"N-34 no text", "{\"user_id\":\"a\",\"status\":1}", "a|-|-|-|-|-||2\n", 1},
        {"N-35 deleted", "{\"user_id\":\"a\",\"status\":\"deleted\"}", "", 1},
        {"N-36 types",
         "{\"user_id\":\"a\",\"name\":1,\"given_name\":null,\"family_name\":[],\"email\":\"\",\"lis_person_sourcedid\":{}}",
         "a|-|-|-|-|-||1\n", 0},
        {"N-37 unknown", "{\"user_id\":\"a\",\"sakai_ext\":{\"x\":[1]},\"message\":[{}]}", "a|-|-|-|-|-||1\n", 0},
        {"S-21 controls", "{\"user_id\":\"a\",\"name\":\"x\\r\\ny\\tz\\u007f!\\u0085?\"}", "a|x  y z !  ?|-|-|-|-||1\n", 0},
        {"others' escapes stay", "{\"user_id\":\"a\",\"name\":\"A &amp; B\"}", "a|A &amp; B|-|-|-|-||1\n", 0},
        {"N-47 test user", "{\"user_id\":\"a\",\"roles\":[\"Learner\",\"" TEST_USER "\"]}", "", 0},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        result_t result;

        parse_members(&result, cases[i].member, *state);
        assert_ok(result.rv, result.err);
        if (strcmp(result.text, apr_pstrcat(*state, cases[i].result, "context 7\n", NULL)) != 0)
            fail_msg("%s: %s", cases[i].rule, result.text);
        assert_int_equal(result.summary.dropped, 0);
        assert_int_equal(result.summary.members, cases[i].result[0] != '\0');
        assert_int_equal(result.summary.odd, cases[i].odd);
    }
}

/* Moodle sends names as markup in rosters, and as text in launches. */
static void escaped_names_are_read_once_where_the_family_escapes(void **state)
{
    static const struct {
        const char *sent, *meant;
    } cases[] = {
        {"Zo\xC3\xAB", "Zo\xC3\xAB"},
        {"Ampers &amp; Sons", "Ampers & Sons"},
        {"&lt;b&gt;&quot;x&quot;&lt;/b&gt;", "<b>\"x\"</b>"},
        {"O&#039;Brien, O&#39;Brien", "O'Brien, O'Brien"},
        {"&amp;lt;", "&lt;"},
        {"&amp;amp;amp;", "&amp;amp;"},
        {"&nbsp;&AMP;&#x27;&eacute;", "&nbsp;&AMP;&#x27;&eacute;"},
        {"a & b &am &", "a & b &am &"},
        {"&", "&"},
        {"", ""},
    };
    const char *page = "{\"members\":[{\"user_id\":\"a&amp;b\",\"name\":\"A &amp; B\",\"given_name\":\"&lt;A\",\"family_name\":\"&quot;B\","
                       "\"email\":\"a&amp;b@x\",\"lis_person_sourcedid\":\"&amp;\"}]}";
    result_t result = {.taken = 0};
    lti_nrps_page_t *parser = lti_nrps_page_create(0, take, &result, *state);
    lti_err_t err;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(lti_nrps_unescape(cases[i].sent, *state), cases[i].meant);
    lti_nrps_page_unescape(parser);
    assert_ok(lti_nrps_page_feed(parser, page, strlen(page), &err), err);
    assert_string_equal(result.text, "a&amp;b|A & B|<A|\"B|a&amp;b@x|&amp;||1\n");
}

/* SPEC N-36, N-32 */
static void long_fields_are_left_out_and_long_ids_dropped(void **state)
{
    char *text = apr_pcalloc(*state, 2000);
    result_t result;

    memset(text, 'n', 1024);
    parse_members(&result, apr_pstrcat(*state, "{\"user_id\":\"a\",\"name\":\"", text, "\",\"email\":\"", text, "n\"}", NULL),
                  *state);
    assert_ok(result.rv, result.err);
    assert_string_equal(result.text, apr_pstrcat(*state, "a|", text, "|-|-|-|-||1\ncontext 7\n", NULL));
    text[255] = '\0';
    parse_members(&result, apr_psprintf(*state, "{\"user_id\":\"%s\"}", text), *state);
    assert_ok(result.rv, result.err);
    parse_members(&result, apr_psprintf(*state, "{\"user_id\":\"%sn\"}", text), *state);
    assert_code(result.rv, result.err, LTI_E_ROSTER_MEMBERS);
}

/* SPEC N-32 */
static void a_tenth_of_the_members_may_be_unusable(void **state)
{
    static const char *const unusable[] = {"{}",
                                           "{\"user_id\":null}",
                                           "{\"user_id\":\"\"}",
                                           "{\"user_id\":1.5}",
                                           "{\"user_id\":true}",
                                           "{\"user_id\":[\"1\"]}",
                                           "{\"user_id\":\"a\\nb\"}"};
    const char *nine = "{\"user_id\":1},{\"user_id\":2},{\"user_id\":3},{\"user_id\":4},{\"user_id\":5},{\"user_id\":6},"
                       "{\"user_id\":7},{\"user_id\":8},{\"user_id\":9}";
    size_t i;

    for (i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
        result_t result;

        parse_members(&result, apr_pstrcat(*state, unusable[i], ",", nine, NULL), *state);
        assert_ok(result.rv, result.err);
        assert_int_equal(result.summary.members, 9);
        assert_int_equal(result.summary.dropped, 1);
        parse_members(&result, apr_pstrcat(*state, nine, ",{},", unusable[i], NULL), *state);
        assert_code(result.rv, result.err, LTI_E_ROSTER_MEMBERS);
        /* Test users are nobody: they do not make up for it, and do not count as unusable. */
        parse_members(&result, "{\"user_id\":\"t\",\"roles\":[\"" TEST_USER "\"]}", *state);
        assert_ok(result.rv, result.err);
        assert_int_equal(result.summary.members, 0);
    }
}

static void strict_roles_take_no_short_names(void **state)
{
    const char *page = "{\"members\":[{\"user_id\":\"a\",\"roles\":[\"Learner\"]}]}";
    result_t result = {.taken = 0};
    lti_nrps_page_t *parser = lti_nrps_page_create(LTI_ROLE_STRICT, take, &result, *state);

    assert_ok(lti_nrps_page_feed(parser, page, strlen(page), &result.err), result.err);
    assert_string_equal(result.text, "a|-|-|-|-|-|Learner|1\n");
}

/* --- limits ------------------------------------------------------------------------------------------------------- */

static result_t *parse_filled(result_t *result, const char *before, char filler, int count, const char *after, apr_size_t step,
                              apr_pool_t *p)
{
    char *fill = apr_pcalloc(p, (apr_size_t)count + 1);
    const char *page;

    memset(fill, filler, (size_t)count);
    page = apr_pstrcat(p, before, fill, after, NULL);
    memset(result, 0, sizeof(*result));
    parse_split(result, page, strlen(page), 0, step);
    return result;
}

/* SPEC N-15 */
static void sizes_and_depths_are_limited(void **state)
{
    static const apr_size_t steps[] = {1, 1000, 1000000};
    const int member = (int)strlen("{\"user_id\":\"1\",\"x\":\"\"}"), container = (int)strlen("{\"x\":\"\",\"members\":[]}");
    size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        apr_size_t step = steps[i];
        result_t result;

        parse_filled(&result, "{\"members\":[{\"user_id\":\"1\",\"x\":\"", 'x', LTI_NRPS_MEMBER_MAX - member, "\"}]}", step,
                     *state);
        assert_ok(result.rv, result.err);
        parse_filled(&result, "{\"members\":[{\"user_id\":\"1\",\"x\":\"", 'x', LTI_NRPS_MEMBER_MAX - member + 1, "\"}]}", step,
                     *state);
        assert_code(result.rv, result.err, LTI_E_ROSTER_LIMIT);
        parse_filled(&result, "{\"x\":\"", 'x', 65536 - container, "\",\"members\":[]}", step, *state);
        assert_ok(result.rv, result.err);
        parse_filled(&result, "{\"x\":\"", 'x', 65536 - container + 1, "\",\"members\":[]}", step, *state);
        assert_code(result.rv, result.err, LTI_E_ROSTER_LIMIT);
        /* SPEC N-30: 16 levels of the whole document, three of them the container, the array and the member. */
        parse(&result, "{\"members\":[{\"user_id\":\"1\",\"x\":[[[[[[[[[[[[[]]]]]]]]]]]]]}]}");
        assert_ok(result.rv, result.err);
        parse_filled(&result, "{\"members\":[{\"user_id\":\"1\",\"x\":", '[', 14, "", step, *state);
        assert_code(result.rv, result.err, LTI_E_ROSTER_MALFORMED);
        assert_non_null(strstr(result.err.text, "deeper"));
        parse_filled(&result, "{\"x\":", '[', 16, "", step, *state);
        assert_code(result.rv, result.err, LTI_E_ROSTER_MALFORMED);
        assert_non_null(strstr(result.err.text, "deeper"));
        /* Blanks between members are no matter of size. */
        parse_filled(&result, "{\"members\":[", ' ', 200000, "{\"user_id\":\"1\"}]}", step, *state);
        assert_ok(result.rv, result.err);
    }
}

static apr_status_t count(void *baton, const lti_member_t *member, lti_err_t *err)
{
    (void)member;
    (void)err;
    ++*(int *)baton;
    return APR_SUCCESS;
}

/* Bytes in use on the heap, 0 where nobody counts them. */
static size_t heap_in_use(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

static void many_members_need_the_memory_of_one(void **state)
{
    static const char member[] = "{\"user_id\":\"123456\",\"name\":\"Somebody With\\tA Name\",\"roles\":[\"Learner\"]},";
    static const char begin[] = "{\"members\":[", end[] = "{\"user_id\":\"last\"}]}";
    char block[sizeof(member) * 100];
    lti_nrps_summary_t summary;
    lti_nrps_page_t *page;
    size_t after_first = 0;
    int members = 0, i;
    lti_err_t err;

    page = lti_nrps_page_create(0, count, &members, *state);
    block[0] = '\0';
    for (i = 0; i < 100; i++)
        strcat(block, member);
    assert_ok(lti_nrps_page_feed(page, begin, strlen(begin), &err), err);
    for (i = 0; i < 1000; i++) {
        /* Split within a member, so that both ways of decoding are used. */
        assert_ok(lti_nrps_page_feed(page, block, 1000, &err), err);
        assert_ok(lti_nrps_page_feed(page, block + 1000, strlen(block) - 1000, &err), err);
        if (i == 0)
            after_first = heap_in_use();
    }
    assert_true(heap_in_use() <= after_first + 100000);
    assert_ok(lti_nrps_page_feed(page, end, strlen(end), &err), err);
    assert_ok(lti_nrps_page_end(page, &summary, &err), err);
    assert_int_equal(summary.members, 100001);
    assert_int_equal(members, 100001);
}

/* --- the request -------------------------------------------------------------------------------------------------- */

/* SPEC N-04, N-11 */
static void a_request_asks_for_one_type_and_adds_only_a_limit(void **state)
{
    static const struct {
        const char *url;
        int limit, first;
        const char *asked;
    } cases[] = {
        {"https://h/m", 0, 1, "https://h/m"},
        {"https://h/m", 50, 1, "https://h/m?limit=50"},
        {"https://h/m?placement_id=_1_1", 50, 1, "https://h/m?placement_id=_1_1&limit=50"},
        {"https://h/m?limit=2", 50, 1, "https://h/m?limit=2"},
        {"https://h/m?a=b&limit=2", 50, 1, "https://h/m?a=b&limit=2"},
        {"https://h/m?nolimit=2&limits=3", 50, 1, "https://h/m?nolimit=2&limits=3&limit=50"},
        {"https://h/m?from=2", 50, 0, "https://h/m?from=2"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_platform_t platform = {.name = "p", .token_endpoint = "https://h/token", .page_limit = cases[i].limit};
        lti_http_request_t request;

        lti_nrps_request(&request, &platform, cases[i].url, "tok", cases[i].first, *state);
        assert_string_equal(request.url, cases[i].asked);
        assert_string_equal(request.accept, "application/vnd.ims.lti-nrps.v2.membershipcontainer+json");
        assert_string_equal(request.bearer, "tok");
        assert_null(request.body);
        assert_int_equal(request.max_body, LTI_NRPS_PAGE_MAX);
        assert_int_equal(request.any_address, 1);
    }
}

static void only_the_platforms_own_hosts_may_be_private(void **state)
{
    lti_platform_t platform = {.name = "p", .token_endpoint = "https://h/token"};
    lti_http_request_t request;

    lti_nrps_request(&request, &platform, "https://elsewhere/m", "tok", 1, *state);
    assert_int_equal(request.any_address, 0);
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static lti_http_response_t answer(long status, const char *type, apr_pool_t *p)
{
    return (lti_http_response_t){.status = status, .headers = apr_table_make(p, 4), .content_type = type};
}

/* SPEC 6.6, N-38 */
static void answers_are_judged_by_status_and_type(void **state)
{
    static const struct {
        long status;
        const char *type, *header, *value, *excerpt;
        lti_code_t code;
        const char *text;
    } cases[] = {
        {200, "application/vnd.ims.lti-nrps.v2.membershipcontainer+json", NULL, NULL, "", LTI_OK, NULL},
        {200, "application/json", NULL, NULL, "", LTI_OK, NULL},
        {200, "", "Content-Length", "0", "", LTI_OK, NULL},
        {204, "", NULL, NULL, "", LTI_OK, NULL},
        {200, "text/html", NULL, NULL, "", LTI_E_ROSTER_TYPE, "text/html"},
        {200, "", NULL, NULL, "", LTI_E_ROSTER_TYPE, "missing"},
        {200, "application/vnd.ims.lis.v2.membershipcontainer+json", NULL, NULL, "", LTI_E_ROSTER_TYPE, "lis.v2"},
        {302, "text/html", "Location", "https://u:p@login.example.edu:8443/x?secret=1", "", LTI_E_HTTP_REDIRECT,
         "HTTP 302, a redirect to: login.example.edu:8443"},
        {307, "text/html", "Location", "/login", "", LTI_E_HTTP_REDIRECT, "within the host"},
        {308, "text/html", NULL, NULL, "", LTI_E_HTTP_REDIRECT, ""},
        {400, "application/json", NULL, NULL, "No handler found", LTI_E_HTTP_STATUS, "HTTP 400: No handler found"},
        {401, "application/json", NULL, NULL, "", LTI_E_ROSTER_FORBIDDEN, "HTTP 401"},
        {403, "application/json", NULL, NULL, "scope missing", LTI_E_ROSTER_FORBIDDEN, "scope missing"},
        {403, "application/json", NULL, NULL, "403 Forbidden (Rate Limit Exceeded)", LTI_E_ROSTER_BUSY, "rate limit"},
        {403, "application/json", NULL, NULL, "request throttled", LTI_E_ROSTER_BUSY, "rate limit"},
        {403, "application/json", "X-Rate-Limit-Remaining", "0.0", "", LTI_E_ROSTER_BUSY, "rate limit"},
        {403, "application/json", "X-Rate-Limit-Remaining", "598.2", "no", LTI_E_ROSTER_FORBIDDEN, "no"},
        {403, "application/json", NULL, NULL, "{\"error\":\"above_response_limit\"}", LTI_E_ROSTER_TOO_LARGE, "so many people"},
        {404, "application/json", NULL, NULL, "Course 5 doesn't exist", LTI_E_ROSTER_GONE, "Course 5"},
        {410, "", NULL, NULL, "", LTI_E_ROSTER_GONE, "HTTP 410"},
        {429, "", NULL, NULL, "", LTI_E_ROSTER_BUSY, "HTTP 429"},
        {503, "text/html", NULL, NULL, "maintenance", LTI_E_ROSTER_BUSY, "maintenance"},
        {500, "", NULL, NULL, "", LTI_E_HTTP_STATUS, "HTTP 500"},
        {206, "application/json", NULL, NULL, "", LTI_E_HTTP_STATUS, "HTTP 206"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_http_response_t response = answer(cases[i].status, cases[i].type, *state);
        apr_table_t *headers = apr_table_make(*state, 2);
        lti_err_t err;

        if (cases[i].header != NULL)
            apr_table_setn(headers, cases[i].header, cases[i].value);
        response.headers = headers;
        if (cases[i].code == LTI_OK) {
            assert_ok(lti_nrps_check_answer(&response, cases[i].excerpt, &err), err);
            continue;
        }
        assert_code(lti_nrps_check_answer(&response, cases[i].excerpt, &err), err, cases[i].code);
        assert_int_equal(err.detail, cases[i].status);
        if (strstr(err.text, cases[i].text) == NULL || strstr(err.text, "secret") != NULL)
            fail_msg("%ld: %s", cases[i].status, err.text);
    }
}

static void retry_after_makes_a_403_a_throttle(void **state)
{
    lti_http_response_t response = answer(403, "", *state);
    lti_err_t err;

    response.retry_after = apr_time_from_sec(5);
    assert_code(lti_nrps_check_answer(&response, NULL, &err), err, LTI_E_ROSTER_BUSY);
}

/* --- the next page ------------------------------------------------------------------------------------------------ */

#define SERVICE "https://lms.example.edu/m?limit=2"

static apr_status_t next_of(const char **next, const char *const links[2], apr_pool_t *p, lti_err_t *err)
{
    apr_table_t *headers = apr_table_make(p, 4);
    lti_http_response_t response = {.status = 200, .headers = headers, .content_type = ""};
    int i;

    apr_table_addn(headers, "Content-Type", "x");
    for (i = 0; i < 2 && links[i] != NULL; i++)
        apr_table_addn(headers, i == 0 ? "Link" : "link", links[i]);
    return lti_nrps_next(next, &response, SERVICE, "https://lms.example.edu/m", p, err);
}

/* SPEC N-10, N-11, N-12; RFC 8288 section 3 */
static void the_next_page_is_found(void **state)
{
    static const struct {
        const char *links[2];
        const char *next;
    } cases[] = {
        {{NULL}, NULL},
        {{""}, NULL},
        {{"<https://lms.example.edu/m?from=2>; rel=\"next\""}, "https://lms.example.edu/m?from=2"},
        {{"<https://lms.example.edu/m?from=2>;rel=next"}, "https://lms.example.edu/m?from=2"},
        {{"<https://lms.example.edu/m?a=1,2;b>  ;\trel = \"NEXT\" "}, "https://lms.example.edu/m?a=1,2;b"},
        {{"<https://lms.example.edu/m>; rel=\"last prev Next\""}, "https://lms.example.edu/m"},
        {{"<https://lms.example.edu/x>; REL=next; title=\"a, b; c \\\" <d>\""}, "https://lms.example.edu/x"},
        {{"<https://lms.example.edu/1>; rel=first, <https://lms.example.edu/2>; rel=\"next\", <https://lms.example.edu/3>; "
          "rel=last"},
         "https://lms.example.edu/2"},
        {{"<https://lms.example.edu/1>; rel=first", "<https://lms.example.edu/2>; rel=next"}, "https://lms.example.edu/2"},
        {{",, <https://lms.example.edu/2>; rel=next ,"}, "https://lms.example.edu/2"},
        {{"<https://lms.example.edu/2>; rel=next, <https://lms.example.edu/2>; rel=next"}, "https://lms.example.edu/2"},
        {{"<?from=2>; rel=next"}, "https://lms.example.edu/m?from=2"},
        {{"</n?from=2>; rel=next"}, "https://lms.example.edu/n?from=2"},
        {{"<>; rel=next"}, SERVICE},
        {{"<https://LMS.example.edu:443/M/../x?Q=%2f>; rel=next"}, "https://LMS.example.edu:443/M/../x?Q=%2f"},
        {{"<https://lms.example.edu/1>; rel=last; rel=next"}, NULL},
        {{"<https://lms.example.edu/1>; rel=\"differences\""}, NULL},
        {{"<https://lms.example.edu/1>; rel=nextish"}, NULL},
        {{"<https://lms.example.edu/1>; title=next"}, NULL},
        {{"<https://lms.example.edu/1>"}, NULL},
        {{"<https://elsewhere.example/1>; rel=help"}, NULL},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *next = "unset";
        lti_err_t err;

        assert_ok(next_of(&next, cases[i].links, *state, &err), err);
        if (cases[i].next == NULL) {
            assert_null(next);
            continue;
        }
        assert_non_null(next);
        assert_string_equal(next, cases[i].next);
    }
}

/* SPEC T-07, N-10, N-13: never taken for the last page, and the token goes nowhere else. */
static void a_link_that_cannot_be_followed_is_an_error(void **state)
{
    static const struct {
        const char *link;
        lti_code_t code;
    } cases[] = {
        {"https://lms.example.edu/2; rel=next", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/2; rel=next", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/2>; rel=\"next", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/2>; rel=\"next\\", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/2> rel=next", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/2>; rel=\"next\" junk", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/1>; rel=first, junk", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/1>; rel=next, <https://lms.example.edu/2>; rel=next", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/a b>; rel=next", LTI_E_ROSTER_MALFORMED},
        {"<https://lms.example.edu/a#b>; rel=next", LTI_E_ROSTER_MALFORMED},
        {"<https://u:p@lms.example.edu/a>; rel=next", LTI_E_ROSTER_MALFORMED},
        {"<mailto:x@y>; rel=next", LTI_E_ROSTER_MALFORMED},
        {"<https://evil.example/2>; rel=next", LTI_E_ROSTER_ORIGIN},
        {"<//evil.example/2>; rel=next", LTI_E_ROSTER_ORIGIN},
        {"<http://lms.example.edu/2>; rel=next", LTI_E_ROSTER_ORIGIN},
        {"<https://lms.example.edu:8443/2>; rel=next", LTI_E_ROSTER_ORIGIN},
        {"<https://lms.example.edu.evil.example/2>; rel=next", LTI_E_ROSTER_ORIGIN},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const links[2] = {cases[i].link, NULL};
        const char *next = "unset";
        lti_err_t err = {.code = LTI_OK};
        apr_status_t rv = next_of(&next, links, *state, &err);

        if (rv == APR_SUCCESS)
            fail_msg("%s was taken", cases[i].link);
        assert_code(rv, err, cases[i].code);
        assert_null(next);
    }
}

/* SPEC N-18: an offer, which is taken or not. */
static void the_address_of_what_changed_is_found(void **state)
{
    static const struct {
        const char *link, *found;
    } cases[] = {
        {"<https://lms.example.edu/m?since=1>; rel=\"differences\"", "https://lms.example.edu/m?since=1"},
        {"<?since=1>; rel=\"Differences\"", "https://lms.example.edu/m?since=1"},
        {"<https://lms.example.edu/2>; rel=next, <https://lms.example.edu/d>; rel=differences", "https://lms.example.edu/d"},
        {"<https://lms.example.edu/2>; rel=next", NULL},
        {"<https://evil.example/d>; rel=differences", NULL},
        {"<http://lms.example.edu/d>; rel=differences", NULL},
        {"<https://lms.example.edu/a b>; rel=differences", NULL},
        {"<https://lms.example.edu/d>; rel=\"differences", NULL},
        {"<https://lms.example.edu/1>; rel=differences, <https://lms.example.edu/2>; rel=differences", NULL},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_table_t *headers = apr_table_make(*state, 4);
        lti_http_response_t response = {.status = 200, .headers = headers, .content_type = ""};
        const char *found;

        apr_table_addn(headers, "Link", cases[i].link);
        found = lti_nrps_differences(&response, SERVICE, "https://lms.example.edu/m", *state);
        if ((found == NULL) != (cases[i].found == NULL) || (found != NULL && strcmp(found, cases[i].found) != 0))
            fail_msg("%s: %s", cases[i].link, shown(found));
    }
}

/* SPEC N-18, N-35: who is named as deleted is handed over from a list of changes, and from no other. */
static void deleted_people_are_named_in_lists_of_changes(void **state)
{
    const char *page = "{\"members\":[{\"user_id\":\"a\",\"status\":\"Deleted\",\"name\":\"A\"},{\"user_id\":\"b\"}]}";
    int changes;

    for (changes = 0; changes < 2; changes++) {
        result_t result = {.taken = 0};
        lti_nrps_page_t *parser = lti_nrps_page_create(0, take, &result, *state);
        lti_nrps_summary_t summary;
        lti_err_t err;

        if (changes)
            lti_nrps_page_changes(parser);
        assert_ok(lti_nrps_page_feed(parser, page, strlen(page), &err), err);
        assert_ok(lti_nrps_page_end(parser, &summary, &err), err);
        assert_string_equal(result.text, changes ? "a|-|-|-|-|-||3\nb|-|-|-|-|-||1\n" : "b|-|-|-|-|-||1\n");
        assert_int_equal(summary.members, changes ? 2 : 1);
        assert_int_equal(summary.odd, changes ? 0 : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(a_page_gives_the_same_members_at_every_split),
        POOL_TEST(a_page_that_is_cut_anywhere_is_malformed),
        POOL_TEST(a_damaged_page_fails_alike_at_every_split),
        POOL_TEST(what_is_no_container_is_malformed),
        POOL_TEST(nothing_goes_on_after_a_failure),
        POOL_TEST(a_receiver_that_refuses_ends_the_page),
        POOL_TEST(an_empty_body_is_an_empty_list),
        POOL_TEST(members_are_read_by_the_rules),
        POOL_TEST(escaped_names_are_read_once_where_the_family_escapes),
        POOL_TEST(long_fields_are_left_out_and_long_ids_dropped),
        POOL_TEST(a_tenth_of_the_members_may_be_unusable),
        POOL_TEST(strict_roles_take_no_short_names),
        POOL_TEST(sizes_and_depths_are_limited),
        POOL_TEST(many_members_need_the_memory_of_one),
        POOL_TEST(a_request_asks_for_one_type_and_adds_only_a_limit),
        POOL_TEST(only_the_platforms_own_hosts_may_be_private),
        POOL_TEST(answers_are_judged_by_status_and_type),
        POOL_TEST(retry_after_makes_a_403_a_throttle),
        POOL_TEST(the_next_page_is_found),
        POOL_TEST(a_link_that_cannot_be_followed_is_an_error),
        POOL_TEST(the_address_of_what_changed_is_found),
        POOL_TEST(deleted_people_are_named_in_lists_of_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
