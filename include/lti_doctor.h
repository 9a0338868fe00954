/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_doctor: examines a platform live, step by step, in the order in which a support person would: key set, token, scope, a roster. Each step passes, fails, or is left out since an
 * earlier one failed; a failure carries its remedy in the words of the platform family's menus.
 *
 * The one thing besides the engine that asks the network; it uses a client of its own, so the engine's runs are not touched, and asks for a token of its own that nobody keeps. Blocking:
 * at most LTI_DOCTOR_SECONDS. Request threads of children; the caller bounds how many do it at once.
 */
#ifndef LTI_DOCTOR_H
#define LTI_DOCTOR_H

#include <apr_pools.h>
#include <jansson.h>
#include "lti_err.h"
#include "lti_http.h"
#include "lti_keys.h"
#include "lti_platform.h"
#include "lti_roster.h"

#define LTI_DOCTOR_SECONDS 20

typedef struct lti_patient_t {
    const lti_platform_t *platform;
    const lti_toolkeys_t *toolkeys;
    const lti_course_t *course; /* whose roster is asked for, its first page only; NULL: none was launched yet */
    apr_time_t launched_at;     /* the platform's last launch; 0: none */
    apr_time_t old_launch_at;   /* the last launch of LTI 1.1; 0: none */
    int deployments_waiting;
    int admits_private; /* of the course's roster address: Invariant 7 */
    apr_time_t now;
} lti_patient_t;

/**
 * Fills `*report`: { "platform": name, "course": key or null, "steps": [ { "step": word, "title": "...", "result": "pass|fail|skip", "found": "...", "state": word of lti_diagnosis or null, "remedy": [ "..." ] } ],
 * "passed": bool }. What people are called stands nowhere in it. Steps in their order:
 * "key-set" (fetched, how many keys), "clock" (Date against ours), "token" (the platform accepts our key), "scope" (the roster scope is granted), "launch" (has a launch come, of which kind),
 * "deployment" (does one wait), "roster-service" (does the launch offer it), "roster" (first page: how many people). Never fails: what goes wrong is a step that does.
 */
void lti_doctor_examine(json_t **report, const lti_patient_t *patient, const lti_http_options_t *options, apr_pool_t *p);

#endif
