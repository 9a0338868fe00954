/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_nrps: the page parser, the request for a page, and the judgement of its answer.
 *
 * The parser looks for one thing only: the array that is the value of the top-level member "members". Each object of that array is
 * cut out and decoded by itself; all other bytes are kept as the *rest*, in which the array stands as []. At the end the rest must
 * be one well-formed object with that empty array in it. So whatever the search could misread (a key spelled with escapes, a second
 * "members", brackets that do not match) shows as damage there, never as people who are silently missing.
 */
#include "lti_nrps.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "lti_json.h"

#define REST_MAX (64 * 1024) /* bytes of a page outside its members */
#define ARRAY_DEPTH 2        /* inside the container and the array */
#define KEY "members"
#define KEY_LENGTH (sizeof(KEY) - 1)

typedef enum place_t {
    REST,         /* outside the array */
    FIRST_MEMBER, /* behind its '[': a member or its end */
    NEXT_MEMBER,  /* behind a comma: a member */
    IN_MEMBER,
    AFTER_MEMBER /* a comma or the array's end */
} place_t;

struct lti_nrps_page_t {
    apr_pool_t *pool;
    apr_pool_t *ptemp; /* cleared after each member */
    unsigned role_options;
    int escaped_names;
    int changes; /* people named as deleted are handed over */
    const lti_nrps_names_t *names; /* NULL: none are read */
    lti_nrps_member_fn *on_member;
    void *baton;
    apr_status_t rv; /* of the first failure: nothing goes on after it */
    lti_err_t err;
    place_t place;
    /* Lexical state, of the rest and of a member alike. */
    int depth;
    int in_string;
    int escaped;
    /* The rest, and the search for the key in it. */
    char *rest;
    apr_size_t rest_size, rest_room;
    int expects_key; /* at depth 1, behind '{' or ',' */
    int in_key;      /* inside a key of depth 1, whose bytes so far are key[] */
    char key[KEY_LENGTH + 1];
    apr_size_t key_length;
    int key_matched; /* the last key of depth 1 was "members": its value comes next */
    int arrays;
    /* The member that came in pieces. */
    char *member;
    apr_size_t member_size;
    int members, dropped, odd;
};

lti_nrps_page_t *lti_nrps_page_create(unsigned role_options, lti_nrps_member_fn *on_member, void *baton, apr_pool_t *p)
{
    lti_nrps_page_t *page = apr_pcalloc(p, sizeof(*page));

    page->pool = p;
    apr_pool_create(&page->ptemp, p);
    apr_pool_tag(page->ptemp, "lti_nrps member");
    page->role_options = role_options;
    page->on_member = on_member;
    page->baton = baton;
    return page;
}

void lti_nrps_page_unescape(lti_nrps_page_t *page)
{
    page->escaped_names = 1;
}

void lti_nrps_page_changes(lti_nrps_page_t *page)
{
    page->changes = 1;
}

void lti_nrps_page_names(lti_nrps_page_t *page, const lti_nrps_names_t *wanted)
{
    page->names = wanted;
}

/* --- one member --------------------------------------------------------------------------------------------------- */

/* Names go into headers and log lines: control characters (C0, DEL, C1) become blanks. jansson gives valid UTF-8. */
static const char *clean(const char *text, apr_pool_t *p)
{
    char *copy;
    unsigned char *c;

    if (lti_json_is_clean(text))
        return text;
    copy = apr_pstrdup(p, text);
    for (c = (unsigned char *)copy; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7F) {
            *c = ' ';
        } else if (*c == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0) {
            c[0] = ' ';
            c[1] = ' ';
        }
    }
    return copy;
}

/* SPEC N-36: wrong type, "", over-long: as if it were not there. */
static const char *read_text(const json_t *object, const char *name, apr_pool_t *p)
{
    const json_t *value = json_object_get(object, name);
    size_t length = json_is_string(value) ? json_string_length(value) : 0;

    return length >= 1 && length <= LTI_FIELD_MAX ? clean(json_string_value(value), p) : NULL;
}

static const char *read_name(const lti_nrps_page_t *page, const json_t *object, const char *name)
{
    const char *text = read_text(object, name, page->ptemp);

    return text != NULL && page->escaped_names ? lti_nrps_unescape(text, page->ptemp) : text;
}

/* SPEC N-32; NULL if nobody can be known by it. */
static const char *read_id(const json_t *value, apr_pool_t *p)
{
    size_t length = json_is_string(value) ? json_string_length(value) : 0;

    if (json_is_integer(value))
        return apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(value));
    if (length < 1 || length > LTI_ID_MAX || !lti_json_is_clean(json_string_value(value)))
        return NULL;
    return json_string_value(value);
}

/* SPEC N-33. */
static const char *read_roles(const json_t *value, unsigned options, apr_pool_t *p)
{
    apr_array_header_t *roles = apr_array_make(p, 8, sizeof(const char *));
    size_t i;

    if (json_is_string(value))
        APR_ARRAY_PUSH(roles, const char *) = json_string_value(value);
    for (i = 0; i < json_array_size(value); i++) {
        const char *role = json_string_value(json_array_get(value, i));

        if (role != NULL)
            APR_ARRAY_PUSH(roles, const char *) = role;
    }
    return lti_role_join(roles, options, p);
}

/* SPEC N-34, N-35: what is not understood gives no access. */
static lti_member_status_t read_status(const json_t *value, int *odd)
{
    const char *word = json_string_value(value);

    if (value == NULL || json_is_null(value))
        return LTI_MEMBER_ACTIVE;
    if (word != NULL && strcasecmp(word, "active") == 0)
        return LTI_MEMBER_ACTIVE;
    if (word != NULL && strcasecmp(word, "inactive") == 0)
        return LTI_MEMBER_INACTIVE;
    ++*odd;
    return word != NULL && strcasecmp(word, "deleted") == 0 ? LTI_MEMBER_LEFT : LTI_MEMBER_INACTIVE;
}

static apr_status_t take_object(lti_nrps_page_t *page, const json_t *object, lti_err_t *err)
{
    apr_pool_t *p = page->ptemp;
    lti_member_t member = {0};
    unsigned flags = 0;

    member.user_id = read_id(json_object_get(object, "user_id"), p);
    if (member.user_id == NULL) {
        page->dropped++;
        return APR_SUCCESS;
    }
    member.roles = read_roles(json_object_get(object, "roles"), page->role_options, p);
    member.status = read_status(json_object_get(object, "status"), &page->odd);
    if (member.status == LTI_MEMBER_LEFT && page->changes) {
        page->odd--;
        page->members++;
        return page->on_member(page->baton, &member, err);
    }
    lti_role_primary(member.roles, &flags);
    /* Somebody named as gone is not named; a platform's test user is nobody (SPEC N-47). */
    if (member.status == LTI_MEMBER_LEFT || (flags & LTI_ROLE_FLAG_TEST_USER) != 0)
        return APR_SUCCESS;
    member.name = read_name(page, object, "name");
    member.given_name = read_name(page, object, "given_name");
    member.family_name = read_name(page, object, "family_name");
    member.email = read_text(object, "email", p);
    member.sourcedid = read_text(object, "lis_person_sourcedid", p);
    if (page->names != NULL)
        lti_nrps_read_names(&member, object, page->names, p);
    page->members++;
    return page->on_member(page->baton, &member, err);
}

static apr_status_t decode_member(lti_nrps_page_t *page, const char *text, apr_size_t size, lti_err_t *err)
{
    json_t *object;
    apr_status_t rv;

    rv = lti_json_object(&object, text, size, LTI_E_ROSTER_MALFORMED, page->ptemp, err);
    if (rv == APR_SUCCESS)
        rv = take_object(page, object, err);
    apr_pool_clear(page->ptemp);
    return rv;
}

/* --- the bytes ---------------------------------------------------------------------------------------------------- */

static int is_blank(const char *text, apr_size_t size)
{
    apr_size_t i;

    for (i = 0; i < size; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
            return 0;
    }
    return 1;
}

static apr_status_t keep_rest(lti_nrps_page_t *page, char c, lti_err_t *err)
{
    if (page->rest_size == page->rest_room) {
        apr_size_t room = page->rest_room == 0 ? 1024 : 2 * page->rest_room;
        char *rest;

        if (page->rest_size >= REST_MAX)
            return lti_fail(err, LTI_E_ROSTER_LIMIT, APR_ENOSPC, "the page has more than %d bytes besides its members", REST_MAX);
        rest = apr_palloc(page->pool, room);
        if (page->rest_size > 0)
            memcpy(rest, page->rest, page->rest_size);
        page->rest = rest;
        page->rest_room = room;
    }
    page->rest[page->rest_size++] = c;
    return APR_SUCCESS;
}

/* A byte inside a string of the rest; keys of depth 1 are spelled along. */
static void step_string(lti_nrps_page_t *page, char c)
{
    if (page->escaped) {
        page->escaped = 0;
    } else if (c == '\\') {
        page->escaped = 1;
    } else if (c == '"') {
        page->in_string = 0;
        page->key_matched = page->in_key && page->key_length == KEY_LENGTH && memcmp(page->key, KEY, KEY_LENGTH) == 0;
        page->in_key = 0;
        return;
    }
    if (page->in_key) {
        if (page->key_length < sizeof(page->key))
            page->key[page->key_length] = c;
        page->key_length++;
    }
}

static apr_status_t step_rest(lti_nrps_page_t *page, char c, lti_err_t *err)
{
    apr_status_t rv;

    if (page->depth == 0 && c != '{' && !is_blank(&c, 1))
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "the page is not one JSON object");
    rv = keep_rest(page, c, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (page->in_string) {
        step_string(page, c);
        return APR_SUCCESS;
    }
    switch (c) {
    case '"':
        page->in_string = 1;
        page->in_key = page->expects_key;
        page->key_length = 0;
        page->key_matched = 0;
        page->expects_key = 0;
        break;
    case '{':
    case '[':
        if (page->key_matched && page->depth == 1 && c == '[') {
            page->place = FIRST_MEMBER;
            page->arrays++;
        }
        page->key_matched = 0;
        page->expects_key = page->depth == 0 && c == '{';
        if (++page->depth > LTI_JSON_DEPTH)
            return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "JSON is nested deeper than %d levels", LTI_JSON_DEPTH);
        break;
    case '}':
    case ']':
        page->depth--;
        page->key_matched = 0;
        page->expects_key = 0;
        break;
    case ',':
        page->key_matched = 0;
        page->expects_key = page->depth == 1;
        break;
    default:
        break;
    }
    if (page->arrays > 1)
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "the page has members twice");
    return APR_SUCCESS;
}

/* A byte of the array outside its objects. Nothing of it is kept but the closing bracket. */
static apr_status_t step_array(lti_nrps_page_t *page, char c, lti_err_t *err)
{
    if (is_blank(&c, 1))
        return APR_SUCCESS;
    if (c == '{' && page->place != AFTER_MEMBER) {
        page->place = IN_MEMBER;
        return APR_SUCCESS;
    }
    if (c == ',' && page->place == AFTER_MEMBER) {
        page->place = NEXT_MEMBER;
        return APR_SUCCESS;
    }
    if (c == ']' && page->place != NEXT_MEMBER) {
        page->place = REST;
        return step_rest(page, c, err);
    }
    return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL,
                    "the list of members has something else than objects in it, or no comma between them");
}

/* Moves to the end of the member or of the bytes; most of a page is read here. */
static const char *skip_member(lti_nrps_page_t *page, const char *c, const char *end)
{
    int in_string = page->in_string, escaped = page->escaped, depth = page->depth;

    for (; c < end; c++) {
        if (in_string) {
            if (escaped)
                escaped = 0;
            else if (*c == '\\')
                escaped = 1;
            else if (*c == '"')
                in_string = 0;
        } else if (*c == '"') {
            in_string = 1;
        } else if (*c == '{' || *c == '[') {
            if (++depth > LTI_JSON_DEPTH)
                break;
        } else if ((*c == '}' || *c == ']') && --depth == ARRAY_DEPTH) {
            page->place = AFTER_MEMBER;
            c++;
            break;
        }
    }
    page->in_string = in_string;
    page->escaped = escaped;
    page->depth = depth;
    return c;
}

/* The bytes of a member from `*at` on. One that lies whole in these bytes is decoded in place, one that does not is gathered. */
static apr_status_t step_member(lti_nrps_page_t *page, const char **at, const char *end, lti_err_t *err)
{
    const char *begin = *at;
    apr_size_t left = LTI_NRPS_MEMBER_MAX + 1 - page->member_size, size;
    apr_status_t rv;

    *at = skip_member(page, begin, (apr_size_t)(end - begin) > left ? begin + left : end);
    size = (apr_size_t)(*at - begin);
    if (page->depth > LTI_JSON_DEPTH)
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "JSON is nested deeper than %d levels", LTI_JSON_DEPTH);
    if (page->member_size + size > LTI_NRPS_MEMBER_MAX)
        return lti_fail(err, LTI_E_ROSTER_LIMIT, APR_ENOSPC, "a member has more than %d bytes", LTI_NRPS_MEMBER_MAX);
    if (page->place == AFTER_MEMBER && page->member_size == 0)
        return decode_member(page, begin, size, err);
    if (page->member == NULL)
        page->member = apr_palloc(page->pool, LTI_NRPS_MEMBER_MAX);
    memcpy(page->member + page->member_size, begin, size);
    page->member_size += size;
    if (page->place != AFTER_MEMBER)
        return APR_SUCCESS;
    rv = decode_member(page, page->member, page->member_size, err);
    page->member_size = 0;
    return rv;
}

static apr_status_t feed(lti_nrps_page_t *page, const char *data, apr_size_t size, lti_err_t *err)
{
    const char *c = data, *end = data + size;
    apr_status_t rv = APR_SUCCESS;

    while (c < end && rv == APR_SUCCESS) {
        switch (page->place) {
        case REST:
            rv = step_rest(page, *c++, err);
            break;
        case IN_MEMBER:
            rv = step_member(page, &c, end, err);
            break;
        default:
            rv = step_array(page, *c, err);
            if (page->place != IN_MEMBER) /* its brace is cut out with it */
                c++;
            break;
        }
    }
    return rv;
}

apr_status_t lti_nrps_page_feed(lti_nrps_page_t *page, const char *data, apr_size_t size, lti_err_t *err)
{
    if (page->rv == APR_SUCCESS)
        page->rv = feed(page, data, size, &page->err);
    if (page->rv != APR_SUCCESS && page->err.code == LTI_OK)
        lti_fail(&page->err, LTI_E_INTERNAL, page->rv, "a member was not taken");
    if (page->rv != APR_SUCCESS && err != NULL)
        *err = page->err;
    return page->rv;
}

/* --- the end of a page -------------------------------------------------------------------------------------------- */

apr_status_t lti_nrps_page_end(lti_nrps_page_t *page, lti_nrps_summary_t *summary, lti_err_t *err)
{
    const json_t *members, *context_id;
    json_t *container;
    apr_status_t rv;

    memset(summary, 0, sizeof(*summary));
    if (page->rv != APR_SUCCESS) {
        if (err != NULL)
            *err = page->err;
        return page->rv;
    }
    if (is_blank(page->rest, page->rest_size))
        return APR_SUCCESS;
    if (page->place != REST)
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "the page ends within its members");
    rv = lti_json_object(&container, page->rest, page->rest_size, LTI_E_ROSTER_MALFORMED, page->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    members = json_object_get(container, KEY);
    if (page->arrays != 1 || !json_is_array(members) || json_array_size(members) != 0)
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "the page has no list of members");
    if (page->dropped * 10 > page->members + page->dropped)
        return lti_fail(err, LTI_E_ROSTER_MEMBERS, APR_EINVAL, "%d of %d members have no usable user_id", page->dropped,
                        page->members + page->dropped);
    summary->members = page->members;
    summary->dropped = page->dropped;
    summary->odd = page->odd;
    context_id = json_object_get(json_object_get(container, "context"), "id");
    summary->context_id = context_id == NULL ? NULL : read_id(context_id, page->pool);
    return APR_SUCCESS;
}

/* --- request and answer ------------------------------------------------------------------------------------------- */

void lti_nrps_request(lti_http_request_t *request, const lti_platform_t *platform, const char *url, const char *token, int first,
                      apr_pool_t *p)
{
    if (first && platform->page_limit > 0 && !lti_http_has_parameter(url, "limit"))
        url = lti_http_add_query(url, "limit", apr_itoa(p, platform->page_limit), p);
    *request = (lti_http_request_t){
        .url = url,
        .accept = LTI_NRPS_MEDIA_TYPE, /* Moodle compares it letter by letter: no second type, no parameter */
        .bearer = token,
        .max_body = LTI_NRPS_PAGE_MAX,
        .stall_seconds = 60,
        .total_seconds = 600,
        .any_address = lti_platform_owns_host(platform, url, p),
    };
}

/* Canvas before 2025 throttled with 403, and says so in the text or by an exhausted bucket. */
static int is_throttled(const lti_http_response_t *response, const char *excerpt)
{
    const char *left = apr_table_get(response->headers, "X-Rate-Limit-Remaining");

    return response->retry_after > 0 || strcasestr(excerpt, "rate limit") != NULL || strcasestr(excerpt, "throttl") != NULL ||
           (left != NULL && strtod(left, NULL) <= 0);
}

static apr_status_t fail_status(lti_err_t *err, lti_code_t code, const lti_http_response_t *response, const char *reason,
                                const char *excerpt)
{
    apr_status_t rv = lti_fail(err, code, APR_EGENERAL, "HTTP %ld%s%s%s%s", response->status, reason[0] != '\0' ? ", " : "", reason,
                               excerpt[0] != '\0' ? ": " : "", excerpt);

    if (err != NULL)
        err->detail = response->status;
    return rv;
}

static apr_status_t judge_forbidden(const lti_http_response_t *response, const char *excerpt, lti_err_t *err)
{
    if (strstr(excerpt, "above_response_limit") != NULL)
        return fail_status(err, LTI_E_ROSTER_TOO_LARGE, response, "the platform gives no roster of a course with so many people",
                           excerpt);
    if (is_throttled(response, excerpt))
        return fail_status(err, LTI_E_ROSTER_BUSY, response, "the platform's rate limit is reached", excerpt);
    return fail_status(err, LTI_E_ROSTER_FORBIDDEN, response, "", excerpt);
}

static apr_status_t judge_type(const lti_http_response_t *response, lti_err_t *err)
{
    const char *type = response->content_type, *length = apr_table_get(response->headers, "Content-Length");

    if (strcasecmp(type, LTI_NRPS_MEDIA_TYPE) == 0 || strcasecmp(type, "application/json") == 0)
        return APR_SUCCESS;
    /* An empty body needs no type (SPEC N-39). */
    if (type[0] == '\0' && length != NULL && strcmp(length, "0") == 0)
        return APR_SUCCESS;
    return fail_status(err, LTI_E_ROSTER_TYPE, response, "but the content type is", type[0] != '\0' ? type : "missing");
}

/* The target's host is what an administrator needs; its path and query may hold what is not for a log. */
static apr_status_t judge_redirect(const lti_http_response_t *response, lti_err_t *err)
{
    const char *location = apr_table_get(response->headers, "Location"), *host, *at;
    char name[256];

    if (location == NULL || (host = strstr(location, "://")) == NULL)
        return fail_status(err, LTI_E_HTTP_REDIRECT, response, "a redirect within the host", "");
    host += 3;
    apr_cpystrn(name, host, strcspn(host, "/?#") < sizeof(name) ? strcspn(host, "/?#") + 1 : sizeof(name));
    at = strrchr(name, '@');
    return fail_status(err, LTI_E_HTTP_REDIRECT, response, "a redirect to", at != NULL ? at + 1 : name);
}

apr_status_t lti_nrps_check_answer(const lti_http_response_t *response, const char *excerpt, lti_err_t *err)
{
    long status = response->status;

    if (excerpt == NULL)
        excerpt = "";
    if (status == 200)
        return judge_type(response, err);
    if (status == 204)
        return APR_SUCCESS;
    if (status == 401)
        return fail_status(err, LTI_E_ROSTER_FORBIDDEN, response, "", excerpt);
    if (status == 403)
        return judge_forbidden(response, excerpt, err);
    if (status == 404 || status == 410)
        return fail_status(err, LTI_E_ROSTER_GONE, response, "", excerpt);
    if (status == 429 || status == 503)
        return fail_status(err, LTI_E_ROSTER_BUSY, response, "", excerpt);
    if (status >= 300 && status < 400)
        return judge_redirect(response, err);
    return fail_status(err, LTI_E_HTTP_STATUS, response, "", excerpt);
}
