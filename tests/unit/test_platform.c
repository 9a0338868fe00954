/* SPDX-License-Identifier: Apache-2.0 */
/* Registrations: presets, checks, the search for the one a login means, course keys, REMOTE_USER. */
#include "test.h"
#include "lti_crypto.h"
#include "lti_platform.h"

static lti_platform_t *blank(apr_pool_t *p, const char *name, const char *client_id)
{
    lti_platform_t *platform = apr_pcalloc(p, sizeof *platform);
    platform->name = name;
    platform->client_id = client_id;
    return platform;
}

static lti_platform_t *complete(apr_pool_t *p, const char *name, const char *issuer, const char *client_id)
{
    lti_platform_t *platform = blank(p, name, client_id);
    platform->issuer = issuer;
    platform->authorization_endpoint = "https://lms.example.edu/auth";
    platform->token_endpoint = "https://lms.example.edu/token";
    platform->key_set = "https://lms.example.edu/keys";
    return platform;
}

static apr_array_header_t *ids(apr_pool_t *p, const char *first, const char *second)
{
    apr_array_header_t *array = apr_array_make(p, 2, sizeof(const char *));
    if (first != NULL)
        APR_ARRAY_PUSH(array, const char *) = first;
    if (second != NULL)
        APR_ARRAY_PUSH(array, const char *) = second;
    return array;
}

static void family_names_go_both_ways(void **state)
{
    static const char *const names[] = {"canvas", "moodle", "blackboard", "brightspace", "sakai", "schoology"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_not_equal(lti_family_by_name(names[i]), LTI_FAMILY_OTHER);
        assert_string_equal(lti_family_name(lti_family_by_name(names[i])), names[i]);
    }
    assert_int_equal(lti_family_by_name("Moodle"), LTI_FAMILY_OTHER);
    assert_int_equal(lti_family_by_name(""), LTI_FAMILY_OTHER);
    assert_string_equal(lti_family_name(LTI_FAMILY_OTHER), "other");
    assert_string_equal(lti_family_name((lti_family_t)77), "other");
}

typedef struct preset_row_t {
    const char *family, *url, *key;
    const char *issuer, *authorization, *token, *audience, *key_set;
    lti_deployments_t deployments;
    int page_limit;
} preset_row_t;

#define SSO_PATHS(root) \
    root "/api/lti/authorize_redirect", root "/login/oauth2/token", root "/login/oauth2/token", root "/api/lti/security/jwks"

/* SPEC section 11, row by row. */
static const preset_row_t preset_rows[] = {
    {"canvas", "https://canvas.instructure.com", NULL, "https://canvas.instructure.com", SSO_PATHS("https://sso.canvaslms.com"),
     LTI_DEPLOYMENT_ASK, 50},
    {"canvas", "https://school.instructure.com/", NULL, "https://canvas.instructure.com", SSO_PATHS("https://sso.canvaslms.com"),
     LTI_DEPLOYMENT_ASK, 50},
    {"canvas", "https://School.Instructure.com/courses/7", NULL, "https://canvas.instructure.com",
     SSO_PATHS("https://sso.canvaslms.com"), LTI_DEPLOYMENT_ASK, 50},
    {"canvas", "https://canvas.beta.instructure.com", NULL, "https://canvas.beta.instructure.com",
     SSO_PATHS("https://sso.beta.canvaslms.com"), LTI_DEPLOYMENT_ASK, 50},
    {"canvas", "https://school.test.instructure.com", NULL, "https://canvas.test.instructure.com",
     SSO_PATHS("https://sso.test.canvaslms.com"), LTI_DEPLOYMENT_ASK, 50},
    {"canvas", "https://canvas.example.edu", NULL, "https://canvas.instructure.com", SSO_PATHS("https://canvas.example.edu"),
     LTI_DEPLOYMENT_ANY, 50},
    {"canvas", "https://notinstructure.com:8443/x/", NULL, "https://canvas.instructure.com",
     "https://notinstructure.com:8443/api/lti/authorize_redirect", "https://notinstructure.com:8443/login/oauth2/token",
     "https://notinstructure.com/login/oauth2/token", "https://notinstructure.com:8443/api/lti/security/jwks", LTI_DEPLOYMENT_ANY, 50},
    {"canvas", "https://[fd00::7]", NULL, "https://canvas.instructure.com", SSO_PATHS("https://[fd00::7]"), LTI_DEPLOYMENT_ANY, 50},
    {"canvas", "http://[::1]:3000", NULL, "https://canvas.instructure.com", "http://[::1]:3000/api/lti/authorize_redirect",
     "http://[::1]:3000/login/oauth2/token", "http://[::1]/login/oauth2/token", "http://[::1]:3000/api/lti/security/jwks",
     LTI_DEPLOYMENT_ANY, 50},
    {"canvas", "https://canvas.instructure.com.example.org", NULL, "https://canvas.instructure.com",
     SSO_PATHS("https://canvas.instructure.com.example.org"), LTI_DEPLOYMENT_ANY, 50},
    {"moodle", "https://moodle.example.edu", NULL, "https://moodle.example.edu", "https://moodle.example.edu/mod/lti/auth.php",
     "https://moodle.example.edu/mod/lti/token.php", "https://moodle.example.edu/mod/lti/token.php",
     "https://moodle.example.edu/mod/lti/certs.php", LTI_DEPLOYMENT_ANY, 0},
    {"moodle", "http://localhost:8081/moodle//", NULL, "http://localhost:8081/moodle",
     "http://localhost:8081/moodle/mod/lti/auth.php", "http://localhost:8081/moodle/mod/lti/token.php",
     "http://localhost:8081/moodle/mod/lti/token.php", "http://localhost:8081/moodle/mod/lti/certs.php", LTI_DEPLOYMENT_ANY, 0},
    {"blackboard", "https://bb.example.edu", NULL, "https://blackboard.com",
     "https://developer.blackboard.com/api/v1/gateway/oidcauth", "https://developer.blackboard.com/api/v1/gateway/oauth2/jwttoken",
     "https://developer.blackboard.com/api/v1/gateway/oauth2/jwttoken",
     "https://developer.blackboard.com/api/v1/management/applications/client-1/jwks.json", LTI_DEPLOYMENT_ASK, 1000},
    {"brightspace", "https://bs.example.edu/d2l/home", NULL, "https://bs.example.edu",
     "https://bs.example.edu/d2l/lti/authenticate", "https://auth.brightspace.com/core/connect/token",
     "https://api.brightspace.com/auth/token", "https://bs.example.edu/d2l/.well-known/jwks", LTI_DEPLOYMENT_ANY, 0},
    {"sakai", "https://sakai.example.edu/", "12", "https://sakai.example.edu", "https://sakai.example.edu/imsoidc/lti13/oidc_auth",
     "https://sakai.example.edu/imsblis/lti13/token/12", "https://sakai.example.edu/imsblis/lti13/token/12",
     "https://sakai.example.edu/imsblis/lti13/keyset", LTI_DEPLOYMENT_ANY, 0},
    {"schoology", NULL, NULL, "https://schoology.schoology.com",
     "https://lti-service.svc.schoology.com/lti-service/authorize-redirect",
     "https://lti-service.svc.schoology.com/lti-service/access-token",
     "https://lti-service.svc.schoology.com/lti-service/access-token",
     "https://lti-service.svc.schoology.com/lti-service/.well-known/jwks", LTI_DEPLOYMENT_ASK, 100},
};

static void presets_fill_a_registration(void **state)
{
    apr_pool_t *p = *state;
    lti_err_t err = {.code = LTI_OK};

    for (size_t i = 0; i < sizeof preset_rows / sizeof *preset_rows; i++) {
        const preset_row_t *row = &preset_rows[i];
        lti_platform_t *platform = blank(p, "campus", "client-1");
        assert_ok(lti_platform_preset(platform, lti_family_by_name(row->family), row->url, row->key, p, &err), err);
        assert_ok(lti_platform_check(platform, p, &err), err);
        assert_string_equal(platform->issuer, row->issuer);
        assert_string_equal(platform->authorization_endpoint, row->authorization);
        assert_string_equal(platform->token_endpoint, row->token);
        assert_string_equal(platform->token_audience, row->audience);
        assert_string_equal(platform->key_set, row->key_set);
        assert_int_equal(platform->deployments, row->deployments);
        assert_int_equal(platform->page_limit, row->page_limit);
        assert_int_equal(platform->escaped_names, strcmp(row->family, "moodle") == 0);
        assert_int_equal(platform->algorithms, LTI_ALG_DEFAULT);
        assert_string_equal(lti_family_name(platform->family), row->family);
    }
}

static void what_was_written_wins_over_the_preset(void **state)
{
    apr_pool_t *p = *state;
    lti_platform_t *platform = complete(p, "campus", "https://own.example.edu", "c");
    lti_err_t err = {.code = LTI_OK};

    platform->token_audience = "https://audience.example.edu";
    platform->algorithms = LTI_ALG_BIT(LTI_ALG_ES384);
    platform->deployment_ids = ids(p, "7", NULL);
    assert_ok(lti_platform_preset(platform, LTI_FAMILY_SAKAI, "https://sakai.example.edu", NULL, p, &err), err);
    assert_ok(lti_platform_check(platform, p, &err), err);
    assert_string_equal(platform->issuer, "https://own.example.edu");
    assert_string_equal(platform->authorization_endpoint, "https://lms.example.edu/auth");
    assert_string_equal(platform->token_endpoint, "https://lms.example.edu/token");
    assert_string_equal(platform->token_audience, "https://audience.example.edu");
    assert_string_equal(platform->key_set, "https://lms.example.edu/keys");
    assert_int_equal(platform->deployments, LTI_DEPLOYMENT_LIST);
    assert_int_equal(platform->algorithms, LTI_ALG_BIT(LTI_ALG_ES384));

    platform = blank(p, "cloud", "c");
    platform->deployments = LTI_DEPLOYMENT_ANY;
    assert_ok(lti_platform_preset(platform, LTI_FAMILY_CANVAS, "https://a.instructure.com", NULL, p, &err), err);
    assert_int_equal(platform->deployments, LTI_DEPLOYMENT_ANY);
}

static void presets_say_what_is_missing(void **state)
{
    static const struct {
        lti_family_t family;
        const char *url, *client_id, *named;
    } rows[] = {
        {LTI_FAMILY_OTHER, "https://lms.example.edu", "c", "LTIAuthorizationEndpoint"},
        {LTI_FAMILY_MOODLE, NULL, "c", "LTIPreset moodle https://"},
        {LTI_FAMILY_MOODLE, "", "c", "LTIPreset moodle https://"},
        {LTI_FAMILY_MOODLE, "moodle.example.edu", "c", "LTIPreset moodle"},
        {LTI_FAMILY_MOODLE, "http://moodle.example.edu", "c", "LTIPreset moodle"},
        {LTI_FAMILY_MOODLE, "https://moodle.example.edu/?x=1", "c", "query"},
        {LTI_FAMILY_CANVAS, "ftp://canvas.example.edu", "c", "LTIPreset canvas"},
        {LTI_FAMILY_SAKAI, "https://sakai.example.edu", "c", "KEY"},
        {LTI_FAMILY_BLACKBOARD, "https://bb.example.edu", NULL, "LTIClientID"},
    };
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lti_err_t err = {.code = LTI_OK};
        lti_platform_t *platform = blank(p, "campus", rows[i].client_id);
        assert_code(lti_platform_preset(platform, rows[i].family, rows[i].url, NULL, p, &err), err, LTI_E_CONFIG);
        assert_non_null(strstr(err.text, rows[i].named));
    }
}

typedef void breaker_t(lti_platform_t *platform, apr_pool_t *p);

static void no_name(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->name = "";
}

static void bad_name(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->name = "cam pus";
}

static void long_name(lti_platform_t *platform, apr_pool_t *p)
{
    char *name = apr_pcalloc(p, 66);
    memset(name, 'n', 65);
    platform->name = name;
}

static void no_client(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->client_id = NULL;
}

static void bad_client(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->client_id = "a\tb";
}

static void no_issuer(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->issuer = NULL;
}

static void issuer_with_query(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->issuer = "https://lms.example.edu/?school=1";
}

static void no_authorization(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->authorization_endpoint = NULL;
}

static void plain_authorization(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->authorization_endpoint = "http://lms.example.edu/auth";
}

static void no_token(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->token_endpoint = NULL;
}

static void plain_token(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->token_endpoint = "http://lms.example.edu/token";
}

static void no_key_set(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->key_set = NULL;
}

static void key_set_with_password(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->key_set = "https://a:b@lms.example.edu/keys";
}

static void empty_list(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->deployments = LTI_DEPLOYMENT_LIST;
}

static void bad_deployment(lti_platform_t *platform, apr_pool_t *p)
{
    platform->deployment_ids = ids(p, "a\nb", NULL);
}

static void bad_template(lti_platform_t *platform, apr_pool_t *p)
{
    (void)p;
    platform->remote_user = "{nobody}";
}

static void a_registration_that_cannot_work_is_refused(void **state)
{
    static const struct {
        breaker_t *breaker;
        const char *named;
    } rows[] = {
        {no_name, "name"},
        {bad_name, "cam pus"},
        {long_name, "name"},
        {no_client, "LTIClientID"},
        {bad_client, "LTIClientID"},
        {no_issuer, "LTIIssuer"},
        {issuer_with_query, "LTIIssuer"},
        {no_authorization, "LTIAuthorizationEndpoint"},
        {plain_authorization, "LTIAuthorizationEndpoint"},
        {no_token, "LTITokenEndpoint"},
        {plain_token, "LTITokenEndpoint"},
        {no_key_set, "LTIKeySet"},
        {key_set_with_password, "LTIKeySet"},
        {empty_list, "LTIDeployment"},
        {bad_deployment, "LTIDeployment"},
        {bad_template, "{nobody}"},
    };
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lti_err_t err = {.code = LTI_OK};
        lti_platform_t *platform = complete(p, "campus", "https://lms.example.edu", "c");
        rows[i].breaker(platform, p);
        assert_code(lti_platform_check(platform, p, &err), err, LTI_E_CONFIG);
        assert_non_null(strstr(err.text, rows[i].named));
    }
}

static void defaults_of_explicit_registrations(void **state)
{
    apr_pool_t *p = *state;
    lti_err_t err = {.code = LTI_OK};
    lti_platform_t *platform = complete(p, "campus", "https://lms.example.edu", "c");

    assert_ok(lti_platform_check(platform, p, &err), err);
    assert_string_equal(platform->token_audience, "https://lms.example.edu/token");
    assert_int_equal(platform->deployments, LTI_DEPLOYMENT_ANY);
    assert_int_equal(platform->page_limit, 100);
    assert_int_equal(platform->algorithms, LTI_ALG_DEFAULT);

    /* Many schools live under this issuer, however the end points were written. */
    platform = complete(p, "cloud", "https://canvas.instructure.com", "c");
    assert_ok(lti_platform_check(platform, p, &err), err);
    assert_int_equal(platform->deployments, LTI_DEPLOYMENT_ASK);

    platform = complete(p, "trial", "http://localhost:9000", "c");
    platform->authorization_endpoint = "http://127.0.0.1:9000/auth";
    platform->token_endpoint = "http://[::1]:9000/token";
    assert_ok(lti_platform_check(platform, p, &err), err);
}

static void pages_of_the_platform_may_frame_ours(void **state) /* SPEC S-25 */
{
    static const struct {
        const char *family, *url, *directive;
    } rows[] = {
        {"moodle", "https://moodle.example.edu/moodle", "frame-ancestors 'self' https://moodle.example.edu"},
        {"canvas", "https://school.instructure.com",
         "frame-ancestors 'self' https://canvas.instructure.com https://sso.canvaslms.com https://*.instructure.com"},
        {"canvas", "https://school.beta.instructure.com",
         "frame-ancestors 'self' https://canvas.beta.instructure.com https://sso.beta.canvaslms.com https://*.instructure.com"},
        {"blackboard", "https://blackboard.com",
         "frame-ancestors 'self' https://blackboard.com https://developer.blackboard.com https://*.blackboard.com"},
        {"schoology", "https://schoology.schoology.com",
         "frame-ancestors 'self' https://schoology.schoology.com https://lti-service.svc.schoology.com https://*.schoology.com"},
        {"brightspace", "https://d2l.example.edu", "frame-ancestors 'self' https://d2l.example.edu"},
    };
    apr_pool_t *p = *state;
    lti_err_t err = {.code = LTI_OK};
    lti_platform_t *platform;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        platform = blank(p, "campus", "c");
        assert_ok(lti_platform_preset(platform, lti_family_by_name(rows[i].family), rows[i].url, NULL, p, &err), err);
        assert_ok(lti_platform_check(platform, p, &err), err);
        assert_string_equal(platform->frame_ancestors, rows[i].directive);
    }
    platform = complete(p, "trial", "http://localhost:9000", "c");
    platform->authorization_endpoint = "http://[::1]:9001/auth"; /* an address that no policy can name */
    assert_ok(lti_platform_check(platform, p, &err), err);
    assert_string_equal(platform->frame_ancestors, "frame-ancestors 'self' http://localhost:9000");
}

static void a_login_finds_its_registration(void **state) /* SPEC L-03, L-08, L-09 */
{
    static const struct {
        const char *issuer, *client_id, *deployment;
        lti_code_t code;
        const char *name;
    } rows[] = {
        {"https://one.example.edu", NULL, NULL, LTI_OK, "one"},
        {"https://one.example.edu", "c1", NULL, LTI_OK, "one"},
        {"https://one.example.edu", "", "unlisted", LTI_OK, "one"},
        {"https://one.example.edu", "c2", NULL, LTI_E_CLIENT_UNKNOWN, NULL},
        {"https://one.example.edu", "C1", NULL, LTI_E_CLIENT_UNKNOWN, NULL},
        {"https://many.example.edu", "c2", NULL, LTI_OK, "two"},
        {"https://many.example.edu", "c3", "d2", LTI_OK, "three"}, /* the client id counts, the deployment is judged later */
        {"https://many.example.edu", NULL, "d2", LTI_OK, "two"},
        {"https://many.example.edu", NULL, "d3", LTI_OK, "three"},
        {"https://many.example.edu", NULL, "both", LTI_E_PLATFORM_AMBIGUOUS, NULL},
        {"https://many.example.edu", NULL, "d4", LTI_E_PLATFORM_AMBIGUOUS, NULL},
        {"https://many.example.edu", NULL, NULL, LTI_E_PLATFORM_AMBIGUOUS, NULL},
        {"https://many.example.edu", "", "", LTI_E_PLATFORM_AMBIGUOUS, NULL},
        {"https://one.example.edu/", "c1", NULL, LTI_E_ISSUER_UNKNOWN, NULL}, /* no trailing-slash repair */
        {"https://ONE.example.edu", "c1", NULL, LTI_E_ISSUER_UNKNOWN, NULL},
        {"https://none.example.edu", NULL, NULL, LTI_E_ISSUER_UNKNOWN, NULL},
    };
    apr_pool_t *p = *state;
    apr_array_header_t *platforms = apr_array_make(p, 3, sizeof(lti_platform_t *));
    lti_platform_t *two = complete(p, "two", "https://many.example.edu", "c2");
    lti_platform_t *three = complete(p, "three", "https://many.example.edu", "c3");

    two->deployment_ids = ids(p, "d2", "both");
    three->deployment_ids = ids(p, "d3", "both");
    APR_ARRAY_PUSH(platforms, lti_platform_t *) = complete(p, "one", "https://one.example.edu", "c1");
    APR_ARRAY_PUSH(platforms, lti_platform_t *) = two;
    APR_ARRAY_PUSH(platforms, lti_platform_t *) = three;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const lti_platform_t *found = NULL;
        lti_err_t err = {.code = LTI_OK};
        apr_status_t rv = lti_platform_find(&found, platforms, rows[i].issuer, rows[i].client_id, rows[i].deployment, &err);
        if (rows[i].code == LTI_OK) {
            assert_ok(rv, err);
            assert_string_equal(found->name, rows[i].name);
        } else {
            assert_code(rv, err, rows[i].code);
        }
    }
    assert_ptr_equal(lti_platform_by_name(platforms, "two"), two);
    assert_null(lti_platform_by_name(platforms, "Two"));
}

static void deployments_are_admitted_by_configuration(void **state) /* SPEC K-04 */
{
    apr_pool_t *p = *state;
    lti_platform_t *platform = complete(p, "campus", "https://lms.example.edu", "c");

    platform->deployments = LTI_DEPLOYMENT_ANY;
    assert_int_equal(lti_platform_accepts(platform, "d1"), 1);
    platform->deployments = LTI_DEPLOYMENT_ASK;
    assert_int_equal(lti_platform_accepts(platform, "d1"), 0);
    platform->deployment_ids = ids(p, "d1", "d2");
    assert_int_equal(lti_platform_accepts(platform, "d1"), 1);
    assert_int_equal(lti_platform_accepts(platform, "D1"), 0);
    platform->deployments = LTI_DEPLOYMENT_LIST;
    assert_int_equal(lti_platform_accepts(platform, "d2"), 1);
    assert_int_equal(lti_platform_accepts(platform, "d3"), 0);
    platform->deployments = LTI_DEPLOYMENT_UNSET;
    assert_int_equal(lti_platform_accepts(platform, "d3"), 0);
}

/* SPEC N-40 */
static void course_keys_differ_wherever_a_part_differs(void **state)
{
    static const char *const rows[][4] = {
        {"https://a.example", "c", "1", "7"}, {"https://b.example", "c", "1", "7"}, {"https://a.example", "d", "1", "7"},
        {"https://a.example", "c", "2", "7"}, {"https://a.example", "c", "1", "8"}, {"https://a.example", "c1", "", "7"},
        {"https://a.example", "c", "17", ""}, {"https://a.example", "c", "", "17"}, {"https://a.example", "", "c1", "7"},
        {"https://a.examplec", "", "1", "7"},
    };
    char keys[sizeof rows / sizeof *rows][LTI_COURSE_KEY_LENGTH + 1];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lti_platform_course_key(keys[i], rows[i][0], rows[i][1], rows[i][2], rows[i][3]);
        assert_int_equal(strlen(keys[i]), LTI_COURSE_KEY_LENGTH);
        assert_int_equal(strspn(keys[i], "abcdefghijklmnopqrstuvwxyz234567"), LTI_COURSE_KEY_LENGTH);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(keys[i], keys[k]);
    }
    /* Stable across releases: it is the primary key of a course, in databases and in applications. */
    assert_string_equal(keys[0], "ut377aojqn2kemiz");
}

static void own_hosts(void **state)
{
    apr_pool_t *p = *state;
    lti_platform_t *platform = complete(p, "campus", "https://issuer.example.edu", "c");

    platform->key_set = "https://Keys.Example.edu:8443/jwks";
    assert_int_equal(lti_platform_owns_host(platform, "https://LMS.example.edu:99/nrps/1", p), 1);
    assert_int_equal(lti_platform_owns_host(platform, "https://keys.example.edu/", p), 1);
    assert_int_equal(lti_platform_owns_host(platform, "https://issuer.example.edu/", p), 0);
    assert_int_equal(lti_platform_owns_host(platform, "https://evil.example.edu/?lms.example.edu", p), 0);
    assert_int_equal(lti_platform_owns_host(platform, "no url", p), 0);
}

#define EIGHT_WORDS "{sub}{email}{sub}{email}{sub}{email}{sub}{email}"

static void templates_are_checked(void **state)
{
    static const struct {
        const char *text;
        int ok, unique;
    } rows[] = {
        {"{sub}@{platform}", 1, 1}, {"{issuer}/{sub}", 1, 1}, {"{email}", 1, 0},   {"{email-local}", 1, 0}, {"x-{sourcedid}", 1, 0},
        {"{platform}", 0, 0},       {"somebody", 0, 0},       {"", 0, 0},          {"{sub", 0, 0},          {"sub}", 0, 0},
        {"{sub}}", 0, 0},           {"{{sub}}", 0, 0},        {"{}", 0, 0},        {"{Sub}", 0, 0},         {"{name}", 0, 0},
        {"{sub}{", 0, 0},           {"{sub}\n", 0, 0},        {"{sub}\xff", 0, 0}, {"{sub }", 0, 0},        {"{email-}", 0, 0},
    };
    lti_err_t err = {.code = LTI_OK};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int unique = -1;
        apr_status_t rv = lti_remote_user_check(rows[i].text, &unique, &err);
        if (rows[i].ok) {
            assert_ok(rv, err);
            assert_int_equal(unique, rows[i].unique);
        } else {
            assert_code(rv, err, LTI_E_CONFIG);
        }
    }
    assert_code(lti_remote_user_check(NULL, NULL, &err), err, LTI_E_CONFIG);
    assert_ok(lti_remote_user_check("{sub}", NULL, &err), err);
    assert_ok(lti_remote_user_check(EIGHT_WORDS EIGHT_WORDS, NULL, &err), err);
    assert_code(lti_remote_user_check(EIGHT_WORDS EIGHT_WORDS "-", NULL, &err), err, LTI_E_CONFIG);
}

static void remote_user_names(void **state)
{
    static const struct {
        const char *text, *sub, *email, *sourcedid, *user;
    } rows[] = {
        {"{sub}@{platform}", "u1", NULL, NULL, "u1@campus"},
        {"{email}", "u1", "ann@example.edu", NULL, "ann@example.edu"},
        {"{email-local}", "u1", "ann@example.edu", NULL, "ann"},
        {"{email-local}", "u1", "\"a@b\"@example.edu", NULL, "\"a@b\""},
        {"{sourcedid}", "u1", NULL, "S-7", "S-7"},
        {"{sub}@{issuer}", "u1", NULL, NULL, "u1@https%3A%2F%2Flms.example.edu"},
        {"lti-{sub}-x", "u1", NULL, NULL, "lti-u1-x"},
        {"{sub}", "../etc/passwd", NULL, NULL, "%2E.%2Fetc%2Fpasswd"},
        {"{sub}", "a b:c%d\\e/f.g", NULL, NULL, "a%20b%3Ac%25d%5Ce%2Ff.g"},
        {"x{sub}", ".y", NULL, NULL, "x.y"},
        {".{sub}", "y", NULL, NULL, "%2Ey"},
        {"a b/{sub}", "y", NULL, NULL, "a%20b%2Fy"},
        {"{sub}", "m\xc3\xbcller", NULL, NULL, "m\xc3\xbcller"},
        {"{sub}", "////", NULL, NULL, "%2F%2F%2F%2F"},
    };
    apr_pool_t *p = *state;
    const lti_platform_t *platform = complete(p, "campus", "https://lms.example.edu", "c");

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const lti_person_t person = {.sub = rows[i].sub, .email = rows[i].email, .sourcedid = rows[i].sourcedid};
        const char *user = NULL;
        lti_err_t err = {.code = LTI_OK};
        assert_ok(lti_remote_user(&user, rows[i].text, platform, &person, p, &err), err);
        assert_string_equal(user, rows[i].user);
    }
}

static void remote_user_refuses_what_would_be_nobody(void **state)
{
    static const struct {
        const char *text, *sub, *email, *sourcedid;
    } rows[] = {
        {"{sub}", NULL, NULL, NULL},        {"{sub}@{platform}", "", NULL, NULL}, {"{email}@{platform}", "u", NULL, NULL},
        {"{email}", "u", "", NULL},         {"{email-local}", "u", "ann", NULL},  {"{email-local}", "u", "@example.edu", NULL},
        {"{sourcedid}", "u", "a@b", NULL},  {"{sub}", "a\nb", NULL, NULL},        {"{sub}", "a\x7f", NULL, NULL},
        {"{sub}", "a\xc2\x85", NULL, NULL}, {"{sub}", "a\xff", NULL, NULL},       {"{email-local}", "u", "ann@\n", NULL},
        {"{sub", "u", NULL, NULL},          {"{what}", "u", NULL, NULL},          {"", "u", NULL, NULL},
    };
    apr_pool_t *p = *state;
    const lti_platform_t *platform = complete(p, "campus", "https://lms.example.edu", "c");

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const lti_person_t person = {.sub = rows[i].sub, .email = rows[i].email, .sourcedid = rows[i].sourcedid};
        const char *user = NULL;
        lti_err_t err = {.code = LTI_OK};
        assert_code(lti_remote_user(&user, rows[i].text, platform, &person, p, &err), err, LTI_E_REMOTE_USER);
        assert_null(user);
    }
}

static void rates_are_read_and_have_defaults(void **state)
{
    static const struct {
        const char *text;
        apr_interval_time_t interval; /* 0: refused */
    } cases[] = {{"10/s", 100000}, {"1/s", 1000000}, {"30/m", 2000000}, {"1/m", 60000000}, {"10000/s", 100},  {"off", -1},  {"Off", -1},
                 {"0/s", 0},       {"10", 0},        {"10/h", 0},       {"-1/s", 0},       {"10001/s", 0},    {"", 0},      {"/s", 0},
                 {"10/sec", 0},    {"1.5/s", 0},     {" 10/s", 0},      {"10 /s", 0},      {"99999999999999999999/s", 0}};
    static const struct {
        lti_family_t family;
        apr_interval_time_t interval;
    } defaults[] = {{LTI_FAMILY_CANVAS, 100000}, {LTI_FAMILY_MOODLE, 200000}, {LTI_FAMILY_SAKAI, 200000}, {LTI_FAMILY_SCHOOLOGY, 100000}};
    apr_pool_t *p = *state;
    lti_platform_t *platform;
    lti_err_t err;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        apr_interval_time_t interval = 0;
        apr_status_t rv = lti_platform_rate(&interval, cases[i].text, &err);

        if (cases[i].interval == 0) {
            assert_code(rv, err, LTI_E_CONFIG);
            assert_non_null(strstr(err.text, "10/s"));
        } else {
            assert_ok(rv, err);
        }
        assert_int_equal(interval, cases[i].interval);
    }
    for (i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        platform = complete(p, "campus", "https://lms.example.edu", "tool");
        assert_ok(lti_platform_preset(platform, defaults[i].family, "https://lms.example.edu", "key", p, &err), err);
        assert_ok(lti_platform_check(platform, p, &err), err);
        assert_int_equal(platform->request_interval, defaults[i].interval);
    }
    platform = complete(p, "campus", "https://lms.example.edu", "tool");
    platform->request_interval = -1;
    assert_ok(lti_platform_preset(platform, LTI_FAMILY_MOODLE, "https://lms.example.edu", NULL, p, &err), err);
    assert_ok(lti_platform_check(platform, p, &err), err);
    assert_int_equal(platform->request_interval, -1);
    platform = complete(p, "campus", "https://lms.example.edu", "tool");
    assert_ok(lti_platform_check(platform, p, &err), err);
    assert_int_equal(platform->request_interval, 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(family_names_go_both_ways),
        POOL_TEST(presets_fill_a_registration),
        POOL_TEST(what_was_written_wins_over_the_preset),
        POOL_TEST(presets_say_what_is_missing),
        POOL_TEST(a_registration_that_cannot_work_is_refused),
        POOL_TEST(defaults_of_explicit_registrations),
        POOL_TEST(rates_are_read_and_have_defaults),
        POOL_TEST(pages_of_the_platform_may_frame_ours),
        POOL_TEST(a_login_finds_its_registration),
        POOL_TEST(deployments_are_admitted_by_configuration),
        POOL_TEST(course_keys_differ_wherever_a_part_differs),
        POOL_TEST(own_hosts),
        POOL_TEST(templates_are_checked),
        POOL_TEST(remote_user_names),
        POOL_TEST(remote_user_refuses_what_would_be_nobody),
    };
    return cmocka_run_group_tests_name("platform", tests, NULL, NULL);
}
