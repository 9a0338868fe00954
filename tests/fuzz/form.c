/* SPDX-License-Identifier: Apache-2.0 */
/* A form body or query into parameters (SPEC L-12 to L-14). */
#include "fuzz.h"

#include "mod_lti_form.h"

static int check_pair(void *baton, const char *name, const char *value)
{
    const char *c;

    (void)baton;
    FUZZ_MUST(lti_json_is_clean(name) && lti_json_is_clean(value));
    for (c = name; *c != '\0'; c++)
        FUZZ_MUST(*c < 'A' || *c > 'Z');
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_begin();
    mod_lti_form_t *form = NULL;
    lti_err_t err = {.code = LTI_OK};
    apr_status_t rv = mod_lti_form_parse(&form, (const char *)data, size, p, &err), got = APR_SUCCESS;

    FUZZ_MUST_TELL(rv, err);
    if (rv == APR_SUCCESS) {
        apr_table_do(check_pair, NULL, form->values, NULL);
        apr_table_do(check_pair, NULL, form->repeated, NULL);
        FUZZ_MUST(apr_table_elts(form->values)->nelts + apr_table_elts(form->repeated)->nelts <= MOD_LTI_FORM_PAIRS_MAX);
        if (mod_lti_form_get(form, "state", &got, &err) == NULL && got != APR_SUCCESS)
            FUZZ_MUST(err.code == LTI_E_PARAMETER_REPEATED && mod_lti_form_get(form, "id_token", &got, &err) == NULL);
    }
    fuzz_end(p);
    return 0;
}
