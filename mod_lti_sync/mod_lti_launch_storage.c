/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Browsers that keep no cookies in frames (SPEC section 9): the page of a login, which puts a second secret into the platform's storage and tries the
 * cookies; the page of a launch that came without its cookie, which fetches that secret; the way into a window of its own. Whatever the pages find
 * out, a session is made only for a browser that proved itself to the server, by its cookie or by that secret (SPEC W-23).
 */
#include "mod_lti_launch_parts.h"

#include <string.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>

#include "lti_csp.h"
#include "lti_json.h"
#include "lti_login.h"
#include "mod_lti_cookie.h"
#include "mod_lti_form.h"
#include "mod_lti_origin.h"
#include "mod_lti_page.h"
#include "mod_lti_response.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define PROBE LTI_STATE_COOKIE "probe" /* set by an answer to a script, to see whether such a cookie comes back */
#define PROBE_SECONDS 60
#define COOKIE_FORM_MAX 1024
#define PROOF_FORM_MORE (64 * 1024) /* what a handle has besides its token, and the proof */
#define WINDOW_TITLE "Open this tool in a new window"

/* --- who asks, from where ------------------------------------------------------------------------------------------------ */

mod_lti_launch_step_t mod_lti_launch_step(request_rec *r)
{
    const char *step = apr_table_get(r->headers_in, "LTI-Step");

    if (step == NULL)
        return MOD_LTI_STEP_NONE;
    if (strcmp(step, "2") == 0)
        return MOD_LTI_STEP_PROOF;
    return strcmp(step, "cookie") == 0 ? MOD_LTI_STEP_COOKIE : MOD_LTI_STEP_NONE;
}

/*
 * Our own script sent it (SPEC W-21): the header that mod_lti_launch_step() found can come from another origin only after a question that is never
 * answered with yes, and the browser says where the page is from. A request that says nothing of that is not believed.
 */
static apr_status_t check_own_script(request_rec *r, const char *base_url, lti_err_t *err)
{
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site"), *origin = apr_table_get(r->headers_in, "Origin");

    if (r->method_number != M_POST)
        return mod_lti_launch_fail_method(r, 1, err);
    if (site != NULL ? strcmp(site, "same-origin") != 0 : origin == NULL)
        return lti_fail(err, LTI_E_CROSS_SITE, APR_EACCES, "only a page of %.80s may send this (SPEC W-21)", base_url);
    return mod_lti_origin_check(r, base_url, err);
}

static int is_in_frame(request_rec *r)
{
    static const char *const frames[] = {"iframe", "frame", "fencedframe", "embed", "object"};
    const char *place = apr_table_get(r->headers_in, "Sec-Fetch-Dest");
    apr_size_t i;

    for (i = 0; place != NULL && i < sizeof(frames) / sizeof(frames[0]); i++) {
        if (strcmp(place, frames[i]) == 0)
            return 1;
    }
    return 0;
}

/* A cookie that came with the platform's request will come with its next one. */
static int brings_cookies(request_rec *r, const lti_server_config_t *conf)
{
    return mod_lti_launch_cookies(r, LTI_STATE_COOKIE)->nelts > 0 ||
           mod_lti_launch_cookies(r, apr_pstrcat(r->pool, conf->cookie_name, "_", NULL))->nelts > 0;
}

int mod_lti_launch_needs_page(request_rec *r, const lti_server_config_t *conf, const lti_login_request_t *login)
{
    return login->storage_target != NULL || (!login->new_window && is_in_frame(r) && !brings_cookies(r, conf));
}

static void send_json(request_rec *r, const char *text)
{
    mod_lti_launch_no_store(r);
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    ap_set_content_type(r, "application/json");
    ap_rputs(text, r);
}

/* --- pieces of pages ------------------------------------------------------------------------------------------------------ */

static const char *data(const char *name, const char *value, apr_pool_t *p)
{
    return value == NULL ? "" : apr_pstrcat(p, " data-", name, "=\"", mod_lti_page_escape(value, p), "\"", NULL);
}

static const char *field(const char *name, const char *value, apr_pool_t *p)
{
    if (value == NULL)
        return "";
    return apr_pstrcat(p, "<input type=\"hidden\" name=\"", name, "\" value=\"", mod_lti_page_escape(value, p), "\">\n", NULL);
}

/* The same login anew, in a window of its own, where cookies are ours; without its hints, what else can be done. */
static const char *window_form(const lti_server_config_t *conf, const lti_platform_t *platform, const lti_login_request_t *login,
                               apr_pool_t *p)
{
    if (login->login_hint == NULL)
        return "<p>Ask your teacher to let the link in your course open in a new window, or allow the cookies of this site in your "
               "browser. Then open the tool from your course again.</p>\n";
    return apr_pstrcat(p, "<form method=\"post\" target=\"_blank\" action=\"", mod_lti_page_escape(conf->path, p), "/login\">\n",
                       field("iss", platform->issuer, p), field("client_id", platform->client_id, p),
                       field("lti_deployment_id", login->lti_deployment_id, p), field("target_link_uri", login->target_link_uri, p),
                       field("login_hint", login->login_hint, p), field("lti_message_hint", login->lti_message_hint, p),
                       field("lti_new_window", "1", p), "<p><button>Open in a new window</button></p></form>\n", NULL);
}

/* The login of a launch that came back. Moodle and Canvas take the hints of a login once, so that the same one anew would end at an error page there. */
static lti_login_request_t login_of(const lti_platform_t *platform, const lti_state_t *state)
{
    const int spent = platform->family == LTI_FAMILY_MOODLE || platform->family == LTI_FAMILY_CANVAS;

    return (lti_login_request_t){.login_hint = spent ? NULL : state->login_hint,
                                 .lti_message_hint = state->lti_message_hint,
                                 .lti_deployment_id = state->deployment_id,
                                 .target_link_uri = state->target};
}

static const char *window_section(const char *form, const char *attributes, const char *below, apr_pool_t *p)
{
    return apr_pstrcat(p, "<section id=\"window\" data-title=\"" WINDOW_TITLE "\"", attributes,
                       "><p>Your browser does not let this tool keep its cookies inside a page of your learning platform. In a "
                       "window of its own it works.</p>\n",
                       form,
                       "<p id=\"opened\" hidden>The tool was opened in a new window. If you do not see one, let this page open "
                       "windows, and open the "
                       "tool from your course again.</p>\n",
                       below, "</section>\n", NULL);
}

/* --- the page of a login -------------------------------------------------------------------------------------------------- */

/*
 * Any page may frame this one: a login is not signed, so nothing tells where the course is; there is nothing to gain from a click here; and the
 * secret goes to the registered origin only, wherever it is sent from.
 */
apr_status_t mod_lti_launch_send_login(request_rec *r, const lti_server_config_t *conf, const lti_platform_t *platform,
                                       const lti_login_request_t *login, const lti_state_t *state, const char *way, lti_err_t *err)
{
    apr_pool_t *p = r->pool;
    int untried = !login->new_window && !brings_cookies(r, conf);
    const mod_lti_launch_page_t page = {
        .title = "One moment",
        .content = apr_pstrcat(p, "<div id=\"wait\"><p>The tool is being opened.</p>\n", way, "</div>\n",
                               window_section(window_form(conf, platform, login, p), " hidden", "", p), "<div id=\"lti\"",
                               data("end", apr_pstrcat(p, conf->path, "/login", NULL), p),
                               data("cookie", untried ? state->cookie_name : NULL, p), data("probe", PROBE, p),
                               data("origin", lti_csp_source(platform->authorization_endpoint, p), p),
                               data("target", state->storage_target, p), data("key", state->storage_key, p),
                               data("value", state->storage_value, p), "></div>\n", NULL),
        .script = mod_lti_launch_script};

    return mod_lti_launch_send(r, &page, err);
}

static apr_status_t answer_cookie(request_rec *r, const lti_server_config_t *conf, const char *base_url, lti_err_t *err)
{
    const char *prefix = apr_pstrcat(r->pool, conf->cookie_name, "_", NULL), *name;
    mod_lti_form_t *form;
    int is_probe, of_login, here;
    apr_status_t rv = check_own_script(r, base_url, err);

    if (rv == APR_SUCCESS)
        rv = mod_lti_form_read(&form, r, COOKIE_FORM_MAX, err);
    if (rv != APR_SUCCESS)
        return rv;
    name = mod_lti_form_get(form, "cookie", &rv, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (name == NULL)
        return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "the question names no cookie");
    of_login = strncmp(name, LTI_STATE_COOKIE, sizeof(LTI_STATE_COOKIE) - 1) == 0;
    if (!of_login && strncmp(name, prefix, strlen(prefix)) != 0)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "the question is for a cookie that is none of ours");
    is_probe = strcmp(name, PROBE) == 0;
    here = mod_lti_cookie_get(r, name) != NULL;
    if (here && is_probe)
        mod_lti_cookie_set(r, PROBE, "", 0);
    else if (!here && of_login && !is_probe)
        mod_lti_cookie_set(r, PROBE, "1", PROBE_SECONDS);
    else if (!here)
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "LTI0262: the browser does not give back the cookie %s; the person is offered a new window",
                      is_probe ? PROBE : prefix);
    send_json(r, here ? "{\"cookie\":true}\n" : "{\"cookie\":false}\n");
    return APR_SUCCESS;
}

int mod_lti_launch_answer_cookie(request_rec *r, const lti_server_config_t *conf, const char *base_url)
{
    lti_err_t err;
    apr_status_t rv = answer_cookie(r, conf, base_url, &err);

    if (rv == APR_SUCCESS)
        return OK;
    return rv == AP_FILTER_ERROR ? AP_FILTER_ERROR : mod_lti_page_refuse(r, "LTI0264", &err);
}

/* --- a launch without its cookie ------------------------------------------------------------------------------------------ */

static apr_status_t send_question(const mod_lti_launch_stray_t *stray, request_rec *r, const lti_server_config_t *conf,
                                  const char *base_url, const lti_err_t *cause, lti_err_t *err)
{
    apr_pool_t *p = r->pool;
    const lti_handle_t handle = {.state = stray->state_text, .id_token = stray->id_token, .verified_at = stray->verified_at};
    const lti_login_request_t login = login_of(stray->platform, stray->state);
    const char *text, *below = apr_pstrcat(p, "<p class=\"f\">Code <code>", lti_err_info(cause->code)->name,
                                           "</code>, request <code>", mod_lti_page_request_id(r), "</code></p>\n", NULL);
    mod_lti_launch_page_t page = {.title = "One moment",
                                  .script = mod_lti_launch_script,
                                  .ancestors = mod_lti_response_frame_ancestors(r, stray->platform, stray->return_url)};
    apr_status_t rv = lti_handle_make(&text, &handle, conf->runtime->state_sealer, base_url, p, err);

    if (rv != APR_SUCCESS)
        return rv;
    page.content = apr_pstrcat(p, "<p id=\"wait\">The tool is being opened.</p>\n",
                               window_section(window_form(conf, stray->platform, &login, p), "", below, p), "<div id=\"lti\"",
                               data("end", apr_pstrcat(p, conf->path, "/launch", NULL), p),
                               data("origin", lti_csp_source(stray->platform->authorization_endpoint, p), p),
                               data("target", stray->state->storage_target, p), data("key", stray->state->storage_key, p),
                               data("handle", text, p), "></div>\n", NULL);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "LTI0260: %s%s: asks the storage of platform %s (request %s)", cause->text,
                  is_in_frame(r) ? ", in a frame" : "", stray->platform->name, mod_lti_page_request_id(r));
    return mod_lti_launch_send(r, &page, err);
}

int mod_lti_launch_ask_browser(const mod_lti_launch_stray_t *stray, request_rec *r, const lti_server_config_t *conf,
                               const char *base_url, const lti_err_t *err)
{
    const lti_login_request_t login = login_of(stray->platform, stray->state);
    mod_lti_page_aside_t aside = {.platform = stray->platform};
    const char *policy;
    lti_err_t failure;
    int status;

    if (stray->state->storage_target != NULL) {
        if (send_question(stray, r, conf, base_url, err, &failure) == APR_SUCCESS)
            return OK;
        return mod_lti_launch_refuse(r, "LTI0261", &failure, NULL);
    }
    if (!stray->state->new_window)
        aside.content = window_form(conf, stray->platform, &login, r->pool);
    if (stray->state->new_window || login.login_hint == NULL)
        aside.return_url = stray->return_url; /* else there is one button, the one that helps */
    status = mod_lti_launch_refuse(r, "LTI0263", err, &aside);
    /* There is none with a page of the administrator's. */
    policy = apr_table_get(r->err_headers_out, "Content-Security-Policy");
    if (policy != NULL)
        apr_table_setn(
            r->err_headers_out, "Content-Security-Policy",
            apr_pstrcat(r->pool, policy, "; ", mod_lti_response_frame_ancestors(r, stray->platform, stray->return_url), NULL));
    return status;
}

/* --- the proof ------------------------------------------------------------------------------------------------------------ */

apr_status_t mod_lti_launch_read_proof(lti_handle_t *handle, const char **proof, request_rec *r, const lti_server_config_t *conf,
                                       const char *base_url, lti_err_t *err)
{
    apr_size_t max = (apr_size_t)conf->max_launch_size / 3 * 4 + PROOF_FORM_MORE;
    const char *text;
    mod_lti_form_t *form;
    apr_status_t rv = check_own_script(r, base_url, err);

    if (rv == APR_SUCCESS)
        rv = mod_lti_form_read(&form, r, max, err);
    if (rv != APR_SUCCESS)
        return rv;
    text = mod_lti_form_get(form, "handle", &rv, err);
    *proof = mod_lti_form_get(form, "proof", &rv, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (text == NULL || *proof == NULL)
        return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "the second step of a launch has no %s",
                        text == NULL ? "handle" : "proof");
    return lti_handle_open(handle, conf->runtime->state_sealer, base_url, text, mod_lti_store_now(), r->pool, err);
}

void mod_lti_launch_send_location(request_rec *r, const char *location, const char *cookie_name)
{
    json_t *told = lti_json_own(json_pack("{s:s, s:s}", "location", location, "cookie", cookie_name), r->pool);

    send_json(r, lti_json_text(told, r->pool));
}
