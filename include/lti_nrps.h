/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_nrps: membership pages into a stream of members (SPEC section 6). Bytes go in as they arrive; each member is decoded and handed over
 * as soon as its closing brace is there, so a page of 100,000 people needs no more memory than one of them. A member is believed only when the
 * whole page was well formed and every page came: that is the caller's matter (staging).
 *
 * One parser per page, one thread.
 */
#ifndef LTI_NRPS_H
#define LTI_NRPS_H

#include <apr_pools.h>
#include <jansson.h>
#include "lti_err.h"
#include "lti_http.h"
#include "lti_platform.h"
#include "lti_roster.h"

#define LTI_NRPS_MEDIA_TYPE "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
#define LTI_NRPS_PAGE_MAX (128 * 1024 * 1024) /* bytes of a page */
#define LTI_NRPS_MEMBER_MAX (64 * 1024)       /* bytes of one member object */
#define LTI_NRPS_PAGES_MAX 10000

/** Takes a member; its texts hold during the call only. A status other than APR_SUCCESS ends the page. */
typedef apr_status_t lti_nrps_member_fn(void *baton, const lti_member_t *member, lti_err_t *err);

typedef struct lti_nrps_page_t lti_nrps_page_t;

/** `role_options`: LTI_ROLE_STRICT. `p` lives at least as long as the page; members are decoded in a sub-pool that is cleared. */
lti_nrps_page_t *lti_nrps_page_create(unsigned role_options, lti_nrps_member_fn *on_member, void *baton, apr_pool_t *p);

/** Before the first bytes, for a platform whose roster has names HTML-escaped (lti_platform_t.escaped_names). */
void lti_nrps_page_unescape(lti_nrps_page_t *page);

/** What is read of people's sections and groups (SPEC 6.5, 7.2). */
typedef struct lti_nrps_names_t {
    const char *section_claim; /* custom parameters of the message section; NULL: not read */
    const char *group_claim;
    const json_t *groups; /* of group_enrollments: id -> name, null for one that is hidden (lti_groups); NULL: all go by their ids */
} lti_nrps_names_t;

/** Before the first bytes; `wanted` lives as long as the page. */
void lti_nrps_page_names(lti_nrps_page_t *page, const lti_nrps_names_t *wanted);

/** Fills the member's sections and groups from its JSON. */
void lti_nrps_read_names(lti_member_t *member, const json_t *object, const lti_nrps_names_t *wanted, apr_pool_t *p);

/** `url` of a roster with `rlid` (NULL: without) and, if `groups`, with the wish for groups, unless it has them already (SPEC N-04). */
const char *lti_nrps_first_url(const char *url, const char *rlid, int groups, apr_pool_t *p);

/** Before the first bytes, for a list of what changed (SPEC N-18): people named as deleted are handed over too, with LTI_MEMBER_LEFT. */
void lti_nrps_page_changes(lti_nrps_page_t *page);

/** The next bytes. LTI_E_ROSTER_MALFORMED, LTI_E_ROSTER_LIMIT. */
apr_status_t lti_nrps_page_feed(lti_nrps_page_t *page, const char *data, apr_size_t size, lti_err_t *err);

/** What the page said besides its members. */
typedef struct lti_nrps_summary_t {
    int members; /* handed over */
    int dropped; /* without a usable id (SPEC N-32) */
    int odd;     /* of a status that no document knows, taken as inactive (N-34), or named as deleted in a list of those who are there (N-35) */
    const char *context_id; /* NULL if absent */
} lti_nrps_summary_t;

/** The body is complete: was it a whole container? More than 10 % dropped: LTI_E_ROSTER_MEMBERS. An empty body counts as an empty list (N-39). */
apr_status_t lti_nrps_page_end(lti_nrps_page_t *page, lti_nrps_summary_t *summary, lti_err_t *err);

/** The request for a page at `url` with access token `token`. The first page of a platform with a page limit gets `limit` (N-04); a next link is
 * used as it is (N-11): pass `first` = 0. */
void lti_nrps_request(lti_http_request_t *request, const lti_platform_t *platform, const char *url, const char *token, int first,
                      apr_pool_t *p);

/** Judges status and type of an answer (SPEC 6.6, N-38): APR_SUCCESS if its body is a page; else LTI_E_ROSTER_FORBIDDEN, _GONE, _BUSY,
 * _TOO_LARGE (Open edX: too many people), LTI_E_HTTP_STATUS, LTI_E_HTTP_REDIRECT, LTI_E_ROSTER_TYPE, with err->detail = the HTTP status. */
apr_status_t lti_nrps_check_answer(const lti_http_response_t *response, const char *excerpt, lti_err_t *err);

/**
 * The next page's URL from the Link headers (RFC 8288; SPEC N-10, N-12, N-13), NULL in `*next` if this was the last. LTI_E_ROSTER_MALFORMED for a Link
 * that cannot be parsed, LTI_E_ROSTER_ORIGIN for one that leads to another origin than `service_url`.
 */
apr_status_t lti_nrps_next(const char **next, const lti_http_response_t *response, const char *request_url, const char *service_url,
                           apr_pool_t *p, lti_err_t *err);

/** Where the platform will tell what changed since this answer (rel `differences`); NULL if it does not, or names another origin. */
const char *lti_nrps_differences(const lti_http_response_t *response, const char *request_url, const char *service_url, apr_pool_t *p);

/** `text` with the five characters of HTML that Moodle escapes as they were; itself if there are none. */
const char *lti_nrps_unescape(const char *text, apr_pool_t *p);

#endif
