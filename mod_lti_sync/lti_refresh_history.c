/* SPDX-License-Identifier: Apache-2.0 */
/* What the database is told of runs: how far a long one has come, and how each ended. */
#include "lti_refresh_history.h"

/* A history that cannot be written is no reason for a run to fail: whatever the database has to say, the next statement hears it too. */

#define PROGRESS apr_time_from_sec(1)

int lti_history_is_due(const lti_run_t *run, apr_time_t now)
{
    return now - (run->told_at != 0 ? run->told_at : run->started_at) >= PROGRESS;
}

static lti_db_run_t describe(const lti_run_t *run)
{
    return (lti_db_run_t){
        .course_key = run->course->key,
        .run_id = run->id,
        .node = run->options->node,
        .started_at = run->started_at,
        .pages = run->pages,
        .members = run->walk_members,
    };
}

void lti_history_progress(lti_run_t *run, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp)
{
    lti_db_run_t row = describe(run);

    run->told_at = now;
    (void)lti_db_run_write(db, &row, ptemp, NULL);
}

void lti_history_end(const lti_run_t *run, lti_db_t *db, const lti_applied_t *applied, const lti_err_t *why, apr_time_t now,
                     apr_pool_t *ptemp)
{
    lti_db_run_t row = describe(run);

    row.ended_at = now;
    row.missing = run->summary.missing;
    if (applied != NULL) {
        row.members = run->summary.named;
        row.joined = applied->joined;
        row.changed = applied->changed;
        row.departed = applied->left;
        row.returned = applied->returned;
    }
    if (why != NULL && why->code != LTI_OK) {
        row.error_name = lti_err_info(why->code)->name;
        row.error_text = why->text;
    }
    (void)lti_db_run_write(db, &row, ptemp, NULL);
}
