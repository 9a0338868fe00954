/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_form: the parameters of a request to an end point, from the query or from a form body, read once and strictly: right
 * content type, bounded size, valid percent encoding, UTF-8, no control characters, nothing twice (SPEC L-02, L-12 to L-14,
 * B-01, B-05). Request threads only.
 *
 * No parameter of the protocols has a capital letter. Since the tables fold case, names with one are left out like any other
 * unknown parameter, so that "State" is never taken for "state".
 */
#ifndef MOD_LTI_FORM_H
#define MOD_LTI_FORM_H

#include <httpd.h>
#include <apr_tables.h>
#include "lti_err.h"

#define MOD_LTI_FORM_QUERY_MAX 8192 /* bytes of a query (SPEC L-13) */
#define MOD_LTI_FORM_PAIRS_MAX 256

/** A table name -> value. Repeated names keep their first value here and stand in `repeated`. */
typedef struct mod_lti_form_t {
    apr_table_t *values;
    apr_table_t *repeated;
} mod_lti_form_t;

/**
 * Takes application/x-www-form-urlencoded text apart. LTI_E_FORM_INVALID, LTI_E_PARAMETER_INVALID for the first fault; `*form`
 * then holds the parameters that are sound, good for telling what it was. Needs no request (mod_lti_form_parse.c).
 */
apr_status_t mod_lti_form_parse(mod_lti_form_t **form, const char *text, apr_size_t size, apr_pool_t *p, lti_err_t *err);

/**
 * From the query of a GET or the body of a POST, which may have at most `max` bytes. The query of a POST counts only in so far
 * as a parameter that it gives another value is a repeated one (SPEC L-12, L-16). LTI_E_METHOD, LTI_E_CONTENT_TYPE,
 * LTI_E_TOO_LARGE, LTI_E_URI_TOO_LONG, LTI_E_FORM_INVALID, LTI_E_PARAMETER_INVALID (control characters, UTF-8); `*form` is
 * NULL if there was nothing to take apart. The status is AP_FILTER_ERROR when an input filter answered already: then that is what the handler returns.
 */
apr_status_t mod_lti_form_read(mod_lti_form_t **form, request_rec *r, apr_size_t max, lti_err_t *err);

/** From the query, whatever the method. LTI_E_URI_TOO_LONG, LTI_E_FORM_INVALID, LTI_E_PARAMETER_INVALID. */
apr_status_t mod_lti_form_query(mod_lti_form_t **form, request_rec *r, lti_err_t *err);

/**
 * The value, NULL if absent; a repeated one is a fault (LTI_E_PARAMETER_REPEATED) in `err` with `*rv` set. Once `*rv` is a
 * fault all answers are NULL, so that several calls need one check.
 */
const char *mod_lti_form_get(const mod_lti_form_t *form, const char *name, apr_status_t *rv, lti_err_t *err);

#endif
