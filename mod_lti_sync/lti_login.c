/* SPDX-License-Identifier: Apache-2.0 */
/* The login request's form, the sealed state that goes around by the browser, and the authentication request. */
#include "lti_login.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_http.h"
#include "lti_json.h"

#define COOKIE_PREFIX "__Host-lti-"
#define SHORT_NAME_BYTES 5 /* 8 characters of base32 */
#define SHORT_NAME_LENGTH 8
#define SECRET_BYTES 16
#define NONCE_BYTES 16
#define TARGET_MAX 4096
#define ID_MAX 255
#define PLATFORM_MAX 64

/*
 * The record: version, time of creation (8 bytes, big endian), nonce, short name of the cookie, SHA-256 of its secret, and three texts, each
 * after its length in 2 bytes: platform, deployment (empty: none), target.
 */
#define RECORD_VERSION 1
#define RECORD_HEAD (1 + 8 + NONCE_BYTES + SHORT_NAME_BYTES + LTI_SHA256_SIZE)
#define RECORD_MAX (RECORD_HEAD + 3 * 2 + PLATFORM_MAX + ID_MAX + TARGET_MAX)
#define SEALED_MAX (RECORD_MAX + LTI_SEAL_OVERHEAD)

/* --- the request ------------------------------------------------------------------------------------------------------ */

apr_status_t lti_login_check(const lti_login_request_t *request, lti_err_t *err)
{
    const struct {
        const char *name, *value;
        int required;
        apr_size_t max;
    } rules[] = {
        {"iss", request->iss, 1, 1024},
        {"login_hint", request->login_hint, 1, 4096},
        {"target_link_uri", request->target_link_uri, 1, TARGET_MAX},
        {"lti_message_hint", request->lti_message_hint, 0, 8192},
        {"client_id", request->client_id, 0, ID_MAX},
        {"lti_deployment_id", request->lti_deployment_id, 0, ID_MAX},
    };

    for (apr_size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].required && (rules[i].value == NULL || rules[i].value[0] == '\0'))
            return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "the login has no %s", rules[i].name);
        if (rules[i].value == NULL)
            continue;
        if (strlen(rules[i].value) > rules[i].max)
            return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "%s is longer than %lu bytes", rules[i].name,
                            (unsigned long)rules[i].max);
        if (!lti_json_is_clean(rules[i].value))
            return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "%s has control characters or is not UTF-8", rules[i].name);
    }
    return APR_SUCCESS;
}

const char *lti_login_url(const lti_platform_t *platform, const lti_login_request_t *request, const char *redirect_uri,
                          const char *state, const char *nonce, apr_pool_t *p)
{
    const struct {
        const char *name, *value;
    } parameters[] = {
        {"scope", "openid"},
        {"response_type", "id_token"},
        {"response_mode", "form_post"},
        {"prompt", "none"},
        {"client_id", platform->client_id},
        {"redirect_uri", redirect_uri},
        {"login_hint", request->login_hint},
        {"lti_message_hint", request->lti_message_hint},
        {"state", state},
        {"nonce", nonce},
    };
    const char *url = platform->authorization_endpoint;

    for (apr_size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        if (parameters[i].value != NULL)
            url = lti_http_add_query(url, parameters[i].name, parameters[i].value, p);
    }
    return url;
}

const char *lti_nonce_key(const char *platform, const char *nonce, apr_pool_t *p)
{
    const lti_bytes_t pieces[] = {{platform, strlen(platform)}, {nonce, strlen(nonce)}};
    unsigned char digest[LTI_SHA256_SIZE];

    return lti_sha256_pieces(digest, pieces, 2) == APR_SUCCESS ? lti_base64url_encode(digest, sizeof digest, p) : NULL;
}

/* --- the state -------------------------------------------------------------------------------------------------------- */

static const char *cookie_name(const unsigned char *short_name, apr_pool_t *p)
{
    char text[SHORT_NAME_LENGTH + 1];

    lti_base32_encode(text, short_name, SHORT_NAME_BYTES);
    return apr_pstrcat(p, COOKIE_PREFIX, text, NULL);
}

static unsigned char *put_text(unsigned char *end, const char *text)
{
    apr_size_t length = strlen(text);

    *end++ = (unsigned char)(length >> 8);
    *end++ = (unsigned char)length;
    memcpy(end, text, length);
    return end + length;
}

/* NULL if it reaches beyond `end`. */
static const unsigned char *take_text(const char **text, const unsigned char *at, const unsigned char *end, apr_pool_t *p)
{
    apr_size_t length;

    if (at == NULL || end - at < 2)
        return NULL;
    length = (apr_size_t)at[0] << 8 | at[1];
    at += 2;
    if ((apr_size_t)(end - at) < length)
        return NULL;
    *text = apr_pstrmemdup(p, (const char *)at, length);
    return at + length;
}

/* Writes the record and returns its size. */
static apr_size_t write_record(unsigned char *record, const lti_state_t *state, const unsigned char *nonce,
                               const unsigned char *short_name)
{
    apr_uint64_t created = (apr_uint64_t)state->created_at;
    unsigned char *end = record;

    *end++ = RECORD_VERSION;
    for (int shift = 56; shift >= 0; shift -= 8)
        *end++ = (unsigned char)(created >> shift);
    memcpy(end, nonce, NONCE_BYTES);
    end += NONCE_BYTES;
    memcpy(end, short_name, SHORT_NAME_BYTES);
    end += SHORT_NAME_BYTES;
    memcpy(end, state->binding, LTI_SHA256_SIZE);
    end += LTI_SHA256_SIZE;
    end = put_text(end, state->platform);
    end = put_text(end, state->deployment_id == NULL ? "" : state->deployment_id);
    end = put_text(end, state->target);
    return (apr_size_t)(end - record);
}

apr_status_t lti_state_make(const char **text, lti_state_t **state, const lti_sealer_t *sealer, const char *base_url,
                            const lti_platform_t *platform, const lti_login_request_t *request, apr_time_t now, apr_pool_t *p,
                            lti_err_t *err)
{
    unsigned char random[NONCE_BYTES + SHORT_NAME_BYTES + SECRET_BYTES];
    unsigned char record[RECORD_MAX];
    unsigned char sealed[SEALED_MAX];
    apr_size_t size;
    lti_state_t *made = apr_pcalloc(p, sizeof *made);
    const char *deployment = request->lti_deployment_id;
    apr_status_t rv = lti_login_check(request, err);

    if (rv != APR_SUCCESS || (rv = lti_crypto_random(random, sizeof random, err)) != APR_SUCCESS)
        return rv;
    if (strlen(platform->name) > PLATFORM_MAX)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the platform's name is longer than %d bytes", PLATFORM_MAX);
    made->platform = platform->name;
    made->nonce = lti_base64url_encode(random, NONCE_BYTES, p);
    made->target = apr_pstrdup(p, request->target_link_uri);
    /* A parameter without a value counts as left out (RFC 6749 section 3.1). */
    made->deployment_id = deployment == NULL || deployment[0] == '\0' ? NULL : apr_pstrdup(p, deployment);
    made->created_at = now;
    made->cookie_name = cookie_name(random + NONCE_BYTES, p);
    made->cookie_value = lti_base64url_encode(random + NONCE_BYTES + SHORT_NAME_BYTES, SECRET_BYTES, p);
    if (lti_sha256(made->binding, made->cookie_value, strlen(made->cookie_value)) != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "SHA-256 failed");
    size = write_record(record, made, random, random + NONCE_BYTES);
    rv = lti_seal(sealed, &size, sealer, (lti_bytes_t){base_url, strlen(base_url)}, (lti_bytes_t){record, size}, err);
    if (rv != APR_SUCCESS)
        return rv;
    *text = lti_base64url_encode(sealed, size, p);
    *state = made;
    return APR_SUCCESS;
}

/* NULL if the record is not one of this release. */
static lti_state_t *read_record(const unsigned char *record, apr_size_t size, apr_pool_t *p)
{
    lti_state_t *state = apr_pcalloc(p, sizeof *state);
    const unsigned char *at = record;
    apr_uint64_t created = 0;

    if (size < RECORD_HEAD || *at++ != RECORD_VERSION)
        return NULL;
    for (int i = 0; i < 8; i++)
        created = created << 8 | *at++;
    state->created_at = (apr_time_t)created;
    state->nonce = lti_base64url_encode(at, NONCE_BYTES, p);
    at += NONCE_BYTES;
    state->cookie_name = cookie_name(at, p);
    at += SHORT_NAME_BYTES;
    memcpy(state->binding, at, LTI_SHA256_SIZE);
    at = take_text(&state->platform, at + LTI_SHA256_SIZE, record + size, p);
    at = take_text(&state->deployment_id, at, record + size, p);
    at = take_text(&state->target, at, record + size, p);
    if (at != record + size)
        return NULL;
    if (state->deployment_id[0] == '\0')
        state->deployment_id = NULL;
    return state;
}

apr_status_t lti_state_open(lti_state_t **state, const lti_sealer_t *sealer, const char *base_url, const char *text, apr_time_t now,
                            apr_pool_t *p, lti_err_t *err)
{
    unsigned char sealed[SEALED_MAX + 3];
    unsigned char record[RECORD_MAX];
    apr_size_t length = text == NULL ? 0 : strlen(text);
    apr_size_t size = 0;
    lti_state_t *opened = NULL;

    if (length == 0 || length > LTI_BASE64URL_LENGTH(SEALED_MAX))
        return lti_fail(err, LTI_E_STATE_INVALID, APR_EINVAL, "a state of %lu characters was not made here", (unsigned long)length);
    if (lti_base64url_decode(sealed, &size, text, length) == APR_SUCCESS && size > LTI_SEAL_OVERHEAD &&
        lti_unseal(record, &size, sealer, (lti_bytes_t){base_url, strlen(base_url)}, (lti_bytes_t){sealed, size}) == APR_SUCCESS)
        opened = read_record(record, size, p);
    if (opened == NULL)
        return lti_fail(err, LTI_E_STATE_INVALID, APR_EINVAL, "the state was not sealed by this site");
    if (now - opened->created_at > apr_time_from_sec(LTI_STATE_LIFETIME))
        return lti_fail(err, LTI_E_STATE_EXPIRED, APR_EINVAL, "the login began %ld seconds ago",
                        (long)apr_time_sec(now - opened->created_at));
    *state = opened;
    return APR_SUCCESS;
}

int lti_state_is_bound(const lti_state_t *state, const char *secret)
{
    unsigned char digest[LTI_SHA256_SIZE];

    return secret != NULL && lti_sha256(digest, secret, strlen(secret)) == APR_SUCCESS &&
           lti_crypto_equal(digest, state->binding, sizeof digest);
}
