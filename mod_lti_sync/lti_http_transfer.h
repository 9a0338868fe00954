/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_http_transfer: one transfer of lti_http, from the copied request to the call of on_done. Private to lti_http.c, which holds
 * the multi handle and says when.
 */
#ifndef LTI_HTTP_TRANSFER_H
#define LTI_HTTP_TRANSFER_H

#include <netinet/in.h>
#include <curl/curl.h>
#include "lti_http.h"

#define LTI_HTTP_EXCERPT_MAX 2048

/** Where the response's header lines stand. */
typedef enum lti_http_header_state_t {
    LTI_HTTP_HEADERS_BEFORE,
    LTI_HTTP_HEADERS_IN,
    LTI_HTTP_HEADERS_DONE
} lti_http_header_state_t;

typedef struct lti_http_transfer_t lti_http_transfer_t;

struct lti_http_transfer_t {
    lti_http_transfer_t *previous, *next; /* in the client's list */
    apr_pool_t *pool;                     /* its own, with an allocator of its own */
    const lti_http_options_t *options;
    lti_http_request_t request;
    const char *host;
    int loopback;
    int proxied;
    CURL *easy; /* the client's, lent; NULL until prepared */
    struct curl_slist *request_headers;
    char curl_text[CURL_ERROR_SIZE];
    /* The connection. */
    int addresses_tried;
    char address_refused[INET6_ADDRSTRLEN];
    /* The answer. */
    lti_http_response_t response;
    apr_table_t *headers;
    lti_http_header_state_t header_state;
    apr_size_t header_bytes;
    apr_size_t body_bytes;
    int enough; /* an error page was long: its status tells all */
    char excerpt[LTI_HTTP_EXCERPT_MAX + 1];
    apr_size_t excerpt_size;
    apr_time_t progress_at;
    /* The end. */
    lti_http_body_fn *on_body;
    lti_http_done_fn *on_done;
    void *baton;
    apr_status_t rv;
    lti_err_t err;
};

/** Microseconds of a clock that nobody sets. */
apr_time_t lti_http_monotonic_now(void);

/** NULL if there is no memory. */
lti_http_transfer_t *lti_http_transfer_create(const lti_http_request_t *request, const lti_http_options_t *options,
                                              lti_http_body_fn *on_body, lti_http_done_fn *on_done, void *baton,
                                              apr_pool_t *parent);

/** Is the request one that may be sent? LTI_E_SERVICE_URL, LTI_E_HTTP_ADDRESS, LTI_E_INTERNAL. */
apr_status_t lti_http_transfer_check(lti_http_transfer_t *transfer);

/** Sets all options of the clean handle `easy`, which is the transfer's from now on. LTI_E_INTERNAL. */
apr_status_t lti_http_transfer_prepare(lti_http_transfer_t *transfer, CURL *easy);

/** What curl's code means; APR_SUCCESS if there is an answer to judge. */
apr_status_t lti_http_transfer_judge(lti_http_transfer_t *transfer, CURLcode code);

/** Calls on_done and ends the transfer's life; its handle is out of use already. */
void lti_http_transfer_end(lti_http_transfer_t *transfer, apr_status_t rv);

#endif
