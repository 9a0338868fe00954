/* SPDX-License-Identifier: Apache-2.0 */
/* lti_doctor's requests, each with what is left of the time, and what their answers tell of the other side's clock. */
#include "lti_doctor_parts.h"

#include <string.h>
#include <apr_date.h>
#include <apr_strings.h>

#define POLL apr_time_from_sec(1)

apr_status_t lti_doctor_asker_create(lti_doctor_asker_t *asker, const lti_http_options_t *options, apr_pool_t *p, lti_err_t *err)
{
    apr_status_t rv = lti_http_client_create(&asker->client, options, p, err);

    asker->pool = p;
    asker->began = apr_time_now();
    if (rv == APR_SUCCESS)
        asker->transport = lti_http_transport(asker->client);
    return rv;
}

/* --- one request ---------------------------------------------------------------------------------------------------------- */

typedef struct flight_t {
    lti_doctor_answer_t *answer;
    apr_pool_t *pool;
    lti_http_body_fn *on_body;
    void *baton;
    char *text;
    apr_size_t room;
} flight_t;

static apr_status_t take_body(void *baton, const char *data, apr_size_t size, lti_err_t *err)
{
    flight_t *flight = baton;
    apr_size_t had = flight->answer->size;

    if (flight->on_body != NULL)
        return flight->on_body(flight->baton, data, size, err);
    if (size > flight->room - had) {
        apr_size_t room = 2 * (had + size);
        char *text = apr_palloc(flight->pool, room + 1);

        if (had > 0)
            memcpy(text, flight->text, had);
        flight->text = text;
        flight->room = room;
    }
    memcpy(flight->text + had, data, size);
    flight->answer->size = had + size;
    flight->text[had + size] = '\0';
    return APR_SUCCESS;
}

static void take_end(void *baton, apr_status_t rv, const lti_http_response_t *response, const char *excerpt, const lti_err_t *err)
{
    flight_t *flight = baton;
    lti_doctor_answer_t *answer = flight->answer;

    answer->rv = rv;
    answer->err = *err;
    answer->response = *response;
    answer->response.content_type = apr_pstrdup(flight->pool, response->content_type);
    answer->response.headers = apr_table_clone(flight->pool, response->headers);
    answer->ended = apr_time_now();
    answer->body = flight->text != NULL ? flight->text : "";
    if (response->status != 200) {
        answer->body = apr_pstrdup(flight->pool, excerpt);
        answer->size = strlen(excerpt);
    }
}

void lti_doctor_ask(lti_doctor_answer_t *answer, lti_doctor_asker_t *asker, const lti_http_request_t *request, int seconds,
                    lti_http_body_fn *on_body, void *baton)
{
    apr_interval_time_t left = asker->began + apr_time_from_sec(LTI_DOCTOR_SECONDS) - apr_time_now();
    flight_t flight = {.answer = answer, .pool = asker->pool, .on_body = on_body, .baton = baton};
    lti_http_request_t bounded = *request;

    memset(answer, 0, sizeof(*answer));
    answer->body = "";
    if (left > apr_time_from_sec(LTI_DOCTOR_SECONDS)) /* the clock was set back */
        left = apr_time_from_sec(1);
    if (left < apr_time_from_sec(1)) {
        answer->rv = lti_fail(&answer->err, LTI_E_HTTP_TIMEOUT, APR_TIMEUP, "the examination may take %d seconds, which are over",
                              LTI_DOCTOR_SECONDS);
        return;
    }
    if (seconds > apr_time_sec(left))
        seconds = (int)apr_time_sec(left);
    bounded.total_seconds = bounded.stall_seconds = seconds;
    answer->rv = asker->transport.submit(asker->transport.baton, &bounded, take_body, take_end, &flight, &answer->err);
    while (answer->rv == APR_SUCCESS && asker->transport.poll(asker->transport.baton, POLL) > 0)
        continue;
}

/* --- the clock ------------------------------------------------------------------------------------------------------------ */

int lti_doctor_measure_clock(apr_interval_time_t *offset, const lti_doctor_answer_t *answer, apr_interval_time_t skew)
{
    const char *date = answer->response.headers != NULL ? apr_table_get(answer->response.headers, "Date") : NULL;
    const char *age = answer->response.headers != NULL ? apr_table_get(answer->response.headers, "Age") : NULL;
    apr_time_t theirs = date != NULL ? apr_date_parse_http(date) : APR_DATE_BAD;
    apr_int64_t seconds = age != NULL ? apr_atoi64(age) : 0;

    if (theirs == APR_DATE_BAD)
        return 0;
    if (seconds > 0 && seconds < 366 * 86400)
        theirs += apr_time_from_sec(seconds);
    *offset = theirs - answer->ended - skew;
    return 1;
}
