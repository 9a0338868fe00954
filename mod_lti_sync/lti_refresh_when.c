/* SPDX-License-Identifier: Apache-2.0 */
/* When a course is due again: by who uses it while all goes well, by the reason and with patience while it does not. */
#include "lti_refresh_when.h"

#include <string.h>
#include "lti_crypto.h"

/* Ten per cent more or less, so that courses and nodes do not march in step. */
static apr_interval_time_t jitter(apr_interval_time_t interval)
{
    unsigned char bytes[2] = {128, 0};

    /* Without randomness the middle is good enough. */
    (void)lti_crypto_random(bytes, sizeof(bytes), NULL);
    return interval - interval / 10 + interval / 5 * (bytes[0] * 256 + bytes[1]) / 65535;
}

/* Invariant 4: every interval while somebody launches or uses it, or the configuration names it; quiet courses double to a day; dormant ones weekly. None is ever dropped. */
static apr_interval_time_t effective_interval(const lti_refresh_options_t *options, const lti_course_t *course, apr_time_t now)
{
    apr_interval_time_t interval = options->interval > SECOND ? options->interval : SECOND;
    apr_time_t active_at = course->launched_at > course->used_at ? course->launched_at : course->used_at;
    apr_interval_time_t quiet = now - active_at;

    if (options->named != NULL && apr_hash_get(options->named, course->key, APR_HASH_KEY_STRING) != NULL)
        return interval;
    if (active_at == 0)
        return interval > DAY ? interval : DAY;
    if (options->dormant_after > 0 && quiet > options->dormant_after)
        return interval > WEEK ? interval : WEEK;
    for (; quiet >= DAY && interval < DAY; quiet -= DAY)
        interval = interval * 2 < DAY ? interval * 2 : DAY;
    return interval;
}

apr_time_t lti_run_next_due(const lti_run_t *run, apr_time_t now)
{
    return now + jitter(effective_interval(run->options, run->course, now));
}

apr_time_t lti_run_stale_from(const lti_run_t *run, apr_time_t now)
{
    const lti_refresh_options_t *options = run->options;
    apr_interval_time_t span = options->stale_after_intervals * effective_interval(options, run->course, now);

    return run->requested_at + (span > options->stale_after_min ? span : options->stale_after_min);
}

/* What the reason itself asks for before it makes sense to try again (SPEC 5.4, 6.6). */
static apr_interval_time_t pause_for(const lti_run_t *run)
{
    const lti_course_t *course = run->course;

    switch (run->err.code) {
    case LTI_E_CONFIG:
    case LTI_E_DEPLOYMENT_UNKNOWN:
    case LTI_E_DEPLOYMENT_WITHDRAWN:
        return DAY;
    case LTI_E_ROSTER_GONE:
        if (course->failures >= 3 && course->error_name != NULL &&
            strcmp(course->error_name, lti_err_info(LTI_E_ROSTER_GONE)->name) == 0)
            return WEEK;
        return DAY;
    case LTI_E_ROSTER_FORBIDDEN:
    case LTI_E_SCOPE_REFUSED:
        return HOUR;
    case LTI_E_TOKEN_REFUSED:
        return course->failures == 0 ? MINUTE : 10 * MINUTE;
    default:
        return 0;
    }
}

/* After a failure: a minute, doubling; never before the platform's Retry-After, and at the first time just then (SPEC 6.6). */
apr_time_t lti_run_next_try(const lti_run_t *run, apr_time_t now)
{
    apr_interval_time_t ceiling = run->options->interval > HOUR ? run->options->interval : HOUR;
    apr_interval_time_t pause = pause_for(run);
    apr_interval_time_t delay = MINUTE;
    int i;

    for (i = 0; i < run->course->failures && delay < ceiling; i++)
        delay *= 2;
    if (delay > ceiling)
        delay = ceiling;
    delay = jitter(delay > pause ? delay : pause);
    if (run->retry_after > 0 && pause == 0 && run->course->failures == 0)
        delay = 0;
    return now + (delay > run->retry_after ? delay : run->retry_after + jitter(10 * SECOND));
}
