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

typedef struct lti_keycache_t lti_keycache_t;

/** Bytes of shared memory for so many platforms. */
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

/* --- the tool's keys ------------------------------------------------------------------------------------------------ */

typedef struct lti_toolkeys_t {
    apr_array_header_t *keys; /* of lti_key_t *; the first signs */
    const char *jwks;         /* what the jwks end point serves: public members only (SPEC Y-21) */
} lti_toolkeys_t;

/** From PEM texts (NUL-terminated, const char *). Parent, while still root. Refuses an empty list and the same key twice. */
apr_status_t lti_toolkeys_create(lti_toolkeys_t **toolkeys, const apr_array_header_t *pems, apr_pool_t *p, lti_err_t *err);

#endif
