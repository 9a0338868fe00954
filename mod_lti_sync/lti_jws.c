/* SPDX-License-Identifier: Apache-2.0 */
/* lti_jws: compact JWS: strict parsing, verification against a list of algorithms, signing. */
#include "lti_jws.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "lti_json.h"

#define PARTS 3

static apr_status_t malformed(lti_err_t *err, const char *why)
{
    return lti_fail(err, LTI_E_TOKEN_MALFORMED, APR_EINVAL, "the token %s", why);
}

/* Cuts at the dots. Parts point into `token`. */
static apr_status_t split(lti_bytes_t parts[PARTS], const char *token, apr_size_t length, lti_err_t *err)
{
    const char *from = token, *end = token + length, *dot;
    int count = 0;

    for (;;) {
        dot = memchr(from, '.', (apr_size_t)(end - from));
        if (count < PARTS) {
            parts[count].data = from;
            parts[count].size = (apr_size_t)((dot == NULL ? end : dot) - from);
        }
        count++;
        if (dot == NULL)
            break;
        from = dot + 1;
    }
    if (count == 5)
        return malformed(err, "is encrypted (JWE); a signed one (JWS) is expected (SPEC J-01)");
    if (count != PARTS)
        return lti_fail(err, LTI_E_TOKEN_MALFORMED, APR_EINVAL, "the token has %d parts instead of %d (SPEC J-01)", count, PARTS);
    if (parts[0].size == 0 || parts[2].size == 0)
        return malformed(err, "has an empty part (SPEC J-01)");
    return APR_SUCCESS;
}

static apr_status_t decode(lti_bytes_t *out, lti_bytes_t part, const char *name, apr_pool_t *p, lti_err_t *err)
{
    unsigned char *bytes = apr_palloc(p, part.size);

    out->data = bytes;
    if (lti_base64url_decode(bytes, &out->size, part.data, part.size) != APR_SUCCESS)
        return lti_fail(err, LTI_E_TOKEN_MALFORMED, APR_EINVAL, "the token's %s is not base64url (SPEC J-01)", name);
    return APR_SUCCESS;
}

static apr_status_t read_object(json_t **json, lti_bytes_t text, const char *name, apr_pool_t *p, lti_err_t *err)
{
    lti_err_t inner;
    apr_status_t rv = lti_json_object(json, text.data, text.size, LTI_E_TOKEN_MALFORMED, p, &inner);

    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_TOKEN_MALFORMED, rv, "the token's %s: %.180s (SPEC J-02)", name, inner.text);
    return APR_SUCCESS;
}

static apr_status_t decode_object(json_t **json, lti_bytes_t part, const char *name, apr_pool_t *p, lti_err_t *err)
{
    lti_bytes_t text;
    apr_status_t rv = decode(&text, part, name, p, err);

    return rv != APR_SUCCESS ? rv : read_object(json, text, name, p, err);
}

/* SPEC J-12: absent or "JWT", in any case, with or without "application/". */
static int is_jwt(const json_t *typ)
{
    const char *text = json_string_value(typ);

    if (typ == NULL)
        return 1;
    if (text == NULL)
        return 0;
    if (strncasecmp(text, "application/", 12) == 0)
        text += 12;
    return strcasecmp(text, "JWT") == 0;
}

/* SPEC J-03 to J-11. */
static apr_status_t read_header(lti_jws_t *jws, lti_err_t *err)
{
    /* Keys that a token brings along (J-09) and extensions that would change what the signature means (J-10, J-11). */
    static const struct {
        const char *member, *rule;
    } refused[] = {{"jwk", "J-09"}, {"jku", "J-09"}, {"x5u", "J-09"}, {"x5c", "J-09"}, {"crit", "J-10"}, {"b64", "J-11"}};
    const json_t *kid = json_object_get(jws->header, "kid");
    const char *alg = lti_json_string(jws->header, "alg");
    size_t i;

    if (alg == NULL)
        return malformed(err, "names no algorithm, alg (SPEC J-03)");
    jws->alg = lti_alg_by_name(alg);
    if (jws->alg == LTI_ALG_UNKNOWN)
        return lti_fail(err, LTI_E_ALGORITHM, APR_EACCES, "the token's algorithm \"%.80s\" is none that can be allowed (SPEC J-04)",
                        alg);
    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (json_object_get(jws->header, refused[i].member) != NULL)
            return lti_fail(err, LTI_E_TOKEN_MALFORMED, APR_EINVAL, "the token's header has \"%s\", which is refused (SPEC %s)",
                            refused[i].member, refused[i].rule);
    }
    if (kid == NULL)
        return APR_SUCCESS;
    jws->kid = json_string_value(kid);
    if (jws->kid == NULL || jws->kid[0] == '\0' || strlen(jws->kid) > LTI_KID_MAX)
        return malformed(err, "has a kid that is no text of 1 to 255 bytes (SPEC J-05)");
    return APR_SUCCESS;
}

/* Header and signature; where the payload stands goes into `payload`. */
static apr_status_t open_envelope(lti_jws_t **jws, lti_bytes_t *payload, const char *token, apr_size_t length, apr_pool_t *p,
                                  lti_err_t *err)
{
    lti_jws_t *made = apr_pcalloc(p, sizeof(*made));
    lti_bytes_t parts[PARTS], bytes;
    apr_status_t rv;

    if (length > LTI_JWS_MAX)
        return lti_fail(err, LTI_E_TOKEN_MALFORMED, APR_EINVAL,
                        "the token has %" APR_SIZE_T_FMT " bytes, %d are the most (SPEC S-13)", length, LTI_JWS_MAX);
    rv = split(parts, token, length, err);
    if (rv == APR_SUCCESS)
        rv = decode_object(&made->header, parts[0], "header", p, err);
    if (rv == APR_SUCCESS)
        rv = read_header(made, err);
    if (rv == APR_SUCCESS)
        rv = decode(&bytes, parts[1], "payload", p, err);
    if (rv == APR_SUCCESS)
        rv = decode(&made->signature, parts[2], "signature", p, err);
    if (rv != APR_SUCCESS)
        return rv;
    /* The bytes as they came (SPEC J-13): header, dot, payload. */
    made->input.data = token;
    made->input.size = parts[0].size + 1 + parts[1].size;
    *payload = bytes;
    *jws = made;
    return APR_SUCCESS;
}

apr_status_t lti_jws_parse_envelope(lti_jws_t **jws, const char *token, apr_size_t length, apr_pool_t *p, lti_err_t *err)
{
    lti_bytes_t payload;

    return open_envelope(jws, &payload, token, length, p, err);
}

apr_status_t lti_jws_parse(lti_jws_t **jws, const char *token, apr_size_t length, apr_pool_t *p, lti_err_t *err)
{
    lti_bytes_t payload;
    lti_jws_t *made = NULL;
    apr_status_t rv = open_envelope(&made, &payload, token, length, p, err);

    if (rv != APR_SUCCESS)
        return rv;
    if (payload.size == 0)
        return malformed(err, "has an empty part (SPEC J-01)");
    if (!is_jwt(json_object_get(made->header, "typ")))
        return malformed(err, "is of a type (typ) other than JWT (SPEC J-12)");
    rv = read_object(&made->claims, payload, "payload", p, err);
    if (rv != APR_SUCCESS)
        return rv;
    *jws = made;
    return APR_SUCCESS;
}

apr_status_t lti_jws_verify(const lti_jws_t *jws, const lti_key_t *key, unsigned allowed, lti_err_t *err)
{
    if (jws->alg == LTI_ALG_UNKNOWN || (allowed & LTI_ALG_BIT(jws->alg)) == 0)
        return lti_fail(err, LTI_E_ALGORITHM, APR_EACCES,
                        "the token is signed with %s, which is not allowed for this platform (SPEC J-03)", lti_alg_name(jws->alg));
    return lti_key_verify(key, jws->alg, jws->input, jws->signature, err);
}

static const char *encode_object(const json_t *json, apr_pool_t *p)
{
    const char *text = lti_json_text(json, p);

    return text == NULL ? NULL : lti_base64url_encode((const unsigned char *)text, strlen(text), p);
}

apr_status_t lti_jws_sign(const char **token, const json_t *claims, const lti_key_t *key, apr_pool_t *p, lti_err_t *err)
{
    lti_alg_t alg = lti_key_fits(key, LTI_ALG_RS256) ? LTI_ALG_RS256 : LTI_ALG_ES256;
    json_t *header = lti_json_own(json_pack("{ssssss}", "typ", "JWT", "alg", lti_alg_name(alg), "kid", key->kid), p);
    const char *head = encode_object(header, p), *payload = encode_object(claims, p);
    lti_bytes_t input, signature;
    apr_status_t rv;

    if (head == NULL || payload == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the claims of a token cannot be written as JSON");
    input.data = apr_pstrcat(p, head, ".", payload, NULL);
    input.size = strlen(input.data);
    rv = lti_key_sign(&signature, key, alg, input, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    *token = apr_pstrcat(p, input.data, ".", lti_base64url_encode(signature.data, signature.size, p), NULL);
    return APR_SUCCESS;
}
