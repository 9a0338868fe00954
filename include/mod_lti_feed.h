/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_feed: rosters for applications: GET roster (NRPS 2.0 membership container), GET events (what changed, in order, waiting for it if wished), GET courses, and
 * the refresh on demand, GET and POST sync. The session's own course for its instructors; every course where `LTIRosterAccess all` holds. Request threads; answers come
 * from the database, and no connection is held while an answer is waited for.
 */
#ifndef MOD_LTI_FEED_H
#define MOD_LTI_FEED_H

#include <httpd.h>

int mod_lti_feed_roster(request_rec *r);
int mod_lti_feed_sync(request_rec *r);
int mod_lti_feed_events(request_rec *r);
int mod_lti_feed_courses(request_rec *r);

/** The same end point with the course's key behind it: for clients that write a query of their own over that of the address they were given. */
#define MOD_LTI_FEED_ROSTER_OF "roster/"

#endif
