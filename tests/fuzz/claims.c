/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The claims of a verified token (SPEC sections 2 to 4): what becomes a launch is clean and bounded, and comes back from a session's cookie as it went in.
 */
#include "fuzz.h"

#include "lti_claims.h"
#include "lti_session.h"

#define BASE "https://tools.example.edu"
#define NOW (1760000005 * APR_USEC_PER_SEC)
#define TEXT_MAX (64 * 1024)

static lti_platform_t platform = {
    .name = "campus", .issuer = "https://lms.example.org", .client_id = "tool-77", .deployments = LTI_DEPLOYMENT_ANY};

static const lti_expect_t expect = {.platform = &platform,
                                    .nonce = "n-5f1c",
                                    .target = BASE "/app/",
                                    .now = NOW,
                                    .skew_seconds = 60,
                                    .allow_anonymous = 1,
                                    .message_types =
                                        LTI_MESSAGE_RESOURCE_LINK | LTI_MESSAGE_SUBMISSION_REVIEW | LTI_MESSAGE_DEEP_LINKING};

/* Every text of a launch that comes from the token. */
static const char *const *texts_of(const lti_launch_t *launch, int *count)
{
    static const char *texts[24];
    int n = 0;

    texts[n++] = launch->id;
    texts[n++] = launch->deployment_id;
    texts[n++] = launch->user_id;
    texts[n++] = launch->name;
    texts[n++] = launch->given_name;
    texts[n++] = launch->family_name;
    texts[n++] = launch->email;
    texts[n++] = launch->sourcedid;
    texts[n++] = launch->locale;
    texts[n++] = launch->roles;
    texts[n++] = launch->context_id;
    texts[n++] = launch->context_label;
    texts[n++] = launch->context_title;
    texts[n++] = launch->context_type;
    texts[n++] = launch->course_key;
    texts[n++] = launch->resource_link_id;
    texts[n++] = launch->resource_link_title;
    texts[n++] = launch->message_type;
    texts[n++] = launch->target_link_uri;
    texts[n++] = launch->return_url;
    *count = n;
    return texts;
}

static int check_custom(void *baton, const char *name, const char *value)
{
    (void)baton;
    FUZZ_MUST(name[0] != '\0' && fuzz_is_clean(name, TEXT_MAX) && fuzz_is_clean(value, TEXT_MAX));
    return 1;
}

static void check_session(const lti_launch_t *launch, apr_pool_t *p)
{
    static lti_sealer_t *sealer;
    const char *before[24], *const *after, *value = NULL, *surplus = NULL, *name;
    lti_session_t *session = NULL;
    lti_err_t err = {.code = LTI_OK};
    int count, i;

    if (sealer == NULL)
        FUZZ_MUST(lti_sealer_create(&sealer, "session", &(lti_bytes_t){"0123456789abcdef0123456789abcdef", 32}, 1, fuzz_pool(),
                                    &err) == APR_SUCCESS);
    memcpy(before, texts_of(launch, &count), sizeof(before));
    name = lti_session_cookie_name(sealer, "lti", launch, p);
    FUZZ_MUST(name != NULL);
    FUZZ_MUST(lti_session_seal(&value, &surplus, sealer, BASE, name, launch, NOW + APR_USEC_PER_SEC, NOW, p, &err) == APR_SUCCESS);
    FUZZ_MUST(strlen(name) + 1 + strlen(value) <= LTI_SESSION_COOKIE_MAX);
    FUZZ_MUST(lti_session_open(&session, sealer, BASE, name, value, NOW, 0, p, &err) == APR_SUCCESS);
    FUZZ_MUST(session->has_surplus == (surplus != NULL));
    if (surplus != NULL)
        FUZZ_MUST(lti_session_add_surplus(session, surplus, p, &err) == APR_SUCCESS);
    FUZZ_MUST(session->launch.role == launch->role && session->launch.role_flags == launch->role_flags);
    after = texts_of(&session->launch, &count);
    for (i = 0; i < count; i++)
        FUZZ_MUST((before[i] == NULL) == (after[i] == NULL) && (before[i] == NULL || strcmp(before[i], after[i]) == 0));
    FUZZ_MUST((launch->custom == NULL ? 0 : apr_table_elts(launch->custom)->nelts) ==
              (session->launch.custom == NULL ? 0 : apr_table_elts(session->launch.custom)->nelts));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_begin();
    json_t *claims = NULL;
    lti_launch_t *launch = NULL;
    const char *const *texts;
    lti_err_t err = {.code = LTI_OK};
    apr_status_t rv = lti_json_object(&claims, (const char *)data, size, LTI_E_TOKEN_MALFORMED, p, &err);
    int count, i;

    if (rv == APR_SUCCESS)
        rv = lti_claims_launch(&launch, claims, &expect, p, &err);
    FUZZ_MUST_TELL(rv, err);
    if (rv == APR_SUCCESS) {
        texts = texts_of(launch, &count);
        for (i = 0; i < count; i++)
            FUZZ_MUST(fuzz_is_clean(texts[i], TEXT_MAX));
        FUZZ_MUST(strcmp(launch->target_link_uri, expect.target) == 0 && strcmp(launch->deployment_id, "") != 0);
        FUZZ_MUST((launch->course_key == NULL) == (launch->context_id == NULL));
        FUZZ_MUST(launch->nrps_url == NULL || fuzz_is_clean(launch->nrps_url, TEXT_MAX));
        if (launch->custom != NULL)
            apr_table_do(check_custom, NULL, launch->custom, NULL);
        check_session(launch, p);
    }
    fuzz_end(p);
    return 0;
}
