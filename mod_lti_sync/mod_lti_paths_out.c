/* SPDX-License-Identifier: Apache-2.0 */
/* The segment put back into the headers of answers. */
#include "mod_lti_paths.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include "lti_http.h"
#include "mod_lti_identity.h"
#include "mod_lti_paths_parts.h"

static ap_filter_rec_t *return_filter;

static void put_back_table(const apr_table_t *headers, const mod_lti_paths_return_t *back, apr_pool_t *p)
{
    const apr_array_header_t *list = apr_table_elts(headers);
    int i;

    for (i = 0; i < list->nelts; i++) {
        apr_table_entry_t *entry = &APR_ARRAY_IDX(list, i, apr_table_entry_t);
        const char *value = entry->val;

        if (ap_cstr_casecmp(entry->key, "Set-Cookie") == 0)
            value = mod_lti_paths_put_back_cookie(back, value, p);
        else if (ap_cstr_casecmp(entry->key, "Location") == 0 || ap_cstr_casecmp(entry->key, "Content-Location") == 0)
            value = mod_lti_paths_put_back(back, value, p);
        else if (ap_cstr_casecmp(entry->key, "Refresh") == 0)
            value = mod_lti_paths_put_back_refresh(back, value, p);
        if (value != entry->val)
            entry->val = apr_pstrdup(p, value); /* in place: one header may come several times, and order matters */
    }
}

/* Just before the headers become bytes: whoever makes one, an application, mod_dir, mod_rewrite or mod_headers, has made it by now. */
static apr_status_t put_back(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    request_rec *r = filter->r;
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const mod_lti_segment_t *segment = mod_lti_identity_segment(r);

    ap_remove_output_filter(filter);
    if (segment != NULL) {
        const mod_lti_paths_return_t back = {
            .all = conf->course_paths,
            .application = segment->application,
            .key = segment->key,
            .asked = segment->asked,
            /* httpd and proxies make addresses of the name and port of this server, also behind a load balancer */
            .origins = {lti_http_origin(mod_lti_identity_base_url(r), r->pool),
                        lti_http_origin(ap_construct_url(r->pool, "/", r), r->pool)},
            .cookie_name = conf->cookie_name};

        put_back_table(r->headers_out, &back, r->pool);
        put_back_table(r->err_headers_out, &back, r->pool);
    }
    return ap_pass_brigade(filter->next, brigade);
}

static void insert(request_rec *r)
{
    if (mod_lti_config_of(r->server)->course_paths != NULL && r->main == NULL && mod_lti_identity_segment(r) != NULL &&
        mod_lti_identity_end_point(r) == NULL)
        ap_add_output_filter_handle(return_filter, NULL, r, r->connection);
}

void mod_lti_paths_register(apr_pool_t *p)
{
    (void)p;
    return_filter = ap_register_output_filter("LTI_COURSE_PATH", put_back, NULL, (ap_filter_type)(AP_FTYPE_PROTOCOL - 1));
    ap_hook_insert_filter(insert, NULL, NULL, APR_HOOK_LAST);
    ap_hook_insert_error_filter(insert, NULL, NULL, APR_HOOK_LAST);
}
