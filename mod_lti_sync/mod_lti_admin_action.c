/* SPDX-License-Identifier: Apache-2.0 */
/* What the buttons do, and what keeps other sites from pressing them. */
#include "mod_lti_admin_parts.h"

#include <string.h>
#include <apr_atomic.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

#include "lti_crypto.h"
#include "lti_db.h"
#include "lti_http.h"
#include "lti_json.h"
#include "mod_lti_identity.h"
#include "mod_lti_origin.h"
#include "mod_lti_progress.h"

#define TOKEN_VALID apr_time_from_sec(12 * 3600)
#define TOKEN_AHEAD apr_time_from_sec(300) /* another node's clock */
#define TOKEN_TEXT_MAX 100
#define ENDED_KEPT apr_time_from_sec(7 * 24 * 3600) /* as the documents say of what is written by hand */

/* --- the token --------------------------------------------------------------------------------------------------------------------- */

/* What a token is good for: this site and this user, so that one administrator's page is of no use to another. */
static lti_bytes_t token_context(const mod_lti_admin_t *admin)
{
    const char *user = admin->r->user != NULL ? admin->r->user : "";
    const char *text = apr_pstrcat(admin->r->pool, "action\n", admin->conf->base_url, "\n", user, NULL);

    return (lti_bytes_t){text, strlen(text)};
}

const char *mod_lti_admin_token(const mod_lti_admin_t *admin)
{
    apr_time_t now = admin->overview.now;
    unsigned char sealed[sizeof(now) + LTI_SEAL_OVERHEAD];
    apr_size_t size;

    if (lti_seal(sealed, &size, admin->conf->runtime->session_sealer, token_context(admin), (lti_bytes_t){&now, sizeof(now)},
                 NULL) != APR_SUCCESS)
        return NULL;
    return lti_base64url_encode(sealed, size, admin->r->pool);
}

static apr_status_t check_token(const mod_lti_admin_t *admin, lti_err_t *err)
{
    const char *text = mod_lti_admin_get(admin, "token");
    unsigned char sealed[TOKEN_TEXT_MAX], plain[TOKEN_TEXT_MAX];
    apr_size_t size = 0, plain_size = 0;
    apr_time_t made;

    if (text == NULL)
        return lti_fail(err, LTI_E_ACTION_TOKEN, APR_EACCES, "an action without a token");
    if (strlen(text) > TOKEN_TEXT_MAX || lti_base64url_decode(sealed, &size, text, strlen(text)) != APR_SUCCESS ||
        lti_unseal(plain, &plain_size, admin->conf->runtime->session_sealer, token_context(admin), (lti_bytes_t){sealed, size}) !=
            APR_SUCCESS ||
        plain_size != sizeof(made))
        return lti_fail(err, LTI_E_ACTION_TOKEN, APR_EACCES, "an action with a token that was not made here for this user");
    memcpy(&made, plain, sizeof(made));
    if (admin->overview.now - made > TOKEN_VALID || made - admin->overview.now > TOKEN_AHEAD)
        return lti_fail(err, LTI_E_ACTION_TOKEN, APR_EACCES, "an action with a token made %" APR_TIME_T_FMT " s ago",
                        apr_time_sec(admin->overview.now - made));
    return APR_SUCCESS;
}

/* The host in the address was checked already, so a page of this very address is our own, whatever LTIBaseURL says. */
static int is_of_this_address(const request_rec *r)
{
    const char *origin = apr_table_get(r->headers_in, "Origin"), *host = apr_table_get(r->headers_in, "Host");
    const char *authority = origin != NULL ? ap_strstr_c(origin, "://") : NULL;

    return apr_table_get(r->headers_in, "Sec-Fetch-Site") == NULL && authority != NULL && host != NULL &&
           ap_cstr_casecmp(authority + 3, host) == 0;
}

apr_status_t mod_lti_admin_check_action(const mod_lti_admin_t *admin, lti_err_t *err)
{
    if (!is_of_this_address(admin->r)) {
        apr_status_t rv = mod_lti_origin_check(admin->r, mod_lti_identity_base_url(admin->r), err);

        if (rv != APR_SUCCESS)
            return rv;
    }
    return check_token(admin, err);
}

/* --- what is done --------------------------------------------------------------------------------------------------------------------- */

/** An action of an administrator; what it is about is checked when it is read. */
typedef struct deed_t {
    const mod_lti_admin_t *admin;
    const struct action_t *action;
    const char *course, *platform, *deployment, *user; /* NULL: not named */
    int missing;
    const char *subject; /* of the audit, beside course and platform */
} deed_t;

typedef struct action_t {
    const char *name;
    apr_status_t (*act)(const deed_t *deed, lti_db_t *db, lti_err_t *err);
    int of_deployment; /* platform and deployment are named, else a course or a user */
    int answer;        /* HTTP status for programs */
} action_t;

static apr_status_t do_sync(const deed_t *deed, lti_db_t *db, lti_err_t *err)
{
    lti_course_t *course;
    apr_pool_t *p = deed->admin->r->pool;
    apr_status_t rv = lti_db_course_read(&course, db, deed->course, p, err);

    if (rv == APR_SUCCESS && course->nrps_url == NULL)
        return lti_fail(err, LTI_E_SERVICE_NONE, APR_NOTFOUND, "course %s has no roster service", deed->course);
    return rv == APR_SUCCESS ? lti_db_course_request(db, deed->course, deed->admin->overview.now, p, err) : rv;
}

static apr_status_t do_accept(const deed_t *deed, lti_db_t *db, lti_err_t *err)
{
    apr_status_t rv = lti_db_hold_accept(db, deed->course, deed->missing, deed->admin->overview.now, deed->admin->r->pool, err);

    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, rv, "course %s holds no removals, or not those that were shown",
                        deed->course);
    return rv;
}

/* Sessions of all virtual hosts, whatever their lifetimes. */
static apr_time_t ended_until(const mod_lti_admin_t *admin)
{
    apr_interval_time_t longest = ENDED_KEPT;
    server_rec *s;

    for (s = admin->conf->runtime->server; s != NULL; s = s->next) {
        if (mod_lti_config_of(s)->session_lifetime > longest)
            longest = mod_lti_config_of(s)->session_lifetime;
    }
    return admin->overview.now + longest;
}

static apr_status_t do_end_sessions(const deed_t *deed, lti_db_t *db, lti_err_t *err)
{
    const mod_lti_admin_t *admin = deed->admin;

    return lti_db_sessions_end(db, deed->platform, deed->user, deed->course, NULL, admin->overview.now, ended_until(admin),
                               admin->r->pool, err);
}

static apr_status_t decide(const deed_t *deed, lti_db_t *db, lti_deployment_status_t status, lti_err_t *err)
{
    return lti_db_deployment_decide(db, deed->platform, deed->deployment, status, deed->admin->overview.now, deed->admin->r->pool,
                                    err);
}

static apr_status_t do_accept_deployment(const deed_t *deed, lti_db_t *db, lti_err_t *err)
{
    return decide(deed, db, LTI_DEPLOYMENT_ACCEPTED, err);
}

static apr_status_t do_withdraw_deployment(const deed_t *deed, lti_db_t *db, lti_err_t *err)
{
    return decide(deed, db, LTI_DEPLOYMENT_WITHDRAWN, err);
}

static const action_t actions[] = {
    {"sync", do_sync, 0, HTTP_ACCEPTED},
    {"accept", do_accept, 0, HTTP_OK},
    {"end-sessions", do_end_sessions, 0, HTTP_OK},
    {"deployment-accept", do_accept_deployment, 1, HTTP_OK},
    {"deployment-withdraw", do_withdraw_deployment, 1, HTTP_OK},
};

/* --- what it is about ------------------------------------------------------------------------------------------------------------------- */

static apr_status_t read_count(int *count, const char *text, lti_err_t *err)
{
    apr_size_t digits = text != NULL ? strspn(text, "0123456789") : 0;

    *count = 0;
    if (text == NULL)
        return APR_SUCCESS;
    if (digits == 0 || digits > 9 || text[digits] != '\0')
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "missing must be a number");
    *count = (int)apr_atoi64(text);
    return APR_SUCCESS;
}

static apr_status_t check_platform(const deed_t *deed, lti_err_t *err)
{
    if (deed->platform == NULL)
        return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "%s needs course=KEY, or platform=NAME", deed->action->name);
    if (lti_platform_by_name(deed->admin->conf->platforms, deed->platform) == NULL)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "this virtual host has no platform %.64s", deed->platform);
    return APR_SUCCESS;
}

static apr_status_t read_deed(deed_t *deed, const mod_lti_admin_t *admin, lti_err_t *err)
{
    const char *name = mod_lti_admin_get(admin, "action");
    apr_size_t i;

    memset(deed, 0, sizeof(*deed));
    deed->admin = admin;
    for (i = 0; name != NULL && i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(name, actions[i].name) == 0)
            deed->action = &actions[i];
    }
    if (deed->action == NULL)
        return lti_fail(err, name == NULL ? LTI_E_PARAMETER_MISSING : LTI_E_PARAMETER_INVALID, APR_EINVAL,
                        "action must be sync, accept, end-sessions, deployment-accept or deployment-withdraw");
    deed->platform = mod_lti_admin_get(admin, "platform");
    if (deed->action->of_deployment) {
        deed->subject = deed->deployment = mod_lti_admin_get(admin, "deployment");
        if (deed->deployment == NULL || strlen(deed->deployment) > LTI_ID_MAX)
            return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "%s needs deployment=ID", deed->action->name);
        return check_platform(deed, err);
    }
    deed->course = mod_lti_admin_get(admin, "course");
    if (strcmp(deed->action->name, "end-sessions") == 0)
        deed->subject = deed->user = mod_lti_admin_get(admin, "user");
    if (deed->user != NULL && strlen(deed->user) > LTI_ID_MAX)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "user is longer than %d bytes", LTI_ID_MAX);
    if (deed->course == NULL && deed->user == NULL)
        return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "%s needs course=KEY", deed->action->name);
    if (deed->course == NULL)
        return check_platform(deed, err);
    return read_count(&deed->missing, mod_lti_admin_get(admin, "missing"), err);
}

/* A course of a platform that this virtual host does not have is none of its business. */
static apr_status_t find_platform(deed_t *deed, lti_db_t *db, lti_err_t *err)
{
    lti_course_t *course;
    apr_status_t rv;

    if (deed->course == NULL)
        return APR_SUCCESS;
    rv = lti_db_course_read(&course, db, deed->course, deed->admin->r->pool, err);
    if (rv == APR_SUCCESS &&
        (course->platform == NULL || lti_platform_by_name(deed->admin->conf->platforms, course->platform) == NULL))
        rv = APR_NOTFOUND;
    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_COURSE_UNKNOWN, rv, "no launch of the course %.64s was seen", deed->course);
    if (rv == APR_SUCCESS)
        deed->platform = course->platform;
    return rv;
}

static apr_status_t carry_out(deed_t *deed, lti_err_t *err)
{
    const lti_server_config_t *conf = deed->admin->conf;
    mod_lti_store_t store;
    apr_status_t rv = mod_lti_store_open_to_write(&store, conf->runtime->turn, conf->db_server, deed->admin->r->pool, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = find_platform(deed, store.db, err);
    if (rv == APR_SUCCESS)
        rv = deed->action->act(deed, store.db, err);
    mod_lti_store_close(&store);
    if (rv == APR_SUCCESS && conf->runtime->kick != NULL)
        apr_atomic_set32(conf->runtime->kick, 1);
    return rv;
}

/* --- the answer ---------------------------------------------------------------------------------------------------------------------------- */

/* Where it was pressed: a query of our own end point and nothing else, whatever the form says. */
static const char *way_back(const mod_lti_admin_t *admin, const char *done, const char *since)
{
    const char *back = mod_lti_admin_get(admin, "back");
    const char *url = admin->self;

    if (back != NULL && strlen(back) < MOD_LTI_FORM_QUERY_MAX &&
        strspn(back, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%-._~&=+") == strlen(back))
        url = apr_pstrcat(admin->r->pool, url, "?", back, NULL);
    if (since != NULL)
        url = lti_http_add_query(url, "since", since, admin->r->pool);
    return lti_http_add_query(url, "done", done, admin->r->pool);
}

static int answer(const deed_t *deed)
{
    const mod_lti_admin_t *admin = deed->admin;
    request_rec *r = admin->r;
    int can_be_followed = deed->action->act == do_sync || deed->action->act == do_accept;
    const char *since = can_be_followed ? mod_lti_progress_since(admin->overview.now, r->pool) : NULL;
    json_t *object;

    if (!admin->wants_json) {
        apr_table_setn(r->headers_out, "Location", way_back(admin, deed->action->name, since));
        apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
        return HTTP_SEE_OTHER;
    }
    object = lti_json_own(json_object(), r->pool);
    json_object_set_new(object, "action", json_string(deed->action->name));
    if (deed->course != NULL)
        json_object_set_new(object, "course", json_string(deed->course));
    if (deed->platform != NULL)
        json_object_set_new(object, "platform", json_string(deed->platform));
    if (deed->subject != NULL)
        json_object_set_new(object, deed->action->of_deployment ? "deployment" : "user", json_string(deed->subject));
    json_object_set_new(object, "outcome", json_string("done"));
    r->status = deed->action->answer;
    if (since != NULL)
        apr_table_setn(r->headers_out, "Location",
                       apr_pstrcat(r->pool, mod_lti_admin_course_href(admin, deed->course), "&format=json&since=", since, NULL));
    return mod_lti_admin_send_json(admin, object);
}

/* Ids are repeated in the log only for whoever proved to be let in to press buttons; before that they are another site's words. */
int mod_lti_admin_act(mod_lti_admin_t *admin)
{
    deed_t deed;
    lti_err_t err;

    if (mod_lti_admin_check_action(admin, &err) != APR_SUCCESS) {
        mod_lti_admin_audit(admin, "unknown", NULL, NULL, NULL, lti_err_info(err.code)->name);
        return mod_lti_admin_refuse(admin, "LTI0736", &err);
    }
    if (read_deed(&deed, admin, &err) != APR_SUCCESS)
        return mod_lti_admin_refuse(admin, "LTI0737", &err);
    if (carry_out(&deed, &err) != APR_SUCCESS) {
        mod_lti_admin_audit(admin, deed.action->name, deed.course, deed.platform, deed.subject, lti_err_info(err.code)->name);
        return mod_lti_admin_refuse(admin, "LTI0738", &err);
    }
    mod_lti_admin_audit(admin, deed.action->name, deed.course, deed.platform, deed.subject, "done");
    return answer(&deed);
}
