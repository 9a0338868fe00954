/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_bell: tells requests that wait for news that there may be some, in a given block of memory, and bounds how many wait.
 *
 *   block   number | places: each 0, or the second until which somebody holds it
 *
 * The watch thread rings with a number that moves; whoever waits looks whether it is another one than before, and then asks the database. A place that its holder
 * does not give back, since its process died, is free again by itself. Nobody locks, nobody is woken: a look costs one load.
 *
 * Made in the parent before the children are forked.
 */
#ifndef LTI_BELL_H
#define LTI_BELL_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_err.h"

typedef struct lti_bell_t lti_bell_t;

apr_size_t lti_bell_size(int places);

/** Number 0, all places free. LTI_E_INTERNAL if `block` is too small or not aligned to 8 bytes. */
apr_status_t lti_bell_format(lti_bell_t **bell, void *block, apr_size_t size, int places, apr_pool_t *p, lti_err_t *err);

/** One thread at a time. */
void lti_bell_ring(lti_bell_t *bell, apr_int64_t number);

/** Any thread of any process. */
apr_int64_t lti_bell_number(const lti_bell_t *bell);

/** A place taken, for lti_bell_leave(). */
typedef struct lti_bell_place_t {
    int index;
    apr_uint32_t until;
} lti_bell_place_t;

/** Any thread of any process. 1: `*place` is held until then, or given back earlier; 0: all are taken. */
int lti_bell_take_place(lti_bell_place_t *place, lti_bell_t *bell, apr_time_t now, apr_time_t until);
void lti_bell_leave(lti_bell_t *bell, const lti_bell_place_t *place);

#endif
