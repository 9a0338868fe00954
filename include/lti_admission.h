/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_admission: which deployments may and which sessions are over, as the database has it, copied into a given block of memory: every request of every
 * process asks it, one thread of the node (the engine) writes it whole, within two seconds of a change on any node (Invariant 11).
 *
 *   block   header { which half counts, whether there is anything in it, number of its filling } | half 0 | half 1
 *   half    per platform { ended up to, what there is of it } | deployments | ended sessions
 *           both tables: keyed hash -> time and status; open addressing, fixed room
 *
 * The writer fills the half that does not count and then turns the header over; readers look into the half that counts and then see whether the number moved.
 * Nobody locks, a writer may die at any instruction. What does not fit is never lost: an ended person in a course counts as that ended course, whatever else was
 * ended as the ended platform, and the caller of lti_admission_fill() is told, so that it can be logged.
 *
 * Made in the parent before the children are forked. Until the first filling every answer is "ask the database".
 */
#ifndef LTI_ADMISSION_H
#define LTI_ADMISSION_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include "lti_err.h"
#include "lti_platform.h"

typedef struct lti_admission_t lti_admission_t;

/** A deployment that an administrator decided about, or that waits. `platform` is a name. */
typedef struct lti_deployment_t {
    const char *platform;
    const char *deployment_id;
    lti_deployment_status_t status;
    apr_time_t ended_at; /* sessions of launches up to here are over (withdrawn then); 0: none */
    apr_time_t first_seen_at, seen_at;
    const char *context_title; /* of the launch that was seen first; NULL: unknown */
} lti_deployment_t;

/** Sessions that were ended: of a person (in one course, or with course_key NULL in all of the platform), of a course, of a deployment. What is named must all be true
 * of a session; nothing named: the whole platform. */
typedef struct lti_ended_t {
    const char *platform;
    const char *user_id;       /* of a person, else NULL */
    const char *course_key;    /* of a course, or of a person in a course, else NULL */
    const char *deployment_id; /* of a deployment, else NULL */
    apr_time_t ended_at;       /* sessions of launches up to here are over */
} lti_ended_t;

/** Whom the question is about. `platform` is the name and index of a registration. */
typedef struct lti_admission_question_t {
    const lti_platform_t *platform;
    const char *deployment_id;
    const char *course_key; /* or NULL */
    const char *user_id;    /* or NULL */
} lti_admission_question_t;

typedef struct lti_admission_answer_t {
    lti_deployment_status_t status; /* of the deployment */
    apr_time_t ended_at;            /* sessions of launches up to here are over; 0: none */
} lti_admission_answer_t;

/** Bytes for `platforms` registrations, at least that many deployments and ended ones. */
apr_size_t lti_admission_size(int platforms, int deployments, int ended);

/** Makes an empty table, not yet filled. LTI_E_INTERNAL if `block` is too small or not aligned to 8 bytes, or if there is no randomness. */
apr_status_t lti_admission_format(lti_admission_t **table, void *block, apr_size_t size, int platforms, int deployments, int ended,
                                  apr_pool_t *p, lti_err_t *err);

/** Any thread of any process: 1 and `*answer`; 0: not filled yet, or deployments did not fit and this one is not known: ask the database. A table
 * without entries answers with one load; texts are hashed only where the platform has entries of their kind. */
int lti_admission_ask(lti_admission_answer_t *answer, const lti_admission_t *table, const lti_admission_question_t *question);

/** The engine only. Replaces the whole by `deployments` (of lti_deployment_t) and `ended` (of lti_ended_t); `platforms` (of const lti_platform_t *) gives names
 * their index; what is of other platforms is passed over. Returns how many did not fit as they are (0: all did): of `ended` those that come first are kept as
 * they are, so the newest should. One filling at a time. */
int lti_admission_fill(lti_admission_t *table, const apr_array_header_t *platforms, const apr_array_header_t *deployments,
                       const apr_array_header_t *ended);

/** Before there are readers or a writer of `to`, which is fresh: takes over what a table of the same size says, whose engine may be filling it or be dead. Its
 * platforms must have the same names in the same order. 1; or 0: `to` is as fresh as before. */
int lti_admission_copy(lti_admission_t *to, const lti_admission_t *from);

#endif
