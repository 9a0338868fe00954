/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_page: how a request is refused: one log line for the administrator, one page for the person, the stable code in both and in the header
 * X-LTI-Error. A page that the administrator set by ErrorDocument for the status is left in force; it finds LTI_ERROR and LTI_REQUEST_ID in the
 * environment. Request threads only.
 */
#ifndef MOD_LTI_PAGE_H
#define MOD_LTI_PAGE_H

#include <httpd.h>
#include "lti_err.h"

/** A random name of this request, the same on every call and for its sub-requests; stands in pages and log lines. */
const char *mod_lti_page_request_id(request_rec *r);

/**
 * Refuses `r` because of `err`: logs one line that begins with `tag` ("LTI0101"), prepares the page, returns the HTTP status for the hook to return.
 * 4xx are logged at info or notice level, 5xx at error level: what a client can cause must not fill the log of a healthy server with errors.
 */
int mod_lti_page_refuse(request_rec *r, const char *tag, const lti_err_t *err);


/** `text` escaped for HTML in ASCII: what is not ASCII becomes a character reference, so that no charset can break it. */
const char *mod_lti_page_escape(const char *text, apr_pool_t *p);

#endif
