/* SPDX-License-Identifier: Apache-2.0 */
/* What of the configuration decides whether a roster comes, and what is in it. */
#include "lti_refresh_configured.h"

#include <string.h>
#include <apr_strings.h>

#define MARK_BYTES 10 /* 16 characters in base32 */

/* Each with its length, so that no two configurations read the same. */
static apr_status_t mark_of(char mark[17], const char *const *texts, int count, apr_pool_t *p)
{
    unsigned char digest[LTI_SHA256_SIZE];
    const char *joined = "";
    lti_bytes_t whole;
    apr_status_t rv;
    int i;

    for (i = 0; i < count; i++)
        joined = texts[i] == NULL ? apr_pstrcat(p, joined, "-;", NULL)
                                  : apr_psprintf(p, "%s%" APR_SIZE_T_FMT ":%s;", joined, strlen(texts[i]), texts[i]);
    whole = (lti_bytes_t){joined, strlen(joined)};
    rv = lti_sha256_pieces(digest, &whole, 1);
    if (rv == APR_SUCCESS)
        lti_base32_encode(mark, digest, MARK_BYTES);
    return rv;
}

apr_status_t lti_configured_write(const lti_refresh_options_t *options, lti_db_t *db, apr_time_t now, apr_pool_t *p, lti_err_t *err)
{
    int i, due;
    apr_status_t rv = APR_SUCCESS;

    for (i = 0; i < options->platforms->nelts && rv == APR_SUCCESS; i++) {
        const lti_platform_t *platform = APR_ARRAY_IDX(options->platforms, i, const lti_platform_t *);
        const char *const ways[] = {platform->issuer, platform->client_id, platform->token_endpoint, platform->token_audience,
                                    options->ways};
        const char *const names[] = {platform->section_claim, platform->group_claim, apr_itoa(p, (int)platform->roster_names)};
        char ways_mark[17] = "", names_mark[17] = "";

        if (mark_of(ways_mark, ways, sizeof(ways) / sizeof(ways[0]), p) != APR_SUCCESS ||
            mark_of(names_mark, names, sizeof(names) / sizeof(names[0]), p) != APR_SUCCESS)
            return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "the configuration of platform %s cannot be hashed", platform->name);
        rv = lti_db_platform_configured(&due, db, platform->name, ways_mark, names_mark, now, p, err);
    }
    return rv;
}
