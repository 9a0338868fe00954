/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_identity_parts: what the files of mod_lti_identity share: what this module keeps with a request, and the session (mod_lti_identity_session.c).
 * Internal to that room. Request threads only.
 */
#ifndef MOD_LTI_IDENTITY_PARTS_H
#define MOD_LTI_IDENTITY_PARTS_H

#include "mod_lti_identity.h"

#define SERVED_WITHOUT_ROSTER apr_time_from_sec(300)

typedef struct mod_lti_identity_record_t {
    const mod_lti_identity_t *identity;
    int rules; /* of the directory under which it was judged: rules_of() */
    const char *template;
    const char *end_point;
    const char *cookies;              /* the header, before our cookies were taken out of it */
    const mod_lti_segment_t *segment; /* NULL: the address names no course */
    const char *lost;                 /* but should: this is its path */
    int only;                         /* then only the only session may be meant */
    int pending;       /* a `Require lti-member` was met, and this course has no roster yet: set by the provider, read by check_authn */
    int authenticated; /* check_authn has run: httpd reads the Require lines once before it and once after it */
} mod_lti_identity_record_t;

/** Never NULL. */
mod_lti_identity_record_t *mod_lti_identity_record(request_rec *r);

/**
 * The session of the key that the address names, else the newest that is alive, and in `identity` what follows from it. LTI_E_SESSION_*, and
 * LTI_E_ROSTER_UNAVAILABLE where nobody can tell whether it was ended: then the session is set, too.
 */
apr_status_t mod_lti_identity_find_session(mod_lti_identity_t *identity, request_rec *r, const lti_server_config_t *conf,
                                           apr_time_t now);

#endif
