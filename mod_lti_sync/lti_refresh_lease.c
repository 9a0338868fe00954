/* SPDX-License-Identifier: Apache-2.0 */
/* Leases that are owed back: remembered until the database takes them. */
#include "lti_refresh_lease.h"

#include <apr_hash.h>
#include <apr_strings.h>

#define OUT_OF_THE_WAY apr_time_from_sec(10)
#define OWED_MAX 1000 /* the leases of more than that end by time */

struct lti_owed_t {
    apr_pool_t *pool;  /* cleared whenever nothing is owed */
    apr_hash_t *since; /* course key to apr_time_t */
};

lti_owed_t *lti_owed_create(apr_pool_t *p)
{
    lti_owed_t *made = apr_pcalloc(p, sizeof(*made));

    apr_pool_create(&made->pool, p);
    made->since = apr_hash_make(made->pool);
    return made;
}

void lti_owed_add(lti_owed_t *owed, const char *course_key, apr_time_t now)
{
    apr_time_t *since = apr_hash_get(owed->since, course_key, APR_HASH_KEY_STRING);

    if (since == NULL && apr_hash_count(owed->since) < OWED_MAX) {
        since = apr_palloc(owed->pool, sizeof(*since));
        apr_hash_set(owed->since, apr_pstrdup(owed->pool, course_key), APR_HASH_KEY_STRING, since);
    }
    if (since != NULL)
        *since = now;
}

apr_status_t lti_owed_settle(lti_owed_t *owed, lti_db_t *db, const char *node, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;
    apr_hash_index_t *place;

    for (place = apr_hash_first(ptemp, owed->since); place != NULL && rv == APR_SUCCESS; place = apr_hash_next(place)) {
        const char *key = apr_hash_this_key(place);
        const apr_time_t *since = apr_hash_this_val(place);

        if (now >= *since && now - *since < OUT_OF_THE_WAY)
            continue;
        /* Nothing was staged: a run that never was has no name. */
        rv = lti_db_lease_release(db, key, "", node, ptemp, err);
        if (rv == APR_SUCCESS)
            apr_hash_set(owed->since, key, APR_HASH_KEY_STRING, NULL);
    }
    if (apr_hash_count(owed->since) == 0) {
        apr_pool_clear(owed->pool);
        owed->since = apr_hash_make(owed->pool);
    }
    return rv;
}
