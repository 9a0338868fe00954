/* SPDX-License-Identifier: Apache-2.0 */
/* A launch that waits for the first roster of its course. */
#include "mod_lti_launch.h"

#include <poll.h>
#include <apr_atomic.h>
#include <apr_portable.h>
#include <ap_mpm.h>
#include <http_core.h>
#include <http_log.h>

#include "lti_snapshot.h"
#include "mod_lti_launch_parts.h"

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

static int is_server_stopping(void)
{
    int state = 0;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING;
}

/* A moment, at the client's socket, so that one that goes is noticed. A stream of HTTP/2 has no socket of its own. */
static int has_client_gone(const request_rec *r)
{
#ifdef POLLRDHUP
    apr_socket_t *socket = r->connection->master == NULL ? ap_get_conn_socket(r->connection) : NULL;
    apr_os_sock_t descriptor;

    if (socket != NULL && apr_os_sock_get(&descriptor, socket) == APR_SUCCESS) {
        struct pollfd watched = {.fd = descriptor, .events = POLLRDHUP};

        return poll(&watched, 1, LOOK_MS) > 0 || r->connection->aborted;
    }
#endif
    apr_sleep(apr_time_from_msec(LOOK_MS));
    return r->connection->aborted != 0;
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
        while (apr_time_now() < until && !is_server_stopping() && !has_client_gone(r) && !is_decided(runtime->snapshot, course_key))
            ;
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "LTI0550: waited %" APR_TIME_T_FMT " ms for the first roster of course %s",
                      apr_time_as_msec(apr_time_now() - began), course_key);
    }
    apr_atomic_dec32(&waiting);
}
