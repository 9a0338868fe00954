/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of an update, as a sentence, and the script that keeps the sentence fresh. */
#include "mod_lti_progress.h"

#include <string.h>
#include <apr_strings.h>

#include "lti_err.h"
#include "lti_json.h"
#include "lti_overview.h"
#include "mod_lti_store.h"

#define RELOAD_SECONDS 2
#define FOLLOWED apr_time_from_sec(3600) /* so long a page tells of an update */
#define RUNS_LOOKED_AT 50

/* --- sentences ----------------------------------------------------------------------------------------------------------- */

const char *mod_lti_progress_people(apr_int64_t count, apr_pool_t *p)
{
    return apr_pstrcat(p, mod_lti_html_grouped(count, p), count == 1 ? " person" : " people", NULL);
}

/* "1 person joined, 2 changed, 1 left" */
static const char *changes(const json_t *request, apr_pool_t *p)
{
    static const struct {
        const char *name, *word;
    } kinds[] = {{"joined", "joined"}, {"returned", "came back"}, {"changed", "changed"}, {"left", "left"}};
    const char *text = "";
    apr_size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        apr_int64_t count = mod_lti_html_number_of(request, kinds[i].name);

        if (count > 0)
            text = apr_pstrcat(p, text, *text != '\0' ? ", " : "",
                               *text != '\0' ? mod_lti_html_grouped(count, p) : mod_lti_progress_people(count, p), " ",
                               kinds[i].word, NULL);
    }
    return text;
}

static const char *applied_text(const json_t *request, apr_pool_t *p)
{
    const char *what = changes(request, p);
    apr_int64_t read = mod_lti_html_number_of(request, "members");

    return apr_pstrcat(p, *what != '\0' ? "Updated: " : "Updated. Nothing changed", what, ". ", mod_lti_progress_people(read, p),
                       read == 1 ? " is" : " are", " on the platform's list.", NULL);
}

static int is_error(const char *name, lti_code_t code)
{
    return name != NULL && strcmp(name, lti_err_info(code)->name) == 0;
}

static const char *held_text(const json_t *request, apr_pool_t *p)
{
    const char *what = changes(request, p);

    if (is_error(mod_lti_html_text_of(request, "error"), LTI_E_ROSTER_EMPTY))
        return "The platform's list is empty. Nobody is removed unless an administrator accepts that.";
    return apr_pstrcat(p, "Updated", *what != '\0' ? ": " : "", what, ". But ",
                       mod_lti_progress_people(mod_lti_html_number_of(request, "missing"), p),
                       " would be removed at once: that is held until an administrator accepts it, or the platform still says so "
                       "after 24 hours.",
                       NULL);
}

static const char *failed_text(const json_t *request, int for_administrator, apr_pool_t *p)
{
    const char *code = mod_lti_html_text_of(request, "error"), *text = mod_lti_html_text_of(request, "error_text");

    if (code == NULL)
        code = "internal";
    if (for_administrator)
        return apr_pstrcat(p, "The update did not work (", code, ")", text != NULL ? ": " : "", text != NULL ? text : "",
                           ". Nothing was changed.", NULL);
    return apr_pstrcat(p, "The update did not work (", code,
                       "). The list stays as it was, and is asked for again by itself. If this goes on, tell the administrator of "
                       "this tool.",
                       NULL);
}

static const char *running_text(const json_t *request, apr_pool_t *p)
{
    apr_int64_t pages = mod_lti_html_number_of(request, "pages");

    if (pages == 0)
        return "The list is being read from the learning platform.";
    return apr_pstrcat(p, "The list is being read: page ", mod_lti_html_grouped(pages + 1, p), ", ",
                       mod_lti_progress_people(mod_lti_html_number_of(request, "members"), p), " so far.", NULL);
}

static void put_into_words(mod_lti_progress_t *progress, const json_t *request, int for_administrator, apr_pool_t *p)
{
    const char *state = mod_lti_html_text_of(request, "state");

    if (state == NULL)
        return;
    progress->goes_on = strcmp(state, "queued") == 0 || strcmp(state, "running") == 0;
    if (strcmp(state, "queued") == 0)
        progress->text = "The update waits for its turn.";
    else if (strcmp(state, "running") == 0)
        progress->text = running_text(request, p);
    else if (strcmp(state, "failed") == 0)
        progress->text = failed_text(request, for_administrator, p);
    else if (strcmp(state, "held") == 0)
        progress->text = held_text(request, p);
    else
        progress->text = applied_text(request, p);
}

/* --- the run that the update became ------------------------------------------------------------------------------------- */

/* The first run that began after it was asked for and has ended, else the newest that goes on: one whose process was killed seems to go on for a while. They come with the newest first. */
typedef struct search_t {
    apr_time_t since;
    lti_db_run_t run;
    int found;
} search_t;

static apr_status_t take_run(void *baton, const lti_db_run_t *run)
{
    search_t *search = baton;

    if (run->started_at >= search->since && (run->ended_at != 0 || !search->found)) {
        search->run = *run;
        search->found = 1;
    }
    return APR_SUCCESS;
}

static const char *state_of(const search_t *search)
{
    if (!search->found)
        return "queued";
    if (search->run.ended_at == 0)
        return "running";
    if (search->run.error_name == NULL)
        return "applied";
    return is_error(search->run.error_name, LTI_E_ROSTER_HELD) || is_error(search->run.error_name, LTI_E_ROSTER_EMPTY) ? "held"
                                                                                                                       : "failed";
}

const char *mod_lti_progress_since(apr_time_t now, apr_pool_t *p)
{
    return apr_psprintf(p, "%" APR_TIME_T_FMT, now);
}

apr_status_t mod_lti_progress_find(mod_lti_progress_t *progress, json_t **request, lti_db_t *db, const char *course_key,
                                   const char *since, int for_administrator, apr_pool_t *p, lti_err_t *err)
{
    search_t search = {.since = since != NULL ? apr_atoi64(since) : 0};
    apr_time_t now = mod_lti_store_now();
    json_t *found;
    apr_status_t rv;

    memset(progress, 0, sizeof(*progress));
    if (request != NULL)
        *request = NULL;
    if (search.since <= now - FOLLOWED || search.since > now + FOLLOWED)
        return APR_SUCCESS;
    rv = lti_db_runs_each(db, course_key, RUNS_LOOKED_AT, take_run, &search, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    found = lti_json_own(lti_overview_run(&search.run), p);
    json_object_set_new(found, "state", json_string(state_of(&search)));
    put_into_words(progress, found, for_administrator, p);
    if (request != NULL)
        *request = found;
    return APR_SUCCESS;
}

/* --- the page -------------------------------------------------------------------------------------------------------------- */

void mod_lti_progress_refresh(request_rec *r, const mod_lti_progress_t *progress)
{
    if (progress->goes_on)
        apr_table_setn(r->headers_out, "Refresh", APR_STRINGIFY(RELOAD_SECONDS));
}

void mod_lti_progress_write(mod_lti_html_t *html, const mod_lti_progress_t *progress)
{
    mod_lti_html_write(html,
                       "<p id=\"progress\" role=\"status\" aria-live=\"polite\"%s%s>%s</p>\n<progress id=\"bar\" "
                       "aria-label=\"Update\"%s></progress>\n",
                       progress->text != NULL ? " class=said" : "", progress->goes_on ? " data-goes-on=1" : "", progress->text,
                       progress->goes_on ? "" : " hidden");
}

/* clang-format off */
const char mod_lti_progress_script[] =
    "'use strict';\n"
    "const form = document.querySelector('form#update, #update form');\n"
    "const place = document.getElementById('progress');\n"
    "const bar = document.getElementById('bar');\n"
    "const html = {Accept: 'text/html'};\n"

    "function tell(text, goesOn) {\n"
    "  if (place.textContent !== text) place.textContent = text;\n"
    "  place.className = text ? 'said' : '';\n"
    "  bar.hidden = !goesOn;\n"
    "  form.querySelector('button').disabled = goesOn;\n"
    "}\n"

    /* Without its style, which is of another nonce. */
    "function read(text) {\n"
    "  const main = text.slice(text.indexOf('<main'), text.lastIndexOf('</main>'));\n"
    "  return new DOMParser().parseFromString(main, 'text/html');\n"
    "}\n"

    /* The page of the update, as long as it goes on, and then the one that shows what it changed. */
    "async function follow(answer) {\n"
    "  for (let pause = 500;; pause = Math.min(pause * 1.1, 5000)) {\n"
    "    if (!answer.ok) throw null;\n"
    "    const page = read(await answer.text());\n"
    "    const news = page.getElementById('progress');\n"
    "    const goesOn = 'goesOn' in news.dataset;\n"
    "    if (!goesOn) show(page, answer.url);\n"
    "    tell(news.textContent, goesOn);\n"
    "    if (!goesOn) return;\n"
    "    await new Promise((resolve) => setTimeout(resolve, pause));\n"
    "    answer = await fetch(answer.url, {headers: html, cache: 'no-store'});\n"
    "  }\n"
    "}\n"

    "function show(page, address) {\n"
    "  for (const old of document.querySelectorAll('[data-fresh]')) {\n"
    "    const fresh = page.getElementById(old.id);\n"
    "    if (fresh) old.replaceWith(document.adoptNode(fresh));\n"
    "  }\n"
    "  history.replaceState(null, '', address);\n"
    "}\n"

    /* Whatever goes wrong, the way without scripts tells of it. A field of the form may be called action. */
    "if (form) form.addEventListener('submit', (event) => {\n"
    "  event.preventDefault();\n"
    "  const body = new URLSearchParams(new FormData(form));\n"
    "  tell('An update is asked for.', true);\n"
    "  fetch(form.getAttribute('action'), {method: 'POST', headers: html, body}).then(follow)\n"
    "    .catch(() => HTMLFormElement.prototype.submit.call(form));\n"
    "});\n";
/* clang-format on */
