/* SPDX-License-Identifier: Apache-2.0 */
/* LTISectionClaim and LTISectionsFromRoster: where the names of people's sections and groups come from, platform by platform. */
#include "mod_lti_config_parts.h"

#include <apr_strings.h>

#include "lti_json.h"

#define GROUPS "groups="

static const char *outside(cmd_parms *cmd)
{
    return apr_psprintf(cmd->pool, "%s belongs inside an <LTIPlatform NAME> block: each platform has parameters of its own",
                        cmd->cmd->name);
}

/* One of the two arguments, in either order. */
static const char *take_claim(cmd_parms *cmd, lti_platform_t *platform, const char *value)
{
    int of_groups = strncmp(value, GROUPS, sizeof(GROUPS) - 1) == 0;
    const char *name = of_groups ? value + sizeof(GROUPS) - 1 : value, *named = of_groups ? platform->group_claim : platform->section_claim;

    if (*name == '\0' || strlen(name) > 255 || *name == '$' || strchr(name, '=') != NULL || !lti_json_is_clean(name))
        return apr_psprintf(
            cmd->pool,
            "'%s' must be the name of a custom parameter of the tool at the platform, such as sections or groups=group_names",
            value);
    if (named != NULL)
        return apr_psprintf(cmd->pool, "%s names the parameter of %s twice", cmd->cmd->name, of_groups ? "groups" : "sections");
    if (of_groups)
        platform->group_claim = name;
    else
        platform->section_claim = name;
    return NULL;
}

const char *mod_lti_config_set_section_claim(cmd_parms *cmd, void *dir, const char *first, const char *second)
{
    lti_platform_t *platform = mod_lti_config_of(cmd->server)->open_platform;
    const char *refused;

    (void)dir;
    if (platform == NULL)
        return outside(cmd);
    refused = take_claim(cmd, platform, first);
    return refused == NULL && second != NULL ? take_claim(cmd, platform, second) : refused;
}

const char *mod_lti_config_set_roster_names(cmd_parms *cmd, void *dir, const char *value)
{
    lti_platform_t *platform = mod_lti_config_of(cmd->server)->open_platform;

    (void)dir;
    if (platform == NULL)
        return outside(cmd);
    if (ap_cstr_casecmp(value, "off") == 0)
        platform->roster_names = LTI_NAMES_OFF;
    else if (ap_cstr_casecmp(value, "on") == 0)
        platform->roster_names = LTI_NAMES_ON;
    else if (ap_cstr_casecmp(value, "rlid") == 0)
        platform->roster_names = LTI_NAMES_RLID;
    else
        return apr_psprintf(cmd->pool, "'%s' must be Off, On or rlid", value);
    return NULL;
}

/* These take a course's id for no resource link: rosters would be refused (Schoology: 400, Moodle: 404 or 500), or be of something else. */
const char *mod_lti_config_check_names(const lti_platform_t *platform, apr_pool_t *p)
{
    if (platform->roster_names != LTI_NAMES_RLID)
        return NULL;
    if (platform->family != LTI_FAMILY_CANVAS && platform->family != LTI_FAMILY_OTHER)
        return apr_psprintf(p,
                            "LTISectionsFromRoster rlid is for Canvas, where a course's id serves as rlid; %s does not take it: "
                            "write On, for the groups that its "
                            "roster tells",
                            lti_family_name(platform->family));
    if (platform->section_claim == NULL && platform->group_claim == NULL)
        return "LTISectionsFromRoster rlid needs LTISectionClaim, which names the custom parameter to look for in the roster";
    return NULL;
}
