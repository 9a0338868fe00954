/* SPDX-License-Identifier: Apache-2.0 */
/* The block in mod_status, HTML and ?auto: from shared memory alone, so that the page answers whatever the database does. */
#include "mod_lti_admin.h"

#include <apr_optional_hooks.h>
#include <http_protocol.h>
#include <mod_status.h>

#include "lti_meter.h"
#include "lti_snapshot.h"
#include "mod_lti_config.h"

/* Figures of this httpd since counting began. */
typedef struct figures_t {
    apr_uint64_t launches, refused;
    apr_uint64_t lookups[LTI_METER_LOOKUPS];
    apr_uint64_t runs, failed_runs, failed_fetches;
    lti_snapshot_usage_t usage;
    lti_snapshot_capacity_t capacity;
    int percent;
} figures_t;

static void gather(figures_t *figures, const lti_runtime_t *runtime, const apr_array_header_t *platforms)
{
    const lti_meter_t *meter = runtime->meter;
    int i, code, what;

    memset(figures, 0, sizeof(*figures));
    figures->launches = lti_meter_launches(meter, LTI_OK);
    for (code = LTI_OK + 1; code < LTI_E_COUNT; code++)
        figures->refused += lti_meter_launches(meter, (lti_code_t)code);
    for (i = 0; i < LTI_METER_LOOKUPS; i++)
        figures->lookups[i] = lti_meter_lookups(meter, (lti_meter_lookup_t)i);
    for (i = 0; i < platforms->nelts; i++) {
        int index = APR_ARRAY_IDX(platforms, i, const lti_platform_t *)->index;

        figures->runs += lti_meter_runs(meter, index, LTI_OK);
        for (code = LTI_OK + 1; code < LTI_E_COUNT; code++)
            figures->failed_runs += lti_meter_runs(meter, index, (lti_code_t)code);
        for (what = 0; what < LTI_METER_FETCHES; what++)
            figures->failed_fetches += lti_meter_fetches(meter, index, (lti_meter_fetch_t)what, 1);
    }
    lti_snapshot_usage(runtime->snapshot, &figures->usage);
    lti_snapshot_capacity(&figures->capacity, &figures->usage);
    figures->percent = lti_snapshot_percent(&figures->usage);
}

#define U "%" APR_UINT64_T_FMT

static void write_lines(request_rec *r, const figures_t *figures)
{
    ap_rprintf(r,
               "LtiLaunches: " U "\nLtiLaunchesRefused: " U "\nLtiLookupsMemory: " U "\nLtiLookupsDatabase: " U
               "\nLtiLookupsUnavailable: " U "\nLtiRuns: " U "\nLtiRunsFailed: " U "\nLtiFetchesFailed: " U
               "\nLtiCourses: %u\nLtiPeople: " U "\nLtiSharedMemoryPercent: %d\n",
               figures->launches, figures->refused, figures->lookups[LTI_METER_MEMORY], figures->lookups[LTI_METER_DATABASE],
               figures->lookups[LTI_METER_UNAVAILABLE], figures->runs, figures->failed_runs, figures->failed_fetches,
               figures->usage.slots_used, figures->usage.members, figures->percent);
}

static void write_html(request_rec *r, const figures_t *figures)
{
    ap_rputs("<hr />\n<h2>LTI</h2>\n<dl>\n", r);
    ap_rprintf(r, "<dt>Launches: " U ", refused: " U "</dt>\n", figures->launches, figures->refused);
    ap_rprintf(r, "<dt>Roster look-ups: " U " from shared memory, " U " from the database, " U " without an answer</dt>\n",
               figures->lookups[LTI_METER_MEMORY], figures->lookups[LTI_METER_DATABASE], figures->lookups[LTI_METER_UNAVAILABLE]);
    ap_rprintf(r, "<dt>Roster runs: " U " applied, " U " not; failed fetches: " U "</dt>\n", figures->runs, figures->failed_runs,
               figures->failed_fetches);
    ap_rprintf(r, "<dt>In shared memory: %u courses, " U " people (%d%% used; room for %u courses, %u people)</dt>\n",
               figures->usage.slots_used, figures->usage.members, figures->percent, figures->capacity.courses,
               figures->capacity.people);
    ap_rputs("</dl>\n", r);
}

static int write_status(request_rec *r, int flags)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    figures_t figures;

    if (!mod_lti_config_is_active(conf) || conf->runtime == NULL)
        return DECLINED;
    gather(&figures, conf->runtime, conf->platforms);
    if (flags & AP_STATUS_SHORT)
        write_lines(r, &figures);
    else
        write_html(r, &figures);
    return OK;
}

void mod_lti_admin_register(apr_pool_t *p)
{
    (void)p;
    APR_OPTIONAL_HOOK(ap, status_hook, write_status, NULL, NULL, APR_HOOK_MIDDLE);
}
