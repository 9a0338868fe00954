/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a request: where they come from, and how much of them is read. */
#include "mod_lti_form.h"

#include <stddef.h>
#include <string.h>
#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <util_filter.h>
#include <util_varbuf.h>

#define FORM_TYPE "application/x-www-form-urlencoded"

static int is_form_type(const char *type)
{
    apr_size_t length = sizeof(FORM_TYPE) - 1;

    if (type == NULL)
        return 0;
    type += strspn(type, " \t");
    return ap_cstr_casecmpn(type, FORM_TYPE, length) == 0 && (type[length] == '\0' || strchr("; \t", type[length]) != NULL);
}

static apr_status_t fail_size(apr_size_t max, lti_err_t *err)
{
    return lti_fail(err, LTI_E_TOO_LARGE, APR_ENOSPC, "the body has more than %lu bytes", (unsigned long)max);
}

/* Why no more of the body came. */
static apr_status_t fail_read(apr_status_t status, apr_size_t max, lti_err_t *err)
{
    if (APR_STATUS_IS_ENOSPC(status))
        return fail_size(max, err);
    return lti_fail(err, LTI_E_FORM_INVALID, status, "the body did not come whole%s",
                    APR_STATUS_IS_TIMEUP(status) ? " in time" : "");
}

/* APR_BRIGADE_SENTINEL in standard C: the macro subtracts from a null pointer, which clang rightly warns of. */
static apr_bucket *end_of(apr_bucket_brigade *brigade)
{
    return (apr_bucket *)(void *)((char *)&brigade->list.next - offsetof(apr_bucket, link));
}

/* Appends what the brigade holds; `*ended` is 1 once the end of the body was among it. */
static apr_status_t take_buckets(struct ap_varbuf *text, int *ended, apr_bucket_brigade *brigade, apr_size_t max, lti_err_t *err)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade); bucket != end_of(brigade); bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t size;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(bucket)) {
            *ended = 1;
            return APR_SUCCESS;
        }
        if (APR_BUCKET_IS_METADATA(bucket))
            continue;
        rv = apr_bucket_read(bucket, &data, &size, APR_BLOCK_READ);
        if (rv != APR_SUCCESS)
            return fail_read(rv, max, err);
        if (size > max - text->strlen)
            return fail_size(max, err);
        ap_varbuf_strmemcat(text, data, (int)size);
    }
    return APR_SUCCESS;
}

static apr_status_t read_body(struct ap_varbuf *text, request_rec *r, apr_size_t max, lti_err_t *err)
{
    const char *announced = apr_table_get(r->headers_in, "Content-Length");
    apr_bucket_brigade *brigade;
    apr_status_t rv;
    int ended = 0;

    if (announced != NULL && apr_atoi64(announced) > (apr_int64_t)max)
        return fail_size(max, err);
    ap_varbuf_init(r->pool, text, 0);
    text->strlen = 0; /* not set by the call: it means "unknown" */
    brigade = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    do {
        rv = ap_get_brigade(r->input_filters, brigade, AP_MODE_READBYTES, APR_BLOCK_READ, HUGE_STRING_LEN);
        if (rv != APR_SUCCESS)
            return fail_read(rv, max, err);
        rv = take_buckets(text, &ended, brigade, max, err);
        apr_brigade_cleanup(brigade);
    } while (rv == APR_SUCCESS && !ended);
    return rv;
}

apr_status_t mod_lti_form_query(mod_lti_form_t **form, request_rec *r, lti_err_t *err)
{
    const char *query = r->args != NULL ? r->args : "";
    apr_size_t size = strlen(query);

    *form = NULL;
    if (size > MOD_LTI_FORM_QUERY_MAX)
        return lti_fail(err, LTI_E_URI_TOO_LONG, APR_EINVAL, "the query has %lu bytes", (unsigned long)size);
    return mod_lti_form_parse(form, query, size, r->pool, err);
}

/* A parameter to which the query of a POST gives another value than its body is a repeated one (SPEC L-12). */
static apr_status_t compare_query(mod_lti_form_t *form, request_rec *r, lti_err_t *err)
{
    mod_lti_form_t *query;
    apr_status_t rv = mod_lti_form_query(&query, r, err);
    const apr_array_header_t *list;
    const apr_table_entry_t *entries;
    int i;

    if (rv != APR_SUCCESS)
        return rv;
    list = apr_table_elts(query->values);
    entries = (const apr_table_entry_t *)list->elts;
    for (i = 0; i < list->nelts; i++) {
        const char *value = apr_table_get(form->values, entries[i].key);

        if (value != NULL && (strcmp(value, entries[i].val) != 0 || apr_table_get(query->repeated, entries[i].key) != NULL))
            apr_table_setn(form->repeated, entries[i].key, entries[i].val);
    }
    return APR_SUCCESS;
}

apr_status_t mod_lti_form_read(mod_lti_form_t **form, request_rec *r, apr_size_t max, lti_err_t *err)
{
    struct ap_varbuf text;
    apr_status_t rv;

    *form = NULL;
    if (r->method_number == M_GET)
        return mod_lti_form_query(form, r, err);
    if (r->method_number != M_POST)
        return lti_fail(err, LTI_E_METHOD, APR_EINVAL, "the method is neither GET nor POST");
    if (!is_form_type(apr_table_get(r->headers_in, "Content-Type")))
        return lti_fail(err, LTI_E_CONTENT_TYPE, APR_EINVAL, "the body is not " FORM_TYPE);
    rv = read_body(&text, r, max, err);
    if (rv == APR_SUCCESS)
        rv = mod_lti_form_parse(form, text.buf, text.strlen, r->pool, err);
    return rv == APR_SUCCESS && r->args != NULL ? compare_query(*form, r, err) : rv;
}
