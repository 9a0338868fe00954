/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_overview: what an administrator is shown, as JSON: health, what is wrong first, platforms, courses, one course, its people. The status page, its JSON and the
 * command line show these very objects, so that they can never differ. Each course and platform carries its diagnosis.
 *
 * Reads the database over the connection given, and shared memory. Texts are as they came from outside: whoever writes them into a page escapes them. Times are
 * texts like 2026-01-31T08:00:00Z, null where it never happened; ages and offsets are seconds. Names of people stand in what lti_overview_people() and
 * lti_overview_held() give, and nowhere else. Request threads; objects are owned by `p`.
 *
 * The cost of a page does not grow with the courses: what is counted is counted over narrow indexes, what is listed is bounded.
 */
#ifndef LTI_OVERVIEW_H
#define LTI_OVERVIEW_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <jansson.h>
#include "lti_db.h"
#include "lti_err.h"
#include "lti_keys.h"
#include "lti_platform.h"
#include "lti_snapshot.h"

#define LTI_OVERVIEW_PROBLEMS_MAX 50
#define LTI_OVERVIEW_PAGE_MAX 200 /* courses or people of one answer */

/** What the answers are made from. */
typedef struct lti_overview_t {
    lti_db_t *db;
    const apr_array_header_t *platforms; /* of const lti_platform_t *: those that this page may show; courses of others are left out, but for the counts of lti_overview_health() */
    const lti_snapshot_t *snapshot;
    lti_keycache_t *keycache;
    const char *base_url;  /* with LTIPath behind it: what is pasted into platforms begins with it */
    const char *fingerprint; /* of the secrets, as in lti_refresh.h */
    const char *node_name;   /* of this httpd */
    apr_interval_time_t dormant_after;
    apr_int64_t *known; /* how many courses there are, once lti_overview_health() has counted them for the answers that follow; -1 before; NULL: each counts for itself */
    apr_time_t now;
} lti_overview_t;

/**
 * { "state": "well|note|warning|error",      the worst of what is wrong
 *   "sentence": "...",                        in words
 *   "courses": N, "people": N,                people: active, a person of two courses counts twice
 *   "states": { "current": N, "pending": N, "failing": N, "held": N, "stale": N, "none": N },
 *   "due": N,                                 courses whose time has come: the queue
 *   "deployments_waiting": N,
 *   "shared_memory": { "bytes": N, "percent": N, "people": N, "courses": N, "room_for_people": N, "room_for_courses": N, "advice": MB or null },
 *   "nodes": [ { "node": "...", "here": bool, "seen_at": T, "age": S, "secret_agrees": bool } ] }
 */
apr_status_t lti_overview_health(json_t **health, const lti_overview_t *overview, apr_pool_t *p, lti_err_t *err);

/**
 * [ { "kind": "course|platform", "platform": "...", "course": key or null, "title": "...", "diagnosis": D } ], the worst first, at most LTI_OVERVIEW_PROBLEMS_MAX.
 *
 * D = { "state": word of lti_diagnosis, "severity": 0..3, "sentence": "...", "evidence": "..." or null, "remedy": [ "one step", ... ] }
 */
apr_status_t lti_overview_problems(json_t **problems, const lti_overview_t *overview, apr_pool_t *p, lti_err_t *err);

/**
 * [ { "platform": name, "family": "moodle", "issuer": "...", "client_id": "...",
 *     "urls": { "login": "...", "launch": "...", "jwks": "..." },          to be pasted into the platform
 *     "key_set": { "fetched_at": T, "age": S, "error": "..." or null },    as this node has it
 *     "token": { "given_at": T, "age": S, "scopes": [ "..." ], "error": "..." or null, "error_at": T },
 *     "clock_offset": S or null, "clock_at": T,                             positive: the platform's clock is ahead
 *     "launched_at": T, "courses": N, "paused_until": T or null,
 *     "deployment_rule": "any|ask|list",
 *     "deployments": [ { "deployment": id, "status": "waiting|accepted|withdrawn", "first_seen_at": T, "seen_at": T, "context_title": "..." or null } ],
 *     "old_launches": [ { "consumer_key": "...", "instance": "...", "product": "...", "context_title": "...", "seen_at": T } ],   of LTI 1.1; those that may be of this platform
 *     "diagnosis": D } ]
 */
apr_status_t lti_overview_platforms(json_t **platforms, const lti_overview_t *overview, apr_pool_t *p, lti_err_t *err);

typedef enum lti_overview_order_t {
    LTI_OVERVIEW_BY_NAME,
    LTI_OVERVIEW_BY_PEOPLE,  /* most first */
    LTI_OVERVIEW_BY_SUCCESS, /* longest ago first */
    LTI_OVERVIEW_BY_NEXT,    /* soonest first */
    LTI_OVERVIEW_BY_FAILURES /* most first */
} lti_overview_order_t;

typedef struct lti_overview_query_t {
    const char *search;   /* part of title, label, context id or the key; letters of either case; NULL: all */
    const char *platform; /* name; NULL: all */
    const char *state;    /* word of LTI_ROSTER_STATE; NULL: all */
    lti_overview_order_t order;
    int backwards;
    int offset; /* bounded by 100,000 */
    int limit;  /* 1 to LTI_OVERVIEW_PAGE_MAX */
} lti_overview_query_t;

/**
 * { "total": N (of the query), "offset": N, "rows": [ C ] }
 *
 * C = { "course": key, "platform": name, "label": "...", "title": "...", "context_id": "...", "deployment": "...", "state": word,
 *       "active": N, "roles": { "learner": N, ... } or null (not in shared memory; lti_overview_course() asks the database then), "version": N,
 *       "succeeded_at": T, "age": S or null, "due_at": T, "due_in": S, "launched_at": T, "dormant": bool, "failures": N,
 *       "error": "..." or null, "error_text": "..." or null, "diagnosis": D }
 */
apr_status_t lti_overview_courses(json_t **courses, const lti_overview_t *overview, const lti_overview_query_t *query, apr_pool_t *p,
                                  lti_err_t *err);

/**
 * C and: "listed": N or null         people whom the platform's last whole list named: does the number match?
 *        "visitors": N               people who launched, "visitors_recent": N in the last eight hours
 *        "held": { "missing": N, "since": T, "accepted": bool } or null
 *        "runs": [ { "run": id, "node": "...", "started_at": T, "ended_at": T or null, "seconds": S, "pages": N, "members": N, "joined": N, "changed": N, "left": N, "returned": N,
 *                    "missing": N, "repeats": N, "error": ..., "error_text": ..., "advice": ... } ]     the newest first, at most 50
 *        "events": [ { "number": N, "event": word, "user_id": "...", "happened_at": T } ]                the newest first, at most 50
 * APR_NOTFOUND (err not filled): no such course, or of a platform that is not shown.
 */
apr_status_t lti_overview_course(json_t **course, const lti_overview_t *overview, const char *course_key, apr_pool_t *p, lti_err_t *err);

/**
 * What became of a run, a new object of the caller's: "started_at", "ended_at", "pages", "members", "joined", "changed", "left", "returned", "missing", "error", "error_text", "advice" as above.
 * Of a run that has not begun (all 0) times are null.
 */
json_t *lti_overview_run(const lti_db_run_t *run);

/**
 * { "rows": [ { "user_id": "...", "name": "...", "email": "...", "sourcedid": "...", "role": word, "roles": "...", "status": word, "joined_at": T, "status_at": T, "launched_at": T or null } ],
 *   "next": user id to go on behind, or null }. In order of user ids, those who left too.
 */
apr_status_t lti_overview_people(json_t **people, const lti_overview_t *overview, const char *course_key, const char *after, int limit,
                                 apr_pool_t *p, lti_err_t *err);

/** [ { "user_id": "...", "name": "..." } ]: whom a held run would remove; at most 1,000. */
apr_status_t lti_overview_held(json_t **held, const lti_overview_t *overview, const char *course_key, apr_pool_t *p, lti_err_t *err);

#endif
