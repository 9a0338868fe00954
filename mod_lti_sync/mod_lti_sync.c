/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module record: hooks, and the order of life.
 *
 *   configuration   1 directives fill server and directory configurations (mod_lti_config)
 *                   2 check_config: defaults, cross-checks, key files; all that `apachectl -t` can find
 *   start, reload   3 post_config, parent, root: keys and secret (mod_lti_state)
 *                   4 one anonymous shared segment; rosters of the generation before are taken over (mod_lti_segment)
 *                   5 base URLs and the runtime for every virtual host
 *                   6 the watchdog's callback (mod_lti_watch)
 *   each child      7 child_init: what threads of this process share
 *                   8 child_stopping, then the pre-cleanup of pchild: the watch thread leaves before the database connections go
 *
 * Nothing transient may fail in 3 to 6: an error there ends a running server at a reload. No database, no network before 7.
 */
#include <httpd.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_main.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_ssl.h>
#include <mpm_common.h>

#include "lti_crypto.h"
#include "lti_http.h"
#include "lti_keys.h"
#include "mod_lti_admin.h"
#include "mod_lti_config.h"
#include "mod_lti_environment.h"
#include "mod_lti_feed.h"
#include "mod_lti_identity.h"
#include "mod_lti_launch.h"
#include "mod_lti_page.h"
#include "mod_lti_paths.h"
#include "mod_lti_response.h"
#include "mod_lti_segment.h"
#include "mod_lti_state.h"
#include "mod_lti_store.h"
#include "mod_lti_watch.h"

static void register_hooks(apr_pool_t *p);

AP_DECLARE_MODULE(lti_sync) = {
    STANDARD20_MODULE_STUFF,     mod_lti_config_create_dir, mod_lti_config_merge_dir, mod_lti_config_create_server,
    mod_lti_config_merge_server, mod_lti_config_directives, register_hooks,           AP_MODULE_FLAG_NONE};

/* All platforms of all servers, numbered: from check_config to post_config of the same pass. */
static apr_array_header_t *all_platforms;

/* --- start ---------------------------------------------------------------------------------------------------------------- */

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int verdict = mod_lti_config_check(&all_platforms, pconf, ptemp, s);

    (void)plog;
    if (mod_lti_environment_check(pconf, s) > 0)
        verdict = HTTP_INTERNAL_SERVER_ERROR;
    if (all_platforms->nelts > 0 && mod_lti_state_check(mod_lti_config_of(s), ptemp, s) > 0)
        verdict = HTTP_INTERNAL_SERVER_ERROR;
    return verdict;
}

/*
 * mod_ssl asks for more certificates of every server that does TLS, before our post_config: nothing else tells them from the others at start. Its answer to
 * ap_http_scheme() needs a connection, and dies without one.
 */
static int note_tls(server_rec *s, apr_pool_t *p, apr_array_header_t *cert_files, apr_array_header_t *key_files)
{
    (void)p;
    (void)cert_files;
    (void)key_files;
    mod_lti_config_of(s)->does_tls = 1;
    return DECLINED;
}

static const char *base_url_of(server_rec *s, apr_pool_t *p)
{
    int is_https = mod_lti_config_of(s)->does_tls || (s->server_scheme != NULL && strcmp(s->server_scheme, "https") == 0);
    apr_port_t usual = is_https ? DEFAULT_HTTPS_PORT : DEFAULT_HTTP_PORT, port = s->port;
    const char *scheme = is_https ? "https" : "http";

    if (port == 0 && s->addrs != NULL)
        port = s->addrs->host_port;
    if (port == 0 || port == usual)
        return apr_pstrcat(p, scheme, "://", s->server_hostname, NULL);
    return apr_psprintf(p, "%s://%s:%u", scheme, s->server_hostname, (unsigned)port);
}

/* Platforms send people to https only, and cookies that work in frames need it too. A host for http beside one for https is usual. */
static void warn_of_http(server_rec *main_server)
{
    const char *refused = NULL;
    server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        const lti_server_config_t *conf = mod_lti_config_of(s);

        if (conf->platforms == NULL)
            continue;
        if (strncmp(conf->base_url, "http://", 7) != 0 || lti_http_is_loopback(s->server_hostname))
            return;
        refused = conf->base_url;
    }
    if (refused != NULL)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, main_server,
                     "LTI0004: launches of %s will be refused, since platforms ask for https: switch SSLEngine on, or, behind a "
                     "load balancer that does "
                     "TLS, write LTIBaseURL https://...",
                     refused);
}

/*
 * The name of this httpd in the table of nodes: the same after each restart, another one for each httpd that shares the database, though all nodes behind a load
 * balancer have the same ServerName and the same files, and several httpds may run on one machine.
 */
static const char *name_of_node(server_rec *main_server, const lti_server_config_t *conf, apr_pool_t *p)
{
    const char *pid_file = ap_pid_fname != NULL ? ap_server_root_relative(p, ap_pid_fname) : NULL;
    const char *parts[] = {ap_server_root, pid_file != NULL ? pid_file : "", conf->state_dir};
    lti_bytes_t pieces[sizeof(parts) / sizeof(parts[0])];
    unsigned char digest[LTI_SHA256_SIZE];
    char machine[APRMAXHOSTLEN + 1] = "", mark[17];
    apr_size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        pieces[i] = (lti_bytes_t){parts[i], strlen(parts[i])};
    memset(digest, 0, sizeof(digest));
    (void)lti_sha256_pieces(digest, pieces, (int)i);
    lti_base32_encode(mark, digest, 10);
    if (apr_gethostname(machine, sizeof(machine), p) != APR_SUCCESS)
        apr_cpystrn(machine, main_server->server_hostname, sizeof(machine));
    return apr_psprintf(p, "%.200s:%s", machine, mark);
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server)
{
    const lti_server_config_t *conf = mod_lti_config_of(main_server);
    lti_runtime_t *runtime;
    server_rec *s;
    lti_err_t err;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    if (all_platforms == NULL || all_platforms->nelts == 0) {
        mod_lti_segment_give_up();
        return OK;
    }
    runtime = apr_pcalloc(pconf, sizeof(*runtime));
    runtime->server = main_server;
    runtime->node = apr_psprintf(pconf, "%s:%" APR_PID_T_FMT, main_server->server_hostname, getpid());
    runtime->node_name = name_of_node(main_server, conf, pconf);
    if (lti_http_init(&err) != APR_SUCCESS || mod_lti_state_load(runtime, conf, pconf, ptemp, &err) != APR_SUCCESS ||
        mod_lti_segment_make(runtime, conf, all_platforms, ptemp, &err) != APR_SUCCESS ||
        mod_lti_watch_setup(runtime, all_platforms, pconf, &err) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, err.status, main_server, "LTI0001: %s", err.text);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (s = main_server; s != NULL; s = s->next) {
        lti_server_config_t *of_host = mod_lti_config_of(s);

        of_host->runtime = runtime;
        if (of_host->base_url == NULL)
            of_host->base_url = base_url_of(s, pconf);
    }
    warn_of_http(main_server);
    return OK;
}

static void child_init(apr_pool_t *pchild, server_rec *s)
{
    lti_runtime_t *runtime = mod_lti_config_of(s)->runtime;
    lti_err_t err;

    if (runtime == NULL)
        return;
    if (lti_keycache_child_init(runtime->keycache, pchild, &err) != APR_SUCCESS)
        ap_log_error(APLOG_MARK, APLOG_CRIT, err.status, s, "LTI0002: launches cannot be checked in this process: %s", err.text);
    mod_lti_watch_child_init(pchild);
}

static void child_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    mod_lti_watch_child_stopping(graceful);
}

/* --- addresses ------------------------------------------------------------------------------------------------------------------- */

/* Before anybody reads headers or the address. */
static int post_read_request(request_rec *r)
{
    mod_lti_environment_scrub(r);
    return mod_lti_paths_take_off(r);
}

/* Before anybody maps the address; sub-requests come here only. */
static int pre_translate_name(request_rec *r)
{
    if (r->main != NULL)
        mod_lti_paths_take_off(r);
    return mod_lti_identity_claim(r);
}

/* --- end points ----------------------------------------------------------------------------------------------------------------- */

static int let_in(request_rec *r)
{
    const char *end_point = mod_lti_identity_end_point(r);

    return end_point != NULL && mod_lti_identity_is_open(end_point) ? OK : mod_lti_identity_check_access(r);
}

static int handler(request_rec *r)
{
    static const struct {
        const char *name;
        int (*answer)(request_rec *r);
    } end_points[] = {
        {"login", mod_lti_launch_login},   {"launch", mod_lti_launch_launch}, {"jwks", mod_lti_launch_jwks},
        {"logout", mod_lti_launch_logout}, {"roster", mod_lti_feed_roster},   {"sync", mod_lti_feed_sync},
        {"events", mod_lti_feed_events},   {"courses", mod_lti_feed_courses},
        {"status", mod_lti_admin_status},  {"metrics", mod_lti_admin_metrics},
    };
    const char *name = mod_lti_identity_end_point(r);
    lti_err_t err;
    apr_size_t i;

    if (name == NULL || r->handler == NULL || strcmp(r->handler, "lti-sync") != 0) {
        mod_lti_environment_before_handler(r);
        return DECLINED;
    }
    for (i = 0; i < sizeof(end_points) / sizeof(end_points[0]); i++) {
        if (strcmp(name, end_points[i].name) == 0)
            return end_points[i].answer(r);
    }
    if (strncmp(name, MOD_LTI_FEED_ROSTER_OF, sizeof(MOD_LTI_FEED_ROSTER_OF) - 1) == 0)
        return mod_lti_feed_roster(r);
    lti_fail(&err, LTI_E_NOT_FOUND, APR_NOTFOUND, "there is no such end point");
    return mod_lti_page_refuse(r, "LTI0003", &err);
}

static void register_hooks(apr_pool_t *p)
{
    static const char *const before_proxy[] = {"mod_proxy.c", NULL};
    static const char *const before_watchdog[] = {"mod_watchdog.c", NULL};
    static const char *const before_authz[] = {"mod_authz_core.c", NULL};

    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_ssl_add_cert_files(note_tls, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, before_watchdog, APR_HOOK_LAST);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(post_read_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_pre_translate_name(pre_translate_name, NULL, before_proxy, APR_HOOK_FIRST);
    ap_hook_translate_name(mod_lti_paths_lead, NULL, before_proxy, APR_HOOK_REALLY_FIRST);
    ap_hook_check_access_ex(let_in, NULL, before_authz, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(mod_lti_identity_check_authn, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(mod_lti_environment_export, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, before_proxy, APR_HOOK_FIRST);
    mod_lti_require_register(p);
    mod_lti_environment_register(p);
    mod_lti_response_register(p);
    mod_lti_paths_register(p);
    mod_lti_admin_register(p);
}
