/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed for applications: what happened since a number, and waiting for what comes next. */
#include "mod_lti_feed.h"

#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_varbuf.h>

#include "lti_bell.h"
#include "lti_db.h"
#include "lti_json.h"
#include "lti_role.h"
#include "mod_lti_config.h"
#include "mod_lti_feed_parts.h"
#include "mod_lti_form.h"
#include "mod_lti_identity.h"
#include "mod_lti_store.h"
#include "mod_lti_wait.h"

APLOG_USE_MODULE(lti_sync);

#define EVENTS_USUAL 1000 /* of an answer, where no limit is given */
#define ANSWER_BYTES (1024 * 1024)
#define WAIT_MAX 30 /* seconds */
#define LOOK_MS 100 /* at the bell, at the client, at the server's end */
#define FROM_NOW (-1)

/** What is asked, and the answer in the making. */
typedef struct feed_t {
    request_rec *r;
    const lti_server_config_t *conf;
    const char *course_key; /* NULL: all */
    apr_int64_t since;
    int limit, wait;
    /* of one reading: */
    apr_pool_t *pool;
    struct ap_varbuf text;
    int seen, told, full;
    apr_int64_t next;
    int more;
} feed_t;

/* --- the question ------------------------------------------------------------------------------------------------------ */

static apr_status_t read_number(apr_int64_t *number, const char *name, const char *text, lti_err_t *err)
{
    apr_size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 18 || text[digits] != '\0')
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "%s must be a number", name);
    *number = apr_atoi64(text);
    return APR_SUCCESS;
}

static apr_status_t read_question(feed_t *feed, mod_lti_feed_query_t *query, lti_err_t *err)
{
    const char *since, *wait;
    apr_int64_t seconds = 0;
    mod_lti_form_t *form;
    apr_status_t rv = mod_lti_feed_read_query(query, feed->r, err);

    if (rv == APR_SUCCESS)
        rv = mod_lti_form_query(&form, feed->r, err);
    if (rv != APR_SUCCESS)
        return rv;
    since = mod_lti_form_get(form, "since", &rv, err);
    wait = mod_lti_form_get(form, "wait", &rv, err);
    feed->since = FROM_NOW;
    if (rv == APR_SUCCESS && since != NULL)
        rv = read_number(&feed->since, "since", since, err);
    if (rv == APR_SUCCESS && wait != NULL)
        rv = read_number(&seconds, "wait", wait, err);
    feed->wait = seconds > WAIT_MAX ? WAIT_MAX : (int)seconds;
    feed->limit = query->limit != 0 ? query->limit : EVENTS_USUAL;
    return rv;
}

/* Whom the answer is for, and about which course: asked again after each wait. */
static apr_status_t check_access(feed_t *feed, const mod_lti_feed_query_t *query, lti_err_t *err)
{
    lti_course_t *course;
    apr_status_t rv;

    feed->course_key = NULL;
    if (mod_lti_config_of_dir(feed->r)->roster_access_all == 1 && query->course == NULL && query->context == NULL)
        return APR_SUCCESS;
    rv = mod_lti_feed_course(&course, feed->r, query, err);
    if (rv == APR_SUCCESS)
        feed->course_key = course->key;
    return rv;
}

/* --- events ------------------------------------------------------------------------------------------------------------ */

/* The name by which the application knows the person; NULL if the template needs what is not known. */
static const char *remote_user(const feed_t *feed, const lti_db_event_t *event, const lti_platform_t *platform)
{
    const lti_person_t person = {.sub = event->user_id, .email = event->email, .sourcedid = event->sourcedid};
    const char *user;
    lti_err_t err;

    if (lti_remote_user(&user, mod_lti_config_remote_user(mod_lti_config_of_dir(feed->r), platform), platform, &person, feed->pool,
                        &err) != APR_SUCCESS)
        return NULL;
    return user;
}

/* NULL if there is no memory; the caller frees it. */
static char *event_text(const feed_t *feed, const lti_db_event_t *event, const lti_platform_t *platform)
{
    json_t *object = json_object();
    char *text;

    json_object_set_new(object, "number", json_integer(event->number));
    mod_lti_feed_set_text(object, "event", lti_db_event_word(event->kind));
    mod_lti_feed_set_text(object, "course", event->course_key);
    lti_json_set_time(object, "at", event->happened_at);
    mod_lti_feed_set_text(object, "user_id", event->user_id);
    mod_lti_feed_set_text(object, "remote_user", remote_user(feed, event, platform));
    mod_lti_feed_set_text(object, "status", lti_member_status_word(event->status));
    mod_lti_feed_set_text(object, "role", lti_role_word(lti_role_primary(event->roles, NULL)));
    json_object_set_new(object, "roles", mod_lti_feed_roles_array(event->roles));
    mod_lti_feed_set_text(object, "name", event->name);
    mod_lti_feed_set_text(object, "given_name", event->given_name);
    mod_lti_feed_set_text(object, "family_name", event->family_name);
    mod_lti_feed_set_text(object, "email", event->email);
    mod_lti_feed_set_text(object, "lis_person_sourcedid", event->sourcedid);
    text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    return text;
}

static apr_status_t take_event(void *baton, const lti_db_event_t *event, lti_err_t *err)
{
    feed_t *feed = baton;
    const lti_platform_t *platform = event->platform != NULL ? lti_platform_by_name(feed->conf->platforms, event->platform) : NULL;
    char *text;

    feed->seen++;
    feed->next = event->number;
    /* A platform that this virtual host does not have is none of its business. */
    if (platform == NULL)
        return APR_SUCCESS;
    text = event_text(feed, event, platform);
    if (text == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for an event");
    if (feed->told++ > 0)
        ap_varbuf_strmemcat(&feed->text, ",\n", 2);
    ap_varbuf_strmemcat(&feed->text, text, (int)strlen(text));
    free(text);
    feed->full = feed->text.strlen >= ANSWER_BYTES;
    return feed->full ? APR_EOF : APR_SUCCESS;
}

/* What there is now, in feed->pool. */
static apr_status_t read_feed(feed_t *feed, lti_err_t *err)
{
    lti_db_event_bounds_t bounds;
    mod_lti_store_t store;
    apr_status_t rv;

    apr_pool_clear(feed->pool);
    ap_varbuf_init(feed->pool, &feed->text, 0);
    feed->text.strlen = 0; /* not set by the call: it means "unknown" */
    feed->seen = feed->told = feed->full = 0;
    rv = mod_lti_store_open(&store, feed->conf->db_server, feed->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_events_each(&bounds, store.db, feed->since, feed->course_key, feed->limit, take_event, feed, feed->pool, err);
    mod_lti_store_close(&store);
    if (rv != APR_SUCCESS && !feed->full)
        return rv;
    if (feed->since == FROM_NOW)
        feed->since = bounds.newest;
    if (feed->since < bounds.floor || feed->since > bounds.newest)
        return lti_fail(err, LTI_E_EVENTS_GONE, APR_NOTFOUND,
                        "events since %" APR_INT64_T_FMT " were asked for; there are those since %" APR_INT64_T_FMT
                        ", up to %" APR_INT64_T_FMT,
                        feed->since, bounds.floor, bounds.newest);
    feed->more = feed->full || feed->seen == feed->limit;
    if (!feed->more)
        feed->next = bounds.newest;
    else if (feed->next == bounds.newest)
        feed->more = 0;
    return APR_SUCCESS;
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

/* 1: there is news; 0: the time is over, or nobody wants the answer any more. */
static int wait_for_news(const feed_t *feed, apr_int64_t heard, apr_time_t until)
{
    for (;;) {
        if (lti_bell_number(feed->conf->runtime->bell) != heard)
            return 1;
        if (apr_time_now() >= until || !mod_lti_wait_a_moment(feed->r, LOOK_MS))
            return 0;
    }
}

/* Reads, and as long as there is nothing, waits and reads again; holds no connection meanwhile. */
static apr_status_t wait_and_read(feed_t *feed, const mod_lti_feed_query_t *query, lti_err_t *err)
{
    lti_bell_t *bell = feed->conf->runtime->bell;
    apr_time_t now = apr_time_now(), until = now + apr_time_from_sec(feed->wait);
    apr_int64_t heard = lti_bell_number(bell);
    lti_bell_place_t place;
    apr_status_t rv = read_feed(feed, err);

    if (rv != APR_SUCCESS || feed->told > 0 || feed->more || feed->wait == 0)
        return rv;
    /* A reading may take a while, even at the end. */
    if (!lti_bell_take_place(&place, bell, now, until + apr_time_from_sec(10)))
        return lti_fail(err, LTI_E_EVENTS_BUSY, APR_EAGAIN,
                        "%" APR_INT64_T_FMT " requests wait for events already: raise LTIEventWaiters, or ask without wait=",
                        feed->conf->event_waiters);
    while (rv == APR_SUCCESS && feed->told == 0 && !feed->more) {
        feed->since = feed->next;
        if (!wait_for_news(feed, heard, until))
            break;
        heard = lti_bell_number(bell);
        mod_lti_identity_forget(feed->r);
        rv = check_access(feed, query, err);
        if (rv == APR_SUCCESS)
            rv = read_feed(feed, err);
    }
    lti_bell_leave(bell, &place);
    return rv;
}

/* --- the answer -------------------------------------------------------------------------------------------------------- */

static apr_status_t send_events(request_rec *r, lti_err_t *err)
{
    feed_t feed = {.r = r, .conf = mod_lti_config_of(r->server)};
    mod_lti_feed_query_t query;
    apr_status_t rv = read_question(&feed, &query, err);

    if (rv == APR_SUCCESS)
        rv = check_access(&feed, &query, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_pool_create(&feed.pool, r->pool);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for events");
    rv = wait_and_read(&feed, &query, err);
    if (rv != APR_SUCCESS)
        return rv;
    mod_lti_feed_set_json(r);
    ap_rputs("{\"events\":[\n", r);
    if (feed.text.strlen > 0)
        ap_rwrite(feed.text.buf, (int)feed.text.strlen, r);
    ap_rprintf(r, "\n],\"next\":%" APR_INT64_T_FMT ",\"more\":%s}\n", feed.next, feed.more ? "true" : "false");
    return APR_SUCCESS;
}

int mod_lti_feed_events(request_rec *r)
{
    lti_err_t err;

    if (r->method_number != M_GET) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        lti_fail(&err, LTI_E_METHOD, APR_EINVAL, "events are read with GET, not with %.20s", r->method);
    } else if (send_events(r, &err) == APR_SUCCESS) {
        return OK;
    }
    return mod_lti_identity_refuse(r, "LTI0501", &err);
}
