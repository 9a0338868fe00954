/* SPDX-License-Identifier: Apache-2.0 */
/* The refresh on demand for applications and instructors: asked for, and followed to its end. */
#include "mod_lti_feed.h"

#include <apr_atomic.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_request.h>

#include "lti_db.h"
#include "lti_http.h"
#include "lti_json.h"
#include "lti_snapshot.h"
#include "mod_lti_config.h"
#include "mod_lti_feed_parts.h"
#include "mod_lti_identity.h"
#include "mod_lti_origin.h"
#include "mod_lti_progress.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

/* Due from when it was asked for until it ends: a run sets the next time as its last act. Then this node's shared memory follows, a moment later: only then do requests see it. */
static int is_running(const lti_course_t *course, const lti_snapshot_t *snapshot)
{
    apr_int64_t published = lti_snapshot_version(snapshot, course->key);

    return course->nrps_url != NULL && (course->due_at <= mod_lti_store_now() || (published >= 0 && published != course->version));
}

/* What became of the update that was asked for at query->since; nothing where nobody asked. */
static apr_status_t add_request(json_t *object, request_rec *r, const mod_lti_feed_query_t *query, const char *course_key,
                                lti_err_t *err)
{
    mod_lti_progress_t progress;
    mod_lti_store_t store;
    json_t *request;
    apr_status_t rv;

    if (query->since == NULL)
        return APR_SUCCESS;
    rv = mod_lti_store_open(&store, mod_lti_config_of(r->server)->db_server, r->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = mod_lti_progress_find(&progress, &request, store.db, course_key, query->since, 1, r->pool, err);
    mod_lti_store_close(&store);
    if (rv == APR_SUCCESS && request != NULL)
        json_object_set(object, "request", request);
    return rv;
}

static apr_status_t send_standing(request_rec *r, const mod_lti_feed_query_t *query, const lti_course_t *course, lti_err_t *err)
{
    json_t *object = lti_json_own(json_object(), r->pool);
    apr_status_t rv = add_request(object, r, query, course->key, err);

    if (rv != APR_SUCCESS)
        return rv;
    mod_lti_feed_set_text(object, "course", course->key);
    mod_lti_feed_set_text(object, "state", lti_roster_state_word(mod_lti_feed_state(course)));
    json_object_set_new(object, "running", json_boolean(is_running(course, mod_lti_config_of(r->server)->runtime->snapshot)));
    json_object_set_new(object, "version", json_integer(course->version));
    json_object_set_new(object, "active", json_integer(course->active));
    lti_json_set_time(object, "succeeded_at", course->succeeded_at);
    lti_json_set_time(object, "due_at", course->due_at);
    json_object_set_new(object, "failures", json_integer(course->failures));
    json_object_set_new(object, "error", course->error_name != NULL ? json_string(course->error_name) : json_null());
    json_object_set_new(object, "error_text", course->error_text != NULL ? json_string(course->error_text) : json_null());
    json_object_set_new(object, "advice",
                        course->error_name != NULL ? json_string(lti_err_advice(course->error_name)) : json_null());
    return mod_lti_feed_send_json(r, object, err);
}

static apr_status_t request_sync(request_rec *r, const mod_lti_feed_query_t *query, const lti_course_t *course, lti_err_t *err)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const char *where = apr_pstrcat(r->pool, conf->path, "/sync", NULL);
    json_t *object = lti_json_own(json_object(), r->pool);
    apr_time_t now = mod_lti_store_now();
    mod_lti_store_t store;
    apr_status_t rv;

    if (course->nrps_url == NULL)
        return lti_fail(err, LTI_E_SERVICE_NONE, APR_NOTFOUND, "course %s has no roster service", course->key);
    rv = mod_lti_store_open(&store, conf->db_server, r->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_course_request(store.db, course->key, now, r->pool, err);
    mod_lti_store_close(&store);
    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_COURSE_UNKNOWN, rv, "course %s is gone", course->key);
    if (rv != APR_SUCCESS)
        return rv;
    if (conf->runtime->kick != NULL)
        apr_atomic_set32(conf->runtime->kick, 1);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "LTI0253: course %s: an update of the roster was asked for", course->key);
    if (mod_lti_feed_wants_page(r)) {
        mod_lti_feed_lead_to_page(r, now);
        return APR_SUCCESS;
    }
    if (query->course != NULL || query->context != NULL)
        where = lti_http_add_query(where, "course", course->key, r->pool);
    where = lti_http_add_query(where, "since", mod_lti_progress_since(now, r->pool), r->pool);
    apr_table_setn(r->headers_out, "Location", where);
    r->status = HTTP_ACCEPTED;
    mod_lti_feed_set_text(object, "course", course->key);
    mod_lti_feed_set_text(object, "state", "queued");
    return mod_lti_feed_send_json(r, object, err);
}

static apr_status_t handle_sync(request_rec *r, lti_err_t *err)
{
    mod_lti_feed_query_t query;
    lti_course_t *course;
    apr_status_t rv;

    if (r->method_number != M_GET && r->method_number != M_POST) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_POST, -1);
        return lti_fail(err, LTI_E_METHOD, APR_EINVAL, "sync takes GET and POST, not %.20s", r->method);
    }
    rv = mod_lti_feed_read_query(&query, r, err);
    if (rv == APR_SUCCESS && r->method_number == M_POST)
        rv = mod_lti_origin_check(r, mod_lti_identity_base_url(r), err);
    if (rv == APR_SUCCESS)
        rv = mod_lti_feed_course(&course, r, &query, err);
    if (rv != APR_SUCCESS)
        return rv;
    return r->method_number == M_POST ? request_sync(r, &query, course, err) : send_standing(r, &query, course, err);
}

int mod_lti_feed_sync(request_rec *r)
{
    lti_err_t err;

    return handle_sync(r, &err) == APR_SUCCESS ? OK : mod_lti_identity_refuse(r, "LTI0251", &err);
}
