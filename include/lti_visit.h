/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_visit: who launched, from request threads to the watch thread, in a given block of memory: a ring of places. A launch never
 * waits for the row that remembers it; when the ring is full the visit is dropped, and the person's next launch tells of it again.
 *
 *   block   next place to write | places: { state: empty, being written since, full } | course key, user id, time
 *
 * Made in the parent before the children are forked. Nobody locks; a writer that dies half way holds one place for some seconds.
 * What it wrote half is never taken.
 */
#ifndef LTI_VISIT_H
#define LTI_VISIT_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_err.h"
#include "lti_roster.h"

#define LTI_VISIT_PLACES 512

typedef struct lti_visit_ring_t lti_visit_ring_t;

typedef struct lti_visit_t {
    char course_key[17];
    char platform[65];
    char user_id[LTI_ID_MAX + 1];
    apr_time_t launched_at;
} lti_visit_t;

apr_size_t lti_visit_ring_size(void);
/** LTI_E_INTERNAL if `block` is too small or not aligned to 8 bytes. */
apr_status_t lti_visit_ring_format(lti_visit_ring_t **ring, void *block, apr_size_t size, apr_pool_t *p, lti_err_t *err);

/**
 * Any thread of any process. 1: it is in; 0: dropped. A course key of "" or NULL is of a launch without a course, such a user id of
 * one without a person: it tells of its platform only.
 */
int lti_visit_put(lti_visit_ring_t *ring, const char *course_key, const char *platform, const char *user_id,
                  apr_time_t launched_at);

/** One thread at a time: takes up to `max` visits into `visits`; how many. What was not put in whole is left out. */
int lti_visit_take(lti_visit_t *visits, int max, lti_visit_ring_t *ring);

/** Before anybody writes to `to`: it gets what nobody took from `from`, whose writers may still be at it. */
void lti_visit_ring_copy(lti_visit_ring_t *to, const lti_visit_ring_t *from);

#endif
