/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_login: state and nonce of a login in flight. The state is sealed and travels with the browser: a login stores nothing, so a flood of
 * logins costs no memory. It is bound to the browser by a cookie with a random secret of which the state holds the SHA-256 (SPEC A-17, W-01..W-03).
 * The nonce is consumed later, by an INSERT (lti_db_nonce_redeem), after the signature was verified (Invariant 1).
 *
 * Any thread; the sealer (purpose "state") is shared.
 */
#ifndef LTI_LOGIN_H
#define LTI_LOGIN_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_crypto.h"
#include "lti_err.h"
#include "lti_platform.h"

#define LTI_STATE_LIFETIME 600 /* seconds */

/** What a login request said, already checked for form (SPEC section 1.1). */
typedef struct lti_login_request_t {
    const char *iss, *login_hint, *target_link_uri, *lti_message_hint, *lti_deployment_id, *client_id;
} lti_login_request_t;

/** Checks presence, limits (SPEC L-13), UTF-8 and control characters (L-14). LTI_E_PARAMETER_MISSING, LTI_E_PARAMETER_INVALID. */
apr_status_t lti_login_check(const lti_login_request_t *request, lti_err_t *err);

/** A login in flight. */
typedef struct lti_state_t {
    const char *platform; /* name */
    const char *nonce;
    const char *target;        /* target_link_uri as the login had it */
    const char *deployment_id; /* or NULL */
    apr_time_t created_at;
    const char *cookie_name;   /* "__Host-lti-" + 8 characters that name this login */
    const char *cookie_value;  /* only when made: the secret */
    unsigned char binding[LTI_SHA256_SIZE]; /* SHA-256 of the secret */
} lti_state_t;

/** Makes state and nonce for a login; `base_url` (scheme, host, port of the vhost) is bound into the seal. */
apr_status_t lti_state_make(const char **text, lti_state_t **state, const lti_sealer_t *sealer, const char *base_url,
                            const lti_platform_t *platform, const lti_login_request_t *request, apr_time_t now, apr_pool_t *p,
                            lti_err_t *err);

/** Opens it: LTI_E_STATE_INVALID, LTI_E_STATE_EXPIRED. The browser is checked next, by lti_state_is_bound(). */
apr_status_t lti_state_open(lti_state_t **state, const lti_sealer_t *sealer, const char *base_url, const char *text, apr_time_t now,
                            apr_pool_t *p, lti_err_t *err);

/** 1 if `secret` (the value of the cookie `cookie_name`, NULL if absent) is the one that was given with this state. */
int lti_state_is_bound(const lti_state_t *state, const char *secret);

/** The authentication request (SPEC section 1.2): the platform's end point with all parameters. `state` is the text of lti_state_make(). */
const char *lti_login_url(const lti_platform_t *platform, const lti_login_request_t *request, const char *redirect_uri,
                          const char *state, const char *nonce, apr_pool_t *p);

/** SHA-256 of platform name and nonce in base64url: what the nonce table holds. NULL if the digest cannot be computed. */
const char *lti_nonce_key(const char *platform, const char *nonce, apr_pool_t *p);

#endif
