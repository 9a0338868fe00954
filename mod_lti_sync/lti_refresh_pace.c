/* SPDX-License-Identifier: Apache-2.0 */
/* A run and its platform's pace: when it may send, and what answers say about the platform; what all nodes are told of that. */
#include "lti_refresh_pace.h"

#include <apr_strings.h>
#include "lti_refresh_facts.h"
#include "lti_refresh_run.h"

int lti_run_may_ask(lti_run_t *run, apr_time_t now)
{
    const lti_platform_t *platform = run->platform;
    apr_interval_time_t wait;
    lti_pause_t pause;
    lti_err_t why = {0};

    if (run->pace == NULL)
        return 1;
    if (!run->requested && lti_pace_is_paused(&pause, run->pace, platform->name, now)) {
        lti_fail(&why, LTI_E_RATE_LIMITED, APR_EAGAIN, "%s", pause.error_text);
        lti_run_break(run, &why);
        return 0;
    }
    wait = lti_pace_take(run->pace, platform->name, platform->request_interval, now);
    if (wait > 0)
        run->ask_at = now + wait;
    return wait == 0;
}

/* A 503 without a time says nothing of other courses. */
static int is_refusal(const lti_http_response_t *response, const lti_err_t *why)
{
    if (response->status == 503)
        return response->retry_after > 0;
    return response->status == 429 || why->code == LTI_E_ROSTER_BUSY;
}

void lti_run_note_answer(lti_run_t *run, lti_meter_fetch_t what, const lti_http_response_t *response, const lti_err_t *why)
{
    const char *name = run->platform->name;

    lti_meter_fetch(run->options->meter, run->platform->index, what, why->code != LTI_OK);
    lti_facts_note(run->facts, run, what == LTI_METER_TOKEN, response, why, run->options->now());
    if (run->pace == NULL || response == NULL)
        return;
    if (why->code == LTI_E_HTTP_CONNECT || why->code == LTI_E_HTTP_TIMEOUT)
        lti_pace_silent(run->pace, name);
    else if (is_refusal(response, why))
        lti_pace_refused(run->pace, name, response->retry_after, lti_err_info(LTI_E_RATE_LIMITED)->name, why->text,
                         run->options->now());
    else if (response->status != 0)
        lti_pace_answered(run->pace, name, why->code == LTI_OK);
}

/* --- what all nodes know ----------------------------------------------------------------------------------------------- */

static apr_status_t take_pause(void *baton, const char *platform, apr_time_t until, const char *error_name, const char *error_text)
{
    const lti_pause_t pause = {.until = until, .error_name = error_name, .error_text = error_text};

    lti_pace_told(baton, platform, &pause);
    return APR_SUCCESS;
}

static void tell(const lti_refresh_options_t *options, const char *platform, const lti_pause_t *pause, apr_time_t now)
{
    lti_event_t event = {.kind = LTI_EVENT_PLATFORM_PAUSED, .due_at = pause->until};
    lti_err_t err = {0};

    lti_fail(&err, LTI_E_RATE_LIMITED, APR_EAGAIN, "%s is not asked for %" APR_TIME_T_FMT " s: %s", platform,
             apr_time_sec(pause->until - now), pause->error_text);
    event.err = &err;
    options->on_event(options->baton, &event);
}

apr_status_t lti_pauses_exchange(lti_pace_t *pace, lti_db_t *db, const lti_refresh_options_t *options, apr_time_t now,
                                 apr_pool_t *ptemp, lti_err_t *err)
{
    const char *platform;
    lti_pause_t pause;
    apr_status_t rv;

    while ((platform = lti_pace_next_news(&pause, pace)) != NULL) {
        rv = lti_db_pause_write(db, platform, pause.until, pause.error_name, pause.error_text, ptemp, err);
        if (rv != APR_SUCCESS)
            return rv;
        lti_pace_news_told(pace, platform);
        if (pause.until > now)
            tell(options, platform, &pause, now);
    }
    lti_pace_forget_told(pace);
    return lti_db_pauses_each(db, now, take_pause, pace, ptemp, err);
}
