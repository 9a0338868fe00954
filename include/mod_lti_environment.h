/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_environment: what goes in and what comes out under our names. Scrubs every header that a backend might take for ours; withholds our cookies from the application;
 * exports the identity as environment variables and request headers (docs/environment.md lists them; the one table is in mod_lti_environment.c) and as expression
 * variables. Request threads only.
 */
#ifndef MOD_LTI_ENVIRONMENT_H
#define MOD_LTI_ENVIRONMENT_H

#include <httpd.h>

/** Hook post_read_request, first of all. */
int mod_lti_environment_scrub(request_rec *r);

/** Hook fixups: exports, once per request record. */
int mod_lti_environment_export(request_rec *r);

/** First of all handlers but httpd's own for upgrades: withholds our cookies from an application that may be asked to upgrade. */
void mod_lti_environment_before_handler(request_rec *r);

/** Part of check_config: LTIPassClaims against the table of names. The number of faults, each complained of. */
int mod_lti_environment_check(apr_pool_t *pconf, server_rec *main_server);

/** Registers %{LTI_...} for expressions. */
void mod_lti_environment_register(apr_pool_t *p);

#endif
