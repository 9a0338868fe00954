/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a run of the refresh engine: what was odd about the list, and who is missing. */
#include "lti_refresh_run.h"

#include <string.h>
#include <apr_strings.h>

#define DROP_GUARD_FROM 10
#define AGREEMENT_SPAN apr_time_from_sec(24 * 3600)

/* --- remarks ------------------------------------------------------------------------------------------------------------ */

const char *lti_run_remarks(const lti_run_t *run, apr_pool_t *p)
{
    int twice = run->partial ? 0 : run->walk_members - run->summary.named; /* of changes people are named more than once */
    const char *remarks = "";

    if (run->second_failed)
        return NULL;
    if (run->other_context != NULL)
        remarks = apr_psprintf(p, "; the roster names its course \"%.100s\" instead", run->other_context);
    if (twice > 0)
        remarks = apr_psprintf(p, "%s; entries for people who were named before: %d, the last counts", remarks, twice);
    if (run->walk_dropped > 0)
        remarks = apr_psprintf(p, "%s; entries without a usable user_id: %d, left out", remarks, run->walk_dropped);
    if (run->walk_odd > 0)
        remarks = apr_psprintf(p, "%s; entries with a status that a list of members does not have: %d, taken for inactive or gone",
                               remarks, run->walk_odd);
    if (run->groups_fault != NULL)
        remarks = apr_psprintf(p, "%s; names of sections or groups could not be read: %s", remarks, run->groups_fault);
    return remarks[0] != '\0' ? remarks + 2 : NULL;
}

/* --- the verdict -------------------------------------------------------------------------------------------------------- */

static apr_status_t note_missing(void *baton, const char *user_id)
{
    apr_array_header_t *missing = baton;

    APR_ARRAY_PUSH(missing, const char *) = apr_pstrdup(missing->pool, user_id);
    return APR_SUCCESS;
}

/* Invariant 2: may those who are missing go? */
static int may_remove(lti_err_t *note, const lti_run_t *run)
{
    const lti_diff_summary_t *sum = &run->summary;
    const lti_hold_t *hold = &run->hold;
    int percent = run->options->drop_guard_percent;

    /* Whoever accepted saw how many were missing: not more than those. */
    if (hold->accepted && sum->missing <= hold->missing)
        return 1;
    if (sum->named == 0 && !run->partial) {
        lti_fail(note, LTI_E_ROSTER_EMPTY, APR_EGENERAL, "the list is empty, %d people are stored", sum->missing);
        return 0;
    }
    if (run->walk_dropped == 0 &&
        (sum->was_active < DROP_GUARD_FROM || (apr_int64_t)sum->missing_active * 100 <= (apr_int64_t)percent * sum->was_active))
        return 1;
    if (hold->held && memcmp(hold->digest, sum->missing_digest, LTI_DIGEST_SIZE) == 0 &&
        run->requested_at - hold->since >= AGREEMENT_SPAN)
        return 1;
    /* Who is missing may stand behind an entry that does not say whose it is. */
    if (run->walk_dropped > 0) {
        lti_fail(note, LTI_E_ROSTER_HELD, APR_EGENERAL, "%d people are missing, and entries without a usable user_id: %d",
                 sum->missing, run->walk_dropped);
        return 0;
    }
    lti_fail(note, LTI_E_ROSTER_HELD, APR_EGENERAL, "%d of %d active people are missing, the guard is at %d %%",
             sum->missing_active, sum->was_active, percent);
    return 0;
}

static apr_status_t note_held(void *baton, const char *user_id)
{
    const apr_array_header_t *held = baton;

    (void)note_missing(baton, user_id);
    return held->nelts < LTI_DB_HELD_MAX ? APR_SUCCESS : APR_EOF;
}

/* For whoever is to accept it: as many as anybody reads. */
static const apr_array_header_t *list_held(const lti_run_t *run, apr_pool_t *p)
{
    apr_array_header_t *held = apr_array_make(p, 16, sizeof(const char *));

    (void)lti_diff_each_missing(run->diff, note_held, held);
    return held;
}

void lti_run_verdict(lti_apply_t *apply, lti_err_t *note, const lti_run_t *run, apr_pool_t *p)
{
    apply->staged = run->summary.staged;
    apply->state = LTI_ROSTER_CURRENT;
    if (run->second_failed) {
        *note = run->second_err;
        /* It does not contradict an earlier hold, so that goes on. */
        if (run->hold.held) {
            apply->state = LTI_ROSTER_HELD;
            apply->held_digest = run->hold.digest;
            apply->held_missing = run->hold.missing;
        }
        return;
    }
    if (run->summary.missing == 0)
        return;
    if (may_remove(note, run)) {
        apr_array_header_t *missing = apr_array_make(p, run->summary.missing, sizeof(const char *));

        lti_diff_each_missing(run->diff, note_missing, missing);
        apply->missing = missing;
        return;
    }
    apply->state = LTI_ROSTER_HELD;
    apply->held_digest = run->summary.missing_digest;
    apply->held_missing = run->summary.missing;
    apply->held_people = list_held(run, p);
    apply->acceptance_used = run->hold.accepted;
}
