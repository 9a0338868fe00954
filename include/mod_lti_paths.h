/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_paths: two courses in one browser (LTICoursePaths). Below an application whose addresses name the course
 *
 *   the browser asks      /app/~key/page          key: that of the session cookie lti_<key>
 *   everybody here sees   /app/page               URI, request line and Referer, before any other module reads them
 *   the session           that of the key, never another one
 *   answers say           /app/~key/...           in Location, Content-Location, Refresh, and in the Path of cookies
 *
 * A request without the segment (an absolute link) is led back by the Referer of its page, else to the only course that is open, else to a page that
 * asks. Where LTICoursePaths is Off all of this is a look at one pointer. Request threads only.
 */
#ifndef MOD_LTI_PATHS_H
#define MOD_LTI_PATHS_H

#include <httpd.h>

/** Hook post_read_request, before all that reads the address, and pre_translate_name of sub-requests, which have no other: takes the segment off. DECLINED. */
int mod_lti_paths_take_off(request_rec *r);

/**
 * Hook translate_name, first of all, when the end points are known: leads back what lost its segment. DECLINED, or the status of the answer (pre_translate_name
 * cannot redirect: httpd takes errors only from it).
 */
int mod_lti_paths_lead(request_rec *r);

/** Where a launch leads: `url`, which lies on our base URL, with the segment of its session where its application has LTICoursePaths On. */
const char *mod_lti_paths_destination(request_rec *r, const char *url, const char *cookie_name);

/** Registers the filter and the hooks that put the segment back. */
void mod_lti_paths_register(apr_pool_t *p);

#endif
