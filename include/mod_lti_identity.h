/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_identity: who makes this request: the session cookie, held against the roster (Invariant 3). The answer is worked out once, when somebody first asks
 * (authentication, a Require line, an expression, the export in fixups), kept with the request, and shared by its sub-requests and internal redirects.
 * mod_lti_identity_authn.c has AuthType LTI, mod_lti_require.c the `Require` providers. Request threads only.
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
    const lti_session_t *ended;     /* of nobody: a session that is over, NULL if there was none; for the page that says so */
    int incomplete;                 /* the session's surplus was not found: sealing it again would lose those details for good */
    int unjudged;                   /* refused, since nobody could tell whether the session was ended: whatever the directory says */
    const char *cookie_name;
    const char *path_prefix;        /* "/app/~key", NULL unless the address named the course */
    const char *remote_user;        /* not NULL if present */
    lti_role_t role;                /* what counts today */
    const char *roles;
    int role_from_roster;
    const char *member_status; /* "active", "inactive", "left"; NULL if the roster never knew the person */
    int on_roster;             /* 1: the roster says active */
    lti_roster_state_t roster_state;
    apr_uint32_t roster_size;
    apr_time_t roster_time;    /* last success; 0: never */
    apr_int64_t roster_version;
    const char *sections, *groups; /* as words (lti_names): of the launch, else of the roster where LTISectionsFromRoster says so; NULL: none known */
    int names_from_roster;         /* the roster was asked for them */
} mod_lti_identity_t;

/** Never NULL. */
const mod_lti_identity_t *mod_lti_identity_of(request_rec *r);

/** From now on the answer is worked out anew: a request that waited is judged by what holds now. */
void mod_lti_identity_forget(request_rec *r);

/** The same if somebody has asked already; NULL if nobody has, or if the request is for an end point of ours. */
const mod_lti_identity_t *mod_lti_identity_known(request_rec *r);

/** What the address of a request said of its course by the segment "~key" (LTICoursePaths, mod_lti_paths). */
typedef struct mod_lti_segment_t {
    const char *key;                      /* what follows LTICookieName and "_" in the name of the session's cookie */
    const char *path_prefix;              /* "/app/~key" */
    const lti_course_path_t *application; /* "/app" */
    const char *asked;                    /* the path that the browser asked for, without the segment */
} mod_lti_segment_t;

/** From now on the session of this key and no other makes the request. Before anybody asks who it is. */
void mod_lti_identity_set_segment(request_rec *r, const mod_lti_segment_t *segment);

/** NULL if the address named no course. */
const mod_lti_segment_t *mod_lti_identity_segment(request_rec *r);

/**
 * The address should name the course and does not, or not as the addresses of this application do: without a segment and with several sessions the request is
 * nobody's (LTI_E_SESSION_AMBIGUOUS). `path` is that of the address, as the browser wrote it but normalized and without a segment.
 */
void mod_lti_identity_set_lost(request_rec *r, const char *path);

/** What was said so, else NULL. */
const char *mod_lti_identity_lost(request_rec *r);

/**
 * What the roster says of the person's sections and groups, as words; NULL where it says nothing, or cannot be asked now. A database look-up behind the breaker, with
 * a copy in shared memory: for requests that need it.
 */
void mod_lti_identity_roster_names(const char **sections, const char **groups, request_rec *r, const mod_lti_identity_t *identity);

/** The live sessions of this browser, the newest first, not held against the roster: of const mod_lti_identity_t *. */
apr_array_header_t *mod_lti_identity_sessions(request_rec *r);

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

/** Seals the session anew when a good part of the idle time has passed, so that people at work are not signed out. */
void mod_lti_identity_renew(request_rec *r, const mod_lti_identity_t *identity);

/** mod_lti_page_refuse(), with the way back to the course that the request's session knows. */
int mod_lti_identity_refuse(request_rec *r, const char *tag, const lti_err_t *err);

/**
 * Hook access_checker_ex, before the Require lines: where strangers may come in too (LTIUnauthenticated pass), the person of the session is the user already when
 * those lines are read for the first time. They let in or not; who has no session has no user. Always DECLINED.
 */
int mod_lti_identity_check_access(request_rec *r);

/** Hook check_authn. */
int mod_lti_identity_check_authn(request_rec *r);

/** The providers of `Require lti-...`. */
void mod_lti_require_register(apr_pool_t *p);

#endif
