/* SPDX-License-Identifier: Apache-2.0 */
/* Who may: deployments and ended sessions from the database into shared memory, and what the nodes tell each other. */
#include "lti_refresh_admission.h"

#include <apr_strings.h>
#include <string.h>

#define MINUTE apr_time_from_sec(60)

#define READ_ANYWAY (10 * MINUTE) /* for rows that somebody wrote by hand without counting the number up */
#define NODE_EVERY MINUTE
#define NODE_SECRET_FOR (10 * MINUTE) /* a node that serves now */
#define KEYS_SPREAD apr_time_from_sec(3) /* until all nodes serve a key that one of them has just told of */

struct lti_admitter_t {
    const lti_refresh_options_t *options;
    int loaded;
    apr_int64_t seen; /* number up to which shared memory is filled */
    apr_time_t read_anyway_at;
    apr_time_t node_at;
    apr_time_t keys_known_at; /* all nodes serve ours from then on; 0: they were not told yet */
    int misfit_reported;
    int secret_reported;
};

lti_admitter_t *lti_admitter_create(const lti_refresh_options_t *options, apr_pool_t *p)
{
    lti_admitter_t *made = apr_pcalloc(p, sizeof(*made));

    made->options = options;
    return made;
}

static void tell(const lti_admitter_t *admitter, lti_event_kind_t kind, const lti_err_t *err)
{
    lti_event_t event = {.kind = kind, .err = err};

    admitter->options->on_event(admitter->options->baton, &event);
}

/* Is it time? A clock that was set back must not put it off. */
static int is_time(apr_time_t at, apr_time_t now, apr_interval_time_t every)
{
    return now >= at || at - now > every;
}

/* --- the table ---------------------------------------------------------------------------------------------------------- */

static apr_status_t note_deployment(void *baton, const char *platform, const char *deployment_id, lti_deployment_status_t status,
                                    apr_time_t ended_at, apr_time_t first_seen_at, apr_time_t seen_at, const char *context_title,
                                    lti_err_t *err)
{
    (void)err;
    APR_ARRAY_PUSH((apr_array_header_t *)baton, lti_deployment_t) = (lti_deployment_t){.platform = platform,
                                                                                       .deployment_id = deployment_id,
                                                                                       .status = status,
                                                                                       .ended_at = ended_at,
                                                                                       .first_seen_at = first_seen_at,
                                                                                       .seen_at = seen_at,
                                                                                       .context_title = context_title};
    return APR_SUCCESS;
}

static apr_status_t note_ended(void *baton, const char *platform, const char *user_id, const char *course_key,
                               const char *deployment_id, apr_time_t ended_at, lti_err_t *err)
{
    (void)err;
    APR_ARRAY_PUSH((apr_array_header_t *)baton, lti_ended_t) = (lti_ended_t){
        .platform = platform, .user_id = user_id, .course_key = course_key, .deployment_id = deployment_id, .ended_at = ended_at};
    return APR_SUCCESS;
}

static void report_misfits(lti_admitter_t *admitter, int misfits, int deployments, int ended)
{
    lti_err_t why;

    if (misfits == 0) {
        admitter->misfit_reported = 0;
        return;
    }
    if (admitter->misfit_reported)
        return;
    admitter->misfit_reported = 1;
    lti_fail(&why, LTI_E_SNAPSHOT_FULL, APR_ENOSPC, "%d of %d deployments and %d ended sessions", misfits, deployments, ended);
    tell(admitter, LTI_EVENT_ADMISSION_FULL, &why);
}

static apr_status_t fill(lti_admitter_t *admitter, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_array_header_t *deployments = apr_array_make(ptemp, 16, sizeof(lti_deployment_t));
    apr_array_header_t *ended = apr_array_make(ptemp, 16, sizeof(lti_ended_t));
    apr_status_t rv = lti_db_deployments_each(db, note_deployment, deployments, ptemp, err);
    int misfits;

    if (rv == APR_SUCCESS)
        rv = lti_db_ended_each(db, note_ended, ended, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    misfits = lti_admission_fill(admitter->options->admission, admitter->options->platforms, deployments, ended);
    report_misfits(admitter, misfits, deployments->nelts, ended->nelts);
    return APR_SUCCESS;
}

/* --- the nodes ---------------------------------------------------------------------------------------------------------- */

typedef struct gathering_t {
    const lti_refresh_options_t *options;
    apr_array_header_t *key_sets; /* of const char *: the other nodes' */
    const char *stranger;         /* a node that serves now with another secret */
    int told;                     /* our keys are in the table */
} gathering_t;

static int has_word(const char *words, const char *word, apr_size_t length)
{
    while (*words != '\0') {
        apr_size_t present = strcspn(words, " ");

        if (present == length && strncmp(words, word, length) == 0)
            return 1;
        words += present;
        words += strspn(words, " ");
    }
    return 0;
}

/* Each opens what the other seals: the first secret seals, all of them open. So a secret can be rotated node by node. */
static int secrets_agree(const char *ours, const char *theirs)
{
    return has_word(theirs, ours, strcspn(ours, " ")) && has_word(ours, theirs, strcspn(theirs, " "));
}

static apr_status_t note_node(void *baton, const char *node, const char *jwks, const char *fingerprint, apr_time_t seen_at,
                              lti_err_t *err)
{
    gathering_t *gathering = baton;
    const lti_refresh_options_t *options = gathering->options;

    (void)err;
    if (jwks != NULL && strcmp(jwks, options->toolkeys->jwks) == 0)
        gathering->told = 1;
    if (node == NULL || strcmp(node, options->node_name) == 0)
        return APR_SUCCESS;
    APR_ARRAY_PUSH(gathering->key_sets, const char *) = jwks;
    if (gathering->stranger == NULL && options->now() - seen_at < NODE_SECRET_FOR && fingerprint != NULL &&
        !secrets_agree(options->fingerprint, fingerprint))
        gathering->stranger = node;
    return APR_SUCCESS;
}

static void report_stranger(lti_admitter_t *admitter, const char *node)
{
    lti_err_t why;

    if (node == NULL) {
        admitter->secret_reported = 0;
        return;
    }
    if (admitter->secret_reported)
        return;
    admitter->secret_reported = 1;
    lti_fail(&why, LTI_E_CONFIG, APR_EINVAL, "node %s", node);
    tell(admitter, LTI_EVENT_SECRET_DIFFERS, &why);
}

/* What the end point serves. Should it not be taken, what was shared before is served on, and the next time is within a minute. */
static void share_keys(const lti_refresh_options_t *options, const apr_array_header_t *others, apr_pool_t *ptemp)
{
    const char *jwks = lti_toolkeys_merge(options->toolkeys, others, ptemp);

    if (options->keycache != NULL && (!lti_toolkeys_is_shared(options->keycache, ptemp) ||
                                      strcmp(jwks, lti_toolkeys_union(options->keycache, options->toolkeys, ptemp)) != 0))
        (void)lti_toolkeys_share(options->keycache, jwks, options->now(), NULL);
}

/* A platform that is shown a new key asks whichever node the load balancer picks for it. */
static apr_status_t wait_for_keys(lti_admitter_t *admitter, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    gathering_t gathering = {.options = admitter->options, .key_sets = apr_array_make(ptemp, 4, sizeof(const char *))};
    apr_status_t rv = lti_db_nodes_each(db, now - LTI_NODE_KEYS_FOR, note_node, &gathering, ptemp, err);

    if (rv == APR_SUCCESS)
        admitter->keys_known_at = gathering.told || gathering.key_sets->nelts == 0 ? now : now + KEYS_SPREAD;
    return rv;
}

static apr_status_t meet_nodes(lti_admitter_t *admitter, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    const lti_refresh_options_t *options = admitter->options;
    gathering_t gathering = {.options = options, .key_sets = apr_array_make(ptemp, 4, sizeof(const char *))};
    apr_status_t rv = APR_SUCCESS;

    if (admitter->keys_known_at == 0)
        rv = wait_for_keys(admitter, db, now, ptemp, err);
    if (rv == APR_SUCCESS && is_time(admitter->node_at, now, NODE_EVERY)) {
        rv = lti_db_node_write(db, options->node_name, options->toolkeys->jwks, options->fingerprint, now, ptemp, err);
        if (rv == APR_SUCCESS)
            admitter->node_at = now + NODE_EVERY;
    }
    if (rv == APR_SUCCESS)
        rv = lti_db_nodes_each(db, now - LTI_NODE_KEYS_FOR, note_node, &gathering, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    share_keys(options, gathering.key_sets, ptemp);
    report_stranger(admitter, gathering.stranger);
    return APR_SUCCESS;
}

/* --- following ---------------------------------------------------------------------------------------------------------- */

static apr_status_t read_all(lti_admitter_t *admitter, lti_db_t *db, int moved, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    const lti_refresh_options_t *options = admitter->options;
    apr_status_t rv = APR_SUCCESS;

    if (moved && options->admission != NULL)
        rv = fill(admitter, db, ptemp, err);
    if (rv == APR_SUCCESS && options->node_name != NULL)
        rv = meet_nodes(admitter, db, now, ptemp, err);
    return rv;
}

apr_status_t lti_admitter_follow(lti_admitter_t *admitter, lti_db_t *db, apr_int64_t number, apr_pool_t *p, lti_err_t *err)
{
    apr_time_t now = admitter->options->now();
    int moved = !admitter->loaded || number != admitter->seen || is_time(admitter->read_anyway_at, now, READ_ANYWAY);
    apr_pool_t *ptemp = NULL;
    apr_status_t rv;

    if (!moved && !(admitter->options->node_name != NULL && is_time(admitter->node_at, now, NODE_EVERY)))
        return APR_SUCCESS;
    rv = apr_pool_create(&ptemp, p);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for the table of who may");
    rv = read_all(admitter, db, moved, now, ptemp, err);
    apr_pool_destroy(ptemp);
    if (rv == APR_SUCCESS && moved) {
        admitter->loaded = 1;
        admitter->seen = number;
        admitter->read_anyway_at = now + READ_ANYWAY;
    }
    return rv;
}

int lti_admitter_is_known(const lti_admitter_t *admitter)
{
    return admitter->options->node_name == NULL ||
           (admitter->keys_known_at != 0 && is_time(admitter->keys_known_at, admitter->options->now(), KEYS_SPREAD));
}
