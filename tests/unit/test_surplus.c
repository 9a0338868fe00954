/* SPDX-License-Identifier: Apache-2.0 */
/* lti_surplus: what goes in comes out whole or not at all, whoever writes, stops or dies meanwhile. */
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "lti_crypto.h"
#include "lti_surplus.h"

#define NOW apr_time_from_sec(1700000000)
#define SECONDS(n) apr_time_from_sec(n)
#define HOUR SECONDS(3600)
#define SLOT_SIZE 4096
#define SET_SIZE (4 * SLOT_SIZE)
#define SLOT_WORDS (SLOT_SIZE / 8)

typedef _Atomic uint64_t word_t;

static lti_surplus_t *make(void **block, int slots, apr_pool_t *p)
{
    lti_surplus_t *table = NULL;
    lti_err_t err;

    *block = apr_pcalloc(p, lti_surplus_size(slots));
    memset(*block, 0xa5, lti_surplus_size(slots));
    assert_ok(lti_surplus_format(&table, *block, lti_surplus_size(slots), p, &err), err);
    return table;
}

/* A text of so many bytes, another one for each seed. */
static const char *text_of(unsigned seed, apr_size_t bytes, apr_pool_t *p)
{
    unsigned char *raw = apr_palloc(p, bytes + 1);
    apr_size_t i;

    for (i = 0; i < bytes; i++) {
        seed = seed * 1103515245u + 12345u;
        raw[i] = (unsigned char)(seed >> 16);
    }
    return lti_base64url_encode(raw, bytes, p);
}

static const char *id_of(int number, apr_pool_t *p)
{
    return apr_psprintf(p, "launch-%09d", number);
}

static void assert_has(const lti_surplus_t *table, const char *id, const char *text, apr_time_t now, apr_pool_t *p)
{
    const char *found = lti_surplus_get(table, id, now, p);

    assert_non_null(found);
    assert_string_equal(found, text);
}

/* --- one after the other ---------------------------------------------------------------------------------------------- */

static void what_is_put_is_got(void **state)
{
    static const apr_size_t sizes[] = {1, 2, 3, 7, 8, 9, 1000, 3072, 4030, 4031, 4032};
    apr_pool_t *p = *state;
    void *block;
    lti_surplus_t *table = make(&block, LTI_SURPLUS_SLOTS, p);
    apr_size_t i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal(lti_surplus_put(table, id_of((int)i, p), text_of((unsigned)i, sizes[i], p), NOW + HOUR, NOW), APR_SUCCESS);
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_has(table, id_of((int)i, p), text_of((unsigned)i, sizes[i], p), NOW, p);
    assert_null(lti_surplus_get(table, "another", NOW, p));
    assert_null(lti_surplus_get(table, "launch-00000000", NOW, p));
    assert_null(lti_surplus_get(table, "launch-0000000000", NOW, p));
}

static void the_same_launch_stays_in_one_slot(void **state)
{
    apr_pool_t *p = *state;
    void *block;
    lti_surplus_t *table = make(&block, 4, p);
    int i;

    for (i = 0; i < 3; i++)
        assert_int_equal(lti_surplus_put(table, id_of(i, p), text_of(1, 100, p), NOW + HOUR, NOW), APR_SUCCESS);
    for (i = 0; i < 20; i++) {
        const char *text = text_of((unsigned)i, 4032 - (apr_size_t)i * 200, p);

        assert_int_equal(lti_surplus_put(table, "same", text, NOW + HOUR, NOW), APR_SUCCESS);
        assert_has(table, "same", text, NOW, p);
    }
    for (i = 0; i < 3; i++)
        assert_has(table, id_of(i, p), text_of(1, 100, p), NOW, p);
}

static void an_expired_text_is_gone(void **state)
{
    apr_pool_t *p = *state;
    void *block;
    lti_surplus_t *table = make(&block, 4, p);

    assert_int_equal(lti_surplus_put(table, "id", text_of(1, 10, p), NOW + HOUR, NOW), APR_SUCCESS);
    assert_has(table, "id", text_of(1, 10, p), NOW + HOUR - 1, p);
    assert_null(lti_surplus_get(table, "id", NOW + HOUR, p));
    assert_int_equal(lti_surplus_put(table, "id", text_of(1, 10, p), NOW, NOW), APR_EINVAL);
}

/* A set is full: what has expired goes, and then what expires first. */
static void the_one_that_ends_first_is_replaced(void **state)
{
    static const int ends[4] = {40, 10, 30, 20}, order[4] = {1, 3, 2, 0};
    apr_pool_t *p = *state;
    void *block;
    lti_surplus_t *table = make(&block, 4, p);
    int i, j;

    for (i = 0; i < 4; i++)
        assert_int_equal(lti_surplus_put(table, id_of(i, p), text_of((unsigned)i, 500, p), NOW + SECONDS(ends[i]), NOW),
                         APR_SUCCESS);
    for (i = 0; i < 4; i++)
        assert_has(table, id_of(i, p), text_of((unsigned)i, 500, p), NOW, p);
    for (i = 0; i < 4; i++) {
        /* The first one when it has expired, the others before that. */
        apr_time_t now = i == 0 ? NOW + SECONDS(15) : NOW;

        assert_int_equal(lti_surplus_put(table, id_of(100 + i, p), text_of(9, 50, p), NOW + HOUR, now), APR_SUCCESS);
        for (j = 0; j < 4; j++) {
            if (j <= i)
                assert_null(lti_surplus_get(table, id_of(order[j], p), NOW, p));
            else
                assert_has(table, id_of(order[j], p), text_of((unsigned)order[j], 500, p), NOW, p);
        }
        assert_has(table, id_of(100 + i, p), text_of(9, 50, p), NOW, p);
    }
}

/* Four ways of 128 sets: at half load nearly all must be here, or the hash does not scatter. */
static void launches_scatter_over_the_sets(void **state)
{
    apr_pool_t *p = *state;
    void *block;
    lti_surplus_t *table = make(&block, LTI_SURPLUS_SLOTS, p);
    int i, found = 0;

    for (i = 0; i < LTI_SURPLUS_SLOTS / 2; i++)
        assert_int_equal(lti_surplus_put(table, id_of(i, p), text_of(1, 20, p), NOW + HOUR, NOW), APR_SUCCESS);
    for (i = 0; i < LTI_SURPLUS_SLOTS / 2; i++)
        found += lti_surplus_get(table, id_of(i, p), NOW, p) != NULL;
    assert_in_range(found, LTI_SURPLUS_SLOTS / 2 * 85 / 100, LTI_SURPLUS_SLOTS / 2);
}

static void what_cannot_be_kept_is_refused_and_changes_nothing(void **state)
{
    apr_pool_t *p = *state;
    char *long_id = apr_pcalloc(p, LTI_SURPLUS_ID_MAX + 2);
    struct {
        const char *id, *text;
        apr_status_t status;
    } cases[] = {
        {"id", text_of(1, 4033, p), APR_ENOSPC},
        {"id", text_of(1, 100000, p), APR_ENOSPC},
        {"id", "", APR_EINVAL},
        {"id", NULL, APR_EINVAL},
        {"id", "no base64url!", APR_EINVAL},
        {"id", "AAAAA", APR_EINVAL},
        {"id", "AB", APR_EINVAL},
        {"", "AAAA", APR_EINVAL},
        {NULL, "AAAA", APR_EINVAL},
        {long_id, "AAAA", APR_EINVAL},
    };
    void *block, *before;
    lti_surplus_t *table = make(&block, 4, p);
    apr_size_t i;

    memset(long_id, 'x', LTI_SURPLUS_ID_MAX + 1);
    assert_int_equal(lti_surplus_put(table, "id", "AAAA", NOW + HOUR, NOW), APR_SUCCESS);
    before = apr_pmemdup(p, block, SET_SIZE);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(lti_surplus_put(table, cases[i].id, cases[i].text, NOW + HOUR, NOW), cases[i].status);
        assert_memory_equal(before, block, SET_SIZE);
    }
    assert_null(lti_surplus_get(table, long_id, NOW, p));
    assert_null(lti_surplus_get(table, "", NOW, p));
    assert_null(lti_surplus_get(table, NULL, NOW, p));
    long_id[LTI_SURPLUS_ID_MAX] = '\0';
    assert_int_equal(lti_surplus_put(table, long_id, "AAAA", NOW + HOUR, NOW), APR_SUCCESS);
    assert_has(table, long_id, "AAAA", NOW, p);
    assert_int_equal(strlen(text_of(1, 4032, p)), LTI_SURPLUS_TEXT_MAX);
}

static void a_table_stays_within_its_block(void **state)
{
    apr_pool_t *p = *state;
    unsigned char *room = malloc(2 * SET_SIZE + 64);
    lti_surplus_t *table = NULL;
    lti_err_t err;
    int i;

    assert_non_null(room);
    assert_int_equal(lti_surplus_size(LTI_SURPLUS_SLOTS), 2 * 1024 * 1024);
    assert_int_equal(lti_surplus_size(5), 2 * SET_SIZE);
    assert_int_equal(lti_surplus_size(0), 0);
    assert_int_equal(lti_surplus_size(-1), 0);
    assert_code(lti_surplus_format(&table, room, SET_SIZE - 1, p, &err), err, LTI_E_INTERNAL);
    assert_code(lti_surplus_format(&table, room + 4, SET_SIZE, p, &err), err, LTI_E_INTERNAL);
    assert_null(table);

    /* Two sets and a bit: the bit, and what is before, stay as they are. */
    memset(room, 0x5a, 2 * SET_SIZE + 64);
    assert_ok(lti_surplus_format(&table, room + 8, 2 * SET_SIZE + 40, p, &err), err);
    for (i = 0; i < 200; i++) {
        assert_int_equal(lti_surplus_put(table, id_of(i, p), text_of((unsigned)i, 4032, p), NOW + HOUR, NOW), APR_SUCCESS);
        assert_has(table, id_of(i, p), text_of((unsigned)i, 4032, p), NOW, p);
    }
    for (i = 0; i < 8; i++)
        assert_int_equal(room[i], 0x5a);
    for (i = 2 * SET_SIZE + 8; i < 2 * SET_SIZE + 64; i++)
        assert_int_equal(room[i], 0x5a);
    free(room);
}

/* --- what a writer leaves when it dies or is stopped ---------------------------------------------------------------------- */

/* As if a writer had claimed each slot of the block at `when` and died at once. */
static void die_in_all_slots(void *block, int slots, apr_time_t when)
{
    word_t *words = block;
    int i;

    for (i = 0; i < slots; i++) {
        uint64_t count = (uint32_t)atomic_load(&words[i * SLOT_WORDS]);

        atomic_store(&words[i * SLOT_WORDS], (uint64_t)apr_time_sec(when) << 32 | count | 1);
    }
}

static void a_dead_writers_slot_is_taken_over_after_seconds(void **state)
{
    static const struct {
        int after; /* seconds since the claim */
        apr_status_t status;
    } cases[] = {{0, APR_EBUSY}, {5, APR_EBUSY}, {6, APR_SUCCESS}, {3600, APR_SUCCESS}, {-59, APR_EBUSY}, {-61, APR_SUCCESS}};
    apr_pool_t *p = *state;
    apr_size_t i;
    int j;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *block;
        lti_surplus_t *table = make(&block, 4, p);
        apr_time_t then = NOW + SECONDS(cases[i].after);

        for (j = 0; j < 4; j++)
            assert_int_equal(lti_surplus_put(table, id_of(j, p), text_of(1, 100, p), NOW + 2 * HOUR, NOW), APR_SUCCESS);
        die_in_all_slots(block, 4, NOW);
        for (j = 0; j < 4; j++)
            assert_null(lti_surplus_get(table, id_of(j, p), NOW, p));
        assert_int_equal(lti_surplus_put(table, "new", text_of(2, 200, p), NOW + 2 * HOUR, then), cases[i].status);
        assert_int_equal(lti_surplus_put(table, id_of(2, p), text_of(1, 100, p), NOW + 2 * HOUR, then), cases[i].status);
        if (cases[i].status == APR_SUCCESS) {
            assert_has(table, "new", text_of(2, 200, p), then, p);
            assert_has(table, id_of(2, p), text_of(1, 100, p), then, p);
        } else {
            assert_null(lti_surplus_get(table, "new", then, p));
        }
    }
}

/* While one writes this launch's text, a second one does not spend another slot on it; others find their place beside it. */
static void a_text_that_is_being_written_is_not_written_twice(void **state)
{
    apr_pool_t *p = *state;
    void *block;
    lti_surplus_t *table = make(&block, 4, p);

    assert_int_equal(lti_surplus_put(table, "id", text_of(1, 100, p), NOW + HOUR, NOW), APR_SUCCESS);
    die_in_all_slots(block, 1, NOW);
    assert_int_equal(lti_surplus_put(table, "id", text_of(1, 100, p), NOW + HOUR, NOW), APR_EBUSY);
    assert_int_equal(lti_surplus_put(table, "other", text_of(2, 100, p), NOW + HOUR, NOW), APR_SUCCESS);
    assert_has(table, "other", text_of(2, 100, p), NOW, p);
}

/* A writer that slept through its claim wakes up and writes on, into a slot that says something else by now. */
static void a_late_writers_words_are_noticed(void **state)
{
    static const apr_size_t sizes[2] = {700, 640};
    apr_pool_t *p = *state;
    void *block;
    lti_surplus_t *table = make(&block, 4, p);
    word_t *slot = block;
    uint64_t first[SLOT_WORDS], second[SLOT_WORDS];
    int used = 8 + 700 / 8 + 1, i, changed = 0;

    assert_int_equal(lti_surplus_put(table, "first", text_of(1, sizes[0], p), NOW + HOUR, NOW), APR_SUCCESS);
    memcpy(first, block, sizeof(first));
    die_in_all_slots(block, 1, NOW);
    for (i = 0; i < 3; i++) /* so that the dead writer's slot is the one to be had */
        assert_int_equal(lti_surplus_put(table, id_of(i, p), text_of(3, 10, p), NOW + HOUR, NOW), APR_SUCCESS);
    assert_int_equal(lti_surplus_put(table, "second", text_of(2, sizes[1], p), NOW + HOUR, NOW + SECONDS(6)), APR_SUCCESS);
    memcpy(second, block, sizeof(second));
    assert_has(table, "second", text_of(2, sizes[1], p), NOW, p);
    for (i = 1; i < used; i++) {
        const char *found;

        atomic_store(&slot[i], first[i]);
        changed += first[i] != second[i];
        assert_null(lti_surplus_get(table, "first", NOW, p));
        found = lti_surplus_get(table, "second", NOW, p);
        if (first[i] != second[i])
            assert_null(found);
        atomic_store(&slot[i], second[i]);
        assert_has(table, "second", text_of(2, sizes[1], p), NOW, p);
    }
    assert_true(changed > 80);
    /* All words but one, whichever that is. */
    for (i = 1; i < used; i++) {
        int j;

        for (j = 1; j < used; j++)
            atomic_store(&slot[j], j == i ? second[j] : first[j]);
        if (first[i] != second[i])
            assert_null(lti_surplus_get(table, "first", NOW, p));
        assert_null(lti_surplus_get(table, "second", NOW, p));
    }
}

/* --- all at once -------------------------------------------------------------------------------------------------------- */

#define CHILDREN 2
#define THREADS 3
#define IDS 24
#define VERSIONS 3
#define ROUNDS 20000

typedef struct shared_t {
    _Atomic long hits, misses, puts, refused, wrong;
    _Atomic int started;
} shared_t;

/* All texts that may come out, by launch; made once, read by all. */
typedef struct hammer_t {
    lti_surplus_t *table;
    shared_t *shared;
    const char *ids[IDS];
    const char *texts[IDS][VERSIONS];
    int leap;     /* seconds by which the writers' clocks differ: beyond five, they rob each other of their slots all the time */
    int number;   /* of this thread */
    int for_ever; /* until it is killed */
} hammer_t;

static void *map_shared(apr_size_t size)
{
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(block, MAP_FAILED);
    return block;
}

static void prepare(hammer_t *hammer, void *block, int slots, shared_t *shared, apr_pool_t *p)
{
    lti_err_t err;
    int i, version;

    memset(hammer, 0, sizeof(*hammer));
    assert_ok(lti_surplus_format(&hammer->table, block, lti_surplus_size(slots), p, &err), err);
    hammer->shared = shared;
    for (i = 0; i < IDS; i++) {
        hammer->ids[i] = id_of(i, p);
        for (version = 0; version < VERSIONS; version++)
            hammer->texts[i][version] = text_of((unsigned)(i * VERSIONS + version), (apr_size_t)(4032 - i * 150 - version * 13), p);
    }
}

static int is_one_of(const char *text, const char *const texts[VERSIONS])
{
    int version;

    for (version = 0; version < VERSIONS; version++) {
        if (strcmp(text, texts[version]) == 0)
            return 1;
    }
    return 0;
}

static void *strike(void *data)
{
    const hammer_t *hammer = data;
    unsigned dice = (unsigned)hammer->number * 7919u + 1;
    apr_allocator_t *allocator;
    apr_pool_t *pool;
    int i;

    if (apr_allocator_create(&allocator) != APR_SUCCESS || apr_pool_create_ex(&pool, NULL, NULL, allocator) != APR_SUCCESS)
        abort();
    apr_allocator_owner_set(allocator, pool);
    atomic_fetch_add(&hammer->shared->started, 1);
    for (i = 0; i < ROUNDS || hammer->for_ever; i++) {
        int which, version;
        apr_time_t now;

        dice = dice * 1664525u + 1013904223u;
        which = (int)(dice >> 16) % IDS;
        version = (int)(dice >> 8 & 0xff) % VERSIONS;
        now = NOW + SECONDS((int)(dice >> 24) % 8 * hammer->leap);
        apr_pool_clear(pool);
        if (dice >> 28 < 6) {
            apr_status_t rv =
                lti_surplus_put(hammer->table, hammer->ids[which], hammer->texts[which][version], NOW + 100 * HOUR, now);

            atomic_fetch_add(rv == APR_SUCCESS ? &hammer->shared->puts : &hammer->shared->refused, 1);
            if (rv != APR_SUCCESS && rv != APR_EBUSY)
                atomic_fetch_add(&hammer->shared->wrong, 1);
        } else {
            const char *text = lti_surplus_get(hammer->table, hammer->ids[which], now, pool);

            atomic_fetch_add(text != NULL ? &hammer->shared->hits : &hammer->shared->misses, 1);
            if (text != NULL && !is_one_of(text, hammer->texts[which]))
                atomic_fetch_add(&hammer->shared->wrong, 1);
        }
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void strike_in_threads(const hammer_t *hammer, int process)
{
    pthread_t threads[THREADS];
    hammer_t own[THREADS];
    int i;

    for (i = 0; i < THREADS; i++) {
        own[i] = *hammer;
        own[i].number = process * THREADS + i;
        if (pthread_create(&threads[i], NULL, strike, &own[i]) != 0)
            abort();
    }
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static pid_t strike_in_child(const hammer_t *hammer, int process)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        strike_in_threads(hammer, process);
        _exit(0);
    }
    return child;
}

static void hammer_on_it(int leap, apr_pool_t *p)
{
    apr_size_t size = lti_surplus_size(8);
    void *block = map_shared(size);
    shared_t *shared = map_shared(sizeof(*shared));
    pid_t children[CHILDREN];
    hammer_t hammer;
    int i, status;

    prepare(&hammer, block, 8, shared, p);
    hammer.leap = leap;
    for (i = 0; i < CHILDREN; i++)
        children[i] = strike_in_child(&hammer, i + 1);
    strike_in_threads(&hammer, 0);
    for (i = 0; i < CHILDREN; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(atomic_load(&shared->wrong), 0);
    assert_true(atomic_load(&shared->hits) > ROUNDS / 10);
    assert_true(atomic_load(&shared->misses) > 0);
    assert_true(atomic_load(&shared->puts) > ROUNDS / 10);
    munmap(block, size);
    munmap(shared, sizeof(*shared));
}

static void nobody_ever_reads_a_mixture(void **state)
{
    hammer_on_it(0, *state);
}

static void nor_when_writers_take_each_others_slots(void **state)
{
    hammer_on_it(10, *state);
}

static void writers_killed_anywhere_leave_a_usable_table(void **state)
{
    apr_size_t size = lti_surplus_size(8);
    void *block = map_shared(size);
    shared_t *shared = map_shared(sizeof(*shared));
    word_t *words = block;
    int round, i, left_odd = 0;

    for (round = 0; round < 60; round++) {
        const struct timespec moment = {0, 100000 + round * 31337};
        apr_time_t later = NOW + SECONDS(6);
        hammer_t hammer;
        apr_pool_t *p;
        pid_t child;
        int status;

        assert_int_equal(apr_pool_create(&p, *state), APR_SUCCESS);
        memset(shared, 0, sizeof(*shared));
        prepare(&hammer, block, 8, shared, p);
        hammer.for_ever = 1;
        child = strike_in_child(&hammer, 1);
        while (atomic_load(&shared->started) < THREADS)
            sched_yield();
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        for (i = 0; i < 8; i++)
            left_odd += (int)(atomic_load(&words[i * SLOT_WORDS]) & 1);
        for (i = 0; i < IDS; i++) {
            const char *text = lti_surplus_get(hammer.table, hammer.ids[i], NOW, p);

            assert_true(text == NULL || is_one_of(text, hammer.texts[i]));
        }
        for (i = 0; i < IDS; i++) {
            assert_int_equal(lti_surplus_put(hammer.table, hammer.ids[i], hammer.texts[i][0], NOW + 200 * HOUR + i, later),
                             APR_SUCCESS);
            assert_has(hammer.table, hammer.ids[i], hammer.texts[i][0], later, p);
        }
        assert_int_equal(atomic_load(&shared->wrong), 0);
        apr_pool_destroy(p);
    }
    /* Else no writer was ever caught at work, and this proved nothing. */
    assert_true(left_odd > 0);
    munmap(block, size);
    munmap(shared, sizeof(*shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(what_is_put_is_got),
        POOL_TEST(the_same_launch_stays_in_one_slot),
        POOL_TEST(an_expired_text_is_gone),
        POOL_TEST(the_one_that_ends_first_is_replaced),
        POOL_TEST(launches_scatter_over_the_sets),
        POOL_TEST(what_cannot_be_kept_is_refused_and_changes_nothing),
        POOL_TEST(a_table_stays_within_its_block),
        POOL_TEST(a_dead_writers_slot_is_taken_over_after_seconds),
        POOL_TEST(a_text_that_is_being_written_is_not_written_twice),
        POOL_TEST(a_late_writers_words_are_noticed),
        POOL_TEST(nobody_ever_reads_a_mixture),
        POOL_TEST(nor_when_writers_take_each_others_slots),
        POOL_TEST(writers_killed_anywhere_leave_a_usable_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
