/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters for applications: the membership container, and the refresh on demand. */
#include "mod_lti_feed.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <apr_buckets.h>
#include <apr_date.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <jansson.h>
#include <util_filter.h>
#include <util_varbuf.h>

#include "lti_crypto.h"
#include "lti_db.h"
#include "lti_http.h"
#include "lti_json.h"
#include "lti_names.h"
#include "lti_nrps.h"
#include "mod_lti_config.h"
#include "mod_lti_feed_parts.h"
#include "mod_lti_form.h"
#include "mod_lti_identity.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

/*
 * A chunk is read with one connection, which goes back before the chunk is sent: a slow reader holds no connection, and costs
 * this much memory.
 */
#define CHUNK_MEMBERS 1000
#define CHUNK_BYTES (256 * 1024)

static void fail_gets(request_rec *r, lti_err_t *err)
{
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    lti_fail(err, LTI_E_METHOD, APR_EINVAL, "a roster is read with GET, not with %.20s", r->method);
}

/* --- one member ----------------------------------------------------------------------------------------------------------- */

static int has_role(const char *roles, const char *role)
{
    apr_size_t length = strlen(role);

    while (*roles != '\0') {
        apr_size_t size = strcspn(roles, " ");

        if (size == length && memcmp(roles, role, size) == 0)
            return 1;
        roles += size + (roles[size] == ' ');
    }
    return 0;
}

/* What REMOTE_USER is made of, for a person of the roster. */
typedef struct naming_t {
    const lti_platform_t *platform;
    const char *template_text;
} naming_t;

static void set_list(json_t *object, const char *name, const char *list, apr_pool_t *p)
{
    json_t *value = lti_names_list_to_json(list, p);

    if (value != NULL)
        json_object_set(object, name, value);
}

/* The name that a request of this person would have; none where the roster lacks what the template needs. */
static void set_remote_user(json_t *object, const lti_member_t *member, const naming_t *naming, apr_pool_t *p)
{
    const lti_person_t person = {.sub = member->user_id, .email = member->email, .sourcedid = member->sourcedid};
    const char *user;

    if (lti_remote_user(&user, naming->template_text, naming->platform, &person, p, NULL) == APR_SUCCESS)
        mod_lti_feed_set_text(object, "remote_user", user);
}

/* NULL if there is no memory; the caller frees it. */
static char *member_text(const lti_member_t *member, const naming_t *naming, apr_pool_t *p)
{
    json_t *object = json_object();
    char *text;

    mod_lti_feed_set_text(object, "status", member->status == LTI_MEMBER_ACTIVE ? "Active" : "Inactive");
    mod_lti_feed_set_text(object, "name", member->name);
    mod_lti_feed_set_text(object, "given_name", member->given_name);
    mod_lti_feed_set_text(object, "family_name", member->family_name);
    mod_lti_feed_set_text(object, "email", member->email);
    mod_lti_feed_set_text(object, "lis_person_sourcedid", member->sourcedid);
    mod_lti_feed_set_text(object, "user_id", member->user_id);
    json_object_set_new(object, "roles", mod_lti_feed_roles_array(member->roles));
    set_remote_user(object, member, naming, p);
    set_list(object, "sections", member->sections, p);
    set_list(object, "groups", member->groups, p);
    text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    return text;
}

/* --- the stream of members ------------------------------------------------------------------------------------------------ */

typedef struct stream_t {
    const char *course_key;
    const char *role;     /* NULL: all */
    naming_t naming;
    int is_limited, left; /* members that may still be written, if there is a limit */
    int written;
    char after[LTI_ID_MAX + 1]; /* the last member that was looked at */
    /* of the chunk: */
    apr_pool_t *pool;
    struct ap_varbuf text;
    int seen;
    int full; /* ended by us before the database had no more */
} stream_t;

static apr_status_t take_member(void *baton, const lti_member_t *member, lti_err_t *err)
{
    stream_t *stream = baton;
    char *text;

    stream->seen++;
    apr_cpystrn(stream->after, member->user_id, sizeof(stream->after));
    if (stream->role != NULL && !has_role(member->roles, stream->role))
        return APR_SUCCESS;
    text = member_text(member, &stream->naming, stream->pool);
    if (text == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for a member");
    if (stream->written++ > 0)
        ap_varbuf_strmemcat(&stream->text, ",\n", 2);
    ap_varbuf_strmemcat(&stream->text, text, (int)strlen(text));
    free(text);
    if (stream->is_limited)
        stream->left--;
    stream->full = stream->text.strlen >= CHUNK_BYTES || (stream->is_limited && stream->left == 0);
    return stream->full ? APR_EOF : APR_SUCCESS;
}

/* The next chunk of members, as text, in `p`. `*last`: none comes after it. */
static apr_status_t read_chunk(stream_t *stream, int *last, request_rec *r, apr_pool_t *p, lti_err_t *err)
{
    mod_lti_store_t store;
    const char *after = apr_pstrdup(p, stream->after);
    apr_status_t rv = mod_lti_store_open(&store, mod_lti_config_of(r->server)->db_server, p, err);

    stream->pool = p;
    ap_varbuf_init(p, &stream->text, 0);
    stream->text.strlen = 0; /* not set by the call: it means "unknown" */
    stream->seen = stream->full = 0;
    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_members_each(store.db, stream->course_key, after, CHUNK_MEMBERS, 1, take_member, stream, p, err);
    mod_lti_store_close(&store);
    if (stream->full)
        rv = APR_SUCCESS;
    *last = (stream->is_limited && stream->left == 0) || (!stream->full && stream->seen < CHUNK_MEMBERS);
    return rv;
}

/* The head is out already: an answer that ends too early must not look complete. */
static void break_off(request_rec *r, const lti_err_t *err, const char *course_key)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, alloc);
    apr_bucket *broken = ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool, alloc);
    /* APR_BRIGADE_SENTINEL in standard C: the macro subtracts from a null pointer, which clang rightly warns of. */
    apr_bucket *end = (apr_bucket *)(void *)((char *)&brigade->list.next - offsetof(apr_bucket, link));

    ap_log_rerror(APLOG_MARK, APLOG_ERR, err->status, r, "LTI0252: the roster of course %s broke off while it was sent: %s",
                  course_key, err->text);
    APR_BUCKET_INSERT_BEFORE(end, broken);
    APR_BUCKET_INSERT_BEFORE(end, apr_bucket_eos_create(alloc));
    r->connection->keepalive = AP_CONN_CLOSE;
    ap_pass_brigade(r->output_filters, brigade);
}

/* Sends what is in the stream's first chunk and what follows. */
static void send_members(request_rec *r, stream_t *stream, int last, apr_pool_t *p)
{
    lti_err_t err;

    for (;;) {
        if (stream->text.strlen > 0 && ap_rwrite(stream->text.buf, (int)stream->text.strlen, r) < 0)
            return;
        if (last) {
            ap_rputs("\n]}\n", r);
            return;
        }
        apr_pool_clear(p);
        if (r->connection->aborted)
            return;
        if (read_chunk(stream, &last, r, p, &err) != APR_SUCCESS) {
            break_off(r, &err, stream->course_key);
            return;
        }
    }
}

/* --- pages: where does one end, and does another follow? ------------------------------------------------------------------ */

typedef struct scan_t {
    const char *role;
    int wanted, found, more;
    char last[LTI_ID_MAX + 1];
} scan_t;

static apr_status_t scan_member(void *baton, const lti_member_t *member, lti_err_t *err)
{
    scan_t *scan = baton;

    (void)err;
    if (scan->role != NULL && !has_role(member->roles, scan->role))
        return APR_SUCCESS;
    if (scan->found == scan->wanted) {
        scan->more = 1;
        return APR_EOF;
    }
    scan->found++;
    apr_cpystrn(scan->last, member->user_id, sizeof(scan->last));
    return APR_SUCCESS;
}

/* The Link header stands before the members, so the page's end is looked for before the page is written. */
static apr_status_t find_next(const char **after, request_rec *r, const stream_t *stream, lti_err_t *err)
{
    scan_t scan = {.role = stream->role, .wanted = stream->left};
    mod_lti_store_t store;
    apr_status_t rv;

    *after = NULL;
    if (!stream->is_limited)
        return APR_SUCCESS;
    rv = mod_lti_store_open(&store, mod_lti_config_of(r->server)->db_server, r->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_members_each(store.db, stream->course_key, stream->after, scan.role != NULL ? 0 : scan.wanted + 1, 1, scan_member,
                             &scan, r->pool, err);
    mod_lti_store_close(&store);
    if (scan.more) {
        *after = apr_pstrdup(r->pool, scan.last);
        return APR_SUCCESS;
    }
    return rv;
}

/* --- the container -------------------------------------------------------------------------------------------------------- */

static const char *roster_url(request_rec *r, const mod_lti_feed_query_t *query, const char *after)
{
    const char *url = apr_pstrcat(r->pool, mod_lti_identity_base_url(r), mod_lti_config_of(r->server)->path, "/roster", NULL);

    if (query->in_path)
        url = apr_pstrcat(r->pool, url, "/", lti_http_encode(query->course, r->pool), NULL);
    else if (query->course != NULL)
        url = lti_http_add_query(url, "course", query->course, r->pool);
    if (query->context != NULL)
        url = lti_http_add_query(url, "context", query->context, r->pool);
    if (query->role != NULL)
        url = lti_http_add_query(url, "role", query->role, r->pool);
    if (query->limit != 0)
        url = lti_http_add_query(url, "limit", apr_itoa(r->pool, query->limit), r->pool);
    return after != NULL ? lti_http_add_query(url, "after", after, r->pool) : url;
}

static const char *head_text(const lti_course_t *course, const char *url, apr_pool_t *p)
{
    json_t *head = lti_json_own(json_object(), p), *context = json_object();
    char *text;

    mod_lti_feed_set_text(context, "id", course->context_id);
    mod_lti_feed_set_text(context, "label", course->label);
    mod_lti_feed_set_text(context, "title", course->title);
    mod_lti_feed_set_text(head, "id", url);
    json_object_set_new(head, "context", context);
    text = lti_json_text(head, p);
    if (text == NULL)
        return NULL;
    text[strlen(text) - 1] = '\0'; /* the members follow inside the object */
    return apr_pstrcat(p, text, ",\"members\":[\n", NULL);
}

/* Names what the answer is made of: NULL if it cannot. */
static const char *make_etag(const lti_course_t *course, const naming_t *naming, const char *url, apr_pool_t *p)
{
    unsigned char digest[LTI_SHA256_SIZE];
    const char *state = lti_roster_state_word(mod_lti_feed_state(course)), *label = course->label != NULL ? course->label : "";
    const char *title = course->title != NULL ? course->title : "";
    const lti_bytes_t pieces[] = {{course->key, strlen(course->key)},
                                  {&course->version, sizeof(course->version)},
                                  {state, strlen(state)},
                                  {label, strlen(label)},
                                  {title, strlen(title)},
                                  {naming->template_text, strlen(naming->template_text)},
                                  {url, strlen(url)}};

    if (lti_sha256_pieces(digest, pieces, sizeof(pieces) / sizeof(pieces[0])) != APR_SUCCESS)
        return NULL;
    return apr_pstrcat(p, "W/\"", lti_base64url_encode(digest, 16, p), "\"", NULL);
}

static void set_headers(request_rec *r, const lti_course_t *course, const naming_t *naming, const char *url)
{
    char *date = apr_palloc(r->pool, APR_RFC822_DATE_LEN);
    const char *etag = make_etag(course, naming, url, r->pool);

    apr_rfc822_date(date, course->succeeded_at);
    apr_table_setn(r->headers_out, "Last-Modified", date);
    if (etag != NULL)
        apr_table_setn(r->headers_out, "ETag", etag);
    apr_table_setn(r->headers_out, "Cache-Control", "private, no-store");
    apr_table_setn(r->headers_out, "X-LTI-Roster-State", lti_roster_state_word(mod_lti_feed_state(course)));
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    ap_set_content_type(r, LTI_NRPS_MEDIA_TYPE);
}

static apr_status_t find_roster(lti_course_t **course, request_rec *r, const mod_lti_feed_query_t *query, lti_err_t *err)
{
    apr_status_t rv = mod_lti_feed_course(course, r, query, err);

    if (rv != APR_SUCCESS || (*course)->succeeded_at != 0)
        return rv;
    if ((*course)->nrps_url == NULL)
        return lti_fail(err, LTI_E_SERVICE_NONE, APR_NOTFOUND, "course %s has no roster service", (*course)->key);
    return lti_fail(err, LTI_E_ROSTER_PENDING, APR_EAGAIN, "course %s has no roster yet%s%s", (*course)->key,
                    (*course)->error_name != NULL ? "; the last try ended with " : "",
                    (*course)->error_name != NULL ? (*course)->error_name : "");
}

/* Of a session: what an address that is opened to all courses answers is for programs, unless it is asked for nobody else's. */
static int is_for_browser(request_rec *r, const mod_lti_feed_query_t *query)
{
    return mod_lti_feed_wants_page(r) &&
           (mod_lti_config_of_dir(r)->roster_access_all != 1 || (query->course == NULL && query->context == NULL));
}

/* `*answer` is what the handler returns when this succeeds. */
static apr_status_t send_roster(int *answer, request_rec *r, lti_err_t *err)
{
    mod_lti_feed_query_t query;
    lti_course_t *course;
    const char *url, *next, *head;
    apr_pool_t *chunk_pool;
    stream_t stream;
    int last = 0;
    apr_status_t rv = mod_lti_feed_read_query(&query, r, err);

    *answer = OK;
    if (rv == APR_SUCCESS && is_for_browser(r, &query)) {
        rv = mod_lti_feed_course(&course, r, &query, err);
        return rv == APR_SUCCESS ? mod_lti_feed_send_page(r, course, &query, err) : rv;
    }
    if (rv == APR_SUCCESS)
        rv = find_roster(&course, r, &query, err);
    if (rv != APR_SUCCESS)
        return rv;
    url = roster_url(r, &query, query.after);
    memset(&stream, 0, sizeof(stream));
    stream.naming.platform = lti_platform_by_name(mod_lti_config_of(r->server)->platforms, course->platform);
    stream.naming.template_text = mod_lti_config_remote_user(mod_lti_config_of_dir(r), stream.naming.platform);
    set_headers(r, course, &stream.naming, url);
    *answer = ap_meets_conditions(r);
    if (*answer != OK)
        return APR_SUCCESS;
    stream.course_key = course->key;
    stream.role = query.role != NULL ? lti_role_canonical(query.role, 0, NULL) : NULL;
    stream.is_limited = query.limit != 0;
    stream.left = query.limit;
    apr_cpystrn(stream.after, query.after != NULL ? query.after : "", sizeof(stream.after));
    rv = find_next(&next, r, &stream, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (next != NULL)
        apr_table_setn(r->headers_out, "Link", apr_pstrcat(r->pool, "<", roster_url(r, &query, next), ">; rel=\"next\"", NULL));
    if (r->header_only)
        return APR_SUCCESS;
    /* The first chunk comes before the head is sent: a database that does not answer is still a clean refusal. */
    head = head_text(course, url, r->pool);
    if (head == NULL || apr_pool_create(&chunk_pool, r->pool) != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for a roster");
    rv = read_chunk(&stream, &last, r, chunk_pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    ap_rputs(head, r);
    send_members(r, &stream, last, chunk_pool);
    return APR_SUCCESS;
}

int mod_lti_feed_roster(request_rec *r)
{
    lti_err_t err;
    int answer = OK;

    if (r->method_number != M_GET)
        fail_gets(r, &err);
    else if (send_roster(&answer, r, &err) == APR_SUCCESS)
        return answer;
    return mod_lti_identity_refuse(r, "LTI0250", &err);
}
