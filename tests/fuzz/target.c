/* SPDX-License-Identifier: Apache-2.0 */
/* A target_link_uri (SPEC K-08, S-05): whatever it says, the way leads to an application of this site. */
#include "fuzz.h"

#include "lti_http.h"
#include "mod_lti_launch_parts.h"

#define BASE "https://tools.example.edu"

static int leads_to(const char *destination, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(destination, prefix, length) == 0 && (destination[length] == '\0' || strchr("/?#", destination[length]) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_begin();
    lti_server_config_t conf;
    const char *destination = NULL, *c;
    lti_err_t err = {.code = LTI_OK};
    apr_status_t rv;

    memset(&conf, 0, sizeof(conf));
    conf.path = "/lti";
    conf.applications = apr_array_make(p, 2, sizeof(const char *));
    APR_ARRAY_PUSH(conf.applications, const char *) = "/app/";
    APR_ARRAY_PUSH(conf.applications, const char *) = "/other";
    rv = mod_lti_launch_target(&destination, &conf, BASE, fuzz_text(data, size, p), p, &err);
    FUZZ_MUST_TELL(rv, err);
    if (rv == APR_SUCCESS) {
        FUZZ_MUST(leads_to(destination, BASE "/app") || leads_to(destination, BASE "/other"));
        for (c = destination; *c != '\0'; c++)
            FUZZ_MUST(*c > ' ' && *c < 0x7f && *c != '\\' && *c != '"' && *c != '<');
        FUZZ_MUST(strstr(apr_pstrmemdup(p, destination, strcspn(destination, "?#")), "/../") == NULL);
    } else
        FUZZ_MUST(destination == NULL);
    fuzz_end(p);
    return 0;
}
