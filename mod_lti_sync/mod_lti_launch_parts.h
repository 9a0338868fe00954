/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_launch_parts: what the end points of mod_lti_launch share. Internal to that room: mod_lti_launch.c (launch),
 * _login.c, _keys.c (signing keys, jwks), _target.c (where a launch may land), _answer.c (redirects, pages, cookies, logout).
 * Request threads only.
 */
#ifndef MOD_LTI_LAUNCH_PARTS_H
#define MOD_LTI_LAUNCH_PARTS_H

#include <httpd.h>
#include <apr_tables.h>
#include "lti_crypto.h"
#include "lti_err.h"
#include "lti_platform.h"
#include "mod_lti_config.h"

/* --- answers (_answer.c) ------------------------------------------------------------------------------------------------ */

/**
 * 1 if `r` is a HEAD: a platform may ask so before its POST (Blackboard does); nothing is made for it (SPEC L-01). The handler
 * returns OK.
 */
int mod_lti_launch_is_probe(request_rec *r);

/** LTI_E_METHOD, and the Allow header for it. `post_only`: GET is not taken either. */
apr_status_t mod_lti_launch_fail_method(request_rec *r, int post_only, lti_err_t *err);

/** A cookie that the browser holds, copied. */
typedef struct mod_lti_launch_cookie_t {
    const char *name;
    const char *value;
} mod_lti_launch_cookie_t;

/** The cookies of the request whose names begin with `prefix`, in the order of the browser: of mod_lti_launch_cookie_t. */
apr_array_header_t *mod_lti_launch_cookies(request_rec *r, const char *prefix);

/** No store, no referrer: for every answer that leads on. */
void mod_lti_launch_no_store(request_rec *r);

/** Prepares a redirect; returns `status` for the handler to return. */
int mod_lti_launch_redirect(request_rec *r, int status, const char *url);

/**
 * Sends a page of ours with status 200. `title` and `content` are HTML in ASCII; `script` (may be NULL) runs under a nonce.
 * LTI_E_INTERNAL.
 */
apr_status_t mod_lti_launch_send_page(request_rec *r, const char *title, const char *content, const char *script, lti_err_t *err);

/* --- where a launch lands (_target.c) ------------------------------------------------------------------------------------ */

/**
 * Judges a target_link_uri (SPEC K-08, S-05). `*destination` is the URL to go to: the target itself below a prefix of
 * LTIApplication; the first of these prefixes for one of our end points or the bare origin. LTI_E_TARGET_NOT_ALLOWED. Needs no
 * request.
 */
apr_status_t mod_lti_launch_target(const char **destination, const lti_server_config_t *conf, const char *base_url,
                                   const char *target, apr_pool_t *p, lti_err_t *err);

/* --- signing keys of platforms (_keys.c) ---------------------------------------------------------------------------------- */

/**
 * The key `kid` of the platform; fetches the key set if it is not known, or waits for whoever fetches it already: 5 s at most
 * (SPEC J-06, Y-06). `*stale`: the set should be fetched anew after the launch. LTI_E_KEY_UNKNOWN, LTI_E_KEYSET_UNAVAILABLE,
 * LTI_E_KEYSET_INVALID.
 */
apr_status_t mod_lti_launch_key(const lti_key_t **key, int *stale, request_rec *r, const lti_platform_t *platform, const char *kid,
                                lti_err_t *err);

/** 1 if it falls to this request to fetch the set of a stale key: mod_lti_launch_refresh_keys() must follow. */
int mod_lti_launch_claim_keys(request_rec *r, const lti_platform_t *platform);
void mod_lti_launch_refresh_keys(request_rec *r, const lti_platform_t *platform);

#endif
