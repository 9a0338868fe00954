/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in, and who answers: the overview, the page of a course, an examination, an action. */
#include "mod_lti_admin.h"

#include <string.h>
#include <strings.h>
#include <arpa/inet.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "lti_http.h"
#include "lti_json.h"
#include "mod_lti_admin_parts.h"
#include "mod_lti_identity.h"
#include "mod_lti_page.h"

APLOG_USE_MODULE(lti_sync);

#define FORM_MAX 16384

/* --- who is let in ---------------------------------------------------------------------------------------------------------- */

static int is_address(const char *host, apr_pool_t *p)
{
    unsigned char address[16];
    apr_size_t length = strlen(host);

    if (host[0] == '[' && length > 2)
        host = apr_pstrmemdup(p, host + 1, length - 2);
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* A ServerAlias that fits every name tells nothing of whose name it is. */
static int is_name_of(const server_rec *s, const char *base_url, const char *host, apr_pool_t *p)
{
    const char *base_host = base_url != NULL ? lti_http_host(base_url, p) : NULL;
    int i;

    if (strcasecmp(host, s->server_hostname) == 0 || (base_host != NULL && strcasecmp(host, base_host) == 0))
        return 1;
    for (i = 0; s->names != NULL && i < s->names->nelts; i++) {
        if (strcasecmp(host, APR_ARRAY_IDX(s->names, i, const char *)) == 0)
            return 1;
    }
    for (i = 0; s->wild_names != NULL && i < s->wild_names->nelts; i++) {
        const char *pattern = APR_ARRAY_IDX(s->wild_names, i, const char *);

        if (strspn(pattern, "*?.") != strlen(pattern) && ap_strcasecmp_match(host, pattern) == 0)
            return 1;
    }
    return 0;
}

apr_status_t mod_lti_admin_let_in(request_rec *r, lti_err_t *err)
{
    const char *host = r->hostname;

    if (!mod_lti_config_admin(mod_lti_config_of_dir(r)))
        return lti_fail(err, LTI_E_ADMIN_OFF, APR_EACCES, "LTIAdmin On does not hold for %.100s", r->uri);
    /* Without a name it is no browser. */
    if (host == NULL || *host == '\0' || is_address(host, r->pool) || lti_http_is_loopback(host) ||
        is_name_of(r->server, mod_lti_config_of(r->server)->base_url, host, r->pool))
        return APR_SUCCESS;
    return lti_fail(err, LTI_E_HOST, APR_EACCES, "%.100s is no name of the virtual host %.100s", host, r->server->server_hostname);
}

/* --- what the files of the room share ------------------------------------------------------------------------------------------ */

apr_status_t mod_lti_admin_open(mod_lti_admin_t *admin, lti_err_t *err)
{
    apr_status_t rv = mod_lti_store_open(&admin->store, admin->conf->db_server, admin->r->pool, err);

    if (rv == APR_SUCCESS)
        admin->overview.db = admin->store.db;
    return rv;
}

void mod_lti_admin_close(mod_lti_admin_t *admin)
{
    if (admin->overview.db != NULL)
        mod_lti_store_close(&admin->store);
    admin->overview.db = NULL;
}

int mod_lti_admin_refuse(const mod_lti_admin_t *admin, const char *tag, const lti_err_t *err)
{
    return mod_lti_page_refuse(admin->r, tag, err);
}

const char *mod_lti_admin_get(const mod_lti_admin_t *admin, const char *name)
{
    apr_status_t rv = APR_SUCCESS;
    const char *value = mod_lti_form_get(admin->form, name, &rv, NULL);

    return value != NULL && *value != '\0' ? value : NULL;
}

int mod_lti_admin_send_json(const mod_lti_admin_t *admin, const json_t *object)
{
    request_rec *r = admin->r;
    const char *text = lti_json_text(object, r->pool);

    if (text == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "LTI0731: no memory for an answer");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_mergen(r->headers_out, "Vary", "Accept");
    ap_set_content_type(r, "application/json");
    ap_rputs(text, r);
    ap_rputs("\n", r);
    return OK;
}

int mod_lti_admin_begin(mod_lti_html_t *html, const mod_lti_admin_t *admin, const char *title, int parent, const char *back)
{
    memset(html, 0, sizeof(*html));
    html->title = title;
    if (parent) {
        html->parent = "All courses and platforms";
        html->parent_href = admin->self;
    }
    html->self = admin->self;
    html->token = mod_lti_admin_token(admin);
    html->back = back;
    html->now = admin->overview.now;
    apr_table_mergen(admin->r->headers_out, "Vary", "Accept");
    return mod_lti_html_begin(html, admin->r);
}

const char *mod_lti_admin_course_href(const mod_lti_admin_t *admin, const char *course_key)
{
    return lti_http_add_query(admin->self, "course", course_key, admin->r->pool);
}

/* --- audit ------------------------------------------------------------------------------------------------------------------------ */

/* Values are percent-encoded: none can pass for another field of the line. */
static const char *field(const char *name, const char *value, apr_pool_t *p)
{
    return value != NULL ? apr_pstrcat(p, " ", name, "=", lti_http_encode(value, p), NULL) : "";
}

static const char *who(const request_rec *r)
{
    return apr_pstrcat(r->pool, field("who", r->user != NULL ? r->user : "-", r->pool), field("from", r->useragent_ip, r->pool),
                       NULL);
}

void mod_lti_admin_audit(const mod_lti_admin_t *admin, const char *action, const char *course_key, const char *platform,
                         const char *subject, const char *outcome)
{
    apr_pool_t *p = admin->r->pool;

    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, admin->r, "LTI0732: audit:%s%s%s%s%s%s", who(admin->r), field("action", action, p),
                  field("course", course_key, p), field("platform", platform, p), field("subject", subject, p),
                  field("outcome", outcome, p));
}

void mod_lti_admin_audit_look(const mod_lti_admin_t *admin, const char *what, const char *course_key, const char *platform)
{
    apr_pool_t *p = admin->r->pool;

    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, admin->r, "LTI0733: audit:%s%s%s%s", who(admin->r), field("looked-at", what, p),
                  field("course", course_key, p), field("platform", platform, p));
}

/* --- who answers -------------------------------------------------------------------------------------------------------------------- */

static int asks_for_json(const request_rec *r, const char *format)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    if (format != NULL)
        return strcmp(format, "json") == 0;
    return accept != NULL && strcasestr(accept, "application/json") != NULL && strcasestr(accept, "text/html") == NULL;
}

/*
 * What is pasted into platforms is the site where people are, not the port for administrators: this host, unless it does without TLS while another one that has the same platform does
 * it.
 */
static const char *public_base_url(const lti_server_config_t *conf)
{
    const lti_platform_t *first = APR_ARRAY_IDX(conf->platforms, 0, const lti_platform_t *);
    server_rec *s;

    for (s = conf->runtime->server; s != NULL && strncmp(conf->base_url, "https:", 6) != 0; s = s->next) {
        const lti_server_config_t *other = mod_lti_config_of(s);

        if (mod_lti_config_is_active(other) && strncmp(other->base_url, "https:", 6) == 0 &&
            lti_platform_by_name(other->platforms, first->name) != NULL)
            return other->base_url;
    }
    return conf->base_url;
}

void mod_lti_admin_fill(mod_lti_admin_t *admin, request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    lti_overview_t *overview = &admin->overview;

    memset(admin, 0, sizeof(*admin));
    admin->r = r;
    admin->conf = conf;
    admin->self = apr_pstrcat(r->pool, conf->path, "/status", NULL);
    overview->platforms = conf->platforms;
    overview->snapshot = conf->runtime->snapshot;
    overview->keycache = conf->runtime->keycache;
    overview->base_url = apr_pstrcat(r->pool, public_base_url(conf), conf->path, NULL);
    overview->fingerprint = conf->runtime->fingerprint;
    overview->node_name = conf->runtime->node_name;
    overview->dormant_after = mod_lti_config_of(conf->runtime->server)->dormant_after;
    overview->now = mod_lti_store_now();
    admin->known = -1;
    overview->known = &admin->known;
}

static apr_status_t read_request(mod_lti_admin_t *admin, lti_err_t *err)
{
    request_rec *r = admin->r;
    mod_lti_form_t *form = NULL;
    apr_status_t rv;

    if (r->method_number != M_GET && r->method_number != M_POST) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_POST, -1);
        return lti_fail(err, LTI_E_METHOD, APR_EINVAL, "the status page takes GET and POST, not %.20s", r->method);
    }
    rv = mod_lti_form_read(&form, r, FORM_MAX, err);
    admin->form = form;
    if (rv != APR_SUCCESS)
        return rv;
    if (!apr_is_empty_table(form->repeated))
        return lti_fail(err, LTI_E_PARAMETER_REPEATED, APR_EINVAL, "%.40s is given twice",
                        APR_ARRAY_IDX(apr_table_elts(form->repeated), 0, apr_table_entry_t).key);
    admin->wants_json = asks_for_json(r, mod_lti_admin_get(admin, "format"));
    return APR_SUCCESS;
}

int mod_lti_admin_status(request_rec *r)
{
    mod_lti_admin_t *admin = apr_pcalloc(r->pool, sizeof(*admin));
    const char *name;
    apr_status_t rv;
    lti_err_t err;

    rv = mod_lti_admin_let_in(r, &err);
    if (rv != APR_SUCCESS)
        return mod_lti_page_refuse(r, "LTI0734", &err);
    mod_lti_admin_fill(admin, r);
    rv = read_request(admin, &err);
    if (rv == AP_FILTER_ERROR)
        return AP_FILTER_ERROR;
    if (rv != APR_SUCCESS)
        return mod_lti_admin_refuse(admin, "LTI0735", &err);
    if (r->method_number == M_POST)
        return mod_lti_admin_act(admin);
    if ((name = mod_lti_admin_get(admin, "course")) != NULL)
        return mod_lti_admin_course(admin, name);
    if ((name = mod_lti_admin_get(admin, "doctor")) != NULL)
        return mod_lti_admin_doctor(admin, name);
    return mod_lti_admin_overview(admin);
}
