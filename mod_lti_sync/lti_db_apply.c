/* SPDX-License-Identifier: Apache-2.0 */
/* How a run ends: applied in one transaction (Invariants 2 and 3), or failed with a reason. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <apr_strings.h>
#include <string.h>
#include "lti_json.h"

#define BULK 50 /* ids of a list in SQL */
#define ERROR_TEXT_MAX 255
#define MANY 5000 /* staged people: the table is another one afterwards */

/** A course's standing as it was when the transaction locked it. */
typedef struct standing_t {
    apr_int64_t version;
    apr_int64_t active;
    apr_time_t succeeded_at;
    apr_time_t due_at;
    apr_time_t lease_since;
    apr_time_t lease_until;
    const char *held_digest;
    apr_time_t held_since;
    apr_int64_t held_accepted;
} standing_t;

/* Locks the row of a course; LTI_E_LEASE_LOST if its lease is not `owner`'s. */
static apr_status_t lock_standing(standing_t *standing, lti_db_t *db, const char *course_key, const char *owner, apr_pool_t *ptemp,
                                  lti_err_t *err)
{
    static const char sql[] = "SELECT lease_owner, version, active, succeeded_at, due_at, lease_since, lease_until, "
                              "held_digest, held_since, held_accepted FROM lti_sync WHERE course_key = %s {for_update}";
    lti_db_rows_t rows;
    const char *holder, *digest;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(course_key), ptemp, err);

    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_LEASE_LOST, APR_EGENERAL, "the course %s is gone", course_key);
    if (rv != APR_SUCCESS)
        return rv;
    holder = lti_db_text(&rows, 0);
    if (holder == NULL || strcmp(holder, owner) != 0)
        return lti_fail(err, LTI_E_LEASE_LOST, APR_EGENERAL, "the lease of %s is not ours any more", course_key);
    digest = lti_db_text(&rows, 7);
    *standing = (standing_t){
        .version = lti_db_number(&rows, 1),
        .active = lti_db_number(&rows, 2),
        .succeeded_at = lti_db_number(&rows, 3),
        .due_at = lti_db_number(&rows, 4),
        .lease_since = lti_db_number(&rows, 5),
        .lease_until = lti_db_number(&rows, 6),
        .held_digest = digest ? apr_pstrdup(ptemp, digest) : NULL,
        .held_since = lti_db_number(&rows, 8),
        .held_accepted = lti_db_number(&rows, 9),
    };
    return APR_SUCCESS;
}

/* --- members ------------------------------------------------------------------------------------------------- */

/* How many of the staged people are new, were there, come back. */
static apr_status_t count_staged(lti_applied_t *applied, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT COUNT(*), SUM(CASE WHEN m.user_id IS NULL THEN 1 ELSE 0 END), "
                              "SUM(CASE WHEN m.status = 3 THEN 1 ELSE 0 END) FROM lti_staging s "
                              "LEFT JOIN lti_member m ON m.course_key = s.course_key AND m.user_id = s.user_id WHERE s.run_id = %s";
    lti_db_rows_t rows;
    int found;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(apply->run_id), ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    found = (int)lti_db_number(&rows, 0);
    applied->joined = (int)lti_db_number(&rows, 1);
    applied->returned = (int)lti_db_number(&rows, 2);
    applied->changed = found - applied->joined - applied->returned;
    /* A server that crashed and came back may have lost the last rows that it took. */
    if (found != apply->staged)
        return lti_fail(err, LTI_E_STORE, APR_EGENERAL, "of %d staged rows of the run %d are there", apply->staged, found);
    return APR_SUCCESS;
}

/*
 * One statement for all who joined, changed or came back. The times are compared before their columns' values change: MariaDB
 * assigns from left to right and the later assignments see the new values.
 */
static apr_status_t merge_staged(lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "INSERT INTO lti_member (course_key, user_id, name, given_name, family_name, email, sourcedid, roles, status, joined_at, "
        "status_at, "
        "role_at, digest, section_names, group_names) "
        "SELECT course_key, user_id, name, given_name, family_name, email, sourcedid, roles, status, %lld, %lld, 0, digest, "
        "section_names, group_names "
        "FROM lti_staging WHERE run_id = %s "
        "{upsert course_key, user_id} "
        "role_at = CASE WHEN lti_member.roles = {new roles} THEN lti_member.role_at ELSE {new joined_at} END, "
        "status_at = CASE WHEN lti_member.status = {new status} THEN lti_member.status_at ELSE {new joined_at} END, "
        "name = {new name}, given_name = {new given_name}, family_name = {new family_name}, email = {new email}, "
        "sourcedid = {new sourcedid}, roles = {new roles}, status = {new status}, digest = {new digest}, "
        "section_names = {new section_names}, group_names = {new group_names}";

    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(&apply->requested_at, &apply->requested_at, apply->run_id), ptemp, err);
}

/* Whoever left already keeps the time of leaving. */
static apr_status_t mark_missing(int *left, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp, lti_err_t *err)
{
#define MARK "UPDATE lti_member SET status = 3, status_at = %lld WHERE course_key = %s AND status <> 3 AND user_id IN "
    static const char many[] = MARK "({50*%s})";
    static const char one[] = MARK "(%s)";
#undef MARK
    const void *values[2 + BULK] = {&apply->requested_at, apply->course_key};
    int done, i, size, affected;

    for (done = 0; done < apply->missing->nelts; done += size) {
        apr_status_t rv;

        size = apply->missing->nelts - done >= BULK ? BULK : 1;
        for (i = 0; i < size; i++)
            values[2 + i] = APR_ARRAY_IDX(apply->missing, done + i, const char *);
        rv = lti_db_run(&affected, db, size == BULK ? many : one, (lti_db_args_t){values, 2 + size}, ptemp, err);
        if (rv != APR_SUCCESS)
            return rv;
        *left += affected;
    }
    return APR_SUCCESS;
}

static apr_status_t count_active(int *active, lti_db_t *db, const char *course_key, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT COUNT(*) FROM lti_member WHERE course_key = %s AND status = 1";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(course_key), ptemp, err);

    if (rv == APR_SUCCESS)
        *active = (int)lti_db_number(&rows, 0);
    return rv;
}

/* --- applying ------------------------------------------------------------------------------------------------ */

static apr_status_t write_standing(const lti_applied_t *applied, lti_db_t *db, const lti_apply_t *apply, const standing_t *standing,
                                   apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "UPDATE lti_sync SET state = %lld, active = %lld, succeeded_at = %lld, stale_at = %lld, due_at = %lld, failures = 0, "
        "error_name = %s, error_text = %s, lease_owner = NULL, lease_until = 0, held_digest = %s, held_since = %lld, "
        "held_missing = %lld, held_accepted = %lld WHERE course_key = %s";
    char text[LTI_DB_DIGEST_TEXT];
    const char *held_digest = NULL;
    int agrees;
    apr_int64_t state = apply->state, active = applied->active, held_missing = 0, held_accepted = 0;
    apr_time_t held_since = 0, due_at = lti_db_due_after(standing->due_at, standing->lease_since, apply->due_at);

    if (apply->held_digest != NULL) {
        lti_db_digest_text(text, apply->held_digest);
        held_digest = text;
        held_missing = apply->held_missing;
        agrees = standing->held_digest != NULL && strcmp(standing->held_digest, text) == 0;
        /* An acceptance that came while this run was under way is for the next one, if it is of the same people. */
        held_accepted = agrees && !apply->acceptance_used ? standing->held_accepted : 0;
        held_since = agrees ? standing->held_since : apply->requested_at;
    }
    return lti_db_run(NULL, db, sql,
                      LTI_DB_ARGS(&state, &active, &apply->requested_at, &apply->stale_at, &due_at, apply->error_name,
                                  apply->error_text, held_digest, &held_since, &held_missing, &held_accepted, apply->course_key),
                      ptemp, err);
}

/* Whom this run holds, where the one before held others or nobody. */
static apr_status_t write_held(lti_db_t *db, const lti_apply_t *apply, const standing_t *standing, apr_pool_t *ptemp, lti_err_t *err)
{
    char text[LTI_DB_DIGEST_TEXT] = "";

    if (apply->held_digest != NULL)
        lti_db_digest_text(text, apply->held_digest);
    if (strcmp(text, standing->held_digest != NULL ? standing->held_digest : "") == 0)
        return APR_SUCCESS;
    return lti_db_held_write(db, apply->course_key, apply->held_digest != NULL ? apply->held_people : NULL, ptemp, err);
}

/** What is to be applied, and what came of it. */
typedef struct application_t {
    const lti_apply_t *apply;
    lti_applied_t applied;
} application_t;

/* Events tell what differs from the members as they still are. Whoever is staged and missing came and went in one list of changes:
 * the second event is told from what the first has made of them. */
static apr_status_t apply_members(lti_applied_t *applied, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp, lti_err_t *err)
{
    lti_db_numbering_t numbering;
    int anybody_missing = apply->missing != NULL && apply->missing->nelts > 0;
    apr_status_t rv;

    if (apply->staged == 0 && !anybody_missing)
        return APR_SUCCESS;
    rv = lti_db_events_begin(&numbering, db, ptemp, err);
    if (rv == APR_SUCCESS && apply->staged > 0) {
        rv = count_staged(applied, db, apply, ptemp, err);
        if (rv == APR_SUCCESS)
            rv = lti_db_events_staged(&numbering, db, apply, ptemp, err);
        if (rv == APR_SUCCESS)
            rv = merge_staged(db, apply, ptemp, err);
    }
    if (rv == APR_SUCCESS && anybody_missing) {
        rv = lti_db_events_missing(&numbering, db, apply, ptemp, err);
        if (rv == APR_SUCCESS)
            rv = mark_missing(&applied->left, db, apply, ptemp, err);
    }
    return rv == APR_SUCCESS ? lti_db_events_end(&numbering, db, ptemp, err) : rv;
}

static apr_status_t apply_run(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char number_it[] = "UPDATE lti_sync SET version = %lld, change_no = %lld WHERE course_key = %s";
    application_t *application = baton;
    const lti_apply_t *apply = application->apply;
    lti_applied_t *applied = &application->applied;
    standing_t standing;
    apr_int64_t number = 0;
    int changes;
    apr_status_t rv;

    *applied = (lti_applied_t){.joined = 0};
    rv = lock_standing(&standing, db, apply->course_key, apply->owner, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    /* What it staged may have been purged since it ran out. */
    if (standing.lease_until <= apply->now)
        return lti_fail(err, LTI_E_LEASE_LOST, APR_EGENERAL, "the lease of %s ran out", apply->course_key);
    if (standing.version != apply->version)
        return lti_fail(err, LTI_E_LEASE_LOST, APR_EGENERAL, "the roster of %s was changed by somebody else meanwhile",
                        apply->course_key);
    rv = apply_members(applied, db, apply, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    changes = applied->joined + applied->changed + applied->left + applied->returned;
    applied->active = (int)standing.active;
    if (changes > 0)
        rv = count_active(&applied->active, db, apply->course_key, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = write_standing(applied, db, apply, &standing, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = write_held(db, apply, &standing, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_differences_write(db, apply->course_key, &apply->differences, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_count_change(&number, db, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    applied->version = changes > 0 ? number : standing.version;
    return lti_db_run(NULL, db, number_it, LTI_DB_ARGS(&applied->version, &number, apply->course_key), ptemp, err);
}

apr_status_t lti_db_apply(lti_applied_t *applied, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp, lti_err_t *err)
{
    application_t application = {.apply = apply};
    apr_status_t rv = lti_db_transaction(db, apply_run, &application, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    *applied = application.applied;
    /* It is applied; what cannot be cleared away now is found by the purge. */
    if (apply->staged > 0)
        (void)lti_db_unstage(db, apply->run_id, ptemp, NULL);
    if (apply->staged >= MANY)
        lti_db_analyze(db, ptemp);
    return APR_SUCCESS;
}

/* --- failing ------------------------------------------------------------------------------------------------- */

typedef struct failure_t {
    const char *course_key;
    const char *owner;
    const char *error_name;
    const char *error_text;
    apr_time_t due_at;
} failure_t;

static apr_status_t write_failure(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "UPDATE lti_sync SET state = %lld, failures = failures + 1, error_name = %s, error_text = %s, due_at = %lld, "
        "lease_owner = NULL, lease_until = 0 WHERE course_key = %s";
    static const char number_it[] = "UPDATE lti_sync SET change_no = %lld WHERE course_key = %s";
    failure_t *failure = baton;
    standing_t standing;
    apr_int64_t state, number = 0;
    apr_time_t due_at;
    apr_status_t rv = lock_standing(&standing, db, failure->course_key, failure->owner, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    state = standing.succeeded_at != 0 ? LTI_ROSTER_FAILING : LTI_ROSTER_PENDING;
    due_at = lti_db_due_after(standing.due_at, standing.lease_since, failure->due_at);
    rv = lti_db_run(NULL, db, sql, LTI_DB_ARGS(&state, failure->error_name, failure->error_text, &due_at, failure->course_key),
                    ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_count_change(&number, db, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    return lti_db_run(NULL, db, number_it, LTI_DB_ARGS(&number, failure->course_key), ptemp, err);
}

/* The reason may quote the outside world, and a server refuses what is not UTF-8: then the reason would be lost, and the backoff
 * with it. */
const char *lti_db_presentable(const char *text, apr_pool_t *p)
{
    char *copy = apr_pstrdup(p, text ? text : ""), *c;

    if (strlen(copy) <= ERROR_TEXT_MAX && lti_json_is_clean(copy))
        return copy;
    for (c = copy; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    if (strlen(copy) > ERROR_TEXT_MAX)
        copy[ERROR_TEXT_MAX] = '\0';
    return copy;
}

apr_status_t lti_db_run_failed(lti_db_t *db, const char *course_key, const char *run_id, const char *owner, const char *error_name,
                               const char *error_text, apr_time_t due_at, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    failure_t failure = {.course_key = course_key,
                         .owner = owner,
                         .error_name = error_name,
                         .error_text = lti_db_presentable(error_text, ptemp),
                         .due_at = due_at};
    apr_status_t rv = lti_db_transaction(db, write_failure, &failure, ptemp, err);
    apr_status_t cleared = lti_db_unstage(db, run_id, ptemp, rv == APR_SUCCESS ? err : NULL);

    (void)now;
    return rv == APR_SUCCESS ? cleared : rv;
}
