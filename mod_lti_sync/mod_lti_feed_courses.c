/* SPDX-License-Identifier: Apache-2.0 */
/* The courses that there are, for applications. */
#include "mod_lti_feed.h"

#include <string.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_request.h>

#include "lti_db.h"
#include "lti_http.h"
#include "lti_json.h"
#include "mod_lti_config.h"
#include "mod_lti_feed_parts.h"
#include "mod_lti_identity.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define COURSES_USUAL 1000 /* of a page, where no limit is given */
#define READ_AT_ONCE 500

/** A page in the making. */
typedef struct listing_t {
    request_rec *r;
    const lti_server_config_t *conf;
    json_t *courses;
    int wanted, found, seen;
    const char *last;  /* that stands in the list */
    const char *after; /* the last one that was looked at */
    int more;
} listing_t;

static json_t *course_object(const lti_course_t *course)
{
    json_t *object = json_object();
    lti_roster_state_t state = mod_lti_feed_state(course);

    mod_lti_feed_set_text(object, "course", course->key);
    mod_lti_feed_set_text(object, "platform", course->platform);
    mod_lti_feed_set_text(object, "issuer", course->issuer);
    mod_lti_feed_set_text(object, "client_id", course->client_id);
    mod_lti_feed_set_text(object, "deployment_id", course->deployment_id);
    mod_lti_feed_set_text(object, "context_id", course->context_id);
    mod_lti_feed_set_text(object, "label", course->label);
    mod_lti_feed_set_text(object, "title", course->title);
    mod_lti_feed_set_text(object, "type", course->type);
    mod_lti_feed_set_text(object, "state", lti_roster_state_word(state));
    json_object_set_new(object, "stale", json_boolean(state == LTI_ROSTER_STALE));
    json_object_set_new(object, "version", json_integer(course->version));
    json_object_set_new(object, "active", json_integer(course->active));
    lti_json_set_time(object, "succeeded_at", course->succeeded_at);
    lti_json_set_time(object, "launched_at", course->launched_at);
    return object;
}

static apr_status_t take_course(void *baton, const lti_course_t *course, lti_err_t *err)
{
    listing_t *listing = baton;

    (void)err;
    listing->seen++;
    listing->after = apr_pstrdup(listing->r->pool, course->key);
    /* A platform that this virtual host does not have is none of its business. */
    if (course->platform == NULL || lti_platform_by_name(listing->conf->platforms, course->platform) == NULL)
        return APR_SUCCESS;
    if (listing->found == listing->wanted) {
        listing->more = 1;
        return APR_EOF;
    }
    json_array_append_new(listing->courses, course_object(course));
    listing->found++;
    listing->last = listing->after;
    return APR_SUCCESS;
}

static apr_status_t list_all(listing_t *listing, lti_err_t *err)
{
    request_rec *r = listing->r;
    apr_pool_t *page;
    apr_status_t rv = apr_pool_create(&page, r->pool);

    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for a list of courses");
    do {
        mod_lti_store_t store;

        apr_pool_clear(page);
        listing->seen = 0;
        rv = mod_lti_store_open(&store, listing->conf->db_server, page, err);
        if (rv != APR_SUCCESS)
            break;
        rv = lti_db_courses_each(store.db, listing->after, READ_AT_ONCE, take_course, listing, page, err);
        mod_lti_store_close(&store);
    } while (rv == APR_SUCCESS && listing->seen == READ_AT_ONCE);
    apr_pool_destroy(page);
    return listing->more ? APR_SUCCESS : rv;
}

static apr_status_t list_one(listing_t *listing, const char *key, lti_err_t *err)
{
    mod_lti_feed_query_t query = {.course = key};
    lti_course_t *course;
    apr_status_t rv;

    if (strcmp(key, listing->after) <= 0)
        return APR_SUCCESS;
    rv = mod_lti_feed_course(&course, listing->r, &query, err);
    return rv == APR_SUCCESS ? take_course(listing, course, err) : rv;
}

static apr_status_t send_courses(request_rec *r, lti_err_t *err)
{
    listing_t listing = {.r = r, .conf = mod_lti_config_of(r->server)};
    mod_lti_feed_query_t query;
    json_t *answer;
    const char *key;
    apr_status_t rv = mod_lti_feed_read_query(&query, r, err);

    if (rv == APR_SUCCESS)
        rv = mod_lti_feed_own_course(&key, r, err);
    if (rv != APR_SUCCESS)
        return rv;
    answer = lti_json_own(json_object(), r->pool);
    listing.courses = json_array();
    json_object_set_new(answer, "courses", listing.courses);
    listing.wanted = query.limit != 0 ? query.limit : COURSES_USUAL;
    listing.after = query.after != NULL ? query.after : "";
    rv = key == NULL ? list_all(&listing, err) : list_one(&listing, key, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (listing.more) {
        const char *url = apr_pstrcat(r->pool, mod_lti_identity_base_url(r), listing.conf->path, "/courses", NULL);

        if (query.limit != 0)
            url = lti_http_add_query(url, "limit", apr_itoa(r->pool, query.limit), r->pool);
        url = lti_http_add_query(url, "after", listing.last, r->pool);
        apr_table_setn(r->headers_out, "Link", apr_pstrcat(r->pool, "<", url, ">; rel=\"next\"", NULL));
    }
    return mod_lti_feed_send_json(r, answer, err);
}

int mod_lti_feed_courses(request_rec *r)
{
    lti_err_t err;

    if (r->method_number != M_GET) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        lti_fail(&err, LTI_E_METHOD, APR_EINVAL, "courses are read with GET, not with %.20s", r->method);
    } else if (send_courses(r, &err) == APR_SUCCESS) {
        return OK;
    }
    return mod_lti_identity_refuse(r, "LTI0502", &err);
}
