/* SPDX-License-Identifier: Apache-2.0 */
/* The platforms of the status page: what was seen of each, its deployments, the addresses to paste into it. */
#include "mod_lti_admin_page.h"

#include <string.h>
#include <apr_strings.h>

#include "lti_http.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* --- facts ------------------------------------------------------------------------------------------------------------------------------- */

static void write_urls(mod_lti_html_t *html, const json_t *urls)
{
    static const struct {
        const char *name, *title;
    } known[] = {{"login", "Login URL (OpenID Connect initiation)"},
                 {"launch", "Redirect URI, target link URI"},
                 {"jwks", "Key set (JWKS) URL"}};
    apr_size_t i;

    mod_lti_html_write(html, "<details><summary>Addresses to paste into the platform</summary><dl>");
    for (i = 0; i < COUNT_OF(known); i++)
        mod_lti_html_write(html, "<dt>%s</dt><dd><code>%s</code></dd>", known[i].title, mod_lti_html_text_of(urls, known[i].name));
    mod_lti_html_write(html, "</dl></details>\n");
}

static void write_error(mod_lti_html_t *html, const json_t *object)
{
    const char *error = mod_lti_html_text_of(object, "error");

    if (error != NULL)
        mod_lti_html_write(html, "<br><span class=\"small\">last failure: <bdi>%s</bdi></span>", error);
}

/* "fetched 3 minutes ago", and what went wrong since. */
static void write_last(mod_lti_html_t *html, const json_t *object, const char *member, const char *verb, const char *never)
{
    const char *time = mod_lti_html_text_of(object, member);

    mod_lti_html_write(html, "<dd>%s", time != NULL ? verb : never);
    if (time != NULL)
        mod_lti_html_when(html, time);
    write_error(html, object);
    mod_lti_html_write(html, "</dd>");
}

/* The last part of a scope's address is what people call it. */
static const char *scope_name(const char *scope)
{
    const char *slash = scope != NULL ? strrchr(scope, '/') : NULL;

    return slash != NULL ? slash + 1 : scope;
}

static void write_scopes(mod_lti_html_t *html, const json_t *scopes)
{
    apr_size_t i;

    mod_lti_html_write(html, "<dt>Granted scopes</dt><dd>");
    for (i = 0; i < json_array_size(scopes); i++) {
        const char *scope = json_string_value(json_array_get(scopes, i));

        mod_lti_html_write(html, "%s<code title=\"%s\"><bdi>%s</bdi></code>", i > 0 ? ", " : "", scope, scope_name(scope));
    }
    mod_lti_html_write(html, i == 0 ? "none seen yet</dd>" : "</dd>");
}

static void write_clock(mod_lti_html_t *html, const json_t *platform)
{
    const json_t *offset = json_object_get(platform, "clock_offset");
    long long seconds = mod_lti_html_number_of(platform, "clock_offset");

    mod_lti_html_write(html, "<dt>Clock</dt><dd>");
    if (!json_is_number(offset))
        mod_lti_html_write(html, "not measured yet");
    else if (seconds >= -1 && seconds <= 1)
        mod_lti_html_write(html, "agrees with ours");
    else
        mod_lti_html_write(html, "%s %s ours", mod_lti_html_span(seconds, html->r->pool), seconds > 0 ? "ahead of" : "behind");
    mod_lti_html_write(html, "</dd>");
}

static void write_facts(mod_lti_html_t *html, const mod_lti_admin_t *admin, const json_t *platform)
{
    const json_t *token = json_object_get(platform, "token");
    const char *name = mod_lti_html_text_of(platform, "platform"), *paused = mod_lti_html_text_of(platform, "paused_until");

    mod_lti_html_write(html,
                       "<dl><dt>Issuer</dt><dd><code><bdi>%s</bdi></code></dd><dt>Client "
                       "id</dt><dd><code><bdi>%s</bdi></code></dd><dt>Last launch</dt><dd>",
                       mod_lti_html_text_of(platform, "issuer"), mod_lti_html_text_of(platform, "client_id"));
    mod_lti_html_when(html, mod_lti_html_text_of(platform, "launched_at"));
    mod_lti_html_write(html, "</dd><dt>Courses</dt><dd><a href=\"%s#courses\">%lld</a></dd>",
                       lti_http_add_query(admin->self, "platform", name, admin->r->pool),
                       mod_lti_html_number_of(platform, "courses"));
    mod_lti_html_write(html, "<dt>Key set</dt>");
    write_last(html, json_object_get(platform, "key_set"), "fetched_at", "fetched ", "not fetched yet: the first launch does");
    mod_lti_html_write(html, "<dt>Access token</dt>");
    write_last(html, token, "given_at", "last given ", "never given");
    write_scopes(html, json_object_get(token, "scopes"));
    write_clock(html, platform);
    if (paused != NULL) {
        mod_lti_html_write(html, "<dt>Paused</dt><dd>it asked not to be called: we go on ");
        mod_lti_html_when(html, paused);
        mod_lti_html_write(html, "</dd>");
    }
    mod_lti_html_write(html, "</dl>\n");
}

/* --- deployments ---------------------------------------------------------------------------------------------------------------------------- */

static int is_status(const json_t *deployment, const char *status)
{
    const char *word = mod_lti_html_text_of(deployment, "status");

    return word != NULL && strcmp(word, status) == 0;
}

static void write_decision(mod_lti_html_t *html, const char *platform, const json_t *deployment)
{
    const char *id = mod_lti_html_text_of(deployment, "deployment");
    const char *about = apr_pstrcat(html->r->pool, " deployment ", id, NULL);

    if (!is_status(deployment, "accepted"))
        mod_lti_html_button(html, is_status(deployment, "waiting") ? MOD_LTI_HTML_MAIN : MOD_LTI_HTML_PLAIN, "Accept", about,
                            "action", "deployment-accept", "platform", platform, "deployment", id, NULL);
    if (!is_status(deployment, "withdrawn"))
        mod_lti_html_button(html, MOD_LTI_HTML_DANGER, is_status(deployment, "waiting") ? "Refuse" : "Withdraw", about, "action",
                            "deployment-withdraw", "platform", platform, "deployment", id, NULL);
}

static void write_deployment(mod_lti_html_t *html, const char *platform, const json_t *deployment)
{
    mod_lti_html_row(html);
    mod_lti_html_cell(html);
    mod_lti_html_write(html, "<code><bdi>%s</bdi></code>", mod_lti_html_text_of(deployment, "deployment"));
    mod_lti_html_cell(html);
    mod_lti_html_badge(html,
                       is_status(deployment, "accepted")  ? 0
                       : is_status(deployment, "waiting") ? 2
                                                          : 1,
                       mod_lti_html_text_of(deployment, "status"));
    mod_lti_html_cell(html);
    mod_lti_html_write(html, "<bdi>%s</bdi>", mod_lti_html_text_of(deployment, "context_title"));
    mod_lti_html_cell(html);
    mod_lti_html_when(html, mod_lti_html_text_of(deployment, "seen_at"));
    mod_lti_html_cell(html);
    write_decision(html, platform, deployment);
}

static void write_deployments(mod_lti_html_t *html, const char *platform, const json_t *object)
{
    static const mod_lti_html_column_t columns[] = {{.title = "Deployment"},
                                                    {.title = "Status"},
                                                    {.title = "First seen in the course"},
                                                    {.title = "Last seen"},
                                                    {.title = "Decide"}};
    const json_t *list = json_object_get(object, "deployments");
    const char *rule = mod_lti_html_text_of(object, "deployment_rule");
    apr_size_t i;

    mod_lti_html_write(html, "<h4>Deployments</h4><p class=\"dim small\">%s</p>\n",
                       rule != NULL && strcmp(rule, "ask") == 0 ? "A new one waits until you accept it."
                       : rule != NULL && strcmp(rule, "list") == 0
                           ? "Those that the configuration lists are let in (LTIDeployment)."
                           : "All are let in, but for those that you withdraw.");
    if (json_array_size(list) == 0)
        return;
    mod_lti_html_table(html, apr_pstrcat(html->r->pool, "Deployments of ", platform, NULL), columns, COUNT_OF(columns));
    for (i = 0; i < json_array_size(list); i++)
        write_deployment(html, platform, json_array_get(list, i));
    mod_lti_html_table_end(html);
}

/* --- launches of LTI 1.1 ----------------------------------------------------------------------------------------------------------------------- */

static void write_old(mod_lti_html_t *html, const json_t *launches)
{
    static const mod_lti_html_column_t columns[] = {
        {.title = "Course"}, {.title = "Platform says it is"}, {.title = "Consumer key"}, {.title = "Last tried"}};
    apr_size_t i;

    if (json_array_size(launches) == 0)
        return;
    mod_lti_html_write(html, "<h4>Installed the old way</h4><p class=\"small\">These launches came with LTI 1.1 (key and secret), "
                             "which cannot carry a roster: install the tool anew "
                             "with the addresses below. Nothing of them is proven.</p>\n");
    mod_lti_html_table(html, "Launches of LTI 1.1", columns, COUNT_OF(columns));
    for (i = 0; i < json_array_size(launches); i++) {
        const json_t *launch = json_array_get(launches, i);

        mod_lti_html_row(html);
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "<bdi>%s</bdi>", mod_lti_html_text_of(launch, "context_title"));
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "<bdi>%s</bdi> <bdi>%s</bdi>", mod_lti_html_text_of(launch, "product"),
                           mod_lti_html_text_of(launch, "instance"));
        mod_lti_html_cell(html);
        mod_lti_html_write(html, "<code><bdi>%s</bdi></code>", mod_lti_html_text_of(launch, "consumer_key"));
        mod_lti_html_cell(html);
        mod_lti_html_when(html, mod_lti_html_text_of(launch, "seen_at"));
    }
    mod_lti_html_table_end(html);
}

/* --- a platform ----------------------------------------------------------------------------------------------------------------------------------- */

static void write_platform(mod_lti_html_t *html, const mod_lti_admin_t *admin, const json_t *platform)
{
    const char *name = mod_lti_html_text_of(platform, "platform");
    const json_t *diagnosis = json_object_get(platform, "diagnosis");

    mod_lti_html_write(html, "<article class=\"card s%d\" id=\"platform-%s\"><h3>%s <span class=\"dim small\">%s</span></h3>",
                       (int)mod_lti_html_number_of(diagnosis, "severity"), name, name, mod_lti_html_text_of(platform, "family"));
    mod_lti_html_diagnosis(html, diagnosis);
    mod_lti_html_write(html, "<p><a class=\"button\" href=\"%s\">Examine it now<span class=\"hide\">: %s</span></a></p>\n",
                       lti_http_add_query(admin->self, "doctor", name, admin->r->pool), name);
    write_facts(html, admin, platform);
    write_deployments(html, name, platform);
    write_old(html, json_object_get(platform, "old_launches"));
    write_urls(html, json_object_get(platform, "urls"));
    mod_lti_html_write(html, "</article>\n");
}

void mod_lti_admin_write_platforms(mod_lti_html_t *html, const mod_lti_admin_t *admin, const json_t *platforms)
{
    apr_size_t i;

    mod_lti_html_write(html,
                       "<section id=\"platforms\" aria-labelledby=\"platforms-title\"><h2 id=\"platforms-title\">Platforms</h2>\n");
    for (i = 0; i < json_array_size(platforms); i++)
        write_platform(html, admin, json_array_get(platforms, i));
    mod_lti_html_write(html, "</section>\n");
}
