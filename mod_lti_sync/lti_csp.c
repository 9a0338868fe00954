/* SPDX-License-Identifier: Apache-2.0 */
/* Content-Security-Policy: origins as sources, and `frame-ancestors` replaced. */
#include "lti_csp.h"

#include <string.h>
#include <strings.h>
#include <apr_lib.h>
#include <apr_strings.h>

#define BLANKS " \t\n\f\r"
#define NAME_LENGTH (sizeof(LTI_CSP_FRAME_ANCESTORS) - 1)

#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define DIGITS "0123456789"

apr_size_t lti_csp_origin_length(const char *url)
{
    const char *host, *end;
    apr_size_t digits;

    if (url == NULL)
        return 0;
    if (strncasecmp(url, "https://", 8) == 0)
        host = url + 8;
    else if (strncasecmp(url, "http://", 7) == 0)
        host = url + 7;
    else
        return 0;
    end = host + strspn(host, HOST_LETTERS);
    if (end == host)
        return 0;
    if (*end == ':') {
        digits = strspn(end + 1, DIGITS);
        if (digits == 0)
            return 0;
        end += 1 + digits;
    }
    return *end == '\0' || strchr("/?#", *end) != NULL ? (apr_size_t)(end - url) : 0;
}

const char *lti_csp_source(const char *url, apr_pool_t *p)
{
    static const char *const implied[][2] = {{"https://", ":443"}, {"http://", ":80"}};
    apr_size_t length = lti_csp_origin_length(url), i;
    char *source;

    if (length == 0)
        return NULL;
    source = apr_pstrmemdup(p, url, length);
    for (i = 0; source[i] != '\0'; i++)
        source[i] = (char)apr_tolower(source[i]);
    for (i = 0; i < sizeof(implied) / sizeof(implied[0]); i++) {
        apr_size_t port = strlen(implied[i][1]);

        if (strncmp(source, implied[i][0], strlen(implied[i][0])) == 0 && strcmp(source + length - port, implied[i][1]) == 0)
            source[length - port] = '\0';
    }
    return source;
}

int lti_csp_has_source(const char *sources, const char *source, apr_size_t length)
{
    const char *end;

    for (;; sources = end + 1) {
        end = strchrnul(sources, ' ');
        if ((apr_size_t)(end - sources) == length && memcmp(sources, source, length) == 0)
            return 1;
        if (*end == '\0')
            return 0;
    }
}

const char *lti_csp_add_source(const char *directive, const char *url, apr_pool_t *p)
{
    const char *host = url != NULL ? strstr(url, "://") : NULL, *source;

    /* As it is written it is there most often: that needs neither a judgement nor a copy. */
    if (host == NULL || lti_csp_has_source(directive, url, (apr_size_t)(strchrnul(host + 3, '/') - url)))
        return directive;
    source = lti_csp_source(url, p);
    if (source == NULL || lti_csp_has_source(directive, source, strlen(source)))
        return directive;
    return apr_pstrcat(p, directive, " ", source, NULL);
}

/* 1 if the directive that begins at `text` is the one about frames. */
static int is_of_frames(const char *text)
{
    text += strspn(text, BLANKS);
    return strncasecmp(text, LTI_CSP_FRAME_ANCESTORS, NAME_LENGTH) == 0 &&
           (text[NAME_LENGTH] == '\0' || strchr(";," BLANKS, text[NAME_LENGTH]) != NULL);
}

int lti_csp_speaks_of_frames(const char *policies)
{
    const char *at = policies;

    while (*at != '\0') {
        if (is_of_frames(at))
            return 1;
        at += strcspn(at, ";,");
        at += *at != '\0';
    }
    return 0;
}

const char *lti_csp_replace(const char *policies, const char *directive, apr_pool_t *p)
{
    apr_size_t length = strlen(directive), size = 1;
    const char *at;
    char *text, *end;

    for (at = policies; *at != '\0'; at += *at != '\0') {
        apr_size_t part = strcspn(at, ";,");

        size += 1 + (is_of_frames(at) ? 1 + length : part);
        at += part;
    }
    text = end = apr_palloc(p, size);
    for (at = policies; *at != '\0';) {
        apr_size_t part = strcspn(at, ";,");

        if (is_of_frames(at)) {
            if (*at == ' ')
                *end++ = ' ';
            memcpy(end, directive, length);
            end += length;
        } else {
            memcpy(end, at, part);
            end += part;
        }
        at += part;
        if (*at != '\0')
            *end++ = *at++;
    }
    *end = '\0';
    return text;
}
