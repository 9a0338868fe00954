/* SPDX-License-Identifier: Apache-2.0 */
/* A launch that waits for the first roster of its course. */
#include "mod_lti_launch.h"

#include <apr_atomic.h>
#include <ap_mpm.h>
#include <http_log.h>

#include "lti_snapshot.h"
#include "mod_lti_launch_parts.h"
#include "mod_lti_page.h"
#include "mod_lti_wait.h"

APLOG_USE_MODULE(lti_sync);

#define LOOK_MS 50
#define WAITING_MAX 8 /* threads of a process, and never more than half of them */

static volatile apr_uint32_t waiting; /* threads of this process that wait here now */

static apr_uint32_t places(void)
{
    int threads = 0;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 2)
        return 1;
    return threads / 2 < WAITING_MAX ? (apr_uint32_t)threads / 2 : WAITING_MAX;
}

/* 0 as long as the course's first run may still bring something. */
static int is_decided(const lti_snapshot_t *snapshot, const char *course_key)
{
    lti_snapshot_course_t course;

    switch (lti_snapshot_lookup(snapshot, course_key, NULL, &course, NULL)) {
    case LTI_SNAPSHOT_NO_ROSTER:
        return course.version == LTI_SNAPSHOT_NEVER_YET;
    case LTI_SNAPSHOT_UNKNOWN:
        return 0;
    default:
        return 1;
    }
}

void mod_lti_launch_wait(request_rec *r, const lti_server_config_t *conf, const char *course_key)
{
    const lti_runtime_t *runtime = conf->runtime;
    apr_time_t began = apr_time_now(), until = began + conf->sync_wait;

    if (conf->sync_wait == 0 || !mod_lti_config_of(runtime->server)->sync || is_decided(runtime->snapshot, course_key))
        return;
    if (apr_atomic_inc32(&waiting) < places()) {
        while (apr_time_now() < until && mod_lti_wait_a_moment(r, LOOK_MS) && !is_decided(runtime->snapshot, course_key))
            ;
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                      "LTI0550: launch %s: waited %" APR_TIME_T_FMT " ms for the first roster of course %s",
                      mod_lti_page_request_id(r), apr_time_as_msec(apr_time_now() - began), course_key);
    }
    apr_atomic_dec32(&waiting);
}
