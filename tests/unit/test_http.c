/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers end within their limits and go only where they may; URLs are read as curl reads them. The server is real. */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lti_http.h"

/* --- a small HTTP server ------------------------------------------------------------------------------------------ */

#define BARRIER 8

static struct {
    int listener;
    int port;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int connections;
    int at_barrier;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void say(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        text += sent;
        left -= (size_t)sent;
    }
}

static void say_many(int fd, char c, int count)
{
    char block[1000];
    int i;

    memset(block, c, sizeof(block));
    for (i = 0; i < count; i += (int)sizeof(block))
        send(fd, block, sizeof(block), MSG_NOSIGNAL);
}

static void wait_for_close(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0)
        continue;
}

/* Answers only when enough requests are here at once. */
static void meet_at_barrier(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    pthread_mutex_lock(&server.lock);
    server.at_barrier++;
    pthread_cond_broadcast(&server.change);
    while (server.at_barrier < BARRIER && pthread_cond_timedwait(&server.change, &server.lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&server.lock);
}

typedef struct page_t {
    const char *path;
    const char *answer; /* after which the connection is kept open if it starts with '+' */
} page_t;

static const page_t pages[] = {
    {"/ok", "+HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\nLink: <a>; rel=next\r\nLink: <b>; rel=last\r\n"
            "Content-Length: 5\r\n\r\nhello"},
    {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Link\r\n\r\n"
                 "3\r\nabc\r\n4\r\ndefg\r\n0\r\nLink: <evil>; rel=next\r\n\r\n"},
    {"/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 11\r\n\r\nno\r\nsuch\tid"},
    {"/redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n"},
    {"/retry", "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"},
    {"/retry-long", "HTTP/1.1 503 Busy\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n"},
    {"/retry-date", "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 2094 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n"},
    {"/retry-past", "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n"},
    {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"},
    {"/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
    {"/announced", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nfirst"},
    {"/continue", "HTTP/1.1 100 Continue\r\nX-First: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-Second: 2\r\nContent-Length: 2\r\n\r\nok"},
    {"/folded", "HTTP/1.1 200 OK\r\nLink: <x>;\r\n rel=next\r\n \r\nX-After: 1\r\nContent-Length: 0\r\n\r\n"},
    {"/nothing", ""},
};

static void answer_special(int fd, const char *path, const char *request)
{
    char text[100];

    if (strcmp(path, "/echo") == 0) {
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %lu\r\n\r\n", (unsigned long)strlen(request));
        say(fd, text);
        say(fd, request);
    } else if (strcmp(path, "/echo-error") == 0) {
        say(fd, "HTTP/1.1 401 No\r\n\r\n");
        say(fd, request);
    } else if (strcmp(path, "/large") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\n\r\n");
        say_many(fd, 'x', 200000);
    } else if (strcmp(path, "/large-error") == 0) {
        say(fd, "HTTP/1.1 500 Oh\r\n\r\n");
        say_many(fd, 'e', 10 * 1000 * 1000);
    } else if (strcmp(path, "/headers") == 0) {
        int i;

        say(fd, "HTTP/1.1 200 OK\r\n");
        for (i = 0; i < 400; i++) {
            say(fd, "X-Filler: ");
            say_many(fd, 'h', 1000);
            say(fd, "\r\n");
        }
        say(fd, "\r\n");
    } else if (strcmp(path, "/utf8") == 0) {
        int i;

        say(fd, "HTTP/1.1 400 Bad\r\n\r\nx");
        for (i = 0; i < 1000; i++)
            say(fd, "\xE6\x9D\x8E");
    } else if (strcmp(path, "/stall") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
        wait_for_close(fd);
    } else if (strcmp(path, "/silent") == 0) {
        wait_for_close(fd);
    } else if (strcmp(path, "/drip") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        while (send(fd, ".", 1, MSG_NOSIGNAL) == 1)
            usleep(100 * 1000);
    } else if (strcmp(path, "/barrier") == 0) {
        meet_at_barrier();
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmet!");
    } else {
        say(fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
}

/* One request with its body; 0 at the end of the connection. */
static int read_request(int fd, char *request, size_t room)
{
    size_t size = 0, wanted = 0;

    for (;;) {
        ssize_t got = recv(fd, request + size, room - 1 - size, 0);
        char *end, *length;

        if (got <= 0)
            return 0;
        size += (size_t)got;
        request[size] = '\0';
        if (request[0] == 0x16) /* TLS is not spoken here */
            return 0;
        end = strstr(request, "\r\n\r\n");
        if (end == NULL)
            continue;
        length = strstr(request, "Content-Length: ");
        wanted = (size_t)(end + 4 - request) + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
        if (size >= wanted)
            return 1;
    }
}

static void *serve(void *baton)
{
    int fd = (int)(intptr_t)baton, again = 1;
    char request[16384], method[16], path[256];

    while (again && read_request(fd, request, sizeof(request))) {
        size_t i, count = sizeof(pages) / sizeof(pages[0]);

        again = 0;
        if (sscanf(request, "%15s %255s", method, path) != 2)
            break;
        for (i = 0; i < count && strcmp(pages[i].path, path) != 0; i++)
            continue;
        if (i < count) {
            again = pages[i].answer[0] == '+';
            say(fd, pages[i].answer + again);
        } else {
            answer_special(fd, path, request);
        }
    }
    shutdown(fd, SHUT_WR);
    close(fd);
    return NULL;
}

static void *accept_all(void *baton)
{
    (void)baton;
    for (;;) {
        int fd = accept(server.listener, NULL, NULL);
        pthread_t thread;

        if (fd < 0)
            return NULL;
        pthread_mutex_lock(&server.lock);
        server.connections++;
        pthread_mutex_unlock(&server.lock);
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
}

static int server_start(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    pthread_t thread;
    lti_err_t err;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&address, size) != 0 || listen(server.listener, 64) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) != 0)
        return -1;
    server.port = ntohs(address.sin_port);
    if (pthread_create(&thread, NULL, accept_all, NULL) != 0)
        return -1;
    pthread_detach(thread);
    return lti_http_init(&err) == APR_SUCCESS ? 0 : -1;
}

static int connections(void)
{
    int count;

    pthread_mutex_lock(&server.lock);
    count = server.connections;
    pthread_mutex_unlock(&server.lock);
    return count;
}

static const char *at(const char *path, apr_pool_t *p)
{
    return apr_psprintf(p, "http://127.0.0.1:%d%s", server.port, path);
}

/* --- one transfer and what became of it --------------------------------------------------------------------------- */

typedef struct outcome_t {
    int done;
    int bodies;
    apr_status_t rv;
    lti_err_t err;
    long status;
    apr_interval_time_t retry_after;
    char type[80], excerpt[4096], body[16384];
    apr_size_t size;
    const char *header_name; /* to be looked up */
    char header[200];
    int headers;
    apr_size_t abort_at;    /* the receiver gives up after so many bytes; 0: never */
    lti_transport_t *again; /* submit once more from on_done */
    const lti_http_request_t *again_request;
    apr_status_t again_rv;
} outcome_t;

static apr_status_t on_body(void *baton, const char *data, apr_size_t size, lti_err_t *err)
{
    outcome_t *outcome = baton;

    outcome->bodies++;
    if (outcome->size + size < sizeof(outcome->body)) {
        memcpy(outcome->body + outcome->size, data, size);
        outcome->body[outcome->size + size] = '\0';
    }
    outcome->size += size;
    if (outcome->abort_at > 0 && outcome->size >= outcome->abort_at)
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "seen enough");
    return APR_SUCCESS;
}

static int count_header(void *baton, const char *name, const char *value)
{
    outcome_t *outcome = baton;

    (void)name;
    apr_cpystrn(outcome->header, value, sizeof(outcome->header));
    outcome->headers++;
    return 1;
}

static void on_done(void *baton, apr_status_t rv, const lti_http_response_t *response, const char *excerpt, const lti_err_t *err)
{
    outcome_t *outcome = baton;

    outcome->done++;
    outcome->rv = rv;
    outcome->err = *err;
    outcome->status = response->status;
    outcome->retry_after = response->retry_after;
    apr_cpystrn(outcome->type, response->content_type, sizeof(outcome->type));
    apr_cpystrn(outcome->excerpt, excerpt, sizeof(outcome->excerpt));
    if (outcome->header_name != NULL)
        apr_table_do(count_header, outcome, response->headers, outcome->header_name, NULL);
    if (outcome->again != NULL) {
        lti_transport_t *transport = outcome->again;

        outcome->again = NULL;
        outcome->again_rv = transport->submit(transport->baton, outcome->again_request, on_body, on_done, outcome, NULL);
    }
}

static lti_http_request_t get(const char *url)
{
    return (lti_http_request_t){
        .url = url, .accept = "application/json", .max_body = 100000, .stall_seconds = 5, .total_seconds = 10};
}

static lti_transport_t make_client(lti_http_client_t **client, const char *proxy, apr_pool_t *p)
{
    lti_http_options_t options = {.user_agent = "tester/1", .proxy = proxy};
    lti_err_t err;

    assert_ok(lti_http_client_create(client, &options, p, &err), err);
    return lti_http_transport(*client);
}

static outcome_t *run_with(outcome_t *outcome, const lti_http_request_t *request, const char *proxy, apr_pool_t *p)
{
    lti_http_client_t *client;
    lti_transport_t transport = make_client(&client, proxy, p);
    lti_err_t err;

    assert_ok(transport.submit(transport.baton, request, on_body, on_done, outcome, &err), err);
    assert_int_equal(outcome->done, 0);
    while (transport.poll(transport.baton, apr_time_from_sec(1)) > 0)
        continue;
    assert_int_equal(outcome->done, 1);
    return outcome;
}

static outcome_t *run(outcome_t *outcome, const lti_http_request_t *request, apr_pool_t *p)
{
    memset(outcome, 0, sizeof(*outcome));
    return run_with(outcome, request, NULL, p);
}

/* --- transfers ---------------------------------------------------------------------------------------------------- */

static void an_answer_comes_whole_with_its_headers(void **state)
{
    lti_http_request_t request = get(at("/ok", *state));
    outcome_t outcome = {.header_name = "link"};

    run_with(&outcome, &request, NULL, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.body, "hello");
    assert_string_equal(outcome.type, "application/json");
    assert_int_equal(outcome.headers, 2);
    assert_string_equal(outcome.excerpt, "");
}

static void chunks_are_joined_and_trailers_ignored(void **state)
{
    lti_http_request_t request = get(at("/chunked", *state));
    outcome_t outcome = {.header_name = "Link"};

    run_with(&outcome, &request, NULL, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_string_equal(outcome.body, "abcdefg");
    assert_int_equal(outcome.headers, 0);
}

static void only_the_last_of_several_answers_counts(void **state)
{
    lti_http_request_t request = get(at("/continue", *state));
    outcome_t outcome = {.header_name = "X-First"};

    run_with(&outcome, &request, NULL, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_int_equal(outcome.status, 200);
    assert_int_equal(outcome.headers, 0);
    assert_string_equal(outcome.body, "ok");
}

static void a_folded_header_is_one_header(void **state)
{
    lti_http_request_t request = get(at("/folded", *state));
    outcome_t outcome = {.header_name = "Link"};

    run_with(&outcome, &request, NULL, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_int_equal(outcome.headers, 1);
    assert_non_null(strstr(outcome.header, "<x>;"));
    assert_non_null(strstr(outcome.header, "rel=next"));
}

static void a_get_sends_what_it_was_given(void **state)
{
    lti_http_request_t request = get(at("/echo", *state));
    outcome_t outcome;

    request.bearer = "to.ken-1";
    run(&outcome, &request, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_non_null(strstr(outcome.body, "GET /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(outcome.body, "\r\nAuthorization: Bearer to.ken-1\r\n"));
    assert_non_null(strstr(outcome.body, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(outcome.body, "\r\nUser-Agent: tester/1\r\n"));
    assert_null(strstr(outcome.body, "Content-Type"));
}

static void a_post_sends_its_body(void **state)
{
    lti_http_request_t request = get(at("/echo", *state));
    outcome_t outcome;

    request.body = "a=1&b=2";
    request.content_type = "application/x-www-form-urlencoded";
    run(&outcome, &request, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_non_null(strstr(outcome.body, "POST /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(outcome.body, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(outcome.body, "\r\n\r\na=1&b=2"));
    assert_null(strstr(outcome.body, "Expect"));
    assert_null(strstr(outcome.body, "Authorization"));
}

static void other_statuses_are_answers_with_an_excerpt(void **state)
{
    lti_http_request_t request = get(at("/missing", *state));
    outcome_t outcome;

    run(&outcome, &request, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_int_equal(outcome.status, 404);
    assert_int_equal(outcome.bodies, 0);
    assert_string_equal(outcome.excerpt, "no  such id");
}

static void a_long_error_page_is_not_read_to_its_end(void **state)
{
    lti_http_request_t request = get(at("/large-error", *state));
    outcome_t outcome;

    run(&outcome, &request, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_int_equal(outcome.status, 500);
    assert_int_equal(strlen(outcome.excerpt), 2048);
}

static void an_excerpt_is_cut_at_a_character(void **state)
{
    lti_http_request_t request = get(at("/utf8", *state));
    outcome_t outcome;

    run(&outcome, &request, *state);
    assert_int_equal(outcome.status, 400);
    assert_true(strlen(outcome.excerpt) > 2040);
    assert_int_equal(strlen(outcome.excerpt) % 3, 1);
}

static void an_excerpt_repeats_no_secret(void **state)
{
    static const char assertion[] = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ0b29sIn0.c2lnbmF0dXJl";
    lti_http_request_t request = get(at("/echo-error", *state));
    char filler[1900];
    outcome_t outcome;

    request.bearer = "0123456789abcdef";
    run(&outcome, &request, *state);
    assert_int_equal(outcome.status, 401);
    assert_non_null(strstr(outcome.excerpt, "Authorization: Bearer ****************  "));
    request.bearer = NULL;
    request.content_type = "application/x-www-form-urlencoded";
    request.body = apr_pstrcat(*state, "client_assertion_type=jwt&client_assertion=", assertion, "&scope=roster", NULL);
    run(&outcome, &request, *state);
    assert_null(strstr(outcome.excerpt, "eyJ"));
    assert_non_null(strstr(outcome.excerpt, "client_assertion_type=jwt&client_assertion=***"));
    assert_non_null(strstr(outcome.excerpt, "***&scope=roster"));
    /* The excerpt ends within it. */
    memset(filler, 'x', sizeof(filler));
    filler[sizeof(filler) - 1] = '\0';
    request.body = apr_pstrcat(*state, "x=", filler, "&client_assertion=", assertion, assertion, assertion, NULL);
    run(&outcome, &request, *state);
    assert_int_equal(strlen(outcome.excerpt), 2048);
    assert_null(strstr(outcome.excerpt, "eyJhbGci"));
}

/* SPEC T-10 */
static void redirects_are_not_followed(void **state)
{
    lti_http_request_t request = get(at("/redirect", *state));
    outcome_t outcome = {.header_name = "Location"};

    run_with(&outcome, &request, NULL, *state);
    assert_ok(outcome.rv, outcome.err);
    assert_int_equal(outcome.status, 302);
    assert_string_equal(outcome.header, "http://127.0.0.1:1/elsewhere");
}

static void retry_after_is_read_and_bounded(void **state)
{
    static const struct {
        const char *path;
        int seconds;
    } cases[] = {{"/retry", 7}, {"/retry-long", 3600}, {"/retry-date", 3600}, {"/retry-past", 0}, {"/missing", 0}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_http_request_t request = get(at(cases[i].path, *state));
        outcome_t outcome;

        run(&outcome, &request, *state);
        assert_ok(outcome.rv, outcome.err);
        assert_int_equal(apr_time_sec(outcome.retry_after), cases[i].seconds);
    }
}

static void more_bytes_than_allowed_end_the_transfer(void **state)
{
    lti_http_request_t request = get(at("/large", *state));
    outcome_t outcome;

    request.max_body = 50000;
    run(&outcome, &request, *state);
    assert_code(outcome.rv, outcome.err, LTI_E_HTTP_TOO_LARGE);
    assert_true(outcome.size <= 50000);

    request.url = at("/announced", *state);
    request.max_body = 4999;
    run(&outcome, &request, *state);
    assert_code(outcome.rv, outcome.err, LTI_E_HTTP_TOO_LARGE);
    assert_int_equal(outcome.size, 0);

    request.url = at("/ok", *state);
    request.max_body = 5;
    run(&outcome, &request, *state);
    assert_ok(outcome.rv, outcome.err);

    request.url = at("/headers", *state);
    run(&outcome, &request, *state);
    assert_code(outcome.rv, outcome.err, LTI_E_HTTP_TOO_LARGE);
}

static void a_stall_and_a_drip_end_in_time(void **state)
{
    static const char *const paths[] = {"/stall", "/silent", "/drip"};
    size_t i;

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        lti_http_request_t request = get(at(paths[i], *state));
        apr_time_t begin = apr_time_now();
        outcome_t outcome;

        /* The drip makes progress all the time: only the total ends it. */
        request.stall_seconds = i < 2 ? 1 : 10;
        request.total_seconds = i < 2 ? 10 : 1;
        run(&outcome, &request, *state);
        assert_code(outcome.rv, outcome.err, LTI_E_HTTP_TIMEOUT);
        assert_true(apr_time_now() - begin < apr_time_from_sec(3));
    }
}

static void a_cut_body_is_no_success(void **state)
{
    static const char *const paths[] = {"/cut", "/cut-chunk", "/nothing"};
    size_t i;

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        lti_http_request_t request = get(at(paths[i], *state));
        outcome_t outcome;

        run(&outcome, &request, *state);
        assert_code(outcome.rv, outcome.err, LTI_E_HTTP_ABORTED);
    }
}

static void the_receiver_can_end_a_transfer_with_its_own_reason(void **state)
{
    lti_http_request_t request = get(at("/large", *state));
    outcome_t outcome = {.abort_at = 10};

    request.max_body = 1000000;
    run_with(&outcome, &request, NULL, *state);
    assert_code(outcome.rv, outcome.err, LTI_E_ROSTER_MALFORMED);
    assert_string_equal(outcome.err.text, "seen enough");
    assert_int_equal(outcome.bodies, 1);
}

static void what_cannot_be_reached_says_so(void **state)
{
    outcome_t outcome;
    lti_http_request_t request = get("http://127.0.0.1:1/");

    run(&outcome, &request, *state);
    assert_code(outcome.rv, outcome.err, LTI_E_HTTP_CONNECT);
    assert_non_null(strstr(outcome.err.text, "127.0.0.1"));
    /* No TLS at the other end. */
    request.url = apr_psprintf(*state, "https://127.0.0.1:%d/ok", server.port);
    run(&outcome, &request, *state);
    assert_code(outcome.rv, outcome.err, LTI_E_HTTP_CONNECT);
    assert_int_equal(outcome.status, 0);
}

static void a_header_cannot_be_smuggled_in(void **state)
{
    lti_http_request_t request = get(at("/echo", *state));
    outcome_t outcome;

    request.bearer = "x\r\nX-Evil: 1";
    run(&outcome, &request, *state);
    assert_code(outcome.rv, outcome.err, LTI_E_INTERNAL);
}

/* --- many at once ------------------------------------------------------------------------------------------------- */

static void transfers_go_on_at_once(void **state)
{
    lti_http_client_t *client;
    lti_transport_t transport = make_client(&client, NULL, *state);
    lti_http_request_t request = get(at("/barrier", *state));
    static outcome_t outcomes[BARRIER];
    int i;

    memset(outcomes, 0, sizeof(outcomes));
    for (i = 0; i < BARRIER; i++)
        assert_int_equal(transport.submit(transport.baton, &request, on_body, on_done, &outcomes[i], NULL), APR_SUCCESS);
    while (transport.poll(transport.baton, apr_time_from_sec(1)) > 0)
        continue;
    for (i = 0; i < BARRIER; i++) {
        assert_int_equal(outcomes[i].done, 1);
        assert_string_equal(outcomes[i].body, "met!");
    }
    assert_int_equal(server.at_barrier, BARRIER);
}

static void many_transfers_keep_apart(void **state)
{
    static const char *const paths[] = {"/ok", "/chunked", "/missing", "/cut"};
    static outcome_t outcomes[100];
    lti_http_client_t *client;
    lti_transport_t transport = make_client(&client, NULL, *state);
    int i;

    memset(outcomes, 0, sizeof(outcomes));
    for (i = 0; i < 100; i++) {
        lti_http_request_t request = get(at(paths[i % 4], *state));

        assert_int_equal(transport.submit(transport.baton, &request, on_body, on_done, &outcomes[i], NULL), APR_SUCCESS);
    }
    while (transport.poll(transport.baton, apr_time_from_sec(1)) > 0)
        continue;
    for (i = 0; i < 100; i++) {
        assert_int_equal(outcomes[i].done, 1);
        assert_int_equal(outcomes[i].status, i % 4 == 2 ? 404 : 200);
        assert_int_equal(outcomes[i].rv == APR_SUCCESS, i % 4 != 3);
        if (i % 4 < 2)
            assert_string_equal(outcomes[i].body, i % 4 == 0 ? "hello" : "abcdefg");
    }
}

static void the_next_page_is_asked_for_from_on_done_over_the_same_connection(void **state)
{
    lti_http_client_t *client;
    lti_transport_t transport = make_client(&client, NULL, *state);
    lti_http_request_t request = get(at("/ok", *state));
    outcome_t outcome = {.again = &transport, .again_request = &request};
    int before = connections();

    assert_int_equal(transport.submit(transport.baton, &request, on_body, on_done, &outcome, NULL), APR_SUCCESS);
    while (transport.poll(transport.baton, apr_time_from_sec(1)) > 0)
        continue;
    assert_int_equal(outcome.again_rv, APR_SUCCESS);
    assert_int_equal(outcome.done, 2);
    assert_string_equal(outcome.body, "hellohello");
    assert_int_equal(connections(), before + 1);
}

static void a_destroyed_pool_ends_its_transfers(void **state)
{
    apr_pool_t *pool = NULL;
    lti_http_client_t *client;
    lti_transport_t transport;
    lti_http_request_t request = get(at("/stall", *state));
    outcome_t *running, *queued;
    int i;

    apr_pool_create(&pool, *state);
    transport = make_client(&client, NULL, pool);
    running = apr_pcalloc(*state, sizeof(*running));
    queued = apr_pcalloc(*state, sizeof(*queued));
    running->again = &transport;
    running->again_request = &request;
    assert_int_equal(transport.submit(transport.baton, &request, on_body, on_done, running, NULL), APR_SUCCESS);
    for (i = 0; i < 50 && running->size == 0; i++)
        assert_int_equal(transport.poll(transport.baton, apr_time_from_msec(100)), 1);
    assert_string_equal(running->body, "some");
    assert_int_equal(transport.submit(transport.baton, &request, on_body, on_done, queued, NULL), APR_SUCCESS);
    apr_pool_destroy(pool);
    assert_int_equal(running->done, 1);
    assert_code(running->rv, running->err, LTI_E_HTTP_ABORTED);
    assert_int_not_equal(running->again_rv, APR_SUCCESS);
    assert_int_equal(queued->done, 1);
    assert_code(queued->rv, queued->err, LTI_E_HTTP_ABORTED);
}

static void *wake_soon(void *client)
{
    usleep(100 * 1000);
    lti_http_wakeup(client);
    return NULL;
}

static void a_waiting_poll_can_be_woken(void **state)
{
    lti_http_client_t *client;
    lti_transport_t transport = make_client(&client, NULL, *state);
    apr_time_t begin = apr_time_now();
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wake_soon, client), 0);
    assert_int_equal(transport.poll(transport.baton, apr_time_from_sec(20)), 0);
    assert_true(apr_time_now() - begin < apr_time_from_sec(5));
    assert_true(apr_time_now() - begin > apr_time_from_msec(50));
    pthread_join(thread, NULL);
}

/* --- where a transfer may go (Invariant 7, SPEC S-06) ------------------------------------------------------------- */

static void private_addresses_are_refused(void **state)
{
    static const char *const urls[] = {"https://10.0.0.1/roster",  "https://0x0a000001/",       "https://172.16.0.1/",
                                       "https://172.31.255.255/",  "https://192.168.1.1:8443/", "https://100.64.0.1/",
                                       "https://169.254.169.254/", "https://0.0.0.0/",          "https://224.0.0.1/",
                                       "https://255.255.255.255/", "https://198.18.0.1/"};
    size_t i;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        lti_http_request_t request = get(urls[i]);
        outcome_t outcome;

        run(&outcome, &request, *state);
        assert_code(outcome.rv, outcome.err, LTI_E_HTTP_ADDRESS);
        assert_non_null(strstr(outcome.err.text, lti_http_host(urls[i], *state)));
    }
}

static void a_private_address_is_taken_where_the_caller_vouches(void **state)
{
    /* Nothing listens there: any end but a refusal will do. */
    lti_http_request_t request = get("https://127.1.2.3:1/");
    outcome_t outcome;

    run(&outcome, &request, *state);
    assert_code(outcome.rv, outcome.err, LTI_E_HTTP_CONNECT);
    request = get("https://10.255.255.1:1/");
    request.any_address = 1;
    request.stall_seconds = 1;
    run(&outcome, &request, *state);
    assert_int_not_equal(outcome.rv, APR_SUCCESS);
    assert_int_not_equal(outcome.err.code, LTI_E_HTTP_ADDRESS);
}

/* A proxy resolves names itself, but literal addresses are judged; this needs no route to any of them. */
static void literal_addresses_are_judged_before_a_proxy_is_asked(void **state)
{
    static const struct {
        const char *url;
        int is_public;
    } cases[] = {
        {"https://10.0.0.1/", 0},
        {"https://[fe80::1]/", 0},
        {"https://[fd12::1]/", 0},
        {"https://[::ffff:8.8.8.8]/", 0},
        {"https://[::]/", 0},
        {"https://[ff02::1]/", 0},
        {"https://[2002:a00:1::1]/", 0},
        {"https://[64:ff9b::10.0.0.1]/", 0},
        {"https://[2001:db8::1]/", 0},
        {"https://[2001:0:1::1]/", 0},
        {"https://[64:ff9b::8.8.8.8]/", 1},
        {"https://[2606:4700::1]/", 1},
        {"https://8.8.8.8/", 1},
        {"https://172.32.0.1/", 1},
        {"https://100.128.0.1/", 1},
        {"https://lms.example.edu/", 1},
    };
    const char *proxy = apr_psprintf(*state, "http://127.0.0.1:%d", server.port);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_http_request_t request = get(cases[i].url);
        outcome_t outcome = {0};
        int before = connections();

        run_with(&outcome, &request, proxy, *state);
        assert_code(outcome.rv, outcome.err, cases[i].is_public ? LTI_E_HTTP_CONNECT : LTI_E_HTTP_ADDRESS);
        assert_int_equal(connections() - before, cases[i].is_public);
    }
}

static void the_environment_chooses_no_proxy(void **state)
{
    lti_http_request_t request = get(at("/ok", *state));
    outcome_t outcome;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    run(&outcome, &request, *state);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    assert_ok(outcome.rv, outcome.err);
}

static void plain_http_and_odd_urls_are_not_sent(void **state)
{
    static const char *const urls[] = {"http://lms.example.edu/",
                                       "ftp://127.0.0.1/",
                                       "file:///etc/passwd",
                                       "https://u:p@127.0.0.1/",
                                       "https:///x",
                                       "https://a b/",
                                       ""};
    size_t i;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        lti_http_request_t request = get(urls[i]);
        outcome_t outcome;

        run(&outcome, &request, *state);
        assert_code(outcome.rv, outcome.err, LTI_E_SERVICE_URL);
    }
}

/* --- fetch -------------------------------------------------------------------------------------------------------- */

static void fetch_waits_for_the_whole_answer(void **state)
{
    lti_http_options_t options = {.user_agent = "tester/1"};
    lti_http_response_t response;
    lti_http_request_t request = get(at("/large", *state));
    lti_err_t err;
    char *body;
    apr_size_t size;

    request.max_body = 1000000;
    assert_ok(lti_http_fetch(&response, &body, &size, &request, &options, *state, &err), err);
    assert_int_equal(response.status, 200);
    assert_int_equal(size, 200000);
    assert_int_equal(strlen(body), 200000);

    request.url = at("/missing", *state);
    assert_ok(lti_http_fetch(&response, &body, &size, &request, &options, *state, &err), err);
    assert_int_equal(response.status, 404);
    assert_string_equal(body, "no  such id");
    assert_int_equal(size, 11);

    request.url = at("/ok", *state);
    assert_ok(lti_http_fetch(&response, &body, &size, &request, &options, *state, &err), err);
    assert_string_equal(apr_table_get(response.headers, "Link"), "<a>; rel=next");
    assert_string_equal(response.content_type, "application/json");

    request.url = at("/cut", *state);
    assert_code(lti_http_fetch(&response, &body, &size, &request, &options, *state, &err), err, LTI_E_HTTP_ABORTED);
    request.url = "http://10.0.0.1/";
    assert_code(lti_http_fetch(&response, &body, &size, &request, &options, *state, &err), err, LTI_E_SERVICE_URL);
    assert_int_equal(response.status, 0);
}

/* --- URLs --------------------------------------------------------------------------------------------------------- */

static void origins_and_hosts_are_canonical(void **state)
{
    static const struct {
        const char *url, *origin, *host;
    } cases[] = {
        {"https://LMS.Example.EDU/a?b#c", "https://lms.example.edu:443", "lms.example.edu"},
        {"HTTP://lms.example.edu:8080", "http://lms.example.edu:8080", "lms.example.edu"},
        {"https://lms.example.edu:443/", "https://lms.example.edu:443", "lms.example.edu"},
        {"https://[2001:DB8::1]/", "https://[2001:db8::1]:443", "2001:db8::1"},
        {"https://127.1/", "https://127.0.0.1:443", "127.0.0.1"},
        {"https://h?x@y", "https://h:443", "h"},
        {"https://user@lms.example.edu/", NULL, NULL},
        {"https://@lms.example.edu/", NULL, NULL},
        {"https:///path", NULL, NULL},
        {"https:/host/", NULL, NULL},
        {"/path", NULL, NULL},
        {"//host/path", NULL, NULL},
        {"ftp://host/", NULL, NULL},
        {"javascript:alert(1)", NULL, NULL},
        {"https://ho%73t/", NULL, NULL},
        {"https://ho\\st/", NULL, NULL},
        {"https://h ost/", NULL, NULL},
        {"https://h/\n", NULL, NULL},
        {"https://h:99999/", NULL, NULL},
        {"https://h:0/", NULL, NULL},
        {"https://h\xC3\xBCtte.de/", NULL, NULL},
        {"https://h<script>/", NULL, NULL},
        {"https://[::1%25lo]/", NULL, NULL},
        {"", NULL, NULL},
        {NULL, NULL, NULL},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *origin = lti_http_origin(cases[i].url, *state), *host = lti_http_host(cases[i].url, *state);

        if (cases[i].origin == NULL) {
            if (origin != NULL || host != NULL)
                fail_msg("%s was taken as %s", cases[i].url, origin);
            continue;
        }
        assert_non_null(origin);
        assert_string_equal(origin, cases[i].origin);
        assert_string_equal(host, cases[i].host);
    }
}

static void loopback_is_this_machine_only(void **state)
{
    static const char *const yes[] = {"localhost",   "LOCALHOST", "a.localhost",    "127.0.0.1",
                                      "127.255.0.9", "::1",       "0:0:0:0:0:0:0:1"};
    static const char *const no[] = {"localhost.example.edu", "notlocalhost", ".localhost", "128.0.0.1",
                                     "127.0.0.1.example.edu", "::2",          "",           "10.0.0.1"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_int_equal(lti_http_is_loopback(yes[i]), 1);
    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_int_equal(lti_http_is_loopback(no[i]), 0);
    assert_int_equal(lti_http_is_loopback(NULL), 0);
}

/* The usual URLs are read without curl, the same with a capital letter in the host by curl: both see the same. */
static void usual_urls_are_read_as_curl_reads_them(void **state)
{
    static const char *const rests[] = {
        "x.org",
        "x.org/",
        "x.org?q",
        "x.org:443/",
        "x.org:80",
        "x.org:8443/a?b=c",
        "x.org:1",
        "x.org:65535/",
        "x.org:65536/",
        "x.org:0/",
        "x.org:00443/",
        "x.org:/",
        "x.org:44a/",
        "x.org:-1",
        "x.org:99999999999999999999/",
        "x.",
        "x..org",
        ".x.org",
        "x.org.",
        "x-y.a-b",
        "x.-org",
        "x.0",
        "x.0x7f",
        "x.1a",
        "x1",
        "x",
        "x/@y",
        "x:1/@y",
        "x@y",
        "x.org/caf\xC3\xA9",
        "x.org/%41",
        "x%41.org/",
        "x_y.org/",
        "x.org,",
        "x.org;",
        "x.org\xC3\xA9/",
    };
    size_t i;

    for (i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        char *usual = apr_pstrcat(*state, "https://", rests[i], NULL), *odd = apr_pstrdup(*state, usual);
        const char *a = lti_http_origin(usual, *state), *b;

        odd[strcspn(odd, "x")] = 'X';
        b = lti_http_origin(odd, *state);
        if ((a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0))
            fail_msg("%s: %s, %s: %s", usual, a != NULL ? a : "none", odd, b != NULL ? b : "none");
        assert_int_equal(lti_http_check_url(usual, 4096, LTI_E_CONFIG, NULL), lti_http_check_url(odd, 4096, LTI_E_CONFIG, NULL));
    }
}

static void unusable_urls_are_refused_with_the_reason(void **state)
{
    static const struct {
        const char *url, *reason;
    } cases[] = {
        {"http://lms.example.edu/", "not https"},
        {"https://u@lms.example.edu/", "user information"},
        {"https://lms.example.edu/#top", "a fragment"},
        {"https://lms.example.edu/a b", "white space"},
        {"https://lms.example.edu\\x", "a backslash"},
        {"https:///x", "no host"},
        {"lms.example.edu/x", "no http or https scheme"},
        {"https://lms.example.edu/01234567890123456789", "longer than 40"},
        {NULL, "no text"},
    };
    static const char *const fine[] = {"https://lms.example.edu/a?b=c", "http://localhost:8080/x", "http://127.0.0.1/",
                                       "http://[::1]/"};
    lti_err_t err;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_code(lti_http_check_url(cases[i].url, 40, LTI_E_CONFIG, &err), err, LTI_E_CONFIG);
        if (strstr(err.text, cases[i].reason) == NULL)
            fail_msg("%s: %s", cases[i].url, err.text);
    }
    for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        assert_ok(lti_http_check_url(fine[i], 40, LTI_E_CONFIG, &err), err);
}

static void query_parameters_are_appended(void **state)
{
    assert_string_equal(lti_http_add_query("https://h/p", "limit", "50", *state), "https://h/p?limit=50");
    assert_string_equal(lti_http_add_query("https://h/p?a=b", "limit", "50", *state), "https://h/p?a=b&limit=50");
    assert_string_equal(lti_http_add_query("https://h/p?", "x", "a b&c=/~", *state), "https://h/p?x=a%20b%26c%3D%2F~");
    assert_string_equal(lti_http_add_query("https://h/p?a&", "x", "1", *state), "https://h/p?a&x=1");
    assert_string_equal(lti_http_add_query("https://h/p#f", "x", "1", *state), "https://h/p?x=1#f");
    assert_string_equal(lti_http_encode("\xC3\xA9+Az09-._~", *state), "%C3%A9%2BAz09-._~");
}

static void a_parameter_is_found_by_its_whole_name(void **state)
{
    static const struct {
        const char *url;
        int found;
    } cases[] = {
        {"https://h/p", 0},         {"https://h/limit=5", 0},      {"https://h/p?limit=5", 1},  {"https://h/p?limit", 1},
        {"https://h/p?limit&a", 1}, {"https://h/p?a=b&limit=", 1}, {"https://h/p?limits=5", 0}, {"https://h/p?xlimit=5", 0},
        {"https://h/p?a=limit", 0}, {"https://h/p?", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (lti_http_has_parameter(cases[i].url, "limit") != cases[i].found)
            fail_msg("%s", cases[i].url);
    }
}

/* RFC 3986 section 5.4, with an empty path written as "/". */
static void references_are_resolved(void **state)
{
    static const struct {
        const char *reference, *result;
    } cases[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://H/x/../y?Z=%7e", "https://H/x/../y?Z=%7e"},
        {"mailto:x", NULL},
        {"ftp://h/", NULL},
        {"a b", NULL},
        {"//u@h/", NULL},
        {"javascript:x", NULL},
        {"\\\\h", NULL},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *result = lti_http_resolve("http://a/b/c/d;p?q", cases[i].reference, *state);

        if (cases[i].result == NULL) {
            assert_null(result);
            continue;
        }
        assert_non_null(result);
        assert_string_equal(result, cases[i].result);
    }
    assert_null(lti_http_resolve("/relative", "g", *state));
    assert_null(lti_http_resolve("http://a/", NULL, *state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(an_answer_comes_whole_with_its_headers),
        POOL_TEST(chunks_are_joined_and_trailers_ignored),
        POOL_TEST(only_the_last_of_several_answers_counts),
        POOL_TEST(a_folded_header_is_one_header),
        POOL_TEST(a_get_sends_what_it_was_given),
        POOL_TEST(a_post_sends_its_body),
        POOL_TEST(other_statuses_are_answers_with_an_excerpt),
        POOL_TEST(a_long_error_page_is_not_read_to_its_end),
        POOL_TEST(an_excerpt_is_cut_at_a_character),
        POOL_TEST(an_excerpt_repeats_no_secret),
        POOL_TEST(redirects_are_not_followed),
        POOL_TEST(retry_after_is_read_and_bounded),
        POOL_TEST(more_bytes_than_allowed_end_the_transfer),
        POOL_TEST(a_stall_and_a_drip_end_in_time),
        POOL_TEST(a_cut_body_is_no_success),
        POOL_TEST(the_receiver_can_end_a_transfer_with_its_own_reason),
        POOL_TEST(what_cannot_be_reached_says_so),
        POOL_TEST(a_header_cannot_be_smuggled_in),
        POOL_TEST(transfers_go_on_at_once),
        POOL_TEST(many_transfers_keep_apart),
        POOL_TEST(the_next_page_is_asked_for_from_on_done_over_the_same_connection),
        POOL_TEST(a_destroyed_pool_ends_its_transfers),
        POOL_TEST(a_waiting_poll_can_be_woken),
        POOL_TEST(private_addresses_are_refused),
        POOL_TEST(a_private_address_is_taken_where_the_caller_vouches),
        POOL_TEST(literal_addresses_are_judged_before_a_proxy_is_asked),
        POOL_TEST(the_environment_chooses_no_proxy),
        POOL_TEST(plain_http_and_odd_urls_are_not_sent),
        POOL_TEST(usual_urls_are_read_as_curl_reads_them),
        POOL_TEST(fetch_waits_for_the_whole_answer),
        POOL_TEST(origins_and_hosts_are_canonical),
        POOL_TEST(loopback_is_this_machine_only),
        POOL_TEST(unusable_urls_are_refused_with_the_reason),
        POOL_TEST(query_parameters_are_appended),
        POOL_TEST(a_parameter_is_found_by_its_whole_name),
        POOL_TEST(references_are_resolved),
    };

    return cmocka_run_group_tests(tests, server_start, NULL);
}
