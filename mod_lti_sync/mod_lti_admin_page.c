/* SPDX-License-Identifier: Apache-2.0 */
/* The status page: health, what is wrong first, courses, platforms, this server; the same as JSON. */
#include "mod_lti_admin_page.h"

#include <string.h>
#include <apr_strings.h>
#include <http_protocol.h>

#include "lti_json.h"

/* In the order of the page. */
enum { HEALTH = 0x1, PROBLEMS = 0x2, COURSES = 0x4, PLATFORMS = 0x8, ALL = 0xF };

typedef struct picture_t {
    int parts; /* of those above */
    lti_overview_query_t query;
    json_t *health, *problems, *courses, *platforms; /* NULL: not asked for */
} picture_t;

/* --- what is shown --------------------------------------------------------------------------------------------------------------------- */

static apr_status_t read_parts(int *parts, const char *name, lti_err_t *err)
{
    static const struct {
        const char *name;
        int part;
    } known[] = {{"health", HEALTH}, {"problems", PROBLEMS}, {"courses", COURSES}, {"platforms", PLATFORMS}};
    apr_size_t i;

    *parts = ALL;
    for (i = 0; name != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(name, known[i].name) == 0) {
            *parts = known[i].part;
            return APR_SUCCESS;
        }
    }
    return name == NULL ? APR_SUCCESS
                        : lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "part must be health, problems, courses or platforms");
}

static apr_status_t gather(picture_t *picture, mod_lti_admin_t *admin, lti_err_t *err)
{
    const lti_overview_t *overview = &admin->overview;
    apr_pool_t *p = admin->r->pool;
    apr_status_t rv = mod_lti_admin_open(admin, err);

    if (rv != APR_SUCCESS)
        return rv;
    if (picture->parts & HEALTH)
        rv = lti_overview_health(&picture->health, overview, p, err);
    if (rv == APR_SUCCESS && (picture->parts & PROBLEMS))
        rv = lti_overview_problems(&picture->problems, overview, p, err);
    if (rv == APR_SUCCESS && (picture->parts & PLATFORMS))
        rv = lti_overview_platforms(&picture->platforms, overview, p, err);
    if (rv == APR_SUCCESS && (picture->parts & COURSES))
        rv = lti_overview_courses(&picture->courses, overview, &picture->query, p, err);
    mod_lti_admin_close(admin);
    return rv;
}

static int send_json(const picture_t *picture, const mod_lti_admin_t *admin)
{
    const struct {
        const char *name;
        json_t *part;
    } parts[] = {{"health", picture->health},
                 {"problems", picture->problems},
                 {"platforms", picture->platforms},
                 {"courses", picture->courses}};
    json_t *object = lti_json_own(json_object(), admin->r->pool);
    const char *token = mod_lti_admin_token(admin);
    apr_size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].part != NULL)
            json_object_set(object, parts[i].name, parts[i].part);
    }
    json_object_set_new(object, "action_token", token != NULL ? json_string(token) : json_null());
    return mod_lti_admin_send_json(admin, object);
}

/* --- health ------------------------------------------------------------------------------------------------------------------------------ */

static int severity_of(const char *word)
{
    static const char *const words[] = {"well", "note", "warning", "error"};
    int i;

    for (i = 3; i > 0; i--) {
        if (word != NULL && strcmp(word, words[i]) == 0)
            return i;
    }
    return 0;
}

static void write_tile(mod_lti_html_t *html, long long count, const char *what, const char *href)
{
    mod_lti_html_write(html, "<li><b>%s</b> ", mod_lti_html_grouped(count, html->r->pool));
    if (href != NULL && count > 0)
        mod_lti_html_write(html, "<a href=\"%s\">%s</a></li>", href, what);
    else
        mod_lti_html_write(html, "<span>%s</span></li>", what);
}

static void write_tiles(mod_lti_html_t *html, const json_t *health)
{
    static const struct {
        const char *word, *title;
    } states[] = {{"current", "up to date"}, {"pending", "being fetched for the first time"},
                  {"failing", "failing"},    {"held", "held"},
                  {"stale", "stale"},        {"none", "without a roster service"}};
    const json_t *counts = json_object_get(health, "states");
    apr_pool_t *p = html->r->pool;
    apr_size_t i;

    mod_lti_html_write(html, "<ul class=\"tiles\">");
    write_tile(html, mod_lti_html_number_of(health, "courses"), "courses", NULL);
    write_tile(html, mod_lti_html_number_of(health, "people"), "people in them", NULL);
    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        long long count = mod_lti_html_number_of(counts, states[i].word);

        if (count > 0 || i == 0)
            write_tile(html, count, states[i].title, apr_pstrcat(p, html->self, "?state=", states[i].word, "#courses", NULL));
    }
    write_tile(html, mod_lti_html_number_of(health, "due"), "waiting to be fetched", NULL);
    if (mod_lti_html_number_of(health, "deployments_waiting") > 0)
        write_tile(html, mod_lti_html_number_of(health, "deployments_waiting"), "deployments waiting for you", "#platforms");
    mod_lti_html_write(html, "</ul>\n");
}

static const char *grouped(const json_t *object, const char *name, apr_pool_t *p)
{
    return mod_lti_html_grouped(mod_lti_html_number_of(object, name), p);
}

static void write_memory(mod_lti_html_t *html, const json_t *memory)
{
    apr_pool_t *p = html->r->pool;
    long long percent = mod_lti_html_number_of(memory, "percent"), advice = mod_lti_html_number_of(memory, "advice");

    mod_lti_html_write(
        html,
        "<dt>Shared memory</dt><dd><meter min=\"0\" max=\"100\" high=\"80\" value=\"%lld\">%lld %%</meter> %lld %% of %lld MB"
        "<br><span class=\"dim small\">People: %s, with room for %s. Courses: %s, with room for %s.</span>",
        percent, percent, percent, mod_lti_html_number_of(memory, "bytes") / (1024 * 1024), grouped(memory, "people", p),
        grouped(memory, "room_for_people", p), grouped(memory, "courses", p), grouped(memory, "room_for_courses", p));
    if (advice > 0)
        mod_lti_html_write(html, "<br>Write <code>LTISharedMemory %lldM</code> and reload.", advice);
    mod_lti_html_write(html, "</dd>\n");
}

static void write_nodes(mod_lti_html_t *html, const json_t *nodes)
{
    apr_size_t i;

    mod_lti_html_write(html, "<dt>%s</dt><dd>", json_array_size(nodes) == 1 ? "Node" : "Nodes");
    for (i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);

        mod_lti_html_write(html, "<code><bdi>%s</bdi></code>%s, seen ", mod_lti_html_text_of(node, "node"),
                           json_is_true(json_object_get(node, "here")) ? " (this one)" : "");
        mod_lti_html_when(html, mod_lti_html_text_of(node, "seen_at"));
        if (json_is_false(json_object_get(node, "secret_agrees"))) {
            mod_lti_html_write(html, " ");
            mod_lti_html_badge(html, 3, "Other secret");
            mod_lti_html_write(html, " copy one <code>LTISecretFile</code> to all nodes");
        }
        mod_lti_html_write(html, "<br>");
    }
    mod_lti_html_write(html, "</dd>\n");
}

static void write_health(mod_lti_html_t *html, const json_t *health)
{
    int severity = severity_of(mod_lti_html_text_of(health, "state"));

    mod_lti_html_write(
        html,
        "<section id=\"health\" aria-labelledby=\"health-title\"><h2 class=\"hide\" id=\"health-title\">Health</h2>\n"
        "<div class=\"card s%d\"><p><strong>",
        severity);
    mod_lti_html_badge(html, severity, NULL);
    mod_lti_html_write(html, " <bdi>%s</bdi></strong></p></div>\n", mod_lti_html_text_of(health, "sentence"));
    write_tiles(html, health);
    mod_lti_html_write(html, "</section>\n");
}

static void write_server(mod_lti_html_t *html, const json_t *health)
{
    mod_lti_html_write(
        html, "<section aria-labelledby=\"server-title\"><h2 id=\"server-title\">This server</h2>\n<div class=\"card\"><dl>");
    write_memory(html, json_object_get(health, "shared_memory"));
    write_nodes(html, json_object_get(health, "nodes"));
    mod_lti_html_write(html, "</dl></div></section>\n");
}

/* --- what is wrong -------------------------------------------------------------------------------------------------------------------------- */

static void write_problem(mod_lti_html_t *html, const mod_lti_admin_t *admin, const json_t *problem)
{
    const json_t *diagnosis = json_object_get(problem, "diagnosis");
    const char *course = mod_lti_html_text_of(problem, "course"), *title = mod_lti_html_text_of(problem, "title");
    const char *platform = mod_lti_html_text_of(problem, "platform");

    mod_lti_html_write(html, "<article class=\"card s%d\"><h3>", (int)mod_lti_html_number_of(diagnosis, "severity"));
    if (course != NULL)
        mod_lti_html_write(html, "<a href=\"%s\"><bdi>%s</bdi></a> <span class=\"dim small\">on %s</span>",
                           mod_lti_admin_course_href(admin, course), title != NULL && *title != '\0' ? title : course, platform);
    else
        mod_lti_html_write(html, "<a href=\"#platform-%s\">Platform %s</a>", platform, platform);
    mod_lti_html_write(html, "</h3>");
    mod_lti_html_diagnosis(html, diagnosis);
    if (course != NULL)
        mod_lti_html_button(html, MOD_LTI_HTML_PLAIN, "Update now",
                            title != NULL ? apr_pstrcat(html->r->pool, ": ", title, NULL) : NULL, "action", "sync", "course",
                            course, NULL);
    mod_lti_html_write(html, "</article>\n");
}

static void write_problems(mod_lti_html_t *html, const mod_lti_admin_t *admin, const json_t *problems)
{
    apr_size_t i, count = json_array_size(problems);

    mod_lti_html_write(html, "<section id=\"problems\" aria-labelledby=\"problems-title\">");
    if (count > 0)
        mod_lti_html_write(html, "<h2 id=\"problems-title\">What is wrong</h2>\n");
    else
        mod_lti_html_write(html, "<h2 class=\"hide\" id=\"problems-title\">Nothing is wrong</h2>\n");
    for (i = 0; i < count; i++)
        write_problem(html, admin, json_array_get(problems, i));
    if (count == LTI_OVERVIEW_PROBLEMS_MAX)
        mod_lti_html_write(html, "<p>These are the worst %d. The list of courses has all: sort it by failures.</p>\n", (int)count);
    mod_lti_html_write(html, "</section>\n");
}

/* --- the page --------------------------------------------------------------------------------------------------------------------------------- */

void mod_lti_admin_write_done(mod_lti_html_t *html, const mod_lti_admin_t *admin)
{
    static const struct {
        const char *action, *sentence;
    } known[] = {{"sync", "The update was asked for; it begins within two seconds."},
                 {"accept", "Accepted: the next run, which begins within two seconds, removes them."},
                 {"end-sessions", "Ended: within two seconds the sessions hold on no node any more."},
                 {"deployment-accept", "Accepted: within two seconds launches of the deployment are let in on all nodes."},
                 {"deployment-withdraw", "Withdrawn: within two seconds its sessions are over, and launches are refused."}};
    const char *done = mod_lti_admin_get(admin, "done");
    apr_size_t i;

    for (i = 0; done != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(done, known[i].action) == 0)
            mod_lti_html_write(html, "<p class=\"said\" role=\"status\">%s</p>\n", known[i].sentence);
    }
}

static int send_page(const picture_t *picture, const mod_lti_admin_t *admin)
{
    mod_lti_html_t html;
    int status = mod_lti_admin_begin(&html, admin,
                                     apr_pstrcat(admin->r->pool, "Course rosters of ", admin->r->server->server_hostname, NULL), 0,
                                     mod_lti_admin_query_text(&picture->query, admin->r->pool));

    if (status != OK)
        return status;
    mod_lti_admin_write_done(&html, admin);
    if (picture->health != NULL)
        write_health(&html, picture->health);
    if (picture->problems != NULL)
        write_problems(&html, admin, picture->problems);
    if (picture->courses != NULL)
        mod_lti_admin_write_courses(&html, admin, &picture->query, picture->courses);
    if (picture->platforms != NULL)
        mod_lti_admin_write_platforms(&html, admin, picture->platforms);
    if (picture->health != NULL)
        write_server(&html, picture->health);
    mod_lti_html_end(&html, picture->parts == ALL ? mod_lti_admin_script : NULL);
    return OK;
}

int mod_lti_admin_overview(mod_lti_admin_t *admin)
{
    picture_t picture;
    lti_err_t err;

    memset(&picture, 0, sizeof(picture));
    if (read_parts(&picture.parts, mod_lti_admin_get(admin, "part"), &err) != APR_SUCCESS ||
        mod_lti_admin_read_query(&picture.query, admin, &err) != APR_SUCCESS || gather(&picture, admin, &err) != APR_SUCCESS)
        return mod_lti_admin_refuse(admin, "LTI0739", &err);
    return admin->wants_json ? send_json(&picture, admin) : send_page(&picture, admin);
}
