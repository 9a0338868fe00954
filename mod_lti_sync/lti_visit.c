/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of launches that many processes write and one thread takes, without a lock. */
#include "lti_visit.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define CLAIM_LIFE apr_time_from_sec(5) /* a copy takes microseconds: whoever holds a place for longer is dead */
#define TRIES 4 /* places that a writer looks at: one that a dead writer holds does not make the ring full */

/* EMPTY, FULL, or the time since when somebody writes: one word, so that a claim is one instruction and tells its age. */
#define EMPTY UINT64_C(0)
#define FULL UINT64_C(1)

typedef struct place_t {
    _Atomic uint64_t state;
    uint64_t digest; /* of the visit: a writer that was held up may write into another's */
    lti_visit_t visit;
} place_t;

typedef struct layout_t {
    _Atomic uint32_t next;
    place_t places[LTI_VISIT_PLACES];
} layout_t;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work between processes, nor survive a dead one");
_Static_assert((LTI_VISIT_PLACES & (LTI_VISIT_PLACES - 1)) == 0, "the counter may wrap");

struct lti_visit_ring_t {
    layout_t *layout;
};

apr_size_t lti_visit_ring_size(void)
{
    return (sizeof(layout_t) + 63) / 64 * 64;
}

apr_status_t lti_visit_ring_format(lti_visit_ring_t **ring, void *block, apr_size_t size, apr_pool_t *p, lti_err_t *err)
{
    if (size < sizeof(layout_t) || ((uintptr_t)block & 7) != 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the ring of launches got %" APR_SIZE_T_FMT " bytes at %p", size, block);
    memset(block, 0, sizeof(layout_t));
    *ring = apr_palloc(p, sizeof(**ring));
    (*ring)->layout = block;
    return APR_SUCCESS;
}

static int is_free(uint64_t state, apr_time_t now)
{
    /* A claim from the future is one from before the clock was set back. */
    return state == EMPTY || (state != FULL && (now - (apr_time_t)state > CLAIM_LIFE || (apr_time_t)state - now > CLAIM_LIFE));
}

/* 0 if it does not fit: half an id is somebody else's. */
static int copy(char *to, apr_size_t room, const char *from)
{
    apr_size_t length = from != NULL ? strnlen(from, room) : 0;

    if (length == room)
        return 0;
    if (length > 0)
        memcpy(to, from, length);
    to[length] = '\0';
    return 1;
}

static uint64_t add_to_digest(uint64_t digest, const void *data, apr_size_t size)
{
    const unsigned char *byte = data, *end = byte + size;

    for (; byte < end; byte++)
        digest = (digest ^ *byte) * UINT64_C(1099511628211); /* FNV-1a: against accidents, not against anybody */
    return digest;
}

static uint64_t digest_of(const lti_visit_t *visit)
{
    uint64_t digest = add_to_digest(UINT64_C(14695981039346656037), &visit->launched_at, sizeof(visit->launched_at));

    digest = add_to_digest(digest, visit->course_key, strlen(visit->course_key) + 1);
    digest = add_to_digest(digest, visit->platform, strlen(visit->platform) + 1);
    return add_to_digest(digest, visit->user_id, strlen(visit->user_id) + 1);
}

/* 1 if the visit is in. */
static int fill(place_t *place, uint64_t claim, const lti_visit_t *visit)
{
    place->digest = digest_of(visit);
    place->visit.launched_at = visit->launched_at;
    memcpy(place->visit.course_key, visit->course_key, strlen(visit->course_key) + 1);
    memcpy(place->visit.platform, visit->platform, strlen(visit->platform) + 1);
    memcpy(place->visit.user_id, visit->user_id, strlen(visit->user_id) + 1);
    /* Not ours any more: this thread was held up, another took over, and that one's visit counts. */
    return atomic_compare_exchange_strong_explicit(&place->state, &claim, FULL, memory_order_release, memory_order_relaxed);
}

static int put(layout_t *layout, const lti_visit_t *visit)
{
    uint64_t claim = (uint64_t)visit->launched_at;
    int tries;

    for (tries = 0; tries < TRIES; tries++) {
        place_t *place = &layout->places[atomic_fetch_add_explicit(&layout->next, 1, memory_order_relaxed) % LTI_VISIT_PLACES];
        uint64_t state = atomic_load_explicit(&place->state, memory_order_relaxed);

        if (is_free(state, visit->launched_at) &&
            atomic_compare_exchange_strong_explicit(&place->state, &state, claim, memory_order_acquire, memory_order_relaxed))
            return fill(place, claim, visit);
    }
    return 0;
}

int lti_visit_put(lti_visit_ring_t *ring, const char *course_key, const char *platform, const char *user_id, apr_time_t launched_at)
{
    lti_visit_t visit;

    visit.launched_at = launched_at;
    if (!copy(visit.course_key, sizeof(visit.course_key), course_key) || !copy(visit.platform, sizeof(visit.platform), platform) ||
        !copy(visit.user_id, sizeof(visit.user_id), user_id))
        return 0;
    return put(ring->layout, &visit);
}

/* 1 and the visit, if the place is full and the visit whole. */
static int read_place(lti_visit_t *visit, place_t *place)
{
    uint64_t digest;

    if (atomic_load_explicit(&place->state, memory_order_acquire) != FULL)
        return 0;
    *visit = place->visit;
    digest = place->digest;
    visit->course_key[sizeof(visit->course_key) - 1] = '\0';
    visit->platform[sizeof(visit->platform) - 1] = '\0';
    visit->user_id[sizeof(visit->user_id) - 1] = '\0';
    return digest == digest_of(visit);
}

int lti_visit_take(lti_visit_t *visits, int max, lti_visit_ring_t *ring)
{
    int i, count = 0;

    for (i = 0; i < LTI_VISIT_PLACES && count < max; i++) {
        place_t *place = &ring->layout->places[i];

        if (atomic_load_explicit(&place->state, memory_order_relaxed) != FULL)
            continue;
        count += read_place(&visits[count], place);
        atomic_store_explicit(&place->state, EMPTY, memory_order_release);
    }
    return count;
}

void lti_visit_ring_copy(lti_visit_ring_t *to, const lti_visit_ring_t *from)
{
    lti_visit_t visit;
    int i;

    for (i = 0; i < LTI_VISIT_PLACES; i++) {
        if (read_place(&visit, &from->layout->places[i]))
            (void)put(to->layout, &visit);
    }
}
