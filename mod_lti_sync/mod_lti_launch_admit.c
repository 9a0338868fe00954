/* SPDX-License-Identifier: Apache-2.0 */
/* Which deployments may launch: those of the configuration, and under `LTIDeployment ask` those that an administrator accepted. */
#include "mod_lti_launch_parts.h"

#include "lti_admission.h"

/*
 * What shared memory says is up to two seconds old. A yes is taken from there: what was withdrawn since gets a session that ends at
 * once. A no is asked for again, so that whoever was accepted need not try twice; one that waits is looked for in the database anyway.
 */
static int is_accepted(const lti_admission_t *table, const lti_platform_t *platform, const char *deployment_id)
{
    const lti_admission_question_t question = {.platform = platform, .deployment_id = deployment_id};
    lti_admission_answer_t answer;

    return lti_platform_accepts(platform, deployment_id) ||
           (lti_admission_ask(&answer, table, &question) && answer.status == LTI_DEPLOYMENT_ACCEPTED);
}

apr_status_t mod_lti_launch_admit(request_rec *r, lti_db_t *db, const lti_platform_t *platform, const lti_launch_t *launch,
                                  lti_err_t *err)
{
    lti_deployment_status_t status = LTI_DEPLOYMENT_UNSEEN;
    apr_status_t rv;

    if (is_accepted(mod_lti_config_of(r->server)->runtime->admission, platform, launch->deployment_id))
        return APR_SUCCESS;
    rv = lti_db_deployment_seen(&status, db, platform->name, launch->deployment_id, launch->context_title, launch->launched_at,
                                r->pool, err);
    if (rv != APR_SUCCESS || status == LTI_DEPLOYMENT_ACCEPTED)
        return rv;
    if (status == LTI_DEPLOYMENT_WITHDRAWN)
        return lti_fail(err, LTI_E_DEPLOYMENT_WITHDRAWN, APR_EACCES, "platform %s, deployment %.150s was withdrawn", platform->name,
                        launch->deployment_id);
    if (status == LTI_DEPLOYMENT_UNSEEN)
        return lti_fail(err, LTI_E_DEPLOYMENT_WAITING, APR_EACCES,
                        "platform %s, deployment %.80s is not accepted, nor remembered as waiting: %d wait already", platform->name,
                        launch->deployment_id, LTI_DB_WAITING_MAX);
    return lti_fail(err, LTI_E_DEPLOYMENT_WAITING, APR_EACCES,
                    "platform %s, deployment %.120s waits for an administrator (SPEC K-04)", platform->name, launch->deployment_id);
}
