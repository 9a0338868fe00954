/* SPDX-License-Identifier: Apache-2.0 */
/* lti_http's client: many transfers at once on one curl multi handle, moved on by one thread; and the fetch of a single answer. */
#include "lti_http.h"

#include <string.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include "lti_http_transfer.h"

#define IDLE_HANDLES_MAX 16
#define IDLE_CONNECTIONS_MAX 16L
#define POLL_MAX apr_time_from_sec(3600)

typedef lti_http_transfer_t transfer_t;

typedef struct list_t {
    transfer_t *first, *last;
    int count;
} list_t;

struct lti_http_client_t {
    apr_pool_t *pool;
    lti_http_options_t options;
    CURLM *multi;
    list_t queued;
    list_t running;
    CURL *idle[IDLE_HANDLES_MAX];
    int idle_count;
    int closing;
};

static void list_append(list_t *list, transfer_t *transfer)
{
    transfer->next = NULL;
    transfer->previous = list->last;
    if (list->last != NULL)
        list->last->next = transfer;
    else
        list->first = transfer;
    list->last = transfer;
    list->count++;
}

static void list_remove(list_t *list, transfer_t *transfer)
{
    if (transfer->previous != NULL)
        transfer->previous->next = transfer->next;
    else
        list->first = transfer->next;
    if (transfer->next != NULL)
        transfer->next->previous = transfer->previous;
    else
        list->last = transfer->previous;
    list->count--;
}

/* Used handles are kept: they are dear to make. */
static void give_back(lti_http_client_t *client, CURL *easy)
{
    if (client->idle_count < IDLE_HANDLES_MAX && !client->closing) {
        curl_easy_reset(easy);
        client->idle[client->idle_count++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
}

/* Its owner may submit the next transfer from within. */
static void end_running(lti_http_client_t *client, transfer_t *transfer, apr_status_t rv)
{
    list_remove(&client->running, transfer);
    curl_multi_remove_handle(client->multi, transfer->easy);
    give_back(client, transfer->easy);
    lti_http_transfer_end(transfer, rv);
}

static apr_status_t start(lti_http_client_t *client, transfer_t *transfer)
{
    apr_status_t rv = lti_http_transfer_check(transfer);
    CURL *easy;

    if (rv != APR_SUCCESS)
        return rv;
    easy = client->idle_count > 0 ? client->idle[--client->idle_count] : curl_easy_init();
    if (easy == NULL)
        return lti_fail(&transfer->err, LTI_E_INTERNAL, APR_ENOMEM, "curl gives no handle");
    rv = lti_http_transfer_prepare(transfer, easy);
    if (rv == APR_SUCCESS && curl_multi_add_handle(client->multi, easy) != CURLM_OK)
        rv = lti_fail(&transfer->err, LTI_E_INTERNAL, APR_EGENERAL, "curl takes no more transfers");
    if (rv != APR_SUCCESS)
        give_back(client, easy);
    return rv;
}

/* Starts what was queued when it was called: whoever submits again from on_done waits for the next turn. Returns how many ended
 * at once. */
static int start_queued(lti_http_client_t *client)
{
    int count = client->queued.count, ended = 0;

    for (; count > 0 && client->queued.first != NULL; count--) {
        transfer_t *transfer = client->queued.first;
        apr_status_t rv;

        list_remove(&client->queued, transfer);
        rv = start(client, transfer);
        if (rv == APR_SUCCESS) {
            list_append(&client->running, transfer);
        } else {
            lti_http_transfer_end(transfer, rv);
            ended++;
        }
    }
    return ended;
}

static int end_finished(lti_http_client_t *client)
{
    CURLMsg *message;
    int left, ended = 0;

    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        char *private_data = NULL;
        transfer_t *transfer;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private_data);
        transfer = (transfer_t *)(void *)private_data;
        end_running(client, transfer, lti_http_transfer_judge(transfer, code));
        ended++;
    }
    return ended;
}

/* curl's own low-speed limit works on an average of some seconds; a stall is when nothing comes. */
static int end_stalled(lti_http_client_t *client, apr_interval_time_t *next)
{
    apr_time_t now = lti_http_monotonic_now();
    transfer_t *transfer, *following;
    int ended = 0;

    for (transfer = client->running.first; transfer != NULL; transfer = following) {
        int seconds = transfer->request.stall_seconds;
        apr_interval_time_t left = transfer->progress_at + apr_time_from_sec(seconds) - now;

        following = transfer->next;
        if (left <= 0) {
            end_running(client, transfer,
                        lti_fail(&transfer->err, LTI_E_HTTP_TIMEOUT, APR_TIMEUP, "%s: nothing came for %d seconds", transfer->host,
                                 seconds));
            ended++;
        } else if (left < *next) {
            *next = left;
        }
    }
    return ended;
}

static int move_on(lti_http_client_t *client, apr_interval_time_t *next)
{
    int going = 0, ended;

    curl_multi_perform(client->multi, &going);
    ended = end_finished(client);
    return ended + end_stalled(client, next);
}

static int client_poll(void *baton, apr_interval_time_t timeout)
{
    lti_http_client_t *client = baton;
    apr_interval_time_t wait = timeout > POLL_MAX ? POLL_MAX : timeout;
    int ended;

    if (client->closing)
        return 0;
    ended = start_queued(client);
    ended += move_on(client, &wait);
    if (ended == 0 && wait > 0) {
        curl_multi_poll(client->multi, NULL, 0, (int)((wait + 999) / 1000), NULL);
        move_on(client, &wait);
    }
    return client->queued.count + client->running.count;
}

static apr_status_t client_submit(void *baton, const lti_http_request_t *request, lti_http_body_fn *on_body,
                                  lti_http_done_fn *on_done, void *transfer_baton, lti_err_t *err)
{
    lti_http_client_t *client = baton;
    transfer_t *transfer;

    if (client->closing)
        return lti_fail(err, LTI_E_HTTP_ABORTED, APR_EGENERAL, "the server is stopping");
    transfer = lti_http_transfer_create(request, &client->options, on_body, on_done, transfer_baton, client->pool);
    if (transfer == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for a transfer");
    list_append(&client->queued, transfer);
    return APR_SUCCESS;
}

/* Runs before the pool's sub-pools go, so that the owners' batons still stand when they are told. */
static apr_status_t close_client(void *baton)
{
    lti_http_client_t *client = baton;
    transfer_t *transfer;

    client->closing = 1;
    while ((transfer = client->running.first) != NULL)
        end_running(client, transfer,
                    lti_fail(&transfer->err, LTI_E_HTTP_ABORTED, APR_EGENERAL, "%s: the server is stopping", transfer->host));
    while ((transfer = client->queued.first) != NULL) {
        list_remove(&client->queued, transfer);
        lti_http_transfer_end(transfer, lti_fail(&transfer->err, LTI_E_HTTP_ABORTED, APR_EGENERAL, "the server is stopping"));
    }
    while (client->idle_count > 0)
        curl_easy_cleanup(client->idle[--client->idle_count]);
    curl_multi_cleanup(client->multi);
    return APR_SUCCESS;
}

apr_status_t lti_http_init(lti_err_t *err)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);

    if (code != CURLE_OK)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "curl does not start: %s", curl_easy_strerror(code));
    return APR_SUCCESS;
}

apr_status_t lti_http_client_create(lti_http_client_t **client, const lti_http_options_t *options, apr_pool_t *p, lti_err_t *err)
{
    lti_http_client_t *made = apr_pcalloc(p, sizeof(*made));

    made->options = *options;
    made->multi = curl_multi_init();
    if (made->multi == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "curl gives no multi handle");
    apr_pool_pre_cleanup_register(p, made, close_client);
    made->pool = p;
    curl_multi_setopt(made->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
    *client = made;
    return APR_SUCCESS;
}

lti_transport_t lti_http_transport(lti_http_client_t *client)
{
    return (lti_transport_t){.submit = client_submit, .poll = client_poll, .baton = client};
}

void lti_http_wakeup(lti_http_client_t *client)
{
    curl_multi_wakeup(client->multi);
}

/* --- one transfer, waited for ------------------------------------------------------------------------------------- */

typedef struct fetch_t {
    apr_pool_t *pool; /* of the result */
    apr_pool_t *ptemp;
    char *text;
    apr_size_t size, room;
    lti_http_response_t *response;
    char **body;
    apr_size_t *body_size;
    apr_status_t rv;
    lti_err_t err;
} fetch_t;

static apr_status_t fetch_body(void *baton, const char *data, apr_size_t size, lti_err_t *err)
{
    fetch_t *fetch = baton;

    (void)err;
    if (size > fetch->room - fetch->size) {
        apr_size_t room = 2 * (fetch->size + size);
        char *text = apr_palloc(fetch->ptemp, room);

        if (fetch->size > 0)
            memcpy(text, fetch->text, fetch->size);
        fetch->text = text;
        fetch->room = room;
    }
    memcpy(fetch->text + fetch->size, data, size);
    fetch->size += size;
    return APR_SUCCESS;
}

static void fetch_done(void *baton, apr_status_t rv, const lti_http_response_t *response, const char *excerpt, const lti_err_t *err)
{
    fetch_t *fetch = baton;
    int whole = response->status == 200;

    fetch->rv = rv;
    fetch->err = *err;
    *fetch->response = *response;
    fetch->response->content_type = apr_pstrdup(fetch->pool, response->content_type);
    fetch->response->headers = apr_table_clone(fetch->pool, response->headers);
    *fetch->body =
        whole ? apr_pstrmemdup(fetch->pool, fetch->size > 0 ? fetch->text : "", fetch->size) : apr_pstrdup(fetch->pool, excerpt);
    *fetch->body_size = whole ? fetch->size : strlen(excerpt);
}

apr_status_t lti_http_fetch(lti_http_response_t *response, char **body, apr_size_t *size, const lti_http_request_t *request,
                            const lti_http_options_t *options, apr_pool_t *p, lti_err_t *err)
{
    fetch_t fetch = {.pool = p, .response = response, .body = body, .body_size = size};
    lti_http_client_t *client = NULL;
    lti_transport_t transport;
    apr_status_t rv;

    memset(response, 0, sizeof(*response));
    *body = apr_pstrdup(p, "");
    *size = 0;
    rv = apr_pool_create(&fetch.ptemp, p);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no pool");
    rv = lti_http_client_create(&client, options, fetch.ptemp, err);
    if (rv == APR_SUCCESS) {
        transport = lti_http_transport(client);
        rv = transport.submit(transport.baton, request, fetch_body, fetch_done, &fetch, err);
        while (rv == APR_SUCCESS && transport.poll(transport.baton, apr_time_from_sec(1)) > 0)
            continue;
    }
    apr_pool_destroy(fetch.ptemp);
    if (rv != APR_SUCCESS)
        return rv;
    if (fetch.rv != APR_SUCCESS && err != NULL)
        *err = fetch.err;
    return fetch.rv;
}
