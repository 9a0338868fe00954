/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_feed_parts: whom the feed answers, and about which course. Internal to mod_lti_feed: mod_lti_feed.c writes the
 * answers, mod_lti_feed_access.c reads the request and decides. Request threads only.
 */
#ifndef MOD_LTI_FEED_PARTS_H
#define MOD_LTI_FEED_PARTS_H

#include <httpd.h>
#include "lti_err.h"
#include "lti_roster.h"

#define MOD_LTI_FEED_LIMIT_MAX 10000

/** What a request asks for; NULL or 0 where it does not say. */
typedef struct mod_lti_feed_query_t {
    const char *course;  /* key */
    const char *context; /* context id */
    const char *role;    /* as given */
    const char *after;   /* user id */
    int limit;
} mod_lti_feed_query_t;

/**
 * Reads the query. Values above the limit's maximum count as the maximum. LTI_E_PARAMETER_INVALID and those of mod_lti_form.
 */
apr_status_t mod_lti_feed_read_query(mod_lti_feed_query_t *query, request_rec *r, lti_err_t *err);

/**
 * The course that `query` means, if whoever asks may read it: the session's own for its instructors, any of this virtual host's
 * platforms where LTIRosterAccess all holds. LTI_E_SESSION_*, what the identity was refused for, LTI_E_ROLE_REQUIRED,
 * LTI_E_COURSE_UNKNOWN, LTI_E_COURSE_AMBIGUOUS, LTI_E_PARAMETER_MISSING, LTI_E_STORE.
 */
apr_status_t mod_lti_feed_course(lti_course_t **course, request_rec *r, const mod_lti_feed_query_t *query, lti_err_t *err);

#endif
