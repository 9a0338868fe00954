/* SPDX-License-Identifier: Apache-2.0 */
/* The segment that names the course: taken off requests, put in again where it was lost. */
#include "mod_lti_paths.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_vhost.h>

#include "lti_http.h"
#include "mod_lti_identity.h"
#include "mod_lti_page.h"
#include "mod_lti_paths_parts.h"

APLOG_USE_MODULE(lti_sync);

#define PREFIX_NOTE "lti-path-prefix" /* for LogFormat: %{lti-path-prefix}n */

/* --- what a path says ------------------------------------------------------------------------------------------------------- */

/* As httpd will resolve it; NULL if httpd will refuse it. */
static const char *normalize(request_rec *r, const char *path)
{
    const core_server_config *core = ap_get_core_module_config(r->server->module_config);
    unsigned flags = AP_NORMALIZE_NOT_ABOVE_ROOT | AP_NORMALIZE_DECODE_UNRESERVED;
    char *copy = apr_pstrdup(r->pool, path);

    if (core->merge_slashes != AP_CORE_CONFIG_OFF)
        flags |= AP_NORMALIZE_MERGE_SLASHES;
    return ap_normalize_path(copy, flags) ? copy : NULL;
}

/* The path of a Referer that is of this site, and in `*front` what stands before it; NULL if it is of another one or there is none. */
static const char *referer_path(const char **front, const char **query, request_rec *r)
{
    const char *referer = apr_table_get(r->headers_in, "Referer"), *path;
    const char *origins[2] = {lti_http_origin(mod_lti_identity_base_url(r), r->pool), NULL};
    apr_size_t length = 0;

    path = referer != NULL && origins[0] != NULL ? mod_lti_paths_own(&length, referer, origins, r->pool) : NULL;
    if (path == NULL || *path != '/')
        return NULL;
    *front = apr_pstrmemdup(r->pool, referer, length);
    *query = path + strcspn(path, "?#");
    return normalize(r, apr_pstrmemdup(r->pool, path, (apr_size_t)(*query - path)));
}

/* 1 if the page that this request comes from named its course. */
static int referer_segment(const lti_course_path_t **application, const char **key, request_rec *r, const lti_server_config_t *conf)
{
    const char *front, *query, *rest, *path = referer_path(&front, &query, r);

    *application = path != NULL ? mod_lti_paths_split(key, &rest, conf->course_paths, path, r->pool) : NULL;
    return *application != NULL;
}

static mod_lti_segment_t *make_segment(request_rec *r, const lti_course_path_t *application, const char *key, const char *asked)
{
    mod_lti_segment_t *segment = apr_palloc(r->pool, sizeof(*segment));

    segment->key = key;
    segment->application = application;
    segment->path_prefix = mod_lti_paths_join(application, key, application->prefix, r->pool);
    segment->asked = asked;
    return segment;
}

/* --- the segment taken off ---------------------------------------------------------------------------------------------------- */

/* The application compares the Referer with its own addresses. */
static void clean_referer(request_rec *r, const lti_server_config_t *conf)
{
    const char *front, *query, *key, *rest, *path = referer_path(&front, &query, r);

    if (path != NULL && mod_lti_paths_split(&key, &rest, conf->course_paths, path, r->pool) != NULL)
        apr_table_setn(r->headers_in, "Referer", apr_pstrcat(r->pool, front, rest, query, NULL));
}

/* From here on nobody can tell that the address was another one. httpd works on the path in place, under both names. */
static void replace_address(request_rec *r, const char *rest)
{
    const char *asked = r->unparsed_uri, *line;

    r->parsed_uri.path = r->uri = apr_pstrdup(r->pool, rest);
    r->unparsed_uri = apr_uri_unparse(r->pool, &r->parsed_uri, APR_URI_UNP_REVEALPASSWORD);
    if (r->main != NULL || r->prev != NULL)
        return; /* the request line is that of the first request */
    line = ap_strstr_c(r->the_request, asked);
    if (line != NULL)
        r->the_request = apr_pstrcat(r->pool, apr_pstrmemdup(r->pool, r->the_request, (apr_size_t)(line - r->the_request)),
                                     r->unparsed_uri, line + strlen(asked), NULL);
}

/* A request that httpd makes from another one is of its course; an address that says another is the application's own matter. */
static void read_address(request_rec *r, const lti_server_config_t *conf)
{
    request_rec *from = r->main != NULL ? r->main : r->prev;
    const mod_lti_segment_t *segment = from != NULL ? mod_lti_identity_segment(from) : NULL;
    const char *path = normalize(r, r->parsed_uri.path), *key = NULL, *rest = NULL;
    const lti_course_path_t *application, *inner;

    if (path == NULL)
        return;
    application = mod_lti_paths_split(&key, &rest, conf->course_paths, path, r->pool);
    if (application != NULL && segment == NULL)
        segment = make_segment(r, application, key, rest);
    if (segment != NULL)
        mod_lti_identity_set_segment(r, segment);
    else if (mod_lti_config_course_path(conf->course_paths, path) != NULL)
        mod_lti_identity_set_lost(r, path);
    if (application == NULL || strcmp(segment->key, key) != 0)
        return;
    replace_address(r, rest);
    if (from != NULL)
        return;
    /* A relative link into an application below this one: its cookies and links are of its own addresses, and so must the browser be. */
    inner = conf->course_paths->nelts > 1 ? mod_lti_config_course_path(conf->course_paths, rest) : NULL;
    if (inner != NULL && inner != application)
        mod_lti_identity_set_lost(r, rest);
    apr_table_setn(r->notes, PREFIX_NOTE, segment->path_prefix);
    clean_referer(r, conf);
}

/* Not what a forward proxy is asked for. */
static int is_for_this_site(request_rec *r)
{
    const apr_uri_t *uri = &r->parsed_uri;

    if (uri->path == NULL || uri->path[0] != '/')
        return 0;
    return uri->scheme == NULL || uri->hostname == NULL ||
           ap_matches_request_vhost(r, uri->hostname, (apr_port_t)(uri->port_str != NULL ? uri->port : ap_default_port(r)));
}

int mod_lti_paths_take_off(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);

    if (conf->course_paths != NULL && is_for_this_site(r))
        read_address(r, conf);
    return DECLINED;
}

/* --- the segment lost ----------------------------------------------------------------------------------------------------------- */

/* What is not ASCII may stand in an address, but not in a header. */
static const char *to_ascii(const char *text, apr_pool_t *p)
{
    char *ascii = apr_palloc(p, strlen(text) * 3 + 1), *out = ascii;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c > 0x20 && c < 0x7F)
            *out++ = (char)c;
        else
            out += apr_snprintf(out, 4, "%%%02X", c);
    }
    *out = '\0';
    return ascii;
}

/* This request's address in the course `key`: a path, so that it stays on this site whatever the path is. */
static const char *address_in(request_rec *r, const lti_course_path_t *application, const char *key)
{
    const char *path = mod_lti_paths_join(application, key, mod_lti_identity_lost(r), r->pool);

    return to_ascii(r->args != NULL ? apr_pstrcat(r->pool, path, "?", r->args, NULL) : path, r->pool);
}

/* 307: the method and the body stay. The new address has a segment, so it is never led again. */
static int lead_to(request_rec *r, const lti_course_path_t *application, const char *key)
{
    apr_table_setn(r->headers_out, "Location", address_in(r, application, key));
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    return HTTP_TEMPORARY_REDIRECT;
}

static const char *key_of(const mod_lti_identity_t *identity)
{
    return identity->cookie_name + strlen(identity->cookie_name) - LTI_SESSION_KEY_LENGTH;
}

/* A page for who can read one, an error for what cannot; never a guess. */
static int ask(request_rec *r, const lti_course_path_t *application, const apr_array_header_t *sessions)
{
    apr_array_header_t *choices;
    lti_err_t err;
    int i;

    if (r->method_number != M_GET) {
        lti_fail(&err, LTI_E_SESSION_AMBIGUOUS, APR_EINVAL, "neither the address nor a Referer says which of %d courses is meant",
                 sessions->nelts);
        return mod_lti_page_refuse(r, "LTI0121", &err);
    }
    choices = apr_array_make(r->pool, sessions->nelts, sizeof(mod_lti_paths_choice_t));
    for (i = 0; i < sessions->nelts; i++) {
        const mod_lti_identity_t *identity = APR_ARRAY_IDX(sessions, i, const mod_lti_identity_t *);
        mod_lti_paths_choice_t *choice = apr_array_push(choices);

        choice->launch = &identity->session->launch;
        choice->address = address_in(r, application, key_of(identity));
    }
    return mod_lti_paths_offer(r, choices);
}

/* Only who writes `session` into the address of an end point means it: then it is that session or none. */
static void use_named_session(request_rec *r, const lti_server_config_t *conf, const char *key)
{
    lti_course_path_t *all_of_us = apr_pcalloc(r->pool, sizeof(*all_of_us));

    all_of_us->prefix = conf->path;
    all_of_us->length = strlen(conf->path);
    mod_lti_identity_set_segment(r, make_segment(r, all_of_us, key, r->uri));
}

/*
 * Our own end points have one address for all courses: it names the session itself, or the page that calls one says which it is. Where the newest launch wins only one of
 * an application with plain addresses does; whoever does not say gets the only session that is open.
 */
static void bind_end_point(request_rec *r, const lti_server_config_t *conf, const char *end_point)
{
    const lti_course_path_t *application;
    const char *front, *query, *key, *rest, *path;

    if (mod_lti_identity_segment(r) != NULL || mod_lti_identity_is_open(end_point))
        return;
    key = r->args != NULL ? mod_lti_paths_named_session(r->args, r->pool) : NULL;
    if (key != NULL) {
        use_named_session(r, conf, key);
        return;
    }
    if (conf->course_paths == NULL)
        return;
    path = referer_path(&front, &query, r);
    application = path != NULL ? mod_lti_paths_split(&key, &rest, conf->course_paths, path, r->pool) : NULL;
    if (application != NULL)
        mod_lti_identity_set_segment(r, make_segment(r, application, key, r->uri));
    else if (path == NULL || mod_lti_config_course_path(conf->course_paths, path) != NULL)
        mod_lti_identity_set_lost(r, r->uri);
}

int mod_lti_paths_lead(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const char *end_point = mod_lti_identity_end_point(r), *path, *key;
    const lti_course_path_t *application, *from;
    const apr_array_header_t *sessions;

    if ((conf->course_paths == NULL && end_point == NULL) || r->main != NULL || r->prev != NULL)
        return DECLINED;
    if (end_point != NULL) {
        bind_end_point(r, conf, end_point);
        return DECLINED;
    }
    path = mod_lti_identity_lost(r);
    if (path == NULL)
        return DECLINED;
    application = mod_lti_config_course_path(conf->course_paths, path);
    if (mod_lti_identity_segment(r) != NULL)
        return lead_to(r, application, mod_lti_identity_segment(r)->key);
    if (referer_segment(&from, &key, r, conf))
        return lead_to(r, application, key);
    sessions = mod_lti_identity_sessions(r);
    if (sessions->nelts == 0)
        return DECLINED;
    if (sessions->nelts == 1)
        return lead_to(r, application, key_of(APR_ARRAY_IDX(sessions, 0, const mod_lti_identity_t *)));
    return ask(r, application, sessions);
}

/* --- launches ------------------------------------------------------------------------------------------------------------------- */

const char *mod_lti_paths_destination(request_rec *r, const char *url, const char *cookie_name)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const char *key = cookie_name + strlen(cookie_name) - LTI_SESSION_KEY_LENGTH, *old, *rest, *path, *clean;
    apr_size_t front = strlen(mod_lti_identity_base_url(r));
    const lti_course_path_t *application;

    if (conf->course_paths == NULL)
        return url;
    path = apr_pstrmemdup(r->pool, url + front, strcspn(url + front, "?#"));
    clean = normalize(r, path);
    /* People copy addresses from their browser into links of a course: then the segment is that of another session. */
    if (clean != NULL && mod_lti_paths_split(&old, &rest, conf->course_paths, clean, r->pool) != NULL)
        clean = rest;
    application = clean != NULL ? mod_lti_config_course_path(conf->course_paths, clean) : NULL;
    if (application == NULL)
        return url;
    return apr_pstrcat(r->pool, apr_pstrmemdup(r->pool, url, front), mod_lti_paths_join(application, key, clean, r->pool),
                       url + front + strlen(path), NULL);
}
