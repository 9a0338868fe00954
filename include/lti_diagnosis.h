/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_diagnosis: from what was seen of a course or a platform to one state of a closed list, a sentence, the evidence and the remedy, in the words of
 * the menus of the platform's family. Who reads it has never seen this code and has to fix something elsewhere.
 *
 * The list is walked in the order in which a support person asks: is it installed the new way, key and scope, roster service in the launch, deployment,
 * relaunch, connection, answer, hold, count. Pure: no database, no network; whoever asks brings what was seen. Any thread, any process.
 */
#ifndef LTI_DIAGNOSIS_H
#define LTI_DIAGNOSIS_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_platform.h"
#include "lti_roster.h"

typedef enum lti_diagnosis_state_t {
    LTI_DIAGNOSIS_WELL,
    LTI_DIAGNOSIS_NEVER_LAUNCHED,      /* a platform without any launch, a course that only LTICourse names */
    LTI_DIAGNOSIS_OLD_LTI,             /* launches of LTI 1.1 came */
    LTI_DIAGNOSIS_CLIENT,              /* key not on, client id unknown */
    LTI_DIAGNOSIS_SCOPE,               /* roster scope not granted */
    LTI_DIAGNOSIS_NO_SERVICE,          /* roster service not in the launch */
    LTI_DIAGNOSIS_DEPLOYMENT,          /* deployment does not cover this course, waits, or was withdrawn */
    LTI_DIAGNOSIS_PERMISSION,          /* roster permission changed since the last launch: relaunch once */
    LTI_DIAGNOSIS_COURSE_GONE,
    LTI_DIAGNOSIS_EMPTY,
    LTI_DIAGNOSIS_SMALLER,             /* roster smaller than its launches: the class-list switch */
    LTI_DIAGNOSIS_HELD,                /* by the drop guard */
    LTI_DIAGNOSIS_RATE_LIMITED,
    LTI_DIAGNOSIS_TOO_MANY,            /* members for the platform's limit */
    LTI_DIAGNOSIS_CONNECTION,          /* certificate, name or connection */
    LTI_DIAGNOSIS_ADDRESS,             /* a service address that is not allowed (Invariant 7): the line to add */
    LTI_DIAGNOSIS_CLOCK,
    LTI_DIAGNOSIS_RUBBISH,             /* the platform answers what is no roster */
    LTI_DIAGNOSIS_STALE,               /* stopped since */
    LTI_DIAGNOSIS_CONFIGURATION,       /* not configured any more */
    LTI_DIAGNOSIS_PENDING,             /* the first run has not ended yet */
    LTI_DIAGNOSIS_SERVER,              /* a fault on this side: the database, memory */
    LTI_DIAGNOSIS_COUNT
} lti_diagnosis_state_t;

/** What was seen. Everything may be absent (NULL, 0). */
typedef struct lti_evidence_t {
    const lti_course_t *course;       /* NULL: of the platform as a whole */
    const lti_platform_t *platform;   /* NULL: not configured any more */
    apr_time_t now;
    apr_time_t launched_at;           /* the last launch of the course or of anything of the platform */
    int suspect;                      /* the roster may be smaller than it should be: lti_diagnosis_is_suspect() */
    apr_time_t old_launch_at;         /* the last LTI 1.1 launch that may belong here */
    apr_time_t paused_until;          /* lti_pace */
    apr_interval_time_t clock_offset; /* of the platform, from its Date headers; positive: it is ahead */
    int clock_known;
    int held_missing;
    int deployments_waiting;          /* of the platform as a whole: nobody decided about them */
    apr_time_t token_error_at;        /* of the platform as a whole: no token was given, and none since */
    const char *token_error_name, *token_error_text;
} lti_evidence_t;

typedef struct lti_diagnosis_t {
    lti_diagnosis_state_t state;
    int severity;         /* 0 well, 1 note, 2 warning, 3 error: what is wrong first */
    const char *sentence; /* what is the matter, in one sentence, with names and numbers */
    const char *evidence; /* what was seen: time, code, the platform's words; not escaped; NULL if nothing */
    const char *remedy;   /* what to click or write where; several steps are separated by newlines; NULL where all is well */
} lti_diagnosis_t;

/** The stable word of a state: "well", "scope-not-granted", ...; documented in docs/operations.md. */
const char *lti_diagnosis_word(lti_diagnosis_state_t state);

/** Judges a course, or with evidence->course NULL a platform. Always answers. Texts live in `p`. */
void lti_diagnose(lti_diagnosis_t *diagnosis, const lti_evidence_t *evidence, apr_pool_t *p);

/**
 * Is a roster smaller than its launches (Brightspace's class-list switch and the like)? `active` people are on it, `active_launched` of them have launched, and `outsiders` launched before the
 * roster was read and are not on it. `platform` may be NULL.
 */
int lti_diagnosis_is_suspect(const lti_platform_t *platform, int active, int active_launched, int outsiders);

#endif
