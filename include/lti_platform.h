/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_platform: a registration, that is one issuer and one client id, with its end points, its profile (what its family is known to
 * do: page size, audience, pace) and the names that follow from it: the course key and REMOTE_USER.
 *
 * Filled while the configuration is read, checked by lti_platform_check(), constant afterwards: any thread, any process.
 */
#ifndef LTI_PLATFORM_H
#define LTI_PLATFORM_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include "lti_err.h"

typedef enum lti_family_t {
    LTI_FAMILY_OTHER = 0,
    LTI_FAMILY_CANVAS,
    LTI_FAMILY_MOODLE,
    LTI_FAMILY_BLACKBOARD,
    LTI_FAMILY_BRIGHTSPACE,
    LTI_FAMILY_SAKAI,
    LTI_FAMILY_SCHOOLOGY
} lti_family_t;

typedef enum lti_deployments_t {
    LTI_DEPLOYMENT_UNSET = 0,
    LTI_DEPLOYMENT_ANY, /* every deployment of this registration */
    LTI_DEPLOYMENT_ASK, /* unknown ones wait for an administrator */
    LTI_DEPLOYMENT_LIST /* only those listed */
} lti_deployments_t;

/** What an administrator decided about a deployment under `ask`. */
typedef enum lti_deployment_status_t {
    LTI_DEPLOYMENT_UNSEEN = -1,
    LTI_DEPLOYMENT_WAITING = 0, /* a valid launch came, nobody decided */
    LTI_DEPLOYMENT_ACCEPTED = 1,
    LTI_DEPLOYMENT_WITHDRAWN = 2
} lti_deployment_status_t;

/** What a platform's rosters are asked for sections and groups (LTISectionsFromRoster). */
typedef enum lti_roster_names_t {
    LTI_NAMES_OFF = 0, /* requests are told what their launch said */
    LTI_NAMES_ON,      /* else what the roster says */
    LTI_NAMES_RLID     /* and the roster is asked for with the context's id as rlid, so that it tells custom parameters */
} lti_roster_names_t;

typedef struct lti_platform_t {
    const char *name; /* [A-Za-z0-9._-]{1,64} */
    lti_family_t family;
    int index; /* its place among all platforms of all servers; set once the configuration is complete */
    const char *issuer;
    const char *client_id;
    const char *authorization_endpoint;
    const char *token_endpoint;
    const char *token_audience; /* aud of the assertion; differs from the token endpoint on some platforms (SPEC 5.3) */
    const char *key_set;
    unsigned algorithms; /* LTI_ALG_BIT set; 0 until lti_platform_check() */
    lti_deployments_t deployments;
    apr_array_header_t *deployment_ids; /* of const char *; NULL if none */
    const char *remote_user;            /* template; NULL: that of the directory */
    const char *section_claim;          /* the custom parameter that lists a person's sections; NULL: none */
    const char *group_claim;            /* the same of groups */
    lti_roster_names_t roster_names;
    int page_limit;                     /* the `limit` asked of NRPS; 0: do not ask */
    apr_interval_time_t request_interval; /* the mean time between two requests of the engine (LTISyncRate); -1: no limit; 0 until lti_platform_check() */
    int escaped_names;                  /* names are HTML-escaped in rosters and are not in launches */
    const char *frame_ancestors;        /* the directive of a policy (lti_csp) that names whose pages may frame ours; made by lti_platform_check() */
    const char *file;                   /* where it was configured, for messages */
    int line;
} lti_platform_t;

#define LTI_COURSE_KEY_LENGTH 16

/** "canvas", "moodle", ...; LTI_FAMILY_OTHER if it is none of the six. */
lti_family_t lti_family_by_name(const char *name);
const char *lti_family_name(lti_family_t family);

/**
 * Fills what is still NULL or unset from the preset of `family` for the site `url` (SPEC section 11); `key` is the tool key that
 * Sakai's token endpoint needs, else NULL. The client id must be set before for Blackboard, whose key set address holds it: so this is
 * called when the block is closed. LTI_E_CONFIG with what to write instead.
 */
apr_status_t lti_platform_preset(lti_platform_t *platform, lti_family_t family, const char *url, const char *key, apr_pool_t *p,
                                 lti_err_t *err);

/** Reads what LTISyncRate takes: "10/s", "30/m", or "off". LTI_E_CONFIG. */
apr_status_t lti_platform_rate(apr_interval_time_t *request_interval, const char *text, lti_err_t *err);

/** Completes defaults; refuses a registration that cannot work: missing members, URLs that are not https outside loopback. */
apr_status_t lti_platform_check(lti_platform_t *platform, apr_pool_t *p, lti_err_t *err);

/**
 * The registration that a login speaks of (SPEC L-03, L-08, L-09). `client_id` and `deployment` may be NULL. `platforms` holds
 * lti_platform_t *. LTI_E_ISSUER_UNKNOWN, LTI_E_CLIENT_UNKNOWN, LTI_E_PLATFORM_AMBIGUOUS.
 */
apr_status_t lti_platform_find(const lti_platform_t **platform, const apr_array_header_t *platforms, const char *issuer,
                               const char *client_id, const char *deployment, lti_err_t *err);

/** The one of that name, or NULL. */
const lti_platform_t *lti_platform_by_name(const apr_array_header_t *platforms, const char *name);

/** 1 if launches of this deployment are accepted by configuration; 0 for unknown ones under `ask` and unlisted ones. */
int lti_platform_accepts(const lti_platform_t *platform, const char *deployment);

/** The course key: 16 base32 characters of SHA-256 over issuer, client id, deployment and context id, each length-prefixed. */
void lti_platform_course_key(char key[LTI_COURSE_KEY_LENGTH + 1], const char *issuer, const char *client_id, const char *deployment,
                             const char *context_id);

/** 1 if `url`'s host is that of one of the platform's configured end points (then private addresses are fine: Invariant 7). */
int lti_platform_owns_host(const lti_platform_t *platform, const char *url, apr_pool_t *p);

/* --- REMOTE_USER ------------------------------------------------------------------------------------------------- */

/** What a template may speak of; NULL where the claim is absent. */
typedef struct lti_person_t {
    const char *sub;
    const char *email;
    const char *sourcedid;
} lti_person_t;

/** Refuses unknown {words}, unbalanced braces, templates without any word for the person. `*unique` (may be NULL) receives 1 if it
 * names {platform} or {issuer}. LTI_E_CONFIG. */
apr_status_t lti_remote_user_check(const char *template_text, int *unique, lti_err_t *err);

/**
 * The name of `person`, allocated in `p`. Blanks, '/', ':', '%', '\' and a leading dot are percent-encoded. LTI_E_REMOTE_USER if the
 * result would be empty, lacks a claim that the template needs, or has control characters.
 */
apr_status_t lti_remote_user(const char **user, const char *template_text, const lti_platform_t *platform,
                             const lti_person_t *person, apr_pool_t *p, lti_err_t *err);

#endif
