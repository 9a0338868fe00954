/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_jws: compact JWS (RFC 7515): take apart, verify against one key and a list of allowed algorithms, make. Parsing is strict
 * (SPEC J-01 to J-13): three canonical base64url parts, one JSON object each in header and payload, no `crit`, no algorithm outside the
 * list. Keys named inside a token are never used (SPEC J-09): `jwk`, `jku`, `x5u`, `x5c` make it refused.
 *
 * Any thread, any process.
 */
#ifndef LTI_JWS_H
#define LTI_JWS_H

#include <apr_pools.h>
#include <jansson.h>
#include "lti_crypto.h"
#include "lti_err.h"

#define LTI_JWS_MAX (256 * 1024)
#define LTI_KID_MAX 255

typedef struct lti_jws_t {
    lti_alg_t alg;
    const char *kid; /* NULL if absent: a launch refuses that (SPEC J-05) */
    json_t *header;  /* owned by the pool */
    json_t *claims;  /* the payload as an object; owned by the pool. Believe nothing of it before lti_jws_verify(). */
    lti_bytes_t input;
    lti_bytes_t signature;
} lti_jws_t;

/** Takes `token` apart. LTI_E_TOKEN_MALFORMED, LTI_E_ALGORITHM. `token` must live as long as `p`. */
apr_status_t lti_jws_parse(lti_jws_t **jws, const char *token, apr_size_t length, apr_pool_t *p, lti_err_t *err);

/**
 * The same without the rules for the payload and its type (`typ`): any bytes, none among them; `claims` stays NULL. For programs that hold this code
 * against public test vectors (ltijws); lti_jws_parse() goes through it.
 */
apr_status_t lti_jws_parse_envelope(lti_jws_t **jws, const char *token, apr_size_t length, apr_pool_t *p, lti_err_t *err);

/** Verifies with `key`: the algorithm is in `allowed` (LTI_ALG_BIT set), fits the key and its JWK, and the signature is right. */
apr_status_t lti_jws_verify(const lti_jws_t *jws, const lti_key_t *key, unsigned allowed, lti_err_t *err);

/** Signs `claims` with the tool's key: header {typ, alg, kid}. RS256 for RSA, ES256 for P-256. */
apr_status_t lti_jws_sign(const char **token, const json_t *claims, const lti_key_t *key, apr_pool_t *p, lti_err_t *err);

#endif
