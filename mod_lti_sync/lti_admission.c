/* SPDX-License-Identifier: Apache-2.0 */
/* Who may, in shared memory: two halves of which one counts. A reader looks into that one and then sees whether it still does. */
#include "lti_admission.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include "lti_crypto.h"
#include "lti_hash.h"

#define WORD_SIZE 8
#define HEAD_WORDS 8 /* a cache line of its own */
#define TRIES 3      /* of a reader whose half is being filled anew: fillings are a second apart */
#define ROOM_MAX (1 << 24)

/* The word at the head: which half counts, whether there is anything to look for in it, and the number of its filling. 0: never filled. */
#define TURN_HALF UINT64_C(1)
#define TURN_ENTRIES UINT64_C(2)
#define TURN_STEP UINT64_C(4)

/* Whose sessions were ended, a set: the launches that have all of it. The empty set is the whole platform. */
enum { OF_USER = 1, OF_COURSE = 2, OF_DEPLOYMENT = 4, KINDS = 8 };
#define TEXTS 3
/* The tag of a deployment's own entry is made like those of sessions, of a kind that those do not have. */
#define KIND_STATUS KINDS
#define KIND_BITS 4

/* Of each platform two words: up to when all its sessions are over, and what there is of it in the tables. */
enum { PLATFORM_ENDED, PLATFORM_FLAGS, PLATFORM_WORDS };
#define FLAG_KIND(kind) (UINT64_C(1) << (kind))
#define FLAG_DEPLOYMENTS FLAG_KIND(KIND_STATUS)
#define FLAG_LEFT_OUT FLAG_KIND(KIND_STATUS + 1) /* of its deployments not all are here */

enum { SLOT_TAG, SLOT_VALUE, SLOT_WORDS };
#define STATUS_BITS 2 /* below the time, in the value of a deployment */
#define STATUS_MASK ((UINT64_C(1) << STATUS_BITS) - 1)

typedef _Atomic uint64_t word_t;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work between processes, nor survive a dead one");
_Static_assert(sizeof(word_t) == WORD_SIZE, "the table is made of 64-bit words");
_Static_assert(LTI_DEPLOYMENT_WITHDRAWN <= 3, "a status takes two bits");

/** A table with open addressing: at most half of its slots are taken. */
typedef struct slots_t {
    word_t *words;
    uint32_t mask;
} slots_t;

typedef struct half_t {
    word_t *platforms;
    slots_t deployments, ended;
} half_t;

/* Constant after format: what a reader relies on is never read from the block itself. */
struct lti_admission_t {
    word_t *turn;
    half_t halves[2];
    int platforms;
    uint32_t deployments, ended; /* how many fit */
    lti_hash_key_t key;
};

static uint64_t get_word(word_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void put_word(word_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* --- layout ----------------------------------------------------------------------------------------------------------------- */

static uint32_t slots_for(int room)
{
    uint32_t slots = 2;

    while (slots < 2 * (uint32_t)room)
        slots *= 2;
    return slots;
}

static int is_sane(int platforms, int deployments, int ended)
{
    return platforms >= 0 && platforms <= ROOM_MAX && deployments > 0 && deployments <= ROOM_MAX && ended > 0 && ended <= ROOM_MAX;
}

static apr_size_t half_words(int platforms, int deployments, int ended)
{
    return (apr_size_t)platforms * PLATFORM_WORDS + ((apr_size_t)slots_for(deployments) + slots_for(ended)) * SLOT_WORDS;
}

apr_size_t lti_admission_size(int platforms, int deployments, int ended)
{
    if (!is_sane(platforms, deployments, ended))
        return 0;
    return (HEAD_WORDS + 2 * half_words(platforms, deployments, ended)) * WORD_SIZE;
}

static void place_half(half_t *half, word_t *words, int platforms, int deployments, int ended)
{
    half->platforms = words;
    words += (apr_size_t)platforms * PLATFORM_WORDS;
    half->deployments = (slots_t){.words = words, .mask = slots_for(deployments) - 1};
    words += (apr_size_t)slots_for(deployments) * SLOT_WORDS;
    half->ended = (slots_t){.words = words, .mask = slots_for(ended) - 1};
}

apr_status_t lti_admission_format(lti_admission_t **table, void *block, apr_size_t size, int platforms, int deployments, int ended,
                                  apr_pool_t *p, lti_err_t *err)
{
    apr_size_t needed = lti_admission_size(platforms, deployments, ended);
    unsigned char key[sizeof(lti_hash_key_t)];
    lti_admission_t *made;
    apr_status_t rv;

    if (needed == 0 || size < needed || ((uintptr_t)block & (WORD_SIZE - 1)) != 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL,
                        "the table of who may got %" APR_SIZE_T_FMT " bytes at %p for %d platforms, %d deployments, %d ended", size,
                        block, platforms, deployments, ended);
    rv = lti_crypto_random(key, sizeof(key), err);
    if (rv != APR_SUCCESS)
        return rv;
    memset(block, 0, needed);
    made = apr_pcalloc(p, sizeof(*made));
    memcpy(&made->key, key, sizeof(key));
    made->turn = block;
    made->platforms = platforms;
    made->deployments = (uint32_t)deployments;
    made->ended = (uint32_t)ended;
    place_half(&made->halves[0], made->turn + HEAD_WORDS, platforms, deployments, ended);
    place_half(&made->halves[1], made->turn + HEAD_WORDS + half_words(platforms, deployments, ended), platforms, deployments,
               ended);
    *table = made;
    return APR_SUCCESS;
}

/* --- tags ------------------------------------------------------------------------------------------------------------------- */

/** User, course, deployment (by the bits of OF_*) and their hashes, each made when it is first needed. */
typedef struct subject_t {
    const char *text[TEXTS];
    uint64_t hash[TEXTS];
    int hashed; /* a set, as OF_* */
} subject_t;

/*
 * The tag alone tells entries apart. The hashes are keyed, so nobody outside can look for two subjects of one tag, and by chance there are two in 2^64; they are
 * merely added up, since what is added is unpredictable already. Kind and index differ in bits that the same texts have in common. Never 0, which marks an empty slot.
 */
static uint64_t tag_of(const lti_admission_t *table, int index, int kind, int texts, subject_t *subject)
{
    uint64_t tag = 0;
    int i;

    for (i = 0; i < TEXTS; i++) {
        if ((texts & 1 << i) == 0)
            continue;
        if ((subject->hashed & 1 << i) == 0)
            subject->hash[i] = lti_hash(&table->key, subject->text[i], strlen(subject->text[i]));
        subject->hashed |= 1 << i;
        /* One text may be a course here and a person there. */
        tag += lti_hash_rotate(subject->hash[i], 1 + 20 * i);
    }
    tag ^= (uint64_t)(uint32_t)index << KIND_BITS | (uint32_t)kind;
    return tag != 0 ? tag : 1;
}

/* The slot of the tag or the empty one where it belongs; NULL if there is neither, as a reader may find while a half is filled. */
static word_t *find_slot(const slots_t *slots, uint64_t tag)
{
    uint32_t at = (uint32_t)tag & slots->mask, count;

    for (count = 0; count <= slots->mask; count++) {
        word_t *slot = slots->words + (size_t)at * SLOT_WORDS;
        uint64_t present = get_word(&slot[SLOT_TAG]);

        if (present == tag || present == 0)
            return slot;
        at = (at + 1) & slots->mask;
    }
    return NULL;
}

/* --- asking ------------------------------------------------------------------------------------------------------------------- */

static int look_up(uint64_t *value, const slots_t *slots, uint64_t tag)
{
    word_t *slot = find_slot(slots, tag);

    if (slot == NULL || get_word(&slot[SLOT_TAG]) != tag)
        return 0;
    *value = get_word(&slot[SLOT_VALUE]);
    return 1;
}

static void not_before(lti_admission_answer_t *answer, apr_time_t ended_at)
{
    if (ended_at > answer->ended_at)
        answer->ended_at = ended_at;
}

static int ask_half(lti_admission_answer_t *answer, const lti_admission_t *table, const half_t *half,
                    const lti_admission_question_t *question)
{
    int index = question->platform->index, known = 1, texts = 0, kind, i;
    subject_t subject = {.text = {question->user_id, question->course_key, question->deployment_id}};
    word_t *platform = half->platforms + (size_t)index * PLATFORM_WORDS;
    uint64_t flags = get_word(&platform[PLATFORM_FLAGS]), value = 0;

    *answer =
        (lti_admission_answer_t){.status = LTI_DEPLOYMENT_UNSEEN, .ended_at = (apr_time_t)get_word(&platform[PLATFORM_ENDED])};
    for (i = 0; i < TEXTS; i++)
        texts |= subject.text[i] != NULL ? 1 << i : 0;
    if ((flags & FLAG_DEPLOYMENTS) != 0 && (texts & OF_DEPLOYMENT) != 0) {
        if (look_up(&value, &half->deployments, tag_of(table, index, KIND_STATUS, OF_DEPLOYMENT, &subject))) {
            answer->status = (lti_deployment_status_t)(value & STATUS_MASK);
            not_before(answer, (apr_time_t)(value >> STATUS_BITS));
        } else {
            known = (flags & FLAG_LEFT_OUT) == 0;
        }
    }
    for (kind = 1; kind < KINDS; kind++) {
        if ((flags & FLAG_KIND(kind)) == 0 || (texts & kind) != kind)
            continue;
        if (look_up(&value, &half->ended, tag_of(table, index, kind, kind, &subject)))
            not_before(answer, (apr_time_t)value);
    }
    return known;
}

int lti_admission_ask(lti_admission_answer_t *answer, const lti_admission_t *table, const lti_admission_question_t *question)
{
    int index = question->platform->index, tries, known;

    for (tries = 0; tries < TRIES; tries++) {
        uint64_t turn = atomic_load_explicit(table->turn, memory_order_acquire);

        *answer = (lti_admission_answer_t){.status = LTI_DEPLOYMENT_UNSEEN};
        if (turn == 0 || index < 0 || index >= table->platforms)
            return 0;
        if ((turn & TURN_ENTRIES) == 0)
            return 1;
        known = ask_half(answer, table, &table->halves[turn & TURN_HALF], question);
        /* Keeps the loads above before this one. */
        atomic_thread_fence(memory_order_acquire);
        if (get_word(table->turn) == turn)
            return known;
    }
    return 0;
}

/* --- filling ------------------------------------------------------------------------------------------------------------------ */

typedef struct filling_t {
    const lti_admission_t *table;
    const half_t *half;
    const apr_array_header_t *platforms;
    uint32_t deployments, ended; /* entries so far */
    int anything;
    int misfits;
} filling_t;

static void clear_half(const lti_admission_t *table, const half_t *half)
{
    size_t words = half_words(table->platforms, (int)table->deployments, (int)table->ended), i;

    for (i = 0; i < words; i++)
        put_word(&half->platforms[i], 0);
}

/* The words of a platform and its index; NULL if it is not configured (any more): its entries are nobody's. */
static word_t *platform_of(int *index, const filling_t *filling, const char *name)
{
    const lti_platform_t *platform = name != NULL ? lti_platform_by_name(filling->platforms, name) : NULL;

    if (platform == NULL || platform->index < 0 || platform->index >= filling->table->platforms)
        return NULL;
    *index = platform->index;
    return filling->half->platforms + (size_t)platform->index * PLATFORM_WORDS;
}

static void raise_flag(filling_t *filling, word_t *platform, uint64_t flag)
{
    put_word(&platform[PLATFORM_FLAGS], get_word(&platform[PLATFORM_FLAGS]) | flag);
    filling->anything = 1;
}

static void raise_time(word_t *word, apr_time_t time)
{
    if ((apr_time_t)get_word(word) < time)
        put_word(word, (uint64_t)time);
}

static void add_deployment(filling_t *filling, const lti_deployment_t *deployment)
{
    subject_t subject = {.text = {[2] = deployment->deployment_id}};
    int index = 0;
    word_t *platform = platform_of(&index, filling, deployment->platform), *slot;
    apr_time_t ended_at = deployment->ended_at > 0 ? deployment->ended_at : 0;
    uint64_t tag;

    if (platform == NULL || deployment->deployment_id == NULL || deployment->status < LTI_DEPLOYMENT_WAITING ||
        deployment->status > LTI_DEPLOYMENT_WITHDRAWN)
        return;
    raise_flag(filling, platform, FLAG_DEPLOYMENTS);
    tag = tag_of(filling->table, index, KIND_STATUS, OF_DEPLOYMENT, &subject);
    slot = find_slot(&filling->half->deployments, tag);
    if (get_word(&slot[SLOT_TAG]) == 0 && filling->deployments == filling->table->deployments) {
        raise_flag(filling, platform, FLAG_LEFT_OUT);
        filling->misfits++;
        return;
    }
    if (get_word(&slot[SLOT_TAG]) == 0)
        filling->deployments++;
    put_word(&slot[SLOT_TAG], tag);
    put_word(&slot[SLOT_VALUE], (uint64_t)ended_at << STATUS_BITS | (uint64_t)deployment->status);
}

/* 0 if there is no room among the first `room` entries. */
static int try_ended(filling_t *filling, word_t *platform, int index, int kind, subject_t *subject, apr_time_t ended_at,
                     uint32_t room)
{
    uint64_t tag;
    word_t *slot;

    if (kind == 0) {
        raise_time(&platform[PLATFORM_ENDED], ended_at);
        filling->anything = 1;
        return 1;
    }
    tag = tag_of(filling->table, index, kind, kind, subject);
    slot = find_slot(&filling->half->ended, tag);
    if (get_word(&slot[SLOT_TAG]) == 0) {
        if (filling->ended >= room)
            return 0;
        filling->ended++;
        put_word(&slot[SLOT_TAG], tag);
    }
    raise_time(&slot[SLOT_VALUE], ended_at);
    raise_flag(filling, platform, FLAG_KIND(kind));
    return 1;
}

static int has_text(const char *text)
{
    return text != NULL && *text != '\0';
}

static int kind_of(const lti_ended_t *ended)
{
    return (has_text(ended->user_id) ? OF_USER : 0) | (has_text(ended->course_key) ? OF_COURSE : 0) |
           (has_text(ended->deployment_id) ? OF_DEPLOYMENT : 0);
}

/* What has no room is widened: a person to the course, anything to the platform. Persons leave a quarter of the room to the others, or each person
 * too many would be a whole platform. */
static void add_ended(filling_t *filling, const lti_ended_t *ended)
{
    subject_t subject = {.text = {ended->user_id, ended->course_key, ended->deployment_id}};
    uint32_t all = filling->table->ended;
    int index = 0, kind = kind_of(ended);
    word_t *platform = platform_of(&index, filling, ended->platform);

    if (platform == NULL || ended->ended_at <= 0)
        return;
    if (try_ended(filling, platform, index, kind, &subject, ended->ended_at, (kind & OF_USER) != 0 ? all - all / 4 : all))
        return;
    filling->misfits++;
    if ((kind & OF_USER) == 0 || !try_ended(filling, platform, index, kind & ~OF_USER, &subject, ended->ended_at, all))
        try_ended(filling, platform, index, 0, &subject, ended->ended_at, all);
}

static void add_all_ended(filling_t *filling, const apr_array_header_t *ended, int persons)
{
    int i;

    for (i = 0; i < ended->nelts; i++) {
        const lti_ended_t *one = &APR_ARRAY_IDX(ended, i, lti_ended_t);

        if (((kind_of(one) & OF_USER) != 0) == persons)
            add_ended(filling, one);
    }
}

int lti_admission_fill(lti_admission_t *table, const apr_array_header_t *platforms, const apr_array_header_t *deployments,
                       const apr_array_header_t *ended)
{
    uint64_t turn = atomic_load_explicit(table->turn, memory_order_acquire), half = (turn & TURN_HALF) ^ TURN_HALF;
    filling_t filling = {.table = table, .half = &table->halves[half], .platforms = platforms};
    int i;

    /* Whoever meets a word of this filling meets the turn that took this half out of use, too. */
    atomic_thread_fence(memory_order_release);
    clear_half(table, filling.half);
    for (i = 0; i < deployments->nelts; i++)
        add_deployment(&filling, &APR_ARRAY_IDX(deployments, i, lti_deployment_t));
    add_all_ended(&filling, ended, 0);
    add_all_ended(&filling, ended, 1);
    turn = ((turn / TURN_STEP + 1) * TURN_STEP) | half | (filling.anything ? TURN_ENTRIES : 0);
    atomic_store_explicit(table->turn, turn, memory_order_release);
    return filling.misfits;
}

/* --- taking over ------------------------------------------------------------------------------------------------------------ */

int lti_admission_copy(lti_admission_t *to, const lti_admission_t *from)
{
    size_t words = half_words(to->platforms, (int)to->deployments, (int)to->ended), i;
    int tries;

    if (to->platforms != from->platforms || to->deployments != from->deployments || to->ended != from->ended)
        return 0;
    for (tries = 0; tries < TRIES; tries++) {
        uint64_t turn = atomic_load_explicit(from->turn, memory_order_acquire);
        const half_t *source = &from->halves[turn & TURN_HALF], *target = &to->halves[turn & TURN_HALF];

        if (turn == 0)
            return 0;
        for (i = 0; i < words; i++)
            put_word(&target->platforms[i], get_word(&source->platforms[i]));
        atomic_thread_fence(memory_order_acquire);
        if (get_word(from->turn) != turn)
            continue;
        to->key = from->key;
        atomic_store_explicit(to->turn, turn, memory_order_release);
        return 1;
    }
    return 0;
}
