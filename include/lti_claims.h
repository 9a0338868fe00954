/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_claims: from the claims of a verified id_token to a launch, or to the reason why it is none (SPEC sections 2.2 to 2.5 and 3).
 *
 * The signature must have been verified before. Order: OpenID claims, LTI claims, then what this tool admits. The first fault ends it.
 * Optional claims of the wrong shape are dropped. Any thread; everything is allocated in the pool given.
 */
#ifndef LTI_CLAIMS_H
#define LTI_CLAIMS_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <jansson.h>
#include "lti_err.h"
#include "lti_platform.h"
#include "lti_role.h"

/** A launch: everything the application may be told. Texts are NULL where the platform said nothing. */
typedef struct lti_launch_t {
    const char *id;       /* random, names this launch in logs and to the application */
    const char *platform; /* name */
    const char *issuer;
    const char *client_id;
    const char *deployment_id;
    const char *user_id; /* sub; NULL: anonymous */
    const char *name, *given_name, *family_name, *email, *sourcedid, *locale;
    const char *roles; /* lti_role_join() */
    lti_role_t role;
    unsigned role_flags;
    const char *context_id, *context_label, *context_title, *context_type;
    const char *course_key; /* NULL without a context */
    const char *resource_link_id, *resource_link_title;
    const char *message_type, *target_link_uri, *return_url;
    const char *nrps_url; /* NULL: no roster service offered. Not exported. */
    apr_table_t *custom;  /* NULL or name -> text (SPEC K-18, K-19: unresolved variables are left out) */
    apr_time_t launched_at; /* when it was validated */
    apr_time_t token_expires_at;
} lti_launch_t;

#define LTI_MESSAGE_RESOURCE_LINK 0x1u
#define LTI_MESSAGE_SUBMISSION_REVIEW 0x2u
#define LTI_MESSAGE_DEEP_LINKING 0x4u

/** What the token is held against. */
typedef struct lti_expect_t {
    const lti_platform_t *platform;
    const char *nonce;         /* of the state (SPEC C-10) */
    const char *target;        /* target_link_uri of the login (SPEC K-07) */
    const char *deployment_id; /* lti_deployment_id of the login, NULL if it had none (SPEC K-05) */
    apr_time_t now;
    int skew_seconds;
    int allow_anonymous;
    unsigned role_options;  /* LTI_ROLE_STRICT */
    unsigned message_types; /* admitted ones */
} lti_expect_t;

#define LTI_LAUNCH_MAX_AGE 600 /* seconds since iat (SPEC C-07) */

/** The set of message types that a list of words names ("LtiResourceLinkRequest", ...); 0 and LTI_E_CONFIG for an unknown word. */
unsigned lti_message_type_by_name(const char *name);

/** Checks and extracts. `claims` is borrowed; the launch has copies. Deployment admission (K-04) is judged by lti_platform_accepts(). */
apr_status_t lti_claims_launch(lti_launch_t **launch, const json_t *claims, const lti_expect_t *expect, apr_pool_t *p, lti_err_t *err);

#endif
