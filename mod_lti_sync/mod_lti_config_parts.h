/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_config_parts: what the table of directives (mod_lti_config.c) takes from the <LTIPlatform> block (mod_lti_config_platform.c) and from directories
 * (mod_lti_config_dir.c). Internal to the room; called by httpd while it reads the configuration, each returns NULL or what is wrong and what to write instead.
 */
#ifndef MOD_LTI_CONFIG_PARTS_H
#define MOD_LTI_CONFIG_PARTS_H

#include "mod_lti_config.h"

/* Of two scopes, `base` and `add`, into `merged`: what the inner one says counts. */
#define MERGE_POINTER(field) merged->field = (add->field != NULL) ? add->field : base->field
#define MERGE_NUMBER(field) merged->field = (add->field != LTI_UNSET) ? add->field : base->field

/** `text` and where its directive stands. */
lti_place_t mod_lti_config_place(cmd_parms *cmd, const char *text);

const char *mod_lti_config_open_platform(cmd_parms *cmd, void *dir, const char *arg);
const char *mod_lti_config_set_preset(cmd_parms *cmd, void *dir, const char *family, const char *url, const char *key);

/** cmd->info: the offset of a text in lti_platform_t. */
const char *mod_lti_config_set_platform_text(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_add_algorithm(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_add_deployment(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_set_rate(cmd_parms *cmd, void *dir, const char *value);

/* LTISectionClaim, LTISectionsFromRoster (mod_lti_config_names.c). */
const char *mod_lti_config_set_section_claim(cmd_parms *cmd, void *dir, const char *first, const char *second);
const char *mod_lti_config_set_roster_names(cmd_parms *cmd, void *dir, const char *value);

/** When a block is closed: what cannot be, or NULL. */
const char *mod_lti_config_check_names(const lti_platform_t *platform, apr_pool_t *p);

/* LTISyncOnLaunch and LTICourse (mod_lti_config_named.c). */
const char *mod_lti_config_set_on_launch(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_add_named(cmd_parms *cmd, void *dir, int argc, char *const argv[]);

/** Part of mod_lti_config_check(): makes the main server's named_courses; `platforms` are those of all hosts. The number of faults, each complained of. */
int mod_lti_config_check_named(const apr_array_header_t *platforms, apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server);

/* LTICoursePaths (mod_lti_config_paths.c). */
const char *mod_lti_config_set_course_paths(cmd_parms *cmd, void *dir, int on);

/** Part of mod_lti_config_check(): makes every host's course_paths; the number of faults, each complained of. */
int mod_lti_config_check_course_paths(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server);

/* Directories. */
const char *mod_lti_config_set_remote_user(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_add_pass_identity(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_add_pass_claims(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_set_cross_site(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_add_frame(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_set_unauthenticated(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_set_live_roster(cmd_parms *cmd, void *dir, int on);
const char *mod_lti_config_set_roster_access(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_set_admin(cmd_parms *cmd, void *dir, int on);

#endif
