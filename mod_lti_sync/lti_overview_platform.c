/* SPDX-License-Identifier: Apache-2.0 */
/* lti_overview: the platforms. */
#include "lti_overview_parts.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_json.h"

#define TRIED_AND_FAILED apr_time_from_sec(20) /* longer than a fetch lasts */

static json_t *urls_object(const lti_overview_t *overview, apr_pool_t *p)
{
    static const char *const names[] = {"login", "launch", "jwks"};
    json_t *object = json_object();
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        lti_overview_set(object, names[i], apr_pstrcat(p, overview->base_url, "/", names[i], NULL));
    return object;
}

static json_t *key_set_object(const lti_overview_t *overview, const lti_platform_t *platform)
{
    apr_time_t fetched_at = 0, tried_at = 0;
    json_t *object = json_object();
    int failed;

    if (overview->keycache != NULL)
        lti_keycache_times(&fetched_at, &tried_at, overview->keycache, platform->index);
    /* What is being fetched right now has not failed. */
    failed = tried_at > fetched_at && overview->now - tried_at > TRIED_AND_FAILED;
    lti_json_set_time(object, "fetched_at", fetched_at);
    lti_overview_set_age(object, "age", overview, fetched_at);
    lti_overview_set(object, "error", failed ? "the last try to fetch it failed" : NULL);
    return object;
}

static json_t *token_object(const lti_overview_t *overview, const lti_db_platform_t *facts, apr_pool_t *p)
{
    json_t *object = json_object(), *scopes = json_array();
    char *left = facts->scopes != NULL ? apr_pstrdup(p, facts->scopes) : NULL, *scope;

    for (scope = left != NULL ? strtok_r(left, " ", &left) : NULL; scope != NULL; scope = strtok_r(NULL, " ", &left))
        json_array_append_new(scopes, json_string(scope));
    lti_json_set_time(object, "given_at", facts->token_at);
    lti_overview_set_age(object, "age", overview, facts->token_at);
    json_object_set_new(object, "scopes", scopes);
    lti_overview_set(object, "error",
                     facts->error_name == NULL   ? NULL
                     : facts->error_text == NULL ? facts->error_name
                                                 : apr_pstrcat(p, facts->error_name, ": ", facts->error_text, NULL));
    lti_json_set_time(object, "error_at", facts->error_at);
    return object;
}

/** Deployments of all platforms, as they are read. */
typedef struct deployments_t {
    const lti_overview_answer_t *answer;
    json_t **lists; /* a list for each platform */
} deployments_t;

static apr_status_t take_deployment(void *baton, const char *platform, const char *deployment_id, lti_deployment_status_t status,
                                    apr_time_t ended_at, apr_time_t first_seen_at, apr_time_t seen_at, const char *context_title,
                                    lti_err_t *err)
{
    static const char *const words[] = {
        [LTI_DEPLOYMENT_WAITING] = "waiting", [LTI_DEPLOYMENT_ACCEPTED] = "accepted", [LTI_DEPLOYMENT_WITHDRAWN] = "withdrawn"};
    const deployments_t *deployments = baton;
    const lti_overview_platform_t *of = lti_overview_platform_of(deployments->answer, platform);
    json_t *object;

    (void)ended_at;
    (void)err;
    if (of == NULL || (int)status < 0 || status > LTI_DEPLOYMENT_WITHDRAWN)
        return APR_SUCCESS;
    object = json_object();
    lti_overview_set(object, "deployment", deployment_id);
    lti_overview_set(object, "status", words[status]);
    lti_json_set_time(object, "first_seen_at", first_seen_at);
    lti_json_set_time(object, "seen_at", seen_at);
    lti_overview_set(object, "context_title", context_title);
    json_array_append_new(
        deployments->lists[of - (const lti_overview_platform_t *)(const void *)deployments->answer->platforms->elts], object);
    return APR_SUCCESS;
}

static json_t *old_launches(const lti_overview_answer_t *answer, const lti_platform_t *platform)
{
    json_t *list = json_array();
    int i;

    for (i = 0; i < answer->old->nelts; i++) {
        const lti_db_old_launch_t *launch = &APR_ARRAY_IDX(answer->old, i, lti_db_old_launch_t);
        json_t *object;

        if (!lti_overview_old_is_of(answer, launch, platform))
            continue;
        object = json_object();
        lti_overview_set(object, "consumer_key", launch->consumer_key);
        lti_overview_set(object, "instance", launch->instance);
        lti_overview_set(object, "product", launch->product);
        lti_overview_set(object, "context_title", launch->context_title);
        lti_json_set_time(object, "seen_at", launch->seen_at);
        json_array_append_new(list, object);
    }
    return list;
}

static const char *rule_of(const lti_platform_t *platform)
{
    return platform->deployments == LTI_DEPLOYMENT_ASK ? "ask" : platform->deployments == LTI_DEPLOYMENT_LIST ? "list" : "any";
}

static apr_status_t add_platform(json_t *list, const lti_overview_answer_t *answer, const lti_overview_platform_t *one,
                                 json_t *deployments, lti_err_t *err)
{
    const lti_overview_t *overview = answer->overview;
    const lti_platform_t *platform = one->platform;
    const lti_db_platform_t *facts = &one->facts;
    json_t *object = json_object();
    lti_diagnosis_t diagnosis;
    apr_int64_t courses = 0;
    apr_status_t rv;

    json_array_append_new(list, object);
    lti_overview_set(object, "platform", platform->name);
    lti_overview_set(object, "family", lti_family_name(platform->family));
    lti_overview_set(object, "issuer", platform->issuer);
    lti_overview_set(object, "client_id", platform->client_id);
    json_object_set_new(object, "urls", urls_object(overview, answer->pool));
    json_object_set_new(object, "key_set", key_set_object(overview, platform));
    json_object_set_new(object, "token", token_object(overview, facts, answer->pool));
    json_object_set_new(object, "clock_offset",
                        facts->clock_at != 0 ? json_integer(apr_time_sec(facts->clock_offset)) : json_null());
    lti_json_set_time(object, "clock_at", facts->clock_at);
    lti_json_set_time(object, "launched_at", facts->launched_at);
    rv = lti_db_platform_courses(&courses, overview->db, platform->name, overview->known, answer->pool, err);
    json_object_set_new(object, "courses", json_integer(courses));
    lti_json_set_time(object, "paused_until", one->paused_until);
    lti_overview_set(object, "deployment_rule", rule_of(platform));
    json_object_set(object, "deployments", deployments);
    json_object_set_new(object, "old_launches", old_launches(answer, platform));
    lti_overview_judge_platform(&diagnosis, answer, one);
    json_object_set_new(object, "diagnosis", lti_overview_diagnosis(&diagnosis, answer->pool));
    return rv;
}

apr_status_t lti_overview_platforms(json_t **platforms, const lti_overview_t *overview, apr_pool_t *p, lti_err_t *err)
{
    lti_overview_answer_t answer;
    deployments_t deployments = {.answer = &answer};
    apr_status_t rv = lti_overview_begin(&answer, overview, p, err);
    int i;

    *platforms = lti_json_own(json_array(), p);
    if (rv != APR_SUCCESS)
        return rv;
    deployments.lists = apr_palloc(p, (apr_size_t)answer.platforms->nelts * sizeof(json_t *));
    for (i = 0; i < answer.platforms->nelts; i++)
        deployments.lists[i] = lti_json_own(json_array(), p);
    rv = lti_db_deployments_each(overview->db, take_deployment, &deployments, p, err);
    for (i = 0; rv == APR_SUCCESS && i < answer.platforms->nelts; i++)
        rv = add_platform(*platforms, &answer, &APR_ARRAY_IDX(answer.platforms, i, lti_overview_platform_t), deployments.lists[i],
                          err);
    return rv;
}
