/* SPDX-License-Identifier: Apache-2.0 */
/* A moment's wait that notices when there is nothing to wait for any more. */
#include "mod_lti_wait.h"

#include <poll.h>
#include <apr_portable.h>
#include <ap_mpm.h>
#include <http_core.h>

static int is_server_stopping(void)
{
    int state = 0;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING;
}

static int has_client_gone(const request_rec *r, int milliseconds)
{
#ifdef POLLRDHUP
    apr_socket_t *socket = r->connection->master == NULL ? ap_get_conn_socket(r->connection) : NULL;
    apr_os_sock_t descriptor;

    if (socket != NULL && apr_os_sock_get(&descriptor, socket) == APR_SUCCESS) {
        struct pollfd watched = {.fd = descriptor, .events = POLLRDHUP};

        return poll(&watched, 1, milliseconds) > 0 || r->connection->aborted;
    }
#endif
    apr_sleep(apr_time_from_msec(milliseconds));
    return r->connection->aborted != 0;
}

int mod_lti_wait_a_moment(request_rec *r, int milliseconds)
{
    return !is_server_stopping() && !has_client_gone(r, milliseconds);
}
