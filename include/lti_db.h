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

/** After a fault of SQLite's file (read-only, no database, damaged): opens it anew, in case somebody has mended it. The new handle, which takes the place of the one that was wrapped and is closed
 * now; NULL if there was no such fault, or it cannot be opened. */
apr_dbd_t *lti_db_reopen(lti_db_t *db, apr_pool_t *ptemp);

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
    apr_int64_t event;     /* of the newest event */
} lti_numbers_t;
/** All of them, in one statement. */
apr_status_t lti_db_numbers(lti_numbers_t *numbers, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

typedef apr_status_t lti_db_course_fn(void *baton, const lti_course_t *course, lti_err_t *err);

/** Calls `fn` for each course whose change number is above `since` (0: all), in order of that number. */
apr_status_t lti_db_courses_changed(lti_db_t *db, apr_int64_t since, lti_db_course_fn *fn, void *baton, apr_pool_t *ptemp,
                                    lti_err_t *err);

/** The course is used: its roster was read by an application or a person (Invariant 4). Written at most once an hour; `used_at` is what was read of the course. */
apr_status_t lti_db_course_used(lti_db_t *db, const char *course_key, apr_time_t used_at, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

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

/** Where the platform tells what changed since the last roster (SPEC N-18); NULL: it does not, or a whole list is wanted next. */
typedef struct lti_differences_t {
    const char *url;
    apr_time_t full_at; /* first request of the last run that read the whole list */
} lti_differences_t;

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
    const apr_array_header_t *held_people; /* user ids (const char *) of the missing, when held; at most LTI_DB_HELD_MAX are kept. Not read if they are those of before */
    int acceptance_used;    /* they are held although somebody accepted, who did not mean so many */
    const char *error_name; /* why they are held (code and text), NULL if they are not */
    const char *error_text;
    apr_time_t due_at;
    apr_time_t stale_at;
    lti_differences_t differences; /* from now on */
} lti_apply_t;

typedef struct lti_applied_t {
    int joined, changed, left, returned;
    int active;          /* active members afterwards */
    apr_int64_t version; /* of the roster afterwards; unchanged if nothing changed */
} lti_applied_t;

/**
 * Applies a run in one transaction: members from staging, the missing, an event for each change, the course's standing, the change number as the last statement; releases
 * the lease. An unchanged roster writes no member row and no event. LTI_E_LEASE_LOST: nothing was written.
 */
apr_status_t lti_db_apply(lti_applied_t *applied, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp, lti_err_t *err);

/** How removals stand that are held since an earlier run. */
typedef struct lti_hold_t {
    int held;
    unsigned char digest[LTI_DIGEST_SIZE];
    apr_time_t since;
    int missing;  /* people who were, in the run that holds them */
    int accepted; /* an administrator accepts what is missing in the next run, if it is not more than that */
} lti_hold_t;

apr_status_t lti_db_hold_read(lti_hold_t *hold, lti_db_t *db, const char *course_key, apr_pool_t *ptemp, lti_err_t *err);

/** A run failed: keeps the reason, counts it, sets the next due time, releases the lease, removes what was staged. The roster stays. */
apr_status_t lti_db_run_failed(lti_db_t *db, const char *course_key, const char *run_id, const char *owner, const char *error_name,
                               const char *error_text, apr_time_t due_at, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** Removes what is past: nonces, launches and ended sessions that expired, staged rows of runs begun before `staged_before`, people who left and events that happened before
 * `left_before`; launches that people made 400 days ago; deployments that wait and were not seen for 30 days, nodes not for 7, launches of LTI 1.1 not for 90. */
apr_status_t lti_db_purge(lti_db_t *db, apr_time_t now, apr_time_t staged_before, apr_time_t left_before, apr_pool_t *ptemp,
                          lti_err_t *err);

/** The map of lti_groups as the groups service of a course said it last, NULL if it never did. */
apr_status_t lti_db_groups_read(const char **map, lti_db_t *db, const char *course_key, apr_pool_t *p, lti_err_t *err);
apr_status_t lti_db_groups_write(lti_db_t *db, const char *course_key, const char *map, apr_pool_t *ptemp, lti_err_t *err);

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

#define LTI_NODE_KEYS_FOR apr_time_from_sec(7 * 24 * 3600) /* a node that is down for the weekend comes back with the keys it had */

typedef apr_status_t lti_db_node_fn(void *baton, const char *node, const char *jwks, const char *fingerprint, apr_time_t seen_at,
                                    lti_err_t *err);
/** Nodes seen since `since`, the one seen last first. `fn` may not use the connection: nor in the two above. */
apr_status_t lti_db_nodes_each(lti_db_t *db, apr_time_t since, lti_db_node_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

#define LTI_DB_OLD_LAUNCHES_MAX 100

/** Somebody tried a launch of LTI 1.1, for the administrator to see. Nothing of it is proven: texts are cut, at most LTI_DB_OLD_LAUNCHES_MAX are remembered, and one
 * is written at most once a minute. The caller sees to it that floods do not come here. */
apr_status_t lti_db_old_launch_seen(lti_db_t *db, const char *consumer_key, const char *instance, const char *product,
                                    const char *context_title, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/* --- the change feed (written by lti_db_apply) ------------------------------------------------------------------------------ */

/** In the database; do not renumber. */
typedef enum lti_db_event_kind_t {
    LTI_DB_EVENT_JOINED = 1,  /* is active for the first time */
    LTI_DB_EVENT_ROLE = 2,    /* is active, as before, with other roles */
    LTI_DB_EVENT_DETAILS = 3, /* is active, as before; name, address, sourcedid, sections or groups differ */
    LTI_DB_EVENT_LEFT = 4,    /* was active: missing now, or inactive */
    LTI_DB_EVENT_RETURNED = 5 /* is active again */
} lti_db_event_kind_t;

/** "joined", "role changed", "details changed", "left", "returned". */
const char *lti_db_event_word(lti_db_event_kind_t kind);

/** Status and roles as they were then; names and addresses as they are now: NULL where the platform gave none, or where the person's row is purged. */
typedef struct lti_db_event_t {
    apr_int64_t number; /* from 1, in the order in which the changes became visible; none is left out */
    lti_db_event_kind_t kind;
    const char *course_key;
    const char *platform; /* name; NULL if the course was deleted */
    const char *user_id;
    lti_member_status_t status;
    const char *roles;
    apr_time_t happened_at; /* first request of the run that saw it */
    const char *name, *given_name, *family_name, *email, *sourcedid;
} lti_db_event_t;

typedef struct lti_db_event_bounds_t {
    apr_int64_t floor;  /* events up to this number may be purged */
    apr_int64_t newest; /* number of the last event; the floor if there is none above it */
} lti_db_event_bounds_t;

apr_status_t lti_db_event_bounds(lti_db_event_bounds_t *bounds, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/** `fn` may not use the connection; the texts hold until it returns. A status other than APR_SUCCESS ends the reading and is handed on. */
typedef apr_status_t lti_db_event_fn(void *baton, const lti_db_event_t *event, lti_err_t *err);

/**
 * Calls `fn` for events with numbers above `since`, of one course or (NULL) of all, in their order, at most `max`. `*bounds` is of the same moment: where `since` is below
 * its floor or above its newest, `fn` is not called.
 */
apr_status_t lti_db_events_each(lti_db_event_bounds_t *bounds, lti_db_t *db, apr_int64_t since, const char *course_key, int max,
                                lti_db_event_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

/** Calls `fn` for the courses in order of their keys, from behind `after` ("": the first), at most `max`. */
apr_status_t lti_db_courses_each(lti_db_t *db, const char *after, int max, lti_db_course_fn *fn, void *baton, apr_pool_t *ptemp,
                                 lti_err_t *err);

/* --- lists of what changed (the engine) ------------------------------------------------------------------------------------ */

/** Nothing is no error: url NULL. */
apr_status_t lti_db_differences_read(lti_differences_t *differences, lti_db_t *db, const char *course_key, apr_pool_t *p, lti_err_t *err);

/* --- what all nodes know of a platform (the engine) -------------------------------------------------------------------------- */

/** A course that is due, and whose. */
typedef struct lti_db_due_t {
    apr_time_t due_at;
    const char *course_key;
    const char *platform; /* name */
    int requested;        /* by "update now", since its last run began: does not wait for its platform's patience */
} lti_db_due_t;

#define LTI_DB_SKIP_MAX 8

/** Courses that are due at `now`, not leased by somebody, with a roster address, the longest due first: the next ones behind `after` (NULL: from the first), at most `max`; those of up to LTI_DB_SKIP_MAX platforms (names)
 * are left out. `due` holds lti_db_due_t. */
apr_status_t lti_db_due_each(apr_array_header_t **due, lti_db_t *db, apr_time_t now, const lti_db_due_t *after,
                             const apr_array_header_t *skip, int max, apr_pool_t *p, lti_err_t *err);

/** What a clock that was ahead has written: courses that are due after `latest` are due at once, leases of runs and tokens that last for more than an hour end. No course is
 * forgotten for as long as that clock was ahead. */
apr_status_t lti_db_recall(lti_db_t *db, apr_time_t now, apr_time_t latest, apr_pool_t *ptemp, lti_err_t *err);

/** A course that nobody runs is put off: its platform asks for patience, which `error_name` and `error_text` say. No failure is counted, its state stays. */
apr_status_t lti_db_course_put_off(lti_db_t *db, const char *course_key, const char *error_name, const char *error_text,
                                   apr_time_t due_at, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** The same of one that runs: releases the lease, removes what was staged. */
apr_status_t lti_db_run_put_off(lti_db_t *db, const char *course_key, const char *run_id, const char *owner, const char *error_name,
                                const char *error_text, apr_time_t due_at, apr_pool_t *ptemp, lti_err_t *err);

/** A platform is not to be asked until `until`; a pause that lasts longer is left alone. */
apr_status_t lti_db_pause_write(lti_db_t *db, const char *platform, apr_time_t until, const char *error_name, const char *error_text,
                                apr_pool_t *ptemp, lti_err_t *err);

typedef apr_status_t lti_db_pause_fn(void *baton, const char *platform, apr_time_t until, const char *error_name,
                                     const char *error_text);
/** Calls `fn` for the platforms that are paused at `now`. */
apr_status_t lti_db_pauses_each(lti_db_t *db, apr_time_t now, lti_db_pause_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

typedef struct lti_db_token_t {
    const char *sealed; /* NULL: there is none, or it has expired */
    apr_time_t expires_at;
    int leased; /* somebody else is asking for a new one */
} lti_db_token_t;

/** What is stored under a key (64 characters at most). No row: all of it is NULL or 0. */
apr_status_t lti_db_token_read(lti_db_token_t *token, lti_db_t *db, const char *token_key, const char *owner, apr_time_t now,
                               apr_pool_t *p, lti_err_t *err);

/** Takes the lease, so that only `owner` asks for the token until `until`. APR_EBUSY (err not filled) if another holds it. */
apr_status_t lti_db_token_lease(lti_db_t *db, const char *token_key, const char *owner, apr_time_t now, apr_time_t until,
                                apr_pool_t *ptemp, lti_err_t *err);

/** Stores a new one and releases the lease; whoever held it, the newest token counts. */
apr_status_t lti_db_token_write(lti_db_t *db, const char *token_key, const char *sealed, apr_time_t expires_at, apr_pool_t *ptemp,
                                lti_err_t *err);

/** None came: others may ask. */
apr_status_t lti_db_token_release(lti_db_t *db, const char *token_key, const char *owner, apr_pool_t *ptemp, lti_err_t *err);

/** The platform refuses this one; a newer one stays. */
apr_status_t lti_db_token_forget(lti_db_t *db, const char *token_key, const char *sealed, apr_pool_t *ptemp, lti_err_t *err);

/* --- courses named beforehand (the engine) ----------------------------------------------------------------------------------- */

/**
 * The configuration names a course (LTICourse), with the address of its roster; launched_at is 0. Creates it, due `now`, if there is none. Otherwise an address that a launch
 * told stays; another one than the configuration gave before is written, and makes it due. Writes nothing when nothing differs.
 */
apr_status_t lti_db_course_named(lti_db_t *db, const lti_course_t *course, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/* --- the history of runs ------------------------------------------------------------------------------------------------------ */

/** What became of a run. */
typedef struct lti_db_run_t {
    const char *course_key;
    const char *run_id;
    const char *node;
    apr_time_t started_at;
    apr_time_t ended_at; /* 0: it goes on */
    apr_int64_t pages, members;
    apr_int64_t joined, changed, departed, returned, missing;
    const char *error_name; /* NULL: all went well */
    const char *error_text;
    apr_int64_t repeats; /* earlier runs right before it that ended the same uneventful way */
} lti_db_run_t;

/** Writes how far a run has come, or how it ended: then it joins the row of the run before if both say the same, and only the course's newest 50 rows are kept. */
apr_status_t lti_db_run_write(lti_db_t *db, const lti_db_run_t *run, apr_pool_t *ptemp, lti_err_t *err);

typedef apr_status_t lti_db_run_fn(void *baton, const lti_db_run_t *run);
/** Calls `fn` for the newest runs of a course, the newest first; texts live in `p`. */
apr_status_t lti_db_runs_each(lti_db_t *db, const char *course_key, int max, lti_db_run_fn *fn, void *baton, apr_pool_t *p,
                              lti_err_t *err);

/* --- an examination (lti_db_doctor.c) ------------------------------------------------------------------------------------------- */

/** The course of the platform that was launched last, or else one that was named beforehand. APR_NOTFOUND (err not filled): there is none. */
apr_status_t lti_db_course_launched_last(lti_course_t **course, lti_db_t *db, const char *platform, apr_pool_t *p, lti_err_t *err);

/* --- rosters that stopped (lti_db_stale.c) ---------------------------------------------------------------------------------------- */

/**
 * Courses whose rosters turned stale after `since` and up to `until`: `*count` of them, and `fn` for the first `max` (0: none; `fn` may be NULL), the longest first. Of the course are known: key, platform,
 * context_id, title, succeeded_at, stale_at, failures, error_name, error_text; its texts hold until `fn` returns, which may not use the connection.
 */
apr_status_t lti_db_stale_each(int *count, lti_db_t *db, apr_time_t since, apr_time_t until, int max, lti_db_course_fn *fn, void *baton,
                               apr_pool_t *ptemp, lti_err_t *err);

/* --- what an administrator is shown ------------------------------------------------------------------------------------------- */

/** A launch: who opened the tool, and when. */
typedef struct lti_db_visit_t {
    const char *course_key; /* "": of no course */
    const char *platform;   /* name */
    const char *user_id;    /* "": of nobody who has a name */
    apr_time_t launched_at;
} lti_db_visit_t;

/**
 * Remembers launches (an array of lti_db_visit_t): the time of a person's first one in a course and, to ten minutes, that of the last; of a platform, to a minute, the last one of all. Writes nothing
 * when nothing of that is news.
 */
apr_status_t lti_db_visits_write(lti_db_t *db, const apr_array_header_t *visits, apr_pool_t *ptemp, lti_err_t *err);

typedef struct lti_db_visitors_t {
    int people; /* different people who ever launched, as far as that is remembered */
    int recent; /* since `since` */
} lti_db_visitors_t;
apr_status_t lti_db_visits_count(lti_db_visitors_t *visitors, lti_db_t *db, const char *course_key, apr_time_t since,
                                 apr_pool_t *ptemp, lti_err_t *err);

/** The roster of a course held against its launches. */
typedef struct lti_db_match_t {
    int launched;  /* active members who launched */
    int outsiders; /* people who launched between the two times, and are nobody whom the roster names or named */
    int suspect;   /* lti_sync.suspect, as it is stored */
} lti_db_match_t;

/** `before` is the first request of the last good run: whoever launched after it may not be on the roster yet. `since` lies no further back than LTIRetain: whoever left before that is forgotten. APR_NOTFOUND:
 * no such course. */
apr_status_t lti_db_visits_match(lti_db_match_t *match, lti_db_t *db, const char *course_key, apr_time_t since, apr_time_t before,
                                 apr_pool_t *ptemp, lti_err_t *err);

/** Is the roster smaller than its launches? What the engine found out after a run. */
apr_status_t lti_db_suspect_write(lti_db_t *db, const char *course_key, int suspect, apr_pool_t *ptemp, lti_err_t *err);

/** `launched_at` is 0 for who never launched. The texts hold until it returns; `fn` may not use the connection. */
typedef apr_status_t lti_db_person_fn(void *baton, const lti_member_t *member, apr_time_t launched_at, lti_err_t *err);
/** The people of a course, those who left too, in order of user ids from behind `after` (""), at most `max` (1 to 1,000), each with the last launch. */
apr_status_t lti_db_people_each(lti_db_t *db, const char *course_key, const char *after, int max, lti_db_person_fn *fn, void *baton,
                                apr_pool_t *ptemp, lti_err_t *err);

/** What is known of a platform. Times are 0 where it never happened, texts NULL. */
typedef struct lti_db_platform_t {
    const char *platform; /* name */
    apr_time_t launched_at;
    apr_time_t token_at; /* an access token was given */
    const char *scopes;  /* granted, separated by blanks */
    apr_time_t error_at; /* no token was given since, for this reason: */
    const char *error_name;
    const char *error_text;
    apr_interval_time_t clock_offset; /* positive: the platform is ahead */
    apr_time_t clock_at;              /* when it was measured; 0: never */
} lti_db_platform_t;

/** No row is no error: times are 0 and texts NULL then. */
apr_status_t lti_db_platform_read(lti_db_platform_t *facts, lti_db_t *db, const char *platform, apr_pool_t *p, lti_err_t *err);

typedef apr_status_t lti_db_platform_fn(void *baton, const lti_db_platform_t *facts, lti_err_t *err);
/** In order of names; texts live in `p`. */
apr_status_t lti_db_platforms_each(lti_db_t *db, lti_db_platform_fn *fn, void *baton, apr_pool_t *p, lti_err_t *err);

/* The engine tells of a platform. Each writes when something differs from what is stored, else at most every ten minutes. */

/** A token for `scope` was given, with the scopes `granted`: its error, if there was one, is over. */
apr_status_t lti_db_platform_token(lti_db_t *db, const char *platform, const char *scope, const char *granted, apr_time_t now,
                                   apr_pool_t *ptemp, lti_err_t *err);
/** None was given. `scope` is not granted any more where it is not NULL. `error_name` is NULL where that is all there is to say. */
apr_status_t lti_db_platform_refused(lti_db_t *db, const char *platform, const char *scope, const char *error_name,
                                     const char *error_text, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);
/** Its clock was seen. */
apr_status_t lti_db_platform_clock(lti_db_t *db, const char *platform, apr_interval_time_t offset, apr_time_t now, apr_pool_t *ptemp,
                                   lti_err_t *err);

/**
 * The engine begins with a platform that is configured so: `ways` is a digest of how it is reached, `names` one of what its rosters are asked for, 16 characters each. Where nodes or generations before had other ways,
 * its failing courses are due `now`; where they had other names, all of its courses are. `*due` counts them.
 */
apr_status_t lti_db_platform_configured(int *due, lti_db_t *db, const char *platform, const char *ways, const char *names,
                                        apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

#define LTI_DB_HELD_MAX 1000

/** Whom a held run would remove, in order of user ids, at most LTI_DB_HELD_MAX; lti_hold_t.missing says how many there are. `fn` may not use the connection. */
apr_status_t lti_db_held_each(lti_db_t *db, const char *course_key, lti_db_member_fn *fn, void *baton, apr_pool_t *ptemp,
                              lti_err_t *err);

/** An administrator accepts that those who are held are gone: the course is due at once. `missing` is how many were shown, 0: however many there are. APR_NOTFOUND: nothing is held, or not so many. */
apr_status_t lti_db_hold_accept(lti_db_t *db, const char *course_key, int missing, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/* --- metrics (lti_db_oldest.c) ---------------------------------------------------------------------------------------------------- */

/** When the roster succeeded that will turn stale next of those that are not; 0: there is none. Costs the same with any number of courses. */
apr_status_t lti_db_oldest_roster(apr_time_t *succeeded_at, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/* --- lists and counts for a page (lti_db_overview.c) ------------------------------------------------------------------------------- */

typedef struct lti_db_tally_t {
    apr_int64_t courses, people;
    apr_int64_t states[LTI_ROSTER_UNAVAILABLE + 1]; /* by lti_roster_state_t, stale ones apart */
    apr_int64_t due;      /* their time has come */
    apr_int64_t waiting;  /* deployments that nobody decided about */
    apr_int64_t suspects; /* rosters that may be smaller than they should be */
} lti_db_tally_t;
apr_status_t lti_db_tally(lti_db_tally_t *tally, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

typedef void lti_db_waiting_fn(void *baton, const char *platform, apr_int64_t count);
/** How many deployments of which platforms wait for a decision. `fn` may not use the connection. */
apr_status_t lti_db_waiting_each(lti_db_t *db, lti_db_waiting_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

/** `known`: as in lti_db_search_t. */
apr_status_t lti_db_platform_courses(apr_int64_t *count, lti_db_t *db, const char *platform, const apr_int64_t *known, apr_pool_t *ptemp, lti_err_t *err);

typedef void lti_db_roles_fn(void *baton, const char *roles, apr_int64_t count);
/** How many active members of a course have which list of roles. `fn` may not use the connection. */
apr_status_t lti_db_roles_each(lti_db_t *db, const char *course_key, lti_db_roles_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err);

/** A course and what else a diagnosis needs of it. */
typedef struct lti_db_standing_t {
    lti_course_t course; /* its state as stored: LTI_ROSTER_STALE is computed */
    int suspect;
    int held_missing;
    apr_time_t held_since; /* 0: nothing is held */
    int held_accepted;
} lti_db_standing_t;
/** APR_NOTFOUND: no such course. */
apr_status_t lti_db_standing_read(lti_db_standing_t **standing, lti_db_t *db, const char *course_key, apr_pool_t *p, lti_err_t *err);

typedef enum lti_db_trouble_t {
    LTI_DB_TROUBLE_STALE,
    LTI_DB_TROUBLE_FAILING,
    LTI_DB_TROUBLE_HELD,
    LTI_DB_TROUBLE_WITHOUT, /* launches offer no roster service */
    LTI_DB_TROUBLE_SUSPECT,
    LTI_DB_TROUBLE_EMPTY,
    LTI_DB_TROUBLES
} lti_db_trouble_t;
/** Up to `max` courses with a trouble of that kind, as lti_db_standing_t; over an index. `shown`: as in lti_db_search_t. */
apr_status_t lti_db_troubled(apr_array_header_t **standings, lti_db_t *db, lti_db_trouble_t trouble, const apr_array_header_t *shown, apr_time_t now,
                             int max, apr_pool_t *p, lti_err_t *err);

#define LTI_DB_SHOWN_MAX 8

/** Which courses, and in which order. */
typedef struct lti_db_search_t {
    const char *search;   /* part of title, label or context id, or the key; NULL: all */
    const char *platform; /* name; NULL: all of `shown` */
    const apr_array_header_t *shown; /* names (const char *); NULL or more than LTI_DB_SHOWN_MAX: all that there are */
    int state;            /* lti_roster_state_t with LTI_ROSTER_STALE as it is shown; -1: all */
    enum { LTI_DB_BY_NAME, LTI_DB_BY_PEOPLE, LTI_DB_BY_SUCCESS, LTI_DB_BY_NEXT, LTI_DB_BY_FAILURES } order;
    int backwards;
    int offset, limit;
    const apr_int64_t *known; /* how many courses there are, not to be counted again; NULL or -1: nobody knows */
} lti_db_search_t;
/** `*standings` holds lti_db_standing_t; `*total` is how many there are of all pages. */
apr_status_t lti_db_courses_find(apr_array_header_t **standings, apr_int64_t *total, lti_db_t *db, const lti_db_search_t *search, apr_time_t now,
                                 apr_pool_t *p, lti_err_t *err);

/** The newest events of a course, the newest first, as lti_db_event_t with number, kind, user_id, status and happened_at. */
apr_status_t lti_db_events_newest(apr_array_header_t **events, lti_db_t *db, const char *course_key, int max, apr_pool_t *p, lti_err_t *err);

/** A launch of LTI 1.1 that somebody tried; nothing of it is proven. */
typedef struct lti_db_old_launch_t {
    const char *consumer_key, *instance, *product, *context_title;
    apr_time_t seen_at;
} lti_db_old_launch_t;
/** The last one first, as lti_db_old_launch_t. */
apr_status_t lti_db_old_launches(apr_array_header_t **launches, lti_db_t *db, apr_pool_t *p, lti_err_t *err);

#endif
