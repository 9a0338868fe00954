/* SPDX-License-Identifier: Apache-2.0 */
/* Which rosters turned stale since the last look. */
#include "lti_refresh_stale.h"

#define PAUSE apr_time_from_sec(60)
#define NAMED 20 /* one by one; a platform that is away may turn thousands stale at once */

static apr_status_t tell_course(void *baton, const lti_course_t *course, lti_err_t *err)
{
    const lti_refresh_options_t *options = baton;
    const lti_event_t event = {.kind = LTI_EVENT_COURSE_STALE, .course = course};

    (void)err;
    options->on_event(options->baton, &event);
    return APR_SUCCESS;
}

static void tell_count(const lti_refresh_options_t *options, int count)
{
    const lti_event_t event = {.kind = LTI_EVENT_COURSES_STALE, .members = count};

    if (count > 0)
        options->on_event(options->baton, &event);
}

/* After a start there is a minute to refresh what became stale while nobody worked; what is stale then all the same is counted only. */
static apr_status_t count_older(const lti_refresh_options_t *options, lti_db_t *db, apr_time_t began_at, apr_pool_t *ptemp,
                                lti_err_t *err)
{
    int count = 0;
    apr_status_t rv = lti_db_stale_each(&count, db, 0, began_at, 0, NULL, NULL, ptemp, err);

    if (rv == APR_SUCCESS)
        tell_count(options, count);
    return rv;
}

apr_status_t lti_stale_look(lti_staleness_t *staleness, const lti_refresh_options_t *options, lti_db_t *db, apr_time_t now,
                            apr_pool_t *ptemp, lti_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;
    int count = 0;

    /* A clock that was set back begins anew: nothing is told twice. */
    if (staleness->looked_at == 0 || now < staleness->looked_at)
        staleness->looked_at = now;
    if (now - staleness->looked_at < PAUSE)
        return APR_SUCCESS;
    if (!staleness->older_told)
        rv = count_older(options, db, staleness->looked_at, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    staleness->older_told = 1;
    rv = lti_db_stale_each(&count, db, staleness->looked_at, now, NAMED, tell_course, (void *)(uintptr_t)options, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    staleness->looked_at = now;
    tell_count(options, count - NAMED);
    return APR_SUCCESS;
}
