/* SPDX-License-Identifier: Apache-2.0 */
/* Where a launch may land: the same judgement at login, of what anybody may say, and at launch, of what the platform signed. */
#include "mod_lti_launch_parts.h"

#include <string.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "lti_http.h"
#include "lti_json.h"

#define TARGET_MAX 4096 /* bytes (SPEC L-13) */

static const char *find_encoded(const char *path)
{
    int high, low;

    for (; *path != '\0'; path++) {
        if (*path != '%')
            continue;
        if (!apr_isxdigit(path[1]) || !apr_isxdigit(path[2]))
            return "a percent sign without two hexadecimal digits in its path";
        high = apr_tolower(path[1]);
        low = apr_tolower(path[2]);
        if (high < '2' || (high == '7' && low == 'f'))
            return "encoded control characters in its path";
        if ((high == '2' && (low == 'f' || low == 'e')) || (high == '5' && low == 'c'))
            return "an encoded slash, backslash or dot in its path";
    }
    return NULL;
}

/*
 * What makes different programs see different paths: the prefix would be judged in one of them and the page served by another.
 */
static const char *find_path_oddity(const char *path)
{
    const char *segment = path;

    while (*segment == '/') {
        apr_size_t length = strcspn(++segment, "/"), name = strcspn(segment, "/;");

        if (length == 0 && segment[0] == '/')
            return "an empty segment in its path";
        if ((name == 1 && segment[0] == '.') || (name == 2 && segment[0] == '.' && segment[1] == '.'))
            return "a dot segment in its path";
        segment += length;
    }
    return find_encoded(path);
}

static int is_below(const char *path, const char *prefix)
{
    apr_size_t length = strlen(prefix);

    while (length > 0 && prefix[length - 1] == '/')
        length--;
    return strncmp(path, prefix, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

static int is_below_any(const char *path, const apr_array_header_t *prefixes)
{
    int i;

    for (i = 0; i < prefixes->nelts; i++) {
        if (is_below(path, APR_ARRAY_IDX(prefixes, i, const char *)))
            return 1;
    }
    return 0;
}

/* What is not ASCII may stand in a link, but not in a Location header. */
static const char *to_ascii(const char *text, apr_pool_t *p)
{
    static const char hex[] = "0123456789ABCDEF";
    char *ascii = apr_palloc(p, strlen(text) * 3 + 1), *out = ascii;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x80) {
            *out++ = (char)c;
        } else {
            *out++ = '%';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 15];
        }
    }
    *out = '\0';
    return ascii;
}

static apr_status_t fail_target(const char *fault, const char *target, lti_err_t *err)
{
    return lti_fail(err, LTI_E_TARGET_NOT_ALLOWED, APR_EACCES, "target_link_uri has %s: %.120s (SPEC K-08)", fault, target);
}

static int is_same_origin(const char *url, const char *base_url, apr_pool_t *p)
{
    apr_size_t length = strlen(base_url);
    const char *origin, *ours;

    /* The usual: the base URL letter for letter, and its authority ends there. */
    if (strncmp(url, base_url, length) == 0 && strchr("/?", url[length]) != NULL)
        return 1;
    origin = lti_http_origin(url, p);
    ours = lti_http_origin(base_url, p);
    return origin != NULL && ours != NULL && strcmp(origin, ours) == 0;
}

apr_status_t mod_lti_launch_target(const char **destination, const lti_server_config_t *conf, const char *base_url,
                                   const char *target, apr_pool_t *p, lti_err_t *err)
{
    const char *plain = apr_pstrmemdup(p, target, strcspn(target, "#")); /* a fragment belongs to the page and harms nobody */
    const char *path, *rest, *fault;
    lti_err_t unfit;
    apr_status_t rv;

    *destination = NULL;
    if (strlen(target) > TARGET_MAX)
        return fail_target("too many bytes", target, err);
    rv = lti_http_check_url(plain, TARGET_MAX, LTI_E_TARGET_NOT_ALLOWED, &unfit);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_TARGET_NOT_ALLOWED, rv, "target_link_uri: %.180s (SPEC K-08)", unfit.text);
    if (!is_same_origin(plain, base_url, p))
        return fail_target(apr_pstrcat(p, "another origin than ", base_url, NULL), target, err);
    rest = strstr(target, "://") + 3;
    rest += strcspn(rest, "/?#");
    path = apr_pstrmemdup(p, rest, strcspn(rest, "?#"));
    fault = find_path_oddity(path);
    if (fault == NULL && (strpbrk(rest, "\\\"<> ") != NULL || !lti_json_is_clean(rest)))
        fault = "characters that an URL cannot have";
    if (fault != NULL)
        return fail_target(fault, target, err);
    if (strcmp(rest, "") == 0 || strcmp(rest, "/") == 0 || is_below(path, conf->path))
        *destination = apr_pstrcat(p, base_url, APR_ARRAY_IDX(conf->applications, 0, const char *), NULL);
    else if (is_below_any(path, conf->applications))
        *destination = apr_pstrcat(p, base_url, *path == '\0' ? "/" : "", to_ascii(rest, p), NULL);
    else
        return fail_target("a path that is below no prefix of LTIApplication", target, err);
    return APR_SUCCESS;
}
