/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_page: how a request is refused: one log line for the administrator, one page for the person, the stable code in both and in the header
 * X-LTI-Error. The page has the code, the number of the request, a sentence for the person and one for the administrator, and, where it is known and
 * allowed, a link back to the course. A page that the administrator set by ErrorDocument for the status is left in force; it finds LTI_ERROR,
 * LTI_REQUEST_ID and LTI_ERROR_RETURN_URL in the environment. Request threads only.
 */
#ifndef MOD_LTI_PAGE_H
#define MOD_LTI_PAGE_H

#include <httpd.h>
#include "lti_err.h"
#include "lti_platform.h"

/** A random name of this request, the same on every call and for its sub-requests; stands in pages and log lines. */
const char *mod_lti_page_request_id(request_rec *r);

/** From now on `r` goes by this name: login and launch by that of the launch, so that their lines in the log are found together. Before the name is asked for. */
void mod_lti_page_name_request(request_rec *r, const char *id);

/** What a refusal may tell and offer beside its code; members may be NULL. The texts come from outside: they are bounded and escaped here. */
typedef struct mod_lti_page_aside_t {
    const lti_platform_t *platform; /* whose link `return_url` is */
    /*
     * launch_presentation.return_url of a token whose signature was good, or of a session. Offered as a link if it leads to the platform: to the host of its
     * issuer, of one of its end points, or to one of LTIServiceHosts; the platform is told what went wrong (SPEC K-31).
     */
    const char *return_url;
    const char *error, *error_description; /* what the platform posted with a good state */
    const char *content; /* HTML in ASCII, ours: below the sentence for the person, such as a form with a button; no script */
} mod_lti_page_aside_t;

/**
 * Refuses `r` because of `err`: logs one line that begins with `tag` ("LTI0101"), prepares the page, returns the HTTP status for the hook to return.
 * 4xx are logged at info or notice level, 5xx at error level: what a client can cause must not fill the log of a healthy server with errors.
 */
int mod_lti_page_refuse(request_rec *r, const char *tag, const lti_err_t *err);

/** The same with what is known besides; `aside` may be NULL. */
int mod_lti_page_refuse_with(request_rec *r, const char *tag, const lti_err_t *err, const mod_lti_page_aside_t *aside);

/** The style of every page of ours. */
#define MOD_LTI_PAGE_STYLE                                                                                                       \
    ":root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1.2rem;" \
    "overflow-wrap:anywhere}h1{font-size:1.4rem}.f{font-size:.85rem;opacity:.8}code{font-family:ui-monospace,monospace}"         \
    "blockquote{margin:1rem 0;padding-left:.8rem;border-left:.2rem solid}button,a.b{display:inline-block;font:inherit;"          \
    "padding:.4rem 1rem;border:1px solid;border-radius:.4rem;color:inherit;background:none;text-decoration:none;cursor:pointer}"

/** `text` escaped for HTML in ASCII: what is not ASCII becomes a character reference, so that no charset can break it. */
const char *mod_lti_page_escape(const char *text, apr_pool_t *p);

#endif
