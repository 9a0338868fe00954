/* SPDX-License-Identifier: Apache-2.0 */
/* The login request's form, the sealed state that goes around by the browser, and the authentication request. */
#include "lti_login.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_http.h"
#include "lti_json.h"

#define STORAGE_PREFIX "lti_state_"
#define SHORT_NAME_BYTES 5 /* 8 characters of base32 */
#define SHORT_NAME_LENGTH 8
#define SECRET_BYTES 16
#define LAUNCH_ID_BYTES 8 /* 13 characters of base32, as the numbers of requests have them */
#define LAUNCH_ID_LENGTH 13
#define NONCE_BYTES 16
#define TARGET_MAX 4096
#define ID_MAX 255
#define PLATFORM_MAX 64
#define STORAGE_TARGET_MAX 64

/*
 * The record: version, flags, time of creation (8 bytes, big endian), nonce, short name of cookie and storage key, SHA-256 of both secrets, and
 * texts, each after its length in 2 bytes: platform, deployment (empty: none), target, storage target (empty: none), both hints.
 */
#define RECORD_VERSION 2
#define RECORD_HEAD (1 + 1 + 8 + NONCE_BYTES + SHORT_NAME_BYTES + 2 * LTI_SHA256_SIZE)
#define RECORD_TEXTS (6 * 2 + PLATFORM_MAX + ID_MAX + TARGET_MAX + STORAGE_TARGET_MAX + LTI_HINTS_MAX)
#define RECORD_MAX (RECORD_HEAD + RECORD_TEXTS)
#define SEALED_MAX (RECORD_MAX + LTI_SEAL_OVERHEAD)

enum { HAS_LOGIN_HINT = 1, HAS_MESSAGE_HINT = 2, IN_NEW_WINDOW = 4 };

/* --- the request ------------------------------------------------------------------------------------------------------ */

apr_status_t lti_login_check(const lti_login_request_t *request, lti_err_t *err)
{
    const struct {
        const char *name, *value, *rule;
        int required;
        apr_size_t max;
    } rules[] = {
        {"iss", request->iss, "L-03", 1, 1024},
        {"login_hint", request->login_hint, "L-04", 1, 4096},
        {"target_link_uri", request->target_link_uri, "L-05", 1, TARGET_MAX},
        {"lti_message_hint", request->lti_message_hint, "L-06", 0, 8192},
        {"client_id", request->client_id, "L-08", 0, ID_MAX},
        {"lti_deployment_id", request->lti_deployment_id, "L-07", 0, ID_MAX},
    };

    for (apr_size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].required && (rules[i].value == NULL || rules[i].value[0] == '\0'))
            return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "the login has no %s (SPEC %s)", rules[i].name,
                            rules[i].rule);
        if (rules[i].value == NULL)
            continue;
        if (strlen(rules[i].value) > rules[i].max)
            return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "%s is longer than %lu bytes (SPEC L-13)", rules[i].name,
                            (unsigned long)rules[i].max);
        if (!lti_json_is_clean(rules[i].value))
            return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "%s has control characters or is not UTF-8 (SPEC L-14)",
                            rules[i].name);
    }
    return APR_SUCCESS;
}

const char *lti_login_storage_target(const char *text)
{
    apr_size_t length = text == NULL ? 0 : strlen(text);

    if (length == 0 || length > STORAGE_TARGET_MAX ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-") != length)
        return NULL;
    return text;
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

static const char *name_of(const char *prefix, const unsigned char *short_name, apr_pool_t *p)
{
    char text[SHORT_NAME_LENGTH + 1];

    lti_base32_encode(text, short_name, SHORT_NAME_BYTES);
    return apr_pstrcat(p, prefix, text, NULL);
}

/* What login, launch and the first requests behind it have in common. It is made of what is random and of what only we know: nobody else can work it out. NULL if the digest cannot be
 * computed. */
static const char *name_launch(const lti_state_t *state, apr_pool_t *p)
{
    const lti_bytes_t pieces[] = {{state->nonce, strlen(state->nonce)}, {state->binding, LTI_SHA256_SIZE}};
    unsigned char digest[LTI_SHA256_SIZE];
    char *text = apr_pcalloc(p, LAUNCH_ID_LENGTH + 1);

    if (lti_sha256_pieces(digest, pieces, 2) != APR_SUCCESS)
        return NULL;
    lti_base32_encode(text, digest, LAUNCH_ID_BYTES);
    return text;
}

static unsigned char *put_text(unsigned char *end, const char *text)
{
    apr_size_t length = text == NULL ? 0 : strlen(text);

    *end++ = (unsigned char)(length >> 8);
    *end++ = (unsigned char)length;
    if (length > 0)
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
    *end++ = (unsigned char)((state->login_hint != NULL ? HAS_LOGIN_HINT : 0) |
                             (state->lti_message_hint != NULL ? HAS_MESSAGE_HINT : 0) | (state->new_window ? IN_NEW_WINDOW : 0));
    for (int shift = 56; shift >= 0; shift -= 8)
        *end++ = (unsigned char)(created >> shift);
    memcpy(end, nonce, NONCE_BYTES);
    end += NONCE_BYTES;
    memcpy(end, short_name, SHORT_NAME_BYTES);
    end += SHORT_NAME_BYTES;
    memcpy(end, state->binding, LTI_SHA256_SIZE);
    end += LTI_SHA256_SIZE;
    memcpy(end, state->storage_binding, LTI_SHA256_SIZE);
    end += LTI_SHA256_SIZE;
    end = put_text(end, state->platform);
    end = put_text(end, state->deployment_id);
    end = put_text(end, state->target);
    end = put_text(end, state->storage_target);
    end = put_text(end, state->login_hint);
    end = put_text(end, state->lti_message_hint);
    return (apr_size_t)(end - record);
}

/* What the request said, as far as a state keeps it. */
static void fill_from_request(lti_state_t *state, const lti_login_request_t *request, apr_pool_t *p)
{
    const char *deployment = request->lti_deployment_id, *hint = request->lti_message_hint;

    state->target = apr_pstrdup(p, request->target_link_uri);
    /* A parameter without a value counts as left out (RFC 6749 section 3.1). */
    state->deployment_id = deployment == NULL || deployment[0] == '\0' ? NULL : apr_pstrdup(p, deployment);
    state->storage_target = apr_pstrdup(p, request->storage_target);
    state->new_window = request->new_window;
    if (strlen(request->login_hint) + (hint != NULL ? strlen(hint) : 0) <= LTI_HINTS_MAX) {
        state->login_hint = apr_pstrdup(p, request->login_hint);
        state->lti_message_hint = apr_pstrdup(p, hint);
    }
}

/* A secret and what the state keeps of it. */
static const char *make_secret(unsigned char binding[LTI_SHA256_SIZE], const unsigned char *random, apr_pool_t *p)
{
    const char *secret = lti_base64url_encode(random, SECRET_BYTES, p);

    return lti_sha256(binding, secret, strlen(secret)) == APR_SUCCESS ? secret : NULL;
}

apr_status_t lti_state_make(const char **text, lti_state_t **state, const lti_sealer_t *sealer, const char *base_url,
                            const lti_platform_t *platform, const lti_login_request_t *request, apr_time_t now, apr_pool_t *p,
                            lti_err_t *err)
{
    unsigned char random[NONCE_BYTES + SHORT_NAME_BYTES + 2 * SECRET_BYTES];
    const unsigned char *short_name = random + NONCE_BYTES, *secrets = short_name + SHORT_NAME_BYTES;
    unsigned char record[RECORD_MAX];
    unsigned char sealed[SEALED_MAX];
    apr_size_t size;
    lti_state_t *made = apr_pcalloc(p, sizeof *made);
    apr_status_t rv = lti_login_check(request, err);

    if (rv != APR_SUCCESS || (rv = lti_crypto_random(random, sizeof random, err)) != APR_SUCCESS)
        return rv;
    if (strlen(platform->name) > PLATFORM_MAX)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the platform's name is longer than %d bytes", PLATFORM_MAX);
    if (request->storage_target != NULL && lti_login_storage_target(request->storage_target) == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the storage target was not checked");
    fill_from_request(made, request, p);
    made->platform = platform->name;
    made->nonce = lti_base64url_encode(random, NONCE_BYTES, p);
    made->created_at = now;
    made->cookie_name = name_of(LTI_STATE_COOKIE, short_name, p);
    made->cookie_value = make_secret(made->binding, secrets, p);
    made->launch_id = made->cookie_value != NULL ? name_launch(made, p) : NULL;
    if (made->launch_id == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "SHA-256 failed");
    if (made->storage_target != NULL) {
        made->storage_key = name_of(STORAGE_PREFIX, short_name, p);
        made->storage_value = make_secret(made->storage_binding, secrets + SECRET_BYTES, p);
        if (made->storage_value == NULL)
            return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "SHA-256 failed");
    }
    size = write_record(record, made, random, short_name);
    rv = lti_seal(sealed, &size, sealer, (lti_bytes_t){base_url, strlen(base_url)}, (lti_bytes_t){record, size}, err);
    if (rv != APR_SUCCESS)
        return rv;
    *text = lti_base64url_encode(sealed, size, p);
    *state = made;
    return APR_SUCCESS;
}

/* The texts at the end of a record; 0 if they are not what a record ends with. */
static int read_texts(lti_state_t *state, int flags, const unsigned char *at, const unsigned char *end, apr_pool_t *p)
{
    at = take_text(&state->platform, at, end, p);
    at = take_text(&state->deployment_id, at, end, p);
    at = take_text(&state->target, at, end, p);
    at = take_text(&state->storage_target, at, end, p);
    at = take_text(&state->login_hint, at, end, p);
    at = take_text(&state->lti_message_hint, at, end, p);
    if (at != end)
        return 0;
    if (state->deployment_id[0] == '\0')
        state->deployment_id = NULL;
    if (state->storage_target[0] == '\0')
        state->storage_target = NULL;
    if ((flags & HAS_LOGIN_HINT) == 0)
        state->login_hint = NULL;
    if ((flags & HAS_MESSAGE_HINT) == 0)
        state->lti_message_hint = NULL;
    return 1;
}

/* NULL if the record is not one of this release. */
static lti_state_t *read_record(const unsigned char *record, apr_size_t size, apr_pool_t *p)
{
    lti_state_t *state = apr_pcalloc(p, sizeof *state);
    const unsigned char *at = record, *short_name;
    apr_uint64_t created = 0;
    int flags;

    if (size < RECORD_HEAD || *at++ != RECORD_VERSION)
        return NULL;
    flags = *at++;
    for (int i = 0; i < 8; i++)
        created = created << 8 | *at++;
    state->created_at = (apr_time_t)created;
    state->nonce = lti_base64url_encode(at, NONCE_BYTES, p);
    short_name = at += NONCE_BYTES;
    state->cookie_name = name_of(LTI_STATE_COOKIE, short_name, p);
    at += SHORT_NAME_BYTES;
    memcpy(state->binding, at, LTI_SHA256_SIZE);
    at += LTI_SHA256_SIZE;
    memcpy(state->storage_binding, at, LTI_SHA256_SIZE);
    state->launch_id = name_launch(state, p);
    if (state->launch_id == NULL || !read_texts(state, flags, at + LTI_SHA256_SIZE, record + size, p))
        return NULL;
    if (state->storage_target != NULL)
        state->storage_key = name_of(STORAGE_PREFIX, short_name, p);
    state->new_window = (flags & IN_NEW_WINDOW) != 0;
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
        return lti_fail(err, LTI_E_STATE_INVALID, APR_EINVAL, "a state of %lu characters was not made here (SPEC B-02)",
                        (unsigned long)length);
    if (lti_base64url_decode(sealed, &size, text, length) == APR_SUCCESS && size > LTI_SEAL_OVERHEAD &&
        lti_unseal(record, &size, sealer, (lti_bytes_t){base_url, strlen(base_url)}, (lti_bytes_t){sealed, size}) == APR_SUCCESS)
        opened = read_record(record, size, p);
    if (opened == NULL)
        return lti_fail(err, LTI_E_STATE_INVALID, APR_EINVAL, "the state was not sealed by this site (SPEC B-02)");
    if (now - opened->created_at > apr_time_from_sec(LTI_STATE_LIFETIME))
        return lti_fail(err, LTI_E_STATE_EXPIRED, APR_EINVAL, "the login began %ld seconds ago (SPEC B-02)",
                        (long)apr_time_sec(now - opened->created_at));
    *state = opened;
    return APR_SUCCESS;
}

static int is_secret(const char *secret, const unsigned char binding[LTI_SHA256_SIZE])
{
    unsigned char digest[LTI_SHA256_SIZE];

    return secret != NULL && lti_sha256(digest, secret, strlen(secret)) == APR_SUCCESS &&
           lti_crypto_equal(digest, binding, sizeof digest);
}

int lti_state_is_bound(const lti_state_t *state, const char *secret)
{
    return is_secret(secret, state->binding);
}

int lti_state_is_proved(const lti_state_t *state, const char *secret)
{
    return state->storage_target != NULL && is_secret(secret, state->storage_binding);
}
