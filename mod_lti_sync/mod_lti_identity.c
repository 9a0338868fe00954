/* SPDX-License-Identifier: Apache-2.0 */
/* Who makes this request: the session, held against the roster and the rules of the place. */
#include "mod_lti_identity.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_request.h>

#include "lti_db.h"
#include "lti_meter.h"
#include "mod_lti_cookie.h"
#include "mod_lti_identity_parts.h"
#include "mod_lti_origin.h"
#include "mod_lti_page.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define RENEWALS_IN_IDLE_TIME 8 /* so that few answers carry a cookie, and idle time is right to an eighth */

mod_lti_identity_record_t *mod_lti_identity_record(request_rec *r)
{
    mod_lti_identity_record_t *record = ap_get_module_config(r->request_config, &lti_sync_module);

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
    mod_lti_identity_record(r)->end_point = apr_pstrdup(r->pool, r->uri + length + 1);
    apr_table_setn(r->subprocess_env, "no-proxy", "1");
    return DECLINED;
}

const char *mod_lti_identity_end_point(request_rec *r)
{
    const mod_lti_identity_record_t *record = ap_get_module_config(r->request_config, &lti_sync_module);

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

void mod_lti_identity_set_segment(request_rec *r, const mod_lti_segment_t *segment)
{
    mod_lti_identity_record(r)->segment = segment;
}

const mod_lti_segment_t *mod_lti_identity_segment(request_rec *r)
{
    const mod_lti_identity_record_t *record = ap_get_module_config(r->request_config, &lti_sync_module);

    return record != NULL ? record->segment : NULL;
}

void mod_lti_identity_set_lost(request_rec *r, const char *path)
{
    mod_lti_identity_record(r)->lost = path;
    mod_lti_identity_record(r)->only = 1;
}

const char *mod_lti_identity_lost(request_rec *r)
{
    const mod_lti_identity_record_t *record = ap_get_module_config(r->request_config, &lti_sync_module);

    return record != NULL ? record->lost : NULL;
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
    if (result != LTI_SNAPSHOT_UNKNOWN) {
        lti_meter_lookup(conf->runtime->meter, LTI_METER_MEMORY);
    } else {
        result = ask_database(&course, &member, r, conf, launch, &err);
        lti_meter_lookup(conf->runtime->meter, result != LTI_SNAPSHOT_UNKNOWN ? LTI_METER_DATABASE : LTI_METER_UNAVAILABLE);
    }
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
    identity->roster_version = course.version;
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

/* Invariant 10. An error page and a part of a page are asked for by GET, whatever they were made from: the browser's own request is looked at. */
static apr_status_t check_origin(request_rec *r, const lti_server_config_t *conf, lti_err_t *err)
{
    if (mod_lti_config_cross_site(mod_lti_config_of_dir(r)))
        return APR_SUCCESS;
    while (r->main != NULL || r->prev != NULL)
        r = r->main != NULL ? r->main : r->prev;
    return mod_lti_origin_is_unsafe(r) ? mod_lti_origin_check(r, conf->base_url, err) : APR_SUCCESS;
}

/* What the launch did not say of sections and groups, the roster may know. */
static void complete_names(mod_lti_identity_t *identity, request_rec *r)
{
    const char *sections, *groups;

    if (identity->sections != NULL && identity->groups != NULL)
        return;
    mod_lti_identity_roster_names(&sections, &groups, r, identity);
    identity->names_from_roster = 1;
    if (identity->sections == NULL)
        identity->sections = sections;
    if (identity->groups == NULL)
        identity->groups = groups;
}

/* What the roster and the rules of this directory make of the session. */
static void weigh(mod_lti_identity_t *identity, request_rec *r, const lti_server_config_t *conf, apr_time_t now)
{
    identity->role = identity->session->launch.role;
    identity->roles = identity->session->launch.roles;
    identity->standing = MOD_LTI_REFUSED;
    if (check_origin(r, conf, &identity->err) != APR_SUCCESS)
        return;
    identity->standing = MOD_LTI_PRESENT;
    judge(identity, r, conf, now);
    if (identity->standing == MOD_LTI_PRESENT)
        name_user(identity, r);
    identity->sections = identity->session->launch.sections;
    identity->groups = identity->session->launch.groups;
    if (identity->platform->roster_names != LTI_NAMES_OFF && identity->standing == MOD_LTI_PRESENT)
        complete_names(identity, r);
}

static const mod_lti_identity_t *resolve(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    mod_lti_identity_t *identity = apr_pcalloc(r->pool, sizeof(*identity));
    apr_time_t now;

    if (mod_lti_identity_record(r)->segment != NULL)
        identity->path_prefix = mod_lti_identity_record(r)->segment->path_prefix;
    if (!mod_lti_config_is_active(conf)) {
        lti_fail(&identity->err, LTI_E_SESSION_NONE, APR_NOTFOUND, "there is no platform in this virtual host");
        return identity;
    }
    now = mod_lti_store_now();
    if (mod_lti_identity_find_session(identity, r, conf, now) != APR_SUCCESS)
        return identity;
    weigh(identity, r, conf, now);
    return identity;
}

static int rules_of(const lti_dir_config_t *dir)
{
    return mod_lti_config_live_roster(dir) | mod_lti_config_cross_site(dir) << 1;
}

/*
 * Directories have rules of their own (LTILiveRoster, LTICrossSite, LTIRemoteUser). Where a redirect or a sub-request leads under other ones, or the first question came
 * before the directory was known, the session that was found is judged again.
 */
static void apply_rules(mod_lti_identity_record_t *record, request_rec *r)
{
    const lti_dir_config_t *dir = mod_lti_config_of_dir(r);
    const mod_lti_identity_t *found = record->identity;
    int rules = rules_of(dir);
    mod_lti_identity_t *identity;

    if (record->rules == rules && record->template == dir->remote_user)
        return;
    record->rules = rules;
    record->template = dir->remote_user;
    if (found->session == NULL || found->unjudged)
        return;
    identity = apr_pcalloc(r->pool, sizeof(*identity));
    identity->platform = found->platform;
    identity->session = found->session;
    identity->incomplete = found->incomplete;
    identity->cookie_name = found->cookie_name;
    identity->path_prefix = found->path_prefix;
    weigh(identity, r, mod_lti_config_of(r->server), mod_lti_store_now());
    record->identity = identity;
}

/*
 * Where addresses name the course, requests that are made from this one share its session only if they are of the same course; and an application that is
 * reached on a way round its own addresses (a rewrite, an SSI page elsewhere) gets nobody rather than anybody.
 */
static void find_course(mod_lti_identity_record_t *record, request_rec *r, request_rec **from)
{
    const apr_array_header_t *all = mod_lti_config_of(r->server)->course_paths;
    const mod_lti_identity_record_t *origin = *from != NULL ? mod_lti_identity_record(*from) : NULL;

    if (all == NULL)
        return;
    if (record->segment == NULL && origin != NULL)
        record->segment = origin->segment;
    if (record->segment == NULL && !record->only && mod_lti_config_course_path(all, r->uri) != NULL) {
        record->only = 1;
        record->identity = NULL; /* if it was asked for before the address was rewritten */
    }
    if (origin != NULL && (record->segment != origin->segment || (record->only && !origin->only)))
        *from = NULL;
}

const mod_lti_identity_t *mod_lti_identity_of(request_rec *r)
{
    mod_lti_identity_record_t *record = mod_lti_identity_record(r);
    request_rec *from = r->main != NULL ? r->main : r->prev;

    find_course(record, r, &from);
    if (record->identity == NULL && from == NULL) {
        record->rules = rules_of(mod_lti_config_of_dir(r));
        record->template = mod_lti_config_of_dir(r)->remote_user;
        record->identity = resolve(r);
    } else if (record->identity == NULL) {
        record->identity = mod_lti_identity_of(from);
        record->rules = mod_lti_identity_record(from)->rules;
        record->template = mod_lti_identity_record(from)->template;
    }
    apply_rules(record, r);
    return record->identity;
}

void mod_lti_identity_forget(request_rec *r)
{
    mod_lti_identity_record(r)->identity = NULL;
}

const mod_lti_identity_t *mod_lti_identity_known(request_rec *r)
{
    const mod_lti_identity_record_t *record = ap_get_module_config(r->request_config, &lti_sync_module);

    return record != NULL && record->end_point == NULL ? record->identity : NULL;
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

int mod_lti_identity_refuse(request_rec *r, const char *tag, const lti_err_t *err)
{
    const mod_lti_identity_t *identity = mod_lti_identity_of(r);
    const lti_session_t *session = identity->session != NULL ? identity->session : identity->ended;
    mod_lti_page_aside_t aside = {.platform = NULL};

    if (session != NULL) {
        aside.platform = lti_platform_by_name(mod_lti_config_of(r->server)->platforms, session->launch.platform);
        aside.return_url = session->launch.return_url;
    }
    return mod_lti_page_refuse_with(r, tag, err, &aside);
}
