/* SPDX-License-Identifier: Apache-2.0 */
/* The room lti_diagnosis: every state is reached, every remedy names the menus of its platform, no failure passes for well. */
#include "test.h"
#include "lti_diagnosis.h"

#include <stdio.h>

#define SECOND apr_time_from_sec(1)
#define HOUR (3600 * SECOND)
#define NOW (1760000000 * SECOND)

/* --- the world --------------------------------------------------------------------------------------------------------- */

typedef struct case_t {
    const char *name;
    lti_diagnosis_state_t state;
    int severity;
    lti_code_t code;                          /* of the last run; LTI_OK: it went well */
    const char *text;                         /* what it said */
    const char *sentence, *evidence, *remedy; /* parts; NULL: not looked at */
    lti_family_t family;
    int of_platform;    /* no course */
    int not_configured; /* no platform */
    /* What differs from a course that was read an hour ago, has 30 people, and was launched two hours ago. */
    int never_read, never_launched, no_address, nobody, stale, failures;
    int held, suspect, waiting;
    apr_time_t old_launch_at, paused_until, due_at;
    apr_interval_time_t clock_offset;
} case_t;

static void diagnose(lti_diagnosis_t *diagnosis, const case_t *c, apr_pool_t *p)
{
    lti_platform_t platform = {.name = "campus", .family = c->family};
    lti_course_t course = {.key = "aaaabbbbccccdddd",
                           .platform = "campus",
                           .deployment_id = "1:x",
                           .context_id = "7",
                           .label = "BIO-1",
                           .title = "Biology",
                           .nrps_url = c->no_address ? NULL : "https://lms.example.org/nrps/7",
                           .launched_at = c->never_launched ? 0 : NOW - 2 * HOUR,
                           .state = LTI_ROSTER_CURRENT,
                           .succeeded_at = NOW - HOUR,
                           .stale_at = NOW + HOUR,
                           .due_at = c->due_at,
                           .active = 30};
    lti_evidence_t evidence = {.platform = c->not_configured ? NULL : &platform,
                               .now = NOW,
                               .launched_at = course.launched_at,
                               .suspect = c->suspect,
                               .old_launch_at = c->old_launch_at,
                               .paused_until = c->paused_until,
                               .clock_offset = c->clock_offset,
                               .clock_known = c->clock_offset != 0,
                               .held_missing = c->held,
                               .deployments_waiting = c->waiting};
    const char *name = c->code != LTI_OK ? lti_err_info(c->code)->name : NULL;

    if (c->of_platform) {
        evidence.token_error_name = name;
        evidence.token_error_text = c->text;
        evidence.token_error_at = NOW - HOUR;
    } else {
        evidence.course = &course;
        course.error_name = name;
        course.error_text = c->text;
        course.failures = c->failures;
    }
    if (c->never_read) {
        course.state = LTI_ROSTER_PENDING;
        course.active = 0;
        course.succeeded_at = course.stale_at = 0;
    }
    if (c->nobody)
        course.active = 0;
    if (c->stale)
        course.stale_at = NOW - 1;
    if (c->failures > 0 && !c->never_read)
        course.state = LTI_ROSTER_FAILING;
    if (c->held > 0)
        course.state = LTI_ROSTER_HELD;
    lti_diagnose(diagnosis, &evidence, p);
}

static const case_t cases[] = {
    {"all is well", LTI_DIAGNOSIS_WELL, 0, .sentence = "well", .evidence = "30 people, read 2025-10-09 07:53 UTC (60 minutes ago)"},
    {"a named course nobody opened", LTI_DIAGNOSIS_NEVER_LAUNCHED, 1, .never_read = 1, .never_launched = 1, .no_address = 1,
     .sentence = "Biology", .remedy = "Open the tool from the course once"},
    {"launches without the service", LTI_DIAGNOSIS_NO_SERVICE, 3, .never_read = 1, .no_address = 1,
     .evidence = "last launch 2025-10-09 06:53 UTC"},
    {"a run that found no service", LTI_DIAGNOSIS_NO_SERVICE, 3, LTI_E_SERVICE_NONE, "none", .failures = 1},
    {"client id unknown", LTI_DIAGNOSIS_CLIENT, 3, LTI_E_TOKEN_REFUSED, "HTTP 400, invalid_client", .failures = 3,
     .remedy = "LTIClientID",
     .evidence =
         "token-refused: HTTP 400, invalid_client (3 times in a row); the roster that is served is of 2025-10-09 07:53 UTC"},
    {"Moodle cannot fetch our key set", LTI_DIAGNOSIS_CLIENT, 3, LTI_E_TOKEN_REFUSED, "HTTP 404, the token end point is elsewhere",
     .failures = 1, .family = LTI_FAMILY_MOODLE, .remedy = "The Moodle server itself must be able to open that address"},
    {"scope not granted", LTI_DIAGNOSIS_SCOPE, 3, LTI_E_SCOPE_REFUSED, "HTTP 400, invalid_scope", .failures = 1},
    {"a 403 from the first", LTI_DIAGNOSIS_DEPLOYMENT, 3, LTI_E_ROSTER_FORBIDDEN, "HTTP 403: no", .never_read = 1, .failures = 1,
     .remedy = "make this tool available"},
    {"a 403 after good ones", LTI_DIAGNOSIS_PERMISSION, 2, LTI_E_ROSTER_FORBIDDEN, "HTTP 403: no", .failures = 1,
     .remedy = "Open the tool from the course once"},
    {"a 401 after good ones", LTI_DIAGNOSIS_PERMISSION, 2, LTI_E_ROSTER_FORBIDDEN, "HTTP 401", .failures = 1, .sentence = "before"},
    {"a 403 that is a rate limit", LTI_DIAGNOSIS_RATE_LIMITED, 1, LTI_E_ROSTER_BUSY,
     "HTTP 403, the platform's rate limit is reached", .failures = 1, .due_at = NOW + 300 * SECOND,
     .sentence = "until 2025-10-09 08:58 UTC (in 5 minutes)"},
    {"a 403 that is a limit of people", LTI_DIAGNOSIS_TOO_MANY, 3, LTI_E_ROSTER_TOO_LARGE, "HTTP 403: above_response_limit",
     .failures = 1, .remedy = "LTI_NRPS_ACTIVE_ENROLLMENT_LIMIT"},
    {"a list without end", LTI_DIAGNOSIS_TOO_MANY, 3, LTI_E_ROSTER_LIMIT, "more than 200000 members", .failures = 1},
    {"put off with all of its platform's", LTI_DIAGNOSIS_RATE_LIMITED, 1, LTI_E_RATE_LIMITED, "campus asked",
     .paused_until = NOW + 7200 * SECOND, .sentence = "until 2025-10-09 10:53 UTC (in 2 hours)"},
    {"put off for so long that it is stale", LTI_DIAGNOSIS_RATE_LIMITED, 2, LTI_E_RATE_LIMITED, "campus asked",
     .paused_until = NOW + HOUR, .stale = 1},
    {"put off before the first roster", LTI_DIAGNOSIS_RATE_LIMITED, 1, .never_read = 1, .paused_until = NOW + HOUR},
    {"the course is gone", LTI_DIAGNOSIS_COURSE_GONE, 2, LTI_E_ROSTER_GONE, "HTTP 404", .failures = 4, .remedy = "once a day"},
    {"deployment unknown", LTI_DIAGNOSIS_DEPLOYMENT, 3, LTI_E_DEPLOYMENT_UNKNOWN, "x", .failures = 1, .sentence = "1:x",
     .remedy = "LTIDeployment"},
    {"deployment withdrawn", LTI_DIAGNOSIS_DEPLOYMENT, 3, LTI_E_DEPLOYMENT_WITHDRAWN, "x", .failures = 1, .sentence = "withdrawn"},
    {"deployment waits", LTI_DIAGNOSIS_DEPLOYMENT, 3, LTI_E_DEPLOYMENT_WAITING, "x", .failures = 1},
    {"the platform names nobody", LTI_DIAGNOSIS_EMPTY, 3, .nobody = 1},
    {"the platform suddenly names nobody", LTI_DIAGNOSIS_EMPTY, 3, LTI_E_ROSTER_EMPTY, "the list is empty", .held = 30,
     .remedy = "press Accept"},
    {"held", LTI_DIAGNOSIS_HELD, 2, LTI_E_ROSTER_HELD, "20 of 30", .held = 20, .sentence = "20 of 30 people",
     .remedy = "press Accept"},
    {"roster smaller than its launches", LTI_DIAGNOSIS_SMALLER, 2, .suspect = 1, .family = LTI_FAMILY_BRIGHTSPACE,
     .remedy = "Classlist including users not known to this deployment"},
    {"certificate", LTI_DIAGNOSIS_CONNECTION, 3, LTI_E_HTTP_CONNECT, "lms: SSL certificate problem: self-signed certificate",
     .failures = 1, .sentence = "certificate", .remedy = "LTICAFile"},
    {"name", LTI_DIAGNOSIS_CONNECTION, 3, LTI_E_HTTP_CONNECT, "lms: Could not resolve host: lms", .failures = 1, .sentence = "name",
     .remedy = "getent"},
    {"nobody listens", LTI_DIAGNOSIS_CONNECTION, 3, LTI_E_HTTP_CONNECT, "lms: Failed to connect to lms port 443", .failures = 1,
     .remedy = "LTIProxy"},
    {"too slow", LTI_DIAGNOSIS_CONNECTION, 3, LTI_E_HTTP_TIMEOUT, "lms: too slow", .failures = 1, .remedy = "LTISyncTimeout"},
    {"broken off", LTI_DIAGNOSIS_CONNECTION, 3, LTI_E_HTTP_ABORTED, "lms: gone", .failures = 1, .sentence = "broke"},
    {"a private address", LTI_DIAGNOSIS_ADDRESS, 3, LTI_E_HTTP_ADDRESS,
     "lms.example.org has the address 10.0.0.1, which is not public", .failures = 1, .remedy = "LTIServiceHosts lms.example.org"},
    {"no https address", LTI_DIAGNOSIS_ADDRESS, 3, LTI_E_SERVICE_URL, "http", .failures = 1, .remedy = "https"},
    {"a clock that is known to be off", LTI_DIAGNOSIS_CLOCK, 3, LTI_E_TOKEN_REFUSED, "HTTP 400, invalid_client", .failures = 1,
     .clock_offset = -600 * SECOND, .sentence = "10 minutes behind", .remedy = "NTP"},
    {"Moodle speaks of the time", LTI_DIAGNOSIS_CLOCK, 3, LTI_E_TOKEN_REFUSED,
     "HTTP 400, Cannot handle token prior to 2026-11-22T14:21:49+0000", .failures = 1},
    {"Moodle says expired", LTI_DIAGNOSIS_CLOCK, 3, LTI_E_TOKEN_REFUSED, "HTTP 400, Expired token", .failures = 1},
    {"an error page", LTI_DIAGNOSIS_RUBBISH, 3, LTI_E_HTTP_STATUS, "HTTP 500", .failures = 1},
    {"a login page", LTI_DIAGNOSIS_RUBBISH, 3, LTI_E_ROSTER_TYPE, "HTTP 200, but the content type is: text/html", .failures = 1,
     .remedy = "proxy"},
    {"a circle", LTI_DIAGNOSIS_RUBBISH, 3, LTI_E_ROSTER_LOOP, "page 2 leads back", .failures = 1, .remedy = "000078208"},
    {"stopped", LTI_DIAGNOSIS_STALE, 3, .stale = 1, .sentence = "since 2025-10-09 07:53 UTC", .remedy = "Update now"},
    {"failing for so long that it is stale", LTI_DIAGNOSIS_CONNECTION, 3, LTI_E_HTTP_CONNECT, "lms: x", .failures = 9, .stale = 1,
     .evidence = "too old to be relied upon"},
    {"not configured any more", LTI_DIAGNOSIS_CONFIGURATION, 2, .not_configured = 1, .sentence = "campus"},
    {"was not configured at the last run", LTI_DIAGNOSIS_CONFIGURATION, 2, LTI_E_CONFIG, "course belongs to platform",
     .failures = 1},
    {"no key", LTI_DIAGNOSIS_CONFIGURATION, 2, LTI_E_CONFIG, "the tool has no key to sign with", .failures = 1,
     .remedy = "LTIKeyFile"},
    {"the first run goes on", LTI_DIAGNOSIS_PENDING, 1, .never_read = 1},
    {"our database", LTI_DIAGNOSIS_SERVER, 3, LTI_E_STORE, "disk I/O error", .failures = 1, .remedy = "error log"},

    {"a platform that is well", LTI_DIAGNOSIS_WELL, 0, .of_platform = 1, .evidence = "last launch 2025-10-09 06:53 UTC"},
    {"a platform without a launch", LTI_DIAGNOSIS_NEVER_LAUNCHED, 1, .of_platform = 1, .never_launched = 1,
     .remedy = "LTIClientID"},
    {"installed the old way", LTI_DIAGNOSIS_OLD_LTI, 3, .of_platform = 1, .never_launched = 1,
     .old_launch_at = NOW - 40 * 24 * HOUR, .evidence = "last launch of LTI 1.1", .remedy = "install the tool by its client id"},
    {"installed both ways", LTI_DIAGNOSIS_OLD_LTI, 1, .of_platform = 1, .old_launch_at = NOW - HOUR, .sentence = "still"},
    {"replaced long ago", LTI_DIAGNOSIS_WELL, 0, .of_platform = 1, .old_launch_at = NOW - 40 * 24 * HOUR},
    {"all launches wait for approval", LTI_DIAGNOSIS_DEPLOYMENT, 3, .of_platform = 1, .never_launched = 1, .waiting = 1,
     .sentence = "1 deployment of this platform waits", .remedy = "press Accept"},
    {"others wait for approval", LTI_DIAGNOSIS_DEPLOYMENT, 1, .of_platform = 1, .waiting = 2,
     .sentence = "2 deployments of this platform wait "},
    {"a platform's clock", LTI_DIAGNOSIS_CLOCK, 3, .of_platform = 1, .clock_offset = 40 * SECOND, .sentence = "40 seconds ahead"},
    {"a platform's clock that is near enough", LTI_DIAGNOSIS_WELL, 0, .of_platform = 1, .clock_offset = 29 * SECOND},
    {"a platform that gives no token", LTI_DIAGNOSIS_CLIENT, 3, LTI_E_TOKEN_REFUSED, "HTTP 401, invalid_client", .of_platform = 1,
     .evidence = "token-refused: HTTP 401, invalid_client; 2025-10-09 07:53 UTC"},
    {"a platform that gives no scope", LTI_DIAGNOSIS_SCOPE, 3, LTI_E_SCOPE_REFUSED, "HTTP 400, invalid_scope", .of_platform = 1},
    {"a platform that cannot be reached, nor was", LTI_DIAGNOSIS_CONNECTION, 3, LTI_E_HTTP_CONNECT, "lms: x", .of_platform = 1,
     .never_launched = 1},
    {"a platform that asked for patience", LTI_DIAGNOSIS_RATE_LIMITED, 1, .of_platform = 1, .paused_until = NOW + HOUR,
     .sentence = "until 2025-10-09 09:53"},
    {"a platform that is gone", LTI_DIAGNOSIS_CONFIGURATION, 2, .of_platform = 1, .not_configured = 1},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

/* --- the tests ---------------------------------------------------------------------------------------------------------- */

static void expect_part(const case_t *c, const char *what, const char *text, const char *part)
{
    if (part != NULL && (text == NULL || strstr(text, part) == NULL))
        fail_msg("%s: %s is \"%s\", without \"%s\"", c->name, what, text != NULL ? text : "(none)", part);
}

static void evidence_leads_to_state_and_remedy(void **state)
{
    apr_pool_t *p = *state;
    size_t i;

    for (i = 0; i < CASES; i++) {
        const case_t *c = &cases[i];
        lti_diagnosis_t diagnosis = {0};

        diagnose(&diagnosis, c, p);
        if (diagnosis.state != c->state || diagnosis.severity != c->severity)
            fail_msg("%s: %s, severity %d (%s)", c->name, lti_diagnosis_word(diagnosis.state), diagnosis.severity,
                     diagnosis.sentence);
        assert_non_null(diagnosis.sentence);
        expect_part(c, "the sentence", diagnosis.sentence, c->sentence);
        expect_part(c, "the evidence", diagnosis.evidence, c->evidence);
        expect_part(c, "the remedy", diagnosis.remedy, c->remedy);
        if (c->code != LTI_OK)
            expect_part(c, "the evidence", diagnosis.evidence, c->text);
        assert_int_equal(diagnosis.remedy == NULL, diagnosis.state == LTI_DIAGNOSIS_WELL);
    }
}

static void every_state_is_reached(void **state)
{
    int seen[LTI_DIAGNOSIS_COUNT] = {0}, number;
    size_t i;

    (void)state;
    for (i = 0; i < CASES; i++)
        seen[cases[i].state] = 1;
    for (number = 0; number < LTI_DIAGNOSIS_COUNT; number++) {
        if (!seen[number])
            fail_msg("no case leads to %s", lti_diagnosis_word((lti_diagnosis_state_t)number));
    }
}

/* Where something has to be clicked in the platform, each family's reader finds the names that stand there. */
static void remedies_name_the_menus_of_each_family(void **state)
{
    static const char *const brands[] = {"In the platform", "In Canvas", "In Moodle",   "In Blackboard",
                                         "In Brightspace",  "In Sakai",  "In Schoology"};
    apr_pool_t *p = *state;
    int checked[LTI_FAMILY_SCHOOLOGY + 1] = {0};
    size_t i;
    int family;

    for (i = 0; i < CASES; i++) {
        case_t c = cases[i];
        lti_diagnosis_t diagnosis = {0};

        switch (c.state) {
        case LTI_DIAGNOSIS_NEVER_LAUNCHED:
        case LTI_DIAGNOSIS_OLD_LTI:
        case LTI_DIAGNOSIS_CLIENT:
        case LTI_DIAGNOSIS_SCOPE:
        case LTI_DIAGNOSIS_NO_SERVICE:
        case LTI_DIAGNOSIS_PERMISSION:
        case LTI_DIAGNOSIS_COURSE_GONE:
        case LTI_DIAGNOSIS_EMPTY:
        case LTI_DIAGNOSIS_SMALLER:
        case LTI_DIAGNOSIS_HELD:
            break;
        case LTI_DIAGNOSIS_DEPLOYMENT: /* those that wait are accepted here */
            if (c.code == LTI_E_ROSTER_FORBIDDEN)
                break;
            continue;
        default:
            continue;
        }
        for (family = LTI_FAMILY_OTHER; family <= LTI_FAMILY_SCHOOLOGY; family++) {
            c.family = (lti_family_t)family;
            diagnose(&diagnosis, &c, p);
            expect_part(&c, "the remedy", diagnosis.remedy, brands[family]);
            expect_part(&c, "the remedy", diagnosis.remedy, " > ");
            checked[family]++;
        }
    }
    for (family = LTI_FAMILY_OTHER; family <= LTI_FAMILY_SCHOOLOGY; family++)
        assert_true(checked[family] >= 15);
}

static void no_failure_passes_for_well(void **state)
{
    apr_pool_t *p = *state;
    int code, never_read;

    for (code = LTI_OK + 1; code < LTI_E_COUNT; code++) {
        for (never_read = 0; never_read < 2; never_read++) {
            case_t c = {.name = lti_err_info((lti_code_t)code)->name,
                        .code = (lti_code_t)code,
                        .text = "said",
                        .failures = 1,
                        .never_read = never_read};
            lti_diagnosis_t diagnosis = {0};

            diagnose(&diagnosis, &c, p);
            if (diagnosis.state == LTI_DIAGNOSIS_WELL || diagnosis.severity == 0 || diagnosis.remedy == NULL)
                fail_msg("%s passes for %s", c.name, lti_diagnosis_word(diagnosis.state));
            c.of_platform = 1;
            diagnose(&diagnosis, &c, p);
            assert_int_not_equal(diagnosis.state, LTI_DIAGNOSIS_WELL);
        }
    }
}

/* A row of an older or newer release. */
static void unknown_reason_is_no_wellness(void **state)
{
    apr_pool_t *p = *state;
    lti_platform_t platform = {.name = "campus"};
    lti_course_t course = {.key = "a",
                           .platform = "campus",
                           .context_id = "7",
                           .nrps_url = "https://x/",
                           .state = LTI_ROSTER_FAILING,
                           .error_name = "of-another-time",
                           .succeeded_at = NOW - HOUR,
                           .failures = 1};
    lti_evidence_t evidence = {.course = &course, .platform = &platform, .now = NOW};
    lti_diagnosis_t diagnosis;

    lti_diagnose(&diagnosis, &evidence, p);
    assert_int_equal(diagnosis.state, LTI_DIAGNOSIS_SERVER);
    assert_non_null(strstr(diagnosis.evidence, "of-another-time"));
}

/* Rows of the table "What the status page says" in docs/operations.md. */
static void words_are_stable_and_documented(void **state)
{
    static const char *const words[LTI_DIAGNOSIS_COUNT] = {"well",
                                                           "never-launched",
                                                           "old-lti",
                                                           "client-refused",
                                                           "scope-not-granted",
                                                           "no-roster-service",
                                                           "deployment",
                                                           "permission-changed",
                                                           "course-gone",
                                                           "empty",
                                                           "smaller-than-launches",
                                                           "held",
                                                           "rate-limited",
                                                           "too-many-members",
                                                           "connection",
                                                           "address-refused",
                                                           "clock",
                                                           "rubbish",
                                                           "stale",
                                                           "not-configured",
                                                           "pending",
                                                           "this-server"};
    const char *root = getenv("srcdir");
    apr_pool_t *p = *state;
    char *text = apr_pcalloc(p, 512 * 1024);
    FILE *file = fopen(apr_pstrcat(p, root != NULL ? root : ".", "/docs/operations.md", NULL), "r");
    int i;

    assert_non_null(file);
    assert_true(fread(text, 1, 512 * 1024 - 1, file) > 1000);
    fclose(file);
    for (i = 0; i < LTI_DIAGNOSIS_COUNT; i++) {
        const char *word = lti_diagnosis_word((lti_diagnosis_state_t)i);

        assert_string_equal(word, words[i]);
        if (strstr(text, apr_pstrcat(p, "\n| `", word, "` |", NULL)) == NULL)
            fail_msg("docs/operations.md has no row for `%s`", word);
    }
    assert_string_equal(lti_diagnosis_word(LTI_DIAGNOSIS_COUNT), "unknown");
}

static void small_rosters_are_suspected(void **state)
{
    static const struct {
        lti_family_t family;
        int active, launched, outsiders, suspect;
    } rosters[] = {
        {LTI_FAMILY_OTHER, 30, 30, 0, 0},       /* everybody has come: fine elsewhere */
        {LTI_FAMILY_BRIGHTSPACE, 30, 30, 0, 1}, /* and suspicious where the switch is off by itself */
        {LTI_FAMILY_BRIGHTSPACE, 30, 29, 0, 0}, {LTI_FAMILY_BRIGHTSPACE, 2, 2, 0, 0}, {LTI_FAMILY_OTHER, 30, 5, 2, 0},
        {LTI_FAMILY_OTHER, 30, 5, 3, 0},        {LTI_FAMILY_OTHER, 30, 5, 4, 1},      {LTI_FAMILY_OTHER, 0, 0, 3, 1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rosters) / sizeof(rosters[0]); i++) {
        lti_platform_t platform = {.name = "campus", .family = rosters[i].family};

        assert_int_equal(lti_diagnosis_is_suspect(&platform, rosters[i].active, rosters[i].launched, rosters[i].outsiders),
                         rosters[i].suspect);
    }
    assert_int_equal(lti_diagnosis_is_suspect(NULL, 30, 30, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(evidence_leads_to_state_and_remedy),
        POOL_TEST(every_state_is_reached),
        POOL_TEST(remedies_name_the_menus_of_each_family),
        POOL_TEST(no_failure_passes_for_well),
        POOL_TEST(unknown_reason_is_no_wellness),
        POOL_TEST(words_are_stable_and_documented),
        POOL_TEST(small_rosters_are_suspected),
    };

    return cmocka_run_group_tests_name("diagnosis", tests, NULL, NULL);
}
