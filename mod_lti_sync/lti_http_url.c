/* SPDX-License-Identifier: Apache-2.0 */
/* lti_http's URL functions, on curl's own parser: what is judged here is what curl will connect to. */
#include "lti_http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include <curl/curl.h>

#define HOST_MAX 253
#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

/** An absolute http(s) URL taken apart. */
typedef struct parts_t {
    int https;
    char host[HOST_MAX + 1]; /* lower case, without brackets */
    int is_ipv6;
    char port[8];
} parts_t;

/* curl encodes, decodes and guesses what RFC 3986 forbids (blanks, "https:///host", "%61" in a host). Such URLs are read
 * differently by different programs, so they are refused before curl sees them. */
static const char *find_oddity(const char *url)
{
    const unsigned char *c;
    const char *authority, *at;

    for (c = (const unsigned char *)url; *c != '\0'; c++) {
        if (*c <= 0x20 || *c == 0x7F)
            return "white space or control characters";
        if (*c == '\\')
            return "a backslash";
    }
    if (strncasecmp(url, "https://", 8) == 0)
        authority = url + 8;
    else if (strncasecmp(url, "http://", 7) == 0)
        authority = url + 7;
    else
        return "no http or https scheme";
    if (strcspn(authority, "/?#") == 0)
        return "no host";
    at = strpbrk(authority, "@/?#");
    if (at != NULL && *at == '@')
        return "user information";
    return NULL;
}

/* Copies the host lower-cased; 0 if it holds anything but the letters of names and addresses. */
static int take_host(parts_t *parts, const char *host)
{
    size_t length = strlen(host), i;
    const char *allowed = "abcdefghijklmnopqrstuvwxyz0123456789-._";

    if (host[0] == '[' && length > 2 && host[length - 1] == ']') {
        host++;
        length -= 2;
        parts->is_ipv6 = 1;
        allowed = "abcdef0123456789:.";
    }
    if (length == 0 || length > HOST_MAX)
        return 0;
    for (i = 0; i < length; i++) {
        parts->host[i] = (char)tolower((unsigned char)host[i]);
        if (strchr(allowed, parts->host[i]) == NULL)
            return 0;
    }
    parts->host[length] = '\0';
    return 1;
}

/*
 * The usual authority needs no curl, which takes longer for it than all else does: labels of lower-case letters, digits and dashes, the last of which begins
 * with a letter (so that it is no number in any notation), and perhaps a port. 0: let curl judge.
 */
static int take_usual(parts_t *parts, const char *authority)
{
    apr_size_t length = 0, label = 0;
    long port = 0;
    const char *c;

    for (; length < HOST_MAX; length++) {
        char letter = authority[length];

        if (letter == '.' && length > label)
            label = length + 1;
        else if (!(letter >= 'a' && letter <= 'z') && !(letter >= '0' && letter <= '9') && letter != '-')
            break;
    }
    if (length == label || authority[label] < 'a' || authority[label] > 'z')
        return 0;
    c = authority + length;
    if (*c == ':') {
        for (c++; *c >= '0' && *c <= '9' && port <= 65535 && (port > 0 || *c != '0'); c++)
            port = port * 10 + (*c - '0');
        if (port < 1 || port > 65535)
            return 0;
    }
    if (*c != '\0' && *c != '/' && *c != '?' && *c != '#')
        return 0;
    memcpy(parts->host, authority, length);
    if (port == 0)
        apr_cpystrn(parts->port, parts->https ? "443" : "80", sizeof(parts->port));
    else
        apr_snprintf(parts->port, sizeof(parts->port), "%ld", port);
    return 1;
}

/* NULL if `url` was taken apart, else what is wrong with it, as the end of the sentence "the URL has ...". */
static const char *take_apart(parts_t *parts, const char *url)
{
    const char *fault = url == NULL ? "no text" : find_oddity(url);
    char *host = NULL, *port = NULL;
    const char *authority;
    CURLU *handle;

    memset(parts, 0, sizeof(*parts));
    if (fault != NULL)
        return fault;
    parts->https = strncasecmp(url, "https:", 6) == 0;
    authority = url + (parts->https ? 8 : 7);
    if (take_usual(parts, authority))
        return NULL;
    if (memchr(authority, '%', strcspn(authority, "/?#")) != NULL)
        return "a percent sign in its host";
    handle = curl_url();
    if (handle == NULL)
        return "no room in memory";
    if (curl_url_set(handle, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK ||
        curl_url_get(handle, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(handle, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        fault = "no valid form";
    else if (!take_host(parts, host))
        fault = "no valid host name (names outside ASCII are written in punycode)";
    else if (strlen(port) >= sizeof(parts->port) || strcmp(port, "0") == 0)
        fault = "no valid port";
    else
        apr_cpystrn(parts->port, port, sizeof(parts->port));
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(handle);
    return fault;
}

const char *lti_http_origin(const char *url, apr_pool_t *p)
{
    parts_t parts;

    if (take_apart(&parts, url) != NULL)
        return NULL;
    return apr_pstrcat(p, parts.https ? "https://" : "http://", parts.is_ipv6 ? "[" : "", parts.host, parts.is_ipv6 ? "]" : "", ":",
                       parts.port, NULL);
}

const char *lti_http_host(const char *url, apr_pool_t *p)
{
    parts_t parts;

    return take_apart(&parts, url) == NULL ? apr_pstrdup(p, parts.host) : NULL;
}

int lti_http_is_loopback(const char *host)
{
    size_t length;
    struct in_addr v4;
    struct in6_addr v6;

    if (host == NULL)
        return 0;
    length = strlen(host);
    if (strcasecmp(host, "localhost") == 0 || (length > 10 && strcasecmp(host + length - 10, ".localhost") == 0))
        return 1;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

apr_status_t lti_http_check_url(const char *url, apr_size_t max, lti_code_t code, lti_err_t *err)
{
    parts_t parts;
    const char *fault;

    if (url != NULL && strlen(url) > max)
        return lti_fail(err, code, APR_EINVAL, "the URL is longer than %lu bytes: %.80s...", (unsigned long)max, url);
    fault = take_apart(&parts, url);
    if (fault == NULL && url != NULL && strchr(url, '#') != NULL)
        fault = "a fragment";
    if (fault != NULL)
        return lti_fail(err, code, APR_EINVAL, "the URL has %s: %s", fault, url == NULL ? "" : url);
    if (!parts.https && !lti_http_is_loopback(parts.host))
        return lti_fail(err, code, APR_EINVAL, "the URL is not https, and %s is not this machine: %s", parts.host, url);
    return APR_SUCCESS;
}

const char *lti_http_encode(const char *value, apr_pool_t *p)
{
    static const char hex[] = "0123456789ABCDEF";
    const unsigned char *in = (const unsigned char *)value;
    char *text = apr_palloc(p, 3 * strlen(value) + 1), *out = text;

    for (; *in != '\0'; in++) {
        if (strchr(UNRESERVED, *in) != NULL) {
            *out++ = (char)*in;
        } else {
            *out++ = '%';
            *out++ = hex[*in >> 4];
            *out++ = hex[*in & 15];
        }
    }
    *out = '\0';
    return text;
}

const char *lti_http_add_query(const char *url, const char *name, const char *value, apr_pool_t *p)
{
    size_t length = strcspn(url, "#");
    const char *head = apr_pstrmemdup(p, url, length), *separator = "?";

    if (strchr(head, '?') != NULL)
        separator = head[length - 1] == '?' || head[length - 1] == '&' ? "" : "&";
    return apr_pstrcat(p, head, separator, name, "=", lti_http_encode(value, p), url + length, NULL);
}

int lti_http_has_parameter(const char *url, const char *name)
{
    const char *query = strchr(url, '?');
    size_t length = strlen(name);

    for (; query != NULL; query = strchr(query, '&')) {
        query++;
        if (strncmp(query, name, length) == 0 && (query[length] == '=' || query[length] == '&' || query[length] == '\0'))
            return 1;
    }
    return 0;
}

const char *lti_http_resolve(const char *base, const char *reference, apr_pool_t *p)
{
    parts_t parts;
    const char *result = NULL;
    const unsigned char *c;
    char *text = NULL;
    CURLU *handle;

    if (reference == NULL || take_apart(&parts, base) != NULL)
        return NULL;
    for (c = (const unsigned char *)reference; *c != '\0'; c++) {
        if (*c <= 0x20 || *c == 0x7F || *c == '\\')
            return NULL;
    }
    /* An absolute URL is opaque: given back letter by letter (SPEC N-11). */
    if (take_apart(&parts, reference) == NULL)
        return apr_pstrdup(p, reference);
    /* curl would drop the last segment and the query of the base for these two (RFC 3986 section 5.2.2 keeps them). */
    if (reference[0] == '\0' || reference[0] == '#')
        return apr_pstrcat(p, apr_pstrmemdup(p, base, strcspn(base, "#")), reference, NULL);
    handle = curl_url();
    if (handle == NULL)
        return NULL;
    if (curl_url_set(handle, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(handle, CURLUPART_URL, reference, CURLU_DISALLOW_USER) == CURLUE_OK &&
        curl_url_get(handle, CURLUPART_URL, &text, 0) == CURLUE_OK && take_apart(&parts, text) == NULL)
        result = apr_pstrdup(p, text);
    curl_free(text);
    curl_url_cleanup(handle);
    return result;
}
