/* SPDX-License-Identifier: Apache-2.0 */
/* lti_diagnosis: from the code with which a run ended to a state and its remedy. */
#include "lti_diagnosis_parts.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "lti_err.h"
#include "lti_http.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* --- what always means the same --------------------------------------------------------------------------------------- */

#define SHOW_SUPPORT "\nElse show the platform's support what was seen."

typedef struct meaning_t {
    lti_code_t code;
    lti_diagnosis_state_t state;
    const char *sentence;
    const char *remedy; /* NULL: that of the menu */
    lti_diagnosis_menu_t menu;
} meaning_t;

static const meaning_t meanings[] = {
    {LTI_E_SCOPE_REFUSED, LTI_DIAGNOSIS_SCOPE, "The platform does not grant this tool the permission to read rosters.", NULL,
     LTI_MENU_SERVICE},
    {LTI_E_SERVICE_NONE, LTI_DIAGNOSIS_NO_SERVICE, "The launches of this course do not offer a roster service.", NULL,
     LTI_MENU_SERVICE},
    {.code = LTI_E_ROSTER_TOO_LARGE,
     .state = LTI_DIAGNOSIS_TOO_MANY,
     .sentence = "The course has more people than the platform gives out.",
     .remedy = "Let the platform's administrator raise its limit (Open edX: LTI_NRPS_ACTIVE_ENROLLMENT_LIMIT in its settings), or "
               "install a release of it "
               "that gives rosters page by page.\nThen press Update now."},
    {.code = LTI_E_ROSTER_LIMIT,
     .state = LTI_DIAGNOSIS_TOO_MANY,
     .sentence = "The platform's list is larger, or takes longer, than this tool accepts of one course.",
     .remedy = "Is it the list of one course? 200,000 people and ten minutes are accepted.\nIf the platform was merely slow, "
               "nothing has to be done: it is "
               "tried again." SHOW_SUPPORT},
    {.code = LTI_E_HTTP_STATUS,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "The platform answers with an error instead of the roster.",
     .remedy = "If the platform has trouble of its own, nothing has to be done: it is tried again." SHOW_SUPPORT},
    {.code = LTI_E_TOKEN_ANSWER,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "The platform's token address gives no usable answer.",
     .remedy = "Is LTITokenEndpoint (or the site's address in LTIPreset) the address that the platform shows as its access token "
               "URL?\nIf the platform has "
               "trouble of its own, nothing has to be done: it is tried again." SHOW_SUPPORT},
    {.code = LTI_E_HTTP_REDIRECT,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "The platform leads on to another address instead of giving the roster; a token is not sent there.",
     .remedy = "Has the platform moved, or does it send programs to a login page? Write its present addresses in its <LTIPlatform> "
               "block.\nOpen the tool "
               "from the course once: the launch tells the roster's present address." SHOW_SUPPORT},
    {.code = LTI_E_ROSTER_TYPE,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "The platform's answer is no roster, but a page of another kind.",
     .remedy = "A login or maintenance page in place of the roster often comes from a proxy or a firewall between the two servers: "
               "let it pass requests of "
               "this server." SHOW_SUPPORT},
    {.code = LTI_E_ROSTER_MALFORMED,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "The platform's roster is damaged or incomplete; nothing of it was applied.",
     .remedy = "If it was cut on its way, nothing has to be done: it is tried again." SHOW_SUPPORT},
    {.code = LTI_E_ROSTER_LOOP,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence =
         "The pages of the platform's roster lead in a circle, so nobody can read it to its end; nothing of it was applied.",
     .remedy = "In Blackboard that is a known fault with courses of more than 1,000 people: ask its support about article "
               "000078208." SHOW_SUPPORT},
    {.code = LTI_E_ROSTER_ORIGIN,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "The next page of the platform's roster is on another host, where a token is not sent; nothing of it was applied.",
     .remedy = "Is the platform behind a load balancer or proxy that does not tell it its public name? Let its administrator set "
               "that name." SHOW_SUPPORT},
    {.code = LTI_E_ROSTER_MEMBERS,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "Too many entries of the platform's roster do not say whose they are; nothing of it was applied.",
     .remedy = "Does the platform keep people anonymous towards this tool? Let it send their ids.\nShow the platform's support "
               "what was seen."},
    {.code = LTI_E_HTTP_TOO_LARGE,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "The platform's answer is larger than an answer can sensibly be.",
     .remedy = "Show the platform's support what was seen."},
    {.code = LTI_E_ROSTER_CHANGES,
     .state = LTI_DIAGNOSIS_RUBBISH,
     .sentence = "The platform's list of what changed is not of this course.",
     .remedy = "Nothing has to be done: the whole roster is read next." SHOW_SUPPORT},
    {.code = LTI_E_SERVICE_URL,
     .state = LTI_DIAGNOSIS_ADDRESS,
     .sentence = "The roster's address in the launch cannot be used.",
     .remedy = "It must be an https address: let the platform's administrator set the platform's public address to https.\nThen "
               "open the tool from the "
               "course once."},
    {.code = LTI_E_ROSTER_EMPTY,
     .state = LTI_DIAGNOSIS_EMPTY,
     .sentence = "The platform suddenly names nobody in this course; the roster of before stays.",
     .menu = LTI_MENU_EVERYBODY},
    {.code = LTI_E_ROSTER_HELD,
     .state = LTI_DIAGNOSIS_HELD,
     .sentence = "Many people are missing at once; they stay until that is confirmed.",
     .remedy = "If they have really left, press Accept on the course's page; the same list over 24 hours is accepted by itself."},
};

static int judge_by_table(const lti_judging_t *judging, lti_code_t code)
{
    size_t i;

    for (i = 0; i < COUNT_OF(meanings); i++) {
        const meaning_t *meaning = &meanings[i];

        if (meaning->code != code)
            continue;
        lti_diagnosis_conclude(judging, meaning->state, meaning->sentence,
                               meaning->remedy != NULL ? meaning->remedy
                                                       : lti_diagnosis_menu(meaning->menu, judging->evidence->platform));
        return 1;
    }
    return 0;
}

/* --- what depends on more ---------------------------------------------------------------------------------------------- */

static int says(const char *text, const char *part)
{
    return text != NULL && strcasestr(text, part) != NULL;
}

/* Moodle puts what its JWT library says into `error`. */
static int speaks_of_time(const char *text)
{
    return says(text, "expired") || says(text, "prior to") || says(text, "not yet valid") || says(text, "in the future") ||
           says(text, "too old");
}

static void judge_token_refusal(const lti_judging_t *judging, const char *text)
{
    if (lti_diagnosis_clock_is_off(judging->evidence) || speaks_of_time(text))
        lti_diagnosis_clock(judging);
    else
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_CLIENT, "The platform does not accept this tool's key or client id.",
                               lti_diagnosis_menu(LTI_MENU_CLIENT, judging->evidence->platform));
}

static void judge_deployment(const lti_judging_t *judging, int withdrawn)
{
    const lti_course_t *course = judging->evidence->course;
    const char *id = course != NULL && course->deployment_id != NULL ? course->deployment_id : "";

    lti_diagnosis_conclude(
        judging, LTI_DIAGNOSIS_DEPLOYMENT,
        apr_psprintf(judging->pool, "Deployment %s of the platform %s here.", id, withdrawn ? "was withdrawn" : "is not accepted"),
        withdrawn ? "If that is no longer meant: on the status page > Platforms > Deployments press Accept."
                  : "On the status page > Platforms > Deployments press Accept, or name it in LTIDeployment.");
}

static void judge_forbidden(const lti_judging_t *judging)
{
    const lti_course_t *course = judging->evidence->course;
    const char *service = lti_diagnosis_menu(LTI_MENU_SERVICE, judging->evidence->platform);

    if (course != NULL && course->succeeded_at != 0)
        lti_diagnosis_conclude(
            judging, LTI_DIAGNOSIS_PERMISSION,
            "The platform has let this tool read the course's roster before and does not any more: something changed there since.",
            apr_pstrcat(judging->pool,
                        "Open the tool from the course once: the launch tells what is permitted now.\nIf that does not help: ",
                        service, NULL));
    else
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_DEPLOYMENT, "The platform does not let this tool read this course's roster.",
                               apr_pstrcat(judging->pool, lti_diagnosis_menu(LTI_MENU_COURSE, judging->evidence->platform),
                                           "\nIf that does not help: ", service, NULL));
}

static void judge_patience(const lti_judging_t *judging)
{
    const lti_evidence_t *evidence = judging->evidence;
    apr_time_t until = evidence->paused_until > evidence->now ? evidence->paused_until
                       : evidence->course != NULL             ? evidence->course->due_at
                                                              : 0;
    const char *when = until > evidence->now
                           ? apr_pstrcat(judging->pool, " until ", lti_diagnosis_moment(until, evidence->now, judging->pool), NULL)
                           : "";

    lti_diagnosis_conclude(
        judging, LTI_DIAGNOSIS_RATE_LIMITED, apr_psprintf(judging->pool, "The platform asks for patience%s.", when),
        "Nothing has to be done: it goes on by itself.\nIf it happens often, lower LTISyncRate or raise LTISyncInterval.");
}

static void judge_address(const lti_judging_t *judging, const char *text)
{
    const lti_course_t *course = judging->evidence->course;
    const char *host = course != NULL && course->nrps_url != NULL ? lti_http_host(course->nrps_url, judging->pool) : NULL;

    /* The sentence of the refusal begins with the host. */
    if (host == NULL && text != NULL)
        host = apr_pstrmemdup(judging->pool, text, strcspn(text, " "));
    lti_diagnosis_conclude(
        judging, LTI_DIAGNOSIS_ADDRESS,
        apr_psprintf(judging->pool, "The roster is on %s, a host with a private address, where this server sends no token.",
                     host != NULL ? host : "a host"),
        apr_psprintf(
            judging->pool,
            "If that host is right, add this line to the main server's configuration (or the host to the line that is there) and "
            "reload: LTIServiceHosts %s",
            host != NULL ? host : "HOST"));
}

static void judge_connection(const lti_judging_t *judging, lti_code_t code, const char *text)
{
    const char *sentence = "The platform could not be reached.";
    const char *remedy = "From this server: is the platform up, does a firewall or proxy stand between (LTIProxy)?";

    if (says(text, "certificate") || says(text, "SSL") || says(text, "TLS") || says(text, "verif")) {
        sentence = "The platform's certificate is not trusted by this server.";
        remedy = "Is the certificate valid for that name, in time, and sent with its intermediate certificates? Let the platform's "
                 "administrator mend it.\n"
                 "If it is of an institution's own authority, write LTICAFile with that authority's certificate.";
    } else if (says(text, "resolve")) {
        sentence = "The platform's name is not known to this server.";
        remedy = "Is the site's address in LTIPreset spelt right, and does the name resolve on this server (getent hosts "
                 "NAME)?\nIf this server reaches the "
                 "outside through a proxy only, write LTIProxy.";
    } else if (code == LTI_E_HTTP_TIMEOUT) {
        sentence = "The platform did not answer in time.";
        remedy = "If the platform is slow, raise LTISyncTimeout.\nElse: does a firewall or proxy stand between (LTIProxy)?";
    } else if (code == LTI_E_HTTP_ABORTED) {
        sentence = "The connection to the platform broke before the answer was complete.";
    }
    lti_diagnosis_conclude(
        judging, LTI_DIAGNOSIS_CONNECTION, sentence,
        apr_pstrcat(judging->pool, remedy, "\nIf the platform was down, nothing has to be done: it is tried again.", NULL));
}

static void judge_configuration(const lti_judging_t *judging)
{
    if (says(judging->words, "no key to sign with"))
        lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_CONFIGURATION, "This server has no key to sign with.",
                               "Write LTIKeyFile, or remove it so that keys are generated, and restart the server.");
    else
        lti_diagnosis_conclude(
            judging, LTI_DIAGNOSIS_CONFIGURATION,
            apr_psprintf(judging->pool, "The course belongs to platform %s, which was not configured at the last run.",
                         judging->evidence->course != NULL ? judging->evidence->course->platform : ""),
            "If its <LTIPlatform> block is there again, press Update now.\nElse leave the course to rest: its people are kept for "
            "LTIRetain.");
}

static void judge_server(const lti_judging_t *judging, lti_code_t code)
{
    lti_diagnosis_conclude(judging, LTI_DIAGNOSIS_SERVER,
                           "The last run failed on this side: not the platform is at fault, but this server or its database.",
                           apr_pstrcat(judging->pool,
                                       code < LTI_E_COUNT ? lti_err_info(code)->admin : "Look it up in the error log.",
                                       "\nIt is tried again by itself; the error log has the detail.", NULL));
}

void lti_diagnosis_failure(const lti_judging_t *judging, const char *error_name, const char *error_text)
{
    lti_code_t code = lti_err_by_name(error_name);

    switch (code) {
    case LTI_E_TOKEN_REFUSED:
        judge_token_refusal(judging, error_text);
        break;
    case LTI_E_DEPLOYMENT_UNKNOWN:
    case LTI_E_DEPLOYMENT_WAITING:
    case LTI_E_DEPLOYMENT_WITHDRAWN:
        judge_deployment(judging, code == LTI_E_DEPLOYMENT_WITHDRAWN);
        break;
    case LTI_E_ROSTER_FORBIDDEN:
        judge_forbidden(judging);
        break;
    case LTI_E_ROSTER_GONE:
        lti_diagnosis_conclude(
            judging, LTI_DIAGNOSIS_COURSE_GONE, "The platform does not know this course or its roster any more.",
            apr_pstrcat(
                judging->pool,
                "If the course was deleted there, nothing has to be done: it is asked for once a day, later once a week.\nElse: ",
                lti_diagnosis_menu(LTI_MENU_COURSE, judging->evidence->platform), NULL));
        break;
    case LTI_E_RATE_LIMITED:
    case LTI_E_ROSTER_BUSY:
        judge_patience(judging);
        break;
    case LTI_E_HTTP_ADDRESS:
        judge_address(judging, error_text);
        break;
    case LTI_E_HTTP_CONNECT:
    case LTI_E_HTTP_TIMEOUT:
    case LTI_E_HTTP_ABORTED:
        judge_connection(judging, code, error_text);
        break;
    case LTI_E_CONFIG:
        judge_configuration(judging);
        break;
    default:
        if (!judge_by_table(judging, code))
            judge_server(judging, code);
    }
}
