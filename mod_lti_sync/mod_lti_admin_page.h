/* SPDX-License-Identifier: Apache-2.0 */
/* The status page: its parts, which mod_lti_admin_list.c (courses) and mod_lti_admin_platforms.c write for mod_lti_admin_page.c, and its script. */
#ifndef MOD_LTI_ADMIN_PAGE_H
#define MOD_LTI_ADMIN_PAGE_H

#include <jansson.h>
#include "mod_lti_admin_parts.h"

/** What the list of courses is asked for. LTI_E_PARAMETER_INVALID. */
apr_status_t mod_lti_admin_read_query(lti_overview_query_t *query, const mod_lti_admin_t *admin, lti_err_t *err);

/** The same as a query of the end point, to come back to; NULL where nothing is asked for. */
const char *mod_lti_admin_query_text(const lti_overview_query_t *query, apr_pool_t *p);

/** The form of the search and the list: `courses` of lti_overview_courses(). */
void mod_lti_admin_write_courses(mod_lti_html_t *html, const mod_lti_admin_t *admin, const lti_overview_query_t *query,
                                 const json_t *courses);

/** `platforms` of lti_overview_platforms(). */
void mod_lti_admin_write_platforms(mod_lti_html_t *html, const mod_lti_admin_t *admin, const json_t *platforms);

/** Searches as one types, and keeps the health fresh. */
extern const char mod_lti_admin_script[];

#endif
