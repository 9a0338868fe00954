/* SPDX-License-Identifier: Apache-2.0 */
/* lti_crypto's keys: made from PEM or JWK members, and the signatures of RFC 7518 section 3 and RFC 8037 over EVP. */
#include "lti_crypto.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <apr_strings.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

/* SPEC J-08. Verification costs the square of the modulus: without the upper limit one key could keep a server busy. */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define RSA_EXPONENT_BITS_MAX 64
#define COORDINATE_MAX 66

/* Drains OpenSSL's error queue and fails with its first reason, which is the closest to the cause. */
static apr_status_t fail_openssl(lti_err_t *err, lti_code_t code, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return lti_fail(err, code, APR_EGENERAL, "%s: %s", what, reason == NULL ? "OpenSSL gives no reason" : reason);
}

/* --- the algorithms -------------------------------------------------------------------------------------------------- */

typedef struct curve_t {
    const char *crv;   /* in a JWK */
    const char *group; /* at OpenSSL */
    apr_size_t size;   /* bytes of a coordinate and of half a signature */
} curve_t;

static const curve_t curves[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}};

typedef enum scheme_t { SCHEME_RSA, SCHEME_PSS, SCHEME_ECDSA, SCHEME_EDDSA } scheme_t;

typedef struct algorithm_t {
    const char *name;
    scheme_t scheme;
    const char *digest;
    const curve_t *curve; /* ECDSA: the one curve that goes with it */
} algorithm_t;

static const algorithm_t algorithms[] = {
    [LTI_ALG_RS256] = {"RS256", SCHEME_RSA, "SHA256", NULL},
    [LTI_ALG_RS384] = {"RS384", SCHEME_RSA, "SHA384", NULL},
    [LTI_ALG_RS512] = {"RS512", SCHEME_RSA, "SHA512", NULL},
    [LTI_ALG_PS256] = {"PS256", SCHEME_PSS, "SHA256", NULL},
    [LTI_ALG_PS384] = {"PS384", SCHEME_PSS, "SHA384", NULL},
    [LTI_ALG_PS512] = {"PS512", SCHEME_PSS, "SHA512", NULL},
    [LTI_ALG_ES256] = {"ES256", SCHEME_ECDSA, "SHA256", &curves[0]},
    [LTI_ALG_ES384] = {"ES384", SCHEME_ECDSA, "SHA384", &curves[1]},
    [LTI_ALG_ES512] = {"ES512", SCHEME_ECDSA, "SHA512", &curves[2]},
    [LTI_ALG_EDDSA] = {"EdDSA", SCHEME_EDDSA, NULL, NULL},
};

#define ALGORITHM_COUNT ((int)(sizeof(algorithms) / sizeof(algorithms[0])))

static const algorithm_t *algorithm_of(lti_alg_t alg)
{
    return (int)alg > LTI_ALG_UNKNOWN && (int)alg < ALGORITHM_COUNT ? &algorithms[alg] : NULL;
}

lti_alg_t lti_alg_by_name(const char *name)
{
    int i;

    for (i = LTI_ALG_UNKNOWN + 1; name != NULL && i < ALGORITHM_COUNT; i++) {
        if (strcmp(algorithms[i].name, name) == 0)
            return (lti_alg_t)i;
    }
    return LTI_ALG_UNKNOWN;
}

const char *lti_alg_name(lti_alg_t alg)
{
    const algorithm_t *algorithm = algorithm_of(alg);

    return algorithm == NULL ? "unknown" : algorithm->name;
}

/* --- what a key is good for ------------------------------------------------------------------------------------------ */

static const curve_t *curve_of(const EVP_PKEY *pkey)
{
    char group[32];
    size_t length = 0, i;

    if (!EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_get_group_name(pkey, group, sizeof(group), &length) != 1) {
        ERR_clear_error();
        return NULL;
    }
    for (i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        if (strcmp(curves[i].group, group) == 0)
            return &curves[i];
    }
    return NULL;
}

/*
 * Some smart cards made primes that are powers of 65537 modulo the product of the first primes (CVE-2017-15361): such a modulus can be taken apart, and shows it
 * by being a power of 65537 modulo each small prime. One of 2^28 other keys looks so by chance.
 */
static int is_from_weak_generator(const BIGNUM *n)
{
    /* Those below 168 of which 65537 does not reach every residue. */
    static const unsigned char primes[] = {11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157};
    size_t i;

    for (i = 0; i < sizeof(primes); i++) {
        BN_ULONG prime = primes[i], rest = BN_mod_word(n, prime), power = 1;

        while (power != rest) {
            power = power * 65537 % prime;
            if (power == 1)
                return 0;
        }
    }
    return 1;
}

/* NULL if modulus and exponent are within SPEC J-08, else what is wrong. */
static const char *rsa_fault(const BIGNUM *n, const BIGNUM *e)
{
    if (n == NULL || e == NULL)
        return "an RSA key without modulus or exponent";
    if (BN_num_bits(n) < RSA_BITS_MIN)
        return "an RSA modulus below 2048 bits";
    if (BN_num_bits(n) > RSA_BITS_MAX)
        return "an RSA modulus above 8192 bits";
    if (!BN_is_odd(n))
        return "an even RSA modulus";
    if (is_from_weak_generator(n))
        return "an RSA modulus of the weak generator of CVE-2017-15361 (ROCA)";
    if (!BN_is_odd(e) || BN_is_one(e))
        return "an RSA exponent that is even or 1";
    if (BN_num_bits(e) > RSA_EXPONENT_BITS_MAX)
        return "an RSA exponent above 64 bits";
    return NULL;
}

int lti_key_fits(const lti_key_t *key, lti_alg_t alg)
{
    const algorithm_t *algorithm = algorithm_of(alg);
    int bits;

    if (algorithm == NULL || (key->only != LTI_ALG_UNKNOWN && key->only != alg))
        return 0;
    switch (algorithm->scheme) {
    case SCHEME_RSA:
    case SCHEME_PSS:
        bits = EVP_PKEY_get_bits(key->pkey);
        return EVP_PKEY_is_a(key->pkey, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    case SCHEME_ECDSA:
        return curve_of(key->pkey) == algorithm->curve;
    case SCHEME_EDDSA:
        return EVP_PKEY_is_a(key->pkey, "ED25519");
    }
    return 0;
}

/* --- verify and sign -------------------------------------------------------------------------------------------------- */

/* ECDSA's two numbers, from the fixed halves of a JWS signature to the DER that EVP takes. Returns the length, 0 on failure. */
static int der_from_halves(unsigned char **der, const unsigned char *halves, apr_size_t half)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(halves, (int)half, NULL), *s = BN_bin2bn(halves + half, (int)half, NULL);
    int length = 0;

    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1)
        length = i2d_ECDSA_SIG(sig, der);
    else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return length > 0 ? length : 0;
}

static int halves_from_der(unsigned char *halves, apr_size_t half, const unsigned char *der, size_t length)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)length);
    int ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), halves, (int)half) == (int)half &&
             BN_bn2binpad(ECDSA_SIG_get0_s(sig), halves + half, (int)half) == (int)half;

    ECDSA_SIG_free(sig);
    return ok;
}

/* RFC 7518 3.5: the salt is as long as the digest, the mask is made with the same digest (OpenSSL's default). */
static int set_padding(EVP_PKEY_CTX *pctx, const algorithm_t *algorithm)
{
    if (algorithm->scheme == SCHEME_RSA)
        return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) == 1;
    if (algorithm->scheme == SCHEME_PSS)
        return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    return 1;
}

/* The one length that a signature of this key may have. */
static apr_size_t signature_size(const lti_key_t *key, const algorithm_t *algorithm)
{
    return algorithm->curve != NULL ? 2 * algorithm->curve->size : (apr_size_t)EVP_PKEY_get_size(key->pkey);
}

/*
 * Setting a verification up (finding the algorithms by their names, again and again) costs as much as a good part of it. What was set up for the algorithm that
 * a key is used with first is kept and copied: platforms use one.
 */
struct lti_key_ready_t {
    _Atomic(EVP_MD_CTX *) ctx; /* never used itself: only copied, which any number of threads may do */
    const algorithm_t *algorithm;
    atomic_flag taken; /* somebody makes it, or made it */
};

static EVP_MD_CTX *begin_verifying(const lti_key_t *key, const algorithm_t *algorithm)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;

    if (ctx != NULL && EVP_DigestVerifyInit_ex(ctx, &pctx, algorithm->digest, NULL, NULL, key->pkey, NULL) == 1 &&
        set_padding(pctx, algorithm))
        return ctx;
    EVP_MD_CTX_free(ctx);
    return NULL;
}

static EVP_MD_CTX *copy_ready(const lti_key_t *key, const algorithm_t *algorithm)
{
    struct lti_key_ready_t *ready = key->ready;
    EVP_MD_CTX *made, *copy;

    if (ready == NULL)
        return NULL;
    made = atomic_load_explicit(&ready->ctx, memory_order_acquire);
    if (made == NULL && !atomic_flag_test_and_set(&ready->taken)) {
        ready->algorithm = algorithm;
        made = begin_verifying(key, algorithm);
        atomic_store_explicit(&ready->ctx, made, memory_order_release);
    }
    if (made == NULL || ready->algorithm != algorithm)
        return NULL;
    copy = EVP_MD_CTX_new();
    if (copy != NULL && EVP_MD_CTX_copy_ex(copy, made) == 1)
        return copy;
    EVP_MD_CTX_free(copy);
    return NULL;
}

static int verify(const lti_key_t *key, const algorithm_t *algorithm, lti_bytes_t input, const unsigned char *signature,
                  size_t size)
{
    EVP_MD_CTX *ctx = copy_ready(key, algorithm);
    int ok;

    if (ctx == NULL)
        ctx = begin_verifying(key, algorithm);
    ok = ctx != NULL && EVP_DigestVerify(ctx, signature, size, input.data, input.size) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

apr_status_t lti_key_verify(const lti_key_t *key, lti_alg_t alg, lti_bytes_t input, lti_bytes_t signature, lti_err_t *err)
{
    const algorithm_t *algorithm = algorithm_of(alg);
    unsigned char *der = NULL;
    int ok, length;

    if (!lti_key_fits(key, alg))
        return lti_fail(err, LTI_E_KEY_UNUSABLE, APR_EINVAL, "the key \"%.120s\" may not be used with %s (SPEC J-07)", key->kid,
                        lti_alg_name(alg));
    if (signature.size != signature_size(key, algorithm))
        return lti_fail(err, LTI_E_SIGNATURE, APR_EINVAL,
                        "a signature of %" APR_SIZE_T_FMT " bytes is none of %s with the key \"%.120s\" (SPEC J-13)",
                        signature.size, algorithm->name, key->kid);
    if (algorithm->scheme == SCHEME_ECDSA) {
        length = der_from_halves(&der, signature.data, algorithm->curve->size);
        ok = length > 0 && verify(key, algorithm, input, der, (size_t)length);
        OPENSSL_free(der);
    } else
        ok = verify(key, algorithm, input, signature.data, signature.size);
    ERR_clear_error();
    if (!ok)
        return lti_fail(err, LTI_E_SIGNATURE, APR_EINVAL, "the %s signature is not the one of the key \"%.120s\" (SPEC J-13)",
                        algorithm->name, key->kid);
    return APR_SUCCESS;
}

apr_status_t lti_key_sign(lti_bytes_t *signature, const lti_key_t *key, lti_alg_t alg, lti_bytes_t input, apr_pool_t *p,
                          lti_err_t *err)
{
    const algorithm_t *algorithm = algorithm_of(alg);
    EVP_MD_CTX *ctx;
    EVP_PKEY_CTX *pctx = NULL;
    unsigned char *made, *halves;
    size_t size;
    int ok;

    if (!key->is_private || !lti_key_fits(key, alg))
        return lti_fail(err, LTI_E_KEY_UNUSABLE, APR_EINVAL, "the key \"%s\" cannot sign with %s", key->kid, lti_alg_name(alg));
    size = (size_t)EVP_PKEY_get_size(key->pkey);
    made = apr_palloc(p, size);
    ctx = EVP_MD_CTX_new();
    ok = ctx != NULL && EVP_DigestSignInit_ex(ctx, &pctx, algorithm->digest, NULL, NULL, key->pkey, NULL) == 1 &&
         set_padding(pctx, algorithm) && EVP_DigestSign(ctx, made, &size, input.data, input.size) == 1;
    EVP_MD_CTX_free(ctx);
    if (ok && algorithm->scheme == SCHEME_ECDSA) {
        halves = apr_palloc(p, 2 * algorithm->curve->size);
        ok = halves_from_der(halves, algorithm->curve->size, made, size);
        made = halves;
        size = 2 * algorithm->curve->size;
    }
    if (!ok)
        return fail_openssl(err, LTI_E_INTERNAL, "a signature could not be made");
    ERR_clear_error();
    signature->data = made;
    signature->size = size;
    return APR_SUCCESS;
}

/* --- keys -------------------------------------------------------------------------------------------------------------- */

static apr_status_t free_key(void *data)
{
    lti_key_t *key = data;

    EVP_MD_CTX_free(atomic_load(&key->ready->ctx));
    EVP_PKEY_free(key->pkey);
    return APR_SUCCESS;
}

/* Takes the reference to `pkey` over. */
static lti_key_t *make_key(EVP_PKEY *pkey, const char *kid, int is_private, apr_pool_t *p)
{
    lti_key_t *key = apr_pcalloc(p, sizeof(*key));

    key->pkey = pkey;
    key->ready = apr_pcalloc(p, sizeof(*key->ready));
    atomic_flag_clear(&key->ready->taken);
    apr_pool_cleanup_register(p, key, free_key, apr_pool_cleanup_null);
    key->kid = kid != NULL ? apr_pstrdup(p, kid) : "";
    key->is_private = is_private;
    return key;
}

/* NULL if OpenSSL finds the members unfit, a point off the curve among them. */
static EVP_PKEY *pkey_from_params(const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

apr_status_t lti_key_from_rsa(lti_key_t **key, lti_bytes_t n, lti_bytes_t e, const char *kid, apr_pool_t *p, lti_err_t *err)
{
    BIGNUM *modulus, *exponent;
    OSSL_PARAM_BLD *build = NULL;
    EVP_PKEY *pkey = NULL;
    const char *fault;

    /* Some platforms write a leading zero byte, so twice the limit is surely too long, one byte more is not. */
    if (n.size > RSA_BITS_MAX / 4 || e.size > RSA_BITS_MAX / 4)
        return lti_fail(err, LTI_E_KEY_UNUSABLE, APR_EINVAL, "an RSA key whose members are too long");
    modulus = BN_bin2bn(n.data, (int)n.size, NULL);
    exponent = BN_bin2bn(e.data, (int)e.size, NULL);
    fault = rsa_fault(modulus, exponent);
    if (fault == NULL) {
        build = OSSL_PARAM_BLD_new();
        if (build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
            OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
            pkey = pkey_from_params("RSA", build);
        OSSL_PARAM_BLD_free(build);
    }
    BN_free(modulus);
    BN_free(exponent);
    if (fault != NULL) {
        ERR_clear_error();
        return lti_fail(err, LTI_E_KEY_UNUSABLE, APR_EINVAL, "%s", fault);
    }
    if (pkey == NULL)
        return fail_openssl(err, LTI_E_KEY_UNUSABLE, "an RSA key that OpenSSL does not take");
    ERR_clear_error();
    *key = make_key(pkey, kid, 0, p);
    return APR_SUCCESS;
}

/* fromdata checks that the point is on the curve; this asks again, and for the point at infinity and the order. */
static int point_is_good(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    int good = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

apr_status_t lti_key_from_ec(lti_key_t **key, const char *curve, lti_bytes_t x, lti_bytes_t y, const char *kid, apr_pool_t *p,
                             lti_err_t *err)
{
    unsigned char point[1 + 2 * COORDINATE_MAX];
    const curve_t *found = NULL;
    OSSL_PARAM_BLD *build;
    EVP_PKEY *pkey = NULL;
    size_t i;

    for (i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        if (curve != NULL && strcmp(curves[i].crv, curve) == 0)
            found = &curves[i];
    }
    if (found == NULL)
        return lti_fail(err, LTI_E_KEY_UNUSABLE, APR_EINVAL, "an EC key on the curve \"%s\"", curve == NULL ? "" : curve);
    if (x.size != found->size || y.size != found->size)
        return lti_fail(err, LTI_E_KEY_UNUSABLE, APR_EINVAL, "an EC key whose coordinates do not have %d bytes", (int)found->size);
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, x.data, x.size);
    memcpy(point + 1 + x.size, y.data, y.size);

    build = OSSL_PARAM_BLD_new();
    if (build != NULL && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, found->group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * found->size) == 1)
        pkey = pkey_from_params("EC", build);
    OSSL_PARAM_BLD_free(build);
    if (pkey == NULL || !point_is_good(pkey)) {
        EVP_PKEY_free(pkey);
        return fail_openssl(err, LTI_E_KEY_UNUSABLE, "an EC key whose point is not on its curve");
    }
    ERR_clear_error();
    *key = make_key(pkey, kid, 0, p);
    return APR_SUCCESS;
}

apr_status_t lti_key_from_ed25519(lti_key_t **key, lti_bytes_t x, const char *kid, apr_pool_t *p, lti_err_t *err)
{
    EVP_PKEY *pkey;

    if (x.size != 32)
        return lti_fail(err, LTI_E_KEY_UNUSABLE, APR_EINVAL, "an Ed25519 key that does not have 32 bytes");
    pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x.data, x.size);
    if (pkey == NULL)
        return fail_openssl(err, LTI_E_KEY_UNUSABLE, "an Ed25519 key that OpenSSL does not take");
    *key = make_key(pkey, kid, 0, p);
    return APR_SUCCESS;
}

static const char *number_text(const EVP_PKEY *pkey, const char *name, int size, apr_pool_t *p)
{
    unsigned char bytes[RSA_BITS_MAX / 8];
    BIGNUM *number = NULL;
    const char *text = NULL;

    if (EVP_PKEY_get_bn_param(pkey, name, &number) == 1) {
        if (size == 0)
            size = BN_num_bytes(number);
        if (size <= (int)sizeof(bytes) && BN_bn2binpad(number, bytes, size) == size)
            text = lti_base64url_encode(bytes, (apr_size_t)size, p);
    }
    BN_free(number);
    return text;
}

apr_status_t lti_key_public(lti_key_public_t *out, const lti_key_t *key, apr_pool_t *p, lti_err_t *err)
{
    const curve_t *curve = curve_of(key->pkey);

    memset(out, 0, sizeof(*out));
    if (EVP_PKEY_is_a(key->pkey, "RSA")) {
        out->kty = "RSA";
        out->a = number_text(key->pkey, OSSL_PKEY_PARAM_RSA_N, 0, p);
        out->b = number_text(key->pkey, OSSL_PKEY_PARAM_RSA_E, 0, p);
    } else if (curve != NULL) {
        out->kty = "EC";
        out->crv = curve->crv;
        out->a = number_text(key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, (int)curve->size, p);
        out->b = number_text(key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, (int)curve->size, p);
    }
    if (out->a == NULL || out->b == NULL)
        return fail_openssl(err, LTI_E_KEY_UNUSABLE, "a key that is neither RSA nor on a curve we know");
    ERR_clear_error();
    return APR_SUCCESS;
}

/* RFC 7638: SHA-256 over the required members in the order of their names. */
static const char *thumbprint(const lti_key_t *key, apr_pool_t *p, lti_err_t *err)
{
    unsigned char digest[LTI_SHA256_SIZE];
    lti_key_public_t members;
    const char *text;

    if (lti_key_public(&members, key, p, err) != APR_SUCCESS)
        return NULL;
    if (members.crv == NULL)
        text = apr_psprintf(p, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", members.b, members.a);
    else
        text = apr_psprintf(p, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", members.crv, members.a, members.b);
    if (lti_sha256(digest, text, strlen(text)) != APR_SUCCESS) {
        lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "SHA-256 failed");
        return NULL;
    }
    return lti_base64url_encode(digest, sizeof(digest), p);
}

/* OpenSSL would ask for a pass phrase on the terminal: a server has none. */
static int no_pass_phrase(char *out, int size, int writing, void *data)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

/* Which of our algorithms a private key signs with; the refusal says what to give instead. */
static apr_status_t check_private(const lti_key_t *key, apr_pool_t *p, lti_err_t *err)
{
    static const lti_bytes_t probe = {"probe", 5};
    lti_alg_t alg = EVP_PKEY_is_a(key->pkey, "RSA") ? LTI_ALG_RS256 : LTI_ALG_ES256;
    lti_bytes_t signature;
    apr_status_t rv;

    if (!lti_key_fits(key, alg))
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "the key is neither RSA of %d to %d bits nor EC on P-256 (has %d bits)",
                        RSA_BITS_MIN, RSA_BITS_MAX, EVP_PKEY_get_bits(key->pkey));
    /* A damaged file can hold halves that do not belong together; without this, every platform would refuse us. */
    rv = lti_key_sign(&signature, key, alg, probe, p, err);
    if (rv == APR_SUCCESS)
        rv = lti_key_verify(key, alg, probe, signature, err);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "the key's public and private halves do not belong together");
    return APR_SUCCESS;
}

apr_status_t lti_key_from_pem(lti_key_t **key, const char *pem, apr_size_t size, apr_pool_t *p, lti_err_t *err)
{
    BIO *bio = size > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)size);
    EVP_PKEY *pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
    lti_key_t *made;
    apr_status_t rv;

    BIO_free(bio);
    if (pkey == NULL)
        return fail_openssl(err, LTI_E_CONFIG, "the text is no private key in PEM form without a pass phrase");
    ERR_clear_error();
    made = make_key(pkey, NULL, 1, p);
    rv = check_private(made, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    made->kid = thumbprint(made, p, err);
    if (made->kid == NULL)
        return APR_EGENERAL;
    *key = made;
    return APR_SUCCESS;
}

apr_status_t lti_key_generate_pem(char **pem, apr_pool_t *p, lti_err_t *err)
{
    EVP_PKEY *pkey = EVP_RSA_gen(RSA_BITS_MIN);
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    long size;
    int ok = pkey != NULL && bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1;

    if (ok) {
        size = BIO_get_mem_data(bio, &text);
        *pem = apr_pstrmemdup(p, text, (apr_size_t)size);
    }
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    if (!ok)
        return fail_openssl(err, LTI_E_INTERNAL, "an RSA key could not be made");
    ERR_clear_error();
    return APR_SUCCESS;
}
