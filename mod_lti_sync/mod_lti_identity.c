/* SPDX-License-Identifier: Apache-2.0 */
/* Who makes this request: cookie, session, roster. */
#include "mod_lti_identity.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_request.h>

#include "lti_db.h"
#include "lti_surplus.h"
#include "mod_lti_cookie.h"
#include "mod_lti_page.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define CANDIDATES_MAX 8        /* session cookies that are tried, the newest first */
#define RENEWALS_IN_IDLE_TIME 8 /* so that few answers carry a cookie, and idle time is right to an eighth */
#define SERVED_WITHOUT_ROSTER apr_time_from_sec(300)

/* What this module keeps with a request. */
typedef struct request_record_t {
    const mod_lti_identity_t *identity;
    int live_roster; /* the rules of the directory under which it was judged */
    const char *template;
    const char *end_point;
    int pending;
} request_record_t;

static request_record_t *record_of(request_rec *r)
{
    request_record_t *record = ap_get_module_config(r->request_config, &lti_sync_module);

    if (record == NULL) {
        record = apr_pcalloc(r->pool, sizeof(*record));
        ap_set_module_config(r->request_config, &lti_sync_module, record);
    }
    return record;
}

/* --- end points ---------------------------------------------------------------------------------------------------- */

int mod_lti_identity_claim(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    apr_size_t length;

    if (!mod_lti_config_is_active(conf) || r->uri == NULL)
        return DECLINED;
    length = strlen(conf->path);
    if (strncmp(r->uri, conf->path, length) != 0 || r->uri[length] != '/')
        return DECLINED;
    record_of(r)->end_point = apr_pstrdup(r->pool, r->uri + length + 1);
    apr_table_setn(r->subprocess_env, "no-proxy", "1");
    return DECLINED;
}

const char *mod_lti_identity_end_point(request_rec *r)
{
    const request_record_t *record = ap_get_module_config(r->request_config, &lti_sync_module);

    return record != NULL ? record->end_point : NULL;
}

int mod_lti_identity_is_open(const char *end_point)
{
    static const char *const open_ones[] = {"login", "launch", "jwks", "logout"};
    apr_size_t i;

    for (i = 0; i < sizeof(open_ones) / sizeof(open_ones[0]); i++) {
        if (strcmp(end_point, open_ones[i]) == 0)
            return 1;
    }
    return 0;
}

const char *mod_lti_identity_base_url(request_rec *r)
{
    return mod_lti_config_of(r->server)->base_url;
}

void mod_lti_identity_set_pending(request_rec *r)
{
    record_of(r)->pending = 1;
}

/* --- cookies --------------------------------------------------------------------------------------------------------- */

typedef struct candidate_t {
    mod_lti_cookie_t cookie;
    apr_time_t launched;
} candidate_t;

/* Session cookies of the request, newest first (of one second: the last that the browser names, which it got last), at most CANDIDATES_MAX. */
static int collect_candidates(candidate_t *candidates, request_rec *r, const char *prefix)
{
    const char *at = apr_table_get(r->headers_in, "Cookie");
    apr_size_t length = strlen(prefix);
    candidate_t found;
    int count = 0;

    while (mod_lti_cookie_next(&found.cookie, &at)) {
        int place;

        if (found.cookie.name_length < length + 2 || memcmp(found.cookie.name, prefix, length) != 0 ||
            found.cookie.name[length] != '_')
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

/* The cookie's value; one that ends the header, as that of most browsers, needs no copy. */
static const char *text_of(const mod_lti_cookie_t *cookie, apr_pool_t *p)
{
    return cookie->value[cookie->value_length] == '\0' ? cookie->value : apr_pstrmemdup(p, cookie->value, cookie->value_length);
}

static apr_status_t find_session(mod_lti_identity_t *identity, request_rec *r, const lti_server_config_t *conf, apr_time_t now)
{
    candidate_t candidates[CANDIDATES_MAX];
    int count = collect_candidates(candidates, r, conf->cookie_name), i;

    if (count == 0)
        return lti_fail(&identity->err, LTI_E_SESSION_NONE, APR_NOTFOUND, "the request has no session cookie");
    for (i = 0; i < count; i++) {
        const char *name = apr_pstrmemdup(r->pool, candidates[i].cookie.name, candidates[i].cookie.name_length);
        const char *value = text_of(&candidates[i].cookie, r->pool);
        lti_session_t *session = NULL;

        if (lti_session_open(&session, conf->runtime->session_sealer, conf->base_url, name, value, now, conf->session_idle, r->pool,
                             &identity->err) != APR_SUCCESS)
            continue;
        identity->platform = lti_platform_by_name(conf->platforms, session->launch.platform);
        if (identity->platform == NULL || strcmp(identity->platform->issuer, session->launch.issuer) != 0 ||
            strcmp(identity->platform->client_id, session->launch.client_id) != 0) {
            identity->platform = NULL;
            lti_fail(&identity->err, LTI_E_SESSION_INVALID, APR_EINVAL,
                     "the session is of a registration that is not configured here any more");
            continue;
        }
        if (!lti_platform_accepts(identity->platform, session->launch.deployment_id)) {
            identity->platform = NULL;
            lti_fail(&identity->err, LTI_E_SESSION_INVALID, APR_EACCES,
                     "the session is of a deployment that is not accepted any more");
            continue;
        }
        identity->session = session;
        identity->cookie_name = name;
        identity->incomplete = session->has_surplus && !add_surplus(session, r, conf, now);
        return APR_SUCCESS;
    }
    return identity->err.status;
}

/* --- the roster ------------------------------------------------------------------------------------------------------------- */

/* The same answer from the database that the snapshot would give. */
static lti_snapshot_result_t ask_database(lti_snapshot_course_t *course, lti_snapshot_member_t *member, request_rec *r,
                                          const lti_server_config_t *conf, const lti_launch_t *launch, lti_err_t *err)
{
    mod_lti_store_t store;
    lti_course_t *row = NULL;
    lti_member_t *person = NULL;
    lti_snapshot_result_t result = LTI_SNAPSHOT_NO_ROSTER;
    apr_status_t rv = mod_lti_store_lookup_open(&store, conf->db_server, r->pool, err);

    if (rv != APR_SUCCESS)
        return LTI_SNAPSHOT_UNKNOWN;
    memset(course, 0, sizeof(*course));
    rv = lti_db_course_read(&row, store.db, launch->course_key, r->pool, err);
    if (rv == APR_SUCCESS) {
        course->version = row->version;
        course->active = (apr_uint32_t)row->active;
        course->state = row->state;
        course->succeeded_at = row->succeeded_at;
        course->stale_at = row->stale_at;
        if (row->succeeded_at != 0) {
            rv = lti_db_member_read(&person, store.db, launch->course_key, launch->user_id, r->pool, err);
            result = rv == APR_SUCCESS ? LTI_SNAPSHOT_MEMBER : LTI_SNAPSHOT_NO_MEMBER;
        }
    }
    mod_lti_store_lookup_done(&store, rv != APR_SUCCESS && rv != APR_NOTFOUND);
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return LTI_SNAPSHOT_UNKNOWN;
    if (result == LTI_SNAPSHOT_MEMBER) {
        member->status = person->status;
        member->status_at = person->status_at;
        member->role_at = person->role_at;
        member->role = lti_role_primary(person->roles, NULL);
        member->roles_length = (int)strlen(person->roles);
        apr_cpystrn(member->roles, person->roles, sizeof(member->roles));
    }
    return result;
}

static lti_roster_state_t standing_now(const lti_snapshot_course_t *course, apr_time_t now)
{
    if (course->state != LTI_ROSTER_NONE && course->state != LTI_ROSTER_PENDING && course->stale_at != 0 && now >= course->stale_at)
        return LTI_ROSTER_STALE;
    return course->state;
}

/* Invariant 3: evidence counts by time. */
static void judge_member(mod_lti_identity_t *identity, request_rec *r, const lti_snapshot_member_t *member, apr_time_t now)
{
    const lti_launch_t *launch = &identity->session->launch;

    identity->member_status = lti_member_status_word(member->status);
    identity->on_roster = member->status == LTI_MEMBER_ACTIVE;
    if (!mod_lti_config_live_roster(mod_lti_config_of_dir(r)))
        return;
    if (member->status != LTI_MEMBER_ACTIVE) {
        if (member->status_at > launch->launched_at) {
            identity->standing = MOD_LTI_REFUSED;
            lti_fail(&identity->err, LTI_E_MEMBER_LEFT, APR_EACCES,
                     "the roster of course %s says %s since %" APR_TIME_T_FMT " s, the launch is older", launch->course_key,
                     identity->member_status, apr_time_sec(now - member->status_at));
        }
    } else if (member->role_at > launch->launched_at) {
        identity->role = member->role;
        identity->roles = apr_pstrdup(r->pool, member->roles);
        identity->role_from_roster = 1;
    }
}

static void judge(mod_lti_identity_t *identity, request_rec *r, const lti_server_config_t *conf, apr_time_t now)
{
    const lti_launch_t *launch = &identity->session->launch;
    lti_snapshot_course_t course;
    lti_snapshot_member_t member;
    lti_snapshot_result_t result;
    lti_err_t err;

    if (launch->course_key == NULL || launch->user_id == NULL || (launch->role_flags & LTI_ROLE_FLAG_TEST_USER))
        return;
    result = lti_snapshot_lookup(conf->runtime->snapshot, launch->course_key, launch->user_id, &course, &member);
    if (result == LTI_SNAPSHOT_UNKNOWN)
        result = ask_database(&course, &member, r, conf, launch, &err);
    if (result == LTI_SNAPSHOT_UNKNOWN) {
        identity->roster_state = LTI_ROSTER_UNAVAILABLE;
        if (mod_lti_config_live_roster(mod_lti_config_of_dir(r)) && now - launch->launched_at > SERVED_WITHOUT_ROSTER) {
            identity->standing = MOD_LTI_REFUSED;
            identity->err = err;
            identity->err.code = LTI_E_ROSTER_UNAVAILABLE;
        }
        return;
    }
    identity->roster_state = standing_now(&course, now);
    identity->roster_size = course.active;
    identity->roster_time = course.succeeded_at;
    if (result == LTI_SNAPSHOT_MEMBER)
        judge_member(identity, r, &member, now);
}

/* --- the answer ------------------------------------------------------------------------------------------------------------- */

static void name_user(mod_lti_identity_t *identity, request_rec *r)
{
    const lti_launch_t *launch = &identity->session->launch;
    const lti_person_t person = {.sub = launch->user_id, .email = launch->email, .sourcedid = launch->sourcedid};

    if (launch->user_id == NULL) {
        identity->remote_user = "anonymous";
        return;
    }
    if (lti_remote_user(&identity->remote_user, mod_lti_config_remote_user(mod_lti_config_of_dir(r), identity->platform),
                        identity->platform, &person, r->pool, &identity->err) != APR_SUCCESS)
        identity->standing = MOD_LTI_REFUSED;
}

/* What the roster and the rules of this directory make of the session. */
static void weigh(mod_lti_identity_t *identity, request_rec *r, const lti_server_config_t *conf, apr_time_t now)
{
    identity->standing = MOD_LTI_PRESENT;
    identity->role = identity->session->launch.role;
    identity->roles = identity->session->launch.roles;
    judge(identity, r, conf, now);
    if (identity->standing == MOD_LTI_PRESENT)
        name_user(identity, r);
}

static const mod_lti_identity_t *resolve(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    mod_lti_identity_t *identity = apr_pcalloc(r->pool, sizeof(*identity));
    apr_time_t now;

    if (!mod_lti_config_is_active(conf)) {
        lti_fail(&identity->err, LTI_E_SESSION_NONE, APR_NOTFOUND, "there is no platform in this virtual host");
        return identity;
    }
    now = mod_lti_store_now();
    if (find_session(identity, r, conf, now) != APR_SUCCESS)
        return identity;
    weigh(identity, r, conf, now);
    return identity;
}

/*
 * Directories have rules of their own (LTILiveRoster, LTIRemoteUser). Where a redirect or a sub-request leads under other ones, or the first question came
 * before the directory was known, the session that was found is judged again.
 */
static void apply_rules(request_record_t *record, request_rec *r)
{
    const lti_dir_config_t *dir = mod_lti_config_of_dir(r);
    const mod_lti_identity_t *found = record->identity;
    int live_roster = mod_lti_config_live_roster(dir);
    mod_lti_identity_t *identity;

    if (record->live_roster == live_roster && record->template == dir->remote_user)
        return;
    record->live_roster = live_roster;
    record->template = dir->remote_user;
    if (found->session == NULL)
        return;
    identity = apr_pcalloc(r->pool, sizeof(*identity));
    identity->platform = found->platform;
    identity->session = found->session;
    identity->incomplete = found->incomplete;
    identity->cookie_name = found->cookie_name;
    weigh(identity, r, mod_lti_config_of(r->server), mod_lti_store_now());
    record->identity = identity;
}

const mod_lti_identity_t *mod_lti_identity_of(request_rec *r)
{
    request_record_t *record = record_of(r);
    request_rec *from = r->main != NULL ? r->main : r->prev;

    if (record->identity == NULL && from == NULL) {
        record->live_roster = mod_lti_config_live_roster(mod_lti_config_of_dir(r));
        record->template = mod_lti_config_of_dir(r)->remote_user;
        record->identity = resolve(r);
    } else if (record->identity == NULL) {
        record->identity = mod_lti_identity_of(from);
        record->live_roster = record_of(from)->live_roster;
        record->template = record_of(from)->template;
    }
    apply_rules(record, r);
    return record->identity;
}

void mod_lti_identity_renew(request_rec *r, const mod_lti_identity_t *identity)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const lti_session_t *session = identity->session;
    const char *value, *surplus;
    apr_time_t now;
    lti_err_t err;

    if (r->main != NULL || r->prev != NULL || conf->session_idle == 0 || identity->incomplete)
        return;
    now = mod_lti_store_now();
    if (now - session->touched_at < conf->session_idle / RENEWALS_IN_IDLE_TIME)
        return;
    /* The surplus is in the launch table already: it does not change. */
    if (lti_session_seal(&value, &surplus, conf->runtime->session_sealer, conf->base_url, identity->cookie_name, &session->launch,
                         session->expires_at, now, r->pool, &err) == APR_SUCCESS)
        mod_lti_cookie_set(r, identity->cookie_name, value, -1);
    else
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, err.status, r, "LTI0104: a session was not renewed and will end early: %s",
                      err.text);
}

int mod_lti_identity_check_authn(request_rec *r)
{
    static char auth_type[] = "LTI";
    const char *type = ap_auth_type(r);
    const mod_lti_identity_t *identity;

    if (type == NULL || ap_cstr_casecmp(type, "LTI") != 0)
        return DECLINED;
    identity = mod_lti_identity_of(r);
    if (identity->standing != MOD_LTI_PRESENT)
        return mod_lti_page_refuse(r, "LTI0101", &identity->err);
    r->user = apr_pstrdup(r->pool, identity->remote_user);
    r->ap_auth_type = auth_type;
    if (record_of(r)->pending) {
        /* Require lti-member cannot say 503 by itself; whether the other Require lines would let the person in all the same is asked here. */
        int verdict = ap_run_auth_checker(r);

        if (verdict != OK && verdict != DECLINED) {
            lti_err_t err;

            lti_fail(&err, LTI_E_ROSTER_PENDING, APR_EAGAIN, "Require lti-member: course %s has no roster yet",
                     identity->session->launch.course_key != NULL ? identity->session->launch.course_key : "(none)");
            return mod_lti_page_refuse(r, "LTI0103", &err);
        }
    }
    return OK;
}
