/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_feed: rosters for applications: GET roster (NRPS 2.0 membership container) and the refresh on demand, GET and POST sync. The session's own course for its
 * instructors; every course where `LTIRosterAccess all` holds. Request threads; answers come from the database.
 */
#ifndef MOD_LTI_FEED_H
#define MOD_LTI_FEED_H

#include <httpd.h>

int mod_lti_feed_roster(request_rec *r);
int mod_lti_feed_sync(request_rec *r);

#endif
