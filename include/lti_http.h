/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_http: HTTP as a client, over libcurl, with a limit for everything: bytes, time without progress, total time, where the
 * connection may go. Redirects are never followed; TLS is always verified; plain http goes to loopback only (Invariant 7).
 *
 * Two ways in. lti_http_fetch() is for one thread that waits (a launch whose signing key is unknown). lti_http_client_t is for
 * the watch thread: many transfers on one curl multi handle, driven by lti_http_poll(), answers handed over chunk by chunk.
 * Whoever drives transfers through an lti_transport_t (the refresh engine) can be tested without a network.
 *
 * curl_global_init() is called by lti_http_init() in the parent; handles are created only in the process that uses them.
 */
#ifndef LTI_HTTP_H
#define LTI_HTTP_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include "lti_err.h"

/** What every transfer of a server has in common. All pointers live as long as the configuration. */
typedef struct lti_http_options_t {
    const char *user_agent; /* always sent: some platforms refuse requests without */
    const char *ca_file;    /* NULL: the system's */
    const char *proxy;      /* NULL: none, whatever the environment says */
} lti_http_options_t;

typedef struct lti_http_request_t {
    const char *url;
    const char *body;         /* NULL: GET; else POST of this text */
    const char *content_type; /* of the body */
    const char *accept;       /* sent literally */
    const char *bearer;       /* NULL: no Authorization; never logged */
    apr_size_t max_body;      /* bytes; more is LTI_E_HTTP_TOO_LARGE */
    int stall_seconds;        /* no progress for so long: LTI_E_HTTP_TIMEOUT */
    int total_seconds;
    int any_address; /* 0: the connected address must be public (Invariant 7) */
} lti_http_request_t;

typedef struct lti_http_response_t {
    long status;                     /* HTTP status; 0 when no answer came */
    const apr_table_t *headers;      /* all response headers, repeated ones included */
    const char *content_type;        /* without parameters, lower case; "" if none */
    apr_interval_time_t retry_after; /* from Retry-After (seconds or date), 0 if absent, at most one hour */
} lti_http_response_t;

/** Called with each piece of a 200 answer's body, in order. A status other than APR_SUCCESS ends the transfer with `err`. */
typedef apr_status_t lti_http_body_fn(void *baton, const char *data, apr_size_t size, lti_err_t *err);

/**
 * Called once per transfer, at its end. `rv` is APR_SUCCESS if an answer with any HTTP status came whole, else `err` tells.
 * Bodies of other statuses than 200 are kept for diagnosis, at most 2 KiB of them, in `excerpt`, control characters as blanks. What the
 * arguments point to holds during the call only; `response` and `err` are never NULL.
 */
typedef void lti_http_done_fn(void *baton, apr_status_t rv, const lti_http_response_t *response, const char *excerpt,
                              const lti_err_t *err);

/** The seam between the refresh engine and the network. */
typedef struct lti_transport_t {
    /** Queues a transfer. The request's texts are copied. After APR_SUCCESS on_done is called exactly once, from within poll, also where the
     * request could not be sent; never after a failure here, which means that the client is closing. */
    apr_status_t (*submit)(void *baton, const lti_http_request_t *request, lti_http_body_fn *on_body, lti_http_done_fn *on_done,
                           void *transfer_baton, lti_err_t *err);
    /** Moves all transfers on; waits at most `timeout` for something to happen; returns how many are still going. */
    int (*poll)(void *baton, apr_interval_time_t timeout);
    void *baton;
} lti_transport_t;

/** Once, in the parent, before any thread. */
apr_status_t lti_http_init(lti_err_t *err);

typedef struct lti_http_client_t lti_http_client_t;

/** Watch thread only. All transfers are ended (their on_done called with LTI_E_HTTP_ABORTED) when `p` is destroyed. */
apr_status_t lti_http_client_create(lti_http_client_t **client, const lti_http_options_t *options, apr_pool_t *p, lti_err_t *err);

/** The client as a transport; lives as long as the client. */
lti_transport_t lti_http_transport(lti_http_client_t *client);

/** From any thread: lets a waiting poll return at once. */
void lti_http_wakeup(lti_http_client_t *client);

/**
 * Waits for the whole answer. `*body` (NUL-terminated) and `response` live in `p`. APR_SUCCESS with any HTTP status; on other
 * statuses than 200 `*body` is the excerpt.
 */
apr_status_t lti_http_fetch(lti_http_response_t *response, char **body, apr_size_t *size, const lti_http_request_t *request,
                            const lti_http_options_t *options, apr_pool_t *p, lti_err_t *err);

/** "https://host:port" of an absolute http(s) URL, lower case, the port always written; NULL if it is not one. */
const char *lti_http_origin(const char *url, apr_pool_t *p);

/** The host of such a URL, lower case, without brackets; NULL if it is not one. */
const char *lti_http_host(const char *url, apr_pool_t *p);

/** 1 if the host is localhost, *.localhost, 127.0.0.0/8 or ::1. */
int lti_http_is_loopback(const char *host);

/**
 * APR_SUCCESS if `url` is absolute, https (http for loopback), without user info, fragment, white space, backslash or control
 * characters, with a host, at most `max` bytes; else `code` with the reason.
 */
apr_status_t lti_http_check_url(const char *url, apr_size_t max, lti_code_t code, lti_err_t *err);

/** 1 if the query of `url` has a parameter `name`. */
int lti_http_has_parameter(const char *url, const char *name);

/** `url` with `name=value` appended to its query, value percent-encoded, in front of no fragment. */
const char *lti_http_add_query(const char *url, const char *name, const char *value, apr_pool_t *p);

/** Percent-encodes all but unreserved characters (RFC 3986 section 2.3). */
const char *lti_http_encode(const char *value, apr_pool_t *p);

/** Resolves `reference` against `base` (RFC 3986 section 5); NULL if either is no http(s) URL. */
const char *lti_http_resolve(const char *base, const char *reference, apr_pool_t *p);

#endif
