/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run that asks a platform only for what changed, where it offers that (SPEC N-18 to N-22): those it names are new or changed, those it names as deleted have left, all
 * others are as they were. The address of the next such list is kept with what this one brought, in one transaction. Once a day, and whenever anything is in doubt, the whole
 * list is read.
 */
#include "lti_refresh_run.h"

#include <string.h>
#include <apr_strings.h>

#define FULL_EVERY apr_time_from_sec(24 * 3600)
#define LENIENCE apr_time_from_sec(60)

static int is_usable(const lti_run_t *run, apr_time_t now)
{
    const lti_differences_t *differences = &run->differences;
    const char *origin, *wanted;

    /* What is held is judged by whole lists, and a whole list mends what failed. */
    if (differences->url == NULL || run->hold.held || run->course->failures > 0 || run->course->version == 0 ||
        now - differences->full_at >= FULL_EVERY || now < differences->full_at)
        return 0;
    /* The next run comes about as long after this one as this one after the last: too late for the whole list? */
    if (now - differences->full_at + (now - run->course->succeeded_at) > FULL_EVERY + LENIENCE)
        return 0;
    origin = lti_http_origin(differences->url, run->pool);
    wanted = lti_http_origin(run->course->nrps_url, run->pool);
    return origin != NULL && wanted != NULL && strcmp(origin, wanted) == 0;
}

apr_status_t lti_run_differences_load(lti_run_t *run, lti_db_t *db, lti_err_t *err)
{
    apr_status_t rv = lti_db_differences_read(&run->differences, db, run->course->key, run->pool, err);

    run->start_url = run->course->nrps_url;
    if (rv == APR_SUCCESS && is_usable(run, run->options->now())) {
        run->partial = 1;
        run->start_url = run->differences.url;
        lti_diff_partial(run->diff, 1);
    }
    return rv;
}

int lti_run_differences_refused(lti_run_t *run, const lti_err_t *why)
{
    int by_status = why->detail >= 400 && why->detail < 500 && why->detail != 429 && why->code != LTI_E_ROSTER_BUSY &&
                    (why->code != LTI_E_ROSTER_FORBIDDEN || run->renewed);

    /* Only while nothing of the list was taken. */
    if (!run->partial || run->walk_pages > 0 || !by_status)
        return 0;
    run->partial = 0;
    run->start_url = run->course->nrps_url;
    lti_diff_partial(run->diff, 0);
    return 1;
}

apr_status_t lti_run_differences_judge(const lti_run_t *run, lti_err_t *err)
{
    if (run->partial && run->other_context != NULL)
        return lti_fail(err, LTI_E_ROSTER_CHANGES, APR_EGENERAL, "the list of changes is of course \"%.100s\"", run->other_context);
    return APR_SUCCESS;
}

void lti_run_differences_note(lti_run_t *run, const lti_http_response_t *response)
{
    /* The first page's: what changes while later ones are read is in the next list. */
    if (run->next_differences != NULL)
        return;
    run->next_differences = lti_nrps_differences(response, run->url, run->course->nrps_url, run->pool);
}

void lti_run_differences_keep(lti_apply_t *apply, const lti_run_t *run)
{
    apply->differences.full_at = run->partial ? run->differences.full_at : run->requested_at;
    apply->differences.url = run->next_differences;
    if (run->partial && apply->differences.url == NULL)
        apply->differences.url = run->differences.url; /* it goes on telling what changed since it was made */
    /* Where rosters name another course than launches do, nobody could tell whose changes these are. */
    if (apply->state != LTI_ROSTER_CURRENT || run->second_failed || run->other_context != NULL)
        apply->differences.url = NULL;
}
