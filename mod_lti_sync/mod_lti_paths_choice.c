/* SPDX-License-Identifier: Apache-2.0 */
/* The page that asks which of several open courses is meant. */
#include "mod_lti_paths_parts.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

#include "lti_crypto.h"
#include "mod_lti_page.h"

APLOG_USE_MODULE(lti_sync);

static const char *first_of(const char *a, const char *b, const char *c)
{
    return a != NULL && *a != '\0' ? a : b != NULL && *b != '\0' ? b : c;
}

/* Course, person and role: a teacher may have a course open as its teacher and as a test student. */
static const char *item(const mod_lti_paths_choice_t *choice, apr_pool_t *p)
{
    const lti_launch_t *launch = choice->launch;
    const char *title =
        first_of(launch->context_title, launch->context_label, first_of(launch->resource_link_title, NULL, "A course"));
    const char *name = first_of(launch->name, launch->email, "");

    return apr_pstrcat(p, "<li><a href=\"", mod_lti_page_escape(choice->address, p), "\"><bdi>", mod_lti_page_escape(title, p),
                       "</bdi></a><br><span class=\"f\"><bdi>", mod_lti_page_escape(name, p), "</bdi>", *name != '\0' ? ", " : "",
                       lti_role_word(launch->role), "</span></li>\n", NULL);
}

int mod_lti_paths_offer(request_rec *r, const apr_array_header_t *choices)
{
    const char *nonce = lti_crypto_random_text(16, r->pool), *items = "";
    int i;

    if (nonce == NULL)
        nonce = ""; /* then the page has no style */
    for (i = 0; i < choices->nelts; i++)
        items = apr_pstrcat(r->pool, items, item(&APR_ARRAY_IDX(choices, i, mod_lti_paths_choice_t), r->pool), NULL);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "LTI0120: neither the address nor a Referer says which of %d courses is meant: asked (request %s)",
                  choices->nelts, mod_lti_page_request_id(r));
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "Content-Security-Policy",
                   apr_pstrcat(r->pool, "default-src 'none'; style-src 'nonce-", nonce, "'; base-uri 'none'", NULL));
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    ap_custom_response(
        r, HTTP_MULTIPLE_CHOICES,
        apr_pstrcat(r->pool,
                    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                    "<meta name=\"viewport\" content=\"width=device-width\"><title>Which course?</title>\n<style nonce=\"",
                    nonce, "\">" MOD_LTI_PAGE_STYLE "li{margin:.7rem 0}</style></head>\n<body><main><h1>Which course?</h1>\n",
                    "<p>Several courses are open in this browser. Please choose:</p>\n<ul>\n", items,
                    "</ul>\n</main></body></html>\n", NULL));
    return HTTP_MULTIPLE_CHOICES;
}
