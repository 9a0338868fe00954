/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a course's page: people, whom a held run would remove, runs, changes. */
#include "mod_lti_admin_course.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <apr_strings.h>

#include "lti_http.h"
#include "mod_lti_progress.h"

#define COLUMNS(list) list, (int)(sizeof(list) / sizeof((list)[0]))

static const char *first_text(const json_t *object, const char *const *names)
{
    const char *text = NULL;

    while (*names != NULL && (text == NULL || *text == '\0'))
        text = mod_lti_html_text_of(object, *names++);
    return text;
}

/* --- people ---------------------------------------------------------------------------------------------------------------- */

static const char *query_of(const mod_lti_admin_t *admin, const char *course_key, const char *name, const char *value)
{
    return lti_http_add_query(mod_lti_admin_course_href(admin, course_key), name, value, admin->r->pool);
}

static void write_status(mod_lti_html_t *html, const char *status)
{
    if (status != NULL && strcmp(status, "active") == 0)
        mod_lti_html_write(html, "%s", status);
    else
        mod_lti_html_badge(html, 1, status);
}

static void write_person(mod_lti_html_t *html, const mod_lti_admin_t *admin, const char *course_key, const json_t *person)
{
    static const char *const names[] = {"name", "email", "user_id", NULL};
    const char *id = mod_lti_html_text_of(person, "user_id"), *name = first_text(person, names);
    const char *status = mod_lti_html_text_of(person, "status"), *email = mod_lti_html_text_of(person, "email");
    apr_pool_t *p = admin->r->pool;

    mod_lti_html_row(html);
    mod_lti_html_cell(html);
    mod_lti_html_write(html, "<bdi>%s</bdi>", name);
    if (email != NULL && email != name)
        mod_lti_html_write(html, "<br><span class=\"dim small\"><bdi>%s</bdi></span>", email);
    if (id != NULL && id != name)
        mod_lti_html_write(html, "<br><span class=\"dim small\"><bdi>%s</bdi></span>", id);
    mod_lti_html_cell(html);
    mod_lti_html_write(html, "%s", mod_lti_html_words(mod_lti_html_text_of(person, "role"), p));
    mod_lti_html_cell(html);
    write_status(html, status);
    mod_lti_html_cell(html);
    mod_lti_html_when(html, mod_lti_html_text_of(person, "status_at"));
    mod_lti_html_cell(html);
    mod_lti_html_when(html, mod_lti_html_text_of(person, "launched_at"));
    mod_lti_html_cell(html);
    if (id != NULL)
        mod_lti_html_write(html, "<a href=\"%s\">End sessions<span class=\"hide\"> of %s</span></a>",
                           lti_http_add_query(query_of(admin, course_key, "confirm", "end-sessions"), "user", id, p), name);
}

static int has_left(const json_t *person)
{
    const char *status = mod_lti_html_text_of(person, "status");

    return status != NULL && strcmp(status, lti_member_status_word(LTI_MEMBER_LEFT)) == 0;
}

/* Those who left, or all others. */
static void write_part(mod_lti_html_t *html, const mod_lti_admin_t *admin, const char *course_key, const json_t *rows, int left)
{
    static const mod_lti_html_column_t columns[] = {{.title = "Name"},  {.title = "Role"},           {.title = "Status"},
                                                    {.title = "Since"}, {.title = "Last opened it"}, {.title = "Sessions"}};
    apr_size_t i;

    mod_lti_html_table(html, left ? "People who left" : "People", COLUMNS(columns));
    for (i = 0; i < json_array_size(rows); i++) {
        if (has_left(json_array_get(rows, i)) == left)
            write_person(html, admin, course_key, json_array_get(rows, i));
    }
    mod_lti_html_table_end(html);
}

void mod_lti_admin_write_people(mod_lti_html_t *html, const mod_lti_admin_t *admin, const char *course_key, const json_t *people)
{
    const json_t *rows = json_object_get(people, "rows");
    const char *next = mod_lti_html_text_of(people, "next");
    apr_size_t i, left = 0, count = json_array_size(rows);

    for (i = 0; i < count; i++)
        left += (apr_size_t)has_left(json_array_get(rows, i));
    if (count == 0)
        mod_lti_html_write(html, "<p class=\"dim\">Nobody is known.</p>");
    if (count > left)
        write_part(html, admin, course_key, rows, 0);
    if (left > 0) {
        mod_lti_html_write(html, "<details id=\"left\"><summary>%lld more who left%s</summary>\n", (long long)left,
                           next != NULL || mod_lti_admin_get(admin, "after") != NULL ? ", of this page" : "");
        write_part(html, admin, course_key, rows, 1);
        mod_lti_html_write(html, "</details>\n");
    }
    mod_lti_html_write(html, "<nav class=\"pages\" aria-label=\"Pages of people\">");
    if (mod_lti_admin_get(admin, "after") != NULL)
        mod_lti_html_write(html, "<a id=\"first\" href=\"%s#people\">First page</a>", mod_lti_admin_course_href(admin, course_key));
    if (next != NULL)
        mod_lti_html_write(html, "<a id=\"next\" href=\"%s#people\">Next page</a>", query_of(admin, course_key, "after", next));
    mod_lti_html_write(html, "</nav>\n");
}

static int by_text(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

/* In order of names: who looks for somebody finds them. */
void mod_lti_admin_write_held(mod_lti_html_t *html, const json_t *held)
{
    static const char *const kinds[] = {"name", "user_id", NULL};
    apr_size_t i, count = json_array_size(held);
    const char **names = apr_pcalloc(html->r->pool, (count + 1) * sizeof(*names));

    if (count == 0)
        return;
    for (i = 0; i < count; i++) {
        names[i] = first_text(json_array_get(held, i), kinds);
        if (names[i] == NULL)
            names[i] = "";
    }
    qsort(names, count, sizeof(*names), by_text);
    mod_lti_html_write(
        html, "<details open><summary>Who would be removed</summary>\n<ul id=\"held-people\" class=\"names\" tabindex=\"0\">");
    for (i = 0; i < count; i++)
        mod_lti_html_write(html, "<li><bdi>%s</bdi></li>", names[i]);
    mod_lti_html_write(html, "</ul></details>\n");
}

/* --- runs ------------------------------------------------------------------------------------------------------------------- */

static void write_changes(mod_lti_html_t *html, const json_t *run)
{
    static const struct {
        const char *name, *word;
    } kinds[] = {{"joined", "joined"}, {"returned", "came back"}, {"changed", "changed"}, {"left", "left"}, {"missing", "missing"}};
    int some = 0;
    apr_size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        long long count = mod_lti_html_number_of(run, kinds[i].name);

        /* Those who are missing are told apart only where they are more than those who left: they are held, or a second look found them. */
        if (count == 0 || (strcmp(kinds[i].name, "missing") == 0 && count <= mod_lti_html_number_of(run, "left")))
            continue;
        mod_lti_html_write(html, "%s%lld %s", some ? ", " : "", count, kinds[i].word);
        some = 1;
    }
    if (!some)
        mod_lti_html_write(html, "<span class=\"dim\">none</span>");
}

static void write_result(mod_lti_html_t *html, const json_t *run)
{
    const char *error = mod_lti_html_text_of(run, "error"), *text = mod_lti_html_text_of(run, "error_text");
    const char *advice = mod_lti_html_text_of(run, "advice");
    long long repeats = mod_lti_html_number_of(run, "repeats");

    if (mod_lti_html_text_of(run, "ended_at") == NULL)
        mod_lti_html_badge(html, 1, "Goes on");
    else
        mod_lti_html_badge(html, error != NULL ? 2 : 0, error != NULL ? error : "Done");
    if (repeats > 0)
        mod_lti_html_write(html, " <span class=\"dim small\">and %lld before it the same</span>", repeats);
    if (text != NULL && *text != '\0')
        mod_lti_html_write(html, "<br><bdi>%s</bdi>", text);
    if (advice != NULL && *advice != '\0')
        mod_lti_html_write(html, "<br><span class=\"dim small\">%s</span>", advice);
}

void mod_lti_admin_write_runs(mod_lti_html_t *html, const json_t *runs)
{
    static const mod_lti_html_column_t columns[] = {
        {.title = "Begun"},   {.title = "Took"},  {.title = "Pages", .is_number = 1}, {.title = "People", .is_number = 1},
        {.title = "Changes"}, {.title = "Result"}};
    apr_size_t i;

    if (json_array_size(runs) == 0) {
        mod_lti_html_write(html, "<p class=\"dim\">There was none yet.</p>");
        return;
    }
    mod_lti_html_table(html, "Runs", COLUMNS(columns));
    for (i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        long long seconds = mod_lti_html_number_of(run, "seconds");

        mod_lti_html_row(html);
        mod_lti_html_cell(html);
        mod_lti_html_when(html, mod_lti_html_text_of(run, "started_at"));
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "%s", seconds > 0 ? mod_lti_html_span(seconds, html->r->pool) : "under 1 second");
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "%lld", mod_lti_html_number_of(run, "pages"));
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "%lld", mod_lti_html_number_of(run, "members"));
        mod_lti_html_cell(html);
        write_changes(html, run);
        mod_lti_html_cell(html);
        write_result(html, run);
    }
    mod_lti_html_table_end(html);
}

/* --- changes ---------------------------------------------------------------------------------------------------------------- */

void mod_lti_admin_write_events(mod_lti_html_t *html, const json_t *events)
{
    static const mod_lti_html_column_t columns[] = {
        {.title = "When"}, {.title = "What"}, {.title = "Who"}, {.title = "Number", .is_number = 1}};
    apr_size_t i;

    if (json_array_size(events) == 0) {
        mod_lti_html_write(html, "<p class=\"dim\">There was none yet.</p>");
        return;
    }
    mod_lti_html_table(html, "Changes", COLUMNS(columns));
    for (i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);

        mod_lti_html_row(html);
        mod_lti_html_cell(html);
        mod_lti_html_when(html, mod_lti_html_text_of(event, "happened_at"));
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "%s", mod_lti_html_text_of(event, "event"));
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "<bdi>%s</bdi>", mod_lti_html_text_of(event, "user_id"));
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "%lld", mod_lti_html_number_of(event, "number"));
    }
    mod_lti_html_table_end(html);
}
