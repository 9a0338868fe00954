/* SPDX-License-Identifier: Apache-2.0 */
/* Claims: one good launch, patched claim by claim, under the rule of the specification that each patch breaks or stretches. */
#include "test.h"
#include "lti_claims.h"
#include "lti_crypto.h"
#include "lti_json.h"

#define NOW_SECONDS 1760000005
#define CLAIM "https://purl.imsglobal.org/spec/lti/claim/"
#define LIS "http://purl.imsglobal.org/vocab/lis/v2/"
#define NRPS "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
#define DEEP_LINKING "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
#define GRADES "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"

static const char good[] =
    "{\"iss\":\"https://lms.example.org\",\"aud\":\"tool-77\",\"sub\":\"u-1001\",\"nonce\":\"n-5f1c\",\"iat\":1760000000,"
    "\"exp\":1760000300,\"name\":\"Ann M\\u00fcller\",\"given_name\":\"Ann\",\"family_name\":\"M\\u00fcller\","
    "\"email\":\"ann@example.org\",\"locale\":\"en\","
    "\"" CLAIM "message_type\":\"LtiResourceLinkRequest\",\"" CLAIM "version\":\"1.3.0\",\"" CLAIM "deployment_id\":\"d-3\","
    "\"" CLAIM "target_link_uri\":\"https://tool.example.net/app/\","
    "\"" CLAIM "resource_link\":{\"id\":\"rl-9\",\"title\":\"Week 1\",\"description\":null},"
    "\"" CLAIM "roles\":[\"" LIS "membership/Instructor#TeachingAssistant\",\"" LIS "membership#Instructor\"],"
    "\"" CLAIM "context\":{\"id\":\"c-42\",\"label\":\"BIO1\",\"title\":\"Biology I\",\"type\":[\"" LIS "course#CourseOffering\"]},"
    "\"" CLAIM "lis\":{\"person_sourcedid\":\"SIS-1\"},"
    "\"" CLAIM "launch_presentation\":{\"return_url\":\"https://lms.example.org/return?x=1\",\"locale\":\"de-AT\"},"
    "\"" CLAIM "custom\":{\"copy_of\":\"\",\"due\":\"$ResourceLink.submission.endDateTime\",\"color\":\"blue\"},"
    "\"" NRPS "\":{\"context_memberships_url\":\"https://lms.example.org/nrps/42?x=1\",\"service_versions\":[\"2.0\"]}}";

static lti_platform_t platform = {
    .name = "campus", .issuer = "https://lms.example.org", .client_id = "tool-77", .deployments = LTI_DEPLOYMENT_ANY};

static const lti_expect_t expected = {.platform = &platform,
                                      .nonce = "n-5f1c",
                                      .target = "https://tool.example.net/app/",
                                      .deployment_id = "d-3",
                                      .now = NOW_SECONDS * APR_USEC_PER_SEC + 999999,
                                      .skew_seconds = 60,
                                      .message_types = LTI_MESSAGE_RESOURCE_LINK};

static json_t *value(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    if (json == NULL)
        fail_msg("%s: %s", text, error.text);
    return json;
}

/* The good claims with `name` set to the JSON text `patch`, or without it. */
static json_t *patched(apr_pool_t *p, const char *name, const char *patch)
{
    json_t *claims = lti_json_own(value(good), p);
    if (name != NULL && patch == NULL)
        json_object_del(claims, name);
    else if (name != NULL)
        json_object_set_new(claims, name, value(patch));
    return claims;
}

static lti_launch_t *launched(apr_pool_t *p, const char *name, const char *patch)
{
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};
    assert_ok(lti_claims_launch(&launch, patched(p, name, patch), &expected, p, &err), err);
    return launch;
}

static void a_good_launch_is_taken_in_full(void **state) /* SPEC appendix A */
{
    apr_pool_t *p = *state;
    lti_launch_t *launch = launched(p, NULL, NULL);
    char key[LTI_COURSE_KEY_LENGTH + 1];

    assert_true(strlen(launch->id) >= 16);
    assert_string_not_equal(launch->id, launched(p, NULL, NULL)->id);
    assert_string_equal(launch->platform, "campus");
    assert_string_equal(launch->issuer, "https://lms.example.org");
    assert_string_equal(launch->client_id, "tool-77");
    assert_string_equal(launch->deployment_id, "d-3");
    assert_string_equal(launch->user_id, "u-1001");
    assert_string_equal(launch->name, "Ann M\xc3\xbcller");
    assert_string_equal(launch->given_name, "Ann");
    assert_string_equal(launch->family_name, "M\xc3\xbcller");
    assert_string_equal(launch->email, "ann@example.org");
    assert_string_equal(launch->sourcedid, "SIS-1");
    assert_string_equal(launch->locale, "de-AT");
    assert_string_equal(launch->roles, LIS "membership#Instructor " LIS "membership/Instructor#TeachingAssistant");
    assert_int_equal(launch->role, LTI_ROLE_TEACHING_ASSISTANT);
    assert_int_equal(launch->role_flags, 0);
    assert_string_equal(launch->context_id, "c-42");
    assert_string_equal(launch->context_label, "BIO1");
    assert_string_equal(launch->context_title, "Biology I");
    assert_string_equal(launch->context_type, LIS "course#CourseOffering");
    lti_platform_course_key(key, "https://lms.example.org", "tool-77", "d-3", "c-42");
    assert_string_equal(launch->course_key, key);
    assert_string_equal(launch->resource_link_id, "rl-9");
    assert_string_equal(launch->resource_link_title, "Week 1");
    assert_string_equal(launch->message_type, "LtiResourceLinkRequest");
    assert_string_equal(launch->target_link_uri, "https://tool.example.net/app/");
    assert_string_equal(launch->return_url, "https://lms.example.org/return?x=1");
    assert_string_equal(launch->nrps_url, "https://lms.example.org/nrps/42?x=1");
    assert_string_equal(apr_table_get(launch->custom, "copy_of"), "");
    assert_string_equal(apr_table_get(launch->custom, "color"), "blue");
    assert_null(apr_table_get(launch->custom, "due"));
    assert_int_equal(launch->launched_at, expected.now);
    assert_int_equal(launch->token_expires_at, apr_time_from_sec(1760000300));
}

/* A launch goes by the name that its login was given. */
static void the_name_comes_from_the_login(void **state)
{
    lti_expect_t named = expected;
    lti_launch_t *launch = NULL;
    lti_err_t err;

    named.launch_id = "abcdefghijklm";
    assert_ok(lti_claims_launch(&launch, patched(*state, NULL, NULL), &named, *state, &err), err);
    assert_string_equal(launch->id, "abcdefghijklm");
}

typedef struct refusal_t {
    const char *rule, *name, *patch;
    lti_code_t code;
} refusal_t;

#define X16(text) text text text text text text text text text text text text text text text text
#define X256 X16("xxxxxxxxxxxxxxxx")
#define X255 X16("xxxxxxxxxxxxxxx") "xxxxxxxxxxxxxxx"
#define MISSING LTI_E_CLAIM_MISSING
#define INVALID LTI_E_CLAIM_INVALID

static const refusal_t refusals[] = {
    {"C-01", "iss", NULL, MISSING},
    {"C-01", "iss", "null", MISSING},
    {"C-01", "iss", "7", INVALID},
    {"C-01", "iss", "\"https://lms.example.org/\"", LTI_E_ISSUER},
    {"C-01", "iss", "\"https://LMS.example.org\"", LTI_E_ISSUER},
    {"C-02", "aud", NULL, MISSING},
    {"C-02", "aud", "[]", LTI_E_AUDIENCE},
    {"C-02", "aud", "7", INVALID},
    {"C-02", "aud", "{\"a\":\"tool-77\"}", INVALID},
    {"C-02", "aud", "[\"tool-77\",7]", INVALID},
    {"C-02", "aud", "\"tool-78\"", LTI_E_AUDIENCE},
    {"C-02", "aud", "\"\"", LTI_E_AUDIENCE},
    {"C-02 C-16", "aud", "null", MISSING},
    {"C-02", "aud", "\"TOOL-77\"", LTI_E_AUDIENCE},
    {"C-02", "aud", "\"tool-77 \"", LTI_E_AUDIENCE},
    {"C-02", "aud", "\"tool-7\"", LTI_E_AUDIENCE},
    {"C-02", "aud", "\"tool-77,tool-78\"", LTI_E_AUDIENCE},
    {"C-02", "aud", "[\"tool-78\"]", LTI_E_AUDIENCE},
    {"C-02", "aud", "[[\"tool-77\"]]", INVALID},
    {"C-02", "aud", "[null]", INVALID},
    {"C-02", "aud", "[\"tool-77\",null]", INVALID},
    {"C-02", "aud", "true", INVALID},
    {"C-03", "aud", "[\"stranger\",\"tool-77\"]", LTI_E_AUDIENCE},
    {"C-03", "aud", "[\"tool-77\",\"\"]", LTI_E_AUDIENCE},
    {"C-03", "aud", "[\"tool-77\",\"stranger\"]", LTI_E_AUDIENCE},
    {"C-04", "aud", "[\"tool-77\",\"tool-77\"]", LTI_E_AUDIENCE},
    {"C-05", "azp", "\"tool-78\"", LTI_E_AUDIENCE},
    {"C-05", "azp", "[\"tool-77\"]", INVALID},
    {"C-05", "azp", "\"\"", LTI_E_AUDIENCE},
    {"C-05", "azp", "\"Tool-77\"", LTI_E_AUDIENCE},
    {"C-05", "azp", "\"tool-77\\n\"", LTI_E_AUDIENCE},
    {"C-05", "azp", "7", INVALID},
    {"C-05", "azp", "false", INVALID},
    {"C-05", "azp", "{}", INVALID},
    {"C-06", "exp", NULL, MISSING},
    {"C-06", "exp", "\"1760000300\"", INVALID},
    {"C-06", "exp", "-1", INVALID},
    {"C-06", "exp", "9007199254740993000", INVALID},
    {"C-06", "exp", "1e300", INVALID},
    {"C-06 C-16", "exp", "null", MISSING},
    {"C-06", "exp", "false", INVALID},
    {"C-06", "exp", "[1760000300]", INVALID},
    {"C-06", "exp", "{}", INVALID},
    {"C-06", "exp", "\"\"", INVALID},
    {"C-06", "exp", "\"NaN\"", INVALID},
    {"S-15 C-06", "exp", "0", LTI_E_EXPIRED},
    {"S-15 C-06", "exp", "-0", LTI_E_EXPIRED},
    {"S-15 C-06", "exp", "-0.0", LTI_E_EXPIRED},
    {"S-15 C-06", "exp", "1e-300", LTI_E_EXPIRED},
    {"S-15 C-06", "exp", "-1e-300", INVALID},
    {"S-15 C-06", "exp", "9223372036854775807", INVALID},
    {"S-15 C-06", "exp", "-9223372036854775808", INVALID},
    {"S-15 C-06", "exp", "9007199254740993", INVALID},
    {"S-15 C-06", "exp", "9007199254740992", INVALID}, /* in range, but years after iat (C-08) */
    {"S-15 C-06", "exp", "1e15", INVALID},
    {"S-15 C-06", "exp", "1760000300000", INVALID}, /* milliseconds */
    {"S-15 C-07", "iat", "9223372036854775807", INVALID},
    {"S-15 C-07", "iat", "-9223372036854775808", INVALID},
    {"S-15 C-07", "iat", "1e308", INVALID},
    {"S-15 C-07", "iat", "-0.0", LTI_E_EXPIRED},
    {"S-15 C-07", "iat", "9007199254740992", LTI_E_NOT_YET_VALID},
    {"S-15 C-09", "nbf", "9223372036854775807", INVALID},
    {"S-15 C-09", "nbf", "9007199254740992", LTI_E_NOT_YET_VALID},
    {"S-15 C-09", "nbf", "-1", INVALID},
    {"C-06", "exp", "1759999945", LTI_E_EXPIRED},
    {"C-06", "exp", "1759999945.9", LTI_E_EXPIRED},
    {"C-07", "iat", NULL, MISSING},
    {"C-07", "iat", "\"1760000000\"", INVALID},
    {"C-07", "iat", "true", INVALID},
    {"C-07", "iat", "1760000066", LTI_E_NOT_YET_VALID},
    {"C-07", "iat", "1759999404", LTI_E_EXPIRED},
    {"C-08", "exp", "1760000000", INVALID},
    {"C-08", "exp", "1760086401", INVALID},
    {"C-09", "nbf", "1760000066", LTI_E_NOT_YET_VALID},
    {"C-08", "exp", "1759999999", INVALID},
    {"C-09", "nbf", "\"soon\"", INVALID},
    {"C-09", "nbf", "true", INVALID},
    {"C-09", "nbf", "1760000066.2", LTI_E_NOT_YET_VALID},
    {"C-10", "nonce", NULL, MISSING},
    {"C-10", "nonce", "\"\"", INVALID},
    {"C-10", "nonce", "7", INVALID},
    {"C-10", "nonce", "\"n-5f1d\"", LTI_E_NONCE_MISMATCH},
    {"C-10", "nonce", "\"n-5f1\"", LTI_E_NONCE_MISMATCH},
    {"C-11", "sub", "1001", INVALID},
    {"C-11", "sub", "\"" X256 "\"", INVALID},
    {"C-11", "sub", "\"a\\u0007b\"", INVALID},
    {"C-11", "sub", "\"a\\nb\"", INVALID},
    {"C-11", "sub", "\"\\u00fc\"", INVALID},
    {"C-12 certification: user claim missing", "sub", NULL, LTI_E_ANONYMOUS},
    {"C-12", "sub", "null", LTI_E_ANONYMOUS},
    {"C-13", "sub", "\"\"", INVALID},
    {"K-01 certification: message_type missing", CLAIM "message_type", NULL, MISSING},
    {"K-01", CLAIM "message_type", "7", INVALID},
    {"M-01", CLAIM "message_type", "\"LtiStartProctoring\"", LTI_E_MESSAGE_TYPE},
    {"M-01", CLAIM "message_type", "\"\"", LTI_E_MESSAGE_TYPE},
    {"M-02", CLAIM "message_type", "\"LtiDeepLinkingRequest\"", LTI_E_MESSAGE_TYPE},
    {"M-03", CLAIM "message_type", "\"basic-lti-launch-request\"", LTI_E_MESSAGE_TYPE},
    {"M-03", CLAIM "message_type", "\"ltiresourcelinkrequest\"", LTI_E_MESSAGE_TYPE},
    {"K-02 certification: no LTI version", CLAIM "version", NULL, MISSING},
    {"K-02 certification: wrong LTI version", CLAIM "version", "\"11.3.0\"", LTI_E_VERSION},
    {"K-02", CLAIM "version", "\"1.3\"", LTI_E_VERSION},
    {"K-02", CLAIM "version", "1.3", INVALID},
    {"K-03 certification: deployment_id missing", CLAIM "deployment_id", NULL, MISSING},
    {"K-03", CLAIM "deployment_id", "\"\"", INVALID},
    {"K-03", CLAIM "deployment_id", "3", INVALID},
    {"K-03", CLAIM "deployment_id", "\"" X256 "\"", INVALID},
    {"K-03", CLAIM "deployment_id", "\"d\\t3\"", INVALID},
    {"K-05", CLAIM "deployment_id", "\"d-4\"", LTI_E_DEPLOYMENT_MISMATCH},
    {"K-06", CLAIM "target_link_uri", NULL, MISSING},
    {"K-06", CLAIM "target_link_uri", "[]", INVALID},
    {"K-06", CLAIM "target_link_uri", "\"/app/\"", INVALID},
    {"K-06", CLAIM "target_link_uri", "\"http://tool.example.net/app/\"", INVALID},
    {"K-06", CLAIM "target_link_uri", "\"https://a@tool.example.net/app/\"", INVALID},
    {"K-06", CLAIM "target_link_uri", "\"https://tool.example.net/" X16(X256) "\"", INVALID},
    {"K-07", CLAIM "target_link_uri", "\"https://tool.example.net/app/admin\"", LTI_E_TARGET_MISMATCH},
    {"K-07", CLAIM "target_link_uri", "\"https://tool.example.net/app/#x\"", LTI_E_TARGET_MISMATCH},
    {"K-09 M-09", CLAIM "resource_link", NULL, MISSING},
    {"K-09", CLAIM "resource_link", "\"rl-9\"", INVALID},
    {"K-09 certification: resource_link_id missing", CLAIM "resource_link", "{\"title\":\"x\"}", MISSING},
    {"K-09", CLAIM "resource_link", "{\"id\":\"\"}", INVALID},
    {"K-09", CLAIM "resource_link", "{\"id\":9}", INVALID},
    {"K-10 certification: role claim missing", CLAIM "roles", NULL, MISSING},
    {"K-10", CLAIM "roles", "null", MISSING},
    {"K-10", CLAIM "roles", "\"Instructor\"", INVALID},
    {"K-10", CLAIM "roles", "{}", INVALID},
    {"K-13", CLAIM "context", "{}", MISSING},
    {"K-13", CLAIM "context", "{\"id\":null}", MISSING},
    {"K-13", CLAIM "context", "{\"id\":\"\"}", INVALID},
    {"K-13", CLAIM "context", "{\"id\":42}", INVALID},
    {"K-13", CLAIM "context", "{\"id\":\"" X256 "\"}", INVALID},
    {"K-13", CLAIM "context", "{\"id\":\"a\\rb\"}", INVALID},
    {"K-13", CLAIM "context", "[]", INVALID},
};

static void each_broken_claim_has_its_code(void **state)
{
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        lti_launch_t *launch = NULL;
        lti_err_t err = {.code = LTI_OK};
        apr_status_t rv;
        rv = lti_claims_launch(&launch, patched(p, refusals[i].name, refusals[i].patch), &expected, p, &err);
        if (rv == APR_SUCCESS || err.code != refusals[i].code)
            fail_msg("%s, %s = %.60s: %s", refusals[i].rule, refusals[i].name,
                     refusals[i].patch == NULL ? "absent" : refusals[i].patch,
                     rv == APR_SUCCESS ? "taken" : lti_err_info(err.code)->name);
        assert_null(launch);
        assert_int_equal(lti_claims_launch(&launch, patched(p, refusals[i].name, refusals[i].patch), &expected, p, NULL), rv);
    }
}

static void what_is_no_launch_at_all_is_refused(void **state) /* certification: invalid LTI message */
{
    apr_pool_t *p = *state;
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};

    assert_code(lti_claims_launch(&launch, lti_json_own(value("{\"name\":\"badltilaunch\"}"), p), &expected, p, &err), err,
                LTI_E_CLAIM_MISSING);
}

static void limits_are_inclusive(void **state)
{
    static const struct {
        const char *rule, *name, *patch;
    } rows[] = {
        {"C-02", "aud", "[\"tool-77\"]"},
        {"C-05", "azp", "\"tool-77\""},
        {"C-05", "azp", "null"},
        {"C-06", "exp", "1760000300.5"},
        {"C-07", "iat", "1759999405"},
        {"C-07", "iat", "1760000065"},
        {"C-08", "exp", "1760086400"},
        {"C-08", "exp", "1760086400.9"},
        {"C-09", "nbf", "1760000065"},
        {"C-09", "nbf", "1760000065.9"},
        {"C-09 S-15", "nbf", "-0.0"},
        {"C-09", "nbf", "0"},
        {"C-09", "nbf", "null"},
        {"C-11", "sub", "\"" X255 "\""},
        {"C-15", "https://vendor.example/claim", "{\"a\":[1,2]}"},
        {"K-09", CLAIM "resource_link", "{\"id\":\"" X255 "\"}"},
        {"K-13", CLAIM "context", "{\"id\":\"" X255 "\"}"},
        {"K-13", CLAIM "context", "null"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        launched(*state, rows[i].name, rows[i].patch);
}

static void the_last_second_of_a_token(void **state) /* SPEC C-06 */
{
    apr_pool_t *p = *state;
    json_t *claims = patched(p, "exp", "1760000030");
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};
    lti_expect_t late = expected;

    late.now = apr_time_from_sec(1760000090) - 1;
    assert_ok(lti_claims_launch(&launch, claims, &late, p, &err), err);
    late.now = apr_time_from_sec(1760000090);
    assert_code(lti_claims_launch(&launch, claims, &late, p, &err), err, LTI_E_EXPIRED);
    late.skew_seconds = 0;
    late.now = apr_time_from_sec(1760000030) - 1;
    assert_ok(lti_claims_launch(&launch, claims, &late, p, &err), err);
    late.now += 1;
    assert_code(lti_claims_launch(&launch, claims, &late, p, &err), err, LTI_E_EXPIRED);
}

static void several_audiences_with_azp(void **state) /* SPEC C-04: the same tool twice is no stranger */
{
    apr_pool_t *p = *state;
    json_t *claims = patched(p, "aud", "[\"tool-77\",\"tool-77\"]");
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};

    json_object_set_new(claims, "azp", json_string("tool-77"));
    assert_ok(lti_claims_launch(&launch, claims, &expected, p, &err), err);
}

static void anonymous_launches_have_no_person(void **state) /* SPEC C-12, C-13 */
{
    apr_pool_t *p = *state;
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};
    lti_expect_t open = expected;

    open.allow_anonymous = 1;
    assert_ok(lti_claims_launch(&launch, patched(p, "sub", NULL), &open, p, &err), err);
    assert_null(launch->user_id);
    assert_null(launch->name);
    assert_null(launch->given_name);
    assert_null(launch->family_name);
    assert_null(launch->email);
    assert_null(launch->sourcedid);
    assert_string_equal(launch->context_id, "c-42");
    launch = NULL;
    assert_code(lti_claims_launch(&launch, patched(p, "sub", "\"\""), &open, p, &err), err, LTI_E_CLAIM_INVALID);
}

static void deployments_are_judged_last(void **state) /* SPEC K-04, K-05 */
{
    apr_pool_t *p = *state;
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};
    lti_platform_t listing = platform;
    lti_expect_t expect = expected;

    listing.deployments = LTI_DEPLOYMENT_LIST;
    listing.deployment_ids = apr_array_make(p, 1, sizeof(const char *));
    APR_ARRAY_PUSH(listing.deployment_ids, const char *) = "d-4";
    expect.platform = &listing;
    assert_code(lti_claims_launch(&launch, patched(p, NULL, NULL), &expect, p, &err), err, LTI_E_DEPLOYMENT_UNKNOWN);
    assert_non_null(strstr(err.text, "d-3"));
    /* A launch with another fault must not reach the administrator's list. */
    assert_code(lti_claims_launch(&launch, patched(p, CLAIM "roles", NULL), &expect, p, &err), err, LTI_E_CLAIM_MISSING);
    APR_ARRAY_PUSH(listing.deployment_ids, const char *) = "d-3";
    assert_ok(lti_claims_launch(&launch, patched(p, NULL, NULL), &expect, p, &err), err);
    /* Under `ask` the database knows, which is not looked at here. */
    listing.deployments = LTI_DEPLOYMENT_ASK;
    listing.deployment_ids = NULL;
    assert_ok(lti_claims_launch(&launch, patched(p, NULL, NULL), &expect, p, &err), err);

    expect = expected;
    expect.deployment_id = NULL;
    assert_ok(lti_claims_launch(&launch, patched(p, CLAIM "deployment_id", "\"other\""), &expect, p, &err), err);
    assert_string_equal(launch->deployment_id, "other");
}

static void roles_of_valid_launches(void **state) /* SPEC section 10: certification's good launches */
{
    static const struct {
        const char *patch;
        lti_role_t role;
        unsigned flags;
        const char *roles;
    } rows[] = {
        {"[\"" LIS "membership#Instructor\"]", LTI_ROLE_INSTRUCTOR, 0, LIS "membership#Instructor"},
        {"[\"" LIS "membership#Learner\",\"" LIS "institution/person#Student\"]", LTI_ROLE_LEARNER, 0,
         LIS "institution/person#Student " LIS "membership#Learner"},
        {"[\"Instructor\"]", LTI_ROLE_INSTRUCTOR, 0, LIS "membership#Instructor"},
        {"[\"Learner\"]", LTI_ROLE_LEARNER, 0, LIS "membership#Learner"},
        {"[\"" LIS "uknownrole/unknown#Helper\"]", LTI_ROLE_NONE, LTI_ROLE_FLAG_UNKNOWN, LIS "uknownrole/unknown#Helper"},
        {"[]", LTI_ROLE_NONE, 0, ""},
        {"[7,null,\"Learner\",{}]", LTI_ROLE_LEARNER, 0, LIS "membership#Learner"},
        {"[\"a b\",\"Learner\"]", LTI_ROLE_LEARNER, 0, LIS "membership#Learner"},
        {"[\"Learner\",\"http://purl.imsglobal.org/vocab/lti/system/person#TestUser\"]", LTI_ROLE_LEARNER, LTI_ROLE_FLAG_TEST_USER,
         LIS "membership#Learner http://purl.imsglobal.org/vocab/lti/system/person#TestUser"},
    };
    apr_pool_t *p = *state;
    lti_expect_t strict = expected;
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        launch = launched(p, CLAIM "roles", rows[i].patch);
        assert_int_equal(launch->role, rows[i].role);
        assert_int_equal(launch->role_flags, rows[i].flags);
        assert_string_equal(launch->roles, rows[i].roles);
    }
    strict.role_options = LTI_ROLE_STRICT;
    assert_ok(lti_claims_launch(&launch, patched(p, CLAIM "roles", "[\"Instructor\"]"), &strict, p, &err), err);
    assert_int_equal(launch->role, LTI_ROLE_NONE);
    assert_int_equal(launch->role_flags, LTI_ROLE_FLAG_UNKNOWN);
}

typedef struct optional_t {
    const char *rule, *name, *patch;
    size_t field;
    const char *text; /* what the field must be; NULL: dropped */
} optional_t;

#define FIELD(name) offsetof(lti_launch_t, name)
#define ONE_KIB X16("xxxxxxxxxxxxxxxx") X16("xxxxxxxxxxxxxxxx") X16("xxxxxxxxxxxxxxxx") X16("xxxxxxxxxxxxxxxx")

static const optional_t optionals[] = {
    {"C-14", "name", NULL, FIELD(name), NULL},
    {"C-14", "name", "7", FIELD(name), NULL},
    {"C-14", "name", "\"\"", FIELD(name), NULL},
    {"C-16", "name", "null", FIELD(name), NULL},
    {"S-21", "name", "\"A\\r\\nX-Role: b\"", FIELD(name), "A  X-Role: b"},
    {"S-21", "name", "\"A\\u0085B\\u007fC\\u00a0D\"", FIELD(name),
     "A B C\xc2\xa0"
     "D"},
    {"N-36", "name", "\"" ONE_KIB "\"", FIELD(name), ONE_KIB},
    {"N-36", "name", "\"" ONE_KIB "x\"", FIELD(name), NULL},
    {"C-14", "given_name", "[]", FIELD(given_name), NULL},
    {"C-14", "family_name", "{}", FIELD(family_name), NULL},
    {"C-14", "email", "\"a\\nb@example.org\"", FIELD(email), NULL},
    {"C-14", "email", "true", FIELD(email), NULL},
    {"K-17", CLAIM "lis", "\"x\"", FIELD(sourcedid), NULL},
    {"K-17", CLAIM "lis", "{\"person_sourcedid\":\"\"}", FIELD(sourcedid), NULL},
    {"K-17", CLAIM "lis", "{\"person_sourcedid\":7}", FIELD(sourcedid), NULL},
    {"K-17", CLAIM "lis", "{\"person_sourcedid\":\"a\\u0001\"}", FIELD(sourcedid), NULL},
    {"K-16", CLAIM "launch_presentation", NULL, FIELD(return_url), NULL},
    {"K-16", CLAIM "launch_presentation", NULL, FIELD(locale), "en"},
    {"K-16", CLAIM "launch_presentation", "7", FIELD(return_url), NULL},
    {"K-16", CLAIM "launch_presentation", "{\"return_url\":\"http://lms.example.org/\"}", FIELD(return_url), NULL},
    {"K-16", CLAIM "launch_presentation", "{\"return_url\":\"javascript:alert(1)\"}", FIELD(return_url), NULL},
    {"K-16", CLAIM "launch_presentation", "{\"return_url\":\"http://localhost:8080/r\"}", FIELD(return_url),
     "http://localhost:8080/r"},
    {"K-16", CLAIM "launch_presentation", "{\"locale\":\"<b>\"}", FIELD(locale), "en"},
    {"K-16", CLAIM "launch_presentation", "{\"return_url\":7,\"locale\":\"fr\"}", FIELD(locale), "fr"},
    {"K-09", CLAIM "resource_link", "{\"id\":\"rl\",\"title\":7}", FIELD(resource_link_title), NULL},
    {"K-09", CLAIM "resource_link", "{\"id\":\"rl\",\"title\":\"a\\tb\"}", FIELD(resource_link_title), "a b"},
    {"K-13", CLAIM "context", NULL, FIELD(context_id), NULL},
    {"K-13", CLAIM "context", NULL, FIELD(course_key), NULL},
    {"K-13", CLAIM "context", NULL, FIELD(context_title), NULL},
    {"K-13", CLAIM "context", NULL, FIELD(nrps_url), NULL},
    {"K-13", CLAIM "context", "{\"id\":\"c\",\"type\":\"CourseSection\"}", FIELD(context_type), LIS "course#CourseSection"},
    {"4.6", CLAIM "context", "{\"id\":\"c\",\"type\":[\"CourseOffering\"]}", FIELD(context_type), LIS "course#CourseOffering"},
    {"4.6", CLAIM "context", "{\"id\":\"c\",\"type\":[\"urn:lti:context-type:ims/lis/Group\"]}", FIELD(context_type),
     LIS "course#Group"},
    {"4.6", CLAIM "context", "{\"id\":\"c\",\"type\":[\"Account\",7,\"a b\",\"CourseTemplate\"]}", FIELD(context_type),
     "Account " LIS "course#CourseTemplate"},
    {"4.6", CLAIM "context", "{\"id\":\"c\",\"type\":7,\"label\":[]}", FIELD(context_type), NULL},
    {"K-13", CLAIM "context", "{\"id\":\"c\",\"label\":[]}", FIELD(context_label), NULL},
    {"K-25", NRPS, NULL, FIELD(nrps_url), NULL},
    {"K-25", NRPS, "\"https://lms.example.org/nrps\"", FIELD(nrps_url), NULL},
    {"N-01", NRPS, "{\"context_memberships_url\":7}", FIELD(nrps_url), NULL},
    {"N-01", NRPS, "{\"context_memberships_url\":\"http://lms.example.org/n\"}", FIELD(nrps_url), NULL},
    {"N-01", NRPS, "{\"context_memberships_url\":\"/n\"}", FIELD(nrps_url), NULL},
    {"N-01", NRPS, "{\"context_memberships_url\":\"https://u:p@lms.example.org/n\"}", FIELD(nrps_url), NULL},
    {"N-01", NRPS, "{\"context_memberships_url\":\"https://lms.example.org/" ONE_KIB ONE_KIB "\"}", FIELD(nrps_url), NULL},
    {"N-01", NRPS, "{\"context_memberships_url\":\"http://127.0.0.1:80/n\"}", FIELD(nrps_url), "http://127.0.0.1:80/n"},
    {"N-02", NRPS, "{\"context_memberships_url\":\"https://l.org/n\"}", FIELD(nrps_url), "https://l.org/n"},
    {"N-02", NRPS, "{\"context_memberships_url\":\"https://l.org/n\",\"service_versions\":\"2.0\"}", FIELD(nrps_url),
     "https://l.org/n"},
    {"N-02", NRPS, "{\"context_memberships_url\":\"https://l.org/n\",\"service_version\":[\"1.0\",\"2.0\"]}", FIELD(nrps_url),
     "https://l.org/n"},
    {"N-02", NRPS, "{\"context_memberships_url\":\"https://l.org/n\",\"service_versions\":[\"1.0\"]}", FIELD(nrps_url), NULL},
    {"N-02", NRPS, "{\"context_memberships_url\":\"https://l.org/n\",\"service_versions\":\"3.0\"}", FIELD(nrps_url), NULL},
    {"N-02", NRPS, "{\"context_memberships_url\":\"https://l.org/n\",\"service_versions\":[2.0]}", FIELD(nrps_url), NULL},
};

static void optional_claims_are_taken_mended_or_dropped(void **state)
{
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof optionals / sizeof *optionals; i++) {
        const lti_launch_t *launch = launched(p, optionals[i].name, optionals[i].patch);
        const char *text = *(const char *const *)((const char *)launch + optionals[i].field);
        if ((text == NULL) != (optionals[i].text == NULL) || (text != NULL && strcmp(text, optionals[i].text) != 0))
            fail_msg("%s, %s = %.60s: %s", optionals[i].rule, optionals[i].name, optionals[i].patch,
                     text == NULL ? "absent" : text);
    }
}

/* SPEC K-14, K-15, K-20 to K-22, K-26 to K-29: what the module does not use it does not judge, whatever its shape. */
static void claims_that_are_not_used_hurt_nobody(void **state)
{
    static const char *const names[] = {
        CLAIM "tool_platform",
        CLAIM "role_scope_mentor",
        CLAIM "ext",
        CLAIM "lti11_legacy_user_id",
        CLAIM "platformnotificationservice",
        CLAIM "for_user",
        GRADES,
        DEEP_LINKING,
        "https://purl.imsglobal.org/spec/lti-bo/claim/basicoutcome",
        "http://www.brightspace.com",
        "https://www.instructure.com/placement",
    };
    static const char *const values[] = {
        "null", "7", "\"x\"", "[]", "{}", "[{\"a\":[1]}]", "{\"guid\":7,\"scope\":{\"user_id\":null}}"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            const lti_launch_t *launch = launched(*state, names[i], values[k]);

            assert_string_equal(launch->user_id, "u-1001");
            assert_int_equal(launch->role, LTI_ROLE_TEACHING_ASSISTANT);
            assert_null(launch->for_user_id);
            assert_null(launch->remarks);
            assert_null(launch->nrps_fault);
        }
    }
}

static void the_groups_service_is_taken_or_left_out(void **state) /* SPEC K-27 */
{
    static const struct {
        const char *value, *url;
        int remarked;
    } rows[] = {
        {"null", NULL, 0},
        {"{\"context_groups_url\":\"https://lms.example.org/g/1\",\"service_versions\":[\"1.0\"]}", "https://lms.example.org/g/1", 0},
        {"{\"context_groups_url\":\"http://localhost:8090/g\"}", "http://localhost:8090/g", 0},
        {"{\"context_groups_url\":\"http://lms.example.org/g\"}", NULL, 1},
        {"{\"context_groups_url\":7}", NULL, 1},
        {"{}", NULL, 1},
        {"[]", NULL, 1},
        {"\"x\"", NULL, 1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const lti_launch_t *launch = launched(*state, "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice", rows[i].value);

        if (rows[i].url == NULL)
            assert_null(launch->groups_url);
        else
            assert_string_equal(launch->groups_url, rows[i].url);
        assert_int_equal(launch->remarks != NULL, rows[i].remarked);
    }
}

static void section_claims_leave_the_custom_parameters(void **state)
{
    static const char *const custom = "{\"sections\":\"[\\\"Lab, Monday\\\",\\\"A\\\"]\",\"teams\":12,\"color\":\"blue\"}";
    lti_platform_t named = platform;
    lti_expect_t expect = expected;
    lti_err_t err = {.code = LTI_OK};
    lti_launch_t *launch;

    named.section_claim = "sections";
    named.group_claim = "teams";
    expect.platform = &named;
    assert_ok(lti_claims_launch(&launch, patched(*state, CLAIM "custom", custom), &expect, *state, &err), err);
    assert_string_equal(launch->sections, "A Lab,%20Monday");
    assert_string_equal(launch->groups, "12");
    assert_null(apr_table_get(launch->custom, "sections"));
    assert_null(apr_table_get(launch->custom, "teams"));
    assert_string_equal(apr_table_get(launch->custom, "color"), "blue");
    assert_ok(lti_claims_launch(&launch, patched(*state, CLAIM "custom", "{\"sections\":\"$com.instructure.User.sectionNames\"}"), &expect, *state, &err),
              err);
    assert_null(launch->sections);
    /* Without the directive it is a parameter like any other. */
    launch = launched(*state, CLAIM "custom", "{\"sections\":\"A,B\"}");
    assert_null(launch->sections);
    assert_string_equal(apr_table_get(launch->custom, "sections"), "A,B");
}

/* `count` parameters of `length` bytes each. */
static const char *many_customs(int count, int length, apr_pool_t *p)
{
    const char *value = apr_psprintf(p, "%0*d", length, 0), *text = "{";

    for (int i = 0; i < count; i++)
        text = apr_psprintf(p, "%s%s\"k%03d\":\"%s\"", text, i == 0 ? "" : ",", i, value);
    return apr_pstrcat(p, text, "}", NULL);
}

/* Each with the name of what was left out or mended, never with a person's data. */
static void what_is_left_out_is_told(void **state)
{
    static const struct {
        const char *rule, *name, *patch, *told; /* NULL: nothing */
    } rows[] = {
        {"C-14", "name", "7", "name is no string"},
        {"C-14", "name", "\"\"", NULL},
        {"C-14", "email", "[\"ann@example.org\"]", "email is no string"},
        {"C-14", "email", "\"ann\\n@example.org\"", "email has control characters"},
        {"C-14", "given_name", "\"Ann\\tB\"", "given_name had control characters"},
        {"C-16", "name", "null", NULL},
        {"C-16", CLAIM "lis", "null", NULL},
        {"K-10", CLAIM "roles", "[7,\"Learner\"]", "roles holds what is no string"},
        {"K-10", CLAIM "roles", "[]", NULL},
        {"K-11", CLAIM "roles", "[\"https://vendor.example/Emperor\"]", "the role \"https://vendor.example/Emperor\" is unknown"},
        {"R-01", CLAIM "roles", "[\"Learner\",\"Student\"]", "the role \"Student\" is unknown and gives no rights"},
        {"R-02", CLAIM "roles", "[\"Learner\"]", NULL},
        {"K-16", CLAIM "launch_presentation", "7", "launch_presentation is no object"},
        {"K-16", CLAIM "launch_presentation", "{\"return_url\":\"http://lms.example.org/\"}",
         "launch_presentation.return_url is no https URL"},
        {"K-16", CLAIM "launch_presentation", "{\"return_url\":7}", "launch_presentation.return_url is no https URL"},
        {"K-16", CLAIM "launch_presentation", "{\"locale\":\"<b>\"}", "launch_presentation.locale is no language tag"},
        {"K-16", CLAIM "launch_presentation", "{\"width\":{},\"height\":\"x\",\"document_target\":7}", NULL},
        {"K-17", CLAIM "lis", "\"x\"", "lis is no object"},
        {"K-17", CLAIM "lis", "{\"person_sourcedid\":7}", "lis.person_sourcedid is no string"},
        {"K-09", CLAIM "resource_link", "{\"id\":\"rl\",\"title\":7}", "resource_link.title is no string"},
        {"K-13", CLAIM "context", "{\"id\":\"c\",\"label\":[]}", "context.label is no string"},
        {"K-18", CLAIM "custom", "[]", "custom is no object"},
        {"K-18", CLAIM "custom", "{\"n\":5}", "custom.n is no string, but was taken as one"},
        {"K-18", CLAIM "custom", "{\"o\":{\"a\":1}}", "custom.o is no text"},
        {"K-18", CLAIM "custom", "{\"z\":null}", "custom.z is no text"},
        {"K-19", CLAIM "custom", "{\"due\":\"$ResourceLink.due\"}", NULL},
    };
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *told = launched(p, rows[i].name, rows[i].patch)->remarks;

        if ((told == NULL) != (rows[i].told == NULL) || (told != NULL && strstr(told, rows[i].told) == NULL))
            fail_msg("%s, %s: %s", rows[i].rule, rows[i].patch, told == NULL ? "nothing" : told);
    }
    /* SPEC K-12, S-21: by their number; S-22: without their values. */
    assert_non_null(strstr(launched(p, CLAIM "custom", many_customs(300, 10, p))->remarks, "44 custom parameters"));
    assert_null(strstr(launched(p, "email", "\"ann\\n@example.org\"")->remarks, "ann"));
}

static void many_remarks_are_cut(void **state)
{
    apr_pool_t *p = *state;
    const char *text = "{";

    for (int i = 0; i < 400; i++)
        text = apr_psprintf(p, "%s%s\"parameter-%03d\":7", text, i == 0 ? "" : ",", i);
    text = launched(p, CLAIM "custom", apr_pstrcat(p, text, "}", NULL))->remarks;
    assert_non_null(strstr(text, "custom.parameter-000"));
    assert_true(strlen(text) < 600);
}

static void many_roles_are_told_by_their_number(void **state) /* SPEC K-12 */
{
    apr_pool_t *p = *state;
    const char *text = "[\"Learner\"";

    for (int i = 0; i < 200; i++)
        text = apr_pstrcat(p, text, ",\"Learner\"", NULL);
    assert_non_null(
        strstr(launched(p, CLAIM "roles", apr_pstrcat(p, text, "]", NULL))->remarks, "roles has 201 entries, 128 are taken"));
}

static void a_roster_service_that_cannot_be_used_is_told(void **state) /* SPEC K-25 */
{
    static const struct {
        const char *patch, *told;
    } rows[] = {
        {"7", "missing or no string"},
        {"{}", "missing or no string"},
        {"{\"context_memberships_url\":\"file:///etc/passwd\"}", "context_memberships_url: "},
        {"{\"context_memberships_url\":\"http://lms.example.org/n\"}", "https"},
        {"{\"context_memberships_url\":\"https://lms.example.org/\\u0007\"}", "control characters"},
        {"{\"context_memberships_url\":\"https://lms.example.org/n\",\"service_versions\":[\"1.0\"]}", "2.0"},
        {"{\"context_memberships_url\":\"https://lms.example.org/n\"}", NULL},
        {"null", NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const lti_launch_t *launch = launched(*state, NRPS, rows[i].patch);

        if (rows[i].told == NULL)
            assert_null(launch->nrps_fault);
        else {
            assert_null(launch->nrps_url);
            assert_non_null(strstr(launch->nrps_fault, rows[i].told));
        }
    }
}

/* SPEC section 10: the log line names what is wrong, and the rule. */
static void refusals_name_the_claim_and_the_rule(void **state)
{
    static const struct {
        const char *name, *patch, *said;
    } rows[] = {
        {"iss", NULL, "the token has no iss (SPEC C-01)"},
        {"aud", "7", "aud is neither a string nor an array (SPEC C-02)"},
        {"exp", "\"soon\"", "exp is no number (SPEC C-06)"},
        {"exp", "1760000000", "exp is not after iat (SPEC C-08)"},
        {"sub", "\"\"", "sub is empty (SPEC C-11)"},
        {CLAIM "version", NULL, "the token has no version (SPEC K-02)"},
        {CLAIM "roles", NULL, "the token has no roles (SPEC K-10)"},
        {CLAIM "resource_link", "{}", "the token has no resource_link.id (SPEC K-09)"},
        {CLAIM "context", "{\"id\":7}", "context.id is no string (SPEC K-13)"},
        {CLAIM "deployment_id", "\"d-4\"", "the deployment is \"d-4\", the login said \"d-3\" (SPEC K-05)"},
        {CLAIM "target_link_uri", "\"https://tool.example.net/b\"",
         "target_link_uri is https://tool.example.net/b, the login said https://tool.example.net/app/ (SPEC K-07)"},
    };
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lti_launch_t *launch = NULL;
        lti_err_t err = {.code = LTI_OK};

        assert_int_not_equal(lti_claims_launch(&launch, patched(p, rows[i].name, rows[i].patch), &expected, p, &err), APR_SUCCESS);
        assert_string_equal(err.text, rows[i].said);
    }
}

static void custom_parameters(void **state) /* SPEC K-18, K-19 */
{
    apr_pool_t *p = *state;
    const apr_table_t *custom =
        launched(
            p, CLAIM "custom",
            "{\"empty\":\"\",\"int\":42,\"real\":0.1,\"yes\":true,\"no\":false,\"null\":null,\"list\":[1],\"object\":{},"
            "\"variable\":\"$Context.id\",\"price\":\"$5\",\"dollar\":\"$\",\"lines\":\"a\\nb\",\"\":\"x\",\"b\\u0001d\":\"x\","
            "\"name\":\"\\u00e4\"}")
            ->custom;

    assert_string_equal(apr_table_get(custom, "empty"), "");
    assert_string_equal(apr_table_get(custom, "int"), "42");
    assert_string_equal(apr_table_get(custom, "real"), "0.1");
    assert_string_equal(apr_table_get(custom, "yes"), "true");
    assert_string_equal(apr_table_get(custom, "no"), "false");
    assert_string_equal(apr_table_get(custom, "price"), "$5");
    assert_string_equal(apr_table_get(custom, "dollar"), "$");
    assert_string_equal(apr_table_get(custom, "lines"), "a b");
    assert_string_equal(apr_table_get(custom, "name"), "\xc3\xa4");
    assert_int_equal(apr_table_elts(custom)->nelts, 9);
    assert_null(launched(p, CLAIM "custom", NULL)->custom);
    assert_null(launched(p, CLAIM "custom", "{}")->custom);
    assert_null(launched(p, CLAIM "custom", "[\"a\"]")->custom);
    assert_null(launched(p, CLAIM "custom", "{\"a\":\"$User.id\"}")->custom);
}

static void custom_parameters_have_limits(void **state) /* SPEC S-21: an environment that is too large lets no program start */
{
    apr_pool_t *p = *state;

    assert_int_equal(apr_table_elts(launched(p, CLAIM "custom", many_customs(256, 10, p))->custom)->nelts, 256);
    assert_int_equal(apr_table_elts(launched(p, CLAIM "custom", many_customs(300, 10, p))->custom)->nelts, 256);
    assert_int_equal(apr_table_elts(launched(p, CLAIM "custom", many_customs(1, 8192, p))->custom)->nelts, 1);
    assert_null(launched(p, CLAIM "custom", many_customs(1, 8193, p))->custom);
    assert_int_equal(apr_table_elts(launched(p, CLAIM "custom", many_customs(5, 8000, p))->custom)->nelts, 4);
    assert_null(launched(p, CLAIM "custom", apr_psprintf(p, "{\"%0256d\":\"x\"}", 0))->custom);
}

#define SETTINGS(url, types, targets) \
    "{\"deep_link_return_url\":" url ",\"accept_types\":" types ",\"accept_presentation_document_targets\":" targets "}"
#define LINK_URL "\"https://lms.example.org/dl\""

static void deep_linking_requests(void **state) /* SPEC K-30, M-04, M-05 */
{
    static const struct {
        const char *settings;
        lti_code_t code;
    } rows[] = {
        {SETTINGS(LINK_URL, "[\"link\"]", "[\"iframe\"]"), LTI_OK},
        {NULL, MISSING},
        {"[]", INVALID},
        {SETTINGS("null", "[]", "[]"), MISSING},
        {SETTINGS("7", "[]", "[]"), INVALID},
        {SETTINGS("\"http://lms.example.org/dl\"", "[]", "[]"), INVALID},
        {SETTINGS(LINK_URL, "null", "[]"), MISSING},
        {SETTINGS(LINK_URL, "\"link\"", "[]"), INVALID},
        {SETTINGS(LINK_URL, "[]", "null"), MISSING},
        {SETTINGS(LINK_URL, "[]", "{}"), INVALID},
        {"{\"deep_link_return_url\":" LINK_URL ",\"accept_types\":[],\"accept_presentation_document_targets\":[],\"data\":7}",
         INVALID},
        {"{\"deep_link_return_url\":\"https://lms.example.org/\\u007f\",\"accept_types\":[],"
         "\"accept_presentation_document_targets\":[]}",
         INVALID},
    };
    apr_pool_t *p = *state;
    lti_expect_t expect = expected;

    expect.message_types = LTI_MESSAGE_DEEP_LINKING;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *claims = patched(p, CLAIM "message_type", "\"LtiDeepLinkingRequest\"");
        lti_launch_t *launch = NULL;
        lti_err_t err = {.code = LTI_OK};
        apr_status_t rv;
        if (rows[i].settings != NULL)
            json_object_set_new(claims, DEEP_LINKING, value(rows[i].settings));
        rv = lti_claims_launch(&launch, claims, &expect, p, &err);
        if (rows[i].code != LTI_OK) {
            assert_code(rv, err, rows[i].code);
            continue;
        }
        assert_ok(rv, err);
        assert_null(launch->resource_link_id);
        assert_null(launch->resource_link_title);
        json_object_del(claims, CLAIM "roles");
        json_object_del(claims, CLAIM "resource_link");
        assert_ok(lti_claims_launch(&launch, claims, &expect, p, &err), err);
        assert_string_equal(launch->roles, "");
        assert_int_equal(launch->role, LTI_ROLE_NONE);
    }
}

static lti_launch_t *deep_linked(apr_pool_t *p, const json_t *settings, lti_err_t *err)
{
    lti_expect_t expect = expected;
    lti_launch_t *launch = NULL;
    json_t *claims = patched(p, CLAIM "message_type", "\"LtiDeepLinkingRequest\"");

    expect.message_types = LTI_MESSAGE_DEEP_LINKING;
    json_object_set(claims, DEEP_LINKING, (json_t *)(uintptr_t)settings);
    return lti_claims_launch(&launch, claims, &expect, p, err) == APR_SUCCESS ? launch : NULL;
}

static void what_deep_linking_tells_the_application(void **state) /* SPEC M-04 */
{
    apr_pool_t *p = *state;
    lti_err_t err = {.code = LTI_OK};
    json_t *settings = lti_json_own(value("{\"deep_link_return_url\":" LINK_URL ",\"accept_types\":[\"link\",7,\"\",\"two words\","
                                          "\"ltiResourceLink\"],\"accept_presentation_document_targets\":[\"iframe\",\"window\"],"
                                          "\"accept_media_types\":\"image/*,text/html\",\"accept_multiple\":true,"
                                          "\"accept_lineitem\":\"false\",\"auto_create\":7,\"data\":\"a\\nb\"}"),
                                    p);
    const lti_launch_t *launch = deep_linked(p, settings, &err);
    char *long_data = apr_pcalloc(p, 8194);

    assert_non_null(launch);
    assert_string_equal(launch->deep_link_return_url, "https://lms.example.org/dl");
    assert_string_equal(launch->deep_link_accept_types, "link ltiResourceLink");
    assert_string_equal(launch->deep_link_accept_targets, "iframe window");
    assert_string_equal(launch->deep_link_accept_media_types, "image/*,text/html");
    assert_string_equal(launch->deep_link_accept_multiple, "true");
    assert_string_equal(launch->deep_link_accept_lineitem, "false");
    assert_null(launch->deep_link_auto_create);
    assert_string_equal(launch->deep_link_data, "a\nb"); /* letter by letter */
    assert_null(launch->for_user_id);
    /* Data that could not be given back ends the launch before the person works for nothing. */
    memset(long_data, 'x', 8192);
    json_object_set_new(settings, "data", json_string(long_data));
    assert_string_equal(deep_linked(p, settings, &err)->deep_link_data, long_data);
    long_data[8192] = 'x';
    json_object_set_new(settings, "data", json_string(long_data));
    assert_null(deep_linked(p, settings, &err));
    assert_int_equal(err.code, LTI_E_CLAIM_INVALID);
    /* Empty is not absent: it has to be given back too. */
    json_object_set_new(settings, "data", json_string(""));
    assert_string_equal(deep_linked(p, settings, &err)->deep_link_data, "");
    json_object_set_new(settings, "data", json_null());
    assert_null(deep_linked(p, settings, &err)->deep_link_data);
}

static void each_type_of_message_by_its_exact_name(void **state) /* SPEC M-01 to M-03 */
{
    static const char *const refused[] = {
        "basic-lti-launch-request", "ltiresourcelinkrequest",     "LTIRESOURCELINKREQUEST",      "LtiResourceLinkRequest ",
        "LtiDeepLinkingResponse",   "LtiStartProctoring",         "LtiDataPrivacyLaunchRequest", "LtiContextLaunchRequest",
        "LtiHelloWorldNotice",      "ContentItemSelectionRequest", "",
    };
    apr_pool_t *p = *state;
    lti_expect_t expect = expected;
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};

    expect.message_types = LTI_MESSAGE_RESOURCE_LINK | LTI_MESSAGE_SUBMISSION_REVIEW | LTI_MESSAGE_DEEP_LINKING;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_code(lti_claims_launch(&launch, patched(p, CLAIM "message_type", apr_psprintf(p, "\"%s\"", refused[i])), &expect, p,
                                      &err),
                    err, LTI_E_MESSAGE_TYPE);
    /* Known, but switched off. */
    expect.message_types = LTI_MESSAGE_DEEP_LINKING;
    assert_code(lti_claims_launch(&launch, patched(p, NULL, NULL), &expect, p, &err), err, LTI_E_MESSAGE_TYPE);
    assert_null(launch);
}

static const lti_legacy_secret_t legacy_secret = {.consumer_key = "179248902", .secret = "my-lti11-secret"};
static const lti_legacy_secret_t other_secret = {.consumer_key = "other", .secret = "my-lti11-secret"};

/* The good claims with those that the golden value of the migration guide signs. */
static lti_launch_t *migrated(apr_pool_t *p, const char *lti1p1, int with_secret, int anonymous)
{
    static lti_platform_t lms = {
        .name = "lms", .issuer = "https://lmsvendor.com", .client_id = "PM48OJSfGDTAzAo", .deployments = LTI_DEPLOYMENT_ANY};
    json_t *claims = patched(p, CLAIM "lti1p1", lti1p1);
    lti_expect_t expect = expected;
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};
    apr_array_header_t *secrets = apr_array_make(p, 2, sizeof(const lti_legacy_secret_t *));

    APR_ARRAY_PUSH(secrets, const lti_legacy_secret_t *) = &other_secret;
    if (with_secret)
        APR_ARRAY_PUSH(secrets, const lti_legacy_secret_t *) = &legacy_secret;
    expect.legacy_secrets = secrets;
    expect.platform = &lms;
    expect.nonce = "172we8671fd8z";
    expect.deployment_id = "689302";
    expect.now = apr_time_from_sec(1551290800);
    expect.allow_anonymous = anonymous;
    json_object_set_new(claims, "iss", json_string(lms.issuer));
    json_object_set_new(claims, "aud", json_string(lms.client_id));
    json_object_set_new(claims, "nonce", json_string(expect.nonce));
    json_object_set_new(claims, "iat", json_integer(1551290796));
    json_object_set_new(claims, "exp", json_integer(1551290856));
    json_object_set_new(claims, CLAIM "deployment_id", json_string("689302"));
    if (anonymous)
        json_object_del(claims, "sub");
    assert_ok(lti_claims_launch(&launch, claims, &expect, p, &err), err); /* SPEC H-03: whatever it says, the launch goes on */
    return launch;
}

#define GOLDEN "lWd54kFo5qU7xshAna6v8BwoBm6tmUjc6GTax6+12ps="
#define MIGRATION(key, sign, more) "{\"oauth_consumer_key\":" key ",\"oauth_consumer_key_sign\":" sign more "}"

static void names_of_lti_1_1_with_their_signature(void **state) /* SPEC H-01, H-02 */
{
    apr_pool_t *p = *state;
    const lti_launch_t *launch =
        migrated(p,
                 MIGRATION("\"179248902\"", "\"" GOLDEN "\"",
                           ",\"user_id\":\"34212\",\"context_id\":\"3911\",\"resource_link_id\":\"4fe1\""),
                 1, 0);

    assert_null(launch->legacy_fault);
    assert_string_equal(launch->legacy_consumer_key, "179248902");
    assert_string_equal(launch->legacy_user_id, "34212");
    assert_string_equal(launch->legacy_context_id, "3911");
    assert_string_equal(launch->legacy_resource_link_id, "4fe1");
    /* Names that did not change are not told twice. */
    launch = migrated(p, MIGRATION("\"179248902\"", "\"" GOLDEN "\"", ",\"user_id\":\"a\\nb\",\"context_id\":7"), 1, 0);
    assert_string_equal(launch->legacy_consumer_key, "179248902");
    assert_null(launch->legacy_user_id);
    assert_null(launch->legacy_context_id);
    assert_null(launch->legacy_resource_link_id);
    /* Nobody becomes somebody. */
    launch = migrated(p, MIGRATION("\"179248902\"", "\"" GOLDEN "\"", ",\"user_id\":\"34212\""), 1, 1);
    assert_string_equal(launch->legacy_consumer_key, "179248902");
    assert_null(launch->legacy_user_id);
}

static void names_of_lti_1_1_without_a_good_signature(void **state) /* SPEC H-03 */
{
    static const struct {
        const char *claim;
        int with_secret, told;
    } rows[] = {
        {MIGRATION("\"179248902\"", "\"" GOLDEN "\"", ",\"user_id\":\"34212\""), 0, 1},
        {MIGRATION("\"other\"", "\"" GOLDEN "\"", ",\"user_id\":\"34212\""), 1, 1},
        {MIGRATION("\"179248902\"", "\"mWd54kFo5qU7xshAna6v8BwoBm6tmUjc6GTax6+12ps=\"", ",\"user_id\":\"34212\""), 1, 1},
        {MIGRATION("\"179248902\"", "\"lWd54kFo5qU7xshAna6v8BwoBm6tmUjc6GTax6-12ps=\"", ",\"user_id\":\"34212\""), 1, 1},
        {MIGRATION("\"179248902\"", "\"lWd54kFo5qU7xshAna6v8BwoBm6tmUjc6GTax6+12ps\"", ",\"user_id\":\"34212\""), 1, 1},
        {MIGRATION("\"179248902\"", "\"\"", ",\"user_id\":\"34212\""), 1, 1},
        {MIGRATION("\"179248902\"", "null", ",\"user_id\":\"34212\""), 1, 1},
        {MIGRATION("null", "\"" GOLDEN "\"", ",\"user_id\":\"34212\""), 1, 1},
        {"{\"user_id\":\"34212\"}", 1, 1},
        {"\"34212\"", 1, 1},
        {"null", 1, 0},
        {NULL, 1, 0},
    };
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const lti_launch_t *launch = migrated(p, rows[i].claim, rows[i].with_secret, 0);

        assert_null(launch->legacy_consumer_key);
        assert_null(launch->legacy_user_id);
        assert_int_equal(launch->legacy_fault != NULL, rows[i].told);
    }
    /* Where no secret is configured nobody asked. */
    assert_null(launched(p, CLAIM "lti1p1", "{\"user_id\":\"34212\"}")->legacy_fault);
}

static void return_urls_that_may_be_offered(void **state) /* SPEC K-16, K-31 */
{
    static const struct {
        const char *presentation, *url;
    } rows[] = {
        {"{\"return_url\":\"https://lms.example.org/return?x=1\"}", "https://lms.example.org/return?x=1"},
        {"{\"return_url\":\"http://localhost:8090/course\"}", "http://localhost:8090/course"},
        {"{\"return_url\":\"http://lms.example.org/return\"}", NULL},
        {"{\"return_url\":\"javascript:alert(1)\"}", NULL},
        {"{\"return_url\":\"https://lms.example.org/\\u0007\"}", NULL},
        {"{\"return_url\":7}", NULL},
        {"{}", NULL},
        {"[]", NULL},
        {"null", NULL},
    };
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *url = lti_claims_return_url(patched(p, CLAIM "launch_presentation", rows[i].presentation), p);

        if (rows[i].url == NULL)
            assert_null(url);
        else
            assert_string_equal(url, rows[i].url);
    }
}

static void submission_reviews(void **state) /* SPEC K-24, M-07 */
{
    static const struct {
        const char *person, *grades;
        lti_code_t code;
    } rows[] = {
        {"{\"user_id\":\"u-7\"}", "{\"lineitem\":\"https://lms.example.org/li/1\"}", LTI_OK},
        {NULL, "{\"lineitem\":\"https://lms.example.org/li/1\"}", MISSING},
        {"{}", "{\"lineitem\":\"https://lms.example.org/li/1\"}", MISSING},
        {"{\"user_id\":7}", "{\"lineitem\":\"https://lms.example.org/li/1\"}", INVALID},
        {"{\"user_id\":\"u-7\"}", NULL, MISSING},
        {"{\"user_id\":\"u-7\"}", "{\"lineitems\":\"https://lms.example.org/li\"}", MISSING},
        {"{\"user_id\":\"u-7\"}", "{\"lineitem\":\"\"}", INVALID},
        {"{\"user_id\":\"\"}", "{\"lineitem\":\"https://lms.example.org/li/1\"}", INVALID},
        {"{\"user_id\":\"u-7\",\"name\":\"Else\",\"email\":\"else@example.org\",\"roles\":[\"Learner\"]}",
         "{\"lineitem\":\"https://lms.example.org/li/1\"}", LTI_OK},
    };
    apr_pool_t *p = *state;
    lti_expect_t expect = expected;

    expect.message_types = LTI_MESSAGE_RESOURCE_LINK | LTI_MESSAGE_SUBMISSION_REVIEW;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *claims = patched(p, CLAIM "message_type", "\"LtiSubmissionReviewRequest\"");
        lti_launch_t *launch = NULL;
        lti_err_t err = {.code = LTI_OK};
        apr_status_t rv;
        if (rows[i].person != NULL)
            json_object_set_new(claims, CLAIM "for_user", value(rows[i].person));
        if (rows[i].grades != NULL)
            json_object_set_new(claims, GRADES, value(rows[i].grades));
        rv = lti_claims_launch(&launch, claims, &expect, p, &err);
        if (rows[i].code == LTI_OK) {
            assert_ok(rv, err);
            assert_string_equal(launch->user_id, "u-1001"); /* the reviewer, never the person under review */
            assert_string_equal(launch->for_user_id, "u-7");
            assert_string_equal(launch->name, "Ann M\xc3\xbcller");
            assert_string_equal(launch->email, "ann@example.org");
            assert_int_equal(launch->role, LTI_ROLE_TEACHING_ASSISTANT);
        } else {
            assert_code(rv, err, rows[i].code);
        }
    }
}

static void fragments_of_targets_belong_to_the_page(void **state)
{
    apr_pool_t *p = *state;
    lti_expect_t expect = expected;
    lti_launch_t *launch = NULL;
    lti_err_t err = {.code = LTI_OK};

    expect.target = "https://tool.example.net/app/#/week/1";
    assert_ok(lti_claims_launch(&launch, patched(p, CLAIM "target_link_uri", "\"https://tool.example.net/app/#/week/1\""), &expect,
                                p, &err),
              err);
    assert_string_equal(launch->target_link_uri, "https://tool.example.net/app/#/week/1");
}

static void message_types_by_name(void **state)
{
    (void)state;
    assert_int_equal(lti_message_type_by_name("LtiResourceLinkRequest"), LTI_MESSAGE_RESOURCE_LINK);
    assert_int_equal(lti_message_type_by_name("LtiSubmissionReviewRequest"), LTI_MESSAGE_SUBMISSION_REVIEW);
    assert_int_equal(lti_message_type_by_name("LtiDeepLinkingRequest"), LTI_MESSAGE_DEEP_LINKING);
    assert_int_equal(lti_message_type_by_name("LtiDeepLinkingResponse"), 0);
    assert_int_equal(lti_message_type_by_name(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(the_name_comes_from_the_login),
        POOL_TEST(a_good_launch_is_taken_in_full),
        POOL_TEST(each_broken_claim_has_its_code),
        POOL_TEST(what_is_no_launch_at_all_is_refused),
        POOL_TEST(limits_are_inclusive),
        POOL_TEST(the_last_second_of_a_token),
        POOL_TEST(several_audiences_with_azp),
        POOL_TEST(anonymous_launches_have_no_person),
        POOL_TEST(deployments_are_judged_last),
        POOL_TEST(roles_of_valid_launches),
        POOL_TEST(optional_claims_are_taken_mended_or_dropped),
        POOL_TEST(claims_that_are_not_used_hurt_nobody),
        POOL_TEST(the_groups_service_is_taken_or_left_out),
        POOL_TEST(section_claims_leave_the_custom_parameters),
        POOL_TEST(what_is_left_out_is_told),
        POOL_TEST(many_remarks_are_cut),
        POOL_TEST(many_roles_are_told_by_their_number),
        POOL_TEST(a_roster_service_that_cannot_be_used_is_told),
        POOL_TEST(refusals_name_the_claim_and_the_rule),
        POOL_TEST(custom_parameters),
        POOL_TEST(custom_parameters_have_limits),
        POOL_TEST(deep_linking_requests),
        POOL_TEST(what_deep_linking_tells_the_application),
        POOL_TEST(each_type_of_message_by_its_exact_name),
        POOL_TEST(names_of_lti_1_1_with_their_signature),
        POOL_TEST(names_of_lti_1_1_without_a_good_signature),
        POOL_TEST(return_urls_that_may_be_offered),
        POOL_TEST(submission_reviews),
        POOL_TEST(fragments_of_targets_belong_to_the_page),
        POOL_TEST(message_types_by_name),
    };
    return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}
