/* SPDX-License-Identifier: Apache-2.0 */
/* The end point login: from the platform's request to the authentication request (SPEC sections 1.1 and 1.2). */
#include "mod_lti_launch.h"

#include <string.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "lti_http.h"
#include "lti_login.h"
#include "mod_lti_cookie.h"
#include "mod_lti_form.h"
#include "mod_lti_identity.h"
#include "mod_lti_launch_parts.h"
#include "mod_lti_page.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define LOGIN_BODY_MAX (16 * 1024)
#define LOGIN_URL_MAX (6 * 1024) /* a longer authentication request is posted (SPEC A-11) */
#define STATE_COOKIES_MAX 10     /* SPEC W-02 */
#define LED_MARK "lti_led=1"     /* in the query of a login that was led to the base URL once */

/*
 * The cookie that a login sets must come back to the host of the base URL: a login on another name of this virtual host is led
 * there first. Once only: a proxy in front may hide the name that the browser used, and would be led round for ever.
 */
static const char *find_detour(request_rec *r, const char *base_url)
{
    const char *host = apr_table_get(r->headers_in, "Host"), *here, *there;
    const char *path = apr_pstrcat(r->pool, mod_lti_config_of(r->server)->path, "/login?", NULL);

    if (host == NULL || (r->args != NULL && strstr(r->args, LED_MARK) != NULL))
        return NULL;
    /* The scheme of the base URL: a load balancer that ends TLS sends the outer host with the inner scheme. */
    here = lti_http_origin(apr_pstrcat(r->pool, strncmp(base_url, "https:", 6) == 0 ? "https://" : "http://", host, NULL), r->pool);
    there = lti_http_origin(base_url, r->pool);
    if (here == NULL || there == NULL || strcmp(here, there) == 0)
        return NULL;
    return apr_pstrcat(r->pool, base_url, path, r->args != NULL ? r->args : "", r->args != NULL ? "&" : "", LED_MARK, NULL);
}

/* A parameter without a value counts as left out (RFC 6749 section 3.1). */
static const char *or_null(const char *value)
{
    return value != NULL && *value != '\0' ? value : NULL;
}

static apr_status_t read_request(lti_login_request_t *login, mod_lti_form_t **read, request_rec *r, lti_err_t *err)
{
    apr_status_t rv = mod_lti_form_read(read, r, LOGIN_BODY_MAX, err);
    const mod_lti_form_t *form = *read;

    if (mod_lti_launch_is_old(form))
        return mod_lti_launch_fail_old(form, err);
    if (rv != APR_SUCCESS)
        return rv;
    login->iss = mod_lti_form_get(form, "iss", &rv, err);
    login->login_hint = mod_lti_form_get(form, "login_hint", &rv, err);
    login->target_link_uri = mod_lti_form_get(form, "target_link_uri", &rv, err);
    login->lti_message_hint = mod_lti_form_get(form, "lti_message_hint", &rv, err);
    login->lti_deployment_id = or_null(mod_lti_form_get(form, "lti_deployment_id", &rv, err));
    login->client_id = or_null(mod_lti_form_get(form, "client_id", &rv, err));
    login->storage_target = lti_login_storage_target(mod_lti_form_get(form, "lti_storage_target", &rv, err));
    login->new_window = mod_lti_form_get(form, "lti_new_window", &rv, err) != NULL;
    return rv == APR_SUCCESS ? lti_login_check(login, err) : rv;
}

/* Browsers send the older ones of several cookies first (RFC 6265 section 5.4). */
static void set_state_cookie(request_rec *r, const lti_state_t *state)
{
    apr_array_header_t *cookies = mod_lti_launch_cookies(r, LTI_STATE_COOKIE);
    int i;

    for (i = 0; i < cookies->nelts - (STATE_COOKIES_MAX - 1); i++)
        mod_lti_cookie_set(r, APR_ARRAY_IDX(cookies, i, mod_lti_launch_cookie_t).name, "", 0);
    mod_lti_cookie_set(r, state->cookie_name, state->cookie_value, LTI_STATE_LIFETIME);
}

/*
 * The authentication request as a form that sends itself: end point and parameters are read off the URL, so that there is one
 * place that knows them.
 */
static apr_status_t make_form(const char **html, const lti_platform_t *platform, const char *url, apr_pool_t *p, lti_err_t *err)
{
    apr_size_t length = strlen(platform->authorization_endpoint);
    const char *content, *query = url + length + strspn(url + length, "?&");
    const apr_array_header_t *list;
    const apr_table_entry_t *entries;
    mod_lti_form_t *form;
    apr_status_t rv = mod_lti_form_parse(&form, query, strlen(query), p, err);
    int i;

    if (rv != APR_SUCCESS)
        return rv;
    content = apr_psprintf(p, "<form id=\"go\" method=\"post\" action=\"%s\">\n",
                           mod_lti_page_escape(platform->authorization_endpoint, p));
    list = apr_table_elts(form->values);
    entries = (const apr_table_entry_t *)list->elts;
    for (i = 0; i < list->nelts; i++)
        content = apr_pstrcat(p, content, "<input type=\"hidden\" name=\"", mod_lti_page_escape(entries[i].key, p), "\" value=\"",
                              mod_lti_page_escape(entries[i].val, p), "\">\n", NULL);
    *html = apr_pstrcat(p, content, "<p><button>Continue</button></p></form>", NULL);
    return APR_SUCCESS;
}

/* What is known of a login once it is admitted. */
typedef struct login_t {
    mod_lti_form_t *form; /* NULL: it could not be read */
    lti_login_request_t request;
    const lti_platform_t *platform;
    const lti_state_t *state;
    const char *url; /* of the authentication request */
} login_t;

static apr_status_t admit(login_t *login, request_rec *r, const lti_server_config_t *conf, const char *base_url, lti_err_t *err)
{
    const lti_login_request_t *request = &login->request;
    const char *text, *destination;
    lti_state_t *state;
    apr_status_t rv = read_request(&login->request, &login->form, r, err);

    if (rv == APR_SUCCESS)
        rv =
            lti_platform_find(&login->platform, conf->platforms, request->iss, request->client_id, request->lti_deployment_id, err);
    if (rv == APR_SUCCESS)
        rv = mod_lti_launch_target(&destination, conf, base_url, request->target_link_uri, r->pool, err);
    if (rv == APR_SUCCESS)
        rv = lti_state_make(&text, &state, conf->runtime->state_sealer, base_url, login->platform, request, mod_lti_store_now(),
                            r->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    mod_lti_page_name_request(r, state->launch_id);
    set_state_cookie(r, state);
    login->state = state;
    mod_lti_launch_tell_login(r, login->platform, state);
    login->url = lti_login_url(login->platform, request, apr_pstrcat(r->pool, base_url, conf->path, "/launch", NULL), text,
                               state->nonce, r->pool);
    return APR_SUCCESS;
}

/* To the platform: by a redirect where nothing has to be done first and it is not too long for one. `*status` is for the handler to return. */
static apr_status_t lead_on(int *status, request_rec *r, const lti_server_config_t *conf, const login_t *login, lti_err_t *err)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): there is a URL; whoever refuses a method never says APR_SUCCESS */
    int needs_page = mod_lti_launch_needs_page(r, conf, &login->request), is_long = strlen(login->url) > LOGIN_URL_MAX;
    const char *way;
    apr_status_t rv = APR_SUCCESS;

    *status = OK;
    if (!needs_page && !is_long) {
        *status = mod_lti_launch_redirect(r, r->method_number == M_GET ? HTTP_MOVED_TEMPORARILY : HTTP_SEE_OTHER, login->url);
        return APR_SUCCESS;
    }
    if (is_long)
        rv = make_form(&way, login->platform, login->url, r->pool, err);
    else
        way = apr_pstrcat(r->pool, "<p>If nothing happens, please <a id=\"go\" href=\"", mod_lti_page_escape(login->url, r->pool),
                          "\">continue</a>.</p>\n", NULL);
    if (rv != APR_SUCCESS)
        return rv;
    if (needs_page)
        return mod_lti_launch_send_login(r, conf, login->platform, &login->request, login->state, way, err);
    return mod_lti_launch_send_page(r, "One moment", way, "document.forms[0].submit()", err);
}

int mod_lti_launch_login(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const char *base_url = mod_lti_identity_base_url(r), *detour;
    login_t login;
    lti_err_t err;
    apr_status_t rv;
    int status = OK;

    if (mod_lti_launch_is_probe(r))
        return OK;
    if (mod_lti_launch_step(r) == MOD_LTI_STEP_COOKIE)
        return mod_lti_launch_answer_cookie(r, conf, base_url);
    memset(&login, 0, sizeof(login));
    if (r->method_number != M_GET && r->method_number != M_POST) {
        rv = mod_lti_launch_fail_method(r, 0, &err);
    } else {
        detour = find_detour(r, base_url);
        if (detour != NULL)
            return mod_lti_launch_redirect(r, HTTP_TEMPORARY_REDIRECT, detour);
        rv = admit(&login, r, conf, base_url, &err);
    }
    if (rv == APR_SUCCESS)
        rv = lead_on(&status, r, conf, &login, &err);
    if (rv == APR_SUCCESS)
        return status;
    if (rv == AP_FILTER_ERROR)
        return AP_FILTER_ERROR;
    if (err.code == LTI_E_OLD_LTI)
        return mod_lti_launch_refuse_old(r, login.form, &err);
    return mod_lti_launch_refuse(r, "LTI0200", &err, NULL);
}
