/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters of one segment for another: what the next generation of httpd takes over; and how much fits into one. */
#include "lti_snapshot.h"

#include <stdlib.h>
#include <string.h>
#include "lti_snapshot_layout.h"

#define MEGABYTE (1024 * 1024)
/* Of a campus, index, slack and slots included: 256 bytes a person. */
#define PEOPLE_PER_CHUNK 17

/* --- room ------------------------------------------------------------------------------------------------------------- */

uint64_t lti_snapshot_megabytes(uint64_t chunks)
{
    uint64_t bytes = chunks * (LTI_CHUNK_SIZE + SLOTS_PER_CHUNK * SLOT_SIZE) + HEADER_WORDS * WORD_SIZE + 2 * LTI_CHUNK_SIZE;

    return (bytes + MEGABYTE - 1) / MEGABYTE;
}

void lti_snapshot_capacity(lti_snapshot_capacity_t *capacity, const lti_snapshot_usage_t *usage)
{
    /* The largest roster is there twice while it is replaced. */
    uint32_t taken = usage->chunks_used + usage->largest;
    uint64_t people = usage->members + (uint64_t)(taken < usage->chunks ? usage->chunks - taken : 0) * PEOPLE_PER_CHUNK;

    capacity->courses = SLOTS_TAKEN_MAX(usage->slots);
    capacity->people = people < UINT32_MAX ? (uint32_t)people : UINT32_MAX;
}

int lti_snapshot_percent(const lti_snapshot_usage_t *usage)
{
    uint64_t chunks = ((uint64_t)usage->chunks_used + usage->largest) * 100 / usage->chunks;
    uint64_t slots = (uint64_t)usage->slots_used * 100 / SLOTS_TAKEN_MAX(usage->slots);

    return (int)(chunks > slots ? chunks : slots);
}

apr_uint64_t lti_snapshot_advice(const lti_snapshot_usage_t *usage)
{
    uint64_t chunks = (uint64_t)usage->chunks_used + usage->largest;
    uint64_t for_slots = ((uint64_t)usage->slots_used * 8 / 7 + SLOTS_PER_CHUNK) / SLOTS_PER_CHUNK;

    return lti_snapshot_megabytes((chunks > for_slots ? chunks : for_slots) * 3 / 2);
}

/* --- copying ---------------------------------------------------------------------------------------------------------- */

/* A course whose state was copied: valid if its sequence has not moved when all are. */
typedef struct noted_t {
    lti_word_t *source;
    uint64_t sequence;
    lti_slot_t slot;
    uint32_t number;
} noted_t;

typedef struct copying_t {
    lti_snapshot_t *to;
    const lti_snapshot_t *from;
    uint32_t *owners; /* of each chunk of `to`: number of the course that wrote it last + 1 */
} copying_t;

static void copy_chunk(const copying_t *copying, uint32_t number)
{
    lti_word_t *to = lti_chunk_at(copying->to, number), *from = lti_chunk_at(copying->from, number);
    int i;

    for (i = 0; i < CHUNK_WORDS; i++)
        lti_word_put(&to[i], lti_word_get(&from[i]));
}

/* Each chunk to the same number. 0 if one has no place there or the chain is none; whatever was copied then is never looked at. */
static int copy_chain(const copying_t *copying, const noted_t *noted)
{
    uint32_t number = noted->slot.head, count = 0, wanted;
    uint32_t limit = copying->to->chunk_count < copying->from->chunk_count ? copying->to->chunk_count : copying->from->chunk_count;

    if (number >= limit)
        return 0;
    wanted = lti_word_high(lti_word_get(&lti_chunk_at(copying->from, number)[HEAD_COUNTS]));
    while (number != CHUNK_NONE) {
        if (number >= limit || copying->owners[number] == noted->number + 1)
            return 0;
        copy_chunk(copying, number);
        copying->owners[number] = noted->number + 1;
        number = lti_word_low(lti_word_get(&lti_chunk_at(copying->to, number)[CHUNK_LINK]));
        count++;
    }
    return count == wanted;
}

/* Its chunks are still its own: the old writer may have given them to another course, which was copied after it. */
static int owns_chain(const copying_t *copying, const noted_t *noted)
{
    uint32_t number = noted->slot.head;

    if (number == HEAD_ABSENT)
        return 1;
    while (number != CHUNK_NONE) {
        if (copying->owners[number] != noted->number + 1)
            return 0;
        number = lti_word_low(lti_word_get(&lti_chunk_at(copying->to, number)[CHUNK_LINK]));
    }
    return 1;
}

/* Copies one course; 0 if there is nothing to take. */
static int note(noted_t *noted, const copying_t *copying, uint32_t number)
{
    *noted = (noted_t){.source = lti_slot_at(copying->from, number), .number = number};
    noted->sequence = atomic_load_explicit(&noted->source[SLOT_SEQUENCE], memory_order_acquire);
    if (noted->sequence == 0)
        return 0;
    lti_slot_read(&noted->slot, noted->source, noted->sequence);
    if (noted->slot.key[0] == 0 || noted->slot.head == HEAD_UNKNOWN)
        return 0;
    return noted->slot.head == HEAD_ABSENT || copy_chain(copying, noted);
}

static int take(const copying_t *copying, const noted_t *noted, uint32_t taken)
{
    lti_word_t *slot;

    if (lti_word_get(&noted->source[SLOT_SEQUENCE]) != noted->sequence || !owns_chain(copying, noted))
        return 0;
    if (taken >= SLOTS_TAKEN_MAX(copying->to->slot_count) || lti_slot_find(copying->to, noted->slot.key, &slot) != NULL ||
        slot == NULL)
        return 0;
    lti_slot_publish(slot, &noted->slot);
    return 1;
}

apr_uint32_t lti_snapshot_copy(lti_snapshot_t *to, const lti_snapshot_t *from)
{
    copying_t copying = {.to = to, .from = from, .owners = calloc(to->chunk_count, sizeof(*copying.owners))};
    noted_t *noted = calloc(from->slot_count, sizeof(*noted));
    uint32_t count = 0, known = 0, taken = 0, i;

    to->key = from->key;
    for (i = 0; i < from->slot_count; i++) {
        if (lti_word_get(&lti_slot_at(from, i)[SLOT_SEQUENCE]) == 0)
            continue;
        known++;
        if (noted != NULL && copying.owners != NULL)
            count += (uint32_t)note(&noted[count], &copying, i);
    }
    /* Whoever copied a word of a later roster sees the sequence that set its chunk free. */
    atomic_thread_fence(memory_order_acquire);
    for (i = 0; i < count; i++)
        taken += (uint32_t)take(&copying, &noted[i], taken);
    free(noted);
    free(copying.owners);
    return known - taken;
}
