/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of a segment of rosters: fills free chunks, publishes them, mends what a dead writer left. */
#include "lti_snapshot.h"

#include <string.h>
#include <apr_hash.h>
#include <apr_strings.h>
#include "lti_snapshot_layout.h"

#define MEGABYTE (1024 * 1024)
/* Places of an index: 3 of 4 places as planned, up to 7 of 8 if more people come than were expected. */
#define PLACES_FOR(members) ((members) + (members) / 3 + 8)
#define PLACES_TAKEN_MAX(places) ((places) - (places) / 8)

/* To estimate what a roster needs: from so many people on what was written says it, before that this rule of thumb. */
#define SAMPLE 100
#define MEMBERS_PER_CHUNK 24

/* The largest record: status word, id, two times, lengths, texts. */
#define RECORD_WORDS_MAX (4 + (LTI_ID_MAX + WORD_SIZE) / WORD_SIZE + TEXTS * (TEXT_MAX + WORD_SIZE) / WORD_SIZE)

typedef enum phase_t {
    PHASE_IDLE,
    PHASE_OPEN,
    PHASE_FAILED /* only abort or a new begin helps */
} phase_t;

/* A role set that stands in the roster that is open. */
typedef struct role_set_t {
    uint32_t reference;
    lti_role_t primary;
} role_set_t;

struct lti_snapshot_writer_t {
    const lti_snapshot_t *snapshot;
    uint32_t slots_taken;
    /* A stack of the free chunks. The open roster takes from its end and nothing is put back before it is closed: so what it took
     * still stands above `free_count`, up to `free_before`. */
    uint32_t *free_chunks;
    uint32_t free_count, free_before;

    phase_t phase;
    lti_slot_t next; /* what commit publishes */
    int expected;
    uint32_t members, role_set_count;
    uint32_t roles[ROLE_WORDS * 2]; /* active members by primary role */
    lti_word_t *head, *tail;        /* first chunk; the one that records are written to */
    uint32_t tail_number, at;
    uint32_t index_first;    /* first chunk of the index, CHUNK_NONE if it is inside the head */
    apr_pool_t *roster_pool; /* of the open roster */
    apr_hash_t *role_sets;   /* text -> role_set_t * */
    uint64_t record[RECORD_WORDS_MAX];
};

/* --- taking over -------------------------------------------------------------------------------------------------- */

static void read_slot(lti_slot_t *out, lti_word_t *slot)
{
    lti_slot_read(out, slot, lti_word_get(&slot[SLOT_SEQUENCE]));
}

/* Readers have the other copy until the sequence moves, in one store: there is
 * no moment at which they find nothing. The fence keeps that store before whatever is written afterwards, into the copy as well as
 * into the chunks that this sets free. */
void lti_slot_publish(lti_word_t *slot, const lti_slot_t *next)
{
    uint64_t sequence = lti_word_get(&slot[SLOT_SEQUENCE]) + 1;
    lti_word_t *copy = lti_copy_at(slot, sequence);

    lti_word_put(&copy[COPY_VERSION], (uint64_t)next->version);
    lti_word_put(&copy[COPY_SUCCEEDED], (uint64_t)next->succeeded_at);
    lti_word_put(&copy[COPY_STALE], (uint64_t)next->stale_at);
    lti_word_put(&copy[COPY_STANDING], lti_word_pair(next->active, next->state));
    lti_word_put(&copy[COPY_ROSTER], lti_word_pair(next->head, next->places));
    lti_word_put(&copy[COPY_COUNTS], next->counts);
    /* A slot keeps its key for ever: from the second time on this changes nothing. */
    lti_word_put(&slot[SLOT_KEY + 1], next->key[1]);
    lti_word_put(&slot[SLOT_KEY], next->key[0]);
    atomic_store_explicit(&slot[SLOT_SEQUENCE], sequence, memory_order_release);
    atomic_thread_fence(memory_order_release);
}

static void empty_slot(lti_slot_t *slot)
{
    slot->head = HEAD_UNKNOWN;
    slot->places = 0;
    slot->counts = 0;
    slot->version = 0;
}

/* Marks the chunks of a roster as taken; 0 if they cannot be its own. */
static int claim_chain(unsigned char *taken, const lti_snapshot_t *snapshot, uint32_t head)
{
    uint32_t number = head, count = 0;
    uint32_t wanted = head < snapshot->chunk_count ? lti_word_high(lti_word_get(&lti_chunk_at(snapshot, head)[HEAD_COUNTS])) : 0;

    for (; number != CHUNK_NONE; count++) {
        if (number >= snapshot->chunk_count || taken[number])
            break;
        taken[number] = 1;
        number = lti_word_low(lti_word_get(&lti_chunk_at(snapshot, number)[CHUNK_LINK]));
    }
    return number == CHUNK_NONE && count == wanted;
}

apr_status_t lti_snapshot_writer_create(lti_snapshot_writer_t **writer, lti_snapshot_t *snapshot, apr_pool_t *p, lti_err_t *err)
{
    lti_snapshot_writer_t *made = apr_pcalloc(p, sizeof(*made));
    unsigned char *taken;
    apr_pool_t *scratch;
    uint32_t i;

    if (lti_word_get(&snapshot->header[HEADER_MAGIC]) != SEGMENT_MAGIC)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "shared memory is damaged: its header was overwritten");
    made->snapshot = snapshot;
    made->free_chunks = apr_palloc(p, snapshot->chunk_count * sizeof(*made->free_chunks));
    apr_pool_create(&made->roster_pool, p);
    apr_pool_create(&scratch, p);
    taken = apr_pcalloc(scratch, snapshot->chunk_count);
    for (i = 0; i < snapshot->slot_count; i++) {
        lti_word_t *slot = lti_slot_at(snapshot, i);
        uint64_t sequence = atomic_load_explicit(&slot[SLOT_SEQUENCE], memory_order_acquire);
        lti_slot_t read;

        if (sequence == 0) {
            /* A writer may have died in its first publication, with the key half there. Readers stop at sequence 0. */
            lti_word_put(&slot[SLOT_KEY], 0);
            lti_word_put(&slot[SLOT_KEY + 1], 0);
            continue;
        }
        lti_slot_read(&read, slot, sequence);
        made->slots_taken++;
        if (read.head == HEAD_ABSENT || read.head == HEAD_UNKNOWN)
            continue;
        if (!claim_chain(taken, snapshot, read.head)) {
            /* Nothing of ours can do this. What it had claimed stays out of use: it may be another's. */
            empty_slot(&read);
            lti_slot_publish(slot, &read);
        }
    }
    for (i = snapshot->chunk_count; i > 0; i--) {
        if (!taken[i - 1])
            made->free_chunks[made->free_count++] = i - 1;
    }
    apr_pool_destroy(scratch);
    /* What the dead writer published comes before anything that is now written into chunks that it set free. */
    atomic_thread_fence(memory_order_seq_cst);
    *writer = made;
    return APR_SUCCESS;
}

/* --- when it does not fit ----------------------------------------------------------------------------------------- */

/* The figure is for what is known now: every roster that is here, this one whole, the largest once more, a quarter to grow. */
static apr_status_t chunks_full(lti_snapshot_writer_t *writer, lti_err_t *err)
{
    uint64_t taken = writer->free_before - writer->free_count, whole, published, have, need;
    uint64_t expected = writer->expected > 0 ? (uint64_t)writer->expected : 1;
    uint64_t index = PLACES_FOR(expected) / INDEX_PER_CHUNK + 1;
    lti_snapshot_usage_t usage;

    writer->phase = PHASE_FAILED;
    whole = index + expected / MEMBERS_PER_CHUNK + 1;
    if (writer->members >= SAMPLE && taken > index)
        whole = index + (taken - index) * expected / writer->members + 1;
    if (whole < taken + 1)
        whole = taken + 1;
    lti_snapshot_usage(writer->snapshot, &usage);
    published = writer->snapshot->chunk_count - writer->free_before;
    need = published + whole + (whole > usage.largest ? whole : usage.largest);
    have = writer->snapshot->bytes / MEGABYTE;
    need = lti_snapshot_megabytes(need + need / 4);
    return lti_fail(err, LTI_E_SNAPSHOT_FULL, APR_ENOSPC,
                    "shared memory is full: course %.*s with %d people does not fit beside the others; set LTISharedMemory to at "
                    "least %" APR_UINT64_T_FMT " M",
                    KEY_BYTES, (const char *)writer->next.key, writer->expected, need > have ? need : have + 1);
}

static apr_status_t slots_full(const lti_snapshot_writer_t *writer, lti_err_t *err)
{
    uint64_t slots = (uint64_t)writer->snapshot->slot_count * 3 / 2;

    return lti_fail(err, LTI_E_SNAPSHOT_FULL, APR_ENOSPC,
                    "shared memory has no room for more than %u courses; set LTISharedMemory to at least %" APR_UINT64_T_FMT " M",
                    SLOTS_TAKEN_MAX(writer->snapshot->slot_count), lti_snapshot_megabytes(slots / SLOTS_PER_CHUNK));
}

/* --- writing a roster --------------------------------------------------------------------------------------------- */

static uint32_t take_chunk(lti_snapshot_writer_t *writer)
{
    uint32_t number;

    if (writer->free_count == 0)
        return CHUNK_NONE;
    number = writer->free_chunks[--writer->free_count];
    /* The first one that a roster takes is its head. */
    lti_word_put(&lti_chunk_at(writer->snapshot, number)[CHUNK_LINK],
                 lti_word_pair(CHUNK_NONE, writer->free_chunks[writer->free_before - 1]));
    return number;
}

static void link_chunk(lti_word_t *chunk, uint32_t next)
{
    lti_word_put(&chunk[CHUNK_LINK], lti_word_pair(next, lti_word_high(lti_word_get(&chunk[CHUNK_LINK]))));
}

/* Appends a word to the records; 0 if there is no chunk left. */
static int put_word(lti_snapshot_writer_t *writer, uint64_t word)
{
    if (writer->at == CHUNK_WORDS) {
        uint32_t number = take_chunk(writer);

        if (number == CHUNK_NONE)
            return 0;
        link_chunk(writer->tail, number);
        writer->tail = lti_chunk_at(writer->snapshot, number);
        writer->tail_number = number;
        writer->at = 1;
    }
    lti_word_put(&writer->tail[writer->at++], word);
    return 1;
}

/* Where the next word will stand: not before the chunk is there, so that the reference never names a chunk's end. */
static int next_reference(uint32_t *reference, lti_snapshot_writer_t *writer)
{
    uint32_t at = writer->at;

    if (at == CHUNK_WORDS) {
        if (!put_word(writer, 0))
            return 0;
        writer->at = at = 1;
    }
    *reference = writer->tail_number * CHUNK_WORDS + at;
    return 1;
}

static void fill_slot(lti_slot_t *slot, const lti_course_t *course)
{
    slot->version = course->version;
    slot->succeeded_at = course->succeeded_at;
    slot->stale_at = course->stale_at;
    slot->active = course->active > 0 ? (uint32_t)course->active : 0;
    slot->state = (uint32_t)course->state;
}

/* An empty index: inside the head, or in chunks that the head lists. 0 if there are not enough. */
static int lay_index(lti_snapshot_writer_t *writer)
{
    uint32_t places = writer->next.places, chunks, i, word;
    uint32_t previous = CHUNK_NONE, number;

    if (places <= INDEX_INLINE) {
        for (i = 0; i < places; i++)
            lti_word_put(&writer->head[HEAD_WORDS + i], 0);
        writer->at = HEAD_WORDS + places;
        return 1;
    }
    chunks = (places + INDEX_PER_CHUNK - 1) / INDEX_PER_CHUNK;
    writer->at = HEAD_WORDS + (chunks + 1) / 2;
    for (i = 0; i < chunks; i++) {
        lti_word_t *listed = &writer->head[HEAD_WORDS + i / 2];

        if ((number = take_chunk(writer)) == CHUNK_NONE)
            return 0;
        for (word = 1; word < CHUNK_WORDS; word++)
            lti_word_put(&lti_chunk_at(writer->snapshot, number)[word], 0);
        lti_word_put(listed, i % 2 ? lti_word_pair(lti_word_low(lti_word_get(listed)), number) : lti_word_pair(number, CHUNK_NONE));
        if (previous == CHUNK_NONE)
            writer->index_first = number;
        else
            link_chunk(lti_chunk_at(writer->snapshot, previous), number);
        previous = number;
    }
    return 1;
}

apr_status_t lti_snapshot_begin(lti_snapshot_writer_t *writer, const lti_course_t *course, int members_expected, lti_err_t *err)
{
    uint64_t places = members_expected > 0 ? PLACES_FOR((uint64_t)members_expected) : PLACES_FOR(0);
    lti_word_t *free_slot;
    uint32_t number;

    if (writer->phase == PHASE_OPEN)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "a roster is being written already");
    lti_snapshot_abort(writer, 0); /* what failed before */
    if (!lti_slot_key(writer->next.key, course->key))
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "not a course key: %s", course->key ? course->key : "(none)");
    fill_slot(&writer->next, course);
    writer->expected = members_expected;
    writer->members = writer->role_set_count = 0;
    memset(writer->roles, 0, sizeof(writer->roles));
    writer->free_before = writer->free_count;
    writer->phase = PHASE_FAILED; /* until all is there: abort knows the course */
    if (places > INDEX_MAX)
        return lti_fail(err, LTI_E_SNAPSHOT_FULL, APR_ENOSPC,
                        "course %s has %d people, more than shared memory takes of one course", course->key, members_expected);
    if (lti_slot_find(writer->snapshot, writer->next.key, &free_slot) == NULL &&
        writer->slots_taken >= SLOTS_TAKEN_MAX(writer->snapshot->slot_count))
        return slots_full(writer, err);
    if ((number = take_chunk(writer)) == CHUNK_NONE)
        return chunks_full(writer, err);
    writer->next.head = writer->tail_number = number;
    writer->next.places = (uint32_t)places;
    writer->head = writer->tail = lti_chunk_at(writer->snapshot, number);
    writer->index_first = CHUNK_NONE;
    if (!lay_index(writer))
        return chunks_full(writer, err);
    writer->role_sets = apr_hash_make(writer->roster_pool);
    writer->phase = PHASE_OPEN;
    return APR_SUCCESS;
}

/* The role set of this text, written at its first use; NULL if there is no chunk left. */
static const role_set_t *role_set_of(lti_snapshot_writer_t *writer, const char *roles)
{
    apr_size_t length = strlen(roles), at;
    role_set_t *set = apr_hash_get(writer->role_sets, roles, (apr_ssize_t)length);
    uint64_t word;

    if (set != NULL)
        return set;
    set = apr_palloc(writer->roster_pool, sizeof(*set));
    set->primary = lti_role_primary(roles, NULL);
    if (!next_reference(&set->reference, writer) || !put_word(writer, length))
        return NULL;
    for (at = 0; at < length; at += WORD_SIZE) {
        word = 0;
        memcpy(&word, roles + at, length - at < WORD_SIZE ? length - at : WORD_SIZE);
        if (!put_word(writer, word))
            return NULL;
    }
    apr_hash_set(writer->role_sets, apr_pstrmemdup(writer->roster_pool, roles, length), (apr_ssize_t)length, set);
    writer->role_set_count++;
    return set;
}

/* Puts the record together in `writer->record`; returns its words, 0 if a text is longer than a record can say. */
static uint32_t build_record(lti_snapshot_writer_t *writer, const lti_member_t *member, uint32_t id_length, const role_set_t *set)
{
    const char *texts[TEXTS] = {member->name, member->given_name, member->family_name, member->email, member->sourcedid};
    uint64_t *record = writer->record, lengths = 0;
    uint32_t count = 1 + lti_words_for(id_length), i, bytes = 0;
    char *text;

    record[0] = (uint64_t)member->status | (uint64_t)set->primary << 8 | (uint64_t)id_length << 16 | (uint64_t)set->reference << 32;
    record[count - 1] = 0;
    memcpy(record + 1, member->user_id, id_length);
    record[count++] = (uint64_t)member->status_at;
    record[count++] = (uint64_t)member->role_at;
    text = (char *)(record + count + 1);
    for (i = 0; i < TEXTS; i++) {
        size_t length = texts[i] ? strnlen(texts[i], TEXT_MAX + 1) : TEXT_NULL;

        if (texts[i] != NULL && length > TEXT_MAX)
            return 0;
        lengths |= (uint64_t)length << (i * TEXT_BITS);
        if (texts[i] != NULL) {
            memcpy(text + bytes, texts[i], length);
            bytes += (uint32_t)length;
        }
    }
    record[count++] = lengths;
    memset(text + bytes, 0, (size_t)lti_words_for(bytes) * WORD_SIZE - bytes);
    return count + lti_words_for(bytes);
}

/* Is it this person's record? Then they are named twice. */
static int is_record_of(const lti_snapshot_t *snapshot, uint32_t reference, const char *user_id, uint32_t length)
{
    lti_cursor_t cursor = lti_cursor_at(snapshot, reference);
    uint32_t at;

    if (((uint32_t)lti_cursor_next(&cursor) >> 16) != length)
        return 0;
    for (at = 0; at < length; at += WORD_SIZE) {
        uint64_t word = lti_cursor_next(&cursor);

        if (memcmp(&word, user_id + at, length - at < WORD_SIZE ? length - at : WORD_SIZE) != 0)
            return 0;
    }
    return 1;
}

/* The free place for this person; NULL if the person is there already. */
static lti_word_t *free_place(const lti_snapshot_writer_t *writer, const char *user_id, uint32_t length, uint64_t hash)
{
    uint32_t places = writer->next.places, place = lti_place_of((uint32_t)hash, places);

    for (;;) {
        lti_word_t *word = lti_index_at(writer->snapshot, writer->head, places, place);
        uint64_t entry = lti_word_get(word);

        if (entry == 0)
            return word;
        if (lti_word_high(entry) == lti_word_high(hash) && is_record_of(writer->snapshot, lti_word_low(entry), user_id, length))
            return NULL;
        place = place + 1 == places ? 0 : place + 1;
    }
}

apr_status_t lti_snapshot_add(lti_snapshot_writer_t *writer, const lti_member_t *member, lti_err_t *err)
{
    size_t length = member->user_id ? strnlen(member->user_id, LTI_ID_MAX + 1) : 0;
    const role_set_t *set;
    uint32_t words, i, reference;
    lti_word_t *place;
    uint64_t hash;

    if (writer->phase != PHASE_OPEN)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "no roster is being written");
    writer->phase = PHASE_FAILED;
    if (length == 0 || length > LTI_ID_MAX || member->status < LTI_MEMBER_ACTIVE || member->status > LTI_MEMBER_LEFT)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "a member without a usable id or status");
    if (writer->members >= PLACES_TAKEN_MAX(writer->next.places))
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "more people than the %d that were expected", writer->expected);
    hash = lti_hash(&writer->snapshot->key, member->user_id, length);
    place = free_place(writer, member->user_id, (uint32_t)length, hash);
    if (place == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "person %s twice", member->user_id);
    set = role_set_of(writer, member->roles ? member->roles : "");
    if (set == NULL)
        return chunks_full(writer, err);
    if ((words = build_record(writer, member, (uint32_t)length, set)) == 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "person %s: a text of more than %u bytes", member->user_id, TEXT_MAX);
    if (!next_reference(&reference, writer))
        return chunks_full(writer, err);
    for (i = 0; i < words; i++) {
        if (!put_word(writer, writer->record[i]))
            return chunks_full(writer, err);
    }
    lti_word_put(place, lti_word_pair(reference, lti_word_high(hash)));
    writer->members++;
    writer->roles[set->primary] += member->status == LTI_MEMBER_ACTIVE;
    writer->phase = PHASE_OPEN;
    return APR_SUCCESS;
}

/* --- publishing --------------------------------------------------------------------------------------------------- */

/* The chunks of a roster that no slot names any more. */
static void free_chain(lti_snapshot_writer_t *writer, uint32_t head)
{
    while (head < writer->snapshot->chunk_count && writer->free_count < writer->snapshot->chunk_count) {
        writer->free_chunks[writer->free_count++] = head;
        head = lti_word_low(lti_word_get(&lti_chunk_at(writer->snapshot, head)[CHUNK_LINK]));
    }
}

/* Publishes `next` in the slot of its key, a new one if need be; the chunks that stood there are free. 0 if there is no slot. */
static int replace(lti_snapshot_writer_t *writer, const lti_slot_t *next)
{
    lti_word_t *free_slot, *slot = lti_slot_find(writer->snapshot, next->key, &free_slot);
    uint32_t old = HEAD_UNKNOWN;

    if (slot != NULL) {
        lti_slot_t present;

        read_slot(&present, slot);
        old = present.head;
    } else {
        if (free_slot == NULL || writer->slots_taken >= SLOTS_TAKEN_MAX(writer->snapshot->slot_count))
            return 0;
        writer->slots_taken++;
        slot = free_slot;
    }
    lti_slot_publish(slot, next);
    if (old != next->head)
        free_chain(writer, old);
    return 1;
}

apr_status_t lti_snapshot_commit(lti_snapshot_writer_t *writer, lti_err_t *err)
{
    int i;

    if (writer->phase != PHASE_OPEN)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "no roster is being written, or it failed");
    if (writer->index_first != CHUNK_NONE)
        link_chunk(writer->tail, writer->index_first);
    writer->next.counts = lti_word_pair(writer->members, writer->free_before - writer->free_count);
    lti_word_put(&writer->head[HEAD_COUNTS], writer->next.counts);
    lti_word_put(&writer->head[HEAD_INDEX], lti_word_pair(writer->next.places, writer->role_set_count));
    for (i = 0; i < ROLE_WORDS; i++)
        lti_word_put(&writer->head[HEAD_ROLES + i], lti_word_pair(writer->roles[2 * i], writer->roles[2 * i + 1]));
    if (!replace(writer, &writer->next)) {
        writer->phase = PHASE_FAILED;
        return slots_full(writer, err);
    }
    writer->phase = PHASE_IDLE;
    apr_pool_clear(writer->roster_pool);
    return APR_SUCCESS;
}

void lti_snapshot_abort(lti_snapshot_writer_t *writer, int drop)
{
    phase_t phase = writer->phase;
    lti_word_t *slot;
    lti_slot_t left;

    writer->phase = PHASE_IDLE;
    if (phase == PHASE_IDLE)
        return;
    writer->free_count = writer->free_before;
    apr_pool_clear(writer->roster_pool);
    slot = drop ? lti_slot_find(writer->snapshot, writer->next.key, NULL) : NULL;
    if (slot != NULL) {
        read_slot(&left, slot);
        empty_slot(&left);
        (void)replace(writer, &left); /* the slot is there */
    }
}

apr_status_t lti_snapshot_touch(lti_snapshot_writer_t *writer, const lti_course_t *course, lti_err_t *err)
{
    uint64_t key[KEY_WORDS];
    lti_word_t *slot;
    lti_slot_t next = {.head = HEAD_UNKNOWN};

    if (!lti_slot_key(key, course->key))
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "not a course key: %s", course->key ? course->key : "(none)");
    slot = lti_slot_find(writer->snapshot, key, NULL);
    if (slot != NULL)
        read_slot(&next, slot);
    if (next.head < writer->snapshot->chunk_count && course->version > 0) {
        int64_t version = next.version; /* of the members that are here, whatever the caller says */

        fill_slot(&next, course);
        next.version = version;
    } else {
        /* A course that has a roster in the database but not here must not look as if it had none; one that has none there (it is a
         * new database) must not keep the old one's. */
        fill_slot(&next, course);
        next.head = course->version > 0 ? HEAD_UNKNOWN : HEAD_ABSENT;
        next.counts = 0;
    }
    memcpy(next.key, key, sizeof(key));
    return replace(writer, &next) ? APR_SUCCESS : slots_full(writer, err);
}

void lti_snapshot_drop_unless(lti_snapshot_writer_t *writer, int (*is_known)(void *baton, const char *course_key), void *baton)
{
    uint32_t i;

    for (i = 0; i < writer->snapshot->slot_count; i++) {
        lti_word_t *slot = lti_slot_at(writer->snapshot, i);
        char key[KEY_BYTES + 1] = "";
        lti_slot_t present;

        if (lti_word_get(&slot[SLOT_SEQUENCE]) == 0)
            continue;
        read_slot(&present, slot);
        memcpy(key, present.key, KEY_BYTES);
        if (present.head == HEAD_UNKNOWN || is_known(baton, key))
            continue;
        empty_slot(&present);
        (void)replace(writer, &present); /* the slot is there */
    }
}
