/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_state: the tool's signing keys and the secret, read or generated at start by the parent while it is still root, and the secrets of LTI 1.1 of all
 * virtual hosts; children never reopen the files. Files are owned by root with mode 0600.
 */
#ifndef MOD_LTI_STATE_H
#define MOD_LTI_STATE_H

#include "mod_lti_config.h"

/**
 * `apachectl -t`: `s` is the main server, `conf` its configuration: key and secret files, those of all virtual hosts, can be read and hold what they should;
 * those of LTIStateDir too, if they are there already. Number of faults, each logged, with file and line where it was configured.
 */
int mod_lti_state_check(const lti_server_config_t *conf, apr_pool_t *ptemp, server_rec *s);

/** post_config: fills toolkeys and sealers of `runtime` (whose server is set) and the secrets of LTI 1.1. Generates what is not configured and not there yet. */
apr_status_t mod_lti_state_load(lti_runtime_t *runtime, const lti_server_config_t *conf, apr_pool_t *pconf, apr_pool_t *ptemp, lti_err_t *err);

#endif
