/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_wait: a request that waits for something which will be seen in shared memory. It holds nothing meanwhile: no database connection, no turn, no lock.
 * Request threads of children. Whoever waits bounds how many do.
 */
#ifndef MOD_LTI_WAIT_H
#define MOD_LTI_WAIT_H

#include <httpd.h>

/** Waits `milliseconds`. 1: go on; 0 at once if nobody wants the answer any more: the client has gone (seen at its socket; a stream of HTTP/2 has none
 * of its own), or this server stops. */
int mod_lti_wait_a_moment(request_rec *r, int milliseconds);

#endif
