/* SPDX-License-Identifier: Apache-2.0 */
/* lti_doctor's requests: a client of its own, one request at a time, within the time that is left. Private to lti_doctor*.c. */
#ifndef LTI_DOCTOR_PARTS_H
#define LTI_DOCTOR_PARTS_H

#include "lti_doctor.h"

typedef struct lti_doctor_asker_t {
    lti_http_client_t *client;
    lti_transport_t transport;
    apr_pool_t *pool;
    apr_time_t began; /* by this machine's clock, which the time of the patient may differ from */
} lti_doctor_asker_t;

typedef struct lti_doctor_answer_t {
    apr_status_t rv; /* APR_SUCCESS: an answer came whole, with any status */
    lti_err_t err;
    lti_http_response_t response; /* status 0: none came */
    const char *body;             /* of a 200 without `on_body`; else the excerpt */
    apr_size_t size;
    apr_time_t ended; /* by this machine's clock */
} lti_doctor_answer_t;

apr_status_t lti_doctor_asker_create(lti_doctor_asker_t *asker, const lti_http_options_t *options, apr_pool_t *p, lti_err_t *err);

/** Waits for the answer, `seconds` at the most and never beyond LTI_DOCTOR_SECONDS of the examination. `on_body` NULL: the body is kept. */
void lti_doctor_ask(lti_doctor_answer_t *answer, lti_doctor_asker_t *asker, const lti_http_request_t *request, int seconds,
                    lti_http_body_fn *on_body, void *baton);

/**
 * How far the clock of who answered is ahead of ours, from Date (and Age, where a cache stands between): 1 if the answer tells. `skew`: how far the clock that counts
 * here is ahead of this machine's (tests move it).
 */
int lti_doctor_measure_clock(apr_interval_time_t *offset, const lti_doctor_answer_t *answer, apr_interval_time_t skew);

#endif
