/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a course, and the same as JSON: how it stands and why, its people, what its runs did, and what an administrator may do with it. */
#include "mod_lti_admin_course.h"

#include <string.h>
#include <apr_strings.h>
#include <http_protocol.h>

#include "lti_http.h"
#include "mod_lti_progress.h"

#define PEOPLE_SHOWN 100

/* What the page shows, gathered before the first byte goes out: the connection is not held while a reader is slow. */
typedef struct course_page_t {
    const char *key;
    json_t *course;
    json_t *request;              /* of the update that somebody asked for; NULL: none */
    json_t *people;               /* NULL: not shown */
    json_t *held;                 /* NULL: nothing is held, or not shown */
    const char *user, *user_name; /* whose sessions are to end: before they do, the page asks once more */
    int asks;
    mod_lti_progress_t progress;
} course_page_t;

/* --- gathering ------------------------------------------------------------------------------------------------------------------ */

static int is_held(const course_page_t *page)
{
    return json_is_object(json_object_get(page->course, "held"));
}

/* The name of whose sessions are to end: a number alone is soon mistaken for another. */
static apr_status_t read_name(course_page_t *page, const mod_lti_admin_t *admin, lti_err_t *err)
{
    lti_member_t *member = NULL;
    apr_status_t rv = APR_NOTFOUND;

    page->user = mod_lti_admin_get(admin, "user");
    if (page->user != NULL)
        rv = lti_db_member_read(&member, admin->overview.db, page->key, page->user, admin->r->pool, err);
    if (rv == APR_SUCCESS && member != NULL)
        page->user_name = member->name;
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* As long as an update goes on the page says just that: it is loaded every other second. */
static apr_status_t read_people(course_page_t *page, const mod_lti_admin_t *admin, lti_err_t *err)
{
    const char *after = mod_lti_admin_get(admin, "after");
    apr_pool_t *p = admin->r->pool;
    apr_status_t rv;

    page->asks = mod_lti_admin_get(admin, "confirm") != NULL;
    if (page->asks)
        return read_name(page, admin, err);
    if (page->progress.goes_on)
        return APR_SUCCESS;
    rv = lti_overview_people(&page->people, &admin->overview, page->key, after != NULL ? after : "", PEOPLE_SHOWN, p, err);
    if (rv == APR_SUCCESS && is_held(page))
        rv = lti_overview_held(&page->held, &admin->overview, page->key, p, err);
    return rv;
}

static apr_status_t read_page(course_page_t *page, const mod_lti_admin_t *admin, lti_err_t *err)
{
    apr_status_t rv = lti_overview_course(&page->course, &admin->overview, page->key, admin->r->pool, err);

    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_COURSE_UNKNOWN, rv, "there is no course %.64s", page->key);
    if (rv == APR_SUCCESS)
        rv = mod_lti_progress_find(&page->progress, &page->request, admin->overview.db, page->key,
                                   mod_lti_admin_get(admin, "since"), 1, admin->r->pool, err);
    return rv == APR_SUCCESS ? read_people(page, admin, err) : rv;
}

/* --- as JSON -------------------------------------------------------------------------------------------------------------------- */

static int send_json(const mod_lti_admin_t *admin, const course_page_t *page)
{
    const char *token = mod_lti_admin_token(admin);

    if (page->request != NULL)
        json_object_set(page->course, "request", page->request);
    if (page->people != NULL)
        json_object_set(page->course, "people", page->people);
    if (page->held != NULL)
        json_object_set(page->course, "held_people", page->held);
    if (token != NULL)
        json_object_set_new(page->course, "action_token", json_string(token));
    return mod_lti_admin_send_json(admin, page->course);
}

/* --- as a page ------------------------------------------------------------------------------------------------------------------- */

static const char *title_of(const course_page_t *page)
{
    static const char *const names[] = {"title", "label", "context_id"};
    const char *title = NULL;
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]) && (title == NULL || *title == '\0'); i++)
        title = mod_lti_html_text_of(page->course, names[i]);
    return title != NULL && *title != '\0' ? title : page->key;
}

static void write_update(mod_lti_html_t *html, const course_page_t *page)
{
    mod_lti_progress_write(html, &page->progress);
    mod_lti_html_write(html, "<div id=\"update\">");
    mod_lti_html_button(html, MOD_LTI_HTML_MAIN, "Update now", NULL, "action", "sync", "course", page->key, NULL);
    mod_lti_html_write(html, "</div>\n");
}

static void write_term(mod_lti_html_t *html, const char *term)
{
    mod_lti_html_write(html, "<dt>%s</dt><dd>", term);
}

/* Does the number match? What the roster has beside what the platform's last whole list had. */
static void write_match(mod_lti_html_t *html, const course_page_t *page)
{
    long long here = mod_lti_html_number_of(page->course, "active"), there = mod_lti_html_number_of(page->course, "listed");
    const json_t *listed = json_object_get(page->course, "listed");

    write_term(html, "People here");
    mod_lti_html_write(html, "<span id=\"here\">%s</span></dd>", mod_lti_html_grouped(here, html->r->pool));
    write_term(html, "On the platform's list");
    if (!json_is_integer(listed)) {
        mod_lti_html_write(html, "not known yet</dd>");
        return;
    }
    mod_lti_html_write(html, "<span id=\"there\">%s</span> ", mod_lti_html_grouped(there, html->r->pool));
    mod_lti_html_badge(html, here == there ? 0 : 1,
                       here == there  ? "The numbers match"
                       : here > there ? "More here"
                                      : "Fewer here");
    if (here > there)
        mod_lti_html_write(html, " <span class=\"dim small\">People whose removal is held count here only.</span>");
    else if (here < there)
        mod_lti_html_write(html, " <span class=\"dim small\">People whom the platform lists as inactive count there only.</span>");
    mod_lti_html_write(html, "</dd>");
}

static void write_roles(mod_lti_html_t *html, const course_page_t *page)
{
    json_t *roles = json_object_get(page->course, "roles");
    const char *separator = "", *word;
    json_t *count;

    if (!json_is_object(roles))
        return;
    write_term(html, "By role");
    json_object_foreach(roles, word, count)
    {
        if (json_integer_value(count) == 0)
            continue;
        mod_lti_html_write(html, "%s%s %s", separator, mod_lti_html_words(word, html->r->pool),
                           mod_lti_html_grouped(json_integer_value(count), html->r->pool));
        separator = ", ";
    }
    mod_lti_html_write(html, "</dd>");
}

static void write_text(mod_lti_html_t *html, const course_page_t *page, const char *term, const char *name)
{
    const char *text = mod_lti_html_text_of(page->course, name);

    if (text == NULL || *text == '\0')
        return;
    write_term(html, term);
    mod_lti_html_write(html, "<bdi>%s</bdi></dd>", text);
}

static void write_time(mod_lti_html_t *html, const course_page_t *page, const char *term, const char *name)
{
    write_term(html, term);
    mod_lti_html_when(html, mod_lti_html_text_of(page->course, name));
    mod_lti_html_write(html, "</dd>");
}

static void write_numbers(mod_lti_html_t *html, const course_page_t *page)
{
    mod_lti_html_write(html, "<section class=\"card\" id=\"numbers\"><h2 class=\"hide\">Numbers</h2><dl>");
    write_match(html, page);
    write_roles(html, page);
    write_term(html, "Opened the tool");
    mod_lti_html_write(html, "%s ever, %lld in the last eight hours</dd>",
                       mod_lti_progress_people(mod_lti_html_number_of(page->course, "visitors"), html->r->pool),
                       mod_lti_html_number_of(page->course, "visitors_recent"));
    write_text(html, page, "Roster", "state");
    write_time(html, page, "Last good run", "succeeded_at");
    write_time(html, page, "Next run", "due_at");
    write_time(html, page, "Last launch", "launched_at");
    write_text(html, page, "Platform", "platform");
    write_text(html, page, "Short name", "label");
    write_text(html, page, "Context id", "context_id");
    write_text(html, page, "Deployment", "deployment");
    write_text(html, page, "Course key", "course");
    mod_lti_html_write(html, "</dl></section>\n");
}

static void write_hold(mod_lti_html_t *html, const course_page_t *page)
{
    const json_t *held = json_object_get(page->course, "held");
    long long missing = mod_lti_html_number_of(held, "missing");
    apr_pool_t *p = html->r->pool;

    if (!is_held(page))
        return;
    mod_lti_html_write(
        html,
        "<section class=\"card s2\" id=\"held\"><h2>Held: %s would be removed</h2>\n<p>They stay in the course until "
        "you accept, or until the platform's lists agree for 24 hours (never where it names nobody at all). First "
        "missing: ",
        mod_lti_progress_people(missing, p));
    mod_lti_html_when(html, mod_lti_html_text_of(held, "since"));
    mod_lti_html_write(html, ".</p>\n");
    if (json_is_true(json_object_get(held, "accepted")))
        mod_lti_html_write(html, "<p>Accepted: the next run removes them.</p>");
    else
        mod_lti_html_button(html, MOD_LTI_HTML_DANGER, apr_pstrcat(p, "Accept: remove ", mod_lti_progress_people(missing, p), NULL),
                            NULL, "action", "accept", "course", page->key, "missing",
                            apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)missing), NULL);
    mod_lti_admin_write_held(html, page->held);
    mod_lti_html_write(html, "</section>\n");
}

static void write_sessions(mod_lti_html_t *html, const mod_lti_admin_t *admin, const course_page_t *page)
{
    mod_lti_html_write(
        html,
        "<section id=\"sessions\"><h2>Sessions</h2>\n<p>Ending them signs everybody of this course out, on all nodes "
        "within two seconds. Who opens the tool from the course again gets in again.</p>\n"
        "<p><a class=\"button\" href=\"%s\">End all sessions of this course</a></p></section>\n",
        lti_http_add_query(mod_lti_admin_course_href(admin, page->key), "confirm", "end-sessions", admin->r->pool));
}

static void write_facts(mod_lti_html_t *html, const mod_lti_admin_t *admin, const course_page_t *page)
{
    mod_lti_html_write(html, "<div id=\"facts\" data-fresh>\n");
    write_hold(html, page);
    write_numbers(html, page);
    mod_lti_html_write(html,
                       "<nav class=\"pages\" aria-label=\"On this page\"><a href=\"#people\">People</a> <a href=\"#runs\">Runs</a> "
                       "<a href=\"#changes\">Changes</a> <a href=\"#sessions\">Sessions</a></nav>\n");
    mod_lti_html_write(html, "<section id=\"people\"><h2>People</h2>\n");
    mod_lti_admin_write_people(html, admin, page->key, page->people);
    mod_lti_html_write(html, "</section>\n<section id=\"runs\"><h2>Runs</h2>\n");
    mod_lti_admin_write_runs(html, json_object_get(page->course, "runs"));
    mod_lti_html_write(html, "</section>\n<section id=\"changes\"><h2>Changes</h2>\n");
    mod_lti_admin_write_events(html, json_object_get(page->course, "events"));
    mod_lti_html_write(html, "</section>\n");
    write_sessions(html, admin, page);
    mod_lti_html_write(html, "</div>\n");
}

/* --- asking before sessions end ----------------------------------------------------------------------------------------------------- */

static void write_question(mod_lti_html_t *html, const mod_lti_admin_t *admin, const course_page_t *page)
{
    const char *label = "End these sessions";

    mod_lti_html_write(html, "<section class=\"card s2\" id=\"question\"><h2>End sessions?</h2>\n");
    if (page->user != NULL) {
        mod_lti_html_write(
            html,
            "<p><b><bdi>%s</bdi></b> (<bdi>%s</bdi>) is signed out of this course, and has to open the tool from the "
            "course again.</p>\n",
            page->user_name != NULL ? page->user_name : "This person", page->user);
        mod_lti_html_button(html, MOD_LTI_HTML_DANGER, label, NULL, "action", "end-sessions", "course", page->key, "user",
                            page->user, NULL);
    } else {
        mod_lti_html_write(html,
                           "<p>Everybody is signed out of this course, and has to open the tool from the course again.</p>\n");
        mod_lti_html_button(html, MOD_LTI_HTML_DANGER, label, NULL, "action", "end-sessions", "course", page->key, NULL);
    }
    mod_lti_html_write(html, "<a class=\"button\" href=\"%s\">No, go back</a></section>\n",
                       mod_lti_admin_course_href(admin, page->key));
}

/* --- the whole ------------------------------------------------------------------------------------------------------------------- */

static int send_page(const mod_lti_admin_t *admin, const course_page_t *page)
{
    mod_lti_html_t html = {0};
    int status;

    mod_lti_progress_refresh(admin->r, &page->progress);
    status = mod_lti_admin_begin(&html, admin, title_of(page), 1, apr_pstrcat(admin->r->pool, "course=", page->key, NULL));
    if (status != OK)
        return status;
    if (page->asks) {
        write_question(&html, admin, page);
        mod_lti_html_end(&html, NULL);
        return OK;
    }
    if (page->progress.text == NULL)
        mod_lti_admin_write_done(&html, admin);
    mod_lti_html_write(&html, "<section class=\"card s%d\" id=\"diagnosis\" data-fresh><h2 class=\"hide\">How it stands</h2>",
                       (int)mod_lti_html_number_of(json_object_get(page->course, "diagnosis"), "severity"));
    mod_lti_html_diagnosis(&html, json_object_get(page->course, "diagnosis"));
    mod_lti_html_write(&html, "</section>\n");
    write_update(&html, page);
    if (!page->progress.goes_on)
        write_facts(&html, admin, page);
    mod_lti_html_end(&html, mod_lti_progress_script);
    return OK;
}

int mod_lti_admin_course(mod_lti_admin_t *admin, const char *course_key)
{
    course_page_t page = {.key = course_key};
    const char *platform;
    lti_err_t err;
    apr_status_t rv = mod_lti_admin_open(admin, &err);

    if (rv == APR_SUCCESS) {
        rv = read_page(&page, admin, &err);
        mod_lti_admin_close(admin);
    }
    if (rv != APR_SUCCESS)
        return mod_lti_admin_refuse(admin, "LTI0745", &err);
    platform = mod_lti_html_text_of(page.course, "platform");
    if (page.people != NULL || page.user_name != NULL)
        mod_lti_admin_audit_look(admin, "people", course_key, platform);
    if (page.held != NULL)
        mod_lti_admin_audit_look(admin, "held", course_key, platform);
    return admin->wants_json ? send_json(admin, &page) : send_page(admin, &page);
}
