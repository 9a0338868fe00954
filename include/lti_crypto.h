/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_crypto: the few primitives that the house needs, over OpenSSL's EVP: random bytes, SHA-256, HMAC, base64url and
 * base32, constant-time comparison, the JWS algorithms with one key, and *sealing* (authenticated encryption with key
 * rotation) of whatever leaves the server and must come back unchanged.
 *
 * Any thread, any process. Sealers and keys are immutable after creation and may be shared by all threads. The OpenSSL
 * error queue is empty after every call.
 */
#ifndef LTI_CRYPTO_H
#define LTI_CRYPTO_H

#include <apr_pools.h>
#include "lti_err.h"

#define LTI_SHA256_SIZE 32

/* --- bytes and text -------------------------------------------------------------------------------------------- */

/** Fills `out` with random bytes of the system's generator. APR_SUCCESS or LTI_E_INTERNAL. */
apr_status_t lti_crypto_random(unsigned char *out, apr_size_t size, lti_err_t *err);

/** A random text of `bytes` random bytes in base64url, allocated in `p`; NULL if there is no randomness. */
const char *lti_crypto_random_text(apr_size_t bytes, apr_pool_t *p);

/** Unpadded base64url (RFC 4648 section 5) of `size` bytes, allocated in `p`. */
char *lti_base64url_encode(const unsigned char *bytes, apr_size_t size, apr_pool_t *p);

/** Bytes needed for the text of `size` bytes, without the closing NUL. */
#define LTI_BASE64URL_LENGTH(size) (((size) * 4 + 2) / 3)

/**
 * Strict decoding: alphabet A-Za-z0-9-_ only, no padding, no white space, zero tail bits (SPEC J-01). `out` holds at
 * least `length * 3 / 4` bytes; `*size` receives the count. APR_EINVAL on anything else; nothing is allocated.
 */
apr_status_t lti_base64url_decode(unsigned char *out, apr_size_t *size, const char *text, apr_size_t length);

/** Lower-case RFC 4648 base32 without padding of `size` bytes; `out` has room for (size * 8 + 4) / 5 + 1. */
void lti_base32_encode(char *out, const unsigned char *bytes, apr_size_t size);

/** 1 if both hold the same `size` bytes; takes the same time whatever they hold. */
int lti_crypto_equal(const void *a, const void *b, apr_size_t size);

/* --- digests ---------------------------------------------------------------------------------------------------- */

/** A piece of a digest's input. */
typedef struct lti_bytes_t {
    const void *data;
    apr_size_t size;
} lti_bytes_t;

/** SHA-256 over the pieces, each preceded by its length as 8 bytes big endian, so that no two lists collide. */
apr_status_t lti_sha256_pieces(unsigned char out[LTI_SHA256_SIZE], const lti_bytes_t *pieces, int count);

/** Plain SHA-256. */
apr_status_t lti_sha256(unsigned char out[LTI_SHA256_SIZE], const void *data, apr_size_t size);

/** HMAC-SHA256 of `data`; the key has at least one byte. */
apr_status_t lti_hmac_sha256(unsigned char out[LTI_SHA256_SIZE], lti_bytes_t key, lti_bytes_t data);

/* --- sealing ---------------------------------------------------------------------------------------------------- */

/** AES-256-GCM under one key per secret and purpose (HKDF-SHA256); the first secret seals, all open. */
typedef struct lti_sealer_t lti_sealer_t;

/** Bytes that sealing adds: key id 1, nonce 12, tag 16. */
#define LTI_SEAL_OVERHEAD 29

/**
 * A sealer for `purpose` (a short constant such as "session") from `count` secrets of at least 32 bytes each. Lives as
 * long as `p`. LTI_E_CONFIG for a short secret.
 */
apr_status_t lti_sealer_create(lti_sealer_t **sealer, const char *purpose, const lti_bytes_t *secrets, int count,
                               apr_pool_t *p, lti_err_t *err);

/** Seals `plain` with the associated data `aad`; `out` has room for size + LTI_SEAL_OVERHEAD bytes. */
apr_status_t lti_seal(unsigned char *out, apr_size_t *out_size, const lti_sealer_t *sealer, lti_bytes_t aad,
                      lti_bytes_t plain, lti_err_t *err);

/**
 * Opens what lti_seal made; `out` has room for size - LTI_SEAL_OVERHEAD bytes and may not overlap. APR_EINVAL for
 * whatever was not sealed by one of the secrets for this purpose with this very `aad`. No allocation in a pool.
 */
apr_status_t lti_unseal(unsigned char *out, apr_size_t *out_size, const lti_sealer_t *sealer, lti_bytes_t aad,
                        lti_bytes_t sealed);

/** HMAC-SHA256 under the sealer's first key: for names that must be stable but not guessable. */
apr_status_t lti_sealer_mac(unsigned char out[LTI_SHA256_SIZE], const lti_sealer_t *sealer, const lti_bytes_t *pieces,
                            int count);

/* --- signatures (RFC 7518 section 3) ---------------------------------------------------------------------------- */

/** JWS algorithms; a set of them is the OR of LTI_ALG_BIT. `none` and HMAC do not exist here (SPEC J-04). */
typedef enum lti_alg_t {
    LTI_ALG_UNKNOWN = 0,
    LTI_ALG_RS256,
    LTI_ALG_RS384,
    LTI_ALG_RS512,
    LTI_ALG_PS256,
    LTI_ALG_PS384,
    LTI_ALG_PS512,
    LTI_ALG_ES256,
    LTI_ALG_ES384,
    LTI_ALG_ES512,
    LTI_ALG_EDDSA
} lti_alg_t;

#define LTI_ALG_BIT(alg) (1u << (alg))
/** What a platform may use unless LTIAlgorithms says otherwise. */
#define LTI_ALG_DEFAULT (LTI_ALG_BIT(LTI_ALG_RS256) | LTI_ALG_BIT(LTI_ALG_ES256))

lti_alg_t lti_alg_by_name(const char *name);
const char *lti_alg_name(lti_alg_t alg);

/** One key: an EVP_PKEY with what its JWK said of it. Immutable; freed with the pool it was made in. */
typedef struct lti_key_t {
    struct evp_pkey_st *pkey;
    const char *kid; /* never NULL */
    lti_alg_t only;  /* the JWK's "alg", LTI_ALG_UNKNOWN when it had none */
    int is_private;
    struct lti_key_ready_t *ready; /* what verifications need not set up again; NULL: each does */
} lti_key_t;

/** 1 if a key of this type, curve and size may be used with `alg` (SPEC J-07, J-08). */
int lti_key_fits(const lti_key_t *key, lti_alg_t alg);

/** APR_SUCCESS if `signature` (JWS form: ES* as r||s) is right for `input`; LTI_E_SIGNATURE or LTI_E_KEY_UNUSABLE. */
apr_status_t lti_key_verify(const lti_key_t *key, lti_alg_t alg, lti_bytes_t input, lti_bytes_t signature,
                            lti_err_t *err);

/** Signs; the signature is allocated in `p`. */
apr_status_t lti_key_sign(lti_bytes_t *signature, const lti_key_t *key, lti_alg_t alg, lti_bytes_t input, apr_pool_t *p,
                          lti_err_t *err);

/** A private key from PEM text (RSA of 2048 bits or more, or P-256); its kid is the RFC 7638 thumbprint. */
apr_status_t lti_key_from_pem(lti_key_t **key, const char *pem, apr_size_t size, apr_pool_t *p, lti_err_t *err);

/** Makes a new RSA-2048 private key; `*pem` is PKCS#8 text in `p`. */
apr_status_t lti_key_generate_pem(char **pem, apr_pool_t *p, lti_err_t *err);

/** RSA public key from big endian modulus and exponent; checks SPEC J-08. */
apr_status_t lti_key_from_rsa(lti_key_t **key, lti_bytes_t n, lti_bytes_t e, const char *kid, apr_pool_t *p,
                              lti_err_t *err);

/** EC public key on "P-256", "P-384" or "P-521"; checks that the point is on the curve. */
apr_status_t lti_key_from_ec(lti_key_t **key, const char *curve, lti_bytes_t x, lti_bytes_t y, const char *kid,
                             apr_pool_t *p, lti_err_t *err);

/** Ed25519 public key (32 bytes). */
apr_status_t lti_key_from_ed25519(lti_key_t **key, lti_bytes_t x, const char *kid, apr_pool_t *p, lti_err_t *err);

/** The public members of a key as JWK values in base64url: for RSA `a` = n and `b` = e, for EC `a` = x and `b` = y. */
typedef struct lti_key_public_t {
    const char *kty; /* "RSA" or "EC" */
    const char *crv; /* NULL for RSA */
    const char *a;
    const char *b;
} lti_key_public_t;

apr_status_t lti_key_public(lti_key_public_t *out, const lti_key_t *key, apr_pool_t *p, lti_err_t *err);

#endif
