/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_groups: the Course Groups Service (SPEC 7.2): what the groups of a course are called. Who is in them the roster tells (group_enrollments, by id). The transfers belong to
 * the refresh engine; a service that fails costs names, never a roster.
 *
 * Names are kept as a map, a JSON object: group id -> name, or null for a group that its teachers hide, which nobody is told of. Watch thread only.
 */
#ifndef LTI_GROUPS_H
#define LTI_GROUPS_H

#include <apr_pools.h>
#include <jansson.h>
#include "lti_err.h"
#include "lti_http.h"
#include "lti_platform.h"

#define LTI_SCOPE_GROUPS "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"
#define LTI_GROUPS_MEDIA_TYPE "application/vnd.ims.lti-gs.v1.contextgroupcontainer+json"
#define LTI_GROUPS_PAGE_MAX (1024 * 1024)
#define LTI_GROUPS_PAGES_MAX 100
#define LTI_GROUPS_MAX 5000 /* of one course */

/** The request for a page of groups at `url`. */
void lti_groups_request(lti_http_request_t *request, const lti_platform_t *platform, const char *url, const char *token,
                        apr_pool_t *p);

/** Is the body of this answer a page of groups? LTI_E_ROSTER_FORBIDDEN, LTI_E_ROSTER_TYPE, LTI_E_HTTP_STATUS, with err->detail = the HTTP status. */
apr_status_t lti_groups_check_answer(const lti_http_response_t *response, const char *excerpt, lti_err_t *err);

/** Adds the groups of a page to `map`; one whose name is empty or longer than LTI_NAME_MAX goes by its id. LTI_E_ROSTER_MALFORMED; LTI_E_ROSTER_LIMIT: more than
 * LTI_GROUPS_MAX. */
apr_status_t lti_groups_read(json_t *map, const char *body, apr_size_t size, apr_pool_t *ptemp, lti_err_t *err);

/** A map as it was stored; NULL for NULL and for what is none. */
json_t *lti_groups_map(const char *text, apr_pool_t *p);

#endif
