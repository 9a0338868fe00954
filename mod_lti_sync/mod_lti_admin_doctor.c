/* SPDX-License-Identifier: Apache-2.0 */
/* A platform is examined now: each step with what it found and what helps, as a page or as JSON. */
#include "mod_lti_admin_parts.h"

#include <stdatomic.h>
#include <string.h>
#include <apr_strings.h>
#include <http_protocol.h>

#include "lti_db.h"
#include "lti_doctor.h"
#include "mod_lti_identity.h"
#include "mod_lti_origin.h"

/*
 * Each examination sends requests to the platform and keeps a thread for some seconds. Bounded in each process: how many go on, and how soon the same platform is examined again. Platforms
 * beyond the number of places share one.
 */
#define AT_ONCE 2
#define AGAIN_AFTER 5 /* seconds */
#define PLACES 256

static _Atomic int going_on;
static _Atomic apr_time_t begun_at[PLACES];

/* --- who may ---------------------------------------------------------------------------------------------------------------------- */

static apr_status_t fail_busy(const mod_lti_admin_t *admin, apr_int64_t seconds, const char *why, lti_err_t *err)
{
    apr_table_setn(admin->r->err_headers_out, "Retry-After", apr_psprintf(admin->r->pool, "%" APR_INT64_T_FMT, seconds));
    return lti_fail(err, LTI_E_EXAMINATION_BUSY, APR_EBUSY, "%s", why);
}

/* After APR_SUCCESS `going_on` counts this one. By the clock of this machine, which tests do not move. */
static apr_status_t take_place(const mod_lti_admin_t *admin, const lti_platform_t *platform, lti_err_t *err)
{
    _Atomic apr_time_t *place = &begun_at[(unsigned)platform->index % PLACES];
    apr_time_t now = apr_time_now(), before = atomic_load(place), end = before + apr_time_from_sec(AGAIN_AFTER);

    if (before != 0 && now < end && now >= before)
        return fail_busy(admin, apr_time_sec(end - now) + 1, "this platform was examined just now", err);
    if (atomic_fetch_add(&going_on, 1) >= AT_ONCE) {
        atomic_fetch_sub(&going_on, 1);
        return fail_busy(admin, AGAIN_AFTER, "other platforms are being examined", err);
    }
    if (atomic_compare_exchange_strong(place, &before, now))
        return APR_SUCCESS;
    atomic_fetch_sub(&going_on, 1);
    return fail_busy(admin, AGAIN_AFTER, "somebody else examines this platform now", err);
}

/* --- the patient ------------------------------------------------------------------------------------------------------------------ */

static const json_t *find_platform(const json_t *platforms, const char *name)
{
    apr_size_t i;

    for (i = 0; i < json_array_size(platforms); i++) {
        const char *found = mod_lti_html_text_of(json_array_get(platforms, i), "platform");

        if (found != NULL && strcmp(found, name) == 0)
            return json_array_get(platforms, i);
    }
    return NULL;
}

/* What the status page shows of the platform: the two never contradict each other. */
static void fill_from_overview(lti_patient_t *patient, const json_t *shown)
{
    const json_t *deployments = json_object_get(shown, "deployments"), *old_launches = json_object_get(shown, "old_launches");
    apr_size_t i;

    patient->launched_at = mod_lti_html_parse_time(mod_lti_html_text_of(shown, "launched_at"));
    for (i = 0; i < json_array_size(deployments); i++) {
        const char *status = mod_lti_html_text_of(json_array_get(deployments, i), "status");

        patient->deployments_waiting += status != NULL && strcmp(status, "waiting") == 0;
    }
    for (i = 0; i < json_array_size(old_launches); i++) {
        apr_time_t seen_at = mod_lti_html_parse_time(mod_lti_html_text_of(json_array_get(old_launches, i), "seen_at"));

        if (seen_at > patient->old_launch_at)
            patient->old_launch_at = seen_at;
    }
}

static apr_status_t read_patient(lti_patient_t *patient, mod_lti_admin_t *admin, lti_err_t *err)
{
    const lti_server_config_t *main_conf = mod_lti_config_of(admin->conf->runtime->server);
    const char *name = patient->platform->name;
    lti_course_t *course = NULL;
    json_t *platforms = NULL;
    apr_status_t rv = mod_lti_admin_open(admin, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_overview_platforms(&platforms, &admin->overview, admin->r->pool, err);
    if (rv == APR_SUCCESS) {
        rv = lti_db_course_launched_last(&course, admin->overview.db, name, admin->r->pool, err);
        rv = rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    }
    mod_lti_admin_close(admin);
    if (rv != APR_SUCCESS)
        return rv;
    fill_from_overview(patient, find_platform(platforms, name));
    patient->course = course;
    if (course != NULL && course->launched_at > patient->launched_at)
        patient->launched_at = course->launched_at;
    if (course != NULL && course->nrps_url != NULL)
        patient->admits_private = mod_lti_config_admits_private(main_conf, patient->platform, course->nrps_url, admin->r->pool);
    return APR_SUCCESS;
}

/* --- the answer ------------------------------------------------------------------------------------------------------------------- */

static int is_result(const json_t *step, const char *word)
{
    const char *result = mod_lti_html_text_of(step, "result");

    return result != NULL && strcmp(result, word) == 0;
}

static void write_step(mod_lti_html_t *html, const json_t *step)
{
    int failed = is_result(step, "fail"), severity = is_result(step, "pass") ? 0 : failed ? 3 : 1;

    mod_lti_html_write(html, "<section class=\"card s%d\" id=\"step-%s\"><h3>", severity, mod_lti_html_text_of(step, "step"));
    mod_lti_html_badge(html, severity, severity == 0 ? "Passed" : failed ? "Failed" : "Left out");
    mod_lti_html_write(html, " %s</h3>\n", mod_lti_html_text_of(step, "title"));
    mod_lti_html_write(html, failed ? "<blockquote><bdi>%s</bdi></blockquote>" : "<p class=\"dim\"><bdi>%s</bdi></p>",
                       mod_lti_html_text_of(step, "found"));
    if (failed)
        mod_lti_html_write(html, "<h4>What to do</h4>");
    mod_lti_html_steps(html, json_object_get(step, "remedy"));
    mod_lti_html_write(html, "</section>\n");
}

static int count_results(const json_t *steps, const char *word, const json_t **first)
{
    int count = 0;
    apr_size_t i;

    for (i = 0; i < json_array_size(steps); i++) {
        if (is_result(json_array_get(steps, i), word) && count++ == 0)
            *first = json_array_get(steps, i);
    }
    return count;
}

static void write_summary(mod_lti_html_t *html, const lti_patient_t *patient, const json_t *steps)
{
    const json_t *first = NULL, *left_out = NULL;
    int failed = count_results(steps, "fail", &first), skipped = count_results(steps, "skip", &left_out);

    mod_lti_html_write(html, "<p>");
    mod_lti_html_badge(html, failed > 0 ? 3 : 0, NULL);
    if (failed > 0)
        mod_lti_html_write(html, " %d of %d steps failed%s: <a href=\"#step-%s\">%s</a>%s", failed, (int)json_array_size(steps),
                           failed > 1 ? ". Begin with the first" : "", mod_lti_html_text_of(first, "step"),
                           mod_lti_html_text_of(first, "title"), failed > 1 ? " Later ones often follow from it." : "");
    else if (skipped > 0)
        mod_lti_html_write(html, " Nothing failed; %d %s left out.", skipped, skipped == 1 ? "step was" : "steps were");
    else
        mod_lti_html_write(html, " Every step passed.");
    mod_lti_html_write(html, "</p>\n");
    if (patient->course == NULL)
        mod_lti_html_write(html, "<p class=\"dim\">No course of this platform is known yet, so no roster was asked for.</p>\n");
}

static int send_page(const mod_lti_admin_t *admin, const lti_patient_t *patient, const json_t *report)
{
    const json_t *steps = json_object_get(report, "steps");
    apr_pool_t *p = admin->r->pool;
    mod_lti_html_t html;
    apr_size_t i;
    int status = mod_lti_admin_begin(&html, admin, apr_psprintf(p, "Examination of %s", patient->platform->name), 1, NULL);

    if (status != OK)
        return status;
    mod_lti_html_write(&html, "<p>This server has just asked the platform what it asks before a roster comes, and looked at what "
                              "launches told it. Nothing was stored.</p>\n");
    write_summary(&html, patient, steps);
    if (patient->course != NULL)
        mod_lti_html_write(&html, "<p>With the course opened last: <a href=\"%s\"><bdi>%s</bdi></a></p>\n",
                           mod_lti_admin_course_href(admin, patient->course->key),
                           patient->course->title != NULL ? patient->course->title : patient->course->context_id);
    mod_lti_html_write(&html, "<p><a class=\"button\" href=\"%s?doctor=%s\">Examine again</a></p>\n<h2>Steps</h2>\n", admin->self,
                       patient->platform->name);
    for (i = 0; i < json_array_size(steps); i++)
        write_step(&html, json_array_get(steps, i));
    mod_lti_html_end(&html, NULL);
    return OK;
}

/* The steps that failed, for the line of the audit. */
static const char *failures_of(const json_t *report, apr_pool_t *p)
{
    const json_t *steps = json_object_get(report, "steps");
    const char *names = NULL;
    apr_size_t i;

    for (i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);

        if (is_result(step, "fail"))
            names = apr_pstrcat(p, names != NULL ? names : "", names != NULL ? "," : "", mod_lti_html_text_of(step, "step"), NULL);
    }
    return names;
}

static apr_status_t examine(json_t **report, lti_patient_t *patient, mod_lti_admin_t *admin, lti_err_t *err)
{
    const lti_server_config_t *main_conf = mod_lti_config_of(admin->conf->runtime->server);
    const lti_http_options_t options = {
        .user_agent = "mod_lti_sync/" LTI_VERSION, .ca_file = main_conf->ca_file, .proxy = main_conf->proxy};
    apr_status_t rv = read_patient(patient, admin, err);

    if (rv == APR_SUCCESS)
        lti_doctor_examine(report, patient, &options, admin->r->pool);
    return rv;
}

int mod_lti_admin_doctor(mod_lti_admin_t *admin, const char *platform)
{
    lti_patient_t patient = {.platform = lti_platform_by_name(admin->conf->platforms, platform),
                             .toolkeys = admin->conf->runtime->toolkeys,
                             .now = admin->overview.now};
    json_t *report = NULL;
    const char *failed;
    lti_err_t err;
    apr_status_t rv;

    if (patient.platform == NULL)
        rv = lti_fail(&err, LTI_E_NOT_FOUND, APR_NOTFOUND, "there is no platform %.64s here to be examined", platform);
    else
        /* A page elsewhere that has this address in an <img> would examine on and on. A link of ours, an address that was typed and a program pass. */
        rv = mod_lti_origin_check(admin->r, mod_lti_identity_base_url(admin->r), &err);
    if (rv == APR_SUCCESS && admin->r->header_only)
        return OK;
    if (rv == APR_SUCCESS)
        rv = take_place(admin, patient.platform, &err);
    if (rv != APR_SUCCESS)
        return mod_lti_admin_refuse(admin, "LTI0771", &err);
    rv = examine(&report, &patient, admin, &err);
    atomic_fetch_sub(&going_on, 1);
    if (rv != APR_SUCCESS) {
        mod_lti_admin_audit(admin, "examine", NULL, platform, NULL, lti_err_info(err.code)->name);
        return mod_lti_admin_refuse(admin, "LTI0772", &err);
    }
    failed = failures_of(report, admin->r->pool);
    mod_lti_admin_audit(admin, "examine", patient.course != NULL ? patient.course->key : NULL, platform, failed,
                        failed != NULL ? "failed" : "passed");
    return admin->wants_json ? mod_lti_admin_send_json(admin, report) : send_page(admin, &patient, report);
}
