/* SPDX-License-Identifier: Apache-2.0 */
/* The session of a request: the cookies that the browser sent, opened, and held against the configuration and against who may. */
#include "mod_lti_identity_parts.h"

#include <apr_strings.h>
#include <http_log.h>

#include "lti_admission.h"
#include "lti_db.h"
#include "lti_surplus.h"
#include "mod_lti_cookie.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define CANDIDATES_MAX 16                  /* session cookies that are tried, the newest first */
#define MEMORY_BEHIND apr_time_from_sec(5) /* so far is shared memory behind the database at the most; two seconds are the rule */

/* --- cookies --------------------------------------------------------------------------------------------------------- */

typedef struct candidate_t {
    mod_lti_cookie_t cookie;
    apr_time_t launched;
} candidate_t;

/* Those of the first request: the others may be made when our cookies are withheld already. */
static const char *cookies_of(request_rec *r)
{
    mod_lti_identity_record_t *record;

    while (r->main != NULL || r->prev != NULL)
        r = r->main != NULL ? r->main : r->prev;
    record = mod_lti_identity_record(r);
    if (record->cookies == NULL)
        record->cookies = apr_table_get(r->headers_in, "Cookie");
    return record->cookies;
}

static int is_of_key(const mod_lti_cookie_t *cookie, apr_size_t prefix_length, const char *key)
{
    return cookie->name_length == prefix_length + 1 + LTI_SESSION_KEY_LENGTH &&
           memcmp(cookie->name + prefix_length + 1, key, LTI_SESSION_KEY_LENGTH) == 0;
}

/*
 * Session cookies of the request, newest first (of one second: the last that the browser names, which it got last), at most CANDIDATES_MAX. With `key` only
 * that one.
 */
static int collect_candidates(candidate_t *candidates, request_rec *r, const char *prefix, const char *key)
{
    const char *at = cookies_of(r);
    apr_size_t length = strlen(prefix);
    candidate_t found;
    int count = 0;

    while (mod_lti_cookie_next(&found.cookie, &at)) {
        int place;

        if (found.cookie.name_length < length + 2 || memcmp(found.cookie.name, prefix, length) != 0 ||
            found.cookie.name[length] != '_' || (key != NULL && !is_of_key(&found.cookie, length, key)))
            continue;
        found.launched = lti_session_peek(found.cookie.value);
        if (found.launched == 0)
            continue;
        for (place = count; place > 0 && candidates[place - 1].launched <= found.launched; place--) {
            if (place < CANDIDATES_MAX)
                candidates[place] = candidates[place - 1];
        }
        if (place < CANDIDATES_MAX)
            candidates[place] = found;
        if (count < CANDIDATES_MAX)
            count++;
    }
    return count;
}

/* --- the session --------------------------------------------------------------------------------------------------------- */

static apr_status_t read_surplus(const char **surplus, request_rec *r, const lti_server_config_t *conf, const char *id,
                                 lti_err_t *err)
{
    mod_lti_store_t store;
    apr_status_t rv = mod_lti_store_lookup_open(&store, conf->db_server, r->pool, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_launch_read(surplus, store.db, id, r->pool, err);
    mod_lti_store_lookup_done(&store, rv != APR_SUCCESS && rv != APR_NOTFOUND);
    return rv == APR_NOTFOUND ? lti_fail(err, LTI_E_NOT_FOUND, rv, "it is not in the launch table") : rv;
}

/* What did not fit into the cookie: from memory, else from the database. 0: it is missing, which costs optional details, not the session. */
static int add_surplus(lti_session_t *session, request_rec *r, const lti_server_config_t *conf, apr_time_t now)
{
    lti_surplus_t *copies = conf->runtime->surplus;
    const char *id = session->launch.id, *surplus = lti_surplus_get(copies, id, now, r->pool);
    lti_err_t err;
    apr_status_t rv;

    if (surplus != NULL && lti_session_add_surplus(session, surplus, r->pool, NULL) == APR_SUCCESS)
        return 1;
    rv = read_surplus(&surplus, r, conf, id, &err);
    if (rv == APR_SUCCESS)
        rv = lti_session_add_surplus(session, surplus, r->pool, &err);
    if (rv == APR_SUCCESS) {
        (void)lti_surplus_put(copies, id, surplus, session->expires_at, now);
        return 1;
    }
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r,
                  "LTI0102: the details of launch %s that do not fit into its cookie are missing: %s", id, err.text);
    return 0;
}

/* The same answer from the database that shared memory would give. */
static apr_status_t ask_admission(lti_admission_answer_t *answer, request_rec *r, const lti_server_config_t *conf,
                                  const lti_admission_question_t *question, lti_err_t *err)
{
    mod_lti_store_t store;
    apr_status_t rv = mod_lti_store_lookup_open(&store, conf->db_server, r->pool, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_admission_read(&answer->status, &answer->ended_at, store.db, question->platform->name, question->deployment_id,
                               question->course_key, question->user_id, r->pool, err);
    mod_lti_store_lookup_done(&store, rv != APR_SUCCESS);
    return rv;
}

/*
 * Whether sessions of this deployment are still wanted and this one was not ended (Invariant 11). LTI_E_SESSION_INVALID, LTI_E_SESSION_ENDED; or
 * LTI_E_ROSTER_UNAVAILABLE, when nobody can tell and the launch is not of the last minutes.
 */
static apr_status_t check_admission(request_rec *r, const lti_server_config_t *conf, const lti_platform_t *platform,
                                    const lti_launch_t *launch, apr_time_t now, lti_err_t *err)
{
    const lti_admission_question_t question = {
        .platform = platform, .deployment_id = launch->deployment_id, .course_key = launch->course_key, .user_id = launch->user_id};
    int configured = lti_platform_accepts(platform, launch->deployment_id);
    lti_admission_answer_t answer, later;

    if (!configured && platform->deployments != LTI_DEPLOYMENT_ASK)
        return lti_fail(err, LTI_E_SESSION_INVALID, APR_EACCES, "the session is of a deployment that is not accepted any more");
    if (!lti_admission_ask(&answer, conf->runtime->admission, &question) &&
        ask_admission(&answer, r, conf, &question, err) != APR_SUCCESS) {
        if (now - launch->launched_at <= SERVED_WITHOUT_ROSTER)
            return APR_SUCCESS;
        err->code = LTI_E_ROSTER_UNAVAILABLE;
        return APR_EAGAIN;
    }
    /* Its launch was let in just now: shared memory need not know yet that somebody has accepted the deployment. */
    if (!configured && answer.status != LTI_DEPLOYMENT_ACCEPTED && now - launch->launched_at < MEMORY_BEHIND &&
        ask_admission(&later, r, conf, &question, err) == APR_SUCCESS)
        answer = later;
    if (!configured && answer.status != LTI_DEPLOYMENT_ACCEPTED)
        return lti_fail(err, LTI_E_SESSION_ENDED, APR_EACCES, "deployment %.100s of platform %s is not accepted any more",
                        launch->deployment_id, platform->name);
    if (launch->launched_at <= answer.ended_at)
        return lti_fail(err, LTI_E_SESSION_ENDED, APR_EACCES,
                        "sessions of launches up to %" APR_TIME_T_FMT " s ago were ended, this one is older",
                        apr_time_sec(now - answer.ended_at));
    return APR_SUCCESS;
}

/* The cookie's value; one that ends the header, as that of most browsers, needs no copy. */
static const char *text_of(const mod_lti_cookie_t *cookie, apr_pool_t *p)
{
    return cookie->value[cookie->value_length] == '\0' ? cookie->value : apr_pstrmemdup(p, cookie->value, cookie->value_length);
}

/*
 * The session in this cookie; without one `err` tells why. A failure with a session is that nobody can tell whether it was ended: it counts, and the request
 * is refused.
 */
static apr_status_t open_candidate(mod_lti_identity_t *identity, const candidate_t *candidate, request_rec *r,
                                   const lti_server_config_t *conf, apr_time_t now)
{
    const char *name = apr_pstrmemdup(r->pool, candidate->cookie.name, candidate->cookie.name_length);
    const char *value = text_of(&candidate->cookie, r->pool);
    lti_session_t *session = NULL;
    apr_status_t rv = lti_session_open(&session, conf->runtime->session_sealer, conf->base_url, name, value, now,
                                       conf->session_idle, r->pool, &identity->err);

    if (rv != APR_SUCCESS) {
        if (identity->ended == NULL)
            identity->ended = session;
        return rv;
    }
    identity->platform = lti_platform_by_name(conf->platforms, session->launch.platform);
    if (identity->platform == NULL || strcmp(identity->platform->issuer, session->launch.issuer) != 0 ||
        strcmp(identity->platform->client_id, session->launch.client_id) != 0) {
        identity->platform = NULL;
        return lti_fail(&identity->err, LTI_E_SESSION_INVALID, APR_EINVAL,
                        "the session is of a registration that is not configured here any more");
    }
    rv = check_admission(r, conf, identity->platform, &session->launch, now, &identity->err);
    if (rv != APR_SUCCESS && identity->err.code != LTI_E_ROSTER_UNAVAILABLE) {
        identity->platform = NULL;
        return rv;
    }
    identity->session = session;
    identity->cookie_name = name;
    if (rv != APR_SUCCESS) {
        identity->standing = MOD_LTI_REFUSED;
        identity->unjudged = 1;
        return rv;
    }
    identity->incomplete = session->has_surplus && !add_surplus(session, r, conf, now);
    return APR_SUCCESS;
}

/* All sessions that are alive, newest first, each as far as it is known without the roster: of const mod_lti_identity_t *. */
static apr_array_header_t *open_all(const candidate_t *candidates, int count, request_rec *r, const lti_server_config_t *conf,
                                    apr_time_t now)
{
    apr_array_header_t *all = apr_array_make(r->pool, count, sizeof(const mod_lti_identity_t *));
    int i, k;

    for (i = 0; i < count; i++) {
        mod_lti_identity_t *identity = apr_pcalloc(r->pool, sizeof(*identity));

        (void)open_candidate(identity, &candidates[i], r, conf, now);
        for (k = 0; k < all->nelts && identity->session != NULL; k++) {
            if (strcmp(identity->cookie_name, APR_ARRAY_IDX(all, k, const mod_lti_identity_t *)->cookie_name) == 0)
                identity->session = NULL; /* the same cookie, twice in the header */
        }
        if (identity->session != NULL)
            APR_ARRAY_PUSH(all, const mod_lti_identity_t *) = identity;
    }
    return all;
}

apr_array_header_t *mod_lti_identity_sessions(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    candidate_t candidates[CANDIDATES_MAX];
    int count = collect_candidates(candidates, r, conf->cookie_name, NULL);

    return open_all(candidates, count, r, conf, mod_lti_store_now());
}

apr_status_t mod_lti_identity_find_session(mod_lti_identity_t *identity, request_rec *r, const lti_server_config_t *conf,
                                           apr_time_t now)
{
    const mod_lti_identity_record_t *record = mod_lti_identity_record(r);
    const char *key = record->segment != NULL ? record->segment->key : NULL;
    candidate_t candidates[CANDIDATES_MAX];
    int count = collect_candidates(candidates, r, conf->cookie_name, key), i;

    if (count == 0)
        return lti_fail(&identity->err, LTI_E_SESSION_NONE, APR_NOTFOUND, "the request has no session cookie%s%s",
                        key != NULL ? " of its address's key " : "", key != NULL ? key : "");
    if (record->only && open_all(candidates, count, r, conf, now)->nelts > 1)
        return lti_fail(&identity->err, LTI_E_SESSION_AMBIGUOUS, APR_EINVAL,
                        "several courses are open in this browser, and the address names none");
    for (i = 0; i < count; i++) {
        apr_status_t rv = open_candidate(identity, &candidates[i], r, conf, now);

        if (identity->session != NULL)
            return rv;
    }
    return identity->err.status;
}
