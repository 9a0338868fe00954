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

APLOG_USE_MODULE(lti_sync);

#define REQUEST_ID_NOTE "lti_sync:request-id"

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

static const char *page(request_rec *r, const lti_err_info_t *info, int status)
{
    const char *refresh = info->http == HTTP_SERVICE_UNAVAILABLE ? "<meta http-equiv=\"refresh\" content=\"5\">" : "";

    /* The page is ASCII: httpd labels such pages ISO-8859-1. */
    return apr_psprintf(
        r->pool,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
        "%s<title>%s</title>\n"
        "<style>:root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 "
        "1.2rem}"
        "h1{font-size:1.4rem}p.f{font-size:.85rem;opacity:.75}code{font-family:ui-monospace,monospace}</style></head>\n"
        "<body><h1>%s</h1>\n<p>%s</p>\n<p class=\"f\">Code <code>%s</code>, request <code>%s</code></p></body></html>\n",
        *r->method == 'G' ? refresh : "", status < 500 ? "This page cannot be opened" : "Not available at the moment",
        status < 500 ? "This page cannot be opened" : "Not available at the moment", mod_lti_page_escape(info->person, r->pool),
        info->name, mod_lti_page_request_id(r));
}

int mod_lti_page_refuse(request_rec *r, const char *tag, const lti_err_t *err)
{
    const lti_err_info_t *info = lti_err_info(err->code);
    int status = info->http;
    int level = err->code == LTI_E_ROSTER_PENDING ? APLOG_INFO
                : status >= 500                   ? APLOG_ERR
                : status == HTTP_FORBIDDEN        ? APLOG_NOTICE
                                                  : APLOG_INFO;
    const char *id = mod_lti_page_request_id(r);

    ap_log_rerror(APLOG_MARK, level, 0, r, "%s: refused with %s (request %s): %s. %s", tag, info->name, id, err->text, info->admin);
    apr_table_setn(r->err_headers_out, "X-LTI-Error", info->name);
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->subprocess_env, "LTI_ERROR", info->name);
    apr_table_setn(r->subprocess_env, "LTI_REQUEST_ID", id);
    if (status == HTTP_SERVICE_UNAVAILABLE)
        apr_table_setn(r->err_headers_out, "Retry-After", "5");
    /* RFC 9110 section 11.6.1; a private scheme, so that no browser shows a password box. */
    if (status == HTTP_UNAUTHORIZED)
        apr_table_setn(r->err_headers_out, "WWW-Authenticate", "LTI");
    if (ap_response_code_string(r, ap_index_of_response(status)) == NULL)
        ap_custom_response(r, status, page(r, info, status));
    return status;
}
