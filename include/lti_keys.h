/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_keys: the platforms' key sets and the tool's own keys.
 *
 * A platform's key set is fetched by whoever first needs it and kept for all processes in a table of shared memory, one fixed entry per
 * platform, guarded by a sequence number; each process keeps the parsed keys beside it until the entry changes. A set stays when the platform
 * is down (SPEC S-11); an unknown kid leads to a new fetch at most once in a minute (SPEC Y-06), by one thread of one process at a time,
 * while launches whose key is known go on (claim and store below).
 *
 *   block   +----------------------+----------------------+---
 *           | entry of platform 0  | entry of platform 1  | ...      64 KiB each:
 *           +----------------------+----------------------+---       { sequence, fetching_until, tried_at, fetched_at, expires_at, size, JWKS text }
 *
 * One more entry behind them holds what the jwks end point serves: the public keys of all nodes.
 *
 * The text is the normalised set: usable public keys only.
 */
#ifndef LTI_KEYS_H
#define LTI_KEYS_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include "lti_crypto.h"
#include "lti_err.h"

/* --- platform key sets --------------------------------------------------------------------------------------------- */

#define LTI_KEYSET_MAX (256 * 1024) /* bytes of an answer (SPEC Y-04) */
#define LTI_KEYSET_KEYS 64

/** Parses a JWK set (SPEC Y-02, Y-03, Y-09, J-07, J-08, J-14): unusable keys are dropped and counted. `*keys` holds lti_key_t *.
 * LTI_E_KEYSET_INVALID if it is no key set or holds no usable key. */
apr_status_t lti_keyset_parse(apr_array_header_t **keys, int *dropped, const char *text, apr_size_t size, apr_pool_t *p,
                              lti_err_t *err);

/** Which keys of the set are not used, and why, for a log line; NULL if there are none but such as are for something else. */
const char *lti_keyset_faults(const char *text, apr_size_t size, apr_pool_t *p);

typedef struct lti_keycache_t lti_keycache_t;

/** Bytes of shared memory for so many platforms, and for the keys of all nodes behind them. */
apr_size_t lti_keycache_size(int platforms);

/** Parent, before fork: clears `block` (8-aligned) and makes the handle. `p` is the configuration's pool. */
apr_status_t lti_keycache_create(lti_keycache_t **cache, void *block, apr_size_t size, int platforms, apr_pool_t *p, lti_err_t *err);

/** Each child, once, before it serves: makes its mutex and its pool for parsed keys. */
apr_status_t lti_keycache_child_init(lti_keycache_t *cache, apr_pool_t *pchild, lti_err_t *err);

/**
 * The key `kid` of the platform at `index`. APR_SUCCESS: `*key` holds until `p` is cleared. APR_NOTFOUND: not in the set (LTI_E_KEY_UNKNOWN), or
 * no set yet or none that is less than a day over its time (LTI_E_KEYSET_UNAVAILABLE, SPEC S-11): try lti_keycache_claim(). `*stale` (may be
 * NULL) is 1 when the set should be fetched anew although there is one.
 */
apr_status_t lti_keycache_find(const lti_key_t **key, int *stale, lti_keycache_t *cache, int index, const char *kid, apr_time_t now,
                               apr_pool_t *p, lti_err_t *err);

/** 1 if the set is there and was fetched longer than `age` ago: perhaps the platform has given an old name to a new key (SPEC Y-08). */
int lti_keycache_is_older(const lti_keycache_t *cache, int index, apr_time_t age, apr_time_t now);

/** 1: the caller shall fetch, and must end with store or release on the same thread, within 15 seconds. 0: somebody fetches already, or did within the last minute (the last five seconds while no set is known at all). */
int lti_keycache_claim(lti_keycache_t *cache, int index, apr_time_t now);

/** While somebody else fetches: 1. */
int lti_keycache_fetching(const lti_keycache_t *cache, int index, apr_time_t now);

/** Stores what was fetched and ends the claim. A set without a usable key does not replace a good one (LTI_E_KEYSET_INVALID). APR_EBUSY,
 * LTI_E_KEYSET_UNAVAILABLE: the claim was lost by time, somebody else fetches. `max_age` in seconds, 0 if unknown (SPEC Y-05). */
apr_status_t lti_keycache_store(lti_keycache_t *cache, int index, const char *text, apr_size_t size, long max_age, apr_time_t now,
                                lti_err_t *err);

/** The fetch failed. */
void lti_keycache_release(lti_keycache_t *cache, int index, apr_time_t now);

/** When the set was fetched, and when that was last tried; 0: never. */
void lti_keycache_times(apr_time_t *fetched_at, apr_time_t *tried_at, const lti_keycache_t *cache, int index);

/* --- the tool's keys ------------------------------------------------------------------------------------------------ */

typedef struct lti_toolkeys_t {
    apr_array_header_t *keys; /* of lti_key_t *; the first signs */
    const char *jwks;         /* what the jwks end point serves: public members only (SPEC Y-21) */
} lti_toolkeys_t;

/** From PEM texts (NUL-terminated, const char *). Parent, while still root. Refuses an empty list and the same key twice. */
apr_status_t lti_toolkeys_create(lti_toolkeys_t **toolkeys, const apr_array_header_t *pems, apr_pool_t *p, lti_err_t *err);

#define LTI_TOOLKEYS_MAX (60 * 1024) /* bytes of what all nodes publish */

/**
 * What several nodes publish together: the own keys, then the usable ones of `others` (JWK sets, const char *) that have another kid; LTI_KEYSET_KEYS and
 * LTI_TOOLKEYS_MAX at the most, the last ones are left out. A set that cannot be read is passed over. In `p`.
 */
const char *lti_toolkeys_merge(const lti_toolkeys_t *own, const apr_array_header_t *others, apr_pool_t *p);

/** The engine only: `jwks` is what the end point serves from now on, in all processes. LTI_E_INTERNAL if it does not fit. */
apr_status_t lti_toolkeys_share(lti_keycache_t *cache, const char *jwks, apr_time_t now, lti_err_t *err);

/** Any thread of any process: what the jwks end point serves: the keys of all nodes, or the own ones until those are known. Lives as long as `own` and `p`. */
const char *lti_toolkeys_union(const lti_keycache_t *cache, const lti_toolkeys_t *own, apr_pool_t *p);

/** 0 until lti_toolkeys_share() was called: the union is a guess so far. */
int lti_toolkeys_is_shared(const lti_keycache_t *cache, apr_pool_t *p);

#endif
