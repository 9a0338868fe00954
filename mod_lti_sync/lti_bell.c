/* SPDX-License-Identifier: Apache-2.0 */
/* A number that one process rings with and many look at, and places for those who wait for it. */
#include "lti_bell.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

typedef struct layout_t {
    _Atomic int64_t number;
    _Atomic uint32_t until[]; /* seconds */
} layout_t;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work between processes, nor survive a dead one");

struct lti_bell_t {
    layout_t *layout;
    int places;
};

apr_size_t lti_bell_size(int places)
{
    return (sizeof(layout_t) + (apr_size_t)places * sizeof(uint32_t) + 63) / 64 * 64;
}

apr_status_t lti_bell_format(lti_bell_t **bell, void *block, apr_size_t size, int places, apr_pool_t *p, lti_err_t *err)
{
    if (size < lti_bell_size(places) || ((uintptr_t)block & 7) != 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the bell got %" APR_SIZE_T_FMT " bytes at %p", size, block);
    memset(block, 0, size);
    *bell = apr_palloc(p, sizeof(**bell));
    (*bell)->layout = block;
    (*bell)->places = places;
    return APR_SUCCESS;
}

void lti_bell_ring(lti_bell_t *bell, apr_int64_t number)
{
    /* Not for nothing: those who wait keep the line in their caches. */
    if (atomic_load_explicit(&bell->layout->number, memory_order_relaxed) != number)
        atomic_store_explicit(&bell->layout->number, number, memory_order_release);
}

apr_int64_t lti_bell_number(const lti_bell_t *bell)
{
    return atomic_load_explicit(&bell->layout->number, memory_order_acquire);
}

int lti_bell_take_place(lti_bell_place_t *place, lti_bell_t *bell, apr_time_t now, apr_time_t until)
{
    uint32_t second = (uint32_t)apr_time_sec(now), end = (uint32_t)apr_time_sec(until) + 1;
    int i;

    for (i = 0; i < bell->places; i++) {
        uint32_t held = atomic_load_explicit(&bell->layout->until[i], memory_order_relaxed);

        if (held < second && atomic_compare_exchange_strong_explicit(&bell->layout->until[i], &held, end, memory_order_relaxed,
                                                                     memory_order_relaxed)) {
            *place = (lti_bell_place_t){i, end};
            return 1;
        }
    }
    return 0;
}

void lti_bell_leave(lti_bell_t *bell, const lti_bell_place_t *place)
{
    uint32_t held = place->until;

    /* It may be somebody else's by now. */
    (void)atomic_compare_exchange_strong_explicit(&bell->layout->until[place->index], &held, 0, memory_order_relaxed,
                                                  memory_order_relaxed);
}
