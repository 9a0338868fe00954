/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room lti_diagnosis share. */
#ifndef LTI_DIAGNOSIS_PARTS_H
#define LTI_DIAGNOSIS_PARTS_H

#include "lti_diagnosis.h"

/** What has to be done in a platform's menus. */
typedef enum lti_diagnosis_menu_t {
    LTI_MENU_SERVICE,   /* switch the roster service on */
    LTI_MENU_CLIENT,    /* let the platform know the tool: key, client id */
    LTI_MENU_COURSE,    /* let the tool be in the course */
    LTI_MENU_EVERYBODY, /* let the roster hold everybody */
    LTI_MENUS
} lti_diagnosis_menu_t;

/** The steps, separated by newlines, by the names of the menus of the platform's family. `platform` may be NULL. */
const char *lti_diagnosis_menu(lti_diagnosis_menu_t menu, const lti_platform_t *platform);

/** A diagnosis in the making. */
typedef struct lti_judging_t {
    const lti_evidence_t *evidence;
    lti_diagnosis_t *diagnosis;
    const char *words; /* what was seen, in the words of whoever said it; NULL: nothing */
    apr_pool_t *pool;
} lti_judging_t;

void lti_diagnosis_conclude(const lti_judging_t *judging, lti_diagnosis_state_t state, const char *sentence, const char *remedy);

/** "2026-01-31 08:00 UTC (5 minutes ago)". */
const char *lti_diagnosis_moment(apr_time_t when, apr_time_t now, apr_pool_t *p);

int lti_diagnosis_clock_is_off(const lti_evidence_t *evidence);
void lti_diagnosis_clock(const lti_judging_t *judging);

/** The last run, or of a platform the last request for a token, ended with `error_name` and `error_text` (may be NULL). Always concludes, and never that all is well. */
void lti_diagnosis_failure(const lti_judging_t *judging, const char *error_name, const char *error_text);

#endif
