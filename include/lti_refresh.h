/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_refresh: the engine that keeps rosters right. One turn looks for courses that are due, takes their leases, moves the transfers of all runs on,
 * applies what came whole, records what failed, and publishes in shared memory what this or another node changed.
 *
 *   due -> lease -> digests -> [token] -> page, page, ... -> (second walk) -> apply -> publish
 *                                 |          |                                   |
 *                                 +----------+---------------- failed: reason, backoff, old roster stays
 *
 * A run belongs to one course. Several runs go on at once (`concurrency`), all on the one thread that calls lti_refresh_turn(): the watch thread of the
 * writer process. Database connections are borrowed from `store` for the length of one step and never while the network is waited for. A process that dies leaves a
 * lease that ends by time, and staged rows that the purge removes.
 */
#ifndef LTI_REFRESH_H
#define LTI_REFRESH_H

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_time.h>
#include "lti_admission.h"
#include "lti_bell.h"
#include "lti_crypto.h"
#include "lti_db.h"
#include "lti_err.h"
#include "lti_http.h"
#include "lti_keys.h"
#include "lti_meter.h"
#include "lti_platform.h"
#include "lti_snapshot.h"

/** Where connections come from: mod_dbd in httpd, a file in tests. */
typedef struct lti_store_t {
    /** A connection for a while, or NULL: not yet, or not now (err tells). */
    lti_db_t *(*acquire)(void *baton, lti_err_t *err);
    void (*release)(void *baton, lti_db_t *db);
    void *baton;
} lti_store_t;

typedef enum lti_event_kind_t {
    LTI_EVENT_RUN_DONE,    /* applied: `applied` tells what changed */
    LTI_EVENT_RUN_FAILED,  /* `err` tells why */
    LTI_EVENT_RUN_HELD,    /* applied but for removals */
    LTI_EVENT_SNAPSHOT_FULL, /* `err` tells what to set */
    LTI_EVENT_SNAPSHOT_FILLING, /* four fifths are taken: `err` tells what to set; once until it is less again */
    LTI_EVENT_ADMISSION_FULL,  /* `err` tells how many deployments and ended sessions have no place of their own; once until all have */
    LTI_EVENT_SECRET_DIFFERS,  /* `err` names a node that serves now with another secret; once until there is none */
    LTI_EVENT_STORE_DOWN,  /* the database does not answer; once until it does again */
    LTI_EVENT_STORE_UP,
    LTI_EVENT_PLATFORM_PAUSED, /* `err` names it and tells why its courses wait */
    LTI_EVENT_COURSE_STALE,    /* of `course`, once: its roster has not been refreshed for too long */
    LTI_EVENT_COURSES_STALE    /* `members` of them are not named one by one: too many at once, or so since before this process began */
} lti_event_kind_t;

/** What the edge logs and counts. */
typedef struct lti_event_t {
    lti_event_kind_t kind;
    const lti_course_t *course; /* NULL for those that are not of a run */
    const lti_applied_t *applied;
    const lti_err_t *err;
    const char *remarks; /* what was odd about the list, NULL if nothing was or the run failed */
    int pages, members, missing;
    apr_interval_time_t duration;
    apr_time_t due_at; /* next try */
} lti_event_t;

typedef struct lti_refresh_options_t {
    const apr_array_header_t *platforms; /* of const lti_platform_t * */
    const lti_toolkeys_t *toolkeys;
    lti_snapshot_t *snapshot;
    lti_admission_t *admission; /* NULL: nobody asks it */
    lti_bell_t *bell;           /* rung with the number of the newest event; NULL: nobody waits */
    lti_keycache_t *keycache;   /* takes the keys of all nodes; NULL: nobody serves them */
    lti_meter_t *meter;         /* counts runs, and what is fetched for them; NULL: nobody asks */
    const char *node_name;      /* of this httpd, over restarts; NULL: it is not told of */
    const lti_sealer_t *sealer; /* of access tokens in the database, which all nodes share; NULL: this process has its own */
    const char *fingerprint;    /* of the secrets, separated by blanks, the sealing one first; with node_name */
    lti_transport_t transport;
    lti_store_t store;
    apr_time_t (*now)(void);
    int (*stopping)(void *baton);  /* polled between steps */
    int (*kicked)(void *baton);    /* 1 once after a launch or "update now" of this node: look at the due list at once */
    void (*on_event)(void *baton, const lti_event_t *event);
    /** 1 if the service URL's host may be a private address for this platform (Invariant 7). */
    int (*admits_private)(void *baton, const lti_platform_t *platform, const char *url);
    void *baton;
    const char *ways; /* what else of the configuration decides whether platforms are reached (proxy, CA file, hosts), as one text; NULL: nothing */
    const char *node; /* unique for this process: owner of leases */
    apr_hash_t *named; /* courses named beforehand (LTICourse): key -> const lti_course_t *; NULL: none */
    int enabled; /* LTISync */
    apr_interval_time_t interval, stall, stale_after_min, retain, dormant_after;
    int stale_after_intervals;
    int concurrency;
    int drop_guard_percent;
    unsigned role_options;
} lti_refresh_options_t;

typedef struct lti_refresh_t lti_refresh_t;

/** Watch thread, at its first tick. Becomes the snapshot's writer. `options` is copied; what it points to lives longer than the engine. Lives in `p`. */
apr_status_t lti_refresh_create(lti_refresh_t **engine, const lti_refresh_options_t *options, apr_pool_t *p, lti_err_t *err);

/**
 * One turn: at most `wait` of waiting for the network. Returns the number of runs going on. Faults of one course never end the turn: they are events.
 */
int lti_refresh_turn(lti_refresh_t *engine, apr_interval_time_t wait);

/** Abandons all runs and gives their leases back, so that the next process need not wait for their end. At most a few short statements; the network is not
 * waited for. The engine is of no use afterwards. */
void lti_refresh_stop(lti_refresh_t *engine);

/** Everything published in the snapshot as the database had it at the last look? (First load done.) */
int lti_refresh_is_loaded(const lti_refresh_t *engine);

#endif
