/* SPDX-License-Identifier: Apache-2.0 */
/* What a run finds out about a roster: who is new, changed, back, missing; and that nothing else counts. */
#include "test.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include "lti_roster.h"

static const lti_member_t anna = {
    .user_id = "u-anna",
    .name = "Anna Li",
    .given_name = "Anna",
    .family_name = "Li",
    .email = "anna@example.edu",
    .sourcedid = "4711",
    .roles = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner",
    .status = LTI_MEMBER_ACTIVE,
};

static lti_member_t person(const char *user_id, lti_member_status_t status)
{
    lti_member_t member = anna;

    member.user_id = user_id;
    member.status = status;
    return member;
}

/* Stored before the run exactly as person() makes them. */
static void store(lti_diff_t *diff, const char *user_id, lti_member_status_t status)
{
    lti_member_t member = person(user_id, status);
    unsigned char digest[LTI_DIGEST_SIZE];

    lti_member_digest(digest, &member);
    lti_diff_known(diff, user_id, digest, status);
}

static lti_diff_verdict_t name(lti_diff_t *diff, const char *user_id, lti_member_status_t status)
{
    lti_member_t member = person(user_id, status);

    return lti_diff_member(diff, &member);
}

static void words_are_those_of_the_documentation(void **state)
{
    const char *states[] = {"none", "pending", "current", "failing", "held", "stale", "unavailable"};
    int i;

    (void)state;
    assert_string_equal(lti_member_status_word(LTI_MEMBER_ACTIVE), "active");
    assert_string_equal(lti_member_status_word(LTI_MEMBER_INACTIVE), "inactive");
    assert_string_equal(lti_member_status_word(LTI_MEMBER_LEFT), "left");
    assert_string_equal(lti_member_status_word((lti_member_status_t)9), "unknown");
    for (i = 0; i < 7; i++)
        assert_string_equal(lti_roster_state_word((lti_roster_state_t)i), states[i]);
    assert_string_equal(lti_roster_state_word((lti_roster_state_t)99), "unavailable");
}

static int same_digest(const lti_member_t *a, const lti_member_t *b)
{
    unsigned char first[LTI_DIGEST_SIZE], second[LTI_DIGEST_SIZE];

    lti_member_digest(first, a);
    lti_member_digest(second, b);
    return memcmp(first, second, LTI_DIGEST_SIZE) == 0;
}

/* Where a platform tells of neither, the digest is as it was before there were any. */
static void the_digest_sees_sections_and_groups(void **state)
{
    lti_member_t section = anna, group = anna, both = anna, other = anna;

    (void)state;
    section.sections = group.groups = both.sections = both.groups = "[\"A\"]";
    other.sections = "[\"B\"]";
    assert_false(same_digest(&anna, &section));
    assert_false(same_digest(&anna, &group));
    assert_false(same_digest(&section, &group));
    assert_false(same_digest(&section, &both));
    assert_false(same_digest(&section, &other));
}

static void the_digest_sees_every_field_and_no_time(void **state)
{
    const size_t texts[] = {offsetof(lti_member_t, user_id),     offsetof(lti_member_t, name),  offsetof(lti_member_t, given_name),
                            offsetof(lti_member_t, family_name), offsetof(lti_member_t, email), offsetof(lti_member_t, sourcedid),
                            offsetof(lti_member_t, roles)};
    const char *values[] = {"other", "", NULL};
    lti_member_t other = anna;
    size_t i, j;

    (void)state;
    other.joined_at = other.status_at = other.role_at = 77;
    assert_true(same_digest(&anna, &other));
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        lti_member_t variants[3];

        for (j = 0; j < 3; j++) {
            variants[j] = anna;
            *(const char **)((char *)&variants[j] + texts[i]) = values[j];
            assert_false(same_digest(&anna, &variants[j]));
        }
        assert_false(same_digest(&variants[0], &variants[1]));
        assert_false(same_digest(&variants[1], &variants[2]));
    }
    other = anna;
    other.status = LTI_MEMBER_INACTIVE;
    assert_false(same_digest(&anna, &other));
    /* The same bytes, parted otherwise. */
    other = anna;
    other.given_name = "AnnaL";
    other.family_name = "i";
    assert_false(same_digest(&anna, &other));
}

static void verdicts_follow_from_what_is_stored(void **state)
{
    static const struct {
        const char *what;
        lti_member_status_t stored; /* 0: not at all */
        lti_member_status_t named;
        lti_diff_verdict_t verdict;
    } rows[] = {
        {"a new person", 0, LTI_MEMBER_ACTIVE, LTI_DIFF_STAGE},
        {"a new inactive person", 0, LTI_MEMBER_INACTIVE, LTI_DIFF_STAGE},
        {"unchanged", LTI_MEMBER_ACTIVE, LTI_MEMBER_ACTIVE, LTI_DIFF_SAME},
        {"unchanged, inactive", LTI_MEMBER_INACTIVE, LTI_MEMBER_INACTIVE, LTI_DIFF_SAME},
        {"deactivated", LTI_MEMBER_ACTIVE, LTI_MEMBER_INACTIVE, LTI_DIFF_STAGE},
        {"activated", LTI_MEMBER_INACTIVE, LTI_MEMBER_ACTIVE, LTI_DIFF_STAGE},
        {"back after leaving", LTI_MEMBER_LEFT, LTI_MEMBER_ACTIVE, LTI_DIFF_STAGE},
        {"named as left", LTI_MEMBER_LEFT, LTI_MEMBER_LEFT, LTI_DIFF_STAGE},
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lti_diff_t *diff = lti_diff_create(*state);
        lti_diff_summary_t summary;

        if (rows[i].stored)
            store(diff, "u-anna", rows[i].stored);
        lti_diff_begin_walk(diff);
        if (name(diff, "u-anna", rows[i].named) != rows[i].verdict)
            fail_msg("%s", rows[i].what);
        lti_diff_summarize(&summary, diff);
        assert_int_equal(summary.staged, rows[i].verdict == LTI_DIFF_STAGE);
        assert_int_equal(summary.named, 1);
        assert_int_equal(summary.missing, 0);
    }
}

/* A person who left keeps the digest of the days when they were active: it must not hide their return. */
static void a_return_is_seen_though_the_digest_is_the_same(void **state)
{
    lti_diff_t *diff = lti_diff_create(*state);
    unsigned char digest[LTI_DIGEST_SIZE];

    lti_member_digest(digest, &anna);
    lti_diff_known(diff, anna.user_id, digest, LTI_MEMBER_LEFT);
    lti_diff_begin_walk(diff);
    assert_int_equal(lti_diff_member(diff, &anna), LTI_DIFF_STAGE);
}

static void what_was_staged_is_replaced_even_by_what_is_stored(void **state)
{
    lti_diff_t *diff = lti_diff_create(*state);
    lti_diff_summary_t summary;
    lti_member_t renamed = anna;

    renamed.name = "Anna Wang";
    store(diff, "u-anna", LTI_MEMBER_ACTIVE);
    lti_diff_begin_walk(diff);
    assert_int_equal(lti_diff_member(diff, &renamed), LTI_DIFF_STAGE);
    assert_int_equal(lti_diff_member(diff, &renamed), LTI_DIFF_RESTAGE);
    lti_diff_begin_walk(diff);
    assert_int_equal(name(diff, "u-anna", LTI_MEMBER_ACTIVE), LTI_DIFF_RESTAGE);
    lti_diff_summarize(&summary, diff);
    assert_int_equal(summary.staged, 1);
    assert_int_equal(summary.walks, 2);
    assert_int_equal(summary.named, 1);
}

static apr_status_t collect(void *baton, const char *user_id)
{
    char *text = baton;

    strcat(strcat(text, user_id), " ");
    return APR_SUCCESS;
}

static apr_status_t stop_at_once(void *baton, const char *user_id)
{
    (void)user_id;
    ++*(int *)baton;
    return APR_EINTR;
}

/* SPEC N-42 as Invariant 2 changes it: missing is who was missed by all walks. */
static void only_who_is_missed_by_every_walk_is_missing(void **state)
{
    lti_diff_t *diff = lti_diff_create(*state);
    lti_diff_summary_t summary;
    char text[100] = "";
    int calls = 0;

    store(diff, "a", LTI_MEMBER_ACTIVE);
    store(diff, "b", LTI_MEMBER_ACTIVE);
    store(diff, "c", LTI_MEMBER_INACTIVE);
    store(diff, "d", LTI_MEMBER_LEFT);
    store(diff, "e", LTI_MEMBER_ACTIVE);
    lti_diff_begin_walk(diff);
    assert_int_equal(name(diff, "a", LTI_MEMBER_ACTIVE), LTI_DIFF_SAME);
    assert_int_equal(name(diff, "a", LTI_MEMBER_ACTIVE), LTI_DIFF_SAME);
    assert_int_equal(name(diff, "new", LTI_MEMBER_ACTIVE), LTI_DIFF_STAGE);
    lti_diff_summarize(&summary, diff);
    assert_int_equal(summary.named, 2);
    assert_int_equal(summary.missing, 3);
    assert_int_equal(summary.missing_active, 2);
    lti_diff_begin_walk(diff);
    assert_int_equal(name(diff, "e", LTI_MEMBER_ACTIVE), LTI_DIFF_SAME);
    lti_diff_summarize(&summary, diff);
    assert_int_equal(summary.walks, 2);
    assert_int_equal(summary.named, 1);
    assert_int_equal(summary.was_active, 3);
    assert_int_equal(summary.missing, 2);
    assert_int_equal(summary.missing_active, 1);
    assert_int_equal(summary.staged, 1);
    assert_int_equal(lti_diff_each_missing(diff, collect, text), APR_SUCCESS);
    assert_string_equal(text, "b c ");
    assert_int_equal(lti_diff_each_missing(diff, stop_at_once, &calls), APR_EINTR);
    assert_int_equal(calls, 1);
}

/* SPEC N-18: a list of changes names those who left. */
static void in_a_partial_walk_only_who_is_deleted_is_missing(void **state)
{
    lti_diff_t *diff = lti_diff_create(*state);
    lti_diff_summary_t summary;
    char text[100] = "";

    store(diff, "a", LTI_MEMBER_ACTIVE);
    store(diff, "b", LTI_MEMBER_ACTIVE);
    store(diff, "c", LTI_MEMBER_INACTIVE);
    store(diff, "d", LTI_MEMBER_LEFT);
    store(diff, "e", LTI_MEMBER_ACTIVE);
    lti_diff_partial(diff, 1);
    lti_diff_begin_walk(diff);
    lti_diff_deleted(diff, "b");
    lti_diff_deleted(diff, "c");
    lti_diff_deleted(diff, "d");
    lti_diff_deleted(diff, "stranger");
    /* The last word on a person counts. */
    lti_diff_deleted(diff, "e");
    assert_int_equal(name(diff, "e", LTI_MEMBER_ACTIVE), LTI_DIFF_SAME);
    assert_int_equal(name(diff, "new", LTI_MEMBER_ACTIVE), LTI_DIFF_STAGE);
    lti_diff_deleted(diff, "new");
    lti_diff_summarize(&summary, diff);
    assert_int_equal(summary.missing, 3);
    assert_int_equal(summary.missing_active, 1);
    assert_int_equal(lti_diff_each_missing(diff, collect, text), APR_SUCCESS);
    assert_string_equal(text, "b c new ");
    /* A whole list after all. */
    lti_diff_partial(diff, 0);
    lti_diff_summarize(&summary, diff);
    assert_int_equal(summary.missing, 3);
    assert_int_equal(summary.missing_active, 2);
}

static void missing_digest(unsigned char digest[LTI_DIGEST_SIZE], const char *const *ids, int count, apr_pool_t *p)
{
    lti_diff_t *diff = lti_diff_create(p);
    lti_diff_summary_t summary;
    int i;

    for (i = 0; i < count; i++)
        store(diff, ids[i], LTI_MEMBER_ACTIVE);
    lti_diff_summarize(&summary, diff);
    assert_int_equal(summary.missing, count);
    memcpy(digest, summary.missing_digest, LTI_DIGEST_SIZE);
}

static void two_runs_agree_on_the_missing_whatever_the_order(void **state)
{
    const char *order[] = {"b", "ab", "c", "z"}, *other[] = {"z", "c", "b", "ab"}, *joined[] = {"a", "bb", "c", "z"};
    unsigned char first[LTI_DIGEST_SIZE], second[LTI_DIGEST_SIZE];

    missing_digest(first, order, 4, *state);
    missing_digest(second, other, 4, *state);
    assert_memory_equal(first, second, LTI_DIGEST_SIZE);
    missing_digest(second, order, 3, *state);
    assert_memory_not_equal(first, second, LTI_DIGEST_SIZE);
    missing_digest(second, joined, 4, *state);
    assert_memory_not_equal(first, second, LTI_DIGEST_SIZE);
}

/* SPEC N-15; and those who are named already are still welcome. */
static void a_roster_has_an_end(void **state)
{
    lti_diff_t *diff = lti_diff_create(*state);
    lti_diff_summary_t summary;
    char id[40];
    int i;

    store(diff, "known", LTI_MEMBER_ACTIVE);
    lti_diff_begin_walk(diff);
    for (i = 0; i < LTI_MEMBERS_MAX; i++) {
        apr_snprintf(id, sizeof(id), "person-%d", i);
        if (name(diff, id, LTI_MEMBER_ACTIVE) != LTI_DIFF_STAGE)
            fail_msg("%s", id);
    }
    assert_int_equal(name(diff, "one-too-many", LTI_MEMBER_ACTIVE), LTI_DIFF_FULL);
    assert_int_equal(name(diff, "known", LTI_MEMBER_ACTIVE), LTI_DIFF_FULL);
    assert_int_equal(name(diff, "person-17", LTI_MEMBER_ACTIVE), LTI_DIFF_RESTAGE);
    lti_diff_summarize(&summary, diff);
    assert_int_equal(summary.named, LTI_MEMBERS_MAX);
    assert_int_equal(summary.missing, 1);
    lti_diff_begin_walk(diff);
    assert_int_equal(name(diff, "known", LTI_MEMBER_ACTIVE), LTI_DIFF_SAME);
}

static void an_id_that_cannot_be_kept_stops_the_run(void **state)
{
    lti_diff_t *diff = lti_diff_create(*state);
    char *id = apr_palloc(*state, 70000);

    memset(id, 'x', 69999);
    id[69999] = '\0';
    assert_int_equal(name(diff, id, LTI_MEMBER_ACTIVE), LTI_DIFF_FULL);
    assert_int_equal(name(diff, "anna", LTI_MEMBER_ACTIVE), LTI_DIFF_FULL);
}

/* 0 where the C library does not tell. */
static size_t heap_in_use(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

/* 120 bytes a person even just after the tables have doubled, and all of it is given back. */
static void memory_stays_small_and_is_given_back(void **state)
{
    static const int counts[] = {100000, 65537, 131072};
    size_t i;

    for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        unsigned char digest[LTI_DIGEST_SIZE] = {0};
        apr_pool_t *pool;
        size_t before, used;
        lti_diff_t *diff;
        char id[40];
        int n;

        apr_pool_create(&pool, *state);
        diff = lti_diff_create(pool);
        before = heap_in_use();
        for (n = 0; n < counts[i]; n++) {
            apr_snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012d", n);
            lti_diff_known(diff, id, digest, LTI_MEMBER_ACTIVE);
        }
        used = heap_in_use() - before;
        apr_pool_destroy(pool);
        /* A sanitizer's allocator does not count here. */
        if (used > 0) {
            assert_in_range(used / (size_t)counts[i], 50, 120);
            assert_true(heap_in_use() < before + 100000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_of_the_documentation),
        cmocka_unit_test(the_digest_sees_every_field_and_no_time),
        cmocka_unit_test(the_digest_sees_sections_and_groups),
        POOL_TEST(verdicts_follow_from_what_is_stored),
        POOL_TEST(a_return_is_seen_though_the_digest_is_the_same),
        POOL_TEST(what_was_staged_is_replaced_even_by_what_is_stored),
        POOL_TEST(in_a_partial_walk_only_who_is_deleted_is_missing),
        POOL_TEST(only_who_is_missed_by_every_walk_is_missing),
        POOL_TEST(two_runs_agree_on_the_missing_whatever_the_order),
        POOL_TEST(a_roster_has_an_end),
        POOL_TEST(an_id_that_cannot_be_kept_stops_the_run),
        POOL_TEST(memory_stays_small_and_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
