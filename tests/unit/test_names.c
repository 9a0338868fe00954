/* SPDX-License-Identifier: Apache-2.0 */
/* Names of sections and groups: what platforms write becomes the same list and the same words; what a roster and a groups service say becomes names (SPEC 6.5, 7.2). */
#include "test.h"
#include "lti_groups.h"
#include "lti_json.h"
#include "lti_names.h"
#include "lti_nrps.h"

static const char *list_of(const char *text, apr_pool_t *p)
{
    apr_array_header_t *names = lti_names_make(p);

    lti_names_add_text(names, text, p);
    return lti_names_list(names, p);
}

static const char *words_of(const char *text, apr_pool_t *p)
{
    apr_array_header_t *names = lti_names_make(p);

    lti_names_add_text(names, text, p);
    return lti_names_words(names, p);
}

static void assert_text(const char *found, const char *wanted)
{
    if (wanted == NULL)
        assert_null(found);
    else
        assert_string_equal(found != NULL ? found : "(none)", wanted);
}

static void what_platforms_write_becomes_one_list(void **state)
{
    static const struct {
        const char *text, *list, *words;
    } rows[] = {
        {"[\"Section 1\",\"Lab, Monday\"]", "[\"Lab, Monday\",\"Section 1\"]", "Lab,%20Monday Section%201"},
        {" [ \"a\" , \"b\" ] ", "[\"a\",\"b\"]", "a b"},
        {"[\"b\",\"a\",\"b\"]", "[\"a\",\"b\"]", "a b"},
        {"[7,\"x\",null,{},[],true,1.5,-3]", "[\"-3\",\"7\",\"x\"]", "-3 7 x"},
        {"[]", NULL, NULL},
        {"1043,1044", "[\"1043\",\"1044\"]", "1043 1044"},
        {" b , a ,, ", "[\"a\",\"b\"]", "a b"},
        {"Section 1", "[\"Section 1\"]", "Section%201"},
        {"100% sure", "[\"100% sure\"]", "100%25%20sure"},
        {"[Lab] A, B", "[\"B\",\"[Lab] A\"]", "B [Lab]%20A"}, /* no list, though it begins like one */
        {"\xc3\x9c"
         "bung \"A\"\\",
         "[\"\xc3\x9c"
         "bung \\\"A\\\"\\\\\"]",
         "\xc3\x9c"
         "bung%20\"A\"\\"},
        {"$com.instructure.User.sectionNames", NULL, NULL}, /* SPEC K-19 */
        {"$5 course", "[\"$5 course\"]", "$5%20course"},
        {"", NULL, NULL},
        {",", NULL, NULL},
        {"a\x01"
         "b,c",
         "[\"c\"]", "c"},
        {"a\nb,c", "[\"c\"]", "c"},
        {"\xff\xfe,c", "[\"c\"]", "c"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_text(words_of(rows[i].text, *state), rows[i].words);
        assert_text(list_of(rows[i].text, *state), rows[i].list);
        assert_text(lti_names_list_to_words(list_of(rows[i].text, *state), *state), words_of(rows[i].text, *state));
    }
}

static void a_text_cannot_smuggle_members_into_the_parser(void **state)
{
    /* The list is parsed as the member of an object; what closes it early is names with commas, not JSON. */
    const char *list = list_of("[\"a\"],\"list\":[\"b\"]", *state);

    assert_non_null(list);
    assert_null(strstr(list, "[\"b\"]"));
    assert_non_null(strstr(list, "\\\"a\\\""));
}

static void there_are_limits(void **state)
{
    apr_pool_t *p = *state;
    apr_array_header_t *names = lti_names_make(p);
    char *name = apr_palloc(p, LTI_NAME_MAX + 2);
    int i;

    for (i = 0; i < 2 * LTI_NAMES_MAX; i++)
        lti_names_add(names, apr_itoa(p, i), p);
    assert_int_equal(names->nelts, LTI_NAMES_MAX);
    names = lti_names_make(p);
    memset(name, 'x', LTI_NAME_MAX + 1);
    name[LTI_NAME_MAX + 1] = '\0';
    lti_names_add(names, name, p);
    assert_int_equal(names->nelts, 0);
    name[LTI_NAME_MAX] = '\0';
    for (i = 0; i < 26; i++) {
        name[0] = (char)('a' + i);
        lti_names_add(names, name, p);
    }
    assert_int_equal(names->nelts, LTI_NAMES_BYTES / LTI_NAME_MAX);
}

static void names_are_found_whole(void **state)
{
    const char *words = "Lab,%20Monday Section%201 x";

    assert_true(lti_names_has(words, "Lab, Monday", *state));
    assert_true(lti_names_has(words, "Section 1", *state));
    assert_true(lti_names_has(words, "x", *state));
    assert_false(lti_names_has(words, "Section", *state));
    assert_false(lti_names_has(words, "Section%201", *state));
    assert_false(lti_names_has(words, "Section 1 x", *state));
    assert_false(lti_names_has(words, "", *state));
    assert_false(lti_names_has(NULL, "x", *state));
    assert_null(lti_names_list_to_json("{}", *state));
    assert_null(lti_names_list_to_json("[", *state));
    assert_null(lti_names_list_to_json(NULL, *state));
}

/* --- the roster ------------------------------------------------------------------------------------------------------- */

#define CUSTOM "\"https://purl.imsglobal.org/spec/lti/claim/custom\":"

static void the_message_section_and_enrollments_are_read(void **state)
{
    static const struct {
        const char *member, *sections, *groups;
    } rows[] = {
        {"{}", NULL, NULL},
        {"{\"message\":[{" CUSTOM "{\"sections\":\"[\\\"B\\\",\\\"A\\\"]\"}}]}", "[\"A\",\"B\"]", NULL}, /* N-50 */
        {"{\"message\":{" CUSTOM "{\"sections\":\"A\"}}}", "[\"A\"]", NULL},                             /* N-51 */
        {"{\"message\":[{" CUSTOM "{\"sections\":[\"A\",5]}}]}", "[\"5\",\"A\"]", NULL},
        {"{\"message\":[{" CUSTOM "{\"sections\":12}}]}", "[\"12\"]", NULL}, /* N-54, K-18 */
        {"{\"message\":[{" CUSTOM "{\"sections\":\"$X.y\"}}]}", NULL, NULL},
        {"{\"message\":[{" CUSTOM "{\"other\":\"A\",\"teams\":\"T\"}}]}", NULL, "[\"T\"]"},
        {"{\"message\":[{" CUSTOM "{\"sections\":\"A\"}},{" CUSTOM "{\"sections\":\"B\"}}]}", "[\"A\",\"B\"]", NULL},
        {"{\"message\":[7,null,\"x\",{" CUSTOM "[]}]}", NULL, NULL},
        {"{\"message\":\"x\"}", NULL, NULL},
        {"{\"group_enrollments\":[]}", NULL, NULL},
        {"{\"group_enrollments\":[{\"group_id\":\"g1\"},{\"group_id\":\"g2\"},{\"group_id\":3}]}", NULL, "[\"3\",\"Team A\"]"},
        {"{\"group_enrollments\":[{\"group_id\":\"unknown\"},{\"x\":1},5,{\"group_id\":[]}]}", NULL, "[\"unknown\"]"},
        {"{\"group_enrollments\":{\"group_id\":\"g1\"}}", NULL, NULL},
    };
    const lti_nrps_names_t wanted = {
        .section_claim = "sections", .group_claim = "teams", .groups = lti_groups_map("{\"g1\":\"Team A\",\"g2\":null}", *state)};
    json_t *object;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lti_member_t member = {0};
        lti_err_t err = {0};

        assert_ok(lti_json_object(&object, rows[i].member, strlen(rows[i].member), LTI_E_ROSTER_MALFORMED, *state, &err), err);
        lti_nrps_read_names(&member, object, &wanted, *state);
        assert_text(member.sections, rows[i].sections);
        assert_text(member.groups, rows[i].groups);
    }
}

static void the_first_url_asks_for_what_is_wanted(void **state)
{
    assert_string_equal(lti_nrps_first_url("https://x/m", NULL, 0, *state), "https://x/m");
    assert_string_equal(lti_nrps_first_url("https://x/m", "c 1", 0, *state), "https://x/m?rlid=c%201");
    assert_string_equal(lti_nrps_first_url("https://x/m?a=b", NULL, 1, *state), "https://x/m?a=b&groups=true");
    assert_string_equal(lti_nrps_first_url("https://x/m?rlid=7&groups=true", "c", 1, *state), "https://x/m?rlid=7&groups=true");
}

/* --- the groups service -------------------------------------------------------------------------------------------------- */

static apr_status_t read_page(json_t *map, const char *body, apr_pool_t *p, lti_err_t *err)
{
    return lti_groups_read(map, body, strlen(body), p, err);
}

static void groups_become_a_map(void **state)
{
    json_t *map = lti_json_own(json_object(), *state);
    lti_err_t err = {0};

    assert_ok(read_page(map,
                        "{\"id\":\"x\",\"groups\":[{\"id\":\"a\",\"name\":\"A\"},{\"id\":7,\"name\":\"Seven\",\"hidden\":false},"
                        "{\"id\":\"h\",\"name\":\"H\",\"hidden\":true},{\"id\":\"s\",\"name\":\"S\",\"hidden\":\"true\"},{\"name\":"
                        "\"no id\"},5,"
                        "{\"id\":\"n\"},{\"id\":\"\",\"name\":\"empty\"}]}",
                        *state, &err),
              err);
    assert_ok(read_page(map, "{\"groups\":[{\"id\":\"b\",\"name\":\"B\"}]}", *state, &err), err);
    assert_string_equal(lti_json_text(map, *state), "{\"a\":\"A\",\"7\":\"Seven\",\"h\":null,\"s\":null,\"n\":\"n\",\"b\":\"B\"}");
    assert_code(read_page(map, "{\"groups\":{}}", *state, &err), err, LTI_E_ROSTER_MALFORMED);
    assert_code(read_page(map, "{}", *state, &err), err, LTI_E_ROSTER_MALFORMED);
    assert_code(read_page(map, "<html>", *state, &err), err, LTI_E_ROSTER_MALFORMED);
    assert_null(lti_groups_map("[]", *state));
    assert_null(lti_groups_map(NULL, *state));
}

static const char *one_group(const char *id, const char *name, apr_pool_t *p)
{
    return apr_psprintf(p, "{\"groups\":[{\"id\":\"%s\",\"name\":\"%s\"}]}", id, name);
}

/* A name that no list could hold would name nobody's group. */
static void a_name_that_is_too_long_gives_way_to_the_id(void **state)
{
    json_t *map = lti_json_own(json_object(), *state);
    char name[LTI_NAME_MAX + 2];
    lti_err_t err = {0};

    memset(name, 'n', sizeof(name));
    name[LTI_NAME_MAX + 1] = '\0';
    assert_ok(read_page(map, one_group("long", name, *state), *state, &err), err);
    name[LTI_NAME_MAX] = '\0';
    assert_ok(read_page(map, one_group("fits", name, *state), *state, &err), err);
    assert_string_equal(json_string_value(json_object_get(map, "long")), "long");
    assert_string_equal(json_string_value(json_object_get(map, "fits")), name);
}

static void too_many_groups_are_said_to_be_too_many(void **state)
{
    json_t *map = lti_json_own(json_object(), *state);
    lti_err_t err = {0};

    for (int i = 0; i < LTI_GROUPS_MAX; i++)
        json_object_set_new(map, apr_itoa(*state, i), json_string("x"));
    assert_ok(read_page(map, one_group("7", "renamed", *state), *state, &err), err);
    assert_code(read_page(map, one_group("more", "M", *state), *state, &err), err, LTI_E_ROSTER_LIMIT);
}

static void answers_are_judged(void **state)
{
    static const struct {
        long status;
        const char *type;
        lti_code_t code;
    } rows[] = {
        {200, LTI_GROUPS_MEDIA_TYPE, LTI_OK},  {200, "application/json", LTI_OK}, {200, "text/html", LTI_E_ROSTER_TYPE},
        {200, "", LTI_E_ROSTER_TYPE},          {401, "", LTI_E_ROSTER_FORBIDDEN}, {403, "", LTI_E_ROSTER_FORBIDDEN},
        {404, "text/html", LTI_E_HTTP_STATUS}, {302, "", LTI_E_HTTP_STATUS},      {503, "", LTI_E_HTTP_STATUS},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const lti_http_response_t response = {
            .status = rows[i].status, .content_type = rows[i].type, .headers = apr_table_make(*state, 1)};
        lti_err_t err = {.code = LTI_OK};
        apr_status_t rv = lti_groups_check_answer(&response, "words", &err);

        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(rv == APR_SUCCESS, rows[i].code == LTI_OK);
        if (rv != APR_SUCCESS)
            assert_int_equal(err.detail, rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(what_platforms_write_becomes_one_list),
        POOL_TEST(a_text_cannot_smuggle_members_into_the_parser),
        POOL_TEST(there_are_limits),
        POOL_TEST(names_are_found_whole),
        POOL_TEST(the_message_section_and_enrollments_are_read),
        POOL_TEST(the_first_url_asks_for_what_is_wanted),
        POOL_TEST(groups_become_a_map),
        POOL_TEST(a_name_that_is_too_long_gives_way_to_the_id),
        POOL_TEST(too_many_groups_are_said_to_be_too_many),
        POOL_TEST(answers_are_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
