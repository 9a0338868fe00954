/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_meter: counters and histograms of one node, in a given block of memory that all its processes add to without a lock and whoever shows metrics reads.
 *
 *   block   lookups: lanes of a cache line each | launches by outcome | runs by outcome | histograms | fetches by platform
 *
 * What every request counts has several lanes, so that processes do not fight for one line; a lane is chosen by the caller's thread. Everything else is rare. Counts go on
 * over a graceful reload and begin anew with httpd. Any thread of any process.
 */
#ifndef LTI_METER_H
#define LTI_METER_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_err.h"

typedef struct lti_meter_t lti_meter_t;

/** Where an identity's roster answer came from. */
typedef enum lti_meter_lookup_t { LTI_METER_MEMORY, LTI_METER_DATABASE, LTI_METER_UNAVAILABLE, LTI_METER_LOOKUPS } lti_meter_lookup_t;

typedef enum lti_meter_time_t {
    LTI_METER_LAUNCH_TIME, /* of a launch request in httpd */
    LTI_METER_RUN_TIME,    /* of a roster run, waiting included */
    LTI_METER_TIMES
} lti_meter_time_t;

/** What is fetched from a platform. */
typedef enum lti_meter_fetch_t { LTI_METER_KEYS, LTI_METER_TOKEN, LTI_METER_PAGE, LTI_METER_FETCHES } lti_meter_fetch_t;

/** Upper bounds of the buckets in seconds; the last bucket has none. */
#define LTI_METER_BUCKETS 12
extern const double lti_meter_bounds[LTI_METER_BUCKETS - 1];

apr_size_t lti_meter_size(int platforms);

/** Parent, before fork. LTI_E_INTERNAL if the block is too small or not 64-aligned. */
apr_status_t lti_meter_format(lti_meter_t **meter, void *block, apr_size_t size, int platforms, apr_pool_t *p, lti_err_t *err);

/** Takes over what the generation before counted, which may still go on counting. Both have the same platforms. */
void lti_meter_copy(lti_meter_t *to, const lti_meter_t *from);

/* --- counting; `meter` may be NULL, then nothing is counted ------------------------------------------------------------------ */

void lti_meter_lookup(lti_meter_t *meter, lti_meter_lookup_t where);
/** A launch or a login ended with this code; LTI_OK: a session was made. */
void lti_meter_launch(lti_meter_t *meter, lti_code_t code);
/** A run ended with this code; LTI_OK: applied. `platform` is its number. */
void lti_meter_run(lti_meter_t *meter, int platform, lti_code_t code);
void lti_meter_time(lti_meter_t *meter, lti_meter_time_t what, apr_interval_time_t duration);
void lti_meter_fetch(lti_meter_t *meter, int platform, lti_meter_fetch_t what, int failed);

/* --- reading ------------------------------------------------------------------------------------------------------------------ */

typedef struct lti_meter_histogram_t {
    apr_uint64_t buckets[LTI_METER_BUCKETS]; /* each for itself, not added up */
    apr_uint64_t count;
    double seconds; /* sum */
} lti_meter_histogram_t;

apr_uint64_t lti_meter_lookups(const lti_meter_t *meter, lti_meter_lookup_t where);
apr_uint64_t lti_meter_launches(const lti_meter_t *meter, lti_code_t code);
apr_uint64_t lti_meter_runs(const lti_meter_t *meter, int platform, lti_code_t code);
apr_uint64_t lti_meter_fetches(const lti_meter_t *meter, int platform, lti_meter_fetch_t what, int failed);
void lti_meter_histogram(lti_meter_histogram_t *histogram, const lti_meter_t *meter, lti_meter_time_t what);
apr_time_t lti_meter_since(const lti_meter_t *meter); /* when counting began */

#endif
