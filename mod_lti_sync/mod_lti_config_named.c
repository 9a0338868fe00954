/* SPDX-License-Identifier: Apache-2.0 */
/* Courses named beforehand (LTICourse), and what a launch does for its course's roster (LTISyncOnLaunch). */
#include "mod_lti_config_parts.h"

#include <apr_strings.h>
#include <http_log.h>

#include "lti_http.h"
#include "lti_json.h"
#include "lti_roster.h"

APLOG_USE_MODULE(lti_sync);

#define URL_MAX 2048 /* SPEC N-01 */
#define WAIT_MAX apr_time_from_sec(10)

#define USAGE \
    "LTICourse takes a platform, the context id of the course, the address of its roster, and where need be its deployment id"

const char *mod_lti_config_set_on_launch(cmd_parms *cmd, void *dir, const char *value)
{
    static const char prefix[] = "wait=";
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    const char *refused;

    (void)dir;
    conf->sync_wait = 0;
    conf->sync_on_launch = ap_cstr_casecmp(value, "off") != 0;
    if (!conf->sync_on_launch || ap_cstr_casecmp(value, "on") == 0)
        return NULL;
    if (ap_cstr_casecmpn(value, prefix, sizeof(prefix) - 1) != 0)
        return apr_psprintf(cmd->pool, "'%s' must be On, Off, or wait= and a time of at most 10s, such as wait=2s", value);
    refused = mod_lti_config_duration(&conf->sync_wait, value + sizeof(prefix) - 1, cmd->pool);
    if (refused == NULL && (conf->sync_wait < 1 || conf->sync_wait > WAIT_MAX))
        refused = "LTISyncOnLaunch wait= takes a time of at most 10s, such as wait=2s";
    return refused;
}

/* --- LTICourse ------------------------------------------------------------------------------------------------------------- */

static int is_id(const char *text)
{
    return *text != '\0' && strlen(text) <= LTI_ID_MAX && lti_json_is_clean(text);
}

const char *mod_lti_config_add_named(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    lti_named_line_t *line;
    lti_err_t err;

    (void)dir;
    if (argc < 3 || argc > 4)
        return USAGE;
    if (!is_id(argv[1]) || (argc == 4 && !is_id(argv[3])))
        return apr_psprintf(cmd->pool, "a context id and a deployment id have 1 to %d bytes and no control characters; " USAGE,
                            LTI_ID_MAX);
    if (lti_http_check_url(argv[2], URL_MAX, LTI_E_CONFIG, &err) != APR_SUCCESS)
        return apr_psprintf(cmd->pool, "%s; " USAGE, err.text);
    if (conf->named_lines == NULL)
        conf->named_lines = apr_array_make(cmd->pool, 8, sizeof(lti_named_line_t));
    line = &APR_ARRAY_PUSH(conf->named_lines, lti_named_line_t);
    *line = (lti_named_line_t){.place = mod_lti_config_place(cmd, argv[1]),
                               .platform = argv[0],
                               .context_id = argv[1],
                               .url = argv[2],
                               .deployment = argc == 4 ? argv[3] : NULL};
    return NULL;
}

static const char *find_deployment(const char **deployment, const lti_named_line_t *line, const lti_platform_t *platform,
                                   apr_pool_t *p)
{
    const apr_array_header_t *ids = platform->deployment_ids;

    *deployment = line->deployment;
    if (line->deployment == NULL && ids != NULL && ids->nelts == 1)
        *deployment = APR_ARRAY_IDX(ids, 0, const char *);
    if (*deployment == NULL)
        return apr_psprintf(
            p,
            "LTICourse %s %s does not say of which deployment the course is, and <LTIPlatform \"%s\"> has not just one "
            "LTIDeployment: write the deployment id behind the address",
            line->platform, line->context_id, platform->name);
    if (platform->deployments == LTI_DEPLOYMENT_LIST && !lti_platform_accepts(platform, *deployment))
        return apr_psprintf(
            p,
            "LTICourse %s %s is of deployment %s, which is none of <LTIPlatform \"%s\">: add LTIDeployment %s there, or "
            "write another one here",
            line->platform, line->context_id, *deployment, platform->name, *deployment);
    return NULL;
}

static int is_service_host(const apr_array_header_t *hosts, const char *host)
{
    int i;

    for (i = 0; hosts != NULL && i < hosts->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(hosts, i, const char *), host) == 0)
            return 1;
    }
    return 0;
}

int mod_lti_config_admits_private(const lti_server_config_t *conf, const lti_platform_t *platform, const char *url,
                                  apr_pool_t *ptemp)
{
    const char *host = lti_http_host(url, ptemp);

    return lti_platform_owns_host(platform, url, ptemp) || (host != NULL && is_service_host(conf->service_hosts, host));
}

/* Access tokens of the platform go there, and no platform has vouched for the address with a signature (Invariant 7). */
static const char *check_host(const lti_named_line_t *line, const lti_platform_t *platform, server_rec *main_server, apr_pool_t *p)
{
    const char *host = lti_http_host(line->url, p);

    if (mod_lti_config_admits_private(mod_lti_config_of(main_server), platform, line->url, p))
        return NULL;
    return apr_psprintf(
        p,
        "the roster of LTICourse %s %s is at %s, which is no host of <LTIPlatform \"%s\">: correct the address, or write "
        "LTIServiceHosts %s outside <VirtualHost>",
        line->platform, line->context_id, host, platform->name, host);
}

/** A course, and where it was named. */
typedef struct named_t {
    lti_course_t course;
    const lti_place_t *place;
} named_t;

static const char *name_course(apr_hash_t *courses, const lti_named_line_t *line, const apr_array_header_t *platforms,
                               server_rec *main_server, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const lti_platform_t *platform = lti_platform_by_name(platforms, line->platform);
    const char *refused, *deployment;
    char key[LTI_COURSE_KEY_LENGTH + 1];
    named_t *named;

    if (platform == NULL)
        return apr_psprintf(ptemp, "LTICourse %s %s is of a platform that is not configured: write the name of an <LTIPlatform>",
                            line->platform, line->context_id);
    refused = find_deployment(&deployment, line, platform, ptemp);
    if (refused == NULL)
        refused = check_host(line, platform, main_server, ptemp);
    if (refused != NULL)
        return refused;
    lti_platform_course_key(key, platform->issuer, platform->client_id, deployment, line->context_id);
    named = apr_hash_get(courses, key, APR_HASH_KEY_STRING);
    if (named != NULL)
        return apr_psprintf(ptemp, "LTICourse %s %s stands at %s:%d too: remove one", line->platform, line->context_id,
                            named->place->file, named->place->line);
    named = apr_pcalloc(pconf, sizeof(*named));
    named->course = (lti_course_t){.key = apr_pstrdup(pconf, key),
                                   .platform = platform->name,
                                   .issuer = platform->issuer,
                                   .client_id = platform->client_id,
                                   .deployment_id = deployment,
                                   .context_id = line->context_id,
                                   .nrps_url = line->url,
                                   .state = LTI_ROSTER_PENDING};
    named->place = &line->place;
    apr_hash_set(courses, named->course.key, APR_HASH_KEY_STRING, named);
    return NULL;
}

int mod_lti_config_check_named(const apr_array_header_t *platforms, apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server)
{
    apr_hash_t *courses = apr_hash_make(pconf);
    server_rec *s;
    int i, faults = 0;

    for (s = main_server; s != NULL; s = s->next) {
        const apr_array_header_t *lines = mod_lti_config_of(s)->named_lines;

        for (i = 0; lines != NULL && i < lines->nelts; i++) {
            const lti_named_line_t *line = &APR_ARRAY_IDX(lines, i, lti_named_line_t);
            const char *refused = name_course(courses, line, platforms, main_server, pconf, ptemp);

            if (refused == NULL)
                continue;
            ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s, "%s:%d: %s", line->place.file, line->place.line, refused);
            faults++;
        }
    }
    mod_lti_config_of(main_server)->named_courses = apr_hash_count(courses) > 0 ? courses : NULL;
    return faults;
}
