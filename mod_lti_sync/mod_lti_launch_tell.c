/* SPDX-License-Identifier: Apache-2.0 */
/* The story of a launch at debug level: what an administrator reads who asks where one went wrong. */
#include "mod_lti_launch_parts.h"

#include <string.h>
#include <apr_strings.h>
#include <http_log.h>

#include "lti_role.h"

APLOG_USE_MODULE(lti_sync);

/* An address without its query, which may hold anything. */
static const char *place_of(const char *url, apr_pool_t *p)
{
    return apr_pstrmemdup(p, url, strcspn(url, "?#"));
}

void mod_lti_launch_tell_login(request_rec *r, const lti_platform_t *platform, const lti_state_t *state)
{
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "LTI0760: launch %s: a login from platform %s, deployment %s, for %s; the browser is sent to %s with cookie %s",
                  state->launch_id, platform->name, state->deployment_id != NULL ? state->deployment_id : "not said",
                  place_of(state->target, r->pool), place_of(platform->authorization_endpoint, r->pool), state->cookie_name);
}

void mod_lti_launch_tell_answer(request_rec *r, const lti_state_t *state, int bound, int is_error)
{
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "LTI0761: launch %s: platform %s answered with %s; the browser %s cookie %s",
                  state->launch_id, state->platform, is_error ? "an error" : "a token", bound ? "brought its" : "came without its",
                  state->cookie_name);
}

void mod_lti_launch_tell_signature(request_rec *r, const lti_state_t *state, const char *kid, const char *algorithm)
{
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "LTI0762: launch %s: platform %s, the signature is good: key %.100s, %s",
                  state->launch_id, state->platform, kid != NULL ? kid : "without a name", algorithm);
}

void mod_lti_launch_tell_claims(request_rec *r, const lti_launch_t *launch)
{
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "LTI0763: launch %s: platform %s, deployment %s, course %s (context %s), person %s, %s, %s a roster service",
                  launch->id, launch->platform, launch->deployment_id, launch->course_key != NULL ? launch->course_key : "(none)",
                  launch->context_id != NULL ? launch->context_id : "none",
                  launch->user_id != NULL ? launch->user_id : "without a name", lti_role_word(launch->role),
                  launch->nrps_url != NULL ? "with" : "without");
}

void mod_lti_launch_tell_kept(request_rec *r, const lti_launch_t *launch, const char *cookie_name, apr_time_t expires_at,
                              int first_roster)
{
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "LTI0764: launch %s: platform %s, course %s: admitted for %" APR_TIME_T_FMT " s by cookie %s%s", launch->id,
                  launch->platform, launch->course_key != NULL ? launch->course_key : "(none)",
                  apr_time_sec(expires_at - launch->launched_at), cookie_name,
                  first_roster ? "; the course's first roster is on its way" : "");
}
