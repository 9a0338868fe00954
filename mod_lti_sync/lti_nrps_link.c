/* SPDX-License-Identifier: Apache-2.0 */
/* lti_nrps: the next page, and the list of what changed, from Link headers (RFC 8288 section 3). What cannot be parsed is an error, never the end of the list
 * (SPEC N-10). */
#include "lti_nrps.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>

#define NEXT_MAX (8 * 1024)

typedef struct links_t {
    const char *relation; /* that is looked for, in lower case */
    const char *next;     /* its target as written; NULL until found */
    const char *fault;
    apr_pool_t *pool;
} links_t;

static const char *skip_blanks(const char *c)
{
    return c + strspn(c, " \t");
}

/* 1 if the blank-separated list of relation types has `relation`, in any case of letters. */
static int names_relation(const char *rel, const char *relation)
{
    while (*(rel += strspn(rel, " \t")) != '\0') {
        size_t length = strcspn(rel, " \t");

        if (length == strlen(relation) && strncasecmp(rel, relation, length) == 0)
            return 1;
        rel += length;
    }
    return 0;
}

/* A parameter's value, quoted or bare, into `*value`; returns the place behind it, NULL if the quotation does not end. */
static const char *read_value(const char **value, const char *c, apr_pool_t *p)
{
    char *out;
    size_t length;

    if (*c != '"') {
        length = strcspn(c, " \t;,");
        *value = apr_pstrmemdup(p, c, length);
        return c + length;
    }
    out = apr_palloc(p, strlen(c));
    *value = out;
    for (c++; *c != '"'; c++) {
        if (*c == '\\')
            c++;
        if (*c == '\0')
            return NULL;
        *out++ = *c;
    }
    *out = '\0';
    return c + 1;
}

/* The parameters of one link. Only the first `rel` counts (RFC 8288 section 3.3). Returns the place behind them, NULL if there is
 * a fault. */
static const char *read_parameters(links_t *links, const char *target, const char *c)
{
    const char *rel = NULL, *value;

    for (c = skip_blanks(c); *c == ';'; c = skip_blanks(c)) {
        const char *name = skip_blanks(c + 1);
        size_t length = strcspn(name, " \t=;,");

        value = "";
        c = skip_blanks(name + length);
        if (*c == '=') {
            c = read_value(&value, skip_blanks(c + 1), links->pool);
            if (c == NULL) {
                links->fault = "a quotation without an end";
                return NULL;
            }
        }
        if (rel == NULL && length == 3 && strncasecmp(name, "rel", 3) == 0)
            rel = value;
    }
    if (rel != NULL && names_relation(rel, links->relation)) {
        if (links->next != NULL && strcmp(links->next, target) != 0) {
            links->fault = "two different next pages";
            return NULL;
        }
        links->next = target;
    }
    return c;
}

/* One Link header, with any number of links. */
static int read_header(void *baton, const char *name, const char *value)
{
    links_t *links = baton;
    const char *c = value, *end;

    (void)name;
    for (;;) {
        c += strspn(c, " \t,");
        if (*c == '\0')
            return 1;
        end = *c == '<' ? strchr(c, '>') : NULL;
        if (end == NULL) {
            links->fault = *c == '<' ? "an address without an end" : "something else than <address>";
            return 0;
        }
        c = read_parameters(links, apr_pstrmemdup(links->pool, c + 1, (apr_size_t)(end - c - 1)), end + 1);
        if (c == NULL)
            return 0;
        if (*c != ',' && *c != '\0') {
            links->fault = "something behind a link that is no parameter";
            return 0;
        }
    }
}

apr_status_t lti_nrps_next(const char **next, const lti_http_response_t *response, const char *request_url, const char *service_url,
                           apr_pool_t *p, lti_err_t *err)
{
    links_t links = {.relation = "next", .pool = p};
    const char *url, *origin, *wanted;

    *next = NULL;
    apr_table_do(read_header, &links, response->headers, "Link", NULL);
    if (links.fault != NULL)
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "the Link header has %s", links.fault);
    if (links.next == NULL)
        return APR_SUCCESS;
    url = lti_http_resolve(request_url, links.next, p);
    origin = url != NULL ? lti_http_origin(url, p) : NULL;
    wanted = lti_http_origin(service_url, p);
    if (origin == NULL || wanted == NULL)
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "the next page's address is no http or https URL: %s", links.next);
    /* The access token goes with the request: to nobody else (Invariant 7). */
    if (strcmp(origin, wanted) != 0)
        return lti_fail(err, LTI_E_ROSTER_ORIGIN, APR_EACCES, "the next page is at %s, the service at %s", origin, wanted);
    if (lti_http_check_url(url, NEXT_MAX, LTI_E_ROSTER_MALFORMED, err) != APR_SUCCESS)
        return APR_EINVAL;
    *next = url;
    return APR_SUCCESS;
}

const char *lti_nrps_differences(const lti_http_response_t *response, const char *request_url, const char *service_url,
                                 apr_pool_t *p)
{
    links_t links = {.relation = "differences", .pool = p};
    const char *url, *origin, *wanted;

    apr_table_do(read_header, &links, response->headers, "Link", NULL);
    if (links.fault != NULL || links.next == NULL)
        return NULL;
    url = lti_http_resolve(request_url, links.next, p);
    origin = url != NULL ? lti_http_origin(url, p) : NULL;
    wanted = lti_http_origin(service_url, p);
    /* It is an offer: what is not to be used is as if it were not made. */
    if (origin == NULL || wanted == NULL || strcmp(origin, wanted) != 0 ||
        lti_http_check_url(url, NEXT_MAX, LTI_E_ROSTER_MALFORMED, NULL) != APR_SUCCESS)
        return NULL;
    return url;
}
