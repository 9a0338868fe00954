/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_origin: where the browser says that a request comes from, and what for (Sec-Fetch-Site, Sec-Fetch-Mode, Origin: headers that no page can set).
 * Cookies that work in frames are sent along by every page of the world; these headers tell ours from others (Invariant 10). Request threads only.
 */
#ifndef MOD_LTI_ORIGIN_H
#define MOD_LTI_ORIGIN_H

#include <httpd.h>
#include "lti_err.h"

/** 1 if the request may change something: each method but those that RFC 9110 and WebDAV call safe, and what leaves HTTP for another protocol (WebSocket). */
int mod_lti_origin_is_unsafe(const request_rec *r);

/**
 * APR_SUCCESS if a page of this site sent the request, or none at all (an address that was typed, a program): Sec-Fetch-Site says same-origin, same-site or
 * none; lacking it, Origin is absent or that of `base_url`. Whatever else they say, and what they say twice, is LTI_E_CROSS_SITE.
 */
apr_status_t mod_lti_origin_check(const request_rec *r, const char *base_url, lti_err_t *err);

/** 1 if a person goes to a page with this request: GET or HEAD, neither a script's nor that of a part of a page. Only then does leading elsewhere help. */
int mod_lti_origin_is_navigation(const request_rec *r);

#endif
