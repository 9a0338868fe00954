/* SPDX-License-Identifier: Apache-2.0 */
/* What the six platform families have in common across their sites: end points, audience, page size, who shares an issuer. */
#include "lti_platform.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_http.h"

#define SITE_MAX 1024

/* What a preset is made from, and for whom its faults are reported. */
typedef struct site_t {
    const char *url;  /* as configured, without trailing slashes */
    const char *root; /* scheme, host and port of it as configured */
    const char *host; /* lower case */
    const char *key;  /* Sakai's tool key or NULL */
} site_t;

static void fill(const char **member, const char *value)
{
    if (*member == NULL)
        *member = value;
}

static void fill_end_points(lti_platform_t *platform, const char *root, const char *authorization, const char *token,
                            const char *key_set, apr_pool_t *p)
{
    fill(&platform->authorization_endpoint, apr_pstrcat(p, root, authorization, NULL));
    fill(&platform->token_endpoint, apr_pstrcat(p, root, token, NULL));
    fill(&platform->key_set, apr_pstrcat(p, root, key_set, NULL));
}

static void fill_policy(lti_platform_t *platform, lti_deployments_t deployments, int page_limit)
{
    if (platform->deployments == LTI_DEPLOYMENT_UNSET && (platform->deployment_ids == NULL || platform->deployment_ids->nelts == 0))
        platform->deployments = deployments;
    if (platform->page_limit == 0)
        platform->page_limit = page_limit;
}

/* Servers of one machine, to which each roster is work, are asked less than what a vendor hosts for many. */
static void fill_rate(lti_platform_t *platform, lti_family_t family)
{
    int is_small = family == LTI_FAMILY_MOODLE || family == LTI_FAMILY_SAKAI;

    if (platform->request_interval == 0)
        platform->request_interval = apr_time_from_msec(is_small ? 200 : 100);
}

static int ends_with(const char *host, const char *suffix)
{
    apr_size_t length = strlen(host), suffix_length = strlen(suffix);

    return length > suffix_length && strcmp(host + length - suffix_length, suffix) == 0;
}

/* Also of an address in brackets: its colons are none of a port. */
static const char *root_without_port(const char *root, apr_pool_t *p)
{
    const char *colon = strrchr(root, ':'), *bracket = strrchr(root, ']');

    if (colon == NULL || colon < strstr(root, "://") + 3 || (bracket != NULL && colon < bracket))
        return root;
    return apr_pstrmemdup(p, root, (apr_size_t)(colon - root));
}

/* All hosted schools share one issuer per environment and its central end points; servers of one's own keep that issuer unless told
 * otherwise, but answer under their own name. */
static void preset_canvas(lti_platform_t *platform, const site_t *site, apr_pool_t *p)
{
    static const struct {
        const char *suffix, *issuer, *root;
    } hosted[] = {
        {".beta.instructure.com", "https://canvas.beta.instructure.com", "https://sso.beta.canvaslms.com"},
        {".test.instructure.com", "https://canvas.test.instructure.com", "https://sso.test.canvaslms.com"},
        {".instructure.com", "https://canvas.instructure.com", "https://sso.canvaslms.com"},
    };
    const char *root = site->root;
    const char *issuer = "https://canvas.instructure.com";
    lti_deployments_t deployments = LTI_DEPLOYMENT_ANY;

    for (apr_size_t i = 0; i < sizeof hosted / sizeof *hosted; i++) {
        if (ends_with(site->host, hosted[i].suffix)) {
            root = hosted[i].root;
            issuer = hosted[i].issuer;
            deployments = LTI_DEPLOYMENT_ASK;
            break;
        }
    }
    fill(&platform->issuer, issuer);
    /* Canvas compares the audience with its own name, which has no port. */
    if (platform->token_endpoint == NULL)
        fill(&platform->token_audience, apr_pstrcat(p, root_without_port(root, p), "/login/oauth2/token", NULL));
    fill_end_points(platform, root, "/api/lti/authorize_redirect", "/login/oauth2/token", "/api/lti/security/jwks", p);
    fill_policy(platform, deployments, 50);
}

static void preset_moodle(lti_platform_t *platform, const site_t *site, apr_pool_t *p)
{
    fill(&platform->issuer, site->url);
    fill_end_points(platform, site->url, "/mod/lti/auth.php", "/mod/lti/token.php", "/mod/lti/certs.php", p);
    /* No limit: each page costs Moodle the whole list, offsets move, and next links lose what else was asked. */
    fill_policy(platform, LTI_DEPLOYMENT_ANY, 0);
    platform->escaped_names = 1;
}

static apr_status_t preset_blackboard(lti_platform_t *platform, apr_pool_t *p, lti_err_t *err)
{
    if (platform->key_set == NULL && (platform->client_id == NULL || platform->client_id[0] == '\0'))
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL,
                        "LTIPreset blackboard needs an LTIClientID: the key set's address holds it; write the application id");
    fill(&platform->issuer, "https://blackboard.com");
    fill_end_points(platform, "https://developer.blackboard.com/api/v1", "/gateway/oidcauth", "/gateway/oauth2/jwttoken",
                    apr_pstrcat(p, "/management/applications/",
                                platform->client_id == NULL ? "" : lti_http_encode(platform->client_id, p), "/jwks.json", NULL),
                    p);
    fill_policy(platform, LTI_DEPLOYMENT_ASK, 1000);
    return APR_SUCCESS;
}

static void preset_brightspace(lti_platform_t *platform, const site_t *site, apr_pool_t *p)
{
    fill(&platform->issuer, site->root);
    fill(&platform->token_endpoint, "https://auth.brightspace.com/core/connect/token");
    fill(&platform->token_audience, "https://api.brightspace.com/auth/token");
    fill_end_points(platform, site->root, "/d2l/lti/authenticate", "", "/d2l/.well-known/jwks", p);
    fill_policy(platform, LTI_DEPLOYMENT_ANY, 0);
}

static apr_status_t preset_sakai(lti_platform_t *platform, const site_t *site, apr_pool_t *p, lti_err_t *err)
{
    if (platform->token_endpoint == NULL && (site->key == NULL || site->key[0] == '\0'))
        return lti_fail(
            err, LTI_E_CONFIG, APR_EINVAL,
            "LTIPreset sakai needs the tool's KEY, which stands at the end of Sakai's token URL: write LTIPreset sakai %s "
            "KEY, or LTITokenEndpoint",
            site->url);
    fill(&platform->issuer, site->url);
    fill_end_points(platform, site->root, "/imsoidc/lti13/oidc_auth",
                    apr_pstrcat(p, "/imsblis/lti13/token/", site->key == NULL ? "" : lti_http_encode(site->key, p), NULL),
                    "/imsblis/lti13/keyset", p);
    fill_policy(platform, LTI_DEPLOYMENT_ANY, 0);
    return APR_SUCCESS;
}

static void preset_schoology(lti_platform_t *platform, apr_pool_t *p)
{
    fill(&platform->issuer, "https://schoology.schoology.com");
    fill_end_points(platform, "https://lti-service.svc.schoology.com/lti-service", "/authorize-redirect", "/access-token",
                    "/.well-known/jwks", p);
    fill_policy(platform, LTI_DEPLOYMENT_ASK, 100);
}

static apr_status_t read_site(site_t *site, lti_family_t family, const char *url, apr_pool_t *p, lti_err_t *err)
{
    lti_err_t fault = {.code = LTI_OK};
    const char *authority;
    apr_size_t length;

    if (url == NULL || url[0] == '\0')
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "LTIPreset %s needs the site's URL: write LTIPreset %s https://...",
                        lti_family_name(family), lti_family_name(family));
    if (lti_http_check_url(url, SITE_MAX, LTI_E_CONFIG, &fault) != APR_SUCCESS)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "LTIPreset %s: %s", lti_family_name(family), fault.text);
    if (strchr(url, '?') != NULL)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "LTIPreset %s: write the site's URL without a query: %s",
                        lti_family_name(family), url);
    length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    site->url = apr_pstrmemdup(p, url, length);
    authority = strstr(site->url, "://") + 3;
    site->root = apr_pstrmemdup(p, site->url, (apr_size_t)(authority - site->url) + strcspn(authority, "/"));
    site->host = lti_http_host(url, p);
    return APR_SUCCESS;
}

apr_status_t lti_platform_preset(lti_platform_t *platform, lti_family_t family, const char *url, const char *key, apr_pool_t *p,
                                 lti_err_t *err)
{
    site_t site = {.key = key};
    apr_status_t rv = APR_SUCCESS;

    /* The address of these two is the same for every school: nothing is taken from the URL. */
    if (family != LTI_FAMILY_BLACKBOARD && family != LTI_FAMILY_SCHOOLOGY)
        rv = read_site(&site, family, url, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    switch (family) {
    case LTI_FAMILY_CANVAS:
        preset_canvas(platform, &site, p);
        break;
    case LTI_FAMILY_MOODLE:
        preset_moodle(platform, &site, p);
        break;
    case LTI_FAMILY_BLACKBOARD:
        rv = preset_blackboard(platform, p, err);
        break;
    case LTI_FAMILY_BRIGHTSPACE:
        preset_brightspace(platform, &site, p);
        break;
    case LTI_FAMILY_SAKAI:
        rv = preset_sakai(platform, &site, p, err);
        break;
    case LTI_FAMILY_SCHOOLOGY:
        preset_schoology(platform, p);
        break;
    case LTI_FAMILY_OTHER:
        rv = lti_fail(err, LTI_E_CONFIG, APR_EINVAL,
                      "LTIPreset takes canvas, moodle, blackboard, brightspace, sakai or schoology; for others write LTIIssuer, "
                      "LTIAuthorizationEndpoint, LTITokenEndpoint and LTIKeySet");
        break;
    }
    if (rv == APR_SUCCESS) {
        platform->family = family;
        fill_rate(platform, family);
    }
    return rv;
}
