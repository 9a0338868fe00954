/* SPDX-License-Identifier: Apache-2.0 */
/* What the next generation takes over of a segment: whole rosters only, into a block of any size, whatever the old writer does; and what is said about room. */
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "lti_snapshot.h"
#include "lti_snapshot_layout.h"

#define MEMBERSHIP "http://purl.imsglobal.org/vocab/lis/v2/membership#"
#define MIB ((apr_size_t)1024 * 1024)

typedef struct fixture_t {
    lti_snapshot_t *snapshot;
    lti_snapshot_writer_t *writer;
    lti_err_t err;
} fixture_t;

static lti_snapshot_t *format(apr_size_t size, apr_pool_t *p)
{
    lti_snapshot_t *snapshot;
    lti_err_t err;
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(block, MAP_FAILED);
    assert_ok(lti_snapshot_format(&snapshot, block, size, p, &err), err);
    return snapshot;
}

static fixture_t prepare(apr_size_t size, apr_pool_t *p)
{
    fixture_t f = {.snapshot = format(size, p)};

    assert_ok(lti_snapshot_writer_create(&f.writer, f.snapshot, p, &f.err), f.err);
    return f;
}

static const char *id_of(int number, char id[40])
{
    apr_snprintf(id, 40, "5c1e8f0e-77a1-4d0b-9d52-%012d", number);
    return id;
}

static const char *key_of(int number, char key[20])
{
    apr_snprintf(key, 20, "%016d", number);
    return key;
}

/* Everything of a roster follows from its version. */
static apr_status_t publish(fixture_t *f, const char *key, apr_int64_t version, int people)
{
    lti_course_t course = {.key = key,
                           .version = version,
                           .state = LTI_ROSTER_CURRENT,
                           .active = (int)(version & 0xFFFF),
                           .succeeded_at = 1000 + version,
                           .stale_at = 2000 + version};
    apr_status_t rv = lti_snapshot_begin(f->writer, &course, people, &f->err);
    char id[40];
    int i;

    for (i = 0; i < people && rv == APR_SUCCESS; i++) {
        lti_member_t member = {.user_id = id_of(i, id),
                               .name = "Anna Katharina Li",
                               .email = "anna.li@stud.example.edu",
                               .roles = version % 2 ? MEMBERSHIP "Learner" : MEMBERSHIP "Instructor " MEMBERSHIP "Learner",
                               .status = (lti_member_status_t)(1 + version % 3),
                               .status_at = version,
                               .role_at = version};

        rv = lti_snapshot_add(f->writer, &member, &f->err);
    }
    return rv == APR_SUCCESS ? lti_snapshot_commit(f->writer, &f->err) : rv;
}

static void touch(fixture_t *f, const char *key, apr_int64_t version)
{
    lti_course_t course = {.key = key, .version = version, .state = LTI_ROSTER_PENDING};

    assert_ok(lti_snapshot_touch(f->writer, &course, &f->err), f->err);
}

/* 1 if all of the course is there as its version has it, 0 if it is left to the database; anything else is a failure. */
static int is_whole(const lti_snapshot_t *snapshot, const char *key, int people)
{
    apr_int64_t version = lti_snapshot_version(snapshot, key);
    lti_snapshot_course_t course;
    lti_snapshot_member_t member;
    char id[40];
    int i;

    if (version < 0) {
        assert_int_equal(lti_snapshot_lookup(snapshot, key, id_of(0, id), NULL, &member), LTI_SNAPSHOT_UNKNOWN);
        return 0;
    }
    for (i = 0; i < people; i++) {
        assert_int_equal(lti_snapshot_lookup(snapshot, key, id_of(i, id), &course, &member), LTI_SNAPSHOT_MEMBER);
        assert_true(course.version == version && course.active == (apr_uint32_t)(version & 0xFFFF));
        assert_true(course.succeeded_at == 1000 + version && course.stale_at == 2000 + version);
        assert_true(member.status_at == version && member.role_at == version && (apr_int64_t)member.status == 1 + version % 3);
        assert_int_equal(member.role, version % 2 ? LTI_ROLE_LEARNER : LTI_ROLE_INSTRUCTOR);
    }
    assert_int_equal(lti_snapshot_lookup(snapshot, key, id_of(people, id), NULL, &member), LTI_SNAPSHOT_NO_MEMBER);
    return 1;
}

/* --- copying ------------------------------------------------------------------------------------------------------------- */

static void a_segment_of_any_size_takes_over_what_it_has_room_for(void **state)
{
    static const struct {
        apr_size_t size;
        int all;
    } rows[] = {{3 * MIB, 1}, {3 * MIB + 4097, 1}, {16 * MIB, 1}, {2 * MIB, 1}, {MIB, 0}};
    static const int sizes[] = {1, 30, 400, 2500, 60, 900, 3000};
    fixture_t f = prepare(3 * MIB, *state);
    lti_err_t err;
    char key[20];
    size_t i;
    int k, whole;

    /* Republished, so that the chains lie across each other and a copy of each kind counts. */
    for (k = 0; k < 14; k++)
        assert_ok(publish(&f, key_of(k % 7, key), 5 + k + (k > 9), sizes[k % 7]), f.err);
    touch(&f, "pending", 0);
    touch(&f, "elsewhere", 4);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_t next = {.snapshot = format(rows[i].size, *state)};
        apr_uint32_t left_out = lti_snapshot_copy(next.snapshot, f.snapshot);

        assert_ok(lti_snapshot_validate(next.snapshot, &err), err);
        for (k = 0, whole = 0; k < 7; k++)
            whole += is_whole(next.snapshot, key_of(k, key), sizes[k]);
        assert_int_equal(lti_snapshot_lookup(next.snapshot, "pending", "x", NULL, NULL), LTI_SNAPSHOT_NO_ROSTER);
        assert_int_equal(lti_snapshot_lookup(next.snapshot, "elsewhere", "x", NULL, NULL), LTI_SNAPSHOT_UNKNOWN);
        assert_int_equal(left_out, 7 - whole + 1);
        if (rows[i].all)
            assert_int_equal(whole, 7);
        else
            assert_in_range(whole, 1, 6);
        /* The new writer goes on from there, in the chunks that are really free. */
        assert_ok(lti_snapshot_writer_create(&next.writer, next.snapshot, *state, &next.err), next.err);
        assert_ok(publish(&next, key_of(1, key), 77, 31), next.err);
        assert_int_equal(is_whole(next.snapshot, key_of(1, key), 31), 1);
        assert_ok(lti_snapshot_validate(next.snapshot, &err), err);
        for (k = 2; k < 7; k++)
            (void)is_whole(next.snapshot, key_of(k, key), sizes[k]);
    }
}

static void a_smaller_directory_takes_as_many_courses_as_it_may_hold(void **state)
{
    fixture_t f = prepare(4 * MIB, *state);
    lti_snapshot_t *next = format(MIB, *state);
    lti_snapshot_usage_t old, usage;
    lti_err_t err;
    char key[20];
    int i;

    for (i = 0; i < 1500; i++)
        touch(&f, key_of(i, key), 0);
    lti_snapshot_usage(f.snapshot, &old);
    i = (int)lti_snapshot_copy(next, f.snapshot);
    lti_snapshot_usage(next, &usage);
    assert_int_equal(usage.slots_used, SLOTS_TAKEN_MAX(usage.slots));
    assert_int_equal(i, old.slots_used - usage.slots_used);
    assert_ok(lti_snapshot_validate(next, &err), err);
}

static int is_even(void *baton, const char *key)
{
    (*(int *)baton)++;
    return strlen(key) == 16 && (key[15] - '0') % 2 == 0;
}

/* Somebody deleted them from the database while httpd was reloaded. */
static void courses_that_are_no_more_are_dropped(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_snapshot_usage_t usage;
    char key[20];
    int i, asked = 0;

    for (i = 0; i < 6; i++)
        assert_ok(publish(&f, key_of(i, key), 1, 40), f.err);
    lti_snapshot_drop_unless(f.writer, is_even, &asked);
    assert_int_equal(asked, 6);
    for (i = 0; i < 6; i++)
        assert_int_equal(is_whole(f.snapshot, key_of(i, key), 40), i % 2 == 0);
    lti_snapshot_drop_unless(f.writer, is_even, &asked);
    assert_int_equal(asked, 9);
    lti_snapshot_usage(f.snapshot, &usage);
    assert_int_equal(usage.members, 3 * 40);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
    assert_ok(publish(&f, key_of(1, key), 2, 40), f.err);
    assert_int_equal(is_whole(f.snapshot, key_of(1, key), 40), 1);
}

static void damage_in_the_old_segment_stays_there(void **state)
{
    static const uint64_t wrong[] = {0, 1, UINT64_MAX, 0x123456789ABCDEF};
    fixture_t f = prepare(MIB, *state);
    uint64_t key[KEY_WORDS];
    lti_word_t *words[5], *slot, *head;
    char text[20];
    size_t i, k;

    assert_ok(publish(&f, key_of(1, text), 1, 1000), f.err);
    assert_ok(publish(&f, key_of(2, text), 1, 50), f.err);
    assert_true(lti_slot_key(key, key_of(1, text)));
    slot = lti_slot_find(f.snapshot, key, NULL);
    head =
        lti_chunk_at(f.snapshot, lti_word_low(lti_word_get(&lti_copy_at(slot, lti_word_get(&slot[SLOT_SEQUENCE]))[COPY_ROSTER])));
    words[0] = &lti_copy_at(slot, lti_word_get(&slot[SLOT_SEQUENCE]))[COPY_ROSTER];
    words[1] = &head[CHUNK_LINK];
    words[2] = &head[HEAD_COUNTS];
    words[3] = &lti_chunk_at(f.snapshot, lti_word_low(lti_word_get(&head[CHUNK_LINK])))[CHUNK_LINK];
    words[4] = &slot[SLOT_KEY];
    for (i = 0; i < 5; i++) {
        for (k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
            uint64_t right = lti_word_get(words[i]);
            lti_snapshot_t *next = format(MIB, *state);

            lti_word_put(words[i], wrong[k]);
            (void)lti_snapshot_copy(next, f.snapshot);
            lti_word_put(words[i], right);
            assert_int_equal(lti_snapshot_version(next, key_of(1, text)), -1);
        }
    }
    assert_int_equal(lti_snapshot_copy(format(MIB, *state), f.snapshot), 0);
}

#define COURSES 6
#define PEOPLE 90
#define COPIES 300

/* The children of the old generation serve on, and its watch thread publishes; now and then it is killed in the middle. */
static void only_whole_rosters_are_copied_while_a_writer_is_at_work(void **state)
{
    lti_snapshot_t *old = format(MIB, *state);
    unsigned seed = (unsigned)time(NULL), whole = 0;
    pid_t child = -1;
    char key[20];
    int i, k;

    print_message("seed %u\n", seed);
    for (i = 0; i < COPIES; i++) {
        void *block = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        lti_snapshot_t *next;
        apr_pool_t *p;
        lti_err_t err;

        apr_pool_create(&p, *state);
        if (i % 10 == 0) {
            fixture_t f = {.snapshot = old};
            apr_int64_t version = 1000 * (i + 1);

            if (child > 0) {
                assert_int_equal(kill(child, SIGKILL), 0);
                assert_int_equal(waitpid(child, NULL, 0), child);
            }
            if ((child = fork()) == 0) {
                if (lti_snapshot_writer_create(&f.writer, old, p, &f.err) != APR_SUCCESS)
                    _exit(1);
                for (;; version++) {
                    if (publish(&f, key_of((int)(version % COURSES), key), version, PEOPLE) != APR_SUCCESS)
                        _exit(1);
                    if (version % 50 == 0)
                        usleep(1000);
                }
            }
            assert_true(child > 0);
        }
        usleep((useconds_t)(rand_r(&seed) % 2000));
        assert_ptr_not_equal(block, MAP_FAILED);
        assert_ok(lti_snapshot_format(&next, block, MIB, p, &err), err);
        (void)lti_snapshot_copy(next, old);
        assert_ok(lti_snapshot_validate(next, &err), err);
        for (k = 0; k < COURSES; k++)
            whole += (unsigned)is_whole(next, key_of(k, key), PEOPLE);
        munmap(block, MIB);
        apr_pool_destroy(p);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    print_message("%u of %d rosters were taken over\n", whole, COPIES * COURSES);
    assert_true(whole > COPIES);
}

/* --- room ------------------------------------------------------------------------------------------------------------------- */

static const int campus[] = {8, 12, 15, 18, 20, 22, 25, 25, 28, 30, 32, 36, 40, 45, 50, 60, 75, 100, 150, 209};

static void a_campus_of_as_many_people_as_was_said_fits(void **state)
{
    static const int megabytes[] = {2, 8, 32};
    size_t i;

    for (i = 0; i < sizeof(megabytes) / sizeof(megabytes[0]); i++) {
        fixture_t f = prepare((apr_size_t)megabytes[i] * MIB, *state);
        lti_snapshot_capacity_t empty, full;
        lti_snapshot_usage_t usage;
        apr_uint32_t people = 0;
        char key[20];
        int course;

        lti_snapshot_usage(f.snapshot, &usage);
        assert_int_equal(lti_snapshot_percent(&usage), 0);
        lti_snapshot_capacity(&empty, &usage);
        /* The least that may be said of it: a member has 256 bytes. */
        assert_true(empty.people >= (apr_uint32_t)(megabytes[i] * (int)MIB / 256 * 98 / 100));
        for (course = 0; people + 209 < empty.people; people += (apr_uint32_t)campus[course++ % 20])
            assert_ok(publish(&f, key_of(course, key), 1, campus[course % 20]), f.err);
        lti_snapshot_usage(f.snapshot, &usage);
        lti_snapshot_capacity(&full, &usage);
        /* It says the same when it is full, or a little more: texts are shorter here. */
        assert_true(full.people >= empty.people - 300);
        assert_in_range(lti_snapshot_percent(&usage), 60, 100);
    }
}

static void the_advice_makes_room_by_half_as_much_again(void **state)
{
    fixture_t f = prepare(2 * MIB, *state);
    lti_snapshot_usage_t before, after;
    lti_snapshot_t *next;
    apr_uint64_t advice;
    char key[20];
    int course;

    /* By people, then by courses. */
    for (course = 0; lti_snapshot_usage(f.snapshot, &before), lti_snapshot_percent(&before) < 80; course++)
        assert_ok(publish(&f, key_of(course, key), 1, 150), f.err);
    advice = lti_snapshot_advice(&before);
    assert_in_range(advice, 2, 4);
    next = format(advice * MIB, *state);
    assert_int_equal(lti_snapshot_copy(next, f.snapshot), 0);
    lti_snapshot_usage(next, &after);
    assert_int_equal(after.members, before.members);
    assert_in_range(lti_snapshot_percent(&after), 40, 67);

    f = prepare(2 * MIB, *state);
    for (course = 0; lti_snapshot_usage(f.snapshot, &before), lti_snapshot_percent(&before) < 85; course++)
        touch(&f, key_of(course, key), 0);
    next = format(lti_snapshot_advice(&before) * MIB, *state);
    assert_int_equal(lti_snapshot_copy(next, f.snapshot), 0);
    lti_snapshot_usage(next, &after);
    assert_in_range(lti_snapshot_percent(&after), 40, 67);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(a_segment_of_any_size_takes_over_what_it_has_room_for),
        POOL_TEST(a_smaller_directory_takes_as_many_courses_as_it_may_hold),
        POOL_TEST(courses_that_are_no_more_are_dropped),
        POOL_TEST(damage_in_the_old_segment_stays_there),
        POOL_TEST(only_whole_rosters_are_copied_while_a_writer_is_at_work),
        POOL_TEST(a_campus_of_as_many_people_as_was_said_fits),
        POOL_TEST(the_advice_makes_room_by_half_as_much_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
