/* SPDX-License-Identifier: Apache-2.0 */
/* lti_keys' cache: the platforms' key sets in shared memory under claim and sequence number, and each process's parsed keys. */
#include "lti_keys.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <openssl/evp.h>
#include "lti_keys_set.h"

#define ENTRY_SIZE (64 * 1024)
#define CLAIM_LIFE apr_time_from_sec(15) /* a claimer that was killed blocks nobody for longer */
#define TRY_AGAIN apr_time_from_sec(60)  /* SPEC Y-06 */
#define TRY_FIRST apr_time_from_sec(5) /* while no set is known at all, nobody can come in: a platform that is back is asked soon */
#define STALE_LIFE apr_time_from_sec(24 * 3600)
#define AGE_MIN 300 /* SPEC Y-05 */
#define AGE_MAX (24 * 3600)
#define AGE_DEFAULT 3600
#define READ_TRIES 3
/* Times of several threads differ a little, a clock that was set back differs much: what lies further ahead is not believed. */
#define CLOCK_SLACK apr_time_from_sec(60)

/*
 * The claim is one word, so that taking it is one compare-and-swap: its end in milliseconds above, a serial number below that
 * makes each claim another value. The number survives the release, so who compared before a whole fetch cannot swap after it.
 */
#define CLAIM_SERIAL_BITS 20
#define CLAIM_SERIAL_MASK ((UINT64_C(1) << CLAIM_SERIAL_BITS) - 1)

#define HEAD_WORDS 10
#define TEXT_WORDS (ENTRY_SIZE / 8 - HEAD_WORDS)
#define TEXT_MAX (TEXT_WORDS * 8)

/*
 * Everything is an atomic word: a reader may meet a writer, and finds out by the sequence number. The digest is for the one case
 * that the number cannot show: a writer that slept through its claim in the middle of a copy and wakes up while its successor
 * writes.
 */
typedef struct entry_t {
    _Atomic uint64_t sequence; /* 0: never stored; odd: being written */
    _Atomic uint64_t claim;    /* the header's fetching_until */
    _Atomic apr_time_t tried_at;
    _Atomic apr_time_t fetched_at;
    _Atomic apr_time_t expires_at;
    _Atomic uint64_t size;
    _Atomic uint64_t digest[LTI_SHA256_SIZE / 8];
    _Atomic uint64_t text[TEXT_WORDS];
} entry_t;

_Static_assert(sizeof(entry_t) == ENTRY_SIZE, "the header promises 64 KiB an entry");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2, "locks inside shared memory would outlive their owner");

/* What one process keeps of one platform, under the cache's mutex. */
typedef struct local_t {
    apr_pool_t *pool;         /* holds the keys, with an allocator of its own; NULL: nothing parsed yet */
    apr_array_header_t *keys; /* of lti_key_t * */
    uint64_t sequence;        /* the entry's, when it was read */
    apr_time_t expires_at;
    uint64_t claim;          /* ours, 0 if none */
    apr_os_thread_t claimer; /* who of us: another thread may have claimed since */
} local_t;

struct lti_keycache_t {
    entry_t *entries;
    local_t *locals;
    int platforms;
    apr_pool_t *pool;          /* NULL outside a child */
    apr_thread_mutex_t *mutex; /* guards locals and pool; held for a few instructions */
};

/* What was copied out of an entry. */
typedef struct copy_t {
    uint64_t sequence;
    apr_time_t expires_at;
    apr_size_t size;
    char *text;
} copy_t;

apr_size_t lti_keycache_size(int platforms)
{
    return ((apr_size_t)platforms + 1) * ENTRY_SIZE;
}

apr_status_t lti_keycache_create(lti_keycache_t **cache, void *block, apr_size_t size, int platforms, apr_pool_t *p, lti_err_t *err)
{
    lti_keycache_t *made;

    if (platforms < 0 || size < lti_keycache_size(platforms) || ((uintptr_t)block & 7) != 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the key cache got %" APR_SIZE_T_FMT " bytes for %d platforms", size,
                        platforms);
    memset(block, 0, lti_keycache_size(platforms));
    made = apr_pcalloc(p, sizeof(*made));
    made->entries = block;
    made->platforms = platforms;
    made->locals = apr_pcalloc(p, (apr_size_t)platforms * sizeof(*made->locals) + 1);
    *cache = made;
    return APR_SUCCESS;
}

/* Pool and mutex go with the child's pool: nobody may find them after that. */
static apr_status_t forget_child(void *data)
{
    lti_keycache_t *cache = data;

    cache->pool = NULL;
    cache->mutex = NULL;
    memset(cache->locals, 0, (apr_size_t)cache->platforms * sizeof(*cache->locals));
    return APR_SUCCESS;
}

apr_status_t lti_keycache_child_init(lti_keycache_t *cache, apr_pool_t *pchild, lti_err_t *err)
{
    apr_status_t rv;

    rv = apr_pool_create(&cache->pool, pchild);
    if (rv == APR_SUCCESS)
        rv = apr_thread_mutex_create(&cache->mutex, APR_THREAD_MUTEX_DEFAULT, pchild);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "the key cache could not make its mutex");
    apr_pool_cleanup_register(pchild, cache, forget_child, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

static int is_ready(const lti_keycache_t *cache, int index)
{
    return cache->mutex != NULL && index >= 0 && index < cache->platforms;
}

/* --- claims -------------------------------------------------------------------------------------------------------------- */

static int claim_is_live(uint64_t claim, apr_time_t now)
{
    apr_time_t until = (apr_time_t)(claim >> CLAIM_SERIAL_BITS) * 1000;

    return until > now && until <= now + CLAIM_LIFE + CLOCK_SLACK;
}

/* The next value of the word: held until `until`, or by nobody where `until` is 0. */
static uint64_t next_claim(uint64_t claim, apr_time_t until)
{
    return (uint64_t)(until / 1000) << CLAIM_SERIAL_BITS | ((claim + 1) & CLAIM_SERIAL_MASK);
}

int lti_keycache_claim(lti_keycache_t *cache, int index, apr_time_t now)
{
    entry_t *entry;
    uint64_t seen, mine;
    apr_time_t tried_at, pause;

    if (!is_ready(cache, index))
        return 0;
    entry = &cache->entries[index];
    seen = atomic_load(&entry->claim);
    if (claim_is_live(seen, now))
        return 0;
    tried_at = atomic_load(&entry->tried_at);
    pause = atomic_load(&entry->sequence) == 0 ? TRY_FIRST : TRY_AGAIN;
    if (tried_at != 0 && now - tried_at < pause && tried_at - now < pause)
        return 0;

    mine = next_claim(seen, now + CLAIM_LIFE);
    if (!atomic_compare_exchange_strong(&entry->claim, &seen, mine))
        return 0;
    atomic_store(&entry->tried_at, now);
    apr_thread_mutex_lock(cache->mutex);
    cache->locals[index].claim = mine;
    cache->locals[index].claimer = apr_os_thread_current();
    apr_thread_mutex_unlock(cache->mutex);
    return 1;
}

int lti_keycache_fetching(const lti_keycache_t *cache, int index, apr_time_t now)
{
    return index >= 0 && index < cache->platforms && claim_is_live(atomic_load(&cache->entries[index].claim), now);
}

void lti_keycache_times(apr_time_t *fetched_at, apr_time_t *tried_at, const lti_keycache_t *cache, int index)
{
    const entry_t *entry = &cache->entries[index];

    *fetched_at = atomic_load(&entry->sequence) != 0 ? atomic_load_explicit(&entry->fetched_at, memory_order_relaxed) : 0;
    *tried_at = atomic_load(&entry->tried_at);
}

int lti_keycache_is_older(const lti_keycache_t *cache, int index, apr_time_t age, apr_time_t now)
{
    const entry_t *entry;

    if (index < 0 || index >= cache->platforms)
        return 0;
    entry = &cache->entries[index];
    return atomic_load(&entry->sequence) != 0 && now - atomic_load_explicit(&entry->fetched_at, memory_order_relaxed) > age;
}

/* The claim of this very thread, taken out of the process's notes; 0 if it has none (any more). */
static uint64_t take_own_claim(lti_keycache_t *cache, int index)
{
    local_t *local = &cache->locals[index];
    uint64_t mine = 0;

    apr_thread_mutex_lock(cache->mutex);
    if (local->claim != 0 && apr_os_thread_equal(local->claimer, apr_os_thread_current())) {
        mine = local->claim;
        local->claim = 0;
    }
    apr_thread_mutex_unlock(cache->mutex);
    return mine;
}

/* Moves our claim to `until` (0: ends it). 0 if there is none or it has become somebody else's. */
static uint64_t move_claim(entry_t *entry, uint64_t mine, apr_time_t until)
{
    uint64_t next = next_claim(mine, until);

    return mine != 0 && atomic_compare_exchange_strong(&entry->claim, &mine, next) ? next : 0;
}

void lti_keycache_release(lti_keycache_t *cache, int index, apr_time_t now)
{
    uint64_t mine;

    (void)now;
    if (!is_ready(cache, index))
        return;
    mine = take_own_claim(cache, index);
    move_claim(&cache->entries[index], mine, 0);
}

/* --- writing ------------------------------------------------------------------------------------------------------------- */

static apr_time_t lifetime(long max_age)
{
    if (max_age <= 0)
        max_age = AGE_DEFAULT;
    return apr_time_from_sec(max_age < AGE_MIN ? AGE_MIN : max_age > AGE_MAX ? AGE_MAX : max_age);
}

static void write_words(_Atomic uint64_t *to, const void *from, apr_size_t size)
{
    apr_size_t at, part;

    for (at = 0; at < size; at += part, to++) {
        uint64_t word = 0;

        part = size - at < sizeof(word) ? size - at : sizeof(word);
        memcpy(&word, (const char *)from + at, part);
        atomic_store_explicit(to, word, memory_order_relaxed);
    }
}

/*
 * The number is made odd, whatever a predecessor that was killed left there, and even at the end, unless a successor has taken
 * over meanwhile.
 */
static int write_entry(entry_t *entry, const char *text, apr_size_t size, apr_time_t now, long max_age)
{
    unsigned char digest[LTI_SHA256_SIZE];
    uint64_t seen = atomic_load(&entry->sequence), odd;

    if (lti_sha256(digest, text, size) != APR_SUCCESS)
        return 0;
    odd = (seen + 1) | 1;
    if (!atomic_compare_exchange_strong(&entry->sequence, &seen, odd))
        return 0;
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&entry->fetched_at, now, memory_order_relaxed);
    atomic_store_explicit(&entry->expires_at, now + lifetime(max_age), memory_order_relaxed);
    atomic_store_explicit(&entry->size, size, memory_order_relaxed);
    write_words(entry->digest, digest, sizeof(digest));
    write_words(entry->text, text, size);
    return atomic_compare_exchange_strong(&entry->sequence, &odd, odd + 1);
}

/* Writes under the claim, which is renewed first, so that nobody claims meanwhile; that also tells whether it is still ours. */
static int write_claimed(entry_t *entry, uint64_t mine, const char *text, long max_age, apr_time_t now)
{
    uint64_t renewed = move_claim(entry, mine, now + CLAIM_LIFE);
    int written = renewed != 0 && write_entry(entry, text, strlen(text), now, max_age);

    move_claim(entry, renewed, 0);
    return written;
}

apr_status_t lti_keycache_store(lti_keycache_t *cache, int index, const char *text, apr_size_t size, long max_age, apr_time_t now,
                                lti_err_t *err)
{
    apr_pool_t *ptemp;
    entry_t *entry;
    const char *kept = NULL;
    uint64_t mine;
    apr_status_t rv;

    if (!is_ready(cache, index))
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the key cache is not ready or has no platform %d", index);
    entry = &cache->entries[index];
    mine = take_own_claim(cache, index);
    rv = apr_pool_create(&ptemp, NULL);
    if (rv != APR_SUCCESS) {
        move_claim(entry, mine, 0);
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for a key set");
    }
    rv = lti_keyset_normalise(&kept, text, size, ptemp, err);
    if (rv == APR_SUCCESS && strlen(kept) > TEXT_MAX)
        rv = lti_fail(err, LTI_E_KEYSET_INVALID, APR_ENOSPC, "a key set whose usable keys need more than %d bytes", (int)TEXT_MAX);
    if (rv != APR_SUCCESS)
        move_claim(entry, mine, 0);
    else if (!write_claimed(entry, mine, kept, max_age, now))
        rv = lti_fail(err, LTI_E_KEYSET_UNAVAILABLE, APR_EBUSY, "the fetch took longer than its claim holds");
    apr_pool_destroy(ptemp);
    return rv;
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

static void read_words(void *to, const _Atomic uint64_t *from, apr_size_t size)
{
    apr_size_t at, part;

    for (at = 0; at < size; at += part, from++) {
        uint64_t word = atomic_load_explicit(from, memory_order_relaxed);

        part = size - at < sizeof(word) ? size - at : sizeof(word);
        memcpy((char *)to + at, &word, part);
    }
}

/* Copies the entry out, whole and from one store; 0 if there is none to be had. */
static int read_entry(copy_t *copy, const entry_t *entry, apr_pool_t *p)
{
    unsigned char stored[LTI_SHA256_SIZE], digest[LTI_SHA256_SIZE];
    int i;

    for (i = 0; i < READ_TRIES; i++) {
        copy->sequence = atomic_load_explicit(&entry->sequence, memory_order_acquire);
        if (copy->sequence == 0)
            return 0;
        copy->expires_at = atomic_load_explicit(&entry->expires_at, memory_order_relaxed);
        copy->size = atomic_load_explicit(&entry->size, memory_order_relaxed);
        if ((copy->sequence & 1) != 0 || copy->size > TEXT_MAX)
            continue;
        copy->text = apr_palloc(p, copy->size);
        read_words(stored, entry->digest, sizeof(stored));
        read_words(copy->text, entry->text, copy->size);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&entry->sequence, memory_order_relaxed) == copy->sequence)
            return lti_sha256(digest, copy->text, copy->size) == APR_SUCCESS && lti_crypto_equal(digest, stored, sizeof(digest));
    }
    return 0;
}

/* --- the keys of all nodes, in the entry behind the platforms' -------------------------------------------------------- */

apr_status_t lti_toolkeys_share(lti_keycache_t *cache, const char *jwks, apr_time_t now, lti_err_t *err)
{
    apr_size_t size = strlen(jwks);

    if (size > TEXT_MAX)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOSPC, "the keys of all nodes need more than %d bytes", (int)TEXT_MAX);
    if (!write_entry(&cache->entries[cache->platforms], jwks, size, now, 0))
        return lti_fail(err, LTI_E_INTERNAL, APR_EBUSY, "somebody else writes the keys of all nodes");
    return APR_SUCCESS;
}

const char *lti_toolkeys_union(const lti_keycache_t *cache, const lti_toolkeys_t *own, apr_pool_t *p)
{
    copy_t copy;

    return read_entry(&copy, &cache->entries[cache->platforms], p) ? apr_pstrmemdup(p, copy.text, copy.size) : own->jwks;
}

int lti_toolkeys_is_shared(const lti_keycache_t *cache, apr_pool_t *p)
{
    copy_t copy;

    return read_entry(&copy, &cache->entries[cache->platforms], p);
}

/* --- parsed keys of this process ------------------------------------------------------------------------------------------ */

/* A pool that one thread may fill while others use their own: its allocator is not shared. The mutex is held. */
static apr_pool_t *make_set_pool(apr_pool_t *parent)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    if (apr_allocator_create(&allocator) != APR_SUCCESS)
        return NULL;
    if (apr_pool_create_ex(&pool, parent, NULL, allocator) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return NULL;
    }
    apr_allocator_owner_set(allocator, pool);
    return pool;
}

/* Parses what the entry holds now and puts it beside it, unless another thread was faster. Called without the mutex. */
static void refresh_local(lti_keycache_t *cache, int index)
{
    local_t *local = &cache->locals[index];
    apr_array_header_t *keys = NULL;
    apr_pool_t *pool, *old;
    copy_t copy;

    apr_thread_mutex_lock(cache->mutex);
    pool = make_set_pool(cache->pool);
    apr_thread_mutex_unlock(cache->mutex);
    if (pool == NULL)
        return;
    old = pool;
    if (read_entry(&copy, &cache->entries[index], pool) &&
        lti_keyset_parse(&keys, NULL, copy.text, copy.size, pool, NULL) == APR_SUCCESS) {
        apr_thread_mutex_lock(cache->mutex);
        if (copy.sequence > local->sequence) {
            old = local->pool;
            local->pool = pool;
            local->keys = keys;
            local->sequence = copy.sequence;
            local->expires_at = copy.expires_at;
        }
    } else
        apr_thread_mutex_lock(cache->mutex);
    if (old != NULL)
        apr_pool_destroy(old);
    apr_thread_mutex_unlock(cache->mutex);
}

static apr_status_t free_pkey(void *data)
{
    EVP_PKEY_free(data);
    return APR_SUCCESS;
}

/* The caller's own hold on a key of ours: the set may be replaced while the caller verifies. The mutex is held. */
static const lti_key_t *lend(const local_t *local, const char *kid, apr_pool_t *p)
{
    int i;

    for (i = 0; i < local->keys->nelts; i++) {
        const lti_key_t *key = APR_ARRAY_IDX(local->keys, i, lti_key_t *);
        lti_key_t *lent;

        if (strcmp(key->kid, kid) != 0)
            continue;
        if (EVP_PKEY_up_ref(key->pkey) != 1)
            return NULL;
        apr_pool_cleanup_register(p, key->pkey, free_pkey, apr_pool_cleanup_null);
        lent = apr_pmemdup(p, key, sizeof(*key));
        lent->kid = apr_pstrdup(p, key->kid);
        return lent;
    }
    return NULL;
}

apr_status_t lti_keycache_find(const lti_key_t **key, int *stale, lti_keycache_t *cache, int index, const char *kid, apr_time_t now,
                               apr_pool_t *p, lti_err_t *err)
{
    local_t *local;
    uint64_t sequence;
    int known, old;

    *key = NULL;
    if (stale != NULL)
        *stale = 0;
    if (!is_ready(cache, index))
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the key cache is not ready or has no platform %d", index);
    local = &cache->locals[index];
    sequence = atomic_load_explicit(&cache->entries[index].sequence, memory_order_acquire);

    apr_thread_mutex_lock(cache->mutex);
    if (local->sequence != sequence && (local->pool == NULL || (sequence & 1) == 0)) {
        apr_thread_mutex_unlock(cache->mutex);
        refresh_local(cache, index);
        apr_thread_mutex_lock(cache->mutex);
    }
    /* SPEC S-11: an old set serves for another day, since the platform may be down; not longer, since its keys may be withdrawn. */
    known = local->pool != NULL && now < local->expires_at + STALE_LIFE;
    old = known && (local->sequence < sequence || now >= local->expires_at ||
                    local->expires_at > now + apr_time_from_sec(AGE_MAX) + CLOCK_SLACK);
    if (known)
        *key = lend(local, kid, p);
    apr_thread_mutex_unlock(cache->mutex);

    if (stale != NULL)
        *stale = old;
    if (!known)
        return lti_fail(err, LTI_E_KEYSET_UNAVAILABLE, APR_NOTFOUND,
                        "no key set of the platform was fetched, or too long ago (SPEC S-11)");
    if (*key == NULL)
        return lti_fail(err, LTI_E_KEY_UNKNOWN, APR_NOTFOUND, "the platform's key set has no key \"%.160s\" (SPEC J-06)", kid);
    return APR_SUCCESS;
}
