/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_roster: a course, its members, and the difference between the roster that is stored and the one that a run of the refresh
 * engine walks through.
 *
 * The difference is held in memory as one small entry per person (id and digest), so that a roster of 100,000 in which nothing changed
 * writes nothing and costs some ten megabytes while it is read. It knows two walks (Invariant 2): a person is missing only if every walk
 * of the run missed them; what a later walk says of a person replaces what an earlier one said.
 *
 * Values, no hidden state: any thread; one lti_diff_t belongs to one run.
 */
#ifndef LTI_ROSTER_H
#define LTI_ROSTER_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_err.h"
#include "lti_role.h"

#define LTI_MEMBERS_MAX 200000  /* of one course (SPEC N-15) */
#define LTI_FIELD_MAX 1024      /* bytes of a name or address (SPEC N-36) */
#define LTI_ID_MAX 255          /* bytes of a user id, context id, deployment id (SPEC C-11, K-13) */

/** In the database and in shared memory; do not renumber. */
typedef enum lti_member_status_t { LTI_MEMBER_ACTIVE = 1, LTI_MEMBER_INACTIVE = 2, LTI_MEMBER_LEFT = 3 } lti_member_status_t;

/** "active", "inactive", "left". */
const char *lti_member_status_word(lti_member_status_t status);

/** A person in a course as the roster tells. Texts are NULL where the platform gave none. */
typedef struct lti_member_t {
    const char *user_id;
    const char *name;
    const char *given_name;
    const char *family_name;
    const char *email;
    const char *sourcedid;
    const char *roles; /* as lti_role_join() makes them; never NULL */
    const char *sections; /* lists (lti_names), NULL where nothing was said */
    const char *groups;
    lti_member_status_t status;
    apr_time_t joined_at; /* first request of the run that brought them in */
    apr_time_t status_at; /* first request of the run that last changed `status`; joined_at at first */
    apr_time_t role_at;   /* first request of the run that last changed `roles`; 0: never changed since they joined (Invariant 3) */
} lti_member_t;

#define LTI_DIGEST_SIZE 16

/** Digest over everything the platform says of the member (not over the times). */
void lti_member_digest(unsigned char digest[LTI_DIGEST_SIZE], const lti_member_t *member);

/** How it stands with a course's roster; in the database, do not renumber. The words are those of LTI_ROSTER_STATE. */
typedef enum lti_roster_state_t {
    LTI_ROSTER_NONE = 0,    /* "none": no launch of this course offered the roster service */
    LTI_ROSTER_PENDING = 1, /* "pending": never fetched successfully yet */
    LTI_ROSTER_CURRENT = 2, /* "current": the last run succeeded */
    LTI_ROSTER_FAILING = 3, /* "failing": the last run failed, an older roster is served */
    LTI_ROSTER_HELD = 4,    /* "held": removals wait for confirmation (Invariant 2) */
    LTI_ROSTER_STALE = 5,   /* "stale": no success for too long; computed, never stored */
    LTI_ROSTER_UNAVAILABLE = 6 /* "unavailable": neither memory nor database answered; computed, never stored */
} lti_roster_state_t;

const char *lti_roster_state_word(lti_roster_state_t state);

/** A course: what launches said of it and how its roster stands. */
typedef struct lti_course_t {
    const char *key;
    const char *platform; /* name */
    const char *issuer;
    const char *client_id;
    const char *deployment_id;
    const char *context_id;
    const char *label;
    const char *title;
    const char *type;
    const char *nrps_url; /* the newest, NULL if never offered */
    const char *groups_url; /* of the groups service, the same */
    apr_time_t launched_at;
    apr_time_t used_at; /* somebody had a session in it, or its roster was read; 0: not since this is noted */
    apr_int64_t version; /* number of the last applied change of its roster; 0: none yet */
    lti_roster_state_t state;
    apr_time_t succeeded_at; /* first request of the last run that succeeded; 0: never */
    apr_time_t stale_at;     /* stale from then on if no run succeeds; 0: never */
    apr_time_t due_at;
    int active; /* active members */
    int failures; /* failed runs in a row */
    const char *error_name; /* code of the last failure, NULL if the last run succeeded */
    const char *error_text;
} lti_course_t;

/* --- the difference ----------------------------------------------------------------------------------------------- */

typedef struct lti_diff_t lti_diff_t;

typedef enum lti_diff_verdict_t {
    LTI_DIFF_SAME,  /* as stored: nothing to write */
    LTI_DIFF_STAGE, /* new, changed, returned: stage it */
    LTI_DIFF_RESTAGE, /* was staged before in this run: replace the staged row */
    LTI_DIFF_FULL   /* more than LTI_MEMBERS_MAX */
} lti_diff_verdict_t;

lti_diff_t *lti_diff_create(apr_pool_t *p);

/** Before the first walk: a person who is stored. People who left are named too, so that a return is seen. */
void lti_diff_known(lti_diff_t *diff, const char *user_id, const unsigned char digest[LTI_DIGEST_SIZE],
                    lti_member_status_t status);

/** A walk through all pages begins. */
void lti_diff_begin_walk(lti_diff_t *diff);

/** `partial`: the walks name only those who changed; who is not named is as before, and missing is who is named as deleted (SPEC N-18). Before the first walk, or
 * while nobody was named. */
void lti_diff_partial(lti_diff_t *diff, int partial);

/** The platform names somebody as deleted, in a partial walk. The last word on a person counts. */
void lti_diff_deleted(lti_diff_t *diff, const char *user_id);

/** The platform names this member. */
lti_diff_verdict_t lti_diff_member(lti_diff_t *diff, const lti_member_t *member);

typedef struct lti_diff_summary_t {
    int walks;
    int was_active; /* stored as active before the run */
    int named;      /* people named by the last walk */
    int missing;    /* active or inactive before, named by no walk */
    int missing_active; /* of these, active before */
    int staged;
    unsigned char missing_digest[LTI_DIGEST_SIZE]; /* over the sorted ids of the missing: do two runs agree? */
} lti_diff_summary_t;

void lti_diff_summarize(lti_diff_summary_t *out, const lti_diff_t *diff);

/** Calls `fn` for each missing person; a status other than APR_SUCCESS ends it and is returned. */
apr_status_t lti_diff_each_missing(const lti_diff_t *diff, apr_status_t (*fn)(void *baton, const char *user_id), void *baton);

#endif
