/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_progress: what has become of an update that somebody asked for, for who waits before a page: a sentence in a live region, and the script that keeps it fresh. Without scripts the
 * page loads itself anew as long as the update goes on; then it is to show little else. With scripts the page stays, and what is marked fresh on it is replaced when the update has ended.
 *
 *   <... data-fresh id="x">      in pages that have both: replaced by the element of that id
 *   <form id="update">           or in an element of that id: the button "Update now" posts, and is led (303) to the page that tells of this update
 *
 * Request threads only.
 */
#ifndef MOD_LTI_PROGRESS_H
#define MOD_LTI_PROGRESS_H

#include <jansson.h>
#include "lti_db.h"
#include "lti_err.h"
#include "mod_lti_html.h"

typedef struct mod_lti_progress_t {
    int goes_on;
    const char *text; /* NULL: nobody asked */
} mod_lti_progress_t;

/** What stands for an update that is asked for now, in queries. */
const char *mod_lti_progress_since(apr_time_t now, apr_pool_t *p);

/**
 * What has become of the update of a course that was asked for at `since`, a text of the query: NULL or nothing that anybody could have asked for fills in that nobody did. `*request`
 * (may be NULL) receives the same as JSON, NULL if nobody asked. `for_administrator`: the sentence has the reason in full.
 */
apr_status_t mod_lti_progress_find(mod_lti_progress_t *progress, json_t **request, lti_db_t *db, const char *course_key,
                                   const char *since, int for_administrator, apr_pool_t *p, lti_err_t *err);

/** The live region. An update that goes on makes the page load itself anew: before anything else is written, mod_lti_progress_refresh(). */
void mod_lti_progress_write(mod_lti_html_t *html, const mod_lti_progress_t *progress);
void mod_lti_progress_refresh(request_rec *r, const mod_lti_progress_t *progress);

/** "14 people", "1 person". */
const char *mod_lti_progress_people(apr_int64_t count, apr_pool_t *p);

/** For mod_lti_html_end(). */
extern const char mod_lti_progress_script[];

#endif
