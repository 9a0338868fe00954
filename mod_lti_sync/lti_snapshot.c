/* SPDX-License-Identifier: Apache-2.0 */
/* A segment of rosters: laying it out, reading it without a lock, checking it. */
#include "lti_snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <apr.h>
#include "lti_crypto.h"
#include "lti_snapshot_layout.h"

#define TRIES 3

static uintptr_t align(uintptr_t address, uintptr_t boundary)
{
    return (address + boundary - 1) / boundary * boundary;
}

apr_status_t lti_snapshot_format(lti_snapshot_t **snapshot, void *block, apr_size_t size, apr_pool_t *p, lti_err_t *err)
{
    uintptr_t start = align((uintptr_t)block, SLOT_SIZE), end = (uintptr_t)block + size;
    lti_snapshot_t *made = apr_pcalloc(p, sizeof(*made));
    unsigned char key[sizeof(made->key)];
    uint64_t room, chunks;
    apr_status_t rv;

    if (size < LTI_SNAPSHOT_MIN_SIZE)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL,
                        "shared memory of %" APR_SIZE_T_FMT " bytes is too small: set LTISharedMemory to at least %d M", size,
                        LTI_SNAPSHOT_MIN_SIZE / (1024 * 1024));
    rv = lti_crypto_random(key, sizeof(key), err);
    if (rv != APR_SUCCESS)
        return rv;
    memcpy(&made->key, key, sizeof(key));
    /* One chunk is left over for the alignment of the first one. */
    room = end - start - HEADER_WORDS * WORD_SIZE - LTI_CHUNK_SIZE;
    chunks = room / (LTI_CHUNK_SIZE + SLOTS_PER_CHUNK * SLOT_SIZE);
    if (chunks > CHUNKS_MAX)
        chunks = CHUNKS_MAX;
    made->bytes = size;
    made->chunk_count = (uint32_t)chunks;
    made->slot_count = made->chunk_count * SLOTS_PER_CHUNK;
    made->header = (lti_word_t *)start;
    made->slots = made->header + HEADER_WORDS;
    made->chunks = (lti_word_t *)align((uintptr_t)(made->slots + (size_t)made->slot_count * SLOT_WORDS), LTI_CHUNK_SIZE);
    memset((void *)start, 0, (HEADER_WORDS + (size_t)made->slot_count * SLOT_WORDS) * WORD_SIZE);
    lti_word_put(&made->header[HEADER_BYTES], size);
    lti_word_put(&made->header[HEADER_SLOTS], made->slot_count);
    lti_word_put(&made->header[HEADER_CHUNKS], made->chunk_count);
    lti_word_put(&made->header[HEADER_MAGIC], SEGMENT_MAGIC);
    *snapshot = made;
    return APR_SUCCESS;
}

/* --- slots -------------------------------------------------------------------------------------------------------- */

int lti_slot_key(uint64_t words[KEY_WORDS], const char *course_key)
{
    size_t length = course_key ? strnlen(course_key, KEY_BYTES + 1) : 0;

    if (length == 0 || length > KEY_BYTES)
        return 0;
    memset(words, 0, KEY_BYTES);
    memcpy(words, course_key, length);
    return 1;
}

static uint32_t first_place(const lti_snapshot_t *snapshot, const uint64_t key[KEY_WORDS])
{
    return lti_place_of((uint32_t)lti_hash(&snapshot->key, key, KEY_BYTES), snapshot->slot_count);
}

static lti_word_t *find_from(const lti_snapshot_t *snapshot, const uint64_t key[KEY_WORDS], uint32_t place, lti_word_t **free_slot)
{
    uint32_t probes;

    if (free_slot != NULL)
        *free_slot = NULL;
    for (probes = 0; probes < snapshot->slot_count; probes++) {
        lti_word_t *slot = lti_slot_at(snapshot, place);
        uint64_t first = lti_word_get(&slot[SLOT_KEY]);

        if (first == key[0] && lti_word_get(&slot[SLOT_KEY + 1]) == key[1])
            return slot;
        if (first == 0) {
            if (free_slot != NULL)
                *free_slot = slot;
            return NULL;
        }
        if (++place == snapshot->slot_count)
            place = 0;
    }
    return NULL;
}

lti_word_t *lti_slot_find(const lti_snapshot_t *snapshot, const uint64_t key[KEY_WORDS], lti_word_t **free_slot)
{
    return find_from(snapshot, key, first_place(snapshot, key), free_slot);
}

void lti_slot_read(lti_slot_t *out, lti_word_t *slot, uint64_t sequence)
{
    lti_word_t *copy = lti_copy_at(slot, sequence);
    uint64_t standing = lti_word_get(&copy[COPY_STANDING]), roster = lti_word_get(&copy[COPY_ROSTER]);

    out->key[0] = lti_word_get(&slot[SLOT_KEY]);
    out->key[1] = lti_word_get(&slot[SLOT_KEY + 1]);
    out->version = (int64_t)lti_word_get(&copy[COPY_VERSION]);
    out->succeeded_at = (int64_t)lti_word_get(&copy[COPY_SUCCEEDED]);
    out->stale_at = (int64_t)lti_word_get(&copy[COPY_STALE]);
    out->active = lti_word_low(standing);
    out->state = lti_word_high(standing);
    out->head = lti_word_low(roster);
    out->places = lti_word_high(roster);
    out->counts = lti_word_get(&copy[COPY_COUNTS]);
}

/* 0: nothing was published here yet. */
static uint64_t slot_enter(lti_word_t *slot)
{
    return atomic_load_explicit(&slot[SLOT_SEQUENCE], memory_order_acquire);
}

/* 1 if everything loaded since slot_enter() belongs together: the fence keeps those loads before this one. */
static int slot_unchanged(lti_word_t *slot, uint64_t sequence)
{
    atomic_thread_fence(memory_order_acquire);
    return lti_word_get(&slot[SLOT_SEQUENCE]) == sequence;
}

/* --- looking up --------------------------------------------------------------------------------------------------- */

typedef struct wanted_t {
    uint64_t words[(LTI_ID_MAX + WORD_SIZE) / WORD_SIZE];
    uint32_t length;
    uint32_t count; /* words of the id */
    uint64_t hash;
} wanted_t;

static int want(wanted_t *wanted, const lti_snapshot_t *snapshot, const char *user_id)
{
    size_t length = user_id ? strnlen(user_id, LTI_ID_MAX + 1) : 0;

    if (length == 0 || length > LTI_ID_MAX)
        return 0;
    wanted->length = (uint32_t)length;
    wanted->count = lti_words_for(wanted->length);
    wanted->words[wanted->count - 1] = 0;
    memcpy(wanted->words, user_id, length);
    wanted->hash = lti_hash(&snapshot->key, user_id, length);
    return 1;
}

/* Copies as much of a role set as the answer holds; a role is never cut in the middle. */
static void read_roles(lti_snapshot_member_t *member, lti_cursor_t *cursor)
{
    uint64_t length = lti_cursor_next(cursor), word;
    uint32_t size = length > LTI_SNAPSHOT_ROLES_MAX ? LTI_SNAPSHOT_ROLES_MAX + 1 : (uint32_t)length, at;

    for (at = 0; at < size && !cursor->broken; at += WORD_SIZE) {
        word = lti_cursor_next(cursor);
        memcpy(member->roles + at, &word, size - at < WORD_SIZE ? size - at : WORD_SIZE);
    }
    if (size > LTI_SNAPSHOT_ROLES_MAX) {
        size = LTI_SNAPSHOT_ROLES_MAX;
        while (size > 0 && member->roles[size] != ' ')
            size--;
    }
    member->roles[size] = '\0';
    member->roles_length = (int)(length & INT32_MAX);
}

/* Is the record at `cursor` that of the wanted person? Then `member` (may be NULL) is filled. */
static int read_record(lti_snapshot_member_t *member, lti_cursor_t *cursor, const wanted_t *wanted)
{
    uint64_t first = lti_cursor_next(cursor);
    uint32_t i;

    if (((uint32_t)first >> 16) != wanted->length)
        return 0;
    for (i = 0; i < wanted->count; i++) {
        if (lti_cursor_next(cursor) != wanted->words[i])
            return 0;
    }
    if (cursor->broken || member == NULL)
        return !cursor->broken;
    member->status = (lti_member_status_t)(first & 0xFF);
    member->role = (lti_role_t)(first >> 8 & 0xFF);
    member->status_at = (apr_time_t)lti_cursor_next(cursor);
    member->role_at = (apr_time_t)lti_cursor_next(cursor);
    member->roles_length = 0;
    member->roles[0] = '\0';
    if (member->role_at != 0) {
        *cursor = lti_cursor_at(cursor->snapshot, lti_word_high(first));
        read_roles(member, cursor);
    }
    return !cursor->broken;
}

/* Searches one state of a roster. LTI_SNAPSHOT_UNKNOWN if it turns out that the writer has been here. */
static lti_snapshot_result_t find_person(lti_snapshot_member_t *member, const lti_snapshot_t *snapshot, const lti_slot_t *read,
                                         lti_word_t *slot, uint64_t sequence, const wanted_t *wanted)
{
    lti_word_t *head = lti_chunk_at(snapshot, read->head), *word = NULL, *end = NULL;
    uint32_t place = lti_place_of((uint32_t)wanted->hash, read->places), probes;

    for (probes = 0; probes < read->places; probes++, word++) {
        uint64_t entry;

        /* A new stretch of the index: the first, the next chunk, or from the end back to the beginning. What a roster has become in
         * the meantime must not keep us: so look at the sequence here as well. */
        if (word == end) {
            uint32_t in_chunk = read->places <= INDEX_INLINE ? place : place % INDEX_PER_CHUNK;
            uint32_t left = read->places - place;

            word = lti_index_at(snapshot, head, read->places, place);
            if (word == NULL || (probes > 0 && !slot_unchanged(slot, sequence)))
                return LTI_SNAPSHOT_UNKNOWN;
            if (read->places > INDEX_INLINE && left > INDEX_PER_CHUNK - in_chunk)
                left = INDEX_PER_CHUNK - in_chunk;
            end = word + left;
            place = place + left == read->places ? 0 : place + left;
        }
        entry = lti_word_get(word);
        if (entry == 0)
            return LTI_SNAPSHOT_NO_MEMBER;
        if (lti_word_high(entry) == lti_word_high(wanted->hash)) {
            lti_cursor_t cursor = lti_cursor_at(snapshot, lti_word_low(entry));

            if (read_record(member, &cursor, wanted))
                return LTI_SNAPSHOT_MEMBER;
            if (cursor.broken)
                return LTI_SNAPSHOT_UNKNOWN;
        }
    }
    return LTI_SNAPSHOT_NO_MEMBER;
}

static int is_roster(const lti_snapshot_t *snapshot, const lti_slot_t *read)
{
    return read->head < snapshot->chunk_count && read->places > 0 && read->places <= INDEX_MAX;
}

lti_snapshot_result_t lti_snapshot_lookup(const lti_snapshot_t *snapshot, const char *course_key, const char *user_id,
                                          lti_snapshot_course_t *course, lti_snapshot_member_t *member)
{
    uint64_t key[KEY_WORDS], sequence;
    wanted_t wanted;
    lti_word_t *slot;
    uint32_t place;
    int tries, person;

    if (!lti_slot_key(key, course_key))
        return LTI_SNAPSHOT_UNKNOWN;
    /* Of all courses this one's slot is hardly in a cache: it can come while the id is being hashed. */
    place = first_place(snapshot, key);
    __builtin_prefetch((const void *)lti_slot_at(snapshot, place));
    __builtin_prefetch((const void *)(lti_slot_at(snapshot, place) + SLOT_WORDS / 2));
    person = want(&wanted, snapshot, user_id);
    if ((slot = find_from(snapshot, key, place, NULL)) == NULL)
        return LTI_SNAPSHOT_UNKNOWN;
    for (tries = 0; tries < TRIES; tries++) {
        lti_snapshot_result_t result = LTI_SNAPSHOT_UNKNOWN;
        lti_slot_t read;

        if ((sequence = slot_enter(slot)) == 0)
            break;
        lti_slot_read(&read, slot, sequence);
        if (read.head == HEAD_ABSENT)
            result = LTI_SNAPSHOT_NO_ROSTER;
        else if (is_roster(snapshot, &read))
            result = person ? find_person(member, snapshot, &read, slot, sequence, &wanted) : LTI_SNAPSHOT_NO_MEMBER;
        if (!slot_unchanged(slot, sequence))
            continue;
        /* When the slot was found it may just have been getting its key, and a shorter key looks like half of it. */
        if (read.key[0] != key[0] || read.key[1] != key[1])
            return LTI_SNAPSHOT_UNKNOWN;
        if (course != NULL) {
            course->version = read.version;
            course->active = read.active;
            course->state = (lti_roster_state_t)read.state;
            course->succeeded_at = read.succeeded_at;
            course->stale_at = read.stale_at;
        }
        return result;
    }
    return LTI_SNAPSHOT_UNKNOWN;
}

apr_int64_t lti_snapshot_version(const lti_snapshot_t *snapshot, const char *course_key)
{
    uint64_t key[KEY_WORDS], sequence;
    lti_word_t *slot;
    lti_slot_t read;
    int tries;

    if (!lti_slot_key(key, course_key) || (slot = lti_slot_find(snapshot, key, NULL)) == NULL)
        return -1;
    for (tries = 0; tries < TRIES; tries++) {
        if ((sequence = slot_enter(slot)) == 0)
            break;
        lti_slot_read(&read, slot, sequence);
        if (slot_unchanged(slot, sequence))
            return is_roster(snapshot, &read) ? read.version : -1;
    }
    return -1;
}

int lti_snapshot_roles(apr_uint32_t counts[LTI_SNAPSHOT_ROLES], const lti_snapshot_t *snapshot, const char *course_key)
{
    uint64_t key[KEY_WORDS], sequence, words[ROLE_WORDS];
    lti_word_t *slot;
    lti_slot_t read;
    int tries, i;

    if (!lti_slot_key(key, course_key) || (slot = lti_slot_find(snapshot, key, NULL)) == NULL)
        return 0;
    for (tries = 0; tries < TRIES; tries++) {
        if ((sequence = slot_enter(slot)) == 0)
            break;
        lti_slot_read(&read, slot, sequence);
        for (i = 0; is_roster(snapshot, &read) && i < ROLE_WORDS; i++)
            words[i] = lti_word_get(&lti_chunk_at(snapshot, read.head)[HEAD_ROLES + i]);
        if (!slot_unchanged(slot, sequence))
            continue;
        if (!is_roster(snapshot, &read))
            break;
        for (i = 0; i < LTI_SNAPSHOT_ROLES; i++)
            counts[i] = i % 2 ? lti_word_high(words[i / 2]) : lti_word_low(words[i / 2]);
        return 1;
    }
    return 0;
}

void lti_snapshot_usage(const lti_snapshot_t *snapshot, lti_snapshot_usage_t *usage)
{
    uint32_t i;

    memset(usage, 0, sizeof(*usage));
    usage->slots = snapshot->slot_count;
    usage->chunks = snapshot->chunk_count;
    for (i = 0; i < snapshot->slot_count; i++) {
        lti_word_t *slot = lti_slot_at(snapshot, i);
        uint64_t sequence = slot_enter(slot);
        lti_slot_t read;

        if (lti_word_get(&slot[SLOT_KEY]) == 0)
            continue;
        usage->slots_used++;
        if (sequence == 0)
            continue;
        lti_slot_read(&read, slot, sequence);
        if (!slot_unchanged(slot, sequence))
            continue;
        usage->members += lti_word_low(read.counts);
        usage->chunks_used += lti_word_high(read.counts);
        if (lti_word_high(read.counts) > usage->largest)
            usage->largest = lti_word_high(read.counts);
    }
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

typedef struct check_t {
    const lti_snapshot_t *snapshot;
    uint32_t *owner; /* of each chunk: the head of its roster + 1, 0: free */
    lti_err_t *err;
    uint32_t slot;
    uint32_t head;
    uint32_t places;
    uint32_t roles[LTI_SNAPSHOT_ROLES]; /* of the active people that were found in this roster */
} check_t;

#define damaged(check, ...) lti_fail((check)->err, LTI_E_INTERNAL, APR_EGENERAL, "shared memory is damaged: slot %u: " __VA_ARGS__)

/* Walks the chain: as long as it says, within the segment, and no chunk in two rosters or twice in one. */
static apr_status_t check_chain(check_t *check)
{
    lti_word_t *head = lti_chunk_at(check->snapshot, check->head);
    uint32_t wanted = lti_word_high(lti_word_get(&head[HEAD_COUNTS])), number = check->head, count = 0;

    while (number != CHUNK_NONE) {
        uint64_t link;

        if (number >= check->snapshot->chunk_count)
            return damaged(check, "its chain leads to chunk %u", check->slot, number);
        if (check->owner[number] != 0)
            return damaged(check, "chunk %u is in two places", check->slot, number);
        check->owner[number] = check->head + 1;
        link = lti_word_get(&lti_chunk_at(check->snapshot, number)[CHUNK_LINK]);
        if (lti_word_high(link) != check->head)
            return damaged(check, "chunk %u says it belongs to %u", check->slot, number, lti_word_high(link));
        number = lti_word_low(link);
        count++;
    }
    if (count != wanted)
        return damaged(check, "its chain has %u chunks, not %u", check->slot, count, wanted);
    return APR_SUCCESS;
}

/* Reads on over `bytes` of text; 0 if that leaves the roster's own chunks. */
static int skip_text(const check_t *check, lti_cursor_t *cursor, uint32_t bytes)
{
    uint32_t i;

    for (i = lti_words_for(bytes); i > 0; i--)
        (void)lti_cursor_next(cursor);
    return !cursor->broken && check->owner[(uint32_t)((cursor->chunk - check->snapshot->chunks) / CHUNK_WORDS)] == check->head + 1;
}

static apr_status_t check_record(check_t *check, lti_cursor_t *cursor, uint64_t *hash)
{
    uint64_t first = lti_cursor_next(cursor), lengths, id[LTI_ID_MAX / WORD_SIZE + 1];
    uint32_t length = (uint32_t)first >> 16, bytes = 0, i;
    lti_cursor_t roles = lti_cursor_at(check->snapshot, lti_word_high(first));

    if (length == 0 || length > LTI_ID_MAX)
        return damaged(check, "an id of %u bytes", check->slot, length);
    if ((first & 0xFF) < LTI_MEMBER_ACTIVE || (first & 0xFF) > LTI_MEMBER_LEFT || (first >> 8 & 0xFF) > LTI_ROLE_ADMINISTRATOR)
        return damaged(check, "a status or role that does not exist", check->slot);
    check->roles[first >> 8 & 0xFF] += (first & 0xFF) == LTI_MEMBER_ACTIVE;
    for (i = 0; i < lti_words_for(length); i++)
        id[i] = lti_cursor_next(cursor);
    (void)lti_cursor_next(cursor);
    (void)lti_cursor_next(cursor);
    lengths = lti_cursor_next(cursor);
    for (i = 0; i < TEXTS; i++, lengths >>= TEXT_BITS)
        bytes += (lengths & TEXT_NULL) == TEXT_NULL ? 0 : (uint32_t)lengths & TEXT_NULL;
    if (!skip_text(check, cursor, bytes))
        return damaged(check, "a record leaves the roster", check->slot);
    /* Short enough to end inside the segment whatever the number says. */
    length = roles.broken ? 0 : (uint32_t)(lti_cursor_next(&roles) & 0xFFFFFF);
    if (!skip_text(check, &roles, length))
        return damaged(check, "a role set leaves the roster", check->slot);
    *hash = lti_hash(&check->snapshot->key, id, (uint32_t)first >> 16);
    return APR_SUCCESS;
}

static apr_status_t check_roles(const check_t *check)
{
    lti_word_t *head = lti_chunk_at(check->snapshot, check->head);
    int i;

    for (i = 0; i < LTI_SNAPSHOT_ROLES; i++) {
        uint64_t pair = lti_word_get(&head[HEAD_ROLES + i / 2]);

        if ((i % 2 ? lti_word_high(pair) : lti_word_low(pair)) != check->roles[i])
            return damaged(check, "%u people have the role %s, not as many as its head says", check->slot, check->roles[i],
                           lti_role_word((lti_role_t)i));
    }
    return APR_SUCCESS;
}

/* Every record is found where the search for its id begins, or after it without a gap. */
static apr_status_t check_index(check_t *check)
{
    lti_word_t *head = lti_chunk_at(check->snapshot, check->head), *word;
    uint32_t members = lti_word_low(lti_word_get(&head[HEAD_COUNTS])), place, from, found = 0;
    uint64_t hash = 0, entry;

    if (lti_word_low(lti_word_get(&head[HEAD_INDEX])) != check->places)
        return damaged(check, "its index has another size than its head says", check->slot);
    for (place = 0; place < check->places; place++) {
        lti_cursor_t cursor;
        apr_status_t rv;

        word = lti_index_at(check->snapshot, head, check->places, place);
        if (word == NULL || check->owner[(word - check->snapshot->chunks) / CHUNK_WORDS] != check->head + 1)
            return damaged(check, "its index leaves the roster", check->slot);
        if ((entry = lti_word_get(word)) == 0)
            continue;
        cursor = lti_cursor_at(check->snapshot, lti_word_low(entry));
        if (cursor.broken || check->owner[lti_word_low(entry) / CHUNK_WORDS] != check->head + 1)
            return damaged(check, "place %u leads out of the roster", check->slot, place);
        if ((rv = check_record(check, &cursor, &hash)) != APR_SUCCESS)
            return rv;
        if (lti_word_high(entry) != lti_word_high(hash))
            return damaged(check, "place %u has a wrong tag", check->slot, place);
        for (from = lti_place_of((uint32_t)hash, check->places); from != place; from = from + 1 == check->places ? 0 : from + 1) {
            word = lti_index_at(check->snapshot, head, check->places, from);
            if (word == NULL || lti_word_get(word) == 0)
                return damaged(check, "place %u cannot be reached", check->slot, place);
        }
        found++;
    }
    if (found != members || members == check->places)
        return damaged(check, "its index has %u people, not %u", check->slot, found, members);
    return check_roles(check);
}

static apr_status_t check_slot(check_t *check)
{
    lti_word_t *slot = lti_slot_at(check->snapshot, check->slot);
    uint64_t sequence = lti_word_get(&slot[SLOT_SEQUENCE]);
    lti_slot_t read;
    apr_status_t rv;

    lti_slot_read(&read, slot, sequence);
    if (sequence == 0 && read.key[0] == 0)
        return APR_SUCCESS;
    if (sequence == 0)
        return damaged(check, "it has a key and nothing was published", check->slot);
    if (lti_slot_find(check->snapshot, read.key, NULL) != slot)
        return damaged(check, "its key cannot be found", check->slot);
    if (read.state > LTI_ROSTER_UNAVAILABLE)
        return damaged(check, "a state that does not exist", check->slot);
    if (read.head == HEAD_ABSENT || read.head == HEAD_UNKNOWN)
        return read.counts == 0 ? APR_SUCCESS : damaged(check, "it counts people without a roster", check->slot);
    if (!is_roster(check->snapshot, &read))
        return damaged(check, "no such head chunk or index", check->slot);
    if (read.counts != lti_word_get(&lti_chunk_at(check->snapshot, read.head)[HEAD_COUNTS]))
        return damaged(check, "it has other counts than its head", check->slot);
    check->head = read.head;
    check->places = read.places;
    memset(check->roles, 0, sizeof(check->roles));
    rv = check_chain(check);
    return rv == APR_SUCCESS ? check_index(check) : rv;
}

apr_status_t lti_snapshot_validate(const lti_snapshot_t *snapshot, lti_err_t *err)
{
    check_t check = {.snapshot = snapshot, .err = err};
    apr_status_t rv = APR_SUCCESS;

    if (lti_word_get(&snapshot->header[HEADER_MAGIC]) != SEGMENT_MAGIC ||
        lti_word_get(&snapshot->header[HEADER_BYTES]) != snapshot->bytes ||
        lti_word_get(&snapshot->header[HEADER_SLOTS]) != snapshot->slot_count ||
        lti_word_get(&snapshot->header[HEADER_CHUNKS]) != snapshot->chunk_count)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "shared memory is damaged: its header was overwritten");
    check.owner = calloc(snapshot->chunk_count, sizeof(*check.owner));
    if (check.owner == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory to check shared memory");
    for (check.slot = 0; check.slot < snapshot->slot_count && rv == APR_SUCCESS; check.slot++)
        rv = check_slot(&check);
    free(check.owner);
    return rv;
}
