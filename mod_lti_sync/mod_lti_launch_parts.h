/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_launch_parts: what the end points of mod_lti_launch share. Internal to that room: mod_lti_launch.c (launch),
 * _login.c, _keys.c (signing keys, jwks), _target.c (where a launch may land), _admit.c (which deployments may), _old.c (LTI 1.1),
 * _course.c (what is kept of its course), _tell.c (the story for the log), _wait.c (for its roster), _answer.c (redirects, pages, cookies, logout), _storage.c and _script.c (browsers that keep no cookies in frames).
 * Request threads only.
 */
#ifndef MOD_LTI_LAUNCH_PARTS_H
#define MOD_LTI_LAUNCH_PARTS_H

#include <httpd.h>
#include <apr_tables.h>
#include "lti_claims.h"
#include "lti_crypto.h"
#include "lti_db.h"
#include "lti_err.h"
#include "lti_login.h"
#include "lti_platform.h"
#include "mod_lti_config.h"
#include "mod_lti_form.h"
#include "mod_lti_page.h"

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

/** mod_lti_page_refuse_with(), of a login or a launch: it is counted. */
int mod_lti_launch_refuse(request_rec *r, const char *tag, const lti_err_t *err, const mod_lti_page_aside_t *aside);

/** A launch has made a session: it is counted, with the time that it took. */
void mod_lti_launch_count(request_rec *r);

/** Prepares a redirect; returns `status` for the handler to return. */
int mod_lti_launch_redirect(request_rec *r, int status, const char *url);

/** A page of ours; texts are HTML in ASCII. */
typedef struct mod_lti_launch_page_t {
    const char *title, *content;
    const char *script;    /* runs under a nonce, and may ask this origin; NULL: none */
    const char *ancestors; /* the directive that says who may frame it (SPEC W-24), NULL: anybody */
    int answers_us;        /* it has a form that comes back to us: under no-referrer browsers would name its origin "null" */
} mod_lti_launch_page_t;

/** Sends it, with status 200. LTI_E_INTERNAL. */
apr_status_t mod_lti_launch_send(request_rec *r, const mod_lti_launch_page_t *page, lti_err_t *err);

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

/* --- which deployments may (_admit.c) ------------------------------------------------------------------------------------- */

/**
 * A launch that is valid, and whose nonce was redeemed: is its deployment accepted, by the configuration or by an administrator? One that nobody knows is
 * remembered. LTI_E_DEPLOYMENT_WAITING, LTI_E_DEPLOYMENT_WITHDRAWN, LTI_E_STORE.
 */
apr_status_t mod_lti_launch_admit(request_rec *r, lti_db_t *db, const lti_platform_t *platform, const lti_launch_t *launch,
                                  lti_err_t *err);

/* --- LTI 1.1 (_old.c) ----------------------------------------------------------------------------------------------------- */

/** 1 for a launch of LTI 1.1. `form` may be NULL, or one that a fault was found in. */
int mod_lti_launch_is_old(const mod_lti_form_t *form);

/** LTI_E_OLD_LTI, with what the form says of its origin. */
apr_status_t mod_lti_launch_fail_old(const mod_lti_form_t *form, lti_err_t *err);

/** The page that tells how to install the tool; what the form says of its origin is left for the watch thread to remember. */
int mod_lti_launch_refuse_old(request_rec *r, const mod_lti_form_t *form, const lti_err_t *err);

/* --- without cookies (_storage.c, SPEC section 9) ---------------------------------------------------------------------- */

/** What a script of our own pages asks of an end point, by the header LTI-Step (names that begin with X-LTI- are taken off all requests). */
typedef enum mod_lti_launch_step_t {
    MOD_LTI_STEP_NONE,  /* a person's browser, not a script */
    MOD_LTI_STEP_PROOF, /* "2": here is what the platform's storage holds */
    MOD_LTI_STEP_COOKIE /* "cookie": does this cookie come back? */
} mod_lti_launch_step_t;

mod_lti_launch_step_t mod_lti_launch_step(request_rec *r);

/** Answers MOD_LTI_STEP_COOKIE; returns what the handler returns. */
int mod_lti_launch_answer_cookie(request_rec *r, const lti_server_config_t *conf, const char *base_url);

/**
 * 1 if the answer to this login must be a page: the platform keeps values for tools, or the tool is in a frame and nothing shows
 * yet that the browser keeps its cookies there.
 */
int mod_lti_launch_needs_page(request_rec *r, const lti_server_config_t *conf, const lti_login_request_t *login);

/**
 * Sends the page of a login, which leads on by `way` (HTML: a link or a form with the id "go") once the state lies in the
 * platform's storage and the browser's cookies were tried.
 */
apr_status_t mod_lti_launch_send_login(request_rec *r, const lti_server_config_t *conf, const lti_platform_t *platform,
                                       const lti_login_request_t *login, const lti_state_t *state, const char *way, lti_err_t *err);

/** A launch that is good but for its browser. */
typedef struct mod_lti_launch_stray_t {
    const lti_platform_t *platform;
    const lti_state_t *state;
    const char *state_text, *id_token;
    const char *return_url; /* of the token, NULL if it has none */
    apr_time_t verified_at;
} mod_lti_launch_stray_t;

/**
 * The launch came without its cookie: asks the platform's storage by a page, or refuses with the way into a new window. `err` says
 * that the cookie is missing. Returns what the handler returns.
 */
int mod_lti_launch_ask_browser(const mod_lti_launch_stray_t *stray, request_rec *r, const lti_server_config_t *conf,
                               const char *base_url, const lti_err_t *err);

/** What MOD_LTI_STEP_PROOF brought. LTI_E_CROSS_SITE, LTI_E_PARAMETER_MISSING, and what lti_handle_open() refuses. */
apr_status_t mod_lti_launch_read_proof(lti_handle_t *handle, const char **proof, request_rec *r, const lti_server_config_t *conf,
                                       const char *base_url, lti_err_t *err);

/** The answer to a good one: where to go, and which cookie must come back first. */
void mod_lti_launch_send_location(request_rec *r, const char *location, const char *cookie_name);

/** What such pages run (_script.c). */
extern const char mod_lti_launch_script[];

/* --- the course of a launch (_course.c) ------------------------------------------------------------------------------------- */

/**
 * Stores what the launch tells of its course and when it wants the roster; asks the engine to look if that is now. Launches that say the same within two
 * seconds, as a class does, tell it once. The launch has a course_key. `*first`: the course's first roster is on its way.
 */
apr_status_t mod_lti_launch_note_course(int *first, const lti_launch_t *launch, const lti_server_config_t *conf, lti_db_t *db,
                                        apr_pool_t *p, lti_err_t *err);

/**
 * Waits for the first roster of a course, where LTISyncOnLaunch says so (_wait.c): until it is there, its run failed, the client or the server goes, or the time is
 * over; what is known then counts. Holds no connection to the database, and looks at shared memory only. At most a few of the threads wait at once, others go on.
 */
void mod_lti_launch_wait(request_rec *r, const lti_server_config_t *conf, const char *course_key);

/* --- what the log tells at debug level (_tell.c) ---------------------------------------------------------------------------- */

/* One line a step, each with the name of the launch: no token, no secret, of a person the id only. */
void mod_lti_launch_tell_login(request_rec *r, const lti_platform_t *platform, const lti_state_t *state);

/** The platform's answer came. */
void mod_lti_launch_tell_answer(request_rec *r, const lti_state_t *state, int bound, int is_error);

/** Its signature is good. */
void mod_lti_launch_tell_signature(request_rec *r, const lti_state_t *state, const char *kid, const char *algorithm);

/** It is a launch that may be. */
void mod_lti_launch_tell_claims(request_rec *r, const lti_launch_t *launch);

/** What was kept of it. */
void mod_lti_launch_tell_kept(request_rec *r, const lti_launch_t *launch, const char *cookie_name, apr_time_t expires_at, int first_roster);

/* --- signing keys of platforms (_keys.c) ---------------------------------------------------------------------------------- */

/**
 * The key `kid` of the platform; fetches the key set if it is not known, or waits for whoever fetches it already: 5 s at most
 * (SPEC J-06, Y-06). `*stale`: the set should be fetched anew after the launch. LTI_E_KEY_UNKNOWN, LTI_E_KEYSET_UNAVAILABLE,
 * LTI_E_KEYSET_INVALID.
 */
apr_status_t mod_lti_launch_key(const lti_key_t **key, int *stale, request_rec *r, const lti_platform_t *platform, const char *kid,
                                lti_err_t *err);

/** After a signature that did not fit: 1 if the set was old, was fetched anew and has a key of that name, which `*key` is now (SPEC Y-08). */
int mod_lti_launch_renew_key(const lti_key_t **key, int *stale, request_rec *r, const lti_platform_t *platform, const char *kid);

/** 1 if it falls to this request to fetch the set of a stale key: mod_lti_launch_refresh_keys() must follow. */
int mod_lti_launch_claim_keys(request_rec *r, const lti_platform_t *platform);
void mod_lti_launch_refresh_keys(request_rec *r, const lti_platform_t *platform);

#endif
