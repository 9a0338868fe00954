/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies: read, set, withheld. */
#include "mod_lti_cookie.h"

#include <apr_strings.h>

#include "lti_login.h"

#define ATTRIBUTES "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"

/* Length of what stands between two cookies. */
static apr_size_t separator(const char *text)
{
    const char *at = text;

    while (*at == ' ' || *at == '\t' || *at == ';' || *at == ',')
        at++;
    return (apr_size_t)(at - text);
}

/* Length of what stands before the next ';' or ','. These go through a sealed session several times faster than strcspn(). */
static apr_size_t extent(const char *cookie)
{
    apr_size_t length = (apr_size_t)(strchrnul(cookie, ';') - cookie);
    const char *comma = memchr(cookie, ',', length);

    return comma != NULL ? (apr_size_t)(comma - cookie) : length;
}

/*
 * A comma ends no cookie here, though httpd joins several headers by one: browsers send one header, and let any host of the domain set a cookie whose value has
 * commas, which would smuggle in one called __Host-..., that only this host can set.
 */
int mod_lti_cookie_next(mod_lti_cookie_t *cookie, const char **at)
{
    const char *start = *at, *end, *equals;

    if (start == NULL)
        return 0;
    while (*start == ' ' || *start == '\t' || *start == ';')
        start++;
    if (*start == '\0')
        return 0;
    end = strchrnul(start, ';');
    *at = end;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    equals = memchr(start, '=', (apr_size_t)(end - start));
    cookie->name = start;
    cookie->name_length = (apr_size_t)((equals != NULL ? equals : end) - start);
    cookie->value = equals != NULL ? equals + 1 : end;
    cookie->value_length = (apr_size_t)(end - cookie->value);
    return 1;
}

const char *mod_lti_cookie_get(request_rec *r, const char *name)
{
    const char *at = apr_table_get(r->headers_in, "Cookie");
    apr_size_t length = strlen(name);
    mod_lti_cookie_t cookie;

    while (mod_lti_cookie_next(&cookie, &at)) {
        if (cookie.name_length == length && memcmp(cookie.name, name, length) == 0)
            return apr_pstrmemdup(r->pool, cookie.value, cookie.value_length);
    }
    return NULL;
}

void mod_lti_cookie_set(request_rec *r, const char *name, const char *value, int max_age)
{
    const char *age = max_age < 0 ? "" : apr_psprintf(r->pool, "; Max-Age=%d", max_age);

    /* err_headers_out: headers_out is thrown away on redirects and refusals. */
    apr_table_addn(r->err_headers_out, "Set-Cookie", apr_pstrcat(r->pool, name, "=", value, ATTRIBUTES, age, NULL));
}

static int is_ours(const char *cookie, const char *prefix, apr_size_t length)
{
    return (strncmp(cookie, prefix, length) == 0 && cookie[length] == '_') ||
           strncmp(cookie, LTI_STATE_COOKIE, sizeof(LTI_STATE_COOKIE) - 1) == 0;
}

void mod_lti_cookie_withhold(request_rec *r, const char *prefix)
{
    const char *header = apr_table_get(r->headers_in, "Cookie"), *at;
    apr_size_t length = strlen(prefix);
    char *kept, *end;

    if (header == NULL || (strstr(header, prefix) == NULL && strstr(header, LTI_STATE_COOKIE) == NULL))
        return;
    if (is_ours(header, prefix, length) && header[extent(header)] == '\0') {
        apr_table_unset(r->headers_in, "Cookie"); /* the session alone, as often */
        return;
    }
    kept = end = apr_palloc(r->pool, strlen(header) + 1);
    /* Whoever reads them next may take a comma for the end of a cookie, or for a part of its value: ours go either way, and what is kept keeps its separator. */
    for (at = header; *at != '\0';) {
        apr_size_t blanks = separator(at), size = extent(at + blanks);

        if (!is_ours(at + blanks, prefix, length)) {
            memcpy(end, at, blanks + size);
            end += blanks + size;
        }
        at += blanks + size;
    }
    *end = '\0';
    kept += separator(kept);
    if (*kept == '\0')
        apr_table_unset(r->headers_in, "Cookie");
    else
        apr_table_setn(r->headers_in, "Cookie", kept);
}
