/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compact JWS (SPEC J-01 to J-13). Text as it is posted; or, behind a first line "raw", header, payload and signature each in a line of its own and
 * not yet encoded, so that mutation gets behind base64url. Nobody but whoever has the keys can make what verifies.
 */
#include "fuzz.h"

#include "lti_jws.h"
#include "lti_keys.h"

#define RAW "raw\n"

/* Public keys of RFC 7515 A.2, A.3, A.4 and RFC 8037 A.2. */
static const char set[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
    "wWJcyQoTbji9k0l8W26mPddxHmfHQp-"
    "Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
    "bSf63kpaSHSXndS5z5rexMdbBYUs"
    "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
    "h9iaGNj8q2ethFkMLs91kzk2"
    "PAcDTW9gb54h4FRWyuXpoQ\"},"
    "{\"kty\":\"EC\",\"kid\":\"p256\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"EC\",\"kid\":\"p521\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_"
    "NjFZ6OvLFV1jSfS9tsz4qU"
    "xcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"},"
    "{\"kty\":\"OKP\",\"kid\":\"ed\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static const apr_array_header_t *keys(void)
{
    static apr_array_header_t *known;
    lti_err_t err;

    if (known == NULL)
        FUZZ_MUST(lti_keyset_parse(&known, NULL, set, sizeof(set) - 1, fuzz_pool(), &err) == APR_SUCCESS && known->nelts == 4);
    return known;
}

static const char *encode_line(const uint8_t **at, const uint8_t *end, apr_pool_t *p)
{
    const uint8_t *line = *at, *stop = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;

    if (stop == NULL)
        stop = end;
    *at = stop < end ? stop + 1 : end;
    return lti_base64url_encode(line, (size_t)(stop - line), p);
}

static const char *make_token(const uint8_t *data, size_t size, apr_pool_t *p)
{
    const uint8_t *at = data + sizeof(RAW) - 1, *end = data + size;
    const char *header, *payload;

    if (size < sizeof(RAW) - 1 || memcmp(data, RAW, sizeof(RAW) - 1) != 0)
        return fuzz_text(data, size, p);
    header = encode_line(&at, end, p);
    payload = encode_line(&at, end, p);
    return apr_pstrcat(p, header, ".", payload, ".", lti_base64url_encode(at, (size_t)(end - at), p), NULL);
}

/* The seeds hold the RFCs' own examples: what is signed under these keys is known. */
static int is_known(const lti_jws_t *jws)
{
    static const char *const payloads[] = {
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ", ".UGF5bG9hZA",
        ".RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"};
    const char *dot = memchr(jws->input.data, '.', jws->input.size);
    size_t rest = jws->input.size - (size_t)(dot - (const char *)jws->input.data), i;

    for (i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        if (strlen(payloads[i]) == rest && memcmp(payloads[i], dot, rest) == 0)
            return 1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_begin();
    const char *token = make_token(data, size, p);
    lti_jws_t *jws = NULL, *envelope = NULL;
    lti_err_t err = {.code = LTI_OK};
    apr_status_t rv = lti_jws_parse(&jws, token, strlen(token), p, &err), outer;
    int i;

    FUZZ_MUST_TELL(rv, err);
    outer = lti_jws_parse_envelope(&envelope, token, strlen(token), p, &err);
    FUZZ_MUST_TELL(outer, err);
    if (rv == APR_SUCCESS) {
        FUZZ_MUST(json_is_object(jws->claims) && jws->alg != LTI_ALG_UNKNOWN);
        FUZZ_MUST(outer == APR_SUCCESS && envelope->alg == jws->alg && (envelope->kid == NULL) == (jws->kid == NULL));
        FUZZ_MUST(jws->kid == NULL || (jws->kid[0] != '\0' && strlen(jws->kid) <= LTI_KID_MAX));
    }
    for (i = 0; outer == APR_SUCCESS && i < keys()->nelts; i++) {
        FUZZ_MUST(envelope->claims == NULL && envelope->input.size < strlen(token));
        if (lti_jws_verify(envelope, APR_ARRAY_IDX(keys(), i, lti_key_t *), 0xFFFFFFFFu, &err) == APR_SUCCESS)
            FUZZ_MUST(is_known(envelope));
        else
            FUZZ_MUST(err.code > LTI_OK);
        FUZZ_MUST(lti_jws_verify(envelope, APR_ARRAY_IDX(keys(), i, lti_key_t *), 0, &err) != APR_SUCCESS);
    }
    fuzz_end(p);
    return 0;
}
