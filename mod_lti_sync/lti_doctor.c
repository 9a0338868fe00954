/* SPDX-License-Identifier: Apache-2.0 */
/* lti_doctor: the steps of an examination, what each found, and whose remedy helps. */
#include "lti_doctor.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_diagnosis.h"
#include "lti_doctor_parts.h"
#include "lti_json.h"
#include "lti_nrps.h"
#include "lti_token.h"

#define KEY_SET_SECONDS 6
#define TOKEN_SECONDS 8
#define SERVICE_URL_MAX 2048                /* SPEC N-01 */
#define CLOCK_SUSPECT apr_time_from_sec(30) /* a Date is cut to seconds, and on its way for some */
#define CLOCK_NOTED apr_time_from_sec(2)

typedef enum result_t { PASS, FAIL, SKIP } result_t;

static const char *const result_words[] = {[PASS] = "pass", [FAIL] = "fail", [SKIP] = "skip"};

typedef struct examination_t {
    const lti_patient_t *patient;
    apr_pool_t *pool;
    lti_doctor_asker_t asker;
    apr_interval_time_t skew; /* how far the patient's time is ahead of this machine's clock */
    json_t *steps;
    int failed;
    /* What was found on the way. */
    lti_doctor_answer_t key_set, token, roster;
    int clock_known;
    apr_interval_time_t clock_offset;
    apr_status_t token_rv;
    lti_err_t token_err;
    const char *bearer; /* NULL: none was given */
} examination_t;

static apr_time_t time_of(const examination_t *exam)
{
    return apr_time_now() + exam->skew;
}

/* --- the report ----------------------------------------------------------------------------------------------------------- */

static json_t *lines_of(const char *text)
{
    json_t *lines = json_array();

    while (text != NULL && *text != '\0') {
        size_t length = strcspn(text, "\n");

        if (length > 0)
            json_array_append_new(lines, json_stringn_nocheck(text, length));
        text += length + (text[length] == '\n');
    }
    return lines;
}

/* What platforms wrote need not be UTF-8; a report always is. */
static json_t *text_of(const char *text, apr_pool_t *p)
{
    json_t *value = json_string(text);
    char *clean, *at;

    if (value != NULL)
        return value;
    clean = apr_pstrdup(p, text);
    for (at = clean; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    return json_string(clean);
}

static void add(examination_t *exam, const char *step, const char *title, result_t result, const char *found, const char *state,
                const char *remedy)
{
    json_t *object = json_object();

    exam->failed |= result == FAIL;
    json_object_set_new(object, "step", json_string(step));
    json_object_set_new(object, "title", json_string(title));
    json_object_set_new(object, "result", json_string(result_words[result]));
    json_object_set_new(object, "found", text_of(found, exam->pool));
    json_object_set_new(object, "state", state != NULL ? json_string(state) : json_null());
    json_object_set_new(object, "remedy", lines_of(remedy));
    json_array_append_new(exam->steps, object);
}

/* A failure that lti_diagnosis knows: its state and remedy, in the words of the platform's menus. */
static void add_judged(examination_t *exam, const char *step, const char *title, const char *found, const lti_evidence_t *evidence)
{
    lti_diagnosis_t diagnosis = {0};

    lti_diagnose(&diagnosis, evidence, exam->pool);
    add(exam, step, title, FAIL, found, lti_diagnosis_word(diagnosis.state), diagnosis.remedy);
}

static lti_evidence_t evidence_of(const examination_t *exam)
{
    const lti_patient_t *patient = exam->patient;

    return (lti_evidence_t){
        .platform = patient->platform,
        .now = time_of(exam),
        .launched_at = patient->launched_at,
        .old_launch_at = patient->old_launch_at,
        .clock_offset = exam->clock_offset,
        .clock_known = exam->clock_known,
    };
}

/* The examined course, or one that stands for it, as if its last run had failed so: that is what lti_diagnosis judges. */
static void add_failure(examination_t *exam, const char *step, const char *title, const lti_err_t *err)
{
    lti_evidence_t evidence = evidence_of(exam);
    lti_course_t course = {.key = "",
                           .platform = exam->patient->platform->name,
                           .deployment_id = "",
                           .context_id = "",
                           .nrps_url = "",
                           .launched_at = exam->patient->now};

    if (exam->patient->course != NULL)
        course = *exam->patient->course;
    if (course.nrps_url == NULL)
        course.nrps_url = "";
    if (course.launched_at == 0)
        course.launched_at = exam->patient->now;
    course.state = LTI_ROSTER_FAILING;
    course.error_name = lti_err_info(err->code)->name;
    course.error_text = err->text;
    course.failures = 1;
    evidence.course = &course;
    add_judged(exam, step, title, err->text, &evidence);
}

/* --- key set -------------------------------------------------------------------------------------------------------------- */

#define KEY_SET_TITLE "Can the platform's key set be fetched?"

static void ask_key_set(examination_t *exam)
{
    /* Any address: the host stands in the configuration (Invariant 7). */
    const lti_http_request_t request = {
        .url = exam->patient->platform->key_set, .accept = "application/json", .max_body = LTI_KEYSET_MAX, .any_address = 1};

    lti_doctor_ask(&exam->key_set, &exam->asker, &request, KEY_SET_SECONDS, NULL, NULL);
}

static void judge_key_set(examination_t *exam)
{
    static const char elsewhere[] = "Is LTIKeySet (or the site's address in LTIPreset) what the platform gives as its public "
                                    "keyset, JWKS or key set URL? Open that address in a browser: it has to show "
                                    "JSON with \"keys\".";
    const lti_platform_t *platform = exam->patient->platform;
    const lti_doctor_answer_t *answer = &exam->key_set;
    apr_array_header_t *keys = NULL;
    const char *faults;
    int dropped = 0;
    lti_err_t err;

    if (answer->rv != APR_SUCCESS && answer->err.code != LTI_E_HTTP_TOO_LARGE) {
        add_failure(exam, "key-set", KEY_SET_TITLE, &answer->err);
        return;
    }
    if (answer->rv != APR_SUCCESS || answer->response.status != 200) {
        add(exam, "key-set", KEY_SET_TITLE, FAIL,
            answer->rv != APR_SUCCESS ? answer->err.text
                                      : apr_psprintf(exam->pool, "%s answered with status %ld: %.200s", platform->key_set,
                                                     answer->response.status, answer->body),
            lti_diagnosis_word(LTI_DIAGNOSIS_RUBBISH), elsewhere);
        return;
    }
    faults = lti_keyset_faults(answer->body, answer->size, exam->pool);
    if (lti_keyset_parse(&keys, &dropped, answer->body, answer->size, exam->pool, &err) != APR_SUCCESS) {
        add(exam, "key-set", KEY_SET_TITLE, FAIL,
            apr_psprintf(exam->pool, "%s: %s%s%s", platform->key_set, err.text, faults != NULL ? "; " : "",
                         faults != NULL ? faults : ""),
            lti_diagnosis_word(LTI_DIAGNOSIS_RUBBISH), elsewhere);
        return;
    }
    add(exam, "key-set", KEY_SET_TITLE, PASS,
        apr_psprintf(exam->pool, "%s has %d usable %s%s%s", platform->key_set, keys->nelts, keys->nelts == 1 ? "key" : "keys",
                     faults != NULL ? "; not used: " : "", faults != NULL ? faults : ""),
        NULL, NULL);
}

/* --- clock ---------------------------------------------------------------------------------------------------------------- */

#define CLOCK_TITLE "Do the clocks agree?"

static void judge_clock(examination_t *exam)
{
    apr_int64_t seconds = apr_time_sec(exam->clock_offset < 0 ? -exam->clock_offset : exam->clock_offset);
    const char *found = apr_psprintf(exam->pool, "the platform's clock is %" APR_INT64_T_FMT " s %s this server's", seconds,
                                     exam->clock_offset < 0 ? "behind" : "ahead of");
    lti_evidence_t evidence = evidence_of(exam);

    if (!exam->clock_known) {
        add(exam, "clock", CLOCK_TITLE, SKIP, "no answer of the platform told its time", NULL, NULL);
        return;
    }
    if (exam->clock_offset <= CLOCK_SUSPECT && exam->clock_offset >= -CLOCK_SUSPECT) {
        add(exam, "clock", CLOCK_TITLE, PASS,
            exam->clock_offset < CLOCK_NOTED && exam->clock_offset > -CLOCK_NOTED ? "no difference that counts" : found, NULL,
            NULL);
        return;
    }
    evidence.launched_at = exam->patient->now; /* whether one came is another step's matter */
    add_judged(exam, "clock", CLOCK_TITLE, found, &evidence);
}

/* --- token and scope ------------------------------------------------------------------------------------------------------ */

#define TOKEN_TITLE "Does the platform accept this tool's key?"
#define SCOPE_TITLE "Does the platform grant the roster scope?"

static const char *deployment_of(const lti_patient_t *patient)
{
    return patient->course != NULL ? patient->course->deployment_id : NULL;
}

static apr_status_t ask_token(examination_t *exam, lti_err_t *err)
{
    const lti_patient_t *patient = exam->patient;
    lti_doctor_answer_t *answer = &exam->token;
    lti_tokens_t *tokens = lti_tokens_create(exam->pool); /* nobody else's, and gone with the examination */
    lti_http_request_t request = {0};
    apr_status_t rv;

    if (patient->toolkeys == NULL || patient->toolkeys->keys->nelts == 0)
        return lti_fail(err, LTI_E_CONFIG, APR_EGENERAL, "the tool has no key to sign with");
    rv = lti_token_request(&request, patient->platform, deployment_of(patient), LTI_SCOPE_NRPS,
                           APR_ARRAY_IDX(patient->toolkeys->keys, 0, const lti_key_t *), time_of(exam), exam->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    lti_doctor_ask(answer, &exam->asker, &request, TOKEN_SECONDS, NULL, NULL);
    if (answer->rv != APR_SUCCESS) {
        *err = answer->err;
        return answer->rv;
    }
    rv = lti_tokens_put(tokens, patient->platform, deployment_of(patient), LTI_SCOPE_NRPS, &answer->response, answer->body,
                        answer->size, time_of(exam), err);
    if (rv == APR_SUCCESS)
        exam->bearer = lti_tokens_get(tokens, patient->platform, deployment_of(patient), LTI_SCOPE_NRPS, 0);
    return rv;
}

static void judge_token(examination_t *exam)
{
    const char *endpoint = exam->patient->platform->token_endpoint;

    if (exam->token_rv == APR_SUCCESS)
        add(exam, "token", TOKEN_TITLE, PASS, apr_psprintf(exam->pool, "%s gave an access token", endpoint), NULL, NULL);
    else if (exam->token_err.code == LTI_E_SCOPE_REFUSED)
        add(exam, "token", TOKEN_TITLE, PASS, apr_psprintf(exam->pool, "%s knows this tool", endpoint), NULL, NULL);
    else
        add_failure(exam, "token", TOKEN_TITLE, &exam->token_err);
}

static void judge_scope(examination_t *exam)
{
    if (exam->token_rv == APR_SUCCESS)
        add(exam, "scope", SCOPE_TITLE, PASS, "the token is for contextmembership.readonly", NULL, NULL);
    else if (exam->token_err.code == LTI_E_SCOPE_REFUSED)
        add_failure(exam, "scope", SCOPE_TITLE, &exam->token_err);
    else
        add(exam, "scope", SCOPE_TITLE, SKIP, "there is no token to look at", NULL, NULL);
}

/* --- what launches told --------------------------------------------------------------------------------------------------- */

#define LAUNCH_TITLE "Has anybody opened the tool?"
#define DEPLOYMENT_TITLE "Is no deployment waiting for approval?"
#define SERVICE_TITLE "Do launches offer the roster service?"

static const char *moment(apr_time_t when, apr_pool_t *p)
{
    apr_time_exp_t at;

    apr_time_exp_gmt(&at, when);
    return apr_psprintf(p, "%04d-%02d-%02d %02d:%02d:%02d UTC", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday, at.tm_hour, at.tm_min,
                        at.tm_sec);
}

static void judge_launch(examination_t *exam)
{
    const lti_patient_t *patient = exam->patient;
    lti_evidence_t evidence = evidence_of(exam);
    const char *found = "no launch has ever come from this platform";

    if (patient->launched_at != 0) {
        add(exam, "launch", LAUNCH_TITLE, PASS,
            apr_psprintf(exam->pool, "the last launch of LTI 1.3 came %s", moment(patient->launched_at, exam->pool)), NULL, NULL);
        return;
    }
    if (patient->old_launch_at != 0)
        found = apr_psprintf(exam->pool, "only launches of LTI 1.1 came, which cannot carry a roster; the last one %s",
                             moment(patient->old_launch_at, exam->pool));
    else if (patient->deployments_waiting > 0)
        found = "launches came, but none that was let in: a deployment waits for approval";
    add_judged(exam, "launch", LAUNCH_TITLE, found, &evidence);
}

static void judge_deployment(examination_t *exam)
{
    const lti_patient_t *patient = exam->patient;
    lti_err_t err;

    if (patient->deployments_waiting > 0) {
        lti_fail(&err, LTI_E_DEPLOYMENT_WAITING, APR_EACCES, "%d %s; launches from there are refused until it is accepted",
                 patient->deployments_waiting, patient->deployments_waiting == 1 ? "deployment waits" : "deployments wait");
        add_failure(exam, "deployment", DEPLOYMENT_TITLE, &err);
    } else if (patient->launched_at == 0) {
        add(exam, "deployment", DEPLOYMENT_TITLE, SKIP, "no launch has told of one", NULL, NULL);
    } else {
        add(exam, "deployment", DEPLOYMENT_TITLE, PASS, "none waits", NULL, NULL);
    }
}

static const char *name_of(const lti_course_t *course)
{
    return course->title != NULL ? course->title : course->label != NULL ? course->label : course->context_id;
}

/* 1 if the roster can be asked for. */
static int judge_service(examination_t *exam)
{
    const lti_course_t *course = exam->patient->course;
    lti_evidence_t evidence = evidence_of(exam);
    lti_err_t err;

    if (course == NULL) {
        add(exam, "roster-service", SERVICE_TITLE, SKIP, "no course has been opened yet", NULL, NULL);
        return 0;
    }
    if (course->nrps_url == NULL) {
        evidence.course = course;
        add_judged(exam, "roster-service", SERVICE_TITLE,
                   apr_psprintf(exam->pool, "launches of \"%.100s\" name no roster service", name_of(course)), &evidence);
        return 0;
    }
    if (lti_http_check_url(course->nrps_url, SERVICE_URL_MAX, LTI_E_SERVICE_URL, &err) != APR_SUCCESS) {
        add_failure(exam, "roster-service", SERVICE_TITLE, &err);
        return 0;
    }
    add(exam, "roster-service", SERVICE_TITLE, PASS,
        apr_psprintf(exam->pool, "\"%.100s\" has its roster at %s", name_of(course), lti_http_origin(course->nrps_url, exam->pool)),
        NULL, NULL);
    return 1;
}

/* --- roster --------------------------------------------------------------------------------------------------------------- */

#define ROSTER_TITLE "Does the platform give a roster?"

/* People are counted, nothing of them is kept. */
static apr_status_t count_member(void *baton, const lti_member_t *member, lti_err_t *err)
{
    int *people = baton;

    (void)err;
    *people += member->status != LTI_MEMBER_LEFT;
    return APR_SUCCESS;
}

static apr_status_t feed(void *baton, const char *data, apr_size_t size, lti_err_t *err)
{
    return lti_nrps_page_feed(baton, data, size, err);
}

static apr_status_t ask_roster(examination_t *exam, int *people, int *more, lti_err_t *err)
{
    const lti_patient_t *patient = exam->patient;
    const char *url = lti_nrps_first_url(patient->course->nrps_url, NULL, 0, exam->pool), *next = NULL;
    lti_nrps_page_t *page = lti_nrps_page_create(0, count_member, people, exam->pool);
    lti_doctor_answer_t *answer = &exam->roster;
    lti_http_request_t request = {0};
    lti_nrps_summary_t summary;
    apr_status_t rv;

    lti_nrps_request(&request, patient->platform, url, exam->bearer, 1, exam->pool);
    request.any_address = patient->admits_private;
    lti_doctor_ask(answer, &exam->asker, &request, LTI_DOCTOR_SECONDS, feed, page);
    /* First: a login page that the parser stumbled over is a wrong type rather than damaged JSON. */
    if (answer->response.status != 0) {
        rv = lti_nrps_check_answer(&answer->response, answer->body, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    if (answer->rv != APR_SUCCESS) {
        *err = answer->err;
        return answer->rv;
    }
    rv = lti_nrps_page_end(page, &summary, err);
    if (rv == APR_SUCCESS)
        rv = lti_nrps_next(&next, &answer->response, request.url, patient->course->nrps_url, exam->pool, err);
    *more = next != NULL;
    return rv;
}

static void judge_roster(examination_t *exam, int reachable)
{
    lti_evidence_t evidence = evidence_of(exam);
    lti_course_t course;
    int people = 0, more = 0;
    lti_err_t err;

    if (!reachable || exam->bearer == NULL) {
        add(exam, "roster", ROSTER_TITLE, SKIP, !reachable ? "there is no roster to ask for" : "there is no token to ask with",
            NULL, NULL);
        return;
    }
    if (ask_roster(exam, &people, &more, &err) != APR_SUCCESS) {
        add_failure(exam, "roster", ROSTER_TITLE, &err);
        return;
    }
    if (people > 0) {
        add(exam, "roster", ROSTER_TITLE, PASS,
            apr_psprintf(exam->pool, "status %ld, %s, %d %s%s", exam->roster.response.status, exam->roster.response.content_type,
                         people, people == 1 ? "person" : "people", more ? " on the first of several pages" : ""),
            NULL, NULL);
        return;
    }
    course = *exam->patient->course;
    course.state = LTI_ROSTER_CURRENT;
    course.error_name = course.error_text = NULL;
    course.succeeded_at = evidence.now;
    course.stale_at = 0;
    course.active = 0;
    evidence.course = &course;
    add_judged(exam, "roster", ROSTER_TITLE, "the platform's list is well formed and names nobody", &evidence);
}

/* -------------------------------------------------------------------------------------------------------------------------- */

void lti_doctor_examine(json_t **report, const lti_patient_t *patient, const lti_http_options_t *options, apr_pool_t *p)
{
    examination_t exam = {.patient = patient, .skew = patient->now - apr_time_now()};
    lti_err_t err;

    apr_pool_create(&exam.pool, p);
    exam.steps = json_array();
    *report = lti_json_own(json_object(), p);
    json_object_set_new(*report, "platform", json_string(patient->platform->name));
    json_object_set_new(*report, "course", patient->course != NULL ? json_string(patient->course->key) : json_null());
    json_object_set_new(*report, "steps", exam.steps);
    if (lti_doctor_asker_create(&exam.asker, options, exam.pool, &err) != APR_SUCCESS) {
        add(&exam, "key-set", KEY_SET_TITLE, FAIL, err.text, NULL, NULL);
    } else {
        ask_key_set(&exam);
        exam.token_rv = ask_token(&exam, &exam.token_err);
        /* Whoever judges our assertions tells best what time they take it for; a key set may come out of a cache. */
        exam.clock_known = lti_doctor_measure_clock(&exam.clock_offset, &exam.token, exam.skew) ||
                           lti_doctor_measure_clock(&exam.clock_offset, &exam.key_set, exam.skew);
        judge_key_set(&exam);
        judge_clock(&exam);
        judge_token(&exam);
        judge_scope(&exam);
        judge_launch(&exam);
        judge_deployment(&exam);
        judge_roster(&exam, judge_service(&exam));
    }
    json_object_set_new(*report, "passed", json_boolean(!exam.failed));
    apr_pool_destroy(exam.pool);
}
