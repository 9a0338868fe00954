/* SPDX-License-Identifier: Apache-2.0 */
/* The session cookie: what comes back, what fits, what is refused. */
#include "test.h"
#include "lti_session.h"

#define BASE "https://tool.example.net"
#define LAUNCHED (apr_time_from_sec(1760000000) + 123456)
#define EXPIRES (LAUNCHED + apr_time_from_sec(8 * 3600))
#define LIS "http://purl.imsglobal.org/vocab/lis/v2/"

static lti_sealer_t *sealer(apr_pool_t *p, char letter)
{
    char secret[32];
    lti_bytes_t bytes = {secret, sizeof secret};
    lti_sealer_t *made = NULL;
    lti_err_t err = {.code = LTI_OK};

    memset(secret, letter, sizeof secret);
    assert_ok(lti_sealer_create(&made, "session", &bytes, 1, p, &err), err);
    return made;
}

static const char *filled(apr_pool_t *p, char letter, apr_size_t length)
{
    char *text = apr_pcalloc(p, length + 1);
    memset(text, letter, length);
    return text;
}

static lti_launch_t full_launch(apr_pool_t *p)
{
    lti_launch_t launch = {.id = "L0123456789abcde",
                           .platform = "campus",
                           .issuer = "https://lms.example.org",
                           .client_id = "tool-77",
                           .deployment_id = "d-3",
                           .user_id = "u-1001",
                           .name = "Zo\xc3\xab \xe5\xbc\xa0\xe4\xbc\x9f \xf0\x9f\x98\x80",
                           .given_name = "Zo\xc3\xab",
                           .family_name = "\xe5\xbc\xa0\xe4\xbc\x9f",
                           .email = "zoe@example.org",
                           .sourcedid = "SIS-1",
                           .locale = "de-AT",
                           .roles =
                               "https://v.example/a " LIS "membership#Instructor " LIS "membership/Instructor#TeachingAssistant "
                               "zz-unknown",
                           .role = LTI_ROLE_TEACHING_ASSISTANT,
                           .role_flags = LTI_ROLE_FLAG_UNKNOWN | LTI_ROLE_FLAG_TEST_USER,
                           .context_id = "c-42",
                           .context_label = "BIO1",
                           .context_title = "Biology I",
                           .context_type = LIS "course#CourseOffering",
                           .course_key = "abcdefghijklmnop",
                           .resource_link_id = "rl-9",
                           .resource_link_title = "Week 1",
                           .message_type = "LtiResourceLinkRequest",
                           .target_link_uri = "https://tool.example.net/app/?a=1",
                           .return_url = "https://lms.example.org/return",
                           .nrps_url = "https://lms.example.org/nrps/42",
                           .launched_at = LAUNCHED,
                           .token_expires_at = LAUNCHED + 1};

    launch.custom = apr_table_make(p, 4);
    apr_table_addn(launch.custom, "empty", "");
    apr_table_addn(launch.custom, "Color", "bl\xc3\xa4ulich");
    apr_table_addn(launch.custom, "color", "second of the name");
    return launch;
}

static void assert_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void assert_custom(const apr_table_t *a, const apr_table_t *b)
{
    const apr_array_header_t *left, *right;

    if (a == NULL || b == NULL) {
        assert_ptr_equal(a, b);
        return;
    }
    left = apr_table_elts(a);
    right = apr_table_elts(b);
    assert_int_equal(left->nelts, right->nelts);
    for (int i = 0; i < left->nelts; i++) {
        assert_string_equal(APR_ARRAY_IDX(left, i, apr_table_entry_t).key, APR_ARRAY_IDX(right, i, apr_table_entry_t).key);
        assert_string_equal(APR_ARRAY_IDX(left, i, apr_table_entry_t).val, APR_ARRAY_IDX(right, i, apr_table_entry_t).val);
    }
}

/* Everything but nrps_url, which a session does not have. */
static void assert_same_launch(const lti_launch_t *a, const lti_launch_t *b)
{
    assert_text(a->id, b->id);
    assert_text(a->platform, b->platform);
    assert_text(a->issuer, b->issuer);
    assert_text(a->client_id, b->client_id);
    assert_text(a->deployment_id, b->deployment_id);
    assert_text(a->user_id, b->user_id);
    assert_text(a->name, b->name);
    assert_text(a->given_name, b->given_name);
    assert_text(a->family_name, b->family_name);
    assert_text(a->email, b->email);
    assert_text(a->sourcedid, b->sourcedid);
    assert_text(a->locale, b->locale);
    assert_text(a->roles, b->roles);
    assert_int_equal(a->role, b->role);
    assert_int_equal(a->role_flags, b->role_flags);
    assert_text(a->context_id, b->context_id);
    assert_text(a->context_label, b->context_label);
    assert_text(a->context_title, b->context_title);
    assert_text(a->context_type, b->context_type);
    assert_text(a->course_key, b->course_key);
    assert_text(a->resource_link_id, b->resource_link_id);
    assert_text(a->resource_link_title, b->resource_link_title);
    assert_text(a->message_type, b->message_type);
    assert_text(a->target_link_uri, b->target_link_uri);
    assert_text(a->return_url, b->return_url);
    assert_text(a->for_user_id, b->for_user_id);
    assert_text(a->deep_link_return_url, b->deep_link_return_url);
    assert_text(a->deep_link_data, b->deep_link_data);
    assert_text(a->deep_link_accept_types, b->deep_link_accept_types);
    assert_text(a->deep_link_accept_targets, b->deep_link_accept_targets);
    assert_text(a->deep_link_accept_media_types, b->deep_link_accept_media_types);
    assert_text(a->deep_link_accept_multiple, b->deep_link_accept_multiple);
    assert_text(a->deep_link_accept_lineitem, b->deep_link_accept_lineitem);
    assert_text(a->deep_link_auto_create, b->deep_link_auto_create);
    assert_text(a->legacy_consumer_key, b->legacy_consumer_key);
    assert_text(a->legacy_user_id, b->legacy_user_id);
    assert_text(a->legacy_context_id, b->legacy_context_id);
    assert_text(a->legacy_resource_link_id, b->legacy_resource_link_id);
    assert_text(a->sections, b->sections);
    assert_text(a->groups, b->groups);
    assert_custom(a->custom, b->custom);
    assert_int_equal(a->launched_at, b->launched_at);
    assert_int_equal(a->token_expires_at, b->token_expires_at);
}

static const char *seal(const char **surplus, const lti_sealer_t *s, const lti_launch_t *launch, apr_pool_t *p)
{
    const char *value = NULL;
    lti_err_t err = {.code = LTI_OK};
    assert_ok(lti_session_seal(&value, surplus, s, BASE, "lti_abcdefghijklmnop", launch, EXPIRES, LAUNCHED + 7, p, &err), err);
    assert_true(strlen("lti_abcdefghijklmnop=") + strlen(value) <= LTI_SESSION_COOKIE_MAX);
    return value;
}

static lti_session_t *open_value(const lti_sealer_t *s, const char *value, apr_pool_t *p)
{
    lti_session_t *session = NULL;
    lti_err_t err = {.code = LTI_OK};
    assert_ok(lti_session_open(&session, s, BASE, "lti_abcdefghijklmnop", value, LAUNCHED + 1, 0, p, &err), err);
    return session;
}

static void every_field_comes_back(void **state)
{
    apr_pool_t *p = *state;
    const lti_launch_t launch = full_launch(p);
    const lti_sealer_t *s = sealer(p, 'a');
    const char *surplus = "";
    const char *value = seal(&surplus, s, &launch, p);
    const lti_session_t *session = open_value(s, value, p);

    assert_null(surplus);
    assert_int_equal(session->has_surplus, 0);
    assert_same_launch(&session->launch, &launch);
    assert_null(session->launch.nrps_url);
    assert_int_equal(session->expires_at, EXPIRES);
    assert_int_equal(session->touched_at, LAUNCHED + 7);
    /* A cookie's value has no character that any browser or proxy would change, and nothing in it can be read. */
    assert_int_equal(strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."), strlen(value));
    assert_string_not_equal(value, seal(&surplus, s, &launch, p));
}

/* Made by the first release: sessions must outlive an upgrade. */
static const char old_value[] =
    "1.68e77800.t486Cci7CGWCvqjpX7dKhWlXdtSSIoqAE877ZQaPjR4lqSWpuQ8n-oFtsZ3ymwoaU9f_rjsgv1yBYBq6I-K9zf3asCKNm_5QfXK"
    "IRqCW5YHfaYAoj8HYtbNV2dQsbvFtggAPLXgoiuiQPurbHa1cpJVQbS9pXc_xOyqdqEqQRJ_tTALIQ9Ppg1S5m-4grbTPl34g-Dejq8dWayrEB"
    "CQDbvKWHhUjJbbXbhbiB68SuboHJqqXb1mlht0flwkxiixT-Ml90CtI65Q1Qo1sSdC8PNdec4FUAjcLAx83jWu_6UQU50IoQ0sSTiG2dLGNwel"
    "awfcrQIPFsRPn878UDgD7Zuhgbg0SKN5E_skoe1AngsH7FWq68wFTwg5vD6IXx8iGLsZN7vPoGoOxNiOliGhgQNNaKOSm_jTnkJ1R8lWDGDBw-"
    "lecggGzMBxtI7nNzE7VWFBkWJrmLFzL4_my033JALRI1HsIBiMLT7bMwDT9-VvVvKJYONBLo4Y4hv2Wlarg6rd9C5HwNlf9mFnj7FDtaBI8oUX"
    "DifYIhFUWEBzJLyQxnbM";

static void a_session_of_the_first_release_opens(void **state)
{
    apr_pool_t *p = *state;
    const lti_launch_t launch = full_launch(p);

    assert_same_launch(&open_value(sealer(p, 'a'), old_value, p)->launch, &launch);
}

/* What few launches have: a review, a deep linking request, names of LTI 1.1. */
static lti_launch_t rare_launch(apr_pool_t *p)
{
    lti_launch_t launch = full_launch(p);

    launch.custom = NULL;
    launch.name = launch.given_name = launch.family_name = launch.context_title = NULL;
    launch.roles = "";
    launch.for_user_id = "u-7";
    launch.deep_link_return_url = "https://lms.example.org/dl";
    launch.deep_link_data = "line\none";
    launch.deep_link_accept_types = "link ltiResourceLink";
    launch.deep_link_accept_targets = "iframe window";
    launch.deep_link_accept_media_types = "image/*,text/html";
    launch.deep_link_accept_multiple = "true";
    launch.deep_link_accept_lineitem = "false";
    launch.deep_link_auto_create = "true";
    launch.legacy_consumer_key = "179248902";
    launch.legacy_user_id = "34212";
    launch.legacy_context_id = "3911";
    launch.legacy_resource_link_id = "4fe1";
    launch.sections = "Lab,%20Monday Section%201";
    launch.groups = "Team%20A";
    return launch;
}

static void rare_fields_come_back(void **state)
{
    apr_pool_t *p = *state;
    lti_launch_t launch = rare_launch(p);
    const lti_sealer_t *s = sealer(p, 'a');
    const char *surplus = "";
    lti_session_t *session = open_value(s, seal(&surplus, s, &launch, p), p);
    lti_err_t err = {.code = LTI_OK};

    assert_null(surplus);
    assert_same_launch(&session->launch, &launch);
    /* What is long leaves; whose submission it is stays as long as it can. */
    launch.deep_link_data = filled(p, 'd', 8192);
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    assert_null(session->launch.deep_link_data);
    assert_string_equal(session->launch.deep_link_return_url, launch.deep_link_return_url);
    assert_ok(lti_session_add_surplus(session, surplus, p, &err), err);
    assert_same_launch(&session->launch, &launch);
    launch.legacy_user_id = launch.legacy_context_id = launch.legacy_resource_link_id = filled(p, 'l', 1024);
    launch.for_user_id = filled(p, 'f', 255);
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    assert_string_equal(session->launch.for_user_id, launch.for_user_id);
    assert_null(session->launch.legacy_user_id);
    assert_ok(lti_session_add_surplus(session, surplus, p, &err), err);
    assert_same_launch(&session->launch, &launch);
    launch.user_id = filled(p, 'u', 255);
    launch.deployment_id = filled(p, 'd', 255);
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    assert_null(session->launch.for_user_id);
    assert_string_equal(session->launch.user_id, launch.user_id);
    assert_ok(lti_session_add_surplus(session, surplus, p, &err), err);
    assert_same_launch(&session->launch, &launch);
}

static void absent_fields_stay_absent(void **state)
{
    apr_pool_t *p = *state;
    lti_launch_t bare = {.id = "L",
                         .platform = "campus",
                         .issuer = "https://lms.example.org",
                         .client_id = "c",
                         .deployment_id = "1",
                         .roles = "",
                         .launched_at = LAUNCHED};
    const lti_sealer_t *s = sealer(p, 'a');
    const char *surplus = NULL;

    assert_same_launch(&open_value(s, seal(&surplus, s, &bare, p), p)->launch, &bare);
    assert_null(surplus);
    bare.roles = NULL;
    assert_string_equal(open_value(s, seal(&surplus, s, &bare, p), p)->launch.roles, "");
}

static void roles_come_back_in_their_order(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    lti_launch_t launch = full_launch(p);
    const char *surplus = NULL;
    const char *all = "";
    const lti_session_t *session;

    for (int i = 1; i <= lti_role_vocabulary_size(); i++) {
        launch.roles = lti_role_uri(i);
        session = open_value(s, seal(&surplus, s, &launch, p), p);
        assert_ptr_equal(session->launch.roles, lti_role_uri(i)); /* one known role costs nothing */
        all = apr_pstrcat(p, all, *all == '\0' ? "" : " ", lti_role_uri(i), NULL);
    }
    launch.roles = all;
    assert_string_equal(open_value(s, seal(&surplus, s, &launch, p), p)->launch.roles, all);
    assert_null(surplus);
    launch.roles = "only-unknown";
    assert_string_equal(open_value(s, seal(&surplus, s, &launch, p), p)->launch.roles, "only-unknown");
}

/* What is large, what must have left for the surplus, and what must have stayed. */
static void the_surplus_takes_what_does_not_fit(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    lti_launch_t launch = full_launch(p);
    const char *surplus = NULL;
    lti_session_t *session;
    lti_err_t err = {.code = LTI_OK};

    apr_table_addn(launch.custom, "large", filled(p, 'x', 40000));
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    assert_non_null(surplus);
    assert_int_equal(session->has_surplus, 1);
    assert_null(session->launch.custom);
    assert_string_equal(session->launch.return_url, launch.return_url);
    assert_ok(lti_session_add_surplus(session, surplus, p, &err), err);
    assert_same_launch(&session->launch, &launch);

    launch.return_url = apr_pstrcat(p, "https://lms.example.org/", filled(p, 'r', 2000), NULL);
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    assert_null(session->launch.return_url);
    assert_string_equal(session->launch.target_link_uri, launch.target_link_uri);
    assert_ok(lti_session_add_surplus(session, surplus, p, &err), err);
    assert_same_launch(&session->launch, &launch);

    launch.target_link_uri = apr_pstrcat(p, BASE "/", filled(p, 't', 2000), NULL);
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    assert_null(session->launch.target_link_uri);
    assert_string_equal(session->launch.context_title, launch.context_title);
    assert_string_equal(session->launch.roles, launch.roles);
    assert_ok(lti_session_add_surplus(session, surplus, p, &err), err);
    assert_same_launch(&session->launch, &launch);

    launch.roles = apr_pstrcat(p, LIS "membership#Instructor ", filled(p, 'z', 512), " ", filled(p, 'z', 511), NULL);
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    assert_string_equal(session->launch.roles, LIS "membership#Instructor");
    assert_int_equal(session->launch.role, launch.role);
    assert_ok(lti_session_add_surplus(session, surplus, p, &err), err);
    assert_same_launch(&session->launch, &launch);
}

static void the_core_never_leaves(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    lti_launch_t launch = full_launch(p);
    const char *surplus = NULL;
    lti_session_t *session;
    lti_err_t err = {.code = LTI_OK};

    /* All that lti_claims lets through at its limit, in an ordinary registration. */
    launch.deployment_id = filled(p, 'd', 255);
    launch.user_id = filled(p, 'u', 255);
    launch.context_id = filled(p, 'c', 255);
    launch.resource_link_id = filled(p, 'l', 255);
    launch.name = launch.given_name = launch.family_name = launch.email = launch.sourcedid = filled(p, 'n', 1024);
    launch.context_label = launch.context_title = launch.resource_link_title = filled(p, 'n', 1024);
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    assert_string_equal(session->launch.id, launch.id);
    assert_string_equal(session->launch.platform, launch.platform);
    assert_string_equal(session->launch.issuer, launch.issuer);
    assert_string_equal(session->launch.client_id, launch.client_id);
    assert_string_equal(session->launch.deployment_id, launch.deployment_id);
    assert_string_equal(session->launch.user_id, launch.user_id);
    assert_string_equal(session->launch.course_key, launch.course_key);
    assert_int_equal(session->launch.role, launch.role);
    assert_null(session->launch.name);
    assert_ok(lti_session_add_surplus(session, surplus, p, &err), err);
    assert_same_launch(&session->launch, &launch);
}

static void a_core_beyond_a_kibibyte_is_a_fault(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    lti_launch_t launch = full_launch(p);
    const char *value = NULL, *surplus = NULL;
    lti_err_t err = {.code = LTI_OK};

    launch.issuer = filled(p, 'i', 900);
    assert_code(lti_session_seal(&value, &surplus, s, BASE, "lti_k", &launch, EXPIRES, LAUNCHED, p, &err), err, LTI_E_INTERNAL);
    launch = full_launch(p);
    assert_code(lti_session_seal(&value, &surplus, s, BASE, filled(p, 'n', 1100), &launch, EXPIRES, LAUNCHED, p, &err), err,
                LTI_E_INTERNAL);
    assert_code(lti_session_seal(&value, &surplus, s, filled(p, 'b', 4000), "lti_k", &launch, EXPIRES, LAUNCHED, p, &err), err,
                LTI_E_INTERNAL);
    launch.launched_at = 0;
    assert_code(lti_session_seal(&value, &surplus, s, BASE, "lti_k", &launch, EXPIRES, LAUNCHED, p, &err), err, LTI_E_INTERNAL);
}

/* The limit is met exactly: names of every length, so that some record ends on each side of it. */
static void no_cookie_is_larger_than_its_limit(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    int with = 0, without = 0;

    for (apr_size_t length = 1; length < 700; length += 3) {
        apr_pool_t *sub = NULL;
        lti_launch_t launch;
        const char *surplus = NULL;
        lti_session_t *session;
        lti_err_t err = {.code = LTI_OK};
        apr_pool_create(&sub, p);
        launch = full_launch(sub);
        launch.name = filled(sub, 'n', length);
        session = open_value(s, seal(&surplus, s, &launch, sub), sub);
        assert_int_equal(session->has_surplus, surplus != NULL);
        if (surplus != NULL)
            assert_ok(lti_session_add_surplus(session, surplus, sub, &err), err);
        assert_same_launch(&session->launch, &launch);
        with += surplus != NULL;
        without += surplus == NULL;
        apr_pool_destroy(sub);
    }
    assert_true(with > 0 && without > 0);
}

static void a_surplus_of_others_is_refused(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    lti_launch_t launch = full_launch(p), other = full_launch(p);
    const char *surplus = NULL, *other_surplus = NULL;
    lti_session_t *session;
    lti_err_t err = {.code = LTI_OK};

    launch.return_url = other.return_url = filled(p, 'x', 1500);
    other.id = "another";
    session = open_value(s, seal(&surplus, s, &launch, p), p);
    seal(&other_surplus, s, &other, p);
    assert_code(lti_session_add_surplus(session, other_surplus, p, &err), err, LTI_E_SESSION_INVALID);
    assert_code(lti_session_add_surplus(session, "", p, &err), err, LTI_E_SESSION_INVALID);
    assert_code(lti_session_add_surplus(session, "no base64!", p, &err), err, LTI_E_SESSION_INVALID);
    assert_code(lti_session_add_surplus(session, apr_pstrmemdup(p, surplus, 40), p, &err), err, LTI_E_SESSION_INVALID);
    assert_null(session->launch.return_url);
    assert_string_equal(session->launch.id, launch.id);
}

static void every_changed_byte_is_refused(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    const lti_launch_t launch = full_launch(p);
    const char *surplus = NULL;
    const char *value = seal(&surplus, s, &launch, p);
    const char *name = "lti_abcdefghijklmnop";
    const struct {
        const char *text;
        int which;
    } parts[] = {{value, 0}, {name, 1}, {BASE, 2}};
    lti_session_t *session = NULL;
    lti_err_t err = {.code = LTI_OK};

    for (int part = 0; part < 3; part++) {
        apr_size_t length = strlen(parts[part].text);
        char *broken = apr_pstrdup(p, parts[part].text);
        for (apr_size_t i = 0; i <= length; i++) {
            char kept = broken[i];
            /* Each byte becomes another of the same alphabet; then the text ends there. */
            if (i < length) {
                broken[i] = kept == '3' ? '4' : '3';
                assert_code(lti_session_open(&session, s, part == 2 ? broken : BASE, part == 1 ? broken : name,
                                             part == 0 ? broken : value, LAUNCHED, 0, p, &err),
                            err, LTI_E_SESSION_INVALID);
                broken[i] = '\0';
                assert_code(lti_session_open(&session, s, part == 2 ? broken : BASE, part == 1 ? broken : name,
                                             part == 0 ? broken : value, LAUNCHED, 0, p, &err),
                            err, LTI_E_SESSION_INVALID);
                broken[i] = kept;
            }
        }
    }
    assert_code(lti_session_open(&session, sealer(p, 'b'), BASE, name, value, LAUNCHED, 0, p, &err), err, LTI_E_SESSION_INVALID);
    assert_code(lti_session_open(&session, s, BASE, name, apr_pstrcat(p, value, "A", NULL), LAUNCHED, 0, p, &err), err,
                LTI_E_SESSION_INVALID);
    assert_code(lti_session_open(&session, s, BASE, name, filled(p, 'A', 100000), LAUNCHED, 0, p, &err), err,
                LTI_E_SESSION_INVALID);
    assert_code(lti_session_open(&session, s, BASE, name, "", LAUNCHED, 0, p, &err), err, LTI_E_SESSION_INVALID);
    /* Parts must not run into each other. */
    assert_code(lti_session_open(&session, s, BASE "x", name, value, LAUNCHED, 0, p, &err), err, LTI_E_SESSION_INVALID);
    assert_null(session);
}

static void damaged_records_of_our_own_are_refused(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    const char *aad = "lti_k\n" BASE "\n1.68e77800.";
    lti_err_t err = {.code = LTI_OK};
    int taken = 0;

    /* Sealed rightly, as a later release might have: any bytes must be survived. */
    srand(7);
    for (int i = 0; i < 20000; i++) {
        unsigned char record[64], sealed[64 + LTI_SEAL_OVERHEAD];
        apr_size_t size = (apr_size_t)(rand() % 64), sealed_size = 0;
        lti_session_t *session = NULL;
        apr_pool_t *sub = NULL;
        apr_status_t rv;
        apr_pool_create(&sub, p);
        for (apr_size_t k = 0; k < sizeof record; k++)
            record[k] = (unsigned char)(k >= 19 && k < 27 ? 0x7f : rand() % (i % 2 == 0 ? 256 : 30));
        assert_ok(lti_seal(sealed, &sealed_size, s, (lti_bytes_t){aad, strlen(aad)}, (lti_bytes_t){record, size}, &err), err);
        rv = lti_session_open(&session, s, BASE, "lti_k",
                              apr_pstrcat(sub, "1.68e77800.", lti_base64url_encode(sealed, sealed_size, sub), NULL), LAUNCHED, 0,
                              sub, &err);
        if (rv == APR_SUCCESS)
            taken++;
        else
            assert_int_equal(err.code, LTI_E_SESSION_INVALID);
        apr_pool_destroy(sub);
    }
    assert_true(taken > 0 && taken < 20000);
}

static void tags_of_a_later_release_are_skipped(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    const char *aad = "lti_k\n" BASE "\n1.68e77800.";
    unsigned char record[64] = {LTI_ROLE_LEARNER}, sealed[64 + LTI_SEAL_OVERHEAD];
    static const unsigned char fields[] = {60, 2, 'x', 'y', 2, 3, 'c', 'a', 'm', 0x80 | 16, 1, 200, 23, 2, 120, 25};
    apr_size_t sealed_size = 0;
    lti_session_t *session = NULL;
    lti_err_t err = {.code = LTI_OK};

    record[19] = 0x7f;
    memcpy(record + 35, fields, sizeof fields);
    assert_ok(lti_seal(sealed, &sealed_size, s, (lti_bytes_t){aad, strlen(aad)}, (lti_bytes_t){record, 35 + sizeof fields}, &err),
              err);
    assert_ok(lti_session_open(&session, s, BASE, "lti_k",
                               apr_pstrcat(p, "1.68e77800.", lti_base64url_encode(sealed, sealed_size, p), NULL), LAUNCHED, 0, p,
                               &err),
              err);
    assert_string_equal(session->launch.platform, "cam");
    assert_string_equal(session->launch.roles, lti_role_uri(25));
    assert_null(session->launch.context_type);
}

static void sessions_end(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    const lti_launch_t launch = full_launch(p);
    const char *surplus = NULL;
    const char *value = seal(&surplus, s, &launch, p);
    const char *name = "lti_abcdefghijklmnop";
    apr_interval_time_t idle = apr_time_from_sec(7200);
    lti_session_t *session = NULL;
    lti_err_t err = {.code = LTI_OK};

    assert_ok(lti_session_open(&session, s, BASE, name, value, EXPIRES - 1, 0, p, &err), err);
    session = NULL;
    assert_code(lti_session_open(&session, s, BASE, name, value, EXPIRES, 0, p, &err), err, LTI_E_SESSION_EXPIRED);
    assert_string_equal(session->launch.return_url, launch.return_url); /* for the page that says so */
    /* Idle time counts from the last seal, LAUNCHED + 7. */
    assert_ok(lti_session_open(&session, s, BASE, name, value, LAUNCHED + 7 + idle - 1, idle, p, &err), err);
    assert_code(lti_session_open(&session, s, BASE, name, value, LAUNCHED + 7 + idle, idle, p, &err), err, LTI_E_SESSION_EXPIRED);
    assert_ok(lti_session_open(&session, s, BASE, name, value, LAUNCHED + 7 + idle, 0, p, &err), err);
}

/* Whoever holds the secret (another release, a node with a broken clock) may have sealed any number. */
static void times_beyond_all_reason_do_not_overflow(void **state)
{
    static const unsigned char firsts[] = {0x00, 0x3f, 0x40, 0x7f, 0x80, 0xff};
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    const char *aad = "lti_k\n" BASE "\n1.68e77800.";

    for (size_t i = 0; i < sizeof firsts; i++) {
        unsigned char record[3 + 4 * 8] = {0}, sealed[sizeof record + LTI_SEAL_OVERHEAD];
        lti_session_t *session = NULL;
        apr_size_t size = 0;
        lti_err_t err = {.code = LTI_OK};
        memset(record + 3, firsts[i] == 0xff ? 0xff : 0x00, sizeof record - 3);
        for (int k = 0; k < 4; k++)
            record[3 + 8 * k] = firsts[i];
        assert_ok(lti_seal(sealed, &size, s, (lti_bytes_t){aad, strlen(aad)}, (lti_bytes_t){record, sizeof record}, &err), err);
        lti_session_open(&session, s, BASE, "lti_k", apr_pstrcat(p, "1.68e77800.", lti_base64url_encode(sealed, size, p), NULL), LAUNCHED,
                         apr_time_from_sec(7200), p, &err);
        assert_non_null(session);
        /* The difference of any two fits. */
        assert_true(session->expires_at >= 0 && session->expires_at <= APR_INT64_MAX / 2);
        assert_true(session->touched_at >= 0 && session->touched_at <= APR_INT64_MAX / 2);
        assert_true(session->launch.launched_at >= 0 && session->launch.token_expires_at >= 0);
    }
}

static void peek_reads_the_clear_seconds(void **state)
{
    static const struct {
        const char *value;
        apr_time_t seconds;
    } rows[] = {
        {"1.68e77800.AAAA", 1760000000},
        {"1.1.", 1},
        {"1.0.A", 0},
        {"1..A", 0},
        {"1.68E77800.A", 0},
        {"1.68e77800", 0},
        {"2.1.A", 0},
        {"1.-1.A", 0},
        {"", 0},
        {"1", 0},
        {"1.", 0},
        {"abc", 0},
        {"1.g.A", 0},
        {"1.ffffffffffff.A", 0xffffffffffffLL},
        {"1.fffffffffffff.A", 0},
    };
    apr_pool_t *p = *state;
    const lti_launch_t launch = full_launch(p);
    const char *surplus = NULL;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(lti_session_peek(rows[i].value), rows[i].seconds);
    assert_int_equal(lti_session_peek(seal(&surplus, sealer(p, 'a'), &launch, p)), 1760000000);
}

static void one_name_per_course_and_person(void **state)
{
    apr_pool_t *p = *state;
    const lti_sealer_t *s = sealer(p, 'a');
    const lti_launch_t launch = full_launch(p);
    const char *name = lti_session_cookie_name(s, "lti", &launch, p);
    lti_launch_t other = launch;

    assert_int_equal(strncmp(name, "lti_", 4), 0);
    assert_int_equal(strlen(name), 4 + 16);
    assert_int_equal(strspn(name + 4, "abcdefghijklmnopqrstuvwxyz234567"), 16);
    other.id = "another launch";
    other.resource_link_id = "another link";
    other.roles = "";
    other.launched_at++;
    assert_string_equal(lti_session_cookie_name(s, "lti", &other, p), name);
    assert_string_not_equal(lti_session_cookie_name(sealer(p, 'b'), "lti", &launch, p), name);

    other = launch;
    other.user_id = "u-1002";
    assert_string_not_equal(lti_session_cookie_name(s, "lti", &other, p), name);
    other.user_id = NULL;
    assert_string_not_equal(lti_session_cookie_name(s, "lti", &other, p), name);
    other = launch;
    other.issuer = "https://other.example.org";
    assert_string_not_equal(lti_session_cookie_name(s, "lti", &other, p), name);
    other = launch;
    other.client_id = "tool-78";
    assert_string_not_equal(lti_session_cookie_name(s, "lti", &other, p), name);
    other = launch;
    other.deployment_id = "d-4";
    assert_string_not_equal(lti_session_cookie_name(s, "lti", &other, p), name);
    other = launch;
    other.context_id = "c-43";
    assert_string_not_equal(lti_session_cookie_name(s, "lti", &other, p), name);

    /* Without a course the resource link tells sessions apart, without both nothing does. */
    other.context_id = NULL;
    name = lti_session_cookie_name(s, "x", &other, p);
    assert_int_equal(strncmp(name, "x_", 2), 0);
    other.resource_link_id = "rl-10";
    assert_string_not_equal(lti_session_cookie_name(s, "x", &other, p), name);
    other.resource_link_id = NULL;
    name = lti_session_cookie_name(s, "x", &other, p);
    other.resource_link_id = "-";
    assert_string_equal(lti_session_cookie_name(s, "x", &other, p), name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(every_field_comes_back),
        POOL_TEST(a_session_of_the_first_release_opens),
        POOL_TEST(rare_fields_come_back),
        POOL_TEST(absent_fields_stay_absent),
        POOL_TEST(roles_come_back_in_their_order),
        POOL_TEST(the_surplus_takes_what_does_not_fit),
        POOL_TEST(the_core_never_leaves),
        POOL_TEST(a_core_beyond_a_kibibyte_is_a_fault),
        POOL_TEST(no_cookie_is_larger_than_its_limit),
        POOL_TEST(a_surplus_of_others_is_refused),
        POOL_TEST(every_changed_byte_is_refused),
        POOL_TEST(damaged_records_of_our_own_are_refused),
        POOL_TEST(tags_of_a_later_release_are_skipped),
        POOL_TEST(sessions_end),
        POOL_TEST(times_beyond_all_reason_do_not_overflow),
        POOL_TEST(peek_reads_the_clear_seconds),
        POOL_TEST(one_name_per_course_and_person),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
