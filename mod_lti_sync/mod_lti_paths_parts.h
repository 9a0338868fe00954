/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_paths_parts: the segment "~key" in texts: paths, URLs, cookies (mod_lti_paths_text.c, which needs no request and no httpd), and the page that asks
 * (mod_lti_paths_choice.c). Internal to that room.
 */
#ifndef MOD_LTI_PATHS_PARTS_H
#define MOD_LTI_PATHS_PARTS_H

#include <httpd.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "lti_claims.h"
#include "mod_lti_config.h"

/**
 * Takes the segment off a clean path: "/app/~key/page" is the application /app, `*key`, and "/app/page" in `*rest`. NULL if there is none: it stands
 * directly behind the prefix, is "~" and a key's letters, and ends with the path or a slash. Only one is taken off: what follows is the application's.
 */
const lti_course_path_t *mod_lti_paths_split(const char **key, const char **rest, const apr_array_header_t *all, const char *path,
                                             apr_pool_t *p);

/** The opposite: `path` must belong to `application`. */
const char *mod_lti_paths_join(const lti_course_path_t *application, const char *key, const char *path, apr_pool_t *p);

/** The key that "session=" names in a query, as the pages of our end points write it; NULL if it is not there, or no key. */
const char *mod_lti_paths_named_session(const char *query, apr_pool_t *p);

/** `path` without dot segments, as browsers resolve them ("%2e" is a dot too); empty segments stay. */
const char *mod_lti_paths_resolve(const char *path, apr_pool_t *p);

/** What answers of one request are put back with. */
typedef struct mod_lti_paths_return_t {
    const apr_array_header_t *all;        /* applications */
    const lti_course_path_t *application; /* that of the request */
    const char *key;
    const char *asked;       /* the clean path that the browser asked for: relative links count from it */
    const char *origins[2];  /* our own, as lti_http_origin() has them; may be NULL */
    const char *cookie_name; /* LTICookieName: cookies of ours are for all courses */
} mod_lti_paths_return_t;

/** What stands behind scheme and host of `url`, if that is one of `origins` (the last may be NULL), else NULL. `*scheme_and_host` is its length. */
const char *mod_lti_paths_own(apr_size_t *scheme_and_host, const char *url, const char *const origins[2], apr_pool_t *p);

/** The URL or relative reference of a Location header with the segment, where it leads into an application whose addresses name the course. */
const char *mod_lti_paths_put_back(const mod_lti_paths_return_t *back, const char *url, apr_pool_t *p);

/** The same for the value of a Refresh header. */
const char *mod_lti_paths_put_back_refresh(const mod_lti_paths_return_t *back, const char *refresh, apr_pool_t *p);

/**
 * A Set-Cookie header of which the Path has the segment. A path above the application ("/") is narrowed to the course too: a session of the application
 * must not be of two courses. Cookies of ours, and those of the prefix __Host-, which may have no other path than "/", stay as they are.
 */
const char *mod_lti_paths_put_back_cookie(const mod_lti_paths_return_t *back, const char *line, apr_pool_t *p);

/** A course that the person may mean. */
typedef struct mod_lti_paths_choice_t {
    const lti_launch_t *launch;
    const char *address; /* of this request in that course */
} mod_lti_paths_choice_t;

/** Prepares the page that asks which of `choices` (of mod_lti_paths_choice_t) is meant; returns the status for the hook to return (mod_lti_paths_choice.c). */
int mod_lti_paths_offer(request_rec *r, const apr_array_header_t *choices);

#endif
