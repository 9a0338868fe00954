/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and histograms in shared memory: added to without a lock by every process, read by whoever shows metrics. */
#include "lti_meter.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define LANES 16 /* a power of two */
#define LINE 64  /* bytes of a cache line */

typedef _Atomic uint64_t count_t;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work between processes, nor survive a dead one");

typedef struct lane_t {
    count_t lookups[LINE / sizeof(count_t)];
} lane_t;

_Static_assert(LTI_METER_LOOKUPS <= LINE / sizeof(count_t), "a lane is one cache line");

typedef struct histogram_t {
    count_t buckets[LTI_METER_BUCKETS];
    count_t microseconds;
} histogram_t;

typedef struct platform_t {
    count_t runs[LTI_E_COUNT];
    count_t fetches[LTI_METER_FETCHES][2]; /* good, failed */
} platform_t;

/* All of it are counts, so that taking over is one loop; what is no count stands in the first line. */
typedef struct layout_t {
    _Atomic int64_t since;
    char rest_of_line[LINE - sizeof(int64_t)];
    lane_t lanes[LANES];
    count_t launches[LTI_E_COUNT];
    histogram_t times[LTI_METER_TIMES];
    platform_t platforms[];
} layout_t;

struct lti_meter_t {
    layout_t *layout;
    int platforms;
    _Atomic uint64_t salt; /* of this process: the handle is copied by its first write after fork; 0: not chosen yet */
};

const double lti_meter_bounds[LTI_METER_BUCKETS - 1] = {0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600};

apr_size_t lti_meter_size(int platforms)
{
    return (sizeof(layout_t) + (apr_size_t)platforms * sizeof(platform_t) + LINE - 1) / LINE * LINE;
}

apr_status_t lti_meter_format(lti_meter_t **meter, void *block, apr_size_t size, int platforms, apr_pool_t *p, lti_err_t *err)
{
    lti_meter_t *made;

    if (platforms < 0 || size < lti_meter_size(platforms) || (uintptr_t)block % LINE != 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the meter got %" APR_SIZE_T_FMT " bytes at %p", size, block);
    memset(block, 0, lti_meter_size(platforms));
    made = apr_pcalloc(p, sizeof(*made));
    made->layout = block;
    made->platforms = platforms;
    atomic_store_explicit(&made->layout->since, apr_time_now(), memory_order_relaxed);
    *meter = made;
    return APR_SUCCESS;
}

static uint64_t get(const count_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void add(count_t *count, uint64_t more)
{
    atomic_fetch_add_explicit(count, more, memory_order_relaxed);
}

void lti_meter_copy(lti_meter_t *to, const lti_meter_t *from)
{
    int platforms = to->platforms < from->platforms ? to->platforms : from->platforms;
    apr_size_t bytes = sizeof(layout_t) + (apr_size_t)platforms * sizeof(platform_t), i;
    count_t *into = (count_t *)(void *)to->layout;
    const count_t *out_of = (const count_t *)(const void *)from->layout;

    for (i = LINE / sizeof(count_t); i < bytes / sizeof(count_t); i++)
        add(&into[i], get(&out_of[i]));
    atomic_store_explicit(&to->layout->since, lti_meter_since(from), memory_order_relaxed);
}

/* --- counting ------------------------------------------------------------------------------------------------------------- */

/*
 * Every thread has a stack of its own, so that the place of a local variable tells threads apart without asking anybody; processes that were forked have theirs
 * at the same places, and are told apart by their id.
 */
static lane_t *lane_of(lti_meter_t *meter)
{
    uint64_t salt = atomic_load_explicit(&meter->salt, memory_order_relaxed), mixed;

    if (salt == 0) {
        salt = (uint64_t)getpid();
        atomic_store_explicit(&meter->salt, salt, memory_order_relaxed);
    }
    mixed = ((uint64_t)(uintptr_t)&mixed >> 16) + salt;
    return &meter->layout->lanes[(mixed * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (LANES - 1)];
}

void lti_meter_lookup(lti_meter_t *meter, lti_meter_lookup_t where)
{
    if (meter != NULL && (unsigned)where < LTI_METER_LOOKUPS)
        add(&lane_of(meter)->lookups[where], 1);
}

static lti_code_t known(lti_code_t code)
{
    return (unsigned)code < LTI_E_COUNT ? code : LTI_E_INTERNAL;
}

static platform_t *platform_of(const lti_meter_t *meter, int platform)
{
    return meter != NULL && platform >= 0 && platform < meter->platforms ? &meter->layout->platforms[platform] : NULL;
}

void lti_meter_launch(lti_meter_t *meter, lti_code_t code)
{
    if (meter != NULL)
        add(&meter->layout->launches[known(code)], 1);
}

void lti_meter_run(lti_meter_t *meter, int platform, lti_code_t code)
{
    platform_t *counts = platform_of(meter, platform);

    if (counts != NULL)
        add(&counts->runs[known(code)], 1);
}

void lti_meter_time(lti_meter_t *meter, lti_meter_time_t what, apr_interval_time_t duration)
{
    double seconds;
    int i = 0;

    if (meter == NULL || (unsigned)what >= LTI_METER_TIMES)
        return;
    if (duration < 0) /* the clock was set back */
        duration = 0;
    seconds = (double)duration / (double)APR_USEC_PER_SEC;
    while (i < LTI_METER_BUCKETS - 1 && seconds > lti_meter_bounds[i])
        i++;
    add(&meter->layout->times[what].buckets[i], 1);
    add(&meter->layout->times[what].microseconds, (uint64_t)duration);
}

void lti_meter_fetch(lti_meter_t *meter, int platform, lti_meter_fetch_t what, int failed)
{
    platform_t *counts = platform_of(meter, platform);

    if (counts != NULL && (unsigned)what < LTI_METER_FETCHES)
        add(&counts->fetches[what][failed != 0], 1);
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

apr_uint64_t lti_meter_lookups(const lti_meter_t *meter, lti_meter_lookup_t where)
{
    apr_uint64_t sum = 0;
    int i;

    for (i = 0; i < LANES; i++)
        sum += get(&meter->layout->lanes[i].lookups[where]);
    return sum;
}

apr_uint64_t lti_meter_launches(const lti_meter_t *meter, lti_code_t code)
{
    return get(&meter->layout->launches[known(code)]);
}

apr_uint64_t lti_meter_runs(const lti_meter_t *meter, int platform, lti_code_t code)
{
    const platform_t *counts = platform_of(meter, platform);

    return counts != NULL ? get(&counts->runs[known(code)]) : 0;
}

apr_uint64_t lti_meter_fetches(const lti_meter_t *meter, int platform, lti_meter_fetch_t what, int failed)
{
    const platform_t *counts = platform_of(meter, platform);

    return counts != NULL ? get(&counts->fetches[what][failed != 0]) : 0;
}

void lti_meter_histogram(lti_meter_histogram_t *histogram, const lti_meter_t *meter, lti_meter_time_t what)
{
    const histogram_t *counts = &meter->layout->times[what];
    int i;

    histogram->count = 0;
    for (i = 0; i < LTI_METER_BUCKETS; i++) {
        histogram->buckets[i] = get(&counts->buckets[i]);
        histogram->count += histogram->buckets[i];
    }
    histogram->seconds = (double)get(&counts->microseconds) / (double)APR_USEC_PER_SEC;
}

apr_time_t lti_meter_since(const lti_meter_t *meter)
{
    return atomic_load_explicit(&meter->layout->since, memory_order_relaxed);
}
