/* SPDX-License-Identifier: Apache-2.0 */
/* lti_token: the signed assertion that asks for an access token, the reading of the answer, and the tokens kept. */
#include "lti_token.h"

#include <string.h>
#include <strings.h>
#include <apr_hash.h>
#include <apr_strings.h>
#include "lti_json.h"
#include "lti_jws.h"

#define ASSERTION_SECONDS 300 /* SPEC 5.3: iat + 300 at most */
#define CLOCK_ALLOWANCE 5     /* platforms without leeway refuse an iat that is a moment ahead of their clock */
#define TOKEN_MAX (16 * 1024) /* SPEC T-02 */
#define MARGIN 60             /* SPEC T-06 */
#define DEFAULT_LIFETIME 300  /* SPEC T-04 */
#define LIFETIME_MAX (24 * 3600)
#define CLAIM_DEPLOYMENT "https://purl.imsglobal.org/spec/lti/claim/deployment_id"
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

typedef struct kept_t {
    apr_pool_t *pool; /* its own: tokens come and go for as long as the server runs */
    const char *name;
    const char *token;
    const char *sealed; /* as the database has it; NULL: it does not */
    const char *granted; /* as the platform said; NULL: it did not */
    apr_time_t until;
} kept_t;

struct lti_tokens_t {
    apr_pool_t *pool;
    apr_hash_t *kept;
};

static apr_status_t fail_answer(lti_err_t *err, lti_code_t code, long status, const char *reason, const char *quoted)
{
    apr_status_t rv = lti_fail(err, code, APR_EGENERAL, "HTTP %ld, %s%s%s", status, reason, quoted[0] != '\0' ? ": " : "", quoted);

    if (err != NULL)
        err->detail = status;
    return rv;
}

lti_tokens_t *lti_tokens_create(apr_pool_t *p)
{
    lti_tokens_t *tokens = apr_pcalloc(p, sizeof(*tokens));

    tokens->pool = p;
    tokens->kept = apr_hash_make(p);
    return tokens;
}

/* What a token belongs to (SPEC T-06). URL and client id come from the configuration and hold no line feed; a deployment id that
 * does stands behind them, where it cannot imitate another registration. */
static const char *make_name(const lti_platform_t *platform, const char *deployment_id, const char *scope, apr_pool_t *p)
{
    return apr_pstrcat(p, platform->token_endpoint, "\n", platform->client_id, "\n", deployment_id != NULL ? deployment_id : "",
                       "\n", scope, NULL);
}

static kept_t *find(const lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope)
{
    apr_pool_t *ptemp;
    kept_t *kept;

    if (apr_pool_create(&ptemp, tokens->pool) != APR_SUCCESS)
        return NULL;
    kept = apr_hash_get(tokens->kept, make_name(platform, deployment_id, scope, ptemp), APR_HASH_KEY_STRING);
    apr_pool_destroy(ptemp);
    return kept;
}

static void drop(lti_tokens_t *tokens, kept_t *kept)
{
    apr_hash_set(tokens->kept, kept->name, APR_HASH_KEY_STRING, NULL);
    apr_pool_destroy(kept->pool);
}

const char *lti_tokens_get(const lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope,
                           apr_time_t now)
{
    const kept_t *kept = find(tokens, platform, deployment_id, scope);

    return kept != NULL && now < kept->until ? kept->token : NULL;
}

void lti_tokens_forget(lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope)
{
    kept_t *kept = find(tokens, platform, deployment_id, scope);

    if (kept != NULL)
        drop(tokens, kept);
}

/* Expired ones go when a new one comes, so that deployments which are gone do not pile up. */
static void drop_expired(lti_tokens_t *tokens, apr_time_t now)
{
    apr_hash_index_t *index;

    for (index = apr_hash_first(NULL, tokens->kept); index != NULL; index = apr_hash_next(index)) {
        kept_t *kept = apr_hash_this_val(index);

        if (kept->until <= now)
            drop(tokens, kept);
    }
}

static apr_status_t keep(lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope,
                         const char *token, apr_time_t until, const char *sealed, lti_err_t *err)
{
    apr_pool_t *pool;
    kept_t *kept;

    lti_tokens_forget(tokens, platform, deployment_id, scope);
    if (apr_pool_create(&pool, tokens->pool) != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no pool for a token");
    apr_pool_tag(pool, "lti_token kept");
    kept = apr_pcalloc(pool, sizeof(*kept));
    kept->pool = pool;
    kept->name = make_name(platform, deployment_id, scope, pool);
    kept->token = apr_pstrdup(pool, token);
    kept->sealed = apr_pstrdup(pool, sealed);
    kept->until = until;
    apr_hash_set(tokens->kept, kept->name, APR_HASH_KEY_STRING, kept);
    return APR_SUCCESS;
}

/* --- what all nodes share ----------------------------------------------------------------------------------------- */

apr_status_t lti_tokens_key(char key[LTI_TOKEN_KEY_SIZE], const lti_platform_t *platform, const char *deployment_id, const char *scope)
{
    static const char digits[] = "0123456789abcdef";
    const char *deployment = deployment_id != NULL ? deployment_id : "";
    const lti_bytes_t pieces[] = {{platform->token_endpoint, strlen(platform->token_endpoint)},
                                  {platform->client_id, strlen(platform->client_id)},
                                  {deployment, strlen(deployment)},
                                  {scope, strlen(scope)}};
    unsigned char digest[LTI_SHA256_SIZE];
    apr_status_t rv = lti_sha256_pieces(digest, pieces, 4);
    int i;

    if (rv != APR_SUCCESS)
        return rv;
    for (i = 0; i < LTI_SHA256_SIZE; i++) {
        key[2 * i] = digits[digest[i] >> 4];
        key[2 * i + 1] = digits[digest[i] & 15];
    }
    key[2 * LTI_SHA256_SIZE] = '\0';
    return APR_SUCCESS;
}

apr_status_t lti_tokens_adopt(lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope,
                              const char *token, apr_time_t until, const char *sealed, lti_err_t *err)
{
    return keep(tokens, platform, deployment_id, scope, token, until, sealed, err);
}

apr_time_t lti_tokens_until(const char **sealed, const lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id,
                            const char *scope)
{
    const kept_t *kept = find(tokens, platform, deployment_id, scope);

    if (sealed != NULL)
        *sealed = kept != NULL ? kept->sealed : NULL;
    return kept != NULL ? kept->until : 0;
}

const char *lti_tokens_granted(const lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope)
{
    const kept_t *kept = find(tokens, platform, deployment_id, scope);

    return kept != NULL ? kept->granted : NULL;
}

/* --- the request -------------------------------------------------------------------------------------------------- */

apr_status_t lti_token_request(lti_http_request_t *request, const lti_platform_t *platform, const char *deployment_id,
                               const char *scope, const lti_key_t *key, apr_time_t now, apr_pool_t *p, lti_err_t *err)
{
    const char *audience = platform->token_audience != NULL ? platform->token_audience : platform->token_endpoint;
    json_int_t issued = (json_int_t)(apr_time_sec(now) - CLOCK_ALLOWANCE);
    const char *id = lti_crypto_random_text(16, p), *assertion;
    json_t *claims;
    apr_status_t rv;

    if (id == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "there is no randomness");
    claims = lti_json_own(json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "iss", platform->client_id, "sub", platform->client_id, "aud",
                                    audience, "iat", issued, "exp", issued + ASSERTION_SECONDS, "jti", id),
                          p);
    if (claims == NULL || (deployment_id != NULL && json_object_set_new(claims, CLAIM_DEPLOYMENT, json_string(deployment_id)) != 0))
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the assertion cannot be made: client id or deployment id is not UTF-8");
    rv = lti_jws_sign(&assertion, claims, key, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    *request = (lti_http_request_t){
        .url = platform->token_endpoint,
        .body = apr_pstrcat(p, "grant_type=client_credentials&client_assertion_type=", lti_http_encode(ASSERTION_TYPE, p),
                            "&client_assertion=", lti_http_encode(assertion, p), "&scope=", lti_http_encode(scope, p), NULL),
        .content_type = "application/x-www-form-urlencoded",
        .accept = "application/json",
        .max_body = LTI_TOKEN_ANSWER_MAX,
        .stall_seconds = 30,
        .total_seconds = 60,
        .any_address = 1, /* a configured end point may stand in a private network (Invariant 7) */
    };
    return APR_SUCCESS;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

/* What the platform said for itself: the members of RFC 6749 section 5.2 where the text is JSON, else the text. Moodle puts free text
 * into `error`, and quotation marks into that, so that it is no JSON any more. */
static apr_status_t judge_refusal(long status, const char *body, apr_size_t size, apr_pool_t *ptemp, lti_err_t *err)
{
    const char *error = NULL, *description = NULL, *said = apr_pstrmemdup(ptemp, body, size);
    json_t *answer;

    while (*said == ' ' || *said == '\t' || *said == '\r' || *said == '\n')
        said++;
    if (lti_json_object(&answer, body, size, LTI_E_TOKEN_ANSWER, ptemp, NULL) == APR_SUCCESS) {
        error = lti_json_string(answer, "error");
        description = lti_json_string(answer, "error_description");
    }
    if (error != NULL && strcmp(error, "invalid_scope") == 0)
        return fail_answer(err, LTI_E_SCOPE_REFUSED, status, "invalid_scope", description != NULL ? description : "");
    if (error != NULL)
        return fail_answer(err, LTI_E_TOKEN_REFUSED, status, error, description != NULL ? description : "");
    if (status == 404)
        return fail_answer(err, LTI_E_TOKEN_REFUSED, status,
                           "the token end point is elsewhere, or (Moodle) the platform could not fetch this tool's key set", "");
    if (said[0] == '<')
        return fail_answer(err, LTI_E_TOKEN_REFUSED, status, "the platform answered with an HTML page", "");
    if (said[0] == '\0')
        return fail_answer(err, LTI_E_TOKEN_REFUSED, status, "the platform gave no reason", "");
    return fail_answer(err, LTI_E_TOKEN_REFUSED, status, "the platform said", said);
}

/* 1 if every word of `wanted` is a word of `granted`. */
static int is_granted(const char *wanted, const char *granted)
{
    while (*(wanted += strspn(wanted, " ")) != '\0') {
        size_t length = strcspn(wanted, " ");
        const char *word = granted;

        while (*(word += strspn(word, " ")) != '\0') {
            size_t size = strcspn(word, " ");

            if (size == length && strncmp(word, wanted, length) == 0)
                break;
            word += size;
        }
        if (*word == '\0')
            return 0;
        wanted += length;
    }
    return 1;
}

static int is_usable_token(const char *token)
{
    size_t length = token != NULL ? strlen(token) : 0, i;

    for (i = 0; i < length; i++) {
        if (token[i] <= 0x20 || token[i] == 0x7F)
            return 0;
    }
    return length >= 1 && length <= TOKEN_MAX;
}

/* Seconds for which the token may be used; 0 if `expires_in` is no number. The margin keeps a token from ending while a page is
 * under way; a token that lives shorter than two margins is used for half its life, and one with no life at all for the moment it
 * was asked for (SPEC T-04, T-06). */
static apr_int64_t read_lifetime(const json_t *expires_in)
{
    double seconds;

    if (expires_in == NULL || json_is_null(expires_in))
        seconds = DEFAULT_LIFETIME;
    else if (json_is_number(expires_in))
        seconds = json_number_value(expires_in);
    else if (json_is_string(expires_in) && json_string_length(expires_in) > 0 && json_string_length(expires_in) < 16 &&
             strspn(json_string_value(expires_in), "0123456789") == json_string_length(expires_in))
        seconds = (double)apr_atoi64(json_string_value(expires_in));
    else
        return 0;
    if (seconds > LIFETIME_MAX)
        seconds = LIFETIME_MAX;
    if (seconds >= 2 * MARGIN)
        return (apr_int64_t)seconds - MARGIN;
    return seconds >= 10 ? (apr_int64_t)(seconds / 2) : 5;
}

static apr_status_t read_answer(const char **token, apr_int64_t *lifetime, const char **said, const char *scope, long status, const json_t *answer,
                                lti_err_t *err)
{
    const char *type = lti_json_string(answer, "token_type");
    const json_t *granted = json_object_get(answer, "scope");

    *token = lti_json_string(answer, "access_token");
    if (!is_usable_token(*token))
        return fail_answer(err, LTI_E_TOKEN_ANSWER, status, "the answer has no usable access_token", "");
    if (type != NULL && strcasecmp(type, "bearer") != 0)
        return fail_answer(err, LTI_E_TOKEN_ANSWER, status, "the token is of another type than bearer", type);
    *lifetime = read_lifetime(json_object_get(answer, "expires_in"));
    if (*lifetime == 0)
        return fail_answer(err, LTI_E_TOKEN_ANSWER, status, "expires_in is not a number", "");
    if (granted != NULL && !json_is_null(granted) && !json_is_string(granted))
        return fail_answer(err, LTI_E_TOKEN_ANSWER, status, "scope is not a text", "");
    *said = json_is_string(granted) ? json_string_value(granted) : NULL;
    /* Platforms leave out silently what is not permitted (SPEC T-05). */
    if (json_is_string(granted) && !is_granted(scope, json_string_value(granted)))
        return fail_answer(err, LTI_E_SCOPE_REFUSED, status, "the token was granted without the scope that was asked for; granted",
                           json_string_value(granted));
    return APR_SUCCESS;
}

static apr_status_t judge_answer(lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope,
                                 long status, const char *body, apr_size_t size, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    const char *token, *granted = NULL;
    apr_int64_t lifetime = 0;
    json_t *answer;
    kept_t *kept;
    apr_status_t rv;

    if (status >= 500 || status == 429 || status == 408)
        return fail_answer(err, LTI_E_TOKEN_ANSWER, status, "the platform cannot give a token now", "");
    if (status >= 400)
        return judge_refusal(status, body, size, ptemp, err);
    if (status != 200 && status != 201)
        return fail_answer(err, LTI_E_TOKEN_ANSWER, status,
                           status >= 300 ? "the token end point redirects, which is not followed" : "this is no token", "");
    /* The content type is not looked at: Moodle says text/html. */
    rv = lti_json_object(&answer, body, size, LTI_E_TOKEN_ANSWER, ptemp, err);
    if (rv == APR_SUCCESS && lti_json_string(answer, "error") != NULL && lti_json_string(answer, "access_token") == NULL)
        return judge_refusal(status, body, size, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = read_answer(&token, &lifetime, &granted, scope, status, answer, err);
    else if (err != NULL)
        err->detail = status;
    if (rv != APR_SUCCESS)
        return rv;
    rv = keep(tokens, platform, deployment_id, scope, token, now + apr_time_from_sec(lifetime), NULL, err);
    if (rv != APR_SUCCESS)
        return rv;
    kept = find(tokens, platform, deployment_id, scope);
    if (kept != NULL)
        kept->granted = apr_pstrdup(kept->pool, granted);
    return APR_SUCCESS;
}

apr_status_t lti_tokens_put(lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope,
                            const lti_http_response_t *response, const char *body, apr_size_t size, apr_time_t now, lti_err_t *err)
{
    apr_pool_t *ptemp;
    apr_status_t rv;

    drop_expired(tokens, now);
    rv = apr_pool_create(&ptemp, tokens->pool);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no pool");
    rv = judge_answer(tokens, platform, deployment_id, scope, response->status, body, size, now, ptemp, err);
    apr_pool_destroy(ptemp);
    return rv;
}
