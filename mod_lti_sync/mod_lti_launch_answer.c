/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects and pages of the end points, the cookies a browser holds, and logout, which is nothing but these. */
#include "mod_lti_launch.h"

#include <string.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "lti_meter.h"
#include "lti_session.h"
#include "mod_lti_cookie.h"
#include "mod_lti_form.h"
#include "mod_lti_identity.h"
#include "mod_lti_launch_parts.h"
#include "mod_lti_origin.h"
#include "mod_lti_page.h"

APLOG_USE_MODULE(lti_sync);

int mod_lti_launch_is_probe(request_rec *r)
{
    if (!r->header_only)
        return 0;
    mod_lti_launch_no_store(r);
    ap_set_content_type(r, "text/html");
    return 1;
}

apr_status_t mod_lti_launch_fail_method(request_rec *r, int post_only, lti_err_t *err)
{
    if (post_only)
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_POST, -1);
    else
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_POST, -1);
    return lti_fail(err, LTI_E_METHOD, APR_EINVAL, "this end point does not take the method %.20s", r->method);
}

apr_array_header_t *mod_lti_launch_cookies(request_rec *r, const char *prefix)
{
    apr_array_header_t *cookies = apr_array_make(r->pool, 4, sizeof(mod_lti_launch_cookie_t));
    const char *at = apr_table_get(r->headers_in, "Cookie");
    apr_size_t length = strlen(prefix);
    mod_lti_cookie_t cookie;

    while (mod_lti_cookie_next(&cookie, &at)) {
        if (cookie.name_length > length && memcmp(cookie.name, prefix, length) == 0) {
            mod_lti_launch_cookie_t *held = apr_array_push(cookies);

            held->name = apr_pstrmemdup(r->pool, cookie.name, cookie.name_length);
            held->value = apr_pstrmemdup(r->pool, cookie.value, cookie.value_length);
        }
    }
    return cookies;
}

void mod_lti_launch_no_store(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
}

int mod_lti_launch_refuse(request_rec *r, const char *tag, const lti_err_t *err, const mod_lti_page_aside_t *aside)
{
    lti_meter_launch(mod_lti_config_of(r->server)->runtime->meter, err->code);
    return mod_lti_page_refuse_with(r, tag, err, aside);
}

void mod_lti_launch_count(request_rec *r)
{
    lti_meter_t *meter = mod_lti_config_of(r->server)->runtime->meter;

    lti_meter_launch(meter, LTI_OK);
    lti_meter_time(meter, LTI_METER_LAUNCH_TIME, apr_time_now() - r->request_time);
}

int mod_lti_launch_redirect(request_rec *r, int status, const char *url)
{
    mod_lti_launch_no_store(r);
    apr_table_setn(r->headers_out, "Location", url);
    return status;
}

apr_status_t mod_lti_launch_send(request_rec *r, const mod_lti_launch_page_t *page, lti_err_t *err)
{
    const char *nonce = lti_crypto_random_text(16, r->pool);

    if (nonce == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "there are no random bytes for a page");
    mod_lti_launch_no_store(r);
    if (page->answers_us)
        apr_table_setn(r->err_headers_out, "Referrer-Policy", "same-origin");
    /*
     * No form-action: browsers hold it against the redirects behind a form as well, and a platform's own login may lie behind
     * ours.
     */
    apr_table_setn(r->headers_out, "Content-Security-Policy",
                   apr_pstrcat(r->pool, "default-src 'none'; base-uri 'none'; style-src 'nonce-", nonce, "'",
                               page->script != NULL ? "; connect-src 'self'; script-src 'nonce-" : "",
                               page->script != NULL ? nonce : "", page->script != NULL ? "'" : "",
                               page->ancestors != NULL ? "; " : "", page->ancestors, NULL));
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rvputs(
        r,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
        "<title>",
        page->title, "</title>\n<style nonce=\"", nonce, "\">" MOD_LTI_PAGE_STYLE "</style></head>\n<body><main><h1>", page->title,
        "</h1>\n", page->content, "</main>\n", NULL);
    if (page->script != NULL)
        ap_rvputs(r, "<script nonce=\"", nonce, "\">", page->script, "</script>\n", NULL);
    ap_rputs("</body></html>\n", r);
    return APR_SUCCESS;
}

apr_status_t mod_lti_launch_send_page(request_rec *r, const char *title, const char *content, const char *script, lti_err_t *err)
{
    const mod_lti_launch_page_t page = {.title = title, .content = content, .script = script};

    return mod_lti_launch_send(r, &page, err);
}

/* --- logout --------------------------------------------------------------------------------------------------------------- */

static void expire_sessions(request_rec *r)
{
    const char *prefix = apr_pstrcat(r->pool, mod_lti_config_of(r->server)->cookie_name, "_", NULL);
    apr_array_header_t *cookies = mod_lti_launch_cookies(r, prefix);
    int i;

    for (i = 0; i < cookies->nelts; i++) {
        const mod_lti_launch_cookie_t *cookie = &APR_ARRAY_IDX(cookies, i, mod_lti_launch_cookie_t);

        /* The application may have cookies whose names begin like ours. */
        if (lti_session_peek(cookie->value) != 0)
            mod_lti_cookie_set(r, cookie->name, "", 0);
    }
}

/* A link must not sign anybody out: only the button of our own page does. */
static apr_status_t logout(request_rec *r, lti_err_t *err)
{
    static const mod_lti_launch_page_t question = {
        .title = "Sign out",
        .content = "<form method=\"post\"><p>This ends your sessions in this tool.</p><p><button>Sign out</button></p></form>",
        .answers_us = 1};
    apr_status_t rv;

    if (r->method_number == M_GET)
        return mod_lti_launch_send(r, &question, err);
    if (r->method_number != M_POST)
        return mod_lti_launch_fail_method(r, 0, err);
    rv = mod_lti_origin_check(r, mod_lti_identity_base_url(r), err);
    if (rv != APR_SUCCESS)
        return rv;
    expire_sessions(r);
    return mod_lti_launch_send_page(r, "You are signed out", "<p>To use this tool again, open it from your course.</p>", NULL, err);
}

int mod_lti_launch_logout(request_rec *r)
{
    lti_err_t err;

    return logout(r, &err) == APR_SUCCESS ? OK : mod_lti_page_refuse(r, "LTI0204", &err);
}
