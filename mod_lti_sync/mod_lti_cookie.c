/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies: read, set, withheld. */
#include "mod_lti_cookie.h"

#include <apr_strings.h>

#define ATTRIBUTES "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"

int mod_lti_cookie_next(mod_lti_cookie_t *cookie, const char **at)
{
    const char *start = *at, *end, *equals;

    if (start == NULL)
        return 0;
    start += strspn(start, " \t;,");
    if (*start == '\0')
        return 0;
    end = start + strcspn(start, ";,");
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

void mod_lti_cookie_withhold(request_rec *r, const char *prefix)
{
    const char *header = apr_table_get(r->headers_in, "Cookie"), *at;
    apr_size_t length = strlen(prefix);
    char *kept, *end;

    if (header == NULL || (strstr(header, prefix) == NULL && strstr(header, MOD_LTI_STATE_COOKIE) == NULL))
        return;
    kept = end = apr_palloc(r->pool, strlen(header) + 3);
    /* Only ';' ends a cookie here: a comma may be part of another application's value. */
    for (at = header; *at != '\0';) {
        apr_size_t size;

        at += strspn(at, " \t;,");
        size = strcspn(at, ";");
        if (size > 0 && !(strncmp(at, prefix, length) == 0 && at[length] == '_') &&
            strncmp(at, MOD_LTI_STATE_COOKIE, sizeof(MOD_LTI_STATE_COOKIE) - 1) != 0) {
            if (end != kept) {
                *end++ = ';';
                *end++ = ' ';
            }
            memcpy(end, at, size);
            end += size;
        }
        at += size;
    }
    *end = '\0';
    if (end == kept)
        apr_table_unset(r->headers_in, "Cookie");
    else
        apr_table_setn(r->headers_in, "Cookie", kept);
}
