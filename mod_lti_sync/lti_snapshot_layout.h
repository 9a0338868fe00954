/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of a snapshot segment, shared by its readers (lti_snapshot.c) and its writer (lti_snapshot_writer.c);
 * include/lti_snapshot.h draws it. Everything is a 64-bit word, loaded and stored by relaxed atomics, so that a reader who meets
 * the writer reads words of two rosters but never undefined ones; the sequence of the slot decides whether what was read counts.
 *
 *   header   magic | bytes | slots | chunks                                                                128 bytes
 *   slots    two for each chunk (64 MiB: some 15,400 chunks, 30,800 slots, 7 of 8 may be taken), 128 bytes each, word by word:
 *              0 sequence           counts what was published here; 0: never given to a course
 *              1-2 course key       padded with zero bytes; written once, before the sequence leaves 0
 *              3-8 and 9-14         two copies of: version | succeeded_at | stale_at | active, state << 32 | head, places << 32
 *                                   (head chunk, places of the index) | members, chunks << 32; an even sequence names the first, an
 *                                   odd one the second
 *   chunk    word 0: next chunk of the roster | head chunk of the roster << 32
 *   head     word 1: members | chunks << 32; word 2: places of the index | role sets << 32; words 3 to 8: how many active members have which
 *              primary role, two in a word; then up to INDEX_INLINE places: the index itself; else the numbers of its chunks, two in a word
 *            then the first records
 *   index    linear probing; a place is 0 or reference | tag << 32, the tag being the upper half of the id's hash
 *   record   0 status | role << 8 | id length << 16 | reference of the role set << 32
 *            id, padded | status_at | role_at | lengths of the five texts, 12 bits each, all ones: NULL
 *            texts, one after the other, padded
 *   roles    length | text, padded
 *
 * A reference is chunk * CHUNK_WORDS + word. Records and role sets are written one after the other; what reaches a chunk's end goes
 * on in word 1 of the next chunk. The chain is head, chunks of records in order, chunks of the index.
 */
#ifndef LTI_SNAPSHOT_LAYOUT_H
#define LTI_SNAPSHOT_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>
#include "lti_hash.h"
#include "lti_snapshot.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work between processes, nor survive a dead one");
_Static_assert(sizeof(_Atomic uint64_t) == 8, "the segment is made of 64-bit words");

typedef _Atomic uint64_t lti_word_t;

#define WORD_SIZE 8
#define SEGMENT_MAGIC UINT64_C(0x6c74692d73796e31)

enum { HEADER_MAGIC, HEADER_BYTES, HEADER_SLOTS, HEADER_CHUNKS, HEADER_WORDS = 16 };

enum { SLOT_SEQUENCE, SLOT_KEY, SLOT_COPIES = 3, SLOT_WORDS = 16 };
enum { COPY_VERSION, COPY_SUCCEEDED, COPY_STALE, COPY_STANDING, COPY_ROSTER, COPY_COUNTS, COPY_WORDS };
#define SLOT_SIZE (SLOT_WORDS * WORD_SIZE)
#define SLOTS_PER_CHUNK 2
/* Seven of eight slots: beyond that, searching for a course that is not here would walk too far. */
#define SLOTS_TAKEN_MAX(slots) ((slots) - (slots) / 8)
#define KEY_WORDS 2
#define KEY_BYTES (KEY_WORDS * WORD_SIZE)

#define ROLE_WORDS ((LTI_SNAPSHOT_ROLES + 1) / 2)
enum { CHUNK_LINK, HEAD_COUNTS, HEAD_INDEX, HEAD_ROLES, HEAD_WORDS = HEAD_ROLES + ROLE_WORDS };
#define CHUNK_WORDS (LTI_CHUNK_SIZE / WORD_SIZE)
#define CHUNK_NONE UINT32_MAX
#define CHUNKS_MAX (UINT32_MAX / CHUNK_WORDS) /* so that a reference fits into 32 bits */

/* In place of a head chunk. */
#define HEAD_ABSENT UINT32_MAX        /* the course has no roster yet */
#define HEAD_UNKNOWN (UINT32_MAX - 1) /* it may have one, but not here */

#define INDEX_INLINE 384
#define INDEX_PER_CHUNK (CHUNK_WORDS - 1)
/* The list of index chunks has to fit into the head. */
#define INDEX_MAX ((CHUNK_WORDS - HEAD_WORDS) * 2 * INDEX_PER_CHUNK)

#define TEXTS 5 /* name, given, family, email, sourcedid */
#define TEXT_BITS 12
#define TEXT_NULL ((1u << TEXT_BITS) - 1)
#define TEXT_MAX (TEXT_NULL - 1)
_Static_assert(LTI_FIELD_MAX <= TEXT_MAX, "every text that a roster may have fits into a record");
_Static_assert(TEXTS *TEXT_BITS <= 64, "the lengths stand in one word");

/* Constant after format, inherited by fork: what a reader relies on is never read from the segment itself. */
struct lti_snapshot_t {
    lti_word_t *header;
    lti_word_t *slots;
    lti_word_t *chunks;
    uint32_t slot_count;
    uint32_t chunk_count;
    uint64_t bytes;
    lti_hash_key_t key;
};

/* What a slot says, copied out of it. */
typedef struct lti_slot_t {
    uint64_t key[KEY_WORDS];
    int64_t version;
    int64_t succeeded_at;
    int64_t stale_at;
    uint32_t active;
    uint32_t state;
    uint32_t head;
    uint32_t places;
    uint64_t counts; /* members, chunks << 32, as in the head; 0: no roster here */
} lti_slot_t;

/* Where reading has come to in the chain of chunks; `broken`: the chain led out of the segment. */
typedef struct lti_cursor_t {
    const lti_snapshot_t *snapshot;
    lti_word_t *chunk;
    uint32_t at;
    int broken;
} lti_cursor_t;

static inline uint64_t lti_word_get(lti_word_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void lti_word_put(lti_word_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline uint64_t lti_word_pair(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

static inline uint32_t lti_word_low(uint64_t word)
{
    return (uint32_t)word;
}

static inline uint32_t lti_word_high(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint32_t lti_words_for(uint32_t bytes)
{
    return (bytes + WORD_SIZE - 1) / WORD_SIZE;
}

static inline lti_word_t *lti_slot_at(const lti_snapshot_t *snapshot, uint32_t number)
{
    return snapshot->slots + (size_t)number * SLOT_WORDS;
}

static inline lti_word_t *lti_copy_at(lti_word_t *slot, uint64_t sequence)
{
    return &slot[SLOT_COPIES + (sequence & 1) * COPY_WORDS];
}

static inline lti_word_t *lti_chunk_at(const lti_snapshot_t *snapshot, uint32_t number)
{
    return snapshot->chunks + (size_t)number * CHUNK_WORDS;
}

/* The first place to look in a table of `size`: half a hash, scaled. */
static inline uint32_t lti_place_of(uint32_t hash, uint32_t size)
{
    return (uint32_t)(((uint64_t)hash * size) >> 32);
}

static inline lti_cursor_t lti_cursor_at(const lti_snapshot_t *snapshot, uint32_t reference)
{
    uint32_t chunk = reference / CHUNK_WORDS;
    int broken = chunk >= snapshot->chunk_count || reference % CHUNK_WORDS == CHUNK_LINK;

    return (lti_cursor_t){
        .snapshot = snapshot,
        .chunk = lti_chunk_at(snapshot, broken ? 0 : chunk),
        .at = broken ? 1 : reference % CHUNK_WORDS,
        .broken = broken,
    };
}

static inline uint64_t lti_cursor_next(lti_cursor_t *cursor)
{
    if (cursor->at == CHUNK_WORDS) {
        uint32_t next = lti_word_low(lti_word_get(&cursor->chunk[CHUNK_LINK]));

        if (next >= cursor->snapshot->chunk_count) {
            cursor->broken = 1;
            return 0;
        }
        cursor->chunk = lti_chunk_at(cursor->snapshot, next);
        cursor->at = 1;
    }
    return lti_word_get(&cursor->chunk[cursor->at++]);
}

/* The word of the index at `place`; NULL if the list of index chunks leads out of the segment. */
static inline lti_word_t *lti_index_at(const lti_snapshot_t *snapshot, lti_word_t *head, uint32_t places, uint32_t place)
{
    uint32_t number = place / INDEX_PER_CHUNK;
    uint64_t pair;

    if (places <= INDEX_INLINE)
        return &head[HEAD_WORDS + place];
    pair = lti_word_get(&head[HEAD_WORDS + number / 2]);
    number = number % 2 ? lti_word_high(pair) : lti_word_low(pair);
    return number < snapshot->chunk_count ? &lti_chunk_at(snapshot, number)[1 + place % INDEX_PER_CHUNK] : NULL;
}

/** The course key as words; 0 if it is empty or longer than a slot holds. */
int lti_slot_key(uint64_t words[KEY_WORDS], const char *course_key);

/** The slot of this key, or NULL; `free_slot` (may be NULL) then receives the one that it would get. */
lti_word_t *lti_slot_find(const lti_snapshot_t *snapshot, const uint64_t key[KEY_WORDS], lti_word_t **free_slot);

/** LTISharedMemory that gives so many chunks. */
uint64_t lti_snapshot_megabytes(uint64_t chunks);

/** The only way to change a slot that a reader may see: in one store. */
void lti_slot_publish(lti_word_t *slot, const lti_slot_t *next);

/** Copies out what the slot said at `sequence`; only valid if the sequence is still that afterwards. */
void lti_slot_read(lti_slot_t *out, lti_word_t *slot, uint64_t sequence);

#endif
