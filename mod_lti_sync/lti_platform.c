/* SPDX-License-Identifier: Apache-2.0 */
/* Registrations: their defaults and checks, the search for the one a login means, and the keys that follow from them. */
#include "lti_platform.h"

#include <string.h>
#include <apr_cstr.h>
#include <apr_strings.h>
#include "lti_crypto.h"
#include "lti_csp.h"
#include "lti_http.h"

#define NAME_MAX_LENGTH 64
#define CLIENT_ID_MAX 255
#define DEPLOYMENT_ID_MAX 255
#define ISSUER_MAX 1024
#define END_POINT_MAX 2048
#define DEFAULT_REQUEST_INTERVAL apr_time_from_msec(50) /* 20 a second */
#define DEFAULT_PAGE_LIMIT 100
#define COURSE_KEY_BYTES 10 /* 80 bits are 16 characters */

static const char *const family_names[] = {
    [LTI_FAMILY_OTHER] = "other",           [LTI_FAMILY_CANVAS] = "canvas",           [LTI_FAMILY_MOODLE] = "moodle",
    [LTI_FAMILY_BLACKBOARD] = "blackboard", [LTI_FAMILY_BRIGHTSPACE] = "brightspace", [LTI_FAMILY_SAKAI] = "sakai",
    [LTI_FAMILY_SCHOOLOGY] = "schoology",
};

#define FAMILIES (sizeof family_names / sizeof *family_names)

lti_family_t lti_family_by_name(const char *name)
{
    for (unsigned i = 0; i < FAMILIES; i++) {
        if (strcmp(name, family_names[i]) == 0)
            return (lti_family_t)i;
    }
    return LTI_FAMILY_OTHER;
}

const char *lti_family_name(lti_family_t family)
{
    return (unsigned)family < FAMILIES ? family_names[family] : family_names[LTI_FAMILY_OTHER];
}

/* --- check ---------------------------------------------------------------------------------------------------------- */

static int is_name(const char *name)
{
    apr_size_t length = name == NULL ? 0 : strlen(name);

    return length >= 1 && length <= NAME_MAX_LENGTH &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

/* 1 if `text` is 1 to `max` printable ASCII characters: what ids consist of. */
static int is_id(const char *text, apr_size_t max)
{
    apr_size_t length = 0;

    for (; text[length] != '\0'; length++) {
        if (text[length] < 0x20 || text[length] > 0x7e || length >= max)
            return 0;
    }
    return length > 0;
}

/* Issuers under which many institutions live: an unknown deployment may be a stranger's, and each has a host of its own, where its pages are. */
static const char *find_shared_hosts(const char *issuer)
{
    static const struct {
        const char *issuer, *hosts;
    } shared[] = {
        {"https://canvas.instructure.com", "https://*.instructure.com"},
        {"https://canvas.beta.instructure.com", "https://*.instructure.com"},
        {"https://canvas.test.instructure.com", "https://*.instructure.com"},
        {"https://blackboard.com", "https://*.blackboard.com"},
        {"https://schoology.schoology.com", "https://*.schoology.com"},
    };

    for (apr_size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        if (strcmp(issuer, shared[i].issuer) == 0)
            return shared[i].hosts;
    }
    return NULL;
}

/* Where the platform's pages with our frames may be (SPEC S-25). */
static const char *name_frame_ancestors(const lti_platform_t *platform, apr_pool_t *p)
{
    const char *hosts = find_shared_hosts(platform->issuer);
    const char *directive = lti_csp_add_source(LTI_CSP_FRAME_ANCESTORS " 'self'", platform->issuer, p);

    directive = lti_csp_add_source(directive, platform->authorization_endpoint, p);
    return hosts != NULL ? apr_pstrcat(p, directive, " ", hosts, NULL) : directive;
}

static apr_status_t check_url(const char *url, apr_size_t max, const char *directive, const lti_platform_t *platform,
                              lti_err_t *err)
{
    lti_err_t fault = {.code = LTI_OK};

    if (url == NULL || url[0] == '\0')
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL,
                        "platform \"%s\" has no %s; write it, or LTIPreset with the family and the URL", platform->name, directive);
    if (lti_http_check_url(url, max, LTI_E_CONFIG, &fault) != APR_SUCCESS)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "platform \"%s\", %s: %s", platform->name, directive, fault.text);
    return APR_SUCCESS;
}

static apr_status_t check_deployments(lti_platform_t *platform, lti_err_t *err)
{
    const apr_array_header_t *ids = platform->deployment_ids;

    if (platform->deployments == LTI_DEPLOYMENT_UNSET) {
        if (ids != NULL && ids->nelts > 0)
            platform->deployments = LTI_DEPLOYMENT_LIST;
        else
            platform->deployments = find_shared_hosts(platform->issuer) != NULL ? LTI_DEPLOYMENT_ASK : LTI_DEPLOYMENT_ANY;
    }
    if (platform->deployments == LTI_DEPLOYMENT_LIST && (ids == NULL || ids->nelts == 0))
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "platform \"%s\": LTIDeployment names no id; write ids, any or ask",
                        platform->name);
    for (int i = 0; ids != NULL && i < ids->nelts; i++) {
        if (!is_id(APR_ARRAY_IDX(ids, i, const char *), DEPLOYMENT_ID_MAX))
            return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "platform \"%s\": LTIDeployment \"%s\" is no deployment id",
                            platform->name, APR_ARRAY_IDX(ids, i, const char *));
    }
    return APR_SUCCESS;
}

/* The end points, after the names are known to be good. */
static apr_status_t check_urls(lti_platform_t *platform, lti_err_t *err)
{
    apr_status_t rv;

    if ((rv = check_url(platform->issuer, ISSUER_MAX, "LTIIssuer", platform, err)) != APR_SUCCESS)
        return rv;
    if (strchr(platform->issuer, '?') != NULL)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "platform \"%s\": an LTIIssuer has no query: %s", platform->name,
                        platform->issuer);
    if ((rv = check_url(platform->authorization_endpoint, END_POINT_MAX, "LTIAuthorizationEndpoint", platform, err)) != APR_SUCCESS)
        return rv;
    if ((rv = check_url(platform->token_endpoint, END_POINT_MAX, "LTITokenEndpoint", platform, err)) != APR_SUCCESS)
        return rv;
    return check_url(platform->key_set, END_POINT_MAX, "LTIKeySet", platform, err);
}

apr_status_t lti_platform_rate(apr_interval_time_t *request_interval, const char *text, lti_err_t *err)
{
    apr_int64_t count;
    char *end = NULL;

    if (apr_cstr_casecmp(text, "off") == 0) {
        *request_interval = -1;
        return APR_SUCCESS;
    }
    count = text[0] >= '0' && text[0] <= '9' ? apr_strtoi64(text, &end, 10) : 0;
    if (count < 1 || count > 10000 || (strcmp(end, "/s") != 0 && strcmp(end, "/m") != 0))
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL,
                        "'%s' is no rate: write the requests in a second or a minute, such as 10/s or 30/m, or off", text);
    *request_interval = apr_time_from_sec(end[1] == 's' ? 1 : 60) / count;
    return APR_SUCCESS;
}

apr_status_t lti_platform_check(lti_platform_t *platform, apr_pool_t *p, lti_err_t *err)
{
    apr_status_t rv;

    if (!is_name(platform->name))
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL,
                        "\"%s\" is no name for a platform: write 1 to 64 letters, digits, dots, underscores or hyphens",
                        platform->name == NULL ? "" : platform->name);
    if (platform->client_id == NULL)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL,
                        "platform \"%s\" has no LTIClientID; write the one that the platform shows for this tool", platform->name);
    if (!is_id(platform->client_id, CLIENT_ID_MAX))
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "platform \"%s\": LTIClientID must be 1 to 255 printable ASCII characters",
                        platform->name);
    if ((rv = check_urls(platform, err)) != APR_SUCCESS || (rv = check_deployments(platform, err)) != APR_SUCCESS)
        return rv;
    if (platform->remote_user != NULL && (rv = lti_remote_user_check(platform->remote_user, NULL, err)) != APR_SUCCESS)
        return rv;
    if (platform->token_audience == NULL)
        platform->token_audience = platform->token_endpoint;
    if (platform->algorithms == 0)
        platform->algorithms = LTI_ALG_DEFAULT;
    platform->frame_ancestors = name_frame_ancestors(platform, p);
    if (platform->request_interval == 0)
        platform->request_interval = DEFAULT_REQUEST_INTERVAL;
    if (platform->family == LTI_FAMILY_OTHER && platform->page_limit == 0)
        platform->page_limit = DEFAULT_PAGE_LIMIT;
    return APR_SUCCESS;
}

/* --- search ---------------------------------------------------------------------------------------------------------- */

static int lists(const lti_platform_t *platform, const char *deployment)
{
    const apr_array_header_t *ids = platform->deployment_ids;

    for (int i = 0; ids != NULL && i < ids->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(ids, i, const char *), deployment) == 0)
            return 1;
    }
    return 0;
}

/* Counts those of `issuer` (and `deployment` unless NULL); `*last` is one of them. */
static int count(const lti_platform_t **last, const apr_array_header_t *platforms, const char *issuer, const char *deployment)
{
    int found = 0;

    for (int i = 0; i < platforms->nelts; i++) {
        const lti_platform_t *candidate = APR_ARRAY_IDX(platforms, i, const lti_platform_t *);
        if (strcmp(candidate->issuer, issuer) == 0 && (deployment == NULL || lists(candidate, deployment))) {
            *last = candidate;
            found++;
        }
    }
    return found;
}

apr_status_t lti_platform_find(const lti_platform_t **platform, const apr_array_header_t *platforms, const char *issuer,
                               const char *client_id, const char *deployment, lti_err_t *err)
{
    int found = count(platform, platforms, issuer, NULL);

    if (found == 0)
        return lti_fail(err, LTI_E_ISSUER_UNKNOWN, APR_NOTFOUND, "no platform has the issuer \"%.160s\" (SPEC L-03)", issuer);
    if (client_id != NULL && client_id[0] != '\0') {
        for (int i = 0; i < platforms->nelts; i++) {
            const lti_platform_t *candidate = APR_ARRAY_IDX(platforms, i, const lti_platform_t *);
            if (strcmp(candidate->issuer, issuer) == 0 && strcmp(candidate->client_id, client_id) == 0) {
                *platform = candidate;
                return APR_SUCCESS;
            }
        }
        return lti_fail(err, LTI_E_CLIENT_UNKNOWN, APR_NOTFOUND,
                        "no platform of the issuer \"%.80s\" has the client id \"%.80s\" (SPEC L-08)", issuer, client_id);
    }
    if (found > 1 && deployment != NULL && deployment[0] != '\0')
        found = count(platform, platforms, issuer, deployment);
    if (found != 1)
        return lti_fail(err, LTI_E_PLATFORM_AMBIGUOUS, APR_EINVAL,
                        "several platforms have the issuer \"%.120s\", and the login has no client_id (SPEC L-09)", issuer);
    return APR_SUCCESS;
}

const lti_platform_t *lti_platform_by_name(const apr_array_header_t *platforms, const char *name)
{
    for (int i = 0; i < platforms->nelts; i++) {
        const lti_platform_t *candidate = APR_ARRAY_IDX(platforms, i, const lti_platform_t *);
        if (strcmp(candidate->name, name) == 0)
            return candidate;
    }
    return NULL;
}

int lti_platform_accepts(const lti_platform_t *platform, const char *deployment)
{
    return platform->deployments == LTI_DEPLOYMENT_ANY || lists(platform, deployment);
}

/* --- what follows from a registration -------------------------------------------------------------------------------- */

void lti_platform_course_key(char key[LTI_COURSE_KEY_LENGTH + 1], const char *issuer, const char *client_id, const char *deployment,
                             const char *context_id)
{
    const lti_bytes_t pieces[] = {{issuer, strlen(issuer)},
                                  {client_id, strlen(client_id)},
                                  {deployment, strlen(deployment)},
                                  {context_id, strlen(context_id)}};
    unsigned char digest[LTI_SHA256_SIZE];

    if (lti_sha256_pieces(digest, pieces, 4) == APR_SUCCESS)
        lti_base32_encode(key, digest, COURSE_KEY_BYTES);
    else
        key[0] = '\0'; /* a key of no course rather than of a wrong one */
}

int lti_platform_owns_host(const lti_platform_t *platform, const char *url, apr_pool_t *p)
{
    const char *const own[] = {platform->authorization_endpoint, platform->token_endpoint, platform->key_set};
    const char *host = lti_http_host(url, p);

    for (apr_size_t i = 0; host != NULL && i < sizeof own / sizeof *own; i++) {
        const char *own_host = own[i] == NULL ? NULL : lti_http_host(own[i], p);
        if (own_host != NULL && strcmp(own_host, host) == 0)
            return 1;
    }
    return 0;
}
