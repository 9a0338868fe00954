/* SPDX-License-Identifier: Apache-2.0 */
/* What responses made for a person get: Cache-Control and frame-ancestors. */
#include "mod_lti_response.h"

#include <string.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include "lti_csp.h"
#include "mod_lti_identity.h"

#define POLICY "Content-Security-Policy"

static ap_filter_rec_t *personal_filter;

/* --- caches ------------------------------------------------------------------------------------------------------------ */

/* 1 if `word` stands there by itself: `private="set-cookie"` is about that header only, and what only contains the word says nothing. */
static int has_word(const char *control, const char *word)
{
    apr_size_t length = strlen(word);
    const char *at = control;

    while ((at = ap_strcasestr(at, word)) != NULL) {
        if ((at == control || strchr(", \t", at[-1]) != NULL) && strchr(", \t", at[length]) != NULL)
            return 1;
        at += length;
    }
    return 0;
}

static int keeps_out_caches(const char *control)
{
    return control != NULL && (has_word(control, "private") || has_word(control, "no-store"));
}

static void mark_private(request_rec *r)
{
    const char *control = apr_table_get(r->headers_out, "Cache-Control");

    if (control == NULL) {
        if (!keeps_out_caches(apr_table_get(r->err_headers_out, "Cache-Control")))
            apr_table_addn(r->headers_out, "Cache-Control", "private");
    } else if (!keeps_out_caches(control)) {
        apr_table_setn(r->headers_out, "Cache-Control", apr_pstrcat(r->pool, control, ", private", NULL));
    }
}

/* --- frames ------------------------------------------------------------------------------------------------------------ */

const char *mod_lti_response_frame_ancestors(request_rec *r, const lti_platform_t *platform, const char *return_url)
{
    const char *added = mod_lti_config_of_dir(r)->frame_sources;
    const char *directive = lti_csp_add_source(platform->frame_ancestors, return_url, r->pool);

    return added != NULL ? apr_pstrcat(r->pool, directive, " ", added, NULL) : directive;
}

/* Replaces what the application's policies say of frames; 1 if they said something. `*last` receives the last policy there is. */
static int replace_policies(apr_table_t *headers, const char *directive, apr_table_entry_t **last, apr_pool_t *p)
{
    const apr_array_header_t *list = apr_table_elts(headers);
    int i, replaced = 0;

    if (apr_table_get(headers, POLICY) == NULL)
        return 0;
    for (i = 0; i < list->nelts; i++) {
        apr_table_entry_t *entry = &APR_ARRAY_IDX(list, i, apr_table_entry_t);

        if (ap_cstr_casecmp(entry->key, POLICY) != 0)
            continue;
        *last = entry;
        if (lti_csp_speaks_of_frames(entry->val)) {
            entry->val = (char *)lti_csp_replace(entry->val, directive, p);
            replaced = 1;
        }
    }
    return replaced;
}

static void let_frame(request_rec *r, const mod_lti_identity_t *identity)
{
    const char *directive = mod_lti_response_frame_ancestors(r, identity->platform, identity->session->launch.return_url);
    apr_table_entry_t *last = NULL;
    int replaced;

    apr_table_unset(r->headers_out, "X-Frame-Options");
    replaced = replace_policies(r->headers_out, directive, &last, r->pool);
    if (!apr_is_empty_table(r->err_headers_out)) {
        apr_table_unset(r->err_headers_out, "X-Frame-Options");
        replaced |= replace_policies(r->err_headers_out, directive, &last, r->pool);
    }
    if (last == NULL)
        apr_table_addn(r->headers_out, POLICY, directive);
    else if (!replaced)
        last->val = apr_pstrcat(r->pool, last->val, "; ", directive, NULL);
}

/* --- the filter -------------------------------------------------------------------------------------------------------- */

static apr_status_t finish(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    request_rec *r = filter->r;

    ap_remove_output_filter(filter);
    mark_private(r);
    if (mod_lti_config_frame(mod_lti_config_of_dir(r)))
        let_frame(r, filter->ctx);
    return ap_pass_brigade(filter->next, brigade);
}

/* After mod_headers has added its own, so that what an administrator wrote for the whole server shuts no frame; before mod_cache. */
static void insert(request_rec *r)
{
    const mod_lti_identity_t *identity = r->main == NULL ? mod_lti_identity_known(r) : NULL;

    if (identity != NULL && identity->standing == MOD_LTI_PRESENT)
        ap_add_output_filter_handle(personal_filter, (void *)identity, r, r->connection);
}

/* The page that refuses somebody whom we know stands in the platform's frame, too. */
static void insert_for_error(request_rec *r)
{
    const mod_lti_identity_t *identity = r->main == NULL ? mod_lti_identity_known(r) : NULL;

    if (identity != NULL && identity->session != NULL)
        ap_add_output_filter_handle(personal_filter, (void *)identity, r, r->connection);
}

void mod_lti_response_register(apr_pool_t *p)
{
    (void)p;
    personal_filter = ap_register_output_filter("LTI_PERSONAL", finish, NULL, AP_FTYPE_CONTENT_SET);
    ap_hook_insert_filter(insert, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_insert_error_filter(insert_for_error, NULL, NULL, APR_HOOK_REALLY_LAST);
}
