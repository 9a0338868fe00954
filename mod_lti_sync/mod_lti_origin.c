/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request comes from, and what for. */
#include "mod_lti_origin.h"

#include <string.h>
#include <strings.h>

#include "lti_csp.h"

int mod_lti_origin_is_unsafe(const request_rec *r)
{
    switch (r->method_number) {
    case M_GET: /* HEAD too */
    case M_OPTIONS:
    case M_TRACE:
    case M_PROPFIND:
    case M_REPORT:
        return apr_table_get(r->headers_in, "Upgrade") != NULL;
    default:
        return 1;
    }
}

/* A base URL may name the port that goes without saying; browsers never do. */
static int is_own(const request_rec *r, const char *origin, const char *base_url)
{
    const char *ours, *theirs;

    if (strcasecmp(origin, base_url) == 0)
        return 1;
    ours = lti_csp_source(base_url, r->pool);
    theirs = lti_csp_source(origin, r->pool);
    return ours != NULL && theirs != NULL && strcmp(ours, theirs) == 0 && lti_csp_origin_length(origin) == strlen(origin);
}

apr_status_t mod_lti_origin_check(const request_rec *r, const char *base_url, lti_err_t *err)
{
    static const char *const own_sites[] = {"same-origin", "same-site", "none"};
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site");
    const char *origin = apr_table_get(r->headers_in, "Origin");
    apr_size_t i;

    for (i = 0; site != NULL && i < sizeof(own_sites) / sizeof(own_sites[0]); i++) {
        if (strcmp(site, own_sites[i]) == 0)
            return APR_SUCCESS;
    }
    if (site != NULL)
        return lti_fail(err, LTI_E_CROSS_SITE, APR_EACCES, "a page of another site sent it (Sec-Fetch-Site: %.40s)", site);
    if (origin != NULL && !is_own(r, origin, base_url))
        return lti_fail(err, LTI_E_CROSS_SITE, APR_EACCES, "a page of %.80s sent it, which is not %.80s", origin, base_url);
    return APR_SUCCESS;
}

static int accepts_pages(const char *accept)
{
    return accept == NULL || strcasestr(accept, "text/html") != NULL || strcasestr(accept, "application/xhtml+xml") != NULL ||
           strstr(accept, "*/*") != NULL;
}

int mod_lti_origin_is_navigation(const request_rec *r)
{
    const char *mode = apr_table_get(r->headers_in, "Sec-Fetch-Mode");

    if (r->method_number != M_GET || mod_lti_origin_is_unsafe(r))
        return 0;
    if (mode != NULL)
        return strcmp(mode, "navigate") == 0;
    return apr_table_get(r->headers_in, "X-Requested-With") == NULL && accepts_pages(apr_table_get(r->headers_in, "Accept"));
}
