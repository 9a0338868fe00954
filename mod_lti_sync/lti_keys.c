/* SPDX-License-Identifier: Apache-2.0 */
/* lti_keys: JWK sets in and out; how the platforms' sets are shared by all processes is in lti_keys_cache.c. */
#include "lti_keys.h"

#include <string.h>
#include <apr_strings.h>
#include <jansson.h>
#include <openssl/evp.h>
#include "lti_json.h"
#include "lti_jws.h"
#include "lti_keys_set.h"

/* --- JWK sets -------------------------------------------------------------------------------------------------------- */

/* A base64url member as bytes. The framework's own example pads `n`, so closing '=' are taken (SPEC J-14). */
static int member_bytes(lti_bytes_t *out, const json_t *jwk, const char *member, apr_pool_t *p)
{
    const char *text = lti_json_string(jwk, member);
    apr_size_t length = text == NULL ? 0 : strlen(text);
    unsigned char *bytes;
    int i;

    for (i = 0; i < 2 && length > 0 && text[length - 1] == '='; i++)
        length--;
    if (length == 0)
        return 0;
    bytes = apr_palloc(p, length);
    out->data = bytes;
    return lti_base64url_decode(bytes, &out->size, text, length) == APR_SUCCESS;
}

/* SPEC J-07: a key that says what it is for must be for verifying signatures. */
static int is_for_verifying(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops"), *op;
    size_t i;

    if (use != NULL && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))
        return 0;
    if (ops == NULL)
        return 1;
    json_array_foreach(ops, i, op)
    {
        if (json_is_string(op) && strcmp(json_string_value(op), "verify") == 0)
            return 1;
    }
    return 0;
}

/* A private key that is published belongs to everybody: what it signs proves nothing (SPEC Y-09). */
static int is_private(const json_t *jwk)
{
    static const char *const members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    size_t i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (json_object_get(jwk, members[i]) != NULL)
            return 1;
    }
    return 0;
}

static int any_algorithm_fits(const lti_key_t *key)
{
    int alg;

    for (alg = LTI_ALG_RS256; alg <= LTI_ALG_EDDSA; alg++) {
        if (lti_key_fits(key, (lti_alg_t)alg))
            return 1;
    }
    return 0;
}

/* One member of "keys"; NULL if it cannot verify anything of ours. */
static lti_key_t *parse_jwk(const json_t *jwk, apr_pool_t *p, apr_pool_t *ptemp)
{
    const char *kid = lti_json_string(jwk, "kid"), *kty = lti_json_string(jwk, "kty"), *crv = lti_json_string(jwk, "crv");
    const json_t *alg = json_object_get(jwk, "alg");
    lti_bytes_t a, b;
    lti_key_t *key = NULL;
    lti_alg_t only = LTI_ALG_UNKNOWN;

    if (kid == NULL || kid[0] == '\0' || strlen(kid) > LTI_KID_MAX || kty == NULL || is_private(jwk) || !is_for_verifying(jwk))
        return NULL;
    if (alg != NULL) {
        only = lti_alg_by_name(json_string_value(alg));
        if (only == LTI_ALG_UNKNOWN)
            return NULL;
    }
    if (strcmp(kty, "RSA") == 0 && member_bytes(&a, jwk, "n", ptemp) && member_bytes(&b, jwk, "e", ptemp))
        lti_key_from_rsa(&key, a, b, kid, p, NULL);
    else if (strcmp(kty, "EC") == 0 && member_bytes(&a, jwk, "x", ptemp) && member_bytes(&b, jwk, "y", ptemp))
        lti_key_from_ec(&key, crv, a, b, kid, p, NULL);
    else if (strcmp(kty, "OKP") == 0 && crv != NULL && strcmp(crv, "Ed25519") == 0 && member_bytes(&a, jwk, "x", ptemp))
        lti_key_from_ed25519(&key, a, kid, p, NULL);
    if (key == NULL)
        return NULL;
    key->only = only;
    return any_algorithm_fits(key) ? key : NULL;
}

typedef struct candidate_t {
    lti_key_t *key;
    const json_t *jwk;
    int refused;
} candidate_t;

/* SPEC Y-03: one kid with two different keys names neither; the same key twice counts once. */
static void refuse_ambiguous(candidate_t *candidates, int count)
{
    int i, j;

    for (i = 0; i < count; i++) {
        for (j = i + 1; j < count; j++) {
            if (strcmp(candidates[i].key->kid, candidates[j].key->kid) != 0)
                continue;
            candidates[j].refused = 1;
            if (EVP_PKEY_eq(candidates[i].key->pkey, candidates[j].key->pkey) != 1)
                candidates[i].refused = 1;
        }
    }
}

/* The usable members of a set: the keys live in `p`, their JWKs and the list in `ptemp`. */
static apr_status_t parse_set(apr_array_header_t **found, int *dropped, const char *text, apr_size_t size, apr_pool_t *p,
                              apr_pool_t *ptemp, lti_err_t *err)
{
    candidate_t candidates[LTI_KEYSET_KEYS];
    json_t *set, *keys, *jwk;
    size_t i;
    int count = 0, n;
    apr_status_t rv;

    if (size > LTI_KEYSET_MAX)
        return lti_fail(err, LTI_E_KEYSET_INVALID, APR_EINVAL, "a key set of more than %d bytes", LTI_KEYSET_MAX);
    rv = lti_json_object(&set, text, size, LTI_E_KEYSET_INVALID, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    keys = json_object_get(set, "keys");
    if (!json_is_array(keys))
        return lti_fail(err, LTI_E_KEYSET_INVALID, APR_EINVAL, "a key set without an array \"keys\"");
    if (json_array_size(keys) > LTI_KEYSET_KEYS)
        return lti_fail(err, LTI_E_KEYSET_INVALID, APR_EINVAL, "a key set of %d keys, %d are the most", (int)json_array_size(keys),
                        LTI_KEYSET_KEYS);

    json_array_foreach(keys, i, jwk)
    {
        lti_key_t *key = parse_jwk(jwk, p, ptemp);

        if (key != NULL)
            candidates[count++] = (candidate_t){.key = key, .jwk = jwk};
    }
    refuse_ambiguous(candidates, count);
    *found = apr_array_make(ptemp, count + 1, sizeof(candidate_t));
    for (n = 0; n < count; n++) {
        if (!candidates[n].refused)
            APR_ARRAY_PUSH(*found, candidate_t) = candidates[n];
    }
    *dropped = (int)json_array_size(keys) - (*found)->nelts;
    if ((*found)->nelts == 0)
        return lti_fail(err, LTI_E_KEYSET_INVALID, APR_EINVAL, "a key set of %d keys, none of which is usable",
                        (int)json_array_size(keys));
    return APR_SUCCESS;
}

apr_status_t lti_keyset_parse(apr_array_header_t **keys, int *dropped, const char *text, apr_size_t size, apr_pool_t *p,
                              lti_err_t *err)
{
    apr_array_header_t *found;
    apr_pool_t *ptemp;
    apr_status_t rv;
    int i, unusable = 0;

    rv = apr_pool_create(&ptemp, p);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for a key set");
    rv = parse_set(&found, &unusable, text, size, p, ptemp, err);
    if (dropped != NULL)
        *dropped = unusable;
    if (rv == APR_SUCCESS) {
        *keys = apr_array_make(p, found->nelts, sizeof(lti_key_t *));
        for (i = 0; i < found->nelts; i++)
            APR_ARRAY_PUSH(*keys, lti_key_t *) = APR_ARRAY_IDX(found, i, candidate_t).key;
    }
    apr_pool_destroy(ptemp);
    return rv;
}

/* The members that parse_jwk() reads, and no other, of the usable keys. */
static const char *text_of(const apr_array_header_t *found, apr_pool_t *p)
{
    static const char *const members[] = {"kty", "kid", "alg", "crv", "n", "e", "x", "y"};
    json_t *set = lti_json_own(json_object(), p), *keys = json_array();
    size_t m;
    int i;

    json_object_set_new(set, "keys", keys);
    for (i = 0; i < found->nelts; i++) {
        const json_t *jwk = APR_ARRAY_IDX(found, i, candidate_t).jwk;
        json_t *kept = json_object();

        for (m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
            json_t *value = json_object_get(jwk, members[m]);

            if (json_is_string(value))
                json_object_set(kept, members[m], value);
        }
        json_array_append_new(keys, kept);
    }
    return lti_json_text(set, p);
}

apr_status_t lti_keyset_normalise(const char **normalised, const char *text, apr_size_t size, apr_pool_t *p, lti_err_t *err)
{
    apr_array_header_t *found;
    int dropped;
    apr_status_t rv = parse_set(&found, &dropped, text, size, p, p, err);

    if (rv != APR_SUCCESS)
        return rv;
    *normalised = text_of(found, p);
    return *normalised == NULL ? lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for a key set") : APR_SUCCESS;
}

/* --- the tool's keys ------------------------------------------------------------------------------------------------------ */

/* SPEC Y-21: lti_key_public() knows public members only, so nothing else can get into the text. */
static apr_status_t add_public(json_t *keys, const lti_key_t *key, apr_pool_t *p, lti_err_t *err)
{
    lti_key_public_t members;
    apr_status_t rv = lti_key_public(&members, key, p, err);
    json_t *jwk;

    if (rv != APR_SUCCESS)
        return rv;
    if (members.crv == NULL)
        jwk = json_pack("{ssssssssssss}", "kty", members.kty, "use", "sig", "alg", "RS256", "kid", key->kid, "n", members.a, "e",
                        members.b);
    else
        jwk = json_pack("{ssssssssssssss}", "kty", members.kty, "use", "sig", "alg", "ES256", "kid", key->kid, "crv", members.crv,
                        "x", members.a, "y", members.b);
    if (json_array_append_new(keys, jwk) != 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for the tool's key set");
    return APR_SUCCESS;
}

apr_status_t lti_toolkeys_create(lti_toolkeys_t **toolkeys, const apr_array_header_t *pems, apr_pool_t *p, lti_err_t *err)
{
    lti_toolkeys_t *made = apr_pcalloc(p, sizeof(*made));
    json_t *set = lti_json_own(json_object(), p), *array = json_array();
    apr_status_t rv;
    int i, j;

    json_object_set_new(set, "keys", array);
    if (pems == NULL || pems->nelts == 0)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "the tool has no key to sign with");
    made->keys = apr_array_make(p, pems->nelts, sizeof(lti_key_t *));
    for (i = 0; i < pems->nelts; i++) {
        const char *pem = APR_ARRAY_IDX(pems, i, const char *);
        lti_key_t *key;
        lti_err_t inner;

        rv = lti_key_from_pem(&key, pem, strlen(pem), p, &inner);
        if (rv != APR_SUCCESS)
            return lti_fail(err, inner.code, rv, "key %d: %s", i + 1, inner.text);
        for (j = 0; j < i; j++) {
            if (strcmp(APR_ARRAY_IDX(made->keys, j, lti_key_t *)->kid, key->kid) == 0)
                return lti_fail(err, LTI_E_CONFIG, APR_EEXIST, "key %d is the same as key %d", i + 1, j + 1);
        }
        APR_ARRAY_PUSH(made->keys, lti_key_t *) = key;
        rv = add_public(array, key, p, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    made->jwks = lti_json_text(set, p);
    *toolkeys = made;
    return APR_SUCCESS;
}
