/* SPDX-License-Identifier: Apache-2.0 */
/* The claims without which there is no launch, in the order in which they are judged. */
#include "lti_claims_part.h"

#include <stdint.h>
#include <string.h>
#include <apr_strings.h>
#include "lti_crypto.h"
#include "lti_http.h"
#include "lti_json.h"
#include "lti_roster.h"

#define TOKEN_LIFETIME_MAX (24 * 60 * 60) /* seconds (SPEC C-08) */
#define NUMBER_MAX 9007199254740992.0     /* 2^53 */
#define LAUNCH_ID_BYTES 12

unsigned lti_message_type_by_name(const char *name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } types[] = {
        {"LtiResourceLinkRequest", LTI_MESSAGE_RESOURCE_LINK},
        {"LtiSubmissionReviewRequest", LTI_MESSAGE_SUBMISSION_REVIEW},
        {"LtiDeepLinkingRequest", LTI_MESSAGE_DEEP_LINKING},
    };

    for (apr_size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(name, types[i].name) == 0)
            return types[i].bit;
    }
    return 0;
}

/* --- members of every kind --------------------------------------------------------------------------------------------------- */

/* The rule that a required claim is under: log lines name it (SPEC section 10). */
static const char *rule_of(const char *label)
{
    static const struct {
        const char *claim, *rule;
    } rules[] = {
        {"iss", "C-01"},           {"aud", "C-02"},           {"azp", "C-05"},
        {"exp", "C-06"},           {"iat", "C-07"},           {"nbf", "C-09"},
        {"nonce", "C-10"},         {"sub", "C-11"},           {"message_type", "K-01"},
        {"version", "K-02"},       {"deployment_id", "K-03"}, {"target_link_uri", "K-06"},
        {"resource_link", "K-09"}, {"roles", "K-10"},         {"context", "K-13"},
        {"for_user", "K-24"},      {"endpoint", "M-07"},      {"deep_linking_settings", "K-30"},
    };
    apr_size_t length = strcspn(label, ".");

    for (apr_size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strncmp(rules[i].claim, label, length) == 0 && rules[i].claim[length] == '\0')
            return rules[i].rule;
    }
    return "2.3";
}

const char *lti_claim_label(const lti_reading_t *reading, const json_t *object, const char *name)
{
    const char *slash = strrchr(name, '/'), *claim;
    json_t *value;

    if (object == reading->claims)
        return slash == NULL ? name : slash + 1;
    json_object_foreach((json_t *)(uintptr_t)reading->claims, claim, value)
    {
        if (value == object)
            return apr_pstrcat(reading->p, lti_claim_label(reading, reading->claims, claim), ".", name, NULL);
    }
    return name;
}

apr_status_t lti_claim_fail_missing(const lti_reading_t *reading, const json_t *object, const char *name)
{
    const char *label = lti_claim_label(reading, object, name);

    return lti_fail(reading->err, LTI_E_CLAIM_MISSING, APR_EINVAL, "the token has no %s (SPEC %s)", label, rule_of(label));
}

apr_status_t lti_claim_fail_invalid(const lti_reading_t *reading, const json_t *object, const char *name, const char *fault)
{
    const char *label = lti_claim_label(reading, object, name);

    return lti_fail(reading->err, LTI_E_CLAIM_INVALID, APR_EINVAL, "%s %s (SPEC %s)", label, fault, rule_of(label));
}

apr_status_t lti_claim_require_string(const char **text, const lti_reading_t *reading, const json_t *object, const char *name)
{
    const json_t *member = lti_claim_member(object, name);

    if (member == NULL)
        return lti_claim_fail_missing(reading, object, name);
    if (!json_is_string(member))
        return lti_claim_fail_invalid(reading, object, name, "is no string");
    *text = json_string_value(member);
    return APR_SUCCESS;
}

apr_status_t lti_claim_require_id(const char **id, const lti_reading_t *reading, const json_t *object, const char *name)
{
    const char *text = NULL;
    apr_size_t length = 0;
    apr_status_t rv = lti_claim_require_string(&text, reading, object, name);

    if (rv != APR_SUCCESS)
        return rv;
    for (; text[length] != '\0'; length++) {
        if (length == LTI_ID_MAX)
            return lti_claim_fail_invalid(reading, object, name, "is longer than 255 bytes");
        if (text[length] < 0x20 || text[length] > 0x7e)
            return lti_claim_fail_invalid(reading, object, name, "has characters that are not printable ASCII");
    }
    if (length == 0)
        return lti_claim_fail_invalid(reading, object, name, "is empty");
    *id = apr_pstrmemdup(reading->p, text, length);
    return APR_SUCCESS;
}

apr_status_t lti_claim_require_object(const json_t **object, const lti_reading_t *reading, const char *name)
{
    *object = lti_claim_member(reading->claims, name);
    if (*object == NULL)
        return lti_claim_fail_missing(reading, reading->claims, name);
    return json_is_object(*object) ? APR_SUCCESS : lti_claim_fail_invalid(reading, reading->claims, name, "is no object");
}

/* Whole seconds of a time claim (SPEC C-06, S-15). */
static apr_status_t read_seconds(apr_int64_t *seconds, const lti_reading_t *reading, const json_t *member, const char *name)
{
    if (!json_is_number(member))
        return lti_claim_fail_invalid(reading, reading->claims, name, "is no number");
    if (!(json_number_value(member) >= 0 && json_number_value(member) <= NUMBER_MAX))
        return lti_claim_fail_invalid(reading, reading->claims, name, "is out of range");
    *seconds = json_is_integer(member) ? json_integer_value(member) : (apr_int64_t)json_real_value(member);
    return APR_SUCCESS;
}

/* --- OpenID ------------------------------------------------------------------------------------------------------------------- */

static apr_status_t check_issuer(const lti_reading_t *reading)
{
    const char *issuer = NULL;
    apr_status_t rv = lti_claim_require_string(&issuer, reading, reading->claims, "iss");

    if (rv != APR_SUCCESS)
        return rv;
    if (strcmp(issuer, reading->expect->platform->issuer) != 0)
        return lti_fail(reading->err, LTI_E_ISSUER, APR_EACCES, "iss is \"%.80s\", not \"%.80s\" (SPEC C-01)", issuer,
                        reading->expect->platform->issuer);
    return APR_SUCCESS;
}

/* One member of aud: this tool, or a stranger, whom no configuration makes trusted (SPEC C-03). */
static apr_status_t check_one_audience(const lti_reading_t *reading, const json_t *member)
{
    const char *audience = json_string_value(member);

    if (audience == NULL)
        return lti_claim_fail_invalid(reading, reading->claims, "aud", "holds what is no string");
    if (strcmp(audience, reading->expect->platform->client_id) != 0)
        return lti_fail(reading->err, LTI_E_AUDIENCE, APR_EACCES, "aud names \"%.80s\", this tool is \"%.80s\" (SPEC C-02, C-03)",
                        audience, reading->expect->platform->client_id);
    return APR_SUCCESS;
}

static apr_status_t check_audience(const lti_reading_t *reading)
{
    const json_t *audience = lti_claim_member(reading->claims, "aud");
    const json_t *party = lti_claim_member(reading->claims, "azp");
    apr_size_t count = json_is_array(audience) ? json_array_size(audience) : 1;
    apr_status_t rv = APR_SUCCESS;

    if (audience == NULL)
        return lti_claim_fail_missing(reading, reading->claims, "aud");
    if (!json_is_array(audience) && !json_is_string(audience))
        return lti_claim_fail_invalid(reading, reading->claims, "aud", "is neither a string nor an array");
    for (apr_size_t i = 0; i < count && rv == APR_SUCCESS; i++)
        rv = check_one_audience(reading, json_is_array(audience) ? json_array_get(audience, i) : audience);
    if (rv != APR_SUCCESS)
        return rv;
    if (count == 0)
        return lti_fail(reading->err, LTI_E_AUDIENCE, APR_EACCES, "aud names nobody (SPEC C-02)");
    if (party == NULL && count > 1)
        return lti_fail(reading->err, LTI_E_AUDIENCE, APR_EACCES, "several audiences, and no azp (SPEC C-04)");
    if (party != NULL && !json_is_string(party))
        return lti_claim_fail_invalid(reading, reading->claims, "azp", "is no string");
    if (party != NULL && strcmp(json_string_value(party), reading->expect->platform->client_id) != 0)
        return lti_fail(reading->err, LTI_E_AUDIENCE, APR_EACCES, "azp is \"%.80s\", this tool is \"%.80s\" (SPEC C-05)",
                        json_string_value(party), reading->expect->platform->client_id);
    return APR_SUCCESS;
}

/* SPEC C-06 to C-09. */
static apr_status_t check_times(const lti_reading_t *reading)
{
    const json_t *exp_claim = lti_claim_member(reading->claims, "exp");
    const json_t *iat_claim = lti_claim_member(reading->claims, "iat");
    const json_t *nbf_claim = lti_claim_member(reading->claims, "nbf");
    apr_int64_t now = apr_time_sec(reading->expect->now), skew = reading->expect->skew_seconds;
    apr_int64_t exp, iat, nbf = 0;
    apr_status_t rv;

    if (exp_claim == NULL || iat_claim == NULL)
        return lti_claim_fail_missing(reading, reading->claims, exp_claim == NULL ? "exp" : "iat");
    if ((rv = read_seconds(&exp, reading, exp_claim, "exp")) != APR_SUCCESS ||
        (rv = read_seconds(&iat, reading, iat_claim, "iat")) != APR_SUCCESS)
        return rv;
    if (nbf_claim != NULL && (rv = read_seconds(&nbf, reading, nbf_claim, "nbf")) != APR_SUCCESS)
        return rv;
    if (now >= exp + skew)
        return lti_fail(reading->err, LTI_E_EXPIRED, APR_EACCES, "exp was %" APR_INT64_T_FMT " s ago (SPEC C-06)", now - exp);
    if (iat > now + skew)
        return lti_fail(reading->err, LTI_E_NOT_YET_VALID, APR_EACCES, "iat is %" APR_INT64_T_FMT " s ahead (SPEC C-07)",
                        iat - now);
    if (now - iat > LTI_LAUNCH_MAX_AGE)
        return lti_fail(reading->err, LTI_E_EXPIRED, APR_EACCES, "iat was %" APR_INT64_T_FMT " s ago (SPEC C-07)", now - iat);
    if (exp <= iat)
        return lti_fail(reading->err, LTI_E_CLAIM_INVALID, APR_EINVAL, "exp is not after iat (SPEC C-08)");
    if (exp - iat > TOKEN_LIFETIME_MAX)
        return lti_fail(reading->err, LTI_E_CLAIM_INVALID, APR_EINVAL, "exp is more than a day after iat (SPEC C-08)");
    if (nbf > now + skew)
        return lti_fail(reading->err, LTI_E_NOT_YET_VALID, APR_EACCES, "nbf is %" APR_INT64_T_FMT " s ahead (SPEC C-09)",
                        nbf - now);
    reading->launch->token_expires_at = apr_time_from_sec(exp);
    return APR_SUCCESS;
}

static apr_status_t check_nonce(const lti_reading_t *reading)
{
    const char *nonce = NULL;
    apr_status_t rv = lti_claim_require_string(&nonce, reading, reading->claims, "nonce");
    apr_size_t length;

    if (rv != APR_SUCCESS)
        return rv;
    length = strlen(nonce);
    if (length == 0)
        return lti_claim_fail_invalid(reading, reading->claims, "nonce", "is empty");
    if (length != strlen(reading->expect->nonce) || !lti_crypto_equal(nonce, reading->expect->nonce, length))
        return lti_fail(reading->err, LTI_E_NONCE_MISMATCH, APR_EACCES, "the nonce is not that of this login (SPEC C-10)");
    return APR_SUCCESS;
}

static apr_status_t check_subject(const lti_reading_t *reading)
{
    if (lti_claim_member(reading->claims, "sub") != NULL)
        return lti_claim_require_id(&reading->launch->user_id, reading, reading->claims, "sub");
    if (!reading->expect->allow_anonymous)
        return lti_fail(reading->err, LTI_E_ANONYMOUS, APR_EACCES, "the token has no sub (SPEC C-12)");
    return APR_SUCCESS;
}

/* --- LTI ------------------------------------------------------------------------------------------------------------------------ */

static apr_status_t check_version(const lti_reading_t *reading)
{
    const char *version = NULL;
    apr_status_t rv = lti_claim_require_string(&version, reading, reading->claims, LTI_CLAIM("version"));

    if (rv != APR_SUCCESS)
        return rv;
    if (strcmp(version, "1.3.0") != 0)
        return lti_fail(reading->err, LTI_E_VERSION, APR_EINVAL, "the version is \"%.40s\", not \"1.3.0\" (SPEC K-02)", version);
    return APR_SUCCESS;
}

static apr_status_t check_deployment(const lti_reading_t *reading)
{
    apr_status_t rv = lti_claim_require_id(&reading->launch->deployment_id, reading, reading->claims, LTI_CLAIM("deployment_id"));

    if (rv != APR_SUCCESS)
        return rv;
    if (reading->expect->deployment_id != NULL && strcmp(reading->launch->deployment_id, reading->expect->deployment_id) != 0)
        return lti_fail(reading->err, LTI_E_DEPLOYMENT_MISMATCH, APR_EACCES,
                        "the deployment is \"%.80s\", the login said \"%.80s\" (SPEC K-05)", reading->launch->deployment_id,
                        reading->expect->deployment_id);
    return APR_SUCCESS;
}

static apr_status_t check_target(const lti_reading_t *reading)
{
    const char *target = NULL;
    lti_err_t fault = {.code = LTI_OK};
    const char *plain;
    apr_status_t rv = lti_claim_require_string(&target, reading, reading->claims, LTI_CLAIM("target_link_uri"));

    if (rv != APR_SUCCESS)
        return rv;
    plain = apr_pstrmemdup(reading->p, target, strcspn(target, "#")); /* a fragment is the page's own matter */
    if (strlen(target) > LTI_CLAIM_URL_MAX || !lti_json_is_clean(target))
        return lti_claim_fail_invalid(reading, reading->claims, "target_link_uri", "is too long or has control characters");
    if (lti_http_check_url(plain, LTI_CLAIM_URL_MAX, LTI_E_CLAIM_INVALID, &fault) != APR_SUCCESS)
        return lti_fail(reading->err, LTI_E_CLAIM_INVALID, APR_EINVAL, "target_link_uri: %.180s (SPEC K-06)", fault.text);
    if (strcmp(target, reading->expect->target) != 0)
        return lti_fail(reading->err, LTI_E_TARGET_MISMATCH, APR_EACCES,
                        "target_link_uri is %.80s, the login said %.80s (SPEC K-07)", target, reading->expect->target);
    reading->launch->target_link_uri = apr_pstrdup(reading->p, target);
    return APR_SUCCESS;
}

static apr_status_t check_context(const lti_reading_t *reading)
{
    const json_t *context = lti_claim_member(reading->claims, LTI_CLAIM("context"));
    lti_launch_t *launch = reading->launch;
    char key[LTI_COURSE_KEY_LENGTH + 1];
    apr_status_t rv;

    if (context == NULL)
        return APR_SUCCESS;
    if (!json_is_object(context))
        return lti_claim_fail_invalid(reading, reading->claims, "context", "is no object");
    if ((rv = lti_claim_require_id(&launch->context_id, reading, context, "id")) != APR_SUCCESS)
        return rv;
    lti_platform_course_key(key, launch->issuer, launch->client_id, launch->deployment_id, launch->context_id);
    if (key[0] == '\0')
        return lti_fail(reading->err, LTI_E_INTERNAL, APR_EGENERAL, "the course key cannot be computed");
    launch->course_key = apr_pstrdup(reading->p, key);
    return APR_SUCCESS;
}

static apr_status_t check_resource_link(const lti_reading_t *reading)
{
    const json_t *link;
    apr_status_t rv = lti_claim_require_object(&link, reading, LTI_CLAIM("resource_link"));

    return rv != APR_SUCCESS ? rv : lti_claim_require_id(&reading->launch->resource_link_id, reading, link, "id");
}

/* What is left out of the list, and the first of those that nobody knows (SPEC K-10 to K-12, R-01). */
static void remark_roles(const lti_reading_t *reading, const apr_array_header_t *list, int count)
{
    int known = 1;

    if (list->nelts < count)
        lti_claim_remark(reading, "roles holds what is no string");
    if (list->nelts > LTI_ROLES_MAX)
        lti_claim_remark(reading, "roles has %d entries, %d are taken", list->nelts, LTI_ROLES_MAX);
    for (int i = 0; i < list->nelts && i < LTI_ROLES_MAX && known; i++) {
        const char *role = APR_ARRAY_IDX(list, i, const char *);
        lti_role_canonical(role, reading->expect->role_options, &known);
        if (!known)
            lti_claim_remark(reading, "the role \"%.80s\" is unknown and gives no rights", role);
    }
}

static apr_status_t check_roles(const lti_reading_t *reading, int required)
{
    const json_t *roles = lti_claim_member(reading->claims, LTI_CLAIM("roles"));
    apr_array_header_t *list = apr_array_make(reading->p, 8, sizeof(const char *));
    lti_launch_t *launch = reading->launch;

    if (roles == NULL && required)
        return lti_claim_fail_missing(reading, reading->claims, "roles");
    if (roles != NULL && !json_is_array(roles))
        return lti_claim_fail_invalid(reading, reading->claims, "roles", "is no array");
    for (apr_size_t i = 0; i < json_array_size(roles); i++) {
        const char *role = json_string_value(json_array_get(roles, i));
        if (role != NULL)
            APR_ARRAY_PUSH(list, const char *) = role;
    }
    remark_roles(reading, list, (int)json_array_size(roles));
    launch->roles = lti_role_join(list, reading->expect->role_options, reading->p);
    launch->role = lti_role_primary(launch->roles, &launch->role_flags);
    return APR_SUCCESS;
}

/* The type, whether it is taken here, and what this type needs (SPEC section 3). */
static apr_status_t check_message(const lti_reading_t *reading)
{
    const char *name = NULL;
    unsigned type;
    apr_status_t rv = lti_claim_require_string(&name, reading, reading->claims, LTI_CLAIM("message_type"));

    if (rv != APR_SUCCESS)
        return rv;
    type = lti_message_type_by_name(name);
    if ((type & reading->expect->message_types) == 0)
        return lti_fail(reading->err, LTI_E_MESSAGE_TYPE, APR_EACCES, "the message type \"%.64s\" is not taken here (SPEC M-01)",
                        name);
    reading->launch->message_type = apr_pstrdup(reading->p, name);
    if (type == LTI_MESSAGE_DEEP_LINKING) {
        rv = check_roles(reading, 0);
        return rv != APR_SUCCESS ? rv : lti_claims_deep_linking(reading);
    }
    if ((rv = check_resource_link(reading)) != APR_SUCCESS || (rv = check_roles(reading, 1)) != APR_SUCCESS)
        return rv;
    return type == LTI_MESSAGE_SUBMISSION_REVIEW ? lti_claims_submission_review(reading) : APR_SUCCESS;
}

/* Last, so that only a launch that is good in every other way is held up for an administrator (SPEC K-04). Under `ask` it is the caller who knows. */
static apr_status_t check_admission(const lti_reading_t *reading)
{
    const lti_platform_t *platform = reading->expect->platform;

    if (platform->deployments != LTI_DEPLOYMENT_ASK && !lti_platform_accepts(platform, reading->launch->deployment_id))
        return lti_fail(reading->err, LTI_E_DEPLOYMENT_UNKNOWN, APR_EACCES,
                        "the deployment \"%.80s\" of platform \"%s\" is not accepted (SPEC K-04)", reading->launch->deployment_id,
                        reading->launch->platform);
    return APR_SUCCESS;
}

apr_status_t lti_claims_launch(lti_launch_t **launch, const json_t *claims, const lti_expect_t *expect, apr_pool_t *p,
                               lti_err_t *err)
{
    static apr_status_t (*const checks[])(const lti_reading_t *) = {
        check_issuer,    check_audience,   check_times,  check_nonce,   check_subject, /* OpenID */
        check_version,   check_deployment, check_target, check_context, check_message, /* LTI */
        check_admission,
    };
    lti_launch_t *made = apr_pcalloc(p, sizeof *made);
    const lti_reading_t reading = {.claims = claims, .expect = expect, .launch = made, .p = p, .err = err};

    made->platform = expect->platform->name;
    made->issuer = expect->platform->issuer;
    made->client_id = expect->platform->client_id;
    made->launched_at = expect->now;
    for (apr_size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        apr_status_t rv = checks[i](&reading);
        if (rv != APR_SUCCESS)
            return rv;
    }
    made->id = expect->launch_id != NULL ? apr_pstrdup(p, expect->launch_id) : lti_crypto_random_text(LAUNCH_ID_BYTES, p);
    if (made->id == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "there is no randomness");
    lti_claims_optional(&reading);
    *launch = made;
    return APR_SUCCESS;
}
