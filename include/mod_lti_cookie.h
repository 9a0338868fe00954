/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_cookie: the cookies of a request: read, set, withheld from the application. All our cookies work in frames: SameSite=None, Secure, Partitioned
 * (SPEC W-01, W-06). Request threads only.
 */
#ifndef MOD_LTI_COOKIE_H
#define MOD_LTI_COOKIE_H

#include <httpd.h>

/** One cookie of a Cookie header; ranges of the header's text. */
typedef struct mod_lti_cookie_t {
    const char *name;
    apr_size_t name_length;
    const char *value;
    apr_size_t value_length;
} mod_lti_cookie_t;

/** The next cookie at `*at`, which starts as the Cookie header (NULL: none); 0 at the end. */
int mod_lti_cookie_next(mod_lti_cookie_t *cookie, const char **at);

/** The value of the cookie `name`, NULL if absent; in the request's pool. */
const char *mod_lti_cookie_get(request_rec *r, const char *name);

/** Sets a cookie of this host; `max_age` in seconds, -1: until the browser is closed, 0: expires it. */
void mod_lti_cookie_set(request_rec *r, const char *name, const char *value, int max_age);

/** Takes the cookies of sessions (`prefix` and "_") and of logins out of the request, once they were read. */
void mod_lti_cookie_withhold(request_rec *r, const char *prefix);

#endif
