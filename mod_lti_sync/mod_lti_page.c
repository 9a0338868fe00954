/* SPDX-License-Identifier: Apache-2.0 */
/* Refusing a request: one log line, one page, one code. */
#include "mod_lti_page.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>
#include <mod_core.h>

#include "lti_crypto.h"
#include "lti_http.h"
#include "lti_json.h"
#include "mod_lti_config.h"

APLOG_USE_MODULE(lti_sync);

#define REQUEST_ID_NOTE "lti_sync:request-id"
#define ERROR_SHOWN 64 /* bytes of what a platform posted as its error, and of its description */
#define DESCRIPTION_SHOWN 400
#define RETURN_URL_MAX 4096

const char *mod_lti_page_request_id(request_rec *r)
{
    const char *id;

    while (r->main != NULL || r->prev != NULL)
        r = r->main != NULL ? r->main : r->prev;
    id = apr_table_get(r->notes, REQUEST_ID_NOTE);
    if (id == NULL) {
        unsigned char random[8];
        char *text = apr_palloc(r->pool, sizeof(random) * 2);

        if (lti_crypto_random(random, sizeof(random), NULL) != APR_SUCCESS)
            return "none";
        lti_base32_encode(text, random, sizeof(random));
        apr_table_setn(r->notes, REQUEST_ID_NOTE, text);
        id = text;
    }
    return id;
}

void mod_lti_page_name_request(request_rec *r, const char *id)
{
    while (r->main != NULL || r->prev != NULL)
        r = r->main != NULL ? r->main : r->prev;
    apr_table_setn(r->notes, REQUEST_ID_NOTE, apr_pstrdup(r->pool, id));
}

/* The length of the UTF-8 character at `text` and its code point; an ill-formed byte counts as one unknown character. */
static int character(const unsigned char *text, unsigned *code)
{
    int length = text[0] < 0x80             ? 1
                 : (text[0] & 0xE0) == 0xC0 ? 2
                 : (text[0] & 0xF0) == 0xE0 ? 3
                 : (text[0] & 0xF8) == 0xF0 ? 4
                                            : 0;
    int i;

    *code = length <= 1 ? text[0] : text[0] & (0xFFu >> (length + 1));
    for (i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80)
            break;
        *code = (*code << 6) | (text[i] & 0x3Fu);
    }
    if (length == 0 || i < length) {
        *code = 0xFFFD;
        return 1;
    }
    return length;
}

const char *mod_lti_page_escape(const char *text, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(text) * 10 + 1), *at = out;

    while (*text != '\0') {
        unsigned code;

        text += character((const unsigned char *)text, &code);
        if (code >= 0x20 && code < 0x7F && strchr("<>&\"'", (int)code) == NULL)
            *at++ = (char)code;
        else
            at += apr_snprintf(at, 11, "&#%u;", code < 0x20 || code == 0x7F ? 0xFFFDu : code);
    }
    *at = '\0';
    return out;
}

/* --- the page --------------------------------------------------------------------------------------------------------- */

/* What is shown of a text from outside: whole characters, `max` bytes of them. */
static const char *quote(const char *text, apr_size_t max, apr_pool_t *p)
{
    apr_size_t length = strlen(text);

    if (length <= max)
        return mod_lti_page_escape(text, p);
    while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80)
        max--;
    return apr_pstrcat(p, mod_lti_page_escape(apr_pstrmemdup(p, text, max), p), " &#8230;", NULL);
}

/* bdi: what is written from right to left must not turn our own words round. */
static const char *platform_words(const mod_lti_page_aside_t *aside, apr_pool_t *p)
{
    const char *description = aside != NULL ? aside->error_description : NULL;

    if (aside == NULL || aside->error == NULL)
        return "";
    return apr_pstrcat(p, "<p>Your learning platform says:</p>\n<blockquote><code><bdi>", quote(aside->error, ERROR_SHOWN, p),
                       "</bdi></code>", description != NULL && *description != '\0' ? "<br><bdi>" : "",
                       description != NULL && *description != '\0' ? quote(description, DESCRIPTION_SHOWN, p) : "",
                       description != NULL && *description != '\0' ? "</bdi>" : "", "</blockquote>\n", NULL);
}

static int is_on_platform(const lti_platform_t *platform, const char *url, const apr_array_header_t *more_hosts, apr_pool_t *p)
{
    const char *host = lti_http_host(url, p), *issuer = lti_http_host(platform->issuer, p);
    int i;

    if (host == NULL)
        return 0;
    if ((issuer != NULL && strcmp(host, issuer) == 0) || lti_platform_owns_host(platform, url, p))
        return 1;
    for (i = 0; more_hosts != NULL && i < more_hosts->nelts; i++) {
        if (strcmp(host, APR_ARRAY_IDX(more_hosts, i, const char *)) == 0)
            return 1;
    }
    return 0;
}

/* Where the platform takes people back, and what it may tell them and its own log (SPEC K-31); NULL if that is not known or not allowed. */
static const char *way_back(request_rec *r, const lti_err_info_t *info, const mod_lti_page_aside_t *aside)
{
    const char *id = mod_lti_page_request_id(r), *url = aside != NULL ? aside->return_url : NULL;

    if (url == NULL || aside->platform == NULL || !lti_json_is_clean(url) ||
        lti_http_check_url(url, RETURN_URL_MAX, LTI_E_CLAIM_INVALID, NULL) != APR_SUCCESS ||
        !is_on_platform(aside->platform, url, mod_lti_config_of(r->server)->service_hosts, r->pool))
        return NULL;
    url = lti_http_add_query(url, "lti_errormsg", apr_psprintf(r->pool, "%s (%s, %s)", info->person, info->name, id), r->pool);
    return lti_http_add_query(url, "lti_errorlog", apr_psprintf(r->pool, "%s, request %s", info->name, id), r->pool);
}

/* The page is ASCII: httpd labels such pages ISO-8859-1. */
static const char *page(request_rec *r, const lti_err_info_t *info, const mod_lti_page_aside_t *aside, const char *back,
                        const char *nonce)
{
    const char *title = info->http < 500 ? "This page cannot be opened" : "Not available at the moment";
    const char *refresh =
        info->http == HTTP_SERVICE_UNAVAILABLE && *r->method == 'G' ? "<meta http-equiv=\"refresh\" content=\"5\">" : "";
    const char *link = "";

    if (back != NULL)
        link = apr_pstrcat(r->pool, "<p><a class=\"b\" href=\"", mod_lti_page_escape(back, r->pool),
                           "\">Back to your course</a></p>\n", NULL);
    return apr_pstrcat(
        r->pool,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">",
        refresh, "<title>", title, "</title>\n<style nonce=\"", nonce, "\">" MOD_LTI_PAGE_STYLE "</style></head>\n<body><main><h1>",
        title, "</h1>\n<p>", mod_lti_page_escape(info->person, r->pool), "</p>\n",
        aside != NULL && aside->content != NULL ? aside->content : "", platform_words(aside, r->pool), link,
        "<p class=\"f\">Code <code>", info->name, "</code>, request <code>", mod_lti_page_request_id(r),
        "</code></p>\n<details class=\"f\"><summary>For the administrator of this site</summary>\n<p>",
        mod_lti_page_escape(info->admin, r->pool), "</p></details></main></body></html>\n", NULL);
}

/* Not with a page of the administrator's, whose needs are not known here. */
static void set_page(request_rec *r, const lti_err_info_t *info, const mod_lti_page_aside_t *aside, const char *back)
{
    const char *nonce = lti_crypto_random_text(16, r->pool);

    if (nonce == NULL)
        nonce = ""; /* then the page has no style */
    /* No form-action: browsers hold it against the redirects behind a form as well. No frame-ancestors: platforms show tools in frames. */
    apr_table_setn(r->err_headers_out, "Content-Security-Policy",
                   apr_pstrcat(r->pool, "default-src 'none'; style-src 'nonce-", nonce, "'; base-uri 'none'", NULL));
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
    ap_custom_response(r, info->http, page(r, info, aside, back, nonce));
}

/* --- refusing --------------------------------------------------------------------------------------------------------- */

int mod_lti_page_refuse_with(request_rec *r, const char *tag, const lti_err_t *err, const mod_lti_page_aside_t *aside)
{
    const lti_err_info_t *info = lti_err_info(err->code);
    int status = info->http;
    int level = err->code == LTI_E_ROSTER_PENDING ? APLOG_INFO
                : status >= 500                   ? APLOG_ERR
                : status == HTTP_FORBIDDEN        ? APLOG_NOTICE
                                                  : APLOG_INFO;
    const char *id = mod_lti_page_request_id(r), *back = way_back(r, info, aside);

    ap_log_rerror(APLOG_MARK, level, 0, r, "%s: refused with %s (request %s): %s. %s", tag, info->name, id, err->text, info->admin);
    apr_table_setn(r->err_headers_out, "X-LTI-Error", info->name);
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->subprocess_env, "LTI_ERROR", info->name);
    apr_table_setn(r->subprocess_env, "LTI_REQUEST_ID", id);
    if (back != NULL)
        apr_table_setn(r->subprocess_env, "LTI_ERROR_RETURN_URL", back);
    if (status == HTTP_SERVICE_UNAVAILABLE)
        apr_table_setn(r->err_headers_out, "Retry-After", "5");
    /* RFC 9110 section 11.6.1; a private scheme, so that no browser shows a password box. */
    if (status == HTTP_UNAUTHORIZED)
        apr_table_setn(r->err_headers_out, "WWW-Authenticate", "LTI");
    if (ap_response_code_string(r, ap_index_of_response(status)) == NULL)
        set_page(r, info, aside, back);
    return status;
}

int mod_lti_page_refuse(request_rec *r, const char *tag, const lti_err_t *err)
{
    return mod_lti_page_refuse_with(r, tag, err, NULL);
}
