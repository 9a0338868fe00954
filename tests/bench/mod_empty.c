/* SPDX-License-Identifier: Apache-2.0 */
/* The bench's yardstick: a handler that reads a request's body and answers with nothing. */
#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>

static int answer(request_rec *r)
{
    int status;

    if (r->handler == NULL || strcmp(r->handler, "bench-empty") != 0)
        return DECLINED;
    status = ap_discard_request_body(r);
    if (status != OK)
        return status;
    ap_set_content_length(r, 0);
    return OK;
}

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(empty) = {STANDARD20_MODULE_STUFF, .register_hooks = register_hooks};
