/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: their configuration, its merge, what readers get of it, and what the directives do when they are read. */
#include "mod_lti_config.h"

#include <apr_strings.h>

#include "lti_csp.h"
#include "lti_http.h"
#include "mod_lti_config_parts.h"

/* --- scope ---------------------------------------------------------------------------------------------------------- */

void *mod_lti_config_create_dir(apr_pool_t *p, char *dir)
{
    lti_dir_config_t *conf = apr_pcalloc(p, sizeof(*conf));

    (void)dir;
    conf->pass_identity = conf->live_roster = conf->roster_access_all = LTI_UNSET;
    conf->cross_site = conf->frame = conf->admin = LTI_UNSET;
    return conf;
}

void *mod_lti_config_merge_dir(apr_pool_t *p, void *base_conf, void *add_conf)
{
    const lti_dir_config_t *base = base_conf, *add = add_conf;
    lti_dir_config_t *merged = apr_pcalloc(p, sizeof(*merged));

    MERGE_POINTER(remote_user);
    MERGE_NUMBER(pass_identity);
    MERGE_NUMBER(live_roster);
    MERGE_NUMBER(roster_access_all);
    MERGE_NUMBER(admin);
    MERGE_POINTER(pass_claims);
    MERGE_NUMBER(cross_site);
    MERGE_NUMBER(frame);
    merged->frame_sources = add->frame != LTI_UNSET ? add->frame_sources : base->frame_sources;
    MERGE_POINTER(unauthenticated);
    return merged;
}

const lti_dir_config_t *mod_lti_config_of_dir(request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &lti_sync_module);
}

/* --- getters -------------------------------------------------------------------------------------------------------- */

int mod_lti_config_pass(const lti_dir_config_t *dir)
{
    return dir->pass_identity != LTI_UNSET ? dir->pass_identity : (LTI_PASS_ENV | LTI_PASS_HEADERS);
}

int mod_lti_config_live_roster(const lti_dir_config_t *dir)
{
    return dir->live_roster != 0;
}

int mod_lti_config_admin(const lti_dir_config_t *dir)
{
    return dir->admin == 1;
}

int mod_lti_config_cross_site(const lti_dir_config_t *dir)
{
    return dir->cross_site == 1;
}

int mod_lti_config_frame(const lti_dir_config_t *dir)
{
    return dir->frame != 0;
}

const char *mod_lti_config_remote_user(const lti_dir_config_t *dir, const lti_platform_t *platform)
{
    if (platform->remote_user != NULL)
        return platform->remote_user;
    return dir->remote_user != NULL ? dir->remote_user : "{sub}@{platform}";
}

/* --- directives ----------------------------------------------------------------------------------------------------- */

const char *mod_lti_config_set_remote_user(cmd_parms *cmd, void *dir, const char *value)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    lti_err_t err;

    if (lti_remote_user_check(value, NULL, &err) != APR_SUCCESS)
        return apr_pstrdup(cmd->pool, err.text);
    if (conf->open_platform != NULL) {
        conf->open_platform->remote_user = value;
        return NULL;
    }
    ((lti_dir_config_t *)dir)->remote_user = value;
    if (conf->remote_users == NULL)
        conf->remote_users = apr_array_make(cmd->pool, 2, sizeof(lti_place_t));
    APR_ARRAY_PUSH(conf->remote_users, lti_place_t) = mod_lti_config_place(cmd, value);
    return NULL;
}

const char *mod_lti_config_add_pass_identity(cmd_parms *cmd, void *dir, const char *value)
{
    lti_dir_config_t *conf = dir;
    int flag;

    if (conf->pass_identity == LTI_UNSET)
        conf->pass_identity = 0;
    if (ap_cstr_casecmp(value, "env") == 0)
        flag = LTI_PASS_ENV;
    else if (ap_cstr_casecmp(value, "headers") == 0)
        flag = LTI_PASS_HEADERS;
    else if (ap_cstr_casecmp(value, "headers=encoded") == 0)
        flag = LTI_PASS_HEADERS | LTI_PASS_ENCODED;
    else if (ap_cstr_casecmp(value, "none") == 0)
        flag = 0;
    else
        return apr_psprintf(cmd->pool, "'%s' must be env, headers, headers=encoded or none", value);
    conf->pass_identity |= flag;
    return NULL;
}

static int is_alone(const char *word)
{
    return ap_cstr_casecmp(word, "all") == 0 || ap_cstr_casecmp(word, "none") == 0;
}

const char *mod_lti_config_add_pass_claims(cmd_parms *cmd, void *dir, const char *value)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    lti_pass_claims_t *claims = ((lti_dir_config_t *)dir)->pass_claims;

    if (claims == NULL) {
        claims = apr_pcalloc(cmd->pool, sizeof(*claims));
        claims->words = apr_array_make(cmd->pool, 8, sizeof(lti_place_t));
        ((lti_dir_config_t *)dir)->pass_claims = claims;
        if (conf->pass_claims == NULL)
            conf->pass_claims = apr_array_make(cmd->pool, 2, sizeof(lti_pass_claims_t *));
        APR_ARRAY_PUSH(conf->pass_claims, lti_pass_claims_t *) = claims;
    } else if (is_alone(value) || is_alone(APR_ARRAY_IDX(claims->words, 0, lti_place_t).text)) {
        return "LTIPassClaims takes all, or none, or a list of names such as role course_key custom_*";
    }
    APR_ARRAY_PUSH(claims->words, lti_place_t) = mod_lti_config_place(cmd, value);
    return NULL;
}

const char *mod_lti_config_set_cross_site(cmd_parms *cmd, void *dir, const char *value)
{
    if (ap_cstr_casecmp(value, "deny") != 0 && ap_cstr_casecmp(value, "allow") != 0)
        return apr_psprintf(cmd->pool, "'%s' must be deny or allow", value);
    ((lti_dir_config_t *)dir)->cross_site = ap_cstr_casecmp(value, "allow") == 0;
    return NULL;
}

/* An origin, or all hosts below a name. */
static int is_frame_origin(const char *value, apr_pool_t *p)
{
    const char *host = ap_strstr_c(value, "://*.");
    const char *plain =
        host == NULL ? value : apr_pstrcat(p, apr_pstrmemdup(p, value, (apr_size_t)(host - value)), "://", host + 5, NULL);

    return lti_csp_origin_length(plain) == strlen(plain) && lti_http_check_url(plain, 1024, LTI_E_CONFIG, NULL) == APR_SUCCESS;
}

const char *mod_lti_config_add_frame(cmd_parms *cmd, void *dir, const char *value)
{
    lti_dir_config_t *conf = dir;
    int off = ap_cstr_casecmp(value, "off") == 0;

    if (conf->frame == off && conf->frame != LTI_UNSET)
        return "LTIFrame is either Off, or On with or without origins";
    conf->frame = !off;
    if (off || ap_cstr_casecmp(value, "on") == 0)
        return NULL;
    if (!is_frame_origin(value, cmd->temp_pool))
        return apr_psprintf(
            cmd->pool, "'%s' must be On, Off, or an origin such as https://portal.example.edu or https://*.example.edu", value);
    conf->frame_sources = conf->frame_sources == NULL ? value : apr_pstrcat(cmd->pool, conf->frame_sources, " ", value, NULL);
    return NULL;
}

/* An address of this site, or one with a scheme: "//host" and what some browsers take for it are neither. */
static int is_landing(const char *value)
{
    const char *at;

    for (at = value; *at != '\0'; at++) {
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7F || strchr("\\\"<>", *at) != NULL)
            return 0;
    }
    if (value[0] == '/')
        return value[1] != '/' && strlen(value) <= 2048;
    return lti_http_check_url(value, 2048, LTI_E_CONFIG, NULL) == APR_SUCCESS;
}

const char *mod_lti_config_set_unauthenticated(cmd_parms *cmd, void *dir, const char *value)
{
    lti_dir_config_t *conf = dir;

    if (ap_cstr_casecmp(value, LTI_UNAUTHENTICATED_401) == 0)
        conf->unauthenticated = LTI_UNAUTHENTICATED_401;
    else if (ap_cstr_casecmp(value, LTI_UNAUTHENTICATED_PASS) == 0)
        conf->unauthenticated = LTI_UNAUTHENTICATED_PASS;
    else if (is_landing(value))
        conf->unauthenticated = value;
    else
        return apr_psprintf(cmd->pool, "'%s' must be 401, pass, a path of this site such as /welcome.html, or an https URL", value);
    return NULL;
}

const char *mod_lti_config_set_live_roster(cmd_parms *cmd, void *dir, int on)
{
    (void)cmd;
    ((lti_dir_config_t *)dir)->live_roster = on;
    return NULL;
}

const char *mod_lti_config_set_roster_access(cmd_parms *cmd, void *dir, const char *value)
{
    if (cmd->path == NULL)
        return "LTIRosterAccess opens rosters to whoever Apache lets in there: write it inside a <Location> that has a Require";
    if (ap_cstr_casecmp(value, "own") != 0 && ap_cstr_casecmp(value, "all") != 0)
        return apr_psprintf(cmd->pool, "'%s' must be own or all", value);
    ((lti_dir_config_t *)dir)->roster_access_all = ap_cstr_casecmp(value, "all") == 0;
    return NULL;
}

/* --- LTIAdmin ------------------------------------------------------------------------------------------------------- */

/* 1 if a Require that keeps somebody out stands in this section, or in a block within it. */
static int is_restricted(const ap_directive_t *node, apr_pool_t *p)
{
    for (; node != NULL; node = node->next) {
        const char *args = node->args;

        if (node->first_child != NULL && is_restricted(node->first_child, p))
            return 1;
        if (ap_cstr_casecmp(node->directive, "Require") != 0)
            continue;
        if (ap_cstr_casecmp(ap_getword_conf(p, &args), "all") != 0 || ap_cstr_casecmp(ap_getword_conf(p, &args), "granted") != 0)
            return 1;
    }
    return 0;
}

const char *mod_lti_config_set_admin(cmd_parms *cmd, void *dir, int on)
{
    const ap_directive_t *section = cmd->directive->parent;

    if (section == NULL ||
        (ap_cstr_casecmp(section->directive, "<Location") != 0 && ap_cstr_casecmp(section->directive, "<LocationMatch") != 0))
        return "LTIAdmin opens the status page to whoever Apache lets in there: write it directly inside <Location "
               "\"/lti/status\"> or a <LocationMatch>, beside a Require";
    if (on && !is_restricted(section->first_child, cmd->temp_pool))
        return "LTIAdmin On makes everybody an administrator who is let in there: write a Require that says who that is into the "
               "same section, such as Require local";
    if (on && cmd->server->is_virtual) {
        const lti_place_t place = mod_lti_config_place(cmd, "On");

        mod_lti_config_of(cmd->server)->admin_place = apr_pmemdup(cmd->pool, &place, sizeof(place));
    }
    ((lti_dir_config_t *)dir)->admin = on;
    return NULL;
}
