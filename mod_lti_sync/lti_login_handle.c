/* SPDX-License-Identifier: Apache-2.0 */
/* The sealed handle of a launch whose browser is proved by the platform's storage: state and token, and when they were good. */
#include "lti_login.h"

#include <string.h>
#include <apr_strings.h>

/*
 * The record: version, time of the verification (8 bytes, big endian), length of the state (4 bytes), state, token. The seal is that of states, over other
 * associated data: neither can be taken for the other.
 */
#define RECORD_VERSION 1
#define RECORD_HEAD (1 + 8 + 4)
#define HANDLE_MAX (8 * 1024 * 1024) /* far above any LTIMaxLaunchSize in use: only so that sizes cannot overflow */

static lti_bytes_t associated_data(const char *base_url, apr_pool_t *p)
{
    const char *text = apr_pstrcat(p, "handle ", base_url, NULL);

    return (lti_bytes_t){text, strlen(text)};
}

static unsigned char *put_number(unsigned char *end, apr_uint64_t number, int bytes)
{
    while (bytes-- > 0)
        *end++ = (unsigned char)(number >> (8 * bytes));
    return end;
}

static apr_uint64_t take_number(const unsigned char *at, int bytes)
{
    apr_uint64_t number = 0;

    while (bytes-- > 0)
        number = number << 8 | *at++;
    return number;
}

apr_status_t lti_handle_make(const char **text, const lti_handle_t *handle, const lti_sealer_t *sealer, const char *base_url,
                             apr_pool_t *p, lti_err_t *err)
{
    apr_size_t state = strlen(handle->state), token = strlen(handle->id_token), size = RECORD_HEAD + state + token;
    unsigned char *record, *sealed, *end;
    apr_status_t rv;

    if (size > HANDLE_MAX)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOSPC, "a launch of %lu bytes has no handle", (unsigned long)size);
    end = record = apr_palloc(p, size);
    sealed = apr_palloc(p, size + LTI_SEAL_OVERHEAD);
    *end++ = RECORD_VERSION;
    end = put_number(end, (apr_uint64_t)handle->verified_at, 8);
    end = put_number(end, state, 4);
    memcpy(end, handle->state, state);
    memcpy(end + state, handle->id_token, token);
    rv = lti_seal(sealed, &size, sealer, associated_data(base_url, p), (lti_bytes_t){record, size}, err);
    if (rv == APR_SUCCESS)
        *text = lti_base64url_encode(sealed, size, p);
    return rv;
}

/* 0 if the record is not one of this release. */
static int read_record(lti_handle_t *handle, const unsigned char *record, apr_size_t size, apr_pool_t *p)
{
    apr_uint64_t state;

    if (size < RECORD_HEAD || record[0] != RECORD_VERSION)
        return 0;
    handle->verified_at = (apr_time_t)take_number(record + 1, 8);
    state = take_number(record + 9, 4);
    if (state > size - RECORD_HEAD)
        return 0;
    handle->state = apr_pstrmemdup(p, (const char *)record + RECORD_HEAD, (apr_size_t)state);
    handle->id_token = apr_pstrmemdup(p, (const char *)record + RECORD_HEAD + state, size - RECORD_HEAD - (apr_size_t)state);
    return 1;
}

apr_status_t lti_handle_open(lti_handle_t *handle, const lti_sealer_t *sealer, const char *base_url, const char *text,
                             apr_time_t now, apr_pool_t *p, lti_err_t *err)
{
    apr_size_t length = text == NULL ? 0 : strlen(text), size = 0;
    unsigned char *sealed, *record;

    if (length <= LTI_BASE64URL_LENGTH(LTI_SEAL_OVERHEAD) || length > LTI_BASE64URL_LENGTH(HANDLE_MAX + LTI_SEAL_OVERHEAD))
        return lti_fail(err, LTI_E_STATE_INVALID, APR_EINVAL, "a handle of %lu characters was not made here",
                        (unsigned long)length);
    sealed = apr_palloc(p, length * 3 / 4 + 3);
    record = apr_palloc(p, length * 3 / 4 + 3);
    if (lti_base64url_decode(sealed, &size, text, length) != APR_SUCCESS || size <= LTI_SEAL_OVERHEAD ||
        lti_unseal(record, &size, sealer, associated_data(base_url, p), (lti_bytes_t){sealed, size}) != APR_SUCCESS ||
        !read_record(handle, record, size, p))
        return lti_fail(err, LTI_E_STATE_INVALID, APR_EINVAL, "the handle was not sealed by this site");
    if (now - handle->verified_at > apr_time_from_sec(LTI_HANDLE_LIFETIME))
        return lti_fail(err, LTI_E_STATE_EXPIRED, APR_EINVAL, "the launch came %ld seconds ago",
                        (long)apr_time_sec(now - handle->verified_at));
    return APR_SUCCESS;
}
