/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a course: its lists, which mod_lti_admin_course_lists.c writes for mod_lti_admin_course.c. */
#ifndef MOD_LTI_ADMIN_COURSE_H
#define MOD_LTI_ADMIN_COURSE_H

#include <jansson.h>
#include "mod_lti_admin_parts.h"

/** The people of one page, `people` of lti_overview_people(), and the way to the next. */
void mod_lti_admin_write_people(mod_lti_html_t *html, const mod_lti_admin_t *admin, const char *course_key, const json_t *people);

/** The names of whom a held run would remove, `held` of lti_overview_held(). */
void mod_lti_admin_write_held(mod_lti_html_t *html, const json_t *held);

/** "runs" and "events" of lti_overview_course(). */
void mod_lti_admin_write_runs(mod_lti_html_t *html, const json_t *runs);
void mod_lti_admin_write_events(mod_lti_html_t *html, const json_t *events);

#endif
