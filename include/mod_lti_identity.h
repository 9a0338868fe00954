/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_identity: who makes this request: the session cookie, held against the roster (Invariant 3). The answer is worked out once, when somebody first asks
 * (authentication, a Require line, an expression, the export in fixups), kept with the request, and shared by its sub-requests and internal redirects.
 * mod_lti_require.c has the `Require` providers. Request threads only.
 */
#ifndef MOD_LTI_IDENTITY_H
#define MOD_LTI_IDENTITY_H

#include <httpd.h>
#include "lti_session.h"
#include "lti_snapshot.h"
#include "mod_lti_config.h"

typedef enum mod_lti_standing_t {
    MOD_LTI_NOBODY,  /* no usable session; `err` tells why */
    MOD_LTI_REFUSED, /* a session, but the roster (or its absence) keeps this person out; `err` tells why */
    MOD_LTI_PRESENT
} mod_lti_standing_t;

typedef struct mod_lti_identity_t {
    mod_lti_standing_t standing;
    lti_err_t err;
    const lti_platform_t *platform; /* not NULL unless nobody */
    const lti_session_t *session;   /* not NULL unless nobody */
    int incomplete;                 /* the session's surplus was not found: sealing it again would lose those details for good */
    const char *cookie_name;
    const char *remote_user;        /* not NULL if present */
    lti_role_t role;                /* what counts today */
    const char *roles;
    int role_from_roster;
    const char *member_status; /* "active", "inactive", "left"; NULL if the roster never knew the person */
    int on_roster;             /* 1: the roster says active */
    lti_roster_state_t roster_state;
    apr_uint32_t roster_size;
    apr_time_t roster_time;    /* last success; 0: never */
} mod_lti_identity_t;

/** Never NULL. */
const mod_lti_identity_t *mod_lti_identity_of(request_rec *r);

/**
 * Hook pre_translate_name: recognises our end points by their URI before anything maps or decodes it, and remembers it with the request. Always DECLINED; tells
 * mod_proxy to keep its hands off (`no-proxy`).
 */
int mod_lti_identity_claim(request_rec *r);

/** What follows LTIPath and its slash ("launch") if this request was claimed for an end point, else NULL. */
const char *mod_lti_identity_end_point(request_rec *r);

/** scheme://host[:port] of this virtual host, without a slash at the end. */
const char *mod_lti_identity_base_url(request_rec *r);

/** 1 for login, launch, jwks and logout: answered whatever `Require` says around them. */
int mod_lti_identity_is_open(const char *end_point);

/** A `Require lti-member` was met and this course has no roster yet (set by the provider, read by check_authn). */
void mod_lti_identity_set_pending(request_rec *r);

/** Seals the session anew when a good part of the idle time has passed, so that people at work are not signed out. */
void mod_lti_identity_renew(request_rec *r, const mod_lti_identity_t *identity);

/** Hook check_authn. */
int mod_lti_identity_check_authn(request_rec *r);

/** The providers of `Require lti-...`. */
void mod_lti_require_register(apr_pool_t *p);

#endif
