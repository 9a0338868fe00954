/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_config_parts: what the table of directives (mod_lti_config.c) takes from the <LTIPlatform> block (mod_lti_config_platform.c). Internal to the room; called by
 * httpd while it reads the configuration, each returns NULL or what is wrong and what to write instead.
 */
#ifndef MOD_LTI_CONFIG_PARTS_H
#define MOD_LTI_CONFIG_PARTS_H

#include "mod_lti_config.h"

/** `text` and where its directive stands. */
lti_place_t mod_lti_config_place(cmd_parms *cmd, const char *text);

const char *mod_lti_config_open_platform(cmd_parms *cmd, void *dir, const char *arg);
const char *mod_lti_config_set_preset(cmd_parms *cmd, void *dir, const char *family, const char *url, const char *key);

/** cmd->info: the offset of a text in lti_platform_t. */
const char *mod_lti_config_set_platform_text(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_add_algorithm(cmd_parms *cmd, void *dir, const char *value);
const char *mod_lti_config_add_deployment(cmd_parms *cmd, void *dir, const char *value);

#endif
