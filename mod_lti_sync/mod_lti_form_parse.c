/* SPDX-License-Identifier: Apache-2.0 */
/* Form text into names and values: the part of mod_lti_form that needs no request. */
#include "mod_lti_form.h"

#include <string.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "lti_json.h"

#define NAME_MAX_SHOWN 64

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes in place: the result is never longer. */
static apr_status_t decode(char *text, lti_err_t *err)
{
    apr_size_t length = strlen(text);
    const char *in = text;
    char *out = text;

    /* Tokens have nothing to decode. */
    if (memchr(text, '%', length) == NULL && memchr(text, '+', length) == NULL)
        in = out = text + length;
    while (*in != '\0') {
        if (*in == '%') {
            int high = hex_value(in[1]), low = high < 0 ? -1 : hex_value(in[2]);

            if (low < 0)
                return lti_fail(err, LTI_E_FORM_INVALID, APR_EINVAL, "a percent sign without two hexadecimal digits behind it");
            if (high == 0 && low == 0)
                return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "a parameter has a NUL byte");
            *out++ = (char)(high << 4 | low);
            in += 3;
        } else {
            *out++ = (char)(*in == '+' ? ' ' : *in);
            in++;
        }
    }
    *out = '\0';
    if (!lti_json_is_clean(text))
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "a parameter is not UTF-8 or has control characters");
    return APR_SUCCESS;
}

static int has_capital(const char *name)
{
    for (; *name != '\0'; name++) {
        if (apr_isupper(*name))
            return 1;
    }
    return 0;
}

static apr_status_t take_pair(mod_lti_form_t *form, char *pair, lti_err_t *err)
{
    char *equals = strchr(pair, '='), *value = pair + strlen(pair);
    apr_status_t rv;

    if (equals != NULL) {
        *equals = '\0';
        value = equals + 1;
    }
    rv = decode(pair, err);
    if (rv == APR_SUCCESS)
        rv = decode(value, err);
    if (rv != APR_SUCCESS || has_capital(pair))
        return rv;
    if (apr_table_get(form->values, pair) == NULL)
        apr_table_setn(form->values, pair, value);
    else
        apr_table_setn(form->repeated, pair, value);
    return APR_SUCCESS;
}

apr_status_t mod_lti_form_parse(mod_lti_form_t **form, const char *text, apr_size_t size, apr_pool_t *p, lti_err_t *err)
{
    mod_lti_form_t *made = apr_palloc(p, sizeof(*made));
    char *next = apr_pstrmemdup(p, text, size);
    apr_status_t fault = APR_SUCCESS;
    int pairs = 0;

    made->values = apr_table_make(p, 12);
    made->repeated = apr_table_make(p, 2);
    *form = made;
    if (memchr(text, '\0', size) != NULL)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "the form has a NUL byte");
    while (next != NULL) {
        char *pair = next;

        next = strchr(pair, '&');
        if (next != NULL)
            *next++ = '\0';
        if (*pair == '\0')
            continue;
        if (++pairs > MOD_LTI_FORM_PAIRS_MAX)
            return lti_fail(err, LTI_E_FORM_INVALID, APR_EINVAL, "more than %d parameters", MOD_LTI_FORM_PAIRS_MAX);
        if (fault == APR_SUCCESS)
            fault = take_pair(made, pair, err);
        else
            (void)take_pair(made, pair, NULL);
    }
    return fault;
}

const char *mod_lti_form_get(const mod_lti_form_t *form, const char *name, apr_status_t *rv, lti_err_t *err)
{
    if (*rv != APR_SUCCESS)
        return NULL;
    if (apr_table_get(form->repeated, name) != NULL) {
        *rv = lti_fail(err, LTI_E_PARAMETER_REPEATED, APR_EINVAL, "the parameter %.*s came more than once (SPEC L-12)",
                       NAME_MAX_SHOWN, name);
        return NULL;
    }
    return apr_table_get(form->values, name);
}
