/* SPDX-License-Identifier: Apache-2.0 */
/* lti_diagnosis: the closed list of states, and the walk from evidence to one of them. */
#include "lti_diagnosis_parts.h"

#include <string.h>
#include <apr_strings.h>

#define CLOCK_SUSPECT apr_time_from_sec(30)
#define OLD_LAUNCH_COUNTS apr_time_from_sec(7 * 24 * 3600) /* beside launches of the new kind, which may have replaced it */

typedef struct state_info_t {
    const char *word;
    int severity;
} state_info_t;

static const state_info_t states[LTI_DIAGNOSIS_COUNT] = {
    [LTI_DIAGNOSIS_WELL] = {"well", 0},
    [LTI_DIAGNOSIS_NEVER_LAUNCHED] = {"never-launched", 1},
    [LTI_DIAGNOSIS_OLD_LTI] = {"old-lti", 3},
    [LTI_DIAGNOSIS_CLIENT] = {"client-refused", 3},
    [LTI_DIAGNOSIS_SCOPE] = {"scope-not-granted", 3},
    [LTI_DIAGNOSIS_NO_SERVICE] = {"no-roster-service", 3},
    [LTI_DIAGNOSIS_DEPLOYMENT] = {"deployment", 3},
    [LTI_DIAGNOSIS_PERMISSION] = {"permission-changed", 2},
    [LTI_DIAGNOSIS_COURSE_GONE] = {"course-gone", 2},
    [LTI_DIAGNOSIS_EMPTY] = {"empty", 3},
    [LTI_DIAGNOSIS_SMALLER] = {"smaller-than-launches", 2},
    [LTI_DIAGNOSIS_HELD] = {"held", 2},
    [LTI_DIAGNOSIS_RATE_LIMITED] = {"rate-limited", 1},
    [LTI_DIAGNOSIS_TOO_MANY] = {"too-many-members", 3},
    [LTI_DIAGNOSIS_CONNECTION] = {"connection", 3},
    [LTI_DIAGNOSIS_ADDRESS] = {"address-refused", 3},
    [LTI_DIAGNOSIS_CLOCK] = {"clock", 3},
    [LTI_DIAGNOSIS_RUBBISH] = {"rubbish", 3},
    [LTI_DIAGNOSIS_STALE] = {"stale", 3},
    [LTI_DIAGNOSIS_CONFIGURATION] = {"not-configured", 2},
    [LTI_DIAGNOSIS_PENDING] = {"pending", 1},
    [LTI_DIAGNOSIS_SERVER] = {"this-server", 3},
};

const char *lti_diagnosis_word(lti_diagnosis_state_t state)
{
    return (unsigned)state < LTI_DIAGNOSIS_COUNT ? states[state].word : "unknown";
}

/* --- pieces ------------------------------------------------------------------------------------------------------------ */

static const char *span(apr_int64_t seconds, apr_pool_t *p)
{
    if (seconds < 120)
        return apr_psprintf(p, "%" APR_INT64_T_FMT " seconds", seconds);
    if (seconds < 2 * 3600)
        return apr_psprintf(p, "%" APR_INT64_T_FMT " minutes", seconds / 60);
    if (seconds < 2 * 86400)
        return apr_psprintf(p, "%" APR_INT64_T_FMT " hours", seconds / 3600);
    return apr_psprintf(p, "%" APR_INT64_T_FMT " days", seconds / 86400);
}

const char *lti_diagnosis_moment(apr_time_t when, apr_time_t now, apr_pool_t *p)
{
    apr_int64_t seconds = apr_time_sec(now - when);
    apr_time_exp_t at;

    apr_time_exp_gmt(&at, when);
    return apr_psprintf(p, "%04d-%02d-%02d %02d:%02d UTC (%s%s%s)", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday, at.tm_hour,
                        at.tm_min, when > now ? "in " : "", span(seconds < 0 ? -seconds : seconds, p), when > now ? "" : " ago");
}

void lti_diagnosis_conclude(const lti_judging_t *judging, lti_diagnosis_state_t state, const char *sentence, const char *remedy)
{
    *judging->diagnosis = (lti_diagnosis_t){
        .state = state, .severity = states[state].severity, .sentence = sentence, .evidence = judging->words, .remedy = remedy};
}

int lti_diagnosis_clock_is_off(const lti_evidence_t *evidence)
{
    return evidence->clock_known && (evidence->clock_offset > CLOCK_SUSPECT || evidence->clock_offset < -CLOCK_SUSPECT);
}

void lti_diagnosis_clock(const lti_judging_t *judging)
{
    apr_interval_time_t offset = judging->evidence->clock_offset;
    const char *difference = "";

    if (lti_diagnosis_clock_is_off(judging->evidence))
        difference =
            apr_psprintf(judging->pool, ": the platform's is %s %s",
                         span(apr_time_sec(offset < 0 ? -offset : offset), judging->pool), offset < 0 ? "behind" : "ahead");
    lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_CLOCK,
                           apr_psprintf(judging->pool, "The clocks of the platform and of this server differ%s.", difference),
                           "On this server: does timedatectl say that the clock is synchronised? Switch NTP on.\n"
                           "If this server's clock is right, let the platform's administrator do the same there.\n"
                           "LTIClockSkew bridges a minute or so, for launches only.");
}

static const char *name_of(const lti_course_t *course)
{
    return course->title != NULL ? course->title : course->label != NULL ? course->label : course->context_id;
}

static int is_stale(const lti_evidence_t *evidence)
{
    return evidence->course->succeeded_at != 0 && evidence->course->stale_at != 0 && evidence->now >= evidence->course->stale_at;
}

/* What the last run said, in its own words; and how old the roster is that is served meanwhile. */
static const char *words_of_run(const lti_evidence_t *evidence, apr_pool_t *p)
{
    const lti_course_t *course = evidence->course;
    const char *words = course->error_name, *age = "";

    if (words == NULL)
        return NULL;
    if (course->error_text != NULL && course->error_text[0] != '\0')
        words = apr_pstrcat(p, words, ": ", course->error_text, NULL);
    if (course->failures > 1)
        words = apr_psprintf(p, "%s (%d times in a row)", words, course->failures);
    if (course->succeeded_at != 0 && course->failures > 0)
        age = apr_pstrcat(p, "; the roster that is served is of ", lti_diagnosis_moment(course->succeeded_at, evidence->now, p),
                          is_stale(evidence) ? ", too old to be relied upon" : "", NULL);
    return apr_pstrcat(p, words, age, NULL);
}

/* --- a course ----------------------------------------------------------------------------------------------------------- */

static void judge_hold(const lti_judging_t *judging)
{
    const lti_evidence_t *evidence = judging->evidence;
    const lti_course_t *course = evidence->course;

    if (course->active > 0 && evidence->held_missing >= course->active)
        lti_diagnosis_conclude(
            judging, LTI_DIAGNOSIS_EMPTY, "The platform suddenly names nobody in this course; the roster of before stays.",
            apr_pstrcat(judging->pool, "If the course is really empty, press Accept on the course's page.\nElse: ",
                        lti_diagnosis_menu(LTI_MENU_EVERYBODY, evidence->platform), NULL));
    else
        lti_diagnosis_conclude(
            judging, LTI_DIAGNOSIS_HELD,
            apr_psprintf(judging->pool, "%d of %d people are missing at once; they stay until that is confirmed.",
                         evidence->held_missing, course->active),
            apr_pstrcat(judging->pool,
                        "If they have really left, press Accept on the course's page; the same list over 24 hours is accepted by "
                        "itself.\nElse: ",
                        lti_diagnosis_menu(LTI_MENU_EVERYBODY, evidence->platform), NULL));
}

/* No run failed, as far as is known. */
static void judge_roster(lti_judging_t *judging)
{
    const lti_evidence_t *evidence = judging->evidence;
    const lti_course_t *course = evidence->course;
    apr_pool_t *p = judging->pool;

    if (course->succeeded_at == 0) {
        lti_diagnosis_conclude(
            judging, LTI_DIAGNOSIS_PENDING, "The first roster of this course has not come yet.",
            "Look again in a minute.\nIf it stays so: is LTISync On, and does the error log speak of the database?");
        return;
    }
    judging->words =
        apr_psprintf(p, "%d people, read %s", course->active, lti_diagnosis_moment(course->succeeded_at, evidence->now, p));
    if (is_stale(evidence))
        lti_diagnosis_conclude(
            judging, LTI_DIAGNOSIS_STALE,
            apr_psprintf(p, "The roster has not been updated since %s.",
                         lti_diagnosis_moment(course->succeeded_at, evidence->now, p)),
            "Press Update now; if it fails, this page then says why.\nIf nothing happens: is LTISync On, and is a server of this "
            "site running that the error log says refreshes rosters?");
    else if (course->active == 0)
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_EMPTY, "The platform's roster of this course names nobody.",
                               lti_diagnosis_menu(LTI_MENU_EVERYBODY, evidence->platform));
    else if (evidence->suspect)
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_SMALLER,
                               "People have opened the tool who are not on the roster, or only those who have are on it.",
                               lti_diagnosis_menu(LTI_MENU_EVERYBODY, evidence->platform));
    else
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_WELL, "All is well.", NULL);
}

static void judge_without_address(lti_judging_t *judging)
{
    const lti_evidence_t *evidence = judging->evidence;
    const lti_course_t *course = evidence->course;

    if (course->launched_at == 0) {
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_NEVER_LAUNCHED,
                               apr_psprintf(judging->pool, "Nobody has opened the tool from %s yet.", name_of(course)),
                               lti_diagnosis_menu(LTI_MENU_COURSE, evidence->platform));
        return;
    }
    judging->words =
        apr_pstrcat(judging->pool, "last launch ", lti_diagnosis_moment(course->launched_at, evidence->now, judging->pool), NULL);
    lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_NO_SERVICE, "The launches of this course do not offer a roster service.",
                           lti_diagnosis_menu(LTI_MENU_SERVICE, evidence->platform));
}

static void judge_course(lti_judging_t *judging)
{
    const lti_evidence_t *evidence = judging->evidence;
    const lti_course_t *course = evidence->course;

    judging->words = words_of_run(evidence, judging->pool);
    if (evidence->platform == NULL)
        lti_diagnosis_conclude(
            judging, LTI_DIAGNOSIS_CONFIGURATION,
            apr_psprintf(judging->pool, "The course belongs to platform %s, which is not configured any more.", course->platform),
            "Write its <LTIPlatform> block again, or leave the course to rest: its people are kept for LTIRetain.");
    else if (course->nrps_url == NULL)
        judge_without_address(judging);
    else if (course->state == LTI_ROSTER_HELD)
        judge_hold(judging);
    else if (course->error_name != NULL)
        lti_diagnosis_failure(judging, course->error_name, course->error_text);
    else if (course->succeeded_at == 0 && evidence->paused_until > evidence->now)
        lti_diagnosis_failure(judging, lti_err_info(LTI_E_RATE_LIMITED)->name, NULL);
    else
        judge_roster(judging);
    /* Patience has an end. */
    if (judging->diagnosis->severity == 1 && is_stale(evidence))
        judging->diagnosis->severity = 2;
}

/* --- a platform --------------------------------------------------------------------------------------------------------- */

static void judge_old(const lti_judging_t *judging)
{
    const lti_platform_t *platform = judging->evidence->platform;

    lti_diagnosis_conclude(
        judging, LTI_DIAGNOSIS_OLD_LTI,
        judging->evidence->launched_at == 0
            ? "This tool is installed the old way (LTI 1.1), which cannot carry a roster."
            : "Somebody still opens this tool the old way (LTI 1.1), which cannot carry a roster, besides the new one.",
        apr_pstrcat(judging->pool, "Remove the installation by key and secret, and install the tool by its client id (LTI 1.3):\n",
                    lti_diagnosis_menu(LTI_MENU_CLIENT, platform), "\n", lti_diagnosis_menu(LTI_MENU_COURSE, platform), NULL));
    if (judging->evidence->launched_at != 0)
        judging->diagnosis->severity = 1;
}

static void judge_waiting(const lti_judging_t *judging)
{
    int waiting = judging->evidence->deployments_waiting;

    lti_diagnosis_conclude(
        judging, LTI_DIAGNOSIS_DEPLOYMENT,
        apr_psprintf(judging->pool,
                     "%d deployment%s of this platform wait%s for you to accept or refuse %s; launches from there are "
                     "refused until then.",
                     waiting, waiting == 1 ? "" : "s", waiting == 1 ? "s" : "", waiting == 1 ? "it" : "them"),
        "On the status page > Platforms > Deployments press Accept or Refuse.");
    if (judging->evidence->launched_at != 0)
        judging->diagnosis->severity = 1;
}

static void judge_never_launched(const lti_judging_t *judging)
{
    const lti_platform_t *platform = judging->evidence->platform;

    lti_diagnosis_conclude(
        judging, LTI_DIAGNOSIS_NEVER_LAUNCHED, "No launch has ever come from this platform.",
        apr_pstrcat(
            judging->pool,
            "Is the tool installed there? The addresses to paste into the platform stand under Platforms on the status page.\n",
            lti_diagnosis_menu(LTI_MENU_CLIENT, platform), "\n", lti_diagnosis_menu(LTI_MENU_COURSE, platform), NULL));
}

static void judge_platform(lti_judging_t *judging)
{
    const lti_evidence_t *evidence = judging->evidence;
    apr_pool_t *p = judging->pool;

    if (evidence->platform == NULL) {
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_CONFIGURATION, "The platform is not configured any more.",
                               "Write its <LTIPlatform> block again.");
        return;
    }
    if (evidence->old_launch_at != 0 && (evidence->launched_at == 0 || evidence->now - evidence->old_launch_at < OLD_LAUNCH_COUNTS))
        judging->words =
            apr_pstrcat(p, "last launch of LTI 1.1 ", lti_diagnosis_moment(evidence->old_launch_at, evidence->now, p), NULL);
    if (evidence->launched_at == 0 && evidence->deployments_waiting > 0)
        judge_waiting(judging);
    else if (evidence->launched_at == 0 && evidence->old_launch_at != 0)
        judge_old(judging);
    else if (evidence->launched_at == 0 && evidence->token_error_name == NULL)
        judge_never_launched(judging);
    else if (lti_diagnosis_clock_is_off(evidence))
        lti_diagnosis_clock(judging);
    else if (evidence->token_error_name != NULL) {
        judging->words = apr_pstrcat(p, evidence->token_error_name, evidence->token_error_text != NULL ? ": " : "",
                                     evidence->token_error_text != NULL ? evidence->token_error_text : "", "; ",
                                     lti_diagnosis_moment(evidence->token_error_at, evidence->now, p), NULL);
        lti_diagnosis_failure(judging, evidence->token_error_name, evidence->token_error_text);
    } else if (evidence->paused_until > evidence->now)
        lti_diagnosis_failure(judging, lti_err_info(LTI_E_RATE_LIMITED)->name, NULL);
    else if (evidence->deployments_waiting > 0)
        judge_waiting(judging);
    else if (judging->words != NULL)
        judge_old(judging);
    else {
        judging->words = apr_pstrcat(p, "last launch ", lti_diagnosis_moment(evidence->launched_at, evidence->now, p), NULL);
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_WELL, "All is well.", NULL);
    }
}

void lti_diagnose(lti_diagnosis_t *diagnosis, const lti_evidence_t *evidence, apr_pool_t *p)
{
    lti_judging_t judging = {.evidence = evidence, .diagnosis = diagnosis, .pool = p};

    if (evidence->course != NULL)
        judge_course(&judging);
    else
        judge_platform(&judging);
}
