/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_launch: the end points login, launch, jwks and logout: read forms, set cookies, redirect. Each returns what a handler returns. Request threads; launch may
 * wait for the network once, when its signing key is not known yet.
 */
#ifndef MOD_LTI_LAUNCH_H
#define MOD_LTI_LAUNCH_H

#include <httpd.h>

int mod_lti_launch_login(request_rec *r);
int mod_lti_launch_launch(request_rec *r);
int mod_lti_launch_jwks(request_rec *r);
int mod_lti_launch_logout(request_rec *r);

#endif
