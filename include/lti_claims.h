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
    const char *for_user_id; /* of a submission review: whose work it is; user_id is the reviewer (SPEC M-07) */
    /* Of a deep linking request (SPEC M-04). Lists are joined by blanks; flags are "true" or "false", NULL where nothing was said. */
    const char *deep_link_return_url, *deep_link_data;
    const char *deep_link_accept_types, *deep_link_accept_targets, *deep_link_accept_media_types;
    const char *deep_link_accept_multiple, *deep_link_accept_lineitem, *deep_link_auto_create;
    /* Names of LTI 1.1, signed with the secret of that time (SPEC 2.5); all NULL unless the signature was good. */
    const char *legacy_consumer_key, *legacy_user_id, *legacy_context_id, *legacy_resource_link_id;
    const char *legacy_fault; /* why they are NULL although the claim and secrets are there; for a log line. Not sealed. */
    const char *sections, *groups; /* names as words (lti_names), from the custom parameters that LTISectionClaim names; those are not in `custom` */
    const char *groups_url; /* of the groups service, NULL: none that could be used. Not exported, not sealed. */
    const char *nrps_url; /* NULL: no roster service offered. Not exported. */
    const char *nrps_fault; /* why it is NULL although the claim is there; for a log line. Not sealed. */
    const char *remarks;    /* what of the token was left out or mended; for a log line, NULL if nothing. Not sealed. */
    apr_table_t *custom;  /* NULL or name -> text (SPEC K-18, K-19: unresolved variables are left out) */
    apr_time_t launched_at; /* when it was validated */
    apr_time_t token_expires_at;
} lti_launch_t;

/** A secret of the LTI 1.1 times, by the consumer key it belongs to (LTILegacySecret). */
typedef struct lti_legacy_secret_t {
    const char *consumer_key;
    const char *secret;
    const char *path; /* the file that holds it */
    const char *file; /* where it was configured, for messages */
    int line;
} lti_legacy_secret_t;

#define LTI_MESSAGE_RESOURCE_LINK 0x1u
#define LTI_MESSAGE_SUBMISSION_REVIEW 0x2u
#define LTI_MESSAGE_DEEP_LINKING 0x4u

/** What the token is held against. */
typedef struct lti_expect_t {
    const lti_platform_t *platform;
    const char *nonce;         /* of the state (SPEC C-10) */
    const char *launch_id;     /* of the state; NULL: it is named anew */
    const char *target;        /* target_link_uri of the login (SPEC K-07) */
    const char *deployment_id; /* lti_deployment_id of the login, NULL if it had none (SPEC K-05) */
    apr_time_t now;
    int skew_seconds;
    int allow_anonymous;
    unsigned role_options;  /* LTI_ROLE_STRICT */
    unsigned message_types; /* admitted ones */
    const apr_array_header_t *legacy_secrets; /* of const lti_legacy_secret_t *; NULL: the migration claim is not looked at */
} lti_expect_t;

#define LTI_LAUNCH_MAX_AGE 600 /* seconds since iat (SPEC C-07) */

/** The set of message types that a list of words names ("LtiResourceLinkRequest", ...); 0 and LTI_E_CONFIG for an unknown word. */
unsigned lti_message_type_by_name(const char *name);

/**
 * launch_presentation.return_url, NULL unless it is an https URL (http for loopback) of at most 4096 bytes. Needs a good signature, but no good launch: it is
 * where a refusal may lead back to (SPEC K-31).
 */
const char *lti_claims_return_url(const json_t *claims, apr_pool_t *p);

/** Checks and extracts. `claims` is borrowed; the launch has copies. Deployments are judged by the configuration
 * (K-04); whether one is accepted under `LTIDeployment ask` is the caller's question. */
apr_status_t lti_claims_launch(lti_launch_t **launch, const json_t *claims, const lti_expect_t *expect, apr_pool_t *p, lti_err_t *err);

#endif
