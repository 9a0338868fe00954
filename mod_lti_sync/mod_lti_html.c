/* SPDX-License-Identifier: Apache-2.0 */
/* What pages of several parts are written with. */
#include "mod_lti_html.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>

#include "lti_crypto.h"
#include "mod_lti_page.h"

APLOG_USE_MODULE(lti_sync);

#define EVIDENCE_SHOWN 2000 /* bytes */

/* --- writing ---------------------------------------------------------------------------------------------------------- */

static void write_escaped(mod_lti_html_t *html, const char *text)
{
    if (text != NULL && *text != '\0')
        ap_rputs(mod_lti_page_escape(text, html->r->pool), html->r);
}

/* One conversion of `format`, which begins behind the percent sign; where it goes on. The list is a pointer: va_arg() moves the caller's. */
static const char *write_conversion(mod_lti_html_t *html, const char *format, va_list *args)
{
    char number[32];

    if (*format == 's') {
        write_escaped(html, va_arg(*args, const char *));
    } else if (*format == 'd') {
        apr_snprintf(number, sizeof(number), "%d", va_arg(*args, int));
        ap_rputs(number, html->r);
    } else if (strncmp(format, "lld", 3) == 0) {
        snprintf(number, sizeof(number), "%lld", va_arg(*args, long long));
        ap_rputs(number, html->r);
        return format + 3;
    } else {
        ap_rputc('%', html->r);
    }
    return format + (*format != '\0');
}

void mod_lti_html_write(mod_lti_html_t *html, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    while (*format != '\0') {
        apr_size_t plain = strcspn(format, "%");

        if (plain > 0)
            ap_rwrite(format, (int)plain, html->r);
        format += plain;
        if (*format == '%')
            format = write_conversion(html, format + 1, &args);
    }
    va_end(args);
}

/* --- the frame ---------------------------------------------------------------------------------------------------------- */

static void set_headers(const mod_lti_html_t *html)
{
    request_rec *r = html->r;
    const char *ancestors = html->frame_ancestors != NULL ? html->frame_ancestors : "'none'";

    apr_table_setn(r->headers_out, "Content-Security-Policy",
                   apr_pstrcat(r->pool, "default-src 'none'; style-src 'nonce-", html->nonce, "'; script-src 'nonce-", html->nonce,
                               "'; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors ",
                               ancestors, NULL));
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "Referrer-Policy", "no-referrer");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    ap_set_content_type(r, "text/html; charset=utf-8");
}

int mod_lti_html_begin(mod_lti_html_t *html, request_rec *r)
{
    html->r = r;
    html->nonce = lti_crypto_random_text(16, r->pool);
    if (html->nonce == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "LTI0730: no random bytes for a page");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    set_headers(html);
    mod_lti_html_write(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
        "<link rel=\"icon\" href=\"data:,\"><title>%s</title>\n<style nonce=\"%s\">",
        html->title, html->nonce);
    ap_rputs(mod_lti_html_style, r);
    mod_lti_html_write(html, "</style></head>\n<body><a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>");
    if (html->parent != NULL)
        mod_lti_html_write(html, "<nav aria-label=\"Up\"><a href=\"%s\">&#8592; %s</a></nav>", html->parent_href, html->parent);
    mod_lti_html_write(html, "<h1>%s</h1></header>\n<main id=\"main\">\n", html->title);
    return OK;
}

void mod_lti_html_end(mod_lti_html_t *html, const char *script)
{
    mod_lti_html_write(html, "</main>\n<footer>Made by mod_lti_sync at ");
    mod_lti_html_write(html, "<span id=\"made\">");
    if (html->now > 0) {
        char date[APR_RFC822_DATE_LEN];

        apr_rfc822_date(date, html->now);
        mod_lti_html_write(html, "%s", date);
    }
    mod_lti_html_write(html, "</span></footer>\n");
    if (script != NULL) {
        mod_lti_html_write(html, "<script nonce=\"%s\">", html->nonce);
        ap_rputs(script, html->r);
        mod_lti_html_write(html, "</script>\n");
    }
    mod_lti_html_write(html, "</body></html>\n");
}

const char *mod_lti_html_words(const char *word, apr_pool_t *p)
{
    char *text = apr_pstrdup(p, word != NULL ? word : ""), *dash;

    while ((dash = strchr(text, '-')) != NULL)
        *dash = ' ';
    return text;
}

/* --- times ---------------------------------------------------------------------------------------------------------------- */

apr_time_t mod_lti_html_parse_time(const char *time)
{
    struct tm parts;
    const char *end;

    memset(&parts, 0, sizeof(parts));
    end = time != NULL ? strptime(time, "%Y-%m-%dT%H:%M:%SZ", &parts) : NULL;
    return end != NULL && *end == '\0' ? apr_time_from_sec(timegm(&parts)) : 0;
}

const char *mod_lti_html_span(apr_int64_t seconds, apr_pool_t *p)
{
    static const struct {
        apr_int64_t seconds, up_to;
        const char *name;
    } units[] = {{1, 90, "second"}, {60, 5400, "minute"}, {3600, 172800, "hour"}, {86400, APR_INT64_MAX, "day"}};
    apr_int64_t count;
    int i = 0;

    if (seconds < 0)
        seconds = seconds > -APR_INT64_MAX ? -seconds : APR_INT64_MAX;
    while (seconds >= units[i].up_to)
        i++;
    count = seconds / units[i].seconds;
    return apr_psprintf(p, "%" APR_INT64_T_FMT " %s%s", count, units[i].name, count == 1 ? "" : "s");
}

static const char *moment_text(const char *time, apr_pool_t *p)
{
    return apr_psprintf(p, "%.10s %.8s UTC", time, time + 11);
}

void mod_lti_html_when(mod_lti_html_t *html, const char *time)
{
    apr_pool_t *p = html->r->pool;
    apr_time_t at = mod_lti_html_parse_time(time);
    apr_int64_t seconds = apr_time_sec(html->now - at);
    const char *span;

    if (at == 0) {
        mod_lti_html_write(html, "never");
        return;
    }
    span = seconds > -1 && seconds < 1 ? "now"
           : seconds > 0               ? apr_pstrcat(p, mod_lti_html_span(seconds, p), " ago", NULL)
                                       : apr_pstrcat(p, "in ", mod_lti_html_span(seconds, p), NULL);
    mod_lti_html_write(html, "<time datetime=\"%s\" title=\"%s\">%s</time>", time, moment_text(time, p), span);
}

void mod_lti_html_moment(mod_lti_html_t *html, const char *time)
{
    if (mod_lti_html_parse_time(time) == 0)
        mod_lti_html_write(html, "never");
    else
        mod_lti_html_write(html, "<time datetime=\"%s\">%s</time>", time, moment_text(time, html->r->pool));
}

/* --- diagnoses -------------------------------------------------------------------------------------------------------------- */

void mod_lti_html_badge(mod_lti_html_t *html, int severity, const char *word)
{
    static const char *const words[] = {"Well", "Note", "Warning", "Problem"};

    severity = severity < 0 ? 0 : severity > 3 ? 3 : severity;
    mod_lti_html_write(html, "<span class=\"badge s%d\">%s</span>", severity, word != NULL ? word : words[severity]);
}

void mod_lti_html_steps(mod_lti_html_t *html, const json_t *steps)
{
    apr_size_t i, count = json_array_size(steps);

    if (count == 0)
        return;
    mod_lti_html_write(html, "<ol class=\"steps\">");
    for (i = 0; i < count; i++)
        mod_lti_html_write(html, "<li><bdi>%s</bdi></li>", json_string_value(json_array_get(steps, i)));
    mod_lti_html_write(html, "</ol>");
}

/* Whole characters, at most `max` bytes. */
static const char *cut(const char *text, apr_size_t max, apr_pool_t *p)
{
    if (strlen(text) <= max)
        return text;
    while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80)
        max--;
    return apr_pstrcat(p, apr_pstrmemdup(p, text, max), " ...", NULL);
}

/* bdi: what is written from right to left must not turn our own words round. */
void mod_lti_html_diagnosis(mod_lti_html_t *html, const json_t *diagnosis)
{
    const char *evidence = mod_lti_html_text_of(diagnosis, "evidence");

    mod_lti_html_write(html, "<div class=\"diagnosis\"><p>");
    mod_lti_html_badge(html, (int)mod_lti_html_number_of(diagnosis, "severity"), NULL);
    mod_lti_html_write(html, " <bdi>%s</bdi></p>", mod_lti_html_text_of(diagnosis, "sentence"));
    if (evidence != NULL)
        mod_lti_html_write(html, "<blockquote><bdi>%s</bdi></blockquote>", cut(evidence, EVIDENCE_SHOWN, html->r->pool));
    mod_lti_html_steps(html, json_object_get(diagnosis, "remedy"));
    mod_lti_html_write(html, "</div>");
}

/* --- tables ------------------------------------------------------------------------------------------------------------------- */

static void write_head_cell(mod_lti_html_t *html, const mod_lti_html_column_t *column)
{
    mod_lti_html_write(html, "<th scope=\"col\" role=\"columnheader\"");
    if (column->is_number)
        mod_lti_html_write(html, " class=\"n\"");
    if (column->sorted != NULL)
        mod_lti_html_write(html, " aria-sort=\"%s\"", column->sorted);
    if (column->href != NULL)
        mod_lti_html_write(html, "><a href=\"%s\">%s</a></th>", column->href, column->title);
    else
        mod_lti_html_write(html, ">%s</th>", column->title);
}

/* Roles are written out: as a card a row would not be one any more for who reads with the ears. */
void mod_lti_html_table(mod_lti_html_t *html, const char *caption, const mod_lti_html_column_t *columns, int count)
{
    int i;

    html->columns = columns;
    html->column_count = count;
    html->row_open = 0;
    mod_lti_html_write(html,
                       "<div class=\"box\"><table role=\"table\"><caption class=\"hide\">%s</caption>\n<thead role=\"rowgroup\">"
                       "<tr role=\"row\">",
                       caption);
    for (i = 0; i < count; i++)
        write_head_cell(html, &columns[i]);
    mod_lti_html_write(html, "</tr></thead>\n<tbody role=\"rowgroup\">\n");
}

static void close_cell(mod_lti_html_t *html)
{
    if (html->row_open && html->cell > 0)
        mod_lti_html_write(html, html->cell == 1 ? "</th>" : "</td>");
}

static void close_row(mod_lti_html_t *html)
{
    close_cell(html);
    if (html->row_open)
        mod_lti_html_write(html, "</tr>\n");
}

void mod_lti_html_row(mod_lti_html_t *html)
{
    close_row(html);
    html->row_open = 1;
    html->cell = 0;
    mod_lti_html_write(html, "<tr role=\"row\">");
}

void mod_lti_html_cell(mod_lti_html_t *html)
{
    const mod_lti_html_column_t *column;

    close_cell(html);
    column = &html->columns[html->cell < html->column_count ? html->cell : html->column_count - 1];
    if (html->cell++ == 0) {
        mod_lti_html_write(html, "<th scope=\"row\" role=\"rowheader\">");
        return;
    }
    mod_lti_html_write(html, "<td role=\"cell\" data-title=\"%s\"", column->title);
    mod_lti_html_write(html, column->is_number ? " class=\"n\">" : ">");
}

void mod_lti_html_table_end(mod_lti_html_t *html)
{
    close_row(html);
    html->row_open = 0;
    mod_lti_html_write(html, "</tbody></table></div>\n");
}

/* --- buttons -------------------------------------------------------------------------------------------------------------------- */

static void write_field(mod_lti_html_t *html, const char *name, const char *value)
{
    mod_lti_html_write(html, "<input type=\"hidden\" name=\"%s\" value=\"%s\">", name, value);
}

void mod_lti_html_button(mod_lti_html_t *html, mod_lti_html_kind_t kind, const char *label, const char *about, ...)
{
    static const char *const classes[] = {"plain", "main", "danger"};
    const char *name;
    va_list fields;

    if (html->token == NULL)
        return;
    mod_lti_html_write(html, "<form class=\"one\" method=\"post\" action=\"%s\">", html->self);
    write_field(html, "token", html->token);
    if (html->back != NULL)
        write_field(html, "back", html->back);
    va_start(fields, about);
    while ((name = va_arg(fields, const char *)) != NULL)
        write_field(html, name, va_arg(fields, const char *));
    va_end(fields);
    mod_lti_html_write(html, "<button class=\"%s\">%s", classes[kind], label);
    if (about != NULL)
        mod_lti_html_write(html, "<span class=\"hide\"> %s</span>", about);
    mod_lti_html_write(html, "</button></form>");
}

/* --- reading what is shown ---------------------------------------------------------------------------------------------------------- */

const char *mod_lti_html_text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

long long mod_lti_html_number_of(const json_t *object, const char *name)
{
    return (long long)json_number_value(json_object_get(object, name));
}

const char *mod_lti_html_grouped(apr_int64_t number, apr_pool_t *p)
{
    const char *digits = apr_psprintf(p, "%" APR_INT64_T_FMT, number);
    apr_size_t length = strlen(digits), i;
    char *text = apr_palloc(p, length * 2 + 1), *at = text;

    for (i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return text;
}
