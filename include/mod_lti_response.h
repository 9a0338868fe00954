/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_response: what responses that were made for a person get: `Cache-Control: private`, so that no shared cache gives them to another one, and leave for
 * the pages of the platform, and no others, to show them in a frame (LTIFrame). Responses to nobody are left as they are. Request threads only.
 */
#ifndef MOD_LTI_RESPONSE_H
#define MOD_LTI_RESPONSE_H

#include <httpd.h>
#include "lti_platform.h"

/**
 * "frame-ancestors 'self' https://lms.example.edu": whose pages may frame what this platform's people see here. `return_url` of the launch (may be NULL) tells the
 * host where the platform's pages really are, which a shared issuer does not.
 */
const char *mod_lti_response_frame_ancestors(request_rec *r, const lti_platform_t *platform, const char *return_url);

/** Registers the filter and its hooks. */
void mod_lti_response_register(apr_pool_t *p);

#endif
