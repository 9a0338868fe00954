/* SPDX-License-Identifier: Apache-2.0 */
/* The list of courses: what it is asked for, the form, the table, the pages. */
#include "mod_lti_admin_page.h"

#include <string.h>
#include <apr_strings.h>

#include "lti_http.h"

#define USUAL_LIMIT 50
#define OFFSET_MAX 100000

static const char *const orders[] = {
    [LTI_OVERVIEW_BY_NAME] = "name", [LTI_OVERVIEW_BY_PEOPLE] = "people",     [LTI_OVERVIEW_BY_SUCCESS] = "success",
    [LTI_OVERVIEW_BY_NEXT] = "next", [LTI_OVERVIEW_BY_FAILURES] = "failures",
};

/* The words of LTI_ROSTER_STATE that a course can be found by. */
static const lti_roster_state_t states[] = {LTI_ROSTER_CURRENT, LTI_ROSTER_PENDING, LTI_ROSTER_FAILING,
                                            LTI_ROSTER_HELD,    LTI_ROSTER_STALE,   LTI_ROSTER_NONE};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* --- what is asked for ------------------------------------------------------------------------------------------------------------------- */

static apr_status_t read_number(int *number, const mod_lti_admin_t *admin, const char *name, int min, int max, lti_err_t *err)
{
    const char *text = mod_lti_admin_get(admin, name);
    apr_size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
    apr_int64_t value;

    if (text == NULL)
        return APR_SUCCESS;
    value = apr_atoi64(text);
    if (digits == 0 || digits > 9 || text[digits] != '\0' || value < min)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "%s must be a number from %d to %d", name, min, max);
    *number = value > max ? max : (int)value;
    return APR_SUCCESS;
}

static apr_status_t read_order(lti_overview_order_t *order, const char *name, lti_err_t *err)
{
    apr_size_t i;

    for (i = 0; name != NULL && i < COUNT_OF(orders); i++) {
        if (strcmp(name, orders[i]) == 0) {
            *order = (lti_overview_order_t)i;
            return APR_SUCCESS;
        }
    }
    return name == NULL
               ? APR_SUCCESS
               : lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "order must be name, people, success, next or failures");
}

static apr_status_t check_state(const char *state, lti_err_t *err)
{
    apr_size_t i;

    for (i = 0; state != NULL && i < COUNT_OF(states); i++) {
        if (strcmp(state, lti_roster_state_word(states[i])) == 0)
            return APR_SUCCESS;
    }
    return state == NULL
               ? APR_SUCCESS
               : lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "state must be current, pending, failing, held, stale or none");
}

apr_status_t mod_lti_admin_read_query(lti_overview_query_t *query, const mod_lti_admin_t *admin, lti_err_t *err)
{
    apr_status_t rv;

    memset(query, 0, sizeof(*query));
    query->search = mod_lti_admin_get(admin, "search");
    query->platform = mod_lti_admin_get(admin, "platform");
    query->state = mod_lti_admin_get(admin, "state");
    query->backwards = mod_lti_admin_get(admin, "backwards") != NULL;
    query->limit = USUAL_LIMIT;
    rv = check_state(query->state, err);
    if (rv == APR_SUCCESS)
        rv = read_order(&query->order, mod_lti_admin_get(admin, "order"), err);
    if (rv == APR_SUCCESS)
        rv = read_number(&query->offset, admin, "offset", 0, OFFSET_MAX, err);
    if (rv == APR_SUCCESS)
        rv = read_number(&query->limit, admin, "limit", 1, LTI_OVERVIEW_PAGE_MAX, err);
    return rv;
}

const char *mod_lti_admin_query_text(const lti_overview_query_t *query, apr_pool_t *p)
{
    const char *url = "";

    if (query->search != NULL)
        url = lti_http_add_query(url, "search", query->search, p);
    if (query->platform != NULL)
        url = lti_http_add_query(url, "platform", query->platform, p);
    if (query->state != NULL)
        url = lti_http_add_query(url, "state", query->state, p);
    if (query->order != LTI_OVERVIEW_BY_NAME)
        url = lti_http_add_query(url, "order", orders[query->order], p);
    if (query->backwards)
        url = lti_http_add_query(url, "backwards", "1", p);
    if (query->offset > 0)
        url = lti_http_add_query(url, "offset", apr_itoa(p, query->offset), p);
    if (query->limit != USUAL_LIMIT)
        url = lti_http_add_query(url, "limit", apr_itoa(p, query->limit), p);
    return *url == '?' ? url + 1 : NULL;
}

/* The same list otherwise: by another order, or another page of it. */
static const char *link_to(const mod_lti_admin_t *admin, const lti_overview_query_t *query)
{
    const char *text = mod_lti_admin_query_text(query, admin->r->pool);

    return apr_pstrcat(admin->r->pool, admin->self, text != NULL ? "?" : "", text != NULL ? text : "", "#courses", NULL);
}

/* --- the form ---------------------------------------------------------------------------------------------------------------------------------- */

static void write_choice(mod_lti_html_t *html, const char *value, const char *title, const char *chosen)
{
    mod_lti_html_write(html, "<option value=\"%s\"", value);
    if (chosen != NULL && strcmp(value, chosen) == 0)
        mod_lti_html_write(html, " selected");
    mod_lti_html_write(html, ">%s</option>", title);
}

static void write_form(mod_lti_html_t *html, const mod_lti_admin_t *admin, const lti_overview_query_t *query)
{
    const apr_array_header_t *platforms = admin->overview.platforms;
    apr_size_t i;
    int k;

    mod_lti_html_write(html, "<form class=\"filter\" id=\"filter\" method=\"get\" action=\"%s\" role=\"search\">", admin->self);
    mod_lti_html_write(html,
                       "<label class=\"wide\">Search: title, label, context id or key<input type=\"search\" name=\"search\" "
                       "maxlength=\"200\" autocomplete=\"off\" value=\"%s\"></label>",
                       query->search);
    mod_lti_html_write(html, "<label>Platform<select name=\"platform\"><option value=\"\">all</option>");
    for (k = 0; k < platforms->nelts; k++) {
        const char *name = APR_ARRAY_IDX(platforms, k, const lti_platform_t *)->name;

        write_choice(html, name, name, query->platform);
    }
    mod_lti_html_write(html, "</select></label><label>State<select name=\"state\"><option value=\"\">all</option>");
    for (i = 0; i < COUNT_OF(states); i++)
        write_choice(html, lti_roster_state_word(states[i]), lti_roster_state_word(states[i]), query->state);
    mod_lti_html_write(html, "</select></label>");
    if (query->order != LTI_OVERVIEW_BY_NAME)
        mod_lti_html_write(html, "<input type=\"hidden\" name=\"order\" value=\"%s\">", orders[query->order]);
    if (query->backwards)
        mod_lti_html_write(html, "<input type=\"hidden\" name=\"backwards\" value=\"1\">");
    mod_lti_html_write(html, "<button>Search</button></form>\n");
}

/* --- the table ------------------------------------------------------------------------------------------------------------------------------------ */

/* "14 learners, 1 instructor": of a course in shared memory. */
static const char *roles_text(const json_t *roles, apr_pool_t *p)
{
    const char *text = "", *name;
    json_t *count;

    json_object_foreach((json_t *)roles, name, count)
    {
        apr_int64_t number = json_integer_value(count);
        char *word = apr_pstrdup(p, name), *dash;

        while ((dash = strchr(word, '-')) != NULL)
            *dash = ' ';
        if (number > 0)
            text = apr_psprintf(p, "%s%s%" APR_INT64_T_FMT " %s%s", text, *text != '\0' ? ", " : "", number, word,
                                number == 1 ? "" : "s");
    }
    return text;
}

static int severity_of_state(const char *state)
{
    static const struct {
        const char *word;
        int severity;
    } known[] = {{"current", 0}, {"pending", 1}, {"none", 1}, {"failing", 2}, {"held", 2}, {"stale", 3}};
    apr_size_t i;

    for (i = 0; state != NULL && i < COUNT_OF(known); i++) {
        if (strcmp(state, known[i].word) == 0)
            return known[i].severity;
    }
    return 1;
}

static void write_name(mod_lti_html_t *html, const mod_lti_admin_t *admin, const json_t *course)
{
    const char *key = mod_lti_html_text_of(course, "course"), *title = mod_lti_html_text_of(course, "title");
    const char *label = mod_lti_html_text_of(course, "label"), *context = mod_lti_html_text_of(course, "context_id");

    if (title == NULL || *title == '\0')
        title = label != NULL && *label != '\0' ? label : context != NULL ? context : key;
    mod_lti_html_write(html, "<a href=\"%s\"><bdi>%s</bdi></a><br><span class=\"dim small\">",
                       mod_lti_admin_course_href(admin, key), title);
    if (label != NULL && label != title && *label != '\0')
        mod_lti_html_write(html, "<bdi>%s</bdi> &#183; ", label);
    mod_lti_html_write(html, "%s", mod_lti_html_text_of(course, "platform"));
    if (json_is_true(json_object_get(course, "dormant")))
        mod_lti_html_write(html, " &#183; dormant");
    mod_lti_html_write(html, "</span>");
}

static void write_state(mod_lti_html_t *html, const json_t *course)
{
    const json_t *diagnosis = json_object_get(course, "diagnosis");
    const char *state = mod_lti_html_text_of(course, "state");
    int severity = (int)mod_lti_html_number_of(diagnosis, "severity"), of_state = severity_of_state(state);

    mod_lti_html_badge(html, severity > of_state ? severity : of_state, state);
    if (severity > 0)
        mod_lti_html_write(html, "<br><span class=\"small\"><bdi>%s</bdi></span>", mod_lti_html_text_of(diagnosis, "sentence"));
}

static void write_course(mod_lti_html_t *html, const mod_lti_admin_t *admin, const json_t *course)
{
    const char *roles = roles_text(json_object_get(course, "roles"), admin->r->pool);
    long long failures = mod_lti_html_number_of(course, "failures");

    mod_lti_html_row(html);
    mod_lti_html_cell(html);
    write_name(html, admin, course);
    mod_lti_html_cell(html);
    write_state(html, course);
    mod_lti_html_cell(html);
    mod_lti_html_write(html, "%s", mod_lti_html_grouped(mod_lti_html_number_of(course, "active"), admin->r->pool));
    if (*roles != '\0')
        mod_lti_html_write(html, "<br><span class=\"dim small\">%s</span>", roles);
    mod_lti_html_cell(html);
    mod_lti_html_when(html, mod_lti_html_text_of(course, "succeeded_at"));
    mod_lti_html_cell(html);
    if (mod_lti_html_number_of(course, "due_in") <= 0 && mod_lti_html_text_of(course, "due_at") != NULL)
        mod_lti_html_write(html, "now");
    else
        mod_lti_html_when(html, mod_lti_html_text_of(course, "due_at"));
    mod_lti_html_cell(html);
    mod_lti_html_write(html, "%lld", failures);
}

/* A click on the column that the list is in order of turns it round. */
static mod_lti_html_column_t column(const mod_lti_admin_t *admin, const lti_overview_query_t *query, const char *title,
                                    lti_overview_order_t order, int is_number, int descends)
{
    mod_lti_html_column_t column = {.title = title, .is_number = is_number};
    lti_overview_query_t next = *query;

    if (query->order == order)
        column.sorted = descends ^ query->backwards ? "descending" : "ascending";
    next.order = order;
    next.backwards = query->order == order ? !query->backwards : 0;
    next.offset = 0;
    column.href = link_to(admin, &next);
    return column;
}

static void write_page_link(mod_lti_html_t *html, const mod_lti_admin_t *admin, const lti_overview_query_t *query, int offset,
                            const char *rel, const char *title)
{
    lti_overview_query_t other = *query;

    other.offset = offset > 0 ? offset : 0;
    mod_lti_html_write(html, "<a class=\"button\" rel=\"%s\" href=\"%s\">%s</a>", rel, link_to(admin, &other), title);
}

static void write_pages(mod_lti_html_t *html, const mod_lti_admin_t *admin, const lti_overview_query_t *query, long long total,
                        apr_size_t shown)
{
    long long first = query->offset, behind = first + (long long)shown;
    apr_pool_t *p = admin->r->pool;

    if (total == 0) {
        mod_lti_html_write(html, "<p class=\"card\" role=\"status\">No course %s.</p>\n",
                           query->search != NULL || query->platform != NULL || query->state != NULL
                               ? "is like that"
                               : "is known yet: a course appears with its first launch");
        return;
    }
    mod_lti_html_write(html, "<nav class=\"pages\" aria-label=\"Pages of courses\"><span role=\"status\">%s to %s of %s</span>",
                       mod_lti_html_grouped(shown > 0 ? first + 1 : first, p), mod_lti_html_grouped(behind, p),
                       mod_lti_html_grouped(total, p));
    if (first > 0)
        write_page_link(html, admin, query, query->offset - query->limit, "prev", "Previous");
    if (behind < total && behind <= OFFSET_MAX)
        write_page_link(html, admin, query, (int)behind, "next", "Next");
    mod_lti_html_write(html, "</nav>\n");
}

void mod_lti_admin_write_courses(mod_lti_html_t *html, const mod_lti_admin_t *admin, const lti_overview_query_t *query,
                                 const json_t *courses)
{
    const json_t *rows = json_object_get(courses, "rows");
    const mod_lti_html_column_t columns[] = {
        column(admin, query, "Course", LTI_OVERVIEW_BY_NAME, 0, 0),
        {.title = "State"},
        column(admin, query, "People", LTI_OVERVIEW_BY_PEOPLE, 1, 1),
        column(admin, query, "Last fetched", LTI_OVERVIEW_BY_SUCCESS, 0, 0),
        column(admin, query, "Next", LTI_OVERVIEW_BY_NEXT, 0, 0),
        column(admin, query, "Failures", LTI_OVERVIEW_BY_FAILURES, 1, 1),
    };
    apr_size_t i;

    mod_lti_html_write(html, "<section id=\"courses\" aria-labelledby=\"courses-title\"><h2 id=\"courses-title\">Courses</h2>\n");
    write_form(html, admin, query);
    mod_lti_html_write(html, "<div id=\"found\">\n");
    if (json_array_size(rows) > 0) {
        mod_lti_html_table(html, "Courses", columns, COUNT_OF(columns));
        for (i = 0; i < json_array_size(rows); i++)
            write_course(html, admin, json_array_get(rows, i));
        mod_lti_html_table_end(html);
    }
    write_pages(html, admin, query, mod_lti_html_number_of(courses, "total"), json_array_size(rows));
    mod_lti_html_write(html, "</div></section>\n");
}
