/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_feed_parts: whom the feed answers, and about which course. Internal to mod_lti_feed: mod_lti_feed.c, _sync.c, _events.c, _courses.c and _page.c
 * write the answers, out of the pieces of _json.c; mod_lti_feed_access.c reads the request and decides. Request threads only.
 */
#ifndef MOD_LTI_FEED_PARTS_H
#define MOD_LTI_FEED_PARTS_H

#include <httpd.h>
#include <jansson.h>
#include "lti_err.h"
#include "lti_roster.h"

#define MOD_LTI_FEED_LIMIT_MAX 10000

/** What a request asks for; NULL or 0 where it does not say. */
typedef struct mod_lti_feed_query_t {
    const char *course;  /* key */
    int in_path;         /* it stood in the path */
    const char *context; /* context id */
    const char *role;    /* as given */
    const char *after;   /* user id */
    const char *since;   /* when an update was asked for */
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

/**
 * The key of the one course about which whoever asks may know; NULL where LTIRosterAccess all holds: all of this virtual host's platforms. What refuses is as with
 * mod_lti_feed_course().
 */
apr_status_t mod_lti_feed_own_course(const char **key, request_rec *r, lti_err_t *err);

/* --- the page for a browser (mod_lti_feed_page.c) ---------------------------------------------------------------------- */

/** 1 if the client names text/html and nothing of ours that it would rather have: browsers that go somewhere do, programs do not. Notes in the answer that it depends on that. */
int mod_lti_feed_wants_page(request_rec *r);

/** The course's people and "Update now". */
apr_status_t mod_lti_feed_send_page(request_rec *r, const lti_course_t *course, const mod_lti_feed_query_t *query, lti_err_t *err);

/** A browser asked for an update at `now`: leads it (303) to the page that tells of it. */
void mod_lti_feed_lead_to_page(request_rec *r, apr_time_t now);

/* --- pieces of answers ---------------------------------------------------------------------------------------------- */

/** How a course's roster stands now: also stale. */
lti_roster_state_t mod_lti_feed_state(const lti_course_t *course);

/** Leaves the name out where `value` is NULL. */
void mod_lti_feed_set_text(json_t *object, const char *name, const char *value);

/** A list of the words of `roles`. */
json_t *mod_lti_feed_roles_array(const char *roles);

/** The headers of an answer in JSON that nobody keeps. */
void mod_lti_feed_set_json(request_rec *r);

/** The whole answer. */
apr_status_t mod_lti_feed_send_json(request_rec *r, const json_t *object, lti_err_t *err);

#endif
