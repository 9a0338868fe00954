/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters in shared memory: what goes in comes out, nothing half-written ever does, and a dead writer leaves nothing broken. */
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "lti_snapshot.h"
#include "lti_snapshot_layout.h"

#define MEMBERSHIP "http://purl.imsglobal.org/vocab/lis/v2/membership#"
#define LEARNER MEMBERSHIP "Learner"
#define INSTRUCTOR MEMBERSHIP "Instructor"
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

static lti_course_t course_of(const char *key, apr_int64_t version)
{
    return (lti_course_t){
        .key = key,
        .version = version,
        .state = LTI_ROSTER_CURRENT,
        .active = 2,
        .succeeded_at = 1000 + version,
        .stale_at = 2000 + version,
    };
}

static lti_member_t member_of(const char *user_id)
{
    return (lti_member_t){
        .user_id = user_id,
        .name = "Anna Katharina Li",
        .given_name = "Anna",
        .family_name = "Li",
        .email = "anna.li@students.example.edu",
        .sourcedid = "12345678",
        .roles = LEARNER,
        .status = LTI_MEMBER_ACTIVE,
        .joined_at = 5,
        .status_at = 7,
    };
}

static const char *id_of(int number, char id[40])
{
    apr_snprintf(id, 40, "5c1e8f0e-77a1-4d0b-9d52-%012d", number);
    return id;
}

/* Writes `count` people up to, but without, commit. */
static apr_status_t fill(fixture_t *f, const lti_course_t *course, int count)
{
    apr_status_t rv = lti_snapshot_begin(f->writer, course, count, &f->err);
    char id[40];
    int i;

    for (i = 0; i < count && rv == APR_SUCCESS; i++) {
        lti_member_t member = member_of(id_of(i, id));

        rv = lti_snapshot_add(f->writer, &member, &f->err);
    }
    return rv;
}

static apr_status_t publish(fixture_t *f, const char *key, apr_int64_t version, int count)
{
    lti_course_t course = course_of(key, version);
    apr_status_t rv = fill(f, &course, count);

    return rv == APR_SUCCESS ? lti_snapshot_commit(f->writer, &f->err) : rv;
}

static lti_snapshot_usage_t usage_of(const fixture_t *f)
{
    lti_snapshot_usage_t usage;

    lti_snapshot_usage(f->snapshot, &usage);
    return usage;
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

static void a_block_of_any_alignment_will_do_if_it_is_large_enough(void **state)
{
    char *block = apr_palloc(*state, 2 * MIB + 100);
    lti_snapshot_usage_t usage;
    lti_snapshot_t *snapshot;
    lti_err_t err;
    apr_size_t i;

    assert_code(lti_snapshot_format(&snapshot, block, LTI_SNAPSHOT_MIN_SIZE - 1, *state, &err), err, LTI_E_CONFIG);
    assert_non_null(strstr(err.text, "LTISharedMemory"));
    for (i = 0; i < 70; i += 23) {
        fixture_t f;

        memset(block, 0xA5, 2 * MIB + 100);
        assert_ok(lti_snapshot_format(&f.snapshot, block + i, 2 * MIB, *state, &f.err), f.err);
        assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
        assert_ok(lti_snapshot_writer_create(&f.writer, f.snapshot, *state, &f.err), f.err);
        while (publish(&f, "course", 1, (int)usage_of(&f).members + 500) == APR_SUCCESS)
            ;
        lti_snapshot_abort(f.writer, 0);
        assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
        assert_int_equal((unsigned char)block[i + 2 * MIB], 0xA5);
        assert_true(i == 0 || (unsigned char)block[i - 1] == 0xA5);
        usage = usage_of(&f);
        assert_true(usage.members > 1000);
    }
}

static void a_default_segment_has_room_for_twenty_thousand_courses(void **state)
{
    fixture_t f = prepare(64 * MIB, *state);
    char key[20];
    int i;

    for (i = 0; i < 25000; i++) {
        lti_course_t course;

        apr_snprintf(key, sizeof(key), "%016d", i);
        course = course_of(key, 0);
        assert_ok(lti_snapshot_touch(f.writer, &course, &f.err), f.err);
    }
    assert_int_equal(usage_of(&f).slots_used, 25000);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "0000000000024999", "x", NULL, NULL), LTI_SNAPSHOT_NO_ROSTER);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

/* --- looking up --------------------------------------------------------------------------------------------------- */

static void a_person_is_found_with_all_that_requests_need(void **state)
{
    fixture_t f = prepare(MIB, *state);
    char key[17] = "abcdefghijklmnop", id[] = "u-1";
    lti_course_t course = course_of(key, 42);
    lti_member_t member = member_of(id);
    lti_snapshot_course_t c;
    lti_snapshot_member_t m;

    course.state = LTI_ROSTER_HELD;
    course.active = 77;
    member.status = LTI_MEMBER_INACTIVE;
    member.roles = INSTRUCTOR " " LEARNER;
    member.role_at = 9;
    assert_ok(lti_snapshot_begin(f.writer, &course, 3, &f.err), f.err);
    memset(key, 'x', 16); /* the course is the caller's again */
    assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
    member = member_of("u-2");
    assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
    member.user_id = "u-3";
    member.status = LTI_MEMBER_LEFT;
    member.name = member.given_name = member.family_name = member.email = member.sourcedid = NULL;
    member.roles = "";
    assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "abcdefghijklmnop", "u-1", &c, &m), LTI_SNAPSHOT_UNKNOWN);
    assert_ok(lti_snapshot_commit(f.writer, &f.err), f.err);
    memset(id, 'x', 3);

    assert_int_equal(lti_snapshot_lookup(f.snapshot, "abcdefghijklmnop", "u-1", &c, &m), LTI_SNAPSHOT_MEMBER);
    assert_int_equal(c.version, 42);
    assert_int_equal(c.active, 77);
    assert_int_equal(c.state, LTI_ROSTER_HELD);
    assert_int_equal(c.succeeded_at, 1042);
    assert_int_equal(c.stale_at, 2042);
    assert_int_equal(m.status, LTI_MEMBER_INACTIVE);
    assert_int_equal(m.role, LTI_ROLE_INSTRUCTOR);
    assert_int_equal(m.status_at, 7);
    assert_int_equal(m.role_at, 9);
    assert_string_equal(m.roles, INSTRUCTOR " " LEARNER);
    assert_int_equal(m.roles_length, strlen(m.roles));

    assert_int_equal(lti_snapshot_lookup(f.snapshot, "abcdefghijklmnop", "u-2", NULL, &m), LTI_SNAPSHOT_MEMBER);
    assert_int_equal(m.role, LTI_ROLE_LEARNER);
    assert_int_equal(m.role_at, 0);
    assert_string_equal(m.roles, "");
    assert_int_equal(m.roles_length, 0);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "abcdefghijklmnop", "u-3", NULL, &m), LTI_SNAPSHOT_MEMBER);
    assert_int_equal(m.status, LTI_MEMBER_LEFT);
    assert_int_equal(m.role, LTI_ROLE_NONE);
    assert_int_equal(lti_snapshot_version(f.snapshot, "abcdefghijklmnop"), 42);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

static void who_is_not_there_is_not_found(void **state)
{
    fixture_t f = prepare(MIB, *state);
    char *long_id = apr_palloc(*state, 400);
    lti_course_t none = course_of("none", 0), elsewhere = course_of("elsewhere", 3);
    const struct {
        const char *key;
        const char *id;
        lti_snapshot_result_t result;
        apr_int64_t version;
    } rows[] = {
        {"course", "5c1e8f0e-77a1-4d0b-9d52-000000000003", LTI_SNAPSHOT_MEMBER, 1},
        {"course", "5c1e8f0e-77a1-4d0b-9d52-000000000004", LTI_SNAPSHOT_NO_MEMBER, 1},
        {"course", "5c1e8f0e-77a1-4d0b-9d52-00000000000", LTI_SNAPSHOT_NO_MEMBER, 1},
        {"course", "5C1e8f0e-77a1-4d0b-9d52-000000000003", LTI_SNAPSHOT_NO_MEMBER, 1},
        {"course", "", LTI_SNAPSHOT_NO_MEMBER, 1},
        {"course", NULL, LTI_SNAPSHOT_NO_MEMBER, 1},
        {"course", long_id, LTI_SNAPSHOT_NO_MEMBER, 1},
        {"cours", "x", LTI_SNAPSHOT_UNKNOWN, -1},
        {"course2", "x", LTI_SNAPSHOT_UNKNOWN, -1},
        {"", "x", LTI_SNAPSHOT_UNKNOWN, -1},
        {NULL, "x", LTI_SNAPSHOT_UNKNOWN, -1},
        {"longer-than-any-key", "x", LTI_SNAPSHOT_UNKNOWN, -1},
        {"none", "x", LTI_SNAPSHOT_NO_ROSTER, -1},
        {"elsewhere", "x", LTI_SNAPSHOT_UNKNOWN, -1},
    };
    lti_snapshot_course_t course;
    size_t i;

    memset(long_id, 'x', 399);
    long_id[399] = '\0';
    assert_ok(publish(&f, "course", 1, 4), f.err);
    assert_ok(lti_snapshot_touch(f.writer, &none, &f.err), f.err);
    assert_ok(lti_snapshot_touch(f.writer, &elsewhere, &f.err), f.err);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (lti_snapshot_lookup(f.snapshot, rows[i].key, rows[i].id, &course, NULL) != rows[i].result)
            fail_msg("row %d", (int)i);
        assert_int_equal(lti_snapshot_version(f.snapshot, rows[i].key), rows[i].version);
    }
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "none", "x", &course, NULL), LTI_SNAPSHOT_NO_ROSTER);
    assert_int_equal(course.succeeded_at, 1000);
}

/* Around every border of the layout: an empty roster, the index leaving the head, its list, whole courses. */
static void rosters_of_all_sizes_hold_everybody(void **state)
{
    static const int sizes[] = {0, 1, 2, 27, 28, 281, 282, 283, 300, 375, 376, 377, 758, 5000, 100000};
    fixture_t f = prepare(48 * MIB, *state);
    lti_snapshot_member_t m;
    char id[40], key[20];
    size_t s;
    int i;

    for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        apr_snprintf(key, sizeof(key), "size-%d", sizes[s]);
        assert_ok(publish(&f, key, 1, sizes[s]), f.err);
        for (i = 0; i < sizes[s]; i++) {
            if (lti_snapshot_lookup(f.snapshot, key, id_of(i, id), NULL, &m) != LTI_SNAPSHOT_MEMBER)
                fail_msg("person %d of %d", i, sizes[s]);
        }
        for (; i < sizes[s] + 1000; i++) {
            if (lti_snapshot_lookup(f.snapshot, key, id_of(i, id), NULL, &m) != LTI_SNAPSHOT_NO_MEMBER)
                fail_msg("person %d of %d", i, sizes[s]);
        }
    }
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
    assert_true(usage_of(&f).largest > 3000);
}

/* Ids and texts of all lengths, so that each part of a record comes to lie across a chunk's end. */
static void nothing_is_lost_where_chunks_end(void **state)
{
    fixture_t f = prepare(8 * MIB, *state);
    lti_course_t course = course_of("course", 1);
    char *text = apr_palloc(*state, LTI_FIELD_MAX + 1);
    lti_snapshot_member_t m;
    char id[LTI_ID_MAX + 1];
    int i;

    memset(text, 'n', LTI_FIELD_MAX);
    text[LTI_FIELD_MAX] = '\0';
    assert_ok(lti_snapshot_begin(f.writer, &course, 1500, &f.err), f.err);
    for (i = 0; i < 1500; i++) {
        lti_member_t member = member_of(id);

        apr_snprintf(id, sizeof(id), "%0*d", 5 + i % (LTI_ID_MAX - 4), i);
        member.name = text + i % LTI_FIELD_MAX;
        member.given_name = text;
        member.email = i % 2 ? NULL : "";
        member.roles = apr_psprintf(*state, LEARNER " https://example.edu/roles#%s%d", text + LTI_FIELD_MAX - i % 400, i % 37);
        member.role_at = i + 1;
        assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
    }
    assert_ok(lti_snapshot_commit(f.writer, &f.err), f.err);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
    for (i = 0; i < 1500; i++) {
        apr_snprintf(id, sizeof(id), "%0*d", 5 + i % (LTI_ID_MAX - 4), i);
        assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", id, NULL, &m), LTI_SNAPSHOT_MEMBER);
        assert_int_equal(m.role_at, i + 1);
        assert_string_equal(
            m.roles, apr_psprintf(*state, LEARNER " https://example.edu/roles#%s%d", text + LTI_FIELD_MAX - i % 400, i % 37));
    }
}

static void long_lists_of_roles_are_cut_at_a_blank(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_course_t course = course_of("course", 1);
    lti_member_t member = member_of("u");
    lti_snapshot_member_t m;
    int first;

    /* The first role ends before, at and behind the last byte that fits. */
    for (first = LTI_SNAPSHOT_ROLES_MAX - 9; first <= LTI_SNAPSHOT_ROLES_MAX + 9; first++) {
        char *roles = apr_palloc(*state, 70001);
        int kept = first <= LTI_SNAPSHOT_ROLES_MAX ? first : 8;

        memset(roles, 'r', 70000);
        roles[70000] = '\0';
        roles[8] = first <= LTI_SNAPSHOT_ROLES_MAX ? 'r' : ' ';
        roles[first] = ' ';
        member.roles = roles;
        member.role_at = 1;
        assert_ok(lti_snapshot_begin(f.writer, &course, 1, &f.err), f.err);
        assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
        assert_ok(lti_snapshot_commit(f.writer, &f.err), f.err);
        assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "u", NULL, &m), LTI_SNAPSHOT_MEMBER);
        assert_int_equal(m.roles_length, 70000);
        assert_int_equal(strlen(m.roles), kept);
    }
    {
        char *roles = apr_pcalloc(*state, LTI_SNAPSHOT_ROLES_MAX + 1);

        memset(roles, 'r', LTI_SNAPSHOT_ROLES_MAX);
        member.roles = roles;
        assert_ok(lti_snapshot_begin(f.writer, &course, 1, &f.err), f.err);
        assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
        assert_ok(lti_snapshot_commit(f.writer, &f.err), f.err);
        assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "u", NULL, &m), LTI_SNAPSHOT_MEMBER);
        assert_string_equal(m.roles, roles);
    }
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

/* --- publishing --------------------------------------------------------------------------------------------------- */

static void active_people_are_counted_by_role(void **state)
{
    static const struct {
        const char *id, *roles;
        lti_member_status_t status;
    } members[] = {
        {"u1", INSTRUCTOR, LTI_MEMBER_ACTIVE}, {"u2", LEARNER, LTI_MEMBER_ACTIVE}, {"u3", LEARNER, LTI_MEMBER_ACTIVE},
        {"u4", LEARNER, LTI_MEMBER_LEFT},      {"u5", "", LTI_MEMBER_ACTIVE},      {"u6", LEARNER, LTI_MEMBER_INACTIVE},
    };
    fixture_t f = prepare(MIB, *state);
    lti_course_t course = course_of("course", 1), other = course_of("other", 0);
    apr_uint32_t counts[LTI_SNAPSHOT_ROLES], sum = 0;
    size_t i;

    assert_int_equal(lti_snapshot_roles(counts, f.snapshot, "course"), 0);
    assert_int_equal(lti_snapshot_roles(counts, f.snapshot, NULL), 0);
    assert_ok(lti_snapshot_begin(f.writer, &course, 6, &f.err), f.err);
    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        lti_member_t member = member_of(members[i].id);

        member.roles = members[i].roles;
        member.status = members[i].status;
        assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
    }
    assert_int_equal(lti_snapshot_roles(counts, f.snapshot, "course"), 0);
    assert_ok(lti_snapshot_commit(f.writer, &f.err), f.err);
    assert_int_equal(lti_snapshot_roles(counts, f.snapshot, "course"), 1);
    for (i = 0; i < LTI_SNAPSHOT_ROLES; i++)
        sum += counts[i];
    assert_int_equal(sum, 4);
    assert_int_equal(counts[LTI_ROLE_LEARNER], 2);
    assert_int_equal(counts[LTI_ROLE_INSTRUCTOR], 1);
    assert_int_equal(counts[LTI_ROLE_NONE], 1);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);

    /* The next roster is counted anew; a course without one has no counts. */
    assert_ok(publish(&f, "course", 2, 500), f.err);
    assert_int_equal(lti_snapshot_roles(counts, f.snapshot, "course"), 1);
    for (i = sum = 0; i < LTI_SNAPSHOT_ROLES; i++)
        sum += counts[i];
    assert_int_equal(sum, 500);
    assert_ok(lti_snapshot_touch(f.writer, &other, &f.err), f.err);
    assert_int_equal(lti_snapshot_roles(counts, f.snapshot, "other"), 0);
}

static void a_new_roster_replaces_the_old_one_and_gives_its_chunks_back(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_snapshot_usage_t first, later;
    apr_int64_t version;

    assert_ok(publish(&f, "course", 1, 500), f.err);
    first = usage_of(&f);
    assert_int_equal(first.members, 500);
    assert_int_equal(first.largest, first.chunks_used);
    for (version = 2; version < 300; version++)
        assert_ok(publish(&f, "course", version, 500), f.err);
    later = usage_of(&f);
    assert_int_equal(lti_snapshot_version(f.snapshot, "course"), 299);
    assert_int_equal(later.chunks_used, first.chunks_used);
    assert_int_equal(later.slots_used, 1);
    assert_ok(publish(&f, "course", 300, 2), f.err);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "5c1e8f0e-77a1-4d0b-9d52-000000000002", NULL, NULL),
                     LTI_SNAPSHOT_NO_MEMBER);
    assert_int_equal(usage_of(&f).chunks_used, 1);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

static void touching_changes_the_standing_only(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_course_t course = course_of("course", 5);
    lti_snapshot_course_t c;

    assert_ok(publish(&f, "course", 5, 3), f.err);
    course.version = 6;
    course.state = LTI_ROSTER_FAILING;
    course.active = -1;
    course.succeeded_at = 11;
    course.stale_at = 12;
    assert_ok(lti_snapshot_touch(f.writer, &course, &f.err), f.err);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "5c1e8f0e-77a1-4d0b-9d52-000000000002", &c, NULL),
                     LTI_SNAPSHOT_MEMBER);
    assert_int_equal(c.version, 5);
    assert_int_equal(c.state, LTI_ROSTER_FAILING);
    assert_int_equal(c.active, 0);
    assert_int_equal(c.succeeded_at, 11);
    assert_int_equal(c.stale_at, 12);
    course.key = "";
    assert_code(lti_snapshot_touch(f.writer, &course, &f.err), f.err, LTI_E_INTERNAL);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

static void a_course_of_a_new_database_loses_the_roster_of_the_old_one(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_course_t course = course_of("course", 0);
    lti_snapshot_course_t c;

    assert_ok(publish(&f, "course", 5, 3), f.err);
    course.state = LTI_ROSTER_PENDING;
    assert_ok(lti_snapshot_touch(f.writer, &course, &f.err), f.err);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "5c1e8f0e-77a1-4d0b-9d52-000000000002", &c, NULL),
                     LTI_SNAPSHOT_NO_ROSTER);
    assert_int_equal(lti_snapshot_version(f.snapshot, "course"), -1);
    assert_int_equal(usage_of(&f).chunks_used, 0);
    assert_ok(publish(&f, "course", 5, 4), f.err);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "5c1e8f0e-77a1-4d0b-9d52-000000000002", &c, NULL),
                     LTI_SNAPSHOT_MEMBER);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

static void giving_up_keeps_the_old_roster_or_takes_it_out(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_course_t course = course_of("course", 2), none = course_of("none", 0);
    lti_snapshot_course_t c;
    apr_uint32_t used;
    int i;

    assert_ok(publish(&f, "course", 1, 10), f.err);
    used = usage_of(&f).chunks_used;
    for (i = 0; i < 100; i++) {
        assert_ok(fill(&f, &course, 500), f.err);
        lti_snapshot_abort(f.writer, 0);
    }
    assert_int_equal(lti_snapshot_version(f.snapshot, "course"), 1);
    assert_int_equal(usage_of(&f).chunks_used, used);
    assert_ok(fill(&f, &course, 500), f.err);
    lti_snapshot_abort(f.writer, 1);
    assert_int_equal(lti_snapshot_version(f.snapshot, "course"), -1);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "x", &c, NULL), LTI_SNAPSHOT_UNKNOWN);
    assert_int_equal(usage_of(&f).chunks_used, 0);
    lti_snapshot_abort(f.writer, 1); /* nothing is open: nothing happens */

    /* A course that had no roster has one now, but not here. */
    assert_ok(lti_snapshot_touch(f.writer, &none, &f.err), f.err);
    none.version = 1;
    assert_ok(fill(&f, &none, 3), f.err);
    lti_snapshot_abort(f.writer, 1);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "none", "x", &c, NULL), LTI_SNAPSHOT_UNKNOWN);
    assert_ok(lti_snapshot_touch(f.writer, &course, &f.err), f.err);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "x", &c, NULL), LTI_SNAPSHOT_UNKNOWN);
    assert_ok(publish(&f, "course", 3, 3), f.err);
    assert_int_equal(lti_snapshot_version(f.snapshot, "course"), 3);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

static int figure_in(const char *text)
{
    const char *at = strstr(text, "set LTISharedMemory to at least ");

    assert_non_null(at);
    return atoi(at + strlen("set LTISharedMemory to at least "));
}

/* The figure in the message suffices for what did not fit, to be published twice. */
static void a_full_segment_says_how_large_it_must_be(void **state)
{
    static const int people[] = {30, 400, 6000, 30000, 100000};
    size_t i;

    for (i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
        fixture_t f = prepare(MIB, *state);
        lti_snapshot_usage_t before;
        apr_status_t rv;
        int courses = 0, needed, again;
        char key[20];

        do {
            apr_snprintf(key, sizeof(key), "course-%d", courses++);
            before = usage_of(&f);
            rv = publish(&f, key, 1, people[i]);
        } while (rv == APR_SUCCESS);
        assert_code(rv, f.err, LTI_E_SNAPSHOT_FULL);
        needed = figure_in(f.err.text);
        assert_in_range(needed, 2, 3 + people[i] / 2000);
        assert_code(lti_snapshot_commit(f.writer, &f.err), f.err, LTI_E_INTERNAL);
        lti_snapshot_abort(f.writer, 1);
        assert_int_equal(usage_of(&f).chunks_used, before.chunks_used);
        assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);

        f = prepare((apr_size_t)needed * MIB, *state);
        for (again = 0; again < 2 * courses; again++) {
            apr_snprintf(key, sizeof(key), "course-%d", again % courses);
            assert_ok(publish(&f, key, again, people[i]), f.err);
        }
    }
}

static void a_full_directory_says_so(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_course_t course = course_of("", 0);
    apr_status_t rv = APR_SUCCESS;
    char key[20];
    int i;

    for (i = 0; rv == APR_SUCCESS; i++) {
        apr_snprintf(key, sizeof(key), "course-%d", i);
        course.key = key;
        rv = lti_snapshot_touch(f.writer, &course, &f.err);
    }
    assert_code(rv, f.err, LTI_E_SNAPSHOT_FULL);
    assert_true(figure_in(f.err.text) >= 2);
    assert_true(i > 400);
    assert_code(lti_snapshot_begin(f.writer, &course, 1, &f.err), f.err, LTI_E_SNAPSHOT_FULL);
    lti_snapshot_abort(f.writer, 1);
    assert_ok(publish(&f, "course-1", 1, 1), f.err);
    course.key = "course-2";
    assert_ok(lti_snapshot_touch(f.writer, &course, &f.err), f.err);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "missing", "x", NULL, NULL), LTI_SNAPSHOT_UNKNOWN);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

static void a_course_beyond_the_largest_index_goes_to_the_database(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_course_t course = course_of("course", 2);

    assert_ok(publish(&f, "course", 1, 3), f.err);
    assert_code(lti_snapshot_begin(f.writer, &course, 2 * LTI_MEMBERS_MAX, &f.err), f.err, LTI_E_SNAPSHOT_FULL);
    lti_snapshot_abort(f.writer, 1);
    assert_int_equal(lti_snapshot_version(f.snapshot, "course"), -1);
    assert_true(INDEX_MAX / 4 * 3 > LTI_MEMBERS_MAX);
}

static void misuse_is_refused(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_course_t course = course_of("course", 1), bad = course_of("seventeen-letters", 1);
    lti_member_t member = member_of("u"), broken;
    char *text = apr_pcalloc(*state, 5000);
    char id[40];
    int i;

    assert_code(lti_snapshot_add(f.writer, &member, &f.err), f.err, LTI_E_INTERNAL);
    assert_code(lti_snapshot_commit(f.writer, &f.err), f.err, LTI_E_INTERNAL);
    assert_code(lti_snapshot_begin(f.writer, &bad, 1, &f.err), f.err, LTI_E_INTERNAL);
    assert_ok(lti_snapshot_begin(f.writer, &course, 1, &f.err), f.err);
    assert_code(lti_snapshot_begin(f.writer, &course, 1, &f.err), f.err, LTI_E_INTERNAL);
    assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
    assert_code(lti_snapshot_add(f.writer, &member, &f.err), f.err, LTI_E_INTERNAL);
    assert_code(lti_snapshot_commit(f.writer, &f.err), f.err, LTI_E_INTERNAL);

    memset(text, 'x', 4999);
    for (i = 0; i < 5; i++) {
        broken = member;
        if (i == 0)
            broken.user_id = NULL;
        if (i == 1)
            broken.user_id = "";
        if (i == 2)
            broken.user_id = text;
        if (i == 3)
            broken.status = (lti_member_status_t)4;
        if (i == 4)
            broken.email = text;
        assert_ok(lti_snapshot_begin(f.writer, &course, 1, &f.err), f.err);
        assert_code(lti_snapshot_add(f.writer, &broken, &f.err), f.err, LTI_E_INTERNAL);
        assert_code(lti_snapshot_commit(f.writer, &f.err), f.err, LTI_E_INTERNAL);
    }
    assert_ok(lti_snapshot_begin(f.writer, &course, 100, &f.err), f.err);
    for (i = 0; i < 100; i++) {
        member.user_id = id_of(i, id);
        assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
    }
    while (lti_snapshot_add(f.writer, &member, &f.err) == APR_SUCCESS)
        member.user_id = id_of(++i, id);
    assert_code(APR_EGENERAL, f.err, LTI_E_INTERNAL);
    lti_snapshot_abort(f.writer, 0);
    assert_int_equal(usage_of(&f).chunks_used, 0);
    assert_int_equal(usage_of(&f).slots_used, 0);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

/* --- damage and death --------------------------------------------------------------------------------------------- */

static lti_word_t *slot_of(const fixture_t *f, const char *key)
{
    uint64_t words[KEY_WORDS];

    assert_true(lti_slot_key(words, key));
    return lti_slot_find(f->snapshot, words, NULL);
}

/* The copy that counts. */
static lti_word_t *copy_of(lti_word_t *slot)
{
    return lti_copy_at(slot, lti_word_get(&slot[SLOT_SEQUENCE]));
}

/* Invariant 3 must not hang on the database just because a writer was stopped, for an instant or for ever. */
static void a_writer_that_stops_anywhere_leaves_what_was_there(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_snapshot_writer_t *next;
    lti_snapshot_member_t member;
    uint64_t key[KEY_WORDS];
    lti_word_t *slot, *first;
    int words, round;

    assert_ok(publish(&f, "course", 1, 50), f.err);
    assert_ok(publish(&f, "other", 1, 50), f.err);
    slot = slot_of(&f, "course");
    /* It stops after so many words of the copy that is to come, be it the first or the second. */
    for (round = 0; round < 2; round++) {
        for (words = 0; words <= COPY_WORDS; words++) {
            if (words > 0)
                lti_word_put(&lti_copy_at(slot, lti_word_get(&slot[SLOT_SEQUENCE]) + 1)[words - 1], UINT64_MAX - 3);
            assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", id_of(7, (char[40]){""}), NULL, &member),
                             LTI_SNAPSHOT_MEMBER);
            assert_int_equal(lti_snapshot_version(f.snapshot, "course"), round + 1);
            assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
            assert_ok(lti_snapshot_writer_create(&next, f.snapshot, *state, &f.err), f.err);
            assert_int_equal(lti_snapshot_version(f.snapshot, "course"), round + 1);
        }
        f.writer = next;
        assert_ok(publish(&f, "course", round + 2, 50), f.err);
    }
    assert_int_equal(usage_of(&f).slots_used, 2);

    /* Or while a new slot got its key, as many words as it has; the sequence comes last. */
    for (words = 0; words <= KEY_WORDS; words++) {
        assert_true(lti_slot_key(key, "newcourse-sixtee"));
        assert_null(lti_slot_find(f.snapshot, key, &first));
        memcpy((void *)&first[SLOT_KEY], key, (size_t)words * WORD_SIZE);
        assert_int_equal(lti_snapshot_lookup(f.snapshot, "newcourse-sixtee", "x", NULL, NULL), LTI_SNAPSHOT_UNKNOWN);
        assert_int_equal(lti_snapshot_lookup(f.snapshot, "newcours", "x", NULL, NULL), LTI_SNAPSHOT_UNKNOWN);
        assert_ok(lti_snapshot_writer_create(&f.writer, f.snapshot, *state, &f.err), f.err);
        assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
        assert_int_equal(usage_of(&f).slots_used, 2);
    }
    assert_ok(publish(&f, "course", 2, 50), f.err);
    assert_ok(publish(&f, "newcourse-sixtee", 2, 50), f.err);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

typedef struct damage_t {
    const char *what;
    lti_word_t *word;
    uint64_t value;
} damage_t;

static void validation_finds_damage_and_lookups_survive_it(void **state)
{
    fixture_t f = prepare(MIB, *state);
    lti_word_t *slot, *other, *head, *second, *index;
    lti_snapshot_member_t m;
    damage_t rows[25];
    size_t count = 0, i;
    uint32_t place;
    char id[40];
    int n;

    assert_ok(publish(&f, "course", 1, 1000), f.err);
    assert_ok(publish(&f, "other", 1, 20), f.err);
    slot = slot_of(&f, "course");
    other = slot_of(&f, "other");
    head = lti_chunk_at(f.snapshot, lti_word_low(lti_word_get(&copy_of(slot)[COPY_ROSTER])));
    second = lti_chunk_at(f.snapshot, lti_word_low(lti_word_get(&head[CHUNK_LINK])));
    for (place = 0, index = NULL; index == NULL || lti_word_get(index) == 0; place++)
        index = lti_index_at(f.snapshot, head, lti_word_high(lti_word_get(&copy_of(slot)[COPY_ROSTER])), place);
#define DAMAGE(target, wrong) rows[count++] = (damage_t){.what = #target " = " #wrong, .word = &(target), .value = (wrong)}
    DAMAGE(f.snapshot->header[HEADER_MAGIC], 0);
    DAMAGE(f.snapshot->header[HEADER_CHUNKS], 9);
    DAMAGE(slot[SLOT_SEQUENCE], 0);
    DAMAGE(slot[SLOT_KEY], 1);
    DAMAGE(copy_of(slot)[COPY_STANDING], UINT64_C(99) << 32);
    DAMAGE(copy_of(slot)[COPY_ROSTER], lti_word_pair(f.snapshot->chunk_count, 8));
    DAMAGE(copy_of(slot)[COPY_ROSTER], lti_word_get(&copy_of(slot)[COPY_ROSTER]) & UINT32_MAX);
    DAMAGE(copy_of(slot)[COPY_ROSTER], lti_word_pair(lti_word_low(lti_word_get(&copy_of(slot)[COPY_ROSTER])), INDEX_MAX));
    DAMAGE(copy_of(slot)[COPY_ROSTER], lti_word_get(&copy_of(other)[COPY_ROSTER]));
    DAMAGE(copy_of(slot)[COPY_COUNTS], 0);
    DAMAGE(head[CHUNK_LINK], lti_word_pair(CHUNK_NONE - 5, 0));
    DAMAGE(head[CHUNK_LINK], lti_word_pair(CHUNK_NONE, lti_word_high(lti_word_get(&head[CHUNK_LINK]))));
    DAMAGE(second[CHUNK_LINK], lti_word_pair(lti_word_low(lti_word_get(&copy_of(slot)[COPY_ROSTER])), 0));
    DAMAGE(second[CHUNK_LINK], lti_word_pair(lti_word_low(lti_word_get(&second[CHUNK_LINK])), 1));
    DAMAGE(head[HEAD_COUNTS], lti_word_get(&head[HEAD_COUNTS]) + 1);
    DAMAGE(head[HEAD_INDEX], lti_word_get(&head[HEAD_INDEX]) + 1);
    DAMAGE(head[HEAD_ROLES], lti_word_get(&head[HEAD_ROLES]) + 1);
    DAMAGE(head[HEAD_WORDS], UINT64_MAX);
    DAMAGE(*index, 0);
    DAMAGE(*index, lti_word_get(index) ^ UINT64_C(1) << 40);
    DAMAGE(*index, lti_word_pair(UINT32_MAX, lti_word_high(lti_word_get(index))));
    DAMAGE(*index, lti_word_pair(lti_word_low(lti_word_get(&copy_of(other)[COPY_ROSTER])) * CHUNK_WORDS + 1, 1));
    DAMAGE(lti_chunk_at(f.snapshot, 0)[lti_word_low(lti_word_get(index))], 0);
    DAMAGE(lti_chunk_at(f.snapshot, 0)[lti_word_low(lti_word_get(index))],
           lti_word_get(&lti_chunk_at(f.snapshot, 0)[lti_word_low(lti_word_get(index))]) | 0xFF);
    DAMAGE(lti_chunk_at(f.snapshot, 0)[lti_word_low(lti_word_get(index))],
           lti_word_get(&lti_chunk_at(f.snapshot, 0)[lti_word_low(lti_word_get(index))]) | UINT64_C(0xFFFFFF) << 40);
    assert_int_equal(count, sizeof(rows) / sizeof(rows[0]));
    for (i = 0; i < count; i++) {
        uint64_t right = lti_word_get(rows[i].word);

        lti_word_put(rows[i].word, rows[i].value);
        if (lti_snapshot_validate(f.snapshot, &f.err) == APR_SUCCESS)
            fail_msg("not found: %s", rows[i].what);
        for (n = 0; n < 1100; n++) {
            m.roles[0] = '\0';
            (void)lti_snapshot_lookup(f.snapshot, "course", id_of(n, id), NULL, &m);
        }
        lti_word_put(rows[i].word, right);
    }
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);

    /* A new writer gives up a roster that it cannot own, and one whose header is gone altogether. */
    lti_word_put(&second[CHUNK_LINK], 0);
    assert_ok(lti_snapshot_writer_create(&f.writer, f.snapshot, *state, &f.err), f.err);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
    assert_int_equal(lti_snapshot_lookup(f.snapshot, "course", "x", NULL, NULL), LTI_SNAPSHOT_UNKNOWN);
    lti_word_put(&f.snapshot->header[HEADER_MAGIC], 0);
    assert_code(lti_snapshot_writer_create(&f.writer, f.snapshot, *state, &f.err), f.err, LTI_E_INTERNAL);
}

/* Everything of a version follows from its number, so a reader can tell whether what it got belongs together. */
#define KILL_COURSES 4
#define KILL_PEOPLE 120
#define KILLS 120
#define READERS 2

static const char *const role_sets[] = {LEARNER, INSTRUCTOR, INSTRUCTOR " " LEARNER, INSTRUCTOR " https://example.edu/roles#other"};
static const char *const courses[KILL_COURSES] = {"course-aaaaaaaaa", "course-bbbbbbbbb", "course-ccccccccc", "course-ddddddddd"};

static apr_status_t write_version(fixture_t *f, const char *key, apr_int64_t version)
{
    lti_course_t course = course_of(key, version);
    apr_status_t rv;
    char id[40];
    int i;

    course.active = (int)(version & 0xFFFF);
    course.state = (lti_roster_state_t)(version % 5);
    rv = lti_snapshot_begin(f->writer, &course, KILL_PEOPLE, &f->err);
    for (i = 0; i < KILL_PEOPLE && rv == APR_SUCCESS; i++) {
        lti_member_t member = member_of(id_of(i, id));

        member.status = (lti_member_status_t)(1 + version % 3);
        member.roles = role_sets[version % 4];
        member.status_at = version;
        member.role_at = version;
        rv = lti_snapshot_add(f->writer, &member, &f->err);
    }
    return rv == APR_SUCCESS ? lti_snapshot_commit(f->writer, &f->err) : rv;
}

/* In the child: for ever, until it is killed. Ends only by itself if something failed, such as chunks that have leaked. */
static void write_until_killed(lti_snapshot_t *snapshot, apr_pool_t *p)
{
    fixture_t f = {.snapshot = snapshot};
    apr_int64_t version;
    int i;

    if (lti_snapshot_writer_create(&f.writer, snapshot, p, &f.err) != APR_SUCCESS)
        _exit(1);
    for (i = 0;; i = (i + 1) % KILL_COURSES) {
        /* What the last writer tore is out; go on behind all that was ever seen. */
        version = (apr_int64_t)(apr_time_now() / 10);
        if (lti_snapshot_version(snapshot, courses[i]) >= version)
            version = lti_snapshot_version(snapshot, courses[i]) + 1;
        if (write_version(&f, courses[i], version) != APR_SUCCESS) {
            fprintf(stderr, "writer: %s\n", f.err.text);
            _exit(1);
        }
    }
}

typedef struct reader_t {
    pthread_t thread;
    lti_snapshot_t *snapshot;
    atomic_int *stop;
    unsigned long members, unknown, wrong, back;
} reader_t;

static void *read_and_compare(void *data)
{
    reader_t *reader = data;
    apr_int64_t seen[KILL_COURSES] = {0};
    unsigned n = 0;
    char id[40];

    while (!atomic_load(reader->stop)) {
        int which = (int)(n % KILL_COURSES);
        lti_snapshot_course_t c;
        lti_snapshot_member_t m;

        switch (lti_snapshot_lookup(reader->snapshot, courses[which], id_of((int)(n++ * 7 % KILL_PEOPLE), id), &c, &m)) {
        case LTI_SNAPSHOT_MEMBER:
            reader->members++;
            if (m.status_at != c.version || m.role_at != c.version || (apr_int64_t)m.status != 1 + c.version % 3 ||
                strcmp(m.roles, role_sets[c.version % 4]) != 0 ||
                m.role != (c.version % 4 == 0 ? LTI_ROLE_LEARNER : LTI_ROLE_INSTRUCTOR) ||
                c.active != (apr_uint32_t)(c.version & 0xFFFF) || c.state != (lti_roster_state_t)(c.version % 5) ||
                c.succeeded_at != 1000 + c.version || c.stale_at != 2000 + c.version)
                reader->wrong++;
            if (c.version < seen[which])
                reader->back++;
            seen[which] = c.version;
            break;
        case LTI_SNAPSHOT_UNKNOWN:
            reader->unknown += seen[which] != 0;
            break;
        default: /* a roster without this person was never published */
            reader->wrong++;
        }
    }
    return NULL;
}

static int people_until_full(fixture_t *f)
{
    lti_course_t course = course_of("all-the-rest", 1);
    lti_member_t member;
    char id[40];
    int i;

    for (i = 0; i < KILL_COURSES; i++)
        assert_ok(write_version(f, courses[i], lti_snapshot_version(f->snapshot, courses[i]) + 2), f->err);
    assert_ok(lti_snapshot_begin(f->writer, &course, 10000, &f->err), f->err);
    for (i = 0, member = member_of(id_of(0, id)); lti_snapshot_add(f->writer, &member, &f->err) == APR_SUCCESS; i++)
        id_of(i + 1, id);
    assert_code(APR_ENOSPC, f->err, LTI_E_SNAPSHOT_FULL);
    lti_snapshot_abort(f->writer, 1);
    return i;
}

static void a_writer_may_be_killed_at_any_instruction(void **state)
{
    fixture_t f = {.snapshot = format(MIB, *state)}, fresh;
    lti_course_t course;
    char id[40];
    reader_t readers[READERS];
    atomic_int stop = 0;
    unsigned seed = (unsigned)time(NULL);
    int i, status;

    print_message("seed %u\n", seed);
    for (i = 0; i < READERS; i++) {
        readers[i] = (reader_t){.snapshot = f.snapshot, .stop = &stop};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_and_compare, &readers[i]), 0);
    }
    for (i = 0; i < KILLS; i++) {
        apr_pool_t *p;
        pid_t child;

        apr_pool_create(&p, *state);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_until_killed(f.snapshot, p);
        usleep((useconds_t)(rand_r(&seed) % 12000));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_ok(lti_snapshot_writer_create(&f.writer, f.snapshot, p, &f.err), f.err);
        assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
        apr_pool_destroy(p);
    }
    atomic_store(&stop, 1);
    for (i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_int_equal(readers[i].back, 0);
        assert_true(readers[i].members > 1000);
        /* A writer that was stopped is no reason to have nothing; to meet three publications in one look-up is very bad luck. */
        assert_true(readers[i].unknown <= readers[i].members / 10000);
        print_message("reader %d: %lu found, %lu unknown\n", i, readers[i].members, readers[i].unknown);
    }

    /* No chunk has leaked: beside the four courses as many people fit in as into a new segment. */
    fresh = prepare(MIB, *state);
    assert_ok(lti_snapshot_writer_create(&f.writer, f.snapshot, *state, &f.err), f.err);
    i = people_until_full(&f);
    assert_int_equal(i, people_until_full(&fresh));
    assert_int_equal(usage_of(&f).slots_used, KILL_COURSES);
    course = course_of("all-the-rest", 1);
    assert_ok(lti_snapshot_begin(f.writer, &course, 10000, &f.err), f.err);
    while (i-- > 0) {
        lti_member_t member = member_of(id_of(i, id));

        assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
    }
    assert_ok(lti_snapshot_commit(f.writer, &f.err), f.err);
    assert_int_equal(usage_of(&f).chunks_used, usage_of(&f).chunks);
    assert_ok(lti_snapshot_validate(f.snapshot, &f.err), f.err);
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

/* A campus: many small courses, some lectures; 50 people in the mean. All memory that the rosters keep from others counts. */
static void a_member_costs_at_most_256_bytes(void **state)
{
    static const int mix[] = {8, 12, 15, 18, 20, 22, 25, 25, 28, 30, 32, 36, 40, 45, 50, 60, 75, 100, 150, 219};
    fixture_t f = prepare(16 * MIB, *state);
    lti_snapshot_usage_t usage;
    apr_uint64_t bytes;
    char key[20];
    int i, k;

    for (i = 0; i < 600; i++) {
        lti_course_t course;
        char id[40];

        apr_snprintf(key, sizeof(key), "%016d", i);
        course = course_of(key, 1);
        assert_ok(lti_snapshot_begin(f.writer, &course, mix[i % 20], &f.err), f.err);
        for (k = 0; k < mix[i % 20]; k++) {
            lti_member_t member = member_of(id_of(k, id));

            member.name = "Anna Katharina Liaon";
            member.given_name = "Annalena";
            member.family_name = "Li-Schmitz";
            member.email = "anna.li@stud.example.edu.x";
            member.roles = k == 0 ? INSTRUCTOR : LEARNER;
            assert_ok(lti_snapshot_add(f.writer, &member, &f.err), f.err);
        }
        assert_ok(lti_snapshot_commit(f.writer, &f.err), f.err);
    }
    usage = usage_of(&f);
    bytes = (apr_uint64_t)usage.chunks_used * (LTI_CHUNK_SIZE + SLOTS_PER_CHUNK * SLOT_SIZE);
    print_message("%d bytes a member\n", (int)(bytes / usage.members));
    assert_int_equal(usage.members, 600 / 20 * 1010);
    assert_true(bytes / usage.members <= 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(a_block_of_any_alignment_will_do_if_it_is_large_enough),
        POOL_TEST(a_default_segment_has_room_for_twenty_thousand_courses),
        POOL_TEST(a_person_is_found_with_all_that_requests_need),
        POOL_TEST(who_is_not_there_is_not_found),
        POOL_TEST(rosters_of_all_sizes_hold_everybody),
        POOL_TEST(nothing_is_lost_where_chunks_end),
        POOL_TEST(long_lists_of_roles_are_cut_at_a_blank),
        POOL_TEST(active_people_are_counted_by_role),
        POOL_TEST(a_new_roster_replaces_the_old_one_and_gives_its_chunks_back),
        POOL_TEST(touching_changes_the_standing_only),
        POOL_TEST(giving_up_keeps_the_old_roster_or_takes_it_out),
        POOL_TEST(a_full_segment_says_how_large_it_must_be),
        POOL_TEST(a_full_directory_says_so),
        POOL_TEST(a_course_beyond_the_largest_index_goes_to_the_database),
        POOL_TEST(misuse_is_refused),
        POOL_TEST(a_writer_that_stops_anywhere_leaves_what_was_there),
        POOL_TEST(validation_finds_damage_and_lookups_survive_it),
        POOL_TEST(a_writer_may_be_killed_at_any_instruction),
        POOL_TEST(a_course_of_a_new_database_loses_the_roster_of_the_old_one),
        POOL_TEST(a_member_costs_at_most_256_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
