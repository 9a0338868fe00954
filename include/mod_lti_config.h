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
#include <apr_hash.h>
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
    struct lti_admission_t *admission;
    struct lti_mailbox_t *mailbox;
    struct lti_bell_t *bell; /* rings with the number of the newest event */
    struct lti_meter_t *meter;
    struct lti_visit_ring_t *visits; /* who launched, for the watch thread */
    const struct lti_toolkeys_t *toolkeys;
    const struct lti_sealer_t *session_sealer;
    const struct lti_sealer_t *state_sealer;
    const struct lti_sealer_t *token_sealer; /* of access tokens in the database */
    struct mod_lti_turn_t *turn; /* whose turn it is to write to SQLite; NULL with other databases: nobody waits */
    volatile apr_uint32_t *kick; /* in shared memory: raised by a launch or "update now", taken by the watch thread */
    server_rec *server;          /* the main server */
    const char *node;            /* names this generation of this machine in leases and logs */
    const char *node_name;       /* names this httpd over restarts: its row in the table of nodes */
    const char *fingerprint;     /* of the secrets, the sealing one first; reveals nothing of them */
} lti_runtime_t;

/** A line LTICourse, as it is written. */
typedef struct lti_named_line_t {
    lti_place_t place;
    const char *platform, *context_id, *url;
    const char *deployment; /* NULL: the platform's only one */
} lti_named_line_t;

/** A line LTICoursePaths: where it holds, and what it says. */
typedef struct lti_course_line_t {
    lti_place_t place; /* the path of its <Location>, without a slash at the end */
    int on;
    int used;
} lti_course_line_t;

/** An application, and whether its addresses name the course (LTICoursePaths). */
typedef struct lti_course_path_t {
    const char *prefix; /* of LTIApplication, without the slash at its end: "" is the whole site */
    apr_size_t length;
    int on;
} lti_course_path_t;

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
    apr_array_header_t *legacy_secrets; /* of lti_legacy_secret_t *, the main server's first; NULL: none */
    int sync_on_launch;
    apr_interval_time_t sync_wait; /* how long a launch waits for the first roster of its course; 0: it does not */
    apr_array_header_t *named_lines; /* of lti_named_line_t: of this host alone; NULL: none */
    apr_array_header_t *service_hosts; /* of const char *, NULL: none added */
    apr_array_header_t *course_lines; /* of lti_course_line_t *, NULL: none */
    apr_array_header_t *course_paths; /* of lti_course_path_t, all applications; NULL unless LTICoursePaths is On for one; made by the check */
    apr_array_header_t *remote_users; /* of lti_place_t: templates of directories, for the check */
    apr_array_header_t *pass_claims; /* of lti_pass_claims_t *: of directories, for the check */
    const lti_place_t *admin_place; /* of an LTIAdmin On inside this virtual host; NULL: none */
    int does_tls;          /* mod_ssl serves this host; known when post_config begins */
    server_rec *db_server; /* whose DBDriver serves us; found by the check */
    int db_is_sqlite;
    const char *db_text; /* the lines that say which database it is, passwords too; the main server's; made by the check */
    /* of the main server only */
    apr_hash_t *named_courses; /* course key -> const lti_course_t *, of all hosts; NULL: none; made by the check */
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
    apr_int64_t event_waiters;
    const char *proxy;
    const char *ca_file;
    lti_runtime_t *runtime;
} lti_server_config_t;

/** How an application is told who came (LTIPassIdentity), a set. */
#define LTI_PASS_ENV 0x1
#define LTI_PASS_HEADERS 0x2
#define LTI_PASS_ENCODED 0x4

/** What of an identity an application is told (LTIPassClaims). `rows` and `customs` are made by mod_lti_environment_check(), which knows the names. */
typedef struct lti_pass_claims_t {
    apr_array_header_t *words;   /* of lti_place_t: all, none, or names without LTI_ */
    apr_uint64_t rows;           /* set of places in the table of variables */
    apr_array_header_t *customs; /* of const char *: names of custom parameters as variables, with * and ?; NULL: none */
} lti_pass_claims_t;

typedef struct lti_dir_config_t {
    const char *remote_user; /* template */
    int pass_identity;       /* set of LTI_PASS_* */
    lti_pass_claims_t *pass_claims; /* NULL: all */
    int live_roster;
    int roster_access_all;
    int admin;               /* LTIAdmin */
    int cross_site;              /* 1: LTICrossSite allow */
    int frame;                   /* LTIFrame */
    const char *frame_sources;   /* the origins that it adds, joined by blanks; NULL: none */
    const char *unauthenticated; /* LTIUnauthenticated: LTI_UNAUTHENTICATED_PASS or where to; NULL: 401 */
} lti_dir_config_t;

#define LTI_UNAUTHENTICATED_PASS "pass"
#define LTI_UNAUTHENTICATED_401 "401"

void *mod_lti_config_create_server(apr_pool_t *p, server_rec *s);
void *mod_lti_config_merge_server(apr_pool_t *p, void *base, void *add);
void *mod_lti_config_create_dir(apr_pool_t *p, char *dir);
void *mod_lti_config_merge_dir(apr_pool_t *p, void *base, void *add);

/** The one table of directives. */
extern const command_rec mod_lti_config_directives[];

lti_server_config_t *mod_lti_config_of(server_rec *s);
const lti_dir_config_t *mod_lti_config_of_dir(request_rec *r);

/**
 * The application that `path` belongs to if its addresses name the course, else NULL. `path` is clean: no percent signs where there need be none, no dot
 * segments. `all`: lti_server_config_t.course_paths.
 */
const lti_course_path_t *mod_lti_config_course_path(const apr_array_header_t *all, const char *path);

/** 1 if `path` is `prefix` or lies below it; `prefix` has `length` bytes and no slash at its end. */
int mod_lti_config_is_below(const char *path, const char *prefix, apr_size_t length);

/** 1 if this virtual host has a platform (its own or the main server's): only there does the module do anything. */
int mod_lti_config_is_active(const lti_server_config_t *conf);

int mod_lti_config_pass(const lti_dir_config_t *dir);
int mod_lti_config_live_roster(const lti_dir_config_t *dir);
int mod_lti_config_admin(const lti_dir_config_t *dir);
int mod_lti_config_cross_site(const lti_dir_config_t *dir);
int mod_lti_config_frame(const lti_dir_config_t *dir);

/** 1 if the host of the service address `url` may be one of a private network (Invariant 7): it is configured for this platform or named by LTIServiceHosts. `conf` is the main server's. */
int mod_lti_config_admits_private(const lti_server_config_t *conf, const lti_platform_t *platform, const char *url, apr_pool_t *ptemp);

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
