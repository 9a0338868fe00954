/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_csp: the text of Content-Security-Policy in so far as it says who may show a page in a frame: origins as source expressions, and an application's
 * policies with their `frame-ancestors` replaced. Texts only; any thread.
 */
#ifndef LTI_CSP_H
#define LTI_CSP_H

#include <apr_pools.h>

#define LTI_CSP_FRAME_ANCESTORS "frame-ancestors"

/** Bytes of scheme, host and port at the beginning of an absolute http(s) URL; 0 if it is none, or if its host cannot stand in a policy. */
apr_size_t lti_csp_origin_length(const char *url);

/** "https://lms.example.edu" or "http://localhost:8080": that origin, lower case, without a port that goes without saying. NULL for length 0. */
const char *lti_csp_source(const char *url, apr_pool_t *p);

/** 1 if the list of sources, separated by single blanks, has this one of `length` bytes. */
int lti_csp_has_source(const char *sources, const char *source, apr_size_t length);

/** `directive` ("frame-ancestors 'self'") with the origin of `url` at its end, unless it has it or `url` has none (lti_csp_source). */
const char *lti_csp_add_source(const char *directive, const char *url, apr_pool_t *p);

/** 1 if one of the policies in this header value says who may frame the page. Only then is lti_csp_replace() needed. */
int lti_csp_speaks_of_frames(const char *policies);

/**
 * The header value `policies` with each `frame-ancestors` replaced by `directive` ("frame-ancestors 'self' https://..."); all else is left as it is. A page
 * must satisfy all its policies, so one that is left would count beside ours.
 */
const char *lti_csp_replace(const char *policies, const char *directive, apr_pool_t *p);

#endif
