/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_snapshot: rosters in a given block of memory, read by every request of every process without a lock.
 *
 *   block   +--------+---------------------------+---------+---------+----   ----+---------+
 *           | header | directory: slots of 128 B | chunk 0 | chunk 1 |   ...     | chunk n |
 *           +--------+---------------------------+---------+---------+----   ----+---------+
 *
 *   slot    { sequence, course key, two copies of { version, succeeded_at, stale_at, active, state, head chunk, size of the index } }
 *           open addressing by the course key; a slot is never given to another key while the segment lives
 *
 *   roster  a chain of chunks; head chunk: counts, of people and by role | hash index (a long one has chunks of its own, listed here) | first records
 *           next chunks: records go on, across a chunk's end where need be, so nothing but the rest of the last chunk is lost
 *           A place in the index holds a tag and the record's place in the segment, so a look-up goes straight to it.
 *
 *   record  status, role, role set, bytes of id, status_at, role_at, lengths, bytes of name, given, family, email, sourcedid.
 *           Role sets are interned: each different list of roles stands once per roster.
 *
 * Chunks are of 4 KiB: half a chunk is lost per course, and with 50 people in a course (the mean of a campus) half of 16 KiB would
 * alone cost 160 bytes a person.
 *
 * Writing: the one writer of a segment (watch thread) fills free chunks, then writes head and version into the slot's second copy
 * and moves the sequence, which names the copy that counts, in one store. The old chunks are free from that moment. Reading: take
 * the sequence, copy out what is needed, checking every chunk number against the segment's bounds, take the sequence again; if it
 * moved, once more, three times in all; then the database answers. Nothing waits, and a writer that was stopped anywhere leaves
 * readers what was there before. The list of free chunks is not stored: a new writer works it out from the directory; so a writer
 * may be killed at any instruction.
 *
 * Needed: all rosters + the largest once more. Everything is linked by index, never by pointer. The block is formatted in the
 * parent and inherited by fork; it lives for one generation of httpd, and the next one takes its rosters over: chunks keep their numbers
 * and the hash its key, so nothing in them has to be changed.
 */
#ifndef LTI_SNAPSHOT_H
#define LTI_SNAPSHOT_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_err.h"
#include "lti_roster.h"

#define LTI_CHUNK_SIZE 4096
#define LTI_SNAPSHOT_MIN_SIZE (1024 * 1024)

typedef struct lti_snapshot_t lti_snapshot_t;

/** Formats `block` (any alignment, `size` bytes, at least LTI_SNAPSHOT_MIN_SIZE) and returns the reading handle, allocated in `p`.
 * Parent only, before fork. LTI_E_CONFIG if the block is too small. */
apr_status_t lti_snapshot_format(lti_snapshot_t **snapshot, void *block, apr_size_t size, apr_pool_t *p, lti_err_t *err);

typedef struct lti_snapshot_usage_t {
    apr_uint32_t slots, slots_used;
    apr_uint32_t chunks, chunks_used;
    apr_uint64_t members;
    apr_uint32_t largest; /* chunks of the largest roster */
} lti_snapshot_usage_t;

void lti_snapshot_usage(const lti_snapshot_t *snapshot, lti_snapshot_usage_t *usage);

/* --- room: figures for people ------------------------------------------------------------------------------------------ */

typedef struct lti_snapshot_capacity_t {
    apr_uint32_t courses;
    apr_uint32_t people; /* of a campus: 50 in a course in the mean, with name, e-mail and one role */
} lti_snapshot_capacity_t;

/** What a segment holds that has such `usage`, counting what it holds already; a campus of as many people fits. */
void lti_snapshot_capacity(lti_snapshot_capacity_t *capacity, const lti_snapshot_usage_t *usage);

/** How full it is, in percent: all rosters and the largest once more, or the courses, whichever is worse. */
int lti_snapshot_percent(const lti_snapshot_usage_t *usage);

/** The LTISharedMemory, in megabytes, of which the same rosters and courses would take two thirds. */
apr_uint64_t lti_snapshot_advice(const lti_snapshot_usage_t *usage);

/* --- taking over at a reload ------------------------------------------------------------------------------------------- */

/**
 * Copies rosters and standings from the segment of the generation before into a fresh one of any size, before there are readers or a writer. The old writer may be
 * at work or dead: only what stayed as it was for the whole time is taken, and what has no place in a smaller segment is left out: readers ask the database, and
 * the writer publishes it. Never fails. Returns the number of courses that were left out.
 */
apr_uint32_t lti_snapshot_copy(lti_snapshot_t *to, const lti_snapshot_t *from);

/* --- reading: any thread of any process ---------------------------------------------------------------------------- */

typedef enum lti_snapshot_result_t {
    LTI_SNAPSHOT_MEMBER,    /* the course and the person are here */
    LTI_SNAPSHOT_NO_MEMBER, /* the course's roster is here and does not know the person */
    LTI_SNAPSHOT_NO_ROSTER, /* the course is known to have no roster yet; only `course` is filled */
    LTI_SNAPSHOT_UNKNOWN    /* not in memory, or it kept changing: ask the database; nothing that was filled counts */
} lti_snapshot_result_t;

typedef struct lti_snapshot_course_t {
    apr_int64_t version;
    apr_uint32_t active;
    lti_roster_state_t state; /* as stored: LTI_ROSTER_STALE is computed from stale_at by the caller */
    apr_time_t succeeded_at;
    apr_time_t stale_at;
} lti_snapshot_course_t;

#define LTI_SNAPSHOT_NEVER_YET (-1) /* version of a course without a roster whose last run failed: readers need not wait for it */

#define LTI_SNAPSHOT_ROLES_MAX 2048

typedef struct lti_snapshot_member_t {
    lti_member_status_t status;
    lti_role_t role;
    apr_time_t status_at;
    apr_time_t role_at;
    int roles_length;                       /* of the whole list; more than fits: `roles` is cut at a blank; 0 where role_at is 0 */
    char roles[LTI_SNAPSHOT_ROLES_MAX + 1]; /* canonical URIs joined by blanks; "" where role_at is 0 */
} lti_snapshot_member_t;

/** Looks a person up. `course` may be NULL. `member` may be NULL: only the result and the course; `user_id` too, then the result is
 * LTI_SNAPSHOT_NO_MEMBER where there is a roster. Course keys have at most 16 bytes, others are LTI_SNAPSHOT_UNKNOWN. Allocates
 * nothing, locks nothing, waits for nothing. */
lti_snapshot_result_t lti_snapshot_lookup(const lti_snapshot_t *snapshot, const char *course_key, const char *user_id,
                                          lti_snapshot_course_t *course, lti_snapshot_member_t *member);

#define LTI_SNAPSHOT_ROLES (LTI_ROLE_ADMINISTRATOR + 1)

/** How many active members of a course have which primary role: `counts` by lti_role_t. 0 where its roster is not here, or kept changing: then nothing that was filled counts. */
int lti_snapshot_roles(apr_uint32_t counts[LTI_SNAPSHOT_ROLES], const lti_snapshot_t *snapshot, const char *course_key);

/** Checks the whole structure (bounds, chains, index, no chunk in two rosters); for tests and for a new writer, while nobody
 * writes. LTI_E_INTERNAL. */
apr_status_t lti_snapshot_validate(const lti_snapshot_t *snapshot, lti_err_t *err);

/* --- writing: watch thread of the one writer process ---------------------------------------------------------------- */

typedef struct lti_snapshot_writer_t lti_snapshot_writer_t;

/** Takes over as the writer: mends what a dead one left, works out the free chunks. */
apr_status_t lti_snapshot_writer_create(lti_snapshot_writer_t **writer, lti_snapshot_t *snapshot, apr_pool_t *p, lti_err_t *err);

/** Begins the roster of `course`; the members follow, then commit. At most one is open at a time. `members_expected` is their
 * number or an upper bound; what it needs is taken now. `course` is not kept. After LTI_E_SNAPSHOT_FULL, lti_snapshot_abort() still
 * knows the course. */
apr_status_t lti_snapshot_begin(lti_snapshot_writer_t *writer, const lti_course_t *course, int members_expected, lti_err_t *err);

/** Adds a member (active, inactive or left). LTI_E_INTERNAL: named twice, no usable id, many more than expected.
 * LTI_E_SNAPSHOT_FULL: give up with lti_snapshot_abort(); readers go to the database. */
apr_status_t lti_snapshot_add(lti_snapshot_writer_t *writer, const lti_member_t *member, lti_err_t *err);

/** Publishes it: from now on all readers see the new roster. */
apr_status_t lti_snapshot_commit(lti_snapshot_writer_t *writer, lti_err_t *err);

/** Forgets what was begun. If the course had an older roster here it is taken out (`drop` = 1: readers ask the database) or left.
 * */
void lti_snapshot_abort(lti_snapshot_writer_t *writer, int drop);

/** New standing of a course whose members did not change: state, active, succeeded_at, stale_at. A course that is not here yet gets
 * a slot without a roster: LTI_SNAPSHOT_NO_ROSTER if its version is 0, else LTI_SNAPSHOT_UNKNOWN. The version of a roster that is
 * here stays; a course of version 0 loses it, since its database is a new one. */
apr_status_t lti_snapshot_touch(lti_snapshot_writer_t *writer, const lti_course_t *course, lti_err_t *err);

/** Forgets courses that have something here and that `is_known` does not know: readers ask the database. */
void lti_snapshot_drop_unless(lti_snapshot_writer_t *writer, int (*is_known)(void *baton, const char *course_key), void *baton);

/** The version of the roster that is published for this course, -1 if there is none here. */
apr_int64_t lti_snapshot_version(const lti_snapshot_t *snapshot, const char *course_key);

#endif
