/* SPDX-License-Identifier: Apache-2.0 */
/* An examination tells which step fails, leaves out what hangs on it, and names the remedy of the platform's family. The platform is a real listener. */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <apr_date.h>
#include "lti_doctor.h"
#include "lti_json.h"
#include "lti_nrps.h"
#include "lti_token.h"

/* --- a platform ----------------------------------------------------------------------------------------------------------- */

#define ANSWER_SIZE 4096

static struct {
    int listener;
    int port;
    pthread_mutex_t lock;
    char key_set[ANSWER_SIZE], token[ANSWER_SIZE], roster[ANSWER_SIZE]; /* whole answers; "" hangs up */
    char asked[8 * ANSWER_SIZE];                                        /* all requests since the last examination began */
    apr_interval_time_t clock;                                          /* how far ours is ahead */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static lti_toolkeys_t *toolkeys;
static apr_pool_t *global;

/* A head with what depends on the hour, then the body. */
static void send_answer(int fd, const char *answer)
{
    char date[APR_RFC822_DATE_LEN], head[400];
    const char *body = strstr(answer, "\r\n\r\n");

    if (body == NULL)
        return;
    apr_rfc822_date(date, apr_time_now() + server.clock);
    (void)snprintf(head, sizeof(head), "%.*s\r\nConnection: close\r\nContent-Length: %lu%s%s\r\n\r\n", (int)(body - answer), answer,
                   (unsigned long)strlen(body + 4), strstr(answer, "Date:") == NULL ? "\r\nDate: " : "",
                   strstr(answer, "Date:") == NULL ? date : "");
    (void)send(fd, head, strlen(head), MSG_NOSIGNAL);
    (void)send(fd, body + 4, strlen(body + 4), MSG_NOSIGNAL);
}

static void serve(int fd)
{
    char request[ANSWER_SIZE * 2] = "";
    size_t size = 0;

    for (;;) {
        ssize_t got = recv(fd, request + size, sizeof(request) - 1 - size, 0);
        const char *end, *length;

        if (got <= 0)
            return;
        size += (size_t)got;
        request[size] = '\0';
        end = strstr(request, "\r\n\r\n");
        length = strstr(request, "Content-Length: ");
        if (end != NULL && size >= (size_t)(end + 4 - request) + (length != NULL ? strtoul(length + 16, NULL, 10) : 0))
            break;
    }
    pthread_mutex_lock(&server.lock);
    if (strlen(server.asked) + size < sizeof(server.asked))
        strcat(server.asked, request);
    if (strstr(request, " /jwks") != NULL)
        send_answer(fd, server.key_set);
    else if (strstr(request, " /token") != NULL)
        send_answer(fd, server.token);
    else
        send_answer(fd, server.roster);
    pthread_mutex_unlock(&server.lock);
}

static void *accept_all(void *baton)
{
    (void)baton;
    for (;;) {
        int fd = accept(server.listener, NULL, NULL);

        if (fd < 0)
            return NULL;
        serve(fd);
        close(fd);
    }
}

static int start(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    apr_array_header_t *pems;
    pthread_t thread;
    char *pem;
    lti_err_t err;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    apr_pool_create(&global, NULL);
    pems = apr_array_make(global, 1, sizeof(char *));
    if (lti_key_generate_pem(&pem, global, &err) != APR_SUCCESS)
        return -1;
    APR_ARRAY_PUSH(pems, const char *) = pem;
    if (lti_toolkeys_create(&toolkeys, pems, global, &err) != APR_SUCCESS)
        return -1;
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&address, size) != 0 || listen(server.listener, 16) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&thread, NULL, accept_all, NULL) != 0)
        return -1;
    server.port = ntohs(address.sin_port);
    pthread_detach(thread);
    return lti_http_init(&err) == APR_SUCCESS ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    apr_pool_destroy(global);
    return 0;
}

/* --- a patient ------------------------------------------------------------------------------------------------------------ */

#define TOKEN_200(members) \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"access_token\":\"secret-bearer\"" members "}"
#define ROSTER_200(members) \
    "HTTP/1.1 200 OK\r\nContent-Type: " LTI_NRPS_MEDIA_TYPE "\r\n\r\n{\"context\":{\"id\":\"c1\"},\"members\":[" members "]}"
#define ANN "{\"user_id\":\"u1\",\"name\":\"Ann Other\",\"roles\":[\"Learner\"]}"
#define BEN "{\"user_id\":\"u2\",\"roles\":[\"Learner\"]}"

typedef struct world_t {
    lti_platform_t platform;
    lti_course_t course;
    lti_patient_t patient;
    apr_pool_t *p;
    json_t *report;
} world_t;

static char *at(const char *path, apr_pool_t *p)
{
    return apr_psprintf(p, "http://127.0.0.1:%d%s", server.port, path);
}

/* Everything is well. */
static world_t *make_world(void **state)
{
    world_t *world = apr_pcalloc(*state, sizeof(*world));

    world->p = *state;
    world->platform = (lti_platform_t){.name = "campus",
                                       .family = LTI_FAMILY_MOODLE,
                                       .issuer = at("", world->p),
                                       .client_id = "client1",
                                       .key_set = at("/jwks", world->p),
                                       .token_endpoint = at("/token", world->p)};
    world->course = (lti_course_t){.key = "abcdefghijklmnop",
                                   .platform = "campus",
                                   .deployment_id = "1",
                                   .context_id = "c1",
                                   .title = "Biology",
                                   .nrps_url = at("/roster/c1", world->p),
                                   .launched_at = apr_time_now()};
    world->patient = (lti_patient_t){.platform = &world->platform,
                                     .toolkeys = toolkeys,
                                     .course = &world->course,
                                     .launched_at = apr_time_now() - apr_time_from_sec(60),
                                     .now = apr_time_now()};
    server.clock = 0;
    (void)snprintf(server.key_set, ANSWER_SIZE, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n%s", toolkeys->jwks);
    (void)snprintf(server.token, ANSWER_SIZE, "%s", TOKEN_200(",\"scope\":\"" LTI_SCOPE_NRPS "\""));
    (void)snprintf(server.roster, ANSWER_SIZE, "%s", ROSTER_200(ANN "," BEN));
    return world;
}

static void answer_with(char *place, const char *text)
{
    apr_cpystrn(place, text, ANSWER_SIZE);
}

static void examine(world_t *world)
{
    const lti_http_options_t options = {.user_agent = "tester/1"};

    server.asked[0] = '\0';
    lti_doctor_examine(&world->report, &world->patient, &options, world->p);
    assert_non_null(world->report);
}

static const json_t *step(const world_t *world, const char *name)
{
    const json_t *steps = json_object_get(world->report, "steps");
    size_t i;

    for (i = 0; i < json_array_size(steps); i++) {
        const json_t *found = json_array_get(steps, i);

        if (strcmp(lti_json_string(found, "step"), name) == 0)
            return found;
    }
    fail_msg("there is no step %s", name);
    return NULL;
}

static const char *result(const world_t *world, const char *name)
{
    return lti_json_string(step(world, name), "result");
}

static void assert_found(const world_t *world, const char *name, const char *text)
{
    const char *found = lti_json_string(step(world, name), "found");

    assert_non_null(found);
    if (strstr(found, text) == NULL)
        fail_msg("%s: \"%s\" is not in: %s", name, text, found);
}

/* All lines of the remedy together hold `text`. */
static void assert_remedy(const world_t *world, const char *name, const char *text)
{
    const char *remedy = lti_json_text(json_object_get(step(world, name), "remedy"), world->p);

    if (strstr(remedy, text) == NULL)
        fail_msg("%s: \"%s\" is not in: %s", name, text, remedy);
}

static const char *const names[] = {"key-set", "clock", "token", "scope", "launch", "deployment", "roster-service", "roster"};

/* One letter a step in their order: P, F, S. */
static void assert_results(const world_t *world, const char *letters)
{
    char seen[sizeof(names) / sizeof(names[0]) + 1] = "";
    size_t i;

    assert_int_equal(json_array_size(json_object_get(world->report, "steps")), sizeof(names) / sizeof(names[0]));
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *one = json_array_get(json_object_get(world->report, "steps"), i);
        const char *word = lti_json_string(one, "result");

        assert_string_equal(lti_json_string(one, "step"), names[i]);
        assert_non_null(lti_json_string(one, "title"));
        seen[i] = (char)(word[0] - 'a' + 'A');
        assert_int_equal(json_array_size(json_object_get(one, "remedy")) > 0, seen[i] == 'F');
    }
    assert_string_equal(seen, letters);
    assert_int_equal(json_is_true(json_object_get(world->report, "passed")), strchr(letters, 'F') == NULL);
}

/* --- tests ---------------------------------------------------------------------------------------------------------------- */

static void all_is_well(void **state)
{
    world_t *world = make_world(state);
    const char *text;

    examine(world);
    assert_results(world, "PPPPPPPP");
    assert_found(world, "key-set", "1 usable key");
    assert_found(world, "roster", "status 200");
    assert_found(world, "roster", LTI_NRPS_MEDIA_TYPE);
    assert_found(world, "roster", "2 people");
    assert_string_equal(lti_json_string(world->report, "platform"), "campus");
    text = lti_json_text(world->report, world->p);
    assert_null(strstr(text, "secret-bearer"));
    assert_null(strstr(text, "Ann"));
    assert_null(strstr(text, "u1"));
}

static void token_goes_where_it_is_meant_for(void **state)
{
    world_t *world = make_world(state);
    const char *roster;

    examine(world);
    assert_non_null(strstr(server.asked, "grant_type=client_credentials"));
    roster = strstr(server.asked, "GET /roster/c1");
    assert_non_null(roster);
    assert_non_null(strstr(roster, "Authorization: Bearer secret-bearer"));
    assert_null(strstr(roster, "grant_type"));
    /* A roster elsewhere that is no public address gets nothing (Invariant 7). */
    world->course.nrps_url = "https://192.168.77.1/roster";
    examine(world);
    assert_results(world, "PPPPPPPF");
    assert_remedy(world, "roster", "LTIServiceHosts");
    world->course.nrps_url = "http://lms.example.edu/roster";
    examine(world);
    assert_results(world, "PPPPPPFS");
    assert_remedy(world, "roster-service", "https");
}

static void a_next_page_is_noted_and_not_fetched(void **state)
{
    world_t *world = make_world(state);
    char *asked;

    (void)snprintf(server.roster, ANSWER_SIZE,
                   "HTTP/1.1 200 OK\r\nContent-Type: " LTI_NRPS_MEDIA_TYPE "\r\nLink: <%s>; rel=\"next\"\r\n\r\n{\"members\":[" ANN
                   "]}",
                   at("/roster/c1?page=2", world->p));
    examine(world);
    assert_results(world, "PPPPPPPP");
    assert_found(world, "roster", "1 person on the first of several pages");
    asked = strstr(server.asked, "GET /roster/c1");
    assert_null(strstr(asked + 1, "GET /roster"));
    /* One that leads elsewhere is a fault (Invariant 7). */
    answer_with(server.roster, "HTTP/1.1 200 OK\r\nContent-Type: " LTI_NRPS_MEDIA_TYPE
                               "\r\nLink: <https://evil.example/x>; rel=\"next\"\r\n\r\n{\"members\":[" ANN "]}");
    examine(world);
    assert_results(world, "PPPPPPPF");
}

static void key_sets(void **state)
{
    static const struct {
        const char *answer, *found;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\n\r\nnothing here", "status 404"},
        {"HTTP/1.1 200 OK\r\n\r\n<html>Sign in</html>", "/jwks"},
        {"HTTP/1.1 200 OK\r\n\r\n{\"keys\":[]}", "/jwks"},
        {"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\n\r\n", "status 302"},
    };
    world_t *world = make_world(state);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer_with(server.key_set, cases[i].answer);
        examine(world);
        assert_results(world, "FPPPPPPP");
        assert_found(world, "key-set", cases[i].found);
        assert_remedy(world, "key-set", "LTIKeySet");
    }
    answer_with(server.key_set, "");
    examine(world);
    assert_results(world, "FPPPPPPP");
    assert_remedy(world, "key-set", "LTIProxy");
}

static void nobody_answers(void **state)
{
    world_t *world = make_world(state);

    /* A port of this machine where nobody listens. */
    world->platform.key_set = "http://127.0.0.1:1/jwks";
    world->platform.token_endpoint = "http://127.0.0.1:1/token";
    examine(world);
    assert_results(world, "FSFSPPPS");
    assert_found(world, "token", "127.0.0.1");
    assert_remedy(world, "token", "LTIProxy");
    assert_string_equal(lti_json_string(step(world, "token"), "state"), "connection");
}

static void clocks(void **state)
{
    world_t *world = make_world(state);

    server.clock = apr_time_from_sec(400);
    examine(world);
    assert_results(world, "PFPPPPPP");
    assert_found(world, "clock", "ahead");
    assert_remedy(world, "clock", "NTP");
    server.clock = apr_time_from_sec(-20);
    examine(world);
    assert_results(world, "PPPPPPPP");
    assert_found(world, "clock", "behind");
    /* The time that counts here may be another than this machine's. */
    server.clock = apr_time_from_sec(7200);
    world->patient.now = apr_time_now() + apr_time_from_sec(7200);
    examine(world);
    assert_results(world, "PPPPPPPP");
    /* What lay in a cache for an hour is an hour old. */
    server.clock = apr_time_from_sec(0);
    world->patient.now = apr_time_now();
    (void)snprintf(server.token, ANSWER_SIZE, "%s", "");
    (void)snprintf(server.key_set, ANSWER_SIZE, "HTTP/1.1 200 OK\r\nAge: 3600\r\n\r\n%s", toolkeys->jwks);
    server.clock = apr_time_from_sec(-3600);
    examine(world);
    assert_results(world, "PPFSPPPS");
    /* A refusal for the assertion's time is a matter of the clock. */
    server.clock = apr_time_from_sec(-900);
    answer_with(server.token,
                "HTTP/1.1 400 Bad Request\r\n\r\n{\"error\":\"invalid_client\",\"error_description\":\"not yet valid\"}");
    examine(world);
    assert_results(world, "PFFSPPPS");
    assert_remedy(world, "token", "NTP");
}

static void no_date(void **state)
{
    world_t *world = make_world(state);

    (void)snprintf(server.key_set, ANSWER_SIZE, "HTTP/1.1 200 OK\r\nDate: sometime\r\n\r\n%s", toolkeys->jwks);
    answer_with(server.token, "HTTP/1.1 200 OK\r\nDate: 99\r\n\r\n{\"access_token\":\"x\"}");
    examine(world);
    assert_results(world, "PSPPPPPP");
}

static void tokens(void **state)
{
    static const struct {
        const char *answer, *results, *step, *found, *remedy;
    } cases[] = {
        {"HTTP/1.1 401 No\r\n\r\n{\"error\":\"invalid_client\",\"error_description\":\"no <such> client\"}", "PPFSPPPS", "token",
         "no <such> client", "Manage tools"},
        {"HTTP/1.1 400 No\r\n\r\n{\"error\":\"invalid_scope\"}", "PPPFPPPS", "scope", "invalid_scope",
         "Names and Role Provisioning"},
        {TOKEN_200(",\"scope\":\"other\""), "PPPFPPPS", "scope", "other", "Names and Role Provisioning"},
        {"HTTP/1.1 503 Later\r\n\r\nmaintenance", "PPFSPPPS", "token", "503", "\""},
        {"HTTP/1.1 200 OK\r\n\r\n<html>", "PPFSPPPS", "token", "", "\""},
    };
    world_t *world = make_world(state);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer_with(server.token, cases[i].answer);
        examine(world);
        assert_results(world, cases[i].results);
        assert_found(world, cases[i].step, cases[i].found);
        assert_remedy(world, cases[i].step, cases[i].remedy);
        assert_null(strstr(server.asked, "/roster"));
    }
}

static void menus_of_each_family(void **state)
{
    static const struct {
        lti_family_t family;
        const char *client, *scope;
    } cases[] = {
        {LTI_FAMILY_CANVAS, "Developer Keys", "LTI Advantage Services"},
        {LTI_FAMILY_MOODLE, "Manage tools", "IMS LTI Names and Role Provisioning"},
        {LTI_FAMILY_BLACKBOARD, "LTI Tool Providers", "Membership Service"},
        {LTI_FAMILY_BRIGHTSPACE, "Manage Extensibility", "Extensions"},
        {LTI_FAMILY_SAKAI, "External Tools", "Provide Roster"},
        {LTI_FAMILY_SCHOOLOGY, "My Developer Apps", "Names and Role"},
        {LTI_FAMILY_OTHER, "LTIClientID", "contextmembership.readonly"},
    };
    world_t *world = make_world(state);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        world->platform.family = cases[i].family;
        answer_with(server.token, "HTTP/1.1 401 No\r\n\r\n{\"error\":\"invalid_client\"}");
        examine(world);
        assert_remedy(world, "token", cases[i].client);
        answer_with(server.token, "HTTP/1.1 400 No\r\n\r\n{\"error\":\"invalid_scope\"}");
        examine(world);
        assert_remedy(world, "scope", cases[i].scope);
    }
}

static void launches(void **state)
{
    world_t *world = make_world(state);

    world->patient.launched_at = 0;
    world->patient.course = NULL;
    examine(world);
    assert_results(world, "PPPPFSSS");
    assert_string_equal(lti_json_string(step(world, "launch"), "state"), "never-launched");
    world->patient.old_launch_at = apr_time_now();
    examine(world);
    assert_results(world, "PPPPFSSS");
    assert_string_equal(lti_json_string(step(world, "launch"), "state"), "old-lti");
    assert_found(world, "launch", "LTI 1.1");
    world->patient.old_launch_at = 0;
    world->patient.deployments_waiting = 2;
    examine(world);
    assert_results(world, "PPPPFFSS");
    assert_found(world, "deployment", "2 deployments wait");
    assert_remedy(world, "deployment", "Accept");
    /* A course that was named beforehand has a roster before anybody launched. */
    world->patient.course = &world->course;
    world->patient.deployments_waiting = 0;
    world->course.launched_at = 0;
    examine(world);
    assert_results(world, "PPPPFSPP");
}

static void no_roster_service(void **state)
{
    world_t *world = make_world(state);

    world->course.nrps_url = NULL;
    examine(world);
    assert_results(world, "PPPPPPFS");
    assert_string_equal(lti_json_string(step(world, "roster-service"), "state"), "no-roster-service");
    assert_remedy(world, "roster-service", "Names and Role Provisioning");
}

static void rosters(void **state)
{
    static const struct {
        const char *answer, *state, *found;
    } cases[] = {
        {"HTTP/1.1 403 No\r\n\r\n{\"errors\":\"no access\"}", "deployment", "403"},
        {"HTTP/1.1 404 No\r\n\r\n", "course-gone", "404"},
        {"HTTP/1.1 429 No\r\nRetry-After: 60\r\n\r\n", "rate-limited", "429"},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Sign in</html>", "rubbish", "text/html"},
        {"HTTP/1.1 200 OK\r\nContent-Type: " LTI_NRPS_MEDIA_TYPE "\r\n\r\n{\"members\":[{\"user_id\":", "rubbish", ""},
        {"HTTP/1.1 500 Oh\r\n\r\n", "rubbish", "500"},
        {"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n\r\n", "rubbish", "302"},
        {"", "connection", "127.0.0.1"},
        {ROSTER_200(""), "empty", "names nobody"},
    };
    world_t *world = make_world(state);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer_with(server.roster, cases[i].answer);
        examine(world);
        assert_results(world, "PPPPPPPF");
        assert_string_equal(lti_json_string(step(world, "roster"), "state"), cases[i].state);
        assert_found(world, "roster", cases[i].found);
    }
    /* A course whose roster came before: not the deployment, the permission changed. */
    world->course.succeeded_at = apr_time_now();
    answer_with(server.roster, cases[0].answer);
    examine(world);
    assert_string_equal(lti_json_string(step(world, "roster"), "state"), "permission-changed");
}

static void a_report_is_utf8(void **state)
{
    world_t *world = make_world(state);
    const char *text;

    answer_with(server.key_set, "HTTP/1.1 404 No\r\n\r\n\xE4\xF6\xFC kein Schl\xFCssel");
    examine(world);
    assert_results(world, "FPPPPPPP");
    assert_found(world, "key-set", "kein Schl?ssel");
    text = lti_json_text(world->report, world->p);
    assert_non_null(text);
    assert_true(lti_json_is_clean(text));
}

static void a_tool_without_keys(void **state)
{
    world_t *world = make_world(state);

    world->patient.toolkeys = NULL;
    examine(world);
    assert_string_equal(result(world, "token"), "fail");
    assert_string_equal(result(world, "scope"), "skip");
    assert_string_equal(result(world, "roster"), "skip");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(all_is_well),       POOL_TEST(token_goes_where_it_is_meant_for),
        POOL_TEST(key_sets),          POOL_TEST(a_next_page_is_noted_and_not_fetched),
        POOL_TEST(nobody_answers),    POOL_TEST(clocks),
        POOL_TEST(no_date),           POOL_TEST(tokens),
        POOL_TEST(launches),          POOL_TEST(menus_of_each_family),
        POOL_TEST(no_roster_service), POOL_TEST(rosters),
        POOL_TEST(a_report_is_utf8),  POOL_TEST(a_tool_without_keys),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
