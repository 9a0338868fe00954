/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_db: every SQL statement of the house, over a given apr_dbd connection: SQLite, PostgreSQL, MariaDB. docs/database.md describes the tables.
 *
 * A connection is used by one thread at a time and given back before the network is waited for. Nothing here leaves a transaction open: each
 * function that needs one begins and ends it. Statements are prepared at first use and kept with the connection; a statement that a driver lost
 * (reconnect, schema change) is prepared again. Times are microseconds (apr_time_t) in BIGINT columns. Results are copied into the pool given.
 *
 * Return values: APR_SUCCESS; APR_NOTFOUND without filling `err` where that is a normal answer; else LTI_E_STORE or LTI_E_STORE_BUSY with the
 * driver's text.
 */
#ifndef LTI_DB_H
#define LTI_DB_H

#include <apr_dbd.h>
#include <apr_pools.h>
#include <apr_time.h>
#include "lti_err.h"
#include "lti_platform.h"
#include "lti_roster.h"

typedef struct lti_db_t lti_db_t;

/** Wraps a connection; `pool` lives exactly as long as the connection (ap_dbd_t's pool), so that prepared statements stay with it. Calling it
 * again for the same `pool` gives the same object. */
apr_status_t lti_db_wrap(lti_db_t **db, const apr_dbd_driver_t *driver, apr_dbd_t *handle, apr_pool_t *pool, lti_err_t *err);

/** From now on a busy database is given up as soon as stopping(baton) says so, instead of being tried for five seconds: for a process that has to end.
 * With NULL everything is as before. */
void lti_db_hurry(lti_db_t *db, int (*stopping)(void *baton), void *baton);

/** Creates or upgrades the tables (additive, idempotent). LTI_E_SCHEMA_NEWER for a schema of a later release. Safe when several nodes do it
 * at once. On SQLite it also switches to WAL and synchronous=NORMAL. */
apr_status_t lti_schema_ensure(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/* --- launches (request threads) -------------------------------------------------------------------------------------- */

/** Consumes a nonce: LTI_E_NONCE_USED if it is there already. Waits for a busy database up to 5 s. */
apr_status_t lti_db_nonce_redeem(lti_db_t *db, const char *nonce_key, apr_time_t expires_at, apr_pool_t *ptemp, lti_err_t *err);

/**
 * A launch tells of a course: creates it, or updates what changed (label, title, type, roster address), wakes a dormant one, and makes it due
 * at `due_at` if it has a roster address and is due later than that. Writes nothing when nothing changed. `launched_at` is written when it is older by
 * more than a minute.
 */
apr_status_t lti_db_course_launched(lti_db_t *db, const lti_course_t *course, apr_time_t due_at, apr_pool_t *ptemp, lti_err_t *err);

/** The same for whoever has just read the course, and need not read it twice: `known` is what lti_db_course_read() gave, NULL if there was none. */
apr_status_t lti_db_course_launched_known(lti_db_t *db, const lti_course_t *course, const lti_course_t *known, apr_time_t due_at,
                                          apr_pool_t *ptemp, lti_err_t *err);

/** Keeps what did not fit into a session cookie. */
apr_status_t lti_db_launch_write(lti_db_t *db, const char *launch_id, const char *course_key, const char *user_id,
                                 const char *surplus, apr_time_t expires_at, apr_pool_t *ptemp, lti_err_t *err);

/** APR_NOTFOUND: no such launch. */
apr_status_t lti_db_launch_read(const char **surplus, lti_db_t *db, const char *launch_id, apr_pool_t *p, lti_err_t *err);

/* --- reading (any thread) --------------------------------------------------------------------------------------------- */

/** APR_NOTFOUND: never launched. */
apr_status_t lti_db_course_read(lti_course_t **course, lti_db_t *db, const char *course_key, apr_pool_t *p, lti_err_t *err);

/** APR_NOTFOUND: not on the roster, never was. */
apr_status_t lti_db_member_read(lti_member_t **member, lti_db_t *db, const char *course_key, const char *user_id, apr_pool_t *p,
                                lti_err_t *err);

/** Keys (const char *) of courses whose platform and context id are these: more than one where deployments share an id. */
apr_status_t lti_db_courses_by_context(apr_array_header_t **keys, lti_db_t *db, const char *context_id, apr_pool_t *p,
                                       lti_err_t *err);

typedef apr_status_t lti_db_member_fn(void *baton, const lti_member_t *member, lti_err_t *err);

/** Calls `fn` for the members of a course in order of user id, from after `after` ("" = from the start), at most `max` (0 = all). With `active_only` the
 * active and inactive ones, else also those who left. Read in keyset pages of 1,000. */
apr_status_t lti_db_members_each(lti_db_t *db, const char *course_key, const char *after, int max, int active_only,
                                 lti_db_member_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

/* --- the engine (watch thread) ------------------------------------------------------------------------------------------ */

/** The number of the last change of anything that is published in shared memory. */
apr_status_t lti_db_change_number(apr_int64_t *number, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/** What is looked at each second. */
typedef struct lti_numbers_t {
    apr_int64_t change;    /* as lti_db_change_number() */
    apr_int64_t admission; /* as lti_db_admission_number() */
} lti_numbers_t;
/** Both, in one statement. */
apr_status_t lti_db_numbers(lti_numbers_t *numbers, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

typedef apr_status_t lti_db_course_fn(void *baton, const lti_course_t *course, lti_err_t *err);

/** Calls `fn` for each course whose change number is above `since` (0: all), in order of that number. */
apr_status_t lti_db_courses_changed(lti_db_t *db, apr_int64_t since, lti_db_course_fn *fn, void *baton, apr_pool_t *ptemp,
                                    lti_err_t *err);

/** Keys of courses that are due at `now`, not leased by somebody, with a roster address; the longest due first. */
apr_status_t lti_db_courses_due(apr_array_header_t **keys, lti_db_t *db, apr_time_t now, int max, apr_pool_t *p, lti_err_t *err);

/** Somebody presses "update now": due at once, whatever the backoff. APR_NOTFOUND. */
apr_status_t lti_db_course_request(lti_db_t *db, const char *course_key, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** Takes the lease of a course until `until`. APR_EBUSY (err not filled) if another holds it. */
apr_status_t lti_db_lease_take(lti_db_t *db, const char *course_key, const char *owner, apr_time_t now, apr_time_t until,
                               apr_pool_t *ptemp, lti_err_t *err);

/** Extends it. LTI_E_LEASE_LOST if it is somebody else's now. */
apr_status_t lti_db_lease_renew(lti_db_t *db, const char *course_key, const char *owner, apr_time_t until, apr_pool_t *ptemp,
                                lti_err_t *err);

/** Gives it back before a run is over, with what was staged: the course stays due, for whoever comes next. Not ours any more: nothing happens. */
apr_status_t lti_db_lease_release(lti_db_t *db, const char *course_key, const char *run_id, const char *owner, apr_pool_t *ptemp,
                                  lti_err_t *err);

typedef apr_status_t lti_db_digest_fn(void *baton, const char *user_id, const unsigned char digest[LTI_DIGEST_SIZE],
                                      lti_member_status_t status);

/** What lti_diff_known() needs, for all members of a course. */
apr_status_t lti_db_digests_each(lti_db_t *db, const char *course_key, lti_db_digest_fn *fn, void *baton, apr_pool_t *ptemp,
                                 lti_err_t *err);

/** Writes staged members of a run (rows of the same user id are replaced), in one transaction. `members` holds lti_member_t *. */
apr_status_t lti_db_stage(lti_db_t *db, const char *run_id, const char *course_key, const apr_array_header_t *members,
                          apr_pool_t *ptemp, lti_err_t *err);

/** How a run ended well, and what to apply. */
typedef struct lti_apply_t {
    const char *run_id;
    const char *course_key;
    const char *owner;       /* the lease's: applied only if it is still ours */
    apr_int64_t version;     /* the roster's version when the run read the digests: another one since means the lease was lost */
    apr_time_t requested_at; /* first request of the run: the time of the evidence (Invariant 3) */
    apr_time_t now;
    const apr_array_header_t *missing; /* user ids (const char *) to mark as left; NULL: removals are held, or there are none */
    int staged;                        /* rows staged; 0: the staging table is not read */
    lti_roster_state_t state;          /* LTI_ROSTER_CURRENT or LTI_ROSTER_HELD */
    const unsigned char *held_digest;  /* of the missing, when held; NULL clears the hold */
    int held_missing;
    const char *error_name; /* why they are held (code and text), NULL if they are not */
    const char *error_text;
    apr_time_t due_at;
    apr_time_t stale_at;
} lti_apply_t;

typedef struct lti_applied_t {
    int joined, changed, left, returned;
    int active;          /* active members afterwards */
    apr_int64_t version; /* of the roster afterwards; unchanged if nothing changed */
} lti_applied_t;

/**
 * Applies a run in one transaction: members from staging, the missing, the course's standing, the change number as the last statement; releases the lease.
 * An unchanged roster writes no member row. LTI_E_LEASE_LOST: nothing was written.
 */
apr_status_t lti_db_apply(lti_applied_t *applied, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp, lti_err_t *err);

/** How removals stand that are held since an earlier run. */
typedef struct lti_hold_t {
    int held;
    unsigned char digest[LTI_DIGEST_SIZE];
    apr_time_t since;
    int accepted; /* an administrator accepts what is missing in the next run */
} lti_hold_t;

apr_status_t lti_db_hold_read(lti_hold_t *hold, lti_db_t *db, const char *course_key, apr_pool_t *ptemp, lti_err_t *err);

/** A run failed: keeps the reason, counts it, sets the next due time, releases the lease, removes what was staged. The roster stays. */
apr_status_t lti_db_run_failed(lti_db_t *db, const char *course_key, const char *run_id, const char *owner, const char *error_name,
                               const char *error_text, apr_time_t due_at, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** Removes what is past: nonces, launches and ended sessions that expired, staged rows of runs begun before `staged_before`, people who left before
 * `left_before`; deployments that wait and were not seen for 30 days, nodes not for 7, launches of LTI 1.1 not for 90. */
apr_status_t lti_db_purge(lti_db_t *db, apr_time_t now, apr_time_t staged_before, apr_time_t left_before, apr_pool_t *ptemp,
                          lti_err_t *err);

/* --- who may (request threads, the engine) ------------------------------------------------------------------------------- */

#define LTI_DB_WAITING_MAX 100 /* deployments that wait, all platforms together */

/** The number that moves with every change of deployments, ended sessions and nodes' keys; the last thing before their transaction ends. */
apr_status_t lti_db_admission_number(apr_int64_t *number, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/**
 * A valid launch of a deployment under `ask` came: remembers it as waiting if it is new and fewer than LTI_DB_WAITING_MAX wait; writes that it was seen again at
 * most once a minute. `*status` is what counts now (LTI_DEPLOYMENT_UNSEEN: not even remembered).
 */
apr_status_t lti_db_deployment_seen(lti_deployment_status_t *status, lti_db_t *db, const char *platform, const char *deployment_id,
                                    const char *context_title, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** An administrator accepts or withdraws (then its sessions up to `now` are over). A deployment that was never seen is made. */
apr_status_t lti_db_deployment_decide(lti_db_t *db, const char *platform, const char *deployment_id, lti_deployment_status_t status,
                                      apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** Ends the sessions of launches up to `now`: exactly one of user_id (with or without course_key), course_key, deployment_id names whose; NULL the others. Kept until
 * `expires_at`, when no session of before can live. Rows that were written by hand may name more of them, or none: then sessions that have all of it are over. */
apr_status_t lti_db_sessions_end(lti_db_t *db, const char *platform, const char *user_id, const char *course_key,
                                 const char *deployment_id, apr_time_t now, apr_time_t expires_at, apr_pool_t *ptemp,
                                 lti_err_t *err);

typedef apr_status_t lti_db_deployment_fn(void *baton, const char *platform, const char *deployment_id,
                                          lti_deployment_status_t status, apr_time_t ended_at, apr_time_t first_seen_at,
                                          apr_time_t seen_at, const char *context_title, lti_err_t *err);
apr_status_t lti_db_deployments_each(lti_db_t *db, lti_db_deployment_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

/** Exact up to LTI_DB_ENDED_MAX, the newest first; older ones come widened to their platforms (with none of the three named). */
#define LTI_DB_ENDED_MAX 20000
typedef apr_status_t lti_db_ended_fn(void *baton, const char *platform, const char *user_id, const char *course_key,
                                     const char *deployment_id, apr_time_t ended_at, lti_err_t *err);
apr_status_t lti_db_ended_each(lti_db_t *db, lti_db_ended_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

/** The answer of the room lti_admission, from the database: for requests that meet a table not filled yet. */
apr_status_t lti_db_admission_read(lti_deployment_status_t *status, apr_time_t *ended_at, lti_db_t *db, const char *platform,
                                   const char *deployment_id, const char *course_key, const char *user_id, apr_pool_t *ptemp,
                                   lti_err_t *err);

/** A node tells of itself: its public keys (a JWK set) and the fingerprint of its secret. Written when something differs, else at most once a minute. */
apr_status_t lti_db_node_write(lti_db_t *db, const char *node, const char *jwks, const char *fingerprint, apr_time_t now,
                               apr_pool_t *ptemp, lti_err_t *err);

typedef apr_status_t lti_db_node_fn(void *baton, const char *node, const char *jwks, const char *fingerprint, apr_time_t seen_at,
                                    lti_err_t *err);
/** Nodes seen since `since`, the one seen last first. `fn` may not use the connection: nor in the two above. */
apr_status_t lti_db_nodes_each(lti_db_t *db, apr_time_t since, lti_db_node_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

#define LTI_DB_OLD_LAUNCHES_MAX 100

/** Somebody tried a launch of LTI 1.1, for the administrator to see. Nothing of it is proven: texts are cut, at most LTI_DB_OLD_LAUNCHES_MAX are remembered, and one
 * is written at most once a minute. The caller sees to it that floods do not come here. */
apr_status_t lti_db_old_launch_seen(lti_db_t *db, const char *consumer_key, const char *instance, const char *product,
                                    const char *context_title, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

#endif
