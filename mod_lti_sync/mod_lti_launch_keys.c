/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that platforms sign with, fetched when a launch needs them, and our own, which they fetch. */
#include "mod_lti_launch.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "lti_http.h"
#include "lti_keys.h"
#include "lti_meter.h"
#include "mod_lti_launch_parts.h"
#include "mod_lti_page.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define FETCH_SECONDS 5                   /* SPEC Y-04 */
#define SETTLED apr_time_from_sec(5 * 60) /* SPEC Y-08 */
#define WAIT_STEP apr_time_from_msec(50)

/* max-age of the Cache-Control headers, 0 if there is none. */
static long max_age_of(const lti_http_response_t *response, apr_pool_t *p)
{
    const char *header = response->headers != NULL ? apr_table_getm(p, response->headers, "Cache-Control") : NULL;
    apr_int64_t age;

    while (header != NULL && *header != '\0') {
        header += strspn(header, " \t,");
        if (strncasecmp(header, "max-age=", 8) == 0) {
            age = apr_atoi64(header + 8 + (header[8] == '"'));
            return age < 0 || age > 86400 ? 86400 : (long)age;
        }
        header += strcspn(header, ",");
    }
    return 0;
}

/* Fetches and stores the key set; the caller has claimed it. */
static apr_status_t fetch(request_rec *r, const lti_platform_t *platform, lti_err_t *err)
{
    const lti_runtime_t *runtime = mod_lti_config_of(r->server)->runtime;
    const lti_server_config_t *main_conf = mod_lti_config_of(runtime->server);
    const lti_http_options_t options = {
        .user_agent = "mod_lti_sync/" LTI_VERSION, .ca_file = main_conf->ca_file, .proxy = main_conf->proxy};
    /* Any address: the host stands in the configuration (Invariant 7). */
    const lti_http_request_t request = {.url = platform->key_set,
                                        .accept = "application/json",
                                        .max_body = LTI_KEYSET_MAX,
                                        .stall_seconds = FETCH_SECONDS,
                                        .total_seconds = FETCH_SECONDS,
                                        .any_address = 1};
    lti_http_response_t response;
    const char *faults;
    lti_err_t cause;
    apr_size_t size = 0;
    char *body = NULL;
    apr_status_t rv;

    memset(&response, 0, sizeof(response));
    rv = lti_http_fetch(&response, &body, &size, &request, &options, r->pool, &cause);
    if (rv != APR_SUCCESS)
        lti_fail(err, LTI_E_KEYSET_UNAVAILABLE, rv, "%s: %s", platform->key_set, cause.text);
    else if (response.status != 200)
        rv = lti_fail(err, LTI_E_KEYSET_UNAVAILABLE, APR_EGENERAL, "%s answered with status %ld", platform->key_set,
                      response.status);
    if (rv != APR_SUCCESS) {
        lti_keycache_release(runtime->keycache, platform->index, mod_lti_store_now());
        return rv;
    }
    faults = lti_keyset_faults(body, size, r->pool);
    if (faults != NULL)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "LTI0232: platform %s publishes keys that are not used: %s", platform->name,
                      faults);
    return lti_keycache_store(runtime->keycache, platform->index, body, size, max_age_of(&response, r->pool), mod_lti_store_now(),
                              err);
}

static apr_status_t fetch_keys(request_rec *r, const lti_platform_t *platform, lti_err_t *err)
{
    apr_status_t rv = fetch(r, platform, err);

    lti_meter_fetch(mod_lti_config_of(r->server)->runtime->meter, platform->index, LTI_METER_KEYS, rv != APR_SUCCESS);
    return rv;
}

apr_status_t mod_lti_launch_key(const lti_key_t **key, int *stale, request_rec *r, const lti_platform_t *platform, const char *kid,
                                lti_err_t *err)
{
    lti_keycache_t *cache = mod_lti_config_of(r->server)->runtime->keycache;
    apr_time_t deadline = apr_time_now() + apr_time_from_sec(FETCH_SECONDS);
    apr_status_t rv = lti_keycache_find(key, stale, cache, platform->index, kid, mod_lti_store_now(), r->pool, err);

    while (rv == APR_NOTFOUND) {
        if (lti_keycache_claim(cache, platform->index, mod_lti_store_now())) {
            rv = fetch_keys(r, platform, err);
            if (rv != APR_SUCCESS)
                return rv;
            ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "LTI0205: fetched the key set of platform %s (request %s)", platform->name,
                          mod_lti_page_request_id(r));
            return lti_keycache_find(key, stale, cache, platform->index, kid, mod_lti_store_now(), r->pool, err);
        }
        if (!lti_keycache_fetching(cache, platform->index, mod_lti_store_now()) || apr_time_now() >= deadline)
            /* Whoever fetched may have ended since we looked. */
            return lti_keycache_find(key, stale, cache, platform->index, kid, mod_lti_store_now(), r->pool, err);
        apr_sleep(WAIT_STEP);
        rv = lti_keycache_find(key, stale, cache, platform->index, kid, mod_lti_store_now(), r->pool, err);
    }
    return rv;
}

int mod_lti_launch_renew_key(const lti_key_t **key, int *stale, request_rec *r, const lti_platform_t *platform, const char *kid)
{
    lti_keycache_t *cache = mod_lti_config_of(r->server)->runtime->keycache;
    apr_time_t now = mod_lti_store_now();

    if (!lti_keycache_is_older(cache, platform->index, SETTLED, now) || !lti_keycache_claim(cache, platform->index, now))
        return 0;
    mod_lti_launch_refresh_keys(r, platform);
    return lti_keycache_find(key, stale, cache, platform->index, kid, mod_lti_store_now(), r->pool, NULL) == APR_SUCCESS;
}

int mod_lti_launch_claim_keys(request_rec *r, const lti_platform_t *platform)
{
    return lti_keycache_claim(mod_lti_config_of(r->server)->runtime->keycache, platform->index, mod_lti_store_now());
}

void mod_lti_launch_refresh_keys(request_rec *r, const lti_platform_t *platform)
{
    lti_err_t err;

    if (fetch_keys(r, platform, &err) == APR_SUCCESS)
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "LTI0206: fetched the key set of platform %s anew", platform->name);
    else
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, err.status, r,
                      "LTI0207: the key set of platform %s could not be fetched anew; the old one stays in use: %s. %s",
                      platform->name, err.text, lti_err_info(err.code)->admin);
}

/* --- jwks ----------------------------------------------------------------------------------------------------------------- */

static apr_status_t note_keys(void *baton, const char *node, const char *jwks, const char *fingerprint, apr_time_t seen_at,
                              lti_err_t *err)
{
    (void)node;
    (void)fingerprint;
    (void)seen_at;
    (void)err;
    APR_ARRAY_PUSH((apr_array_header_t *)baton, const char *) = jwks;
    return APR_SUCCESS;
}

/* This node has just started and knows the other nodes' keys from the database only; NULL if that is silent. A platform that got a part of the keys would refuse the others for as
 * long as it keeps them. */
static const char *read_keys(request_rec *r, const lti_runtime_t *runtime)
{
    apr_array_header_t *others = apr_array_make(r->pool, 4, sizeof(const char *));
    mod_lti_store_t store;
    apr_status_t rv;

    if (mod_lti_store_lookup_open(&store, mod_lti_config_of(r->server)->db_server, r->pool, NULL) != APR_SUCCESS)
        return NULL;
    rv = lti_db_nodes_each(store.db, mod_lti_store_now() - LTI_NODE_KEYS_FOR, note_keys, others, r->pool, NULL);
    mod_lti_store_lookup_done(&store, rv != APR_SUCCESS);
    return rv == APR_SUCCESS ? lti_toolkeys_merge(runtime->toolkeys, others, r->pool) : NULL;
}

int mod_lti_launch_jwks(request_rec *r)
{
    const lti_runtime_t *runtime = mod_lti_config_of(r->server)->runtime;
    int shared = lti_toolkeys_is_shared(runtime->keycache, r->pool);
    const char *jwks = r->method_number == M_GET && !shared ? read_keys(r, runtime) : NULL;
    int known = shared || jwks != NULL;
    apr_size_t size;
    lti_err_t err;

    if (jwks == NULL)
        jwks = lti_toolkeys_union(runtime->keycache, runtime->toolkeys, r->pool);
    size = strlen(jwks);

    if (r->method_number != M_GET) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        lti_fail(&err, LTI_E_METHOD, APR_EINVAL, "the key set is read with GET, not with %.20s", r->method);
        return mod_lti_page_refuse(r, "LTI0203", &err);
    }
    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)size);
    apr_table_setn(r->headers_out, "Cache-Control", known ? "max-age=3600" : "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    ap_rwrite(jwks, (int)size, r);
    return OK;
}
