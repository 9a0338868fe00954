/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_segment: the shared memory of a generation of httpd, made by the parent before it forks:
 *
 *   kick word | meter | turn | bell | mailbox | key sets | surplus | who may | rosters
 *
 * At a graceful reload the parent still has the segment of the generation before. If the database is the same and the module too, rosters are copied, and with the same platforms
 * who may and what was counted, so that the new generation knows them before its first request; then the parent lets go of the old one, which goes with its last child.
 */
#ifndef MOD_LTI_SEGMENT_H
#define MOD_LTI_SEGMENT_H

#include "mod_lti_config.h"

/** post_config: fills what `runtime` has in shared memory; its server is set. `platforms` of const lti_platform_t *. LTI_E_CONFIG: there is not that much memory. */
apr_status_t mod_lti_segment_make(lti_runtime_t *runtime, const lti_server_config_t *conf, const apr_array_header_t *platforms,
                                  apr_pool_t *ptemp, lti_err_t *err);

/** post_config of a configuration without platforms: lets go of what an earlier one had. */
void mod_lti_segment_give_up(void);

#endif
