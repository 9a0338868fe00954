/* SPDX-License-Identifier: Apache-2.0 */
/* The roster for a browser: an instructor's own course in plain words, with "Update now". Programs get the membership container from the same address. */
#include "mod_lti_feed_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <http_protocol.h>

#include "lti_db.h"
#include "lti_http.h"
#include "lti_nrps.h"
#include "mod_lti_config.h"
#include "mod_lti_html.h"
#include "mod_lti_identity.h"
#include "mod_lti_progress.h"
#include "mod_lti_response.h"
#include "mod_lti_store.h"

#define PEOPLE_SHOWN 500 /* sorted by name as far as one page goes: so is nearly every course */

#define FRAME_ANCESTORS "frame-ancestors "

/* --- who wants a page ------------------------------------------------------------------------------------------------------ */

/* Of "; q=0.8" and other parameters: thousandths. What cannot be read is 0. */
static int quality(const char *parameters)
{
    int value = 1000, digit = 100;

    for (; parameters != NULL; parameters = strchr(parameters, ';')) {
        parameters += strspn(parameters, "; \t");
        if ((*parameters != 'q' && *parameters != 'Q') || parameters[1] != '=')
            continue;
        parameters += 2;
        if (*parameters != '0' && *parameters != '1')
            return 0;
        value = (*parameters++ - '0') * 1000;
        if (*parameters == '.') {
            for (parameters++; digit > 0 && apr_isdigit(*parameters); digit /= 10)
                value += (*parameters++ - '0') * digit;
        }
        parameters += strspn(parameters, " \t");
        if (*parameters != '\0' && *parameters != ';')
            return 0;
    }
    return value > 1000 ? 1000 : value;
}

/* The best quality among the ranges of an Accept header that are exactly `type`; 0 if there is none. */
static int wanted(const char *accept, const char *type, apr_pool_t *p)
{
    char *last, *range;
    int best = 0;

    for (range = apr_strtok(apr_pstrdup(p, accept), ",", &last); range != NULL; range = apr_strtok(NULL, ",", &last)) {
        char *parameters = strchr(range, ';');
        int value = quality(parameters);

        if (parameters != NULL)
            *parameters = '\0';
        apr_collapse_spaces(range, range);
        if (strcasecmp(range, type) == 0 && value > best)
            best = value;
    }
    return best;
}

int mod_lti_feed_wants_page(request_rec *r)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");
    int page, json, container;

    apr_table_mergen(r->headers_out, "Vary", "Accept");
    if (accept == NULL)
        return 0;
    page = wanted(accept, "text/html", r->pool);
    json = wanted(accept, "application/json", r->pool);
    container = wanted(accept, LTI_NRPS_MEDIA_TYPE, r->pool);
    return page > 0 && page >= json && page >= container;
}

/* --- addresses ------------------------------------------------------------------------------------------------------------ */

/* This page and its button name the session that they are for: the browser may have others (LTICoursePaths), and newer ones. */
static const char *address(request_rec *r, const char *end_point)
{
    const mod_lti_identity_t *identity = mod_lti_identity_of(r);
    const char *cookie = identity->cookie_name, *url = apr_pstrcat(r->pool, mod_lti_config_of(r->server)->path, end_point, NULL);

    if (cookie == NULL || strlen(cookie) < LTI_SESSION_KEY_LENGTH)
        return url;
    return lti_http_add_query(url, "session", cookie + strlen(cookie) - LTI_SESSION_KEY_LENGTH, r->pool);
}

void mod_lti_feed_lead_to_page(request_rec *r, apr_time_t now)
{
    const char *since = mod_lti_progress_since(now, r->pool);

    r->status = HTTP_SEE_OTHER;
    apr_table_setn(r->headers_out, "Location", lti_http_add_query(address(r, "/roster"), "since", since, r->pool));
    apr_table_setn(r->headers_out, "Cache-Control", "private, no-store");
}

/* --- people ---------------------------------------------------------------------------------------------------------------- */

typedef struct person_t {
    const char *name, *order, *role, *status;
} person_t;

typedef struct reading_t {
    apr_pool_t *pool;
    apr_array_header_t *people; /* of person_t */
    const char *last;           /* user id */
    int more;
} reading_t;

static const char *copy_first(apr_pool_t *p, const char *a, const char *b, const char *c)
{
    return apr_pstrdup(p, a != NULL && *a != '\0' ? a : b != NULL && *b != '\0' ? b : c);
}

static apr_status_t take_person(void *baton, const lti_member_t *member, lti_err_t *err)
{
    reading_t *reading = baton;
    apr_pool_t *p = reading->pool;
    person_t *person;

    (void)err;
    if (reading->people->nelts == PEOPLE_SHOWN) {
        reading->more = 1;
        return APR_SUCCESS;
    }
    person = apr_array_push(reading->people);
    person->name = copy_first(p, member->name, member->email, member->user_id);
    person->order = apr_pstrcat(p, copy_first(p, member->family_name, person->name, ""), "\n", person->name, NULL);
    person->role = lti_role_word(lti_role_primary(member->roles, NULL));
    person->status = lti_member_status_word(member->status);
    reading->last = apr_pstrdup(p, member->user_id);
    return APR_SUCCESS;
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(((const person_t *)a)->order, ((const person_t *)b)->order);
}

/* --- the page -------------------------------------------------------------------------------------------------------------- */

typedef struct page_t {
    request_rec *r;
    const lti_course_t *course;
    const char *after;
    apr_time_t now;
    reading_t reading;
    mod_lti_progress_t progress;
} page_t;

static apr_status_t read_page(page_t *page, const mod_lti_feed_query_t *query, lti_err_t *err)
{
    apr_pool_t *p = page->r->pool;
    mod_lti_store_t store;
    apr_status_t rv = mod_lti_store_open(&store, mod_lti_config_of(page->r->server)->db_server, p, err);

    page->reading.pool = p;
    page->reading.people = apr_array_make(p, 64, sizeof(person_t));
    page->after = query->after != NULL ? query->after : "";
    if (rv != APR_SUCCESS)
        return rv;
    rv = mod_lti_progress_find(&page->progress, NULL, store.db, page->course->key, query->since, 0, p, err);
    /* As long as an update goes on the page says just that: it is loaded every other second. */
    if (rv == APR_SUCCESS && !page->progress.goes_on && page->course->succeeded_at != 0)
        rv =
            lti_db_members_each(store.db, page->course->key, page->after, PEOPLE_SHOWN + 1, 1, take_person, &page->reading, p, err);
    mod_lti_store_close(&store);
    if (page->reading.people->nelts > 1)
        qsort(page->reading.people->elts, (size_t)page->reading.people->nelts, sizeof(person_t), by_name);
    return rv;
}

static const char *age(const page_t *page)
{
    apr_int64_t seconds = apr_time_sec(page->now - page->course->succeeded_at);

    if (seconds < 1)
        return "just now";
    return apr_pstrcat(page->r->pool, mod_lti_html_span(seconds, page->r->pool), " ago", NULL);
}

/* In words for somebody who teaches. */
static void write_standing(mod_lti_html_t *html, const page_t *page)
{
    const lti_course_t *course = page->course;
    lti_roster_state_t state = mod_lti_feed_state(course);

    mod_lti_html_write(html, "<p id=\"standing\" data-fresh>");
    if (course->nrps_url == NULL && course->succeeded_at == 0)
        mod_lti_html_write(html, "The learning platform does not give this tool the list of this course's people. Its "
                                 "administrator can switch that on.");
    else if (course->succeeded_at == 0)
        mod_lti_html_write(html, "The list of this course's people has not been read yet.");
    else if (state == LTI_ROSTER_CURRENT)
        mod_lti_html_write(html, "The list is up to date: it was read %s.", age(page));
    else if (state == LTI_ROSTER_HELD)
        mod_lti_html_write(html,
                           "The list was read %s. Unusually many people are missing from it; they stay here until an administrator "
                           "has had a look.",
                           age(page));
    else if (state == LTI_ROSTER_STALE)
        mod_lti_html_write(
            html, "The list is old: it was read %s, and could not be read since. Please tell the administrator of this tool.",
            age(page));
    else
        mod_lti_html_write(html, "The list was read %s. It could not be read again since; that is tried by itself.", age(page));
    if (course->error_name != NULL && state != LTI_ROSTER_CURRENT && state != LTI_ROSTER_HELD)
        mod_lti_html_write(html, " <span class=\"dim small\">(%s)</span>", course->error_name);
    mod_lti_html_write(html, "</p>\n");
}

static void write_people(mod_lti_html_t *html, const page_t *page)
{
    static const mod_lti_html_column_t columns[] = {{.title = "Name"}, {.title = "Role"}, {.title = "Status"}};
    const apr_array_header_t *people = page->reading.people;
    int i;

    mod_lti_html_write(html, "<section id=\"people\" data-fresh>");
    if (page->course->succeeded_at != 0) {
        mod_lti_html_write(html, "<h2 id=\"count\">%s</h2>\n", mod_lti_progress_people(page->course->active, page->r->pool));
        mod_lti_html_table(html, "People", columns, 3);
        for (i = 0; i < people->nelts; i++) {
            const person_t *person = &APR_ARRAY_IDX(people, i, person_t);

            mod_lti_html_row(html);
            mod_lti_html_cell(html);
            mod_lti_html_write(html, "<bdi>%s</bdi>", person->name);
            mod_lti_html_cell(html);
            mod_lti_html_write(html, "%s", mod_lti_html_words(person->role, page->r->pool));
            mod_lti_html_cell(html);
            mod_lti_html_write(html, "%s", person->status);
        }
        mod_lti_html_table_end(html);
    }
    if (*page->after != '\0' || page->reading.more)
        mod_lti_html_write(html, "<nav class=\"pages\" aria-label=\"Pages of people\">");
    if (*page->after != '\0')
        mod_lti_html_write(html, "<a id=\"first\" href=\"%s\">First page</a>", address(page->r, "/roster"));
    if (page->reading.more)
        mod_lti_html_write(html, "<a id=\"next\" href=\"%s\">Next page</a>",
                           lti_http_add_query(address(page->r, "/roster"), "after", page->reading.last, page->r->pool));
    if (*page->after != '\0' || page->reading.more)
        mod_lti_html_write(html, "</nav>\n");
    mod_lti_html_write(html, "</section>\n");
}

static const char *title_of(const lti_course_t *course)
{
    if (course->title != NULL && *course->title != '\0')
        return course->title;
    return course->label != NULL && *course->label != '\0' ? course->label : "The people of this course";
}

/* Whose pages may show this one in a frame: those of the session's platform, as with all that its people see. */
static const char *ancestors_of(request_rec *r)
{
    const mod_lti_identity_t *identity = mod_lti_identity_of(r);
    const char *directive;

    if (identity->platform == NULL || identity->session == NULL)
        return NULL;
    directive = mod_lti_response_frame_ancestors(r, identity->platform, identity->session->launch.return_url);
    return strncmp(directive, FRAME_ANCESTORS, sizeof(FRAME_ANCESTORS) - 1) == 0 ? directive + sizeof(FRAME_ANCESTORS) - 1 : NULL;
}

apr_status_t mod_lti_feed_send_page(request_rec *r, const lti_course_t *course, const mod_lti_feed_query_t *query, lti_err_t *err)
{
    page_t page = {.r = r, .course = course, .now = mod_lti_store_now()};
    mod_lti_html_t html = {.title = title_of(course), .frame_ancestors = ancestors_of(r), .now = page.now};
    apr_status_t rv = read_page(&page, query, err);

    if (rv != APR_SUCCESS)
        return rv;
    mod_lti_progress_refresh(r, &page.progress);
    if (mod_lti_html_begin(&html, r) != OK)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "there are no random bytes for a page");
    /* With no-referrer, which pages have otherwise, the button would come with the origin "null". */
    apr_table_setn(r->headers_out, "Referrer-Policy", "same-origin");
    write_standing(&html, &page);
    if (course->nrps_url != NULL) {
        mod_lti_progress_write(&html, &page.progress);
        mod_lti_html_write(&html,
                           "<form id=\"update\" method=\"post\" action=\"%s\"><button class=\"main\">Update now</button></form>\n",
                           address(r, "/sync"));
    }
    if (!page.progress.goes_on)
        write_people(&html, &page);
    mod_lti_html_end(&html, course->nrps_url != NULL ? mod_lti_progress_script : NULL);
    return APR_SUCCESS;
}
