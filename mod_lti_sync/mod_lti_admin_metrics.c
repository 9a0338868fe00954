/* SPDX-License-Identifier: Apache-2.0 */
/* The end point metrics: what this httpd has counted, what shared memory and the database say, as OpenMetrics text. */
#include "mod_lti_admin.h"

#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "lti_bell.h"
#include "lti_meter.h"
#include "lti_overview.h"
#include "lti_snapshot.h"
#include "mod_lti_admin_metrics_text.h"
#include "mod_lti_admin_parts.h"
#include "mod_lti_page.h"

APLOG_USE_MODULE(lti_sync);

/* All families, in the order of the answer; docs/operations.md has them in a table. The course is never a label: there are thousands. */
enum {
    BUILD,
    COUNTED_SINCE,
    LAUNCHES,
    LAUNCH_TIME,
    LOOKUPS,
    RUNS,
    RUN_TIME,
    FETCHES,
    EVENT_NUMBER,
    MEMORY_BYTES,
    MEMORY_USED,
    MEMORY_PEOPLE,
    MEMORY_COURSES,
    MEMORY_PEOPLE_MAX,
    MEMORY_COURSES_MAX,
    DATABASE_UP,
    HEALTH,
    COURSES,
    MEMBERS,
    DUE,
    WAITING,
    OLDEST,
    NODES,
    CLOCK,
    TOKEN_AGE,
    KEY_SET_AGE,
    PAUSED,
    FAMILIES
};

static const mod_lti_admin_family_t families[FAMILIES] = {
    [BUILD] = {"lti_build", "info", NULL, "Which release this is."},
    [COUNTED_SINCE] = {"lti_counted_since_timestamp_seconds", "gauge", "seconds", "When all counters began at zero."},
    [LAUNCHES] = {"lti_launches", "counter", NULL, "Launches and logins that ended, by error code; ok is a new session."},
    [LAUNCH_TIME] = {"lti_launch_duration_seconds", "histogram", "seconds", "How long launches took that made a session."},
    [LOOKUPS] = {"lti_lookups", "counter", NULL, "Requests of people, by where the answer about their roster came from."},
    [RUNS] = {"lti_sync_runs", "counter", NULL, "Roster runs of this httpd that ended, by error code; ok is applied."},
    [RUN_TIME] = {"lti_sync_run_duration_seconds", "histogram", "seconds", "How long roster runs took, waiting included."},
    [FETCHES] = {"lti_fetches", "counter", NULL, "What this httpd fetched from platforms."},
    [EVENT_NUMBER] = {"lti_event_number", "gauge", NULL, "The number of the newest roster event."},
    [MEMORY_BYTES] = {"lti_shared_memory_bytes", "gauge", "bytes", "Shared memory for rosters."},
    [MEMORY_USED] = {"lti_shared_memory_used_ratio", "gauge", "ratio", "How full shared memory is; 1 is full."},
    [MEMORY_PEOPLE] = {"lti_shared_memory_people", "gauge", NULL, "People in shared memory."},
    [MEMORY_COURSES] = {"lti_shared_memory_courses", "gauge", NULL, "Courses in shared memory."},
    [MEMORY_PEOPLE_MAX] = {"lti_shared_memory_people_capacity", "gauge", NULL, "People that shared memory has room for."},
    [MEMORY_COURSES_MAX] = {"lti_shared_memory_courses_capacity", "gauge", NULL, "Courses that shared memory has room for."},
    [DATABASE_UP] = {"lti_database_up", "gauge", NULL, "1 if the database answered; if not, what follows is left out."},
    [HEALTH] = {"lti_health_level", "gauge", NULL, "The worst of the status page: 0 well, 1 note, 2 warning, 3 error."},
    [COURSES] = {"lti_courses", "gauge", NULL, "Courses by the state of their roster."},
    [MEMBERS] = {"lti_members", "gauge", NULL, "Active people of all rosters; who is in two courses counts twice."},
    [DUE] = {"lti_courses_due", "gauge", NULL, "Courses whose roster is due: the queue."},
    [WAITING] = {"lti_deployments_waiting", "gauge", NULL, "Deployments that wait for an administrator."},
    [OLDEST] = {"lti_roster_oldest_age_seconds", "gauge", "seconds", "Age of the oldest roster that is not stale yet."},
    [NODES] = {"lti_nodes", "gauge", NULL, "Nodes that were seen lately, by whether their secret is this one's."},
    [CLOCK] = {"lti_platform_clock_offset_seconds", "gauge", "seconds", "By how much the platform's clock is ahead."},
    [TOKEN_AGE] = {"lti_platform_token_age_seconds", "gauge", "seconds", "Time since the platform gave an access token."},
    [KEY_SET_AGE] = {"lti_platform_key_set_age_seconds", "gauge", "seconds", "Time since the platform's key set was fetched."},
    [PAUSED] = {"lti_platform_paused", "gauge", NULL, "1 while the platform asks for patience."},
};

static const char *const lookup_words[LTI_METER_LOOKUPS] = {"memory", "database", "unavailable"};
static const char *const fetch_words[LTI_METER_FETCHES] = {"keys", "token", "page"};

static void put_family(mod_lti_admin_text_t *text, int family)
{
    mod_lti_admin_text_family(text, &families[family]);
}

static void put_gauge(mod_lti_admin_text_t *text, int family, double value)
{
    put_family(text, family);
    mod_lti_admin_text_gauge(text, NULL, value);
}

/* --- what was counted ----------------------------------------------------------------------------------------------------- */

static void put_launches(mod_lti_admin_text_t *text, const lti_meter_t *meter)
{
    int code;

    put_family(text, LAUNCHES);
    for (code = 0; code < LTI_E_COUNT; code++) {
        const mod_lti_admin_label_t labels[] = {{"code", lti_err_info((lti_code_t)code)->name}, {NULL, NULL}};
        apr_uint64_t count = lti_meter_launches(meter, (lti_code_t)code);

        if (count > 0 || code == LTI_OK)
            mod_lti_admin_text_count(text, labels, count);
    }
}

static void put_lookups(mod_lti_admin_text_t *text, const lti_meter_t *meter)
{
    int where;

    put_family(text, LOOKUPS);
    for (where = 0; where < LTI_METER_LOOKUPS; where++) {
        const mod_lti_admin_label_t labels[] = {{"source", lookup_words[where]}, {NULL, NULL}};

        mod_lti_admin_text_count(text, labels, lti_meter_lookups(meter, (lti_meter_lookup_t)where));
    }
}

static void put_runs(mod_lti_admin_text_t *text, const lti_meter_t *meter, const apr_array_header_t *platforms)
{
    int i, code;

    put_family(text, RUNS);
    for (i = 0; i < platforms->nelts; i++) {
        const lti_platform_t *platform = APR_ARRAY_IDX(platforms, i, const lti_platform_t *);

        for (code = 0; code < LTI_E_COUNT; code++) {
            const mod_lti_admin_label_t labels[] = {
                {"platform", platform->name}, {"code", lti_err_info((lti_code_t)code)->name}, {NULL, NULL}};
            apr_uint64_t count = lti_meter_runs(meter, platform->index, (lti_code_t)code);

            if (count > 0 || code == LTI_OK)
                mod_lti_admin_text_count(text, labels, count);
        }
    }
}

static void put_fetches(mod_lti_admin_text_t *text, const lti_meter_t *meter, const apr_array_header_t *platforms)
{
    int i, what, failed;

    put_family(text, FETCHES);
    for (i = 0; i < platforms->nelts; i++) {
        const lti_platform_t *platform = APR_ARRAY_IDX(platforms, i, const lti_platform_t *);

        for (what = 0; what < LTI_METER_FETCHES; what++) {
            for (failed = 0; failed < 2; failed++) {
                const mod_lti_admin_label_t labels[] = {
                    {"platform", platform->name}, {"what", fetch_words[what]}, {"result", failed ? "failed" : "ok"}, {NULL, NULL}};

                mod_lti_admin_text_count(text, labels, lti_meter_fetches(meter, platform->index, (lti_meter_fetch_t)what, failed));
            }
        }
    }
}

static void put_times(mod_lti_admin_text_t *text, int family, const lti_meter_t *meter, lti_meter_time_t what)
{
    lti_meter_histogram_t histogram;

    lti_meter_histogram(&histogram, meter, what);
    put_family(text, family);
    mod_lti_admin_text_histogram(text, &histogram);
}

static void put_counted(mod_lti_admin_text_t *text, const lti_meter_t *meter, const apr_array_header_t *platforms)
{
    const mod_lti_admin_label_t release[] = {{"version", LTI_VERSION}, {NULL, NULL}};

    put_family(text, BUILD);
    mod_lti_admin_text_count(text, release, 1);
    put_gauge(text, COUNTED_SINCE, (double)lti_meter_since(meter) / (double)APR_USEC_PER_SEC);
    put_launches(text, meter);
    put_times(text, LAUNCH_TIME, meter, LTI_METER_LAUNCH_TIME);
    put_lookups(text, meter);
    put_runs(text, meter, platforms);
    put_times(text, RUN_TIME, meter, LTI_METER_RUN_TIME);
    put_fetches(text, meter, platforms);
}

/* --- shared memory -------------------------------------------------------------------------------------------------------- */

static void put_memory(mod_lti_admin_text_t *text, const lti_runtime_t *runtime)
{
    lti_snapshot_capacity_t capacity;
    lti_snapshot_usage_t usage;

    lti_snapshot_usage(runtime->snapshot, &usage);
    lti_snapshot_capacity(&capacity, &usage);
    put_gauge(text, EVENT_NUMBER, (double)lti_bell_number(runtime->bell));
    put_gauge(text, MEMORY_BYTES, (double)mod_lti_config_of(runtime->server)->shared_memory);
    put_gauge(text, MEMORY_USED, (double)lti_snapshot_percent(&usage) / 100);
    put_gauge(text, MEMORY_PEOPLE, (double)usage.members);
    put_gauge(text, MEMORY_COURSES, usage.slots_used);
    put_gauge(text, MEMORY_PEOPLE_MAX, capacity.people);
    put_gauge(text, MEMORY_COURSES_MAX, capacity.courses);
}

/* --- the database --------------------------------------------------------------------------------------------------------- */

/* NULL: it did not answer. */
typedef struct stored_t {
    json_t *health, *platforms;
    apr_time_t oldest; /* 0: there is no such roster */
} stored_t;

static apr_status_t read_stored(stored_t *stored, mod_lti_admin_t *admin, lti_err_t *err)
{
    const lti_overview_t *overview = &admin->overview;
    apr_pool_t *p = admin->r->pool;
    apr_status_t rv = mod_lti_admin_open(admin, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_overview_health(&stored->health, overview, p, err);
    if (rv == APR_SUCCESS)
        rv = lti_overview_platforms(&stored->platforms, overview, p, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_oldest_roster(&stored->oldest, overview->db, overview->now, p, err);
    mod_lti_admin_close(admin);
    return rv;
}

static void put_number(mod_lti_admin_text_t *text, int family, const json_t *object, const char *member)
{
    put_gauge(text, family, json_number_value(json_object_get(object, member)));
}

static void put_health(mod_lti_admin_text_t *text, const json_t *health)
{
    static const char *const levels[] = {"well", "note", "warning", "error"};
    const char *state = mod_lti_html_text_of(health, "state"), *word;
    json_t *states = json_object_get(health, "states"), *count;
    int level = 3;

    while (level > 0 && (state == NULL || strcmp(levels[level], state) != 0))
        level--;
    put_gauge(text, HEALTH, level);
    put_family(text, COURSES);
    json_object_foreach(states, word, count)
    {
        const mod_lti_admin_label_t labels[] = {{"state", word}, {NULL, NULL}};

        mod_lti_admin_text_gauge(text, labels, json_number_value(count));
    }
    put_number(text, MEMBERS, health, "people");
    put_number(text, DUE, health, "due");
    put_number(text, WAITING, health, "deployments_waiting");
}

static void put_nodes(mod_lti_admin_text_t *text, const json_t *health)
{
    static const mod_lti_admin_label_t labels[2][2] = {{{"secret", "other"}, {NULL, NULL}}, {{"secret", "same"}, {NULL, NULL}}};
    int agrees, counts[2] = {0, 0};
    apr_size_t i;
    json_t *node;

    json_array_foreach(json_object_get(health, "nodes"), i, node)
        counts[json_is_true(json_object_get(node, "secret_agrees")) != 0]++;
    put_family(text, NODES);
    for (agrees = 0; agrees < 2; agrees++)
        mod_lti_admin_text_gauge(text, labels[agrees], counts[agrees]);
}

/* A sample for each platform where `member` (of the object `within`, if one is named) is known. */
static void put_of_platforms(mod_lti_admin_text_t *text, int family, const json_t *platforms, const char *within,
                             const char *member)
{
    apr_size_t i;
    json_t *platform;

    put_family(text, family);
    json_array_foreach(platforms, i, platform)
    {
        const mod_lti_admin_label_t labels[] = {{"platform", mod_lti_html_text_of(platform, "platform")}, {NULL, NULL}};
        const json_t *object = within != NULL ? json_object_get(platform, within) : platform,
                     *value = json_object_get(object, member);

        if (json_is_number(value))
            mod_lti_admin_text_gauge(text, labels, json_number_value(value));
    }
}

static void put_pauses(mod_lti_admin_text_t *text, const json_t *platforms)
{
    apr_size_t i;
    json_t *platform;

    put_family(text, PAUSED);
    json_array_foreach(platforms, i, platform)
    {
        const mod_lti_admin_label_t labels[] = {{"platform", mod_lti_html_text_of(platform, "platform")}, {NULL, NULL}};

        mod_lti_admin_text_gauge(text, labels, json_is_string(json_object_get(platform, "paused_until")));
    }
}

static void put_stored(mod_lti_admin_text_t *text, const stored_t *stored, apr_time_t now)
{
    put_health(text, stored->health);
    put_family(text, OLDEST);
    if (stored->oldest != 0)
        mod_lti_admin_text_gauge(text, NULL, (double)(now - stored->oldest) / (double)APR_USEC_PER_SEC);
    put_nodes(text, stored->health);
    put_of_platforms(text, CLOCK, stored->platforms, NULL, "clock_offset");
    put_of_platforms(text, TOKEN_AGE, stored->platforms, "token", "age");
    put_of_platforms(text, KEY_SET_AGE, stored->platforms, "key_set", "age");
    put_pauses(text, stored->platforms);
}

/* --- the answer ----------------------------------------------------------------------------------------------------------- */

static void send_text(request_rec *r, const mod_lti_admin_text_t *text)
{
    ap_set_content_type(r, MOD_LTI_ADMIN_METRICS_TYPE);
    ap_set_content_length(r, (apr_off_t)text->size);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    ap_rwrite(text->text, (int)text->size, r);
}

int mod_lti_admin_metrics(request_rec *r)
{
    mod_lti_admin_t admin;
    mod_lti_admin_text_t text;
    stored_t stored = {.health = NULL};
    lti_err_t err;
    apr_status_t rv = mod_lti_admin_let_in(r, &err);

    if (rv == APR_SUCCESS && r->method_number != M_GET) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        rv = lti_fail(&err, LTI_E_METHOD, APR_EINVAL, "metrics are read with GET, not with %.20s", r->method);
    }
    if (rv != APR_SUCCESS)
        return mod_lti_page_refuse(r, "LTI0700", &err);
    mod_lti_admin_fill(&admin, r);
    rv = read_stored(&stored, &admin, &err);
    if (rv != APR_SUCCESS)
        ap_log_rerror(APLOG_MARK, APLOG_INFO, rv, r, "LTI0701: metrics without what the database knows: %s", err.text);
    mod_lti_admin_text_begin(&text, r->pool);
    put_counted(&text, admin.conf->runtime->meter, admin.conf->platforms);
    put_memory(&text, admin.conf->runtime);
    put_gauge(&text, DATABASE_UP, rv == APR_SUCCESS);
    if (rv == APR_SUCCESS)
        put_stored(&text, &stored, admin.overview.now);
    mod_lti_admin_text_end(&text);
    send_text(r, &text);
    return OK;
}
