/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine's events read like in the log. */
#include "mod_lti_watch_log.h"

#include <string.h>
#include <http_log.h>
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

/* --- runs ------------------------------------------------------------------------------------------------------------------ */

/* Did the run before fail for the same reason? A platform that asked for patience in between is no other reason: it says nothing of whether the fault is over. */
static int is_repeated(const lti_course_t *course, lti_code_t code)
{
    return course->failures > 0 && course->error_name != NULL && strcmp(course->error_name, lti_err_info(code)->name) == 0;
}

static void log_failure(server_rec *s, const lti_event_t *event)
{
    const lti_course_t *course = event->course;
    const lti_err_info_t *info = lti_err_info(event->err->code);
    /* What an administrator wants so is no warning, nor is what was said before. */
    int level =
        event->err->code == LTI_E_DEPLOYMENT_WITHDRAWN || is_repeated(course, event->err->code) ? APLOG_INFO : APLOG_WARNING;

    ap_log_error(APLOG_MARK, level, 0, s,
                 "LTI0301: the roster of course %s (%s, context %s) was not refreshed: %s: %s. %s The old roster stays; next try "
                 "in %" APR_TIME_T_FMT " s%s",
                 course->key, course->platform, course->context_id, info->name, event->err->text, info->admin,
                 apr_time_sec(event->due_at - mod_lti_store_now()),
                 level == APLOG_WARNING ? "; the same again will be said at info level only" : "");
}

static void log_hold(server_rec *s, const lti_event_t *event)
{
    const lti_course_t *course = event->course;

    ap_log_error(APLOG_MARK, course->state == LTI_ROSTER_HELD ? APLOG_INFO : APLOG_WARNING, 0, s,
                 "LTI0302: %d people are missing from the roster of course %s (%s, context %s) and are kept: %s: %s. %s; joined "
                 "%d, changed %d",
                 event->missing, course->key, course->platform, course->context_id, lti_err_info(event->err->code)->name,
                 event->err->text, lti_err_info(event->err->code)->admin, event->applied->joined, event->applied->changed);
}

/* The end of what was said loudly. */
static void log_recovery(server_rec *s, const lti_event_t *event)
{
    const lti_course_t *course = event->course;
    apr_time_t now = mod_lti_store_now();
    int stale = course->stale_at != 0 && course->succeeded_at != 0 && now >= course->stale_at;

    if (course->failures > 0 || stale)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "LTI0767: the roster of course %s (%s, context %s) is refreshed again%s: %d runs in a row had failed, the "
                     "last one with %s; %d members",
                     course->key, course->platform, course->context_id, stale ? ", it was stale" : "", course->failures,
                     course->error_name != NULL ? course->error_name : "no reason", event->members);
    if (course->state == LTI_ROSTER_HELD && event->kind == LTI_EVENT_RUN_DONE && event->err == NULL)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "LTI0768: nobody of course %s (%s, context %s) is held any more: %d left, %d returned", course->key,
                     course->platform, course->context_id, event->applied->left, event->applied->returned);
}

static void log_done(server_rec *s, const lti_event_t *event)
{
    const lti_course_t *course = event->course;
    const lti_applied_t *applied = event->applied;

    ap_log_error(APLOG_MARK, APLOG_INFO, 0, s,
                 "LTI0303: the roster of course %s (%s) was refreshed: %d pages, %d members, joined %d, changed %d, left %d, "
                 "returned %d, %" APR_TIME_T_FMT " ms%s%s",
                 course->key, course->platform, event->pages, event->members, applied->joined, applied->changed, applied->left,
                 applied->returned, apr_time_as_msec(event->duration),
                 event->err != NULL ? "; nobody was removed, since the second walk failed: " : "",
                 event->err != NULL ? event->err->text : "");
}

/* Loudly while the roster moves, so that it is seen; not with each run that finds everything as it was. */
static void log_remarks(server_rec *s, const lti_event_t *event)
{
    const lti_applied_t *applied = event->applied;
    int moves = applied->joined + applied->changed + applied->left + applied->returned > 0;

    ap_log_error(APLOG_MARK, moves ? APLOG_WARNING : APLOG_INFO, 0, s,
                 "LTI0570: the roster of course %s (%s, context %s) was taken, though it is odd: %s", event->course->key,
                 event->course->platform, event->course->context_id, event->remarks);
}

static void log_run(server_rec *s, const lti_event_t *event)
{
    if (event->kind == LTI_EVENT_RUN_FAILED) {
        log_failure(s, event);
        return;
    }
    if (event->kind == LTI_EVENT_RUN_HELD)
        log_hold(s, event);
    else
        log_done(s, event);
    log_recovery(s, event);
    if (event->remarks != NULL)
        log_remarks(s, event);
}

static void log_stale(server_rec *s, const lti_event_t *event)
{
    const lti_course_t *course = event->course;

    if (event->kind == LTI_EVENT_COURSES_STALE) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "LTI0770: %d courses that are not named here have stale rosters: no run of theirs has succeeded for too long. "
                     "The status page lists them",
                     event->members);
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                 "LTI0769: the roster of course %s (%s, context %s) is stale: the last good run began %" APR_TIME_T_FMT
                 " s ago, %d failed since%s%s%s%s. People see it as it was then",
                 course->key, course->platform, course->context_id, apr_time_sec(mod_lti_store_now() - course->succeeded_at),
                 course->failures, course->error_name != NULL ? ": " : "", course->error_name != NULL ? course->error_name : "",
                 course->error_text != NULL ? ": " : "", course->error_text != NULL ? course->error_text : "");
}

/* --- the rest -------------------------------------------------------------------------------------------------------------- */

void mod_lti_watch_log(const lti_runtime_t *runtime, const lti_event_t *event)
{
    server_rec *s = runtime->server;

    switch (event->kind) {
    case LTI_EVENT_RUN_DONE:
    case LTI_EVENT_RUN_FAILED:
    case LTI_EVENT_RUN_HELD:
        log_run(s, event);
        break;
    case LTI_EVENT_COURSE_STALE:
    case LTI_EVENT_COURSES_STALE:
        log_stale(s, event);
        break;
    case LTI_EVENT_SNAPSHOT_FULL:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "LTI0304: shared memory for rosters is full, requests ask the database instead: %s",
                     event->err != NULL ? event->err->text : "raise LTISharedMemory");
        break;
    case LTI_EVENT_SNAPSHOT_FILLING:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, "LTI0632: shared memory for rosters is filling up: %s", event->err->text);
        break;
    case LTI_EVENT_ADMISSION_FULL:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "LTI0310: shared memory has no place of their own for %s: requests of deployments that do not fit ask the "
                     "database, and where single "
                     "people's sessions were ended whole courses or platforms have to launch again. Delete rows of lti_deployment "
                     "that nobody needs, and end "
                     "the sessions of a course rather than those of all its people",
                     event->err->text);
        break;
    case LTI_EVENT_SECRET_DIFFERS:
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     "LTI0311: %s uses another secret than this node (%s): sessions and launches that begin on one are refused by "
                     "the other. Copy one "
                     "LTISecretFile to all nodes and reload them",
                     event->err->text, runtime->node_name);
        break;
    case LTI_EVENT_STORE_DOWN:
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     "LTI0305: the database does not answer, rosters are not refreshed until it does: %s. %s",
                     event->err != NULL ? event->err->text : "no details", lti_err_info(LTI_E_STORE)->admin);
        break;
    case LTI_EVENT_PLATFORM_PAUSED:
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, "LTI0530: platform %s; all of its courses wait until then, on all nodes",
                     event->err->text);
        break;
    case LTI_EVENT_STORE_UP:
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, "LTI0306: the database answers again");
        break;
    }
}
