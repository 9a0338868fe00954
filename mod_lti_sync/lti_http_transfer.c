/* SPDX-License-Identifier: Apache-2.0 */
/* One transfer: the addresses that it may go to, its limits, its answer as it comes, and what its end means. */
#include "lti_http_transfer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <apr_allocator.h>
#include <apr_strings.h>

#define DISCARD_MAX (64 * 1024) /* of an error page; then its end is not waited for */
#define ASSERTION_FIELD "client_assertion="
#define SECRET_MIN 8             /* bytes that are no accident */
#define HEADERS_MAX (256 * 1024) /* bytes of all response headers */
#define RETRY_AFTER_MAX 3600     /* seconds (SPEC 6.6) */
#define DEFAULT_STALL 30
#define DEFAULT_TOTAL 600

typedef lti_http_transfer_t transfer_t;

/* Stalls are measured by a clock that nobody sets. */
apr_time_t lti_http_monotonic_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

/* --- which addresses may be connected to ------------------------------------------------------------------------- */

typedef struct network_t {
    unsigned char bytes[16];
    int bits;
} network_t;

/* What is not reachable from the whole Internet (IANA special-purpose registries), or not one host. */
static const network_t private_v4[] = {
    {{0}, 8},
    {{10}, 8},
    {{100, 64}, 10},
    {{127}, 8},
    {{169, 254}, 16},
    {{172, 16}, 12},
    {{192, 0, 0}, 24},
    {{192, 0, 2}, 24},
    {{192, 88, 99}, 24},
    {{192, 168}, 16},
    {{198, 18}, 15},
    {{198, 51, 100}, 24},
    {{203, 0, 113}, 24},
    {{224}, 4},
    {{240}, 4},
};

static const network_t global_v6 = {{0x20}, 3};
static const network_t nat64 = {{0x00, 0x64, 0xFF, 0x9B}, 96};

/* Inside global_v6: protocol assignments with Teredo, documentation, 6to4 (hides an IPv4 address), documentation. */
static const network_t private_v6[] = {
    {{0x20, 0x01, 0x00}, 23},
    {{0x20, 0x01, 0x0D, 0xB8}, 32},
    {{0x20, 0x02}, 16},
    {{0x3F, 0xFF, 0x00}, 20},
};

static int is_inside(const unsigned char *address, const network_t *network)
{
    int whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(address, network->bytes, (size_t)whole) != 0)
        return 0;
    return rest == 0 || ((address[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

static int is_public_v4(const unsigned char *address)
{
    size_t i;

    for (i = 0; i < sizeof(private_v4) / sizeof(private_v4[0]); i++) {
        if (is_inside(address, &private_v4[i]))
            return 0;
    }
    return 1;
}

static int is_public_v6(const unsigned char *address)
{
    size_t i;

    if (is_inside(address, &nat64))
        return is_public_v4(address + 12);
    if (!is_inside(address, &global_v6))
        return 0;
    for (i = 0; i < sizeof(private_v6) / sizeof(private_v6[0]); i++) {
        if (is_inside(address, &private_v6[i]))
            return 0;
    }
    return 1;
}

/* May this transfer be sent to this address? A loopback name must lead to this machine, since plain http is taken for it.
 * Otherwise any address where the caller vouches for the host, else public ones only. A refusal is remembered for the diagnosis. */
static int admits(transfer_t *transfer, int family, const void *address)
{
    char text[INET6_ADDRSTRLEN] = "?";
    int admitted;

    if (transfer->proxied)
        return 1;
    if (inet_ntop(family, address, text, sizeof(text)) == NULL)
        admitted = 0;
    else if (transfer->loopback)
        admitted = lti_http_is_loopback(text);
    else if (transfer->request.any_address)
        admitted = 1;
    else
        admitted = family == AF_INET ? is_public_v4(address) : is_public_v6(address);
    if (!admitted)
        apr_cpystrn(transfer->address_refused, text, sizeof(transfer->address_refused));
    return admitted;
}

static curl_socket_t open_socket(void *baton, curlsocktype purpose, struct curl_sockaddr *address)
{
    transfer_t *transfer = baton;
    const void *bytes = NULL;

    if (purpose == CURLSOCKTYPE_IPCXN && address->family == AF_INET)
        bytes = &((const struct sockaddr_in *)(const void *)&address->addr)->sin_addr;
    else if (purpose == CURLSOCKTYPE_IPCXN && address->family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)&address->addr)->sin6_addr;
    if (bytes == NULL || !admits(transfer, address->family, bytes))
        return CURL_SOCKET_BAD;
    transfer->addresses_tried++;
    /* Not inherited by CGI scripts that httpd starts meanwhile. */
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

#if LIBCURL_VERSION_NUM >= 0x075000
/* A connection that another transfer opened, with another licence, is judged again before anything is sent over it. */
static int before_request(void *baton, char *remote, char *local, int remote_port, int local_port)
{
    transfer_t *transfer = baton;
    unsigned char address[16];
    int family = strchr(remote, ':') != NULL ? AF_INET6 : AF_INET;

    (void)local;
    (void)remote_port;
    (void)local_port;
    if (transfer->proxied || (inet_pton(family, remote, address) == 1 && admits(transfer, family, address)))
        return CURL_PREREQFUNC_OK;
    transfer->addresses_tried = 0;
    return CURL_PREREQFUNC_ABORT;
}
#endif

/* --- the answer as it comes --------------------------------------------------------------------------------------- */

static void keep_header(transfer_t *transfer, const char *line, apr_size_t length)
{
    const char *end = line + length;
    const char *colon = memchr(line, ':', length), *value;

    if (line[0] == ' ' || line[0] == '\t') {
        /* The old way to break a long header: a Link read by halves would hide the next page. */
        const apr_array_header_t *all = apr_table_elts(transfer->headers);
        apr_table_entry_t *last = all->nelts == 0 ? NULL : &((apr_table_entry_t *)(void *)all->elts)[all->nelts - 1];

        if (last != NULL)
            last->val = apr_pstrcat(transfer->pool, last->val, apr_pstrmemdup(transfer->pool, line, length), NULL);
        return;
    }
    if (colon == NULL)
        return;
    for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
        continue;
    apr_table_addn(transfer->headers, apr_pstrmemdup(transfer->pool, line, (apr_size_t)(colon - line)),
                   apr_pstrmemdup(transfer->pool, value, (apr_size_t)(end - value)));
}

static size_t take_header(char *line, size_t size, size_t count, void *baton)
{
    transfer_t *transfer = baton;
    apr_size_t length = size * count, whole = length;

    transfer->progress_at = lti_http_monotonic_now();
    transfer->header_bytes += whole;
    if (transfer->header_bytes > HEADERS_MAX) {
        transfer->rv = lti_fail(&transfer->err, LTI_E_HTTP_TOO_LARGE, APR_ENOSPC, "%s: more than %d bytes of headers",
                                transfer->host, HEADERS_MAX);
        return 0;
    }
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    if (length >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        /* Of several answers (100 Continue) the last counts. */
        apr_table_clear(transfer->headers);
        transfer->header_state = LTI_HTTP_HEADERS_IN;
    } else if (length == 0) {
        transfer->header_state = LTI_HTTP_HEADERS_DONE;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->response.status);
    } else if (transfer->header_state == LTI_HTTP_HEADERS_IN) {
        keep_header(transfer, line, length);
    } /* else a trailer after the body, which tells nothing here */
    return whole;
}

/* Pages of error are for a person's eyes, in a log line: no control characters. */
static void keep_excerpt(transfer_t *transfer, const char *data, apr_size_t size)
{
    apr_size_t i;

    for (i = 0; i < size && transfer->excerpt_size < LTI_HTTP_EXCERPT_MAX; i++) {
        unsigned char c = (unsigned char)data[i];

        transfer->excerpt[transfer->excerpt_size++] = (char)(c < 0x20 || c == 0x7F ? ' ' : c);
    }
    transfer->excerpt[transfer->excerpt_size] = '\0';
}

static size_t take_body(char *data, size_t unit, size_t count, void *baton)
{
    transfer_t *transfer = baton;
    apr_size_t size = unit * count;
    curl_off_t announced = -1;

    transfer->progress_at = lti_http_monotonic_now();
    if (transfer->response.status != 200) {
        keep_excerpt(transfer, data, size);
        transfer->body_bytes += size;
        transfer->enough = transfer->body_bytes > DISCARD_MAX;
        return transfer->enough ? 0 : size;
    }
    /* What is announced too large is not waited for. The cap proper counts bytes after decompression. */
    if (transfer->body_bytes == 0)
        curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (size > transfer->request.max_body - transfer->body_bytes || announced > (curl_off_t)transfer->request.max_body) {
        transfer->rv = lti_fail(&transfer->err, LTI_E_HTTP_TOO_LARGE, APR_ENOSPC, "%s: the answer has more than %lu bytes",
                                transfer->host, (unsigned long)transfer->request.max_body);
        return 0;
    }
    transfer->body_bytes += size;
    if (size == 0)
        return 0;
    lti_fail(&transfer->err, LTI_E_HTTP_ABORTED, APR_EGENERAL, "%s: the receiver ended the transfer", transfer->host);
    transfer->rv = transfer->on_body(transfer->baton, data, size, &transfer->err);
    return transfer->rv == APR_SUCCESS ? size : 0;
}

/* --- the request ------------------------------------------------------------------------------------------------- */

static void copy_request(lti_http_request_t *copy, const lti_http_request_t *request, apr_pool_t *p)
{
    *copy = *request;
    copy->url = apr_pstrdup(p, request->url);
    copy->body = apr_pstrdup(p, request->body);
    copy->content_type = apr_pstrdup(p, request->content_type);
    copy->accept = apr_pstrdup(p, request->accept);
    copy->bearer = apr_pstrdup(p, request->bearer);
    if (copy->stall_seconds <= 0)
        copy->stall_seconds = DEFAULT_STALL;
    if (copy->total_seconds <= 0)
        copy->total_seconds = DEFAULT_TOTAL;
}

transfer_t *lti_http_transfer_create(const lti_http_request_t *request, const lti_http_options_t *options,
                                     lti_http_body_fn *on_body, lti_http_done_fn *on_done, void *baton, apr_pool_t *parent)
{
    apr_allocator_t *allocator = NULL;
    apr_pool_t *pool = NULL;
    transfer_t *transfer;

    if (apr_allocator_create(&allocator) != APR_SUCCESS)
        return NULL;
    if (apr_pool_create_ex(&pool, parent, NULL, allocator) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return NULL;
    }
    apr_allocator_owner_set(allocator, pool);
    apr_pool_tag(pool, "lti_http transfer");
    transfer = apr_pcalloc(pool, sizeof(*transfer));
    transfer->pool = pool;
    transfer->options = options;
    copy_request(&transfer->request, request, pool);
    transfer->host = "";
    transfer->headers = apr_table_make(pool, 16);
    transfer->on_body = on_body;
    transfer->on_done = on_done;
    transfer->baton = baton;
    return transfer;
}

#define SET(option, value)                              \
    do {                                                \
        if (rv == CURLE_OK)                             \
            rv = curl_easy_setopt(easy, option, value); \
    } while (0)

/* What keeps a transfer where it belongs: protocol, TLS, address, proxy. Each option is checked, since a missing one is a hole. */
static CURLcode set_boundaries(transfer_t *transfer)
{
    const lti_http_options_t *options = transfer->options;
    CURL *easy = transfer->easy;
    CURLcode rv = CURLE_OK;

#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, transfer->loopback ? "http,https" : "https");
#else
    SET(CURLOPT_PROTOCOLS, transfer->loopback ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS);
#endif
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (options->ca_file != NULL) {
        SET(CURLOPT_CAINFO, options->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    /* "" switches off what the environment says. */
    SET(CURLOPT_PROXY, transfer->proxied ? options->proxy : "");
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, transfer);
#if LIBCURL_VERSION_NUM >= 0x075000
    SET(CURLOPT_PREREQFUNCTION, before_request);
    SET(CURLOPT_PREREQDATA, transfer);
#else
    /* Without a look at the connection in use, one that was opened with a wider licence must not be taken. */
    SET(CURLOPT_FRESH_CONNECT, transfer->request.any_address ? 0L : 1L);
#endif
    return rv;
}

/* One roster is one connection: with HTTP/2 a slow reader of one course could hold up the others of its host. */
static CURLcode set_request(transfer_t *transfer)
{
    const lti_http_request_t *request = &transfer->request;
    const lti_http_options_t *options = transfer->options;
    CURL *easy = transfer->easy;
    CURLcode rv = CURLE_OK;

    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_USERAGENT, options->user_agent != NULL ? options->user_agent : "mod_lti_sync");
    SET(CURLOPT_HTTPHEADER, transfer->request_headers);
    if (request->body != NULL) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request->body));
        SET(CURLOPT_POSTFIELDS, request->body);
    }
    SET(CURLOPT_CONNECTTIMEOUT,
        (long)(request->stall_seconds < request->total_seconds ? request->stall_seconds : request->total_seconds));
    SET(CURLOPT_TIMEOUT, (long)request->total_seconds);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A resolver that hangs must not hold up the one thread that serves all transfers. */
    SET(CURLOPT_QUICK_EXIT, 1L);
#endif
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->curl_text);
    SET(CURLOPT_PRIVATE, transfer);
    return rv;
}

/* 0 if there was no memory or the value would break out of its line. */
static int add_request_header(transfer_t *transfer, const char *name, const char *value)
{
    struct curl_slist *longer;
    const unsigned char *c;

    if (value == NULL)
        return 1;
    for (c = (const unsigned char *)value; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7F)
            return 0;
    }
    longer = curl_slist_append(transfer->request_headers, apr_pstrcat(transfer->pool, name, value, NULL));
    if (longer == NULL)
        return 0;
    transfer->request_headers = longer;
    return 1;
}

apr_status_t lti_http_transfer_check(transfer_t *transfer)
{
    const char *proxy = transfer->options->proxy;
    const lti_http_request_t *request = &transfer->request;
    lti_err_t *err = &transfer->err;
    apr_status_t rv;

    rv = lti_http_check_url(request->url, 16 * 1024, LTI_E_SERVICE_URL, err);
    if (rv != APR_SUCCESS)
        return rv;
    transfer->host = lti_http_host(request->url, transfer->pool);
    transfer->loopback = lti_http_is_loopback(transfer->host);
    transfer->proxied = proxy != NULL && proxy[0] != '\0' && !transfer->loopback;
    if (transfer->proxied && !request->any_address) {
        /* The proxy resolves names; what needs no resolving can still be judged here. */
        unsigned char address[16];

        if ((inet_pton(AF_INET, transfer->host, address) == 1 && !is_public_v4(address)) ||
            (inet_pton(AF_INET6, transfer->host, address) == 1 && !is_public_v6(address)))
            return lti_fail(err, LTI_E_HTTP_ADDRESS, APR_EACCES, "%s is not a public address", transfer->host);
    }
    /* "Expect:" spares the round trip that curl makes before a POST. */
    if (!add_request_header(transfer, "Accept: ", request->accept) ||
        !add_request_header(transfer, "Authorization: Bearer ", request->bearer) ||
        !add_request_header(transfer, "Content-Type: ", request->body != NULL ? request->content_type : NULL) ||
        !add_request_header(transfer, "Expect:", request->body != NULL ? "" : NULL))
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "%s: a request header holds control characters", transfer->host);
    return APR_SUCCESS;
}

apr_status_t lti_http_transfer_prepare(transfer_t *transfer, CURL *easy)
{
    CURLcode code;

    transfer->easy = easy;
    code = set_boundaries(transfer);
    if (code == CURLE_OK)
        code = set_request(transfer);
    if (code != CURLE_OK)
        return lti_fail(&transfer->err, LTI_E_INTERNAL, APR_EGENERAL, "this curl refuses an option: %s", curl_easy_strerror(code));
    transfer->progress_at = lti_http_monotonic_now();
    return APR_SUCCESS;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

apr_status_t lti_http_transfer_judge(transfer_t *transfer, CURLcode code)
{
    const char *text = transfer->curl_text[0] != '\0' ? transfer->curl_text : curl_easy_strerror(code);
    lti_err_t *err = &transfer->err;
    curl_off_t sent_at = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->response.status);
    if (code == CURLE_OK || transfer->enough)
        return APR_SUCCESS;
    if (transfer->rv != APR_SUCCESS)
        return transfer->rv;
    if (transfer->address_refused[0] != '\0' && transfer->addresses_tried == 0)
        return lti_fail(err, LTI_E_HTTP_ADDRESS, APR_EACCES, "%s has the address %s, which is not %s", transfer->host,
                        transfer->address_refused, transfer->loopback ? "this machine's" : "public");
    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_at);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return lti_fail(err, LTI_E_HTTP_TIMEOUT, APR_TIMEUP, "%s: %s", transfer->host, text);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
        return lti_fail(err, LTI_E_HTTP_CONNECT, APR_EGENERAL, "%s: %s", transfer->host, text);
    default:
        /* Before the request could be sent it was the way there, the proxy for one; after that the answer was cut. */
        return lti_fail(err, sent_at == 0 ? LTI_E_HTTP_CONNECT : LTI_E_HTTP_ABORTED, APR_EGENERAL, "%s: %s", transfer->host, text);
    }
}

static apr_interval_time_t read_retry_after(const char *value)
{
    apr_int64_t seconds;
    time_t date;

    if (value == NULL)
        return 0;
    if (isdigit((unsigned char)value[0])) {
        seconds = apr_strtoi64(value, NULL, 10);
    } else {
        date = curl_getdate(value, NULL);
        seconds = date == (time_t)-1 ? 0 : (apr_int64_t)(date - apr_time_sec(apr_time_now()));
    }
    if (seconds <= 0)
        return 0;
    return apr_time_from_sec(seconds > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : seconds);
}

static void complete_response(transfer_t *transfer)
{
    lti_http_response_t *response = &transfer->response;
    const char *type = apr_table_get(transfer->headers, "Content-Type");
    char *plain = apr_pstrmemdup(transfer->pool, type == NULL ? "" : type, type == NULL ? 0 : strcspn(type, "; \t,"));

    for (response->content_type = plain; *plain != '\0'; plain++)
        *plain = (char)tolower((unsigned char)*plain);
    response->headers = transfer->headers;
    response->retry_after = read_retry_after(apr_table_get(transfer->headers, "Retry-After"));
}

/* An excerpt that was cut keeps whole characters. */
static void trim_excerpt(transfer_t *transfer)
{
    apr_size_t cut = transfer->excerpt_size;

    if (cut < LTI_HTTP_EXCERPT_MAX)
        return;
    while (cut > 0 && ((unsigned char)transfer->excerpt[cut - 1] & 0xC0) == 0x80)
        cut--;
    if (cut > 0 && (unsigned char)transfer->excerpt[cut - 1] >= 0xC0)
        transfer->excerpt[cut - 1] = '\0';
}

/* Its whole, or the beginning of it: an excerpt may end there. */
static void hide(char *text, const char *secret, apr_size_t length)
{
    while (length >= SECRET_MIN && *text != '\0') {
        apr_size_t same = 0;

        while (same < length && text[same] == secret[same])
            same++;
        if (same >= SECRET_MIN)
            memset(text, '*', same);
        text += same >= SECRET_MIN ? same : 1;
    }
}

/* Pages of error, of proxies above all, repeat what they were asked with. An excerpt goes to logs, the database and pages. */
static void hide_secrets(transfer_t *transfer)
{
    const char *bearer = transfer->request.bearer, *body = transfer->request.body;
    const char *assertion = body != NULL ? strstr(body, ASSERTION_FIELD) : NULL;

    if (bearer != NULL)
        hide(transfer->excerpt, bearer, strlen(bearer));
    if (assertion != NULL) {
        assertion += sizeof(ASSERTION_FIELD) - 1;
        hide(transfer->excerpt, assertion, strcspn(assertion, "&"));
    }
}

void lti_http_transfer_end(transfer_t *transfer, apr_status_t rv)
{
    curl_slist_free_all(transfer->request_headers);
    complete_response(transfer);
    trim_excerpt(transfer);
    hide_secrets(transfer);
    if (rv == APR_SUCCESS)
        memset(&transfer->err, 0, sizeof(transfer->err));
    transfer->on_done(transfer->baton, rv, &transfer->response, transfer->excerpt, &transfer->err);
    apr_pool_destroy(transfer->pool);
}
