/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_admin: the end points status and metrics, and the block in mod_status. Whoever Apache lets into a location with `LTIAdmin On` is an administrator; elsewhere both are
 * refused with a log line that says what to write. The status page and its JSON show what lti_overview gives. Every look at a course's people and every action leaves a line
 * in the log. Request threads.
 *
 *   GET  status                              the page; as JSON with ?format=json or Accept: application/json
 *        ?search= &platform= &state= &order=name|people|success|next|failures &backwards=1 &offset= &limit=     of the list of courses
 *   GET  status?course=KEY [&after=USER]     the page of a course
 *   GET  status?doctor=PLATFORM              examines a platform now
 *   POST status  action=sync|accept|end-sessions  course=KEY [user=ID]  ·  action=deployment-accept|deployment-withdraw  platform=NAME deployment=ID  ·  token=...
 *                                            303 to where it was pressed; with Accept: application/json 200 (202 for sync, with Location to follow) and an object
 *   GET  metrics                             OpenMetrics text
 */
#ifndef MOD_LTI_ADMIN_H
#define MOD_LTI_ADMIN_H

#include <httpd.h>

int mod_lti_admin_status(request_rec *r);
int mod_lti_admin_metrics(request_rec *r);

/** Hooks: the block in mod_status. */
void mod_lti_admin_register(apr_pool_t *p);

#endif
