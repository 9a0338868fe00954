/* SPDX-License-Identifier: Apache-2.0 */
/* The table of directives, what those of servers do when they are read, and the merge of servers. */
#include "mod_lti_config.h"

#include <stddef.h>
#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>

#include "lti_claims.h"
#include "lti_crypto.h"
#include "lti_http.h"
#include "lti_json.h"
#include "lti_login.h"
#include "lti_snapshot.h"
#include "mod_lti_config_parts.h"

APLOG_USE_MODULE(lti_sync);

/* --- scopes ------------------------------------------------------------------------------------------------------- */

void *mod_lti_config_create_server(apr_pool_t *p, server_rec *s)
{
    lti_server_config_t *conf = apr_pcalloc(p, sizeof(*conf));

    (void)s;
    conf->session_lifetime = conf->session_idle = conf->clock_skew = LTI_UNSET;
    conf->max_launch_size = conf->message_types = LTI_UNSET;
    conf->anonymous = conf->strict_roles = conf->sync_on_launch = conf->sync = LTI_UNSET;
    conf->sync_interval = conf->sync_timeout = conf->sync_stale_time = conf->sync_wait = LTI_UNSET;
    conf->dormant_after = conf->retain = LTI_UNSET;
    conf->sync_stale_after = conf->sync_concurrency = conf->sync_drop_guard = conf->shared_memory = LTI_UNSET;
    conf->event_waiters = LTI_UNSET;
    return conf;
}

void *mod_lti_config_merge_server(apr_pool_t *p, void *base_conf, void *add_conf)
{
    const lti_server_config_t *base = base_conf, *add = add_conf;
    lti_server_config_t *merged = apr_pcalloc(p, sizeof(*merged));

    /* A virtual host has its own platforms and those of the main server. */
    if (base->platforms != NULL && add->platforms != NULL)
        merged->platforms = apr_array_append(p, base->platforms, add->platforms);
    else
        MERGE_POINTER(platforms);
    if (base->legacy_secrets != NULL && add->legacy_secrets != NULL)
        merged->legacy_secrets = apr_array_append(p, base->legacy_secrets, add->legacy_secrets);
    else
        MERGE_POINTER(legacy_secrets);
    MERGE_POINTER(path);
    MERGE_POINTER(applications);
    merged->admin_place = add->admin_place;
    merged->base_url = add->base_url; /* the address of one host is never that of another */
    merged->remote_users = add->remote_users;
    merged->pass_claims = add->pass_claims;
    /* Sections of the main server hold in virtual hosts too, before their own. */
    if (base->course_lines != NULL && add->course_lines != NULL)
        merged->course_lines = apr_array_append(p, base->course_lines, add->course_lines);
    else
        MERGE_POINTER(course_lines);
    MERGE_POINTER(cookie_name);
    MERGE_NUMBER(session_lifetime);
    MERGE_NUMBER(session_idle);
    MERGE_NUMBER(clock_skew);
    MERGE_NUMBER(max_launch_size);
    MERGE_NUMBER(anonymous);
    MERGE_NUMBER(strict_roles);
    MERGE_NUMBER(message_types);
    MERGE_NUMBER(sync_on_launch);
    MERGE_NUMBER(sync_wait);
    merged->named_lines = add->named_lines; /* courses are known to the whole server, wherever they are named */
    MERGE_POINTER(service_hosts);
    MERGE_POINTER(state_dir);
    MERGE_POINTER(key_files);
    MERGE_POINTER(secret_file);
    MERGE_NUMBER(sync);
    MERGE_NUMBER(sync_interval);
    MERGE_NUMBER(sync_timeout);
    MERGE_NUMBER(sync_stale_after);
    MERGE_NUMBER(sync_stale_time);
    MERGE_NUMBER(sync_concurrency);
    MERGE_NUMBER(sync_drop_guard);
    MERGE_NUMBER(dormant_after);
    MERGE_NUMBER(retain);
    MERGE_NUMBER(shared_memory);
    MERGE_NUMBER(event_waiters);
    MERGE_POINTER(proxy);
    MERGE_POINTER(ca_file);
    return merged;
}

lti_server_config_t *mod_lti_config_of(server_rec *s)
{
    return ap_get_module_config(s->module_config, &lti_sync_module);
}

int mod_lti_config_is_active(const lti_server_config_t *conf)
{
    return conf->platforms != NULL && conf->runtime != NULL;
}

/* --- values --------------------------------------------------------------------------------------------------------- */

const char *mod_lti_config_duration(apr_interval_time_t *value, const char *text, apr_pool_t *p)
{
    static const struct {
        const char *unit;
        apr_interval_time_t length;
    } units[] = {{"ms", 1000},
                 {"s", APR_USEC_PER_SEC},
                 {"", APR_USEC_PER_SEC},
                 {"m", 60 * APR_USEC_PER_SEC},
                 {"min", 60 * APR_USEC_PER_SEC},
                 {"h", 3600 * APR_USEC_PER_SEC},
                 {"d", 86400 * APR_USEC_PER_SEC}};
    apr_int64_t number;
    char *end = NULL;
    apr_size_t i;

    errno = 0;
    number = apr_isdigit(*text) ? apr_strtoi64(text, &end, 10) : -1;
    if (number < 0 || errno != 0 || number > 100000000)
        return apr_psprintf(p, "'%s' is no duration: write a number and a unit, such as 90s, 15m, 8h or 30d", text);
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *value = number * units[i].length;
            return NULL;
        }
    }
    return apr_psprintf(p, "'%s' is no duration: the unit is one of ms, s, m, h, d, such as 15m", text);
}

static const char *parse_size(apr_int64_t *value, const char *text, apr_pool_t *p)
{
    apr_int64_t number;
    char *end = NULL;
    int shift = 0;

    errno = 0;
    number = apr_isdigit(*text) ? apr_strtoi64(text, &end, 10) : -1;
    if (number >= 0 && errno == 0 && number < (APR_INT64_C(1) << 40)) {
        if (apr_toupper(*end) == 'K')
            shift = 10;
        else if (apr_toupper(*end) == 'M')
            shift = 20;
        else if (apr_toupper(*end) == 'G')
            shift = 30;
        if (*end == '\0' || (shift != 0 && end[1] == '\0')) {
            *value = number << shift;
            return NULL;
        }
    }
    return apr_psprintf(p, "'%s' is no size: write a number of bytes, or one with K, M or G, such as 64M", text);
}

/* --- generic setters: cmd->info is the field's offset -------------------------------------------------------------------- */

static void *server_field(cmd_parms *cmd)
{
    return (char *)mod_lti_config_of(cmd->server) + (apr_size_t)cmd->info;
}

/* Keys, shared memory and the engine exist once for all virtual hosts. */
static const char *only_main(cmd_parms *cmd)
{
    const char *refused = ap_check_cmd_context(cmd, NOT_IN_VIRTUALHOST);

    if (refused != NULL)
        return apr_psprintf(cmd->pool, "%s is of the whole server: write it outside <VirtualHost>", cmd->cmd->name);
    return NULL;
}

/* Durations with which nothing would work, or (a wide skew) with which an old launch would be a good one (SPEC S-12). */
static const char *check_range(cmd_parms *cmd, apr_interval_time_t value)
{
    static const struct {
        const char *name;
        int least, most; /* seconds; 0: no limit */
        const char *advice;
    } ranges[] = {{"LTISessionLifetime", 1, 0, "a time of at least 1s, such as 8h"},
                  {"LTIClockSkew", 0, 300, "at most 5m, such as 60s"},
                  {"LTISyncInterval", 1, 0, "a time of at least 1s, such as 15m; LTISync Off fetches no rosters"},
                  {"LTISyncTimeout", 1, 0, "a time of at least 1s, such as 60s"}};
    apr_size_t i;

    for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (strcmp(cmd->cmd->name, ranges[i].name) == 0 &&
            (value < apr_time_from_sec(ranges[i].least) || (ranges[i].most != 0 && value > apr_time_from_sec(ranges[i].most))))
            return apr_pstrcat(cmd->pool, ranges[i].name, " takes ", ranges[i].advice, NULL);
    }
    return NULL;
}

static const char *set_duration(cmd_parms *cmd, void *dir, const char *value)
{
    apr_interval_time_t *field = server_field(cmd);
    const char *refused = mod_lti_config_duration(field, value, cmd->pool);

    (void)dir;
    return refused != NULL ? refused : check_range(cmd, *field);
}

static const char *set_main_duration(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = only_main(cmd);

    return refused != NULL ? refused : set_duration(cmd, dir, value);
}

static const char *set_size(cmd_parms *cmd, void *dir, const char *value)
{
    (void)dir;
    return parse_size(server_field(cmd), value, cmd->pool);
}

static const char *set_launch_size(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = set_size(cmd, dir, value);

    if (refused == NULL && mod_lti_config_of(cmd->server)->max_launch_size < 4096)
        refused = "LTIMaxLaunchSize is below what any launch takes: write 256K, or at least 4K";
    return refused;
}

static const char *set_shared_memory(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = only_main(cmd);

    if (refused == NULL)
        refused = set_size(cmd, dir, value);
    if (refused == NULL && mod_lti_config_of(cmd->server)->shared_memory < LTI_SNAPSHOT_MIN_SIZE)
        refused = "LTISharedMemory is below its least size: write 64M, or at least 1M";
    return refused;
}

static const char *set_server_flag(cmd_parms *cmd, void *dir, int on)
{
    (void)dir;
    *(int *)server_field(cmd) = on;
    return NULL;
}

static const char *set_main_flag(cmd_parms *cmd, void *dir, int on)
{
    const char *refused = only_main(cmd);

    return refused != NULL ? refused : set_server_flag(cmd, dir, on);
}

static const char *set_main_path(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = only_main(cmd), *path;

    (void)dir;
    if (refused != NULL)
        return refused;
    if ((path = ap_server_root_relative(cmd->pool, value)) == NULL)
        return apr_psprintf(cmd->pool, "'%s' is no path", value);
    *(const char **)server_field(cmd) = path;
    return NULL;
}

static const char *set_ca_file(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = set_main_path(cmd, dir, value);
    apr_finfo_t info;

    if (refused == NULL && (apr_stat(&info, *(const char **)server_field(cmd), APR_FINFO_TYPE, cmd->temp_pool) != APR_SUCCESS ||
                            info.filetype != APR_REG))
        refused = apr_psprintf(
            cmd->pool, "'%s' is no file: write the path of the certificates in PEM, or leave LTICAFile out for the system's",
            value);
    return refused;
}

static const char *set_main_count(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = only_main(cmd);
    apr_int64_t number;
    char *end = NULL;

    (void)dir;
    if (refused != NULL)
        return refused;
    number = apr_isdigit(*value) ? apr_strtoi64(value, &end, 10) : 0;
    if (number < 1 || *end != '\0' || number > 1000)
        return apr_psprintf(cmd->pool, "'%s' must be a number from 1 to 1000", value);
    *(apr_int64_t *)server_field(cmd) = number;
    return NULL;
}

/* --- server directives of their own kind ------------------------------------------------------------------------------------ */

/* Requests come without these: httpd has resolved them. */
static int has_odd_segment(const char *path)
{
    for (; *path == '/'; path += strcspn(path, "/")) {
        apr_size_t length = strcspn(++path, "/");

        if ((length == 0 && *path == '/') || (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
            return 1;
    }
    return 0;
}

static const char *set_path(cmd_parms *cmd, void *dir, const char *value)
{
    apr_size_t length = strlen(value);

    (void)dir;
    while (length > 1 && value[length - 1] == '/')
        length--;
    if (value[0] != '/' || length < 2 || has_odd_segment(value) ||
        strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/") != strlen(value))
        return apr_psprintf(cmd->pool, "'%s' must be a path of its own that starts with /, such as /lti", value);
    mod_lti_config_of(cmd->server)->path = apr_pstrmemdup(cmd->pool, value, length);
    return NULL;
}

static const char *add_application(cmd_parms *cmd, void *dir, const char *value)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);

    (void)dir;
    if (value[0] != '/' || has_odd_segment(value) || strpbrk(value, "?#\\%") != NULL || !lti_json_is_clean(value))
        return apr_psprintf(cmd->pool, "'%s' must be a path prefix of this site, such as /app/", value);
    if (conf->applications == NULL)
        conf->applications = apr_array_make(cmd->pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(conf->applications, const char *) = value;
    return NULL;
}

static const char *set_base_url(cmd_parms *cmd, void *dir, const char *value)
{
    lti_err_t err;
    const char *origin;
    apr_size_t length = strlen(value);

    (void)dir;
    if (lti_http_check_url(value, 1024, LTI_E_CONFIG, &err) != APR_SUCCESS)
        return apr_pstrdup(cmd->pool, err.text);
    while (length > 0 && value[length - 1] == '/')
        length--;
    value = apr_pstrmemdup(cmd->pool, value, length);
    origin = ap_strstr_c(value, "://") + 3;
    if (strpbrk(origin, "/?#") != NULL)
        return apr_psprintf(cmd->pool, "'%s' must be scheme and host only, such as https://tools.example.edu", value);
    mod_lti_config_of(cmd->server)->base_url = value;
    return NULL;
}

static const char *set_cookie_name(cmd_parms *cmd, void *dir, const char *value)
{
    static const char host_prefix[] = "__Host-";
    const char *name = value;

    (void)dir;
    if (strncmp(value, host_prefix, sizeof(host_prefix) - 1) == 0)
        name += sizeof(host_prefix) - 1;
    if (*name == '\0' || strlen(value) > 32 || strncmp(value, LTI_STATE_COOKIE, sizeof(LTI_STATE_COOKIE) - 1) == 0 ||
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
        return apr_psprintf(cmd->pool, "'%s' must be letters, digits and dashes, such as lti or __Host-lti", value);
    mod_lti_config_of(cmd->server)->cookie_name = value;
    return NULL;
}

static const char *add_key_file(cmd_parms *cmd, void *dir, const char *value)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    const char *refused = only_main(cmd), *path;

    (void)dir;
    if (refused != NULL)
        return refused;
    if ((path = ap_server_root_relative(cmd->pool, value)) == NULL)
        return apr_psprintf(cmd->pool, "'%s' is no path", value);
    if (conf->key_files == NULL)
        conf->key_files = apr_array_make(cmd->pool, 2, sizeof(lti_place_t));
    APR_ARRAY_PUSH(conf->key_files, lti_place_t) = mod_lti_config_place(cmd, path);
    return NULL;
}

static const char *set_secret_file(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = only_main(cmd), *path;
    lti_place_t place;

    (void)dir;
    if (refused != NULL)
        return refused;
    if ((path = ap_server_root_relative(cmd->pool, value)) == NULL)
        return apr_psprintf(cmd->pool, "'%s' is no path", value);
    place = mod_lti_config_place(cmd, path);
    mod_lti_config_of(cmd->server)->secret_file = apr_pmemdup(cmd->pool, &place, sizeof(place));
    return NULL;
}

static const char *set_proxy(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = only_main(cmd);

    (void)dir;
    if (refused != NULL)
        return refused;
    if (lti_http_origin(value, cmd->pool) == NULL)
        return apr_psprintf(cmd->pool, "'%s' is no proxy: write http://host:port", value);
    mod_lti_config_of(cmd->server)->proxy = value;
    return NULL;
}

static const char *add_service_host(cmd_parms *cmd, void *dir, const char *value)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    char *host = apr_pstrdup(cmd->pool, value);

    (void)dir;
    if (strpbrk(value, "/:@?#") != NULL)
        return apr_psprintf(cmd->pool, "'%s' must be a host name alone, such as lms.intern.example.edu", value);
    ap_str_tolower(host);
    if (conf->service_hosts == NULL)
        conf->service_hosts = apr_array_make(cmd->pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(conf->service_hosts, const char *) = host;
    return NULL;
}

static const char *set_anonymous(cmd_parms *cmd, void *dir, const char *value)
{
    (void)dir;
    if (ap_cstr_casecmp(value, "allow") != 0 && ap_cstr_casecmp(value, "refuse") != 0)
        return apr_psprintf(cmd->pool, "'%s' must be refuse or allow", value);
    mod_lti_config_of(cmd->server)->anonymous = ap_cstr_casecmp(value, "allow") == 0;
    return NULL;
}

static const char *add_message_type(cmd_parms *cmd, void *dir, const char *value)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    unsigned type = lti_message_type_by_name(value);

    (void)dir;
    if (type == 0)
        return apr_psprintf(
            cmd->pool, "'%s' is no message type: LtiResourceLinkRequest, LtiSubmissionReviewRequest, LtiDeepLinkingRequest", value);
    conf->message_types = (conf->message_types == LTI_UNSET ? 0 : conf->message_types) | (apr_int64_t)type;
    return NULL;
}

/* The file is read while the server starts; here only what this line alone can get wrong. */
static const char *add_legacy_secret(cmd_parms *cmd, void *dir, const char *consumer_key, const char *value)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    const char *path = ap_server_root_relative(cmd->pool, value);
    const lti_place_t place = mod_lti_config_place(cmd, consumer_key);
    lti_legacy_secret_t *secret = apr_pcalloc(cmd->pool, sizeof(*secret));
    int i;

    (void)dir;
    if (*consumer_key == '\0' || !lti_json_is_clean(consumer_key))
        return "LTILegacySecret takes the consumer key of the LTI 1.1 times and the file that holds its secret";
    if (path == NULL)
        return apr_psprintf(cmd->pool, "'%s' is no path", value);
    for (i = 0; conf->legacy_secrets != NULL && i < conf->legacy_secrets->nelts; i++) {
        const lti_legacy_secret_t *other = APR_ARRAY_IDX(conf->legacy_secrets, i, const lti_legacy_secret_t *);

        if (strcmp(other->consumer_key, consumer_key) == 0)
            return apr_psprintf(cmd->pool, "the consumer key '%s' stands at %s:%d too: remove one", consumer_key, other->file,
                                other->line);
    }
    *secret = (lti_legacy_secret_t){.consumer_key = consumer_key, .path = path, .file = place.file, .line = place.line};
    if (conf->legacy_secrets == NULL)
        conf->legacy_secrets = apr_array_make(cmd->pool, 2, sizeof(lti_legacy_secret_t *));
    APR_ARRAY_PUSH(conf->legacy_secrets, lti_legacy_secret_t *) = secret;
    return NULL;
}

static const char *set_stale_after(cmd_parms *cmd, void *dir, const char *value)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    const char *refused = only_main(cmd);

    (void)dir;
    if (refused != NULL)
        return refused;
    if (apr_isdigit(value[0]) && value[strspn(value, "0123456789")] == '\0') {
        conf->sync_stale_after = apr_atoi64(value);
        if (conf->sync_stale_after < 1 || conf->sync_stale_after > 1000)
            return "LTISyncStaleAfter takes 1 to 1000 intervals, or a time such as 6h";
        return NULL;
    }
    return mod_lti_config_duration(&conf->sync_stale_time, value, cmd->pool);
}

static const char *set_drop_guard(cmd_parms *cmd, void *dir, const char *value)
{
    const char *refused = only_main(cmd);
    apr_int64_t percent;
    char *end = NULL;

    (void)dir;
    if (refused != NULL)
        return refused;
    percent = apr_isdigit(*value) ? apr_strtoi64(value, &end, 10) : -1;
    if (percent < 0 || percent > 100 || (*end != '\0' && strcmp(end, "%") != 0))
        return apr_psprintf(cmd->pool, "'%s' must be a percentage from 0%% to 100%%", value);
    mod_lti_config_of(cmd->server)->sync_drop_guard = percent;
    return NULL;
}

/* --- the table ------------------------------------------------------------------------------------------------------------- */

#define SERVER_FIELD(field) ((void *)offsetof(lti_server_config_t, field))
#define PLATFORM_FIELD(field) ((void *)offsetof(lti_platform_t, field))

const command_rec mod_lti_config_directives[] = {
    AP_INIT_RAW_ARGS("<LTIPlatform", mod_lti_config_open_platform, NULL, RSRC_CONF,
                     "a registration: its name; the block holds issuer, client id and end points"),
    AP_INIT_TAKE23("LTIPreset", mod_lti_config_set_preset, NULL, RSRC_CONF,
                   "family and URL of the platform (and Sakai's tool key)"),
    AP_INIT_TAKE1("LTIIssuer", mod_lti_config_set_platform_text, PLATFORM_FIELD(issuer), RSRC_CONF,
                  "issuer, exactly as the platform writes it"),
    AP_INIT_TAKE1("LTIClientID", mod_lti_config_set_platform_text, PLATFORM_FIELD(client_id), RSRC_CONF,
                  "client id that the platform gave"),
    AP_INIT_TAKE1("LTIAuthorizationEndpoint", mod_lti_config_set_platform_text, PLATFORM_FIELD(authorization_endpoint), RSRC_CONF,
                  "where logins are sent"),
    AP_INIT_TAKE1("LTITokenEndpoint", mod_lti_config_set_platform_text, PLATFORM_FIELD(token_endpoint), RSRC_CONF,
                  "where access tokens are asked for"),
    AP_INIT_TAKE1("LTITokenAudience", mod_lti_config_set_platform_text, PLATFORM_FIELD(token_audience), RSRC_CONF,
                  "audience of the assertion, where it is not the token end point"),
    AP_INIT_TAKE1("LTIKeySet", mod_lti_config_set_platform_text, PLATFORM_FIELD(key_set), RSRC_CONF,
                  "URL of the platform's key set"),
    AP_INIT_ITERATE("LTIAlgorithms", mod_lti_config_add_algorithm, NULL, RSRC_CONF,
                    "signature algorithms that the platform may use"),
    AP_INIT_ITERATE("LTIDeployment", mod_lti_config_add_deployment, NULL, RSRC_CONF,
                    "any, ask, or the deployment ids that are accepted"),
    AP_INIT_TAKE1("LTISyncRate", mod_lti_config_set_rate, NULL, RSRC_CONF,
                  "requests of one node to this platform in a second or a minute, such as 10/s, or off"),
    AP_INIT_TAKE12("LTISectionClaim", mod_lti_config_set_section_claim, NULL, RSRC_CONF,
                   "the custom parameter that lists a person's sections, and groups=NAME for that of groups"),
    AP_INIT_TAKE1("LTISectionsFromRoster", mod_lti_config_set_roster_names, NULL, RSRC_CONF,
                  "Off, On, or rlid: the roster tells sections and groups where launches do not"),
    AP_INIT_TAKE1("LTIPath", set_path, NULL, RSRC_CONF, "where the end points are"),
    AP_INIT_ITERATE("LTIApplication", add_application, NULL, RSRC_CONF,
                    "path prefixes where launches may land; the first is the default"),
    AP_INIT_TAKE1("LTIBaseURL", set_base_url, NULL, RSRC_CONF,
                  "public scheme and host of this site, where a load balancer hides them"),
    AP_INIT_TAKE1("LTICookieName", set_cookie_name, NULL, RSRC_CONF, "what the names of session cookies begin with"),
    AP_INIT_TAKE1("LTISessionLifetime", set_duration, SERVER_FIELD(session_lifetime), RSRC_CONF,
                  "how long a session lasts at most"),
    AP_INIT_TAKE1("LTISessionIdle", set_duration, SERVER_FIELD(session_idle), RSRC_CONF, "how long a session lasts unused"),
    AP_INIT_TAKE1("LTIClockSkew", set_duration, SERVER_FIELD(clock_skew), RSRC_CONF, "tolerated difference of clocks"),
    AP_INIT_TAKE1("LTIMaxLaunchSize", set_launch_size, SERVER_FIELD(max_launch_size), RSRC_CONF, "largest launch form"),
    AP_INIT_TAKE1("LTIAnonymous", set_anonymous, NULL, RSRC_CONF, "refuse or allow launches without a user"),
    AP_INIT_FLAG("LTIStrictRoles", set_server_flag, SERVER_FIELD(strict_roles), RSRC_CONF, "take full role URIs only"),
    AP_INIT_TAKE2("LTILegacySecret", add_legacy_secret, NULL, RSRC_CONF,
                  "consumer key of LTI 1.1 and the file of its secret, for the migration claim"),
    AP_INIT_ITERATE("LTIMessageTypes", add_message_type, NULL, RSRC_CONF, "message types that are taken"),
    AP_INIT_TAKE1("LTISyncOnLaunch", mod_lti_config_set_on_launch, NULL, RSRC_CONF,
                  "On, Off, or wait=2s: a launch refreshes its course's roster, and waits for the first one"),
    AP_INIT_TAKE_ARGV("LTICourse", mod_lti_config_add_named, NULL, RSRC_CONF,
                      "platform, context id and roster address of a course that is known before anybody launches it, and its deployment"),
    AP_INIT_ITERATE("LTIServiceHosts", add_service_host, NULL, RSRC_CONF, "hosts whose services may have private addresses"),
    AP_INIT_TAKE1("LTIStateDir", set_main_path, SERVER_FIELD(state_dir), RSRC_CONF, "where generated keys and the secret lie"),
    AP_INIT_ITERATE("LTIKeyFile", add_key_file, NULL, RSRC_CONF, "the tool's private keys (PEM); the first signs"),
    AP_INIT_TAKE1("LTISecretFile", set_secret_file, NULL, RSRC_CONF, "the secrets that seal cookies, one a line; the first seals"),
    AP_INIT_FLAG("LTISync", set_main_flag, SERVER_FIELD(sync), RSRC_CONF, "whether this server fetches rosters"),
    AP_INIT_TAKE1("LTISyncInterval", set_main_duration, SERVER_FIELD(sync_interval), RSRC_CONF,
                  "time between two runs of a course in use"),
    AP_INIT_TAKE1("LTISyncTimeout", set_main_duration, SERVER_FIELD(sync_timeout), RSRC_CONF,
                  "time without progress that ends a transfer"),
    AP_INIT_TAKE1("LTISyncStaleAfter", set_stale_after, NULL, RSRC_CONF,
                  "intervals, or a time, without success after which a roster is stale"),
    AP_INIT_TAKE1("LTISyncConcurrency", set_main_count, SERVER_FIELD(sync_concurrency), RSRC_CONF, "runs at once"),
    AP_INIT_TAKE1("LTISyncDropGuard", set_drop_guard, NULL, RSRC_CONF, "share of a course that may leave in one run"),
    AP_INIT_TAKE1("LTIDormantAfter", set_main_duration, SERVER_FIELD(dormant_after), RSRC_CONF,
                  "time without launches after which a course is asked weekly"),
    AP_INIT_TAKE1("LTIRetain", set_main_duration, SERVER_FIELD(retain), RSRC_CONF, "how long people who left are kept"),
    AP_INIT_TAKE1("LTISharedMemory", set_shared_memory, SERVER_FIELD(shared_memory), RSRC_CONF, "shared memory for rosters"),
    AP_INIT_TAKE1("LTIEventWaiters", set_main_count, SERVER_FIELD(event_waiters), RSRC_CONF, "requests that may wait for events at once"),
    AP_INIT_TAKE1("LTIProxy", set_proxy, NULL, RSRC_CONF, "proxy towards the platforms"),
    AP_INIT_TAKE1("LTICAFile", set_ca_file, SERVER_FIELD(ca_file), RSRC_CONF,
                  "certificate authorities to trust instead of the system's"),
    AP_INIT_TAKE1("LTIRemoteUser", mod_lti_config_set_remote_user, NULL, RSRC_CONF | ACCESS_CONF, "template of REMOTE_USER"),
    AP_INIT_ITERATE("LTIPassIdentity", mod_lti_config_add_pass_identity, NULL, RSRC_CONF | ACCESS_CONF, "env, headers, headers=encoded, none"),
    AP_INIT_ITERATE("LTIPassClaims", mod_lti_config_add_pass_claims, NULL, RSRC_CONF | ACCESS_CONF,
                    "all, none, or the names of what the application is told"),
    AP_INIT_TAKE1("LTICrossSite", mod_lti_config_set_cross_site, NULL, RSRC_CONF | ACCESS_CONF,
                  "deny or allow sessions in requests of other sites that may change something"),
    AP_INIT_ITERATE("LTIFrame", mod_lti_config_add_frame, NULL, RSRC_CONF | ACCESS_CONF,
                    "On, Off, or further origins whose pages may frame the application"),
    AP_INIT_TAKE1("LTIUnauthenticated", mod_lti_config_set_unauthenticated, NULL, RSRC_CONF | ACCESS_CONF,
                  "401, pass, or where people without a session are led"),
    AP_INIT_FLAG("LTILiveRoster", mod_lti_config_set_live_roster, NULL, RSRC_CONF | ACCESS_CONF, "the roster decides in open sessions"),
    AP_INIT_TAKE1("LTIRosterAccess", mod_lti_config_set_roster_access, NULL, ACCESS_CONF,
                  "own, or all: whoever is let in here may read every course"),
    AP_INIT_FLAG("LTIAdmin", mod_lti_config_set_admin, NULL, ACCESS_CONF, "whoever is let in here may see the status page and press its buttons"),
    AP_INIT_FLAG("LTICoursePaths", mod_lti_config_set_course_paths, NULL, RSRC_CONF | ACCESS_CONF,
                 "addresses of this application name the course"),
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL}};
