/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room lti_overview share: what is known of the platforms, read once for an answer, and objects that stand in several answers. */
#ifndef LTI_OVERVIEW_PARTS_H
#define LTI_OVERVIEW_PARTS_H

#include "lti_overview.h"
#include "lti_diagnosis.h"

/** A platform and what is known of it. */
typedef struct lti_overview_platform_t {
    const lti_platform_t *platform;
    lti_db_platform_t facts;
    apr_time_t paused_until;
    int deployments_waiting;
} lti_overview_platform_t;

/** An answer in the making. */
typedef struct lti_overview_answer_t {
    const lti_overview_t *overview;
    apr_array_header_t *platforms; /* of lti_overview_platform_t, in the order of overview->platforms */
    apr_array_header_t *old;       /* of lti_db_old_launch_t */
    apr_pool_t *pool;
} lti_overview_answer_t;

/** Reads what is known of the platforms. */
apr_status_t lti_overview_begin(lti_overview_answer_t *answer, const lti_overview_t *overview, apr_pool_t *p, lti_err_t *err);

/** The names of the platforms that are shown (const char *). */
const apr_array_header_t *lti_overview_shown(const lti_overview_t *overview, apr_pool_t *p);

/** NULL: this page does not show it. */
const lti_overview_platform_t *lti_overview_platform_of(const lti_overview_answer_t *answer, const char *name);

/** May this launch of LTI 1.1 be of the platform? By the product that it named, or because there is no other. */
int lti_overview_old_is_of(const lti_overview_answer_t *answer, const lti_db_old_launch_t *launch, const lti_platform_t *platform);

void lti_overview_judge_course(lti_diagnosis_t *diagnosis, const lti_overview_answer_t *answer, const lti_db_standing_t *standing);
void lti_overview_judge_platform(lti_diagnosis_t *diagnosis, const lti_overview_answer_t *answer,
                                 const lti_overview_platform_t *platform);

/** The object D. */
json_t *lti_overview_diagnosis(const lti_diagnosis_t *diagnosis, apr_pool_t *p);

/** The object C. */
json_t *lti_overview_standing(const lti_overview_answer_t *answer, const lti_db_standing_t *standing);

/** A text, or null. */
void lti_overview_set(json_t *object, const char *member, const char *text);
/** Seconds since `time`, or null where that is 0. */
void lti_overview_set_age(json_t *object, const char *member, const lti_overview_t *overview, apr_time_t time);

#endif
