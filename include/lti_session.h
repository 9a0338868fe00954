/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_session: a launch, sealed into a cookie of at most 1 KiB that the browser brings back with each request.
 *
 *   name    lti_<key>   key: 16 base32 characters of a HMAC over issuer, client id, deployment, context (else resource link, else "-")
 *                       and sub: one cookie per course and person
 *   value   1.<hex seconds of the launch>.<base64url of the sealed record>
 *           The clear time lets the newest of several cookies be found without opening all; it is authenticated with the seal, as are
 *           the cookie's name and the base URL of the vhost (Invariant 1).
 *   record  role, flags, times, then tag, length, bytes ...; roles as numbers of the vocabulary where they have one. Tags are never renumbered, unknown
 *           ones are passed over: records of other releases open
 *
 * All of a launch is in it but nrps_url and groups_url, which belong to the course's row. What does not fit goes into the *surplus*: a text that the caller
 * keeps in the launch table (lti_db) under the launch's id and brings back when the session is opened. In this order: data of deep
 * linking, custom, return_url, target_link_uri, titles, context type and label, groups, sections, the rest of deep linking, names of LTI 1.1, locale, names, e-mail, sourcedid,
 * resource link and context id, whose submission it is, roles without a number. Never:
 * id, platform, issuer, client id, deployment, user, course key, times. A session whose surplus was not found must not be sealed again.
 * Opening costs one unseal and no allocation beyond the record's size: it stands on the request path.
 *
 * Any thread; the sealer (purpose "session") is shared.
 */
#ifndef LTI_SESSION_H
#define LTI_SESSION_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_claims.h"
#include "lti_crypto.h"
#include "lti_err.h"

#define LTI_SESSION_COOKIE_MAX 1024  /* name, '=' and value */
#define LTI_SESSION_COOKIES_MAX 4096 /* all together */
#define LTI_SESSION_KEY_LENGTH 16    /* letters of the key in the cookie's name, of a-z and 2-7 */

typedef struct lti_session_t {
    lti_launch_t launch; /* texts point into the opened record */
    apr_time_t expires_at; /* absolute end */
    apr_time_t touched_at; /* when the cookie was last sealed: idle time counts from here */
    int has_surplus;       /* the rest lies in the launch table */
} lti_session_t;

/** The cookie's name for this launch: `prefix` (LTICookieName) + "_" + key. NULL if the digest cannot be computed. */
const char *lti_session_cookie_name(const lti_sealer_t *sealer, const char *prefix, const lti_launch_t *launch, apr_pool_t *p);

/**
 * Seals. `*surplus` is NULL if everything fitted, else the text to store under launch->id. LTI_E_INTERNAL if even the core (who, course, roles, times)
 * does not fit: the limits of lti_claims exclude that unless issuer and client id together are longer than some 100 bytes.
 */
apr_status_t lti_session_seal(const char **value, const char **surplus, const lti_sealer_t *sealer, const char *base_url,
                              const char *cookie_name, const lti_launch_t *launch, apr_time_t expires_at, apr_time_t touched_at,
                              apr_pool_t *p, lti_err_t *err);

/**
 * Opens and checks the absolute end and the idle time (`idle` 0: none). LTI_E_SESSION_INVALID leaves `*session` alone; LTI_E_SESSION_EXPIRED sets it too: for
 * the page that says so.
 */
apr_status_t lti_session_open(lti_session_t **session, const lti_sealer_t *sealer, const char *base_url, const char *cookie_name,
                              const char *value, apr_time_t now, apr_interval_time_t idle, apr_pool_t *p, lti_err_t *err);

/** Adds what the surplus holds to an opened session. */
apr_status_t lti_session_add_surplus(lti_session_t *session, const char *surplus, apr_pool_t *p, lti_err_t *err);

/** Seconds (not microseconds) of the launch from the clear part, 0 if the value is none of ours. For choosing among several; proves nothing. */
apr_time_t lti_session_peek(const char *value);

#endif
