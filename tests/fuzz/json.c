/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside, with its limits (SPEC J-02, S-14): what was taken can be written, and is then taken again; our own reader takes nothing that jansson refuses
 * or reads in another way. */
#include "fuzz.h"

#include "lti_json_read.h"

static void compare_readers(const char *text, size_t size, apr_pool_t *p)
{
    json_t *ours = lti_json_read(text, size, p), *theirs;

    if (ours == NULL)
        return;
    theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_MUST(theirs != NULL && json_equal(ours, theirs));
    /* json_equal() does not look at the order. */
    FUZZ_MUST(strcmp(lti_json_text(ours, p), lti_json_text(theirs, p)) == 0);
    json_decref(ours);
    json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_begin();
    lti_err_t err = {.code = LTI_OK};
    json_t *json = NULL, *again = NULL;
    apr_status_t rv = lti_json_object(&json, (const char *)data, size, LTI_E_TOKEN_MALFORMED, p, &err);

    FUZZ_MUST_TELL(rv, err);
    if (rv == APR_SUCCESS) {
        const char *text = lti_json_text(json, p);

        FUZZ_MUST(json_is_object(json) && text != NULL);
        FUZZ_MUST(lti_json_object(&again, text, strlen(text), LTI_E_TOKEN_MALFORMED, p, &err) == APR_SUCCESS);
        FUZZ_MUST(json_equal(json, again));
    }
    compare_readers((const char *)data, size, p);
    /* Any bytes: says yes or no, and reads nothing behind the end. */
    (void)lti_json_is_clean(fuzz_text(data, size, p));
    fuzz_end(p);
    return 0;
}
