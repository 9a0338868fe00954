/* SPDX-License-Identifier: Apache-2.0 */
/* Courses, members and the difference between the stored roster and the one that a run reads. */
#include "lti_roster.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "lti_crypto.h"
#include "lti_hash.h"

const char *lti_member_status_word(lti_member_status_t status)
{
    switch (status) {
    case LTI_MEMBER_ACTIVE:
        return "active";
    case LTI_MEMBER_INACTIVE:
        return "inactive";
    case LTI_MEMBER_LEFT:
        return "left";
    }
    return "unknown";
}

const char *lti_roster_state_word(lti_roster_state_t state)
{
    switch (state) {
    case LTI_ROSTER_NONE:
        return "none";
    case LTI_ROSTER_PENDING:
        return "pending";
    case LTI_ROSTER_CURRENT:
        return "current";
    case LTI_ROSTER_FAILING:
        return "failing";
    case LTI_ROSTER_HELD:
        return "held";
    case LTI_ROSTER_STALE:
        return "stale";
    case LTI_ROSTER_UNAVAILABLE:
        break;
    }
    return "unavailable";
}

/* The first bytes of SHA-256. Where OpenSSL fails the result is random: equal to nothing, so that a run rather writes too much and
 * two runs rather disagree than the other way round. */
static void digest_pieces(unsigned char digest[LTI_DIGEST_SIZE], const lti_bytes_t *pieces, int count)
{
    unsigned char full[LTI_SHA256_SIZE];

    if (lti_sha256_pieces(full, pieces, count) != APR_SUCCESS)
        (void)lti_crypto_random(full, sizeof(full), NULL);
    memcpy(digest, full, LTI_DIGEST_SIZE);
}

/* Lists are never empty: no bytes stand for none. */
static lti_bytes_t optional_piece(const char *list)
{
    return (lti_bytes_t){list != NULL ? list : "", list != NULL ? strlen(list) : 0};
}

void lti_member_digest(unsigned char digest[LTI_DIGEST_SIZE], const lti_member_t *member)
{
    const char *texts[] = {member->user_id, member->name,      member->given_name, member->family_name,
                           member->email,   member->sourcedid, member->roles};
    const int count = (int)(sizeof(texts) / sizeof(texts[0]));
    unsigned char present[sizeof(texts) / sizeof(texts[0]) + 1];
    lti_bytes_t pieces[sizeof(texts) / sizeof(texts[0]) + 3];
    int i;

    /* One more piece says which texts exist at all: an absent name is not an empty one. */
    for (i = 0; i < count; i++) {
        present[i] = texts[i] != NULL;
        pieces[i].data = texts[i] ? texts[i] : "";
        pieces[i].size = texts[i] ? strlen(texts[i]) : 0;
    }
    present[count] = (unsigned char)member->status;
    pieces[count].data = present;
    pieces[count].size = sizeof(present);
    pieces[count + 1] = optional_piece(member->sections);
    pieces[count + 2] = optional_piece(member->groups);
    /* Where a platform tells of neither, nothing is added. */
    digest_pieces(digest, pieces, member->sections != NULL || member->groups != NULL ? count + 3 : count + 1);
}

/* --- the difference ----------------------------------------------------------------------------------------------- */

#define ID_BLOCK 65536 /* an entry names its id by block and place, 16 bits each */
#define FIRST_ENTRIES 64
#define ENTRIES_MAX (16 * LTI_MEMBERS_MAX) /* known, left and named together: only a bound against overflow */

typedef struct entry_t {
    uint32_t id; /* block << 16 | place */
    unsigned char digest[LTI_DIGEST_SIZE];
    uint8_t known; /* lti_member_status_t as stored, 0: not stored */
    uint8_t staged : 1;
    uint8_t deleted : 1; /* named as gone, in a partial walk */
    uint16_t walk; /* the last that named them, 0: none of this run */
} entry_t;

_Static_assert(sizeof(entry_t) == 24, "a course of 100,000 is held in memory");

/* Ids stand in blocks, entries in one array, and `places` finds an entry by its id: hash << 32 | (entry + 1), 0 = free. All of it
 * is taken by malloc, because a pool would keep every smaller array until the run ends. */
struct lti_diff_t {
    apr_pool_t *pool;
    lti_hash_key_t key;
    entry_t *entries;
    uint32_t count, room;
    uint64_t *places;
    uint32_t mask; /* places - 1 */
    char **blocks;
    uint32_t block_count, block_room;
    uint32_t block_used; /* bytes of the last block */
    int walks;
    int partial;
    int named; /* by the present walk */
    int staged;
    int broken; /* memory ran out, or an id that cannot be: the run must not be believed */
};

static apr_status_t diff_cleanup(void *data)
{
    lti_diff_t *diff = data;
    uint32_t i;

    for (i = 0; i < diff->block_count; i++)
        free(diff->blocks[i]);
    free(diff->blocks);
    free(diff->entries);
    free(diff->places);
    return APR_SUCCESS;
}

lti_diff_t *lti_diff_create(apr_pool_t *p)
{
    lti_diff_t *diff = apr_pcalloc(p, sizeof(*diff));
    unsigned char bytes[sizeof(diff->key)];

    diff->pool = p;
    if (lti_crypto_random(bytes, sizeof(bytes), NULL) == APR_SUCCESS)
        memcpy(&diff->key, bytes, sizeof(bytes));
    else
        diff->broken = 1; /* without a secret key the table could be flooded */
    apr_pool_cleanup_register(p, diff, diff_cleanup, apr_pool_cleanup_null);
    return diff;
}

static const char *entry_id(const lti_diff_t *diff, const entry_t *entry)
{
    return diff->blocks[entry->id >> 16] + (entry->id & 0xFFFF);
}

/* Room for one more entry: the array and the table of places double together, so that at least half of the places are free. */
static int grow(lti_diff_t *diff)
{
    uint32_t room = diff->room ? diff->room * 2 : FIRST_ENTRIES;
    uint32_t mask = room * 2 - 1, i, at;
    entry_t *entries;
    uint64_t *places;

    if (room > ENTRIES_MAX)
        return 0;
    entries = realloc(diff->entries, room * sizeof(*entries));
    if (entries == NULL)
        return 0;
    diff->entries = entries;
    places = calloc((size_t)mask + 1, sizeof(*places));
    if (places == NULL)
        return 0;
    for (i = 0; diff->places != NULL && i <= diff->mask; i++) {
        if (diff->places[i] == 0)
            continue;
        for (at = (uint32_t)(diff->places[i] >> 32) & mask; places[at] != 0; at = (at + 1) & mask)
            ;
        places[at] = diff->places[i];
    }
    free(diff->places);
    diff->places = places;
    diff->mask = mask;
    diff->room = room;
    return 1;
}

/* Copies the id into the last block, or a new one. */
static int keep_id(uint32_t *id, lti_diff_t *diff, const char *text, size_t size)
{
    char **blocks;

    if (diff->block_count == 0 || diff->block_used + size > ID_BLOCK) {
        if (diff->block_count == diff->block_room) {
            uint32_t room = diff->block_room ? diff->block_room * 2 : 16;

            if (room > 65536 || (blocks = realloc(diff->blocks, room * sizeof(*blocks))) == NULL)
                return 0;
            diff->blocks = blocks;
            diff->block_room = room;
        }
        if ((diff->blocks[diff->block_count] = malloc(ID_BLOCK)) == NULL)
            return 0;
        diff->block_count++;
        diff->block_used = 0;
    }
    memcpy(diff->blocks[diff->block_count - 1] + diff->block_used, text, size);
    *id = (diff->block_count - 1) << 16 | diff->block_used;
    diff->block_used += (uint32_t)size;
    return 1;
}

/* The entry of `user_id`; if there is none, a new one where `add`, else NULL. NULL with `broken` set if memory ran out. */
static entry_t *entry_of(lti_diff_t *diff, const char *user_id, int add)
{
    size_t length = strlen(user_id);
    uint32_t hash = (uint32_t)lti_hash(&diff->key, user_id, length);
    uint32_t at = 0;
    entry_t *entry;

    if (diff->places != NULL) {
        for (at = hash & diff->mask; diff->places[at] != 0; at = (at + 1) & diff->mask) {
            entry = &diff->entries[(uint32_t)diff->places[at] - 1];
            if ((uint32_t)(diff->places[at] >> 32) == hash && strcmp(entry_id(diff, entry), user_id) == 0)
                return entry;
        }
    }
    if (!add)
        return NULL;
    if (diff->count == diff->room || diff->places == NULL) {
        if (!grow(diff)) {
            diff->broken = 1;
            return NULL;
        }
        for (at = hash & diff->mask; diff->places[at] != 0; at = (at + 1) & diff->mask)
            ;
    }
    entry = &diff->entries[diff->count];
    memset(entry, 0, sizeof(*entry));
    if (length >= ID_BLOCK || !keep_id(&entry->id, diff, user_id, length + 1)) {
        diff->broken = 1;
        return NULL;
    }
    diff->places[at] = (uint64_t)hash << 32 | ++diff->count;
    return entry;
}

void lti_diff_known(lti_diff_t *diff, const char *user_id, const unsigned char digest[LTI_DIGEST_SIZE], lti_member_status_t status)
{
    entry_t *entry = entry_of(diff, user_id, 1);

    if (entry == NULL)
        return;
    entry->known = (uint8_t)status;
    memcpy(entry->digest, digest, LTI_DIGEST_SIZE);
}

void lti_diff_begin_walk(lti_diff_t *diff)
{
    diff->walks++;
    diff->named = 0;
}

static int is_as_stored(const entry_t *entry, const lti_member_t *member)
{
    unsigned char digest[LTI_DIGEST_SIZE];

    if (entry->known != (uint8_t)member->status || entry->known == LTI_MEMBER_LEFT)
        return 0;
    lti_member_digest(digest, member);
    return memcmp(digest, entry->digest, LTI_DIGEST_SIZE) == 0;
}

void lti_diff_partial(lti_diff_t *diff, int partial)
{
    diff->partial = partial;
}

void lti_diff_deleted(lti_diff_t *diff, const char *user_id)
{
    entry_t *entry = entry_of(diff, user_id, 0);

    if (entry != NULL)
        entry->deleted = 1;
}

lti_diff_verdict_t lti_diff_member(lti_diff_t *diff, const lti_member_t *member)
{
    entry_t *entry;

    if (diff->walks == 0)
        lti_diff_begin_walk(diff);
    entry = entry_of(diff, member->user_id, diff->named < LTI_MEMBERS_MAX);
    if (entry == NULL || diff->broken)
        return LTI_DIFF_FULL;
    if (entry->walk != (uint16_t)diff->walks) {
        if (diff->named >= LTI_MEMBERS_MAX)
            return LTI_DIFF_FULL;
        entry->walk = (uint16_t)diff->walks;
        diff->named++;
    }
    entry->deleted = 0;
    if (entry->staged)
        return LTI_DIFF_RESTAGE;
    if (is_as_stored(entry, member))
        return LTI_DIFF_SAME;
    entry->staged = 1;
    diff->staged++;
    return LTI_DIFF_STAGE;
}

static int is_missing(const lti_diff_t *diff, const entry_t *entry)
{
    if (diff->partial)
        return entry->deleted && (entry->staged || entry->known == LTI_MEMBER_ACTIVE || entry->known == LTI_MEMBER_INACTIVE);
    return (entry->known == LTI_MEMBER_ACTIVE || entry->known == LTI_MEMBER_INACTIVE) && entry->walk == 0;
}

static int compare_ids(const void *a, const void *b)
{
    const lti_bytes_t *left = a, *right = b;

    return strcmp(left->data, right->data);
}

/* Sorted, so that two runs agree whatever the order in which they met the people. */
static void digest_missing(unsigned char digest[LTI_DIGEST_SIZE], const lti_diff_t *diff, int missing)
{
    lti_bytes_t *pieces;
    apr_pool_t *scratch;
    uint32_t i;
    int count = 0;

    apr_pool_create(&scratch, diff->pool);
    pieces = apr_palloc(scratch, sizeof(*pieces) * ((size_t)missing + 1));
    for (i = 0; i < diff->count; i++) {
        if (is_missing(diff, &diff->entries[i])) {
            pieces[count].data = entry_id(diff, &diff->entries[i]);
            pieces[count].size = strlen(pieces[count].data);
            count++;
        }
    }
    qsort(pieces, (size_t)count, sizeof(*pieces), compare_ids);
    digest_pieces(digest, pieces, count);
    apr_pool_destroy(scratch);
}

void lti_diff_summarize(lti_diff_summary_t *out, const lti_diff_t *diff)
{
    uint32_t i;

    memset(out, 0, sizeof(*out));
    out->walks = diff->walks;
    out->named = diff->named;
    out->staged = diff->staged;
    for (i = 0; i < diff->count; i++) {
        const entry_t *entry = &diff->entries[i];

        out->was_active += entry->known == LTI_MEMBER_ACTIVE;
        if (is_missing(diff, entry)) {
            out->missing++;
            out->missing_active += entry->known == LTI_MEMBER_ACTIVE;
        }
    }
    digest_missing(out->missing_digest, diff, out->missing);
}

apr_status_t lti_diff_each_missing(const lti_diff_t *diff, apr_status_t (*fn)(void *baton, const char *user_id), void *baton)
{
    apr_status_t rv;
    uint32_t i;

    for (i = 0; i < diff->count; i++) {
        if (is_missing(diff, &diff->entries[i]) && (rv = fn(baton, entry_id(diff, &diff->entries[i]))) != APR_SUCCESS)
            return rv;
    }
    return APR_SUCCESS;
}
