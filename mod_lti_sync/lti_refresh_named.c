/* SPDX-License-Identifier: Apache-2.0 */
/* Courses that the configuration names: told to the database at the first look. */
#include "lti_refresh_named.h"

apr_status_t lti_named_write(const lti_refresh_options_t *options, lti_db_t *db, apr_time_t now, apr_pool_t *p, lti_err_t *err)
{
    apr_hash_index_t *at;
    apr_status_t rv;
    apr_pool_t *each;

    if (options->named == NULL)
        return APR_SUCCESS;
    rv = apr_pool_create(&each, p);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for named courses");
    for (at = apr_hash_first(p, options->named); rv == APR_SUCCESS && at != NULL; at = apr_hash_next(at)) {
        /* There may be thousands; whoever stops leaves the rest to the next process. */
        if (options->stopping(options->baton))
            break;
        rv = lti_db_course_named(db, apr_hash_this_val(at), now, each, err);
        apr_pool_clear(each);
    }
    apr_pool_destroy(each);
    return rv;
}
