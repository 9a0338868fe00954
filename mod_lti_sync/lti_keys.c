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

#define FAULTS_MAX 2000 /* bytes, after which no more is told of a set */

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
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops"), *alg = json_object_get(jwk, "alg"),
                 *op;
    size_t i;

    if (alg != NULL && lti_alg_by_name(json_string_value(alg)) == LTI_ALG_UNKNOWN)
        return 0;

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

/* The key itself; `fault` says why there is none. */
static lti_key_t *make_key(lti_err_t *fault, const json_t *jwk, const char *kid, apr_pool_t *p, apr_pool_t *ptemp)
{
    const char *kty = lti_json_string(jwk, "kty"), *crv = lti_json_string(jwk, "crv");
    lti_bytes_t a, b;
    lti_key_t *key = NULL;

    lti_fail(fault, LTI_E_KEY_UNUSABLE, APR_EINVAL,
             "its type is unknown, or a member is missing or no base64url (SPEC J-07, J-14)");
    if (kty == NULL)
        return NULL;
    if (strcmp(kty, "RSA") == 0 && member_bytes(&a, jwk, "n", ptemp) && member_bytes(&b, jwk, "e", ptemp))
        lti_key_from_rsa(&key, a, b, kid, p, fault);
    else if (strcmp(kty, "EC") == 0 && member_bytes(&a, jwk, "x", ptemp) && member_bytes(&b, jwk, "y", ptemp))
        lti_key_from_ec(&key, crv, a, b, kid, p, fault);
    else if (strcmp(kty, "OKP") == 0 && crv != NULL && strcmp(crv, "Ed25519") == 0 && member_bytes(&a, jwk, "x", ptemp))
        lti_key_from_ed25519(&key, a, kid, p, fault);
    return key;
}

/* One member of "keys"; NULL if it cannot verify anything of ours. `fault` says why, with LTI_OK where it is just a key for something else. */
static lti_key_t *parse_jwk(lti_err_t *fault, const json_t *jwk, apr_pool_t *p, apr_pool_t *ptemp)
{
    const char *kid = lti_json_string(jwk, "kid");
    lti_key_t *key;

    if (is_private(jwk))
        lti_fail(fault, LTI_E_KEY_UNUSABLE, APR_EINVAL, "it is published with its secret half, or is symmetric (SPEC Y-09)");
    else if (!is_for_verifying(jwk))
        lti_fail(fault, LTI_OK, APR_SUCCESS, "it is for something else");
    else if (kid == NULL || kid[0] == '\0' || strlen(kid) > LTI_KID_MAX)
        lti_fail(fault, LTI_E_KEY_UNUSABLE, APR_EINVAL, "it has no name, kid, of 1 to 255 bytes (SPEC Y-02)");
    else if ((key = make_key(fault, jwk, kid, p, ptemp)) != NULL) {
        key->only = lti_alg_by_name(lti_json_string(jwk, "alg"));
        if (any_algorithm_fits(key))
            return key;
        lti_fail(fault, LTI_E_KEY_UNUSABLE, APR_EINVAL, "its alg is none of its type (SPEC J-07)");
    }
    return NULL;
}

typedef struct candidate_t {
    lti_key_t *key;
    const json_t *jwk;
    int refused;
} candidate_t;

/* Adds a fault to those of the set, NULL where nobody asks. */
static void note_fault(const char **faults, const char *kid, const char *why, apr_pool_t *p)
{
    if (faults != NULL && (*faults == NULL || strlen(*faults) < FAULTS_MAX))
        *faults = apr_psprintf(p, "%s%skey \"%.80s\": %s", *faults != NULL ? *faults : "", *faults != NULL ? "; " : "",
                               kid != NULL ? kid : "", why);
}

/* SPEC Y-03: one kid with two different keys names neither; the same key twice counts once. */
static void refuse_ambiguous(candidate_t *candidates, int count, const char **faults, apr_pool_t *p)
{
    int i, j;

    for (i = 0; i < count; i++) {
        for (j = i + 1; j < count; j++) {
            if (strcmp(candidates[i].key->kid, candidates[j].key->kid) != 0)
                continue;
            candidates[j].refused = 1;
            if (EVP_PKEY_eq(candidates[i].key->pkey, candidates[j].key->pkey) == 1)
                continue;
            if (!candidates[i].refused)
                note_fault(faults, candidates[i].key->kid, "two different keys have this name (SPEC Y-03)", p);
            candidates[i].refused = 1;
        }
    }
}

/* The usable members of a set: the keys live in `p`, their JWKs, the list and the faults (may be NULL) in `ptemp`. */
static apr_status_t parse_set(apr_array_header_t **found, int *dropped, const char **faults, const char *text, apr_size_t size,
                              apr_pool_t *p, apr_pool_t *ptemp, lti_err_t *err)
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
        lti_err_t fault;
        lti_key_t *key = parse_jwk(&fault, jwk, p, ptemp);

        if (key != NULL)
            candidates[count++] = (candidate_t){.key = key, .jwk = jwk};
        else if (fault.code != LTI_OK)
            note_fault(faults, lti_json_string(jwk, "kid"), fault.text, ptemp);
    }
    refuse_ambiguous(candidates, count, faults, ptemp);
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
    rv = parse_set(&found, &unusable, NULL, text, size, p, ptemp, err);
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

const char *lti_keyset_faults(const char *text, apr_size_t size, apr_pool_t *p)
{
    const char *faults = NULL;
    apr_array_header_t *found;
    int dropped;

    (void)parse_set(&found, &dropped, &faults, text, size, p, p, NULL);
    return faults;
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
    apr_status_t rv = parse_set(&found, &dropped, NULL, text, size, p, p, err);

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

static int has_kid(const json_t *keys, const char *kid)
{
    const json_t *jwk;
    size_t i;

    json_array_foreach(keys, i, jwk)
    {
        const char *present = lti_json_string(jwk, "kid");

        if (present != NULL && strcmp(present, kid) == 0)
            return 1;
    }
    return 0;
}

static void add_keys_of(json_t *keys, const char *jwks, apr_pool_t *p)
{
    const char *usable = NULL;
    json_t *set, *jwk;
    size_t i;

    if (jwks == NULL || lti_keyset_normalise(&usable, jwks, strlen(jwks), p, NULL) != APR_SUCCESS ||
        lti_json_object(&set, usable, strlen(usable), LTI_E_INTERNAL, p, NULL) != APR_SUCCESS)
        return;
    json_array_foreach(json_object_get(set, "keys"), i, jwk)
    {
        if (json_array_size(keys) >= LTI_KEYSET_KEYS || has_kid(keys, lti_json_string(jwk, "kid")))
            continue;
        json_object_set_new(jwk, "use", json_string("sig"));
        json_array_append(keys, jwk);
    }
}

const char *lti_toolkeys_merge(const lti_toolkeys_t *own, const apr_array_header_t *others, apr_pool_t *p)
{
    json_t *set;
    const char *text;
    int i;

    if (lti_json_object(&set, own->jwks, strlen(own->jwks), LTI_E_INTERNAL, p, NULL) != APR_SUCCESS)
        return own->jwks;
    for (i = 0; i < others->nelts; i++)
        add_keys_of(json_object_get(set, "keys"), APR_ARRAY_IDX(others, i, const char *), p);
    /* The room for it is bounded; whose keys came last can do without longest. */
    while ((text = lti_json_text(set, p)) != NULL && strlen(text) > LTI_TOOLKEYS_MAX) {
        json_t *keys = json_object_get(set, "keys");

        if (json_array_size(keys) <= (size_t)own->keys->nelts)
            return own->jwks;
        json_array_remove(keys, json_array_size(keys) - 1);
    }
    return text != NULL ? text : own->jwks;
}
