/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_config: the directives (one table in mod_lti_config.c, documented in docs/directives.md), their defaults, their merge, the check of the whole
 * that `apachectl -t` runs, and the pointers to what is made at start-up (the runtime).
 *
 * Configuration is read in the parent and constant afterwards. Fields start as LTI_UNSET or NULL; mod_lti_config_check() fills defaults into every server's
 * configuration after the merge, so readers never meet an unset server field. Directory fields keep LTI_UNSET; readers use the getters.
 */
#ifndef MOD_LTI_CONFIG_H
#define MOD_LTI_CONFIG_H

#include <httpd.h>
#include <http_config.h>
#include <apr_tables.h>
#include <apr_time.h>
#include "lti_err.h"
#include "lti_platform.h"

#define LTI_UNSET (-1)

/** The module; defined in mod_lti_sync.c. */
extern module AP_MODULE_DECLARE_DATA lti_sync_module;

/** A value and where it was written, for messages. */
typedef struct lti_place_t {
    const char *text;
    const char *file;
    int line;
} lti_place_t;

/** Made in post_config, inherited by all children; one per generation of httpd. */
typedef struct lti_runtime_t {
    struct lti_snapshot_t *snapshot;
    struct lti_keycache_t *keycache;
    struct lti_surplus_t *surplus;
    const struct lti_toolkeys_t *toolkeys;
    const struct lti_sealer_t *session_sealer;
    const struct lti_sealer_t *state_sealer;
    volatile apr_uint32_t *kick; /* in shared memory: raised by a launch or "update now", taken by the watch thread */
    server_rec *server;          /* the main server */
    const char *node;            /* names this generation of this machine in leases and logs */
} lti_runtime_t;

typedef struct lti_server_config_t {
    apr_array_header_t *platforms; /* of lti_platform_t *; NULL: none here */
    lti_platform_t *open_platform; /* while its block is read */
    const char *path;              /* LTIPath, no trailing slash */
    apr_array_header_t *applications; /* of const char *: prefixes */
    const char *base_url;          /* no trailing slash */
    const char *cookie_name;
    apr_interval_time_t session_lifetime;
    apr_interval_time_t session_idle;
    apr_interval_time_t clock_skew;
    apr_int64_t max_launch_size;
    int anonymous;
    int strict_roles;
    apr_int64_t message_types; /* set of LTI_MESSAGE_* */
    int sync_on_launch;
    apr_array_header_t *service_hosts; /* of const char *, NULL: none added */
    apr_array_header_t *remote_users; /* of lti_place_t: templates of directories, for the check */
    server_rec *db_server; /* whose DBDriver serves us; found by the check */
    /* of the main server only */
    const char *state_dir;
    apr_array_header_t *key_files; /* of lti_place_t; NULL: one is generated */
    const lti_place_t *secret_file; /* NULL: generated */
    int sync;
    apr_interval_time_t sync_interval;
    apr_interval_time_t sync_timeout;
    apr_int64_t sync_stale_after; /* in intervals, or */
    apr_interval_time_t sync_stale_time; /* as a time */
    apr_int64_t sync_concurrency;
    apr_int64_t sync_drop_guard;
    apr_interval_time_t dormant_after;
    apr_interval_time_t retain;
    apr_int64_t shared_memory;
    const char *proxy;
    const char *ca_file;
    lti_runtime_t *runtime;
} lti_server_config_t;

/** How an application is told who came (LTIPassIdentity), a set. */
#define LTI_PASS_ENV 0x1
#define LTI_PASS_HEADERS 0x2
#define LTI_PASS_ENCODED 0x4

typedef struct lti_dir_config_t {
    const char *remote_user; /* template */
    int pass_identity;       /* set of LTI_PASS_* */
    int live_roster;
    int roster_access_all;
} lti_dir_config_t;

void *mod_lti_config_create_server(apr_pool_t *p, server_rec *s);
void *mod_lti_config_merge_server(apr_pool_t *p, void *base, void *add);
void *mod_lti_config_create_dir(apr_pool_t *p, char *dir);
void *mod_lti_config_merge_dir(apr_pool_t *p, void *base, void *add);

/** The one table of directives. */
extern const command_rec mod_lti_config_directives[];

lti_server_config_t *mod_lti_config_of(server_rec *s);
const lti_dir_config_t *mod_lti_config_of_dir(request_rec *r);

/** 1 if this virtual host has a platform (its own or the main server's): only there does the module do anything. */
int mod_lti_config_is_active(const lti_server_config_t *conf);

int mod_lti_config_pass(const lti_dir_config_t *dir);
int mod_lti_config_live_roster(const lti_dir_config_t *dir);

/** The REMOTE_USER template: the platform's own, else the directory's, else {sub}@{platform}. */
const char *mod_lti_config_remote_user(const lti_dir_config_t *dir, const lti_platform_t *platform);

/**
 * check_config: completes defaults and refuses what cannot work, with file and line and what to write instead (Invariant 9). OK, or
 * HTTP_INTERNAL_SERVER_ERROR after the messages. `*platforms` receives all platforms of all servers, numbered, allocated in `pconf`.
 */
int mod_lti_config_check(apr_array_header_t **platforms, apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s);

/** "90s", "15m", "8h", "30d", "500ms": NULL and `*value`, or what is wrong with it. */
const char *mod_lti_config_duration(apr_interval_time_t *value, const char *text, apr_pool_t *p);

#endif
