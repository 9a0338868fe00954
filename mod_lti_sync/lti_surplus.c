/* SPDX-License-Identifier: Apache-2.0 */
/* A table of launches' surplus texts that many processes write and read without a lock. */
#include "lti_surplus.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include "lti_crypto.h"
#include "lti_hash.h"

#define SLOT_SIZE 4096
#define WORD_SIZE 8
#define SLOT_WORDS (SLOT_SIZE / WORD_SIZE)
#define WAYS 4
#define SET_SIZE (WAYS * SLOT_SIZE)
#define TRIES 3        /* of claiming, while others claim the same slots */
#define CLAIM_LIFE 5   /* seconds; a copy takes microseconds */
#define CLOCK_SLACK 60 /* seconds; a claim that lies further ahead is from before the clock was set back */

enum { SLOT_SEQUENCE, SLOT_DIGEST, SLOT_EXPIRES, SLOT_LENGTHS, SLOT_ID, SLOT_BYTES = SLOT_ID + LTI_SURPLUS_ID_MAX / WORD_SIZE };
#define BYTES_MAX ((SLOT_WORDS - SLOT_BYTES) * WORD_SIZE)
#define DIGEST_FROM SLOT_EXPIRES

typedef _Atomic uint64_t word_t;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work between processes, nor survive a dead one");
_Static_assert(sizeof(word_t) == WORD_SIZE, "the table is made of 64-bit words");
_Static_assert(LTI_BASE64URL_LENGTH(BYTES_MAX) == LTI_SURPLUS_TEXT_MAX, "the header says how long a text may be");

/* Constant after format: what a reader relies on is never read from the block itself. */
struct lti_surplus_t {
    word_t *words;
    uint32_t sets;
    lti_hash_key_t key;
};

/* What a slot says, or shall say. */
typedef union image_t {
    uint64_t words[SLOT_WORDS];
    unsigned char bytes[SLOT_SIZE];
} image_t;

static uint64_t get_word(word_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void put_word(word_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint32_t words_for(uint32_t bytes)
{
    return (bytes + WORD_SIZE - 1) / WORD_SIZE;
}

apr_size_t lti_surplus_size(int slots)
{
    return (apr_size_t)(slots > 0 ? (slots + WAYS - 1) / WAYS : 0) * SET_SIZE;
}

apr_status_t lti_surplus_format(lti_surplus_t **table, void *block, apr_size_t size, apr_pool_t *p, lti_err_t *err)
{
    apr_size_t sets = size / SET_SIZE;
    unsigned char key[sizeof(lti_hash_key_t)];
    lti_surplus_t *made;
    apr_status_t rv;

    if (sets == 0 || sets > UINT32_MAX || ((uintptr_t)block & (WORD_SIZE - 1)) != 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the table of launches got %" APR_SIZE_T_FMT " bytes at %p", size, block);
    rv = lti_crypto_random(key, sizeof(key), err);
    if (rv != APR_SUCCESS)
        return rv;
    memset(block, 0, sets * SET_SIZE);
    made = apr_pcalloc(p, sizeof(*made));
    memcpy(&made->key, key, sizeof(key));
    made->words = block;
    made->sets = (uint32_t)sets;
    *table = made;
    return APR_SUCCESS;
}

/* The id as it stands in a slot; its length, 0 if it is none. */
static uint32_t want_id(uint64_t words[SLOT_BYTES - SLOT_ID], const char *id)
{
    apr_size_t length = id != NULL ? strnlen(id, LTI_SURPLUS_ID_MAX + 1) : 0;

    if (length > LTI_SURPLUS_ID_MAX)
        return 0;
    memset(words, 0, LTI_SURPLUS_ID_MAX);
    memcpy(words, id != NULL ? id : "", length);
    return (uint32_t)length;
}

static word_t *first_way(const lti_surplus_t *table, const uint64_t id[SLOT_BYTES - SLOT_ID])
{
    uint32_t hash = (uint32_t)lti_hash(&table->key, id, LTI_SURPLUS_ID_MAX);

    return table->words + (((uint64_t)hash * table->sets) >> 32) * (SET_SIZE / WORD_SIZE);
}

static int has_id(word_t *slot, const uint64_t id[SLOT_BYTES - SLOT_ID])
{
    int i, same = 1;

    for (i = 0; i < SLOT_BYTES - SLOT_ID; i++)
        same &= get_word(&slot[SLOT_ID + i]) == id[i];
    return same;
}

static uint64_t digest_of(const lti_surplus_t *table, const image_t *image, uint32_t end)
{
    return lti_hash(&table->key, &image->words[DIGEST_FROM], (size_t)(end - DIGEST_FROM) * WORD_SIZE);
}

/* --- the sequence ----------------------------------------------------------------------------------------------------- */

/*
 * The time of the claim stands in the same word: a claim is one instruction, and whoever dies after it has told when. The count makes each claim another
 * value, so who was robbed of a slot cannot take itself for its owner. The next odd count follows an even one as well as an odd one left by the dead.
 */
static uint64_t claimed(uint64_t sequence, apr_time_t now)
{
    return (uint64_t)(uint32_t)apr_time_sec(now) << 32 | (((uint32_t)sequence + 1) | 1);
}

static uint64_t released(uint64_t claim)
{
    return (claim & ~(uint64_t)UINT32_MAX) | (uint32_t)(claim + 1);
}

static int is_being_written(uint64_t sequence)
{
    return (int)(sequence & 1);
}

static int is_abandoned(uint64_t sequence, apr_time_t now)
{
    int64_t since = (int64_t)(sequence >> 32), second = (int64_t)apr_time_sec(now);

    return since + CLAIM_LIFE < second || since > second + CLOCK_SLACK;
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

typedef struct choice_t {
    word_t *slot; /* NULL: none may be had */
    uint64_t sequence;
} choice_t;

/* The slot for this id: its own, else free (a dead writer's too), else expired, else the one that expires first. */
static choice_t choose(word_t *set, const uint64_t id[SLOT_BYTES - SLOT_ID], apr_time_t now)
{
    choice_t best = {NULL, 0};
    apr_time_t best_end = 0;
    int way;

    for (way = 0; way < WAYS; way++) {
        word_t *slot = set + (size_t)way * SLOT_WORDS;
        uint64_t sequence = atomic_load_explicit(&slot[SLOT_SEQUENCE], memory_order_acquire);
        apr_time_t end = (apr_time_t)get_word(&slot[SLOT_EXPIRES]);

        if (is_being_written(sequence)) {
            if (is_abandoned(sequence, now))
                end = 0;
            else if (has_id(slot, id))
                return (choice_t){NULL, 0}; /* somebody is keeping this very text */
            else
                continue;
        } else if (get_word(&slot[SLOT_LENGTHS]) == 0) {
            end = 0;
        } else if (has_id(slot, id)) {
            return (choice_t){slot, sequence};
        }
        /* The longest expired is the first to go, so expired and first to expire are one order. */
        if (best.slot == NULL || end < best_end) {
            best = (choice_t){slot, sequence};
            best_end = end;
        }
    }
    return best;
}

/* Makes the slot say what the image says; 0 if the writer was so slow that another took the slot. */
static int fill(word_t *slot, uint64_t claim, const image_t *image, uint32_t end)
{
    uint32_t i;

    /* Keeps the odd sequence before the words: a reader who meets one of them meets it too. */
    atomic_thread_fence(memory_order_release);
    /* The id first: who comes to keep the same text sees early that it is being done. */
    for (i = SLOT_ID; i < SLOT_BYTES; i++)
        put_word(&slot[i], image->words[i]);
    for (i = SLOT_DIGEST; i < SLOT_ID; i++)
        put_word(&slot[i], image->words[i]);
    for (i = SLOT_BYTES; i < end; i++)
        put_word(&slot[i], image->words[i]);
    return atomic_compare_exchange_strong_explicit(&slot[SLOT_SEQUENCE], &claim, released(claim), memory_order_release,
                                                   memory_order_relaxed);
}

apr_status_t lti_surplus_put(lti_surplus_t *table, const char *id, const char *text, apr_time_t expires_at, apr_time_t now)
{
    image_t image;
    uint32_t id_length = want_id(&image.words[SLOT_ID], id), end;
    apr_size_t length = text != NULL ? strnlen(text, LTI_SURPLUS_TEXT_MAX + 1) : 0, size = 0;
    word_t *set;
    int tries;

    if (length > LTI_SURPLUS_TEXT_MAX)
        return APR_ENOSPC;
    if (id_length == 0 || length == 0 || expires_at <= now ||
        lti_base64url_decode(image.bytes + SLOT_BYTES * WORD_SIZE, &size, text, length) != APR_SUCCESS)
        return APR_EINVAL;
    end = SLOT_BYTES + words_for((uint32_t)size);
    memset(image.bytes + SLOT_BYTES * WORD_SIZE + size, 0, end * WORD_SIZE - SLOT_BYTES * WORD_SIZE - size);
    image.words[SLOT_EXPIRES] = (uint64_t)expires_at;
    image.words[SLOT_LENGTHS] = (uint64_t)size << 32 | id_length;
    image.words[SLOT_DIGEST] = digest_of(table, &image, end);
    set = first_way(table, &image.words[SLOT_ID]);
    for (tries = 0; tries < TRIES; tries++) {
        choice_t choice = choose(set, &image.words[SLOT_ID], now);
        uint64_t claim = claimed(choice.sequence, now);

        if (choice.slot == NULL)
            break;
        if (atomic_compare_exchange_strong_explicit(&choice.slot[SLOT_SEQUENCE], &choice.sequence, claim, memory_order_acq_rel,
                                                    memory_order_relaxed))
            return fill(choice.slot, claim, &image, end) ? APR_SUCCESS : APR_EBUSY;
    }
    return APR_EBUSY;
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

/* Copies a slot out if it is this launch's and whole; the number of its bytes, else 0. */
static uint32_t read_slot(image_t *image, const lti_surplus_t *table, word_t *slot, const uint64_t id[SLOT_BYTES - SLOT_ID],
                          uint32_t id_length)
{
    uint64_t sequence = atomic_load_explicit(&slot[SLOT_SEQUENCE], memory_order_acquire);
    uint32_t i, size, end;

    if (is_being_written(sequence) || !has_id(slot, id))
        return 0;
    for (i = SLOT_DIGEST; i < SLOT_BYTES; i++)
        image->words[i] = get_word(&slot[i]);
    size = (uint32_t)(image->words[SLOT_LENGTHS] >> 32);
    if ((uint32_t)image->words[SLOT_LENGTHS] != id_length || size == 0 || size > BYTES_MAX)
        return 0;
    end = SLOT_BYTES + words_for(size);
    for (; i < end; i++)
        image->words[i] = get_word(&slot[i]);
    /* Keeps the loads above before this one. */
    atomic_thread_fence(memory_order_acquire);
    if (get_word(&slot[SLOT_SEQUENCE]) != sequence || image->words[SLOT_DIGEST] != digest_of(table, image, end))
        return 0;
    return memcmp(&image->words[SLOT_ID], id, LTI_SURPLUS_ID_MAX) == 0 ? size : 0;
}

const char *lti_surplus_get(const lti_surplus_t *table, const char *id, apr_time_t now, apr_pool_t *p)
{
    uint64_t wanted[SLOT_BYTES - SLOT_ID];
    uint32_t id_length = want_id(wanted, id), size;
    image_t image;
    word_t *set;
    int way;

    if (id_length == 0)
        return NULL;
    set = first_way(table, wanted);
    for (way = 0; way < WAYS; way++) {
        size = read_slot(&image, table, set + (size_t)way * SLOT_WORDS, wanted, id_length);
        if (size > 0 && (apr_time_t)image.words[SLOT_EXPIRES] > now)
            return lti_base64url_encode(image.bytes + SLOT_BYTES * WORD_SIZE, size, p);
    }
    return NULL;
}
