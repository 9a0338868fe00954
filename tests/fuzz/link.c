/* SPDX-License-Identifier: Apache-2.0 */
/* Link headers, one a line, into the next page of a roster (SPEC N-10 to N-13): never to another origin (Invariant 7). */
#include "fuzz.h"

#include "lti_nrps.h"

#define SERVICE "https://lms.example.org/nrps/42/members"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_begin();
    char *lines = apr_pstrdup(p, fuzz_text(data, size, p)), *line, *last = NULL;
    apr_table_t *headers = apr_table_make(p, 4);
    lti_http_response_t response = {.status = 200, .headers = headers, .content_type = ""};
    const char *next = NULL, *origin;
    lti_err_t err = {.code = LTI_OK};
    apr_status_t rv;

    for (line = apr_strtok(lines, "\n", &last); line != NULL; line = apr_strtok(NULL, "\n", &last))
        apr_table_addn(headers, "Link", line);
    rv = lti_nrps_next(&next, &response, SERVICE "?page=1", SERVICE, p, &err);
    FUZZ_MUST_TELL(rv, err);
    if (rv == APR_SUCCESS && next != NULL) {
        FUZZ_MUST(lti_http_check_url(next, 8 * 1024, LTI_E_ROSTER_MALFORMED, &err) == APR_SUCCESS);
        origin = lti_http_origin(next, p);
        FUZZ_MUST(origin != NULL && strcmp(origin, "https://lms.example.org:443") == 0);
    } else
        FUZZ_MUST(next == NULL);
    fuzz_end(p);
    return 0;
}
