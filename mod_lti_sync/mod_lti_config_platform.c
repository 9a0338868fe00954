/* SPDX-License-Identifier: Apache-2.0 */
/* The <LTIPlatform> block and the directives inside it. */
#include "mod_lti_config_parts.h"

#include <apr_strings.h>
#include <http_core.h>

#include "lti_crypto.h"
#include "lti_json.h"

lti_place_t mod_lti_config_place(cmd_parms *cmd, const char *text)
{
    lti_place_t place = {.text = text, .file = cmd->directive->filename, .line = cmd->directive->line_num};

    return place;
}

/* What LTIPreset said; applied when the block is closed, since Blackboard's key set address holds the client id. */
typedef struct preset_t {
    lti_family_t family;
    const char *url;
    const char *key;
} preset_t;

#define PRESET_DATA "lti_sync:preset"

static const char *in_platform(cmd_parms *cmd, lti_platform_t **platform)
{
    *platform = mod_lti_config_of(cmd->server)->open_platform;
    if (*platform == NULL)
        return apr_psprintf(cmd->pool, "%s belongs inside an <LTIPlatform NAME> block", cmd->cmd->name);
    return NULL;
}

const char *mod_lti_config_set_preset(cmd_parms *cmd, void *dir, const char *family, const char *url, const char *key)
{
    lti_platform_t *platform;
    const char *refused = in_platform(cmd, &platform);
    preset_t *preset = apr_pcalloc(cmd->temp_pool, sizeof(*preset));

    (void)dir;
    if (refused != NULL)
        return refused;
    preset->family = lti_family_by_name(family);
    if (preset->family == LTI_FAMILY_OTHER)
        return apr_psprintf(cmd->pool,
                            "'%s' is no family: canvas, moodle, blackboard, brightspace, sakai or schoology; for others write "
                            "LTIIssuer, LTIAuthorizationEndpoint, LTITokenEndpoint and LTIKeySet",
                            family);
    preset->url = url;
    preset->key = key;
    apr_pool_userdata_setn(preset, PRESET_DATA, NULL, cmd->temp_pool);
    return NULL;
}

/* cmd->info: the offset of a text in lti_platform_t. */
const char *mod_lti_config_set_platform_text(cmd_parms *cmd, void *dir, const char *value)
{
    lti_platform_t *platform;
    const char *refused = in_platform(cmd, &platform);

    (void)dir;
    if (refused != NULL)
        return refused;
    if (!lti_json_is_clean(value) || *value == '\0')
        return apr_psprintf(cmd->pool, "%s is empty or has control characters", cmd->cmd->name);
    *(const char **)((char *)platform + (apr_size_t)cmd->info) = value;
    return NULL;
}

const char *mod_lti_config_add_algorithm(cmd_parms *cmd, void *dir, const char *value)
{
    lti_platform_t *platform;
    const char *refused = in_platform(cmd, &platform);
    lti_alg_t alg = lti_alg_by_name(value);

    (void)dir;
    if (refused != NULL)
        return refused;
    if (alg == LTI_ALG_UNKNOWN)
        return apr_psprintf(cmd->pool,
                            "'%s' is no algorithm that a platform may use: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, "
                            "ES512, EdDSA",
                            value);
    platform->algorithms |= LTI_ALG_BIT(alg);
    return NULL;
}

const char *mod_lti_config_add_deployment(cmd_parms *cmd, void *dir, const char *value)
{
    lti_platform_t *platform;
    const char *refused = in_platform(cmd, &platform);
    int any;

    (void)dir;
    if (refused != NULL)
        return refused;
    any = ap_cstr_casecmp(value, "any") == 0;
    if (platform->deployments == LTI_DEPLOYMENT_ANY || (any && platform->deployments != LTI_DEPLOYMENT_UNSET))
        return "LTIDeployment takes any, or ask, or a list of ids, which ask may stand before; nothing beside any";
    if (any || ap_cstr_casecmp(value, "ask") == 0) {
        platform->deployments = any ? LTI_DEPLOYMENT_ANY : LTI_DEPLOYMENT_ASK;
        return NULL;
    }
    if (platform->deployments == LTI_DEPLOYMENT_UNSET)
        platform->deployments = LTI_DEPLOYMENT_LIST;
    if (platform->deployment_ids == NULL)
        platform->deployment_ids = apr_array_make(cmd->pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(platform->deployment_ids, const char *) = value;
    return NULL;
}

const char *mod_lti_config_set_rate(cmd_parms *cmd, void *dir, const char *value)
{
    lti_platform_t *platform;
    const char *refused = in_platform(cmd, &platform);
    lti_err_t err;

    (void)dir;
    if (refused != NULL)
        return refused;
    if (lti_platform_rate(&platform->request_interval, value, &err) != APR_SUCCESS)
        return apr_pstrcat(cmd->pool, err.text, NULL);
    return NULL;
}

static const char *finish_platform(cmd_parms *cmd, lti_platform_t *platform)
{
    const char *refused;
    preset_t *preset = NULL;
    void *data = NULL;
    lti_err_t err;

    apr_pool_userdata_get(&data, PRESET_DATA, cmd->temp_pool);
    apr_pool_userdata_setn(NULL, PRESET_DATA, NULL, cmd->temp_pool);
    preset = data;
    if (preset != NULL && lti_platform_preset(platform, preset->family, preset->url, preset->key, cmd->pool, &err) != APR_SUCCESS)
        return apr_psprintf(cmd->pool, "<LTIPlatform \"%s\">: %s", platform->name, err.text);
    if (lti_platform_check(platform, cmd->pool, &err) != APR_SUCCESS)
        return apr_psprintf(cmd->pool, "<LTIPlatform \"%s\">: %s", platform->name, err.text);
    refused = mod_lti_config_check_names(platform, cmd->pool);
    return refused != NULL ? apr_psprintf(cmd->pool, "<LTIPlatform \"%s\">: %s", platform->name, refused) : NULL;
}

const char *mod_lti_config_open_platform(cmd_parms *cmd, void *dir, const char *arg)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    const char *end = ap_strrchr_c(arg, '>'), *failed, *name;
    lti_platform_t *platform;

    (void)dir;
    if ((failed = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT)) != NULL)
        return failed;
    if (end == NULL)
        return "<LTIPlatform NAME> lacks its closing '>'";
    arg = apr_pstrmemdup(cmd->temp_pool, arg, (apr_size_t)(end - arg));
    name = ap_getword_conf(cmd->pool, &arg);
    if (*name == '\0' || strlen(name) > 64 || *arg != '\0' ||
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(name))
        return "<LTIPlatform NAME> takes one name of letters, digits, '.', '_' and '-', such as <LTIPlatform \"campus\">";

    platform = apr_pcalloc(cmd->pool, sizeof(*platform));
    platform->name = name;
    platform->file = cmd->directive->filename;
    platform->line = cmd->directive->line_num;
    conf->open_platform = platform;
    failed = ap_walk_config(cmd->directive->first_child, cmd, cmd->context);
    conf->open_platform = NULL;
    if (failed == NULL)
        failed = finish_platform(cmd, platform);
    if (failed != NULL)
        return failed;

    if (conf->platforms == NULL)
        conf->platforms = apr_array_make(cmd->pool, 4, sizeof(lti_platform_t *));
    APR_ARRAY_PUSH(conf->platforms, lti_platform_t *) = platform;
    return NULL;
}
