/* SPDX-License-Identifier: Apache-2.0 */
/* The segment that names the course, in paths, URLs and cookies. */
#include "mod_lti_paths_parts.h"

#include <string.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "lti_http.h"
#include "lti_session.h"

#define KEY_LETTERS "abcdefghijklmnopqrstuvwxyz234567"

/* --- paths ---------------------------------------------------------------------------------------------------------------- */

/* Length of the segment with its slash at the start of `rest` ("/~key/page"), 0 if there is none. */
static apr_size_t segment_length(const char *rest)
{
    apr_size_t length = sizeof("/~") - 1 + LTI_SESSION_KEY_LENGTH;

    if (strncmp(rest, "/~", 2) != 0 || strspn(rest + 2, KEY_LETTERS) != LTI_SESSION_KEY_LENGTH)
        return 0;
    return rest[length] == '/' || rest[length] == '\0' ? length : 0;
}

const lti_course_path_t *mod_lti_paths_split(const char **key, const char **rest, const apr_array_header_t *all, const char *path,
                                             apr_pool_t *p)
{
    int i;

    for (i = 0; i < all->nelts; i++) {
        const lti_course_path_t *application = &APR_ARRAY_IDX(all, i, lti_course_path_t);
        apr_size_t length;

        if (!application->on || strncmp(path, application->prefix, application->length) != 0)
            continue;
        length = segment_length(path + application->length);
        if (length == 0)
            continue;
        *key = apr_pstrmemdup(p, path + application->length + 2, LTI_SESSION_KEY_LENGTH);
        *rest = apr_pstrcat(p, application->prefix, path + application->length + length, NULL);
        if (**rest == '\0')
            *rest = "/";
        return application;
    }
    return NULL;
}

const char *mod_lti_paths_join(const lti_course_path_t *application, const char *key, const char *path, apr_pool_t *p)
{
    return apr_pstrcat(p, application->prefix, "/~", key, path + application->length, NULL);
}

const char *mod_lti_paths_named_session(const char *query, apr_pool_t *p)
{
    static const char name[] = "session=";

    while (strncmp(query, name, sizeof(name) - 1) != 0) {
        query = strchr(query, '&');
        if (query == NULL)
            return NULL;
        query++;
    }
    query += sizeof(name) - 1;
    if (strspn(query, KEY_LETTERS) != LTI_SESSION_KEY_LENGTH ||
        (query[LTI_SESSION_KEY_LENGTH] != '\0' && query[LTI_SESSION_KEY_LENGTH] != '&'))
        return NULL;
    return apr_pstrmemdup(p, query, LTI_SESSION_KEY_LENGTH);
}

/* How many dots a segment of `length` bytes is made of, if it is one or two, else 0. */
static int dots(const char *segment, apr_size_t length)
{
    const char *end = segment + length;
    int count = 0;

    while (segment < end && count <= 2) {
        if (*segment == '.')
            segment++;
        else if (end - segment >= 3 && segment[0] == '%' && segment[1] == '2' && (segment[2] == 'e' || segment[2] == 'E'))
            segment += 3;
        else
            return 0;
        count++;
    }
    return count <= 2 ? count : 0;
}

const char *mod_lti_paths_resolve(const char *path, apr_pool_t *p)
{
    char *result = apr_palloc(p, strlen(path) + 2), *end = result;

    while (*path == '/') {
        apr_size_t length = strcspn(path + 1, "/");
        int count = dots(path + 1, length);

        if (count == 0) {
            memcpy(end, path, length + 1);
            end += length + 1;
        } else {
            while (count == 2 && end > result && *--end != '/')
                ;
            if (path[length + 1] == '\0')
                *end++ = '/';
        }
        path += length + 1;
    }
    *end = '\0';
    return result;
}

/* --- URLs ----------------------------------------------------------------------------------------------------------------- */

/* Length of "scheme:" at the start of `url`, 0 for a relative reference. */
static apr_size_t scheme_length(const char *url)
{
    apr_size_t length = 0;

    if (!apr_isalpha(url[0]))
        return 0;
    while (apr_isalnum(url[length]) || url[length] == '+' || url[length] == '-' || url[length] == '.')
        length++;
    return url[length] == ':' ? length + 1 : 0;
}

const char *mod_lti_paths_own(apr_size_t *scheme_and_host, const char *url, const char *const origins[2], apr_pool_t *p)
{
    apr_size_t scheme = scheme_length(url), length;
    const char *origin, *absolute;
    int i;

    if (strncmp(url + scheme, "//", 2) != 0)
        return NULL;
    length = scheme + 2 + strcspn(url + scheme + 2, "/?#");
    absolute = apr_pstrmemdup(p, url, length);
    for (i = 0; i < 2 && origins[i] != NULL; i++) {
        /* "//host/path" is of the page's own scheme. */
        const char *full = scheme != 0 ? absolute : apr_pstrcat(p, origins[i][4] == 's' ? "https:" : "http:", absolute, NULL);

        origin = lti_http_origin(full, p);
        if (origin != NULL && strcmp(origin, origins[i]) == 0) {
            *scheme_and_host = length;
            return url + length;
        }
    }
    return NULL;
}

/* Many libraries that write addresses encode the tilde. `path` itself where there is none. */
static const char *decode_tildes(const char *path, apr_pool_t *p)
{
    const char *encoded = strcasestr(path, "/%7e");
    char *plain, *end;

    if (encoded == NULL)
        return path;
    plain = end = apr_palloc(p, strlen(path) + 1);
    while (*path != '\0') {
        int is_tilde = end > plain && end[-1] == '/' && strncasecmp(path, "%7e", 3) == 0;

        *end++ = is_tilde ? '~' : *path;
        path += is_tilde ? 3 : 1;
    }
    *end = '\0';
    return plain;
}

/* `path` may have a query and a fragment behind it. NULL: it stays as it is. */
static const char *put_back_path(const mod_lti_paths_return_t *back, const char *path, apr_pool_t *p)
{
    apr_size_t length = strcspn(path, "?#");
    const char *clean = mod_lti_paths_resolve(apr_pstrmemdup(p, path, length), p), *plain = decode_tildes(clean, p), *key, *rest;
    const lti_course_path_t *application = mod_lti_paths_split(&key, &rest, back->all, plain, p);

    /* The application may have written the segment itself (LTI_PATH_PREFIX). What only looks like one is a path of the application. */
    if (application != NULL && strcmp(key, back->key) == 0)
        return plain == clean ? NULL : apr_pstrcat(p, plain, path + length, NULL);
    application = mod_lti_config_course_path(back->all, clean);
    if (application == NULL)
        return NULL;
    return apr_pstrcat(p, mod_lti_paths_join(application, back->key, clean, p), path + length, NULL);
}

const char *mod_lti_paths_put_back(const mod_lti_paths_return_t *back, const char *url, apr_pool_t *p)
{
    apr_size_t front = 0, last;
    const char *path = url, *changed;

    if (scheme_length(url) != 0 || strncmp(url, "//", 2) == 0) {
        path = mod_lti_paths_own(&front, url, back->origins, p);
        if (path == NULL || *path != '/')
            return url;
    } else if (*url == '\0' || *url == '?' || *url == '#') {
        return url;
    } else if (*url != '/') {
        /* A browser would count from the address with the segment, and ".." would count it as one of the application's folders. */
        last = (apr_size_t)(strrchr(back->asked, '/') + 1 - back->asked);
        path = apr_pstrcat(p, apr_pstrmemdup(p, back->asked, last), url, NULL);
        changed = put_back_path(back, path, p);
        return changed != NULL ? changed : path;
    }
    changed = put_back_path(back, path, p);
    return changed != NULL ? apr_pstrcat(p, apr_pstrmemdup(p, url, front), changed, NULL) : url;
}

const char *mod_lti_paths_put_back_refresh(const mod_lti_paths_return_t *back, const char *refresh, apr_pool_t *p)
{
    const char *at = refresh + strcspn(refresh, ";,"), *url, *end;
    char quote = '\0';

    if (*at == '\0')
        return refresh;
    at++;
    at += strspn(at, " \t");
    if (strncasecmp(at, "url", 3) == 0 && at[3 + strspn(at + 3, " \t")] == '=') {
        at += 3 + strspn(at + 3, " \t") + 1;
        at += strspn(at, " \t");
    }
    if (*at == '"' || *at == '\'')
        quote = *at++;
    end = quote != '\0' && strchr(at, quote) != NULL ? strchr(at, quote) : at + strlen(at);
    url = apr_pstrmemdup(p, at, (apr_size_t)(end - at));
    return apr_pstrcat(p, apr_pstrmemdup(p, refresh, (apr_size_t)(at - refresh)), mod_lti_paths_put_back(back, url, p), end, NULL);
}

/* --- cookies -------------------------------------------------------------------------------------------------------------- */

static int is_for_all_courses(const mod_lti_paths_return_t *back, const char *line)
{
    apr_size_t length = strlen(back->cookie_name);

    return (strncmp(line, back->cookie_name, length) == 0 && line[length] == '_') || strncasecmp(line, "__Host-", 7) == 0;
}

/* The path of a cookie, NULL if it stays as it is. Without an absolute path browsers take the folder of the address, which has the segment. */
static const char *put_back_cookie_path(const mod_lti_paths_return_t *back, const char *path, apr_pool_t *p)
{
    const lti_course_path_t *application = back->application;
    apr_size_t length = strlen(path);

    if (*path != '/')
        return NULL;
    while (length > 0 && path[length - 1] == '/')
        length--;
    /* Above the application, be it in another one: it would not be sent to addresses of this one otherwise. */
    if ((length == 0 || length < application->length) && mod_lti_config_is_below(application->prefix, path, length))
        return mod_lti_paths_join(application, back->key, application->prefix, p);
    return mod_lti_config_course_path(back->all, path) != NULL ? put_back_path(back, path, p) : NULL;
}

/* 1 if the address may have ended with the segment: then its folder, which cookies without a path are of, is that of all courses. */
static int ends_with_segment(const mod_lti_paths_return_t *back)
{
    return strlen(back->asked) <= (back->application->length > 0 ? back->application->length : 1);
}

const char *mod_lti_paths_put_back_cookie(const mod_lti_paths_return_t *back, const char *line, apr_pool_t *p)
{
    const char *result = "", *at = line + strcspn(line, ";"), *kept = line;
    int has_path = 0;

    if (is_for_all_courses(back, line))
        return line;
    while (*at == ';') {
        const char *value, *changed;
        apr_size_t length;

        at++;
        at += strspn(at, " \t");
        length = strcspn(at, ";");
        if (strncasecmp(at, "path", 4) == 0 && at[4 + strspn(at + 4, " \t")] == '=') {
            value = at + 4 + strspn(at + 4, " \t") + 1;
            value += strspn(value, " \t");
            length = strcspn(value, ";");
            while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
                length--;
            changed = put_back_cookie_path(back, apr_pstrmemdup(p, value, length), p);
            has_path = *value == '/';
            if (changed != NULL) {
                result = apr_pstrcat(p, result, apr_pstrmemdup(p, kept, (apr_size_t)(value - kept)), changed, NULL);
                kept = value + length;
            }
            at = value + strcspn(value, ";");
        } else {
            at += length;
        }
    }
    if (!has_path && *line != '\0' && ends_with_segment(back))
        return apr_pstrcat(p, result, kept,
                           "; Path=", mod_lti_paths_join(back->application, back->key, back->application->prefix, p), NULL);
    return kept == line ? line : apr_pstrcat(p, result, kept, NULL);
}
