/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_login: state and nonce of a login in flight. The state is sealed and travels with the browser: a login stores nothing, so a flood of
 * logins costs no memory. It is bound to the browser by a cookie with a random secret of which the state holds the SHA-256 (SPEC A-17, W-01..W-03).
 * Where the platform keeps values for tools, a second secret of the same kind lies there: it proves the browser when no cookie came (SPEC 9.3).
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

/** What the names of the cookies of logins in flight begin with. */
#define LTI_STATE_COOKIE "__Host-lti-"

#define LTI_STATE_LIFETIME 600 /* seconds */
#define LTI_HANDLE_LIFETIME 60 /* seconds */
#define LTI_HINTS_MAX 2048     /* bytes of both hints that travel in a state; longer ones do not */

/** What a login request said, already checked for form (SPEC section 1.1). */
typedef struct lti_login_request_t {
    const char *iss, *login_hint, *target_link_uri, *lti_message_hint, *lti_deployment_id, *client_id;
    const char *storage_target; /* lti_storage_target as lti_login_storage_target() gave it */
    int new_window;             /* the button of our own page began this login: there is no other window to go on to */
} lti_login_request_t;

/** `text` if it may name the frame of a platform's storage, else NULL: then there is none (SPEC L-10). */
const char *lti_login_storage_target(const char *text);

/** Checks presence, limits (SPEC L-13), UTF-8 and control characters (L-14). LTI_E_PARAMETER_MISSING, LTI_E_PARAMETER_INVALID. */
apr_status_t lti_login_check(const lti_login_request_t *request, lti_err_t *err);

/** A login in flight. */
typedef struct lti_state_t {
    const char *platform; /* name */
    const char *nonce;
    const char *launch_id;     /* names login and launch in logs; the same when it is opened */
    const char *target;        /* target_link_uri as the login had it */
    const char *deployment_id; /* or NULL */
    apr_time_t created_at;
    const char *cookie_name;                /* LTI_STATE_COOKIE + 8 characters that name this login */
    const char *cookie_value;               /* only when made: the secret */
    unsigned char binding[LTI_SHA256_SIZE]; /* SHA-256 of the secret */
    const char *storage_target;             /* or NULL: no storage, and nothing of the next three */
    const char *storage_key;                /* "lti_state_" + the 8 characters */
    const char *storage_value;              /* only when made: the second secret */
    unsigned char storage_binding[LTI_SHA256_SIZE];
    const char *login_hint;       /* as the login had them, for a login anew; NULL: they were too long to travel along */
    const char *lti_message_hint; /* or NULL */
    int new_window;
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

/** 1 if `secret` (what the platform's storage gave under `storage_key`) is the one that was put there with this state (SPEC W-20). */
int lti_state_is_proved(const lti_state_t *state, const char *secret);

/** A launch that was verified but lacks its cookie, on its way through the browser to the platform's storage and back. */
typedef struct lti_handle_t {
    const char *state; /* texts, as they were posted */
    const char *id_token;
    apr_time_t verified_at; /* when it was good: it is verified once more for this time */
} lti_handle_t;

/** Seals it: nothing of the token can be read in the text (SPEC W-22). */
apr_status_t lti_handle_make(const char **text, const lti_handle_t *handle, const lti_sealer_t *sealer, const char *base_url,
                             apr_pool_t *p, lti_err_t *err);

/** Opens it: LTI_E_STATE_INVALID, LTI_E_STATE_EXPIRED after LTI_HANDLE_LIFETIME. */
apr_status_t lti_handle_open(lti_handle_t *handle, const lti_sealer_t *sealer, const char *base_url, const char *text,
                             apr_time_t now, apr_pool_t *p, lti_err_t *err);

/** The authentication request (SPEC section 1.2): the platform's end point with all parameters. `state` is the text of lti_state_make(). */
const char *lti_login_url(const lti_platform_t *platform, const lti_login_request_t *request, const char *redirect_uri,
                          const char *state, const char *nonce, apr_pool_t *p);

/** SHA-256 of platform name and nonce in base64url: what the nonce table holds. NULL if the digest cannot be computed. */
const char *lti_nonce_key(const char *platform, const char *nonce, apr_pool_t *p);

#endif
